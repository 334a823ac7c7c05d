/*
 * Compute pipelines, each made once. The table is locked only to look up and to insert; compiling happens
 * outside the lock, and whoever asks for a pipeline that another thread is compiling waits for that one.
 */
#include <stdio.h>

#include "gpu/gpu_vulkan.h"

/* Everything that makes a pipeline another one; compared as bytes, so it is zeroed before it is filled. */
typedef struct pipeline_key {
    const uint32_t *spirv;
    size_t n_words;
    uint32_t n_buffers, subgroup_size, n_specs;
    uint32_t specs[QVK__GPU_MAX_SPECS];
} pipeline_key;

struct qvk__pipeline_entry {
    qvk__pipeline_entry *next;
    pipeline_key key;
    enum { COMPILING, READY, FAILED } state;
    uint32_t n_waiting; /* threads that hold on to a COMPILING or FAILED entry */
    qvk_error error;    /* when FAILED */
    qvk__vulkan_pipeline pipeline;
};

/* ---- layouts ------------------------------------------------------------------------------------------- */

/* Call with the lock held. */
static qvk_status make_layouts(qvk__vulkan *gpu, uint32_t n_buffers, qvk_error *err)
{
    qvk__vulkan_pipelines *pipelines = &gpu->pipelines;
    VkDescriptorSetLayoutBinding bindings[QVK__GPU_MAX_BINDINGS + 1];
    for (uint32_t i = 0; i <= n_buffers; i++)
        bindings[i] = (VkDescriptorSetLayoutBinding){
            .binding = i,
            .descriptorType = i == 0 ? VK_DESCRIPTOR_TYPE_UNIFORM_BUFFER : VK_DESCRIPTOR_TYPE_STORAGE_BUFFER,
            .descriptorCount = 1,
            .stageFlags = VK_SHADER_STAGE_COMPUTE_BIT,
        };
    VkDescriptorSetLayoutCreateInfo set = {
        .sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_LAYOUT_CREATE_INFO,
        .bindingCount = n_buffers + 1,
        .pBindings = bindings,
    };
    VkDescriptorSetLayout *set_layout = &pipelines->set_layouts[n_buffers];
    if (!*set_layout)
        QVK__TRY(QVK__VK(gpu, err, gpu->vk.vkCreateDescriptorSetLayout(gpu->device, &set, NULL, set_layout)));
    VkPipelineLayoutCreateInfo layout = {
        .sType = VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO,
        .setLayoutCount = 1,
        .pSetLayouts = set_layout,
    };
    if (!pipelines->layouts[n_buffers])
        QVK__TRY(QVK__VK(
            gpu, err,
            gpu->vk.vkCreatePipelineLayout(gpu->device, &layout, NULL, &pipelines->layouts[n_buffers])));
    return QVK_OK;
}

/* ---- compiling ----------------------------------------------------------------------------------------- */

static qvk_status compile_module(qvk__vulkan *gpu, const pipeline_key *key, VkShaderModule module,
                                 VkPipelineLayout layout, VkPipeline *out, qvk_error *err)
{
    VkSpecializationMapEntry entries[QVK__GPU_MAX_SPECS];
    for (uint32_t i = 0; i < key->n_specs; i++)
        entries[i] = (VkSpecializationMapEntry){i, 4 * i, 4};
    VkSpecializationInfo specs = {key->n_specs, entries, 4 * (size_t)key->n_specs, key->specs};
    VkPipelineShaderStageRequiredSubgroupSizeCreateInfo subgroup = {
        .sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_REQUIRED_SUBGROUP_SIZE_CREATE_INFO,
        .requiredSubgroupSize = key->subgroup_size,
    };
    VkComputePipelineCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO,
        .stage =
            {
                .sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO,
                .pNext = key->subgroup_size ? &subgroup : NULL,
                .flags = key->subgroup_size ? VK_PIPELINE_SHADER_STAGE_CREATE_REQUIRE_FULL_SUBGROUPS_BIT : 0,
                .stage = VK_SHADER_STAGE_COMPUTE_BIT,
                .module = module,
                .pName = "main",
                .pSpecializationInfo = &specs,
            },
        .layout = layout,
    };
    const VkResult result =
        gpu->vk.vkCreateComputePipelines(gpu->device, gpu->pipelines.cache, 1, &info, NULL, out);
    /* Elsewhere it means that there is no device; here some drivers say so when their compiler gives up. */
    QVK__CHECK(result != VK_ERROR_INITIALIZATION_FAILED, err, QVK_DRIVER,
               "vkCreateComputePipelines: the driver does not compile the shader "
               "(VK_ERROR_INITIALIZATION_FAILED)");
    return qvk__vk_status(gpu, err, result, "vkCreateComputePipelines(");
}

static qvk_status compile(qvk__vulkan *gpu, const pipeline_key *key, VkPipelineLayout layout, VkPipeline *out,
                          qvk_error *err)
{
    VkShaderModule module = VK_NULL_HANDLE;
    VkShaderModuleCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO,
        .codeSize = key->n_words * 4,
        .pCode = key->spirv,
    };
    QVK__TRY(QVK__VK(gpu, err, gpu->vk.vkCreateShaderModule(gpu->device, &info, NULL, &module)));
    VkPipeline pipeline = VK_NULL_HANDLE;
    qvk_status status = compile_module(gpu, key, module, layout, &pipeline, err);
    gpu->vk.vkDestroyShaderModule(gpu->device, module, NULL);
    if (status == QVK_OK)
        *out = pipeline;
    return status;
}

/* ---- table --------------------------------------------------------------------------------------------- */

static qvk__pipeline_entry **slot_of(qvk__vulkan_pipelines *pipelines, const pipeline_key *key)
{
    uint64_t hash = qvk__hash64(key, sizeof *key, 0);
    qvk__pipeline_entry **link = &pipelines->table[hash % QVK__COUNT(pipelines->table)];
    while (*link && memcmp(&(*link)->key, key, sizeof *key) != 0)
        link = &(*link)->next;
    return link;
}

static void unlink_entry(qvk__vulkan_pipelines *pipelines, qvk__pipeline_entry *entry)
{
    qvk__pipeline_entry **link = slot_of(pipelines, &entry->key);
    if (*link == entry)
        *link = entry->next;
}

/* With the lock held: compiles what this thread has just inserted. A failed entry leaves the table, so that
 * the next request tries again; the last thread that waits for it frees it. */
static qvk_status fill_entry(qvk__vulkan *gpu, qvk__pipeline_entry *entry, const char *label, qvk_error *err)
{
    qvk__vulkan_pipelines *pipelines = &gpu->pipelines;
    qvk_error error = {0};
    uint64_t start = qvk__clock_ns();
    VkPipeline handle = VK_NULL_HANDLE;
    uint32_t n_buffers = entry->key.n_buffers;
    qvk_status status = make_layouts(gpu, n_buffers, &error);
    if (status == QVK_OK) {
        VkPipelineLayout layout = pipelines->layouts[n_buffers];
        pthread_mutex_unlock(&pipelines->lock);
        status = compile(gpu, &entry->key, layout, &handle, &error);
        pthread_mutex_lock(&pipelines->lock);
    }
    if (status != QVK_OK) {
        qvk__error_context(&error, status, "kernel %s", label ? label : "without a name");
        if (err)
            *err = error;
        entry->error = error;
        entry->state = FAILED;
        unlink_entry(pipelines, entry);
        pthread_cond_broadcast(&pipelines->finished);
        if (entry->n_waiting == 0)
            free(entry);
        return status;
    }
    entry->pipeline.handle = handle;
    entry->pipeline.layout = pipelines->layouts[n_buffers];
    entry->pipeline.set_layout = pipelines->set_layouts[n_buffers];
    entry->state = READY;
    atomic_fetch_add(&pipelines->n_unsaved, 1);
    pthread_cond_broadcast(&pipelines->finished);
    qvk__gpu_logf(&gpu->base.log, QVK__LOG_INFO, "pipeline %s: %.1f ms", entry->pipeline.base.label,
                  (double)(qvk__clock_ns() - start) * 1e-6);
    return QVK_OK;
}

/* With the lock held. */
static qvk_status wait_for_entry(qvk__vulkan_pipelines *pipelines, qvk__pipeline_entry *entry, qvk_error *err)
{
    qvk_status status = QVK_OK;
    entry->n_waiting++;
    while (entry->state == COMPILING)
        pthread_cond_wait(&pipelines->finished, &pipelines->lock);
    entry->n_waiting--;
    if (entry->state == FAILED) {
        status = entry->error.status;
        if (err)
            *err = entry->error;
        if (entry->n_waiting == 0)
            free(entry);
    }
    return status;
}

static qvk__pipeline_entry *insert_entry(qvk__pipeline_entry **link, const pipeline_key *key,
                                         const char *label)
{
    qvk__pipeline_entry *entry = qvk__alloc_zeroed(1, sizeof *entry);
    if (!entry)
        return NULL;
    memcpy(&entry->key, key, sizeof *key);
    entry->state = COMPILING;
    entry->pipeline.base.n_buffers = key->n_buffers;
    snprintf(entry->pipeline.base.label, sizeof entry->pipeline.base.label, "%s", label ? label : "");
    *link = entry;
    return entry;
}

qvk_status qvk__vulkan_pipeline_get(qvk__gpu *base, const qvk__gpu_pipeline_params *params,
                                    const qvk__gpu_pipeline **out, qvk_error *err)
{
    qvk__vulkan *gpu = qvk__vulkan_of(base);
    qvk_status status = QVK_OK;
    pipeline_key key;
    memset(&key, 0, sizeof key);
    key.spirv = params->spirv;
    key.n_words = params->n_words;
    key.n_buffers = params->n_buffers;
    key.subgroup_size = params->subgroup_size;
    key.n_specs = params->n_specs;
    memcpy(key.specs, params->specs, params->n_specs * sizeof *key.specs);

    pthread_mutex_lock(&gpu->pipelines.lock);
    qvk__pipeline_entry **link = slot_of(&gpu->pipelines, &key);
    qvk__pipeline_entry *entry = *link;
    if (entry) {
        status = wait_for_entry(&gpu->pipelines, entry, err);
    } else if ((entry = insert_entry(link, &key, params->label)) != NULL) {
        status = fill_entry(gpu, entry, params->label, err);
    } else {
        status = qvk__fail(err, QVK_OUT_OF_MEMORY, "out of host memory");
    }
    pthread_mutex_unlock(&gpu->pipelines.lock);
    if (status == QVK_OK)
        *out = &entry->pipeline.base;
    return status;
}

void qvk__vulkan_pipelines_deinit(qvk__vulkan *gpu)
{
    qvk__vulkan_pipelines *pipelines = &gpu->pipelines;
    bool hung = atomic_load(&gpu->hung);
    for (size_t i = 0; i < QVK__COUNT(pipelines->table); i++) {
        while (pipelines->table[i]) {
            qvk__pipeline_entry *entry = pipelines->table[i];
            pipelines->table[i] = entry->next;
            if (!hung)
                gpu->vk.vkDestroyPipeline(gpu->device, entry->pipeline.handle, NULL);
            free(entry);
        }
    }
    for (size_t i = 0; i < QVK__COUNT(pipelines->layouts) && !hung; i++) {
        if (pipelines->layouts[i])
            gpu->vk.vkDestroyPipelineLayout(gpu->device, pipelines->layouts[i], NULL);
        if (pipelines->set_layouts[i])
            gpu->vk.vkDestroyDescriptorSetLayout(gpu->device, pipelines->set_layouts[i], NULL);
    }
    if (pipelines->cache && !hung)
        gpu->vk.vkDestroyPipelineCache(gpu->device, pipelines->cache, NULL);
}
