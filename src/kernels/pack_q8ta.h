/* Constants of static int8 convolutions in the kernels' layouts. */
#ifndef QVK__PACK_Q8TA_H
#define QVK__PACK_Q8TA_H

#include "core/geometry.h"
#include "kernels/kernels.h"

/* Where a packed weight of a file keeps element (output channel, tap, input channel of the group). */
typedef struct qvk__q8ta_weight {
    int32_t value; /* the constant, int8 */
    int64_t channels, taps, in_per_group;
    int64_t row;    /* elements of a row in the file */
    bool depthwise; /* [tap][channel] */
} qvk__q8ta_weight;

/*
 * Words [channel][tap][blocks]: four neighbouring input channels a word, the last block of a tap filled up
 * with zeros. For q8ta_conv_gemm.comp.
 */
qvk__pack qvk__pack_q8ta_blocks(const qvk__q8ta_weight *weight);
/* Bytes [channel][tap][in_per_group]. For q8ta_conv_direct.comp. */
qvk__pack qvk__pack_q8ta_bytes(const qvk__q8ta_weight *weight);

/* For each channel: input scale * weight scale, bias, input zero point * sum of weights, 0. See
 * q8ta_epilogue.glsl. bias is -1 for none; dtypes are those of the constants. */
qvk__pack qvk__pack_q8ta_epilogue(const qvk__q8ta_weight *weight, int32_t scales, qvk_dtype scales_dtype,
                                  int32_t bias, qvk_dtype bias_dtype, float input_scale,
                                  int32_t input_zero_point);

#endif
