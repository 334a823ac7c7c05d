/* Putting a method together: values, instructions, planned memory. */
#ifndef QVK__METHOD_BUILDER_H
#define QVK__METHOD_BUILDER_H

#include "lower/edge.h"

typedef struct qvk__method_builder {
    qvk__edge *edge;
    qvk__program *program;
    int32_t *map; /* edge value -> method value, -1 */
    QVK__VEC(qvk__evalue) values;
    QVK__VEC(qvk__instruction) instructions;
    QVK__VEC(qvk__operator_ref) operators;
    QVK__VEC(qvk__delegate) delegates;
    QVK__VEC(int32_t) inputs;
    QVK__VEC(int32_t) outputs;
} qvk__method_builder;

qvk_status qvk__method_begin(qvk__edge *edge, qvk__program *program, qvk__method_builder *out,
                             qvk_error *err);
/* Method value of an edge value (made on first use; constants become constant tensors). */
qvk_status qvk__method_value(qvk__method_builder *m, int32_t edge_value, int32_t *out, qvk_error *err);
/* Method value of an argument: literals, lists, values. */
qvk_status qvk__method_literal(qvk__method_builder *m, const qvk__arg *arg, int32_t *out, qvk_error *err);
/* Takes the graph over (it is empty afterwards). */
qvk_status qvk__method_add_delegate(qvk__method_builder *m, qvk__graph *graph, const int32_t *inputs,
                                    size_t n_inputs, const int32_t *outputs, size_t n_outputs,
                                    qvk_error *err);
/* A node that runs outside: KernelCall of the operator's out-variant. */
qvk_status qvk__method_add_kernel(qvk__method_builder *m, const qvk__node *node, qvk_error *err);
/* Plans memory and hands the method "forward" to the program. */
qvk_status qvk__method_end(qvk__method_builder *m, qvk_error *err);
void qvk__method_abandon(qvk__method_builder *m);

/* lower_memory.c: offsets for every tensor that lives in planned memory; returns the buffer's size in *bytes.
 */
qvk_status qvk__plan_method_memory(qvk__method_builder *m, uint64_t *bytes, qvk_error *err);

#endif
