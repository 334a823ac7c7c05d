/* Typed access to arguments: src/core/arg.c. */
#include <math.h>

#include "core/op.h"
#include "support/support.h"

static void ints_come_from_whole_numbers(void **state)
{
    const qvk__arg from_int = qvk__arg_from_int(INT64_MIN), from_bool = qvk__arg_from_bool(true);
    const qvk__arg from_whole = qvk__arg_from_float(-3.0);
    int64_t out = 5;

    (void)state;
    assert_int_equal(qvk__arg_int(&from_int, "dim", &out, NULL), QVK_OK);
    assert_true(out == INT64_MIN);
    assert_int_equal(qvk__arg_int(&from_bool, "dim", &out, NULL), QVK_OK);
    assert_int_equal(out, 1);
    assert_int_equal(qvk__arg_int(&from_whole, "dim", &out, NULL), QVK_OK);
    assert_int_equal(out, -3);
}

static void what_is_no_int_is_named(void **state)
{
    const qvk__arg misfits[] = {
        qvk__arg_from_float(0.5),      qvk__arg_from_float(1e30), qvk__arg_from_float(NAN),
        qvk__arg_from_float(INFINITY), {.kind = QVK__ARG_NULL},   {.kind = QVK__ARG_STRING, .u.s = "1"},
        {.kind = QVK__ARG_INTS},       qvk__arg_from_value(0),
    };
    int64_t out = 5;
    qvk_error err;

    (void)state;
    for (size_t i = 0; i < QVK__COUNT(misfits); i++) {
        assert_int_equal(qvk__arg_int(&misfits[i], "start_pos", &out, &err), QVK_INVALID_ARGUMENT);
        assert_non_null(strstr(err.message, "start_pos"));
        assert_int_equal(out, 5);
    }
}

static void floats_and_bools_convert(void **state)
{
    const qvk__arg one = qvk__arg_from_int(1), two = qvk__arg_from_int(2), half = qvk__arg_from_float(0.5);
    const qvk__arg yes = qvk__arg_from_bool(true), none = {.kind = QVK__ARG_NULL};
    double number = -1;
    bool flag = false;

    (void)state;
    assert_int_equal(qvk__arg_float(&two, "scale", &number, NULL), QVK_OK);
    assert_true(number == 2.0);
    assert_int_equal(qvk__arg_float(&half, "scale", &number, NULL), QVK_OK);
    assert_true(number == 0.5);
    assert_int_equal(qvk__arg_float(&yes, "scale", &number, NULL), QVK_OK);
    assert_true(number == 1.0);
    assert_int_equal(qvk__arg_float(&none, "scale", &number, NULL), QVK_INVALID_ARGUMENT);

    assert_int_equal(qvk__arg_bool(&one, "keepdim", &flag, NULL), QVK_OK);
    assert_true(flag);
    assert_int_equal(qvk__arg_bool(&two, "keepdim", &flag, NULL), QVK_INVALID_ARGUMENT);
    assert_int_equal(qvk__arg_bool(&half, "keepdim", &flag, NULL), QVK_INVALID_ARGUMENT);
}

static void strings_and_tensors_are_themselves_only(void **state)
{
    const qvk_tensor tensor = {.dtype = QVK_DTYPE_F32};
    const qvk__arg text = {.kind = QVK__ARG_STRING, .u.s = "none"}, none = {.kind = QVK__ARG_NULL};
    const qvk__arg resolved = {.kind = QVK__ARG_TENSOR, .u.tensor = &tensor};
    const qvk__arg value = qvk__arg_from_value(3);
    const qvk_tensor *out = NULL;
    const char *string = NULL;

    (void)state;
    assert_int_equal(qvk__arg_string(&text, "approximate", &string, NULL), QVK_OK);
    assert_string_equal(string, "none");
    assert_int_equal(qvk__arg_string(&none, "approximate", &string, NULL), QVK_INVALID_ARGUMENT);

    assert_int_equal(qvk__arg_tensor(&resolved, "weight", &out, NULL), QVK_OK);
    assert_ptr_equal(out, &tensor);
    assert_int_equal(qvk__arg_tensor(&none, "weight", &out, NULL), QVK_INVALID_ARGUMENT);
    assert_int_equal(qvk__arg_tensor(&value, "weight", &out, NULL), QVK_INVALID_ARGUMENT); /* not resolved */
    assert_int_equal(qvk__arg_tensor_or_null(&none, "bias", &out, NULL), QVK_OK);
    assert_null(out);
    assert_int_equal(qvk__arg_tensor_or_null(&text, "bias", &out, NULL), QVK_INVALID_ARGUMENT);
    assert_true(qvk__arg_is_null(&none));
    assert_false(qvk__arg_is_null(&text));
}

static void int_lists_come_in_four_forms(void **state)
{
    const int64_t numbers[] = {1, -2, 3};
    const qvk__arg items[] = {qvk__arg_from_int(7), qvk__arg_from_bool(true)};
    const qvk__arg ints = {.kind = QVK__ARG_INTS, .count = 3, .u.ints = numbers};
    const qvk__arg list = {.kind = QVK__ARG_LIST, .count = 2, .u.list = items};
    const qvk__arg single = qvk__arg_from_int(9), none = {.kind = QVK__ARG_NULL};
    const qvk__arg empty_bools = {.kind = QVK__ARG_BOOLS}; /* an empty list has no type in a blob */
    int64_t out[8];
    int n;

    (void)state;
    assert_int_equal(qvk__arg_ints(&ints, "dim", out, 8, &n, NULL), QVK_OK);
    assert_int_equal(n, 3);
    assert_memory_equal(out, numbers, sizeof numbers);
    assert_int_equal(qvk__arg_ints(&list, "dim", out, 8, &n, NULL), QVK_OK);
    assert_int_equal(n, 2);
    assert_int_equal(out[0], 7);
    assert_int_equal(out[1], 1);
    assert_int_equal(qvk__arg_ints(&single, "dim", out, 8, &n, NULL), QVK_OK);
    assert_int_equal(n, 1);
    assert_int_equal(out[0], 9);
    assert_int_equal(qvk__arg_ints(&none, "dim", out, 8, &n, NULL), QVK_OK);
    assert_int_equal(n, -1);
    assert_int_equal(qvk__arg_ints(&empty_bools, "dim", out, 8, &n, NULL), QVK_OK);
    assert_int_equal(n, 0);
}

static void int_lists_that_do_not_fit_are_refused(void **state)
{
    const int64_t numbers[] = {1, 2, 3};
    const qvk__arg items[] = {qvk__arg_from_int(7), {.kind = QVK__ARG_STRING, .u.s = "x"}};
    const qvk__arg ints = {.kind = QVK__ARG_INTS, .count = 3, .u.ints = numbers};
    const qvk__arg huge = {.kind = QVK__ARG_INTS, .count = UINT32_MAX, .u.ints = numbers};
    const qvk__arg list = {.kind = QVK__ARG_LIST, .count = 2, .u.list = items};
    const qvk__arg text = {.kind = QVK__ARG_STRING, .u.s = "x"};
    int64_t out[8];
    qvk_error err;
    int n;

    (void)state;
    assert_int_equal(qvk__arg_ints(&ints, "dim", out, 2, &n, &err), QVK_INVALID_ARGUMENT);
    assert_non_null(strstr(err.message, "dim"));
    assert_int_equal(qvk__arg_ints(&huge, "dim", out, 8, &n, &err), QVK_INVALID_ARGUMENT);
    assert_int_equal(qvk__arg_ints(&list, "dim", out, 8, &n, &err), QVK_INVALID_ARGUMENT);
    assert_int_equal(qvk__arg_ints(&text, "dim", out, 8, &n, &err), QVK_INVALID_ARGUMENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ints_come_from_whole_numbers),
        cmocka_unit_test(what_is_no_int_is_named),
        cmocka_unit_test(floats_and_bools_convert),
        cmocka_unit_test(strings_and_tensors_are_themselves_only),
        cmocka_unit_test(int_lists_come_in_four_forms),
        cmocka_unit_test(int_lists_that_do_not_fit_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
