// Ranges of values, and the int8 scale and zero point that torchao.choose_qparams_affine gives for one (asymmetric).
#ifndef QPARAMS_GLSL
#define QPARAMS_GLSL

#include "exact.glsl"

// (low, high), 0 always inside. NaN is kept as low > high, which does not occur otherwise.
const vec2 NAN_RANGE = vec2(1.0, -1.0);

bool is_nan_range(vec2 range)
{
    return range.x > range.y;
}

vec2 join_ranges(vec2 a, vec2 b)
{
    return is_nan_range(a) ? a : is_nan_range(b) ? b : vec2(min(a.x, b.x), max(a.y, b.y));
}

vec2 join_value(vec2 range, float x)
{
    return is_nan(x) ? NAN_RANGE : join_ranges(range, vec2(x));
}

vec2 join_values(vec2 range, vec4 x)
{
    if (is_nan(x.x) || is_nan(x.y) || is_nan(x.z) || is_nan(x.w))
        return NAN_RANGE;
    return join_ranges(range, vec2(min(min(x.x, x.y), min(x.z, x.w)), max(max(x.x, x.y), max(x.z, x.w))));
}

// Rounded to float16 where the tensor is: PyTorch rounds each step to the tensor's type.
float in_type(float x, bool is_half)
{
    return is_half ? round_to_half(x) : x;
}

float scale_of_range(vec2 range, float steps, float eps, bool is_half)
{
    if (is_nan_range(range))
        return uintBitsToFloat(NAN_BITS);
    precise float span = range.y - range.x;
    return max(in_type(exact_div(in_type(span, is_half), steps), is_half), eps);
}

// nan_zero_point: where low / scale is NaN.
float zero_point_of_range(vec2 range, float scale, float quant_min, float quant_max, float nan_zero_point, bool is_half)
{
    if (is_nan_range(range) || !is_finite(range.x))
        return nan_zero_point;
    if (!is_finite(scale))
        return quant_min;
    const float steps = roundEven(in_type(exact_div(range.x, scale), is_half));
    return clamp(quant_min - steps, quant_min, quant_max);
}

// The same for int8 over [-128, 127] with the default eps.
float int8_scale(vec2 range, bool is_half)
{
    return scale_of_range(range, 255.0, is_half ? 6.103515625e-5 : 1.17549435e-38, is_half);
}

float int8_zero_point(vec2 range, float scale, bool is_half)
{
    return zero_point_of_range(range, scale, -128.0, 127.0, 0.0, is_half);
}

#endif
