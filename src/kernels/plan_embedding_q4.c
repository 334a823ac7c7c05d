/* Plans the 4-bit embeddings. */
#include "core/dtype.h"
#include "kernels/plan.h"

#define GROUP_SIZE 64

typedef struct table {
    int32_t weight, scales, zero_points, indices; /* zero_points -1: none */
    uint64_t width, rows, group_size, n_groups;
    bool low_even;
} table;

static qvk_status read_table(const qvk__call *call, table *out, qvk_error *err)
{
    const bool is_et = call->node->op == QVK__OP_ET_EMBEDDING_Q4GSW;
    const qvk_tensor *weight = call->args[0].u.tensor, *scales = call->args[1].u.tensor;
    int64_t group_size;

    *out = (table){.weight = qvk__call_value(call->node, 0),
                   .scales = qvk__call_value(call->node, 1),
                   .zero_points = is_et ? -1 : qvk__call_value(call->node, 2),
                   .indices = qvk__call_value(call->node, is_et ? 3 : 5),
                   .rows = (uint64_t)weight->sizes[0],
                   .width = (uint64_t)weight->sizes[1] * 2,
                   .n_groups = scales->rank == 2 ? (uint64_t)scales->sizes[1] : 1};
    if (is_et) {
        QVK__TRY(qvk__arg_int(&call->args[2], "group_size", &group_size, err));
        QVK__TRY(qvk__arg_bool(&call->args[4], "is_linear_weight", &out->low_even, err));
    } else {
        group_size = out->n_groups ? (int64_t)(out->width / out->n_groups) : 0;
    }
    QVK__CHECK(group_size >= 1 && qvk__div_up(out->width, (uint64_t)group_size) <= out->n_groups &&
                   scales->sizes[0] >= weight->sizes[0],
               err, QVK_SHAPE, "%s: weight_scales %s for a table %s", qvk__op_name(call->node->op),
               qvk__shape_text(scales).text, qvk__shape_text(weight).text);
    out->group_size = (uint64_t)group_size;
    return QVK_OK;
}

static qvk_dtype dtype_of(qvk__planner *planner, int32_t value)
{
    return value < 0 ? QVK_DTYPE_NONE : qvk__device_dtype(planner->desc(planner, value)->dtype);
}

qvk_status qvk__plan_embedding_q4(qvk__planner *planner, const qvk__node *node, qvk_error *err)
{
    const qvk_tensor *y = planner->desc(planner, node->outs[0]);
    const uint64_t n = (uint64_t)qvk_tensor_numel(y);
    qvk__call call;
    table t;

    QVK__TRY(qvk__call_of(planner, node, &call, err));
    if (n == 0)
        return QVK_OK;
    QVK__TRY(read_table(&call, &t, err));
    const qvk_dtype scale_dtype = dtype_of(planner, t.scales), out_dtype = qvk__device_dtype(y->dtype);
    QVK__CHECK((scale_dtype == QVK_DTYPE_F32 || scale_dtype == QVK_DTYPE_F16) &&
                   (out_dtype == QVK_DTYPE_F32 || out_dtype == QVK_DTYPE_F16) &&
                   dtype_of(planner, t.indices) == QVK_DTYPE_I32,
               err, QVK_UNSUPPORTED, "%s: no kernel for %s", qvk__op_name(node->op),
               qvk_dtype_name(y->dtype));
    qvk__dispatch d = {.kernel = t.zero_points < 0 ? QVK__KERNEL_EMBEDDING_Q4 : QVK__KERNEL_EMBEDDING_Q4_ZP,
                       .bytes = n / 2 + n * qvk_dtype_bytes(y->dtype)};
    QVK__CHECK(planner->caps->max_buffers >= qvk__kernel_info_of(d.kernel)->n_buffers, err, QVK_UNSUPPORTED,
               "%s: zero points need more buffers than the device binds", qvk__op_name(node->op));
    qvk__dispatch_read(&d, qvk__ref_value(t.weight));
    qvk__dispatch_read(&d, qvk__ref_value(t.scales));
    qvk__dispatch_read(&d, qvk__ref_value(t.indices));
    qvk__dispatch_write(&d, qvk__ref_value(node->outs[0]));
    if (t.zero_points >= 0)
        qvk__dispatch_read(&d, qvk__ref_value(t.zero_points));
    qvk__dispatch_spec(&d, GROUP_SIZE);
    qvk__dispatch_uint(&d, n);
    qvk__dispatch_uint(&d, t.width);
    qvk__dispatch_uint(&d, t.rows);
    qvk__dispatch_uint(&d, t.group_size);
    qvk__dispatch_uint(&d, t.n_groups);
    qvk__dispatch_uint(&d, t.low_even);
    qvk__dispatch_uint(&d, scale_dtype);
    qvk__dispatch_uint(&d, dtype_of(planner, t.zero_points));
    qvk__dispatch_uint(&d, out_dtype);
    qvk__dispatch_groups(planner, &d,
                         qvk__div_up(out_dtype == QVK_DTYPE_F16 ? qvk__div_up(n, 2) : n, GROUP_SIZE));
    return planner->dispatch(planner, &d, err);
}
