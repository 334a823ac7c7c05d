// y = x read at places that index tensors give: index, index_select, gather. Along the result's dimensions every index has
// its own strides (0 where it does not vary); its value, negative ones counted from the end, times `places` leads to the
// element of x. Values out of range, an error on the host, are taken as the nearest in range. INDICES: 1 to 4.
#version 450
#extension GL_EXT_control_flow_attributes : require
#extension GL_GOOGLE_include_directive : require

#include "flat_id.glsl"
#include "quad_io.glsl"
#include "walk.glsl"

layout(local_size_x = 64) in;
layout(constant_id = 0) const uint TYPE = DTYPE_F32;

layout(set = 0, binding = 0) uniform Params
{
    uint n, rank;
    bool quads; // any four elements from a multiple of four on are neighbours in x, and begin at one
    ivec4 extents, places;
    uvec4 sizes[2];
    uvec4 x_strides[2];
    uvec4 index_strides[2 * INDICES];
};

QUAD_INPUT(x, 1)
layout(set = 0, binding = 2) readonly buffer Index0
{
    int index_0[];
};
#if INDICES > 1
layout(set = 0, binding = 3) readonly buffer Index1
{
    int index_1[];
};
#endif
#if INDICES > 2
layout(set = 0, binding = 4) readonly buffer Index2
{
    int index_2[];
};
#endif
#if INDICES > 3
layout(set = 0, binding = 5) readonly buffer Index3
{
    int index_3[];
};
#endif
QUAD_OUTPUT(y, INDICES + 2)

int load_index(uint which, uint at)
{
#if INDICES > 3
    if (which == 3u)
        return index_3[at];
#endif
#if INDICES > 2
    if (which == 2u)
        return index_2[at];
#endif
#if INDICES > 1
    if (which == 1u)
        return index_1[at];
#endif
    return index_0[at];
}

uint place_of(uint element)
{
    uint at = 0u, entries[INDICES];

    [[unroll]] for (uint i = 0u; i < uint(INDICES); i++)
        entries[i] = 0u;
    for (int d = int(rank) - 1; d >= 0; d--) {
        const uint size = WALK_AT(sizes, d), up = element / size, c = element - up * size;
        at += c * WALK_AT(x_strides, d);
        [[unroll]] for (int i = 0; i < INDICES; i++)
            entries[i] += c * index_strides[2 * i + (d >> 2)][d & 3];
        element = up;
    }
    [[unroll]] for (uint i = 0u; i < uint(INDICES); i++) {
        const int value = load_index(i, entries[i]), extent = extents[i];
        at += uint(clamp(value < 0 ? value + extent : value, 0, extent - 1) * places[i]);
    }
    return at;
}

void main()
{
    const uint q = flat_id();
    if (4u * q >= n)
        return;

    if (quads) {
        const uint at = place_of(4u * q) / 4u;
        const uvec4 words = LOAD_QUAD(x, at, TYPE);
        STORE_QUAD(y, q, words, TYPE)
        return;
    }
    uvec4 bits = uvec4(0u);
    [[unroll]] for (uint i = 0u; i < 4u; i++)
        bits[i] = LOAD_BITS(x_words, place_of(min(4u * q + i, n - 1u)), TYPE);
    STORE_QUAD(y, q, join_quad(bits, TYPE), TYPE)
}
