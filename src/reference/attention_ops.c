/* Attention, key/value caches, rotary embeddings. */
#include <math.h>

#include "core/dtype.h"
#include "core/geometry.h"
#include "reference/array.h"
#include "reference/functions.h"

/* ---- attention ------------------------------------------------------------------------------------------ */

/* First element of a head's vector in a tensor of [B, S, H, D] or [B, H, S, D]. */
static int64_t vector_at(const qvk_tensor *tensor, bool heads_last, int64_t batch, int64_t position,
                         int64_t head)
{
    const int64_t *sizes = tensor->sizes;
    const int64_t row = heads_last ? position * sizes[2] + head : head * sizes[2] + position;

    return (batch * sizes[1] * sizes[2] + row) * sizes[3];
}

/* What the mask adds to a score: -inf where a boolean mask says no. */
static double mask_at(const qvk__attention *attention, const int64_t place[4])
{
    int64_t index = 0;

    if (!attention->mask)
        return 0;
    for (int i = 0; i < 4; i++)
        index += place[i] * attention->mask_strides[i];
    if (attention->mask->dtype == QVK_DTYPE_BOOL)
        return qvk__reference_get_int(attention->mask, index) ? 0 : -INFINITY;
    return qvk__reference_get(attention->mask, index);
}

/*
 * One query vector against all keys, in float64. A query that may attend to nothing gets zeros (torch's
 * _safe_softmax), not NaN. `scores` has room for all keys.
 */
static void attend(const qvk__attention *attention, const double *q, const double *k, const double *v,
                   int64_t b, int64_t i, int64_t h, double *scores, double *result)
{
    const int64_t kv_head = h / (attention->heads / attention->kv_heads);
    const int64_t keys =
        attention->causal ? QVK__MIN(attention->keys, attention->first_key + i + 1) : attention->keys;
    const double *query = q + vector_at(attention->query, attention->heads_last, b, i, h);
    double top = -INFINITY, sum = 0;

    for (int64_t j = 0; j < keys; j++) {
        const double *key = k + vector_at(attention->key, attention->heads_last, b, j, kv_head);
        double dot = 0;
        for (int64_t d = 0; d < attention->head_dim; d++)
            dot += query[d] * key[d];
        scores[j] = dot * attention->scale + mask_at(attention, (const int64_t[]){b, h, i, j});
        if (scores[j] > top || isnan(scores[j]))
            top = scores[j];
    }
    for (int64_t d = 0; d < attention->value_dim; d++)
        result[d] = 0;
    if (top == -INFINITY)
        return;
    for (int64_t j = 0; j < keys; j++) {
        const double weight = exp(scores[j] - top);
        const double *value = v + vector_at(attention->value, attention->heads_last, b, j, kv_head);
        sum += weight;
        for (int64_t d = 0; d < attention->value_dim; d++)
            result[d] += weight * value[d];
    }
    for (int64_t d = 0; d < attention->value_dim; d++)
        result[d] /= sum;
}

static void copy_into_cache(const qvk_tensor *value, const qvk_tensor *cache, const qvk__cache_update *update)
{
    const size_t row = (size_t)update->row * qvk_dtype_bytes(value->dtype);

    for (int64_t b = 0; b < update->batch; b++) {
        const size_t to = (size_t)(b * update->capacity + update->position) * row;
        memcpy((char *)cache->data + to, (const char *)value->data + (size_t)(b * update->length) * row,
               (size_t)update->length * row);
    }
}

/* Writes key and value into their caches first where the operator does. */
static qvk_status write_caches(const qvk__attention *attention, qvk_error *err)
{
    qvk__cache_update keys, values;

    if (!attention->writes_cache)
        return QVK_OK;
    QVK__TRY(qvk__cache_update_of(attention->new_key, attention->key, attention->first_key, &keys, err));
    QVK__TRY(
        qvk__cache_update_of(attention->new_value, attention->value, attention->first_key, &values, err));
    copy_into_cache(attention->new_key, attention->key, &keys);
    copy_into_cache(attention->new_value, attention->value, &values);
    return QVK_OK;
}

qvk_status qvk__reference_sdpa(qvk__op op, const qvk__arg *args, int n_args, qvk_tensor *outs, int n_outs,
                               qvk_error *err)
{
    double *q = NULL, *k = NULL, *v = NULL, *scores = NULL, *result = NULL;
    qvk_status status = QVK_OK;
    qvk__attention attention;

    (void)n_outs;
    QVK__TRY(qvk__attention_of(op, args, n_args, &attention, err));
    QVK__TRY(write_caches(&attention, err));
    QVK__TRY_GO(qvk__array_load(attention.query, &q, err));
    QVK__TRY_GO(qvk__array_load(attention.key, &k, err));
    QVK__TRY_GO(qvk__array_load(attention.value, &v, err));
    QVK__TRY_GO(qvk__array_new(attention.keys, &scores, err));
    QVK__TRY_GO(qvk__array_new(attention.value_dim, &result, err));
    for (int64_t b = 0; b < attention.batch; b++)
        for (int64_t i = 0; i < attention.queries; i++)
            for (int64_t h = 0; h < attention.heads; h++) {
                attend(&attention, q, k, v, b, i, h, scores, result);
                qvk__array_write(&outs[0], vector_at(&outs[0], attention.heads_last, b, i, h),
                                 attention.value_dim, result);
            }
done:
    free(q);
    free(k);
    free(v);
    free(scores);
    free(result);
    return status;
}

qvk_status qvk__reference_update_cache(qvk__op op, const qvk__arg *args, int n_args, qvk_tensor *outs,
                                       int n_outs, qvk_error *err)
{
    const qvk_tensor *value = args[0].u.tensor, *cache = args[1].u.tensor;
    qvk__cache_update update;
    int64_t position;

    (void)op;
    (void)n_args;
    QVK__TRY(qvk__arg_int(&args[2], "start_pos", &position, err));
    QVK__TRY(qvk__cache_update_of(value, cache, position, &update, err));
    copy_into_cache(value, cache, &update);
    if (n_outs > 0 && outs[0].data)
        memset(outs[0].data, 0, qvk_tensor_bytes(&outs[0]));
    return QVK_OK;
}

/* ---- rotary embeddings ---------------------------------------------------------------------------------- */

/* One head's vector at `row` of the tables. */
static void rotate(const qvk__rotary *rotary, const double *x, const double *cosines, const double *sines,
                   int64_t row, double *out)
{
    const int64_t pairs = rotary->rotated / 2;

    for (int64_t i = 0; i < pairs; i++) {
        const int64_t a = rotary->halves ? i : 2 * i, b = rotary->halves ? i + pairs : 2 * i + 1;
        /* The hf tables have an entry for each element, the others one for each pair. */
        const int64_t at_a = row * (rotary->halves ? rotary->rotated : pairs) + i;
        const int64_t at_b = rotary->halves ? at_a + pairs : at_a;
        out[a] = x[a] * cosines[at_a] - x[b] * sines[at_a];
        out[b] = x[b] * cosines[at_b] + x[a] * sines[at_b];
    }
    for (int64_t i = rotary->rotated; i < rotary->head_dim; i++)
        out[i] = x[i];
}

qvk_status qvk__reference_rotary(qvk__op op, const qvk__arg *args, int n_args, qvk_tensor *outs, int n_outs,
                                 qvk_error *err)
{
    double *cosines = NULL, *sines = NULL, *vector = NULL;
    qvk_status status = QVK_OK;
    qvk__rotary rotary;

    QVK__TRY(qvk__rotary_of(op, args, n_args, &rotary, err));
    QVK__TRY_GO(qvk__array_load(args[2].u.tensor, &cosines, err));
    QVK__TRY_GO(qvk__array_load(args[3].u.tensor, &sines, err));
    QVK__TRY_GO(qvk__array_new(2 * rotary.head_dim, &vector, err));
    for (int t = 0; t < n_outs; t++) {
        const int64_t heads = t == 0 ? rotary.heads : rotary.kv_heads;
        double *turned = vector + rotary.head_dim;
        for (int64_t i = 0; i < rotary.batch * rotary.length * heads; i++) {
            const int64_t position = i / heads % rotary.length;
            qvk__array_read(args[t].u.tensor, i * rotary.head_dim, rotary.head_dim, vector);
            rotate(&rotary, vector, cosines, sines, rotary.position + position, turned);
            qvk__array_write(&outs[t], i * rotary.head_dim, rotary.head_dim, turned);
        }
    }
done:
    free(cosines);
    free(sines);
    free(vector);
    return status;
}

/* x [B, N, C]; the table holds N*C numbers, (cos, sin) pairs. */
qvk_status qvk__reference_rotary_interleaved(qvk__op op, const qvk__arg *args, int n_args, qvk_tensor *outs,
                                             int n_outs, qvk_error *err)
{
    const qvk_tensor *x = args[0].u.tensor, *table = args[1].u.tensor;
    const int64_t period = qvk_tensor_numel(table);

    (void)op;
    (void)n_args;
    (void)n_outs;
    QVK__CHECK(x->rank == 3 && x->sizes[2] % 2 == 0 && period == x->sizes[1] * x->sizes[2], err, QVK_SHAPE,
               "rotary table %s does not fit %s", qvk__shape_text(table).text, qvk__shape_text(x).text);
    for (int64_t i = 0; i < qvk_tensor_numel(x); i += 2) {
        const double real = qvk__reference_get(x, i), imaginary = qvk__reference_get(x, i + 1);
        const double cosine = qvk__reference_get(table, i % period),
                     sine = qvk__reference_get(table, i % period + 1);
        qvk__reference_set(&outs[0], i, real * cosine - imaginary * sine);
        qvk__reference_set(&outs[0], i + 1, real * sine + imaginary * cosine);
    }
    return QVK_OK;
}

/* ---- look-up -------------------------------------------------------------------------------------------- */

qvk_status qvk__reference_embedding(qvk__op op, const qvk__arg *args, int n_args, qvk_tensor *outs,
                                    int n_outs, qvk_error *err)
{
    const qvk_tensor *weight = args[0].u.tensor, *indices = args[1].u.tensor;
    const size_t row = (size_t)weight->sizes[1] * qvk_dtype_bytes(weight->dtype);

    (void)op;
    (void)n_args;
    (void)n_outs;
    for (int64_t i = 0; i < qvk_tensor_numel(indices); i++) {
        const int64_t index = qvk__reference_get_int(indices, i);
        QVK__CHECK(index >= 0 && index < weight->sizes[0], err, QVK_INVALID_ARGUMENT,
                   "index %lld is outside an embedding of %lld rows", (long long)index,
                   (long long)weight->sizes[0]);
        if (row > 0)
            memcpy((char *)outs[0].data + (size_t)i * row, (const char *)weight->data + (size_t)index * row,
                   row);
    }
    return QVK_OK;
}
