/* Scales, zero points and integers of single groups: the worked examples that torchao and PT2E give. */
#include <math.h>

#include "quantize/qparams.h"
#include "quantize/weight_loops.h"
#include "support/support.h"

enum { COLUMNS = 8 };

static const float WEIGHTS[2][COLUMNS] = {
    {0.1F, -0.75F, 0.3F, 0.6F, 0.05F, -0.02F, 0.01F, 0.0F},
    {1.0F, 1.0F, 1.0F, 1.0F, -0.5F, 0.25F, -0.125F, 0.0625F},
};

typedef struct example {
    const char *name;
    int bits;
    size_t group_size;
    qvk_mapping_type mapping;
    qvk_choose_qparams choose;
    qvk_dtype weight_dtype, scale_dtype;
    float scales[4]; /* by row and group */
    int zero_points[4];
    int integers[2][COLUMNS];
} example;

static const example examples[] = {
    {"int4",
     4,
     4,
     QVK_MAPPING_SYMMETRIC,
     0,
     QVK_DTYPE_F32,
     QVK_DTYPE_F32,
     {0.1F, 0.0066666668F, 0.13333334F, 0.06666667F},
     {0},
     {{1, -8, 3, 6, 7, -3, 2, 0}, {7, 7, 7, 7, -7, 4, -2, 1}}},
    {"int4 float16",
     4,
     4,
     QVK_MAPPING_SYMMETRIC,
     0,
     QVK_DTYPE_F16,
     QVK_DTYPE_F16,
     {0.09997559F, 0.006664276F, 0.13330078F, 0.06665039F},
     {0},
     {{1, -8, 3, 6, 7, -3, 2, 0}, {7, 7, 7, 7, -8, 4, -2, 1}}},
    {"int4 bfloat16",
     4,
     4,
     QVK_MAPPING_SYMMETRIC,
     0,
     QVK_DTYPE_BF16,
     QVK_DTYPE_BF16,
     {0.10009766F, 0.006683350F, 0.13378906F, 0.06689453F},
     {0},
     {{1, -8, 3, 6, 7, -3, 2, 0}, {7, 7, 7, 7, -7, 4, -2, 1}}},
    {"int4 per axis",
     4,
     8,
     QVK_MAPPING_SYMMETRIC,
     0,
     QVK_DTYPE_F32,
     QVK_DTYPE_F32,
     {0.1F, 0.13333334F},
     {0},
     {{1, -8, 3, 6, 0, 0, 0, 0}, {7, 7, 7, 7, -4, 2, -1, 0}}},
    {"int8 per axis",
     8,
     8,
     QVK_MAPPING_SYMMETRIC,
     0,
     QVK_DTYPE_F32,
     QVK_DTYPE_F32,
     {0.005882353F, 0.007843138F},
     {0},
     {{17, -128, 51, 102, 8, -3, 2, 0}, {127, 127, 127, 127, -64, 32, -16, 8}}},
    {"int4 asymmetric",
     4,
     4,
     QVK_MAPPING_ASYMMETRIC,
     0,
     QVK_DTYPE_F32,
     QVK_DTYPE_F32,
     {0.09F, 0.0046666670F, 0.06666667F, 0.05F},
     {0, -4, -8, 2},
     {{1, -8, 3, 7, 7, -8, -2, -4}, {7, 7, 7, 7, -8, 7, 0, 3}}},
    {"int4 without clipping error",
     4,
     4,
     QVK_MAPPING_SYMMETRIC_NO_CLIPPING_ERR,
     0,
     QVK_DTYPE_F32,
     QVK_DTYPE_F32,
     {0.09375F, 0.007142857F, 0.14285715F, 0.0625F},
     {0},
     {{1, -8, 3, 6, 7, -3, 1, 0}, {7, 7, 7, 7, -8, 4, -2, 1}}},
    {"int4 HQQ",
     4,
     4,
     QVK_MAPPING_SYMMETRIC,
     QVK_CHOOSE_QPARAMS_HQQ_SCALE_ONLY,
     QVK_DTYPE_F32,
     QVK_DTYPE_F32,
     {0.09636364F, 0.007118644F, 0.14285715F, 0.0625F},
     {0},
     {{1, -8, 3, 6, 7, -3, 1, 0}, {7, 7, 7, 7, -8, 4, -2, 1}}},
};

static const test_tolerance NINE_DIGITS = {"the examples print up to nine digits", 0.0, 6e-7};

static qvk__weight_scheme scheme_of(const example *e)
{
    return (qvk__weight_scheme){
        .qmin = -(1 << (e->bits - 1)),
        .qmax = (1 << (e->bits - 1)) - 1,
        .mapping = e->mapping,
        .choose = e->choose,
        .weight_dtype = e->weight_dtype,
        .scale_dtype = e->scale_dtype,
    };
}

static void check_group(const example *e, int row, size_t group)
{
    const qvk__weight_scheme scheme = scheme_of(e);
    const size_t index = (size_t)row * (COLUMNS / e->group_size) + group;
    int8_t integers[COLUMNS];
    float weights[COLUMNS], lo, hi, scale;
    int32_t zero_point = 0;

    for (size_t i = 0; i < e->group_size; i++)
        weights[i] = qvk__round_to(e->weight_dtype, WEIGHTS[row][group * e->group_size + i]);
    assert_true(qvk__weight_range(weights, e->group_size, &lo, &hi));
    if (e->choose == QVK_CHOOSE_QPARAMS_HQQ_SCALE_ONLY)
        scale = qvk__weight_hqq_scale(&scheme, weights, e->group_size);
    else
        qvk__weight_qparams(&scheme, lo, hi, &scale, &zero_point);
    test_assert_close(e->name, &scale, &e->scales[index], 1, NINE_DIGITS);
    assert_int_equal(zero_point, e->zero_points[index]);
    qvk__weight_quantize(&scheme, weights, e->group_size, scale, zero_point, integers);
    for (size_t i = 0; i < e->group_size; i++)
        if (integers[i] != e->integers[row][group * e->group_size + i])
            fail_msg("%s: row %d, weight %zu is %d, not %d", e->name, row, group * e->group_size + i,
                     integers[i], e->integers[row][group * e->group_size + i]);
}

static void worked_examples_come_out(void **state)
{
    (void)state;
    for (size_t e = 0; e < sizeof examples / sizeof examples[0]; e++)
        for (int row = 0; row < 2; row++)
            for (size_t group = 0; group < COLUMNS / examples[e].group_size; group++)
                check_group(&examples[e], row, group);
}

static void zeros_have_the_smallest_scale(void **state)
{
    const qvk__weight_scheme scheme = {
        -8, 7, QVK_MAPPING_SYMMETRIC, QVK_CHOOSE_QPARAMS_AFFINE, QVK_DTYPE_F32, QVK_DTYPE_F32};
    const float zeros[4] = {0.0F, 0.0F, 0.0F, 0.0F};
    int8_t integers[4];
    int32_t zero_point;
    float scale;

    (void)state;
    qvk__weight_qparams(&scheme, 0.0F, 0.0F, &scale, &zero_point);
    assert_true(scale == 1.1754944e-38F);
    qvk__weight_quantize(&scheme, zeros, 4, scale, zero_point, integers);
    for (int i = 0; i < 4; i++)
        assert_int_equal(integers[i], 0);
}

/* A bfloat16 weight with a float32 scale is divided in float32. */
static void a_wider_scale_widens_the_arithmetic(void **state)
{
    const qvk__weight_scheme scheme = {
        -8, 7, QVK_MAPPING_SYMMETRIC, QVK_CHOOSE_QPARAMS_AFFINE, QVK_DTYPE_BF16, QVK_DTYPE_F32};
    static const int expected[COLUMNS] = {1, -7, 3, 6, 7, -3, 1, 0};

    (void)state;
    for (size_t group = 0; group < 2; group++) {
        float weights[4], lo, hi, scale;
        int8_t integers[4];
        int32_t zero_point;
        for (size_t i = 0; i < 4; i++)
            weights[i] = qvk__round_to(QVK_DTYPE_BF16, WEIGHTS[0][group * 4 + i]);
        assert_true(qvk__weight_range(weights, 4, &lo, &hi));
        qvk__weight_qparams(&scheme, lo, hi, &scale, &zero_point);
        qvk__weight_quantize(&scheme, weights, 4, scale, zero_point, integers);
        for (size_t i = 0; i < 4; i++)
            assert_int_equal(integers[i], expected[group * 4 + i]);
    }
}

static void what_is_not_finite_is_found(void **state)
{
    const float nan[3] = {1.0F, (float)NAN, 2.0F}, infinity[3] = {1.0F, 2.0F, -(float)INFINITY};
    float lo, hi;

    (void)state;
    assert_false(qvk__weight_range(nan, 3, &lo, &hi));
    assert_false(qvk__weight_range(infinity, 3, &lo, &hi));
}

/* Vectors and what is left behind them: the same as one weight after the other. */
static void loops_take_any_length(void **state)
{
    enum { MOST = 200 };
    const qvk__rounding how = {9.7F, -7.0F, 8.0F, -1};
    test_rng rng = test_rng_seed(11);
    float weights[MOST + 1];
    int8_t integers[MOST + 1];

    (void)state;
    test_rng_fill_uniform(&rng, weights, MOST + 1, -1.0F, 1.0F);
    for (size_t n = 1; n <= MOST; n++) {
        const float *from = weights + n % 2; /* any alignment */
        float lo, hi, wanted_lo = from[0], wanted_hi = from[0];
        integers[n] = 99;
        assert_true(qvk__weight_range(from, n, &lo, &hi));
        qvk__weight_round(&how, from, n, integers);
        for (size_t i = 0; i < n; i++) {
            wanted_lo = fminf(wanted_lo, from[i]);
            wanted_hi = fmaxf(wanted_hi, from[i]);
            assert_int_equal(integers[i],
                             (int)rintf(fminf(fmaxf(from[i] * how.reciprocal, how.low), how.high)) - 1);
        }
        assert_true(lo == wanted_lo && hi == wanted_hi);
        assert_int_equal(integers[n], 99);
    }
}

static void every_place_is_looked_at(void **state)
{
    float weights[77] = {0}, lo, hi;

    (void)state;
    for (size_t i = 0; i < 77; i++) {
        weights[i] = (float)NAN;
        assert_false(qvk__weight_range(weights, 77, &lo, &hi));
        weights[i] = -1.0F;
        assert_true(qvk__weight_range(weights, 77, &lo, &hi));
        assert_true(lo == -1.0F && hi == 0.0F);
        weights[i] = 0.0F;
    }
}

static void observers_form_scales(void **state)
{
    const float eps_min_max = 1.1920929e-7F, eps_static = 0.000244140625F;
    float scale;
    int32_t zero_point;

    (void)state;
    assert_true(test_close(qvk__observer_symmetric_scale(-0.75F, 0.6F, -128, 127, eps_min_max), 0.0058823531F,
                           NINE_DIGITS));
    assert_true(test_close(qvk__observer_symmetric_scale(-0.5F, 1.0F, -128, 127, eps_min_max), 0.0078431377F,
                           NINE_DIGITS));
    assert_true(
        test_close(qvk__observer_symmetric_scale(-0.5F, 1.0F, -8, 7, eps_min_max), 0.13333334F, NINE_DIGITS));
    assert_true(test_close(qvk__observer_symmetric_scale(-0.75F, 0.6F, -127, 127, eps_static), 0.0059055118F,
                           NINE_DIGITS));
    assert_true(qvk__observer_symmetric_scale(0.0F, 0.0F, -127, 127, eps_static) == eps_static);
    qvk__observer_affine(-4.0F, 3.99609375F, -128, 127, eps_static, &scale, &zero_point);
    assert_true(test_close(scale, 0.031357229F, NINE_DIGITS));
    assert_int_equal(zero_point, 0);
    qvk__observer_affine(-4.0F, 4.0F, -128, 127, eps_static, &scale, &zero_point);
    assert_true(test_close(scale, 0.031372551F, NINE_DIGITS));
    assert_int_equal(zero_point, -1);
    qvk__observer_affine(1.0F, 3.0F, -128, 127, eps_static, &scale, &zero_point); /* 0 is always in range */
    assert_int_equal(zero_point, -128);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(worked_examples_come_out),
        cmocka_unit_test(zeros_have_the_smallest_scale),
        cmocka_unit_test(a_wider_scale_widens_the_arithmetic),
        cmocka_unit_test(what_is_not_finite_is_found),
        cmocka_unit_test(loops_take_any_length),
        cmocka_unit_test(every_place_is_looked_at),
        cmocka_unit_test(observers_form_scales),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
