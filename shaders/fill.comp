// Sets words [first, first + count) of a buffer to one 32-bit pattern.
#version 450
#extension GL_GOOGLE_include_directive : require

#include "flat_id.glsl"

layout(local_size_x_id = 0) in;
layout(set = 0, binding = 0) uniform Params
{
    uint first;
    uint count;
    uint pattern;
};
layout(set = 0, binding = 1) writeonly buffer Output
{
    uint output_words[];
};

void main()
{
    const uint i = flat_id();
    if (i < count)
        output_words[first + i] = pattern;
}
