// Softmax and its logarithm over rows of `n` elements, one row a work group. With an `after` above 1 the elements of a
// row are that far apart.
//
// MASKED: rows are attention scores [outer, inner, queries, stride], changed in place (binding 2 is Y too). A mask is
// added (or, of bool, forbids) and later keys are left out when causal; a row that may attend to nothing becomes 0.
#version 450
#extension GL_GOOGLE_include_directive : require

#include "flat_id.glsl"
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
    uint causal_first; // keys that query 0 of the whole call may attend to
    uint mask_outer, mask_inner, mask_query, mask_key;
#endif
};
#ifdef MASKED
layout(set = 0, binding = 1) readonly buffer Mask
{
    uint mask_words[];
};
layout(set = 0, binding = 2) buffer Y
{
    uint y_words[];
};
#define X_WORDS y_words
#else
layout(set = 0, binding = 1) readonly buffer X
{
    uint x_words[];
};
layout(set = 0, binding = 2) buffer Y
{
    uint y_words[];
};
#define X_WORDS x_words
#endif

#include "reduce.glsl"
#include "row_words.glsl"

#define MINUS_INFINITY uintBitsToFloat(0xff800000u)

uint row; // of this work group

uint row_first()
{
#ifdef MASKED
    return row * stride;
#else
    return row / after * after * n + row % after;
#endif
}

float score(uint i)
{
    float value = LOAD_FLOAT(X_WORDS, row_first() + i * after, X_TYPE);
#ifdef MASKED
    const uint query = row % queries + first_query;
    const uint inner = row / queries % inner_size, outer = row / queries / inner_size;
    if (CAUSAL && i >= causal_first + query)
        return MINUS_INFINITY;
    if (MASK_TYPE != 0u) {
        const uint at = outer * mask_outer + inner * mask_inner + query * mask_query + i * mask_key;
        if (MASK_TYPE == DTYPE_BOOL)
            value = LOAD_INT(mask_words, at, DTYPE_BOOL) != 0 ? value : MINUS_INFINITY;
        else
            value += LOAD_FLOAT(mask_words, at, MASK_TYPE);
    }
#endif
    return value;
}

float result(float value, float top, float sum)
{
#ifdef MASKED
    if (top == MINUS_INFINITY)
        return 0.0;
#endif
    return LOGARITHM ? value - top - log(sum) : exp(value - top) / sum;
}

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
