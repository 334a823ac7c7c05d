/*
 * How PyTorch reads the arguments of an operator, said once: dimensions, broadcasting, type promotion, views,
 * slices, paddings, reductions. Shape rules, reference functions and planners share it, so that the three
 * cannot disagree. Everything here takes resolved arguments (TENSOR, INT ...) and never reads tensor data.
 */
#ifndef QVK__SEMANTICS_H
#define QVK__SEMANTICS_H

#include "core/dtype.h"
#include "core/op.h"

/* ---- dimensions ---------------------------------------------------------------------------------------- */

/* A dimension in [-rank, rank) as one in [0, rank); rank 0 counts as rank 1. */
qvk_status qvk__dim_wrap(int64_t dim, int rank, int *out, qvk_error *err);
qvk_status qvk__arg_dim(const qvk__arg *arg, const char *what, int rank, int *out, qvk_error *err);
/* A list of dimensions as a bit mask; each at most once. None and an empty list give `none`. */
qvk_status qvk__arg_dims(const qvk__arg *arg, const char *what, int rank, uint32_t none, uint32_t *mask,
                         qvk_error *err);
/* Sets dtype and shape of an output; data stays. Fails when the element count overflows. */
qvk_status qvk__set_shape(qvk_tensor *out, qvk_dtype dtype, int rank, const int64_t *sizes, qvk_error *err);

/* *shape becomes the shape that both broadcast to. */
qvk_status qvk__broadcast(const qvk_tensor *tensor, qvk_tensor *shape, qvk_error *err);
/* Strides in elements with which a contiguous `from` is read in the shape of `to`: 0 where it is repeated. */
void qvk__broadcast_strides(const qvk_tensor *from, const qvk_tensor *to, int64_t strides[QVK_MAX_RANK]);

/* ---- operands and type promotion (torch.result_type) --------------------------------------------------- */

typedef struct qvk__operand {
    const qvk_tensor *tensor; /* NULL: a number */
    qvk_dtype dtype;          /* a number: float32, int64 or bool, as torch's default types */
    double f;                 /* a number, as float and as int (truncated) */
    int64_t i;
} qvk__operand;

qvk_status qvk__arg_operand(const qvk__arg *arg, const char *what, qvk__operand *out, qvk_error *err);
qvk__operand qvk__operand_number(double value);
/* torch.promote_types; NONE with X is X. */
qvk_dtype qvk__promote(qvk_dtype a, qvk_dtype b);
/* torch.result_type: tensors with dimensions outweigh scalar tensors and numbers of the same category. */
qvk_dtype qvk__result_dtype(const qvk__operand *operands, int n);

/* ---- elementwise operators ----------------------------------------------------------------------------- */

typedef enum qvk__fn {
#define FN(name, number, result, group) QVK__FN_##name = number,
#include "core/elementwise.def"
#undef FN
} qvk__fn;

#define QVK__MAX_FN_PARAMS 3

typedef struct qvk__elementwise {
    qvk__fn fn;
    int n_operands; /* 1 to 3 */
    qvk__operand operands[3];
    double params[QVK__MAX_FN_PARAMS]; /* as elementwise.def says; infinite where a bound is missing */
    qvk_dtype common;                  /* operands are converted to this, and the function computes in it */
    qvk_dtype result;
    /* Products and quotients: numbers and scalar tensors enter float16 and bfloat16 arithmetic in float32. */
    bool wide_scalars;
} qvk__elementwise;

qvk_status qvk__elementwise_of(qvk__op op, const qvk__arg *args, qvk__elementwise *out, qvk_error *err);
/* The group column of elementwise.def. */
bool qvk__fn_is_math(qvk__fn fn);

/* ---- copies that only move elements -------------------------------------------------------------------- */

#define QVK__VIEW_RANK (2 * QVK_MAX_RANK)

/*
 * A strided reading of a contiguous tensor: element (c0, c1, ...) of the result, in C order over `sizes`, is
 * element offset + sum(c[i] * strides[i]) of the source.
 */
typedef struct qvk__view {
    int rank; /* may exceed the result's own rank (repeat) */
    int64_t sizes[QVK__VIEW_RANK], strides[QVK__VIEW_RANK];
    int64_t offset;
} qvk__view;

/* permute, transpose, t, expand, slice, select, repeat, repeat_interleave, flip, unfold: *out gets the
 * result's dtype and shape. */
qvk_status qvk__view_of(qvk__op op, const qvk__arg *args, qvk__view *view, qvk_tensor *out, qvk_error *err);
/* Drops dimensions of size 1 and joins neighbours that are one run; an empty result has rank 1, size 0. */
void qvk__view_collapse(qvk__view *view);
int64_t qvk__view_numel(const qvk__view *view);

/* split, split_with_sizes, unbind: how many pieces, and the i-th one. */
qvk_status qvk__split_count(qvk__op op, const qvk__arg *args, int *n, qvk_error *err);
qvk_status qvk__split_piece(qvk__op op, const qvk__arg *args, int index, qvk__view *view, qvk_tensor *out,
                            qvk_error *err);

/* start, end and step of a slice of `size` elements (None and out-of-range ends as in Python). */
qvk_status qvk__slice_bounds(const qvk__arg *start, const qvk__arg *end, const qvk__arg *step, int64_t size,
                             int64_t *first, int64_t *count, int64_t *stride, qvk_error *err);

/* The tensors of a cat and where they go; empty one-dimensional ones are skipped, as PyTorch does. */
typedef struct qvk__concat {
    int dim;
    int n_tensors; /* of the list */
    const qvk__arg *list;
    qvk_tensor shape; /* of the result */
} qvk__concat;
qvk_status qvk__concat_of(const qvk__arg *args, qvk__concat *out, qvk_error *err);
/* NULL when tensor `index` contributes nothing. */
const qvk_tensor *qvk__concat_tensor(const qvk__concat *concat, int index);

/*
 * Results made of a source laid over something else. Along dimension d, coordinate c of the result reads
 * coordinate (c - start[d]) / step[d] of the source where that is whole and below the source's size;
 * elsewhere `edge` decides.
 */
typedef enum qvk__edge {
    QVK__EDGE_VALUE = 0, /* a number (constant padding) */
    QVK__EDGE_BASE,      /* the same element of a base tensor (slice_scatter) */
    QVK__EDGE_REPLICATE,
    QVK__EDGE_REFLECT,
    QVK__EDGE_WRAP
} qvk__edge;
typedef struct qvk__overlay {
    const qvk_tensor *source;
    const qvk_tensor *base;      /* EDGE_BASE */
    int rank;                    /* of the result */
    int64_t sizes[QVK_MAX_RANK]; /* of the result */
    int64_t source_sizes[QVK_MAX_RANK];
    int64_t start[QVK_MAX_RANK], step[QVK_MAX_RANK];
    qvk__edge edge;
    qvk__operand value; /* EDGE_VALUE */
} qvk__overlay;
/* constant_pad_nd, replication_pad2d, reflection_pad2d, roll, select_scatter, slice_scatter. */
qvk_status qvk__overlay_of(qvk__op op, const qvk__arg *args, qvk__overlay *out, qvk_error *err);

/* ---- indexing ------------------------------------------------------------------------------------------ */

/*
 * index, index_put: the result's (or the values') dimensions are the shape the indices broadcast to, put
 * where the indexed dimensions were when those are neighbours, else in front.
 */
typedef struct qvk__indexing {
    const qvk_tensor *self;
    const qvk_tensor *index[QVK_MAX_RANK]; /* per dimension of self; NULL: all of it */
    qvk_tensor index_shape;                /* what the indices broadcast to */
    int first;                             /* where index_shape stands in the result */
    qvk_tensor result;                     /* shape, and dtype of self */
    /* Which dimension of self a dimension of the result walks; -1 for those of index_shape. */
    int source[QVK_MAX_RANK];
} qvk__indexing;
/* List arguments: None or missing means all; `indices` is the operator's Tensor?[] argument. */
qvk_status qvk__indexing_of(const qvk_tensor *self, const qvk__arg *indices, qvk__indexing *out,
                            qvk_error *err);

/* ---- reductions ---------------------------------------------------------------------------------------- */

typedef enum qvk__reduce {
#define REDUCE(name, number) QVK__REDUCE_##name = number,
#include "core/reduce.def"
#undef REDUCE
} qvk__reduce;

typedef struct qvk__reduction {
    qvk__reduce fn;
    const qvk_tensor *self;
    uint32_t mask; /* bit d: dimension d is reduced */
    bool keepdim;
    qvk_dtype common;  /* elements are converted to this first */
    qvk_dtype result;  /* of the values */
    int64_t count;     /* elements that go into one result */
    int64_t n_results; /* how many results */
    double correction; /* VAR, STD: divisor is count - correction */
    double order;      /* NORM */
} qvk__reduction;

/* sum, mean, amax, amin, max, min, prod, any, all, var, std, vector_norm; argmax, argmin, max.dim, min.dim.
 */
qvk_status qvk__reduction_of(qvk__op op, const qvk__arg *args, qvk__reduction *out, qvk_error *err);

/* ---- made from nothing --------------------------------------------------------------------------------- */

/* full, zeros, ones, empty, scalar_tensor, fill, arange: element i is value + i * step, in `out`'s dtype. */
typedef struct qvk__filling {
    qvk__operand value;
    qvk__operand step; /* 0: constant */
} qvk__filling;
/* *out: dtype kept when set. */
qvk_status qvk__filling_of(qvk__op op, const qvk__arg *args, qvk__filling *filling, qvk_tensor *out,
                           qvk_error *err);

/* triangular part, cumulative sum, sort, top-k: their dimension. */
qvk_status qvk__scan_dim(qvk__op op, const qvk__arg *args, int *dim, qvk_error *err);

/* ---- norms --------------------------------------------------------------------------------------------- */

/* What qvk.rms_norm rounds to x's type: models that are exported in it, or stored in it, round on the way. */
typedef enum qvk__rms_rounding {
    QVK__RMS_ROUND_RESULT,     /* nothing but the result, as et_vk.rms_norm */
    QVK__RMS_ROUND_NORMALIZED, /* x / rms(x) as well, before it is multiplied with the weight */
    QVK__RMS_ROUND_STEPS       /* each step: squares, mean, mean + eps, 1 / rms too */
} qvk__rms_rounding;

/* Arguments of qvk.fused_linear_* after those of a linear; norm_eps None: x is not normalized; up_weights
 * None: the linear is no gate. */
enum {
    QVK__FUSED_RESIDUAL = 5,
    QVK__FUSED_NORM_WEIGHT,
    QVK__FUSED_NORM_EPS,
    QVK__FUSED_NORM_ROUNDING,
    QVK__FUSED_UP_WEIGHTS,
    QVK__FUSED_UP_SCALES,
    QVK__FUSED_UP_BIAS,
    QVK__FUSED_ARGS
};

/* The argument as one of these roundings. */
qvk_status qvk__arg_rms_rounding(const qvk__arg *arg, qvk__rms_rounding *out, qvk_error *err);

#endif
