/* What the parts of the Vulkan blob writer share. Private to src/program. */
#ifndef QVK__BLOB_WRITER_H
#define QVK__BLOB_WRITER_H

#include "program/blob_reader.h"
#include "program/flatbuffer_writer.h"

/* A scalar already written; equal ones share a value. */
typedef struct qvk__blob_scalar {
    qvk__arg_kind kind;
    int64_t bits;
    int32_t id;
} qvk__blob_scalar;

typedef struct qvk__blob_writer {
    const qvk__graph *graph;
    const qvk__key_source *keys; /* NULL: constants go into the blob */
    qvk__fb_writer fb;
    QVK__VEC(qvk__fb_offset) values, calls, constants;
    QVK__VEC(qvk__blob_scalar) scalars;
    QVK__VEC(uint8_t) inline_bytes;
    int32_t *ids;    /* per value of the graph: its id in the blob, -1 before it has one */
    int32_t *copies; /* per mutable constant: the id of the copy that et_vk.prepack makes, or -1 */
} qvk__blob_writer;

/* Appends a VkValue of a union tag and content. */
qvk_status qvk__blob_add_value(qvk__blob_writer *writer, uint8_t tag, qvk__fb_offset content, int32_t *id,
                               qvk_error *err);
/* The id of a tensor or symbol of the graph, written when it is first asked for. */
qvk_status qvk__blob_tensor_id(qvk__blob_writer *writer, int32_t value, int32_t *id, qvk_error *err);
/* A tensor like `value`, but no constant. */
qvk_status qvk__blob_add_copy(qvk__blob_writer *writer, int32_t value, int32_t *id, qvk_error *err);
/* All live nodes (blob_write_nodes.c). */
qvk_status qvk__blob_write_nodes(qvk__blob_writer *writer, qvk_error *err);

#endif
