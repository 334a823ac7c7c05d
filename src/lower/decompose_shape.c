/* Views, layouts, copies and creation: exported forms -> *_copy forms with explicit sizes. */
#include "core/dtype.h"
#include "lower/decompose.h"

static const qvk_tensor *out_desc(const qvk__edge *edge, const qvk__node *node, int i)
{
    return &edge->program->graph.values.data[node->outs[i]].desc;
}

static qvk_status wrap_dim(int64_t *dim, int rank, const char *what, qvk_error *err)
{
    int64_t d = *dim < 0 ? *dim + (rank ? rank : 1) : *dim;
    QVK__CHECK(d >= 0 && d < (rank ? rank : 1), err, QVK_SHAPE, "%s: dimension %lld of a rank-%d tensor",
               what, (long long)*dim, rank);
    *dim = d;
    return QVK_OK;
}

static qvk_status dim_arg(const qvk__arg *arg, int rank, int64_t *dim, qvk_error *err)
{
    QVK__TRY(qvk__arg_int(arg, "dim", dim, err));
    return wrap_dim(dim, rank, "dim", err);
}

static qvk_status emit_view(qvk__edge *edge, int32_t x, const qvk__arg *sizes, int n, int32_t *out,
                            qvk_error *err)
{
    qvk__arg list = {.kind = QVK__ARG_LIST, .count = (uint32_t)n, .u.list = sizes};
    int64_t ints[QVK_MAX_RANK];
    bool all_ints = true;

    for (int i = 0; i < n; i++) {
        all_ints = all_ints && sizes[i].kind == QVK__ARG_INT;
        ints[i] = sizes[i].u.i;
    }
    if (all_ints)
        list = qvk__edge_ints(ints, n);
    return QVK__EDGE_EMIT(edge, QVK__OP_VIEW_COPY, QVK_DTYPE_NONE, out, err, qvk__arg_from_value(x), list);
}

static qvk_status emit_permute(qvk__edge *edge, int32_t x, const int64_t *dims, int rank, int32_t *out,
                               qvk_error *err)
{
    return QVK__EDGE_EMIT(edge, QVK__OP_PERMUTE_COPY, QVK_DTYPE_NONE, out, err, qvk__arg_from_value(x),
                          qvk__edge_ints(dims, rank));
}

qvk_status qvk__decompose_identity(qvk__edge *edge, const qvk__node *node, const qvk__arg *args,
                                   int32_t *outs, qvk_error *err)
{
    bool train = false;

    (void)edge;
    if (node->op == QVK__OP_DROPOUT)
        QVK__TRY(qvk__arg_bool(&args[2], "train", &train, err));
    QVK__CHECK(!train, err, QVK_UNSUPPORTED, "dropout in training mode: export the model after model.eval()");
    outs[0] = args[0].u.value;
    return QVK_OK;
}

qvk_status qvk__decompose_cast(qvk__edge *edge, const qvk__node *node, const qvk__arg *args, int32_t *outs,
                               qvk_error *err)
{
    qvk_dtype to = out_desc(edge, node, 0)->dtype;
    qvk__arg none = {.kind = QVK__ARG_NULL};

    if (qvk__edge_desc(edge, args[0].u.value)->dtype == to) {
        outs[0] = args[0].u.value;
        return QVK_OK;
    }
    return QVK__EDGE_EMIT(edge, QVK__OP_PRIV_TO_COPY, to, outs, err, args[0],
                          qvk__arg_from_int(qvk__dtype_code(to, QVK__DTYPE_PTE)), none, none, none,
                          qvk__arg_from_bool(false), none);
}

qvk_status qvk__decompose_view(qvk__edge *edge, const qvk__node *node, const qvk__arg *args, int32_t *outs,
                               qvk_error *err)
{
    (void)node;
    return QVK__EDGE_EMIT(edge, QVK__OP_VIEW_COPY, QVK_DTYPE_NONE, outs, err, args[0], args[1]);
}

qvk_status qvk__decompose_view_as(qvk__edge *edge, const qvk__node *node, const qvk__arg *args, int32_t *outs,
                                  qvk_error *err)
{
    qvk__arg sizes[QVK_MAX_RANK];
    int rank = qvk__edge_desc(edge, args[1].u.value)->rank;

    (void)node;
    for (int i = 0; i < rank; i++)
        QVK__TRY(qvk__edge_size(edge, args[1].u.value, i, &sizes[i], err));
    return emit_view(edge, args[0].u.value, sizes, rank, outs, err);
}

qvk_status qvk__decompose_flatten(qvk__edge *edge, const qvk__node *node, const qvk__arg *args, int32_t *outs,
                                  qvk_error *err)
{
    int rank = qvk__edge_desc(edge, args[0].u.value)->rank, n = 0;
    qvk__arg sizes[QVK_MAX_RANK];
    int64_t start, end;

    (void)node;
    QVK__TRY(dim_arg(&args[1], rank, &start, err));
    QVK__TRY(dim_arg(&args[2], rank, &end, err));
    if (rank == 0)
        sizes[n++] = qvk__arg_from_int(1);
    for (int i = 0; i < rank; i++) {
        if (i == start)
            sizes[n++] = qvk__arg_from_int(-1);
        else if (i < start || i > end)
            QVK__TRY(qvk__edge_size(edge, args[0].u.value, i, &sizes[n++], err));
    }
    return emit_view(edge, args[0].u.value, sizes, n, outs, err);
}

qvk_status qvk__decompose_unflatten(qvk__edge *edge, const qvk__node *node, const qvk__arg *args,
                                    int32_t *outs, qvk_error *err)
{
    int rank = qvk__edge_desc(edge, args[0].u.value)->rank, n = 0;
    qvk__arg sizes[QVK_MAX_RANK];
    int64_t dim;

    (void)node;
    QVK__TRY(dim_arg(&args[1], rank, &dim, err));
    QVK__CHECK(rank - 1 + (int)args[2].count <= QVK_MAX_RANK, err, QVK_SHAPE, "unflatten: rank above %d",
               QVK_MAX_RANK);
    for (int i = 0; i < rank; i++) {
        for (uint32_t j = 0; i == dim && j < args[2].count; j++)
            sizes[n++] =
                args[2].kind == QVK__ARG_LIST ? args[2].u.list[j] : qvk__arg_from_int(args[2].u.ints[j]);
        if (i != dim)
            QVK__TRY(qvk__edge_size(edge, args[0].u.value, i, &sizes[n++], err));
    }
    return emit_view(edge, args[0].u.value, sizes, n, outs, err);
}

qvk_status qvk__decompose_transpose(qvk__edge *edge, const qvk__node *node, const qvk__arg *args,
                                    int32_t *outs, qvk_error *err)
{
    int rank = qvk__edge_desc(edge, args[0].u.value)->rank;
    int64_t dims[QVK_MAX_RANK], a, b;

    (void)node;
    QVK__TRY(dim_arg(&args[1], rank, &a, err));
    QVK__TRY(dim_arg(&args[2], rank, &b, err));
    for (int i = 0; i < rank; i++)
        dims[i] = i == a ? b : i == b ? a : i;
    return emit_permute(edge, args[0].u.value, dims, rank, outs, err);
}

qvk_status qvk__decompose_movedim(qvk__edge *edge, const qvk__node *node, const qvk__arg *args, int32_t *outs,
                                  qvk_error *err)
{
    int rank = qvk__edge_desc(edge, args[0].u.value)->rank, next = 0;
    int64_t dims[QVK_MAX_RANK], from, to;

    (void)node;
    QVK__TRY(dim_arg(&args[1], rank, &from, err));
    QVK__TRY(dim_arg(&args[2], rank, &to, err));
    for (int i = 0; i < rank; i++) {
        next += next == from;
        dims[i] = i == to ? from : next++;
    }
    return emit_permute(edge, args[0].u.value, dims, rank, outs, err);
}

qvk_status qvk__decompose_reverse(qvk__edge *edge, const qvk__node *node, const qvk__arg *args, int32_t *outs,
                                  qvk_error *err)
{
    int rank = qvk__edge_desc(edge, args[0].u.value)->rank;
    int64_t dims[QVK_MAX_RANK];

    (void)node;
    if (rank < 2) {
        outs[0] = args[0].u.value;
        return QVK_OK;
    }
    for (int i = 0; i < rank; i++)
        dims[i] = rank - 1 - i;
    return emit_permute(edge, args[0].u.value, dims, rank, outs, err);
}

qvk_status qvk__decompose_squeeze(qvk__edge *edge, const qvk__node *node, const qvk__arg *args, int32_t *outs,
                                  qvk_error *err)
{
    const qvk_tensor *x = qvk__edge_desc(edge, args[0].u.value);
    int64_t wanted[QVK_MAX_RANK], dims[QVK_MAX_RANK];
    int n = 0, kept = 0;

    if (node->op == QVK__OP_SQUEEZE)
        for (int i = 0; i < x->rank; i++)
            wanted[n++] = i;
    else
        QVK__TRY(qvk__arg_ints(&args[1], "dim", wanted, QVK_MAX_RANK, &n, err));
    for (int i = 0; i < n; i++) {
        QVK__TRY(wrap_dim(&wanted[i], x->rank, "squeeze", err));
        if (x->rank > 0 && x->sizes[wanted[i]] == 1)
            dims[kept++] = wanted[i];
    }
    if (kept == 0) {
        outs[0] = args[0].u.value;
        return QVK_OK;
    }
    return QVK__EDGE_EMIT(edge, QVK__OP_SQUEEZE_COPY_DIMS, QVK_DTYPE_NONE, outs, err, args[0],
                          qvk__edge_ints(dims, kept));
}

qvk_status qvk__decompose_expand(qvk__edge *edge, const qvk__node *node, const qvk__arg *args, int32_t *outs,
                                 qvk_error *err)
{
    qvk__arg list[QVK_MAX_RANK], sizes = args[1];

    if (node->op == QVK__OP_EXPAND_AS) {
        int rank = qvk__edge_desc(edge, args[1].u.value)->rank;
        int32_t like = args[1].u.value;
        for (int i = 0; i < rank; i++)
            QVK__TRY(qvk__edge_size(edge, like, i, &list[i], err));
        sizes = (qvk__arg){.kind = QVK__ARG_LIST, .count = (uint32_t)rank, .u.list = list};
    }
    return QVK__EDGE_EMIT(edge, QVK__OP_EXPAND_COPY, QVK_DTYPE_NONE, outs, err, args[0], sizes,
                          qvk__arg_from_bool(false));
}

qvk_status qvk__decompose_stack(qvk__edge *edge, const qvk__node *node, const qvk__arg *args, int32_t *outs,
                                qvk_error *err)
{
    uint32_t n = args[0].count;
    qvk__arg *parts = qvk__arena_alloc(&edge->graph.arena, n, sizeof *parts);
    int64_t dim;

    QVK__CHECK(parts && n > 0 && args[0].kind == QVK__ARG_LIST, err, QVK_SHAPE,
               "stack: a list of tensors is needed");
    QVK__TRY(dim_arg(&args[1], out_desc(edge, node, 0)->rank, &dim, err));
    for (uint32_t i = 0; i < n; i++) {
        int32_t part;
        QVK__TRY(QVK__EDGE_EMIT(edge, QVK__OP_UNSQUEEZE_COPY, QVK_DTYPE_NONE, &part, err, args[0].u.list[i],
                                qvk__arg_from_int(dim)));
        parts[i] = qvk__arg_from_value(part);
    }
    return QVK__EDGE_EMIT(edge, QVK__OP_CAT, QVK_DTYPE_NONE, outs, err,
                          ((qvk__arg){.kind = QVK__ARG_LIST, .count = n, .u.list = parts}),
                          qvk__arg_from_int(dim));
}

/* split, chunk and unbind along a static dimension: the pieces' sizes are those the exporter recorded. */
qvk_status qvk__decompose_split(qvk__edge *edge, const qvk__node *node, const qvk__arg *args, int32_t *outs,
                                qvk_error *err)
{
    bool unbind = node->op == QVK__OP_UNBIND_INT;
    int rank = qvk__edge_desc(edge, args[0].u.value)->rank;
    int64_t *sizes = qvk__arena_alloc(&edge->graph.arena, (uint64_t)node->n_outs, sizeof *sizes);
    int64_t dim, total = 0;

    QVK__TRY(dim_arg(&args[unbind ? 1 : 2], rank, &dim, err));
    QVK__CHECK(sizes, err, QVK_OUT_OF_MEMORY, "out of memory");
    for (int i = 0; i < node->n_outs; i++) {
        if (unbind) {
            QVK__TRY(QVK__EDGE_EMIT(edge, QVK__OP_SELECT_COPY_INT, QVK_DTYPE_NONE, &outs[i], err, args[0],
                                    qvk__arg_from_int(dim), qvk__arg_from_int(i)));
            continue;
        }
        QVK__CHECK(node->outs[i] >= 0, err, QVK_UNSUPPORTED, "split: an unused piece has no recorded size");
        sizes[i] = out_desc(edge, node, i)->sizes[dim];
        total += sizes[i];
    }
    if (unbind)
        return QVK_OK;
    QVK__CHECK(total == qvk__edge_desc(edge, args[0].u.value)->sizes[dim], err, QVK_UNSUPPORTED,
               "split along a dynamic dimension");
    return qvk__edge_emit(
        edge, QVK__OP_SPLIT_WITH_SIZES_COPY,
        (const qvk__arg[]){args[0], qvk__edge_ints(sizes, node->n_outs), qvk__arg_from_int(dim)}, 3,
        QVK_DTYPE_NONE, outs, node->n_outs, err);
}

qvk_status qvk__decompose_narrow(qvk__edge *edge, const qvk__node *node, const qvk__arg *args, int32_t *outs,
                                 qvk_error *err)
{
    qvk__arg end = args[3];

    (void)node;
    if (args[2].kind == QVK__ARG_INT && args[3].kind == QVK__ARG_INT) {
        end = qvk__arg_from_int(args[2].u.i + args[3].u.i);
    } else {
        int32_t sum;
        QVK__TRY(QVK__EDGE_EMIT(edge, QVK__OP_SYM_ADD, QVK_DTYPE_NONE, &sum, err, args[2], args[3]));
        end = qvk__arg_from_value(sum);
    }
    return QVK__EDGE_EMIT(edge, QVK__OP_SLICE_COPY_TENSOR, QVK_DTYPE_NONE, outs, err, args[0], args[1],
                          args[2], end, qvk__arg_from_int(1));
}

qvk_status qvk__decompose_pad(qvk__edge *edge, const qvk__node *node, const qvk__arg *args, int32_t *outs,
                              qvk_error *err)
{
    const char *mode;

    (void)node;
    QVK__TRY(qvk__arg_string(&args[2], "mode", &mode, err));
    if (strcmp(mode, "constant") == 0)
        return QVK__EDGE_EMIT(edge, QVK__OP_CONSTANT_PAD_ND, QVK_DTYPE_NONE, outs, err, args[0], args[1],
                              args[3].kind == QVK__ARG_NULL ? qvk__arg_from_int(0) : args[3]);
    QVK__CHECK(args[1].count == 4, err, QVK_UNSUPPORTED, "pad: mode %s is supported for 2-D padding", mode);
    QVK__CHECK(strcmp(mode, "reflect") == 0 || strcmp(mode, "replicate") == 0, err, QVK_UNSUPPORTED,
               "pad: mode %s", mode);
    return QVK__EDGE_EMIT(edge, mode[2] == 'f' ? QVK__OP_REFLECTION_PAD2D : QVK__OP_REPLICATION_PAD2D,
                          QVK_DTYPE_NONE, outs, err, args[0], args[1]);
}

qvk_status qvk__decompose_tile(qvk__edge *edge, const qvk__node *node, const qvk__arg *args, int32_t *outs,
                               qvk_error *err)
{
    int64_t repeats[QVK_MAX_RANK], padded[QVK_MAX_RANK];
    int rank = qvk__edge_desc(edge, args[0].u.value)->rank, n, total;

    (void)node;
    QVK__TRY(qvk__arg_ints(&args[1], "dims", repeats, QVK_MAX_RANK, &n, err));
    total = QVK__MAX(rank, n);
    for (int i = 0; i < total; i++)
        padded[i] = i < total - n ? 1 : repeats[i - (total - n)];
    return QVK__EDGE_EMIT(edge, QVK__OP_REPEAT, QVK_DTYPE_NONE, outs, err, args[0],
                          qvk__edge_ints(padded, total));
}

/* new_full, new_ones, new_zeros -> full; arange(end), arange(start, end) -> arange(start, end, step). */
qvk_status qvk__decompose_create(qvk__edge *edge, const qvk__node *node, const qvk__arg *args, int32_t *outs,
                                 qvk_error *err)
{
    qvk_dtype dtype = out_desc(edge, node, 0)->dtype;
    qvk__arg none = {.kind = QVK__ARG_NULL}, type = qvk__arg_from_int(qvk__dtype_code(dtype, QVK__DTYPE_PTE));

    if (node->op == QVK__OP_ARANGE || node->op == QVK__OP_ARANGE_START) {
        bool start = node->op == QVK__OP_ARANGE_START;
        return QVK__EDGE_EMIT(edge, QVK__OP_ARANGE_START_STEP, dtype, outs, err,
                              start ? args[0] : qvk__arg_from_int(0), args[start ? 1 : 0],
                              qvk__arg_from_int(1), type, none, none, none);
    }
    return QVK__EDGE_EMIT(edge, QVK__OP_FULL, dtype, outs, err, args[1],
                          node->op == QVK__OP_NEW_FULL   ? args[2]
                          : node->op == QVK__OP_NEW_ONES ? qvk__arg_from_int(1)
                                                         : qvk__arg_from_int(0),
                          type, none, none, none);
}
