/* Plans quantize and dequantize, any granularity. */
#include "kernels/plan_quantize.h"

#include "core/blocks.h"
#include "core/dtype.h"

#define GROUP_SIZE 64

/* Scale and zero point: numbers, or tensors of the graph. */
typedef struct qparams {
    qvk__ref scales, zero_points;
    qvk_dtype scale_dtype, zero_point_dtype; /* NONE: the numbers below */
    double scale;
    int64_t zero_point;
} qparams;

static bool is_device_float(qvk_dtype dtype)
{
    return dtype == QVK_DTYPE_F32 || dtype == QVK_DTYPE_F16;
}

static bool is_device_int(qvk_dtype dtype)
{
    return dtype == QVK_DTYPE_I8 || dtype == QVK_DTYPE_U8 || dtype == QVK_DTYPE_I16 || dtype == QVK_DTYPE_I32;
}

static uint64_t elements_in_word(qvk_dtype dtype)
{
    return 4 / qvk_dtype_bytes(dtype);
}

static qvk_status read_qparams(const qvk__call *call, int at, qparams *out, qvk_error *err)
{
    const qvk__arg *scale = &call->args[at], *zero_point = &call->args[at + 1];

    *out = (qparams){.scale = 1.0};
    if (scale->kind == QVK__ARG_TENSOR) {
        out->scales = qvk__ref_value(qvk__call_value(call->node, at));
        out->scale_dtype = qvk__device_dtype(scale->u.tensor->dtype);
        QVK__CHECK(is_device_float(out->scale_dtype), err, QVK_UNSUPPORTED, "scales of %s",
                   qvk_dtype_name(scale->u.tensor->dtype));
    } else {
        QVK__TRY(qvk__arg_float(scale, "scale", &out->scale, err));
    }
    if (zero_point->kind == QVK__ARG_TENSOR && qvk_tensor_numel(zero_point->u.tensor) > 0) {
        out->zero_points = qvk__ref_value(qvk__call_value(call->node, at + 1));
        out->zero_point_dtype = qvk__device_dtype(zero_point->u.tensor->dtype);
        QVK__CHECK(is_device_int(out->zero_point_dtype) || is_device_float(out->zero_point_dtype), err,
                   QVK_UNSUPPORTED, "zero points of %s", qvk_dtype_name(zero_point->u.tensor->dtype));
    } else if (zero_point->kind != QVK__ARG_TENSOR && !qvk__arg_is_null(zero_point)) {
        QVK__TRY(qvk__arg_int(zero_point, "zero_point", &out->zero_point, err));
    }
    return QVK_OK;
}

/* ---- blocks --------------------------------------------------------------------------------------------- */

/* Whether the scale of element i is (i / run) % count, and with which numbers: along the dimensions, from the
 * last, first those inside one block, then at most one that is cut, then single elements, then repetition. */
static bool blocks_are_runs(const qvk__blocks *blocks, uint64_t *run, uint64_t *count)
{
    int d = blocks->rank - 1;

    *run = *count = 1;
    for (; d >= 0 && blocks->counts[d] == 1; d--)
        *run *= (uint64_t)blocks->sizes[d];
    if (d >= 0) {
        *run *= (uint64_t)blocks->block[d];
        *count = (uint64_t)blocks->counts[d--];
    }
    for (; d >= 0 && blocks->block[d] == 1; d--)
        *count *= (uint64_t)blocks->sizes[d];
    for (; d >= 0; d--)
        if (blocks->counts[d] != 1)
            return false;
    return true;
}

/* BLOCKS_MEMBERS of shaders/lib/blocks.glsl. */
static void add_blocks(qvk__dispatch *d, const qvk__blocks *blocks)
{
    uint64_t run, count, strides[QVK_MAX_RANK], stride = 1;
    const bool runs = blocks_are_runs(blocks, &run, &count);

    for (int i = blocks->rank - 1; i >= 0; i--) {
        strides[i] = stride;
        stride *= (uint64_t)blocks->counts[i];
    }
    qvk__dispatch_uint(d, runs ? 0 : (uint64_t)blocks->rank);
    qvk__dispatch_uint(d, runs ? run : 1);
    qvk__dispatch_uint(d, runs ? count : 1);
    qvk__dispatch_uint(d, 0);
    for (int i = 0; i < QVK_MAX_RANK; i++) {
        const bool used = !runs && i < blocks->rank;
        qvk__dispatch_uint(d, used ? (uint64_t)blocks->sizes[i] : 1);
        qvk__dispatch_uint(d, used ? (uint64_t)blocks->block[i] : 1);
        qvk__dispatch_uint(d, used ? strides[i] : 0);
        qvk__dispatch_uint(d, 0);
    }
}

/* ---- dispatches ----------------------------------------------------------------------------------------- */

/* One end of a conversion. */
typedef struct elements {
    qvk__ref buffer;
    qvk_dtype dtype;
} elements;

static void begin(qvk__dispatch *d, qvk__kernel kernel, const qvk__blocks *blocks, uint64_t n, elements x,
                  elements y, const qparams *q)
{
    *d = (qvk__dispatch){.kernel = kernel};
    d->bytes = n * (qvk_dtype_bytes(x.dtype) + qvk_dtype_bytes(y.dtype));
    qvk__dispatch_read(d, x.buffer);
    qvk__dispatch_read(d, q->scale_dtype ? q->scales : x.buffer);
    qvk__dispatch_read(d, q->zero_point_dtype ? q->zero_points : x.buffer);
    qvk__dispatch_write(d, y.buffer);
    qvk__dispatch_spec(d, GROUP_SIZE);
    add_blocks(d, blocks);
    qvk__dispatch_uint(d, n);
    qvk__dispatch_uint(d, x.dtype);
    qvk__dispatch_uint(d, y.dtype);
    qvk__dispatch_uint(d, q->scale_dtype);
    qvk__dispatch_uint(d, q->zero_point_dtype);
}

static qvk_status end(qvk__planner *planner, qvk__dispatch *d, uint64_t n, qvk_dtype y, qvk_error *err)
{
    const uint64_t words = qvk__div_up(n, elements_in_word(y));

    qvk__dispatch_groups(planner, d, qvk__div_up(words, GROUP_SIZE));
    return planner->dispatch(planner, d, err);
}

/* What is peculiar to a quantization. */
typedef struct rounding {
    int64_t low, high;
    bool zero_point_first, half_steps;
} rounding;

static qvk_status quantize(qvk__planner *planner, const qvk__blocks *blocks, uint64_t n, elements x,
                           elements y, const qparams *q, const rounding *how, qvk_error *err)
{
    qvk__dispatch d;

    begin(&d, QVK__KERNEL_QUANTIZE, blocks, n, x, y, q);
    qvk__dispatch_float(&d, (float)(1.0 / q->scale));
    qvk__dispatch_float(&d, (float)q->zero_point);
    qvk__dispatch_int(&d, how->low);
    qvk__dispatch_int(&d, how->high);
    qvk__dispatch_uint(&d, how->zero_point_first);
    qvk__dispatch_uint(&d, how->half_steps);
    return end(planner, &d, n, y.dtype, err);
}

static qvk_status dequantize(qvk__planner *planner, const qvk__blocks *blocks, uint64_t n, elements x,
                             elements y, const qparams *q, qvk_error *err)
{
    qvk__dispatch d;

    begin(&d, QVK__KERNEL_DEQUANTIZE, blocks, n, x, y, q);
    qvk__dispatch_float(&d, (float)q->scale);
    qvk__dispatch_float(&d, (float)q->zero_point);
    return end(planner, &d, n, y.dtype, err);
}

/* Everything in one block. */
static qvk__blocks one_block(uint64_t n)
{
    return (qvk__blocks){.rank = 1, .sizes = {(int64_t)n}, .block = {(int64_t)n}, .counts = {1}, .total = 1};
}

qvk_status qvk__plan_convert(qvk__planner *planner, qvk__ref x, qvk_dtype x_dtype, qvk__ref y,
                             qvk_dtype y_dtype, uint64_t n, qvk_error *err)
{
    const qvk__blocks blocks = one_block(n);
    const qparams q = {.scale = 1.0};

    return dequantize(planner, &blocks, n, (elements){x, x_dtype}, (elements){y, y_dtype}, &q, err);
}

qvk_status qvk__plan_quantize_flat(qvk__planner *planner, qvk__ref x, qvk_dtype x_dtype, qvk__ref y,
                                   uint64_t n, double scale, int64_t zero_point, int64_t low, qvk_error *err)
{
    const qvk__blocks blocks = one_block(n);
    const qparams q = {.scale = scale, .zero_point = zero_point};
    const rounding how = {.low = low, .high = 127};

    return quantize(planner, &blocks, n, (elements){x, x_dtype}, (elements){y, QVK_DTYPE_I8}, &q, &how, err);
}

/* ---- operators ------------------------------------------------------------------------------------------ */

static qvk_status read_range(const qvk__call *call, int at, qvk_dtype dtype, rounding *out, qvk_error *err)
{
    const int bits = 8 * (int)qvk_dtype_bytes(dtype);

    out->low = dtype == QVK_DTYPE_U8 ? 0 : -(INT64_C(1) << (bits - 1));
    out->high = dtype == QVK_DTYPE_U8 ? 255 : (INT64_C(1) << (bits - 1)) - 1;
    if (!qvk__arg_is_null(&call->args[at]))
        QVK__TRY(qvk__arg_int(&call->args[at], "quant_min", &out->low, err));
    if (!qvk__arg_is_null(&call->args[at + 1]))
        QVK__TRY(qvk__arg_int(&call->args[at + 1], "quant_max", &out->high, err));
    return QVK_OK;
}

/* A call of either kind: x, the blocks, scales and zero points, and y. */
typedef struct conversion {
    qvk__call call;
    qvk__blocks blocks;
    qparams q;
    elements x, y;
    uint64_t n; /* elements */
} conversion;

static qvk_status conversion_of(qvk__planner *planner, const qvk__node *node, bool is_affine, bool quantizes,
                                conversion *out, qvk_error *err)
{
    const qvk_tensor *y = planner->desc(planner, node->outs[0]);

    QVK__TRY(qvk__call_of(planner, node, &out->call, err));
    const qvk_tensor *x = out->call.args[0].u.tensor;
    out->x = (elements){qvk__ref_value(qvk__call_value(node, 0)), qvk__device_dtype(x->dtype)};
    out->y = (elements){qvk__ref_value(node->outs[0]), qvk__device_dtype(y->dtype)};
    out->n = (uint64_t)qvk_tensor_numel(x);
    QVK__CHECK(is_device_float(quantizes ? out->x.dtype : out->y.dtype) &&
                   is_device_int(quantizes ? out->y.dtype : out->x.dtype),
               err, QVK_UNSUPPORTED, "no kernel to %s %s to %s", quantizes ? "quantize" : "dequantize",
               qvk_dtype_name(x->dtype), qvk_dtype_name(y->dtype));
    QVK__TRY(qvk__blocks_of(node->op, out->call.args, out->call.n_args, &out->blocks, err));
    return read_qparams(&out->call, is_affine ? 2 : 1, &out->q, err);
}

qvk_status qvk__plan_quantize(qvk__planner *planner, const qvk__node *node, qvk_error *err)
{
    const bool is_affine = node->op == QVK__OP_TORCHAO_QUANTIZE_AFFINE;
    const int range_at = is_affine ? 5 : node->op == QVK__OP_QD_QUANTIZE_PER_CHANNEL ? 4 : 3;
    rounding how = {.zero_point_first = node->op == QVK__OP_QD_QUANTIZE_PER_TOKEN};
    conversion c;

    QVK__TRY(conversion_of(planner, node, is_affine, true, &c, err));
    QVK__TRY(read_range(&c.call, range_at, c.y.dtype, &how, err));
    how.half_steps = is_affine && c.x.dtype == QVK_DTYPE_F16 && c.q.scale_dtype == QVK_DTYPE_F16;
    return c.n == 0 ? QVK_OK : quantize(planner, &c.blocks, c.n, c.x, c.y, &c.q, &how, err);
}

qvk_status qvk__plan_dequantize(qvk__planner *planner, const qvk__node *node, qvk_error *err)
{
    const bool is_affine = node->op == QVK__OP_TORCHAO_DEQUANTIZE_AFFINE;
    conversion c;

    QVK__TRY(conversion_of(planner, node, is_affine, false, &c, err));
    return c.n == 0 ? QVK_OK : dequantize(planner, &c.blocks, c.n, c.x, c.y, &c.q, err);
}
