/*
 * Reference of the quantized linears: y = x W^T + b with 4- or 8-bit W, float or int8 x. Integer sums are
 * exact; a float32 sum runs over k inside a group, the groups' sums are scaled and added in order, the bias
 * comes last.
 */
#include "core/dtype.h"
#include "reference/functions.h"
#include "reference/rounding.h"

/* ---- one row of weights at a time --------------------------------------------------------------------- */

typedef enum weight_format {
    WEIGHT_INT8,      /* [N, K] */
    WEIGHT_LOW_EVEN,  /* two in a byte plus 8 each, even k in the low nibble: [N, ceil(K/8)*4] */
    WEIGHT_HIGH_EVEN, /* the same with even k in the high nibble: [N, ceil(K/2)] */
} weight_format;

static void unpack_row(const qvk_tensor *weight, weight_format format, int64_t n, int64_t K, int8_t *row)
{
    const uint8_t *bytes = (const uint8_t *)weight->data + n * weight->sizes[1];

    for (int64_t k = 0; k < K; k++) {
        if (format == WEIGHT_INT8) {
            row[k] = (int8_t)bytes[k];
        } else {
            bool low = (k % 2 == 0) == (format == WEIGHT_LOW_EVEN);
            row[k] = (int8_t)((low ? bytes[k / 2] & 15 : bytes[k / 2] >> 4) - 8);
        }
    }
}

/* ---- a call ------------------------------------------------------------------------------------------- */

typedef struct call {
    const qvk_tensor *x, *weight, *scales, *bias; /* bias NULL: none */
    weight_format format;
    int64_t M, N, K;
    int64_t group_size, n_groups; /* the last group may be short */
    /* int8 activations: q of row m is (q - zero_points[m]) * act_scales[m] */
    int8_t *q;
    float *act_scales;
    int32_t *zero_points;
    int8_t *row;   /* [K] of weights */
    float *floats; /* [M, K] of float activations */
} call;

static qvk_status call_begin(qvk__op op, const qvk__arg *x, const qvk__arg *weight, const qvk__arg *scales,
                             const qvk__arg *bias, weight_format format, const qvk_tensor *out, call *c,
                             qvk_error *err)
{
    *c = (call){.format = format};
    QVK__TRY(qvk__arg_tensor(x, "x", &c->x, err));
    QVK__TRY(qvk__arg_tensor(weight, "weights", &c->weight, err));
    QVK__TRY(qvk__arg_tensor(scales, "weight_scales", &c->scales, err));
    if (bias)
        QVK__TRY(qvk__arg_tensor_or_null(bias, "bias", &c->bias, err));
    QVK__CHECK(c->x->rank >= 1 && c->weight->rank == 2 && out->rank >= 1, err, QVK_SHAPE,
               "%s: x %s, weights %s", qvk__op_name(op), qvk__shape_text(c->x).text,
               qvk__shape_text(c->weight).text);
    c->K = c->x->sizes[c->x->rank - 1];
    c->N = out->sizes[out->rank - 1];
    c->M = 1;
    for (int d = 0; d < c->x->rank - 1; d++)
        c->M *= c->x->sizes[d];
    c->group_size = QVK__MAX(c->K, 1);
    c->n_groups = 1;
    int64_t row_bytes = format == WEIGHT_INT8 ? c->K : (c->K + 1) / 2;
    QVK__CHECK(c->weight->sizes[0] >= c->N && c->weight->sizes[1] >= row_bytes, err, QVK_SHAPE,
               "%s: weights %s for %lld x %lld", qvk__op_name(op), qvk__shape_text(c->weight).text,
               (long long)c->N, (long long)c->K);
    QVK__CHECK(c->M * c->N == qvk_tensor_numel(out), err, QVK_SHAPE, "%s: x %s, result %s", qvk__op_name(op),
               qvk__shape_text(c->x).text, qvk__shape_text(out).text);
    QVK__CHECK(!c->bias || qvk_tensor_numel(c->bias) >= c->N, err, QVK_SHAPE, "%s: bias %s for %lld outputs",
               qvk__op_name(op), qvk__shape_text(c->bias).text, (long long)c->N);
    c->row = qvk__alloc_zeroed((uint64_t)c->K + 1, 1);
    QVK__CHECK(c->row, err, QVK_OUT_OF_MEMORY, "%s: no memory for a row", qvk__op_name(op));
    return QVK_OK;
}

/* Scales are [G, N], with N possibly padded, or [N] for one group. */
static qvk_status set_groups(qvk__op op, const qvk__arg *group_size, call *c, qvk_error *err)
{
    if (group_size) {
        QVK__TRY(qvk__arg_int(group_size, "group_size", &c->group_size, err));
        QVK__CHECK(c->group_size >= 1, err, QVK_SHAPE, "%s: group_size %lld", qvk__op_name(op),
                   (long long)c->group_size);
        c->n_groups = QVK__MAX((c->K + c->group_size - 1) / c->group_size, 1);
    }
    bool one_row = c->scales->rank == 1 && c->n_groups == 1;
    QVK__CHECK(one_row || (c->scales->rank == 2 && c->scales->sizes[0] >= c->n_groups), err, QVK_SHAPE,
               "%s: weight_scales %s for %lld groups", qvk__op_name(op), qvk__shape_text(c->scales).text,
               (long long)c->n_groups);
    QVK__CHECK(c->scales->sizes[c->scales->rank - 1] >= c->N, err, QVK_SHAPE,
               "%s: weight_scales %s for %lld outputs", qvk__op_name(op), qvk__shape_text(c->scales).text,
               (long long)c->N);
    return QVK_OK;
}

static void call_end(call *c)
{
    free(c->row);
    free(c->floats);
    free(c->q);
    free(c->act_scales);
    free(c->zero_points);
}

static float scale_of(const call *c, int64_t group, int64_t n)
{
    return (float)qvk__reference_get(c->scales, group * c->scales->sizes[c->scales->rank - 1] + n);
}

static float bias_of(const call *c, int64_t n)
{
    return c->bias ? (float)qvk__reference_get(c->bias, n) : 0.0f;
}

/* ---- float activations -------------------------------------------------------------------------------- */

static qvk_status load_floats(qvk__op op, call *c, qvk_error *err)
{
    int64_t n = c->M * c->K;

    c->floats = qvk__alloc_zeroed((uint64_t)n + 1, sizeof(float));
    QVK__CHECK(c->floats, err, QVK_OUT_OF_MEMORY, "%s: no memory for the activations", qvk__op_name(op));
    for (int64_t i = 0; i < n; i++)
        c->floats[i] = (float)qvk__reference_get(c->x, i);
    return QVK_OK;
}

static float float_dot(const call *c, int64_t m, int64_t n)
{
    const float *x = c->floats + m * c->K;
    float y = 0.0f;

    for (int64_t group = 0; group < c->n_groups; group++) {
        float sum = 0.0f;
        for (int64_t k = group * c->group_size; k < QVK__MIN(c->K, (group + 1) * c->group_size); k++)
            sum += x[k] * (float)c->row[k];
        y += sum * scale_of(c, group, n);
    }
    return y + bias_of(c, n);
}

static qvk_status weight_only(qvk__op op, const qvk__arg *x, const qvk__arg *weight, const qvk__arg *scales,
                              const qvk__arg *group_size, const qvk__arg *bias, weight_format format,
                              qvk_tensor *out, qvk_error *err)
{
    qvk_status status;
    call c;

    QVK__TRY_GO(call_begin(op, x, weight, scales, bias, format, out, &c, err));
    QVK__TRY_GO(set_groups(op, group_size, &c, err));
    QVK__TRY_GO(load_floats(op, &c, err));
    for (int64_t n = 0; n < c.N; n++) {
        unpack_row(c.weight, c.format, n, c.K, c.row);
        for (int64_t m = 0; m < c.M; m++)
            qvk__reference_set(out, m * c.N + n, (double)float_dot(&c, m, n));
    }
done:
    call_end(&c);
    return status;
}

qvk_status qvk__reference_linear_q4gsw(qvk__op op, const qvk__arg *args, int n_args, qvk_tensor *outs,
                                       int n_outs, qvk_error *err)
{
    (void)n_args, (void)n_outs;
    return weight_only(op, &args[0], &args[1], &args[2], &args[3], &args[4], WEIGHT_LOW_EVEN, &outs[0], err);
}

qvk_status qvk__reference_linear_q8gsw(qvk__op op, const qvk__arg *args, int n_args, qvk_tensor *outs,
                                       int n_outs, qvk_error *err)
{
    (void)n_args, (void)n_outs;
    return weight_only(op, &args[0], &args[1], &args[2], &args[3], &args[4], WEIGHT_INT8, &outs[0], err);
}

qvk_status qvk__reference_linear_q8csw(qvk__op op, const qvk__arg *args, int n_args, qvk_tensor *outs,
                                       int n_outs, qvk_error *err)
{
    (void)n_args, (void)n_outs;
    return weight_only(op, &args[0], &args[1], &args[2], NULL, NULL, WEIGHT_INT8, &outs[0], err);
}

qvk_status qvk__reference_linear_qcs4w(qvk__op op, const qvk__arg *args, int n_args, qvk_tensor *outs,
                                       int n_outs, qvk_error *err)
{
    (void)n_args, (void)n_outs;
    return weight_only(op, &args[0], &args[1], &args[2], NULL, NULL, WEIGHT_HIGH_EVEN, &outs[0], err);
}

/* ---- int8 activations --------------------------------------------------------------------------------- */

static qvk_status alloc_activations(qvk__op op, call *c, qvk_error *err)
{
    c->q = qvk__alloc_zeroed((uint64_t)(c->M * c->K) + 1, 1);
    c->act_scales = qvk__alloc_zeroed((uint64_t)c->M + 1, sizeof(float));
    c->zero_points = qvk__alloc_zeroed((uint64_t)c->M + 1, sizeof(int32_t));
    QVK__CHECK(c->q && c->act_scales && c->zero_points, err, QVK_OUT_OF_MEMORY,
               "%s: no memory for the activations", qvk__op_name(op));
    return QVK_OK;
}

/* Scales and zero points per row, or one for all rows. */
static qvk_status quantize_dynamic(qvk__op op, const qvk__arg *scales, const qvk__arg *zero_points, call *c,
                                   qvk_error *err)
{
    const qvk_tensor *s, *z;

    QVK__TRY(alloc_activations(op, c, err));
    QVK__TRY(qvk__arg_tensor(scales, "input_scales", &s, err));
    QVK__TRY(qvk__arg_tensor(zero_points, "input_zp", &z, err));
    bool per_row = qvk_tensor_numel(s) != 1 || c->M == 1;
    QVK__CHECK(!per_row || (qvk_tensor_numel(s) == c->M && qvk_tensor_numel(z) == c->M), err, QVK_SHAPE,
               "%s: input_scales %s for %lld rows", qvk__op_name(op), qvk__shape_text(s).text,
               (long long)c->M);
    for (int64_t m = 0; m < c->M; m++) {
        float scale = (float)qvk__reference_get(s, per_row ? m : 0);
        int64_t zero_point = qvk__reference_get_int(z, per_row ? m : 0);
        /* A row with NaN or infinities gives NaN, as (q - zero_point) * scale does in PyTorch. */
        c->act_scales[m] = isfinite(scale) ? scale : NAN;
        c->zero_points[m] = (int32_t)QVK__MIN(QVK__MAX(zero_point, -128), 127);
        for (int64_t k = 0; k < c->K; k++)
            c->q[m * c->K + k] = qvk__quantize_int8((float)qvk__reference_get(c->x, m * c->K + k),
                                                    1.0f / scale, (float)c->zero_points[m]);
    }
    return QVK_OK;
}

/* Scales and zero points chosen per row as torchao.choose_qparams_affine does (asymmetric, int8). */
static qvk_status quantize_chosen(qvk__op op, const qvk__arg *x, call *c, qvk_error *err)
{
    int64_t block[QVK_MAX_RANK], rows = QVK__MAX(c->M, 1);
    qvk_status status;

    for (int d = 0; d < c->x->rank; d++)
        block[d] = d == c->x->rank - 1 ? QVK__MAX(c->K, 1) : 1;
    qvk_tensor outs[] = {{.dtype = c->x->dtype, .rank = 1, .sizes = {c->M}},
                         {.dtype = QVK_DTYPE_I8, .rank = 1, .sizes = {c->M}}};
    for (int i = 0; i < 2; i++)
        outs[i].data = qvk__alloc_zeroed((uint64_t)rows, 8);
    const qvk__arg args[] = {*x,
                             {.kind = QVK__ARG_STRING, .u.s = "ASYMMETRIC"},
                             {.kind = QVK__ARG_INTS, .count = (uint32_t)c->x->rank, .u.ints = block},
                             {0},
                             qvk__arg_from_int(-128),
                             qvk__arg_from_int(127),
                             {0},
                             {0},
                             {0},
                             qvk__arg_from_bool(false)};
    QVK__CHECK_GO(outs[0].data && outs[1].data, err, QVK_OUT_OF_MEMORY, "%s: no memory for scales",
                  qvk__op_name(op));
    QVK__TRY_GO(qvk__reference_choose_qparams(QVK__OP_TORCHAO_CHOOSE_QPARAMS_AFFINE, args, 10, outs, 2, err));
    const qvk__arg scales = {.kind = QVK__ARG_TENSOR, .u.tensor = &outs[0]};
    const qvk__arg zero_points = {.kind = QVK__ARG_TENSOR, .u.tensor = &outs[1]};
    QVK__TRY_GO(quantize_dynamic(op, &scales, &zero_points, c, err));
done:
    free(outs[0].data);
    free(outs[1].data);
    return status;
}

/* One scale and zero point from the call; x may be int8 already. */
static qvk_status quantize_static(qvk__op op, const qvk__arg *scale, const qvk__arg *zero_point, call *c,
                                  qvk_error *err)
{
    double s;
    int64_t z;

    QVK__TRY(alloc_activations(op, c, err));
    QVK__TRY(qvk__arg_float(scale, "input_scale", &s, err));
    QVK__TRY(qvk__arg_int(zero_point, "input_zero_point", &z, err));
    for (int64_t m = 0; m < c->M; m++) {
        c->act_scales[m] = (float)s;
        c->zero_points[m] = (int32_t)z;
    }
    for (int64_t i = 0; i < c->M * c->K; i++)
        c->q[i] = c->x->dtype == QVK_DTYPE_I8
                      ? (int8_t)qvk__reference_get_int(c->x, i)
                      : qvk__quantize_int8((float)qvk__reference_get(c->x, i), (float)(1.0 / s), (float)z);
    return QVK_OK;
}

/*
 * The group's exact sum. A file's weight_sums are redundant: (q - z) w summed is q w summed minus z times the
 * weights' sum, and is taken directly here.
 */
static int64_t integer_dot(const call *c, int64_t m, int64_t group)
{
    const int8_t *q = c->q + m * c->K;
    int64_t sum = 0;

    for (int64_t k = group * c->group_size; k < QVK__MIN(c->K, (group + 1) * c->group_size); k++)
        sum += (q[k] - c->zero_points[m]) * c->row[k];
    return sum;
}

/* Rows quantized already, group by group. */
static void group_products(call *c, qvk_tensor *out)
{
    for (int64_t n = 0; n < c->N; n++) {
        unpack_row(c->weight, c->format, n, c->K, c->row);
        for (int64_t m = 0; m < c->M; m++) {
            float y = 0.0f;
            for (int64_t group = 0; group < c->n_groups; group++)
                y += c->act_scales[m] * scale_of(c, group, n) * (float)integer_dot(c, m, group);
            qvk__reference_set(out, m * c->N + n, (double)(y + bias_of(c, n)));
        }
    }
}

static qvk_status dynamic_linear(qvk__op op, const qvk__arg *args, weight_format format, qvk_tensor *out,
                                 qvk_error *err)
{
    qvk_status status;
    call c;

    QVK__TRY_GO(call_begin(op, &args[0], &args[3], &args[5], &args[7], format, out, &c, err));
    QVK__TRY_GO(set_groups(op, &args[6], &c, err));
    QVK__TRY_GO(quantize_dynamic(op, &args[1], &args[2], &c, err));
    group_products(&c, out);
done:
    call_end(&c);
    return status;
}

qvk_status qvk__reference_linear_dq8ca_q4gsw(qvk__op op, const qvk__arg *args, int n_args, qvk_tensor *outs,
                                             int n_outs, qvk_error *err)
{
    (void)n_args, (void)n_outs;
    return dynamic_linear(op, args, WEIGHT_LOW_EVEN, &outs[0], err);
}

qvk_status qvk__reference_linear_dq8ca_q8gsw(qvk__op op, const qvk__arg *args, int n_args, qvk_tensor *outs,
                                             int n_outs, qvk_error *err)
{
    (void)n_args, (void)n_outs;
    return dynamic_linear(op, args, WEIGHT_INT8, &outs[0], err);
}

qvk_status qvk__reference_linear_d8(qvk__op op, const qvk__arg *args, int n_args, qvk_tensor *outs,
                                    int n_outs, qvk_error *err)
{
    const weight_format format = op == QVK__OP_QVK_LINEAR_D8_Q4GSW ? WEIGHT_LOW_EVEN : WEIGHT_INT8;
    qvk_status status;
    call c;

    (void)n_args, (void)n_outs;
    QVK__TRY_GO(call_begin(op, &args[0], &args[1], &args[2], &args[4], format, &outs[0], &c, err));
    QVK__TRY_GO(set_groups(op, &args[3], &c, err));
    QVK__TRY_GO(quantize_chosen(op, &args[0], &c, err));
    group_products(&c, &outs[0]);
done:
    call_end(&c);
    return status;
}

/* ---- static int8 -------------------------------------------------------------------------------------- */

/* What becomes of a float32 result: kept, or passed through the activation and quantized. */
typedef struct epilogue {
    bool quantizes, relu;
    float inverse_scale, zero_point;
} epilogue;

static qvk_status static_linear(qvk__op op, const qvk__arg *args, const qvk__arg *bias, const epilogue *end,
                                qvk_tensor *out, qvk_error *err)
{
    qvk_status status;
    call c;

    QVK__TRY_GO(call_begin(op, &args[0], &args[3], &args[5], bias, WEIGHT_INT8, out, &c, err));
    QVK__TRY_GO(set_groups(op, NULL, &c, err));
    QVK__TRY_GO(quantize_static(op, &args[1], &args[2], &c, err));
    for (int64_t n = 0; n < c.N; n++) {
        unpack_row(c.weight, c.format, n, c.K, c.row);
        for (int64_t m = 0; m < c.M; m++) {
            float scale = c.act_scales[m] * scale_of(&c, 0, n);
            float y = (float)integer_dot(&c, m, 0) * scale;
            y += bias_of(&c, n);
            if (end->relu && y < 0.0f)
                y = 0.0f;
            if (end->quantizes)
                y = (float)qvk__quantize_int8(y, end->inverse_scale, end->zero_point);
            qvk__reference_set(out, m * c.N + n, (double)y);
        }
    }
done:
    call_end(&c);
    return status;
}

qvk_status qvk__reference_linear_q8ta_q8csw(qvk__op op, const qvk__arg *args, int n_args, qvk_tensor *outs,
                                            int n_outs, qvk_error *err)
{
    const epilogue keep = {0};

    (void)n_args, (void)n_outs;
    return static_linear(op, args, &args[6], &keep, &outs[0], err);
}

qvk_status qvk__reference_q8ta_linear(qvk__op op, const qvk__arg *args, int n_args, qvk_tensor *outs,
                                      int n_outs, qvk_error *err)
{
    double scale;
    int64_t zero_point;
    const char *activation;

    (void)n_args, (void)n_outs;
    QVK__TRY(qvk__arg_float(&args[6], "output_scale", &scale, err));
    QVK__TRY(qvk__arg_int(&args[7], "output_zero_point", &zero_point, err));
    QVK__TRY(qvk__arg_string(&args[9], "activation", &activation, err));
    QVK__CHECK(strcmp(activation, "none") == 0 || strcmp(activation, "relu") == 0, err, QVK_INVALID_ARGUMENT,
               "%s: activation \"%s\" is not known", qvk__op_name(op), activation);
    const epilogue end = {.quantizes = true,
                          .relu = strcmp(activation, "relu") == 0,
                          .inverse_scale = (float)(1.0 / scale),
                          .zero_point = (float)zero_point};
    return static_linear(op, args, &args[8], &end, &outs[0], err);
}
