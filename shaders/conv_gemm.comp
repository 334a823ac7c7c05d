// Float convolution as a matrix product: Y[oc, pixel] = W[oc, k] X[k, pixel] with k = (ic, ky, kx), one product for each
// image and group; X in that form is never written out. Results are clamped to [lower, upper].
#version 450
#extension GL_GOOGLE_include_directive : require

#define CONV_MORE_PARAMS   \
    uint tiles_m, tiles_n; \
    float lower, upper;

#include "conv_params.glsl"
#include "flat_id.glsl"
#include "tensor_io.glsl"

layout(constant_id = 0) const uint X_TYPE = DTYPE_F32;
layout(constant_id = 1) const uint W_TYPE = DTYPE_F32;
layout(constant_id = 2) const uint Y_TYPE = DTYPE_F32;
layout(constant_id = 3) const uint BIAS_TYPE = 0; // 0: none
layout(constant_id = 4) const bool TRANSPOSED = false;

layout(set = 0, binding = 1) readonly buffer X
{
    uint x_words[];
};
layout(set = 0, binding = 2) readonly buffer W
{
    uint w_words[];
};
layout(set = 0, binding = 3) readonly buffer Bias
{
    uint bias_words[];
};
layout(set = 0, binding = 4) buffer Y
{
    uint y_words[];
};

uint image, group; // of this work group

// W is [OC, ICg, KH, KW], transposed [IC, OCg, KH, KW].
float load_a(uint m, uint k)
{
    const uint taps = kernel_height * kernel_width;
    if (m >= out_per_group || k >= in_per_group * taps)
        return 0.0;
    const uint kernel = TRANSPOSED ? (group * in_per_group + k / taps) * out_per_group + m
                                   : (group * out_per_group + m) * in_per_group + k / taps;
    return LOAD_FLOAT(w_words, kernel * taps + k % taps, W_TYPE);
}

float load_b(uint k, uint n)
{
    const uint taps = kernel_height * kernel_width;
    const uint channel = k / taps, tap = k % taps;
    uint row, column;
    if (channel >= in_per_group || n >= out_height * out_width ||
        !conv_row(n / out_width, tap / kernel_width, TRANSPOSED, row) ||
        !conv_column(n % out_width, tap % kernel_width, TRANSPOSED, column))
        return 0.0;
    const uint plane = (image * groups + group) * in_per_group + channel;
    return LOAD_FLOAT(x_words, (plane * in_height + row) * in_width + column, X_TYPE);
}

float multiply_add(float a, float b, float sum)
{
    return a * b + sum;
}

#define TILE_TYPE float
#include "tile.glsl"

void main()
{
    const uint place = flat_group();
    const uint m0 = place / tiles_n % tiles_m * uint(TILE_M), n0 = place % tiles_n * uint(TILE_N);
    const uint pixels = out_height * out_width;
    float sums[THREAD_M][THREAD_N];

    image = place / (tiles_m * tiles_n) / groups;
    group = place / (tiles_m * tiles_n) % groups;
    if (image >= batches)
        return;
    for (uint i = 0u; i < uint(THREAD_M); i++)
        for (uint j = 0u; j < uint(THREAD_N); j++)
            sums[i][j] = 0.0;
    tile_multiply(m0, n0, in_per_group * kernel_height * kernel_width, sums);

    const uint n = n0 + tile_column();
    const uint count = min(uint(THREAD_N), pixels - min(n, pixels));
    for (uint i = 0u; i < uint(THREAD_M); i++) {
        const uint m = m0 + tile_row() + i;
        uint elements[THREAD_N];
        if (m >= out_per_group || count == 0u)
            break;
        const uint channel = group * out_per_group + m;
        const float bias = BIAS_TYPE != 0u ? LOAD_FLOAT(bias_words, channel, BIAS_TYPE) : 0.0;
        for (uint j = 0u; j < count; j++)
            elements[j] = encode_float(bounded(sums[i][j] + bias, lower, upper), Y_TYPE);
        STORE_RUN(y_words, (image * groups * out_per_group + channel) * pixels + n, elements, count, Y_TYPE)
    }
}
