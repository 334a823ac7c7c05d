// Moves elements as they are from one strided place to another, four of an invocation.
#version 450
#extension GL_EXT_control_flow_attributes : require
#extension GL_GOOGLE_include_directive : require

#include "flat_id.glsl"
#include "quad_io.glsl"
#include "walk.glsl"

layout(local_size_x = 64) in;
layout(constant_id = 0) const uint TYPE = DTYPE_F32;

// How a side is walked (side_mode in src/kernels/plan_move.c).
#define MODE_FLAT    0u // upwards from a multiple of four
#define MODE_ROWS    1u // by strides; any four elements are neighbours and aligned
#define MODE_STRIDED 2u // by strides

layout(set = 0, binding = 0) uniform Params
{
    uint n, rank;
    uint x_start, y_start;
    uint x_mode, y_mode;
    uvec4 sizes[2];
    uvec4 x_strides[2], y_strides[2];
};

QUAD_INPUT(x, 1)
QUAD_OUTPUT(y, 2)

uvec4 x_places(uint first)
{
    uvec4 at = uvec4(x_start);
    if (x_mode == MODE_FLAT)
        return at + first;
    WALK_FOUR(first, n, rank, sizes, x_strides, at)
    return at;
}

uvec4 y_places(uint first)
{
    uvec4 at = uvec4(y_start);
    if (y_mode == MODE_FLAT)
        return at + first;
    WALK_FOUR(first, n, rank, sizes, y_strides, at)
    return at;
}

void main()
{
    const uint first = 4u * flat_id();
    uvec4 words;

    if (first >= n)
        return;
    const uvec4 from = x_places(first), to = y_places(first);
    if (x_mode != MODE_STRIDED)
        words = LOAD_QUAD(x, from.x / 4u, TYPE);
    else
        words = join_quad(uvec4(LOAD_BITS(x_words, from.x, TYPE), LOAD_BITS(x_words, from.y, TYPE),
                                LOAD_BITS(x_words, from.z, TYPE), LOAD_BITS(x_words, from.w, TYPE)),
                          TYPE);
    if (y_mode != MODE_STRIDED) {
        STORE_QUAD(y, to.x / 4u, words, TYPE)
        return;
    }
    const uvec4 bits = split_quad(words, TYPE);
    const uint count = min(4u, n - first);
    [[unroll]] for (uint i = 0u; i < 4u; i++) {
        const uint shift = (to[i] & lane_mask(TYPE)) * (32u >> lane_bits(TYPE));
        if (i < count)
            STORE_MASKED(y_words, to[i] >> lane_bits(TYPE), bits[i] << shift, element_mask(TYPE) << shift)
    }
}
