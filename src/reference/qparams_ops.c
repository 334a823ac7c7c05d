/* Reference of the choose_qparams operators: the range of a block, its scale and its zero point. */
#include "core/blocks.h"
#include "reference/functions.h"
#include "reference/rounding.h"

#define F32_SMALLEST_NORMAL 1.17549435e-38
#define F16_SMALLEST_NORMAL 6.103515625e-5
#define F32_EPSILON         1.1920928955078125e-7

/* Lowest and highest value of each block, widened to hold 0; NaN stays. */
typedef struct range {
    float low, high;
} range;

typedef enum mapping { ASYMMETRIC, SYMMETRIC, SYMMETRIC_NO_CLIPPING_ERR } mapping;

/* What a call asks for, whichever operator it is. */
typedef struct request {
    mapping mapping;
    double quant_min, quant_max;
    float eps;
    qvk_dtype type; /* arithmetic is rounded to this type after each operation */
} request;

static void widen(range *r, float value)
{
    if (isnan(value) || isnan(r->low)) {
        r->low = r->high = NAN;
        return;
    }
    r->low = fminf(r->low, value);
    r->high = fmaxf(r->high, value);
}

static float at_least(float value, float minimum)
{
    return value < minimum ? minimum : value; /* keeps NaN */
}

/* torch.clamp(qmin - round(low / scale), qmin, qmax) through the conversions PyTorch makes: NaN becomes 0 in
 * int8 (torchao), and INT32_MIN before the subtraction in quantized_decomposed. */
static int64_t zero_point_of_low(const request *want, range r, float scale, bool through_int32)
{
    float steps = rintf(qvk__round_to(want->type, r.low / scale));

    if (isnan(steps))
        return through_int32 ? (int64_t)want->quant_max : 0;
    return (int64_t)fmin(fmax(want->quant_min - (double)steps, want->quant_min), want->quant_max);
}

static float asymmetric_scale(const request *want, range r)
{
    float span = qvk__round_to(want->type, r.high - r.low);

    span = qvk__round_to(want->type, span / (float)(want->quant_max - want->quant_min));
    return at_least(span, want->eps);
}

static float symmetric_scale(const request *want, range r)
{
    float scale;

    if (want->mapping == SYMMETRIC) {
        float reach = isnan(r.low) ? r.low : fmaxf(-r.low, r.high);
        scale = qvk__round_to(want->type, reach / (float)((want->quant_max - want->quant_min) / 2));
    } else {
        float low = qvk__round_to(want->type, r.low / (float)want->quant_min);
        float high = qvk__round_to(want->type, r.high / (float)want->quant_max);
        scale = low > high ? low : high;
    }
    return at_least(scale, want->eps);
}

/* The rule of choose_qparams_per_token_asymmetric: the end of the range with the smaller error decides, and
 * rounding comes last. */
static int64_t zero_point_per_token(const request *want, range r, float scale)
{
    const float low = qvk__round_to(want->type, r.low / scale);
    const float high = qvk__round_to(want->type, r.high / scale);
    const float from_low = qvk__round_to(want->type, -128.0f + low);
    const float from_high = qvk__round_to(want->type, 127.0f + high);
    const float zero_point = qvk__round_to(want->type, from_low + from_high) > 0.0f
                                 ? qvk__round_to(want->type, -128.0f - low)
                                 : qvk__round_to(want->type, 127.0f - high);

    /* PyTorch's is the lowest int64; int64 tensors hold what fits int32 here, and both are clamped alike. */
    if (isnan(zero_point))
        return INT32_MIN;
    return (int64_t)rintf(fminf(fmaxf(zero_point, -128.0f), 127.0f));
}

static qvk_status read_affine_request(const qvk__arg *args, qvk_dtype type, request *out, qvk_error *err)
{
    const char *text;
    double eps = type == QVK_DTYPE_F16 ? F16_SMALLEST_NORMAL : F32_SMALLEST_NORMAL;

    *out = (request){.quant_min = -128, .quant_max = 127, .type = type};
    QVK__TRY(qvk__arg_string(&args[1], "mapping_type", &text, err));
    if (strcmp(text, "ASYMMETRIC") == 0)
        out->mapping = ASYMMETRIC;
    else if (strcmp(text, "SYMMETRIC") == 0)
        out->mapping = SYMMETRIC;
    else if (strcmp(text, "SYMMETRIC_NO_CLIPPING_ERR") == 0)
        out->mapping = SYMMETRIC_NO_CLIPPING_ERR;
    else
        return qvk__fail(err, QVK_INVALID_ARGUMENT, "mapping_type \"%s\" is not known", text);
    if (!qvk__arg_is_null(&args[4]))
        QVK__TRY(qvk__arg_float(&args[4], "quant_min", &out->quant_min, err));
    if (!qvk__arg_is_null(&args[5]))
        QVK__TRY(qvk__arg_float(&args[5], "quant_max", &out->quant_max, err));
    if (!qvk__arg_is_null(&args[6]))
        QVK__TRY(qvk__arg_float(&args[6], "eps", &eps, err));
    out->eps = qvk__round_to(type, (float)eps);
    return QVK_OK;
}

static qvk_status read_request(qvk__op op, const qvk__arg *args, request *out, qvk_error *err)
{
    double eps;

    if (op == QVK__OP_TORCHAO_CHOOSE_QPARAMS_AFFINE)
        return read_affine_request(args, args[0].u.tensor->dtype, out, err);
    *out = (request){
        .quant_min = -128, .quant_max = 127, .eps = (float)F32_EPSILON, .type = args[0].u.tensor->dtype};
    if (op == QVK__OP_QD_CHOOSE_QPARAMS_TENSOR) {
        QVK__TRY(qvk__arg_float(&args[1], "quant_min", &out->quant_min, err));
        QVK__TRY(qvk__arg_float(&args[2], "quant_max", &out->quant_max, err));
        QVK__TRY(qvk__arg_float(&args[3], "eps", &eps, err));
        out->eps = (float)eps;
    }
    return QVK_OK;
}

qvk_status qvk__reference_choose_qparams(qvk__op op, const qvk__arg *args, int n_args, qvk_tensor *outs,
                                         int n_outs, qvk_error *err)
{
    qvk__blocks blocks;
    request want;

    (void)n_outs;
    QVK__TRY(qvk__blocks_of(op, args, n_args, &blocks, err));
    QVK__TRY(read_request(op, args, &want, err));
    range *ranges = qvk__alloc_zeroed((uint64_t)QVK__MAX(blocks.total, 1), sizeof(*ranges));
    QVK__CHECK(ranges, err, QVK_OUT_OF_MEMORY, "%s: no memory for %lld blocks", qvk__op_name(op),
               (long long)blocks.total);
    for (int64_t i = 0, n = qvk_tensor_numel(args[0].u.tensor); i < n; i++)
        widen(&ranges[qvk__blocks_index(&blocks, i)], (float)qvk__reference_get(args[0].u.tensor, i));
    for (int64_t b = 0; b < blocks.total; b++) {
        bool symmetric = want.mapping != ASYMMETRIC;
        float scale = symmetric ? symmetric_scale(&want, ranges[b]) : asymmetric_scale(&want, ranges[b]);
        int64_t zero_point =
            symmetric ? (int64_t)((want.quant_max + want.quant_min + 1) / 2)
            : op == QVK__OP_QD_CHOOSE_QPARAMS_PER_TOKEN_ASYMMETRIC
                ? zero_point_per_token(&want, ranges[b], scale)
                : zero_point_of_low(&want, ranges[b], scale, op == QVK__OP_QD_CHOOSE_QPARAMS_TENSOR);
        qvk__reference_set(&outs[0], b, (double)scale);
        qvk__reference_set_int(&outs[1], b, zero_point);
    }
    free(ranges);
    return QVK_OK;
}
