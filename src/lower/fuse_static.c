/*
 * dequantize -> operator -> [clamp] -> quantize, all per tensor and calibrated: one int8 operator. The anchor
 * is the quantize node. A clamp in between (relu, relu6, hardtanh) becomes an integer clamp of the result,
 * exactly, since rounding is monotonic; where the integer range already ends there, nothing is left of it.
 */
#include <math.h>

#include "core/dtype.h"
#include "lower/fuse.h"
#include "lower/quant_match.h"

typedef struct bounds {
    double low, high;
} bounds;

/* Steps over one clamp-like node before the quantize; *inner is its input. */
static bool match_clamp(const qvk__edge_pass *pass, const qvk__arg *arg, qvk__arg *inner, bounds *b)
{
    const qvk__node *node = qvk__pass_producer(pass, arg, QVK__OP_NONE);

    *inner = *arg;
    *b = (bounds){-INFINITY, INFINITY};
    if (!node || !qvk__pass_single_use(pass, node->outs[0]))
        return false;
    if (node->op == QVK__OP_RELU) {
        b->low = 0;
    } else if (node->op == QVK__OP_RELU6) {
        *b = (bounds){0, 6};
    } else if (node->op == QVK__OP_HARDTANH || node->op == QVK__OP_CLAMP) {
        if (node->args[1].kind != QVK__ARG_NULL &&
            qvk__arg_float(&node->args[1], "", &b->low, NULL) != QVK_OK)
            return false;
        if (node->args[2].kind != QVK__ARG_NULL &&
            qvk__arg_float(&node->args[2], "", &b->high, NULL) != QVK_OK)
            return false;
    } else {
        return false;
    }
    *inner = node->args[0];
    return true;
}

/* The integer a float bound rounds to, as the quantize node would. */
static int64_t quantized_bound(double value, const qvk__static_qparams *q)
{
    float scaled = (float)value * (float)(1.0 / q->scale);
    double rounded = isinf(value) ? value : rint((double)scaled) + (double)q->zero_point;
    return rounded < -128 ? -128 : rounded > 127 ? 127 : (int64_t)rounded;
}

/* The clamp ends where int8 ends anyway. */
static bool is_full_range(const bounds *b, const qvk__static_qparams *q)
{
    return quantized_bound(b->low, q) <= -128 && quantized_bound(b->high, q) >= 127;
}

static qvk_status clamp_result(qvk__edge *edge, const bounds *b, const qvk__static_qparams *q, int32_t *out,
                               qvk_error *err)
{
    int64_t low = quantized_bound(b->low, q), high = quantized_bound(b->high, q);

    if (is_full_range(b, q))
        return QVK_OK;
    return QVK__EDGE_EMIT(edge, QVK__OP_CLAMP, QVK_DTYPE_I8, out, err, qvk__arg_from_value(*out),
                          qvk__arg_from_int(low), qvk__arg_from_int(high));
}

static qvk__arg text(const char *s)
{
    return (qvk__arg){.kind = QVK__ARG_STRING, .u.s = s};
}

/* Integer operands of a weighted int8 operator. */
typedef struct operands {
    int32_t sums, scales;
    qvk__arg bias;
} operands;

static qvk_status derive_operands(qvk__edge_pass *pass, const qvk__weight *w, const qvk__arg *bias,
                                  operands *out, qvk_error *err)
{
    QVK__TRY(qvk__derive_channel_sums(pass->edge, w, &out->sums, err));
    QVK__TRY(qvk__derive_channel_scales(pass->edge, w, true, &out->scales, err));
    out->bias = *bias;
    if (bias->kind == QVK__ARG_VALUE) {
        int32_t padded;
        QVK__TRY(qvk__derive_padded_bias(pass->edge, bias->u.value, &padded, err));
        out->bias = qvk__arg_from_value(padded);
    }
    return QVK_OK;
}

static bool usable_weight(const qvk__edge_pass *pass, const qvk__weight *w, const qvk__arg *bias, int axis)
{
    return w->symmetric && w->groups == 1 && w->axis == axis &&
           (bias->kind == QVK__ARG_NULL ||
            (bias->kind == QVK__ARG_VALUE && pass->edge->graph.values.data[bias->u.value].constant));
}

static qvk_status match_linear(qvk__edge_pass *pass, const qvk__node *node, const qvk__static_qparams *out_q,
                               int32_t *outs, bool *matched, qvk_error *err)
{
    qvk__static_qparams in_q;
    qvk__weight w;
    qvk__arg source;
    operands o;
    const qvk_tensor *x;
    bool one_row;

    if (!qvk__match_dequantized(pass, &node->args[0], &source, &in_q) ||
        !qvk__match_weight(pass, &node->args[1], &w) || !usable_weight(pass, &w, &node->args[2], 0))
        return QVK_OK;
    *matched = true;
    QVK__TRY(derive_operands(pass, &w, &node->args[2], &o, err));
    x = qvk__edge_desc(pass->edge, source.u.value);
    one_row = x->rank == 1 || x->sizes[x->rank - 2] == 1;
    return QVK__EDGE_EMIT(
        pass->edge, one_row ? QVK__OP_ET_Q8TA_LINEAR_GEMV : QVK__OP_ET_Q8TA_LINEAR, QVK_DTYPE_I8, outs, err,
        qvk__pass_arg(pass, &source), qvk__arg_from_float(in_q.scale), qvk__arg_from_int(in_q.zero_point),
        qvk__arg_from_value(w.integers), qvk__arg_from_value(o.sums), qvk__arg_from_value(o.scales),
        qvk__arg_from_float(out_q->scale), qvk__arg_from_int(out_q->zero_point), o.bias, text("none"));
}

/* Geometry of a 2-D convolution node. */
typedef struct geometry {
    int64_t kernel[2], stride[2], padding[2], dilation[2], output_padding[2], groups;
    bool transposed, depthwise, pointwise;
} geometry;

static bool pair(const qvk__arg *arg, int64_t out[2])
{
    int64_t got[QVK_MAX_RANK];
    int n;

    if (qvk__arg_ints(arg, "", got, QVK_MAX_RANK, &n, NULL) != QVK_OK || n != 2)
        return false;
    out[0] = got[0];
    out[1] = got[1];
    return true;
}

static bool read_geometry(const qvk__node *node, const qvk__weight *w, geometry *g)
{
    int64_t channels = w->sizes[0];

    if (w->rank != 4 || !pair(&node->args[3], g->stride) || !pair(&node->args[4], g->padding) ||
        !pair(&node->args[5], g->dilation) ||
        qvk__arg_bool(&node->args[6], "", &g->transposed, NULL) != QVK_OK ||
        !pair(&node->args[7], g->output_padding) ||
        qvk__arg_int(&node->args[8], "", &g->groups, NULL) != QVK_OK)
        return false;
    g->kernel[0] = w->sizes[2];
    g->kernel[1] = w->sizes[3];
    g->depthwise = !g->transposed && w->sizes[1] == 1 && g->groups == channels && channels > 1;
    g->pointwise = !g->transposed && g->kernel[0] == 1 && g->kernel[1] == 1 && g->stride[0] == 1 &&
                   g->stride[1] == 1 && g->padding[0] == 0 && g->padding[1] == 0 && g->dilation[0] == 1 &&
                   g->dilation[1] == 1;
    return !g->transposed || (g->groups == 1 && g->dilation[0] == 1 && g->dilation[1] == 1);
}

/* A transposed weight may be quantized along axis 0 by quantizers that do not know better: not expressible.
 */
static qvk_status match_conv(qvk__edge_pass *pass, const qvk__node *node, const qvk__static_qparams *out_q,
                             int32_t *outs, bool *matched, qvk_error *err)
{
    qvk__edge *edge = pass->edge;
    qvk__static_qparams in_q;
    qvk__weight w;
    qvk__arg source, args[16];
    operands o;
    geometry g;
    int32_t weight;
    int n = 0;
    qvk__op op;

    if (!qvk__match_dequantized(pass, &node->args[0], &source, &in_q) ||
        !qvk__match_weight(pass, &node->args[1], &w) || !read_geometry(node, &w, &g) ||
        !usable_weight(pass, &w, &node->args[2], g.transposed ? 1 : 0))
        return QVK_OK;
    if (edge->params->compat_executorch &&
        (qvk__edge_desc(edge, source.u.value)->sizes[0] != 1 || (g.depthwise && w.rows % 4 != 0) ||
         (!g.depthwise && g.groups > 1 && w.rows / g.groups % 4 != 0)))
        return QVK_OK;
    *matched = true;
    QVK__TRY(derive_operands(pass, &w, &node->args[2], &o, err));
    QVK__TRY(qvk__derive_conv_weight(edge, &w, g.transposed, g.depthwise, g.groups, &weight, err));
    op = g.transposed  ? QVK__OP_ET_Q8TA_CONV2D_TRANSPOSED
         : g.depthwise ? QVK__OP_ET_Q8TA_CONV2D_DW
         : g.pointwise ? QVK__OP_ET_Q8TA_CONV2D_PW
                       : QVK__OP_ET_Q8TA_CONV2D;
    args[n++] = qvk__pass_arg(pass, &source);
    args[n++] = qvk__arg_from_float(in_q.scale);
    args[n++] = qvk__arg_from_int(in_q.zero_point);
    args[n++] = qvk__arg_from_value(weight);
    args[n++] = qvk__arg_from_value(o.sums);
    args[n++] = qvk__arg_from_value(o.scales);
    args[n++] = qvk__arg_from_float(out_q->scale);
    args[n++] = qvk__arg_from_int(out_q->zero_point);
    args[n++] = o.bias;
    args[n++] = qvk__edge_ints(g.kernel, 2);
    args[n++] = qvk__edge_ints(g.stride, 2);
    args[n++] = qvk__edge_ints(g.padding, 2);
    if (g.transposed)
        args[n++] = qvk__edge_ints(g.output_padding, 2);
    args[n++] = qvk__edge_ints(g.dilation, 2);
    args[n++] = qvk__arg_from_int(g.groups);
    args[n++] = text("none");
    return qvk__edge_emit(edge, op, args, n, QVK_DTYPE_I8, outs, 1, err);
}

static qvk_status match_add(qvk__edge_pass *pass, const qvk__node *node, const qvk__static_qparams *out_q,
                            int32_t *outs, bool *matched, qvk_error *err)
{
    qvk__static_qparams a_q, b_q;
    qvk__arg a, b;
    double alpha;

    if (!qvk__match_dequantized(pass, &node->args[0], &a, &a_q) ||
        !qvk__match_dequantized(pass, &node->args[1], &b, &b_q) ||
        qvk__arg_float(&node->args[2], "alpha", &alpha, NULL) != QVK_OK || alpha != 1 ||
        !qvk__shape_equal(qvk__edge_desc(pass->edge, a.u.value), qvk__edge_desc(pass->edge, b.u.value)))
        return QVK_OK;
    *matched = true;
    return QVK__EDGE_EMIT(pass->edge, QVK__OP_ET_Q8TA_ADD, QVK_DTYPE_I8, outs, err, qvk__pass_arg(pass, &a),
                          qvk__pass_arg(pass, &b), qvk__arg_from_float(a_q.scale),
                          qvk__arg_from_int(a_q.zero_point), qvk__arg_from_float(b_q.scale),
                          qvk__arg_from_int(b_q.zero_point), qvk__arg_from_float(out_q->scale),
                          qvk__arg_from_int(out_q->zero_point), qvk__arg_from_float(alpha));
}

/* Operators that only move elements work on the integers where both sides have the same parameters. */
static bool moves_elements(qvk__op op)
{
    return op == QVK__OP_VIEW_COPY || op == QVK__OP_PERMUTE_COPY || op == QVK__OP_SQUEEZE_COPY_DIMS ||
           op == QVK__OP_UNSQUEEZE_COPY || op == QVK__OP_SLICE_COPY_TENSOR || op == QVK__OP_SELECT_COPY_INT ||
           op == QVK__OP_PIXEL_SHUFFLE;
}

static qvk_status match_move(qvk__edge_pass *pass, const qvk__node *node, const qvk__static_qparams *out_q,
                             int32_t *outs, bool *matched, qvk_error *err)
{
    qvk__arg args[QVK__MAX_PARAMS], source;
    qvk__static_qparams in_q;

    if (pass->edge->params->compat_executorch ||
        !qvk__match_dequantized(pass, &node->args[0], &source, &in_q) || in_q.scale != out_q->scale ||
        in_q.zero_point != out_q->zero_point)
        return QVK_OK;
    *matched = true;
    for (int i = 1; i < node->n_args; i++)
        args[i] = qvk__pass_arg(pass, &node->args[i]);
    args[0] = qvk__pass_arg(pass, &source);
    return qvk__edge_emit(pass->edge, node->op, args, node->n_args, QVK_DTYPE_I8, outs, 1, err);
}

static qvk_status match_relu(qvk__edge_pass *pass, const qvk__node *node, const qvk__static_qparams *out_q,
                             int32_t *outs, bool *matched, qvk_error *err)
{
    qvk__static_qparams in_q;
    qvk__arg source;

    if (node->op != QVK__OP_RELU || !qvk__match_dequantized(pass, &node->args[0], &source, &in_q))
        return QVK_OK;
    *matched = true;
    return QVK__EDGE_EMIT(pass->edge, QVK__OP_ET_Q8TA_RELU, QVK_DTYPE_I8, outs, err,
                          qvk__pass_arg(pass, &source), qvk__arg_from_float(in_q.scale),
                          qvk__arg_from_int(in_q.zero_point), qvk__arg_from_float(out_q->scale),
                          qvk__arg_from_int(out_q->zero_point));
}

/* dequantize -> clamp -> quantize with the same parameters: a clamp of the integers. */
static qvk_status match_clamp_alone(qvk__edge_pass *pass, const qvk__arg *arg, const bounds *b,
                                    const qvk__static_qparams *out_q, int32_t *outs, bool *matched,
                                    qvk_error *err)
{
    qvk__static_qparams in_q;
    qvk__arg source;

    if (pass->edge->params->compat_executorch || !qvk__match_dequantized(pass, arg, &source, &in_q) ||
        in_q.scale != out_q->scale || in_q.zero_point != out_q->zero_point)
        return QVK_OK;
    *matched = true;
    outs[0] = qvk__pass_arg(pass, &source).u.value;
    return clamp_result(pass->edge, b, out_q, &outs[0], err);
}

qvk_status qvk__match_static(qvk__edge_pass *pass, const qvk__node *node, int32_t *outs, bool *matched,
                             qvk_error *err)
{
    qvk__static_qparams out_q;
    const qvk__node *inner;
    qvk__arg arg;
    bounds b;

    if (!qvk__match_quantize(node, &out_q))
        return QVK_OK;
    if (match_clamp(pass, &node->args[0], &arg, &b)) {
        QVK__TRY(match_clamp_alone(pass, &arg, &b, &out_q, outs, matched, err));
        inner = qvk__pass_producer(pass, &node->args[0], QVK__OP_RELU);
        if (inner && !*matched)
            QVK__TRY(match_relu(pass, inner, &out_q, outs, matched, err));
        if (*matched)
            return QVK_OK;
        if (pass->edge->params->compat_executorch && !is_full_range(&b, &out_q))
            return QVK_OK; /* ExecuTorch's clamp has no int8 form */
    }
    inner = qvk__pass_producer(pass, &arg, QVK__OP_NONE);
    if (!inner || !qvk__pass_single_use(pass, inner->outs[0]))
        return QVK_OK;
    if (inner->op == QVK__OP_LINEAR)
        QVK__TRY(match_linear(pass, inner, &out_q, outs, matched, err));
    else if (inner->op == QVK__OP_CONVOLUTION)
        QVK__TRY(match_conv(pass, inner, &out_q, outs, matched, err));
    else if (inner->op == QVK__OP_ADD_TENSOR)
        QVK__TRY(match_add(pass, inner, &out_q, outs, matched, err));
    else if (moves_elements(inner->op))
        QVK__TRY(match_move(pass, inner, &out_q, outs, matched, err));
    return *matched ? clamp_result(pass->edge, &b, &out_q, &outs[0], err) : QVK_OK;
}
