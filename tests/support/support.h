/*
 * What tests share: cmocka in the order it wants its headers, seeded random numbers, temporary folders,
 * golden files and comparison of floats under a named tolerance. Include this instead of cmocka.h.
 */
#ifndef QVK_TEST_SUPPORT_H
#define QVK_TEST_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- random numbers: the same sequence for the same seed, on every machine ----------------------------- */

typedef struct test_rng {
    uint64_t state;
} test_rng;

test_rng test_rng_seed(uint64_t seed);
uint64_t test_rng_next(test_rng *rng);
/* In [low, high], both ends included. */
int64_t test_rng_range(test_rng *rng, int64_t low, int64_t high);
/* In [low, high). */
float test_rng_uniform(test_rng *rng, float low, float high);
/* Mean 0, deviation 1. */
float test_rng_normal(test_rng *rng);
void test_rng_fill_uniform(test_rng *rng, float *out, size_t n, float low, float high);
void test_rng_fill_bytes(test_rng *rng, void *out, size_t n_bytes);

/* ---- comparison ---------------------------------------------------------------------------------------- */

/*
 * Accepts actual when |actual - expected| <= abs + rel * |expected|. NaN equals NaN, an infinity only itself.
 * A tolerance has a name so that a failing test says which rule was broken.
 */
typedef struct test_tolerance {
    const char *name;
    double abs;
    double rel;
} test_tolerance;

extern const test_tolerance TEST_EXACT;        /* bit for bit, but for the sign of zero */
extern const test_tolerance TEST_F32_ROUND;    /* a few float32 roundings */
extern const test_tolerance TEST_F32_SUM;      /* float32 sums in another order */
extern const test_tolerance TEST_F16_STORAGE;  /* results stored in fp16 */
extern const test_tolerance TEST_BF16_STORAGE; /* results stored in bf16 */

bool test_close(float actual, float expected, test_tolerance tolerance);

/* Fails the running test with the first and the worst element that differ. `what` names the tensor. */
void test_assert_close(const char *what, const float *actual, const float *expected, size_t n,
                       test_tolerance tolerance);

/* ---- running out of memory ------------------------------------------------------------------------------ */

/*
 * After test_memory_grant(n), n allocations of the library and of the test succeed and all later ones fail,
 * until test_memory_grant_all, which returns how many did fail. To see a call fail at each of its allocations
 * in turn:
 *
 *     for (long n = 0, refused = 1; refused > 0; n++) {
 *         test_memory_grant(n);
 *         status = call_under_test(&out);
 *         refused = test_memory_grant_all();
 *         assert_int_equal(status, refused ? QVK_OUT_OF_MEMORY : QVK_OK);
 *     }
 */
void test_memory_grant(long n_allocations);
long test_memory_grant_all(void);

/* ---- files --------------------------------------------------------------------------------------------- */

/* A new empty folder, removed with all it holds by test_temp_dir_remove. The caller owns the text (free). */
char *test_temp_dir(void);
void test_temp_dir_remove(char **dir);

/* "dir/name"; the caller owns the text (free). */
char *test_path(const char *dir, const char *name);

/* Path of a file below tests/golden; the caller owns the text (free). */
char *test_golden_path(const char *name);

/* Whole file with a NUL after it; fails the running test when it cannot be read. The caller owns it (free).
 */
uint8_t *test_read_file(const char *path, size_t *n_bytes);
void test_write_file(const char *path, const void *data, size_t n_bytes);

#endif
