/*
 * Which quantization parameters belong to an element. A tensor is cut into equal blocks; each block has one
 * scale and one zero point, stored in block order (C order of block indices). Per tensor, per channel, per
 * token and per group are all special cases, as in torchao's block_size.
 */
#ifndef QVK__BLOCKS_H
#define QVK__BLOCKS_H

#include "core/op.h"

typedef struct qvk__blocks {
    int32_t rank;
    int64_t sizes[QVK_MAX_RANK];  /* of the tensor */
    int64_t block[QVK_MAX_RANK];  /* elements of a block along each dimension, >= 1 */
    int64_t counts[QVK_MAX_RANK]; /* blocks along each dimension */
    int64_t total;                /* blocks, which is the number of scales */
} qvk__blocks;

/*
 * Blocks of any quantize, dequantize or choose_qparams operator of ops.def for resolved arguments. Fails with
 * QVK_SHAPE when a block does not divide the tensor, or when the scales are not one per block.
 */
qvk_status qvk__blocks_of(qvk__op op, const qvk__arg *args, int n_args, qvk__blocks *out, qvk_error *err);
/* Index of the block that holds the element at a flat index. */
int64_t qvk__blocks_index(const qvk__blocks *blocks, int64_t element);

#endif
