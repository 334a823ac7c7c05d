/*
 * Planners: one per name in ops.def's `plan` column, defined in plan_*.c, reached through qvk__plan_of. And
 * what they share: resolved arguments, dispatches built piece by piece, matrix products.
 */
#ifndef QVK__PLAN_H
#define QVK__PLAN_H

#include "core/geometry.h"
#include "core/semantics.h"
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
/* The buffer of a tensor found among the call's resolved arguments, lists included. */
qvk__ref qvk__call_ref(const qvk__call *call, const qvk_tensor *tensor);
/* A device that is a CPU and runs 8 invocations as one vector (lavapipe): kernels made for it pay
 * (lib/vector8.glsl). */
bool qvk__is_vector8(const qvk__planner *planner);
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
/* Work groups of 64 invocations, each making four of `n` elements. */
void qvk__dispatch_quads(const qvk__planner *planner, qvk__dispatch *dispatch, uint64_t n);
/* Binds argument `index`, or `instead` when it is None, and adds its dtype (0 for None) as a constant. */
void qvk__dispatch_optional(qvk__dispatch *dispatch, const qvk__call *call, int index, qvk__ref instead);
/* planner->shared, or scratch of the call's own where the planner shares nothing. */
qvk_status qvk__plan_shared(qvk__planner *planner, const qvk__dispatch *dispatch, uint64_t bytes,
                            qvk__ref *out, qvk_error *err);
/* QVK_UNSUPPORTED unless the tensor (NULL allowed) holds floats. */
qvk_status qvk__check_float(const qvk_tensor *tensor, qvk_error *err);

/* ---- walks ---------------------------------------------------------------------------------------------- */

#define QVK__WALK_SETS 6
/* Dimensions a kernel can walk (WALK_POSITION in shaders/lib/walk.glsl). */
#define QVK__WALK_RANK 8

/* A walk over `sizes` in C order with strided positions in up to six tensors. */
typedef struct qvk__walk {
    int rank, n_sets;
    int64_t sizes[QVK__VIEW_RANK];
    int64_t strides[QVK__WALK_SETS][QVK__VIEW_RANK];
    int64_t start[QVK__WALK_SETS]; /* position of the first element */
} qvk__walk;

/* One over a tensor's own shape; add the strides of each set. */
qvk__walk qvk__walk_of(const qvk_tensor *shape);
void qvk__walk_add(qvk__walk *walk, const int64_t *strides, int64_t start);
/* Drops dimensions of size 1 and joins neighbours that are one run in every set. */
void qvk__walk_collapse(qvk__walk *walk);
int64_t qvk__walk_numel(const qvk__walk *walk);
/* Does the set just count up from its start? And: are any four elements from a multiple of four on
 * neighbours, beginning at a multiple of four? */
bool qvk__walk_is_flat(const qvk__walk *walk, int set);
bool qvk__walk_is_quads(const qvk__walk *walk, int set);
/* Appends sizes, or a set's strides, as 8 words. The rank must have been checked. */
void qvk__dispatch_sizes(qvk__dispatch *dispatch, const qvk__walk *walk);
void qvk__dispatch_strides(qvk__dispatch *dispatch, const qvk__walk *walk, int set);
qvk_status qvk__walk_check(const qvk__walk *walk, qvk_error *err);

/* ---- norms ---------------------------------------------------------------------------------------------- */

/* RMS norm of `rows` rows of `n` elements; weight_dtype NONE: there is no weight. */
typedef struct qvk__rms_rows {
    qvk__ref x, weight;
    qvk_dtype x_dtype, weight_dtype;
    uint64_t rows, n;
    double eps;
    qvk__rms_rounding rounding;
} qvk__rms_rows;
/* Into memory in x's type, which all calls that want the same share. */
qvk_status qvk__plan_shared_rms_rows(qvk__planner *planner, const qvk__rms_rows *norm, qvk__ref *out,
                                     qvk_error *err);

/* ---- moving elements ------------------------------------------------------------------------------------ */

/* out = in, element for element, read through a view (NULL: as they lie); the types are the same. Where the
 * bytes are the same too, and neither is ever written in place, `out` becomes another name of `in`. */
qvk_status qvk__plan_view_of(qvk__planner *planner, int32_t in, const qvk__view *view, int32_t out,
                             qvk_error *err);
/* The same bytes in memory of their own. */
qvk_status qvk__plan_copy_of(qvk__planner *planner, int32_t in, int32_t out, qvk_error *err);
/* out = convert(in) broadcast to out's shape, to out's type. */
qvk_status qvk__plan_cast(qvk__planner *planner, qvk__ref in, const qvk_tensor *in_desc, qvk__ref out,
                          const qvk_tensor *out_desc, qvk_error *err);

/* Invocations of a work group that goes over a row in `steps` loads: at most reduce.glsl's REDUCE_MAX. */
uint32_t qvk__row_group(const qvk__planner *planner, uint64_t steps);

/* ---- convolution ----------------------------------------------------------------------------------------- */

/* The uniform block of shaders/lib/conv_params.glsl. */
void qvk__dispatch_conv(qvk__dispatch *dispatch, const qvk__conv *conv);

/* Every output pixel reads the input pixel of its own place. */
bool qvk__is_pointwise(const qvk__conv *conv);

/* A convolution through conv_cpu.comp, or depthwise_cpu.comp where it is depthwise; where qvk__is_vector8. */
typedef struct qvk__conv_vector8 {
    qvk__kernel kernel;
    const qvk__conv *conv;
    qvk__pack weight; /* pack_conv.h: panels, or depthwise */
    qvk__pack table;  /* not for depthwise */
    qvk__ref x, tail, y;
    bool flag;
    int32_t input_zero_point;
    float low_or_inverse_scale, high_or_zero_point;
} qvk__conv_vector8;
qvk_status qvk__plan_conv_vector8(qvk__planner *planner, const qvk__conv_vector8 *call, qvk_error *err);
/* Does depthwise_cpu.comp compute it? */
bool qvk__is_depthwise_vector8(const qvk__planner *planner, const qvk__conv *conv);

/* ---- tiles ---------------------------------------------------------------------------------------------- */

/* Tile shapes of shaders/lib/tile.glsl as kernels.def has them. */
typedef enum qvk__tile { QVK__TILE_128X128, QVK__TILE_64X64, QVK__TILE_16X64 } qvk__tile;
/* The best one for `batches` products of m x n, and how many tiles they take each way. */
qvk__tile qvk__choose_tile(const qvk__planner *planner, uint64_t batches, uint64_t m, uint64_t n,
                           uint64_t *tiles_m, uint64_t *tiles_n);

/* ---- matrix products ------------------------------------------------------------------------------------ */

/* Where the matrices of a batch lie: element strides. */
typedef struct qvk__matrix {
    qvk__ref buffer;
    qvk_dtype dtype;
    uint64_t outer, inner, row; /* from one (outer, inner) batch and from one row to the next */
} qvk__matrix;

/*
 * C = alpha A B + beta D for outer x inner batches, kept in [lower, upper]. A is [M, K], B [N, K] or, with
 * b_rows_are_k, [K, N]; in each, the last dimension is contiguous. `share` neighbours of inner use one B (0
 * counts as 1). d_strides: batch, row, column.
 */
typedef struct qvk__product {
    qvk__matrix a, b, c;
    qvk__ref d;
    qvk_dtype d_dtype; /* NONE: no D */
    uint64_t d_strides[3];
    uint64_t outer, inner, share, m, n, k;
    uint64_t a_skip, c_skip; /* elements before the first batch of A and of C */
    bool b_rows_are_k;
    bool a_padded; /* rows of A have zeros from k up to a multiple of 8 */
    float alpha, beta, lower, upper;
} qvk__product;
/* One product without D: alpha 1, no bounds. */
qvk__product qvk__product_of(uint64_t m, uint64_t n, uint64_t k);
qvk_status qvk__plan_product(qvk__planner *planner, const qvk__product *product, qvk_error *err);

#endif
