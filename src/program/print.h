/* What the text and the JSON form of a program have in common. Private to src/program. */
#ifndef QVK__PRINT_H
#define QVK__PRINT_H

#include "program/program.h"

/* A quantized weight of a delegate, as the operator that uses it shows it. */
typedef struct qvk__weight_info {
    const char *scheme; /* "4w", "8da4w", ... as qvk quantize names them */
    int64_t group_size; /* 0: per channel */
    int32_t value;      /* of the graph: the constant */
} qvk__weight_info;
/* False when the node uses no quantized weight. */
bool qvk__weight_of_node(const qvk__graph *graph, const qvk__node *node, qvk__weight_info *out);

/* Calls of each of the method's operators outside delegates; malloc'ed, NULL when memory runs out. */
uint32_t *qvk__count_kernel_calls(const qvk__method *method);
/* In the operator table, or one of ExecuTorch's primitives (executorch_prim::), which the runtime has itself.
 */
bool qvk__operator_is_known(const qvk__operator_ref *ref);
/* Why an operator stands outside: "unknown to qvk", a dtype delegates lack, ...; never NULL. */
const char *qvk__outside_reason(const qvk__method *method, uint32_t operator_index);
/* "tensor", "int", "int[]", ...: what a value is. */
const char *qvk__evalue_kind_name(qvk__evalue_kind kind);
const char *qvk__instruction_kind_name(qvk__instruction_kind kind);

#endif
