/* How each exported operator becomes canonical ones. Rules by family; the table is in decompose.c. */
#ifndef QVK__DECOMPOSE_H
#define QVK__DECOMPOSE_H

#include "lower/edge.h"

/* `args` are the node's, already mapped to edge values. Fills outs[0..node->n_outs) with edge values. */
typedef qvk_status (*qvk__decompose_fn)(qvk__edge *edge, const qvk__node *node, const qvk__arg *args,
                                        int32_t *outs, qvk_error *err);

/* decompose_shape.c: views, layout and copies */
qvk_status qvk__decompose_identity(qvk__edge *, const qvk__node *, const qvk__arg *, int32_t *, qvk_error *);
qvk_status qvk__decompose_cast(qvk__edge *, const qvk__node *, const qvk__arg *, int32_t *, qvk_error *);
qvk_status qvk__decompose_view(qvk__edge *, const qvk__node *, const qvk__arg *, int32_t *, qvk_error *);
qvk_status qvk__decompose_view_as(qvk__edge *, const qvk__node *, const qvk__arg *, int32_t *, qvk_error *);
qvk_status qvk__decompose_flatten(qvk__edge *, const qvk__node *, const qvk__arg *, int32_t *, qvk_error *);
qvk_status qvk__decompose_unflatten(qvk__edge *, const qvk__node *, const qvk__arg *, int32_t *, qvk_error *);
qvk_status qvk__decompose_transpose(qvk__edge *, const qvk__node *, const qvk__arg *, int32_t *, qvk_error *);
qvk_status qvk__decompose_movedim(qvk__edge *, const qvk__node *, const qvk__arg *, int32_t *, qvk_error *);
qvk_status qvk__decompose_reverse(qvk__edge *, const qvk__node *, const qvk__arg *, int32_t *, qvk_error *);
qvk_status qvk__decompose_squeeze(qvk__edge *, const qvk__node *, const qvk__arg *, int32_t *, qvk_error *);
qvk_status qvk__decompose_expand(qvk__edge *, const qvk__node *, const qvk__arg *, int32_t *, qvk_error *);
qvk_status qvk__decompose_stack(qvk__edge *, const qvk__node *, const qvk__arg *, int32_t *, qvk_error *);
qvk_status qvk__decompose_split(qvk__edge *, const qvk__node *, const qvk__arg *, int32_t *, qvk_error *);
qvk_status qvk__decompose_narrow(qvk__edge *, const qvk__node *, const qvk__arg *, int32_t *, qvk_error *);
qvk_status qvk__decompose_pad(qvk__edge *, const qvk__node *, const qvk__arg *, int32_t *, qvk_error *);
qvk_status qvk__decompose_create(qvk__edge *, const qvk__node *, const qvk__arg *, int32_t *, qvk_error *);
qvk_status qvk__decompose_tile(qvk__edge *, const qvk__node *, const qvk__arg *, int32_t *, qvk_error *);

/* decompose_math.c: arithmetic, selection, products, norms, pooling */
qvk_status qvk__decompose_where(qvk__edge *, const qvk__node *, const qvk__arg *, int32_t *, qvk_error *);
qvk_status qvk__decompose_masked_fill(qvk__edge *, const qvk__node *, const qvk__arg *, int32_t *,
                                      qvk_error *);
qvk_status qvk__decompose_fill(qvk__edge *, const qvk__node *, const qvk__arg *, int32_t *, qvk_error *);
qvk_status qvk__decompose_matmul(qvk__edge *, const qvk__node *, const qvk__arg *, int32_t *, qvk_error *);
qvk_status qvk__decompose_outer(qvk__edge *, const qvk__node *, const qvk__arg *, int32_t *, qvk_error *);
qvk_status qvk__decompose_conv(qvk__edge *, const qvk__node *, const qvk__arg *, int32_t *, qvk_error *);
qvk_status qvk__decompose_softmax(qvk__edge *, const qvk__node *, const qvk__arg *, int32_t *, qvk_error *);
qvk_status qvk__decompose_layer_norm(qvk__edge *, const qvk__node *, const qvk__arg *, int32_t *,
                                     qvk_error *);
qvk_status qvk__decompose_group_norm(qvk__edge *, const qvk__node *, const qvk__arg *, int32_t *,
                                     qvk_error *);
qvk_status qvk__decompose_batch_norm(qvk__edge *, const qvk__node *, const qvk__arg *, int32_t *,
                                     qvk_error *);
qvk_status qvk__decompose_rms_norm(qvk__edge *, const qvk__node *, const qvk__arg *, int32_t *, qvk_error *);
qvk_status qvk__decompose_adaptive_pool(qvk__edge *, const qvk__node *, const qvk__arg *, int32_t *,
                                        qvk_error *);
qvk_status qvk__decompose_pool1d(qvk__edge *, const qvk__node *, const qvk__arg *, int32_t *, qvk_error *);
qvk_status qvk__decompose_silu(qvk__edge *, const qvk__node *, const qvk__arg *, int32_t *, qvk_error *);
qvk_status qvk__decompose_glu(qvk__edge *, const qvk__node *, const qvk__arg *, int32_t *, qvk_error *);
qvk_status qvk__decompose_prelu(qvk__edge *, const qvk__node *, const qvk__arg *, int32_t *, qvk_error *);
qvk_status qvk__decompose_diff(qvk__edge *, const qvk__node *, const qvk__arg *, int32_t *, qvk_error *);
/* a @ b as torch.matmul has it: any ranks, broadcast batches. */
qvk_status qvk__edge_product(qvk__edge *edge, int32_t a, int32_t b, int32_t *out, qvk_error *err);

/* decompose_attention.c */
qvk_status qvk__decompose_attention(qvk__edge *, const qvk__node *, const qvk__arg *, int32_t *, qvk_error *);

#endif
