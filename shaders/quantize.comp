// Float to integer, any granularity: an invocation makes one word of the result.
#version 450
#extension GL_GOOGLE_include_directive : require

#include "blocks.glsl"
#include "elements.glsl"
#include "flat_id.glsl"
#include "qint8.glsl"

layout(local_size_x_id = 0) in;
layout(set = 0, binding = 0) uniform Params
{
    BLOCKS_MEMBERS
    uint count;
    uint x_type;
    uint out_type;
    uint scale_type;      // 0: inverse_scale below
    uint zero_point_type; // 0: zero_point below
    float inverse_scale;
    float zero_point;
    int low;
    int high;
    uint zero_point_first; // quantize_per_token: added before rounding
    uint half_steps;       // torchao on float16: each step is rounded to float16
};
layout(set = 0, binding = 1) readonly buffer X
{
    uint x_words[];
};
layout(set = 0, binding = 2) readonly buffer Scales
{
    uint scale_words[];
};
layout(set = 0, binding = 3) readonly buffer ZeroPoints
{
    uint zero_point_words[];
};
layout(set = 0, binding = 4) writeonly buffer Y
{
    uint y_words[];
};

ELEMENT_READER(read_x, x_words)
ELEMENT_READER(read_scale, scale_words)
ELEMENT_READER(read_zero_point, zero_point_words)
DEFINE_BLOCK_WALK

float steps_of(float x, float inverse, float shift)
{
    precise float steps = x * inverse;
    if (zero_point_first != 0u) {
        steps += shift;
        return roundEven(steps);
    }
    if (half_steps != 0u)
        return round_to_half(roundEven(round_to_half(steps)) + shift);
    steps = roundEven(steps) + shift;
    return steps;
}

int quantize(uint i)
{
    const uint block = BLOCK_INDEX(i);
    float inverse = inverse_scale, shift = zero_point;
    if (scale_type != 0u) {
        inverse = exact_div(1.0, read_scale(scale_type, block));
        if (half_steps != 0u)
            inverse = round_to_half(inverse);
    }
    if (zero_point_type != 0u)
        shift = read_zero_point(zero_point_type, block);
    const float steps = steps_of(read_x(x_type, i), inverse, shift);
    if (is_nan(steps))
        return out_type == DTYPE_I32 ? int(0x80000000u) : 0;
    return steps <= float(low) ? low : steps >= float(high) ? high : int(steps);
}

void main()
{
    const uint shift = elements_shift(out_type), per_word = 1u << shift, bits = 32u >> shift;
    const uint first = flat_id() << shift;
    if (first >= count)
        return;
    uint word = 0u;
    for (uint i = 0u; i < per_word; i++)
        if (first + i < count) {
            const uint q = uint(quantize(first + i));
            word |= (per_word == 1u ? q : q & ((1u << bits) - 1u)) << (i * bits);
        }
    y_words[first >> shift] = word;
}
