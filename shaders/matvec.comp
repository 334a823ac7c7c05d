// y[m, n] = x[m] . w[n] + b[n] for a few rows of x (at most MAX_M): every weight is read once, by neighbouring
// invocations along k. A work group makes ROWS outputs n, each with LANES invocations. QUADS: k is a multiple of 4.
#version 450
#extension GL_GOOGLE_include_directive : require

#include "flat_id.glsl"
#include "quad_io.glsl"
#include "tensor_io.glsl"

#define LANES 32u
#define ROWS  4u

layout(local_size_x = 128) in;
layout(constant_id = 0) const uint X_TYPE = DTYPE_F32;
layout(constant_id = 1) const uint W_TYPE = DTYPE_F32;
layout(constant_id = 2) const uint Y_TYPE = DTYPE_F32;
layout(constant_id = 3) const uint BIAS_TYPE = 0; // 0: none
layout(constant_id = 4) const bool QUADS = false;

layout(set = 0, binding = 0) uniform Params
{
    uint m_size, n_size, k_size;
};
QUAD_INPUT(x, 1)
QUAD_INPUT(w, 2)
layout(set = 0, binding = 3) readonly buffer Bias
{
    uint bias_words[];
};
layout(set = 0, binding = 4) buffer Y
{
    uint y_words[];
};

shared float partial[MAX_M][ROWS][LANES];

void main()
{
    const uint n0 = flat_group() * ROWS;
    const uint row = gl_LocalInvocationIndex / LANES, lane = gl_LocalInvocationIndex % LANES;
    const uint n = n0 + row;
    float sums[MAX_M];

    if (n0 >= n_size)
        return;
    for (uint m = 0u; m < uint(MAX_M); m++)
        sums[m] = 0.0;
    if (n < n_size && QUADS)
        for (uint k = lane; k < k_size / 4u; k += LANES) {
            const vec4 w = decode_quad_float(LOAD_QUAD(w, n * (k_size / 4u) + k, W_TYPE), W_TYPE);
            for (uint m = 0u; m < m_size; m++)
                sums[m] += dot(w, decode_quad_float(LOAD_QUAD(x, m * (k_size / 4u) + k, X_TYPE), X_TYPE));
        }
    else if (n < n_size)
        for (uint k = lane; k < k_size; k += LANES) {
            const float w = LOAD_FLOAT(w_words, n * k_size + k, W_TYPE);
            for (uint m = 0u; m < m_size; m++)
                sums[m] += w * LOAD_FLOAT(x_words, m * k_size + k, X_TYPE);
        }
    for (uint m = 0u; m < uint(MAX_M); m++)
        partial[m][row][lane] = sums[m];
    barrier();
    for (uint step = LANES / 2u; step > 0u; step /= 2u) {
        if (lane < step)
            for (uint m = 0u; m < uint(MAX_M); m++)
                partial[m][row][lane] += partial[m][row][lane + step];
        barrier();
    }
    // One invocation writes the group's outputs of a row: they may share a word.
    const uint m = gl_LocalInvocationIndex;
    if (m < m_size) {
        const uint count = min(ROWS, n_size - n0);
        uint elements[ROWS];
        for (uint i = 0u; i < count; i++) {
            float value = partial[m][i][0];
            if (BIAS_TYPE != 0u)
                value += LOAD_FLOAT(bias_words, n0 + i, BIAS_TYPE);
            elements[i] = encode_float(value, Y_TYPE);
        }
        STORE_RUN(y_words, m * n_size + n0, elements, count, Y_TYPE)
    }
}
