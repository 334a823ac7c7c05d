#include "kernels/pack_q8ta.h"

#include "kernels/pack_float.h"

/* qvk__pack.dims. What the epilogue adds comes after. */
enum { DIM_CHANNELS, DIM_TAPS, DIM_IN, DIM_ROW, DIM_DEPTHWISE, DIM_DTYPES, DIM_SCALE_BITS, DIM_ZERO_POINT };

static int8_t weight_at(const qvk__pack *pack, const void *source, int64_t channel, int64_t tap, int64_t in)
{
    const int8_t *weight = source;

    if (pack->dims[DIM_DEPTHWISE])
        return weight[tap * pack->dims[DIM_ROW] + channel];
    return weight[channel * pack->dims[DIM_ROW] + tap * pack->dims[DIM_IN] + in];
}

/* Elements of [channel][tap][width], 0 beyond the input channels. */
static void pack_rows(const qvk__pack *pack, const void *source, int64_t width, uint64_t offset, uint8_t *dst,
                      uint64_t bytes)
{
    for (uint64_t i = 0; i < bytes; i++) {
        const int64_t at = (int64_t)(offset + i);
        const int64_t in = at % width, tap = at / width % pack->dims[DIM_TAPS];
        const int64_t channel = at / width / pack->dims[DIM_TAPS];
        const bool exists = in < pack->dims[DIM_IN] && channel < pack->dims[DIM_CHANNELS];
        dst[i] = exists ? (uint8_t)weight_at(pack, source, channel, tap, in) : 0;
    }
}

static void pack_blocks(const qvk__pack *pack, const void *const *sources, uint64_t offset, void *dst,
                        uint64_t bytes)
{
    pack_rows(pack, sources[0], (int64_t)qvk__round_up((uint64_t)pack->dims[DIM_IN], 4), offset, dst, bytes);
}

static void pack_bytes(const qvk__pack *pack, const void *const *sources, uint64_t offset, void *dst,
                       uint64_t bytes)
{
    pack_rows(pack, sources[0], pack->dims[DIM_IN], offset, dst, bytes);
}

static int32_t sum_of_weights(const qvk__pack *pack, const void *source, int64_t channel)
{
    int32_t sum = 0;

    for (int64_t tap = 0; tap < pack->dims[DIM_TAPS]; tap++)
        for (int64_t in = 0; in < pack->dims[DIM_IN]; in++)
            sum += weight_at(pack, source, channel, tap, in);
    return sum;
}

static void pack_epilogue(const qvk__pack *pack, const void *const *sources, uint64_t offset, void *dst,
                          uint64_t bytes)
{
    const uint32_t input_scale_bits = (uint32_t)pack->dims[DIM_SCALE_BITS];
    float input_scale;

    memcpy(&input_scale, &input_scale_bits, sizeof input_scale);
    for (uint64_t at = 0; at < bytes; at += 16) {
        const int64_t channel = (int64_t)((offset + at) / 16);
        const float scale =
            input_scale * qvk__pack_float(sources[1], pack->dims[DIM_DTYPES] & 255, (uint64_t)channel);
        const float bias =
            sources[2] ? qvk__pack_float(sources[2], pack->dims[DIM_DTYPES] >> 8, (uint64_t)channel) : 0.0F;
        const int32_t correction =
            (int32_t)pack->dims[DIM_ZERO_POINT] * sum_of_weights(pack, sources[0], channel);
        memset((char *)dst + at, 0, 16);
        memcpy((char *)dst + at, &scale, sizeof scale);
        memcpy((char *)dst + at + 4, &bias, sizeof bias);
        memcpy((char *)dst + at + 8, &correction, sizeof correction);
    }
}

static qvk__pack pack_weight(const qvk__q8ta_weight *weight)
{
    return (qvk__pack){
        .sources = {weight->value, -1, -1, -1},
        .dims = {[DIM_CHANNELS] = weight->channels,
                 [DIM_TAPS] = weight->taps,
                 [DIM_IN] = weight->in_per_group,
                 [DIM_ROW] = weight->row,
                 [DIM_DEPTHWISE] = weight->depthwise},
    };
}

qvk__pack qvk__pack_q8ta_blocks(const qvk__q8ta_weight *weight)
{
    qvk__pack pack = pack_weight(weight);

    pack.fn = pack_blocks;
    pack.bytes =
        (uint64_t)(weight->channels * weight->taps) * qvk__round_up((uint64_t)weight->in_per_group, 4);
    return pack;
}

qvk__pack qvk__pack_q8ta_bytes(const qvk__q8ta_weight *weight)
{
    qvk__pack pack = pack_weight(weight);

    pack.fn = pack_bytes;
    pack.bytes = qvk__round_up((uint64_t)(weight->channels * weight->taps * weight->in_per_group), 4);
    return pack;
}

qvk__pack qvk__pack_q8ta_epilogue(const qvk__q8ta_weight *weight, int32_t scales, qvk_dtype scales_dtype,
                                  int32_t bias, qvk_dtype bias_dtype, float input_scale,
                                  int32_t input_zero_point)
{
    qvk__pack pack = pack_weight(weight);
    uint32_t input_scale_bits;

    memcpy(&input_scale_bits, &input_scale, sizeof input_scale_bits);
    pack.fn = pack_epilogue;
    pack.sources[1] = scales;
    pack.sources[2] = bias;
    pack.dims[DIM_DTYPES] = (int64_t)scales_dtype | (int64_t)bias_dtype << 8;
    pack.dims[DIM_SCALE_BITS] = input_scale_bits;
    pack.dims[DIM_ZERO_POINT] = input_zero_point;
    pack.bytes = (uint64_t)weight->channels * 16;
    return pack;
}
