/*
 * Device memory. Drivers allow few allocations (4096) and make each slow, so small buffers share blocks; a
 * big one has an allocation of its own. A block keeps its free ranges in an array sorted by offset; the first
 * that fits is taken. Buffers are many but not thousands per block, so plain arrays do.
 */
#include "gpu/gpu_vulkan.h"

#define DEVICE_BLOCK_BYTES (16u << 20)
#define HOST_BLOCK_BYTES   (2u << 20)

typedef struct free_range {
    uint64_t offset, bytes;
} free_range;

struct qvk__memory_block {
    qvk__memory_block *next;
    VkDeviceMemory memory;
    qvk__gpu_memory kind;
    uint32_t type;
    uint32_t n_used; /* ranges given out */
    bool dedicated;  /* to one buffer */
    uint64_t bytes;
    uint8_t *mapped; /* NULL: memory that the host does not see, or should not read */
    /* At most one more than the ranges given out; room for that is made when one is taken, so that giving one
     * back cannot fail. */
    QVK__VEC(free_range) free;
};

/* What qvk__gpu_buffer.allocation points to. */
typedef struct allocation {
    qvk__memory_block *block;
    uint64_t offset, bytes;
} allocation;

/* ---- memory types -------------------------------------------------------------------------------------- */

typedef struct type_rule {
    VkMemoryPropertyFlags needed, wanted, unwanted;
} type_rule;

#define DEVICE_LOCAL VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT
#define HOST_COHERENT                                                                                        \
    ((VkMemoryPropertyFlags)VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT)
#define HOST_CACHED VK_MEMORY_PROPERTY_HOST_CACHED_BIT

static type_rule rule_of(qvk__gpu_memory kind, bool shared_memory)
{
    switch (kind) {
    case QVK__GPU_MEMORY_DEVICE:
        if (shared_memory)
            return (type_rule){DEVICE_LOCAL, HOST_COHERENT | HOST_CACHED, 0};
        /* The host-visible window of a discrete card may be small, and writing through it is slow. Never
         * memory that is not device local: an error is better than a model that crawls. */
        return (type_rule){DEVICE_LOCAL, 0, HOST_COHERENT | HOST_CACHED};
    case QVK__GPU_MEMORY_UPLOAD: return (type_rule){HOST_COHERENT, 0, DEVICE_LOCAL | HOST_CACHED};
    case QVK__GPU_MEMORY_READBACK: return (type_rule){HOST_COHERENT, HOST_CACHED, DEVICE_LOCAL};
    case QVK__GPU_MEMORY_PARAMS: return (type_rule){HOST_COHERENT, DEVICE_LOCAL, HOST_CACHED};
    }
    return (type_rule){0};
}

static int bit_count(uint32_t bits)
{
    int n = 0;
    for (; bits; bits &= bits - 1)
        n++;
    return n;
}

/* Memory types that have `needed`, by how far they are from the rule; wanted counts more than unwanted.
 * Protected and lazily allocated memory and AMD's uncached one are for other uses. */
static void rank_types(qvk__vulkan_memory *memory, qvk__gpu_memory kind, bool shared_memory)
{
    const type_rule rule = rule_of(kind, shared_memory);
    const VkMemoryPropertyFlags known = DEVICE_LOCAL | HOST_COHERENT | HOST_CACHED;
    uint32_t *types = memory->types[kind], n = 0;
    int scores[VK_MAX_MEMORY_TYPES];
    for (uint32_t i = 0; i < memory->properties.memoryTypeCount; i++) {
        VkMemoryPropertyFlags flags = memory->properties.memoryTypes[i].propertyFlags;
        if ((flags & rule.needed) != rule.needed || (flags & ~known))
            continue;
        int score = 8 * bit_count(rule.wanted & ~flags) + bit_count(rule.unwanted & flags);
        uint32_t j = n++;
        for (; j > 0 && scores[j - 1] > score; j--) {
            scores[j] = scores[j - 1];
            types[j] = types[j - 1];
        }
        scores[j] = score;
        types[j] = i;
    }
    memory->n_types[kind] = n;
}

void qvk__vulkan_memory_init(qvk__vulkan *gpu)
{
    VkPhysicalDeviceMemoryProperties2 properties = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_PROPERTIES_2};
    gpu->vk.vkGetPhysicalDeviceMemoryProperties2(gpu->info.physical, &properties);
    gpu->memory.properties = properties.memoryProperties;
    bool shared = gpu->base.caps.type == QVK__GPU_INTEGRATED || gpu->base.caps.type == QVK__GPU_CPU;
    for (int kind = 0; kind < QVK__MEMORY_KINDS; kind++)
        rank_types(&gpu->memory, (qvk__gpu_memory)kind, shared);
}

/* ---- how much there is --------------------------------------------------------------------------------- */

static uint64_t heap_bytes(const qvk__vulkan_memory *memory, uint32_t type)
{
    return memory->properties.memoryHeaps[memory->properties.memoryTypes[type].heapIndex].size;
}

/* Free bytes of a heap by the driver's budget, else by what qvk holds (of all heaps: software and integrated
 * devices have only one). */
static uint64_t heap_available(qvk__vulkan *gpu, uint32_t heap)
{
    VkPhysicalDeviceMemoryBudgetPropertiesEXT budget = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_BUDGET_PROPERTIES_EXT};
    VkPhysicalDeviceMemoryProperties2 properties = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_PROPERTIES_2, .pNext = &budget};
    uint64_t size = gpu->memory.properties.memoryHeaps[heap].size, used = gpu->memory.allocated;
    if (gpu->info.has_budget) {
        gpu->vk.vkGetPhysicalDeviceMemoryProperties2(gpu->info.physical, &properties);
        size = budget.heapBudget[heap];
        used = budget.heapUsage[heap];
    }
    return size - QVK__MIN(size, used);
}

void qvk__vulkan_memory_budget(qvk__gpu *base, uint64_t *available, uint64_t *total)
{
    qvk__vulkan *gpu = qvk__vulkan_of(base);
    const VkPhysicalDeviceMemoryProperties *properties = &gpu->memory.properties;
    uint32_t largest = 0;
    uint64_t size = 0;
    for (uint32_t i = 0; i < properties->memoryHeapCount; i++) {
        const VkMemoryHeap *heap = &properties->memoryHeaps[i];
        if (!(heap->flags & VK_MEMORY_HEAP_DEVICE_LOCAL_BIT) || heap->size <= size)
            continue;
        largest = i;
        size = heap->size;
    }
    pthread_mutex_lock(&gpu->memory.lock);
    *available = heap_available(gpu, largest);
    pthread_mutex_unlock(&gpu->memory.lock);
    *total = size;
}

/* Call with the lock held. */
static qvk_status out_of_memory(qvk__vulkan *gpu, uint64_t bytes, uint32_t type, qvk_error *err)
{
    const double mib = 1.0 / (1 << 20);
    uint32_t heap = gpu->memory.properties.memoryTypes[type].heapIndex;
    return qvk__fail(
        err, QVK_OUT_OF_DEVICE_MEMORY,
        "%s: out of device memory: %.1f MiB wanted, %.1f MiB free of %.0f MiB (%.1f MiB held by qvk)",
        gpu->base.caps.name, (double)bytes * mib, (double)heap_available(gpu, heap) * mib,
        (double)heap_bytes(&gpu->memory, type) * mib, (double)gpu->memory.allocated * mib);
}

/* ---- blocks -------------------------------------------------------------------------------------------- */

static void block_destroy(qvk__vulkan *gpu, qvk__memory_block *block)
{
    if (block->memory) {
        if (!atomic_load(&gpu->hung))
            gpu->vk.vkFreeMemory(gpu->device, block->memory, NULL); /* unmaps */
        gpu->memory.n_allocations--;
        gpu->memory.allocated -= block->bytes;
    }
    free(block->free.data);
    free(block);
}

/* Whether the host gets to see this kind of memory in this type. */
static bool is_mapped(const qvk__vulkan *gpu, qvk__gpu_memory kind, uint32_t type)
{
    VkMemoryPropertyFlags flags = gpu->memory.properties.memoryTypes[type].propertyFlags;
    VkMemoryPropertyFlags readable = HOST_COHERENT | HOST_CACHED;
    bool shared = gpu->base.caps.type == QVK__GPU_INTEGRATED || gpu->base.caps.type == QVK__GPU_CPU;
    return kind != QVK__GPU_MEMORY_DEVICE || (shared && (flags & readable) == readable);
}

static qvk_status block_create(qvk__vulkan *gpu, qvk__gpu_memory kind, uint32_t type, uint64_t bytes,
                               bool dedicated, qvk__memory_block **out, qvk_error *err)
{
    qvk_status status = QVK_OK;
    qvk__vulkan_memory *memory = &gpu->memory;
    if (bytes > heap_bytes(memory, type) || memory->n_allocations >= gpu->info.max_allocations)
        return out_of_memory(gpu, bytes, type, err);
    qvk__memory_block *block = qvk__alloc_zeroed(1, sizeof *block);
    QVK__CHECK(block, err, QVK_OUT_OF_MEMORY, "out of host memory");
    block->bytes = bytes;
    block->kind = kind;
    block->type = type;
    block->dedicated = dedicated;
    QVK__CHECK_GO(dedicated || QVK__VEC_PUSH(&block->free, (free_range){0, bytes}), err, QVK_OUT_OF_MEMORY,
                  "out of host memory");
    VkMemoryAllocateInfo info = {
        .sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO,
        .allocationSize = bytes,
        .memoryTypeIndex = type,
    };
    status = QVK__VK(gpu, err, gpu->vk.vkAllocateMemory(gpu->device, &info, NULL, &block->memory));
    if (status == QVK_OUT_OF_DEVICE_MEMORY)
        status = out_of_memory(gpu, bytes, type, err);
    if (status != QVK_OK) {
        block->memory = VK_NULL_HANDLE;
        goto done;
    }
    memory->n_allocations++;
    memory->allocated += bytes;
    if (is_mapped(gpu, kind, type)) {
        void *address = NULL;
        QVK__TRY_GO(QVK__VK(gpu, err,
                            gpu->vk.vkMapMemory(gpu->device, block->memory, 0, VK_WHOLE_SIZE, 0, &address)));
        block->mapped = address;
    }
    block->next = memory->blocks;
    memory->blocks = block;
    *out = block;
done:
    if (status != QVK_OK)
        block_destroy(gpu, block);
    return status;
}

/* ---- ranges of a block --------------------------------------------------------------------------------- */

static bool block_take(qvk__memory_block *block, uint64_t bytes, uint64_t alignment, uint64_t *out)
{
    if (!qvk__vec_reserve((void **)&block->free.data, &block->free.capacity, block->n_used + 2,
                          sizeof *block->free.data))
        return false;
    for (size_t i = 0; i < block->free.count; i++) {
        free_range *at = &block->free.data[i];
        uint64_t start = qvk__round_up(at->offset, alignment);
        uint64_t end = at->offset + at->bytes;
        if (start > end || end - start < bytes)
            continue;
        free_range before = {at->offset, start - at->offset};
        free_range after = {start + bytes, end - start - bytes};
        int change = (before.bytes > 0) + (after.bytes > 0) - 1;
        memmove(at + 1 + change, at + 1, (block->free.count - i - 1) * sizeof *at);
        block->free.count += (size_t)change;
        if (before.bytes)
            *at++ = before;
        if (after.bytes)
            *at = after;
        block->n_used++;
        *out = start;
        return true;
    }
    return false;
}

static void block_give_back(qvk__memory_block *block, uint64_t offset, uint64_t bytes)
{
    free_range *data = block->free.data;
    size_t i = 0, count = block->free.count;
    while (i < count && data[i].offset < offset)
        i++;
    bool joins_previous = i > 0 && data[i - 1].offset + data[i - 1].bytes == offset;
    bool joins_next = i < count && offset + bytes == data[i].offset;
    block->n_used--;
    if (joins_previous && joins_next) {
        data[i - 1].bytes += bytes + data[i].bytes;
        memmove(&data[i], &data[i + 1], (count - i - 1) * sizeof *data);
        block->free.count--;
    } else if (joins_previous) {
        data[i - 1].bytes += bytes;
    } else if (joins_next) {
        data[i] = (free_range){offset, bytes + data[i].bytes};
    } else {
        memmove(&data[i + 1], &data[i], (count - i) * sizeof *data);
        data[i] = (free_range){offset, bytes};
        block->free.count++;
    }
}

/* ---- allocations --------------------------------------------------------------------------------------- */

static qvk_status allocate_of_type(qvk__vulkan *gpu, qvk__gpu_memory kind, uint32_t type,
                                   const VkMemoryRequirements *needs, allocation *out, qvk_error *err)
{
    qvk__vulkan_memory *memory = &gpu->memory;
    uint64_t block_bytes = kind == QVK__GPU_MEMORY_DEVICE ? DEVICE_BLOCK_BYTES : HOST_BLOCK_BYTES;
    block_bytes = QVK__MIN(block_bytes, heap_bytes(memory, type) / 16);
    bool dedicated = needs->size > block_bytes / 4;
    out->bytes = needs->size;
    for (qvk__memory_block *block = memory->blocks; block && !dedicated; block = block->next) {
        if (block->kind != kind || block->type != type || block->dedicated)
            continue;
        out->block = block;
        if (block_take(block, needs->size, needs->alignment, &out->offset))
            return QVK_OK;
    }
    QVK__TRY(
        block_create(gpu, kind, type, dedicated ? needs->size : block_bytes, dedicated, &out->block, err));
    if (dedicated) {
        out->offset = 0;
        out->block->n_used = 1;
        return QVK_OK;
    }
    QVK__CHECK(block_take(out->block, needs->size, needs->alignment, &out->offset), err, QVK_OUT_OF_MEMORY,
               "out of host memory");
    return QVK_OK;
}

static qvk_status allocate(qvk__vulkan *gpu, qvk__gpu_memory kind, const VkMemoryRequirements *needs,
                           allocation *out, qvk_error *err)
{
    qvk_status status = qvk__fail(err, QVK_DRIVER, "%s: no memory type fits a buffer", gpu->base.caps.name);
    pthread_mutex_lock(&gpu->memory.lock);
    for (uint32_t i = 0; i < gpu->memory.n_types[kind]; i++) {
        uint32_t type = gpu->memory.types[kind][i];
        if (!(needs->memoryTypeBits & 1u << type))
            continue;
        status = allocate_of_type(gpu, kind, type, needs, out, err);
        if (status != QVK_OUT_OF_DEVICE_MEMORY)
            break;
    }
    pthread_mutex_unlock(&gpu->memory.lock);
    return status;
}

/* An empty block is kept for the next buffer when it is the only one of its kind. */
static void release(qvk__vulkan *gpu, const allocation *place)
{
    qvk__memory_block *block = place->block;
    pthread_mutex_lock(&gpu->memory.lock);
    if (block->dedicated)
        block->n_used = 0;
    else
        block_give_back(block, place->offset, place->bytes);
    bool unneeded = block->n_used == 0 && block->dedicated;
    for (qvk__memory_block *other = gpu->memory.blocks; other && block->n_used == 0; other = other->next)
        unneeded = unneeded || (other != block && other->kind == block->kind && !other->dedicated);
    if (unneeded) {
        qvk__memory_block **link = &gpu->memory.blocks;
        while (*link != block)
            link = &(*link)->next;
        *link = block->next;
        block_destroy(gpu, block);
    }
    pthread_mutex_unlock(&gpu->memory.lock);
}

void qvk__vulkan_memory_deinit(qvk__vulkan *gpu)
{
    while (gpu->memory.blocks) {
        qvk__memory_block *block = gpu->memory.blocks;
        gpu->memory.blocks = block->next;
        block_destroy(gpu, block);
    }
}

/* ---- buffers ------------------------------------------------------------------------------------------- */

qvk_status qvk__vulkan_buffer_create(qvk__gpu *base, qvk__gpu_memory kind, uint64_t bytes,
                                     qvk__gpu_buffer *out, qvk_error *err)
{
    qvk_status status;
    qvk__vulkan *gpu = qvk__vulkan_of(base);
    VkBuffer buffer = VK_NULL_HANDLE;
    allocation *place = qvk__alloc_zeroed(1, sizeof *place);
    QVK__CHECK(place, err, QVK_OUT_OF_MEMORY, "out of host memory");
    VkBufferCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO,
        .size = bytes,
        .usage = VK_BUFFER_USAGE_STORAGE_BUFFER_BIT | VK_BUFFER_USAGE_UNIFORM_BUFFER_BIT |
                 VK_BUFFER_USAGE_INDIRECT_BUFFER_BIT | VK_BUFFER_USAGE_TRANSFER_SRC_BIT |
                 VK_BUFFER_USAGE_TRANSFER_DST_BIT,
        .sharingMode = VK_SHARING_MODE_EXCLUSIVE,
    };
    QVK__TRY_GO(QVK__VK(gpu, err, gpu->vk.vkCreateBuffer(gpu->device, &info, NULL, &buffer)));
    VkMemoryRequirements needs;
    gpu->vk.vkGetBufferMemoryRequirements(gpu->device, buffer, &needs);
    QVK__TRY_GO(allocate(gpu, kind, &needs, place, err));
    status = QVK__VK(gpu, err,
                     gpu->vk.vkBindBufferMemory(gpu->device, buffer, place->block->memory, place->offset));
    if (status != QVK_OK) {
        release(gpu, place);
        goto done;
    }
    out->handle = (uint64_t)buffer;
    out->allocation = place;
    out->bytes = bytes;
    out->mapped = place->block->mapped ? place->block->mapped + place->offset : NULL;
    out->kind = kind;
done:
    if (status != QVK_OK) {
        if (buffer)
            gpu->vk.vkDestroyBuffer(gpu->device, buffer, NULL);
        free(place);
    }
    return status;
}

void qvk__vulkan_buffer_destroy(qvk__gpu *base, qvk__gpu_buffer *buffer)
{
    qvk__vulkan *gpu = qvk__vulkan_of(base);
    allocation *place = buffer->allocation;
    qvk__vulkan_ring_forget(gpu, (VkBuffer)buffer->handle);
    if (!atomic_load(&gpu->hung)) {
        gpu->vk.vkDestroyBuffer(gpu->device, (VkBuffer)buffer->handle, NULL);
        release(gpu, place);
    }
    free(place);
}
