/* What base does when memory runs out, at each allocation in turn. */
#include <stdio.h>
#include <unistd.h>

#include "base/base.h"
#include "support/support.h"

static void arena_returns_null_and_goes_on(void **state)
{
    qvk__arena arena = {0};

    (void)state;
    test_memory_grant(0);
    assert_null(qvk__arena_alloc(&arena, 1, 8));
    assert_null(qvk__arena_strdup(&arena, "text"));
    assert_null(qvk__arena_strndup(&arena, "text", 2));
    assert_null(qvk__arena_printf(&arena, "%d", 1));
    assert_null(qvk__arena_memdup(&arena, "x", 1));
    assert_int_equal(test_memory_grant_all(), 5);
    assert_string_equal(qvk__arena_strdup(&arena, "text"), "text");
    qvk__arena_free(&arena);
}

static void vector_keeps_what_it_has(void **state)
{
    QVK__VEC(int) numbers = {0};

    (void)state;
    assert_true(QVK__VEC_PUSH(&numbers, 7));
    test_memory_grant(0);
    while (QVK__VEC_PUSH(&numbers, 8))
        ;
    assert_int_equal(test_memory_grant_all(), 1);
    assert_int_equal(numbers.count, numbers.capacity);
    assert_int_equal(numbers.data[0], 7);
    assert_true(QVK__VEC_PUSH(&numbers, 9));
    assert_int_equal(numbers.data[numbers.count - 1], 9);
    free(numbers.data);
}

static void builder_remembers_the_failure(void **state)
{
    qvk__string string = {0};

    (void)state;
    qvk__string_add(&string, "kept");
    test_memory_grant(0);
    for (int i = 0; i < 100 && !string.failed; i++)
        qvk__string_addf(&string, "%s", "more");
    test_memory_grant_all();
    assert_true(string.failed);
    qvk__string_add(&string, "late"); /* memory is back, but the text has a hole */
    assert_null(strstr(string.data, "late"));
    assert_true(qvk__starts_with(string.data, "kept"));
    free(string.data);
}

static void map_keeps_what_it_has(void **state)
{
    enum { N = 200 };
    static char keys[N][8];
    qvk__map map = {0};
    int64_t value;
    int n = 0;

    (void)state;
    for (int i = 0; i < N; i++)
        snprintf(keys[i], sizeof keys[i], "k%d", i);
    test_memory_grant(1);
    while (n < N && qvk__map_set(&map, keys[n], n))
        n++;
    assert_true(test_memory_grant_all() > 0);
    assert_true(n > 0 && n < N);
    for (int i = 0; i < n; i++) {
        assert_true(qvk__map_get(&map, keys[i], &value));
        assert_int_equal(value, i);
    }
    assert_false(qvk__map_get(&map, keys[n], &value));
    assert_true(qvk__map_set(&map, keys[n], n));
    qvk__map_free(&map);
}

static void writing_a_file_fails_whole(void **state)
{
    char *dir = test_temp_dir(), *path = test_path(dir, "out.pte");

    (void)state;
    for (long n = 0, refused = 1; refused > 0; n++) {
        qvk_error err;
        test_memory_grant(n);
        const qvk_status status = qvk__file_write(path, "bytes", 5, &err);
        refused = test_memory_grant_all();
        assert_int_equal(status, refused ? QVK_OUT_OF_MEMORY : QVK_OK);
        assert_int_equal(access(path, F_OK), refused ? -1 : 0);
    }
    free(path);
    test_temp_dir_remove(&dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arena_returns_null_and_goes_on), cmocka_unit_test(vector_keeps_what_it_has),
        cmocka_unit_test(builder_remembers_the_failure),  cmocka_unit_test(map_keeps_what_it_has),
        cmocka_unit_test(writing_a_file_fails_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
