/* What listings say of a graph as a whole. */
#include "core/graph.h"

qvk__tally *qvk__tally_nodes(const qvk__graph *graph, size_t *count)
{
    qvk__tally *tally = qvk__alloc_zeroed(graph->nodes.count + 1, sizeof *tally);
    qvk__map seen = {0};

    *count = 0;
    for (size_t n = 0; tally && n < graph->nodes.count; n++) {
        const char *name = graph->nodes.data[n].target;
        int64_t index;
        if (graph->nodes.data[n].dead)
            continue;
        if (!qvk__map_get(&seen, name, &index)) {
            index = (int64_t)(*count)++;
            tally[index].name = name;
            if (!qvk__map_set(&seen, name, index)) {
                free(tally);
                tally = NULL;
                break;
            }
        }
        tally[index].count++;
    }
    qvk__map_free(&seen);
    return tally;
}

static int compare_constants(const void *a, const void *b)
{
    uintptr_t x = (uintptr_t) * (const qvk__constant *const *)a,
              y = (uintptr_t) * (const qvk__constant *const *)b;
    return (x > y) - (x < y);
}

uint64_t qvk__constants_bytes(const qvk__constant **constants, size_t n, uint32_t *count)
{
    uint64_t bytes = 0;

    *count = 0;
    if (n > 0)
        qsort(constants, n, sizeof *constants, compare_constants);
    for (size_t i = 0; i < n; i++) {
        if (i > 0 && constants[i] == constants[i - 1])
            continue;
        bytes += constants[i]->bytes;
        (*count)++;
    }
    return bytes;
}

uint64_t qvk__graph_constant_bytes(const qvk__graph *graph, uint32_t *count)
{
    const qvk__constant **all = qvk__alloc_zeroed(graph->values.count, sizeof *all);
    uint64_t bytes;
    size_t n = 0;

    for (size_t i = 0; all && i < graph->values.count; i++)
        if (graph->values.data[i].constant)
            all[n++] = graph->values.data[i].constant;
    bytes = qvk__constants_bytes(all, n, count);
    free(all);
    return bytes;
}
