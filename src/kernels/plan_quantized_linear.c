/*
 * Plans the quantized linears: activations are brought into the form the kernel reads, the kernel runs once
 * per part of the weights that can be bound at once, and a result that is not float32 is converted.
 */
#include "kernels/linear_call.h"
#include "kernels/plan_quantize.h"

/* Forms of linear_prepare.comp (its FORM). */
typedef enum activation_form { FORM_F32, FORM_F16, FORM_I8, FORM_I32, FORM_PAIR } activation_form;

typedef struct prepare_kernels {
    qvk_dtype x;
    qvk__kernel kernels[5];
} prepare_kernels;

static const prepare_kernels prepares[] = {
    {QVK_DTYPE_F32,
     {QVK__KERNEL_LINEAR_PREPARE_F32_F32, QVK__KERNEL_LINEAR_PREPARE_F32_F16,
      QVK__KERNEL_LINEAR_PREPARE_F32_I8, QVK__KERNEL_LINEAR_PREPARE_F32_I32,
      QVK__KERNEL_LINEAR_PREPARE_F32_PAIR}},
    {QVK_DTYPE_F16,
     {QVK__KERNEL_LINEAR_PREPARE_F16_F32, QVK__KERNEL_LINEAR_PREPARE_F16_F16,
      QVK__KERNEL_LINEAR_PREPARE_F16_I8, QVK__KERNEL_LINEAR_PREPARE_F16_I32,
      QVK__KERNEL_LINEAR_PREPARE_F16_PAIR}},
    {QVK_DTYPE_I8,
     {QVK__KERNEL_LINEAR_PREPARE_I8_I32, QVK__KERNEL_LINEAR_PREPARE_I8_I32, QVK__KERNEL_LINEAR_PREPARE_I8_I8,
      QVK__KERNEL_LINEAR_PREPARE_I8_I32, QVK__KERNEL_LINEAR_PREPARE_I8_PAIR}},
};

/* A kernel chosen for a call. */
typedef struct choice {
    qvk__kernel kernel;
    activation_form form;
    uint64_t k_align, chunk_bytes;
    uint32_t specs[8], n_specs;
    uint64_t rows, columns; /* that a work group (base kernel: an invocation) makes */
    bool is_base;
} choice;

/* Activations in device memory as a kernel reads them. */
typedef struct prepared {
    qvk__ref buffer;
    uint64_t row_words;
} prepared;

/* ---- choosing ------------------------------------------------------------------------------------------- */

static bool is_int8(const qvk__linear_call *c)
{
    return qvk__linear_bits(c->weights.format) == 8;
}

static choice choose_base(const qvk__linear_call *c)
{
    const bool is_float = c->activation == QVK__ACTIVATION_FLOAT;

    return (choice){
        .kernel = is_int8(c) ? is_float ? QVK__KERNEL_LINEAR_F32_QB8W_BASE : QVK__KERNEL_LINEAR_QD8_QB8W_BASE
                  : is_float ? QVK__KERNEL_LINEAR_F32_QB4W_BASE
                             : QVK__KERNEL_LINEAR_QD8_QB4W_BASE,
        .form = is_float ? FORM_F32 : FORM_I32,
        .k_align = 32,
        .chunk_bytes = 16,
        .specs = {64},
        .n_specs = 1,
        .rows = 4,
        .columns = 1,
        .is_base = true,
    };
}

/* Splits `n` into as few parts of at most `most` as possible, all about equal. */
static uint64_t even_part(uint64_t n, uint64_t most)
{
    return qvk__div_up(n, qvk__div_up(n, most));
}

/* Largest power of two that divides n, at most `most`. */
static uint32_t power_of_two_in(uint64_t n, uint32_t most)
{
    uint32_t power = 1;

    while (power < most && n % (2 * power) == 0)
        power *= 2;
    return power;
}

/* Eights of k between scales, as linear_cpu.comp wants it. */
static uint32_t cpu_flush(const qvk__linear_call *c)
{
    if (c->weights.n_groups == 1)
        return 16;
    return power_of_two_in(qvk__round_up(c->weights.group_size, 8), 64) / 8;
}

static choice choose_cpu(const qvk__linear_call *c)
{
    const uint64_t panels = qvk__div_up(c->weights.N, QVK__LINEAR_PANEL);
    choice out = {.k_align = 64, .chunk_bytes = 32};

    if (c->activation == QVK__ACTIVATION_FLOAT) {
        out.form = FORM_F32;
        out.kernel = is_int8(c) ? QVK__KERNEL_LINEAR_F32_QB8W_CPU : QVK__KERNEL_LINEAR_F32_QB4W_CPU;
    } else if (is_int8(c) || c->M == 1) {
        out.form = FORM_I32;
        out.kernel = is_int8(c) ? QVK__KERNEL_LINEAR_QD8_QB8W_CPU : QVK__KERNEL_LINEAR_QD8_QB4W_CPU;
    } else {
        out.form = FORM_PAIR;
        out.kernel = QVK__KERNEL_LINEAR_QD8X2_QB4W_CPU;
    }
    const uint64_t words = out.form == FORM_PAIR ? qvk__div_up(c->M, 2) : c->M;
    const uint64_t tm = even_part(words, out.form == FORM_PAIR ? 8 : 4);
    /* Wide tiles read activations less often; but a few work groups per core are needed. */
    uint64_t tn = c->M == 1 ? 8 : 4;
    while (tn > 1 && qvk__div_up(words, tm) * (panels / tn) < 16)
        tn /= 2;
    out.rows = tm * (out.form == FORM_PAIR ? 2 : 1);
    out.columns = tn * QVK__LINEAR_PANEL;
    out.n_specs = 3;
    out.specs[0] = (uint32_t)tm;
    out.specs[1] = (uint32_t)tn;
    out.specs[2] = cpu_flush(c);
    return out;
}

static choice choose(const qvk__planner *planner, const qvk__linear_call *c)
{
    const qvk__gpu_caps *caps = planner->caps;

    /* Made for 8 invocations a subgroup, which is what LLVM makes of 256-bit vectors. */
    if (caps->type == QVK__GPU_CPU && caps->subgroup_size == 8 &&
        qvk__kernel_usable(QVK__KERNEL_LINEAR_F32_QB4W_CPU, caps))
        return choose_cpu(c);
    return choose_base(c);
}

static void lay_out(qvk__linear_call *c, const choice *how)
{
    qvk__linear_weights *w = &c->weights;

    w->chunk_bytes = how->chunk_bytes;
    if (w->n_groups == 1) {
        w->k_padded = w->group_padded = qvk__round_up(QVK__MAX(w->K, 1), how->k_align);
    } else {
        w->group_padded = qvk__round_up(w->group_size, 8);
        w->k_padded = qvk__round_up(w->n_groups * w->group_padded, how->k_align);
    }
}

/* ---- activations ---------------------------------------------------------------------------------------- */

/* Float32 rows that need neither moving nor padding are read where they are. */
static bool is_ready(const qvk__linear_call *c, const choice *how)
{
    return how->form == FORM_F32 && c->x_dtype == QVK_DTYPE_F32 && c->weights.k_padded == c->weights.K;
}

static qvk__kernel prepare_kernel(const qvk__linear_call *c, activation_form form)
{
    for (size_t i = 0; i < QVK__COUNT(prepares); i++)
        if (prepares[i].x == c->x_dtype)
            return prepares[i].kernels[form];
    return prepares[0].kernels[form];
}

/* Words of a row: elements, and for quantized ones eight more with scale and zero point. */
static uint64_t row_words(const qvk__linear_call *c, activation_form form)
{
    static const uint64_t elements_in_word[] = {1, 2, 4, 1, 1};

    return c->weights.k_padded / elements_in_word[form] + (form >= FORM_I8 ? 8 : 0);
}

static qvk_status prepare(qvk__planner *planner, const qvk__linear_call *c, const choice *how, prepared *out,
                          qvk_error *err)
{
    const qvk__linear_weights *w = &c->weights;
    const uint64_t rows = how->form == FORM_PAIR ? qvk__div_up(c->M, 2) : c->M;
    const bool is_dynamic = c->activation == QVK__ACTIVATION_DYNAMIC;
    const qvk__ref x = qvk__ref_value(c->x);
    qvk__dispatch d = {.kernel = prepare_kernel(c, how->form)};

    out->buffer = x;
    out->row_words = w->K;
    if (is_ready(c, how))
        return QVK_OK;
    out->row_words = row_words(c, how->form);
    QVK__TRY(planner->scratch(planner, rows * out->row_words * 4, &out->buffer, err));
    qvk__dispatch_read(&d, x);
    qvk__dispatch_read(&d, is_dynamic ? qvk__ref_value(c->act_scales) : x);
    qvk__dispatch_read(&d, is_dynamic ? qvk__ref_value(c->act_zero_points) : x);
    qvk__dispatch_write(&d, out->buffer);
    qvk__dispatch_spec(&d, 64);
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
    d.bytes = c->M * w->K * qvk_dtype_bytes(c->x_dtype) + rows * out->row_words * 4;
    qvk__dispatch_groups(planner, &d, qvk__div_up(rows * out->row_words / 4, 64));
    return planner->dispatch(planner, &d, err);
}

/* ---- the product ---------------------------------------------------------------------------------------- */

static qvk_status multiply_part(qvk__planner *planner, const qvk__linear_call *c, const choice *how,
                                const prepared *x, qvk__ref scales, uint64_t first, uint64_t last, qvk__ref y,
                                qvk_error *err)
{
    const qvk__linear_weights *w = &c->weights;
    const qvk__pack pack = qvk__pack_weights(w, first, last);
    qvk__dispatch d = {.kernel = how->kernel, .ops = 2 * c->M * (last - first) * w->K};
    qvk__ref weights;

    QVK__TRY(planner->pack(planner, &pack, &weights, err));
    qvk__dispatch_read(&d, x->buffer);
    qvk__dispatch_read(&d, weights);
    qvk__dispatch_read(&d, scales);
    qvk__dispatch_write(&d, y);
    for (uint32_t i = 0; i < how->n_specs; i++)
        qvk__dispatch_spec(&d, how->specs[i]);
    qvk__dispatch_uint(&d, c->M);
    qvk__dispatch_uint(&d, w->N);
    qvk__dispatch_uint(&d, first);
    qvk__dispatch_uint(&d, last);
    qvk__dispatch_uint(&d, w->k_padded);
    qvk__dispatch_uint(&d, x->row_words);
    qvk__dispatch_uint(&d, w->n_groups);
    qvk__dispatch_uint(&d, w->group_padded);
    qvk__dispatch_uint(&d, qvk__linear_n_padded(w->N));
    d.bytes = pack.bytes + w->n_groups * (last - first) * 4 + c->M * (w->K + last - first) * 4;
    const uint64_t units = qvk__div_up(c->M, how->rows) * qvk__div_up(last - first, how->columns);
    qvk__dispatch_groups(planner, &d, how->is_base ? qvk__div_up(units, 64) : units);
    return planner->dispatch(planner, &d, err);
}

/* Columns of the weights that can be bound at once. */
static uint64_t columns_at_once(const qvk__planner *planner, const qvk__linear_weights *w)
{
    const uint64_t limit = QVK__MIN(planner->caps->max_storage_range, planner->caps->max_allocation);
    const uint64_t column = w->k_padded * qvk__linear_bits(w->format) / 8;
    const uint64_t whole_tiles = limit / column / (8 * QVK__LINEAR_PANEL) * (8 * QVK__LINEAR_PANEL);

    return QVK__MAX(whole_tiles, 8 * QVK__LINEAR_PANEL);
}

static qvk_status multiply(qvk__planner *planner, const qvk__linear_call *c, const choice *how,
                           const prepared *x, qvk__ref y, qvk_error *err)
{
    const qvk__pack pack =
        qvk__pack_scales(&c->weights, c->scales, c->scale_dtype, c->scale_stride, c->bias, c->bias_dtype);
    const uint64_t at_once = columns_at_once(planner, &c->weights);
    qvk__ref scales;

    QVK__TRY(planner->pack(planner, &pack, &scales, err));
    for (uint64_t n = 0; n < c->weights.N; n += at_once)
        QVK__TRY(multiply_part(planner, c, how, x, scales, n, QVK__MIN(n + at_once, c->weights.N), y, err));
    return QVK_OK;
}

/* ---- the result ----------------------------------------------------------------------------------------- */

static qvk_status finish(qvk__planner *planner, const qvk__linear_call *c, qvk__ref y32, qvk_error *err)
{
    const uint64_t n = c->M * c->weights.N;

    if (!c->quantizes)
        return qvk__plan_convert(planner, y32, QVK_DTYPE_F32, qvk__ref_value(c->y), c->y_dtype, n, err);
    /* relu(y) is quantized to the zero point or above: the same as clamping there. */
    const int64_t low = c->relu ? QVK__MAX(c->out_zero_point, -128) : -128;
    return qvk__plan_quantize_flat(planner, y32, QVK_DTYPE_F32, qvk__ref_value(c->y), n, c->out_scale,
                                   c->out_zero_point, low, err);
}

static qvk_status plan_linear(qvk__planner *planner, const qvk__node *node, qvk_error *err)
{
    qvk__linear_call call;
    qvk__ref y;
    prepared x;

    QVK__TRY(qvk__linear_call_of(planner, node, &call, err));
    if (call.M == 0 || call.weights.N == 0)
        return QVK_OK;
    const choice how = choose(planner, &call);
    lay_out(&call, &how);
    QVK__TRY(prepare(planner, &call, &how, &x, err));
    if (call.y_dtype == QVK_DTYPE_F32)
        return multiply(planner, &call, &how, &x, qvk__ref_value(call.y), err);
    QVK__TRY(planner->scratch(planner, call.M * call.weights.N * 4, &y, err));
    QVK__TRY(multiply(planner, &call, &how, &x, y, err));
    return finish(planner, &call, y, err);
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
LINEAR_PLANNER(linear_dq8ca)
LINEAR_PLANNER(linear_q8ta_q8csw)
LINEAR_PLANNER(q8ta_linear)
