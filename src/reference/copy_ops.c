/* Reference of operators that move, convert or make elements without computing. */
#include "core/semantics.h"
#include "reference/functions.h"

/* Coordinates of element `index` in C order over `sizes`. */
static void unravel(int64_t index, int rank, const int64_t *sizes, int64_t *coords)
{
    for (int d = rank - 1; d >= 0; d--) {
        coords[d] = index % sizes[d];
        index /= sizes[d];
    }
}

/* to = from, read through a view with as many elements. */
static void copy_view(qvk_tensor *to, const qvk_tensor *from, const qvk__view *view)
{
    const int64_t numel = qvk_tensor_numel(to);
    int64_t coords[QVK__VIEW_RANK];

    for (int64_t i = 0; i < numel; i++) {
        int64_t at = view->offset;
        unravel(i, view->rank, view->sizes, coords);
        for (int d = 0; d < view->rank; d++)
            at += coords[d] * view->strides[d];
        qvk__reference_move(to, i, from, at);
    }
}

qvk_status qvk__reference_copy(qvk__op op, const qvk__arg *args, int n_args, qvk_tensor *outs, int n_outs,
                               qvk_error *err)
{
    const qvk_tensor *self;

    (void)op, (void)n_args, (void)n_outs;
    QVK__TRY(qvk__arg_tensor(&args[0], "self", &self, err));
    qvk__reference_move_all(&outs[0], self);
    return QVK_OK;
}

qvk_status qvk__reference_view(qvk__op op, const qvk__arg *args, int n_args, qvk_tensor *outs, int n_outs,
                               qvk_error *err)
{
    return qvk__reference_copy(op, args, n_args, outs, n_outs, err);
}

/* copy, and copy_, which also writes its argument. */
qvk_status qvk__reference_copy_into(qvk__op op, const qvk__arg *args, int n_args, qvk_tensor *outs,
                                    int n_outs, qvk_error *err)
{
    const qvk_tensor *self, *src;
    qvk__view view = {.rank = outs[0].rank};
    qvk_tensor target;

    (void)n_args, (void)n_outs;
    QVK__TRY(qvk__arg_tensor(&args[0], "self", &self, err));
    QVK__TRY(qvk__arg_tensor(&args[1], "src", &src, err));
    memcpy(view.sizes, outs[0].sizes, sizeof outs[0].sizes);
    qvk__broadcast_strides(src, &outs[0], view.strides);
    target = op == QVK__OP_COPY_INPLACE ? *self : outs[0];
    copy_view(&target, src, &view);
    if (target.data != outs[0].data)
        qvk__reference_move_all(&outs[0], &target);
    return QVK_OK;
}

static qvk_status strided(qvk__op op, const qvk__arg *args, qvk_tensor *out, qvk_error *err)
{
    qvk_tensor shape = {0};
    qvk__view view;

    QVK__TRY(qvk__view_of(op, args, &view, &shape, err));
    copy_view(out, args[0].u.tensor, &view);
    return QVK_OK;
}

qvk_status qvk__reference_strided(qvk__op op, const qvk__arg *args, int n_args, qvk_tensor *outs, int n_outs,
                                  qvk_error *err)
{
    (void)n_args, (void)n_outs;
    return strided(op, args, &outs[0], err);
}

qvk_status qvk__reference_repeat_interleave(qvk__op op, const qvk__arg *args, int n_args, qvk_tensor *outs,
                                            int n_outs, qvk_error *err)
{
    (void)n_args, (void)n_outs;
    return strided(op, args, &outs[0], err);
}

qvk_status qvk__reference_split(qvk__op op, const qvk__arg *args, int n_args, qvk_tensor *outs, int n_outs,
                                qvk_error *err)
{
    qvk_tensor shape = {0};
    qvk__view view;

    (void)n_args;
    for (int i = 0; i < n_outs; i++) {
        QVK__TRY(qvk__split_piece(op, args, i, &view, &shape, err));
        copy_view(&outs[i], args[0].u.tensor, &view);
    }
    return QVK_OK;
}

qvk_status qvk__reference_cat(qvk__op op, const qvk__arg *args, int n_args, qvk_tensor *outs, int n_outs,
                              qvk_error *err)
{
    qvk__concat concat;
    int64_t outer = 1, inner = 1, start = 0;

    (void)op, (void)n_args, (void)n_outs;
    QVK__TRY(qvk__concat_of(args, &concat, err));
    for (int d = 0; d < concat.shape.rank; d++)
        *(d < concat.dim ? &outer : &inner) *= d == concat.dim ? 1 : concat.shape.sizes[d];
    for (int i = 0; i < concat.n_tensors; i++) {
        const qvk_tensor *tensor = qvk__concat_tensor(&concat, i);
        const int64_t run = tensor ? tensor->sizes[concat.dim] * inner : 0;
        for (int64_t o = 0; o < outer; o++)
            for (int64_t j = 0; j < run; j++)
                qvk__reference_move(&outs[0], o * concat.shape.sizes[concat.dim] * inner + start + j, tensor,
                                    o * run + j);
        start += run;
    }
    return QVK_OK;
}

/* ---- overlays ------------------------------------------------------------------------------------------- */

/* Coordinate of the source that coordinate `c` of the result reads along one dimension, -1: none. */
static int64_t source_coord(const qvk__overlay *laid, int d, int64_t c)
{
    const int64_t size = laid->source_sizes[d];
    int64_t at = c - laid->start[d];

    switch (laid->edge) {
    case QVK__EDGE_REPLICATE: return QVK__MIN(QVK__MAX(at, 0), size - 1);
    case QVK__EDGE_REFLECT: at = at < 0 ? -at : at; return at < size ? at : 2 * (size - 1) - at;
    case QVK__EDGE_WRAP: return (at % size + size) % size;
    default:
        if (at < 0 || at % laid->step[d] != 0)
            return -1;
        at /= laid->step[d];
        return at < size ? at : -1;
    }
}

static void store_number(qvk_tensor *out, int64_t index, const qvk__operand *number)
{
    if (qvk__dtype_is_float(out->dtype) || out->dtype == QVK_DTYPE_BOOL)
        qvk__reference_set(out, index, number->f);
    else
        qvk__reference_set_int(out, index, number->i);
}

static qvk_status overlay(qvk__op op, const qvk__arg *args, qvk_tensor *out, qvk_error *err)
{
    const int64_t numel = qvk_tensor_numel(out);
    int64_t coords[QVK_MAX_RANK];
    qvk__overlay laid;

    QVK__TRY(qvk__overlay_of(op, args, &laid, err));
    for (int64_t i = 0; i < numel; i++) {
        int64_t at = 0;
        unravel(i, laid.rank, laid.sizes, coords);
        for (int d = 0; d < laid.rank && at >= 0; d++) {
            const int64_t c = source_coord(&laid, d, coords[d]);
            at = c < 0 ? -1 : at * laid.source_sizes[d] + c;
        }
        if (at >= 0)
            qvk__reference_move(out, i, laid.source, at);
        else if (laid.edge == QVK__EDGE_BASE)
            qvk__reference_move(out, i, laid.base, i);
        else
            store_number(out, i, &laid.value);
    }
    return QVK_OK;
}

qvk_status qvk__reference_pad(qvk__op op, const qvk__arg *args, int n_args, qvk_tensor *outs, int n_outs,
                              qvk_error *err)
{
    (void)n_args, (void)n_outs;
    return overlay(op, args, &outs[0], err);
}

qvk_status qvk__reference_roll(qvk__op op, const qvk__arg *args, int n_args, qvk_tensor *outs, int n_outs,
                               qvk_error *err)
{
    (void)n_args, (void)n_outs;
    return overlay(op, args, &outs[0], err);
}

qvk_status qvk__reference_slice_scatter(qvk__op op, const qvk__arg *args, int n_args, qvk_tensor *outs,
                                        int n_outs, qvk_error *err)
{
    (void)n_args, (void)n_outs;
    return overlay(op, args, &outs[0], err);
}

/* ---- made from nothing ---------------------------------------------------------------------------------- */

/* torch.arange computes start + i * step in the accumulation type (double for floats, int64 for integers). */
qvk_status qvk__reference_full(qvk__op op, const qvk__arg *args, int n_args, qvk_tensor *outs, int n_outs,
                               qvk_error *err)
{
    const int64_t numel = qvk_tensor_numel(&outs[0]);
    qvk_tensor shape = outs[0];
    qvk__filling filling;

    (void)n_args, (void)n_outs;
    QVK__TRY(qvk__filling_of(op, args, &filling, &shape, err));
    for (int64_t i = 0; i < numel; i++) {
        qvk__operand number = filling.value;
        number.f += (double)i * filling.step.f;
        number.i = (int64_t)((uint64_t)number.i + (uint64_t)i * (uint64_t)filling.step.i);
        store_number(&outs[0], i, &number);
    }
    return QVK_OK;
}

/* tril, triu: what lies on the other side of the diagonal becomes 0. */
qvk_status qvk__reference_triangle(qvk__op op, const qvk__arg *args, int n_args, qvk_tensor *outs, int n_outs,
                                   qvk_error *err)
{
    const qvk__operand zero = qvk__operand_number(0.0);
    const qvk_tensor *self;
    int64_t diagonal, coords[QVK_MAX_RANK];

    (void)n_args, (void)n_outs;
    QVK__TRY(qvk__arg_tensor(&args[0], "self", &self, err));
    QVK__TRY(qvk__arg_int(&args[1], "diagonal", &diagonal, err));
    QVK__CHECK(self->rank >= 2, err, QVK_SHAPE, "wanted a matrix, got shape %s", qvk__shape_text(self).text);
    for (int64_t i = 0; i < qvk_tensor_numel(self); i++) {
        int64_t over;
        unravel(i, self->rank, self->sizes, coords);
        over = coords[self->rank - 1] - coords[self->rank - 2];
        if (op == QVK__OP_TRIL ? over <= diagonal : over >= diagonal)
            qvk__reference_move(&outs[0], i, self, i);
        else
            store_number(&outs[0], i, &zero);
    }
    return QVK_OK;
}
