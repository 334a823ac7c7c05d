/* Text builder, patterns, string map: src/base/text.c. */
#include <stdio.h>

#include "base/base.h"
#include "support/support.h"

static void builder_joins_pieces(void **state)
{
    qvk__string string = {0};

    (void)state;
    qvk__string_add(&string, "");
    assert_string_equal(string.data, ""); /* NUL-terminated once anything was added */
    qvk__string_add(&string, "aten.");
    qvk__string_addf(&string, "%s.%d", "add", 7);
    assert_string_equal(string.data, "aten.add.7");
    assert_int_equal(string.count, strlen(string.data));
    assert_false(string.failed);
    free(string.data);
}

static void builder_grows_without_bound(void **state)
{
    qvk__string string = {0};

    (void)state;
    for (int i = 0; i < 20000; i++)
        qvk__string_addf(&string, "%05d", i);
    assert_false(string.failed);
    assert_int_equal(string.count, 100000);
    assert_memory_equal(string.data + 5 * 12345, "12345", 5);
    free(string.data);
}

static void builder_escapes_json(void **state)
{
    qvk__string string = {0};

    (void)state;
    qvk__string_add_json(&string, "a\"b\\c\nd\x01"
                                  "e\xc3\xa9/");
    assert_string_equal(string.data, "a\\\"b\\\\c\\u000ad\\u0001e\xc3\xa9/");
    free(string.data);
}

static void failed_builder_stays_failed_and_safe(void **state)
{
    qvk__string string = {.failed = true};

    (void)state;
    qvk__string_add(&string, "text");
    qvk__string_addf(&string, "%d", 1);
    qvk__string_add_json(&string, "\"");
    assert_true(string.failed);
    assert_null(string.data);
}

static void prefixes_and_suffixes(void **state)
{
    (void)state;
    assert_true(qvk__starts_with("aten.add", "aten."));
    assert_true(qvk__starts_with("aten", ""));
    assert_false(qvk__starts_with("at", "aten"));
    assert_true(qvk__ends_with("model.pte", ".pte"));
    assert_true(qvk__ends_with("model", ""));
    assert_false(qvk__ends_with("te", ".pte"));
    assert_false(qvk__ends_with("model.pt2", ".pte"));
}

static void patterns_match_the_whole_text(void **state)
{
    static const struct {
        const char *pattern, *text;
        bool matches;
    } cases[] = {
        {"", "", true},
        {"", "a", false},
        {"*", "", true},
        {"*", "layers.0.weight", true},
        {"layers.*.weight", "layers.12.weight", true},
        {"layers.*.weight", "layers.12.bias", false},
        {"layers.?.weight", "layers.1.weight", true},
        {"layers.?.weight", "layers.12.weight", false},
        {"a*b*c", "aXbYbZc", true},
        {"a*b*c", "aXbYbZ", false},
        {"*lm_head", "model.lm_head", true},
        {"*lm_head", "model.lm_head.weight", false},
        {"**", "x", true},
        {"?", "", false},
        {"weight", "weights", false},
        /* What makes a naive matcher take forever. */
        {"*a*a*a*a*a*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false},
    };

    (void)state;
    for (size_t i = 0; i < QVK__COUNT(cases); i++)
        if (qvk__glob_match(cases[i].pattern, cases[i].text) != cases[i].matches)
            fail_msg("\"%s\" on \"%s\"", cases[i].pattern, cases[i].text);
}

static void map_finds_what_was_set_and_nothing_else(void **state)
{
    enum { N = 5000 };
    static char keys[N][16];
    qvk__map map = {0};
    int64_t value = -5;

    (void)state;
    assert_false(qvk__map_get(&map, "anything", &value));
    for (int i = 0; i < N; i++) {
        snprintf(keys[i], sizeof keys[i], "weight_%d", i);
        assert_true(qvk__map_set(&map, keys[i], i));
    }
    assert_int_equal(map.count, N);
    for (int i = 0; i < N; i++) {
        assert_true(qvk__map_get(&map, keys[i], &value));
        assert_int_equal(value, i);
    }
    value = -5;
    assert_false(qvk__map_get(&map, "weight_5000", &value));
    assert_int_equal(value, -5); /* untouched */
    qvk__map_free(&map);
    assert_int_equal(map.count, 0);
}

static void map_replaces_a_value(void **state)
{
    qvk__map map = {0};
    int64_t value;

    (void)state;
    assert_true(qvk__map_set(&map, "", 1));
    assert_true(qvk__map_set(&map, "", INT64_MIN));
    assert_int_equal(map.count, 1);
    assert_true(qvk__map_get(&map, "", &value));
    assert_true(value == INT64_MIN);
    qvk__map_free(&map);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(builder_joins_pieces),
        cmocka_unit_test(builder_grows_without_bound),
        cmocka_unit_test(builder_escapes_json),
        cmocka_unit_test(failed_builder_stays_failed_and_safe),
        cmocka_unit_test(prefixes_and_suffixes),
        cmocka_unit_test(patterns_match_the_whole_text),
        cmocka_unit_test(map_finds_what_was_set_and_nothing_else),
        cmocka_unit_test(map_replaces_a_value),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
