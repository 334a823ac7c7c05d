/* Reading and writing at places given by index tensors: shaders/index.comp, shaders/index_put.comp. */
#include "core/dtype.h"
#include "kernels/plan.h"

#define MAX_INDICES 4

/* One index tensor of a call: where its values lead to. */
typedef struct index_use {
    qvk__ref buffer;
    int64_t extent; /* values are below this */
    int64_t place;  /* elements of self from one value to the next */
} index_use;

/* ---- reading -------------------------------------------------------------------------------------------- */

/* Sets 0 of the walk are self's strides without the indexed dimensions; 1 and on, those of the indices. */
typedef struct reading {
    qvk__ref self, out;
    qvk_dtype dtype;
    qvk__walk walk;
    int n_indices;
    index_use indices[MAX_INDICES];
} reading;

static void append_uses(qvk__dispatch *d, const index_use *uses, int n)
{
    for (int i = 0; i < 4; i++)
        qvk__dispatch_int(d, i < n ? uses[i].extent : 1);
    for (int i = 0; i < 4; i++)
        qvk__dispatch_int(d, i < n ? uses[i].place : 0);
}

/* May four neighbours of the result be read as four neighbours of self? */
static bool reads_quads(const reading *r)
{
    const int last = r->walk.rank - 1;

    if (!qvk__walk_is_quads(&r->walk, 0) || last < 0 || r->walk.sizes[last] % 4 != 0)
        return false;
    for (int i = 0; i < r->n_indices; i++)
        if (r->walk.strides[i + 1][last] != 0 || r->indices[i].place % 4 != 0)
            return false;
    return r->walk.strides[0][last] == 1;
}

static qvk_status plan_reading(qvk__planner *planner, reading *r, qvk_error *err)
{
    static const qvk__kernel kernels[] = {QVK__KERNEL_INDEX_1, QVK__KERNEL_INDEX_2, QVK__KERNEL_INDEX_3,
                                          QVK__KERNEL_INDEX_4};
    const uint64_t numel = (uint64_t)qvk__walk_numel(&r->walk);
    qvk__dispatch d = {.kernel = kernels[r->n_indices - 1],
                       .bytes = 2 * numel * qvk_dtype_bytes(qvk__device_dtype(r->dtype))};

    if (numel == 0)
        return QVK_OK;
    qvk__walk_collapse(&r->walk);
    QVK__TRY(qvk__walk_check(&r->walk, err));
    qvk__dispatch_read(&d, r->self);
    for (int i = 0; i < r->n_indices; i++)
        qvk__dispatch_read(&d, r->indices[i].buffer);
    qvk__dispatch_write(&d, r->out);
    qvk__dispatch_spec(&d, qvk__device_dtype(r->dtype));
    qvk__dispatch_uint(&d, numel);
    qvk__dispatch_uint(&d, (uint64_t)r->walk.rank);
    qvk__dispatch_uint(&d, reads_quads(r));
    qvk__dispatch_uint(&d, 0); /* the block's vectors are aligned to 16 bytes */
    append_uses(&d, r->indices, r->n_indices);
    qvk__dispatch_sizes(&d, &r->walk);
    for (int i = 0; i <= r->n_indices; i++)
        qvk__dispatch_strides(&d, &r->walk, i);
    qvk__dispatch_quads(planner, &d, numel);
    return planner->dispatch(planner, &d, err);
}

/* Index tensors of an indexing, and what each leads to. */
static qvk_status read_uses(const qvk__call *call, const qvk__indexing *x, index_use *uses, int *n,
                            qvk_error *err)
{
    int64_t strides[QVK_MAX_RANK];

    *n = 0;
    qvk__strides(x->self, strides);
    for (int d = 0; d < x->self->rank; d++) {
        if (!x->index[d])
            continue;
        QVK__CHECK(*n < MAX_INDICES, err, QVK_UNSUPPORTED, "more than %d index tensors", MAX_INDICES);
        uses[(*n)++] = (index_use){qvk__call_ref(call, x->index[d]), x->self->sizes[d], strides[d]};
    }
    QVK__CHECK(*n > 0, err, QVK_UNSUPPORTED, "no index tensor");
    return QVK_OK;
}

qvk_status qvk__plan_index(qvk__planner *planner, const qvk__node *node, qvk_error *err)
{
    int64_t self_strides[QVK_MAX_RANK], strides[QVK_MAX_RANK];
    reading r = {.out = qvk__ref_value(node->outs[0])};
    qvk__indexing x;
    qvk__call call;

    QVK__TRY(qvk__call_of(planner, node, &call, err));
    QVK__TRY(qvk__indexing_of(call.args[0].u.tensor, &call.args[1], &x, err));
    QVK__TRY(read_uses(&call, &x, r.indices, &r.n_indices, err));
    r.self = qvk__ref_value(qvk__call_value(node, 0));
    r.dtype = x.self->dtype;
    r.walk = qvk__walk_of(&x.result);
    qvk__strides(x.self, self_strides);
    for (int d = 0; d < x.result.rank; d++)
        strides[d] = x.source[d] >= 0 ? self_strides[x.source[d]] : 0;
    qvk__walk_add(&r.walk, strides, 0);
    for (int d = 0; d < x.self->rank; d++) {
        if (!x.index[d])
            continue;
        memset(strides, 0, sizeof strides);
        qvk__broadcast_strides(x.index[d], &x.index_shape, strides + x.first);
        qvk__walk_add(&r.walk, strides, 0);
    }
    return plan_reading(planner, &r, err);
}

/* index_select and gather: one index along one dimension. */
static qvk_status plan_along_dim(qvk__planner *planner, const qvk__node *node, qvk_error *err)
{
    int64_t self_strides[QVK_MAX_RANK], strides[QVK_MAX_RANK] = {0}, extent = 1, place = 1;
    reading r = {.out = qvk__ref_value(node->outs[0]), .n_indices = 1};
    qvk__call call;
    int dim;

    QVK__TRY(qvk__call_of(planner, node, &call, err));
    const qvk_tensor *self = call.args[0].u.tensor, *index = call.args[2].u.tensor;
    const qvk_tensor *out = qvk__call_out(planner, node, 0);
    QVK__TRY(qvk__arg_dim(&call.args[1], "dim", self->rank, &dim, err));
    qvk__strides(self, self_strides);
    if (self->rank > 0) {
        extent = self->sizes[dim];
        place = self_strides[dim];
        self_strides[dim] = 0;
    }
    r.self = qvk__ref_value(qvk__call_value(node, 0));
    r.dtype = self->dtype;
    r.indices[0] = (index_use){qvk__ref_value(qvk__call_value(node, 2)), extent, place};
    r.walk = qvk__walk_of(out);
    qvk__walk_add(&r.walk, self_strides, 0);
    if (node->op == QVK__OP_GATHER)
        qvk__strides(index, strides);
    else
        strides[dim] = 1;
    qvk__walk_add(&r.walk, strides, 0);
    return plan_reading(planner, &r, err);
}

qvk_status qvk__plan_index_select(qvk__planner *planner, const qvk__node *node, qvk_error *err)
{
    return plan_along_dim(planner, node, err);
}

qvk_status qvk__plan_gather(qvk__planner *planner, const qvk__node *node, qvk_error *err)
{
    return plan_along_dim(planner, node, err);
}

/* ---- writing -------------------------------------------------------------------------------------------- */

/* out = self, then out[a, place(entry), b] = values[a, entry, b]. */
typedef struct writing {
    int32_t self, out;
    qvk__ref values;
    int64_t outer, entries, inner, plane;
    int64_t value_strides[3];
    qvk_dtype dtype;
    bool accumulate;
    int n_indices;
    index_use indices[MAX_INDICES];
} writing;

static bool writes_quads(const writing *w)
{
    bool quads = w->inner % 4 == 0 && w->plane % 4 == 0;

    for (int i = 0; i < w->n_indices; i++)
        quads = quads && w->indices[i].place % 4 == 0;
    return quads;
}

static qvk_status plan_writing(qvk__planner *planner, const writing *w, qvk_error *err)
{
    static const qvk__kernel kernels[] = {QVK__KERNEL_INDEX_PUT_1, QVK__KERNEL_INDEX_PUT_2,
                                          QVK__KERNEL_INDEX_PUT_3, QVK__KERNEL_INDEX_PUT_4};
    const int64_t run = writes_quads(w) ? 4 : 1, n = w->outer * w->entries * (w->inner / run);
    qvk__dispatch d = {.kernel = kernels[w->n_indices - 1]};

    QVK__TRY(qvk__plan_copy_of(planner, w->self, w->out, err));
    if (n == 0)
        return QVK_OK;
    d.bytes = 2 * (uint64_t)(n * run) * qvk_dtype_bytes(qvk__device_dtype(w->dtype));
    qvk__dispatch_read(&d, w->values);
    for (int i = 0; i < w->n_indices; i++)
        qvk__dispatch_read(&d, w->indices[i].buffer);
    qvk__dispatch_write(&d, qvk__ref_value(w->out));
    qvk__dispatch_spec(&d, qvk__device_dtype(w->dtype));
    qvk__dispatch_spec(&d, w->accumulate);
    qvk__dispatch_int(&d, w->outer);
    qvk__dispatch_int(&d, w->entries);
    qvk__dispatch_int(&d, w->inner);
    qvk__dispatch_int(&d, w->plane);
    for (int i = 0; i < 3; i++)
        qvk__dispatch_int(&d, w->value_strides[i]);
    qvk__dispatch_int(&d, run);
    append_uses(&d, w->indices, w->n_indices);
    qvk__dispatch_groups(planner, &d, qvk__div_up((uint64_t)n, 64));
    return planner->dispatch(planner, &d, err);
}

/* Strides of the values over (outer, entries, inner): those of a whole tensor, or of a single element. Values
 * broadcast in another way are written out in full first. */
static qvk_status place_values(qvk__planner *planner, const qvk_tensor *values, const qvk_tensor *full,
                               writing *w, qvk_error *err)
{
    const qvk__ref original = w->values;
    qvk_tensor wanted = *full;

    w->value_strides[0] = w->entries * w->inner;
    w->value_strides[1] = w->inner;
    w->value_strides[2] = 1;
    if (qvk_tensor_numel(values) == 1 && values->dtype == w->dtype)
        memset(w->value_strides, 0, sizeof w->value_strides);
    if ((qvk_tensor_numel(values) == qvk_tensor_numel(full) || qvk_tensor_numel(values) == 1) &&
        values->dtype == w->dtype)
        return QVK_OK;
    wanted.dtype = w->dtype;
    QVK__TRY(planner->scratch(planner, qvk__device_bytes(&wanted), &w->values, err));
    return qvk__plan_cast(planner, original, values, w->values, &wanted, err);
}

/* Indices written out in the shape they broadcast to. */
static qvk_status place_indices(qvk__planner *planner, const qvk__indexing *x, writing *w, qvk_error *err)
{
    int n = 0;

    for (int d = 0; d < x->self->rank; d++) {
        if (!x->index[d])
            continue;
        if (qvk_tensor_numel(x->index[d]) != qvk_tensor_numel(&x->index_shape)) {
            const qvk__ref original = w->indices[n].buffer;
            qvk_tensor wanted = x->index_shape;
            wanted.dtype = x->index[d]->dtype;
            QVK__TRY(planner->scratch(planner, qvk__device_bytes(&wanted), &w->indices[n].buffer, err));
            QVK__TRY(qvk__plan_cast(planner, original, x->index[d], w->indices[n].buffer, &wanted, err));
        }
        n++;
    }
    return QVK_OK;
}

/* self as outer x plane around its indexed dimensions, which must be neighbours. */
static qvk_status split_self(const qvk__indexing *x, writing *w, qvk_error *err)
{
    int first = -1, last = -1, n = 0;

    for (int d = 0; d < x->self->rank; d++) {
        if (!x->index[d])
            continue;
        first = first < 0 ? d : first;
        last = d;
        n++;
    }
    QVK__CHECK(last - first + 1 == n, err, QVK_UNSUPPORTED,
               "writing at indices of dimensions that are not neighbours");
    w->outer = w->inner = 1;
    for (int d = 0; d < x->self->rank; d++) {
        w->outer *= d < first ? x->self->sizes[d] : 1;
        w->inner *= d > last ? x->self->sizes[d] : 1;
    }
    w->plane = w->outer > 0 ? qvk_tensor_numel(x->self) / w->outer : 0;
    w->entries = qvk_tensor_numel(&x->index_shape);
    return QVK_OK;
}

qvk_status qvk__plan_index_put(qvk__planner *planner, const qvk__node *node, qvk_error *err)
{
    writing w = {.self = qvk__call_value(node, 0), .out = node->outs[0]};
    qvk__indexing x;
    qvk__call call;

    QVK__TRY(qvk__call_of(planner, node, &call, err));
    QVK__TRY(qvk__indexing_of(call.args[0].u.tensor, &call.args[1], &x, err));
    QVK__TRY(qvk__arg_bool(&call.args[3], "accumulate", &w.accumulate, err));
    QVK__TRY(read_uses(&call, &x, w.indices, &w.n_indices, err));
    QVK__TRY(split_self(&x, &w, err));
    w.dtype = x.self->dtype;
    w.values = qvk__ref_value(qvk__call_value(node, 2));
    QVK__TRY(place_indices(planner, &x, &w, err));
    QVK__TRY(place_values(planner, call.args[2].u.tensor, &x.result, &w, err));
    return plan_writing(planner, &w, err);
}

qvk_status qvk__plan_index_copy(qvk__planner *planner, const qvk__node *node, qvk_error *err)
{
    writing w = {
        .self = qvk__call_value(node, 0), .out = node->outs[0], .outer = 1, .inner = 1, .n_indices = 1};
    int64_t extent = 1;
    qvk__call call;
    int dim;

    QVK__TRY(qvk__call_of(planner, node, &call, err));
    const qvk_tensor *self = call.args[0].u.tensor, *index = call.args[2].u.tensor;
    QVK__TRY(qvk__arg_dim(&call.args[1], "dim", self->rank, &dim, err));
    for (int d = 0; d < self->rank; d++)
        *(d < dim ? &w.outer : d == dim ? &extent : &w.inner) *= self->sizes[d];
    w.entries = qvk_tensor_numel(index);
    w.plane = extent * w.inner;
    w.dtype = self->dtype;
    w.values = qvk__ref_value(qvk__call_value(node, 3));
    w.indices[0] = (index_use){qvk__ref_value(qvk__call_value(node, 2)), extent, w.inner};
    w.value_strides[0] = w.entries * w.inner;
    w.value_strides[1] = w.inner;
    w.value_strides[2] = 1;
    return plan_writing(planner, &w, err);
}
