/* Convolution in floats: aten.convolution, et_vk.conv_with_clamp. */
#include "core/dtype.h"
#include "core/geometry.h"
#include "reference/array.h"
#include "reference/functions.h"

/* Sum over the window of one output element. `place` is batch, output channel, row, column. */
static double convolve_at(const qvk__conv *conv, const double *x, const double *w, const int64_t place[4])
{
    const int64_t in_per_group = conv->in_channels / conv->groups;
    const int64_t out_per_group = conv->out_channels / conv->groups;
    const int64_t group = place[1] / out_per_group;
    double sum = 0;

    for (int64_t c = 0; c < in_per_group; c++) {
        const int64_t channel = group * in_per_group + c;
        const double *plane = x + (place[0] * conv->in_channels + channel) * conv->in[0] * conv->in[1];
        const int64_t filter = conv->transposed ? channel * out_per_group + place[1] % out_per_group
                                                : place[1] * in_per_group + c;
        const double *taps = w + filter * conv->kernel[0] * conv->kernel[1];
        for (int64_t ky = 0; ky < conv->kernel[0]; ky++) {
            const int64_t row = qvk__conv_source(conv, 0, place[2], ky);
            for (int64_t kx = 0; row >= 0 && kx < conv->kernel[1]; kx++) {
                const int64_t column = qvk__conv_source(conv, 1, place[3], kx);
                if (column >= 0)
                    sum += plane[row * conv->in[1] + column] * taps[ky * conv->kernel[1] + kx];
            }
        }
    }
    return sum;
}

/* Comparisons let NaN through, as PyTorch's clamp does. */
static double clamp(double value, float lower, float upper)
{
    return value < (double)lower ? (double)lower : value > (double)upper ? (double)upper : value;
}

qvk_status qvk__reference_convolution(qvk__op op, const qvk__arg *args, int n_args, qvk_tensor *outs,
                                      int n_outs, qvk_error *err)
{
    double *x = NULL, *w = NULL, *b = NULL;
    qvk_status status = QVK_OK;
    const qvk_tensor *bias;
    float lower, upper;
    qvk__conv conv;

    (void)n_outs;
    QVK__TRY(qvk__conv_of(op, args, n_args, &conv, err));
    QVK__TRY(qvk__conv_clamp_of(op, args, &lower, &upper, err));
    QVK__TRY(qvk__arg_tensor_or_null(&args[2], "bias", &bias, err));
    QVK__CHECK(!bias || qvk_tensor_numel(bias) >= conv.out_channels, err, QVK_SHAPE,
               "bias %s does not fit %lld output channels", qvk__shape_text(bias).text,
               (long long)conv.out_channels);
    QVK__TRY_GO(qvk__array_load(args[0].u.tensor, &x, err));
    QVK__TRY_GO(qvk__array_load(args[1].u.tensor, &w, err));
    QVK__TRY_GO(qvk__array_load(bias, &b, err));
    int64_t index = 0;
    for (int64_t n = 0; n < conv.batch; n++)
        for (int64_t c = 0; c < conv.out_channels; c++)
            for (int64_t y = 0; y < conv.out[0]; y++)
                for (int64_t i = 0; i < conv.out[1]; i++) {
                    const double sum = convolve_at(&conv, x, w, (const int64_t[]){n, c, y, i});
                    qvk__reference_set(&outs[0], index++, clamp(sum + (b ? b[c] : 0), lower, upper));
                }
done:
    free(x);
    free(w);
    free(b);
    return status;
}
