// Rotary embeddings of [B, S, H, D]: pairs of a head's elements turned by an angle of the position. An invocation makes
// one word of the result.
//   pairs (2i, 2i + 1), tables [S, D / 2]          et_vk.apply_rotary_emb
//   HALVES: pairs (i, i + R / 2), tables [Smax, R] et_vk.apply_rotary_emb_hf; elements beyond R are copied
//   TABLE_OF_PAIRS: one table of (cos, sin) pairs  et_vk.apply_rotary_emb_interleaved; bound as both
#version 450
#extension GL_GOOGLE_include_directive : require

#include "flat_id.glsl"
#include "tensor_io.glsl"

layout(local_size_x = 64) in;
layout(constant_id = 0) const uint X_TYPE = DTYPE_F32;
layout(constant_id = 1) const uint TABLE_TYPE = DTYPE_F32;
layout(constant_id = 2) const uint Y_TYPE = DTYPE_F32;
layout(constant_id = 3) const bool HALVES = false;
layout(constant_id = 4) const bool TABLE_OF_PAIRS = false;

layout(set = 0, binding = 0) uniform Params
{
    uint n_elements, length, heads, head_size, rotated, position;
};
layout(set = 0, binding = 1) readonly buffer X
{
    uint x_words[];
};
layout(set = 0, binding = 2) readonly buffer Cosines
{
    uint cos_words[];
};
layout(set = 0, binding = 3) readonly buffer Sines
{
    uint sin_words[];
};
layout(set = 0, binding = 4) writeonly buffer Y
{
    uint y_words[];
};

float turned(uint i)
{
    const uint d = i % head_size, pairs = rotated / 2u;
    const uint row = i / (head_size * heads) % length + position;
    const float x = LOAD_FLOAT(x_words, i, X_TYPE);
    if (d >= rotated)
        return x;
    const bool second = HALVES ? d >= pairs : d % 2u == 1u;
    const uint partner = HALVES ? (second ? i - pairs : i + pairs) : i ^ 1u;
    const uint entry = HALVES ? row * rotated + d : row * pairs + d / 2u;
    const float other = LOAD_FLOAT(x_words, partner, X_TYPE);
    const float c = LOAD_FLOAT(cos_words, TABLE_OF_PAIRS ? 2u * entry : entry, TABLE_TYPE);
    const float s = LOAD_FLOAT(sin_words, TABLE_OF_PAIRS ? 2u * entry + 1u : entry, TABLE_TYPE);
    return x * c + (second ? other : -other) * s;
}

void main()
{
    const uint word = flat_id();
    const uint first = word << lane_bits(Y_TYPE);
    uint bits = 0u;

    if (first >= n_elements)
        return;
    for (uint lane = 0u; lane <= lane_mask(Y_TYPE); lane++) {
        if (first + lane < n_elements)
            bits |= encode_float(turned(first + lane), Y_TYPE) << (lane * 16u);
    }
    y_words[word] = bits;
}
