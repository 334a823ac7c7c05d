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
// Each pixel reads itself, and planes are whole quads.
layout(constant_id = 2) const bool POINTWISE_QUADS = false;

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

// Four neighbouring words of a row.
ivec4 load_a(uint m, uint k)
{
    const uint row = kernel_height * kernel_width * blocks;
    ivec4 v = ivec4(0);
    for (uint i = 0u; i < 4u; i++)
        if (m < out_per_group && k + i < row)
            v[i] = int(w_words[(group * out_per_group + m) * row + k + i]);
    return v;
}

// Four channels of one pixel. Beyond the last channel the weights are 0.
uint gather(uint at, uint count)
{
    uint word = 0u;
    for (uint i = 0u; i < count; i++)
        word |= LOAD_BITS(x_words, at + i * in_height * in_width, DTYPE_I8) << (8u * i);
    return word;
}

// The same of four neighbouring pixels, which lie in one word of each channel's plane.
ivec4 gather_quad(uint at, uint count)
{
    uvec4 planes = uvec4(0u), even, odd;
    for (uint i = 0u; i < count; i++)
        planes[i] = x_words[(at + i * in_height * in_width) / 4u];
    // 4 x 4 bytes transposed: pairs of bytes first, then pairs of pairs.
    even.xy = (planes.xz & 0x00ff00ffu) | ((planes.yw & 0x00ff00ffu) << 8); // pixels 0 and 2 of channels 01, 23
    odd.xy = ((planes.xz >> 8) & 0x00ff00ffu) | (planes.yw & 0xff00ff00u);  // pixels 1 and 3
    return ivec4((even.x & 0xffffu) | (even.y << 16), (odd.x & 0xffffu) | (odd.y << 16),
                 (even.x >> 16) | (even.y & 0xffff0000u), (odd.x >> 16) | (odd.y & 0xffff0000u));
}

// Four neighbouring pixels.
ivec4 load_b(uint k, uint n)
{
    const uint tap = k / blocks, first = k % blocks * 4u;
    const uint ky = tap / kernel_width, kx = tap % kernel_width, plane = in_height * in_width;
    const uint base = ((image * groups + group) * in_per_group + first) * plane;
    const uint count = min(in_per_group - first, 4u);
    ivec4 v = ivec4(0);
    if (tap >= kernel_height * kernel_width || n >= out_height * out_width)
        return v;
    if (POINTWISE_QUADS)
        return gather_quad(base + n, count);
    for (uint i = 0u; i < 4u; i++) {
        const uint pixel = n + i;
        uint row, column;
        if (conv_row(pixel / out_width, ky, TRANSPOSED, row) && conv_column(pixel % out_width, kx, TRANSPOSED, column))
            v[i] = int(gather(base + row * in_width + column, count));
        else
            v[i] = int(input_zero_word);
    }
    return v;
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
#define TILE_VEC  ivec4
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

    for (uint i = 0u; i < uint(THREAD_M); i++) {
        const uint m = m0 + tile_row(i), channel = group * out_per_group + m;
        if (m >= out_per_group)
            continue;
        for (uint run = 0u; run < uint(THREAD_N / 4); run++) {
            const uint n = n0 + tile_column(4u * run), count = min(4u, pixels - min(n, pixels));
            uint elements[4];
            for (uint j = 0u; j < 4u; j++)
                elements[j] = encode_int(
                    q8ta_output(sums[i][4u * run + j], channel, RELU, inverse_scale, zero_point), DTYPE_I8);
            STORE_RUN(y_words, (image * groups * out_per_group + channel) * pixels + n, elements, count, DTYPE_I8)
        }
    }
}
