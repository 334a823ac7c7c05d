// Batch norm of inference: every channel scaled and shifted by constants. An invocation makes one word.
#version 450
#extension GL_GOOGLE_include_directive : require

#include "flat_id.glsl"
#include "tensor_io.glsl"

layout(local_size_x = 64) in;
layout(constant_id = 0) const uint X_TYPE = DTYPE_F32;
layout(constant_id = 1) const uint Y_TYPE = DTYPE_F32;
layout(constant_id = 2) const uint WEIGHT_TYPE = 0; // 0: none
layout(constant_id = 3) const uint BIAS_TYPE = 0;
layout(constant_id = 4) const uint MEAN_TYPE = DTYPE_F32; // the variance's too

layout(set = 0, binding = 0) uniform Params
{
    uint n_elements, plane, channels;
    float eps;
};
layout(set = 0, binding = 1) readonly buffer X
{
    uint x_words[];
};
layout(set = 0, binding = 2) readonly buffer Weight
{
    uint weight_words[];
};
layout(set = 0, binding = 3) readonly buffer Bias
{
    uint bias_words[];
};
layout(set = 0, binding = 4) readonly buffer Mean
{
    uint mean_words[];
};
layout(set = 0, binding = 5) readonly buffer Variance
{
    uint variance_words[];
};
layout(set = 0, binding = 6) writeonly buffer Y
{
    uint y_words[];
};

void main()
{
    const uint word = flat_id();
    const uint first = word << lane_bits(Y_TYPE);
    uint bits = 0u;

    if (first >= n_elements)
        return;
    for (uint lane = 0u; lane <= lane_mask(Y_TYPE); lane++) {
        const uint i = first + lane, c = i / plane % channels;
        if (i >= n_elements)
            break;
        float value = (LOAD_FLOAT(x_words, i, X_TYPE) - LOAD_FLOAT(mean_words, c, MEAN_TYPE)) /
                      sqrt(LOAD_FLOAT(variance_words, c, MEAN_TYPE) + eps);
        if (WEIGHT_TYPE != 0u)
            value *= LOAD_FLOAT(weight_words, c, WEIGHT_TYPE);
        if (BIAS_TYPE != 0u)
            value += LOAD_FLOAT(bias_words, c, BIAS_TYPE);
        bits |= encode_float(value, Y_TYPE) << (lane * 16u);
    }
    y_words[word] = bits;
}
