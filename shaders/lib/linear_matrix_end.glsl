// The end of the linears on cooperative matrices. Define END_TILE, shared memory of quads of which every subgroup may take
// 16 rows of END_ROW quads. Include after linear_matrices.glsl.
#ifndef LINEAR_MATRIX_END_GLSL
#define LINEAR_MATRIX_END_GLSL

// A 16 x 16 matrix that lies in this subgroup's part of END_TILE, from quad `mine` on.
void finish_matrix(uint mine, uint row, uint column)
{
    for (uint half_row = gl_SubgroupInvocationID; half_row < 32u; half_row += SUBGROUP) {
        const uint m = first_m + row + half_row / 2u;
        const uint n = first_column + first_n + column + half_row % 2u * 8u;
        if (m >= n_rows || n >= last_column)
            continue;
        const uvec4 low = END_TILE[mine + half_row / 2u * END_ROW + half_row % 2u * 2u];
        const uvec4 high = END_TILE[mine + half_row / 2u * END_ROW + half_row % 2u * 2u + 1u];
        const Quantizer q = quantizer_of(m);
        vec4 y_low, y_high;
        [[unroll]] for (uint e = 0u; e < 4u; e++) {
            y_low[e] = finish(low[e], min(n + e, n_padded - 1u), q);
            y_high[e] = finish(high[e], min(n + 4u + e, n_padded - 1u), q);
        }
        store8(m, n, y_low, y_high);
    }
}

// All of a subgroup's sums, whose first row and column in the tile are warp_m and warp_n: finished, or left in `partials`
// where k is split. A macro, as matrices are best off local to main().
#define FINISH(sums, partials, warp_m, warp_n)                                                                           \
    [[unroll]] for (uint j = 0u; j < FRAGS_N; j++)                                                                       \
        [[unroll]] for (uint i = 0u; i < FRAGS_M; i++) {                                                                 \
            if (n_splits > 1u) {                                                                                         \
                const uint split = flat_group() / ((n_rows + TILE_M - 1u) / TILE_M) % n_splits;                          \
                const uint row = split * partial_rows + first_m + (warp_m) + i * 16u;                                    \
                coopMatStore(sums[j * FRAGS_M + i], partials, row * partial_columns + first_n + (warp_n) + j * 16u,      \
                             partial_columns, gl_CooperativeMatrixLayoutRowMajor);                                       \
            } else {                                                                                                     \
                const uint mine = gl_SubgroupID * 16u * END_ROW;                                                         \
                coopMatStore(sums[j * FRAGS_M + i], END_TILE, mine, END_ROW, gl_CooperativeMatrixLayoutRowMajor);        \
                subgroupBarrier();                                                                                       \
                finish_matrix(mine, (warp_m) + i * 16u, (warp_n) + j * 16u);                                             \
                subgroupBarrier();                                                                                       \
            }                                                                                                            \
        }

#endif
