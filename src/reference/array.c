#include "reference/array.h"

void qvk__array_read(const qvk_tensor *tensor, int64_t first, int64_t count, double *out)
{
    if (tensor->dtype == QVK_DTYPE_F32) {
        const float *data = (const float *)tensor->data + first;
        for (int64_t i = 0; i < count; i++)
            out[i] = (double)data[i];
        return;
    }
    for (int64_t i = 0; i < count; i++)
        out[i] = qvk__reference_get(tensor, first + i);
}

qvk_status qvk__array_new(int64_t count, double **out, qvk_error *err)
{
    double *values = qvk__alloc_zeroed((uint64_t)QVK__MAX(count, 1), sizeof(double));

    QVK__CHECK(values, err, QVK_OUT_OF_MEMORY, "no memory for %lld numbers", (long long)count);
    *out = values;
    return QVK_OK;
}

qvk_status qvk__array_load(const qvk_tensor *tensor, double **out, qvk_error *err)
{
    if (tensor == NULL) {
        *out = NULL;
        return QVK_OK;
    }
    const int64_t count = qvk_tensor_numel(tensor);
    QVK__TRY(qvk__array_new(count, out, err));
    qvk__array_read(tensor, 0, count, *out);
    return QVK_OK;
}

void qvk__array_write(qvk_tensor *tensor, int64_t first, int64_t count, const double *values)
{
    for (int64_t i = 0; i < count; i++)
        qvk__reference_set(tensor, first + i, values[i]);
}
