// Results of linears that make a word at a time: a float32, two float16 or four int8 of a row. Include after linear.glsl
// and elements.glsl.
#ifndef LINEAR_WORD_GLSL
#define LINEAR_WORD_GLSL

#include "linear_residual.glsl"
#include "qint8.glsl"

// What element `at` of the result, `e` of its word, adds to that, as out_type has it. y: without the residual.
uint word_part(float y, uint at, uint e)
{
    y = add_residual(y, at);
    if (out_type == DTYPE_F32)
        return floatBitsToUint(y);
    if (out_type == DTYPE_F16)
        return half_bits(y) << (16u * e);
    return (uint(max(quantize_int8(y, out_inverse_scale, out_zero_point), out_low)) & 255u) << (8u * e);
}

#endif
