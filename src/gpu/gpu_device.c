/* The Vulkan device as a qvk__gpu: creation, destruction, and the table of its functions. */
#include "gpu/gpu_vulkan.h"

/* A wait polls this long before it blocks: a blocking wait costs some 25 us more, which counts only when the
 * work is short. Software devices need the processor that polling would burn. */
#define POLL_NS 2000000u

static const qvk__gpu_backend vulkan_backend;

/* ---- creation ------------------------------------------------------------------------------------------ */

static qvk_status choose_own(qvk__vulkan *gpu, const qvk__gpu_params *params, qvk_error *err)
{
    qvk_status status;
    qvk__vulkan_info *infos = NULL;
    const qvk__gpu_caps **caps = NULL;
    uint32_t n, index;
    QVK__TRY_GO(
        qvk__vulkan_infos(&gpu->vk, &gpu->instance, params->disabled, &gpu->base.log, &infos, &n, err));
    caps = qvk__alloc_zeroed(n, sizeof *caps);
    QVK__CHECK_GO(caps, err, QVK_OUT_OF_MEMORY, "out of host memory");
    for (uint32_t i = 0; i < n; i++)
        caps[i] = &infos[i].caps;
    QVK__TRY_GO(qvk__gpu_choose(caps, n, params->device, &index, err));
    gpu->info = infos[index];
done:
    free(caps);
    free(infos);
    return status;
}

static qvk_status create_own(qvk__vulkan *gpu, const qvk__gpu_params *params, qvk_error *err)
{
    QVK__TRY(choose_own(gpu, params, err));
    float priority = 1;
    VkDeviceQueueCreateInfo queue = {
        .sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO,
        .queueFamilyIndex = gpu->info.queue_family,
        .queueCount = 1,
        .pQueuePriorities = &priority,
    };
    VkDeviceCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO,
        .pNext = qvk__vulkan_features_chain(&gpu->info.features),
        .queueCreateInfoCount = 1,
        .pQueueCreateInfos = &queue,
        .enabledExtensionCount = gpu->info.n_extensions,
        .ppEnabledExtensionNames = gpu->info.extensions,
    };
    qvk_status status =
        QVK__VK(gpu, err, gpu->vk.vkCreateDevice(gpu->info.physical, &info, NULL, &gpu->device));
    if (status != QVK_OK)
        return qvk__error_context(err, status, "%s", gpu->info.caps.name);
    gpu->owns_device = true;
    QVK__TRY(qvk__vk_load_device(&gpu->vk, gpu->device, err));
    gpu->vk.vkGetDeviceQueue(gpu->device, gpu->info.queue_family, 0, &gpu->queue);
    return QVK_OK;
}

static qvk_status adopt(qvk__vulkan *gpu, const qvk__gpu_params *params, qvk_error *err)
{
    bool usable;
    uint32_t enabled = params->vk_enabled | QVK__CAP_PROPERTIES;
    QVK__CHECK(params->vk_physical_device && params->vk_device && params->vk_queue &&
                   params->vk_get_instance_proc_addr,
               err, QVK_INVALID_ARGUMENT,
               "caller-owned Vulkan: instance, physical device, device, queue and vkGetInstanceProcAddr are "
               "needed together");
    QVK__TRY(qvk__vulkan_info_query(&gpu->vk, &gpu->instance, params->vk_physical_device,
                                    params->disabled | ~enabled, &gpu->base.log, &gpu->info, &usable, err));
    QVK__CHECK(usable, err, QVK_NO_DEVICE, "the caller's Vulkan device lacks Vulkan 1.1 or a compute queue");
    gpu->device = params->vk_device;
    gpu->queue = params->vk_queue;
    if (gpu->info.queue_family != params->vk_queue_family) {
        gpu->info.queue_family = params->vk_queue_family;
        gpu->info.timestamp_bits = 0;
        gpu->info.caps.timestamp_ns = 0;
    }
    return qvk__vk_load_device(&gpu->vk, gpu->device, err);
}

static qvk_status start(qvk__vulkan *gpu, const qvk__gpu_params *params, qvk_error *err)
{
    QVK__TRY(qvk__vk_load(&gpu->vk, params->vk_get_instance_proc_addr, err));
    QVK__TRY(qvk__vulkan_instance_create(&gpu->vk, params, &gpu->base.log, &gpu->instance, err));
    QVK__TRY(params->vk_instance ? adopt(gpu, params, err) : create_own(gpu, params, err));
    gpu->base.caps = gpu->info.caps;
    QVK__TRY(qvk__gpu_init(&gpu->base, &vulkan_backend, params, err));
    gpu->base.upload_chunk = QVK__RING_HALF_BYTES;
    bool is_real = gpu->base.caps.type == QVK__GPU_DISCRETE || gpu->base.caps.type == QVK__GPU_VIRTUAL;
    gpu->poll_ns = is_real ? POLL_NS : 0;
    qvk__vulkan_memory_init(gpu);
    QVK__TRY(qvk__vulkan_cache_init(gpu, err));
    qvk__gpu_logf(&gpu->base.log, QVK__LOG_INFO, "device: %s, %s", gpu->base.caps.name,
                  gpu->base.caps.driver);
    return QVK_OK;
}

static void destroy(qvk__gpu *base)
{
    qvk__vulkan *gpu = qvk__vulkan_of(base);
    qvk__vulkan_ring_deinit(gpu); /* may find that the device hangs */
    qvk__vulkan_pipelines_deinit(gpu);
    qvk__vulkan_memory_deinit(gpu);
    bool hung = atomic_load(&gpu->hung);
    if (gpu->owns_device && !hung && gpu->vk.vkDestroyDevice)
        gpu->vk.vkDestroyDevice(gpu->device, NULL);
    if (hung)
        qvk__gpu_logf(&base->log, QVK__LOG_ERROR,
                      "%s does not answer; what it holds is freed when the process ends", base->caps.name);
    /* Without its devices an instance cannot go; the messenger must, it points to our log. */
    gpu->instance.owned = gpu->instance.owned && !hung;
    qvk__vulkan_instance_destroy(&gpu->vk, &gpu->instance);
    pthread_mutex_destroy(&gpu->queue_lock);
    pthread_mutex_destroy(&gpu->memory.lock);
    pthread_mutex_destroy(&gpu->ring.lock);
    pthread_mutex_destroy(&gpu->pipelines.lock);
    pthread_mutex_destroy(&gpu->pipelines.save_lock);
    pthread_cond_destroy(&gpu->pipelines.finished);
    qvk__gpu_deinit(base);
    free(gpu);
}

qvk_status qvk__vulkan_create(const qvk__gpu_params *params, qvk__gpu **out, qvk_error *err)
{
    qvk__vulkan *gpu = qvk__alloc_zeroed(1, sizeof *gpu);
    QVK__CHECK(gpu, err, QVK_OUT_OF_MEMORY, "out of host memory");
    gpu->base.log.fn = params->log;
    gpu->base.log.user = params->log_user;
    pthread_mutex_init(&gpu->queue_lock, NULL);
    pthread_mutex_init(&gpu->memory.lock, NULL);
    pthread_mutex_init(&gpu->ring.lock, NULL);
    pthread_mutex_init(&gpu->pipelines.lock, NULL);
    pthread_mutex_init(&gpu->pipelines.save_lock, NULL);
    pthread_cond_init(&gpu->pipelines.finished, NULL);
    qvk_status status = start(gpu, params, err);
    if (status != QVK_OK) {
        destroy(&gpu->base);
        return status;
    }
    *out = &gpu->base;
    return QVK_OK;
}

/* ---- enumeration --------------------------------------------------------------------------------------- */

qvk_status qvk__vulkan_enumerate(const qvk__gpu_params *params, qvk__gpu_caps *out, uint32_t *n,
                                 qvk_error *err)
{
    qvk_status status;
    qvk__vk vk;
    qvk__vulkan_instance instance = {0};
    qvk__vulkan_info *infos = NULL;
    qvk__gpu_log log = {.fn = params->log, .user = params->log_user};
    uint32_t n_found;
    QVK__TRY(qvk__vk_load(&vk, params->vk_get_instance_proc_addr, err));
    QVK__TRY(qvk__vulkan_instance_create(&vk, params, &log, &instance, err));
    QVK__TRY_GO(qvk__vulkan_infos(&vk, &instance, params->disabled, &log, &infos, &n_found, err));
    for (uint32_t i = 0; i < n_found && i < *n; i++)
        out[i] = infos[i].caps;
    *n = n_found;
done:
    free(infos);
    qvk__vulkan_instance_destroy(&vk, &instance);
    return status;
}

static const qvk__gpu_backend vulkan_backend = {
    .destroy = destroy,
    .buffer_create = qvk__vulkan_buffer_create,
    .buffer_destroy = qvk__vulkan_buffer_destroy,
    .memory_budget = qvk__vulkan_memory_budget,
    .upload_begin = qvk__vulkan_upload_begin,
    .upload_end = qvk__vulkan_upload_end,
    .download = qvk__vulkan_download,
    .upload_flush = qvk__vulkan_upload_flush,
    .pipeline_get = qvk__vulkan_pipeline_get,
    .cache_save = qvk__vulkan_cache_save,
    .recording_create = qvk__vulkan_recording_create,
    .recording_destroy = qvk__vulkan_recording_destroy,
    .record_begin = qvk__vulkan_record_begin,
    .record_dispatch = qvk__vulkan_record_dispatch,
    .record_barrier = qvk__vulkan_record_barrier,
    .record_copy = qvk__vulkan_record_copy,
    .record_fill = qvk__vulkan_record_fill,
    .record_timestamp = qvk__vulkan_record_timestamp,
    .record_end = qvk__vulkan_record_end,
    .submit = qvk__vulkan_submit,
    .wait = qvk__vulkan_wait,
    .timestamps = qvk__vulkan_timestamps,
};
