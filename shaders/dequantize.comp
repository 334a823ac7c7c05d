// Integer to float, any granularity: an invocation makes one word of the result.
#version 450
#extension GL_GOOGLE_include_directive : require

#include "blocks.glsl"
#include "elements.glsl"
#include "exact.glsl"
#include "flat_id.glsl"

layout(local_size_x_id = 0) in;
layout(set = 0, binding = 0) uniform Params
{
    BLOCKS_MEMBERS
    uint count;
    uint x_type;
    uint out_type;
    uint scale_type;      // 0: scale below
    uint zero_point_type; // 0: zero_point below
    float scale;
    float zero_point;
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

float dequantize(uint i)
{
    const uint block = BLOCK_INDEX(i);
    const float shift = zero_point_type != 0u ? read_zero_point(zero_point_type, block) : zero_point;
    const float factor = scale_type != 0u ? read_scale(scale_type, block) : scale;
    precise float y = (read_x(x_type, i) - shift) * factor;
    return y;
}

void main()
{
    if (out_type == DTYPE_F32) {
        const uint i = flat_id();
        if (i < count)
            y_words[i] = floatBitsToUint(dequantize(i));
    } else {
        const uint i = flat_id() * 2u;
        if (i < count)
            y_words[i >> 1] = pack_halves(dequantize(i), i + 1u < count ? dequantize(i + 1u) : 0.0);
    }
}
