/*
 * device: how a graph runs on a gpu. For every set of dispatches its shapes lead to there is one variant: a
 * plan, places for its values, and recordings of its segments (consecutive device nodes), with CPU steps
 * between them. A change of shape that leads to the same dispatches rewrites only parameters and group
 * counts; otherwise the variant it needs is found among the last few, or made.
 */
#ifndef QVK__DEVICE_H
#define QVK__DEVICE_H

#include "kernels/linear.h"
#include "runtime/engine.h"
#include "runtime/placement.h"
#include "runtime/graph_plan.h"
#include "runtime/device_weights.h"

/* A value on its way between host and device, at the start or end of a segment. */
typedef struct qvk__transfer {
    int32_t value;
    qvk__gpu_range device;
    uint64_t staging; /* offset in the staging buffer; unused where the device's memory is mapped */
    bool to_host;     /* download: a CPU step reads it, so it goes on into the host's own memory */
    int32_t measured; /* index in variant->copies: a kernel copies what the current shape needs; -1: a plain
                         copy of the whole range, or none because the device's memory is mapped */
} qvk__transfer;

/* A segment of device nodes, or one node on the CPU. */
typedef struct qvk__step {
    int32_t cpu_node;             /* -1: a segment */
    int32_t first_node, end_node; /* of a segment; device nodes among [first, end) */
    QVK__VEC(qvk__transfer) uploads;
    QVK__VEC(qvk__transfer) downloads;
    qvk__gpu_recording *recording; /* NULL: nothing to submit */
    uint32_t n_timestamps;
} qvk__step;

typedef struct qvk__variant {
    uint64_t key;
    bool dynamic;   /* group counts are read at execution */
    qvk__plan plan; /* with the parameters of its last use */
    qvk__placement placement;
    const qvk__gpu_pipeline **pipelines; /* per dispatch */
    qvk__gpu_buffer params;              /* uniform blocks, then group counts */
    uint64_t slot_bytes, groups_offset;
    uint32_t n_copies; /* measured transfers; their blocks and group counts follow those of the dispatches */
    QVK__VEC(qvk__step) steps;
    const qvk__gpu_buffer *arena, *upload, *readback; /* shared by variants (device engine's buffers) */
    uint64_t upload_bytes, readback_bytes;
    uint64_t last_used;
} qvk__variant;

struct qvk__device_engine {
    qvk__gpu *gpu;
    const qvk__gpu_caps *caps;
    bool distrusted[QVK__KERNEL_COUNT]; /* kernels that failed their trial when this engine wanted them */
    qvk__linear_tuning
        tiles[QVK__LINEAR_CLASSES]; /* shapes found by the tuner when this engine wanted them */
    qvk__weights weights;
    QVK__VEC(qvk__variant *) variants;
    qvk__variant *current;
    bool dynamic;           /* shapes have differed from the bounds, or can: there are symbols */
    bool settled;           /* `current` fits the last inputs' shapes and numbers */
    bool *changed;          /* per value: its shape or number differs from the last call */
    bool *affected;         /* per node: it reads such a value */
    qvk__plan one;          /* a node planned anew */
    const void **fetched;   /* per value: where a download of this call lies, in the device's type */
    qvk_tensor *last_shape; /* per input: of the last call */
    int64_t *last_number;   /* per input: of the last call, when it is a symbol */
    bool reads_numbers;     /* some symbol is read out of an input's data */
    QVK__VEC(qvk__gpu_buffer *) buffers; /* arenas and staging */
    uint64_t n_runs;
    qvk__host verify_host; /* for verify */
};

/* ---- device_engine.c ------------------------------------------------------------------------------------ */

qvk_status qvk__device_engine_create(qvk__engine *engine, qvk_error *err);
void qvk__device_engine_destroy(qvk__engine *engine);
qvk_status qvk__device_engine_run(qvk__engine *engine, qvk_value *outputs, qvk_error *err);
qvk_status qvk__device_engine_reset(qvk__engine *engine, qvk_error *err);
/* A buffer of at least this size, shared by all who ask: they never use it at the same time. */
qvk_status qvk__device_buffer(qvk__device_engine *device, qvk__gpu_memory kind, uint64_t bytes,
                              const qvk__gpu_buffer **out, qvk_error *err);

/* ---- schedule.c ----------------------------------------------------------------------------------------- */

/* Fills variant->steps with segments, CPU steps and the transfers they need. `single`: a segment per node. */
qvk_status qvk__schedule(const qvk__engine *engine, qvk__variant *variant, bool single, qvk_error *err);

/* ---- variant.c ------------------------------------------------------------------------------------------ */

/* Makes `device->current` fit the current shapes in engine->host. */
qvk_status qvk__variant_select(qvk__engine *engine, qvk_error *err);
/* The same when only the affected nodes can have changed: a few parameters are rewritten where that is
 * enough. */
qvk_status qvk__variant_adjust(qvk__engine *engine, qvk_error *err);
void qvk__variant_destroy(qvk__device_engine *device, qvk__variant **variant);

/* ---- record.c ------------------------------------------------------------------------------------------- */

/* Pipelines of all dispatches, made on a few threads. */
qvk_status qvk__variant_pipelines(qvk__engine *engine, qvk__variant *variant, qvk_error *err);
qvk_status qvk__variant_record(qvk__engine *engine, qvk__variant *variant, qvk_error *err);
/* Parameters and group counts into the variant's buffer: of all dispatches, or of one node's; of all measured
 * transfers. */
void qvk__variant_write_params(const qvk__engine *engine, qvk__variant *variant);
void qvk__variant_write_node(qvk__variant *variant, size_t node);
void qvk__variant_write_copies(const qvk__engine *engine, qvk__variant *variant);

/* ---- execute.c ------------------------------------------------------------------------------------------ */

/* Runs the steps of the current variant on the inputs bound in engine->host, and hands out the outputs. */
qvk_status qvk__execute(qvk__engine *engine, qvk_value *outputs, qvk_error *err);

/* ---- verify.c ------------------------------------------------------------------------------------------- */

/* Before and after a step of one node: fetches what it reads, recomputes it, compares. */
qvk_status qvk__verify_before(qvk__engine *engine, int32_t node, qvk_error *err);
qvk_status qvk__verify_after(qvk__engine *engine, int32_t node, qvk_error *err);

#endif
