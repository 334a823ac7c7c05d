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
float weight(uint m, uint k)
{
    const uint taps = kernel_height * kernel_width;
    const uint row = TRANSPOSED ? (group * in_per_group + k / taps) * out_per_group + m
                                : (group * out_per_group + m) * in_per_group + k / taps;
    return LOAD_FLOAT(w_words, row * taps + k % taps, W_TYPE);
}

vec4 load_a(uint m, uint k)
{
    const uint n_k = in_per_group * kernel_height * kernel_width;
    vec4 v = vec4(0.0);
    for (uint i = 0u; i < 4u; i++)
        if (m < out_per_group && k + i < n_k)
            v[i] = weight(m, k + i);
    return v;
}

// Four neighbouring pixels.
vec4 load_b(uint k, uint n)
{
    const uint taps = kernel_height * kernel_width;
    const uint channel = k / taps, tap = k % taps, ky = tap / kernel_width, kx = tap % kernel_width;
    const uint plane = ((image * groups + group) * in_per_group + channel) * in_height * in_width;
    vec4 v = vec4(0.0);
    if (channel >= in_per_group)
        return v;
    for (uint i = 0u; i < 4u; i++) {
        const uint pixel = n + i;
        uint row, column;
        if (pixel < out_height * out_width && conv_row(pixel / out_width, ky, TRANSPOSED, row) &&
            conv_column(pixel % out_width, kx, TRANSPOSED, column))
            v[i] = LOAD_FLOAT(x_words, plane + row * in_width + column, X_TYPE);
    }
    return v;
}

float multiply_add(float a, float b, float sum)
{
    return a * b + sum;
}

#define TILE_TYPE float
#define TILE_VEC  vec4
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

    for (uint i = 0u; i < uint(THREAD_M); i++) {
        const uint m = m0 + tile_row(i), channel = group * out_per_group + m;
        if (m >= out_per_group)
            continue;
        const float bias = BIAS_TYPE != 0u ? LOAD_FLOAT(bias_words, channel, BIAS_TYPE) : 0.0;
        for (uint run = 0u; run < uint(THREAD_N / 4); run++) {
            const uint n = n0 + tile_column(4u * run), count = min(4u, pixels - min(n, pixels));
            uint elements[4];
            for (uint j = 0u; j < 4u; j++)
                elements[j] = encode_float(bounded(sums[i][4u * run + j] + bias, lower, upper), Y_TYPE);
            STORE_RUN(y_words, (image * groups * out_per_group + channel) * pixels + n, elements, count, Y_TYPE)
        }
    }
}
