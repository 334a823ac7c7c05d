/*
 * Verification: after every node on the device, its inputs as they were on the device go through the
 * reference, and the outputs must agree.
 */
#include "runtime/device.h"

#include <math.h>
#include <stdio.h>

#include "core/dtype.h"
#include "core/semantics.h"
#include "reference/reference.h"
#include "runtime/staging.h"

/* A float may differ by this share of the largest magnitude in the reference's output (allowed_of). */
typedef struct tolerance {
    const char *name;
    double share;
} tolerance;

static const tolerance float_sum = {"float32 sums in another order", 5e-4};
static const tolerance half_storage = {"fp16 storage", 4e-3};
/* An activation that lies on the edge between two codes may take either. */
static const tolerance quantized_activation = {"int8 activations, one step", 1e-2};

/* ---- what a node read ----------------------------------------------------------------------------------- */

typedef struct fetching {
    qvk__engine *engine;
    const qvk__step *step;
    qvk_status status;
    qvk_error *err;
} fetching;

static qvk_status download(qvk__engine *engine, int32_t value, qvk_tensor *to, qvk_error *err)
{
    const qvk__gpu_range *range = &engine->device->current->placement.ranges[value];
    const qvk_dtype device_dtype = qvk__device_dtype(to->dtype);
    const uint64_t numel = (uint64_t)qvk_tensor_numel(to), bytes = numel * qvk_dtype_bytes(device_dtype);
    void *raw;
    qvk_status status = QVK_OK;

    if (bytes == 0)
        return QVK_OK;
    raw = qvk__alloc_zeroed(qvk__round_up(bytes, 4), 1);
    QVK__CHECK(raw, err, QVK_OUT_OF_MEMORY, "out of memory");
    QVK__TRY_GO(
        qvk__gpu_download(engine->gpu, range->buffer, range->offset, raw, qvk__round_up(bytes, 4), err));
    QVK__TRY_GO(qvk__stage_copy(raw, device_dtype, to->data, to->dtype, numel, false, "verify", err));
done:
    free(raw);
    return status;
}

static bool is_uploaded(const qvk__step *step, int32_t value)
{
    for (size_t i = 0; i < step->uploads.count; i++)
        if (step->uploads.data[i].value == value)
            return true;
    return false;
}

static qvk_status fetch(const fetching *it, int32_t value)
{
    qvk__engine *engine = it->engine;
    qvk__host *host = &engine->device->verify_host;
    const qvk__value *info = &engine->graph.values.data[value];
    const qvk_tensor *source =
        engine->sources[value].data ? &engine->sources[value] : &engine->host.tensors[value];

    if (info->constant && !info->is_mutable)
        return qvk__host_constant(host, value, it->err);
    QVK__TRY(qvk__host_reserve(host, value, it->err));
    if (is_uploaded(it->step, value) || !engine->device->current->placement.ranges[value].buffer) {
        if (!source->data)
            return QVK_OK; /* only its shape is read */
        return qvk__stage_copy(source->data, source->dtype, host->tensors[value].data,
                               host->tensors[value].dtype, (uint64_t)qvk_tensor_numel(source), false,
                               "verify", it->err);
    }
    return download(engine, value, &host->tensors[value], it->err);
}

static void visit_fetch(int32_t value, void *user)
{
    fetching *it = user;
    if (it->status == QVK_OK && it->engine->graph.values.data[value].kind == QVK__VALUE_TENSOR)
        it->status = fetch(it, value);
}

static const qvk__step *step_of(const qvk__variant *variant, int32_t node)
{
    for (size_t i = 0; i < variant->steps.count; i++)
        if (variant->steps.data[i].cpu_node < 0 && variant->steps.data[i].first_node <= node &&
            node < variant->steps.data[i].end_node)
            return &variant->steps.data[i];
    return NULL;
}

qvk_status qvk__verify_before(qvk__engine *engine, int32_t node, qvk_error *err)
{
    qvk__host *host = &engine->device->verify_host;
    const qvk__node *it = &engine->graph.nodes.data[node];
    fetching state = {engine, step_of(engine->device->current, node), QVK_OK, err};

    for (size_t i = 0; i < engine->graph.values.count; i++) {
        void *data = host->tensors[i].data;
        host->tensors[i] = engine->host.tensors[i];
        host->tensors[i].data = data;
        host->symbols[i] = engine->host.symbols[i];
        host->known[i] = true;
    }
    qvk__node_visit_args(it, visit_fetch, &state);
    return state.status;
}

/* ---- comparing ------------------------------------------------------------------------------------------ */

static bool is_quantizing(qvk__op op)
{
    const char *name = qvk__op_name(op);
    return strstr(name, "quantize") || strstr(name, "qparams") || strstr(name, "q8ta");
}

static bool is_fused_linear(const qvk__node *node)
{
    return strstr(qvk__op_name(node->op), "qvk.fused_linear") != NULL;
}

/* Sums of squares in another order put activations elsewhere before they are quantized. */
static bool quantizes_normalized(const qvk__node *node)
{
    return is_fused_linear(node) && strstr(qvk__op_name(node->op), "_d8_") &&
           !qvk__arg_is_null(&node->args[QVK__FUSED_NORM_EPS]);
}

static const tolerance *tolerance_of(const qvk__node *node, qvk_dtype dtype)
{
    const char *name = qvk__op_name(node->op);
    if (strstr(name, "dq8ca") || strstr(name, "q8ta") || quantizes_normalized(node))
        return &quantized_activation;
    return dtype == QVK_DTYPE_F16 ? &half_storage : &float_sum;
}

/* The largest magnitude in a tensor, minus another one if that is not NULL. */
static double largest(const qvk_tensor *tensor, const qvk_tensor *minus)
{
    double result = 0.0;
    for (int64_t i = 0; i < qvk_tensor_numel(tensor); i++) {
        const double x = fabs(qvk__reference_get(tensor, i) - (minus ? qvk__reference_get(minus, i) : 0.0));
        if (isfinite(x) && x > result)
            result = x;
    }
    return result;
}

/* How far apart floats may be. What a linear adds itself says nothing of its sums: beside it a wrong one
 * could be small, and a right one may cancel it out. It only adds one more rounding. */
static double allowed_of(const qvk__engine *engine, const qvk__node *node, double share,
                         const qvk_tensor *reference)
{
    const double rounding = reference->dtype == QVK_DTYPE_F16 ? 0x1p-10 : 0x1p-22;
    const qvk__arg *residual = is_fused_linear(node) ? &node->args[QVK__FUSED_RESIDUAL] : NULL;

    if (!residual || residual->kind != QVK__ARG_VALUE)
        return share * largest(reference, NULL);
    return share * largest(reference, &engine->device->verify_host.tensors[residual->u.value]) +
           rounding * largest(reference, NULL);
}

/* How far apart: 0 when equal (also as NaN or the same infinity), infinite when only one is finite. */
static double distance(double a, double b)
{
    if (isnan(a) || isnan(b))
        return isnan(a) && isnan(b) ? 0.0 : (double)INFINITY;
    if (isinf(a) || isinf(b))
        return a == b ? 0.0 : (double)INFINITY;
    return fabs(a - b);
}

static qvk_status report(const qvk__engine *engine, int32_t node, const char *what, const qvk_tensor *device,
                         const qvk_tensor *reference, int64_t worst, double allowed, const char *rule,
                         qvk_error *err)
{
    const qvk__plan *plan = &engine->device->current->plan;
    const qvk__planned_node *planned = &plan->nodes[node];
    const char *kernel =
        planned->n ? qvk__kernel_name(plan->dispatches.data[planned->first + planned->n - 1].kernel) : "none";

    qvk__fail(err, QVK_VERIFY_FAILED,
              "%s: %s %s%s, element %lld: the device has %.9g, the reference %.9g, %.3g is allowed (%s; "
              "kernel %s)",
              qvk__node_label_of(&engine->graph, (size_t)node).text, what, qvk_dtype_name(reference->dtype),
              qvk__shape_text(reference).text, (long long)worst, qvk__reference_get(device, worst),
              qvk__reference_get(reference, worst), allowed, rule, kernel);
    if (err)
        err->node = node;
    return QVK_VERIFY_FAILED;
}

static qvk_status compare(const qvk__engine *engine, int32_t node, const char *what, const qvk_tensor *device,
                          const qvk_tensor *reference, qvk_error *err)
{
    const qvk__node *it = &engine->graph.nodes.data[node];
    const bool is_float = qvk__dtype_is_float(reference->dtype);
    const tolerance *rule = tolerance_of(it, reference->dtype);
    const double allowed = is_float                ? allowed_of(engine, it, rule->share, reference)
                           : is_quantizing(it->op) ? 1.0
                                                   : 0.0;
    double worst = 0.0;
    int64_t place = 0;

    for (int64_t i = 0; i < qvk_tensor_numel(reference); i++) {
        const double d = distance(qvk__reference_get(device, i), qvk__reference_get(reference, i));
        if (d > worst) {
            worst = d;
            place = i;
        }
    }
    if (worst <= allowed)
        return QVK_OK;
    return report(engine, node, what, device, reference, place, allowed,
                  is_float        ? rule->name
                  : allowed > 0.0 ? "one step"
                                  : "exact",
                  err);
}

static qvk_status check_value(qvk__engine *engine, int32_t node, int32_t value, const char *what,
                              qvk_error *err)
{
    const qvk_tensor *reference = &engine->device->verify_host.tensors[value];
    qvk_tensor device = *reference;
    qvk_status status;

    if (!engine->device->current->placement.ranges[value].buffer || qvk_tensor_numel(reference) == 0)
        return QVK_OK;
    device.data = qvk__alloc_zeroed(qvk_tensor_bytes(&device), 1);
    QVK__CHECK(device.data, err, QVK_OUT_OF_MEMORY, "out of memory");
    status = download(engine, value, &device, err);
    if (status == QVK_OK)
        status = compare(engine, node, what, &device, reference, err);
    free(device.data);
    return status;
}

typedef struct checking {
    qvk__engine *engine;
    int32_t node;
    qvk_status status;
    qvk_error *err;
} checking;

static void visit_written(int32_t value, void *user)
{
    checking *it = user;
    if (it->status == QVK_OK)
        it->status = check_value(it->engine, it->node, value, "written argument", it->err);
}

static void visit_release(int32_t value, void *user)
{
    qvk__engine *engine = user;
    if (engine->graph.values.data[value].kind == QVK__VALUE_TENSOR)
        qvk__host_release(&engine->device->verify_host, value);
}

qvk_status qvk__verify_after(qvk__engine *engine, int32_t node, qvk_error *err)
{
    const qvk__node *it = &engine->graph.nodes.data[node];
    checking state = {engine, node, QVK_OK, err};
    char what[24];

    if (!qvk__reference_has(it->op))
        return QVK_OK;
    QVK__TRY(qvk__host_run(&engine->device->verify_host, (size_t)node, err));
    for (int i = 0; i < it->n_outs; i++) {
        snprintf(what, sizeof what, "output %d", i);
        if (it->outs[i] >= 0)
            QVK__TRY(check_value(engine, node, it->outs[i], what, err));
    }
    qvk__node_visit_written(it, visit_written, &state);
    qvk__node_visit_args(it, visit_release, engine);
    for (int i = 0; i < it->n_outs; i++)
        if (it->outs[i] >= 0)
            visit_release(it->outs[i], engine);
    return state.status;
}
