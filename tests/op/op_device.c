#include "op_device.h"

#include <stdio.h>

#include "core/dtype.h"
#include "kernels/linear.h"
#include "reference/reference.h"
#include "support/support.h"

/* Written around every tensor, and into outputs before they are computed. */
#define GUARD_BYTES 256u
#define GUARD_BYTE  0xa5

struct op_device {
    qvk__gpu *gpu;
};

static qvk_error gpu_err;

static void must(qvk_status status, const char *what)
{
    if (status != QVK_OK)
        fail_msg("%s: %s: %s", what, qvk_status_name(status), gpu_err.message);
}

op_device *op_device_open(void)
{
    op_device *device = calloc(1, sizeof *device);
    qvk__gpu_params params = {.validation = true};

    assert_non_null(device);
    qvk_status status = qvk__gpu_create(&params, &device->gpu, &gpu_err);
    if (status == QVK_UNSUPPORTED) { /* no layer on this machine */
        params.validation = false;
        status = qvk__gpu_create(&params, &device->gpu, &gpu_err);
    }
    must(status, "device");
    return device;
}

void op_device_close(op_device **device)
{
    const uint32_t messages = qvk__gpu_validation_messages((*device)->gpu);
    const uint64_t used = qvk__gpu_memory_used((*device)->gpu);

    qvk__gpu_destroy(&(*device)->gpu);
    free(*device);
    *device = NULL;
    assert_int_equal(messages, 0);
    assert_int_equal(used, 0);
}

qvk__gpu *op_device_gpu(op_device *device)
{
    return device->gpu;
}

/* ---- planning ------------------------------------------------------------------------------------------- */

typedef struct test_planner {
    qvk__planner base; /* first: callbacks cast back */
    qvk__gpu_caps caps;
    const op_values *values;
    op_device_plan *plan;
} test_planner;

static const qvk_tensor *planner_desc(qvk__planner *planner, int32_t value)
{
    return &((test_planner *)planner)->values->tensors[value];
}

static int64_t planner_symbol(qvk__planner *planner, int32_t value)
{
    return ((test_planner *)planner)->values->symbols[value];
}

static const void *planner_constant(qvk__planner *planner, int32_t value)
{
    return planner->graph->values.data[value].constant
               ? ((test_planner *)planner)->values->tensors[value].data
               : NULL;
}

static qvk_status planner_pack(qvk__planner *planner, const qvk__pack *pack, qvk__ref *out, qvk_error *err)
{
    op_device_plan *plan = ((test_planner *)planner)->plan;

    QVK__CHECK(plan->n_packs < OP_MAX_MEMORY, err, QVK_INTERNAL, "too many packs");
    plan->packs[plan->n_packs] = *pack;
    *out = (qvk__ref){.kind = QVK__REF_PACKED, .id = plan->n_packs++};
    return QVK_OK;
}

static qvk_status planner_scratch(qvk__planner *planner, uint64_t bytes, qvk__ref *out, qvk_error *err)
{
    op_device_plan *plan = ((test_planner *)planner)->plan;

    QVK__CHECK(plan->n_scratch < OP_MAX_MEMORY, err, QVK_INTERNAL, "too many scratch buffers");
    plan->scratch[plan->n_scratch] = bytes;
    *out = (qvk__ref){.kind = QVK__REF_SCRATCH, .id = plan->n_scratch++};
    return QVK_OK;
}

static qvk_status planner_dispatch(qvk__planner *planner, const qvk__dispatch *dispatch, qvk_error *err)
{
    op_device_plan *plan = ((test_planner *)planner)->plan;

    QVK__CHECK(plan->n_dispatches < OP_MAX_DISPATCHES, err, QVK_INTERNAL, "too many dispatches");
    QVK__CHECK(qvk__kernel_usable(dispatch->kernel, planner->caps), err, QVK_INTERNAL,
               "%s is not usable here", qvk__kernel_name(dispatch->kernel));
    plan->dispatches[plan->n_dispatches++] = *dispatch;
    return QVK_OK;
}

static qvk_status planner_alias(qvk__planner *planner, int32_t out, int32_t in, qvk_error *err)
{
    (void)err;
    ((test_planner *)planner)->plan->alias_of[out] = in + 1;
    return QVK_OK;
}

static void look_at(qvk__gpu_caps *caps, op_device_view view)
{
    if (view == OP_DEVICE_BASE)
        caps->flags = 0;
    if ((view == OP_DEVICE_AS_GPU || view == OP_DEVICE_AS_GPU_NO_DOT) && caps->type == QVK__GPU_CPU)
        caps->type = QVK__GPU_DISCRETE;
    if (view == OP_DEVICE_AS_GPU && (caps->flags & QVK__CAP_DOT8))
        caps->flags |= QVK__CAP_DOT8_ACCELERATED;
    if (view == OP_DEVICE_AS_GPU_NO_DOT)
        caps->flags &= ~(uint32_t)(QVK__CAP_DOT8 | QVK__CAP_DOT8_ACCELERATED | QVK__CAP_COOPMAT);
}

qvk_status op_device_plan_call(op_device *device, const qvk__graph *graph, const op_values *values,
                               op_device_view view, const qvk__linear_tuning *tuning, op_device_plan *plan,
                               qvk_error *err)
{
    const qvk__node *node = &graph->nodes.data[0];
    const qvk__plan_fn fn = qvk__plan_of(node->op);
    test_planner planner = {
        .base = {.graph = graph,
                 .linear_tuning = tuning,
                 .desc = planner_desc,
                 .symbol = planner_symbol,
                 .constant = planner_constant,
                 .pack = planner_pack,
                 .scratch = planner_scratch,
                 .dispatch = planner_dispatch,
                 .alias = planner_alias},
        .caps = *qvk__gpu_caps_of(device->gpu),
        .values = values,
        .plan = plan,
    };

    QVK__CHECK(fn, err, QVK_INTERNAL, "%s has no planner", qvk__op_name(node->op));
    *plan = (op_device_plan){0};
    look_at(&planner.caps, view);
    planner.base.caps = &planner.caps;
    return fn(&planner.base, node, err);
}

void op_device_plan_free(op_device *device, op_device_plan *plan)
{
    (void)device;
    *plan = (op_device_plan){0};
}

void op_device_plan_names(const op_device_plan *plan, char *out, size_t bytes)
{
    size_t used = 0;

    out[0] = 0;
    for (int i = 0; i < plan->n_dispatches && used < bytes; i++)
        used += (size_t)snprintf(out + used, bytes - used, "%s%s", i ? " " : "",
                                 qvk__kernel_name(plan->dispatches[i].kernel));
}

/* ---- memory --------------------------------------------------------------------------------------------- */

/* A range with guards before and behind. */
static void make_buffer(op_device *device, uint64_t bytes, const void *data, uint64_t data_bytes,
                        qvk__gpu_buffer *out)
{
    const uint64_t whole = bytes + 2 * (uint64_t)GUARD_BYTES;
    uint8_t *content = malloc(whole);

    assert_non_null(content);
    memset(content, GUARD_BYTE, whole);
    if (data_bytes > 0)
        memcpy(content + GUARD_BYTES, data, data_bytes);
    must(qvk__gpu_buffer_create(device->gpu, QVK__GPU_MEMORY_DEVICE, whole, out, &gpu_err), "buffer");
    must(qvk__gpu_upload(device->gpu, out, 0, content, whole, &gpu_err), "upload");
    free(content);
}

/* Reads the guarded part back (free() it) and checks the guards. */
static uint8_t *read_buffer(op_device *device, const qvk__gpu_buffer *buffer, uint64_t bytes,
                            const char *what)
{
    const uint64_t whole = bytes + 2 * (uint64_t)GUARD_BYTES;
    uint8_t *content = malloc(whole);

    assert_non_null(content);
    must(qvk__gpu_download(device->gpu, buffer, 0, content, whole, &gpu_err), "download");
    for (uint64_t i = 0; i < GUARD_BYTES; i++)
        if (content[i] != GUARD_BYTE || content[GUARD_BYTES + bytes + i] != GUARD_BYTE)
            fail_msg("%s: memory outside a tensor was written", what);
    memmove(content, content + GUARD_BYTES, bytes);
    return content;
}

/* Elements as the device holds them (int64 as int32, float64 as float32); free() it. */
static void *to_device_format(const qvk_tensor *tensor, uint64_t *bytes)
{
    qvk_tensor narrow = *tensor;

    narrow.dtype = qvk__device_dtype(tensor->dtype);
    *bytes = qvk_tensor_bytes(&narrow);
    narrow.data = malloc(*bytes + 1);
    assert_non_null(narrow.data);
    for (int64_t i = 0; i < qvk_tensor_numel(tensor); i++) {
        if (qvk__dtype_is_float(tensor->dtype))
            qvk__reference_set(&narrow, i, qvk__reference_get(tensor, i));
        else
            qvk__reference_set_int(&narrow, i, qvk__reference_get_int(tensor, i));
    }
    return narrow.data;
}

static void from_device_format(void *data, qvk_tensor *tensor)
{
    qvk_tensor narrow = *tensor;

    narrow.dtype = qvk__device_dtype(tensor->dtype);
    narrow.data = data;
    for (int64_t i = 0; i < qvk_tensor_numel(tensor); i++) {
        if (qvk__dtype_is_float(tensor->dtype))
            qvk__reference_set(tensor, i, qvk__reference_get(&narrow, i));
        else
            qvk__reference_set_int(tensor, i, qvk__reference_get_int(&narrow, i));
    }
}

/* ---- running -------------------------------------------------------------------------------------------- */

typedef struct run_memory {
    qvk__gpu_buffer values[OP_MAX_VALUES], packs[OP_MAX_MEMORY], scratch[OP_MAX_MEMORY];
    qvk__gpu_buffer params[OP_MAX_DISPATCHES];
} run_memory;

static uint64_t ref_bytes(const op_device_plan *plan, const op_values *values, const qvk__ref *ref)
{
    switch (ref->kind) {
    case QVK__REF_VALUE: return QVK__MAX(qvk__device_bytes(&values->tensors[ref->id]), 16);
    case QVK__REF_PACKED: return qvk__round_up(plan->packs[ref->id].bytes, 16);
    default: return qvk__round_up(QVK__MAX(plan->scratch[ref->id], 1), 16);
    }
}

static qvk__gpu_range range_of(const op_device_plan *plan, const op_values *values, const run_memory *memory,
                               qvk__ref ref)
{
    while (ref.kind == QVK__REF_VALUE && plan->alias_of[ref.id])
        ref.id = plan->alias_of[ref.id] - 1;
    const uint64_t whole = ref_bytes(plan, values, &ref);
    const qvk__gpu_buffer *buffer = ref.kind == QVK__REF_VALUE    ? &memory->values[ref.id]
                                    : ref.kind == QVK__REF_PACKED ? &memory->packs[ref.id]
                                                                  : &memory->scratch[ref.id];
    assert_true(ref.offset + ref.bytes <= whole);
    return (qvk__gpu_range){buffer, GUARD_BYTES + ref.offset, ref.bytes ? ref.bytes : whole - ref.offset};
}

static void upload_values(op_device *device, const qvk__graph *graph, const op_values *values,
                          run_memory *memory)
{
    for (int i = 0; i < values->n; i++) {
        uint64_t bytes;
        if (graph->values.data[i].kind != QVK__VALUE_TENSOR)
            continue;
        void *data = to_device_format(&values->tensors[i], &bytes);
        /* Outputs start as guard bytes: what a kernel leaves out shows. */
        const bool is_output = qvk__graph_producer(graph, i) >= 0;
        make_buffer(device, QVK__MAX(qvk__device_bytes(&values->tensors[i]), 16), data, is_output ? 0 : bytes,
                    &memory->values[i]);
        free(data);
    }
}

/* In chunks of 256 bytes, as the upload ring may do it, so that packing functions cannot rely on one call. */
static void upload_pack(op_device *device, const op_values *values, const qvk__pack *pack,
                        qvk__gpu_buffer *out)
{
    const void *sources[4] = {NULL};
    uint8_t *data = malloc(pack->bytes + 256);

    assert_non_null(data);
    for (int i = 0; i < 4; i++)
        if (pack->sources[i] >= 0)
            sources[i] = values->tensors[pack->sources[i]].data;
    for (uint64_t offset = 0; offset < pack->bytes; offset += 256)
        pack->fn(pack, sources, offset, data + offset, QVK__MIN(256, pack->bytes - offset));
    make_buffer(device, qvk__round_up(pack->bytes, 16), data, pack->bytes, out);
    free(data);
}

static void record(op_device *device, const op_device_plan *plan, const op_values *values, run_memory *memory,
                   qvk__gpu_recording *recording)
{
    must(qvk__gpu_record_begin(recording, &gpu_err), "record");
    for (int i = 0; i < plan->n_dispatches; i++) {
        const qvk__dispatch *from = &plan->dispatches[i];
        qvk__gpu_dispatch to = {.n_buffers = qvk__kernel_info_of(from->kernel)->n_buffers};
        qvk__gpu_pipeline_params pipeline = {.n_buffers = to.n_buffers,
                                             .n_specs = from->n_specs,
                                             .subgroup_size = from->subgroup_size,
                                             .label = qvk__kernel_name(from->kernel)};
        qvk__kernel_spirv(from->kernel, &pipeline.spirv, &pipeline.n_words);
        memcpy(pipeline.specs, from->specs, sizeof pipeline.specs);
        must(qvk__gpu_pipeline_get(device->gpu, &pipeline, &to.pipeline, &gpu_err), pipeline.label);

        const uint64_t bytes = qvk__round_up(QVK__MAX(from->n_params, 1u) * 4, 16);
        must(qvk__gpu_buffer_create(device->gpu, QVK__GPU_MEMORY_PARAMS, bytes, &memory->params[i], &gpu_err),
             "parameters");
        memcpy(memory->params[i].mapped, from->params, from->n_params * 4);
        to.params = (qvk__gpu_range){&memory->params[i], 0, bytes};
        for (uint32_t b = 0; b < to.n_buffers; b++)
            to.buffers[b] = range_of(plan, values, memory, from->buffers[b]);
        memcpy(to.groups, from->groups, sizeof to.groups);
        must(qvk__gpu_record_dispatch(recording, &to, &gpu_err), pipeline.label);
        qvk__gpu_record_barrier(recording);
    }
    must(qvk__gpu_record_end(recording, &gpu_err), "record");
}

static void read_values(op_device *device, const qvk__graph *graph, const op_device_plan *plan,
                        op_values *values, const run_memory *memory, const char *what)
{
    for (int i = 0; i < values->n; i++) {
        int32_t at = i;
        if (graph->values.data[i].kind != QVK__VALUE_TENSOR)
            continue;
        while (plan->alias_of[at])
            at = plan->alias_of[at] - 1;
        uint8_t *data = read_buffer(device, &memory->values[at],
                                    QVK__MAX(qvk__device_bytes(&values->tensors[at]), 16), what);
        from_device_format(data, &values->tensors[i]);
        free(data);
    }
    for (int i = 0; i < plan->n_packs; i++)
        free(read_buffer(device, &memory->packs[i], qvk__round_up(plan->packs[i].bytes, 16), what));
    for (int i = 0; i < plan->n_scratch; i++)
        free(
            read_buffer(device, &memory->scratch[i], qvk__round_up(QVK__MAX(plan->scratch[i], 1), 16), what));
}

void op_device_run(op_device *device, const qvk__graph *graph, const op_device_plan *plan, op_values *values,
                   const char *what)
{
    qvk__gpu_recording *recording = NULL;
    run_memory *memory = calloc(1, sizeof *memory);

    assert_non_null(memory);
    upload_values(device, graph, values, memory);
    for (int i = 0; i < plan->n_packs; i++)
        upload_pack(device, values, &plan->packs[i], &memory->packs[i]);
    for (int i = 0; i < plan->n_scratch; i++)
        make_buffer(device, qvk__round_up(QVK__MAX(plan->scratch[i], 1), 16), NULL, 0, &memory->scratch[i]);
    must(qvk__gpu_upload_flush(device->gpu, &gpu_err), "upload");
    must(qvk__gpu_recording_create(device->gpu, 0, &recording, &gpu_err), "recording");
    record(device, plan, values, memory, recording);
    must(qvk__gpu_submit(device->gpu, recording, &gpu_err), what);
    must(qvk__gpu_wait(device->gpu, recording, &gpu_err), what);
    read_values(device, graph, plan, values, memory, what);

    qvk__gpu_recording_destroy(device->gpu, &recording);
    for (int i = 0; i < OP_MAX_VALUES; i++)
        qvk__gpu_buffer_destroy(device->gpu, &memory->values[i]);
    for (int i = 0; i < OP_MAX_MEMORY; i++) {
        qvk__gpu_buffer_destroy(device->gpu, &memory->packs[i]);
        qvk__gpu_buffer_destroy(device->gpu, &memory->scratch[i]);
    }
    for (int i = 0; i < OP_MAX_DISPATCHES; i++)
        qvk__gpu_buffer_destroy(device->gpu, &memory->params[i]);
    free(memory);
}
