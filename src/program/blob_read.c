/* The Vulkan blob: its header, then the graph. */
#include "program/blob_reader.h"

/* Byte places of the VH00 header. */
enum {
    MAGIC_AT = 4,
    LENGTH_AT = 8,
    FLATBUFFER_AT = 10,
    FLATBUFFER_BYTES_AT = 14,
    CONSTANTS_AT = 18,
    CONSTANTS_BYTES_AT = 22,
    HEADER_LENGTH = 30
};

static qvk_status read_header(qvk__blob_reader *reader, const uint8_t **flatbuffer,
                              uint64_t *flatbuffer_bytes, qvk_error *err)
{
    const uint8_t *data = reader->data;
    uint64_t start, rest;

    if (reader->bytes < HEADER_LENGTH || memcmp(data + MAGIC_AT, "VH00", 4) != 0)
        return qvk__fail_at(err, QVK_BAD_FORMAT, MAGIC_AT, "not a Vulkan delegate (no \"VH00\" at byte 4)");
    if (qvk__load_u16(data + LENGTH_AT) < HEADER_LENGTH)
        return qvk__fail_at(err, QVK_BAD_FORMAT, LENGTH_AT, "Vulkan delegate with a header of %u bytes",
                            qvk__load_u16(data + LENGTH_AT));
    start = qvk__load_u32(data + FLATBUFFER_AT);
    *flatbuffer_bytes = qvk__load_u32(data + FLATBUFFER_BYTES_AT);
    reader->constants_at = qvk__load_u32(data + CONSTANTS_AT);
    reader->constants_bytes = qvk__load_u64(data + CONSTANTS_BYTES_AT);
    if (start < HEADER_LENGTH || start + *flatbuffer_bytes > reader->bytes ||
        reader->constants_at < start + *flatbuffer_bytes || reader->constants_at > reader->bytes)
        return qvk__fail_at(err, QVK_BAD_FORMAT, FLATBUFFER_AT,
                            "Vulkan delegate's parts lie outside its %llu bytes",
                            (unsigned long long)reader->bytes);
    rest = reader->bytes - reader->constants_at;
    if (reader->constants_bytes > rest)
        return qvk__fail_at(err, QVK_BAD_FORMAT, CONSTANTS_BYTES_AT,
                            "Vulkan delegate's constants are truncated");
    if (reader->constants_bytes == 0)
        reader->constants_bytes = rest;
    *flatbuffer = data + start;
    return QVK_OK;
}

static qvk_status read_ids(const qvk__blob_reader *reader, int field, const char *what, qvk_error *err)
{
    qvk__fb_vector ids = qvk__fb_children(reader->root, field);
    qvk__graph *graph = reader->graph;

    for (uint32_t i = 0; i < ids.count; i++) {
        uint32_t id = qvk__fb_u32_at(ids, i);
        bool pushed;
        QVK__CHECK(id < reader->n_args && reader->args[id].kind == QVK__ARG_VALUE, err, QVK_BAD_FORMAT,
                   "%s %u: value %u is neither tensor nor symbol", what, i, id);
        if (field == BLOB_GRAPH_INPUTS) {
            QVK__CHECK(!graph->values.data[reader->args[id].u.value].constant, err, QVK_BAD_FORMAT,
                       "input %u is a constant", i);
            pushed = QVK__VEC_PUSH(&graph->inputs, reader->args[id].u.value);
        } else {
            pushed = QVK__VEC_PUSH(&graph->outputs, reader->args[id].u.value);
        }
        QVK__CHECK(pushed, err, QVK_OUT_OF_MEMORY, "out of memory");
    }
    return QVK_OK;
}

static qvk_status read_graph(qvk__blob_reader *reader, qvk_error *err)
{
    const uint8_t *flatbuffer = NULL;
    uint64_t flatbuffer_bytes = 0;

    QVK__TRY(read_header(reader, &flatbuffer, &flatbuffer_bytes, err));
    QVK__TRY(qvk__fb_verify(flatbuffer, flatbuffer_bytes, &qvk__blob_schema,
                            (uint64_t)(flatbuffer - reader->data), err));
    reader->root = qvk__fb_root(flatbuffer);
    QVK__TRY(qvk__blob_read_values(reader, err));
    QVK__TRY(read_ids(reader, BLOB_GRAPH_INPUTS, "input", err));
    QVK__TRY(qvk__blob_read_nodes(reader, err));
    QVK__TRY(read_ids(reader, BLOB_GRAPH_OUTPUTS, "output", err));
    return qvk__graph_verify(reader->graph, err);
}

qvk_status qvk__blob_read(const uint8_t *data, uint64_t bytes, const qvk__data_source *named, qvk__graph *out,
                          qvk_error *err)
{
    qvk__graph graph;
    qvk__blob_reader reader = {.data = data, .bytes = bytes, .named = named, .graph = &graph};
    qvk_status status;

    qvk__graph_init(&graph);
    status = read_graph(&reader, err);
    free(reader.args);
    if (status != QVK_OK) {
        qvk__graph_finish(&graph);
        return status;
    }
    *out = graph;
    return QVK_OK;
}
