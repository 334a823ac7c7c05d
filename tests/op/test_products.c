/* Float matrix products on the device: linear, mm, bmm, addmm. */
#include "op_harness.h"

/* A sum of k products of unit variance, summed in float32 in any order. */
static const test_tolerance SUM_F32 = {"float32 sum of products", 3e-5, 1e-5};
/* Operands rounded to fp16 before, result after: the reference rounds the same operands. */
static const test_tolerance SUM_F16 = {"float32 sum stored as fp16", 1e-3, 1e-3};

typedef struct linear_case {
    const char *name;
    int64_t m, n, k;
    bool bias;
    qvk_dtype dtype;
} linear_case;

static const linear_case linear_cases[] = {
    {"one row", 1, 64, 128, true, QVK_DTYPE_F32},
    {"one row, ragged", 1, 37, 133, true, QVK_DTYPE_F32},
    {"one output", 1, 1, 1, false, QVK_DTYPE_F32},
    {"four rows", 4, 19, 70, true, QVK_DTYPE_F32},
    {"three rows, fp16", 3, 21, 67, true, QVK_DTYPE_F16},
    {"seven rows, quads", 7, 30, 64, true, QVK_DTYPE_F16},
    {"five rows", 5, 33, 40, false, QVK_DTYPE_F32},
    {"sixteen rows, fp16", 16, 65, 34, true, QVK_DTYPE_F16},
    {"whole tiles", 128, 128, 64, true, QVK_DTYPE_F32},
    {"ragged tiles", 71, 130, 51, true, QVK_DTYPE_F32},
    {"ragged tiles, fp16", 70, 67, 49, true, QVK_DTYPE_F16},
    {"large tiles, ragged", 515, 516, 37, true, QVK_DTYPE_F32},
    {"large tiles, quads", 512, 640, 36, false, QVK_DTYPE_F16},
    {"more rows than columns", 200, 3, 9, false, QVK_DTYPE_F32},
};

static void linear(void **state)
{
    test_rng rng = test_rng_seed(1);

    for (size_t i = 0; i < QVK__COUNT(linear_cases); i++) {
        const linear_case *c = &linear_cases[i];
        op_call call = op_call_begin(*state, QVK__OP_LINEAR);
        op_arg_random(&call, &rng, c->dtype, OP_SHAPE(c->m, c->k), 0, 0);
        op_arg_constant(&call, &rng, c->dtype, OP_SHAPE(c->n, c->k), 0, 0);
        if (c->bias)
            op_arg_constant(&call, &rng, c->dtype, OP_SHAPE(c->n), 0, 0);
        else
            op_arg_none(&call);
        op_call_check(&call, c->name, c->dtype == QVK_DTYPE_F16 ? SUM_F16 : SUM_F32);
        op_harness_reset(*state);
    }
}

static void linear_keeps_leading_dimensions(void **state)
{
    test_rng rng = test_rng_seed(2);
    op_call call = op_call_begin(*state, QVK__OP_LINEAR);

    op_arg_random(&call, &rng, QVK_DTYPE_F32, OP_SHAPE(2, 3, 5, 12), 0, 0);
    op_arg_constant(&call, &rng, QVK_DTYPE_F32, OP_SHAPE(7, 12), 0, 0);
    op_arg_none(&call);
    op_call_check(&call, "4-D", SUM_F32);
}

static void mm_and_bmm(void **state)
{
    static const int64_t shapes[][4] = {
        {1, 1, 1, 1}, {1, 5, 7, 3},    {1, 64, 64, 64}, {1, 100, 33, 17},
        {3, 4, 6, 5}, {2, 70, 65, 31}, {4, 1, 9, 30},   {1, 516, 514, 20},
    };
    test_rng rng = test_rng_seed(3);

    for (size_t i = 0; i < QVK__COUNT(shapes); i++)
        for (int half = 0; half < 2; half++) {
            const int64_t batch = shapes[i][0], m = shapes[i][1], n = shapes[i][2], k = shapes[i][3];
            const qvk_dtype dtype = half ? QVK_DTYPE_F16 : QVK_DTYPE_F32;
            op_call call = op_call_begin(*state, batch > 1 ? QVK__OP_BMM : QVK__OP_MM);
            op_arg_random(&call, &rng, dtype, batch > 1 ? OP_SHAPE(batch, m, k) : OP_SHAPE(m, k), 0, 0);
            op_arg_random(&call, &rng, dtype, batch > 1 ? OP_SHAPE(batch, k, n) : OP_SHAPE(k, n), 0, 0);
            op_call_check(&call, "product", half ? SUM_F16 : SUM_F32);
            op_harness_reset(*state);
        }
}

static void addmm(void **state)
{
    static const int64_t bias_shapes[][3] = {{13, -1}, {9, 13, -1}, {9, 1, -1}, {1, 1, -1}};
    test_rng rng = test_rng_seed(4);

    for (size_t i = 0; i < QVK__COUNT(bias_shapes); i++)
        for (int scaled = 0; scaled < 2; scaled++) {
            op_call call = op_call_begin(*state, QVK__OP_ADDMM);
            op_arg_random(&call, &rng, QVK_DTYPE_F32, bias_shapes[i], 0, 0);
            op_arg_random(&call, &rng, QVK_DTYPE_F32, OP_SHAPE(9, 20), 0, 0);
            op_arg_random(&call, &rng, QVK_DTYPE_F32, OP_SHAPE(20, 13), 0, 0);
            op_arg(&call, scaled ? qvk__arg_from_float(0.5) : qvk__arg_from_int(1));
            op_arg(&call, scaled ? qvk__arg_from_float(-2) : qvk__arg_from_int(1));
            op_call_check(&call, "addmm", SUM_F32);
            op_harness_reset(*state);
        }
}

/* The addend is broadcast over any of batch, rows and columns. */
static void baddbmm(void **state)
{
    static const int64_t bias_shapes[][4] = {
        {3, 9, 13, -1}, {1, 9, 13, -1}, {3, 1, 13, -1}, {9, 1, -1}, {13, -1}, {1, -1},
    };
    test_rng rng = test_rng_seed(14);

    for (size_t i = 0; i < QVK__COUNT(bias_shapes); i++)
        for (int half = 0; half < 2; half++) {
            const qvk_dtype dtype = half ? QVK_DTYPE_F16 : QVK_DTYPE_F32;
            op_call call = op_call_begin(*state, QVK__OP_BADDBMM);
            op_arg_random(&call, &rng, dtype, bias_shapes[i], 0, 0);
            op_arg_random(&call, &rng, dtype, OP_SHAPE(3, 9, 20), 0, 0);
            op_arg_random(&call, &rng, dtype, OP_SHAPE(3, 20, 13), 0, 0);
            op_arg(&call, qvk__arg_from_float(0.5));
            op_arg(&call, qvk__arg_from_float(-2));
            op_call_check(&call, "baddbmm", half ? SUM_F16 : SUM_F32);
            op_harness_reset(*state);
        }
}

static void integers_run_on_the_reference(void **state)
{
    test_rng rng = test_rng_seed(5);
    op_call call = op_call_begin(*state, QVK__OP_MM);

    op_arg_random(&call, &rng, QVK_DTYPE_I32, OP_SHAPE(2, 3), -9, 9);
    op_arg_random(&call, &rng, QVK_DTYPE_I32, OP_SHAPE(3, 2), -9, 9);
    op_call_check_fallback(&call, "int32 mm");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(linear),     cmocka_unit_test(linear_keeps_leading_dimensions),
        cmocka_unit_test(mm_and_bmm), cmocka_unit_test(addmm),
        cmocka_unit_test(baddbmm),    cmocka_unit_test(integers_run_on_the_reference),
    };
    return cmocka_run_group_tests(tests, op_harness_setup, op_harness_teardown);
}
