/*
 * gpu: Vulkan and nothing else. Knows no operators. Buffers only, no images.
 *
 * Two devices implement it: Vulkan, and a null device (accepts everything, computes nothing) for driverless
 * tests. Every call that can fail returns a status; device lost, out of memory and time-outs included. After
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
    X(MEMORY_MODEL, 12, "Vulkan memory model", "memory-model")

enum {
#define QVK__CAP_ENUM(name, bit, text, option) QVK__CAP_##name = 1u << bit,
    QVK__CAP_LIST(QVK__CAP_ENUM)
#undef QVK__CAP_ENUM
        QVK__CAP_COOPMAT = 1u << 9 | 1u << 10
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
    uint32_t vendor_id, device_id, driver_id, driver_version, api_version;
    qvk__gpu_type type;
    uint32_t flags; /* QVK__CAP_* */
    uint32_t subgroup_size, subgroup_size_min, subgroup_size_max;
    uint32_t max_invocations; /* per work group */
    uint32_t max_group_size[3];
    uint32_t max_group_count[3];
    uint32_t shared_bytes;
    uint64_t max_storage_range, max_uniform_range, max_allocation, device_memory;
    uint32_t storage_alignment, uniform_alignment;
    float timestamp_ns;     /* nanoseconds per tick; 0: no timestamps */
    uint32_t compute_units; /* where the driver tells, else 0 */
    qvk__coopmat_shape coopmat[16];
    uint32_t n_coopmat;
} qvk__gpu_caps;

typedef struct qvk__gpu_params {
    const char *device; /* index, part of a name, or UUID in hex; NULL: the best one */
    uint32_t disabled;  /* QVK__CAP_* that must not be used although present */
    bool
        validation; /* enable the validation layer (with synchronization validation) and count its messages */
    bool null_device;      /* the null device, with spec-minimum limits */
    const char *cache_dir; /* pipeline cache and self-test verdicts; NULL: none kept on disk */
    uint32_t timeout_ms;   /* per fence wait; 0: 20 s (CPU devices: 120 s) */
    void (*log)(void *user, int level,
                const char *message); /* level 0 error, 1 warning, 2 info; NULL: silent */
    void *log_user;
    /* Caller-owned Vulkan objects; all set or none. Kept alive by the caller. */
    void *vk_get_instance_proc_addr, *vk_instance, *vk_physical_device, *vk_device, *vk_queue;
    uint32_t vk_queue_family;
} qvk__gpu_params;

/* All devices, best first, each usable with .device = its index. *n: capacity in, count out. */
qvk_status qvk__gpu_enumerate(const qvk__gpu_params *params, qvk__gpu_caps *out, uint32_t *n, qvk_error *err);
qvk_status qvk__gpu_create(const qvk__gpu_params *params, qvk__gpu **out, qvk_error *err);
void qvk__gpu_destroy(qvk__gpu **gpu);
const qvk__gpu_caps *qvk__gpu_caps_of(const qvk__gpu *gpu);
/* Messages of the validation layer so far (errors and warnings). */
uint32_t qvk__gpu_validation_messages(const qvk__gpu *gpu);
/* Bytes of device memory allocated now. */
uint64_t qvk__gpu_memory_used(const qvk__gpu *gpu);

/* ---- buffers ------------------------------------------------------------------------------------------- */

typedef enum qvk__gpu_memory {
    QVK__GPU_MEMORY_DEVICE,  /* device local */
    QVK__GPU_MEMORY_UPLOAD,  /* host visible, written by the host in order */
    QVK__GPU_MEMORY_READBACK /* host visible and cached */
} qvk__gpu_memory;

typedef struct qvk__gpu_buffer {
    uint64_t handle; /* VkBuffer */
    uint64_t memory; /* VkDeviceMemory */
    uint64_t bytes;
    void
        *mapped; /* host address for UPLOAD and READBACK (persistently mapped, coherent), and for DEVICE where
                  * the memory happens to be host visible and host-cached (integrated and CPU devices) */
} qvk__gpu_buffer;

/* Contents undefined. Fails with QVK_OUT_OF_DEVICE_MEMORY and the sizes wanted and free. */
qvk_status qvk__gpu_buffer_create(qvk__gpu *gpu, qvk__gpu_memory memory, uint64_t bytes, qvk__gpu_buffer *out,
                                  qvk_error *err);
void qvk__gpu_buffer_destroy(qvk__gpu *gpu, qvk__gpu_buffer *buffer);

/*
 * Upload ring: fixed host memory through which everything goes to the device. `write` fills a span of the
 * ring that the gpu then copies to dst at offset; spans are at most qvk__gpu_upload_chunk() bytes. Copies are
 * complete after flush.
 */
uint64_t qvk__gpu_upload_chunk(const qvk__gpu *gpu);
qvk_status qvk__gpu_upload_begin(qvk__gpu *gpu, uint64_t bytes, void **span, qvk_error *err);
qvk_status qvk__gpu_upload_end(qvk__gpu *gpu, const qvk__gpu_buffer *dst, uint64_t offset, qvk_error *err);
qvk_status qvk__gpu_upload_flush(qvk__gpu *gpu, qvk_error *err);

/* ---- pipelines ----------------------------------------------------------------------------------------- */

#define QVK__GPU_MAX_BINDINGS 12
#define QVK__GPU_MAX_SPECS    24

/*
 * Binding model of every kernel: set 0, binding 0 is a uniform buffer (std140) with the dispatch's
 * parameters; bindings 1..n_buffers are storage buffers. Specialization constants 0,1,2.. are 32-bit words in
 * order.
 */
typedef struct qvk__gpu_pipeline_params {
    const uint32_t *spirv;
    size_t n_words;
    uint32_t n_buffers;
    uint32_t specs[QVK__GPU_MAX_SPECS];
    uint32_t n_specs;
    uint32_t subgroup_size; /* required size (needs SUBGROUP_SIZE_CONTROL), 0: driver's choice */
    const char *label;
} qvk__gpu_pipeline_params;

/* Found among those made already, in the on-disk cache, or compiled. Owned by the gpu; valid until it is
 * destroyed. Thread-safe, and callable from several threads at once: that is how load compiles in parallel.
 */
qvk_status qvk__gpu_pipeline_get(qvk__gpu *gpu, const qvk__gpu_pipeline_params *params,
                                 const qvk__gpu_pipeline **out, qvk_error *err);
/* Writes the pipeline cache to cache_dir if anything was added (atomic). */
qvk_status qvk__gpu_cache_save(qvk__gpu *gpu, qvk_error *err);

/* ---- recordings ---------------------------------------------------------------------------------------- */

typedef struct qvk__gpu_range {
    const qvk__gpu_buffer *buffer;
    uint64_t offset, bytes; /* offset a multiple of caps.storage_alignment */
} qvk__gpu_range;

typedef struct qvk__gpu_dispatch {
    const qvk__gpu_pipeline *pipeline;
    qvk__gpu_range params; /* uniform block; bytes <= caps.max_uniform_range */
    qvk__gpu_range buffers[QVK__GPU_MAX_BINDINGS];
    uint32_t n_buffers;
    uint32_t groups[3];
    /* When set, group counts come from 3 uint32 at this place at execution time and `groups` is ignored. */
    const qvk__gpu_buffer *indirect;
    uint64_t indirect_offset;
} qvk__gpu_dispatch;

/* A command buffer recorded once and submitted many times. */
qvk_status qvk__gpu_recording_create(qvk__gpu *gpu, uint32_t n_timestamps, qvk__gpu_recording **out,
                                     qvk_error *err);
void qvk__gpu_recording_destroy(qvk__gpu *gpu, qvk__gpu_recording **recording);
qvk_status qvk__gpu_record_begin(qvk__gpu_recording *recording, qvk_error *err);
qvk_status qvk__gpu_record_dispatch(qvk__gpu_recording *recording, const qvk__gpu_dispatch *dispatch,
                                    qvk_error *err);
/* All earlier shader writes become visible to later shader reads, writes, indirect reads and transfers;
 * likewise transfer writes. */
void qvk__gpu_record_barrier(qvk__gpu_recording *recording);
void qvk__gpu_record_copy(qvk__gpu_recording *recording, qvk__gpu_range from, qvk__gpu_range to);
void qvk__gpu_record_fill(qvk__gpu_recording *recording, qvk__gpu_range range, uint32_t word);
/* Timestamp `index` of those asked for at creation. */
void qvk__gpu_record_timestamp(qvk__gpu_recording *recording, uint32_t index);
qvk_status qvk__gpu_record_end(qvk__gpu_recording *recording, qvk_error *err);

/* Host writes before submit are visible to the recording; its writes are visible to the host after wait. */
qvk_status qvk__gpu_submit(qvk__gpu *gpu, qvk__gpu_recording *recording, qvk_error *err);
/* Bounded by timeout_ms: QVK_TIMEOUT. Polls briefly, then blocks. */
qvk_status qvk__gpu_wait(qvk__gpu *gpu, qvk__gpu_recording *recording, qvk_error *err);
/* Nanoseconds of all timestamps of the last finished run, from the first one. */
qvk_status qvk__gpu_timestamps(qvk__gpu *gpu, qvk__gpu_recording *recording, double *ns, uint32_t n,
                               qvk_error *err);

#endif
