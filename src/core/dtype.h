/* Inside view of data types and shapes: file codes, conversions, strides. The list itself is in qvk/tensor.h.
 */
#ifndef QVK__DTYPE_H
#define QVK__DTYPE_H

#include <stdio.h>

#include "base/base.h"
#include "qvk/tensor.h"

typedef enum qvk__dtype_format { QVK__DTYPE_PT2, QVK__DTYPE_PTE, QVK__DTYPE_BLOB } qvk__dtype_format;

/* Code of a dtype in a file format, -1 when it has none; and back, QVK_DTYPE_NONE when unknown. */
int qvk__dtype_code(qvk_dtype dtype, qvk__dtype_format format);
qvk_dtype qvk__dtype_from_code(int64_t code, qvk__dtype_format format);
/* numpy "descr" ("<f4"), NULL when numpy has none; and back. */
const char *qvk__dtype_npy(qvk_dtype dtype);
qvk_dtype qvk__dtype_from_npy(const char *descr, size_t length);
bool qvk__dtype_is_float(qvk_dtype dtype);

bool qvk__shape_equal(const qvk_tensor *a, const qvk_tensor *b);
/* The same type and shape? */
bool qvk__tensor_is_like(const qvk_tensor *a, const qvk_tensor *b);
/* C-order strides in elements. */
void qvk__strides(const qvk_tensor *tensor, int64_t strides[QVK_MAX_RANK]);
/* "[2, 3]" by value, for messages: qvk__shape_text(&t).text. */
typedef struct qvk__text {
    char text[QVK_MAX_RANK * 22 + 4];
} qvk__text;
qvk__text qvk__shape_text(const qvk_tensor *tensor);

/* IEEE conversions, round to nearest even; NaN stays NaN. */
float qvk__f16_to_f32(uint16_t half);
uint16_t qvk__f32_to_f16(float value);
/* Of n numbers; the arrays do not overlap. */
void qvk__f16_to_f32_n(const uint16_t *from, float *to, uint64_t n);
void qvk__f32_to_f16_n(const float *from, uint16_t *to, uint64_t n);
float qvk__bf16_to_f32(uint16_t brain);
uint16_t qvk__f32_to_bf16(float value);

#endif
