#include "vulkan_proxy.h"

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "gpu/vulkan_table.h"
#include "support/support.h"

vulkan_proxy proxy;

/* The real functions. Devices of one process share them: they find their driver by the handle. */
static qvk__vk real;

#define KIND_LIST(X)                                                                                         \
    X(NOTHING)                                                                                               \
    X(INSTANCE)                                                                                              \
    X(MESSENGER)                                                                                             \
    X(DEVICE)                                                                                                \
    X(FENCE)                                                                                                 \
    X(MEMORY)                                                                                                \
    X(BUFFER)                                                                                                \
    X(MODULE) X(SET_LAYOUT) X(LAYOUT) X(CACHE) X(PIPELINE) X(DESCRIPTOR_POOL) X(COMMAND_POOL) X(QUERY_POOL)

enum {
#define ENUM(name) KIND_##name,
    KIND_LIST(ENUM)
#undef ENUM
        KIND_COUNT
};

static atomic_long alive[KIND_COUNT];

/* ---- every function that can fail: name, parameters, arguments, what it makes ----------------------------- */

#define ALLOCATOR const VkAllocationCallbacks *allocator

#define CREATE(X, name, info, object, kind)                                                                  \
    X(name, (VkDevice device, const info *create, ALLOCATOR, object *out), (device, create, allocator, out), \
      kind)

#define FAILING_LIST(X)                                                                                      \
    X(vkEnumerateInstanceVersion, (uint32_t * version), (version), NOTHING)                                  \
    X(vkEnumerateInstanceExtensionProperties, (const char *layer, uint32_t *n, VkExtensionProperties *list), \
      (layer, n, list), NOTHING)                                                                             \
    X(vkEnumerateInstanceLayerProperties, (uint32_t * n, VkLayerProperties * list), (n, list), NOTHING)      \
    X(vkCreateInstance, (const VkInstanceCreateInfo *create, ALLOCATOR, VkInstance *out),                    \
      (create, allocator, out), INSTANCE)                                                                    \
    X(vkCreateDebugUtilsMessengerEXT,                                                                        \
      (VkInstance instance, const VkDebugUtilsMessengerCreateInfoEXT *create, ALLOCATOR,                     \
       VkDebugUtilsMessengerEXT *out),                                                                       \
      (instance, create, allocator, out), MESSENGER)                                                         \
    X(vkEnumeratePhysicalDevices, (VkInstance instance, uint32_t * n, VkPhysicalDevice * list),              \
      (instance, n, list), NOTHING)                                                                          \
    X(vkEnumerateDeviceExtensionProperties,                                                                  \
      (VkPhysicalDevice physical, const char *layer, uint32_t *n, VkExtensionProperties *list),              \
      (physical, layer, n, list), NOTHING)                                                                   \
    X(vkCreateDevice,                                                                                        \
      (VkPhysicalDevice physical, const VkDeviceCreateInfo *create, ALLOCATOR, VkDevice *out),               \
      (physical, create, allocator, out), DEVICE)                                                            \
    X(vkQueueSubmit, (VkQueue queue, uint32_t n, const VkSubmitInfo *list, VkFence fence),                   \
      (queue, n, list, fence), NOTHING)                                                                      \
    CREATE(X, vkCreateFence, VkFenceCreateInfo, VkFence, FENCE)                                              \
    X(vkResetFences, (VkDevice device, uint32_t n, const VkFence *list), (device, n, list), NOTHING)         \
    X(vkGetFenceStatus, (VkDevice device, VkFence fence), (device, fence), NOTHING)                          \
    X(vkWaitForFences, (VkDevice device, uint32_t n, const VkFence *list, VkBool32 all, uint64_t timeout),   \
      (device, n, list, all, timeout), NOTHING)                                                              \
    CREATE(X, vkAllocateMemory, VkMemoryAllocateInfo, VkDeviceMemory, MEMORY)                                \
    X(vkMapMemory,                                                                                           \
      (VkDevice device, VkDeviceMemory memory, VkDeviceSize offset, VkDeviceSize bytes,                      \
       VkMemoryMapFlags flags, void **out),                                                                  \
      (device, memory, offset, bytes, flags, out), NOTHING)                                                  \
    CREATE(X, vkCreateBuffer, VkBufferCreateInfo, VkBuffer, BUFFER)                                          \
    X(vkBindBufferMemory, (VkDevice device, VkBuffer buffer, VkDeviceMemory memory, VkDeviceSize offset),    \
      (device, buffer, memory, offset), NOTHING)                                                             \
    CREATE(X, vkCreateShaderModule, VkShaderModuleCreateInfo, VkShaderModule, MODULE)                        \
    CREATE(X, vkCreateDescriptorSetLayout, VkDescriptorSetLayoutCreateInfo, VkDescriptorSetLayout,           \
           SET_LAYOUT)                                                                                       \
    CREATE(X, vkCreatePipelineLayout, VkPipelineLayoutCreateInfo, VkPipelineLayout, LAYOUT)                  \
    CREATE(X, vkCreatePipelineCache, VkPipelineCacheCreateInfo, VkPipelineCache, CACHE)                      \
    X(vkGetPipelineCacheData, (VkDevice device, VkPipelineCache cache, size_t * bytes, void *data),          \
      (device, cache, bytes, data), NOTHING)                                                                 \
    X(vkMergePipelineCaches,                                                                                 \
      (VkDevice device, VkPipelineCache into, uint32_t n, const VkPipelineCache *list),                      \
      (device, into, n, list), NOTHING)                                                                      \
    X(vkCreateComputePipelines,                                                                              \
      (VkDevice device, VkPipelineCache cache, uint32_t n, const VkComputePipelineCreateInfo *create,        \
       ALLOCATOR, VkPipeline *out),                                                                          \
      (device, cache, n, create, allocator, out), PIPELINE)                                                  \
    CREATE(X, vkCreateDescriptorPool, VkDescriptorPoolCreateInfo, VkDescriptorPool, DESCRIPTOR_POOL)         \
    X(vkResetDescriptorPool, (VkDevice device, VkDescriptorPool pool, VkDescriptorPoolResetFlags flags),     \
      (device, pool, flags), NOTHING)                                                                        \
    X(vkAllocateDescriptorSets,                                                                              \
      (VkDevice device, const VkDescriptorSetAllocateInfo *create, VkDescriptorSet *out),                    \
      (device, create, out), NOTHING)                                                                        \
    CREATE(X, vkCreateCommandPool, VkCommandPoolCreateInfo, VkCommandPool, COMMAND_POOL)                     \
    X(vkResetCommandPool, (VkDevice device, VkCommandPool pool, VkCommandPoolResetFlags flags),              \
      (device, pool, flags), NOTHING)                                                                        \
    X(vkAllocateCommandBuffers,                                                                              \
      (VkDevice device, const VkCommandBufferAllocateInfo *create, VkCommandBuffer *out),                    \
      (device, create, out), NOTHING)                                                                        \
    X(vkBeginCommandBuffer, (VkCommandBuffer commands, const VkCommandBufferBeginInfo *begin),               \
      (commands, begin), NOTHING)                                                                            \
    X(vkEndCommandBuffer, (VkCommandBuffer commands), (commands), NOTHING)                                   \
    CREATE(X, vkCreateQueryPool, VkQueryPoolCreateInfo, VkQueryPool, QUERY_POOL)                             \
    X(vkGetQueryPoolResults,                                                                                 \
      (VkDevice device, VkQueryPool pool, uint32_t first, uint32_t n, size_t bytes, void *data,              \
       VkDeviceSize stride, VkQueryResultFlags flags),                                                       \
      (device, pool, first, n, bytes, data, stride, flags), NOTHING)                                         \
    X(vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR,                                                     \
      (VkPhysicalDevice physical, uint32_t * n, VkCooperativeMatrixPropertiesKHR * list),                    \
      (physical, n, list), NOTHING)

/* And what ends them. */
#define DESTROY(X, name, object, kind)                                                                       \
    X(name, (VkDevice device, object handle, ALLOCATOR), (device, handle, allocator), kind)

#define DESTROYING_LIST(X)                                                                                   \
    X(vkDestroyInstance, (VkInstance handle, ALLOCATOR), (handle, allocator), INSTANCE)                      \
    X(vkDestroyDebugUtilsMessengerEXT, (VkInstance instance, VkDebugUtilsMessengerEXT handle, ALLOCATOR),    \
      (instance, handle, allocator), MESSENGER)                                                              \
    X(vkDestroyDevice, (VkDevice handle, ALLOCATOR), (handle, allocator), DEVICE)                            \
    DESTROY(X, vkDestroyFence, VkFence, FENCE)                                                               \
    DESTROY(X, vkDestroyBuffer, VkBuffer, BUFFER)                                                            \
    DESTROY(X, vkDestroyShaderModule, VkShaderModule, MODULE)                                                \
    DESTROY(X, vkDestroyDescriptorSetLayout, VkDescriptorSetLayout, SET_LAYOUT)                              \
    DESTROY(X, vkDestroyPipelineLayout, VkPipelineLayout, LAYOUT)                                            \
    DESTROY(X, vkDestroyPipelineCache, VkPipelineCache, CACHE)                                               \
    DESTROY(X, vkDestroyPipeline, VkPipeline, PIPELINE)                                                      \
    DESTROY(X, vkDestroyDescriptorPool, VkDescriptorPool, DESCRIPTOR_POOL)                                   \
    DESTROY(X, vkDestroyCommandPool, VkCommandPool, COMMAND_POOL)                                            \
    DESTROY(X, vkDestroyQueryPool, VkQueryPool, QUERY_POOL)

/* What is also looked at, or changed on its way back. */
#define WATCHED_LIST(X)                                                                                      \
    X(vkEnumerateInstanceVersion)                                                                            \
    X(vkEnumeratePhysicalDevices)                                                                            \
    X(vkEnumerateDeviceExtensionProperties)                                                                  \
    X(vkAllocateMemory)                                                                                      \
    X(vkFreeMemory)                                                                                          \
    X(vkCreateShaderModule)                                                                                  \
    X(vkCreateComputePipelines)                                                                              \
    X(vkGetFenceStatus)                                                                                      \
    X(vkWaitForFences)                                                                                       \
    X(vkGetPhysicalDeviceProperties)                                                                         \
    X(vkGetPhysicalDeviceProperties2)                                                                        \
    X(vkGetPhysicalDeviceFeatures2)                                                                          \
    X(vkGetPhysicalDeviceMemoryProperties2)                                                                  \
    X(vkGetPhysicalDeviceQueueFamilyProperties)                                                              \
    X(vkGetDeviceProcAddr)

enum {
#define ENUM(name, parameters, arguments, kind) CALL_##name,
    FAILING_LIST(ENUM)
#undef ENUM
        CALL_COUNT
};

static const char *const names[] = {
#define NAME(name, parameters, arguments, kind) #name,
    FAILING_LIST(NAME)
#undef NAME
};

static atomic_long calls[CALL_COUNT];

static bool must_fail(int call)
{
    long n = atomic_fetch_add(&calls[call], 1) + 1;
    if (!proxy.fail_function || strcmp(proxy.fail_function, names[call]) != 0)
        return false;
    return n == proxy.fail_at || (proxy.fail_on && n > proxy.fail_at);
}

#define FAILING(name, parameters, arguments, kind)                                                           \
    static VKAPI_ATTR VkResult VKAPI_CALL proxy_##name parameters                                            \
    {                                                                                                        \
        if (must_fail(CALL_##name))                                                                          \
            return proxy.fail_with;                                                                          \
        VkResult result = real.name arguments;                                                               \
        if (result == VK_SUCCESS && KIND_##kind != KIND_NOTHING)                                             \
            atomic_fetch_add(&alive[KIND_##kind], 1);                                                        \
        return result;                                                                                       \
    }
FAILING_LIST(FAILING)
#undef FAILING

#define DESTROYING(name, parameters, arguments, kind)                                                        \
    static VKAPI_ATTR void VKAPI_CALL proxy_##name parameters                                                \
    {                                                                                                        \
        if (handle)                                                                                          \
            atomic_fetch_sub(&alive[KIND_##kind], 1);                                                        \
        real.name arguments;                                                                                 \
    }
DESTROYING_LIST(DESTROYING)
#undef DESTROYING

/* ---- watched: instance --------------------------------------------------------------------------------- */

static VKAPI_ATTR VkResult VKAPI_CALL watched_vkEnumerateInstanceVersion(uint32_t *version)
{
    VkResult result = proxy_vkEnumerateInstanceVersion(version);
    if (proxy.instance_version)
        *version = proxy.instance_version;
    return result;
}

static VKAPI_ATTR VkResult VKAPI_CALL watched_vkEnumeratePhysicalDevices(VkInstance instance, uint32_t *n,
                                                                         VkPhysicalDevice *list)
{
    VkResult result = proxy_vkEnumeratePhysicalDevices(instance, n, list);
    if (proxy.no_devices)
        *n = 0;
    return result;
}

static VKAPI_ATTR VkResult VKAPI_CALL watched_vkEnumerateDeviceExtensionProperties(
    VkPhysicalDevice physical, const char *layer, uint32_t *n, VkExtensionProperties *list)
{
    VkResult result = proxy_vkEnumerateDeviceExtensionProperties(physical, layer, n, list);
    if (proxy.bare)
        *n = 0;
    return result;
}

static void disguise(VkPhysicalDeviceProperties *properties)
{
    if (proxy.discrete && strstr(properties->deviceName, proxy.discrete))
        properties->deviceType = VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU;
    if (proxy.bare) {
        properties->apiVersion = VK_API_VERSION_1_1;
        properties->limits.maxPerStageDescriptorStorageBuffers = 4;
        properties->limits.maxStorageBufferRange = 0; /* as one driver says */
    }
}

static VKAPI_ATTR void VKAPI_CALL watched_vkGetPhysicalDeviceProperties(VkPhysicalDevice physical,
                                                                        VkPhysicalDeviceProperties *out)
{
    real.vkGetPhysicalDeviceProperties(physical, out);
    disguise(out);
}

static VKAPI_ATTR void VKAPI_CALL watched_vkGetPhysicalDeviceProperties2(VkPhysicalDevice physical,
                                                                         VkPhysicalDeviceProperties2 *out)
{
    real.vkGetPhysicalDeviceProperties2(physical, out);
    disguise(&out->properties);
    for (VkBaseOutStructure *next = out->pNext; next && proxy.bare; next = next->pNext)
        if (next->sType == VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_PROPERTIES)
            ((VkPhysicalDeviceSubgroupProperties *)next)->supportedOperations = VK_SUBGROUP_FEATURE_BASIC_BIT;
}

static VKAPI_ATTR void VKAPI_CALL watched_vkGetPhysicalDeviceFeatures2(VkPhysicalDevice physical,
                                                                       VkPhysicalDeviceFeatures2 *out)
{
    real.vkGetPhysicalDeviceFeatures2(physical, out);
    if (!proxy.bare)
        return;
    memset(&out->features, 0, sizeof out->features);
    for (VkBaseOutStructure *next = out->pNext; next; next = next->pNext) {
        assert_int_equal(next->sType, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_16BIT_STORAGE_FEATURES);
        ((VkPhysicalDevice16BitStorageFeatures *)next)->storageBuffer16BitAccess = VK_FALSE;
    }
}

static VKAPI_ATTR void VKAPI_CALL watched_vkGetPhysicalDeviceMemoryProperties2(
    VkPhysicalDevice physical, VkPhysicalDeviceMemoryProperties2 *out)
{
    real.vkGetPhysicalDeviceMemoryProperties2(physical, out);
    for (uint32_t i = 0; i < out->memoryProperties.memoryHeapCount && proxy.heap_bytes; i++)
        out->memoryProperties.memoryHeaps[i].size = proxy.heap_bytes;
    for (uint32_t i = 0; i < out->memoryProperties.memoryTypeCount && proxy.uncached; i++)
        out->memoryProperties.memoryTypes[i].propertyFlags &= ~(VkFlags)VK_MEMORY_PROPERTY_HOST_CACHED_BIT;
}

static VKAPI_ATTR void VKAPI_CALL watched_vkGetPhysicalDeviceQueueFamilyProperties(
    VkPhysicalDevice physical, uint32_t *n, VkQueueFamilyProperties *out)
{
    real.vkGetPhysicalDeviceQueueFamilyProperties(physical, n, out);
    for (uint32_t i = 0; i < *n && out && proxy.bare; i++)
        out[i].timestampValidBits = 0;
    for (uint32_t i = 0; i < *n && out && proxy.no_compute; i++)
        out[i].queueFlags &= ~(VkFlags)VK_QUEUE_COMPUTE_BIT;
}

/* ---- watched: memory, pipelines and fences ------------------------------------------------------------------------- */

static struct {
    VkDeviceMemory memory;
    uint64_t bytes;
} memories[1024];
static pthread_mutex_t memories_lock = PTHREAD_MUTEX_INITIALIZER;
static uint64_t memory_now, memory_peak;

/* Takes the entry of `find` out, or puts `put` into a free one. */
static void note_memory(VkDeviceMemory find, VkDeviceMemory put, uint64_t bytes)
{
    pthread_mutex_lock(&memories_lock);
    size_t i = 0;
    while (i < QVK__COUNT(memories) - 1 && memories[i].memory != find)
        i++;
    memory_now = memory_now - memories[i].bytes + bytes;
    memory_peak = QVK__MAX(memory_peak, memory_now);
    memories[i].memory = put;
    memories[i].bytes = bytes;
    pthread_mutex_unlock(&memories_lock);
}

static VKAPI_ATTR VkResult VKAPI_CALL watched_vkAllocateMemory(VkDevice device,
                                                               const VkMemoryAllocateInfo *info, ALLOCATOR,
                                                               VkDeviceMemory *out)
{
    VkResult result = proxy_vkAllocateMemory(device, info, allocator, out);
    if (result == VK_SUCCESS)
        note_memory(VK_NULL_HANDLE, *out, info->allocationSize);
    return result;
}

static VKAPI_ATTR void VKAPI_CALL watched_vkFreeMemory(VkDevice device, VkDeviceMemory memory, ALLOCATOR)
{
    if (memory) {
        note_memory(memory, VK_NULL_HANDLE, 0);
        atomic_fetch_sub(&alive[KIND_MEMORY], 1);
    }
    real.vkFreeMemory(device, memory, allocator);
}

/* SPIR-V instructions begin with a word of their length and opcode; five words of header come first. */
static void add_instead_of_multiply(uint32_t *words, size_t n)
{
    enum { OP_FADD = 129, OP_FMUL = 133 };
    for (size_t i = 5; i < n && words[i] >> 16 != 0; i += words[i] >> 16)
        if ((words[i] & 0xffff) == OP_FMUL)
            words[i] = (words[i] & 0xffff0000) | OP_FADD;
}

static VKAPI_ATTR VkResult VKAPI_CALL watched_vkCreateShaderModule(VkDevice device,
                                                                   const VkShaderModuleCreateInfo *create,
                                                                   ALLOCATOR, VkShaderModule *out)
{
    VkShaderModuleCreateInfo changed = *create;
    uint32_t *words;
    if (!proxy.miscompiled || create->pCode != proxy.miscompiled)
        return proxy_vkCreateShaderModule(device, create, allocator, out);
    words = malloc(create->codeSize);
    assert_non_null(words);
    memcpy(words, create->pCode, create->codeSize);
    add_instead_of_multiply(words, create->codeSize / sizeof *words);
    changed.pCode = words;
    const VkResult result = proxy_vkCreateShaderModule(device, &changed, allocator, out);
    free(words);
    return result;
}

static VKAPI_ATTR VkResult VKAPI_CALL
watched_vkCreateComputePipelines(VkDevice device, VkPipelineCache cache, uint32_t n,
                                 const VkComputePipelineCreateInfo *create, ALLOCATOR, VkPipeline *out)
{
    if (proxy.slow_compile)
        nanosleep(&(struct timespec){.tv_nsec = 400000000}, NULL);
    return proxy_vkCreateComputePipelines(device, cache, n, create, allocator, out);
}

/* A fence that is said to be lost must not leave work behind that is really running. */
static VkResult watch_fence(VkDevice device, VkFence fence, VkResult result)
{
    if (result == VK_ERROR_DEVICE_LOST)
        real.vkWaitForFences(device, 1, &fence, VK_TRUE, UINT64_MAX);
    return result;
}

static VKAPI_ATTR VkResult VKAPI_CALL watched_vkGetFenceStatus(VkDevice device, VkFence fence)
{
    return proxy.hang ? VK_NOT_READY : watch_fence(device, fence, proxy_vkGetFenceStatus(device, fence));
}

static VKAPI_ATTR VkResult VKAPI_CALL watched_vkWaitForFences(VkDevice device, uint32_t n,
                                                              const VkFence *list, VkBool32 all,
                                                              uint64_t timeout)
{
    if (!proxy.hang)
        return watch_fence(device, list[0], proxy_vkWaitForFences(device, n, list, all, timeout));
    struct timespec pause = {.tv_sec = (time_t)(timeout / 1000000000),
                             .tv_nsec = (long)(timeout % 1000000000)};
    nanosleep(&pause, NULL);
    return VK_TIMEOUT;
}

/* ---- the loader ---------------------------------------------------------------------------------------- */

static VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL watched_vkGetDeviceProcAddr(VkDevice device,
                                                                            const char *name);

/* What stands for a function that the real loader has. */
static PFN_vkVoidFunction substitute(const char *name, PFN_vkVoidFunction function)
{
#define MATCH(prefix, name_of)                                                                               \
    if (strcmp(name, #name_of) == 0) {                                                                       \
        real.name_of = (PFN_##name_of)function;                                                              \
        return (PFN_vkVoidFunction)prefix##_##name_of;                                                       \
    }
#define WATCHED(name_of)                            MATCH(watched, name_of)
#define OTHER(name_of, parameters, arguments, kind) MATCH(proxy, name_of)
    if (!function)
        return NULL;
    WATCHED_LIST(WATCHED)
    FAILING_LIST(OTHER)
    DESTROYING_LIST(OTHER)
    return function;
#undef OTHER
#undef WATCHED
#undef MATCH
}

static VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL watched_vkGetDeviceProcAddr(VkDevice device, const char *name)
{
    if (proxy.missing_function && strcmp(name, proxy.missing_function) == 0)
        return NULL;
    return substitute(name, real.vkGetDeviceProcAddr(device, name));
}

static VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL get_instance_proc_addr(VkInstance instance, const char *name)
{
    if (proxy.no_functions || (proxy.missing_function && strcmp(name, proxy.missing_function) == 0))
        return NULL;
    return substitute(name, real.get_instance_proc_addr(instance, name));
}

/* One instance that lives as long as the program: drivers and layers then stay loaded, which makes the next
 * hundred instances quick, and lets a leak checker see that what they keep in globals is no leak. */
static void keep_drivers_loaded(void)
{
    static VkInstance kept;
    const char *layer = "VK_LAYER_KHRONOS_validation";
    VkInstanceCreateInfo info = {.sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO,
                                 .enabledLayerCount = 1,
                                 .ppEnabledLayerNames = &layer};
    if (real.vkCreateInstance(&info, NULL, &kept) == VK_SUCCESS)
        return;
    info.enabledLayerCount = 0;
    real.vkCreateInstance(&info, NULL, &kept);
}

void *vulkan_proxy_loader(void)
{
    PFN_vkGetInstanceProcAddr function = get_instance_proc_addr;
    void *pointer;
    if (!real.get_instance_proc_addr) {
        assert_int_equal(qvk__vk_load(&real, NULL, NULL), QVK_OK);
        keep_drivers_loaded();
    }
    memcpy(&pointer, &function, sizeof pointer);
    return pointer;
}

/* ---- counts -------------------------------------------------------------------------------------------- */

void vulkan_proxy_reset(void)
{
    proxy = (vulkan_proxy){0};
    for (int i = 0; i < CALL_COUNT; i++)
        atomic_store(&calls[i], 0);
    for (int i = 0; i < KIND_COUNT; i++)
        atomic_store(&alive[i], 0);
    memset(memories, 0, sizeof memories);
    memory_now = memory_peak = 0;
}

long vulkan_proxy_alive(void)
{
    static const char *const kinds[] = {
#define NAME(name) #name,
        KIND_LIST(NAME)
#undef NAME
    };
    long sum = 0;
    for (int i = 0; i < KIND_COUNT; i++) {
        long n = atomic_load(&alive[i]);
        if (n != 0)
            print_error("alive: %ld %s\n", n, kinds[i]);
        sum += labs(n);
    }
    return sum;
}

long vulkan_proxy_calls(const char *function)
{
    for (int i = 0; i < CALL_COUNT; i++)
        if (strcmp(function, names[i]) == 0)
            return atomic_load(&calls[i]);
    return -1;
}

uint64_t vulkan_proxy_memory_peak(void)
{
    return memory_peak;
}

int vulkan_proxy_n_functions(void)
{
    return CALL_COUNT;
}

const char *vulkan_proxy_function(int i)
{
    return names[i];
}
