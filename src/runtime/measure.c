/* The ceilings of a device, measured: copies through memory, and arithmetic in registers. */
#include "runtime/measure.h"

#include "kernels/kernels.h"

enum {
    RUNS = 4,
    FIRST_COUNT = 16,
    MAX_COUNT = 1 << 20,
    GROUP = 128,
    GROUPS_GPU = 4096,
    GROUPS_CPU = 64,
    STEP_OPERATIONS = 32 /* multiply-adds of an invocation in one step of probe_rate.comp */
};
static const double target_ns = 20e6; /* of one timed dispatch */
static const uint64_t largest_copy = UINT64_C(256) << 20;

typedef struct probe {
    qvk__gpu *gpu;
    const qvk__gpu_caps *caps;
    qvk__gpu_recording *recording;
    qvk__gpu_buffer params, output;
} probe;

static qvk_status run(probe *it, double *ns, qvk_error *err)
{
    const uint64_t start = qvk__clock_ns();
    double stamps[2];

    QVK__TRY(qvk__gpu_record_end(it->recording, err));
    QVK__TRY(qvk__gpu_submit(it->gpu, it->recording, err));
    QVK__TRY(qvk__gpu_wait(it->gpu, it->recording, err));
    *ns = (double)(qvk__clock_ns() - start);
    if (it->caps->timestamp_ns > 0) {
        QVK__TRY(qvk__gpu_timestamps(it->gpu, it->recording, stamps, 2, err));
        *ns = stamps[1];
    }
    *ns = QVK__MAX(*ns, 1.0);
    return QVK_OK;
}

/* ---- copies --------------------------------------------------------------------------------------------- */

static uint32_t group_size(const qvk__gpu_caps *caps)
{
    return QVK__MIN(caps->max_invocations, (uint32_t)GROUP);
}

static uint32_t group_count(const qvk__gpu_caps *caps)
{
    return caps->type == QVK__GPU_CPU ? GROUPS_CPU : GROUPS_GPU;
}

/* One copy, by the kernel or by the copy command: which is faster depends on the device. */
static qvk_status copy_once(probe *it, const qvk__gpu_dispatch *dispatch, bool by_kernel, double *ns,
                            qvk_error *err)
{
    QVK__TRY(qvk__gpu_record_begin(it->recording, err));
    qvk__gpu_record_timestamp(it->recording, 0);
    if (by_kernel)
        QVK__TRY(qvk__gpu_record_dispatch(it->recording, dispatch, err));
    else
        qvk__gpu_record_copy(it->recording, dispatch->buffers[0], dispatch->buffers[1]);
    qvk__gpu_record_timestamp(it->recording, 1);
    return run(it, ns, err);
}

static qvk_status time_copy(probe *it, const qvk__gpu_buffer *from, const qvk__gpu_buffer *to, double *best,
                            qvk_error *err)
{
    qvk__gpu_pipeline_params params = {
        .n_buffers = 2, .specs = {group_size(it->caps)}, .n_specs = 1, .label = "probe_copy"};
    const uint32_t block[2] = {(uint32_t)(from->bytes / 16), group_size(it->caps) * group_count(it->caps)};
    qvk__gpu_dispatch dispatch = {.params = {&it->params, 0, it->params.bytes},
                                  .buffers = {{from, 0, from->bytes}, {to, 0, to->bytes}},
                                  .n_buffers = 2,
                                  .groups = {group_count(it->caps), 1, 1}};

    qvk__kernel_spirv(QVK__KERNEL_PROBE_COPY, &params.spirv, &params.n_words);
    QVK__TRY(qvk__gpu_pipeline_get(it->gpu, &params, &dispatch.pipeline, err));
    memcpy(it->params.mapped, block, sizeof block);
    *best = 0.0;
    for (int i = 0; i < 2 * RUNS; i++) {
        double ns;
        QVK__TRY(copy_once(it, &dispatch, i % 2, &ns, err));
        *best = QVK__MAX(*best, 2.0 * (double)from->bytes / ns); /* read and written; bytes/ns = GB/s */
    }
    return QVK_OK;
}

static qvk_status measure_copy(probe *it, double *gbps, qvk_error *err)
{
    const uint64_t room = QVK__MIN(it->caps->max_storage_range, it->caps->max_allocation);
    const uint64_t bytes = QVK__MIN(QVK__MIN(it->caps->device_memory / 16, room), largest_copy);
    qvk__gpu_buffer from = {0}, to = {0};
    qvk_status status;

    QVK__TRY_GO(qvk__gpu_buffer_create(it->gpu, QVK__GPU_MEMORY_DEVICE, bytes / 64 * 64, &from, err));
    QVK__TRY_GO(qvk__gpu_buffer_create(it->gpu, QVK__GPU_MEMORY_DEVICE, bytes / 64 * 64, &to, err));
    QVK__TRY_GO(time_copy(it, &from, &to, gbps, err));
done:
    qvk__gpu_buffer_destroy(it->gpu, &from);
    qvk__gpu_buffer_destroy(it->gpu, &to);
    return status;
}

/* ---- arithmetic ----------------------------------------------------------------------------------------- */

typedef struct rate_probe {
    qvk__kernel kernel;
    uint32_t specs[4];
    uint32_t n_specs, subgroup_size, groups;
    double ops; /* of a work group in one step */
} rate_probe;

static qvk_status time_rate(probe *it, const rate_probe *rate, const qvk__gpu_pipeline *pipeline,
                            uint32_t count, double *ns, qvk_error *err)
{
    const qvk__gpu_dispatch dispatch = {
        .pipeline = pipeline,
        .params = {&it->params, 0, it->params.bytes},
        .buffers = {{&it->output, 0, it->output.bytes}},
        .n_buffers = 1,
        .groups = {rate->groups, 1, 1},
    };

    memcpy(it->params.mapped, &count, sizeof count);
    QVK__TRY(qvk__gpu_record_begin(it->recording, err));
    qvk__gpu_record_timestamp(it->recording, 0);
    QVK__TRY(qvk__gpu_record_dispatch(it->recording, &dispatch, err));
    qvk__gpu_record_timestamp(it->recording, 1);
    return run(it, ns, err);
}

/* Steps are doubled until one dispatch takes long enough to be timed; the best of a few then counts. */
static qvk_status measure_rate(probe *it, const rate_probe *rate, double *tera, qvk_error *err)
{
    qvk__gpu_pipeline_params params = {.n_buffers = 1,
                                       .n_specs = rate->n_specs,
                                       .subgroup_size = rate->subgroup_size,
                                       .label = qvk__kernel_name(rate->kernel)};
    const qvk__gpu_pipeline *pipeline;
    uint32_t count = FIRST_COUNT;
    double ns = 0.0, best = 0.0;

    if (!qvk__kernel_usable(rate->kernel, it->caps))
        return QVK_OK;
    qvk__kernel_spirv(rate->kernel, &params.spirv, &params.n_words);
    memcpy(params.specs, rate->specs, sizeof rate->specs);
    QVK__TRY(qvk__gpu_pipeline_get(it->gpu, &params, &pipeline, err));
    QVK__TRY(time_rate(it, rate, pipeline, count, &ns, err));
    while (ns < target_ns && count < MAX_COUNT) {
        count *= ns < target_ns / 8 ? 8 : 2;
        QVK__TRY(time_rate(it, rate, pipeline, count, &ns, err));
    }
    for (int i = 0; i < RUNS; i++) {
        best = QVK__MAX(best, rate->ops * rate->groups * count / ns * 1e-3); /* ops/ns = Gop/s */
        QVK__TRY(time_rate(it, rate, pipeline, count, &ns, err));
    }
    *tera = QVK__MAX(*tera, best);
    return QVK_OK;
}

static qvk_status measure_vectors(probe *it, qvk__kernel kernel, double ops, double *tera, qvk_error *err)
{
    const uint32_t threads = group_size(it->caps);
    const rate_probe rate = {.kernel = kernel,
                             .specs = {threads},
                             .n_specs = 1,
                             .groups = group_count(it->caps),
                             .ops = ops * STEP_OPERATIONS * threads};
    return measure_rate(it, &rate, tera, err);
}

static qvk_status measure_matrices(probe *it, bool is_int8, double *tera, qvk_error *err)
{
    for (uint32_t i = 0; i < it->caps->n_coopmat; i++) {
        const qvk__coopmat_shape *shape = &it->caps->coopmat[i];
        const uint32_t subgroup = it->caps->subgroup_size;
        const rate_probe rate = {
            .kernel = is_int8 ? QVK__KERNEL_PROBE_I8_COOPMAT : QVK__KERNEL_PROBE_F16_COOPMAT,
            .specs = {subgroup * 4, shape->m, shape->n, shape->k},
            .n_specs = 4,
            .subgroup_size = it->caps->flags & QVK__CAP_SUBGROUP_SIZE_CONTROL ? subgroup : 0,
            .groups = group_count(it->caps),
            .ops = 4.0 * 4.0 * 2.0 * shape->m * shape->n * shape->k,
        };
        if (shape->is_int8 == is_int8 && (is_int8 || shape->f32_result))
            QVK__TRY(measure_rate(it, &rate, tera, err));
    }
    return QVK_OK;
}

static qvk_status measure_all(probe *it, qvk_ceilings *out, qvk_error *err)
{
    QVK__TRY(qvk__gpu_buffer_create(it->gpu, QVK__GPU_MEMORY_PARAMS, 16, &it->params, err));
    QVK__TRY(qvk__gpu_buffer_create(it->gpu, QVK__GPU_MEMORY_DEVICE, 16, &it->output, err));
    QVK__TRY(qvk__gpu_recording_create(it->gpu, 2, &it->recording, err));
    QVK__TRY(measure_vectors(it, QVK__KERNEL_PROBE_F32, 2.0, &out->f32_tflops, err));
    QVK__TRY(measure_vectors(it, QVK__KERNEL_PROBE_F16, 2.0, &out->f16_tflops, err));
    QVK__TRY(measure_vectors(it, QVK__KERNEL_PROBE_DOT8, 8.0, &out->int8_tops, err));
    QVK__TRY(measure_matrices(it, false, &out->f16_tflops, err));
    QVK__TRY(measure_matrices(it, true, &out->int8_tops, err));
    /* Last: the arithmetic brings a device that idled up to its clock. */
    return measure_copy(it, &out->copy_gbps, err);
}

qvk_status qvk__measure(qvk__gpu *gpu, qvk_ceilings *out, qvk_error *err)
{
    probe it = {.gpu = gpu, .caps = qvk__gpu_caps_of(gpu)};
    qvk_ceilings ceilings = {0};
    const qvk_status status = measure_all(&it, &ceilings, err);

    qvk__gpu_recording_destroy(gpu, &it.recording);
    qvk__gpu_buffer_destroy(gpu, &it.params);
    qvk__gpu_buffer_destroy(gpu, &it.output);
    if (status == QVK_OK)
        *out = ceilings;
    return status;
}
