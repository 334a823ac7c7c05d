// Copies `count` quads of 16 bytes: the rate of device memory, as kernels reach it.
#version 450
#extension GL_GOOGLE_include_directive : require

#include "flat_id.glsl"

layout(local_size_x_id = 0) in;

layout(set = 0, binding = 0) uniform Params
{
    uint count;
    uint invocations; // all of them together
};
layout(set = 0, binding = 1) readonly buffer Source
{
    uvec4 source[];
};
layout(set = 0, binding = 2) writeonly buffer Target
{
    uvec4 target[];
};

void main()
{
    for (uint i = flat_id(); i < count; i += invocations)
        target[i] = source[i];
}
