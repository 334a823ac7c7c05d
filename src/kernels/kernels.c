/* The kernel table, the planner table, and what every planner needs. */
#include "kernels/kernels.h"

#include <assert.h>

#include "core/dtype.h"
#include "kernels/plan.h"
#include "kernels/spirv.h"

static const qvk__kernel_info kernels[QVK__KERNEL_COUNT] = {
#define KERNEL(id, source, defines, n_buffers, caps, target_env) {source, n_buffers, caps},
#include "kernels.def"
#undef KERNEL
};

/* NONE in the table's `plan` column. After plan.h, which declares the name like any other. */
#define qvk__plan_NONE NULL

static const qvk__plan_fn planners[QVK__OP_COUNT] = {
#define OP(id, name, out, shape, reference, plan, schema) [QVK__OP_##id] = qvk__plan_##plan,
#include "core/ops.def"
#undef OP
};

const qvk__kernel_info *qvk__kernel_info_of(qvk__kernel kernel)
{
    assert(kernel < QVK__KERNEL_COUNT);
    return &kernels[kernel];
}

const char *qvk__kernel_name(qvk__kernel kernel)
{
    return qvk__spirv_table[kernel].name;
}

void qvk__kernel_spirv(qvk__kernel kernel, const uint32_t **words, size_t *n_words)
{
    *words = qvk__spirv_table[kernel].words;
    *n_words = qvk__spirv_table[kernel].n_words;
}

bool qvk__kernel_usable(qvk__kernel kernel, const qvk__gpu_caps *caps)
{
    return qvk__spirv_table[kernel].words && (kernels[kernel].caps & ~caps->flags) == 0;
}

bool qvk__planner_may_use(const qvk__planner *planner, qvk__kernel kernel)
{
    return qvk__kernel_usable(kernel, planner->caps) &&
           planner->caps->max_buffers >= kernels[kernel].n_buffers &&
           !(planner->distrusted && planner->distrusted[kernel]);
}

qvk__plan_fn qvk__plan_of(qvk__op op)
{
    return op > QVK__OP_NONE && op < QVK__OP_COUNT ? planners[op] : NULL;
}

qvk__dispatch qvk__dispatch_filling(const qvk__dispatch *dispatch, qvk__ref scratch)
{
    qvk__dispatch filling = *dispatch;

    for (int i = 0; i < QVK__GPU_MAX_BINDINGS; i++)
        if (filling.buffers[i].kind == QVK__REF_SCRATCH && filling.buffers[i].id < 0)
            filling.buffers[i] = scratch;
    return filling;
}

qvk__ref qvk__ref_value(int32_t value)
{
    return (qvk__ref){.kind = QVK__REF_VALUE, .id = value};
}

void qvk__fold_groups(const qvk__gpu_caps *caps, uint64_t n, uint32_t groups[3])
{
    const uint64_t max_x = caps->max_group_count[0], max_y = caps->max_group_count[1];
    /* As few layers and rows as possible, and rows no longer than needed: little is wasted. */
    const uint64_t z = QVK__MAX(qvk__div_up(n, max_x * max_y), 1);
    const uint64_t y = QVK__MAX(qvk__div_up(n, max_x * z), 1);

    groups[0] = (uint32_t)qvk__div_up(n, y * z);
    groups[1] = (uint32_t)y;
    groups[2] = (uint32_t)z;
}

qvk_dtype qvk__device_dtype(qvk_dtype dtype)
{
    return dtype == QVK_DTYPE_I64 ? QVK_DTYPE_I32 : dtype == QVK_DTYPE_F64 ? QVK_DTYPE_F32 : dtype;
}

uint64_t qvk__device_bytes(const qvk_tensor *tensor)
{
    const uint64_t numel = (uint64_t)qvk_tensor_numel(tensor);

    return qvk__round_up(numel * qvk_dtype_bytes(qvk__device_dtype(tensor->dtype)), 16);
}
