/* Elementwise operators on the device: every row of the table that elementwise.comp computes. */
#include <math.h>

#include "core/dtype.h"
#include "elementwise_cases.h"
#include "reference/reference.h"

/* One type for each operator, in turn; test_elementwise_types.c has them all. */
static void every_unary_operator(void **state)
{
    static const qvk_dtype turn[] = {QVK_DTYPE_F32, QVK_DTYPE_F16, QVK_DTYPE_F32, QVK_DTYPE_BF16};
    test_rng rng = test_rng_seed(11);
    size_t i = 0;

    for (qvk__op op = QVK__OP_NONE; (op = next_planned("unary", op)) != QVK__OP_NONE; i++)
        check_unary(*state, &rng, op, needs_ints(op) ? QVK_DTYPE_I32 : turn[i % QVK__COUNT(turn)]);
    assert_true(i > 40);
}

static void unary_parameters(void **state)
{
    static const struct {
        qvk__op op;
        int n;
        double numbers[3];
    } cases[] = {
        {QVK__OP_LEAKY_RELU, 1, {0.25}},    {QVK__OP_ELU, 3, {1.5, 2.0, 0.5}},
        {QVK__OP_CELU, 1, {2.5}},           {QVK__OP_SOFTPLUS, 2, {2.0, 3.0}},
        {QVK__OP_HARDSHRINK, 1, {1.25}},    {QVK__OP_THRESHOLD, 2, {0.5, 7}},
        {QVK__OP_HARDTANH, 2, {-2.0, 0.5}}, {QVK__OP_CLAMP, 2, {3.0, -3.0}},
    };
    test_rng rng = test_rng_seed(12);

    for (size_t i = 0; i < QVK__COUNT(cases); i++) {
        op_call call = op_call_begin(*state, cases[i].op);
        sprinkle(op_arg_random(&call, &rng, QVK_DTYPE_F32, OP_SHAPE(61), 0, 0), 0);
        for (int p = 0; p < cases[i].n; p++)
            op_arg(&call, qvk__arg_from_float(cases[i].numbers[p]));
        op_call_check(&call, "parameters", elementwise_tolerance(QVK_DTYPE_F32));
    }
    op_call gelu = op_call_begin(*state, QVK__OP_GELU);
    sprinkle(op_arg_random(&gelu, &rng, QVK_DTYPE_F32, OP_SHAPE(61), 0, 0), 0);
    op_arg_string(&gelu, "tanh");
    op_call_check(&gelu, "tanh", elementwise_tolerance(QVK_DTYPE_F32));
    for (int bounds = 0; bounds < 4; bounds++) {
        op_call clamp = op_call_begin(*state, QVK__OP_CLAMP);
        op_arg_random(&clamp, &rng, QVK_DTYPE_I32, OP_SHAPE(33), -9, 9);
        op_arg(&clamp, bounds & 1 ? qvk__arg_from_int(-3) : (qvk__arg){0});
        op_arg(&clamp, bounds & 2 ? qvk__arg_from_float(2.5) : (qvk__arg){0});
        op_call_check(&clamp, "int32 clamp", TEST_EXACT);
    }
    op_harness_reset(*state);
}

/* ---- two operands --------------------------------------------------------------------------------------- */

static void every_binary_operator(void **state)
{
    static const qvk_dtype turn[] = {QVK_DTYPE_F32, QVK_DTYPE_I64, QVK_DTYPE_F16, QVK_DTYPE_I32};
    test_rng rng = test_rng_seed(13);
    size_t i = 0;

    for (qvk__op op = QVK__OP_NONE; (op = next_planned("binary", op)) != QVK__OP_NONE; i++) {
        const qvk_dtype dtype = needs_ints(op) ? QVK_DTYPE_I32 : turn[i % QVK__COUNT(turn)];
        check_binary(*state, &rng, op, dtype, dtype);
    }
    assert_true(i > 30);
}

static void broadcasting(void **state)
{
    static const int64_t shapes[][2][9] = {
        {{3, 1, 5, -1}, {4, 1, -1}},
        {{-1}, {2, 3, -1}},
        {{1, -1}, {-1}},
        {{-1}, {-1}},
        {{2, 0, 3, -1}, {1, 3, -1}},
        {{7, 1, 8, -1}, {5, 8, -1}}, /* aligned rows */
        {{6, 12, -1}, {12, -1}},     /* bias */
        {{6, 12, -1}, {6, 1, -1}},   /* per row */
        {{6, 13, -1}, {13, -1}},     /* ragged bias */
        {{2, 3, 4, 5, -1}, {3, 1, 1, -1}},
        {{2, 1, 3, 1, 2, 1, -1}, {1, 4, 1, 2, 1, 2, -1}},
        {{2, 1, 2, 1, 2, 1, 2, 1, -1}, {1, 2, 1, 3, 1, 2, 1, 2, -1}},
        {{1000, 33, -1}, {33, -1}},
    };
    test_rng rng = test_rng_seed(14);

    for (size_t i = 0; i < QVK__COUNT(shapes); i++)
        for (int side = 0; side < 2; side++)
            for (int half = 0; half < 2; half++) {
                const qvk_dtype dtype = half ? QVK_DTYPE_F16 : QVK_DTYPE_F32;
                op_call call = op_call_begin(*state, QVK__OP_ADD_TENSOR);
                op_arg_random(&call, &rng, dtype, shapes[i][side], 0, 0);
                op_arg_random(&call, &rng, dtype, shapes[i][1 - side], 0, 0);
                op_arg(&call, qvk__arg_from_float(0.5));
                op_call_check(&call, "broadcast", elementwise_tolerance(dtype));
                op_harness_reset(*state);
            }
}

static void halves_with_scalars(void **state)
{
    static const qvk__op ops[] = {QVK__OP_MUL_TENSOR, QVK__OP_DIV_TENSOR, QVK__OP_ADD_TENSOR,
                                  QVK__OP_LE_TENSOR, QVK__OP_MINIMUM};
    test_rng rng = test_rng_seed(15);

    for (size_t i = 0; i < QVK__COUNT(ops); i++) {
        op_call call = op_call_begin(*state, ops[i]);
        op_arg_random(&call, &rng, QVK_DTYPE_F16, OP_SHAPE(301), 0, 0);
        op_arg_random(&call, &rng, QVK_DTYPE_F32, ((const int64_t[]){-1}), 0, 0);
        if (ops[i] == QVK__OP_ADD_TENSOR)
            op_arg(&call, qvk__arg_from_int(1));
        op_call_check(&call, "fp16 with a float32 scalar", TEST_EXACT);
    }
    op_harness_reset(*state);
}

static void quotients_are_rounded_to_nearest(void **state)
{
    test_rng rng = test_rng_seed(16);
    op_call call = op_call_begin(*state, QVK__OP_DIV_TENSOR);

    op_arg_random(&call, &rng, QVK_DTYPE_F32, OP_SHAPE(4001), 0, 0);
    op_arg_random(&call, &rng, QVK_DTYPE_F32, OP_SHAPE(4001), 0, 0);
    op_call_check(&call, "quotients", TEST_EXACT);
    op_harness_reset(*state);
}

static void where(void **state)
{
    static const int64_t shapes[][3][5] = {
        {{17, -1}, {17, -1}, {17, -1}},
        {{4, 1, -1}, {3, -1}, {4, 3, -1}},
        {{2, 1, 8, -1}, {-1}, {2, 5, 8, -1}},
        {{0, -1}, {-1}, {-1}},
    };
    static const qvk_dtype types[][2] = {
        {QVK_DTYPE_F32, QVK_DTYPE_F32}, {QVK_DTYPE_F16, QVK_DTYPE_F16}, {QVK_DTYPE_I64, QVK_DTYPE_I64},
        {QVK_DTYPE_F32, QVK_DTYPE_I32}, {QVK_DTYPE_I8, QVK_DTYPE_BOOL},
    };
    test_rng rng = test_rng_seed(17);

    for (size_t i = 0; i < QVK__COUNT(shapes); i++)
        for (size_t t = 0; t < QVK__COUNT(types); t++) {
            op_call call = op_call_begin(*state, QVK__OP_WHERE_SELF);
            op_arg_random(&call, &rng, QVK_DTYPE_BOOL, shapes[i][0], 0, 1);
            sprinkle(op_arg_random(&call, &rng, types[t][0], shapes[i][1], 0, 1), 2);
            op_arg_random(&call, &rng, types[t][1], shapes[i][2], 0, 1);
            op_call_check(&call, "where", TEST_EXACT);
            op_harness_reset(*state);
        }
}

static void roundings_to_halves(void **state)
{
    static const float hard[] = {65503.9f, 65519.9f,  65520.0f,    -1e9f,    6e-8f,          2.9e-8f,
                                 3.1e-8f,  -INFINITY, 6.1e-5f,     6.09e-5f, 1.00048828125f, 1.00146484375f,
                                 0.0f,     -0.0f,     2.98023e-8f, 3.38e38f, 1e-40f};
    static const int64_t codes[] = {5, 15};
    test_rng rng = test_rng_seed(19);

    for (size_t c = 0; c < QVK__COUNT(codes); c++) {
        op_call call = op_call_begin(*state, QVK__OP_PRIV_TO_COPY);
        qvk_tensor *x = op_arg_random(&call, &rng, QVK_DTYPE_F32, OP_SHAPE(2000), 0, 0);
        memcpy(x->data, hard, sizeof hard);
        for (int64_t i = QVK__COUNT(hard); i < 2000; i++)
            ((float *)x->data)[i] *= ldexpf(1.0f, (int)(i % 40) - 26);
        op_arg(&call, qvk__arg_from_int(codes[c]));
        for (int i = 0; i < 3; i++)
            op_arg_none(&call);
        op_arg(&call, qvk__arg_from_bool(false));
        op_arg_none(&call);
        op_call_check(&call, "roundings", TEST_EXACT);
    }
    op_harness_reset(*state);
}

static void copies_into(void **state)
{
    test_rng rng = test_rng_seed(20);

    for (int in_place = 0; in_place < 2; in_place++)
        for (int half = 0; half < 2; half++) {
            op_call call = op_call_begin(*state, in_place ? QVK__OP_COPY_INPLACE : QVK__OP_COPY);
            op_arg_random(&call, &rng, half ? QVK_DTYPE_F16 : QVK_DTYPE_F32, OP_SHAPE(3, 4, 5), 0, 0);
            op_arg_random(&call, &rng, QVK_DTYPE_I32, OP_SHAPE(4, 1), -99, 99);
            op_arg(&call, qvk__arg_from_bool(false));
            op_call_check(&call, "copy", TEST_EXACT);
        }
    op_harness_reset(*state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_unary_operator),
        cmocka_unit_test(unary_parameters),
        cmocka_unit_test(every_binary_operator),
        cmocka_unit_test(broadcasting),
        cmocka_unit_test(halves_with_scalars),
        cmocka_unit_test(quotients_are_rounded_to_nearest),
        cmocka_unit_test(where),
        cmocka_unit_test(roundings_to_halves),
        cmocka_unit_test(copies_into),
    };
    return cmocka_run_group_tests(tests, op_harness_setup, op_harness_teardown);
}
