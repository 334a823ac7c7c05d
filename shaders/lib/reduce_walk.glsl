// Where the elements of reductions lie, and how a work group of 128 shares them: each result has `lanes` invocations. With
// `columns` neighbouring invocations have neighbouring results (which lie side by side in memory), else neighbouring elements
// of one result. Uniform block of reduce.comp and select.comp.
#ifndef REDUCE_WALK_GLSL
#define REDUCE_WALK_GLSL

#include "flat_id.glsl"
#include "quad_io.glsl"
#include "walk.glsl"

#define GROUP 128u

layout(local_size_x = 128) in;
layout(constant_id = 0) const uint FUNCTION = 0u;
layout(constant_id = 1) const uint X_TYPE = DTYPE_F32;
layout(constant_id = 2) const uint Y_TYPE = DTYPE_F32;
// Elements are rounded to this first (float16 and bfloat16).
layout(constant_id = 3) const uint COMMON_TYPE = DTYPE_F32;

layout(set = 0, binding = 0) uniform Params
{
    uint results, count; // `count` elements make one result
    uint kept_rank, reduced_rank;
    float correction, order;
    uint lanes;
    bool columns;
    uint segments, total; // a result of the last pass is made of `total` elements in `segments` results of this one
    bool quads;           // elements of a result are neighbours, in fours that begin at multiples of four
    uvec4 kept_sizes[2], kept_strides[2];
    uvec4 reduced_sizes[2], reduced_strides[2];
};

uint start_of(uint result)
{
    uint at = 0u;
    WALK_POSITION(result, kept_rank, kept_sizes, kept_strides, at)
    return at;
}

uint place_of(uint start, uint element)
{
    uint at = start;
    if (reduced_rank == 1u)
        return at + element * reduced_strides[0].x;
    WALK_POSITION(element, reduced_rank, reduced_sizes, reduced_strides, at)
    return at;
}

#define REDUCE_LANE() (columns ? gl_LocalInvocationIndex / (GROUP / lanes) : gl_LocalInvocationIndex % lanes)
#define REDUCE_SLOT() (columns ? gl_LocalInvocationIndex % (GROUP / lanes) : gl_LocalInvocationIndex / lanes)

// Writes one element.
#define STORE_ELEMENT(words, at, bits, dtype)                                                              \
    {                                                                                                      \
        const uint store_shift = ((at) & lane_mask(dtype)) * (32u >> lane_bits(dtype));                    \
        STORE_MASKED(words, (at) >> lane_bits(dtype), (bits) << store_shift, element_mask(dtype) << store_shift) \
    }

#endif
