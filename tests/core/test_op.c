/* The operator table and its look-ups: src/core/op.c, ops.def. */
#include <stdio.h>

#include "core/op.h"
#include "support/support.h"

static bool is_python_operator(qvk__op op)
{
    return strchr(qvk__op_name(op), '.') == NULL;
}

/* "aten.add.Tensor" as a .pte says it: name "aten::add", overload "Tensor". */
static void split_name(const char *full, char *name, size_t room, const char **overload)
{
    const char *first = strchr(full, '.'), *second = strchr(first + 1, '.');

    assert_non_null(second);
    snprintf(name, room, "%.*s::%.*s", (int)(first - full), full, (int)(second - first - 1), first + 1);
    *overload = second + 1;
}

static void every_operator_is_found_by_its_name(void **state)
{
    (void)state;
    for (int i = 1; i < QVK__OP_COUNT; i++)
        if (qvk__op_find(qvk__op_name((qvk__op)i)) != (qvk__op)i)
            fail_msg("\"%s\" is found as \"%s\": a name stands in two rows", qvk__op_name((qvk__op)i),
                     qvk__op_name(qvk__op_find(qvk__op_name((qvk__op)i))));
}

static void every_name_is_namespace_operator_overload(void **state)
{
    (void)state;
    for (int i = 1; i < QVK__OP_COUNT; i++) {
        const char *name = qvk__op_name((qvk__op)i);
        int dots = 0;
        for (const char *c = name; *c; c++)
            dots += *c == '.';
        if (dots != 2 && !(dots == 0 && is_python_operator((qvk__op)i)))
            fail_msg("\"%s\" has %d dots", name, dots);
    }
}

static void every_operator_is_found_as_a_kernel(void **state)
{
    (void)state;
    for (int i = 1; i < QVK__OP_COUNT; i++) {
        const qvk__op_info *info = qvk__op_info_of((qvk__op)i);
        const char *overload;
        char name[128];

        if (is_python_operator((qvk__op)i))
            continue;
        split_name(info->name, name, sizeof name, &overload);
        if (qvk__op_find_kernel(name, overload) != (qvk__op)i)
            fail_msg("%s, overload %s is found as %s", name, overload,
                     qvk__op_name(qvk__op_find_kernel(name, overload)));
        if (info->out != NULL && qvk__op_find_kernel(name, info->out) != (qvk__op)i)
            fail_msg("%s, out overload %s is found as %s", name, info->out,
                     qvk__op_name(qvk__op_find_kernel(name, info->out)));
    }
}

static void kernel_names_of_the_spec(void **state)
{
    (void)state;
    assert_int_equal(qvk__op_find_kernel("aten::linear", "out"), QVK__OP_LINEAR);
    assert_int_equal(qvk__op_find_kernel("aten::linear", ""), QVK__OP_LINEAR);
    assert_int_equal(qvk__op_find_kernel("aten::mean", "dtype_out"), QVK__OP_MEAN);
    assert_int_equal(qvk__op_find_kernel("dim_order_ops::_to_dim_order_copy", "out"),
                     QVK__OP_DIM_TO_DIM_ORDER_COPY);
}

static void unknown_names_are_none(void **state)
{
    static const char *const names[] = {"",
                                        ".",
                                        "aten",
                                        "aten.linear",
                                        "aten.linear.defaul",
                                        "aten.linear.default2",
                                        "aten.no_such_operator.default"};

    (void)state;
    for (size_t i = 0; i < QVK__COUNT(names); i++)
        assert_int_equal(qvk__op_find(names[i]), QVK__OP_NONE);
    assert_int_equal(qvk__op_find_kernel("aten::linea", "default"), QVK__OP_NONE);
    assert_int_equal(qvk__op_find_kernel("aten::linear", "Tensor"), QVK__OP_NONE);
    assert_int_equal(qvk__op_find_kernel("aten:linear", "default"), QVK__OP_NONE);
    assert_int_equal(qvk__op_find_kernel("", ""), QVK__OP_NONE);
}

static void numbers_out_of_range_are_none(void **state)
{
    (void)state;
    assert_string_equal(qvk__op_name(QVK__OP_NONE), "");
    assert_string_equal(qvk__op_name(QVK__OP_COUNT), "");
    assert_string_equal(qvk__op_name((qvk__op)-1), "");
    assert_null(qvk__op_info_of(QVK__OP_NONE)->shape);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_operator_is_found_by_its_name),
        cmocka_unit_test(every_name_is_namespace_operator_overload),
        cmocka_unit_test(every_operator_is_found_as_a_kernel),
        cmocka_unit_test(kernel_names_of_the_spec),
        cmocka_unit_test(unknown_names_are_none),
        cmocka_unit_test(numbers_out_of_range_are_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
