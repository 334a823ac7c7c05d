/*
 * Private to the room: what the front (gpu.c) and its two devices share. The front checks the caller; a
 * device trusts it.
 */
#ifndef QVK__GPU_BACKEND_H
#define QVK__GPU_BACKEND_H

#include <stdatomic.h>

#include "gpu/gpu.h"

enum { QVK__LOG_ERROR = 0, QVK__LOG_WARNING = 1, QVK__LOG_INFO = 2 };

typedef struct qvk__gpu_log {
    void (*fn)(void *user, int level, const char *message);
    void *user;
    atomic_uint layer_messages; /* of the validation layer */
} qvk__gpu_log;
void qvk__gpu_logf(const qvk__gpu_log *log, int level, const char *format, ...) QVK_PRINTF(3, 4);

typedef struct qvk__gpu_backend {
    void (*destroy)(qvk__gpu *gpu);
    qvk_status (*buffer_create)(qvk__gpu *gpu, qvk__gpu_memory memory, uint64_t bytes, qvk__gpu_buffer *out,
                                qvk_error *err);
    void (*buffer_destroy)(qvk__gpu *gpu, qvk__gpu_buffer *buffer);
    void (*memory_budget)(qvk__gpu *gpu, uint64_t *available, uint64_t *total);
    /* The next three meet only buffers that are not mapped. */
    qvk_status (*upload_begin)(qvk__gpu *gpu, uint64_t bytes, void **span, qvk_error *err);
    qvk_status (*upload_end)(qvk__gpu *gpu, const qvk__gpu_buffer *dst, uint64_t offset, qvk_error *err);
    qvk_status (*download)(qvk__gpu *gpu, const qvk__gpu_buffer *src, uint64_t offset, void *data,
                           uint64_t bytes, qvk_error *err);
    qvk_status (*upload_flush)(qvk__gpu *gpu, qvk_error *err);
    qvk_status (*pipeline_get)(qvk__gpu *gpu, const qvk__gpu_pipeline_params *params,
                               const qvk__gpu_pipeline **out, qvk_error *err);
    qvk_status (*cache_save)(qvk__gpu *gpu, qvk_error *err);
    qvk_status (*recording_create)(qvk__gpu *gpu, uint32_t n_timestamps, qvk__gpu_recording **out,
                                   qvk_error *err);
    void (*recording_destroy)(qvk__gpu *gpu, qvk__gpu_recording *recording);
    qvk_status (*record_begin)(qvk__gpu_recording *recording, qvk_error *err);
    qvk_status (*record_dispatch)(qvk__gpu_recording *recording, const qvk__gpu_dispatch *dispatch,
                                  qvk_error *err);
    void (*record_barrier)(qvk__gpu_recording *recording);
    void (*record_copy)(qvk__gpu_recording *recording, const qvk__gpu_range *from, const qvk__gpu_range *to);
    void (*record_fill)(qvk__gpu_recording *recording, const qvk__gpu_range *range, uint32_t word);
    void (*record_timestamp)(qvk__gpu_recording *recording, uint32_t index);
    qvk_status (*record_end)(qvk__gpu_recording *recording, qvk_error *err);
    qvk_status (*submit)(qvk__gpu *gpu, qvk__gpu_recording *recording, qvk_error *err);
    qvk_status (*wait)(qvk__gpu *gpu, qvk__gpu_recording *recording, qvk_error *err);
    qvk_status (*timestamps)(qvk__gpu *gpu, qvk__gpu_recording *recording, double *ns, uint32_t n,
                             qvk_error *err);
} qvk__gpu_backend;

/* A device's own structs start with these. */
struct qvk__gpu {
    const qvk__gpu_backend *backend;
    qvk__gpu_caps caps;
    qvk__gpu_log log;
    uint64_t upload_chunk;
    uint64_t timeout_ns;
    char *cache_dir; /* NULL: none */
    atomic_bool lost;
    _Atomic uint64_t memory_used;
    atomic_int n_buffers, n_recordings; /* alive */
};

struct qvk__gpu_pipeline {
    uint32_t n_buffers;
    char label[64];
};

struct qvk__gpu_recording {
    qvk__gpu *gpu;
    uint32_t n_timestamps;
    enum { QVK__RECORDING_EMPTY, QVK__RECORDING_OPEN, QVK__RECORDING_READY, QVK__RECORDING_RUNNING } state;
    uint32_t n_taken;  /* timestamps recorded */
    bool has_run;      /* to its end, since it was recorded */
    qvk_error mistake; /* the first; status QVK_OK: none */
};

/* Fills what params decide of a new gpu; *base is zeroed and its caps are set. */
qvk_status qvk__gpu_init(qvk__gpu *base, const qvk__gpu_backend *backend, const qvk__gpu_params *params,
                         qvk_error *err);
void qvk__gpu_deinit(qvk__gpu *base);

void qvk__null_caps(qvk__gpu_caps *out);
qvk_status qvk__null_create(const qvk__gpu_params *params, qvk__gpu **out, qvk_error *err);
qvk_status qvk__vulkan_enumerate(const qvk__gpu_params *params, qvk__gpu_caps *out, uint32_t *n,
                                 qvk_error *err);
qvk_status qvk__vulkan_create(const qvk__gpu_params *params, qvk__gpu **out, qvk_error *err);

#endif
