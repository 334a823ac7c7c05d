/* What reference and device engines share: creation, inputs, outputs, profile. */
#include "runtime/engine.h"

#include <stdio.h>

#include "core/dtype.h"
#include "runtime/device.h"
#include "runtime/load_fuse.h"
#include "runtime/staging.h"

/* ---- creation ------------------------------------------------------------------------------------------ */

typedef struct use_recorder {
    int32_t *last_use;
    int32_t node;
} use_recorder;

static void record_use(int32_t value, void *user)
{
    use_recorder *recorder = user;
    recorder->last_use[value] = recorder->node;
}

static qvk_status analyse(qvk__engine *engine, qvk_error *err)
{
    const qvk__graph *graph = &engine->graph;

    QVK__TRY(qvk__graph_find_written(graph, engine->written, err));
    for (size_t i = 0; i < graph->values.count; i++)
        engine->last_use[i] = -1;
    for (size_t n = 0; n < graph->nodes.count; n++) {
        const qvk__node *node = &graph->nodes.data[n];
        use_recorder recorder = {engine->last_use, (int32_t)n};
        qvk__node_visit_args(node, record_use, &recorder);
    }
    for (size_t i = 0; i < graph->outputs.count; i++)
        engine->last_use[graph->outputs.data[i]] = INT32_MAX;
    return QVK_OK;
}

static qvk_status prepare(qvk__engine *engine, const qvk__graph *graph, qvk_error *err)
{
    QVK__TRY(qvk__prepare_graph(graph, &engine->graph, err));
    if (engine->gpu)
        QVK__TRY(qvk__fuse_graph(&engine->graph, err));
    QVK__TRY(qvk__host_init(&engine->host, &engine->graph, err));
    engine->last_use = qvk__alloc_zeroed(engine->graph.values.count, sizeof *engine->last_use);
    engine->written = qvk__alloc_zeroed(engine->graph.values.count, sizeof *engine->written);
    engine->number_source = qvk__alloc_zeroed(engine->graph.values.count, sizeof *engine->number_source);
    engine->sources = qvk__alloc_zeroed(engine->graph.values.count, sizeof *engine->sources);
    engine->outs = qvk__alloc_zeroed(engine->graph.outputs.count, sizeof *engine->outs);
    QVK__CHECK(engine->last_use && engine->written && engine->number_source && engine->sources &&
                   engine->outs,
               err, QVK_OUT_OF_MEMORY, "out of memory for a graph of %zu values", engine->graph.values.count);
    return analyse(engine, err);
}

qvk_status qvk__engine_create(qvk__gpu *gpu, const qvk__graph *graph, const qvk__session_params *params,
                              qvk__engine **out, qvk_error *err)
{
    const uint64_t start = qvk__clock_ns();
    qvk__engine *engine = qvk__alloc_zeroed(1, sizeof *engine);
    qvk_status status;

    QVK__CHECK(engine, err, QVK_OUT_OF_MEMORY, "out of memory");
    engine->gpu = gpu;
    if (params)
        engine->params = *params;
    QVK__TRY_GO(prepare(engine, graph, err));
    if (gpu)
        QVK__TRY_GO(qvk__device_engine_create(engine, err));
    else
        QVK__TRY_GO(qvk__reference_engine_check(engine, err));
    engine->info.total_ms = (double)(qvk__clock_ns() - start) * 1e-6;
    *out = engine;
    return QVK_OK;
done:
    qvk__engine_destroy(&engine);
    return status;
}

void qvk__engine_destroy(qvk__engine **engine)
{
    qvk__engine *it = *engine;

    if (!it)
        return;
    qvk__device_engine_destroy(it);
    if (it->outs)
        for (size_t i = 0; i < it->graph.outputs.count; i++)
            free(it->outs[i].data);
    qvk__host_finish(&it->host);
    qvk__graph_finish(&it->graph);
    free(it->last_use);
    free(it->written);
    free(it->number_source);
    free(it->sources);
    free(it->outs);
    free(it->profile.data);
    free(it->cpu_reasons.data);
    free(it);
    *engine = NULL;
}

const char *qvk__engine_cpu_reasons(const qvk__engine *engine)
{
    return engine->cpu_reasons.count > 0 ? engine->cpu_reasons.data : "";
}

qvk_status qvk__engine_reset(qvk__engine *engine, qvk_error *err)
{
    if (engine->device)
        QVK__TRY(qvk__device_engine_reset(engine, err));
    return qvk__host_reset(&engine->host, err);
}

/* ---- inputs -------------------------------------------------------------------------------------------- */

typedef struct input_label {
    char text[QVK_MAX_RANK * 24 + 64];
} input_label;

static input_label label_of(const qvk__graph *graph, uint32_t index)
{
    input_label label;
    snprintf(label.text, sizeof label.text, "input %u (%s)", index,
             graph->values.data[graph->inputs.data[index]].name);
    return label;
}

static qvk_status bind_symbol(qvk__engine *engine, uint32_t index, const qvk_value *input, qvk_error *err)
{
    const int32_t value = engine->graph.inputs.data[index];
    const qvk_tensor *tensor = &input->tensor;

    if (input->kind == QVK_VALUE_INT || input->kind == QVK_VALUE_BOOL) {
        engine->host.symbols[value] = input->i;
    } else if (input->kind == QVK_VALUE_TENSOR && qvk_tensor_numel(tensor) == 1 && tensor->data &&
               tensor->dtype == QVK_DTYPE_I64) {
        memcpy(&engine->host.symbols[value], tensor->data, sizeof(int64_t));
    } else if (input->kind == QVK_VALUE_TENSOR && qvk_tensor_numel(tensor) == 1 && tensor->data &&
               tensor->dtype == QVK_DTYPE_I32) {
        int32_t number;
        memcpy(&number, tensor->data, sizeof number);
        engine->host.symbols[value] = number;
    } else {
        return qvk__fail(err, QVK_INPUT_MISMATCH, "%s: an integer is wanted",
                         label_of(&engine->graph, index).text);
    }
    engine->host.known[value] = true;
    return QVK_OK;
}

static qvk_status check_input(const qvk__engine *engine, uint32_t index, const qvk_value *input,
                              qvk_error *err)
{
    const qvk_tensor *bound = &engine->graph.values.data[engine->graph.inputs.data[index]].desc;
    const qvk_tensor *tensor = &input->tensor;
    bool fits = input->kind == QVK_VALUE_TENSOR && tensor->rank == bound->rank;

    QVK__CHECK(input->kind == QVK_VALUE_TENSOR, err, QVK_INPUT_MISMATCH, "%s: a tensor is wanted",
               label_of(&engine->graph, index).text);
    /* As in ExecuTorch, the elements must have room; a single size may be above its bound. */
    fits = fits && qvk_tensor_numel(tensor) >= 0 && qvk_tensor_numel(tensor) <= qvk_tensor_numel(bound);
    QVK__CHECK(fits, err, QVK_INPUT_MISMATCH, "%s: shape %s, at most as many elements as %s are possible",
               label_of(&engine->graph, index).text, qvk__shape_text(tensor).text,
               qvk__shape_text(bound).text);
    QVK__CHECK(qvk__stage_possible(tensor->dtype, bound->dtype), err, QVK_INPUT_MISMATCH,
               "%s: %s given, %s wanted", label_of(&engine->graph, index).text, qvk_dtype_name(tensor->dtype),
               qvk_dtype_name(bound->dtype));
    QVK__CHECK(tensor->data || qvk_tensor_numel(tensor) == 0, err, QVK_INPUT_MISMATCH, "%s: data is NULL",
               label_of(&engine->graph, index).text);
    return QVK_OK;
}

static qvk_status bind_tensor(qvk__engine *engine, uint32_t index, const qvk_value *input, qvk_error *err)
{
    const int32_t value = engine->graph.inputs.data[index];
    const qvk_tensor *source = &input->tensor;
    qvk_tensor *tensor = &engine->host.tensors[value];

    QVK__TRY(check_input(engine, index, input, err));
    memcpy(tensor->sizes, source->sizes, sizeof tensor->sizes);
    engine->sources[value].data = NULL;
    if (source->dtype == tensor->dtype && !engine->written[value]) {
        tensor->data = source->data;
        return QVK_OK;
    }
    if (engine->device && !engine->written[value] && !engine->number_source[value]) {
        engine->sources[value] = *source;
        tensor->data = NULL;
        return QVK_OK;
    }
    QVK__TRY(qvk__host_reserve(&engine->host, value, err));
    return qvk__stage_copy(source->data, source->dtype, tensor->data, tensor->dtype,
                           (uint64_t)qvk_tensor_numel(source), false, label_of(&engine->graph, index).text,
                           err);
}

qvk_status qvk__engine_bind_inputs(qvk__engine *engine, const qvk_value *inputs, uint32_t n_inputs,
                                   qvk_error *err)
{
    QVK__CHECK(n_inputs == engine->graph.inputs.count, err, QVK_INPUT_MISMATCH, "%u inputs given, %zu wanted",
               n_inputs, engine->graph.inputs.count);
    for (uint32_t i = 0; i < n_inputs; i++) {
        const int32_t value = engine->graph.inputs.data[i];
        if (engine->graph.values.data[value].kind == QVK__VALUE_SYMBOL)
            QVK__TRY(bind_symbol(engine, i, &inputs[i], err));
        else
            QVK__TRY(bind_tensor(engine, i, &inputs[i], err));
    }
    return QVK_OK;
}

typedef struct conversion {
    qvk__engine *engine;
    qvk_status status;
    qvk_error *err;
} conversion;

static void convert_input(int32_t value, void *user)
{
    conversion *it = user;
    const qvk_tensor *source = &it->engine->sources[value];
    qvk_tensor *tensor = &it->engine->host.tensors[value];

    if (it->status != QVK_OK || !source->data || tensor->data)
        return;
    it->status = qvk__host_reserve(&it->engine->host, value, it->err);
    if (it->status == QVK_OK)
        it->status = qvk__stage_copy(source->data, source->dtype, tensor->data, tensor->dtype,
                                     (uint64_t)qvk_tensor_numel(source), false,
                                     it->engine->graph.values.data[value].name, it->err);
}

qvk_status qvk__engine_convert_inputs(qvk__engine *engine, const qvk__node *node, qvk_error *err)
{
    conversion it = {engine, QVK_OK, err};
    qvk__node_visit_args(node, convert_input, &it);
    return it.status;
}

/* ---- outputs ------------------------------------------------------------------------------------------- */

/* Own memory for an output the caller brought none for; in the type the caller of the delegate expects. */
static qvk_status reserve_out(qvk__engine *engine, uint32_t index, const qvk_tensor *data, qvk_value *out,
                              qvk_error *err)
{
    const qvk__value *value = &engine->graph.values.data[engine->graph.outputs.data[index]];
    qvk__out_memory *memory = &engine->outs[index];
    uint64_t bytes;

    out->kind = QVK_VALUE_TENSOR;
    out->tensor = *data;
    out->tensor.dtype = value->host_dtype != QVK_DTYPE_NONE ? value->host_dtype : data->dtype;
    bytes = qvk_tensor_bytes(&out->tensor);
    if (!memory->data || memory->capacity < bytes) {
        free(memory->data);
        memory->data = qvk__alloc_zeroed(bytes, 1);
        memory->capacity = bytes;
        QVK__CHECK(memory->data, err, QVK_OUT_OF_MEMORY, "output %u: out of host memory for %llu bytes",
                   index, (unsigned long long)bytes);
    }
    out->tensor.data = memory->data;
    return QVK_OK;
}

qvk_status qvk__engine_deliver(qvk__engine *engine, uint32_t index, const qvk_tensor *data, qvk_value *out,
                               qvk_error *err)
{
    const int64_t numel = qvk_tensor_numel(data);
    char what[32];

    snprintf(what, sizeof what, "output %u", index);
    if (out->kind == QVK_VALUE_TENSOR && out->tensor.data) {
        QVK__CHECK(numel <= qvk_tensor_numel(&out->tensor), err, QVK_SHAPE, "%s: %s%s has no room in %s",
                   what, qvk_dtype_name(data->dtype), qvk__shape_text(data).text,
                   qvk__shape_text(&out->tensor).text);
        out->tensor.rank = data->rank;
        memcpy(out->tensor.sizes, data->sizes, sizeof data->sizes);
    } else {
        QVK__TRY(reserve_out(engine, index, data, out, err));
    }
    return qvk__stage_copy(data->data, data->dtype, out->tensor.data, out->tensor.dtype, (uint64_t)numel,
                           false, what, err);
}

qvk_status qvk__engine_add_profile(qvk__engine *engine, const qvk_profile_entry *entry, qvk_error *err)
{
    QVK__CHECK(QVK__VEC_PUSH(&engine->profile, *entry), err, QVK_OUT_OF_MEMORY, "out of memory");
    return QVK_OK;
}

qvk_status qvk__engine_run(qvk__engine *engine, const qvk_value *inputs, uint32_t n_inputs,
                           qvk_value *outputs, uint32_t n_outputs, qvk_error *err)
{
    QVK__CHECK(n_outputs == engine->graph.outputs.count, err, QVK_INVALID_ARGUMENT,
               "room for %u outputs, there are %zu", n_outputs, engine->graph.outputs.count);
    engine->run_start_ns = qvk__clock_ns();
    engine->profile.count = 0;
    engine->wait_ns = 0;
    QVK__TRY(qvk__engine_bind_inputs(engine, inputs, n_inputs, err));
    return engine->device ? qvk__device_engine_run(engine, outputs, err)
                          : qvk__reference_engine_run(engine, outputs, err);
}
