/* Float convolution. */
#include "core/dtype.h"
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
    const bool tall = c->out_per_group > 16;
    const uint64_t tiles_m = qvk__div_up(c->out_per_group, tall ? 64 : 16),
                   tiles_n = qvk__div_up(c->pixels, 64);
    qvk__dispatch d = {.kernel = tall ? QVK__KERNEL_CONV_GEMM_64X64 : QVK__KERNEL_CONV_GEMM_16X64};

    add_operands(node, c, &d);
    qvk__dispatch_uint(&d, tiles_m);
    qvk__dispatch_uint(&d, tiles_n);
    qvk__dispatch_float(&d, c->lower);
    qvk__dispatch_float(&d, c->upper);
    qvk__dispatch_groups(planner, &d, (uint64_t)(c->conv.batch * c->conv.groups) * tiles_m * tiles_n);
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
    return c.out_per_group >= GEMM_CHANNELS ? plan_gemm(planner, node, &c, err)
                                            : plan_direct(planner, node, &c, err);
}
