// Linear for one row of activations, on GPUs with a packed int8 dot product: bound by reading the weights once. A work
// group takes PANELS panels of 8 columns and all of k: an invocation has one row of each panel and every SLOTS-th chunk
// of 16 bytes, so that a subgroup reads whole lines. The first AHEAD chunks are asked for before anything else and
// travel while the work group brings the activations into shared memory as int8.
//
// Float activations become int8 digits to base 256, two for float16 and three for float32, of a step that each chunk's
// columns of k share: a power of two, such that the largest of them just fits. Products are exact from there on. What is
// lost: of float16, less than a 32nd of the largest one's own rounding; of float32, less than 2^-22 of the largest.
//
// With NORM the activations are normalized first (lib/rms.glsl): every work group sums the row's squares itself.
//
// BITS  4 or 8: the weights'
// ACT   1 float32, 2 float16: as they are; 4 float32, 5 float16: quantized here, with a scale and a zero point of the row
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#extension GL_KHR_shader_subgroup_shuffle : require
#if ACT >= 4
#extension GL_KHR_shader_subgroup_arithmetic : require
#endif

#include "dot8.glsl"
#include "elements.glsl"
#include "flat_id.glsl"
#include "linear.glsl"
#include "linear_gate.glsl"
#include "linear_word.glsl"
#include "qint8.glsl"
#include "qparams.glsl"

#define IS_HALF (ACT == 2 || ACT == 5)
#define IS_INT  (ACT >= 4)
#if IS_INT
#define NORM_WEIGHTS 8
#else
#define NORM_WEIGHTS 6
#endif
#if ACT == 1
#define DIGITS 3
#elif ACT == 2
#define DIGITS 2
#else
#define DIGITS 1
#endif
#define CHUNK (128u / BITS)  // columns of k
#define UNIT  8u             // columns of k that an invocation quantizes: two words of a digit

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint THREADS = 256u;
layout(constant_id = 1) const uint PANELS = 1u;
layout(constant_id = 2) const uint AHEAD = 4u; // chunks of each panel under way for an invocation
layout(constant_id = 3) const uint K = 4096u;  // k_padded
layout(constant_id = 4) const uint GROUP_CHUNKS = 2u; // that share a scale; 0: one group
layout(constant_id = 5) const uint SUBGROUP = 32u;
layout(constant_id = 6) const uint NORM = 0u;
layout(constant_id = 7) const uint ROUNDING = 0u;
layout(constant_id = 8) const uint KEPT = 1u; // with NORM: units of an invocation, which stay in its registers
layout(constant_id = 9) const uint GATED = 0u; // 1: two columns of sums make one of the result (linear_gate.glsl)

const uint SLOTS = THREADS / PANEL;
const uint SUBGROUPS = THREADS / SUBGROUP;
const uint SUMS = PANELS * PANEL; // a work group's results
const uint CHUNKS = K / CHUNK;
const uint UNITS = K / UNIT;
const uint QUADS = K / 16u; // of a digit

#define NORM_HALF bool(IS_HALF)
#include "rms.glsl"

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
layout(set = 0, binding = NORM_WEIGHTS) readonly buffer NormWeights
{
    uvec4 norm_weights[];
};
#if IS_INT
layout(set = 0, binding = 6) readonly buffer ActivationScales
{
    uint scale_words[];
};
layout(set = 0, binding = 7) readonly buffer ActivationZeroPoints
{
    uint zero_point_words[];
};
ELEMENT_READER(read_scale, scale_words)
ELEMENT_READER(read_zero_point, zero_point_words)

shared vec2 shared_ranges[SUBGROUPS];
shared vec3 shared_quantizer; // what the first subgroup made of them
#else
shared float shared_steps[CHUNKS]; // NaN where a chunk's activations are not all finite
#endif
shared float shared_squares[SUBGROUPS]; // with NORM
shared uvec4 shared_digits[uint(DIGITS) * QUADS];
shared uint shared_sums[SUBGROUPS * SUMS]; // float32; int32 where sums stay whole numbers to the end

// ---- activations into shared memory -------------------------------------------------------------------------------------

void load_unit(uint unit, out vec4 x[2])
{
#if IS_HALF
    const uvec4 quad = activations[unit];
    x[0] = vec4(unpackHalf2x16(quad.x), unpackHalf2x16(quad.y));
    x[1] = vec4(unpackHalf2x16(quad.z), unpackHalf2x16(quad.w));
#else
    x[0] = uintBitsToFloat(activations[unit * 2u]);
    x[1] = uintBitsToFloat(activations[unit * 2u + 1u]);
#endif
}

// Weights of the norm for a unit.
void load_norm_weights(uint unit, out vec4 w[2])
{
    if (NORM == 1u + DTYPE_F16) {
        const uvec4 quad = norm_weights[unit];
        w[0] = vec4(unpackHalf2x16(quad.x), unpackHalf2x16(quad.y));
        w[1] = vec4(unpackHalf2x16(quad.z), unpackHalf2x16(quad.w));
    } else if (NORM == 1u + DTYPE_F32) {
        w[0] = uintBitsToFloat(norm_weights[unit * 2u]);
        w[1] = uintBitsToFloat(norm_weights[unit * 2u + 1u]);
    } else {
        w[0] = w[1] = vec4(1.0);
    }
}

// With NORM: this invocation's activations, and what the row is multiplied with.
vec4 kept_low[KEPT], kept_high[KEPT];
float row_rstd;

void normalize_row()
{
    vec4 x[2], w_low[KEPT], w_high[KEPT], w[2];
    float squares = 0.0;
    [[unroll]] for (uint i = 0u; i < KEPT; i++) {
        const uint unit = gl_LocalInvocationIndex + i * THREADS;
        if (unit < UNITS) {
            load_unit(unit, x);
            load_norm_weights(unit, w);
            kept_low[i] = x[0];
            kept_high[i] = x[1];
            w_low[i] = w[0];
            w_high[i] = w[1];
            squares += norm_squares(x[0]) + norm_squares(x[1]);
        }
    }
    [[unroll]] for (uint other = 1u; other < SUBGROUP; other <<= 1)
        squares += subgroupShuffleXor(squares, other);
    if (gl_LocalInvocationIndex % SUBGROUP == 0u)
        shared_squares[gl_LocalInvocationIndex / SUBGROUP] = squares;
    barrier();
    squares = 0.0;
    for (uint s = 0u; s < SUBGROUPS; s++)
        squares += shared_squares[s];
    row_rstd = norm_rstd(squares, K, norm_eps);
    [[unroll]] for (uint i = 0u; i < KEPT; i++)
        if (gl_LocalInvocationIndex + i * THREADS < UNITS) {
            kept_low[i] = normalize_four(kept_low[i], row_rstd, w_low[i]);
            kept_high[i] = normalize_four(kept_high[i], row_rstd, w_high[i]);
        }
}

// Runs the statement for every unit of this invocation, with its number and activations under these names.
#define FOR_UNITS(unit, x, statement)                                                                                  \
    if (NORM != 0u) {                                                                                                  \
        [[unroll]] for (uint i = 0u; i < KEPT; i++) {                                                                  \
            const uint unit = gl_LocalInvocationIndex + i * THREADS;                                                   \
            if (unit < UNITS) {                                                                                        \
                vec4 x[2] = vec4[2](kept_low[i], kept_high[i]);                                                        \
                statement;                                                                                             \
            }                                                                                                          \
        }                                                                                                              \
    } else {                                                                                                           \
        for (uint unit = gl_LocalInvocationIndex; unit < UNITS; unit += THREADS) {                                     \
            vec4 x[2];                                                                                                 \
            load_unit(unit, x);                                                                                        \
            statement;                                                                                                 \
        }                                                                                                              \
    }

// In the order in which the weights' bytes come.
void share_unit(uint digit, uint unit, ivec4 low, ivec4 high)
{
#if BITS == 4
    const uvec2 words = uvec2(pack_bytes(ivec4(low.x, high.x, low.y, high.y)), pack_bytes(ivec4(low.z, high.z, low.w, high.w)));
#else
    const uvec2 words = uvec2(pack_bytes(low), pack_bytes(high));
#endif
    if (unit % 2u == 0u)
        shared_digits[digit * QUADS + unit / 2u].xy = words;
    else
        shared_digits[digit * QUADS + unit / 2u].zw = words;
}

#if !IS_INT
// A power of two, of which `bits` (of a positive float) is just what the digits can say.
float step_of(uint bits)
{
#if DIGITS == 2
    // 2^15 or less, and no more than 32639, the most that two signed digits can say: one bit less where it is 255/128 or
    // more of a power of two.
    const uint less = 14u - ((bits & 0x7fffffu) >= 0x7f0000u ? 1u : 0u);
#else
    const uint less = 21u; // 2^22 or less: rounded by adding 1.5 * 2^23
#endif
    return uintBitsToFloat(max(bits >> 23, less + 1u) - less << 23);
}

void share_digits(uint unit, vec4 x[2])
{
    // Bits of magnitudes are ordered as they are; those of infinities and NaN are above all others.
    const uvec4 bits = max(floatBitsToUint(x[0]) & 0x7fffffffu, floatBitsToUint(x[1]) & 0x7fffffffu);
    uint largest = max(max(bits.x, bits.y), max(bits.z, bits.w));
    [[unroll]] for (uint other = 1u; other < CHUNK / UNIT; other <<= 1)
        largest = max(largest, subgroupShuffleXor(largest, other));
    const float size = step_of(largest), inverse = 1.0 / size;
    ivec4 digits[2];
    // Added to 1.5 * 2^23 a number is rounded to a whole one, which its lower bits then are.
    [[unroll]] for (uint i = 0u; i < 2u; i++)
        digits[i] = floatBitsToInt(x[i] * inverse + 12582912.0) - 0x4b400000;
    [[unroll]] for (uint digit = 0u; digit < DIGITS; digit++) {
        share_unit(digit, unit, digits[0], digits[1]);
        [[unroll]] for (uint i = 0u; i < 2u; i++)
            digits[i] = (digits[i] + 128) >> 8;
    }
    if (unit % (CHUNK / UNIT) == 0u)
        shared_steps[unit / (CHUNK / UNIT)] = largest < 0x7f800000u ? size : uintBitsToFloat(NAN_BITS);
}

void share_activations()
{
    FOR_UNITS(unit, x, share_digits(unit, x))
}
#else
struct Quantizer
{
    float scale, inverse_scale;
    int zero_point;
};

// Bits of floats that are not negative are ordered as they are, and whole numbers are compared in one instruction on some
// devices.
vec2 range_in_subgroup(vec2 range)
{
    const uint low = subgroupMax(floatBitsToUint(range.x) & 0x7fffffffu);
    return vec2(-uintBitsToFloat(low), uintBitsToFloat(subgroupMax(floatBitsToUint(range.y) & 0x7fffffffu)));
}

// largest: bits of the largest magnitude; those of NaN and infinities are above all others.
void join_unit(vec4 x[2], inout vec2 range, inout uint largest)
{
    const vec4 low = min(x[0], x[1]), high = max(x[0], x[1]);
    range.x = min(range.x, min(min(low.x, low.y), min(low.z, low.w)));
    range.y = max(range.y, max(max(high.x, high.y), max(high.z, high.w)));
    const uvec4 bits = max(floatBitsToUint(x[0]) & 0x7fffffffu, floatBitsToUint(x[1]) & 0x7fffffffu);
    largest = max(largest, max(max(bits.x, bits.y), max(bits.z, bits.w)));
}

// The range of the row with 0; the first subgroup gets the whole work group's. With NaN or infinities in the row it is
// infinite: the scale is then NaN, and so is every result.
vec2 range_of_row()
{
    vec2 range = vec2(0.0);
    uint largest = 0u;
    FOR_UNITS(unit, x, join_unit(x, range, largest))
    if (largest >= 0x7f800000u)
        range = uintBitsToFloat(uvec2(0xff800000u, 0x7f800000u));
    range = range_in_subgroup(range);
    if (gl_LocalInvocationIndex % SUBGROUP == 0u)
        shared_ranges[gl_LocalInvocationIndex / SUBGROUP] = range;
    barrier();
    for (uint s = gl_LocalInvocationIndex; s < SUBGROUPS; s += SUBGROUP)
        range = vec2(min(range.x, shared_ranges[s].x), max(range.y, shared_ranges[s].y));
    return range_in_subgroup(range);
}

Quantizer quantizer_of_row()
{
    float scale = activation_scale, inverse = activation_inverse_scale;
    int zero_point = activation_zero_point;
    if (chosen_here != 0u) {
        // One subgroup for all: exact divisions are long.
        const vec2 range = range_of_row();
        if (gl_LocalInvocationIndex < SUBGROUP) {
            scale = int8_scale(range, IS_HALF);
            shared_quantizer = vec3(scale, exact_div(1.0, scale), int8_zero_point(range, scale, IS_HALF));
        }
        barrier();
        scale = shared_quantizer.x;
        inverse = shared_quantizer.y;
        zero_point = int(shared_quantizer.z);
    } else if (scale_type != 0u) {
        scale = read_scale(scale_type, 0u);
        inverse = exact_div(1.0, scale);
        zero_point = int(clamp(read_zero_point(zero_point_type, 0u), -128.0, 127.0));
    }
    return Quantizer(is_finite(scale) ? scale : uintBitsToFloat(NAN_BITS), inverse, zero_point);
}

void quantize_unit(uint unit, vec4 x[2], Quantizer quantizer, float z)
{
    ivec4 q[2];
    [[unroll]] for (uint i = 0u; i < 2u; i++)
        [[unroll]] for (uint j = 0u; j < 4u; j++)
            q[i][j] = quantize_int8(x[i][j], quantizer.inverse_scale, z);
    share_unit(0u, unit, q[0], q[1]);
}

void share_activations(Quantizer quantizer)
{
    const float z = float(quantizer.zero_point);
    FOR_UNITS(unit, x, quantize_unit(unit, x, quantizer, z))
}
#endif

// ---- a chunk of weights against the activations it meets ---------------------------------------------------------------

// Sum of the products of chunk c's weights and a digit.
int dot_chunk(uvec4 w, uint digit, uint c)
{
    int sum = 0;
#if BITS == 4
    [[unroll]] for (uint half_chunk = 0u; half_chunk < 2u; half_chunk++) {
        const uvec4 q = shared_digits[digit * QUADS + c * 2u + half_chunk];
        [[unroll]] for (uint i = 0u; i < 2u; i++) {
            const uint word = w[2u * half_chunk + i];
            sum += dot8(int(q[2u * i]), int((word << 4) & 0xf0f0f0f0u)) + dot8(int(q[2u * i + 1u]), int(word & 0xf0f0f0f0u));
        }
    }
#else
    const uvec4 q = shared_digits[digit * QUADS + c];
    [[unroll]] for (uint i = 0u; i < 4u; i++)
        sum += dot8(int(q[i]), int(w[i]));
#endif
    return sum;
}

#if !IS_INT
int weight_at(uvec4 w, uint k)
{
#if BITS == 4
    return int(w[k / 8u] << nibble_shift(k % 8u)) >> 28;
#else
    return int(w[k / 4u] << (24u - 8u * (k % 4u))) >> 24;
#endif
}

// Where activations are not finite: what infinity and NaN make of a sum depends on each weight.
float sum_not_finite(uvec4 w, uint c)
{
    float sum = 0.0;
    for (uint k = 0u; k < CHUNK; k++) {
        const uint at = c * CHUNK + k;
#if IS_HALF
        float x = unpackHalf2x16(activations[at / 8u][at / 2u % 4u] >> (16u * (at & 1u))).x;
#else
        float x = uintBitsToFloat(activations[at / 4u][at % 4u]);
#endif
        if (NORM != 0u) {
            vec4 w[2];
            load_norm_weights(at / UNIT, w);
            x = normalize_one(x, row_rstd, w[at / 4u % 2u][at % 4u]);
        }
        sum += x * float(weight_at(w, k));
    }
    return sum;
}

float sum_of_chunk(uvec4 w, uint c)
{
    const float size = shared_steps[c];
    if (!is_finite(size))
        return sum_not_finite(w, c);
    float sum = float(dot_chunk(w, 0u, c) + 256 * dot_chunk(w, 1u, c));
#if DIGITS == 3
    sum += 65536.0 * float(dot_chunk(w, 2u, c));
#endif
    return sum * (size * (1.0 / float(1 << SUM_SHIFT)));
}
#else
int sum_of_chunk(uvec4 w, uint c, Quantizer quantizer)
{
    int weight_sum = 0;
    [[unroll]] for (uint i = 0u; i < 4u; i++)
#if BITS == 4
        weight_sum += dot8(0x01010101, int((w[i] << 4) & 0xf0f0f0f0u)) + dot8(0x01010101, int(w[i] & 0xf0f0f0f0u));
#else
        weight_sum += dot8(0x01010101, int(w[i]));
#endif
    return dot_chunk(w, 0u, c) - quantizer.zero_point * weight_sum;
}
#endif

// ---- results -------------------------------------------------------------------------------------------------------------

#if IS_INT
float result_of(uint column, uint n, Quantizer quantizer)
#else
float result_of(uint column, uint n)
#endif
{
    precise float y = 0.0;
#if IS_INT
    if (GROUP_CHUNKS == 0u) {
        int sum = 0;
        for (uint s = 0u; s < SUBGROUPS; s++)
            sum += int(shared_sums[s * SUMS + column]);
        precise float factor = quantizer.scale * scales[n];
        y = float(sum >> SUM_SHIFT) * factor;
    } else
#endif
        for (uint s = 0u; s < SUBGROUPS; s++)
            y += uintBitsToFloat(shared_sums[s * SUMS + column]);
#if !IS_INT
    if (GROUP_CHUNKS == 0u)
        y *= scales[n];
#endif
    y += scales[n_groups * n_padded + n];
    return y;
}

void main()
{
    const uint group = flat_group();
    const uint first_panel = group * PANELS, lane = gl_LocalInvocationIndex % PANEL;
    const uint slot = gl_LocalInvocationIndex / PANEL;
    const uint last_panel = (last_column - first_column - 1u) / PANEL;
    if (first_panel > last_panel)
        return;

    uint weights_at[PANELS], scales_at[PANELS]; // of chunk 0, group 0
    float total[PANELS];
#if IS_INT
    int sum[PANELS]; // where there is one group
#endif
    uvec4 next[PANELS * AHEAD];
    float next_scale[PANELS * AHEAD];
    [[unroll]] for (uint p = 0u; p < PANELS; p++) {
        const uint panel = min(first_panel + p, last_panel);
        weights_at[p] = panel * CHUNKS * PANEL + lane;
        scales_at[p] = first_column + panel * PANEL + lane;
        total[p] = 0.0;
#if IS_INT
        sum[p] = 0;
#endif
    }
#define FETCH(c, p, into)                                                                                              \
    next[into] = weights[weights_at[p] + (c) * PANEL];                                                                 \
    if (GROUP_CHUNKS != 0u)                                                                                            \
        next_scale[into] = scales[scales_at[p] + min((c) / max(GROUP_CHUNKS, 1u), n_groups - 1u) * n_padded];
    [[unroll]] for (uint a = 0u; a < AHEAD; a++)
        [[unroll]] for (uint p = 0u; p < PANELS; p++) {
            const uint c = min(slot + a * SLOTS, CHUNKS - 1u);
            FETCH(c, p, a * PANELS + p)
        }
    if (NORM != 0u)
        normalize_row();
#if IS_INT
    const Quantizer quantizer = quantizer_of_row();
    share_activations(quantizer);
#else
    share_activations();
#endif
    barrier();

    for (uint first = slot; first < CHUNKS; first += SLOTS * AHEAD) {
        [[unroll]] for (uint a = 0u; a < AHEAD; a++) {
            const uint c = first + a * SLOTS;
            if (c < CHUNKS) {
                [[unroll]] for (uint p = 0u; p < PANELS; p++) {
                    const uvec4 w = next[a * PANELS + p];
                    const float scale = GROUP_CHUNKS != 0u ? next_scale[a * PANELS + p] : 1.0;
                    if (c + SLOTS * AHEAD < CHUNKS) {
                        FETCH(c + SLOTS * AHEAD, p, a * PANELS + p)
                    }
#if !IS_INT
                    total[p] += sum_of_chunk(w, c) * scale;
#else
                    const int products = sum_of_chunk(w, c, quantizer);
                    if (GROUP_CHUNKS == 0u) {
                        sum[p] += products;
                    } else {
                        precise float factor = quantizer.scale * scale;
                        total[p] += float(products >> SUM_SHIFT) * factor;
                    }
#endif
                }
            }
        }
    }

    // Sums over the slots: first inside the subgroup, then among the subgroups.
    [[unroll]] for (uint p = 0u; p < PANELS; p++) {
#if IS_INT
        if (GROUP_CHUNKS == 0u) {
            [[unroll]] for (uint other = PANEL; other < SUBGROUP; other <<= 1)
                sum[p] += subgroupShuffleXor(sum[p], other);
            total[p] = intBitsToFloat(sum[p]);
        } else
#endif
            [[unroll]] for (uint other = PANEL; other < SUBGROUP; other <<= 1)
                total[p] += subgroupShuffleXor(total[p], other);
        if (gl_LocalInvocationIndex % SUBGROUP < PANEL)
            shared_sums[gl_LocalInvocationIndex / SUBGROUP * SUMS + p * PANEL + lane] = floatBitsToUint(total[p]);
    }
    barrier();

#if IS_INT
#define RESULT_OF(column, n) result_of(column, n, quantizer)
#else
#define RESULT_OF(column, n) result_of(column, n)
#endif
    // A word of the result each: a float32, two float16 or four int8.
    const uint shift = elements_shift(out_type);
    for (uint i = gl_LocalInvocationIndex; i < SUMS >> GATED >> shift; i += THREADS) {
        const uint column = GATED != 0u ? gate_column(i << shift) : i << shift;
        const uint n = first_column + first_panel * PANEL + column, at = GATED != 0u ? gated_column(n) : n;
        uint word = 0u;
        if (n >= last_column)
            continue;
        for (uint e = 0u; e < 1u << shift; e++) {
            float y = RESULT_OF(column + e, min(n + e, n_padded - 1u));
            if (GATED != 0u)
                y = gated(y, RESULT_OF(column + PANEL + e, n + PANEL + e));
            word |= word_part(y, at + e, e);
        }
        result_words[at >> shift] = word;
    }
}
