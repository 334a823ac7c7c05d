// A work group's share of a matrix product C = A B: a TILE_M x TILE_N tile of C, THREAD_M x THREAD_N of it in each
// invocation's registers, A and B brought through shared memory TILE_K steps of k at a time.
//
// The including shader defines
//   TILE_M TILE_N TILE_K THREAD_M THREAD_N   with (TILE_M / THREAD_M) * (TILE_N / THREAD_N) = TILE_GROUP invocations
//   TILE_TYPE                                float, or int for four int8 packed in a word (then k counts words)
//   TILE_B_ALONG_K                           when neighbours in memory of B are neighbours in k, not in n
//   TILE_TYPE load_a(uint m, uint k)         elements of the whole matrices; 0 outside them, so that ragged
//   TILE_TYPE load_b(uint k, uint n)         edges need no care here
//   TILE_TYPE multiply_add(TILE_TYPE a, TILE_TYPE b, TILE_TYPE sum)
// and calls tile_multiply from uniform control flow. An invocation's part of the tile starts at row tile_row() and
// column tile_column() and has THREAD_N consecutive columns.
#ifndef TILE_GLSL
#define TILE_GLSL

#define TILE_GROUP (TILE_M / THREAD_M * (TILE_N / THREAD_N))

layout(local_size_x = TILE_GROUP) in;

// One more column than needed, so that writes along k spread over the banks.
shared TILE_TYPE tile_a[TILE_K][TILE_M + 1];
shared TILE_TYPE tile_b[TILE_K][TILE_N + 1];

uint tile_row()
{
    return gl_LocalInvocationIndex / uint(TILE_N / THREAD_N) * uint(THREAD_M);
}

uint tile_column()
{
    return gl_LocalInvocationIndex % uint(TILE_N / THREAD_N) * uint(THREAD_N);
}

void tile_fill(uint m0, uint n0, uint k0)
{
    const uint id = gl_LocalInvocationIndex;

    for (uint i = id; i < uint(TILE_M * TILE_K); i += uint(TILE_GROUP))
        tile_a[i % uint(TILE_K)][i / uint(TILE_K)] = load_a(m0 + i / uint(TILE_K), k0 + i % uint(TILE_K));
    for (uint i = id; i < uint(TILE_N * TILE_K); i += uint(TILE_GROUP)) {
#ifdef TILE_B_ALONG_K
        const uint k = i % uint(TILE_K), n = i / uint(TILE_K);
#else
        const uint k = i / uint(TILE_N), n = i % uint(TILE_N);
#endif
        tile_b[k][n] = load_b(k0 + k, n0 + n);
    }
}

void tile_multiply(uint m0, uint n0, uint n_k, inout TILE_TYPE sums[THREAD_M][THREAD_N])
{
    const uint row = tile_row(), column = tile_column();

    for (uint k0 = 0u; k0 < n_k; k0 += uint(TILE_K)) {
        tile_fill(m0, n0, k0);
        barrier();
        for (uint k = 0u; k < uint(TILE_K); k++) {
            TILE_TYPE a[THREAD_M];
            for (uint i = 0u; i < uint(THREAD_M); i++)
                a[i] = tile_a[k][row + i];
            for (uint j = 0u; j < uint(THREAD_N); j++) {
                const TILE_TYPE b = tile_b[k][column + j];
                for (uint i = 0u; i < uint(THREAD_M); i++)
                    sums[i][j] = multiply_add(a[i], b, sums[i][j]);
            }
        }
        barrier();
    }
}

#endif
