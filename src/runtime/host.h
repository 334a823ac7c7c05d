/*
 * host: what is known on the host about every value of a graph: current shape, current number of a symbol,
 * and, where it is there, the data. Shape inference and the reference executor both work on it.
 */
#ifndef QVK__HOST_H
#define QVK__HOST_H

#include "core/graph.h"

typedef struct qvk__host {
    const qvk__graph *graph; /* borrowed */
    qvk_tensor *tensors;     /* per value: current dtype and shape; data NULL: not on the host */
    int64_t *symbols;        /* per value: current number */
    bool *known;             /* per value: a symbol's number is known (at load, inputs are not) */
    void **owned;            /* per value: memory of ours that may stand behind data */
    uint64_t *capacity;      /* per value: bytes of owned */
    qvk__arena arena;        /* arguments of the node at work */
} qvk__host;

/* Shapes start as the graph records them (upper bounds), symbols as unknown. */
qvk_status qvk__host_init(qvk__host *host, const qvk__graph *graph, qvk_error *err);
void qvk__host_finish(qvk__host *host);

/* Points a constant's tensor at its bytes: borrowed where the graph holds them contiguously, else a copy that
 * is kept. Mutable ones get a copy of their own, which keeps its contents. */
qvk_status qvk__host_constant(qvk__host *host, int32_t value, qvk_error *err);
/* Gives every mutable constant that is on the host its initial contents again. */
qvk_status qvk__host_reset(qvk__host *host, qvk_error *err);
/* Makes data of `value` point at own memory with room for its current shape (contents undefined). */
qvk_status qvk__host_reserve(qvk__host *host, int32_t value, qvk_error *err);
/* Gives back the memory of a value that nobody reads any more. */
void qvk__host_release(qvk__host *host, int32_t value);

/*
 * Computes what a node's outputs look like from its inputs as they are now: shapes of tensors, numbers of
 * symbols. Outputs that depend on a symbol not known yet keep what the graph records. Numbers read out of a
 * tensor (item, select_as_symint) need its data on the host; without it they stay unknown.
 * Fails with QVK_SHAPE when a shape needs more room than the recorded bound has, and with
 * QVK_UNSUPPORTED_OPERATOR for an operator qvk does not know.
 */
qvk_status qvk__host_infer(qvk__host *host, size_t node, qvk_error *err);

/* Runs a node on the reference, from and to the host's data (shapes already inferred). Constants are fetched;
 * outputs get memory. */
qvk_status qvk__host_run(qvk__host *host, size_t node, qvk_error *err);

/* "node 12 aten.add.Tensor (add_3)" by value, for messages. */
typedef struct qvk__node_label {
    char text[160];
} qvk__node_label;
qvk__node_label qvk__node_label_of(const qvk__graph *graph, size_t node);

#endif
