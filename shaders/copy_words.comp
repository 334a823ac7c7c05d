// Copies the first `count` words of one buffer to another: a transfer whose size is known when it runs.
#version 450
#extension GL_GOOGLE_include_directive : require

#include "flat_id.glsl"

layout(local_size_x = 64) in;

layout(set = 0, binding = 0) uniform Params
{
    uint count;
};
layout(set = 0, binding = 1) readonly buffer Source
{
    uint source[];
};
layout(set = 0, binding = 2) writeonly buffer Target
{
    uint target[];
};

void main()
{
    const uint i = flat_id();
    if (i < count)
        target[i] = source[i];
}
