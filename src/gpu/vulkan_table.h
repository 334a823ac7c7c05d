/*
 * Every Vulkan function qvk calls, once. The lists make the table that all calls go through, its loading, and
 * (in the tests) the functions that fail on purpose. One table per device: several devices and loaders
 * coexist.
 */
#ifndef QVK__VULKAN_TABLE_H
#define QVK__VULKAN_TABLE_H

#include "base/base.h"
#include "gpu/vulkan_compat.h"

/* Found without an instance. vkEnumerateInstanceVersion is missing from 1.0 loaders. */
#define QVK__VK_GLOBAL_LIST(X)                                                                               \
    X(vkEnumerateInstanceVersion)                                                                            \
    X(vkEnumerateInstanceExtensionProperties)                                                                \
    X(vkEnumerateInstanceLayerProperties)                                                                    \
    X(vkCreateInstance)

#define QVK__VK_INSTANCE_LIST(X)                                                                             \
    X(vkDestroyInstance)                                                                                     \
    X(vkEnumeratePhysicalDevices)                                                                            \
    X(vkEnumerateDeviceExtensionProperties)                                                                  \
    X(vkGetPhysicalDeviceProperties)                                                                         \
    X(vkGetPhysicalDeviceProperties2)                                                                        \
    X(vkGetPhysicalDeviceFeatures2)                                                                          \
    X(vkGetPhysicalDeviceMemoryProperties2)                                                                  \
    X(vkGetPhysicalDeviceQueueFamilyProperties)                                                              \
    X(vkCreateDevice)                                                                                        \
    X(vkGetDeviceProcAddr)

/* NULL where the extension is missing. */
#define QVK__VK_INSTANCE_OPTIONAL_LIST(X)                                                                    \
    X(vkCreateDebugUtilsMessengerEXT)                                                                        \
    X(vkDestroyDebugUtilsMessengerEXT)                                                                       \
    X(vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR)

#define QVK__VK_DEVICE_LIST(X)                                                                               \
    X(vkDestroyDevice)                                                                                       \
    X(vkGetDeviceQueue)                                                                                      \
    X(vkQueueSubmit)                                                                                         \
    X(vkCreateFence)                                                                                         \
    X(vkDestroyFence)                                                                                        \
    X(vkResetFences)                                                                                         \
    X(vkGetFenceStatus)                                                                                      \
    X(vkWaitForFences)                                                                                       \
    X(vkAllocateMemory)                                                                                      \
    X(vkFreeMemory)                                                                                          \
    X(vkMapMemory)                                                                                           \
    X(vkCreateBuffer)                                                                                        \
    X(vkDestroyBuffer)                                                                                       \
    X(vkGetBufferMemoryRequirements)                                                                         \
    X(vkBindBufferMemory)                                                                                    \
    X(vkCreateShaderModule)                                                                                  \
    X(vkDestroyShaderModule)                                                                                 \
    X(vkCreateDescriptorSetLayout)                                                                           \
    X(vkDestroyDescriptorSetLayout)                                                                          \
    X(vkCreatePipelineLayout)                                                                                \
    X(vkDestroyPipelineLayout)                                                                               \
    X(vkCreatePipelineCache)                                                                                 \
    X(vkDestroyPipelineCache)                                                                                \
    X(vkGetPipelineCacheData)                                                                                \
    X(vkMergePipelineCaches)                                                                                 \
    X(vkCreateComputePipelines)                                                                              \
    X(vkDestroyPipeline)                                                                                     \
    X(vkCreateDescriptorPool)                                                                                \
    X(vkDestroyDescriptorPool)                                                                               \
    X(vkResetDescriptorPool)                                                                                 \
    X(vkAllocateDescriptorSets)                                                                              \
    X(vkUpdateDescriptorSets)                                                                                \
    X(vkCreateCommandPool)                                                                                   \
    X(vkDestroyCommandPool)                                                                                  \
    X(vkResetCommandPool)                                                                                    \
    X(vkAllocateCommandBuffers)                                                                              \
    X(vkBeginCommandBuffer)                                                                                  \
    X(vkEndCommandBuffer)                                                                                    \
    X(vkCreateQueryPool)                                                                                     \
    X(vkDestroyQueryPool)                                                                                    \
    X(vkGetQueryPoolResults)                                                                                 \
    X(vkCmdBindPipeline)                                                                                     \
    X(vkCmdBindDescriptorSets)                                                                               \
    X(vkCmdDispatch)                                                                                         \
    X(vkCmdDispatchIndirect)                                                                                 \
    X(vkCmdPipelineBarrier)                                                                                  \
    X(vkCmdCopyBuffer)                                                                                       \
    X(vkCmdFillBuffer)                                                                                       \
    X(vkCmdResetQueryPool)                                                                                   \
    X(vkCmdWriteTimestamp)

#define QVK__VK_ALL_LIST(X)                                                                                  \
    QVK__VK_GLOBAL_LIST(X)                                                                                   \
    QVK__VK_INSTANCE_LIST(X) QVK__VK_INSTANCE_OPTIONAL_LIST(X) QVK__VK_DEVICE_LIST(X)

typedef struct qvk__vk {
    PFN_vkGetInstanceProcAddr get_instance_proc_addr;
#define QVK__VK_MEMBER(name) PFN_##name name;
    QVK__VK_ALL_LIST(QVK__VK_MEMBER)
#undef QVK__VK_MEMBER
} qvk__vk;

/* Finds the loader (or takes `get`, a vkGetInstanceProcAddr, when not NULL) and the global functions.
 * QVK_NO_DEVICE with a hint when there is no loader, or only a Vulkan 1.0 one. */
qvk_status qvk__vk_load(qvk__vk *vk, void *get, qvk_error *err);
qvk_status qvk__vk_load_instance(qvk__vk *vk, VkInstance instance, qvk_error *err);
qvk_status qvk__vk_load_device(qvk__vk *vk, VkDevice device, qvk_error *err);

#endif
