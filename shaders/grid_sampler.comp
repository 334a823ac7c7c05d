// aten.grid_sampler_2d: planes read at the places a grid of (x, y) in [-1, 1] says. An invocation makes one word of the
// result.
#version 450
#extension GL_GOOGLE_include_directive : require

#include "flat_id.glsl"
#include "tensor_io.glsl"

#define PADDING_ZEROS      0u
#define PADDING_REFLECTION 2u

layout(local_size_x = 64) in;
layout(constant_id = 0) const uint X_TYPE = DTYPE_F32;
layout(constant_id = 1) const uint GRID_TYPE = DTYPE_F32;
layout(constant_id = 2) const uint Y_TYPE = DTYPE_F32;
layout(constant_id = 3) const bool NEAREST = false;
layout(constant_id = 4) const uint PADDING = PADDING_ZEROS;
layout(constant_id = 5) const bool ALIGN_CORNERS = false;

layout(set = 0, binding = 0) uniform Params
{
    uint n_elements, channels, in_height, in_width, places; // places: of the grid, for each image
};
layout(set = 0, binding = 1) readonly buffer X
{
    uint x_words[];
};
layout(set = 0, binding = 2) readonly buffer Grid
{
    uint grid_words[];
};
layout(set = 0, binding = 3) writeonly buffer Y
{
    uint y_words[];
};

// Between low and low + span.
float reflected(float at, float low, float span)
{
    if (span == 0.0)
        return 0.0;
    at = abs(at - low);
    const float flips = floor(at / span), extra = at - flips * span;
    return mod(flips, 2.0) == 0.0 ? extra + low : span - extra + low;
}

float source(float coordinate, uint size)
{
    float at = ALIGN_CORNERS ? (coordinate + 1.0) / 2.0 * float(size - 1u)
                             : ((coordinate + 1.0) * float(size) - 1.0) / 2.0;
    if (PADDING == PADDING_REFLECTION)
        at = ALIGN_CORNERS ? reflected(at, 0.0, float(size - 1u)) : reflected(at, -0.5, float(size));
    return PADDING == PADDING_ZEROS ? at : clamp(at, 0.0, float(size - 1u));
}

float pixel(uint plane, float row, float column)
{
    if (!(row >= 0.0 && row < float(in_height) && column >= 0.0 && column < float(in_width)))
        return 0.0;
    return LOAD_FLOAT(x_words, (plane * in_height + uint(row)) * in_width + uint(column), X_TYPE);
}

float sampled(uint i)
{
    const uint plane = i / places, at = (plane / channels * places + i % places) * 2u;
    const float column = source(LOAD_FLOAT(grid_words, at, GRID_TYPE), in_width);
    const float row = source(LOAD_FLOAT(grid_words, at + 1u, GRID_TYPE), in_height);
    if (NEAREST)
        return pixel(plane, roundEven(row), roundEven(column));
    const float top = floor(row), left = floor(column), wy = row - top, wx = column - left;
    return (1.0 - wy) * ((1.0 - wx) * pixel(plane, top, left) + wx * pixel(plane, top, left + 1.0)) +
           wy * ((1.0 - wx) * pixel(plane, top + 1.0, left) + wx * pixel(plane, top + 1.0, left + 1.0));
}

void main()
{
    const uint word = flat_id();
    const uint first = word << lane_bits(Y_TYPE);
    uint bits = 0u;

    if (first >= n_elements)
        return;
    for (uint lane = 0u; lane <= lane_mask(Y_TYPE); lane++) {
        if (first + lane < n_elements)
            bits |= encode_float(sampled(first + lane), Y_TYPE) << (lane * 16u);
    }
    y_words[word] = bits;
}
