/* Shape rules of normalisations. The statistics have the input's dtype, as PyTorch's CPU operators give them.
 */
#include "core/dtype.h"
#include "core/semantics.h"
#include "core/shape.h"

qvk_status qvk__shape_layer_norm(qvk__op op, const qvk__arg *args, int n_args, qvk_tensor *outs, int n_outs,
                                 qvk_error *err)
{
    const qvk_tensor *input;
    int64_t normalized[QVK_MAX_RANK];
    int n;

    (void)op;
    (void)n_args;
    QVK__TRY(qvk__arg_tensor(&args[0], "input", &input, err));
    QVK__TRY(qvk__arg_ints(&args[1], "normalized_shape", normalized, QVK_MAX_RANK, &n, err));
    bool fits = n >= 1 && n <= input->rank;
    for (int i = 0; fits && i < n; i++)
        fits = normalized[i] == input->sizes[input->rank - n + i];
    QVK__CHECK(fits, err, QVK_SHAPE, "normalized_shape does not fit an input of %s",
               qvk__shape_text(input).text);
    for (int i = 0; i < n_outs; i++) {
        outs[i] = *input;
        outs[i].data = NULL;
        for (int d = input->rank - n; i > 0 && d < input->rank; d++)
            outs[i].sizes[d] = 1;
    }
    return QVK_OK;
}

qvk_status qvk__shape_group_norm(qvk__op op, const qvk__arg *args, int n_args, qvk_tensor *outs, int n_outs,
                                 qvk_error *err)
{
    const qvk_tensor *input;
    int64_t batch, channels, plane, groups;

    (void)op;
    (void)n_args;
    QVK__TRY(qvk__arg_tensor(&args[0], "input", &input, err));
    QVK__TRY(qvk__arg_int(&args[3], "N", &batch, err));
    QVK__TRY(qvk__arg_int(&args[4], "C", &channels, err));
    QVK__TRY(qvk__arg_int(&args[5], "HxW", &plane, err));
    QVK__TRY(qvk__arg_int(&args[6], "group", &groups, err));
    QVK__CHECK(input->rank >= 2 && input->sizes[0] == batch && input->sizes[1] == channels && groups >= 1 &&
                   channels % groups == 0 && batch * channels * plane == qvk_tensor_numel(input),
               err, QVK_SHAPE, "group norm of %s as %lld x %lld x %lld in %lld groups",
               qvk__shape_text(input).text, (long long)batch, (long long)channels, (long long)plane,
               (long long)groups);
    for (int i = 0; i < n_outs; i++) {
        outs[i] = *input;
        outs[i].data = NULL;
        if (i > 0)
            outs[i] = (qvk_tensor){.dtype = input->dtype, .rank = 2, .sizes = {batch, groups}};
    }
    return QVK_OK;
}

/* The saved statistics of inference are empty, as in PyTorch. */
qvk_status qvk__shape_batch_norm(qvk__op op, const qvk__arg *args, int n_args, qvk_tensor *outs, int n_outs,
                                 qvk_error *err)
{
    const qvk_tensor *input;

    (void)op;
    (void)n_args;
    QVK__TRY(qvk__arg_tensor(&args[0], "input", &input, err));
    QVK__CHECK(input->rank >= 2, err, QVK_SHAPE, "batch norm of %s", qvk__shape_text(input).text);
    for (int i = 0; i < n_outs; i++) {
        outs[i] = *input;
        outs[i].data = NULL;
        if (i > 0)
            outs[i] = (qvk_tensor){.dtype = input->dtype, .rank = 1};
    }
    return QVK_OK;
}

qvk_status qvk__arg_rms_rounding(const qvk__arg *arg, qvk__rms_rounding *out, qvk_error *err)
{
    int64_t rounding;

    QVK__TRY(qvk__arg_int(arg, "rounding", &rounding, err));
    QVK__CHECK(rounding >= QVK__RMS_ROUND_RESULT && rounding <= QVK__RMS_ROUND_STEPS, err,
               QVK_INVALID_ARGUMENT, "rounding %lld of an rms norm", (long long)rounding);
    *out = (qvk__rms_rounding)rounding;
    return QVK_OK;
}
