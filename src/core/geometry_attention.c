/* Geometry of matrix products, attention, caches and rotary embeddings. */
#include "core/geometry.h"

#include <math.h>

#include "core/dtype.h"

/*
 * Element strides of `tensor` seen as a tensor of sizes[rank] through PyTorch's broadcasting: 0 where it is
 * repeated. false when it does not broadcast. A last dimension larger than sizes[rank-1] is allowed when
 * `prefix` is set.
 */
static bool broadcast_strides(const qvk_tensor *tensor, const int64_t *sizes, int rank, bool prefix,
                              int64_t *strides)
{
    int64_t own[QVK_MAX_RANK];

    if (tensor->rank > rank)
        return false;
    qvk__strides(tensor, own);
    for (int i = 0; i < rank; i++) {
        const int at = i - (rank - tensor->rank);
        strides[i] = 0;
        if (at < 0 || tensor->sizes[at] == 1)
            continue;
        if (tensor->sizes[at] != sizes[i] && !(prefix && i == rank - 1 && tensor->sizes[at] > sizes[i]))
            return false;
        strides[i] = own[at];
    }
    return true;
}

/* ---- matrix products ------------------------------------------------------------------------------------ */

qvk_status qvk__matmul_of(qvk__op op, const qvk__arg *args, int n_args, qvk__matmul *out, qvk_error *err)
{
    const bool biased = op == QVK__OP_ADDMM || op == QVK__OP_BADDBMM;
    qvk__matmul matmul = {.alpha = 1, .beta = 1, .batch = 1};

    (void)n_args;
    matmul.batched = op == QVK__OP_BMM || op == QVK__OP_BADDBMM;
    QVK__TRY(qvk__arg_tensor(&args[biased], "mat1", &matmul.a, err));
    QVK__TRY(qvk__arg_tensor(&args[biased + 1], "mat2", &matmul.b, err));
    const qvk_tensor *a = matmul.a, *b = matmul.b;
    const int rank = matmul.batched ? 3 : 2;
    QVK__CHECK(a->rank == rank && b->rank == rank && a->sizes[rank - 1] == b->sizes[rank - 2] &&
                   (!matmul.batched || a->sizes[0] == b->sizes[0]),
               err, QVK_SHAPE, "product of %s and %s", qvk__shape_text(a).text, qvk__shape_text(b).text);
    QVK__CHECK(a->dtype == b->dtype, err, QVK_INVALID_ARGUMENT, "product of %s and %s",
               qvk_dtype_name(a->dtype), qvk_dtype_name(b->dtype));
    if (matmul.batched)
        matmul.batch = a->sizes[0];
    matmul.m = a->sizes[rank - 2];
    matmul.k = a->sizes[rank - 1];
    matmul.n = b->sizes[rank - 1];
    if (biased) {
        const int64_t sizes[3] = {matmul.batch, matmul.m, matmul.n};
        QVK__TRY(qvk__arg_tensor(&args[0], "self", &matmul.bias, err));
        QVK__TRY(qvk__arg_float(&args[3], "beta", &matmul.beta, err));
        QVK__TRY(qvk__arg_float(&args[4], "alpha", &matmul.alpha, err));
        QVK__CHECK(broadcast_strides(matmul.bias, sizes, 3, false, matmul.bias_strides), err, QVK_SHAPE,
                   "%s cannot be added to a product of %lld x %lld", qvk__shape_text(matmul.bias).text,
                   (long long)matmul.m, (long long)matmul.n);
    }
    *out = matmul;
    return QVK_OK;
}

/* ---- attention ------------------------------------------------------------------------------------------ */

/* Where an operator keeps its arguments; -1: has none. */
typedef struct attention_places {
    int key, new_key, start, mask, dropout, causal, scale;
} attention_places;

static attention_places attention_places_of(qvk__op op)
{
    switch (op) {
    case QVK__OP_LLAMA_CUSTOM_SDPA: return (attention_places){1, -1, 3, 4, 5, 6, 7};
    case QVK__OP_LLAMA_SDPA_WITH_KV_CACHE: return (attention_places){3, 1, 5, 7, 8, 9, 10};
    default: return (attention_places){1, -1, -1, 3, -1, -1, 4};
    }
}

static qvk_status read_mask(const qvk__arg *arg, qvk__attention *attention, qvk_error *err)
{
    QVK__TRY(qvk__arg_tensor_or_null(arg, "attn_mask", &attention->mask, err));
    if (attention->mask == NULL)
        return QVK_OK;
    const qvk_tensor *mask = attention->mask;
    /* The llama operators attend to all the keys the mask speaks of, not only to those up to start_pos. */
    if (attention->heads_last && mask->rank >= 1 && mask->sizes[mask->rank - 1] > 1)
        attention->keys = QVK__MIN(attention->capacity, mask->sizes[mask->rank - 1]);
    const int64_t sizes[4] = {attention->batch, attention->heads, attention->queries, attention->keys};
    QVK__CHECK(broadcast_strides(mask, sizes, 4, true, attention->mask_strides), err, QVK_SHAPE,
               "attn_mask %s does not fit %lld queries and %lld keys", qvk__shape_text(mask).text,
               (long long)attention->queries, (long long)attention->keys);
    QVK__CHECK(mask->dtype == QVK_DTYPE_BOOL || qvk__dtype_is_float(mask->dtype), err, QVK_UNSUPPORTED,
               "attn_mask of %s", qvk_dtype_name(mask->dtype));
    return QVK_OK;
}

static qvk_status check_attention_shapes(const qvk__attention *attention, qvk_error *err)
{
    const qvk_tensor *q = attention->query, *k = attention->key, *v = attention->value;
    const int seq = attention->heads_last ? 1 : 2, head = attention->heads_last ? 2 : 1;

    QVK__CHECK(k->sizes[0] == q->sizes[0] && v->sizes[0] == q->sizes[0] && k->sizes[3] == q->sizes[3] &&
                   k->sizes[seq] == v->sizes[seq] && k->sizes[head] == v->sizes[head] &&
                   k->sizes[head] >= 1 && q->sizes[head] % k->sizes[head] == 0,
               err, QVK_SHAPE, "attention of queries %s, keys %s, values %s", qvk__shape_text(q).text,
               qvk__shape_text(k).text, qvk__shape_text(v).text);
    if (attention->writes_cache) {
        const qvk_tensor *nk = attention->new_key, *nv = attention->new_value;
        QVK__CHECK(
            nk->rank == 4 && nv->rank == 4 && nk->sizes[1] == q->sizes[1] && nv->sizes[1] == q->sizes[1] &&
                nk->sizes[0] == k->sizes[0] && nk->sizes[2] == k->sizes[2] && nk->sizes[3] == k->sizes[3] &&
                nv->sizes[0] == v->sizes[0] && nv->sizes[2] == v->sizes[2] && nv->sizes[3] == v->sizes[3],
            err, QVK_SHAPE, "keys %s and values %s do not fit caches %s and %s", qvk__shape_text(nk).text,
            qvk__shape_text(nv).text, qvk__shape_text(k).text, qvk__shape_text(v).text);
    }
    return QVK_OK;
}

qvk_status qvk__attention_of(qvk__op op, const qvk__arg *args, int n_args, qvk__attention *out,
                             qvk_error *err)
{
    const attention_places at = attention_places_of(op);
    qvk__attention attention = {.heads_last = op != QVK__OP_ET_SDPA, .writes_cache = at.new_key >= 0};
    const int seq = attention.heads_last ? 1 : 2, head = attention.heads_last ? 2 : 1;
    double dropout = 0;

    (void)n_args;
    QVK__TRY(qvk__arg_tensor(&args[0], "query", &attention.query, err));
    QVK__TRY(qvk__arg_tensor(&args[at.key], "key", &attention.key, err));
    QVK__TRY(qvk__arg_tensor(&args[at.key + 1], "value", &attention.value, err));
    if (attention.writes_cache) {
        QVK__TRY(qvk__arg_tensor(&args[at.new_key], "key", &attention.new_key, err));
        QVK__TRY(qvk__arg_tensor(&args[at.new_key + 1], "value", &attention.new_value, err));
    }
    const qvk_tensor *q = attention.query, *k = attention.key, *v = attention.value;
    QVK__CHECK(q->rank == 4 && k->rank == 4 && v->rank == 4, err, QVK_SHAPE,
               "attention of %s: wanted 4 dimensions", qvk__shape_text(q).text);
    QVK__TRY(check_attention_shapes(&attention, err));
    attention.batch = q->sizes[0];
    attention.queries = q->sizes[seq];
    attention.heads = q->sizes[head];
    attention.kv_heads = k->sizes[head];
    attention.head_dim = q->sizes[3];
    attention.value_dim = v->sizes[3];
    attention.capacity = attention.keys = k->sizes[seq];
    if (at.start >= 0) {
        QVK__TRY(qvk__arg_int(&args[at.start], "start_pos", &attention.first_key, err));
        QVK__CHECK(attention.first_key >= 0 && attention.first_key <= attention.capacity - attention.queries,
                   err, QVK_SHAPE, "start_pos %lld and %lld new positions do not fit a cache of %lld",
                   (long long)attention.first_key, (long long)attention.queries,
                   (long long)attention.capacity);
        attention.keys = attention.first_key + attention.queries;
        QVK__TRY(qvk__arg_float(&args[at.dropout], "dropout_p", &dropout, err));
        QVK__CHECK(dropout == 0, err, QVK_UNSUPPORTED, "attention with dropout %g", dropout);
        QVK__TRY(qvk__arg_bool(&args[at.causal], "is_causal", &attention.causal, err));
    }
    QVK__TRY(read_mask(&args[at.mask], &attention, err));
    attention.scale = 1.0 / sqrt((double)attention.head_dim);
    if (!qvk__arg_is_null(&args[at.scale]))
        QVK__TRY(qvk__arg_float(&args[at.scale], "scale", &attention.scale, err));
    *out = attention;
    return QVK_OK;
}

qvk_status qvk__cache_update_of(const qvk_tensor *value, const qvk_tensor *cache, int64_t position,
                                qvk__cache_update *out, qvk_error *err)
{
    bool fits = value->rank == cache->rank && value->rank >= 2 && value->sizes[0] == cache->sizes[0] &&
                value->dtype == cache->dtype;
    qvk__cache_update update = {.position = position, .row = 1};

    for (int i = 2; fits && i < value->rank; i++) {
        fits = value->sizes[i] == cache->sizes[i];
        update.row *= value->sizes[i];
    }
    QVK__CHECK(fits, err, QVK_SHAPE, "%s does not fit a cache of %s", qvk__shape_text(value).text,
               qvk__shape_text(cache).text);
    update.batch = value->sizes[0];
    update.length = value->sizes[1];
    update.capacity = cache->sizes[1];
    QVK__CHECK(position >= 0 && position <= update.capacity - update.length, err, QVK_SHAPE,
               "start_pos %lld and %lld new positions do not fit a cache of %lld", (long long)position,
               (long long)update.length, (long long)update.capacity);
    *out = update;
    return QVK_OK;
}

/* ---- rotary embeddings ---------------------------------------------------------------------------------- */

qvk_status qvk__rotary_of(qvk__op op, const qvk__arg *args, int n_args, qvk__rotary *out, qvk_error *err)
{
    qvk__rotary rotary = {.halves = op == QVK__OP_ET_APPLY_ROTARY_EMB_HF};
    const qvk_tensor *q, *k, *cosines, *sines;

    (void)n_args;
    QVK__TRY(qvk__arg_tensor(&args[0], "xq", &q, err));
    QVK__TRY(qvk__arg_tensor(&args[1], "xk", &k, err));
    QVK__TRY(qvk__arg_tensor(&args[2], "freqs_cos", &cosines, err));
    QVK__TRY(qvk__arg_tensor(&args[3], "freqs_sin", &sines, err));
    if (rotary.halves)
        QVK__TRY(qvk__arg_int(&args[4], "start_pos", &rotary.position, err));
    QVK__CHECK(q->rank == 4 && k->rank == 4 && q->sizes[0] == k->sizes[0] && q->sizes[1] == k->sizes[1] &&
                   q->sizes[3] == k->sizes[3],
               err, QVK_SHAPE, "rotary embedding of %s and %s", qvk__shape_text(q).text,
               qvk__shape_text(k).text);
    rotary.batch = q->sizes[0];
    rotary.length = q->sizes[1];
    rotary.heads = q->sizes[2];
    rotary.kv_heads = k->sizes[2];
    rotary.head_dim = q->sizes[3];
    bool fits = cosines->rank == 2 && qvk__shape_equal(cosines, sines);
    if (fits) {
        rotary.rotated = cosines->sizes[1] * (rotary.halves ? 1 : 2);
        fits = rotary.halves ? rotary.rotated <= rotary.head_dim && rotary.rotated % 2 == 0
                             : rotary.rotated == rotary.head_dim;
        fits = fits && rotary.position >= 0 && rotary.position <= cosines->sizes[0] - rotary.length;
    }
    QVK__CHECK(fits, err, QVK_SHAPE, "rotary tables %s and %s do not fit %s at position %lld",
               qvk__shape_text(cosines).text, qvk__shape_text(sines).text, qvk__shape_text(q).text,
               (long long)rotary.position);
    *out = rotary;
    return QVK_OK;
}
