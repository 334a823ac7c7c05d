#include "lower/quant_match.h"

#include "core/dtype.h"

static bool int_of(const qvk__arg *arg, int64_t *out)
{
    return qvk__arg_int(arg, "", out, NULL) == QVK_OK;
}

static bool is_constant(const qvk__edge_pass *pass, const qvk__arg *arg)
{
    const qvk__value *value = qvk__pass_value(pass, arg);
    return value && value->constant && !value->is_mutable;
}

/* Whether every element of a small integer constant is 0. */
static bool all_zero(const qvk__constant *constant)
{
    const void *bytes;
    bool zero = true;

    if (qvk__constant_bytes(constant, &bytes, NULL) != QVK_OK)
        return false;
    for (uint64_t i = 0; i < constant->bytes && zero; i++)
        zero = ((const uint8_t *)bytes)[i] == 0;
    qvk__constant_release(constant, bytes);
    return zero;
}

static bool set_integers(const qvk__edge_pass *pass, const qvk__node *node, int scale_arg, qvk__weight *out)
{
    const qvk__value *ints = qvk__pass_value(pass, &node->args[0]);

    if (!is_constant(pass, &node->args[0]) || !is_constant(pass, &node->args[scale_arg]) ||
        ints->desc.dtype != QVK_DTYPE_I8 || ints->desc.rank < 2)
        return false;
    out->integers = node->args[0].u.value;
    out->scales = node->args[scale_arg].u.value;
    out->zero_points = -1;
    out->symmetric = true;
    if (node->args[scale_arg + 1].kind == QVK__ARG_VALUE) {
        if (!is_constant(pass, &node->args[scale_arg + 1]))
            return false;
        out->zero_points = node->args[scale_arg + 1].u.value;
        out->symmetric = all_zero(pass->edge->graph.values.data[out->zero_points].constant);
    }
    out->rank = ints->desc.rank;
    memcpy(out->sizes, ints->desc.sizes, sizeof out->sizes);
    out->dtype = pass->edge->graph.values.data[node->outs[0]].desc.dtype;
    return true;
}

/* torchao: blocks of one row and group_size columns of a matrix. */
static bool match_affine(const qvk__edge_pass *pass, const qvk__node *node, qvk__weight *out)
{
    int64_t block[QVK_MAX_RANK];
    int n;

    if (!set_integers(pass, node, 2, out) || out->rank != 2 ||
        qvk__arg_ints(&node->args[1], "", block, QVK_MAX_RANK, &n, NULL) != QVK_OK || n != 2 ||
        block[0] != 1 || block[1] <= 0 || out->sizes[1] % block[1] != 0)
        return false;
    out->axis = 0;
    out->rows = out->sizes[0];
    out->columns = out->sizes[1];
    out->group_size = block[1];
    out->groups = out->columns / out->group_size;
    out->qmin = -128;
    out->qmax = 127;
    (void)int_of(&node->args[5], &out->qmin);
    (void)int_of(&node->args[6], &out->qmax);
    return true;
}

static bool match_per_channel(const qvk__edge_pass *pass, const qvk__node *node, qvk__weight *out)
{
    int64_t axis;

    if (!set_integers(pass, node, 1, out) || !int_of(&node->args[3], &axis) || (axis != 0 && axis != 1) ||
        !int_of(&node->args[4], &out->qmin) || !int_of(&node->args[5], &out->qmax))
        return false;
    out->axis = (int)axis;
    out->rows = out->sizes[axis];
    out->columns = 1;
    for (int i = 0; i < out->rank; i++)
        out->columns *= i == axis ? 1 : out->sizes[i];
    out->group_size = out->columns;
    out->groups = 1;
    return true;
}

bool qvk__match_weight(const qvk__edge_pass *pass, const qvk__arg *arg, qvk__weight *out)
{
    const qvk__node *node = qvk__pass_producer(pass, arg, QVK__OP_NONE);

    memset(out, 0, sizeof *out);
    if (node && node->op == QVK__OP_TORCHAO_DEQUANTIZE_AFFINE)
        return match_affine(pass, node, out);
    if (node && node->op == QVK__OP_QD_DEQUANTIZE_PER_CHANNEL)
        return match_per_channel(pass, node, out);
    return false;
}

static bool read_qparams(const qvk__node *node, qvk__static_qparams *out)
{
    return qvk__arg_float(&node->args[1], "", &out->scale, NULL) == QVK_OK &&
           int_of(&node->args[2], &out->zero_point) && int_of(&node->args[3], &out->qmin) &&
           int_of(&node->args[4], &out->qmax);
}

bool qvk__match_dequantized(const qvk__edge_pass *pass, const qvk__arg *arg, qvk__arg *source,
                            qvk__static_qparams *out)
{
    const qvk__node *node = qvk__pass_producer(pass, arg, QVK__OP_QD_DEQUANTIZE_PER_TENSOR);
    const qvk__value *value = node ? qvk__pass_value(pass, &node->args[0]) : NULL;

    if (!value || value->desc.dtype != QVK_DTYPE_I8 || !read_qparams(node, out))
        return false;
    *source = node->args[0];
    return true;
}

bool qvk__match_quantize(const qvk__node *node, qvk__static_qparams *out)
{
    return node->op == QVK__OP_QD_QUANTIZE_PER_TENSOR && read_qparams(node, out) && out->qmin == -128 &&
           out->qmax == 127;
}

static bool same_value(const qvk__arg *a, const qvk__arg *b)
{
    return a->kind == QVK__ARG_VALUE && b->kind == QVK__ARG_VALUE && a->u.value == b->u.value;
}

/* Argument positions of scale in the three pairs of operators. */
typedef struct dynamic_form {
    qvk__op choose, quantize, dequantize;
    int quantize_scale, dequantize_scale;
} dynamic_form;

static const dynamic_form forms[] = {
    {QVK__OP_TORCHAO_CHOOSE_QPARAMS_AFFINE, QVK__OP_TORCHAO_QUANTIZE_AFFINE,
     QVK__OP_TORCHAO_DEQUANTIZE_AFFINE, 2, 2},
    {QVK__OP_QD_CHOOSE_QPARAMS_TENSOR, QVK__OP_QD_QUANTIZE_PER_TENSOR_TENSOR,
     QVK__OP_QD_DEQUANTIZE_PER_TENSOR_TENSOR, 1, 1},
};

/* One scale for each token (all of the last dimension), or one for the whole tensor. */
static bool covers_rows(const qvk__edge_pass *pass, const qvk__node *choose)
{
    const qvk__value *x = qvk__pass_value(pass, &choose->args[0]);
    int64_t block[QVK_MAX_RANK];
    int n;

    if (choose->op != QVK__OP_TORCHAO_CHOOSE_QPARAMS_AFFINE)
        return true;
    if (!x || qvk__arg_ints(&choose->args[2], "", block, QVK_MAX_RANK, &n, NULL) != QVK_OK ||
        n != x->desc.rank || n < 1)
        return false;
    for (int i = 0; i + 1 < n; i++)
        if (block[i] != 1)
            return false;
    return block[n - 1] == x->desc.sizes[n - 1];
}

bool qvk__match_dynamic(const qvk__edge_pass *pass, const qvk__arg *arg, qvk__dynamic_activation *out)
{
    for (size_t i = 0; i < QVK__COUNT(forms); i++) {
        const dynamic_form *form = &forms[i];
        const qvk__node *dequantize = qvk__pass_producer(pass, arg, form->dequantize), *quantize, *choose;
        if (!dequantize)
            continue;
        quantize = qvk__pass_producer(pass, &dequantize->args[0], form->quantize);
        if (!quantize)
            return false;
        choose = qvk__pass_producer(pass, &quantize->args[form->quantize_scale], form->choose);
        if (!choose || !same_value(&choose->args[0], &quantize->args[0]) || !covers_rows(pass, choose) ||
            !same_value(&quantize->args[form->quantize_scale], &dequantize->args[form->dequantize_scale]) ||
            !same_value(&quantize->args[form->quantize_scale + 1],
                        &dequantize->args[form->dequantize_scale + 1]))
            return false;
        out->x = quantize->args[0];
        out->scale = quantize->args[form->quantize_scale];
        out->zero_point = quantize->args[form->quantize_scale + 1];
        return true;
    }
    return false;
}
