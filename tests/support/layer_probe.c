/*
 * Commits one synchronization error on purpose: a fill and a copy of the same bytes with no barrier between
 * them. `make check` runs it before it trusts the silence of the validation layers. Exit status 0 when the
 * device did the work, 77 when there is no device.
 */
#include <stdbool.h>
#include <stdio.h>

#include <vulkan/vulkan.h>

#define BUFFER_BYTES 256

typedef struct probe {
    VkInstance instance;
    VkDevice device;
    VkQueue queue;
    VkBuffer buffer;
    VkDeviceMemory memory;
    VkCommandPool pool;
    VkCommandBuffer commands;
} probe;

static bool open_device(probe *p)
{
    const VkApplicationInfo application = {.sType = VK_STRUCTURE_TYPE_APPLICATION_INFO,
                                           .apiVersion = VK_API_VERSION_1_1};
    const VkInstanceCreateInfo instance = {.sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO,
                                           .pApplicationInfo = &application};
    const float priority = 1.0f;
    const VkDeviceQueueCreateInfo queue = {
        .sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO, .queueCount = 1, .pQueuePriorities = &priority};
    const VkDeviceCreateInfo device = {.sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO,
                                       .queueCreateInfoCount = 1,
                                       .pQueueCreateInfos = &queue};
    VkPhysicalDevice physical;
    uint32_t n = 1;

    if (vkCreateInstance(&instance, NULL, &p->instance) != VK_SUCCESS)
        return false;
    if (vkEnumeratePhysicalDevices(p->instance, &n, &physical) < 0 || n == 0)
        return false;
    if (vkCreateDevice(physical, &device, NULL, &p->device) != VK_SUCCESS)
        return false;
    vkGetDeviceQueue(p->device, 0, 0, &p->queue);
    return true;
}

static bool make_buffer(probe *p)
{
    const VkBufferCreateInfo buffer = {.sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO,
                                       .size = BUFFER_BYTES,
                                       .usage = VK_BUFFER_USAGE_TRANSFER_SRC_BIT |
                                                VK_BUFFER_USAGE_TRANSFER_DST_BIT};
    VkMemoryAllocateInfo memory = {.sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO};
    VkMemoryRequirements needs;

    if (vkCreateBuffer(p->device, &buffer, NULL, &p->buffer) != VK_SUCCESS)
        return false;
    vkGetBufferMemoryRequirements(p->device, p->buffer, &needs);
    memory.allocationSize = needs.size;
    while (!(needs.memoryTypeBits >> memory.memoryTypeIndex & 1))
        memory.memoryTypeIndex++;
    return vkAllocateMemory(p->device, &memory, NULL, &p->memory) == VK_SUCCESS &&
           vkBindBufferMemory(p->device, p->buffer, p->memory, 0) == VK_SUCCESS;
}

static bool submit_hazard(probe *p)
{
    const VkCommandPoolCreateInfo pool = {.sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO};
    VkCommandBufferAllocateInfo commands = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
                                            .commandBufferCount = 1};
    const VkCommandBufferBeginInfo begin = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO};
    const VkBufferCopy halves = {0, BUFFER_BYTES / 2, BUFFER_BYTES / 2};
    const VkSubmitInfo submit = {
        .sType = VK_STRUCTURE_TYPE_SUBMIT_INFO, .commandBufferCount = 1, .pCommandBuffers = &p->commands};

    if (vkCreateCommandPool(p->device, &pool, NULL, &p->pool) != VK_SUCCESS)
        return false;
    commands.commandPool = p->pool;
    if (vkAllocateCommandBuffers(p->device, &commands, &p->commands) != VK_SUCCESS ||
        vkBeginCommandBuffer(p->commands, &begin) != VK_SUCCESS)
        return false;
    vkCmdFillBuffer(p->commands, p->buffer, 0, BUFFER_BYTES, 1);
    vkCmdCopyBuffer(p->commands, p->buffer, p->buffer, 1, &halves);
    return vkEndCommandBuffer(p->commands) == VK_SUCCESS &&
           vkQueueSubmit(p->queue, 1, &submit, VK_NULL_HANDLE) == VK_SUCCESS &&
           vkDeviceWaitIdle(p->device) == VK_SUCCESS;
}

int main(void)
{
    probe p = {0};

    if (!open_device(&p)) {
        fprintf(stderr, "layer_probe: no Vulkan device\n");
        return 77;
    }
    const bool worked = make_buffer(&p) && submit_hazard(&p);
    vkDestroyCommandPool(p.device, p.pool, NULL);
    vkDestroyBuffer(p.device, p.buffer, NULL);
    vkFreeMemory(p.device, p.memory, NULL);
    vkDestroyDevice(p.device, NULL);
    vkDestroyInstance(p.instance, NULL);
    return worked ? 0 : 1;
}
