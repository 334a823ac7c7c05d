/* Loading of the function table. libvulkan is found at run time: nothing links to it, and no symbol is named
 * as Vulkan's. */
#include "gpu/vulkan_table.h"

#include <dlfcn.h>
#include <pthread.h>

/* Where the Vulkan loader may be, the usual name first. */
static const char *const loader_names[] = {
    "libvulkan.so.1",
    "libvulkan.so",
    "libvulkan.1.dylib",
    "libMoltenVK.dylib",
};

/* A data pointer to a function pointer: POSIX allows it, ISO C only through its bytes. */
static PFN_vkGetInstanceProcAddr function_of(void *pointer)
{
    PFN_vkGetInstanceProcAddr function;
    memcpy(&function, &pointer, sizeof function);
    return function;
}

static PFN_vkGetInstanceProcAddr find_loader(void)
{
    for (size_t i = 0; i < QVK__COUNT(loader_names); i++) {
        void *library = dlopen(loader_names[i], RTLD_NOW | RTLD_LOCAL);
        void *get = library ? dlsym(library, "vkGetInstanceProcAddr") : NULL;
        if (get)
            return function_of(get);
        if (library)
            dlclose(library);
    }
    return NULL;
}

/* Opened once per process, by whoever comes first, and never closed: drivers do not survive it. */
static qvk_status open_system_loader(PFN_vkGetInstanceProcAddr *out, qvk_error *err)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    static PFN_vkGetInstanceProcAddr loaded;
    pthread_mutex_lock(&lock);
    if (!loaded)
        loaded = find_loader();
    *out = loaded;
    pthread_mutex_unlock(&lock);
    QVK__CHECK(*out, err, QVK_NO_DEVICE,
               "no Vulkan on this machine: libvulkan.so.1 was not found (install the Vulkan loader, "
               "libvulkan1, and your GPU's driver, or run on the CPU)");
    return QVK_OK;
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
