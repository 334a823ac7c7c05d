/* Plans choose_qparams: the range of each run of elements, its scale and zero point. */
#include "core/blocks.h"
#include "core/dtype.h"
#include "kernels/plan.h"

/* Elements a work group looks at when one run is cut into parts. */
#define PART 16384u

/* mapping of choose_qparams.comp */
enum { ASYMMETRIC, SYMMETRIC, NO_CLIPPING, PER_TOKEN };

typedef struct request {
    uint32_t mapping;
    double quant_min, quant_max, eps;
    bool half_steps;
    float nan_zero_point;
} request;

static qvk_status read_affine(const qvk__call *call, request *out, qvk_error *err)
{
    const char *text;

    QVK__TRY(qvk__arg_string(&call->args[1], "mapping_type", &text, err));
    out->mapping = strcmp(text, "SYMMETRIC") == 0 ? SYMMETRIC : NO_CLIPPING;
    if (strcmp(text, "ASYMMETRIC") == 0)
        out->mapping = ASYMMETRIC;
    else
        QVK__CHECK(out->mapping == SYMMETRIC || strcmp(text, "SYMMETRIC_NO_CLIPPING_ERR") == 0, err,
                   QVK_INVALID_ARGUMENT, "mapping_type \"%s\" is not known", text);
    out->half_steps = call->args[0].u.tensor->dtype == QVK_DTYPE_F16;
    out->eps = out->half_steps ? 6.103515625e-5 : 1.17549435e-38;
    if (!qvk__arg_is_null(&call->args[4]))
        QVK__TRY(qvk__arg_float(&call->args[4], "quant_min", &out->quant_min, err));
    if (!qvk__arg_is_null(&call->args[5]))
        QVK__TRY(qvk__arg_float(&call->args[5], "quant_max", &out->quant_max, err));
    if (!qvk__arg_is_null(&call->args[6]))
        QVK__TRY(qvk__arg_float(&call->args[6], "eps", &out->eps, err));
    if (out->half_steps)
        out->eps = (double)qvk__f16_to_f32(qvk__f32_to_f16((float)out->eps));
    return QVK_OK;
}

static qvk_status read_request(const qvk__call *call, request *out, qvk_error *err)
{
    *out = (request){.quant_min = -128, .quant_max = 127, .eps = 1.1920928955078125e-7};
    if (call->node->op == QVK__OP_TORCHAO_CHOOSE_QPARAMS_AFFINE)
        return read_affine(call, out, err);
    out->half_steps = call->args[0].u.tensor->dtype == QVK_DTYPE_F16;
    if (call->node->op == QVK__OP_QD_CHOOSE_QPARAMS_PER_TOKEN_ASYMMETRIC) {
        out->mapping = PER_TOKEN;
        out->nan_zero_point = (float)INT32_MIN;
        return QVK_OK;
    }
    QVK__TRY(qvk__arg_float(&call->args[1], "quant_min", &out->quant_min, err));
    QVK__TRY(qvk__arg_float(&call->args[2], "quant_max", &out->quant_max, err));
    QVK__TRY(qvk__arg_float(&call->args[3], "eps", &out->eps, err));
    out->nan_zero_point = (float)out->quant_max;
    return QVK_OK;
}

/* Blocks must be runs of neighbours. */
static qvk_status run_of(const qvk__blocks *blocks, uint64_t *run, qvk_error *err)
{
    int d = blocks->rank - 1;

    *run = 1;
    for (; d >= 0 && blocks->counts[d] == 1; d--)
        *run *= (uint64_t)blocks->sizes[d];
    if (d >= 0)
        *run *= (uint64_t)blocks->block[d--];
    for (; d >= 0; d--)
        QVK__CHECK(blocks->block[d] == 1, err, QVK_UNSUPPORTED,
                   "no kernel for blocks that span several rows");
    return QVK_OK;
}

/* A dispatch over `n_runs` runs of `run` of the n elements of x. */
typedef struct pass {
    qvk__ref x, scales, zero_points;
    qvk_dtype x_dtype; /* NONE: ranges found before */
    qvk_dtype scale_dtype, zero_point_dtype;
    uint64_t n, run, n_runs;
    bool is_partial;
} pass;

static qvk_status add_pass(qvk__planner *planner, const pass *p, const request *want, qvk_error *err)
{
    const qvk__gpu_caps *caps = planner->caps;
    /* CPU devices: a subgroup, which needs no barrier. */
    const bool subgroup =
        caps->type == QVK__GPU_CPU && qvk__kernel_usable(QVK__KERNEL_CHOOSE_QPARAMS_SUBGROUP, caps);
    const uint32_t runs = p->n_runs == 1 || p->is_partial ? 1 : 4;
    qvk__dispatch d = {.kernel = subgroup ? QVK__KERNEL_CHOOSE_QPARAMS_SUBGROUP : QVK__KERNEL_CHOOSE_QPARAMS,
                       .bytes = p->n * (p->x_dtype ? qvk_dtype_bytes(p->x_dtype) : 8)};

    qvk__dispatch_read(&d, p->x);
    qvk__dispatch_write(&d, p->scales);
    qvk__dispatch_write(&d, p->zero_points);
    qvk__dispatch_spec(&d, subgroup ? caps->subgroup_size : 256);
    qvk__dispatch_spec(&d, runs);
    qvk__dispatch_uint(&d, p->n);
    qvk__dispatch_uint(&d, p->run);
    qvk__dispatch_uint(&d, p->n_runs);
    qvk__dispatch_uint(&d, p->x_dtype);
    qvk__dispatch_uint(&d, p->is_partial);
    qvk__dispatch_uint(&d, want->mapping);
    qvk__dispatch_float(&d, (float)want->quant_min);
    qvk__dispatch_float(&d, (float)want->quant_max);
    qvk__dispatch_float(&d, (float)want->eps);
    qvk__dispatch_uint(&d, want->half_steps);
    qvk__dispatch_uint(&d, p->scale_dtype);
    qvk__dispatch_uint(&d, p->zero_point_dtype);
    qvk__dispatch_float(&d, want->nan_zero_point);
    qvk__dispatch_groups(planner, &d, qvk__div_up(p->n_runs, runs));
    return planner->dispatch(planner, &d, err);
}

/* One long run: first the ranges of its parts. */
static qvk_status add_parts(qvk__planner *planner, pass *p, const request *want, qvk_error *err)
{
    pass parts = *p;

    parts.run = PART;
    parts.n_runs = qvk__div_up(p->n, PART);
    parts.is_partial = true;
    QVK__TRY(planner->scratch(planner, parts.n_runs * 8, &parts.scales, err));
    /* The zero points are not written, but something must be bound. */
    QVK__TRY(planner->scratch(planner, 16, &parts.zero_points, err));
    QVK__TRY(add_pass(planner, &parts, want, err));
    p->x = parts.scales;
    p->x_dtype = QVK_DTYPE_NONE;
    p->n = p->run = parts.n_runs;
    return QVK_OK;
}

qvk_status qvk__plan_choose_qparams(qvk__planner *planner, const qvk__node *node, qvk_error *err)
{
    qvk__blocks blocks;
    qvk__call call;
    request want;

    QVK__TRY(qvk__call_of(planner, node, &call, err));
    const qvk_tensor *x = call.args[0].u.tensor, *scales = qvk__call_out(planner, node, 0),
                     *zero_points = qvk__call_out(planner, node, 1);
    QVK__CHECK(scales && zero_points, err, QVK_UNSUPPORTED, "%s with an unused result",
               qvk__op_name(node->op));
    pass p = {
        .x = qvk__ref_value(qvk__call_value(node, 0)),
        .scales = qvk__ref_value(node->outs[0]),
        .zero_points = qvk__ref_value(node->outs[1]),
        .x_dtype = qvk__device_dtype(x->dtype),
        .scale_dtype = qvk__device_dtype(scales->dtype),
        .zero_point_dtype = qvk__device_dtype(zero_points->dtype),
        .n = (uint64_t)qvk_tensor_numel(x),
    };
    QVK__CHECK((p.x_dtype == QVK_DTYPE_F32 || p.x_dtype == QVK_DTYPE_F16) &&
                   (p.scale_dtype == QVK_DTYPE_F32 || p.scale_dtype == QVK_DTYPE_F16) &&
                   (p.zero_point_dtype == QVK_DTYPE_I8 || p.zero_point_dtype == QVK_DTYPE_I32),
               err, QVK_UNSUPPORTED, "no kernel for scales of %s", qvk_dtype_name(x->dtype));
    QVK__TRY(qvk__blocks_of(node->op, call.args, call.n_args, &blocks, err));
    QVK__TRY(run_of(&blocks, &p.run, err));
    QVK__TRY(read_request(&call, &want, err));
    p.n_runs = (uint64_t)blocks.total;
    if (p.n_runs == 0)
        return QVK_OK;
    if (p.n_runs == 1 && p.n > 4 * PART)
        QVK__TRY(add_parts(planner, &p, &want, err));
    return add_pass(planner, &p, &want, err);
}
