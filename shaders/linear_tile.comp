// Linear for many rows on GPUs without cooperative matrices, or with float32 activations. A work group of 16 x 16
// invocations makes a tile of 16 * TM rows by 16 * TN columns; a stage brings 32 columns of k of both operands into
// shared memory, in fours: a vec4, or a word of four int8.
//
// BITS  4 or 8: the weights'
// INT8  0: float32 activations; 1: int8 rows of linear_prepare.comp
// DOT8  the packed dot product is there
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require

#include "elements.glsl"
#include "flat_id.glsl"
#include "linear.glsl"
#include "qint8.glsl"
#if DOT8
#include "dot8.glsl"
#endif

layout(local_size_x = 256) in;
layout(constant_id = 0) const uint TM = 4u;
layout(constant_id = 1) const uint TN = 4u;
layout(constant_id = 2) const uint ONE_GROUP = 0u;
layout(constant_id = 3) const uint FOURS_PER_SCALE = 8u; // of k: 2, 4 or 8

#define STAGE_K 32u
#define FOURS   8u // of k in a stage
#define ROW     9u // a row of a tile, with one four more to spread rows over the banks

#if INT8
#define FOUR int
#define SUM  int
#else
#define FOUR vec4
#define SUM  float
#endif

const uint TILE_M = 16u * TM;
const uint TILE_N = 16u * TN;

layout(set = 0, binding = 1) readonly buffer Activations
{
    uvec4 activations[];
};
layout(set = 0, binding = 2) readonly buffer Weights
{
    uvec4 weights[];
};
layout(set = 0, binding = 3) readonly buffer Scales
{
    float scales[];
};
layout(set = 0, binding = 4) writeonly buffer Result
{
    uint result_words[];
};
layout(set = 0, binding = 4) writeonly buffer ResultQuads
{
    uvec4 result_quads[];
};
#if INT8
layout(set = 0, binding = 6) readonly buffer WeightSums
{
    int weight_sums[];
};
#endif

#include "linear_result.glsl"

shared FOUR a_tile[TILE_M * ROW];
shared FOUR b_tile[TILE_N * ROW];

uint first_m, first_n, n_chunks, last_panel;

SUM multiply4(FOUR a, FOUR b)
{
#if !INT8
    return dot(a, b);
#elif DOT8
    return dot8(a, b);
#else
    const ivec4 p = unpack_bytes(uint(a)) * unpack_bytes(uint(b));
    return p.x + p.y + p.z + p.w;
#endif
}

void load_activations(uint stage)
{
#if INT8
    for (uint at = gl_LocalInvocationIndex; at < TILE_M * 2u; at += 256u) {
        const uint row = min(first_m + at / 2u, n_rows - 1u);
        const uvec4 quad = activations[row * (row_words / 4u) + stage * 2u + at % 2u];
        [[unroll]] for (uint i = 0u; i < 4u; i++)
            a_tile[at / 2u * ROW + at % 2u * 4u + i] = int(quad[i]);
    }
#else
    for (uint at = gl_LocalInvocationIndex; at < TILE_M * FOURS; at += 256u) {
        const uint row = min(first_m + at / FOURS, n_rows - 1u);
        a_tile[at / FOURS * ROW + at % FOURS] =
            uintBitsToFloat(activations[row * (row_words / 4u) + stage * FOURS + at % FOURS]);
    }
#endif
}

void put_word(uint to, uint word)
{
#if INT8 && BITS == 4
    b_tile[to] = int((word << 4) & 0xf0f0f0f0u);
    b_tile[to + 1u] = int(word & 0xf0f0f0f0u);
#elif INT8
    b_tile[to] = int(word);
#elif BITS == 4
    const int w = int(word);
    b_tile[to] = vec4(ivec4(w << nibble_shift(0u), w << nibble_shift(1u), w << nibble_shift(2u), w << nibble_shift(3u)) >> 28);
    b_tile[to + 1u] =
        vec4(ivec4(w << nibble_shift(4u), w << nibble_shift(5u), w << nibble_shift(6u), w << nibble_shift(7u)) >> 28);
#else
    b_tile[to] = vec4(unpack_bytes(word));
#endif
}

void load_weights(uint stage)
{
    const uint chunks = STAGE_K * BITS / 128u, fours = FOURS / chunks; // of a stage; in a chunk
    for (uint at = gl_LocalInvocationIndex; at < TILE_N * chunks; at += 256u) {
        const uint column = at / (PANEL * chunks) * PANEL + at % PANEL, chunk = at / PANEL % chunks;
        const uint panel = min((first_n + column) / PANEL, last_panel);
        const uvec4 quad = weights[(panel * n_chunks + stage * chunks + chunk) * PANEL + at % PANEL];
        [[unroll]] for (uint i = 0u; i < 4u; i++)
            put_word(column * ROW + chunk * fours + i * fours / 4u, quad[i]);
    }
}

void main()
{
    const uint tiles_m = (n_rows + TILE_M - 1u) / TILE_M;
    const uint group = flat_group();
    first_m = group % tiles_m * TILE_M;
    first_n = group / tiles_m * TILE_N;
    if (first_n >= last_column - first_column)
        return;
    n_chunks = k_padded * BITS / 128u;
    last_panel = (last_column - first_column - 1u) / PANEL;
    // Rows my_m + 16 i; columns my_n .. my_n + TN - 1.
    const uint my_m = gl_LocalInvocationIndex / 16u, my_n = gl_LocalInvocationIndex % 16u * TN;

    float total[TM][TN];
    SUM sum[TM][TN];
    [[unroll]] for (uint i = 0u; i < TM; i++)
        [[unroll]] for (uint j = 0u; j < TN; j++) {
            total[i][j] = 0.0;
            sum[i][j] = SUM(0);
        }
    for (uint stage = 0u; stage < k_padded / STAGE_K; stage++) {
        load_activations(stage);
        load_weights(stage);
        barrier();
        for (uint k = 0u; k < FOURS; k++) {
            FOUR a[TM], b[TN];
            [[unroll]] for (uint i = 0u; i < TM; i++)
                a[i] = a_tile[(my_m + 16u * i) * ROW + k];
            [[unroll]] for (uint j = 0u; j < TN; j++)
                b[j] = b_tile[(my_n + j) * ROW + k];
            [[unroll]] for (uint i = 0u; i < TM; i++)
                [[unroll]] for (uint j = 0u; j < TN; j++)
                    sum[i][j] += multiply4(a[i], b[j]);
            if (ONE_GROUP != 0u || (k + 1u) % FOURS_PER_SCALE != 0u)
                continue;
            const uint scale_row = min((stage * STAGE_K + k * 4u) / group_padded, n_groups - 1u) * n_padded;
            [[unroll]] for (uint j = 0u; j < TN; j++) {
                const float scale = scales[scale_row + min(first_column + first_n + my_n + j, n_padded - 1u)];
                [[unroll]] for (uint i = 0u; i < TM; i++) {
                    total[i][j] += float(sum[i][j]) * scale;
                    sum[i][j] = SUM(0);
                }
            }
        }
        barrier();
    }

    [[unroll]] for (uint i = 0u; i < TM; i++) {
        const uint m = first_m + my_m + 16u * i;
        if (m >= n_rows)
            continue;
        const Quantizer q = quantizer_of(m);
        [[unroll]] for (uint j = 0u; j < TN; j += 4u) {
            const uint n = first_column + first_n + my_n + j;
            vec4 y;
            [[unroll]] for (uint e = 0u; e < 4u; e++) {
#if INT8
                const uint bits = ONE_GROUP != 0u ? uint(sum[i][j + e]) : floatBitsToUint(total[i][j + e]);
#else
                const uint bits = floatBitsToUint(ONE_GROUP != 0u ? sum[i][j + e] : total[i][j + e]);
#endif
                y[e] = finish(bits, min(n + e, n_padded - 1u), q);
            }
            if (n < last_column)
                store4(m, n, y);
        }
    }
}
