// Arithmetic rate: eight independent chains of multiply-adds in registers, few enough for a CPU's. One invocation does
// count * 32 of them.
//
// KIND  0: float32; 1: float16, two to a register; 2: packed int8 dot products (each of the 4 is 4 multiply-adds)
#version 450
#extension GL_GOOGLE_include_directive : require
#if KIND == 1
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require
#endif

#if KIND == 2
#include "dot8.glsl"
#endif
#include "flat_id.glsl"

layout(local_size_x_id = 0) in;

layout(set = 0, binding = 0) uniform Params
{
    uint count;
};
layout(set = 0, binding = 1) writeonly buffer Output
{
    uint output_words[];
};

#if KIND == 0
#define CHAIN vec4
#elif KIND == 1
#define CHAIN f16vec4
#else
#define CHAIN ivec4
#endif

CHAIN advance(CHAIN x, CHAIN scale)
{
#if KIND == 2
    const int factor = scale.x;
    return x + ivec4(dot8(x.x, factor), dot8(x.y, factor), dot8(x.z, factor), dot8(x.w, factor));
#else
    return x * scale + x;
#endif
}

void main()
{
    // Not known when the shader is compiled, so that nothing is left out.
#if KIND == 2
    const CHAIN scale = CHAIN(int(count) ^ 0x1357);
#else
    const CHAIN scale = CHAIN(float(count) * 1.0e-9);
#endif
    CHAIN a = CHAIN(gl_LocalInvocationIndex), b = a + CHAIN(1);
    for (uint n = 0u; n < count; n++) {
        a = advance(a, scale);
        b = advance(b, scale);
        a = advance(a, scale);
        b = advance(b, scale);
        a = advance(a, scale);
        b = advance(b, scale);
        a = advance(a, scale);
        b = advance(b, scale);
    }
    const CHAIN sum = a + b;
    if (sum.x + sum.y + sum.z + sum.w == CHAIN(77).x) // hardly ever
        output_words[0] = flat_id();
}
