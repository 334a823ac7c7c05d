/* What the parts of the Vulkan blob reader share. Private to src/program. */
#ifndef QVK__BLOB_READER_H
#define QVK__BLOB_READER_H

#include "program/program.h"
#include "program/schemas.h"

typedef struct qvk__blob_reader {
    const uint8_t *data; /* the whole blob */
    uint64_t bytes;
    uint64_t constants_at, constants_bytes; /* constants stored in the blob itself */
    qvk__fb_table root;                     /* verified */
    const qvk__data_source *named;          /* may be NULL */
    qvk__graph *graph;
    qvk__arg
        *args; /* each entry of VkGraph.values as an argument; tensors and symbols as VALUEs of `graph` */
    uint32_t n_args;
} qvk__blob_reader;

/* The blob's values become args and values of the graph (blob_read_values.c), its calls nodes
 * (blob_read_nodes.c). */
qvk_status qvk__blob_read_values(qvk__blob_reader *reader, qvk_error *err);
qvk_status qvk__blob_read_nodes(qvk__blob_reader *reader, qvk_error *err);

/* ScalarType, Layout, Device and MemoryFormat are written as Null even where the schema wants one: the
 * output's own dtype says it. Only where the default is a number is that number written. */
bool qvk__blob_is_enum(const char *type);
/* Converts an argument to what the operator's schema wants (see blob_args.c). */
qvk_status qvk__blob_fit_arg(qvk__graph *graph, const qvk__param *param, qvk__arg *arg, qvk_error *err);

/* Names that differ between blobs and the operator table; both return their argument where they do not. */
const char *qvk__blob_table_name(const char *blob_name);
const char *qvk__blob_file_name(const char *table_name);

/* Operators that write an argument (KV caches, buffers): a bit per argument. */
uint32_t qvk__blob_written_args(const qvk__node *node);
/* Makes a constant that is written keep its contents between executions; `prepack` is the et_vk.prepack node
 * that makes the value, or -1. *kept false: it is no constant. */
qvk_status qvk__blob_make_persistent(qvk__graph *graph, int32_t id, int32_t prepack, bool *kept,
                                     qvk_error *err);
/* A result that exists already is a buffer the call overwrites (ExecuTorch's alias_buffer_mutations): the
 * node gets a result of its own, and an aten.copy_ after it puts that into the buffer. */
qvk_status qvk__blob_split_write(qvk__graph *graph, size_t node, int32_t out, int32_t prepack,
                                 qvk_error *err);
/* The graph of a read blob: `value` is a buffer's new value that no caller receives. Writes it back where the
 * buffer can be told, and does nothing otherwise. */
qvk_status qvk__blob_keep_mutation(qvk__graph *graph, int32_t value, qvk_error *err);

#endif
