/* Checked arithmetic, the arena, and growable arrays. */
#include "base/base.h"

#include <stdio.h>

enum { ARENA_BLOCK_BYTES = 64 * 1024, ARENA_ALIGN = 16 };

struct qvk__arena_block {
    struct qvk__arena_block *next;
    size_t used, capacity;
    /* data follows, at the next multiple of ARENA_ALIGN */
};

bool qvk__add_u64(uint64_t a, uint64_t b, uint64_t *out)
{
    if (a > UINT64_MAX - b)
        return false;
    *out = a + b;
    return true;
}

bool qvk__mul_u64(uint64_t a, uint64_t b, uint64_t *out)
{
    if (b != 0 && a > UINT64_MAX / b)
        return false;
    *out = a * b;
    return true;
}

uint64_t qvk__div_up(uint64_t value, uint64_t step)
{
    return value / step + (value % step != 0);
}

uint64_t qvk__round_up(uint64_t value, uint64_t step)
{
    return qvk__div_up(value, step) * step;
}

void *qvk__alloc_zeroed(uint64_t count, size_t size)
{
    uint64_t bytes;
    if (!qvk__mul_u64(count, size, &bytes) || bytes > SIZE_MAX)
        return NULL;
    return calloc(bytes ? (size_t)bytes : 1, 1);
}

static const size_t header_bytes =
    (sizeof(struct qvk__arena_block) + ARENA_ALIGN - 1) / ARENA_ALIGN * ARENA_ALIGN;

void *qvk__arena_alloc(qvk__arena *arena, uint64_t count, size_t size)
{
    struct qvk__arena_block *block = arena->head;
    uint64_t wanted;
    void *place;

    if (!qvk__mul_u64(count, size, &wanted) || wanted > SIZE_MAX / 2)
        return NULL;
    wanted = qvk__round_up(wanted ? wanted : 1, ARENA_ALIGN);
    if (!block || block->capacity - block->used < wanted) {
        size_t capacity = QVK__MAX((size_t)wanted, (size_t)ARENA_BLOCK_BYTES);
        block = calloc(1, header_bytes + capacity);
        if (!block)
            return NULL;
        block->capacity = capacity;
        block->next = arena->head;
        arena->head = block;
    }
    place = (char *)block + header_bytes + block->used;
    block->used += (size_t)wanted;
    arena->used_total += (size_t)wanted;
    return place;
}

void *qvk__arena_memdup(qvk__arena *arena, const void *data, size_t bytes)
{
    void *copy = qvk__arena_alloc(arena, bytes, 1);
    if (copy && bytes)
        memcpy(copy, data, bytes);
    return copy;
}

char *qvk__arena_strndup(qvk__arena *arena, const char *text, size_t length)
{
    char *copy = qvk__arena_alloc(arena, (uint64_t)length + 1, 1);
    if (copy)
        memcpy(copy, text, length);
    return copy;
}

char *qvk__arena_strdup(qvk__arena *arena, const char *text)
{
    return qvk__arena_strndup(arena, text, strlen(text));
}

char *qvk__arena_printf(qvk__arena *arena, const char *format, ...)
{
    va_list args;
    int length;
    char *text;

    va_start(args, format);
    length = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (length < 0)
        return NULL;
    text = qvk__arena_alloc(arena, (uint64_t)length + 1, 1);
    if (!text)
        return NULL;
    va_start(args, format);
    vsnprintf(text, (size_t)length + 1, format, args);
    va_end(args);
    return text;
}

void qvk__arena_adopt(qvk__arena *arena, qvk__arena *from)
{
    struct qvk__arena_block **tail = &arena->head;

    while (*tail)
        tail = &(*tail)->next;
    *tail = from->head;
    arena->used_total += from->used_total;
    from->head = NULL;
    from->used_total = 0;
}

void qvk__arena_free(qvk__arena *arena)
{
    while (arena->head) {
        struct qvk__arena_block *next = arena->head->next;
        free(arena->head);
        arena->head = next;
    }
    arena->used_total = 0;
}

void qvk__arena_reset(qvk__arena *arena)
{
    struct qvk__arena_block *block = arena->head;

    if (block && !block->next) {
        memset((char *)block + header_bytes, 0, block->used);
        block->used = 0;
        arena->used_total = 0;
    } else {
        qvk__arena_free(arena);
    }
}

bool qvk__vec_reserve(void **data, size_t *capacity, size_t needed, size_t item_bytes)
{
    size_t grown;
    uint64_t bytes;
    void *moved;

    if (needed <= *capacity)
        return true;
    grown = QVK__MAX(needed, *capacity + *capacity / 2 + 8);
    if (!qvk__mul_u64(grown, item_bytes, &bytes) || bytes > SIZE_MAX / 2)
        return false;
    moved = realloc(*data, (size_t)bytes);
    if (!moved)
        return false;
    *data = moved;
    *capacity = grown;
    return true;
}
