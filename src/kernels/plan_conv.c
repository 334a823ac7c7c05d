/* Float convolution. */
#include "core/dtype.h"
#include "kernels/pack_conv.h"
#include "kernels/plan.h"

/* A matrix product pays from this many output channels in a group on. */
#define GEMM_CHANNELS 8

void qvk__dispatch_conv(qvk__dispatch *dispatch, const qvk__conv *conv)
{
    const int64_t *const pairs[] = {conv->in,     conv->out,     conv->kernel,
                                    conv->stride, conv->padding, conv->dilation};

    for (size_t i = 0; i < QVK__COUNT(pairs); i++) {
        qvk__dispatch_int(dispatch, pairs[i][0]);
        qvk__dispatch_int(dispatch, pairs[i][1]);
    }
    qvk__dispatch_int(dispatch, conv->batch);
    qvk__dispatch_int(dispatch, conv->groups);
    qvk__dispatch_int(dispatch, conv->in_channels / conv->groups);
    qvk__dispatch_int(dispatch, conv->out_channels / conv->groups);
}

/* ---- vectors of 8 --------------------------------------------------------------------------------------- */

bool qvk__is_pointwise(const qvk__conv *conv)
{
    bool pointwise = !conv->transposed;

    for (int i = 0; i < 2; i++)
        pointwise = pointwise && conv->kernel[i] == 1 && conv->stride[i] == 1 && conv->padding[i] == 0;
    return pointwise;
}

/* A pointwise convolution sees an image as one long row. */
static qvk__conv flatten(const qvk__conv *conv)
{
    qvk__conv flat = *conv;

    if (qvk__is_pointwise(conv)) {
        flat.in[1] = flat.out[1] = conv->in[0] * conv->in[1];
        flat.in[0] = flat.out[0] = 1;
    }
    return flat;
}

static qvk_status plan_panels(qvk__planner *planner, const qvk__conv_vector8 *call, qvk_error *err)
{
    const qvk__conv conv = flatten(call->conv);
    const uint64_t out_per_group = (uint64_t)(conv.out_channels / conv.groups);
    const uint64_t terms = (uint64_t)(conv.in_channels / conv.groups * conv.kernel[0] * conv.kernel[1]);
    const uint64_t pixels = (uint64_t)(conv.out[0] * conv.out[1]), panels = qvk__div_up(out_per_group, 8);
    const uint64_t tm = QVK__MIN(panels, 4), tiles_own = qvk__div_up(panels, tm);
    /* Blocks that keep to a row gather in few loads, unless rows are short. */
    const bool rows = !conv.transposed && conv.stride[1] <= 2 && conv.out[1] > 4;
    const uint64_t tiles_pixel =
        rows ? (uint64_t)conv.out[0] * qvk__div_up((uint64_t)conv.out[1], 8) : qvk__div_up(pixels, 8);
    qvk__dispatch d = {.kernel = call->kernel,
                       .bytes = call->weight.bytes,
                       .ops = 2 * (uint64_t)(conv.batch * conv.groups) * out_per_group * pixels * terms};
    qvk__ref weight, table;

    QVK__TRY(planner->pack(planner, &call->weight, &weight, err));
    QVK__TRY(planner->pack(planner, &call->table, &table, err));
    qvk__dispatch_read(&d, call->x);
    qvk__dispatch_read(&d, weight);
    qvk__dispatch_read(&d, table);
    qvk__dispatch_read(&d, call->tail);
    qvk__dispatch_write(&d, call->y);
    qvk__dispatch_spec(&d, (uint32_t)tm);
    qvk__dispatch_spec(&d, conv.transposed);
    qvk__dispatch_spec(&d, rows ? (uint32_t)conv.stride[1] : 0);
    qvk__dispatch_spec(&d, call->flag);
    qvk__dispatch_conv(&d, &conv);
    qvk__dispatch_uint(&d, tiles_own);
    qvk__dispatch_uint(&d, tiles_pixel);
    qvk__dispatch_uint(&d, panels);
    qvk__dispatch_uint(&d, qvk__div_up(terms, 8));
    qvk__dispatch_int(&d, call->input_zero_point);
    qvk__dispatch_float(&d, call->low_or_inverse_scale);
    qvk__dispatch_float(&d, call->high_or_zero_point);
    qvk__dispatch_groups(planner, &d, (uint64_t)(conv.batch * conv.groups) * tiles_own * tiles_pixel);
    return planner->dispatch(planner, &d, err);
}

/* Runs of pixels that a work group of depthwise_cpu.comp goes over: its weights are loaded once for them. */
#define DEPTHWISE_RUNS 8

bool qvk__is_depthwise_vector8(const qvk__planner *planner, const qvk__conv *conv)
{
    const int64_t span = 7 * conv->stride[1] + (conv->kernel[1] - 1) * conv->dilation[1] + 1;

    return qvk__is_vector8(planner) && qvk__kernel_usable(QVK__KERNEL_DEPTHWISE_CPU_F32, planner->caps) &&
           !conv->transposed && conv->groups == conv->in_channels && conv->groups == conv->out_channels &&
           conv->kernel[0] * conv->kernel[1] <= 49 && span <= 32;
}

static qvk_status plan_depthwise(qvk__planner *planner, const qvk__conv_vector8 *call, qvk_error *err)
{
    const qvk__conv *conv = call->conv;
    const uint64_t tiles = (uint64_t)conv->out[0] * qvk__div_up((uint64_t)conv->out[1], 8);
    const uint64_t panels = qvk__div_up((uint64_t)conv->groups, 8);
    const uint64_t outputs = (uint64_t)(conv->batch * conv->groups * conv->out[0] * conv->out[1]);
    qvk__dispatch d = {.kernel = call->kernel,
                       .bytes = call->weight.bytes,
                       .ops = 2 * outputs * (uint64_t)(conv->kernel[0] * conv->kernel[1])};
    qvk__ref weight;

    QVK__TRY(planner->pack(planner, &call->weight, &weight, err));
    qvk__dispatch_read(&d, call->x);
    qvk__dispatch_read(&d, weight);
    qvk__dispatch_read(&d, call->tail);
    qvk__dispatch_write(&d, call->y);
    qvk__dispatch_spec(&d, (uint32_t)conv->kernel[0]);
    qvk__dispatch_spec(&d, (uint32_t)conv->kernel[1]);
    qvk__dispatch_spec(&d, (uint32_t)conv->stride[1]);
    qvk__dispatch_spec(&d, (uint32_t)conv->dilation[1]);
    qvk__dispatch_spec(&d, call->flag);
    qvk__dispatch_conv(&d, conv);
    qvk__dispatch_uint(&d, tiles);
    qvk__dispatch_uint(&d, DEPTHWISE_RUNS);
    qvk__dispatch_int(&d, call->input_zero_point);
    qvk__dispatch_float(&d, call->low_or_inverse_scale);
    qvk__dispatch_float(&d, call->high_or_zero_point);
    qvk__dispatch_groups(planner, &d, (uint64_t)conv->batch * panels * qvk__div_up(tiles, DEPTHWISE_RUNS));
    return planner->dispatch(planner, &d, err);
}

qvk_status qvk__plan_conv_vector8(qvk__planner *planner, const qvk__conv_vector8 *call, qvk_error *err)
{
    return qvk__is_depthwise_vector8(planner, call->conv) ? plan_depthwise(planner, call, err)
                                                          : plan_panels(planner, call, err);
}

/* ---- base ----------------------------------------------------------------------------------------------- */

typedef struct conv_call {
    qvk__conv conv;
    const qvk_tensor *x, *weight, *bias, *y; /* bias may be NULL */
    float lower, upper;
    uint64_t pixels, out_per_group, in_per_group, taps;
} conv_call;

/* Buffers and constants both kernels have. */
static void add_operands(const qvk__node *node, const conv_call *c, qvk__dispatch *d)
{
    const qvk__ref x = qvk__ref_value(qvk__call_value(node, 0));
    const uint64_t outputs = (uint64_t)qvk_tensor_numel(c->y);

    qvk__dispatch_read(d, x);
    qvk__dispatch_read(d, qvk__ref_value(qvk__call_value(node, 1)));
    qvk__dispatch_read(d, c->bias ? qvk__ref_value(qvk__call_value(node, 2)) : x);
    qvk__dispatch_write(d, qvk__ref_value(node->outs[0]));
    qvk__dispatch_spec(d, qvk__device_dtype(c->x->dtype));
    qvk__dispatch_spec(d, qvk__device_dtype(c->weight->dtype));
    qvk__dispatch_spec(d, qvk__device_dtype(c->y->dtype));
    qvk__dispatch_spec(d, c->bias ? qvk__device_dtype(c->bias->dtype) : QVK_DTYPE_NONE);
    qvk__dispatch_spec(d, c->conv.transposed);
    qvk__dispatch_conv(d, &c->conv);
    d->bytes = qvk__device_bytes(c->x) + qvk__device_bytes(c->weight) + qvk__device_bytes(c->y);
    d->ops = 2 * outputs * c->in_per_group * c->taps;
    if (c->conv.transposed) /* every input element meets every tap */
        d->ops = 2 * (uint64_t)qvk_tensor_numel(c->x) * c->out_per_group * c->taps;
}

static qvk_status plan_gemm(qvk__planner *planner, const qvk__node *node, const conv_call *c, qvk_error *err)
{
    static const qvk__kernel kernels[] = {
        [QVK__TILE_128X128] = QVK__KERNEL_CONV_GEMM_128X128,
        [QVK__TILE_64X64] = QVK__KERNEL_CONV_GEMM_64X64,
        [QVK__TILE_16X64] = QVK__KERNEL_CONV_GEMM_16X64,
    };
    const uint64_t batches = (uint64_t)(c->conv.batch * c->conv.groups);
    uint64_t tiles_m, tiles_n;
    qvk__dispatch d = {
        .kernel =
            kernels[qvk__choose_tile(planner, batches, c->out_per_group, c->pixels, &tiles_m, &tiles_n)]};

    add_operands(node, c, &d);
    qvk__dispatch_uint(&d, tiles_m);
    qvk__dispatch_uint(&d, tiles_n);
    qvk__dispatch_float(&d, c->lower);
    qvk__dispatch_float(&d, c->upper);
    qvk__dispatch_groups(planner, &d, batches * tiles_m * tiles_n);
    return planner->dispatch(planner, &d, err);
}

static qvk_status plan_direct(qvk__planner *planner, const qvk__node *node, const conv_call *c,
                              qvk_error *err)
{
    const uint64_t elements = (uint64_t)qvk_tensor_numel(c->y);
    const uint64_t in_word = 4 / qvk_dtype_bytes(qvk__device_dtype(c->y->dtype));
    qvk__dispatch d = {.kernel = QVK__KERNEL_CONV_DIRECT};

    add_operands(node, c, &d);
    qvk__dispatch_uint(&d, elements);
    qvk__dispatch_float(&d, c->lower);
    qvk__dispatch_float(&d, c->upper);
    qvk__dispatch_groups(planner, &d, qvk__div_up(qvk__div_up(elements, in_word), 64));
    return planner->dispatch(planner, &d, err);
}

/* A pointwise convolution is a product as it stands: weight [OC, IC] by image [IC, pixels]. */
static bool fits_product(const qvk__planner *planner, const conv_call *c)
{
    return qvk__is_pointwise(&c->conv) && (c->conv.groups == 1 || c->conv.batch == 1) &&
           (!qvk__is_vector8(planner) || (c->in_per_group % 8 == 0 && c->pixels % 8 == 0));
}

static qvk_status plan_product(qvk__planner *planner, const qvk__node *node, const conv_call *c,
                               qvk_error *err)
{
    qvk__product product = qvk__product_of(c->out_per_group, c->pixels, c->in_per_group);
    const uint64_t groups = (uint64_t)c->conv.groups;

    product.outer = (uint64_t)c->conv.batch;
    product.inner = groups;
    product.b_rows_are_k = true;
    product.a = (qvk__matrix){qvk__ref_value(qvk__call_value(node, 1)), c->weight->dtype, 0,
                              product.m * product.k, product.k};
    product.b = (qvk__matrix){qvk__ref_value(qvk__call_value(node, 0)), c->x->dtype,
                              groups * product.k * product.n, product.k * product.n, product.n};
    product.c = (qvk__matrix){qvk__ref_value(node->outs[0]), c->y->dtype, groups * product.m * product.n,
                              product.m * product.n, product.n};
    if (c->bias) {
        product.d = qvk__ref_value(qvk__call_value(node, 2));
        product.d_dtype = c->bias->dtype;
        product.d_strides[0] = groups > 1 ? product.m : 0; /* then the batch is one */
        product.d_strides[1] = 1;
    }
    product.lower = c->lower;
    product.upper = c->upper;
    return qvk__plan_product(planner, &product, err);
}

static bool fits_vector8(const qvk__planner *planner, const qvk__node *node, const conv_call *c)
{
    return qvk__is_vector8(planner) && qvk__kernel_usable(QVK__KERNEL_CONV_CPU_F32, planner->caps) &&
           qvk__device_dtype(c->x->dtype) == QVK_DTYPE_F32 &&
           qvk__device_dtype(c->y->dtype) == QVK_DTYPE_F32 &&
           (!c->bias || qvk__device_dtype(c->bias->dtype) == QVK_DTYPE_F32) &&
           qvk__is_constant(planner, qvk__call_value(node, 1));
}

static qvk_status plan_vector8(qvk__planner *planner, const qvk__node *node, const conv_call *c,
                               qvk_error *err)
{
    const bool depthwise = qvk__is_depthwise_vector8(planner, &c->conv);
    const int32_t weight = qvk__call_value(node, 1);
    const qvk__ref x = qvk__ref_value(qvk__call_value(node, 0));
    const qvk__conv_vector8 call = {
        .kernel = depthwise ? QVK__KERNEL_DEPTHWISE_CPU_F32 : QVK__KERNEL_CONV_CPU_F32,
        .conv = &c->conv,
        .weight = depthwise ? qvk__pack_conv_depthwise(&c->conv, weight, c->weight->dtype)
                            : qvk__pack_conv_panels(&c->conv, weight, c->weight->dtype),
        .table = qvk__pack_conv_table(&c->conv, weight, false),
        .x = x,
        .tail = c->bias ? qvk__ref_value(qvk__call_value(node, 2)) : x,
        .y = qvk__ref_value(node->outs[0]),
        .flag = c->bias != NULL,
        .low_or_inverse_scale = c->lower,
        .high_or_zero_point = c->upper,
    };

    return qvk__plan_conv_vector8(planner, &call, err);
}

qvk_status qvk__plan_convolution(qvk__planner *planner, const qvk__node *node, qvk_error *err)
{
    qvk__call call;
    conv_call c;

    QVK__TRY(qvk__call_of(planner, node, &call, err));
    QVK__TRY(qvk__conv_of(node->op, call.args, call.n_args, &c.conv, err));
    QVK__TRY(qvk__conv_clamp_of(node->op, call.args, &c.lower, &c.upper, err));
    QVK__TRY(qvk__arg_tensor_or_null(&call.args[2], "bias", &c.bias, err));
    c.x = call.args[0].u.tensor;
    c.weight = call.args[1].u.tensor;
    c.y = qvk__call_out(planner, node, 0);
    QVK__TRY(qvk__check_float(c.x, err));
    QVK__TRY(qvk__check_float(c.weight, err));
    c.pixels = (uint64_t)(c.conv.out[0] * c.conv.out[1]);
    c.taps = (uint64_t)(c.conv.kernel[0] * c.conv.kernel[1]);
    c.in_per_group = (uint64_t)(c.conv.in_channels / c.conv.groups);
    c.out_per_group = (uint64_t)(c.conv.out_channels / c.conv.groups);
    if (qvk_tensor_numel(c.y) == 0)
        return QVK_OK;
    if (c.out_per_group >= GEMM_CHANNELS && fits_product(planner, &c))
        return plan_product(planner, node, &c, err);
    if (fits_vector8(planner, node, &c) &&
        (c.out_per_group >= GEMM_CHANNELS || qvk__is_depthwise_vector8(planner, &c.conv)))
        return plan_vector8(planner, node, &c, err);
    return c.out_per_group >= GEMM_CHANNELS ? plan_gemm(planner, node, &c, err)
                                            : plan_direct(planner, node, &c, err);
}
