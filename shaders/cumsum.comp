// Running sums along one dimension: an invocation takes a line of `size` elements, `inner` apart.
#version 450
#extension GL_GOOGLE_include_directive : require

#include "flat_id.glsl"
#include "tensor_io.glsl"

layout(local_size_x = 64) in;
layout(constant_id = 0) const uint X_TYPE = DTYPE_F32;
layout(constant_id = 1) const uint Y_TYPE = DTYPE_F32;
layout(constant_id = 2) const bool INTEGERS = false;

layout(set = 0, binding = 0) uniform Params
{
    uint lines, size, inner;
};
layout(set = 0, binding = 1) readonly buffer X
{
    uint x_words[];
};
layout(set = 0, binding = 2) buffer Y
{
    uint y_words[];
};

void main()
{
    const uint line = flat_id();
    if (line >= lines)
        return;

    const uint start = line / inner * size * inner + line % inner;
    float sum = 0.0, lost = 0.0;
    int total = 0;
    for (uint i = 0u; i < size; i++) {
        const uint at = start + i * inner, shift = (at & lane_mask(Y_TYPE)) * (32u >> lane_bits(Y_TYPE));
        uint bits;
        if (INTEGERS) {
            total += LOAD_INT(x_words, at, X_TYPE);
            bits = encode_int(total, Y_TYPE);
        } else { // Kahan: the sum stays precise over long lines
            precise const float value = LOAD_FLOAT(x_words, at, X_TYPE) - lost;
            precise const float next = sum + value;
            precise const float gained = next - sum;
            precise const float surplus = gained - value;
            const bool finite = (floatBitsToUint(next) & 0x7f800000u) != 0x7f800000u;
            lost = finite ? surplus : 0.0;
            sum = next;
            bits = encode_float(sum, Y_TYPE);
        }
        STORE_MASKED(y_words, at >> lane_bits(Y_TYPE), bits << shift, element_mask(Y_TYPE) << shift)
    }
}
