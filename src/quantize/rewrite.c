#include "quantize/rewrite.h"

#include <stdio.h>

qvk_status qvk__rewrite_begin(qvk__exported *program, qvk__rewrite *out, qvk_error *err)
{
    qvk__graph *graph = &program->graph;

    memset(out, 0, sizeof *out);
    out->program = program;
    for (size_t i = 0; i < graph->values.count; i++) {
        if (!qvk__map_set(&out->names, graph->values.data[i].name, 1)) {
            qvk__map_free(&out->names);
            return qvk__fail(err, QVK_OUT_OF_MEMORY, "out of memory");
        }
    }
    out->old = graph->nodes.data;
    out->n_old = graph->nodes.count;
    graph->nodes.data = NULL;
    graph->nodes.count = graph->nodes.capacity = 0;
    return QVK_OK;
}

void qvk__rewrite_end(qvk__rewrite *rewrite)
{
    qvk__map_free(&rewrite->names);
    free(rewrite->old);
    memset(rewrite, 0, sizeof *rewrite);
}

qvk_status qvk__rewrite_keep(qvk__rewrite *rewrite, size_t index, qvk_error *err)
{
    QVK__CHECK(QVK__VEC_PUSH(&rewrite->program->graph.nodes, rewrite->old[index]), err, QVK_OUT_OF_MEMORY,
               "out of memory");
    return QVK_OK;
}

const char *qvk__rewrite_name(qvk__rewrite *rewrite, const char *base)
{
    qvk__arena *arena = &rewrite->program->graph.arena;
    int64_t next, taken;
    const char *name = qvk__arena_strdup(arena, base);

    if (!name)
        return NULL;
    if (!qvk__map_get(&rewrite->names, base, &next))
        return qvk__map_set(&rewrite->names, name, 1) ? name : NULL;
    do {
        name = qvk__arena_printf(arena, "%s_%lld", base, (long long)next++);
    } while (name && qvk__map_get(&rewrite->names, name, &taken));
    /* The stored number is where the next search starts, so naming many values stays linear. */
    if (!name || !qvk__map_set(&rewrite->names, name, 1) ||
        !qvk__map_set(&rewrite->names, qvk__arena_strdup(arena, base), next))
        return NULL;
    return name;
}

int32_t qvk__rewrite_value(qvk__rewrite *rewrite, const char *base, const qvk_tensor *desc,
                           const int32_t *syms)
{
    const char *name = qvk__rewrite_name(rewrite, base);
    int32_t id = name ? qvk__graph_add_value(&rewrite->program->graph, name, desc) : -1;

    if (id >= 0 && syms)
        memcpy(rewrite->program->graph.values.data[id].syms, syms, sizeof(int32_t) * QVK_MAX_RANK);
    return id;
}

qvk_status qvk__rewrite_node(qvk__rewrite *rewrite, qvk__op op, const char *name, const qvk__node *origin,
                             const qvk__arg *args, int n_args, const int32_t *outs, int n_outs,
                             qvk_error *err)
{
    qvk__graph *graph = &rewrite->program->graph;
    int32_t index = -1;

    if (name)
        index = qvk__graph_add_node(graph, op, name, args, n_args, outs, n_outs);
    for (int i = 0; i < n_outs; i++)
        index = outs[i] < 0 ? -1 : index;
    QVK__CHECK(index >= 0, err, QVK_OUT_OF_MEMORY, "out of memory");
    if (origin)
        graph->nodes.data[index].trace = origin->trace;
    return QVK_OK;
}

size_t qvk__module_name_length(const char *name)
{
    const size_t length = strlen(name);

    return strcmp(name, "weight") == 0 ? 0
                                       : length - (qvk__ends_with(name, ".weight") ? strlen(".weight") : 0);
}
