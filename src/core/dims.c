/* Dimensions, shapes and broadcasting as PyTorch reads them. */
#include "core/semantics.h"

qvk_status qvk__dim_wrap(int64_t dim, int rank, int *out, qvk_error *err)
{
    const int limit = QVK__MAX(rank, 1);

    QVK__CHECK(dim >= -limit && dim < limit, err, QVK_SHAPE,
               "dimension %lld is out of range for a tensor of rank %d", (long long)dim, rank);
    *out = (int)(dim < 0 ? dim + limit : dim);
    return QVK_OK;
}

qvk_status qvk__arg_dim(const qvk__arg *arg, const char *what, int rank, int *out, qvk_error *err)
{
    int64_t dim;

    QVK__TRY(qvk__arg_int(arg, what, &dim, err));
    return qvk__dim_wrap(dim, rank, out, err);
}

qvk_status qvk__arg_dims(const qvk__arg *arg, const char *what, int rank, uint32_t none, uint32_t *mask,
                         qvk_error *err)
{
    int64_t dims[QVK_MAX_RANK];
    uint32_t seen = 0;
    int n, dim = 0;

    QVK__TRY(qvk__arg_ints(arg, what, dims, QVK_MAX_RANK, &n, err));
    if (n <= 0) {
        *mask = none;
        return QVK_OK;
    }
    for (int i = 0; i < n; i++) {
        QVK__TRY(qvk__dim_wrap(dims[i], rank, &dim, err));
        QVK__CHECK(!(seen >> dim & 1), err, QVK_SHAPE, "%s: dimension %d is named twice", what, dim);
        seen |= 1u << dim;
    }
    *mask = seen;
    return QVK_OK;
}

qvk_status qvk__set_shape(qvk_tensor *out, qvk_dtype dtype, int rank, const int64_t *sizes, qvk_error *err)
{
    qvk_tensor shape = {.dtype = dtype, .rank = rank, .data = out->data};

    QVK__CHECK(rank >= 0 && rank <= QVK_MAX_RANK, err, QVK_SHAPE,
               "a result of rank %d; %d is the highest that is supported", rank, QVK_MAX_RANK);
    memcpy(shape.sizes, sizes, (size_t)rank * sizeof *sizes);
    QVK__CHECK(qvk_tensor_numel(&shape) >= 0, err, QVK_SHAPE, "a result of shape %s is not possible",
               qvk__shape_text(&shape).text);
    *out = shape;
    return QVK_OK;
}

qvk_status qvk__broadcast(const qvk_tensor *tensor, qvk_tensor *shape, qvk_error *err)
{
    qvk_tensor merged = *shape;

    merged.rank = QVK__MAX(tensor->rank, shape->rank);
    for (int i = 1; i <= merged.rank; i++) { /* from the last dimension on */
        const int64_t a = i <= tensor->rank ? tensor->sizes[tensor->rank - i] : 1;
        const int64_t b = i <= shape->rank ? shape->sizes[shape->rank - i] : 1;
        QVK__CHECK(a == b || a == 1 || b == 1, err, QVK_SHAPE, "shapes %s and %s do not broadcast",
                   qvk__shape_text(shape).text, qvk__shape_text(tensor).text);
        merged.sizes[merged.rank - i] = a == 1 ? b : a;
    }
    QVK__CHECK(qvk_tensor_numel(&merged) >= 0, err, QVK_SHAPE,
               "shapes %s and %s broadcast to too many elements", qvk__shape_text(shape).text,
               qvk__shape_text(tensor).text);
    *shape = merged;
    return QVK_OK;
}

void qvk__broadcast_strides(const qvk_tensor *from, const qvk_tensor *to, int64_t strides[QVK_MAX_RANK])
{
    int64_t step = 1;

    for (int i = 1; i <= to->rank; i++) {
        const int64_t size = i <= from->rank ? from->sizes[from->rank - i] : 1;
        strides[to->rank - i] = size == 1 ? 0 : step;
        step *= size;
    }
}
