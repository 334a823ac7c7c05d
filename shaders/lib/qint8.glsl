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

int quantize_int8(float x, float inverse_scale, float zero_point)
{
    return quantize_int(x, inverse_scale, zero_point, -128.0, 127.0);
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
