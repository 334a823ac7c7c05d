/*
 * A trial is a graph of two linears over one activation: one scale a row of the weights, and one scale a
 * group. It is planned, recorded and run like any other, with the kernel's family asked for.
 */
#include "runtime/trial_run.h"

#include <stdio.h>

#include "kernels/linear_choice.h"
#include "reference/reference.h"
#include "runtime/device.h"
#include "runtime/probe_linear.h"

enum {
    COLUMNS = 70, /* of the result: no multiple of any tile */
    GROUP = 32,
    N_LINEARS = 2
};

typedef struct trial {
    qvk__kernel kernel;
    qvk__linear_family family;
    int bits;
    bool is_int8;    /* activations are quantized per row; else they stay float */
    qvk_dtype x;     /* of activations and results */
    int64_t rows;    /* as many as lead to the family, and no multiple of its tile */
    int64_t K;       /* whole groups and chunks; a few */
    uint32_t splits; /* of k */
} trial;

#define TRIAL(id, family, bits, is_int8, x, rows, k, splits)                                                 \
    {QVK__KERNEL_LINEAR_##id, QVK__LINEAR_##family, bits, is_int8, QVK_DTYPE_##x, rows, k, splits},

static const trial trials[] = {
#include "runtime/trials.def"
};
#undef TRIAL

static const trial *find_trial(qvk__kernel kernel)
{
    for (size_t i = 0; i < QVK__COUNT(trials); i++)
        if (trials[i].kernel == kernel)
            return &trials[i];
    return NULL;
}

bool qvk__trial_exists(qvk__kernel kernel)
{
    return find_trial(kernel) != NULL;
}

/* One scale a row. */
static qvk__probe_linear linear_of(const trial *t)
{
    return (qvk__probe_linear){t->bits, t->is_int8, t->x, t->rows, COLUMNS, t->K, t->K};
}

static qvk_status build(qvk__graph *graph, const trial *t, qvk_value *input, qvk_error *err)
{
    qvk__probe_linear linear = linear_of(t);
    int32_t x;

    QVK__TRY(qvk__probe_linear_input(graph, &linear, input, &x, err));
    QVK__TRY(qvk__probe_linear_add(graph, &linear, x, "by_row", err));
    linear.group = GROUP;
    return qvk__probe_linear_add(graph, &linear, x, "by_group", err);
}

/* ---- running and judging -------------------------------------------------------------------------------- */

static bool takes_kernel(const qvk__engine *engine, qvk__kernel kernel)
{
    const qvk__plan *plan = &engine->device->current->plan;

    for (size_t i = 0; i < plan->dispatches.count; i++)
        if (plan->dispatches.data[i].kernel == kernel)
            return true;
    return false;
}

static void fail(qvk__trial_result *out, qvk__trial_verdict verdict, const char *what, qvk_status status,
                 const qvk_error *error)
{
    out->verdict = verdict;
    snprintf(out->reason, sizeof out->reason, "%s (%s: %.400s)", what, qvk_status_name(status),
             error->message);
}

static qvk_status hand_on(qvk_status status, const qvk_error *error, qvk_error *err)
{
    if (err)
        *err = *error;
    return status;
}

/* Results stay the engine's. *out is filled in when that ends the trial. */
static qvk_status run_on_device(qvk__engine *engine, const trial *t, const qvk_value *input,
                                qvk_value outputs[N_LINEARS], qvk__trial_result *out, qvk_error *err)
{
    qvk_error error = {0};
    qvk_status status;

    if (!takes_kernel(engine, t->kernel)) {
        out->verdict = QVK__TRIAL_SKIPPED;
        return QVK_OK;
    }
    status = qvk__engine_run(engine, input, 1, outputs, N_LINEARS, &error);
    if (status == QVK_DEVICE_LOST || status == QVK_TIMEOUT || status == QVK_DRIVER)
        fail(out, QVK__TRIAL_HUNG, "it did not come to an end in its trial", status, &error);
    return status == QVK_OK || status == QVK_DRIVER ? QVK_OK : hand_on(status, &error, err);
}

/* Compilers of drivers end here as well: pipelines are made with the engine. */
static qvk_status open_device(qvk__gpu *gpu, const qvk__graph *graph, const qvk__session_params *params,
                              qvk__engine **engine, qvk__trial_result *out, qvk_error *err)
{
    qvk_error error = {0};
    const qvk_status status = qvk__engine_create(gpu, graph, params, engine, &error);

    if (status == QVK_DRIVER || status == QVK_UNSUPPORTED) {
        fail(out, QVK__TRIAL_FAILED, "the driver does not take it", status, &error);
        return QVK_OK;
    }
    return status == QVK_OK ? QVK_OK : hand_on(status, &error, err);
}

static void judge(const trial *t, const qvk_value *device, const qvk_value *reference, const char *what,
                  qvk__trial_result *out)
{
    const qvk__probe_linear linear = linear_of(t);
    const int64_t at =
        qvk__probe_linear_differs(&device->tensor, &reference->tensor, qvk__probe_linear_tolerance(&linear));

    if (at < 0)
        return;
    out->verdict = QVK__TRIAL_FAILED;
    snprintf(out->reason, sizeof out->reason,
             "in its trial, %s, element %lld came out as %g; the reference has %g", what, (long long)at,
             qvk__reference_get(&device->tensor, at), qvk__reference_get(&reference->tensor, at));
}

static qvk_status compare(qvk__engine *device, const qvk__graph *graph, const trial *t,
                          const qvk_value *input, qvk__trial_result *out, qvk_error *err)
{
    static const char *const names[N_LINEARS] = {"one scale a row", "one scale a group"};
    qvk_value on_device[N_LINEARS] = {0}, wanted[N_LINEARS] = {0};
    qvk__engine *reference = NULL;
    qvk_status status;

    QVK__TRY(run_on_device(device, t, input, on_device, out, err));
    if (out->verdict != QVK__TRIAL_NONE)
        return QVK_OK;
    QVK__TRY_GO(qvk__engine_create(NULL, graph, NULL, &reference, err));
    QVK__TRY_GO(qvk__engine_run(reference, input, 1, wanted, N_LINEARS, err));
    for (int i = 0; i < N_LINEARS && out->verdict == QVK__TRIAL_NONE; i++)
        judge(t, &on_device[i], &wanted[i], names[i], out);
    if (out->verdict == QVK__TRIAL_NONE)
        out->verdict = QVK__TRIAL_PASSED;
done:
    qvk__engine_destroy(&reference);
    return status;
}

qvk_status qvk__trial_run(qvk__gpu *gpu, qvk__kernel kernel, const bool *distrusted, qvk__trial_result *out,
                          qvk_error *err)
{
    const trial *t = find_trial(kernel);
    qvk__engine *device = NULL;
    qvk_value input = {0};
    qvk__graph graph;
    qvk_status status;

    *out = (qvk__trial_result){0};
    QVK__CHECK(t, err, QVK_INTERNAL, "%s has no trial", qvk__kernel_name(kernel));
    const qvk__linear_tuning tuning = {.family = (int)t->family, .splits = t->splits};
    const qvk__session_params params = {.distrusted = distrusted, .linear_tuning = &tuning};
    qvk__graph_init(&graph);
    QVK__TRY_GO(build(&graph, t, &input, err));
    QVK__TRY_GO(open_device(gpu, &graph, &params, &device, out, err));
    if (device)
        QVK__TRY_GO(compare(device, &graph, t, &input, out, err));
done:
    qvk__engine_destroy(&device);
    qvk__graph_finish(&graph);
    return status;
}
