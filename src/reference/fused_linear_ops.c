/* Reference of quantized linears with what follows them: float32 all the way, rounded once at the end. */
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

qvk_status qvk__reference_fused_linear(qvk__op op, const qvk__arg *args, int n_args, qvk_tensor *outs,
                                       int n_outs, qvk_error *err)
{
    const qvk_tensor *residual;
    float *y;

    (void)n_args, (void)n_outs;
    QVK__TRY(qvk__arg_tensor_or_null(&args[5], "residual", &residual, err));
    QVK__TRY(compute(op, args, &outs[0], &y, err));
    for (int64_t i = 0; i < qvk_tensor_numel(&outs[0]); i++)
        qvk__reference_set(&outs[0], i,
                           (double)(residual ? y[i] + (float)qvk__reference_get(residual, i) : y[i]));
    free(y);
    return QVK_OK;
}
