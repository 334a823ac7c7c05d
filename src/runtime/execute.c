/* One call on the device: stage, submit, wait, CPU steps, outputs. */
#include "runtime/device.h"
#include "runtime/staging.h"

/* ---- transfers ------------------------------------------------------------------------------------------ */

/* An input as the caller has it: staged straight from there, whatever its type. */
static const qvk_tensor *source_of(const qvk__engine *engine, int32_t value)
{
    const qvk_tensor *source = &engine->sources[value];
    return source->data ? source : &engine->host.tensors[value];
}

static void *staging_place(const qvk__transfer *transfer, const qvk__gpu_buffer *staging)
{
    if (transfer->device.buffer->mapped)
        return (char *)transfer->device.buffer->mapped + transfer->device.offset;
    return (char *)staging->mapped + transfer->staging;
}

static qvk_status stage_uploads(qvk__engine *engine, const qvk__step *step, qvk_error *err)
{
    const qvk__variant *variant = engine->device->current;

    for (size_t i = 0; i < step->uploads.count; i++) {
        const qvk__transfer *transfer = &step->uploads.data[i];
        const qvk__value *value = &engine->graph.values.data[transfer->value];
        const qvk_tensor *from = source_of(engine, transfer->value);
        QVK__TRY(qvk__stage_copy(from->data, from->dtype, staging_place(transfer, variant->upload),
                                 qvk__device_dtype(value->desc.dtype), (uint64_t)qvk_tensor_numel(from),
                                 false, value->name, err));
    }
    return QVK_OK;
}

/* Values a CPU step reads go on into the host's own memory; the rest is delivered from where it lies. */
static qvk_status take_downloads(qvk__engine *engine, const qvk__step *step, qvk_error *err)
{
    const qvk__variant *variant = engine->device->current;

    for (size_t i = 0; i < step->downloads.count; i++) {
        const qvk__transfer *transfer = &step->downloads.data[i];
        qvk_tensor *tensor = &engine->host.tensors[transfer->value];
        const void *from = staging_place(transfer, variant->readback);
        if (!transfer->to_host) {
            engine->device->fetched[transfer->value] = from;
            continue;
        }
        if (!engine->graph.values.data[transfer->value].constant)
            QVK__TRY(qvk__host_reserve(&engine->host, transfer->value, err));
        else
            QVK__TRY(qvk__host_constant(&engine->host, transfer->value, err));
        QVK__TRY(qvk__stage_copy(from, qvk__device_dtype(tensor->dtype), tensor->data, tensor->dtype,
                                 (uint64_t)qvk_tensor_numel(tensor), false,
                                 engine->graph.values.data[transfer->value].name, err));
    }
    return QVK_OK;
}

/* ---- steps ---------------------------------------------------------------------------------------------- */

static qvk_status add_times(qvk__engine *engine, const qvk__step *step, double start_us, qvk_error *err)
{
    const qvk__variant *variant = engine->device->current;
    double *ns = qvk__alloc_zeroed(step->n_timestamps, sizeof *ns);
    uint32_t stamp = 0;
    qvk_status status = QVK_OK;

    QVK__CHECK(ns, err, QVK_OUT_OF_MEMORY, "out of memory");
    if (engine->device->caps->timestamp_ns > 0)
        QVK__TRY_GO(qvk__gpu_timestamps(engine->gpu, step->recording, ns, step->n_timestamps, err));
    for (int32_t n = step->first_node; n < step->end_node; n++) {
        const qvk__planned_node *planned = &variant->plan.nodes[n];
        for (uint32_t i = 0; planned->place == QVK__PLACE_DEVICE && i < planned->n; i++, stamp++) {
            const qvk__dispatch *dispatch = &variant->plan.dispatches.data[planned->first + i];
            const qvk_profile_entry entry = {.name = engine->graph.nodes.data[n].target,
                                             .kernel = qvk__kernel_name(dispatch->kernel),
                                             .start_us = start_us + ns[stamp] * 1e-3,
                                             .gpu_us = (ns[stamp + 1] - ns[stamp]) * 1e-3,
                                             .bytes = dispatch->bytes,
                                             .ops = dispatch->ops,
                                             .on_device = true};
            QVK__TRY_GO(qvk__engine_add_profile(engine, &entry, err));
        }
    }
done:
    free(ns);
    return status;
}

static double now_us(const qvk__engine *engine)
{
    return (double)(qvk__clock_ns() - engine->run_start_ns) * 1e-3;
}

static qvk_status wait_for(qvk__engine *engine, qvk__gpu_recording *recording, qvk_error *err)
{
    const uint64_t start = qvk__clock_ns();
    const qvk_status status = qvk__gpu_wait(engine->gpu, recording, err);

    engine->wait_ns += qvk__clock_ns() - start;
    return status;
}

static qvk_status run_segment(qvk__engine *engine, const qvk__step *step, qvk_error *err)
{
    const double start_us = now_us(engine);

    QVK__TRY(stage_uploads(engine, step, err));
    if (step->recording) {
        QVK__TRY(qvk__gpu_submit(engine->gpu, step->recording, err));
        QVK__TRY(wait_for(engine, step->recording, err));
        if (engine->params.profile && step->n_timestamps > 1)
            QVK__TRY(add_times(engine, step, start_us, err));
    }
    return take_downloads(engine, step, err);
}

static qvk_status run_cpu(qvk__engine *engine, const qvk__step *step, qvk_error *err)
{
    const qvk__node *node = &engine->graph.nodes.data[step->cpu_node];
    qvk_profile_entry entry = {.name = node->target, .kernel = "reference", .start_us = now_us(engine)};

    QVK__TRY(qvk__engine_convert_inputs(engine, node, err));
    QVK__TRY(qvk__host_run(&engine->host, (size_t)step->cpu_node, err));
    entry.gpu_us = now_us(engine) - entry.start_us;
    return engine->params.profile ? qvk__engine_add_profile(engine, &entry, err) : QVK_OK;
}

/* ---- outputs -------------------------------------------------------------------------------------------- */

static qvk_status deliver(qvk__engine *engine, uint32_t index, qvk_value *out, qvk_error *err)
{
    const int32_t value = engine->graph.outputs.data[index];
    const qvk__value *info = &engine->graph.values.data[value];
    const void *fetched = engine->device->fetched[value];
    qvk_tensor tensor;

    if (info->kind == QVK__VALUE_SYMBOL) {
        *out = (qvk_value){.kind = QVK_VALUE_INT, .i = engine->host.symbols[value]};
        return QVK_OK;
    }
    if (info->constant && !fetched)
        QVK__TRY(qvk__host_constant(&engine->host, value, err));
    tensor = engine->sources[value].data ? engine->sources[value] : engine->host.tensors[value];
    if (fetched) {
        tensor = engine->host.tensors[value];
        tensor.dtype = qvk__device_dtype(tensor.dtype);
        tensor.data = (void *)(uintptr_t)fetched;
    }
    return qvk__engine_deliver(engine, index, &tensor, out, err);
}

qvk_status qvk__execute(qvk__engine *engine, qvk_value *outputs, qvk_error *err)
{
    const qvk__variant *variant = engine->device->current;

    memset(engine->device->fetched, 0, engine->graph.values.count * sizeof *engine->device->fetched);
    for (size_t s = 0; s < variant->steps.count; s++) {
        const qvk__step *step = &variant->steps.data[s];
        const bool verify = engine->params.verify && step->cpu_node < 0 && step->end_node > step->first_node;
        if (step->cpu_node >= 0) {
            QVK__TRY(run_cpu(engine, step, err));
            continue;
        }
        if (verify)
            QVK__TRY(qvk__verify_before(engine, step->end_node - 1, err));
        QVK__TRY(run_segment(engine, step, err));
        if (verify)
            QVK__TRY(qvk__verify_after(engine, step->end_node - 1, err));
    }
    for (uint32_t i = 0; i < engine->graph.outputs.count; i++)
        QVK__TRY(deliver(engine, i, &outputs[i], err));
    return QVK_OK;
}
