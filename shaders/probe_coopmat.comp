// Arithmetic rate of cooperative matrices: four independent chains of products in registers. One subgroup does
// count * 4 products of [M, K] with [K, N].
//
// INT8  1: int8 with int32 sums; 0: float16 with float32 sums
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require
#extension GL_EXT_shader_explicit_arithmetic_types_int8 : require
#extension GL_KHR_cooperative_matrix : require
#extension GL_KHR_memory_scope_semantics : require
#extension GL_KHR_shader_subgroup_basic : require

layout(local_size_x_id = 0) in;
layout(constant_id = 1) const uint M = 16u;
layout(constant_id = 2) const uint N = 16u;
layout(constant_id = 3) const uint K = 16u;

layout(set = 0, binding = 0) uniform Params
{
    uint count;
};
layout(set = 0, binding = 1) buffer Output
{
    uint output_words[];
};

#if INT8
#define ELEMENT int8_t
#define SUM     int
#else
#define ELEMENT float16_t
#define SUM     float
#endif

void main()
{
    coopmat<ELEMENT, gl_ScopeSubgroup, M, K, gl_MatrixUseA> a =
        coopmat<ELEMENT, gl_ScopeSubgroup, M, K, gl_MatrixUseA>(ELEMENT(count & 1u));
    coopmat<ELEMENT, gl_ScopeSubgroup, K, N, gl_MatrixUseB> b =
        coopmat<ELEMENT, gl_ScopeSubgroup, K, N, gl_MatrixUseB>(ELEMENT(count & 1u));
    coopmat<SUM, gl_ScopeSubgroup, M, N, gl_MatrixUseAccumulator> sums[4];
    for (int i = 0; i < 4; i++)
        sums[i] = coopmat<SUM, gl_ScopeSubgroup, M, N, gl_MatrixUseAccumulator>(SUM(i));
    for (uint n = 0u; n < count; n++)
        for (int i = 0; i < 4; i++)
            sums[i] = coopMatMulAdd(a, b, sums[i]);
    SUM total = SUM(0);
    for (int i = 0; i < 4; i++)
        for (int e = 0; e < sums[i].length(); e++)
            total += sums[i][e];
    if (total == SUM(77)) // hardly ever
        output_words[0] = gl_LocalInvocationIndex;
}
