// Float convolution, an output element at a time: for depthwise and other narrow groups, where a matrix product would
// have nothing to share. An invocation makes the elements of one output word.
#version 450
#extension GL_GOOGLE_include_directive : require

#define CONV_MORE_PARAMS \
    uint n_elements;     \
    float lower, upper;

#include "conv_params.glsl"
#include "flat_id.glsl"
#include "tensor_io.glsl"

layout(local_size_x = 64) in;
layout(constant_id = 0) const uint X_TYPE = DTYPE_F32;
layout(constant_id = 1) const uint W_TYPE = DTYPE_F32;
layout(constant_id = 2) const uint Y_TYPE = DTYPE_F32;
layout(constant_id = 3) const uint BIAS_TYPE = 0; // 0: none
layout(constant_id = 4) const bool TRANSPOSED = false;

layout(set = 0, binding = 1) readonly buffer X
{
    uint x_words[];
};
layout(set = 0, binding = 2) readonly buffer W
{
    uint w_words[];
};
layout(set = 0, binding = 3) readonly buffer Bias
{
    uint bias_words[];
};
layout(set = 0, binding = 4) writeonly buffer Y
{
    uint y_words[];
};

float convolve(uint element)
{
    const uint taps = kernel_height * kernel_width;
    const uint x = element % out_width, y = element / out_width % out_height;
    const uint channel = element / (out_width * out_height) % (groups * out_per_group);
    const uint image = element / (out_width * out_height) / (groups * out_per_group);
    const uint group = channel / out_per_group;
    float sum = BIAS_TYPE != 0u ? LOAD_FLOAT(bias_words, channel, BIAS_TYPE) : 0.0;

    for (uint ky = 0u; ky < kernel_height; ky++) {
        uint row, column;
        if (!conv_row(y, ky, TRANSPOSED, row))
            continue;
        for (uint kx = 0u; kx < kernel_width; kx++) {
            if (!conv_column(x, kx, TRANSPOSED, column))
                continue;
            for (uint i = 0u; i < in_per_group; i++) {
                const uint in_channel = group * in_per_group + i;
                const uint kernel = TRANSPOSED ? in_channel * out_per_group + channel % out_per_group
                                               : channel * in_per_group + i;
                const uint plane = image * groups * in_per_group + in_channel;
                sum += LOAD_FLOAT(x_words, (plane * in_height + row) * in_width + column, X_TYPE) *
                       LOAD_FLOAT(w_words, kernel * taps + ky * kernel_width + kx, W_TYPE);
            }
        }
    }
    return bounded(sum, lower, upper);
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
            bits |= encode_float(convolve(first + lane), Y_TYPE) << (lane * 16u);
    }
    y_words[word] = bits;
}
