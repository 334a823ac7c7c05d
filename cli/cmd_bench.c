/* qvk bench: latency of whole calls, then GPU time operator by operator. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli.h"
#include "json_writer.h"

enum { MAX_ITERS = 1000000, PROFILE_RUNS = 7 };

typedef struct operator_time {
    qvk_profile_entry entry; /* strings are copies; gpu_us is the median of the runs */
    double samples[PROFILE_RUNS];
} operator_time;

typedef struct measurement {
    double *ms, *cpu_us, *wait_us; /* of each call; sorted */
    int64_t n;
    qvk_load_info load;
    operator_time *operators;
    size_t n_operators;
    qvk_device_info device;
    qvk_ceilings ceilings; /* zeros on the reference executor */
} measurement;

static double now_ms(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec * 1e3 + (double)time.tv_nsec * 1e-6;
}

static int compare_doubles(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Of a sorted array; the fraction of samples below the result. */
static double quantile(const double *sorted, int64_t n, double fraction)
{
    return sorted[(int64_t)(fraction * (double)(n - 1) + 0.5)];
}

/* ---- calls ---------------------------------------------------------------------------------------------- */

typedef struct session {
    const cli_options *options;
    const char *method;
    cli_model model;
    cli_inputs inputs;
    qvk_value *outputs;
    int32_t n_outputs;
} session;

static void close_session(session *it)
{
    cli_free_inputs(&it->inputs);
    free(it->outputs);
    it->outputs = NULL;
    cli_close_model(&it->model);
}

static int open_session(const cli_options *options, qvk_context *context, bool profile, session *out)
{
    const qvk_module_params params = {.profile = profile};
    qvk_method_info info;
    qvk_error error;
    int status;

    memset(out, 0, sizeof *out);
    out->options = options;
    out->method = cli_text(options, CLI_OPTION_METHOD);
    status = cli_open_model(options, options->operands[0], context, &params, NULL, &out->model);
    if (status != CLI_OK)
        return status;
    if (cli_has(options, CLI_OPTION_INPUT) || cli_has(options, CLI_OPTION_RANDOM) ||
        cli_sample_count(&out->model) > 0)
        status = cli_load_inputs(options, &out->model, out->method, &out->inputs);
    else
        status = cli_random_inputs(out->model.module, out->method, 0, &out->inputs);
    if (status != CLI_OK)
        return status;
    if (qvk_module_method_info(out->model.module, out->method, &info, &error) != QVK_OK)
        return cli_fail(&error);
    out->n_outputs = info.n_outputs;
    out->outputs = calloc((size_t)info.n_outputs + 1, sizeof *out->outputs);
    return out->outputs ? CLI_OK : cli_complain("out of memory");
}

static int call(session *it)
{
    qvk_error error;
    if (qvk_module_forward(it->model.module, it->method, it->inputs.values, it->inputs.count, it->outputs,
                           it->n_outputs, &error) != QVK_OK)
        return cli_fail(&error);
    return CLI_OK;
}

static int time_calls(const cli_options *options, qvk_context *context, int64_t warmup, measurement *out)
{
    qvk_call_info taken;
    session it;
    int status = open_session(options, context, false, &it);

    if (status == CLI_OK)
        qvk_module_load_info(it.model.module, &out->load);
    for (int64_t i = 0; i < warmup && status == CLI_OK; i++)
        status = call(&it);
    for (int64_t i = 0; i < out->n && status == CLI_OK; i++) {
        const double start = now_ms();
        status = call(&it);
        out->ms[i] = now_ms() - start;
        qvk_module_call_info(it.model.module, &taken);
        out->cpu_us[i] = taken.cpu_us;
        out->wait_us[i] = taken.wait_us;
    }
    out->load.cpu_reasons = NULL; /* belongs to the module */
    close_session(&it);
    qsort(out->ms, (size_t)out->n, sizeof *out->ms, compare_doubles);
    qsort(out->cpu_us, (size_t)out->n, sizeof *out->cpu_us, compare_doubles);
    qsort(out->wait_us, (size_t)out->n, sizeof *out->wait_us, compare_doubles);
    return status;
}

/* ---- operators ------------------------------------------------------------------------------------------ */

static char *copy_text(const char *text)
{
    const size_t bytes = strlen(text) + 1;
    char *copy = malloc(bytes);
    if (copy)
        memcpy(copy, text, bytes);
    return copy;
}

static int take_profile(const session *it, int run, measurement *out)
{
    size_t n = 0;
    qvk_profile_entry *entries;
    qvk_error error;

    if (qvk_module_profile(it->model.module, NULL, &n, &error) != QVK_OK)
        return cli_fail(&error);
    entries = calloc(n + 1, sizeof *entries);
    if (!out->operators)
        out->operators = calloc(n + 1, sizeof *out->operators);
    if (!entries || !out->operators) {
        free(entries);
        return cli_complain("out of memory");
    }
    if (qvk_module_profile(it->model.module, entries, &n, &error) != QVK_OK) {
        free(entries);
        return cli_fail(&error);
    }
    if (run == 0)
        out->n_operators = n;
    for (size_t i = 0; i < n && i < out->n_operators; i++) {
        operator_time *op = &out->operators[i];
        if (run == 0) {
            op->entry = entries[i];
            op->entry.name = copy_text(entries[i].name);
            op->entry.kernel = copy_text(entries[i].kernel);
        }
        op->entry.start_us = entries[i].start_us;
        op->samples[run] = entries[i].gpu_us;
    }
    free(entries);
    return CLI_OK;
}

static int profile_calls(const cli_options *options, qvk_context *context, measurement *out)
{
    session it;
    int status = open_session(options, context, true, &it);

    if (status == CLI_OK)
        status = call(&it);
    for (int run = 0; run < PROFILE_RUNS && status == CLI_OK; run++) {
        status = call(&it);
        if (status == CLI_OK)
            status = take_profile(&it, run, out);
    }
    close_session(&it);
    for (size_t i = 0; i < out->n_operators && status == CLI_OK; i++) {
        operator_time *op = &out->operators[i];
        if (!op->entry.name || !op->entry.kernel)
            return cli_complain("out of memory");
        qsort(op->samples, PROFILE_RUNS, sizeof *op->samples, compare_doubles);
        op->entry.gpu_us = op->samples[PROFILE_RUNS / 2];
    }
    return status;
}

/*
 * Share of the device's ceilings an operator reaches: the time its bytes and operations need at the measured
 * rates (the widest arithmetic there is), over the time it took. 0 where nothing was measured. Data that
 * stays in a cache can reach more than 1.
 */
static double share_reached(const measurement *it, const qvk_profile_entry *entry)
{
    const qvk_ceilings *top = &it->ceilings;
    double rate = top->f32_tflops, bytes_us, ops_us;

    rate = top->f16_tflops > rate ? top->f16_tflops : rate;
    rate = top->int8_tops > rate ? top->int8_tops : rate;
    if (!entry->on_device || entry->gpu_us <= 0.0 || top->copy_gbps <= 0.0)
        return 0.0;
    bytes_us = (double)entry->bytes / top->copy_gbps * 1e-3;
    ops_us = rate > 0.0 ? (double)entry->ops / rate * 1e-6 : 0.0;
    return (bytes_us > ops_us ? bytes_us : ops_us) / entry->gpu_us;
}

/* ---- results -------------------------------------------------------------------------------------------- */

static void json_operator(json *out, const measurement *it, const qvk_profile_entry *entry)
{
    json_open(out, NULL, '{');
    json_text(out, "name", entry->name);
    json_text(out, "kernel", entry->kernel);
    json_number(out, "gpu_us", entry->gpu_us);
    json_int(out, "bytes", (int64_t)entry->bytes);
    json_int(out, "ops", (int64_t)entry->ops);
    json_number(out, "share", share_reached(it, entry));
    json_bool(out, "on_device", entry->on_device);
    json_close(out, '}');
}

static void json_ceilings(json *out, const qvk_ceilings *ceilings)
{
    json_open(out, "ceilings", '{');
    json_number(out, "copy_gbps", ceilings->copy_gbps);
    json_number(out, "f32_tflops", ceilings->f32_tflops);
    json_number(out, "f16_tflops", ceilings->f16_tflops);
    json_number(out, "int8_tops", ceilings->int8_tops);
    json_close(out, '}');
}

static void print_json(const measurement *it)
{
    json out = {.out = stdout};

    json_open(&out, NULL, '{');
    json_text(&out, "device", it->device.name);
    json_number(&out, "median_ms", quantile(it->ms, it->n, 0.5));
    json_number(&out, "min_ms", it->ms[0]);
    json_number(&out, "p10_ms", quantile(it->ms, it->n, 0.1));
    json_number(&out, "p90_ms", quantile(it->ms, it->n, 0.9));
    json_number(&out, "cpu_us", quantile(it->cpu_us, it->n, 0.5));
    json_number(&out, "wait_us", quantile(it->wait_us, it->n, 0.5));
    json_int(&out, "iters", it->n);
    json_number(&out, "load_ms", it->load.total_ms);
    json_number(&out, "upload_ms", it->load.upload_ms);
    json_number(&out, "pipeline_ms", it->load.pipeline_ms);
    json_int(&out, "weight_bytes", (int64_t)it->load.weight_bytes);
    json_int(&out, "activation_bytes", (int64_t)it->load.activation_bytes);
    json_int(&out, "cpu_steps", it->load.n_cpu_steps);
    json_ceilings(&out, &it->ceilings);
    json_open(&out, "operators", '[');
    for (size_t i = 0; i < it->n_operators; i++)
        json_operator(&out, it, &it->operators[i].entry);
    json_close(&out, ']');
    json_close(&out, '}');
    json_end(&out);
}

static void print_text(const measurement *it)
{
    double total = 0.0;

    printf("median %.3f ms, min %.3f, p10 %.3f, p90 %.3f over %lld calls\n", quantile(it->ms, it->n, 0.5),
           it->ms[0], quantile(it->ms, it->n, 0.1), quantile(it->ms, it->n, 0.9), (long long)it->n);
    printf("of a call, in the median: CPU %.1f us, waiting for the device %.1f us\n",
           quantile(it->cpu_us, it->n, 0.5), quantile(it->wait_us, it->n, 0.5));
    printf("load %.1f ms (upload %.1f, pipelines %.1f), weights %.2f MiB, activations %.2f MiB\n",
           it->load.total_ms, it->load.upload_ms, it->load.pipeline_ms,
           (double)it->load.weight_bytes / 1048576.0, (double)it->load.activation_bytes / 1048576.0);
    if (it->ceilings.copy_gbps > 0.0)
        printf("ceilings: copy %.4g GB/s, float32 %.3g, float16 %.3g TFLOP/s, int8 %.3g TOP/s\n",
               it->ceilings.copy_gbps, it->ceilings.f32_tflops, it->ceilings.f16_tflops,
               it->ceilings.int8_tops);
    for (size_t i = 0; i < it->n_operators; i++)
        total += it->operators[i].entry.gpu_us;
    printf(
        "%zu operators, %.1f us together\n\n      us      %%    GB/s   GOP/s  reached  operator (kernel)\n",
        it->n_operators, total);
    for (size_t i = 0; i < it->n_operators; i++) {
        const qvk_profile_entry *entry = &it->operators[i].entry;
        const double us = entry->gpu_us > 0.0 ? entry->gpu_us : 1e-9;
        printf("%8.1f  %5.1f  %6.1f  %6.1f  %6.1f%%  %s (%s)\n", entry->gpu_us,
               100.0 * entry->gpu_us / (total + 1e-9), (double)entry->bytes * 1e-3 / us,
               (double)entry->ops * 1e-3 / us, 100.0 * share_reached(it, entry), entry->name, entry->kernel);
    }
}

/* The Trace Event Format's complete events: one row for the device, one for the CPU. */
static int write_trace(const char *path, const measurement *it)
{
    FILE *file = fopen(path, "w");
    json out = {.out = file};

    if (!file)
        return cli_complain("%s: cannot be written", path);
    json_open(&out, NULL, '{');
    json_open(&out, "traceEvents", '[');
    for (size_t i = 0; i < it->n_operators; i++) {
        const qvk_profile_entry *entry = &it->operators[i].entry;
        json_open(&out, NULL, '{');
        json_text(&out, "name", entry->name);
        json_text(&out, "cat", entry->on_device ? "gpu" : "cpu");
        json_text(&out, "ph", "X");
        json_number(&out, "ts", entry->start_us);
        json_number(&out, "dur", entry->gpu_us);
        json_int(&out, "pid", 1);
        json_int(&out, "tid", entry->on_device ? 1 : 2);
        json_open(&out, "args", '{');
        json_text(&out, "kernel", entry->kernel);
        json_int(&out, "bytes", (int64_t)entry->bytes);
        json_int(&out, "ops", (int64_t)entry->ops);
        json_close(&out, '}');
        json_close(&out, '}');
    }
    json_close(&out, ']');
    json_close(&out, '}');
    json_end(&out);
    return fclose(file) == 0 ? CLI_OK : cli_complain("%s: cannot be written", path);
}

/* ---- the command ---------------------------------------------------------------------------------------- */

static int measure(const cli_options *options, int64_t warmup, measurement *it)
{
    const char *trace = cli_text(options, CLI_OPTION_TRACE);
    qvk_context *context = NULL;
    qvk_error error;
    int status = cli_open_context(options, &context);

    if (status == CLI_OK)
        qvk_context_device(context, &it->device);
    if (status == CLI_OK)
        status = time_calls(options, context, warmup, it);
    if (status == CLI_OK)
        status = profile_calls(options, context, it);
    if (status == CLI_OK && qvk_context_measure(context, &it->ceilings, &error) != QVK_OK)
        status = cli_fail(&error);
    qvk_context_destroy(&context);
    if (status == CLI_OK && trace)
        status = write_trace(trace, it);
    return status;
}

int cmd_bench(const cli_options *options)
{
    measurement it = {0};
    int64_t warmup;
    int status;

    if (!cli_number(options, CLI_OPTION_ITERS, 1, MAX_ITERS, 30, &it.n) ||
        !cli_number(options, CLI_OPTION_WARMUP, 0, MAX_ITERS, 5, &warmup))
        return CLI_USAGE;
    it.ms = calloc((size_t)it.n * 3, sizeof *it.ms);
    if (!it.ms)
        return cli_complain("out of memory");
    it.cpu_us = it.ms + it.n;
    it.wait_us = it.cpu_us + it.n;
    status = measure(options, warmup, &it);
    if (status == CLI_OK && cli_has(options, CLI_OPTION_JSON))
        print_json(&it);
    else if (status == CLI_OK)
        print_text(&it);
    for (size_t i = 0; i < it.n_operators; i++) {
        free((void *)(uintptr_t)it.operators[i].entry.name);
        free((void *)(uintptr_t)it.operators[i].entry.kernel);
    }
    free(it.operators);
    free(it.ms);
    return status;
}
