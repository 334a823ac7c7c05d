// Nearest and bilinear resizing of planes. An invocation makes one word of the result. `scale` is source steps per
// step of the result.
#version 450
#extension GL_GOOGLE_include_directive : require

#include "flat_id.glsl"
#include "tensor_io.glsl"

layout(local_size_x = 64) in;
layout(constant_id = 0) const uint X_TYPE = DTYPE_F32;
layout(constant_id = 1) const uint Y_TYPE = DTYPE_F32;
layout(constant_id = 2) const bool BILINEAR = false;
layout(constant_id = 3) const bool ALIGN_CORNERS = false;

layout(set = 0, binding = 0) uniform Params
{
    uint n_elements, in_height, in_width, out_height, out_width;
    float scale_y, scale_x;
};
layout(set = 0, binding = 1) readonly buffer X
{
    uint x_words[];
};
layout(set = 0, binding = 2) writeonly buffer Y
{
    uint y_words[];
};

float pixel(uint plane, uint row, uint column)
{
    return LOAD_FLOAT(x_words, (plane * in_height + row) * in_width + column, X_TYPE);
}

uint nearest(uint place, float scale, uint size)
{
    return min(uint(floor(float(place) * scale)), size - 1u);
}

// The first of two neighbours and the weight of the second.
uint linear(uint place, float scale, uint size, out float weight)
{
    float source = ALIGN_CORNERS ? float(place) * scale : max((float(place) + 0.5) * scale - 0.5, 0.0);
    const uint at = min(uint(source), size - 1u);
    weight = clamp(source - float(at), 0.0, 1.0);
    return at;
}

float resized(uint plane, uint y, uint x)
{
    if (!BILINEAR)
        return pixel(plane, nearest(y, scale_y, in_height), nearest(x, scale_x, in_width));
    float wy, wx;
    const uint top = linear(y, scale_y, in_height, wy), left = linear(x, scale_x, in_width, wx);
    const uint bottom = min(top + 1u, in_height - 1u), right = min(left + 1u, in_width - 1u);
    return (1.0 - wy) * ((1.0 - wx) * pixel(plane, top, left) + wx * pixel(plane, top, right)) +
           wy * ((1.0 - wx) * pixel(plane, bottom, left) + wx * pixel(plane, bottom, right));
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
            bits |= encode_float(resized(i / (out_width * out_height), i / out_width % out_height, i % out_width),
                                 Y_TYPE)
                    << (lane * 16u);
    }
    y_words[word] = bits;
}
