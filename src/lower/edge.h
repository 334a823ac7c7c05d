/*
 * edge: the graph between an exported program and a lowered one. Functional, canonical operators only (those
 * the table has a reference for), every shape known at two points: the upper bound of every symbol (what
 * memory is planned for) and a second, smaller choice. A dimension is dynamic exactly when the two differ, so
 * no pass needs symbolic algebra.
 */
#ifndef QVK__EDGE_H
#define QVK__EDGE_H

#include "ir/ir.h"
#include "lower/lower.h"

typedef struct qvk__edge_shape {
    qvk_tensor low;      /* shape at the smaller choice of every symbol */
    int64_t symbol_high; /* QVK__VALUE_SYMBOL: number at the upper bound, and at the smaller choice */
    int64_t symbol_low;
} qvk__edge_shape;

typedef struct qvk__edge {
    const qvk__exported *program;
    const qvk__lower_params *params;
    qvk__graph graph;
    QVK__VEC(qvk__edge_shape) shapes; /* beside graph.values */
    const qvk__node *origin;          /* exported node being translated: gives new nodes their trace */
    int32_t *map;              /* exported value id -> edge value id now (in-place writes move it), -1 */
    int32_t *made;             /* exported value id -> edge value id when it was made, -1 */
    QVK__VEC(int32_t) mutated; /* pairs: edge id of a mutated buffer's constant, edge id of its new value */
    qvk__string notes;
} qvk__edge;

qvk_status qvk__edge_begin(const qvk__exported *program, const qvk__lower_params *params, qvk__edge *out,
                           qvk_error *err);
void qvk__edge_finish(qvk__edge *edge);

/* Appends a node and infers its outputs. `dtype` presets the outputs' dtype for operators that do not decide
 * it themselves (casts, full, quantize); QVK_DTYPE_NONE otherwise. */
qvk_status qvk__edge_emit(qvk__edge *edge, qvk__op op, const qvk__arg *args, int n_args, qvk_dtype dtype,
                          int32_t *outs, int n_outs, qvk_error *err);
/* The same with a dtype for each output. */
qvk_status qvk__edge_emit_typed(qvk__edge *edge, qvk__op op, const qvk__arg *args, int n_args,
                                const qvk_dtype *dtypes, int32_t *outs, int n_outs, qvk_error *err);
/* One-output form with the arguments as a braced list. */
#define QVK__EDGE_EMIT(edge, op, dtype, out, err, ...)                                                       \
    qvk__edge_emit(edge, op, (const qvk__arg[]){__VA_ARGS__},                                                \
                   (int)(sizeof((const qvk__arg[]){__VA_ARGS__}) / sizeof(qvk__arg)), dtype, out, 1, err)

/* A constant value with these bytes (copied). rank 0: a scalar. */
qvk_status qvk__edge_constant(qvk__edge *edge, const qvk_tensor *tensor, int32_t *out, qvk_error *err);
/* A 0-dim constant of a dtype. */
qvk_status qvk__edge_scalar(qvk__edge *edge, double number, qvk_dtype dtype, int32_t *out, qvk_error *err);
/* A constant value backed by `constant`, which must outlive the lowered program. */
qvk_status qvk__edge_constant_value(qvk__edge *edge, const char *name, const qvk_tensor *desc,
                                    const qvk__constant *constant, int32_t *out, qvk_error *err);
/* Arguments in short: a value, an int, a list of ints, None. */
qvk__arg qvk__edge_ints(const int64_t *ints, int n);
/* Descriptor at upper bounds. Valid until the next value is added. */
const qvk_tensor *qvk__edge_desc(const qvk__edge *edge, int32_t value);
bool qvk__edge_is_dynamic(const qvk__edge *edge, int32_t value);
/* Size of one dimension as an argument: a number when static, else the symbol of a sym_size node (made here).
 */
qvk_status qvk__edge_size(qvk__edge *edge, int32_t value, int dim, qvk__arg *out, qvk_error *err);
/* An argument of an exported node with its values mapped into the edge graph. */
qvk_status qvk__edge_map_arg(qvk__edge *edge, const qvk__arg *from, qvk__arg *to, qvk_error *err);

/* Passes, in the order they run. */
qvk_status qvk__edge_decompose(qvk__edge *edge, qvk_error *err); /* exported operators -> canonical ones */
qvk_status qvk__edge_fuse_float(qvk__edge *edge,
                                qvk_error *err); /* batch norm into convolution, clamps into convolution */
qvk_status qvk__edge_fuse_quantized(qvk__edge *edge,
                                    qvk_error *err);        /* q/dq patterns -> quantized operators */
qvk_status qvk__edge_fold(qvk__edge *edge, qvk_error *err); /* nodes over constants -> constants */
qvk_status qvk__edge_to_program(qvk__edge *edge, qvk__program *out,
                                qvk_error *err); /* partition, plan memory */

#endif
