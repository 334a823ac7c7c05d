/* Loading of the function table; volk's part is to find libvulkan at run time, so that nothing links to it.
 */
#define VOLK_IMPLEMENTATION
#include "gpu/vulkan_table.h"

#include <pthread.h>

/* volk keeps the loader in globals: opened once per process, by whoever comes first. */
static qvk_status open_system_loader(PFN_vkGetInstanceProcAddr *out, qvk_error *err)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    static PFN_vkGetInstanceProcAddr loaded;
    pthread_mutex_lock(&lock);
    if (!loaded && volkInitialize() == VK_SUCCESS)
        loaded = vkGetInstanceProcAddr;
    *out = loaded;
    pthread_mutex_unlock(&lock);
    QVK__CHECK(*out, err, QVK_NO_DEVICE,
               "no Vulkan on this machine: libvulkan.so.1 was not found (install the Vulkan loader, "
               "libvulkan1, and your GPU's driver, or run on the CPU)");
    return QVK_OK;
}

/* A data pointer to a function pointer: POSIX allows it, ISO C only through its bytes. */
static PFN_vkGetInstanceProcAddr function_of(void *pointer)
{
    PFN_vkGetInstanceProcAddr function;
    memcpy(&function, &pointer, sizeof function);
    return function;
}

qvk_status qvk__vk_load(qvk__vk *vk, void *get, qvk_error *err)
{
    memset(vk, 0, sizeof *vk);
    if (get)
        vk->get_instance_proc_addr = function_of(get);
    else
        QVK__TRY(open_system_loader(&vk->get_instance_proc_addr, err));
#define LOAD(name) vk->name = (PFN_##name)vk->get_instance_proc_addr(NULL, #name);
    QVK__VK_GLOBAL_LIST(LOAD)
#undef LOAD
    return QVK_OK;
}

#define REQUIRE(name)                                                                                        \
    QVK__CHECK(vk->name, err, QVK_NO_DEVICE, "the Vulkan driver lacks %s, which Vulkan 1.1 requires", #name);

qvk_status qvk__vk_load_instance(qvk__vk *vk, VkInstance instance, qvk_error *err)
{
#define LOAD(name) vk->name = (PFN_##name)vk->get_instance_proc_addr(instance, #name);
    QVK__VK_INSTANCE_LIST(LOAD)
    QVK__VK_INSTANCE_OPTIONAL_LIST(LOAD)
#undef LOAD
    QVK__VK_INSTANCE_LIST(REQUIRE)
    return QVK_OK;
}

qvk_status qvk__vk_load_device(qvk__vk *vk, VkDevice device, qvk_error *err)
{
#define LOAD(name) vk->name = (PFN_##name)vk->vkGetDeviceProcAddr(device, #name);
    QVK__VK_DEVICE_LIST(LOAD)
#undef LOAD
    QVK__VK_DEVICE_LIST(REQUIRE)
    return QVK_OK;
}
