// Walks over the elements of a tensor in C order, with strided positions in others (qvk__walk in src/kernels/plan.h).
// Up to 8 dimensions, as two vectors of sizes, or of strides.
#ifndef WALK_GLSL
#define WALK_GLSL

#define WALK_AT(vectors, d) vectors[(d) >> 2][(d) & 3]

// Adds to `position` the strides of the coordinates of element `index`.
#define WALK_POSITION(index, rank, sizes, strides, position)                                    \
    {                                                                                           \
        uint walk_rest = index;                                                                 \
        for (int walk_d = int(rank) - 1; walk_d >= 0; walk_d--) {                               \
            const uint walk_size = WALK_AT(sizes, walk_d), walk_up = walk_rest / walk_size;     \
            position += (walk_rest - walk_up * walk_size) * WALK_AT(strides, walk_d);           \
            walk_rest = walk_up;                                                                \
        }                                                                                       \
    }

// The same for elements first .. first + 3 of n (the last one stands in for those beyond it), into a uvec4. Mostly they are
// neighbours along the last dimension, and one walk does for all.
#define WALK_FOUR(first, n, rank, sizes, strides, positions)                                    \
    {                                                                                           \
        const uint four_size = WALK_AT(sizes, int(rank) - 1);                                   \
        uint four_start = positions.x;                                                          \
        WALK_POSITION(first, rank, sizes, strides, four_start)                                  \
        if ((first) % four_size + 3u < four_size) {                                             \
            positions = four_start + uvec4(0u, 1u, 2u, 3u) * WALK_AT(strides, int(rank) - 1);   \
        } else {                                                                                \
            const uvec4 four_base = positions;                                                  \
            positions.x = four_start;                                                           \
            for (uint four_i = 1u; four_i < 4u; four_i++) {                                     \
                uint four_at = four_base.x;                                                     \
                WALK_POSITION(min((first) + four_i, (n) - 1u), rank, sizes, strides, four_at)   \
                positions = mix(positions, uvec4(four_at), equal(uvec4(0u, 1u, 2u, 3u), uvec4(four_i))); \
            }                                                                                   \
        }                                                                                       \
    }

#endif
