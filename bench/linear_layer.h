/* A quantized linear with random weights, as a graph of one node; and a check of its result. */
#ifndef QVK_BENCH_LINEAR_LAYER_H
#define QVK_BENCH_LINEAR_LAYER_H

#include "core/graph.h"

typedef struct scheme {
    const char *name; /* "8da4w" */
    int bits;         /* of a weight */
    bool dynamic;     /* activations are quantized to int8, a scale for each row */
} scheme;

extern const scheme linear_schemes[4];

/* A layer's values, in the order of its graph's. */
enum { LAYER_X, LAYER_WEIGHTS, LAYER_SCALES, LAYER_NORM, LAYER_Y, LAYER_N_VALUES };

typedef struct layer {
    const scheme *scheme;
    int64_t M, N, K, group;    /* group 0: per channel */
    const char *model, *names; /* which model's which layers these are; NULL: nobody's */
    int count;                 /* of them in the model */
    qvk_dtype act;
    bool norm; /* activations are normalized first, as Llama does; LAYER_NORM is the weight */
    qvk__graph graph;
    qvk__constant constants[LAYER_N_VALUES];
    qvk_tensor values[LAYER_N_VALUES]; /* Y without data */
} layer;

void layer_make(layer *l, const scheme *s, qvk_dtype act, int64_t M, int64_t N, int64_t K, int64_t group,
                bool norm);
void layer_free(layer *l);

/* Weights, scales, activations and results, each once; multiplications and additions. */
uint64_t layer_bytes(const layer *l);
double layer_ops(const layer *l);

/* Largest difference of `y` (the result, like LAYER_Y) from the reference in a sample of rows and columns,
 * relative to the sample's largest value. */
qvk_status layer_error(const layer *l, const void *y, double *out, qvk_error *err);

#endif
