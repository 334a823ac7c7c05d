#include "runtime/graph_plan.h"

#include <stdio.h>

#include "reference/reference.h"

/* Constants up to this size are shown to planners as host bytes. */
enum { MAX_SHOWN_CONSTANT = 1 << 20 };

typedef struct planning {
    qvk__planner base; /* first: callbacks get this */
    const qvk__plan_source *source;
    qvk__plan *plan;
    int32_t node;
} planning;

static planning *of(qvk__planner *planner)
{
    return (planning *)(void *)planner;
}

/* ---- what planners ask ---------------------------------------------------------------------------------- */

static const qvk_tensor *ask_desc(qvk__planner *planner, int32_t value)
{
    return &of(planner)->source->host->tensors[value];
}

static int64_t ask_symbol(qvk__planner *planner, int32_t value)
{
    return of(planner)->source->host->symbols[value];
}

static const void *ask_constant(qvk__planner *planner, int32_t value)
{
    qvk__host *host = of(planner)->source->host;
    const qvk__value *info = &host->graph->values.data[value];

    if (!info->constant || info->is_mutable || info->constant->bytes > MAX_SHOWN_CONSTANT ||
        qvk__host_constant(host, value, NULL) != QVK_OK)
        return NULL;
    return host->tensors[value].data;
}

static qvk_status take_pack(qvk__planner *planner, const qvk__pack *pack, qvk__ref *out, qvk_error *err)
{
    int32_t id;
    QVK__TRY(qvk__weights_add(of(planner)->source->weights, pack, &id, err));
    *out = (qvk__ref){.kind = QVK__REF_PACKED, .id = id};
    return QVK_OK;
}

static qvk_status take_scratch(qvk__planner *planner, uint64_t bytes, qvk__ref *out, qvk_error *err)
{
    planning *it = of(planner);
    const qvk__planned_scratch scratch = {it->node, QVK__MAX(bytes, 16)};

    QVK__CHECK(QVK__VEC_PUSH(&it->plan->scratch, scratch), err, QVK_OUT_OF_MEMORY, "out of memory");
    *out = (qvk__ref){.kind = QVK__REF_SCRATCH, .id = (int32_t)it->plan->scratch.count - 1};
    return QVK_OK;
}

static qvk_status take_dispatch(qvk__planner *planner, const qvk__dispatch *dispatch, qvk_error *err)
{
    planning *it = of(planner);
    const qvk__gpu_caps *caps = it->source->caps;

    for (int i = 0; i < 3; i++)
        QVK__CHECK(dispatch->groups[i] <= caps->max_group_count[i], err, QVK_UNSUPPORTED,
                   "%u work groups along dimension %d, the device allows %u", dispatch->groups[i], i,
                   caps->max_group_count[i]);
    QVK__CHECK(qvk__kernel_usable(dispatch->kernel, caps), err, QVK_INTERNAL,
               "kernel %s was chosen but cannot be used on this device", qvk__kernel_name(dispatch->kernel));
    QVK__CHECK(QVK__VEC_PUSH(&it->plan->dispatches, *dispatch), err, QVK_OUT_OF_MEMORY, "out of memory");
    it->plan->nodes[it->node].n++;
    return QVK_OK;
}

static qvk_status take_alias(qvk__planner *planner, int32_t out, int32_t in, qvk_error *err)
{
    planning *it = of(planner);
    const qvk__planned_alias alias = {it->node, out, in};

    QVK__CHECK(QVK__VEC_PUSH(&it->plan->aliases, alias), err, QVK_OUT_OF_MEMORY, "out of memory");
    return QVK_OK;
}

/* ---- nodes ---------------------------------------------------------------------------------------------- */

static bool is_symbolic(const qvk__graph *graph, const qvk__node *node)
{
    return node->n_outs == 1 && node->outs[0] >= 0 &&
           graph->values.data[node->outs[0]].kind == QVK__VALUE_SYMBOL;
}

/* The reference takes over, if it can. */
static qvk_status place_on_cpu(planning *it, const char *reason, qvk_error *err)
{
    const qvk__graph *graph = it->source->host->graph;
    const qvk__node *node = &graph->nodes.data[it->node];
    qvk__planned_node *planned = &it->plan->nodes[it->node];

    QVK__CHECK(qvk__reference_has(node->op), err, QVK_UNSUPPORTED_OPERATOR, "%s: %s",
               qvk__node_label_of(graph, (size_t)it->node).text, reason);
    planned->place = QVK__PLACE_CPU;
    planned->reason = qvk__arena_strdup(&it->plan->arena, reason);
    QVK__CHECK(planned->reason, err, QVK_OUT_OF_MEMORY, "out of memory");
    return QVK_OK;
}

static qvk_status plan_node(planning *it, qvk_error *err)
{
    const qvk__graph *graph = it->source->host->graph;
    const qvk__node *node = &graph->nodes.data[it->node];
    qvk__planned_node *planned = &it->plan->nodes[it->node];
    const qvk__plan_fn plan_fn = qvk__plan_of(node->op);
    const size_t n_aliases = it->plan->aliases.count, n_scratch = it->plan->scratch.count;
    qvk_error reason;
    qvk_status status;

    planned->first = (uint32_t)it->plan->dispatches.count;
    if (is_symbolic(graph, node)) {
        planned->place = QVK__PLACE_NOWHERE;
        return QVK_OK;
    }
    if (!plan_fn)
        return place_on_cpu(it, "no kernel computes this operator", err);
    planned->place = QVK__PLACE_DEVICE;
    status = plan_fn(&it->base, node, &reason);
    if (status == QVK_OK)
        return QVK_OK;
    it->plan->dispatches.count = planned->first;
    it->plan->aliases.count = n_aliases;
    it->plan->scratch.count = n_scratch;
    planned->n = 0;
    if (status == QVK_UNSUPPORTED)
        return place_on_cpu(it, reason.message, err);
    if (err)
        *err = reason;
    return qvk__error_context(err, status, "%s", qvk__node_label_of(graph, (size_t)it->node).text);
}

qvk_status qvk__plan_make(const qvk__plan_source *source, qvk__plan *out, qvk_error *err)
{
    const qvk__graph *graph = source->host->graph;
    qvk__plan plan = {0};
    planning it = {
        .base = {.caps = source->caps,
                 .fp16_math = (source->caps->flags & QVK__CAP_FP16) != 0,
                 .graph = graph,
                 .desc = ask_desc,
                 .symbol = ask_symbol,
                 .constant = ask_constant,
                 .pack = take_pack,
                 .scratch = take_scratch,
                 .dispatch = take_dispatch,
                 .alias = take_alias},
        .source = source,
        .plan = &plan,
    };
    qvk_status status = QVK_OK;

    plan.nodes = qvk__alloc_zeroed(graph->nodes.count, sizeof *plan.nodes);
    QVK__CHECK(plan.nodes, err, QVK_OUT_OF_MEMORY, "out of memory");
    for (size_t n = 0; n < graph->nodes.count && status == QVK_OK; n++) {
        it.node = (int32_t)n;
        status = plan_node(&it, err);
    }
    if (status == QVK_OK)
        *out = plan;
    else
        qvk__plan_finish(&plan);
    return status;
}

void qvk__plan_finish(qvk__plan *plan)
{
    free(plan->nodes);
    free(plan->dispatches.data);
    free(plan->aliases.data);
    free(plan->scratch.data);
    qvk__arena_free(&plan->arena);
    memset(plan, 0, sizeof *plan);
}

/* ---- identity ------------------------------------------------------------------------------------------- */

static uint64_t hash_number(uint64_t seed, uint64_t number)
{
    return qvk__hash64(&number, sizeof number, seed);
}

static uint64_t hash_dispatch(uint64_t seed, const qvk__dispatch *dispatch)
{
    const uint32_t n_buffers = qvk__kernel_info_of(dispatch->kernel)->n_buffers;

    seed = hash_number(seed, dispatch->kernel);
    seed = hash_number(seed, (uint64_t)dispatch->writes << 32 | dispatch->subgroup_size);
    seed = hash_number(seed, (uint64_t)dispatch->n_specs << 32 | dispatch->n_params);
    seed = qvk__hash64(dispatch->specs, dispatch->n_specs * sizeof dispatch->specs[0], seed);
    for (uint32_t i = 0; i < n_buffers; i++) {
        const qvk__ref *ref = &dispatch->buffers[i];
        seed = hash_number(seed, (uint64_t)ref->kind << 32 | (uint32_t)ref->id);
        seed = hash_number(seed, ref->offset);
        seed = hash_number(seed, ref->bytes);
    }
    return seed;
}

uint64_t qvk__plan_key(const qvk__plan *plan, size_t n_nodes)
{
    uint64_t key = 0;

    for (size_t n = 0; n < n_nodes; n++)
        key = hash_number(key, (uint64_t)plan->nodes[n].place << 32 | plan->nodes[n].n);
    for (size_t i = 0; i < plan->dispatches.count; i++)
        key = hash_dispatch(key, &plan->dispatches.data[i]);
    for (size_t i = 0; i < plan->aliases.count; i++) {
        const qvk__planned_alias *alias = &plan->aliases.data[i];
        key = hash_number(key, (uint64_t)(uint32_t)alias->node);
        key = hash_number(key, (uint64_t)(uint32_t)alias->out << 32 | (uint32_t)alias->in);
    }
    for (size_t i = 0; i < plan->scratch.count; i++)
        key = hash_number(key, (uint64_t)(uint32_t)plan->scratch.data[i].node);
    return key;
}
