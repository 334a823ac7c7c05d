/* Shape rules of operators that move elements: views, splits, cat, padding. */
#include "core/semantics.h"
#include "core/shape.h"

/* Sizes with one -1 that stands for whatever is left. */
static qvk_status reshape(const qvk_tensor *self, const qvk__arg *arg, qvk_tensor *out, qvk_error *err)
{
    const int64_t numel = qvk_tensor_numel(self);
    int64_t sizes[QVK_MAX_RANK], known = 1;
    int n, open = -1;
    qvk_tensor wanted = {.dtype = self->dtype};

    QVK__TRY(qvk__arg_ints(arg, "size", sizes, QVK_MAX_RANK, &n, err));
    wanted.rank = QVK__MAX(n, 0);
    for (int i = 0; i < n; i++) {
        QVK__CHECK(sizes[i] >= 0 || (sizes[i] == -1 && open < 0), err, QVK_SHAPE,
                   "size: %lld for dimension %d", (long long)sizes[i], i);
        wanted.sizes[i] = sizes[i] < 0 ? 1 : sizes[i];
        open = sizes[i] < 0 ? i : open;
    }
    known = qvk_tensor_numel(&wanted);
    if (open >= 0 && known > 0 && numel % known == 0)
        wanted.sizes[open] = numel / known;
    QVK__CHECK(known >= 0 && qvk_tensor_numel(&wanted) == numel && (open < 0 || known > 0), err, QVK_SHAPE,
               "a tensor of shape %s cannot be viewed as %s", qvk__shape_text(self).text,
               qvk__shape_text(&wanted).text);
    return qvk__set_shape(out, self->dtype, wanted.rank, wanted.sizes, err);
}

static qvk_status squeeze(const qvk_tensor *self, const qvk__arg *dims, qvk_tensor *out, qvk_error *err)
{
    int64_t sizes[QVK_MAX_RANK];
    uint32_t mask;
    int rank = 0;

    QVK__TRY(qvk__arg_dims(dims, "dim", self->rank, 0, &mask, err));
    for (int i = 0; i < self->rank; i++)
        if (!(mask >> i & 1) || self->sizes[i] != 1)
            sizes[rank++] = self->sizes[i];
    return qvk__set_shape(out, self->dtype, rank, sizes, err);
}

static qvk_status unsqueeze(const qvk_tensor *self, const qvk__arg *arg, qvk_tensor *out, qvk_error *err)
{
    int64_t sizes[QVK_MAX_RANK + 1];
    int dim;

    QVK__TRY(qvk__arg_dim(arg, "dim", self->rank + 1, &dim, err));
    for (int i = 0; i <= self->rank; i++)
        sizes[i] = i < dim ? self->sizes[i] : i == dim ? 1 : self->sizes[i - 1];
    return qvk__set_shape(out, self->dtype, self->rank + 1, sizes, err);
}

qvk_status qvk__shape_view(qvk__op op, const qvk__arg *args, int n_args, qvk_tensor *outs, int n_outs,
                           qvk_error *err)
{
    const qvk_tensor *self;

    (void)n_args, (void)n_outs;
    QVK__TRY(qvk__arg_tensor(&args[0], "self", &self, err));
    if (op == QVK__OP_VIEW_COPY)
        return reshape(self, &args[1], &outs[0], err);
    if (op == QVK__OP_UNSQUEEZE_COPY)
        return unsqueeze(self, &args[1], &outs[0], err);
    return squeeze(self, &args[1], &outs[0], err);
}

static qvk_status strided(qvk__op op, const qvk__arg *args, qvk_tensor *out, qvk_error *err)
{
    qvk__view view;
    return qvk__view_of(op, args, &view, out, err);
}

qvk_status qvk__shape_strided(qvk__op op, const qvk__arg *args, int n_args, qvk_tensor *outs, int n_outs,
                              qvk_error *err)
{
    (void)n_args, (void)n_outs;
    return strided(op, args, &outs[0], err);
}

qvk_status qvk__shape_repeat_interleave(qvk__op op, const qvk__arg *args, int n_args, qvk_tensor *outs,
                                        int n_outs, qvk_error *err)
{
    (void)n_args, (void)n_outs;
    return strided(op, args, &outs[0], err);
}

qvk_status qvk__shape_split(qvk__op op, const qvk__arg *args, int n_args, qvk_tensor *outs, int n_outs,
                            qvk_error *err)
{
    qvk__view view;

    (void)n_args;
    for (int i = 0; i < n_outs; i++)
        QVK__TRY(qvk__split_piece(op, args, i, &view, &outs[i], err));
    return QVK_OK;
}

qvk_status qvk__shape_cat(qvk__op op, const qvk__arg *args, int n_args, qvk_tensor *outs, int n_outs,
                          qvk_error *err)
{
    qvk__concat concat;

    (void)op, (void)n_args, (void)n_outs;
    QVK__TRY(qvk__concat_of(args, &concat, err));
    return qvk__set_shape(&outs[0], concat.shape.dtype, concat.shape.rank, concat.shape.sizes, err);
}

static qvk_status overlay(qvk__op op, const qvk__arg *args, qvk_tensor *out, qvk_error *err)
{
    qvk__overlay laid;
    const qvk_tensor *self = args[0].u.tensor;

    QVK__TRY(qvk__overlay_of(op, args, &laid, err));
    if (op == QVK__OP_ROLL) /* a flattened roll keeps the shape */
        return qvk__set_shape(out, self->dtype, self->rank, self->sizes, err);
    return qvk__set_shape(out, self->dtype, laid.rank, laid.sizes, err);
}

qvk_status qvk__shape_pad(qvk__op op, const qvk__arg *args, int n_args, qvk_tensor *outs, int n_outs,
                          qvk_error *err)
{
    (void)n_args, (void)n_outs;
    return overlay(op, args, &outs[0], err);
}

qvk_status qvk__shape_roll(qvk__op op, const qvk__arg *args, int n_args, qvk_tensor *outs, int n_outs,
                           qvk_error *err)
{
    (void)n_args, (void)n_outs;
    return overlay(op, args, &outs[0], err);
}

qvk_status qvk__shape_slice_scatter(qvk__op op, const qvk__arg *args, int n_args, qvk_tensor *outs,
                                    int n_outs, qvk_error *err)
{
    (void)n_args, (void)n_outs;
    return overlay(op, args, &outs[0], err);
}
