/* A program as one JSON object. */
#include "program/print.h"

#include "core/dtype.h"

static void add_key(qvk__string *out, const char *key)
{
    qvk__string_add_quoted(out, key);
    qvk__string_add(out, ": ");
}

static void add_shape(qvk__string *out, const qvk_tensor *desc)
{
    add_key(out, "dtype");
    qvk__string_add_quoted(out, qvk_dtype_name(desc->dtype));
    qvk__string_addf(out, ", \"shape\": %s", qvk__shape_text(desc).text);
}

static void add_ids(qvk__string *out, const int32_t *ids, uint32_t count)
{
    qvk__string_add(out, "[");
    for (uint32_t i = 0; i < count; i++)
        qvk__string_addf(out, "%s%d", i ? ", " : "", ids[i]);
    qvk__string_add(out, "]");
}

/* ---- values -------------------------------------------------------------------------------------------- */

static void add_list(qvk__string *out, const qvk__evalue *value)
{
    qvk__string_add(out, ", \"value\": ");
    if (value->ids) {
        add_ids(out, value->ids, value->count);
        return;
    }
    qvk__string_add(out, "[");
    for (uint32_t i = 0; i < value->count; i++) {
        qvk__string_add(out, i ? ", " : "");
        if (value->kind == QVK__EVALUE_DOUBLE_LIST)
            qvk__string_add_number(out, value->doubles[i]);
        else
            qvk__string_add(out, value->bools[i] ? "true" : "false");
    }
    qvk__string_add(out, "]");
}

static void add_value(qvk__string *out, const qvk__evalue *value)
{
    qvk__string_add(out, "{\"kind\": ");
    qvk__string_add_quoted(out, qvk__evalue_kind_name(value->kind));
    switch (value->kind) {
    case QVK__EVALUE_NULL: break;
    case QVK__EVALUE_INT: qvk__string_addf(out, ", \"value\": %lld", (long long)value->int_value); break;
    case QVK__EVALUE_BOOL:
        qvk__string_addf(out, ", \"value\": %s", value->int_value ? "true" : "false");
        break;
    case QVK__EVALUE_DOUBLE:
        qvk__string_add(out, ", \"value\": ");
        qvk__string_add_number(out, value->double_value);
        break;
    case QVK__EVALUE_STRING:
        qvk__string_add(out, ", \"value\": ");
        qvk__string_add_quoted(out, value->string);
        break;
    case QVK__EVALUE_TENSOR:
        qvk__string_add(out, ", ");
        add_shape(out, &value->desc);
        qvk__string_addf(out, ", \"dynamic\": %s, \"constant\": %s, \"mutable\": %s",
                         value->dynamic ? "true" : "false", value->constant ? "true" : "false",
                         value->constant && value->planned ? "true" : "false");
        break;
    default: add_list(out, value); break;
    }
    qvk__string_add(out, "}");
}

static void add_ends(qvk__string *out, const qvk__method *method, const char *key, const int32_t *ids,
                     uint32_t count)
{
    add_key(out, key);
    qvk__string_add(out, "[");
    for (uint32_t i = 0; i < count; i++) {
        qvk__string_add(out, i ? ", " : "");
        add_value(out, &method->values[ids[i]]);
    }
    qvk__string_add(out, "], ");
}

/* ---- delegates ----------------------------------------------------------------------------------------- */

static void add_operators(qvk__string *out, const qvk__graph *graph)
{
    size_t count;
    qvk__tally *tally = qvk__tally_nodes(graph, &count);

    out->failed |= tally == NULL;
    qvk__string_add(out, ", \"operators\": [");
    for (size_t i = 0; tally && i < count; i++) {
        qvk__string_add(out, i ? ", {\"name\": " : "{\"name\": ");
        qvk__string_add_quoted(out, tally[i].name);
        qvk__string_addf(out, ", \"count\": %u}", tally[i].count);
    }
    qvk__string_add(out, "]");
    free(tally);
}

static void add_weights(qvk__string *out, const qvk__graph *graph)
{
    bool first = true;

    qvk__string_add(out, ", \"weights\": [");
    for (size_t n = 0; n < graph->nodes.count; n++) {
        qvk__weight_info weight;
        const qvk__value *value;
        if (!qvk__weight_of_node(graph, &graph->nodes.data[n], &weight))
            continue;
        value = &graph->values.data[weight.value];
        qvk__string_add(out, first ? "{\"name\": " : ", {\"name\": ");
        qvk__string_add_quoted(out, value->name);
        qvk__string_add(out, ", \"operator\": ");
        qvk__string_add_quoted(out, graph->nodes.data[n].target);
        qvk__string_addf(out, ", \"scheme\": \"%s\", \"group_size\": ", weight.scheme);
        if (weight.group_size)
            qvk__string_addf(out, "%lld, ", (long long)weight.group_size);
        else
            qvk__string_add(out, "null, ");
        add_shape(out, &value->desc);
        qvk__string_addf(out, ", \"bytes\": %llu}", (unsigned long long)value->constant->bytes);
        first = false;
    }
    qvk__string_add(out, "]");
}

static void add_constants(qvk__string *out, const qvk__graph *graph)
{
    bool first = true;

    qvk__string_add(out, ", \"constants\": [");
    for (size_t i = 0; i < graph->values.count; i++) {
        const qvk__value *value = &graph->values.data[i];
        if (!value->constant)
            continue;
        qvk__string_add(out, first ? "{\"name\": " : ", {\"name\": ");
        qvk__string_add_quoted(out, value->name);
        if (value->constant->name) {
            qvk__string_add(out, ", \"key\": ");
            qvk__string_add_quoted(out, value->constant->name);
        }
        qvk__string_add(out, ", ");
        add_shape(out, &value->desc);
        qvk__string_addf(out, ", \"bytes\": %llu, \"mutable\": %s}",
                         (unsigned long long)value->constant->bytes, value->is_mutable ? "true" : "false");
        first = false;
    }
    qvk__string_add(out, "]");
}

/* The listing of the graph, a string a line. */
static void add_graph(qvk__string *out, const qvk__graph *graph)
{
    qvk__string listing = {0};
    char *line, *end;

    qvk__graph_print(graph, &listing);
    out->failed |= listing.failed;
    qvk__string_add(out, ", \"graph\": [");
    for (line = listing.data; line && *line; line = end + 1) {
        end = strchr(line, '\n');
        if (end)
            *end = '\0';
        qvk__string_add(out, line == listing.data ? "" : ", ");
        qvk__string_add_quoted(out, line);
        if (!end)
            break;
    }
    qvk__string_add(out, "]");
    free(listing.data);
}

static void add_delegate(qvk__string *out, const qvk__delegate *delegate, bool graph)
{
    uint32_t n_constants;
    uint64_t bytes = qvk__graph_constant_bytes(&delegate->graph, &n_constants);

    qvk__string_add(out, "{\"backend\": ");
    qvk__string_add_quoted(out, delegate->id);
    if (!delegate->parsed) {
        qvk__string_addf(out, ", \"bytes\": %llu}", (unsigned long long)delegate->blob_bytes);
        return;
    }
    qvk__string_addf(out, ", \"constant_bytes\": %llu", (unsigned long long)bytes);
    add_operators(out, &delegate->graph);
    add_weights(out, &delegate->graph);
    add_constants(out, &delegate->graph);
    if (graph)
        add_graph(out, &delegate->graph);
    qvk__string_add(out, "}");
}

/* ---- instructions -------------------------------------------------------------------------------------- */

static void add_operator_name(qvk__string *out, const qvk__operator_ref *ref)
{
    qvk__string_add(out, "\"");
    qvk__string_add_json(out, ref->name ? ref->name : qvk__op_name(ref->op));
    if (ref->overload && *ref->overload) {
        qvk__string_add(out, ".");
        qvk__string_add_json(out, ref->overload);
    }
    qvk__string_add(out, "\"");
}

static void add_outside(qvk__string *out, const qvk__method *method)
{
    uint32_t *calls = qvk__count_kernel_calls(method);
    bool first = true;

    out->failed |= calls == NULL;
    qvk__string_add(out, "\"outside\": [");
    for (uint32_t i = 0; calls && i < method->n_operators; i++) {
        if (calls[i] == 0)
            continue;
        qvk__string_add(out, first ? "{\"name\": " : ", {\"name\": ");
        add_operator_name(out, &method->operators[i]);
        qvk__string_addf(out, ", \"count\": %u, \"known\": %s, \"reason\": ", calls[i],
                         qvk__operator_is_known(&method->operators[i]) ? "true" : "false");
        qvk__string_add_quoted(out, qvk__outside_reason(method, i));
        qvk__string_add(out, "}");
        first = false;
    }
    qvk__string_add(out, "]");
    free(calls);
}

static void add_instruction(qvk__string *out, const qvk__method *method, const qvk__instruction *instruction)
{
    qvk__string_add(out, "{\"kind\": ");
    qvk__string_add_quoted(out, qvk__instruction_kind_name(instruction->kind));
    switch (instruction->kind) {
    case QVK__INSTRUCTION_KERNEL:
        qvk__string_add(out, ", \"name\": ");
        add_operator_name(out, &method->operators[instruction->index]);
        qvk__string_add(out, ", \"args\": ");
        add_ids(out, instruction->args, instruction->n_args);
        break;
    case QVK__INSTRUCTION_DELEGATE:
        qvk__string_addf(out, ", \"delegate\": %d, \"args\": ", instruction->index);
        add_ids(out, instruction->args, instruction->n_args);
        break;
    case QVK__INSTRUCTION_MOVE:
        qvk__string_addf(out, ", \"from\": %d, \"to\": %d", instruction->index, instruction->target);
        break;
    case QVK__INSTRUCTION_JUMP_FALSE:
        qvk__string_addf(out, ", \"condition\": %d, \"target\": %d", instruction->index, instruction->target);
        break;
    case QVK__INSTRUCTION_FREE: qvk__string_addf(out, ", \"value\": %d", instruction->index); break;
    }
    qvk__string_add(out, "}");
}

static void add_plan(qvk__string *out, const qvk__method *method)
{
    qvk__string_add(out, ", \"values\": [");
    for (uint32_t i = 0; i < method->n_values; i++) {
        qvk__string_add(out, i ? ", " : "");
        add_value(out, &method->values[i]);
    }
    qvk__string_add(out, "], \"instructions\": [");
    for (uint32_t i = 0; i < method->n_instructions; i++) {
        qvk__string_add(out, i ? ", " : "");
        add_instruction(out, method, &method->instructions[i]);
    }
    qvk__string_add(out, "]");
}

/* ---- the whole ----------------------------------------------------------------------------------------- */

static void add_method(qvk__string *out, const qvk__method *method, bool graph)
{
    uint64_t planned = 0;

    for (uint32_t i = 0; i < method->n_buffers; i++)
        planned += method->buffer_bytes[i];
    qvk__string_add(out, "{\"name\": ");
    qvk__string_add_quoted(out, method->name);
    qvk__string_addf(out, ", \"planned_bytes\": %llu, ", (unsigned long long)planned);
    add_ends(out, method, "inputs", method->inputs, method->n_inputs);
    add_ends(out, method, "outputs", method->outputs, method->n_outputs);
    qvk__string_add(out, "\"delegates\": [");
    for (uint32_t i = 0; i < method->n_delegates; i++) {
        qvk__string_add(out, i ? ", " : "");
        add_delegate(out, &method->delegates[i], graph);
    }
    qvk__string_add(out, "], ");
    add_outside(out, method);
    if (graph)
        add_plan(out, method);
    qvk__string_add(out, "}");
}

void qvk__program_print_json(const qvk__program *program, bool graph, qvk__string *out)
{
    uint64_t bytes = 0;

    for (size_t i = 0; i < program->named.count; i++)
        bytes += program->named.data[i].bytes;
    qvk__string_addf(
        out, "{\"format\": \"pte\", \"version\": %u, \"named_data\": {\"count\": %zu, \"bytes\": %llu}, ",
        program->version, program->named.count, (unsigned long long)bytes);
    qvk__string_add(out, "\"methods\": [");
    for (uint32_t i = 0; i < program->n_methods; i++) {
        qvk__string_add(out, i ? ", " : "");
        add_method(out, &program->methods[i], graph);
    }
    qvk__string_add(out, "]}\n");
}
