/*
 * A pass over the edge graph: nodes are appended again in order; where a pattern ends (its anchor), the
 * pattern's replacement is emitted instead. What the pattern has used up becomes dead and is removed at the
 * end.
 */
#ifndef QVK__EDGE_PASS_H
#define QVK__EDGE_PASS_H

#include "lower/edge.h"

typedef struct qvk__edge_pass {
    qvk__edge *edge;
    qvk__node *old; /* nodes before the pass; argument ids are old ones */
    size_t n_old, n_values;
    int32_t *producer; /* value -> old node, -1 */
    int32_t *uses;     /* value -> arguments and outputs that refer to it */
    int32_t *subst;    /* old value -> what stands for it now */
} qvk__edge_pass;

/* Looks at an old node; on a match emits the replacement, fills outs (one edge value for each output of the
 * node) and sets *matched. */
typedef qvk_status (*qvk__edge_match_fn)(qvk__edge_pass *pass, const qvk__node *node, int32_t *outs,
                                         bool *matched, qvk_error *err);

qvk_status qvk__edge_run_pass(qvk__edge *edge, qvk__edge_match_fn match, qvk_error *err);

/* Old node that produces an argument's value, when it is of operator `op`; NULL otherwise. QVK__OP_NONE: any.
 */
const qvk__node *qvk__pass_producer(const qvk__edge_pass *pass, const qvk__arg *arg, qvk__op op);
/* The value is used once. */
bool qvk__pass_single_use(const qvk__edge_pass *pass, int32_t value);
/* An argument of an old node as it must be passed to emitted nodes. */
qvk__arg qvk__pass_arg(const qvk__edge_pass *pass, const qvk__arg *arg);
const qvk__value *qvk__pass_value(const qvk__edge_pass *pass, const qvk__arg *arg);

#endif
