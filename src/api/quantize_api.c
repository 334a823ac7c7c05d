/* Quantization: the caller is checked here; everything else is src/quantize. Calibration borrows the run
 * half. */
#include "api/api_internal.h"
#include "api/program_internal.h"
#include "lower/lower.h"

/* ---- schemes --------------------------------------------------------------------------------------------- */

qvk_scheme qvk_scheme_from_name(const char *name)
{
#define MATCH(NAME, text, bits, activation, description)                                                     \
    if (name && strcmp(name, text) == 0)                                                                     \
        return QVK_SCHEME_##NAME;
    QVK_SCHEME_LIST(MATCH)
#undef MATCH
    return QVK_SCHEME_NONE;
}

const char *qvk_scheme_name(qvk_scheme scheme)
{
    switch (scheme) {
#define CASE(NAME, text, bits, activation, description)                                                      \
    case QVK_SCHEME_##NAME: return text;
        QVK_SCHEME_LIST(CASE)
#undef CASE
    default: return "none";
    }
}

/* ---- torchao flow ---------------------------------------------------------------------------------------- */

qvk_status qvk_quantize(qvk_program *program, const qvk_quant_config *config,
                        const qvk_quantize_params *params, qvk_error *err)
{
    QVK__CHECK(program && config, err, QVK_INVALID_ARGUMENT, "program and config must not be NULL");
    QVK__CHECK(!program->prepared, err, QVK_INVALID_ARGUMENT, "the program is prepared for calibration");
    return qvk__quantize_torchao(&program->exported, config, params, err);
}

/* ---- PT2E flow ------------------------------------------------------------------------------------------- */

struct qvk_vulkan_quantizer {
    qvk__pt2e_config config;
};

qvk_status qvk_vulkan_quantizer_create(qvk_vulkan_quantizer **out, qvk_error *err)
{
    qvk_vulkan_quantizer *quantizer;

    QVK__CHECK(out, err, QVK_INVALID_ARGUMENT, "out must not be NULL");
    quantizer = qvk__alloc_zeroed(1, sizeof *quantizer);
    QVK__CHECK(quantizer, err, QVK_OUT_OF_MEMORY, "out of memory");
    *out = quantizer;
    return QVK_OK;
}

void qvk_vulkan_quantizer_destroy(qvk_vulkan_quantizer **quantizer)
{
    if (!quantizer)
        return;
    free(*quantizer);
    *quantizer = NULL;
}

qvk_status qvk_vulkan_quantizer_set_global(qvk_vulkan_quantizer *quantizer,
                                           const qvk_symmetric_quantization_config *config, qvk_error *err)
{
    QVK__CHECK(quantizer && config, err, QVK_INVALID_ARGUMENT, "quantizer and config must not be NULL");
    QVK__CHECK(config->weight_bits == 0 || config->weight_bits == 8 || config->weight_bits == 4, err,
               QVK_INVALID_ARGUMENT, "weight_bits %d: 8 and 4 are possible", config->weight_bits);
    QVK__CHECK(config->act_bits == 0 || config->act_bits == 8, err, QVK_INVALID_ARGUMENT,
               "act_bits %d: 8 is possible", config->act_bits);
    quantizer->config.symmetric = *config;
    quantizer->config.is_static = false;
    return QVK_OK;
}

void qvk_vulkan_quantizer_set_filter(qvk_vulkan_quantizer *quantizer, qvk_filter_fn filter, void *user)
{
    if (!quantizer)
        return;
    quantizer->config.filter = filter;
    quantizer->config.filter_user = user;
}

qvk_status qvk_vulkan_quantizer_set_static(qvk_vulkan_quantizer *quantizer, qvk_error *err)
{
    QVK__CHECK(quantizer, err, QVK_INVALID_ARGUMENT, "quantizer must not be NULL");
    quantizer->config.is_static = true;
    return QVK_OK;
}

/* The float program with every observed value as an output, ready to run. Built once, by the first sample. */
struct qvk__calibrator {
    qvk__program lowered;
    qvk_context *context; /* of the module */
    qvk_module *module;
    qvk_context *own_context; /* the CPU reference, when the caller gave none */
};

static void calibrator_destroy(qvk__calibrator **calibrator)
{
    if (!*calibrator)
        return;
    qvk_module_destroy(&(*calibrator)->module);
    qvk_context_destroy(&(*calibrator)->own_context);
    qvk__program_finish(&(*calibrator)->lowered);
    free(*calibrator);
    *calibrator = NULL;
}

static void unprepare(qvk_program *program)
{
    calibrator_destroy(&program->calibrator);
    qvk__pt2e_destroy(&program->prepared);
    program->unprepare = NULL;
}

qvk_status qvk_prepare_pt2e(qvk_program *program, const qvk_vulkan_quantizer *quantizer, qvk_error *err)
{
    QVK__CHECK(program && quantizer, err, QVK_INVALID_ARGUMENT, "program and quantizer must not be NULL");
    QVK__CHECK(!program->prepared, err, QVK_INVALID_ARGUMENT, "the program is prepared already");
    QVK__TRY(qvk__pt2e_prepare(&program->exported, &quantizer->config, &program->prepared, err));
    program->unprepare = unprepare;
    return QVK_OK;
}

static qvk_status open_calibrator(qvk_program *program, qvk_context *context, qvk_error *err)
{
    qvk__calibrator *c = qvk__alloc_zeroed(1, sizeof *c);
    qvk__lower_params params = {.keep_float = true};
    qvk_status status = QVK_OK;
    const char *outside;

    QVK__CHECK(c, err, QVK_OUT_OF_MEMORY, "out of memory");
    params.extra_outputs = qvk__pt2e_observed(program->prepared, &params.n_extra_outputs);
    if (!context) {
        const qvk_context_params reference = {.device = "cpu"};
        QVK__TRY_GO(qvk_context_create(&reference, &c->own_context, err));
    }
    c->context = context;
    QVK__TRY_GO(qvk__lower(&program->exported, &params, &c->lowered, &outside, err));
    QVK__TRY_GO(qvk__module_create(context ? context : c->own_context, &c->lowered, "calibration",
                                   qvk__clock_ns(), NULL, &c->module, err));
    program->calibrator = c;
    return QVK_OK;
done:
    calibrator_destroy(&c);
    return status;
}

/* Runs the sample and hands the observed tensors (the outputs behind the program's own) to the observers. */
static qvk_status run_sample(qvk_program *program, const qvk_value *inputs, int32_t n_inputs, qvk_error *err)
{
    qvk_module *module = program->calibrator->module;
    qvk_status status = QVK_OK;
    qvk_method_info info;
    qvk_value *outputs;
    qvk_tensor *tensors;
    uint32_t n;

    (void)qvk__pt2e_observed(program->prepared, &n);
    QVK__TRY(qvk_module_method_info(module, NULL, &info, err));
    outputs = qvk__alloc_zeroed((uint64_t)info.n_outputs, sizeof *outputs);
    tensors = qvk__alloc_zeroed(n, sizeof *tensors);
    QVK__CHECK_GO(outputs && tensors && (uint32_t)info.n_outputs >= n, err, QVK_OUT_OF_MEMORY,
                  "out of memory");
    QVK__TRY_GO(qvk_module_forward(module, NULL, inputs, n_inputs, outputs, info.n_outputs, err));
    for (uint32_t i = 0; i < n; i++)
        tensors[i] = outputs[(uint32_t)info.n_outputs - n + i].tensor;
    status = qvk__pt2e_observe(program->prepared, tensors, n, err);
done:
    free(outputs);
    free(tensors);
    return status;
}

qvk_status qvk_calibrate(qvk_program *program, qvk_context *context, const qvk_tensor *inputs,
                         int32_t n_inputs, qvk_error *err)
{
    qvk_value *values;
    qvk_status status;

    QVK__CHECK(program && (inputs || n_inputs == 0) && n_inputs >= 0, err, QVK_INVALID_ARGUMENT,
               "program and inputs must not be NULL");
    QVK__CHECK(program->prepared, err, QVK_INVALID_ARGUMENT, "call qvk_prepare_pt2e before qvk_calibrate");
    if (program->calibrator && program->calibrator->context != context)
        calibrator_destroy(&program->calibrator);
    if (!program->calibrator)
        QVK__TRY(open_calibrator(program, context, err));
    values = qvk__alloc_zeroed((uint64_t)n_inputs, sizeof *values);
    QVK__CHECK(values, err, QVK_OUT_OF_MEMORY, "out of memory");
    for (int32_t i = 0; i < n_inputs; i++)
        values[i].tensor = inputs[i];
    status = run_sample(program, values, n_inputs, err);
    free(values);
    return status;
}

qvk_status qvk_convert_pt2e(qvk_program *program, qvk_error *err)
{
    QVK__CHECK(program && program->prepared, err, QVK_INVALID_ARGUMENT,
               "call qvk_prepare_pt2e before qvk_convert_pt2e");
    calibrator_destroy(&program->calibrator);
    QVK__TRY(qvk__pt2e_convert(&program->exported, program->prepared, err));
    unprepare(program);
    return QVK_OK;
}
