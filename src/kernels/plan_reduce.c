/* Reductions and running sums: shaders/reduce.comp, select.comp, cumsum.comp. */
#include "core/dtype.h"
#include "kernels/plan.h"

#define GROUP 128 /* of shaders/lib/reduce_walk.glsl */
/* Work groups that keep a big device busy, and elements of a result that are worth a work group of their own.
 */
#define MANY_GROUPS   1024
#define SEGMENT_LEAST 2048

/* One pass: the walks over its results and over what makes one of them. */
typedef struct pass {
    qvk__ref x, y;
    qvk_dtype x_dtype, y_dtype;
    qvk__walk kept, reduced;
    int64_t results, count;  /* `count` elements make one result */
    int64_t segments, total; /* results of this pass, and elements, that make one result of the last */
    bool columns;            /* neighbouring results lie closer together than neighbouring elements of one */
    bool partial_in, partial_out;
} pass;

static qvk__walk walk_dims(const qvk__reduction *r, bool of_reduced)
{
    int64_t all[QVK_MAX_RANK], strides[QVK_MAX_RANK];
    qvk_tensor shape = {0};

    qvk__strides(r->self, all);
    for (int d = 0; d < r->self->rank; d++) {
        if ((r->mask >> d & 1) != of_reduced)
            continue;
        strides[shape.rank] = all[d];
        shape.sizes[shape.rank++] = r->self->sizes[d];
    }
    qvk__walk walk = qvk__walk_of(&shape);
    qvk__walk_add(&walk, strides, 0);
    qvk__walk_collapse(&walk);
    return walk;
}

static int64_t inner_stride(const qvk__walk *walk)
{
    return walk->rank > 0 ? walk->strides[0][walk->rank - 1] : INT64_MAX;
}

static pass pass_of(const qvk__node *node, const qvk__reduction *r)
{
    pass p = {
        .x = qvk__ref_value(qvk__call_value(node, 0)),
        .x_dtype = r->self->dtype,
        .kept = walk_dims(r, false),
        .reduced = walk_dims(r, true),
        .results = r->n_results,
        .count = r->count,
        .segments = 1,
        .total = r->count,
    };
    p.columns = inner_stride(&p.kept) < inner_stride(&p.reduced);
    return p;
}

/* Invocations for a result: enough to share long sums; in columns so few that neighbours read whole lines. */
static uint32_t lanes_of(const pass *p)
{
    if (p->columns)
        return p->count >= 16 ? 4 : 1;
    return p->count >= 1024 ? GROUP : p->count >= 64 ? 32 : 8;
}

static bool reads_quads(const pass *p)
{
    bool quads = !p->columns && p->reduced.rank == 1 && p->reduced.strides[0][0] == 1 && p->count % 4 == 0 &&
                 p->total % 4 == 0;

    for (int d = 0; d < p->kept.rank; d++)
        quads = quads && p->kept.strides[0][d] % 4 == 0;
    return quads;
}

/* ---- dispatches ----------------------------------------------------------------------------------------- */

/* Constants and parameters of shaders/lib/reduce_walk.glsl. */
static void append_pass(const qvk__planner *planner, const qvk__reduction *r, const pass *p, qvk__dispatch *d)
{
    qvk__dispatch_spec(d, r->fn);
    qvk__dispatch_spec(d, qvk__device_dtype(p->x_dtype));
    qvk__dispatch_spec(d, qvk__device_dtype(p->y_dtype));
    qvk__dispatch_spec(d, qvk__device_dtype(p->partial_in ? p->x_dtype : r->common));
    qvk__dispatch_int(d, p->results);
    qvk__dispatch_int(d, p->count);
    qvk__dispatch_int(d, p->kept.rank);
    qvk__dispatch_int(d, p->reduced.rank);
    qvk__dispatch_float(d, (float)r->correction);
    qvk__dispatch_float(d, (float)r->order);
    qvk__dispatch_uint(d, lanes_of(p));
    qvk__dispatch_uint(d, p->columns);
    qvk__dispatch_int(d, p->segments);
    qvk__dispatch_int(d, p->total);
    qvk__dispatch_uint(d, reads_quads(p));
    qvk__dispatch_uint(d, 0); /* the block's vectors are aligned to 16 bytes */
    qvk__dispatch_sizes(d, &p->kept);
    qvk__dispatch_strides(d, &p->kept, 0);
    qvk__dispatch_sizes(d, &p->reduced);
    qvk__dispatch_strides(d, &p->reduced, 0);
    qvk__dispatch_groups(planner, d, qvk__div_up((uint64_t)p->results, GROUP / lanes_of(p)));
    d->ops = (uint64_t)(p->results * p->count);
    d->bytes = (uint64_t)(p->results * p->count) * qvk_dtype_bytes(qvk__device_dtype(p->x_dtype));
}

static qvk_status plan_pass(qvk__planner *planner, const qvk__reduction *r, const pass *p, qvk_error *err)
{
    const bool logical = r->fn == QVK__REDUCE_ANY || r->fn == QVK__REDUCE_ALL;
    const bool ints = !qvk__dtype_is_float(logical ? r->self->dtype : r->common);
    qvk__dispatch d = {.kernel = r->fn == QVK__REDUCE_NORM ? QVK__KERNEL_REDUCE_NORM_F32
                                 : ints                    ? QVK__KERNEL_REDUCE_I32
                                                           : QVK__KERNEL_REDUCE_F32};

    qvk__dispatch_read(&d, p->x);
    qvk__dispatch_write(&d, p->y);
    append_pass(planner, r, p, &d);
    qvk__dispatch_spec(&d, p->partial_in);
    qvk__dispatch_spec(&d, p->partial_out);
    return planner->dispatch(planner, &d, err);
}

/* ---- segments ------------------------------------------------------------------------------------------- */

/* Into how many segments each result is cut, so that few long results keep the whole device busy. */
static int64_t segments_for(const qvk__planner *planner, const qvk__reduction *r, const pass *p)
{
    const int64_t groups = (int64_t)qvk__div_up((uint64_t)p->results, GROUP / lanes_of(p));
    const int64_t least = p->columns ? SEGMENT_LEAST / GROUP : SEGMENT_LEAST;

    if (planner->caps->type == QVK__GPU_CPU || r->fn == QVK__REDUCE_VAR || r->fn == QVK__REDUCE_STD ||
        p->reduced.rank != 1 || p->kept.rank >= QVK__WALK_RANK || groups >= MANY_GROUPS)
        return 1;
    return QVK__MIN(MANY_GROUPS / groups, p->count / least);
}

static void add_dim(qvk__walk *walk, int at, int64_t size, int64_t stride)
{
    for (int d = walk->rank; d > at; d--) {
        walk->sizes[d] = walk->sizes[d - 1];
        walk->strides[0][d] = walk->strides[0][d - 1];
    }
    walk->sizes[at] = size;
    walk->strides[0][at] = stride;
    walk->rank++;
}

/* The first pass makes a result of every segment, side by side as the second one likes to read them. */
static qvk_status plan_segments(qvk__planner *planner, const qvk__reduction *r, const pass *whole,
                                int64_t segments, qvk_error *err)
{
    const bool ints = !qvk__dtype_is_float(r->common);
    pass first = *whole, second = *whole;

    first.count = (int64_t)qvk__round_up(qvk__div_up((uint64_t)whole->count, (uint64_t)segments), 4);
    first.segments = (int64_t)qvk__div_up((uint64_t)whole->count, (uint64_t)first.count);
    first.results = whole->results * first.segments;
    first.partial_out = true;
    first.y_dtype = ints ? QVK_DTYPE_I32 : QVK_DTYPE_F32;
    add_dim(&first.kept, whole->columns ? 0 : whole->kept.rank, first.segments,
            first.count * whole->reduced.strides[0][0]);
    QVK__TRY(planner->scratch(planner, (uint64_t)first.results * 4, &first.y, err));
    second.x = first.y;
    second.x_dtype = first.y_dtype;
    second.partial_in = true;
    second.count = first.segments;
    second.kept = (qvk__walk){.rank = 1, .n_sets = 1, .sizes = {whole->results}};
    second.reduced = (qvk__walk){.rank = 1, .n_sets = 1, .sizes = {first.segments}};
    second.kept.strides[0][0] = whole->columns ? 1 : first.segments;
    second.reduced.strides[0][0] = whole->columns ? whole->results : 1;
    QVK__TRY(plan_pass(planner, r, &first, err));
    return plan_pass(planner, r, &second, err);
}

qvk_status qvk__plan_reduce(qvk__planner *planner, const qvk__node *node, qvk_error *err)
{
    qvk__reduction r;
    qvk__call call;

    QVK__TRY(qvk__call_of(planner, node, &call, err));
    QVK__TRY(qvk__reduction_of(node->op, call.args, &r, err));
    if (r.n_results == 0)
        return QVK_OK;
    pass whole = pass_of(node, &r);
    whole.y = qvk__ref_value(node->outs[0]);
    whole.y_dtype = qvk__call_out(planner, node, 0)->dtype;
    const int64_t segments = segments_for(planner, &r, &whole);
    return segments > 1 ? plan_segments(planner, &r, &whole, segments, err)
                        : plan_pass(planner, &r, &whole, err);
}

/* ---- indices of the greatest and least ------------------------------------------------------------------ */

/* values and indices: -1 for one that is not wanted. */
static qvk_status plan_select(qvk__planner *planner, const qvk__node *node, int32_t values, int32_t indices,
                              qvk_error *err)
{
    qvk__reduction r;
    qvk__call call;

    QVK__TRY(qvk__call_of(planner, node, &call, err));
    QVK__TRY(qvk__reduction_of(node->op, call.args, &r, err));
    if (r.n_results == 0 || (values < 0 && indices < 0))
        return QVK_OK;
    const bool ints = !qvk__dtype_is_float(r.self->dtype);
    qvk__dispatch d = {.kernel = ints ? QVK__KERNEL_SELECT_I32 : QVK__KERNEL_SELECT_F32};
    pass p = pass_of(node, &r);
    p.y_dtype = p.x_dtype;
    qvk__dispatch_read(&d, p.x);
    qvk__dispatch_write(&d, qvk__ref_value(values >= 0 ? values : indices));
    qvk__dispatch_write(&d, qvk__ref_value(indices >= 0 ? indices : values));
    append_pass(planner, &r, &p, &d);
    qvk__dispatch_spec(&d, values >= 0);
    qvk__dispatch_spec(&d, indices >= 0);
    return planner->dispatch(planner, &d, err);
}

qvk_status qvk__plan_argreduce(qvk__planner *planner, const qvk__node *node, qvk_error *err)
{
    return plan_select(planner, node, -1, node->outs[0], err);
}

qvk_status qvk__plan_max_dim(qvk__planner *planner, const qvk__node *node, qvk_error *err)
{
    return plan_select(planner, node, node->outs[0], node->outs[1], err);
}

/* ---- running sums --------------------------------------------------------------------------------------- */

qvk_status qvk__plan_cumsum(qvk__planner *planner, const qvk__node *node, qvk_error *err)
{
    qvk__dispatch d = {.kernel = QVK__KERNEL_CUMSUM};
    int64_t outer = 1, size = 1, inner = 1;
    qvk__call call;
    int dim;

    QVK__TRY(qvk__call_of(planner, node, &call, err));
    QVK__TRY(qvk__scan_dim(node->op, call.args, &dim, err));
    const qvk_tensor *self = call.args[0].u.tensor, *out = qvk__call_out(planner, node, 0);
    for (int i = 0; i < self->rank; i++)
        *(i < dim ? &outer : i == dim ? &size : &inner) *= self->sizes[i];
    if (outer * size * inner == 0)
        return QVK_OK;
    d.bytes = qvk__device_bytes(self) + qvk__device_bytes(out);
    qvk__dispatch_read(&d, qvk__ref_value(qvk__call_value(node, 0)));
    qvk__dispatch_write(&d, qvk__ref_value(node->outs[0]));
    qvk__dispatch_spec(&d, qvk__device_dtype(self->dtype));
    qvk__dispatch_spec(&d, qvk__device_dtype(out->dtype));
    qvk__dispatch_spec(&d, !qvk__dtype_is_float(out->dtype));
    qvk__dispatch_int(&d, outer * inner);
    qvk__dispatch_int(&d, size);
    qvk__dispatch_int(&d, inner);
    qvk__dispatch_groups(planner, &d, qvk__div_up((uint64_t)(outer * inner), 64));
    return planner->dispatch(planner, &d, err);
}
