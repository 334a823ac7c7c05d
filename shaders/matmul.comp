// C = alpha A B + beta D, kept in [lower, upper], for batches of float matrices: linear layers, mm, bmm, addmm, baddbmm, both products of
// attention. Batch z is (outer, inner) = (z / inner_size, z % inner_size); B is shared by `share` neighbours of inner
// (grouped-query attention). A's rows are contiguous; B is [N, K], or [K, N] with B_ROWS_ARE_K.
#version 450
#extension GL_GOOGLE_include_directive : require

#include "flat_id.glsl"
#include "quad_io.glsl"
#include "tensor_io.glsl"

layout(constant_id = 0) const uint A_TYPE = DTYPE_F32;
layout(constant_id = 1) const uint B_TYPE = DTYPE_F32;
layout(constant_id = 2) const uint C_TYPE = DTYPE_F32;
layout(constant_id = 3) const uint D_TYPE = 0; // 0: no D
// Rows begin at multiples of 4 elements, and a row's contiguous dimension is one: quads need no care.
layout(constant_id = 4) const bool A_QUADS = false;
layout(constant_id = 5) const bool B_QUADS = false;

layout(set = 0, binding = 0) uniform Params
{
    uint m_size, n_size, k_size;
    uint batches, tiles_m, tiles_n;
    uint inner_size, share;
    uint a_first, a_outer, a_inner, a_row; // first element, strides
    uint b_first, b_outer, b_inner, b_row;
    uint c_first, c_outer, c_inner, c_row;
    uint d_batch, d_row, d_column;
    float alpha, beta, lower, upper;
};
QUAD_INPUT(a, 1)
QUAD_INPUT(b, 2)
layout(set = 0, binding = 3) readonly buffer D
{
    uint d_words[];
};
layout(set = 0, binding = 4) buffer C
{
    uint c_words[];
};

uint a_base, b_base;

vec4 load_a(uint m, uint k)
{
    const uint at = a_base + m * a_row + k;
    vec4 v = vec4(0.0);
    if (m >= m_size || k >= k_size)
        return v;
    if (A_QUADS)
        return decode_quad_float(LOAD_QUAD(a, at / 4u, A_TYPE), A_TYPE);
    for (uint i = 0u; i < 4u; i++)
        if (k + i < k_size)
            v[i] = LOAD_FLOAT(a_words, at + i, A_TYPE);
    return v;
}

// Four neighbours in k, or in n where B's rows are k.
vec4 load_b(uint k, uint n)
{
#ifdef B_ROWS_ARE_K
    const uint at = b_base + k * b_row + n, count = n_size - min(n, n_size);
#else
    const uint at = b_base + n * b_row + k, count = k_size - min(k, k_size);
#endif
    vec4 v = vec4(0.0);
    if (k >= k_size || n >= n_size)
        return v;
    if (B_QUADS)
        return decode_quad_float(LOAD_QUAD(b, at / 4u, B_TYPE), B_TYPE);
    for (uint i = 0u; i < 4u; i++)
        if (i < count)
            v[i] = LOAD_FLOAT(b_words, at + i, B_TYPE);
    return v;
}

float multiply_add(float a, float b, float sum)
{
    return a * b + sum;
}

#define TILE_TYPE float
#define TILE_VEC  vec4
#ifndef B_ROWS_ARE_K
#define TILE_B_ALONG_K
#endif
#include "tile.glsl"

void main()
{
    const uint group = flat_group();
    const uint batch = group / (tiles_m * tiles_n);
    const uint m0 = group / tiles_n % tiles_m * uint(TILE_M), n0 = group % tiles_n * uint(TILE_N);
    const uint outer = batch / inner_size, inner = batch % inner_size;
    float sums[THREAD_M][THREAD_N];

    if (batch >= batches)
        return;
    a_base = a_first + outer * a_outer + inner * a_inner;
    b_base = b_first + outer * b_outer + inner / share * b_inner;
    for (uint i = 0u; i < uint(THREAD_M); i++)
        for (uint j = 0u; j < uint(THREAD_N); j++)
            sums[i][j] = 0.0;
    tile_multiply(m0, n0, k_size, sums);

    const uint c_base = c_first + outer * c_outer + inner * c_inner;
    for (uint i = 0u; i < uint(THREAD_M); i++) {
        const uint m = m0 + tile_row(i);
        for (uint run = 0u; run < uint(THREAD_N / 4); run++) {
            const uint n = n0 + tile_column(4u * run), count = min(4u, n_size - min(n, n_size));
            uint elements[4];
            if (m >= m_size)
                continue;
            for (uint j = 0u; j < 4u; j++) {
                float value = alpha * sums[i][4u * run + j];
                if (D_TYPE != 0u && j < count)
                    value += beta * LOAD_FLOAT(d_words, batch * d_batch + m * d_row + (n + j) * d_column, D_TYPE);
                elements[j] = encode_float(bounded(value, lower, upper), C_TYPE);
            }
            STORE_RUN(c_words, c_base + m * c_row + n, elements, count, C_TYPE)
        }
    }
}
