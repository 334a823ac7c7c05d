#include "quantize/weights.h"

#include <stdatomic.h>

#include "core/dtype.h"

enum { ROW_GRAIN = 16 };

typedef struct pass {
    qvk__quantized_weight *weight;
    const uint8_t *bytes; /* of the float weight */
    int8_t *integers;     /* NULL: form scales; else quantize with them */
    atomic_llong bad_row; /* a row that is not finite, or -1 */
    atomic_bool failed;   /* out of memory */
} pass;

/* One row as float32: in place where it already is, else converted into `buffer`. */
static const float *row_floats(const pass *p, uint64_t row, float *buffer)
{
    const qvk__quantized_weight *w = p->weight;
    uint64_t first = row * (uint64_t)w->columns;

    if (w->scheme.weight_dtype == QVK_DTYPE_F32 && ((uintptr_t)p->bytes & 3) == 0)
        return (const float *)(const void *)p->bytes + first;
    if (w->scheme.weight_dtype == QVK_DTYPE_F32) {
        memcpy(buffer, p->bytes + first * 4, (size_t)w->columns * 4);
        return buffer;
    }
    for (int64_t i = 0; i < w->columns; i++) {
        uint16_t half;
        memcpy(&half, p->bytes + (first + (uint64_t)i) * 2, sizeof half);
        buffer[i] = w->scheme.weight_dtype == QVK_DTYPE_F16 ? qvk__f16_to_f32(half) : qvk__bf16_to_f32(half);
    }
    return buffer;
}

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

static void work(void *user, uint64_t begin, uint64_t end)
{
    pass *p = user;
    qvk__quantized_weight *w = p->weight;
    float *buffer = qvk__alloc_zeroed((uint64_t)w->columns, sizeof *buffer);

    if (!buffer) {
        atomic_store(&p->failed, true);
        return;
    }
    for (uint64_t row = begin; row < end; row++) {
        const float *values = row_floats(p, row, buffer);
        for (int64_t g = 0; g < w->groups; g++) {
            const float *group = values + g * w->group_size;
            uint64_t index = row * (uint64_t)w->groups + (uint64_t)g;
            if (p->integers)
                qvk__weight_quantize(
                    &w->scheme, group, (size_t)w->group_size, load_scale(w, index), w->zero_points[index],
                    p->integers + row * (uint64_t)w->columns + (uint64_t)(g * w->group_size));
            else if (!form_group(w, group, index))
                atomic_store(&p->bad_row, (long long)row);
        }
    }
    free(buffer);
}

static qvk_status run_pass(qvk__quantized_weight *weight, int8_t *integers, qvk_error *err)
{
    const void *bytes;
    pass p = {.weight = weight, .integers = integers};

    atomic_init(&p.bad_row, -1);
    atomic_init(&p.failed, false);
    QVK__TRY(qvk__constant_bytes(weight->source, &bytes, err));
    p.bytes = bytes;
    qvk__parallel((uint64_t)weight->rows, ROW_GRAIN, work, &p);
    qvk__constant_release(weight->source, bytes);
    QVK__CHECK(!atomic_load(&p.failed), err, QVK_OUT_OF_MEMORY, "%s: out of memory", weight->name);
    QVK__CHECK(atomic_load(&p.bad_row) < 0, err, QVK_UNSUPPORTED,
               "%s: row %lld holds NaN or an infinity, which no scale can represent", weight->name,
               atomic_load(&p.bad_row));
    return QVK_OK;
}

static qvk_status fill_integers(const qvk__constant *constant, void *dst, qvk_error *err)
{
    qvk__quantized_weight weight = *(const qvk__quantized_weight *)constant->fill_context;
    return run_pass(&weight, dst, err);
}

qvk_status qvk__quantized_weight_create(qvk__arena *arena, const qvk__constant *source, const char *name,
                                        int64_t rows, int64_t columns, int64_t group_size,
                                        const qvk__weight_scheme *scheme, qvk__quantized_weight **out,
                                        qvk_error *err)
{
    qvk__quantized_weight *w = qvk__arena_alloc(arena, 1, sizeof *w);
    uint64_t n_groups;

    QVK__CHECK(w, err, QVK_OUT_OF_MEMORY, "%s: out of memory", name);
    w->source = source;
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
    QVK__TRY(run_pass(w, NULL, err));
    w->integers = (qvk__constant){
        .bytes = (uint64_t)rows * (uint64_t)columns, .name = name, .fill = fill_integers, .fill_context = w};
    w->scale_constant = (qvk__constant){
        .data = w->scales, .bytes = n_groups * qvk_dtype_bytes(scheme->scale_dtype), .name = name};
    w->zero_point_constant = (qvk__constant){.data = w->zero_points, .bytes = n_groups, .name = name};
    *out = w;
    return QVK_OK;
}
