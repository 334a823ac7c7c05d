/* A program as text for people. */
#include "program/print.h"

#include "core/dtype.h"

/* ---- values -------------------------------------------------------------------------------------------- */

static void print_ids(const int32_t *ids, uint32_t count, qvk__string *out)
{
    for (uint32_t i = 0; i < count; i++)
        qvk__string_addf(out, "%s%%%d", i ? ", " : "", ids[i]);
}

static void print_value(const qvk__evalue *value, qvk__string *out)
{
    switch (value->kind) {
    case QVK__EVALUE_NULL: qvk__string_add(out, "None"); break;
    case QVK__EVALUE_INT: qvk__string_addf(out, "int %lld", (long long)value->int_value); break;
    case QVK__EVALUE_BOOL: qvk__string_add(out, value->int_value ? "bool True" : "bool False"); break;
    case QVK__EVALUE_DOUBLE: qvk__string_addf(out, "float %.9g", value->double_value); break;
    case QVK__EVALUE_STRING: qvk__string_addf(out, "string '%s'", value->string); break;
    case QVK__EVALUE_TENSOR:
        qvk__string_addf(out, "%s%s%s%s%s", qvk_dtype_name(value->desc.dtype),
                         qvk__shape_text(&value->desc).text, value->dynamic ? " at most" : "",
                         value->constant ? " constant" : "",
                         value->constant && value->planned ? ", mutable" : "");
        break;
    case QVK__EVALUE_INT_LIST:
    case QVK__EVALUE_TENSOR_LIST:
    case QVK__EVALUE_OPTIONAL_TENSOR_LIST:
        qvk__string_addf(out, "%s [", qvk__evalue_kind_name(value->kind));
        print_ids(value->ids, value->count, out);
        qvk__string_add(out, "]");
        break;
    case QVK__EVALUE_DOUBLE_LIST:
        qvk__string_add(out, "float[] [");
        for (uint32_t i = 0; i < value->count; i++)
            qvk__string_addf(out, "%s%.9g", i ? ", " : "", value->doubles[i]);
        qvk__string_add(out, "]");
        break;
    case QVK__EVALUE_BOOL_LIST:
        qvk__string_add(out, "bool[] [");
        for (uint32_t i = 0; i < value->count; i++)
            qvk__string_addf(out, "%s%s", i ? ", " : "", value->bools[i] ? "True" : "False");
        qvk__string_add(out, "]");
        break;
    }
}

static void print_ends(const qvk__method *method, const char *what, const int32_t *ids, uint32_t count,
                       qvk__string *out)
{
    for (uint32_t i = 0; i < count; i++) {
        qvk__string_addf(out, "  %s %u: ", what, i);
        print_value(&method->values[ids[i]], out);
        qvk__string_add(out, "\n");
    }
}

/* ---- delegates ----------------------------------------------------------------------------------------- */

static void print_weights(const qvk__graph *graph, qvk__string *out)
{
    for (size_t n = 0; n < graph->nodes.count; n++) {
        qvk__weight_info weight;
        const qvk__value *value;
        if (!qvk__weight_of_node(graph, &graph->nodes.data[n], &weight))
            continue;
        value = &graph->values.data[weight.value];
        qvk__string_addf(out, "    weight %%%s: %s, ", value->name, weight.scheme);
        if (weight.group_size)
            qvk__string_addf(out, "group size %lld", (long long)weight.group_size);
        else
            qvk__string_add(out, "per channel");
        qvk__string_addf(out, ", %s%s, %llu bytes, used by %s\n", qvk_dtype_name(value->desc.dtype),
                         qvk__shape_text(&value->desc).text, (unsigned long long)value->constant->bytes,
                         graph->nodes.data[n].target);
    }
}

/* The graph's own listing, indented. */
static void print_graph(const qvk__graph *graph, qvk__string *out)
{
    qvk__string listing = {0};
    const char *line = NULL, *end;

    qvk__graph_print(graph, &listing);
    out->failed |= listing.failed;
    for (line = listing.data; line && *line; line = end + 1) {
        end = strchr(line, '\n');
        qvk__string_addf(out, "    %.*s\n", (int)(end ? end - line : (ptrdiff_t)strlen(line)), line);
        if (!end)
            break;
    }
    free(listing.data);
}

static void print_operators(const qvk__graph *graph, qvk__string *out)
{
    size_t count;
    qvk__tally *tally = qvk__tally_nodes(graph, &count);

    out->failed |= tally == NULL;
    for (size_t i = 0; tally && i < count; i++)
        qvk__string_addf(out, "    %4u x %s\n", tally[i].count, tally[i].name);
    free(tally);
}

static void print_delegate(const qvk__delegate *delegate, uint32_t index, bool graph, qvk__string *out)
{
    uint32_t n_constants;
    uint64_t bytes = qvk__graph_constant_bytes(&delegate->graph, &n_constants);

    qvk__string_addf(out, "  delegate %u: %s, ", index, delegate->id);
    if (!delegate->parsed) {
        qvk__string_addf(out, "%llu bytes\n", (unsigned long long)delegate->blob_bytes);
        return;
    }
    qvk__string_addf(out, "%zu operators, %u constants of %llu bytes\n", delegate->graph.nodes.count,
                     n_constants, (unsigned long long)bytes);
    print_operators(&delegate->graph, out);
    print_weights(&delegate->graph, out);
    if (graph)
        print_graph(&delegate->graph, out);
}

/* ---- what is outside ----------------------------------------------------------------------------------- */

static void print_outside(const qvk__method *method, qvk__string *out)
{
    uint32_t *calls = qvk__count_kernel_calls(method);

    out->failed |= calls == NULL;
    for (uint32_t i = 0; calls && i < method->n_operators; i++) {
        const qvk__operator_ref *ref = &method->operators[i];
        const char *name = ref->name ? ref->name : qvk__op_name(ref->op);
        if (calls[i])
            qvk__string_addf(out, "  outside: %u x %s%s%s (%s)\n", calls[i], name,
                             ref->overload && *ref->overload ? "." : "", ref->overload ? ref->overload : "",
                             qvk__outside_reason(method, i));
    }
    free(calls);
}

static void print_instruction(const qvk__method *method, uint32_t index, qvk__string *out)
{
    const qvk__instruction *instruction = &method->instructions[index];

    qvk__string_addf(out, "  %u: %s ", index, qvk__instruction_kind_name(instruction->kind));
    switch (instruction->kind) {
    case QVK__INSTRUCTION_KERNEL: {
        const qvk__operator_ref *ref = &method->operators[instruction->index];
        qvk__string_addf(out, "%s.%s(", ref->name ? ref->name : qvk__op_name(ref->op),
                         ref->overload ? ref->overload : "");
        print_ids(instruction->args, instruction->n_args, out);
        qvk__string_add(out, ")\n");
        break;
    }
    case QVK__INSTRUCTION_DELEGATE:
        qvk__string_addf(out, "%d(", instruction->index);
        print_ids(instruction->args, instruction->n_args, out);
        qvk__string_add(out, ")\n");
        break;
    case QVK__INSTRUCTION_MOVE:
        qvk__string_addf(out, "%%%d -> %%%d\n", instruction->index, instruction->target);
        break;
    case QVK__INSTRUCTION_JUMP_FALSE:
        qvk__string_addf(out, "%%%d: go to %d\n", instruction->index, instruction->target);
        break;
    case QVK__INSTRUCTION_FREE: qvk__string_addf(out, "%%%d\n", instruction->index); break;
    }
}

/* ---- the whole ----------------------------------------------------------------------------------------- */

static void print_method(const qvk__method *method, bool graph, qvk__string *out)
{
    uint64_t planned = 0;

    for (uint32_t i = 0; i < method->n_buffers; i++)
        planned += method->buffer_bytes[i];
    qvk__string_addf(out, "method %s: %u instructions, %llu bytes of planned memory\n", method->name,
                     method->n_instructions, (unsigned long long)planned);
    print_ends(method, "input", method->inputs, method->n_inputs, out);
    print_ends(method, "output", method->outputs, method->n_outputs, out);
    for (uint32_t i = 0; i < method->n_delegates; i++)
        print_delegate(&method->delegates[i], i, graph, out);
    print_outside(method, out);
    if (!graph)
        return;
    for (uint32_t i = 0; i < method->n_values; i++) {
        qvk__string_addf(out, "  %%%u = ", i);
        print_value(&method->values[i], out);
        qvk__string_add(out, "\n");
    }
    for (uint32_t i = 0; i < method->n_instructions; i++)
        print_instruction(method, i, out);
}

void qvk__program_print(const qvk__program *program, bool graph, qvk__string *out)
{
    uint64_t bytes = 0;

    for (size_t i = 0; i < program->named.count; i++)
        bytes += program->named.data[i].bytes;
    qvk__string_addf(out,
                     "ExecuTorch program, version %u: %u method%s, %zu pieces of named data, %llu bytes\n",
                     program->version, program->n_methods, program->n_methods == 1 ? "" : "s",
                     program->named.count, (unsigned long long)bytes);
    for (uint32_t i = 0; i < program->n_methods; i++)
        print_method(&program->methods[i], graph, out);
}
