/* Load-time rewrites: the list of rules, and what they share. */
#include "runtime/load_fuse.h"

#include "core/dtype.h"

/* One after the other, at each node in turn. */
static const qvk__fuse_fn rules[] = {
    qvk__fuse_weight_only,
    qvk__fuse_dynamic_activation,
    qvk__fuse_chosen_activation,
    qvk__fuse_static_activation,
    qvk__fuse_bias,
    qvk__fuse_residual,
    qvk__fuse_rms_norm,
    qvk__fuse_gate,
};

/* Once linears are what they will be, and nobody is left who would only have led there. */
static const qvk__fuse_fn last_rules[] = {
    qvk__fuse_norm_into_linear,
};

/* ---- what rules use ------------------------------------------------------------------------------------- */

int32_t qvk__fuse_value(const qvk__arg *arg)
{
    return arg->kind == QVK__ARG_VALUE ? arg->u.value : -1;
}

const qvk_tensor *qvk__fuse_desc(const qvk__fuser *fuser, int32_t value)
{
    return &fuser->graph->values.data[value].desc;
}

const qvk__node *qvk__fuse_made_by(const qvk__fuser *fuser, int32_t value)
{
    return value >= 0 && (size_t)value < fuser->n_values && fuser->producers[value] >= 0
               ? &fuser->graph->nodes.data[fuser->producers[value]]
               : NULL;
}

static bool is_plain_copy(const qvk__graph *graph, const qvk__node *node)
{
    const qvk__value *in, *out;

    if (node->op != QVK__OP_CLONE && node->op != QVK__OP_ALIAS_COPY && node->op != QVK__OP_ET_PREPACK &&
        node->op != QVK__OP_DIM_CLONE_DIM_ORDER && node->op != QVK__OP_LIFT_FRESH_COPY)
        return false;
    if (qvk__fuse_value(&node->args[0]) < 0 || node->outs[0] < 0)
        return false;
    in = &graph->values.data[node->args[0].u.value];
    out = &graph->values.data[node->outs[0]];
    return qvk__tensor_is_like(&in->desc, &out->desc);
}

const qvk__node *qvk__fuse_producer(const qvk__fuser *fuser, int32_t value)
{
    const qvk__node *node = NULL;

    while (value >= 0 && (size_t)value < fuser->n_values && fuser->producers[value] >= 0) {
        node = &fuser->graph->nodes.data[fuser->producers[value]];
        if (!is_plain_copy(fuser->graph, node))
            return node;
        value = node->args[0].u.value;
        node = NULL;
    }
    return node;
}

bool qvk__fuse_is_constant(const qvk__fuser *fuser, int32_t value)
{
    return value >= 0 && fuser->graph->values.data[value].constant &&
           !fuser->graph->values.data[value].is_mutable;
}

bool qvk__fuse_is_steady(const qvk__fuser *fuser, int32_t value)
{
    return value >= 0 && (size_t)value < fuser->n_values && !fuser->written[value] &&
           fuser->graph->values.data[value].kind == QVK__VALUE_TENSOR &&
           !fuser->graph->values.data[value].is_mutable;
}

bool qvk__fuse_is_int(const qvk__arg *arg, int64_t wanted)
{
    int64_t value;
    return qvk__arg_int(arg, "", &value, NULL) == QVK_OK && value == wanted;
}

bool qvk__fuse_is_zero(const qvk__fuser *fuser, const qvk__arg *arg)
{
    const int32_t value = qvk__fuse_value(arg);
    const qvk__constant *constant;
    const uint8_t *bytes;
    const void *data;
    uint64_t at = 0;

    if (qvk__arg_is_null(arg))
        return true;
    if (!qvk__fuse_is_constant(fuser, value))
        return false;
    constant = fuser->graph->values.data[value].constant;
    if (qvk__constant_bytes(constant, &data, NULL) != QVK_OK)
        return false;
    bytes = data;
    while (at < constant->bytes && bytes[at] == 0)
        at++;
    qvk__constant_release(constant, data);
    return at == constant->bytes;
}

qvk_status qvk__fuse_replace(qvk__fuser *fuser, size_t index, qvk__op op, const qvk__arg *args, int n_args,
                             qvk_error *err)
{
    qvk__graph *graph = fuser->graph;
    qvk__arg *copies = qvk__arena_alloc(&graph->arena, (uint64_t)n_args, sizeof *copies);
    qvk__node *node = &graph->nodes.data[index];

    QVK__CHECK(copies, err, QVK_OUT_OF_MEMORY, "out of memory");
    for (int i = 0; i < n_args; i++)
        QVK__CHECK(qvk__graph_copy_arg(graph, &args[i], &copies[i]), err, QVK_OUT_OF_MEMORY, "out of memory");
    node->op = op;
    node->target = qvk__op_name(op);
    node->args = copies;
    node->n_args = n_args;
    return QVK_OK;
}

qvk_status qvk__fuse_constant(qvk__fuser *fuser, const char *name, const qvk_tensor *desc,
                              qvk_status (*fill)(const qvk__constant *constant, void *dst, qvk_error *err),
                              const void *context, int32_t *out, qvk_error *err)
{
    qvk__graph *graph = fuser->graph;
    qvk__constant *constant = qvk__arena_alloc(&graph->arena, 1, sizeof *constant);
    const int32_t value = qvk__graph_add_value(graph, name, desc);

    QVK__CHECK(constant && value >= 0, err, QVK_OUT_OF_MEMORY, "out of memory");
    constant->bytes = qvk_tensor_bytes(desc);
    constant->name = graph->values.data[value].name;
    constant->fill = fill;
    constant->fill_context = context;
    graph->values.data[value].constant = constant;
    *out = value;
    return QVK_OK;
}

/* ---- the pass ------------------------------------------------------------------------------------------- */

/* What is written in place has no one producer. */
static void find_producers(const qvk__graph *graph, const bool *written, int32_t *producers)
{
    for (size_t i = 0; i < graph->values.count; i++)
        producers[i] = -1;
    for (size_t n = 0; n < graph->nodes.count; n++)
        for (int i = 0; i < graph->nodes.data[n].n_outs; i++) {
            const int32_t out = graph->nodes.data[n].outs[i];
            if (out >= 0 && !written[out])
                producers[out] = (int32_t)n;
        }
}

static qvk_status run_rules(qvk__graph *graph, const qvk__fuse_fn *list, size_t n_rules, qvk_error *err)
{
    int32_t *producers = qvk__alloc_zeroed(graph->values.count, sizeof *producers);
    bool *written = qvk__alloc_zeroed(graph->values.count, sizeof *written);
    qvk__fuser fuser = {graph, producers, written, graph->values.count};
    qvk_status status = QVK_OK;

    QVK__CHECK_GO(producers && written, err, QVK_OUT_OF_MEMORY, "out of memory");
    QVK__TRY_GO(qvk__graph_find_written(graph, written, err));
    find_producers(graph, written, producers);
    for (size_t n = 0; n < graph->nodes.count; n++) {
        for (size_t r = 0; r < n_rules; r++) {
            bool changed = false;
            QVK__TRY_GO(list[r](&fuser, n, &changed, err));
        }
    }
    qvk__graph_eliminate_dead(graph);
    qvk__graph_compact(graph);
done:
    free(producers);
    free(written);
    return status;
}

qvk_status qvk__fuse_graph(qvk__graph *graph, qvk_error *err)
{
    QVK__TRY(run_rules(graph, rules, QVK__COUNT(rules), err));
    return run_rules(graph, last_rules, QVK__COUNT(last_rules), err);
}
