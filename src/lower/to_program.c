/* The whole edge graph as a program with one method: delegate calls and kernel calls in order, values, memory
 * plan. */
#include <stdio.h>

#include "core/dtype.h"
#include "lower/method_builder.h"
#include "lower/to_delegate.h"

static void mark(int32_t id, void *user)
{
    ((bool *)user)[id] = true;
}

/* Values that leave the partition they are made in. */
static bool *find_needed_outside(qvk__edge *edge, const qvk__partition *partition)
{
    const qvk__graph *graph = &edge->graph;
    bool *needed = qvk__arena_alloc(&edge->graph.arena, graph->values.count, sizeof *needed);
    bool *read = qvk__arena_alloc(&edge->graph.arena, graph->values.count, sizeof *read);

    if (!needed || !read)
        return NULL;
    for (int32_t level = 0; level < partition->n_levels; level++) {
        memset(read, 0, graph->values.count * sizeof *read);
        for (size_t n = 0; n < graph->nodes.count; n++)
            if (partition->level[n] == level)
                qvk__node_visit_args(&graph->nodes.data[n], mark, read);
        /* What this level makes itself is not an import, unless its nodes run one by one outside. */
        for (size_t n = 0; n < graph->nodes.count; n++)
            for (int i = 0;
                 partition->level[n] == level && partition->inside[n] && i < graph->nodes.data[n].n_outs; i++)
                read[graph->nodes.data[n].outs[i]] = false;
        for (size_t v = 0; v < graph->values.count; v++)
            needed[v] = needed[v] || read[v];
    }
    for (size_t i = 0; i < graph->outputs.count; i++)
        needed[graph->outputs.data[i]] = true;
    return needed;
}

static qvk_status add_delegate(qvk__method_builder *m, const qvk__partition *partition, const bool *needed,
                               int32_t level, qvk_error *err)
{
    qvk_status status = QVK_OK;
    qvk__delegate_plan plan = {.level = level};
    qvk__graph graph;

    qvk__graph_init(&graph);
    QVK__TRY_GO(qvk__build_delegate(m->edge, partition, needed, &plan, &graph, err));
    QVK__TRY_GO(qvk__method_add_delegate(m, &graph, plan.inputs.data, plan.inputs.count, plan.outputs.data,
                                         plan.outputs.count, err));
done:
    qvk__graph_finish(&graph); /* empty when the method took it over */
    free(plan.inputs.data);
    free(plan.outputs.data);
    return status;
}

static qvk_status add_level(qvk__method_builder *m, const qvk__partition *partition, const bool *needed,
                            int32_t level, qvk_error *err)
{
    const qvk__graph *graph = &m->edge->graph;
    bool delegated = false;

    for (size_t n = 0; n < graph->nodes.count; n++) {
        if (partition->level[n] != level)
            continue;
        if (!partition->inside[n])
            QVK__TRY(qvk__method_add_kernel(m, &graph->nodes.data[n], err));
        delegated = delegated || partition->inside[n];
    }
    return delegated ? add_delegate(m, partition, needed, level, err) : QVK_OK;
}

/* Method inputs in the caller's order: tensors, symbols, and the Python literals that must be repeated. */
static qvk_status add_inputs(qvk__method_builder *m, qvk_error *err)
{
    const qvk__exported *program = m->edge->program;

    for (size_t i = 0; i < program->inputs.count; i++) {
        const qvk__input_spec *spec = &program->inputs.data[i];
        int32_t id = -1;
        if (spec->kind == QVK__INPUT_USER)
            QVK__TRY(qvk__method_value(m, m->edge->map[spec->value], &id, err));
        else if (spec->kind == QVK__INPUT_LITERAL)
            QVK__TRY(qvk__method_literal(m, &spec->literal, &id, err));
        if (id >= 0)
            QVK__CHECK(QVK__VEC_PUSH(&m->inputs, id), err, QVK_OUT_OF_MEMORY, "out of memory");
    }
    return QVK_OK;
}

static qvk_status add_outputs(qvk__method_builder *m, qvk_error *err)
{
    const qvk__exported *program = m->edge->program;
    size_t next = 0; /* graph.outputs: the tensors among the user outputs, then the extra ones */
    int32_t id;

    for (size_t i = 0; i < program->outputs.count; i++) {
        const qvk__output_spec *spec = &program->outputs.data[i];
        if (spec->kind != QVK__OUTPUT_USER)
            continue;
        if (spec->output >= 0)
            QVK__TRY(qvk__method_value(m, m->edge->graph.outputs.data[next++], &id, err));
        else
            QVK__TRY(qvk__method_literal(m, &spec->literal, &id, err));
        QVK__CHECK(QVK__VEC_PUSH(&m->outputs, id), err, QVK_OUT_OF_MEMORY, "out of memory");
    }
    for (; next < m->edge->graph.outputs.count; next++) {
        QVK__TRY(qvk__method_value(m, m->edge->graph.outputs.data[next], &id, err));
        QVK__CHECK(QVK__VEC_PUSH(&m->outputs, id), err, QVK_OUT_OF_MEMORY, "out of memory");
    }
    return QVK_OK;
}

/* A buffer must be written where it is read: its state lives in one delegate. */
static qvk_status check_mutated(const qvk__edge *edge, const qvk__partition *partition, qvk_error *err)
{
    if (edge->mutated.count == 0)
        return QVK_OK;
    QVK__CHECK(!edge->params->compat_executorch, err, QVK_UNSUPPORTED,
               "the program writes buffers, which ExecuTorch's delegate cannot keep: lower without --compat "
               "executorch");
    for (size_t n = 0; n < edge->graph.nodes.count; n++)
        QVK__CHECK(partition->inside[n] && partition->level[n] == 0, err, QVK_UNSUPPORTED,
                   "the program writes buffers but is not one delegate: %s stays outside",
                   qvk__op_name(edge->graph.nodes.data[n].op));
    return QVK_OK;
}

qvk_status qvk__edge_to_program(qvk__edge *edge, qvk__program *out, qvk_error *err)
{
    qvk__partition partition;
    qvk__method_builder m;
    qvk_status status = QVK_OK;
    const bool *needed;

    QVK__TRY(qvk__partition_graph(edge, &partition, err));
    QVK__TRY(check_mutated(edge, &partition, err));
    QVK__TRY(qvk__method_begin(edge, out, &m, err));
    needed = find_needed_outside(edge, &partition);
    QVK__CHECK_GO(needed, err, QVK_OUT_OF_MEMORY, "out of memory");
    QVK__TRY_GO(add_inputs(&m, err));
    for (int32_t level = 0; level < partition.n_levels; level++)
        QVK__TRY_GO(add_level(&m, &partition, needed, level, err));
    QVK__TRY_GO(add_outputs(&m, err));
    QVK__TRY_GO(qvk__method_end(&m, err));
done:
    qvk__method_abandon(&m);
    return status;
}
