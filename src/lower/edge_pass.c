#include "lower/edge_pass.h"

static void count(int32_t value, void *user)
{
    ((int32_t *)user)[value]++;
}

static qvk_status index_graph(qvk__edge_pass *pass, qvk_error *err)
{
    qvk__graph *graph = &pass->edge->graph;
    size_t n = graph->values.count + 1;

    pass->n_values = graph->values.count;
    pass->producer = qvk__alloc_zeroed(n * 3, sizeof *pass->producer);
    QVK__CHECK(pass->producer, err, QVK_OUT_OF_MEMORY, "out of memory");
    pass->uses = pass->producer + n;
    pass->subst = pass->uses + n;
    for (size_t i = 0; i < n; i++) {
        pass->producer[i] = -1;
        pass->subst[i] = (int32_t)i;
    }
    for (size_t i = 0; i < pass->n_old; i++) {
        for (int o = 0; o < pass->old[i].n_outs; o++)
            if (pass->old[i].outs[o] >= 0)
                pass->producer[pass->old[i].outs[o]] = (int32_t)i;
        qvk__node_visit_args(&pass->old[i], count, pass->uses);
    }
    for (size_t i = 0; i < graph->outputs.count; i++)
        pass->uses[graph->outputs.data[i]]++;
    for (size_t i = 1; i < pass->edge->mutated.count; i += 2)
        pass->uses[pass->edge->mutated.data[i]]++;
    return QVK_OK;
}

static void substitute(const qvk__edge_pass *pass, qvk__arg *arg)
{
    if (arg->kind == QVK__ARG_VALUE && (size_t)arg->u.value < pass->n_values)
        arg->u.value = pass->subst[arg->u.value];
    else if (arg->kind == QVK__ARG_LIST) /* lists live in the graph's own arena: writable */
        for (uint32_t i = 0; i < arg->count; i++)
            substitute(pass, (qvk__arg *)(uintptr_t)&arg->u.list[i]);
}

static qvk_status visit(qvk__edge_pass *pass, qvk__edge_match_fn match, size_t index, qvk_error *err)
{
    qvk__node *node = &pass->old[index];
    int32_t *outs = qvk__arena_alloc(&pass->edge->graph.arena, (uint64_t)node->n_outs + 1, sizeof *outs);
    bool matched = false;

    QVK__CHECK(outs, err, QVK_OUT_OF_MEMORY, "out of memory");
    pass->edge->origin = node;
    QVK__TRY(match(pass, node, outs, &matched, err));
    pass->edge->origin = NULL;
    if (matched) {
        for (int i = 0; i < node->n_outs; i++)
            if (node->outs[i] >= 0)
                pass->subst[node->outs[i]] = outs[i];
        return QVK_OK;
    }
    /* The kept copy gets its own arguments: later patterns still read the old node's. */
    {
        qvk__node kept = *node;
        kept.args = qvk__arena_alloc(&pass->edge->graph.arena, (uint64_t)node->n_args, sizeof *kept.args);
        QVK__CHECK(kept.args, err, QVK_OUT_OF_MEMORY, "out of memory");
        for (int i = 0; i < node->n_args; i++) {
            QVK__CHECK(qvk__graph_copy_arg(&pass->edge->graph, &node->args[i], &kept.args[i]), err,
                       QVK_OUT_OF_MEMORY, "out of memory");
            substitute(pass, &kept.args[i]);
        }
        QVK__CHECK(QVK__VEC_PUSH(&pass->edge->graph.nodes, kept), err, QVK_OUT_OF_MEMORY, "out of memory");
    }
    return QVK_OK;
}

/* Dead nodes out; new values of mutated buffers count as used. */
static qvk_status sweep(qvk__edge *edge, qvk_error *err)
{
    size_t n_outputs = edge->graph.outputs.count;

    for (size_t i = 1; i < edge->mutated.count; i += 2)
        QVK__CHECK(QVK__VEC_PUSH(&edge->graph.outputs, edge->mutated.data[i]), err, QVK_OUT_OF_MEMORY,
                   "out of memory");
    qvk__graph_eliminate_dead(&edge->graph);
    edge->graph.outputs.count = n_outputs;
    qvk__graph_compact(&edge->graph);
    return QVK_OK;
}

qvk_status qvk__edge_run_pass(qvk__edge *edge, qvk__edge_match_fn match, qvk_error *err)
{
    qvk_status status = QVK_OK;
    qvk__edge_pass pass = {.edge = edge, .old = edge->graph.nodes.data, .n_old = edge->graph.nodes.count};

    edge->graph.nodes.data = NULL;
    edge->graph.nodes.count = edge->graph.nodes.capacity = 0;
    QVK__TRY_GO(index_graph(&pass, err));
    for (size_t i = 0; i < pass.n_old; i++)
        if (!pass.old[i].dead)
            QVK__TRY_GO(visit(&pass, match, i, err));
    for (size_t i = 0; i < edge->graph.outputs.count; i++)
        edge->graph.outputs.data[i] = pass.subst[edge->graph.outputs.data[i]];
    for (size_t i = 1; i < edge->mutated.count; i += 2)
        edge->mutated.data[i] = pass.subst[edge->mutated.data[i]];
    status = sweep(edge, err);
done:
    edge->origin = NULL;
    free(pass.old);
    free(pass.producer);
    return status;
}

const qvk__node *qvk__pass_producer(const qvk__edge_pass *pass, const qvk__arg *arg, qvk__op op)
{
    const qvk__node *node;

    if (arg->kind != QVK__ARG_VALUE || (size_t)arg->u.value >= pass->n_values ||
        pass->producer[arg->u.value] < 0)
        return NULL;
    node = &pass->old[pass->producer[arg->u.value]];
    return op == QVK__OP_NONE || node->op == op ? node : NULL;
}

bool qvk__pass_single_use(const qvk__edge_pass *pass, int32_t value)
{
    return pass->uses[value] == 1;
}

qvk__arg qvk__pass_arg(const qvk__edge_pass *pass, const qvk__arg *arg)
{
    qvk__arg out = *arg, *list;

    if (arg->kind == QVK__ARG_LIST) {
        /* Without memory the list stays as it is; emitting the node then fails for the same reason. */
        list = qvk__arena_memdup(&pass->edge->graph.arena, arg->u.list, arg->count * sizeof *list);
        for (uint32_t i = 0; list && i < arg->count; i++)
            list[i] = qvk__pass_arg(pass, &arg->u.list[i]);
        out.u.list = list ? list : arg->u.list;
    } else if (arg->kind == QVK__ARG_VALUE && (size_t)arg->u.value < pass->n_values) {
        out.u.value = pass->subst[arg->u.value];
    }
    return out;
}

const qvk__value *qvk__pass_value(const qvk__edge_pass *pass, const qvk__arg *arg)
{
    return arg->kind == QVK__ARG_VALUE ? &pass->edge->graph.values.data[arg->u.value] : NULL;
}
