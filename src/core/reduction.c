/* Reductions: what is reduced, in which type, into which shape. */
#include "core/semantics.h"

static const uint8_t fn_of[QVK__OP_COUNT] = {
    [QVK__OP_SUM] = QVK__REDUCE_SUM,
    [QVK__OP_SUM_DIM_INTLIST] = QVK__REDUCE_SUM,
    [QVK__OP_MEAN] = QVK__REDUCE_MEAN,
    [QVK__OP_MEAN_DIM] = QVK__REDUCE_MEAN,
    [QVK__OP_MAX] = QVK__REDUCE_MAX,
    [QVK__OP_AMAX] = QVK__REDUCE_MAX,
    [QVK__OP_MIN] = QVK__REDUCE_MIN,
    [QVK__OP_AMIN] = QVK__REDUCE_MIN,
    [QVK__OP_PROD_DIM_INT] = QVK__REDUCE_PROD,
    [QVK__OP_ANY] = QVK__REDUCE_ANY,
    [QVK__OP_ANY_DIM] = QVK__REDUCE_ANY,
    [QVK__OP_ALL_DIM] = QVK__REDUCE_ALL,
    [QVK__OP_VAR_DIM] = QVK__REDUCE_VAR,
    [QVK__OP_VAR_CORRECTION] = QVK__REDUCE_VAR,
    [QVK__OP_STD_CORRECTION] = QVK__REDUCE_STD,
    [QVK__OP_LINALG_VECTOR_NORM] = QVK__REDUCE_NORM,
    [QVK__OP_ARGMAX] = QVK__REDUCE_ARGMAX,
    [QVK__OP_MAX_DIM] = QVK__REDUCE_ARGMAX,
    [QVK__OP_ARGMIN] = QVK__REDUCE_ARGMIN,
    [QVK__OP_MIN_DIM] = QVK__REDUCE_ARGMIN,
};

/* Which arguments say what; -1: the operator has none. */
typedef struct places {
    int dim, keepdim, dtype;
} places;

static places places_of(qvk__op op)
{
    switch (op) {
    case QVK__OP_SUM:
    case QVK__OP_MEAN: return (places){-1, -1, 1};
    case QVK__OP_MAX:
    case QVK__OP_MIN:
    case QVK__OP_ANY: return (places){-1, -1, -1};
    case QVK__OP_SUM_DIM_INTLIST:
    case QVK__OP_MEAN_DIM:
    case QVK__OP_PROD_DIM_INT: return (places){1, 2, 3};
    case QVK__OP_VAR_DIM:
    case QVK__OP_VAR_CORRECTION:
    case QVK__OP_STD_CORRECTION: return (places){1, 3, -1};
    case QVK__OP_LINALG_VECTOR_NORM: return (places){2, 3, 4};
    default: return (places){1, 2, -1};
    }
}

static qvk_status read_numbers(qvk__op op, const qvk__arg *args, qvk__reduction *out, qvk_error *err)
{
    bool unbiased;

    out->correction = 1.0;
    if (op == QVK__OP_VAR_DIM) {
        QVK__TRY(qvk__arg_bool(&args[2], "unbiased", &unbiased, err));
        out->correction = unbiased;
    } else if ((op == QVK__OP_VAR_CORRECTION || op == QVK__OP_STD_CORRECTION) &&
               !qvk__arg_is_null(&args[2])) {
        QVK__TRY(qvk__arg_float(&args[2], "correction", &out->correction, err));
    } else if (op == QVK__OP_LINALG_VECTOR_NORM) {
        QVK__TRY(qvk__arg_float(&args[1], "ord", &out->order, err));
    }
    return QVK_OK;
}

/* Sums of integers are int64; means, variances and norms need floats; any and all are bool (uint8 stays). */
static qvk_status choose_types(qvk_dtype wanted, qvk__reduction *out, qvk_error *err)
{
    const qvk_dtype own = out->self->dtype;
    const qvk_dtype given = wanted != QVK_DTYPE_NONE ? wanted : own;

    out->common = own;
    switch (out->fn) {
    case QVK__REDUCE_SUM:
    case QVK__REDUCE_PROD:
        out->common = wanted != QVK_DTYPE_NONE || qvk__dtype_is_float(own) ? given : QVK_DTYPE_I64;
        break;
    case QVK__REDUCE_MEAN:
    case QVK__REDUCE_NORM:
    case QVK__REDUCE_VAR:
    case QVK__REDUCE_STD:
        QVK__CHECK(qvk__dtype_is_float(given), err, QVK_INVALID_ARGUMENT, "wanted a float tensor, got %s",
                   qvk_dtype_name(given));
        out->common = given;
        break;
    default: break;
    }
    out->result = out->common;
    if (out->fn == QVK__REDUCE_ANY || out->fn == QVK__REDUCE_ALL)
        out->result = own == QVK_DTYPE_U8 ? own : QVK_DTYPE_BOOL;
    return QVK_OK;
}

static qvk_status read_dims(places at, const qvk__arg *args, qvk__reduction *out, qvk_error *err)
{
    const qvk_tensor *self = out->self;
    const uint32_t all = (1u << self->rank) - 1;

    out->mask = all;
    if (at.dim >= 0)
        QVK__TRY(qvk__arg_dims(&args[at.dim], "dim", self->rank, all, &out->mask, err));
    if (at.keepdim >= 0)
        QVK__TRY(qvk__arg_bool(&args[at.keepdim], "keepdim", &out->keepdim, err));
    out->mask &= all; /* dimension 0 of a scalar */
    out->count = out->n_results = 1;
    for (int i = 0; i < self->rank; i++)
        *(out->mask >> i & 1 ? &out->count : &out->n_results) *= self->sizes[i];
    return QVK_OK;
}

qvk_status qvk__reduction_of(qvk__op op, const qvk__arg *args, qvk__reduction *out, qvk_error *err)
{
    const places at = places_of(op);
    qvk__reduction r = {.fn = (qvk__reduce)fn_of[op]};
    qvk_dtype wanted = QVK_DTYPE_NONE;
    int64_t code;

    QVK__TRY(qvk__arg_tensor(&args[0], "self", &r.self, err));
    QVK__TRY(read_dims(at, args, &r, err));
    QVK__TRY(read_numbers(op, args, &r, err));
    if (at.dtype >= 0 && !qvk__arg_is_null(&args[at.dtype])) {
        QVK__TRY(qvk__arg_int(&args[at.dtype], "dtype", &code, err));
        wanted = qvk__dtype_from_code(code, QVK__DTYPE_PTE);
        QVK__CHECK(wanted != QVK_DTYPE_NONE, err, QVK_UNSUPPORTED, "dtype: ScalarType %lld", (long long)code);
    }
    QVK__TRY(choose_types(wanted, &r, err));
    if (r.fn == QVK__REDUCE_MAX || r.fn == QVK__REDUCE_MIN || r.fn == QVK__REDUCE_ARGMAX ||
        r.fn == QVK__REDUCE_ARGMIN)
        QVK__CHECK(r.count > 0 || r.n_results == 0, err, QVK_SHAPE, "no elements to choose from: shape %s",
                   qvk__shape_text(r.self).text);
    *out = r;
    return QVK_OK;
}
