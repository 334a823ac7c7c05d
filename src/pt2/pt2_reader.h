/* Inside the .pt2 reader: what its files share. */
#ifndef QVK__PT2_READER_H
#define QVK__PT2_READER_H

#include "pt2/json.h"
#include "pt2/pt2.h"
#include "pt2/zip_read.h"

/* A tensor as a pickle or a payload configuration describes it. */
typedef struct qvk__pt2_tensor {
    qvk_tensor desc;
    const qvk__constant *constant;
    bool requires_grad;
} qvk__pt2_tensor;

/* One inner tensor of a tensor subclass (torchao's "qdata", "scale", "zero_point"). */
typedef struct qvk__pt2_inner {
    const char *name;
    qvk__pt2_tensor tensor;
    int32_t value; /* once it is a placeholder */
} qvk__pt2_inner;

/* Data of a parameter, buffer or constant, by its fully qualified name. */
typedef struct qvk__pt2_payload {
    const char *fqn;
    qvk__pt2_tensor tensor;
    qvk__pt2_inner *inner; /* a tensor subclass: no data of its own */
    size_t n_inner;
    const char *refusal; /* why it cannot be read, said when something uses it; NULL: it can */
} qvk__pt2_payload;

typedef struct qvk__pt2_copy {
    const uint8_t *original, *copy;
} qvk__pt2_copy;

typedef struct qvk__pt2_reader {
    qvk__exported *program; /* under construction; owns the arena */
    const char *source;
    qvk__zip zip;
    qvk__arena scratch; /* dropped when reading ends */
    QVK__VEC(qvk__pt2_payload) payloads;
    qvk__map payload_index; /* fqn -> payload */
    qvk__map names;         /* every value name, so that inlined sub-graphs get fresh ones */
    QVK__VEC(const qvk__constant *) constants; /* distinct ones; view_index finds tied tensors among them */
    qvk__map view_index;
    QVK__VEC(qvk__pt2_copy) copies; /* of storages that were not aligned */
} qvk__pt2_reader;

/* ---- pt2_constants.c ----------------------------------------------------------------------------------- */

/* TensorMeta without symbols: dtype, shape, strides and offset. */
typedef struct qvk__pt2_layout {
    qvk_tensor desc;
    int64_t strides[QVK_MAX_RANK];
    int64_t storage_offset;
    bool requires_grad;
} qvk__pt2_layout;

/* data/weights and data/constants: fills the payload table. */
qvk_status qvk__pt2_read_payloads(qvk__pt2_reader *reader, const char *model, qvk_error *err);
qvk_status qvk__pt2_add_payload(qvk__pt2_reader *reader, const qvk__pt2_payload *payload, qvk_error *err);
/* NULL when there is none of this name. */
qvk__pt2_payload *qvk__pt2_find_payload(const qvk__pt2_reader *reader, const char *fqn);
/* The constant for a view of a storage; the same one for the same view (tied tensors). `what` for messages.
 */
qvk_status qvk__pt2_view_storage(qvk__pt2_reader *reader, const char *what, const qvk__pt2_layout *layout,
                                 const uint8_t *storage, uint64_t storage_bytes, const qvk__constant **out,
                                 qvk_error *err);

/* ---- pt2_torch_save.c ---------------------------------------------------------------------------------- */

/* A torch.save archive holding one tensor or tensor subclass. */
qvk_status qvk__pt2_read_saved_tensor(qvk__pt2_reader *reader, const char *entry, qvk__pt2_payload *out,
                                      qvk_error *err);
/* A torch.save archive holding a dict of tensors by fully qualified name: all become payloads. */
qvk_status qvk__pt2_read_saved_dict(qvk__pt2_reader *reader, const char *entry, qvk_error *err);
/* A torch.save archive holding ((args...), {kwargs}): fills program->samples. */
qvk_status qvk__pt2_read_samples(qvk__pt2_reader *reader, const char *entry, qvk_error *err);

/* ---- pt2_graph.c, pt2_node.c, pt2_argument.c ----------------------------------------------------------- */

/* Names of one graph (the program's, or one inlined into it). */
typedef struct qvk__pt2_scope {
    const qvk__json *graph;
    qvk__map names; /* name in this graph -> value id, or -2 - payload for a tensor subclass */
    int depth;
} qvk__pt2_scope;

/* graph_module and range_constraints of a document. */
qvk_status qvk__pt2_read_program(qvk__pt2_reader *reader, const qvk__json *document, qvk_error *err);
/* Nodes of a graph, in order. */
qvk_status qvk__pt2_read_nodes(qvk__pt2_reader *reader, qvk__pt2_scope *scope, qvk_error *err);

/* Makes the value `name` of a graph, described by its tensor_values or sym_*_values. */
qvk_status qvk__pt2_define(qvk__pt2_reader *reader, qvk__pt2_scope *scope, const qvk__json *at,
                           const char *name, int32_t *out, qvk_error *err);
/* Lets a name stand for an existing value. */
qvk_status qvk__pt2_bind(qvk__pt2_reader *reader, qvk__pt2_scope *scope, const qvk__json *at,
                         const char *name, int32_t value, qvk_error *err);
qvk_status qvk__pt2_lookup(const qvk__pt2_scope *scope, const qvk__json *at, const char *name, int32_t *out,
                           qvk_error *err);
/* `wanted` if no value has this name yet, else with a number behind it; in the program's arena. */
const char *qvk__pt2_unique_name(qvk__pt2_reader *reader, const char *wanted);

/* One Argument union as a normalised argument; lists are in the scratch arena. *type: as in qvk__foreign_arg.
 */
qvk_status qvk__pt2_read_argument(qvk__pt2_reader *reader, const qvk__pt2_scope *scope, const qvk__json *at,
                                  qvk__arg *out, const char **type, qvk_error *err);
/* Name in as_tensor, as_sym_int, as_sym_bool, as_sym_float; NULL for any other kind or a number. */
qvk_status qvk__pt2_argument_name(const qvk__json *at, const char **name, qvk_error *err);
/* SymInt: a number (*expression -1) or an expression. */
qvk_status qvk__pt2_read_sym_int(qvk__pt2_reader *reader, const qvk__json *at, int64_t *value,
                                 int32_t *expression, qvk_error *err);
/* dtype member of a TensorMeta. */
qvk_status qvk__pt2_read_dtype(const qvk__json *at, qvk_dtype *out, qvk_error *err);

#endif
