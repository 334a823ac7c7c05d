/* Pipelines, parameters and recordings of a variant. */
#include "runtime/device.h"
#include "runtime/hazards.h"

enum { COPY_GROUP = 64 };

/* ---- pipelines ------------------------------------------------------------------------------------------ */

typedef struct pipeline_job {
    qvk__gpu *gpu;
    const qvk__dispatch *dispatches;
    const uint32_t *unique;        /* first dispatch of each pipeline */
    const qvk__gpu_pipeline **out; /* per dispatch; filled for the unique ones */
} pipeline_job;

static qvk_status get_pipeline(qvk__gpu *gpu, const qvk__dispatch *dispatch, const qvk__gpu_pipeline **out,
                               qvk_error *err)
{
    qvk__gpu_pipeline_params params = {
        .n_buffers = qvk__kernel_info_of(dispatch->kernel)->n_buffers,
        .n_specs = dispatch->n_specs,
        .subgroup_size = dispatch->subgroup_size,
        .label = qvk__kernel_name(dispatch->kernel),
    };

    qvk__kernel_spirv(dispatch->kernel, &params.spirv, &params.n_words);
    memcpy(params.specs, dispatch->specs, sizeof params.specs);
    return qvk__gpu_pipeline_get(gpu, &params, out, err);
}

static qvk_status make_pipelines(void *user, uint64_t begin, uint64_t end, qvk_error *err)
{
    const pipeline_job *job = user;

    for (uint64_t i = begin; i < end; i++) {
        const uint32_t at = job->unique[i];
        QVK__TRY(get_pipeline(job->gpu, &job->dispatches[at], &job->out[at], err));
    }
    return QVK_OK;
}

static bool same_pipeline(const qvk__dispatch *a, const qvk__dispatch *b)
{
    return a->kernel == b->kernel && a->n_specs == b->n_specs && a->subgroup_size == b->subgroup_size &&
           memcmp(a->specs, b->specs, a->n_specs * sizeof a->specs[0]) == 0;
}

/* twin[i]: the first dispatch with the pipeline of dispatch i. Returns how many are their own twin. */
static size_t find_twins(const qvk__plan *plan, uint32_t *twin, uint32_t *unique)
{
    size_t n = 0;

    for (uint32_t i = 0; i < plan->dispatches.count; i++) {
        size_t u = 0;
        while (u < n && !same_pipeline(&plan->dispatches.data[i], &plan->dispatches.data[unique[u]]))
            u++;
        if (u == n)
            unique[n++] = i;
        twin[i] = unique[u];
    }
    return n;
}

qvk_status qvk__variant_pipelines(qvk__engine *engine, qvk__variant *variant, qvk_error *err)
{
    const size_t count = variant->plan.dispatches.count;
    const uint64_t start = qvk__clock_ns();
    uint32_t *twin = qvk__alloc_zeroed(count, sizeof *twin),
             *unique = qvk__alloc_zeroed(count, sizeof *unique);
    pipeline_job job = {.gpu = engine->gpu, .dispatches = variant->plan.dispatches.data, .unique = unique};
    size_t n_unique = 0;
    qvk_status status = QVK_OK;

    variant->pipelines = qvk__alloc_zeroed(count + 1, sizeof *variant->pipelines);
    QVK__CHECK_GO(twin && unique && variant->pipelines, err, QVK_OUT_OF_MEMORY, "out of memory");
    job.out = variant->pipelines;
    n_unique = find_twins(&variant->plan, twin, unique);
    QVK__TRY_GO(qvk__parallel_try(n_unique, 1, make_pipelines, &job, err));
    for (size_t i = 0; i < count; i++)
        variant->pipelines[i] = variant->pipelines[twin[i]];
    engine->info.n_pipelines += (int32_t)n_unique;
    engine->info.pipeline_ms += (double)(qvk__clock_ns() - start) * 1e-6;
done:
    free(twin);
    free(unique);
    return status;
}

/* ---- parameters ----------------------------------------------------------------------------------------- */

static uint32_t *groups_at(const qvk__variant *variant, size_t slot)
{
    return (uint32_t *)(void *)((char *)variant->params.mapped + variant->groups_offset + 16 * slot);
}

static void write_copy(const qvk__engine *engine, qvk__variant *variant, const qvk__transfer *transfer)
{
    const qvk_tensor *tensor = &engine->host.tensors[transfer->value];
    const size_t slot = variant->plan.dispatches.count + (size_t)transfer->measured;
    const uint64_t words = qvk__div_up(qvk__device_bytes(tensor), 4);
    const uint32_t count = (uint32_t)words;

    memcpy((char *)variant->params.mapped + slot * variant->slot_bytes, &count, sizeof count);
    qvk__fold_groups(engine->device->caps, qvk__div_up(words, COPY_GROUP), groups_at(variant, slot));
}

static void write_dispatch(qvk__variant *variant, size_t index)
{
    const qvk__dispatch *dispatch = &variant->plan.dispatches.data[index];

    memcpy((char *)variant->params.mapped + index * variant->slot_bytes, dispatch->params,
           dispatch->n_params * sizeof dispatch->params[0]);
    memcpy(groups_at(variant, index), dispatch->groups, sizeof dispatch->groups);
}

void qvk__variant_write_node(qvk__variant *variant, size_t node)
{
    const qvk__planned_node *planned = &variant->plan.nodes[node];
    for (uint32_t i = 0; i < planned->n; i++)
        write_dispatch(variant, planned->first + i);
}

void qvk__variant_write_copies(const qvk__engine *engine, qvk__variant *variant)
{
    for (size_t s = 0; s < variant->steps.count; s++) {
        const qvk__step *step = &variant->steps.data[s];
        for (size_t i = 0; i < step->uploads.count; i++)
            if (step->uploads.data[i].measured >= 0)
                write_copy(engine, variant, &step->uploads.data[i]);
        for (size_t i = 0; i < step->downloads.count; i++)
            if (step->downloads.data[i].measured >= 0)
                write_copy(engine, variant, &step->downloads.data[i]);
    }
}

void qvk__variant_write_params(const qvk__engine *engine, qvk__variant *variant)
{
    for (size_t i = 0; i < variant->plan.dispatches.count; i++)
        write_dispatch(variant, i);
    qvk__variant_write_copies(engine, variant);
}

/* ---- recordings ----------------------------------------------------------------------------------------- */

typedef struct recorder {
    qvk__engine *engine;
    qvk__variant *variant;
    qvk__gpu_recording *recording;
    qvk__hazards hazards;
    uint32_t n_commands, n_timestamps;
} recorder;

/* A barrier if the next piece of work needs one; when profiling, always, so that times do not overlap. */
static qvk_status separate(recorder *it, const qvk__access *accesses, size_t n, qvk_error *err)
{
    bool barrier;

    QVK__TRY(qvk__hazards_add(&it->hazards, accesses, n, &barrier, err));
    if (barrier || (it->engine->params.profile && it->n_commands > 0))
        qvk__gpu_record_barrier(it->recording);
    it->n_commands++;
    return QVK_OK;
}

static qvk__gpu_range block_of(const qvk__variant *variant, size_t slot)
{
    return (qvk__gpu_range){&variant->params, slot * variant->slot_bytes,
                            QVK__MAX_DISPATCH_PARAMS * sizeof(uint32_t)};
}

static qvk_status record_copy(recorder *it, qvk__gpu_range from, qvk__gpu_range to, qvk_error *err)
{
    const qvk__access accesses[] = {{from, false}, {to, true}};
    QVK__TRY(separate(it, accesses, 2, err));
    qvk__gpu_record_copy(it->recording, from, to);
    return QVK_OK;
}

static qvk_status record_measured(recorder *it, int32_t index, qvk__gpu_range from, qvk__gpu_range to,
                                  qvk_error *err)
{
    const size_t slot = it->variant->plan.dispatches.count + (size_t)index;
    const qvk__access accesses[] = {{from, false}, {to, true}};
    const qvk__dispatch copy = {.kernel = QVK__KERNEL_COPY_WORDS};
    qvk__gpu_dispatch dispatch = {
        .params = block_of(it->variant, slot),
        .buffers = {from, to},
        .n_buffers = 2,
        .indirect = &it->variant->params,
        .indirect_offset = it->variant->groups_offset + 16 * slot,
    };

    QVK__TRY(get_pipeline(it->engine->gpu, &copy, &dispatch.pipeline, err));
    QVK__TRY(separate(it, accesses, 2, err));
    return qvk__gpu_record_dispatch(it->recording, &dispatch, err);
}

static qvk_status record_transfers(recorder *it, const qvk__transfer *transfers, size_t n,
                                   const qvk__gpu_buffer *staging, bool is_upload, qvk_error *err)
{
    for (size_t i = 0; i < n; i++) {
        const qvk__gpu_range device = transfers[i].device;
        const qvk__gpu_range host = {staging, transfers[i].staging, device.bytes};
        const qvk__gpu_range from = is_upload ? host : device, to = is_upload ? device : host;
        if (device.buffer->mapped)
            continue;
        if (transfers[i].measured >= 0)
            QVK__TRY(record_measured(it, transfers[i].measured, from, to, err));
        else
            QVK__TRY(record_copy(it, from, to, err));
    }
    return QVK_OK;
}

/* Where a ref of a dispatch lies; checked against the device's largest binding. */
static qvk_status resolve_ref(const recorder *it, const qvk__ref *ref, qvk__gpu_range *out, qvk_error *err)
{
    const qvk__placement *placement = &it->variant->placement;
    qvk__gpu_range whole = {0};

    if (ref->kind == QVK__REF_VALUE) {
        whole = placement->ranges[ref->id];
    } else if (ref->kind == QVK__REF_SCRATCH) {
        whole = placement->scratch[ref->id];
    } else if (ref->kind == QVK__REF_PACKED) {
        const qvk__weight *weight = &it->engine->device->weights.list.data[ref->id];
        whole = (qvk__gpu_range){weight->buffer, 0, weight->pack.bytes};
    }
    QVK__CHECK(whole.buffer && ref->offset < whole.bytes && ref->bytes <= whole.bytes - ref->offset, err,
               QVK_INTERNAL, "a kernel is bound to memory that is not there");
    *out = (qvk__gpu_range){whole.buffer, whole.offset + ref->offset,
                            ref->bytes ? ref->bytes : whole.bytes - ref->offset};
    QVK__CHECK(out->bytes <= it->engine->device->caps->max_storage_range, err, QVK_UNSUPPORTED,
               "a kernel needs %llu bytes in one binding, the device allows %llu",
               (unsigned long long)out->bytes,
               (unsigned long long)it->engine->device->caps->max_storage_range);
    return QVK_OK;
}

static qvk_status record_dispatch(recorder *it, size_t index, qvk_error *err)
{
    const qvk__variant *variant = it->variant;
    const qvk__dispatch *planned = &variant->plan.dispatches.data[index];
    qvk__access accesses[QVK__GPU_MAX_BINDINGS];
    qvk__gpu_dispatch dispatch = {
        .pipeline = variant->pipelines[index],
        .n_buffers = qvk__kernel_info_of(planned->kernel)->n_buffers,
        .groups = {planned->groups[0], planned->groups[1], planned->groups[2]},
    };

    for (uint32_t b = 0; b < dispatch.n_buffers; b++) {
        QVK__TRY(resolve_ref(it, &planned->buffers[b], &dispatch.buffers[b], err));
        accesses[b] = (qvk__access){dispatch.buffers[b], planned->writes >> b & 1};
    }
    if (planned->n_params > 0)
        dispatch.params = block_of(variant, index);
    if (variant->dynamic) {
        dispatch.indirect = &variant->params;
        dispatch.indirect_offset = variant->groups_offset + 16 * index;
    }
    QVK__TRY(separate(it, accesses, dispatch.n_buffers, err));
    QVK__TRY(qvk__gpu_record_dispatch(it->recording, &dispatch, err));
    if (it->engine->params.profile)
        qvk__gpu_record_timestamp(it->recording, it->n_timestamps++);
    return QVK_OK;
}

static qvk_status record_aliases(recorder *it, int32_t node, qvk_error *err)
{
    const qvk__plan *plan = &it->variant->plan;

    for (size_t i = 0; i < plan->aliases.count; i++) {
        qvk__gpu_range from, to;
        if (plan->aliases.data[i].node != node || !it->variant->placement.copied[i])
            continue;
        from = it->variant->placement.ranges[plan->aliases.data[i].in];
        to = it->variant->placement.ranges[plan->aliases.data[i].out];
        from.bytes = to.bytes = QVK__MIN(from.bytes, to.bytes);
        QVK__TRY(record_copy(it, from, to, err));
    }
    return QVK_OK;
}

static qvk_status record_node(recorder *it, int32_t node, qvk_error *err)
{
    const qvk__planned_node *planned = &it->variant->plan.nodes[node];
    qvk_status status = QVK_OK;

    if (planned->place != QVK__PLACE_DEVICE)
        return QVK_OK;
    status = record_aliases(it, node, err);
    for (uint32_t i = 0; i < planned->n && status == QVK_OK; i++)
        status = record_dispatch(it, planned->first + i, err);
    return status == QVK_OK ? QVK_OK
                            : qvk__error_context(err, status, "%s",
                                                 qvk__node_label_of(&it->engine->graph, (size_t)node).text);
}

static uint32_t count_dispatches(const qvk__variant *variant, const qvk__step *step)
{
    uint32_t n = 0;
    for (int32_t node = step->first_node; node < step->end_node; node++)
        n += variant->plan.nodes[node].n;
    return n;
}

static qvk_status record_commands(recorder *it, const qvk__step *step, qvk_error *err)
{
    const qvk__variant *variant = it->variant;

    QVK__TRY(qvk__gpu_record_begin(it->recording, err));
    QVK__TRY(record_transfers(it, step->uploads.data, step->uploads.count, variant->upload, true, err));
    if (it->engine->params.profile)
        qvk__gpu_record_timestamp(it->recording, it->n_timestamps++);
    for (int32_t node = step->first_node; node < step->end_node; node++)
        QVK__TRY(record_node(it, node, err));
    QVK__TRY(
        record_transfers(it, step->downloads.data, step->downloads.count, variant->readback, false, err));
    return qvk__gpu_record_end(it->recording, err);
}

static qvk_status record_step(qvk__engine *engine, qvk__variant *variant, qvk__step *step, qvk_error *err)
{
    recorder it = {.engine = engine, .variant = variant};
    const uint32_t n_stamps = engine->params.profile ? count_dispatches(variant, step) + 1 : 0;
    qvk_status status;

    QVK__TRY(qvk__gpu_recording_create(engine->gpu, n_stamps, &it.recording, err));
    status = record_commands(&it, step, err);
    qvk__hazards_finish(&it.hazards);
    if (status != QVK_OK || it.n_commands == 0) {
        qvk__gpu_recording_destroy(engine->gpu, &it.recording);
        return status;
    }
    step->recording = it.recording;
    step->n_timestamps = it.n_timestamps;
    return QVK_OK;
}

qvk_status qvk__variant_record(qvk__engine *engine, qvk__variant *variant, qvk_error *err)
{
    for (size_t s = 0; s < variant->steps.count; s++)
        if (variant->steps.data[s].cpu_node < 0)
            QVK__TRY(record_step(engine, variant, &variant->steps.data[s], err));
    return QVK_OK;
}
