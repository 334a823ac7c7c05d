/* Reductions and running sums on the device. */
#include <math.h>

#include "core/dtype.h"
#include "op_harness.h"
#include "reference/reference.h"

static const test_tolerance SUM_F32 = {"float32 sum in another order", 1e-5, 1e-5};
static const test_tolerance SUM_F16 = {"float32 sum stored as fp16", 2e-3, 1e-3};

static test_tolerance tolerance_of(qvk_dtype dtype)
{
    return dtype == QVK_DTYPE_F16 ? SUM_F16 : SUM_F32;
}

/* Shapes and the dimensions that go. */
typedef struct shape_case {
    int64_t sizes[7];
    int64_t dims[4];
    int n_dims;
} shape_case;

static const shape_case shapes[] = {
    {{5, 7, -1}, {1}, 1},          {{3, 100, -1}, {1}, 1},
    {{2, 3000, -1}, {1}, 1},       {{9, 6, 5, -1}, {1}, 1},
    {{4, 300, 9, -1}, {0, 1}, 2},  {{2, 3, 4, 5, -1}, {2, 3}, 2},
    {{2, 3, 4, 5, -1}, {0, 2}, 2}, {{2, 3, 2, 3, 2, 3, -1}, {0, 2, 4}, 3},
    {{1, 5, -1}, {0}, 1},          {{130, 3, -1}, {1}, 1},
};

static void append_dims(op_call *call, const shape_case *c)
{
    op_arg_ints(call, c->dims, c->n_dims);
}

static void sums_and_means(void **state)
{
    static const qvk_dtype types[] = {QVK_DTYPE_F32, QVK_DTYPE_F16, QVK_DTYPE_I32, QVK_DTYPE_I8};
    test_rng rng = test_rng_seed(61);

    for (size_t i = 0; i < QVK__COUNT(shapes); i++)
        for (size_t t = 0; t < QVK__COUNT(types); t++)
            for (int mean = 0; mean < (t < 2 ? 2 : 1); mean++) {
                op_call call = op_call_begin(*state, mean ? QVK__OP_MEAN_DIM : QVK__OP_SUM_DIM_INTLIST);
                op_arg_random(&call, &rng, types[t], shapes[i].sizes, -99, 99);
                append_dims(&call, &shapes[i]);
                op_arg(&call, qvk__arg_from_bool(mean != 0));
                op_arg_none(&call);
                op_call_check(&call, mean ? "mean" : "sum", tolerance_of(types[t]));
                op_harness_reset(*state);
            }
}

static void whole_tensors(void **state)
{
    test_rng rng = test_rng_seed(62);
    op_call sum = op_call_begin(*state, QVK__OP_SUM);

    op_arg_random(&sum, &rng, QVK_DTYPE_F32, OP_SHAPE(77, 51), 0, 0);
    op_arg_none(&sum);
    op_call_check(&sum, "all", (test_tolerance){"float32 sum of 4000", 2e-4, 1e-5});
    op_call mean = op_call_begin(*state, QVK__OP_MEAN);
    op_arg_random(&mean, &rng, QVK_DTYPE_I32, OP_SHAPE(7, 5), -99, 99);
    op_arg(&mean, qvk__arg_from_int(6));
    op_call_check(&mean, "mean of int32 as float32", SUM_F32);
    op_call scalar = op_call_begin(*state, QVK__OP_SUM);
    op_arg_random(&scalar, &rng, QVK_DTYPE_F32, (const int64_t[]){-1}, 0, 0);
    op_arg_none(&scalar);
    op_call_check(&scalar, "a scalar", SUM_F32);
    op_call nothing = op_call_begin(*state, QVK__OP_SUM_DIM_INTLIST);
    op_arg_random(&nothing, &rng, QVK_DTYPE_F32, OP_SHAPE(3, 0), 0, 0);
    op_arg_ints(&nothing, (const int64_t[]){1}, 1);
    op_arg(&nothing, qvk__arg_from_bool(false));
    op_arg_none(&nothing);
    op_call_check(&nothing, "nothing", TEST_EXACT);
    op_harness_reset(*state);
}

/* On a GPU in two passes. */
static void long_results(void **state)
{
    static const shape_case longs[] = {{{2, 9001, -1}, {1}, 1},
                                       {{3, 8192, -1}, {1}, 1},
                                       {{5003, 6, -1}, {0}, 1},
                                       {{20, 1000, -1}, {0, 1}, 2}};
    static const qvk_dtype types[] = {QVK_DTYPE_F32, QVK_DTYPE_F16, QVK_DTYPE_I32};
    static const test_tolerance loose = {"float32 sum of thousands", 1e-3, 1e-4};
    test_rng rng = test_rng_seed(67);

    for (size_t i = 0; i < QVK__COUNT(longs); i++)
        for (size_t t = 0; t < QVK__COUNT(types); t++) {
            op_call sum = op_call_begin(*state, t == 1 ? QVK__OP_MEAN_DIM : QVK__OP_SUM_DIM_INTLIST);
            op_arg_random(&sum, &rng, types[t], longs[i].sizes, -99, 99);
            append_dims(&sum, &longs[i]);
            op_arg(&sum, qvk__arg_from_bool(false));
            op_arg_none(&sum);
            op_call_check(&sum, "long sum", loose);
            op_call max = op_call_begin(*state, QVK__OP_AMAX);
            op_arg_random(&max, &rng, types[t], longs[i].sizes, -9999, 9999);
            append_dims(&max, &longs[i]);
            op_arg(&max, qvk__arg_from_bool(false));
            op_call_check(&max, "long amax", TEST_EXACT);
            op_harness_reset(*state);
        }
    op_call norm = op_call_begin(*state, QVK__OP_LINALG_VECTOR_NORM);
    op_arg_random(&norm, &rng, QVK_DTYPE_F32, OP_SHAPE(2, 9001), 0, 0);
    op_arg(&norm, qvk__arg_from_int(2));
    op_arg_ints(&norm, (const int64_t[]){1}, 1);
    op_arg(&norm, qvk__arg_from_bool(true));
    op_arg_none(&norm);
    op_call_check(&norm, "long norm", loose);
    op_call any = op_call_begin(*state, QVK__OP_ANY);
    qvk_tensor *x = op_arg_random(&any, &rng, QVK_DTYPE_BOOL, OP_SHAPE(9001), 0, 0);
    qvk__reference_set_int(x, 8999, 1);
    op_call_check(&any, "long any", TEST_EXACT);
    op_harness_reset(*state);
}

static void variances_and_norms(void **state)
{
    static const double orders[] = {2, 1, 0, INFINITY, -INFINITY, 3, 0.5};
    test_rng rng = test_rng_seed(63);

    for (size_t i = 0; i < QVK__COUNT(shapes); i++) {
        const qvk_dtype dtype = i % 3 == 2 ? QVK_DTYPE_F16 : QVK_DTYPE_F32;
        for (int deviation = 0; deviation < 2; deviation++) {
            op_call call = op_call_begin(*state, deviation ? QVK__OP_STD_CORRECTION : QVK__OP_VAR_CORRECTION);
            qvk_tensor *x = op_arg_random(&call, &rng, dtype, shapes[i].sizes, 0, 0);
            for (int64_t k = 0; k < qvk_tensor_numel(x); k++) /* far from 0: one pass would lose it all */
                qvk__reference_set(x, k, qvk__reference_get(x, k) + 100.0);
            append_dims(&call, &shapes[i]);
            op_arg(&call, qvk__arg_from_int(deviation));
            op_arg(&call, qvk__arg_from_bool(false));
            op_call_check(&call, "variance", (test_tolerance){"variance", 1e-4, 2e-3});
        }
        op_call norm = op_call_begin(*state, QVK__OP_LINALG_VECTOR_NORM);
        op_arg_random(&norm, &rng, dtype, shapes[i].sizes, 0, 0);
        op_arg(&norm, qvk__arg_from_float(orders[i % QVK__COUNT(orders)]));
        append_dims(&norm, &shapes[i]);
        op_arg(&norm, qvk__arg_from_bool(true));
        op_arg_none(&norm);
        op_call_check(&norm, "norm", tolerance_of(dtype));
        op_harness_reset(*state);
    }
}

/* Puts NaN and infinities into some places and repeats values, so that ties occur. */
static void make_hard(qvk_tensor *x)
{
    for (int64_t i = 0; i < qvk_tensor_numel(x); i++) {
        if (i % 37 == 5 && qvk__dtype_is_float(x->dtype))
            qvk__reference_set(x, i, i % 2 ? NAN : INFINITY);
        else if (qvk__dtype_is_float(x->dtype))
            qvk__reference_set(x, i, rint(qvk__reference_get(x, i) * 2));
    }
}

static void greatest_and_least(void **state)
{
    static const qvk_dtype types[] = {QVK_DTYPE_F32, QVK_DTYPE_F16, QVK_DTYPE_I64, QVK_DTYPE_U8};
    test_rng rng = test_rng_seed(64);

    for (size_t i = 0; i < QVK__COUNT(shapes); i++)
        for (size_t t = 0; t < QVK__COUNT(types); t++) {
            op_call amax = op_call_begin(*state, i % 2 ? QVK__OP_AMAX : QVK__OP_AMIN);
            make_hard(op_arg_random(&amax, &rng, types[t], shapes[i].sizes, 0, 9));
            append_dims(&amax, &shapes[i]);
            op_arg(&amax, qvk__arg_from_bool(false));
            op_call_check(&amax, "amax", TEST_EXACT);
            op_call arg = op_call_begin(*state, i % 2 ? QVK__OP_ARGMIN : QVK__OP_ARGMAX);
            make_hard(op_arg_random(&arg, &rng, types[t], shapes[i].sizes, 0, 9));
            if (i % 3 == 0)
                op_arg_none(&arg);
            else
                op_arg(&arg, qvk__arg_from_int(shapes[i].dims[0]));
            op_arg(&arg, qvk__arg_from_bool(i % 2 == 0));
            op_call_check(&arg, "argmax", TEST_EXACT);
            op_call dim = op_call_begin(*state, i % 2 ? QVK__OP_MAX_DIM : QVK__OP_MIN_DIM);
            make_hard(op_arg_random(&dim, &rng, types[t], shapes[i].sizes, 0, 9));
            op_arg(&dim, qvk__arg_from_int(shapes[i].dims[0]));
            op_arg(&dim, qvk__arg_from_bool(false));
            op_call_check(&dim, "max.dim", TEST_EXACT);
            op_harness_reset(*state);
        }
}

static void logic_and_products(void **state)
{
    static const qvk_dtype types[] = {QVK_DTYPE_BOOL, QVK_DTYPE_F32, QVK_DTYPE_I32, QVK_DTYPE_U8};
    test_rng rng = test_rng_seed(65);

    for (size_t t = 0; t < QVK__COUNT(types); t++) {
        op_call any = op_call_begin(*state, QVK__OP_ANY_DIM);
        qvk_tensor *x = op_arg_random(&any, &rng, types[t], OP_SHAPE(40, 3), 0, 0);
        if (qvk__dtype_is_float(types[t]))
            memset(x->data, 0, qvk_tensor_bytes(x));
        qvk__reference_set(x, 17, 0.25);
        qvk__reference_set_int(x, 18, 1);
        op_arg(&any, qvk__arg_from_int(1));
        op_arg(&any, qvk__arg_from_bool(false));
        op_call_check(&any, "any", TEST_EXACT);
        op_call all = op_call_begin(*state, QVK__OP_ALL_DIM);
        op_arg_random(&all, &rng, types[t], OP_SHAPE(2, 40), 0, 1);
        op_arg(&all, qvk__arg_from_int(0));
        op_arg(&all, qvk__arg_from_bool(true));
        op_call_check(&all, "all", TEST_EXACT);
        op_harness_reset(*state);
    }
    op_call prod = op_call_begin(*state, QVK__OP_PROD_DIM_INT);
    op_arg_random(&prod, &rng, QVK_DTYPE_F32, OP_SHAPE(9, 11), 0, 0);
    op_arg(&prod, qvk__arg_from_int(0));
    op_arg(&prod, qvk__arg_from_bool(false));
    op_arg_none(&prod);
    op_call_check(&prod, "prod", SUM_F32);
    op_call ints = op_call_begin(*state, QVK__OP_PROD_DIM_INT);
    op_arg_random(&ints, &rng, QVK_DTYPE_I32, OP_SHAPE(9, 6), -9, 9);
    op_arg(&ints, qvk__arg_from_int(1));
    op_arg(&ints, qvk__arg_from_bool(false));
    op_arg_none(&ints);
    op_call_check(&ints, "prod of int32", TEST_EXACT);
    op_harness_reset(*state);
}

static void running_sums(void **state)
{
    static const qvk_dtype types[] = {QVK_DTYPE_F32, QVK_DTYPE_F16, QVK_DTYPE_I64, QVK_DTYPE_BOOL};
    test_rng rng = test_rng_seed(66);

    for (size_t t = 0; t < QVK__COUNT(types); t++)
        for (int64_t dim = 0; dim < 3; dim++) {
            op_call call = op_call_begin(*state, QVK__OP_CUMSUM);
            op_arg_random(&call, &rng, types[t], OP_SHAPE(3, 50, 3), 0, 1);
            op_arg(&call, qvk__arg_from_int(dim));
            op_arg_none(&call);
            op_call_check(&call, "cumsum", tolerance_of(types[t]));
            op_harness_reset(*state);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sums_and_means),     cmocka_unit_test(whole_tensors),
        cmocka_unit_test(long_results),       cmocka_unit_test(variances_and_norms),
        cmocka_unit_test(greatest_and_least), cmocka_unit_test(logic_and_products),
        cmocka_unit_test(running_sums),
    };
    return cmocka_run_group_tests(tests, op_harness_setup, op_harness_teardown);
}
