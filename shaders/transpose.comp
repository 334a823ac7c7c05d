// Moves elements whose neighbours in the source are not neighbours in the result, by tiles that are read along the one and
// written along the other. `outer` such planes of p x q elements: the source runs along p, the result along q.
#version 450
#extension GL_EXT_control_flow_attributes : require
#extension GL_GOOGLE_include_directive : require

#include "flat_id.glsl"
#include "quad_io.glsl"
#include "walk.glsl"

#define TILE  32u
#define GROUP 256u

layout(local_size_x = 256) in;
layout(constant_id = 0) const uint TYPE = DTYPE_F32;

layout(set = 0, binding = 0) uniform Params
{
    uint outer, rank;
    uint p_size, q_size;
    uint x_start, y_start;
    uint x_step, y_step; // along q in the source, along p in the result
    uint p_tiles, q_tiles;
    bool quads; // rows of the result begin at multiples of four
    uvec4 sizes[2];
    uvec4 x_strides[2], y_strides[2];
};

QUAD_INPUT(x, 1)
QUAD_OUTPUT(y, 2)

shared uint tile[TILE * (TILE + 1u)]; // by q, then p

void load_tile(uint start, uint p0, uint q0)
{
    [[unroll]] for (uint i = 0u; i < TILE * TILE / GROUP; i++) {
        const uint p = gl_LocalInvocationIndex % TILE, q = gl_LocalInvocationIndex / TILE + i * (GROUP / TILE);
        if (p0 + p < p_size && q0 + q < q_size)
            tile[q * (TILE + 1u) + p] = LOAD_BITS(x_words, start + (q0 + q) * x_step + p0 + p, TYPE);
    }
}

void store_quads(uint start, uint p0, uint q0)
{
    const uint q = gl_LocalInvocationIndex % (TILE / 4u) * 4u, p = gl_LocalInvocationIndex / (TILE / 4u);
    const uint from = q * (TILE + 1u) + p;

    if (p0 + p < p_size && q0 + q < q_size) {
        const uvec4 bits = uvec4(tile[from], tile[from + TILE + 1u], tile[from + 2u * (TILE + 1u)],
                                 tile[from + 3u * (TILE + 1u)]);
        STORE_QUAD(y, (start + (p0 + p) * y_step + q0 + q) / 4u, join_quad(bits, TYPE), TYPE)
    }
}

void store_elements(uint start, uint p0, uint q0)
{
    for (uint i = 0u; i < TILE * TILE / GROUP; i++) {
        const uint q = gl_LocalInvocationIndex % TILE, p = gl_LocalInvocationIndex / TILE + i * (GROUP / TILE);
        const uint at = start + (p0 + p) * y_step + q0 + q, shift = (at & lane_mask(TYPE)) * (32u >> lane_bits(TYPE));
        if (p0 + p < p_size && q0 + q < q_size)
            STORE_MASKED(y_words, at >> lane_bits(TYPE), tile[q * (TILE + 1u) + p] << shift,
                         element_mask(TYPE) << shift)
    }
}

void main()
{
    const uint group = flat_group(), plane = group / (p_tiles * q_tiles), rest = group % (p_tiles * q_tiles);
    const uint p0 = rest / q_tiles * TILE, q0 = rest % q_tiles * TILE;
    uint from = x_start, to = y_start;

    if (plane >= outer)
        return;
    WALK_POSITION(plane, rank, sizes, x_strides, from)
    WALK_POSITION(plane, rank, sizes, y_strides, to)
    load_tile(from, p0, q0);
    barrier();
    if (quads)
        store_quads(to, p0, q0);
    else
        store_elements(to, p0, q0);
}
