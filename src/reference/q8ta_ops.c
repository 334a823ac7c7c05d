/*
 * Statically quantized int8 operators other than linear layers: convolution, addition, relu, pixel shuffle.
 * Sums of products are exact; what follows them is float32, one rounding an operation, in the order written
 * here. The shaders compute the same bits.
 */
#include "core/geometry.h"
#include "reference/functions.h"
#include "reference/rounding.h"

/* A scale and zero point of the call. */
typedef struct quantization {
    double scale;
    int64_t zero_point;
} quantization;

static qvk_status read_quantization(const qvk__arg *scale, const qvk__arg *zero_point, const char *what,
                                    quantization *out, qvk_error *err)
{
    QVK__TRY(qvk__arg_float(scale, what, &out->scale, err));
    QVK__TRY(qvk__arg_int(zero_point, what, &out->zero_point, err));
    QVK__CHECK(out->scale > 0 && isfinite(out->scale), err, QVK_INVALID_ARGUMENT, "%s: scale %g", what,
               out->scale);
    QVK__CHECK(out->zero_point >= -128 && out->zero_point <= 127, err, QVK_INVALID_ARGUMENT,
               "%s: zero point %lld is outside int8", what, (long long)out->zero_point);
    return QVK_OK;
}

static qvk_status check_int8(const qvk_tensor *tensor, const char *what, qvk_error *err)
{
    QVK__CHECK(tensor->dtype == QVK_DTYPE_I8, err, QVK_INVALID_ARGUMENT, "%s: wanted int8, got %s", what,
               qvk_dtype_name(tensor->dtype));
    return QVK_OK;
}

static float dequantize(int32_t q, const quantization *by)
{
    return (float)(q - (int32_t)by->zero_point) * (float)by->scale;
}

static int8_t quantize(float value, const quantization *by)
{
    return qvk__quantize_int8(value, (float)(1.0 / by->scale), (float)by->zero_point);
}

/* ---- convolution ---------------------------------------------------------------------------------------- */

typedef struct call {
    qvk__conv conv;
    const int8_t *x, *weight;
    int64_t weight_row; /* elements from one row of the packed weight to the next */
    quantization in, out;
    const qvk_tensor *scales, *bias;
    bool relu;
} call;

static int32_t weight_at(const call *c, int64_t channel, int64_t tap, int64_t in_channel)
{
    const int64_t in_per_group = c->conv.in_channels / c->conv.groups;

    if (c->conv.depthwise_layout)
        return c->weight[tap * c->weight_row + channel];
    return c->weight[channel * c->weight_row + tap * in_per_group + in_channel];
}

/*
 * Exact sum over one window. Padding holds the zero point and so adds nothing. A file's weight_sums only
 * restate the weights: (q - z) w summed is q w summed minus z times the sum of w, and is taken directly here.
 */
static int64_t convolve_at(const call *c, const int64_t place[4])
{
    const qvk__conv *conv = &c->conv;
    const int64_t in_per_group = conv->in_channels / conv->groups;
    const int64_t group = place[1] / (conv->out_channels / conv->groups);
    int64_t sum = 0;

    for (int64_t tap = 0; tap < conv->kernel[0] * conv->kernel[1]; tap++) {
        const int64_t row = qvk__conv_source(conv, 0, place[2], tap / conv->kernel[1]);
        const int64_t column = qvk__conv_source(conv, 1, place[3], tap % conv->kernel[1]);
        if (row < 0 || column < 0)
            continue;
        for (int64_t i = 0; i < in_per_group; i++) {
            const int64_t plane = place[0] * conv->in_channels + group * in_per_group + i;
            const int32_t q = c->x[(plane * conv->in[0] + row) * conv->in[1] + column];
            sum += (q - (int32_t)c->in.zero_point) * weight_at(c, place[1], tap, i);
        }
    }
    return sum;
}

static qvk_status read_call(qvk__op op, const qvk__arg *args, int n_args, call *c, qvk_error *err)
{
    const qvk_tensor *weight = args[3].u.tensor;
    const char *activation;

    QVK__TRY(qvk__conv_of(op, args, n_args, &c->conv, err));
    QVK__TRY(check_int8(args[0].u.tensor, "input", err));
    QVK__TRY(check_int8(weight, "weights", err));
    c->x = args[0].u.tensor->data;
    c->weight = weight->data;
    c->weight_row = weight->sizes[weight->rank - 1];
    QVK__TRY(read_quantization(&args[1], &args[2], "input", &c->in, err));
    QVK__TRY(read_quantization(&args[6], &args[7], "output", &c->out, err));
    QVK__TRY(qvk__arg_tensor(&args[5], "weight_scales", &c->scales, err));
    QVK__TRY(qvk__arg_tensor_or_null(&args[8], "bias", &c->bias, err));
    QVK__CHECK(qvk_tensor_numel(c->scales) >= c->conv.out_channels &&
                   (!c->bias || qvk_tensor_numel(c->bias) >= c->conv.out_channels),
               err, QVK_SHAPE, "scales or bias do not fit %lld output channels",
               (long long)c->conv.out_channels);
    QVK__TRY(qvk__arg_string(&args[op == QVK__OP_ET_Q8TA_CONV2D_TRANSPOSED ? 15 : 14], "activation",
                             &activation, err));
    c->relu = strcmp(activation, "relu") == 0;
    QVK__CHECK(c->relu || strcmp(activation, "none") == 0, err, QVK_INVALID_ARGUMENT,
               "activation \"%s\" is not known", activation);
    return QVK_OK;
}

qvk_status qvk__reference_q8ta_conv2d(qvk__op op, const qvk__arg *args, int n_args, qvk_tensor *outs,
                                      int n_outs, qvk_error *err)
{
    int8_t *out = outs[0].data;
    call c;

    (void)n_outs;
    QVK__TRY(read_call(op, args, n_args, &c, err));
    for (int64_t n = 0; n < c.conv.batch; n++)
        for (int64_t channel = 0; channel < c.conv.out_channels; channel++) {
            const float scale = (float)c.in.scale * (float)qvk__reference_get(c.scales, channel);
            const float bias = c.bias ? (float)qvk__reference_get(c.bias, channel) : 0.0F;
            for (int64_t i = 0; i < c.conv.out[0] * c.conv.out[1]; i++) {
                const int64_t place[4] = {n, channel, i / c.conv.out[1], i % c.conv.out[1]};
                float y = (float)convolve_at(&c, place) * scale;
                y += bias;
                if (c.relu && y < 0.0F)
                    y = 0.0F;
                *out++ = quantize(y, &c.out);
            }
        }
    return QVK_OK;
}

/* ---- elementwise ---------------------------------------------------------------------------------------- */

/* Where an element of the output lies in an input that broadcasts to it. */
static int64_t broadcast_index(const qvk_tensor *out, const qvk_tensor *in, int64_t index)
{
    int64_t result = 0, stride = 1;

    for (int i = 1; i <= out->rank; i++) {
        const int64_t place = index % out->sizes[out->rank - i];
        index /= out->sizes[out->rank - i];
        if (i > in->rank)
            continue;
        const int64_t size = in->sizes[in->rank - i];
        result += (size == 1 ? 0 : place) * stride;
        stride *= size;
    }
    return result;
}

qvk_status qvk__reference_q8ta_add(qvk__op op, const qvk__arg *args, int n_args, qvk_tensor *outs, int n_outs,
                                   qvk_error *err)
{
    const qvk_tensor *a = args[0].u.tensor, *b = args[1].u.tensor;
    quantization a_by, b_by, out_by;
    double alpha;

    (void)op;
    (void)n_args;
    (void)n_outs;
    QVK__TRY(check_int8(a, "input_a", err));
    QVK__TRY(check_int8(b, "input_b", err));
    QVK__TRY(read_quantization(&args[2], &args[3], "input_a", &a_by, err));
    QVK__TRY(read_quantization(&args[4], &args[5], "input_b", &b_by, err));
    QVK__TRY(read_quantization(&args[6], &args[7], "output", &out_by, err));
    QVK__TRY(qvk__arg_float(&args[8], "alpha", &alpha, err));
    for (int64_t i = 0; i < qvk_tensor_numel(&outs[0]); i++) {
        const int8_t qa = ((const int8_t *)a->data)[broadcast_index(&outs[0], a, i)];
        const int8_t qb = ((const int8_t *)b->data)[broadcast_index(&outs[0], b, i)];
        const float scaled = (float)alpha * dequantize(qb, &b_by);
        ((int8_t *)outs[0].data)[i] = quantize(dequantize(qa, &a_by) + scaled, &out_by);
    }
    return QVK_OK;
}

qvk_status qvk__reference_q8ta_relu(qvk__op op, const qvk__arg *args, int n_args, qvk_tensor *outs,
                                    int n_outs, qvk_error *err)
{
    const qvk_tensor *x = args[0].u.tensor;
    quantization in, out;

    (void)op;
    (void)n_args;
    (void)n_outs;
    QVK__TRY(check_int8(x, "input", err));
    QVK__TRY(read_quantization(&args[1], &args[2], "input", &in, err));
    QVK__TRY(read_quantization(&args[3], &args[4], "output", &out, err));
    for (int64_t i = 0; i < qvk_tensor_numel(x); i++) {
        const float y = dequantize(((const int8_t *)x->data)[i], &in);
        ((int8_t *)outs[0].data)[i] = quantize(y < 0.0F ? 0.0F : y, &out);
    }
    return QVK_OK;
}

qvk_status qvk__reference_q8ta_pixel_shuffle(qvk__op op, const qvk__arg *args, int n_args, qvk_tensor *outs,
                                             int n_outs, qvk_error *err)
{
    const qvk_tensor *x = args[0].u.tensor;
    qvk__shuffle shuffle;
    double inverse_scale;
    quantization in;
    int64_t zero_point;

    (void)n_outs;
    QVK__TRY(qvk__shuffle_of(op, args, n_args, &shuffle, err));
    QVK__TRY(check_int8(x, "input", err));
    QVK__TRY(read_quantization(&args[1], &args[2], "input", &in, err));
    QVK__TRY(qvk__arg_float(&args[3], "output_inv_scale", &inverse_scale, err));
    QVK__TRY(qvk__arg_int(&args[4], "output_zero_point", &zero_point, err));
    for (int64_t i = 0; i < qvk_tensor_numel(x); i++) {
        const int8_t q = ((const int8_t *)x->data)[qvk__shuffle_narrow(&shuffle, i)];
        ((int8_t *)outs[0].data)[i] =
            qvk__quantize_int8(dequantize(q, &in), (float)inverse_scale, (float)zero_point);
    }
    return QVK_OK;
}
