/*
 * Planners: one per name in ops.def's `plan` column, defined in plan_*.c, reached through qvk__plan_of. And
 * what they share: resolved arguments, dispatches built piece by piece, matrix products.
 */
#ifndef QVK__PLAN_H
#define QVK__PLAN_H

#include "core/geometry.h"
#include "kernels/kernels.h"

/* Declares qvk__plan_<name>, a qvk__plan_fn, for every row (names repeat, which C allows). */
#define OP(id, name, out, shape, reference, plan, schema)                                                    \
    qvk_status qvk__plan_##plan(qvk__planner *planner, const qvk__node *node, qvk_error *err);
#include "core/ops.def"
#undef OP

/* ---- the call ------------------------------------------------------------------------------------------- */

#define QVK__PLAN_MAX_ITEMS 64

/*
 * A node's arguments as shape rules and geometry see them: values are TENSORs (shape of this planning, no
 * data) and INTs. Not to be copied: lists point into it.
 */
typedef struct qvk__call {
    const qvk__node *node;
    qvk__arg args[QVK__MAX_PARAMS];
    int n_args;
    qvk__arg items[QVK__PLAN_MAX_ITEMS]; /* elements of list arguments */
    int n_items;
} qvk__call;

/* Fails with QVK_UNSUPPORTED when a tensor of the call is too big to be bound whole or to be indexed in 32
 * bits,. */
qvk_status qvk__call_of(qvk__planner *planner, const qvk__node *node, qvk__call *out, qvk_error *err);
/* The same where arguments of the mask `large` may be too big to be bound whole: the planner binds them in
 * pieces. */
qvk_status qvk__call_of_large(qvk__planner *planner, const qvk__node *node, uint32_t large, qvk__call *out,
                              qvk_error *err);

/* Shape of an output; NULL for one that is not used. */
const qvk_tensor *qvk__call_out(qvk__planner *planner, const qvk__node *node, int index);
/* The value an argument names; -1 when it is None or a number. */
int32_t qvk__call_value(const qvk__node *node, int index);
/* A constant whose bytes never change: it may be packed. */
bool qvk__is_constant(const qvk__planner *planner, int32_t value);

/* ---- dispatches ----------------------------------------------------------------------------------------- */

/* Append to a dispatch; order is the shader's. */
void qvk__dispatch_read(qvk__dispatch *dispatch, qvk__ref buffer);
void qvk__dispatch_write(qvk__dispatch *dispatch, qvk__ref buffer);
void qvk__dispatch_spec(qvk__dispatch *dispatch, uint32_t value);
void qvk__dispatch_uint(qvk__dispatch *dispatch, uint64_t value);
void qvk__dispatch_int(qvk__dispatch *dispatch, int64_t value);
void qvk__dispatch_float(qvk__dispatch *dispatch, float value);
/* Work groups: `n` of them, folded over the device's limits. */
void qvk__dispatch_groups(const qvk__planner *planner, qvk__dispatch *dispatch, uint64_t n);
/* Work groups of 64 invocations, each making one word of `out`; and that tensor's element count as a
 * parameter. */
void qvk__dispatch_words(const qvk__planner *planner, qvk__dispatch *dispatch, const qvk_tensor *out);
/* Binds argument `index`, or `instead` when it is None, and adds its dtype (0 for None) as a constant. */
void qvk__dispatch_optional(qvk__dispatch *dispatch, const qvk__call *call, int index, qvk__ref instead);
/* QVK_UNSUPPORTED unless the tensor (NULL allowed) holds floats. */
qvk_status qvk__check_float(const qvk_tensor *tensor, qvk_error *err);

/* The uniform block of shaders/lib/conv_params.glsl. */
void qvk__dispatch_conv(qvk__dispatch *dispatch, const qvk__conv *conv);

/* ---- matrix products ------------------------------------------------------------------------------------ */

/* Where the matrices of a batch lie: element strides. */
typedef struct qvk__matrix {
    qvk__ref buffer;
    qvk_dtype dtype;
    uint64_t outer, inner, row; /* from one (outer, inner) batch and from one row to the next */
} qvk__matrix;

/*
 * C = alpha A B + beta D for outer x inner batches. A is [M, K], B [N, K] or, with b_rows_are_k, [K, N]; in
 * each, the last dimension is contiguous. `share` neighbours of inner use one B (0 counts as 1). d_strides:
 * batch, row, column.
 */
typedef struct qvk__product {
    qvk__matrix a, b, c;
    qvk__ref d;
    qvk_dtype d_dtype; /* NONE: no D */
    uint64_t d_strides[3];
    uint64_t outer, inner, share, m, n, k;
    uint64_t a_skip, c_skip; /* elements before the first batch of A and of C */
    bool b_rows_are_k;
    float alpha, beta;
} qvk__product;
qvk_status qvk__plan_product(qvk__planner *planner, const qvk__product *product, qvk_error *err);

#endif
