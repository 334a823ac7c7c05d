/* The null device: needs no driver, checks like a real one, computes nothing. */
#include "gpu_fixture.h"

static const uint32_t no_kernel[8] = {0x07230203};

static qvk__gpu *open_null(void)
{
    return gpu_open(&(qvk__gpu_params){.null_device = true});
}

static void it_has_the_smallest_limits(void **state)
{
    (void)state;
    uint32_t n = 0;
    qvk__gpu_caps caps;
    const qvk__gpu_params params = {.null_device = true};
    assert_ok(qvk__gpu_enumerate(&params, NULL, &n, &test_err));
    assert_int_equal(n, 1);
    assert_ok(qvk__gpu_enumerate(&params, &caps, &n, &test_err));
    assert_string_equal(caps.name, "null");
    assert_int_equal(caps.max_storage_range, 128 << 20);
    assert_int_equal(caps.max_group_count[2], 65535);
    assert_int_equal(caps.shared_bytes, 16384);
    assert_int_equal(caps.max_invocations, 128);
    assert_int_equal(caps.flags, 0);
}

static void uploads_and_downloads_move_bytes(void **state)
{
    (void)state;
    uint8_t source[1000], result[1000];
    test_rng rng = test_rng_seed(3);
    test_rng_fill_bytes(&rng, source, sizeof source);
    qvk__gpu *gpu = open_null();
    qvk__gpu_buffer buffer = gpu_buffer(gpu, QVK__GPU_MEMORY_DEVICE, 2000);
    assert_int_equal(qvk__gpu_memory_used(gpu), 2000);
    assert_ok(qvk__gpu_upload(gpu, &buffer, 500, source, sizeof source, &test_err));
    assert_ok(qvk__gpu_upload_flush(gpu, &test_err));
    assert_ok(qvk__gpu_download(gpu, &buffer, 500, result, sizeof result, &test_err));
    assert_memory_equal(result, source, sizeof source);
    qvk__gpu_buffer_destroy(gpu, &buffer);
    qvk__gpu_buffer_destroy(gpu, &buffer); /* cleared: fine */
    gpu_close(&gpu);
    qvk__gpu_destroy(&gpu);
}

static void pipelines_are_shared_by_their_params(void **state)
{
    (void)state;
    const qvk__gpu_pipeline *first, *same, *other;
    qvk__gpu *gpu = open_null();
    qvk__gpu_pipeline_params params = {
        .spirv = no_kernel, .n_words = 8, .n_buffers = 1, .specs = {64}, .n_specs = 1};
    assert_ok(qvk__gpu_pipeline_get(gpu, &params, &first, &test_err));
    assert_ok(qvk__gpu_pipeline_get(gpu, &params, &same, &test_err));
    params.specs[0] = 32;
    assert_ok(qvk__gpu_pipeline_get(gpu, &params, &other, &test_err));
    assert_ptr_equal(first, same);
    assert_ptr_not_equal(first, other);
    params.subgroup_size = 32;
    assert_status(qvk__gpu_pipeline_get(gpu, &params, &other, &test_err), QVK_UNSUPPORTED);
    gpu_close(&gpu);
}

/* What a planner gets wrong on a small device is found without one. */
static void limits_are_enforced(void **state)
{
    (void)state;
    double ns[2] = {-1, -1};
    qvk__gpu *gpu = open_null();
    const qvk__gpu_pipeline *pipeline;
    qvk__gpu_pipeline_params kernel = {.spirv = no_kernel, .n_words = 8, .n_buffers = 1, .label = "big"};
    assert_ok(qvk__gpu_pipeline_get(gpu, &kernel, &pipeline, &test_err));
    qvk__gpu_buffer buffer = gpu_buffer(gpu, QVK__GPU_MEMORY_DEVICE, (128 << 20) + 256);
    qvk__gpu_recording *recording = gpu_recording(gpu, 2);
    qvk__gpu_dispatch dispatch = {
        .pipeline = pipeline, .buffers = {gpu_whole(&buffer)}, .n_buffers = 1, .groups = {65535, 1, 1}};
    assert_ok(qvk__gpu_record_begin(recording, &test_err));
    assert_status(qvk__gpu_record_dispatch(recording, &dispatch, &test_err), QVK_INVALID_ARGUMENT);
    assert_non_null(strstr(test_err.message, "dispatch big: buffer of 134217984 bytes"));
    dispatch.buffers[0].bytes = 128 << 20;
    dispatch.buffers[0].offset = 16;
    assert_status(qvk__gpu_record_dispatch(recording, &dispatch, &test_err), QVK_INVALID_ARGUMENT);
    assert_non_null(strstr(test_err.message, "no multiple of 256"));
    dispatch.buffers[0].offset = 256;
    dispatch.groups[0] = 65536;
    assert_status(qvk__gpu_record_dispatch(recording, &dispatch, &test_err), QVK_INVALID_ARGUMENT);
    assert_non_null(strstr(test_err.message, "65536 work groups"));
    dispatch.groups[0] = 65535;
    dispatch.params = (qvk__gpu_range){&buffer, 0, 16385};
    assert_status(qvk__gpu_record_dispatch(recording, &dispatch, &test_err), QVK_INVALID_ARGUMENT);
    dispatch.params.bytes = 16384;
    qvk__gpu_record_timestamp(recording, 0);
    assert_ok(qvk__gpu_record_dispatch(recording, &dispatch, &test_err));
    qvk__gpu_record_timestamp(recording, 1);
    gpu_run(gpu, recording);
    assert_ok(qvk__gpu_timestamps(gpu, recording, ns, 2, &test_err));
    assert_true(ns[0] == 0 && ns[1] == 0);
    assert_status(qvk__gpu_buffer_create(gpu, QVK__GPU_MEMORY_DEVICE, (1u << 30) + 1, &buffer, &test_err),
                  QVK_OUT_OF_DEVICE_MEMORY);
    qvk__gpu_recording_destroy(gpu, &recording);
    qvk__gpu_buffer_destroy(gpu, &buffer);
    gpu_close(&gpu);
}

/* Everything a gpu does, with each host allocation failing in turn. */
static qvk_status use_null(void)
{
    qvk__gpu *gpu = NULL;
    qvk__gpu_buffer buffer = {0};
    qvk__gpu_recording *recording = NULL;
    const qvk__gpu_pipeline *pipeline;
    const qvk__gpu_pipeline_params kernel = {.spirv = no_kernel, .n_words = 8};
    qvk_status status =
        qvk__gpu_create(&(qvk__gpu_params){.null_device = true, .cache_dir = "x"}, &gpu, NULL);
    if (status != QVK_OK)
        return status;
    QVK__TRY_GO(qvk__gpu_buffer_create(gpu, QVK__GPU_MEMORY_DEVICE, 64, &buffer, NULL));
    QVK__TRY_GO(qvk__gpu_pipeline_get(gpu, &kernel, &pipeline, NULL));
    QVK__TRY_GO(qvk__gpu_recording_create(gpu, 0, &recording, NULL));
    QVK__TRY_GO(qvk__gpu_record_begin(recording, NULL));
    QVK__TRY_GO(qvk__gpu_record_end(recording, NULL));
    QVK__TRY_GO(qvk__gpu_cache_save(gpu, NULL));
done:
    qvk__gpu_recording_destroy(gpu, &recording);
    qvk__gpu_buffer_destroy(gpu, &buffer);
    qvk__gpu_destroy(&gpu);
    return status;
}

static void no_host_memory_is_a_status(void **state)
{
    (void)state;
    for (long n = 0, refused = 1; refused > 0; n++) {
        test_memory_grant(n);
        qvk_status status = use_null();
        refused = test_memory_grant_all();
        if (refused == 0)
            assert_int_equal(status, QVK_OK);
        else
            assert_true(status == QVK_OUT_OF_MEMORY || status == QVK_OUT_OF_DEVICE_MEMORY);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_has_the_smallest_limits),
        cmocka_unit_test(uploads_and_downloads_move_bytes),
        cmocka_unit_test(pipelines_are_shared_by_their_params),
        cmocka_unit_test(limits_are_enforced),
        cmocka_unit_test(no_host_memory_is_a_status),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
