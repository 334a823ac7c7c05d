/* Damaged programs: each a status with a message, never a crash. The sanitizers see any byte read beyond the
 * file. */
#include "program_compare.h"

#include <stdio.h>

enum { HEAD_BYTES = 64, SAMPLES = 2000 };

typedef struct loaded_file {
    uint8_t *data;
    size_t n;
} loaded_file;

static loaded_file load_golden(const char *name)
{
    char leaf[128], *path;
    loaded_file file;

    snprintf(leaf, sizeof leaf, "programs/%s.pte", name);
    path = test_golden_path(leaf);
    file.data = test_read_file(path, &file.n);
    free(path);
    return file;
}

/* Reads bytes that lie in memory of exactly their size; whatever is accepted must also print. */
static qvk_status read_exactly(const uint8_t *data, size_t n, qvk_error *err)
{
    uint8_t *exact = malloc(n ? n : 1);
    qvk__string text = {0};
    qvk__program program;
    qvk_status status;

    assert_non_null(exact);
    memcpy(exact, data, n);
    status = qvk__program_read_bytes(exact, n, "damaged.pte", &program, err);
    if (status == QVK_OK) {
        qvk__program_print(&program, true, &text);
        qvk__program_print_json(&program, true, &text);
        qvk__program_finish(&program);
        free(text.data);
    } else if (strncmp(err->message, "damaged.pte: ", 13) != 0) {
        fail_msg("\"%s\" does not name the file", err->message);
    }
    free(exact);
    return status;
}

static void truncated_files_are_refused(void **state)
{
    (void)state;
    for (int i = 0; golden_programs[i]; i++) {
        loaded_file file = load_golden(golden_programs[i]);
        qvk_error err;
        for (size_t n = 0; n < file.n; n += 64)
            assert_int_not_equal(read_exactly(file.data, n, &err), QVK_OK);
        free(file.data);
    }
}

static void flip_and_read(loaded_file *file, size_t at, uint8_t mask)
{
    qvk_error err;

    file->data[at] ^= mask;
    read_exactly(file->data, file->n, &err);
    file->data[at] ^= mask;
}

/* The first bytes of the .pte and of its delegates' blobs, which start with a zero word and "VH00". */
static void flipped_headers_are_survived(void **state)
{
    (void)state;
    for (int i = 0; golden_programs[i]; i++) {
        loaded_file file = load_golden(golden_programs[i]);
        for (size_t at = 0; at < file.n; at++) {
            bool in_head = at < HEAD_BYTES;
            for (size_t back = 0; back < HEAD_BYTES && back <= at && !in_head; back++)
                in_head = at - back + 8 <= file.n && memcmp(file.data + at - back + 4, "VH00", 4) == 0;
            if (!in_head)
                continue;
            flip_and_read(&file, at, 0x01);
            flip_and_read(&file, at, 0x80);
            flip_and_read(&file, at, 0xff);
        }
        free(file.data);
    }
}

static void flipped_bytes_elsewhere_are_survived(void **state)
{
    (void)state;
    test_rng rng = test_rng_seed(11);

    for (int i = 0; golden_programs[i]; i++) {
        loaded_file file = load_golden(golden_programs[i]);
        for (int sample = 0; sample < SAMPLES; sample++)
            flip_and_read(&file, (size_t)test_rng_range(&rng, 0, (int64_t)file.n - 1),
                          (uint8_t)test_rng_range(&rng, 1, 255));
        free(file.data);
    }
}

/* ---- particular damage --------------------------------------------------------------------------------- */

static void expect(const loaded_file *file, qvk_status status, const char *words)
{
    qvk_error err;
    qvk_status got = read_exactly(file->data, file->n, &err);

    if (got != status)
        fail_msg("%s instead of %s (%s)", qvk_status_name(got), qvk_status_name(status), words);
    if (!strstr(err.message, words))
        fail_msg("\"%s\" does not say \"%s\"", err.message, words);
}

static void headers_are_checked(void **state)
{
    (void)state;
    loaded_file file = load_golden("linear_4w");
    const uint64_t huge = (uint64_t)1 << 60;

    memcpy(file.data + 4, "ET13", 4);
    expect(&file, QVK_BAD_VERSION, "ET13");
    memcpy(file.data + 4, "GGUF", 4);
    expect(&file, QVK_BAD_FORMAT, "not a .pte");
    memcpy(file.data + 4, "ET12", 4);
    memcpy(file.data + 16, &huge, sizeof huge);
    expect(&file, QVK_BAD_FORMAT, "truncated");
    free(file.data);

    file = load_golden("linear_4w");
    memcpy(file.data + 32, &huge, sizeof huge);
    expect(&file, QVK_BAD_FORMAT, "truncated");
    free(file.data);

    file = load_golden("linear_4w");
    file.n -= 1;
    expect(&file, QVK_BAD_FORMAT, "truncated");
    free(file.data);
}

static void missing_and_odd_files_are_named(void **state)
{
    (void)state;
    char *dir = test_temp_dir(), *path = test_path(dir, "no such.pte");
    qvk__program program;
    qvk_error err;

    assert_int_equal(qvk__program_read(path, NULL, 0, &program, &err), QVK_NOT_FOUND);
    assert_non_null(strstr(err.message, "no such.pte"));
    assert_int_equal(qvk__program_read(dir, NULL, 0, &program, &err), QVK_IO);
    test_write_file(path, "", 0);
    assert_int_equal(qvk__program_read(path, NULL, 0, &program, &err), QVK_BAD_FORMAT);
    free(path);
    test_temp_dir_remove(&dir);
}

static void unaligned_bytes_are_read_all_the_same(void **state)
{
    (void)state;
    loaded_file file = load_golden("static_conv");
    uint8_t *shifted = malloc(file.n + 1);
    qvk__program program, straight;

    assert_non_null(shifted);
    memcpy(shifted + 1, file.data, file.n);
    assert_int_equal(qvk__program_read_bytes(shifted + 1, file.n, "shifted.pte", &program, NULL), QVK_OK);
    read_golden_program("static_conv", &straight);
    assert_programs_equal(&straight, &program);
    qvk__program_finish(&program);
    qvk__program_finish(&straight);
    free(shifted);
    free(file.data);
}

/* ---- out of memory ------------------------------------------------------------------------------------- */

static void each_allocation_may_fail_while_reading(void **state)
{
    (void)state;
    static const char *const names[] = {"buffer_alias", "outside_lists", "outside_channels_last",
                                        "static_linear"};

    for (size_t i = 0; i < QVK__COUNT(names); i++) {
        loaded_file file = load_golden(names[i]);
        long refused = 1;
        for (long n = 0; refused > 0; n++) {
            qvk__program program;
            qvk_status status;
            test_memory_grant(n);
            status = qvk__program_read_bytes(file.data, file.n, "small.pte", &program, NULL);
            refused = test_memory_grant_all();
            assert_int_equal(status, refused ? QVK_OUT_OF_MEMORY : QVK_OK);
            if (status == QVK_OK)
                qvk__program_finish(&program);
        }
        free(file.data);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(truncated_files_are_refused),
        cmocka_unit_test(flipped_headers_are_survived),
        cmocka_unit_test(flipped_bytes_elsewhere_are_survived),
        cmocka_unit_test(headers_are_checked),
        cmocka_unit_test(missing_and_odd_files_are_named),
        cmocka_unit_test(unaligned_bytes_are_read_all_the_same),
        cmocka_unit_test(each_allocation_may_fail_while_reading),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
