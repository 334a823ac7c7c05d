/* Operators that move elements as they are: views, permutations, slices, splits, cat: shaders/strided.comp.
 */
#include "core/dtype.h"
#include "kernels/plan.h"

/* How a side is walked; the numbers are those of the shader. */
typedef enum side_mode { MODE_FLAT = 0, MODE_ROWS, MODE_STRIDED } side_mode;

enum { SOURCE, TARGET };

static side_mode mode_of(const qvk__walk *walk, int side)
{
    if (!qvk__walk_is_quads(walk, side))
        return MODE_STRIDED;
    return qvk__walk_is_flat(walk, side) ? MODE_FLAT : MODE_ROWS;
}

/* ---- tiles ---------------------------------------------------------------------------------------------- */

#define TILE 32 /* of shaders/transpose.comp */

/* The dimension along which the source's neighbours lie, when that is not the target's and both are long
 * enough for tiles; -1: none. */
static int tile_dim(const qvk__planner *planner, const qvk__walk *walk)
{
    const int last = walk->rank - 1;

    if (planner->caps->type == QVK__GPU_CPU || last < 1 || walk->strides[TARGET][last] != 1 ||
        walk->sizes[last] < TILE / 2)
        return -1;
    for (int d = 0; d < last; d++)
        if (walk->strides[SOURCE][d] == 1 && walk->sizes[d] >= TILE / 2)
            return d;
    return -1;
}

static void remove_dim(qvk__walk *walk, int dim)
{
    for (int d = dim; d + 1 < walk->rank; d++) {
        walk->sizes[d] = walk->sizes[d + 1];
        for (int set = 0; set < walk->n_sets; set++)
            walk->strides[set][d] = walk->strides[set][d + 1];
    }
    walk->rank--;
}

/* Do rows of the target, along its last dimension, begin at multiples of four and hold whole fours? */
static bool rows_are_quads(const qvk__walk *walk)
{
    bool quads = walk->start[TARGET] % 4 == 0 && walk->sizes[walk->rank - 1] % 4 == 0;

    for (int d = 0; d < walk->rank - 1; d++)
        quads = quads && walk->strides[TARGET][d] % 4 == 0;
    return quads;
}

static qvk_status plan_tiles(qvk__planner *planner, qvk__dispatch *d, const qvk__walk *walk, int p,
                             qvk_error *err)
{
    const int q = walk->rank - 1;
    const uint64_t p_tiles = qvk__div_up((uint64_t)walk->sizes[p], TILE),
                   q_tiles = qvk__div_up((uint64_t)walk->sizes[q], TILE);
    qvk__walk outer = *walk;

    remove_dim(&outer, q);
    remove_dim(&outer, p);
    d->kernel = QVK__KERNEL_TRANSPOSE;
    qvk__dispatch_int(d, qvk__walk_numel(&outer));
    qvk__dispatch_int(d, outer.rank);
    qvk__dispatch_int(d, walk->sizes[p]);
    qvk__dispatch_int(d, walk->sizes[q]);
    qvk__dispatch_int(d, walk->start[SOURCE]);
    qvk__dispatch_int(d, walk->start[TARGET]);
    qvk__dispatch_int(d, walk->strides[SOURCE][q]);
    qvk__dispatch_int(d, walk->strides[TARGET][p]);
    qvk__dispatch_uint(d, p_tiles);
    qvk__dispatch_uint(d, q_tiles);
    qvk__dispatch_uint(d, rows_are_quads(walk));
    qvk__dispatch_uint(d, 0); /* the block's vectors are aligned to 16 bytes */
    qvk__dispatch_sizes(d, &outer);
    qvk__dispatch_strides(d, &outer, SOURCE);
    qvk__dispatch_strides(d, &outer, TARGET);
    qvk__dispatch_groups(planner, d, (uint64_t)qvk__walk_numel(&outer) * p_tiles * q_tiles);
    return planner->dispatch(planner, d, err);
}

/* Sets SOURCE and TARGET of the walk say where elements come from and go to. */
static qvk_status plan_move(qvk__planner *planner, qvk__ref source, qvk__ref target, qvk__walk walk,
                            qvk_dtype dtype, qvk_error *err)
{
    const uint64_t numel = (uint64_t)qvk__walk_numel(&walk);
    qvk__dispatch d = {.kernel = QVK__KERNEL_STRIDED};

    if (numel == 0)
        return QVK_OK;
    qvk__walk_collapse(&walk);
    QVK__TRY(qvk__walk_check(&walk, err));
    d.bytes = 2 * numel * qvk_dtype_bytes(qvk__device_dtype(dtype));
    qvk__dispatch_read(&d, source);
    qvk__dispatch_write(&d, target);
    qvk__dispatch_spec(&d, qvk__device_dtype(dtype));
    if (tile_dim(planner, &walk) >= 0)
        return plan_tiles(planner, &d, &walk, tile_dim(planner, &walk), err);
    qvk__dispatch_uint(&d, numel);
    qvk__dispatch_uint(&d, (uint64_t)walk.rank);
    qvk__dispatch_int(&d, walk.start[SOURCE]);
    qvk__dispatch_int(&d, walk.start[TARGET]);
    qvk__dispatch_uint(&d, mode_of(&walk, SOURCE));
    qvk__dispatch_uint(&d, mode_of(&walk, TARGET));
    qvk__dispatch_uint(&d, 0); /* the block's vectors are aligned to 16 bytes */
    qvk__dispatch_uint(&d, 0);
    qvk__dispatch_sizes(&d, &walk);
    qvk__dispatch_strides(&d, &walk, SOURCE);
    qvk__dispatch_strides(&d, &walk, TARGET);
    qvk__dispatch_quads(planner, &d, numel);
    return planner->dispatch(planner, &d, err);
}

/* ---- views ---------------------------------------------------------------------------------------------- */

static bool may_share(const qvk__planner *planner, int32_t in, int32_t out)
{
    return !planner->graph->values.data[in].is_mutable && !planner->graph->values.data[out].is_mutable;
}

/* A walk from elements read through a view to consecutive ones. */
static qvk__walk walk_view(const qvk__view *view)
{
    qvk__walk walk = {.n_sets = 2, .rank = view->rank};
    int64_t step = 1;

    walk.start[SOURCE] = view->offset;
    memcpy(walk.sizes, view->sizes, sizeof walk.sizes);
    memcpy(walk.strides[SOURCE], view->strides, sizeof walk.strides[SOURCE]);
    for (int i = view->rank - 1; i >= 0; i--) {
        walk.strides[TARGET][i] = step;
        step *= view->sizes[i];
    }
    return walk;
}

static qvk__view view_whole(const qvk_tensor *tensor)
{
    return (qvk__view){.rank = 1, .sizes = {qvk_tensor_numel(tensor)}, .strides = {1}};
}

qvk_status qvk__plan_copy_of(qvk__planner *planner, int32_t in, int32_t out, qvk_error *err)
{
    const qvk_tensor *source = planner->desc(planner, in);
    const qvk__view whole = view_whole(source);

    return plan_move(planner, qvk__ref_value(in), qvk__ref_value(out), walk_view(&whole), source->dtype, err);
}

qvk_status qvk__plan_view_of(qvk__planner *planner, int32_t in, const qvk__view *view, int32_t out,
                             qvk_error *err)
{
    const qvk_tensor *source = planner->desc(planner, in);
    const qvk__view whole = view_whole(source), *read = view ? view : &whole;
    const qvk__walk walk = walk_view(read);

    if (qvk__walk_is_flat(&walk, SOURCE) && read->offset == 0 &&
        qvk__view_numel(read) == qvk_tensor_numel(source) && may_share(planner, in, out))
        return planner->alias(planner, out, in, err);
    return plan_move(planner, qvk__ref_value(in), qvk__ref_value(out), walk, source->dtype, err);
}

qvk_status qvk__plan_view(qvk__planner *planner, const qvk__node *node, qvk_error *err)
{
    qvk__call call;

    QVK__TRY(qvk__call_of(planner, node, &call, err));
    return qvk__plan_view_of(planner, qvk__call_value(node, 0), NULL, node->outs[0], err);
}

qvk_status qvk__plan_strided(qvk__planner *planner, const qvk__node *node, qvk_error *err)
{
    qvk_tensor shape = {0};
    qvk__view view;
    qvk__call call;

    QVK__TRY(qvk__call_of(planner, node, &call, err));
    QVK__TRY(qvk__view_of(node->op, call.args, &view, &shape, err));
    return qvk__plan_view_of(planner, qvk__call_value(node, 0), &view, node->outs[0], err);
}

qvk_status qvk__plan_split(qvk__planner *planner, const qvk__node *node, qvk_error *err)
{
    qvk_tensor shape = {0};
    qvk__view view;
    qvk__call call;

    QVK__TRY(qvk__call_of(planner, node, &call, err));
    for (int i = 0; i < node->n_outs; i++) {
        if (node->outs[i] < 0)
            continue;
        QVK__TRY(qvk__split_piece(node->op, call.args, i, &view, &shape, err));
        QVK__TRY(qvk__plan_view_of(planner, qvk__call_value(node, 0), &view, node->outs[i], err));
    }
    return QVK_OK;
}

/* ---- cat ------------------------------------------------------------------------------------------------ */

/* Where tensor `index` of a cat, in the result's type, goes. */
static qvk_status place_tensor(qvk__planner *planner, const qvk__concat *concat, qvk__ref source,
                               const qvk_tensor *tensor, int64_t start, qvk__ref out, qvk_error *err)
{
    int64_t strides[QVK_MAX_RANK], own[QVK_MAX_RANK];
    qvk__walk walk = qvk__walk_of(tensor);

    qvk__strides(tensor, own);
    qvk__strides(&concat->shape, strides);
    qvk__walk_add(&walk, own, 0);
    qvk__walk_add(&walk, strides, start * strides[concat->dim]);
    return plan_move(planner, source, out, walk, concat->shape.dtype, err);
}

qvk_status qvk__plan_cat(qvk__planner *planner, const qvk__node *node, qvk_error *err)
{
    const qvk__ref out = qvk__ref_value(node->outs[0]);
    qvk__concat concat;
    qvk__call call;
    int64_t start = 0;

    QVK__TRY(qvk__call_of(planner, node, &call, err));
    QVK__TRY(qvk__concat_of(call.args, &concat, err));
    for (int i = 0; i < concat.n_tensors; i++) {
        const qvk_tensor *tensor = qvk__concat_tensor(&concat, i);
        if (!tensor)
            continue;
        qvk__ref source = qvk__ref_value(node->args[0].u.list[i].u.value);
        if (tensor->dtype != concat.shape.dtype) {
            qvk_tensor converted = *tensor;
            converted.dtype = concat.shape.dtype;
            const qvk__ref original = source;
            QVK__TRY(planner->scratch(planner, qvk__device_bytes(&converted), &source, err));
            QVK__TRY(qvk__plan_cast(planner, original, tensor, source, &converted, err));
        }
        QVK__TRY(place_tensor(planner, &concat, source, tensor, start, out, err));
        start += tensor->sizes[concat.dim];
    }
    return QVK_OK;
}
