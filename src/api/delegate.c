/* Delegates on their own: a blob, its named data, and an engine that runs it. */
#include "api/api_internal.h"
#include "qvk/delegate.h"

struct qvk_delegate {
    qvk_context *context;
    qvk_delegate_params params;
    qvk__data_source named; /* the graph's constants refer to it */
    qvk__graph graph;
    qvk__engine *engine;
    atomic_flag busy;
    qvk_value *results; /* one for each output of the graph */
};

/* The public callbacks behind the reader's. */
static bool find_named(void *user, const char *key, const uint8_t **data, uint64_t *bytes)
{
    const qvk_delegate_params *params = &((const qvk_delegate *)user)->params;
    const void *found;
    size_t size;

    if (!params->find || !params->find(params->find_user, key, &found, &size))
        return false;
    *data = found;
    *bytes = size;
    return true;
}

static void release_named(void *user, const char *key, const uint8_t *data)
{
    const qvk_delegate_params *params = &((const qvk_delegate *)user)->params;

    params->release(params->find_user, key, data);
}

static qvk_status open_engine(qvk_context *context, qvk_delegate *delegate, qvk_error *err)
{
    const qvk__session_params session = {
        .verify = delegate->params.verify,
        .trials = context->trials,
        .tuner = context->tuner,
        .log = context->log,
        .log_user = context->log_user,
    };
    const size_t n = delegate->graph.outputs.count;
    qvk_error cache_error;

    delegate->results = qvk__alloc_zeroed(n, sizeof *delegate->results);
    QVK__CHECK(delegate->results, err, QVK_OUT_OF_MEMORY, "out of memory");
    QVK__TRY(qvk__engine_create(context->gpu, &delegate->graph, &session, &delegate->engine, err));
    if (context->gpu && qvk__gpu_cache_save(context->gpu, &cache_error) != QVK_OK)
        qvk__context_log(context, QVK_LOG_WARNING, cache_error.message);
    return QVK_OK;
}

qvk_status qvk_delegate_create(qvk_context *context, const void *blob, size_t bytes,
                               const qvk_delegate_params *params, qvk_delegate **out, qvk_error *err)
{
    qvk_delegate *delegate;
    qvk_status status;

    QVK__CHECK(context && blob && out, err, QVK_INVALID_ARGUMENT, "context, blob and out must not be NULL");
    delegate = qvk__alloc_zeroed(1, sizeof *delegate);
    QVK__CHECK(delegate, err, QVK_OUT_OF_MEMORY, "out of memory");
    atomic_flag_clear(&delegate->busy);
    qvk__context_retain(context);
    delegate->context = context;
    if (params)
        delegate->params = *params;
    delegate->named = (qvk__data_source){
        .find = find_named,
        .release = delegate->params.release ? release_named : NULL,
        .user = delegate,
    };
    status = qvk__blob_read(blob, bytes, &delegate->named, &delegate->graph, err);
    if (status == QVK_OK)
        status = open_engine(context, delegate, err);
    if (status != QVK_OK) {
        qvk_delegate_destroy(&delegate);
        return status;
    }
    *out = delegate;
    return QVK_OK;
}

void qvk_delegate_destroy(qvk_delegate **delegate)
{
    qvk_delegate *it;

    if (!delegate || !*delegate)
        return;
    it = *delegate;
    qvk__engine_destroy(&it->engine);
    free(it->results);
    qvk__graph_finish(&it->graph);
    qvk__context_release(it->context);
    free(it);
    *delegate = NULL;
}

int32_t qvk_delegate_input_count(const qvk_delegate *delegate)
{
    return delegate ? (int32_t)delegate->graph.inputs.count : 0;
}

int32_t qvk_delegate_output_count(const qvk_delegate *delegate)
{
    return delegate ? (int32_t)delegate->graph.outputs.count : 0;
}

qvk_status qvk_delegate_output_info(const qvk_delegate *delegate, int32_t index, qvk_value *out,
                                    qvk_error *err)
{
    const qvk__value *value;

    QVK__CHECK(delegate && out, err, QVK_INVALID_ARGUMENT, "delegate and out must not be NULL");
    QVK__CHECK(index >= 0 && (size_t)index < delegate->graph.outputs.count, err, QVK_INVALID_ARGUMENT,
               "output %d of a delegate with %zu", index, delegate->graph.outputs.count);
    value = &delegate->graph.values.data[delegate->graph.outputs.data[index]];
    *out = (qvk_value){.kind = value->kind == QVK__VALUE_SYMBOL ? QVK_VALUE_INT : QVK_VALUE_TENSOR};
    if (out->kind == QVK_VALUE_INT)
        return QVK_OK;
    out->tensor = value->desc;
    out->tensor.data = NULL;
    if (value->host_dtype != QVK_DTYPE_NONE)
        out->tensor.dtype = value->host_dtype;
    return QVK_OK;
}

const char *qvk_delegate_cpu_reasons(const qvk_delegate *delegate)
{
    return delegate ? qvk__engine_cpu_reasons(delegate->engine) : "";
}

static qvk_status run(qvk_delegate *delegate, const qvk_value *inputs, int32_t n_inputs, qvk_value *outputs,
                      int32_t n_outputs, qvk_error *err)
{
    const size_t n = delegate->graph.outputs.count, surplus = n - (size_t)n_outputs;

    /* The engine delivers into memory that is preset; the surplus goes into its own. */
    memset(delegate->results, 0, surplus * sizeof *outputs);
    if (n_outputs > 0)
        memcpy(delegate->results + surplus, outputs, (size_t)n_outputs * sizeof *outputs);
    QVK__TRY(
        qvk__engine_run(delegate->engine, inputs, (uint32_t)n_inputs, delegate->results, (uint32_t)n, err));
    if (n_outputs > 0)
        memcpy(outputs, delegate->results + surplus, (size_t)n_outputs * sizeof *outputs);
    return QVK_OK;
}

qvk_status qvk_delegate_run(qvk_delegate *delegate, const qvk_value *inputs, int32_t n_inputs,
                            qvk_value *outputs, int32_t n_outputs, qvk_error *err)
{
    qvk_status status;

    QVK__CHECK(delegate && (inputs || n_inputs == 0) && (outputs || n_outputs == 0), err,
               QVK_INVALID_ARGUMENT, "delegate, inputs and outputs must not be NULL");
    QVK__CHECK(n_inputs >= 0 && (size_t)n_inputs == delegate->graph.inputs.count, err, QVK_INPUT_MISMATCH,
               "%d inputs given, the delegate has %zu", n_inputs, delegate->graph.inputs.count);
    QVK__CHECK(n_outputs >= 0 && (size_t)n_outputs <= delegate->graph.outputs.count, err, QVK_INPUT_MISMATCH,
               "room for %d outputs, the delegate has %zu", n_outputs, delegate->graph.outputs.count);
    QVK__CHECK(!atomic_flag_test_and_set(&delegate->busy), err, QVK_BUSY,
               "the delegate runs on another thread");
    status = run(delegate, inputs, n_inputs, outputs, n_outputs, err);
    atomic_flag_clear(&delegate->busy);
    return status;
}
