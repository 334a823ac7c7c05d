/*
 * placement: where every value of a plan lives on the device. Aliases share one place; values that live
 * during a call share one block of memory; constants and state have buffers of their own (device_weights.h).
 */
#ifndef QVK__PLACEMENT_H
#define QVK__PLACEMENT_H

#include "runtime/graph_plan.h"

/* Zero-initialise. */
typedef struct qvk__placement {
    int32_t *roots;          /* per value: the value that stands for its place */
    qvk__gpu_range *ranges;  /* per value: buffer NULL when it is not on the device */
    qvk__gpu_range *scratch; /* per scratch of the plan */
    bool *copied;            /* per alias of the plan: it must not share memory and is copied instead */
    uint64_t arena_bytes;    /* needed for values and scratch; their ranges have buffer NULL until bound */
    bool *in_arena;          /* per value */
} qvk__placement;

/*
 * An alias is copied when its source is written in place later on, or when both sides are constants. Enters
 * constants and state that dispatches read as they are into `weights` (not uploaded).
 */
qvk_status qvk__placement_make(const qvk__graph *graph, const qvk__plan *plan, qvk__weights *weights,
                               const qvk__gpu_caps *caps, qvk__placement *out, qvk_error *err);
void qvk__placement_finish(qvk__placement *placement);
/* Fills in the buffers, once the arena is there and weights are uploaded. */
void qvk__placement_bind(qvk__placement *placement, const qvk__graph *graph, const qvk__plan *plan,
                         const qvk__weights *weights, const qvk__gpu_buffer *arena);

#endif
