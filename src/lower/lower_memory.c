/*
 * Planned memory of a method: every tensor between instructions gets an offset in one buffer, shared where
 * lifetimes do not overlap. Inputs live from the start, outputs to the end. First fit by decreasing size.
 */
#include "lower/method_builder.h"

enum { ALIGNMENT = 16 };

typedef struct life {
    int32_t value, first, last;
    uint64_t bytes, offset;
} life;

static void touch(life *lives, int32_t value, int32_t step)
{
    if (value < 0)
        return;
    lives[value].first = QVK__MIN(lives[value].first, step);
    lives[value].last = QVK__MAX(lives[value].last, step);
}

static void touch_arg(const qvk__method_builder *m, life *lives, int32_t value, int32_t step)
{
    const qvk__evalue *v = &m->values.data[value];

    touch(lives, value, step);
    if (v->kind == QVK__EVALUE_TENSOR_LIST || v->kind == QVK__EVALUE_OPTIONAL_TENSOR_LIST)
        for (uint32_t i = 0; i < v->count; i++)
            touch(lives, v->ids[i], step);
}

static int by_size(const void *a, const void *b)
{
    const life *x = a, *y = b;
    if (x->bytes != y->bytes)
        return x->bytes > y->bytes ? -1 : 1;
    return x->value < y->value ? -1 : x->value > y->value;
}

/* Lowest offset where `item` meets none of the placed ones that live at the same time. */
static void place(life *placed, size_t n, life *item)
{
    bool moved = true;

    item->offset = 0;
    while (moved) {
        moved = false;
        for (size_t i = 0; i < n; i++) {
            const life *p = &placed[i];
            bool alive = p->first <= item->last && item->first <= p->last;
            if (alive && p->offset < item->offset + item->bytes && item->offset < p->offset + p->bytes) {
                item->offset = p->offset + p->bytes;
                moved = true;
            }
        }
    }
}

qvk_status qvk__plan_method_memory(qvk__method_builder *m, uint64_t *bytes, qvk_error *err)
{
    size_t n = m->values.count, kept = 0;
    life *lives = qvk__alloc_zeroed(n, sizeof *lives);
    int32_t end = (int32_t)m->instructions.count;

    QVK__CHECK(lives, err, QVK_OUT_OF_MEMORY, "out of memory");
    for (size_t i = 0; i < n; i++)
        lives[i] = (life){(int32_t)i, INT32_MAX, -1, 0, 0};
    for (size_t i = 0; i < m->inputs.count; i++)
        touch(lives, m->inputs.data[i], 0);
    for (int32_t i = 0; i < end; i++)
        for (uint32_t a = 0; a < m->instructions.data[i].n_args; a++)
            touch_arg(m, lives, m->instructions.data[i].args[a], i);
    for (size_t i = 0; i < m->outputs.count; i++)
        touch(lives, m->outputs.data[i], end);
    for (size_t i = 0; i < n; i++) {
        const qvk__evalue *v = &m->values.data[i];
        life item = lives[i];
        if (v->kind != QVK__EVALUE_TENSOR || !v->planned || item.last < 0)
            continue;
        item.bytes = qvk__round_up(QVK__MAX(qvk_tensor_bytes(&v->desc), (size_t)1), ALIGNMENT);
        lives[kept++] = item;
    }
    qsort(lives, kept, sizeof *lives, by_size);
    *bytes = 0;
    for (size_t i = 0; i < kept; i++) {
        place(lives, i, &lives[i]);
        m->values.data[lives[i].value].memory_id = 1;
        m->values.data[lives[i].value].memory_offset = lives[i].offset;
        *bytes = QVK__MAX(*bytes, lives[i].offset + lives[i].bytes);
    }
    free(lives);
    return QVK_OK;
}
