/*
 * memory_plan: places items that live for a while into one block of memory so that items alive at the same
 * time never overlap. Greedy, largest first, lowest gap that fits (Pisarchyk and Lee, "Efficient memory
 * management for deep neural net inference", greedy by size).
 */
#ifndef QVK__MEMORY_PLAN_H
#define QVK__MEMORY_PLAN_H

#include "base/base.h"

typedef struct qvk__memory_item {
    uint64_t bytes;
    int32_t first, last; /* alive from `first` to `last`, both included */
    uint64_t offset;     /* out: multiple of the alignment */
} qvk__memory_item;

/* Fills in the offsets; *total: bytes of the block. Same items, same result. */
qvk_status qvk__memory_plan(qvk__memory_item *items, size_t n, uint64_t alignment, uint64_t *total,
                            qvk_error *err);

#endif
