// Convolution for devices that are CPUs (lib/vector8.glsl), as a product of the packed weight [OC, k], whose rows are
// the lanes, and the windows X[k, pixel], gathered into blocks of 8 x 8. A work group computes TM panels of 8 output
// channels by 8 pixels. Weights are floats; a group's rows are filled up with zeros to whole panels, and in
// k to a multiple of 8. The table says for each k which channel and which offsets it is.
//
// INT8: static int8. Sums of (q - zero point) w are exact in float32 up to EXACT_STEPS eights, and go on as integers.
#version 450
#extension GL_GOOGLE_include_directive : require

#define CONV_MORE_PARAMS          \
    uint tiles_own, tiles_pixel;  \
    uint panels, steps;           \
    int input_zero_point;         \
    float low_or_inverse_scale, high_or_zero_point;

#include "conv_params.glsl"
#include "flat_id.glsl"
#include "tensor_io.glsl"
#include "vector8.glsl"

layout(local_size_x = 8) in;
layout(constant_id = 0) const uint TM = 2u;
layout(constant_id = 1) const bool TRANSPOSED = false;
layout(constant_id = 2) const uint ROW_STEP = 0u; // 1, 2: stride along x, and blocks keep to a row; 0: anything
layout(constant_id = 3) const bool FLAG = false; // int8: relu; float: there is a bias

layout(set = 0, binding = 2) readonly buffer W
{
    u64vec4 w_vectors[]; // [group][panel][step][lane]
};
layout(set = 0, binding = 3) readonly buffer Table
{
    uint table[]; // channel, dilated ky, dilated kx of each k
};

const uint SPAN = ROW_STEP > 0u ? 7u * ROW_STEP + 1u : 1u;
#define TAIL_BINDING 4
#define Y_BINDING    5
#include "conv_vector8.glsl"

#ifdef INT8
#define EXACT_STEPS 64u // 512 * 255 * 128 < 2^24
int totals[TM][8];
#endif
float sums[TM][8];
uint lane;
// Where the block's pixels' windows begin (where they end, transposed); within a row the first one's is enough.
int window_y[8], window_x[8];

void enter_block(uint first)
{
    [[unroll]] for (uint n = 0u; n < (ROW_STEP > 0u ? 1u : 8u); n++) {
        const uint pixel = min(first + n, out_height * out_width - 1u);
        const int y = int(pixel / out_width), x = int(pixel % out_width);
        window_y[n] = TRANSPOSED ? y + padding_y : y * int(stride_y) - padding_y;
        window_x[n] = TRANSPOSED ? x + padding_x : x * int(stride_x) - padding_x;
    }
}

// Position of a tap; false outside.
bool source(int window, uint offset, uint stride, uint size, out uint at)
{
    int place = TRANSPOSED ? window - int(offset) : window + int(offset);
    bool whole = true;
    if (TRANSPOSED) {
        whole = place >= 0 && uint(place) % stride == 0u;
        place = place / int(stride);
    }
    at = uint(place);
    return whole && at < size;
}

// X[k, pixel] for this lane's k and the block's pixels.
void gather(uint plane, uint offset_y, uint offset_x, out float block[8])
{
    uint row, column;
    if (ROW_STEP > 0u) {
        const bool inside = source(window_y[0], offset_y, stride_y, in_height, row);
        const int first = window_x[0] + int(offset_x);
        float run[SPAN];
        load_run(inside ? int(plane + row * in_width) + first : 0, run);
        [[unroll]] for (uint n = 0u; n < 8u; n++)
            block[n] = inside && uint(first + int(n * ROW_STEP)) < in_width ? run[n * ROW_STEP] : 0.0;
        return;
    }
    [[unroll]] for (uint n = 0u; n < 8u; n++) {
        const bool row_inside = source(window_y[n], offset_y, stride_y, in_height, row);
        const bool inside = source(window_x[n], offset_x, stride_x, in_width, column) && row_inside;
        const uint index = inside ? plane + row * in_width + column : 0u;
#ifdef INT8
        const float value = element(x_words[index / 4u], index);
#else
        const float value = uintBitsToFloat(x_words[index]);
#endif
        block[n] = inside ? value : 0.0;
    }
}

void multiply(float own[TM][8], float block[8])
{
    [[unroll]] for (uint n = 0u; n < 8u; n++)
        [[unroll]] for (uint k = 0u; k < 8u; k++) {
            const float other = subgroupShuffle(block[n], k);
            [[unroll]] for (uint i = 0u; i < TM; i++)
                sums[i][n] += own[i][k] * other;
        }
}

#ifdef INT8
void spill()
{
    [[unroll]] for (uint i = 0u; i < TM; i++)
        [[unroll]] for (uint n = 0u; n < 8u; n++) {
            totals[i][n] += int(sums[i][n]);
            sums[i][n] = 0.0;
        }
}
#endif

void main()
{
    const uint place = flat_group();
    const uint panel = place / tiles_pixel % tiles_own * TM, tile = place % tiles_pixel;
    const uint image = place / (tiles_own * tiles_pixel) / groups;
    const uint group = place / (tiles_own * tiles_pixel) % groups;
    const uint pixels = out_height * out_width, first_channel = (image * groups + group) * in_per_group;

    lane = gl_LocalInvocationIndex;
    if (image >= batches)
        return;
    [[unroll]] for (uint i = 0u; i < TM; i++)
        [[unroll]] for (uint n = 0u; n < 8u; n++) {
            sums[i][n] = 0.0;
#ifdef INT8
            totals[i][n] = 0;
#endif
        }

    uint pixel = tile * 8u, count = min(8u, pixels - min(pixel, pixels));
    if (ROW_STEP > 0u) {
        const uint tiles_row = (out_width + 7u) / 8u, x = tile % tiles_row * 8u;
        pixel = tile / tiles_row * out_width + x;
        count = min(8u, out_width - x);
    }
    enter_block(pixel);
    [[dont_unroll]] for (uint step = 0u; step < steps; step++) {
        const uint entry = (step * 8u + lane) * 3u;
        const uint plane = (first_channel + table[entry]) * (in_height * in_width);
        float own[TM][8], block[8];
        gather(plane, table[entry + 1u], table[entry + 2u], block);
        [[unroll]] for (uint i = 0u; i < TM; i++) {
            const uint row = group * panels + min(panel + i, panels - 1u);
            vector8_split(w_vectors[(row * steps + step) * 8u + lane], own[i]);
        }
        multiply(own, block);
#ifdef INT8
        if (step % EXACT_STEPS == EXACT_STEPS - 1u || step + 1u == steps)
            spill();
#endif
    }

    [[unroll]] for (uint i = 0u; i < TM; i++) {
        const uint own = (panel + i) * 8u + lane, channel = group * out_per_group + own;
        const uint at = (image * groups * out_per_group + channel) * pixels + pixel;
        uint elements[8];
        // Neither break nor loop in here: this one would not be unrolled, and the sums not stay in registers.
        if (own < out_per_group) {
            [[unroll]] for (uint n = 0u; n < 8u; n++)
#ifdef INT8
                elements[n] = finished(totals[i][n], channel);
#else
                elements[n] = finished(sums[i][n], channel);
#endif
            store(at, elements, count);
        }
    }
}
