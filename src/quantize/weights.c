#include "quantize/weights.h"

#include "core/dtype.h"
#include "quantize/weight_loops.h"

enum {
    ROW_GRAIN = 16,
    BLOCK_BYTES = 1 << 17 /* of float weights at a time: well within a processor's own cache */
};

/* ---- rows of the float weight --------------------------------------------------------------------------- */

/* A pass over rows up to `last`, a block of them held. */
typedef struct row_reader {
    const qvk__quantized_weight *weight;
    const uint8_t *bytes; /* of all rows */
    const uint8_t *held;  /* rows [first, end) */
    uint64_t first, end, last, row_bytes, block_rows;
    uint8_t *block; /* where held points when the rows come from a file */
    float *floats;  /* one row, converted */
} row_reader;

static void close_rows(row_reader *reader)
{
    free(reader->block);
    free(reader->floats);
}

static qvk_status open_rows(const qvk__quantized_weight *w, const uint8_t *bytes, uint64_t last,
                            row_reader *out, qvk_error *err)
{
    row_reader reader = {.weight = w, .bytes = bytes, .last = last};

    reader.row_bytes = (uint64_t)w->columns * qvk_dtype_bytes(w->scheme.weight_dtype);
    reader.block_rows = QVK__MAX(BLOCK_BYTES / reader.row_bytes, (uint64_t)1);
    reader.block = malloc((size_t)(reader.block_rows * reader.row_bytes));
    reader.floats = malloc((size_t)w->columns * sizeof *reader.floats);
    *out = reader;
    if (reader.block && reader.floats)
        return QVK_OK;
    close_rows(out);
    return qvk__fail(err, QVK_OUT_OF_MEMORY, "%s: out of memory", w->name);
}

/* float32 values of one row: in place where they already are, else converted. */
static const float *row_floats(const row_reader *reader, const uint8_t *row)
{
    const qvk_dtype dtype = reader->weight->scheme.weight_dtype;

    if (dtype == QVK_DTYPE_F32 && ((uintptr_t)row & 3) == 0)
        return (const float *)(const void *)row;
    if (dtype == QVK_DTYPE_F32) {
        memcpy(reader->floats, row, (size_t)reader->row_bytes);
        return reader->floats;
    }
    for (int64_t i = 0; i < reader->weight->columns; i++) {
        uint16_t half;
        memcpy(&half, row + i * 2, sizeof half);
        reader->floats[i] = dtype == QVK_DTYPE_F16 ? qvk__f16_to_f32(half) : qvk__bf16_to_f32(half);
    }
    return reader->floats;
}

/* *out is valid until the next call. Rows are asked for in order. */
static qvk_status read_row(row_reader *reader, uint64_t row, const float **out, qvk_error *err)
{
    const qvk__quantized_weight *w = reader->weight;

    if (row >= reader->end) {
        const void *held;
        reader->first = row;
        reader->end = QVK__MIN(row + reader->block_rows, reader->last);
        QVK__TRY(qvk__error_context(err,
                                    qvk__file_read(w->file, reader->bytes + row * reader->row_bytes,
                                                   (reader->end - row) * reader->row_bytes, reader->block,
                                                   &held, err),
                                    "%s", w->name));
        reader->held = held;
    }
    *out = row_floats(reader, reader->held + (row - reader->first) * reader->row_bytes);
    return QVK_OK;
}

/* ---- scales --------------------------------------------------------------------------------------------- */

static float load_scale(const qvk__quantized_weight *w, uint64_t index)
{
    const uint16_t *half = w->scales;
    switch (w->scheme.scale_dtype) {
    case QVK_DTYPE_F16: return qvk__f16_to_f32(half[index]);
    case QVK_DTYPE_BF16: return qvk__bf16_to_f32(half[index]);
    default: return ((const float *)w->scales)[index];
    }
}

static void store_scale(qvk__quantized_weight *w, uint64_t index, float scale)
{
    uint16_t *half = w->scales;
    switch (w->scheme.scale_dtype) {
    case QVK_DTYPE_F16: half[index] = qvk__f32_to_f16(scale); break;
    case QVK_DTYPE_BF16: half[index] = qvk__f32_to_bf16(scale); break;
    default: ((float *)w->scales)[index] = scale;
    }
}

/* Scale and zero point of one group; false when a weight is not finite. */
static bool form_group(qvk__quantized_weight *w, const float *group, uint64_t index)
{
    int32_t zero_point = 0;
    float lo, hi, scale;

    if (!qvk__weight_range(group, (size_t)w->group_size, &lo, &hi))
        return false;
    if (w->scheme.choose == QVK_CHOOSE_QPARAMS_HQQ_SCALE_ONLY)
        scale = qvk__weight_hqq_scale(&w->scheme, group, (size_t)w->group_size);
    else
        qvk__weight_qparams(&w->scheme, lo, hi, &scale, &zero_point);
    store_scale(w, index, scale);
    w->zero_points[index] = (int8_t)zero_point;
    return true;
}

/* ---- first pass: scales and zero points ----------------------------------------------------------------- */

typedef struct forming {
    qvk__quantized_weight *weight;
    const uint8_t *bytes; /* of the float weight */
} forming;

static qvk_status form_row(qvk__quantized_weight *w, uint64_t row, const float *values, qvk_error *err)
{
    for (int64_t g = 0; g < w->groups; g++)
        QVK__CHECK(form_group(w, values + g * w->group_size, row * (uint64_t)w->groups + (uint64_t)g), err,
                   QVK_UNSUPPORTED, "%s: row %llu holds NaN or an infinity, which no scale can represent",
                   w->name, (unsigned long long)row);
    return QVK_OK;
}

static qvk_status form_rows(void *user, uint64_t begin, uint64_t end, qvk_error *err)
{
    const forming *it = user;
    qvk_status status = QVK_OK;
    row_reader reader;

    QVK__TRY(open_rows(it->weight, it->bytes, end, &reader, err));
    for (uint64_t row = begin; row < end; row++) {
        const float *values;
        QVK__TRY_GO(read_row(&reader, row, &values, err));
        QVK__TRY_GO(form_row(it->weight, row, values, err));
    }
done:
    close_rows(&reader);
    return status;
}

static qvk_status form_all(qvk__quantized_weight *w, qvk_error *err)
{
    const void *bytes;
    qvk_status status;

    QVK__TRY(qvk__constant_bytes(w->source, &bytes, err));
    status = qvk__parallel_try((uint64_t)w->rows, ROW_GRAIN, form_rows, &(forming){w, bytes}, err);
    qvk__constant_release(w->source, bytes);
    return status;
}

/* ---- second pass: integers, when they are asked for ----------------------------------------------------- */

static void quantize_row(const qvk__quantized_weight *w, uint64_t row, const float *values, int8_t *out)
{
    for (int64_t g = 0; g < w->groups; g++) {
        const uint64_t index = row * (uint64_t)w->groups + (uint64_t)g;
        const int64_t at = g * w->group_size;
        qvk__weight_quantize(&w->scheme, values + at, (size_t)w->group_size, load_scale(w, index),
                             w->zero_points[index], out + at);
    }
}

static qvk_status quantize_rows(const qvk__quantized_weight *w, const uint8_t *bytes, uint64_t begin,
                                uint64_t end, int8_t *out, qvk_error *err)
{
    qvk_status status = QVK_OK;
    row_reader reader;

    QVK__TRY(open_rows(w, bytes, end, &reader, err));
    for (uint64_t row = begin; row < end; row++, out += w->columns) {
        const float *values;
        QVK__TRY_GO(read_row(&reader, row, &values, err));
        quantize_row(w, row, values, out);
    }
done:
    close_rows(&reader);
    return status;
}

static qvk_status fill_rows(const qvk__constant *constant, uint64_t begin, uint64_t end, void *dst,
                            qvk_error *err)
{
    const qvk__quantized_weight *w = constant->fill_context;
    return quantize_rows(w, w->source->data, begin, end, dst, err);
}

/* Of a weight whose bytes are made or gathered first. */
static qvk_status fill_all(const qvk__constant *constant, void *dst, qvk_error *err)
{
    const qvk__quantized_weight *w = constant->fill_context;
    const void *bytes;
    qvk_status status;

    QVK__TRY(qvk__constant_bytes(w->source, &bytes, err));
    status = quantize_rows(w, bytes, 0, (uint64_t)w->rows, dst, err);
    qvk__constant_release(w->source, bytes);
    return status;
}

/* ---- both ----------------------------------------------------------------------------------------------- */

static void describe_constants(qvk__quantized_weight *w)
{
    const uint64_t n_groups = (uint64_t)w->rows * (uint64_t)w->groups;

    w->integers = (qvk__constant){.bytes = (uint64_t)w->rows * (uint64_t)w->columns,
                                  .name = w->name,
                                  .row_bytes = (uint64_t)w->columns,
                                  .fill_context = w};
    if (w->source->data && !w->source->strided)
        w->integers.fill_rows = fill_rows;
    else
        w->integers.fill = fill_all;
    w->scale_constant = (qvk__constant){
        .data = w->scales, .bytes = n_groups * qvk_dtype_bytes(w->scheme.scale_dtype), .name = w->name};
    w->zero_point_constant = (qvk__constant){.data = w->zero_points, .bytes = n_groups, .name = w->name};
}

qvk_status qvk__quantized_weight_create(qvk__arena *arena, const qvk__constant *source, const qvk__file *file,
                                        const char *name, int64_t rows, int64_t columns, int64_t group_size,
                                        const qvk__weight_scheme *scheme, qvk__quantized_weight **out,
                                        qvk_error *err)
{
    qvk__quantized_weight *w = qvk__arena_alloc(arena, 1, sizeof *w);
    uint64_t n_groups;

    QVK__CHECK(w, err, QVK_OUT_OF_MEMORY, "%s: out of memory", name);
    w->source = source;
    w->file = file;
    w->name = name;
    w->rows = rows;
    w->columns = columns;
    w->group_size = group_size;
    w->groups = group_size ? columns / group_size : 0;
    w->scheme = *scheme;
    n_groups = (uint64_t)rows * (uint64_t)w->groups;
    w->scales = qvk__arena_alloc(arena, n_groups, qvk_dtype_bytes(scheme->scale_dtype));
    w->zero_points = qvk__arena_alloc(arena, n_groups, 1);
    QVK__CHECK(w->scales && w->zero_points, err, QVK_OUT_OF_MEMORY, "%s: out of memory", name);
    QVK__TRY(form_all(w, err));
    describe_constants(w);
    *out = w;
    return QVK_OK;
}
