/* The table of reference functions, and access to elements of any type. */
#include "reference/functions.h"

#include <math.h>

#include "core/dtype.h"

/* Named by ops.def; a row whose function is NONE has no reference. */
#define OP(id, name, out, shape, reference, plan, schema)                                                    \
    qvk_status qvk__reference_##reference(qvk__op, const qvk__arg *, int, qvk_tensor *, int, qvk_error *)    \
        __attribute__((weak));
#include "core/ops.def"
#undef OP

static const qvk__reference_fn table[QVK__OP_COUNT] = {
    [QVK__OP_NONE] = NULL,
#define OP(id, name, out, shape, reference, plan, schema) [QVK__OP_##id] = qvk__reference_##reference,
#include "core/ops.def"
#undef OP
};

bool qvk__reference_has(qvk__op op)
{
    return (unsigned)op < QVK__OP_COUNT && table[op] != NULL;
}

qvk_status qvk__reference_run(qvk__op op, const qvk__arg *args, int n_args, qvk_tensor *outs, int n_outs,
                              qvk_error *err)
{
    QVK__CHECK(qvk__reference_has(op), err, QVK_UNSUPPORTED_OPERATOR, "%s cannot be executed",
               qvk__op_name(op));
    return table[op](op, args, n_args, outs, n_outs, err);
}

/* ---- elements -------------------------------------------------------------------------------------------- */

double qvk__reference_get(const qvk_tensor *tensor, int64_t index)
{
    switch (tensor->dtype) {
    case QVK_DTYPE_F32: return (double)((const float *)tensor->data)[index];
    case QVK_DTYPE_F64: return ((const double *)tensor->data)[index];
    case QVK_DTYPE_F16: return (double)qvk__f16_to_f32(((const uint16_t *)tensor->data)[index]);
    case QVK_DTYPE_BF16: return (double)qvk__bf16_to_f32(((const uint16_t *)tensor->data)[index]);
    default: return (double)qvk__reference_get_int(tensor, index);
    }
}

/* Truncation as C does it; what C leaves undefined (NaN, out of range) gives the smallest int64, as x86 does.
 */
static int64_t truncate(double value)
{
    return value >= -0x1p63 && value < 0x1p63 ? (int64_t)value : INT64_MIN;
}

int64_t qvk__reference_get_int(const qvk_tensor *tensor, int64_t index)
{
    switch (tensor->dtype) {
    case QVK_DTYPE_I8: return ((const int8_t *)tensor->data)[index];
    case QVK_DTYPE_U8: return ((const uint8_t *)tensor->data)[index];
    case QVK_DTYPE_I16: return ((const int16_t *)tensor->data)[index];
    case QVK_DTYPE_I32: return ((const int32_t *)tensor->data)[index];
    case QVK_DTYPE_I64: return ((const int64_t *)tensor->data)[index];
    case QVK_DTYPE_BOOL: return ((const uint8_t *)tensor->data)[index] != 0;
    default: return truncate(qvk__reference_get(tensor, index));
    }
}

void qvk__reference_set(qvk_tensor *tensor, int64_t index, double value)
{
    switch (tensor->dtype) {
    case QVK_DTYPE_F32: ((float *)tensor->data)[index] = (float)value; break;
    case QVK_DTYPE_F64: ((double *)tensor->data)[index] = value; break;
    case QVK_DTYPE_F16: ((uint16_t *)tensor->data)[index] = qvk__f32_to_f16((float)value); break;
    case QVK_DTYPE_BF16: ((uint16_t *)tensor->data)[index] = qvk__f32_to_bf16((float)value); break;
    case QVK_DTYPE_BOOL: ((uint8_t *)tensor->data)[index] = value != 0; break;
    default: qvk__reference_set_int(tensor, index, truncate(value)); break;
    }
}

void qvk__reference_set_int(qvk_tensor *tensor, int64_t index, int64_t value)
{
    switch (tensor->dtype) {
    case QVK_DTYPE_I8: ((uint8_t *)tensor->data)[index] = (uint8_t)value; break;
    case QVK_DTYPE_U8: ((uint8_t *)tensor->data)[index] = (uint8_t)value; break;
    case QVK_DTYPE_I16: ((uint16_t *)tensor->data)[index] = (uint16_t)value; break;
    case QVK_DTYPE_I32: ((uint32_t *)tensor->data)[index] = (uint32_t)value; break;
    case QVK_DTYPE_I64: ((int64_t *)tensor->data)[index] = value; break;
    case QVK_DTYPE_BOOL: ((uint8_t *)tensor->data)[index] = value != 0; break;
    default: qvk__reference_set(tensor, index, (double)value); break;
    }
}
