/* Nodes become calls of a Vulkan blob: one value id per schema argument, and one for the result. */
#include "program/blob_writer.h"

/* ---- scalars ------------------------------------------------------------------------------------------- */

static qvk__fb_offset add_scalar_table(qvk__fb_writer *fb, const qvk__arg *arg)
{
    qvk__fb_begin(fb);
    if (arg->kind == QVK__ARG_INT)
        qvk__fb_set_i64(fb, BLOB_INT_VALUE, arg->u.i);
    else if (arg->kind == QVK__ARG_FLOAT)
        qvk__fb_set_f64(fb, BLOB_DOUBLE_VALUE, arg->u.f);
    else if (arg->kind == QVK__ARG_BOOL)
        qvk__fb_set_u8(fb, BLOB_BOOL_VALUE, arg->u.b);
    return qvk__fb_end(fb);
}

static qvk_status add_scalar(qvk__blob_writer *writer, const qvk__arg *arg, int32_t *id, qvk_error *err)
{
    uint8_t tag = arg->kind == QVK__ARG_INT     ? BLOB_VALUE_TAG(INT)
                  : arg->kind == QVK__ARG_FLOAT ? BLOB_VALUE_TAG(DOUBLE)
                                                : BLOB_VALUE_TAG(BOOL);
    qvk__blob_scalar scalar = {.kind = arg->kind};

    if (arg->kind == QVK__ARG_BOOL)
        scalar.bits = arg->u.b;
    else if (arg->kind == QVK__ARG_INT)
        scalar.bits = arg->u.i;
    else
        memcpy(&scalar.bits, &arg->u.f, sizeof scalar.bits);
    for (size_t i = 0; i < writer->scalars.count; i++) {
        const qvk__blob_scalar *other = &writer->scalars.data[i];
        if (other->kind == scalar.kind && other->bits == scalar.bits) {
            *id = other->id;
            return QVK_OK;
        }
    }
    QVK__TRY(qvk__blob_add_value(writer, tag, add_scalar_table(&writer->fb, arg), id, err));
    scalar.id = *id;
    QVK__CHECK(QVK__VEC_PUSH(&writer->scalars, scalar), err, QVK_OUT_OF_MEMORY, "out of memory");
    return QVK_OK;
}

/* A table whose one field is a vector or a string; 0 for none at all (Null). */
static qvk_status add_wrapped(qvk__blob_writer *writer, uint8_t tag, qvk__fb_offset content, int32_t *id,
                              qvk_error *err)
{
    qvk__fb_begin(&writer->fb);
    qvk__fb_set_offset(&writer->fb, 0, content);
    return qvk__blob_add_value(writer, tag, qvk__fb_end(&writer->fb), id, err);
}

static qvk_status add_bools(qvk__blob_writer *writer, const qvk__arg *arg, int32_t *id, qvk_error *err)
{
    uint8_t *bytes = qvk__alloc_zeroed(arg->count, 1);
    qvk__fb_offset vector;

    QVK__CHECK(bytes, err, QVK_OUT_OF_MEMORY, "out of memory");
    for (uint32_t i = 0; i < arg->count; i++)
        bytes[i] = arg->u.bools[i];
    vector = qvk__fb_add_vector(&writer->fb, bytes, arg->count, 1, 1);
    free(bytes);
    return add_wrapped(writer, BLOB_VALUE_TAG(BOOL_LIST), vector, id, err);
}

/* ---- arguments ----------------------------------------------------------------------------------------- */

/* The tensor by which calls know a value: for a buffer they write, its copy on the device, made at its first
 * use. */
static qvk_status add_tensor_arg(qvk__blob_writer *writer, int32_t value, int32_t *id, qvk_error *err);

static qvk_status add_list(qvk__blob_writer *writer, const qvk__arg *arg, int32_t *id, qvk_error *err);

static qvk_status add_arg(qvk__blob_writer *writer, const qvk__arg *arg, int32_t *id, qvk_error *err)
{
    qvk__fb_writer *fb = &writer->fb;

    switch (arg->kind) {
    case QVK__ARG_INT:
    case QVK__ARG_FLOAT:
    case QVK__ARG_BOOL: return add_scalar(writer, arg, id, err);
    case QVK__ARG_STRING:
        return add_wrapped(writer, BLOB_VALUE_TAG(STRING), qvk__fb_add_string(fb, arg->u.s), id, err);
    case QVK__ARG_VALUE: return add_tensor_arg(writer, arg->u.value, id, err);
    case QVK__ARG_INTS:
        return add_wrapped(writer, BLOB_VALUE_TAG(INT_LIST),
                           qvk__fb_add_vector(fb, arg->u.ints, arg->count, 8, 8), id, err);
    case QVK__ARG_FLOATS:
        return add_wrapped(writer, BLOB_VALUE_TAG(DOUBLE_LIST),
                           qvk__fb_add_vector(fb, arg->u.floats, arg->count, 8, 8), id, err);
    case QVK__ARG_BOOLS: return add_bools(writer, arg, id, err);
    case QVK__ARG_LIST: return add_list(writer, arg, id, err);
    case QVK__ARG_NULL: return add_wrapped(writer, BLOB_VALUE_TAG(NULL_VALUE), 0, id, err);
    case QVK__ARG_TENSOR: break;
    }
    return qvk__fail(err, QVK_INTERNAL, "a resolved argument cannot be written");
}

static qvk_status add_id_list(qvk__blob_writer *writer, const int32_t *ids, size_t count, int32_t *id,
                              qvk_error *err)
{
    return add_wrapped(writer, BLOB_VALUE_TAG(VALUE_LIST),
                       qvk__fb_add_vector(&writer->fb, ids, count, sizeof *ids, 4), id, err);
}

static qvk_status add_list(qvk__blob_writer *writer, const qvk__arg *arg, int32_t *id, qvk_error *err)
{
    int32_t *ids = qvk__alloc_zeroed(arg->count, sizeof *ids);
    qvk_status status = QVK_OK;

    QVK__CHECK(ids, err, QVK_OUT_OF_MEMORY, "out of memory");
    for (uint32_t i = 0; i < arg->count; i++) {
        QVK__CHECK_GO(arg->u.list[i].kind < QVK__ARG_INTS, err, QVK_UNSUPPORTED, "a list in a list");
        QVK__TRY_GO(add_arg(writer, &arg->u.list[i], &ids[i], err));
    }
    QVK__TRY_GO(add_id_list(writer, ids, arg->count, id, err));
done:
    free(ids);
    return status;
}

static bool is_silent_enum(const qvk__param *param)
{
    return qvk__blob_is_enum(param->type) && (!param->has_default || qvk__arg_is_null(&param->fallback));
}

/* ---- calls --------------------------------------------------------------------------------------------- */

static qvk_status add_call(qvk__blob_writer *writer, const char *name, size_t node, const int32_t *ids,
                           size_t count, qvk_error *err)
{
    qvk__fb_writer *fb = &writer->fb;
    qvk__fb_offset name_at = qvk__fb_add_string(fb, qvk__blob_file_name(name));
    qvk__fb_offset args = qvk__fb_add_vector(fb, ids, count, sizeof *ids, 4);

    qvk__fb_begin(fb);
    qvk__fb_set_u32(fb, BLOB_CALL_NODE_ID, (uint32_t)node);
    qvk__fb_set_offset(fb, BLOB_CALL_NAME, name_at);
    qvk__fb_set_offset(fb, BLOB_CALL_ARGS, args);
    QVK__CHECK(QVK__VEC_PUSH(&writer->calls, qvk__fb_end(fb)), err, QVK_OUT_OF_MEMORY, "out of memory");
    return QVK_OK;
}

static qvk_status add_tensor_arg(qvk__blob_writer *writer, int32_t value, int32_t *id, qvk_error *err)
{
    int32_t ids[2];

    if (writer->copies[value] >= 0) {
        *id = writer->copies[value];
        return QVK_OK;
    }
    QVK__TRY(qvk__blob_tensor_id(writer, value, &ids[0], err));
    *id = ids[0];
    if (!writer->graph->values.data[value].is_mutable)
        return QVK_OK;
    QVK__TRY(qvk__blob_add_copy(writer, value, &ids[1], err));
    QVK__TRY(add_call(writer, qvk__op_name(QVK__OP_ET_PREPACK), 0, ids, 2, err));
    *id = writer->copies[value] = ids[1];
    return QVK_OK;
}

/* Does this node take the constant itself? The caches of sdpa_with_kv_cache belong to ExecuTorch's runtime,
 * which wants them so. */
static bool takes_constant(const qvk__blob_writer *writer, const qvk__node *node, int arg)
{
    return node->op == QVK__OP_LLAMA_SDPA_WITH_KV_CACHE && (arg == 3 || arg == 4) &&
           writer->copies[node->args[arg].u.value] < 0;
}

static qvk_status add_result(qvk__blob_writer *writer, const qvk__node *node, const qvk__signature *signature,
                             int32_t *id, qvk_error *err)
{
    bool is_list =
        node->op == QVK__OP_NONE ? node->n_outs > 1 : signature->n_returns < 0 || signature->n_returns > 1;
    int32_t *ids = qvk__alloc_zeroed((uint64_t)node->n_outs + 1, sizeof *ids);
    const qvk__arg none = {.kind = QVK__ARG_NULL};
    qvk_status status = QVK_OK;

    QVK__CHECK(ids, err, QVK_OUT_OF_MEMORY, "out of memory");
    for (int i = 0; i < node->n_outs; i++) {
        if (node->outs[i] < 0)
            QVK__TRY_GO(add_arg(writer, &none, &ids[i], err));
        else
            QVK__TRY_GO(qvk__blob_tensor_id(writer, node->outs[i], &ids[i], err));
    }
    if (is_list)
        QVK__TRY_GO(add_id_list(writer, ids, (size_t)node->n_outs, id, err));
    else if (node->n_outs == 0)
        QVK__TRY_GO(add_arg(writer, &none, id, err));
    else
        *id = ids[0];
done:
    free(ids);
    return status;
}

static qvk_status write_node(qvk__blob_writer *writer, size_t index, qvk_error *err)
{
    const qvk__node *node = &writer->graph->nodes.data[index];
    const qvk__arg none = {.kind = QVK__ARG_NULL};
    int32_t *ids = qvk__alloc_zeroed((uint64_t)node->n_args + 1, sizeof *ids);
    qvk_status status = QVK_OK;
    qvk__signature signature;

    QVK__CHECK(ids, err, QVK_OUT_OF_MEMORY, "out of memory");
    qvk__op_signature(node->op, &signature);
    for (int i = 0; i < node->n_args; i++) {
        bool silent = node->op && i < signature.n_params && is_silent_enum(&signature.params[i]);
        if (takes_constant(writer, node, i))
            QVK__TRY_GO(qvk__blob_tensor_id(writer, node->args[i].u.value, &ids[i], err));
        else
            QVK__TRY_GO(add_arg(writer, silent ? &none : &node->args[i], &ids[i], err));
    }
    QVK__TRY_GO(add_result(writer, node, &signature, &ids[node->n_args], err));
    QVK__TRY_GO(add_call(writer, node->target, index, ids, (size_t)node->n_args + 1, err));
done:
    free(ids);
    return status;
}

/* ---- writes in place ----------------------------------------------------------------------------------- */

static size_t next_live(const qvk__graph *graph, size_t index)
{
    while (index < graph->nodes.count && graph->nodes.data[index].dead)
        index++;
    return index;
}

/* Is the node at `copy` an aten.copy_ into a buffer of what the node at `index` alone made? Then ExecuTorch
 * has that node write to the buffer's own id. */
static bool is_write_of(const qvk__graph *graph, size_t index, size_t copy)
{
    const qvk__node *node = &graph->nodes.data[index], *write;

    if (copy >= graph->nodes.count || node->n_outs != 1 || node->outs[0] < 0)
        return false;
    write = &graph->nodes.data[copy];
    return write->op == QVK__OP_COPY_INPLACE && write->args[0].kind == QVK__ARG_VALUE &&
           write->args[1].kind == QVK__ARG_VALUE && write->args[1].u.value == node->outs[0] &&
           graph->values.data[write->args[0].u.value].is_mutable &&
           (write->n_outs == 0 || write->outs[0] < 0) && qvk__graph_use_count(graph, node->outs[0]) == 1;
}

qvk_status qvk__blob_write_nodes(qvk__blob_writer *writer, qvk_error *err)
{
    const qvk__graph *graph = writer->graph;

    for (size_t i = next_live(graph, 0); i < graph->nodes.count; i = next_live(graph, i + 1)) {
        size_t copy = next_live(graph, i + 1);
        bool writes = is_write_of(graph, i, copy);
        qvk_status status = QVK_OK;

        if (writes)
            status = add_tensor_arg(writer, graph->nodes.data[copy].args[0].u.value,
                                    &writer->ids[graph->nodes.data[i].outs[0]], err);
        if (status == QVK_OK)
            status = write_node(writer, i, err);
        if (status != QVK_OK)
            return qvk__error_context(err, status, "node %zu (%s)", i, graph->nodes.data[i].target);
        if (writes)
            i = copy;
    }
    return QVK_OK;
}
