/* Steps of a variant: segments of device nodes, CPU steps, and what moves between host and device. */
#include "runtime/device.h"

typedef struct scheduler {
    const qvk__engine *engine;
    qvk__variant *variant;
    int32_t *writes;   /* per root: how many nodes have written it, in any value's name */
    int32_t *host_has; /* per value: after how many of these writes the host had its data, plus 1; 0: never */
    bool *device_valid; /* per root: the device has its current data */
    qvk__step *segment; /* being filled, or NULL */
    bool at_end;        /* all nodes are scheduled */
    qvk_status status;  /* of the visitors */
    qvk_error *err;
} scheduler;

static const qvk__value *value_of(const scheduler *it, int32_t value)
{
    return &it->engine->graph.values.data[value];
}

static bool host_is_valid(const scheduler *it, int32_t value)
{
    return it->host_has[value] == it->writes[it->variant->placement.roots[value]] + 1;
}

static void set_host_valid(scheduler *it, int32_t value)
{
    it->host_has[value] = it->writes[it->variant->placement.roots[value]] + 1;
}

static qvk__step *last_segment(scheduler *it)
{
    for (size_t i = it->variant->steps.count; i-- > 0;)
        if (it->variant->steps.data[i].cpu_node < 0)
            return &it->variant->steps.data[i];
    return NULL;
}

static qvk_status add_step(scheduler *it, int32_t cpu_node, int32_t node)
{
    const qvk__step step = {.cpu_node = cpu_node, .first_node = node, .end_node = node};

    QVK__CHECK(QVK__VEC_PUSH(&it->variant->steps, step), it->err, QVK_OUT_OF_MEMORY, "out of memory");
    it->segment = cpu_node < 0 ? &it->variant->steps.data[it->variant->steps.count - 1] : NULL;
    return QVK_OK;
}

static qvk_status open_segment(scheduler *it, int32_t node)
{
    return it->segment ? QVK_OK : add_step(it, -1, node);
}

/* ---- transfers ------------------------------------------------------------------------------------------ */

static qvk_status upload(scheduler *it, int32_t value)
{
    const qvk__transfer transfer = {.value = value, .staging = it->variant->upload_bytes};
    const qvk__gpu_range *range = &it->variant->placement.ranges[value];

    QVK__CHECK(QVK__VEC_PUSH(&it->segment->uploads, transfer), it->err, QVK_OUT_OF_MEMORY, "out of memory");
    it->variant->upload_bytes += qvk__round_up(range->bytes, 64);
    it->device_valid[it->variant->placement.roots[value]] = true;
    return QVK_OK;
}

static qvk_status download(scheduler *it, int32_t value)
{
    const qvk__transfer transfer = {
        .value = value, .staging = it->variant->readback_bytes, .to_host = !it->at_end};
    const qvk__gpu_range *range = &it->variant->placement.ranges[value];
    qvk__step *segment = it->segment ? it->segment : last_segment(it);

    if (!segment) {
        QVK__TRY(add_step(it, -1, 0));
        segment = it->segment;
    }
    QVK__CHECK(QVK__VEC_PUSH(&segment->downloads, transfer), it->err, QVK_OUT_OF_MEMORY, "out of memory");
    it->variant->readback_bytes += qvk__round_up(range->bytes, 64);
    set_host_valid(it, value);
    return QVK_OK;
}

/* ---- nodes ---------------------------------------------------------------------------------------------- */

static void device_reads(int32_t value, void *user)
{
    scheduler *it = user;
    const int32_t root = it->variant->placement.roots[value];

    if (it->status != QVK_OK || value_of(it, value)->kind != QVK__VALUE_TENSOR ||
        !it->variant->placement.ranges[value].bytes || it->device_valid[root] ||
        (value_of(it, root)->constant && !value_of(it, root)->is_mutable))
        return;
    it->status = upload(it, value);
}

static void cpu_reads(int32_t value, void *user)
{
    scheduler *it = user;

    if (it->status != QVK_OK || value_of(it, value)->kind != QVK__VALUE_TENSOR || host_is_valid(it, value) ||
        (value_of(it, value)->constant && !value_of(it, value)->is_mutable))
        return;
    if (it->variant->placement.ranges[value].bytes)
        it->status = download(it, value);
    else
        set_host_valid(it, value); /* state that only the CPU ever touches */
}

typedef struct writing {
    scheduler *it;
    bool by_device;
} writing;

static void note_write(int32_t value, void *user)
{
    const writing *write = user;
    scheduler *it = write->it;
    const int32_t root = it->variant->placement.roots[value];

    it->writes[root]++; /* older copies on the host are no longer valid, under whichever name */
    if (!write->by_device)
        set_host_valid(it, value);
    it->device_valid[root] = write->by_device;
}

static void note_outputs(scheduler *it, const qvk__node *node, bool by_device)
{
    writing write = {it, by_device};

    qvk__node_visit_written(node, note_write, &write);
    for (int i = 0; i < node->n_outs; i++)
        if (node->outs[i] >= 0 && value_of(it, node->outs[i])->kind == QVK__VALUE_TENSOR)
            note_write(node->outs[i], &write);
}

static qvk_status add_node(scheduler *it, int32_t index, bool single)
{
    const qvk__node *node = &it->engine->graph.nodes.data[index];
    const bool on_device = it->variant->plan.nodes[index].place == QVK__PLACE_DEVICE;

    if (it->variant->plan.nodes[index].place == QVK__PLACE_NOWHERE)
        return QVK_OK;
    if (single)
        it->segment = NULL;
    if (on_device)
        QVK__TRY(open_segment(it, index));
    qvk__node_visit_args(node, on_device ? device_reads : cpu_reads, it);
    QVK__TRY(it->status);
    if (on_device)
        it->segment->end_node = index + 1;
    else
        QVK__TRY(add_step(it, index, index));
    note_outputs(it, node, on_device);
    return QVK_OK;
}

/* Outputs back to the host; state that the CPU wrote last back to the device. */
static qvk_status add_ends(scheduler *it)
{
    const qvk__graph *graph = &it->engine->graph;

    for (size_t i = 0; i < graph->values.count; i++) {
        const qvk__value *value = &graph->values.data[i];
        if (!value->constant || !value->is_mutable || it->variant->placement.roots[i] != (int32_t)i ||
            !it->variant->placement.ranges[i].bytes || it->device_valid[i])
            continue;
        QVK__TRY(open_segment(it, (int32_t)graph->nodes.count));
        QVK__TRY(upload(it, (int32_t)i));
    }
    it->at_end = true;
    for (size_t i = 0; i < graph->outputs.count; i++) {
        cpu_reads(graph->outputs.data[i], it);
        QVK__TRY(it->status);
    }
    return QVK_OK;
}

/* In a variant for several shapes a big transfer is worth measuring. */
static void resolve(qvk__variant *variant, qvk__transfer *transfer)
{
    enum { WORTH_MEASURING = 64 * 1024 };

    transfer->device = variant->placement.ranges[transfer->value];
    transfer->measured = -1;
    if (variant->dynamic && !transfer->device.buffer->mapped && transfer->device.bytes > WORTH_MEASURING)
        transfer->measured = (int32_t)variant->n_copies++;
}

static void resolve_transfers(qvk__variant *variant)
{
    for (size_t s = 0; s < variant->steps.count; s++) {
        qvk__step *step = &variant->steps.data[s];
        for (size_t i = 0; i < step->uploads.count; i++)
            resolve(variant, &step->uploads.data[i]);
        for (size_t i = 0; i < step->downloads.count; i++)
            resolve(variant, &step->downloads.data[i]);
    }
}

qvk_status qvk__schedule(const qvk__engine *engine, qvk__variant *variant, bool single, qvk_error *err)
{
    const qvk__graph *graph = &engine->graph;
    scheduler it = {.engine = engine, .variant = variant, .err = err};
    qvk_status status = QVK_OK;

    it.writes = qvk__alloc_zeroed(graph->values.count, sizeof *it.writes);
    it.host_has = qvk__alloc_zeroed(graph->values.count, sizeof *it.host_has);
    it.device_valid = qvk__alloc_zeroed(graph->values.count, sizeof *it.device_valid);
    QVK__CHECK_GO(it.writes && it.host_has && it.device_valid, err, QVK_OUT_OF_MEMORY, "out of memory");
    for (size_t i = 0; i < graph->inputs.count; i++)
        set_host_valid(&it, graph->inputs.data[i]);
    for (size_t i = 0; i < graph->values.count; i++)
        it.device_valid[i] = graph->values.data[i].constant && variant->placement.ranges[i].bytes;
    for (size_t n = 0; n < graph->nodes.count; n++)
        QVK__TRY_GO(add_node(&it, (int32_t)n, single));
    QVK__TRY_GO(add_ends(&it));
    resolve_transfers(variant);
done:
    free(it.writes);
    free(it.host_has);
    free(it.device_valid);
    return status;
}
