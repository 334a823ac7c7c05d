#include "runtime/placement.h"

#include "runtime/memory_plan.h"

enum { SMALLEST_RANGE = 16 }; /* tensors without elements are bound too */

typedef struct placing {
    const qvk__graph *graph;
    const qvk__plan *plan;
    qvk__placement *out;
    bool *on_device;         /* per value */
    int32_t *first, *last;   /* per value: life in node indices; after merging, of the root's place */
    int32_t *last_write;     /* per value: last node that writes it in place, or -1 */
    qvk__memory_item *items; /* values, then scratch */
    int32_t *item_values;    /* the root an item is for */
    int32_t node;            /* at work, for the visitors */
} placing;

static int32_t find_root(const int32_t *roots, int32_t value)
{
    while (roots[value] != value)
        value = roots[value];
    return value;
}

/* ---- life ----------------------------------------------------------------------------------------------- */

static void extend(placing *it, int32_t value, int32_t node)
{
    it->first[value] = QVK__MIN(it->first[value], node);
    it->last[value] = QVK__MAX(it->last[value], node);
}

static void visit_use(int32_t value, void *user)
{
    placing *it = user;
    extend(it, value, it->node);
}

static void visit_write(int32_t value, void *user)
{
    placing *it = user;
    it->last_write[value] = it->node;
}

static void find_lives(placing *it)
{
    const qvk__graph *graph = it->graph;

    for (size_t i = 0; i < graph->values.count; i++) {
        it->first[i] = INT32_MAX;
        it->last[i] = -1;
        it->last_write[i] = -1;
    }
    for (size_t i = 0; i < graph->inputs.count; i++)
        extend(it, graph->inputs.data[i], -1);
    for (size_t n = 0; n < graph->nodes.count; n++) {
        const qvk__node *node = &graph->nodes.data[n];
        it->node = (int32_t)n;
        qvk__node_visit_args(node, visit_use, it);
        qvk__node_visit_written(node, visit_write, it);
        for (int i = 0; i < node->n_outs; i++) {
            if (node->outs[i] < 0)
                continue;
            if (it->first[node->outs[i]] != INT32_MAX || graph->values.data[node->outs[i]].constant)
                it->last_write[node->outs[i]] = (int32_t)n;
            extend(it, node->outs[i], (int32_t)n);
        }
    }
    for (size_t i = 0; i < graph->outputs.count; i++)
        extend(it, graph->outputs.data[i], (int32_t)graph->nodes.count);
}

/* ---- who is on the device, and who shares --------------------------------------------------------------- */

static void find_device_values(placing *it)
{
    for (size_t i = 0; i < it->plan->dispatches.count; i++) {
        const qvk__dispatch *dispatch = &it->plan->dispatches.data[i];
        const uint32_t n = qvk__kernel_info_of(dispatch->kernel)->n_buffers;
        for (uint32_t b = 0; b < n; b++)
            if (dispatch->buffers[b].kind == QVK__REF_VALUE)
                it->on_device[dispatch->buffers[b].id] = true;
    }
    for (size_t i = 0; i < it->plan->aliases.count; i++) {
        it->on_device[it->plan->aliases.data[i].in] = true;
        it->on_device[it->plan->aliases.data[i].out] = true;
    }
}

/* Sharing is safe when nobody writes either side in place after this node. */
static bool may_share(const placing *it, const qvk__planned_alias *alias)
{
    const int32_t in = find_root(it->out->roots, alias->in);
    const int32_t out = find_root(it->out->roots, alias->out);

    return in != out && !it->graph->values.data[alias->out].constant && it->last_write[in] <= alias->node &&
           it->last_write[out] <= alias->node;
}

static void merge_aliases(placing *it)
{
    for (size_t i = 0; i < it->graph->values.count; i++)
        it->out->roots[i] = (int32_t)i;
    for (size_t i = 0; i < it->plan->aliases.count; i++) {
        const qvk__planned_alias *alias = &it->plan->aliases.data[i];
        const int32_t in = find_root(it->out->roots, alias->in);
        const int32_t out = find_root(it->out->roots, alias->out);
        if (!may_share(it, alias)) {
            it->out->copied[i] = in != out;
            continue;
        }
        it->out->roots[out] = in;
        it->first[in] = QVK__MIN(it->first[in], it->first[out]);
        it->last[in] = QVK__MAX(it->last[in], it->last[out]);
        it->last_write[in] = QVK__MAX(it->last_write[in], it->last_write[out]);
    }
    for (size_t i = 0; i < it->graph->values.count; i++)
        it->out->roots[i] = find_root(it->out->roots, (int32_t)i);
}

/* ---- memory --------------------------------------------------------------------------------------------- */

/* Constants that kernels read as they are, and state. */
static qvk_status enter_constants(const placing *it, qvk__weights *weights, qvk_error *err)
{
    for (size_t i = 0; i < it->graph->values.count; i++) {
        const int32_t root = it->out->roots[i];
        const qvk__value *value = &it->graph->values.data[root];
        int32_t id;
        if (!it->on_device[i] || !value->constant)
            continue;
        if (value->is_mutable)
            QVK__TRY(qvk__weights_add_state(weights, root, &id, err));
        else
            QVK__TRY(qvk__weights_add_plain(weights, root, &id, err));
    }
    return QVK_OK;
}

static uint64_t bytes_of(const qvk__graph *graph, int32_t value)
{
    return QVK__MAX(qvk__device_bytes(&graph->values.data[value].desc), SMALLEST_RANGE);
}

/* One item for every place that lives only during a call. */
static size_t list_items(placing *it)
{
    const size_t n_values = it->graph->values.count;
    int32_t *item_of = it->last_write; /* no longer needed */
    size_t n = 0;

    for (size_t i = 0; i < n_values; i++)
        item_of[i] = -1;
    for (size_t i = 0; i < n_values; i++) {
        const int32_t root = it->out->roots[i];
        if (!it->on_device[i] || it->graph->values.data[root].constant)
            continue;
        it->out->in_arena[i] = true;
        if (item_of[root] < 0) {
            item_of[root] = (int32_t)n;
            it->item_values[n] = root;
            it->items[n++] = (qvk__memory_item){.first = it->first[root], .last = it->last[root]};
        }
        it->items[item_of[root]].bytes =
            QVK__MAX(it->items[item_of[root]].bytes, bytes_of(it->graph, (int32_t)i));
    }
    return n;
}

static qvk_status place_in_arena(placing *it, const qvk__gpu_caps *caps, qvk_error *err)
{
    const size_t n_values = list_items(it), n_scratch = it->plan->scratch.count;
    const uint64_t alignment = QVK__MAX(caps->storage_alignment, 64);

    for (size_t i = 0; i < n_scratch; i++) {
        const qvk__planned_scratch *scratch = &it->plan->scratch.data[i];
        it->items[n_values + i] = (qvk__memory_item){scratch->bytes, scratch->node, scratch->last_node, 0};
    }
    QVK__TRY(qvk__memory_plan(it->items, n_values + n_scratch, alignment, &it->out->arena_bytes, err));
    for (size_t i = 0; i < n_values; i++)
        it->out->ranges[it->item_values[i]] = (qvk__gpu_range){NULL, it->items[i].offset, it->items[i].bytes};
    for (size_t i = 0; i < n_scratch; i++)
        it->out->scratch[i] =
            (qvk__gpu_range){NULL, it->items[n_values + i].offset, it->items[n_values + i].bytes};
    return QVK_OK;
}

static bool allocate(placing *it)
{
    const uint64_t n = it->graph->values.count, n_scratch = it->plan->scratch.count;

    it->out->roots = qvk__alloc_zeroed(n, sizeof *it->out->roots);
    it->out->ranges = qvk__alloc_zeroed(n, sizeof *it->out->ranges);
    it->out->in_arena = qvk__alloc_zeroed(n, sizeof *it->out->in_arena);
    it->out->scratch = qvk__alloc_zeroed(n_scratch, sizeof *it->out->scratch);
    it->out->copied = qvk__alloc_zeroed(it->plan->aliases.count, sizeof *it->out->copied);
    it->on_device = qvk__alloc_zeroed(n, sizeof *it->on_device);
    it->first = qvk__alloc_zeroed(n, sizeof *it->first);
    it->last = qvk__alloc_zeroed(n, sizeof *it->last);
    it->last_write = qvk__alloc_zeroed(n, sizeof *it->last_write);
    it->items = qvk__alloc_zeroed(n + n_scratch, sizeof *it->items);
    it->item_values = qvk__alloc_zeroed(n, sizeof *it->item_values);
    return it->out->roots && it->out->ranges && it->out->in_arena && it->out->scratch && it->out->copied &&
           it->on_device && it->first && it->last && it->last_write && it->items && it->item_values;
}

qvk_status qvk__placement_make(const qvk__graph *graph, const qvk__plan *plan, qvk__weights *weights,
                               const qvk__gpu_caps *caps, qvk__placement *out, qvk_error *err)
{
    qvk__placement placement = {0};
    placing it = {.graph = graph, .plan = plan, .out = &placement};
    qvk_status status = QVK_OK;

    QVK__CHECK_GO(allocate(&it), err, QVK_OUT_OF_MEMORY, "out of memory placing %zu values",
                  graph->values.count);
    find_lives(&it);
    find_device_values(&it);
    merge_aliases(&it);
    QVK__TRY_GO(enter_constants(&it, weights, err));
    QVK__TRY_GO(place_in_arena(&it, caps, err));
done:
    free(it.on_device);
    free(it.first);
    free(it.last);
    free(it.last_write);
    free(it.items);
    free(it.item_values);
    if (status == QVK_OK)
        *out = placement;
    else
        qvk__placement_finish(&placement);
    return status;
}

void qvk__placement_finish(qvk__placement *placement)
{
    free(placement->roots);
    free(placement->ranges);
    free(placement->in_arena);
    free(placement->scratch);
    free(placement->copied);
    memset(placement, 0, sizeof *placement);
}

/* ---- binding -------------------------------------------------------------------------------------------- */

static qvk__gpu_range constant_range(const qvk__graph *graph, const qvk__weights *weights, int32_t root)
{
    int32_t id = -1;

    if (graph->values.data[root].is_mutable)
        id = qvk__weights_find_state(weights, root);
    else
        id = qvk__weights_find_plain(weights, root);
    if (id < 0 || !weights->list.data[id].buffer)
        return (qvk__gpu_range){0};
    return (qvk__gpu_range){weights->list.data[id].buffer, 0, weights->list.data[id].pack.bytes};
}

void qvk__placement_bind(qvk__placement *placement, const qvk__graph *graph, const qvk__plan *plan,
                         const qvk__weights *weights, const qvk__gpu_buffer *arena)
{
    for (size_t i = 0; i < graph->values.count; i++) {
        const int32_t root = placement->roots[i];
        if (placement->in_arena[i]) {
            placement->ranges[i] = placement->ranges[root];
            placement->ranges[i].buffer = arena;
        } else if (graph->values.data[root].constant) {
            placement->ranges[i] = constant_range(graph, weights, root);
        }
    }
    for (size_t i = 0; i < plan->scratch.count; i++)
        placement->scratch[i].buffer = arena;
}
