/* Softmax and normalisations on the device. */
#include "op_harness.h"

static const test_tolerance F32 = {"float32 statistics", 2e-5, 2e-5};
static const test_tolerance F16 = {"float32 statistics stored as fp16", 1e-3, 1e-3};

static test_tolerance tolerance_of(qvk_dtype dtype)
{
    return dtype == QVK_DTYPE_F16 ? F16 : F32;
}

static const qvk_dtype dtypes[] = {QVK_DTYPE_F32, QVK_DTYPE_F16};

static void softmax(void **state)
{
    static const int64_t shapes[][5] = {{1, 1, -1},    {3, 7, -1},    {5, 200, -1},
                                        {2, 1500, -1}, {2, 3, 5, -1}, {4, 33, 9, -1}};
    test_rng rng = test_rng_seed(1);

    for (size_t i = 0; i < QVK__COUNT(shapes); i++)
        for (int dim = -1; dim <= 1; dim++)
            for (size_t d = 0; d < QVK__COUNT(dtypes); d++) {
                op_call call = op_call_begin(*state, d + (size_t)dim == 1 ? QVK__OP_PRIV_LOG_SOFTMAX
                                                                          : QVK__OP_PRIV_SOFTMAX);
                op_arg_random(&call, &rng, dtypes[d], shapes[i], 0, 0);
                op_arg(&call, qvk__arg_from_int(dim));
                op_arg(&call, qvk__arg_from_bool(false));
                op_call_check(&call, "softmax", tolerance_of(dtypes[d]));
                op_harness_reset(*state);
            }
}

static void softmax_of_large_numbers(void **state)
{
    test_rng rng = test_rng_seed(2);
    op_call call = op_call_begin(*state, QVK__OP_PRIV_SOFTMAX);
    float *x = op_arg_random(&call, &rng, QVK_DTYPE_F32, OP_SHAPE(4, 50), 0, 0)->data;

    for (int i = 0; i < 200; i++)
        x[i] = x[i] * 100 - (i < 50 ? 1e6F : 0);
    op_arg(&call, qvk__arg_from_int(1));
    op_arg(&call, qvk__arg_from_bool(false));
    op_call_check(&call, "softmax of large numbers", F32);
}

static void layer_norm(void **state)
{
    static const int64_t sizes[] = {1, 7, 64, 100, 768, 2000};
    test_rng rng = test_rng_seed(3);

    for (size_t i = 0; i < QVK__COUNT(sizes); i++)
        for (size_t d = 0; d < QVK__COUNT(dtypes); d++) {
            op_call call = op_call_begin(*state, QVK__OP_NATIVE_LAYER_NORM);
            op_arg_random(&call, &rng, dtypes[d], OP_SHAPE(2, 3, sizes[i]), 0, 0);
            op_arg_ints(&call, &sizes[i], 1);
            if (i % 3 == 0) {
                op_arg_none(&call);
                op_arg_none(&call);
            } else {
                op_arg_constant(&call, &rng, dtypes[d], OP_SHAPE(sizes[i]), 0, 0);
                op_arg_constant(&call, &rng, dtypes[d], OP_SHAPE(sizes[i]), 0, 0);
            }
            op_arg(&call, qvk__arg_from_float(1e-3));
            op_call_check(&call, "layer norm", tolerance_of(dtypes[d]));
            op_harness_reset(*state);
        }
}

static void layer_norm_over_two_dimensions(void **state)
{
    test_rng rng = test_rng_seed(4);
    op_call call = op_call_begin(*state, QVK__OP_NATIVE_LAYER_NORM);

    op_arg_random(&call, &rng, QVK_DTYPE_F32, OP_SHAPE(5, 3, 7), 0, 0);
    op_arg_ints(&call, (const int64_t[]){3, 7}, 2);
    op_arg_constant(&call, &rng, QVK_DTYPE_F32, OP_SHAPE(3, 7), 0, 0);
    op_arg_none(&call);
    op_arg(&call, qvk__arg_from_float(1e-5));
    op_call_check(&call, "layer norm over two dimensions", F32);
}

static void group_norm(void **state)
{
    static const int64_t groups[] = {1, 2, 6};
    test_rng rng = test_rng_seed(5);

    for (size_t i = 0; i < QVK__COUNT(groups); i++)
        for (size_t d = 0; d < QVK__COUNT(dtypes); d++) {
            op_call call = op_call_begin(*state, QVK__OP_NATIVE_GROUP_NORM);
            op_arg_random(&call, &rng, dtypes[d], OP_SHAPE(2, 6, 5, 7), 0, 0);
            op_arg_constant(&call, &rng, dtypes[d], OP_SHAPE(6), 0, 0);
            op_arg_constant(&call, &rng, dtypes[d], OP_SHAPE(6), 0, 0);
            op_arg(&call, qvk__arg_from_int(2));
            op_arg(&call, qvk__arg_from_int(6));
            op_arg(&call, qvk__arg_from_int(35));
            op_arg(&call, qvk__arg_from_int(groups[i]));
            op_arg(&call, qvk__arg_from_float(1e-5));
            op_call_check(&call, "group norm", tolerance_of(dtypes[d]));
            op_harness_reset(*state);
        }
}

static void rms_norm(void **state)
{
    static const int64_t sizes[] = {2, 33, 512, 1027};
    test_rng rng = test_rng_seed(6);

    for (size_t i = 0; i < QVK__COUNT(sizes); i++)
        for (size_t d = 0; d < QVK__COUNT(dtypes); d++) {
            op_call call = op_call_begin(*state, QVK__OP_ET_RMS_NORM);
            op_arg_random(&call, &rng, dtypes[d], OP_SHAPE(1, 3, sizes[i]), 0, 0);
            op_arg_constant(&call, &rng, dtypes[d], OP_SHAPE(sizes[i]), 0, 0);
            op_arg(&call, qvk__arg_from_float(1e-6));
            op_call_check(&call, "rms norm", tolerance_of(dtypes[d]));
            op_harness_reset(*state);
        }
}

/* With roundings to the tensor's type on the way; weights may be of another one. */
static void rms_norm_with_roundings(void **state)
{
    static const int64_t sizes[] = {2, 33, 512, 1027};
    test_rng rng = test_rng_seed(8);

    for (size_t i = 0; i < QVK__COUNT(sizes); i++)
        for (size_t d = 0; d < QVK__COUNT(dtypes); d++)
            for (int rounding = 0; rounding < 3; rounding++) {
                op_call call = op_call_begin(*state, QVK__OP_QVK_RMS_NORM);
                op_arg_random(&call, &rng, dtypes[d], OP_SHAPE(1, 3, sizes[i]), 0, 0);
                op_arg_constant(&call, &rng, i % 2 ? QVK_DTYPE_F32 : dtypes[d], OP_SHAPE(sizes[i]), 0, 0);
                op_arg(&call, qvk__arg_from_float(1e-6));
                op_arg(&call, qvk__arg_from_int(rounding));
                op_call_check(&call, "rms norm with roundings", tolerance_of(dtypes[d]));
                op_harness_reset(*state);
            }
}

static void batch_norm(void **state)
{
    test_rng rng = test_rng_seed(7);

    for (size_t d = 0; d < QVK__COUNT(dtypes); d++)
        for (int plain = 0; plain < 2; plain++) {
            op_call call = op_call_begin(*state, QVK__OP_PRIV_NATIVE_BATCH_NORM_LEGIT_NO_TRAINING);
            op_arg_random(&call, &rng, dtypes[d], OP_SHAPE(2, 5, 3, 3), 0, 0);
            for (int i = 0; i < 2; i++) {
                if (plain)
                    op_arg_none(&call);
                else
                    op_arg_constant(&call, &rng, dtypes[d], OP_SHAPE(5), 0, 0);
            }
            op_arg_constant(&call, &rng, QVK_DTYPE_F32, OP_SHAPE(5), 0, 0);
            float *variance = op_arg_constant(&call, &rng, QVK_DTYPE_F32, OP_SHAPE(5), 0, 0)->data;
            for (int i = 0; i < 5; i++)
                variance[i] = variance[i] * variance[i] + 0.1F;
            op_arg(&call, qvk__arg_from_float(0.1));
            op_arg(&call, qvk__arg_from_float(1e-5));
            op_call_check(&call, "batch norm", tolerance_of(dtypes[d]));
            op_harness_reset(*state);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(softmax),
        cmocka_unit_test(softmax_of_large_numbers),
        cmocka_unit_test(layer_norm),
        cmocka_unit_test(layer_norm_over_two_dimensions),
        cmocka_unit_test(group_norm),
        cmocka_unit_test(rms_norm),
        cmocka_unit_test(rms_norm_with_roundings),
        cmocka_unit_test(batch_norm),
    };
    return cmocka_run_group_tests(tests, op_harness_setup, op_harness_teardown);
}
