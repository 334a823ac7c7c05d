/* Data types and tensors as the caller sees them. */
#ifndef QVK_TENSOR_H
#define QVK_TENSOR_H

#include <stddef.h>
#include <stdint.h>

#include "qvk/api.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * X(NAME, name, bytes per element, code in a .pt2, code in a .pte, code in a Vulkan blob, numpy descr).
 * -1 / NULL: that format has no such type. Codes: the .pt2 enum, ExecuTorch's ScalarType and VkDataType.
 */
#define QVK_DTYPE_LIST(X)                                                                                    \
    X(F32, "float32", 4, 7, 6, 5, "<f4")                                                                     \
    X(F16, "float16", 2, 6, 5, 4, "<f2")                                                                     \
    X(BF16, "bfloat16", 2, 13, 15, -1, NULL)                                                                 \
    X(F64, "float64", 8, 8, 7, 6, "<f8")                                                                     \
    X(I8, "int8", 1, 2, 1, 2, "|i1")                                                                         \
    X(U8, "uint8", 1, 1, 0, 1, "|u1")                                                                        \
    X(I16, "int16", 2, 3, 2, -1, "<i2")                                                                      \
    X(I32, "int32", 4, 4, 3, 3, "<i4")                                                                       \
    X(I64, "int64", 8, 5, 4, 7, "<i8")                                                                       \
    X(BOOL, "bool", 1, 12, 11, 0, "|b1")

typedef enum qvk_dtype {
    QVK_DTYPE_NONE = 0, /* zero-initialised: unset */
#define QVK_DTYPE_ENUM(NAME, name, bytes, pt2, pte, blob, npy) QVK_DTYPE_##NAME,
    QVK_DTYPE_LIST(QVK_DTYPE_ENUM)
#undef QVK_DTYPE_ENUM
        QVK_DTYPE_COUNT
} qvk_dtype;

#define QVK_MAX_RANK 8

/*
 * A dense tensor in C order (last dimension contiguous), little-endian.
 * rank 0 is a scalar with one element. `data` may be NULL only where a function says so.
 */
typedef struct qvk_tensor {
    qvk_dtype dtype;
    int32_t rank;
    int64_t sizes[QVK_MAX_RANK];
    void *data;
} qvk_tensor;

/* "float32"; "none" for QVK_DTYPE_NONE and unknown values. */
QVK_API const char *qvk_dtype_name(qvk_dtype dtype);

/* Bytes per element; 0 for QVK_DTYPE_NONE and unknown values. */
QVK_API size_t qvk_dtype_bytes(qvk_dtype dtype);

/* Number of elements; -1 if a size is negative or the product overflows, or rank is out of range. */
QVK_API int64_t qvk_tensor_numel(const qvk_tensor *tensor);

/* Bytes of data; 0 if qvk_tensor_numel fails. */
QVK_API size_t qvk_tensor_bytes(const qvk_tensor *tensor);

#ifdef __cplusplus
}
#endif

#endif
