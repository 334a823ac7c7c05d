/* Loaders, devices and what they can do: creation in all its ways, and why it fails. */
#include <stdio.h>

#include "gpu/gpu_vulkan.h"
#include "gpu_fixture.h"

static qvk__gpu_params proxy_params(void)
{
    return (qvk__gpu_params){.vk_get_instance_proc_addr = vulkan_proxy_loader()};
}

/* Creation and enumeration fail alike. */
static void assert_no_device(const char *part_of_message)
{
    qvk__gpu *gpu = NULL;
    uint32_t n = 0;
    const qvk__gpu_params params = proxy_params();
    assert_status(qvk__gpu_create(&params, &gpu, &test_err), QVK_NO_DEVICE);
    assert_null(gpu);
    if (!strstr(test_err.message, part_of_message))
        fail_msg("\"%s\" is not in: %s", part_of_message, test_err.message);
    assert_status(qvk__gpu_enumerate(&params, NULL, &n, &test_err), QVK_NO_DEVICE);
    assert_int_equal(vulkan_proxy_alive(), 0);
    vulkan_proxy_reset();
}

static void a_machine_without_vulkan_is_told(void **state)
{
    (void)state;
    vulkan_proxy_reset();
    proxy.no_functions = true;
    assert_no_device("no vkCreateInstance");
    proxy.instance_version = VK_API_VERSION_1_0;
    assert_no_device("version 1.0");
    proxy.missing_function = "vkEnumerateInstanceVersion"; /* how a real 1.0 loader says it */
    assert_no_device("version 1.0");
    proxy.no_devices = true;
    assert_no_device("found no driver");
    proxy.no_compute = true;
    assert_no_device("compute queue");
    proxy.missing_function = "vkGetPhysicalDeviceFeatures2";
    assert_no_device("lacks vkGetPhysicalDeviceFeatures2");
}

static void a_driver_that_lacks_a_function_is_told(void **state)
{
    (void)state;
    qvk__gpu *gpu = NULL;
    vulkan_proxy_reset();
    const qvk__gpu_params params = proxy_params();
    proxy.missing_function = "vkCmdDispatchIndirect";
    assert_status(qvk__gpu_create(&params, &gpu, &test_err), QVK_NO_DEVICE);
    assert_non_null(strstr(test_err.message, "lacks vkCmdDispatchIndirect"));
    assert_int_equal(vulkan_proxy_alive(), 0);
}

/* ---- the list ------------------------------------------------------------------------------------------ */

#define MOST 8

static uint32_t list_devices(qvk__gpu_caps *caps)
{
    uint32_t n = MOST;
    const qvk__gpu_params params = proxy_params();
    assert_ok(qvk__gpu_enumerate(&params, caps, &n, &test_err));
    assert_in_range(n, 1, MOST);
    assert_int_equal(vulkan_proxy_alive(), 0);
    return n;
}

static void caps_are_sane(const qvk__gpu_caps *caps)
{
    assert_true(caps->name[0] && caps->driver[0]);
    assert_true(caps->api_version >= VK_API_VERSION_1_1);
    assert_true(caps->max_invocations >= 128 && caps->max_group_size[0] >= 128);
    assert_true(caps->max_group_count[0] >= 65535 && caps->max_group_count[2] >= 65535);
    assert_true(caps->shared_bytes >= 16384);
    assert_true(caps->max_storage_range >= 1 << 27 && caps->max_uniform_range >= 16384);
    assert_true(caps->max_buffers >= 4 && caps->max_buffers <= QVK__GPU_MAX_BINDINGS);
    assert_true(caps->subgroup_size >= 1 && caps->subgroup_size_min <= caps->subgroup_size &&
                caps->subgroup_size <= caps->subgroup_size_max);
    assert_true(caps->device_memory > 0 && caps->max_allocation <= caps->device_memory);
    assert_true(!(caps->flags & QVK__CAP_DOT8_ACCELERATED) || (caps->flags & QVK__CAP_DOT8));
    assert_int_equal((caps->flags & QVK__CAP_COOPMAT) != 0, caps->n_coopmat != 0);
}

static void devices_are_listed_best_first(void **state)
{
    (void)state;
    qvk__gpu_caps caps[MOST], disguised[MOST];
    vulkan_proxy_reset();
    uint32_t n = list_devices(caps);
    for (uint32_t i = 0; i < n; i++) {
        caps_are_sane(&caps[i]);
        assert_true(i == 0 || caps[i - 1].type <= caps[i].type);
    }
    /* The last becomes the first once it is the only discrete one. */
    proxy.discrete = caps[n - 1].name;
    assert_int_equal(list_devices(disguised), n);
    if (caps[0].type != QVK__GPU_DISCRETE)
        assert_string_equal(disguised[0].name, caps[n - 1].name);
    assert_int_equal(disguised[0].type, QVK__GPU_DISCRETE);
}

static void a_device_opens_by_index_name_and_uuid(void **state)
{
    (void)state;
    qvk__gpu_caps caps[MOST];
    char uuid[40] = "";
    vulkan_proxy_reset();
    uint32_t last = list_devices(caps) - 1;
    for (int i = 0; i < 16; i++)
        snprintf(uuid + strlen(uuid), 4, "%02X%s", caps[last].uuid[i], i == 3 || i == 9 ? "-" : "");
    const char index[] = {(char)('0' + last), '\0'};
    const char *const wanted[] = {index, caps[last].name + 1, uuid};
    for (size_t i = 0; i < QVK__COUNT(wanted); i++) {
        qvk__gpu *gpu = gpu_open(&(qvk__gpu_params){.device = wanted[i]});
        assert_string_equal(qvk__gpu_caps_of(gpu)->name, caps[last].name);
        gpu_close(&gpu);
    }
    qvk__gpu *gpu = NULL;
    qvk__gpu_params params = proxy_params();
    params.device = "no such device";
    assert_status(qvk__gpu_create(&params, &gpu, &test_err), QVK_NO_DEVICE);
    assert_non_null(strstr(test_err.message, caps[0].name));
    assert_int_equal(vulkan_proxy_alive(), 0);
}

/* ---- features ------------------------------------------------------------------------------------------ */

static void disabled_features_are_gone(void **state)
{
    (void)state;
    vulkan_proxy_reset();
    qvk__gpu *gpu = gpu_open(NULL);
    const uint32_t flags = qvk__gpu_caps_of(gpu)->flags;
    gpu_close(&gpu);
    static const uint32_t caps[] = {
#define CAP(name, number, text, option) QVK__CAP_##name,
        QVK__CAP_LIST(CAP)
#undef CAP
    };
    for (size_t i = 0; i < QVK__COUNT(caps); i++) {
        const uint32_t bit = caps[i];
        uint32_t gone = bit;
        if (bit == QVK__CAP_DOT8)
            gone |= QVK__CAP_DOT8_ACCELERATED;
        if (bit == QVK__CAP_MEMORY_MODEL)
            gone |= QVK__CAP_COOPMAT;
        gpu = gpu_open(&(qvk__gpu_params){.disabled = bit});
        assert_int_equal(qvk__gpu_caps_of(gpu)->flags, flags & ~gone);
        gpu_close(&gpu);
    }
    gpu = gpu_open(&(qvk__gpu_params){.disabled = UINT32_MAX});
    assert_int_equal(qvk__gpu_caps_of(gpu)->flags, 0);
    assert_int_equal(qvk__gpu_caps_of(gpu)->n_coopmat, 0);
    gpu_close(&gpu);
}

static void a_bare_device_has_no_flags(void **state)
{
    (void)state;
    vulkan_proxy_reset();
    proxy.bare = true;
    qvk__gpu *gpu = gpu_open(NULL);
    const qvk__gpu_caps *caps = qvk__gpu_caps_of(gpu);
    assert_int_equal(caps->flags, 0);
    assert_int_equal(caps->max_buffers, 4);
    assert_int_equal(caps->max_storage_range, 1 << 27);
    assert_int_equal(caps->api_version, VK_API_VERSION_1_1);
    assert_true(caps->timestamp_ns == 0);
    gpu_close(&gpu);
}

/* Memory that the host sees but does not cache is not offered as mapped device memory. */
static void uncached_memory_is_not_mapped(void **state)
{
    (void)state;
    uint32_t word = 5, back = 0;
    vulkan_proxy_reset();
    proxy.uncached = true;
    qvk__gpu *gpu = gpu_open(NULL);
    qvk__gpu_buffer device = gpu_buffer(gpu, QVK__GPU_MEMORY_DEVICE, 64);
    qvk__gpu_buffer readback = gpu_buffer(gpu, QVK__GPU_MEMORY_READBACK, 64);
    assert_null(device.mapped);
    assert_non_null(readback.mapped);
    assert_ok(qvk__gpu_upload(gpu, &device, 0, &word, 4, &test_err));
    assert_ok(qvk__gpu_download(gpu, &device, 0, &back, 4, &test_err));
    assert_int_equal(back, 5);
    qvk__gpu_buffer_destroy(gpu, &readback);
    qvk__gpu_buffer_destroy(gpu, &device);
    gpu_close(&gpu);
}

static void the_budget_shrinks_by_what_is_allocated(void **state)
{
    (void)state;
    uint64_t before, after, total;
    vulkan_proxy_reset();
    qvk__gpu *gpu = gpu_open(NULL);
    qvk__gpu_memory_budget(gpu, &before, &total);
    assert_true(before > 0 && before <= total);
    assert_int_equal(total, qvk__gpu_caps_of(gpu)->device_memory);
    qvk__gpu_buffer buffer = gpu_buffer(gpu, QVK__GPU_MEMORY_DEVICE, 64 << 20);
    qvk__gpu_memory_budget(gpu, &after, &total);
    assert_true(after <= before - (64 << 20) || qvk__vulkan_of(gpu)->info.has_budget);
    qvk__gpu_buffer_destroy(gpu, &buffer);
    gpu_close(&gpu);
}

/* ---- several, and other people's ----------------------------------------------------------------------- */

static void several_gpus_live_side_by_side(void **state)
{
    (void)state;
    enum { GPUS = 3 };
    qvk__gpu *gpus[GPUS];
    qvk__gpu_buffer buffers[GPUS];
    vulkan_proxy_reset();
    for (uint32_t i = 0; i < GPUS; i++) {
        gpus[i] = gpu_open(NULL);
        buffers[i] = gpu_buffer(gpus[i], QVK__GPU_MEMORY_DEVICE, 4);
        assert_ok(qvk__gpu_upload(gpus[i], &buffers[i], 0, &i, 4, &test_err));
    }
    for (uint32_t i = 0; i < GPUS; i++) {
        uint32_t word = 99;
        assert_ok(qvk__gpu_download(gpus[i], &buffers[i], 0, &word, 4, &test_err));
        assert_int_equal(word, i);
        qvk__gpu_buffer_destroy(gpus[i], &buffers[i]);
        qvk__gpu_destroy(&gpus[i]);
    }
    assert_int_equal(vulkan_proxy_alive(), 0);
}

/* Fills a buffer with a kernel, and reads it. */
static void fill_and_check(qvk__gpu *gpu)
{
    uint32_t words[100];
    qvk__gpu_buffer params = gpu_fill_params(gpu, 0, 100, 42);
    qvk__gpu_buffer buffer = gpu_buffer(gpu, QVK__GPU_MEMORY_DEVICE, sizeof words);
    qvk__gpu_recording *recording = gpu_recording(gpu, 0);
    qvk__gpu_dispatch dispatch = gpu_fill_dispatch(gpu, &params, &buffer, 100);
    assert_ok(qvk__gpu_record_begin(recording, &test_err));
    assert_ok(qvk__gpu_record_dispatch(recording, &dispatch, &test_err));
    gpu_run(gpu, recording);
    assert_ok(qvk__gpu_download(gpu, &buffer, 0, words, sizeof words, &test_err));
    for (int i = 0; i < 100; i++)
        assert_int_equal(words[i], 42);
    qvk__gpu_recording_destroy(gpu, &recording);
    qvk__gpu_buffer_destroy(gpu, &buffer);
    qvk__gpu_buffer_destroy(gpu, &params);
}

/* The caller's instance and device: used, left alive, and trusted only as far as the caller says. */
static void a_callers_device_is_used_and_left_alone(void **state)
{
    (void)state;
    vulkan_proxy_reset();
    qvk__gpu *owner = gpu_open(NULL);
    const qvk__vulkan *vulkan = qvk__vulkan_of(owner);
    qvk__gpu_params params = {
        .vk_get_instance_proc_addr = vulkan_proxy_loader(),
        .vk_instance = vulkan->instance.handle,
        .vk_physical_device = vulkan->info.physical,
        .vk_device = vulkan->device,
        .vk_queue = vulkan->queue,
        .vk_queue_family = vulkan->info.queue_family,
    };
    qvk__gpu *gpu = gpu_open(&params);
    const uint32_t all = qvk__gpu_caps_of(owner)->flags;
    assert_int_equal(qvk__gpu_caps_of(gpu)->flags, all & QVK__CAP_PROPERTIES);
    fill_and_check(gpu);
    qvk__gpu_destroy(&gpu);

    params.vk_enabled = QVK__CAP_INT16 | QVK__CAP_STORAGE16;
    gpu = gpu_open(&params);
    assert_int_equal(qvk__gpu_caps_of(gpu)->flags, all & (params.vk_enabled | QVK__CAP_PROPERTIES));
    qvk__gpu_destroy(&gpu);

    params.vk_queue = NULL;
    assert_status(qvk__gpu_create(&params, &gpu, &test_err), QVK_INVALID_ARGUMENT);
    fill_and_check(owner); /* still alive */
    gpu_close(&owner);
}

/* ---- validation ---------------------------------------------------------------------------------------- */

static void keep_message(void *user, int level, const char *message)
{
    if (level == 0)
        snprintf(user, 200, "%s", message);
}

/* The layer is heard at all: without that its silence in the other tests would mean nothing. */
static void validation_messages_are_counted(void **state)
{
    (void)state;
    char message[200] = "";
    qvk__gpu *gpu = NULL;
    vulkan_proxy_reset();
    qvk__gpu_params params = proxy_params();
    params.validation = true;
    params.log = keep_message;
    params.log_user = message;
    qvk_status status = qvk__gpu_create(&params, &gpu, &test_err);
    if (status == QVK_UNSUPPORTED) {
        assert_non_null(strstr(test_err.message, "VK_LAYER_KHRONOS_validation is not installed"));
        assert_int_equal(vulkan_proxy_alive(), 0);
        skip();
    }
    test_assert_ok(status, &test_err, __FILE__, __LINE__);
    const qvk__vulkan *vulkan = qvk__vulkan_of(gpu);
    assert_int_equal(qvk__gpu_validation_messages(gpu), 0);
    /* The run under the layers counts every message of a test as a failure, and has a probe of its own. */
    if (getenv("VK_LAYER_SETTINGS_PATH")) {
        qvk__gpu_destroy(&gpu);
        skip();
    }
    VkFenceCreateInfo wrong = {.sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO};
    VkFence fence = VK_NULL_HANDLE;
    if (vulkan->vk.vkCreateFence(vulkan->device, &wrong, NULL, &fence) == VK_SUCCESS)
        vulkan->vk.vkDestroyFence(vulkan->device, fence, NULL);
    assert_int_equal(qvk__gpu_validation_messages(gpu), 1);
    assert_non_null(strstr(message, "validation: "));
    qvk__gpu_destroy(&gpu);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_machine_without_vulkan_is_told),
        cmocka_unit_test(a_driver_that_lacks_a_function_is_told),
        cmocka_unit_test(devices_are_listed_best_first),
        cmocka_unit_test(a_device_opens_by_index_name_and_uuid),
        cmocka_unit_test(disabled_features_are_gone),
        cmocka_unit_test(a_bare_device_has_no_flags),
        cmocka_unit_test(uncached_memory_is_not_mapped),
        cmocka_unit_test(the_budget_shrinks_by_what_is_allocated),
        cmocka_unit_test(several_gpus_live_side_by_side),
        cmocka_unit_test(a_callers_device_is_used_and_left_alone),
        cmocka_unit_test(validation_messages_are_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
