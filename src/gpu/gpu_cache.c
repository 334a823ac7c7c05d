/*
 * The pipeline cache on disk. A driver reads its own blob with little suspicion, so a file is handed over
 * only when our header's checksum and the blob's own header (Vulkan specification,
 * VkPipelineCacheHeaderVersionOne) both fit this device and driver. Anything else is ignored with a line in
 * the log: a cache is never worth an error.
 */
#include <stdio.h>
#include <sys/stat.h>

#include "gpu/gpu_vulkan.h"

#define FILE_MAGIC     "QVKPIPE1"
#define FILE_MAX_BYTES (256u << 20)

typedef struct file_header {
    char magic[8];
    uint64_t bytes, checksum; /* of the blob that follows */
} file_header;

/* The first 32 bytes of a blob; written by the driver in host order. */
typedef struct blob_header {
    uint32_t bytes, version, vendor_id, device_id;
    uint8_t uuid[VK_UUID_SIZE];
} blob_header;

/* ---- reading ------------------------------------------------------------------------------------------- */

static const char *reason_to_ignore(const qvk__vulkan *gpu, const qvk__file *file)
{
    file_header header;
    blob_header blob;
    if (file->bytes < sizeof header + sizeof blob || file->bytes > FILE_MAX_BYTES)
        return "its size is wrong";
    memcpy(&header, file->data, sizeof header);
    if (memcmp(header.magic, FILE_MAGIC, sizeof header.magic) != 0)
        return "it is no pipeline cache of this version";
    if (header.bytes != file->bytes - sizeof header ||
        header.checksum != qvk__hash64(file->data + sizeof header, (size_t)header.bytes, 0))
        return "it is damaged";
    memcpy(&blob, file->data + sizeof header, sizeof blob);
    if (blob.bytes < sizeof blob || blob.bytes > header.bytes ||
        blob.version != VK_PIPELINE_CACHE_HEADER_VERSION_ONE || blob.vendor_id != gpu->base.caps.vendor_id ||
        blob.device_id != gpu->base.caps.device_id ||
        memcmp(blob.uuid, gpu->info.cache_uuid, sizeof blob.uuid) != 0)
        return "it is of another driver";
    return NULL;
}

/* VK_NULL_HANDLE when there is nothing usable. */
static VkPipelineCache read_cache(qvk__vulkan *gpu, const char *path)
{
    VkPipelineCache cache = VK_NULL_HANDLE;
    qvk__file file = {0};
    struct stat information;
    if (stat(path, &information) != 0)
        return cache;
    const char *reason = "it cannot be read";
    if (qvk__file_map(path, &file, NULL) == QVK_OK)
        reason = reason_to_ignore(gpu, &file);
    if (!reason) {
        VkPipelineCacheCreateInfo info = {
            .sType = VK_STRUCTURE_TYPE_PIPELINE_CACHE_CREATE_INFO,
            .initialDataSize = (size_t)file.bytes - sizeof(file_header),
            .pInitialData = file.data + sizeof(file_header),
        };
        if (gpu->vk.vkCreatePipelineCache(gpu->device, &info, NULL, &cache) != VK_SUCCESS) {
            cache = VK_NULL_HANDLE;
            reason = "the driver rejects it";
        }
    }
    if (reason)
        qvk__gpu_logf(&gpu->base.log, QVK__LOG_WARNING, "pipeline cache %s ignored: %s", path, reason);
    qvk__file_unmap(&file);
    return cache;
}

qvk_status qvk__vulkan_cache_init(qvk__vulkan *gpu, qvk_error *err)
{
    char path[1024];
    QVK__TRY(qvk__gpu_cache_path(&gpu->base, "pipelines", path, sizeof path, err));
    if (*path)
        gpu->pipelines.cache = read_cache(gpu, path);
    if (gpu->pipelines.cache)
        return QVK_OK;
    VkPipelineCacheCreateInfo info = {.sType = VK_STRUCTURE_TYPE_PIPELINE_CACHE_CREATE_INFO};
    return QVK__VK(gpu, err, gpu->vk.vkCreatePipelineCache(gpu->device, &info, NULL, &gpu->pipelines.cache));
}

/* ---- writing ------------------------------------------------------------------------------------------- */

/* What another process stored since we read it is kept. */
static void merge_from_disk(qvk__vulkan *gpu, const char *path)
{
    VkPipelineCache other = read_cache(gpu, path);
    if (!other)
        return;
    if (gpu->vk.vkMergePipelineCaches(gpu->device, gpu->pipelines.cache, 1, &other) != VK_SUCCESS)
        qvk__gpu_logf(&gpu->base.log, QVK__LOG_WARNING, "pipeline cache %s: not merged", path);
    gpu->vk.vkDestroyPipelineCache(gpu->device, other, NULL);
}

static qvk_status write_cache(qvk__vulkan *gpu, const char *path, qvk_error *err)
{
    qvk_status status;
    size_t bytes = 0;
    uint8_t *data = NULL;
    QVK__TRY_GO(
        QVK__VK(gpu, err, gpu->vk.vkGetPipelineCacheData(gpu->device, gpu->pipelines.cache, &bytes, NULL)));
    data = qvk__alloc_zeroed(sizeof(file_header) + (uint64_t)bytes, 1);
    QVK__CHECK_GO(data, err, QVK_OUT_OF_MEMORY, "out of host memory");
    /* VK_INCOMPLETE: it grew in between; what fits is valid. */
    VkResult result =
        gpu->vk.vkGetPipelineCacheData(gpu->device, gpu->pipelines.cache, &bytes, data + sizeof(file_header));
    if (result != VK_INCOMPLETE)
        QVK__TRY_GO(qvk__vk_status(gpu, err, result, "vkGetPipelineCacheData"));
    if (bytes < sizeof(blob_header)) /* this driver keeps none */
        goto done;
    file_header header = {.bytes = bytes, .checksum = qvk__hash64(data + sizeof header, bytes, 0)};
    memcpy(header.magic, FILE_MAGIC, sizeof header.magic);
    memcpy(data, &header, sizeof header);
    QVK__TRY_GO(qvk__file_write(path, data, sizeof header + (uint64_t)bytes, err));
done:
    free(data);
    return status;
}

qvk_status qvk__vulkan_cache_save(qvk__gpu *base, qvk_error *err)
{
    qvk__vulkan *gpu = qvk__vulkan_of(base);
    char path[1024];
    unsigned n_unsaved = atomic_exchange(&gpu->pipelines.n_unsaved, 0);
    QVK__TRY(qvk__gpu_cache_path(base, "pipelines", path, sizeof path, err));
    if (!*path || n_unsaved == 0)
        return QVK_OK;
    qvk_status status = qvk__folders_make(path, err);
    if (status == QVK_OK) {
        pthread_mutex_lock(&gpu->pipelines.save_lock);
        merge_from_disk(gpu, path);
        status = write_cache(gpu, path, err);
        pthread_mutex_unlock(&gpu->pipelines.save_lock);
    }
    if (status != QVK_OK)
        atomic_fetch_add(&gpu->pipelines.n_unsaved, n_unsaved);
    return status;
}
