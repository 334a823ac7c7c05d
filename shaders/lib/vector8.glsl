// For devices that are CPUs (lavapipe): a work group is one subgroup of 8 invocations, which LLVM turns into 8-wide
// vectors. There a load costs by the instruction, whatever its width, and a barrier much: so loads are 32 bytes wide,
// values go from lane to lane by shuffles, and sums stay in registers.
//
// Products are computed with lanes along the rows of one matrix, the own one: each lane loads 8 neighbours in k of its
// own row. The other one, the shared, comes in blocks of 8 x 8 whose elements go to all lanes in turn.
#ifndef VECTOR8_GLSL
#define VECTOR8_GLSL

#extension GL_EXT_control_flow_attributes : require
#extension GL_EXT_shader_explicit_arithmetic_types_int64 : require
#extension GL_KHR_shader_subgroup_shuffle : require

// 32 bytes as 8 floats.
void vector8_split(u64vec4 v, out float words[8])
{
    [[unroll]] for (uint i = 0u; i < 4u; i++) {
        const uvec2 pair = unpack32(v[i]);
        words[2u * i] = uintBitsToFloat(pair.x);
        words[2u * i + 1u] = uintBitsToFloat(pair.y);
    }
}

u64vec4 vector8_join(float words[8])
{
    u64vec4 v;
    [[unroll]] for (uint i = 0u; i < 4u; i++)
        v[i] = pack64(uvec2(floatBitsToUint(words[2u * i]), floatBitsToUint(words[2u * i + 1u])));
    return v;
}

#endif
