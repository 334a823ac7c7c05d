/*
 * Private to the room: the Vulkan device. Functions are grouped by the file that has them, in the order a gpu
 * comes to life: instance, caps, device, memory, upload, pipelines, recordings.
 */
#ifndef QVK__GPU_VULKAN_H
#define QVK__GPU_VULKAN_H

#include <pthread.h>

#include "gpu/gpu_backend.h"
#include "gpu/vulkan_table.h"

/* ---- vulkan_result.c ----------------------------------------------------------------------------------- */

/* Every Vulkan call that returns a VkResult: QVK__VK(gpu, err, gpu->vk.vkCreateFence(...)) is a qvk_status,
 * and the message names the function. A lost device is remembered in `gpu` (a qvk__vulkan *, or NULL before
 * there is one). */
#define QVK__VK(gpu, err, call) qvk__vk_status(gpu, err, call, #call)
typedef struct qvk__vulkan qvk__vulkan;
qvk_status qvk__vk_status(qvk__vulkan *gpu, qvk_error *err, VkResult result, const char *call);

/* ---- gpu_instance.c ------------------------------------------------------------------------------------ */

typedef struct qvk__vulkan_instance {
    VkInstance handle;
    bool owned;
    uint32_t api_version; /* what the instance lets its devices use */
    VkDebugUtilsMessengerEXT messenger;
} qvk__vulkan_instance;

/* Also loads vk's instance functions. `log` receives the validation layer's messages and must outlive the
 * instance.
 */
qvk_status qvk__vulkan_instance_create(qvk__vk *vk, const qvk__gpu_params *params, qvk__gpu_log *log,
                                       qvk__vulkan_instance *out, qvk_error *err);
void qvk__vulkan_instance_destroy(qvk__vk *vk, qvk__vulkan_instance *instance);

/* ---- gpu_caps.c ---------------------------------------------------------------------------------------- */

/* The features qvk may use; as found first, then as enabled. pNext pointers are set only by
 * qvk__vulkan_features_chain. */
typedef struct qvk__vulkan_features {
    VkPhysicalDeviceFeatures2 core;
    VkPhysicalDevice16BitStorageFeatures storage16;
    VkPhysicalDevice8BitStorageFeatures storage8;
    VkPhysicalDeviceShaderFloat16Int8Features arithmetic;
    VkPhysicalDeviceShaderIntegerDotProductFeatures dot;
    VkPhysicalDeviceSubgroupSizeControlFeatures subgroup_size;
    VkPhysicalDeviceVulkanMemoryModelFeatures memory_model;
    VkPhysicalDeviceMaintenance4Features maintenance4;
    VkPhysicalDeviceCooperativeMatrixFeaturesKHR coopmat;
} qvk__vulkan_features;

#define QVK__VULKAN_MAX_EXTENSIONS 16

typedef struct qvk__vulkan_info {
    VkPhysicalDevice physical;
    qvk__gpu_caps caps;
    qvk__vulkan_features features; /* to enable */
    const char *extensions[QVK__VULKAN_MAX_EXTENSIONS];
    uint32_t n_extensions;
    uint32_t queue_family, timestamp_bits;
    bool has_budget; /* VK_EXT_memory_budget */
    uint32_t max_allocations;
    uint8_t cache_uuid[VK_UUID_SIZE]; /* of the driver's pipeline cache format */
} qvk__vulkan_info;

/* *usable false (and the reason logged): Vulkan 1.0 only, or no compute queue. `disabled` flags are taken out
 * of caps and features. */
qvk_status qvk__vulkan_info_query(const qvk__vk *vk, const qvk__vulkan_instance *instance,
                                  VkPhysicalDevice physical, uint32_t disabled, const qvk__gpu_log *log,
                                  qvk__vulkan_info *out, bool *usable, qvk_error *err);
/* Links the structs that the device knows; returns the head for a pNext. */
void *qvk__vulkan_features_chain(qvk__vulkan_features *features);

/* ---- gpu_choice.c -------------------------------------------------------------------------------------- */

/* Usable devices, best first; free() the array. */
qvk_status qvk__vulkan_infos(const qvk__vk *vk, const qvk__vulkan_instance *instance, uint32_t disabled,
                             const qvk__gpu_log *log, qvk__vulkan_info **out, uint32_t *n, qvk_error *err);
/* The one that `wanted` names (see qvk__gpu_params.device), or QVK_NO_DEVICE with the list. */
qvk_status qvk__gpu_choose(const qvk__gpu_caps *const *caps, uint32_t n, const char *wanted, uint32_t *out,
                           qvk_error *err);

/* ---- gpu_memory.c -------------------------------------------------------------------------------------- */

#define QVK__MEMORY_KINDS 4 /* qvk__gpu_memory */

typedef struct qvk__memory_block qvk__memory_block;

typedef struct qvk__vulkan_memory {
    pthread_mutex_t lock;
    VkPhysicalDeviceMemoryProperties properties;
    /* Memory types to try for each kind, best first. */
    uint32_t types[QVK__MEMORY_KINDS][VK_MAX_MEMORY_TYPES], n_types[QVK__MEMORY_KINDS];
    qvk__memory_block *blocks; /* list */
    uint32_t n_allocations;
    uint64_t allocated; /* bytes of all vkAllocateMemory alive */
} qvk__vulkan_memory;

void qvk__vulkan_memory_init(qvk__vulkan *gpu);
void qvk__vulkan_memory_deinit(qvk__vulkan *gpu);
qvk_status qvk__vulkan_buffer_create(qvk__gpu *gpu, qvk__gpu_memory memory, uint64_t bytes,
                                     qvk__gpu_buffer *out, qvk_error *err);
void qvk__vulkan_buffer_destroy(qvk__gpu *gpu, qvk__gpu_buffer *buffer);
void qvk__vulkan_memory_budget(qvk__gpu *gpu, uint64_t *available, uint64_t *total);

/* ---- gpu_submit.c -------------------------------------------------------------------------------------- */

/* One command buffer in a pool of its own, with the fence of its runs. */
typedef struct qvk__vulkan_commands {
    VkCommandPool pool;
    VkCommandBuffer buffer;
    VkFence fence;
    bool pending; /* submitted and not yet seen finished */
} qvk__vulkan_commands;

qvk_status qvk__vulkan_commands_create(qvk__vulkan *gpu, qvk__vulkan_commands *out, qvk_error *err);
/* Waits while pending. A device that does not answer counts as hung and lost from then on: nothing that it
 * may still touch is freed. */
void qvk__vulkan_commands_settle(qvk__vulkan *gpu, qvk__vulkan_commands *commands);
/* Settles first. */
void qvk__vulkan_commands_destroy(qvk__vulkan *gpu, qvk__vulkan_commands *commands);
/* Empties the pool and starts recording, ordered after everything submitted earlier. */
qvk_status qvk__vulkan_commands_begin(qvk__vulkan *gpu, qvk__vulkan_commands *commands, bool once,
                                      qvk_error *err);
/* Makes writes visible to the host after the fence, and ends recording. */
qvk_status qvk__vulkan_commands_end(qvk__vulkan *gpu, qvk__vulkan_commands *commands, qvk_error *err);
qvk_status qvk__vulkan_commands_submit(qvk__vulkan *gpu, qvk__vulkan_commands *commands, qvk_error *err);
qvk_status qvk__vulkan_commands_wait(qvk__vulkan *gpu, qvk__vulkan_commands *commands, qvk_error *err);

/* What kernels and copies do, and what may come after them. */
#define QVK__STAGES_WRITING                                                                                  \
    ((VkPipelineStageFlags)VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_TRANSFER_BIT)
#define QVK__STAGES_ALL (QVK__STAGES_WRITING | VK_PIPELINE_STAGE_DRAW_INDIRECT_BIT)

/* All that the stages of `from` wrote so far, in whatever command, becomes visible to later work of the
 * stages of `to`, which also waits for their reads. */
void qvk__vulkan_barrier(qvk__vulkan *gpu, VkCommandBuffer commands, VkPipelineStageFlags from,
                         VkPipelineStageFlags to);

/* ---- gpu_upload.c -------------------------------------------------------------------------------------- */

#define QVK__RING_HALVES     2
#define QVK__RING_HALF_BYTES (16u << 20)

typedef struct qvk__ring_copy {
    VkBuffer dst;
    VkBufferCopy region;
} qvk__ring_copy;

typedef struct qvk__vulkan_ring {
    pthread_mutex_t lock;
    qvk__gpu_buffer buffer, readback; /* made when first needed */
    struct {
        qvk__vulkan_commands commands;
        uint64_t used;
        QVK__VEC(qvk__ring_copy) copies; /* waiting to be sent; kept when sending fails */
    } halves[QVK__RING_HALVES];
    qvk__vulkan_commands download;
    uint32_t current;                 /* half that is being filled; the other one's copies were sent */
    uint64_t span_offset, span_bytes; /* between begin and end */
    atomic_bool unsent;               /* the current half has copies */
    atomic_bool busy;                 /* unsent, or sent and not seen finished */
} qvk__vulkan_ring;

void qvk__vulkan_ring_deinit(qvk__vulkan *gpu);
qvk_status qvk__vulkan_upload_begin(qvk__gpu *gpu, uint64_t bytes, void **span, qvk_error *err);
qvk_status qvk__vulkan_upload_end(qvk__gpu *gpu, const qvk__gpu_buffer *dst, uint64_t offset, qvk_error *err);
qvk_status qvk__vulkan_upload_flush(qvk__gpu *gpu, qvk_error *err);
/* Submits what is waiting in the ring, so that later submits come after it. Free when there is nothing. */
qvk_status qvk__vulkan_upload_kick(qvk__vulkan *gpu, qvk_error *err);
qvk_status qvk__vulkan_download(qvk__gpu *gpu, const qvk__gpu_buffer *src, uint64_t offset, void *data,
                                uint64_t bytes, qvk_error *err);
/* The buffer is about to go: drops copies into it that wait, and lets those that run end. */
void qvk__vulkan_ring_forget(qvk__vulkan *gpu, VkBuffer buffer);

/* ---- gpu_cache.c --------------------------------------------------------------------------------------- */

/* The driver's cache, filled from disk where there is a file that fits. */
qvk_status qvk__vulkan_cache_init(qvk__vulkan *gpu, qvk_error *err);
qvk_status qvk__vulkan_cache_save(qvk__gpu *gpu, qvk_error *err);

/* ---- gpu_pipeline.c ------------------------------------------------------------------------------------ */

typedef struct qvk__vulkan_pipeline {
    qvk__gpu_pipeline base;
    VkPipeline handle;
    VkPipelineLayout layout;
    VkDescriptorSetLayout set_layout;
} qvk__vulkan_pipeline;

typedef struct qvk__pipeline_entry qvk__pipeline_entry;

typedef struct qvk__vulkan_pipelines {
    pthread_mutex_t lock;
    pthread_cond_t finished; /* a compilation */
    qvk__pipeline_entry *table[256];
    VkDescriptorSetLayout set_layouts[QVK__GPU_MAX_BINDINGS + 1]; /* by number of storage buffers */
    VkPipelineLayout layouts[QVK__GPU_MAX_BINDINGS + 1];
    VkPipelineCache cache;
    pthread_mutex_t save_lock;
    atomic_uint n_unsaved; /* pipelines made since the last save */
} qvk__vulkan_pipelines;

void qvk__vulkan_pipelines_deinit(qvk__vulkan *gpu);
qvk_status qvk__vulkan_pipeline_get(qvk__gpu *gpu, const qvk__gpu_pipeline_params *params,
                                    const qvk__gpu_pipeline **out, qvk_error *err);

/* ---- gpu_recording.c: the functions of the backend table ------------------------------------------------ */

qvk_status qvk__vulkan_recording_create(qvk__gpu *gpu, uint32_t n_timestamps, qvk__gpu_recording **out,
                                        qvk_error *err);
void qvk__vulkan_recording_destroy(qvk__gpu *gpu, qvk__gpu_recording *recording);
qvk_status qvk__vulkan_record_begin(qvk__gpu_recording *recording, qvk_error *err);
qvk_status qvk__vulkan_record_dispatch(qvk__gpu_recording *recording, const qvk__gpu_dispatch *dispatch,
                                       qvk_error *err);
void qvk__vulkan_record_barrier(qvk__gpu_recording *recording);
void qvk__vulkan_record_copy(qvk__gpu_recording *recording, const qvk__gpu_range *from,
                             const qvk__gpu_range *to);
void qvk__vulkan_record_fill(qvk__gpu_recording *recording, const qvk__gpu_range *range, uint32_t word);
void qvk__vulkan_record_timestamp(qvk__gpu_recording *recording, uint32_t index);
qvk_status qvk__vulkan_record_end(qvk__gpu_recording *recording, qvk_error *err);
qvk_status qvk__vulkan_submit(qvk__gpu *gpu, qvk__gpu_recording *recording, qvk_error *err);
qvk_status qvk__vulkan_wait(qvk__gpu *gpu, qvk__gpu_recording *recording, qvk_error *err);
qvk_status qvk__vulkan_timestamps(qvk__gpu *gpu, qvk__gpu_recording *recording, double *ns, uint32_t n,
                                  qvk_error *err);

/* ---- gpu_device.c -------------------------------------------------------------------------------------- */

struct qvk__vulkan {
    qvk__gpu base;
    qvk__vk vk;
    qvk__vulkan_instance instance;
    qvk__vulkan_info info;
    bool owns_device;
    VkDevice device;
    VkQueue queue;
    pthread_mutex_t queue_lock;
    uint64_t poll_ns; /* how long a wait polls before it blocks */
    qvk__vulkan_memory memory;
    qvk__vulkan_ring ring;
    qvk__vulkan_pipelines pipelines;
    /* The device stopped answering while it had work; see qvk__vulkan_commands_settle. */
    atomic_bool hung;
};

/* Of a qvk__gpu that is known to be a Vulkan one. */
static inline qvk__vulkan *qvk__vulkan_of(qvk__gpu *gpu)
{
    return (qvk__vulkan *)(void *)gpu;
}

#endif
