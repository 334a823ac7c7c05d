// Finishes a linear whose k was split among work groups: adds up the parts in their order, float32 or, for one group of
// int8, whole numbers; then scales, bias and the result's type. An invocation makes eight neighbours of a row, out of sixteen where GATED.
//
// INT8  1: int8 activations
// BITS  4 or 8: the weights' (INT8)
#version 450
#extension GL_GOOGLE_include_directive : require

#include "elements.glsl"
#include "flat_id.glsl"
#include "linear.glsl"
#include "linear_gate.glsl"

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint THREADS = 64u;
layout(constant_id = 1) const uint ONE_GROUP = 0u;
layout(constant_id = 2) const uint GATED = 0u; // 1: two columns of sums make one of the result (linear_gate.glsl)

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

// Eight neighbours of row m, from `column` of the weights at hand on.
void finish8(uint m, uint column, out vec4 y_low, out vec4 y_high)
{
    uint at = (m * partial_columns + column) / 4u;
    uvec4 low = partials[at], high = partials[at + 1u];
    for (uint split = 1u; split < n_splits; split++) {
        at += partial_rows * partial_columns / 4u;
        low = add(low, partials[at]);
        high = add(high, partials[at + 1u]);
    }
    const uint n = first_column + column;
    const Quantizer q = quantizer_of(m);
    for (uint e = 0u; e < 4u; e++) {
        y_low[e] = finish(low[e], min(n + e, n_padded - 1u), q);
        y_high[e] = finish(high[e], min(n + 4u + e, n_padded - 1u), q);
    }
}

void main()
{
    const uint step = 8u << GATED, steps = (last_column - first_column + step - 1u) / step;
    const uint m = flat_id() / steps, column = flat_id() % steps * step, n = first_column + column;
    if (m >= n_rows)
        return;
    vec4 low, high;
    finish8(m, column, low, high);
    if (GATED != 0u) {
        vec4 other_low, other_high;
        finish8(m, column + PANEL, other_low, other_high);
        store8(m, gated_column(n), gated4(low, other_low), gated4(high, other_high));
    } else {
        store8(m, n, low, high);
    }
}
