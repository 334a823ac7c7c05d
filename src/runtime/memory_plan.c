#include "runtime/memory_plan.h"

typedef struct order {
    const qvk__memory_item *items;
    uint32_t index;
} order;

/* Larger first; equal ones in the order they were given, so that the result is the same everywhere. */
static int compare_sizes(const void *a, const void *b)
{
    const order *x = a, *y = b;
    const uint64_t x_bytes = x->items[x->index].bytes, y_bytes = y->items[y->index].bytes;

    if (x_bytes != y_bytes)
        return x_bytes > y_bytes ? -1 : 1;
    return x->index < y->index ? -1 : x->index > y->index;
}

static bool meet(const qvk__memory_item *a, const qvk__memory_item *b)
{
    return a->first <= b->last && b->first <= a->last;
}

/* Lowest offset where `item` fits beside the placed ones, which are sorted by offset. */
static uint64_t find_gap(const qvk__memory_item *items, const uint32_t *placed, size_t n_placed,
                         const qvk__memory_item *item, uint64_t alignment)
{
    uint64_t offset = 0;

    for (size_t i = 0; i < n_placed; i++) {
        const qvk__memory_item *other = &items[placed[i]];
        if (!meet(item, other))
            continue;
        if (other->offset >= offset + item->bytes)
            break; /* the rest starts later still */
        offset = QVK__MAX(offset, qvk__round_up(other->offset + other->bytes, alignment));
    }
    return offset;
}

static void insert(const qvk__memory_item *items, uint32_t *placed, size_t n_placed, uint32_t index)
{
    size_t at = n_placed;
    for (; at > 0 && items[placed[at - 1]].offset > items[index].offset; at--)
        placed[at] = placed[at - 1];
    placed[at] = index;
}

qvk_status qvk__memory_plan(qvk__memory_item *items, size_t n, uint64_t alignment, uint64_t *total,
                            qvk_error *err)
{
    order *sorted = qvk__alloc_zeroed(n, sizeof *sorted);
    uint32_t *placed = qvk__alloc_zeroed(n, sizeof *placed);
    qvk_status status = QVK_OK;

    QVK__CHECK_GO(sorted && placed, err, QVK_OUT_OF_MEMORY, "out of memory planning %zu tensors", n);
    *total = 0;
    for (size_t i = 0; i < n; i++)
        sorted[i] = (order){items, (uint32_t)i};
    qsort(sorted, n, sizeof *sorted, compare_sizes);
    for (size_t i = 0; i < n; i++) {
        qvk__memory_item *item = &items[sorted[i].index];
        item->offset = find_gap(items, placed, i, item, alignment);
        insert(items, placed, i, sorted[i].index);
        *total = QVK__MAX(*total, item->offset + item->bytes);
    }
done:
    free(sorted);
    free(placed);
    return status;
}
