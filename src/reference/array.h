/*
 * Float operators compute in float64 whatever the tensors hold, and round once when they store: the order of
 * a sum then does not show in a float32 result, which is what an oracle is for. These move whole tensors and
 * rows.
 */
#ifndef QVK__ARRAY_H
#define QVK__ARRAY_H

#include "reference/reference.h"

/* Elements [first, first + count) as doubles. */
void qvk__array_read(const qvk_tensor *tensor, int64_t first, int64_t count, double *out);
/* A whole tensor as doubles in new memory; free() it. *out is NULL for a NULL tensor. */
qvk_status qvk__array_load(const qvk_tensor *tensor, double **out, qvk_error *err);
/* `count` doubles in new memory, zeroed; free() it. */
qvk_status qvk__array_new(int64_t count, double **out, qvk_error *err);
/* Stores doubles into elements [first, first + count), each rounded to the tensor's type. */
void qvk__array_write(qvk_tensor *tensor, int64_t first, int64_t count, const double *values);

#endif
