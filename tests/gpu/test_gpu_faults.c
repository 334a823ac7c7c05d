/*
 * Every Vulkan function that can fail, made to fail: the status says so, nothing leaks, and a new gpu works.
 * The same for the library's own allocations, and for devices that hang or get lost.
 */
#include "gpu_fixture.h"

#define COUNT 512

/* ---- everything a gpu can do, once --------------------------------------------------------------------- */

static qvk_status record_and_run(qvk__gpu *gpu, qvk__gpu_recording *recording, const qvk__gpu_buffer *params,
                                 const qvk__gpu_buffer *buffer, qvk_error *err)
{
    const qvk__gpu_pipeline *pipeline;
    double ns[2];
    const qvk__gpu_pipeline_params kernel = gpu_fill_pipeline_params(FILL_GROUP_SIZE);
    QVK__TRY(qvk__gpu_pipeline_get(gpu, &kernel, &pipeline, err));
    const qvk__gpu_dispatch dispatch = {
        .pipeline = pipeline,
        .params = gpu_whole(params),
        .buffers = {gpu_whole(buffer)},
        .n_buffers = 1,
        .groups = {gpu_fill_groups(COUNT), 1, 1},
    };
    for (int round = 0; round < 2; round++) { /* the second resets what the first made */
        QVK__TRY(qvk__gpu_record_begin(recording, err));
        qvk__gpu_record_timestamp(recording, 0);
        QVK__TRY(qvk__gpu_record_dispatch(recording, &dispatch, err));
        qvk__gpu_record_timestamp(recording, 1);
        QVK__TRY(qvk__gpu_record_end(recording, err));
        QVK__TRY(qvk__gpu_submit(gpu, recording, err));
        QVK__TRY(qvk__gpu_wait(gpu, recording, err));
    }
    return qvk__gpu_timestamps(gpu, recording, ns, 2, err);
}

static qvk_status use_gpu(qvk__gpu *gpu, bool *right, qvk_error *err)
{
    qvk_status status;
    uint32_t words[COUNT];
    const fill_params fill = {0, COUNT, 0xabcd, 0};
    qvk__gpu_buffer params = {0}, buffer = {0}, big = {0};
    qvk__gpu_recording *recording = NULL;
    QVK__TRY_GO(qvk__gpu_buffer_create(gpu, QVK__GPU_MEMORY_PARAMS, sizeof fill, &params, err));
    QVK__TRY_GO(qvk__gpu_buffer_create(gpu, QVK__GPU_MEMORY_DEVICE, sizeof words, &buffer, err));
    QVK__TRY_GO(qvk__gpu_buffer_create(gpu, QVK__GPU_MEMORY_DEVICE, 20 << 20, &big, err));
    memcpy(params.mapped, &fill, sizeof fill);
    memset(words, 1, sizeof words);
    QVK__TRY_GO(qvk__gpu_upload(gpu, &buffer, 0, words, sizeof words, err));
    QVK__TRY_GO(qvk__gpu_upload_flush(gpu, err));
    QVK__TRY_GO(qvk__gpu_recording_create(gpu, 2, &recording, err));
    QVK__TRY_GO(record_and_run(gpu, recording, &params, &buffer, err));
    QVK__TRY_GO(qvk__gpu_download(gpu, &buffer, 0, words, sizeof words, err));
    QVK__TRY_GO(qvk__gpu_cache_save(gpu, err));
    *right = true;
    for (int i = 0; i < COUNT; i++)
        *right = *right && words[i] == 0xabcd;
done:
    qvk__gpu_recording_destroy(gpu, &recording);
    qvk__gpu_buffer_destroy(gpu, &big);
    qvk__gpu_buffer_destroy(gpu, &buffer);
    qvk__gpu_buffer_destroy(gpu, &params);
    return status;
}

typedef struct outcome {
    qvk_status status;
    qvk_error err;
    bool right, lost;
    uint32_t layer_messages;
} outcome;

/* Where the pipeline cache of the running test is kept; filled, so that reading and merging it happen too. */
static char *cache_dir;

static outcome run_scenario(bool validation)
{
    outcome result = {.right = false};
    qvk__gpu *gpu = NULL;
    const qvk__gpu_params params = {
        .vk_get_instance_proc_addr = vulkan_proxy_loader(),
        .validation = validation,
        .cache_dir = cache_dir,
        .timeout_ms = 300,
    };
    result.status = qvk__gpu_create(&params, &gpu, &result.err);
    if (result.status == QVK_OK) {
        result.status = use_gpu(gpu, &result.right, &result.err);
        result.layer_messages = qvk__gpu_validation_messages(gpu);
        result.lost = qvk__gpu_is_lost(gpu);
    }
    qvk__gpu_destroy(&gpu);
    return result;
}

/* As a discrete GPU, so that the ring is used. */
static void reset(void)
{
    vulkan_proxy_reset();
    proxy.discrete = "";
}

static bool validation_works;

static int set_up(void **state)
{
    (void)state;
    cache_dir = test_temp_dir();
    reset();
    outcome first = run_scenario(true);
    validation_works = first.status != QVK_UNSUPPORTED;
    if (!validation_works) {
        reset();
        first = run_scenario(false);
    }
    if (first.status != QVK_OK)
        print_error("%s\n", first.err.message);
    return first.status != QVK_OK || !first.right;
}

static int tear_down(void **state)
{
    (void)state;
    test_temp_dir_remove(&cache_dir);
    return 0;
}

/* ---- Vulkan functions ---------------------------------------------------------------------------------- */

typedef struct fault {
    VkResult result;
    qvk_status status;
    const char *only; /* this function; NULL: all */
} fault;

static const fault faults[] = {
    {VK_ERROR_OUT_OF_HOST_MEMORY, QVK_OUT_OF_MEMORY, NULL},
    {VK_ERROR_OUT_OF_DEVICE_MEMORY, QVK_OUT_OF_DEVICE_MEMORY, NULL},
    {VK_ERROR_UNKNOWN, QVK_DRIVER, NULL},
    {VK_ERROR_INITIALIZATION_FAILED, QVK_NO_DEVICE, "vkCreateInstance"},
    {VK_ERROR_INITIALIZATION_FAILED, QVK_NO_DEVICE, "vkEnumeratePhysicalDevices"},
    {VK_ERROR_INITIALIZATION_FAILED, QVK_NO_DEVICE, "vkCreateDevice"},
    {VK_ERROR_INCOMPATIBLE_DRIVER, QVK_NO_DEVICE, "vkCreateInstance"},
    {VK_ERROR_EXTENSION_NOT_PRESENT, QVK_DRIVER, "vkCreateDevice"},
    {VK_ERROR_FEATURE_NOT_PRESENT, QVK_DRIVER, "vkCreateDevice"},
    {VK_ERROR_TOO_MANY_OBJECTS, QVK_OUT_OF_DEVICE_MEMORY, "vkAllocateMemory"},
    {VK_ERROR_MEMORY_MAP_FAILED, QVK_OUT_OF_MEMORY, "vkMapMemory"},
    {VK_ERROR_INVALID_SHADER_NV, QVK_DRIVER, "vkCreateComputePipelines"},
    {VK_ERROR_FRAGMENTED_POOL, QVK_OUT_OF_DEVICE_MEMORY, "vkAllocateDescriptorSets"},
    {VK_ERROR_OUT_OF_POOL_MEMORY, QVK_OUT_OF_DEVICE_MEMORY, "vkAllocateDescriptorSets"},
    {VK_ERROR_DEVICE_LOST, QVK_DEVICE_LOST, "vkCreateDevice"},
    {VK_ERROR_DEVICE_LOST, QVK_DEVICE_LOST, "vkQueueSubmit"},
    {VK_ERROR_DEVICE_LOST, QVK_DEVICE_LOST, "vkWaitForFences"},
    {VK_ERROR_DEVICE_LOST, QVK_DEVICE_LOST, "vkGetFenceStatus"},
    {VK_ERROR_DEVICE_LOST, QVK_DEVICE_LOST, "vkGetQueryPoolResults"},
};

/* Failures that are survived on purpose: a pipeline cache that cannot be read or merged, a PARAMS buffer that
 * finds room elsewhere. */
static bool may_be_survived(const char *function)
{
    return strcmp(function, "vkCreatePipelineCache") == 0 || strcmp(function, "vkMergePipelineCaches") == 0 ||
           strcmp(function, "vkAllocateMemory") == 0;
}

/* One run with one failing call. False when that call is never reached. */
static bool run_with_fault(const char *function, const fault *how, long at)
{
    reset();
    proxy.fail_function = function;
    proxy.fail_with = how->result;
    proxy.fail_at = at;
    outcome result = run_scenario(validation_works);
    if (vulkan_proxy_calls(function) < at)
        return false;
    bool good = result.status == how->status && strstr(result.err.message, function) != NULL;
    if (strcmp(function, "vkAllocateMemory") == 0) /* has a message of its own */
        good = result.status == how->status;
    if (result.status == QVK_OK)
        good = may_be_survived(function) && result.right;
    good = good && result.layer_messages == 0 && vulkan_proxy_alive() == 0;
    bool alive = how->result != VK_ERROR_DEVICE_LOST || strcmp(function, "vkCreateDevice") == 0;
    good = good && result.lost == !alive;
    if (!good)
        fail_msg("%s failing with %d at call %ld: status %s, lost %d, %u messages: %s", function,
                 (int)how->result, at, qvk_status_name(result.status), result.lost, result.layer_messages,
                 result.status == QVK_OK ? "" : result.err.message);
    return true;
}

static void every_function_may_fail(void **state)
{
    (void)state;
    long n_faults = 0;
    for (int i = 0; i < vulkan_proxy_n_functions(); i++) {
        const char *function = vulkan_proxy_function(i);
        for (size_t k = 0; k < QVK__COUNT(faults); k++) {
            if (faults[k].only && strcmp(faults[k].only, function) != 0)
                continue;
            /* The first code at many calls, the others at the first. */
            for (long at = 1; at < 40 && (k == 0 || at == 1); at += 1 + at / 4) {
                if (!run_with_fault(function, &faults[k], at))
                    break;
                n_faults++;
            }
        }
    }
    assert_true(n_faults > 120);
    reset();
    outcome after = run_scenario(validation_works);
    assert_int_equal(after.status, QVK_OK);
    assert_true(after.right);
}

/* Every failing function of the table is in the proxy, and the scenario reaches all that this device has. */
static void every_function_is_reached(void **state)
{
    (void)state;
    reset();
    assert_int_equal(run_scenario(validation_works).status, QVK_OK);
    for (int i = 0; i < vulkan_proxy_n_functions(); i++) {
        const char *function = vulkan_proxy_function(i);
        bool optional = strcmp(function, "vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR") == 0 ||
                        strcmp(function, "vkEnumerateInstanceLayerProperties") == 0 ||
                        strcmp(function, "vkCreateDebugUtilsMessengerEXT") == 0 ||
                        strcmp(function, "vkWaitForFences") == 0;
        if (!optional && vulkan_proxy_calls(function) < 1)
            fail_msg("%s is never called", function);
    }
}

/* ---- the library's own memory -------------------------------------------------------------------------- */

static void every_allocation_may_fail(void **state)
{
    (void)state;
    long n = 0;
    for (long refused = 1; refused > 0; n++) {
        reset();
        test_memory_grant(n);
        outcome result = run_scenario(false);
        refused = test_memory_grant_all();
        if (refused > 0 && result.status != QVK_OUT_OF_MEMORY && !(result.status == QVK_OK && result.right))
            fail_msg("allocation %ld: %s: %s", n, qvk_status_name(result.status), result.err.message);
        if (refused == 0)
            assert_int_equal(result.status, QVK_OK);
        assert_int_equal(vulkan_proxy_alive(), 0);
    }
    assert_true(n > 20);
}

/* ---- lost and hanging devices -------------------------------------------------------------------------- */

static void a_lost_gpu_accepts_destruction_only(void **state)
{
    (void)state;
    uint32_t word = 0;
    qvk__gpu_buffer more = {0};
    reset();
    qvk__gpu *gpu = gpu_open(NULL);
    qvk__gpu_buffer params = gpu_fill_params(gpu, 0, 4, 1);
    qvk__gpu_buffer buffer = gpu_buffer(gpu, QVK__GPU_MEMORY_DEVICE, 64);
    qvk__gpu_recording *recording = gpu_recording(gpu, 0), *other = NULL;
    const qvk__gpu_pipeline *pipeline;
    const qvk__gpu_pipeline_params kernel = gpu_fill_pipeline_params(8);
    assert_ok(qvk__gpu_record_begin(recording, &test_err));
    assert_ok(qvk__gpu_record_end(recording, &test_err));
    assert_false(qvk__gpu_is_lost(gpu));
    proxy.fail_function = "vkQueueSubmit";
    proxy.fail_with = VK_ERROR_DEVICE_LOST;
    proxy.fail_at = vulkan_proxy_calls("vkQueueSubmit") + 1;
    assert_status(qvk__gpu_submit(gpu, recording, &test_err), QVK_DEVICE_LOST);
    assert_non_null(strstr(test_err.message, "vkQueueSubmit"));
    assert_true(qvk__gpu_is_lost(gpu));
    assert_status(qvk__gpu_submit(gpu, recording, &test_err), QVK_DEVICE_LOST);
    assert_non_null(strstr(test_err.message, "lost earlier"));
    assert_status(qvk__gpu_wait(gpu, recording, &test_err), QVK_DEVICE_LOST);
    assert_status(qvk__gpu_record_begin(recording, &test_err), QVK_DEVICE_LOST);
    assert_status(qvk__gpu_recording_create(gpu, 0, &other, &test_err), QVK_DEVICE_LOST);
    assert_status(qvk__gpu_buffer_create(gpu, QVK__GPU_MEMORY_DEVICE, 4, &more, &test_err), QVK_DEVICE_LOST);
    assert_status(qvk__gpu_upload(gpu, &buffer, 0, &word, 4, &test_err), QVK_DEVICE_LOST);
    assert_status(qvk__gpu_upload_flush(gpu, &test_err), QVK_DEVICE_LOST);
    assert_status(qvk__gpu_download(gpu, &buffer, 0, &word, 4, &test_err), QVK_DEVICE_LOST);
    assert_status(qvk__gpu_pipeline_get(gpu, &kernel, &pipeline, &test_err), QVK_DEVICE_LOST);
    assert_status(qvk__gpu_cache_save(gpu, &test_err), QVK_DEVICE_LOST);
    qvk__gpu *anew = gpu_open(NULL); /* while the lost one still exists */
    qvk__gpu_buffer fresh = gpu_buffer(anew, QVK__GPU_MEMORY_DEVICE, 64);
    assert_ok(qvk__gpu_upload(anew, &fresh, 0, &word, 4, &test_err));
    qvk__gpu_buffer_destroy(anew, &fresh);
    qvk__gpu_destroy(&anew);
    qvk__gpu_recording_destroy(gpu, &recording);
    qvk__gpu_buffer_destroy(gpu, &buffer);
    qvk__gpu_buffer_destroy(gpu, &params);
    gpu_close(&gpu);
}

/* Slow is not lost: a wait that timed out may be repeated. */
static void a_slow_device_times_out_and_recovers(void **state)
{
    (void)state;
    reset();
    qvk__gpu *gpu = gpu_open(&(qvk__gpu_params){.timeout_ms = 500});
    qvk__gpu_recording *recording = gpu_recording(gpu, 0);
    assert_ok(qvk__gpu_record_begin(recording, &test_err));
    assert_ok(qvk__gpu_record_end(recording, &test_err));
    assert_ok(qvk__gpu_submit(gpu, recording, &test_err));
    proxy.hang = true;
    uint64_t start = qvk__clock_ns();
    assert_status(qvk__gpu_wait(gpu, recording, &test_err), QVK_TIMEOUT);
    assert_in_range(qvk__clock_ns() - start, 490000000, 5000000000);
    assert_non_null(strstr(test_err.message, "did not finish within 0.5 s"));
    assert_false(qvk__gpu_is_lost(gpu));
    assert_status(qvk__gpu_record_begin(recording, &test_err), QVK_INVALID_ARGUMENT); /* it still runs */
    proxy.hang = false;
    assert_ok(qvk__gpu_wait(gpu, recording, &test_err));
    assert_ok(qvk__gpu_submit(gpu, recording, &test_err));
    assert_ok(qvk__gpu_wait(gpu, recording, &test_err));
    qvk__gpu_recording_destroy(gpu, &recording);
    gpu_close(&gpu);
}

/* A device that never answers: destruction returns, frees nothing the device may still touch, and a new gpu
 * can be made. */
static void a_hanging_device_is_left_behind(void **state)
{
    (void)state;
    uint32_t word = 0;
    reset();
    qvk__gpu *gpu = gpu_open(&(qvk__gpu_params){.timeout_ms = 20, .validation = false});
    qvk__gpu_buffer buffer = gpu_buffer(gpu, QVK__GPU_MEMORY_DEVICE, 64);
    qvk__gpu_recording *recording = gpu_recording(gpu, 1);
    assert_ok(qvk__gpu_record_begin(recording, &test_err));
    qvk__gpu_record_fill(recording, gpu_whole(&buffer), 1);
    assert_ok(qvk__gpu_record_end(recording, &test_err));
    assert_ok(qvk__gpu_submit(gpu, recording, &test_err));
    proxy.hang = true;
    uint64_t start = qvk__clock_ns();
    qvk__gpu_recording_destroy(gpu, &recording);
    assert_null(recording);
    assert_true(qvk__gpu_is_lost(gpu));
    assert_status(qvk__gpu_upload(gpu, &buffer, 0, &word, 4, &test_err), QVK_DEVICE_LOST);
    qvk__gpu_buffer_destroy(gpu, &buffer);
    qvk__gpu_destroy(&gpu);
    assert_true(qvk__clock_ns() - start < 2000000000);
    assert_true(vulkan_proxy_alive() > 0); /* the device, the buffer, what was running */
    reset();
    outcome after = run_scenario(validation_works);
    assert_int_equal(after.status, QVK_OK);
    assert_true(after.right);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_function_is_reached),
        cmocka_unit_test(every_function_may_fail),
        cmocka_unit_test(every_allocation_may_fail),
        cmocka_unit_test(a_lost_gpu_accepts_destruction_only),
        cmocka_unit_test(a_slow_device_times_out_and_recovers),
        cmocka_unit_test(a_hanging_device_is_left_behind),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
