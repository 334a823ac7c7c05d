/* The pipeline cache on disk: kept, shared, and never trusted. */
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gpu/gpu_vulkan.h"
#include "gpu_fixture.h"

/* Log lines that say a cache was ignored. */
static int ignored;
static char last_ignored[300];

static void count_ignored(void *user, int level, const char *message)
{
    (void)user;
    if (level == 1 && strstr(message, "ignored")) {
        ignored++;
        snprintf(last_ignored, sizeof last_ignored, "%s", message);
    }
}

static qvk__gpu *open_with_cache(const char *dir)
{
    vulkan_proxy_reset();
    ignored = 0;
    return gpu_open(&(qvk__gpu_params){.cache_dir = dir, .log = count_ignored});
}

/* Makes pipelines of `n` group sizes from `first` and saves. */
static void use_and_save(qvk__gpu *gpu, uint32_t first, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        gpu_fill_pipeline(gpu, first + i);
    assert_ok(qvk__gpu_cache_save(gpu, &test_err));
}

static void cache_file(qvk__gpu *gpu, char path[1024])
{
    assert_ok(qvk__gpu_cache_path(gpu, "pipelines", path, 1024, &test_err));
}

/* ---- tests --------------------------------------------------------------------------------------------- */

static void it_is_written_once_and_read_again(void **state)
{
    (void)state;
    char path[1024];
    struct stat first, second;
    char *root = test_temp_dir();
    char *dir = test_path(root, "made/on/demand");
    qvk__gpu *gpu = open_with_cache(dir);
    cache_file(gpu, path);
    assert_true(strncmp(path, dir, strlen(dir)) == 0);
    assert_int_equal(stat(path, &first), -1);
    assert_ok(qvk__gpu_cache_save(gpu, &test_err)); /* nothing was made: nothing is written */
    assert_int_equal(stat(dir, &first), -1);
    use_and_save(gpu, 16, 3);
    assert_int_equal(stat(path, &first), 0);
    assert_ok(qvk__gpu_cache_save(gpu, &test_err)); /* nothing new */
    assert_int_equal(stat(path, &second), 0);
    assert_int_equal(first.st_ino, second.st_ino);
    use_and_save(gpu, 32, 1);
    assert_int_equal(stat(path, &second), 0);
    assert_int_not_equal(first.st_ino, second.st_ino); /* replaced, not rewritten in place */
    gpu_close(&gpu);

    gpu = open_with_cache(dir);
    assert_int_equal(vulkan_proxy_calls("vkCreatePipelineCache"), 1); /* the file's, no empty one */
    use_and_save(gpu, 16, 3);
    assert_int_equal(vulkan_proxy_calls("vkMergePipelineCaches"), 1);
    assert_int_equal(ignored, 0);
    gpu_close(&gpu);
    free(dir);
    test_temp_dir_remove(&root);
}

static void without_a_folder_nothing_is_kept(void **state)
{
    (void)state;
    char path[1024] = "?";
    qvk__gpu *gpu = open_with_cache(NULL);
    cache_file(gpu, path);
    assert_string_equal(path, "");
    use_and_save(gpu, 16, 1);
    assert_int_equal(vulkan_proxy_calls("vkGetPipelineCacheData"), 0);
    gpu_close(&gpu);
}

typedef struct damage {
    const char *name, *reason;
    long offset; /* of the byte that is changed; -1: a byte is added to the file */
} damage;

/* Our header: magic 8, bytes 8, checksum 8; the driver's: bytes 4, version 4, vendor 4, device 4, uuid 16. */
static const damage damages[] = {
    {"magic", "no pipeline cache", 0},
    {"size", "damaged", 9},
    {"checksum", "damaged", 17},
    {"driver's header", "damaged", 24},
    {"last byte of the header", "damaged", 55},
    {"a byte too many", "damaged", -1},
};

static void damaged_files_are_ignored(void **state)
{
    (void)state;
    char path[1024];
    char *dir = test_temp_dir();
    qvk__gpu *gpu = open_with_cache(dir);
    cache_file(gpu, path);
    use_and_save(gpu, 16, 2);
    gpu_close(&gpu);
    for (size_t i = 0; i < QVK__COUNT(damages); i++) {
        size_t bytes;
        uint8_t *good = test_read_file(path, &bytes);
        uint8_t *bad = calloc(bytes + 1, 1);
        memcpy(bad, good, bytes);
        if (damages[i].offset >= 0)
            bad[damages[i].offset] ^= 0x40;
        test_write_file(path, bad, bytes + (damages[i].offset < 0 ? 1 : 0));
        gpu = open_with_cache(dir);
        if (ignored != 1 || !strstr(last_ignored, damages[i].reason))
            fail_msg("%s: %d ignored; %s", damages[i].name, ignored, last_ignored);
        gpu_fill_pipeline(gpu, 16); /* works all the same */
        gpu_close(&gpu);
        test_write_file(path, good, bytes);
        free(good);
        free(bad);
    }
    test_temp_dir_remove(&dir);
}

/* Intact by our checksum, but of another driver: must not reach this one. */
static void a_stale_file_is_ignored(void **state)
{
    (void)state;
    char path[1024];
    char *dir = test_temp_dir();
    qvk__gpu *gpu = open_with_cache(dir);
    cache_file(gpu, path);
    use_and_save(gpu, 16, 1);
    gpu_close(&gpu);
    static const size_t fields[] = {0, 4, 8, 12, 16, 31}; /* of the driver's header */
    for (size_t i = 0; i < QVK__COUNT(fields); i++) {
        size_t bytes;
        uint8_t *file = test_read_file(path, &bytes);
        file[24 + fields[i]] ^= 0x80;
        uint64_t checksum = qvk__hash64(file + 24, bytes - 24, 0);
        memcpy(file + 16, &checksum, sizeof checksum);
        test_write_file(path, file, bytes);
        gpu = open_with_cache(dir);
        assert_int_equal(ignored, 1);
        assert_non_null(strstr(last_ignored, "another driver"));
        use_and_save(gpu, 16, 1); /* and is replaced by a good one */
        gpu_close(&gpu);
        gpu = open_with_cache(dir);
        assert_int_equal(ignored, 0);
        gpu_close(&gpu);
        free(file);
    }
    test_temp_dir_remove(&dir);
}

static void tiny_and_empty_files_are_ignored(void **state)
{
    (void)state;
    char path[1024];
    char *dir = test_temp_dir();
    qvk__gpu *gpu = open_with_cache(dir);
    cache_file(gpu, path);
    gpu_close(&gpu);
    static const size_t sizes[] = {0, 1, 8, 24, 55};
    const uint8_t zeros[64] = "QVKPIPE1";
    for (size_t i = 0; i < QVK__COUNT(sizes); i++) {
        test_write_file(path, zeros, sizes[i]);
        gpu = open_with_cache(dir);
        assert_int_equal(ignored, 1);
        gpu_close(&gpu);
    }
    test_temp_dir_remove(&dir);
}

/* A folder that cannot be written to: an error of saving, and of nothing else. */
static void an_unwritable_folder_is_an_io_error(void **state)
{
    (void)state;
    char *root = test_temp_dir();
    char *file = test_path(root, "a_file");
    char *dir = test_path(root, "a_file/below");
    test_write_file(file, "x", 1);
    qvk__gpu *gpu = open_with_cache(dir);
    gpu_fill_pipeline(gpu, 16);
    assert_status(qvk__gpu_cache_save(gpu, &test_err), QVK_IO);
    assert_non_null(strstr(test_err.message, "a_file"));
    assert_status(qvk__gpu_cache_save(gpu, &test_err), QVK_IO); /* still unsaved */
    gpu_close(&gpu);

    if (geteuid() != 0) {
        char *locked = test_path(root, "locked");
        assert_int_equal(mkdir(locked, 0500), 0);
        gpu = open_with_cache(locked);
        gpu_fill_pipeline(gpu, 16);
        assert_status(qvk__gpu_cache_save(gpu, &test_err), QVK_IO);
        gpu_close(&gpu);
        free(locked);
    }
    free(dir);
    free(file);
    test_temp_dir_remove(&root);
}

static void too_long_a_folder_is_refused(void **state)
{
    (void)state;
    char dir[2000];
    qvk__gpu *gpu = NULL;
    memset(dir, 'x', sizeof dir);
    dir[sizeof dir - 1] = '\0';
    vulkan_proxy_reset();
    const qvk__gpu_params params = {.vk_get_instance_proc_addr = vulkan_proxy_loader(), .cache_dir = dir};
    assert_status(qvk__gpu_create(&params, &gpu, &test_err), QVK_INVALID_ARGUMENT);
    assert_int_equal(vulkan_proxy_alive(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_written_once_and_read_again),
        cmocka_unit_test(without_a_folder_nothing_is_kept),
        cmocka_unit_test(damaged_files_are_ignored),
        cmocka_unit_test(a_stale_file_is_ignored),
        cmocka_unit_test(tiny_and_empty_files_are_ignored),
        cmocka_unit_test(an_unwritable_folder_is_an_io_error),
        cmocka_unit_test(too_long_a_folder_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
