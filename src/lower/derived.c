#include "lower/derived.h"

#include "core/dtype.h"

enum { SOURCE_BYTES = 1 << 17 }; /* of integers that are unpacked at a time */

typedef struct derived {
    qvk__weight weight;
    const qvk__constant *source;
    qvk_dtype dtype; /* of the source */
    const char *name;
    int64_t width;   /* padded row width of the result */
    bool transposed; /* scales; convolution weights */
    int64_t groups;  /* convolution */
    /* Instead of a fill of the whole; rows are `width` bytes. */
    qvk_status (*fill_rows)(const qvk__constant *constant, uint64_t begin, uint64_t end, void *dst,
                            qvk_error *err);
} derived;

typedef qvk_status (*fill_fn)(const qvk__constant *constant, void *dst, qvk_error *err);

/* A constant value of shape `desc` that `fill` makes from `source`. */
static qvk_status derive(qvk__edge *edge, const derived *how, int32_t source, const qvk_tensor *desc,
                         fill_fn fill, int32_t *out, qvk_error *err)
{
    const qvk__value *from = &edge->graph.values.data[source];
    derived *context = qvk__arena_alloc(&edge->graph.arena, 1, sizeof *context);
    qvk__constant *constant = qvk__arena_alloc(&edge->graph.arena, 1, sizeof *constant);

    QVK__CHECK(context && constant, err, QVK_OUT_OF_MEMORY, "out of memory");
    *context = *how;
    context->source = from->constant;
    context->dtype = from->desc.dtype;
    context->name = from->name;
    *constant = (qvk__constant){.bytes = qvk_tensor_bytes(desc),
                                .name = from->name,
                                .fill = fill,
                                .fill_rows = how->fill_rows,
                                .row_bytes = how->fill_rows ? (uint64_t)how->width : 0,
                                .fill_context = context};
    return qvk__edge_constant_value(edge, NULL, desc, constant, out, err);
}

/* Element (row, column) of a weight whose channel axis may be 1: index into the source. */
static int64_t source_index(const qvk__weight *w, int64_t row, int64_t column)
{
    int64_t inner;

    if (w->axis == 0)
        return row * w->columns + column;
    inner = 1; /* axis 1: [A, rows, rest...]; columns run over (A, rest) */
    for (int i = 2; i < w->rank; i++)
        inner *= w->sizes[i];
    return (column / inner * w->rows + row) * inner + column % inner;
}

/* Two integers of a row in a byte, the first low, 8 added to each; zeros behind the row. */
static void pack_row4(const int8_t *restrict q, int64_t columns, int64_t width, uint8_t *restrict out)
{
    const int64_t pairs = columns / 2;

    for (int64_t j = 0; j < pairs; j++)
        out[j] = (uint8_t)((q[2 * j + 1] + 8) << 4 | (q[2 * j] + 8));
    memset(out + pairs, 0x88, (size_t)(width - pairs));
    if (columns % 2)
        out[pairs] = (uint8_t)(0x80 | (q[columns - 1] + 8));
}

static void pack_rows4(const derived *d, const int8_t *q, uint64_t n, uint8_t *out)
{
    for (uint64_t i = 0; i < n; i++, q += d->weight.columns, out += d->width)
        pack_row4(q, d->weight.columns, d->width, out);
}

static qvk_status fill_packed4(const qvk__constant *constant, void *dst, qvk_error *err)
{
    const derived *d = constant->fill_context;
    const void *bytes;

    QVK__TRY(qvk__constant_bytes(d->source, &bytes, err));
    pack_rows4(d, bytes, (uint64_t)d->weight.rows, dst);
    qvk__constant_release(d->source, bytes);
    return QVK_OK;
}

static qvk_status fill_packed4_rows(const qvk__constant *constant, uint64_t begin, uint64_t end, void *dst,
                                    qvk_error *err)
{
    const derived *d = constant->fill_context;
    const uint64_t columns = (uint64_t)d->weight.columns;
    const uint64_t some = QVK__MAX(SOURCE_BYTES / columns, (uint64_t)1);
    uint8_t *buffer = malloc((size_t)(some * columns)), *out = dst;
    qvk_status status = QVK_OK;

    QVK__CHECK(buffer, err, QVK_OUT_OF_MEMORY, "%s: out of memory", d->name);
    for (uint64_t row = begin, n; row < end; row += n, out += n * (uint64_t)d->width) {
        const void *q;
        n = QVK__MIN(some, end - row);
        QVK__TRY_GO(qvk__constant_rows(d->source, columns, row, row + n, buffer, &q, err));
        pack_rows4(d, q, n, out);
    }
done:
    free(buffer);
    return status;
}

qvk_status qvk__derive_packed4(qvk__edge *edge, const qvk__weight *weight, int32_t *out, qvk_error *err)
{
    derived how = {.weight = *weight, .width = (int64_t)qvk__round_up((uint64_t)weight->columns, 8) / 2};
    qvk_tensor desc = {QVK_DTYPE_U8, 2, {weight->rows, how.width}, NULL};

    /* By rows where the integers come by rows, so that no more than a few are unpacked at a time. */
    if (!qvk__constant_has_rows(edge->graph.values.data[weight->integers].constant,
                                (uint64_t)weight->columns))
        return derive(edge, &how, weight->integers, &desc, fill_packed4, out, err);
    how.fill_rows = fill_packed4_rows;
    return derive(edge, &how, weight->integers, &desc, NULL, out, err);
}

/* Scales come as [N, G] or [N]; float64 is narrowed. */
static qvk_status fill_scales(const qvk__constant *constant, void *dst, qvk_error *err)
{
    const derived *d = constant->fill_context;
    const void *bytes;
    size_t item = d->dtype == QVK_DTYPE_F64 ? 4 : qvk_dtype_bytes(d->dtype);
    uint8_t *out = dst;

    QVK__TRY(qvk__constant_bytes(d->source, &bytes, err));
    memset(dst, 0, constant->bytes);
    for (int64_t n = 0; n < d->weight.rows; n++) {
        for (int64_t g = 0; g < d->weight.groups; g++) {
            int64_t from = n * d->weight.groups + g, to = d->transposed ? g * d->width + n : from;
            if (d->dtype == QVK_DTYPE_F64) {
                float narrow = (float)((const double *)bytes)[from];
                memcpy(out + (size_t)to * 4, &narrow, 4);
            } else {
                memcpy(out + (size_t)to * item, (const uint8_t *)bytes + (size_t)from * item, item);
            }
        }
    }
    qvk__constant_release(d->source, bytes);
    return QVK_OK;
}

static qvk_dtype scale_dtype(const qvk__edge *edge, const qvk__weight *weight)
{
    qvk_dtype dtype = edge->graph.values.data[weight->scales].desc.dtype;
    return dtype == QVK_DTYPE_F64 ? QVK_DTYPE_F32 : dtype;
}

qvk_status qvk__derive_scales(qvk__edge *edge, const qvk__weight *weight, bool transposed, int32_t *out,
                              qvk_error *err)
{
    derived how = {.weight = *weight,
                   .transposed = transposed,
                   .width = (int64_t)qvk__round_up((uint64_t)weight->rows, 4)};
    qvk_tensor desc = {scale_dtype(edge, weight), 2, {weight->groups, how.width}, NULL};

    if (!transposed) {
        desc.sizes[0] = weight->rows;
        desc.sizes[1] = weight->groups;
    }
    return derive(edge, &how, weight->scales, &desc, fill_scales, out, err);
}

qvk_status qvk__derive_channel_scales(qvk__edge *edge, const qvk__weight *weight, bool padded, int32_t *out,
                                      qvk_error *err)
{
    derived how = {.weight = *weight, .transposed = true, .width = weight->rows};
    qvk_tensor desc = {scale_dtype(edge, weight), 1, {0}, NULL};

    if (padded)
        how.width = (int64_t)qvk__round_up((uint64_t)weight->rows, 4);
    desc.sizes[0] = how.width;
    return derive(edge, &how, weight->scales, &desc, fill_scales, out, err);
}

static qvk_status fill_sums(const qvk__constant *constant, void *dst, qvk_error *err)
{
    const derived *d = constant->fill_context;
    const qvk__weight *w = &d->weight;
    const void *bytes;
    const int8_t *q;
    int32_t *out = dst;

    QVK__TRY(qvk__constant_bytes(d->source, &bytes, err));
    q = bytes;
    memset(dst, 0, constant->bytes);
    for (int64_t n = 0; n < w->rows; n++)
        for (int64_t k = 0; k < w->columns; k++)
            out[k / w->group_size * d->width + n] += q[source_index(w, n, k)];
    qvk__constant_release(d->source, bytes);
    return QVK_OK;
}

qvk_status qvk__derive_group_sums(qvk__edge *edge, const qvk__weight *weight, int32_t *out, qvk_error *err)
{
    derived how = {.weight = *weight, .width = (int64_t)qvk__round_up((uint64_t)weight->rows, 8)};
    qvk_tensor desc = {QVK_DTYPE_I32, 2, {weight->groups, how.width}, NULL};

    return derive(edge, &how, weight->integers, &desc, fill_sums, out, err);
}

qvk_status qvk__derive_channel_sums(qvk__edge *edge, const qvk__weight *weight, int32_t *out, qvk_error *err)
{
    derived how = {.weight = *weight, .width = (int64_t)qvk__round_up((uint64_t)weight->rows, 4)};
    qvk_tensor desc = {QVK_DTYPE_I32, 1, {how.width}, NULL};

    how.weight.group_size = weight->columns;
    return derive(edge, &how, weight->integers, &desc, fill_sums, out, err);
}

static qvk_status fill_padded(const qvk__constant *constant, void *dst, qvk_error *err)
{
    const derived *d = constant->fill_context;
    const void *bytes;

    QVK__TRY(qvk__constant_bytes(d->source, &bytes, err));
    memset(dst, 0, constant->bytes);
    memcpy(dst, bytes, QVK__MIN(constant->bytes, d->source->bytes));
    qvk__constant_release(d->source, bytes);
    return QVK_OK;
}

qvk_status qvk__derive_padded_bias(qvk__edge *edge, int32_t bias, int32_t *out, qvk_error *err)
{
    qvk_tensor desc = edge->graph.values.data[bias].desc;
    derived how = {0};

    if (desc.sizes[0] % 4 == 0) {
        *out = bias;
        return QVK_OK;
    }
    desc.sizes[0] = (int64_t)qvk__round_up((uint64_t)desc.sizes[0], 4);
    return derive(edge, &how, bias, &desc, fill_padded, out, err);
}

/* Row of the result: output channel; column k = (kh * KW + kw) * ICg + ic. */
static qvk_status fill_conv(const qvk__constant *constant, void *dst, qvk_error *err)
{
    const derived *d = constant->fill_context;
    const qvk__weight *w = &d->weight;
    int64_t area = w->sizes[2] * w->sizes[3];
    /* A normal weight is [OC, ICg, KH, KW]; a transposed one [IC, OCg, KH, KW]. */
    int64_t in_per_group = d->transposed ? w->sizes[0] / d->groups : w->sizes[1];
    int64_t out_channels = d->transposed ? w->sizes[1] * d->groups : w->sizes[0];
    const void *bytes;
    const int8_t *q;
    int8_t *out = dst;

    QVK__TRY(qvk__constant_bytes(d->source, &bytes, err));
    q = bytes;
    memset(dst, 0, constant->bytes);
    for (int64_t oc = 0; oc < out_channels; oc++) {
        for (int64_t ic = 0; ic < in_per_group; ic++) {
            int64_t group = d->transposed ? oc / w->sizes[1] : 0;
            int64_t plane = d->transposed ? (group * in_per_group + ic) * w->sizes[1] + oc % w->sizes[1]
                                          : oc * in_per_group + ic;
            for (int64_t p = 0; p < area; p++)
                out[oc * d->width + p * in_per_group + ic] = q[plane * area + p];
        }
    }
    qvk__constant_release(d->source, bytes);
    return QVK_OK;
}

/* Depthwise: [OC, 1, KH, KW] -> [KH, KW, OC]. */
static qvk_status fill_depthwise(const qvk__constant *constant, void *dst, qvk_error *err)
{
    const derived *d = constant->fill_context;
    int64_t channels = d->weight.sizes[0], area = d->weight.sizes[2] * d->weight.sizes[3];
    const void *bytes;
    const int8_t *q;
    int8_t *out = dst;

    QVK__TRY(qvk__constant_bytes(d->source, &bytes, err));
    q = bytes;
    for (int64_t c = 0; c < channels; c++)
        for (int64_t p = 0; p < area; p++)
            out[p * channels + c] = q[c * area + p];
    qvk__constant_release(d->source, bytes);
    return QVK_OK;
}

qvk_status qvk__derive_conv_weight(qvk__edge *edge, const qvk__weight *weight, bool transposed,
                                   bool depthwise, int64_t groups, int32_t *out, qvk_error *err)
{
    const int64_t *s = weight->sizes;
    int64_t in_per_group = transposed ? s[0] / groups : s[1];
    derived how = {.weight = *weight, .transposed = transposed, .groups = groups};
    qvk_tensor desc = {QVK_DTYPE_I8, 3, {s[2], s[3], s[0]}, NULL};

    if (depthwise)
        return derive(edge, &how, weight->integers, &desc, fill_depthwise, out, err);
    how.width = (int64_t)qvk__round_up((uint64_t)(s[2] * s[3] * in_per_group), 4);
    desc = (qvk_tensor){QVK_DTYPE_I8, 2, {transposed ? s[1] * groups : s[0], how.width}, NULL};
    return derive(edge, &how, weight->integers, &desc, fill_conv, out, err);
}
