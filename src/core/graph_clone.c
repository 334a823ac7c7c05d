/* Copying graphs. */
#include "core/graph.h"

static bool clone_node(const qvk__node *from, qvk__graph *to)
{
    qvk__node node = *from;

    node.args = qvk__arena_alloc(&to->arena, (uint64_t)from->n_args, sizeof *node.args);
    node.outs = qvk__arena_memdup(&to->arena, from->outs, (size_t)from->n_outs * sizeof *from->outs);
    if (!node.args || !node.outs)
        return false;
    for (int i = 0; i < from->n_args; i++)
        if (!qvk__graph_copy_arg(to, &from->args[i], &node.args[i]))
            return false;
    return QVK__VEC_PUSH(&to->nodes, node);
}

static bool clone_parts(const qvk__graph *from, qvk__graph *to)
{
    for (size_t i = 0; i < from->values.count; i++)
        if (!QVK__VEC_PUSH(&to->values, from->values.data[i]))
            return false;
    for (size_t i = 0; i < from->inputs.count; i++)
        if (!QVK__VEC_PUSH(&to->inputs, from->inputs.data[i]))
            return false;
    for (size_t i = 0; i < from->outputs.count; i++)
        if (!QVK__VEC_PUSH(&to->outputs, from->outputs.data[i]))
            return false;
    for (size_t i = 0; i < from->nodes.count; i++)
        if (!from->nodes.data[i].dead && !clone_node(&from->nodes.data[i], to))
            return false;
    return true;
}

qvk_status qvk__graph_clone(const qvk__graph *graph, qvk__graph *out, qvk_error *err)
{
    qvk__graph copy;

    qvk__graph_init(&copy);
    if (!clone_parts(graph, &copy)) {
        qvk__graph_finish(&copy);
        return qvk__fail(err, QVK_OUT_OF_MEMORY, "out of memory copying a graph of %zu nodes",
                         graph->nodes.count);
    }
    *out = copy;
    return QVK_OK;
}
