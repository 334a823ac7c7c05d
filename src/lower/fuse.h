/* Patterns, each a match function of a pass; fuse.c runs them in order. */
#ifndef QVK__FUSE_H
#define QVK__FUSE_H

#include "lower/edge_pass.h"

qvk_status qvk__match_product_linear(qvk__edge_pass *, const qvk__node *, int32_t *, bool *, qvk_error *);
qvk_status qvk__match_constant(qvk__edge_pass *, const qvk__node *, int32_t *, bool *, qvk_error *);
qvk_status qvk__match_batch_norm(qvk__edge_pass *, const qvk__node *, int32_t *, bool *, qvk_error *);
qvk_status qvk__match_conv_clamp(qvk__edge_pass *, const qvk__node *, int32_t *, bool *, qvk_error *);
qvk_status qvk__match_static(qvk__edge_pass *, const qvk__node *, int32_t *, bool *, qvk_error *);
qvk_status qvk__match_quantized_linear(qvk__edge_pass *, const qvk__node *, int32_t *, bool *, qvk_error *);

#endif
