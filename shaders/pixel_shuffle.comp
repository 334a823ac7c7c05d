// Pixel shuffle and unshuffle: words of the result, put together from elements of any size. REQUANTIZE: int8 from one
// scale and zero point to another on the way.
#version 450
#extension GL_GOOGLE_include_directive : require

#include "flat_id.glsl"
#include "tensor_io.glsl"
#ifdef REQUANTIZE
#include "qint8.glsl"
#endif

layout(local_size_x = 64) in;
layout(constant_id = 0) const uint TYPE = DTYPE_F32;
layout(constant_id = 1) const bool INVERSE = false; // from wide to narrow planes

layout(set = 0, binding = 0) uniform Params
{
    uint n_elements, rows, columns, factor; // of the wide side
    int input_zero_point;
    float input_scale, inverse_scale, zero_point;
};
layout(set = 0, binding = 1) readonly buffer X
{
    uint x_words[];
};
layout(set = 0, binding = 2) writeonly buffer Y
{
    uint y_words[];
};

// narrow[(plane * factor + i) * factor + j, y, x] is wide[plane, y * factor + i, x * factor + j].
uint source(uint element)
{
    if (INVERSE) {
        const uint width = columns / factor, height = rows / factor;
        const uint x = element % width, y = element / width % height;
        const uint j = element / (width * height) % factor, i = element / (width * height) / factor % factor;
        const uint plane = element / (width * height) / (factor * factor);
        return (plane * rows + y * factor + i) * columns + x * factor + j;
    }
    const uint column = element % columns, row = element / columns % rows;
    const uint plane = element / (columns * rows);
    const uint narrow = (plane * factor + row % factor) * factor + column % factor;
    return (narrow * (rows / factor) + row / factor) * (columns / factor) + column / factor;
}

uint convert(uint bits)
{
#ifdef REQUANTIZE
    precise float real = float(decode_int(bits, 0u, DTYPE_I8) - input_zero_point) * input_scale;
    return encode_int(quantize_int8(real, inverse_scale, zero_point), DTYPE_I8);
#else
    return bits;
#endif
}

void main()
{
    const uint word = flat_id();
    const uint first = word << lane_bits(TYPE);
    uint bits = 0u;

    if (first >= n_elements)
        return;
    for (uint lane = 0u; lane <= lane_mask(TYPE); lane++) {
        if (first + lane < n_elements)
            bits |= convert(LOAD_BITS(x_words, source(first + lane), TYPE)) << (lane * (32u >> lane_bits(TYPE)));
    }
    y_words[word] = bits;
}
