/* Reference of the 4-bit embeddings: rows of nibbles (plus 8), scaled per group. */
#include "core/dtype.h"
#include "reference/functions.h"

typedef struct table {
    const qvk_tensor *weight, *scales, *zero_points; /* zero_points NULL: none */
    const qvk_tensor *indices;
    int64_t width, group_size, n_groups;
    bool low_even; /* even columns are in the low nibble */
} table;

static qvk_status read_table(qvk__op op, const qvk__arg *args, table *out, qvk_error *err)
{
    bool is_et = op == QVK__OP_ET_EMBEDDING_Q4GSW;

    *out = (table){0};
    QVK__TRY(qvk__arg_tensor(&args[0], "weight", &out->weight, err));
    QVK__TRY(qvk__arg_tensor(&args[1], "weight_scales", &out->scales, err));
    QVK__TRY(qvk__arg_tensor(&args[is_et ? 3 : 5], "indices", &out->indices, err));
    if (!is_et)
        QVK__TRY(qvk__arg_tensor_or_null(&args[2], "weight_zero_points", &out->zero_points, err));
    out->width = out->weight->sizes[1] * 2;
    out->n_groups = out->scales->rank == 2 ? out->scales->sizes[1] : 1;
    if (is_et) {
        QVK__TRY(qvk__arg_int(&args[2], "group_size", &out->group_size, err));
        QVK__TRY(qvk__arg_bool(&args[4], "is_linear_weight", &out->low_even, err));
    } else {
        out->group_size = out->n_groups ? out->width / out->n_groups : 0;
    }
    QVK__CHECK(out->width == 0 ||
                   (out->group_size >= 1 && (out->width - 1) / out->group_size < out->n_groups),
               err, QVK_SHAPE, "%s: weight_scales %s for a width of %lld", qvk__op_name(op),
               qvk__shape_text(out->scales).text, (long long)out->width);
    QVK__CHECK(out->scales->sizes[0] >= out->weight->sizes[0], err, QVK_SHAPE,
               "%s: weight_scales %s for %lld rows", qvk__op_name(op), qvk__shape_text(out->scales).text,
               (long long)out->weight->sizes[0]);
    return QVK_OK;
}

qvk_status qvk__reference_embedding_q4(qvk__op op, const qvk__arg *args, int n_args, qvk_tensor *outs,
                                       int n_outs, qvk_error *err)
{
    table t;

    (void)n_args, (void)n_outs;
    QVK__TRY(read_table(op, args, &t, err));
    for (int64_t i = 0, n = qvk_tensor_numel(t.indices); i < n; i++) {
        int64_t row = qvk__reference_get_int(t.indices, i);
        QVK__CHECK(row >= 0 && row < t.weight->sizes[0], err, QVK_INVALID_ARGUMENT,
                   "%s: index %lld of %lld rows", qvk__op_name(op), (long long)row,
                   (long long)t.weight->sizes[0]);
        const uint8_t *bytes = (const uint8_t *)t.weight->data + row * t.weight->sizes[1];
        for (int64_t d = 0; d < t.width; d++) {
            int64_t block = row * t.n_groups + d / t.group_size;
            int low = bytes[d / 2] & 15, high = bytes[d / 2] >> 4;
            int nibble = (d % 2 == 0) == t.low_even ? low : high;
            double zero_point = t.zero_points ? qvk__reference_get(t.zero_points, block) : 0.0;
            float steps = (float)((double)(nibble - 8) - zero_point);
            qvk__reference_set(&outs[0], i * t.width + d,
                               (double)(steps * (float)qvk__reference_get(t.scales, block)));
        }
    }
    return QVK_OK;
}
