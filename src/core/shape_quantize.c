/* Shape rules of quantize, dequantize, choose_qparams and the 4-bit embeddings. */
#include "core/blocks.h"
#include "core/dtype.h"
#include "core/shape.h"

/* ScalarType arguments hold ATen's codes. A dtype set already (a blob's output carries it) wins. */
static void settle_dtype(qvk_tensor *out, const qvk__arg *args, int n_args, int at, qvk_dtype fallback)
{
    if (out->dtype != QVK_DTYPE_NONE)
        return;
    if (at < n_args && args[at].kind == QVK__ARG_INT)
        out->dtype = qvk__dtype_from_code(args[at].u.i, QVK__DTYPE_PTE);
    if (out->dtype == QVK_DTYPE_NONE)
        out->dtype = fallback;
}

static void copy_sizes(const qvk_tensor *from, qvk_tensor *to)
{
    to->rank = from->rank;
    memcpy(to->sizes, from->sizes, sizeof(to->sizes));
}

qvk_status qvk__shape_quantize(qvk__op op, const qvk__arg *args, int n_args, qvk_tensor *outs, int n_outs,
                               qvk_error *err)
{
    int dtype_at = op == QVK__OP_QD_QUANTIZE_PER_CHANNEL ? 6 : op == QVK__OP_TORCHAO_QUANTIZE_AFFINE ? 4 : 5;
    qvk__blocks blocks;

    (void)n_outs;
    QVK__TRY(qvk__blocks_of(op, args, n_args, &blocks, err));
    copy_sizes(args[0].u.tensor, &outs[0]);
    settle_dtype(&outs[0], args, n_args, dtype_at, QVK_DTYPE_I8);
    return QVK_OK;
}

qvk_status qvk__shape_dequantize(qvk__op op, const qvk__arg *args, int n_args, qvk_tensor *outs, int n_outs,
                                 qvk_error *err)
{
    int dtype_at = op == QVK__OP_QD_DEQUANTIZE_PER_CHANNEL || op == QVK__OP_TORCHAO_DEQUANTIZE_AFFINE ? 7 : 6;
    qvk__blocks blocks;

    (void)n_outs;
    QVK__TRY(qvk__blocks_of(op, args, n_args, &blocks, err));
    copy_sizes(args[0].u.tensor, &outs[0]);
    settle_dtype(&outs[0], args, n_args, dtype_at, QVK_DTYPE_F32);
    return QVK_OK;
}

/* torchao drops the dimensions that one block spans, unless keepdim. */
static qvk_status affine_qparams(const qvk__arg *args, int n_args, const qvk__blocks *blocks,
                                 qvk_tensor *scale, qvk_tensor *zero_point, qvk_error *err)
{
    bool keepdim = false;
    const char *mapping;

    QVK__TRY(qvk__arg_string(&args[1], "mapping_type", &mapping, err));
    if (n_args > 9 && !qvk__arg_is_null(&args[9]))
        QVK__TRY(qvk__arg_bool(&args[9], "keepdim", &keepdim, err));
    scale->rank = 0;
    for (int d = 0; d < blocks->rank; d++)
        if (keepdim || blocks->block[d] == 1 || blocks->block[d] != blocks->sizes[d])
            scale->sizes[scale->rank++] = blocks->counts[d];
    settle_dtype(scale, args, n_args, 7, args[0].u.tensor->dtype);
    /* Left open, a symmetric mapping's zero point stays in the type of the scale. */
    settle_dtype(zero_point, args, n_args, 8,
                 strcmp(mapping, "ASYMMETRIC") == 0 ? QVK_DTYPE_I32 : args[0].u.tensor->dtype);
    return QVK_OK;
}

qvk_status qvk__shape_choose_qparams(qvk__op op, const qvk__arg *args, int n_args, qvk_tensor *outs,
                                     int n_outs, qvk_error *err)
{
    qvk__blocks blocks;

    (void)n_outs;
    QVK__TRY(qvk__blocks_of(op, args, n_args, &blocks, err));
    if (op == QVK__OP_TORCHAO_CHOOSE_QPARAMS_AFFINE) {
        QVK__TRY(affine_qparams(args, n_args, &blocks, &outs[0], &outs[1], err));
    } else {
        if (op == QVK__OP_QD_CHOOSE_QPARAMS_TENSOR) {
            outs[0].rank = 1;
            outs[0].sizes[0] = 1;
        } else {
            copy_sizes(args[0].u.tensor, &outs[0]);
            QVK__CHECK(outs[0].rank >= 1, err, QVK_SHAPE, "%s: a scalar has no tokens", qvk__op_name(op));
            outs[0].sizes[outs[0].rank - 1] = 1;
        }
        settle_dtype(&outs[0], args, 0, 0, QVK_DTYPE_F64);
        settle_dtype(&outs[1], args, 0, 0, QVK_DTYPE_I64);
    }
    copy_sizes(&outs[0], &outs[1]);
    return QVK_OK;
}

qvk_status qvk__shape_embedding_q4(qvk__op op, const qvk__arg *args, int n_args, qvk_tensor *outs, int n_outs,
                                   qvk_error *err)
{
    bool is_et = op == QVK__OP_ET_EMBEDDING_Q4GSW;
    const qvk_tensor *weight, *scales, *indices;

    (void)n_outs;
    QVK__TRY(qvk__arg_tensor(&args[0], "weight", &weight, err));
    QVK__TRY(qvk__arg_tensor(&args[1], "weight_scales", &scales, err));
    QVK__TRY(qvk__arg_tensor(&args[is_et ? 3 : 5], "indices", &indices, err));
    QVK__CHECK(weight->rank == 2 && weight->dtype == QVK_DTYPE_U8, err, QVK_SHAPE,
               "%s: weight %s must be uint8 [rows, half the width]", qvk__op_name(op),
               qvk__shape_text(weight).text);
    QVK__CHECK(indices->rank < QVK_MAX_RANK, err, QVK_SHAPE, "%s: indices of rank %d", qvk__op_name(op),
               indices->rank);
    copy_sizes(indices, &outs[0]);
    outs[0].sizes[outs[0].rank++] = weight->sizes[1] * 2;
    settle_dtype(&outs[0], args, n_args, is_et ? n_args : 6, scales->dtype);
    return QVK_OK;
}
