/* What happens to every graph before it is run, on any device. */
#include "runtime/engine.h"

#include "core/dtype.h"

static void mark(int32_t value, void *user)
{
    ((bool *)user)[value] = true;
}

/* Marks values that nodes write in place: named by the operator, or by an output that is already there. */
static void find_written(const qvk__graph *graph, bool *written, bool *defined)
{
    for (size_t i = 0; i < graph->values.count; i++)
        defined[i] = graph->values.data[i].constant != NULL;
    for (size_t i = 0; i < graph->inputs.count; i++)
        defined[graph->inputs.data[i]] = true;
    for (size_t n = 0; n < graph->nodes.count; n++) {
        const qvk__node *node = &graph->nodes.data[n];
        qvk__node_visit_written(node, mark, written);
        for (int i = 0; i < node->n_outs; i++) {
            if (node->outs[i] < 0)
                continue;
            if (defined[node->outs[i]])
                written[node->outs[i]] = true;
            defined[node->outs[i]] = true;
        }
    }
}

/* prepack(constant) -> value: the value becomes the constant; nothing is left to run. */
static void absorb_prepack(qvk__graph *graph, qvk__node *node)
{
    const qvk__value *source;
    qvk__value *out;

    if (node->op != QVK__OP_ET_PREPACK || node->n_outs != 1 || node->outs[0] < 0 ||
        node->args[0].kind != QVK__ARG_VALUE)
        return;
    source = &graph->values.data[node->args[0].u.value];
    out = &graph->values.data[node->outs[0]];
    if (!source->constant || out->constant || source->desc.dtype != out->desc.dtype ||
        !qvk__shape_equal(&source->desc, &out->desc))
        return;
    out->constant = source->constant;
    out->is_mutable = source->is_mutable;
    node->dead = true;
}

static void mark_mutable(qvk__graph *graph, const bool *written)
{
    for (size_t i = 0; i < graph->values.count; i++)
        if (written[i] && graph->values.data[i].constant)
            graph->values.data[i].is_mutable = true;
}

qvk_status qvk__prepare_graph(const qvk__graph *graph, qvk__graph *out, qvk_error *err)
{
    qvk__graph copy;
    bool *flags;

    QVK__TRY(qvk__graph_clone(graph, &copy, err));
    flags = qvk__alloc_zeroed(copy.values.count, 2 * sizeof *flags);
    if (!flags) {
        qvk__graph_finish(&copy);
        return qvk__fail(err, QVK_OUT_OF_MEMORY, "out of memory for %zu values", graph->values.count);
    }
    for (size_t n = 0; n < copy.nodes.count; n++)
        absorb_prepack(&copy, &copy.nodes.data[n]);
    qvk__graph_compact(&copy);
    find_written(&copy, flags, flags + copy.values.count);
    mark_mutable(&copy, flags);
    free(flags);
    qvk__graph_eliminate_dead(&copy);
    qvk__graph_compact(&copy);
    *out = copy;
    return QVK_OK;
}
