// Float arithmetic that gives the same bits on every device. Vulkan lets a division be 2.5 units off and a
// conversion to half round either way; scales and zero points must match the reference exactly.
#ifndef EXACT_GLSL
#define EXACT_GLSL

#include "float_bits.glsl"

const uint NAN_BITS = 0x7fc00000u;

// a / b rounded to nearest even. Zeros, denormals, infinities and NaN go the device's way, as do results
// outside of the normal range.
float exact_div(float a, float b)
{
    const uint ua = floatBitsToUint(a), ub = floatBitsToUint(b);
    int ea = int((ua >> 23) & 255u), eb = int((ub >> 23) & 255u);
    uint ma = (ua & 0x7fffffu) | 0x800000u;
    const uint mb = (ub & 0x7fffffu) | 0x800000u;
    if (ea == 0 || ea == 255 || eb == 0 || eb == 255)
        return a / b;

    // Quotient of the mantissas in [1, 2): 24 bits. A guess in floats is a few units off, and what it is off can be guessed as
    // well. The remainder of the guess fits 32 bits, so it may be computed modulo 2^32.
    if (ma < mb) {
        ma <<= 1;
        ea--;
    }
    const float inverse = 1.0 / float(mb);
    uint q = uint(float(ma) * inverse * 8388608.0);
    int rest = int((ma << 23) - q * mb);
    const int off = int(floor(float(rest) * inverse + 0.5));
    q += uint(off);
    rest -= off * int(mb);
    // The last guess may have gone wrong near the half only, by one.
    const int twice = 2 * rest, odd = int(q & 1u);
    if (twice > int(mb) - odd)
        q++;
    else if (twice < odd - int(mb))
        q--;

    const int exponent = ea - eb + 127;
    if (exponent <= 0 || exponent >= 254)
        return a / b;
    // A quotient rounded up to 2.0 carries into the exponent by itself.
    return uintBitsToFloat(((ua ^ ub) & 0x80000000u) | ((uint(exponent) << 23) + (q - 0x800000u)));
}

// The half nearest to x, ties to even, as the low 16 bits.
uint half_bits(float x)
{
    const uint bits = floatBitsToUint(x), sign = (bits >> 16) & 0x8000u;
    const uint magnitude = bits & 0x7fffffffu;
    if (magnitude > 0x7f800000u)
        return sign | 0x7e00u;
    if (magnitude >= 0x477ff000u) // 65520 and above
        return sign | 0x7c00u;
    if (magnitude < 0x33000001u) // half of the smallest denormal, or less
        return sign;
    const int exponent = int(magnitude >> 23) - 112;
    const uint mantissa = (magnitude & 0x7fffffu) | 0x800000u;
    const uint shift = exponent > 0 ? 13u : uint(14 - exponent);
    const uint kept = mantissa >> shift, rest = mantissa & ((1u << shift) - 1u), tie = 1u << (shift - 1u);
    uint half_value = exponent > 0 ? (uint(exponent) << 10) + (kept - 0x400u) : kept;
    if (rest > tie || (rest == tie && (kept & 1u) != 0u))
        half_value++;
    return sign | half_value;
}

float round_to_half(float x)
{
    return unpackHalf2x16(half_bits(x)).x;
}

// Both float16s of a word.
uint pack_halves(float low, float high)
{
    return half_bits(low) | (half_bits(high) << 16);
}

#endif
