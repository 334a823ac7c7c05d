/* Batch norm folding before quantization: weights change by value, in place of their parameters. */
#include "core/dtype.h"
#include "ir/fold_bn.h"
#include "quantize/pt2e.h"

/* float32 bytes of a constant, and the constant they were taken from (folding replaces the value's). */
typedef struct operand {
    const qvk__constant *constant;
    const float *floats; /* NULL: None, or no float32 constant */
} operand;

static operand operand_of(const qvk__exported *program, const qvk__arg *arg)
{
    const qvk__value *value;
    const void *bytes;

    if (arg->kind != QVK__ARG_VALUE)
        return (operand){0};
    value = &program->graph.values.data[arg->u.value];
    if (!value->constant || value->desc.dtype != QVK_DTYPE_F32 ||
        qvk__constant_bytes(value->constant, &bytes, NULL) != QVK_OK)
        return (operand){0};
    return (operand){value->constant, bytes};
}

static void release(const operand *o)
{
    if (o->floats)
        qvk__constant_release(o->constant, o->floats);
}

/* A constant with these floats in the program's arena. */
static qvk__constant *own_constant(qvk__exported *program, const void *data, uint64_t bytes)
{
    qvk__constant *constant = qvk__arena_alloc(&program->graph.arena, 1, sizeof *constant);
    void *copy = qvk__arena_alloc(&program->graph.arena, bytes, 1);

    if (!constant || !copy)
        return NULL;
    if (data)
        memcpy(copy, data, bytes);
    *constant = (qvk__constant){.data = copy, .bytes = bytes};
    return constant;
}

static bool is_foldable(qvk__op op)
{
    return op == QVK__OP_CONV1D || op == QVK__OP_CONV2D || op == QVK__OP_CONV_TRANSPOSE1D ||
           op == QVK__OP_CONV_TRANSPOSE2D_INPUT || op == QVK__OP_LINEAR;
}

/* The bias parameter to write: the layer's own, or a new one named after its weight. */
static qvk_status bias_value(qvk__exported *program, qvk__node *layer, int64_t channels, int32_t *out,
                             qvk_error *err)
{
    const qvk__input_spec *weight = qvk__exported_input_of(program, layer->args[1].u.value);
    const qvk_tensor desc = {QVK_DTYPE_F32, 1, {channels}, NULL};
    qvk__constant *zeros;
    char *target, *name;
    size_t stem;

    if (layer->args[2].kind == QVK__ARG_VALUE) {
        *out = layer->args[2].u.value;
        return QVK_OK;
    }
    zeros = own_constant(program, NULL, (uint64_t)channels * sizeof(float));
    stem = weight && qvk__ends_with(weight->target, "weight") ? strlen(weight->target) - strlen("weight") : 0;
    target = qvk__arena_printf(&program->graph.arena, "%.*sbias", (int)stem, weight ? weight->target : "");
    name = target ? qvk__arena_printf(&program->graph.arena, "p_%s", target) : NULL;
    for (char *c = name; c && *c; c++)
        *c = *c == '.' ? '_' : *c;
    *out = zeros && name
               ? qvk__exported_add_constant(program, QVK__INPUT_PARAMETER, name, target, &desc, zeros)
               : -1;
    QVK__CHECK(*out >= 0, err, QVK_OUT_OF_MEMORY, "out of memory");
    layer->args[2] = qvk__arg_from_value(*out);
    return QVK_OK;
}

static qvk_status fold(qvk__exported *program, qvk__node *layer, const qvk__node *norm_node,
                       const operand operands[5], qvk_error *err)
{
    bool transposed = layer->op == QVK__OP_CONV_TRANSPOSE1D || layer->op == QVK__OP_CONV_TRANSPOSE2D_INPUT;
    int32_t weight = layer->args[1].u.value, bias;
    const qvk_tensor desc = program->graph.values.data[weight].desc;
    bool had_bias = layer->args[2].kind == QVK__ARG_VALUE;
    qvk__batch_norm norm = {desc.sizes[transposed ? 1 : 0],
                            operands[1].floats,
                            operands[2].floats,
                            operands[3].floats,
                            operands[4].floats,
                            0};
    qvk__constant *new_weight = own_constant(program, operands[0].floats, qvk_tensor_bytes(&desc)), *new_bias;
    operand old_bias;
    int64_t inner = 1;

    for (int i = transposed ? 2 : 1; i < desc.rank; i++)
        inner *= desc.sizes[i];
    QVK__TRY(qvk__arg_float(&norm_node->args[7], "eps", &norm.eps, err));
    QVK__TRY(bias_value(program, layer, norm.channels, &bias, err));
    old_bias = operand_of(program, &layer->args[2]);
    QVK__CHECK(old_bias.floats, err, QVK_UNSUPPORTED, "%s: a float32 bias is needed",
               program->graph.values.data[bias].name);
    new_bias = own_constant(program, old_bias.floats, (uint64_t)norm.channels * sizeof(float));
    release(&old_bias);
    QVK__CHECK(new_weight && new_bias, err, QVK_OUT_OF_MEMORY, "out of memory");
    qvk__fold_batch_norm(&norm, transposed ? desc.sizes[0] : 1, inner, (float *)(uintptr_t)new_weight->data,
                         (float *)(uintptr_t)new_bias->data, had_bias);
    program->graph.values.data[weight].constant = new_weight;
    program->graph.values.data[bias].constant = new_bias;
    return QVK_OK;
}

static qvk_status try_fold(qvk__exported *program, size_t index, qvk_error *err)
{
    qvk__graph *graph = &program->graph;
    qvk__node *node = &graph->nodes.data[index], *layer;
    operand operands[5]; /* layer weight; norm weight, bias, mean, variance */
    qvk_status status = QVK_OK;
    int32_t producer;

    producer = node->args[0].kind == QVK__ARG_VALUE ? qvk__graph_producer(graph, node->args[0].u.value) : -1;
    if (producer < 0)
        return QVK_OK;
    layer = &graph->nodes.data[producer];
    if (!is_foldable(layer->op) || qvk__graph_use_count(graph, layer->outs[0]) != 1 ||
        layer->args[1].kind != QVK__ARG_VALUE || qvk__graph_use_count(graph, layer->args[1].u.value) != 1)
        return QVK_OK;
    for (int i = 0; i < 5; i++)
        operands[i] = operand_of(program, i == 0 ? &layer->args[1] : &node->args[i]);
    if (operands[0].floats && operands[3].floats && operands[4].floats) {
        QVK__TRY_GO(fold(program, layer, node, operands, err));
        qvk__graph_replace_value(graph, node->outs[0], layer->outs[0]);
        node->dead = true;
    }
done:
    for (int i = 0; i < 5; i++)
        release(&operands[i]);
    return status;
}

qvk_status qvk__pt2e_fold_batch_norms(qvk__exported *program, qvk_error *err)
{
    for (size_t i = 0; i < program->graph.nodes.count; i++) {
        const qvk__node *node = &program->graph.nodes.data[i];
        bool training = true;
        if (node->op != QVK__OP_BATCH_NORM ||
            qvk__arg_bool(&node->args[5], "training", &training, NULL) != QVK_OK || training)
            continue;
        QVK__TRY(try_fold(program, i, err));
    }
    qvk__graph_compact(&program->graph);
    qvk__exported_drop_unused_constants(program);
    return QVK_OK;
}
