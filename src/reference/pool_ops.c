/* Pooling: maximum, average, adaptive average. */
#include <math.h>

#include "core/dtype.h"
#include "core/geometry.h"
#include "reference/array.h"
#include "reference/functions.h"

/* The first of equal maxima wins, and a NaN wins over all: at::native max_pool2d. */
static double max_at(const qvk__pool *pool, const double *plane, int64_t y, int64_t x, int64_t *index)
{
    double best = -INFINITY;

    *index = -1;
    for (int64_t ky = 0; ky < pool->kernel[0]; ky++)
        for (int64_t kx = 0; kx < pool->kernel[1]; kx++) {
            const int64_t row = y * pool->stride[0] - pool->padding[0] + ky * pool->dilation[0];
            const int64_t column = x * pool->stride[1] - pool->padding[1] + kx * pool->dilation[1];
            if (row < 0 || row >= pool->in[0] || column < 0 || column >= pool->in[1])
                continue;
            const double value = plane[row * pool->in[1] + column];
            if (*index < 0 || value > best || isnan(value)) {
                best = value;
                *index = row * pool->in[1] + column;
            }
        }
    return best;
}

static double average_at(const qvk__pool *pool, const double *plane, int64_t y, int64_t x)
{
    int64_t first[2] = {y, x}, last[2], count = 1;
    double sum = 0;

    for (int i = 0; i < 2; i++) {
        first[i] = first[i] * pool->stride[i] - pool->padding[i];
        /* With ceil_mode the last window may leave even the padding; that part never counts. */
        last[i] = QVK__MIN(first[i] + pool->kernel[i], pool->in[i] + pool->padding[i]);
        if (pool->count_include_pad)
            count *= last[i] - first[i];
        first[i] = QVK__MAX(first[i], 0);
        last[i] = QVK__MIN(last[i], pool->in[i]);
        if (!pool->count_include_pad)
            count *= last[i] - first[i];
    }
    if (first[0] >= last[0] || first[1] >= last[1])
        return 0;
    for (int64_t row = first[0]; row < last[0]; row++)
        for (int64_t column = first[1]; column < last[1]; column++)
            sum += plane[row * pool->in[1] + column];
    return sum / (double)(pool->divisor ? pool->divisor : count);
}

qvk_status qvk__reference_pool(qvk__op op, const qvk__arg *args, int n_args, qvk_tensor *outs, int n_outs,
                               qvk_error *err)
{
    qvk__pool pool;
    double *input;

    QVK__TRY(qvk__pool_of(op, args, n_args, &pool, err));
    QVK__TRY(qvk__array_load(args[0].u.tensor, &input, err));
    for (int64_t p = 0, i = 0; p < pool.planes; p++)
        for (int64_t y = 0; y < pool.out[0]; y++)
            for (int64_t x = 0; x < pool.out[1]; x++, i++) {
                const double *plane = input + p * pool.in[0] * pool.in[1];
                int64_t index = 0;
                const double value =
                    pool.is_max ? max_at(&pool, plane, y, x, &index) : average_at(&pool, plane, y, x);
                qvk__reference_set(&outs[0], i, value);
                if (n_outs > 1 && outs[1].data)
                    qvk__reference_set_int(&outs[1], i, index);
            }
    free(input);
    return QVK_OK;
}

/* Window i of n over `size` elements: [floor(i*size/n), ceil((i+1)*size/n)). */
qvk_status qvk__reference_adaptive_pool(qvk__op op, const qvk__arg *args, int n_args, qvk_tensor *outs,
                                        int n_outs, qvk_error *err)
{
    const qvk_tensor *input = args[0].u.tensor;
    const int64_t rows = input->sizes[input->rank - 2], columns = input->sizes[input->rank - 1];
    const int64_t out_rows = outs[0].sizes[input->rank - 2], out_columns = outs[0].sizes[input->rank - 1];
    const int64_t planes = qvk_tensor_numel(input) / (rows * columns);
    double *values;

    (void)op;
    (void)n_args;
    (void)n_outs;
    QVK__TRY(qvk__array_load(input, &values, err));
    for (int64_t p = 0, i = 0; p < planes; p++)
        for (int64_t y = 0; y < out_rows; y++)
            for (int64_t x = 0; x < out_columns; x++, i++) {
                const int64_t top = y * rows / out_rows, bottom = ((y + 1) * rows + out_rows - 1) / out_rows;
                const int64_t left = x * columns / out_columns;
                const int64_t right = ((x + 1) * columns + out_columns - 1) / out_columns;
                double sum = 0;
                for (int64_t row = top; row < bottom; row++)
                    for (int64_t column = left; column < right; column++)
                        sum += values[(p * rows + row) * columns + column];
                qvk__reference_set(&outs[0], i, sum / (double)((bottom - top) * (right - left)));
            }
    free(values);
    return QVK_OK;
}
