/* Which nodes go into a delegate, which stay outside, and in what order the pieces run. */
#ifndef QVK__PARTITION_H
#define QVK__PARTITION_H

#include "lower/edge.h"

typedef struct qvk__partition {
    bool *inside;   /* per node: in a delegate */
    int32_t *level; /* per node: step it belongs to; all inside nodes of one level are one delegate */
    int32_t n_levels;
} qvk__partition;

/* Memory from edge->graph.arena. Adds a line to edge->notes for every node left outside, with the reason. */
qvk_status qvk__partition_graph(qvk__edge *edge, qvk__partition *out, qvk_error *err);
/* The operator takes a constant argument as it is; others get it through et_vk.prepack. */
bool qvk__takes_constant(qvk__op op, int arg);

#endif
