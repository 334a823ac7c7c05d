/*
 * Times a chain of equal layers, each waiting for the one before, as the layers of a model do; or several
 * side by side waiting for several, as q, k and v do. A layer is a graph of one or two nodes, planned by the
 * library's own planners; its packed constants exist in several copies that take turns, so that weights come
 * from memory and not from a cache.
 */
#ifndef QVK_BENCH_LAYER_CHAIN_H
#define QVK_BENCH_LAYER_CHAIN_H

#include "gpu/gpu.h"
#include "kernels/linear.h"

#define CHAIN_MAX_VALUES     16
#define CHAIN_MAX_DISPATCHES 32

typedef struct chain_params {
    const qvk__graph *graph;
    /* Host data of inputs and constants by value id; outputs NULL. */
    const qvk_tensor *values;
    const qvk__linear_tuning *tuning; /* may be NULL */
    uint32_t n_layers;                /* of the chain */
    uint32_t n_together;              /* neighbours that do not wait for each other; 0: 1 */
    uint32_t n_runs;                  /* of it, after one to warm up */
    uint64_t cold_bytes;              /* copies of the packed constants together take at least this */
} chain_params;

typedef struct chain_result {
    double median_us, min_us, max_us; /* per layer */
    uint64_t bytes, ops;              /* of a layer: least traffic, operations */
    uint32_t n_copies;
    char kernels[256]; /* "a b c" */
    char specs[128];   /* of the last kernel */
} chain_result;

/* `output`: tensor of the value to read back after the run, with room for its data; its `data` is float32 or
 * as the value says. */
qvk_status chain_run(qvk__gpu *gpu, const chain_params *params, int32_t output_value, void *output,
                     chain_result *result, qvk_error *err);

#endif
