// Results of linears that make a word at a time: a float32, two float16 or four int8 of a row. Include after linear.glsl
// and elements.glsl.
#ifndef LINEAR_WORD_GLSL
#define LINEAR_WORD_GLSL

#include "qint8.glsl"

// What element `e` of its word adds to it, as out_type has it.
uint word_part(float y, uint e)
{
    if (out_type == DTYPE_F32)
        return floatBitsToUint(y);
    if (out_type == DTYPE_F16)
        return half_bits(y) << (16u * e);
    return (uint(max(quantize_int8(y, out_inverse_scale, out_zero_point), out_low)) & 255u) << (8u * e);
}

#endif
