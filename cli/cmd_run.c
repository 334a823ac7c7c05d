/* qvk run: one call of a method. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli.h"
#include "qvk/npy.h"

enum { MAX_PATH = 4096 };

/* ---- files ---------------------------------------------------------------------------------------------- */

/* Numbers become arrays without dimensions; None writes nothing. */
static int write_output(const char *dir, int32_t index, const qvk_value *value)
{
    qvk_tensor tensor = value->tensor;
    uint8_t flag = value->i != 0;
    int64_t whole = value->i;
    double number = value->f;
    char path[MAX_PATH];
    qvk_error error;

    if (value->kind == QVK_VALUE_NONE)
        return CLI_OK;
    if (value->kind == QVK_VALUE_INT)
        tensor = (qvk_tensor){.dtype = QVK_DTYPE_I64, .data = &whole};
    else if (value->kind == QVK_VALUE_BOOL)
        tensor = (qvk_tensor){.dtype = QVK_DTYPE_BOOL, .data = &flag};
    else if (value->kind == QVK_VALUE_FLOAT)
        tensor = (qvk_tensor){.dtype = QVK_DTYPE_F64, .data = &number};
    if (snprintf(path, sizeof path, "%s/out_%d.npy", dir, index) >= (int)sizeof path)
        return cli_complain("%s: the path is too long", dir);
    if (qvk_npy_save(path, &tensor, &error) != QVK_OK)
        return cli_fail(&error);
    return CLI_OK;
}

static int write_outputs(const char *dir, const qvk_value *outputs, int32_t n)
{
    int status = CLI_OK;

    if (mkdir(dir, 0777) != 0 && errno != EEXIST)
        return cli_complain("%s: %s", dir, strerror(errno));
    for (int32_t i = 0; i < n && status == CLI_OK; i++)
        status = write_output(dir, i, &outputs[i]);
    return status;
}

/* ---- the call ------------------------------------------------------------------------------------------- */

static int report(const cli_options *options, const qvk_context *context, const qvk_value *outputs, int32_t n)
{
    const char *dir = cli_text(options, CLI_OPTION_OUTPUT);
    cli_report report = {.options = options, .outputs = outputs, .n_outputs = n};
    int status = dir ? write_outputs(dir, outputs, n) : CLI_OK;

    qvk_context_device(context, &report.device);
    if (status == CLI_OK)
        status = cli_compare_outputs(&report);
    if (status != CLI_OK)
        return status;
    cli_print_report(&report);
    return report.too_far ? cli_complain("an output is farther from what was expected than allowed") : CLI_OK;
}

static int call(const cli_options *options, const qvk_context *context, qvk_module *module,
                const cli_inputs *inputs)
{
    const char *method = cli_text(options, CLI_OPTION_METHOD);
    qvk_value *outputs = NULL;
    qvk_method_info info;
    qvk_error error;
    int status;

    if (qvk_module_method_info(module, method, &info, &error) != QVK_OK)
        return cli_fail(&error);
    outputs = calloc((size_t)info.n_outputs + 1, sizeof *outputs);
    if (!outputs)
        return cli_complain("out of memory");
    if (qvk_module_forward(module, method, inputs->values, inputs->count, outputs, info.n_outputs, &error) !=
        QVK_OK)
        status = cli_fail(&error);
    else
        status = report(options, context, outputs, info.n_outputs);
    free(outputs);
    return status;
}

int cmd_run(const cli_options *options)
{
    const qvk_module_params params = {.verify = cli_has(options, CLI_OPTION_VERIFY)};
    qvk_context *context = NULL;
    cli_model model = {0};
    cli_inputs inputs = {0};
    int status = cli_open_context(options, &context);

    if (status == CLI_OK)
        status = cli_open_model(options, options->operands[0], context, &params, NULL, &model);
    if (status == CLI_OK)
        status = cli_load_inputs(options, &model, cli_text(options, CLI_OPTION_METHOD), &inputs);
    if (status == CLI_OK)
        status = call(options, context, model.module, &inputs);
    cli_free_inputs(&inputs);
    cli_close_model(&model);
    qvk_context_destroy(&context);
    return status;
}
