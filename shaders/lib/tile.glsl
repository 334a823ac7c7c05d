// A work group's share of a matrix product C = A B: a TILE_M x TILE_N tile of C, THREAD_M x THREAD_N of it in each
// invocation's registers, A and B brought through shared memory TILE_K steps of k at a time. What the next steps need is
// read from memory while this one's products are made.
//
// The including shader defines
//   TILE_M TILE_N TILE_K THREAD_M THREAD_N   multiples of 4; (TILE_M / THREAD_M) * (TILE_N / THREAD_N) = TILE_GROUP
//                                            invocations, which must divide TILE_M * TILE_K / 4 and TILE_N * TILE_K / 4
//   TILE_TYPE TILE_VEC                       float and vec4, or int and ivec4 for words of four int8 (k counts words)
//   TILE_B_ALONG_K                           when neighbours in memory of B are neighbours in k, not in n
//   TILE_VEC load_a(uint m, uint k)          four neighbours in k of the whole matrix; 0 outside, so that ragged edges
//                                            need no care here
//   TILE_VEC load_b(uint k, uint n)          four neighbours in k, or in n
//   TILE_TYPE multiply_add(TILE_TYPE a, TILE_TYPE b, TILE_TYPE sum)
// and calls tile_multiply from uniform control flow. An invocation's results are runs of four columns, in runs of four
// rows: row i of its THREAD_M is tile_row(i) of the tile, column j tile_column(j).
#ifndef TILE_GLSL
#define TILE_GLSL

#define TILE_GROUP (TILE_M / THREAD_M * (TILE_N / THREAD_N))
#define TILE_A_QUADS (TILE_M * TILE_K / 4 / TILE_GROUP)
#define TILE_B_QUADS (TILE_N * TILE_K / 4 / TILE_GROUP)

layout(local_size_x = TILE_GROUP) in;

// One more quad than needed, so that writes along k spread over the banks.
shared TILE_VEC tile_a[TILE_K][TILE_M / 4 + 1];
shared TILE_VEC tile_b[TILE_K][TILE_N / 4 + 1];

uint tile_row(uint i)
{
    const uint thread_row = gl_LocalInvocationIndex / uint(TILE_N / THREAD_N);
    return (i / 4u * uint(TILE_M / THREAD_M) + thread_row) * 4u + i % 4u;
}

uint tile_column(uint j)
{
    const uint thread_column = gl_LocalInvocationIndex % uint(TILE_N / THREAD_N);
    return (j / 4u * uint(TILE_N / THREAD_N) + thread_column) * 4u + j % 4u;
}

// Quad i of those an invocation brings: its row or column, and its k.
uvec2 tile_quad_along_k(uint i)
{
    const uint at = gl_LocalInvocationIndex + i * uint(TILE_GROUP);
    return uvec2(at / uint(TILE_K / 4), at % uint(TILE_K / 4) * 4u);
}

uvec2 tile_quad_along_n(uint i)
{
    const uint at = gl_LocalInvocationIndex + i * uint(TILE_GROUP);
    return uvec2(at % uint(TILE_N / 4) * 4u, at / uint(TILE_N / 4));
}

void tile_load(uint m0, uint n0, uint k0, out TILE_VEC a[TILE_A_QUADS], out TILE_VEC b[TILE_B_QUADS])
{
    for (uint i = 0u; i < uint(TILE_A_QUADS); i++) {
        const uvec2 at = tile_quad_along_k(i);
        a[i] = load_a(m0 + at.x, k0 + at.y);
    }
    for (uint i = 0u; i < uint(TILE_B_QUADS); i++) {
#ifdef TILE_B_ALONG_K
        const uvec2 at = tile_quad_along_k(i);
#else
        const uvec2 at = tile_quad_along_n(i);
#endif
        b[i] = load_b(k0 + at.y, n0 + at.x);
    }
}

void tile_share(TILE_VEC a[TILE_A_QUADS], TILE_VEC b[TILE_B_QUADS])
{
    for (uint i = 0u; i < uint(TILE_A_QUADS); i++) {
        const uvec2 at = tile_quad_along_k(i);
        for (uint k = 0u; k < 4u; k++)
            tile_a[at.y + k][at.x / 4u][at.x % 4u] = a[i][k];
    }
    for (uint i = 0u; i < uint(TILE_B_QUADS); i++) {
#ifdef TILE_B_ALONG_K
        const uvec2 at = tile_quad_along_k(i);
        for (uint k = 0u; k < 4u; k++)
            tile_b[at.y + k][at.x / 4u][at.x % 4u] = b[i][k];
#else
        const uvec2 at = tile_quad_along_n(i);
        tile_b[at.y][at.x / 4u] = b[i];
#endif
    }
}

void tile_multiply(uint m0, uint n0, uint n_k, inout TILE_TYPE sums[THREAD_M][THREAD_N])
{
    TILE_VEC next_a[TILE_A_QUADS], next_b[TILE_B_QUADS];

    tile_load(m0, n0, 0u, next_a, next_b);
    for (uint k0 = 0u; k0 < n_k; k0 += uint(TILE_K)) {
        tile_share(next_a, next_b);
        barrier();
        if (k0 + uint(TILE_K) < n_k)
            tile_load(m0, n0, k0 + uint(TILE_K), next_a, next_b);
        for (uint k = 0u; k < uint(TILE_K); k++) {
            TILE_VEC a[THREAD_M / 4], b[THREAD_N / 4];
            for (uint i = 0u; i < uint(THREAD_M / 4); i++)
                a[i] = tile_a[k][tile_row(4u * i) / 4u];
            for (uint j = 0u; j < uint(THREAD_N / 4); j++)
                b[j] = tile_b[k][tile_column(4u * j) / 4u];
            for (uint i = 0u; i < uint(THREAD_M); i++)
                for (uint j = 0u; j < uint(THREAD_N); j++)
                    sums[i][j] = multiply_add(a[i / 4u][i % 4u], b[j / 4u][j % 4u], sums[i][j]);
        }
        barrier();
    }
}

#endif
