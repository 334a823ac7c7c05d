/* Pickles: whatever is read is a tree of sound nodes. */
#include "fuzz/fuzz.h"
#include "pt2/pickle.h"

enum { MAX_DEPTH = 20, MAX_VISITS = 10000 };

/* Containers may hold themselves, and one value may be in many places: both bounded. */
static void walk(const qvk__pickle *value, int depth, int *visits)
{
    assert(value->kind <= QVK__PICKLE_CALL);
    assert(value->count <= value->capacity);
    if (value->kind == QVK__PICKLE_STRING || value->kind == QVK__PICKLE_GLOBAL)
        assert(strlen(value->s) < SIZE_MAX);
    if (value->kind == QVK__PICKLE_DICT)
        assert(value->count % 2 == 0);
    if (value->kind == QVK__PICKLE_CALL)
        assert(value->count == 2 && value->items[1]->kind == QVK__PICKLE_TUPLE);
    if (depth == MAX_DEPTH)
        return;
    for (size_t i = 0; i < value->count && ++*visits < MAX_VISITS; i++)
        walk(value->items[i], depth + 1, visits);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    qvk__arena arena = {0};
    const qvk__pickle *value;
    int visits = 0;
    qvk_error err;

    if (qvk__pickle_read(data, size, "fuzz.pkl", &arena, &value, &err) == QVK_OK)
        walk(value, 0, &visits);
    qvk__arena_free(&arena);
    return 0;
}
