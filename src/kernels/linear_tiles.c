#include "kernels/linear_tiles.h"

/* ---- the table ------------------------------------------------------------------------------------------ */

typedef enum device_class {
#define DEVICE_CLASS(id, subgroup, least_units) CLASS_##id,
#define COOPMAT_TILE(id, ...)
#include "kernels/linear_tiles.def"
#undef DEVICE_CLASS
#undef COOPMAT_TILE
} device_class;

static const struct {
    uint32_t subgroup, least_units;
} device_classes[] = {
#define DEVICE_CLASS(id, subgroup, least_units) {subgroup, least_units},
#define COOPMAT_TILE(id, ...)
#include "kernels/linear_tiles.def"
#undef DEVICE_CLASS
#undef COOPMAT_TILE
};

/* What a kernel adds up: it decides how large tiles may be. */
typedef enum sum_kind { FLOAT16, INT8_GROUPS, INT8 } sum_kind;

static const struct {
    device_class of;
    sum_kind sums;
    qvk__coopmat_tile tile;
} coopmat_tiles[] = {
#define DEVICE_CLASS(id, subgroup, least_units)
#define COOPMAT_TILE(id, sums, ...) {CLASS_##id, sums, {__VA_ARGS__}},
#include "kernels/linear_tiles.def"
#undef DEVICE_CLASS
#undef COOPMAT_TILE
};

bool qvk__linear_has_matrices(const qvk__gpu_caps *caps, bool is_int8, uint32_t k)
{
    for (uint32_t i = 0; i < caps->n_coopmat; i++) {
        const qvk__coopmat_shape *s = &caps->coopmat[i];
        if (s->is_int8 == is_int8 && s->m == 16 && s->n == 16 && s->k == k && (is_int8 || s->f32_result))
            return true;
    }
    return false;
}

static device_class class_of(const qvk__gpu_caps *caps)
{
    int i = 0;

    while (i < CLASS_ANY && (caps->subgroup_size != device_classes[i].subgroup ||
                             caps->compute_units < device_classes[i].least_units ||
                             !qvk__linear_has_matrices(caps, false, 16)))
        i++;
    return (device_class)i;
}

bool qvk__linear_is_measured(const qvk__gpu_caps *caps)
{
    return class_of(caps) != CLASS_ANY;
}

uint64_t qvk__linear_units(const qvk__gpu_caps *caps)
{
    return QVK__MAX(caps->compute_units, 16);
}

/* ---- shapes --------------------------------------------------------------------------------------------- */

const qvk__linear_tuning *qvk__linear_tuning_of(const qvk__planner *planner, const qvk__linear_call *call,
                                                qvk__linear_rows rows, uint32_t *tuned_as)
{
    static const qvk__linear_tuning none;
    const qvk__linear_class class = {.rows = rows,
                                     .is_8bit = qvk__linear_bits(call->weights.format) == 8,
                                     .is_int8 = call->activation != QVK__ACTIVATION_FLOAT,
                                     .is_half = call->x_dtype == QVK_DTYPE_F16,
                                     .is_large = call->weights.N * call->weights.K >= QVK__LINEAR_LARGE};
    const uint32_t index = qvk__linear_class_index(&class);

    *tuned_as = index + 1;
    return planner->linear_tuning  ? planner->linear_tuning
           : planner->linear_tiles ? &planner->linear_tiles[index]
                                   : &none;
}

/* Tiles with their padding and a part's scales. At the end each subgroup has 16 rows to itself. */
static uint64_t shared_bytes(const qvk__coopmat_tile *tile, const qvk__coopmat_use *use)
{
    const uint64_t m = tile->warps_m * tile->frags_m * 16, n = tile->warps_n * tile->frags_n * 16;
    const uint64_t row = 64 * tile->parts + 16, ends = (uint64_t)tile->warps_m * tile->warps_n * 16 * 80;

    if (use->in_lanes)
        return QVK__MAX(tile->buffers * m * row, ends);
    return tile->buffers * ((m + n) * row + tile->parts * use->scales * n * 4);
}

bool qvk__coopmat_fits(const qvk__gpu_caps *caps, const qvk__coopmat_tile *tile, const qvk__coopmat_use *use)
{
    return tile->warps_m * tile->warps_n * caps->subgroup_size <= caps->max_invocations &&
           shared_bytes(tile, use) <= caps->shared_bytes &&
           (use->in_lanes || tile->warps_m <= tile->frags_n * tile->buffers);
}

/* Whole parts of K only, and one buffer where two are too much. */
static qvk__coopmat_tile adapt(const qvk__gpu_caps *caps, qvk__coopmat_tile tile, uint64_t K,
                               const qvk__coopmat_use *use)
{
    tile.parts = QVK__MAX(tile.parts, 1);
    if (K % (2 * use->step * tile.parts) != 0)
        tile.parts = 1;
    if (shared_bytes(&tile, use) > caps->shared_bytes)
        tile.buffers = 1;
    return tile;
}

static uint64_t n_tiles(const qvk__coopmat_tile *tile, const qvk__linear_call *call)
{
    return qvk__div_up(call->M, 16 * tile->warps_m * tile->frags_m) *
           qvk__div_up(call->weights.N, 16 * tile->warps_n * tile->frags_n);
}

static sum_kind sums_of(const qvk__linear_call *call)
{
    if (call->activation == QVK__ACTIVATION_FLOAT)
        return FLOAT16;
    return call->weights.n_groups == 1 ? INT8 : INT8_GROUPS;
}

/* The table's tile for a call. */
static qvk__coopmat_tile table_tile(const qvk__gpu_caps *caps, const qvk__linear_call *call)
{
    const device_class class = class_of(caps);
    const sum_kind sums = sums_of(call);
    size_t i = 0;

    while (coopmat_tiles[i].of != class || coopmat_tiles[i].sums != sums ||
           call->M > coopmat_tiles[i].tile.most_rows)
        i++;
    /* Tiles of several rows of subgroups pay only where there are enough of them without splitting k. */
    const qvk__coopmat_tile *tile = &coopmat_tiles[i].tile;
    if (tile->warps_m > 1 && n_tiles(tile, call) < tile->groups_a_unit * qvk__linear_units(caps))
        tile = &coopmat_tiles[i - 1].tile;
    return *tile;
}

qvk__coopmat_tile qvk__coopmat_tile_of(const qvk__planner *planner, const qvk__linear_tuning *tuning,
                                       const qvk__linear_call *call, const qvk__coopmat_use *use)
{
    const qvk__gpu_caps *caps = planner->caps;
    const qvk__coopmat_tile tuned = adapt(caps, tuning->coopmat, call->weights.K, use);

    if (tuned.warps_m && (tuning == planner->linear_tuning || qvk__coopmat_fits(caps, &tuned, use)))
        return tuned;
    return adapt(caps, table_tile(caps, call), call->weights.K, use);
}
