/* What a physical device can do: properties and features, queried once, as caps and as what to enable. */
#include <stdio.h>

#include "gpu/gpu_vulkan.h"

typedef struct extension_list {
    VkExtensionProperties *data;
    uint32_t n;
} extension_list;

static qvk_status list_extensions(const qvk__vk *vk, VkPhysicalDevice physical, extension_list *out,
                                  qvk_error *err)
{
    uint32_t n = 0;
    QVK__TRY(QVK__VK(NULL, err, vk->vkEnumerateDeviceExtensionProperties(physical, NULL, &n, NULL)));
    VkExtensionProperties *data = qvk__alloc_zeroed(n + 1, sizeof *data);
    QVK__CHECK(data, err, QVK_OUT_OF_MEMORY, "out of host memory");
    VkResult result = vk->vkEnumerateDeviceExtensionProperties(physical, NULL, &n, data);
    if (result < 0) {
        free(data);
        return qvk__vk_status(NULL, err, result, "vkEnumerateDeviceExtensionProperties");
    }
    *out = (extension_list){data, n};
    return QVK_OK;
}

static bool has(const extension_list *list, const char *name)
{
    for (uint32_t i = 0; i < list->n; i++)
        if (strcmp(list->data[i].extensionName, name) == 0)
            return true;
    return false;
}

/* ---- features ------------------------------------------------------------------------------------------ */

#define NEVER_CORE UINT32_MAX

/* The structs of qvk__vulkan_features, and where each comes from. */
static const struct feature_row {
    size_t offset;
    VkStructureType type;
    const char *extension;
    uint32_t core; /* part of Vulkan since */
} feature_rows[] = {
#define ROW(member, type, extension, core)                                                                   \
    {                                                                                                        \
        offsetof(qvk__vulkan_features, member), VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_##type, extension, core    \
    }
    ROW(storage16, 16BIT_STORAGE_FEATURES, VK_KHR_16BIT_STORAGE_EXTENSION_NAME, VK_API_VERSION_1_1),
    ROW(storage8, 8BIT_STORAGE_FEATURES, VK_KHR_8BIT_STORAGE_EXTENSION_NAME, VK_API_VERSION_1_2),
    ROW(arithmetic, SHADER_FLOAT16_INT8_FEATURES, VK_KHR_SHADER_FLOAT16_INT8_EXTENSION_NAME,
        VK_API_VERSION_1_2),
    ROW(memory_model, VULKAN_MEMORY_MODEL_FEATURES, VK_KHR_VULKAN_MEMORY_MODEL_EXTENSION_NAME,
        VK_API_VERSION_1_2),
    ROW(dot, SHADER_INTEGER_DOT_PRODUCT_FEATURES, VK_KHR_SHADER_INTEGER_DOT_PRODUCT_EXTENSION_NAME,
        VK_API_VERSION_1_3),
    ROW(subgroup_size, SUBGROUP_SIZE_CONTROL_FEATURES, VK_EXT_SUBGROUP_SIZE_CONTROL_EXTENSION_NAME,
        VK_API_VERSION_1_3),
    /* SPIR-V 1.6 kernels with work-group sizes from specialization constants need it (LocalSizeId). */
    ROW(maintenance4, MAINTENANCE_4_FEATURES, VK_KHR_MAINTENANCE_4_EXTENSION_NAME, VK_API_VERSION_1_3),
    ROW(coopmat, COOPERATIVE_MATRIX_FEATURES_KHR, VK_KHR_COOPERATIVE_MATRIX_EXTENSION_NAME, NEVER_CORE),
#undef ROW
};

static VkBaseOutStructure *feature_struct(qvk__vulkan_features *features, const struct feature_row *row)
{
    return (VkBaseOutStructure *)(void *)((char *)features + row->offset);
}

void *qvk__vulkan_features_chain(qvk__vulkan_features *features)
{
    features->core.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2;
    features->core.pNext = NULL;
    for (size_t i = 0; i < QVK__COUNT(feature_rows); i++) {
        VkBaseOutStructure *member = feature_struct(features, &feature_rows[i]);
        if (member->sType != feature_rows[i].type)
            continue;
        member->pNext = features->core.pNext;
        features->core.pNext = member;
    }
    return &features->core;
}

static void add_extension(qvk__vulkan_info *info, const char *name)
{
    if (info->n_extensions < QVK__VULKAN_MAX_EXTENSIONS)
        info->extensions[info->n_extensions++] = name;
}

static void query_features(const qvk__vk *vk, const extension_list *extensions, qvk__vulkan_info *info)
{
    for (size_t i = 0; i < QVK__COUNT(feature_rows); i++) {
        const struct feature_row *row = &feature_rows[i];
        bool is_core = info->caps.api_version >= row->core;
        if (!is_core && !has(extensions, row->extension))
            continue;
        feature_struct(&info->features, row)->sType = row->type;
        if (!is_core)
            add_extension(info, row->extension);
    }
    vk->vkGetPhysicalDeviceFeatures2(info->physical, qvk__vulkan_features_chain(&info->features));
}

/* Leaves on exactly what `flags` stand for. */
static void trim_features(qvk__vulkan_features *f, uint32_t flags)
{
    f->core.features = (VkPhysicalDeviceFeatures){
        .shaderInt16 = (flags & QVK__CAP_INT16) != 0,
        .shaderInt64 = (flags & QVK__CAP_INT64) != 0,
    };
    f->storage16 = (VkPhysicalDevice16BitStorageFeatures){
        .sType = f->storage16.sType, .storageBuffer16BitAccess = (flags & QVK__CAP_STORAGE16) != 0};
    f->storage8 = (VkPhysicalDevice8BitStorageFeatures){
        .sType = f->storage8.sType, .storageBuffer8BitAccess = (flags & QVK__CAP_STORAGE8) != 0};
    f->arithmetic = (VkPhysicalDeviceShaderFloat16Int8Features){
        .sType = f->arithmetic.sType,
        .shaderFloat16 = (flags & QVK__CAP_FP16) != 0,
        .shaderInt8 = (flags & QVK__CAP_INT8) != 0,
    };
    f->dot.shaderIntegerDotProduct = (flags & QVK__CAP_DOT8) != 0;
    bool sizes = (flags & QVK__CAP_SUBGROUP_SIZE_CONTROL) != 0;
    f->subgroup_size.subgroupSizeControl = sizes;
    f->subgroup_size.computeFullSubgroups = f->subgroup_size.computeFullSubgroups && sizes;
    bool model = (flags & QVK__CAP_MEMORY_MODEL) != 0;
    f->memory_model.vulkanMemoryModel = model;
    f->memory_model.vulkanMemoryModelDeviceScope = f->memory_model.vulkanMemoryModelDeviceScope && model;
    f->memory_model.vulkanMemoryModelAvailabilityVisibilityChains = VK_FALSE;
    f->coopmat.cooperativeMatrix = (flags & QVK__CAP_COOPMAT) != 0;
    f->coopmat.cooperativeMatrixRobustBufferAccess = VK_FALSE;
}

/* ---- properties ---------------------------------------------------------------------------------------- */

typedef struct properties {
    VkPhysicalDeviceProperties2 core;
    VkPhysicalDeviceIDProperties id;
    VkPhysicalDeviceSubgroupProperties subgroup;
    VkPhysicalDeviceMaintenance3Properties maintenance3;
    VkPhysicalDeviceMaintenance4Properties maintenance4;
    VkPhysicalDeviceDriverProperties driver;
    VkPhysicalDeviceSubgroupSizeControlProperties subgroup_size;
    VkPhysicalDeviceShaderIntegerDotProductProperties dot;
    VkPhysicalDeviceCooperativeMatrixPropertiesKHR coopmat;
    VkPhysicalDeviceShaderSMBuiltinsPropertiesNV nvidia_cores;
    VkPhysicalDeviceShaderCoreProperties2AMD amd_cores;
    VkPhysicalDeviceShaderCoreBuiltinsPropertiesARM arm_cores;
} properties;

static void query_properties(const qvk__vk *vk, const extension_list *extensions,
                             const qvk__vulkan_info *info, properties *p)
{
    uint32_t api = info->caps.api_version;
    memset(p, 0, sizeof *p);
    p->core.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2;
#define LINK(member, type, condition)                                                                        \
    if (condition) {                                                                                         \
        p->member.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_##type;                                          \
        p->member.pNext = p->core.pNext;                                                                     \
        p->core.pNext = &p->member;                                                                          \
    }
    LINK(id, ID_PROPERTIES, true)
    LINK(subgroup, SUBGROUP_PROPERTIES, true)
    LINK(maintenance3, MAINTENANCE_3_PROPERTIES, true)
    LINK(maintenance4, MAINTENANCE_4_PROPERTIES, info->features.maintenance4.sType != 0)
    LINK(driver, DRIVER_PROPERTIES,
         api >= VK_API_VERSION_1_2 || has(extensions, VK_KHR_DRIVER_PROPERTIES_EXTENSION_NAME))
    LINK(subgroup_size, SUBGROUP_SIZE_CONTROL_PROPERTIES, info->features.subgroup_size.sType != 0)
    LINK(dot, SHADER_INTEGER_DOT_PRODUCT_PROPERTIES, info->features.dot.sType != 0)
    LINK(coopmat, COOPERATIVE_MATRIX_PROPERTIES_KHR, info->features.coopmat.sType != 0)
    LINK(nvidia_cores, SHADER_SM_BUILTINS_PROPERTIES_NV,
         has(extensions, VK_NV_SHADER_SM_BUILTINS_EXTENSION_NAME))
    LINK(amd_cores, SHADER_CORE_PROPERTIES_2_AMD,
         has(extensions, VK_AMD_SHADER_CORE_PROPERTIES_2_EXTENSION_NAME))
    LINK(arm_cores, SHADER_CORE_BUILTINS_PROPERTIES_ARM,
         has(extensions, VK_ARM_SHADER_CORE_BUILTINS_EXTENSION_NAME))
#undef LINK
    vk->vkGetPhysicalDeviceProperties2(info->physical, &p->core);
}

static void fill_identity(const properties *p, qvk__gpu_caps *caps)
{
    const VkPhysicalDeviceProperties *core = &p->core.properties;
    snprintf(caps->name, sizeof caps->name, "%s", core->deviceName);
    if (p->driver.driverName[0])
        snprintf(caps->driver, sizeof caps->driver, "%.120s%s%.120s", p->driver.driverName,
                 p->driver.driverInfo[0] ? " " : "", p->driver.driverInfo);
    else
        snprintf(caps->driver, sizeof caps->driver, "driver %u.%u.%u",
                 VK_API_VERSION_MAJOR(core->driverVersion), VK_API_VERSION_MINOR(core->driverVersion),
                 VK_API_VERSION_PATCH(core->driverVersion));
    memcpy(caps->uuid, p->id.deviceUUID, sizeof caps->uuid);
    caps->vendor_id = core->vendorID;
    caps->device_id = core->deviceID;
    caps->driver_id = p->driver.driverID;
    caps->driver_version = core->driverVersion;
    switch (core->deviceType) {
    case VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU: caps->type = QVK__GPU_DISCRETE; break;
    case VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU: caps->type = QVK__GPU_INTEGRATED; break;
    case VK_PHYSICAL_DEVICE_TYPE_VIRTUAL_GPU: caps->type = QVK__GPU_VIRTUAL; break;
    case VK_PHYSICAL_DEVICE_TYPE_CPU: caps->type = QVK__GPU_CPU; break;
    default: caps->type = QVK__GPU_OTHER;
    }
    caps->compute_units = p->nvidia_cores.shaderSMCount  ? p->nvidia_cores.shaderSMCount
                          : p->arm_cores.shaderCoreCount ? p->arm_cores.shaderCoreCount
                                                         : p->amd_cores.activeComputeUnitCount;
}

/* Drivers that report 0 where the specification has a minimum mean the minimum. */
static uint64_t at_least(uint64_t value, uint64_t minimum)
{
    return value > minimum ? value : minimum;
}

static void fill_limits(const properties *p, const VkPhysicalDeviceMemoryProperties *memory,
                        qvk__gpu_caps *caps)
{
    const VkPhysicalDeviceLimits *limits = &p->core.properties.limits;
    caps->subgroup_size = at_least(p->subgroup.subgroupSize, 1);
    caps->subgroup_size_min = p->subgroup_size.minSubgroupSize;
    caps->subgroup_size_max = p->subgroup_size.maxSubgroupSize;
    if (caps->subgroup_size_min == 0)
        caps->subgroup_size_min = caps->subgroup_size_max = caps->subgroup_size;
    caps->max_invocations = limits->maxComputeWorkGroupInvocations;
    memcpy(caps->max_group_size, limits->maxComputeWorkGroupSize, sizeof caps->max_group_size);
    memcpy(caps->max_group_count, limits->maxComputeWorkGroupCount, sizeof caps->max_group_count);
    caps->shared_bytes = limits->maxComputeSharedMemorySize;
    caps->max_storage_range = at_least(limits->maxStorageBufferRange, 1u << 27);
    caps->max_uniform_range = at_least(limits->maxUniformBufferRange, 1u << 14);
    caps->storage_alignment = (uint32_t)at_least(limits->minStorageBufferOffsetAlignment, 4);
    caps->uniform_alignment = (uint32_t)at_least(limits->minUniformBufferOffsetAlignment, 16);
    caps->max_buffers = QVK__MIN(limits->maxPerStageDescriptorStorageBuffers, QVK__GPU_MAX_BINDINGS);
    for (uint32_t i = 0; i < memory->memoryHeapCount; i++)
        if (memory->memoryHeaps[i].flags & VK_MEMORY_HEAP_DEVICE_LOCAL_BIT)
            caps->device_memory = QVK__MAX(caps->device_memory, memory->memoryHeaps[i].size);
    caps->max_allocation =
        QVK__MIN(at_least(p->maintenance3.maxMemoryAllocationSize, 1u << 30), caps->device_memory);
    if (p->maintenance4.maxBufferSize)
        caps->max_allocation = QVK__MIN(caps->max_allocation, p->maintenance4.maxBufferSize);
}

/* ---- cooperative matrices ------------------------------------------------------------------------------ */

static bool coopmat_shape(const VkCooperativeMatrixPropertiesKHR *p, qvk__coopmat_shape *out)
{
    bool is_f16 = p->AType == VK_COMPONENT_TYPE_FLOAT16_KHR && p->BType == VK_COMPONENT_TYPE_FLOAT16_KHR;
    bool is_i8 = p->AType == VK_COMPONENT_TYPE_SINT8_KHR && p->BType == VK_COMPONENT_TYPE_SINT8_KHR &&
                 p->CType == VK_COMPONENT_TYPE_SINT32_KHR && !p->saturatingAccumulation;
    bool to_f32 = p->CType == VK_COMPONENT_TYPE_FLOAT32_KHR;
    bool to_f16 = p->CType == VK_COMPONENT_TYPE_FLOAT16_KHR;
    if (p->scope != VK_SCOPE_SUBGROUP_KHR || p->CType != p->ResultType)
        return false;
    *out = (qvk__coopmat_shape){p->MSize, p->NSize, p->KSize, is_i8, is_f16 && to_f32};
    return is_i8 || (is_f16 && (to_f32 || to_f16));
}

static qvk_status query_coopmat(const qvk__vk *vk, qvk__vulkan_info *info, qvk_error *err)
{
    uint32_t n = 0;
    PFN_vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR get =
        vk->vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR;
    if (!get || !info->features.coopmat.cooperativeMatrix)
        return QVK_OK;
    QVK__TRY(qvk__vk_status(NULL, err, get(info->physical, &n, NULL),
                            "vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR"));
    VkCooperativeMatrixPropertiesKHR *list = qvk__alloc_zeroed(n + 1, sizeof *list);
    QVK__CHECK(list, err, QVK_OUT_OF_MEMORY, "out of host memory");
    for (uint32_t i = 0; i < n; i++)
        list[i].sType = VK_STRUCTURE_TYPE_COOPERATIVE_MATRIX_PROPERTIES_KHR;
    VkResult result = get(info->physical, &n, list);
    qvk__gpu_caps *caps = &info->caps;
    for (uint32_t i = 0; result >= 0 && i < n; i++) {
        qvk__coopmat_shape shape;
        if (caps->n_coopmat == QVK__COUNT(caps->coopmat) || !coopmat_shape(&list[i], &shape))
            continue;
        caps->coopmat[caps->n_coopmat++] = shape;
        if (shape.is_int8)
            caps->flags |= QVK__CAP_COOPMAT_I8;
        else if (shape.f32_result)
            caps->flags |= QVK__CAP_COOPMAT_F16;
    }
    free(list);
    return qvk__vk_status(NULL, err, result == VK_INCOMPLETE ? VK_SUCCESS : result,
                          "vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR");
}

/* ---- all together -------------------------------------------------------------------------------------- */

static uint32_t flags_of(const qvk__vulkan_features *f, const properties *p)
{
    const VkSubgroupFeatureFlags reductions =
        VK_SUBGROUP_FEATURE_BASIC_BIT | VK_SUBGROUP_FEATURE_ARITHMETIC_BIT;
    bool sizes = f->subgroup_size.subgroupSizeControl && f->subgroup_size.computeFullSubgroups &&
                 (p->subgroup_size.requiredSubgroupSizeStages & VK_SHADER_STAGE_COMPUTE_BIT);
    bool fast_dot = p->dot.integerDotProduct4x8BitPackedSignedAccelerated;
    uint32_t flags = 0;
    flags |= f->arithmetic.shaderFloat16 ? QVK__CAP_FP16 : 0;
    flags |= f->arithmetic.shaderInt8 ? QVK__CAP_INT8 : 0;
    flags |= f->core.features.shaderInt16 ? QVK__CAP_INT16 : 0;
    flags |= f->core.features.shaderInt64 ? QVK__CAP_INT64 : 0;
    flags |= f->storage16.storageBuffer16BitAccess ? QVK__CAP_STORAGE16 : 0;
    flags |= f->storage8.storageBuffer8BitAccess ? QVK__CAP_STORAGE8 : 0;
    flags |= f->dot.shaderIntegerDotProduct ? QVK__CAP_DOT8 : 0;
    flags |= f->dot.shaderIntegerDotProduct && fast_dot ? QVK__CAP_DOT8_ACCELERATED : 0;
    flags |= f->memory_model.vulkanMemoryModel ? QVK__CAP_MEMORY_MODEL : 0;
    flags |= sizes ? QVK__CAP_SUBGROUP_SIZE_CONTROL : 0;
    if ((p->subgroup.supportedStages & VK_SHADER_STAGE_COMPUTE_BIT) &&
        (p->subgroup.supportedOperations & reductions) == reductions)
        flags |= QVK__CAP_SUBGROUP_ARITHMETIC;
    if ((p->subgroup.supportedStages & VK_SHADER_STAGE_COMPUTE_BIT) &&
        (p->subgroup.supportedOperations & VK_SUBGROUP_FEATURE_SHUFFLE_BIT))
        flags |= QVK__CAP_SUBGROUP_SHUFFLE;
    return flags;
}

/* Takes out what must not be used, and what depends on it. */
static void disable(qvk__gpu_caps *caps, uint32_t disabled, bool coopmat_in_compute)
{
    caps->flags &= ~disabled;
    if (!(caps->flags & QVK__CAP_DOT8))
        caps->flags &= ~(uint32_t)QVK__CAP_DOT8_ACCELERATED;
    if (!(caps->flags & QVK__CAP_MEMORY_MODEL) || !coopmat_in_compute)
        caps->flags &= ~(uint32_t)QVK__CAP_COOPMAT;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < caps->n_coopmat; i++)
        if (caps->flags & (caps->coopmat[i].is_int8 ? QVK__CAP_COOPMAT_I8 : QVK__CAP_COOPMAT_F16))
            caps->coopmat[kept++] = caps->coopmat[i];
    caps->n_coopmat = kept;
    if (!(caps->flags & QVK__CAP_SUBGROUP_SIZE_CONTROL))
        caps->subgroup_size_min = caps->subgroup_size_max = caps->subgroup_size;
}

/* A compute queue, with timestamps if possible, and apart from graphics if possible. */
static bool choose_queue(const qvk__vk *vk, qvk__vulkan_info *info)
{
    VkQueueFamilyProperties families[32];
    uint32_t n = QVK__COUNT(families);
    int best = -1;
    vk->vkGetPhysicalDeviceQueueFamilyProperties(info->physical, &n, families);
    for (uint32_t i = 0; i < n; i++) {
        if (!(families[i].queueFlags & VK_QUEUE_COMPUTE_BIT) || families[i].queueCount == 0)
            continue;
        int score = (families[i].timestampValidBits ? 2 : 0) +
                    (families[i].queueFlags & VK_QUEUE_GRAPHICS_BIT ? 0 : 1);
        if (score <= best)
            continue;
        best = score;
        info->queue_family = i;
        info->timestamp_bits = families[i].timestampValidBits;
    }
    return best >= 0;
}

static qvk_status query(const qvk__vk *vk, uint32_t disabled, qvk__vulkan_info *info, qvk_error *err)
{
    extension_list extensions = {0};
    properties p;
    VkPhysicalDeviceMemoryProperties2 memory = {.sType =
                                                    VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_PROPERTIES_2};
    QVK__TRY(list_extensions(vk, info->physical, &extensions, err));
    query_features(vk, &extensions, info);
    query_properties(vk, &extensions, info, &p);
    vk->vkGetPhysicalDeviceMemoryProperties2(info->physical, &memory);
    fill_identity(&p, &info->caps);
    fill_limits(&p, &memory.memoryProperties, &info->caps);
    const VkPhysicalDeviceProperties *core = &p.core.properties;
    info->caps.timestamp_ns = info->timestamp_bits ? core->limits.timestampPeriod : 0;
    info->max_allocations = (uint32_t)at_least(core->limits.maxMemoryAllocationCount, 4096);
    memcpy(info->cache_uuid, core->pipelineCacheUUID, sizeof info->cache_uuid);
    info->has_budget = has(&extensions, VK_EXT_MEMORY_BUDGET_EXTENSION_NAME);
    if (has(&extensions, "VK_KHR_portability_subset"))
        add_extension(info, "VK_KHR_portability_subset");
    free(extensions.data);
    info->caps.flags = flags_of(&info->features, &p);
    QVK__TRY(query_coopmat(vk, info, err));
    disable(&info->caps, disabled,
            (p.coopmat.cooperativeMatrixSupportedStages & VK_SHADER_STAGE_COMPUTE_BIT) != 0);
    trim_features(&info->features, info->caps.flags);
    return QVK_OK;
}

qvk_status qvk__vulkan_info_query(const qvk__vk *vk, const qvk__vulkan_instance *instance,
                                  VkPhysicalDevice physical, uint32_t disabled, const qvk__gpu_log *log,
                                  qvk__vulkan_info *out, bool *usable, qvk_error *err)
{
    VkPhysicalDeviceProperties first;
    vk->vkGetPhysicalDeviceProperties(physical, &first);
    memset(out, 0, sizeof *out);
    out->physical = physical;
    out->caps.api_version = QVK__MIN(first.apiVersion, instance->api_version);
    *usable = false;
    if (out->caps.api_version < VK_API_VERSION_1_1) {
        qvk__gpu_logf(log, QVK__LOG_WARNING, "%s: left out, its driver knows Vulkan 1.0 only",
                      first.deviceName);
        return QVK_OK;
    }
    if (!choose_queue(vk, out)) {
        qvk__gpu_logf(log, QVK__LOG_WARNING, "%s: left out, it has no compute queue", first.deviceName);
        return QVK_OK;
    }
    QVK__TRY(query(vk, disabled, out, err));
    *usable = true;
    return QVK_OK;
}
