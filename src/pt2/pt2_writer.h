/* Inside the .pt2 writer: what its files share. */
#ifndef QVK__PT2_WRITER_H
#define QVK__PT2_WRITER_H

#include "pt2/pt2.h"

/* ---- pt2_write_graph.c, pt2_write_node.c --------------------------------------------------------------- */

/* models/model.json. */
qvk_status qvk__pt2_write_document(const qvk__exported *program, qvk__string *out, qvk_error *err);
/* Comma-separated node objects. */
qvk_status qvk__pt2_write_nodes(const qvk__exported *program, qvk__string *out, qvk_error *err);
/* {"as_tensor": {"name": ...}} or one of the symbolic kinds. */
void qvk__pt2_write_value(const qvk__exported *program, int32_t value, qvk__string *out);
/* One Argument; `type`: the schema's, as far as known ("Tensor[]", "ScalarType?"), or NULL. */
qvk_status qvk__pt2_write_argument(const qvk__exported *program, const qvk__arg *arg, const char *type,
                                   qvk__string *out, qvk_error *err);
/* TensorMeta; strides in elements, NULL: contiguous. syms may be NULL. */
void qvk__pt2_write_tensor_meta(const qvk__exported *program, const qvk_tensor *desc, const int32_t *syms,
                                const int64_t *strides, int64_t storage_offset, bool requires_grad,
                                qvk__string *out);
/* The pytree spec of the call's inputs: the program's own, else a flat tuple. The caller frees out->data. */
void qvk__pt2_in_spec(const qvk__exported *program, qvk__string *out);

/* ---- pt2_write_samples.c ------------------------------------------------------------------------------- */

/* data/sample_inputs/model.pt: a torch.save archive; empty when the program has no samples, or a call that is
 * more than tuples, lists and dicts. */
qvk_status qvk__pt2_write_samples(const qvk__exported *program, qvk__string *out, qvk_error *err);

#endif
