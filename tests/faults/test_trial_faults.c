/*
 * Trials and tuning when something else fails: every Vulkan call and every allocation is made to fail once.
 * Nothing is left behind. A trial says so, and blames the kernel only for what it may have done itself;
 * tuning does without, unless the device is gone.
 */
#include "gpu/gpu_fixture.h"
#include "runtime/trials.h"
#include "runtime/tuner.h"

/* Of the tiled kernels, which every device that looks like a GPU has. */
static const qvk__dispatch dispatch = {.kernel = QVK__KERNEL_LINEAR_F32_QB4W_TILE};

static qvk_status try_it(qvk__gpu *gpu, bool *refused, qvk_error *err)
{
    bool distrusted[QVK__KERNEL_COUNT] = {false};
    qvk__trials *trials = NULL;
    qvk_status status;

    *refused = false;
    QVK__TRY(qvk__trials_create(gpu, NULL, NULL, &trials, err));
    status = qvk__trials_check(trials, &dispatch, 1, distrusted, refused, err);
    qvk__trials_destroy(&trials);
    return status;
}

static qvk__gpu *open_gpu(const char *dir)
{
    vulkan_proxy_reset();
    proxy.discrete = "";
    return gpu_open(&(qvk__gpu_params){.cache_dir = dir, .timeout_ms = 2000});
}

/* ---- Vulkan --------------------------------------------------------------------------------------------- */

/* False when the call is never reached. */
static bool run_with_fault(const char *function, VkResult result, qvk_status wanted, bool may_blame, long at)
{
    qvk__gpu *gpu = open_gpu(NULL);
    qvk_error error = {0};
    bool refused;
    const long before = vulkan_proxy_calls(function);
    proxy.fail_function = function;
    proxy.fail_with = result;
    proxy.fail_at = before + at;
    const qvk_status status = try_it(gpu, &refused, &error);
    const bool reached = vulkan_proxy_calls(function) >= before + at;
    proxy.fail_function = NULL;
    gpu_close(&gpu);
    /* Memory is asked for again elsewhere, and what cannot be kept is not an error. */
    const bool survived = strcmp(function, "vkAllocateMemory") == 0 && status == QVK_OK;
    if (reached && status != wanted && !survived)
        fail_msg("%s failing at call %ld: %s, %s", function, at, qvk_status_name(status), error.message);
    if (refused && !may_blame)
        fail_msg("%s failing at call %ld: the kernel was blamed", function, at);
    return reached;
}

static void every_vulkan_call_may_fail(void **state)
{
    (void)state;
    long n = 0;
    for (int i = 0; i < vulkan_proxy_n_functions(); i++) {
        const char *function = vulkan_proxy_function(i);
        for (long at = 1;
             run_with_fault(function, VK_ERROR_OUT_OF_DEVICE_MEMORY, QVK_OUT_OF_DEVICE_MEMORY, false, at);
             at++)
            n++;
    }
    for (long at = 1; run_with_fault("vkCreateComputePipelines", VK_ERROR_UNKNOWN, QVK_OK, true, at); at++)
        n++;
    assert_true(n > 20);
}

/* ---- memory --------------------------------------------------------------------------------------------- */

static void every_allocation_may_fail(void **state)
{
    (void)state;
    long refusals = 1;
    for (long n = 0; refusals > 0; n++) {
        qvk_error error = {0};
        bool refused;
        char *cache_dir = test_temp_dir();
        qvk__gpu *gpu = open_gpu(cache_dir);
        test_memory_grant(n);
        const qvk_status status = try_it(gpu, &refused, &error);
        refusals = test_memory_grant_all();
        gpu_close(&gpu);
        test_temp_dir_remove(&cache_dir);
        /* The verdict that could not be written down is not an error. */
        if (status != QVK_OK && !(refusals && status == QVK_OUT_OF_MEMORY))
            fail_msg("after %ld allocations: %s, %s", n, qvk_status_name(status), error.message);
        assert_false(refused);
    }
}

/* ---- tuning --------------------------------------------------------------------------------------------- */

static qvk_status tune_it(qvk__gpu *gpu, qvk_error *err)
{
    static const bool distrusted[QVK__KERNEL_COUNT];
    static const qvk__linear_class class = {.rows = QVK__ROWS_FEW};
    static qvk__linear_tuning tiles[QVK__LINEAR_CLASSES];
    const qvk__dispatch product = {.kernel = QVK__KERNEL_LINEAR_F32_QB4W_MV,
                                   .tuned_as = qvk__linear_class_index(&class) + 1};
    qvk__tuner *tuner = NULL;
    qvk_status status;
    bool changed;

    QVK__TRY(qvk__tuner_create(gpu, 1, &tuner, err));
    status = qvk__tuner_check(tuner, &product, 1, distrusted, tiles, &changed, err);
    qvk__tuner_destroy(&tuner);
    return status;
}

static bool tune_with_fault(const char *function, VkResult result, qvk_status wanted, long at)
{
    qvk__gpu *gpu = open_gpu(NULL);
    qvk_error error = {0};
    const long before = vulkan_proxy_calls(function);
    proxy.fail_function = function;
    proxy.fail_with = result;
    proxy.fail_at = before + at;
    const qvk_status status = tune_it(gpu, &error);
    const bool reached = vulkan_proxy_calls(function) >= before + at;
    proxy.fail_function = NULL;
    gpu_close(&gpu);
    if (status != (reached ? wanted : QVK_OK))
        fail_msg("%s failing at call %ld: %s, %s", function, at, qvk_status_name(status), error.message);
    return reached;
}

static void tuning_does_without(void **state)
{
    (void)state;
    long n = 0;
    for (int i = 0; i < vulkan_proxy_n_functions(); i++) {
        const char *function = vulkan_proxy_function(i);
        for (long at = 1; at <= 3 && tune_with_fault(function, VK_ERROR_OUT_OF_DEVICE_MEMORY, QVK_OK, at);
             at++)
            n++;
    }
    assert_true(n > 10);
    assert_true(tune_with_fault("vkQueueSubmit", VK_ERROR_DEVICE_LOST, QVK_DEVICE_LOST, 1));
}

static void tuning_does_without_memory(void **state)
{
    (void)state;
    long refusals = 1;
    for (long n = 0; refusals > 0; n += 7) {
        qvk_error error = {0};
        qvk__gpu *gpu = open_gpu(NULL);
        test_memory_grant(n);
        const qvk_status status = tune_it(gpu, &error);
        refusals = test_memory_grant_all();
        gpu_close(&gpu);
        if (status != QVK_OK && !(n == 0 && status == QVK_OUT_OF_MEMORY))
            fail_msg("after %ld allocations: %s, %s", n, qvk_status_name(status), error.message);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_allocation_may_fail),
        cmocka_unit_test(every_vulkan_call_may_fail),
        cmocka_unit_test(tuning_does_without_memory),
        cmocka_unit_test(tuning_does_without),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
