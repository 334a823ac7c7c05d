/* numpy .npy files: version 1.0-3.0, little-endian, C order; float32, float16, float64, int8, uint8, int16,
 * int32, int64, bool. */
#ifndef QVK_NPY_H
#define QVK_NPY_H

#include <stdbool.h>

#include "qvk/status.h"
#include "qvk/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

/* out->data is allocated; release with qvk_tensor_free. Errors: QVK_NOT_FOUND, QVK_IO, QVK_BAD_FORMAT (with
 * place), QVK_UNSUPPORTED (dtype, Fortran order, rank above QVK_MAX_RANK), QVK_OUT_OF_MEMORY. */
QVK_API qvk_status qvk_npy_load(const char *path, qvk_tensor *out, qvk_error *err);
/* The same from bytes in memory. */
QVK_API qvk_status qvk_npy_parse(const void *bytes, size_t n_bytes, const char *name, qvk_tensor *out,
                                 qvk_error *err);
/* Whole or not at all. */
QVK_API qvk_status qvk_npy_save(const char *path, const qvk_tensor *tensor, qvk_error *err);
/* Archives of numpy.savez: calls visit with each entry's name until it returns false (QVK_OUT_OF_MEMORY).
 * Only in builds with the compile half. */
QVK_API qvk_status qvk_npz_list(const char *path, bool (*visit)(const char *name, void *user), void *user,
                                qvk_error *err);
/* One entry by name, with or without ".npy". QVK_NOT_FOUND when there is none; else as qvk_npy_load. */
QVK_API qvk_status qvk_npz_load(const char *path, const char *name, qvk_tensor *out, qvk_error *err);
/* Frees data allocated by qvk_npy_load and clears the tensor. */
QVK_API void qvk_tensor_free(qvk_tensor *tensor);

#ifdef __cplusplus
}
#endif

#endif
