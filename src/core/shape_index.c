/* Shape rules of operators that read or write at places given by index tensors. */
#include "core/semantics.h"
#include "core/shape.h"

static qvk_status read_index(const qvk__arg *arg, const qvk_tensor **out, qvk_error *err)
{
    QVK__TRY(qvk__arg_tensor(arg, "index", out, err));
    QVK__CHECK((*out)->dtype == QVK_DTYPE_I64 || (*out)->dtype == QVK_DTYPE_I32, err, QVK_INVALID_ARGUMENT,
               "index: wanted int64 or int32, got %s", qvk_dtype_name((*out)->dtype));
    return QVK_OK;
}

/* self, dim, index: what all of them begin with. */
static qvk_status read_self_dim_index(const qvk__arg *args, const qvk_tensor **self, int *dim,
                                      const qvk_tensor **index, qvk_error *err)
{
    QVK__TRY(qvk__arg_tensor(&args[0], "self", self, err));
    QVK__TRY(qvk__arg_dim(&args[1], "dim", (*self)->rank, dim, err));
    return read_index(&args[2], index, err);
}

qvk_status qvk__shape_index(qvk__op op, const qvk__arg *args, int n_args, qvk_tensor *outs, int n_outs,
                            qvk_error *err)
{
    const qvk_tensor *self;
    qvk__indexing x;

    (void)op, (void)n_args, (void)n_outs;
    QVK__TRY(qvk__arg_tensor(&args[0], "self", &self, err));
    QVK__TRY(qvk__indexing_of(self, &args[1], &x, err));
    return qvk__set_shape(&outs[0], self->dtype, x.result.rank, x.result.sizes, err);
}

qvk_status qvk__shape_index_put(qvk__op op, const qvk__arg *args, int n_args, qvk_tensor *outs, int n_outs,
                                qvk_error *err)
{
    const qvk_tensor *self, *values;
    qvk__indexing x;
    qvk_tensor shape;

    (void)op, (void)n_args, (void)n_outs;
    QVK__TRY(qvk__arg_tensor(&args[0], "self", &self, err));
    QVK__TRY(qvk__indexing_of(self, &args[1], &x, err));
    QVK__TRY(qvk__arg_tensor(&args[2], "values", &values, err));
    shape = x.result;
    QVK__TRY(qvk__broadcast(values, &shape, err));
    QVK__CHECK(qvk__shape_equal(&shape, &x.result), err, QVK_SHAPE,
               "values: shape %s does not broadcast to %s", qvk__shape_text(values).text,
               qvk__shape_text(&x.result).text);
    return qvk__set_shape(&outs[0], self->dtype, self->rank, self->sizes, err);
}

qvk_status qvk__shape_index_select(qvk__op op, const qvk__arg *args, int n_args, qvk_tensor *outs, int n_outs,
                                   qvk_error *err)
{
    const qvk_tensor *self, *index;
    qvk_tensor shape;
    int dim;

    (void)op, (void)n_args, (void)n_outs;
    QVK__TRY(read_self_dim_index(args, &self, &dim, &index, err));
    QVK__CHECK(index->rank <= 1, err, QVK_SHAPE, "index: wanted a vector, got shape %s",
               qvk__shape_text(index).text);
    shape = *self;
    if (self->rank > 0)
        shape.sizes[dim] = qvk_tensor_numel(index);
    return qvk__set_shape(&outs[0], self->dtype, self->rank, shape.sizes, err);
}

/* index may be smaller than self along every dimension but `dim`, where it is free when reading. */
static qvk_status check_index_shape(const qvk_tensor *self, const qvk_tensor *index, int dim, qvk_error *err)
{
    bool fits = QVK__MAX(index->rank, 1) == QVK__MAX(self->rank, 1);

    for (int i = 0; fits && i < index->rank && i < self->rank; i++)
        fits = i == dim || index->sizes[i] <= self->sizes[i];
    QVK__CHECK(fits || qvk_tensor_numel(index) == 0, err, QVK_SHAPE, "index: shape %s does not fit %s",
               qvk__shape_text(index).text, qvk__shape_text(self).text);
    return QVK_OK;
}

qvk_status qvk__shape_gather(qvk__op op, const qvk__arg *args, int n_args, qvk_tensor *outs, int n_outs,
                             qvk_error *err)
{
    const qvk_tensor *self, *index;
    int dim;

    (void)op, (void)n_args, (void)n_outs;
    QVK__TRY(read_self_dim_index(args, &self, &dim, &index, err));
    QVK__TRY(check_index_shape(self, index, dim, err));
    return qvk__set_shape(&outs[0], self->dtype, index->rank, index->sizes, err);
}

qvk_status qvk__shape_scatter(qvk__op op, const qvk__arg *args, int n_args, qvk_tensor *outs, int n_outs,
                              qvk_error *err)
{
    const qvk_tensor *self, *index, *src;
    int dim;

    (void)op, (void)n_args, (void)n_outs;
    QVK__TRY(read_self_dim_index(args, &self, &dim, &index, err));
    QVK__TRY(check_index_shape(self, index, dim, err));
    QVK__TRY(qvk__arg_tensor(&args[3], "src", &src, err));
    QVK__TRY(check_index_shape(src, index, -1, err));
    return qvk__set_shape(&outs[0], self->dtype, self->rank, self->sizes, err);
}

qvk_status qvk__shape_index_copy(qvk__op op, const qvk__arg *args, int n_args, qvk_tensor *outs, int n_outs,
                                 qvk_error *err)
{
    const qvk_tensor *self, *index, *source;
    qvk_tensor wanted;
    int dim;

    (void)op, (void)n_args, (void)n_outs;
    QVK__TRY(read_self_dim_index(args, &self, &dim, &index, err));
    QVK__TRY(qvk__arg_tensor(&args[3], "source", &source, err));
    wanted = *self;
    if (self->rank > 0)
        wanted.sizes[dim] = qvk_tensor_numel(index);
    QVK__CHECK(index->rank <= 1 && source->dtype == self->dtype &&
                   (qvk__shape_equal(&wanted, source) || (self->rank == 0 && qvk_tensor_numel(source) == 1)),
               err, QVK_SHAPE, "source: wanted %s %s, got %s %s", qvk_dtype_name(self->dtype),
               qvk__shape_text(&wanted).text, qvk_dtype_name(source->dtype), qvk__shape_text(source).text);
    return qvk__set_shape(&outs[0], self->dtype, self->rank, self->sizes, err);
}
