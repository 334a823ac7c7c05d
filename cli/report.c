/* What a run gave: summaries of its outputs, and their distance from what was expected. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "json_writer.h"
#include "qvk/npy.h"

/* ---- comparison ----------------------------------------------------------------------------------------- */

static void add_errors(cli_report *report, const qvk_tensor *got, const qvk_tensor *wanted)
{
    const int64_t numel = qvk_tensor_numel(wanted);
    double worst = 0.0, largest = 0.0;

    for (int64_t i = 0; i < numel; i++) {
        const double x = cli_element(wanted, i), d = cli_difference(cli_element(got, i), x);
        worst = d > worst ? d : worst;
        if (isfinite(x) && fabs(x) > largest)
            largest = fabs(x);
    }
    if (worst > report->max_error)
        report->max_error = worst;
    if (worst > 0.0) {
        const double share = largest > 0.0 ? worst / largest : (double)INFINITY;
        report->share = share > report->share ? share : report->share;
        report->too_far |= !(share <= report->allowed);
    }
}

static int read_tolerance(const cli_options *options, double *out)
{
    const char *text = cli_text(options, CLI_OPTION_TOLERANCE);
    char *end = NULL;

    *out = text ? strtod(text, &end) : 0.002;
    if (text && (end == text || *end || !(*out >= 0.0))) {
        cli_complain("--tolerance wants a number, not '%s'", text);
        return CLI_USAGE;
    }
    return CLI_OK;
}

int cli_compare_outputs(cli_report *report)
{
    const cli_list *paths = &report->options->given[CLI_OPTION_EXPECT];
    int status = read_tolerance(report->options, &report->allowed);

    report->max_error = paths->count ? 0.0 : -1.0;
    if (status == CLI_OK && paths->count > report->n_outputs)
        return cli_complain("the method has %d outputs, %d were expected", report->n_outputs, paths->count);
    for (int i = 0; i < paths->count && status == CLI_OK; i++) {
        const qvk_value *got = &report->outputs[i];
        qvk_tensor wanted;
        qvk_error error;
        if (qvk_npy_load(paths->items[i], &wanted, &error) != QVK_OK)
            return cli_fail(&error);
        if (got->kind != QVK_VALUE_TENSOR || !cli_same_shape(&got->tensor, &wanted))
            status =
                cli_complain("%s: out_%d is %s, not %s", paths->items[i], i,
                             got->kind == QVK_VALUE_TENSOR ? cli_describe(&got->tensor).text : "no tensor",
                             cli_describe(&wanted).text);
        else
            add_errors(report, &got->tensor, &wanted);
        qvk_tensor_free(&wanted);
    }
    return status;
}

/* ---- text ----------------------------------------------------------------------------------------------- */

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

static void print_text(const cli_report *report)
{
    for (int32_t i = 0; i < report->n_outputs; i++)
        print_output(i, &report->outputs[i]);
    if (report->max_error >= 0.0)
        printf("largest error: %.3g, %.2g of the largest expected value (allowed: %.2g)\n", report->max_error,
               report->share, report->allowed);
    if (cli_has(report->options, CLI_OPTION_VERIFY))
        printf("verified: every operator agrees with the reference\n");
}

/* ---- JSON ----------------------------------------------------------------------------------------------- */

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

static void print_json(const cli_report *report)
{
    json out = {.out = stdout};

    json_open(&out, NULL, '{');
    json_text(&out, "device", report->device.name);
    json_bool(&out, "verified", cli_has(report->options, CLI_OPTION_VERIFY));
    if (report->max_error >= 0.0) {
        json_number(&out, "max_error", report->max_error);
        json_number(&out, "error_share", report->share);
        json_bool(&out, "as_expected", !report->too_far);
    }
    json_open(&out, "outputs", '[');
    for (int32_t i = 0; i < report->n_outputs; i++)
        json_output(&out, &report->outputs[i]);
    json_close(&out, ']');
    json_close(&out, '}');
    json_end(&out);
}

void cli_print_report(const cli_report *report)
{
    if (cli_has(report->options, CLI_OPTION_JSON))
        print_json(report);
    else
        print_text(report);
}
