// What is added to the results of a linear: a tensor like the result, or nothing (residual_type 0; then something else is
// bound, which is not read). Include after linear.glsl and elements.glsl.
#ifndef LINEAR_RESIDUAL_GLSL
#define LINEAR_RESIDUAL_GLSL

layout(set = 0, binding = 5) readonly buffer Residual
{
    uint residual_words[];
};
layout(set = 0, binding = 5) readonly buffer ResidualQuads
{
    uvec4 residual_quads[];
};

ELEMENT_READER(read_residual, residual_words)

// `at`: element of the result.
float add_residual(float y, uint at)
{
    if (residual_type == 0u)
        return y;
    precise float sum = y + read_residual(residual_type, at);
    return sum;
}

// To neighbours of a row, four from a multiple of 4 on.
vec4 add_residual4(vec4 y, uint m, uint n)
{
    const uint at = m * n_columns + n;
    if (residual_type == DTYPE_F32 && (n_columns & 3u) == 0u) {
        precise vec4 sum = y + uintBitsToFloat(residual_quads[at / 4u]);
        return sum;
    }
    for (uint i = 0u; i < 4u && n + i < n_columns; i++)
        y[i] = add_residual(y[i], at + i);
    return y;
}

// To eight neighbours from a multiple of 8 on.
void add_residual8(inout vec4 low, inout vec4 high, uint m, uint n)
{
    if (residual_type == DTYPE_F16 && (n_columns & 7u) == 0u) {
        const uvec4 quad = residual_quads[(m * n_columns + n) / 8u];
        precise vec4 low_sum = low + vec4(unpackHalf2x16(quad.x), unpackHalf2x16(quad.y));
        precise vec4 high_sum = high + vec4(unpackHalf2x16(quad.z), unpackHalf2x16(quad.w));
        low = low_sum;
        high = high_sum;
    } else if (residual_type != 0u) {
        low = add_residual4(low, m, n);
        high = add_residual4(high, m, n + 4u);
    }
}

#endif
