/* Modules: the caller is checked here; everything else is src/runtime. */
#include "api/api_internal.h"

struct qvk_module {
    qvk_context *context;
    const qvk__program *program;
    qvk__program own; /* program points here when the module read the file itself */
    qvk__session *session;
    atomic_flag busy;
    double read_ms, total_ms;
};

/* ---- loading -------------------------------------------------------------------------------------------- */

static qvk_status open_session(qvk_context *context, const char *name, const qvk_module_params *params,
                               qvk_module *module, qvk_error *err)
{
    const qvk__session_params session_params = {
        .verify = params && params->verify,
        .profile = params && params->profile,
        .trials = context->trials,
        .tuner = context->tuner,
        .log = context->log,
        .log_user = context->log_user,
    };
    qvk_error cache_error;
    qvk_status status =
        qvk__session_create(context->gpu, module->program, &session_params, &module->session, err);

    if (status != QVK_OK)
        return qvk__error_context(err, status, "%s", name);
    if (context->gpu && qvk__gpu_cache_save(context->gpu, &cache_error) != QVK_OK)
        qvk__context_log(context, QVK_LOG_WARNING, cache_error.message);
    module->context = context;
    qvk__context_retain(context);
    return QVK_OK;
}

/* Of `borrowed` and `owned` one is NULL; the owned one is taken over, also on failure. */
static qvk_status create(qvk_context *context, const qvk__program *borrowed, qvk__program *owned,
                         const char *name, uint64_t start_ns, const qvk_module_params *params,
                         qvk_module **out, qvk_error *err)
{
    const uint64_t read_ns = qvk__clock_ns();
    qvk_module *module = qvk__alloc_zeroed(1, sizeof *module);
    qvk_status status;

    if (!module) {
        if (owned)
            qvk__program_finish(owned);
        return qvk__fail(err, QVK_OUT_OF_MEMORY, "out of memory");
    }
    atomic_flag_clear(&module->busy);
    if (owned)
        module->own = *owned;
    module->program = owned ? &module->own : borrowed;
    status = open_session(context, name, params, module, err);
    if (status != QVK_OK) {
        if (owned)
            qvk__program_finish(&module->own);
        free(module);
        return status;
    }
    module->read_ms = (double)(read_ns - start_ns) * 1e-6;
    module->total_ms = (double)(qvk__clock_ns() - start_ns) * 1e-6;
    *out = module;
    return QVK_OK;
}

qvk_status qvk__module_create(qvk_context *context, const qvk__program *program, const char *name,
                              uint64_t start_ns, const qvk_module_params *params, qvk_module **out,
                              qvk_error *err)
{
    return create(context, program, NULL, name, start_ns, params, out, err);
}

qvk_status qvk_module_load(qvk_context *context, const char *path, const qvk_module_params *params,
                           qvk_module **out, qvk_error *err)
{
    const uint64_t start = qvk__clock_ns();
    qvk__program program;

    QVK__CHECK(context && path && out, err, QVK_INVALID_ARGUMENT, "context, path and out must not be NULL");
    QVK__TRY(qvk__program_read(path, params ? params->data_paths : NULL, params ? params->n_data_paths : 0,
                               &program, err));
    return create(context, NULL, &program, path, start, params, out, err);
}

qvk_status qvk_module_load_bytes(qvk_context *context, const void *data, size_t bytes, const char *name,
                                 const qvk_module_params *params, qvk_module **out, qvk_error *err)
{
    const uint64_t start = qvk__clock_ns();
    qvk__program program;

    QVK__CHECK(context && data && out, err, QVK_INVALID_ARGUMENT, "context, data and out must not be NULL");
    name = name ? name : "program";
    QVK__TRY(qvk__program_read_bytes(data, bytes, name, &program, err));
    return create(context, NULL, &program, name, start, params, out, err);
}

void qvk_module_destroy(qvk_module **module)
{
    qvk_module *it;

    if (!module || !*module)
        return;
    it = *module;
    qvk__session_destroy(&it->session);
    if (it->program == &it->own)
        qvk__program_finish(&it->own);
    qvk__context_release(it->context);
    free(it);
    *module = NULL;
}

/* ---- methods -------------------------------------------------------------------------------------------- */

int32_t qvk_module_method_count(const qvk_module *module)
{
    return module ? (int32_t)module->program->n_methods : 0;
}

const char *qvk_module_method_name(const qvk_module *module, int32_t index)
{
    if (!module || index < 0 || index >= (int32_t)module->program->n_methods)
        return NULL;
    return module->program->methods[index].name;
}

static qvk_status find_method(const qvk_module *module, const char *name, uint32_t *out, qvk_error *err)
{
    const qvk__program *program = module->program;
    const char *wanted = name ? name : "forward";

    for (uint32_t i = 0; i < program->n_methods; i++) {
        if (strcmp(program->methods[i].name, wanted) == 0) {
            *out = i;
            return QVK_OK;
        }
    }
    if (!name && program->n_methods == 1) {
        *out = 0;
        return QVK_OK;
    }
    return qvk__fail(err, QVK_NOT_FOUND, "no method is called '%s' (the first of %u is '%s')", wanted,
                     program->n_methods, program->n_methods ? program->methods[0].name : "");
}

qvk_status qvk_module_method_info(const qvk_module *module, const char *method, qvk_method_info *out,
                                  qvk_error *err)
{
    uint32_t index = 0;
    QVK__CHECK(module && out, err, QVK_INVALID_ARGUMENT, "module and out must not be NULL");
    QVK__TRY(find_method(module, method, &index, err));
    out->n_inputs = (int32_t)module->program->methods[index].n_inputs;
    out->n_outputs = (int32_t)module->program->methods[index].n_outputs;
    return QVK_OK;
}

static qvk_value describe(const qvk__evalue *value)
{
    switch (value->kind) {
    case QVK__EVALUE_TENSOR: {
        qvk_value out = {.kind = QVK_VALUE_TENSOR, .tensor = value->desc};
        out.tensor.data = NULL;
        return out;
    }
    case QVK__EVALUE_INT: return (qvk_value){.kind = QVK_VALUE_INT, .i = value->int_value};
    case QVK__EVALUE_BOOL: return (qvk_value){.kind = QVK_VALUE_BOOL, .i = value->int_value};
    case QVK__EVALUE_DOUBLE: return (qvk_value){.kind = QVK_VALUE_FLOAT, .f = value->double_value};
    default: return (qvk_value){.kind = QVK_VALUE_NONE};
    }
}

static qvk_status value_info(const qvk_module *module, const char *method, bool is_input, int32_t index,
                             qvk_value *out, bool *dynamic, qvk_error *err)
{
    const qvk__method *it;
    const qvk__evalue *value;
    uint32_t at = 0, n;
    int32_t id;

    QVK__CHECK(module && out, err, QVK_INVALID_ARGUMENT, "module and out must not be NULL");
    QVK__TRY(find_method(module, method, &at, err));
    it = &module->program->methods[at];
    n = is_input ? it->n_inputs : it->n_outputs;
    QVK__CHECK(index >= 0 && (uint32_t)index < n, err, QVK_INVALID_ARGUMENT, "%s %d of %u",
               is_input ? "input" : "output", index, n);
    id = is_input ? it->inputs[index] : it->outputs[index];
    value = &it->values[id];
    *out = describe(value);
    if (dynamic)
        *dynamic = value->kind == QVK__EVALUE_TENSOR ? value->dynamic : is_input && qvk__method_reads(it, id);
    return QVK_OK;
}

qvk_status qvk_module_input_info(const qvk_module *module, const char *method, int32_t index, qvk_value *out,
                                 bool *dynamic, qvk_error *err)
{
    return value_info(module, method, true, index, out, dynamic, err);
}

qvk_status qvk_module_output_info(const qvk_module *module, const char *method, int32_t index, qvk_value *out,
                                  bool *dynamic, qvk_error *err)
{
    return value_info(module, method, false, index, out, dynamic, err);
}

/* ---- running -------------------------------------------------------------------------------------------- */

static qvk_status check_values(const qvk_value *values, int32_t n, const char *what, qvk_error *err)
{
    QVK__CHECK(n >= 0 && (values || n == 0), err, QVK_INVALID_ARGUMENT, "%s must not be NULL", what);
    return QVK_OK;
}

qvk_status qvk_module_forward(qvk_module *module, const char *method, const qvk_value *inputs,
                              int32_t n_inputs, qvk_value *outputs, int32_t n_outputs, qvk_error *err)
{
    uint32_t index = 0;
    qvk_status status;

    QVK__CHECK(module, err, QVK_INVALID_ARGUMENT, "module must not be NULL");
    QVK__TRY(check_values(inputs, n_inputs, "inputs", err));
    QVK__TRY(check_values(outputs, n_outputs, "outputs", err));
    for (int32_t i = 0; i < n_inputs; i++)
        QVK__CHECK(inputs[i].kind != QVK_VALUE_TENSOR || qvk_tensor_numel(&inputs[i].tensor) >= 0, err,
                   QVK_INVALID_ARGUMENT, "input %d: a tensor with a bad rank or size", i);
    QVK__TRY(find_method(module, method, &index, err));
    QVK__CHECK(!atomic_flag_test_and_set(&module->busy), err, QVK_BUSY,
               "another thread is running this module; load it twice to run it twice at once");
    status = qvk__session_run(module->session, index, inputs, (uint32_t)n_inputs, outputs,
                              (uint32_t)n_outputs, err);
    atomic_flag_clear(&module->busy);
    return status;
}

qvk_status qvk_module_reset(qvk_module *module, qvk_error *err)
{
    qvk_status status;

    QVK__CHECK(module, err, QVK_INVALID_ARGUMENT, "module must not be NULL");
    QVK__CHECK(!atomic_flag_test_and_set(&module->busy), err, QVK_BUSY,
               "another thread is running this module");
    status = qvk__session_reset(module->session, err);
    atomic_flag_clear(&module->busy);
    return status;
}

qvk_status qvk_module_profile(const qvk_module *module, qvk_profile_entry *out, size_t *n, qvk_error *err)
{
    QVK__CHECK(module && n && (out || *n == 0), err, QVK_INVALID_ARGUMENT,
               "module, out and n must not be NULL");
    return qvk__session_profile(module->session, out, n, err);
}

void qvk_module_call_info(const qvk_module *module, qvk_call_info *out)
{
    if (module && out)
        qvk__session_call_info(module->session, out);
}

void qvk_module_load_info(const qvk_module *module, qvk_load_info *out)
{
    if (!module || !out)
        return;
    qvk__session_load_info(module->session, out);
    out->read_ms = module->read_ms;
    out->total_ms = module->total_ms;
}
