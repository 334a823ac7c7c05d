#include "lower/partition.h"

/*
 * Operators that ExecuTorch's Vulkan runtime has: what --compat executorch restricts to. Bit i of
 * `constants`: argument i may be a constant without prepack. Source: spec of the Vulkan operators, sections 3
 * to 11.
 */
typedef struct delegate_op {
    qvk__op op;
    uint32_t constants;
} delegate_op;

#define ARG(i) (1u << (i))

static const delegate_op executorch_ops[] = {
    {QVK__OP_ET_LINEAR_Q4GSW, ARG(1) | ARG(2) | ARG(4)},
    {QVK__OP_ET_LINEAR_DQ8CA_Q4GSW, ARG(3) | ARG(4) | ARG(5) | ARG(7)},
    {QVK__OP_TORCHAO_CHOOSE_QPARAMS_AFFINE, 0},
    {QVK__OP_PRIV_WEIGHT_INT8PACK_MM, ARG(1) | ARG(2)},
    {QVK__OP_ET_LINEAR_QCS4W, ARG(1) | ARG(2)},
    {QVK__OP_ET_LINEAR_Q8TA_Q8CSW, ARG(3) | ARG(4) | ARG(5) | ARG(6)},
    {QVK__OP_ET_Q8TA_LINEAR, ARG(3) | ARG(4) | ARG(5) | ARG(8)},
    {QVK__OP_ET_Q8TA_LINEAR_GEMV, ARG(3) | ARG(4) | ARG(5) | ARG(8)},
    {QVK__OP_ET_Q8TA_CONV2D, ARG(3) | ARG(4) | ARG(5) | ARG(8)},
    {QVK__OP_ET_Q8TA_CONV2D_PW, ARG(3) | ARG(4) | ARG(5) | ARG(8)},
    {QVK__OP_ET_Q8TA_CONV2D_DW, ARG(3) | ARG(4) | ARG(5) | ARG(8)},
    {QVK__OP_ET_Q8TA_CONV2D_TRANSPOSED, ARG(3) | ARG(4) | ARG(5) | ARG(8)},
    {QVK__OP_ET_Q8TA_ADD, 0},
    {QVK__OP_ET_Q8TA_RELU, 0},
    {QVK__OP_ET_Q8TA_PIXEL_SHUFFLE, 0},
    {QVK__OP_QD_QUANTIZE_PER_TENSOR, 0},
    {QVK__OP_QD_DEQUANTIZE_PER_TENSOR, 0},
    {QVK__OP_ET_EMBEDDING_Q4GSW, ARG(0) | ARG(1)},
    {QVK__OP_ET_PREPACK, ARG(0)},
    {QVK__OP_ET_CONV_WITH_CLAMP, ARG(1) | ARG(2)},
    {QVK__OP_ET_RMS_NORM, ARG(1)},
    {QVK__OP_ET_APPLY_ROTARY_EMB, 0},
    {QVK__OP_ET_APPLY_ROTARY_EMB_HF, 0},
    {QVK__OP_ET_APPLY_ROTARY_EMB_INTERLEAVED, 0},
    {QVK__OP_ET_GRID_PRIORS, 0},
    {QVK__OP_ET_SDPA, 0},
    {QVK__OP_LLAMA_UPDATE_CACHE, 0},
    {QVK__OP_LLAMA_CUSTOM_SDPA, 0},
    {QVK__OP_LLAMA_SDPA_WITH_KV_CACHE, ARG(3) | ARG(4)},
    {QVK__OP_LINEAR, ARG(1) | ARG(2)},
    {QVK__OP_MM, ARG(1)},
    {QVK__OP_BMM, ARG(1)},
    {QVK__OP_CONVOLUTION, ARG(1) | ARG(2)},
    {QVK__OP_MAX_POOL2D_WITH_INDICES, 0},
    {QVK__OP_MAX_POOL2D, 0},
    {QVK__OP_AVG_POOL2D, 0},
    {QVK__OP_MEAN_DIM, 0},
    {QVK__OP_SUM_DIM_INTLIST, 0},
    {QVK__OP_AMAX, 0},
    {QVK__OP_AMIN, 0},
    {QVK__OP_ARGMAX, 0},
    {QVK__OP_ARGMIN, 0},
    {QVK__OP_PRIV_SOFTMAX, 0},
    {QVK__OP_PRIV_LOG_SOFTMAX, 0},
    {QVK__OP_NATIVE_LAYER_NORM, ARG(2) | ARG(3)},
    {QVK__OP_NATIVE_GROUP_NORM, ARG(1) | ARG(2)},
    {QVK__OP_PRIV_NATIVE_BATCH_NORM_LEGIT_NO_TRAINING, ARG(1) | ARG(2) | ARG(3) | ARG(4)},
    {QVK__OP_ADD_TENSOR, 0},
    {QVK__OP_SUB_TENSOR, 0},
    {QVK__OP_MUL_TENSOR, 0},
    {QVK__OP_DIV_TENSOR, 0},
    {QVK__OP_DIV_TENSOR_MODE, 0},
    {QVK__OP_MINIMUM, 0},
    {QVK__OP_POW_TENSOR_TENSOR, 0},
    {QVK__OP_POW_TENSOR_SCALAR, 0},
    {QVK__OP_EQ_TENSOR, 0},
    {QVK__OP_LT_TENSOR, 0},
    {QVK__OP_LE_TENSOR, 0},
    {QVK__OP_GT_TENSOR, 0},
    {QVK__OP_GE_TENSOR, 0},
    {QVK__OP_EQ_SCALAR, 0},
    {QVK__OP_NE_SCALAR, 0},
    {QVK__OP_LT_SCALAR, 0},
    {QVK__OP_LE_SCALAR, 0},
    {QVK__OP_GT_SCALAR, 0},
    {QVK__OP_GE_SCALAR, 0},
    {QVK__OP_BITWISE_AND_TENSOR, 0},
    {QVK__OP_BITWISE_OR_TENSOR, 0},
    {QVK__OP_BITWISE_NOT, 0},
    {QVK__OP_LOGICAL_AND, 0},
    {QVK__OP_LOGICAL_OR, 0},
    {QVK__OP_ABS, 0},
    {QVK__OP_COS, 0},
    {QVK__OP_EXP, 0},
    {QVK__OP_GELU, 0},
    {QVK__OP_HARDSHRINK, 0},
    {QVK__OP_HARDSWISH, 0},
    {QVK__OP_HARDTANH, 0},
    {QVK__OP_NEG, 0},
    {QVK__OP_RELU, 0},
    {QVK__OP_SIGMOID, 0},
    {QVK__OP_SIN, 0},
    {QVK__OP_SQRT, 0},
    {QVK__OP_RSQRT, 0},
    {QVK__OP_TANH, 0},
    {QVK__OP_ROUND, 0},
    {QVK__OP_LEAKY_RELU, 0},
    {QVK__OP_LOG10, 0},
    {QVK__OP_CLAMP, 0},
    {QVK__OP_WHERE_SELF, 0},
    {QVK__OP_PRIV_TO_COPY, 0},
    {QVK__OP_CLONE, 0},
    {QVK__OP_VIEW_COPY, 0},
    {QVK__OP_PERMUTE_COPY, 0},
    {QVK__OP_SQUEEZE_COPY_DIMS, 0},
    {QVK__OP_UNSQUEEZE_COPY, 0},
    {QVK__OP_EXPAND_COPY, 0},
    {QVK__OP_CAT, 0},
    {QVK__OP_SPLIT_WITH_SIZES_COPY, 0},
    {QVK__OP_SLICE_COPY_TENSOR, 0},
    {QVK__OP_SELECT_COPY_INT, 0},
    {QVK__OP_INDEX_SELECT, 0},
    {QVK__OP_GATHER, 0},
    {QVK__OP_EMBEDDING, ARG(0)},
    {QVK__OP_REPEAT, 0},
    {QVK__OP_FLIP, 0},
    {QVK__OP_CONSTANT_PAD_ND, 0},
    {QVK__OP_UNFOLD_COPY, 0},
    {QVK__OP_PIXEL_SHUFFLE, 0},
    {QVK__OP_UPSAMPLE_NEAREST2D_VEC, 0},
    {QVK__OP_UPSAMPLE_BILINEAR2D_VEC, 0},
    {QVK__OP_GRID_SAMPLER_2D, 0},
    {QVK__OP_FULL, 0},
    {QVK__OP_FULL_LIKE, 0},
    {QVK__OP_ZEROS, 0},
    {QVK__OP_ZEROS_LIKE, 0},
    {QVK__OP_ONES, 0},
    {QVK__OP_ONES_LIKE, 0},
    {QVK__OP_ARANGE_START_STEP, 0},
    {QVK__OP_SCALAR_TENSOR, 0},
    {QVK__OP_SYM_SIZE_INT, 0},
    {QVK__OP_SYM_ADD, 0},
    {QVK__OP_SYM_SUB, 0},
    {QVK__OP_SYM_MUL, 0},
    {QVK__OP_SYM_FLOORDIV, 0},
};

static const delegate_op *find(qvk__op op)
{
    for (size_t i = 0; i < QVK__COUNT(executorch_ops); i++)
        if (executorch_ops[i].op == op)
            return &executorch_ops[i];
    return NULL;
}

bool qvk__takes_constant(qvk__op op, int arg)
{
    const delegate_op *row = find(op);

    if (qvk__starts_with(qvk__op_name(op), "qvk."))
        return true;
    if (op == QVK__OP_COPY_INPLACE) /* the buffer that is written */
        return arg == 0;
    return row && (row->constants & ARG(arg));
}

/* ---- inside or outside ---------------------------------------------------------------------------------------- */

typedef struct dtype_check {
    const qvk__graph *graph;
    bool quantized; /* its float64 and int64 parameters are narrowed by design */
    const char *reason;
} dtype_check;

static void check_dtype(int32_t id, void *user)
{
    dtype_check *check = user;
    const qvk__value *value = &check->graph->values.data[id];

    if (value->kind == QVK__VALUE_SYMBOL)
        return;
    if (value->desc.dtype == QVK_DTYPE_F64 && !check->quantized)
        check->reason = "float64 tensors would lose precision in the delegate";
    else if (value->desc.dtype == QVK_DTYPE_BF16 || value->desc.dtype == QVK_DTYPE_I16)
        check->reason = "the delegate format has no such dtype";
}

static const char *outside_reason(const qvk__edge *edge, const qvk__node *node)
{
    dtype_check check = {&edge->graph, !qvk__starts_with(qvk__op_name(node->op), "aten."), NULL};

    for (const char *const *p = edge->params->block; p && *p; p++)
        if (qvk__glob_match(*p, qvk__op_name(node->op)))
            return "blocked by request";
    if (edge->params->compat_executorch && !find(node->op))
        return "ExecuTorch's Vulkan runtime has no such operator";
    qvk__node_visit_args(node, check_dtype, &check);
    for (int i = 0; i < node->n_outs; i++)
        if (node->outs[i] >= 0)
            check_dtype(node->outs[i], &check);
    return check.reason;
}

typedef struct level_scan {
    const int32_t *value_level;
    const bool *value_inside;
    bool inside;
    int32_t level;
} level_scan;

/* A node comes at least as late as what it reads, and a step later where it changes sides. */
static void raise_level(int32_t id, void *user)
{
    level_scan *scan = user;
    int32_t needed = scan->value_level[id];

    if (needed >= 0)
        needed += scan->value_inside[id] != scan->inside;
    scan->level = QVK__MAX(scan->level, needed);
}

qvk_status qvk__partition_graph(qvk__edge *edge, qvk__partition *out, qvk_error *err)
{
    qvk__graph *graph = &edge->graph;
    int32_t *value_level = qvk__arena_alloc(&graph->arena, graph->values.count, sizeof *value_level);
    bool *value_inside = qvk__arena_alloc(&graph->arena, graph->values.count, sizeof *value_inside);

    out->inside = qvk__arena_alloc(&graph->arena, graph->nodes.count, sizeof *out->inside);
    out->level = qvk__arena_alloc(&graph->arena, graph->nodes.count, sizeof *out->level);
    out->n_levels = 0;
    QVK__CHECK(value_level && value_inside && out->inside && out->level, err, QVK_OUT_OF_MEMORY,
               "out of memory");
    for (size_t i = 0; i < graph->values.count; i++)
        value_level[i] = -1;
    for (size_t n = 0; n < graph->nodes.count; n++) {
        const qvk__node *node = &graph->nodes.data[n];
        const char *reason = outside_reason(edge, node);
        level_scan scan = {value_level, value_inside, !reason,
                           reason ? 1 : 0}; /* inside: even levels, outside: odd */
        qvk__node_visit_args(node, raise_level, &scan);
        out->inside[n] = scan.inside;
        out->level[n] = scan.level;
        out->n_levels = QVK__MAX(out->n_levels, scan.level + 1);
        for (int i = 0; i < node->n_outs; i++) {
            if (node->outs[i] < 0)
                continue;
            value_level[node->outs[i]] = scan.level;
            value_inside[node->outs[i]] = scan.inside;
        }
        if (reason)
            qvk__string_addf(&edge->notes, "%s (%s): %s\n", node->name ? node->name : "node",
                             qvk__op_name(node->op), reason);
    }
    return QVK_OK;
}
