/*
 * What gets quantized. VulkanQuantizer: the weights of linears, and with is_dynamic their inputs. The static
 * quantizer: the patterns of the XNNPACK quantizer in its order; operators that keep their input's range
 * share its observer.
 */
#include "quantize/pt2e.h"
#include "quantize/rewrite.h"

typedef struct annotator {
    const qvk__exported *program;
    qvk__pt2e *pt2e;
    int32_t *producer; /* per value: node, -1 */
    int32_t *uses;     /* per value */
    int32_t *user;     /* per value: its only user, where uses is 1 */
    bool failed;       /* out of memory */
} annotator;

int32_t qvk__pt2e_root(const qvk__pt2e *pt2e, int32_t value)
{
    while (pt2e->group[value] != value)
        value = pt2e->group[value];
    return value;
}

static void share(qvk__pt2e *pt2e, int32_t a, int32_t b)
{
    pt2e->group[qvk__pt2e_root(pt2e, b)] = qvk__pt2e_root(pt2e, a);
}

static const qvk__node *node_at(const annotator *a, size_t index)
{
    return &a->program->graph.nodes.data[index];
}

static bool is_relu(qvk__op op)
{
    return op == QVK__OP_RELU || op == QVK__OP_RELU_INPLACE;
}

static bool is_conv(qvk__op op)
{
    return op == QVK__OP_CONV1D || op == QVK__OP_CONV2D;
}

static bool is_conv_transpose(qvk__op op)
{
    return op == QVK__OP_CONV_TRANSPOSE1D || op == QVK__OP_CONV_TRANSPOSE2D_INPUT;
}

static bool is_add(qvk__op op)
{
    return op == QVK__OP_ADD_TENSOR || op == QVK__OP_ADD_INPLACE_TENSOR;
}

static bool is_mul(qvk__op op)
{
    return op == QVK__OP_MUL_TENSOR || op == QVK__OP_MUL_INPLACE_TENSOR;
}

static bool keeps_range(qvk__op op)
{
    switch (op) {
    case QVK__OP_RELU:
    case QVK__OP_HARDTANH:
    case QVK__OP_HARDTANH_INPLACE:
    case QVK__OP_MAX_POOL2D:
    case QVK__OP_MEAN:
    case QVK__OP_MEAN_DIM:
    case QVK__OP_PERMUTE:
    case QVK__OP_PERMUTE_COPY:
    case QVK__OP_TRANSPOSE_INT:
    case QVK__OP_SQUEEZE_DIM:
    case QVK__OP_SQUEEZE_COPY_DIM:
    case QVK__OP_ADAPTIVE_AVG_POOL2D:
    case QVK__OP_VIEW_COPY:
    case QVK__OP_VIEW:
    case QVK__OP_RESHAPE:
    case QVK__OP_SLICE_TENSOR:
    case QVK__OP_SLICE_COPY_TENSOR:
    case QVK__OP_FLATTEN_USING_INTS:
    case QVK__OP_DROPOUT: return true;
    default: return false;
    }
}

/* ---- marking -------------------------------------------------------------------------------------------------- */

static void quantize_input(annotator *a, size_t node, int slot)
{
    a->pt2e->quantized_inputs[node] |= 1u << slot;
}

static void quantize_output(annotator *a, size_t node)
{
    a->pt2e->quantized_output[node_at(a, node)->outs[0]] = true;
}

static bool is_float_tensor(const annotator *a, const qvk__arg *arg)
{
    return arg->kind == QVK__ARG_VALUE &&
           a->program->graph.values.data[arg->u.value].desc.dtype == QVK_DTYPE_F32;
}

/* The filter sees the module's name: the weight's without ".weight", "" for the root. */
static bool passes_filter(const annotator *a, int32_t weight)
{
    const qvk__input_spec *spec = qvk__exported_input_of(a->program, weight);
    char module[256] = "";

    if (!a->pt2e->config.filter)
        return true;
    if (spec && spec->target)
        memcpy(module, spec->target, QVK__MIN(qvk__module_name_length(spec->target), sizeof module - 1));
    return a->pt2e->config.filter(module, a->pt2e->config.filter_user);
}

static bool constant_weight(const annotator *a, const qvk__node *node)
{
    return node->args[1].kind == QVK__ARG_VALUE &&
           a->program->graph.values.data[node->args[1].u.value].constant != NULL &&
           is_float_tensor(a, &node->args[1]) && passes_filter(a, node->args[1].u.value);
}

static void quantize_weight(annotator *a, size_t node, int32_t axis)
{
    qvk__pt2e_weight weight = {(int32_t)node, 1, node_at(a, node)->args[1].u.value, axis};
    a->failed = a->failed || !QVK__VEC_PUSH(&a->pt2e->weights, weight);
}

/* Node that produces an argument when nothing else uses its result; -1 otherwise. */
static int32_t sole_producer(const annotator *a, const qvk__arg *arg)
{
    if (arg->kind != QVK__ARG_VALUE || a->uses[arg->u.value] != 1)
        return -1;
    return a->producer[arg->u.value];
}

/* ---- patterns, in the order they are tried --------------------------------------------------------------------- */

static void layer(annotator *a, size_t node, int32_t axis, bool with_output)
{
    quantize_input(a, node, 0);
    quantize_weight(a, node, axis);
    a->pt2e->annotated[node] = true;
    if (with_output)
        quantize_output(a, node);
}

/* layer -> relu: the pair's output is the relu's. */
static bool layer_relu(annotator *a, size_t relu, bool (*is_layer)(qvk__op), int32_t axis)
{
    int32_t inner = is_relu(node_at(a, relu)->op) ? sole_producer(a, &node_at(a, relu)->args[0]) : -1;

    if (inner < 0 || !is_layer(node_at(a, (size_t)inner)->op) || a->pt2e->annotated[inner] ||
        a->pt2e->annotated[relu] || !constant_weight(a, node_at(a, (size_t)inner)))
        return false;
    layer(a, (size_t)inner, axis, false);
    quantize_output(a, relu);
    a->pt2e->annotated[relu] = true;
    return true;
}

static bool is_linear(qvk__op op)
{
    return op == QVK__OP_LINEAR;
}

static void pattern_linear_relu(annotator *a, size_t node)
{
    (void)layer_relu(a, node, is_linear, 0);
}

static void pattern_linear(annotator *a, size_t node)
{
    if (is_linear(node_at(a, node)->op) && !a->pt2e->annotated[node] && constant_weight(a, node_at(a, node)))
        layer(a, node, 0, true);
}

static bool only_user_is_relu(const annotator *a, size_t node)
{
    int32_t value = node_at(a, node)->outs[0];
    return a->uses[value] == 1 && a->user[value] >= 0 && is_relu(node_at(a, (size_t)a->user[value])->op);
}

static void pattern_conv(annotator *a, size_t node)
{
    if (is_conv(node_at(a, node)->op) && !a->pt2e->annotated[node] && constant_weight(a, node_at(a, node)) &&
        !only_user_is_relu(a, node))
        layer(a, node, 0, true);
}

static bool single_group(const qvk__node *node)
{
    int64_t groups;
    return qvk__arg_int(&node->args[6], "groups", &groups, NULL) == QVK_OK && groups == 1;
}

static void pattern_conv_transpose(annotator *a, size_t node)
{
    if (is_conv_transpose(node_at(a, node)->op) && !a->pt2e->annotated[node] &&
        constant_weight(a, node_at(a, node)) && !only_user_is_relu(a, node) && single_group(node_at(a, node)))
        layer(a, node, 1, true);
}

static void pattern_conv_relu(annotator *a, size_t node)
{
    (void)layer_relu(a, node, is_conv, 0);
}

static void pattern_conv_transpose_relu(annotator *a, size_t node)
{
    int32_t inner = is_relu(node_at(a, node)->op) ? sole_producer(a, &node_at(a, node)->args[0]) : -1;
    if (inner >= 0 && is_conv_transpose(node_at(a, (size_t)inner)->op) &&
        single_group(node_at(a, (size_t)inner)))
        (void)layer_relu(a, node, is_conv_transpose, 1);
}

static void pattern_adaptive_pool(annotator *a, size_t node)
{
    const qvk__node *n = node_at(a, node);

    if (n->op != QVK__OP_ADAPTIVE_AVG_POOL2D || a->pt2e->annotated[node] || !is_float_tensor(a, &n->args[0]))
        return;
    quantize_input(a, node, 0);
    quantize_output(a, node);
    share(a->pt2e, n->args[0].u.value, n->outs[0]);
    a->pt2e->annotated[node] = true;
}

/* Both operands of an addition or product; numbers and non-float tensors stay as they are. */
static bool binary(annotator *a, size_t node)
{
    const qvk__node *n = node_at(a, node);

    for (int i = 0; i < 2; i++)
        if (n->args[i].kind == QVK__ARG_VALUE && !is_float_tensor(a, &n->args[i]))
            return false;
    for (int i = 0; i < 2; i++)
        if (n->args[i].kind == QVK__ARG_VALUE)
            quantize_input(a, node, i);
    a->pt2e->annotated[node] = true;
    return true;
}

static void binary_relu(annotator *a, size_t node, bool (*is_binary)(qvk__op))
{
    int32_t inner = is_relu(node_at(a, node)->op) ? sole_producer(a, &node_at(a, node)->args[0]) : -1;

    if (inner < 0 || !is_binary(node_at(a, (size_t)inner)->op) || a->pt2e->annotated[inner] ||
        a->pt2e->annotated[node] || !binary(a, (size_t)inner))
        return;
    quantize_output(a, node);
    a->pt2e->annotated[node] = true;
}

static void pattern_add_relu(annotator *a, size_t node)
{
    binary_relu(a, node, is_add);
}

static void pattern_mul_relu(annotator *a, size_t node)
{
    binary_relu(a, node, is_mul);
}

static void pattern_add(annotator *a, size_t node)
{
    if (is_add(node_at(a, node)->op) && !a->pt2e->annotated[node] && binary(a, node))
        quantize_output(a, node);
}

static void pattern_mul(annotator *a, size_t node)
{
    if (is_mul(node_at(a, node)->op) && !a->pt2e->annotated[node] && binary(a, node))
        quantize_output(a, node);
}

static void pattern_cat(annotator *a, size_t node)
{
    const qvk__node *n = node_at(a, node);

    if (n->op != QVK__OP_CAT || a->pt2e->annotated[node] || n->args[0].kind != QVK__ARG_LIST)
        return;
    for (uint32_t i = 0; i < n->args[0].count; i++)
        if (!is_float_tensor(a, &n->args[0].u.list[i]))
            return;
    for (uint32_t i = 0; i < n->args[0].count; i++)
        share(a->pt2e, n->args[0].u.list[0].u.value, n->args[0].u.list[i].u.value);
    share(a->pt2e, n->args[0].u.list[0].u.value, n->outs[0]);
    quantize_input(a, node, 0);
    quantize_output(a, node);
    a->pt2e->annotated[node] = true;
}

/* Operators behind a quantized output that keep its range are quantized with the same parameters. */
static void propagate(annotator *a, size_t node)
{
    const qvk__node *n = node_at(a, node);

    if (!keeps_range(n->op) || a->pt2e->annotated[node] || !is_float_tensor(a, &n->args[0]) ||
        !a->pt2e->quantized_output[n->args[0].u.value])
        return;
    quantize_input(a, node, 0);
    quantize_output(a, node);
    share(a->pt2e, n->args[0].u.value, n->outs[0]);
    a->pt2e->annotated[node] = true;
}

static void (*const static_patterns[])(annotator *a, size_t node) = {
    pattern_linear_relu,
    pattern_linear,
    pattern_conv,
    pattern_conv_transpose,
    pattern_conv_relu,
    pattern_conv_transpose_relu,
    pattern_adaptive_pool,
    pattern_add_relu,
    pattern_add,
    pattern_mul_relu,
    pattern_mul,
    pattern_cat,
    propagate,
};

/* VulkanQuantizer: weights of linears; with is_dynamic also their inputs, whose parameters are chosen at run
 * time. */
static void annotate_vulkan(annotator *a, size_t node)
{
    if (!is_linear(node_at(a, node)->op) || !constant_weight(a, node_at(a, node)))
        return;
    quantize_weight(a, node, 0);
    if (a->pt2e->config.symmetric.is_dynamic)
        quantize_input(a, node, 0);
    a->pt2e->annotated[node] = true;
}

typedef struct use_scan {
    annotator *a;
    int32_t node;
} use_scan;

static void note_use(int32_t value, void *user)
{
    use_scan *scan = user;
    scan->a->uses[value]++;
    scan->a->user[value] = scan->node;
}

static void index_uses(annotator *a)
{
    const qvk__graph *graph = &a->program->graph;

    for (size_t i = 0; i < graph->values.count; i++)
        a->producer[i] = a->user[i] = -1;
    for (size_t n = 0; n < graph->nodes.count; n++) {
        use_scan scan = {a, (int32_t)n};
        qvk__node_visit_args(&graph->nodes.data[n], note_use, &scan);
        for (int i = 0; i < graph->nodes.data[n].n_outs; i++)
            if (graph->nodes.data[n].outs[i] >= 0)
                a->producer[graph->nodes.data[n].outs[i]] = (int32_t)n;
    }
    for (size_t i = 0; i < graph->outputs.count; i++)
        a->uses[graph->outputs.data[i]]++;
}

qvk_status qvk__pt2e_annotate(const qvk__exported *program, qvk__pt2e *pt2e, qvk_error *err)
{
    size_t n = program->graph.values.count;
    annotator a = {.program = program, .pt2e = pt2e};

    a.producer = qvk__arena_alloc(&pt2e->arena, n, sizeof *a.producer);
    a.uses = qvk__arena_alloc(&pt2e->arena, n, sizeof *a.uses);
    a.user = qvk__arena_alloc(&pt2e->arena, n, sizeof *a.user);
    QVK__CHECK(a.producer && a.uses && a.user, err, QVK_OUT_OF_MEMORY, "out of memory");
    index_uses(&a);
    if (!pt2e->config.is_static)
        for (size_t i = 0; i < pt2e->n_nodes; i++)
            annotate_vulkan(&a, i);
    for (size_t p = 0; pt2e->config.is_static && p < QVK__COUNT(static_patterns); p++)
        for (size_t i = 0; i < pt2e->n_nodes; i++)
            static_patterns[p](&a, i);
    QVK__CHECK(!a.failed, err, QVK_OUT_OF_MEMORY, "out of memory");
    return QVK_OK;
}
