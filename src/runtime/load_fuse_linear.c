/*
 * Rules that keep 8-bit weights 8-bit. torchao's exporters and PT2E leave dequantize -> linear behind
 * wherever their own lowering has no fused operator; both sides compute the same sums of x * w * scale.
 */
#include "runtime/load_fuse.h"

#include "core/dtype.h"

/* ---- made constants ------------------------------------------------------------------------------------- */

/* Scales [N, G] of any rank turned into [G, N]. */
typedef struct transposed {
    const qvk__constant *source;
    int64_t rows, columns; /* N, G */
    size_t item;
} transposed;

static qvk_status fill_transposed(const qvk__constant *constant, void *dst, qvk_error *err)
{
    const transposed *it = constant->fill_context;
    const void *bytes;

    QVK__TRY(qvk__constant_bytes(it->source, &bytes, err));
    for (int64_t g = 0; g < it->columns; g++)
        for (int64_t n = 0; n < it->rows; n++)
            memcpy((char *)dst + (size_t)(g * it->rows + n) * it->item,
                   (const char *)bytes + (size_t)(n * it->columns + g) * it->item, it->item);
    qvk__constant_release(it->source, bytes);
    return QVK_OK;
}

/* Sums over groups of an int8 weight [N, K], as int32 [G, width] with zeros past N. */
typedef struct group_sums {
    const qvk__constant *source;
    int64_t n, k, group_size, width;
} group_sums;

static qvk_status fill_sums(const qvk__constant *constant, void *dst, qvk_error *err)
{
    const group_sums *it = constant->fill_context;
    int32_t *sums = dst;
    const int8_t *weight;
    const void *bytes;

    QVK__TRY(qvk__constant_bytes(it->source, &bytes, err));
    weight = bytes;
    memset(dst, 0, (size_t)constant->bytes);
    for (int64_t n = 0; n < it->n; n++)
        for (int64_t k = 0; k < it->k; k++)
            sums[k / it->group_size * it->width + n] += weight[n * it->k + k];
    qvk__constant_release(it->source, bytes);
    return QVK_OK;
}

static qvk_status make_sums(qvk__fuser *fuser, int32_t weight, int64_t group_size, int rank, int32_t *out,
                            qvk_error *err)
{
    const qvk__value *value = &fuser->graph->values.data[weight];
    const int64_t n = value->desc.sizes[0], k = value->desc.sizes[1];
    const int64_t width = (int64_t)qvk__round_up((uint64_t)n, 8);
    group_sums *context = qvk__arena_alloc(&fuser->graph->arena, 1, sizeof *context);
    qvk_tensor desc = {.dtype = QVK_DTYPE_I32, .rank = rank, .sizes = {width}};

    QVK__CHECK(context, err, QVK_OUT_OF_MEMORY, "out of memory");
    *context = (group_sums){value->constant, n, k, group_size, width};
    if (rank == 2) {
        desc.sizes[0] = (k + group_size - 1) / group_size;
        desc.sizes[1] = width;
    }
    return qvk__fuse_constant(fuser, NULL, &desc, fill_sums, context, out, err);
}

/* The same bytes as [rows, columns], or as [columns] when rows is 0. */
static qvk_status reshape_constant(qvk__fuser *fuser, int32_t source, int64_t rows, int64_t columns,
                                   int32_t *out, qvk_error *err)
{
    qvk_tensor desc = fuser->graph->values.data[source].desc;
    int32_t value;

    desc.rank = rows ? 2 : 1;
    desc.sizes[0] = rows ? rows : columns;
    desc.sizes[1] = columns;
    value = qvk__graph_add_value(fuser->graph, NULL, &desc);
    QVK__CHECK(value >= 0, err, QVK_OUT_OF_MEMORY, "out of memory");
    fuser->graph->values.data[value].constant = fuser->graph->values.data[source].constant;
    *out = value;
    return QVK_OK;
}

static qvk_status make_scales(qvk__fuser *fuser, int32_t scales, int64_t n, int64_t groups, int32_t *out,
                              qvk_error *err)
{
    qvk_tensor desc = {
        .dtype = fuser->graph->values.data[scales].desc.dtype, .rank = 2, .sizes = {groups, n}};
    transposed *context;

    if (groups == 1 || n == 1)
        return reshape_constant(fuser, scales, groups, n, out, err);
    context = qvk__arena_alloc(&fuser->graph->arena, 1, sizeof *context);
    QVK__CHECK(context, err, QVK_OUT_OF_MEMORY, "out of memory");
    *context =
        (transposed){fuser->graph->values.data[scales].constant, n, groups, qvk_dtype_bytes(desc.dtype)};
    return qvk__fuse_constant(fuser, NULL, &desc, fill_transposed, context, out, err);
}

/* ---- weights -------------------------------------------------------------------------------------------- */

/* A dequantized int8 weight: [N, K] with one symmetric scale per row and group of columns. */
typedef struct quantized_weight {
    int32_t weight, scales;
    int64_t n, k, group_size;
} quantized_weight;

/* Scale and group size of the two operators that dequantize along rows. */
static bool match_scales(const qvk__fuser *fuser, const qvk__node *node, quantized_weight *out)
{
    const qvk__arg *zero_point;
    int64_t numbers[2] = {0, 0};
    int n = 0;

    if (node->op == QVK__OP_TORCHAO_DEQUANTIZE_AFFINE) {
        if (qvk__arg_ints(&node->args[1], "block_size", numbers, 2, &n, NULL) != QVK_OK || n != 2 ||
            numbers[0] != 1 || numbers[1] < 1)
            return false;
        out->scales = qvk__fuse_value(&node->args[2]);
        out->group_size = numbers[1];
        zero_point = &node->args[3];
    } else if (node->op == QVK__OP_QD_DEQUANTIZE_PER_CHANNEL) {
        if (qvk__arg_int(&node->args[3], "axis", &numbers[0], NULL) != QVK_OK || numbers[0] != 0)
            return false;
        out->scales = qvk__fuse_value(&node->args[1]);
        out->group_size = out->k;
        zero_point = &node->args[2];
    } else {
        return false;
    }
    return qvk__fuse_is_constant(fuser, out->scales) && qvk__fuse_is_zero(fuser, zero_point);
}

static bool match_weight(const qvk__fuser *fuser, int32_t value, quantized_weight *out)
{
    const qvk__node *node = qvk__fuse_producer(fuser, value);
    const qvk_tensor *desc;

    if (!node || node->n_args < 4)
        return false;
    out->weight = qvk__fuse_value(&node->args[0]);
    if (!qvk__fuse_is_constant(fuser, out->weight))
        return false;
    desc = &fuser->graph->values.data[out->weight].desc;
    if (desc->dtype != QVK_DTYPE_I8 || desc->rank != 2 || desc->sizes[0] < 1 || desc->sizes[1] < 1)
        return false;
    out->n = desc->sizes[0];
    out->k = desc->sizes[1];
    if (!match_scales(fuser, node, out) || out->k % out->group_size != 0)
        return false;
    return qvk_tensor_numel(&fuser->graph->values.data[out->scales].desc) ==
           out->n * (out->k / out->group_size);
}

qvk_status qvk__fuse_weight_only(qvk__fuser *fuser, size_t index, bool *changed, qvk_error *err)
{
    const qvk__node *node = &fuser->graph->nodes.data[index];
    quantized_weight weight;
    qvk__arg args[5];
    int32_t scales;

    if (node->op != QVK__OP_LINEAR || qvk__fuse_value(&node->args[0]) < 0 ||
        !match_weight(fuser, qvk__fuse_value(&node->args[1]), &weight))
        return QVK_OK;
    args[0] = node->args[0];
    args[4] = node->args[2];
    QVK__TRY(make_scales(fuser, weight.scales, weight.n, weight.k / weight.group_size, &scales, err));
    args[1] = qvk__arg_from_value(weight.weight);
    args[2] = qvk__arg_from_value(scales);
    args[3] = qvk__arg_from_int(weight.group_size);
    *changed = true;
    return qvk__fuse_replace(fuser, index, QVK__OP_QVK_LINEAR_Q8GSW, args, 5, err);
}

/* ---- activations ---------------------------------------------------------------------------------------- */

/* One block per row of the last dimension, whatever the rest. */
static bool is_per_token(const qvk__fuser *fuser, const qvk__arg *block, int32_t x)
{
    const qvk_tensor *desc = &fuser->graph->values.data[x].desc;
    int64_t sizes[QVK_MAX_RANK];
    int n;

    if (qvk__arg_ints(block, "block_size", sizes, QVK_MAX_RANK, &n, NULL) != QVK_OK || n != desc->rank ||
        n < 1)
        return false;
    for (int i = 0; i + 1 < n; i++)
        if (sizes[i] != 1)
            return false;
    return sizes[n - 1] == desc->sizes[n - 1];
}

static bool same_qparams(const qvk__arg *a, const qvk__arg *b)
{
    return qvk__fuse_value(a) >= 0 && qvk__fuse_value(a) == qvk__fuse_value(b);
}

/* dequantize_affine(quantize_affine(x)) with scale and zero point chosen from x itself, int8 per token. */
static bool match_dynamic(const qvk__fuser *fuser, int32_t value, const qvk__node **choose)
{
    const qvk__node *dequantize = qvk__fuse_producer(fuser, value), *quantize;
    int32_t x;

    if (!dequantize || dequantize->op != QVK__OP_TORCHAO_DEQUANTIZE_AFFINE)
        return false;
    quantize = qvk__fuse_producer(fuser, qvk__fuse_value(&dequantize->args[0]));
    if (!quantize || quantize->op != QVK__OP_TORCHAO_QUANTIZE_AFFINE ||
        !same_qparams(&quantize->args[2], &dequantize->args[2]) ||
        !same_qparams(&quantize->args[3], &dequantize->args[3]))
        return false;
    x = qvk__fuse_value(&quantize->args[0]);
    *choose = qvk__fuse_producer(fuser, qvk__fuse_value(&quantize->args[2]));
    if (!qvk__fuse_is_steady(fuser, x) || !*choose ||
        (*choose)->op != QVK__OP_TORCHAO_CHOOSE_QPARAMS_AFFINE || (*choose)->n_outs != 2 ||
        (*choose)->outs[0] != quantize->args[2].u.value || (*choose)->outs[1] != quantize->args[3].u.value ||
        qvk__fuse_value(&(*choose)->args[0]) != x)
        return false;
    return is_per_token(fuser, &(*choose)->args[2], x) && is_per_token(fuser, &quantize->args[1], x) &&
           is_per_token(fuser, &dequantize->args[1], x) && qvk__fuse_is_int(&quantize->args[5], -128) &&
           qvk__fuse_is_int(&quantize->args[6], 127);
}

qvk_status qvk__fuse_dynamic_activation(qvk__fuser *fuser, size_t index, bool *changed, qvk_error *err)
{
    const qvk__node *node = &fuser->graph->nodes.data[index];
    const qvk__node *choose;
    int64_t group_size;
    qvk__arg args[8];
    int32_t sums;

    if (node->op != QVK__OP_QVK_LINEAR_Q8GSW ||
        qvk__arg_int(&node->args[3], "", &group_size, NULL) != QVK_OK ||
        !match_dynamic(fuser, qvk__fuse_value(&node->args[0]), &choose))
        return QVK_OK;
    args[0] = choose->args[0];
    args[1] = qvk__arg_from_value(choose->outs[0]);
    args[2] = qvk__arg_from_value(choose->outs[1]);
    args[3] = node->args[1];
    args[5] = node->args[2];
    args[6] = node->args[3];
    args[7] = node->args[4];
    QVK__TRY(make_sums(fuser, node->args[1].u.value, group_size, 2, &sums, err));
    args[4] = qvk__arg_from_value(sums);
    *changed = true;
    return qvk__fuse_replace(fuser, index, QVK__OP_QVK_LINEAR_DQ8CA_Q8GSW, args, 8, err);
}

/* choose_qparams_affine as torchao's dynamic int8 activations ask for it: per token, the whole int8 range,
 * and results of the default types. */
static bool is_default_choice(const qvk__fuser *fuser, const qvk__node *choose)
{
    const qvk__value *values = fuser->graph->values.data;
    const int32_t x = qvk__fuse_value(&choose->args[0]);
    const char *mapping;

    return qvk__fuse_is_steady(fuser, x) && qvk__arg_string(&choose->args[1], "", &mapping, NULL) == QVK_OK &&
           strcmp(mapping, "ASYMMETRIC") == 0 && is_per_token(fuser, &choose->args[2], x) &&
           qvk__fuse_is_int(&choose->args[4], -128) && qvk__fuse_is_int(&choose->args[5], 127) &&
           qvk__arg_is_null(&choose->args[6]) && values[choose->outs[0]].desc.dtype == values[x].desc.dtype &&
           values[choose->outs[1]].desc.dtype == QVK_DTYPE_I8;
}

qvk_status qvk__fuse_chosen_activation(qvk__fuser *fuser, size_t index, bool *changed, qvk_error *err)
{
    const qvk__node *node = &fuser->graph->nodes.data[index], *choose;
    const bool four_bits = node->op == QVK__OP_ET_LINEAR_DQ8CA_Q4GSW;
    qvk__arg args[5];

    if (!four_bits && node->op != QVK__OP_QVK_LINEAR_DQ8CA_Q8GSW)
        return QVK_OK;
    choose = qvk__fuse_producer(fuser, qvk__fuse_value(&node->args[1]));
    if (!choose || choose->op != QVK__OP_TORCHAO_CHOOSE_QPARAMS_AFFINE || choose->n_outs != 2 ||
        choose->outs[0] != node->args[1].u.value || choose->outs[1] != qvk__fuse_value(&node->args[2]) ||
        qvk__fuse_value(&choose->args[0]) != qvk__fuse_value(&node->args[0]) ||
        !is_default_choice(fuser, choose))
        return QVK_OK;
    args[0] = node->args[0];
    args[1] = node->args[3];
    args[2] = node->args[5];
    args[3] = node->args[6];
    args[4] = node->args[7];
    *changed = true;
    return qvk__fuse_replace(
        fuser, index, four_bits ? QVK__OP_QVK_LINEAR_D8_Q4GSW : QVK__OP_QVK_LINEAR_D8_Q8GSW, args, 5, err);
}

qvk_status qvk__fuse_static_activation(qvk__fuser *fuser, size_t index, bool *changed, qvk_error *err)
{
    const qvk__node *node = &fuser->graph->nodes.data[index], *dequantize;
    const qvk_tensor *weight;
    qvk__arg args[7];
    int32_t q, sums, scales;
    int64_t n, k;

    if (node->op != QVK__OP_QVK_LINEAR_Q8GSW)
        return QVK_OK;
    scales = node->args[2].u.value;
    weight = &fuser->graph->values.data[node->args[1].u.value].desc;
    dequantize = qvk__fuse_producer(fuser, qvk__fuse_value(&node->args[0]));
    if (!qvk__fuse_is_int(&node->args[3], weight->sizes[1]) || !dequantize ||
        dequantize->op != QVK__OP_QD_DEQUANTIZE_PER_TENSOR)
        return QVK_OK;
    q = qvk__fuse_value(&dequantize->args[0]);
    if (!qvk__fuse_is_steady(fuser, q) || fuser->graph->values.data[q].desc.dtype != QVK_DTYPE_I8)
        return QVK_OK;
    args[0] = dequantize->args[0];
    args[1] = dequantize->args[1];
    args[2] = dequantize->args[2];
    args[3] = node->args[1];
    args[6] = node->args[4];
    n = weight->sizes[0];
    k = weight->sizes[1];
    QVK__TRY(make_sums(fuser, args[3].u.value, k, 1, &sums, err));
    QVK__TRY(reshape_constant(fuser, scales, 0, n, &scales, err));
    args[4] = qvk__arg_from_value(sums);
    args[5] = qvk__arg_from_value(scales);
    *changed = true;
    return qvk__fuse_replace(fuser, index, QVK__OP_ET_LINEAR_Q8TA_Q8CSW, args, 7, err);
}

/* ---- bias ----------------------------------------------------------------------------------------------- */

/* Is it one number per output feature, [N] or [1, N]? */
static bool is_bias(const qvk__fuser *fuser, int32_t value, int64_t n)
{
    const qvk_tensor *desc;

    if (!qvk__fuse_is_constant(fuser, value))
        return false;
    desc = &fuser->graph->values.data[value].desc;
    return qvk_tensor_numel(desc) == n && desc->rank >= 1 && desc->rank <= 2 &&
           desc->sizes[desc->rank - 1] == n && qvk__dtype_is_float(desc->dtype);
}

qvk_status qvk__fuse_bias(qvk__fuser *fuser, size_t index, bool *changed, qvk_error *err)
{
    const qvk__node *add = &fuser->graph->nodes.data[index], *matmul;
    qvk__arg args[5];
    int64_t n, k;
    int32_t scales;

    if (add->op != QVK__OP_ADD_TENSOR || !qvk__fuse_is_int(&add->args[2], 1) || add->outs[0] < 0)
        return QVK_OK;
    matmul = qvk__fuse_producer(fuser, qvk__fuse_value(&add->args[0]));
    if (!matmul || matmul->op != QVK__OP_PRIV_WEIGHT_INT8PACK_MM || matmul->outs[0] != add->args[0].u.value ||
        qvk__graph_use_count(fuser->graph, matmul->outs[0]) != 1 ||
        !qvk__fuse_is_steady(fuser, qvk__fuse_value(&matmul->args[0])) ||
        !qvk__fuse_is_constant(fuser, qvk__fuse_value(&matmul->args[1])) ||
        !qvk__fuse_is_constant(fuser, qvk__fuse_value(&matmul->args[2])))
        return QVK_OK;
    n = fuser->graph->values.data[matmul->args[1].u.value].desc.sizes[0];
    k = fuser->graph->values.data[matmul->args[1].u.value].desc.sizes[1];
    if (!is_bias(fuser, qvk__fuse_value(&add->args[1]), n) ||
        qvk_tensor_numel(&fuser->graph->values.data[matmul->args[2].u.value].desc) != n ||
        fuser->graph->values.data[add->outs[0]].desc.dtype !=
            fuser->graph->values.data[matmul->outs[0]].desc.dtype)
        return QVK_OK;
    args[0] = matmul->args[0];
    args[1] = matmul->args[1];
    args[3] = qvk__arg_from_int(k);
    args[4] = add->args[1];
    QVK__TRY(reshape_constant(fuser, matmul->args[2].u.value, 1, n, &scales, err));
    args[2] = qvk__arg_from_value(scales);
    *changed = true;
    return qvk__fuse_replace(fuser, index, QVK__OP_QVK_LINEAR_Q8GSW, args, 5, err);
}
