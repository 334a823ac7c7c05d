/* Pooling, resizing and sampling on the device. */
#include "op_harness.h"

static const test_tolerance F32 = {"float32, another order", 1e-5, 1e-5};
static const test_tolerance F16 = {"float32 stored as fp16", 1e-3, 1e-3};

static const qvk_dtype dtypes[] = {QVK_DTYPE_F32, QVK_DTYPE_F16};

static test_tolerance tolerance_of(qvk_dtype dtype)
{
    return dtype == QVK_DTYPE_F16 ? F16 : F32;
}

typedef struct pool_case {
    int64_t kernel[2], stride[2], padding[2], dilation[2];
    bool ceil_mode;
} pool_case;

static const pool_case pool_cases[] = {
    {{2, 2}, {2, 2}, {0, 0}, {1, 1}, false},
    {{3, 2}, {2, 3}, {1, 1}, {1, 1}, true},
    {{3, 3}, {1, 2}, {1, 0}, {2, 1}, false},
    {{5, 1}, {3, 1}, {2, 0}, {1, 1}, true},
};

static void max_pool(void **state)
{
    test_rng rng = test_rng_seed(1);

    for (size_t i = 0; i < QVK__COUNT(pool_cases); i++)
        for (int with_indices = 0; with_indices < 2; with_indices++)
            for (size_t d = 0; d < QVK__COUNT(dtypes); d++) {
                const pool_case *c = &pool_cases[i];
                op_call call = op_call_begin(*state, with_indices ? QVK__OP_MAX_POOL2D_WITH_INDICES
                                                                  : QVK__OP_MAX_POOL2D);
                op_arg_random(&call, &rng, dtypes[d], OP_SHAPE(2, 3, 9, 11), 0, 0);
                op_arg_ints(&call, c->kernel, 2);
                op_arg_ints(&call, c->stride, 2);
                op_arg_ints(&call, c->padding, 2);
                op_arg_ints(&call, c->dilation, 2);
                op_arg(&call, qvk__arg_from_bool(c->ceil_mode));
                op_call_check(&call, "max pool", TEST_EXACT);
                op_harness_reset(*state);
            }
}

static void average_pool(void **state)
{
    test_rng rng = test_rng_seed(2);

    for (size_t i = 0; i < QVK__COUNT(pool_cases); i++)
        for (int count_pad = 0; count_pad < 2; count_pad++)
            for (size_t d = 0; d < QVK__COUNT(dtypes); d++) {
                const pool_case *c = &pool_cases[i];
                op_call call = op_call_begin(*state, QVK__OP_AVG_POOL2D);
                op_arg_random(&call, &rng, dtypes[d], OP_SHAPE(3, 10, 7), 0, 0);
                op_arg_ints(&call, c->kernel, 2);
                op_arg_ints(&call, c->stride, 2);
                op_arg_ints(&call, c->padding, 2);
                op_arg(&call, qvk__arg_from_bool(c->ceil_mode));
                op_arg(&call, qvk__arg_from_bool(count_pad));
                op_arg(&call, i == 1 ? qvk__arg_from_int(5) : (qvk__arg){0});
                op_call_check(&call, "average pool", tolerance_of(dtypes[d]));
                op_harness_reset(*state);
            }
}

static void adaptive_pool(void **state)
{
    static const int64_t sizes[][2] = {{1, 1}, {3, 2}, {12, 5}};
    test_rng rng = test_rng_seed(3);

    for (size_t i = 0; i < QVK__COUNT(sizes); i++)
        for (size_t d = 0; d < QVK__COUNT(dtypes); d++) {
            op_call call = op_call_begin(*state, QVK__OP_PRIV_ADAPTIVE_AVG_POOL2D);
            op_arg_random(&call, &rng, dtypes[d], OP_SHAPE(2, 3, 7, 9), 0, 0);
            op_arg_ints(&call, sizes[i], 2);
            op_call_check(&call, "adaptive pool", tolerance_of(dtypes[d]));
            op_harness_reset(*state);
        }
}

static void upsample(void **state)
{
    static const int64_t sizes[][2] = {{4, 5}, {8, 10}, {3, 13}, {1, 1}};
    test_rng rng = test_rng_seed(4);

    for (size_t i = 0; i < QVK__COUNT(sizes); i++)
        for (int mode = 0; mode < 3; mode++) /* nearest, bilinear, bilinear with aligned corners */
            for (size_t d = 0; d < QVK__COUNT(dtypes); d++) {
                op_call call = op_call_begin(*state, mode == 0 ? QVK__OP_UPSAMPLE_NEAREST2D_VEC
                                                               : QVK__OP_UPSAMPLE_BILINEAR2D_VEC);
                op_arg_random(&call, &rng, dtypes[d], OP_SHAPE(2, 3, 4, 5), 0, 0);
                op_arg_ints(&call, sizes[i], 2);
                if (mode > 0)
                    op_arg(&call, qvk__arg_from_bool(mode == 2));
                op_arg_none(&call);
                op_call_check(&call, "upsample", tolerance_of(dtypes[d]));
                op_harness_reset(*state);
            }
}

static void grid_sampler(void **state)
{
    test_rng rng = test_rng_seed(5);

    for (int64_t interpolation = 0; interpolation < 2; interpolation++)
        for (int64_t padding = 0; padding < 3; padding++)
            for (int align = 0; align < 2; align++) {
                op_call call = op_call_begin(*state, QVK__OP_GRID_SAMPLER_2D);
                op_arg_random(&call, &rng, QVK_DTYPE_F32, OP_SHAPE(2, 3, 6, 5), 0, 0);
                op_arg_random(&call, &rng, QVK_DTYPE_F32, OP_SHAPE(2, 4, 7, 2), 0, 0);
                op_arg(&call, qvk__arg_from_int(interpolation));
                op_arg(&call, qvk__arg_from_int(padding));
                op_arg(&call, qvk__arg_from_bool(align));
                op_call_check(&call, "grid sampler", F32);
                op_harness_reset(*state);
            }
}

static void bicubic_sampling_runs_nowhere(void **state)
{
    test_rng rng = test_rng_seed(6);
    op_call call = op_call_begin(*state, QVK__OP_GRID_SAMPLER_2D);

    op_arg_random(&call, &rng, QVK_DTYPE_F32, OP_SHAPE(1, 1, 6, 5), 0, 0);
    op_arg_random(&call, &rng, QVK_DTYPE_F32, OP_SHAPE(1, 2, 2, 2), 0, 0);
    op_arg(&call, qvk__arg_from_int(2));
    op_arg(&call, qvk__arg_from_int(0));
    op_arg(&call, qvk__arg_from_bool(false));
    op_call_check_fallback(&call, "bicubic");
}

static void grid_priors(void **state)
{
    test_rng rng = test_rng_seed(7);
    op_call call = op_call_begin(*state, QVK__OP_ET_GRID_PRIORS);

    op_arg_random(&call, &rng, QVK_DTYPE_F32, OP_SHAPE(1, 2, 5, 9), 0, 0);
    op_arg(&call, qvk__arg_from_int(8));
    op_arg(&call, qvk__arg_from_float(0.5));
    op_call_check(&call, "grid priors", TEST_EXACT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(max_pool),      cmocka_unit_test(average_pool),
        cmocka_unit_test(adaptive_pool), cmocka_unit_test(upsample),
        cmocka_unit_test(grid_sampler),  cmocka_unit_test(bicubic_sampling_runs_nowhere),
        cmocka_unit_test(grid_priors),
    };
    return cmocka_run_group_tests(tests, op_harness_setup, op_harness_teardown);
}
