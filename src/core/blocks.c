/* Blocks that share quantization parameters: found from an operator's arguments, and looked up. */
#include "core/blocks.h"

#include "core/dtype.h"

static void whole_tensor(const qvk_tensor *tensor, qvk__blocks *out)
{
    out->rank = tensor->rank;
    for (int d = 0; d < tensor->rank; d++) {
        out->sizes[d] = tensor->sizes[d];
        out->block[d] = QVK__MAX(tensor->sizes[d], 1);
    }
}

static qvk_status per_channel(const qvk__arg *axis_arg, qvk__blocks *out, qvk_error *err)
{
    int64_t axis;

    QVK__TRY(qvk__arg_int(axis_arg, "axis", &axis, err));
    QVK__CHECK(axis >= -out->rank && axis < out->rank, err, QVK_SHAPE, "axis %lld of a tensor of rank %d",
               (long long)axis, out->rank);
    out->block[axis < 0 ? axis + out->rank : axis] = 1;
    return QVK_OK;
}

static void per_token(qvk__blocks *out)
{
    for (int d = 0; d < out->rank - 1; d++)
        out->block[d] = 1;
}

static qvk_status affine(const qvk__arg *block_size, qvk__blocks *out, qvk_error *err)
{
    int n;

    QVK__TRY(qvk__arg_ints(block_size, "block_size", out->block, QVK_MAX_RANK, &n, err));
    QVK__CHECK(n == out->rank, err, QVK_SHAPE, "block_size has %d dimensions, the tensor %d", n, out->rank);
    return QVK_OK;
}

/* The operators' one difference: how they say what shares a scale. */
static qvk_status choose_blocks(qvk__op op, const qvk__arg *args, qvk__blocks *out, qvk_error *err)
{
    switch (op) {
    case QVK__OP_QD_QUANTIZE_PER_CHANNEL:
    case QVK__OP_QD_DEQUANTIZE_PER_CHANNEL: return per_channel(&args[3], out, err);
    case QVK__OP_QD_QUANTIZE_PER_TOKEN:
    case QVK__OP_QD_DEQUANTIZE_PER_TOKEN:
    case QVK__OP_QD_CHOOSE_QPARAMS_PER_TOKEN_ASYMMETRIC: per_token(out); return QVK_OK;
    case QVK__OP_TORCHAO_QUANTIZE_AFFINE:
    case QVK__OP_TORCHAO_DEQUANTIZE_AFFINE: return affine(&args[1], out, err);
    case QVK__OP_TORCHAO_CHOOSE_QPARAMS_AFFINE: return affine(&args[2], out, err);
    default: return QVK_OK;
    }
}

/* Scales given as a tensor must be one per block, in whatever shape. */
static qvk_status check_scales(qvk__op op, const qvk__arg *args, int n_args, const qvk__blocks *blocks,
                               qvk_error *err)
{
    int at = op == QVK__OP_TORCHAO_QUANTIZE_AFFINE || op == QVK__OP_TORCHAO_DEQUANTIZE_AFFINE ? 2 : 1;

    for (int i = at; i < at + 2 && i < n_args; i++) {
        if (args[i].kind != QVK__ARG_TENSOR)
            continue;
        int64_t have = qvk_tensor_numel(args[i].u.tensor);
        /* torchao takes an empty zero point for none; an empty tensor uses no scale, but may have one. */
        QVK__CHECK(have == blocks->total || blocks->total == 0 || (have == 0 && i > at), err, QVK_SHAPE,
                   "%s: %s %s for %lld blocks", qvk__op_name(op), i == at ? "scales" : "zero points",
                   qvk__shape_text(args[i].u.tensor).text, (long long)blocks->total);
    }
    return QVK_OK;
}

qvk_status qvk__blocks_of(qvk__op op, const qvk__arg *args, int n_args, qvk__blocks *out, qvk_error *err)
{
    const qvk_tensor *tensor;

    *out = (qvk__blocks){.total = 1};
    QVK__TRY(qvk__arg_tensor(&args[0], "input", &tensor, err));
    whole_tensor(tensor, out);
    QVK__TRY(choose_blocks(op, args, out, err));
    for (int d = 0; d < out->rank; d++) {
        QVK__CHECK(out->block[d] >= 1 && out->sizes[d] % out->block[d] == 0, err, QVK_SHAPE,
                   "%s: input size at dimension %d (%lld) is not divisible by the block size %lld",
                   qvk__op_name(op), d, (long long)out->sizes[d], (long long)out->block[d]);
        out->counts[d] = out->sizes[d] / out->block[d];
        out->total *= out->counts[d];
    }
    return check_scales(op, args, n_args, out, err);
}

int64_t qvk__blocks_index(const qvk__blocks *blocks, int64_t element)
{
    int64_t index = 0, stride = 1;

    for (int d = blocks->rank - 1; d >= 0; d--) {
        int64_t coordinate = element % blocks->sizes[d];
        element /= blocks->sizes[d];
        index += coordinate / blocks->block[d] * stride;
        stride *= blocks->counts[d];
    }
    return index;
}
