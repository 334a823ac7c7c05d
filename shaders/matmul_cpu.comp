// The products of matmul.comp in float32, for devices that are CPUs (lib/vector8.glsl):
//   out[own, shared] = alpha sum_k own[own, k] shared[shared, k] + beta D
// A work group computes TM panels of 8 own rows, the lanes, by TN blocks of 8 shared rows. Which matrix is the own one is
// the planner's choice: A in general, B for fewer rows of A than lanes (then only COLUMNS of a block's 8 exist).
// SHARED_ROWS_ARE_K: the shared matrix is [K, shared].
//
// Rows of both begin at multiples of 8 floats. Where k_size is no multiple of 8, the own rows have zeros up to the next
// one (the shared ones too, unless their rows are k).
#version 450
#extension GL_GOOGLE_include_directive : require

#include "flat_id.glsl"
#include "vector8.glsl"

layout(local_size_x = 8) in;
layout(constant_id = 0) const uint TM = 2u;
layout(constant_id = 1) const uint TN = 2u;
layout(constant_id = 2) const uint COLUMNS = 8u;
layout(constant_id = 3) const bool HAS_D = false;

layout(set = 0, binding = 0) uniform Params
{
    uint own_size, shared_size, k_size;
    uint batches, tiles_own, tiles_shared;
    uint inner_size, own_share, shared_share; // neighbours of inner that use one matrix
    uint own_first, own_outer, own_inner, own_row; // first element, strides
    uint shared_first, shared_outer, shared_inner, shared_row;
    uint out_first, out_outer, out_inner, out_own, out_shared;
    uint d_batch, d_own, d_shared;
    float alpha, beta, lower, upper;
};
layout(set = 0, binding = 1) readonly buffer Own
{
    u64vec4 own_vectors[];
};
layout(set = 0, binding = 2) readonly buffer Shared
{
    u64vec4 shared_vectors[];
};
layout(set = 0, binding = 3) readonly buffer D
{
    float d_words[];
};
layout(set = 0, binding = 4) writeonly buffer Out
{
    float out_words[];
};
layout(set = 0, binding = 4) writeonly buffer OutVectors
{
    u64vec4 out_vectors[];
};

float sums[TM][TN][8];

// All products of 8 neighbours in k.
void multiply(float own[TM][8], float block[8], uint j)
{
    [[unroll]] for (uint n = 0u; n < COLUMNS; n++)
        [[unroll]] for (uint k = 0u; k < 8u; k++) {
#ifdef SHARED_ROWS_ARE_K
            const float other = subgroupShuffle(block[n], k);
#else
            const float other = subgroupShuffle(block[k], n);
#endif
            [[unroll]] for (uint i = 0u; i < TM; i++)
                sums[i][j][n] += own[i][k] * other;
        }
}

float finished(float sum, uint batch, uint own, uint other)
{
    float value = alpha * sum;
    if (HAS_D)
        value += beta * d_words[batch * d_batch + own * d_own + other * d_shared];
    return value < lower ? lower : value > upper ? upper : value;
}

void store(uint base, uint batch, uint own, uint first, float block[8])
{
    const uint at = base + own * out_own + first * out_shared;
    float values[8];

    [[unroll]] for (uint n = 0u; n < 8u; n++)
        values[n] = n < COLUMNS && first + n < shared_size ? finished(block[n], batch, own, first + n) : 0.0;
    if (out_shared == 1u && first + 8u <= shared_size && at % 8u == 0u) {
        out_vectors[at / 8u] = vector8_join(values);
        return;
    }
    [[unroll]] for (uint n = 0u; n < COLUMNS; n++)
        if (first + n < shared_size)
            out_words[at + n * out_shared] = values[n];
}

void main()
{
    const uint lane = gl_LocalInvocationIndex;
    const uint group = flat_group(), batch = group / (tiles_own * tiles_shared);
    const uint outer = batch / inner_size, inner = batch % inner_size;
    const uint own0 = group / tiles_shared % tiles_own * TM * 8u, shared0 = group % tiles_shared * TN * 8u;
    const uint own_base = own_first + outer * own_outer + inner / own_share * own_inner;
    const uint shared_base = shared_first + outer * shared_outer + inner / shared_share * shared_inner;
    uint own_at[TM], shared_at[TN];

    if (batch >= batches)
        return;
    [[unroll]] for (uint i = 0u; i < TM; i++) {
        own_at[i] = (own_base + min(own0 + 8u * i + lane, own_size - 1u) * own_row) / 8u;
        [[unroll]] for (uint j = 0u; j < TN; j++)
            [[unroll]] for (uint n = 0u; n < COLUMNS; n++)
                sums[i][j][n] = 0.0;
    }
    [[unroll]] for (uint j = 0u; j < TN; j++) {
#ifdef SHARED_ROWS_ARE_K
        shared_at[j] = (shared_base + min(shared0 + 8u * j, (shared_size - 1u) / 8u * 8u)) / 8u;
#else
        shared_at[j] = (shared_base + min(shared0 + 8u * j + lane, shared_size - 1u) * shared_row) / 8u;
#endif
    }

    [[dont_unroll]] for (uint k = 0u; k < k_size; k += 8u) {
        float own[TM][8], block[8];
        [[unroll]] for (uint i = 0u; i < TM; i++)
            vector8_split(own_vectors[own_at[i] + k / 8u], own[i]);
        [[unroll]] for (uint j = 0u; j < TN; j++) {
#ifdef SHARED_ROWS_ARE_K
            const uint step = min(k + lane, k_size - 1u) * (shared_row / 8u);
#else
            const uint step = k / 8u;
#endif
            vector8_split(shared_vectors[shared_at[j] + step], block);
            multiply(own, block, j);
        }
    }

    const uint out_base = out_first + outer * out_outer + inner * out_inner;
    [[unroll]] for (uint i = 0u; i < TM; i++)
        if (own0 + 8u * i + lane < own_size)
            [[unroll]] for (uint j = 0u; j < TN; j++)
                store(out_base, batch, own0 + 8u * i + lane, shared0 + 8u * j, sums[i][j]);
}
