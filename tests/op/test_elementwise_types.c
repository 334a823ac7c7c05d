/* Elementwise operators on the device in every type they have. */
#include <math.h>

#include "core/dtype.h"
#include "elementwise_cases.h"
#include "reference/reference.h"

static void unary_operators_in_every_type(void **state)
{
    static const qvk_dtype floats[] = {QVK_DTYPE_F32, QVK_DTYPE_F16, QVK_DTYPE_BF16, QVK_DTYPE_F64};
    static const qvk_dtype ints[] = {QVK_DTYPE_I32, QVK_DTYPE_I64, QVK_DTYPE_I16, QVK_DTYPE_I8, QVK_DTYPE_U8};
    test_rng rng = test_rng_seed(21);

    for (qvk__op op = QVK__OP_NONE; (op = next_planned("unary", op)) != QVK__OP_NONE;) {
        for (size_t d = 0; d < QVK__COUNT(floats) && !needs_ints(op); d++)
            check_unary(*state, &rng, op, floats[d]);
        for (size_t d = 0; d < QVK__COUNT(ints) && takes_ints(op); d++)
            check_unary(*state, &rng, op, ints[d]);
    }
}

static void binary_operators_in_every_type(void **state)
{
    static const qvk_dtype pairs[][2] = {
        {QVK_DTYPE_F32, QVK_DTYPE_F32},  {QVK_DTYPE_F16, QVK_DTYPE_F16}, {QVK_DTYPE_I32, QVK_DTYPE_I32},
        {QVK_DTYPE_I64, QVK_DTYPE_I32},  {QVK_DTYPE_F32, QVK_DTYPE_I32}, {QVK_DTYPE_U8, QVK_DTYPE_I8},
        {QVK_DTYPE_BF16, QVK_DTYPE_F16}, {QVK_DTYPE_BOOL, QVK_DTYPE_I8}, {QVK_DTYPE_F64, QVK_DTYPE_F32},
    };
    test_rng rng = test_rng_seed(23);

    for (qvk__op op = QVK__OP_NONE; (op = next_planned("binary", op)) != QVK__OP_NONE;)
        for (size_t p = 0; p < QVK__COUNT(pairs); p++) {
            const bool floats = qvk__dtype_is_float(pairs[p][0]) || qvk__dtype_is_float(pairs[p][1]);
            if (!floats || !needs_ints(op))
                check_binary(*state, &rng, op, pairs[p][0], pairs[p][1]);
        }
}

static void casts(void **state)
{
    static const struct {
        qvk_dtype dtype;
        int64_t code;
    } types[] = {
        {QVK_DTYPE_F32, 6}, {QVK_DTYPE_F16, 5}, {QVK_DTYPE_BF16, 15},
        {QVK_DTYPE_I32, 3}, {QVK_DTYPE_I64, 4}, {QVK_DTYPE_I8, 1},
        {QVK_DTYPE_U8, 0},  {QVK_DTYPE_I16, 2}, {QVK_DTYPE_BOOL, 11},
    };
    test_rng rng = test_rng_seed(18);

    for (size_t from = 0; from < QVK__COUNT(types); from++)
        for (size_t to = 0; to < QVK__COUNT(types); to++) {
            op_call call = op_call_begin(*state, QVK__OP_PRIV_TO_COPY);
            qvk_tensor *x = op_arg_random(&call, &rng, types[from].dtype, OP_SHAPE(3, 7), 0, 120);
            op_arg(&call, qvk__arg_from_int(types[to].code));
            for (int i = 0; i < 3; i++)
                op_arg_none(&call);
            op_arg(&call, qvk__arg_from_bool(false));
            op_arg_none(&call);
            for (int64_t i = 0; types[to].dtype == QVK_DTYPE_U8 && i < 21; i++)
                qvk__reference_set(x, i, fabs(qvk__reference_get(x, i))); /* C leaves negative ones open */
            op_call_check(&call, qvk_dtype_name(types[to].dtype), TEST_EXACT);
            op_harness_reset(*state);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unary_operators_in_every_type),
        cmocka_unit_test(binary_operators_in_every_type),
        cmocka_unit_test(casts),
    };
    return cmocka_run_group_tests(tests, op_harness_setup, op_harness_teardown);
}
