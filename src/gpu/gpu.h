/*
 * gpu: Vulkan and nothing else. Knows no operators. Buffers only, no images.
 *
 * Two devices implement it: Vulkan, and a null device for driverless tests: it checks everything, moves bytes
 * in uploads and downloads, and computes nothing (dispatches, copies and fills in recordings do nothing).
 * Every call that can fail returns a status; device lost, out of memory and time-outs included. After
 * QVK_DEVICE_LOST the gpu object only accepts destruction; a new one may be created at once.
 *
 * Threads: a qvk__gpu may be shared; its functions lock where the driver needs it (queue submits, pipeline
 * creation). A recording and a buffer belong to one thread at a time.
 */
#ifndef QVK__GPU_H
#define QVK__GPU_H

#include "base/base.h"

typedef struct qvk__gpu qvk__gpu;
typedef struct qvk__gpu_pipeline qvk__gpu_pipeline;
typedef struct qvk__gpu_recording qvk__gpu_recording;

/* What a kernel may need beyond the base path (32-bit storage buffers, Vulkan 1.1 core). 0 = absent. */
#define QVK__CAP_LIST(X)                                                                                     \
    X(FP16, 0, "fp16 arithmetic", "fp16")                                                                    \
    X(STORAGE16, 1, "16-bit storage buffers", "storage16")                                                   \
    X(STORAGE8, 2, "8-bit storage buffers", "storage8")                                                      \
    X(INT8, 3, "int8 arithmetic", "int8")                                                                    \
    X(INT16, 4, "int16 arithmetic", "int16")                                                                 \
    X(DOT8, 5, "packed int8 dot product (4x8 packed signed)", "dot8")                                        \
    X(DOT8_ACCELERATED, 6, "packed int8 dot product in hardware", "dot8-fast")                               \
    X(SUBGROUP_ARITHMETIC, 7, "subgroup reductions", "subgroup")                                             \
    X(SUBGROUP_SIZE_CONTROL, 8, "required subgroup size", "subgroup-size")                                   \
    X(COOPMAT_F16, 9, "cooperative matrix fp16 -> fp32 (KHR)", "coopmat-f16")                                \
    X(COOPMAT_I8, 10, "cooperative matrix int8 -> int32 (KHR)", "coopmat-i8")                                \
    X(INT64, 11, "int64 arithmetic", "int64")                                                                \
    X(MEMORY_MODEL, 12, "Vulkan memory model", "memory-model")                                               \
    X(SUBGROUP_SHUFFLE, 13, "subgroup shuffles", "shuffle")

enum {
#define QVK__CAP_ENUM(name, bit, text, option) QVK__CAP_##name = 1u << bit,
    QVK__CAP_LIST(QVK__CAP_ENUM)
#undef QVK__CAP_ENUM
        QVK__CAP_COOPMAT = QVK__CAP_COOPMAT_F16 | QVK__CAP_COOPMAT_I8,
    /* Properties of a device, not features of it: nothing has to be enabled for them. */
    QVK__CAP_PROPERTIES = QVK__CAP_SUBGROUP_ARITHMETIC | QVK__CAP_SUBGROUP_SHUFFLE
};

typedef enum qvk__gpu_type { /* in order of preference */
                             QVK__GPU_DISCRETE = 0,
                             QVK__GPU_INTEGRATED,
                             QVK__GPU_VIRTUAL,
                             QVK__GPU_OTHER,
                             QVK__GPU_CPU
} qvk__gpu_type;

typedef struct qvk__coopmat_shape {
    uint32_t m, n, k;
    bool is_int8;    /* int8 x int8 -> int32; else fp16 x fp16 */
    bool f32_result; /* fp16: accumulates in fp32 */
} qvk__coopmat_shape;

typedef struct qvk__gpu_caps {
    char name[256];
    char driver[256]; /* name and version in the driver's words */
    uint8_t uuid[16]; /* of the device */
    uint32_t vendor_id, device_id;
    uint32_t driver_id, driver_version; /* driver_id: VkDriverId, 0 where the driver does not tell */
    uint32_t api_version;               /* VK_MAKE_API_VERSION form; what kernels may count on */
    qvk__gpu_type type;
    uint32_t flags; /* QVK__CAP_* */
    uint32_t subgroup_size, subgroup_size_min, subgroup_size_max;
    uint32_t max_invocations; /* per work group */
    uint32_t max_group_size[3];
    uint32_t max_group_count[3];
    uint32_t shared_bytes;
    uint64_t max_storage_range, max_uniform_range, max_allocation, device_memory;
    uint32_t storage_alignment, uniform_alignment;
    uint32_t max_buffers;   /* storage buffers a kernel may bind: at least 4, at most QVK__GPU_MAX_BINDINGS */
    float timestamp_ns;     /* nanoseconds per tick; 0: no timestamps */
    uint32_t compute_units; /* where the driver tells, else 0 */
    qvk__coopmat_shape coopmat[16];
    uint32_t n_coopmat;
} qvk__gpu_caps;

/* Zero means default throughout. Texts are copied. */
typedef struct qvk__gpu_params {
    /* Index in the order of qvk__gpu_enumerate, a part of the name in any case, or the UUID in hex (with or
     * without dashes); NULL or "": the best one. */
    const char *device;
    uint32_t disabled; /* QVK__CAP_* that must not be used although present */
    /* Enable VK_LAYER_KHRONOS_validation with synchronization validation and count its messages; fails with
     * QVK_UNSUPPORTED where the layer is not installed. */
    bool validation;
    bool null_device;      /* the null device, with spec-minimum limits */
    const char *cache_dir; /* pipeline cache; NULL or "": none kept on disk */
    uint32_t timeout_ms;   /* per wait for the device; 0: 20 s (CPU devices: 120 s) */
    /* level 0 error, 1 warning, 2 info; called from any thread that uses the gpu; NULL: silent. */
    void (*log)(void *user, int level, const char *message);
    void *log_user;
    /* vkGetInstanceProcAddr to use instead of the system's libvulkan. */
    void *vk_get_instance_proc_addr;
    /*
     * Caller-owned Vulkan objects: all of these with vk_get_instance_proc_addr, or none. Kept alive by the
     * caller, who also must not use vk_queue while a call of this header runs. The instance and the device
     * must be Vulkan 1.1 at least. What the device was created with cannot be asked, so only the base path is
     * used unless the caller says which QVK__CAP_* it enabled.
     */
    void *vk_instance, *vk_physical_device, *vk_device, *vk_queue;
    uint32_t vk_queue_family;
    uint32_t vk_enabled;
} qvk__gpu_params;

/* All devices, best first, each usable with .device = its index. *n: capacity in, number of devices out
 * (which may be more than the capacity; out may be NULL when that is 0). No device at all is QVK_NO_DEVICE.
 */
qvk_status qvk__gpu_enumerate(const qvk__gpu_params *params, qvk__gpu_caps *out, uint32_t *n, qvk_error *err);
/* params may be NULL. */
qvk_status qvk__gpu_create(const qvk__gpu_params *params, qvk__gpu **out, qvk_error *err);
/* Buffers and recordings must have been destroyed. Returns within timeout_ms even if the device hangs. */
void qvk__gpu_destroy(qvk__gpu **gpu);
const qvk__gpu_caps *qvk__gpu_caps_of(const qvk__gpu *gpu);
/* Messages of the validation layer so far (errors and warnings). */
uint32_t qvk__gpu_validation_messages(const qvk__gpu *gpu);
/* Bytes of buffers alive now. */
uint64_t qvk__gpu_memory_used(const qvk__gpu *gpu);
/* What can still be allocated of the device's largest memory heap, and that heap's size. Where the driver
 * does not tell its budget, `available` is the size less what qvk holds. Other programs may take it at any
 * time. */
void qvk__gpu_memory_budget(qvk__gpu *gpu, uint64_t *available, uint64_t *total);
/* "CACHE_DIR/<kind>_<device and driver>.bin": where to keep what was learnt about this device with this
 * driver. Empty text when nothing is kept on disk; QVK_INVALID_ARGUMENT when the path does not fit. */
qvk_status qvk__gpu_cache_path(const qvk__gpu *gpu, const char *kind, char *out, size_t bytes,
                               qvk_error *err);
/* The same for a device that is only listed, not created. */
qvk_status qvk__gpu_cache_path_in(const char *cache_dir, const qvk__gpu_caps *caps, const char *kind,
                                  char *out, size_t bytes, qvk_error *err);
/* The folder, or NULL. */
const char *qvk__gpu_cache_dir(const qvk__gpu *gpu);
/* True once a call returned QVK_DEVICE_LOST: only destruction works from then on. */
bool qvk__gpu_is_lost(const qvk__gpu *gpu);

/* ---- buffers ------------------------------------------------------------------------------------------- */

typedef enum qvk__gpu_memory {
    QVK__GPU_MEMORY_DEVICE,   /* device local */
    QVK__GPU_MEMORY_UPLOAD,   /* host visible, written by the host in order */
    QVK__GPU_MEMORY_READBACK, /* host visible, and cached where there is such memory */
    /* Small blocks that the host rewrites and kernels read (uniform blocks, indirect group counts): host
     * visible, and device local where the device has both at once. Read it never: that may be slow. */
    QVK__GPU_MEMORY_PARAMS
} qvk__gpu_memory;

typedef struct qvk__gpu_buffer {
    uint64_t handle;  /* VkBuffer */
    void *allocation; /* private */
    uint64_t bytes;   /* as asked, rounded up to a multiple of 16 */
    /* Host address for UPLOAD, READBACK and PARAMS (persistently mapped, coherent), and for DEVICE where that
     * memory is host visible and cached (integrated and CPU devices); else NULL. */
    void *mapped;
    qvk__gpu_memory kind;
} qvk__gpu_buffer;

/* Contents undefined. bytes 0 counts as 1. Fails with QVK_OUT_OF_DEVICE_MEMORY and the sizes wanted and free.
 * Any number of buffers is fine: small ones share a few large allocations. Thread-safe. */
qvk_status qvk__gpu_buffer_create(qvk__gpu *gpu, qvk__gpu_memory memory, uint64_t bytes, qvk__gpu_buffer *out,
                                  qvk_error *err);
/* No recording that uses it may run; uploads into it may be under way. Clears *buffer; a cleared one is
 * accepted. Thread-safe, but not between upload_begin and upload_end of the same thread. */
void qvk__gpu_buffer_destroy(qvk__gpu *gpu, qvk__gpu_buffer *buffer);

/*
 * Upload ring: fixed host memory (32 MiB, made at the first use) through which everything goes to the device.
 * `begin` gives a span to fill with what belongs at dst + offset, at most qvk__gpu_upload_chunk() bytes;
 * `end` sends it on its way; copies run while the next span is filled. Spans have undefined contents and may
 * be read back while they are being filled (slowly, on discrete GPUs). Where dst is mapped the span is the
 * destination itself and nothing is copied.
 *
 * Every successful begin needs its end, on the same thread, with the same dst and offset: in between the ring
 * belongs to that thread, and others wait. Copies come before everything submitted after `end`, and are
 * complete after flush. dst must not be in use by a running recording.
 */
uint64_t qvk__gpu_upload_chunk(const qvk__gpu *gpu);
qvk_status qvk__gpu_upload_begin(qvk__gpu *gpu, const qvk__gpu_buffer *dst, uint64_t offset, uint64_t bytes,
                                 void **span, qvk_error *err);
qvk_status qvk__gpu_upload_end(qvk__gpu *gpu, const qvk__gpu_buffer *dst, uint64_t offset, qvk_error *err);
qvk_status qvk__gpu_upload_flush(qvk__gpu *gpu, qvk_error *err);
/* Any number of bytes from host memory, through the ring. Not flushed. */
qvk_status qvk__gpu_upload(qvk__gpu *gpu, const qvk__gpu_buffer *dst, uint64_t offset, const void *data,
                           uint64_t bytes, qvk_error *err);
/* Any number of bytes to host memory, after everything submitted before. Waits; for tests, verification and
 * values that are read rarely. */
qvk_status qvk__gpu_download(qvk__gpu *gpu, const qvk__gpu_buffer *src, uint64_t offset, void *data,
                             uint64_t bytes, qvk_error *err);

/* ---- pipelines ----------------------------------------------------------------------------------------- */

#define QVK__GPU_MAX_BINDINGS 12
#define QVK__GPU_MAX_SPECS    24

/*
 * Binding model of every kernel: set 0, binding 0 is a uniform buffer (std140) with the dispatch's
 * parameters; bindings 1..n_buffers are storage buffers. Specialization constants 0,1,2.. are 32-bit words in
 * order.
 */
typedef struct qvk__gpu_pipeline_params {
    const uint32_t *spirv; /* known by its address: stays valid and unchanged as long as the gpu */
    size_t n_words;
    uint32_t n_buffers;
    uint32_t specs[QVK__GPU_MAX_SPECS];
    uint32_t n_specs;
    /* Required size (needs SUBGROUP_SIZE_CONTROL; subgroups are then full, so local_size_x must be a multiple
     * of it); 0: the driver's choice. */
    uint32_t subgroup_size;
    const char *label; /* for messages; may be NULL */
} qvk__gpu_pipeline_params;

/* Found among those made already, in the on-disk cache, or compiled. Owned by the gpu; valid until it is
 * destroyed. Thread-safe, and callable from several threads at once: that is how load compiles in parallel.
 */
qvk_status qvk__gpu_pipeline_get(qvk__gpu *gpu, const qvk__gpu_pipeline_params *params,
                                 const qvk__gpu_pipeline **out, qvk_error *err);
/* Writes the pipeline cache to cache_dir if anything was added (atomic; the folder is made if need be). A
 * failure harms nothing but the next start's speed. */
qvk_status qvk__gpu_cache_save(qvk__gpu *gpu, qvk_error *err);

/* ---- recordings ---------------------------------------------------------------------------------------- */

typedef struct qvk__gpu_range {
    const qvk__gpu_buffer *buffer;
    /* As a binding: offset a multiple of caps.storage_alignment (params: uniform_alignment), bytes at most
     * max_storage_range (max_uniform_range). In copies and fills: multiples of 4. */
    uint64_t offset, bytes;
} qvk__gpu_range;

typedef struct qvk__gpu_dispatch {
    const qvk__gpu_pipeline *pipeline;
    qvk__gpu_range params; /* uniform block; buffer NULL for a kernel that has none */
    qvk__gpu_range buffers[QVK__GPU_MAX_BINDINGS];
    uint32_t n_buffers;
    uint32_t groups[3];
    /* When set, group counts come from 3 uint32 at this place at execution time and `groups` is ignored. They
     * must respect caps.max_group_count; a count of 0 is fine. */
    const qvk__gpu_buffer *indirect;
    uint64_t indirect_offset; /* multiple of 4 */
} qvk__gpu_dispatch;

/*
 * A command buffer recorded once and submitted many times. Buffers named in it must outlive it. Recording
 * calls without a status keep the first mistake for record_end to return. Recordings run in the order of
 * their submits, each seeing all that earlier ones wrote.
 */
qvk_status qvk__gpu_recording_create(qvk__gpu *gpu, uint32_t n_timestamps, qvk__gpu_recording **out,
                                     qvk_error *err);
/* Waits for its run to end, if there is one. */
void qvk__gpu_recording_destroy(qvk__gpu *gpu, qvk__gpu_recording **recording);
/* Starts anew; what was recorded before is forgotten. Not while it runs. */
qvk_status qvk__gpu_record_begin(qvk__gpu_recording *recording, qvk_error *err);
qvk_status qvk__gpu_record_dispatch(qvk__gpu_recording *recording, const qvk__gpu_dispatch *dispatch,
                                    qvk_error *err);
/* All earlier shader writes become visible to later shader reads, writes, indirect reads and transfers;
 * likewise transfer writes. */
void qvk__gpu_record_barrier(qvk__gpu_recording *recording);
/* Ranges of equal size that do not overlap. */
void qvk__gpu_record_copy(qvk__gpu_recording *recording, qvk__gpu_range from, qvk__gpu_range to);
void qvk__gpu_record_fill(qvk__gpu_recording *recording, qvk__gpu_range range, uint32_t word);
/* Timestamp `index` of those asked for at creation, taken when all earlier work has ended. In order: 0, 1,
 * ...
 */
void qvk__gpu_record_timestamp(qvk__gpu_recording *recording, uint32_t index);
qvk_status qvk__gpu_record_end(qvk__gpu_recording *recording, qvk_error *err);

/* Host writes before submit are visible to the recording; its writes are visible to the host after wait. A
 * recording must have been waited for before it is submitted again. */
qvk_status qvk__gpu_submit(qvk__gpu *gpu, qvk__gpu_recording *recording, qvk_error *err);
/* Bounded by timeout_ms: QVK_TIMEOUT, after which waiting again is allowed. Polls briefly, then blocks. */
qvk_status qvk__gpu_wait(qvk__gpu *gpu, qvk__gpu_recording *recording, qvk_error *err);
/* Nanoseconds of timestamps 0..n-1 of the last finished run, relative to timestamp 0. All of them must have
 * been recorded. QVK_UNSUPPORTED where caps.timestamp_ns is 0. */
qvk_status qvk__gpu_timestamps(qvk__gpu *gpu, qvk__gpu_recording *recording, double *ns, uint32_t n,
                               qvk_error *err);

#endif
