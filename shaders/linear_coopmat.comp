// Linear for many rows on GPUs with cooperative matrices (KHR). A work group makes a tile of WARPS_M * FRAGS_M * 16 rows
// by WARPS_N * FRAGS_N * 16 columns; a stage brings PARTS times 64 bytes of each row of both operands into shared memory,
// weights unpacked: 32 columns of k as float16, 64 as int8. While a stage is multiplied, the next one is on its way in
// registers.
//
// Float16: weights get their group's scale as they are unpacked. Int8: products of a part, or of half of it where groups are
// that small, start from zero and are scaled into the float32 totals. ONE_GROUP: no scales before the end, the totals are
// those of the products (int32 for int8).
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

#include "elements.glsl"
#include "flat_id.glsl"
#include "linear.glsl"

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint THREADS = 128u; // WARPS_M * WARPS_N * SUBGROUP
layout(constant_id = 1) const uint SUBGROUP = 32u;
layout(constant_id = 2) const uint WARPS_M = 2u;
layout(constant_id = 3) const uint WARPS_N = 2u;
layout(constant_id = 4) const uint FRAGS_M = 4u;
layout(constant_id = 5) const uint FRAGS_N = 4u;
layout(constant_id = 6) const uint BUFFERS = 2u; // 1: two barriers a stage, half the shared memory
layout(constant_id = 7) const uint ONE_GROUP = 0u;
layout(constant_id = 8) const uint SCALES = 1u; // a part: 1, or 2 where group_padded is no multiple of it
layout(constant_id = 9) const uint PARTS = 1u; // of a stage
layout(constant_id = 10) const uint GROUP = 64u; // group_padded, known beforehand: divisions by it are many

const uint TILE_M = WARPS_M * FRAGS_M * 16u;
const uint TILE_N = WARPS_N * FRAGS_N * 16u;
const uint ROW_QUADS = PARTS * 4u; // of 16 bytes in a stage
const uint ROW = ROW_QUADS + 1u; // and 16 bytes that keep rows in different banks
const uint STEPS = 2u; // multiplications a part

#if INT8
#define PART_K   64u
#define ELEMENT  int8_t
#define SUM      int
#define STEP_K   32
// Small whole numbers as floats without a conversion: added to the mantissa of 1.5 * 2^23.
#define SUM_ZERO 0x4b400000
#else
#define PART_K   32u
#define ELEMENT  float16_t
#define SUM      float
#define STEP_K   16
#define SUM_ZERO 0.0
#endif
const uint STAGE_K = PARTS * PART_K;
const uint CHUNKS = STAGE_K * BITS / 128u; // of packed weights a stage takes of each row

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
// Where k is split: results are finished by linear_sum.comp.
layout(set = 0, binding = 4) writeonly buffer FloatPartials
{
    float float_partials[];
};
#if INT8
layout(set = 0, binding = 4) writeonly buffer IntPartials
{
    int int_partials[];
};
// Sums of the weights of a column: whole numbers for one group, else scaled and added up (float32).
layout(set = 0, binding = 5) readonly buffer WeightSums
{
    int weight_sums[];
};
#endif

#include "linear_result.glsl"

shared uvec4 a_tile[BUFFERS * TILE_M * ROW];
shared uvec4 b_tile[BUFFERS * TILE_N * ROW];
#if INT8
shared float stage_scales[BUFFERS * PARTS * SCALES * TILE_N];
#endif
shared uvec4 corner[16u * 4u]; // 16 x 16 numbers of columns, to find out which element of a matrix is where

const uint A_LOADS = (TILE_M * ROW_QUADS + THREADS - 1u) / THREADS;
const uint B_LOADS = (TILE_N * CHUNKS + THREADS - 1u) / THREADS;
#if INT8
const uint STAGE_SCALES = PARTS * SCALES;
const uint SCALE_LOADS = (TILE_N * STAGE_SCALES + THREADS - 1u) / THREADS; // of stage_scales
#else
const uint SCALE_LOADS = B_LOADS * SCALES; // of this invocation's chunks
#endif

uint first_m, first_n; // of the tile; first_n inside the weights at hand
uint n_chunks, last_panel;

// ---- a stage: device memory to registers to shared memory ------------------------------------------------------------

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

#if !INT8
// Two weights, still with the offset of their bit pattern.
uint scaled(uint halves, float16_t offset, float16_t scale)
{
    return packFloat2x16((unpackFloat2x16(halves) - f16vec2(offset)) * scale);
}
#endif

// Sixteen bytes of packed weights into shared memory, from quad `to` on. `low` and `high`: scales of the two halves.
void unpack(uvec4 chunk, uint to, float16_t low, float16_t high)
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
    // A byte in the mantissa of 1024, its sign bit turned over, is 1152 more than the weight.
    [[unroll]] for (uint i = 0u; i < 2u; i++) {
        uvec4 quad;
        [[unroll]] for (uint j = 0u; j < 2u; j++) {
            const uint w = chunk[2u * i + j];
            quad[2u * j] = scaled(((w & 0xffu) | ((w & 0xff00u) << 8)) ^ 0x64806480u, 1152.0hf, low);
            quad[2u * j + 1u] = scaled((((w >> 16) & 0xffu) | ((w >> 8) & 0xff0000u)) ^ 0x64806480u, 1152.0hf, low);
        }
        b_tile[to + i] = quad;
    }
#else
    [[unroll]] for (uint i = 0u; i < 4u; i++) {
        uvec4 quad;
        [[unroll]] for (uint j = 0u; j < 4u; j++)
            quad[j] = scaled(((chunk[i] >> (4u * j)) & 0x000f000fu) ^ 0x64086408u, 1032.0hf, i < 2u ? low : high);
        b_tile[to + i] = quad;
    }
#endif
}

// ---- results --------------------------------------------------------------------------------------------------------------

#define MATRIX(type, rows, columns, use) coopmat<type, gl_ScopeSubgroup, rows, columns, use>
#define TOTAL MATRIX(float, 16, 16, gl_MatrixUseAccumulator)
#define PRODUCT MATRIX(SUM, 16, 16, gl_MatrixUseAccumulator)

// A 16 x 16 matrix that lies in this subgroup's part of b_tile, 16 rows a subgroup.
void finish_matrix(uint mine, uint row, uint column)
{
    for (uint half_row = gl_SubgroupInvocationID; half_row < 32u; half_row += SUBGROUP) {
        const uint m = first_m + row + half_row / 2u;
        const uint n = first_column + first_n + column + half_row % 2u * 8u;
        if (m >= n_rows || n >= last_column)
            continue;
        const uvec4 low = b_tile[mine + half_row / 2u * ROW + half_row % 2u * 2u];
        const uvec4 high = b_tile[mine + half_row / 2u * ROW + half_row % 2u * 2u + 1u];
        const Quantizer q = quantizer_of(m);
        vec4 y_low, y_high;
        [[unroll]] for (uint e = 0u; e < 4u; e++) {
            y_low[e] = finish(low[e], min(n + e, n_padded - 1u), q);
            y_high[e] = finish(high[e], min(n + 4u + e, n_padded - 1u), q);
        }
        store8(m, n, y_low, y_high);
    }
}

void main()
{
    const uint tiles_m = (n_rows + TILE_M - 1u) / TILE_M;
    const uint group = flat_group();
    // Tiles of the same weights run side by side, so that weights come from the cache.
    const uint split = group / tiles_m % n_splits;
    first_m = group % tiles_m * TILE_M;
    first_n = group / tiles_m / n_splits * TILE_N;
    if (first_n >= last_column - first_column)
        return;
    n_chunks = k_padded * BITS / 128u;
    last_panel = (last_column - first_column - 1u) / PANEL;
    // First row and column of this subgroup in the tile.
    const uint warp_m = gl_SubgroupID / WARPS_N * FRAGS_M * 16u, warp_n = gl_SubgroupID % WARPS_N * FRAGS_N * 16u;

    uvec4 a_next[A_LOADS], b_next[B_LOADS];
    float scale_next[SCALE_LOADS];
#if INT8
    TOTAL columns_of; // the column of each element
    for (uint i = gl_LocalInvocationIndex; i < 64u; i += THREADS)
        corner[i] = floatBitsToUint(vec4(float(i % 4u * 4u)) + vec4(0.0, 1.0, 2.0, 3.0));
    barrier();
    coopMatLoad(columns_of, corner, 0u, 4u, gl_CooperativeMatrixLayoutRowMajor);
    TOTAL totals[ONE_GROUP != 0u ? 1u : FRAGS_M * FRAGS_N];
    [[unroll]] for (uint f = 0u; f < totals.length(); f++)
        totals[f] = TOTAL(0.0);
    PRODUCT products[ONE_GROUP != 0u ? FRAGS_M * FRAGS_N : 1u];
#else
    PRODUCT products[FRAGS_M * FRAGS_N];
#endif
    [[unroll]] for (uint f = 0u; f < products.length(); f++)
        products[f] = PRODUCT(SUM(0));

    const uint all_stages = k_padded / STAGE_K, split_stages = (all_stages + n_splits - 1u) / n_splits;
    const uint first_stage = split * split_stages;
    const uint n_stages = min(all_stages, first_stage + split_stages);
    uint a_at[A_LOADS], b_at[B_LOADS]; // where this invocation's loads of stage 0 are
    [[unroll]] for (uint i = 0u; i < A_LOADS; i++) {
        const uint at = i * THREADS + gl_LocalInvocationIndex;
        a_at[i] = min(first_m + at / ROW_QUADS, n_rows - 1u) * (row_words / 4u) + at % ROW_QUADS;
    }
    [[unroll]] for (uint i = 0u; i < B_LOADS; i++) {
        const uint at = i * THREADS + gl_LocalInvocationIndex;
        b_at[i] = (min((first_n + column_of(at)) / PANEL, last_panel) * n_chunks + chunk_of(at)) * PANEL + at % PANEL;
    }
    MATRIX(ELEMENT, 16, STEP_K, gl_MatrixUseA) a[STEPS * FRAGS_M];
    MATRIX(ELEMENT, STEP_K, 16, gl_MatrixUseB) b[STEPS];
    // Stage `stage` is fetched while the one before it is multiplied; the first and the last round do one of the two.
    [[dont_unroll]] for (uint stage = first_stage; stage <= n_stages; stage++) {
        if (stage < n_stages) {
            [[unroll]] for (uint i = 0u; i < A_LOADS; i++) {
                const uint at = i * THREADS + gl_LocalInvocationIndex;
                if (TILE_M * ROW_QUADS % THREADS == 0u || at < TILE_M * ROW_QUADS)
                    a_next[i] = activations[a_at[i] + stage * ROW_QUADS];
            }
            [[unroll]] for (uint i = 0u; i < B_LOADS; i++) {
                const uint at = i * THREADS + gl_LocalInvocationIndex;
                if (TILE_N * CHUNKS % THREADS == 0u || at < TILE_N * CHUNKS)
                    b_next[i] = weights[b_at[i] + stage * (CHUNKS * PANEL)];
            }
            if (ONE_GROUP == 0u) {
                [[unroll]] for (uint i = 0u; i < SCALE_LOADS; i++) {
#if INT8
                    const uint at = i * THREADS + gl_LocalInvocationIndex;
                    scale_next[i] =
                        fetch_scale((stage * STAGE_SCALES + at / TILE_N) * (PART_K / SCALES), at % TILE_N);
#else
                    const uint at = i / SCALES * THREADS + gl_LocalInvocationIndex;
                    scale_next[i] = fetch_scale(stage * STAGE_K + chunk_of(at) * (128u / BITS) + i % SCALES * 16u,
                                                column_of(at));
#endif
                }
            }
        }
        if (stage > first_stage) {
            const uint from = (stage - 1u) % BUFFERS;
            [[unroll]] for (uint part = 0u; part < PARTS; part++) {
                [[unroll]] for (uint s = 0u; s < STEPS; s++)
                    [[unroll]] for (uint i = 0u; i < FRAGS_M; i++)
                        coopMatLoad(a[s * FRAGS_M + i], a_tile,
                                    (from * TILE_M + warp_m + i * 16u) * ROW + 4u * part + 2u * s, ROW,
                                    gl_CooperativeMatrixLayoutRowMajor);
                [[unroll]] for (uint j = 0u; j < FRAGS_N; j++) {
                    [[unroll]] for (uint s = 0u; s < STEPS; s++)
                        coopMatLoad(b[s], b_tile, (from * TILE_N + warp_n + j * 16u) * ROW + 4u * part + 2u * s, ROW,
                                    gl_CooperativeMatrixLayoutColumnMajor);
                    if (INT8 == 0 || ONE_GROUP != 0u) {
                        [[unroll]] for (uint i = 0u; i < FRAGS_M; i++)
                            [[unroll]] for (uint s = 0u; s < STEPS; s++)
                                products[j * FRAGS_M + i] =
                                    coopMatMulAdd(a[s * FRAGS_M + i], b[s], products[j * FRAGS_M + i]);
                    }
#if INT8
                    else {
                        [[unroll]] for (uint g = 0u; g < SCALES; g++) {
                            float scale[256u / SUBGROUP]; // of the elements this invocation has
                            [[unroll]] for (uint e = 0u; e < columns_of.length(); e++)
                                scale[e] = stage_scales[((from * PARTS + part) * SCALES + g) * TILE_N + warp_n +
                                                        j * 16u + uint(columns_of[e])];
                            [[unroll]] for (uint i = 0u; i < FRAGS_M; i++) {
                                PRODUCT product = PRODUCT(SUM_ZERO);
                                [[unroll]] for (uint s = g * (STEPS / SCALES); s < (g + 1u) * (STEPS / SCALES); s++)
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
        if (stage < n_stages) {
            const uint to = stage % BUFFERS;
            [[unroll]] for (uint i = 0u; i < A_LOADS; i++) {
                const uint at = i * THREADS + gl_LocalInvocationIndex;
                if (TILE_M * ROW_QUADS % THREADS == 0u || at < TILE_M * ROW_QUADS)
                    a_tile[(to * TILE_M + at / ROW_QUADS) * ROW + at % ROW_QUADS] = a_next[i];
            }
            [[unroll]] for (uint i = 0u; i < B_LOADS; i++) {
                const uint at = i * THREADS + gl_LocalInvocationIndex;
                const bool whole = ONE_GROUP != 0u || INT8 != 0;
                const float16_t low = whole ? 1.0hf : float16_t(scale_next[i * SCALES % SCALE_LOADS]);
                const float16_t high = whole ? 1.0hf : float16_t(scale_next[(i * SCALES + SCALES - 1u) % SCALE_LOADS]);
                if (TILE_N * CHUNKS % THREADS == 0u || at < TILE_N * CHUNKS)
                    unpack(b_next[i], (to * TILE_N + column_of(at)) * ROW + chunk_of(at) * (ROW_QUADS / CHUNKS), low, high);
            }
#if INT8
            if (ONE_GROUP == 0u) {
                [[unroll]] for (uint i = 0u; i < SCALE_LOADS; i++) {
                    const uint at = i * THREADS + gl_LocalInvocationIndex;
                    if (TILE_N * STAGE_SCALES % THREADS == 0u || at < TILE_N * STAGE_SCALES)
                        stage_scales[to * STAGE_SCALES * TILE_N + at] = scale_next[i];
                }
            }
#endif
        }
        barrier();
    }

    const uint mine = gl_SubgroupID * 16u * ROW;
    const uint partial = (split * partial_rows + first_m + warp_m) * partial_columns + first_n + warp_n;
    [[unroll]] for (uint j = 0u; j < FRAGS_N; j++)
        [[unroll]] for (uint i = 0u; i < FRAGS_M; i++) {
            if (n_splits > 1u) {
                const uint at = partial + i * 16u * partial_columns + j * 16u;
#if INT8
                if (ONE_GROUP == 0u)
                    coopMatStore(totals[j * FRAGS_M + i], float_partials, at, partial_columns,
                                 gl_CooperativeMatrixLayoutRowMajor);
                else
                    coopMatStore(products[j * FRAGS_M + i], int_partials, at, partial_columns,
                                 gl_CooperativeMatrixLayoutRowMajor);
#else
                coopMatStore(products[j * FRAGS_M + i], float_partials, at, partial_columns,
                             gl_CooperativeMatrixLayoutRowMajor);
#endif
                continue;
            }
#if INT8
            if (ONE_GROUP == 0u)
                coopMatStore(totals[j * FRAGS_M + i], b_tile, mine, ROW, gl_CooperativeMatrixLayoutRowMajor);
            else
#endif
                coopMatStore(products[j * FRAGS_M + i], b_tile, mine, ROW, gl_CooperativeMatrixLayoutRowMajor);
            subgroupBarrier();
            finish_matrix(mine, warp_m + i * 16u, warp_n + j * 16u);
            subgroupBarrier();
        }
}
