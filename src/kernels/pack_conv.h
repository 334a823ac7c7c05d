/* Constants of conv_cpu.comp and depthwise_cpu.comp: weights in panels of 8 channels, and the table of taps.
 */
#ifndef QVK__PACK_CONV_H
#define QVK__PACK_CONV_H

#include "core/geometry.h"
#include "kernels/kernels.h"
#include "kernels/pack_q8ta.h"

/* Order of k: (channel, ky, kx) for float weights, (ky, kx, channel) for the packed int8 ones. Rows of
 * [group][panel of 8 channels][8 neighbours of k][channel] floats, zeros beyond the channels and beyond k. */
qvk__pack qvk__pack_conv_panels(const qvk__conv *conv, int32_t weight, qvk_dtype dtype);
qvk__pack qvk__pack_q8ta_panels(const qvk__conv *conv, const qvk__q8ta_weight *weight);

/* Depthwise weights: [panel of 8 channels][tap][channel] floats. */
qvk__pack qvk__pack_conv_depthwise(const qvk__conv *conv, int32_t weight, qvk_dtype dtype);
qvk__pack qvk__pack_q8ta_depthwise(const qvk__conv *conv, const qvk__q8ta_weight *weight);

/* For each k: channel, ky * dilation, kx * dilation, as three words; zeros beyond the last k. `weight` is
 * what makes the pack a constant's. */
qvk__pack qvk__pack_conv_table(const qvk__conv *conv, int32_t weight, bool taps_first);

#endif
