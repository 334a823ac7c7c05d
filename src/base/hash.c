/* FNV-1a, for tables. */
#include "base/base.h"

uint64_t qvk__hash64(const void *data, size_t bytes, uint64_t seed)
{
    const uint8_t *p = data;
    uint64_t hash = 0xcbf29ce484222325u ^ seed;

    for (size_t i = 0; i < bytes; i++)
        hash = (hash ^ p[i]) * 0x100000001b3u;
    /* FNV leaves the low bits weak; fold the high half in since tables mask with 2^n - 1. */
    return hash ^ (hash >> 32);
}
