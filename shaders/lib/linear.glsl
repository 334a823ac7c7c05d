// What the linear kernels share: parameters and the packed weights' layout (filled in by plan_linear.c, packed by
// pack_linear.c).
//
// Weights: panels of PANEL rows; a panel's chunks of 16 bytes (32 on CPU devices) follow each other along k, and the
// rows of a panel lie side by side in each chunk: [n / PANEL][k / chunk][PANEL][chunk]. 8-bit weights are bytes in
// order of k. 4-bit weights are two's complement nibbles; a word holds eight neighbours in k, the even ones in its low
// half and the odd ones in its high half, so that one mask gives two float16s that belong together. A mask of every
// other nibble gives bytes k = 0, 4, 1, 5 (low nibbles) and 2, 6, 3, 7: int8 activations for 4-bit weights are kept in
// that order (PERMUTED of linear_prepare.comp).
// Scales: float32 [n_groups + 1][n_padded]; the last row is the bias. Padding is zero everywhere.
// Where one linear is the gate of another (linear_gate.glsl), panels of both take turns, and so do eights of everything that
// is there for each column.
// Activations: as linear_prepare.comp leaves them.
#ifndef LINEAR_GLSL
#define LINEAR_GLSL

const uint PANEL = 8u;

// Int8 kernels leave 4-bit weights in the upper halves of their bytes: sums come 16 times too large. (linear_base.comp and
// linear_cpu.comp do not.)
#if BITS == 4
#define SUM_SHIFT 4
#else
#define SUM_SHIFT 0
#endif

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
    uint out_type;     // of the result; the kernels that look at it no further write float32
    float out_inverse_scale; // int8 results: after relu, which is the same as a higher out_low
    float out_zero_point;
    int out_low;
    // Int8 activations: scale and zero point are chosen here, else in tensors of these types, else after each row, else
    // these.
    uint chosen_here;
    uint scale_type;
    uint zero_point_type;
    uint per_row; // 0: element 0 holds for all rows
    uint scales_in_rows;
    float activation_scale;
    float activation_inverse_scale;
    int activation_zero_point;
    // k in parts, each summed by work groups of its own (linear_coopmat.comp); linear_sum.comp adds them up.
    uint n_splits; // 1: results are finished at once
    uint partial_rows;
    uint partial_columns;
    uint residual_type; // of what is added to the result (linear_residual.glsl); 0: nothing
    float norm_eps; // of activations that the kernel normalizes
};

// How far the nibble of k, in 0..7, is from the top of its word.
uint nibble_shift(uint k)
{
    return 28u - 16u * (k & 1u) - 4u * (k >> 1);
}

#endif
