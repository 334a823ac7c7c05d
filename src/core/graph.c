/* Building and editing graphs. */
#include "core/graph.h"

void qvk__graph_init(qvk__graph *graph)
{
    memset(graph, 0, sizeof *graph);
}

void qvk__graph_finish(qvk__graph *graph)
{
    free(graph->values.data);
    free(graph->nodes.data);
    free(graph->inputs.data);
    free(graph->outputs.data);
    qvk__arena_free(&graph->arena);
    memset(graph, 0, sizeof *graph);
}

int32_t qvk__graph_add_value(qvk__graph *graph, const char *name, const qvk_tensor *desc)
{
    qvk__value value = {.kind = desc ? QVK__VALUE_TENSOR : QVK__VALUE_SYMBOL, .sym = -1};

    if (graph->values.count >= INT32_MAX)
        return -1;
    value.name = name ? qvk__arena_strdup(&graph->arena, name)
                      : qvk__arena_printf(&graph->arena, "v%zu", graph->values.count);
    if (!value.name)
        return -1;
    if (desc)
        value.desc = *desc;
    value.desc.data = NULL;
    for (int i = 0; i < QVK_MAX_RANK; i++)
        value.syms[i] = -1;
    if (!QVK__VEC_PUSH(&graph->values, value))
        return -1;
    return (int32_t)graph->values.count - 1;
}

static bool copy_list(qvk__graph *graph, const qvk__arg *from, qvk__arg *to)
{
    qvk__arg *list = qvk__arena_alloc(&graph->arena, from->count, sizeof *list);

    if (!list)
        return false;
    for (uint32_t i = 0; i < from->count; i++)
        if (!qvk__graph_copy_arg(graph, &from->u.list[i], &list[i]))
            return false;
    to->u.list = list;
    return true;
}

bool qvk__graph_copy_arg(qvk__graph *graph, const qvk__arg *from, qvk__arg *to)
{
    const void *copy = NULL;

    *to = *from;
    switch (from->kind) {
    case QVK__ARG_STRING: copy = to->u.s = qvk__arena_strdup(&graph->arena, from->u.s); break;
    case QVK__ARG_INTS:
        copy = to->u.ints = qvk__arena_memdup(&graph->arena, from->u.ints, from->count * sizeof(int64_t));
        break;
    case QVK__ARG_FLOATS:
        copy = to->u.floats = qvk__arena_memdup(&graph->arena, from->u.floats, from->count * sizeof(double));
        break;
    case QVK__ARG_BOOLS:
        copy = to->u.bools = qvk__arena_memdup(&graph->arena, from->u.bools, from->count * sizeof(bool));
        break;
    case QVK__ARG_LIST: return copy_list(graph, from, to);
    default: return true;
    }
    return copy != NULL;
}

int32_t qvk__graph_add_node(qvk__graph *graph, qvk__op op, const char *name, const qvk__arg *args, int n_args,
                            const int32_t *outs, int n_outs)
{
    qvk__node node = {.op = op, .target = qvk__op_name(op), .n_args = n_args, .n_outs = n_outs};

    if (graph->nodes.count >= INT32_MAX)
        return -1;
    node.name = name ? qvk__arena_strdup(&graph->arena, name) : NULL;
    node.args = qvk__arena_alloc(&graph->arena, (uint64_t)n_args, sizeof *node.args);
    node.outs = qvk__arena_memdup(&graph->arena, outs, (size_t)n_outs * sizeof *outs);
    if ((name && !node.name) || !node.args || !node.outs)
        return -1;
    for (int i = 0; i < n_args; i++)
        if (!qvk__graph_copy_arg(graph, &args[i], &node.args[i]))
            return -1;
    if (!QVK__VEC_PUSH(&graph->nodes, node))
        return -1;
    return (int32_t)graph->nodes.count - 1;
}

void qvk__arg_visit_values(const qvk__arg *arg, void (*visit)(int32_t value, void *user), void *user)
{
    if (arg->kind == QVK__ARG_VALUE)
        visit(arg->u.value, user);
    else if (arg->kind == QVK__ARG_LIST)
        for (uint32_t i = 0; i < arg->count; i++)
            qvk__arg_visit_values(&arg->u.list[i], visit, user);
}

void qvk__node_visit_args(const qvk__node *node, void (*visit)(int32_t value, void *user), void *user)
{
    for (int i = 0; i < node->n_args; i++)
        qvk__arg_visit_values(&node->args[i], visit, user);
}

void qvk__node_visit_written(const qvk__node *node, void (*visit)(int32_t value, void *user), void *user)
{
    for (int i = 0; i < node->n_args; i++)
        if (qvk__op_written_args(node->op) >> i & 1)
            qvk__arg_visit_values(&node->args[i], visit, user);
}

static void mark(int32_t value, void *user)
{
    ((bool *)user)[value] = true;
}

qvk_status qvk__graph_find_written(const qvk__graph *graph, bool *written, qvk_error *err)
{
    bool *defined = qvk__alloc_zeroed(graph->values.count, sizeof *defined);

    QVK__CHECK(defined, err, QVK_OUT_OF_MEMORY, "out of memory for a graph of %zu values",
               graph->values.count);
    for (size_t i = 0; i < graph->values.count; i++)
        defined[i] = graph->values.data[i].constant != NULL;
    for (size_t i = 0; i < graph->inputs.count; i++)
        defined[graph->inputs.data[i]] = true;
    for (size_t n = 0; n < graph->nodes.count; n++) {
        const qvk__node *node = &graph->nodes.data[n];
        qvk__node_visit_written(node, mark, written);
        for (int i = 0; i < node->n_outs; i++) {
            const int32_t out = node->outs[i];
            if (out < 0)
                continue;
            written[out] |= defined[out];
            defined[out] = true;
        }
    }
    free(defined);
    return QVK_OK;
}

static void replace_in_arg(qvk__arg *arg, int32_t from, int32_t to)
{
    if (arg->kind == QVK__ARG_VALUE && arg->u.value == from)
        arg->u.value = to;
    else if (arg->kind == QVK__ARG_LIST) /* lists live in the graph's own arena: writable */
        for (uint32_t i = 0; i < arg->count; i++)
            replace_in_arg((qvk__arg *)(uintptr_t)&arg->u.list[i], from, to);
}

void qvk__graph_replace_value(qvk__graph *graph, int32_t from, int32_t to)
{
    for (size_t n = 0; n < graph->nodes.count; n++)
        if (!graph->nodes.data[n].dead)
            for (int i = 0; i < graph->nodes.data[n].n_args; i++)
                replace_in_arg(&graph->nodes.data[n].args[i], from, to);
    for (size_t i = 0; i < graph->outputs.count; i++)
        if (graph->outputs.data[i] == from)
            graph->outputs.data[i] = to;
}

void qvk__graph_compact(qvk__graph *graph)
{
    size_t kept = 0;
    for (size_t i = 0; i < graph->nodes.count; i++)
        if (!graph->nodes.data[i].dead)
            graph->nodes.data[kept++] = graph->nodes.data[i];
    graph->nodes.count = kept;
}

typedef struct use_counter {
    int32_t *counts; /* per value */
    int32_t step;
} use_counter;

static void count_use(int32_t value, void *user)
{
    use_counter *counter = user;
    counter->counts[value] += counter->step;
}

static void count_node_uses(const qvk__node *node, int32_t *counts, int32_t step)
{
    use_counter counter = {counts, step};
    qvk__node_visit_args(node, count_use, &counter);
}

/* Operators that write an argument matter even when nobody reads their result. */
static bool has_effect(const qvk__node *node)
{
    const char *name = node->target ? node->target : "";
    const char *dot = strchr(name, '.'), *end = dot ? strchr(dot + 1, '.') : NULL;

    if (node->op == QVK__OP_NONE)
        return true;
    if (qvk__op_written_args(node->op))
        return true;
    return end && end > dot + 1 && end[-1] == '_'; /* PyTorch's mark of in-place: "aten.add_.Tensor" */
}

static bool is_unused(const qvk__graph *graph, const qvk__node *node, const int32_t *counts)
{
    for (int i = 0; i < node->n_outs; i++) /* an output that is a constant is state written in place */
        if (node->outs[i] >= 0 && (counts[node->outs[i]] > 0 || graph->values.data[node->outs[i]].constant))
            return false;
    return !has_effect(node);
}

int qvk__graph_eliminate_dead(qvk__graph *graph)
{
    int removed = 0;
    int32_t *counts = qvk__alloc_zeroed(graph->values.count, sizeof *counts);

    if (!counts)
        return 0;
    for (size_t i = 0; i < graph->outputs.count; i++)
        if (graph->outputs.data[i] >= 0)
            counts[graph->outputs.data[i]]++;
    for (size_t n = 0; n < graph->nodes.count; n++)
        if (!graph->nodes.data[n].dead)
            count_node_uses(&graph->nodes.data[n], counts, 1);
    /* Backwards, so that one sweep takes whole unused chains. */
    for (size_t n = graph->nodes.count; n-- > 0;) {
        qvk__node *node = &graph->nodes.data[n];
        if (node->dead || !is_unused(graph, node, counts))
            continue;
        node->dead = true;
        count_node_uses(node, counts, -1);
        removed++;
    }
    free(counts);
    return removed;
}

int32_t qvk__graph_producer(const qvk__graph *graph, int32_t value)
{
    for (size_t n = 0; n < graph->nodes.count; n++)
        for (int i = 0; i < graph->nodes.data[n].n_outs && !graph->nodes.data[n].dead; i++)
            if (graph->nodes.data[n].outs[i] == value)
                return (int32_t)n;
    return -1;
}

typedef struct use_search {
    int32_t value;
    int count;
} use_search;

static void match_use(int32_t value, void *user)
{
    use_search *search = user;
    search->count += value == search->value;
}

int qvk__graph_use_count(const qvk__graph *graph, int32_t value)
{
    use_search search = {value, 0};

    for (size_t n = 0; n < graph->nodes.count; n++)
        if (!graph->nodes.data[n].dead)
            qvk__node_visit_args(&graph->nodes.data[n], match_use, &search);
    for (size_t i = 0; i < graph->outputs.count; i++)
        search.count += graph->outputs.data[i] == value;
    return search.count;
}

static bool resolve_one(const qvk__arg *arg, const qvk__resolver *resolver, qvk__arena *arena, qvk__arg *out)
{
    qvk__arg *list;

    *out = *arg;
    if (arg->kind == QVK__ARG_VALUE) {
        const qvk_tensor *tensor = resolver->tensor(resolver->user, arg->u.value);
        if (tensor)
            *out = (qvk__arg){.kind = QVK__ARG_TENSOR, .u.tensor = tensor};
        else
            *out = qvk__arg_from_int(resolver->symbol(resolver->user, arg->u.value));
        return true;
    }
    if (arg->kind != QVK__ARG_LIST)
        return true;
    list = qvk__arena_alloc(arena, arg->count, sizeof *list);
    if (!list)
        return false;
    for (uint32_t i = 0; i < arg->count; i++)
        if (!resolve_one(&arg->u.list[i], resolver, arena, &list[i]))
            return false;
    out->u.list = list;
    return true;
}

bool qvk__args_resolve(const qvk__arg *args, int n_args, const qvk__resolver *resolver, qvk__arena *arena,
                       qvk__arg *out)
{
    for (int i = 0; i < n_args; i++)
        if (!resolve_one(&args[i], resolver, arena, &out[i]))
            return false;
    return true;
}
