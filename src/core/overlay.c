/* Paddings, rolls, slice_scatter and cat: results put together from sources laid over something. */
#include "core/semantics.h"

static void overlay_start(const qvk_tensor *source, qvk__overlay *out)
{
    *out = (qvk__overlay){.source = source, .rank = source->rank};
    for (int i = 0; i < source->rank; i++) {
        out->sizes[i] = out->source_sizes[i] = source->sizes[i];
        out->step[i] = 1;
    }
}

/* ---- padding ------------------------------------------------------------------------------------------- */

static qvk_status pad_dim(qvk__overlay *out, int dim, int64_t before, int64_t after, qvk_error *err)
{
    const int64_t size = out->source_sizes[dim], limit = INT64_MAX / 4;

    QVK__CHECK(before > -limit && before < limit && after > -limit && after < limit && size < limit &&
                   size + before + after >= 0,
               err, QVK_SHAPE, "dimension %d of size %lld cannot be padded by %lld and %lld", dim,
               (long long)size, (long long)before, (long long)after);
    out->start[dim] = before;
    out->sizes[dim] = size + before + after;
    return QVK_OK;
}

/* `pad` lists (before, after) from the last dimension on. */
static qvk_status read_pad(const qvk__arg *pad, qvk__overlay *out, qvk_error *err)
{
    int64_t amounts[2 * QVK_MAX_RANK];
    int n;

    QVK__TRY(qvk__arg_ints(pad, "pad", amounts, 2 * QVK_MAX_RANK, &n, err));
    QVK__CHECK(n >= 0 && n % 2 == 0 && n / 2 <= out->rank, err, QVK_SHAPE,
               "pad: %d amounts for a tensor of rank %d", n, out->rank);
    for (int i = 0; i < n / 2; i++)
        QVK__TRY(pad_dim(out, out->rank - 1 - i, amounts[2 * i], amounts[2 * i + 1], err));
    return QVK_OK;
}

static qvk_status read_pad2d(qvk__op op, const qvk__arg *pad, qvk__overlay *out, qvk_error *err)
{
    out->edge = op == QVK__OP_REFLECTION_PAD2D ? QVK__EDGE_REFLECT : QVK__EDGE_REPLICATE;
    QVK__CHECK(out->rank == 3 || out->rank == 4, err, QVK_SHAPE, "wanted a tensor of rank 3 or 4, got %d",
               out->rank);
    QVK__TRY(read_pad(pad, out, err));
    for (int i = out->rank - 2; i < out->rank; i++) {
        const int64_t size = out->source_sizes[i], after = out->sizes[i] - size - out->start[i];
        QVK__CHECK(size > 0 && (out->edge == QVK__EDGE_REPLICATE || (out->start[i] < size && after < size)),
                   err, QVK_SHAPE, "dimension %d of size %lld cannot be padded by %lld and %lld", i,
                   (long long)size, (long long)out->start[i], (long long)after);
    }
    return QVK_OK;
}

/* ---- roll ---------------------------------------------------------------------------------------------- */

static qvk_status read_roll(const qvk__arg *args, qvk__overlay *out, qvk_error *err)
{
    int64_t shifts[QVK_MAX_RANK], dims[QVK_MAX_RANK];
    int n, n_dims, dim;

    out->edge = QVK__EDGE_WRAP;
    QVK__TRY(qvk__arg_ints(&args[1], "shifts", shifts, QVK_MAX_RANK, &n, err));
    QVK__TRY(qvk__arg_ints(&args[2], "dims", dims, QVK_MAX_RANK, &n_dims, err));
    if (n_dims <= 0) { /* of the flattened tensor */
        QVK__CHECK(n == 1, err, QVK_INVALID_ARGUMENT, "shifts: %d of them, and no dims", n);
        out->rank = 1;
        out->sizes[0] = out->source_sizes[0] = qvk_tensor_numel(out->source);
        out->step[0] = 1;
        n_dims = 1;
        dims[0] = 0;
    }
    QVK__CHECK(n == n_dims, err, QVK_INVALID_ARGUMENT, "%d shifts for %d dims", n, n_dims);
    for (int i = 0; i < n; i++) {
        QVK__TRY(qvk__dim_wrap(dims[i], out->rank, &dim, err));
        if (out->rank > 0 && out->sizes[dim] > 0) /* a dimension may be named twice: shifts add up */
            out->start[dim] = (out->start[dim] + shifts[i] % out->sizes[dim]) % out->sizes[dim];
    }
    return QVK_OK;
}

/* ---- slice_scatter and select_scatter ------------------------------------------------------------------ */

static qvk_status read_scatter(qvk__op op, const qvk__arg *args, qvk__overlay *out, qvk_error *err)
{
    const qvk_tensor *self = out->source, *src;
    qvk_tensor wanted = *self;
    int64_t first, count = 1, step = 1;
    int dim, gap = 0;

    QVK__TRY(qvk__arg_tensor(&args[1], "src", &src, err));
    QVK__CHECK(self->rank > 0, err, QVK_SHAPE, "nothing to write into: the tensor is a scalar");
    QVK__TRY(qvk__arg_dim(&args[2], "dim", self->rank, &dim, err));
    if (op == QVK__OP_SLICE_SCATTER) {
        QVK__TRY(
            qvk__slice_bounds(&args[3], &args[4], &args[5], self->sizes[dim], &first, &count, &step, err));
    } else {
        QVK__TRY(qvk__arg_int(&args[3], "index", &first, err));
        QVK__CHECK(first >= -self->sizes[dim] && first < self->sizes[dim], err, QVK_SHAPE,
                   "index %lld is out of range for dimension %d of size %lld", (long long)first, dim,
                   (long long)self->sizes[dim]);
        first += first < 0 ? self->sizes[dim] : 0;
        gap = 1; /* src lacks the dimension */
    }
    wanted.sizes[dim] = count;
    for (int i = dim; gap && i + 1 < self->rank; i++)
        wanted.sizes[i] = self->sizes[i + 1];
    wanted.rank -= gap;
    QVK__CHECK(qvk__shape_equal(&wanted, src), err, QVK_SHAPE, "src: wanted %s, got %s",
               qvk__shape_text(&wanted).text, qvk__shape_text(src).text);
    out->edge = QVK__EDGE_BASE;
    out->base = self;
    out->source = src;
    out->source_sizes[dim] = count;
    out->start[dim] = first;
    out->step[dim] = step;
    return QVK_OK;
}

qvk_status qvk__overlay_of(qvk__op op, const qvk__arg *args, qvk__overlay *out, qvk_error *err)
{
    const qvk_tensor *self;

    QVK__TRY(qvk__arg_tensor(&args[0], "self", &self, err));
    overlay_start(self, out);
    switch (op) {
    case QVK__OP_CONSTANT_PAD_ND:
        QVK__TRY(qvk__arg_operand(&args[2], "value", &out->value, err));
        QVK__CHECK(!out->value.tensor, err, QVK_UNSUPPORTED, "value: wanted a number, got a tensor");
        return read_pad(&args[1], out, err);
    case QVK__OP_REPLICATION_PAD2D:
    case QVK__OP_REFLECTION_PAD2D: return read_pad2d(op, &args[1], out, err);
    case QVK__OP_ROLL: return read_roll(args, out, err);
    default: return read_scatter(op, args, out, err);
    }
}

/* ---- cat ----------------------------------------------------------------------------------------------- */

const qvk_tensor *qvk__concat_tensor(const qvk__concat *concat, int index)
{
    const qvk_tensor *tensor = concat->list[index].u.tensor;

    return tensor->rank == 1 && tensor->sizes[0] == 0 && concat->shape.rank != 1 ? NULL : tensor;
}

qvk_status qvk__concat_of(const qvk__arg *args, qvk__concat *out, qvk_error *err)
{
    const qvk_tensor *first = NULL, *tensor;
    qvk_dtype dtype = QVK_DTYPE_NONE;
    int64_t size = 0;

    QVK__CHECK(args[0].kind == QVK__ARG_LIST && args[0].count > 0, err, QVK_INVALID_ARGUMENT,
               "tensors: wanted a list of tensors");
    *out = (qvk__concat){.n_tensors = (int)args[0].count, .list = args[0].u.list};
    for (int i = 0; i < out->n_tensors; i++) {
        QVK__TRY(qvk__arg_tensor(&out->list[i], "tensors", &tensor, err));
        dtype = qvk__promote(dtype, tensor->dtype);
        if (!first || (first->rank == 1 && first->sizes[0] == 0))
            first = tensor;
    }
    out->shape = *first;
    QVK__CHECK(first->rank > 0, err, QVK_SHAPE, "tensors: scalars cannot be joined");
    QVK__TRY(qvk__arg_dim(&args[1], "dim", first->rank, &out->dim, err));
    for (int i = 0; i < out->n_tensors; i++) {
        qvk_tensor rest;
        tensor = qvk__concat_tensor(out, i);
        if (!tensor)
            continue;
        rest = *tensor;
        rest.sizes[out->dim] = first->sizes[out->dim];
        QVK__CHECK(qvk__shape_equal(&rest, first), err, QVK_SHAPE,
                   "tensors: %s and %s differ in more than dimension %d", qvk__shape_text(first).text,
                   qvk__shape_text(tensor).text, out->dim);
        QVK__CHECK(tensor->sizes[out->dim] <= INT64_MAX - size, err, QVK_SHAPE, "tensors: too many elements");
        size += tensor->sizes[out->dim];
    }
    out->shape.sizes[out->dim] = size;
    return qvk__set_shape(&out->shape, dtype, first->rank, out->shape.sizes, err);
}
