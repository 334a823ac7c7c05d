/* qvk run: one call of a method. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli.h"
#include "json_writer.h"
#include "qvk/npy.h"

enum { MAX_PATH = 4096 };

/* ---- results -------------------------------------------------------------------------------------------- */

static void print_output(int32_t index, const qvk_value *value)
{
    cli_summary summary;

    switch (value->kind) {
    case QVK_VALUE_TENSOR:
        summary = cli_summarise(&value->tensor);
        printf("out_%d: %s min %.6g max %.6g mean %.6g", index, cli_describe(&value->tensor).text,
               summary.min, summary.max, summary.mean);
        if (summary.not_finite)
            printf(", %lld not finite", (long long)summary.not_finite);
        printf("\n");
        break;
    case QVK_VALUE_INT: printf("out_%d: int %lld\n", index, (long long)value->i); break;
    case QVK_VALUE_BOOL: printf("out_%d: bool %s\n", index, value->i ? "true" : "false"); break;
    case QVK_VALUE_FLOAT: printf("out_%d: float %.9g\n", index, value->f); break;
    case QVK_VALUE_NONE: printf("out_%d: none\n", index); break;
    }
}

static void json_output(json *out, const qvk_value *value)
{
    cli_summary summary;

    json_open(out, NULL, '{');
    switch (value->kind) {
    case QVK_VALUE_TENSOR:
        summary = cli_summarise(&value->tensor);
        json_text(out, "dtype", qvk_dtype_name(value->tensor.dtype));
        json_open(out, "shape", '[');
        for (int d = 0; d < value->tensor.rank; d++)
            json_int(out, NULL, value->tensor.sizes[d]);
        json_close(out, ']');
        json_number(out, "min", summary.min);
        json_number(out, "max", summary.max);
        json_number(out, "mean", summary.mean);
        json_int(out, "not_finite", summary.not_finite);
        break;
    case QVK_VALUE_INT: json_int(out, "int", value->i); break;
    case QVK_VALUE_BOOL: json_bool(out, "bool", value->i != 0); break;
    case QVK_VALUE_FLOAT: json_number(out, "float", value->f); break;
    case QVK_VALUE_NONE: break;
    }
    json_close(out, '}');
}

static void print_json(const qvk_context *context, bool verified, const qvk_value *outputs, int32_t n)
{
    json out = {.out = stdout};
    qvk_device_info device = {0};

    qvk_context_device(context, &device);
    json_open(&out, NULL, '{');
    json_text(&out, "device", device.name);
    json_bool(&out, "verified", verified);
    json_open(&out, "outputs", '[');
    for (int32_t i = 0; i < n; i++)
        json_output(&out, &outputs[i]);
    json_close(&out, ']');
    json_close(&out, '}');
    json_end(&out);
}

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
    const bool verified = cli_has(options, CLI_OPTION_VERIFY);
    int status = dir ? write_outputs(dir, outputs, n) : CLI_OK;

    if (status != CLI_OK)
        return status;
    if (cli_has(options, CLI_OPTION_JSON)) {
        print_json(context, verified, outputs, n);
        return CLI_OK;
    }
    for (int32_t i = 0; i < n; i++)
        print_output(i, &outputs[i]);
    if (verified)
        printf("verified: every operator agrees with the reference\n");
    return CLI_OK;
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
    qvk_module *module = NULL;
    cli_inputs inputs = {0};
    int status = cli_open_context(options, &context);

    if (status == CLI_OK)
        status = cli_load_module(options, context, &params, &module);
    if (status == CLI_OK)
        status = cli_load_inputs(options, module, cli_text(options, CLI_OPTION_METHOD), &inputs);
    if (status == CLI_OK)
        status = call(options, context, module, &inputs);
    cli_free_inputs(&inputs);
    qvk_module_destroy(&module);
    qvk_context_destroy(&context);
    return status;
}
