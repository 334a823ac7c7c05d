// Linear for a few rows on GPUs: bound by reading the weights once. A work group takes PANELS panels of 8 columns and
// all of k: an invocation has one row of each panel and every SLOTS-th chunk of 16 bytes, so that a subgroup reads
// whole lines, and activations loaded for one panel serve the others.
//
// BITS  4 or 8: the weights'
// ACT   1 float32, 2 float16: activations as they are; 3 int8 rows, of linear_prepare.comp or the graph
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#extension GL_KHR_shader_subgroup_shuffle : require

#include "elements.glsl"
#include "flat_id.glsl"
#include "linear.glsl"
#include "linear_gate.glsl"
#include "linear_word.glsl"

#define IS_INT (ACT == 3)
#if IS_INT
#include "dot8.glsl"
#define SUM int
#else
#define SUM float
#endif
#if BITS == 4
#define PER_WORD 8u // columns of k
#else
#define PER_WORD 4u
#endif
#define CHUNK    (4u * PER_WORD)

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint THREADS = 256u;
layout(constant_id = 1) const uint PANELS = 2u;
layout(constant_id = 2) const uint ROWS = 1u;            // n_rows
layout(constant_id = 3) const uint WORDS_PER_SCALE = 4u; // 1, 2 or 4
layout(constant_id = 4) const uint ONE_GROUP = 0u;       // int8: sums stay integers to the end
layout(constant_id = 5) const uint SUBGROUP = 32u;
layout(constant_id = 6) const uint GATED = 0u; // 1: two columns of sums make one of the result (linear_gate.glsl)

const uint SLOTS = THREADS / PANEL;
const uint SUBGROUPS = THREADS / SUBGROUP;
const uint SUMS = PANELS * ROWS * PANEL; // a work group's results

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
shared float shared_totals[SUBGROUPS * SUMS];
shared int shared_sums[ONE_GROUP != 0u ? SUBGROUPS * SUMS : 1u];

#if IS_INT
struct Quantizer
{
    float scale;
    int zero_point;
};

Quantizer quantizer_of(uint row)
{
    float scale = activation_scale;
    int zero_point = activation_zero_point;
    if (scales_in_rows != 0u) {
        const uvec4 tail = activations[row * (row_words / 4u) + k_padded / 16u];
        scale = uintBitsToFloat(tail.x);
        zero_point = int(tail.y);
    }
    return Quantizer(is_finite(scale) ? scale : uintBitsToFloat(NAN_BITS), zero_point);
}
#endif

// ---- a word of weights against the activations it meets --------------------------------------------------------------

#if !IS_INT
// Weights are made floats by writing them into the mantissa of 2^23; a weight that sits p bits up comes out 2^p times
// too large, for which its activation is made 2^p times smaller.
#if BITS == 4
const uint SHIFTS[8] = uint[8](0u, 16u, 4u, 0u, 8u, 4u, 12u, 8u);
const uint FROM_HIGH[8] = uint[8](0u, 0u, 0u, 1u, 0u, 1u, 0u, 1u); // taken from the word 20 bits down
#define HIGH_SHIFT  20
#define FIELD       15u
#define FIELD_SIGN  8u
#else
const uint SHIFTS[4] = uint[4](0u, 8u, 0u, 8u);
const uint FROM_HIGH[4] = uint[4](0u, 0u, 1u, 1u);
#define HIGH_SHIFT  16
#define FIELD       255u
#define FIELD_SIGN  128u
#endif

float weight_of(uint word, uint high, uint i)
{
    const uint field = (FROM_HIGH[i] != 0u ? high : word) & (FIELD << SHIFTS[i]);
    return uintBitsToFloat(field ^ (0x4b000000u | (FIELD_SIGN << SHIFTS[i]))) -
           float(0x800000u + (FIELD_SIGN << SHIFTS[i]));
}

struct Operand
{
    float x[PER_WORD];
};

Operand load(uint row, uint k)
{
    Operand a;
#if ACT == 1
    const uint at = (row * row_words + k) / 4u;
    [[unroll]] for (uint q = 0u; q < PER_WORD / 4u; q++) {
        const vec4 v = uintBitsToFloat(activations[at + q]);
        [[unroll]] for (uint i = 0u; i < 4u; i++)
            a.x[4u * q + i] = v[i];
    }
#else
    const uint at = row * row_words + k / 2u;
    const uvec4 quad = activations[at / 4u];
    [[unroll]] for (uint i = 0u; i < PER_WORD; i += 2u) {
#if BITS == 4
        const vec2 v = unpackHalf2x16(quad[i / 2u]);
#else
        const vec2 v = unpackHalf2x16((k & 4u) == 0u ? quad[i / 2u] : quad[2u + i / 2u]);
#endif
        a.x[i] = v.x;
        a.x[i + 1u] = v.y;
    }
#endif
    [[unroll]] for (uint i = 0u; i < PER_WORD; i++)
        a.x[i] *= 1.0 / float(1u << SHIFTS[i]);
    return a;
}

void multiply(uint word, Operand a[ROWS], inout float sum[ROWS])
{
    const uint high = word >> HIGH_SHIFT;
    float w[PER_WORD];
    [[unroll]] for (uint i = 0u; i < PER_WORD; i++)
        w[i] = weight_of(word, high, i);
    [[unroll]] for (uint m = 0u; m < ROWS; m++)
        [[unroll]] for (uint i = 0u; i < PER_WORD; i++)
            sum[m] += a[m].x[i] * w[i];
}
#else
struct Operand
{
    int q[PER_WORD / 4u];
};

Operand load(uint row, uint k)
{
    Operand a;
    const uvec4 quad = activations[(row * row_words + k / 4u) / 4u];
#if BITS == 4
    const uvec2 pair = (k & 8u) == 0u ? quad.xy : quad.zw;
    a.q[0] = int(pair.x);
    a.q[1] = int(pair.y);
#else
    a.q[0] = int(quad[(k / 4u) & 3u]);
#endif
    return a;
}

void multiply(uint word, Operand a[ROWS], Quantizer quantizers[ROWS], inout int sum[ROWS])
{
#if BITS == 4
    const int low = int((word << 4) & 0xf0f0f0f0u), high = int(word & 0xf0f0f0f0u);
    const int weight_sum = dot8(0x01010101, low) + dot8(0x01010101, high);
    [[unroll]] for (uint m = 0u; m < ROWS; m++)
        sum[m] += dot8(a[m].q[0], low) + dot8(a[m].q[1], high) - quantizers[m].zero_point * weight_sum;
#else
    const int weight_sum = dot8(0x01010101, int(word));
    [[unroll]] for (uint m = 0u; m < ROWS; m++)
        sum[m] += dot8(a[m].q[0], int(word)) - quantizers[m].zero_point * weight_sum;
#endif
}
#endif

// ---- results -------------------------------------------------------------------------------------------------------------

#if IS_INT
float result_of(uint panel, uint m, uint lane, uint n, Quantizer quantizer)
#else
float result_of(uint panel, uint m, uint lane, uint n)
#endif
{
    const uint at = (panel * ROWS + m) * PANEL + lane;
    precise float y = 0.0;
#if IS_INT
    if (ONE_GROUP != 0u) {
        int sum = 0;
        for (uint s = 0u; s < SUBGROUPS; s++)
            sum += shared_sums[s * SUMS + at];
        precise float factor = quantizer.scale * scales[n];
        y = float(sum >> SUM_SHIFT) * factor;
    } else
#endif
        for (uint s = 0u; s < SUBGROUPS; s++)
            y += shared_totals[s * SUMS + at];
    y += scales[n_groups * n_padded + n];
    return y;
}

// One word of the result: a float32, two float16 or four int8 of a row.
#if IS_INT
void store_word(uint index, uint first_panel, Quantizer quantizers[ROWS])
#else
void store_word(uint index, uint first_panel)
#endif
{
    const uint shift = elements_shift(out_type), per_word = 1u << shift;
    const uint words = PANELS * PANEL >> GATED >> shift, m = index / words, first_result = index % words << shift;
    const uint first = GATED != 0u ? gate_column(first_result) : first_result;
    const uint first_n = first_column + first_panel * PANEL + first;
    const uint first_at = m * n_columns + (GATED != 0u ? gated_column(first_n) : first_n);
    uint word = 0u;
    if (first_n >= last_column)
        return;
#if IS_INT
    Quantizer quantizer = quantizers[0];
    [[unroll]] for (uint r = 1u; r < ROWS; r++)
        if (r == m)
            quantizer = quantizers[r];
#define RESULT_OF(panel, n) result_of(panel, m, column % PANEL, n, quantizer)
#else
#define RESULT_OF(panel, n) result_of(panel, m, column % PANEL, n)
#endif
    for (uint i = 0u; i < per_word; i++) {
        const uint column = first + i, n = min(first_n + i, n_padded - 1u);
        float y = RESULT_OF(column / PANEL, n);
        if (GATED != 0u)
            y = gated(y, RESULT_OF(column / PANEL + 1u, n + PANEL));
        word |= word_part(y, first_at + i, i);
    }
    result_words[first_at >> shift] = word;
}

void main()
{
    const uint group = flat_group();
    const uint first_panel = group * PANELS, lane = gl_LocalInvocationIndex % PANEL;
    const uint slot = gl_LocalInvocationIndex / PANEL, n_chunks = k_padded / CHUNK;
    const uint last_panel = (last_column - first_column - 1u) / PANEL;
    if (first_panel > last_panel)
        return;

    float total[PANELS][ROWS];
    SUM sum[PANELS][ROWS];
    [[unroll]] for (uint p = 0u; p < PANELS; p++)
        [[unroll]] for (uint m = 0u; m < ROWS; m++) {
            total[p][m] = 0.0;
            sum[p][m] = SUM(0);
        }
    // Weights are asked for a round ahead, the first ones before anything else.
    uvec4 next[PANELS];
    [[unroll]] for (uint p = 0u; p < PANELS; p++)
        next[p] = weights[(min(first_panel + p, last_panel) * n_chunks + min(slot, n_chunks - 1u)) * PANEL + lane];
#if IS_INT
    Quantizer quantizers[ROWS];
    [[unroll]] for (uint m = 0u; m < ROWS; m++)
        quantizers[m] = quantizer_of(m);
#endif

    for (uint c = slot; c < n_chunks; c += SLOTS) {
        uvec4 w[PANELS];
        [[unroll]] for (uint p = 0u; p < PANELS; p++) {
            w[p] = next[p];
            if (c + SLOTS < n_chunks)
                next[p] = weights[(min(first_panel + p, last_panel) * n_chunks + c + SLOTS) * PANEL + lane];
        }
        [[unroll]] for (uint i = 0u; i < 4u; i++) {
            const uint k = c * CHUNK + i * PER_WORD;
            Operand a[ROWS];
            [[unroll]] for (uint m = 0u; m < ROWS; m++)
                a[m] = load(m, k);
            [[unroll]] for (uint p = 0u; p < PANELS; p++) {
#if IS_INT
                multiply(w[p][i], a, quantizers, sum[p]);
                if (ONE_GROUP != 0u)
                    continue;
#else
                multiply(w[p][i], a, sum[p]);
#endif
                if ((i + 1u) % WORDS_PER_SCALE != 0u)
                    continue;
                const uint n = first_column + min(first_panel + p, last_panel) * PANEL + lane;
                const float scale = scales[min(k / group_padded, n_groups - 1u) * n_padded + n];
                [[unroll]] for (uint m = 0u; m < ROWS; m++) {
#if IS_INT
                    precise float factor = quantizers[m].scale * scale;
                    total[p][m] += float(sum[p][m] >> SUM_SHIFT) * factor;
#else
                    total[p][m] += sum[p][m] * scale;
#endif
                    sum[p][m] = SUM(0);
                }
            }
        }
    }

    // Sums over the slots: first inside the subgroup, then among the subgroups.
    const uint subgroup = gl_LocalInvocationIndex / SUBGROUP;
    [[unroll]] for (uint p = 0u; p < PANELS; p++)
        [[unroll]] for (uint m = 0u; m < ROWS; m++) {
            [[unroll]] for (uint step = PANEL; step < SUBGROUP; step <<= 1)
                total[p][m] += subgroupShuffleXor(total[p][m], step);
            if (gl_LocalInvocationIndex % SUBGROUP < PANEL)
                shared_totals[subgroup * SUMS + (p * ROWS + m) * PANEL + lane] = total[p][m];
#if IS_INT
            if (ONE_GROUP != 0u) {
                [[unroll]] for (uint step = PANEL; step < SUBGROUP; step <<= 1)
                    sum[p][m] += subgroupShuffleXor(sum[p][m], step);
                if (gl_LocalInvocationIndex % SUBGROUP < PANEL)
                    shared_sums[subgroup * SUMS + (p * ROWS + m) * PANEL + lane] = sum[p][m];
            }
#endif
        }
    barrier();
    for (uint i = gl_LocalInvocationIndex; i < SUMS >> GATED >> elements_shift(out_type); i += THREADS)
#if IS_INT
        store_word(i, first_panel, quantizers);
#else
        store_word(i, first_panel);
#endif
}
