#include "device_limits.h"

#include "kernels/kernels.h"
#include "runtime/measure.h"

enum { DISPATCHES = 200, THREADS = 64, RUNS = 5, WARM_UP_NS = 600 * 1000 * 1000 };

/* ---- one dispatch after the other ----------------------------------------------------------------------- */

typedef struct launches {
    qvk__gpu *gpu;
    qvk__gpu_buffer params, from, to;
    qvk__gpu_recording *recording;
} launches;

/* probe_copy.comp with a count of zero: nothing but the launch. */
static qvk_status record(launches *it, qvk_error *err)
{
    qvk__gpu_pipeline_params params = {
        .n_buffers = 2, .specs = {THREADS}, .n_specs = 1, .label = "probe_copy"};
    qvk__gpu_dispatch dispatch = {.params = {&it->params, 0, it->params.bytes},
                                  .buffers = {{&it->from, 0, it->from.bytes}, {&it->to, 0, it->to.bytes}},
                                  .n_buffers = 2,
                                  .groups = {1, 1, 1}};

    memset(it->params.mapped, 0, it->params.bytes);
    qvk__kernel_spirv(QVK__KERNEL_PROBE_COPY, &params.spirv, &params.n_words);
    QVK__TRY(qvk__gpu_pipeline_get(it->gpu, &params, &dispatch.pipeline, err));
    QVK__TRY(qvk__gpu_record_begin(it->recording, err));
    qvk__gpu_record_timestamp(it->recording, 0);
    for (int i = 0; i < DISPATCHES; i++) {
        QVK__TRY(qvk__gpu_record_dispatch(it->recording, &dispatch, err));
        qvk__gpu_record_barrier(it->recording);
    }
    qvk__gpu_record_timestamp(it->recording, 1);
    return qvk__gpu_record_end(it->recording, err);
}

static qvk_status time_launches(launches *it, double *us, qvk_error *err)
{
    QVK__TRY(qvk__gpu_buffer_create(it->gpu, QVK__GPU_MEMORY_PARAMS, 16, &it->params, err));
    QVK__TRY(qvk__gpu_buffer_create(it->gpu, QVK__GPU_MEMORY_DEVICE, 16, &it->from, err));
    QVK__TRY(qvk__gpu_buffer_create(it->gpu, QVK__GPU_MEMORY_DEVICE, 16, &it->to, err));
    QVK__TRY(qvk__gpu_recording_create(it->gpu, 2, &it->recording, err));
    QVK__TRY(record(it, err));
    for (int i = 0; i < RUNS; i++) {
        double ns[2] = {0};
        const uint64_t start = qvk__clock_ns();
        QVK__TRY(qvk__gpu_submit(it->gpu, it->recording, err));
        QVK__TRY(qvk__gpu_wait(it->gpu, it->recording, err));
        ns[1] = (double)(qvk__clock_ns() - start);
        if (qvk__gpu_caps_of(it->gpu)->timestamp_ns > 0)
            QVK__TRY(qvk__gpu_timestamps(it->gpu, it->recording, ns, 2, err));
        const double each = ns[1] / 1e3 / DISPATCHES;
        *us = i == 0 ? each : QVK__MIN(*us, each);
    }
    return QVK_OK;
}

static qvk_status measure_dispatch(qvk__gpu *gpu, double *us, qvk_error *err)
{
    launches it = {.gpu = gpu};
    const qvk_status status = time_launches(&it, us, err);

    qvk__gpu_recording_destroy(gpu, &it.recording);
    qvk__gpu_buffer_destroy(gpu, &it.params);
    qvk__gpu_buffer_destroy(gpu, &it.from);
    qvk__gpu_buffer_destroy(gpu, &it.to);
    return status;
}

/* ---- all limits ----------------------------------------------------------------------------------------- */

static void keep_best(qvk_ceilings *best, const qvk_ceilings *now)
{
    best->copy_gbps = QVK__MAX(best->copy_gbps, now->copy_gbps);
    best->f32_tflops = QVK__MAX(best->f32_tflops, now->f32_tflops);
    best->f16_tflops = QVK__MAX(best->f16_tflops, now->f16_tflops);
    best->int8_tops = QVK__MAX(best->int8_tops, now->int8_tops);
}

qvk_status device_limits_measure(qvk__gpu *gpu, device_limits *out, qvk_error *err)
{
    const uint64_t start = qvk__clock_ns(),
                   budget = qvk__gpu_caps_of(gpu)->type == QVK__GPU_CPU ? 0 : WARM_UP_NS;
    device_limits limits = {0};
    bool warm;

    do { /* the last round starts on a warm device */
        qvk_ceilings now;
        warm = qvk__clock_ns() - start >= budget;
        QVK__TRY(qvk__measure(gpu, &now, err));
        keep_best(&limits.ceilings, &now);
    } while (!warm);
    QVK__TRY(measure_dispatch(gpu, &limits.dispatch_us, err));
    *out = limits;
    return QVK_OK;
}

layer_bound device_limits_bound(const device_limits *limits, double bytes, double ops, bool int8)
{
    const qvk_ceilings *top = &limits->ceilings;
    const double floats = QVK__MAX(top->f16_tflops, top->f32_tflops),
                 rate = int8 ? QVK__MAX(top->int8_tops, floats) : floats;
    const double memory_us = bytes / top->copy_gbps * 1e-3, ops_us = ops / rate * 1e-6;

    return (layer_bound){.us = QVK__MAX(memory_us, ops_us),
                         .floor_us = QVK__MAX(memory_us + limits->dispatch_us, ops_us),
                         .name = memory_us >= ops_us ? "memory" : "arithmetic"};
}
