/* Which device: the list, best first, and the one the user names. */
#include <ctype.h>
#include <stdio.h>

#include "gpu/gpu_vulkan.h"

static int compare(const qvk__gpu_caps *a, const qvk__gpu_caps *b)
{
    if (a->type != b->type)
        return a->type < b->type ? -1 : 1;
    if (a->device_memory != b->device_memory)
        return a->device_memory > b->device_memory ? -1 : 1;
    return 0;
}

/* Insertion sort: equal devices keep the driver's order, so that an index means the same every time. */
static void sort(qvk__vulkan_info *infos, uint32_t n)
{
    for (uint32_t i = 1; i < n; i++) {
        qvk__vulkan_info item = infos[i];
        uint32_t j = i;
        for (; j > 0 && compare(&item.caps, &infos[j - 1].caps) < 0; j--)
            infos[j] = infos[j - 1];
        infos[j] = item;
    }
}

qvk_status qvk__vulkan_infos(const qvk__vk *vk, const qvk__vulkan_instance *instance, uint32_t disabled,
                             const qvk__gpu_log *log, qvk__vulkan_info **out, uint32_t *n, qvk_error *err)
{
    qvk_status status;
    uint32_t n_devices = 0, n_usable = 0;
    VkPhysicalDevice *devices = NULL;
    qvk__vulkan_info *infos = NULL;
    QVK__TRY_GO(QVK__VK(NULL, err, vk->vkEnumeratePhysicalDevices(instance->handle, &n_devices, NULL)));
    QVK__CHECK_GO(n_devices > 0, err, QVK_NO_DEVICE,
                  "no Vulkan device: the loader found no driver (install your GPU's Vulkan driver, or "
                  "mesa-vulkan-drivers for a software one, or run on the CPU)");
    devices = qvk__alloc_zeroed(n_devices, sizeof *devices);
    infos = qvk__alloc_zeroed(n_devices, sizeof *infos);
    QVK__CHECK_GO(devices && infos, err, QVK_OUT_OF_MEMORY, "out of host memory");
    VkResult result = vk->vkEnumeratePhysicalDevices(instance->handle, &n_devices, devices);
    if (result != VK_INCOMPLETE)
        QVK__TRY_GO(qvk__vk_status(NULL, err, result, "vkEnumeratePhysicalDevices"));
    for (uint32_t i = 0; i < n_devices; i++) {
        bool usable;
        QVK__TRY_GO(
            qvk__vulkan_info_query(vk, instance, devices[i], disabled, log, &infos[n_usable], &usable, err));
        n_usable += usable;
    }
    QVK__CHECK_GO(n_usable > 0, err, QVK_NO_DEVICE,
                  "no usable Vulkan device: of %u found, none has Vulkan 1.1 and a compute queue", n_devices);
    sort(infos, n_usable);
    *out = infos;
    *n = n_usable;
    infos = NULL;
done:
    free(devices);
    free(infos);
    return status;
}

/* ---- by name ------------------------------------------------------------------------------------------- */

static bool contains_ignoring_case(const char *text, const char *part)
{
    for (; *text; text++) {
        size_t i = 0;
        while (part[i] && tolower((unsigned char)text[i]) == tolower((unsigned char)part[i]))
            i++;
        if (!part[i])
            return true;
    }
    return false;
}

static bool parse_index(const char *text, uint32_t *out)
{
    uint32_t value = 0;
    for (const char *c = text; *c; c++) {
        if (!isdigit((unsigned char)*c) || c - text >= 9)
            return false;
        value = value * 10 + (uint32_t)(*c - '0');
    }
    *out = value;
    return *text != '\0';
}

static bool parse_uuid(const char *text, uint8_t uuid[16])
{
    int n = 0;
    memset(uuid, 0, 16);
    for (; *text; text++) {
        if (*text == '-')
            continue;
        if (!isxdigit((unsigned char)*text) || n == 32)
            return false;
        int digit = isdigit((unsigned char)*text) ? *text - '0' : tolower((unsigned char)*text) - 'a' + 10;
        uuid[n / 2] = (uint8_t)(uuid[n / 2] << 4 | digit);
        n++;
    }
    return n == 32;
}

static qvk_status not_found(const qvk__gpu_caps *const *caps, uint32_t n, const char *wanted, qvk_error *err)
{
    qvk__string list = {0};
    for (uint32_t i = 0; i < n; i++)
        qvk__string_addf(&list, "%s%u: %s", i ? ", " : "", i, caps[i]->name);
    qvk_status status = qvk__fail(err, QVK_NO_DEVICE, "no device \"%.60s\"; there is %s", wanted,
                                  list.failed ? "another" : list.data);
    free(list.data);
    return status;
}

qvk_status qvk__gpu_choose(const qvk__gpu_caps *const *caps, uint32_t n, const char *wanted, uint32_t *out,
                           qvk_error *err)
{
    uint32_t index;
    uint8_t uuid[16];
    if (!wanted || !*wanted) {
        *out = 0;
        return QVK_OK;
    }
    if (parse_index(wanted, &index) && index < n) {
        *out = index;
        return QVK_OK;
    }
    bool is_uuid = parse_uuid(wanted, uuid);
    for (uint32_t i = 0; i < n; i++) {
        if ((is_uuid && memcmp(caps[i]->uuid, uuid, sizeof uuid) == 0) ||
            contains_ignoring_case(caps[i]->name, wanted)) {
            *out = i;
            return QVK_OK;
        }
    }
    return not_found(caps, n, wanted, err);
}
