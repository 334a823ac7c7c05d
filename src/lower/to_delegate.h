/* One partition of the edge graph as a delegate's graph. */
#ifndef QVK__TO_DELEGATE_H
#define QVK__TO_DELEGATE_H

#include "lower/partition.h"

typedef struct qvk__delegate_plan {
    int32_t level;
    /* Edge values that cross the border, in order of the delegate's inputs and outputs. */
    QVK__VEC(int32_t) inputs;
    QVK__VEC(int32_t) outputs;
} qvk__delegate_plan;

/* `needed_outside[value]`: read by another partition, an outside node, or the caller. out is initialised
 * here. */
qvk_status qvk__build_delegate(qvk__edge *edge, const qvk__partition *partition, const bool *needed_outside,
                               qvk__delegate_plan *plan, qvk__graph *out, qvk_error *err);

#endif
