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

#endif
