/* Shape rules of reductions, scans and sorts. */
#include "core/semantics.h"
#include "core/shape.h"

static qvk_status reduced(const qvk__reduction *r, qvk_dtype dtype, qvk_tensor *out, qvk_error *err)
{
    int64_t sizes[QVK_MAX_RANK];
    int rank = 0;

    for (int i = 0; i < r->self->rank; i++) {
        if (!(r->mask >> i & 1))
            sizes[rank++] = r->self->sizes[i];
        else if (r->keepdim)
            sizes[rank++] = 1;
    }
    return qvk__set_shape(out, dtype, rank, sizes, err);
}

qvk_status qvk__shape_reduce(qvk__op op, const qvk__arg *args, int n_args, qvk_tensor *outs, int n_outs,
                             qvk_error *err)
{
    qvk__reduction r;

    (void)n_args, (void)n_outs;
    QVK__TRY(qvk__reduction_of(op, args, &r, err));
    return reduced(&r, r.result, &outs[0], err);
}

qvk_status qvk__shape_argreduce(qvk__op op, const qvk__arg *args, int n_args, qvk_tensor *outs, int n_outs,
                                qvk_error *err)
{
    qvk__reduction r;

    (void)n_args, (void)n_outs;
    QVK__TRY(qvk__reduction_of(op, args, &r, err));
    return reduced(&r, QVK_DTYPE_I64, &outs[0], err);
}

qvk_status qvk__shape_max_dim(qvk__op op, const qvk__arg *args, int n_args, qvk_tensor *outs, int n_outs,
                              qvk_error *err)
{
    qvk__reduction r;

    (void)n_args, (void)n_outs;
    QVK__TRY(qvk__reduction_of(op, args, &r, err));
    QVK__TRY(reduced(&r, r.self->dtype, &outs[0], err));
    return reduced(&r, QVK_DTYPE_I64, &outs[1], err);
}

qvk_status qvk__scan_dim(qvk__op op, const qvk__arg *args, int *dim, qvk_error *err)
{
    const qvk_tensor *self;

    QVK__TRY(qvk__arg_tensor(&args[0], "self", &self, err));
    return qvk__arg_dim(&args[op == QVK__OP_TOPK ? 2 : 1], "dim", self->rank, dim, err);
}

qvk_status qvk__shape_cumsum(qvk__op op, const qvk__arg *args, int n_args, qvk_tensor *outs, int n_outs,
                             qvk_error *err)
{
    const qvk_tensor *self;
    qvk_dtype dtype;
    int64_t code;
    int dim;

    (void)n_args, (void)n_outs;
    QVK__TRY(qvk__scan_dim(op, args, &dim, err));
    self = args[0].u.tensor;
    dtype = qvk__dtype_is_float(self->dtype) ? self->dtype : QVK_DTYPE_I64;
    if (!qvk__arg_is_null(&args[2])) {
        QVK__TRY(qvk__arg_int(&args[2], "dtype", &code, err));
        dtype = qvk__dtype_from_code(code, QVK__DTYPE_PTE);
        QVK__CHECK(dtype != QVK_DTYPE_NONE, err, QVK_UNSUPPORTED, "dtype: ScalarType %lld", (long long)code);
    }
    return qvk__set_shape(&outs[0], dtype, self->rank, self->sizes, err);
}

qvk_status qvk__shape_sort(qvk__op op, const qvk__arg *args, int n_args, qvk_tensor *outs, int n_outs,
                           qvk_error *err)
{
    const qvk_tensor *self;
    int dim;

    (void)n_args, (void)n_outs;
    QVK__TRY(qvk__scan_dim(op, args, &dim, err));
    self = args[0].u.tensor;
    QVK__TRY(qvk__set_shape(&outs[0], self->dtype, self->rank, self->sizes, err));
    return qvk__set_shape(&outs[1], QVK_DTYPE_I64, self->rank, self->sizes, err);
}

qvk_status qvk__shape_topk(qvk__op op, const qvk__arg *args, int n_args, qvk_tensor *outs, int n_outs,
                           qvk_error *err)
{
    const qvk_tensor *self;
    int64_t k, sizes[QVK_MAX_RANK];
    int dim;

    (void)n_args, (void)n_outs;
    QVK__TRY(qvk__scan_dim(op, args, &dim, err));
    QVK__TRY(qvk__arg_int(&args[1], "k", &k, err));
    self = args[0].u.tensor;
    QVK__CHECK(k >= 0 && k <= (self->rank ? self->sizes[dim] : 1), err, QVK_SHAPE,
               "k: %lld is out of range for dimension %d of shape %s", (long long)k, dim,
               qvk__shape_text(self).text);
    memcpy(sizes, self->sizes, sizeof sizes);
    sizes[dim] = k;
    QVK__TRY(qvk__set_shape(&outs[0], self->dtype, self->rank, sizes, err));
    return qvk__set_shape(&outs[1], QVK_DTYPE_I64, self->rank, sizes, err);
}
