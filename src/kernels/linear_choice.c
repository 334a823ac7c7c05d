/* Chooses kernels of quantized linears by what the device can do and by shape, never by who made it. */
#include "kernels/linear_choice.h"

#include "kernels/linear_tiles.h"

#define PANEL       QVK__LINEAR_PANEL
#define IS(c, bits) (qvk__linear_bits((c)->weights.format) == (bits))

static bool is_float(const qvk__linear_call *c)
{
    return c->activation == QVK__ACTIVATION_FLOAT;
}

/* Panels of a work group that finishes what it makes: a gate and the other. */
static uint32_t least_panels(const qvk__linear_call *c)
{
    return qvk__linear_is_gated(c) ? 2 : 1;
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

/* ---- how k is laid out ---------------------------------------------------------------------------------- */

static void lay_out(qvk__linear_call *c, const qvk__linear_choice *how)
{
    qvk__linear_weights *w = &c->weights;

    w->chunk_bytes = how->chunk_bytes;
    if (w->n_groups == 1) {
        w->k_padded = w->group_padded = qvk__round_up(QVK__MAX(w->K, 1), how->k_align);
    } else {
        w->group_padded = qvk__round_up(w->group_size, how->group_align);
        w->k_padded = qvk__round_up(w->n_groups * w->group_padded, how->k_align);
    }
}

/* Activations need neither moving nor padding. */
static bool is_whole(const qvk__linear_call *c)
{
    return c->weights.k_padded == c->weights.K;
}

static void set_specs(qvk__linear_choice *out, const uint32_t *specs, uint32_t n)
{
    memcpy(out->specs, specs, n * sizeof *specs);
    out->n_specs = n;
}
#define SET_SPECS(out, ...)                                                                                  \
    set_specs(out, (const uint32_t[]){__VA_ARGS__}, QVK__COUNT(((const uint32_t[]){__VA_ARGS__})))

/* ---- any device ----------------------------------------------------------------------------------------- */

static void choose_base(qvk__linear_call *c, qvk__linear_choice *out)
{
    *out = (qvk__linear_choice){
        .family = QVK__LINEAR_BASE,
        .kernel = IS(c, 8) ? is_float(c) ? QVK__KERNEL_LINEAR_F32_QB8W_BASE : QVK__KERNEL_LINEAR_QD8_QB8W_BASE
                  : is_float(c) ? QVK__KERNEL_LINEAR_F32_QB4W_BASE
                                : QVK__KERNEL_LINEAR_QD8_QB4W_BASE,
        .k_align = 32,
        .group_align = 8,
        .chunk_bytes = 16,
        .rows = 4,
        .columns = 1,
        .invocations = 64,
    };
    SET_SPECS(out, 64);
    lay_out(c, out);
    out->form = !is_float(c)                                 ? QVK__FORM_I32
                : is_whole(c) && c->x_dtype == QVK_DTYPE_F32 ? QVK__FORM_AS_IS
                                                             : QVK__FORM_F32;
}

/* ---- CPU devices ---------------------------------------------------------------------------------------- */

/* Eights of k between scales, as linear_cpu.comp wants it. */
static uint32_t cpu_flush(const qvk__linear_call *c)
{
    return c->weights.n_groups == 1 ? 16 : power_of_two_in(c->weights.group_padded, 64) / 8;
}

static bool choose_cpu(const qvk__planner *planner, qvk__linear_call *c, qvk__linear_choice *out)
{
    const uint64_t panels = qvk__div_up(c->weights.N, PANEL);

    /* Made for 8 invocations a subgroup, which is what LLVM makes of 256-bit vectors. */
    if (planner->caps->type != QVK__GPU_CPU || planner->caps->subgroup_size != 8)
        return false;
    *out = (qvk__linear_choice){.family = QVK__LINEAR_CPU,
                                .k_align = 64,
                                .group_align = 8,
                                .chunk_bytes = 32,
                                .invocations = 1,
                                .adds_residual = true,
                                .gates = true};
    lay_out(c, out);
    if (is_float(c)) {
        out->form = is_whole(c) && c->x_dtype == QVK_DTYPE_F32 ? QVK__FORM_AS_IS : QVK__FORM_F32;
        out->kernel = IS(c, 8) ? QVK__KERNEL_LINEAR_F32_QB8W_CPU : QVK__KERNEL_LINEAR_F32_QB4W_CPU;
    } else if (IS(c, 8) || c->M == 1) {
        out->form = QVK__FORM_I32;
        out->kernel = IS(c, 8) ? QVK__KERNEL_LINEAR_QD8_QB8W_CPU : QVK__KERNEL_LINEAR_QD8_QB4W_CPU;
    } else {
        out->form = QVK__FORM_PAIR;
        out->kernel = QVK__KERNEL_LINEAR_QD8X2_QB4W_CPU;
    }
    const uint64_t rows_a_word = out->form == QVK__FORM_PAIR ? 2 : 1;
    const uint64_t words = qvk__div_up(c->M, rows_a_word), tm = even_part(words, 4 * rows_a_word);
    /* Wide tiles read activations less often; but a few work groups per core are needed. */
    uint64_t tn = c->M == 1 ? 8 : 4;
    while (tn > least_panels(c) && qvk__div_up(words, tm) * (panels / tn) < 16)
        tn /= 2;
    out->rows = tm * rows_a_word;
    out->columns = tn * PANEL;
    SET_SPECS(out, (uint32_t)tm, (uint32_t)tn, cpu_flush(c), qvk__linear_is_gated(c));
    return qvk__planner_may_use(planner, out->kernel);
}

/* ---- a few rows ----------------------------------------------------------------------------------------- */

/* Kernels by activation: float32, float16, int8 rows. */
static const qvk__kernel mv_kernels[2][3] = {
    {QVK__KERNEL_LINEAR_F32_QB4W_MV, QVK__KERNEL_LINEAR_F16_QB4W_MV, QVK__KERNEL_LINEAR_QD8_QB4W_MV},
    {QVK__KERNEL_LINEAR_F32_QB8W_MV, QVK__KERNEL_LINEAR_F16_QB8W_MV, QVK__KERNEL_LINEAR_QD8_QB8W_MV},
};
enum { MV_F32, MV_F16, MV_ROWS };

/* Subgroups of a size known beforehand: always that size, or on demand. */
static bool knows_subgroups(const qvk__gpu_caps *caps)
{
    return caps->subgroup_size_min == caps->subgroup_size_max ||
           (caps->flags & QVK__CAP_SUBGROUP_SIZE_CONTROL) != 0;
}

static uint32_t required_subgroup(const qvk__gpu_caps *caps)
{
    return caps->subgroup_size_min == caps->subgroup_size_max ? 0 : caps->subgroup_size;
}

/* Rows of a panel and subgroups fit: the kernels for one and for few rows count on it. */
static bool has_fitting_subgroups(const qvk__gpu_caps *caps)
{
    return knows_subgroups(caps) && caps->subgroup_size >= PANEL && caps->subgroup_size <= 128;
}

/* Chunks of 16 bytes of a packed row. */
static uint64_t chunks_of(const qvk__linear_weights *w)
{
    return w->k_padded * qvk__linear_bits(w->format) / 128;
}

/* Invocations of a work group, of which eight share a chunk: no more than have one, whole subgroups. */
static uint32_t group_threads(const qvk__gpu_caps *caps, uint32_t wanted, uint64_t chunks)
{
    uint32_t threads = QVK__MIN(wanted, caps->max_invocations);

    while (threads > 2 * caps->subgroup_size && threads / PANEL > chunks)
        threads /= 2;
    return QVK__MAX(threads - threads % caps->subgroup_size, caps->subgroup_size);
}

static int mv_activation(const qvk__linear_call *c, qvk__linear_choice *out)
{
    const bool half = c->x_dtype == QVK_DTYPE_F16, ready = is_whole(c);

    if (is_float(c)) {
        out->form = ready ? QVK__FORM_AS_IS : half ? QVK__FORM_F16 : QVK__FORM_F32;
        return half ? MV_F16 : MV_F32;
    }
    out->form = c->x_dtype == QVK_DTYPE_I8 && ready && IS(c, 8) ? QVK__FORM_AS_IS : QVK__FORM_I8;
    return MV_ROWS;
}

/* Rows up to which reading the weights once decides. Cooperative matrices take 16 in the time of one. */
static uint64_t mv_most_rows(const qvk__planner *planner, const qvk__linear_call *c)
{
    if (planner->linear_tuning && planner->linear_tuning->mv_max_rows)
        return planner->linear_tuning->mv_max_rows;
    return is_float(c) && c->x_dtype == QVK_DTYPE_F16 && qvk__linear_has_matrices(planner->caps, false, 16)
               ? 5
               : 8;
}

/* Sums of subgroups: floats, and integers where there is one scale a row. */
static uint64_t mv_shared(const qvk__linear_call *c, uint32_t threads, uint32_t panels,
                          uint32_t subgroup_size)
{
    const uint64_t sums = threads / subgroup_size * c->M * panels * PANEL;

    return sums * (!is_float(c) && c->weights.n_groups == 1 ? 8 : 4);
}

static bool choose_mv(const qvk__planner *planner, qvk__linear_call *c, qvk__linear_choice *out)
{
    const qvk__gpu_caps *caps = planner->caps;

    if (c->M > mv_most_rows(planner, c) || !has_fitting_subgroups(caps))
        return false;
    *out = (qvk__linear_choice){.family = QVK__LINEAR_MV,
                                .k_align = 32,
                                .group_align = 8,
                                .chunk_bytes = 16,
                                .subgroup_size = required_subgroup(caps),
                                .invocations = 1,
                                .adds_residual = true,
                                .gates = true,
                                .writes_narrow = true};
    lay_out(c, out);
    out->kernel = mv_kernels[IS(c, 8)][mv_activation(c, out)];
    if (!qvk__planner_may_use(planner, out->kernel))
        return false;

    const qvk__linear_tuning *tuning = qvk__linear_tuning_of(planner, c, QVK__ROWS_FEW, &out->tuned_as);
    const uint64_t panels = qvk__div_up(c->weights.N, PANEL);
    const uint32_t wanted = tuning->mv_panels ? tuning->mv_panels : panels >= 1024 ? 2 : 1;
    const uint32_t per_group = QVK__MAX(wanted, least_panels(c));
    const uint32_t threads =
        group_threads(caps, tuning->mv_threads ? tuning->mv_threads : 256, chunks_of(&c->weights));
    /* Eights of k that share a scale, in words. */
    const uint32_t eights = power_of_two_in(c->weights.group_padded / 8, 4);
    const uint32_t words = IS(c, 8) ? QVK__MIN(2 * eights, 4) : eights;
    out->rows = c->M;
    out->columns = per_group * PANEL;
    SET_SPECS(out, threads, per_group, (uint32_t)c->M, c->weights.n_groups == 1 ? 4 : words,
              !is_float(c) && c->weights.n_groups == 1, caps->subgroup_size, qvk__linear_is_gated(c));
    return mv_shared(c, threads, per_group, caps->subgroup_size) <= caps->shared_bytes;
}

/* ---- one row -------------------------------------------------------------------------------------------- */

/* Kernels by activation: float32, float16 as it is; quantized from float32, from float16. */
#define ROW_KERNELS(w)                                                                                       \
    {                                                                                                        \
        QVK__KERNEL_LINEAR_F32_##w##_ROW, QVK__KERNEL_LINEAR_F16_##w##_ROW,                                  \
            QVK__KERNEL_LINEAR_F32Q_##w##_ROW, QVK__KERNEL_LINEAR_F16Q_##w##_ROW                             \
    }
static const qvk__kernel row_kernels[2][4] = {ROW_KERNELS(QB4W), ROW_KERNELS(QB8W)};

/* False where activations are of a kind that these kernels do not take. */
static bool row_activation(const qvk__gpu_caps *caps, const qvk__linear_call *c, qvk__linear_choice *out)
{
    const bool half = c->x_dtype == QVK_DTYPE_F16;

    out->form = is_whole(c) ? QVK__FORM_AS_IS : half ? QVK__FORM_F16 : QVK__FORM_F32;
    out->quantizes_here = !is_float(c);
    out->kernel = row_kernels[IS(c, 8)][2 * out->quantizes_here + half];
    if (is_float(c))
        return (caps->flags & QVK__CAP_DOT8_ACCELERATED) != 0;
    return is_whole(c) && c->x_dtype != QVK_DTYPE_I8;
}

/* Activations as one to three int8 digits, the digits' steps or the row's quantizer, and sums of subgroups.
 */
static uint64_t row_shared(const qvk__linear_call *c, uint32_t threads, uint32_t panels,
                           uint32_t subgroup_size)
{
    const uint64_t k = c->weights.k_padded;
    const uint64_t digits = !is_float(c) ? 1 : c->x_dtype == QVK_DTYPE_F16 ? 2 : 3;

    return digits * k + (is_float(c) ? 4 * chunks_of(&c->weights) : 16) +
           threads / subgroup_size * (4ull * panels * PANEL + 8 + (c->norm.is_there ? 4 : 0));
}

/*
 * Work groups that make more columns bring activations into shared memory less often, as long as every
 * compute unit still has two; for long rows of 4-bit weights, of which that is a larger part, one. Few work
 * groups are better large.
 */
static void row_shape(const qvk__gpu_caps *caps, const qvk__linear_tuning *tuning, const qvk__linear_call *c,
                      uint32_t *threads, uint32_t *panels, uint32_t *ahead)
{
    const uint64_t chunks = chunks_of(&c->weights);
    const uint64_t n_panels = qvk__div_up(c->weights.N, PANEL), units = qvk__linear_units(caps);
    const bool is_long = IS(c, 4) && caps->max_invocations >= 1024 && chunks >= 3 * 1024 / PANEL;

    *panels = 4;
    while (*panels > 1 && n_panels / *panels * 16 < units * (is_long ? 15 : 31))
        *panels /= 2;
    if (tuning->row_panels)
        *panels = tuning->row_panels;
    *panels = QVK__MAX(*panels, least_panels(c));
    *threads = n_panels / *panels > 3 * units ? 256 : is_long && n_panels / *panels <= units ? 1024 : 512;
    if (tuning->row_threads)
        *threads = tuning->row_threads;
    *threads = group_threads(caps, *threads, chunks);
    *ahead = tuning->row_ahead ? tuning->row_ahead : *panels > 1 ? 1 : 2;
    *ahead = (uint32_t)QVK__MIN(*ahead, qvk__div_up(chunks, *threads / PANEL));
}

/*
 * Can every work group normalize the row, and keep what it has of it in registers meanwhile? *kept: eights of
 * k that an invocation keeps. Memory that all work groups read then comes from a cache; the norm's own
 * dispatch, and the wait for it, are saved.
 */
static bool normalizes_here(const qvk__planner *planner, const qvk__linear_call *c, uint32_t threads,
                            uint32_t *kept)
{
    enum { MOST_KEPT = 4 };

    *kept = (uint32_t)qvk__div_up(c->weights.k_padded / 8, threads);
    return c->norm.is_there && is_whole(c) && *kept <= MOST_KEPT &&
           !(planner->linear_tuning && planner->linear_tuning->norm_apart);
}

static bool choose_row(const qvk__planner *planner, qvk__linear_call *c, qvk__linear_choice *out)
{
    const qvk__gpu_caps *caps = planner->caps;
    const uint64_t chunk = 128 / qvk__linear_bits(c->weights.format);

    if (c->M != 1 || !has_fitting_subgroups(caps))
        return false;
    *out = (qvk__linear_choice){.family = QVK__LINEAR_ROW,
                                .k_align = 32,
                                .group_align = 8,
                                .chunk_bytes = 16,
                                .subgroup_size = required_subgroup(caps),
                                .rows = 1,
                                .invocations = 1,
                                .adds_residual = true,
                                .gates = true,
                                .writes_narrow = true};
    lay_out(c, out);
    const bool one_group = c->weights.n_groups == 1;
    if (!row_activation(caps, c, out) || (!one_group && c->weights.group_padded % chunk != 0))
        return false;

    uint32_t threads, per_group, ahead;
    row_shape(caps, qvk__linear_tuning_of(planner, c, QVK__ROWS_ONE, &out->tuned_as), c, &threads, &per_group,
              &ahead);
    out->columns = per_group * PANEL;
    uint32_t kept;
    const bool normalizes = normalizes_here(planner, c, threads, &kept);
    if (normalizes)
        out->norm = QVK__NORM_HERE;
    SET_SPECS(out, threads, per_group, ahead, (uint32_t)c->weights.k_padded,
              one_group ? 0 : (uint32_t)(c->weights.group_padded / chunk), caps->subgroup_size,
              normalizes ? 1 + (uint32_t)c->norm.weight_dtype : 0, c->norm.rounding, normalizes ? kept : 1,
              qvk__linear_is_gated(c));
    return qvk__planner_may_use(planner, out->kernel) &&
           row_shared(c, threads, per_group, caps->subgroup_size) <= caps->shared_bytes;
}

/* ---- many rows ------------------------------------------------------------------------------------------ */

/* Int8 activations for tiles: whole int8 rows are read as they are. */
static void use_int8_rows(const qvk__linear_call *c, qvk__linear_choice *out)
{
    out->form = c->x_dtype == QVK_DTYPE_I8 && IS(c, 8) && is_whole(c) ? QVK__FORM_AS_IS : QVK__FORM_I8;
    out->needs_sums = true;
}

static bool choose_tile(const qvk__planner *planner, qvk__linear_call *c, qvk__linear_choice *out)
{
    const qvk__kernel plain = IS(c, 8) ? QVK__KERNEL_LINEAR_QD8_QB8W_TILE : QVK__KERNEL_LINEAR_QD8_QB4W_TILE;
    const qvk__kernel dot8 =
        IS(c, 8) ? QVK__KERNEL_LINEAR_QD8_QB8W_TILE_DOT8 : QVK__KERNEL_LINEAR_QD8_QB4W_TILE_DOT8;
    const uint32_t tm = c->M <= 16 ? 1 : c->M <= 32 ? 2 : 4, tn = 4;

    if (planner->caps->type == QVK__GPU_CPU || planner->caps->max_invocations < 256)
        return false;
    *out = (qvk__linear_choice){.family = QVK__LINEAR_TILE,
                                .k_align = 32,
                                .group_align = 8,
                                .chunk_bytes = 16,
                                .rows = 16 * tm,
                                .columns = 16 * tn,
                                .invocations = 1,
                                .adds_residual = true,
                                .writes_narrow = true};
    lay_out(c, out);
    if (is_float(c)) {
        out->kernel = IS(c, 8) ? QVK__KERNEL_LINEAR_F32_QB8W_TILE : QVK__KERNEL_LINEAR_F32_QB4W_TILE;
        out->form = is_whole(c) && c->x_dtype == QVK_DTYPE_F32 ? QVK__FORM_AS_IS : QVK__FORM_F32;
    } else {
        out->kernel = qvk__planner_may_use(planner, dot8) ? dot8 : plain;
        use_int8_rows(c, out);
    }
    SET_SPECS(out, tm, tn, c->weights.n_groups == 1, power_of_two_in(c->weights.group_padded / 4, 8));
    return qvk__planner_may_use(planner, out->kernel);
}

/* ---- many rows, cooperative matrices -------------------------------------------------------------------- */

qvk__kernel qvk__linear_sum_kernel(const qvk__linear_call *call)
{
    return is_float(call) ? QVK__KERNEL_LINEAR_SUM_FLOAT
           : IS(call, 4)  ? QVK__KERNEL_LINEAR_SUM_QD8_QB4W
                          : QVK__KERNEL_LINEAR_SUM_QD8_QB8W;
}

/* k is split until there is work for every compute unit, but parts stay long enough to be worth their sum. */
static uint32_t coopmat_splits(const qvk__planner *planner, const qvk__linear_call *c,
                               const qvk__linear_choice *how, uint32_t splits, uint32_t groups_a_unit)
{
    enum { MIN_STAGES = 8 };
    const bool can_sum = qvk__planner_may_use(planner, qvk__linear_sum_kernel(c));
    const uint64_t tiles = qvk__div_up(c->M, how->rows) * qvk__div_up(c->weights.N, how->columns);
    const uint64_t most = c->weights.k_padded / how->k_align / MIN_STAGES;
    const uint64_t wanted = splits ? splits : groups_a_unit * qvk__linear_units(planner->caps) / tiles;

    return can_sum ? (uint32_t)QVK__MAX(QVK__MIN(wanted, most), 1) : 1;
}

/* Kernels by where weights are unpacked (coopmat, lanes) and their bits. */
static qvk__kernel coopmat_kernel(const qvk__linear_call *c, bool in_lanes)
{
    if (!is_float(c))
        return IS(c, 8) ? QVK__KERNEL_LINEAR_QD8_QB8W_COOPMAT : QVK__KERNEL_LINEAR_QD8_QB4W_COOPMAT;
    if (in_lanes)
        return IS(c, 8) ? QVK__KERNEL_LINEAR_F16_QB8W_LANES : QVK__KERNEL_LINEAR_F16_QB4W_LANES;
    return IS(c, 8) ? QVK__KERNEL_LINEAR_F16_QB8W_COOPMAT : QVK__KERNEL_LINEAR_F16_QB4W_COOPMAT;
}

/* linear_lanes.comp: subgroups of 32, float16, and no chunk with two scales. */
static bool can_fill_lanes(const qvk__gpu_caps *caps, const qvk__linear_call *c, uint32_t scales)
{
    return caps->subgroup_size == 32 && is_float(c) && scales == 1;
}

static bool choose_matrices(const qvk__planner *planner, qvk__linear_call *c, bool in_lanes,
                            qvk__linear_choice *out)
{
    const qvk__gpu_caps *caps = planner->caps;
    const bool is_int8 = !is_float(c), one_group = c->weights.n_groups == 1;
    const uint32_t step = is_int8 ? 32 : 16;
    const uint32_t scales = one_group || qvk__round_up(c->weights.group_size, step) % (2 * step) == 0 ? 1 : 2;
    const qvk__linear_rows rows = c->M <= 16 ? QVK__ROWS_16 : c->M <= 32 ? QVK__ROWS_32 : QVK__ROWS_MANY;
    const qvk__coopmat_use use = {in_lanes, step, scales};
    uint32_t tuned_as;
    const qvk__linear_tuning *tuning = qvk__linear_tuning_of(planner, c, rows, &tuned_as);
    const qvk__coopmat_tile tile = qvk__coopmat_tile_of(planner, tuning, c, &use);
    const uint32_t threads = tile.warps_m * tile.warps_n * caps->subgroup_size;

    /* float32 activations would be rounded to float16. */
    if (!qvk__linear_has_matrices(caps, is_int8, step) || !knows_subgroups(caps) ||
        (!is_int8 && c->x_dtype != QVK_DTYPE_F16) || (in_lanes && !can_fill_lanes(caps, c, scales)))
        return false;
    *out = (qvk__linear_choice){.family = in_lanes ? QVK__LINEAR_LANES : QVK__LINEAR_COOPMAT,
                                .kernel = coopmat_kernel(c, in_lanes),
                                .k_align = 2 * step * tile.parts,
                                .group_align = step,
                                .chunk_bytes = 16,
                                .subgroup_size = required_subgroup(caps),
                                .tuned_as = tuned_as,
                                .rows = tile.warps_m * tile.frags_m * 16,
                                .columns = tile.warps_n * tile.frags_n * 16,
                                .invocations = 1,
                                .adds_residual = true,
                                .writes_narrow = true};
    lay_out(c, out);
    if (is_int8)
        use_int8_rows(c, out);
    else
        out->form = is_whole(c) ? QVK__FORM_AS_IS : QVK__FORM_F16;
    out->splits = coopmat_splits(planner, c, out, tuning->splits, tile.groups_a_unit);
    SET_SPECS(out, threads, caps->subgroup_size, tile.warps_m, tile.warps_n, tile.frags_m, tile.frags_n,
              tile.buffers, one_group, scales, tile.parts, (uint32_t)c->weights.group_padded);
    return qvk__coopmat_fits(caps, &tile, &use) && qvk__planner_may_use(planner, out->kernel);
}

/* Padding small groups to the coarser grain of matrices must not double the work. */
static bool wastes(const qvk__linear_call *c)
{
    return 2 * c->weights.k_padded > 3 * qvk__round_up(c->weights.K, 64);
}

static void choose(const qvk__planner *planner, qvk__linear_call *call, qvk__linear_choice *out)
{
    const qvk__linear_family family = planner->linear_tuning ? planner->linear_tuning->family : 0;
    const bool is_cpu = planner->caps->type == QVK__GPU_CPU;
    /* The family asked for, or else any; what is no use on a device falls through to the next. */
#define MAY_BE(id) (family == 0 || family == QVK__LINEAR_##id)

    if (MAY_BE(CPU) && choose_cpu(planner, call, out))
        return;
    if (MAY_BE(ROW) && !is_cpu && choose_row(planner, call, out))
        return;
    if (MAY_BE(MV) && !is_cpu && choose_mv(planner, call, out))
        return;
    if (MAY_BE(LANES) && choose_matrices(planner, call, true, out) && !(family == 0 && wastes(call)))
        return;
    if (MAY_BE(COOPMAT) && choose_matrices(planner, call, false, out) && !(family == 0 && wastes(call)))
        return;
    if ((MAY_BE(TILE) || MAY_BE(COOPMAT) || MAY_BE(LANES)) && choose_tile(planner, call, out))
        return;
#undef MAY_BE
    choose_base(call, out);
}

void qvk__linear_choose(const qvk__planner *planner, qvk__linear_call *call, qvk__linear_choice *out)
{
    const bool apart = planner->linear_tuning && planner->linear_tuning->norm_apart;

    choose(planner, call, out);
    if (!call->norm.is_there || out->norm == QVK__NORM_HERE)
        return;
    /* What is quantized row by row goes over the row anyway. */
    out->norm = call->activation == QVK__ACTIVATION_CHOSEN && out->form != QVK__FORM_AS_IS && !apart
                    ? QVK__NORM_PREPARING
                    : QVK__NORM_APART;
}
