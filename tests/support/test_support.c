/* The helpers themselves: a helper that is wrong makes every test that uses it worthless. */
#include <math.h>

#include "support/support.h"

static void random_numbers_are_the_same_everywhere(void **state)
{
    test_rng rng = test_rng_seed(0), again = test_rng_seed(0), other = test_rng_seed(1);

    (void)state;
    for (int i = 0; i < 100; i++) {
        const uint64_t drawn = test_rng_next(&rng);
        assert_true(drawn == test_rng_next(&again));
        assert_true(drawn != test_rng_next(&other));
    }
}

static void random_ranges_are_met_at_both_ends(void **state)
{
    test_rng rng = test_rng_seed(3);
    int seen[5] = {0};

    (void)state;
    for (int i = 0; i < 1000; i++) {
        const int64_t n = test_rng_range(&rng, -2, 2);
        assert_true(n >= -2 && n <= 2);
        seen[n + 2]++;
        const float f = test_rng_uniform(&rng, -1.0f, 3.0f);
        assert_true(f >= -1.0f && f < 3.0f);
    }
    for (int i = 0; i < 5; i++)
        assert_true(seen[i] > 120);
    assert_int_equal(test_rng_range(&rng, 7, 7), 7);
    test_rng_range(&rng, INT64_MIN, INT64_MAX); /* no overflow */
}

static void normal_numbers_have_mean_zero_and_deviation_one(void **state)
{
    enum { N = 100000 };
    test_rng rng = test_rng_seed(4);
    double sum = 0, squares = 0;

    (void)state;
    for (int i = 0; i < N; i++) {
        const double x = (double)test_rng_normal(&rng);
        sum += x;
        squares += x * x;
    }
    assert_true(fabs(sum / N) < 0.02);
    assert_true(fabs(squares / N - 1.0) < 0.02);
}

static void closeness_is_absolute_or_relative(void **state)
{
    const test_tolerance tolerance = {"test", 0.5, 0.25};

    (void)state;
    assert_true(test_close(0.5f, 0.0f, tolerance));
    assert_false(test_close(0.51f, 0.0f, tolerance));
    assert_true(test_close(-11.5f, -8.0f + -1.0f, tolerance)); /* 0.5 + 0.25 * 9 = 2.75 */
    assert_false(test_close(-11.8f, -9.0f, tolerance));
    assert_true(test_close(1.0f, 1.0f, TEST_EXACT));
    assert_true(test_close(-0.0f, 0.0f, TEST_EXACT));
    assert_false(test_close(1.0f, nextafterf(1.0f, 2.0f), TEST_EXACT));
}

static void infinities_and_nan_are_close_to_themselves_only(void **state)
{
    const test_tolerance anything = {"test", 1e30, 1e30};

    (void)state;
    assert_true(test_close(NAN, NAN, TEST_EXACT));
    assert_false(test_close(NAN, 0.0f, anything));
    assert_false(test_close(0.0f, NAN, anything));
    assert_true(test_close(INFINITY, INFINITY, TEST_EXACT));
    assert_false(test_close(-INFINITY, INFINITY, anything));
    assert_false(test_close(3e38f, INFINITY, anything));
    assert_false(test_close(INFINITY, 3e38f, anything));
}

static void files_come_back_as_written(void **state)
{
    char *dir = test_temp_dir(), *path = test_path(dir, "bytes");
    size_t n = 0;
    uint8_t *data;

    (void)state;
    test_write_file(path, "a\0b", 3);
    data = test_read_file(path, &n);
    assert_int_equal(n, 3);
    assert_memory_equal(data, "a\0b", 4); /* and a NUL */
    free(data);
    free(path);
    test_temp_dir_remove(&dir);
    assert_null(dir);
    test_temp_dir_remove(&dir);
}

static void memory_is_refused_when_the_grant_is_used_up(void **state)
{
    void *volatile first, *volatile second, *volatile third; /* else clang leaves the calls out */

    (void)state;
    test_memory_grant(2);
    first = malloc(1);
    second = calloc(1, 1);
    third = realloc(NULL, 1);
    assert_int_equal(test_memory_grant_all(), 1);
    assert_non_null(first);
    assert_non_null(second);
    assert_null(third);
    free(first);
    free(second);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_numbers_are_the_same_everywhere),
        cmocka_unit_test(random_ranges_are_met_at_both_ends),
        cmocka_unit_test(normal_numbers_have_mean_zero_and_deviation_one),
        cmocka_unit_test(closeness_is_absolute_or_relative),
        cmocka_unit_test(infinities_and_nan_are_close_to_themselves_only),
        cmocka_unit_test(files_come_back_as_written),
        cmocka_unit_test(memory_is_refused_when_the_grant_is_used_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
