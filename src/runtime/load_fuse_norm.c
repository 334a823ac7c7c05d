/* Rules around RMS norms, which models write as five to eight operators. */
#include "runtime/load_fuse.h"

#include "core/dtype.h"
#include "reference/reference.h"

/* The node that computes a value that holds still. */
static const qvk__node *steady_made_by(const qvk__fuser *fuser, int32_t value)
{
    return qvk__fuse_is_steady(fuser, value) ? qvk__fuse_made_by(fuser, value) : NULL;
}

/* The node with this operator that computes the argument. */
static const qvk__node *made_by(const qvk__fuser *fuser, const qvk__arg *arg, qvk__op op)
{
    const qvk__node *node = steady_made_by(fuser, qvk__fuse_value(arg));

    return node && node->op == op ? node : NULL;
}

static bool is_number(const qvk__arg *arg, double wanted)
{
    double value;
    return qvk__arg_float(arg, "", &value, NULL) == QVK_OK && value == wanted;
}

/* ---- the pieces ----------------------------------------------------------------------------------------- */

/* A cast's source, or -1. */
static int32_t cast_from(const qvk__fuser *fuser, const qvk__node *node)
{
    const bool casts =
        node && (node->op == QVK__OP_PRIV_TO_COPY || node->op == QVK__OP_DIM_TO_DIM_ORDER_COPY);
    const int32_t in = casts ? qvk__fuse_value(&node->args[0]) : -1;

    return in >= 0 && qvk__dtype_is_float(qvk__fuse_desc(fuser, in)->dtype) ? in : -1;
}

/* The value behind the casts of a value. */
static int32_t before_cast(const qvk__fuser *fuser, int32_t value)
{
    return cast_from(fuser, steady_made_by(fuser, value));
}

/* x^2: pow(x, 2), square(x) or x * x. */
static bool is_square(const qvk__fuser *fuser, const qvk__arg *arg, int32_t x)
{
    const qvk__node *node;

    if ((node = made_by(fuser, arg, QVK__OP_POW_TENSOR_SCALAR)) != NULL)
        return qvk__fuse_value(&node->args[0]) == x && is_number(&node->args[1], 2.0);
    if ((node = made_by(fuser, arg, QVK__OP_SQUARE)) != NULL)
        return qvk__fuse_value(&node->args[0]) == x;
    node = made_by(fuser, arg, QVK__OP_MUL_TENSOR);
    return node && qvk__fuse_value(&node->args[0]) == x && qvk__fuse_value(&node->args[1]) == x;
}

/* mean(x^2) over the last dimension, which stays. */
static bool is_mean_square(const qvk__fuser *fuser, const qvk__arg *arg, int32_t x)
{
    const qvk__node *mean = made_by(fuser, arg, QVK__OP_MEAN_DIM);
    const int rank = qvk__fuse_desc(fuser, x)->rank;
    int64_t dims[QVK_MAX_RANK];
    bool keep;
    int n;

    return mean && qvk__arg_ints(&mean->args[1], "dim", dims, QVK_MAX_RANK, &n, NULL) == QVK_OK && n == 1 &&
           (dims[0] == -1 || dims[0] == rank - 1) &&
           qvk__arg_bool(&mean->args[2], "keepdim", &keep, NULL) == QVK_OK && keep &&
           qvk__fuse_desc(fuser, mean->outs[0])->dtype == qvk__fuse_desc(fuser, x)->dtype &&
           is_square(fuser, &mean->args[0], x);
}

/* The one number of a constant of this type. */
static bool read_number(const qvk__fuser *fuser, const qvk__arg *arg, qvk_dtype dtype, double *out)
{
    const int32_t value = qvk__fuse_value(arg);
    qvk_tensor tensor;
    const void *bytes;

    if (!qvk__fuse_is_constant(fuser, value))
        return false;
    tensor = *qvk__fuse_desc(fuser, value);
    if (tensor.dtype != dtype || qvk_tensor_numel(&tensor) != 1 ||
        qvk__constant_bytes(fuser->graph->values.data[value].constant, &bytes, NULL) != QVK_OK)
        return false;
    tensor.data = (void *)(uintptr_t)bytes;
    *out = qvk__reference_get(&tensor, 0);
    qvk__constant_release(fuser->graph->values.data[value].constant, bytes);
    return true;
}

/* rsqrt(mean(x^2) + eps). */
static bool is_rstd(const qvk__fuser *fuser, const qvk__arg *arg, int32_t x, double *eps)
{
    const qvk__node *rsqrt = made_by(fuser, arg, QVK__OP_RSQRT), *add;

    if (!rsqrt)
        return false;
    if ((add = made_by(fuser, &rsqrt->args[0], QVK__OP_ADD_SCALAR)) != NULL)
        return qvk__arg_float(&add->args[1], "other", eps, NULL) == QVK_OK && is_number(&add->args[2], 1.0) &&
               is_mean_square(fuser, &add->args[0], x);
    add = made_by(fuser, &rsqrt->args[0], QVK__OP_ADD_TENSOR);
    return add && is_number(&add->args[2], 1.0) &&
           read_number(fuser, &add->args[1], qvk__fuse_desc(fuser, x)->dtype, eps) &&
           is_mean_square(fuser, &add->args[0], x);
}

/* x * rsqrt(mean(x^2) + eps) -> x, or -1. */
static int32_t normalized_from(const qvk__fuser *fuser, const qvk__node *mul, double *eps)
{
    for (int i = 0; mul && i < 2; i++) {
        const int32_t x = qvk__fuse_value(&mul->args[i]);
        if (qvk__fuse_is_steady(fuser, x) && qvk__fuse_desc(fuser, x)->rank >= 1 &&
            is_rstd(fuser, &mul->args[1 - i], x, eps))
            return x;
    }
    return -1;
}

/* A constant for each of the k columns. */
static bool is_weight(const qvk__fuser *fuser, int32_t value, int64_t k)
{
    return qvk__fuse_is_constant(fuser, value) && qvk__fuse_desc(fuser, value)->rank == 1 &&
           qvk__fuse_desc(fuser, value)->sizes[0] == k &&
           qvk__dtype_is_float(qvk__fuse_desc(fuser, value)->dtype);
}

/* ---- the whole ------------------------------------------------------------------------------------------ */

typedef struct rms_norm {
    int32_t x, weight;
    double eps;
    qvk__rms_rounding rounding;
} rms_norm;

/*
 * Which roundings there are, from the types on the way: `steps` is normalized in its own type; that becomes
 * `normalized`, which multiplied with the weight is y. x is `steps`, or what was cast to float32 for it.
 */
static bool find_rounding(const qvk__fuser *fuser, int32_t steps, qvk_dtype normalized, qvk_dtype y,
                          rms_norm *out)
{
    const qvk_dtype inside = qvk__fuse_desc(fuser, steps)->dtype;
    const int32_t source = before_cast(fuser, steps);

    if (normalized != y)
        return false;
    if (inside == y) {
        out->x = steps;
        out->rounding = inside == QVK_DTYPE_F32 ? QVK__RMS_ROUND_RESULT : QVK__RMS_ROUND_STEPS;
        return true;
    }
    out->x = source;
    out->rounding = QVK__RMS_ROUND_NORMALIZED;
    return inside == QVK_DTYPE_F32 && qvk__fuse_is_steady(fuser, source) &&
           y == qvk__fuse_desc(fuser, source)->dtype;
}

/* mul(weight, normalized), or the same with its sides changed. */
static bool match_product(const qvk__fuser *fuser, const qvk__node *mul, rms_norm *out)
{
    for (int i = 0; i < 2; i++) {
        const int32_t normalized = qvk__fuse_value(&mul->args[1 - i]);
        const int32_t inside = before_cast(fuser, normalized);
        const qvk__arg product = qvk__arg_from_value(inside >= 0 ? inside : normalized);
        const int32_t steps = normalized_from(fuser, made_by(fuser, &product, QVK__OP_MUL_TENSOR), &out->eps);
        if (steps < 0)
            continue;
        const qvk_tensor *desc = qvk__fuse_desc(fuser, steps);
        out->weight = qvk__fuse_value(&mul->args[i]);
        if (is_weight(fuser, out->weight, desc->sizes[desc->rank - 1]) &&
            qvk__fuse_desc(fuser, product.u.value)->dtype == desc->dtype &&
            find_rounding(fuser, steps, qvk__fuse_desc(fuser, normalized)->dtype,
                          qvk__fuse_desc(fuser, mul->outs[0])->dtype, out))
            return true;
    }
    return false;
}

/* A norm in float32 of what was cast to it, cast back. */
static bool match_casts(const qvk__fuser *fuser, const qvk__node *cast, rms_norm *out)
{
    const qvk__node *norm = made_by(fuser, &cast->args[0], QVK__OP_ET_RMS_NORM);

    if (!norm || qvk__fuse_desc(fuser, norm->outs[0])->dtype != QVK_DTYPE_F32)
        return false;
    out->x = before_cast(fuser, qvk__fuse_value(&norm->args[0]));
    out->weight = qvk__fuse_value(&norm->args[1]);
    out->rounding = QVK__RMS_ROUND_RESULT;
    return qvk__fuse_is_steady(fuser, out->x) &&
           qvk__fuse_desc(fuser, out->x)->dtype == qvk__fuse_desc(fuser, cast->outs[0])->dtype &&
           qvk__fuse_is_constant(fuser, out->weight) &&
           qvk__arg_float(&norm->args[2], "eps", &out->eps, NULL) == QVK_OK;
}

qvk_status qvk__fuse_rms_norm(qvk__fuser *fuser, size_t index, bool *changed, qvk_error *err)
{
    const qvk__node *node = &fuser->graph->nodes.data[index];
    rms_norm norm;

    if (node->n_outs != 1 || node->outs[0] < 0 ||
        !((node->op == QVK__OP_MUL_TENSOR && match_product(fuser, node, &norm)) ||
          (cast_from(fuser, node) >= 0 && match_casts(fuser, node, &norm))) ||
        !qvk__shape_equal(qvk__fuse_desc(fuser, norm.x), qvk__fuse_desc(fuser, node->outs[0])))
        return QVK_OK;
    const qvk__arg args[] = {qvk__arg_from_value(norm.x), qvk__arg_from_value(norm.weight),
                             qvk__arg_from_float(norm.eps), qvk__arg_from_int(norm.rounding)};
    const bool plain = norm.rounding == QVK__RMS_ROUND_RESULT;
    *changed = true;
    return qvk__fuse_replace(fuser, index, plain ? QVK__OP_ET_RMS_NORM : QVK__OP_QVK_RMS_NORM, args,
                             plain ? 3 : 4, err);
}

/* ---- into linears --------------------------------------------------------------------------------------- */

static const qvk__node *find_norm(const qvk__fuser *fuser, int32_t value)
{
    const qvk__arg arg = qvk__arg_from_value(value);
    const qvk__node *norm = made_by(fuser, &arg, QVK__OP_ET_RMS_NORM);

    return norm ? norm : made_by(fuser, &arg, QVK__OP_QVK_RMS_NORM);
}

/* A linear whose activations can be normalized first. */
static bool takes_norm(const qvk__fuser *fuser, const qvk__node *node, qvk__op *op,
                       qvk__arg args[QVK__FUSED_ARGS])
{
    return qvk__fuse_read_linear(fuser, node, op, args) && qvk__arg_is_null(&args[QVK__FUSED_NORM_EPS]);
}

static bool is_linear_of(const qvk__fuser *fuser, const qvk__node *node, int32_t value)
{
    qvk__arg args[QVK__FUSED_ARGS];
    qvk__op op;

    return takes_norm(fuser, node, &op, args) && args[0].u.value == value;
}

/* The only node that uses a value as its first argument, if nobody else does. */
static const qvk__node *only_reader(const qvk__fuser *fuser, int32_t value)
{
    if (qvk__graph_use_count(fuser->graph, value) != 1)
        return NULL;
    for (size_t n = 0; n < fuser->graph->nodes.count; n++) {
        const qvk__node *node = &fuser->graph->nodes.data[n];
        if (!node->dead && node->n_args > 0 && qvk__fuse_value(&node->args[0]) == value)
            return node;
    }
    return NULL;
}

/* A reshape of the value that keeps its rows, for a linear alone. */
static bool is_reshape_for_linear(const qvk__fuser *fuser, const qvk__node *node, int32_t value)
{
    const qvk_tensor *in = qvk__fuse_desc(fuser, value), *out;

    if (node->n_args < 1 || qvk__fuse_value(&node->args[0]) != value || !qvk__fuse_keeps_rows(fuser, node))
        return false;
    out = qvk__fuse_desc(fuser, node->outs[0]);
    const qvk__node *reader = only_reader(fuser, node->outs[0]);
    return out->rank >= 1 && in->rank >= 1 && out->sizes[out->rank - 1] == in->sizes[in->rank - 1] &&
           qvk__fuse_is_steady(fuser, node->outs[0]) && reader && is_linear_of(fuser, reader, node->outs[0]);
}

/* Do linears alone read it, perhaps reshaped? */
static bool only_linears_read(const qvk__fuser *fuser, int32_t value)
{
    int n = 0;

    for (size_t i = 0; i < fuser->graph->nodes.count; i++) {
        const qvk__node *node = &fuser->graph->nodes.data[i];
        n += !node->dead && (is_linear_of(fuser, node, value) || is_reshape_for_linear(fuser, node, value));
    }
    return n == qvk__graph_use_count(fuser->graph, value);
}

/* The norm's arguments become the linear's; whoever read the norm's result for it reads what is normalized.
 */
qvk_status qvk__fuse_norm_into_linear(qvk__fuser *fuser, size_t index, bool *changed, qvk_error *err)
{
    const qvk__node *node = &fuser->graph->nodes.data[index], *norm;
    qvk__arg args[QVK__FUSED_ARGS];
    qvk__node *reshape = NULL;
    qvk__op op;

    if (!takes_norm(fuser, node, &op, args))
        return QVK_OK;
    norm = find_norm(fuser, args[0].u.value);
    if (!norm && qvk__fuse_is_steady(fuser, args[0].u.value) && fuser->producers[args[0].u.value] >= 0) {
        reshape = &fuser->graph->nodes.data[fuser->producers[args[0].u.value]];
        norm = reshape->n_args > 0 ? find_norm(fuser, qvk__fuse_value(&reshape->args[0])) : NULL;
    }
    if (!norm || !qvk__fuse_is_steady(fuser, qvk__fuse_value(&norm->args[0])) ||
        !qvk__fuse_is_constant(fuser, qvk__fuse_value(&norm->args[1])) ||
        qvk__fuse_desc(fuser, norm->args[0].u.value)->rank < 1 || !only_linears_read(fuser, norm->outs[0]))
        return QVK_OK;
    if (reshape)
        reshape->args[0] = norm->args[0];
    else
        args[0] = norm->args[0];
    args[QVK__FUSED_NORM_WEIGHT] = norm->args[1];
    args[QVK__FUSED_NORM_EPS] = norm->args[2];
    if (norm->op == QVK__OP_QVK_RMS_NORM)
        args[QVK__FUSED_NORM_ROUNDING] = norm->args[3];
    *changed = true;
    return qvk__fuse_replace(fuser, index, op, args, QVK__FUSED_ARGS, err);
}
