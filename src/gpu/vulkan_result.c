/* From VkResult to qvk_status. */
#include <stdio.h>

#include "gpu/gpu_vulkan.h"

/* X(VkResult, qvk_status, what it means for the user) */
#define RESULT_LIST(X)                                                                                       \
    X(VK_NOT_READY, TIMEOUT, "not finished")                                                                 \
    X(VK_TIMEOUT, TIMEOUT, "no answer in time")                                                              \
    X(VK_INCOMPLETE, DRIVER, "the list changed while it was read")                                           \
    X(VK_ERROR_OUT_OF_HOST_MEMORY, OUT_OF_MEMORY, "out of host memory")                                      \
    X(VK_ERROR_OUT_OF_DEVICE_MEMORY, OUT_OF_DEVICE_MEMORY, "out of device memory")                           \
    X(VK_ERROR_INITIALIZATION_FAILED, NO_DEVICE, "the driver did not start")                                 \
    X(VK_ERROR_DEVICE_LOST, DEVICE_LOST, "the device was lost (crash, reset or removal)")                    \
    X(VK_ERROR_MEMORY_MAP_FAILED, OUT_OF_MEMORY, "device memory could not be mapped")                        \
    X(VK_ERROR_LAYER_NOT_PRESENT, UNSUPPORTED, "a layer is not installed")                                   \
    X(VK_ERROR_EXTENSION_NOT_PRESENT, DRIVER, "an extension the driver listed is missing")                   \
    X(VK_ERROR_FEATURE_NOT_PRESENT, DRIVER, "a feature the driver listed is missing")                        \
    X(VK_ERROR_INCOMPATIBLE_DRIVER, NO_DEVICE, "no driver fits (install your GPU's Vulkan driver)")          \
    X(VK_ERROR_TOO_MANY_OBJECTS, OUT_OF_DEVICE_MEMORY, "too many objects")                                   \
    X(VK_ERROR_FRAGMENTED_POOL, OUT_OF_DEVICE_MEMORY, "descriptor pool fragmented")                          \
    X(VK_ERROR_OUT_OF_POOL_MEMORY, OUT_OF_DEVICE_MEMORY, "descriptor pool exhausted")                        \
    X(VK_ERROR_INVALID_SHADER_NV, DRIVER, "the driver rejects the shader")                                   \
    X(VK_ERROR_UNKNOWN, DRIVER, "unknown error; often a fault of the driver's shader compiler")

qvk_status qvk__vk_status(qvk__vulkan *gpu, qvk_error *err, VkResult result, const char *call)
{
    if (result == VK_SUCCESS)
        return QVK_OK;
    /* "gpu->vk.vkCreateFence(gpu->device, ...)": the name is what the user can search for. */
    const char *end = strchr(call, '(');
    const char *name = end ? end : call + strlen(call);
    while (name > call && name[-1] != '.' && name[-1] != '>')
        name--;
    int length = (int)(end ? end - name : (ptrdiff_t)strlen(name));
    if (gpu && result == VK_ERROR_DEVICE_LOST)
        atomic_store(&gpu->base.lost, true);
    switch ((int)result) {
#define CASE(code, status, text)                                                                             \
    case code: return qvk__fail(err, QVK_##status, "%.*s: " text " (" #code ")", length, name);
        RESULT_LIST(CASE)
#undef CASE
    }
    return qvk__fail(err, QVK_DRIVER, "%.*s: VkResult %d", length, name, (int)result);
}
