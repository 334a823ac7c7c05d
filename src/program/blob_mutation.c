/*
 * Buffers that a delegate writes. Blobs know three forms: operators that write an argument (KV caches); calls
 * whose result is the buffer's own id; and a new value among the outputs that nobody receives. All become
 * mutable constants, whose contents last from one execution to the next, and writes that stand in the graph
 * as nodes.
 */
#include "core/dtype.h"
#include "program/blob_reader.h"

uint32_t qvk__blob_written_args(const qvk__node *node)
{
    const char *dot = strrchr(node->target, '.');

    if (node->op == QVK__OP_LLAMA_UPDATE_CACHE)
        return 1u << 1;
    if (node->op == QVK__OP_LLAMA_SDPA_WITH_KV_CACHE)
        return 1u << 3 | 1u << 4;
    return dot && dot > node->target && dot[-1] == '_' ? 1u << 0 : 0; /* "aten.copy_.default" writes self */
}

/*
 * A mutable constant has a qvk__constant of its own: equal caches share their initial bytes, never their
 * state. One that reaches its writers through et_vk.prepack is that call's result; the call goes.
 */
qvk_status qvk__blob_make_persistent(qvk__graph *graph, int32_t id, int32_t prepack, bool *kept,
                                     qvk_error *err)
{
    qvk__value *value = &graph->values.data[id];
    const qvk__constant *constant = value->constant;

    *kept = value->is_mutable;
    if (*kept)
        return QVK_OK;
    if (!constant && prepack >= 0) {
        qvk__node *node = &graph->nodes.data[prepack];
        const qvk__value *source = &graph->values.data[node->args[0].u.value];
        if (source->desc.dtype == value->desc.dtype && qvk__shape_equal(&source->desc, &value->desc))
            constant = source->constant;
        node->dead = constant != NULL;
    }
    if (!constant)
        return QVK_OK;
    value->constant = qvk__arena_memdup(&graph->arena, constant, sizeof *constant);
    QVK__CHECK(value->constant, err, QVK_OUT_OF_MEMORY, "out of memory");
    value->is_mutable = true;
    *kept = true;
    return QVK_OK;
}

/* buffer <- value, at the end of the nodes so far. */
static qvk_status add_write(qvk__graph *graph, int32_t buffer, int32_t value, qvk_error *err)
{
    const int32_t unused = -1;
    qvk__arg args[3];

    args[0] = qvk__arg_from_value(buffer);
    args[1] = qvk__arg_from_value(value);
    args[2] = qvk__arg_from_bool(false);
    QVK__CHECK(qvk__graph_add_node(graph, QVK__OP_COPY_INPLACE, NULL, args, 3, &unused, 1) >= 0, err,
               QVK_OUT_OF_MEMORY, "out of memory");
    return QVK_OK;
}

qvk_status qvk__blob_split_write(qvk__graph *graph, size_t node, int32_t out, int32_t prepack, qvk_error *err)
{
    int32_t buffer = graph->nodes.data[node].outs[out], fresh;
    const char *name = graph->values.data[buffer].name;
    qvk_tensor desc = graph->values.data[buffer].desc;
    bool kept = false;

    if (graph->values.data[buffer].kind == QVK__VALUE_TENSOR)
        QVK__TRY(qvk__blob_make_persistent(graph, buffer, prepack, &kept, err));
    QVK__CHECK(kept, err, QVK_UNSUPPORTED, "%s is written twice", name);
    name = qvk__arena_printf(&graph->arena, "%s_new%zu", name, graph->values.count);
    QVK__CHECK(name, err, QVK_OUT_OF_MEMORY, "out of memory");
    fresh = qvk__graph_add_value(graph, name, &desc);
    QVK__CHECK(fresh >= 0, err, QVK_OUT_OF_MEMORY, "out of memory");
    graph->nodes.data[node].outs[out] = fresh;
    return add_write(graph, buffer, fresh, err);
}

/*
 * The buffer whose new value this is: PyTorch's functional forms take the old one as their first argument, so
 * the way back leads over first arguments of the same shape to a constant. -1 when it does not.
 */
static int32_t find_buffer(const qvk__graph *graph, int32_t value)
{
    for (size_t steps = 0; steps < graph->nodes.count && value >= 0; steps++) {
        const qvk__value *here = &graph->values.data[value], *before;
        int32_t node = qvk__graph_producer(graph, value);

        if (here->constant)
            return value;
        if (node < 0 || graph->nodes.data[node].n_args == 0 ||
            graph->nodes.data[node].args[0].kind != QVK__ARG_VALUE)
            return -1;
        before = &graph->values.data[graph->nodes.data[node].args[0].u.value];
        if (before->kind != QVK__VALUE_TENSOR || before->desc.dtype != here->desc.dtype ||
            !qvk__shape_equal(&before->desc, &here->desc))
            return -1;
        /* What a prepack made is what the other calls use, so that is the buffer. */
        if (graph->nodes.data[node].op == QVK__OP_ET_PREPACK && before->constant)
            return value;
        value = graph->nodes.data[node].args[0].u.value;
    }
    return -1;
}

qvk_status qvk__blob_keep_mutation(qvk__graph *graph, int32_t value, qvk_error *err)
{
    int32_t buffer = find_buffer(graph, value);
    bool kept = false;

    if (buffer < 0 || buffer == value)
        return QVK_OK;
    QVK__TRY(qvk__blob_make_persistent(graph, buffer, qvk__graph_producer(graph, buffer), &kept, err));
    QVK__TRY(add_write(graph, buffer, value, err));
    qvk__graph_compact(graph);
    return QVK_OK;
}
