/* Attention: exported form -> one operator, or the products it consists of where that operator is not to be
 * had. */
#include <math.h>

#include "core/dtype.h"
#include "lower/decompose.h"

static const qvk_tensor *desc_of(const qvk__edge *edge, const qvk__arg *arg)
{
    return qvk__edge_desc(edge, arg->u.value);
}

/* Lower-triangular mask of a causal attention: 0 where allowed, -inf elsewhere (torch: top-left aligned). */
static qvk_status causal_mask(qvk__edge *edge, int32_t query, int32_t key, qvk__arg *out, qvk_error *err)
{
    const qvk_tensor *q = qvk__edge_desc(edge, query), *k = qvk__edge_desc(edge, key);
    int64_t rows = q->sizes[q->rank - 2], columns = k->sizes[k->rank - 2];
    qvk_tensor mask = {QVK_DTYPE_F32, 2, {rows, columns}, NULL};
    float *data;
    int32_t value;

    QVK__CHECK(!qvk__edge_is_dynamic(edge, query) && !qvk__edge_is_dynamic(edge, key), err, QVK_UNSUPPORTED,
               "causal attention over a dynamic length");
    QVK__CHECK(q->dtype == QVK_DTYPE_F32, err, QVK_UNSUPPORTED, "causal attention in %s",
               qvk_dtype_name(q->dtype));
    data = qvk__arena_alloc(&edge->graph.arena, (uint64_t)(rows * columns), sizeof *data);
    QVK__CHECK(data, err, QVK_OUT_OF_MEMORY, "out of memory");
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < columns; j++)
            data[i * columns + j] = j <= i ? 0.0f : -INFINITY;
    mask.data = data;
    QVK__TRY(qvk__edge_constant(edge, &mask, &value, err));
    *out = qvk__arg_from_value(value);
    return QVK_OK;
}

/* A boolean mask (true: attend) as an additive one. */
static qvk_status additive_mask(qvk__edge *edge, qvk__arg *mask, qvk_dtype dtype, qvk_error *err)
{
    int32_t zero, blocked, out;

    if (mask->kind == QVK__ARG_NULL || desc_of(edge, mask)->dtype != QVK_DTYPE_BOOL)
        return QVK_OK;
    QVK__TRY(qvk__edge_scalar(edge, 0.0, dtype, &zero, err));
    QVK__TRY(qvk__edge_scalar(edge, -INFINITY, dtype, &blocked, err));
    QVK__TRY(QVK__EDGE_EMIT(edge, QVK__OP_WHERE_SELF, dtype, &out, err, *mask, qvk__arg_from_value(zero),
                            qvk__arg_from_value(blocked)));
    *mask = qvk__arg_from_value(out);
    return QVK_OK;
}

static qvk_status transpose_last(qvk__edge *edge, int32_t x, int32_t *out, qvk_error *err)
{
    int rank = qvk__edge_desc(edge, x)->rank;
    int64_t dims[QVK_MAX_RANK];

    for (int i = 0; i < rank; i++)
        dims[i] = i;
    dims[rank - 2] = rank - 1;
    dims[rank - 1] = rank - 2;
    return QVK__EDGE_EMIT(edge, QVK__OP_PERMUTE_COPY, QVK_DTYPE_NONE, out, err, qvk__arg_from_value(x),
                          qvk__edge_ints(dims, rank));
}

/* softmax(q k^T * scale + mask) v, from products that every runtime has. */
static qvk_status attention_by_products(qvk__edge *edge, const qvk__arg *qkv, const qvk__arg *mask,
                                        double scale, int32_t *out, qvk_error *err)
{
    qvk_dtype dtype = desc_of(edge, &qkv[0])->dtype;
    int32_t factor, scaled, key, scores;

    QVK__TRY(qvk__edge_scalar(edge, scale, dtype, &factor, err));
    QVK__TRY(QVK__EDGE_EMIT(edge, QVK__OP_MUL_TENSOR, QVK_DTYPE_NONE, &scaled, err, qkv[0],
                            qvk__arg_from_value(factor)));
    QVK__TRY(transpose_last(edge, qkv[1].u.value, &key, err));
    QVK__TRY(qvk__edge_product(edge, scaled, key, &scores, err));
    if (mask->kind != QVK__ARG_NULL)
        QVK__TRY(QVK__EDGE_EMIT(edge, QVK__OP_ADD_TENSOR, QVK_DTYPE_NONE, &scores, err,
                                qvk__arg_from_value(scores), *mask, qvk__arg_from_int(1)));
    QVK__TRY(QVK__EDGE_EMIT(edge, QVK__OP_PRIV_SOFTMAX, dtype, &scores, err, qvk__arg_from_value(scores),
                            qvk__arg_from_int(-1), qvk__arg_from_bool(false)));
    return qvk__edge_product(edge, scores, qkv[2].u.value, out, err);
}

qvk_status qvk__decompose_attention(qvk__edge *edge, const qvk__node *node, const qvk__arg *args,
                                    int32_t *outs, qvk_error *err)
{
    const qvk_tensor *q = desc_of(edge, &args[0]);
    qvk__arg mask = args[3];
    double dropout, scale;
    bool causal;

    (void)node;
    QVK__TRY(qvk__arg_float(&args[4], "dropout_p", &dropout, err));
    QVK__TRY(qvk__arg_bool(&args[5], "is_causal", &causal, err));
    QVK__CHECK(dropout == 0.0, err, QVK_UNSUPPORTED,
               "attention with dropout: export the model after model.eval()");
    QVK__CHECK(q->rank >= 2, err, QVK_SHAPE, "attention: query %s", qvk__shape_text(q).text);
    scale = 1.0 / sqrt((double)q->sizes[q->rank - 1]);
    if (args[6].kind != QVK__ARG_NULL)
        QVK__TRY(qvk__arg_float(&args[6], "scale", &scale, err));
    if (causal)
        QVK__TRY(causal_mask(edge, args[0].u.value, args[1].u.value, &mask, err));
    QVK__TRY(additive_mask(edge, &mask, desc_of(edge, &args[0])->dtype, err));
    if (!edge->params->compat_executorch && desc_of(edge, &args[0])->rank == 4)
        return QVK__EDGE_EMIT(edge, QVK__OP_ET_SDPA, QVK_DTYPE_NONE, outs, err, args[0], args[1], args[2],
                              mask, qvk__arg_from_float(scale));
    return attention_by_products(edge, args, &mask, scale, outs, err);
}
