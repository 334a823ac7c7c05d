/* Operands of elementwise functions and PyTorch's type promotion (c10/core/ScalarType.h, torch.result_type).
 */
#include "core/semantics.h"

static int64_t to_int(double value)
{
    return value >= -9.2e18 && value <= 9.2e18 ? (int64_t)value : 0;
}

qvk__operand qvk__operand_number(double value)
{
    return (qvk__operand){.dtype = QVK_DTYPE_F32, .f = value, .i = to_int(value)};
}

qvk_status qvk__arg_operand(const qvk__arg *arg, const char *what, qvk__operand *out, qvk_error *err)
{
    switch (arg->kind) {
    case QVK__ARG_TENSOR:
        *out = (qvk__operand){.tensor = arg->u.tensor, .dtype = arg->u.tensor->dtype};
        return QVK_OK;
    case QVK__ARG_INT:
        *out = (qvk__operand){.dtype = QVK_DTYPE_I64, .f = (double)arg->u.i, .i = arg->u.i};
        return QVK_OK;
    case QVK__ARG_BOOL:
        *out = (qvk__operand){.dtype = QVK_DTYPE_BOOL, .f = arg->u.b, .i = arg->u.b};
        return QVK_OK;
    case QVK__ARG_FLOAT: *out = qvk__operand_number(arg->u.f); return QVK_OK;
    default: return qvk__fail(err, QVK_INVALID_ARGUMENT, "%s: neither a tensor nor a number", what);
    }
}

/* Which integer type holds both: unsigned bytes fit into int16, otherwise the wider one wins. */
static qvk_dtype promote_ints(qvk_dtype a, qvk_dtype b)
{
    const size_t bytes_a = qvk_dtype_bytes(a), bytes_b = qvk_dtype_bytes(b);

    if (bytes_a == bytes_b && a != b) /* int8 and uint8 */
        return QVK_DTYPE_I16;
    return bytes_a >= bytes_b ? a : b;
}

qvk_dtype qvk__promote(qvk_dtype a, qvk_dtype b)
{
    const bool float_a = qvk__dtype_is_float(a), float_b = qvk__dtype_is_float(b);

    if (a == b || b == QVK_DTYPE_NONE || (b == QVK_DTYPE_BOOL && a != QVK_DTYPE_NONE))
        return a;
    if (a == QVK_DTYPE_NONE || a == QVK_DTYPE_BOOL)
        return b;
    if (float_a && float_b) {
        if (a == QVK_DTYPE_F64 || b == QVK_DTYPE_F64)
            return QVK_DTYPE_F64;
        return QVK_DTYPE_F32; /* float32 with a half, or the two halves with each other */
    }
    if (float_a || float_b)
        return float_a ? a : b;
    return promote_ints(a, b);
}

/* c10 combine_categories: `lower` only counts when its category (bool < int < float) is above. */
static qvk_dtype combine(qvk_dtype higher, qvk_dtype lower)
{
    if (qvk__dtype_is_float(higher))
        return higher;
    if (higher == QVK_DTYPE_BOOL || qvk__dtype_is_float(lower))
        return qvk__promote(higher, lower);
    return higher != QVK_DTYPE_NONE ? higher : lower;
}

qvk_dtype qvk__result_dtype(const qvk__operand *operands, int n)
{
    qvk_dtype with_dims = QVK_DTYPE_NONE, scalars = QVK_DTYPE_NONE, numbers = QVK_DTYPE_NONE;

    for (int i = 0; i < n; i++) {
        qvk_dtype *kind = !operands[i].tensor            ? &numbers
                          : operands[i].tensor->rank > 0 ? &with_dims
                                                         : &scalars;
        *kind = qvk__promote(*kind, operands[i].dtype);
    }
    return combine(with_dims, combine(scalars, numbers));
}
