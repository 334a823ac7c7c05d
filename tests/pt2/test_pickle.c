/* The pickle reader: each opcode it takes, and everything it must not trust. */
#include <math.h>

#include "pt2/pickle.h"
#include "support/support.h"

static qvk__arena arena;

static qvk_status read_bytes(const void *data, size_t bytes, const qvk__pickle **out, qvk_error *err)
{
    /* Memory of exactly its size, so that a sanitizer sees one byte too many. */
    uint8_t *exact = malloc(bytes ? bytes : 1);
    qvk_status status;

    memcpy(exact, data, bytes);
    status = qvk__pickle_read(exact, bytes, "test.pkl", &arena, out, err);
    free(exact);
    return status;
}

#define READ(text) read_text(text, sizeof(text) - 1)
static const qvk__pickle *read_text(const char *text, size_t bytes)
{
    const qvk__pickle *value = NULL;
    qvk_error err = {.message = ""};

    assert_int_equal(read_bytes(text, bytes, &value, &err), QVK_OK);
    assert_string_equal(err.message, "");
    return value;
}

#define REFUSE(text, status, words) refuse_text(text, sizeof(text) - 1, status, words)
static void refuse_text(const char *text, size_t bytes, qvk_status status, const char *words)
{
    const qvk__pickle *value;
    qvk_error err;

    assert_int_equal(read_bytes(text, bytes, &value, &err), status);
    if (!strstr(err.message, words))
        fail_msg("\"%s\" does not say \"%s\"", err.message, words);
    assert_true(err.place != QVK_NO_PLACE);
}

static void numbers(void **state)
{
    (void)state;
    assert_int_equal(READ("\x80\x02K\xff.")->i, 255);
    assert_int_equal(READ("M\x01\x02.")->i, 513);
    assert_int_equal(READ("J\xff\xff\xff\xff.")->i, -1);
    assert_int_equal(READ("\x8a\x00.")->i, 0);
    assert_int_equal(READ("\x8a\x01\x80.")->i, -128);
    assert_int_equal(READ("\x8a\x02\xff\x00.")->i, 255);
    assert_true(READ("\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f.")->i == INT64_MAX);
    assert_true(READ("G\x3f\xf8\x00\x00\x00\x00\x00\x00.")->f == 1.5);
    assert_true(isinf(READ("G\x7f\xf0\x00\x00\x00\x00\x00\x00.")->f));
    assert_int_equal(READ("\x88.")->kind, QVK__PICKLE_BOOL);
    assert_int_equal(READ("\x88.")->i, 1);
    assert_int_equal(READ("\x89.")->i, 0);
    assert_int_equal(READ("N.")->kind, QVK__PICKLE_NONE);
}

static void strings_and_names(void **state)
{
    const qvk__pickle *const *args;
    const qvk__pickle *value;

    (void)state;
    assert_string_equal(READ("X\x02\x00\x00\x00hi.")->s, "hi");
    assert_string_equal(READ("\x8c\x03xyz.")->s, "xyz");
    assert_string_equal(READ("ctorch._utils\n_rebuild\n.")->s, "torch._utils _rebuild");
    assert_string_equal(READ("\x8c\x05torch\x8c\x03int\x93.")->s, "torch int");
    value = READ("cm\nf\nK\x01K\x02\x86R.");
    assert_int_equal(value->kind, QVK__PICKLE_CALL);
    assert_true(qvk__pickle_is_call(value, "m f", 2, &args));
    assert_int_equal(args[1]->i, 2);
    assert_false(qvk__pickle_is_call(value, "m f", 3, &args));
    assert_false(qvk__pickle_is_call(value, "m g", 0, &args));
    value = READ("cm\nC\n)\x81}b."); /* an object with state: the state is dropped */
    assert_true(qvk__pickle_is_call(value, "m C", 0, &args));
}

static void containers(void **state)
{
    const qvk__pickle *value;

    (void)state;
    assert_int_equal(READ(").")->count, 0);
    assert_int_equal(READ("K\x01\x85.")->count, 1);
    assert_int_equal(READ("K\x01K\x02K\x03\x87.")->items[2]->i, 3);
    value = READ("(K\x01(K\x02K\x03tt.");
    assert_int_equal(value->count, 2);
    assert_int_equal(value->items[1]->items[0]->i, 2);
    value = READ("](K\x01K\x02K\x03K\x04K\x05"
                 "eK\x06"
                 "a.");
    assert_int_equal(value->kind, QVK__PICKLE_LIST);
    assert_int_equal(value->count, 6);
    assert_int_equal(value->items[5]->i, 6);
    value = READ("}(X\x01\x00\x00\x00"
                 "aK\x01X\x01\x00\x00\x00"
                 "bK\x02uX\x01\x00\x00\x00"
                 "cK\x03s.");
    assert_int_equal(value->kind, QVK__PICKLE_DICT);
    assert_int_equal(value->count, 6);
    assert_string_equal(value->items[4]->s, "c");
    assert_int_equal(READ("(K\x07tQ.")->kind, QVK__PICKLE_PERSISTENT);
}

static void memo(void **state)
{
    const qvk__pickle *value;

    (void)state;
    value = READ("K\x05q\x00h\x00\x86.");
    assert_ptr_equal(value->items[0], value->items[1]);
    value = READ("K\x05r\x00\x01\x00\x00j\x00\x01\x00\x00\x86.");
    assert_ptr_equal(value->items[0], value->items[1]);
    value = READ("\x80\x04\x95\x00\x00\x00\x00\x00\x00\x00\x00K\x05\x94h\x00\x86.");
    assert_ptr_equal(value->items[0], value->items[1]);
    value = READ("]q\x00h\x00"
                 "a."); /* a list that holds itself */
    assert_ptr_equal(value->items[0], value);
}

static void broken_pickles_are_refused(void **state)
{
    (void)state;
    REFUSE("", QVK_BAD_FORMAT, "ends too early");
    REFUSE("K", QVK_BAD_FORMAT, "ends too early");
    REFUSE("K\x01", QVK_BAD_FORMAT, "ends too early");
    REFUSE(".", QVK_BAD_FORMAT, "the stack is empty");
    REFUSE("R.", QVK_BAD_FORMAT, "the stack is empty");
    REFUSE("K\x01\x86.", QVK_BAD_FORMAT, "the stack is empty");
    REFUSE("t.", QVK_BAD_FORMAT, "no mark");
    REFUSE("(.", QVK_BAD_FORMAT, "the stack is empty");
    REFUSE("K\x01(\x85.", QVK_BAD_FORMAT, "the stack is empty"); /* not across a mark */
    REFUSE("(K\x01"
           "e.",
           QVK_BAD_FORMAT, "no container");
    REFUSE("K\x01(K\x01"
           "e.",
           QVK_BAD_FORMAT, "no container");
    REFUSE("](K\x01K\x02u.", QVK_BAD_FORMAT, "no container");
    REFUSE("}(K\x01u.", QVK_BAD_FORMAT, "a key without value");
    REFUSE("}s.", QVK_BAD_FORMAT, "the stack is empty");
    REFUSE("h\x00.", QVK_BAD_FORMAT, "not in the memo");
    REFUSE("j\xff\xff\xff\xff.", QVK_BAD_FORMAT, "not in the memo");
    REFUSE("Nr\xff\xff\xff\xff.", QVK_BAD_FORMAT, "the memo is too large");
    REFUSE("X\xff\xff\xff\xffhi.", QVK_BAD_FORMAT, "ends too early");
    REFUSE("\x8a\x09"
           "123456789.",
           QVK_BAD_FORMAT, "beyond 64 bits");
    REFUSE("ctorch", QVK_BAD_FORMAT, "does not end");
    REFUSE("ctorch\nname", QVK_BAD_FORMAT, "does not end");
    REFUSE("K\x01K\x02\x93.", QVK_BAD_FORMAT, "no string");
    REFUSE("cm\nf\nK\x01R.", QVK_BAD_FORMAT, "no tuple");
    REFUSE("I1\n.", QVK_UNSUPPORTED, "opcode 0x49");
    REFUSE("\x82\x01.", QVK_UNSUPPORTED, "opcode 0x82");
}

static void reading_survives_every_failed_allocation(void **state)
{
    static const char text[] = "\x80\x02}q\x00(X\x01\x00\x00\x00"
                               "a(cm\nf\nK\x01\x8a\x01\x05\x86RtX\x01\x00\x00\x00"
                               "b]u.";
    const qvk__pickle *value;
    qvk_status status = QVK_OK;

    (void)state;
    for (long granted = 0; granted < 1000; granted++) {
        qvk__arena fresh = {0};
        test_memory_grant(granted);
        status = qvk__pickle_read((const uint8_t *)text, sizeof text - 1, "test.pkl", &fresh, &value, NULL);
        long refused = test_memory_grant_all();
        qvk__arena_free(&fresh);
        if (refused == 0)
            break;
        assert_int_equal(status, QVK_OUT_OF_MEMORY);
    }
    assert_int_equal(status, QVK_OK);
}

static int free_arena(void **state)
{
    (void)state;
    qvk__arena_free(&arena);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers),
        cmocka_unit_test(strings_and_names),
        cmocka_unit_test(containers),
        cmocka_unit_test(memo),
        cmocka_unit_test(broken_pickles_are_refused),
        cmocka_unit_test(reading_survives_every_failed_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, free_arena);
}
