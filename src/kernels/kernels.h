/*
 * kernels: from an operator call to dispatches. Knows caps and shapes, knows no graph.
 *
 * The runtime asks qvk__plan_fn of the operator (named in ops.def) to describe the call as dispatches; it
 * then binds memory, places barriers and records. Planning is pure: same call, shapes and caps, same
 * dispatches. It happens at load with the upper-bound shapes (scratch and packed constants are sized then)
 * and again whenever an input shape changes: if kernels and bindings come out the same, only parameters and
 * group counts are rewritten and nothing is re-recorded.
 *
 * Device formats: a tensor is its elements in C order, packed little-endian into 32-bit words (1, 2 or 4
 * elements a word), with space rounded up to a multiple of 16 bytes that kernels may overwrite freely. int64
 * lives as int32, float64 as float32 (as in the blob). Kernels that write 8- or 16-bit types write whole
 * words.
 */
#ifndef QVK__KERNELS_H
#define QVK__KERNELS_H

#include "core/graph.h"
#include "gpu/gpu.h"

/* ---- the kernel table (shaders/kernels.def) ------------------------------------------------------------ */

typedef enum qvk__kernel {
#define KERNEL(id, source, defines, n_buffers, caps, target_env) QVK__KERNEL_##id,
#include "kernels.def"
#undef KERNEL
    QVK__KERNEL_COUNT
} qvk__kernel;

typedef struct qvk__kernel_info {
    const char *source;
    uint32_t n_buffers, caps;
} qvk__kernel_info;
const qvk__kernel_info *qvk__kernel_info_of(qvk__kernel kernel);
/* The id in lower case, as bench and inspect print it. */
const char *qvk__kernel_name(qvk__kernel kernel);

/* Words of a kernel; *words NULL when it was not built (compiler too old) . */
void qvk__kernel_spirv(qvk__kernel kernel, const uint32_t **words, size_t *n_words);
/* Built, and the device has what it needs. */
bool qvk__kernel_usable(qvk__kernel kernel, const qvk__gpu_caps *caps);

/* ---- planning ------------------------------------------------------------------------------------------ */

#define QVK__MAX_DISPATCH_PARAMS 64 /* 32-bit words of the uniform block */

typedef enum qvk__ref_kind {
    QVK__REF_VALUE = 1, /* a tensor of the graph */
    QVK__REF_PACKED,    /* a constant in a kernel's own layout */
    QVK__REF_SCRATCH    /* working memory of this call; contents undefined, not kept between calls */
} qvk__ref_kind;

typedef struct qvk__ref {
    qvk__ref_kind kind;
    int32_t id;
    uint64_t offset; /* bytes into it; multiple of storage_alignment */
    uint64_t bytes;  /* 0: to its end */
} qvk__ref;

typedef struct qvk__dispatch {
    qvk__kernel kernel;
    qvk__ref buffers[QVK__GPU_MAX_BINDINGS];
    uint32_t writes; /* bit i: buffers[i] is written; all others are read. A written one may be read too: it
                        is a hazard anyway */
    uint32_t specs[QVK__GPU_MAX_SPECS];
    uint32_t n_specs;
    uint32_t subgroup_size;
    uint32_t tuned_as; /* class of linears whose measured shape it has, plus one; 0: it has no choice */
    uint32_t params[QVK__MAX_DISPATCH_PARAMS];
    uint32_t n_params; /* words */
    uint32_t groups[3];
    /* What it costs at least, for bench: bytes that must move, operations (a multiply-add is two). */
    uint64_t bytes, ops;
} qvk__dispatch;

/*
 * Packing of a constant into a kernel's layout. Pure function of the source bytes: writes dst[0..bytes) of
 * the packed form starting at packed byte `offset`, a multiple of 256. Calls for different pieces may come in
 * any order and at the same time, from several threads.
 */
typedef struct qvk__pack qvk__pack;
struct qvk__pack {
    void (*fn)(const qvk__pack *pack, const void *const *sources, uint64_t offset, void *dst, uint64_t bytes);
    int32_t sources[4]; /* value ids of the constants read; -1: none */
    int64_t dims[8]; /* whatever fn needs: N, K, group_size ... part of the identity of the packed constant */
    uint64_t bytes;  /* of the packed form */
};

/* What a planner may ask. Implemented by the runtime (and by the op tests). */
typedef struct qvk__planner qvk__planner;
struct qvk__planner {
    const qvk__gpu_caps *caps;
    bool fp16_math; /* fp16 tensors may be multiplied in fp16 (sums are fp32 always) */
    /* src/kernels/linear.h: for all linears, or one a class (QVK__LINEAR_CLASSES); NULL: none */
    const struct qvk__linear_tuning *linear_tuning, *linear_tiles;
    const bool *distrusted; /* per kernel: it computes wrongly on this device; NULL: none does */
    const qvk__graph *graph;
    /* Current shape of a tensor value (within its bound). */
    const qvk_tensor *(*desc)(qvk__planner *planner, int32_t value);
    /* Current number of a symbolic value. */
    int64_t (*symbol)(qvk__planner *planner, int32_t value);
    /* Contiguous host bytes of a constant value, NULL when it is none (or too big to keep: > 1 MiB). */
    const void *(*constant)(qvk__planner *planner, int32_t value);
    /* Packed constant; equal requests share one. */
    qvk_status (*pack)(qvk__planner *planner, const qvk__pack *pack, qvk__ref *out, qvk_error *err);
    /* Working memory of this call, `bytes` at the shapes of this planning. */
    qvk_status (*scratch)(qvk__planner *planner, uint64_t bytes, qvk__ref *out, qvk_error *err);
    qvk_status (*dispatch)(qvk__planner *planner, const qvk__dispatch *dispatch, qvk_error *err);
    /*
     * Scratch that `dispatch` fills and nobody changes any more: calls that ask for the same work, done on
     * the same operands, get the memory of the first one, and the work is done once. The one buffer that it
     * writes is QVK__REF_FILLED; `bytes` follow from the rest of it. NULL: nothing is shared
     * (qvk__plan_shared).
     */
    qvk_status (*shared)(qvk__planner *planner, const qvk__dispatch *dispatch, uint64_t bytes, qvk__ref *out,
                         qvk_error *err);
    /* `out` has the same bytes as `in` (views): no dispatch; legal only when the element counts and dtypes
     * agree. */
    qvk_status (*alias)(qvk__planner *planner, int32_t out, int32_t in, qvk_error *err);
};

/* Stands for the scratch that planner->shared gives; and the dispatch with that in its place. */
#define QVK__REF_FILLED ((qvk__ref){.kind = QVK__REF_SCRATCH, .id = -1})
qvk__dispatch qvk__dispatch_filling(const qvk__dispatch *dispatch, qvk__ref scratch);

/*
 * node: args as in the graph (VALUE ids; symbols too). Returns QVK_UNSUPPORTED with a reason when no kernel
 * fits: the runtime then runs the call on the reference. Must not have called dispatch, alias or pack by
 * then.
 */
typedef qvk_status (*qvk__plan_fn)(qvk__planner *planner, const qvk__node *node, qvk_error *err);

/* The device has what the kernel needs, buffers included, and the kernel is not distrusted. */
bool qvk__planner_may_use(const qvk__planner *planner, qvk__kernel kernel);

/* NULL: no device version of this operator. */
qvk__plan_fn qvk__plan_of(qvk__op op);

/* A ref to a tensor value. */
qvk__ref qvk__ref_value(int32_t value);
/* Splits `n` work groups over the device's limits as (x, y, z) with x*y*z >= n; kernels rebuild the linear
 * index from gl_WorkGroupID and gl_NumWorkGroups and check the bound. */
void qvk__fold_groups(const qvk__gpu_caps *caps, uint64_t n, uint32_t groups[3]);
/* Bytes a tensor takes on the device (dtype narrowing, rounding to 16). */
uint64_t qvk__device_bytes(const qvk_tensor *tensor);
qvk_dtype qvk__device_dtype(qvk_dtype dtype);

#endif
