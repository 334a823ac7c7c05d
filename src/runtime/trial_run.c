/*
 * A trial is a graph of two linears over one activation: one scale a row of the weights, and one scale a
 * group. It is planned, recorded and run like any other, with the kernel's family asked for.
 *
 * All numbers are small integers times powers of two, so that neither the order of a sum nor the rounding of
 * a quantization leaves room for two right answers: float32 results agree to a few roundings of the scales.
 */
#include "runtime/trial_run.h"

#include <math.h>
#include <stdio.h>

#include "kernels/linear_choice.h"
#include "reference/reference.h"
#include "runtime/device.h"

enum {
    COLUMNS = 70, /* of the result: no multiple of any tile */
    GROUP = 32,
    N_LINEARS = 2
};

/* Of the largest result. */
static const double TOLERANCE_F32 = 1e-5; /* the scale of an activation, times that of a weight, rounded */
static const double TOLERANCE_F16 = 2e-3; /* products and results rounded to float16 */

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

/* ---- numbers -------------------------------------------------------------------------------------------- */

/* Numerical Recipes' linear congruential generator; its upper bits. */
static int next_integer(uint32_t *state, int low, int high)
{
    *state = *state * 1664525u + 1013904223u;
    return low + (int)((*state >> 8) % (uint32_t)(high - low + 1));
}

/* Rows of q - zero_point for q from -128 to 127: the scale of a row comes out as the power of two it has. */
static void fill_activations(qvk_tensor *x, uint32_t *state)
{
    enum { LOWEST = -100, HIGHEST = LOWEST + 255 };
    const int64_t K = x->sizes[1];

    for (int64_t m = 0; m < x->sizes[0]; m++)
        for (int64_t k = 0; k < K; k++) {
            const int q = k == m ? LOWEST : k == m + 7 ? HIGHEST : next_integer(state, LOWEST, HIGHEST);
            qvk__reference_set(x, m * K + k, ldexp(q, m % 2 ? -5 : -6));
        }
}

static void fill_weights(uint8_t *bytes, uint64_t n, uint32_t *state)
{
    for (uint64_t i = 0; i < n; i++)
        bytes[i] = (uint8_t)next_integer(state, 0, 255);
}

/* Powers of two such that weights are of size about one, different for neighbours. */
static void fill_scales(qvk_tensor *scales, int bits)
{
    for (int64_t i = 0; i < qvk_tensor_numel(scales); i++)
        qvk__reference_set(scales, i, ldexp(1.0, (i % 3 ? 0 : 1) - bits));
}

static void fill_bias(qvk_tensor *bias)
{
    for (int64_t i = 0; i < qvk_tensor_numel(bias); i++)
        qvk__reference_set(bias, i, (double)(i % 11) - 5.0);
}

/* ---- the graph ------------------------------------------------------------------------------------------ */

/* A value with memory of its own, in the graph's arena; a constant unless `is_input`. */
static qvk_status add_tensor(qvk__graph *graph, const char *name, qvk_dtype dtype, int rank,
                             const int64_t *sizes, bool is_input, qvk_tensor *out, int32_t *value,
                             qvk_error *err)
{
    qvk__constant *constant = qvk__arena_alloc(&graph->arena, 1, sizeof *constant);
    qvk_tensor desc = {.dtype = dtype, .rank = rank};

    memcpy(desc.sizes, sizes, (size_t)rank * sizeof *sizes);
    *value = qvk__graph_add_value(graph, name, &desc);
    desc.data = qvk__arena_alloc(&graph->arena, qvk_tensor_bytes(&desc), 1);
    QVK__CHECK(constant && desc.data && *value >= 0, err, QVK_OUT_OF_MEMORY, "out of memory");
    *constant = (qvk__constant){.data = desc.data, .bytes = qvk_tensor_bytes(&desc), .name = name};
    if (!is_input)
        graph->values.data[*value].constant = constant;
    *out = desc;
    return QVK_OK;
}
#define SIZES(...)                                                                                           \
    (int)(sizeof((const int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), (const int64_t[])                       \
    {                                                                                                        \
        __VA_ARGS__                                                                                          \
    }

static qvk__op operator_of(const trial *t)
{
    return t->is_int8     ? t->bits == 4 ? QVK__OP_QVK_LINEAR_D8_Q4GSW : QVK__OP_QVK_LINEAR_D8_Q8GSW
           : t->bits == 4 ? QVK__OP_ET_LINEAR_Q4GSW
                          : QVK__OP_QVK_LINEAR_Q8GSW;
}

static qvk_status add_linear(qvk__graph *graph, const trial *t, int32_t x, int64_t group, uint32_t *state,
                             qvk_error *err)
{
    const qvk_tensor y = {.dtype = t->x, .rank = 2, .sizes = {t->rows, COLUMNS}};
    qvk_tensor weights, scales, bias;
    int32_t w, s, b;

    if (t->bits == 4)
        QVK__TRY(
            add_tensor(graph, "weights", QVK_DTYPE_U8, SIZES(COLUMNS, t->K / 2), false, &weights, &w, err));
    else
        QVK__TRY(add_tensor(graph, "weights", QVK_DTYPE_I8, SIZES(COLUMNS, t->K), false, &weights, &w, err));
    QVK__TRY(add_tensor(graph, "scales", t->x, SIZES(t->K / group, COLUMNS), false, &scales, &s, err));
    QVK__TRY(add_tensor(graph, "bias", t->x, SIZES(COLUMNS), false, &bias, &b, err));
    fill_weights(weights.data, qvk_tensor_bytes(&weights), state);
    fill_scales(&scales, t->bits);
    fill_bias(&bias);
    const qvk__arg args[] = {qvk__arg_from_value(x), qvk__arg_from_value(w), qvk__arg_from_value(s),
                             qvk__arg_from_int(group), qvk__arg_from_value(b)};
    const int32_t out = qvk__graph_add_value(graph, group == t->K ? "by_row" : "by_group", &y);
    QVK__CHECK(out >= 0 &&
                   qvk__graph_add_node(graph, operator_of(t), NULL, args, QVK__COUNT(args), &out, 1) >= 0 &&
                   QVK__VEC_PUSH(&graph->outputs, out),
               err, QVK_OUT_OF_MEMORY, "out of memory");
    return QVK_OK;
}

static qvk_status build(qvk__graph *graph, const trial *t, qvk_value *input, qvk_error *err)
{
    uint32_t state = 1;
    int32_t x;

    input->kind = QVK_VALUE_TENSOR;
    QVK__TRY(add_tensor(graph, "x", t->x, SIZES(t->rows, t->K), true, &input->tensor, &x, err));
    QVK__CHECK(QVK__VEC_PUSH(&graph->inputs, x), err, QVK_OUT_OF_MEMORY, "out of memory");
    fill_activations(&input->tensor, &state);
    QVK__TRY(add_linear(graph, t, x, t->K, &state, err));
    return add_linear(graph, t, x, GROUP, &state, err);
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

static void fail(qvk__trial_result *out, const char *what, qvk_status status, const qvk_error *error)
{
    out->verdict = QVK__TRIAL_FAILED;
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
        fail(out, "it did not come to an end in its trial", status, &error);
    return status == QVK_OK || status == QVK_DRIVER ? QVK_OK : hand_on(status, &error, err);
}

/* Compilers of drivers end here as well: pipelines are made with the engine. */
static qvk_status open_device(qvk__gpu *gpu, const qvk__graph *graph, const qvk__session_params *params,
                              qvk__engine **engine, qvk__trial_result *out, qvk_error *err)
{
    qvk_error error = {0};
    const qvk_status status = qvk__engine_create(gpu, graph, params, engine, &error);

    if (status == QVK_DRIVER || status == QVK_UNSUPPORTED) {
        fail(out, "the driver does not take it", status, &error);
        return QVK_OK;
    }
    return status == QVK_OK ? QVK_OK : hand_on(status, &error, err);
}

static void judge(const trial *t, const qvk_value *device, const qvk_value *reference, const char *what,
                  qvk__trial_result *out)
{
    const double tolerance = t->x == QVK_DTYPE_F16 ? TOLERANCE_F16 : TOLERANCE_F32;
    const int64_t n = qvk_tensor_numel(&reference->tensor);
    double largest = 0.0;

    for (int64_t i = 0; i < n; i++)
        largest = fmax(largest, fabs(qvk__reference_get(&reference->tensor, i)));
    for (int64_t i = 0; i < n; i++) {
        const double is = qvk__reference_get(&device->tensor, i);
        const double wanted = qvk__reference_get(&reference->tensor, i);
        if (fabs(is - wanted) <= tolerance * largest) /* false for NaN */
            continue;
        out->verdict = QVK__TRIAL_FAILED;
        snprintf(out->reason, sizeof out->reason,
                 "in its trial, %s, element %lld came out as %g; the reference has %g", what, (long long)i,
                 is, wanted);
        return;
    }
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
