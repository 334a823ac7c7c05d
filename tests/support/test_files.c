#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "support/support.h"

char *test_path(const char *dir, const char *name)
{
    const size_t n = strlen(dir) + strlen(name) + 2;
    char *path = malloc(n);
    assert_non_null(path);
    snprintf(path, n, "%s/%s", dir, name);
    return path;
}

char *test_temp_dir(void)
{
    const char *base = getenv("TMPDIR");
    char *dir = test_path(base != NULL && *base != '\0' ? base : "/tmp", "qvk-test-XXXXXX");
    if (mkdtemp(dir) == NULL)
        fail_msg("%s: %s", dir, strerror(errno));
    return dir;
}

static int remove_entry(const char *path, const struct stat *info, int kind, struct FTW *place)
{
    (void)info;
    (void)kind;
    (void)place;
    return remove(path);
}

void test_temp_dir_remove(char **dir)
{
    if (*dir == NULL)
        return;
    nftw(*dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    free(*dir);
    *dir = NULL;
}

char *test_golden_path(const char *name)
{
    return test_path(QVK_TEST_GOLDEN_DIR, name);
}

uint8_t *test_read_file(const char *path, size_t *n_bytes)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        fail_msg("%s: %s", path, strerror(errno));
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    const long size = ftell(file);
    assert_true(size >= 0);
    rewind(file);
    uint8_t *data = malloc((size_t)size + 1);
    assert_non_null(data);
    assert_int_equal(fread(data, 1, (size_t)size, file), (size_t)size);
    fclose(file);
    data[size] = 0;
    *n_bytes = (size_t)size;
    return data;
}

void test_write_file(const char *path, const void *data, size_t n_bytes)
{
    FILE *file = fopen(path, "wb");
    if (file == NULL)
        fail_msg("%s: %s", path, strerror(errno));
    assert_int_equal(fwrite(data, 1, n_bytes, file), n_bytes);
    assert_int_equal(fclose(file), 0);
}
