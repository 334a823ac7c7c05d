/* Reductions and running sums: shaders/reduce.comp, select.comp, cumsum.comp. */
#include "core/dtype.h"
#include "kernels/plan.h"

#define GROUP 128 /* of shaders/lib/reduce_walk.glsl */

/* The walks over results and over what makes one of them. */
typedef struct reducing {
    qvk__reduction r;
    qvk__walk kept, reduced;
    uint32_t lanes; /* invocations for a result */
    bool columns;   /* neighbouring results lie closer together than neighbouring elements of one */
} reducing;

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

static qvk_status read_reduction(const qvk__call *call, reducing *out, qvk_error *err)
{
    QVK__TRY(qvk__reduction_of(call->node->op, call->args, &out->r, err));
    out->kept = walk_dims(&out->r, false);
    out->reduced = walk_dims(&out->r, true);
    out->columns = inner_stride(&out->kept) < inner_stride(&out->reduced);
    /* Enough lanes to share long sums, few enough that a group is full of work. */
    out->lanes = out->r.count >= 1024 ? 128 : out->r.count >= 64 ? 32 : 8;
    return QVK_OK;
}

static void append_reduction(const qvk__planner *planner, const reducing *c, qvk__dispatch *d)
{
    qvk__dispatch_int(d, c->r.n_results);
    qvk__dispatch_int(d, c->r.count);
    qvk__dispatch_int(d, c->kept.rank);
    qvk__dispatch_int(d, c->reduced.rank);
    qvk__dispatch_float(d, (float)c->r.correction);
    qvk__dispatch_float(d, (float)c->r.order);
    qvk__dispatch_uint(d, c->lanes);
    qvk__dispatch_uint(d, c->columns);
    qvk__dispatch_sizes(d, &c->kept);
    qvk__dispatch_strides(d, &c->kept, 0);
    qvk__dispatch_sizes(d, &c->reduced);
    qvk__dispatch_strides(d, &c->reduced, 0);
    qvk__dispatch_groups(planner, d, qvk__div_up((uint64_t)c->r.n_results, GROUP / c->lanes));
    d->ops = (uint64_t)(c->r.n_results * c->r.count);
    d->bytes = qvk__device_bytes(c->r.self);
}

/* ---- the greatest and the least ------------------------------------------------------------------------- */

/* values and indices: -1 for one that is not wanted. */
static qvk_status plan_select(qvk__planner *planner, const qvk__node *node, const reducing *c, int32_t values,
                              int32_t indices, qvk_error *err)
{
    const bool ints = !qvk__dtype_is_float(c->r.self->dtype);
    qvk__dispatch d = {.kernel = ints ? QVK__KERNEL_SELECT_I32 : QVK__KERNEL_SELECT_F32};

    if (c->r.n_results == 0 || (values < 0 && indices < 0))
        return QVK_OK;
    qvk__dispatch_read(&d, qvk__ref_value(qvk__call_value(node, 0)));
    qvk__dispatch_write(&d, qvk__ref_value(values >= 0 ? values : indices));
    qvk__dispatch_write(&d, qvk__ref_value(indices >= 0 ? indices : values));
    qvk__dispatch_spec(&d, c->r.fn);
    qvk__dispatch_spec(&d, qvk__device_dtype(c->r.self->dtype));
    qvk__dispatch_spec(&d, qvk__device_dtype(c->r.self->dtype));
    qvk__dispatch_spec(&d, qvk__device_dtype(c->r.self->dtype));
    qvk__dispatch_spec(&d, values >= 0);
    qvk__dispatch_spec(&d, indices >= 0);
    append_reduction(planner, c, &d);
    return planner->dispatch(planner, &d, err);
}

qvk_status qvk__plan_argreduce(qvk__planner *planner, const qvk__node *node, qvk_error *err)
{
    qvk__call call;
    reducing c;

    QVK__TRY(qvk__call_of(planner, node, &call, err));
    QVK__TRY(read_reduction(&call, &c, err));
    return plan_select(planner, node, &c, -1, node->outs[0], err);
}

qvk_status qvk__plan_max_dim(qvk__planner *planner, const qvk__node *node, qvk_error *err)
{
    qvk__call call;
    reducing c;

    QVK__TRY(qvk__call_of(planner, node, &call, err));
    QVK__TRY(read_reduction(&call, &c, err));
    return plan_select(planner, node, &c, node->outs[0], node->outs[1], err);
}

/* ---- sums ----------------------------------------------------------------------------------------------- */

qvk_status qvk__plan_reduce(qvk__planner *planner, const qvk__node *node, qvk_error *err)
{
    qvk__call call;
    reducing c;

    QVK__TRY(qvk__call_of(planner, node, &call, err));
    QVK__TRY(read_reduction(&call, &c, err));
    if (c.r.fn == QVK__REDUCE_MAX || c.r.fn == QVK__REDUCE_MIN)
        return plan_select(planner, node, &c, node->outs[0], -1, err);
    const bool logical = c.r.fn == QVK__REDUCE_ANY || c.r.fn == QVK__REDUCE_ALL;
    const bool ints = !qvk__dtype_is_float(logical ? c.r.self->dtype : c.r.common);
    qvk__dispatch d = {.kernel = ints ? QVK__KERNEL_REDUCE_I32 : QVK__KERNEL_REDUCE_F32};
    if (c.r.n_results == 0)
        return QVK_OK;
    qvk__dispatch_read(&d, qvk__ref_value(qvk__call_value(node, 0)));
    qvk__dispatch_write(&d, qvk__ref_value(node->outs[0]));
    qvk__dispatch_spec(&d, c.r.fn);
    qvk__dispatch_spec(&d, qvk__device_dtype(c.r.self->dtype));
    qvk__dispatch_spec(&d, qvk__device_dtype(qvk__call_out(planner, node, 0)->dtype));
    qvk__dispatch_spec(&d, qvk__device_dtype(c.r.common));
    append_reduction(planner, &c, &d);
    return planner->dispatch(planner, &d, err);
}

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
