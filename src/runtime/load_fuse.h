/*
 * load_fuse: rewrites of a prepared graph that pay on a device and change no result but by float rounding.
 * Each rule looks at one node and the nodes behind it; the table in load_fuse.c is the whole list.
 */
#ifndef QVK__FUSE_H
#define QVK__FUSE_H

#include "core/graph.h"
#include "core/semantics.h"

typedef struct qvk__fuser {
    qvk__graph *graph;
    const int32_t *
        producers; /* per value that was there at the start: the node that computes it, negative for others */
    const bool *written; /* per value: a node writes it in place */
    size_t n_values;
} qvk__fuser;

/* *changed is set when the node was rewritten. Nodes that lost their last use are removed afterwards. */
typedef qvk_status (*qvk__fuse_fn)(qvk__fuser *fuser, size_t node, bool *changed, qvk_error *err);

qvk_status qvk__fuse_graph(qvk__graph *graph, qvk_error *err);

/* ---- what rules use ------------------------------------------------------------------------------------- */

/* The value an argument names, or -1. */
int32_t qvk__fuse_value(const qvk__arg *arg);
/* Type and shape of a value. */
const qvk_tensor *qvk__fuse_desc(const qvk__fuser *fuser, int32_t value);
/* The node that computes a value; NULL for inputs, constants and what is written in place. */
const qvk__node *qvk__fuse_made_by(const qvk__fuser *fuser, int32_t value);
/* The node behind a value, looking through copies that change nothing; NULL for inputs, constants and what is
 * written in place. */
const qvk__node *qvk__fuse_producer(const qvk__fuser *fuser, int32_t value);
/* Constant that nobody writes. */
bool qvk__fuse_is_constant(const qvk__fuser *fuser, int32_t value);
/* A tensor that is the same wherever it is read. A rule that puts off reading one asks this. */
bool qvk__fuse_is_steady(const qvk__fuser *fuser, int32_t value);
/* The number itself. */
bool qvk__fuse_is_int(const qvk__arg *arg, int64_t wanted);
/* None, or a constant of zeros only. */
bool qvk__fuse_is_zero(const qvk__fuser *fuser, const qvk__arg *arg);
/* Makes the node another operator with other arguments; its outputs stay. */
qvk_status qvk__fuse_replace(qvk__fuser *fuser, size_t node, qvk__op op, const qvk__arg *args, int n_args,
                             qvk_error *err);
/* A new constant whose bytes `fill` makes on demand from `context` (in the graph's arena). */
qvk_status qvk__fuse_constant(qvk__fuser *fuser, const char *name, const qvk_tensor *desc,
                              qvk_status (*fill)(const qvk__constant *constant, void *dst, qvk_error *err),
                              const void *context, int32_t *out, qvk_error *err);

/* ---- load_fuse_linear.c: rules ------------------------------------------------------------------------------- */

/* linear(x, dequantize(int8 constant)) -> qvk.linear_q8gsw: the weight stays 8-bit. */
qvk_status qvk__fuse_weight_only(qvk__fuser *fuser, size_t node, bool *changed, qvk_error *err);
/* linear_q8gsw(dequantize(quantize(x)), ...) with parameters chosen per token -> qvk.linear_dq8ca_q8gsw. */
qvk_status qvk__fuse_dynamic_activation(qvk__fuser *fuser, size_t node, bool *changed, qvk_error *err);
/* linear_dq8ca_*(x, choose_qparams_affine(x), ...) -> qvk.linear_d8_*: kernels find the range as they
 * quantize. */
qvk_status qvk__fuse_chosen_activation(qvk__fuser *fuser, size_t node, bool *changed, qvk_error *err);
/* linear_q8gsw(dequantize_per_tensor(int8), per channel) -> et_vk.linear_q8ta_q8csw: integer product. */
qvk_status qvk__fuse_static_activation(qvk__fuser *fuser, size_t node, bool *changed, qvk_error *err);
/* _weight_int8pack_mm(x, w, scales) + bias -> qvk.linear_q8gsw with bias. */
qvk_status qvk__fuse_bias(qvk__fuser *fuser, size_t node, bool *changed, qvk_error *err);

/* ---- load_fuse_ends.c: what fused linears are made of ---------------------------------------------------- */

/* A quantized linear, fused already or not, as a fused one: operator and all arguments. False for other
 * nodes, and where weights, scales or bias are not constant. */
bool qvk__fuse_read_linear(const qvk__fuser *fuser, const qvk__node *node, qvk__op *op,
                           qvk__arg args[QVK__FUSED_ARGS]);
/* Does the node give the same elements in the same order, in rows of the same length? */
bool qvk__fuse_keeps_rows(const qvk__fuser *fuser, const qvk__node *node);

/* ---- load_fuse_ends.c: rules ----------------------------------------------------------------------------- */

/* A quantized linear + a tensor like its result -> qvk.fused_linear_*. */
qvk_status qvk__fuse_residual(qvk__fuser *fuser, size_t node, bool *changed, qvk_error *err);
/* silu(linear(x)) * another linear(x) like it -> qvk.fused_linear_* with both. */
qvk_status qvk__fuse_gate(qvk__fuser *fuser, size_t node, bool *changed, qvk_error *err);

/* ---- load_fuse_norm.c: rules ----------------------------------------------------------------------------- */

/* weight * (x * rsqrt(mean(x^2) + eps)), with the casts that models have around it -> qvk.rms_norm. */
qvk_status qvk__fuse_rms_norm(qvk__fuser *fuser, size_t node, bool *changed, qvk_error *err);
/* An RMS norm that only quantized linears read, which are as they will be -> the linears' own. */
qvk_status qvk__fuse_norm_into_linear(qvk__fuser *fuser, size_t node, bool *changed, qvk_error *err);

#endif
