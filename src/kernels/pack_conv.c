#include "kernels/pack_conv.h"

#include "core/dtype.h"
#include "kernels/pack_float.h"

/* qvk__pack.dims of the panels. */
enum { DIM_OUT, DIM_IN, DIM_TAPS, DIM_ROW, DIM_DEPTHWISE, DIM_TRANSPOSED, DIM_DTYPE, DIM_GROUPS };

/* Channels of a group and k, rounded up to whole panels and steps. */
static int64_t padded_out(const qvk__pack *pack)
{
    return (int64_t)qvk__round_up((uint64_t)pack->dims[DIM_OUT], 8);
}

static int64_t padded_k(const qvk__pack *pack)
{
    return (int64_t)qvk__round_up((uint64_t)(pack->dims[DIM_IN] * pack->dims[DIM_TAPS]), 8);
}

/* A float weight: [OC, ICg, taps], transposed [IC, OCg, taps]; k = (channel, tap). */
static float float_weight(const qvk__pack *pack, const void *source, int64_t group, int64_t out, int64_t k)
{
    const int64_t taps = pack->dims[DIM_TAPS], in = k / taps, n_in = pack->dims[DIM_IN];
    const int64_t n_out = pack->dims[DIM_OUT];
    const int64_t filter =
        pack->dims[DIM_TRANSPOSED] ? (group * n_in + in) * n_out + out : (group * n_out + out) * n_in + in;

    return qvk__pack_float(source, pack->dims[DIM_DTYPE], (uint64_t)(filter * taps + k % taps));
}

/* A packed int8 weight: rows of k = (tap, channel), or depthwise [tap][channel]. */
static float int8_weight(const qvk__pack *pack, const void *source, int64_t group, int64_t out, int64_t k)
{
    const int64_t channel = group * pack->dims[DIM_OUT] + out;
    const int8_t *weight = source;

    if (pack->dims[DIM_DEPTHWISE])
        return (float)weight[k * pack->dims[DIM_ROW] + channel];
    return (float)weight[channel * pack->dims[DIM_ROW] + k];
}

static void pack_panels(const qvk__pack *pack, const void *const *sources, uint64_t offset, void *dst,
                        uint64_t bytes)
{
    const int64_t n_k = padded_k(pack), n_out = padded_out(pack);
    float *out = dst;

    for (uint64_t i = 0; i < bytes / 4; i++) {
        const int64_t at = (int64_t)(offset / 4 + i);
        const int64_t k = at / 64 * 8 % n_k + at % 8;
        const int64_t row = at / (8 * n_k) * 8 + at / 8 % 8; /* over all groups */
        const int64_t group = row / n_out, channel = row % n_out;
        const bool exists = channel < pack->dims[DIM_OUT] && k < pack->dims[DIM_IN] * pack->dims[DIM_TAPS];
        out[i] = !exists                                 ? 0.0F
                 : pack->dims[DIM_DTYPE] == QVK_DTYPE_I8 ? int8_weight(pack, sources[0], group, channel, k)
                                                         : float_weight(pack, sources[0], group, channel, k);
    }
}

static qvk__pack panels(const qvk__conv *conv, int32_t weight, qvk_dtype dtype)
{
    qvk__pack pack = {
        .fn = pack_panels,
        .sources = {weight, -1, -1, -1},
        .dims = {[DIM_OUT] = conv->out_channels / conv->groups,
                 [DIM_IN] = conv->in_channels / conv->groups,
                 [DIM_TAPS] = conv->kernel[0] * conv->kernel[1],
                 [DIM_TRANSPOSED] = conv->transposed,
                 [DIM_DTYPE] = dtype,
                 [DIM_GROUPS] = conv->groups},
    };

    pack.bytes = (uint64_t)(conv->groups * padded_out(&pack) * padded_k(&pack)) * sizeof(float);
    return pack;
}

qvk__pack qvk__pack_conv_panels(const qvk__conv *conv, int32_t weight, qvk_dtype dtype)
{
    return panels(conv, weight, dtype);
}

qvk__pack qvk__pack_q8ta_panels(const qvk__conv *conv, const qvk__q8ta_weight *weight)
{
    qvk__pack pack = panels(conv, weight->value, QVK_DTYPE_I8);

    pack.dims[DIM_ROW] = weight->row;
    pack.dims[DIM_DEPTHWISE] = weight->depthwise;
    return pack;
}

/* ---- depthwise ------------------------------------------------------------------------------------------ */

/* With groups of one channel, k is the tap. */
static void pack_depthwise(const qvk__pack *pack, const void *const *sources, uint64_t offset, void *dst,
                           uint64_t bytes)
{
    const int64_t taps = pack->dims[DIM_TAPS];
    float *out = dst;

    for (uint64_t i = 0; i < bytes / 4; i++) {
        const int64_t at = (int64_t)(offset / 4 + i);
        const int64_t tap = at / 8 % taps, channel = at / (8 * taps) * 8 + at % 8;
        out[i] = channel >= pack->dims[DIM_GROUPS]       ? 0.0F
                 : pack->dims[DIM_DTYPE] == QVK_DTYPE_I8 ? int8_weight(pack, sources[0], channel, 0, tap)
                                                         : float_weight(pack, sources[0], channel, 0, tap);
    }
}

static qvk__pack into_depthwise(qvk__pack pack)
{
    pack.fn = pack_depthwise;
    pack.bytes =
        qvk__round_up((uint64_t)pack.dims[DIM_GROUPS], 8) * (uint64_t)pack.dims[DIM_TAPS] * sizeof(float);
    return pack;
}

qvk__pack qvk__pack_conv_depthwise(const qvk__conv *conv, int32_t weight, qvk_dtype dtype)
{
    return into_depthwise(qvk__pack_conv_panels(conv, weight, dtype));
}

qvk__pack qvk__pack_q8ta_depthwise(const qvk__conv *conv, const qvk__q8ta_weight *weight)
{
    return into_depthwise(qvk__pack_q8ta_panels(conv, weight));
}

/* ---- the table ------------------------------------------------------------------------------------------ */

enum { TABLE_IN, TABLE_HEIGHT, TABLE_WIDTH, TABLE_DILATION_Y, TABLE_DILATION_X, TABLE_TAPS_FIRST };

static uint32_t table_word(const qvk__pack *pack, int64_t at)
{
    const int64_t in = pack->dims[TABLE_IN], width = pack->dims[TABLE_WIDTH];
    const int64_t taps = pack->dims[TABLE_HEIGHT] * width, k = at / 3;
    const int64_t channel = pack->dims[TABLE_TAPS_FIRST] ? k % in : k / taps;
    const int64_t tap = pack->dims[TABLE_TAPS_FIRST] ? k / in : k % taps;

    if (k >= in * taps)
        return 0;
    return (uint32_t)(at % 3 == 0   ? channel
                      : at % 3 == 1 ? tap / width * pack->dims[TABLE_DILATION_Y]
                                    : tap % width * pack->dims[TABLE_DILATION_X]);
}

static void pack_table(const qvk__pack *pack, const void *const *sources, uint64_t offset, void *dst,
                       uint64_t bytes)
{
    uint32_t *out = dst;

    (void)sources;
    for (uint64_t i = 0; i < bytes / 4; i++)
        out[i] = table_word(pack, (int64_t)(offset / 4 + i));
}

qvk__pack qvk__pack_conv_table(const qvk__conv *conv, int32_t weight, bool taps_first)
{
    const int64_t in = conv->in_channels / conv->groups, taps = conv->kernel[0] * conv->kernel[1];

    return (qvk__pack){
        .fn = pack_table,
        .sources = {weight, -1, -1, -1},
        .dims = {[TABLE_IN] = in,
                 [TABLE_HEIGHT] = conv->kernel[0],
                 [TABLE_WIDTH] = conv->kernel[1],
                 [TABLE_DILATION_Y] = conv->dilation[0],
                 [TABLE_DILATION_X] = conv->dilation[1],
                 [TABLE_TAPS_FIRST] = taps_first},
        .bytes = qvk__round_up((uint64_t)(in * taps), 8) * 12,
    };
}
