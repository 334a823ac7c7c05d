/* Reference of quantized linears with the norm before them, and with what follows: float32 from the product
 * on, rounded once at the end. */
#include <math.h>

#include "core/semantics.h"
#include "reference/functions.h"

/* The linear inside. */
static qvk_status run_linear(qvk__op op, const qvk__arg args[5], qvk_tensor *out, qvk_error *err)
{
    switch (op) {
    case QVK__OP_QVK_FUSED_LINEAR_Q4GSW:
        return qvk__reference_linear_q4gsw(QVK__OP_ET_LINEAR_Q4GSW, args, 5, out, 1, err);
    case QVK__OP_QVK_FUSED_LINEAR_Q8GSW:
        return qvk__reference_linear_q8gsw(QVK__OP_QVK_LINEAR_Q8GSW, args, 5, out, 1, err);
    case QVK__OP_QVK_FUSED_LINEAR_D8_Q4GSW:
        return qvk__reference_linear_d8(QVK__OP_QVK_LINEAR_D8_Q4GSW, args, 5, out, 1, err);
    default: return qvk__reference_linear_d8(QVK__OP_QVK_LINEAR_D8_Q8GSW, args, 5, out, 1, err);
    }
}

/* Its results, not rounded to the type of `like`. */
static qvk_status compute(qvk__op op, const qvk__arg args[5], const qvk_tensor *like, float **out,
                          qvk_error *err)
{
    qvk_tensor y = *like;
    qvk_status status;

    y.dtype = QVK_DTYPE_F32;
    y.data = qvk__alloc_zeroed((uint64_t)qvk_tensor_numel(like) + 1, sizeof(float));
    QVK__CHECK(y.data, err, QVK_OUT_OF_MEMORY, "%s: no memory for its results", qvk__op_name(op));
    status = run_linear(op, args, &y, err);
    if (status == QVK_OK)
        *out = y.data;
    else
        free(y.data);
    return status;
}

static float silu(float x)
{
    return x / (1.0f + expf(-x));
}

/* y *= the linear whose gate y is. */
static qvk_status multiply(qvk__op op, const qvk__arg *args, const qvk_tensor *like, float *y, qvk_error *err)
{
    const qvk__arg up_args[5] = {args[0], args[QVK__FUSED_UP_WEIGHTS], args[QVK__FUSED_UP_SCALES], args[3],
                                 args[QVK__FUSED_UP_BIAS]};
    float *up;

    QVK__TRY(compute(op, up_args, like, &up, err));
    for (int64_t i = 0; i < qvk_tensor_numel(like); i++)
        y[i] = silu(y[i]) * up[i];
    free(up);
    return QVK_OK;
}

/* Without norm and residual. */
static qvk_status compute_gated(qvk__op op, const qvk__arg *args, const qvk_tensor *like, float **out,
                                qvk_error *err)
{
    qvk_status status = QVK_OK;
    float *y;

    QVK__TRY(compute(op, args, like, &y, err));
    if (!qvk__arg_is_null(&args[QVK__FUSED_UP_WEIGHTS]))
        status = multiply(op, args, like, y, err);
    if (status == QVK_OK)
        *out = y;
    else
        free(y);
    return status;
}

/* x normalized, in `out` (its data is the caller's to free); x itself where there is no norm. */
static qvk_status normalize(qvk__op op, const qvk__arg *args, qvk_tensor *out, qvk_error *err)
{
    const qvk__arg norm[] = {args[0], args[QVK__FUSED_NORM_WEIGHT], args[QVK__FUSED_NORM_EPS],
                             args[QVK__FUSED_NORM_ROUNDING]};
    const qvk_tensor *x;
    qvk_status status;

    QVK__TRY(qvk__arg_tensor(&args[0], "x", &x, err));
    *out = *x;
    out->data = qvk__alloc_zeroed(qvk_tensor_bytes(x) + 1, 1);
    QVK__CHECK(out->data, err, QVK_OUT_OF_MEMORY, "%s: no memory to normalize", qvk__op_name(op));
    status = qvk__reference_rms_norm(QVK__OP_QVK_RMS_NORM, norm, 4, out, 1, err);
    if (status != QVK_OK)
        free(out->data);
    return status;
}

/* The same of what is normalized, if it is. */
static qvk_status compute_normed(qvk__op op, const qvk__arg *args, const qvk_tensor *like, float **out,
                                 qvk_error *err)
{
    qvk__arg linear[QVK__FUSED_ARGS];
    qvk_tensor x;
    qvk_status status;

    if (qvk__arg_is_null(&args[QVK__FUSED_NORM_EPS]))
        return compute_gated(op, args, like, out, err);
    QVK__TRY(normalize(op, args, &x, err));
    memcpy(linear, args, sizeof linear);
    linear[0] = (qvk__arg){.kind = QVK__ARG_TENSOR, .u.tensor = &x};
    status = compute_gated(op, linear, like, out, err);
    free(x.data);
    return status;
}

qvk_status qvk__reference_fused_linear(qvk__op op, const qvk__arg *args, int n_args, qvk_tensor *outs,
                                       int n_outs, qvk_error *err)
{
    const qvk_tensor *residual;
    float *y;

    (void)n_args, (void)n_outs;
    QVK__TRY(qvk__arg_tensor_or_null(&args[QVK__FUSED_RESIDUAL], "residual", &residual, err));
    QVK__TRY(compute_normed(op, args, &outs[0], &y, err));
    for (int64_t i = 0; i < qvk_tensor_numel(&outs[0]); i++)
        qvk__reference_set(&outs[0], i,
                           (double)(residual ? y[i] + (float)qvk__reference_get(residual, i) : y[i]));
    free(y);
    return QVK_OK;
}
