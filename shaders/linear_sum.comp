// Finishes a linear whose k was split among work groups: adds up the parts in their order, float32 or, for one group of
// int8, whole numbers; then scales, bias and the result's type. An invocation makes eight neighbours of a row.
//
// INT8  1: int8 activations
// BITS  4 or 8: the weights' (INT8)
#version 450
#extension GL_GOOGLE_include_directive : require

#include "elements.glsl"
#include "flat_id.glsl"
#include "linear.glsl"

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint THREADS = 64u;
layout(constant_id = 1) const uint ONE_GROUP = 0u;

layout(set = 0, binding = 1) readonly buffer Activations
{
    uvec4 activations[];
};
layout(set = 0, binding = 2) readonly buffer Partials
{
    uvec4 partials[]; // [n_splits][partial_rows][partial_columns]
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
#if INT8
layout(set = 0, binding = 6) readonly buffer WeightSums
{
    int weight_sums[];
};
#endif

#include "linear_result.glsl"

uvec4 add(uvec4 a, uvec4 b)
{
    return INT8 == 1 && ONE_GROUP != 0u ? a + b : floatBitsToUint(uintBitsToFloat(a) + uintBitsToFloat(b));
}

void main()
{
    const uint eights = (last_column - first_column + 7u) / 8u;
    const uint m = flat_id() / eights, column = flat_id() % eights * 8u;
    if (m >= n_rows)
        return;
    uint at = (m * partial_columns + column) / 4u;
    uvec4 low = partials[at], high = partials[at + 1u];
    for (uint split = 1u; split < n_splits; split++) {
        at += partial_rows * partial_columns / 4u;
        low = add(low, partials[at]);
        high = add(high, partials[at + 1u]);
    }

    const uint n = first_column + column;
    const Quantizer q = quantizer_of(m);
    vec4 y_low, y_high;
    for (uint e = 0u; e < 4u; e++) {
        y_low[e] = finish(low[e], min(n + e, n_padded - 1u), q);
        y_high[e] = finish(high[e], min(n + 4u + e, n_padded - 1u), q);
    }
    store8(m, n, y_low, y_high);
}
