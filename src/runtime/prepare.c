/* What happens to every graph before it is run, on any device. */
#include "runtime/engine.h"

#include "core/dtype.h"

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
    qvk_status status = QVK_OK;
    bool *written = NULL;
    qvk__graph copy;

    QVK__TRY(qvk__graph_clone(graph, &copy, err));
    written = qvk__alloc_zeroed(copy.values.count, sizeof *written);
    QVK__CHECK_GO(written, err, QVK_OUT_OF_MEMORY, "out of memory for %zu values", graph->values.count);
    for (size_t n = 0; n < copy.nodes.count; n++)
        absorb_prepack(&copy, &copy.nodes.data[n]);
    qvk__graph_compact(&copy);
    QVK__TRY_GO(qvk__graph_find_written(&copy, written, err));
    mark_mutable(&copy, written);
    qvk__graph_eliminate_dead(&copy);
    qvk__graph_compact(&copy);
    *out = copy;
done:
    if (status != QVK_OK)
        qvk__graph_finish(&copy);
    free(written);
    return status;
}
