/* Symbolic sizes: reading both forms, values, bounds, interning, printing. */
#include "ir/ir.h"
#include "support/support.h"

static qvk__exported program;

static int set_up(void **state)
{
    (void)state;
    qvk__exported_init(&program);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    qvk__exported_finish(&program);
    return 0;
}

static int32_t parse(const char *text)
{
    qvk_error err = {.message = ""};
    int32_t made = -1;
    qvk_status status = qvk__expression_parse(&program, text, -1, &made, &err);

    if (status != QVK_OK)
        fail_msg("%s: %s", text, err.message);
    return made;
}

static char *print(int32_t expression)
{
    qvk__string out = {0};
    qvk__expression_print(&program, expression, &out);
    return out.data;
}

static void assert_prints(int32_t expression, const char *expected)
{
    char *text = print(expression);
    assert_string_equal(text, expected);
    free(text);
}

/* s0 = 5, s1 = 7, anything else = 2. */
static int64_t bind(void *user, const char *symbol)
{
    (void)user;
    return strcmp(symbol, "s0") == 0 ? 5 : strcmp(symbol, "s1") == 0 ? 7 : 2;
}

static int64_t value_of(int32_t expression)
{
    int64_t value = INT64_MIN;
    assert_int_equal(qvk__expression_eval(&program, expression, bind, NULL, &value, NULL), QVK_OK);
    return value;
}

#define S0 "Symbol('s0', positive=True, integer=True)"
#define S1 "Symbol('s1', positive=True, integer=True)"

static const struct {
    const char *text, *printed;
    int64_t value;
} cases[] = {
    {S0, "s0", 5},
    {"Integer(12)", "12", 12},
    {"Integer(-3)", "-3", -3},
    {"Mul(Integer(2), " S0 ")", "2*s0", 10},
    {"Add(" S0 ", Integer(1))", "(s0 + 1)", 6},
    {"Add(" S0 ", " S1 ", Integer(1))", "((s0 + s1) + 1)", 13},
    {"FloorDiv(" S1 ", Integer(2))", "(s1//2)", 3},
    {"FloorDiv(Integer(-7), Integer(2))", "-4", -4}, /* as Python rounds */
    {"CeilDiv(" S1 ", Integer(2))", "-1*(-1*s1//2)", 4},
    {"Mod(" S1 ", Integer(4))", "(s1%4)", 3},
    {"PythonMod(Integer(-7), Integer(4))", "1", 1},
    {"Max(Integer(1), " S0 ")", "max(1, s0)", 5},
    {"Min(" S0 ", " S1 ")", "min(s0, s1)", 5},
    {"Pow(" S0 ", Integer(2))", "s0**2", 25},
    {"Identity(" S0 ")", "s0", 5},
    /* the plain form of older files */
    {"s0", "s0", 5},
    {"2*s0", "2*s0", 10},
    {"s0 + 2*s1 - 1", "((s0 + 2*s1) + -1)", 18},
    {"(s0 + 1)//2", "((s0 + 1)//2)", 3},
    {"-s0", "-1*s0", -5},
    {"s0**2", "s0**2", 25},
    {"s0 % 3", "(s0%3)", 2},
    {"Max(1, s0)", "max(1, s0)", 5},
    {"  s0  ", "s0", 5},
};

static void both_forms_are_read(void **state)
{
    (void)state;
    for (size_t i = 0; i < QVK__COUNT(cases); i++) {
        int32_t expression = parse(cases[i].text);
        assert_prints(expression, cases[i].printed);
        assert_int_equal(value_of(expression), cases[i].value);
    }
}

static void equal_expressions_have_equal_indices(void **state)
{
    size_t count;

    (void)state;
    assert_int_equal(parse("Mul(Integer(2), " S0 ")"), parse("2*s0"));
    count = program.expressions.count;
    assert_int_equal(parse("Mul(Integer(2), " S0 ")"), parse("2*s0"));
    assert_int_equal(program.expressions.count, count);
    assert_int_not_equal(parse("2*s0"), parse("3*s0"));
    assert_int_not_equal(parse("s0 - s1"), parse("s1 - s0"));
    assert_int_equal(parse("2*3 + 1"), parse("7")); /* folded */
}

static void assert_srepr(int32_t expression, const char *expected)
{
    qvk__string out = {0};
    qvk__expression_srepr(&program, expression, &out);
    assert_string_equal(out.data, expected);
    free(out.data);
}

static void files_get_sreprs_back(void **state)
{
    int32_t s0;

    (void)state;
    assert_srepr(parse("Add(Integer(1), Mul(Integer(2), " S0 "))"),
                 "Add(Integer(1), Mul(Integer(2), " S0 "))");
    assert_srepr(parse("Symbol('u3', integer=True)"), "Symbol('u3', integer=True)");
    assert_srepr(parse("2*s5"), "Mul(Integer(2), Symbol('s5', positive=True, integer=True))");
    assert_srepr(parse("u7 + 1"), "Add(Symbol('u7', integer=True), Integer(1))");
    s0 = qvk__expression_symbol(&program, "s0");
    assert_srepr(
        qvk__expression_add(&program, QVK__EXPRESSION_FLOORDIV, s0, qvk__expression_constant(&program, 4)),
        "FloorDiv(" S0 ", Integer(4))");
}

static void what_is_not_computed_is_kept_as_text(void **state)
{
    static const char *const texts[] = {
        "Ge(" S0 ", Integer(2))",
        "StrictLessThan(s0, 3)",
        "s0 >= 2",
        "IntTrueDiv(s0, 2)",
        "Rational(1, 2)",
        "Float('1.5', precision=53)",
        "s0/2",
        "~(s0 == 1)",
        "1.5",
        "ModularIndexing(s0, 2, 3)",
        "Pow(s0)",
        "Mod(s0, 2, 3)",
    };
    int64_t value;
    qvk_error err;

    (void)state;
    for (size_t i = 0; i < QVK__COUNT(texts); i++) {
        int32_t expression = parse(texts[i]);
        assert_int_equal(program.expressions.data[expression].kind, QVK__EXPRESSION_OPAQUE);
        assert_srepr(expression, texts[i]);
        assert_int_equal(qvk__expression_eval(&program, expression, bind, NULL, &value, &err),
                         QVK_UNSUPPORTED);
        assert_non_null(strstr(err.message, texts[i]));
        assert_int_equal(qvk__expression_max(&program, expression, &value, NULL), QVK_UNSUPPORTED);
    }
}

static void broken_text_is_refused(void **state)
{
    static const char *const texts[] = {
        "",       "(",          ")",          "2*",          "*2",         "s0 s1",
        "Add(s0", "Add(s0 s1)", "Symbol(s0)", "Symbol('s0'", "Symbol('s0", "Integer(99999999999999999999)",
        "s0 +",   "'s0",        "Max(",       "s0)",         "!",          "precision=",
    };
    int32_t expression;
    qvk_error err;

    (void)state;
    for (size_t i = 0; i < QVK__COUNT(texts); i++) {
        if (qvk__expression_parse(&program, texts[i], -1, &expression, &err) != QVK_BAD_FORMAT)
            fail_msg("\"%s\" is accepted", texts[i]);
        assert_non_null(strstr(err.message, "size expression"));
    }
}

static void nesting_is_bounded(void **state)
{
    enum { N = 5000 };
    static char deep[8 * N], wide[8 * N];
    int32_t expression;

    (void)state;
    memset(deep, '(', N);
    strcpy(deep + N, "s0");
    assert_int_equal(qvk__expression_parse(&program, deep, -1, &expression, NULL), QVK_BAD_FORMAT);
    strcpy(wide, "s0");
    for (int i = 0; i < N; i++)
        strcat(wide, "*s1");
    assert_int_equal(qvk__expression_parse(&program, wide, -1, &expression, NULL), QVK_BAD_FORMAT);
    strcpy(deep, "s0");
    for (int i = 0; i < 90; i++) { /* reasonable ones are fine */
        char next[8 * N];
        strcpy(next, "Max(s1, ");
        strcat(next, deep);
        strcat(next, ")");
        strcpy(deep, next);
    }
    assert_int_equal(value_of(parse(deep)), 7);
}

static void arithmetic_never_overflows_silently(void **state)
{
    static const char *const texts[] = {
        "s0*9223372036854775807", "s0 + 9223372036854775807", "s0**60", "s0//0", "s0 % 0", "s0**(-1)"};
    int64_t value;

    (void)state;
    for (size_t i = 0; i < QVK__COUNT(texts); i++)
        assert_int_equal(qvk__expression_eval(&program, parse(texts[i]), bind, NULL, &value, NULL),
                         QVK_SHAPE);
    assert_int_equal(qvk__expression_eval(&program, 12345, bind, NULL, &value, NULL), QVK_INTERNAL);
}

static void bounds_follow_from_ranges(void **state)
{
    static const struct {
        const char *text;
        int64_t most; /* -1: none */
    } bounds[] = {
        {"s0", 32},           {"2*s0 + 1", 65},
        {"s0//3", 10},        {"64 - s0", 62},
        {"s0*s1", 128},       {"s0 % 7", 6},
        {"s0 % 100", 32},     {"Max(s0, 50)", 50},
        {"Min(s0, big)", 32}, {"big", -1},
        {"2*big", -1},        {"5 - big", 4},
        {"100//s0", 50},      {"s0**2", 1024},
        {"big*0", 0},         {"s0*(-1)", -2},
        {"0 - s1", -1},       {"big//1000", -1},
        {"Max(big, 1)", -1},  {"nowhere", -1},
        {"s0//(s0 - 2)", -1}, {"9223372036854775806 + s0", -1},
    };

    (void)state;
    assert_true(qvk__exported_set_range(&program, "s0", 2, 100));
    assert_true(qvk__exported_set_range(&program, "s0", 2, 32)); /* in place of the first */
    assert_int_equal(program.ranges.count, 1);
    assert_true(qvk__exported_set_range(&program, "s1", 1, 4));
    assert_true(qvk__exported_set_range(&program, "big", 1, INT64_MAX));
    for (size_t i = 0; i < QVK__COUNT(bounds); i++) {
        int64_t most = 0;
        qvk_status status = qvk__expression_max(&program, parse(bounds[i].text), &most, NULL);
        if (bounds[i].most == -1 && status == QVK_UNSUPPORTED)
            continue;
        if (status != QVK_OK || most != bounds[i].most)
            fail_msg("%s: at most %lld", bounds[i].text, (long long)most);
    }
}

static void reading_survives_every_failed_allocation(void **state)
{
    qvk_status status = QVK_OK;
    int32_t expression;

    (void)state;
    for (long granted = 0; granted < 1000; granted++) {
        qvk__exported fresh;
        qvk__exported_init(&fresh);
        test_memory_grant(granted);
        status = qvk__expression_parse(&fresh, "Add(" S0 ", Mul(Integer(2), " S1 "), Ge(s0, 1))", 3,
                                       &expression, NULL);
        long refused = test_memory_grant_all();
        qvk__exported_finish(&fresh);
        if (refused == 0)
            break;
        assert_int_equal(status, QVK_OUT_OF_MEMORY);
    }
    assert_int_equal(status, QVK_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(both_forms_are_read, set_up, tear_down),
        cmocka_unit_test_setup_teardown(equal_expressions_have_equal_indices, set_up, tear_down),
        cmocka_unit_test_setup_teardown(files_get_sreprs_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_not_computed_is_kept_as_text, set_up, tear_down),
        cmocka_unit_test_setup_teardown(broken_text_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nesting_is_bounded, set_up, tear_down),
        cmocka_unit_test_setup_teardown(arithmetic_never_overflows_silently, set_up, tear_down),
        cmocka_unit_test_setup_teardown(bounds_follow_from_ranges, set_up, tear_down),
        cmocka_unit_test_setup_teardown(reading_survives_every_failed_allocation, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
