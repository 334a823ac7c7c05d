/* Static int8 convolution, addition, relu; pixel shuffles of any type. */
#include <math.h>

#include "core/dtype.h"
#include "kernels/pack_conv.h"
#include "kernels/pack_q8ta.h"
#include "kernels/plan.h"

/* A matrix product pays from this many output channels in a group on. */
#define GEMM_CHANNELS 8
/* Longest sum of products (q - zero point) w that cannot overflow int32: 2^31 / (255 * 128). */
#define MAX_SUM 65793

/* A scale and zero point of the call. */
typedef struct quantization {
    double scale;
    int64_t zero_point;
} quantization;

static qvk_status read_quantization(const qvk__arg *scale, const qvk__arg *zero_point, quantization *out,
                                    qvk_error *err)
{
    QVK__TRY(qvk__arg_float(scale, "scale", &out->scale, err));
    return qvk__arg_int(zero_point, "zero_point", &out->zero_point, err);
}

static void add_output_quantization(qvk__dispatch *d, const quantization *by)
{
    qvk__dispatch_float(d, (float)(1.0 / by->scale));
    qvk__dispatch_float(d, (float)by->zero_point);
}

static qvk_status check_int8(const qvk_tensor *tensor, qvk_error *err)
{
    QVK__CHECK(tensor->dtype == QVK_DTYPE_I8, err, QVK_UNSUPPORTED, "wanted int8, got %s",
               qvk_dtype_name(tensor->dtype));
    return QVK_OK;
}

/* ---- convolution ---------------------------------------------------------------------------------------- */

typedef struct conv_call {
    qvk__conv conv;
    quantization in, out;
    qvk__q8ta_weight weight;
    bool relu;
    qvk__pack epilogue;
    uint64_t pixels, out_per_group, outputs;
} conv_call;

static qvk_status read_constants(qvk__planner *planner, const qvk__node *node, const qvk__call *call,
                                 conv_call *c, qvk_error *err)
{
    const int32_t scales = qvk__call_value(node, 5), bias = qvk__call_value(node, 8);
    const qvk_tensor *weight = call->args[3].u.tensor;

    c->weight = (qvk__q8ta_weight){
        .value = qvk__call_value(node, 3),
        .channels = c->conv.out_channels,
        .taps = c->conv.kernel[0] * c->conv.kernel[1],
        .in_per_group = c->conv.in_channels / c->conv.groups,
        .row = weight->sizes[weight->rank - 1],
        .depthwise = c->conv.depthwise_layout,
    };
    QVK__CHECK(qvk__is_constant(planner, c->weight.value) && qvk__is_constant(planner, scales) &&
                   (bias < 0 || qvk__is_constant(planner, bias)),
               err, QVK_UNSUPPORTED, "weights that are computed");
    QVK__TRY(check_int8(weight, err));
    QVK__CHECK(c->weight.taps * c->weight.in_per_group <= MAX_SUM, err, QVK_UNSUPPORTED,
               "sums of %lld products may overflow int32",
               (long long)(c->weight.taps * c->weight.in_per_group));
    const qvk_tensor *s = call->args[5].u.tensor, *b = bias < 0 ? NULL : call->args[8].u.tensor;
    QVK__CHECK(qvk_tensor_numel(s) >= c->weight.channels && (!b || qvk_tensor_numel(b) >= c->weight.channels),
               err, QVK_SHAPE, "scales or bias do not fit %lld output channels",
               (long long)c->weight.channels);
    c->epilogue = qvk__pack_q8ta_epilogue(&c->weight, scales, s->dtype, bias, b ? b->dtype : QVK_DTYPE_NONE,
                                          (float)c->in.scale, (int32_t)c->in.zero_point);
    return QVK_OK;
}

static qvk_status read_conv(qvk__planner *planner, const qvk__node *node, const qvk__call *call, conv_call *c,
                            qvk_error *err)
{
    const char *activation;

    QVK__TRY(qvk__conv_of(node->op, call->args, call->n_args, &c->conv, err));
    QVK__TRY(check_int8(call->args[0].u.tensor, err));
    QVK__TRY(read_quantization(&call->args[1], &call->args[2], &c->in, err));
    QVK__TRY(read_quantization(&call->args[6], &call->args[7], &c->out, err));
    QVK__TRY(qvk__arg_string(&call->args[call->n_args - 1], "activation", &activation, err));
    c->relu = strcmp(activation, "relu") == 0;
    QVK__CHECK(c->relu || strcmp(activation, "none") == 0, err, QVK_UNSUPPORTED, "activation \"%s\"",
               activation);
    c->pixels = (uint64_t)(c->conv.out[0] * c->conv.out[1]);
    c->out_per_group = (uint64_t)(c->conv.out_channels / c->conv.groups);
    c->outputs = (uint64_t)(c->conv.batch * c->conv.out_channels) * c->pixels;
    return read_constants(planner, node, call, c, err);
}

/* Packs the constants and adds what both kernels begin with. */
static qvk_status add_operands(qvk__planner *planner, const qvk__node *node, const conv_call *c,
                               const qvk__pack *weight, qvk__dispatch *d, qvk_error *err)
{
    qvk__ref packed, epilogue;

    QVK__TRY(planner->pack(planner, weight, &packed, err));
    QVK__TRY(planner->pack(planner, &c->epilogue, &epilogue, err));
    qvk__dispatch_read(d, qvk__ref_value(qvk__call_value(node, 0)));
    qvk__dispatch_read(d, packed);
    qvk__dispatch_read(d, epilogue);
    qvk__dispatch_write(d, qvk__ref_value(node->outs[0]));
    qvk__dispatch_spec(d, c->conv.transposed);
    qvk__dispatch_spec(d, c->relu);
    qvk__dispatch_conv(d, &c->conv);
    d->bytes = (uint64_t)(c->conv.batch * c->conv.in_channels * c->conv.in[0] * c->conv.in[1]) +
               weight->bytes + c->outputs;
    d->ops = 2 * c->outputs * (uint64_t)(c->weight.taps * c->weight.in_per_group);
    return QVK_OK;
}

static qvk__kernel gemm_kernel(const qvk__planner *planner, qvk__tile tile)
{
    /* Without and with the packed dot product. */
    static const qvk__kernel kernels[][2] = {
        [QVK__TILE_128X128] = {QVK__KERNEL_Q8TA_CONV_GEMM_128X128, QVK__KERNEL_Q8TA_CONV_GEMM_128X128_DOT8},
        [QVK__TILE_64X64] = {QVK__KERNEL_Q8TA_CONV_GEMM_64X64, QVK__KERNEL_Q8TA_CONV_GEMM_64X64_DOT8},
        [QVK__TILE_16X64] = {QVK__KERNEL_Q8TA_CONV_GEMM_16X64, QVK__KERNEL_Q8TA_CONV_GEMM_16X64_DOT8},
    };

    return kernels[tile][qvk__kernel_usable(kernels[tile][1], planner->caps)];
}

static qvk_status plan_gemm(qvk__planner *planner, const qvk__node *node, const conv_call *c, qvk_error *err)
{
    const qvk__pack weight = qvk__pack_q8ta_blocks(&c->weight);
    const uint64_t batches = (uint64_t)(c->conv.batch * c->conv.groups);
    uint64_t tiles_m, tiles_n;
    const qvk__tile tile =
        qvk__choose_tile(planner, batches, c->out_per_group, c->pixels, &tiles_m, &tiles_n);
    qvk__dispatch d = {.kernel = gemm_kernel(planner, tile)};

    QVK__TRY(add_operands(planner, node, c, &weight, &d, err));
    qvk__dispatch_spec(&d, qvk__is_pointwise(&c->conv) && c->pixels % 4 == 0);
    qvk__dispatch_uint(&d, tiles_m);
    qvk__dispatch_uint(&d, tiles_n);
    qvk__dispatch_uint(&d, qvk__div_up((uint64_t)c->weight.in_per_group, 4));
    qvk__dispatch_uint(&d, (uint64_t)(c->in.zero_point & 255) * 0x01010101u);
    add_output_quantization(&d, &c->out);
    qvk__dispatch_groups(planner, &d, batches * tiles_m * tiles_n);
    return planner->dispatch(planner, &d, err);
}

static qvk_status plan_direct(qvk__planner *planner, const qvk__node *node, const conv_call *c,
                              qvk_error *err)
{
    const qvk__pack weight = qvk__pack_q8ta_bytes(&c->weight);
    qvk__dispatch d = {.kernel = QVK__KERNEL_Q8TA_CONV_DIRECT};

    QVK__TRY(add_operands(planner, node, c, &weight, &d, err));
    qvk__dispatch_uint(&d, c->outputs);
    qvk__dispatch_int(&d, c->in.zero_point);
    add_output_quantization(&d, &c->out);
    qvk__dispatch_groups(planner, &d, qvk__div_up(qvk__div_up(c->outputs, 4), 64));
    return planner->dispatch(planner, &d, err);
}

static qvk_status plan_vector8(qvk__planner *planner, const qvk__node *node, const conv_call *c,
                               qvk_error *err)
{
    const bool depthwise = qvk__is_depthwise_vector8(planner, &c->conv);
    qvk__conv_vector8 call = {
        .kernel = depthwise ? QVK__KERNEL_DEPTHWISE_CPU_I8 : QVK__KERNEL_CONV_CPU_I8,
        .conv = &c->conv,
        .weight = depthwise ? qvk__pack_q8ta_depthwise(&c->conv, &c->weight)
                            : qvk__pack_q8ta_panels(&c->conv, &c->weight),
        .table = qvk__pack_conv_table(&c->conv, c->weight.value, true),
        .x = qvk__ref_value(qvk__call_value(node, 0)),
        .y = qvk__ref_value(node->outs[0]),
        .flag = c->relu,
        .input_zero_point = (int32_t)c->in.zero_point,
        .low_or_inverse_scale = (float)(1.0 / c->out.scale),
        .high_or_zero_point = (float)c->out.zero_point,
    };

    QVK__TRY(planner->pack(planner, &c->epilogue, &call.tail, err));
    return qvk__plan_conv_vector8(planner, &call, err);
}

qvk_status qvk__plan_q8ta_conv2d(qvk__planner *planner, const qvk__node *node, qvk_error *err)
{
    qvk__call call;
    conv_call c;

    QVK__TRY(qvk__call_of(planner, node, &call, err));
    QVK__TRY(read_conv(planner, node, &call, &c, err));
    if (c.outputs == 0)
        return QVK_OK;
    const bool wide = c.out_per_group >= GEMM_CHANNELS;
    if (qvk__is_vector8(planner) && qvk__kernel_usable(QVK__KERNEL_CONV_CPU_I8, planner->caps) &&
        (wide || qvk__is_depthwise_vector8(planner, &c.conv)))
        return plan_vector8(planner, node, &c, err);
    return wide ? plan_gemm(planner, node, &c, err) : plan_direct(planner, node, &c, err);
}

/* ---- elementwise ---------------------------------------------------------------------------------------- */

/* With b NULL the relu. Parameters in the order of q8ta_elementwise.comp. */
static qvk_status plan_elementwise(qvk__planner *planner, const qvk__node *node, const quantization *a,
                                   const quantization *b, float alpha, const quantization *out,
                                   qvk_error *err)
{
    const qvk_tensor *y = qvk__call_out(planner, node, 0);
    const uint64_t words = qvk__div_up((uint64_t)qvk_tensor_numel(y), 4);
    qvk__dispatch d = {.kernel = b ? QVK__KERNEL_Q8TA_ADD : QVK__KERNEL_Q8TA_RELU,
                       .bytes = words * 4 * (b ? 3 : 2),
                       .ops = words * 4};

    if (words == 0)
        return QVK_OK;
    qvk__dispatch_read(&d, qvk__ref_value(qvk__call_value(node, 0)));
    if (b)
        qvk__dispatch_read(&d, qvk__ref_value(qvk__call_value(node, 1)));
    qvk__dispatch_write(&d, qvk__ref_value(node->outs[0]));
    qvk__dispatch_uint(&d, words);
    qvk__dispatch_int(&d, a->zero_point);
    qvk__dispatch_int(&d, b ? b->zero_point : 0);
    qvk__dispatch_float(&d, (float)a->scale);
    qvk__dispatch_float(&d, b ? (float)b->scale : 0);
    qvk__dispatch_float(&d, alpha);
    add_output_quantization(&d, out);
    qvk__dispatch_groups(planner, &d, qvk__div_up(words, 64));
    return planner->dispatch(planner, &d, err);
}

qvk_status qvk__plan_q8ta_add(qvk__planner *planner, const qvk__node *node, qvk_error *err)
{
    quantization a, b, out;
    qvk__call call;
    double alpha;

    QVK__TRY(qvk__call_of(planner, node, &call, err));
    QVK__TRY(check_int8(call.args[0].u.tensor, err));
    QVK__TRY(check_int8(call.args[1].u.tensor, err));
    QVK__CHECK(qvk__shape_equal(call.args[0].u.tensor, call.args[1].u.tensor), err, QVK_UNSUPPORTED,
               "int8 addition of %s and %s: no kernel that broadcasts",
               qvk__shape_text(call.args[0].u.tensor).text, qvk__shape_text(call.args[1].u.tensor).text);
    QVK__TRY(read_quantization(&call.args[2], &call.args[3], &a, err));
    QVK__TRY(read_quantization(&call.args[4], &call.args[5], &b, err));
    QVK__TRY(read_quantization(&call.args[6], &call.args[7], &out, err));
    QVK__TRY(qvk__arg_float(&call.args[8], "alpha", &alpha, err));
    return plan_elementwise(planner, node, &a, &b, (float)alpha, &out, err);
}

qvk_status qvk__plan_q8ta_relu(qvk__planner *planner, const qvk__node *node, qvk_error *err)
{
    quantization in, out;
    qvk__call call;

    QVK__TRY(qvk__call_of(planner, node, &call, err));
    QVK__TRY(check_int8(call.args[0].u.tensor, err));
    QVK__TRY(read_quantization(&call.args[1], &call.args[2], &in, err));
    QVK__TRY(read_quantization(&call.args[3], &call.args[4], &out, err));
    return plan_elementwise(planner, node, &in, NULL, 0, &out, err);
}

/* ---- pixel shuffles ------------------------------------------------------------------------------------- */

/* Everything but what requantization takes. */
static qvk_status begin_shuffle(qvk__planner *planner, const qvk__node *node, qvk__call *call,
                                qvk__dispatch *d, uint64_t *words, qvk_error *err)
{
    qvk__shuffle shuffle;

    QVK__TRY(qvk__call_of(planner, node, call, err));
    QVK__TRY(qvk__shuffle_of(node->op, call->args, call->n_args, &shuffle, err));
    const qvk_tensor *x = call->args[0].u.tensor;
    const qvk_dtype dtype = qvk__device_dtype(x->dtype);
    const uint64_t elements = (uint64_t)qvk_tensor_numel(x);
    *words = qvk__div_up(elements * qvk_dtype_bytes(dtype), 4);
    qvk__dispatch_read(d, qvk__ref_value(qvk__call_value(node, 0)));
    qvk__dispatch_write(d, qvk__ref_value(node->outs[0]));
    qvk__dispatch_spec(d, dtype);
    qvk__dispatch_spec(d, shuffle.inverse);
    qvk__dispatch_uint(d, elements);
    qvk__dispatch_int(d, shuffle.rows);
    qvk__dispatch_int(d, shuffle.columns);
    qvk__dispatch_int(d, shuffle.factor);
    d->bytes = 2 * elements * qvk_dtype_bytes(dtype);
    qvk__dispatch_groups(planner, d, qvk__div_up(*words, 64));
    return QVK_OK;
}

qvk_status qvk__plan_pixel_shuffle(qvk__planner *planner, const qvk__node *node, qvk_error *err)
{
    qvk__dispatch d = {.kernel = QVK__KERNEL_PIXEL_SHUFFLE};
    uint64_t words;
    qvk__call call;

    QVK__TRY(begin_shuffle(planner, node, &call, &d, &words, err));
    return words > 0 ? planner->dispatch(planner, &d, err) : QVK_OK;
}

qvk_status qvk__plan_q8ta_pixel_shuffle(qvk__planner *planner, const qvk__node *node, qvk_error *err)
{
    qvk__dispatch d = {.kernel = QVK__KERNEL_Q8TA_PIXEL_SHUFFLE};
    quantization in;
    double inverse_scale;
    int64_t zero_point;
    uint64_t words;
    qvk__call call;

    QVK__TRY(begin_shuffle(planner, node, &call, &d, &words, err));
    QVK__TRY(check_int8(call.args[0].u.tensor, err));
    QVK__TRY(read_quantization(&call.args[1], &call.args[2], &in, err));
    QVK__TRY(qvk__arg_float(&call.args[3], "output_inv_scale", &inverse_scale, err));
    QVK__TRY(qvk__arg_int(&call.args[4], "output_zero_point", &zero_point, err));
    qvk__dispatch_int(&d, in.zero_point);
    qvk__dispatch_float(&d, (float)in.scale);
    qvk__dispatch_float(&d, (float)inverse_scale);
    qvk__dispatch_float(&d, (float)zero_point);
    return words > 0 ? planner->dispatch(planner, &d, err) : QVK_OK;
}
