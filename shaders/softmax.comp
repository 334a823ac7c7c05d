// Softmax and its logarithm over rows of `n` elements, one row a work group. With an `after` above 1 the elements of a
// row are that far apart.
//
// MASKED: rows are attention scores [outer, inner, queries, stride], changed in place (binding 2 is Y too). A mask is
// added (or, of bool, forbids) and later keys are left out when causal; a row that may attend to nothing becomes 0.
//
// QUADS: rows begin and end at multiples of 4 elements (after 1), and are read four elements at a time.
#version 450
#extension GL_GOOGLE_include_directive : require

#include "attention_mask.glsl"
#include "flat_id.glsl"
#include "quad_io.glsl"
#include "tensor_io.glsl"

layout(local_size_x_id = 0) in;
layout(constant_id = 1) const uint X_TYPE = DTYPE_F32;
layout(constant_id = 2) const uint Y_TYPE = DTYPE_F32;
layout(constant_id = 3) const bool LOGARITHM = false;
#ifdef MASKED
layout(constant_id = 4) const uint MASK_TYPE = 0; // 0: none
layout(constant_id = 5) const bool CAUSAL = false;
#endif

layout(set = 0, binding = 0) uniform Params
{
    uint rows, n, after;
#ifdef MASKED
    uint stride; // from row to row; zeros are written up to it
    uint inner_size, queries, first_query;
    ATTENTION_MASK_PARAMS
#endif
};
#ifdef MASKED
layout(set = 0, binding = 1) readonly buffer Mask
{
    uint mask_words[];
};
QUAD_OUTPUT(y, 2)
#define LOAD_X(i)      LOAD_FLOAT(y_words, i, X_TYPE)
#define LOAD_X_QUAD(i) decode_quad_float(LOAD_QUAD(y, i, X_TYPE), X_TYPE)
#else
QUAD_INPUT(x, 1)
QUAD_OUTPUT(y, 2)
#define LOAD_X(i)      LOAD_FLOAT(x_words, i, X_TYPE)
#define LOAD_X_QUAD(i) decode_quad_float(LOAD_QUAD(x, i, X_TYPE), X_TYPE)
#endif

#include "reduce.glsl"
#include "row_words.glsl"


uint row; // of this work group

uint row_first()
{
#ifdef MASKED
    return row * stride;
#else
    return row / after * after * n + row % after;
#endif
}

// The score of key i from what is stored for it.
float masked(float value, uint i)
{
#ifdef MASKED
    const uint query = row % queries + first_query;
    const uint inner = row / queries % inner_size, outer = row / queries / inner_size;
    value = i < n ? MASKED_SCORE(value, outer, inner, query, i) : MINUS_INFINITY;
#endif
    return value;
}

float score(uint i)
{
    return masked(LOAD_X(row_first() + i * after), i);
}

#ifdef QUADS
vec4 score_quad(uint i)
{
    const vec4 v = LOAD_X_QUAD((row_first() + i) / 4u);
    return vec4(masked(v.x, i), masked(v.y, i + 1u), masked(v.z, i + 2u), masked(v.w, i + 3u));
}
#endif

float result(float value, float top, float sum)
{
#ifdef MASKED
    if (top == MINUS_INFINITY)
        return 0.0;
#endif
    return LOGARITHM ? value - top - log(sum) : exp(value - top) / sum;
}

#ifdef QUADS
void main()
{
    const uint id = gl_LocalInvocationIndex * 4u, step = gl_WorkGroupSize.x * 4u;
    float top = MINUS_INFINITY, sum = 0.0;

    row = flat_group();
    if (row >= rows)
        return;
    for (uint i = id; i < n; i += step) {
        const vec4 v = score_quad(i);
        top = max(top, max(max(v.x, v.y), max(v.z, v.w)));
    }
    top = reduce_max(top);
    for (uint i = id; i < n; i += step) {
        const vec4 v = exp(score_quad(i) - top);
        sum += (v.x + v.y) + (v.z + v.w);
    }
    sum = reduce_sum(sum);
#ifdef MASKED
    const uint last = stride;
#else
    const uint last = n;
#endif
    for (uint i = id; i < last; i += step) {
        const vec4 v = i < n ? score_quad(i) : vec4(MINUS_INFINITY);
        const vec4 y = vec4(result(v.x, top, sum), result(v.y, top, sum), result(v.z, top, sum), result(v.w, top, sum));
        STORE_QUAD(y, (row_first() + i) / 4u, encode_quad_float(y, Y_TYPE), Y_TYPE)
    }
}
#else
void main()
{
    const uint id = gl_LocalInvocationIndex, step = gl_WorkGroupSize.x;
    float top = MINUS_INFINITY, sum = 0.0;

    row = flat_group();
    if (row >= rows)
        return;
    for (uint i = id; i < n; i += step)
        top = max(top, score(i));
    top = reduce_max(top);
    for (uint i = id; i < n; i += step)
        sum += exp(score(i) - top);
    sum = reduce_sum(sum);

    if (after > 1u) {
        for (uint i = id; i < n; i += step) {
            uint element[1] = {encode_float(result(score(i), top, sum), Y_TYPE)};
            STORE_RUN(y_words, row_first() + i * after, element, 1u, Y_TYPE)
        }
        return;
    }
    const uint first = row_first();
#ifdef MASKED
    const uint last = first + stride;
#else
    const uint last = first + n;
#endif
    FOR_ROW_WORDS(first, last, Y_TYPE, low, high) {
        uint elements[2];
        for (uint i = low; i < high; i++)
            elements[i - low] = i - first < n ? encode_float(result(score(i - first), top, sum), Y_TYPE) : 0u;
        STORE_RUN(y_words, low, elements, high - low, Y_TYPE)
    }
}
#endif
