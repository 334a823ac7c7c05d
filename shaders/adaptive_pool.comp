// Adaptive average pooling: window i of n over `size` is [floor(i size / n), ceil((i + 1) size / n)). An invocation
// makes one word of the result.
#version 450
#extension GL_GOOGLE_include_directive : require

#include "flat_id.glsl"
#include "tensor_io.glsl"

layout(local_size_x = 64) in;
layout(constant_id = 0) const uint X_TYPE = DTYPE_F32;
layout(constant_id = 1) const uint Y_TYPE = DTYPE_F32;

layout(set = 0, binding = 0) uniform Params
{
    uint n_elements, in_height, in_width, out_height, out_width;
};
layout(set = 0, binding = 1) readonly buffer X
{
    uint x_words[];
};
layout(set = 0, binding = 2) writeonly buffer Y
{
    uint y_words[];
};

float average(uint plane, uint y, uint x)
{
    const uint top = y * in_height / out_height, bottom = ((y + 1u) * in_height + out_height - 1u) / out_height;
    const uint left = x * in_width / out_width, right = ((x + 1u) * in_width + out_width - 1u) / out_width;
    float sum = 0.0;

    for (uint row = top; row < bottom; row++)
        for (uint column = left; column < right; column++)
            sum += LOAD_FLOAT(x_words, (plane * in_height + row) * in_width + column, X_TYPE);
    return sum / float((bottom - top) * (right - left));
}

void main()
{
    const uint word = flat_id();
    const uint first = word << lane_bits(Y_TYPE);
    uint bits = 0u;

    if (first >= n_elements)
        return;
    for (uint lane = 0u; lane <= lane_mask(Y_TYPE); lane++) {
        const uint i = first + lane;
        if (i < n_elements)
            bits |= encode_float(average(i / (out_width * out_height), i / out_width % out_height, i % out_width),
                                 Y_TYPE)
                    << (lane * 16u);
    }
    y_words[word] = bits;
}
