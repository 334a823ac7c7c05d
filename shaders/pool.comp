// Maximum and average pooling. An invocation makes one word of the result.
#version 450
#extension GL_GOOGLE_include_directive : require

#include "exact.glsl"
#include "flat_id.glsl"
#include "tensor_io.glsl"

layout(local_size_x = 64) in;
layout(constant_id = 0) const uint X_TYPE = DTYPE_F32;
layout(constant_id = 1) const uint Y_TYPE = DTYPE_F32;
layout(constant_id = 2) const bool MAXIMUM = false;

layout(set = 0, binding = 0) uniform Params
{
    uint n_elements;
    int in_height, in_width, out_height, out_width, kernel_height, kernel_width, stride_y, stride_x;
    int padding_y, padding_x, dilation_y, dilation_x;
    uint count_include_pad;
    int divisor; // 0: the number of elements
};
layout(set = 0, binding = 1) readonly buffer X
{
    uint x_words[];
};
layout(set = 0, binding = 2) writeonly buffer Y
{
    uint y_words[];
};
#ifdef WITH_INDICES
layout(set = 0, binding = 3) writeonly buffer Indices
{
    int indices[];
};
#endif

float pixel(uint plane, int row, int column)
{
    return LOAD_FLOAT(x_words, plane * uint(in_height * in_width) + uint(row * in_width + column), X_TYPE);
}

// The first of equal maxima wins, and NaN wins over all.
float maximum(uint plane, int y, int x, out int index)
{
    float best = 0.0;

    index = -1;
    for (int ky = 0; ky < kernel_height; ky++)
        for (int kx = 0; kx < kernel_width; kx++) {
            const int row = y * stride_y - padding_y + ky * dilation_y;
            const int column = x * stride_x - padding_x + kx * dilation_x;
            if (row < 0 || row >= in_height || column < 0 || column >= in_width)
                continue;
            const float value = pixel(plane, row, column);
            if (index < 0 || value > best || is_nan(value)) {
                best = value;
                index = row * in_width + column;
            }
        }
    return best;
}

float average(uint plane, int y, int x)
{
    const int top = y * stride_y - padding_y, left = x * stride_x - padding_x;
    // With ceil_mode the last window may leave even the padding; that part never counts.
    const int bottom = min(top + kernel_height, in_height + padding_y);
    const int right = min(left + kernel_width, in_width + padding_x);
    const int first_row = max(top, 0), last_row = min(bottom, in_height);
    const int first_column = max(left, 0), last_column = min(right, in_width);
    float sum = 0.0;

    if (first_row >= last_row || first_column >= last_column)
        return 0.0;
    for (int row = first_row; row < last_row; row++)
        for (int column = first_column; column < last_column; column++)
            sum += pixel(plane, row, column);
    const int count = count_include_pad != 0u ? (bottom - top) * (right - left)
                                              : (last_row - first_row) * (last_column - first_column);
    return sum / float(divisor != 0 ? divisor : count);
}

void main()
{
    const uint word = flat_id();
    const uint first = word << lane_bits(Y_TYPE);
    uint bits = 0u;

    if (first >= n_elements)
        return;
    for (uint lane = 0u; lane <= lane_mask(Y_TYPE); lane++) {
        const uint i = first + lane;
        if (i >= n_elements)
            break;
        const int x = int(i % uint(out_width)), y = int(i / uint(out_width) % uint(out_height));
        const uint plane = i / uint(out_width * out_height);
        int index;
        const float value = MAXIMUM ? maximum(plane, y, x, index) : average(plane, y, x);
        bits |= encode_float(value, Y_TYPE) << (lane * 16u);
#ifdef WITH_INDICES
        indices[i] = index;
#endif
    }
    y_words[word] = bits;
}
