#include "runtime/graph_plan.h"

#include <stdio.h>

#include "reference/reference.h"

/* Constants up to this size are shown to planners as host bytes. */
enum { MAX_SHOWN_CONSTANT = 1 << 20 };

typedef struct planning {
    qvk__planner base; /* first: callbacks get this */
    const qvk__plan_source *source;
    qvk__plan *plan;
    const qvk__plan *earlier; /* where earlier nodes are: the same, or what the node is replanned for */
    uint32_t first_scratch;   /* id of plan->scratch.data[0] */
    int32_t node;
    qvk__planned_node *planned; /* of the node */
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
    const qvk__planned_scratch scratch = {
        .node = it->node, .last_node = it->node, .filled_by = -1, .bytes = QVK__MAX(bytes, 16)};

    QVK__CHECK(QVK__VEC_PUSH(&it->plan->scratch, scratch), err, QVK_OUT_OF_MEMORY, "out of memory");
    it->planned->n_scratch++;
    *out = (qvk__ref){.kind = QVK__REF_SCRATCH,
                      .id = (int32_t)(it->first_scratch + it->plan->scratch.count - 1)};
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
    it->planned->n++;
    return QVK_OK;
}

/* The finalizer of splitmix64 over what was hashed before and the next number. */
static uint64_t hash_number(uint64_t seed, uint64_t number)
{
    uint64_t z = (seed ^ number) + UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static bool same_ref(const qvk__ref *a, const qvk__ref *b)
{
    return a->kind == b->kind && a->id == b->id && a->offset == b->offset && a->bytes == b->bytes;
}

static bool same_kernel(const qvk__dispatch *a, const qvk__dispatch *b)
{
    return a->kernel == b->kernel && a->writes == b->writes && a->subgroup_size == b->subgroup_size &&
           a->n_specs == b->n_specs && a->n_params == b->n_params &&
           memcmp(a->specs, b->specs, a->n_specs * sizeof a->specs[0]) == 0;
}

/* The same numbers whenever it is read? */
static bool holds_still(const planning *it, int32_t value)
{
    return !it->source->host->graph->values.data[value].is_mutable &&
           !(it->source->written && it->source->written[value]);
}

static bool reads_what_holds_still(const planning *it, const qvk__dispatch *dispatch)
{
    for (uint32_t i = 0; i < qvk__kernel_info_of(dispatch->kernel)->n_buffers; i++)
        if (dispatch->buffers[i].kind == QVK__REF_VALUE && !holds_still(it, dispatch->buffers[i].id))
            return false;
    return true;
}

/* What is read: of values, those whose bytes they show. */
static qvk__ref behind_aliases(const planning *it, qvk__ref ref)
{
    const qvk__plan *plan = it->earlier;

    for (size_t i = plan->aliases.count; ref.kind == QVK__REF_VALUE && i-- > 0;)
        if (plan->aliases.data[i].out == ref.id && holds_still(it, plan->aliases.data[i].in))
            ref.id = plan->aliases.data[i].in;
    return ref;
}

/* Of what the work reads. */
static uint64_t hash_reads(const planning *it, const qvk__dispatch *dispatch)
{
    uint64_t hash = 0;

    for (uint32_t i = 0; i < qvk__kernel_info_of(dispatch->kernel)->n_buffers; i++) {
        const qvk__ref ref = behind_aliases(it, dispatch->buffers[i]);
        if (!(dispatch->writes >> i & 1))
            hash = hash_number(hash, (uint64_t)ref.kind << 32 | (uint32_t)ref.id);
    }
    return hash;
}

static bool same_work(const planning *it, const qvk__dispatch *a, const qvk__dispatch *b)
{
    if (!same_kernel(a, b) || memcmp(a->groups, b->groups, sizeof a->groups) != 0 ||
        memcmp(a->params, b->params, a->n_params * sizeof a->params[0]) != 0)
        return false;
    for (uint32_t i = 0; i < qvk__kernel_info_of(a->kernel)->n_buffers; i++) {
        const qvk__ref x = behind_aliases(it, a->buffers[i]), y = behind_aliases(it, b->buffers[i]);
        if (!(a->writes >> i & 1) && !same_ref(&x, &y))
            return false;
    }
    return true;
}

/* Scratch of an earlier node that the work fills already; -1: there is none. */
static int32_t find_shared(const planning *it, const qvk__dispatch *dispatch, uint64_t reads)
{
    const qvk__plan *plan = it->earlier;

    for (size_t i = 0; i < plan->scratch.count && plan->scratch.data[i].node < it->node; i++) {
        const qvk__planned_scratch *scratch = &plan->scratch.data[i];
        if (scratch->filled_by >= 0 && scratch->reads == reads &&
            same_work(it, &plan->dispatches.data[scratch->filled_by], dispatch))
            return (int32_t)i;
    }
    return -1;
}

static qvk_status take_shared(qvk__planner *planner, const qvk__dispatch *dispatch, uint64_t bytes,
                              qvk__ref *out, qvk_error *err)
{
    planning *it = of(planner);
    const bool may_share = reads_what_holds_still(it, dispatch);
    const uint64_t reads = may_share ? hash_reads(it, dispatch) : 0;
    const int32_t found = may_share ? find_shared(it, dispatch, reads) : -1;

    if (found >= 0) {
        *out = (qvk__ref){.kind = QVK__REF_SCRATCH, .id = found};
        if (it->earlier == it->plan)
            it->plan->scratch.data[found].last_node = it->node;
        return QVK_OK;
    }
    QVK__TRY(take_scratch(planner, bytes, out, err));
    if (may_share) {
        qvk__planned_scratch *scratch = &it->plan->scratch.data[it->plan->scratch.count - 1];
        scratch->filled_by = (int32_t)it->plan->dispatches.count;
        scratch->reads = reads;
    }
    const qvk__dispatch filling = qvk__dispatch_filling(dispatch, *out);
    return take_dispatch(planner, &filling, err);
}

static qvk_status take_alias(qvk__planner *planner, int32_t out, int32_t in, qvk_error *err)
{
    planning *it = of(planner);
    const qvk__planned_alias alias = {it->node, out, in};

    QVK__CHECK(QVK__VEC_PUSH(&it->plan->aliases, alias), err, QVK_OUT_OF_MEMORY, "out of memory");
    it->planned->n_aliases++;
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

    QVK__CHECK(qvk__reference_has(graph->nodes.data[it->node].op), err, QVK_UNSUPPORTED_OPERATOR, "%s: %s",
               qvk__node_label_of(graph, (size_t)it->node).text, reason);
    it->planned->place = QVK__PLACE_CPU;
    it->planned->reason = qvk__arena_strdup(&it->plan->arena, reason);
    QVK__CHECK(it->planned->reason, err, QVK_OUT_OF_MEMORY, "out of memory");
    return QVK_OK;
}

/* What a planner gave before it failed does not count. */
static void forget(planning *it)
{
    it->plan->dispatches.count = it->planned->first;
    it->plan->aliases.count = it->planned->first_alias;
    it->plan->scratch.count = it->planned->first_scratch;
    it->planned->n = it->planned->n_aliases = it->planned->n_scratch = 0;
}

static qvk_status plan_node(planning *it, qvk_error *err)
{
    const qvk__graph *graph = it->source->host->graph;
    const qvk__node *node = &graph->nodes.data[it->node];
    const qvk__plan_fn plan_fn = qvk__plan_of(node->op);
    qvk_error reason;
    qvk_status status;

    *it->planned = (qvk__planned_node){.first = (uint32_t)it->plan->dispatches.count,
                                       .first_alias = (uint32_t)it->plan->aliases.count,
                                       .first_scratch = (uint32_t)it->plan->scratch.count};
    if (is_symbolic(graph, node))
        return QVK_OK;
    if (!plan_fn)
        return place_on_cpu(it, "no kernel computes this operator", err);
    it->planned->place = QVK__PLACE_DEVICE;
    status = plan_fn(&it->base, node, &reason);
    if (status == QVK_OK)
        return QVK_OK;
    forget(it);
    if (status == QVK_UNSUPPORTED)
        return place_on_cpu(it, reason.message, err);
    if (err)
        *err = reason;
    return qvk__error_context(err, status, "%s", qvk__node_label_of(graph, (size_t)it->node).text);
}

static planning start(const qvk__plan_source *source, qvk__plan *plan)
{
    return (planning){
        .base = {.caps = source->caps,
                 .fp16_math = (source->caps->flags & QVK__CAP_FP16) != 0,
                 .linear_tuning = source->tuning,
                 .linear_tiles = source->tiles,
                 .distrusted = source->distrusted,
                 .graph = source->host->graph,
                 .desc = ask_desc,
                 .symbol = ask_symbol,
                 .constant = ask_constant,
                 .pack = take_pack,
                 .scratch = take_scratch,
                 .dispatch = take_dispatch,
                 .shared = take_shared,
                 .alias = take_alias},
        .source = source,
        .plan = plan,
        .earlier = plan,
    };
}

qvk_status qvk__plan_make(const qvk__plan_source *source, qvk__plan *out, qvk_error *err)
{
    const size_t n_nodes = source->host->graph->nodes.count;
    qvk__plan plan = {0};
    planning it = start(source, &plan);
    qvk_status status = QVK_OK;

    plan.nodes = qvk__alloc_zeroed(n_nodes, sizeof *plan.nodes);
    QVK__CHECK(plan.nodes, err, QVK_OUT_OF_MEMORY, "out of memory");
    for (size_t n = 0; n < n_nodes && status == QVK_OK; n++) {
        it.node = (int32_t)n;
        it.planned = &plan.nodes[n];
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

/* ---- one node ------------------------------------------------------------------------------------------- */

qvk_status qvk__plan_one(const qvk__plan_source *source, const qvk__plan *plan, size_t node, qvk__plan *one,
                         qvk_error *err)
{
    planning it = start(source, one);

    if (!one->nodes)
        one->nodes = qvk__alloc_zeroed(1, sizeof *one->nodes);
    QVK__CHECK(one->nodes, err, QVK_OUT_OF_MEMORY, "out of memory");
    one->dispatches.count = one->aliases.count = one->scratch.count = 0;
    qvk__arena_reset(&one->arena);
    it.earlier = plan;
    it.first_scratch = plan->nodes[node].first_scratch;
    it.node = (int32_t)node;
    it.planned = one->nodes;
    return plan_node(&it, err);
}

bool qvk__plan_depends(const qvk__plan *plan, size_t node, const bool *changed)
{
    const qvk__planned_node *planned = &plan->nodes[node];

    for (uint32_t i = 0; i < planned->n; i++) {
        const qvk__dispatch *dispatch = &plan->dispatches.data[planned->first + i];
        for (uint32_t b = 0; b < qvk__kernel_info_of(dispatch->kernel)->n_buffers; b++)
            if (dispatch->buffers[b].kind == QVK__REF_SCRATCH &&
                changed[plan->scratch.data[dispatch->buffers[b].id].node])
                return true;
    }
    return false;
}

static bool serves(const qvk__dispatch *a, const qvk__dispatch *b)
{
    if (!same_kernel(a, b))
        return false;
    for (uint32_t i = 0; i < qvk__kernel_info_of(a->kernel)->n_buffers; i++)
        if (!same_ref(&a->buffers[i], &b->buffers[i]))
            return false;
    return true;
}

bool qvk__plan_same(const qvk__plan *plan, size_t node, const qvk__plan *one)
{
    const qvk__planned_node *a = &plan->nodes[node], *b = one->nodes;

    if (a->place != b->place || a->n != b->n || a->n_aliases != b->n_aliases || a->n_scratch != b->n_scratch)
        return false;
    for (uint32_t i = 0; i < a->n; i++)
        if (!serves(&plan->dispatches.data[a->first + i], &one->dispatches.data[i]))
            return false;
    for (uint32_t i = 0; i < a->n_aliases; i++) {
        const qvk__planned_alias *x = &plan->aliases.data[a->first_alias + i], *y = &one->aliases.data[i];
        if (x->out != y->out || x->in != y->in)
            return false;
    }
    return true;
}

void qvk__plan_update(qvk__plan *plan, size_t node, const qvk__plan *one)
{
    const qvk__planned_node *planned = &plan->nodes[node];

    for (uint32_t i = 0; i < planned->n; i++) {
        qvk__dispatch *to = &plan->dispatches.data[planned->first + i];
        const qvk__dispatch *from = &one->dispatches.data[i];
        memcpy(to->params, from->params, from->n_params * sizeof from->params[0]);
        memcpy(to->groups, from->groups, sizeof to->groups);
        to->bytes = from->bytes;
        to->ops = from->ops;
    }
}

/* ---- identity ------------------------------------------------------------------------------------------- */

static uint64_t hash_dispatch(uint64_t seed, const qvk__dispatch *dispatch)
{
    const uint32_t n_buffers = qvk__kernel_info_of(dispatch->kernel)->n_buffers;

    seed = hash_number(seed, dispatch->kernel);
    seed = hash_number(seed, (uint64_t)dispatch->writes << 32 | dispatch->subgroup_size);
    seed = hash_number(seed, (uint64_t)dispatch->n_specs << 32 | dispatch->n_params);
    for (uint32_t i = 0; i < dispatch->n_specs; i++)
        seed = hash_number(seed, dispatch->specs[i]);
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
    for (size_t i = 0; i < plan->scratch.count; i++) {
        const qvk__planned_scratch *scratch = &plan->scratch.data[i];
        key = hash_number(key, (uint64_t)(uint32_t)scratch->node << 32 | (uint32_t)scratch->last_node);
    }
    return key;
}
