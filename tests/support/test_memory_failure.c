/*
 * Allocation failure on demand. Test binaries are linked with --wrap, so that calls of malloc and its kin in
 * the library and in the test come here; those inside other libraries do not.
 */
#include <stdatomic.h>
#include <stdlib.h>

#include "support/support.h"

void *__real_malloc(size_t bytes);
void *__real_calloc(size_t count, size_t bytes);
void *__real_realloc(void *old, size_t bytes);
char *__real_strdup(const char *text);
void *__wrap_malloc(size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes);
void *__wrap_realloc(void *old, size_t bytes);
char *__wrap_strdup(const char *text);

/* Allocations still granted, negative: no limit; and those refused since the last grant. */
static atomic_long granted = -1;
static atomic_long refusals;

static bool refused(void)
{
    long left = atomic_load(&granted);

    while (left > 0)
        if (atomic_compare_exchange_weak(&granted, &left, left - 1))
            return false;
    if (left < 0)
        return false;
    atomic_fetch_add(&refusals, 1);
    return true;
}

void *__wrap_malloc(size_t bytes)
{
    return refused() ? NULL : __real_malloc(bytes);
}

void *__wrap_calloc(size_t count, size_t bytes)
{
    return refused() ? NULL : __real_calloc(count, bytes);
}

void *__wrap_realloc(void *old, size_t bytes)
{
    return refused() ? NULL : __real_realloc(old, bytes);
}

char *__wrap_strdup(const char *text)
{
    return refused() ? NULL : __real_strdup(text);
}

void test_memory_grant(long n_allocations)
{
    atomic_store(&refusals, 0);
    atomic_store(&granted, n_allocations);
}

long test_memory_grant_all(void)
{
    atomic_store(&granted, -1);
    return atomic_exchange(&refusals, 0);
}
