/* Finding or making the variant that fits the current shapes. */
#include "runtime/device.h"

#include <stdio.h>

#include "runtime/trials.h"
#include "runtime/tuner.h"

enum { MAX_VARIANTS = 8 };

void qvk__variant_destroy(qvk__device_engine *device, qvk__variant **variant)
{
    qvk__variant *it = *variant;

    if (!it)
        return;
    for (size_t s = 0; s < it->steps.count; s++) {
        qvk__step *step = &it->steps.data[s];
        if (step->recording)
            qvk__gpu_recording_destroy(device->gpu, &step->recording);
        free(step->uploads.data);
        free(step->downloads.data);
    }
    free(it->steps.data);
    free(it->pipelines);
    qvk__gpu_buffer_destroy(device->gpu, &it->params);
    qvk__placement_finish(&it->placement);
    qvk__plan_finish(&it->plan);
    free(it);
    *variant = NULL;
}

/* ---- making --------------------------------------------------------------------------------------------- */

static qvk_status make_params(qvk__engine *engine, qvk__variant *variant, qvk_error *err)
{
    const uint64_t n = variant->plan.dispatches.count + variant->n_copies;
    const uint64_t block = QVK__MAX_DISPATCH_PARAMS * sizeof(uint32_t);

    variant->slot_bytes = qvk__round_up(block, engine->device->caps->uniform_alignment);
    variant->groups_offset = n * variant->slot_bytes;
    return qvk__gpu_buffer_create(engine->gpu, QVK__GPU_MEMORY_PARAMS, variant->groups_offset + 16 * n,
                                  &variant->params, err);
}

static qvk_status place(qvk__engine *engine, qvk__variant *variant, qvk_error *err)
{
    qvk__device_engine *device = engine->device;
    const uint64_t start = qvk__clock_ns();

    QVK__TRY(qvk__placement_make(&engine->graph, &variant->plan, &device->weights, device->caps,
                                 &variant->placement, err));
    QVK__TRY(qvk__weights_upload(&device->weights, err));
    engine->info.upload_ms += (double)(qvk__clock_ns() - start) * 1e-6;
    engine->info.weight_bytes = device->weights.bytes;
    engine->info.activation_bytes = QVK__MAX(engine->info.activation_bytes, variant->placement.arena_bytes);
    QVK__TRY(qvk__device_buffer(device, QVK__GPU_MEMORY_DEVICE, variant->placement.arena_bytes,
                                &variant->arena, err));
    qvk__placement_bind(&variant->placement, &engine->graph, &variant->plan, &device->weights,
                        variant->arena);
    return QVK_OK;
}

/* Everything after planning. */
static qvk_status build(qvk__engine *engine, qvk__variant *variant, qvk_error *err)
{
    qvk__device_engine *device = engine->device;

    QVK__TRY(place(engine, variant, err));
    QVK__TRY(qvk__schedule(engine, variant, engine->params.verify, err));
    QVK__TRY(
        qvk__device_buffer(device, QVK__GPU_MEMORY_UPLOAD, variant->upload_bytes, &variant->upload, err));
    QVK__TRY(qvk__device_buffer(device, QVK__GPU_MEMORY_READBACK, variant->readback_bytes, &variant->readback,
                                err));
    QVK__TRY(make_params(engine, variant, err));
    QVK__TRY(qvk__variant_pipelines(engine, variant, err));
    return qvk__variant_record(engine, variant, err);
}

/* Into the log as well: the caller may not ask again after a new shape brought the first one. */
static void note_cpu_step(qvk__engine *engine, size_t node, const char *reason)
{
    const qvk__node_label label = qvk__node_label_of(&engine->graph, node);
    char message[1024];

    qvk__string_addf(&engine->cpu_reasons, "%s: %s\n", label.text, reason);
    if (!engine->params.log)
        return;
    snprintf(message, sizeof message, "on the CPU: %s: %s", label.text, reason);
    engine->params.log(engine->params.log_user, QVK_LOG_INFO, message);
}

static void note_cpu_steps(qvk__engine *engine, const qvk__plan *plan)
{
    engine->info.n_dispatches = (int32_t)plan->dispatches.count;
    engine->info.n_cpu_steps = 0;
    engine->cpu_reasons.count = 0;
    for (size_t n = 0; n < engine->graph.nodes.count; n++) {
        if (plan->nodes[n].place != QVK__PLACE_CPU)
            continue;
        engine->info.n_cpu_steps++;
        note_cpu_step(engine, n, plan->nodes[n].reason);
    }
}

/* Room for one more: the one that was not used for the longest time goes. */
static void drop_oldest(qvk__device_engine *device)
{
    size_t oldest = 0;

    if (device->variants.count < MAX_VARIANTS)
        return;
    for (size_t i = 1; i < device->variants.count; i++)
        if (device->variants.data[i]->last_used < device->variants.data[oldest]->last_used)
            oldest = i;
    if (device->current == device->variants.data[oldest])
        device->current = NULL;
    qvk__variant_destroy(device, &device->variants.data[oldest]);
    device->variants.data[oldest] = device->variants.data[--device->variants.count];
}

/* Takes over the plan, also on failure. */
static qvk_status make(qvk__engine *engine, qvk__plan *plan, uint64_t key, qvk__variant **out, qvk_error *err)
{
    qvk__device_engine *device = engine->device;
    qvk__variant *variant = qvk__alloc_zeroed(1, sizeof *variant);
    qvk_status status;

    if (!variant) {
        qvk__plan_finish(plan);
        return qvk__fail(err, QVK_OUT_OF_MEMORY, "out of memory");
    }
    variant->plan = *plan;
    variant->key = key;
    variant->dynamic = device->dynamic;
    drop_oldest(device);
    status = build(engine, variant, err);
    if (status == QVK_OK && !QVK__VEC_PUSH(&device->variants, variant))
        status = qvk__fail(err, QVK_OUT_OF_MEMORY, "out of memory");
    if (status != QVK_OK) {
        qvk__variant_destroy(device, &variant);
        return status;
    }
    note_cpu_steps(engine, &variant->plan);
    *out = variant;
    return QVK_OK;
}

/* ---- finding -------------------------------------------------------------------------------------------- */

/* Scratch is not part of the key: it only has to be large enough. */
static bool fits(const qvk__variant *variant, const qvk__plan *plan, bool dynamic)
{
    if (variant->dynamic != dynamic || variant->plan.scratch.count != plan->scratch.count)
        return false;
    for (size_t i = 0; i < plan->scratch.count; i++)
        if (plan->scratch.data[i].bytes > variant->placement.scratch[i].bytes)
            return false;
    return true;
}

static qvk__variant *find(const qvk__device_engine *device, const qvk__plan *plan, uint64_t key)
{
    for (size_t i = 0; i < device->variants.count; i++)
        if (device->variants.data[i]->key == key && fits(device->variants.data[i], plan, device->dynamic))
            return device->variants.data[i];
    return NULL;
}

/* A longer scratch may be wanted next: leave room, so that growing shapes do not record every time. */
static void leave_room(qvk__plan *plan)
{
    for (size_t i = 0; i < plan->scratch.count; i++)
        plan->scratch.data[i].bytes = qvk__round_up(plan->scratch.data[i].bytes * 3 / 2, 256);
}

static qvk__plan_source plan_source(qvk__engine *engine)
{
    qvk__device_engine *device = engine->device;
    return (qvk__plan_source){.caps = device->caps,
                              .host = &engine->host,
                              .written = engine->written,
                              .weights = &device->weights,
                              .distrusted = device->distrusted,
                              .tuning = engine->params.linear_tuning,
                              .tiles = engine->params.tuner ? device->tiles : NULL};
}

/* *again: a kernel of the plan failed its trial, or has a better shape by now. */
static qvk_status check_plan(qvk__engine *engine, const qvk__plan *plan, bool *again, qvk_error *err)
{
    qvk__device_engine *device = engine->device;
    const qvk__dispatch *dispatches = plan->dispatches.data;
    const size_t n = plan->dispatches.count;

    *again = false;
    if (engine->params.trials)
        QVK__TRY(qvk__trials_check(engine->params.trials, dispatches, n, device->distrusted, again, err));
    if (engine->params.tuner && !*again)
        QVK__TRY(qvk__tuner_check(engine->params.tuner, dispatches, n, device->distrusted, device->tiles,
                                  again, err));
    return QVK_OK;
}

/* Plans until every kernel that needs a trial has passed it (what fails gives way to the next family) and has
 * the best shape that is known. */
static qvk_status plan_checked(qvk__engine *engine, qvk__plan *out, qvk_error *err)
{
    qvk__device_engine *device = engine->device;
    const qvk__plan_source source = plan_source(engine);
    const size_t n_weights = device->weights.list.count;
    bool again = true;

    while (again) {
        /* What a plan that is given up wanted packed was not uploaded yet, and owns nothing. */
        device->weights.list.count = n_weights;
        QVK__TRY(qvk__plan_make(&source, out, err));
        const qvk_status status = check_plan(engine, out, &again, err);
        if (status != QVK_OK || again)
            qvk__plan_finish(out);
        QVK__TRY(status);
    }
    return QVK_OK;
}

qvk_status qvk__variant_select(qvk__engine *engine, qvk_error *err)
{
    qvk__device_engine *device = engine->device;
    qvk__variant *variant;
    qvk__plan plan = {0};
    uint64_t key;

    device->current = NULL;
    QVK__TRY(plan_checked(engine, &plan, err));
    key = qvk__plan_key(&plan, engine->graph.nodes.count);
    variant = find(device, &plan, key);
    if (variant) {
        qvk__plan_finish(&variant->plan);
        variant->plan = plan;
    } else {
        if (device->dynamic && device->n_runs > 0)
            leave_room(&plan);
        QVK__TRY(make(engine, &plan, key, &variant, err));
    }
    qvk__variant_write_params(engine, variant);
    variant->last_used = device->n_runs;
    device->current = variant;
    return QVK_OK;
}

/* ---- adjusting ------------------------------------------------------------------------------------------ */

static bool scratch_fits(const qvk__variant *variant, size_t node, const qvk__plan *one)
{
    const qvk__planned_node *planned = &variant->plan.nodes[node];

    for (uint32_t i = 0; i < planned->n_scratch; i++)
        if (one->scratch.data[i].bytes > variant->placement.scratch[planned->first_scratch + i].bytes)
            return false;
    return true;
}

qvk_status qvk__variant_adjust(qvk__engine *engine, qvk_error *err)
{
    qvk__device_engine *device = engine->device;
    const qvk__plan_source source = plan_source(engine);
    qvk__variant *variant = device->current;

    if (!variant || variant->dynamic != device->dynamic)
        return qvk__variant_select(engine, err);
    for (size_t n = 0; n < engine->graph.nodes.count; n++) {
        device->affected[n] |= qvk__plan_depends(&variant->plan, n, device->affected);
        if (!device->affected[n] || variant->plan.nodes[n].place == QVK__PLACE_NOWHERE)
            continue;
        QVK__TRY(qvk__plan_one(&source, &variant->plan, n, &device->one, err));
        if (!qvk__plan_same(&variant->plan, n, &device->one) || !scratch_fits(variant, n, &device->one))
            return qvk__variant_select(engine, err);
        qvk__plan_update(&variant->plan, n, &device->one);
        qvk__variant_write_node(variant, n);
    }
    qvk__variant_write_copies(engine, variant);
    return QVK_OK;
}
