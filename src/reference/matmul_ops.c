/* Matrix products: aten.linear, mm, bmm, addmm, baddbmm. */
#include "core/dtype.h"
#include "core/geometry.h"
#include "reference/array.h"
#include "reference/functions.h"

/* y[m, n] = sum_k x[m, k] * w[n, k] + b[n]. Weights are converted a row at a time: they may be big. */
qvk_status qvk__reference_linear(qvk__op op, const qvk__arg *args, int n_args, qvk_tensor *outs, int n_outs,
                                 qvk_error *err)
{
    const qvk_tensor *input = args[0].u.tensor, *weight = args[1].u.tensor, *bias;
    const int64_t n_cols = weight->sizes[0], k = weight->sizes[1];
    const int64_t rows =
        k > 0 ? qvk_tensor_numel(input) / k : qvk_tensor_numel(&outs[0]) / QVK__MAX(n_cols, 1);
    double *x = NULL, *w = NULL, *b = NULL;
    qvk_status status = QVK_OK;

    (void)op;
    (void)n_args;
    (void)n_outs;
    QVK__TRY(qvk__arg_tensor_or_null(&args[2], "bias", &bias, err));
    QVK__CHECK(!bias || qvk_tensor_numel(bias) >= n_cols, err, QVK_SHAPE, "bias %s does not fit %lld outputs",
               qvk__shape_text(bias).text, (long long)n_cols);
    QVK__TRY_GO(qvk__array_load(input, &x, err));
    QVK__TRY_GO(qvk__array_load(bias, &b, err));
    QVK__TRY_GO(qvk__array_new(k, &w, err));
    for (int64_t n = 0; n < n_cols; n++) {
        qvk__array_read(weight, n * k, k, w);
        for (int64_t m = 0; m < rows; m++) {
            double sum = 0;
            for (int64_t i = 0; i < k; i++)
                sum += x[m * k + i] * w[i];
            qvk__reference_set(&outs[0], m * n_cols + n, sum + (b ? b[n] : 0));
        }
    }
done:
    free(x);
    free(w);
    free(b);
    return status;
}

/* Integer products wrap around in the tensor's type, as PyTorch's do. */
static void multiply_ints(const qvk__matmul *matmul, qvk_tensor *out)
{
    const int64_t alpha = (int64_t)matmul->alpha, beta = (int64_t)matmul->beta;

    for (int64_t batch = 0; batch < matmul->batch; batch++)
        for (int64_t m = 0; m < matmul->m; m++)
            for (int64_t n = 0; n < matmul->n; n++) {
                uint64_t sum = 0;
                for (int64_t k = 0; k < matmul->k; k++) {
                    const int64_t a =
                        qvk__reference_get_int(matmul->a, (batch * matmul->m + m) * matmul->k + k);
                    const int64_t b =
                        qvk__reference_get_int(matmul->b, (batch * matmul->k + k) * matmul->n + n);
                    sum += (uint64_t)a * (uint64_t)b;
                }
                sum *= (uint64_t)alpha;
                if (matmul->bias) {
                    const int64_t *strides = matmul->bias_strides;
                    sum += (uint64_t)beta *
                           (uint64_t)qvk__reference_get_int(
                               matmul->bias, batch * strides[0] + m * strides[1] + n * strides[2]);
                }
                qvk__reference_set_int(out, (batch * matmul->m + m) * matmul->n + n, (int64_t)sum);
            }
}

static void multiply_floats(const qvk__matmul *matmul, const double *a, const double *b, const double *bias,
                            qvk_tensor *out)
{
    for (int64_t batch = 0; batch < matmul->batch; batch++)
        for (int64_t m = 0; m < matmul->m; m++)
            for (int64_t n = 0; n < matmul->n; n++) {
                const double *row = a + (batch * matmul->m + m) * matmul->k;
                const double *column = b + batch * matmul->k * matmul->n + n;
                double sum = 0;
                for (int64_t k = 0; k < matmul->k; k++)
                    sum += row[k] * column[k * matmul->n];
                sum *= matmul->alpha;
                if (bias && matmul->beta != 0) /* with beta 0 even NaN in the bias is ignored */
                    sum += matmul->beta * bias[batch * matmul->bias_strides[0] + m * matmul->bias_strides[1] +
                                               n * matmul->bias_strides[2]];
                qvk__reference_set(out, (batch * matmul->m + m) * matmul->n + n, sum);
            }
}

qvk_status qvk__reference_matmul(qvk__op op, const qvk__arg *args, int n_args, qvk_tensor *outs, int n_outs,
                                 qvk_error *err)
{
    double *a = NULL, *b = NULL, *bias = NULL;
    qvk_status status = QVK_OK;
    qvk__matmul matmul;

    (void)n_outs;
    QVK__TRY(qvk__matmul_of(op, args, n_args, &matmul, err));
    if (!qvk__dtype_is_float(matmul.a->dtype)) {
        multiply_ints(&matmul, &outs[0]);
        return QVK_OK;
    }
    QVK__TRY_GO(qvk__array_load(matmul.a, &a, err));
    QVK__TRY_GO(qvk__array_load(matmul.b, &b, err));
    QVK__TRY_GO(qvk__array_load(matmul.bias, &bias, err));
    multiply_floats(&matmul, a, b, bias, &outs[0]);
done:
    free(a);
    free(b);
    free(bias);
    return status;
}
