/*
 * probe_linear: small quantized linears of our own, for trials and for tuning.
 *
 * All numbers are small integers times powers of two, so that neither the order of a sum nor the rounding of
 * a quantization leaves room for two right answers: float32 results agree to a few roundings of the scales.
 */
#ifndef QVK__PROBE_LINEAR_H
#define QVK__PROBE_LINEAR_H

#include "core/graph.h"
#include "qvk/module.h"

typedef struct qvk__probe_linear {
    int bits;     /* of the weights: 4 or 8 */
    bool is_int8; /* activations are quantized per row; else they stay float */
    qvk_dtype x;  /* of activations and results: F32 or F16 */
    int64_t M, N, K;
    int64_t group; /* weights that share a scale; divides K */
} qvk__probe_linear;

/* The graph's input [M, K], and a caller's tensor for it, in the graph's arena. */
qvk_status qvk__probe_linear_input(qvk__graph *graph, const qvk__probe_linear *linear, qvk_value *input,
                                   int32_t *x, qvk_error *err);
/* A linear over x whose result [M, N] is the graph's next output. */
qvk_status qvk__probe_linear_add(qvk__graph *graph, const qvk__probe_linear *linear, int32_t x,
                                 const char *name, qvk_error *err);
/* What results of the linear may differ by, as a share of the largest: float32 results by a rounding of an
 * activation's scale times a weight's, float16 ones by roundings of products and results. */
double qvk__probe_linear_tolerance(const qvk__probe_linear *linear);
/* The first element at which the results differ by more than `tolerance` of the largest wanted, or -1. */
int64_t qvk__probe_linear_differs(const qvk_tensor *result, const qvk_tensor *wanted, double tolerance);

#endif
