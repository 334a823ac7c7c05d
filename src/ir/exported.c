/* Exported programs: life, placeholders, verification. */
#include "ir/ir.h"

#include "core/dtype.h"

void qvk__exported_init(qvk__exported *program)
{
    memset(program, 0, sizeof *program);
    qvk__graph_init(&program->graph);
}

void qvk__exported_finish(qvk__exported *program)
{
    free(program->inputs.data);
    free(program->outputs.data);
    free(program->expressions.data);
    free(program->ranges.data);
    free(program->forward_arg_names.data);
    free(program->samples.data);
    qvk__map_free(&program->expression_index);
    qvk__map_free(&program->names);
    qvk__graph_finish(&program->graph);
    qvk__file_unmap(&program->file);
    memset(program, 0, sizeof *program);
}

/* torch's order of placeholders. */
static int rank_of(qvk__input_kind kind)
{
    switch (kind) {
    case QVK__INPUT_PARAMETER: return 0;
    case QVK__INPUT_BUFFER: return 1;
    case QVK__INPUT_TENSOR_CONSTANT: return 2;
    default: return 3;
    }
}

int32_t qvk__exported_add_constant(qvk__exported *program, qvk__input_kind kind, const char *name,
                                   const char *target, const qvk_tensor *desc, const qvk__constant *constant)
{
    int32_t value = qvk__graph_add_value(&program->graph, name, desc);
    qvk__input_spec spec = {.kind = kind, .value = value, .persistent = kind == QVK__INPUT_BUFFER};
    size_t place = 0;

    spec.target = qvk__arena_strdup(&program->graph.arena, target);
    if (value < 0 || !spec.target || !QVK__VEC_PUSH(&program->inputs, spec))
        return -1;
    for (size_t i = 0; i + 1 < program->inputs.count; i++)
        if (rank_of(program->inputs.data[i].kind) <= rank_of(kind))
            place = i + 1;
    memmove(&program->inputs.data[place + 1], &program->inputs.data[place],
            (program->inputs.count - 1 - place) * sizeof spec);
    program->inputs.data[place] = spec;
    program->graph.values.data[value].constant = constant;
    return value;
}

static void mark_used(int32_t value, void *user)
{
    bool *used = user;
    used[value] = true;
}

static bool is_mutated(const qvk__exported *program, const char *target)
{
    for (size_t i = 0; i < program->outputs.count; i++)
        if (program->outputs.data[i].kind == QVK__OUTPUT_BUFFER_MUTATION &&
            strcmp(program->outputs.data[i].target, target) == 0)
            return true;
    return false;
}

void qvk__exported_drop_unused_constants(qvk__exported *program)
{
    const qvk__graph *graph = &program->graph;
    bool *used = qvk__alloc_zeroed(graph->values.count, sizeof *used);
    size_t kept = 0;

    if (!used) /* keeping too much is no error */
        return;
    for (size_t n = 0; n < graph->nodes.count; n++)
        if (!graph->nodes.data[n].dead)
            qvk__node_visit_args(&graph->nodes.data[n], mark_used, used);
    for (size_t i = 0; i < graph->outputs.count; i++)
        used[graph->outputs.data[i]] = true;
    for (size_t i = 0; i < program->inputs.count; i++) {
        const qvk__input_spec *spec = &program->inputs.data[i];
        if (rank_of(spec->kind) == 3 || used[spec->value] || is_mutated(program, spec->target))
            program->inputs.data[kept++] = *spec;
        else
            graph->values.data[spec->value].constant = NULL;
    }
    program->inputs.count = kept;
    free(used);
}

const qvk__input_spec *qvk__exported_input_of(const qvk__exported *program, int32_t value)
{
    for (size_t i = 0; i < program->inputs.count; i++)
        if (program->inputs.data[i].kind != QVK__INPUT_LITERAL && program->inputs.data[i].value == value)
            return &program->inputs.data[i];
    return NULL;
}

int32_t qvk__exported_output_value(const qvk__exported *program, size_t index)
{
    int32_t output = program->outputs.data[index].output;
    return output < 0 ? -1 : program->graph.outputs.data[output];
}

/* ---- verification -------------------------------------------------------------------------------------- */

static qvk_status verify_constant(const qvk__value *value, const char *target, qvk_error *err)
{
    const qvk__constant *constant = value->constant;
    int64_t count = qvk_tensor_numel(&value->desc);

    QVK__CHECK(constant, err, QVK_BAD_FORMAT, "%s has no data", target);
    QVK__CHECK(count == 0 || constant->bytes == qvk_tensor_bytes(&value->desc), err, QVK_BAD_FORMAT,
               "%s: %llu bytes for %s%s", target, (unsigned long long)constant->bytes,
               qvk_dtype_name(value->desc.dtype), qvk__shape_text(&value->desc).text);
    return QVK_OK;
}

static qvk_status verify_inputs(const qvk__exported *program, qvk_error *err)
{
    const qvk__graph *graph = &program->graph;
    size_t user = 0;

    for (size_t i = 0; i < program->inputs.count; i++) {
        const qvk__input_spec *spec = &program->inputs.data[i];
        if (spec->kind == QVK__INPUT_LITERAL)
            continue;
        QVK__CHECK(spec->value >= 0 && (size_t)spec->value < graph->values.count, err, QVK_BAD_FORMAT,
                   "placeholder %zu is no value", i);
        if (spec->kind == QVK__INPUT_USER) {
            QVK__CHECK(user < graph->inputs.count && graph->inputs.data[user] == spec->value, err,
                       QVK_BAD_FORMAT, "input %zu of the signature is not input %zu of the graph", i, user);
            user++;
        } else {
            QVK__CHECK(spec->target, err, QVK_BAD_FORMAT, "placeholder %zu has no name", i);
            QVK__TRY(verify_constant(&graph->values.data[spec->value], spec->target, err));
        }
    }
    QVK__CHECK(user == graph->inputs.count, err, QVK_BAD_FORMAT,
               "the signature has %zu user inputs, the graph %zu", user, graph->inputs.count);
    return QVK_OK;
}

static qvk_status verify_outputs(const qvk__exported *program, qvk_error *err)
{
    int32_t next = 0;

    for (size_t i = 0; i < program->outputs.count; i++) {
        const qvk__output_spec *spec = &program->outputs.data[i];
        QVK__CHECK(spec->output < 0 || spec->output == next, err, QVK_BAD_FORMAT,
                   "output %zu of the signature is not output %ld of the graph", i, (long)next);
        next += spec->output >= 0;
        QVK__CHECK(spec->kind == QVK__OUTPUT_USER || (spec->output >= 0 && spec->target), err, QVK_BAD_FORMAT,
                   "output %zu mutates nothing", i);
    }
    QVK__CHECK((size_t)next == program->graph.outputs.count, err, QVK_BAD_FORMAT,
               "the signature has %ld output values, the graph %zu", (long)next,
               program->graph.outputs.count);
    return QVK_OK;
}

static qvk_status verify_values(const qvk__exported *program, qvk_error *err)
{
    int64_t limit = (int64_t)program->expressions.count;

    for (size_t i = 0; i < program->graph.values.count; i++) {
        const qvk__value *value = &program->graph.values.data[i];
        QVK__CHECK(value->sym < limit, err, QVK_BAD_FORMAT, "%s: no such expression", value->name);
        if (value->kind == QVK__VALUE_SYMBOL)
            continue;
        QVK__CHECK(qvk_tensor_numel(&value->desc) >= 0, err, QVK_BAD_FORMAT, "%s: impossible shape",
                   value->name);
        for (int d = 0; d < value->desc.rank; d++)
            QVK__CHECK(value->syms[d] < limit, err, QVK_BAD_FORMAT, "%s: no such expression", value->name);
    }
    return QVK_OK;
}

qvk_status qvk__exported_verify(const qvk__exported *program, qvk_error *err)
{
    QVK__TRY(verify_values(program, err));
    QVK__TRY(qvk__graph_verify(&program->graph, err));
    QVK__TRY(verify_inputs(program, err));
    return verify_outputs(program, err);
}
