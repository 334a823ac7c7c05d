// RMS norm for kernels that normalize the activations they read: what norm_rows.comp makes of them, bit for bit but for
// the order of the sum. Include after exact.glsl with these defined:
//   NORM       a constant. 0: activations are read as they are; else 1 plus the type of the weight: 0 none, 1 float32,
//              2 float16 (the codes of elements.glsl)
//   ROUNDING   a constant: qvk__rms_rounding (src/core/semantics.h)
//   NORM_HALF  whether activations are float16
#ifndef RMS_GLSL
#define RMS_GLSL

#define ROUND_NORMALIZED 1u
#define ROUND_STEPS      2u

// What a step leaves where it is rounded; `rounding`: the least that asks for it.
float norm_step(float value, uint rounding)
{
    return NORM_HALF && ROUNDING >= rounding ? round_to_half(value) : value;
}

float norm_squares(vec4 x)
{
    const vec4 y = x * x;
    return norm_step(y.x, ROUND_STEPS) + norm_step(y.y, ROUND_STEPS) + norm_step(y.z, ROUND_STEPS) +
           norm_step(y.w, ROUND_STEPS);
}

// Of a row of n elements.
float norm_rstd(float squares, uint n, float eps)
{
    const float mean = norm_step(squares / float(n), ROUND_STEPS);
    return norm_step(1.0 / sqrt(norm_step(mean + eps, ROUND_STEPS)), ROUND_STEPS);
}

float normalize_one(float x, float rstd, float weight)
{
    float y = norm_step(x * rstd, ROUND_NORMALIZED);
    if (NORM > 1u)
        y *= weight;
    return NORM_HALF ? round_to_half(y) : y;
}

vec4 normalize_four(vec4 x, float rstd, vec4 weight)
{
    return vec4(normalize_one(x.x, rstd, weight.x), normalize_one(x.y, rstd, weight.y),
                normalize_one(x.z, rstd, weight.z), normalize_one(x.w, rstd, weight.w));
}

#endif
