/* Command buffers recorded once and run many times, their descriptor sets and timestamps. */
#include "gpu/gpu_vulkan.h"

/* The first descriptor pool of a recording holds this many sets; each further one twice as many. */
#define FIRST_POOL_SETS   64
#define LARGEST_POOL_SETS 1024
#define STORAGE_PER_SET   6

typedef struct descriptor_pool {
    VkDescriptorPool handle;
    uint32_t n_sets, n_storage;
} descriptor_pool;

typedef struct vulkan_recording {
    qvk__gpu_recording base;
    qvk__vulkan_commands commands;
    VkQueryPool queries;
    QVK__VEC(descriptor_pool) pools;
    size_t pool; /* in use; those before it are full */
    uint32_t sets_left, storage_left;
    VkPipeline bound;
    /* A barrier is put down when the first command after it is known, and then only for that command's
     * stages: a chain of kernels never waits for copies or for the reading of group counts. */
    VkPipelineStageFlags owed;    /* stages whose next command needs a barrier first */
    VkPipelineStageFlags writing; /* stages that have worked in this recording */
} vulkan_recording;

static vulkan_recording *recording_of(qvk__gpu_recording *base)
{
    return (vulkan_recording *)(void *)base;
}

/* ---- life ---------------------------------------------------------------------------------------------- */

void qvk__vulkan_recording_destroy(qvk__gpu *base, qvk__gpu_recording *recording_base)
{
    qvk__vulkan *gpu = qvk__vulkan_of(base);
    vulkan_recording *recording = recording_of(recording_base);
    qvk__vulkan_commands_destroy(gpu, &recording->commands);
    if (!atomic_load(&gpu->hung)) {
        for (size_t i = 0; i < recording->pools.count; i++)
            gpu->vk.vkDestroyDescriptorPool(gpu->device, recording->pools.data[i].handle, NULL);
        if (recording->queries)
            gpu->vk.vkDestroyQueryPool(gpu->device, recording->queries, NULL);
    }
    free(recording->pools.data);
    free(recording);
}

qvk_status qvk__vulkan_recording_create(qvk__gpu *base, uint32_t n_timestamps, qvk__gpu_recording **out,
                                        qvk_error *err)
{
    qvk_status status;
    qvk__vulkan *gpu = qvk__vulkan_of(base);
    vulkan_recording *recording = qvk__alloc_zeroed(1, sizeof *recording);
    QVK__CHECK(recording, err, QVK_OUT_OF_MEMORY, "out of host memory");
    recording->base.gpu = base;
    recording->base.n_timestamps = n_timestamps;
    QVK__TRY_GO(qvk__vulkan_commands_create(gpu, &recording->commands, err));
    if (n_timestamps > 0 && base->caps.timestamp_ns > 0) {
        VkQueryPoolCreateInfo info = {
            .sType = VK_STRUCTURE_TYPE_QUERY_POOL_CREATE_INFO,
            .queryType = VK_QUERY_TYPE_TIMESTAMP,
            .queryCount = n_timestamps,
        };
        QVK__TRY_GO(
            QVK__VK(gpu, err, gpu->vk.vkCreateQueryPool(gpu->device, &info, NULL, &recording->queries)));
    }
    *out = &recording->base;
done:
    if (status != QVK_OK)
        qvk__vulkan_recording_destroy(base, &recording->base);
    return status;
}

/* ---- descriptor sets ----------------------------------------------------------------------------------- */

static void enter_pool(vulkan_recording *recording, size_t index)
{
    recording->pool = index;
    bool exists = index < recording->pools.count;
    recording->sets_left = exists ? recording->pools.data[index].n_sets : 0;
    recording->storage_left = exists ? recording->pools.data[index].n_storage : 0;
}

static qvk_status add_pool(qvk__vulkan *gpu, vulkan_recording *recording, qvk_error *err)
{
    size_t n = recording->pools.count;
    descriptor_pool pool = {.n_sets = n ? recording->pools.data[n - 1].n_sets * 2 : FIRST_POOL_SETS};
    pool.n_sets = QVK__MIN(pool.n_sets, LARGEST_POOL_SETS);
    pool.n_storage = pool.n_sets * STORAGE_PER_SET;
    VkDescriptorPoolSize sizes[] = {
        {VK_DESCRIPTOR_TYPE_UNIFORM_BUFFER, pool.n_sets},
        {VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, pool.n_storage},
    };
    VkDescriptorPoolCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_DESCRIPTOR_POOL_CREATE_INFO,
        .maxSets = pool.n_sets,
        .poolSizeCount = QVK__COUNT(sizes),
        .pPoolSizes = sizes,
    };
    QVK__CHECK(
        qvk__vec_reserve((void **)&recording->pools.data, &recording->pools.capacity, n + 1, sizeof pool),
        err, QVK_OUT_OF_MEMORY, "out of host memory");
    QVK__TRY(QVK__VK(gpu, err, gpu->vk.vkCreateDescriptorPool(gpu->device, &info, NULL, &pool.handle)));
    recording->pools.data[recording->pools.count++] = pool;
    return QVK_OK;
}

static qvk_status take_set(qvk__vulkan *gpu, vulkan_recording *recording,
                           const qvk__vulkan_pipeline *pipeline, VkDescriptorSet *out, qvk_error *err)
{
    uint32_t n_buffers = pipeline->base.n_buffers;
    if (recording->sets_left == 0 || recording->storage_left < n_buffers) {
        size_t next = recording->pools.count ? recording->pool + 1 : 0;
        if (next == recording->pools.count)
            QVK__TRY(add_pool(gpu, recording, err));
        enter_pool(recording, next);
    }
    VkDescriptorSetAllocateInfo info = {
        .sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_ALLOCATE_INFO,
        .descriptorPool = recording->pools.data[recording->pool].handle,
        .descriptorSetCount = 1,
        .pSetLayouts = &pipeline->set_layout,
    };
    QVK__TRY(QVK__VK(gpu, err, gpu->vk.vkAllocateDescriptorSets(gpu->device, &info, out)));
    recording->sets_left--;
    recording->storage_left -= n_buffers;
    return QVK_OK;
}

static void write_set(qvk__vulkan *gpu, VkDescriptorSet set, const qvk__gpu_dispatch *dispatch)
{
    VkDescriptorBufferInfo buffers[QVK__GPU_MAX_BINDINGS + 1];
    VkWriteDescriptorSet writes[QVK__GPU_MAX_BINDINGS + 1];
    uint32_t n = 0;
    for (uint32_t i = 0; i <= dispatch->n_buffers; i++) {
        const qvk__gpu_range *range = i == 0 ? &dispatch->params : &dispatch->buffers[i - 1];
        if (!range->buffer)
            continue;
        buffers[n] = (VkDescriptorBufferInfo){(VkBuffer)range->buffer->handle, range->offset, range->bytes};
        writes[n] = (VkWriteDescriptorSet){
            .sType = VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET,
            .dstSet = set,
            .dstBinding = i,
            .descriptorCount = 1,
            .descriptorType = i == 0 ? VK_DESCRIPTOR_TYPE_UNIFORM_BUFFER : VK_DESCRIPTOR_TYPE_STORAGE_BUFFER,
            .pBufferInfo = &buffers[n],
        };
        n++;
    }
    gpu->vk.vkUpdateDescriptorSets(gpu->device, n, writes, 0, NULL);
}

/* ---- barriers ------------------------------------------------------------------------------------------- */

/* Call before a command that works in `stages` is recorded. */
static void pay_barrier(qvk__vulkan *gpu, vulkan_recording *recording, VkPipelineStageFlags stages)
{
    VkPipelineStageFlags due = recording->owed & stages;
    if (due)
        qvk__vulkan_barrier(gpu, recording->commands.buffer, recording->writing, due);
    recording->owed &= ~due;
    recording->writing |= stages & QVK__STAGES_WRITING;
}

/* ---- recording ----------------------------------------------------------------------------------------- */

qvk_status qvk__vulkan_record_begin(qvk__gpu_recording *base, qvk_error *err)
{
    qvk__vulkan *gpu = qvk__vulkan_of(base->gpu);
    vulkan_recording *recording = recording_of(base);
    for (size_t i = 0; i < recording->pools.count; i++)
        QVK__TRY(QVK__VK(gpu, err,
                         gpu->vk.vkResetDescriptorPool(gpu->device, recording->pools.data[i].handle, 0)));
    enter_pool(recording, 0);
    recording->bound = VK_NULL_HANDLE;
    recording->owed = recording->writing = 0;
    QVK__TRY(qvk__vulkan_commands_begin(gpu, &recording->commands, false, err));
    if (recording->queries)
        gpu->vk.vkCmdResetQueryPool(recording->commands.buffer, recording->queries, 0, base->n_timestamps);
    return QVK_OK;
}

qvk_status qvk__vulkan_record_dispatch(qvk__gpu_recording *base, const qvk__gpu_dispatch *dispatch,
                                       qvk_error *err)
{
    qvk__vulkan *gpu = qvk__vulkan_of(base->gpu);
    vulkan_recording *recording = recording_of(base);
    const qvk__vulkan_pipeline *pipeline = (const void *)dispatch->pipeline;
    VkCommandBuffer commands = recording->commands.buffer;
    VkDescriptorSet set;
    QVK__TRY(take_set(gpu, recording, pipeline, &set, err));
    write_set(gpu, set, dispatch);
    pay_barrier(gpu, recording,
                VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT |
                    (dispatch->indirect ? VK_PIPELINE_STAGE_DRAW_INDIRECT_BIT : 0));
    if (recording->bound != pipeline->handle) {
        gpu->vk.vkCmdBindPipeline(commands, VK_PIPELINE_BIND_POINT_COMPUTE, pipeline->handle);
        recording->bound = pipeline->handle;
    }
    gpu->vk.vkCmdBindDescriptorSets(commands, VK_PIPELINE_BIND_POINT_COMPUTE, pipeline->layout, 0, 1, &set, 0,
                                    NULL);
    if (dispatch->indirect)
        gpu->vk.vkCmdDispatchIndirect(commands, (VkBuffer)dispatch->indirect->handle,
                                      dispatch->indirect_offset);
    else
        gpu->vk.vkCmdDispatch(commands, dispatch->groups[0], dispatch->groups[1], dispatch->groups[2]);
    return QVK_OK;
}

void qvk__vulkan_record_barrier(qvk__gpu_recording *base)
{
    vulkan_recording *recording = recording_of(base);
    if (recording->writing) /* before the first command, record_begin has seen to it */
        recording->owed = QVK__STAGES_ALL;
}

void qvk__vulkan_record_copy(qvk__gpu_recording *base, const qvk__gpu_range *from, const qvk__gpu_range *to)
{
    qvk__vulkan *gpu = qvk__vulkan_of(base->gpu);
    vulkan_recording *recording = recording_of(base);
    VkBufferCopy region = {from->offset, to->offset, from->bytes};
    pay_barrier(gpu, recording, VK_PIPELINE_STAGE_TRANSFER_BIT);
    gpu->vk.vkCmdCopyBuffer(recording->commands.buffer, (VkBuffer)from->buffer->handle,
                            (VkBuffer)to->buffer->handle, 1, &region);
}

void qvk__vulkan_record_fill(qvk__gpu_recording *base, const qvk__gpu_range *range, uint32_t word)
{
    qvk__vulkan *gpu = qvk__vulkan_of(base->gpu);
    vulkan_recording *recording = recording_of(base);
    pay_barrier(gpu, recording, VK_PIPELINE_STAGE_TRANSFER_BIT);
    gpu->vk.vkCmdFillBuffer(recording->commands.buffer, (VkBuffer)range->buffer->handle, range->offset,
                            range->bytes, word);
}

void qvk__vulkan_record_timestamp(qvk__gpu_recording *base, uint32_t index)
{
    vulkan_recording *recording = recording_of(base);
    if (recording->queries)
        qvk__vulkan_of(base->gpu)->vk.vkCmdWriteTimestamp(
            recording->commands.buffer, VK_PIPELINE_STAGE_BOTTOM_OF_PIPE_BIT, recording->queries, index);
}

qvk_status qvk__vulkan_record_end(qvk__gpu_recording *base, qvk_error *err)
{
    return qvk__vulkan_commands_end(qvk__vulkan_of(base->gpu), &recording_of(base)->commands, err);
}

/* ---- running ------------------------------------------------------------------------------------------- */

qvk_status qvk__vulkan_submit(qvk__gpu *base, qvk__gpu_recording *recording, qvk_error *err)
{
    qvk__vulkan *gpu = qvk__vulkan_of(base);
    QVK__TRY(qvk__vulkan_upload_kick(gpu, err));
    return qvk__vulkan_commands_submit(gpu, &recording_of(recording)->commands, err);
}

qvk_status qvk__vulkan_wait(qvk__gpu *base, qvk__gpu_recording *recording, qvk_error *err)
{
    return qvk__vulkan_commands_wait(qvk__vulkan_of(base), &recording_of(recording)->commands, err);
}

qvk_status qvk__vulkan_timestamps(qvk__gpu *base, qvk__gpu_recording *recording_base, double *ns, uint32_t n,
                                  qvk_error *err)
{
    qvk_status status;
    qvk__vulkan *gpu = qvk__vulkan_of(base);
    vulkan_recording *recording = recording_of(recording_base);
    uint64_t *ticks = qvk__alloc_zeroed(n, sizeof *ticks);
    QVK__CHECK(ticks, err, QVK_OUT_OF_MEMORY, "out of host memory");
    QVK__TRY_GO(
        QVK__VK(gpu, err,
                gpu->vk.vkGetQueryPoolResults(gpu->device, recording->queries, 0, n, n * sizeof *ticks, ticks,
                                              sizeof *ticks, VK_QUERY_RESULT_64_BIT)));
    /* Only the low timestamp_bits count, and they may wrap between two of them. */
    uint32_t bits = gpu->info.timestamp_bits;
    uint64_t mask = bits >= 64 ? UINT64_MAX : (UINT64_C(1) << bits) - 1;
    for (uint32_t i = 0; i < n; i++)
        ns[i] = (double)((ticks[i] - ticks[0]) & mask) * (double)base->caps.timestamp_ns;
done:
    free(ticks);
    return status;
}
