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

static void remember(qvk__engine *engine)
{
    qvk__device_engine *device = engine->device;

    for (size_t i = 0; i < engine->graph.inputs.count; i++)
        device->last_shape[i] = engine->host.tensors[engine->graph.inputs.data[i]];
    memcpy(device->last_number, engine->host.symbols,
           engine->graph.values.count * sizeof *device->last_number);
}

static qvk_status create(qvk__engine *engine, qvk_error *err)
{
    qvk__device_engine *device = engine->device;
    const size_t n_values = engine->graph.values.count;

    device->gpu = engine->gpu;
    device->caps = qvk__gpu_caps_of(engine->gpu);
    device->weights.gpu = engine->gpu;
    device->weights.graph = &engine->graph;
    device->dynamic = has_symbols(&engine->graph);
    device->fetched = qvk__alloc_zeroed(n_values, sizeof *device->fetched);
    device->last_number = qvk__alloc_zeroed(n_values, sizeof *device->last_number);
    device->last_shape = qvk__alloc_zeroed(engine->graph.inputs.count, sizeof *device->last_shape);
    QVK__CHECK(device->fetched && device->last_number && device->last_shape, err, QVK_OUT_OF_MEMORY,
               "out of memory");
    if (engine->params.verify)
        QVK__TRY(qvk__host_init(&device->verify_host, &engine->graph, err));
    QVK__TRY(check_numbers(engine, err));
    QVK__TRY(infer_all(engine, err));
    QVK__TRY(qvk__variant_select(engine, err));
    remember(engine);
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
    free(device->fetched);
    free(device->last_number);
    free(device->last_shape);
    free(device);
    engine->device = NULL;
}

qvk_status qvk__device_engine_reset(qvk__engine *engine, qvk_error *err)
{
    return qvk__weights_reset(&engine->device->weights, err);
}

/* ---- calls ---------------------------------------------------------------------------------------------- */

static bool same_shapes(const qvk__engine *engine)
{
    for (size_t i = 0; i < engine->graph.inputs.count; i++)
        if (!qvk__shape_equal(&engine->device->last_shape[i],
                              &engine->host.tensors[engine->graph.inputs.data[i]]))
            return false;
    return true;
}

static bool same_numbers(const qvk__engine *engine)
{
    return memcmp(engine->device->last_number, engine->host.symbols,
                  engine->graph.values.count * sizeof *engine->device->last_number) == 0;
}

static bool reads_numbers(const qvk__engine *engine)
{
    for (size_t i = 0; i < engine->graph.values.count; i++)
        if (engine->number_source[i])
            return true;
    return false;
}

static bool at_bounds(const qvk__engine *engine)
{
    for (size_t i = 0; i < engine->graph.inputs.count; i++) {
        const int32_t value = engine->graph.inputs.data[i];
        if (!qvk__shape_equal(&engine->host.tensors[value], &engine->graph.values.data[value].desc))
            return false;
    }
    return true;
}

/* Brings shapes and variant up to date with the inputs, doing nothing when they are as last time. */
static qvk_status settle(qvk__engine *engine, qvk_error *err)
{
    qvk__device_engine *device = engine->device;
    const bool same_inputs = device->settled && same_shapes(engine);

    if (same_inputs && same_numbers(engine) && !reads_numbers(engine))
        return QVK_OK;
    device->settled = false;
    device->dynamic |= !at_bounds(engine);
    QVK__TRY(infer_all(engine, err));
    if (!same_inputs || !same_numbers(engine))
        QVK__TRY(qvk__variant_select(engine, err));
    remember(engine);
    device->settled = true;
    return QVK_OK;
}

qvk_status qvk__device_engine_run(qvk__engine *engine, qvk_value *outputs, qvk_error *err)
{
    engine->device->n_runs++;
    QVK__TRY(settle(engine, err));
    return qvk__execute(engine, outputs, err);
}
