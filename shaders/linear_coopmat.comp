// Linear for many rows on GPUs with cooperative matrices (KHR). A stage of both operands goes through shared memory,
// weights unpacked. While a stage is multiplied, the next one is on its way in registers.
//
// Float16: weights get their group's scale as they are unpacked. Int8: products of a part, or of half of it where groups are
// that small, start from zero and are scaled into the float32 totals; for one group the totals are the products, int32.
//
// Everything that lives in registers (matrices, and the stage on its way) is local to main(): drivers do not promote
// arrays of global variables.
//
// BITS  4 or 8: the weights'
// INT8  1: int8 activations (FORM_I8 of linear_prepare.comp); 0: float16
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require
#extension GL_EXT_shader_explicit_arithmetic_types_int8 : require
#extension GL_KHR_cooperative_matrix : require
#extension GL_KHR_memory_scope_semantics : require
#extension GL_KHR_shader_subgroup_basic : require

#define WEIGHT uvec4
#include "linear_matrices.glsl"

shared uvec4 a_tile[BUFFERS * TILE_M * ROW];
shared uvec4 b_tile[BUFFERS * TILE_N * ROW];
#define END_TILE b_tile
#define END_ROW  ROW
#include "linear_matrix_end.glsl"

const uint B_LOADS = (TILE_N * CHUNKS + THREADS - 1u) / THREADS;
#if INT8
const uint STAGE_SCALES = PARTS * SCALES;
const uint SCALE_LOADS = (TILE_N * STAGE_SCALES + THREADS - 1u) / THREADS; // of stage_scales
shared float stage_scales[BUFFERS * STAGE_SCALES * TILE_N];
shared uvec4 corner[16u * 4u]; // 16 x 16 numbers of columns, to find out which element of a matrix is where
// Small whole numbers as floats without a conversion: added to the mantissa of 1.5 * 2^23.
#define SUM_ZERO 0x4b400000
#else
const uint SCALE_LOADS = B_LOADS * SCALES; // of this invocation's chunks
#endif

const uint LOADED_SCALES = ONE_GROUP != 0u ? 0u : SCALE_LOADS;

// Column and chunk of load `at` of a stage's weights: eight neighbours read a panel's chunk, 128 bytes.
uint column_of(uint at)
{
    return at / (PANEL * CHUNKS) * PANEL + at % PANEL;
}

uint chunk_of(uint at)
{
    return at / PANEL % CHUNKS;
}

float fetch_scale(uint k, uint column)
{
    const uint group = min(k / GROUP, n_groups - 1u);
    return scales[group * n_padded + min(first_column + first_n + column, n_padded - 1u)];
}

// Sixteen bytes of packed weights into shared memory, from quad `to` on. `low` and `high`: scales of the two halves.
void unpack(uvec4 chunk, uint to, uint offset_bits, float16_t low, float16_t high)
{
#if INT8 && BITS == 8
    b_tile[to] = chunk;
#elif INT8
    // 16 times the weights: they stay in the upper halves of their bytes.
    [[unroll]] for (uint i = 0u; i < 2u; i++) {
        const uint a = chunk[2u * i], b = chunk[2u * i + 1u];
        b_tile[to + i] = uvec4((a << 4) & 0xf0f0f0f0u, a & 0xf0f0f0f0u, (b << 4) & 0xf0f0f0f0u, b & 0xf0f0f0f0u);
    }
#elif BITS == 8
    [[unroll]] for (uint i = 0u; i < 2u; i++) {
        uvec4 quad;
        [[unroll]] for (uint j = 0u; j < 2u; j++) {
            const uint w = chunk[2u * i + j];
            quad[2u * j] = scaled_pair((w & 0xffu) | ((w & 0xff00u) << 8), offset_bits, low);
            quad[2u * j + 1u] = scaled_pair(((w >> 16) & 0xffu) | ((w >> 8) & 0xff0000u), offset_bits, low);
        }
        b_tile[to + i] = quad;
    }
#else
    [[unroll]] for (uint i = 0u; i < 4u; i++) {
        const uint w = chunk[i];
        const float16_t scale = i < 2u ? low : high;
        b_tile[to + i] = uvec4(scaled_pair(w, offset_bits, scale), scaled_high_pair(w, offset_bits, scale),
                               scaled_pair(w >> 8, offset_bits, scale), scaled_high_pair(w >> 8, offset_bits, scale));
    }
#endif
}

// Stage `stage` from device memory into registers.
#define FETCH(stage)                                                                                                     \
    {                                                                                                                    \
        FETCH_ACTIVATIONS(stage)                                                                                         \
        [[unroll]] for (uint i = 0u; i < B_LOADS; i++) {                                                                 \
            const uint at = i * THREADS + gl_LocalInvocationIndex;                                                       \
            if (TILE_N * CHUNKS % THREADS == 0u || at < TILE_N * CHUNKS)                                                 \
                b_next[i] = weights[b_at[i] + (stage) * (CHUNKS * PANEL)];                                               \
        }                                                                                                                \
        [[unroll]] for (uint i = 0u; i < LOADED_SCALES; i++)                                                              \
            scale_next[i] = FETCH_SCALE(stage, i);                                                                       \
    }
#if INT8
#define FETCH_SCALE(stage, i)                                                                                            \
    fetch_scale(((stage) * STAGE_SCALES + ((i) * THREADS + gl_LocalInvocationIndex) / TILE_N) * (PART_K / SCALES),       \
                ((i) * THREADS + gl_LocalInvocationIndex) % TILE_N)
#else
// One group a stage: the same k for all, which is cheaper to divide.
#define FETCH_SCALE(stage, i)                                                                                            \
    fetch_scale((stage) * STAGE_K + (GROUP % STAGE_K == 0u ? 0u : k_of((i) / SCALES, (i) % SCALES)),                     \
                column_of((i) / SCALES * THREADS + gl_LocalInvocationIndex))
// Column of a stage at which half `half_chunk` of load `i` begins.
#define k_of(i, half_chunk) (chunk_of((i) * THREADS + gl_LocalInvocationIndex) * (128u / BITS) + (half_chunk) * 16u)
#endif

// The fetched stage from registers into buffer `buffer_at`.
#define STORE(buffer_at)                                                                                                 \
    {                                                                                                                    \
        [[unroll]] for (uint i = 0u; i < A_LOADS; i++) {                                                                 \
            const uint at = i * THREADS + gl_LocalInvocationIndex;                                                       \
            if (TILE_M * ROW_QUADS % THREADS == 0u || at < TILE_M * ROW_QUADS)                                           \
                a_tile[((buffer_at) * TILE_M + at / ROW_QUADS) * ROW + at % ROW_QUADS] = a_next[i];                      \
        }                                                                                                                \
        [[unroll]] for (uint i = 0u; i < B_LOADS; i++) {                                                                 \
            const uint at = i * THREADS + gl_LocalInvocationIndex;                                                       \
            if (TILE_N * CHUNKS % THREADS == 0u || at < TILE_N * CHUNKS)                                                 \
                unpack(b_next[i], ((buffer_at) * TILE_N + column_of(at)) * ROW + chunk_of(at) * (ROW_QUADS / CHUNKS),    \
                       offset_bits, CHUNK_SCALE(i, 0u), CHUNK_SCALE(i, SCALES - 1u));                                    \
        }                                                                                                                \
        STORE_SCALES(buffer_at)                                                                                          \
    }
#if INT8
#define CHUNK_SCALE(i, half_chunk) 1.0hf
#define STORE_SCALES(buffer_at)                                                                                          \
    [[unroll]] for (uint i = 0u; i < LOADED_SCALES; i++) {                                                                \
        const uint at = i * THREADS + gl_LocalInvocationIndex;                                                           \
        if (TILE_N * STAGE_SCALES % THREADS == 0u || at < TILE_N * STAGE_SCALES)                                         \
            stage_scales[(buffer_at) * STAGE_SCALES * TILE_N + at] = scale_next[i];                                      \
    }
#else
#define CHUNK_SCALE(i, half_chunk) (ONE_GROUP != 0u ? 1.0hf : float16_t(scale_next[(i) * SCALES + (half_chunk)]))
#define STORE_SCALES(buffer_at)
#endif

void main()
{
    if (!find_tile())
        return;
    const uint n_chunks = k_padded * BITS / 128u, last_panel = (last_column - first_column - 1u) / PANEL;
    const uint offset_bits = OFFSET_BITS;
    // First row and column of this subgroup in the tile.
    const uint warp_m = gl_SubgroupID / WARPS_N * FRAGS_M * 16u, warp_n = gl_SubgroupID % WARPS_N * FRAGS_N * 16u;

    uint a_at[A_LOADS], b_at[B_LOADS]; // where this invocation's loads of stage 0 are
    [[unroll]] for (uint i = 0u; i < A_LOADS; i++)
        a_at[i] = activation_at(i * THREADS + gl_LocalInvocationIndex);
    [[unroll]] for (uint i = 0u; i < B_LOADS; i++) {
        const uint at = i * THREADS + gl_LocalInvocationIndex;
        b_at[i] = (min((first_n + column_of(at)) / PANEL, last_panel) * n_chunks + chunk_of(at)) * PANEL + at % PANEL;
    }
    uvec4 a_next[A_LOADS], b_next[B_LOADS];
    float scale_next[SCALE_LOADS];
    MATRIX(ELEMENT, 16, STEP_K, gl_MatrixUseA) a[STEPS * FRAGS_M];
    MATRIX(ELEMENT, STEP_K, 16, gl_MatrixUseB) b[STEPS];
#if INT8
    MATRIX(float, 16, 16, gl_MatrixUseAccumulator) totals[ONE_GROUP != 0u ? 1u : FRAGS_M * FRAGS_N];
    [[unroll]] for (uint f = 0u; f < totals.length(); f++)
        totals[f] = MATRIX(float, 16, 16, gl_MatrixUseAccumulator)(0.0);
    PRODUCT products[ONE_GROUP != 0u ? FRAGS_M * FRAGS_N : 1u];
    MATRIX(float, 16, 16, gl_MatrixUseAccumulator) columns;
    for (uint i = gl_LocalInvocationIndex; i < 64u; i += THREADS)
        corner[i] = floatBitsToUint(vec4(float(i % 4u * 4u)) + vec4(0.0, 1.0, 2.0, 3.0));
    barrier();
    coopMatLoad(columns, corner, 0u, 4u, gl_CooperativeMatrixLayoutRowMajor);
    uint column_of_element[256u / SUBGROUP]; // that this invocation has, in the tile
    [[unroll]] for (uint e = 0u; e < columns.length(); e++)
        column_of_element[e] = warp_n + uint(columns[e]);
#else
    PRODUCT products[FRAGS_M * FRAGS_N];
#endif
    [[unroll]] for (uint f = 0u; f < products.length(); f++)
        products[f] = PRODUCT(SUM(0));

    FETCH(min(first_stage, n_stages - 1u))
    [[dont_unroll]] for (uint stage = first_stage; stage < n_stages; stage++) {
        const uint now = stage % BUFFERS;
        STORE(now)
        barrier();
#if INT8
        // In a block of its own: else drivers move the loads behind the products, and wait for them.
        if (stage + 1u < n_stages)
            FETCH(stage + 1u)
#else
        FETCH(min(stage + 1u, n_stages - 1u)) // the last one again: a condition would cost more
#endif
        [[unroll]] for (uint part = 0u; part < PARTS; part++) {
            [[unroll]] for (uint s = 0u; s < STEPS; s++)
                [[unroll]] for (uint i = 0u; i < FRAGS_M; i++)
                    coopMatLoad(a[s * FRAGS_M + i], a_tile, (now * TILE_M + warp_m + i * 16u) * ROW + 4u * part + 2u * s,
                                ROW, gl_CooperativeMatrixLayoutRowMajor);
            [[unroll]] for (uint j = 0u; j < FRAGS_N; j++) {
                [[unroll]] for (uint s = 0u; s < STEPS; s++)
                    coopMatLoad(b[s], b_tile, (now * TILE_N + warp_n + j * 16u) * ROW + 4u * part + 2u * s, ROW,
                                gl_CooperativeMatrixLayoutColumnMajor);
                if (INT8 == 0 || ONE_GROUP != 0u) {
                    [[unroll]] for (uint s = 0u; s < STEPS; s++)
                        [[unroll]] for (uint i = 0u; i < FRAGS_M; i++)
                            products[j * FRAGS_M + i] =
                                coopMatMulAdd(a[s * FRAGS_M + i], b[s], products[j * FRAGS_M + i]);
                }
#if INT8
                else {
                    [[unroll]] for (uint half_part = 0u; half_part < SCALES; half_part++) {
                        float scale[256u / SUBGROUP];
                        [[unroll]] for (uint e = 0u; e < columns.length(); e++)
                            scale[e] = stage_scales[((now * PARTS + part) * SCALES + half_part) * TILE_N + j * 16u +
                                                    column_of_element[e]];
                        [[unroll]] for (uint i = 0u; i < FRAGS_M; i++) {
                            PRODUCT product = PRODUCT(SUM_ZERO);
                            [[unroll]] for (uint s = half_part * (STEPS / SCALES);
                                            s < (half_part + 1u) * (STEPS / SCALES); s++)
                                product = coopMatMulAdd(a[s * FRAGS_M + i], b[s], product);
                            [[unroll]] for (uint e = 0u; e < product.length(); e++)
                                totals[j * FRAGS_M + i][e] += (intBitsToFloat(product[e]) - 12582912.0) * scale[e];
                        }
                    }
                }
#endif
            }
        }
        if (BUFFERS == 1u)
            barrier();
    }
    if (BUFFERS != 1u)
        barrier(); // b_tile serves another end now

#if INT8
    if (ONE_GROUP == 0u)
        FINISH(totals, float_partials, warp_m, warp_n)
    else
        FINISH(products, int_partials, warp_m, warp_n)
#else
    FINISH(products, float_partials, warp_m, warp_n)
#endif
}
