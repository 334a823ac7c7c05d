/* Tensors made from numbers: full, zeros, ones, arange and their kin. */
#include <math.h>

#include "core/semantics.h"

/* Which arguments say what; -1: the operator has none. */
typedef struct places {
    int size, like, value, dtype;
} places;

static places places_of(qvk__op op)
{
    switch (op) {
    case QVK__OP_FULL: return (places){0, -1, 1, 2};
    case QVK__OP_FULL_LIKE: return (places){-1, 0, 1, 2};
    case QVK__OP_ZEROS_LIKE:
    case QVK__OP_ONES_LIKE: return (places){-1, 0, -1, 1};
    case QVK__OP_FILL_SCALAR: return (places){-1, 0, 1, -1};
    case QVK__OP_SCALAR_TENSOR: return (places){-1, -1, 0, 1};
    case QVK__OP_ARANGE_START_STEP: return (places){-1, -1, 0, 3};
    default: return (places){0, -1, -1, 1}; /* zeros, ones, empty */
    }
}

static qvk_status read_number(const qvk__arg *arg, const char *what, qvk__operand *out, qvk_error *err)
{
    QVK__TRY(qvk__arg_operand(arg, what, out, err));
    QVK__CHECK(!out->tensor, err, QVK_UNSUPPORTED, "%s: wanted a number, got a tensor", what);
    return QVK_OK;
}

/* torch.arange: ceil((end - start) / step) elements, the division in double. */
static qvk_status read_arange(const qvk__arg *args, qvk__filling *filling, qvk_dtype *dtype, int64_t *count,
                              qvk_error *err)
{
    qvk__operand end, all[3];
    double n;

    QVK__TRY(read_number(&args[1], "end", &end, err));
    QVK__TRY(read_number(&args[2], "step", &filling->step, err));
    all[0] = filling->value;
    all[1] = end;
    all[2] = filling->step;
    *dtype = qvk__result_dtype(all, 3);
    n = ceil((end.f - filling->value.f) / filling->step.f);
    QVK__CHECK(n >= 0.0 && n < 1e15, err, QVK_SHAPE, "arange from %g to %g in steps of %g", filling->value.f,
               end.f, filling->step.f);
    *count = (int64_t)n;
    return QVK_OK;
}

qvk_status qvk__filling_of(qvk__op op, const qvk__arg *args, qvk__filling *filling, qvk_tensor *out,
                           qvk_error *err)
{
    const places at = places_of(op);
    const bool one = op == QVK__OP_ONES || op == QVK__OP_ONES_LIKE;
    qvk_tensor shape = {.dtype = QVK_DTYPE_NONE};
    qvk_dtype dtype = QVK_DTYPE_F32;
    int64_t code;
    int n;

    *filling = (qvk__filling){.value = qvk__operand_number(one), .step = qvk__operand_number(0.0)};
    if (at.value >= 0) {
        QVK__TRY(read_number(&args[at.value], "value", &filling->value, err));
        dtype = filling->value.dtype;
    }
    if (op == QVK__OP_ARANGE_START_STEP) {
        shape.rank = 1;
        QVK__TRY(read_arange(args, filling, &dtype, &shape.sizes[0], err));
    } else if (at.like >= 0) {
        const qvk_tensor *like;
        QVK__TRY(qvk__arg_tensor(&args[at.like], "self", &like, err));
        shape = *like;
        dtype = like->dtype;
    } else if (at.size >= 0) {
        QVK__TRY(qvk__arg_ints(&args[at.size], "size", shape.sizes, QVK_MAX_RANK, &n, err));
        shape.rank = QVK__MAX(n, 0);
    }
    if (out->dtype != QVK_DTYPE_NONE) {
        dtype = out->dtype;
    } else if (at.dtype >= 0 && !qvk__arg_is_null(&args[at.dtype])) {
        QVK__TRY(qvk__arg_int(&args[at.dtype], "dtype", &code, err));
        dtype = qvk__dtype_from_code(code, QVK__DTYPE_PTE);
        QVK__CHECK(dtype != QVK_DTYPE_NONE, err, QVK_UNSUPPORTED, "dtype: ScalarType %lld", (long long)code);
    }
    return qvk__set_shape(out, dtype, shape.rank, shape.sizes, err);
}
