#include "layer_chain.h"

#include <stdio.h>

#include "core/dtype.h"

#define MAX_PACKS  32
#define MAX_COPIES 48

typedef struct chain {
    qvk__planner base; /* first: callbacks cast back */
    qvk__gpu *gpu;
    const chain_params *params;
    qvk__gpu_buffer values[CHAIN_MAX_VALUES];
    qvk__pack packs[MAX_PACKS];
    qvk__gpu_buffer packed[MAX_COPIES][MAX_PACKS];
    uint32_t n_packs, n_copies;
    qvk__gpu_buffer scratch[MAX_PACKS];
    uint32_t n_scratch;
    qvk__dispatch dispatches[CHAIN_MAX_DISPATCHES];
    qvk__gpu_buffer blocks[CHAIN_MAX_DISPATCHES];
    const qvk__gpu_pipeline *pipelines[CHAIN_MAX_DISPATCHES];
    uint32_t n_dispatches;
    qvk__gpu_recording *recording;
} chain;

/* ---- what planners ask ---------------------------------------------------------------------------------- */

static const qvk_tensor *planner_desc(qvk__planner *planner, int32_t value)
{
    return &((chain *)planner)->params->values[value];
}

static int64_t planner_symbol(qvk__planner *planner, int32_t value)
{
    (void)planner, (void)value;
    return 0;
}

static const void *planner_constant(qvk__planner *planner, int32_t value)
{
    return ((chain *)planner)->params->values[value].data;
}

static qvk_status planner_pack(qvk__planner *planner, const qvk__pack *pack, qvk__ref *out, qvk_error *err)
{
    chain *c = (chain *)planner;

    QVK__CHECK(c->n_packs < MAX_PACKS, err, QVK_UNSUPPORTED, "more than %d packed constants", MAX_PACKS);
    *out = (qvk__ref){.kind = QVK__REF_PACKED, .id = (int32_t)c->n_packs};
    c->packs[c->n_packs++] = *pack;
    return QVK_OK;
}

static qvk_status planner_scratch(qvk__planner *planner, uint64_t bytes, qvk__ref *out, qvk_error *err)
{
    chain *c = (chain *)planner;

    QVK__CHECK(c->n_scratch < MAX_PACKS, err, QVK_UNSUPPORTED, "more than %d scratch buffers", MAX_PACKS);
    *out = (qvk__ref){.kind = QVK__REF_SCRATCH, .id = (int32_t)c->n_scratch};
    return qvk__gpu_buffer_create(c->gpu, QVK__GPU_MEMORY_DEVICE, bytes, &c->scratch[c->n_scratch++], err);
}

static qvk_status planner_dispatch(qvk__planner *planner, const qvk__dispatch *dispatch, qvk_error *err)
{
    chain *c = (chain *)planner;

    QVK__CHECK(c->n_dispatches < CHAIN_MAX_DISPATCHES, err, QVK_UNSUPPORTED, "more than %d dispatches",
               CHAIN_MAX_DISPATCHES);
    c->dispatches[c->n_dispatches++] = *dispatch;
    return QVK_OK;
}

static qvk_status planner_alias(qvk__planner *planner, int32_t out, int32_t in, qvk_error *err)
{
    (void)planner, (void)out, (void)in;
    return qvk__fail(err, QVK_INTERNAL, "layers have no views");
}

static qvk_status plan(chain *c, qvk_error *err)
{
    const qvk__graph *graph = c->params->graph;

    c->base = (qvk__planner){.caps = qvk__gpu_caps_of(c->gpu),
                             .fp16_math = true,
                             .linear_tuning = c->params->tuning,
                             .graph = graph,
                             .desc = planner_desc,
                             .symbol = planner_symbol,
                             .constant = planner_constant,
                             .pack = planner_pack,
                             .scratch = planner_scratch,
                             .dispatch = planner_dispatch,
                             .alias = planner_alias};
    for (size_t i = 0; i < graph->nodes.count; i++)
        QVK__TRY(qvk__plan_of(graph->nodes.data[i].op)(&c->base, &graph->nodes.data[i], err));
    return QVK_OK;
}

/* ---- memory --------------------------------------------------------------------------------------------- */

static bool is_packed_only(const chain *c, int32_t value)
{
    const qvk__value *v = &c->params->graph->values.data[value];

    return v->constant != NULL;
}

static qvk_status make_values(chain *c, qvk_error *err)
{
    for (size_t i = 0; i < c->params->graph->values.count; i++) {
        const qvk_tensor *t = &c->params->values[i];
        if (is_packed_only(c, (int32_t)i))
            continue;
        QVK__TRY(
            qvk__gpu_buffer_create(c->gpu, QVK__GPU_MEMORY_DEVICE, qvk__device_bytes(t), &c->values[i], err));
        if (t->data)
            QVK__TRY(qvk__gpu_upload(c->gpu, &c->values[i], 0, t->data, qvk_tensor_bytes(t), err));
    }
    return QVK_OK;
}

static qvk_status make_packed(chain *c, qvk_error *err)
{
    uint64_t once = 0;

    for (uint32_t p = 0; p < c->n_packs; p++)
        once += c->packs[p].bytes;
    c->n_copies = (uint32_t)QVK__MIN(qvk__div_up(c->params->cold_bytes, QVK__MAX(once, 1)) + 1,
                                     QVK__MIN(c->params->n_layers, MAX_COPIES));
    for (uint32_t p = 0; p < c->n_packs; p++) {
        const qvk__pack *pack = &c->packs[p];
        const uint64_t bytes = qvk__round_up(pack->bytes, 256);
        const void *sources[4] = {0};
        void *host = qvk__alloc_zeroed(bytes, 1);
        QVK__CHECK(host, err, QVK_OUT_OF_MEMORY, "no memory to pack %llu bytes", (unsigned long long)bytes);
        for (int s = 0; s < 4; s++)
            if (pack->sources[s] >= 0)
                sources[s] = c->params->values[pack->sources[s]].data;
        pack->fn(pack, sources, 0, host, pack->bytes);
        qvk_status status = QVK_OK;
        for (uint32_t i = 0; i < c->n_copies && status == QVK_OK; i++) {
            status = qvk__gpu_buffer_create(c->gpu, QVK__GPU_MEMORY_DEVICE, bytes, &c->packed[i][p], err);
            if (status == QVK_OK)
                status = qvk__gpu_upload(c->gpu, &c->packed[i][p], 0, host, bytes, err);
        }
        free(host);
        QVK__TRY(status);
    }
    return qvk__gpu_upload_flush(c->gpu, err);
}

static qvk_status make_pipelines(chain *c, qvk_error *err)
{
    for (uint32_t i = 0; i < c->n_dispatches; i++) {
        const qvk__dispatch *d = &c->dispatches[i];
        qvk__gpu_pipeline_params params = {.n_buffers = qvk__kernel_info_of(d->kernel)->n_buffers,
                                           .n_specs = d->n_specs,
                                           .subgroup_size = d->subgroup_size,
                                           .label = qvk__kernel_name(d->kernel)};
        qvk__kernel_spirv(d->kernel, &params.spirv, &params.n_words);
        memcpy(params.specs, d->specs, sizeof params.specs);
        QVK__TRY(qvk__gpu_pipeline_get(c->gpu, &params, &c->pipelines[i], err));
        const uint64_t bytes = qvk__round_up(d->n_params * 4u, 16);
        QVK__TRY(qvk__gpu_buffer_create(c->gpu, QVK__GPU_MEMORY_PARAMS, bytes, &c->blocks[i], err));
        memcpy(c->blocks[i].mapped, d->params, d->n_params * 4u);
    }
    return QVK_OK;
}

/* ---- running -------------------------------------------------------------------------------------------- */

static qvk__gpu_range range_of(const chain *c, const qvk__ref *ref, uint32_t copy)
{
    const qvk__gpu_buffer *buffer = ref->kind == QVK__REF_PACKED    ? &c->packed[copy][ref->id]
                                    : ref->kind == QVK__REF_SCRATCH ? &c->scratch[ref->id]
                                                                    : &c->values[ref->id];

    return (qvk__gpu_range){buffer, ref->offset, ref->bytes ? ref->bytes : buffer->bytes - ref->offset};
}

static qvk_status record_dispatch(chain *c, uint32_t layer, uint32_t index, qvk_error *err)
{
    const qvk__dispatch *from = &c->dispatches[index];
    qvk__gpu_dispatch d = {.pipeline = c->pipelines[index],
                           .n_buffers = qvk__kernel_info_of(from->kernel)->n_buffers,
                           .params = {&c->blocks[index], 0, c->blocks[index].bytes}};

    for (uint32_t b = 0; b < d.n_buffers; b++)
        d.buffers[b] = range_of(c, &from->buffers[b], layer % c->n_copies);
    memcpy(d.groups, from->groups, sizeof d.groups);
    return qvk__gpu_record_dispatch(c->recording, &d, err);
}

/* Layers side by side make the same result of the same activations, each with its own copy of the weights: it
 * does no harm that they write it to the same place. */
static qvk_status record(chain *c, qvk_error *err)
{
    const uint32_t together = QVK__MAX(c->params->n_together, 1);

    QVK__TRY(qvk__gpu_recording_create(c->gpu, 2, &c->recording, err));
    QVK__TRY(qvk__gpu_record_begin(c->recording, err));
    qvk__gpu_record_timestamp(c->recording, 0);
    for (uint32_t layer = 0; layer < c->params->n_layers; layer += together)
        for (uint32_t i = 0; i < c->n_dispatches; i++) {
            for (uint32_t t = layer; t < QVK__MIN(layer + together, c->params->n_layers); t++)
                QVK__TRY(record_dispatch(c, t, i, err));
            qvk__gpu_record_barrier(c->recording);
        }
    qvk__gpu_record_timestamp(c->recording, 1);
    return qvk__gpu_record_end(c->recording, err);
}

enum { WARM_UP_NS = 600 * 1000 * 1000 };

static int by_size(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;

    return x < y ? -1 : x > y;
}

/* A GPU that idled runs at a fraction of its clock for a while: work until it is up to speed. */
static qvk_status warm_up(chain *c, qvk_error *err)
{
    const uint64_t start = qvk__clock_ns(),
                   budget = qvk__gpu_caps_of(c->gpu)->type == QVK__GPU_CPU ? 0 : WARM_UP_NS;

    do {
        QVK__TRY(qvk__gpu_submit(c->gpu, c->recording, err));
        QVK__TRY(qvk__gpu_wait(c->gpu, c->recording, err));
    } while (qvk__clock_ns() - start < budget);
    return QVK_OK;
}

static qvk_status measure(chain *c, chain_result *result, qvk_error *err)
{
    double us[64];
    const uint32_t n = QVK__MIN(QVK__MAX(c->params->n_runs, 1), QVK__COUNT(us));

    QVK__TRY(warm_up(c, err));
    for (uint32_t i = 0; i < n + 1; i++) {
        double ns[2] = {0};
        const uint64_t start = qvk__clock_ns();
        QVK__TRY(qvk__gpu_submit(c->gpu, c->recording, err));
        QVK__TRY(qvk__gpu_wait(c->gpu, c->recording, err));
        const double wall = (double)(qvk__clock_ns() - start);
        if (qvk__gpu_caps_of(c->gpu)->timestamp_ns > 0)
            QVK__TRY(qvk__gpu_timestamps(c->gpu, c->recording, ns, 2, err));
        if (i > 0)
            us[i - 1] = (ns[1] > 0 ? ns[1] : wall) / 1e3 / c->params->n_layers;
    }
    qsort(us, n, sizeof *us, by_size);
    result->median_us = us[n / 2];
    result->min_us = us[0];
    result->max_us = us[n - 1];
    return QVK_OK;
}

static void describe(const chain *c, chain_result *result)
{
    size_t used = 0;

    result->n_copies = c->n_copies;
    for (uint32_t i = 0; i < c->n_dispatches; i++) {
        const qvk__dispatch *d = &c->dispatches[i];
        result->bytes += d->bytes;
        result->ops += d->ops;
        if (used < sizeof result->kernels)
            used += (size_t)snprintf(result->kernels + used, sizeof result->kernels - used, "%s%s",
                                     i ? " " : "", qvk__kernel_name(d->kernel));
    }
    used = 0;
    const qvk__dispatch *last = &c->dispatches[c->n_dispatches - 1];
    for (uint32_t i = 0; i < last->n_specs && used < sizeof result->specs; i++)
        used += (size_t)snprintf(result->specs + used, sizeof result->specs - used, "%s%u", i ? "," : "",
                                 last->specs[i]);
}

static void release(chain *c)
{
    qvk__gpu_recording_destroy(c->gpu, &c->recording);
    for (int i = 0; i < CHAIN_MAX_VALUES; i++)
        qvk__gpu_buffer_destroy(c->gpu, &c->values[i]);
    for (int i = 0; i < MAX_COPIES; i++)
        for (int p = 0; p < MAX_PACKS; p++)
            qvk__gpu_buffer_destroy(c->gpu, &c->packed[i][p]);
    for (int i = 0; i < MAX_PACKS; i++)
        qvk__gpu_buffer_destroy(c->gpu, &c->scratch[i]);
    for (int i = 0; i < CHAIN_MAX_DISPATCHES; i++)
        qvk__gpu_buffer_destroy(c->gpu, &c->blocks[i]);
    free(c);
}

qvk_status chain_run(qvk__gpu *gpu, const chain_params *params, int32_t output_value, void *output,
                     chain_result *result, qvk_error *err)
{
    chain *c = qvk__alloc_zeroed(1, sizeof *c);
    qvk_status status;

    *result = (chain_result){0};
    QVK__CHECK(c, err, QVK_OUT_OF_MEMORY, "no memory for a chain");
    c->gpu = gpu;
    c->params = params;
    QVK__TRY_GO(plan(c, err));
    QVK__TRY_GO(make_values(c, err));
    QVK__TRY_GO(make_packed(c, err));
    QVK__TRY_GO(make_pipelines(c, err));
    QVK__TRY_GO(record(c, err));
    QVK__TRY_GO(measure(c, result, err));
    describe(c, result);
    QVK__TRY_GO(qvk__gpu_download(gpu, &c->values[output_value], 0, output,
                                  qvk_tensor_bytes(&params->values[output_value]), err));
done:
    release(c);
    return status;
}
