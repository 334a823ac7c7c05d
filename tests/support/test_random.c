#include <math.h>

#include "support/support.h"

test_rng test_rng_seed(uint64_t seed)
{
    /* splitmix64 of the seed, so that neighbouring seeds give unrelated sequences and none gives state 0. */
    uint64_t z = seed + 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    z ^= z >> 31;
    return (test_rng){.state = z == 0 ? 1 : z};
}

uint64_t test_rng_next(test_rng *rng)
{
    /* xorshift64*: Vigna, "An experimental exploration of Marsaglia's xorshift generators, scrambled". */
    rng->state ^= rng->state >> 12;
    rng->state ^= rng->state << 25;
    rng->state ^= rng->state >> 27;
    return rng->state * 0x2545f4914f6cdd1du;
}

int64_t test_rng_range(test_rng *rng, int64_t low, int64_t high)
{
    const uint64_t span = (uint64_t)high - (uint64_t)low + 1;
    const uint64_t draw = test_rng_next(rng) >> 1;
    return (int64_t)((uint64_t)low + (span == 0 ? draw : draw % span));
}

float test_rng_uniform(test_rng *rng, float low, float high)
{
    const float unit = (float)(test_rng_next(rng) >> 40) * 0x1p-24f;
    return low + (high - low) * unit;
}

float test_rng_normal(test_rng *rng)
{
    /* Box-Muller; the offset keeps the logarithm finite. */
    const double radius = sqrt(-2.0 * log(((double)(test_rng_next(rng) >> 11) + 0.5) * 0x1p-53));
    const double angle = 6.283185307179586 * (double)(test_rng_next(rng) >> 11) * 0x1p-53;
    return (float)(radius * cos(angle));
}

void test_rng_fill_uniform(test_rng *rng, float *out, size_t n, float low, float high)
{
    for (size_t i = 0; i < n; i++)
        out[i] = test_rng_uniform(rng, low, high);
}

void test_rng_fill_bytes(test_rng *rng, void *out, size_t n_bytes)
{
    uint8_t *bytes = out;
    for (size_t i = 0; i < n_bytes; i++)
        bytes[i] = (uint8_t)(test_rng_next(rng) >> 56);
}
