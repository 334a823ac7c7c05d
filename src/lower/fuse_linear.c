/*
 * dequantize -> linear becomes a quantized linear. Which one:
 *
 *   activation          weight                     default                          --compat executorch
 *   float               4-bit range, symmetric     et_vk.linear_q4gsw               the same
 *   float               8-bit per channel          aten._weight_int8pack_mm (+ add) the same
 *   float               8-bit per group            qvk.linear_q8gsw                 float weights
 *   dynamic per token   4-bit range, symmetric     et_vk.linear_dq8ca_q4gsw         the same
 *   dynamic             8-bit, symmetric           qvk.linear_dq8ca_q8gsw           float weights
 *   dynamic per tensor  any, symmetric             qvk.linear_dq8ca_q8gsw           float weights
 *   static              8-bit per channel          et_vk.linear_q8ta_q8csw          float weights
 *   static, int8 result 8-bit per channel          et_vk.q8ta_linear                the same (fuse_static.c)
 *
 * Weights with non-zero zero points stay behind their dequantize node: right, and slower.
 */
#include <stdio.h>

#include "core/dtype.h"
#include "lower/fuse.h"
#include "lower/quant_match.h"

static const qvk__arg none = {.kind = QVK__ARG_NULL};

static bool fits_4_bits(const qvk__weight *w)
{
    return w->qmin >= -8 && w->qmax <= 7;
}

/* Bias of a linear for an ExecuTorch operator: padded to a multiple of 4, or None. */
static qvk_status bias_arg(qvk__edge_pass *pass, const qvk__arg *bias, qvk__arg *out, qvk_error *err)
{
    int32_t padded;

    *out = qvk__pass_arg(pass, bias);
    if (bias->kind != QVK__ARG_VALUE || !pass->edge->graph.values.data[bias->u.value].constant)
        return QVK_OK;
    QVK__TRY(qvk__derive_padded_bias(pass->edge, bias->u.value, &padded, err));
    *out = qvk__arg_from_value(padded);
    return QVK_OK;
}

static qvk_status emit_q4(qvk__edge_pass *pass, const qvk__node *node, const qvk__weight *w, int32_t *outs,
                          qvk_error *err)
{
    qvk__edge *edge = pass->edge;
    int32_t packed, scales;
    qvk__arg bias;

    QVK__TRY(qvk__derive_packed4(edge, w, &packed, err));
    QVK__TRY(qvk__derive_scales(edge, w, true, &scales, err));
    QVK__TRY(bias_arg(pass, &node->args[2], &bias, err));
    return QVK__EDGE_EMIT(edge, QVK__OP_ET_LINEAR_Q4GSW, QVK_DTYPE_NONE, outs, err,
                          qvk__pass_arg(pass, &node->args[0]), qvk__arg_from_value(packed),
                          qvk__arg_from_value(scales), qvk__arg_from_int(w->group_size), bias);
}

static qvk_status emit_q8_groups(qvk__edge_pass *pass, const qvk__node *node, const qvk__weight *w,
                                 int32_t *outs, qvk_error *err)
{
    qvk__edge *edge = pass->edge;
    int32_t scales;
    qvk__arg bias;

    QVK__TRY(qvk__derive_scales(edge, w, true, &scales, err));
    QVK__TRY(bias_arg(pass, &node->args[2], &bias, err));
    return QVK__EDGE_EMIT(edge, QVK__OP_QVK_LINEAR_Q8GSW, QVK_DTYPE_NONE, outs, err,
                          qvk__pass_arg(pass, &node->args[0]), qvk__arg_from_value(w->integers),
                          qvk__arg_from_value(scales), qvk__arg_from_int(w->group_size), bias);
}

/* [.., K] <-> [rows, K] around an operator that takes matrices. Static shapes only. */
static qvk_status to_rows(qvk__edge *edge, qvk__arg *x, qvk_error *err)
{
    const qvk_tensor *desc = qvk__edge_desc(edge, x->u.value);
    int64_t sizes[2] = {-1, desc->sizes[desc->rank - 1]};
    int32_t flat;

    if (desc->rank == 2)
        return QVK_OK;
    QVK__TRY(
        QVK__EDGE_EMIT(edge, QVK__OP_VIEW_COPY, QVK_DTYPE_NONE, &flat, err, *x, qvk__edge_ints(sizes, 2)));
    *x = qvk__arg_from_value(flat);
    return QVK_OK;
}

static qvk_status emit_int8pack(qvk__edge_pass *pass, const qvk__node *node, const qvk__weight *w,
                                int32_t *outs, qvk_error *err)
{
    qvk__edge *edge = pass->edge;
    qvk__arg x = qvk__pass_arg(pass, &node->args[0]);
    qvk_tensor shape = *qvk__edge_desc(edge, x.u.value);
    int32_t scales, result;

    QVK__TRY(qvk__derive_channel_scales(edge, w, false, &scales, err));
    QVK__TRY(to_rows(edge, &x, err));
    QVK__TRY(QVK__EDGE_EMIT(edge, QVK__OP_PRIV_WEIGHT_INT8PACK_MM, QVK_DTYPE_NONE, &result, err, x,
                            qvk__arg_from_value(w->integers), qvk__arg_from_value(scales)));
    if (node->args[2].kind == QVK__ARG_VALUE)
        QVK__TRY(QVK__EDGE_EMIT(edge, QVK__OP_ADD_TENSOR, QVK_DTYPE_NONE, &result, err,
                                qvk__arg_from_value(result), qvk__pass_arg(pass, &node->args[2]),
                                qvk__arg_from_int(1)));
    if (shape.rank != 2) {
        shape.sizes[shape.rank - 1] = w->rows;
        QVK__TRY(QVK__EDGE_EMIT(edge, QVK__OP_VIEW_COPY, QVK_DTYPE_NONE, &result, err,
                                qvk__arg_from_value(result), qvk__edge_ints(shape.sizes, shape.rank)));
    }
    outs[0] = result;
    return QVK_OK;
}

static qvk_status emit_dynamic(qvk__edge_pass *pass, const qvk__node *node, const qvk__weight *w,
                               const qvk__dynamic_activation *a, bool four_bits, int32_t *outs,
                               qvk_error *err)
{
    qvk__edge *edge = pass->edge;
    int32_t weight = w->integers, sums, scales;
    qvk__arg bias;

    if (four_bits)
        QVK__TRY(qvk__derive_packed4(edge, w, &weight, err));
    QVK__TRY(qvk__derive_group_sums(edge, w, &sums, err));
    QVK__TRY(qvk__derive_scales(edge, w, true, &scales, err));
    QVK__TRY(bias_arg(pass, &node->args[2], &bias, err));
    return QVK__EDGE_EMIT(edge, four_bits ? QVK__OP_ET_LINEAR_DQ8CA_Q4GSW : QVK__OP_QVK_LINEAR_DQ8CA_Q8GSW,
                          QVK_DTYPE_NONE, outs, err, qvk__pass_arg(pass, &a->x),
                          qvk__pass_arg(pass, &a->scale), qvk__pass_arg(pass, &a->zero_point),
                          qvk__arg_from_value(weight), qvk__arg_from_value(sums), qvk__arg_from_value(scales),
                          qvk__arg_from_int(w->group_size), bias);
}

static qvk_status emit_static(qvk__edge_pass *pass, const qvk__node *node, const qvk__weight *w,
                              const qvk__arg *source, const qvk__static_qparams *a, int32_t *outs,
                              qvk_error *err)
{
    qvk__edge *edge = pass->edge;
    int32_t sums, scales;
    qvk__arg bias;

    QVK__TRY(qvk__derive_channel_sums(edge, w, &sums, err));
    QVK__TRY(qvk__derive_channel_scales(edge, w, true, &scales, err));
    QVK__TRY(bias_arg(pass, &node->args[2], &bias, err));
    return QVK__EDGE_EMIT(edge, QVK__OP_ET_LINEAR_Q8TA_Q8CSW, w->dtype, outs, err,
                          qvk__pass_arg(pass, source), qvk__arg_from_float(a->scale),
                          qvk__arg_from_int(a->zero_point), qvk__arg_from_value(w->integers),
                          qvk__arg_from_value(sums), qvk__arg_from_value(scales), bias);
}

/* What --compat executorch cannot say exactly: the linear keeps float weights, and the notes say what was
 * lost. */
static void note_float(qvk__edge *edge, const qvk__node *node, bool activation)
{
    qvk__string_addf(&edge->notes,
                     "%s: ExecuTorch's runtime has no such quantized linear; float weights are used%s\n",
                     node->name ? node->name : "aten.linear.default",
                     activation ? ", without quantizing its activations" : "");
}

static qvk_status match_linear(qvk__edge_pass *pass, const qvk__node *node, int32_t *outs, bool *matched,
                               qvk_error *err)
{
    bool compat = pass->edge->params->compat_executorch, rows_known;
    qvk__dynamic_activation dynamic;
    qvk__static_qparams qparams;
    qvk__arg source;
    qvk__weight w;

    if (node->op != QVK__OP_LINEAR || !qvk__match_weight(pass, &node->args[1], &w) || !w.symmetric ||
        w.axis != 0 || w.rank != 2)
        return QVK_OK;
    *matched = true;
    if (qvk__match_dynamic(pass, &node->args[0], &dynamic)) {
        bool per_tensor = qvk__pass_producer(pass, &dynamic.scale, QVK__OP_QD_CHOOSE_QPARAMS_TENSOR) != NULL;
        bool four_bits = fits_4_bits(&w) && !per_tensor;
        if (!compat || four_bits)
            return emit_dynamic(pass, node, &w, &dynamic, four_bits, outs, err);
        note_float(pass->edge, node, true);
        return QVK__EDGE_EMIT(pass->edge, QVK__OP_LINEAR, QVK_DTYPE_NONE, outs, err,
                              qvk__pass_arg(pass, &dynamic.x), qvk__pass_arg(pass, &node->args[1]),
                              qvk__pass_arg(pass, &node->args[2]));
    }
    if (qvk__match_dequantized(pass, &node->args[0], &source, &qparams)) {
        *matched = w.groups == 1 && !compat;
        return *matched ? emit_static(pass, node, &w, &source, &qparams, outs, err) : QVK_OK;
    }
    if (fits_4_bits(&w))
        return emit_q4(pass, node, &w, outs, err);
    rows_known = !qvk__edge_is_dynamic(pass->edge, node->args[0].u.value) ||
                 qvk__edge_desc(pass->edge, node->args[0].u.value)->rank == 2;
    if (w.groups == 1 && rows_known)
        return emit_int8pack(pass, node, &w, outs, err);
    if (!compat)
        return emit_q8_groups(pass, node, &w, outs, err);
    note_float(pass->edge, node, false);
    *matched = false;
    return QVK_OK;
}

/* Embedding rows: 4-bit groups have an operator of their own. */
static qvk_status match_embedding(qvk__edge_pass *pass, const qvk__node *node, int32_t *outs, bool *matched,
                                  qvk_error *err)
{
    qvk__edge *edge = pass->edge;
    int32_t packed, scales;
    qvk__weight w;

    if (node->op != QVK__OP_EMBEDDING || !qvk__match_weight(pass, &node->args[0], &w) || !w.symmetric ||
        !fits_4_bits(&w) || w.columns % 8 != 0 || (edge->params->compat_executorch && w.columns % 32 != 0))
        return QVK_OK;
    *matched = true;
    QVK__TRY(qvk__derive_packed4(edge, &w, &packed, err));
    QVK__TRY(qvk__derive_scales(edge, &w, false, &scales, err));
    return QVK__EDGE_EMIT(edge, QVK__OP_ET_EMBEDDING_Q4GSW, w.dtype, outs, err, qvk__arg_from_value(packed),
                          qvk__arg_from_value(scales), qvk__arg_from_int(w.group_size),
                          qvk__pass_arg(pass, &node->args[1]), qvk__arg_from_bool(true));
}

qvk_status qvk__match_quantized_linear(qvk__edge_pass *pass, const qvk__node *node, int32_t *outs,
                                       bool *matched, qvk_error *err)
{
    QVK__TRY(match_linear(pass, node, outs, matched, err));
    return *matched ? QVK_OK : match_embedding(pass, node, outs, matched, err);
}

/* x @ permute(W) and addmm(b, x, permute(W)), as decomposed exports write a linear. */
qvk_status qvk__match_product_linear(qvk__edge_pass *pass, const qvk__node *node, int32_t *outs,
                                     bool *matched, qvk_error *err)
{
    bool addmm = node->op == QVK__OP_ADDMM;
    const qvk__node *permute;
    double beta = 1, alpha = 1;
    int64_t dims[QVK_MAX_RANK];
    int n;

    if (!addmm && node->op != QVK__OP_MM)
        return QVK_OK;
    permute = qvk__pass_producer(pass, &node->args[addmm ? 2 : 1], QVK__OP_PERMUTE_COPY);
    if (!permute || qvk__arg_ints(&permute->args[1], "dims", dims, QVK_MAX_RANK, &n, NULL) != QVK_OK ||
        n != 2 || dims[0] != 1)
        return QVK_OK;
    if (addmm && (qvk__arg_float(&node->args[3], "beta", &beta, NULL) != QVK_OK ||
                  qvk__arg_float(&node->args[4], "alpha", &alpha, NULL) != QVK_OK || beta != 1 ||
                  alpha != 1 || qvk__edge_desc(pass->edge, node->args[0].u.value)->rank != 1))
        return QVK_OK;
    *matched = true;
    return QVK__EDGE_EMIT(pass->edge, QVK__OP_LINEAR, QVK_DTYPE_NONE, outs, err,
                          qvk__pass_arg(pass, &node->args[addmm ? 1 : 0]),
                          qvk__pass_arg(pass, &permute->args[0]),
                          addmm ? qvk__pass_arg(pass, &node->args[0]) : none);
}
