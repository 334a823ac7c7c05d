/*
 * Devices and contexts. A context is one device (Vulkan, or the CPU reference executor) that any number of
 * modules share.
 *
 * Threads: a context may be used from any number of threads at once.
 */
#ifndef QVK_CONTEXT_H
#define QVK_CONTEXT_H

#include <stdbool.h>
#include <stddef.h>

#include "qvk/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct qvk_context qvk_context;

typedef enum qvk_log_level { QVK_LOG_ERROR = 0, QVK_LOG_WARNING, QVK_LOG_INFO } qvk_log_level;
/* `message` is one line without newline, valid during the call. May be called from any thread that uses the
 * context. */
typedef void (*qvk_log_fn)(void *user, qvk_log_level level, const char *message);

/* Vulkan objects of the caller's own, as void pointers so that this header needs no Vulkan. All set, or none.
 * They must outlive the context; the queue must support compute and is locked by the context only against its
 * own use. */
typedef struct qvk_vulkan_objects {
    void *get_instance_proc_addr, *instance, *physical_device, *device, *queue;
    uint32_t queue_family;
} qvk_vulkan_objects;

/* The first load on a device whose class is not in qvk's tables times a few shapes of kernels, for about 0.2
 * s (no shape is begun after that); the result is kept in cache_dir. Results of integer products do not
 * depend on the shape. */
typedef enum qvk_tuning { QVK_TUNING_DEFAULT = 0, QVK_TUNING_OFF } qvk_tuning;

/* Zero means default for every field. */
typedef struct qvk_context_params {
    const char
        *device; /* index, part of a name, UUID in hex, or "cpu" (reference executor, needs no Vulkan). NULL:
                  * best Vulkan device: discrete, integrated, virtual, then CPU implementations */
    const char *
        disable; /* comma-separated features not to use, as qvk_device_info.features names them; NULL: none */
    const char *cache_dir; /* folder for the pipeline cache and verdicts on kernels; NULL: nothing kept on
                            * disk */
    bool validation;       /* load the Vulkan validation layer, with synchronization validation */
    uint32_t timeout_ms;   /* longest wait for the device; 0: 20 s (CPU implementations: 120 s) */
    qvk_log_fn log;        /* NULL: silent */
    void *log_user;
    const qvk_vulkan_objects *vulkan; /* NULL: the context makes its own */
    qvk_tuning tuning;
} qvk_context_params;

/*
 * params may be NULL. Errors: QVK_NO_DEVICE (no Vulkan, or no device matches: the message lists those there
 * are), QVK_DRIVER, QVK_OUT_OF_MEMORY, QVK_INVALID_ARGUMENT (unknown name in `disable`).
 */
QVK_API qvk_status qvk_context_create(const qvk_context_params *params, qvk_context **out, qvk_error *err);

/* Destroy every module of the context first: QVK_BUSY otherwise is impossible to report here, so modules keep
 * the context alive and the last one frees it. */
QVK_API void qvk_context_destroy(qvk_context **context);

typedef struct qvk_device_info {
    char name[256];
    char driver[256];
    char type[16]; /* "discrete", "integrated", "virtual", "cpu", "other"; "reference" for the CPU executor */
    char uuid[33]; /* hex */
    char
        features[256]; /* comma-separated names of the optional features present: fp16, storage16, dot8 ... */
    char coopmat[512]; /* cooperative matrix shapes, "16x16x16 f16->f32; 16x16x32 i8->i32", "" for none */
    char api[16];      /* "1.3.230" */
    uint32_t subgroup_size;
    uint64_t memory_bytes;
    uint64_t max_buffer_bytes; /* largest single storage buffer binding */
    /* Comma-separated names of kernels that failed their trial on this device (with this driver) and are not
     * used; "" for none known. Known are those this context tried, and those the cache folder tells of. */
    char distrusted[1024];
} qvk_device_info;

/* The context's device. Filled in by value; never fails for a live context. */
QVK_API void qvk_context_device(const qvk_context *context, qvk_device_info *out);

/* Messages the validation layer has given so far (0 when params.validation was not set). */
QVK_API uint32_t qvk_context_validation_messages(const qvk_context *context);

/*
 * All Vulkan devices, best first; position = index for qvk_context_params.device. params may be NULL (only
 * `vulkan`-independent fields are read). *n: capacity of out in, number of devices out (may exceed the
 * capacity). QVK_NO_DEVICE when there is none.
 */
QVK_API qvk_status qvk_device_list(const qvk_context_params *params, qvk_device_info *out, size_t *n,
                                   qvk_error *err);

#ifdef __cplusplus
}
#endif

#endif
