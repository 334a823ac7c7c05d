// The uniform block of the convolution kernels, in the order qvk__dispatch_conv (src/kernels/plan_conv.c) writes it, and where a tap
// reads. Define CONV_MORE_PARAMS (may be empty) before including.
#ifndef CONV_PARAMS_GLSL
#define CONV_PARAMS_GLSL

layout(set = 0, binding = 0) uniform Params
{
    uint in_height, in_width, out_height, out_width;
    uint kernel_height, kernel_width, stride_y, stride_x;
    int padding_y, padding_x;
    uint dilation_y, dilation_x;
    uint batches, groups, in_per_group, out_per_group;
    CONV_MORE_PARAMS
};

// Position along one dimension that tap `tap` of output `place` reads; false in the padding.
bool conv_source(uint place, uint tap, uint size, uint stride, int padding, uint dilation, bool transposed, out uint at)
{
    int source = int(place * stride + tap * dilation) - padding;

    if (transposed) {
        source = int(place) + padding - int(tap * dilation);
        if (source < 0 || uint(source) % stride != 0u)
            return false;
        source /= int(stride);
    }
    at = uint(source);
    return at < size; // a negative one is large
}

bool conv_row(uint place, uint tap, bool transposed, out uint at)
{
    return conv_source(place, tap, in_height, stride_y, padding_y, dilation_y, transposed, at);
}

bool conv_column(uint place, uint tap, bool transposed, out uint at)
{
    return conv_source(place, tap, in_width, stride_x, padding_x, dilation_x, transposed, at);
}

#endif
