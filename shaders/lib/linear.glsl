// What the linear kernels share: parameters and the packed weights' layout (filled in by plan_linear.c, packed by
// pack_linear.c).
//
// Weights: panels of PANEL rows; a panel's chunks of 16 bytes (32 on CPU devices) follow each other along k, and the
// rows of a panel lie side by side in each chunk: [n / PANEL][k / chunk][PANEL][chunk]. 8-bit weights are bytes in
// order of k. 4-bit weights are two's complement nibbles; a word holds eight neighbours in k, bits 8i..8i+3 the i-th
// and bits 8i+4..8i+7 the (i+4)-th, so that one mask gives four bytes that follow each other.
// Scales: float32 [n_groups + 1][n_padded]; the last row is the bias. Padding is zero everywhere.
// Activations: as linear_prepare.comp leaves them.
#ifndef LINEAR_GLSL
#define LINEAR_GLSL


const uint PANEL = 8u;

layout(set = 0, binding = 0) uniform Params
{
    uint n_rows;       // M
    uint n_columns;    // N: distance of the result's rows
    uint first_column; // of the weights at hand; a multiple of PANEL
    uint last_column;  // one after
    uint k_padded;
    uint row_words; // distance of the activations' rows, in words
    uint n_groups;
    uint group_padded; // columns of k that share a scale
    uint n_padded;     // distance of the scales' rows
};

// Which nibble of a word is k's, k in 0..7: how far it is from the top.
uint nibble_shift(uint k)
{
    return 28u - (k < 4u ? 8u * k : 8u * (k - 4u) + 4u);
}

#endif
