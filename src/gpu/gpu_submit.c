/* Command buffers, their submission, and waiting that always ends. */
#include <sched.h>

#include "gpu/gpu_vulkan.h"

/* One blocking wait. Drivers differ in whether a long one notices a lost device. */
#define SLICE_NS 250000000u

/* A wait may fail for want of host memory and tell nothing about the device; it is then tried again. */
#define SETTLE_WAITS 3

/* Between two polls: the call itself is short, and another thread may want the processor. */
#define POLLS_PER_YIELD 16

qvk_status qvk__vulkan_commands_create(qvk__vulkan *gpu, qvk__vulkan_commands *out, qvk_error *err)
{
    qvk_status status;
    qvk__vulkan_commands commands = {0};
    VkCommandPoolCreateInfo pool = {
        .sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO,
        .queueFamilyIndex = gpu->info.queue_family,
    };
    QVK__TRY_GO(QVK__VK(gpu, err, gpu->vk.vkCreateCommandPool(gpu->device, &pool, NULL, &commands.pool)));
    VkCommandBufferAllocateInfo buffer = {
        .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
        .commandPool = commands.pool,
        .level = VK_COMMAND_BUFFER_LEVEL_PRIMARY,
        .commandBufferCount = 1,
    };
    QVK__TRY_GO(QVK__VK(gpu, err, gpu->vk.vkAllocateCommandBuffers(gpu->device, &buffer, &commands.buffer)));
    VkFenceCreateInfo fence = {.sType = VK_STRUCTURE_TYPE_FENCE_CREATE_INFO};
    QVK__TRY_GO(QVK__VK(gpu, err, gpu->vk.vkCreateFence(gpu->device, &fence, NULL, &commands.fence)));
    *out = commands;
done:
    if (status != QVK_OK)
        qvk__vulkan_commands_destroy(gpu, &commands);
    return status;
}

void qvk__vulkan_commands_settle(qvk__vulkan *gpu, qvk__vulkan_commands *commands)
{
    qvk_status status = QVK_OK;
    for (int i = 0; i < SETTLE_WAITS && commands->pending && status != QVK_TIMEOUT; i++)
        status = qvk__vulkan_commands_wait(gpu, commands, NULL);
    if (commands->pending) {
        atomic_store(&gpu->hung, true);
        atomic_store(&gpu->base.lost, true);
    }
}

void qvk__vulkan_commands_destroy(qvk__vulkan *gpu, qvk__vulkan_commands *commands)
{
    qvk__vulkan_commands_settle(gpu, commands);
    if (!atomic_load(&gpu->hung)) {
        if (commands->fence)
            gpu->vk.vkDestroyFence(gpu->device, commands->fence, NULL);
        if (commands->pool)
            gpu->vk.vkDestroyCommandPool(gpu->device, commands->pool, NULL);
    }
    *commands = (qvk__vulkan_commands){0};
}

/* ---- recording ----------------------------------------------------------------------------------------- */

void qvk__vulkan_barrier(qvk__vulkan *gpu, VkCommandBuffer commands, VkPipelineStageFlags from,
                         VkPipelineStageFlags to)
{
    static const struct {
        VkPipelineStageFlags stage;
        VkAccessFlags writes, all;
    } accesses[] = {
        {VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, VK_ACCESS_SHADER_WRITE_BIT,
         VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT | VK_ACCESS_UNIFORM_READ_BIT},
        {VK_PIPELINE_STAGE_TRANSFER_BIT, VK_ACCESS_TRANSFER_WRITE_BIT,
         VK_ACCESS_TRANSFER_READ_BIT | VK_ACCESS_TRANSFER_WRITE_BIT},
        {VK_PIPELINE_STAGE_DRAW_INDIRECT_BIT, 0, VK_ACCESS_INDIRECT_COMMAND_READ_BIT},
        {VK_PIPELINE_STAGE_HOST_BIT, 0, VK_ACCESS_HOST_READ_BIT},
    };
    VkMemoryBarrier barrier = {.sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER};
    for (size_t i = 0; i < QVK__COUNT(accesses); i++) {
        barrier.srcAccessMask |= from & accesses[i].stage ? accesses[i].writes : 0;
        barrier.dstAccessMask |= to & accesses[i].stage ? accesses[i].all : 0;
    }
    gpu->vk.vkCmdPipelineBarrier(commands, from, to, 0, 1, &barrier, 0, NULL, 0, NULL);
}

qvk_status qvk__vulkan_commands_begin(qvk__vulkan *gpu, qvk__vulkan_commands *commands, bool once,
                                      qvk_error *err)
{
    VkCommandBufferBeginInfo info = {
        .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO,
        .flags = once ? VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT : 0,
    };
    QVK__TRY(QVK__VK(gpu, err, gpu->vk.vkResetCommandPool(gpu->device, commands->pool, 0)));
    QVK__TRY(QVK__VK(gpu, err, gpu->vk.vkBeginCommandBuffer(commands->buffer, &info)));
    qvk__vulkan_barrier(gpu, commands->buffer, QVK__STAGES_WRITING, QVK__STAGES_ALL);
    return QVK_OK;
}

qvk_status qvk__vulkan_commands_end(qvk__vulkan *gpu, qvk__vulkan_commands *commands, qvk_error *err)
{
    qvk__vulkan_barrier(gpu, commands->buffer, QVK__STAGES_WRITING, VK_PIPELINE_STAGE_HOST_BIT);
    return QVK__VK(gpu, err, gpu->vk.vkEndCommandBuffer(commands->buffer));
}

/* ---- running ------------------------------------------------------------------------------------------- */

qvk_status qvk__vulkan_commands_submit(qvk__vulkan *gpu, qvk__vulkan_commands *commands, qvk_error *err)
{
    VkSubmitInfo info = {
        .sType = VK_STRUCTURE_TYPE_SUBMIT_INFO,
        .commandBufferCount = 1,
        .pCommandBuffers = &commands->buffer,
    };
    QVK__TRY(QVK__VK(gpu, err, gpu->vk.vkResetFences(gpu->device, 1, &commands->fence)));
    pthread_mutex_lock(&gpu->queue_lock);
    VkResult result = gpu->vk.vkQueueSubmit(gpu->queue, 1, &info, commands->fence);
    pthread_mutex_unlock(&gpu->queue_lock);
    QVK__TRY(qvk__vk_status(gpu, err, result, "vkQueueSubmit"));
    commands->pending = true;
    return QVK_OK;
}

static VkResult poll(qvk__vulkan *gpu, VkFence fence, uint64_t start)
{
    VkResult result = VK_NOT_READY;
    if (gpu->poll_ns == 0)
        return result;
    do {
        for (int i = 0; i < POLLS_PER_YIELD && result == VK_NOT_READY; i++)
            result = gpu->vk.vkGetFenceStatus(gpu->device, fence);
        if (result == VK_NOT_READY)
            sched_yield();
    } while (result == VK_NOT_READY && qvk__clock_ns() - start < gpu->poll_ns);
    return result;
}

qvk_status qvk__vulkan_commands_wait(qvk__vulkan *gpu, qvk__vulkan_commands *commands, qvk_error *err)
{
    if (!commands->pending)
        return QVK_OK;
    uint64_t start = qvk__clock_ns(), waited = 0;
    const char *call = "vkGetFenceStatus";
    VkResult result = poll(gpu, commands->fence, start);
    while (result == VK_NOT_READY || result == VK_TIMEOUT) {
        if (waited >= gpu->base.timeout_ns)
            return qvk__fail(err, QVK_TIMEOUT, "%s did not finish within %.1f s", gpu->base.caps.name,
                             (double)gpu->base.timeout_ns * 1e-9);
        call = "vkWaitForFences";
        result = gpu->vk.vkWaitForFences(gpu->device, 1, &commands->fence, VK_TRUE,
                                         QVK__MIN(gpu->base.timeout_ns - waited, SLICE_NS));
        waited = qvk__clock_ns() - start;
    }
    /* Whatever else went wrong while waiting (host memory), the work may still run. */
    commands->pending = result != VK_SUCCESS && result != VK_ERROR_DEVICE_LOST;
    return qvk__vk_status(gpu, err, result, call);
}
