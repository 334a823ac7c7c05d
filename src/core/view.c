/* Operators that only rearrange elements, as strided readings of their source. */
#include "core/semantics.h"

#define MAX_PIECES 1024

/* The contiguous reading of a tensor in its own shape. */
static void view_whole(const qvk_tensor *self, qvk__view *view)
{
    view->rank = self->rank;
    view->offset = 0;
    memcpy(view->sizes, self->sizes, (size_t)self->rank * sizeof *view->sizes);
    qvk__strides(self, view->strides);
}

static void view_remove_dim(qvk__view *view, int dim)
{
    for (int i = dim; i + 1 < view->rank; i++) {
        view->sizes[i] = view->sizes[i + 1];
        view->strides[i] = view->strides[i + 1];
    }
    view->rank--;
}

/* Where the result has the view's own rank and sizes. */
static qvk_status shape_from_view(const qvk__view *view, qvk_dtype dtype, qvk_tensor *out, qvk_error *err)
{
    return qvk__set_shape(out, dtype, view->rank, view->sizes, err);
}

int64_t qvk__view_numel(const qvk__view *view)
{
    int64_t count = 1;

    for (int i = 0; i < view->rank; i++)
        count *= view->sizes[i];
    return count;
}

void qvk__view_collapse(qvk__view *view)
{
    int rank = 0;

    if (qvk__view_numel(view) == 0) {
        *view = (qvk__view){.rank = 1, .strides = {1}};
        return;
    }
    for (int i = 0; i < view->rank; i++) {
        if (view->sizes[i] == 1)
            continue;
        if (rank > 0 && view->strides[rank - 1] == view->strides[i] * view->sizes[i]) {
            view->sizes[rank - 1] *= view->sizes[i];
            view->strides[rank - 1] = view->strides[i];
        } else {
            view->sizes[rank] = view->sizes[i];
            view->strides[rank++] = view->strides[i];
        }
    }
    view->rank = rank;
}

/* ---- the operators ------------------------------------------------------------------------------------- */

static qvk_status view_permute(const qvk__arg *dims, qvk__view *view, qvk_error *err)
{
    const qvk__view source = *view;
    int64_t order[QVK_MAX_RANK];
    uint32_t seen = 0;
    int n, dim = 0;

    QVK__TRY(qvk__arg_ints(dims, "dims", order, QVK_MAX_RANK, &n, err));
    QVK__CHECK(n == source.rank, err, QVK_SHAPE, "%d dims for a tensor of rank %d", n, source.rank);
    for (int i = 0; i < n; i++) {
        QVK__TRY(qvk__dim_wrap(order[i], source.rank, &dim, err));
        QVK__CHECK(!(seen >> dim & 1), err, QVK_SHAPE, "dims: dimension %d is named twice", dim);
        seen |= 1u << dim;
        view->sizes[i] = source.sizes[dim];
        view->strides[i] = source.strides[dim];
    }
    return QVK_OK;
}

static void view_swap(qvk__view *view, int a, int b)
{
    const int64_t size = view->sizes[a], stride = view->strides[a];

    view->sizes[a] = view->sizes[b];
    view->strides[a] = view->strides[b];
    view->sizes[b] = size;
    view->strides[b] = stride;
}

static qvk_status view_transpose(const qvk__arg *args, qvk__view *view, qvk_error *err)
{
    int a, b;

    QVK__TRY(qvk__arg_dim(&args[1], "dim0", view->rank, &a, err));
    QVK__TRY(qvk__arg_dim(&args[2], "dim1", view->rank, &b, err));
    if (view->rank > 0)
        view_swap(view, a, b);
    return QVK_OK;
}

/* Puts `n` dimensions of size 1 in front. */
static void view_grow(qvk__view *view, int n)
{
    memmove(view->sizes + n, view->sizes, (size_t)view->rank * sizeof *view->sizes);
    memmove(view->strides + n, view->strides, (size_t)view->rank * sizeof *view->strides);
    for (int i = 0; i < n; i++) {
        view->sizes[i] = 1;
        view->strides[i] = 0;
    }
    view->rank += n;
}

static qvk_status view_expand(const qvk__arg *sizes, qvk__view *view, qvk_error *err)
{
    int64_t wanted[QVK_MAX_RANK];
    int n;

    QVK__TRY(qvk__arg_ints(sizes, "size", wanted, QVK_MAX_RANK, &n, err));
    QVK__CHECK(n >= view->rank, err, QVK_SHAPE, "%d sizes for a tensor of rank %d", n, view->rank);
    view_grow(view, n - view->rank);
    for (int i = 0; i < n; i++) {
        if (wanted[i] == -1 || wanted[i] == view->sizes[i])
            continue;
        QVK__CHECK(view->sizes[i] == 1 && wanted[i] >= 0, err, QVK_SHAPE,
                   "dimension %d of size %lld cannot be expanded to %lld", i, (long long)view->sizes[i],
                   (long long)wanted[i]);
        view->sizes[i] = wanted[i];
        view->strides[i] = 0;
    }
    return QVK_OK;
}

qvk_status qvk__slice_bounds(const qvk__arg *start, const qvk__arg *end, const qvk__arg *step, int64_t size,
                             int64_t *first, int64_t *count, int64_t *stride, qvk_error *err)
{
    int64_t from = 0, to = size, by = 1;

    if (!qvk__arg_is_null(start))
        QVK__TRY(qvk__arg_int(start, "start", &from, err));
    if (!qvk__arg_is_null(end))
        QVK__TRY(qvk__arg_int(end, "end", &to, err));
    QVK__TRY(qvk__arg_int(step, "step", &by, err));
    QVK__CHECK(by > 0, err, QVK_INVALID_ARGUMENT, "step: must be positive, got %lld", (long long)by);
    from = from < 0 ? QVK__MAX(from + size, 0) : QVK__MIN(from, size);
    to = to < 0 ? QVK__MAX(to + size, 0) : QVK__MIN(to, size);
    *first = from;
    *count = to > from ? (to - from - 1) / by + 1 : 0;
    *stride = by;
    return QVK_OK;
}

static void view_slice(qvk__view *view, int dim, int64_t first, int64_t count, int64_t step)
{
    view->offset += first * view->strides[dim];
    view->sizes[dim] = count;
    /* A step beyond a single element is never taken, and could overflow. */
    view->strides[dim] *= count > 1 ? step : 1;
}

static qvk_status view_select(const qvk__arg *args, qvk__view *view, qvk_error *err)
{
    int64_t index;
    int dim;

    QVK__CHECK(view->rank > 0, err, QVK_SHAPE, "nothing to select from: the tensor is a scalar");
    QVK__TRY(qvk__arg_dim(&args[1], "dim", view->rank, &dim, err));
    QVK__TRY(qvk__arg_int(&args[2], "index", &index, err));
    QVK__CHECK(index >= -view->sizes[dim] && index < view->sizes[dim], err, QVK_SHAPE,
               "index %lld is out of range for dimension %d of size %lld", (long long)index, dim,
               (long long)view->sizes[dim]);
    view_slice(view, dim, index < 0 ? index + view->sizes[dim] : index, 1, 1);
    view_remove_dim(view, dim);
    return QVK_OK;
}

/* Every dimension becomes two: the repetition and what is repeated; `inside` says which is the inner one. */
static void view_repeat_dim(qvk__view *view, int dim, int64_t times, bool inside)
{
    memmove(view->sizes + dim + 1, view->sizes + dim, (size_t)(view->rank - dim) * sizeof *view->sizes);
    memmove(view->strides + dim + 1, view->strides + dim, (size_t)(view->rank - dim) * sizeof *view->strides);
    view->rank++;
    view->sizes[dim + inside] = times;
    view->strides[dim + inside] = 0;
}

static qvk_status view_repeat(const qvk__arg *arg, qvk__view *view, qvk_tensor *out, qvk_error *err)
{
    int64_t repeats[QVK_MAX_RANK], sizes[QVK_MAX_RANK];
    int n;

    QVK__TRY(qvk__arg_ints(arg, "repeats", repeats, QVK_MAX_RANK, &n, err));
    QVK__CHECK(n >= view->rank, err, QVK_SHAPE, "%d repeats for a tensor of rank %d", n, view->rank);
    view_grow(view, n - view->rank);
    for (int i = 0; i < n; i++) {
        uint64_t size;
        QVK__CHECK(repeats[i] >= 0 &&
                       qvk__mul_u64((uint64_t)repeats[i], (uint64_t)view->sizes[2 * i], &size) &&
                       size <= INT64_MAX,
                   err, QVK_SHAPE, "%lld repeats of dimension %d", (long long)repeats[i], i);
        sizes[i] = (int64_t)size;
        view_repeat_dim(view, 2 * i, repeats[i], false);
    }
    return qvk__set_shape(out, out->dtype, n, sizes, err);
}

static qvk_status view_repeat_interleave(const qvk__arg *args, qvk__view *view, qvk_tensor *out,
                                         qvk_error *err)
{
    int64_t repeats, sizes[QVK_MAX_RANK];
    uint64_t size;
    int dim = 0, rank;

    QVK__TRY(qvk__arg_int(&args[1], "repeats", &repeats, err));
    if (qvk__arg_is_null(&args[2]) || view->rank == 0) { /* of the flattened tensor */
        view->sizes[0] = qvk__view_numel(view);
        view->strides[0] = 1;
        view->rank = 1;
    } else {
        QVK__TRY(qvk__arg_dim(&args[2], "dim", view->rank, &dim, err));
    }
    QVK__CHECK(repeats >= 0 && qvk__mul_u64((uint64_t)repeats, (uint64_t)view->sizes[dim], &size) &&
                   size <= INT64_MAX,
               err, QVK_SHAPE, "%lld repeats of dimension %d", (long long)repeats, dim);
    rank = view->rank;
    memcpy(sizes, view->sizes, (size_t)rank * sizeof *sizes);
    sizes[dim] = (int64_t)size;
    view_repeat_dim(view, dim, repeats, true);
    return qvk__set_shape(out, out->dtype, rank, sizes, err);
}

static qvk_status view_flip(const qvk__arg *dims, qvk__view *view, qvk_error *err)
{
    uint32_t mask;

    QVK__TRY(qvk__arg_dims(dims, "dims", view->rank, 0, &mask, err));
    for (int i = 0; i < view->rank; i++) {
        if (!(mask >> i & 1) || view->sizes[i] == 0)
            continue;
        view->offset += (view->sizes[i] - 1) * view->strides[i];
        view->strides[i] = -view->strides[i];
    }
    return QVK_OK;
}

static qvk_status view_unfold(const qvk__arg *args, qvk__view *view, qvk_error *err)
{
    int64_t size, step, stride;
    int dim;

    QVK__TRY(qvk__arg_dim(&args[1], "dimension", view->rank, &dim, err));
    QVK__TRY(qvk__arg_int(&args[2], "size", &size, err));
    QVK__TRY(qvk__arg_int(&args[3], "step", &step, err));
    if (view->rank == 0)
        view_grow(view, 1);
    QVK__CHECK(size >= 0 && step > 0 && size <= view->sizes[dim] && view->rank < QVK_MAX_RANK, err, QVK_SHAPE,
               "windows of %lld every %lld do not fit dimension %d of size %lld", (long long)size,
               (long long)step, dim, (long long)view->sizes[dim]);
    stride = view->strides[dim] ? view->strides[dim] : 1;
    view->sizes[dim] = (view->sizes[dim] - size) / step + 1;
    view->strides[dim] = stride * step;
    view->sizes[view->rank] = size;
    view->strides[view->rank++] = stride;
    return QVK_OK;
}

qvk_status qvk__view_of(qvk__op op, const qvk__arg *args, qvk__view *view, qvk_tensor *out, qvk_error *err)
{
    const qvk_tensor *self;
    int64_t first, count, step;
    int dim;

    QVK__TRY(qvk__arg_tensor(&args[0], "self", &self, err));
    view_whole(self, view);
    out->dtype = self->dtype;
    switch (op) {
    case QVK__OP_PERMUTE:
    case QVK__OP_PERMUTE_COPY: QVK__TRY(view_permute(&args[1], view, err)); break;
    case QVK__OP_TRANSPOSE_COPY_INT: QVK__TRY(view_transpose(args, view, err)); break;
    case QVK__OP_T_COPY:
        QVK__CHECK(self->rank <= 2, err, QVK_SHAPE, "t: a tensor of rank %d", self->rank);
        if (self->rank == 2)
            view_swap(view, 0, 1);
        break;
    case QVK__OP_EXPAND_COPY: QVK__TRY(view_expand(&args[1], view, err)); break;
    case QVK__OP_SLICE_COPY_TENSOR:
        QVK__CHECK(self->rank > 0, err, QVK_SHAPE, "nothing to slice: the tensor is a scalar");
        QVK__TRY(qvk__arg_dim(&args[1], "dim", self->rank, &dim, err));
        QVK__TRY(
            qvk__slice_bounds(&args[2], &args[3], &args[4], self->sizes[dim], &first, &count, &step, err));
        view_slice(view, dim, first, count, step);
        break;
    case QVK__OP_SELECT_COPY_INT: QVK__TRY(view_select(args, view, err)); break;
    case QVK__OP_REPEAT: return view_repeat(&args[1], view, out, err);
    case QVK__OP_REPEAT_INTERLEAVE_SELF_INT: return view_repeat_interleave(args, view, out, err);
    case QVK__OP_FLIP: QVK__TRY(view_flip(&args[1], view, err)); break;
    case QVK__OP_UNFOLD_COPY: QVK__TRY(view_unfold(args, view, err)); break;
    default: return qvk__fail(err, QVK_INTERNAL, "is no strided view");
    }
    return shape_from_view(view, self->dtype, out, err);
}

/* ---- splitting ----------------------------------------------------------------------------------------- */

static qvk_status split_size(const qvk__arg *args, int64_t *size, qvk_error *err)
{
    QVK__TRY(qvk__arg_int(&args[1], "split_size", size, err));
    QVK__CHECK(*size > 0, err, QVK_INVALID_ARGUMENT, "split_size: must be positive, got %lld",
               (long long)*size);
    return QVK_OK;
}

static qvk_status split_source(qvk__op op, const qvk__arg *args, const qvk_tensor **self, int *dim,
                               qvk_error *err)
{
    QVK__TRY(qvk__arg_tensor(&args[0], "self", self, err));
    QVK__CHECK((*self)->rank > 0, err, QVK_SHAPE, "nothing to split: the tensor is a scalar");
    return qvk__arg_dim(&args[op == QVK__OP_UNBIND_COPY_INT ? 1 : 2], "dim", (*self)->rank, dim, err);
}

qvk_status qvk__split_count(qvk__op op, const qvk__arg *args, int *n, qvk_error *err)
{
    const qvk_tensor *self;
    int64_t sizes[MAX_PIECES], size, count, total = 0;
    int dim;

    QVK__TRY(split_source(op, args, &self, &dim, err));
    count = self->sizes[dim];
    if (op == QVK__OP_SPLIT_COPY_TENSOR) {
        QVK__TRY(split_size(args, &size, err));
        count = count > 0 ? (count - 1) / size + 1 : 1;
    } else if (op == QVK__OP_SPLIT_WITH_SIZES_COPY) {
        QVK__TRY(qvk__arg_ints(&args[1], "split_sizes", sizes, MAX_PIECES, n, err));
        count = QVK__MAX(*n, 0);
        for (int64_t i = 0; i < count; i++) {
            QVK__CHECK(sizes[i] >= 0 && sizes[i] <= self->sizes[dim] - total, err, QVK_SHAPE,
                       "split_sizes: piece %lld does not fit into dimension %d of size %lld", (long long)i,
                       dim, (long long)self->sizes[dim]);
            total += sizes[i];
        }
        QVK__CHECK(total == self->sizes[dim], err, QVK_SHAPE,
                   "split_sizes: %lld in all, but dimension %d has %lld", (long long)total, dim,
                   (long long)self->sizes[dim]);
    }
    QVK__CHECK(count <= MAX_PIECES, err, QVK_UNSUPPORTED, "%lld pieces; %d is the most", (long long)count,
               MAX_PIECES);
    *n = (int)count;
    return QVK_OK;
}

qvk_status qvk__split_piece(qvk__op op, const qvk__arg *args, int index, qvk__view *view, qvk_tensor *out,
                            qvk_error *err)
{
    const qvk_tensor *self;
    int64_t sizes[MAX_PIECES], first = index, length = 1;
    int dim, n;

    QVK__TRY(split_source(op, args, &self, &dim, err));
    if (op == QVK__OP_SPLIT_COPY_TENSOR) {
        QVK__TRY(split_size(args, &length, err));
        first = index * length;
        length = QVK__MIN(length, self->sizes[dim] - first);
    } else if (op == QVK__OP_SPLIT_WITH_SIZES_COPY) {
        QVK__TRY(qvk__arg_ints(&args[1], "split_sizes", sizes, MAX_PIECES, &n, err));
        for (first = 0, n = 0; n < index; n++)
            first += sizes[n];
        length = sizes[index];
    }
    view_whole(self, view);
    view_slice(view, dim, first, length, 1);
    if (op == QVK__OP_UNBIND_COPY_INT)
        view_remove_dim(view, dim);
    return shape_from_view(view, self->dtype, out, err);
}
