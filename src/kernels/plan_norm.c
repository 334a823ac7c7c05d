/* Softmax and normalisations. */
#include "core/dtype.h"
#include "kernels/plan.h"

uint32_t qvk__row_group(const qvk__planner *planner, uint64_t steps)
{
    if (qvk__is_vector8(planner))
        return 8;
    return steps <= 32 ? 16 : steps <= 512 ? 64 : 128;
}

/* ---- softmax -------------------------------------------------------------------------------------------- */

qvk_status qvk__plan_softmax(qvk__planner *planner, const qvk__node *node, qvk_error *err)
{
    qvk__dispatch d = {0};
    uint64_t before = 1, after = 1, n = 1;
    qvk__call call;
    int64_t dim;

    QVK__TRY(qvk__call_of(planner, node, &call, err));
    const qvk_tensor *x = call.args[0].u.tensor, *y = qvk__call_out(planner, node, 0);
    QVK__TRY(qvk__check_float(x, err));
    QVK__TRY(qvk__arg_int(&call.args[1], "dim", &dim, err));
    dim += dim < 0 ? x->rank : 0;
    QVK__CHECK(x->rank == 0 || (dim >= 0 && dim < x->rank), err, QVK_SHAPE,
               "softmax over dimension %lld of %s", (long long)dim, qvk__shape_text(x).text);
    for (int i = 0; i < x->rank; i++)
        *(i < dim ? &before : i > dim ? &after : &n) *= (uint64_t)x->sizes[i];
    if (before * after * n == 0)
        return QVK_OK;
    qvk__dispatch_read(&d, qvk__ref_value(qvk__call_value(node, 0)));
    qvk__dispatch_write(&d, qvk__ref_value(node->outs[0]));
    const bool quads = after == 1 && n % 4 == 0;
    d.kernel = quads ? QVK__KERNEL_SOFTMAX_QUADS : QVK__KERNEL_SOFTMAX;
    qvk__dispatch_spec(&d, qvk__row_group(planner, quads ? n / 4 : n));
    qvk__dispatch_spec(&d, qvk__device_dtype(x->dtype));
    qvk__dispatch_spec(&d, qvk__device_dtype(y->dtype));
    qvk__dispatch_spec(&d, node->op == QVK__OP_PRIV_LOG_SOFTMAX);
    qvk__dispatch_uint(&d, before * after);
    qvk__dispatch_uint(&d, n);
    qvk__dispatch_uint(&d, after);
    qvk__dispatch_groups(planner, &d, before * after);
    d.bytes = qvk__device_bytes(x) + qvk__device_bytes(y);
    d.ops = 5 * before * n * after;
    return planner->dispatch(planner, &d, err);
}

/* ---- rows ----------------------------------------------------------------------------------------------- */

/* A normalisation of rows: norm_rows.comp's parameters. Weight and bias are arguments, -1: has none. */
typedef struct row_norm {
    uint64_t rows, n, repeat, n_weights;
    int weight, bias;
    double eps;
    bool rms;
    qvk__rms_rounding rounding;
} row_norm;

static qvk_status check_weight(const qvk__call *call, int index, const row_norm *norm, qvk_error *err)
{
    const qvk_tensor *weight;

    if (index < 0)
        return QVK_OK;
    QVK__TRY(qvk__arg_tensor_or_null(&call->args[index], "weight", &weight, err));
    QVK__TRY(qvk__check_float(weight, err));
    QVK__CHECK(!weight || (uint64_t)qvk_tensor_numel(weight) == norm->n_weights, err, QVK_SHAPE,
               "weight %s does not fit %llu elements", qvk__shape_text(weight).text,
               (unsigned long long)norm->n_weights);
    return QVK_OK;
}

/* A secondary output, or memory nobody reads where only the other one is wanted. */
static qvk_status write_statistic(qvk__planner *planner, const qvk__node *node, int index, uint64_t rows,
                                  qvk__dispatch *d, qvk_error *err)
{
    qvk__ref buffer;

    if (qvk__call_out(planner, node, index))
        buffer = qvk__ref_value(node->outs[index]);
    else
        QVK__TRY(planner->scratch(planner, rows * 4, &buffer, err));
    qvk__dispatch_write(d, buffer);
    return QVK_OK;
}

/* A tensor that is read; dtype NONE: there is none, and another is bound. */
typedef struct operand {
    qvk__ref buffer;
    qvk_dtype dtype;
} operand;

static operand operand_at(const qvk__call *call, int index)
{
    if (index < 0 || qvk__arg_is_null(&call->args[index]))
        return (operand){qvk__ref_value(qvk__call_value(call->node, 0)), QVK_DTYPE_NONE};
    return (operand){qvk__ref_value(qvk__call_value(call->node, index)),
                     qvk__device_dtype(call->args[index].u.tensor->dtype)};
}

/* The dispatch, but for the buffers that it writes. */
static void begin_rows(const qvk__planner *planner, const row_norm *norm, const operand operands[3],
                       qvk_dtype y, qvk__dispatch *d)
{
    const bool quads = d->kernel == QVK__KERNEL_NORM_ROWS_QUADS;

    for (int i = 0; i < 3; i++)
        qvk__dispatch_read(d, operands[i].buffer);
    qvk__dispatch_spec(d, qvk__row_group(planner, quads ? norm->n / 4 : norm->n));
    qvk__dispatch_spec(d, operands[0].dtype);
    qvk__dispatch_spec(d, y);
    qvk__dispatch_spec(d, operands[1].dtype);
    qvk__dispatch_spec(d, operands[2].dtype);
    qvk__dispatch_spec(d, norm->rms);
    qvk__dispatch_spec(d, norm->repeat != 1 || norm->n_weights != norm->n);
    qvk__dispatch_spec(d, norm->rounding);
    qvk__dispatch_uint(d, norm->rows);
    qvk__dispatch_uint(d, norm->n);
    qvk__dispatch_uint(d, norm->repeat);
    qvk__dispatch_uint(d, norm->n_weights);
    qvk__dispatch_float(d, (float)norm->eps);
    qvk__dispatch_groups(planner, d, norm->rows);
    d->bytes = norm->rows * norm->n * (qvk_dtype_bytes(operands[0].dtype) + qvk_dtype_bytes(y));
    d->ops = 8 * norm->rows * norm->n;
}

static qvk_status plan_rows(qvk__planner *planner, const qvk__call *call, const row_norm *norm,
                            qvk_error *err)
{
    const qvk__node *node = call->node;
    const qvk_tensor *x = call->args[0].u.tensor, *y = qvk__call_out(planner, node, 0);
    const bool statistics = qvk__call_out(planner, node, 1) || qvk__call_out(planner, node, 2);
    const operand operands[] = {operand_at(call, 0), operand_at(call, norm->weight),
                                operand_at(call, norm->bias)};
    qvk__dispatch d = {.kernel = statistics         ? QVK__KERNEL_NORM_ROWS_STATISTICS
                                 : norm->n % 4 == 0 ? QVK__KERNEL_NORM_ROWS_QUADS
                                                    : QVK__KERNEL_NORM_ROWS};

    QVK__TRY(qvk__check_float(x, err));
    QVK__TRY(check_weight(call, norm->weight, norm, err));
    QVK__TRY(check_weight(call, norm->bias, norm, err));
    if (norm->rows * norm->n == 0)
        return QVK_OK;
    begin_rows(planner, norm, operands, qvk__device_dtype(y->dtype), &d);
    qvk__dispatch_write(&d, qvk__ref_value(node->outs[0]));
    if (statistics) {
        QVK__TRY(write_statistic(planner, node, 1, norm->rows, &d, err));
        QVK__TRY(write_statistic(planner, node, 2, norm->rows, &d, err));
    }
    return planner->dispatch(planner, &d, err);
}

qvk_status qvk__plan_shared_rms_rows(qvk__planner *planner, const qvk__rms_rows *it, qvk__ref *out,
                                     qvk_error *err)
{
    const row_norm norm = {.rows = it->rows,
                           .n = it->n,
                           .repeat = 1,
                           .n_weights = it->n,
                           .eps = it->eps,
                           .rms = true,
                           .rounding = it->rounding};
    const operand none = {it->x, QVK_DTYPE_NONE};
    const operand operands[] = {{it->x, it->x_dtype},
                                it->weight_dtype == QVK_DTYPE_NONE ? none
                                                                   : (operand){it->weight, it->weight_dtype},
                                none};
    qvk__dispatch d = {.kernel = norm.n % 4 == 0 ? QVK__KERNEL_NORM_ROWS_QUADS : QVK__KERNEL_NORM_ROWS};

    begin_rows(planner, &norm, operands, it->x_dtype, &d);
    qvk__dispatch_write(&d, QVK__REF_FILLED);
    return qvk__plan_shared(planner, &d, qvk__round_up(norm.rows * norm.n * qvk_dtype_bytes(it->x_dtype), 16),
                            out, err);
}

qvk_status qvk__plan_layer_norm(qvk__planner *planner, const qvk__node *node, qvk_error *err)
{
    row_norm norm = {.n = 1, .repeat = 1, .weight = 2, .bias = 3};
    int64_t normalized[QVK_MAX_RANK];
    qvk__call call;
    int n;

    QVK__TRY(qvk__call_of(planner, node, &call, err));
    QVK__TRY(qvk__arg_ints(&call.args[1], "normalized_shape", normalized, QVK_MAX_RANK, &n, err));
    QVK__TRY(qvk__arg_float(&call.args[4], "eps", &norm.eps, err));
    for (int i = 0; i < n; i++)
        norm.n *= (uint64_t)normalized[i];
    norm.rows = (uint64_t)qvk_tensor_numel(call.args[0].u.tensor) / QVK__MAX(norm.n, 1);
    norm.n_weights = norm.n;
    return plan_rows(planner, &call, &norm, err);
}

qvk_status qvk__plan_group_norm(qvk__planner *planner, const qvk__node *node, qvk_error *err)
{
    row_norm norm = {.weight = 1, .bias = 2};
    int64_t batch, channels, plane, groups;
    qvk__call call;

    QVK__TRY(qvk__call_of(planner, node, &call, err));
    QVK__TRY(qvk__arg_int(&call.args[3], "N", &batch, err));
    QVK__TRY(qvk__arg_int(&call.args[4], "C", &channels, err));
    QVK__TRY(qvk__arg_int(&call.args[5], "HxW", &plane, err));
    QVK__TRY(qvk__arg_int(&call.args[6], "group", &groups, err));
    QVK__TRY(qvk__arg_float(&call.args[7], "eps", &norm.eps, err));
    norm.rows = (uint64_t)(batch * groups);
    norm.n = (uint64_t)(channels / groups * plane);
    norm.repeat = (uint64_t)plane;
    norm.n_weights = (uint64_t)channels;
    return plan_rows(planner, &call, &norm, err);
}

qvk_status qvk__plan_rms_norm(qvk__planner *planner, const qvk__node *node, qvk_error *err)
{
    row_norm norm = {.repeat = 1, .weight = 1, .bias = -1, .rms = true};
    qvk__call call;

    QVK__TRY(qvk__call_of(planner, node, &call, err));
    QVK__TRY(qvk__arg_float(&call.args[2], "eps", &norm.eps, err));
    if (node->op == QVK__OP_QVK_RMS_NORM)
        QVK__TRY(qvk__arg_rms_rounding(&call.args[3], &norm.rounding, err));
    const qvk_tensor *x = call.args[0].u.tensor;
    norm.n = x->rank > 0 ? (uint64_t)x->sizes[x->rank - 1] : 1;
    norm.rows = (uint64_t)qvk_tensor_numel(x) / QVK__MAX(norm.n, 1);
    norm.n_weights = norm.n;
    return plan_rows(planner, &call, &norm, err);
}

/* ---- batch ---------------------------------------------------------------------------------------------- */

qvk_status qvk__plan_batch_norm(qvk__planner *planner, const qvk__node *node, qvk_error *err)
{
    qvk__dispatch d = {.kernel = QVK__KERNEL_BATCH_NORM};
    qvk__call call;
    double eps;

    QVK__TRY(qvk__call_of(planner, node, &call, err));
    QVK__TRY(qvk__arg_float(&call.args[6], "eps", &eps, err));
    const qvk_tensor *x = call.args[0].u.tensor, *y = qvk__call_out(planner, node, 0);
    const qvk__ref input = qvk__ref_value(qvk__call_value(node, 0));
    const qvk_tensor *mean = call.args[3].u.tensor, *variance = call.args[4].u.tensor;
    QVK__TRY(qvk__check_float(x, err));
    QVK__CHECK(mean->dtype == variance->dtype && qvk__dtype_is_float(mean->dtype), err, QVK_UNSUPPORTED,
               "mean of %s and variance of %s", qvk_dtype_name(mean->dtype), qvk_dtype_name(variance->dtype));
    if (qvk_tensor_numel(x) == 0)
        return QVK_OK;
    const int64_t plane = qvk_tensor_numel(x) / (x->sizes[0] * x->sizes[1]);
    qvk__dispatch_read(&d, input);
    qvk__dispatch_spec(&d, qvk__device_dtype(x->dtype));
    qvk__dispatch_spec(&d, qvk__device_dtype(y->dtype));
    qvk__dispatch_optional(&d, &call, 1, input);
    qvk__dispatch_optional(&d, &call, 2, input);
    qvk__dispatch_spec(&d, qvk__device_dtype(mean->dtype));
    qvk__dispatch_read(&d, qvk__ref_value(qvk__call_value(node, 3)));
    qvk__dispatch_read(&d, qvk__ref_value(qvk__call_value(node, 4)));
    qvk__dispatch_write(&d, qvk__ref_value(node->outs[0]));
    qvk__dispatch_words(planner, &d, y);
    qvk__dispatch_int(&d, plane);
    qvk__dispatch_int(&d, x->sizes[1]);
    qvk__dispatch_float(&d, (float)eps);
    d.bytes = qvk__device_bytes(x) + qvk__device_bytes(y);
    d.ops = 4 * (uint64_t)qvk_tensor_numel(x);
    return planner->dispatch(planner, &d, err);
}
