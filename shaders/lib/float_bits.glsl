// Kinds of floats, told by their bits: compilers may take for granted that there are no infinities and no NaN.
#ifndef FLOAT_BITS_GLSL
#define FLOAT_BITS_GLSL

bool is_nan(float x)
{
    return (floatBitsToUint(x) & 0x7fffffffu) > 0x7f800000u;
}

bool is_inf(float x)
{
    return (floatBitsToUint(x) & 0x7fffffffu) == 0x7f800000u;
}

bool is_finite(float x)
{
    return (floatBitsToUint(x) & 0x7f800000u) != 0x7f800000u;
}

#endif
