/* Shape rules of composite operators: most have an executed counterpart with the same arguments. */
#include "ir/infer_composite.h"

#include "core/dtype.h"

/* ---- counterparts -------------------------------------------------------------------------------------- */

/* Composite operator, and the executed one that yields the same shape from the same arguments. */
static const struct {
    qvk__op composite, executed;
} counterparts[] = {
    {QVK__OP_VIEW, QVK__OP_VIEW_COPY},
    {QVK__OP_RESHAPE, QVK__OP_VIEW_COPY},
    {QVK__OP_PRIV_UNSAFE_VIEW, QVK__OP_VIEW_COPY},
    {QVK__OP_TRANSPOSE_INT, QVK__OP_TRANSPOSE_COPY_INT},
    {QVK__OP_SWAPAXES, QVK__OP_TRANSPOSE_COPY_INT},
    {QVK__OP_T, QVK__OP_T_COPY},
    {QVK__OP_SQUEEZE_DIM, QVK__OP_SQUEEZE_COPY_DIM},
    {QVK__OP_SQUEEZE_DIMS, QVK__OP_SQUEEZE_COPY_DIMS},
    {QVK__OP_UNSQUEEZE, QVK__OP_UNSQUEEZE_COPY},
    {QVK__OP_EXPAND, QVK__OP_EXPAND_COPY},
    {QVK__OP_SPLIT_TENSOR, QVK__OP_SPLIT_COPY_TENSOR},
    {QVK__OP_SPLIT_WITH_SIZES, QVK__OP_SPLIT_WITH_SIZES_COPY},
    {QVK__OP_UNBIND_INT, QVK__OP_UNBIND_COPY_INT},
    {QVK__OP_SLICE_TENSOR, QVK__OP_SLICE_COPY_TENSOR},
    {QVK__OP_SELECT_INT, QVK__OP_SELECT_COPY_INT},
    {QVK__OP_ADAPTIVE_AVG_POOL2D, QVK__OP_PRIV_ADAPTIVE_AVG_POOL2D},
};

/* Operators whose result is like their first argument. */
static const qvk__op alike[] = {
    QVK__OP_SOFTMAX_INT,
    QVK__OP_LOG_SOFTMAX_INT,
    QVK__OP_LAYER_NORM,
    QVK__OP_GROUP_NORM,
    QVK__OP_BATCH_NORM,
    QVK__OP_RMS_NORM,
    QVK__OP_INSTANCE_NORM,
    QVK__OP_PRELU,
    QVK__OP_TO_DEVICE,
    QVK__OP_CONTIGUOUS,
    QVK__OP_ALIAS,
    QVK__OP_DETACH,
    QVK__OP_DROPOUT,
    QVK__OP_ADD_INPLACE_TENSOR,
    QVK__OP_SUB_INPLACE_TENSOR,
    QVK__OP_MUL_INPLACE_TENSOR,
    QVK__OP_DIV_INPLACE_TENSOR,
    QVK__OP_RELU_INPLACE,
    QVK__OP_HARDTANH_INPLACE,
    QVK__OP_LEAKY_RELU_INPLACE,
    QVK__OP_SILU_INPLACE,
    QVK__OP_SIGMOID_INPLACE,
    QVK__OP_HARDSWISH_INPLACE,
    QVK__OP_CLAMP_INPLACE,
    QVK__OP_ZERO_INPLACE,
    QVK__OP_FILL_INPLACE_SCALAR,
    QVK__OP_MASKED_FILL_INPLACE_SCALAR,
    QVK__OP_INDEX_PUT_INPLACE,
    QVK__OP_INDEX_COPY_INPLACE,
    QVK__OP_MASKED_FILL_SCALAR,
};

static qvk__op executed_of(qvk__op op)
{
    for (size_t i = 0; i < QVK__COUNT(counterparts); i++)
        if (counterparts[i].composite == op)
            return counterparts[i].executed;
    return op;
}

static bool is_alike(qvk__op op)
{
    for (size_t i = 0; i < QVK__COUNT(alike); i++)
        if (alike[i] == op)
            return true;
    return false;
}

/* The counterpart may have more parameters than the composite; they keep their defaults. */
static qvk_status infer_as(qvk__op executed, const qvk__arg *args, int n_args, qvk_tensor *outs, int n_outs,
                           qvk_error *err)
{
    qvk__arg full[QVK__MAX_PARAMS];
    qvk__signature signature;

    qvk__op_signature(executed, &signature);
    for (int i = 0; i < signature.n_params; i++)
        full[i] = i < n_args ? args[i] : signature.params[i].fallback;
    return qvk__op_infer(executed, full, signature.n_params, outs, n_outs, err);
}

/* ---- operators with a rule of their own ---------------------------------------------------------------- */

/* conv1d, conv2d: convolution takes the same in another order. */
static qvk_status infer_conv(const qvk__arg *args, qvk_tensor *outs, qvk_error *err)
{
    static const int64_t no_output_padding[2] = {0, 0};
    const qvk__arg full[] = {
        args[0],
        args[1],
        args[2],
        args[3],
        args[4],
        args[5],
        qvk__arg_from_bool(false),
        {.kind = QVK__ARG_INTS, .count = args[3].count, .u.ints = no_output_padding},
        args[6],
    };

    return qvk__op_infer(QVK__OP_CONVOLUTION, full, QVK__COUNT(full), outs, 1, err);
}

/* Broadcasting of leading dimensions; false where they do not fit. */
static bool broadcast(int64_t a, int64_t b, int64_t *out)
{
    *out = a == 1 ? b : a;
    return a == b || a == 1 || b == 1;
}

static qvk_status infer_matmul(const qvk__arg *args, qvk_tensor *outs, qvk_error *err)
{
    const qvk_tensor *a, *b;
    int batch_a, batch_b, batch;
    bool fits = true;

    QVK__TRY(qvk__arg_tensor(&args[0], "self", &a, err));
    QVK__TRY(qvk__arg_tensor(&args[1], "other", &b, err));
    QVK__CHECK(a->rank > 0 && b->rank > 0, err, QVK_SHAPE, "operands of shapes %s and %s",
               qvk__shape_text(a).text, qvk__shape_text(b).text);
    batch_a = QVK__MAX(a->rank - 2, 0);
    batch_b = QVK__MAX(b->rank - 2, 0);
    batch = QVK__MAX(batch_a, batch_b);
    memset(outs, 0, sizeof *outs);
    outs->dtype = a->dtype;
    for (int i = 0; i < batch; i++) {
        int at_a = i - (batch - batch_a), at_b = i - (batch - batch_b);
        fits &= broadcast(at_a < 0 ? 1 : a->sizes[at_a], at_b < 0 ? 1 : b->sizes[at_b],
                          &outs->sizes[outs->rank++]);
    }
    fits &= a->sizes[a->rank - 1] == b->sizes[b->rank == 1 ? 0 : b->rank - 2];
    if (a->rank > 1)
        outs->sizes[outs->rank++] = a->sizes[a->rank - 2];
    if (b->rank > 1)
        outs->sizes[outs->rank++] = b->sizes[b->rank - 1];
    QVK__CHECK(fits, err, QVK_SHAPE, "operands of shapes %s and %s", qvk__shape_text(a).text,
               qvk__shape_text(b).text);
    return QVK_OK;
}

static qvk_status infer_flatten(const qvk__arg *args, qvk_tensor *outs, qvk_error *err)
{
    const qvk_tensor *x;
    int64_t start, end, rank;

    QVK__TRY(qvk__arg_tensor(&args[0], "self", &x, err));
    QVK__TRY(qvk__arg_int(&args[1], "start_dim", &start, err));
    QVK__TRY(qvk__arg_int(&args[2], "end_dim", &end, err));
    rank = QVK__MAX(x->rank, 1); /* a scalar flattens to one dimension */
    start += start < 0 ? rank : 0;
    end += end < 0 ? rank : 0;
    QVK__CHECK(start >= 0 && start <= end && end < rank, err, QVK_SHAPE,
               "dimensions %lld to %lld of shape %s", (long long)start, (long long)end,
               qvk__shape_text(x).text);
    memset(outs, 0, sizeof *outs);
    outs->dtype = x->dtype;
    for (int i = 0; i < x->rank; i++) {
        if (i <= start || i > end)
            outs->sizes[outs->rank++] = x->sizes[i];
        else
            outs->sizes[outs->rank - 1] *= x->sizes[i];
    }
    if (x->rank == 0)
        outs->sizes[outs->rank++] = 1;
    return QVK_OK;
}

static qvk_status infer_to_dtype(const qvk__arg *args, qvk_tensor *outs, qvk_error *err)
{
    const qvk_tensor *x;
    int64_t code;

    QVK__TRY(qvk__arg_tensor(&args[0], "self", &x, err));
    *outs = *x;
    outs->data = NULL;
    if (args[1].kind == QVK__ARG_NULL)
        return QVK_OK;
    QVK__TRY(qvk__arg_int(&args[1], "dtype", &code, err));
    outs->dtype = qvk__dtype_from_code(code, QVK__DTYPE_PTE);
    QVK__CHECK(outs->dtype != QVK_DTYPE_NONE, err, QVK_UNSUPPORTED, "dtype %lld", (long long)code);
    return QVK_OK;
}

static qvk_status infer_attention(const qvk__arg *args, qvk_tensor *outs, qvk_error *err)
{
    const qvk_tensor *query, *value;

    QVK__TRY(qvk__arg_tensor(&args[0], "query", &query, err));
    QVK__TRY(qvk__arg_tensor(&args[2], "value", &value, err));
    QVK__CHECK(query->rank >= 2 && value->rank >= 2, err, QVK_SHAPE, "query of shape %s",
               qvk__shape_text(query).text);
    *outs = *query;
    outs->data = NULL;
    outs->sizes[outs->rank - 1] = value->sizes[value->rank - 1];
    return QVK_OK;
}

/* Each order takes one element off the dimension that prepend and append lengthen. */
static qvk_status infer_diff(const qvk__arg *args, qvk_tensor *outs, qvk_error *err)
{
    const qvk_tensor *x, *more;
    int64_t n, dim, size;

    QVK__TRY(qvk__arg_tensor(&args[0], "self", &x, err));
    QVK__TRY(qvk__arg_int(&args[1], "n", &n, err));
    QVK__TRY(qvk__arg_int(&args[2], "dim", &dim, err));
    dim += dim < 0 ? x->rank : 0;
    QVK__CHECK(n >= 0 && dim >= 0 && dim < x->rank, err, QVK_SHAPE, "order %lld along dimension %lld of %s",
               (long long)n, (long long)dim, qvk__shape_text(x).text);
    size = x->sizes[dim];
    for (int i = 3; i <= 4 && n > 0; i++) {
        if (args[i].kind == QVK__ARG_NULL)
            continue;
        QVK__TRY(qvk__arg_tensor(&args[i], i == 3 ? "prepend" : "append", &more, err));
        QVK__CHECK(more->rank == x->rank, err, QVK_SHAPE, "%s beside %s", qvk__shape_text(more).text,
                   qvk__shape_text(x).text);
        size += more->sizes[dim];
    }
    *outs = *x;
    outs->data = NULL;
    outs->sizes[dim] = size - QVK__MIN(n, size);
    return QVK_OK;
}

static qvk_status infer_alike(const qvk__arg *args, qvk_tensor *outs, qvk_error *err)
{
    const qvk_tensor *x;

    QVK__TRY(qvk__arg_tensor(&args[0], "self", &x, err));
    *outs = *x;
    outs->data = NULL;
    return QVK_OK;
}

/* One output each. */
static const struct {
    qvk__op op;
    qvk_status (*infer)(const qvk__arg *args, qvk_tensor *outs, qvk_error *err);
} rules[] = {
    {QVK__OP_CONV1D, infer_conv},       {QVK__OP_CONV2D, infer_conv},
    {QVK__OP_MATMUL, infer_matmul},     {QVK__OP_FLATTEN_USING_INTS, infer_flatten},
    {QVK__OP_TO_DTYPE, infer_to_dtype}, {QVK__OP_SCALED_DOT_PRODUCT_ATTENTION, infer_attention},
    {QVK__OP_DIFF, infer_diff},
};

/* ---- entry points -------------------------------------------------------------------------------------- */

qvk_status qvk__composite_count_outputs(qvk__op op, const qvk__arg *args, int n_args, int *n_outs,
                                        qvk_error *err)
{
    return qvk__op_count_outputs(executed_of(op), args, n_args, n_outs, err);
}

qvk_status qvk__composite_infer(qvk__op op, const qvk__arg *args, int n_args, qvk_tensor *outs, int n_outs,
                                qvk_error *err)
{
    if (executed_of(op) != op)
        return qvk__error_context(err, infer_as(executed_of(op), args, n_args, outs, n_outs, err), "%s",
                                  qvk__op_name(op));
    if (is_alike(op) && n_outs == 1)
        return qvk__error_context(err, infer_alike(args, outs, err), "%s", qvk__op_name(op));
    for (size_t i = 0; i < QVK__COUNT(rules); i++)
        if (rules[i].op == op && n_outs == 1)
            return qvk__error_context(err, rules[i].infer(args, outs, err), "%s", qvk__op_name(op));
    return qvk__op_infer(op, args, n_args, outs, n_outs, err);
}
