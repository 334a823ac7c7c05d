/* Reference of the quantize and dequantize operators (quantized_decomposed.*, torchao.*_affine). */
#include "core/blocks.h"
#include "reference/functions.h"
#include "reference/rounding.h"

/* Scales and zero points, given as numbers (per tensor) or as tensors (one per block). */
typedef struct qparams {
    const qvk_tensor *scales, *zero_points; /* NULL: the numbers below */
    double scale;
    int64_t zero_point;
} qparams;

static qvk_status read_qparams(const qvk__arg *scale, const qvk__arg *zero_point, qparams *out,
                               qvk_error *err)
{
    *out = (qparams){.scale = 1.0};
    if (scale->kind == QVK__ARG_TENSOR)
        out->scales = scale->u.tensor;
    else
        QVK__TRY(qvk__arg_float(scale, "scale", &out->scale, err));
    if (zero_point->kind == QVK__ARG_TENSOR)
        out->zero_points = qvk_tensor_numel(zero_point->u.tensor) > 0 ? zero_point->u.tensor : NULL;
    else if (!qvk__arg_is_null(zero_point))
        QVK__TRY(qvk__arg_int(zero_point, "zero_point", &out->zero_point, err));
    return QVK_OK;
}

static double scale_of(const qparams *q, int64_t block)
{
    return q->scales ? qvk__reference_get(q->scales, block) : q->scale;
}

static double zero_point_of(const qparams *q, int64_t block)
{
    return q->zero_points ? qvk__reference_get(q->zero_points, block) : (double)q->zero_point;
}

/* The range of the result's type, where the call leaves it open. */
static qvk_status read_range(const qvk__arg *low, const qvk__arg *high, qvk_dtype dtype, int64_t range[2],
                             qvk_error *err)
{
    range[0] = dtype == QVK_DTYPE_U8    ? 0
               : dtype == QVK_DTYPE_I8  ? INT8_MIN
               : dtype == QVK_DTYPE_I16 ? INT16_MIN
                                        : INT32_MIN;
    range[1] = dtype == QVK_DTYPE_U8    ? UINT8_MAX
               : dtype == QVK_DTYPE_I8  ? INT8_MAX
               : dtype == QVK_DTYPE_I16 ? INT16_MAX
                                        : INT32_MAX;
    if (!qvk__arg_is_null(low))
        QVK__TRY(qvk__arg_int(low, "quant_min", &range[0], err));
    if (!qvk__arg_is_null(high))
        QVK__TRY(qvk__arg_int(high, "quant_max", &range[1], err));
    QVK__CHECK(range[0] >= INT32_MIN && range[1] <= INT32_MAX && range[0] <= range[1], err,
               QVK_INVALID_ARGUMENT, "quant_min %lld, quant_max %lld", (long long)range[0],
               (long long)range[1]);
    return QVK_OK;
}

/*
 * x / scale in the type the operator computes in: float32, but for torchao, which stays in the tensors' own
 * type. Rounded to a whole number before the zero point is added, except per token, where it is after; there
 * float64 scales (PyTorch's default) make the whole sum float64.
 */
static double to_steps(qvk__op op, double x, double scale, double zero_point, qvk_dtype type, bool is_double)
{
    if (op == QVK__OP_QD_QUANTIZE_PER_TOKEN) {
        if (is_double)
            return rint(x * (1.0 / scale) + zero_point);
        return rintf((float)x * (1.0f / (float)scale) + (float)zero_point);
    }
    if (op == QVK__OP_TORCHAO_QUANTIZE_AFFINE) {
        float inverse = qvk__round_to(type, 1.0f / (float)scale);
        return qvk__round_to(type, rintf(qvk__round_to(type, (float)x * inverse)) + (float)zero_point);
    }
    return rintf((float)x * (float)(1.0 / scale)) + (float)zero_point;
}

qvk_status qvk__reference_quantize(qvk__op op, const qvk__arg *args, int n_args, qvk_tensor *outs, int n_outs,
                                   qvk_error *err)
{
    bool is_affine = op == QVK__OP_TORCHAO_QUANTIZE_AFFINE;
    int range_at = is_affine ? 5 : op == QVK__OP_QD_QUANTIZE_PER_CHANNEL ? 4 : 3;
    const qvk_tensor *x = args[0].u.tensor;
    qvk__blocks blocks;
    qparams q;
    int64_t range[2];

    (void)n_outs;
    QVK__TRY(qvk__blocks_of(op, args, n_args, &blocks, err));
    QVK__TRY(read_qparams(&args[is_affine ? 2 : 1], &args[is_affine ? 3 : 2], &q, err));
    QVK__TRY(read_range(&args[range_at], &args[range_at + 1], outs[0].dtype, range, err));
    qvk_dtype type = q.scales && q.scales->dtype == x->dtype ? x->dtype : QVK_DTYPE_F32;
    bool is_double = q.scales && q.scales->dtype == QVK_DTYPE_F64;
    for (int64_t i = 0, n = qvk_tensor_numel(x); i < n; i++) {
        int64_t block = qvk__blocks_index(&blocks, i);
        double steps = to_steps(op, qvk__reference_get(x, i), scale_of(&q, block), zero_point_of(&q, block),
                                type, is_double);
        int64_t value = isnan(steps) ? (outs[0].dtype == QVK_DTYPE_I32 ? INT32_MIN : 0)
                                     : (int64_t)fmin(fmax(steps, (double)range[0]), (double)range[1]);
        qvk__reference_set_int(&outs[0], i, value);
    }
    return QVK_OK;
}

qvk_status qvk__reference_dequantize(qvk__op op, const qvk__arg *args, int n_args, qvk_tensor *outs,
                                     int n_outs, qvk_error *err)
{
    bool is_affine = op == QVK__OP_TORCHAO_DEQUANTIZE_AFFINE;
    const qvk_tensor *x = args[0].u.tensor;
    qvk__blocks blocks;
    qparams q;

    (void)n_outs;
    QVK__TRY(qvk__blocks_of(op, args, n_args, &blocks, err));
    QVK__TRY(read_qparams(&args[is_affine ? 2 : 1], &args[is_affine ? 3 : 2], &q, err));
    for (int64_t i = 0, n = qvk_tensor_numel(x); i < n; i++) {
        int64_t block = qvk__blocks_index(&blocks, i);
        float steps = (float)((double)qvk__reference_get_int(x, i) - zero_point_of(&q, block));
        qvk__reference_set(&outs[0], i, (double)(steps * (float)scale_of(&q, block)));
    }
    return QVK_OK;
}
