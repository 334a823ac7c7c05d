/*
 * Constants derived from constants, made when they are written or uploaded: packed 4-bit weights, transposed
 * scales, weight sums, rearranged convolution weights, dequantized weights. Layouts: spec of the Vulkan
 * operators, sections 2 to 8.
 */
#ifndef QVK__DERIVED_H
#define QVK__DERIVED_H

#include "lower/edge.h"

/* A quantized constant weight behind a dequantize node. */
typedef struct qvk__weight {
    int32_t integers, scales, zero_points; /* edge values; zero_points -1: none */
    int32_t rank;
    int64_t sizes[QVK_MAX_RANK];
    int64_t rows;       /* sizes[axis] */
    int64_t columns;    /* product of the others */
    int64_t group_size; /* along the columns; columns: per channel */
    int64_t groups;
    int axis; /* 0; 1 for transposed convolutions */
    int64_t qmin, qmax;
    bool symmetric;  /* every zero point is 0 */
    qvk_dtype dtype; /* of the dequantized weight */
} qvk__weight;

/* UINT8 [N, roundup(K, 8) / 2]: low nibble even k, each value + 8. */
qvk_status qvk__derive_packed4(qvk__edge *edge, const qvk__weight *weight, int32_t *out, qvk_error *err);
/* Scales [G, roundup(N, 4)] (transposed, zero-padded), in their own dtype or float32. */
qvk_status qvk__derive_scales(qvk__edge *edge, const qvk__weight *weight, bool transposed, int32_t *out,
                              qvk_error *err);
/* INT32 [G, roundup(N, 8)]: sums of each group's integers. */
qvk_status qvk__derive_group_sums(qvk__edge *edge, const qvk__weight *weight, int32_t *out, qvk_error *err);
/* INT32 [roundup(N, 4)] and float [roundup(N, 4)] of a per-channel weight; bias padded likewise. */
qvk_status qvk__derive_channel_sums(qvk__edge *edge, const qvk__weight *weight, int32_t *out, qvk_error *err);
qvk_status qvk__derive_channel_scales(qvk__edge *edge, const qvk__weight *weight, bool padded, int32_t *out,
                                      qvk_error *err);
qvk_status qvk__derive_padded_bias(qvk__edge *edge, int32_t bias, int32_t *out, qvk_error *err);
/* Static convolution weights: [OC, roundup(KH*KW*ICg, 4)], or [KH, KW, OC] for depthwise. groups as in the
 * convolution. */
qvk_status qvk__derive_conv_weight(qvk__edge *edge, const qvk__weight *weight, bool transposed,
                                   bool depthwise, int64_t groups, int32_t *out, qvk_error *err);

#endif
