// Quantizing to integers as PyTorch does: multiply by the reciprocal, round half to even, add the zero point,
// clamp; NaN becomes 0.
#ifndef QINT8_GLSL
#define QINT8_GLSL

#include "exact.glsl"

int quantize_int(float x, float inverse_scale, float zero_point, float low, float high)
{
    precise float steps = x * inverse_scale;
    steps = roundEven(steps) + zero_point;
    return is_nan(steps) ? 0 : int(clamp(steps, low, high));
}

// The same for int8, cheaper: rounding by adding 1.5 * 2^23, whose lower bits then are the whole number. Steps beyond
// 2^21 stand for a bound whatever the zero point is.
int quantize_int8(float x, float inverse_scale, float zero_point)
{
    precise float steps = x * inverse_scale;
    precise float rounded = clamp(steps, -2097152.0, 2097152.0) + 12582912.0;
    const int q = floatBitsToInt(rounded) - 0x4b400000 + int(zero_point);
    return is_nan(steps) ? 0 : clamp(q, -128, 127);
}

uint pack_bytes(ivec4 v)
{
    return (uint(v.x) & 255u) | ((uint(v.y) & 255u) << 8) | ((uint(v.z) & 255u) << 16) | (uint(v.w) << 24);
}

ivec4 unpack_bytes(uint word)
{
    return ivec4(int(word << 24), int(word << 16), int(word << 8), int(word)) >> 24;
}

#endif
