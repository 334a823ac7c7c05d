// The functions of src/core/elementwise.def in float32; NaN and infinities as in PyTorch. MATH: those of the group MATH,
// else those of the group BASIC.
#ifndef ELEMENTWISE_FLOAT_GLSL
#define ELEMENTWISE_FLOAT_GLSL

#include "real_math.glsl"

#ifdef MATH

float softplus(float x, float beta, float threshold)
{
    const float scaled = x * beta;
    return scaled > threshold ? x : divide(real_log1p(real_exp(scaled)), beta);
}

// x tanh(ln(1 + e^x)), without the logarithm.
float mish(float x)
{
    const float e = real_exp(x), n = e * (e + 2.0);
    return x > 20.0 ? x : x * divide(n, n + 2.0);
}

float log_sigmoid(float x)
{
    return (x > 0.0 ? 0.0 : x) - real_log1p(real_exp(-abs(x)));
}

float unary(uint fn, float x, float p[3])
{
    switch (fn) {
    case FN_COS: return real_cos(x);
    case FN_SIN: return real_sin(x);
    case FN_TAN: return real_tan(x);
    case FN_ATAN: return real_atan(x);
    case FN_EXP: return real_exp(x);
    case FN_EXPM1: return real_expm1(x);
    case FN_LOG: return real_log(x);
    case FN_LOG2: return real_log2(x);
    case FN_LOG10: return real_log10(x);
    case FN_LOG1P: return real_log1p(x);
    case FN_SIGMOID: return real_sigmoid(x);
    case FN_SILU: return real_silu(x);
    case FN_TANH: return real_tanh(x);
    case FN_ERF: return real_erf(x);
    case FN_GELU: return real_gelu(x);
    case FN_GELU_TANH: return real_gelu_tanh(x);
    case FN_ELU: return x < 0.0 ? real_expm1(x * p[2]) * (p[0] * p[1]) : x * p[1];
    case FN_SOFTPLUS: return softplus(x, p[0], p[1]);
    case FN_MISH: return mish(x);
    case FN_LOG_SIGMOID: return log_sigmoid(x);
    default: return x;
    }
}

float remainder_float(float x, float y)
{
    const float rest = fmod_exact(x, y);
    return rest != 0.0 && (rest < 0.0) != (y < 0.0) ? rest + y : rest;
}

float binary(uint fn, float x, float y, float p[3])
{
    switch (fn) {
    case FN_DIV_FLOOR: return div_floor(x, y);
    case FN_DIV_TRUNC: return trunc(divide(x, y));
    case FN_REMAINDER: return remainder_float(x, y);
    case FN_POW: return real_pow(x, y);
    default: return x;
    }
}

#else

// Compilers make min and max of comparisons, which lose NaN.
float clamp_float(float x, float low, float high)
{
    return is_nan(x) ? x : min(max(x, low), high);
}

float unary(uint fn, float x, float p[3])
{
    switch (fn) {
    case FN_ABS: return uintBitsToFloat(floatBitsToUint(x) & 0x7fffffffu);
    case FN_NEG: return uintBitsToFloat(floatBitsToUint(x) ^ 0x80000000u);
    case FN_SIGN: return float(int(x > 0.0) - int(x < 0.0));
    case FN_SQUARE: return x * x;
    case FN_RELU: return clamp_float(x, 0.0, REAL_INFINITY);
    case FN_ROUND: return round_even(x);
    case FN_FLOOR: return floor(x);
    case FN_CEIL: return ceil(x);
    case FN_TRUNC: return trunc(x);
    case FN_CLAMP: return clamp_float(x, p[0], p[1]);
    case FN_LEAKY_RELU: return x > 0.0 ? x : x * p[0];
    case FN_THRESHOLD: return x <= p[0] ? p[1] : x;
    case FN_HARDSHRINK: return x >= -p[0] && x <= p[0] ? 0.0 : x;
    case FN_HARDSWISH: return divide(x * clamp_float(x + 3.0, 0.0, 6.0), 6.0);
    case FN_HARDSIGMOID: return divide(clamp_float(x + 3.0, 0.0, 6.0), 6.0);
    case FN_LOGICAL_NOT: return float(x == 0.0);
    case FN_ISINF: return float(is_inf(x));
    case FN_ISNAN: return float(is_nan(x));
    case FN_SQRT: return x < 0.0 ? REAL_NAN : sqrt(x);
    case FN_RSQRT: return x < 0.0 ? REAL_NAN : divide(1.0, sqrt(x));
    case FN_RECIPROCAL: return divide(1.0, x);
    default: return x;
    }
}

float minimum(float x, float y)
{
    return is_nan(x) || is_nan(y) ? REAL_NAN : x < y ? x : y;
}

float maximum(float x, float y)
{
    return is_nan(x) || is_nan(y) ? REAL_NAN : x > y ? x : y;
}

float binary(uint fn, float x, float y, float p[3])
{
    switch (fn) {
    case FN_ADD: {
        precise const float scaled = p[0] * y;
        precise const float sum = x + scaled;
        return sum;
    }
    case FN_MUL: return x * y;
    case FN_DIV: return divide(x, y);
    case FN_MINIMUM: return minimum(x, y);
    case FN_MAXIMUM: return maximum(x, y);
    case FN_EQ: return float(x == y);
    case FN_NE: return float(x != y);
    case FN_LT: return float(x < y);
    case FN_LE: return float(x <= y);
    case FN_GT: return float(x > y);
    case FN_GE: return float(x >= y);
    case FN_LOGICAL_AND: return float(x != 0.0 && y != 0.0);
    case FN_LOGICAL_OR: return float(x != 0.0 || y != 0.0);
    case FN_LOGICAL_XOR: return float((x != 0.0) != (y != 0.0));
    default: return x;
    }
}

#endif

#endif
