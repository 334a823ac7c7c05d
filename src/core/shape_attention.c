/* Shape rules of what transformers need beyond products: attention, caches, rotary embeddings, look-up. */
#include "core/dtype.h"
#include "core/geometry.h"
#include "core/shape.h"

qvk_status qvk__shape_sdpa(qvk__op op, const qvk__arg *args, int n_args, qvk_tensor *outs, int n_outs,
                           qvk_error *err)
{
    qvk__attention attention;

    (void)n_outs;
    QVK__TRY(qvk__attention_of(op, args, n_args, &attention, err));
    outs[0] = *attention.query;
    outs[0].data = NULL;
    outs[0].sizes[3] = attention.value_dim;
    return QVK_OK;
}

/* The operator's effect is in the cache; the tensor it returns is one element that nobody reads. */
qvk_status qvk__shape_update_cache(qvk__op op, const qvk__arg *args, int n_args, qvk_tensor *outs, int n_outs,
                                   qvk_error *err)
{
    const qvk_tensor *value, *cache;
    qvk__cache_update update;
    int64_t position;

    (void)op;
    (void)n_args;
    (void)n_outs;
    QVK__TRY(qvk__arg_tensor(&args[0], "value", &value, err));
    QVK__TRY(qvk__arg_tensor(&args[1], "cache", &cache, err));
    QVK__TRY(qvk__arg_int(&args[2], "start_pos", &position, err));
    QVK__TRY(qvk__cache_update_of(value, cache, position, &update, err));
    outs[0] = (qvk_tensor){.dtype = value->dtype, .rank = 1, .sizes = {1}};
    return QVK_OK;
}

qvk_status qvk__shape_rotary(qvk__op op, const qvk__arg *args, int n_args, qvk_tensor *outs, int n_outs,
                             qvk_error *err)
{
    qvk__rotary rotary;

    QVK__TRY(qvk__rotary_of(op, args, n_args, &rotary, err));
    for (int i = 0; i < n_outs; i++) {
        outs[i] = *args[i].u.tensor;
        outs[i].data = NULL;
    }
    return QVK_OK;
}

qvk_status qvk__shape_embedding(qvk__op op, const qvk__arg *args, int n_args, qvk_tensor *outs, int n_outs,
                                qvk_error *err)
{
    const qvk_tensor *weight, *indices;

    (void)op;
    (void)n_args;
    (void)n_outs;
    QVK__TRY(qvk__arg_tensor(&args[0], "weight", &weight, err));
    QVK__TRY(qvk__arg_tensor(&args[1], "indices", &indices, err));
    QVK__CHECK(weight->rank == 2 && indices->rank < QVK_MAX_RANK, err, QVK_SHAPE,
               "look-up of %s in a table of %s", qvk__shape_text(indices).text, qvk__shape_text(weight).text);
    outs[0] = *indices;
    outs[0].data = NULL;
    outs[0].dtype = weight->dtype;
    outs[0].sizes[outs[0].rank++] = weight->sizes[1];
    return QVK_OK;
}
