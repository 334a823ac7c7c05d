/* The reference executor of one graph: node after node on the host, memory freed at the last use. */
#include "runtime/engine.h"

#include "reference/reference.h"

static bool is_symbolic(const qvk__graph *graph, const qvk__node *node)
{
    return node->n_outs == 1 && node->outs[0] >= 0 &&
           graph->values.data[node->outs[0]].kind == QVK__VALUE_SYMBOL;
}

qvk_status qvk__reference_engine_check(const qvk__engine *engine, qvk_error *err)
{
    const qvk__graph *graph = &engine->graph;

    for (size_t n = 0; n < graph->nodes.count; n++) {
        const qvk__node *node = &graph->nodes.data[n];
        QVK__CHECK(is_symbolic(graph, node) || qvk__reference_has(node->op), err, QVK_UNSUPPORTED_OPERATOR,
                   "%s: qvk %s this operator", qvk__node_label_of(graph, n).text,
                   node->op == QVK__OP_NONE ? "does not know" : "cannot execute");
    }
    return QVK_OK;
}

typedef struct release_pass {
    qvk__engine *engine;
    int32_t node;
} release_pass;

static void release_at_last_use(int32_t value, void *user)
{
    const release_pass *pass = user;
    if (pass->engine->last_use[value] == pass->node && !pass->engine->graph.values.data[value].constant)
        qvk__host_release(&pass->engine->host, value);
}

static qvk_status run_node(qvk__engine *engine, size_t n, qvk_error *err)
{
    const qvk__node *node = &engine->graph.nodes.data[n];
    const uint64_t start = qvk__clock_ns();
    release_pass release = {engine, (int32_t)n};
    qvk_profile_entry entry = {.name = node->target, .kernel = "reference"};

    QVK__TRY(qvk__host_infer(&engine->host, n, err));
    if (is_symbolic(&engine->graph, node)) {
        QVK__CHECK(engine->host.known[node->outs[0]], err, QVK_INTERNAL, "%s: its number is not known",
                   qvk__node_label_of(&engine->graph, n).text);
        return QVK_OK;
    }
    QVK__TRY(qvk__host_run(&engine->host, n, err));
    qvk__node_visit_args(node, release_at_last_use, &release);
    if (!engine->params.profile)
        return QVK_OK;
    entry.start_us = (double)(start - engine->run_start_ns) * 1e-3;
    entry.gpu_us = (double)(qvk__clock_ns() - start) * 1e-3;
    return qvk__engine_add_profile(engine, &entry, err);
}

static qvk_status deliver(qvk__engine *engine, uint32_t index, qvk_value *out, qvk_error *err)
{
    const int32_t value = engine->graph.outputs.data[index];

    if (engine->graph.values.data[value].kind == QVK__VALUE_SYMBOL) {
        *out = (qvk_value){.kind = QVK_VALUE_INT, .i = engine->host.symbols[value]};
        return QVK_OK;
    }
    if (engine->graph.values.data[value].constant)
        QVK__TRY(qvk__host_constant(&engine->host, value, err));
    return qvk__engine_deliver(engine, index, &engine->host.tensors[value], out, err);
}

qvk_status qvk__reference_engine_run(qvk__engine *engine, qvk_value *outputs, qvk_error *err)
{
    for (size_t n = 0; n < engine->graph.nodes.count; n++)
        QVK__TRY(run_node(engine, n, err));
    for (uint32_t i = 0; i < engine->graph.outputs.count; i++)
        QVK__TRY(deliver(engine, i, &outputs[i], err));
    return QVK_OK;
}
