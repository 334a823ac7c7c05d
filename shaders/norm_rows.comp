// Layer, group and rms norm: rows of `n` elements, each normalised by its own statistics, one row a work group.
// Element i of row r has weight and bias (i / repeat + r * (n / repeat)) % n_weights: layer and rms norm have one an
// element (repeat 1, n_weights n), group norm one a channel (repeat the plane's size, n_weights the channels).
#version 450
#extension GL_GOOGLE_include_directive : require

#include "flat_id.glsl"
#include "tensor_io.glsl"

layout(local_size_x_id = 0) in;
layout(constant_id = 1) const uint X_TYPE = DTYPE_F32;
layout(constant_id = 2) const uint Y_TYPE = DTYPE_F32;
layout(constant_id = 3) const uint WEIGHT_TYPE = 0; // 0: none
layout(constant_id = 4) const uint BIAS_TYPE = 0;
layout(constant_id = 5) const bool RMS = false; // divide by the root mean square; subtract nothing

layout(set = 0, binding = 0) uniform Params
{
    uint rows, n, repeat, n_weights;
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
layout(set = 0, binding = 4) buffer Y
{
    uint y_words[];
};
#ifdef WITH_STATISTICS
layout(set = 0, binding = 5) buffer Mean
{
    uint mean_words[];
};
layout(set = 0, binding = 6) buffer Rstd
{
    uint rstd_words[];
};
#endif

#include "reduce.glsl"
#include "row_words.glsl"

void main()
{
    const uint id = gl_LocalInvocationIndex, step = gl_WorkGroupSize.x;
    const uint row = flat_group(), first = row * n;
    float mean = 0.0, squares = 0.0;

    if (row >= rows)
        return;
    if (!RMS) {
        for (uint i = id; i < n; i += step)
            mean += LOAD_FLOAT(x_words, first + i, X_TYPE);
        mean = reduce_sum(mean) / float(n);
    }
    for (uint i = id; i < n; i += step) {
        const float centred = LOAD_FLOAT(x_words, first + i, X_TYPE) - mean;
        squares += centred * centred;
    }
    const float rstd = 1.0 / sqrt(reduce_sum(squares) / float(n) + eps);

    FOR_ROW_WORDS(first, first + n, Y_TYPE, low, high) {
        uint elements[2];
        for (uint i = low; i < high; i++) {
            const uint at = ((i - first) / repeat + row * (n / repeat)) % n_weights;
            float value = (LOAD_FLOAT(x_words, i, X_TYPE) - mean) * rstd;
            if (WEIGHT_TYPE != 0u)
                value *= LOAD_FLOAT(weight_words, at, WEIGHT_TYPE);
            if (BIAS_TYPE != 0u)
                value += LOAD_FLOAT(bias_words, at, BIAS_TYPE);
            elements[i - low] = encode_float(value, Y_TYPE);
        }
        STORE_RUN(y_words, low, elements, high - low, Y_TYPE)
    }
#ifdef WITH_STATISTICS
    if (id == 0u) {
        uint mean_bits[1] = {encode_float(mean, Y_TYPE)}, rstd_bits[1] = {encode_float(rstd, Y_TYPE)};
        STORE_RUN(mean_words, row, mean_bits, 1u, Y_TYPE)
        STORE_RUN(rstd_words, row, rstd_bits, 1u, Y_TYPE)
    }
#endif
}
