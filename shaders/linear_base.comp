// Linear on any device: an invocation makes ROWS rows of one column. Nothing optional, four buffers.
//
// BITS  4 or 8: the weights'
// ACT   what the activations are (the forms of linear_prepare.comp): 0 float32, 3 int32
#version 450
#extension GL_GOOGLE_include_directive : require

#include "flat_id.glsl"
#include "linear.glsl"
#include "qint8.glsl"

#define ROWS 4u
#if ACT == 0
#define SUM  float
#define SUM4 vec4
#else
#define SUM  int
#define SUM4 ivec4
#endif
#if BITS == 4
#define CHUNK 32u // columns of k in 16 bytes
#else
#define CHUNK 16u
#endif

layout(local_size_x_id = 0) in;
layout(set = 0, binding = 1) readonly buffer Activations
{
    uvec4 activations[];
};
layout(set = 0, binding = 2) readonly buffer Weights
{
    uvec4 weights[];
};
layout(set = 0, binding = 3) readonly buffer Scales
{
    float scales[];
};
layout(set = 0, binding = 4) writeonly buffer Result
{
    float result[];
};

// Four weights from a multiple of 4 inside a chunk on.
SUM4 weights_of(uvec4 chunk, uint k)
{
#if BITS == 4
    const int word = int(chunk[k / 8u]);
    const uint first = k % 8u;
    return SUM4(ivec4(word << nibble_shift(first), word << nibble_shift(first + 1u),
                      word << nibble_shift(first + 2u), word << nibble_shift(first + 3u)) >>
                28);
#else
    return SUM4(unpack_bytes(chunk[k / 4u]));
#endif
}

SUM4 activations_of(uint row, uint k)
{
    const uvec4 words = activations[row * (row_words / 4u) + k / 4u];
#if ACT == 0
    return uintBitsToFloat(words);
#else
    return ivec4(words);
#endif
}

SUM dot4(SUM4 a, SUM4 b)
{
    return a.x * b.x + a.y * b.y + a.z * b.z + a.w * b.w;
}

float row_scale(uint row)
{
#if ACT == 0
    return 1.0;
#else
    return uintBitsToFloat(activations[row * (row_words / 4u) + k_padded / 4u].x);
#endif
}

void main()
{
    const uint columns = last_column - first_column, index = flat_id();
    const uint at = index % columns, n = first_column + at, first_row = index / columns * ROWS;
    if (first_row >= n_rows)
        return;
    const uint rows = min(ROWS, n_rows - first_row), n_chunks = k_padded / CHUNK;
    float total[ROWS];
    for (uint r = 0u; r < ROWS; r++)
        total[r] = 0.0;
    for (uint k = 0u, group = 0u; k < k_padded; group++) {
        const float scale = scales[min(group, n_groups - 1u) * n_padded + n];
        const uint last_k = min(k + group_padded, k_padded);
        SUM sum[ROWS];
        for (uint r = 0u; r < ROWS; r++)
            sum[r] = SUM(0);
        for (; k < last_k; k += 4u) {
            const uvec4 chunk = weights[(at / PANEL * n_chunks + k / CHUNK) * PANEL + at % PANEL];
            const SUM4 w = weights_of(chunk, k % CHUNK);
            for (uint r = 0u; r < rows; r++)
                sum[r] += dot4(activations_of(first_row + r, k), w);
        }
        for (uint r = 0u; r < rows; r++) {
#if ACT == 0
            total[r] += sum[r] * scale;
#else
            precise float factor = row_scale(first_row + r) * scale;
            precise float y = total[r] + float(sum[r]) * factor;
            total[r] = y;
#endif
        }
    }
    const float bias = scales[n_groups * n_padded + n];
    for (uint r = 0u; r < rows; r++) {
        precise float y = total[r] + bias;
        result[(first_row + r) * n_columns + n] = y;
    }
}
