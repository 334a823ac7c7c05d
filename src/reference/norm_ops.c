/* Normalisations and softmax. Statistics in float64: PyTorch's own sums (cascades, Welford) are better than a
 * plain float32 loop, and come this close. */
#include <math.h>

#include "core/dtype.h"
#include "core/semantics.h"
#include "reference/array.h"
#include "reference/functions.h"
#include "reference/rounding.h"

/* ---- softmax -------------------------------------------------------------------------------------------- */

static void softmax_row(double *row, int64_t n, bool logarithm)
{
    double top = -INFINITY, sum = 0;

    for (int64_t i = 0; i < n; i++)
        if (row[i] > top || isnan(row[i]))
            top = row[i];
    for (int64_t i = 0; i < n; i++)
        sum += exp(row[i] - top);
    for (int64_t i = 0; i < n; i++)
        row[i] = logarithm ? row[i] - top - log(sum) : exp(row[i] - top) / sum;
}

qvk_status qvk__reference_softmax(qvk__op op, const qvk__arg *args, int n_args, qvk_tensor *outs, int n_outs,
                                  qvk_error *err)
{
    const qvk_tensor *input = args[0].u.tensor;
    int64_t dim, before = 1, after = 1;
    double *row;

    (void)n_args;
    (void)n_outs;
    QVK__TRY(qvk__arg_int(&args[1], "dim", &dim, err));
    const int rank = QVK__MAX(input->rank, 1); /* a scalar has a dimension 0 here */
    dim += dim < 0 ? rank : 0;
    QVK__CHECK(dim >= 0 && dim < rank, err, QVK_SHAPE, "softmax over dimension %lld of %s", (long long)dim,
               qvk__shape_text(input).text);
    const int64_t n = input->rank > 0 ? input->sizes[dim] : 1;
    for (int i = 0; i < input->rank; i++) {
        before *= i < dim ? input->sizes[i] : 1;
        after *= i > dim ? input->sizes[i] : 1;
    }
    QVK__TRY(qvk__array_new(n, &row, err));
    for (int64_t b = 0; b < before; b++)
        for (int64_t a = 0; a < after; a++) {
            for (int64_t i = 0; i < n; i++)
                row[i] = qvk__reference_get(input, (b * n + i) * after + a);
            softmax_row(row, n, op == QVK__OP_PRIV_LOG_SOFTMAX);
            for (int64_t i = 0; i < n; i++)
                qvk__reference_set(&outs[0], (b * n + i) * after + a, row[i]);
        }
    free(row);
    return QVK_OK;
}

/* ---- layer, group, rms ---------------------------------------------------------------------------------- */

static void mean_and_rstd(const double *row, int64_t n, double eps, double *mean, double *rstd)
{
    double sum = 0, squares = 0;

    for (int64_t i = 0; i < n; i++)
        sum += row[i];
    *mean = sum / (double)n;
    for (int64_t i = 0; i < n; i++)
        squares += (row[i] - *mean) * (row[i] - *mean);
    *rstd = 1.0 / sqrt(squares / (double)n + eps);
}

/*
 * Rows of `row_size` elements, normalised one by one. Element i of row r is scaled by weight[w] and shifted
 * by bias[w] where w = (i / repeat + r * (row_size / repeat)) % n_weights: layer norm has a weight an element
 * (repeat 1, n_weights = row_size), group norm one a channel (repeat = HxW, n_weights = C).
 */
static qvk_status normalize_rows(const qvk_tensor *input, const qvk_tensor *weight, const qvk_tensor *bias,
                                 int64_t row_size, int64_t repeat, int64_t n_weights, double eps,
                                 qvk_tensor *outs, int n_outs, qvk_error *err)
{
    const int64_t rows = row_size > 0 ? qvk_tensor_numel(input) / row_size : 0;
    double *row = NULL, *w = NULL, *b = NULL, mean, rstd;
    qvk_status status = QVK_OK;

    QVK__CHECK((!weight || qvk_tensor_numel(weight) == n_weights) &&
                   (!bias || qvk_tensor_numel(bias) == n_weights),
               err, QVK_SHAPE, "weight and bias of %lld elements do not fit", (long long)n_weights);
    QVK__TRY_GO(qvk__array_new(row_size, &row, err));
    QVK__TRY_GO(qvk__array_load(weight, &w, err));
    QVK__TRY_GO(qvk__array_load(bias, &b, err));
    for (int64_t r = 0; r < rows; r++) {
        qvk__array_read(input, r * row_size, row_size, row);
        mean_and_rstd(row, row_size, eps, &mean, &rstd);
        for (int64_t i = 0; i < row_size; i++) {
            const int64_t at = (i / repeat + r * (row_size / repeat)) % n_weights;
            row[i] = (row[i] - mean) * rstd * (w ? w[at] : 1) + (b ? b[at] : 0);
        }
        qvk__array_write(&outs[0], r * row_size, row_size, row);
        if (n_outs > 1 && outs[1].data)
            qvk__reference_set(&outs[1], r, mean);
        if (n_outs > 2 && outs[2].data)
            qvk__reference_set(&outs[2], r, rstd);
    }
done:
    free(row);
    free(w);
    free(b);
    return status;
}

qvk_status qvk__reference_layer_norm(qvk__op op, const qvk__arg *args, int n_args, qvk_tensor *outs,
                                     int n_outs, qvk_error *err)
{
    const qvk_tensor *input = args[0].u.tensor, *weight, *bias;
    int64_t normalized[QVK_MAX_RANK], row_size = 1;
    double eps;
    int n;

    (void)op;
    (void)n_args;
    QVK__TRY(qvk__arg_ints(&args[1], "normalized_shape", normalized, QVK_MAX_RANK, &n, err));
    QVK__TRY(qvk__arg_tensor_or_null(&args[2], "weight", &weight, err));
    QVK__TRY(qvk__arg_tensor_or_null(&args[3], "bias", &bias, err));
    QVK__TRY(qvk__arg_float(&args[4], "eps", &eps, err));
    for (int i = 0; i < n; i++)
        row_size *= normalized[i];
    return normalize_rows(input, weight, bias, row_size, 1, row_size, eps, outs, n_outs, err);
}

qvk_status qvk__reference_group_norm(qvk__op op, const qvk__arg *args, int n_args, qvk_tensor *outs,
                                     int n_outs, qvk_error *err)
{
    const qvk_tensor *input = args[0].u.tensor, *weight, *bias;
    int64_t channels, plane, groups;
    double eps;

    (void)op;
    (void)n_args;
    QVK__TRY(qvk__arg_tensor_or_null(&args[1], "weight", &weight, err));
    QVK__TRY(qvk__arg_tensor_or_null(&args[2], "bias", &bias, err));
    QVK__TRY(qvk__arg_int(&args[4], "C", &channels, err));
    QVK__TRY(qvk__arg_int(&args[5], "HxW", &plane, err));
    QVK__TRY(qvk__arg_int(&args[6], "group", &groups, err));
    QVK__TRY(qvk__arg_float(&args[7], "eps", &eps, err));
    return normalize_rows(input, weight, bias, channels / groups * plane, QVK__MAX(plane, 1), channels, eps,
                          outs, n_outs, err);
}

/* What a step leaves where it is rounded to the tensor's type. */
static double step(double value, qvk_dtype dtype, bool rounds)
{
    return rounds && dtype != QVK_DTYPE_F64 ? qvk__round_to(dtype, (float)value) : value;
}

static void rms_row(double *row, const double *w, int64_t n, double eps, qvk_dtype dtype,
                    qvk__rms_rounding rounding)
{
    const bool all = rounding == QVK__RMS_ROUND_STEPS, normalized = rounding != QVK__RMS_ROUND_RESULT;
    double squares = 0, mean, scale;

    for (int64_t i = 0; i < n; i++)
        squares += step(row[i] * row[i], dtype, all);
    mean = step(squares / (double)n, dtype, all);
    scale = step(1.0 / sqrt(step(mean + eps, dtype, all)), dtype, all);
    for (int64_t i = 0; i < n; i++)
        row[i] = step(row[i] * scale, dtype, normalized) * (w ? w[i] : 1.0);
}

qvk_status qvk__reference_rms_norm(qvk__op op, const qvk__arg *args, int n_args, qvk_tensor *outs, int n_outs,
                                   qvk_error *err)
{
    const qvk_tensor *input = args[0].u.tensor, *weight;
    double *row = NULL, *w = NULL, eps;
    qvk__rms_rounding rounding = QVK__RMS_ROUND_RESULT;
    qvk_status status = QVK_OK;

    (void)n_args;
    (void)n_outs;
    if (op == QVK__OP_QVK_RMS_NORM)
        QVK__TRY(qvk__arg_rms_rounding(&args[3], &rounding, err));
    QVK__TRY(qvk__arg_tensor_or_null(&args[1], "weight", &weight, err));
    QVK__TRY(qvk__arg_float(&args[2], "eps", &eps, err));
    const int64_t n = input->rank > 0 ? input->sizes[input->rank - 1] : 1;
    QVK__CHECK(!weight || qvk_tensor_numel(weight) == n, err, QVK_SHAPE,
               "weight %s does not fit rows of %lld", qvk__shape_text(weight).text, (long long)n);
    QVK__TRY_GO(qvk__array_new(n, &row, err));
    QVK__TRY_GO(qvk__array_load(weight, &w, err));
    const int64_t rows = n > 0 ? qvk_tensor_numel(input) / n : 0;
    for (int64_t r = 0; r < rows; r++) {
        qvk__array_read(input, r * n, n, row);
        rms_row(row, w, n, eps, input->dtype, rounding);
        qvk__array_write(&outs[0], r * n, n, row);
    }
done:
    free(row);
    free(w);
    return status;
}

/* ---- batch ---------------------------------------------------------------------------------------------- */

qvk_status qvk__reference_batch_norm(qvk__op op, const qvk__arg *args, int n_args, qvk_tensor *outs,
                                     int n_outs, qvk_error *err)
{
    const qvk_tensor *input = args[0].u.tensor, *weight, *bias, *mean, *variance;
    const int64_t channels = input->sizes[1], numel = qvk_tensor_numel(input);
    const int64_t plane = numel > 0 ? numel / (input->sizes[0] * channels) : 1;
    double eps;

    (void)op;
    (void)n_args;
    (void)n_outs; /* the saved statistics are empty */
    QVK__TRY(qvk__arg_tensor_or_null(&args[1], "weight", &weight, err));
    QVK__TRY(qvk__arg_tensor_or_null(&args[2], "bias", &bias, err));
    QVK__TRY(qvk__arg_tensor(&args[3], "running_mean", &mean, err));
    QVK__TRY(qvk__arg_tensor(&args[4], "running_var", &variance, err));
    QVK__TRY(qvk__arg_float(&args[6], "eps", &eps, err));
    const qvk_tensor *const statistics[] = {weight, bias, mean, variance};
    for (size_t i = 0; i < QVK__COUNT(statistics); i++)
        QVK__CHECK(!statistics[i] || qvk_tensor_numel(statistics[i]) == channels, err, QVK_SHAPE,
                   "batch norm of %lld channels with statistics %s", (long long)channels,
                   qvk__shape_text(statistics[i]).text);
    for (int64_t i = 0; i < numel; i++) {
        const int64_t c = i / plane % channels;
        const double scale =
            (weight ? qvk__reference_get(weight, c) : 1) / sqrt(qvk__reference_get(variance, c) + eps);
        const double centred = qvk__reference_get(input, i) - qvk__reference_get(mean, c);
        qvk__reference_set(&outs[0], i, centred * scale + (bias ? qvk__reference_get(bias, c) : 0));
    }
    return QVK_OK;
}
