/* Float fusions: batch norm into the convolution before it; relu and hardtanh into the convolution. */
#include <float.h>

#include "core/dtype.h"
#include "ir/fold_bn.h"
#include "lower/fuse.h"

/* float32 bytes of a constant argument; *out NULL for None. false: not a float32 constant. */
static bool constant_floats(const qvk__edge_pass *pass, const qvk__arg *arg, const float **out)
{
    const qvk__value *value = qvk__pass_value(pass, arg);
    const void *bytes;

    *out = NULL;
    if (arg->kind == QVK__ARG_NULL)
        return true;
    if (!value || !value->constant || value->desc.dtype != QVK_DTYPE_F32 ||
        qvk__constant_bytes(value->constant, &bytes, NULL) != QVK_OK)
        return false;
    *out = bytes;
    return true;
}

static void release(const qvk__edge_pass *pass, const qvk__arg *arg, const float *bytes)
{
    if (bytes)
        qvk__constant_release(qvk__pass_value(pass, arg)->constant, bytes);
}

/* New weight and bias constants of the folded convolution. */
static qvk_status fold(qvk__edge_pass *pass, const qvk__node *conv, const qvk__batch_norm *norm,
                       bool transposed, const float *weight, const float *bias, int32_t folded[2],
                       qvk_error *err)
{
    qvk__edge *edge = pass->edge;
    qvk_tensor w = *qvk__edge_desc(edge, conv->args[1].u.value),
               b = {QVK_DTYPE_F32, 1, {norm->channels}, NULL};
    qvk_status status = QVK_OK;
    int64_t inner = 1;

    for (int i = transposed ? 2 : 1; i < w.rank; i++)
        inner *= w.sizes[i];
    w.data = malloc(qvk_tensor_bytes(&w));
    b.data = qvk__alloc_zeroed((uint64_t)norm->channels, sizeof(float));
    QVK__CHECK_GO(w.data && b.data, err, QVK_OUT_OF_MEMORY, "out of memory");
    memcpy(w.data, weight, qvk_tensor_bytes(&w));
    if (bias)
        memcpy(b.data, bias, qvk_tensor_bytes(&b));
    qvk__fold_batch_norm(norm, transposed ? w.sizes[0] : 1, inner, w.data, b.data, bias != NULL);
    QVK__TRY_GO(qvk__edge_constant(edge, &w, &folded[0], err));
    QVK__TRY_GO(qvk__edge_constant(edge, &b, &folded[1], err));
done:
    free(w.data);
    free(b.data);
    return status;
}

qvk_status qvk__match_batch_norm(qvk__edge_pass *pass, const qvk__node *node, int32_t *outs, bool *matched,
                                 qvk_error *err)
{
    const float *operands[6] = {NULL}; /* convolution weight, bias; norm weight, bias, mean, variance */
    const qvk__arg *args[6];
    const qvk__node *conv;
    qvk__batch_norm norm;
    qvk_status status = QVK_OK;
    bool transposed, usable = true;
    int32_t folded[2];

    if (node->op != QVK__OP_PRIV_NATIVE_BATCH_NORM_LEGIT_NO_TRAINING)
        return QVK_OK;
    conv = qvk__pass_producer(pass, &node->args[0], QVK__OP_CONVOLUTION);
    if (!conv || !qvk__pass_single_use(pass, conv->outs[0]) || pass->uses[node->outs[1]] ||
        pass->uses[node->outs[2]] || qvk__arg_bool(&conv->args[6], "", &transposed, NULL) != QVK_OK)
        return QVK_OK;
    for (int i = 0; i < 6; i++) {
        args[i] = i < 2 ? &conv->args[1 + i] : &node->args[i - 1];
        usable = constant_floats(pass, args[i], &operands[i]) && usable;
    }
    norm = (qvk__batch_norm){qvk__edge_desc(pass->edge, node->outs[0])->sizes[1],
                             operands[2],
                             operands[3],
                             operands[4],
                             operands[5],
                             0};
    usable = usable && operands[0] && operands[4] && operands[5] &&
             qvk__arg_float(&node->args[6], "eps", &norm.eps, NULL) == QVK_OK &&
             (!transposed || qvk__pass_value(pass, args[0])->desc.sizes[1] == norm.channels);
    if (usable) {
        qvk__arg replaced[9];
        QVK__TRY_GO(fold(pass, conv, &norm, transposed, operands[0], operands[1], folded, err));
        for (int i = 0; i < 9; i++)
            replaced[i] = qvk__pass_arg(pass, &conv->args[i]);
        replaced[1] = qvk__arg_from_value(folded[0]);
        replaced[2] = qvk__arg_from_value(folded[1]);
        QVK__TRY_GO(
            qvk__edge_emit(pass->edge, QVK__OP_CONVOLUTION, replaced, 9, QVK_DTYPE_NONE, outs, 1, err));
        outs[1] = outs[2] = outs[0]; /* save_mean and save_invstd: nobody reads them */
        *matched = true;
    }
done:
    for (int i = 0; i < 6; i++)
        release(pass, args[i], operands[i]);
    return status;
}

qvk_status qvk__match_conv_clamp(qvk__edge_pass *pass, const qvk__node *node, int32_t *outs, bool *matched,
                                 qvk_error *err)
{
    qvk__arg args[11], low = qvk__arg_from_float(0.0), high = qvk__arg_from_float(DBL_MAX);
    const qvk__node *conv;

    if (node->op != QVK__OP_RELU && node->op != QVK__OP_HARDTANH && node->op != QVK__OP_RELU6)
        return QVK_OK;
    conv = qvk__pass_producer(pass, &node->args[0], QVK__OP_CONVOLUTION);
    if (!conv || !qvk__pass_single_use(pass, conv->outs[0]))
        return QVK_OK;
    if (node->op == QVK__OP_RELU6) {
        high = qvk__arg_from_float(6.0);
    } else if (node->op == QVK__OP_HARDTANH) {
        low = node->args[1];
        high = node->args[2];
    }
    *matched = true;
    for (int i = 0; i < 9; i++)
        args[i] = qvk__pass_arg(pass, &conv->args[i]);
    args[9] = low;
    args[10] = high;
    return qvk__edge_emit(pass->edge, QVK__OP_ET_CONV_WITH_CLAMP, args, 11, QVK_DTYPE_NONE, outs, 1, err);
}
