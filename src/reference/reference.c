/* The table of reference functions, the checks around them, and element access. */
#include "reference/reference.h"

#include <math.h>

#include "core/dtype.h"
#include "reference/functions.h"

/* NONE in the table's `reference` column. After functions.h, which declares the name like any other. */
#define qvk__reference_NONE NULL

static const qvk__reference_fn table[QVK__OP_COUNT] = {
#define OP(id, name, out, shape, reference, plan, schema) [QVK__OP_##id] = qvk__reference_##reference,
#include "core/ops.def"
#undef OP
};

bool qvk__reference_has(qvk__op op)
{
    return op > QVK__OP_NONE && op < QVK__OP_COUNT && table[op] != NULL;
}

static qvk_status check_data(const qvk_tensor *tensor, const char *what, qvk_error *err)
{
    QVK__CHECK(tensor->data || qvk_tensor_numel(tensor) == 0, err, QVK_INTERNAL, "%s without data", what);
    return QVK_OK;
}

static qvk_status check_arg_data(const qvk__arg *arg, qvk_error *err)
{
    if (arg->kind == QVK__ARG_TENSOR)
        return check_data(arg->u.tensor, "an argument", err);
    QVK__CHECK(arg->kind != QVK__ARG_VALUE, err, QVK_INTERNAL, "an argument that is not resolved");
    if (arg->kind == QVK__ARG_LIST)
        for (uint32_t i = 0; i < arg->count; i++)
            QVK__TRY(check_arg_data(&arg->u.list[i], err));
    return QVK_OK;
}

/* The outputs must have the shapes the operator gives: reference functions rely on it. */
static qvk_status check_outs(qvk__op op, const qvk__arg *args, int n_args, const qvk_tensor *outs, int n_outs,
                             qvk_tensor *inferred, qvk_error *err)
{
    memcpy(inferred, outs, (size_t)n_outs * sizeof *outs);
    QVK__TRY(qvk__op_infer(op, args, n_args, inferred, n_outs, err));
    for (int i = 0; i < n_outs; i++) {
        QVK__CHECK(qvk__shape_equal(&inferred[i], &outs[i]), err, QVK_SHAPE,
                   "%s: output %d has shape %s, the operator gives %s", qvk__op_name(op), i,
                   qvk__shape_text(&outs[i]).text, qvk__shape_text(&inferred[i]).text);
        QVK__CHECK(qvk_dtype_bytes(outs[i].dtype) > 0, err, QVK_INTERNAL, "%s: output %d has no dtype",
                   qvk__op_name(op), i);
        QVK__TRY(check_data(&outs[i], "an output", err));
    }
    return QVK_OK;
}

qvk_status qvk__reference_run(qvk__op op, const qvk__arg *args, int n_args, qvk_tensor *outs, int n_outs,
                              qvk_error *err)
{
    qvk_tensor few[4], *inferred = n_outs <= 4 ? few : malloc((size_t)n_outs * sizeof *inferred);
    qvk_status status = QVK_OK;

    QVK__CHECK_GO(inferred, err, QVK_OUT_OF_MEMORY, "out of memory");
    QVK__CHECK_GO(qvk__reference_has(op), err, QVK_UNSUPPORTED_OPERATOR, "%s: no reference version",
                  op < QVK__OP_COUNT ? qvk__op_name(op) : "?");
    for (int i = 0; i < n_args; i++)
        QVK__TRY_GO(check_arg_data(&args[i], err));
    QVK__TRY_GO(check_outs(op, args, n_args, outs, n_outs, inferred, err));
    status = qvk__error_context(err, table[op](op, args, n_args, outs, n_outs, err), "%s", qvk__op_name(op));
done:
    if (inferred != few)
        free(inferred);
    return status;
}

/* ---- element access ------------------------------------------------------------------------------------ */

/* double to int64 as a C cast where it fits; elsewhere what x86 and PyTorch on it give: the least int64. */
static int64_t to_int(double value)
{
    return value >= -9223372036854775808.0 && value < 9223372036854775808.0 ? (int64_t)value : INT64_MIN;
}

double qvk__reference_get(const qvk_tensor *tensor, int64_t index)
{
    switch (tensor->dtype) {
    case QVK_DTYPE_F32: return (double)((const float *)tensor->data)[index];
    case QVK_DTYPE_F16: return (double)qvk__f16_to_f32(((const uint16_t *)tensor->data)[index]);
    case QVK_DTYPE_BF16: return (double)qvk__bf16_to_f32(((const uint16_t *)tensor->data)[index]);
    case QVK_DTYPE_F64: return ((const double *)tensor->data)[index];
    default: return (double)qvk__reference_get_int(tensor, index);
    }
}

int64_t qvk__reference_get_int(const qvk_tensor *tensor, int64_t index)
{
    switch (tensor->dtype) {
    case QVK_DTYPE_I8: return ((const int8_t *)tensor->data)[index];
    case QVK_DTYPE_U8: return ((const uint8_t *)tensor->data)[index];
    case QVK_DTYPE_BOOL: return ((const uint8_t *)tensor->data)[index] != 0;
    case QVK_DTYPE_I16: return ((const int16_t *)tensor->data)[index];
    case QVK_DTYPE_I32: return ((const int32_t *)tensor->data)[index];
    case QVK_DTYPE_I64: return ((const int64_t *)tensor->data)[index];
    default: return to_int(qvk__reference_get(tensor, index));
    }
}

void qvk__reference_set(qvk_tensor *tensor, int64_t index, double value)
{
    switch (tensor->dtype) {
    case QVK_DTYPE_F32: ((float *)tensor->data)[index] = (float)value; break;
    case QVK_DTYPE_F16: ((uint16_t *)tensor->data)[index] = qvk__f32_to_f16((float)value); break;
    case QVK_DTYPE_BF16: ((uint16_t *)tensor->data)[index] = qvk__f32_to_bf16((float)value); break;
    case QVK_DTYPE_F64: ((double *)tensor->data)[index] = value; break;
    case QVK_DTYPE_BOOL: ((uint8_t *)tensor->data)[index] = value != 0.0; break;
    default: qvk__reference_set_int(tensor, index, to_int(value));
    }
}

void qvk__reference_set_int(qvk_tensor *tensor, int64_t index, int64_t value)
{
    switch (tensor->dtype) {
    case QVK_DTYPE_I8:
    case QVK_DTYPE_U8: ((uint8_t *)tensor->data)[index] = (uint8_t)value; break;
    case QVK_DTYPE_BOOL: ((uint8_t *)tensor->data)[index] = value != 0; break;
    case QVK_DTYPE_I16: ((uint16_t *)tensor->data)[index] = (uint16_t)value; break;
    case QVK_DTYPE_I32: ((uint32_t *)tensor->data)[index] = (uint32_t)value; break;
    case QVK_DTYPE_I64: ((int64_t *)tensor->data)[index] = value; break;
    case QVK_DTYPE_F32: ((float *)tensor->data)[index] = (float)value; break;
    default: qvk__reference_set(tensor, index, (double)value);
    }
}

void qvk__reference_move(qvk_tensor *to, int64_t at, const qvk_tensor *from, int64_t index)
{
    if (qvk__dtype_is_float(from->dtype))
        qvk__reference_set(to, at, qvk__reference_get(from, index));
    else
        qvk__reference_set_int(to, at, qvk__reference_get_int(from, index));
}

void qvk__reference_move_all(qvk_tensor *to, const qvk_tensor *from)
{
    const int64_t numel = qvk_tensor_numel(to);

    if (to->dtype == from->dtype) {
        if (numel > 0)
            memcpy(to->data, from->data, qvk_tensor_bytes(to));
        return;
    }
    for (int64_t i = 0; i < numel; i++)
        qvk__reference_move(to, i, from, i);
}
