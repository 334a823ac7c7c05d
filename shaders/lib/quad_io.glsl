// Four consecutive elements at a time: one 16-, 8- or 4-byte access. Quad q of a tensor is elements 4q .. 4q + 3. Tensors
// have room for whole quads (src/kernels/kernels.h, "Device formats"), so the last one needs no care.
#ifndef QUAD_IO_GLSL
#define QUAD_IO_GLSL

#include "tensor_io.glsl"

// One buffer under three names: NAME_words, NAME_pairs, NAME_quads.
#define QUAD_INPUT(name, place)                                                                        \
    layout(set = 0, binding = place) readonly buffer name##_as_words { uint name##_words[]; };         \
    layout(set = 0, binding = place) readonly buffer name##_as_pairs { uvec2 name##_pairs[]; };        \
    layout(set = 0, binding = place) readonly buffer name##_as_quads { uvec4 name##_quads[]; };
#define QUAD_OUTPUT(name, place)                                                                       \
    layout(set = 0, binding = place) buffer name##_as_words { uint name##_words[]; };                  \
    layout(set = 0, binding = place) buffer name##_as_pairs { uvec2 name##_pairs[]; };                 \
    layout(set = 0, binding = place) buffer name##_as_quads { uvec4 name##_quads[]; };

// The words of quad `at`: 4, 2 or 1 of them, in x, y, z, w.
#define LOAD_QUAD(name, at, dtype)                                        \
    (lane_bits(dtype) == 0u   ? name##_quads[at]                          \
     : lane_bits(dtype) == 1u ? uvec4(name##_pairs[at], 0u, 0u)           \
                              : uvec4(name##_words[at], 0u, 0u, 0u))
#define STORE_QUAD(name, at, words, dtype)                                \
    {                                                                     \
        if (lane_bits(dtype) == 0u)                                       \
            name##_quads[at] = words;                                     \
        else if (lane_bits(dtype) == 1u)                                  \
            name##_pairs[at] = (words).xy;                                \
        else                                                              \
            name##_words[at] = (words).x;                                 \
    }

// Bits of the four elements, each in the low end of its component; and back.
uvec4 split_quad(uvec4 words, uint dtype)
{
    if (lane_bits(dtype) == 0u)
        return words;
    if (lane_bits(dtype) == 1u)
        return uvec4(words.x & 0xffffu, words.x >> 16, words.y & 0xffffu, words.y >> 16);
    return (uvec4(words.x) >> uvec4(0u, 8u, 16u, 24u)) & 0xffu;
}

uvec4 join_quad(uvec4 bits, uint dtype)
{
    if (lane_bits(dtype) == 0u)
        return bits;
    if (lane_bits(dtype) == 1u)
        return uvec4(bits.x | (bits.y << 16), bits.z | (bits.w << 16), 0u, 0u);
    return uvec4(bits.x | (bits.y << 8) | (bits.z << 16) | (bits.w << 24), 0u, 0u, 0u);
}

vec4 decode_quad_float(uvec4 words, uint dtype)
{
    const uvec4 bits = split_quad(words, dtype);
    return vec4(decode_float(bits.x, 0u, dtype), decode_float(bits.y, 0u, dtype), decode_float(bits.z, 0u, dtype),
                decode_float(bits.w, 0u, dtype));
}

ivec4 decode_quad_int(uvec4 words, uint dtype)
{
    const uvec4 bits = split_quad(words, dtype);
    return ivec4(decode_int(bits.x, 0u, dtype), decode_int(bits.y, 0u, dtype), decode_int(bits.z, 0u, dtype),
                 decode_int(bits.w, 0u, dtype));
}

uvec4 encode_quad_float(vec4 v, uint dtype)
{
    return join_quad(uvec4(encode_float(v.x, dtype), encode_float(v.y, dtype), encode_float(v.z, dtype),
                           encode_float(v.w, dtype)),
                     dtype);
}

uvec4 encode_quad_int(ivec4 v, uint dtype)
{
    return join_quad(
        uvec4(encode_int(v.x, dtype), encode_int(v.y, dtype), encode_int(v.z, dtype), encode_int(v.w, dtype)), dtype);
}

#endif
