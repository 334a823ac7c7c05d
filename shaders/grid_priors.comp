// et_vk.grid_priors: for every place of a plane, row by row, ((x + offset) * stride, (y + offset) * stride). An
// invocation makes one word of the result.
#version 450
#extension GL_GOOGLE_include_directive : require

#include "flat_id.glsl"
#include "tensor_io.glsl"

layout(local_size_x = 64) in;
layout(constant_id = 0) const uint Y_TYPE = DTYPE_F32;

layout(set = 0, binding = 0) uniform Params
{
    uint n_elements, width;
    float stride, offset;
};
layout(set = 0, binding = 1) writeonly buffer Y
{
    uint y_words[];
};

void main()
{
    const uint word = flat_id();
    const uint first = word << lane_bits(Y_TYPE);
    uint bits = 0u;

    if (first >= n_elements)
        return;
    for (uint lane = 0u; lane <= lane_mask(Y_TYPE); lane++) {
        const uint i = first + lane, place = i / 2u;
        const uint coordinate = i % 2u == 0u ? place % width : place / width;
        if (i < n_elements)
            bits |= encode_float((float(coordinate) + offset) * stride, Y_TYPE) << (lane * 16u);
    }
    y_words[word] = bits;
}
