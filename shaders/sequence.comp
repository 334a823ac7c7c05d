// y[i] = start + i * step. Numbers come as sums of two floats and products keep what rounding loses, so that the result
// is the float nearest to the one PyTorch computes in double. An invocation makes four consecutive elements.
#version 450
#extension GL_EXT_control_flow_attributes : require
#extension GL_GOOGLE_include_directive : require

#include "flat_id.glsl"
#include "quad_io.glsl"
#include "real_math.glsl"

layout(local_size_x = 64) in;
layout(constant_id = 0) const uint TYPE = DTYPE_F32;
layout(constant_id = 1) const bool INTEGERS = false;

layout(set = 0, binding = 0) uniform Params
{
    uint n;
    int int_start, int_step;
    uint unused;
    vec2 start, step; // high part, low part
};

QUAD_OUTPUT(y, 1)

float term(uint index)
{
    const float i = float(index), i1 = upper_half(i), s1 = upper_half(step.x);
    precise const float i2 = i - i1, s2 = step.x - s1;
    precise const float product = i * step.x;
    precise const float product_lost = ((i1 * s1 - product) + i1 * s2 + i2 * s1) + i2 * s2;
    precise const float sum = start.x + product;
    precise const float other = sum - start.x;
    precise const float sum_lost = (start.x - (sum - other)) + (product - other);
    precise const float value = sum + (sum_lost + (product_lost + (i * step.y + start.y)));
    return value;
}

void main()
{
    const uint q = flat_id();
    uvec4 bits;

    if (4u * q >= n)
        return;
    [[unroll]] for (uint i = 0u; i < 4u; i++) {
        const uint index = 4u * q + i;
        bits[i] = INTEGERS ? encode_int(int_start + int(index) * int_step, TYPE) : encode_float(term(index), TYPE);
    }
    STORE_QUAD(y, q, join_quad(bits, TYPE), TYPE)
}
