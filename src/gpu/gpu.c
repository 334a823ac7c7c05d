/*
 * The front: checks the caller, then calls the device (Vulkan or null), which trusts it. Whatever the caller
 * does wrong, and a lost device, is found here once.
 */
#include <stdio.h>

#include "gpu/gpu_backend.h"

/* Of an upload span where the device needs no ring. */
#define DEFAULT_UPLOAD_CHUNK (16u << 20)

#define DEFAULT_TIMEOUT_MS     20000u
#define DEFAULT_TIMEOUT_CPU_MS 120000u

static const qvk__gpu_params no_params;

static qvk_status check_alive(const qvk__gpu *gpu, qvk_error *err)
{
    QVK__CHECK(!atomic_load(&gpu->lost), err, QVK_DEVICE_LOST,
               "%s was lost earlier: destroy everything made on it and create it anew", gpu->caps.name);
    return QVK_OK;
}

/* ---- log ----------------------------------------------------------------------------------------------- */

void qvk__gpu_logf(const qvk__gpu_log *log, int level, const char *format, ...)
{
    char message[1024];
    va_list args;
    if (!log->fn)
        return;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    log->fn(log->user, level, message);
}

/* ---- life ---------------------------------------------------------------------------------------------- */

qvk_status qvk__gpu_init(qvk__gpu *base, const qvk__gpu_backend *backend, const qvk__gpu_params *params,
                         qvk_error *err)
{
    uint32_t timeout_ms = base->caps.type == QVK__GPU_CPU ? DEFAULT_TIMEOUT_CPU_MS : DEFAULT_TIMEOUT_MS;
    if (params->timeout_ms)
        timeout_ms = params->timeout_ms;
    base->backend = backend;
    base->upload_chunk = DEFAULT_UPLOAD_CHUNK;
    base->timeout_ns = (uint64_t)timeout_ms * 1000000;
    base->log.fn = params->log;
    base->log.user = params->log_user;
    if (params->cache_dir && *params->cache_dir) {
        base->cache_dir = strdup(params->cache_dir);
        QVK__CHECK(base->cache_dir, err, QVK_OUT_OF_MEMORY, "out of host memory");
    }
    return QVK_OK;
}

void qvk__gpu_deinit(qvk__gpu *base)
{
    free(base->cache_dir);
}

qvk_status qvk__gpu_enumerate(const qvk__gpu_params *params, qvk__gpu_caps *out, uint32_t *n, qvk_error *err)
{
    params = params ? params : &no_params;
    QVK__CHECK(n && (out || *n == 0), err, QVK_INVALID_ARGUMENT, "enumerate: no room for the result");
    if (!params->null_device)
        return qvk__vulkan_enumerate(params, out, n, err);
    if (*n > 0)
        qvk__null_caps(out);
    *n = 1;
    return QVK_OK;
}

qvk_status qvk__gpu_create(const qvk__gpu_params *params, qvk__gpu **out, qvk_error *err)
{
    params = params ? params : &no_params;
    QVK__CHECK(out, err, QVK_INVALID_ARGUMENT, "gpu create: out is NULL");
    return params->null_device ? qvk__null_create(params, out, err) : qvk__vulkan_create(params, out, err);
}

void qvk__gpu_destroy(qvk__gpu **gpu)
{
    if (!gpu || !*gpu)
        return;
    int n_buffers = atomic_load(&(*gpu)->n_buffers), n_recordings = atomic_load(&(*gpu)->n_recordings);
    if (n_buffers || n_recordings)
        qvk__gpu_logf(&(*gpu)->log, QVK__LOG_ERROR, "%s destroyed before %d buffers and %d recordings on it",
                      (*gpu)->caps.name, n_buffers, n_recordings);
    (*gpu)->backend->destroy(*gpu);
    *gpu = NULL;
}

const qvk__gpu_caps *qvk__gpu_caps_of(const qvk__gpu *gpu)
{
    return &gpu->caps;
}

uint32_t qvk__gpu_validation_messages(const qvk__gpu *gpu)
{
    return atomic_load(&gpu->log.layer_messages);
}

uint64_t qvk__gpu_memory_used(const qvk__gpu *gpu)
{
    return atomic_load(&gpu->memory_used);
}

void qvk__gpu_memory_budget(qvk__gpu *gpu, uint64_t *available, uint64_t *total)
{
    gpu->backend->memory_budget(gpu, available, total);
}

bool qvk__gpu_is_lost(const qvk__gpu *gpu)
{
    return atomic_load(&gpu->lost);
}

qvk_status qvk__gpu_cache_path(const qvk__gpu *gpu, const char *kind, char *out, size_t bytes, qvk_error *err)
{
    return qvk__gpu_cache_path_in(gpu->cache_dir, &gpu->caps, kind, out, bytes, err);
}

const char *qvk__gpu_cache_dir(const qvk__gpu *gpu)
{
    return gpu->cache_dir;
}

qvk_status qvk__gpu_cache_path_in(const char *cache_dir, const qvk__gpu_caps *caps, const char *kind,
                                  char *out, size_t bytes, qvk_error *err)
{
    char uuid[33];
    if (!cache_dir || !*cache_dir) {
        *out = '\0';
        return QVK_OK;
    }
    for (int i = 0; i < 16; i++)
        snprintf(uuid + 2 * i, 3, "%02x", caps->uuid[i]);
    /* Some drivers never change their version number; their text has the build. */
    uint64_t driver = qvk__hash64(caps->driver, strlen(caps->driver), caps->driver_version);
    int length =
        snprintf(out, bytes, "%s/%s_%s_%016llx.bin", cache_dir, kind, uuid, (unsigned long long)driver);
    QVK__CHECK(length > 0 && (size_t)length < bytes, err, QVK_INVALID_ARGUMENT, "%.60s...: path too long",
               cache_dir);
    return QVK_OK;
}

/* ---- buffers ------------------------------------------------------------------------------------------- */

qvk_status qvk__gpu_buffer_create(qvk__gpu *gpu, qvk__gpu_memory memory, uint64_t bytes, qvk__gpu_buffer *out,
                                  qvk_error *err)
{
    QVK__TRY(check_alive(gpu, err));
    QVK__CHECK(memory >= QVK__GPU_MEMORY_DEVICE && memory <= QVK__GPU_MEMORY_PARAMS, err,
               QVK_INVALID_ARGUMENT, "buffer: unknown kind of memory %d", (int)memory);
    QVK__CHECK(bytes <= gpu->caps.max_allocation, err, QVK_OUT_OF_DEVICE_MEMORY,
               "%s: a buffer of %.1f MiB is more than the device allows (%.1f MiB)", gpu->caps.name,
               (double)bytes / (1 << 20), (double)gpu->caps.max_allocation / (1 << 20));
    qvk__gpu_buffer buffer = {0};
    QVK__TRY(gpu->backend->buffer_create(gpu, memory, qvk__round_up(bytes ? bytes : 1, 16), &buffer, err));
    atomic_fetch_add(&gpu->n_buffers, 1);
    atomic_fetch_add(&gpu->memory_used, buffer.bytes);
    *out = buffer;
    return QVK_OK;
}

void qvk__gpu_buffer_destroy(qvk__gpu *gpu, qvk__gpu_buffer *buffer)
{
    if (!buffer || !buffer->handle)
        return;
    atomic_fetch_sub(&gpu->n_buffers, 1);
    atomic_fetch_sub(&gpu->memory_used, buffer->bytes);
    gpu->backend->buffer_destroy(gpu, buffer);
    *buffer = (qvk__gpu_buffer){0};
}

static qvk_status check_range(const char *what, const qvk__gpu_buffer *buffer, uint64_t offset,
                              uint64_t bytes, qvk_error *err)
{
    QVK__CHECK(buffer && buffer->handle, err, QVK_INVALID_ARGUMENT, "%s: no buffer", what);
    QVK__CHECK(offset <= buffer->bytes && bytes <= buffer->bytes - offset, err, QVK_INVALID_ARGUMENT,
               "%s: bytes %llu + %llu are outside the buffer's %llu", what, (unsigned long long)offset,
               (unsigned long long)bytes, (unsigned long long)buffer->bytes);
    return QVK_OK;
}

/* ---- uploads and downloads ----------------------------------------------------------------------------- */

uint64_t qvk__gpu_upload_chunk(const qvk__gpu *gpu)
{
    return gpu->upload_chunk;
}

qvk_status qvk__gpu_upload_begin(qvk__gpu *gpu, const qvk__gpu_buffer *dst, uint64_t offset, uint64_t bytes,
                                 void **span, qvk_error *err)
{
    QVK__TRY(check_alive(gpu, err));
    QVK__TRY(check_range("upload", dst, offset, bytes, err));
    QVK__CHECK(bytes > 0 && bytes <= gpu->upload_chunk, err, QVK_INVALID_ARGUMENT,
               "upload: a span of %llu bytes; 1 to %llu are possible", (unsigned long long)bytes,
               (unsigned long long)gpu->upload_chunk);
    if (!dst->mapped)
        return gpu->backend->upload_begin(gpu, bytes, span, err);
    *span = (uint8_t *)dst->mapped + offset;
    return QVK_OK;
}

qvk_status qvk__gpu_upload_end(qvk__gpu *gpu, const qvk__gpu_buffer *dst, uint64_t offset, qvk_error *err)
{
    return dst->mapped ? QVK_OK : gpu->backend->upload_end(gpu, dst, offset, err);
}

qvk_status qvk__gpu_upload_flush(qvk__gpu *gpu, qvk_error *err)
{
    QVK__TRY(check_alive(gpu, err));
    return gpu->backend->upload_flush(gpu, err);
}

qvk_status qvk__gpu_upload(qvk__gpu *gpu, const qvk__gpu_buffer *dst, uint64_t offset, const void *data,
                           uint64_t bytes, qvk_error *err)
{
    QVK__TRY(check_range("upload", dst, offset, bytes, err));
    for (uint64_t done = 0; done < bytes;) {
        uint64_t part = QVK__MIN(bytes - done, gpu->upload_chunk);
        void *span;
        QVK__TRY(qvk__gpu_upload_begin(gpu, dst, offset + done, part, &span, err));
        memcpy(span, (const uint8_t *)data + done, part);
        QVK__TRY(qvk__gpu_upload_end(gpu, dst, offset + done, err));
        done += part;
    }
    return QVK_OK;
}

qvk_status qvk__gpu_download(qvk__gpu *gpu, const qvk__gpu_buffer *src, uint64_t offset, void *data,
                             uint64_t bytes, qvk_error *err)
{
    QVK__TRY(check_alive(gpu, err));
    QVK__TRY(check_range("download", src, offset, bytes, err));
    if (bytes == 0)
        return QVK_OK;
    if (!src->mapped)
        return gpu->backend->download(gpu, src, offset, data, bytes, err);
    memcpy(data, (const uint8_t *)src->mapped + offset, bytes);
    return QVK_OK;
}

/* ---- pipelines ----------------------------------------------------------------------------------------- */

qvk_status qvk__gpu_pipeline_get(qvk__gpu *gpu, const qvk__gpu_pipeline_params *params,
                                 const qvk__gpu_pipeline **out, qvk_error *err)
{
    const char *label = params->label ? params->label : "without a name";
    QVK__TRY(check_alive(gpu, err));
    QVK__CHECK(params->spirv && params->n_words >= 5 && params->spirv[0] == 0x07230203, err,
               QVK_INVALID_ARGUMENT, "kernel %s: no SPIR-V", label);
    QVK__CHECK(params->n_specs <= QVK__GPU_MAX_SPECS, err, QVK_INVALID_ARGUMENT,
               "kernel %s: %u specialization constants; %d are the most", label, params->n_specs,
               QVK__GPU_MAX_SPECS);
    QVK__CHECK(params->n_buffers <= gpu->caps.max_buffers, err, QVK_UNSUPPORTED,
               "kernel %s: binds %u buffers; %s allows %u", label, params->n_buffers, gpu->caps.name,
               gpu->caps.max_buffers);
    if (params->subgroup_size) {
        QVK__CHECK(gpu->caps.flags & QVK__CAP_SUBGROUP_SIZE_CONTROL, err, QVK_UNSUPPORTED,
                   "kernel %s: %s cannot set the subgroup size", label, gpu->caps.name);
        QVK__CHECK(params->subgroup_size >= gpu->caps.subgroup_size_min &&
                       params->subgroup_size <= gpu->caps.subgroup_size_max &&
                       (params->subgroup_size & (params->subgroup_size - 1)) == 0,
                   err, QVK_UNSUPPORTED, "kernel %s: subgroup size %u; %s has %u to %u", label,
                   params->subgroup_size, gpu->caps.name, gpu->caps.subgroup_size_min,
                   gpu->caps.subgroup_size_max);
    }
    return gpu->backend->pipeline_get(gpu, params, out, err);
}

qvk_status qvk__gpu_cache_save(qvk__gpu *gpu, qvk_error *err)
{
    QVK__TRY(check_alive(gpu, err));
    return gpu->backend->cache_save(gpu, err);
}

/* ---- recordings ---------------------------------------------------------------------------------------- */

qvk_status qvk__gpu_recording_create(qvk__gpu *gpu, uint32_t n_timestamps, qvk__gpu_recording **out,
                                     qvk_error *err)
{
    QVK__TRY(check_alive(gpu, err));
    QVK__TRY(gpu->backend->recording_create(gpu, n_timestamps, out, err));
    atomic_fetch_add(&gpu->n_recordings, 1);
    return QVK_OK;
}

void qvk__gpu_recording_destroy(qvk__gpu *gpu, qvk__gpu_recording **recording)
{
    if (!recording || !*recording)
        return;
    atomic_fetch_sub(&gpu->n_recordings, 1);
    gpu->backend->recording_destroy(gpu, *recording);
    *recording = NULL;
}

/* The recording unless it is in another state: that is the caller's mistake, kept for record_end. */
static bool is_open(qvk__gpu_recording *recording)
{
    if (recording->state == QVK__RECORDING_OPEN)
        return recording->mistake.status == QVK_OK;
    if (recording->mistake.status == QVK_OK)
        qvk__fail(&recording->mistake, QVK_INVALID_ARGUMENT, "recording: used before record_begin");
    return false;
}

qvk_status qvk__gpu_record_begin(qvk__gpu_recording *recording, qvk_error *err)
{
    QVK__TRY(check_alive(recording->gpu, err));
    QVK__CHECK(recording->state != QVK__RECORDING_RUNNING, err, QVK_INVALID_ARGUMENT,
               "recording: it runs and has not been waited for");
    recording->state = QVK__RECORDING_EMPTY;
    recording->n_taken = 0;
    recording->has_run = false;
    recording->mistake.status = QVK_OK;
    QVK__TRY(recording->gpu->backend->record_begin(recording, err));
    recording->state = QVK__RECORDING_OPEN;
    return QVK_OK;
}

static qvk_status check_binding(const qvk__gpu_caps *caps, const qvk__gpu_range *range, bool is_params,
                                const char *label, qvk_error *err)
{
    const char *what = is_params ? "parameters" : "buffer";
    uint64_t limit = is_params ? caps->max_uniform_range : caps->max_storage_range;
    uint32_t alignment = is_params ? caps->uniform_alignment : caps->storage_alignment;
    qvk_status status = check_range(what, range->buffer, range->offset, range->bytes, err);
    if (status != QVK_OK)
        return qvk__error_context(err, status, "dispatch %s", label);
    QVK__CHECK(range->bytes > 0 && range->bytes <= limit, err, QVK_INVALID_ARGUMENT,
               "dispatch %s: %s of %llu bytes; 1 to %llu are possible", label, what,
               (unsigned long long)range->bytes, (unsigned long long)limit);
    QVK__CHECK(range->offset % alignment == 0, err, QVK_INVALID_ARGUMENT,
               "dispatch %s: %s offset %llu is no multiple of %u", label, what,
               (unsigned long long)range->offset, alignment);
    return QVK_OK;
}

static qvk_status check_dispatch(const qvk__gpu *gpu, const qvk__gpu_dispatch *dispatch, qvk_error *err)
{
    const qvk__gpu_caps *caps = &gpu->caps;
    QVK__CHECK(dispatch->pipeline, err, QVK_INVALID_ARGUMENT, "dispatch: no pipeline");
    const char *label = dispatch->pipeline->label;
    QVK__CHECK(dispatch->n_buffers == dispatch->pipeline->n_buffers, err, QVK_INVALID_ARGUMENT,
               "dispatch %s: %u buffers given, the kernel has %u", label, dispatch->n_buffers,
               dispatch->pipeline->n_buffers);
    if (dispatch->params.buffer)
        QVK__TRY(check_binding(caps, &dispatch->params, true, label, err));
    for (uint32_t i = 0; i < dispatch->n_buffers; i++)
        QVK__TRY(check_binding(caps, &dispatch->buffers[i], false, label, err));
    if (dispatch->indirect) {
        QVK__CHECK(dispatch->indirect_offset % 4 == 0, err, QVK_INVALID_ARGUMENT,
                   "dispatch %s: indirect offset %llu is no multiple of 4", label,
                   (unsigned long long)dispatch->indirect_offset);
        return check_range("indirect group counts", dispatch->indirect, dispatch->indirect_offset, 12, err);
    }
    for (int i = 0; i < 3; i++)
        QVK__CHECK(dispatch->groups[i] <= caps->max_group_count[i], err, QVK_INVALID_ARGUMENT,
                   "dispatch %s: %u work groups in dimension %d; %s allows %u", label, dispatch->groups[i], i,
                   caps->name, caps->max_group_count[i]);
    return QVK_OK;
}

qvk_status qvk__gpu_record_dispatch(qvk__gpu_recording *recording, const qvk__gpu_dispatch *dispatch,
                                    qvk_error *err)
{
    QVK__CHECK(recording->state == QVK__RECORDING_OPEN, err, QVK_INVALID_ARGUMENT,
               "recording: used before record_begin");
    QVK__TRY(check_dispatch(recording->gpu, dispatch, err));
    return recording->gpu->backend->record_dispatch(recording, dispatch, err);
}

void qvk__gpu_record_barrier(qvk__gpu_recording *recording)
{
    if (is_open(recording))
        recording->gpu->backend->record_barrier(recording);
}

static qvk_status check_words(const char *what, const qvk__gpu_range *range, qvk_error *err)
{
    QVK__TRY(check_range(what, range->buffer, range->offset, range->bytes, err));
    QVK__CHECK(range->offset % 4 == 0 && range->bytes % 4 == 0 && range->bytes > 0, err, QVK_INVALID_ARGUMENT,
               "%s: offset %llu and size %llu must be multiples of 4, the size above 0", what,
               (unsigned long long)range->offset, (unsigned long long)range->bytes);
    return QVK_OK;
}

void qvk__gpu_record_copy(qvk__gpu_recording *recording, qvk__gpu_range from, qvk__gpu_range to)
{
    qvk_error *mistake = &recording->mistake;
    if (!is_open(recording) || check_words("copy from", &from, mistake) != QVK_OK ||
        check_words("copy to", &to, mistake) != QVK_OK)
        return;
    bool overlap = from.buffer->handle == to.buffer->handle && from.offset < to.offset + to.bytes &&
                   to.offset < from.offset + from.bytes;
    if (from.bytes != to.bytes || overlap)
        qvk__fail(mistake, QVK_INVALID_ARGUMENT, "copy: the ranges differ in size or overlap");
    else
        recording->gpu->backend->record_copy(recording, &from, &to);
}

void qvk__gpu_record_fill(qvk__gpu_recording *recording, qvk__gpu_range range, uint32_t word)
{
    if (is_open(recording) && check_words("fill", &range, &recording->mistake) == QVK_OK)
        recording->gpu->backend->record_fill(recording, &range, word);
}

void qvk__gpu_record_timestamp(qvk__gpu_recording *recording, uint32_t index)
{
    if (!is_open(recording))
        return;
    if (index >= recording->n_timestamps || index != recording->n_taken) {
        qvk__fail(&recording->mistake, QVK_INVALID_ARGUMENT,
                  "timestamp %u out of order, or above the %u asked for", index, recording->n_timestamps);
        return;
    }
    recording->n_taken++;
    recording->gpu->backend->record_timestamp(recording, index);
}

qvk_status qvk__gpu_record_end(qvk__gpu_recording *recording, qvk_error *err)
{
    is_open(recording); /* notes the mistake if it is not */
    if (recording->mistake.status != QVK_OK) {
        recording->state = QVK__RECORDING_EMPTY;
        if (err)
            *err = recording->mistake;
        return recording->mistake.status;
    }
    recording->state = QVK__RECORDING_EMPTY;
    QVK__TRY(recording->gpu->backend->record_end(recording, err));
    recording->state = QVK__RECORDING_READY;
    return QVK_OK;
}

/* ---- running ------------------------------------------------------------------------------------------- */

qvk_status qvk__gpu_submit(qvk__gpu *gpu, qvk__gpu_recording *recording, qvk_error *err)
{
    QVK__TRY(check_alive(gpu, err));
    QVK__CHECK(recording->state == QVK__RECORDING_READY, err, QVK_INVALID_ARGUMENT,
               recording->state == QVK__RECORDING_RUNNING
                   ? "submit: the recording runs and has not been waited for"
                   : "submit: nothing was recorded");
    QVK__TRY(gpu->backend->submit(gpu, recording, err));
    recording->state = QVK__RECORDING_RUNNING;
    return QVK_OK;
}

qvk_status qvk__gpu_wait(qvk__gpu *gpu, qvk__gpu_recording *recording, qvk_error *err)
{
    QVK__TRY(check_alive(gpu, err));
    if (recording->state != QVK__RECORDING_RUNNING)
        return QVK_OK;
    QVK__TRY(gpu->backend->wait(gpu, recording, err));
    recording->state = QVK__RECORDING_READY;
    recording->has_run = true;
    return QVK_OK;
}

qvk_status qvk__gpu_timestamps(qvk__gpu *gpu, qvk__gpu_recording *recording, double *ns, uint32_t n,
                               qvk_error *err)
{
    QVK__TRY(check_alive(gpu, err));
    QVK__CHECK(gpu->caps.timestamp_ns > 0, err, QVK_UNSUPPORTED, "%s has no timestamps", gpu->caps.name);
    QVK__CHECK(recording->state == QVK__RECORDING_READY && recording->has_run, err, QVK_INVALID_ARGUMENT,
               "timestamps: the recording has not run to its end");
    QVK__CHECK(n <= recording->n_taken, err, QVK_INVALID_ARGUMENT, "timestamps: %u wanted, %u recorded", n,
               recording->n_taken);
    return n == 0 ? QVK_OK : gpu->backend->timestamps(gpu, recording, ns, n, err);
}
