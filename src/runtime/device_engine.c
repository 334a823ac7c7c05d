/* A graph on a gpu: creation, calls, state. */
#include "runtime/device.h"

#include "core/dtype.h"

/* ---- buffers -------------------------------------------------------------------------------------------- */

qvk_status qvk__device_buffer(qvk__device_engine *device, qvk__gpu_memory kind, uint64_t bytes,
                              const qvk__gpu_buffer **out, qvk_error *err)
{
    qvk__gpu_buffer *buffer;
    qvk_status status;

    for (size_t i = 0; i < device->buffers.count; i++) {
        if (device->buffers.data[i]->kind == kind && device->buffers.data[i]->bytes >= bytes) {
            *out = device->buffers.data[i];
            return QVK_OK;
        }
    }
    buffer = qvk__alloc_zeroed(1, sizeof *buffer);
    QVK__CHECK(buffer, err, QVK_OUT_OF_MEMORY, "out of memory");
    status = qvk__gpu_buffer_create(device->gpu, kind, bytes, buffer, err);
    if (status == QVK_OK && !QVK__VEC_PUSH(&device->buffers, buffer)) {
        qvk__gpu_buffer_destroy(device->gpu, buffer);
        status = qvk__fail(err, QVK_OUT_OF_MEMORY, "out of memory");
    }
    if (status != QVK_OK) {
        free(buffer);
        return status;
    }
    *out = buffer;
    return QVK_OK;
}

/* ---- creation ------------------------------------------------------------------------------------------- */

static bool reads_number(qvk__op op)
{
    return op == QVK__OP_ET_SELECT_AS_SYMINT || op == QVK__OP_ITEM || op == QVK__OP_PRIV_LOCAL_SCALAR_DENSE;
}

static bool is_input(const qvk__graph *graph, int32_t value)
{
    for (size_t i = 0; i < graph->inputs.count; i++)
        if (graph->inputs.data[i] == value)
            return true;
    return false;
}

/* Numbers decide shapes, so they must be known before anything is submitted: read out of inputs and
 * constants only. */
static qvk_status check_numbers(qvk__engine *engine, qvk_error *err)
{
    const qvk__graph *graph = &engine->graph;

    for (size_t n = 0; n < graph->nodes.count; n++) {
        const qvk__node *node = &graph->nodes.data[n];
        int32_t value;
        if (!reads_number(node->op) || node->args[0].kind != QVK__ARG_VALUE)
            continue;
        value = node->args[0].u.value;
        engine->number_source[value] = true;
        engine->device->reads_numbers = true;
        if (graph->values.data[value].constant)
            QVK__TRY(qvk__host_constant(&engine->host, value, err));
        else
            QVK__CHECK(is_input(graph, value), err, QVK_UNSUPPORTED,
                       "%s: it reads a number out of a tensor that the device computes",
                       qvk__node_label_of(graph, n).text);
    }
    return QVK_OK;
}

static bool has_symbols(const qvk__graph *graph)
{
    for (size_t i = 0; i < graph->values.count; i++)
        if (graph->values.data[i].kind == QVK__VALUE_SYMBOL)
            return true;
    return false;
}

static qvk_status infer_all(qvk__engine *engine, qvk_error *err)
{
    for (size_t n = 0; n < engine->graph.nodes.count; n++)
        QVK__TRY(qvk__host_infer(&engine->host, n, err));
    return QVK_OK;
}

static void remember_inputs(qvk__engine *engine)
{
    qvk__device_engine *device = engine->device;

    for (size_t i = 0; i < engine->graph.inputs.count; i++) {
        device->last_shape[i] = engine->host.tensors[engine->graph.inputs.data[i]];
        device->last_number[i] = engine->host.symbols[engine->graph.inputs.data[i]];
    }
}

static qvk_status create(qvk__engine *engine, qvk_error *err)
{
    qvk__device_engine *device = engine->device;
    const size_t n_values = engine->graph.values.count;

    device->gpu = engine->gpu;
    device->caps = qvk__gpu_caps_of(engine->gpu);
    if (engine->params.distrusted)
        memcpy(device->distrusted, engine->params.distrusted, sizeof device->distrusted);
    device->weights.gpu = engine->gpu;
    device->weights.graph = &engine->graph;
    device->weights.program = engine->params.program;
    device->dynamic = has_symbols(&engine->graph);
    device->fetched = qvk__alloc_zeroed(n_values, sizeof *device->fetched);
    device->changed = qvk__alloc_zeroed(n_values, sizeof *device->changed);
    device->affected = qvk__alloc_zeroed(engine->graph.nodes.count, sizeof *device->affected);
    device->last_number = qvk__alloc_zeroed(engine->graph.inputs.count, sizeof *device->last_number);
    device->last_shape = qvk__alloc_zeroed(engine->graph.inputs.count, sizeof *device->last_shape);
    QVK__CHECK(device->fetched && device->changed && device->affected && device->last_number &&
                   device->last_shape,
               err, QVK_OUT_OF_MEMORY, "out of memory");
    if (engine->params.verify)
        QVK__TRY(qvk__host_init(&device->verify_host, &engine->graph, err));
    QVK__TRY(check_numbers(engine, err));
    QVK__TRY(infer_all(engine, err));
    QVK__TRY(qvk__variant_select(engine, err));
    remember_inputs(engine);
    device->settled = !device->dynamic;
    return QVK_OK;
}

qvk_status qvk__device_engine_create(qvk__engine *engine, qvk_error *err)
{
    engine->device = qvk__alloc_zeroed(1, sizeof *engine->device);
    QVK__CHECK(engine->device, err, QVK_OUT_OF_MEMORY, "out of memory");
    return create(engine, err);
}

void qvk__device_engine_destroy(qvk__engine *engine)
{
    qvk__device_engine *device = engine->device;

    if (!device)
        return;
    for (size_t i = 0; i < device->variants.count; i++)
        qvk__variant_destroy(device, &device->variants.data[i]);
    free(device->variants.data);
    for (size_t i = 0; i < device->buffers.count; i++) {
        qvk__gpu_buffer_destroy(device->gpu, device->buffers.data[i]);
        free(device->buffers.data[i]);
    }
    free(device->buffers.data);
    qvk__weights_finish(&device->weights);
    if (device->verify_host.graph)
        qvk__host_finish(&device->verify_host);
    qvk__plan_finish(&device->one);
    free(device->fetched);
    free(device->changed);
    free(device->affected);
    free(device->last_number);
    free(device->last_shape);
    free(device);
    engine->device = NULL;
}

qvk_status qvk__device_engine_reset(qvk__engine *engine, qvk_error *err)
{
    return qvk__weights_reset(&engine->device->weights, err);
}

/* ---- what changed --------------------------------------------------------------------------------------- */

static bool at_bounds(const qvk__engine *engine)
{
    for (size_t i = 0; i < engine->graph.inputs.count; i++) {
        const int32_t value = engine->graph.inputs.data[i];
        if (!qvk__shape_equal(&engine->host.tensors[value], &engine->graph.values.data[value].desc))
            return false;
    }
    return true;
}

/* Marks the inputs that are not as in the last call; false when there are none. */
static bool find_changed_inputs(qvk__engine *engine)
{
    qvk__device_engine *device = engine->device;
    bool any = false;

    memset(device->changed, 0, engine->graph.values.count * sizeof *device->changed);
    for (size_t i = 0; i < engine->graph.inputs.count; i++) {
        const int32_t value = engine->graph.inputs.data[i];
        if (engine->graph.values.data[value].kind == QVK__VALUE_SYMBOL)
            device->changed[value] = engine->host.symbols[value] != device->last_number[i];
        else
            device->changed[value] = !qvk__shape_equal(&device->last_shape[i], &engine->host.tensors[value]);
        any |= device->changed[value];
    }
    return any;
}

typedef struct change_search {
    const bool *changed;
    bool found;
} change_search;

static void find_change(int32_t value, void *user)
{
    change_search *search = user;
    search->found |= search->changed[value];
}

static bool reads_change(const qvk__device_engine *device, const qvk__node *node)
{
    change_search search = {device->changed, reads_number(node->op)};
    qvk__node_visit_args(node, find_change, &search);
    return search.found;
}

/* Infers a node again and marks the outputs that came out differently. */
static qvk_status infer_again(qvk__engine *engine, size_t n, qvk_error *err)
{
    enum { FEW = 8 };
    const qvk__node *node = &engine->graph.nodes.data[n];
    qvk_tensor shapes[FEW];
    int64_t numbers[FEW];

    for (int i = 0; i < node->n_outs && i < FEW; i++) {
        if (node->outs[i] < 0)
            continue;
        shapes[i] = engine->host.tensors[node->outs[i]];
        numbers[i] = engine->host.symbols[node->outs[i]];
    }
    QVK__TRY(qvk__host_infer(&engine->host, n, err));
    for (int i = 0; i < node->n_outs; i++) {
        const int32_t value = node->outs[i];
        if (value >= 0)
            engine->device->changed[value] = i >= FEW ||
                                             !qvk__shape_equal(&shapes[i], &engine->host.tensors[value]) ||
                                             numbers[i] != engine->host.symbols[value];
    }
    return QVK_OK;
}

static qvk_status infer_changes(qvk__engine *engine, bool *any, qvk_error *err)
{
    qvk__device_engine *device = engine->device;

    for (size_t n = 0; n < engine->graph.nodes.count; n++) {
        device->affected[n] = reads_change(device, &engine->graph.nodes.data[n]);
        if (!device->affected[n])
            continue;
        QVK__TRY(infer_again(engine, n, err));
        *any = true;
    }
    return QVK_OK;
}

/* ---- calls ---------------------------------------------------------------------------------------------- */

/* Brings shapes and variant up to date with the inputs, doing nothing when they are as last time. */
static qvk_status settle(qvk__engine *engine, qvk_error *err)
{
    qvk__device_engine *device = engine->device;
    const bool was_settled = device->settled;
    bool any = find_changed_inputs(engine);

    if (was_settled && !any && !device->reads_numbers)
        return QVK_OK;
    device->settled = false;
    device->dynamic |= !at_bounds(engine);
    if (was_settled) {
        QVK__TRY(infer_changes(engine, &any, err));
        if (any)
            QVK__TRY(qvk__variant_adjust(engine, err));
    } else {
        QVK__TRY(infer_all(engine, err));
        QVK__TRY(qvk__variant_select(engine, err));
    }
    remember_inputs(engine);
    device->settled = true;
    return QVK_OK;
}

qvk_status qvk__device_engine_run(qvk__engine *engine, qvk_value *outputs, qvk_error *err)
{
    engine->device->n_runs++;
    QVK__TRY(settle(engine, err));
    return qvk__execute(engine, outputs, err);
}
