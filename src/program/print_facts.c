/* Facts about a program that both its printed forms tell. */
#include "program/print.h"

/* ---- quantized weights --------------------------------------------------------------------------------- */

typedef struct weight_rule {
    qvk__op op;
    const char *scheme;
    int8_t weight; /* argument */
    int8_t group;  /* argument with the group size; -1: per channel */
} weight_rule;

static const weight_rule weight_rules[] = {
    {QVK__OP_ET_LINEAR_Q4GSW, "4w", 1, 3},
    {QVK__OP_ET_LINEAR_QCS4W, "4w", 1, -1},
    {QVK__OP_ET_EMBEDDING_Q4GSW, "4w", 0, 2},
    {QVK__OP_ET_LINEAR_DQ8CA_Q4GSW, "8da4w", 3, 6},
    {QVK__OP_QVK_LINEAR_Q8GSW, "8w", 1, 3},
    {QVK__OP_PRIV_WEIGHT_INT8PACK_MM, "8w", 1, -1},
    {QVK__OP_QVK_LINEAR_DQ8CA_Q8GSW, "8da8w", 3, 6},
    {QVK__OP_QVK_LINEAR_D8_Q4GSW, "8da4w", 1, 3},
    {QVK__OP_QVK_LINEAR_D8_Q8GSW, "8da8w", 1, 3},
    {QVK__OP_ET_LINEAR_Q8TA_Q8CSW, "8a8w", 3, -1},
    {QVK__OP_ET_Q8TA_LINEAR, "8a8w", 3, -1},
    {QVK__OP_ET_Q8TA_LINEAR_GEMV, "8a8w", 3, -1},
    {QVK__OP_ET_Q8TA_CONV2D, "8a8w", 3, -1},
    {QVK__OP_ET_Q8TA_CONV2D_PW, "8a8w", 3, -1},
    {QVK__OP_ET_Q8TA_CONV2D_DW, "8a8w", 3, -1},
    {QVK__OP_ET_Q8TA_CONV2D_TRANSPOSED, "8a8w", 3, -1},
    /* Weights the exporter left for the runtime to dequantize. */
    {QVK__OP_QD_DEQUANTIZE_PER_CHANNEL, "8w", 0, -1},
    {QVK__OP_TORCHAO_DEQUANTIZE_AFFINE, "8w", 0, 1},
};

/* The constant behind a value: itself, or what an et_vk.prepack copied. -1 when there is none. */
static int32_t constant_behind(const qvk__graph *graph, int32_t value)
{
    int32_t node;

    if (graph->values.data[value].constant)
        return value;
    node = qvk__graph_producer(graph, value);
    if (node < 0 || graph->nodes.data[node].op != QVK__OP_ET_PREPACK ||
        graph->nodes.data[node].args[0].kind != QVK__ARG_VALUE)
        return -1;
    value = graph->nodes.data[node].args[0].u.value;
    return graph->values.data[value].constant ? value : -1;
}

/* A group size is a number, or the last entry of a block size; a group as long as the row is the channel. */
static int64_t group_size(const qvk__graph *graph, const qvk__node *node, const weight_rule *rule,
                          int32_t weight)
{
    const qvk_tensor *desc = &graph->values.data[weight].desc;
    const qvk__arg *arg;

    if (rule->group < 0)
        return 0;
    arg = &node->args[rule->group];
    if (arg->kind == QVK__ARG_INT)
        return arg->u.i;
    if (arg->kind != QVK__ARG_INTS || arg->count == 0 || (int32_t)arg->count != desc->rank)
        return 0;
    return arg->u.ints[arg->count - 1] == desc->sizes[desc->rank - 1] ? 0 : arg->u.ints[arg->count - 1];
}

bool qvk__weight_of_node(const qvk__graph *graph, const qvk__node *node, qvk__weight_info *out)
{
    for (size_t i = 0; i < QVK__COUNT(weight_rules); i++) {
        const weight_rule *rule = &weight_rules[i];
        int32_t value;
        if (node->op != rule->op || node->dead || node->args[rule->weight].kind != QVK__ARG_VALUE)
            continue;
        value = constant_behind(graph, node->args[rule->weight].u.value);
        if (value < 0)
            return false;
        *out = (qvk__weight_info){rule->scheme, group_size(graph, node, rule, value), value};
        return true;
    }
    return false;
}

/* ---- counts -------------------------------------------------------------------------------------------- */

uint32_t *qvk__count_kernel_calls(const qvk__method *method)
{
    uint32_t *calls = qvk__alloc_zeroed((uint64_t)method->n_operators + 1, sizeof *calls);

    for (uint32_t i = 0; calls && i < method->n_instructions; i++)
        if (method->instructions[i].kind == QVK__INSTRUCTION_KERNEL)
            calls[method->instructions[i].index]++;
    return calls;
}

/* ---- operators outside delegates ----------------------------------------------------------------------- */

/* A data type among a call's tensors that Vulkan delegates do not take; NONE when there is none. */
static qvk_dtype foreign_dtype(const qvk__method *method, const qvk__instruction *call)
{
    for (uint32_t i = 0; i < call->n_args; i++) {
        const qvk__evalue *value = &method->values[call->args[i]];
        if (value->kind == QVK__EVALUE_TENSOR &&
            (value->desc.dtype == QVK_DTYPE_I64 || value->desc.dtype == QVK_DTYPE_F64 ||
             value->desc.dtype == QVK_DTYPE_I16 || value->desc.dtype == QVK_DTYPE_BF16))
            return value->desc.dtype;
    }
    return QVK_DTYPE_NONE;
}

bool qvk__operator_is_known(const qvk__operator_ref *ref)
{
    return ref->op != QVK__OP_NONE || qvk__starts_with(ref->name ? ref->name : "", "executorch_prim::");
}

const char *qvk__outside_reason(const qvk__method *method, uint32_t operator_index)
{
    const qvk__operator_ref *ref = &method->operators[operator_index];

    if (!qvk__operator_is_known(ref))
        return "unknown to qvk";
    if (ref->op == QVK__OP_NONE)
        return "arithmetic on sizes";
    for (uint32_t i = 0; i < method->n_instructions; i++) {
        const qvk__instruction *call = &method->instructions[i];
        if (call->kind != QVK__INSTRUCTION_KERNEL || (uint32_t)call->index != operator_index)
            continue;
        if (foreign_dtype(method, call))
            return qvk_dtype_name(foreign_dtype(method, call));
    }
    return "not taken by the exporter";
}

/* ---- names --------------------------------------------------------------------------------------------- */

const char *qvk__evalue_kind_name(qvk__evalue_kind kind)
{
    static const char *const names[] = {
        [QVK__EVALUE_NULL] = "none",
        [QVK__EVALUE_INT] = "int",
        [QVK__EVALUE_BOOL] = "bool",
        [QVK__EVALUE_DOUBLE] = "float",
        [QVK__EVALUE_TENSOR] = "tensor",
        [QVK__EVALUE_STRING] = "string",
        [QVK__EVALUE_INT_LIST] = "int[]",
        [QVK__EVALUE_DOUBLE_LIST] = "float[]",
        [QVK__EVALUE_BOOL_LIST] = "bool[]",
        [QVK__EVALUE_TENSOR_LIST] = "tensor[]",
        [QVK__EVALUE_OPTIONAL_TENSOR_LIST] = "tensor?[]",
    };
    return names[kind];
}

const char *qvk__instruction_kind_name(qvk__instruction_kind kind)
{
    static const char *const names[] = {
        [QVK__INSTRUCTION_KERNEL] = "kernel", [QVK__INSTRUCTION_DELEGATE] = "delegate",
        [QVK__INSTRUCTION_MOVE] = "move",     [QVK__INSTRUCTION_JUMP_FALSE] = "jump_false",
        [QVK__INSTRUCTION_FREE] = "free",
    };
    return names[kind];
}
