// The end of the linears on cooperative matrices. Define END_TILE, shared memory of which every subgroup may take END_QUADS
// quads. Include after linear_matrices.glsl.
#ifndef LINEAR_MATRIX_END_GLSL
#define LINEAR_MATRIX_END_GLSL

// A column of the subgroup's matrices, in its part of END_TILE. An invocation finishes two quads of a row: neighbours, or a
// gate's and what it is multiplied with, two quads on.
void finish_column(uint row, uint column)
{
    const uint apart = 1u + GATED;
    for (uint half_row = gl_SubgroupInvocationID; half_row < FRAGS_M * 32u; half_row += SUBGROUP) {
        const uint quad = half_row % 2u * (2u - GATED);
        const uint m = first_m + row + half_row / 2u, n = first_column + first_n + column + quad * 4u;
        if (m >= n_rows || n >= last_column)
            continue;
        const uint at = gl_SubgroupID * END_QUADS + half_row / 2u * END_ROW + quad;
        const uvec4 low = END_TILE[at], high = END_TILE[at + apart];
        const Quantizer q = quantizer_of(m);
        vec4 y_low, y_high;
        [[unroll]] for (uint e = 0u; e < 4u; e++) {
            y_low[e] = finish(low[e], min(n + e, n_padded - 1u), q);
            y_high[e] = finish(high[e], min(n + 4u * apart + e, n_padded - 1u), q);
        }
        if (GATED != 0u)
            store4(m, gated_column(n), gated4(y_low, y_high));
        else
            store8(m, n, y_low, y_high);
    }
}

// All sums of a subgroup, whose first row and column in the tile are warp_m and warp_n: finished, or left in PARTIALS where k
// is split. Macros, as matrices are best off local to main(). FINISH wants KEEP_SUM(f), KEEP(f, a sum), and
// LEAVE_SUM(f), LEAVE(f, a sum, PARTIALS).
#define KEEP(f, sum)                                                                                                     \
    if ((f) < N_SUMS && (f) / FRAGS_M == j)                                                                              \
        coopMatStore(sum, END_TILE, gl_SubgroupID * END_QUADS + (f) % FRAGS_M * 16u * END_ROW, END_ROW,                  \
                     gl_CooperativeMatrixLayoutRowMajor);
#define LEAVE(f, sum, partials)                                                                                          \
    if ((f) < N_SUMS)                                                                                                    \
        coopMatStore(sum, partials,                                                                                      \
                     (split * partial_rows + first_m + warp_m + (f) % FRAGS_M * 16u) * partial_columns + first_n +       \
                         warp_n + (f) / FRAGS_M * 16u,                                                                   \
                     partial_columns, gl_CooperativeMatrixLayoutRowMajor);
#define FINISH(KEEP_SUM, LEAVE_SUM)                                                                                      \
    if (n_splits > 1u) {                                                                                                 \
        FOR_SUMS(LEAVE_SUM)                                                                                              \
    } else {                                                                                                             \
        [[unroll]] for (uint j = 0u; j < FRAGS_N; j++) {                                                                 \
            FOR_SUMS(KEEP_SUM)                                                                                           \
            subgroupBarrier();                                                                                           \
            finish_column(warp_m, warp_n + j * 16u);                                                                     \
            subgroupBarrier();                                                                                           \
        }                                                                                                                \
    }

#endif
