/* Statuses and errors: src/base/error.c. */
#include "base/base.h"
#include "support/support.h"

static const qvk_status statuses[] = {
#define STATUS(name, number, text) QVK_##name,
    QVK_STATUS_LIST(STATUS)
#undef STATUS
};

/* Numbers are a promise to callers: a change of one is a break, so they stand here a second time. */
static void status_numbers_are_pinned(void **state)
{
    static const struct {
        const char *name;
        int number;
    } pinned[] = {
        {"OK", 0},
        {"INVALID_ARGUMENT", 1},
        {"INPUT_MISMATCH", 2},
        {"BUSY", 3},
        {"OUT_OF_MEMORY", 10},
        {"IO", 20},
        {"BAD_FORMAT", 21},
        {"BAD_VERSION", 22},
        {"NOT_FOUND", 23},
        {"UNSUPPORTED_OPERATOR", 30},
        {"UNSUPPORTED", 31},
        {"SHAPE", 32},
        {"NO_DEVICE", 40},
        {"OUT_OF_DEVICE_MEMORY", 41},
        {"DEVICE_LOST", 42},
        {"TIMEOUT", 43},
        {"DRIVER", 44},
        {"VERIFY_FAILED", 50},
        {"INTERNAL", 90},
    };

    (void)state;
    for (size_t i = 0; i < QVK__COUNT(pinned); i++)
        assert_string_equal(qvk_status_name((qvk_status)pinned[i].number), pinned[i].name);
    assert_int_equal(QVK__COUNT(pinned), QVK__COUNT(statuses));
}

static void every_status_has_its_own_text_and_name(void **state)
{
    (void)state;
    for (size_t i = 0; i < QVK__COUNT(statuses); i++) {
        assert_true(strlen(qvk_status_text(statuses[i])) > 0);
        for (size_t j = 0; j < i; j++) {
            assert_int_not_equal(statuses[i], statuses[j]);
            assert_string_not_equal(qvk_status_text(statuses[i]), qvk_status_text(statuses[j]));
            assert_string_not_equal(qvk_status_name(statuses[i]), qvk_status_name(statuses[j]));
        }
    }
}

static void number_that_is_no_status_is_said_so(void **state)
{
    (void)state;
    assert_string_equal(qvk_status_text((qvk_status)89), "unknown status");
    assert_string_equal(qvk_status_name((qvk_status)89), "UNKNOWN");
}

static void fail_fills_the_error(void **state)
{
    qvk_error err;

    (void)state;
    memset(&err, 0x5a, sizeof err);
    assert_int_equal(qvk__fail(&err, QVK_SHAPE, "%s: %d", "weight", 7), QVK_SHAPE);
    assert_int_equal(err.status, QVK_SHAPE);
    assert_true(err.place == QVK_NO_PLACE);
    assert_int_equal(err.node, -1);
    assert_string_equal(err.message, "weight: 7");

    assert_int_equal(qvk__fail_at(&err, QVK_BAD_FORMAT, 4096, "truncated"), QVK_BAD_FORMAT);
    assert_true(err.place == 4096);
    assert_string_equal(err.message, "truncated");
}

static void fail_accepts_no_error_struct(void **state)
{
    (void)state;
    assert_int_equal(qvk__fail(NULL, QVK_IO, "%s", "unseen"), QVK_IO);
    assert_int_equal(qvk__fail_at(NULL, QVK_IO, 1, "%s", "unseen"), QVK_IO);
    assert_int_equal(qvk__error_context(NULL, QVK_IO, "%s", "unseen"), QVK_IO);
}

static void long_message_is_cut_and_ends(void **state)
{
    char text[2 * QVK_ERROR_MESSAGE_MAX];
    qvk_error err;

    (void)state;
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    qvk__fail(&err, QVK_IO, "%s", text);
    assert_int_equal(strlen(err.message), QVK_ERROR_MESSAGE_MAX - 1);

    /* The context stays whole; the old message gives way. */
    qvk__error_context(&err, QVK_IO, "model.pte");
    assert_int_equal(strlen(err.message), QVK_ERROR_MESSAGE_MAX - 1);
    assert_true(qvk__starts_with(err.message, "model.pte: xxx"));

    /* A context that fills everything leaves room for nothing else. */
    qvk__error_context(&err, QVK_IO, "%s", text);
    assert_int_equal(strlen(err.message), QVK_ERROR_MESSAGE_MAX - 1);
}

static void context_goes_before_the_message_and_keeps_the_rest(void **state)
{
    qvk_error err;

    (void)state;
    qvk__fail_at(&err, QVK_BAD_FORMAT, 12, "offset 99 is outside");
    assert_int_equal(qvk__error_context(&err, QVK_BAD_FORMAT, "node %d", 3), QVK_BAD_FORMAT);
    assert_string_equal(err.message, "node 3: offset 99 is outside");
    assert_int_equal(err.status, QVK_BAD_FORMAT);
    assert_true(err.place == 12);

    assert_int_equal(qvk__error_context(&err, QVK_OK, "untouched"), QVK_OK);
    assert_string_equal(err.message, "node 3: offset 99 is outside");
}

static qvk_status step(qvk_status status, int *n_steps)
{
    (*n_steps)++;
    return status;
}

static qvk_status two_steps(qvk_status first, int *n_steps)
{
    QVK__TRY(step(first, n_steps));
    return step(QVK_OK, n_steps);
}

static qvk_status two_steps_with_cleanup(qvk_status first, int *n_steps, bool *cleaned)
{
    qvk_status status = QVK_OK;

    QVK__TRY_GO(step(first, n_steps));
    QVK__TRY_GO(step(QVK_OK, n_steps));
done:
    *cleaned = true;
    return status;
}

static qvk_status positive(int n, qvk_error *err)
{
    QVK__CHECK(n > 0, err, QVK_INVALID_ARGUMENT, "n is %d, and must be positive", n);
    return QVK_OK;
}

static void macros_forward_the_first_failure(void **state)
{
    bool cleaned = false;
    int n_steps = 0;
    qvk_error err;

    (void)state;
    assert_int_equal(two_steps(QVK_OK, &n_steps), QVK_OK);
    assert_int_equal(n_steps, 2);
    assert_int_equal(two_steps(QVK_TIMEOUT, &n_steps), QVK_TIMEOUT);
    assert_int_equal(n_steps, 3);

    assert_int_equal(two_steps_with_cleanup(QVK_BUSY, &n_steps, &cleaned), QVK_BUSY);
    assert_int_equal(n_steps, 4);
    assert_true(cleaned);

    assert_int_equal(positive(1, &err), QVK_OK);
    assert_int_equal(positive(-2, &err), QVK_INVALID_ARGUMENT);
    assert_string_equal(err.message, "n is -2, and must be positive");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(status_numbers_are_pinned),
        cmocka_unit_test(every_status_has_its_own_text_and_name),
        cmocka_unit_test(number_that_is_no_status_is_said_so),
        cmocka_unit_test(fail_fills_the_error),
        cmocka_unit_test(fail_accepts_no_error_struct),
        cmocka_unit_test(long_message_is_cut_and_ends),
        cmocka_unit_test(context_goes_before_the_message_and_keeps_the_rest),
        cmocka_unit_test(macros_forward_the_first_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
