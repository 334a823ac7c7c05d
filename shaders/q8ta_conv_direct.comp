// Static int8 convolution, an output element at a time: for depthwise and other narrow groups. An invocation makes the
// four elements of one output word.
#version 450
#extension GL_GOOGLE_include_directive : require

#define CONV_MORE_PARAMS   \
    uint n_elements;       \
    int input_zero_point;  \
    float inverse_scale, zero_point;

#include "conv_params.glsl"
#include "flat_id.glsl"
#include "tensor_io.glsl"

layout(local_size_x = 64) in;
layout(constant_id = 0) const bool TRANSPOSED = false;
layout(constant_id = 1) const bool RELU = false;

layout(set = 0, binding = 1) readonly buffer X
{
    uint x_words[];
};
layout(set = 0, binding = 2) readonly buffer W
{
    uint w_words[]; // bytes [OC][taps][ICg]
};
layout(set = 0, binding = 3) readonly buffer Epilogue
{
    uint epilogue_words[];
};
layout(set = 0, binding = 4) writeonly buffer Y
{
    uint y_words[];
};

#define EPILOGUE_WORDS epilogue_words
#include "q8ta_epilogue.glsl"

int convolve(uint element)
{
    const uint plane = in_height * in_width;
    const uint x = element % out_width, y = element / out_width % out_height;
    const uint channel = element / (out_width * out_height) % (groups * out_per_group);
    const uint image = element / (out_width * out_height) / (groups * out_per_group);
    const uint first = (image * groups + channel / out_per_group) * in_per_group * plane;
    uint weight = channel * kernel_height * kernel_width * in_per_group;
    int sum = 0;

    for (uint ky = 0u; ky < kernel_height; ky++) {
        uint row, column;
        const bool row_inside = conv_row(y, ky, TRANSPOSED, row);
        for (uint kx = 0u; kx < kernel_width; kx++) {
            const bool inside = conv_column(x, kx, TRANSPOSED, column) && row_inside;
            for (uint i = 0u; i < in_per_group; i++, weight++) {
                const int w = LOAD_INT(w_words, weight, DTYPE_I8);
                sum += w * (inside ? LOAD_INT(x_words, first + i * plane + row * in_width + column, DTYPE_I8)
                                   : input_zero_point);
            }
        }
    }
    return q8ta_output(sum, channel, RELU, inverse_scale, zero_point);
}

void main()
{
    const uint word = flat_id();
    uint bits = 0u;

    if (word * 4u >= n_elements)
        return;
    for (uint lane = 0u; lane < 4u; lane++) {
        if (word * 4u + lane < n_elements)
            bits |= encode_int(convolve(word * 4u + lane), DTYPE_I8) << (8u * lane);
    }
    y_words[word] = bits;
}
