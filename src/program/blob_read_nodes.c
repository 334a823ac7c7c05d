/* Calls of a Vulkan blob become nodes: arguments by schema, results, and writes in place made explicit. */
#include "program/blob_reader.h"

typedef struct node_reader {
    qvk__blob_reader *blob;
    qvk__graph *graph;
    size_t n_values;       /* of the file; writes in place add some */
    uint8_t *defined;      /* per value: constant, input, or result of an earlier call */
    int32_t *prepacked_by; /* per value: 1 + the et_vk.prepack node that makes it, or 0 */
} node_reader;

/* ---- arguments and results ----------------------------------------------------------------------------- */

/* `ids` are the call's value ids without the last, its result. */
static qvk_status read_args(node_reader *reader, qvk__fb_vector ids, uint32_t n_given,
                            const qvk__signature *signature, qvk__node *node, qvk_error *err)
{
    bool known = node->op != QVK__OP_NONE;
    uint32_t n = known ? (uint32_t)signature->n_params : n_given;

    QVK__CHECK(n_given <= n, err, QVK_BAD_FORMAT, "%u arguments, at most %u are possible", n_given, n);
    node->args = qvk__arena_alloc(&reader->graph->arena, n, sizeof *node->args);
    QVK__CHECK(node->args, err, QVK_OUT_OF_MEMORY, "out of memory");
    node->n_args = (int32_t)n;
    for (uint32_t i = 0; i < n; i++) {
        const qvk__param *param = known ? &signature->params[i] : NULL;
        if (i < n_given) {
            node->args[i] = reader->blob->args[qvk__fb_i32_at(ids, i)];
            if (param)
                QVK__TRY(qvk__blob_fit_arg(reader->graph, param, &node->args[i], err));
            continue;
        }
        QVK__CHECK(param->has_default, err, QVK_BAD_FORMAT, "argument %s is missing", param->name);
        QVK__CHECK(qvk__graph_copy_arg(reader->graph, &param->fallback, &node->args[i]), err,
                   QVK_OUT_OF_MEMORY, "out of memory");
    }
    return QVK_OK;
}

static qvk_status read_out(const qvk__arg *arg, int32_t *out, qvk_error *err)
{
    QVK__CHECK(arg->kind == QVK__ARG_VALUE || arg->kind == QVK__ARG_NULL, err, QVK_BAD_FORMAT,
               "a result is neither tensor nor symbol");
    *out = arg->kind == QVK__ARG_VALUE ? arg->u.value : -1;
    return QVK_OK;
}

static qvk_status read_outs(node_reader *reader, const qvk__arg *result, const qvk__signature *signature,
                            qvk__node *node, qvk_error *err)
{
    bool is_list = result->kind == QVK__ARG_LIST;
    int32_t count = is_list ? (int32_t)result->count : 1;

    node->outs = qvk__arena_alloc(&reader->graph->arena, (uint64_t)count, sizeof *node->outs);
    QVK__CHECK(node->outs, err, QVK_OUT_OF_MEMORY, "out of memory");
    for (int32_t i = 0; i < count; i++)
        QVK__TRY(read_out(is_list ? &result->u.list[i] : result, &node->outs[i], err));
    node->n_outs = count;
    QVK__CHECK(node->op == QVK__OP_NONE || signature->n_returns < 0 || signature->n_returns == count, err,
               QVK_BAD_FORMAT, "%d results, the operator has %d", count, signature->n_returns);
    return QVK_OK;
}

/* ---- definitions ---------------------------------------------------------------------------------------- */

static int32_t prepack_of(const node_reader *reader, int32_t value)
{
    return (size_t)value < reader->n_values ? reader->prepacked_by[value] - 1 : -1;
}

/* Notes what the node at `index` defines, and splits its writes off. */
static qvk_status define_results(node_reader *reader, size_t index, qvk_error *err)
{
    qvk__graph *graph = reader->graph;

    /* Splitting adds nodes, which may move them all: each is looked up anew. */
    for (int32_t i = 0; i < graph->nodes.data[index].n_outs; i++) {
        int32_t out = graph->nodes.data[index].outs[i];
        if (out < 0)
            continue;
        if (reader->defined[out]) {
            QVK__TRY(qvk__blob_split_write(graph, index, i, prepack_of(reader, out), err));
            continue;
        }
        reader->defined[out] = 1;
        if (graph->nodes.data[index].op == QVK__OP_ET_PREPACK)
            reader->prepacked_by[out] = (int32_t)index + 1;
    }
    return QVK_OK;
}

static qvk_status keep_written_args(node_reader *reader, size_t index, qvk_error *err)
{
    uint32_t written = qvk__blob_written_args(&reader->graph->nodes.data[index]);

    for (int32_t i = 0; i < reader->graph->nodes.data[index].n_args && i < 32; i++) {
        const qvk__arg *arg = &reader->graph->nodes.data[index].args[i];
        bool kept;
        if (written & 1u << i && arg->kind == QVK__ARG_VALUE)
            QVK__TRY(qvk__blob_make_persistent(reader->graph, arg->u.value, prepack_of(reader, arg->u.value),
                                               &kept, err));
    }
    return QVK_OK;
}

/* ---- calls --------------------------------------------------------------------------------------------- */

static qvk_status read_call(node_reader *reader, qvk__fb_table call, qvk_error *err)
{
    qvk__fb_vector ids = qvk__fb_children(call, BLOB_CALL_ARGS);
    const char *name = qvk__fb_string(call, BLOB_CALL_NAME);
    qvk__signature signature;
    qvk__node node = {0};
    size_t index = reader->graph->nodes.count;

    QVK__CHECK(name, err, QVK_BAD_FORMAT, "call without an operator's name");
    QVK__CHECK(ids.count > 0, err, QVK_BAD_FORMAT, "%s: call without a result", name);
    for (uint32_t i = 0; i < ids.count; i++)
        QVK__CHECK(qvk__fb_u32_at(ids, i) < reader->blob->n_args, err, QVK_BAD_FORMAT, "%s: value %u of %u",
                   name, qvk__fb_u32_at(ids, i), reader->blob->n_args);
    node.op = qvk__op_find(qvk__blob_table_name(name));
    node.target = node.op ? qvk__op_name(node.op) : name;
    qvk__op_signature(node.op, &signature);
    QVK__TRY(read_args(reader, ids, ids.count - 1, &signature, &node, err));
    QVK__TRY(
        read_outs(reader, &reader->blob->args[qvk__fb_i32_at(ids, ids.count - 1)], &signature, &node, err));
    QVK__CHECK(QVK__VEC_PUSH(&reader->graph->nodes, node), err, QVK_OUT_OF_MEMORY, "out of memory");
    QVK__TRY(keep_written_args(reader, index, err));
    return define_results(reader, index, err);
}

static qvk_status read_calls(node_reader *reader, qvk_error *err)
{
    qvk__fb_vector chain = qvk__fb_children(reader->blob->root, BLOB_GRAPH_CHAIN);

    for (uint32_t i = 0; i < chain.count; i++) {
        qvk__fb_table call = qvk__fb_child_at(chain, i);
        qvk_status status = read_call(reader, call, err);
        if (status != QVK_OK) {
            const char *name = qvk__fb_string(call, BLOB_CALL_NAME);
            return qvk__error_context(err, status, "call %u (%s)", i, name ? name : "?");
        }
    }
    qvk__graph_compact(reader->graph);
    return QVK_OK;
}

qvk_status qvk__blob_read_nodes(qvk__blob_reader *blob, qvk_error *err)
{
    qvk__graph *graph = blob->graph;
    node_reader reader = {.blob = blob, .graph = graph, .n_values = graph->values.count};
    qvk_status status = QVK_OK;

    reader.defined = qvk__alloc_zeroed(reader.n_values, sizeof *reader.defined);
    reader.prepacked_by = qvk__alloc_zeroed(reader.n_values, sizeof *reader.prepacked_by);
    QVK__CHECK_GO(reader.defined && reader.prepacked_by, err, QVK_OUT_OF_MEMORY, "out of memory");
    for (size_t i = 0; i < reader.n_values; i++)
        reader.defined[i] = graph->values.data[i].constant != NULL;
    for (size_t i = 0; i < graph->inputs.count; i++)
        reader.defined[graph->inputs.data[i]] = 1;
    QVK__TRY_GO(read_calls(&reader, err));
done:
    free(reader.defined);
    free(reader.prepacked_by);
    return status;
}
