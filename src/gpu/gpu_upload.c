/*
 * The upload ring: two halves of host memory, one being filled while the copies of the other run. Its lock is
 * held from begin to end. Copies are recorded only when a half is sent, so that a failure to send loses none
 * of them: the next try records them again. Downloads go the other way through a buffer of one half's size.
 */
#include "gpu/gpu_vulkan.h"

/* Copies need none, but spans that start on a cache line pack faster. */
#define SPAN_ALIGNMENT 64

static qvk_status make_ring(qvk__vulkan *gpu, qvk_error *err)
{
    qvk__vulkan_ring *ring = &gpu->ring;
    if (ring->buffer.handle)
        return QVK_OK;
    for (int i = 0; i < QVK__RING_HALVES; i++)
        if (!ring->halves[i].commands.pool)
            QVK__TRY(qvk__vulkan_commands_create(gpu, &ring->halves[i].commands, err));
    return qvk__vulkan_buffer_create(&gpu->base, QVK__GPU_MEMORY_UPLOAD,
                                     (uint64_t)QVK__RING_HALVES * QVK__RING_HALF_BYTES, &ring->buffer, err);
}

void qvk__vulkan_ring_deinit(qvk__vulkan *gpu)
{
    qvk__vulkan_ring *ring = &gpu->ring;
    for (int i = 0; i < QVK__RING_HALVES; i++) {
        qvk__vulkan_commands_destroy(gpu, &ring->halves[i].commands);
        free(ring->halves[i].copies.data);
    }
    qvk__vulkan_commands_destroy(gpu, &ring->download);
    atomic_store(&ring->busy, false);
    if (ring->buffer.handle)
        qvk__vulkan_buffer_destroy(&gpu->base, &ring->buffer);
    if (ring->readback.handle)
        qvk__vulkan_buffer_destroy(&gpu->base, &ring->readback);
}

/* ---- sending ------------------------------------------------------------------------------------------- */

/* Submits the copies of the current half, and turns to the other one. */
static qvk_status send_half(qvk__vulkan *gpu, qvk_error *err)
{
    qvk__vulkan_ring *ring = &gpu->ring;
    uint32_t current = ring->current;
    size_t n = ring->halves[current].copies.count;
    qvk__vulkan_commands *commands = &ring->halves[current].commands;
    if (n == 0) { /* there may have been some, and been forgotten */
        ring->halves[current].used = 0;
        return QVK_OK;
    }
    QVK__TRY(qvk__vulkan_commands_begin(gpu, commands, true, err));
    for (size_t i = 0; i < n; i++) {
        const qvk__ring_copy *copy = &ring->halves[current].copies.data[i];
        if (i > 0) /* the same place may be written twice */
            qvk__vulkan_barrier(gpu, commands->buffer, VK_PIPELINE_STAGE_TRANSFER_BIT,
                                VK_PIPELINE_STAGE_TRANSFER_BIT);
        gpu->vk.vkCmdCopyBuffer(commands->buffer, (VkBuffer)ring->buffer.handle, copy->dst, 1, &copy->region);
    }
    QVK__TRY(qvk__vulkan_commands_end(gpu, commands, err));
    QVK__TRY(qvk__vulkan_commands_submit(gpu, commands, err));
    ring->halves[current].copies.count = 0;
    ring->halves[current].used = 0;
    atomic_store(&ring->unsent, false);
    ring->current = (current + 1) % QVK__RING_HALVES;
    return QVK_OK;
}

static qvk_status wait_for_halves(qvk__vulkan *gpu, qvk_error *err)
{
    for (int i = 0; i < QVK__RING_HALVES; i++)
        QVK__TRY(qvk__vulkan_commands_wait(gpu, &gpu->ring.halves[i].commands, err));
    return QVK_OK;
}

qvk_status qvk__vulkan_upload_kick(qvk__vulkan *gpu, qvk_error *err)
{
    if (!atomic_load(&gpu->ring.unsent))
        return QVK_OK;
    pthread_mutex_lock(&gpu->ring.lock);
    qvk_status status = send_half(gpu, err);
    pthread_mutex_unlock(&gpu->ring.lock);
    return status;
}

qvk_status qvk__vulkan_upload_flush(qvk__gpu *base, qvk_error *err)
{
    qvk_status status;
    qvk__vulkan *gpu = qvk__vulkan_of(base);
    pthread_mutex_lock(&gpu->ring.lock);
    QVK__TRY_GO(send_half(gpu, err));
    QVK__TRY_GO(wait_for_halves(gpu, err));
    atomic_store(&gpu->ring.busy, gpu->ring.download.pending);
done:
    pthread_mutex_unlock(&gpu->ring.lock);
    return status;
}

void qvk__vulkan_ring_forget(qvk__vulkan *gpu, VkBuffer buffer)
{
    qvk__vulkan_ring *ring = &gpu->ring;
    if (!atomic_load(&ring->busy))
        return;
    pthread_mutex_lock(&ring->lock);
    qvk__ring_copy *copies = ring->halves[ring->current].copies.data;
    size_t count = ring->halves[ring->current].copies.count, kept = 0;
    for (size_t i = 0; i < count; i++)
        if (copies[i].dst != buffer)
            copies[kept++] = copies[i];
    ring->halves[ring->current].copies.count = kept;
    for (int i = 0; i < QVK__RING_HALVES; i++)
        qvk__vulkan_commands_settle(gpu, &ring->halves[i].commands);
    qvk__vulkan_commands_settle(gpu, &ring->download);
    atomic_store(&ring->unsent, kept > 0);
    atomic_store(&ring->busy, kept > 0);
    pthread_mutex_unlock(&ring->lock);
}

/* ---- uploads ------------------------------------------------------------------------------------------- */

static qvk_status find_span(qvk__vulkan *gpu, uint64_t bytes, void **span, qvk_error *err)
{
    qvk__vulkan_ring *ring = &gpu->ring;
    QVK__TRY(make_ring(gpu, err));
    if (ring->halves[ring->current].used + bytes > QVK__RING_HALF_BYTES)
        QVK__TRY(send_half(gpu, err));
    uint32_t current = ring->current;
    QVK__TRY(qvk__vulkan_commands_wait(gpu, &ring->halves[current].commands, err));
    /* Room for the copy now: end cannot fail for want of it. */
    QVK__CHECK(qvk__vec_reserve((void **)&ring->halves[current].copies.data,
                                &ring->halves[current].copies.capacity,
                                ring->halves[current].copies.count + 1, sizeof(qvk__ring_copy)),
               err, QVK_OUT_OF_MEMORY, "out of host memory");
    ring->span_offset = (uint64_t)current * QVK__RING_HALF_BYTES + ring->halves[current].used;
    ring->span_bytes = bytes;
    *span = (uint8_t *)ring->buffer.mapped + ring->span_offset;
    return QVK_OK;
}

qvk_status qvk__vulkan_upload_begin(qvk__gpu *base, uint64_t bytes, void **span, qvk_error *err)
{
    qvk__vulkan *gpu = qvk__vulkan_of(base);
    pthread_mutex_lock(&gpu->ring.lock);
    qvk_status status = find_span(gpu, bytes, span, err);
    if (status != QVK_OK)
        pthread_mutex_unlock(&gpu->ring.lock);
    return status;
}

qvk_status qvk__vulkan_upload_end(qvk__gpu *base, const qvk__gpu_buffer *dst, uint64_t offset, qvk_error *err)
{
    qvk__vulkan *gpu = qvk__vulkan_of(base);
    qvk__vulkan_ring *ring = &gpu->ring;
    uint32_t current = ring->current;
    qvk__ring_copy copy = {(VkBuffer)dst->handle, {ring->span_offset, offset, ring->span_bytes}};
    ring->halves[current].copies.data[ring->halves[current].copies.count++] = copy;
    ring->halves[current].used += qvk__round_up(ring->span_bytes, SPAN_ALIGNMENT);
    atomic_store(&ring->unsent, true);
    atomic_store(&ring->busy, true);
    qvk_status status = QVK_OK;
    if (ring->halves[current].used >= QVK__RING_HALF_BYTES)
        status = send_half(gpu, err);
    pthread_mutex_unlock(&ring->lock);
    return status;
}

/* ---- downloads ----------------------------------------------------------------------------------------- */

static qvk_status download_part(qvk__vulkan *gpu, const qvk__gpu_buffer *src, uint64_t offset, void *data,
                                uint64_t bytes, qvk_error *err)
{
    qvk__vulkan_commands *commands = &gpu->ring.download;
    VkBufferCopy region = {offset, 0, bytes};
    QVK__TRY(qvk__vulkan_commands_wait(gpu, commands, err)); /* of an earlier download that failed */
    QVK__TRY(qvk__vulkan_commands_begin(gpu, commands, true, err));
    gpu->vk.vkCmdCopyBuffer(commands->buffer, (VkBuffer)src->handle, (VkBuffer)gpu->ring.readback.handle, 1,
                            &region);
    QVK__TRY(qvk__vulkan_commands_end(gpu, commands, err));
    QVK__TRY(qvk__vulkan_commands_submit(gpu, commands, err));
    atomic_store(&gpu->ring.busy, true);
    QVK__TRY(qvk__vulkan_commands_wait(gpu, commands, err));
    memcpy(data, gpu->ring.readback.mapped, bytes);
    return QVK_OK;
}

qvk_status qvk__vulkan_download(qvk__gpu *base, const qvk__gpu_buffer *src, uint64_t offset, void *data,
                                uint64_t bytes, qvk_error *err)
{
    qvk_status status;
    qvk__vulkan *gpu = qvk__vulkan_of(base);
    qvk__vulkan_ring *ring = &gpu->ring;
    pthread_mutex_lock(&ring->lock);
    QVK__TRY_GO(send_half(gpu, err));
    if (!ring->download.pool)
        QVK__TRY_GO(qvk__vulkan_commands_create(gpu, &ring->download, err));
    if (!ring->readback.handle)
        QVK__TRY_GO(qvk__vulkan_buffer_create(base, QVK__GPU_MEMORY_READBACK, QVK__RING_HALF_BYTES,
                                              &ring->readback, err));
    for (uint64_t done_bytes = 0; done_bytes < bytes;) {
        uint64_t part = QVK__MIN(bytes - done_bytes, QVK__RING_HALF_BYTES);
        QVK__TRY_GO(download_part(gpu, src, offset + done_bytes, (uint8_t *)data + done_bytes, part, err));
        done_bytes += part;
    }
    /* The copies sent before it have finished too, but their fences still have to be seen. */
    QVK__TRY_GO(wait_for_halves(gpu, err));
    atomic_store(&ring->busy, false);
done:
    pthread_mutex_unlock(&ring->lock);
    return status;
}
