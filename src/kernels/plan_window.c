/* Pooling, resizing, sampling. */
#include "core/dtype.h"
#include "kernels/plan.h"

/* What all of these begin with: one input, one output, their types as the first two constants, the output's
 * element count as the first parameter. */
static qvk_status begin(qvk__planner *planner, const qvk__call *call, qvk__dispatch *d, qvk_error *err)
{
    const qvk_tensor *x = call->args[0].u.tensor, *y = qvk__call_out(planner, call->node, 0);

    QVK__TRY(qvk__check_float(x, err));
    QVK__CHECK(y, err, QVK_UNSUPPORTED, "the first result is not used");
    qvk__dispatch_read(d, qvk__ref_value(qvk__call_value(call->node, 0)));
    qvk__dispatch_spec(d, qvk__device_dtype(x->dtype));
    qvk__dispatch_words(planner, d, y);
    d->bytes = qvk__device_bytes(x) + qvk__device_bytes(y);
    return QVK_OK;
}

static void write_output(qvk__planner *planner, const qvk__call *call, qvk__dispatch *d)
{
    qvk__dispatch_write(d, qvk__ref_value(call->node->outs[0]));
    qvk__dispatch_spec(d, qvk__device_dtype(qvk__call_out(planner, call->node, 0)->dtype));
}

static qvk_status finish(qvk__planner *planner, const qvk__call *call, const qvk__dispatch *d, qvk_error *err)
{
    return qvk_tensor_numel(qvk__call_out(planner, call->node, 0)) > 0 ? planner->dispatch(planner, d, err)
                                                                       : QVK_OK;
}

qvk_status qvk__plan_pool(qvk__planner *planner, const qvk__node *node, qvk_error *err)
{
    const qvk_tensor *indices = qvk__call_out(planner, node, 1);
    qvk__dispatch d = {.kernel = indices ? QVK__KERNEL_POOL_INDICES : QVK__KERNEL_POOL};
    qvk__call call;
    qvk__pool pool;

    QVK__TRY(qvk__call_of(planner, node, &call, err));
    QVK__TRY(qvk__pool_of(node->op, call.args, call.n_args, &pool, err));
    QVK__TRY(begin(planner, &call, &d, err));
    write_output(planner, &call, &d);
    if (indices)
        qvk__dispatch_write(&d, qvk__ref_value(node->outs[1]));
    qvk__dispatch_spec(&d, pool.is_max);
    const int64_t *const pairs[] = {pool.in, pool.out, pool.kernel, pool.stride, pool.padding, pool.dilation};
    for (size_t i = 0; i < QVK__COUNT(pairs); i++) {
        qvk__dispatch_int(&d, pairs[i][0]);
        qvk__dispatch_int(&d, pairs[i][1]);
    }
    qvk__dispatch_uint(&d, pool.count_include_pad);
    qvk__dispatch_int(&d, pool.divisor);
    d.ops = (uint64_t)(pool.planes * pool.out[0] * pool.out[1] * pool.kernel[0] * pool.kernel[1]);
    return finish(planner, &call, &d, err);
}

qvk_status qvk__plan_adaptive_pool(qvk__planner *planner, const qvk__node *node, qvk_error *err)
{
    qvk__dispatch d = {.kernel = QVK__KERNEL_ADAPTIVE_POOL};
    qvk__call call;

    QVK__TRY(qvk__call_of(planner, node, &call, err));
    QVK__TRY(begin(planner, &call, &d, err));
    write_output(planner, &call, &d);
    const qvk_tensor *x = call.args[0].u.tensor, *y = qvk__call_out(planner, node, 0);
    qvk__dispatch_int(&d, x->sizes[x->rank - 2]);
    qvk__dispatch_int(&d, x->sizes[x->rank - 1]);
    qvk__dispatch_int(&d, y->sizes[y->rank - 2]);
    qvk__dispatch_int(&d, y->sizes[y->rank - 1]);
    d.ops = (uint64_t)qvk_tensor_numel(x);
    return finish(planner, &call, &d, err);
}

qvk_status qvk__plan_upsample(qvk__planner *planner, const qvk__node *node, qvk_error *err)
{
    qvk__dispatch d = {.kernel = QVK__KERNEL_RESIZE};
    qvk__resize resize;
    qvk__call call;

    QVK__TRY(qvk__call_of(planner, node, &call, err));
    QVK__TRY(qvk__resize_of(node->op, call.args, call.n_args, &resize, err));
    QVK__TRY(begin(planner, &call, &d, err));
    write_output(planner, &call, &d);
    qvk__dispatch_spec(&d, node->op == QVK__OP_UPSAMPLE_BILINEAR2D_VEC);
    qvk__dispatch_spec(&d, resize.align_corners);
    qvk__dispatch_int(&d, resize.in[0]);
    qvk__dispatch_int(&d, resize.in[1]);
    qvk__dispatch_int(&d, resize.out[0]);
    qvk__dispatch_int(&d, resize.out[1]);
    qvk__dispatch_float(&d, resize.scale[0]);
    qvk__dispatch_float(&d, resize.scale[1]);
    d.ops = 8 * (uint64_t)qvk_tensor_numel(qvk__call_out(planner, node, 0));
    return finish(planner, &call, &d, err);
}

qvk_status qvk__plan_grid_sampler(qvk__planner *planner, const qvk__node *node, qvk_error *err)
{
    qvk__dispatch d = {.kernel = QVK__KERNEL_GRID_SAMPLER};
    int64_t interpolation, padding;
    bool align_corners;
    qvk__call call;

    QVK__TRY(qvk__call_of(planner, node, &call, err));
    QVK__TRY(qvk__arg_int(&call.args[2], "interpolation_mode", &interpolation, err));
    QVK__TRY(qvk__arg_int(&call.args[3], "padding_mode", &padding, err));
    QVK__TRY(qvk__arg_bool(&call.args[4], "align_corners", &align_corners, err));
    QVK__CHECK((interpolation == 0 || interpolation == 1) && padding >= 0 && padding <= 2, err,
               QVK_UNSUPPORTED, "interpolation mode %lld, padding mode %lld", (long long)interpolation,
               (long long)padding);
    QVK__TRY(begin(planner, &call, &d, err));
    const qvk_tensor *x = call.args[0].u.tensor, *grid = call.args[1].u.tensor;
    QVK__TRY(qvk__check_float(grid, err));
    qvk__dispatch_read(&d, qvk__ref_value(qvk__call_value(node, 1)));
    qvk__dispatch_spec(&d, qvk__device_dtype(grid->dtype));
    write_output(planner, &call, &d);
    qvk__dispatch_spec(&d, interpolation == 1);
    qvk__dispatch_int(&d, x->sizes[1]);
    qvk__dispatch_int(&d, x->sizes[2]);
    qvk__dispatch_int(&d, x->sizes[3]);
    qvk__dispatch_int(&d, grid->sizes[1] * grid->sizes[2]);
    qvk__dispatch_spec(&d, (uint32_t)padding);
    qvk__dispatch_spec(&d, align_corners);
    d.ops = 20 * (uint64_t)qvk_tensor_numel(qvk__call_out(planner, node, 0));
    return finish(planner, &call, &d, err);
}

qvk_status qvk__plan_grid_priors(qvk__planner *planner, const qvk__node *node, qvk_error *err)
{
    qvk__dispatch d = {.kernel = QVK__KERNEL_GRID_PRIORS};
    qvk__call call;
    double offset;
    int64_t stride;

    QVK__TRY(qvk__call_of(planner, node, &call, err));
    QVK__TRY(qvk__arg_int(&call.args[1], "stride", &stride, err));
    QVK__TRY(qvk__arg_float(&call.args[2], "offset", &offset, err));
    const qvk_tensor *x = call.args[0].u.tensor, *y = qvk__call_out(planner, node, 0);
    QVK__TRY(qvk__check_float(y, err));
    write_output(planner, &call, &d);
    qvk__dispatch_words(planner, &d, y);
    qvk__dispatch_int(&d, x->sizes[x->rank - 1]);
    qvk__dispatch_float(&d, (float)stride);
    qvk__dispatch_float(&d, (float)offset);
    d.bytes = qvk__device_bytes(y);
    return finish(planner, &call, &d, err);
}
