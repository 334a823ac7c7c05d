// A source laid over a number, over a base tensor, or continued beyond its edges: padding, slice_scatter, roll
// (qvk__overlay in src/core/semantics.h). An invocation makes four consecutive elements.
#version 450
#extension GL_EXT_control_flow_attributes : require
#extension GL_GOOGLE_include_directive : require

#include "flat_id.glsl"
#include "quad_io.glsl"
#include "walk.glsl"

layout(local_size_x = 64) in;
layout(constant_id = 0) const uint TYPE = DTYPE_F32;
layout(constant_id = 1) const uint EDGE = 0u;

// qvk__edge
#define EDGE_VALUE     0u
#define EDGE_BASE      1u
#define EDGE_REPLICATE 2u
#define EDGE_REFLECT   3u
#define EDGE_WRAP      4u

layout(set = 0, binding = 0) uniform Params
{
    uint n, rank;
    uint value_bits;
    uvec4 sizes[2];
    uvec4 source_sizes[2];
    ivec4 starts[2], steps[2];
};

QUAD_INPUT(x, 1)
QUAD_INPUT(base, 2)
QUAD_OUTPUT(y, 3)

// Coordinate of the source that coordinate c of the result reads; -1: none.
int source_coordinate(int c, int size, int start, int step)
{
    int at = c - start;

    if (EDGE == EDGE_REPLICATE)
        return clamp(at, 0, size - 1);
    if (EDGE == EDGE_REFLECT) {
        at = abs(at);
        return at < size ? at : 2 * (size - 1) - at;
    }
    if (EDGE == EDGE_WRAP) // starts are between -size and size
        return at < 0 ? at + size : at >= size ? at - size : at;
    if (at < 0 || at / step * step != at)
        return -1;
    at /= step;
    return at < size ? at : -1;
}

// Element of the source that element `index` of the result reads; -1: none.
int source_element(uint index)
{
    int at = 0, stride = 1;

    for (int d = int(rank) - 1; d >= 0; d--) {
        const uint size = WALK_AT(sizes, d), up = index / size;
        const int source_size = int(WALK_AT(source_sizes, d));
        const int c =
            source_coordinate(int(index - up * size), source_size, WALK_AT(starts, d), WALK_AT(steps, d));
        if (c < 0)
            return -1;
        at += c * stride;
        stride *= source_size;
        index = up;
    }
    return at;
}

void main()
{
    const uint q = flat_id();
    if (4u * q >= n)
        return;

    uvec4 bits = EDGE == EDGE_BASE ? split_quad(LOAD_QUAD(base, q, TYPE), TYPE) : uvec4(value_bits);
    [[unroll]] for (uint i = 0u; i < 4u; i++) {
        const int at = source_element(min(4u * q + i, n - 1u));
        if (at >= 0)
            bits[i] = LOAD_BITS(x_words, uint(at), TYPE);
    }
    STORE_QUAD(y, q, join_quad(bits, TYPE), TYPE)
}
