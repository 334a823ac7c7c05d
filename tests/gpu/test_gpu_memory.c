/* Buffers, uploads and downloads on the device the test meets, in all its variants (gpu_fixture.h). */
#include "gpu_fixture.h"

static void uploads_of_every_size_arrive(void **state)
{
    (void)state;
    qvk__gpu *gpu = gpu_open_variant();
    const uint64_t chunk = qvk__gpu_upload_chunk(gpu);
    const uint64_t sizes[] = {1, 3, 4, 4099, chunk - 1, chunk, chunk + 1, 3 * chunk + 5};
    const uint64_t most = 3 * chunk + 5 + 16;
    uint8_t *source = malloc(most), *result = malloc(most);
    assert_true(source && result);
    test_rng rng = test_rng_seed(1);
    test_rng_fill_bytes(&rng, source, most);
    qvk__gpu_buffer buffer = gpu_buffer(gpu, QVK__GPU_MEMORY_DEVICE, most);
    qvk__gpu_type type = qvk__gpu_caps_of(gpu)->type;
    if (type == QVK__GPU_DISCRETE)
        assert_null(buffer.mapped);
    if (type == QVK__GPU_CPU)
        assert_non_null(buffer.mapped);
    for (size_t i = 0; i < QVK__COUNT(sizes); i++) {
        uint64_t offset = i % 5;
        assert_ok(qvk__gpu_upload(gpu, &buffer, offset, source + i, sizes[i], &test_err));
        assert_ok(qvk__gpu_upload_flush(gpu, &test_err));
        assert_ok(qvk__gpu_download(gpu, &buffer, offset, result, sizes[i], &test_err));
        assert_memory_equal(result, source + i, sizes[i]);
    }
    assert_ok(qvk__gpu_upload(gpu, &buffer, 0, source, 0, &test_err)); /* nothing is fine */
    assert_status(qvk__gpu_upload(gpu, &buffer, 17, source, most, &test_err), QVK_INVALID_ARGUMENT);
    assert_status(qvk__gpu_download(gpu, &buffer, most + 100, result, 1, &test_err), QVK_INVALID_ARGUMENT);
    void *span;
    assert_status(qvk__gpu_upload_begin(gpu, &buffer, 0, chunk + 1, &span, &test_err), QVK_INVALID_ARGUMENT);
    qvk__gpu_buffer_destroy(gpu, &buffer);
    free(source);
    free(result);
    gpu_close(&gpu);
    /* Ring and read-back buffer, but no second copy of the data. */
    assert_true(vulkan_proxy_memory_peak() < most + (64u << 20));
}

/* Spans of one half, without a flush: the last word counts, and submits see it. */
static void uploads_keep_their_order(void **state)
{
    (void)state;
    enum { COUNT = 64 };
    uint32_t words[COUNT];
    qvk__gpu *gpu = gpu_open_variant();
    qvk__gpu_buffer buffer = gpu_buffer(gpu, QVK__GPU_MEMORY_DEVICE, sizeof words);
    qvk__gpu_buffer other = gpu_buffer(gpu, QVK__GPU_MEMORY_READBACK, sizeof words);
    qvk__gpu_recording *recording = gpu_recording(gpu, 0);
    assert_ok(qvk__gpu_record_begin(recording, &test_err));
    qvk__gpu_record_copy(recording, gpu_whole(&buffer), gpu_whole(&other));
    assert_ok(qvk__gpu_record_end(recording, &test_err));
    for (uint32_t round = 0; round < 8; round++) {
        for (uint32_t i = 0; i < COUNT; i++)
            words[i] = round * 1000 + i;
        assert_ok(qvk__gpu_upload(gpu, &buffer, 0, words, sizeof words, &test_err));
        words[5] = 77;
        assert_ok(qvk__gpu_upload(gpu, &buffer, 20, &words[5], 4, &test_err));
        assert_ok(qvk__gpu_submit(gpu, recording, &test_err));
        assert_ok(qvk__gpu_wait(gpu, recording, &test_err));
        assert_memory_equal(other.mapped, words, sizeof words);
    }
    qvk__gpu_recording_destroy(gpu, &recording);
    qvk__gpu_buffer_destroy(gpu, &other);
    qvk__gpu_buffer_destroy(gpu, &buffer);
    gpu_close(&gpu);
}

/* Thousands of buffers of all sizes share a few allocations and do not overlap. */
static void small_buffers_share_allocations(void **state)
{
    (void)state;
    enum { BUFFERS = 600, ROUNDS = 3000 };
    qvk__gpu_buffer buffers[BUFFERS] = {0};
    uint8_t marks[BUFFERS];
    uint8_t *bytes = malloc(1 << 16);
    qvk__gpu *gpu = gpu_open_variant();
    test_rng rng = test_rng_seed(2);
    for (int round = 0; round < ROUNDS; round++) {
        int i = (int)test_rng_range(&rng, 0, BUFFERS - 1);
        if (buffers[i].handle) {
            assert_ok(qvk__gpu_download(gpu, &buffers[i], 0, bytes, buffers[i].bytes, &test_err));
            for (uint64_t k = 0; k < buffers[i].bytes; k++)
                assert_int_equal(bytes[k], marks[i]);
            qvk__gpu_buffer_destroy(gpu, &buffers[i]);
            assert_int_equal(buffers[i].handle, 0);
            continue;
        }
        buffers[i] =
            gpu_buffer(gpu, (qvk__gpu_memory)(round % 4), (uint64_t)test_rng_range(&rng, 0, 1 << 16));
        assert_true(buffers[i].bytes > 0 && buffers[i].bytes % 16 == 0);
        marks[i] = (uint8_t)round;
        memset(bytes, marks[i], buffers[i].bytes);
        assert_ok(qvk__gpu_upload(gpu, &buffers[i], 0, bytes, buffers[i].bytes, &test_err));
    }
    for (int i = 0; i < BUFFERS; i++) {
        if (!buffers[i].handle)
            continue;
        assert_ok(qvk__gpu_download(gpu, &buffers[i], 0, bytes, buffers[i].bytes, &test_err));
        for (uint64_t k = 0; k < buffers[i].bytes; k++)
            assert_int_equal(bytes[k], marks[i]);
        qvk__gpu_buffer_destroy(gpu, &buffers[i]);
    }
    assert_in_range(vulkan_proxy_calls("vkAllocateMemory"), 4, 40);
    free(bytes);
    gpu_close(&gpu);
}

/* As when a load fails half-way: copies that wait or run must not outlive their buffer, nor take others with
 * them. */
static void a_buffer_may_go_while_copies_are_under_way(void **state)
{
    (void)state;
    qvk__gpu *gpu = gpu_open_variant();
    const uint64_t chunk = qvk__gpu_upload_chunk(gpu);
    const uint64_t sizes[] = {16, chunk, 2 * chunk + 16, 1000, 16};
    uint8_t *bytes = calloc(2 * chunk + 16, 1);
    uint32_t kept_words[2] = {1, 2}, back[2];
    assert_non_null(bytes);
    qvk__gpu_buffer kept = gpu_buffer(gpu, QVK__GPU_MEMORY_DEVICE, sizeof kept_words);
    for (size_t i = 0; i < QVK__COUNT(sizes); i++) {
        kept_words[1] = (uint32_t)i;
        assert_ok(qvk__gpu_upload(gpu, &kept, 0, kept_words, 4, &test_err));
        qvk__gpu_buffer buffer = gpu_buffer(gpu, QVK__GPU_MEMORY_DEVICE, sizes[i]);
        assert_ok(qvk__gpu_upload(gpu, &buffer, 0, bytes, sizes[i], &test_err));
        assert_ok(qvk__gpu_upload(gpu, &kept, 4, &kept_words[1], 4, &test_err));
        qvk__gpu_buffer_destroy(gpu, &buffer);
        if (i % 2 == 0)
            assert_ok(qvk__gpu_upload_flush(gpu, &test_err));
        assert_ok(qvk__gpu_download(gpu, &kept, 0, back, sizeof back, &test_err));
        assert_memory_equal(back, kept_words, sizeof back);
    }
    qvk__gpu_buffer_destroy(gpu, &kept);
    free(bytes);
    gpu_close(&gpu);
}

static void too_big_a_buffer_is_an_error(void **state)
{
    (void)state;
    qvk__gpu_buffer buffer = {0};
    vulkan_proxy_reset();
    proxy = gpu_variant->proxy;
    proxy.heap_bytes = 100 << 20;
    qvk__gpu *gpu = gpu_open(NULL);
    qvk__gpu_buffer most = gpu_buffer(gpu, QVK__GPU_MEMORY_DEVICE, 60 << 20);
    assert_status(qvk__gpu_buffer_create(gpu, QVK__GPU_MEMORY_DEVICE, 101 << 20, &buffer, &test_err),
                  QVK_OUT_OF_DEVICE_MEMORY);
    assert_non_null(strstr(test_err.message, "101.0 MiB"));
    assert_status(qvk__gpu_buffer_create(gpu, QVK__GPU_MEMORY_DEVICE, UINT64_MAX, &buffer, &test_err),
                  QVK_OUT_OF_DEVICE_MEMORY);
    /* A driver that refuses. */
    proxy.fail_function = "vkAllocateMemory";
    proxy.fail_with = VK_ERROR_OUT_OF_DEVICE_MEMORY;
    proxy.fail_on = true;
    assert_status(qvk__gpu_buffer_create(gpu, QVK__GPU_MEMORY_DEVICE, 30 << 20, &buffer, &test_err),
                  QVK_OUT_OF_DEVICE_MEMORY);
    assert_non_null(strstr(test_err.message, "30.0 MiB wanted"));
    assert_non_null(strstr(test_err.message, "held by qvk"));
    assert_non_null(strstr(test_err.message, "60.0 MiB"));
    assert_non_null(strstr(test_err.message, "100 MiB"));
    assert_int_equal(buffer.handle, 0);
    qvk__gpu_buffer_destroy(gpu, &most);
    gpu_close(&gpu);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(uploads_of_every_size_arrive),
        cmocka_unit_test(uploads_keep_their_order),
        cmocka_unit_test(small_buffers_share_allocations),
        cmocka_unit_test(a_buffer_may_go_while_copies_are_under_way),
        cmocka_unit_test(too_big_a_buffer_is_an_error),
    };
    return gpu_run_variants(tests);
}
