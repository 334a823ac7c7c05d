// Elementary functions of float32, within a few units in the last place on every device. GLSL's own may be off by far
// more (Vulkan allows sin an absolute error of 2^-11, atan 4096 units), differ from device to device, and leave NaN,
// infinities and negative bases open. Polynomials: tools/fit_polynomials.py.
#ifndef REAL_MATH_GLSL
#define REAL_MATH_GLSL

#include "float_bits.glsl"

#define REAL_INFINITY uintBitsToFloat(0x7f800000u)
#define REAL_NAN      uintBitsToFloat(0x7fc00000u)

float copy_sign(float magnitude, float sign)
{
    return uintBitsToFloat((floatBitsToUint(magnitude) & 0x7fffffffu) | (floatBitsToUint(sign) & 0x80000000u));
}

// ---- division --------------------------------------------------------------------------------------------

float upper_half(float x) // of the mantissa
{
    return uintBitsToFloat(floatBitsToUint(x) & 0xfffff000u);
}

// x / y, rounded to nearest; plain `/` may be off by 2.5 units. The remainder that corrects it is found without fused
// multiply-add, which not every device has, from products of half mantissas (Dekker).
float divide(float x, float y)
{
    precise const float quotient = x / y;
    const float q1 = upper_half(quotient), y1 = upper_half(y);
    precise const float q2 = quotient - q1, y2 = y - y1;
    precise const float product = quotient * y;
    precise const float lost = ((q1 * y1 - product) + q1 * y2 + q2 * y1) + q2 * y2;
    precise const float nearer = quotient + ((x - product) - lost) / y;
    const float size = abs(quotient);
    // Outside this the remainder is not exact.
    const bool safe = size > 1e-30 && size < 1e30 && abs(x) > 1e-30 && abs(y) < 1e30 && is_finite(nearer);
    return safe ? nearer : quotient;
}

// x - y * trunc(x / y), exactly: each step takes off the largest y * 2^k that fits, which loses nothing.
float fmod_exact(float x, float y)
{
    const float size = abs(y);
    float rest = abs(x);

    if (is_nan(x) || is_nan(y) || is_inf(x) || size == 0.0)
        return REAL_NAN;
    if (is_inf(y))
        return x;
    while (rest >= size) {
        const int apart = int(floatBitsToUint(rest) >> 23) - int(floatBitsToUint(size) >> 23); // of the exponents
        float part = size * uintBitsToFloat(uint(min(apart, 120) + 127) << 23);
        if (part > rest)
            part *= 0.5;
        precise const float left = rest - part;
        rest = left;
    }
    return copy_sign(rest, x);
}

// c10::div_floor_floating
float div_floor(float x, float y)
{
    if (y == 0.0)
        return x / y;
    const float rest = fmod_exact(x, y);
    precise float quotient = divide(x - rest, y);
    if (rest != 0.0 && (y < 0.0) != (rest < 0.0))
        quotient -= 1.0;
    if (quotient == 0.0)
        return copy_sign(0.0, x * y);
    const float whole = floor(quotient);
    return quotient - whole > 0.5 ? whole + 1.0 : whole;
}

// Half to even.
float round_even(float x)
{
    return abs(x) < 8388608.0 ? copy_sign(roundEven(x), x) : x;
}

// ---- exponential and logarithm ---------------------------------------------------------------------------

float power_of_two(int exponent) // normal numbers only
{
    return uintBitsToFloat(uint(exponent + 127) << 23);
}

// x = steps * ln 2 + rest with |rest| <= ln 2 / 2; gives e^rest - 1.
float exp_rest(float x, out int steps)
{
    const float n = roundEven(x * 1.44269504);
    precise const float r = (x - n * 0.693359375) - n * -2.12194440e-4;
    const float p = 0.5 + r * (0.166665182 + r * (0.041666206 + r * (0.00836895313 + r * 0.00139506022)));

    steps = int(n);
    return r + r * r * p;
}

float real_exp(float x)
{
    int steps;

    if (is_nan(x))
        return x;
    if (x > 88.8)
        return REAL_INFINITY;
    if (x < -104.0)
        return 0.0;
    const float value = 1.0 + exp_rest(x, steps);
    const int half_steps = steps >> 1;
    return value * power_of_two(half_steps) * power_of_two(steps - half_steps);
}

float real_expm1(float x)
{
    int steps;

    if (is_nan(x) || x == 0.0)
        return x;
    if (x > 88.0)
        return real_exp(x);
    if (x < -18.0)
        return -1.0;
    const float rest = exp_rest(x, steps), scale = power_of_two(steps);
    return scale * rest + (scale - 1.0);
}

// x = mantissa * 2^exponent with the mantissa near 1; gives ln(mantissa). x > 0 and finite.
float log_mantissa(float x, out float exponent)
{
    uint bits = floatBitsToUint(x);
    int e = 0;

    if (bits < 0x00800000u) { // subnormal
        bits = floatBitsToUint(x * 8388608.0);
        e = -23;
    }
    e += int(bits >> 23) - 127;
    float f = uintBitsToFloat((bits & 0x007fffffu) | 0x3f800000u);
    if (f > 1.41421356) {
        f *= 0.5;
        e++;
    }
    f -= 1.0;
    exponent = float(e);
    const float p =
        0.333333105 +
        f * (-0.249999866 +
             f * (0.200022265 +
                  f * (-0.166692495 +
                       f * (0.142186552 +
                            f * (-0.1238437 + f * (0.118730165 + f * (-0.117896959 + f * 0.0691514686)))))));
    return f - f * f * (0.5 - f * p);
}

// What the three logarithms give where there is no mantissa.
bool log_special(float x, out float value)
{
    value = is_nan(x) || x < 0.0 ? REAL_NAN : x == 0.0 ? -REAL_INFINITY : x;
    return is_nan(x) || x <= 0.0 || is_inf(x);
}

float real_log(float x)
{
    float special, e;

    if (log_special(x, special))
        return special;
    const float ln = log_mantissa(x, e);
    return e * 0.693359375 + (ln + e * -2.12194440e-4);
}

float real_log2(float x)
{
    float special, e;

    if (log_special(x, special))
        return special;
    const float ln = log_mantissa(x, e);
    return e + ln * 1.44269504;
}

float real_log10(float x)
{
    float special, e;

    if (log_special(x, special))
        return special;
    const float ln = log_mantissa(x, e);
    return e * 0.301025391 + (e * 4.60503907e-6 + ln * 0.434294482);
}

float real_log1p(float x)
{
    precise const float sum = 1.0 + x;
    precise const float kept = sum - 1.0;

    if (kept == 0.0 || is_inf(x))
        return x == -REAL_INFINITY ? REAL_NAN : x;
    return real_log(sum) * divide(x, kept); // corrects what 1 + x lost
}

// Powers by the definition of IEEE 754 and C (pow).
float real_pow(float x, float y)
{
    const float size = abs(x);
    const bool whole = is_finite(y) && floor(y) == y;
    const bool odd = whole && abs(y) < 16777216.0 && (int(y) & 1) != 0;
    float e;
    int steps;

    if (y == 0.0 || x == 1.0)
        return 1.0;
    if (is_nan(x) || is_nan(y))
        return REAL_NAN;
    if (is_inf(y))
        return size == 1.0 ? 1.0 : (size > 1.0) == (y > 0.0) ? REAL_INFINITY : 0.0;
    if (size == 0.0 || is_inf(x)) {
        const float value = (size == 0.0) == (y > 0.0) ? 0.0 : REAL_INFINITY;
        return odd ? copy_sign(value, x) : value;
    }
    if (x < 0.0 && !whole)
        return REAL_NAN;
    if (y == 2.0)
        return x * x;
    if (y == 1.0)
        return x;
    if (y == 0.5)
        return sqrt(x);
    if (y == -1.0)
        return divide(1.0, x);
    // y * log2(x): the exponent's part is kept apart, so that the fraction stays precise.
    const float fraction = y * (log_mantissa(size, e) * 1.44269504);
    const float n = clamp(roundEven(y * e + fraction), -200.0, 200.0);
    precise const float rest = (y * e - n) + fraction;
    if (n > 128.5)
        return x < 0.0 && odd ? -REAL_INFINITY : REAL_INFINITY;
    if (n < -150.5)
        return x < 0.0 && odd ? -0.0 : 0.0;
    const float value = 1.0 + exp_rest(rest * 0.693147181, steps);
    const int total = int(n) + steps, half_total = total >> 1;
    const float power = value * power_of_two(half_total) * power_of_two(total - half_total);
    return odd ? copy_sign(power, x) : power;
}

// ---- trigonometry ----------------------------------------------------------------------------------------

// |x| = quadrant * pi/2 + rest with |rest| <= pi/4, for |x| >= 2^-7: the bits of |x| * 2/pi around the point, in whole
// numbers (Payne and Hanek).
float reduce_angle(float x, out uint quadrant)
{
    // 2/pi, after 32 zeros.
    const uint two_over_pi[8] =
        uint[8](0u, 0xa2f9836eu, 0x4e441529u, 0xfc2757d1u, 0xf534ddc0u, 0xdb629599u, 0x3c439041u, 0xfe5163abu);
    const uint bits = floatBitsToUint(x) & 0x7fffffffu;
    const uint mantissa = (bits & 0x007fffffu) | 0x00800000u;
    // |x| = mantissa * 2^shift. Bits of 2/pi before place shift - 2 only make multiples of four quadrants.
    const int start = int(bits >> 23) - 150 - 2 + 32, word = start >> 5, offset = start & 31;
    uint w[3];
    for (int i = 0; i < 3; i++)
        w[i] = offset == 0 ? two_over_pi[word + i]
                           : (two_over_pi[word + i] << offset) | (two_over_pi[word + i + 1] >> (32 - offset));
    // The product modulo 2^96: two bits of quadrant, then the fraction.
    uint high1, low1, high2, low2, carry;
    umulExtended(w[2], mantissa, high2, low2);
    umulExtended(w[1], mantissa, high1, low1);
    const uint p1 = uaddCarry(low1, high2, carry), p0 = w[0] * mantissa + high1 + carry;
    uint f0 = (p0 << 2) | (p1 >> 30), f1 = (p1 << 2) | (low2 >> 30);
    quadrant = p0 >> 30;
    const bool over = f0 >= 0x80000000u; // nearer to the next quadrant
    if (over) {
        quadrant = (quadrant + 1u) & 3u;
        f0 = ~f0;
        f1 = ~f1;
    }
    const int zeros = f0 == 0u ? 32 : 31 - findMSB(f0);
    if (zeros == 32) {
        f0 = f1;
        f1 = 0u;
    } else if (zeros > 0) {
        f0 = (f0 << zeros) | (f1 >> (32 - zeros));
    }
    const float fraction = float(f0) * power_of_two(-32 - zeros);
    return (over ? -fraction : fraction) * 1.57079633;
}

// sin and cos of |x|.
vec2 sin_cos_of_size(float x)
{
    uint quadrant = 0u;
    float r = abs(x);

    if (r > 0.785398)
        r = reduce_angle(x, quadrant);
    const float z = r * r;
    const float s = r + r * z * (-0.166666672 + z * (0.00833332911 + z * (-0.000198393274 + z * 2.71823728e-06)));
    const float c = 1.0 - (0.5 * z - z * z * (0.0416666456 + z * (-0.00138873619 + z * 2.44377297e-05)));
    const vec2 turned = (quadrant & 1u) == 0u ? vec2(s, c) : vec2(c, -s);
    return quadrant >= 2u ? -turned : turned;
}

float real_sin(float x)
{
    if (!is_finite(x))
        return REAL_NAN;
    const float value = sin_cos_of_size(x).x;
    return x < 0.0 ? -value : x == 0.0 ? x : value;
}

float real_cos(float x)
{
    return is_finite(x) ? sin_cos_of_size(x).y : REAL_NAN;
}

float real_tan(float x)
{
    if (!is_finite(x))
        return REAL_NAN;
    const vec2 both = sin_cos_of_size(x);
    const float value = divide(both.x, both.y);
    return x < 0.0 ? -value : x == 0.0 ? x : value;
}

float real_atan(float x)
{
    float size = abs(x), base = 0.0;

    if (is_nan(x))
        return x;
    if (size > 2.41421356) {
        base = 1.57079633;
        size = -1.0 / size;
    } else if (size > 0.414213562) {
        base = 0.785398163;
        size = (size - 1.0) / (size + 1.0);
    }
    const float z = size * size;
    const float p =
        -0.333333164 + z * (0.199984834 + z * (-0.142437384 + z * (0.105951399 + z * -0.0608115569)));
    return copy_sign(base + (size + size * z * p), x);
}

// ---- sigmoids --------------------------------------------------------------------------------------------

float real_tanh(float x)
{
    const float size = abs(x), z = x * x;

    if (is_nan(x))
        return x;
    if (size < 0.625)
        return x + x * z *
                       (-0.333332837 + z * (0.133314908 + z * (-0.0537434965 + z * (0.0206505861 + z * -0.0057170447))));
    return copy_sign(size > 9.5 ? 1.0 : 1.0 - 2.0 / (real_exp(2.0 * size) + 1.0), x);
}

float real_sigmoid(float x)
{
    return divide(1.0, 1.0 + real_exp(-x));
}

float real_silu(float x)
{
    return divide(x, 1.0 + real_exp(-x));
}

// For |x| < 1.
float erf_small(float x)
{
    const float z = x * x;
    return x + x * (0.128379166 +
                    z * (-0.37612626 +
                         z * (0.112836003 +
                              z * (-0.0268544443 + z * (0.00518953567 + z * (-0.000802084222 + z * 7.88912294e-05))))));
}

// 1 - erf x, precise also where it is tiny; x >= 1.
float erfc_large(float x)
{
    if (x > 10.2)
        return 0.0;
    const float t = 1.0 / (1.0 + 0.5 * x);
    const float p =
        2.41135967e-06 +
        t * (0.282016993 +
             t * (0.28319177 +
                  t * (0.23794888 +
                       t * (0.221935868 +
                            t * (-0.0705583096 +
                                 t * (0.338764489 + t * (-0.53498733 + t * (0.302787483 + t * -0.0610277131))))))));
    return real_exp(-x * x) * p;
}

float real_erf(float x)
{
    if (is_nan(x))
        return x;
    return abs(x) < 1.0 ? erf_small(x) : copy_sign(1.0 - erfc_large(abs(x)), x);
}

// The normal distribution function.
float normal_cdf(float x)
{
    const float t = x * 0.707106781;

    if (is_nan(x))
        return x;
    if (abs(t) < 1.0)
        return 0.5 + 0.5 * erf_small(t);
    return t < 0.0 ? 0.5 * erfc_large(-t) : 1.0 - 0.5 * erfc_large(t);
}

float real_gelu(float x)
{
    return x * normal_cdf(x);
}

float real_gelu_tanh(float x)
{
    return 0.5 * x * (1.0 + real_tanh(0.797884561 * (x + 0.044715 * x * x * x)));
}

#endif
