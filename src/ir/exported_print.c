/* An exported program as text for people. */
#include "core/dtype.h"
#include "ir/exported_facts.h"

static void print_value(const qvk__exported *program, const qvk__value *value, qvk__string *out)
{
    if (value->kind == QVK__VALUE_SYMBOL) {
        qvk__string_addf(out, "%s %s", value->desc.dtype == QVK_DTYPE_BOOL ? "bool" : "int", value->name);
        return;
    }
    qvk__string_addf(out, "%s %s", value->name, qvk_dtype_name(value->desc.dtype));
    qvk__print_sizes(program, value, out);
}

static void print_literal(const qvk__arg *arg, qvk__string *out)
{
    switch (arg->kind) {
    case QVK__ARG_INT: qvk__string_addf(out, "%lld", (long long)arg->u.i); break;
    case QVK__ARG_FLOAT: qvk__string_addf(out, "%.9g", arg->u.f); break;
    case QVK__ARG_BOOL: qvk__string_add(out, arg->u.b ? "True" : "False"); break;
    case QVK__ARG_STRING: qvk__string_addf(out, "'%s'", arg->u.s); break;
    default: qvk__string_add(out, "None");
    }
}

static void print_inputs(const qvk__exported *program, qvk__string *out)
{
    size_t index = 0;

    for (size_t i = 0; i < program->inputs.count; i++) {
        const qvk__input_spec *spec = &program->inputs.data[i];
        if (spec->kind == QVK__INPUT_USER) {
            qvk__string_addf(out, "  input %zu: ", index++);
            print_value(program, &program->graph.values.data[spec->value], out);
            qvk__string_add(out, "\n");
        } else if (spec->kind == QVK__INPUT_LITERAL) {
            qvk__string_addf(out, "  fixed %s: ", spec->target);
            print_literal(&spec->literal, out);
            qvk__string_add(out, "\n");
        }
    }
}

static void print_outputs(const qvk__exported *program, qvk__string *out)
{
    size_t index = 0;

    for (size_t i = 0; i < program->outputs.count; i++) {
        const qvk__output_spec *spec = &program->outputs.data[i];
        int32_t value = qvk__exported_output_value(program, i);
        if (spec->kind == QVK__OUTPUT_USER)
            qvk__string_addf(out, "  output %zu: ", index++);
        else
            qvk__string_addf(out, "  writes %s: ", spec->target);
        if (value >= 0)
            print_value(program, &program->graph.values.data[value], out);
        else
            print_literal(&spec->literal, out);
        qvk__string_add(out, "\n");
    }
}

static void print_ranges(const qvk__exported *program, qvk__string *out)
{
    for (size_t i = 0; i < program->ranges.count; i++) {
        const qvk__range *range = &program->ranges.data[i];
        qvk__string_addf(out, "  dynamic %s: ", range->symbol);
        if (range->min != INT64_MIN)
            qvk__string_addf(out, "%lld", (long long)range->min);
        qvk__string_add(out, " to ");
        if (range->max != INT64_MAX)
            qvk__string_addf(out, "%lld\n", (long long)range->max);
        else
            qvk__string_add(out, "no upper bound\n");
    }
}

static void print_operators(const qvk__exported *program, qvk__string *out)
{
    size_t count;
    qvk__tally *counts = qvk__tally_nodes(&program->graph, &count);

    out->failed |= counts == NULL;
    for (size_t i = 0; counts && i < count; i++)
        qvk__string_addf(out, "  %4u x %s\n", counts[i].count, counts[i].name);
    free(counts);
}

static void print_scheme(const qvk__quantized_use *use, qvk__string *out)
{
    if (!use->quantized)
        return;
    qvk__string_addf(out, ", %s", qvk__scheme_of(use).text);
    if (use->group_size)
        qvk__string_addf(out, " group size %lld", (long long)use->group_size);
    else
        qvk__string_add(out, use->per_tensor ? " per tensor" : " per channel");
}

static void print_weights(const qvk__exported *program, qvk__string *out)
{
    qvk__quantized_use *uses = qvk__quantized_uses(program);

    out->failed |= uses == NULL;
    for (size_t i = 0; uses && i < program->inputs.count; i++) {
        const qvk__input_spec *spec = &program->inputs.data[i];
        const qvk__value *value;
        if (spec->kind == QVK__INPUT_USER || spec->kind == QVK__INPUT_LITERAL)
            continue;
        value = &program->graph.values.data[spec->value];
        qvk__string_addf(out, "  %s %s: %s%s, %llu bytes", qvk__input_kind_name(spec->kind), spec->target,
                         qvk_dtype_name(value->desc.dtype), qvk__shape_text(&value->desc).text,
                         (unsigned long long)value->constant->bytes);
        print_scheme(&uses[spec->value], out);
        qvk__string_add(out, "\n");
    }
    free(uses);
}

void qvk__exported_print(const qvk__exported *program, bool graph, qvk__string *out)
{
    qvk__string_addf(out, "exported program: %zu operators, %llu bytes of weights, %zu sample input%s\n",
                     program->graph.nodes.count, (unsigned long long)qvk__exported_bytes(program),
                     program->samples.count, program->samples.count == 1 ? "" : "s");
    print_inputs(program, out);
    print_outputs(program, out);
    print_ranges(program, out);
    print_weights(program, out);
    print_operators(program, out);
    if (graph)
        qvk__graph_print(&program->graph, out);
}
