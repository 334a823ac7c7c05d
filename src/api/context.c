/* Contexts and devices: a qvk__gpu, or none for the reference executor. */
#include "api/api_internal.h"

#include <stdio.h>

#include "runtime/measure.h"
#include "runtime/trials.h"
#include "runtime/tuner.h"

/* ---- features by name ----------------------------------------------------------------------------------- */

typedef struct feature {
    const char *name;
    uint32_t flag;
} feature;

static const feature features[] = {
#define ROW(name, bit, text, option) {option, QVK__CAP_##name},
    QVK__CAP_LIST(ROW)
#undef ROW
};

static const feature *find_feature(const char *name, size_t length)
{
    for (size_t i = 0; i < QVK__COUNT(features); i++)
        if (strlen(features[i].name) == length && memcmp(features[i].name, name, length) == 0)
            return &features[i];
    return NULL;
}

static qvk_status parse_features(const char *list, uint32_t *out, qvk_error *err)
{
    *out = 0;
    while (list && *list) {
        const size_t length = strcspn(list, ",");
        const feature *it = find_feature(list, length);
        if (!it) {
            qvk__string names = {0};
            for (size_t i = 0; i < QVK__COUNT(features); i++)
                qvk__string_addf(&names, i ? ", %s" : "%s", features[i].name);
            qvk__fail(err, QVK_INVALID_ARGUMENT, "no feature is called '%.*s'; there are: %s", (int)length,
                      list, names.data ? names.data : "");
            free(names.data);
            return QVK_INVALID_ARGUMENT;
        }
        *out |= it->flag;
        list += length + (list[length] == ',');
    }
    return QVK_OK;
}

/* ---- contexts ------------------------------------------------------------------------------------------- */

static void forward_log(void *user, int level, const char *message)
{
    qvk__context_log(user, (qvk_log_level)level, message);
}

void qvk__context_log(const qvk_context *context, qvk_log_level level, const char *message)
{
    if (context->log)
        context->log(context->log_user, level, message);
}

static qvk_status fill_gpu_params(const qvk_context_params *params, qvk__gpu_params *out, qvk_error *err)
{
    const qvk_vulkan_objects *vulkan = params->vulkan;

    *out = (qvk__gpu_params){.device = params->device,
                             .validation = params->validation,
                             .cache_dir = params->cache_dir,
                             .timeout_ms = params->timeout_ms};
    if (vulkan) {
        QVK__CHECK(vulkan->get_instance_proc_addr && vulkan->instance && vulkan->physical_device &&
                       vulkan->device && vulkan->queue,
                   err, QVK_INVALID_ARGUMENT, "of the caller's Vulkan objects some are NULL");
        out->vk_get_instance_proc_addr = vulkan->get_instance_proc_addr;
        out->vk_instance = vulkan->instance;
        out->vk_physical_device = vulkan->physical_device;
        out->vk_device = vulkan->device;
        out->vk_queue = vulkan->queue;
        out->vk_queue_family = vulkan->queue_family;
    }
    return parse_features(params->disable, &out->disabled, err);
}

qvk_status qvk_context_create(const qvk_context_params *params, qvk_context **out, qvk_error *err)
{
    static const qvk_context_params defaults = {0};
    qvk__gpu_params gpu_params;
    qvk_context *context;
    qvk_status status = QVK_OK;

    QVK__CHECK(out, err, QVK_INVALID_ARGUMENT, "out must not be NULL");
    params = params ? params : &defaults;
    QVK__TRY(fill_gpu_params(params, &gpu_params, err));
    context = qvk__alloc_zeroed(1, sizeof *context);
    QVK__CHECK(context, err, QVK_OUT_OF_MEMORY, "out of memory");
    atomic_init(&context->users, 1);
    context->log = params->log;
    context->log_user = params->log_user;
    if (!params->device || strcmp(params->device, "cpu") != 0) {
        gpu_params.log = forward_log;
        gpu_params.log_user = context;
        status = qvk__gpu_create(&gpu_params, &context->gpu, err);
    }
    if (status == QVK_OK && context->gpu)
        status = qvk__trials_create(context->gpu, params->log, params->log_user, &context->trials, err);
    if (status == QVK_OK && context->gpu && params->tuning != QVK_TUNING_OFF)
        status = qvk__tuner_create(context->gpu, 0, &context->tuner, err);
    if (status != QVK_OK) {
        qvk__trials_destroy(&context->trials);
        qvk__gpu_destroy(&context->gpu);
        free(context);
        return status;
    }
    *out = context;
    return QVK_OK;
}

void qvk__context_retain(qvk_context *context)
{
    atomic_fetch_add(&context->users, 1);
}

void qvk__context_release(qvk_context *context)
{
    if (atomic_fetch_sub(&context->users, 1) != 1)
        return;
    qvk__tuner_destroy(&context->tuner);
    qvk__trials_destroy(&context->trials);
    qvk__gpu_destroy(&context->gpu);
    free(context);
}

void qvk_context_destroy(qvk_context **context)
{
    if (!context || !*context)
        return;
    qvk__context_release(*context);
    *context = NULL;
}

uint32_t qvk_context_validation_messages(const qvk_context *context)
{
    return context && context->gpu ? qvk__gpu_validation_messages(context->gpu) : 0;
}

/* ---- what devices are ----------------------------------------------------------------------------------- */

static void add_list(char *list, size_t room, const char *separator, const char *item)
{
    const size_t used = strlen(list);
    snprintf(list + used, room - used, "%s%s", used ? separator : "", item);
}

static const char *type_name(qvk__gpu_type type)
{
    switch (type) {
    case QVK__GPU_DISCRETE: return "discrete";
    case QVK__GPU_INTEGRATED: return "integrated";
    case QVK__GPU_VIRTUAL: return "virtual";
    case QVK__GPU_CPU: return "cpu";
    default: return "other";
    }
}

static void describe_coopmat(const qvk__gpu_caps *caps, qvk_device_info *out)
{
    for (uint32_t i = 0; i < caps->n_coopmat; i++) {
        const qvk__coopmat_shape *shape = &caps->coopmat[i];
        char text[48];
        snprintf(text, sizeof text, "%ux%ux%u %s", shape->m, shape->n, shape->k,
                 shape->is_int8      ? "i8->i32"
                 : shape->f32_result ? "f16->f32"
                                     : "f16->f16");
        add_list(out->coopmat, sizeof out->coopmat, "; ", text);
    }
}

static void describe(const qvk__gpu_caps *caps, qvk_device_info *out)
{
    memset(out, 0, sizeof *out);
    snprintf(out->name, sizeof out->name, "%s", caps->name);
    snprintf(out->driver, sizeof out->driver, "%s", caps->driver);
    snprintf(out->type, sizeof out->type, "%s", type_name(caps->type));
    for (int i = 0; i < 16; i++)
        snprintf(out->uuid + 2 * i, 3, "%02x", caps->uuid[i]);
    for (size_t i = 0; i < QVK__COUNT(features); i++)
        if (caps->flags & features[i].flag)
            add_list(out->features, sizeof out->features, ",", features[i].name);
    describe_coopmat(caps, out);
    snprintf(out->api, sizeof out->api, "%u.%u.%u", caps->api_version >> 22 & 0x7f,
             caps->api_version >> 12 & 0x3ff, caps->api_version & 0xfff);
    out->subgroup_size = caps->subgroup_size;
    out->memory_bytes = caps->device_memory;
    out->max_buffer_bytes = caps->max_storage_range;
}

static void describe_distrusted(const bool distrusted[QVK__KERNEL_COUNT], qvk_device_info *out)
{
    for (int i = 0; i < QVK__KERNEL_COUNT; i++)
        if (distrusted[i])
            add_list(out->distrusted, sizeof out->distrusted, ",", qvk__kernel_name((qvk__kernel)i));
}

void qvk_context_device(const qvk_context *context, qvk_device_info *out)
{
    if (!context || !out)
        return;
    if (context->gpu) {
        bool distrusted[QVK__KERNEL_COUNT];
        describe(qvk__gpu_caps_of(context->gpu), out);
        qvk__trials_distrusted(context->trials, distrusted);
        describe_distrusted(distrusted, out);
        return;
    }
    memset(out, 0, sizeof *out);
    snprintf(out->name, sizeof out->name, "CPU reference executor");
    snprintf(out->type, sizeof out->type, "reference");
}

qvk_status qvk_device_list(const qvk_context_params *params, qvk_device_info *out, size_t *n, qvk_error *err)
{
    static const qvk_context_params defaults = {0};
    enum { MAX_DEVICES = 64 };
    qvk__gpu_caps *caps;
    qvk__gpu_params gpu_params;
    uint32_t count = MAX_DEVICES;
    qvk_status status = QVK_OK;

    QVK__CHECK(n && (out || *n == 0), err, QVK_INVALID_ARGUMENT, "out and n must not be NULL");
    QVK__TRY(fill_gpu_params(params ? params : &defaults, &gpu_params, err));
    caps = qvk__alloc_zeroed(MAX_DEVICES, sizeof *caps);
    QVK__CHECK(caps, err, QVK_OUT_OF_MEMORY, "out of memory");
    QVK__TRY_GO(qvk__gpu_enumerate(&gpu_params, caps, &count, err));
    for (uint32_t i = 0; i < count && i < *n && i < MAX_DEVICES; i++) {
        bool distrusted[QVK__KERNEL_COUNT];
        describe(&caps[i], &out[i]);
        qvk__trials_read_distrusted(gpu_params.cache_dir, &caps[i], distrusted);
        describe_distrusted(distrusted, &out[i]);
    }
    *n = count;
done:
    free(caps);
    return status;
}

qvk_status qvk_context_measure(qvk_context *context, qvk_ceilings *out, qvk_error *err)
{
    QVK__CHECK(context && out, err, QVK_INVALID_ARGUMENT, "context and out must not be NULL");
    if (context->gpu)
        return qvk__measure(context->gpu, out, err);
    *out = (qvk_ceilings){0};
    return QVK_OK;
}
