/*
 * Exported programs are in PyTorch's training dialect: composite operators, views, in-place writes. This pass
 * walks them in order and emits canonical operators. In-place operators become their functional forms, and
 * from there on the written value's name means the new value; a write through a view that others still read
 * is refused rather than got wrong.
 */
#include "lower/decompose.h"

#include "core/dtype.h"

typedef struct rule {
    qvk__op to;           /* same arguments, other operator; QVK__OP_NONE: `fn`, or as it is */
    qvk__decompose_fn fn; /* NULL: emit `to` */
} rule;

#define RENAME(from, to)  [QVK__OP_##from] = {QVK__OP_##to, NULL}
#define REWRITE(from, fn) [QVK__OP_##from] = {QVK__OP_NONE, qvk__decompose_##fn}

static const rule rules[QVK__OP_COUNT] = {
    /* in-place -> functional */
    RENAME(ADD_INPLACE_TENSOR, ADD_TENSOR),
    RENAME(SUB_INPLACE_TENSOR, SUB_TENSOR),
    RENAME(MUL_INPLACE_TENSOR, MUL_TENSOR),
    RENAME(DIV_INPLACE_TENSOR, DIV_TENSOR),
    RENAME(RELU_INPLACE, RELU),
    RENAME(HARDTANH_INPLACE, HARDTANH),
    RENAME(HARDSWISH_INPLACE, HARDSWISH),
    RENAME(LEAKY_RELU_INPLACE, LEAKY_RELU),
    RENAME(SIGMOID_INPLACE, SIGMOID),
    RENAME(CLAMP_INPLACE, CLAMP),
    RENAME(INDEX_PUT_INPLACE, INDEX_PUT),
    RENAME(INDEX_COPY_INPLACE, INDEX_COPY),
    RENAME(COPY_INPLACE, COPY),
    REWRITE(MASKED_FILL_INPLACE_SCALAR, masked_fill),
    REWRITE(ZERO_INPLACE, fill),
    REWRITE(FILL_INPLACE_SCALAR, fill),
    REWRITE(FILL_SCALAR, fill),
    /* names of the same thing */
    RENAME(DUNDER_AND_TENSOR, BITWISE_AND_TENSOR),
    RENAME(DUNDER_OR_TENSOR, BITWISE_OR_TENSOR),
    RENAME(GRID_SAMPLER, GRID_SAMPLER_2D),
    RENAME(UNFOLD, UNFOLD_COPY),
    RENAME(SLICE_TENSOR, SLICE_COPY_TENSOR),
    RENAME(SELECT_INT, SELECT_COPY_INT),
    RENAME(UNSQUEEZE, UNSQUEEZE_COPY),
    RENAME(SPLIT_WITH_SIZES, SPLIT_WITH_SIZES_COPY),
    RENAME(PERMUTE, PERMUTE_COPY),
    RENAME(ITEM, PRIV_LOCAL_SCALAR_DENSE),
    /* no-ops at inference */
    REWRITE(DROPOUT, identity),
    REWRITE(CONTIGUOUS, identity),
    REWRITE(CLONE, identity),
    REWRITE(ALIAS, identity),
    REWRITE(ALIAS_COPY, identity),
    REWRITE(DETACH, identity),
    REWRITE(LIFT_FRESH_COPY, identity),
    REWRITE(DIM_CLONE_DIM_ORDER, identity),
    /* casts */
    REWRITE(TO_DTYPE, cast),
    REWRITE(TO_DTYPE_LAYOUT, cast),
    REWRITE(TO_DEVICE, cast),
    REWRITE(TO_OTHER, cast),
    REWRITE(TYPE_AS, cast),
    REWRITE(PRIV_TO_COPY, cast),
    REWRITE(DIM_TO_DIM_ORDER_COPY, cast),
    /* shape */
    REWRITE(VIEW, view),
    REWRITE(RESHAPE, view),
    REWRITE(PRIV_UNSAFE_VIEW, view),
    REWRITE(VIEW_AS, view_as),
    REWRITE(FLATTEN_USING_INTS, flatten),
    REWRITE(UNFLATTEN_INT, unflatten),
    REWRITE(TRANSPOSE_INT, transpose),
    REWRITE(TRANSPOSE_COPY_INT, transpose),
    REWRITE(SWAPAXES, transpose),
    REWRITE(MOVEDIM_INT, movedim),
    REWRITE(T, reverse),
    REWRITE(T_COPY, reverse),
    REWRITE(NUMPY_T, reverse),
    REWRITE(SQUEEZE, squeeze),
    REWRITE(SQUEEZE_DIM, squeeze),
    REWRITE(SQUEEZE_DIMS, squeeze),
    REWRITE(SQUEEZE_COPY_DIM, squeeze),
    REWRITE(EXPAND, expand),
    REWRITE(EXPAND_AS, expand),
    REWRITE(BROADCAST_TO, expand),
    REWRITE(STACK, stack),
    REWRITE(SPLIT_TENSOR, split),
    REWRITE(CHUNK, split),
    REWRITE(UNBIND_INT, split),
    REWRITE(NARROW, narrow),
    REWRITE(PAD, pad),
    REWRITE(TILE, tile),
    REWRITE(NEW_FULL, create),
    REWRITE(NEW_ONES, create),
    REWRITE(NEW_ZEROS, create),
    REWRITE(ARANGE, create),
    REWRITE(ARANGE_START, create),
    /* arithmetic and selection */
    REWRITE(WHERE_SCALAROTHER, where),
    REWRITE(WHERE_SCALARSELF, where),
    REWRITE(WHERE_SCALAR, where),
    REWRITE(MASKED_FILL_SCALAR, masked_fill),
    REWRITE(MASKED_FILL_TENSOR, masked_fill),
    REWRITE(SILU, silu),
    REWRITE(SILU_INPLACE, silu),
    REWRITE(GLU, glu),
    REWRITE(PRELU, prelu),
    REWRITE(DIFF, diff),
    /* products, convolution, norms, pooling, attention */
    REWRITE(MATMUL, matmul),
    REWRITE(OUTER, outer),
    REWRITE(CONV1D, conv),
    REWRITE(CONV2D, conv),
    REWRITE(CONV_TRANSPOSE1D, conv),
    REWRITE(CONV_TRANSPOSE2D_INPUT, conv),
    REWRITE(SOFTMAX_INT, softmax),
    REWRITE(LOG_SOFTMAX_INT, softmax),
    REWRITE(LAYER_NORM, layer_norm),
    REWRITE(GROUP_NORM, group_norm),
    REWRITE(BATCH_NORM, batch_norm),
    REWRITE(RMS_NORM, rms_norm),
    REWRITE(ADAPTIVE_AVG_POOL2D, adaptive_pool),
    REWRITE(MAX_POOL1D, pool1d),
    REWRITE(AVG_POOL1D, pool1d),
    REWRITE(SCALED_DOT_PRODUCT_ATTENTION, attention),
};

/* ---- in-place writes ------------------------------------------------------------------------------------- */

static bool is_view(qvk__op op)
{
    const char *name = qvk__op_name(op);
    static const qvk__op views[] = {
        QVK__OP_VIEW,
        QVK__OP_VIEW_AS,
        QVK__OP_RESHAPE,
        QVK__OP_PRIV_UNSAFE_VIEW,
        QVK__OP_UNFLATTEN_INT,
        QVK__OP_TRANSPOSE_INT,
        QVK__OP_T,
        QVK__OP_SQUEEZE,
        QVK__OP_SQUEEZE_DIM,
        QVK__OP_SQUEEZE_DIMS,
        QVK__OP_UNSQUEEZE,
        QVK__OP_EXPAND,
        QVK__OP_EXPAND_AS,
        QVK__OP_SLICE_TENSOR,
        QVK__OP_SELECT_INT,
        QVK__OP_NARROW,
        QVK__OP_PERMUTE,
        QVK__OP_UNBIND_INT,
        QVK__OP_CHUNK,
        QVK__OP_SPLIT_TENSOR,
        QVK__OP_SPLIT_WITH_SIZES,
        QVK__OP_FLATTEN_USING_INTS,
        QVK__OP_CONTIGUOUS,
        QVK__OP_DETACH,
        QVK__OP_ALIAS,
        QVK__OP_SWAPAXES,
        QVK__OP_MOVEDIM_INT,
        QVK__OP_NUMPY_T,
        QVK__OP_BROADCAST_TO,
    };
    for (size_t i = 0; i < QVK__COUNT(views); i++)
        if (views[i] == op)
            return true;
    return qvk__starts_with(name, "aten.dropout.");
}

static bool is_in_place(const qvk__node *node)
{
    const char *name = qvk__op_name(node->op), *overload = strrchr(name, '.');
    return overload && overload > name && overload[-1] == '_' && !qvk__ends_with(name, "__.Tensor");
}

/* Storage every exported value shares: the root of its chain of views. */
static int32_t root_of(const int32_t *roots, int32_t value)
{
    while (roots[value] != value)
        value = roots[value];
    return value;
}

typedef struct later_use {
    const int32_t *roots;
    int32_t root, except;
    int32_t found;
} later_use;

static void look_for_alias(int32_t value, void *user)
{
    later_use *use = user;
    if (value != use->except && root_of(use->roots, value) == use->root)
        use->found = value;
}

/* A value is written: anything else that views the same storage must not be read afterwards. */
static qvk_status check_aliases(const qvk__exported *program, const int32_t *roots, size_t index,
                                int32_t written, qvk_error *err)
{
    const qvk__graph *graph = &program->graph;
    const qvk__node *node = &graph->nodes.data[index];
    later_use use = {roots, root_of(roots, written), written, -1};

    for (size_t n = index + 1; n < graph->nodes.count; n++)
        qvk__node_visit_args(&graph->nodes.data[n], look_for_alias, &use);
    for (size_t i = 0; i < graph->outputs.count; i++)
        look_for_alias(graph->outputs.data[i], &use);
    /* The node's own result is the written value by another name. */
    QVK__CHECK(use.found < 0 || (node->n_outs > 0 && use.found == node->outs[0]), err, QVK_UNSUPPORTED,
               "node %zu (%s): writes %s in place while a view of it (%s) is still read%s%s", index,
               qvk__op_name(node->op), graph->values.data[written].name,
               use.found >= 0 ? graph->values.data[use.found].name : "", node->trace ? "; at " : "",
               node->trace ? node->trace : "");
    return QVK_OK;
}

static qvk_status finish_in_place(qvk__edge *edge, size_t index, int32_t *roots, int32_t result,
                                  qvk_error *err)
{
    const qvk__node *node = &edge->program->graph.nodes.data[index];
    int32_t written = node->args[0].u.value;
    const qvk__value *value;

    roots[node->n_outs > 0 && node->outs[0] >= 0 ? node->outs[0] : written] = root_of(roots, written);
    QVK__TRY(check_aliases(edge->program, roots, index, written, err));
    value = &edge->program->graph.values.data[written];
    if (value->constant) { /* a buffer: its new value must be kept for the next call */
        int32_t pair[2] = {written, result};
        for (size_t i = 0; i + 1 < edge->mutated.count; i += 2) {
            if (edge->mutated.data[i] == written) {
                edge->mutated.data[i + 1] = result;
                edge->map[written] = result;
                return QVK_OK;
            }
        }
        QVK__CHECK(QVK__VEC_PUSH(&edge->mutated, pair[0]) && QVK__VEC_PUSH(&edge->mutated, pair[1]), err,
                   QVK_OUT_OF_MEMORY, "out of memory");
    }
    edge->map[written] = result;
    return QVK_OK;
}

/* ---- the walk ---------------------------------------------------------------------------------------------- */

/* A number where the operator wants a tensor (x * 0.25) becomes a 0-dim constant of the dtype the operator
 * computes in. */
static qvk_status numbers_to_tensors(qvk__edge *edge, qvk__op op, qvk__arg *args, qvk_dtype result,
                                     qvk_error *err)
{
    qvk__signature signature;

    qvk__op_signature(op, &signature);
    for (int i = 1; i < signature.n_params; i++) {
        qvk_dtype dtype = result;
        double number;
        int32_t value;
        if (strcmp(signature.params[i].type, "Tensor") != 0 || args[i].kind == QVK__ARG_VALUE ||
            qvk__arg_float(&args[i], "", &number, NULL) != QVK_OK)
            continue;
        if (dtype == QVK_DTYPE_BOOL && args[0].kind == QVK__ARG_VALUE) /* a comparison */
            dtype = qvk__edge_desc(edge, args[0].u.value)->dtype;
        QVK__TRY(qvk__edge_scalar(edge, number, dtype, &value, err));
        args[i] = qvk__arg_from_value(value);
    }
    return QVK_OK;
}

static qvk_status emit_as_is(qvk__edge *edge, const qvk__node *node, qvk__op op, const qvk__arg *args,
                             int32_t *outs, qvk_error *err)
{
    qvk_dtype *dtypes = qvk__arena_alloc(&edge->graph.arena, (uint64_t)node->n_outs, sizeof *dtypes);
    qvk__arg converted[QVK__MAX_PARAMS];

    QVK__CHECK(dtypes, err, QVK_OUT_OF_MEMORY, "out of memory");
    memcpy(converted, args, (size_t)node->n_args * sizeof *args);
    for (int i = 0; i < node->n_outs; i++)
        if (node->outs[i] >= 0)
            dtypes[i] = edge->program->graph.values.data[node->outs[i]].desc.dtype;
    if (node->n_outs > 0)
        QVK__TRY(numbers_to_tensors(edge, op, converted, dtypes[0], err));
    return qvk__edge_emit_typed(edge, op, converted, node->n_args, dtypes, outs, node->n_outs, err);
}

static qvk_status apply(qvk__edge *edge, const qvk__node *node, const qvk__arg *args, int32_t *outs,
                        qvk_error *err)
{
    const rule *r = &rules[node->op];

    if (r->fn)
        return r->fn(edge, node, args, outs, err);
    if (r->to != QVK__OP_NONE)
        return emit_as_is(edge, node, r->to, args, outs, err);
    return emit_as_is(edge, node, node->op, args, outs, err);
}

static qvk_status unknown(size_t index, const qvk__node *node, qvk_error *err)
{
    return qvk__fail(err, QVK_UNSUPPORTED_OPERATOR, "node %zu: operator %s is not supported%s%s", index,
                     node->op == QVK__OP_NONE && node->target ? node->target : qvk__op_name(node->op),
                     node->trace ? "; at " : "", node->trace ? node->trace : "");
}

static bool is_known(const qvk__node *node)
{
    qvk__signature signature;

    if (node->op == QVK__OP_NONE)
        return false;
    qvk__op_signature(node->op, &signature);
    return rules[node->op].fn || rules[node->op].to != QVK__OP_NONE || qvk__op_info_of(node->op)->shape ||
           signature.returns_symbol;
}

static qvk_status translate(qvk__edge *edge, size_t index, int32_t *roots, qvk_error *err)
{
    const qvk__node *node = &edge->program->graph.nodes.data[index];
    qvk__arg args[QVK__MAX_PARAMS];
    int32_t *outs;

    if (!is_known(node) || node->n_args > QVK__MAX_PARAMS)
        return unknown(index, node, err);
    edge->origin = node;
    outs = qvk__arena_alloc(&edge->graph.arena, (uint64_t)node->n_outs + 1, sizeof *outs);
    QVK__CHECK(outs, err, QVK_OUT_OF_MEMORY, "out of memory");
    for (int i = 0; i < node->n_args; i++)
        QVK__TRY(qvk__edge_map_arg(edge, &node->args[i], &args[i], err));
    QVK__TRY(apply(edge, node, args, outs, err));
    for (int i = 0; i < node->n_outs; i++) {
        if (node->outs[i] < 0)
            continue;
        edge->map[node->outs[i]] = edge->made[node->outs[i]] = outs[i];
        if (is_view(node->op) && node->args[0].kind == QVK__ARG_VALUE)
            roots[node->outs[i]] = root_of(roots, node->args[0].u.value);
    }
    if (is_in_place(node))
        QVK__TRY(finish_in_place(edge, index, roots, outs[0], err));
    edge->origin = NULL;
    return QVK_OK;
}

/* The program's outputs are what a value is at the end; observed values are what it was when it was made. */
static qvk_status add_output(qvk__edge *edge, const int32_t *map, int32_t exported, qvk_error *err)
{
    int32_t mapped = map[exported];

    QVK__CHECK(mapped >= 0, err, QVK_INTERNAL, "output %s was not translated",
               edge->program->graph.values.data[exported].name);
    QVK__CHECK(QVK__VEC_PUSH(&edge->graph.outputs, mapped), err, QVK_OUT_OF_MEMORY, "out of memory");
    return QVK_OK;
}

/* Exported id of a buffer by its name, -1 when there is none. */
static int32_t find_buffer(const qvk__exported *program, const char *target)
{
    for (size_t i = 0; i < program->inputs.count; i++)
        if (program->inputs.data[i].kind == QVK__INPUT_BUFFER &&
            strcmp(program->inputs.data[i].target, target) == 0)
            return program->inputs.data[i].value;
    return -1;
}

static qvk_status translate_output(qvk__edge *edge, size_t index, qvk_error *err)
{
    const qvk__output_spec *spec = &edge->program->outputs.data[index];
    int32_t value = qvk__exported_output_value(edge->program, index), buffer;

    if (value < 0)
        return QVK_OK;
    if (spec->kind == QVK__OUTPUT_USER)
        return add_output(edge, edge->map, value, err);
    QVK__CHECK(spec->kind == QVK__OUTPUT_BUFFER_MUTATION, err, QVK_UNSUPPORTED,
               "the program writes its input %s", spec->target ? spec->target : "");
    buffer = find_buffer(edge->program, spec->target);
    QVK__CHECK(buffer >= 0, err, QVK_BAD_FORMAT, "mutated buffer %s does not exist", spec->target);
    QVK__CHECK(QVK__VEC_PUSH(&edge->mutated, buffer) && QVK__VEC_PUSH(&edge->mutated, edge->map[value]), err,
               QVK_OUT_OF_MEMORY, "out of memory");
    return QVK_OK;
}

qvk_status qvk__edge_decompose(qvk__edge *edge, qvk_error *err)
{
    const qvk__graph *graph = &edge->program->graph;
    int32_t *roots = qvk__arena_alloc(&edge->graph.arena, graph->values.count, sizeof *roots);

    QVK__CHECK(roots, err, QVK_OUT_OF_MEMORY, "out of memory");
    for (size_t i = 0; i < graph->values.count; i++)
        roots[i] = (int32_t)i;
    for (size_t i = 0; i < graph->nodes.count; i++)
        if (!graph->nodes.data[i].dead)
            QVK__TRY(translate(edge, i, roots, err));
    for (size_t i = 0; i < edge->program->outputs.count; i++)
        QVK__TRY(translate_output(edge, i, err));
    for (uint32_t i = 0; i < edge->params->n_extra_outputs; i++)
        QVK__TRY(add_output(edge, edge->made, edge->params->extra_outputs[i], err));
    /* From exported ids to the edge ids of the constants themselves. */
    for (size_t i = 0; i < edge->mutated.count; i += 2)
        edge->mutated.data[i] = edge->made[edge->mutated.data[i]];
    return QVK_OK;
}
