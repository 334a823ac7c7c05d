/* Facts about an exported program that both its printed forms tell. */
#include "ir/exported_facts.h"

#include <stdio.h>

/* ---- quantized weights --------------------------------------------------------------------------------- */

/* Where a dequantize operator has its parameters; -1: it has none such. */
typedef struct dequantize_rule {
    qvk__op op;
    int8_t scale, block, low, high;
    bool per_tensor;
} dequantize_rule;

static const dequantize_rule rules[] = {
    {QVK__OP_TORCHAO_DEQUANTIZE_AFFINE, 2, 1, 5, 6, false},
    {QVK__OP_QD_DEQUANTIZE_PER_CHANNEL, 1, -1, 4, 5, false},
    {QVK__OP_QD_DEQUANTIZE_PER_TOKEN, 1, -1, 3, 4, false},
    {QVK__OP_QD_DEQUANTIZE_PER_TENSOR, 1, -1, 3, 4, true},
    {QVK__OP_QD_DEQUANTIZE_PER_TENSOR_TENSOR, 1, -1, 3, 4, true},
};

static const dequantize_rule *rule_of(const qvk__node *node)
{
    for (size_t i = 0; i < QVK__COUNT(rules); i++)
        if (node->op == rules[i].op)
            return &rules[i];
    return NULL;
}

typedef struct links {
    const qvk__exported *program;
    const qvk__node **producers; /* per value, NULL: none */
    const qvk__node **users;     /* per value: the last one */
    const qvk__node *node;       /* being visited */
} links;

static void link_user(int32_t value, void *user)
{
    links *l = user;
    l->users[value] = l->node;
}

static bool link_nodes(links *l)
{
    const qvk__graph *graph = &l->program->graph;

    l->producers = qvk__alloc_zeroed(graph->values.count, sizeof *l->producers);
    l->users = qvk__alloc_zeroed(graph->values.count, sizeof *l->users);
    if (!l->producers || !l->users)
        return false;
    for (size_t n = 0; n < graph->nodes.count; n++) {
        l->node = &graph->nodes.data[n];
        if (l->node->dead)
            continue;
        for (int i = 0; i < l->node->n_outs; i++)
            if (l->node->outs[i] >= 0)
                l->producers[l->node->outs[i]] = l->node;
        qvk__node_visit_args(l->node, link_user, l);
    }
    return true;
}

static int bits_of(const qvk__node *node, const dequantize_rule *rule)
{
    int64_t low, high;

    if (qvk__arg_int(&node->args[rule->low], "", &low, NULL) != QVK_OK ||
        qvk__arg_int(&node->args[rule->high], "", &high, NULL) != QVK_OK)
        return 8;
    for (int bits = 1; bits < 8; bits++)
        if (low >= -(1 << (bits - 1)) && high <= (1 << (bits - 1)) - 1)
            return bits;
    return 8;
}

/* The last block size, unless it spans the row. */
static int64_t group_of(const qvk__exported *program, const qvk__node *node, const dequantize_rule *rule)
{
    const qvk_tensor *desc = &program->graph.values.data[node->args[0].u.value].desc;
    int64_t block[QVK_MAX_RANK];
    int n;

    if (rule->block < 0 || desc->rank == 0 ||
        qvk__arg_ints(&node->args[rule->block], "", block, QVK_MAX_RANK, &n, NULL) != QVK_OK ||
        n != desc->rank)
        return 0;
    return block[n - 1] == desc->sizes[n - 1] ? 0 : block[n - 1];
}

/* How the layer that uses a dequantized weight quantizes its input. */
static void describe_input(const links *l, int32_t weight, qvk__quantized_use *use)
{
    const qvk__node *layer = l->users[weight], *dequantize, *quantize;
    const dequantize_rule *rule;

    if (!layer || layer->n_args == 0 || layer->args[0].kind != QVK__ARG_VALUE ||
        layer->args[0].u.value == weight)
        return;
    dequantize = l->producers[layer->args[0].u.value];
    rule = dequantize ? rule_of(dequantize) : NULL;
    if (!rule || dequantize->args[0].kind != QVK__ARG_VALUE)
        return;
    quantize = l->producers[dequantize->args[0].u.value];
    if (!quantize)
        return;
    use->static_input = dequantize->args[rule->scale].kind == QVK__ARG_FLOAT;
    use->dynamic_input = dequantize->args[rule->scale].kind == QVK__ARG_VALUE &&
                         l->producers[dequantize->args[rule->scale].u.value] != NULL;
}

static void describe_weight(const links *l, const qvk__node *node, qvk__quantized_use *uses)
{
    const dequantize_rule *rule = rule_of(node);
    qvk__quantized_use *use;

    if (node->dead || !rule || node->args[0].kind != QVK__ARG_VALUE ||
        !l->program->graph.values.data[node->args[0].u.value].constant)
        return;
    use = &uses[node->args[0].u.value];
    use->quantized = true;
    use->bits = bits_of(node, rule);
    use->per_tensor = rule->per_tensor;
    use->group_size = group_of(l->program, node, rule);
    describe_input(l, node->outs[0], use);
}

qvk__quantized_use *qvk__quantized_uses(const qvk__exported *program)
{
    links l = {.program = program};
    qvk__quantized_use *uses = qvk__alloc_zeroed(program->graph.values.count, sizeof *uses);

    if (!link_nodes(&l)) {
        free(uses);
        uses = NULL;
    }
    for (size_t n = 0; uses && n < program->graph.nodes.count; n++)
        describe_weight(&l, &program->graph.nodes.data[n], uses);
    free(l.producers);
    free(l.users);
    return uses;
}

qvk__scheme_name qvk__scheme_of(const qvk__quantized_use *use)
{
    qvk__scheme_name name;

    snprintf(name.text, sizeof name.text, "%s%dw",
             use->dynamic_input  ? "8da"
             : use->static_input ? "8a"
                                 : "",
             use->bits);
    return name;
}

/* ---- counts -------------------------------------------------------------------------------------------- */

uint64_t qvk__exported_bytes(const qvk__exported *program)
{
    const qvk__constant **all = qvk__alloc_zeroed(program->inputs.count, sizeof *all);
    uint64_t bytes;
    uint32_t count;
    size_t n = 0;

    for (size_t i = 0; all && i < program->inputs.count; i++) {
        const qvk__input_spec *spec = &program->inputs.data[i];
        if (spec->kind != QVK__INPUT_LITERAL && program->graph.values.data[spec->value].constant)
            all[n++] = program->graph.values.data[spec->value].constant;
    }
    bytes = qvk__constants_bytes(all, n, &count);
    free(all);
    return bytes;
}

/* ---- names --------------------------------------------------------------------------------------------- */

const char *qvk__input_kind_name(qvk__input_kind kind)
{
    switch (kind) {
    case QVK__INPUT_USER: return "input";
    case QVK__INPUT_PARAMETER: return "parameter";
    case QVK__INPUT_BUFFER: return "buffer";
    case QVK__INPUT_TENSOR_CONSTANT: return "constant";
    case QVK__INPUT_LITERAL: return "number";
    }
    return "?";
}

void qvk__print_sizes(const qvk__exported *program, const qvk__value *value, qvk__string *out)
{
    qvk__string_add(out, "[");
    for (int i = 0; i < value->desc.rank; i++) {
        qvk__string_add(out, i ? ", " : "");
        if (value->syms[i] >= 0)
            qvk__expression_print(program, value->syms[i], out);
        else
            qvk__string_addf(out, "%lld", (long long)value->desc.sizes[i]);
    }
    qvk__string_add(out, "]");
}
