// What the convolutions for CPU devices share (conv_cpu.comp, depthwise_cpu.comp): runs of a row in few loads, and what
// follows the sums. Include after conv_params.glsl, whose block has input_zero_point, low_or_inverse_scale and
// high_or_zero_point, with
//   INT8                       static int8; else float32
//   SPAN                       elements a run has (a specialization constant may decide)
//   TAIL_BINDING, Y_BINDING    of the epilogue or bias, and of the result
//   FLAG                       int8: relu; float: there is a bias
#ifndef CONV_VECTOR8_GLSL
#define CONV_VECTOR8_GLSL

layout(set = 0, binding = 1) readonly buffer X
{
    uint x_words[];
};
layout(set = 0, binding = 1) readonly buffer XQuads
{
    uvec4 x_quads[];
};
layout(set = 0, binding = TAIL_BINDING) readonly buffer Tail
{
    uint tail_words[]; // int8: the epilogue; float: the bias
};
layout(set = 0, binding = Y_BINDING) buffer Y
{
    uint y_words[];
};
layout(set = 0, binding = Y_BINDING) buffer YQuads
{
    uvec4 y_quads[];
};

#ifdef INT8
#define EPILOGUE_WORDS tail_words
#define TYPE           DTYPE_I8
#include "q8ta_epilogue.glsl"

float element(uint word, uint index)
{
    return float((int(word << (24u - 8u * (index & 3u))) >> 24) - input_zero_point);
}

// SPAN elements from `first` on. Those before the first of the tensor may be anything.
void load_run(int first, out float run[SPAN])
{
    const uint n_words = (SPAN + 6u) / 4u;
    const uint shift = 8u * (uint(first) & 3u);
    uint words[n_words + 1u];

    [[unroll]] for (int i = 0; i < int(n_words); i++)
        words[i] = x_words[max((first >> 2) + i, 0)];
    words[n_words] = 0u;
    [[unroll]] for (uint i = 0u; i < n_words; i++)
        words[i] = shift == 0u ? words[i] : (words[i] >> shift) | (words[i + 1u] << (32u - shift));
    [[unroll]] for (uint n = 0u; n < SPAN; n++)
        run[n] = element(words[n / 4u], n);
}
#else
#define TYPE DTYPE_F32

void load_run(int first, out float run[SPAN])
{
    const uint n_quads = (SPAN + 6u) / 4u;
    const bool by_2 = (first & 2) != 0, by_1 = (first & 1) != 0;
    uint words[4u * n_quads];

    [[unroll]] for (int i = 0; i < int(n_quads); i++) {
        const uvec4 quad = x_quads[max((first >> 2) + i, 0)];
        [[unroll]] for (int c = 0; c < 4; c++)
            words[4 * i + c] = quad[c];
    }
    [[unroll]] for (uint i = 0u; i <= SPAN; i++)
        words[i] = by_2 ? words[i + 2u] : words[i];
    [[unroll]] for (uint n = 0u; n < SPAN; n++)
        run[n] = uintBitsToFloat(by_1 ? words[n + 1u] : words[n]);
}
#endif

#ifdef INT8
uint finished(int total, uint channel)
{
    return encode_int(q8ta_exact_output(total, channel, FLAG, low_or_inverse_scale, high_or_zero_point), TYPE);
}

// `count` bytes at byte `at`. No loop: it would keep its caller's from being unrolled.
void store(uint at, uint elements[8], uint count)
{
    const uint shift = 8u * (at & 3u), missing = 8u * (8u - count);
    uvec2 bytes = uvec2(elements[0] | elements[1] << 8 | elements[2] << 16 | elements[3] << 24,
                        elements[4] | elements[5] << 8 | elements[6] << 16 | elements[7] << 24);
    uvec2 mask = missing < 32u ? uvec2(0xffffffffu, 0xffffffffu >> missing) : uvec2(0xffffffffu >> (missing - 32u), 0u);
    const bool whole = shift == 0u;
    const uvec3 words = whole ? uvec3(bytes, 0u)
                              : uvec3(bytes.x << shift, bytes.x >> (32u - shift) | bytes.y << shift, bytes.y >> (32u - shift));
    const uvec3 masks = whole ? uvec3(mask, 0u)
                              : uvec3(mask.x << shift, mask.x >> (32u - shift) | mask.y << shift, mask.y >> (32u - shift));
    STORE_MASKED(y_words, at / 4u, words.x, masks.x)
    if (masks.y != 0u)
        STORE_MASKED(y_words, at / 4u + 1u, words.y, masks.y)
    if (masks.z != 0u)
        STORE_MASKED(y_words, at / 4u + 2u, words.z, masks.z)
}
#else
uint finished(float sum, uint channel)
{
    const float bias = FLAG ? uintBitsToFloat(tail_words[channel]) : 0.0;
    return floatBitsToUint(bounded(sum + bias, low_or_inverse_scale, high_or_zero_point));
}

void store(uint at, uint elements[8], uint count)
{
    if (count == 8u && at % 4u == 0u) {
        y_quads[at / 4u] = uvec4(elements[0], elements[1], elements[2], elements[3]);
        y_quads[at / 4u + 1u] = uvec4(elements[4], elements[5], elements[6], elements[7]);
        return;
    }
    [[unroll]] for (uint n = 0u; n < 8u; n++)
        if (n < count)
            y_words[at + n] = elements[n];
}
#endif

#endif
