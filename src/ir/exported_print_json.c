/* An exported program as one JSON object. */
#include "core/dtype.h"
#include "ir/exported_facts.h"

static void add_member(qvk__string *out, const char *key, const char *text)
{
    qvk__string_addf(out, "\"%s\": ", key);
    qvk__string_add_quoted(out, text);
}

static void add_arg(qvk__string *out, const qvk__graph *graph, const qvk__arg *arg)
{
    switch (arg->kind) {
    case QVK__ARG_INT: qvk__string_addf(out, "%lld", (long long)arg->u.i); return;
    case QVK__ARG_FLOAT: qvk__string_add_number(out, arg->u.f); return;
    case QVK__ARG_BOOL: qvk__string_add(out, arg->u.b ? "true" : "false"); return;
    case QVK__ARG_STRING: qvk__string_add_quoted(out, arg->u.s); return;
    case QVK__ARG_VALUE:
        qvk__string_add(out, "{\"value\": ");
        qvk__string_add_quoted(out, graph->values.data[arg->u.value].name);
        qvk__string_add(out, "}");
        return;
    case QVK__ARG_INTS:
    case QVK__ARG_FLOATS:
    case QVK__ARG_BOOLS:
    case QVK__ARG_LIST: break;
    default: qvk__string_add(out, "null"); return;
    }
    qvk__string_add(out, "[");
    for (uint32_t i = 0; i < arg->count; i++) {
        qvk__string_add(out, i ? ", " : "");
        if (arg->kind == QVK__ARG_INTS)
            qvk__string_addf(out, "%lld", (long long)arg->u.ints[i]);
        else if (arg->kind == QVK__ARG_FLOATS)
            qvk__string_add_number(out, arg->u.floats[i]);
        else if (arg->kind == QVK__ARG_BOOLS)
            qvk__string_add(out, arg->u.bools[i] ? "true" : "false");
        else
            add_arg(out, graph, &arg->u.list[i]);
    }
    qvk__string_add(out, "]");
}

/* ---- values -------------------------------------------------------------------------------------------- */

/* "shape" has upper bounds; "symbolic" says the same with symbols, where there are any. */
static void add_value(qvk__string *out, const qvk__exported *program, const qvk__value *value)
{
    qvk__string sizes = {0};
    bool dynamic = false;

    qvk__string_add(out, "{");
    add_member(out, "name", value->name);
    if (value->kind == QVK__VALUE_SYMBOL) {
        qvk__string_add(out, ", \"kind\": \"int\"}");
        return;
    }
    qvk__string_add(out, ", ");
    add_member(out, "dtype", qvk_dtype_name(value->desc.dtype));
    qvk__string_addf(out, ", \"shape\": %s", qvk__shape_text(&value->desc).text);
    for (int i = 0; i < value->desc.rank; i++)
        dynamic |= value->syms[i] >= 0;
    if (dynamic) {
        qvk__print_sizes(program, value, &sizes);
        qvk__string_add(out, ", ");
        add_member(out, "symbolic", sizes.data ? sizes.data : "");
        out->failed |= sizes.failed;
    }
    free(sizes.data);
    qvk__string_add(out, "}");
}

static void add_inputs(qvk__string *out, const qvk__exported *program)
{
    qvk__string_add(out, "\"inputs\": [");
    for (size_t i = 0; i < program->graph.inputs.count; i++) {
        qvk__string_add(out, i ? ", " : "");
        add_value(out, program, &program->graph.values.data[program->graph.inputs.data[i]]);
    }
    qvk__string_add(out, "], ");
}

static void add_outputs(qvk__string *out, const qvk__exported *program)
{
    bool first = true;

    qvk__string_add(out, "\"outputs\": [");
    for (size_t i = 0; i < program->outputs.count; i++) {
        int32_t value = qvk__exported_output_value(program, i);
        if (program->outputs.data[i].kind != QVK__OUTPUT_USER)
            continue;
        qvk__string_add(out, first ? "" : ", ");
        first = false;
        if (value >= 0) {
            add_value(out, program, &program->graph.values.data[value]);
        } else {
            qvk__string_add(out, "{\"literal\": ");
            add_arg(out, &program->graph, &program->outputs.data[i].literal);
            qvk__string_add(out, "}");
        }
    }
    qvk__string_add(out, "], ");
}

static void add_ranges(qvk__string *out, const qvk__exported *program)
{
    qvk__string_add(out, "\"dynamic\": {");
    for (size_t i = 0; i < program->ranges.count; i++) {
        const qvk__range *range = &program->ranges.data[i];
        qvk__string_add(out, i ? ", " : "");
        qvk__string_add_quoted(out, range->symbol);
        qvk__string_add(out, ": [");
        if (range->min == INT64_MIN)
            qvk__string_add(out, "null, ");
        else
            qvk__string_addf(out, "%lld, ", (long long)range->min);
        if (range->max == INT64_MAX)
            qvk__string_add(out, "null]");
        else
            qvk__string_addf(out, "%lld]", (long long)range->max);
    }
    qvk__string_add(out, "}, ");
}

/* ---- weights and operators ----------------------------------------------------------------------------- */

static void add_weight(qvk__string *out, const qvk__exported *program, const qvk__input_spec *spec,
                       const qvk__quantized_use *use)
{
    const qvk__value *value = &program->graph.values.data[spec->value];

    qvk__string_add(out, "{");
    add_member(out, "name", spec->target);
    qvk__string_add(out, ", ");
    add_member(out, "kind", qvk__input_kind_name(spec->kind));
    qvk__string_add(out, ", ");
    add_member(out, "dtype", qvk_dtype_name(value->desc.dtype));
    qvk__string_addf(out, ", \"shape\": %s, \"bytes\": %llu", qvk__shape_text(&value->desc).text,
                     (unsigned long long)value->constant->bytes);
    if (use->quantized) {
        qvk__string_addf(out, ", \"scheme\": \"%s\", \"bits\": %d, \"granularity\": \"%s\", \"group_size\": ",
                         qvk__scheme_of(use).text, use->bits,
                         use->group_size   ? "per_group"
                         : use->per_tensor ? "per_tensor"
                                           : "per_channel");
        if (use->group_size)
            qvk__string_addf(out, "%lld", (long long)use->group_size);
        else
            qvk__string_add(out, "null");
    }
    qvk__string_add(out, "}");
}

static void add_weights(qvk__string *out, const qvk__exported *program)
{
    qvk__quantized_use *uses = qvk__quantized_uses(program);
    bool first = true;

    out->failed |= uses == NULL;
    qvk__string_addf(out, "\"bytes\": %llu, \"weights\": [",
                     (unsigned long long)qvk__exported_bytes(program));
    for (size_t i = 0; uses && i < program->inputs.count; i++) {
        const qvk__input_spec *spec = &program->inputs.data[i];
        if (spec->kind == QVK__INPUT_USER || spec->kind == QVK__INPUT_LITERAL)
            continue;
        qvk__string_add(out, first ? "" : ", ");
        first = false;
        add_weight(out, program, spec, &uses[spec->value]);
    }
    qvk__string_add(out, "], ");
    free(uses);
}

static void add_operators(qvk__string *out, const qvk__exported *program)
{
    size_t count;
    qvk__tally *counts = qvk__tally_nodes(&program->graph, &count);

    out->failed |= counts == NULL;
    qvk__string_add(out, "\"operators\": [");
    for (size_t i = 0; counts && i < count; i++) {
        qvk__string_add(out, i ? ", {" : "{");
        add_member(out, "name", counts[i].name);
        qvk__string_addf(out, ", \"count\": %u}", counts[i].count);
    }
    qvk__string_add(out, "]");
    free(counts);
}

static void add_node(qvk__string *out, const qvk__exported *program, const qvk__node *node)
{
    qvk__string_add(out, "{");
    add_member(out, "operator", node->target);
    qvk__string_add(out, ", \"args\": [");
    for (int i = 0; i < node->n_args; i++) {
        qvk__string_add(out, i ? ", " : "");
        add_arg(out, &program->graph, &node->args[i]);
    }
    qvk__string_add(out, "], \"outputs\": [");
    for (int i = 0; i < node->n_outs; i++) {
        qvk__string_add(out, i ? ", " : "");
        if (node->outs[i] >= 0)
            add_value(out, program, &program->graph.values.data[node->outs[i]]);
        else
            qvk__string_add(out, "null");
    }
    qvk__string_add(out, "]");
    if (node->trace) {
        qvk__string_add(out, ", ");
        add_member(out, "trace", node->trace);
    }
    qvk__string_add(out, "}");
}

static void add_nodes(qvk__string *out, const qvk__exported *program)
{
    bool first = true;

    qvk__string_add(out, ", \"nodes\": [");
    for (size_t n = 0; n < program->graph.nodes.count; n++) {
        if (program->graph.nodes.data[n].dead)
            continue;
        qvk__string_add(out, first ? "" : ", ");
        first = false;
        add_node(out, program, &program->graph.nodes.data[n]);
    }
    qvk__string_add(out, "]");
}

void qvk__exported_print_json(const qvk__exported *program, bool graph, qvk__string *out)
{
    qvk__string_addf(out, "{\"format\": \"pt2\", \"samples\": %zu, ", program->samples.count);
    qvk__string_add(out, "\"methods\": [{\"name\": \"forward\", ");
    add_inputs(out, program);
    add_outputs(out, program);
    add_ranges(out, program);
    add_weights(out, program);
    add_operators(out, program);
    if (graph)
        add_nodes(out, program);
    qvk__string_add(out, "}]}\n");
}
