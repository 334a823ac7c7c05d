// Which scale an element uses: src/core/blocks.h on the device. Include after declaring the uniform members
// BLOCKS_MEMBERS in the parameter block; filled in by fill_blocks() in plan_quantize.c.
#ifndef BLOCKS_GLSL
#define BLOCKS_GLSL

// block_rank 0: blocks are runs, and the scale of element i is (i / block_run) % block_count. Otherwise the
// general case, dimension by dimension: sizes, elements of a block, distance between its scales.
#define BLOCKS_MEMBERS                                                                                       \
    uint block_rank;                                                                                         \
    uint block_run;                                                                                          \
    uint block_count;                                                                                        \
    uint block_reserved;                                                                                     \
    uvec4 block_dims[8];

#define BLOCK_INDEX(element) (block_rank == 0u ? (element) / block_run % block_count : block_walk(element))

#define DEFINE_BLOCK_WALK                                                                                    \
    uint block_walk(uint element)                                                                            \
    {                                                                                                        \
        uint index = 0u;                                                                                     \
        for (uint d = block_rank; d-- > 0u;) {                                                               \
            index += element % block_dims[d].x / block_dims[d].y * block_dims[d].z;                          \
            element /= block_dims[d].x;                                                                      \
        }                                                                                                    \
        return index;                                                                                        \
    }

#endif
