// The activations of a linear in the form its kernel wants: rows padded to k_padded elements, groups of group_size
// columns moved apart to group_padded (0 between), converted or quantized. An invocation makes four words. After a
// quantized row come eight words more: its scale and zero point (of a pair: both scales, then both zero points).
//
// X       type of the source: 1 float32, 2 float16, 5 int8 (the codes of elements.glsl)
// RANGE   scales and zero points are chosen here, as torchao.choose_qparams_affine would: a work group makes a row (or a
//         pair). 2: the work group is one subgroup, for CPU devices, where barriers are dear. These normalize the rows
//         first, with NORM (lib/rms.glsl).
// FORM    what the words hold:
//   FORM_F32   a float32
//   FORM_F16   two float16
//   FORM_I8    four quantized values q; permuted: of eight neighbours, 0, 4, 1, 5 and then 2, 6, 3, 7
//   FORM_I32   one q - zero_point
//   FORM_PAIR  q - zero_point of an even row plus 65536 times that of the next
#version 450
#extension GL_GOOGLE_include_directive : require
#if RANGE == 2
#extension GL_KHR_shader_subgroup_arithmetic : require
#endif

#include "elements.glsl"
#include "flat_id.glsl"
#include "qint8.glsl"
#include "qparams.glsl"

#define FORM_F32  0
#define FORM_F16  1
#define FORM_I8   2
#define FORM_I32  3
#define FORM_PAIR 4

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint THREADS = 64u;
#if RANGE
layout(constant_id = 1) const uint NORM = 0u;
layout(constant_id = 2) const uint ROUNDING = 0u;
#define NORM_HALF bool(X == 2)
#include "rms.glsl"
#endif
layout(set = 0, binding = 0) uniform Params
{
    uint n_rows; // of the source
    uint k_source;
    uint k_padded;
    uint group_size;
    uint group_padded;
    uint n_out_rows; // of the result: rows, or pairs of rows
    uint row_quads;  // four words each, the scale's included
    uint scale_type; // 0: one for all, below
    uint zero_point_type;
    uint per_row; // 0: element 0 of the scales holds for all rows
    float static_scale;
    float static_inverse_scale;
    float static_zero_point;
    uint permuted;
    float norm_eps;
};
layout(set = 0, binding = 1) readonly buffer X_words
{
    uint x_words[];
};
layout(set = 0, binding = 1) readonly buffer X_fours
{
#if X == 1
    uvec4 x_fours[];
#elif X == 2
    uvec2 x_fours[];
#else
    uint x_fours[];
#endif
};
#if RANGE
layout(set = 0, binding = 2) readonly buffer NormWeights
{
    uint norm_weight_words[];
};
#else
layout(set = 0, binding = 2) readonly buffer Scales
{
    uint scale_words[];
};
layout(set = 0, binding = 3) readonly buffer ZeroPoints
{
    uint zero_point_words[];
};
#endif
layout(set = 0, binding = 4) writeonly buffer Y
{
    uvec4 y_quads[];
};

ELEMENT_READER(read_x, x_words)
#if RANGE
ELEMENT_READER(read_norm_weight, norm_weight_words)
#else
ELEMENT_READER(read_scale, scale_words)
ELEMENT_READER(read_zero_point, zero_point_words)
#endif

// Column of the source that belongs at column k, or k_source where there is padding.
uint source_column(uint k)
{
    if (group_padded == group_size)
        return min(k, k_source);
    const uint within = k % group_padded;
    return within < group_size ? min(k / group_padded * group_size + within, k_source) : k_source;
}

float load(uint row, uint k)
{
    const uint column = source_column(k);
    return row < n_rows && column < k_source ? read_x(X, row * k_source + column) : 0.0;
}

// Four neighbours of a row from column k on, k a multiple of 4.
vec4 load4(uint row, uint k)
{
    // Whole words, when the columns are where they were and rows start at words.
    if (group_padded == group_size && k + 4u <= k_source && row < n_rows && (k_source & 3u) == 0u) {
        const uint at = (row * k_source + k) / 4u;
#if X == 1
        return uintBitsToFloat(x_fours[at]);
#elif X == 2
        return vec4(unpackHalf2x16(x_fours[at].x), unpackHalf2x16(x_fours[at].y));
#else
        return vec4(unpack_bytes(x_fours[at]));
#endif
    }
    return vec4(load(row, k), load(row, k + 1u), load(row, k + 2u), load(row, k + 3u));
}

#if FORM >= FORM_I8
struct Quantizer
{
    float scale, inverse_scale, zero_point;
    float rstd; // with NORM: what the row is multiplied with
};

#if RANGE
#if RANGE == 1
shared vec2 shared_range[THREADS];
shared vec3 shared_quantizer; // of the row: scale, its inverse, zero point
#endif

// Sum over the work group.
float sum_of(float value)
{
#if RANGE == 2
    return subgroupAdd(value);
#else
    barrier(); // the row before may still be read
    shared_range[gl_LocalInvocationIndex].x = value;
    for (uint step = THREADS / 2u; step > 0u; step /= 2u) {
        barrier();
        if (gl_LocalInvocationIndex < step)
            shared_range[gl_LocalInvocationIndex].x += shared_range[gl_LocalInvocationIndex + step].x;
    }
    barrier();
    return shared_range[0].x;
#endif
}

float rstd_of(uint row)
{
    float squares = 0.0;
    if (NORM == 0u)
        return 1.0;
    if (row < n_rows)
        for (uint k = gl_LocalInvocationIndex * 4u; k < k_padded; k += THREADS * 4u)
            squares += norm_squares(load4(row, k));
    return norm_rstd(sum_of(squares), k_source, norm_eps);
}

// Padding stays 0.
float normalized(float x, uint k, float rstd)
{
    const uint column = source_column(k);
    if (column >= k_source)
        return 0.0;
    return normalize_one(x, rstd, NORM > 1u ? read_norm_weight(NORM - 1u, column) : 1.0);
}

// load4, normalized.
vec4 activations4(uint row, uint k, float rstd)
{
    const vec4 x = load4(row, k);
    if (NORM == 0u || row >= n_rows)
        return x;
    return vec4(normalized(x.x, k, rstd), normalized(x.y, k + 1u, rstd), normalized(x.z, k + 2u, rstd),
                normalized(x.w, k + 3u, rstd));
}

vec2 range_of(uint row, float rstd)
{
    vec2 range = vec2(0.0);
    if (row < n_rows)
        for (uint k = gl_LocalInvocationIndex * 4u; k < k_padded; k += THREADS * 4u)
            range = join_values(range, activations4(row, k, rstd));
#if RANGE == 2
    const bool nan = subgroupMax(is_nan_range(range) ? 1u : 0u) != 0u;
    return nan ? NAN_RANGE : vec2(subgroupMin(range.x), subgroupMax(range.y));
#else
    barrier(); // the row before may still be read
    shared_range[gl_LocalInvocationIndex] = range;
    for (uint step = THREADS / 2u; step > 0u; step /= 2u) {
        barrier();
        if (gl_LocalInvocationIndex < step)
            shared_range[gl_LocalInvocationIndex] = join_ranges(shared_range[gl_LocalInvocationIndex],
                                                                shared_range[gl_LocalInvocationIndex + step]);
    }
    barrier();
    return shared_range[0];
#endif
}

Quantizer quantizer_of(uint row)
{
    const float rstd = rstd_of(row);
    const vec2 range = range_of(row, rstd);
#if RANGE == 1
    // One invocation for all: exact divisions are long.
    if (gl_LocalInvocationIndex == 0u) {
        const float scale = int8_scale(range, X == 2);
        shared_quantizer = vec3(scale, exact_div(1.0, scale), int8_zero_point(range, scale, X == 2));
    }
    barrier();
    return Quantizer(shared_quantizer.x, shared_quantizer.y, shared_quantizer.z, rstd);
#else
    const float scale = int8_scale(range, X == 2);
    return Quantizer(scale, exact_div(1.0, scale), int8_zero_point(range, scale, X == 2), rstd);
#endif
}
#else
Quantizer quantizer_of(uint row)
{
    const uint index = per_row != 0u ? min(row, n_rows - 1u) : 0u;
    if (scale_type == 0u)
        return Quantizer(static_scale, static_inverse_scale, static_zero_point, 1.0);
    const float scale = read_scale(scale_type, index);
    return Quantizer(scale, exact_div(1.0, scale), clamp(read_zero_point(zero_point_type, index), -128.0, 127.0), 1.0);
}
#endif

// A row with NaN or infinities gives NaN, as in PyTorch.
uint scale_word(Quantizer q)
{
    return is_finite(q.scale) ? floatBitsToUint(q.scale) : NAN_BITS;
}

// Padding has no effect whatever it is quantized to: its weights are 0.
ivec4 quantize4(uint row, uint k, Quantizer q)
{
#if RANGE
    const vec4 x = activations4(row, k, q.rstd);
#else
    const vec4 x = load4(row, k);
#endif
#if X == 5
    return ivec4(x);
#else
    return ivec4(quantize_int8(x.x, q.inverse_scale, q.zero_point),
                 quantize_int8(x.y, q.inverse_scale, q.zero_point),
                 quantize_int8(x.z, q.inverse_scale, q.zero_point),
                 quantize_int8(x.w, q.inverse_scale, q.zero_point));
#endif
}
#endif

#if FORM < FORM_I8
uvec4 quad_of(uint row, uint quad)
{
#if FORM == FORM_F32
    return floatBitsToUint(load4(row, quad * 4u));
#else
    const vec4 a = load4(row, quad * 8u), b = load4(row, quad * 8u + 4u);
    return uvec4(pack_halves(a.x, a.y), pack_halves(a.z, a.w), pack_halves(b.x, b.y), pack_halves(b.z, b.w));
#endif
}
#elif FORM == FORM_PAIR
uvec4 quad_of(uint row, uint quad, Quantizer even, Quantizer odd)
{
    if (quad * 4u >= k_padded)
        return uvec4(scale_word(even), scale_word(odd), int(even.zero_point), int(odd.zero_point));
    return uvec4(quantize4(row * 2u, quad * 4u, even) - int(even.zero_point)) +
           (uvec4(quantize4(row * 2u + 1u, quad * 4u, odd) - int(odd.zero_point)) << 16);
}
#else
uvec4 quad_of(uint row, uint quad, Quantizer q)
{
    const uint k = quad * (FORM == FORM_I8 ? 16u : 4u);
    if (k >= k_padded)
        return uvec4(scale_word(q), int(q.zero_point), 0u, 0u);
#if FORM == FORM_I32
    return uvec4(quantize4(row, k, q) - int(q.zero_point));
#else
    const ivec4 a = quantize4(row, k, q), b = quantize4(row, k + 4u, q);
    const ivec4 c = quantize4(row, k + 8u, q), d = quantize4(row, k + 12u, q);
    if (permuted != 0u)
        return uvec4(pack_bytes(ivec4(a.x, b.x, a.y, b.y)), pack_bytes(ivec4(a.z, b.z, a.w, b.w)),
                     pack_bytes(ivec4(c.x, d.x, c.y, d.y)), pack_bytes(ivec4(c.z, d.z, c.w, d.w)));
    return uvec4(pack_bytes(a), pack_bytes(b), pack_bytes(c), pack_bytes(d));
#endif
}
#endif

void main()
{
#if RANGE
    const uint row = flat_group();
    if (row >= n_out_rows)
        return;
#if FORM == FORM_PAIR
    const Quantizer even = quantizer_of(row * 2u), odd = quantizer_of(row * 2u + 1u);
    for (uint quad = gl_LocalInvocationIndex; quad < row_quads; quad += THREADS)
        y_quads[row * row_quads + quad] = quad_of(row, quad, even, odd);
#else
    const Quantizer q = quantizer_of(row);
    for (uint quad = gl_LocalInvocationIndex; quad < row_quads; quad += THREADS)
        y_quads[row * row_quads + quad] = quad_of(row, quad, q);
#endif
#else
    const uint index = flat_id(), row = index / row_quads;
    if (row >= n_out_rows)
        return;
#if FORM < FORM_I8
    y_quads[index] = quad_of(row, index % row_quads);
#elif FORM == FORM_PAIR
    y_quads[index] = quad_of(row, index % row_quads, quantizer_of(row * 2u), quantizer_of(row * 2u + 1u));
#else
    y_quads[index] = quad_of(row, index % row_quads, quantizer_of(row));
#endif
#endif
}
