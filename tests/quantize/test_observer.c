/* The histogram observer against the ranges that torch's finds for the same batches. */
#include <math.h>
#include <stdio.h>

#include "quantize/observer.h"
#include "support/support.h"

enum { MAX_VALUES = 1024 };

/* The same numbers as ramp() in tools/golden/quantize_cases.py. */
static void ramp(float mean, float spread, int count, float *out)
{
    for (int i = 0; i < count; i++) {
        float t = (float)(i * 37 % count) / 1024.0F - (float)count / 2048.0F;
        out[i] = mean + spread * (t * t * t);
    }
}

static int read_number(const char **text)
{
    char *end;
    long number = strtol(*text, &end, 10);
    *text = end;
    return (int)number;
}

static float read_float(const char **text)
{
    char *end;
    float number = strtof(*text, &end);
    *text = end;
    return number;
}

static void ranges_are_those_of_torch(void **state)
{
    char *path = test_golden_path("quantize/histogram.txt");
    uint8_t *bytes = test_read_file(path, &(size_t){0});
    const char *text = (const char *)bytes;
    int cases = 0;

    (void)state;
    while (*text) {
        qvk__histogram histogram = {.seen = false};
        float values[MAX_VALUES], range[2], expected[2];
        for (int batches = read_number(&text); batches > 0; batches--) {
            float mean = read_float(&text), spread = read_float(&text);
            int count = read_number(&text);
            ramp(mean, spread, count, values);
            assert_true(qvk__histogram_add(&histogram, values, (size_t)count));
        }
        qvk__histogram_range(&histogram, &range[0], &range[1]);
        expected[0] = read_float(&text);
        expected[1] = read_float(&text);
        test_assert_close("range", range, expected, 2, TEST_EXACT);
        text += *text == '\n';
        cases++;
    }
    assert_int_equal(cases, 4);
    free(bytes);
    free(path);
}

static void infinities_are_dropped(void **state)
{
    const float values[4] = {-1.0F, (float)INFINITY, 1.0F, -(float)INFINITY};
    qvk__histogram histogram = {.seen = false};

    (void)state;
    assert_true(qvk__histogram_add(&histogram, values, 4));
    assert_true(histogram.min == -1.0F && histogram.max == 1.0F);
}

static void nan_is_refused(void **state)
{
    const float values[2] = {0.0F, (float)NAN};
    qvk__histogram histogram = {.seen = false};

    (void)state;
    assert_false(qvk__histogram_add(&histogram, values, 2));
}

static void nothing_seen_is_an_empty_range(void **state)
{
    const qvk__histogram histogram = {.seen = false};
    float lo = 1.0F, hi = 1.0F;

    (void)state;
    qvk__histogram_range(&histogram, &lo, &hi);
    assert_true(lo == 0.0F && hi == 0.0F);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ranges_are_those_of_torch),
        cmocka_unit_test(infinities_are_dropped),
        cmocka_unit_test(nan_is_refused),
        cmocka_unit_test(nothing_seen_is_an_empty_range),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
