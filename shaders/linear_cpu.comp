// Linear for devices that are CPUs (lavapipe): a work group is one subgroup of 8 invocations, which LLVM turns into
// 8-wide vectors. Loads cost there by the number of load instructions, whatever their width, and barriers are
// dear: so each loads 32 bytes, activations are handed around by shuffles, and sums stay in registers.
// A work group computes TM rows of activations by TN panels of 8 columns.
//
// BITS  4 or 8: the weights'
// ACT   what the activations are (the forms of linear_prepare.comp): 0 float32, 3 int32, 4 two rows in a word.
//       With two rows in a word, a product of |q - z| <= 255 and |w| <= 8 leaves room for 16 sums in the low half.
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#extension GL_EXT_shader_explicit_arithmetic_types_int64 : require
#extension GL_KHR_shader_subgroup_shuffle : require

#include "elements.glsl"
#include "flat_id.glsl"
#include "linear.glsl"
#include "linear_gate.glsl"
#include "linear_residual.glsl"

#define ACT_F32  0
#define ACT_I32  3
#define ACT_PAIR 4

#if ACT == ACT_PAIR
#define ROWS_A_WORD 2
#else
#define ROWS_A_WORD 1
#endif
#if ACT == ACT_F32
#define SUM float
#else
#define SUM int
#endif

layout(local_size_x = 8) in;
layout(constant_id = 0) const uint TM = 4u;    // words of activations: rows, or pairs of rows
layout(constant_id = 1) const uint TN = 4u;    // panels
// Eights of k between scales inside a step of 64: 1, 2, 4 or 8; 16: groups are whole steps, one or more.
layout(constant_id = 2) const uint FLUSH = 8u;
layout(constant_id = 3) const uint GATED = 0u; // 1: two panels make one of the result (linear_gate.glsl); TN is even

const uint ROWS = TM * ROWS_A_WORD;
const uint RUN = FLUSH < 2u ? FLUSH : 2u; // eights between two looks at the sums of pairs

layout(set = 0, binding = 1) readonly buffer Activations
{
    u64vec4 activations[]; // rows of words, 8 each
};
layout(set = 0, binding = 2) readonly buffer Weights
{
    u64vec4 weights[];
};
layout(set = 0, binding = 3) readonly buffer Scales
{
    float scales[];
};
layout(set = 0, binding = 4) writeonly buffer Result
{
    float result[];
};

uint lane, first_row, first_panel, last_panel, n_steps, row_loads;
float row_scale[ROWS];
float total[ROWS][TN];
SUM sum[ROWS][TN]; // of the group at hand

void split(u64vec4 v, out uint words[8])
{
    const uvec2 a = unpack32(v.x), b = unpack32(v.y), c = unpack32(v.z), d = unpack32(v.w);
    words[0] = a.x;
    words[1] = a.y;
    words[2] = b.x;
    words[3] = b.y;
    words[4] = c.x;
    words[5] = c.y;
    words[6] = d.x;
    words[7] = d.y;
}

#if BITS == 4
#define WEIGHT_WORDS 8
#else
#define WEIGHT_WORDS 16
#endif

// Weight k of the 64 in hand, k a constant.
SUM weight_of(uint words[WEIGHT_WORDS], uint k)
{
#if BITS == 4
    return SUM(int(words[k / 8u] << nibble_shift(k % 8u)) >> 28);
#else
    return SUM(int(words[k / 4u] << (24u - 8u * (k % 4u))) >> 24);
#endif
}

void load_weights(uint panel, uint at, out uint words[WEIGHT_WORDS])
{
#if BITS == 4
    split(weights[(panel * n_steps + at) * PANEL + lane], words);
#else
    uint low[8], high[8];
    split(weights[((panel * n_steps + at) * 2u) * PANEL + lane], low);
    split(weights[((panel * n_steps + at) * 2u + 1u) * PANEL + lane], high);
    [[unroll]] for (uint i = 0u; i < 8u; i++) {
        words[i] = low[i];
        words[i + 8u] = high[i];
    }
#endif
}

void flush(uint group)
{
    [[unroll]] for (uint t = 0u; t < TN; t++) {
        const float scale = scales[group * n_padded + (first_panel + t) * PANEL + lane + first_column];
        [[unroll]] for (uint r = 0u; r < ROWS; r++) {
#if ACT == ACT_F32
            total[r][t] += sum[r][t] * scale;
#else
            precise float factor = row_scale[r] * scale;
            precise float y = total[r][t] + float(sum[r][t]) * factor;
            total[r][t] = y;
#endif
        }
    }
}

void clear_sums()
{
    [[unroll]] for (uint r = 0u; r < ROWS; r++)
        [[unroll]] for (uint t = 0u; t < TN; t++)
            sum[r][t] = SUM(0);
}

// RUN eights of k by all rows and panels.
void multiply(uint a[TM][8], uint w[TN][WEIGHT_WORDS], uint first)
{
#if ACT == ACT_PAIR
    int pair[TM][TN];
    [[unroll]] for (uint r = 0u; r < TM; r++)
        [[unroll]] for (uint t = 0u; t < TN; t++)
            pair[r][t] = 0;
#endif
    [[unroll]] for (uint jj = 0u; jj < RUN; jj++) {
        const uint j = first * RUN + jj;
        [[unroll]] for (uint i = 0u; i < 8u; i++) {
            SUM weight[TN];
            [[unroll]] for (uint t = 0u; t < TN; t++)
                weight[t] = weight_of(w[t], j * 8u + i);
            [[unroll]] for (uint r = 0u; r < TM; r++) {
                const uint word = subgroupShuffle(a[r][i], j);
                [[unroll]] for (uint t = 0u; t < TN; t++) {
#if ACT == ACT_F32
                    sum[r][t] += uintBitsToFloat(word) * weight[t];
#elif ACT == ACT_I32
                    sum[r][t] += int(word) * weight[t];
#else
                    pair[r][t] += int(word) * weight[t];
#endif
                }
            }
        }
    }
#if ACT == ACT_PAIR
    [[unroll]] for (uint r = 0u; r < TM; r++)
        [[unroll]] for (uint t = 0u; t < TN; t++) {
            const int even = (pair[r][t] << 16) >> 16;
            sum[2u * r][t] += even;
            sum[2u * r + 1u][t] += (pair[r][t] - even) >> 16;
        }
#endif
}

void step(uint at)
{
    uint a[TM][8], w[TN][WEIGHT_WORDS];
    const uint last_row = (n_rows - 1u) / ROWS_A_WORD;
    [[unroll]] for (uint r = 0u; r < TM; r++)
        split(activations[min(first_row / ROWS_A_WORD + r, last_row) * row_loads + at * 8u + lane], a[r]);
    [[unroll]] for (uint t = 0u; t < TN; t++)
        load_weights(min(first_panel + t, last_panel), at, w[t]);
    [[unroll]] for (uint j = 0u; j < 8u / RUN; j++) {
        if (FLUSH <= 8u && j * RUN % FLUSH == 0u)
            clear_sums();
        multiply(a, w, j);
        if (FLUSH <= 8u && (j + 1u) * RUN % FLUSH == 0u)
            flush(min((at * 64u + j * RUN * 8u) / group_padded, n_groups - 1u));
    }
}

float result_of(uint row, uint t)
{
    const uint n = first_column + (first_panel + t) * PANEL + lane;
    precise float y = total[row][t] + scales[n_groups * n_padded + n];
    return y;
}

void store()
{
    [[unroll]] for (uint t = 0u; t < TN; t += 1u + GATED) {
        const uint n = first_column + (first_panel + t) * PANEL + lane;
        [[unroll]] for (uint r = 0u; r < ROWS; r++) {
            const uint at = (first_row + r) * n_columns + (GATED != 0u ? gated_column(n) : n);
            float y = result_of(r, t);
            if (GATED != 0u)
                y = gated(y, result_of(r, (t + 1u) % TN));
            if (first_row + r < n_rows && n < last_column)
                result[at] = add_residual(y, at);
        }
    }
}

void main()
{
    const uint tiles = ((last_column - first_column + PANEL - 1u) / PANEL + TN - 1u) / TN;
    const uint group = flat_group();
    lane = gl_SubgroupInvocationID;
    first_panel = group % tiles * TN;
    last_panel = (last_column - first_column - 1u) / PANEL;
    first_row = group / tiles * ROWS;
    n_steps = k_padded / 64u;
    row_loads = row_words / 8u;
    if (first_row >= n_rows)
        return;
    [[unroll]] for (uint r = 0u; r < ROWS; r++)
        [[unroll]] for (uint t = 0u; t < TN; t++)
            total[r][t] = 0.0;
#if ACT != ACT_F32
    [[unroll]] for (uint r = 0u; r < ROWS; r += ROWS_A_WORD) {
        const uint at = min((first_row + r) / ROWS_A_WORD, (n_rows - 1u) / ROWS_A_WORD);
        const uvec2 tail = unpack32(activations[at * row_loads + n_steps * 8u].x);
        row_scale[r] = uintBitsToFloat(tail.x);
        if (ROWS_A_WORD == 2)
            row_scale[r + 1u] = uintBitsToFloat(tail.y);
    }
#endif
    if (FLUSH <= 8u) {
        [[dont_unroll]] for (uint at = 0u; at < n_steps; at++)
            step(at);
    } else {
        const uint group_steps = group_padded / 64u;
        [[dont_unroll]] for (uint g = 0u; g < n_groups; g++) {
            clear_sums();
            [[dont_unroll]] for (uint at = 0u; at < group_steps; at++)
                step(g * group_steps + at);
            flush(g);
        }
    }
    store();
}
