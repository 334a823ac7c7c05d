#include <math.h>

#include "support/support.h"

const test_tolerance TEST_EXACT = {"exact", 0.0, 0.0};
const test_tolerance TEST_F32_ROUND = {"float32 rounding", 1e-7, 1e-6};
const test_tolerance TEST_F32_SUM = {"float32 sums in another order", 1e-5, 1e-4};
const test_tolerance TEST_F16_STORAGE = {"fp16 storage", 1e-3, 2e-3};
const test_tolerance TEST_BF16_STORAGE = {"bf16 storage", 1e-2, 1e-2};

/* How far outside the tolerance: 0 when accepted, larger when worse. */
static double excess(float actual, float expected, test_tolerance tolerance)
{
    if (isnan(actual) || isnan(expected))
        return isnan(actual) && isnan(expected) ? 0.0 : INFINITY;
    if (isinf(actual) || isinf(expected))
        return actual == expected ? 0.0 : INFINITY;
    const double allowed = tolerance.abs + tolerance.rel * fabs((double)expected);
    const double error = fabs((double)actual - (double)expected);
    return error > allowed ? error - allowed : 0.0;
}

bool test_close(float actual, float expected, test_tolerance tolerance)
{
    return excess(actual, expected, tolerance) <= 0.0;
}

void test_assert_close(const char *what, const float *actual, const float *expected, size_t n,
                       test_tolerance tolerance)
{
    size_t n_wrong = 0, first = 0, worst = 0;
    double worst_excess = 0.0;
    for (size_t i = 0; i < n; i++) {
        const double e = excess(actual[i], expected[i], tolerance);
        if (e <= 0.0)
            continue;
        if (n_wrong++ == 0)
            first = i;
        if (e > worst_excess) {
            worst_excess = e;
            worst = i;
        }
    }
    if (n_wrong > 0)
        fail_msg("%s: %zu of %zu elements outside tolerance \"%s\" (abs %g, rel %g): first [%zu] is %.9g, "
                 "expected "
                 "%.9g; worst [%zu] is %.9g, expected %.9g",
                 what, n_wrong, n, tolerance.name, tolerance.abs, tolerance.rel, first, (double)actual[first],
                 (double)expected[first], worst, (double)actual[worst], (double)expected[worst]);
}
