// C = alpha A B + beta D, kept in [lower, upper], for batches of float matrices: linear layers, mm, bmm, addmm, baddbmm, both products of
// attention. Batch z is (outer, inner) = (z / inner_size, z % inner_size); B is shared by `share` neighbours of inner
// (grouped-query attention). A's rows are contiguous; B is [N, K], or [K, N] with B_ROWS_ARE_K.
#version 450
#extension GL_GOOGLE_include_directive : require

#include "flat_id.glsl"
#include "tensor_io.glsl"

layout(constant_id = 0) const uint A_TYPE = DTYPE_F32;
layout(constant_id = 1) const uint B_TYPE = DTYPE_F32;
layout(constant_id = 2) const uint C_TYPE = DTYPE_F32;
layout(constant_id = 3) const uint D_TYPE = 0; // 0: no D

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
layout(set = 0, binding = 1) readonly buffer A
{
    uint a_words[];
};
layout(set = 0, binding = 2) readonly buffer B
{
    uint b_words[];
};
layout(set = 0, binding = 3) readonly buffer D
{
    uint d_words[];
};
layout(set = 0, binding = 4) buffer C
{
    uint c_words[];
};

uint a_base, b_base;

float load_a(uint m, uint k)
{
    return m < m_size && k < k_size ? LOAD_FLOAT(a_words, a_base + m * a_row + k, A_TYPE) : 0.0;
}

float load_b(uint k, uint n)
{
    if (k >= k_size || n >= n_size)
        return 0.0;
#ifdef B_ROWS_ARE_K
    return LOAD_FLOAT(b_words, b_base + k * b_row + n, B_TYPE);
#else
    return LOAD_FLOAT(b_words, b_base + n * b_row + k, B_TYPE);
#endif
}

float multiply_add(float a, float b, float sum)
{
    return a * b + sum;
}

#define TILE_TYPE float
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
    const uint n = n0 + tile_column();
    const uint count = min(uint(THREAD_N), n_size - min(n, n_size));
    for (uint i = 0u; i < uint(THREAD_M); i++) {
        const uint m = m0 + tile_row() + i;
        uint elements[THREAD_N];
        if (m >= m_size || count == 0u)
            break;
        for (uint j = 0u; j < count; j++) {
            float value = alpha * sums[i][j];
            if (D_TYPE != 0u)
                value += beta * LOAD_FLOAT(d_words, batch * d_batch + m * d_row + (n + j) * d_column, D_TYPE);
            value = value < lower ? lower : value > upper ? upper : value; // lets NaN through
            elements[j] = encode_float(value, C_TYPE);
        }
        STORE_RUN(c_words, c_base + m * c_row + n, elements, count, C_TYPE)
    }
}
