/* Reference of operators that read or write at places given by index tensors. */
#include "core/semantics.h"
#include "reference/functions.h"

/* An index as a place in [0, size). */
static qvk_status resolve_index(const qvk_tensor *index, int64_t at, int64_t size, int64_t *out,
                                qvk_error *err)
{
    const int64_t value = qvk__reference_get_int(index, at);

    QVK__CHECK(value >= -size && value < size, err, QVK_INVALID_ARGUMENT,
               "index %lld is out of range for a dimension of size %lld", (long long)value, (long long)size);
    *out = value < 0 ? value + size : value;
    return QVK_OK;
}

/* ---- index and index_put -------------------------------------------------------------------------------- */

typedef struct walk {
    qvk__indexing x;
    int64_t self_strides[QVK_MAX_RANK];
    int64_t index_strides[QVK_MAX_RANK][QVK_MAX_RANK]; /* of each index, over index_shape */
} walk;

static qvk_status walk_start(const qvk__arg *args, walk *w, qvk_error *err)
{
    const qvk_tensor *self;

    QVK__TRY(qvk__arg_tensor(&args[0], "self", &self, err));
    QVK__TRY(qvk__indexing_of(self, &args[1], &w->x, err));
    qvk__strides(self, w->self_strides);
    for (int d = 0; d < self->rank; d++)
        if (w->x.index[d])
            qvk__broadcast_strides(w->x.index[d], &w->x.index_shape, w->index_strides[d]);
    return QVK_OK;
}

/* Element of self that element `place` of the indexed result stands for. */
static qvk_status walk_place(const walk *w, int64_t place, int64_t *out, qvk_error *err)
{
    const qvk_tensor *result = &w->x.result;
    int64_t coords[QVK_MAX_RANK], at = 0;

    for (int d = result->rank - 1; d >= 0; d--) {
        coords[d] = place % result->sizes[d];
        place /= result->sizes[d];
        if (w->x.source[d] >= 0)
            at += coords[d] * w->self_strides[w->x.source[d]];
    }
    for (int d = 0; d < w->x.self->rank; d++) {
        int64_t entry = 0, index = 0;
        if (!w->x.index[d])
            continue;
        for (int i = 0; i < w->x.index_shape.rank; i++)
            entry += coords[w->x.first + i] * w->index_strides[d][i];
        QVK__TRY(resolve_index(w->x.index[d], entry, w->x.self->sizes[d], &index, err));
        at += index * w->self_strides[d];
    }
    *out = at;
    return QVK_OK;
}

qvk_status qvk__reference_index(qvk__op op, const qvk__arg *args, int n_args, qvk_tensor *outs, int n_outs,
                                qvk_error *err)
{
    walk w;
    int64_t at = 0;

    (void)op, (void)n_args, (void)n_outs;
    QVK__TRY(walk_start(args, &w, err));
    for (int64_t i = 0; i < qvk_tensor_numel(&outs[0]); i++) {
        QVK__TRY(walk_place(&w, i, &at, err));
        qvk__reference_move(&outs[0], i, w.x.self, at);
    }
    return QVK_OK;
}

static void add_element(qvk_tensor *to, int64_t at, const qvk_tensor *from, int64_t index)
{
    if (to->dtype == QVK_DTYPE_F64)
        qvk__reference_set(to, at, qvk__reference_get(to, at) + qvk__reference_get(from, index));
    else if (qvk__dtype_is_float(to->dtype))
        qvk__reference_set(
            to, at, (double)((float)qvk__reference_get(to, at) + (float)qvk__reference_get(from, index)));
    else
        qvk__reference_set_int(to, at,
                               (int64_t)((uint64_t)qvk__reference_get_int(to, at) +
                                         (uint64_t)qvk__reference_get_int(from, index)));
}

/* Where several entries name one place, the last one stays (accumulate: all are added, in order). */
qvk_status qvk__reference_index_put(qvk__op op, const qvk__arg *args, int n_args, qvk_tensor *outs,
                                    int n_outs, qvk_error *err)
{
    const qvk_tensor *values;
    int64_t strides[QVK_MAX_RANK], at = 0;
    bool accumulate;
    walk w;

    (void)op, (void)n_args, (void)n_outs;
    QVK__TRY(walk_start(args, &w, err));
    QVK__TRY(qvk__arg_tensor(&args[2], "values", &values, err));
    QVK__TRY(qvk__arg_bool(&args[3], "accumulate", &accumulate, err));
    qvk__broadcast_strides(values, &w.x.result, strides);
    qvk__reference_move_all(&outs[0], w.x.self);
    for (int64_t i = 0; i < qvk_tensor_numel(&w.x.result); i++) {
        int64_t from = 0, rest = i;
        QVK__TRY(walk_place(&w, i, &at, err));
        for (int d = w.x.result.rank - 1; d >= 0; d--) {
            from += rest % w.x.result.sizes[d] * strides[d];
            rest /= w.x.result.sizes[d];
        }
        (accumulate ? add_element : qvk__reference_move)(&outs[0], at, values, from);
    }
    return QVK_OK;
}

/* ---- along one dimension -------------------------------------------------------------------------------- */

/* self as [outer, size, inner] around a dimension. */
typedef struct lines {
    const qvk_tensor *self, *index;
    int dim;
    int64_t outer, size, inner;
} lines;

static qvk_status lines_of(const qvk__arg *args, lines *out, qvk_error *err)
{
    QVK__TRY(qvk__arg_tensor(&args[0], "self", &out->self, err));
    QVK__TRY(qvk__arg_dim(&args[1], "dim", out->self->rank, &out->dim, err));
    QVK__TRY(qvk__arg_tensor(&args[2], "index", &out->index, err));
    out->outer = out->size = out->inner = 1;
    for (int d = 0; d < out->self->rank; d++)
        *(d < out->dim ? &out->outer : d == out->dim ? &out->size : &out->inner) *= out->self->sizes[d];
    return QVK_OK;
}

qvk_status qvk__reference_index_select(qvk__op op, const qvk__arg *args, int n_args, qvk_tensor *outs,
                                       int n_outs, qvk_error *err)
{
    int64_t count, at = 0;
    lines l;

    (void)op, (void)n_args, (void)n_outs;
    QVK__TRY(lines_of(args, &l, err));
    count = qvk_tensor_numel(l.index);
    for (int64_t i = 0; i < qvk_tensor_numel(&outs[0]); i++) {
        QVK__TRY(resolve_index(l.index, i / l.inner % count, l.size, &at, err));
        qvk__reference_move(&outs[0], i, l.self, (i / l.inner / count * l.size + at) * l.inner + i % l.inner);
    }
    return QVK_OK;
}

/* index_copy: the last of several entries for one place stays. */
qvk_status qvk__reference_index_copy(qvk__op op, const qvk__arg *args, int n_args, qvk_tensor *outs,
                                     int n_outs, qvk_error *err)
{
    const qvk_tensor *source;
    int64_t count, at = 0;
    lines l;

    (void)op, (void)n_args, (void)n_outs;
    QVK__TRY(lines_of(args, &l, err));
    QVK__TRY(qvk__arg_tensor(&args[3], "source", &source, err));
    count = qvk_tensor_numel(l.index);
    qvk__reference_move_all(&outs[0], l.self);
    for (int64_t i = 0; i < qvk_tensor_numel(source); i++) {
        QVK__TRY(resolve_index(l.index, i / l.inner % count, l.size, &at, err));
        qvk__reference_move(&outs[0], (i / l.inner / count * l.size + at) * l.inner + i % l.inner, source, i);
    }
    return QVK_OK;
}

/* Element of self named by entry `entry` of an index of self's rank; *coords are the entry's own. */
static qvk_status gathered_place(const lines *l, int64_t entry, int64_t *coords, int64_t *out, qvk_error *err)
{
    int64_t rest = entry, at = 0;

    for (int d = l->index->rank - 1; d >= 0; d--) {
        coords[d] = rest % l->index->sizes[d];
        rest /= l->index->sizes[d];
    }
    for (int d = 0; d < l->self->rank; d++) {
        int64_t c = coords[d];
        if (d == l->dim)
            QVK__TRY(resolve_index(l->index, entry, l->size, &c, err));
        at = at * l->self->sizes[d] + c;
    }
    *out = at;
    return QVK_OK;
}

qvk_status qvk__reference_gather(qvk__op op, const qvk__arg *args, int n_args, qvk_tensor *outs, int n_outs,
                                 qvk_error *err)
{
    int64_t coords[QVK_MAX_RANK] = {0}, at = 0;
    lines l;

    (void)op, (void)n_args, (void)n_outs;
    QVK__TRY(lines_of(args, &l, err));
    for (int64_t i = 0; i < qvk_tensor_numel(&outs[0]); i++) {
        QVK__TRY(gathered_place(&l, i, coords, &at, err));
        qvk__reference_move(&outs[0], i, l.self, at);
    }
    return QVK_OK;
}

qvk_status qvk__reference_scatter(qvk__op op, const qvk__arg *args, int n_args, qvk_tensor *outs, int n_outs,
                                  qvk_error *err)
{
    int64_t coords[QVK_MAX_RANK] = {0}, at = 0;
    const qvk_tensor *src;
    lines l;

    (void)op, (void)n_args, (void)n_outs;
    QVK__TRY(lines_of(args, &l, err));
    QVK__TRY(qvk__arg_tensor(&args[3], "src", &src, err));
    qvk__reference_move_all(&outs[0], l.self);
    for (int64_t i = 0; i < qvk_tensor_numel(l.index); i++) {
        int64_t from = 0;
        QVK__TRY(gathered_place(&l, i, coords, &at, err));
        for (int d = 0; d < src->rank; d++)
            from = from * src->sizes[d] + coords[d];
        qvk__reference_move(&outs[0], at, src, from);
    }
    return QVK_OK;
}
