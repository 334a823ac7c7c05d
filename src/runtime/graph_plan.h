/*
 * graph_plan: every node of a graph as dispatches, an alias, a CPU step or nothing, at the current shapes.
 * The runtime's side of the planner contract in kernels.h.
 */
#ifndef QVK__RUNTIME_PLAN_H
#define QVK__RUNTIME_PLAN_H

#include "kernels/kernels.h"
#include "runtime/host.h"
#include "runtime/device_weights.h"

typedef enum qvk__node_place {
    QVK__PLACE_NOWHERE, /* a number the host computes */
    QVK__PLACE_DEVICE,
    QVK__PLACE_CPU
} qvk__node_place;

typedef struct qvk__planned_node {
    qvk__node_place place;
    uint32_t first, n;                 /* its dispatches */
    uint32_t first_alias, n_aliases;   /* and aliases */
    uint32_t first_scratch, n_scratch; /* and scratch */
    const char *reason;                /* CPU: why */
} qvk__planned_node;

typedef struct qvk__planned_alias {
    int32_t node, out, in;
} qvk__planned_alias;

/* Scratch of a node; what others may use too is filled by a dispatch of it (planner->shared). */
typedef struct qvk__planned_scratch {
    int32_t node, last_node; /* whose it is; the last that uses it */
    int32_t filled_by;       /* dispatch; -1: it is the node's alone */
    uint64_t reads;          /* of that: hash of its operands */
    uint64_t bytes;
} qvk__planned_scratch;

/* Zero-initialise. */
typedef struct qvk__plan {
    qvk__planned_node *nodes; /* per node of the graph, or one */
    QVK__VEC(qvk__dispatch) dispatches;
    QVK__VEC(qvk__planned_alias) aliases;
    QVK__VEC(qvk__planned_scratch) scratch; /* QVK__REF_SCRATCH ids */
    qvk__arena arena;
} qvk__plan;

typedef struct qvk__plan_source {
    const qvk__gpu_caps *caps;
    qvk__host *host;        /* shapes and numbers */
    const bool *written;    /* per value: some node writes it in place, it may not hold still; NULL: none */
    qvk__weights *weights;  /* packed constants are entered here, and not uploaded */
    const bool *distrusted; /* as in qvk__planner; NULL: none */
    const struct qvk__linear_tuning *tuning, *tiles; /* as linear_... in qvk__planner; NULL: none */
} qvk__plan_source;

/* Plans all nodes. QVK_UNSUPPORTED_OPERATOR when neither the device nor the reference has an operator. */
qvk_status qvk__plan_make(const qvk__plan_source *source, qvk__plan *out, qvk_error *err);
void qvk__plan_finish(qvk__plan *plan);

/*
 * Plans one node of `plan` anew into `one`, which is emptied first and may be used again and again. Its only
 * node record is nodes[0]; ids of scratch count from where those of the node begin in `plan`. What earlier
 * nodes share is taken as it is in `plan`: they have to be up to date there.
 */
qvk_status qvk__plan_one(const qvk__plan_source *source, const qvk__plan *plan, size_t node, qvk__plan *one,
                         qvk_error *err);
/* Does the node use scratch that one of the `changed` nodes fills? It must be planned anew with that one. */
bool qvk__plan_depends(const qvk__plan *plan, size_t node, const bool *changed);
/* Would a recording made for `plan` serve the node as it is in `one`? Parameters, group counts and sizes of
 * scratch may differ. */
bool qvk__plan_same(const qvk__plan *plan, size_t node, const qvk__plan *one);
/* Takes over what may differ. */
void qvk__plan_update(qvk__plan *plan, size_t node, const qvk__plan *one);

/*
 * What a recording depends on: places, kernels, constants, bindings, aliases; not parameters, group counts or
 * sizes of scratch. Two plans of one graph with equal keys can share recordings.
 */
uint64_t qvk__plan_key(const qvk__plan *plan, size_t n_nodes);

#endif
