// The end of linears whose kernels do not have it themselves: adds a tensor like the result. An invocation makes a word of
// the result.
#version 450
#extension GL_GOOGLE_include_directive : require

#include "elements.glsl"
#include "exact.glsl"
#include "flat_id.glsl"

layout(local_size_x = 64) in;
layout(set = 0, binding = 0) uniform Params
{
    uint type; // of residual and result: float32 or float16
    uint count;
};
layout(set = 0, binding = 1) readonly buffer Product
{
    float product[];
};
layout(set = 0, binding = 2) readonly buffer Residual
{
    uint residual_words[];
};
layout(set = 0, binding = 3) writeonly buffer Result
{
    uint result_words[];
};
ELEMENT_READER(read_residual, residual_words)

float result_of(uint at)
{
    precise float y = at < count ? product[at] + read_residual(type, at) : 0.0;
    return y;
}

void main()
{
    const uint word = flat_id(), first = word << elements_shift(type);
    if (first >= count)
        return;
    result_words[word] = type == DTYPE_F16 ? pack_halves(result_of(first), result_of(first + 1u))
                                           : floatBitsToUint(result_of(first));
}
