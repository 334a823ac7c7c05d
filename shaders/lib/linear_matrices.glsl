// What the linears on cooperative matrices (KHR) share: the shape of a work group's tile, buffers, and what becomes of the
// sums. Define BITS, INT8 and WEIGHT, the type in which weights are read; include linear_matrix_end.glsl after END_TILE.
//
// A work group makes a tile of WARPS_M * FRAGS_M * 16 rows by WARPS_N * FRAGS_N * 16 columns; a stage is PARTS times 64
// bytes of each row of activations: 32 columns of k as float16, 64 as int8. ONE_GROUP: no scales before the end.
#ifndef LINEAR_MATRICES_GLSL
#define LINEAR_MATRICES_GLSL

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
#define PART_K  64u
#define ELEMENT int8_t
#define SUM     int
#define STEP_K  32
#else
#define PART_K  32u
#define ELEMENT float16_t
#define SUM     float
#define STEP_K  16
#endif
const uint STAGE_K = PARTS * PART_K;
const uint CHUNKS = STAGE_K * BITS / 128u; // of packed weights a stage takes of each row
const uint A_LOADS = (TILE_M * ROW_QUADS + THREADS - 1u) / THREADS; // of an invocation for a stage

layout(set = 0, binding = 1) readonly buffer Activations
{
    uvec4 activations[];
};
layout(set = 0, binding = 2) readonly buffer Weights
{
    WEIGHT weights[];
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
layout(set = 0, binding = 6) readonly buffer WeightSums
{
    int weight_sums[];
};
#endif

#include "linear_result.glsl"

// Float16 weights are unpacked in the mantissa of a float16: their bits turned over by this are one with a known offset.
// In a register, because an instruction takes one constant: the compiler must not know that n_rows is below 2^31.
#if BITS == 8
#define OFFSET_BITS (0x64806480u ^ (n_rows >> 31))
#else
#define OFFSET_BITS (0x64086408u ^ (n_rows >> 31))
#endif

#if !INT8
// Two weights from their bits in `word`, whatever else is in it: those of an 8-bit one lead to a float16 that is 1152 more, of
// a 4-bit one 1032 more.
uint scaled_pair(uint word, uint offset_bits, float16_t scale)
{
#if BITS == 8
    return packFloat2x16((unpackFloat2x16((word & 0x00ff00ffu) ^ offset_bits) - f16vec2(1152.0hf)) * scale);
#else
    return packFloat2x16((unpackFloat2x16((word & 0x000f000fu) ^ offset_bits) - f16vec2(1032.0hf)) * scale);
#endif
}

#if BITS == 4
// The same a nibble higher up, where the mantissa has 16 times the weight.
uint scaled_high_pair(uint word, uint offset_bits, float16_t scale)
{
    const f16vec2 sixteenfold = unpackFloat2x16((word & 0x00f000f0u) ^ (offset_bits ^ 0x00880088u));
    return packFloat2x16(fma(sixteenfold, f16vec2(0.0625hf), f16vec2(-72.0hf)) * scale);
}
#endif
#endif

#define MATRIX(type, rows, columns, use) coopmat<type, gl_ScopeSubgroup, rows, columns, use>
#define PRODUCT MATRIX(SUM, 16, 16, gl_MatrixUseAccumulator)

uint first_m, first_n; // of the tile; first_n inside the weights at hand
uint first_stage, n_stages; // of this work group's part of k

// Places the work group; false: it has nothing to do. Tiles of the same weights run side by side, so that weights come
// from the cache.
bool find_tile()
{
    const uint tiles_m = (n_rows + TILE_M - 1u) / TILE_M;
    const uint group = flat_group();
    const uint all_stages = k_padded / STAGE_K, split_stages = (all_stages + n_splits - 1u) / n_splits;
    first_m = group % tiles_m * TILE_M;
    first_n = group / tiles_m / n_splits * TILE_N;
    first_stage = group / tiles_m % n_splits * split_stages;
    n_stages = min(all_stages, first_stage + split_stages);
    return first_n < last_column - first_column;
}

// Where load `at` of a stage's activations begins, in quads.
uint activation_at(uint at)
{
    return min(first_m + at / ROW_QUADS, n_rows - 1u) * (row_words / 4u) + at % ROW_QUADS;
}

// A stage's activations into a_next, from where a_at says that those of stage 0 are. Both are local to main().
#define FETCH_ACTIVATIONS(stage)                                                                                         \
    [[unroll]] for (uint i = 0u; i < A_LOADS; i++) {                                                                     \
        const uint at = i * THREADS + gl_LocalInvocationIndex;                                                           \
        if (TILE_M * ROW_QUADS % THREADS == 0u || at < TILE_M * ROW_QUADS)                                               \
            a_next[i] = activations[a_at[i] + (stage) * ROW_QUADS];                                                      \
    }

#endif
