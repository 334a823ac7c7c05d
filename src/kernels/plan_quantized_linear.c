/*
 * Plans the quantized linears: activations are brought into the form the kernel reads (once for all linears
 * that read them so), the kernel runs once per part of the weights that can be bound at once, and a result
 * that is not float32 is converted.
 */
#include "core/dtype.h"
#include "kernels/linear_choice.h"
#include "kernels/plan_quantize.h"

/* linear_prepare.comp by source and form; two more sets that choose scales themselves, for GPUs and CPU
 * devices. */
typedef struct prepare_kernels {
    qvk_dtype x;
    qvk__kernel kernels[5];     /* by form */
    qvk__kernel choosing[2][5]; /* [1]: CPU devices */
} prepare_kernels;

#define PREPARE(x, form) QVK__KERNEL_LINEAR_PREPARE_##x##_##form
#define CHOOSING(x, suffix)                                                                                  \
    {                                                                                                        \
        0, 0, QVK__KERNEL_LINEAR_CHOOSE_##x##_I8##suffix, QVK__KERNEL_LINEAR_CHOOSE_##x##_I32##suffix,       \
            QVK__KERNEL_LINEAR_CHOOSE_##x##_PAIR##suffix                                                     \
    }

static const prepare_kernels prepares[] = {
    {QVK_DTYPE_F32,
     {PREPARE(F32, F32), PREPARE(F32, F16), PREPARE(F32, I8), PREPARE(F32, I32), PREPARE(F32, PAIR)},
     {CHOOSING(F32, ), CHOOSING(F32, _SUBGROUP)}},
    {QVK_DTYPE_F16,
     {PREPARE(F16, F32), PREPARE(F16, F16), PREPARE(F16, I8), PREPARE(F16, I32), PREPARE(F16, PAIR)},
     {CHOOSING(F16, ), CHOOSING(F16, _SUBGROUP)}},
    {QVK_DTYPE_I8, {0, 0, PREPARE(I8, I8), PREPARE(I8, I32), PREPARE(I8, PAIR)}, {{0}, {0}}},
};

/* Activations in device memory as a kernel reads them. */
typedef struct prepared {
    qvk__ref buffer;
    uint64_t row_words;
} prepared;

/* ---- activations ---------------------------------------------------------------------------------------- */

/* `threads`: of a work group. */
static qvk__kernel prepare_kernel(const qvk__planner *planner, const qvk__linear_call *c,
                                  qvk__activation_form form, uint32_t *threads)
{
    const qvk__gpu_caps *caps = planner->caps;
    const prepare_kernels *set = prepares;

    while (set->x != c->x_dtype)
        set++;
    *threads = 64;
    if (c->activation != QVK__ACTIVATION_CHOSEN)
        return set->kernels[form];
    if (caps->type == QVK__GPU_CPU && qvk__planner_may_use(planner, set->choosing[1][form])) {
        *threads = caps->subgroup_size;
        return set->choosing[1][form];
    }
    *threads = QVK__MIN(caps->max_invocations, 256);
    return set->choosing[0][form];
}

/* Words of a row: elements, and for quantized ones eight more with scale and zero point. */
static uint64_t row_words(const qvk__linear_call *c, qvk__activation_form form)
{
    static const uint64_t elements_in_word[] = {1, 2, 4, 1, 1};

    return c->weights.k_padded / elements_in_word[form] + (form >= QVK__FORM_I8 ? 8 : 0);
}

/* x as the kernels read it: normalized, unless they do that themselves. */
static qvk_status normalize(qvk__planner *planner, const qvk__linear_call *c, const qvk__linear_choice *how,
                            qvk__ref *x, qvk_error *err)
{
    const qvk__linear_norm *norm = &c->norm;
    const qvk__rms_rows rows = {.x = qvk__ref_value(c->x),
                                .weight = qvk__ref_value(norm->weight),
                                .x_dtype = c->x_dtype,
                                .weight_dtype = norm->weight_dtype,
                                .rows = c->M,
                                .n = c->weights.K,
                                .eps = norm->eps,
                                .rounding = norm->rounding};

    *x = rows.x;
    return how->norm == QVK__NORM_APART && rows.n > 0 ? qvk__plan_shared_rms_rows(planner, &rows, x, err)
                                                      : QVK_OK;
}

/* The norm's weight for a kernel that normalizes, or another buffer. */
static qvk__ref norm_weight(const qvk__linear_call *c, bool normalizes, qvk__ref instead)
{
    return normalizes && c->norm.weight >= 0 ? qvk__ref_value(c->norm.weight) : instead;
}

static qvk_status prepare(qvk__planner *planner, const qvk__linear_call *c, const qvk__linear_choice *how,
                          qvk__ref x, prepared *out, qvk_error *err)
{
    const qvk__linear_weights *w = &c->weights;
    const uint64_t rows = how->form == QVK__FORM_PAIR ? qvk__div_up(c->M, 2) : c->M;
    const bool is_dynamic = c->activation == QVK__ACTIVATION_DYNAMIC;
    const bool by_row = c->activation == QVK__ACTIVATION_CHOSEN;
    const bool normalizes = how->norm == QVK__NORM_PREPARING;
    qvk__dispatch d = {0};
    uint32_t threads;

    out->buffer = x;
    out->row_words = w->K * qvk_dtype_bytes(c->x_dtype) / 4;
    if (how->form == QVK__FORM_AS_IS)
        return QVK_OK;
    d.kernel = prepare_kernel(planner, c, how->form, &threads);
    out->row_words = row_words(c, how->form);
    qvk__dispatch_read(&d, x);
    qvk__dispatch_read(&d, is_dynamic ? qvk__ref_value(c->act_scales) : norm_weight(c, normalizes, x));
    qvk__dispatch_read(&d, is_dynamic ? qvk__ref_value(c->act_zero_points) : x);
    qvk__dispatch_write(&d, QVK__REF_FILLED);
    qvk__dispatch_spec(&d, threads);
    if (by_row) {
        qvk__dispatch_spec(&d, normalizes ? 1 + (uint32_t)c->norm.weight_dtype : 0);
        qvk__dispatch_spec(&d, c->norm.rounding);
    }
    qvk__dispatch_uint(&d, c->M);
    qvk__dispatch_uint(&d, w->K);
    qvk__dispatch_uint(&d, w->k_padded);
    qvk__dispatch_uint(&d, w->n_groups > 1 ? w->group_size : w->k_padded);
    qvk__dispatch_uint(&d, w->group_padded);
    qvk__dispatch_uint(&d, rows);
    qvk__dispatch_uint(&d, out->row_words / 4);
    qvk__dispatch_uint(&d, is_dynamic ? c->act_scale_dtype : 0);
    qvk__dispatch_uint(&d, is_dynamic ? c->act_zero_point_dtype : 0);
    qvk__dispatch_uint(&d, c->per_row);
    qvk__dispatch_float(&d, (float)c->act_scale);
    qvk__dispatch_float(&d, (float)(1.0 / c->act_scale));
    qvk__dispatch_float(&d, (float)c->act_zero_point);
    qvk__dispatch_uint(&d, how->form == QVK__FORM_I8 && qvk__linear_bits(w->format) == 4); /* permuted */
    qvk__dispatch_float(&d, (float)c->norm.eps);
    d.bytes = c->M * w->K * qvk_dtype_bytes(c->x_dtype) + rows * out->row_words * 4;
    qvk__dispatch_groups(planner, &d, by_row ? rows : qvk__div_up(rows * out->row_words / 4, threads));
    return qvk__plan_shared(planner, &d, rows * out->row_words * 4, &out->buffer, err);
}

/* ---- the product ---------------------------------------------------------------------------------------- */

/* Everything the parts of a product share. */
typedef struct product {
    const qvk__linear_call *call;
    const qvk__linear_choice *how;
    prepared x;
    qvk__ref scales, sums, y;
    qvk_dtype y_dtype;
    bool adds_residual, gates; /* by the kernels that make y */
    /* Where k is split: float32 or int32 [splits][partial_rows][partial_columns]. */
    qvk__ref partials;
    uint64_t n_splits, partial_rows, partial_columns;
} product;

/* Columns of a result that has the numbers of both linears, or what they make together. */
static uint64_t columns_of(const qvk__linear_call *c, bool gates)
{
    return gates ? c->weights.N / 2 : c->weights.N;
}

/* The uniform block of shaders/lib/linear.glsl. */
static void add_params(qvk__dispatch *d, const product *p, uint64_t first, uint64_t last)
{
    const qvk__linear_call *c = p->call;
    const qvk__linear_weights *w = &c->weights;
    const bool from_tensors = p->how->quantizes_here && c->activation == QVK__ACTIVATION_DYNAMIC;
    /* relu(y) is quantized to the zero point or above: the same as clamping there. */
    const int64_t low = c->relu ? QVK__MAX(c->out_zero_point, -128) : -128;

    qvk__dispatch_uint(d, c->M);
    qvk__dispatch_uint(d, columns_of(c, p->gates));
    qvk__dispatch_uint(d, first);
    qvk__dispatch_uint(d, last);
    qvk__dispatch_uint(d, w->k_padded);
    qvk__dispatch_uint(d, p->x.row_words);
    qvk__dispatch_uint(d, w->n_groups);
    qvk__dispatch_uint(d, w->group_padded);
    qvk__dispatch_uint(d, qvk__linear_n_padded(w->N));
    qvk__dispatch_uint(d, p->y_dtype);
    qvk__dispatch_float(d, c->quantizes ? (float)(1.0 / c->out_scale) : 1.0f);
    qvk__dispatch_float(d, (float)c->out_zero_point);
    qvk__dispatch_int(d, low);
    qvk__dispatch_uint(d, p->how->quantizes_here && c->activation == QVK__ACTIVATION_CHOSEN);
    qvk__dispatch_uint(d, from_tensors ? c->act_scale_dtype : 0);
    qvk__dispatch_uint(d, from_tensors ? c->act_zero_point_dtype : 0);
    qvk__dispatch_uint(d, c->per_row);
    qvk__dispatch_uint(d, p->how->form != QVK__FORM_AS_IS);
    qvk__dispatch_float(d, (float)c->act_scale);
    qvk__dispatch_float(d, (float)(1.0 / c->act_scale));
    qvk__dispatch_int(d, c->act_zero_point);
    qvk__dispatch_uint(d, p->n_splits);
    qvk__dispatch_uint(d, p->partial_rows);
    qvk__dispatch_uint(d, p->partial_columns);
    qvk__dispatch_uint(d, p->adds_residual ? qvk__device_dtype(c->y_dtype) : 0);
    qvk__dispatch_float(d, (float)c->norm.eps);
}

/* Buffers after the result. */
static void add_extra_buffers(qvk__dispatch *d, const product *p)
{
    const qvk__linear_call *c = p->call;
    const bool from_tensors = p->how->quantizes_here && c->activation == QVK__ACTIVATION_DYNAMIC;

    if (p->how->adds_residual)
        qvk__dispatch_read(d, p->adds_residual ? qvk__ref_value(c->residual) : p->scales);
    if (p->how->needs_sums)
        qvk__dispatch_read(d, p->sums);
    if (p->how->quantizes_here) {
        qvk__dispatch_read(d, from_tensors ? qvk__ref_value(c->act_scales) : p->x.buffer);
        qvk__dispatch_read(d, from_tensors ? qvk__ref_value(c->act_zero_points) : p->x.buffer);
    }
    if (p->how->family == QVK__LINEAR_ROW)
        qvk__dispatch_read(d, norm_weight(c, p->how->norm == QVK__NORM_HERE, p->x.buffer));
}

/* Finishes the columns whose parts are in p->partials. */
static qvk_status sum_part(qvk__planner *planner, const product *p, uint64_t first, uint64_t last,
                           qvk_error *err)
{
    const qvk__linear_weights *w = &p->call->weights;
    const uint64_t M = p->call->M, threads = 64;
    qvk__dispatch d = {.kernel = qvk__linear_sum_kernel(p->call)};

    qvk__dispatch_read(&d, p->x.buffer);
    qvk__dispatch_read(&d, p->partials);
    qvk__dispatch_read(&d, p->scales);
    qvk__dispatch_write(&d, p->y);
    add_extra_buffers(&d, p);
    qvk__dispatch_spec(&d, (uint32_t)threads);
    qvk__dispatch_spec(&d, w->n_groups == 1);
    add_params(&d, p, first, last);
    d.bytes = M * (last - first) * (p->n_splits * 4 + qvk_dtype_bytes(p->y_dtype));
    qvk__dispatch_groups(planner, &d, qvk__div_up(M * qvk__div_up(last - first, 8), threads));
    return planner->dispatch(planner, &d, err);
}

static qvk_status multiply_part(qvk__planner *planner, const product *p, uint64_t first, uint64_t last,
                                qvk_error *err)
{
    const qvk__linear_weights *w = &p->call->weights;
    const qvk__pack pack = qvk__pack_weights(w, first, last);
    const uint64_t M = p->call->M;
    qvk__dispatch d = {.kernel = p->how->kernel,
                       .subgroup_size = p->how->subgroup_size,
                       .tuned_as = p->how->tuned_as,
                       .ops = 2 * M * (last - first) * w->K};
    qvk__ref weights;

    QVK__TRY(planner->pack(planner, &pack, &weights, err));
    qvk__dispatch_read(&d, p->x.buffer);
    qvk__dispatch_read(&d, weights);
    qvk__dispatch_read(&d, p->scales);
    qvk__dispatch_write(&d, p->n_splits > 1 ? p->partials : p->y);
    add_extra_buffers(&d, p);
    for (uint32_t i = 0; i < p->how->n_specs; i++)
        qvk__dispatch_spec(&d, p->how->specs[i]);
    add_params(&d, p, first, last);
    d.bytes = pack.bytes + w->n_groups * (last - first) * 4 + M * p->x.row_words * 4 +
              M * (last - first) * qvk_dtype_bytes(p->y_dtype);
    const uint64_t units =
        qvk__div_up(M, p->how->rows) * qvk__div_up(last - first, p->how->columns) * p->n_splits;
    qvk__dispatch_groups(planner, &d, qvk__div_up(units, p->how->invocations));
    QVK__TRY(planner->dispatch(planner, &d, err));
    return p->n_splits > 1 ? sum_part(planner, p, first, last, err) : QVK_OK;
}

/* Room for the parts of a product whose k is split; no split where it cannot be bound at once. */
static qvk_status split(qvk__planner *planner, product *p, uint64_t columns, qvk_error *err)
{
    p->n_splits = QVK__MAX(p->how->splits, 1);
    p->partial_rows = qvk__round_up(p->call->M, p->how->rows);
    p->partial_columns = qvk__round_up(columns, p->how->columns);
    const uint64_t bytes = p->n_splits * p->partial_rows * p->partial_columns * 4;
    if (bytes > QVK__MIN(planner->caps->max_storage_range, planner->caps->max_allocation))
        p->n_splits = 1;
    return p->n_splits > 1 ? planner->scratch(planner, bytes, &p->partials, err) : QVK_OK;
}

/* Columns of the weights that can be bound at once. */
static uint64_t columns_at_once(const qvk__planner *planner, const qvk__linear_weights *w)
{
    const uint64_t limit = QVK__MIN(planner->caps->max_storage_range, planner->caps->max_allocation);
    const uint64_t column = w->k_padded * qvk__linear_bits(w->format) / 8;
    const uint64_t step = 8 * QVK__LINEAR_PANEL;

    return QVK__MAX(limit / column / step * step, step);
}

static qvk_status multiply(qvk__planner *planner, product *p, qvk_error *err)
{
    const qvk__linear_call *c = p->call;
    const qvk__pack scales = qvk__pack_scales(&c->weights, &c->scales);
    const qvk__pack sums = qvk__pack_weight_sums(&c->weights, &c->scales);
    const uint64_t N = c->weights.N, at_once = columns_at_once(planner, &c->weights);

    QVK__TRY(planner->pack(planner, &scales, &p->scales, err));
    if (p->how->needs_sums)
        QVK__TRY(planner->pack(planner, &sums, &p->sums, err));
    QVK__TRY(split(planner, p, QVK__MIN(N, at_once), err));
    for (uint64_t n = 0; n < N; n += at_once)
        QVK__TRY(multiply_part(planner, p, n, QVK__MIN(n + at_once, N), err));
    return QVK_OK;
}

/* ---- the result ----------------------------------------------------------------------------------------- */

/* float32 results that the operator wants in another type. */
static qvk_status convert(qvk__planner *planner, const qvk__linear_call *c, qvk__ref y32, qvk_error *err)
{
    const uint64_t n = c->M * columns_of(c, qvk__linear_is_gated(c));
    const int64_t low = c->relu ? QVK__MAX(c->out_zero_point, -128) : -128;

    if (!c->quantizes)
        return qvk__plan_convert(planner, y32, QVK_DTYPE_F32, qvk__ref_value(c->y), c->y_dtype, n, err);
    return qvk__plan_quantize_flat(planner, y32, QVK_DTYPE_F32, qvk__ref_value(c->y), n, c->out_scale,
                                   c->out_zero_point, low, err);
}

/* linear_end.comp: what the kernels do not add themselves. */
static qvk_status end_apart(qvk__planner *planner, const qvk__linear_call *c, qvk__ref y32, qvk_error *err)
{
    qvk__dispatch d = {.kernel = QVK__KERNEL_LINEAR_END};
    const qvk_tensor *y = planner->desc(planner, c->y);
    const uint64_t y_bytes = (uint64_t)qvk_tensor_numel(y) * qvk_dtype_bytes(c->y_dtype);

    qvk__dispatch_read(&d, y32);
    qvk__dispatch_read(&d, c->residual >= 0 ? qvk__ref_value(c->residual) : y32);
    qvk__dispatch_write(&d, qvk__ref_value(c->y));
    qvk__dispatch_spec(&d, qvk__linear_is_gated(c));
    qvk__dispatch_uint(&d, c->y_dtype);
    qvk__dispatch_uint(&d, c->residual >= 0 ? c->y_dtype : 0);
    qvk__dispatch_uint(&d, columns_of(c, qvk__linear_is_gated(c)));
    qvk__dispatch_words(planner, &d, y);
    d.bytes = c->M * c->weights.N * 4 + y_bytes * (c->residual >= 0 ? 2 : 1);
    return planner->dispatch(planner, &d, err);
}

static qvk_status plan_linear(qvk__planner *planner, const qvk__node *node, qvk_error *err)
{
    qvk__linear_call call;
    qvk__linear_choice how;
    qvk__ref x;

    QVK__TRY(qvk__linear_call_of(planner, node, &call, err));
    if (call.M == 0 || call.weights.N == 0)
        return QVK_OK;
    qvk__linear_choose(planner, &call, &how);
    const bool ends_apart =
        (qvk__linear_is_gated(&call) && !how.gates) || (call.residual >= 0 && !how.adds_residual);
    product p = {.call = &call,
                 .how = &how,
                 .y = qvk__ref_value(call.y),
                 .y_dtype = call.y_dtype,
                 .adds_residual = call.residual >= 0 && !ends_apart,
                 .gates = qvk__linear_is_gated(&call) && !ends_apart};
    const uint64_t columns = columns_of(&call, p.gates);
    /* Rows that begin inside a word are shared by work groups: such results are converted afterwards. */
    const bool whole_words = columns * qvk_dtype_bytes(call.y_dtype) % 4 == 0;
    const bool is_direct =
        !ends_apart && (call.y_dtype == QVK_DTYPE_F32 || (how.writes_narrow && whole_words));
    QVK__TRY(normalize(planner, &call, &how, &x, err));
    QVK__TRY(prepare(planner, &call, &how, x, &p.x, err));
    if (is_direct)
        return multiply(planner, &p, err);
    p.y_dtype = QVK_DTYPE_F32;
    QVK__TRY(planner->scratch(planner, call.M * columns * 4, &p.y, err));
    QVK__TRY(multiply(planner, &p, err));
    return ends_apart ? end_apart(planner, &call, p.y, err) : convert(planner, &call, p.y, err);
}

/* One planner for all: the operators differ in their arguments alone. */
#define LINEAR_PLANNER(name)                                                                                 \
    qvk_status qvk__plan_##name(qvk__planner *planner, const qvk__node *node, qvk_error *err)                \
    {                                                                                                        \
        return plan_linear(planner, node, err);                                                              \
    }
LINEAR_PLANNER(linear_q4gsw)
LINEAR_PLANNER(linear_q8gsw)
LINEAR_PLANNER(linear_q8csw)
LINEAR_PLANNER(linear_qcs4w)
LINEAR_PLANNER(linear_d8)
LINEAR_PLANNER(linear_dq8ca)
LINEAR_PLANNER(linear_q8ta_q8csw)
LINEAR_PLANNER(q8ta_linear)
LINEAR_PLANNER(fused_linear)
