/* The Vulkan instance: version, portability, validation layer and its messages. */
#include "gpu/gpu_vulkan.h"
#include "qvk/version.h"

#define VALIDATION_LAYER "VK_LAYER_KHRONOS_validation"

/* qvk uses nothing newer; later devices are asked to behave as this one. */
#define NEWEST_API VK_API_VERSION_1_3

static VKAPI_ATTR VkBool32 VKAPI_CALL on_message(VkDebugUtilsMessageSeverityFlagBitsEXT severity,
                                                 VkDebugUtilsMessageTypeFlagsEXT types,
                                                 const VkDebugUtilsMessengerCallbackDataEXT *data, void *user)
{
    (void)types;
    qvk__gpu_log *log = user;
    atomic_fetch_add(&log->layer_messages, 1);
    bool is_error = (severity & VK_DEBUG_UTILS_MESSAGE_SEVERITY_ERROR_BIT_EXT) != 0;
    qvk__gpu_logf(log, is_error ? QVK__LOG_ERROR : QVK__LOG_WARNING, "validation: %s", data->pMessage);
    return VK_FALSE;
}

static VkDebugUtilsMessengerCreateInfoEXT messenger_info(qvk__gpu_log *log)
{
    return (VkDebugUtilsMessengerCreateInfoEXT){
        .sType = VK_STRUCTURE_TYPE_DEBUG_UTILS_MESSENGER_CREATE_INFO_EXT,
        .messageSeverity =
            VK_DEBUG_UTILS_MESSAGE_SEVERITY_ERROR_BIT_EXT | VK_DEBUG_UTILS_MESSAGE_SEVERITY_WARNING_BIT_EXT,
        /* GENERAL is left out: that is the loader talking about other people's drivers. */
        .messageType =
            VK_DEBUG_UTILS_MESSAGE_TYPE_VALIDATION_BIT_EXT | VK_DEBUG_UTILS_MESSAGE_TYPE_PERFORMANCE_BIT_EXT,
        .pfnUserCallback = on_message,
        .pUserData = log,
    };
}

static qvk_status check_version(const qvk__vk *vk, uint32_t *out, qvk_error *err)
{
    uint32_t version = VK_API_VERSION_1_0;
    QVK__CHECK(vk->vkCreateInstance && vk->vkEnumerateInstanceExtensionProperties &&
                   vk->vkEnumerateInstanceLayerProperties,
               err, QVK_NO_DEVICE, "the Vulkan loader has no vkCreateInstance: it is broken or no loader");
    if (vk->vkEnumerateInstanceVersion)
        QVK__TRY(QVK__VK(NULL, err, vk->vkEnumerateInstanceVersion(&version)));
    QVK__CHECK(version >= VK_API_VERSION_1_1, err, QVK_NO_DEVICE,
               "the Vulkan loader is version 1.0; qvk needs 1.1 (update libvulkan1)");
    *out = QVK__MIN(version, NEWEST_API);
    return QVK_OK;
}

static qvk_status has_extension(const qvk__vk *vk, const char *layer, const char *name, bool *out,
                                qvk_error *err)
{
    uint32_t n = 0;
    *out = false;
    QVK__TRY(QVK__VK(NULL, err, vk->vkEnumerateInstanceExtensionProperties(layer, &n, NULL)));
    VkExtensionProperties *list = qvk__alloc_zeroed(n + 1, sizeof *list);
    QVK__CHECK(list, err, QVK_OUT_OF_MEMORY, "out of host memory");
    VkResult result = vk->vkEnumerateInstanceExtensionProperties(layer, &n, list);
    for (uint32_t i = 0; i < n && result >= 0; i++)
        *out = *out || strcmp(list[i].extensionName, name) == 0;
    free(list);
    return qvk__vk_status(NULL, err, result == VK_INCOMPLETE ? VK_SUCCESS : result,
                          "vkEnumerateInstanceExtensionProperties");
}

static qvk_status has_layer(const qvk__vk *vk, const char *name, bool *out, qvk_error *err)
{
    uint32_t n = 0;
    *out = false;
    QVK__TRY(QVK__VK(NULL, err, vk->vkEnumerateInstanceLayerProperties(&n, NULL)));
    VkLayerProperties *list = qvk__alloc_zeroed(n + 1, sizeof *list);
    QVK__CHECK(list, err, QVK_OUT_OF_MEMORY, "out of host memory");
    VkResult result = vk->vkEnumerateInstanceLayerProperties(&n, list);
    for (uint32_t i = 0; i < n && result >= 0; i++)
        *out = *out || strcmp(list[i].layerName, name) == 0;
    free(list);
    return qvk__vk_status(NULL, err, result == VK_INCOMPLETE ? VK_SUCCESS : result,
                          "vkEnumerateInstanceLayerProperties");
}

static qvk_status create_own(qvk__vk *vk, const qvk__gpu_params *params, qvk__gpu_log *log,
                             qvk__vulkan_instance *out, qvk_error *err)
{
    bool portability, layer_found = false;
    QVK__TRY(check_version(vk, &out->api_version, err));
    QVK__TRY(has_extension(vk, NULL, VK_KHR_PORTABILITY_ENUMERATION_EXTENSION_NAME, &portability, err));
    if (params->validation) {
        QVK__TRY(has_layer(vk, VALIDATION_LAYER, &layer_found, err));
        QVK__CHECK(layer_found, err, QVK_UNSUPPORTED,
                   "validation was asked for, but the layer " VALIDATION_LAYER " is not installed");
    }
    const char *extensions[2];
    uint32_t n_extensions = 0;
    if (portability)
        extensions[n_extensions++] = VK_KHR_PORTABILITY_ENUMERATION_EXTENSION_NAME;
    if (params->validation)
        extensions[n_extensions++] = VK_EXT_DEBUG_UTILS_EXTENSION_NAME;
    const char *layers[] = {VALIDATION_LAYER};
    VkDebugUtilsMessengerCreateInfoEXT messenger = messenger_info(log);
    const VkValidationFeatureEnableEXT enables[] = {
        VK_VALIDATION_FEATURE_ENABLE_SYNCHRONIZATION_VALIDATION_EXT};
    VkValidationFeaturesEXT features = {
        .sType = VK_STRUCTURE_TYPE_VALIDATION_FEATURES_EXT,
        .pNext = &messenger, /* so that creation and destruction are heard too */
        .enabledValidationFeatureCount = QVK__COUNT(enables),
        .pEnabledValidationFeatures = enables,
    };
    VkApplicationInfo application = {
        .sType = VK_STRUCTURE_TYPE_APPLICATION_INFO,
        .pApplicationName = "qvk",
        .pEngineName = "qvk",
        .engineVersion = VK_MAKE_API_VERSION(0, QVK_VERSION_MAJOR, QVK_VERSION_MINOR, QVK_VERSION_PATCH),
        .apiVersion = out->api_version,
    };
    VkInstanceCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO,
        .pNext = params->validation ? &features : NULL,
        .flags = portability ? VK_INSTANCE_CREATE_ENUMERATE_PORTABILITY_BIT_KHR : 0,
        .pApplicationInfo = &application,
        .enabledLayerCount = params->validation ? 1 : 0,
        .ppEnabledLayerNames = layers,
        .enabledExtensionCount = n_extensions,
        .ppEnabledExtensionNames = extensions,
    };
    QVK__TRY(QVK__VK(NULL, err, vk->vkCreateInstance(&info, NULL, &out->handle)));
    out->owned = true;
    return QVK_OK;
}

qvk_status qvk__vulkan_instance_create(qvk__vk *vk, const qvk__gpu_params *params, qvk__gpu_log *log,
                                       qvk__vulkan_instance *out, qvk_error *err)
{
    qvk_status status;
    qvk__vulkan_instance instance = {.handle = params->vk_instance, .api_version = NEWEST_API};
    if (!params->vk_instance)
        QVK__TRY(create_own(vk, params, log, &instance, err));
    QVK__TRY_GO(qvk__vk_load_instance(vk, instance.handle, err));
    if (params->validation && instance.owned && vk->vkCreateDebugUtilsMessengerEXT) {
        VkDebugUtilsMessengerCreateInfoEXT info = messenger_info(log);
        QVK__TRY_GO(
            QVK__VK(NULL, err,
                    vk->vkCreateDebugUtilsMessengerEXT(instance.handle, &info, NULL, &instance.messenger)));
    }
    *out = instance;
done:
    if (status != QVK_OK)
        qvk__vulkan_instance_destroy(vk, &instance);
    return status;
}

void qvk__vulkan_instance_destroy(qvk__vk *vk, qvk__vulkan_instance *instance)
{
    if (instance->messenger)
        vk->vkDestroyDebugUtilsMessengerEXT(instance->handle, instance->messenger, NULL);
    if (instance->owned && vk->vkDestroyInstance)
        vk->vkDestroyInstance(instance->handle, NULL);
    *instance = (qvk__vulkan_instance){0};
}
