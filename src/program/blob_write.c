/* The Vulkan blob: header, graph, and constants unless they are kept elsewhere. */
#include "core/dtype.h"
#include "program/blob_writer.h"

enum { HEADER_LENGTH = 30, FLATBUFFER_AT = 32, ALIGNMENT = 16 };

/* ---- constants ----------------------------------------------------------------------------------------- */

/* Appends bytes to those stored in the blob itself; *offset is where they start. */
static qvk_status add_inline(qvk__blob_writer *writer, const qvk__constant *constant, uint64_t *offset,
                             qvk_error *err)
{
    uint64_t at = qvk__round_up(writer->inline_bytes.count, ALIGNMENT);
    const void *bytes = NULL;
    bool reserved;

    QVK__TRY(qvk__constant_bytes(constant, &bytes, err));
    reserved = qvk__vec_reserve((void **)&writer->inline_bytes.data, &writer->inline_bytes.capacity,
                                (size_t)(at + constant->bytes), 1);
    if (reserved) {
        memset(writer->inline_bytes.data + writer->inline_bytes.count, 0,
               (size_t)at - writer->inline_bytes.count);
        memcpy(writer->inline_bytes.data + at, bytes, (size_t)constant->bytes);
        writer->inline_bytes.count = (size_t)(at + constant->bytes);
    }
    qvk__constant_release(constant, bytes);
    QVK__CHECK(reserved, err, QVK_OUT_OF_MEMORY, "out of memory");
    *offset = at;
    return QVK_OK;
}

/* An entry of VkGraph.constants. */
static qvk_status add_constant(qvk__blob_writer *writer, const qvk__constant *constant, int32_t *index,
                               qvk_error *err)
{
    uint64_t offset = UINT64_MAX;
    qvk__fb_offset key = 0;

    if (constant->bytes == 0)
        offset = 0;
    else if (writer->keys)
        key = qvk__fb_add_string(&writer->fb, writer->keys->key(writer->keys->user, constant));
    else
        QVK__TRY(add_inline(writer, constant, &offset, err));
    qvk__fb_begin(&writer->fb);
    qvk__fb_set_u64(&writer->fb, BLOB_BYTES_OFFSET, offset);
    qvk__fb_set_u64(&writer->fb, BLOB_BYTES_LENGTH, constant->bytes);
    qvk__fb_set_offset(&writer->fb, BLOB_BYTES_KEY, key);
    *index = (int32_t)writer->constants.count;
    QVK__CHECK(QVK__VEC_PUSH(&writer->constants, qvk__fb_end(&writer->fb)), err, QVK_OUT_OF_MEMORY,
               "out of memory");
    return QVK_OK;
}

/* ---- values -------------------------------------------------------------------------------------------- */

qvk_status qvk__blob_add_value(qvk__blob_writer *writer, uint8_t tag, qvk__fb_offset content, int32_t *id,
                               qvk_error *err)
{
    qvk__fb_begin(&writer->fb);
    qvk__fb_set_u8(&writer->fb, BLOB_VALUE_VALUE_TAG, tag);
    qvk__fb_set_offset(&writer->fb, BLOB_VALUE_VALUE, content);
    *id = (int32_t)writer->values.count;
    QVK__CHECK(QVK__VEC_PUSH(&writer->values, qvk__fb_end(&writer->fb)), err, QVK_OUT_OF_MEMORY,
               "out of memory");
    return QVK_OK;
}

static void set_hint(qvk__blob_writer *writer, int field, uint16_t hint)
{
    qvk__fb_set_u8(&writer->fb, field, hint ? (uint8_t)(hint - 1) : BLOB_DEFAULT_TAG);
}

/* A tensor; its constant (or, when it is one's copy on the device, none) is `constant`. */
static qvk_status add_tensor(qvk__blob_writer *writer, const qvk__value *value, const qvk__constant *constant,
                             int32_t *id, qvk_error *err)
{
    int code = qvk__dtype_code(value->desc.dtype, QVK__DTYPE_BLOB);
    int staging = qvk__dtype_code(value->host_dtype ? value->host_dtype : value->desc.dtype, QVK__DTYPE_BLOB);
    int32_t constant_id = -1;
    uint32_t dims[QVK_MAX_RANK];
    qvk__fb_offset dims_at;

    QVK__CHECK(code >= 0 && staging >= 0, err, QVK_UNSUPPORTED, "%s: a Vulkan delegate has no %s tensors",
               value->name, qvk_dtype_name(value->desc.dtype));
    for (int i = 0; i < value->desc.rank; i++) {
        QVK__CHECK(value->desc.sizes[i] <= UINT32_MAX, err, QVK_UNSUPPORTED,
                   "%s: size %lld needs more than 32 bits", value->name, (long long)value->desc.sizes[i]);
        dims[i] = (uint32_t)value->desc.sizes[i];
    }
    if (constant)
        QVK__TRY(add_constant(writer, constant, &constant_id, err));
    dims_at = qvk__fb_add_vector(&writer->fb, dims, (size_t)value->desc.rank, sizeof *dims, 4);
    qvk__fb_begin(&writer->fb);
    qvk__fb_set_i8(&writer->fb, BLOB_TENSOR_DATATYPE, (int8_t)code);
    qvk__fb_set_offset(&writer->fb, BLOB_TENSOR_DIMS, dims_at);
    qvk__fb_set_i32(&writer->fb, BLOB_TENSOR_CONSTANT, constant_id);
    qvk__fb_set_i32(&writer->fb, BLOB_TENSOR_MEMORY_OBJECT,
                    value->memory_hint ? (int32_t)(value->memory_hint - 1) : -1);
    set_hint(writer, BLOB_TENSOR_STORAGE_TYPE, value->storage_hint);
    set_hint(writer, BLOB_TENSOR_MEMORY_LAYOUT, value->layout_hint);
    qvk__fb_set_i8(&writer->fb, BLOB_TENSOR_STAGING, (int8_t)staging);
    return qvk__blob_add_value(writer, BLOB_VALUE_TAG(TENSOR), qvk__fb_end(&writer->fb), id, err);
}

static qvk_status add_symbol(qvk__blob_writer *writer, const qvk__value *value, int32_t *id, qvk_error *err)
{
    QVK__CHECK(value->symbol_value >= INT32_MIN && value->symbol_value <= INT32_MAX, err, QVK_UNSUPPORTED,
               "%s: symbol value %lld needs more than 32 bits", value->name, (long long)value->symbol_value);
    qvk__fb_begin(&writer->fb);
    qvk__fb_set_i32(&writer->fb, BLOB_SYM_INT_VALUE, (int32_t)value->symbol_value);
    return qvk__blob_add_value(writer, BLOB_VALUE_TAG(SYM_INT), qvk__fb_end(&writer->fb), id, err);
}

qvk_status qvk__blob_tensor_id(qvk__blob_writer *writer, int32_t value, int32_t *id, qvk_error *err)
{
    const qvk__value *source = &writer->graph->values.data[value];

    if (writer->ids[value] < 0) {
        if (source->kind == QVK__VALUE_SYMBOL)
            QVK__TRY(add_symbol(writer, source, &writer->ids[value], err));
        else
            QVK__TRY(add_tensor(writer, source, source->constant, &writer->ids[value], err));
    }
    *id = writer->ids[value];
    return QVK_OK;
}

qvk_status qvk__blob_add_copy(qvk__blob_writer *writer, int32_t value, int32_t *id, qvk_error *err)
{
    return add_tensor(writer, &writer->graph->values.data[value], NULL, id, err);
}

/* ---- the whole ----------------------------------------------------------------------------------------- */

static void mark_use(int32_t value, void *user)
{
    ((uint8_t *)user)[value] = 1;
}

/* Constants and inputs come first, in the graph's order; constants that nothing uses are left out. */
static qvk_status write_placeholders(qvk__blob_writer *writer, qvk_error *err)
{
    const qvk__graph *graph = writer->graph;
    uint8_t *used = qvk__alloc_zeroed(graph->values.count, 1);
    qvk_status status = QVK_OK;
    int32_t id;

    QVK__CHECK(used, err, QVK_OUT_OF_MEMORY, "out of memory");
    for (size_t n = 0; n < graph->nodes.count; n++)
        if (!graph->nodes.data[n].dead)
            qvk__node_visit_args(&graph->nodes.data[n], mark_use, used);
    for (size_t i = 0; i < graph->outputs.count; i++)
        used[graph->outputs.data[i]] = 1;
    for (size_t i = 0; i < graph->values.count; i++)
        used[i] = used[i] && graph->values.data[i].constant;
    for (size_t i = 0; i < graph->inputs.count; i++)
        used[graph->inputs.data[i]] = 1;
    for (size_t i = 0; i < graph->values.count; i++)
        if (used[i])
            QVK__TRY_GO(qvk__blob_tensor_id(writer, (int32_t)i, &id, err));
done:
    free(used);
    return status;
}

/* Inputs or outputs; values written through a copy on the device are known by the copy. */
static qvk_status write_ids(qvk__blob_writer *writer, const int32_t *values, size_t count,
                            qvk__fb_offset *out, qvk_error *err)
{
    int32_t *ids = qvk__alloc_zeroed(count, sizeof *ids);
    qvk_status status = QVK_OK;

    QVK__CHECK(ids, err, QVK_OUT_OF_MEMORY, "out of memory");
    for (size_t i = 0; i < count; i++) {
        if (writer->copies[values[i]] >= 0)
            ids[i] = writer->copies[values[i]];
        else
            QVK__TRY_GO(qvk__blob_tensor_id(writer, values[i], &ids[i], err));
    }
    *out = qvk__fb_add_vector(&writer->fb, ids, count, sizeof *ids, 4);
done:
    free(ids);
    return status;
}

static qvk_status write_graph(qvk__blob_writer *writer, const uint8_t **data, size_t *bytes, qvk_error *err)
{
    const qvk__graph *graph = writer->graph;
    qvk__fb_writer *fb = &writer->fb;
    qvk__fb_offset inputs = 0, outputs = 0, version, chain, values, constants, shaders;

    QVK__TRY(write_placeholders(writer, err));
    QVK__TRY(qvk__blob_write_nodes(writer, err));
    QVK__TRY(write_ids(writer, graph->inputs.data, graph->inputs.count, &inputs, err));
    QVK__TRY(write_ids(writer, graph->outputs.data, graph->outputs.count, &outputs, err));
    version = qvk__fb_add_string(fb, "0");
    chain = qvk__fb_add_offsets(fb, writer->calls.data, writer->calls.count);
    values = qvk__fb_add_offsets(fb, writer->values.data, writer->values.count);
    constants = qvk__fb_add_offsets(fb, writer->constants.data, writer->constants.count);
    shaders = qvk__fb_add_offsets(fb, NULL, 0);
    qvk__fb_begin(fb);
    qvk__fb_set_offset(fb, BLOB_GRAPH_VERSION, version);
    qvk__fb_set_offset(fb, BLOB_GRAPH_CHAIN, chain);
    qvk__fb_set_offset(fb, BLOB_GRAPH_VALUES, values);
    qvk__fb_set_offset(fb, BLOB_GRAPH_INPUTS, inputs);
    qvk__fb_set_offset(fb, BLOB_GRAPH_OUTPUTS, outputs);
    qvk__fb_set_offset(fb, BLOB_GRAPH_CONSTANTS, constants);
    qvk__fb_set_offset(fb, BLOB_GRAPH_SHADERS, shaders);
    qvk__fb_set_u8(fb, BLOB_GRAPH_STORAGE_TYPE, BLOB_DEFAULT_TAG);
    qvk__fb_set_u8(fb, BLOB_GRAPH_MEMORY_LAYOUT, BLOB_DEFAULT_TAG);
    return qvk__fb_finish(fb, qvk__fb_end(fb), qvk__blob_schema.identifier, data, bytes, err);
}

static void write_header(uint8_t *head, uint32_t flatbuffer_bytes, uint32_t constants_at,
                         uint64_t constants_bytes)
{
    const uint16_t length = HEADER_LENGTH;
    const uint32_t flatbuffer_at = FLATBUFFER_AT;

    memcpy(head + 4, "VH00", 4);
    memcpy(head + 8, &length, sizeof length);
    memcpy(head + 10, &flatbuffer_at, sizeof flatbuffer_at);
    memcpy(head + 14, &flatbuffer_bytes, sizeof flatbuffer_bytes);
    memcpy(head + 18, &constants_at, sizeof constants_at);
    memcpy(head + 22, &constants_bytes, sizeof constants_bytes);
}

static qvk_status assemble(const qvk__blob_writer *writer, const uint8_t *data, size_t data_bytes,
                           uint8_t **out, uint64_t *bytes, qvk_error *err)
{
    uint64_t constants_at = FLATBUFFER_AT + qvk__round_up(data_bytes, ALIGNMENT);
    uint64_t constants_bytes = qvk__round_up(writer->inline_bytes.count, ALIGNMENT);
    uint8_t *blob = qvk__alloc_zeroed(constants_at + constants_bytes, 1);

    QVK__CHECK(blob, err, QVK_OUT_OF_MEMORY, "out of memory");
    write_header(blob, (uint32_t)data_bytes, (uint32_t)constants_at, writer->inline_bytes.count);
    memcpy(blob + FLATBUFFER_AT, data, data_bytes);
    if (writer->inline_bytes.count)
        memcpy(blob + constants_at, writer->inline_bytes.data, writer->inline_bytes.count);
    *out = blob;
    *bytes = constants_at + constants_bytes;
    return QVK_OK;
}

qvk_status qvk__blob_write(const qvk__graph *graph, const qvk__key_source *keys, uint8_t **out,
                           uint64_t *bytes, qvk_error *err)
{
    qvk__blob_writer writer = {.graph = graph, .keys = keys};
    qvk_status status = QVK_OK;
    const uint8_t *data = NULL;
    size_t data_bytes = 0;

    writer.ids = qvk__alloc_zeroed(graph->values.count, sizeof *writer.ids);
    writer.copies = qvk__alloc_zeroed(graph->values.count, sizeof *writer.copies);
    QVK__CHECK_GO(writer.ids && writer.copies, err, QVK_OUT_OF_MEMORY, "out of memory");
    for (size_t i = 0; i < graph->values.count; i++)
        writer.ids[i] = writer.copies[i] = -1;
    QVK__TRY_GO(write_graph(&writer, &data, &data_bytes, err));
    QVK__TRY_GO(assemble(&writer, data, data_bytes, out, bytes, err));
done:
    qvk__fb_writer_free(&writer.fb);
    free(writer.values.data);
    free(writer.calls.data);
    free(writer.constants.data);
    free(writer.scalars.data);
    free(writer.inline_bytes.data);
    free(writer.ids);
    free(writer.copies);
    return status;
}
