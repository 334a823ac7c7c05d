// Static int8 convolution as a matrix product of packed bytes: sums[oc, pixel] of W[oc, k] X[k, pixel] with k = (tap,
// block of four channels), a word of each holding four neighbours of k. One product for each image and group.
#version 450
#extension GL_GOOGLE_include_directive : require

#define CONV_MORE_PARAMS    \
    uint tiles_m, tiles_n;  \
    uint blocks;            \
    uint input_zero_word;   \
    float inverse_scale, zero_point;

#include "conv_params.glsl"
#ifdef USE_DOT8
#include "dot8.glsl"
#endif
#include "flat_id.glsl"
#include "tensor_io.glsl"

layout(constant_id = 0) const bool TRANSPOSED = false;
layout(constant_id = 1) const bool RELU = false;

layout(set = 0, binding = 1) readonly buffer X
{
    uint x_words[];
};
layout(set = 0, binding = 2) readonly buffer W
{
    uint w_words[]; // [OC][taps][blocks]
};
layout(set = 0, binding = 3) readonly buffer Epilogue
{
    uint epilogue_words[];
};
layout(set = 0, binding = 4) buffer Y
{
    uint y_words[];
};

#define EPILOGUE_WORDS epilogue_words
#include "q8ta_epilogue.glsl"

uint image, group; // of this work group

int load_a(uint m, uint k)
{
    const uint row = kernel_height * kernel_width * blocks;
    return m < out_per_group && k < row ? int(w_words[(group * out_per_group + m) * row + k]) : 0;
}

int load_b(uint k, uint n)
{
    const uint tap = k / blocks, first = k % blocks * 4u;
    uint row, column;
    if (tap >= kernel_height * kernel_width || n >= out_height * out_width)
        return 0;
    if (!conv_row(n / out_width, tap / kernel_width, TRANSPOSED, row) ||
        !conv_column(n % out_width, tap % kernel_width, TRANSPOSED, column))
        return int(input_zero_word);
    const uint plane = in_height * in_width;
    const uint at = ((image * groups + group) * in_per_group + first) * plane + row * in_width + column;
    const uint count = min(in_per_group - first, 4u);
    uint word = 0u; // beyond the last channel the weights are 0
    for (uint i = 0u; i < count; i++)
        word |= LOAD_BITS(x_words, at + i * plane, DTYPE_I8) << (8u * i);
    return int(word);
}

int multiply_add(int a, int b, int sum)
{
#ifdef USE_DOT8
    return sum + dot8(a, b);
#else
    const ivec4 products = unpack_bytes(uint(a)) * unpack_bytes(uint(b));
    return sum + products.x + products.y + products.z + products.w;
#endif
}

#define TILE_TYPE int
#include "tile.glsl"

void main()
{
    const uint place = flat_group();
    const uint m0 = place / tiles_n % tiles_m * uint(TILE_M), n0 = place % tiles_n * uint(TILE_N);
    const uint pixels = out_height * out_width;
    int sums[THREAD_M][THREAD_N];

    image = place / (tiles_m * tiles_n) / groups;
    group = place / (tiles_m * tiles_n) % groups;
    if (image >= batches)
        return;
    for (uint i = 0u; i < uint(THREAD_M); i++)
        for (uint j = 0u; j < uint(THREAD_N); j++)
            sums[i][j] = 0;
    tile_multiply(m0, n0, kernel_height * kernel_width * blocks, sums);

    const uint n = n0 + tile_column();
    const uint count = min(uint(THREAD_N), pixels - min(n, pixels));
    for (uint i = 0u; i < uint(THREAD_M); i++) {
        const uint m = m0 + tile_row() + i;
        uint elements[THREAD_N];
        if (m >= out_per_group || count == 0u)
            break;
        const uint channel = group * out_per_group + m;
        for (uint j = 0u; j < count; j++)
            elements[j] = encode_int(q8ta_output(sums[i][j], channel, RELU, inverse_scale, zero_point), DTYPE_I8);
        STORE_RUN(y_words, (image * groups * out_per_group + channel) * pixels + n, elements, count, DTYPE_I8)
    }
}
