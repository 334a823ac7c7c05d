/*
 * The null device: limits as small as the Vulkan specification allows, host memory for buffers, and
 * recordings that run in no time and do nothing. Planning, binding and lifetimes are tested with it where
 * there is no driver.
 */
#include <pthread.h>
#include <stdio.h>

#include "gpu/gpu_backend.h"

typedef struct null_pipeline {
    qvk__gpu_pipeline base;
    struct null_pipeline *next;
    qvk__gpu_pipeline_params params;
} null_pipeline;

typedef struct null_gpu {
    qvk__gpu base;
    pthread_mutex_t lock;
    null_pipeline *pipelines;
} null_gpu;

static null_gpu *null_of(qvk__gpu *base)
{
    return (null_gpu *)(void *)base;
}

/* Vulkan 1.1, table "Required limits". */
void qvk__null_caps(qvk__gpu_caps *out)
{
    *out = (qvk__gpu_caps){
        .name = "null",
        .driver = "qvk null device",
        .uuid = "qvk null device",
        .api_version = 1u << 22 | 1u << 12,
        .type = QVK__GPU_OTHER,
        .subgroup_size = 1,
        .subgroup_size_min = 1,
        .subgroup_size_max = 1,
        .max_invocations = 128,
        .max_group_size = {128, 128, 64},
        .max_group_count = {65535, 65535, 65535},
        .shared_bytes = 16384,
        .max_storage_range = 1u << 27,
        .max_uniform_range = 16384,
        .max_allocation = 1u << 30,
        .device_memory = UINT64_C(1) << 32,
        .storage_alignment = 256,
        .uniform_alignment = 256,
        .max_buffers =
            QVK__GPU_MAX_BINDINGS, /* the required 4 is met nowhere, and would refuse real kernels */
        .timestamp_ns = 1,
    };
}

static void null_destroy(qvk__gpu *base)
{
    null_gpu *gpu = null_of(base);
    while (gpu->pipelines) {
        null_pipeline *pipeline = gpu->pipelines;
        gpu->pipelines = pipeline->next;
        free(pipeline);
    }
    pthread_mutex_destroy(&gpu->lock);
    qvk__gpu_deinit(base);
    free(gpu);
}

static qvk_status null_buffer_create(qvk__gpu *gpu, qvk__gpu_memory kind, uint64_t bytes,
                                     qvk__gpu_buffer *out, qvk_error *err)
{
    void *memory = qvk__alloc_zeroed(bytes, 1);
    QVK__CHECK(memory, err, QVK_OUT_OF_DEVICE_MEMORY, "%s: out of device memory: %.1f MiB wanted",
               gpu->caps.name, (double)bytes / (1 << 20));
    *out = (qvk__gpu_buffer){(uint64_t)(uintptr_t)memory, memory, bytes, memory, kind};
    return QVK_OK;
}

static void null_buffer_destroy(qvk__gpu *gpu, qvk__gpu_buffer *buffer)
{
    (void)gpu;
    free(buffer->allocation);
}

static void null_memory_budget(qvk__gpu *gpu, uint64_t *available, uint64_t *total)
{
    *total = gpu->caps.device_memory;
    *available = *total - QVK__MIN(*total, atomic_load(&gpu->memory_used));
}

static qvk_status null_upload_flush(qvk__gpu *gpu, qvk_error *err)
{
    (void)gpu;
    (void)err;
    return QVK_OK;
}

static qvk_status null_cache_save(qvk__gpu *gpu, qvk_error *err)
{
    (void)gpu;
    (void)err;
    return QVK_OK;
}

/* ---- pipelines ----------------------------------------------------------------------------------------- */

static bool same_pipeline(const qvk__gpu_pipeline_params *a, const qvk__gpu_pipeline_params *b)
{
    return a->spirv == b->spirv && a->n_words == b->n_words && a->n_buffers == b->n_buffers &&
           a->subgroup_size == b->subgroup_size && a->n_specs == b->n_specs &&
           memcmp(a->specs, b->specs, a->n_specs * sizeof *a->specs) == 0;
}

static qvk_status null_pipeline_get(qvk__gpu *base, const qvk__gpu_pipeline_params *params,
                                    const qvk__gpu_pipeline **out, qvk_error *err)
{
    null_gpu *gpu = null_of(base);
    pthread_mutex_lock(&gpu->lock);
    null_pipeline *pipeline = gpu->pipelines;
    while (pipeline && !same_pipeline(&pipeline->params, params))
        pipeline = pipeline->next;
    if (!pipeline && (pipeline = qvk__alloc_zeroed(1, sizeof *pipeline)) != NULL) {
        pipeline->params = *params;
        pipeline->params.label = NULL;
        pipeline->base.n_buffers = params->n_buffers;
        snprintf(pipeline->base.label, sizeof pipeline->base.label, "%s", params->label ? params->label : "");
        pipeline->next = gpu->pipelines;
        gpu->pipelines = pipeline;
    }
    pthread_mutex_unlock(&gpu->lock);
    QVK__CHECK(pipeline, err, QVK_OUT_OF_MEMORY, "out of host memory");
    *out = &pipeline->base;
    return QVK_OK;
}

/* ---- recordings ---------------------------------------------------------------------------------------- */

static qvk_status null_recording_create(qvk__gpu *gpu, uint32_t n_timestamps, qvk__gpu_recording **out,
                                        qvk_error *err)
{
    qvk__gpu_recording *recording = qvk__alloc_zeroed(1, sizeof *recording);
    QVK__CHECK(recording, err, QVK_OUT_OF_MEMORY, "out of host memory");
    recording->gpu = gpu;
    recording->n_timestamps = n_timestamps;
    *out = recording;
    return QVK_OK;
}

static void null_recording_destroy(qvk__gpu *gpu, qvk__gpu_recording *recording)
{
    (void)gpu;
    free(recording);
}

static qvk_status null_record(qvk__gpu_recording *recording, qvk_error *err)
{
    (void)recording;
    (void)err;
    return QVK_OK;
}

static qvk_status null_record_dispatch(qvk__gpu_recording *recording, const qvk__gpu_dispatch *dispatch,
                                       qvk_error *err)
{
    (void)dispatch;
    return null_record(recording, err);
}

static void null_record_barrier(qvk__gpu_recording *recording)
{
    (void)recording;
}

static void null_record_copy(qvk__gpu_recording *recording, const qvk__gpu_range *from,
                             const qvk__gpu_range *to)
{
    (void)recording;
    (void)from;
    (void)to;
}

static void null_record_fill(qvk__gpu_recording *recording, const qvk__gpu_range *range, uint32_t word)
{
    (void)recording;
    (void)range;
    (void)word;
}

static void null_record_timestamp(qvk__gpu_recording *recording, uint32_t index)
{
    (void)recording;
    (void)index;
}

static qvk_status null_run(qvk__gpu *gpu, qvk__gpu_recording *recording, qvk_error *err)
{
    (void)gpu;
    return null_record(recording, err);
}

static qvk_status null_timestamps(qvk__gpu *gpu, qvk__gpu_recording *recording, double *ns, uint32_t n,
                                  qvk_error *err)
{
    (void)gpu;
    memset(ns, 0, n * sizeof *ns);
    return null_record(recording, err);
}

/* Buffers are mapped, so the front never comes here for uploads and downloads. */
static const qvk__gpu_backend null_backend = {
    .destroy = null_destroy,
    .buffer_create = null_buffer_create,
    .buffer_destroy = null_buffer_destroy,
    .memory_budget = null_memory_budget,
    .upload_flush = null_upload_flush,
    .pipeline_get = null_pipeline_get,
    .cache_save = null_cache_save,
    .recording_create = null_recording_create,
    .recording_destroy = null_recording_destroy,
    .record_begin = null_record,
    .record_dispatch = null_record_dispatch,
    .record_barrier = null_record_barrier,
    .record_copy = null_record_copy,
    .record_fill = null_record_fill,
    .record_timestamp = null_record_timestamp,
    .record_end = null_record,
    .submit = null_run,
    .wait = null_run,
    .timestamps = null_timestamps,
};

qvk_status qvk__null_create(const qvk__gpu_params *params, qvk__gpu **out, qvk_error *err)
{
    null_gpu *gpu = qvk__alloc_zeroed(1, sizeof *gpu);
    QVK__CHECK(gpu, err, QVK_OUT_OF_MEMORY, "out of host memory");
    pthread_mutex_init(&gpu->lock, NULL);
    qvk__null_caps(&gpu->base.caps);
    gpu->base.caps.flags &= ~params->disabled;
    qvk_status status = qvk__gpu_init(&gpu->base, &null_backend, params, err);
    if (status != QVK_OK) {
        null_destroy(&gpu->base);
        return status;
    }
    *out = &gpu->base;
    return QVK_OK;
}
