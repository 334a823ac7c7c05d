// Depthwise convolution for devices that are CPUs (lib/vector8.glsl): a work group goes over `tiles_group` runs of 8
// pixels of 8 channels, the lanes. A row of the input under a run is loaded once for all taps on it.
// INT8: static int8; sums are exact in float32.
#version 450
#extension GL_GOOGLE_include_directive : require

#define CONV_MORE_PARAMS     \
    uint tiles, tiles_group; \
    int input_zero_point;    \
    float low_or_inverse_scale, high_or_zero_point;

#include "conv_params.glsl"
#include "flat_id.glsl"
#include "tensor_io.glsl"
#include "vector8.glsl"

layout(local_size_x = 8) in;
layout(constant_id = 0) const uint KERNEL_HEIGHT = 3u;
layout(constant_id = 1) const uint KERNEL_WIDTH = 3u;
layout(constant_id = 2) const uint STRIDE = 1u;   // along x
layout(constant_id = 3) const uint DILATION = 1u; // along x
layout(constant_id = 4) const bool FLAG = false;  // int8: relu; float: there is a bias

layout(set = 0, binding = 2) readonly buffer W
{
    float w_words[]; // [panel of 8 channels][tap][lane]
};

const uint SPAN = 7u * STRIDE + (KERNEL_WIDTH - 1u) * DILATION + 1u;
#define TAIL_BINDING 3
#define Y_BINDING    4
#include "conv_vector8.glsl"

const uint TAPS = KERNEL_HEIGHT * KERNEL_WIDTH;

float weight[TAPS];

// Sums of 8 pixels from column x of row y on.
void convolve(uint plane, uint y, uint x, out float sums[8])
{
    const int left = int(x * STRIDE) - padding_x;

    [[unroll]] for (uint n = 0u; n < 8u; n++)
        sums[n] = 0.0;
    [[unroll]] for (uint ky = 0u; ky < KERNEL_HEIGHT; ky++) {
        const int row = int(y * stride_y + ky * dilation_y) - padding_y;
        const bool inside = uint(row) < in_height;
        float run[SPAN];
        load_run(int(plane + (inside ? uint(row) : 0u) * in_width) + left, run);
        [[unroll]] for (uint n = 0u; n < SPAN; n++)
            run[n] = inside && uint(left + int(n)) < in_width ? run[n] : 0.0;
        [[unroll]] for (uint kx = 0u; kx < KERNEL_WIDTH; kx++)
            [[unroll]] for (uint n = 0u; n < 8u; n++)
                sums[n] += weight[ky * KERNEL_WIDTH + kx] * run[n * STRIDE + kx * DILATION];
    }
}

void main()
{
    const uint lane = gl_LocalInvocationIndex, place = flat_group();
    const uint panels = (groups + 7u) / 8u, pieces = (tiles + tiles_group - 1u) / tiles_group;
    const uint image = place / (panels * pieces), panel = place / pieces % panels;
    const uint channel = min(panel * 8u + lane, groups - 1u);
    const uint plane = (image * groups + channel) * in_height * in_width;
    const uint tiles_row = (out_width + 7u) / 8u;

    if (image >= batches)
        return;
    [[unroll]] for (uint tap = 0u; tap < TAPS; tap++)
        weight[tap] = w_words[(panel * TAPS + tap) * 8u + lane];
    const uint first = place % pieces * tiles_group;
    [[dont_unroll]] for (uint tile = first; tile < min(first + tiles_group, tiles); tile++) {
        const uint y = tile / tiles_row, x = tile % tiles_row * 8u;
        const uint at = (image * groups + channel) * out_height * out_width + y * out_width + x;
        float sums[8];
        uint elements[8];
        convolve(plane, y, x, sums);
        [[unroll]] for (uint n = 0u; n < 8u; n++)
#ifdef INT8
            elements[n] = finished(int(sums[n]), channel);
#else
            elements[n] = finished(sums[n], channel);
#endif
        if (panel * 8u + lane < groups)
            store(at, elements, min(8u, out_width - x));
    }
}
