/* Mapped reading and whole-or-nothing writing: src/base/file.c. */
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/base.h"
#include "support/support.h"

typedef struct scratch {
    char *dir, *path;
} scratch;

static int make_scratch(void **state)
{
    scratch *place = calloc(1, sizeof *place);

    assert_non_null(place);
    place->dir = test_temp_dir();
    place->path = test_path(place->dir, "model.pte");
    *state = place;
    return 0;
}

static int remove_scratch(void **state)
{
    scratch *place = *state;

    test_temp_dir_remove(&place->dir);
    free(place->path);
    free(place);
    return 0;
}

static void assert_file_is(const char *path, const void *expected, size_t n_bytes)
{
    size_t n;
    uint8_t *data = test_read_file(path, &n);

    assert_int_equal(n, n_bytes);
    assert_memory_equal(data, expected, n_bytes);
    free(data);
}

/* Entries of the folder: a temporary file left behind would be one too many. */
static int count_files(const char *dir)
{
    DIR *entries = opendir(dir);
    struct dirent *entry;
    int n = 0;

    assert_non_null(entries);
    while ((entry = readdir(entries)) != NULL)
        n += entry->d_name[0] != '.';
    closedir(entries);
    return n;
}

static void map_shows_the_bytes(void **state)
{
    scratch *place = *state;
    qvk__file file = {0};

    test_write_file(place->path, "VK00 bytes", 10);
    assert_int_equal(qvk__file_map(place->path, &file, NULL), QVK_OK);
    assert_true(file.bytes == 10);
    assert_memory_equal(file.data, "VK00 bytes", 10);
    qvk__file_unmap(&file);
    assert_null(file.data);
    assert_true(file.bytes == 0);
    qvk__file_unmap(&file); /* nothing left to do */
}

static void mapped_bytes_are_copied(void **state)
{
    scratch *place = *state;
    static const char other[] = "not of the file";
    const void *out = NULL;
    char buffer[4];
    qvk__file file;
    qvk_error err;

    assert_int_equal(qvk__file_write(place->path, "0123456789", 10, NULL), QVK_OK);
    assert_int_equal(qvk__file_map(place->path, &file, NULL), QVK_OK);
    assert_int_equal(qvk__file_read(&file, file.data + 6, 4, buffer, &out, NULL), QVK_OK);
    assert_ptr_equal(out, buffer);
    assert_memory_equal(buffer, "6789", 4);
    assert_int_equal(qvk__file_read(&file, other, 4, buffer, &out, NULL), QVK_OK);
    assert_ptr_equal(out, other); /* left where they are */
    assert_int_equal(qvk__file_read(&file, file.data + 7, 4, buffer, &out, NULL), QVK_OK);
    assert_ptr_equal(out, file.data + 7); /* as one byte is not of the file */
    assert_int_equal(truncate(place->path, 8), 0);
    assert_int_equal(qvk__file_read(&file, file.data + 6, 4, buffer, &out, &err), QVK_IO);
    assert_string_equal(err.message, "the file has become shorter");
    qvk__file_unmap(&file);
    assert_int_equal(qvk__file_read(&file, other, 4, buffer, &out, NULL), QVK_OK);
    assert_ptr_equal(out, other);
}

/* Bytes in memory of the mapping that starts at `data`; -1 where /proc does not tell. */
static long resident(const void *data)
{
    FILE *maps = fopen("/proc/self/smaps", "r");
    char line[512], start[32];
    bool found = false;
    long kib = -1;

    snprintf(start, sizeof start, "%llx-", (unsigned long long)(uintptr_t)data);
    while (maps && kib < 0 && fgets(line, sizeof line, maps)) {
        if (!found)
            found = strncmp(line, start, strlen(start)) == 0;
        else
            sscanf(line, "Rss: %ld", &kib);
    }
    if (maps)
        fclose(maps);
    return kib < 0 ? -1 : kib * 1024;
}

static void mapped_bytes_are_let_go(void **state)
{
    enum { BYTES = 1 << 20, HALF = BYTES / 2, FAULT = 1 << 16 };
    scratch *place = *state;
    uint8_t *bytes = malloc(BYTES);
    qvk__file file, none = {0};

    assert_non_null(bytes);
    for (size_t i = 0; i < BYTES; i++)
        bytes[i] = (uint8_t)(i * 7 + i / 251);
    test_write_file(place->path, bytes, BYTES);
    assert_int_equal(qvk__file_map(place->path, &file, NULL), QVK_OK);
    assert_memory_equal(file.data, bytes, BYTES);
    if (resident(file.data) < 0) {
        qvk__file_unmap(&file);
        free(bytes);
        skip();
    }
    assert_int_equal(resident(file.data), BYTES);
    qvk__file_let_go(&file, file.data + 5, HALF);
    assert_in_range(resident(file.data), HALF, HALF + FAULT);
    qvk__file_let_go(&file, file.data + HALF, HALF); /* up to the end of the file */
    assert_int_equal(resident(file.data), 0);
    assert_memory_equal(file.data, bytes, BYTES);        /* from the file again */
    qvk__file_let_go(&file, file.data + HALF, HALF + 1); /* one byte is not of the file */
    assert_int_equal(resident(file.data), BYTES);
    qvk__file_let_go(&file, bytes, BYTES); /* memory keeps what is in it */
    qvk__file_let_go(&none, bytes, BYTES);
    assert_memory_equal(file.data, bytes, BYTES);
    qvk__file_unmap(&file);
    free(bytes);
}

static void map_of_an_empty_file_is_empty(void **state)
{
    scratch *place = *state;
    qvk__file file = {.bytes = 99};

    test_write_file(place->path, "", 0);
    assert_int_equal(qvk__file_map(place->path, &file, NULL), QVK_OK);
    assert_null(file.data);
    assert_true(file.bytes == 0);
    qvk__file_unmap(&file);
}

static void map_says_what_it_cannot_open(void **state)
{
    scratch *place = *state;
    qvk__file file = {.bytes = 99};
    qvk_error err;

    assert_int_equal(qvk__file_map(place->path, &file, &err), QVK_NOT_FOUND);
    assert_non_null(strstr(err.message, place->path));
    assert_int_equal(qvk__file_map(place->dir, &file, &err), QVK_IO);
    assert_non_null(strstr(err.message, place->dir));
    assert_true(file.bytes == 99); /* untouched on failure */
}

static void writer_makes_the_file_at_commit_only(void **state)
{
    scratch *place = *state;
    qvk__writer writer;

    assert_int_equal(qvk__writer_open(place->path, &writer, NULL), QVK_OK);
    assert_int_equal(qvk__writer_add(&writer, "head", 4, NULL), QVK_OK);
    assert_int_equal(access(place->path, F_OK), -1);
    assert_int_equal(qvk__writer_pad(&writer, 16, NULL), QVK_OK);
    assert_true(writer.position == 16);
    assert_int_equal(qvk__writer_pad(&writer, 16, NULL), QVK_OK);
    assert_true(writer.position == 16);
    assert_int_equal(qvk__writer_add(&writer, "tail", 4, NULL), QVK_OK);
    assert_int_equal(qvk__writer_commit(&writer, NULL), QVK_OK);
    assert_file_is(place->path, "head\0\0\0\0\0\0\0\0\0\0\0\0tail", 20);
    qvk__writer_abandon(&writer); /* safe after commit */
    assert_int_equal(access(place->path, F_OK), 0);
    assert_int_equal(count_files(place->dir), 1);
}

static void writer_takes_pieces_of_any_size(void **state)
{
    static const size_t pieces[] = {1, 4095, 3 << 20, 7, 1 << 20, (1 << 20) - 1, 1 << 20, 2, 0, 5 << 18};
    scratch *place = *state;
    test_rng rng = test_rng_seed(2);
    size_t total = 0, done = 0;
    qvk__writer writer;
    uint8_t *data;

    for (size_t i = 0; i < QVK__COUNT(pieces); i++)
        total += pieces[i];
    data = malloc(total);
    assert_non_null(data);
    test_rng_fill_bytes(&rng, data, total);
    assert_int_equal(qvk__writer_open(place->path, &writer, NULL), QVK_OK);
    for (size_t i = 0; i < QVK__COUNT(pieces); i++) {
        assert_int_equal(qvk__writer_add(&writer, data + done, pieces[i], NULL), QVK_OK);
        done += pieces[i];
        assert_true(writer.position == done);
    }
    assert_int_equal(qvk__writer_commit(&writer, NULL), QVK_OK);
    assert_file_is(place->path, data, total);
    free(data);
}

static void skipped_bytes_are_given_later(void **state)
{
    scratch *place = *state;
    qvk__writer writer;

    assert_int_equal(qvk__writer_open(place->path, &writer, NULL), QVK_OK);
    assert_int_equal(qvk__writer_add(&writer, "head:", 5, NULL), QVK_OK);
    assert_int_equal(qvk__writer_skip(&writer, 6, NULL), QVK_OK);
    assert_true(writer.position == 11);
    assert_int_equal(qvk__writer_patch(&writer, 8, "def", 3, NULL), QVK_OK);
    assert_int_equal(qvk__writer_patch(&writer, 5, "abc", 3, NULL), QVK_OK);
    assert_int_equal(qvk__writer_add(&writer, ":tail", 5, NULL), QVK_OK);
    assert_int_equal(qvk__writer_patch(&writer, 0, "HEAD", 4, NULL), QVK_OK);
    assert_int_equal(qvk__writer_patch(&writer, 15, "xx", 2, NULL), QVK_INTERNAL); /* past the end */
    assert_int_equal(qvk__writer_commit(&writer, NULL), QVK_OK);
    assert_file_is(place->path, "HEAD:abcdef:tail", 16);
}

static void abandoned_writer_leaves_the_old_file(void **state)
{
    scratch *place = *state;
    qvk__writer writer;

    test_write_file(place->path, "old", 3);
    assert_int_equal(qvk__writer_open(place->path, &writer, NULL), QVK_OK);
    assert_int_equal(qvk__writer_add(&writer, "new", 3, NULL), QVK_OK);
    qvk__writer_abandon(&writer);
    qvk__writer_abandon(&writer);
    assert_file_is(place->path, "old", 3);
    assert_int_equal(count_files(place->dir), 1);
}

static void failed_write_leaves_the_old_file(void **state)
{
    enum { LIMIT = 1 << 20, WANTED = 4 << 20 };
    scratch *place = *state;
    struct rlimit old, small;
    uint8_t *data = calloc(WANTED, 1);
    qvk_status status;
    qvk_error err;

    assert_non_null(data);
    test_write_file(place->path, "old", 3);
    /* A file size limit stands for a full disk: write() fails half-way. */
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    small = old;
    small.rlim_cur = LIMIT;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    status = qvk__file_write(place->path, data, WANTED, &err);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    signal(SIGXFSZ, SIG_DFL);

    assert_int_equal(status, QVK_IO);
    assert_non_null(strstr(err.message, place->path));
    assert_file_is(place->path, "old", 3);
    assert_int_equal(count_files(place->dir), 1);
    free(data);
}

static void failed_commit_leaves_nothing_behind(void **state)
{
    scratch *place = *state;
    char *child;
    qvk_error err;

    /* A folder that is not empty cannot be replaced by a file. */
    assert_int_equal(mkdir(place->path, 0700), 0);
    child = test_path(place->path, "child");
    test_write_file(child, "kept", 4);
    assert_int_equal(qvk__file_write(place->path, "new", 3, &err), QVK_IO);
    assert_non_null(strstr(err.message, place->path));
    assert_file_is(child, "kept", 4);
    assert_int_equal(count_files(place->dir), 1);
    free(child);
}

static void open_says_where_it_cannot_write(void **state)
{
    scratch *place = *state;
    char *path = test_path(place->path, "below/nothing");
    qvk_error err;

    assert_int_equal(qvk__file_write(path, "x", 1, &err), QVK_IO);
    assert_non_null(strstr(err.message, path));
    free(path);
}

static void whole_file_replaces_the_old_one(void **state)
{
    scratch *place = *state;

    test_write_file(place->path, "something longer", 16);
    assert_int_equal(qvk__file_write(place->path, "new", 3, NULL), QVK_OK);
    assert_file_is(place->path, "new", 3);
    assert_int_equal(qvk__file_write(place->path, NULL, 0, NULL), QVK_OK);
    assert_file_is(place->path, "", 0);
}

static void two_writers_of_one_path_do_not_disturb_each_other(void **state)
{
    scratch *place = *state;
    qvk__writer first, second;

    assert_int_equal(qvk__writer_open(place->path, &first, NULL), QVK_OK);
    assert_int_equal(qvk__writer_open(place->path, &second, NULL), QVK_OK);
    assert_int_equal(qvk__writer_add(&first, "first", 5, NULL), QVK_OK);
    assert_int_equal(qvk__writer_add(&second, "second", 6, NULL), QVK_OK);
    assert_int_equal(qvk__writer_commit(&second, NULL), QVK_OK);
    assert_file_is(place->path, "second", 6);
    assert_int_equal(qvk__writer_commit(&first, NULL), QVK_OK);
    assert_file_is(place->path, "first", 5);
    assert_int_equal(count_files(place->dir), 1);
}

static void clock_goes_forward(void **state)
{
    const uint64_t start = qvk__clock_ns();

    (void)state;
    usleep(1000);
    assert_true(qvk__clock_ns() - start >= 1000000);
}

#define WITH_SCRATCH(test) cmocka_unit_test_setup_teardown(test, make_scratch, remove_scratch)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_SCRATCH(map_shows_the_bytes),
        WITH_SCRATCH(mapped_bytes_are_copied),
        WITH_SCRATCH(mapped_bytes_are_let_go),
        WITH_SCRATCH(map_of_an_empty_file_is_empty),
        WITH_SCRATCH(map_says_what_it_cannot_open),
        WITH_SCRATCH(writer_makes_the_file_at_commit_only),
        WITH_SCRATCH(writer_takes_pieces_of_any_size),
        WITH_SCRATCH(skipped_bytes_are_given_later),
        WITH_SCRATCH(abandoned_writer_leaves_the_old_file),
        WITH_SCRATCH(failed_write_leaves_the_old_file),
        WITH_SCRATCH(failed_commit_leaves_nothing_behind),
        WITH_SCRATCH(open_says_where_it_cannot_write),
        WITH_SCRATCH(whole_file_replaces_the_old_one),
        WITH_SCRATCH(two_writers_of_one_path_do_not_disturb_each_other),
        cmocka_unit_test(clock_goes_forward),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
