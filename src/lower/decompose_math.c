/* Arithmetic, selection, products, convolution, norms, pooling: exported forms -> canonical operators. */
#include "core/dtype.h"
#include "lower/decompose.h"

static const qvk__arg none = {.kind = QVK__ARG_NULL};

static const qvk_tensor *desc_of(const qvk__edge *edge, const qvk__arg *arg)
{
    return qvk__edge_desc(edge, arg->u.value);
}

static qvk_dtype out_dtype(const qvk__edge *edge, const qvk__node *node)
{
    return edge->program->graph.values.data[node->outs[0]].desc.dtype;
}

/* A number becomes a 0-dim constant; a tensor stays. */
static qvk_status as_tensor(qvk__edge *edge, const qvk__arg *arg, qvk_dtype dtype, qvk__arg *out,
                            qvk_error *err)
{
    double number;
    int32_t value;

    *out = *arg;
    if (arg->kind == QVK__ARG_VALUE)
        return QVK_OK;
    QVK__TRY(qvk__arg_float(arg, "scalar", &number, err));
    QVK__TRY(qvk__edge_scalar(edge, number, dtype, &value, err));
    *out = qvk__arg_from_value(value);
    return QVK_OK;
}

qvk_status qvk__decompose_where(qvk__edge *edge, const qvk__node *node, const qvk__arg *args, int32_t *outs,
                                qvk_error *err)
{
    qvk_dtype dtype = out_dtype(edge, node);
    qvk__arg a, b;

    QVK__TRY(as_tensor(edge, &args[1], dtype, &a, err));
    QVK__TRY(as_tensor(edge, &args[2], dtype, &b, err));
    return QVK__EDGE_EMIT(edge, QVK__OP_WHERE_SELF, dtype, outs, err, args[0], a, b);
}

qvk_status qvk__decompose_masked_fill(qvk__edge *edge, const qvk__node *node, const qvk__arg *args,
                                      int32_t *outs, qvk_error *err)
{
    qvk_dtype dtype = out_dtype(edge, node);
    qvk__arg value;

    QVK__TRY(as_tensor(edge, &args[2], dtype, &value, err));
    return QVK__EDGE_EMIT(edge, QVK__OP_WHERE_SELF, dtype, outs, err, args[1], value, args[0]);
}

qvk_status qvk__decompose_fill(qvk__edge *edge, const qvk__node *node, const qvk__arg *args, int32_t *outs,
                               qvk_error *err)
{
    qvk__arg number = node->op == QVK__OP_ZERO_INPLACE ? qvk__arg_from_int(0) : args[1];
    return QVK__EDGE_EMIT(edge, QVK__OP_FULL_LIKE, out_dtype(edge, node), outs, err, args[0], number, none,
                          none, none, none, none);
}

/* x sigmoid(x) where one operator for it is not to be had. */
qvk_status qvk__decompose_silu(qvk__edge *edge, const qvk__node *node, const qvk__arg *args, int32_t *outs,
                               qvk_error *err)
{
    int32_t gate;

    (void)node;
    if (!edge->params->compat_executorch)
        return QVK__EDGE_EMIT(edge, QVK__OP_SILU, QVK_DTYPE_NONE, outs, err, args[0]);
    QVK__TRY(QVK__EDGE_EMIT(edge, QVK__OP_SIGMOID, QVK_DTYPE_NONE, &gate, err, args[0]));
    return QVK__EDGE_EMIT(edge, QVK__OP_MUL_TENSOR, QVK_DTYPE_NONE, outs, err, args[0],
                          qvk__arg_from_value(gate));
}

qvk_status qvk__decompose_glu(qvk__edge *edge, const qvk__node *node, const qvk__arg *args, int32_t *outs,
                              qvk_error *err)
{
    const qvk_tensor *x = desc_of(edge, &args[0]);
    int64_t dim, sizes[2];
    int32_t halves[2], gate;

    (void)node;
    QVK__TRY(qvk__arg_int(&args[1], "dim", &dim, err));
    dim += dim < 0 ? x->rank : 0;
    QVK__CHECK(dim >= 0 && dim < x->rank && x->sizes[dim] % 2 == 0, err, QVK_SHAPE,
               "glu: dimension %lld of %s", (long long)dim, qvk__shape_text(x).text);
    sizes[0] = sizes[1] = x->sizes[dim] / 2;
    QVK__TRY(qvk__edge_emit(edge, QVK__OP_SPLIT_WITH_SIZES_COPY,
                            (const qvk__arg[]){args[0], qvk__edge_ints(sizes, 2), qvk__arg_from_int(dim)}, 3,
                            QVK_DTYPE_NONE, halves, 2, err));
    QVK__TRY(
        QVK__EDGE_EMIT(edge, QVK__OP_SIGMOID, QVK_DTYPE_NONE, &gate, err, qvk__arg_from_value(halves[1])));
    return QVK__EDGE_EMIT(edge, QVK__OP_MUL_TENSOR, QVK_DTYPE_NONE, outs, err, qvk__arg_from_value(halves[0]),
                          qvk__arg_from_value(gate));
}

/* where(x > 0, x, weight * x), the weight along dimension 1. */
qvk_status qvk__decompose_prelu(qvk__edge *edge, const qvk__node *node, const qvk__arg *args, int32_t *outs,
                                qvk_error *err)
{
    const qvk_tensor *x = desc_of(edge, &args[0]), *w = desc_of(edge, &args[1]);
    int64_t sizes[QVK_MAX_RANK];
    int rank = x->rank;
    int32_t weight = args[1].u.value, scaled, positive;

    (void)node;
    if (rank > 1 && w->sizes[0] > 1) {
        for (int i = 0; i < rank; i++)
            sizes[i] = i == 1 ? w->sizes[0] : 1;
        QVK__TRY(QVK__EDGE_EMIT(edge, QVK__OP_VIEW_COPY, QVK_DTYPE_NONE, &weight, err, args[1],
                                qvk__edge_ints(sizes, rank)));
    }
    QVK__TRY(QVK__EDGE_EMIT(edge, QVK__OP_MUL_TENSOR, QVK_DTYPE_NONE, &scaled, err, args[0],
                            qvk__arg_from_value(weight)));
    QVK__TRY(QVK__EDGE_EMIT(edge, QVK__OP_GT_SCALAR, QVK_DTYPE_NONE, &positive, err, args[0],
                            qvk__arg_from_int(0)));
    return QVK__EDGE_EMIT(edge, QVK__OP_WHERE_SELF, QVK_DTYPE_NONE, outs, err, qvk__arg_from_value(positive),
                          args[0], qvk__arg_from_value(scaled));
}

/* ---- differences --------------------------------------------------------------------------------------------- */

/* [prepend, x, append] along `dim`; `x` itself where there is neither. */
static qvk_status extended(qvk__edge *edge, const qvk__arg *args, int64_t dim, int32_t *out, qvk_error *err)
{
    const qvk__arg *wanted[] = {&args[3], &args[0], &args[4]};
    qvk__arg parts[3], list = {.kind = QVK__ARG_LIST, .u.list = parts};

    *out = args[0].u.value;
    for (size_t i = 0; i < QVK__COUNT(wanted); i++)
        if (wanted[i]->kind == QVK__ARG_VALUE)
            parts[list.count++] = *wanted[i];
    return list.count == 1
               ? QVK_OK
               : QVK__EDGE_EMIT(edge, QVK__OP_CAT, QVK_DTYPE_NONE, out, err, list, qvk__arg_from_int(dim));
}

/* x[1:] - x[:-1], `n` times over; between booleans the difference is whether they differ. */
qvk_status qvk__decompose_diff(qvk__edge *edge, const qvk__node *node, const qvk__arg *args, int32_t *outs,
                               qvk_error *err)
{
    qvk__arg one = qvk__arg_from_int(1), along;
    int64_t n, dim;
    int32_t x, later, earlier;

    (void)node;
    QVK__TRY(qvk__arg_int(&args[1], "n", &n, err));
    QVK__TRY(qvk__arg_int(&args[2], "dim", &dim, err));
    dim += dim < 0 ? desc_of(edge, &args[0])->rank : 0;
    QVK__CHECK(n >= 0 && dim >= 0 && dim < desc_of(edge, &args[0])->rank, err, QVK_SHAPE,
               "diff: order %lld along dimension %lld of %s", (long long)n, (long long)dim,
               qvk__shape_text(desc_of(edge, &args[0])).text);
    along = qvk__arg_from_int(dim);
    x = args[0].u.value;
    if (n > 0) /* PyTorch does not look at prepend and append otherwise */
        QVK__TRY(extended(edge, args, dim, &x, err));
    n = QVK__MIN(n, qvk__edge_desc(edge, x)->sizes[dim]); /* nothing is left after that many */
    for (; n > 0; n--) {
        qvk__arg whole = qvk__arg_from_value(x);
        bool boolean = qvk__edge_desc(edge, x)->dtype == QVK_DTYPE_BOOL;
        QVK__TRY(QVK__EDGE_EMIT(edge, QVK__OP_SLICE_COPY_TENSOR, QVK_DTYPE_NONE, &later, err, whole, along,
                                one, qvk__arg_from_int(INT64_MAX), one));
        QVK__TRY(QVK__EDGE_EMIT(edge, QVK__OP_SLICE_COPY_TENSOR, QVK_DTYPE_NONE, &earlier, err, whole, along,
                                qvk__arg_from_int(0), qvk__arg_from_int(-1), one));
        QVK__TRY(
            qvk__edge_emit(edge, boolean ? QVK__OP_LOGICAL_XOR : QVK__OP_SUB_TENSOR,
                           (const qvk__arg[]){qvk__arg_from_value(later), qvk__arg_from_value(earlier), one},
                           boolean ? 2 : 3, QVK_DTYPE_NONE, &x, 1, err));
    }
    outs[0] = x;
    return QVK_OK;
}

/* ---- products ---------------------------------------------------------------------------------------------- */

static qvk_status reshape(qvk__edge *edge, int32_t x, const qvk__arg *sizes, int n, int32_t *out,
                          qvk_error *err)
{
    qvk__arg list = {.kind = QVK__ARG_LIST, .count = (uint32_t)n, .u.list = sizes};
    return QVK__EDGE_EMIT(edge, QVK__OP_VIEW_COPY, QVK_DTYPE_NONE, out, err, qvk__arg_from_value(x), list);
}

/* [..., r, c] -> [batch, r, c] */
static qvk_status fold_batch(qvk__edge *edge, int32_t x, int32_t *out, qvk_error *err)
{
    int rank = qvk__edge_desc(edge, x)->rank;
    qvk__arg sizes[3] = {qvk__arg_from_int(-1)};

    QVK__TRY(qvk__edge_size(edge, x, rank - 2, &sizes[1], err));
    QVK__TRY(qvk__edge_size(edge, x, rank - 1, &sizes[2], err));
    return reshape(edge, x, sizes, 3, out, err);
}

/* Broadcasts the batch dimensions of `x` to those of `like` (leading rank - 2 sizes), keeping its own matrix.
 */
static qvk_status expand_batch(qvk__edge *edge, int32_t x, const qvk__arg *batch, int n_batch, int32_t *out,
                               qvk_error *err)
{
    int rank = qvk__edge_desc(edge, x)->rank;
    qvk__arg sizes[QVK_MAX_RANK], list;

    for (int i = 0; i < n_batch; i++)
        sizes[i] = batch[i];
    QVK__TRY(qvk__edge_size(edge, x, rank - 2, &sizes[n_batch], err));
    QVK__TRY(qvk__edge_size(edge, x, rank - 1, &sizes[n_batch + 1], err));
    list = (qvk__arg){.kind = QVK__ARG_LIST, .count = (uint32_t)n_batch + 2, .u.list = sizes};
    return QVK__EDGE_EMIT(edge, QVK__OP_EXPAND_COPY, QVK_DTYPE_NONE, out, err, qvk__arg_from_value(x), list,
                          qvk__arg_from_bool(false));
}

static bool same_batch(const qvk_tensor *a, const qvk_tensor *b)
{
    if (a->rank != b->rank)
        return false;
    for (int i = 0; i + 2 < a->rank; i++)
        if (a->sizes[i] != b->sizes[i])
            return false;
    return true;
}

/* Sizes of the broadcast batch, each from the operand that is not 1. */
static qvk_status batch_sizes(qvk__edge *edge, int32_t a, int32_t b, qvk__arg *sizes, int *n, qvk_error *err)
{
    const qvk_tensor *da = qvk__edge_desc(edge, a), *db = qvk__edge_desc(edge, b);
    int ra = da->rank - 2, rb = db->rank - 2;
    int64_t size_a[QVK_MAX_RANK];

    for (int i = 0; i < ra; i++)
        size_a[i] = da->sizes[i];
    *n = QVK__MAX(ra, rb);
    for (int i = 0; i < *n; i++) {
        int ia = i - (*n - ra), ib = i - (*n - rb);
        bool from_a = ia >= 0 && (ib < 0 || size_a[ia] != 1);
        QVK__TRY(qvk__edge_size(edge, from_a ? a : b, from_a ? ia : ib, &sizes[i], err));
    }
    return QVK_OK;
}

static qvk_status batched_product(qvk__edge *edge, int32_t a, int32_t b, int32_t *out, qvk_error *err)
{
    qvk__arg sizes[QVK_MAX_RANK + 2];
    int32_t product;
    int n;

    QVK__TRY(batch_sizes(edge, a, b, sizes, &n, err));
    QVK__CHECK(n + 2 <= QVK_MAX_RANK, err, QVK_SHAPE, "matmul: rank above %d", QVK_MAX_RANK);
    QVK__TRY(qvk__edge_size(edge, a, qvk__edge_desc(edge, a)->rank - 2, &sizes[n], err));
    QVK__TRY(qvk__edge_size(edge, b, qvk__edge_desc(edge, b)->rank - 1, &sizes[n + 1], err));
    if (!same_batch(qvk__edge_desc(edge, a), qvk__edge_desc(edge, b))) {
        QVK__TRY(expand_batch(edge, a, sizes, n, &a, err));
        QVK__TRY(expand_batch(edge, b, sizes, n, &b, err));
    }
    if (n != 1) {
        QVK__TRY(fold_batch(edge, a, &a, err));
        QVK__TRY(fold_batch(edge, b, &b, err));
    }
    QVK__TRY(QVK__EDGE_EMIT(edge, QVK__OP_BMM, QVK_DTYPE_NONE, &product, err, qvk__arg_from_value(a),
                            qvk__arg_from_value(b)));
    if (n == 1) {
        *out = product;
        return QVK_OK;
    }
    return reshape(edge, product, sizes, n + 2, out, err);
}

/* [..., M, K] x [K, N]: the leading dimensions are rows. */
static qvk_status row_product(qvk__edge *edge, int32_t a, int32_t b, int32_t *out, qvk_error *err)
{
    int rank = qvk__edge_desc(edge, a)->rank;
    qvk__arg flat[2] = {qvk__arg_from_int(-1)}, sizes[QVK_MAX_RANK];
    int32_t rows, product;

    QVK__TRY(qvk__edge_size(edge, a, rank - 1, &flat[1], err));
    for (int i = 0; i + 1 < rank; i++)
        QVK__TRY(qvk__edge_size(edge, a, i, &sizes[i], err));
    QVK__TRY(qvk__edge_size(edge, b, 1, &sizes[rank - 1], err));
    QVK__TRY(reshape(edge, a, flat, 2, &rows, err));
    QVK__TRY(QVK__EDGE_EMIT(edge, QVK__OP_MM, QVK_DTYPE_NONE, &product, err, qvk__arg_from_value(rows),
                            qvk__arg_from_value(b)));
    return reshape(edge, product, sizes, rank, out, err);
}

static qvk_status unsqueeze(qvk__edge *edge, int32_t x, int dim, int32_t *out, qvk_error *err)
{
    return QVK__EDGE_EMIT(edge, QVK__OP_UNSQUEEZE_COPY, QVK_DTYPE_NONE, out, err, qvk__arg_from_value(x),
                          qvk__arg_from_int(dim));
}

static qvk_status squeeze(qvk__edge *edge, int32_t x, int64_t dim, int32_t *out, qvk_error *err)
{
    return QVK__EDGE_EMIT(edge, QVK__OP_SQUEEZE_COPY_DIMS, QVK_DTYPE_NONE, out, err, qvk__arg_from_value(x),
                          qvk__edge_ints(&dim, 1));
}

qvk_status qvk__edge_product(qvk__edge *edge, int32_t a, int32_t b, int32_t *out, qvk_error *err)
{
    int ra = qvk__edge_desc(edge, a)->rank, rb = qvk__edge_desc(edge, b)->rank;

    QVK__CHECK(ra >= 1 && rb >= 1, err, QVK_SHAPE, "matmul: both operands need at least one dimension");
    if (ra == 1 || rb == 1) { /* a vector is a matrix with one row or column, which is dropped again */
        int32_t pa = a, pb = b;
        if (ra == 1)
            QVK__TRY(unsqueeze(edge, a, 0, &pa, err));
        if (rb == 1)
            QVK__TRY(unsqueeze(edge, b, 1, &pb, err));
        QVK__TRY(qvk__edge_product(edge, pa, pb, out, err));
        if (rb == 1)
            QVK__TRY(squeeze(edge, *out, qvk__edge_desc(edge, *out)->rank - 1, out, err));
        if (ra == 1)
            QVK__TRY(squeeze(edge, *out, qvk__edge_desc(edge, *out)->rank - (rb == 1 ? 1 : 2), out, err));
        return QVK_OK;
    }
    if (ra == 2 && rb == 2)
        return QVK__EDGE_EMIT(edge, QVK__OP_MM, QVK_DTYPE_NONE, out, err, qvk__arg_from_value(a),
                              qvk__arg_from_value(b));
    return rb == 2 ? row_product(edge, a, b, out, err) : batched_product(edge, a, b, out, err);
}

qvk_status qvk__decompose_matmul(qvk__edge *edge, const qvk__node *node, const qvk__arg *args, int32_t *outs,
                                 qvk_error *err)
{
    (void)node;
    return qvk__edge_product(edge, args[0].u.value, args[1].u.value, outs, err);
}

qvk_status qvk__decompose_outer(qvk__edge *edge, const qvk__node *node, const qvk__arg *args, int32_t *outs,
                                qvk_error *err)
{
    int32_t column, row;

    (void)node;
    QVK__TRY(unsqueeze(edge, args[0].u.value, 1, &column, err));
    QVK__TRY(unsqueeze(edge, args[1].u.value, 0, &row, err));
    return QVK__EDGE_EMIT(edge, QVK__OP_MUL_TENSOR, QVK_DTYPE_NONE, outs, err, qvk__arg_from_value(column),
                          qvk__arg_from_value(row));
}

/* ---- convolution, norms, pooling ----------------------------------------------------------------------------- */

/* One number for every spatial dimension, or one each. */
static qvk_status spatial(const qvk__arg *arg, const char *what, int n, int64_t *out, qvk_error *err)
{
    int given;

    QVK__TRY(qvk__arg_ints(arg, what, out, QVK_MAX_RANK, &given, err));
    QVK__CHECK(given == 1 || given == n, err, QVK_SHAPE, "convolution: %s has %d numbers, wanted %d", what,
               given, n);
    for (int i = 1; i < n && given == 1; i++)
        out[i] = out[0];
    return QVK_OK;
}

qvk_status qvk__decompose_conv(qvk__edge *edge, const qvk__node *node, const qvk__arg *args, int32_t *outs,
                               qvk_error *err)
{
    bool transposed = node->op == QVK__OP_CONV_TRANSPOSE1D || node->op == QVK__OP_CONV_TRANSPOSE2D_INPUT;
    bool one_d = node->op == QVK__OP_CONV1D || node->op == QVK__OP_CONV_TRANSPOSE1D;
    int n = one_d ? 1 : 2, rank = desc_of(edge, &args[0])->rank;
    int64_t stride[QVK_MAX_RANK], padding[QVK_MAX_RANK], extra[QVK_MAX_RANK] = {0}, dilation[QVK_MAX_RANK];
    int32_t x = args[0].u.value;

    QVK__TRY(spatial(&args[3], "stride", n, stride, err));
    QVK__TRY(spatial(&args[4], "padding", n, padding, err));
    if (transposed)
        QVK__TRY(spatial(&args[5], "output_padding", n, extra, err));
    QVK__TRY(spatial(&args[transposed ? 7 : 5], "dilation", n, dilation, err));
    QVK__CHECK(rank == n + 2 || rank == n + 1, err, QVK_SHAPE, "convolution: a rank-%d input", rank);
    if (rank == n + 1)
        QVK__TRY(unsqueeze(edge, x, 0, &x, err));
    QVK__TRY(QVK__EDGE_EMIT(edge, QVK__OP_CONVOLUTION, QVK_DTYPE_NONE, outs, err, qvk__arg_from_value(x),
                            args[1], args[2], qvk__edge_ints(stride, n), qvk__edge_ints(padding, n),
                            qvk__edge_ints(dilation, n), qvk__arg_from_bool(transposed),
                            qvk__edge_ints(extra, n), args[6]));
    return rank == n + 1 ? squeeze(edge, outs[0], 0, outs, err) : QVK_OK;
}

qvk_status qvk__decompose_softmax(qvk__edge *edge, const qvk__node *node, const qvk__arg *args, int32_t *outs,
                                  qvk_error *err)
{
    qvk_dtype dtype = out_dtype(edge, node);
    int32_t x = args[0].u.value;

    if (qvk__edge_desc(edge, x)->dtype != dtype)
        QVK__TRY(QVK__EDGE_EMIT(edge, QVK__OP_PRIV_TO_COPY, dtype, &x, err, args[0],
                                qvk__arg_from_int(qvk__dtype_code(dtype, QVK__DTYPE_PTE)), none, none, none,
                                qvk__arg_from_bool(false), none));
    return QVK__EDGE_EMIT(edge,
                          node->op == QVK__OP_SOFTMAX_INT ? QVK__OP_PRIV_SOFTMAX : QVK__OP_PRIV_LOG_SOFTMAX,
                          dtype, outs, err, qvk__arg_from_value(x), args[1], qvk__arg_from_bool(false));
}

qvk_status qvk__decompose_layer_norm(qvk__edge *edge, const qvk__node *node, const qvk__arg *args,
                                     int32_t *outs, qvk_error *err)
{
    int32_t results[3];

    (void)node;
    QVK__TRY(qvk__edge_emit(edge, QVK__OP_NATIVE_LAYER_NORM,
                            (const qvk__arg[]){args[0], args[1], args[2], args[3], args[4]}, 5,
                            QVK_DTYPE_NONE, results, 3, err));
    outs[0] = results[0];
    return QVK_OK;
}

qvk_status qvk__decompose_group_norm(qvk__edge *edge, const qvk__node *node, const qvk__arg *args,
                                     int32_t *outs, qvk_error *err)
{
    const qvk_tensor *x = desc_of(edge, &args[0]);
    int64_t n, c, area = 1;
    int32_t results[3];

    (void)node;
    QVK__CHECK(x->rank >= 2 && !qvk__edge_is_dynamic(edge, args[0].u.value), err, QVK_UNSUPPORTED,
               "group_norm: a static shape of rank 2 or more is needed, got %s", qvk__shape_text(x).text);
    n = x->sizes[0];
    c = x->sizes[1];
    for (int i = 2; i < x->rank; i++)
        area *= x->sizes[i];
    QVK__TRY(
        qvk__edge_emit(edge, QVK__OP_NATIVE_GROUP_NORM,
                       (const qvk__arg[]){args[0], args[2], args[3], qvk__arg_from_int(n),
                                          qvk__arg_from_int(c), qvk__arg_from_int(area), args[1], args[4]},
                       8, QVK_DTYPE_NONE, results, 3, err));
    outs[0] = results[0];
    return QVK_OK;
}

qvk_status qvk__decompose_batch_norm(qvk__edge *edge, const qvk__node *node, const qvk__arg *args,
                                     int32_t *outs, qvk_error *err)
{
    bool training;
    int32_t results[3];

    (void)node;
    QVK__TRY(qvk__arg_bool(&args[5], "training", &training, err));
    QVK__CHECK(!training && args[3].kind == QVK__ARG_VALUE, err, QVK_UNSUPPORTED,
               "batch_norm in training mode: export the model after model.eval()");
    QVK__TRY(qvk__edge_emit(edge, QVK__OP_PRIV_NATIVE_BATCH_NORM_LEGIT_NO_TRAINING,
                            (const qvk__arg[]){args[0], args[1], args[2], args[3], args[4], args[6], args[7]},
                            7, QVK_DTYPE_NONE, results, 3, err));
    outs[0] = results[0];
    return QVK_OK;
}

qvk_status qvk__decompose_rms_norm(qvk__edge *edge, const qvk__node *node, const qvk__arg *args,
                                   int32_t *outs, qvk_error *err)
{
    const qvk_tensor *x = desc_of(edge, &args[0]);
    double eps = x->dtype == QVK_DTYPE_F16 ? 0.0009765625 : 1.1920928955078125e-07;
    qvk__arg weight = args[2];

    (void)node;
    QVK__CHECK(args[1].count == 1, err, QVK_UNSUPPORTED, "rms_norm over %u dimensions (1 is supported)",
               args[1].count);
    if (args[3].kind != QVK__ARG_NULL)
        QVK__TRY(qvk__arg_float(&args[3], "eps", &eps, err));
    if (weight.kind == QVK__ARG_NULL) { /* a weight of ones */
        qvk__arg size = args[1];
        qvk_dtype dtype = x->dtype;
        int32_t ones;
        QVK__TRY(QVK__EDGE_EMIT(edge, QVK__OP_FULL, dtype, &ones, err, size, qvk__arg_from_int(1),
                                qvk__arg_from_int(qvk__dtype_code(dtype, QVK__DTYPE_PTE)), none, none, none));
        weight = qvk__arg_from_value(ones);
    }
    return QVK__EDGE_EMIT(edge, QVK__OP_ET_RMS_NORM, QVK_DTYPE_NONE, outs, err, args[0], weight,
                          qvk__arg_from_float(eps));
}

qvk_status qvk__decompose_adaptive_pool(qvk__edge *edge, const qvk__node *node, const qvk__arg *args,
                                        int32_t *outs, qvk_error *err)
{
    static const int64_t last_two[2] = {-1, -2};
    int64_t size[QVK_MAX_RANK];
    int n;

    (void)node;
    QVK__TRY(qvk__arg_ints(&args[1], "output_size", size, QVK_MAX_RANK, &n, err));
    if (n >= 1 && size[0] == 1 && (n == 1 || size[1] == 1))
        return QVK__EDGE_EMIT(edge, QVK__OP_MEAN_DIM, QVK_DTYPE_NONE, outs, err, args[0],
                              qvk__edge_ints(last_two, 2), qvk__arg_from_bool(true), none);
    return QVK__EDGE_EMIT(edge, QVK__OP_PRIV_ADAPTIVE_AVG_POOL2D, QVK_DTYPE_NONE, outs, err, args[0],
                          args[1]);
}

/* A 1-D pool is a 2-D pool over one row. */
qvk_status qvk__decompose_pool1d(qvk__edge *edge, const qvk__node *node, const qvk__arg *args, int32_t *outs,
                                 qvk_error *err)
{
    int64_t kernel[2] = {1, 1}, stride[2] = {1, 1}, padding[2] = {0, 0}, dilation[2] = {1, 1},
            got[QVK_MAX_RANK];
    int rank = desc_of(edge, &args[0])->rank, n;
    int32_t x;

    QVK__TRY(spatial(&args[1], "kernel_size", 1, &kernel[1], err));
    QVK__TRY(qvk__arg_ints(&args[2], "stride", got, QVK_MAX_RANK, &n, err));
    stride[1] = n > 0 ? got[0] : kernel[1];
    QVK__TRY(spatial(&args[3], "padding", 1, &padding[1], err));
    QVK__TRY(unsqueeze(edge, args[0].u.value, rank - 1, &x, err));
    if (node->op == QVK__OP_MAX_POOL1D) {
        QVK__TRY(spatial(&args[4], "dilation", 1, &dilation[1], err));
        QVK__TRY(QVK__EDGE_EMIT(edge, QVK__OP_MAX_POOL2D, QVK_DTYPE_NONE, &x, err, qvk__arg_from_value(x),
                                qvk__edge_ints(kernel, 2), qvk__edge_ints(stride, 2),
                                qvk__edge_ints(padding, 2), qvk__edge_ints(dilation, 2), args[5]));
    } else {
        QVK__TRY(QVK__EDGE_EMIT(edge, QVK__OP_AVG_POOL2D, QVK_DTYPE_NONE, &x, err, qvk__arg_from_value(x),
                                qvk__edge_ints(kernel, 2), qvk__edge_ints(stride, 2),
                                qvk__edge_ints(padding, 2), args[4], args[5], none));
    }
    return squeeze(edge, x, rank - 1, outs, err);
}
