/*
 * Rules that put what follows a quantized linear into the linear itself: its results are then rounded once,
 * and neither written nor read in between. The linear moves to the place of the last operator it takes over;
 * so its activations must not be written in place.
 */
#include "runtime/load_fuse.h"

#include "core/dtype.h"
#include "kernels/linear.h"

static const qvk__arg none = {.kind = QVK__ARG_NULL};

/* ---- quantized linears ---------------------------------------------------------------------------------- */

/* Their operators, and the fused ones. */
static const struct {
    qvk__op op, fused;
} linears[] = {
    {QVK__OP_ET_LINEAR_Q4GSW, QVK__OP_QVK_FUSED_LINEAR_Q4GSW},
    {QVK__OP_QVK_LINEAR_Q8GSW, QVK__OP_QVK_FUSED_LINEAR_Q8GSW},
    {QVK__OP_PRIV_WEIGHT_INT8PACK_MM, QVK__OP_QVK_FUSED_LINEAR_Q8GSW},
    {QVK__OP_QVK_LINEAR_D8_Q4GSW, QVK__OP_QVK_FUSED_LINEAR_D8_Q4GSW},
    {QVK__OP_QVK_LINEAR_D8_Q8GSW, QVK__OP_QVK_FUSED_LINEAR_D8_Q8GSW},
};

/* Row of the table, or its end. */
static size_t find_linear(qvk__op op)
{
    size_t i = 0;

    while (i < QVK__COUNT(linears) && linears[i].op != op && linears[i].fused != op)
        i++;
    return i;
}

static bool is_constant_or_none(const qvk__fuser *fuser, const qvk__arg *arg)
{
    return qvk__arg_is_null(arg) || qvk__fuse_is_constant(fuser, qvk__fuse_value(arg));
}

bool qvk__fuse_read_linear(const qvk__fuser *fuser, const qvk__node *node, qvk__op *op,
                           qvk__arg args[QVK__FUSED_ARGS])
{
    const size_t row = find_linear(node->op);
    int32_t weights;

    if (row == QVK__COUNT(linears))
        return false;
    *op = linears[row].fused;
    for (int i = 0; i < QVK__FUSED_ARGS; i++)
        args[i] = i < node->n_args ? node->args[i] : none;
    weights = qvk__fuse_value(&args[1]);
    if (qvk__fuse_value(&args[0]) < 0 || !qvk__fuse_is_constant(fuser, weights) ||
        !qvk__fuse_is_constant(fuser, qvk__fuse_value(&args[2])) || !is_constant_or_none(fuser, &args[4]))
        return false;
    if (node->op == QVK__OP_PRIV_WEIGHT_INT8PACK_MM)
        args[3] = qvk__arg_from_int(qvk__fuse_desc(fuser, weights)->sizes[1]);
    if (node->op != *op)
        args[QVK__FUSED_NORM_ROUNDING] = qvk__arg_from_int(QVK__RMS_ROUND_RESULT);
    return true;
}

/* ---- reshapes between them ------------------------------------------------------------------------------ */

/* Are the dimensions other than 1 the same, in the same order? *leading: how many come before the last one.
 */
static bool same_but_for_ones(const qvk_tensor *a, const qvk_tensor *b, int *leading)
{
    int i = 0, j = 0, n = 0;

    for (;;) {
        while (i < a->rank && a->sizes[i] == 1)
            i++;
        while (j < b->rank && b->sizes[j] == 1)
            j++;
        if (i == a->rank || j == b->rank)
            break;
        if (a->sizes[i++] != b->sizes[j++])
            return false;
        n++;
    }
    *leading = QVK__MAX(n - 1, 0);
    return i == a->rank && j == b->rank;
}

/*
 * Sizes of values are upper bounds: a view that keeps them might still cut fewer elements differently. Not so
 * where they are all plain numbers, nor where the last one is and only one more can vary.
 */
static bool cuts_the_same(const qvk__arg *sizes, int leading)
{
    const bool plain = sizes->kind == QVK__ARG_INTS;
    int64_t numbers[QVK_MAX_RANK];
    bool all_known = plain;
    int n = 0;

    if (plain && qvk__arg_ints(sizes, "size", numbers, QVK_MAX_RANK, &n, NULL) != QVK_OK)
        return false;
    for (int i = 0; i < n; i++)
        all_known &= numbers[i] > 0;
    if (all_known || leading > 1)
        return all_known;
    if (plain)
        return n > 0 && numbers[n - 1] > 0;
    return sizes->kind == QVK__ARG_LIST && sizes->count > 0 &&
           sizes->u.list[sizes->count - 1].kind == QVK__ARG_INT && sizes->u.list[sizes->count - 1].u.i > 0;
}

bool qvk__fuse_keeps_rows(const qvk__fuser *fuser, const qvk__node *node)
{
    const int32_t in = qvk__fuse_value(&node->args[0]);
    int leading;

    if (node->n_outs != 1 || node->outs[0] < 0 || in < 0 ||
        qvk__fuse_desc(fuser, in)->dtype != qvk__fuse_desc(fuser, node->outs[0])->dtype ||
        !same_but_for_ones(qvk__fuse_desc(fuser, in), qvk__fuse_desc(fuser, node->outs[0]), &leading))
        return false;
    switch (node->op) {
    case QVK__OP_CLONE:
    case QVK__OP_ALIAS_COPY:
    case QVK__OP_DIM_CLONE_DIM_ORDER:
    case QVK__OP_LIFT_FRESH_COPY:
    case QVK__OP_SQUEEZE_COPY_DIM:
    case QVK__OP_SQUEEZE_COPY_DIMS:
    case QVK__OP_UNSQUEEZE_COPY: return true;
    case QVK__OP_VIEW_COPY: return cuts_the_same(&node->args[1], leading);
    default: return false;
    }
}

/* The node behind a value that nothing else uses; reshapes on the way are used once, too. */
static const qvk__node *only_for(const qvk__fuser *fuser, int32_t value)
{
    const qvk__node *node = qvk__fuse_made_by(fuser, value);

    while (node && qvk__graph_use_count(fuser->graph, value) == 1) {
        if (!qvk__fuse_keeps_rows(fuser, node))
            return node;
        value = node->args[0].u.value;
        node = qvk__fuse_made_by(fuser, value);
    }
    return NULL;
}

/* x, or what it is a reshape of, with the leading dimensions of y; the one furthest behind, -1 where there is
 * none. Never one that is written in place: it will be read later than it was. */
static int32_t shaped_like(const qvk__fuser *fuser, int32_t x, const qvk_tensor *y)
{
    int32_t found = -1;

    for (;;) {
        const qvk_tensor *desc = qvk__fuse_desc(fuser, x);
        const qvk__node *node = qvk__fuse_made_by(fuser, x);
        const size_t leading = (size_t)QVK__MAX(y->rank - 1, 0) * sizeof *desc->sizes;
        if (desc->rank == y->rank && memcmp(desc->sizes, y->sizes, leading) == 0 &&
            qvk__fuse_is_steady(fuser, x))
            found = x;
        if (!node || !qvk__fuse_keeps_rows(fuser, node))
            return found;
        x = node->args[0].u.value;
    }
}

/* ---- residual ------------------------------------------------------------------------------------------- */

qvk_status qvk__fuse_residual(qvk__fuser *fuser, size_t index, bool *changed, qvk_error *err)
{
    const qvk__node *add = &fuser->graph->nodes.data[index];
    qvk__arg args[QVK__FUSED_ARGS];
    const qvk_tensor *y;
    qvk__op op;

    if (add->op != QVK__OP_ADD_TENSOR || !qvk__fuse_is_int(&add->args[2], 1) || add->outs[0] < 0)
        return QVK_OK;
    y = qvk__fuse_desc(fuser, add->outs[0]);
    for (int i = 1; i >= 0; i--) {
        const int32_t other = qvk__fuse_value(&add->args[1 - i]);
        const qvk__node *node = only_for(fuser, qvk__fuse_value(&add->args[i]));
        if (!node || other < 0 || !qvk__fuse_read_linear(fuser, node, &op, args) ||
            !qvk__arg_is_null(&args[QVK__FUSED_RESIDUAL]) ||
            !qvk__tensor_is_like(qvk__fuse_desc(fuser, other), y) ||
            !qvk__tensor_is_like(qvk__fuse_desc(fuser, add->args[i].u.value), y))
            continue;
        const int32_t x = shaped_like(fuser, args[0].u.value, y);
        if (x < 0)
            continue;
        args[0] = qvk__arg_from_value(x);
        args[QVK__FUSED_RESIDUAL] = add->args[1 - i];
        *changed = true;
        return qvk__fuse_replace(fuser, index, op, args, QVK__FUSED_ARGS, err);
    }
    return QVK_OK;
}

/* ---- gate ----------------------------------------------------------------------------------------------- */

/* x sigmoid(x), in either order: x. Neither is used elsewhere. */
static int32_t written_out_silu(const qvk__fuser *fuser, const qvk__node *mul)
{
    for (int i = 0; i < 2; i++) {
        const int32_t x = qvk__fuse_value(&mul->args[i]), factor = qvk__fuse_value(&mul->args[1 - i]);
        const qvk__node *sigmoid = qvk__fuse_made_by(fuser, factor);
        if (x >= 0 && sigmoid && sigmoid->op == QVK__OP_SIGMOID && qvk__fuse_value(&sigmoid->args[0]) == x &&
            qvk__graph_use_count(fuser->graph, factor) == 1 && qvk__graph_use_count(fuser->graph, x) == 2)
            return x;
    }
    return -1;
}

/* The float type that a node converts to without any change of shape; NONE: it is something else. */
static qvk_dtype converts_to(const qvk__fuser *fuser, const qvk__node *node)
{
    const int32_t in = node->n_outs == 1 ? qvk__fuse_value(&node->args[0]) : -1;

    if ((node->op != QVK__OP_PRIV_TO_COPY && node->op != QVK__OP_DIM_TO_DIM_ORDER_COPY) || in < 0 ||
        node->outs[0] < 0 || !qvk__dtype_is_float(qvk__fuse_desc(fuser, in)->dtype) ||
        !qvk__shape_equal(qvk__fuse_desc(fuser, in), qvk__fuse_desc(fuser, node->outs[0])))
        return QVK_DTYPE_NONE;
    return qvk__fuse_desc(fuser, node->outs[0])->dtype;
}

/* The linear behind silu(linear(x)), of which exporters also make x sigmoid(x), for float16 in float32. */
static const qvk__node *gate_behind(const qvk__fuser *fuser, int32_t value)
{
    const qvk__node *node = only_for(fuser, value);
    const bool is_half = node && converts_to(fuser, node) == QVK_DTYPE_F16;
    int32_t x = -1, uses = 1;

    if (is_half)
        node = only_for(fuser, qvk__fuse_value(&node->args[0]));
    if (node && node->op == QVK__OP_SILU) {
        x = qvk__fuse_value(&node->args[0]);
    } else if (node && node->op == QVK__OP_MUL_TENSOR) {
        x = written_out_silu(fuser, node);
        uses = 2;
    }
    if (x < 0 || qvk__graph_use_count(fuser->graph, x) != uses)
        return NULL;
    node = qvk__fuse_made_by(fuser, x);
    if (is_half && node && converts_to(fuser, node) == QVK_DTYPE_F32)
        return only_for(fuser, node->args[0].u.value);
    if (node && qvk__fuse_keeps_rows(fuser, node))
        return only_for(fuser, node->args[0].u.value);
    return is_half ? NULL : node;
}

/* A linear that nothing was put into yet. */
static bool read_bare(const qvk__fuser *fuser, const qvk__node *node, qvk__op *op,
                      qvk__arg args[QVK__FUSED_ARGS])
{
    return node && qvk__fuse_read_linear(fuser, node, op, args) &&
           qvk__arg_is_null(&args[QVK__FUSED_RESIDUAL]) && qvk__arg_is_null(&args[QVK__FUSED_NORM_EPS]) &&
           qvk__arg_is_null(&args[QVK__FUSED_UP_WEIGHTS]);
}

/* Can two be made side by side? Whole panels of weights of one shape, with scales and biases of one type. */
static bool are_alike(const qvk__fuser *fuser, const qvk__arg a[QVK__FUSED_ARGS],
                      const qvk__arg b[QVK__FUSED_ARGS])
{
    int64_t group_size;

    return qvk__arg_int(&a[3], "", &group_size, NULL) == QVK_OK && qvk__fuse_is_int(&b[3], group_size) &&
           qvk__tensor_is_like(qvk__fuse_desc(fuser, a[1].u.value), qvk__fuse_desc(fuser, b[1].u.value)) &&
           qvk__tensor_is_like(qvk__fuse_desc(fuser, a[2].u.value), qvk__fuse_desc(fuser, b[2].u.value)) &&
           (qvk__arg_is_null(&a[4]) || qvk__arg_is_null(&b[4]) ||
            qvk__fuse_desc(fuser, a[4].u.value)->dtype == qvk__fuse_desc(fuser, b[4].u.value)->dtype) &&
           qvk__fuse_desc(fuser, a[1].u.value)->sizes[0] % QVK__LINEAR_PANEL == 0;
}

qvk_status qvk__fuse_gate(qvk__fuser *fuser, size_t index, bool *changed, qvk_error *err)
{
    const qvk__node *mul = &fuser->graph->nodes.data[index];
    qvk__arg args[QVK__FUSED_ARGS], up[QVK__FUSED_ARGS];
    qvk__op op, up_op;
    const qvk_tensor *y;

    if (mul->op != QVK__OP_MUL_TENSOR || mul->outs[0] < 0)
        return QVK_OK;
    y = qvk__fuse_desc(fuser, mul->outs[0]);
    for (int i = 0; i < 2; i++) {
        const int32_t left = qvk__fuse_value(&mul->args[i]), right = qvk__fuse_value(&mul->args[1 - i]);
        const qvk__node *gate = gate_behind(fuser, left);
        if (!read_bare(fuser, gate, &op, args) || !read_bare(fuser, only_for(fuser, right), &up_op, up) ||
            op != up_op || !qvk__tensor_is_like(qvk__fuse_desc(fuser, left), y) ||
            !qvk__tensor_is_like(qvk__fuse_desc(fuser, right), y) ||
            qvk__fuse_desc(fuser, gate->outs[0])->dtype != y->dtype || !are_alike(fuser, args, up))
            continue;
        const int32_t x = shaped_like(fuser, args[0].u.value, y);
        if (x < 0 || x != shaped_like(fuser, up[0].u.value, y))
            continue;
        args[0] = qvk__arg_from_value(x);
        for (int part = 0; part < 3; part++) /* weights, scales, bias */
            args[QVK__FUSED_UP_WEIGHTS + part] = up[part < 2 ? 1 + part : 4];
        *changed = true;
        return qvk__fuse_replace(fuser, index, op, args, QVK__FUSED_ARGS, err);
    }
    return QVK_OK;
}
