// Layer, group and rms norm: rows of `n` elements, each normalised by its own statistics, one row a work group.
// Layer and rms norm have a weight and bias for each element; with CHANNELS (group norm) element i of row r has those of
// channel (i / repeat + r * (n / repeat)) % n_weights.
// QUADS: rows begin and end at multiples of 4 elements, and are read four elements at a time.
#version 450
#extension GL_GOOGLE_include_directive : require

#include "flat_id.glsl"
#include "quad_io.glsl"
#include "tensor_io.glsl"

layout(local_size_x_id = 0) in;
layout(constant_id = 1) const uint X_TYPE = DTYPE_F32;
layout(constant_id = 2) const uint Y_TYPE = DTYPE_F32;
layout(constant_id = 3) const uint WEIGHT_TYPE = 0; // 0: none
layout(constant_id = 4) const uint BIAS_TYPE = 0;
layout(constant_id = 5) const bool RMS = false; // divide by the root mean square; subtract nothing
layout(constant_id = 6) const bool CHANNELS = false;
layout(constant_id = 7) const uint ROUNDING = 0u; // of rms norm: qvk__rms_rounding (src/core/semantics.h)

layout(set = 0, binding = 0) uniform Params
{
    uint rows, n, repeat, n_weights;
    float eps;
};
QUAD_INPUT(x, 1)
QUAD_INPUT(weight, 2)
QUAD_INPUT(bias, 3)
QUAD_OUTPUT(y, 4)
#ifdef WITH_STATISTICS
layout(set = 0, binding = 5) buffer Mean
{
    uint mean_words[];
};
layout(set = 0, binding = 6) buffer Rstd
{
    uint rstd_words[];
};
#endif

#include "reduce.glsl"
#include "row_words.glsl"

#define ROUND_NORMALIZED 1u
#define ROUND_STEPS      2u

uint row; // of this work group

// What a step leaves where it is rounded to x's type; `rounding`: the least that asks for it.
float step_of(float value, uint rounding)
{
    return ROUNDING >= rounding ? decode_float(encode_float(value, X_TYPE), 0u, X_TYPE) : value;
}

float rstd_of(float squares)
{
    const float mean = step_of(squares / float(n), ROUND_STEPS);
    return step_of(1.0 / sqrt(step_of(mean + eps, ROUND_STEPS)), ROUND_STEPS);
}

// Element i of the row, normalised already: weight and bias.
float affine(float value, uint i)
{
    const uint at = CHANNELS ? (i / repeat + row * (n / repeat)) % n_weights : i;
    if (WEIGHT_TYPE != 0u)
        value *= LOAD_FLOAT(weight_words, at, WEIGHT_TYPE);
    if (BIAS_TYPE != 0u)
        value += LOAD_FLOAT(bias_words, at, BIAS_TYPE);
    return value;
}

vec4 affine_quad(vec4 v, uint i)
{
    if (CHANNELS)
        return vec4(affine(v.x, i), affine(v.y, i + 1u), affine(v.z, i + 2u), affine(v.w, i + 3u));
    if (WEIGHT_TYPE != 0u)
        v *= decode_quad_float(LOAD_QUAD(weight, i / 4u, WEIGHT_TYPE), WEIGHT_TYPE);
    if (BIAS_TYPE != 0u)
        v += decode_quad_float(LOAD_QUAD(bias, i / 4u, BIAS_TYPE), BIAS_TYPE);
    return v;
}

#ifdef QUADS
#define LOAD_X_QUAD(i) decode_quad_float(LOAD_QUAD(x, (i) / 4u, X_TYPE), X_TYPE)

void statistics(uint first, out float mean, out float rstd)
{
    const uint id = gl_LocalInvocationIndex * 4u, step = gl_WorkGroupSize.x * 4u;
    float sum = 0.0, squares = 0.0;

    mean = 0.0;
    if (!RMS) {
        for (uint i = id; i < n; i += step)
            sum += dot(LOAD_X_QUAD(first + i), vec4(1.0));
        mean = reduce_sum(sum) / float(n);
    }
    for (uint i = id; i < n; i += step) {
        const vec4 centred = LOAD_X_QUAD(first + i) - mean;
        if (ROUNDING == ROUND_STEPS)
            for (uint j = 0u; j < 4u; j++)
                squares += step_of(centred[j] * centred[j], ROUND_STEPS);
        else
            squares += dot(centred, centred);
    }
    rstd = rstd_of(reduce_sum(squares));
}

void normalize(uint first, float mean, float rstd)
{
    for (uint i = gl_LocalInvocationIndex * 4u; i < n; i += gl_WorkGroupSize.x * 4u) {
        vec4 y = (LOAD_X_QUAD(first + i) - mean) * rstd;
        y = affine_quad(vec4(step_of(y.x, ROUND_NORMALIZED), step_of(y.y, ROUND_NORMALIZED),
                             step_of(y.z, ROUND_NORMALIZED), step_of(y.w, ROUND_NORMALIZED)), i);
        STORE_QUAD(y, (first + i) / 4u, encode_quad_float(y, Y_TYPE), Y_TYPE)
    }
}
#else
void statistics(uint first, out float mean, out float rstd)
{
    const uint id = gl_LocalInvocationIndex, step = gl_WorkGroupSize.x;
    float sum = 0.0, squares = 0.0;

    mean = 0.0;
    if (!RMS) {
        for (uint i = id; i < n; i += step)
            sum += LOAD_FLOAT(x_words, first + i, X_TYPE);
        mean = reduce_sum(sum) / float(n);
    }
    for (uint i = id; i < n; i += step) {
        const float centred = LOAD_FLOAT(x_words, first + i, X_TYPE) - mean;
        squares += step_of(centred * centred, ROUND_STEPS);
    }
    rstd = rstd_of(reduce_sum(squares));
}

void normalize(uint first, float mean, float rstd)
{
    FOR_ROW_WORDS(first, first + n, Y_TYPE, low, high) {
        uint elements[2];
        for (uint i = low; i < high; i++) {
            const float value = step_of((LOAD_FLOAT(x_words, i, X_TYPE) - mean) * rstd, ROUND_NORMALIZED);
            elements[i - low] = encode_float(affine(value, i - first), Y_TYPE);
        }
        STORE_RUN(y_words, low, elements, high - low, Y_TYPE)
    }
}
#endif

void main()
{
    float mean, rstd;

    row = flat_group();
    if (row >= rows)
        return;
    statistics(row * n, mean, rstd);
    normalize(row * n, mean, rstd);
#ifdef WITH_STATISTICS
    if (gl_LocalInvocationIndex == 0u) {
        uint mean_bits[1] = {encode_float(mean, Y_TYPE)}, rstd_bits[1] = {encode_float(rstd, Y_TYPE)};
        STORE_RUN(mean_words, row, mean_bits, 1u, Y_TYPE)
        STORE_RUN(rstd_words, row, rstd_bits, 1u, Y_TYPE)
    }
#endif
}
