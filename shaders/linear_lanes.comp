// Linear for many rows on GPUs whose subgroups of 32 keep cooperative matrices as the table below says. Vulkan leaves that to
// the driver; a device where it is otherwise fails the kernel's trial and takes linear_coopmat.comp.
//
//   element of lane 4 g + q     0, 1              2, 3                 4, 5              6, 7
//   of B, 16 x 16: k            2 q and 2 q + 1   2 q + 8, 2 q + 9     2 q and 2 q + 1   2 q + 8, 2 q + 9
//                  column       g                 g                    g + 8             g + 8
//
// So the packed weights are in place as they are: of a panel's chunk, 32 words for eight columns, word 4 g + q is the lane's,
// and a subgroup brings it into its registers with one load, unpacks it there, and multiplies. Only activations go through
// shared memory. As the order of k in a product does not matter, columns 2 q, 2 q + 1, 2 q + 8 and 2 q + 9 of a matrix are
// those which that word has, and activations are put there accordingly.
//
// BITS  4 or 8: the weights'
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require
#extension GL_KHR_cooperative_matrix : require
#extension GL_KHR_memory_scope_semantics : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_shuffle : require

#define INT8   0
#define WEIGHT uint
#include "linear_matrices.glsl"

const uint TILE_QUADS = BUFFERS * TILE_M * ROW;
const uint END_QUADS = WARPS_M * WARPS_N * 16u * 5u;
shared uvec4 a_tile[TILE_QUADS > END_QUADS ? TILE_QUADS : END_QUADS];
#define END_TILE a_tile
#define END_ROW  5u
#include "linear_matrix_end.glsl"

const uint PANELS = FRAGS_N * 2u; // of a subgroup
const uint WORDS = PANELS * CHUNKS; // of weights a lane takes for a stage
const uint STAGE_GROUPS = GROUP % STAGE_K == 0u ? 1u : PARTS; // that have a scale of their own
const uint SCALE_LOADS = (PANELS + 3u) / 4u; // of a lane for a group: the columns of four panels
const uint LANE_SCALES = STAGE_GROUPS * SCALE_LOADS; // of a lane for a stage

// A quad of a row's stage, which begins at `row`.
void put_activations(uint row, uint quad, uvec4 v)
{
#if BITS == 4
    // Columns 8 q to 8 q + 7 of a chunk's 32, as a word of weights: two of its pairs for each of two matrices.
    const uint to = row + quad / 4u * 4u, q = quad % 4u;
    a_tile[to][q] = v.x;
    a_tile[to + 1u][q] = v.y;
    a_tile[to + 2u][q] = v.z;
    a_tile[to + 3u][q] = v.w;
#else
    // Two words of weights; a word's even bytes and its odd ones are pairs.
    const uint to = row + quad / 2u * 2u, q = quad % 2u * 2u;
    a_tile[to][q] = (v.x & 0xffffu) | (v.y << 16);
    a_tile[to][q + 1u] = (v.z & 0xffffu) | (v.w << 16);
    a_tile[to + 1u][q] = (v.x >> 16) | (v.y & 0xffff0000u);
    a_tile[to + 1u][q + 1u] = (v.z >> 16) | (v.w & 0xffff0000u);
#endif
}

// Two pairs of weights for step `step` of a part, out of its word (4 bits: both steps are in one).
uvec2 step_pairs(uint word, uint step, uint offset_bits, float16_t scale)
{
#if BITS == 4
    const uint nibbles = word >> (8u * step);
    return uvec2(scaled_pair(nibbles, offset_bits, scale), scaled_high_pair(nibbles, offset_bits, scale));
#else
    return uvec2(scaled_pair(word, offset_bits, scale), scaled_pair(word >> 8, offset_bits, scale));
#endif
}

// Stage `stage` from device memory into registers.
#define FETCH(stage)                                                                                                     \
    {                                                                                                                    \
        FETCH_ACTIVATIONS(stage)                                                                                         \
        [[unroll]] for (uint i = 0u; i < WORDS; i++)                                                                     \
            words_next[i] = weights[b_at[i / CHUNKS] + ((stage) * CHUNKS + i % CHUNKS) * 32u];                           \
        if (ONE_GROUP == 0u) {                                                                                           \
            [[unroll]] for (uint i = 0u; i < LANE_SCALES; i++) {                                                         \
                const uint k = (stage) * STAGE_K + i / SCALE_LOADS * PART_K;                                             \
                scales_next[i] = scales[min(k / GROUP, n_groups - 1u) * n_padded + scale_at[i % SCALE_LOADS]];           \
            }                                                                                                            \
        }                                                                                                                \
    }

#define SET_ELEMENTS(matrix, first, bits)                                                                                \
    {                                                                                                                    \
        const f16vec2 pair = unpackFloat2x16(bits);                                                                      \
        matrix[first] = pair.x;                                                                                          \
        matrix[(first) + 1] = pair.y;                                                                                    \
    }

void main()
{
    if (!find_tile())
        return;
    const uint lane = gl_SubgroupInvocationID, g = lane / 4u;
    const uint warp_m = gl_SubgroupID / WARPS_N * FRAGS_M * 16u, warp_n = gl_SubgroupID % WARPS_N * FRAGS_N * 16u;
    const uint n_chunks = k_padded * BITS / 128u, last_panel = (last_column - first_column - 1u) / PANEL;
    const uint offset_bits = OFFSET_BITS;

    uint a_at[A_LOADS], b_at[PANELS], scale_at[SCALE_LOADS]; // where this lane's loads of stage 0 are
    [[unroll]] for (uint i = 0u; i < A_LOADS; i++)
        a_at[i] = activation_at(i * THREADS + gl_LocalInvocationIndex);
    [[unroll]] for (uint i = 0u; i < PANELS; i++)
        b_at[i] = min((first_n + warp_n) / PANEL + i, last_panel) * n_chunks * 32u + lane;
    [[unroll]] for (uint i = 0u; i < SCALE_LOADS; i++)
        scale_at[i] = min(first_column + first_n + warp_n + i * 32u + lane, n_padded - 1u);

    uvec4 a_next[A_LOADS];
    uint words_next[WORDS], words[WORDS];
    float scales_next[LANE_SCALES], lane_scales[LANE_SCALES];
    MATRIX(float16_t, 16, 16, gl_MatrixUseA) a[STEPS * FRAGS_M];
    MATRIX(float16_t, 16, 16, gl_MatrixUseB) b[STEPS];
    PRODUCT products[FRAGS_M * FRAGS_N];
    [[unroll]] for (uint f = 0u; f < products.length(); f++)
        products[f] = PRODUCT(0.0);

    FETCH(min(first_stage, n_stages - 1u))
    [[dont_unroll]] for (uint stage = first_stage; stage < n_stages; stage++) {
        const uint buffer_row = stage % BUFFERS * TILE_M;
        [[unroll]] for (uint i = 0u; i < A_LOADS; i++) {
            const uint at = i * THREADS + gl_LocalInvocationIndex;
            if (TILE_M * ROW_QUADS % THREADS == 0u || at < TILE_M * ROW_QUADS)
                put_activations((buffer_row + at / ROW_QUADS) * ROW, at % ROW_QUADS, a_next[i]);
        }
        [[unroll]] for (uint i = 0u; i < WORDS; i++)
            words[i] = words_next[i];
        [[unroll]] for (uint i = 0u; i < LANE_SCALES; i++)
            lane_scales[i] = scales_next[i];
        barrier();
        FETCH(min(stage + 1u, n_stages - 1u)) // the last one again: a condition would cost more
        [[unroll]] for (uint part = 0u; part < PARTS; part++) {
            [[unroll]] for (uint s = 0u; s < STEPS; s++)
                [[unroll]] for (uint i = 0u; i < FRAGS_M; i++)
                    coopMatLoad(a[s * FRAGS_M + i], a_tile, (buffer_row + warp_m + i * 16u) * ROW + 4u * part + 2u * s, ROW,
                                gl_CooperativeMatrixLayoutRowMajor);
            [[unroll]] for (uint j = 0u; j < FRAGS_N; j++) {
                [[unroll]] for (uint h = 0u; h < 2u; h++) {
                    const uint panel = 2u * j + h, group = STAGE_GROUPS == 1u ? 0u : part;
                    const float from_lane = subgroupShuffle(lane_scales[group * SCALE_LOADS + panel / 4u], panel % 4u * 8u + g);
                    const float16_t scale = ONE_GROUP != 0u ? 1.0hf : float16_t(from_lane);
                    [[unroll]] for (uint s = 0u; s < STEPS; s++) {
                        const uint chunk = part * CHUNKS / PARTS + (BITS == 8 ? s : 0u);
                        const uvec2 pairs = step_pairs(words[panel * CHUNKS + chunk], s, offset_bits, scale);
                        SET_ELEMENTS(b[s], 4 * int(h), pairs.x)
                        SET_ELEMENTS(b[s], 4 * int(h) + 2, pairs.y)
                    }
                }
                [[unroll]] for (uint s = 0u; s < STEPS; s++)
                    [[unroll]] for (uint i = 0u; i < FRAGS_M; i++)
                        products[j * FRAGS_M + i] = coopMatMulAdd(a[s * FRAGS_M + i], b[s], products[j * FRAGS_M + i]);
            }
        }
        if (BUFFERS == 1u)
            barrier();
    }
    if (BUFFERS != 1u)
        barrier(); // a_tile serves another end now
    FINISH(products, float_partials, warp_m, warp_n)
}
