/* Recognising quantize/dequantize nodes around operators. */
#ifndef QVK__QUANT_MATCH_H
#define QVK__QUANT_MATCH_H

#include "lower/derived.h"
#include "lower/edge_pass.h"

/* A constant int8 weight behind a dequantize node (torchao or quantized_decomposed). false: it is something
 * else. */
bool qvk__match_weight(const qvk__edge_pass *pass, const qvk__arg *arg, qvk__weight *out);

/* Static per-tensor quantization of an activation. */
typedef struct qvk__static_qparams {
    double scale;
    int64_t zero_point, qmin, qmax;
} qvk__static_qparams;
/* `arg` is dequantize_per_tensor of an int8 value: *source is that value's argument (old ids). */
bool qvk__match_dequantized(const qvk__edge_pass *pass, const qvk__arg *arg, qvk__arg *source,
                            qvk__static_qparams *out);
/* `node` is quantize_per_tensor to int8 over the full range. */
bool qvk__match_quantize(const qvk__node *node, qvk__static_qparams *out);

/* A dynamically quantized activation: dequantize(quantize(x, s, z), s, z) with s, z from a choose_qparams
 * node. */
typedef struct qvk__dynamic_activation {
    qvk__arg x, scale, zero_point; /* old ids */
} qvk__dynamic_activation;
bool qvk__match_dynamic(const qvk__edge_pass *pass, const qvk__arg *arg, qvk__dynamic_activation *out);

#endif
