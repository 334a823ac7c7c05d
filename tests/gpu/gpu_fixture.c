#include "gpu_fixture.h"

#include <stdio.h>

#include "kernels/kernels.h"
#include "kernels/spirv.h"

qvk_error test_err;

void test_assert_ok(qvk_status status, const qvk_error *err, const char *file, int line)
{
    if (status != QVK_OK)
        print_error("%s: %s\n", qvk_status_name(status), err->message);
    _assert_int_equal(status, QVK_OK, file, line);
}

void test_assert_status(qvk_status status, qvk_status expected, const qvk_error *err, const char *file,
                        int line)
{
    if (status != expected)
        print_error("%s instead of %s: %s\n", qvk_status_name(status), qvk_status_name(expected),
                    status == QVK_OK ? "" : err->message);
    _assert_int_equal(status, expected, file, line);
}

static void print_log(void *user, int level, const char *message)
{
    (void)user;
    if (level < 2)
        print_error("log %d: %s\n", level, message);
}

qvk__gpu *gpu_open(const qvk__gpu_params *params)
{
    qvk__gpu *gpu = NULL;
    qvk__gpu_params with = params ? *params : (qvk__gpu_params){0};
    with.validation = !with.vk_instance && !with.null_device;
    if (!with.vk_get_instance_proc_addr)
        with.vk_get_instance_proc_addr = vulkan_proxy_loader();
    if (!with.log)
        with.log = print_log;
    qvk_status status = qvk__gpu_create(&with, &gpu, &test_err);
    if (status == QVK_UNSUPPORTED) {
        with.validation = false;
        status = qvk__gpu_create(&with, &gpu, &test_err);
    }
    test_assert_ok(status, &test_err, __FILE__, __LINE__);
    return gpu;
}

void gpu_close(qvk__gpu **gpu)
{
    uint32_t messages = qvk__gpu_validation_messages(*gpu);
    uint64_t used = qvk__gpu_memory_used(*gpu);
    qvk__gpu_destroy(gpu);
    assert_null(*gpu);
    assert_int_equal(messages, 0);
    assert_int_equal(used, 0);
    assert_int_equal(vulkan_proxy_alive(), 0);
}

static const gpu_test_variant variants[] = {
    {"as it is", {0}},
    {"as a discrete GPU", {.discrete = ""}},
    {"with the base path only", {.bare = true}},
};
const gpu_test_variant *gpu_variant = variants;

qvk__gpu *gpu_open_variant(void)
{
    vulkan_proxy_reset();
    proxy = gpu_variant->proxy;
    return gpu_open(NULL);
}

int gpu_run_all_variants(const struct CMUnitTest *tests, size_t n)
{
    int failed = 0;
    for (size_t i = 0; i < QVK__COUNT(variants); i++) {
        gpu_variant = &variants[i];
        failed += _cmocka_run_group_tests(variants[i].name, tests, n, NULL, NULL);
    }
    return failed;
}

qvk__gpu_buffer gpu_buffer(qvk__gpu *gpu, qvk__gpu_memory memory, uint64_t bytes)
{
    qvk__gpu_buffer buffer;
    assert_ok(qvk__gpu_buffer_create(gpu, memory, bytes, &buffer, &test_err));
    return buffer;
}

qvk__gpu_recording *gpu_recording(qvk__gpu *gpu, uint32_t n_timestamps)
{
    qvk__gpu_recording *recording = NULL;
    assert_ok(qvk__gpu_recording_create(gpu, n_timestamps, &recording, &test_err));
    return recording;
}

void gpu_run(qvk__gpu *gpu, qvk__gpu_recording *recording)
{
    assert_ok(qvk__gpu_record_end(recording, &test_err));
    assert_ok(qvk__gpu_submit(gpu, recording, &test_err));
    assert_ok(qvk__gpu_wait(gpu, recording, &test_err));
}

qvk__gpu_pipeline_params gpu_fill_pipeline_params(uint32_t group_size)
{
    const qvk__spirv *spirv = &qvk__spirv_table[QVK__KERNEL_FILL_U32];
    return (qvk__gpu_pipeline_params){
        .spirv = spirv->words,
        .n_words = spirv->n_words,
        .n_buffers = 1,
        .specs = {group_size},
        .n_specs = 1,
        .label = "fill_u32",
    };
}

const qvk__gpu_pipeline *gpu_fill_pipeline(qvk__gpu *gpu, uint32_t group_size)
{
    const qvk__gpu_pipeline *pipeline = NULL;
    qvk__gpu_pipeline_params params = gpu_fill_pipeline_params(group_size);
    assert_ok(qvk__gpu_pipeline_get(gpu, &params, &pipeline, &test_err));
    assert_non_null(pipeline);
    return pipeline;
}

uint32_t gpu_fill_groups(uint32_t count)
{
    return (count + FILL_GROUP_SIZE - 1) / FILL_GROUP_SIZE;
}

qvk__gpu_range gpu_whole(const qvk__gpu_buffer *buffer)
{
    return (qvk__gpu_range){buffer, 0, buffer->bytes};
}

qvk__gpu_dispatch gpu_fill_dispatch(qvk__gpu *gpu, const qvk__gpu_buffer *params,
                                    const qvk__gpu_buffer *words, uint32_t count)
{
    return (qvk__gpu_dispatch){
        .pipeline = gpu_fill_pipeline(gpu, FILL_GROUP_SIZE),
        .params = gpu_whole(params),
        .buffers = {gpu_whole(words)},
        .n_buffers = 1,
        .groups = {gpu_fill_groups(count), 1, 1},
    };
}

qvk__gpu_buffer gpu_fill_params(qvk__gpu *gpu, uint32_t first, uint32_t count, uint32_t pattern)
{
    fill_params params = {first, count, pattern, 0};
    qvk__gpu_buffer buffer = gpu_buffer(gpu, QVK__GPU_MEMORY_PARAMS, sizeof params);
    assert_non_null(buffer.mapped);
    memcpy(buffer.mapped, &params, sizeof params);
    return buffer;
}
