/* What planners share: a node's arguments resolved, and dispatches put together. */
#include <assert.h>

#include "core/dtype.h"
#include "kernels/plan.h"

/* ---- the call ------------------------------------------------------------------------------------------- */

static qvk_status check_tensor(const qvk__planner *planner, const qvk_tensor *tensor, bool large,
                               qvk_error *err)
{
    const int64_t numel = qvk_tensor_numel(tensor);

    QVK__CHECK(numel >= 0 && numel <= INT32_MAX, err, QVK_UNSUPPORTED,
               "%s has too many elements for a device", qvk__shape_text(tensor).text);
    QVK__CHECK(large || qvk__device_bytes(tensor) <= planner->caps->max_storage_range, err, QVK_UNSUPPORTED,
               "%s %s takes more than the %llu bytes the device can bind", qvk_dtype_name(tensor->dtype),
               qvk__shape_text(tensor).text, (unsigned long long)planner->caps->max_storage_range);
    return QVK_OK;
}

static qvk_status resolve(qvk__planner *planner, const qvk__arg *arg, bool large, qvk__call *call,
                          qvk__arg *out, qvk_error *err)
{
    *out = *arg;
    if (arg->kind == QVK__ARG_VALUE) {
        if (planner->graph->values.data[arg->u.value].kind == QVK__VALUE_SYMBOL) {
            *out = qvk__arg_from_int(planner->symbol(planner, arg->u.value));
            return QVK_OK;
        }
        *out = (qvk__arg){.kind = QVK__ARG_TENSOR, .u.tensor = planner->desc(planner, arg->u.value)};
        return check_tensor(planner, out->u.tensor, large, err);
    }
    if (arg->kind == QVK__ARG_LIST) {
        qvk__arg *items = &call->items[call->n_items];
        QVK__CHECK(arg->count <= (uint32_t)(QVK__PLAN_MAX_ITEMS - call->n_items), err, QVK_UNSUPPORTED,
                   "a list of %u elements is too long for a device", arg->count);
        call->n_items += (int)arg->count;
        for (uint32_t i = 0; i < arg->count; i++)
            QVK__TRY(resolve(planner, &arg->u.list[i], large, call, &items[i], err));
        out->u.list = items;
    }
    return QVK_OK;
}

qvk_status qvk__call_of(qvk__planner *planner, const qvk__node *node, qvk__call *out, qvk_error *err)
{
    return qvk__call_of_large(planner, node, 0, out, err);
}

qvk_status qvk__call_of_large(qvk__planner *planner, const qvk__node *node, uint32_t large, qvk__call *out,
                              qvk_error *err)
{
    out->node = node;
    out->n_args = node->n_args;
    out->n_items = 0;
    assert(node->n_args <= QVK__MAX_PARAMS);
    for (int i = 0; i < node->n_args; i++)
        QVK__TRY(resolve(planner, &node->args[i], large >> i & 1, out, &out->args[i], err));
    for (int i = 0; i < node->n_outs; i++)
        if (node->outs[i] >= 0)
            QVK__TRY(check_tensor(planner, planner->desc(planner, node->outs[i]), false, err));
    return QVK_OK;
}

const qvk_tensor *qvk__call_out(qvk__planner *planner, const qvk__node *node, int index)
{
    if (index >= node->n_outs || node->outs[index] < 0)
        return NULL;
    return planner->desc(planner, node->outs[index]);
}

int32_t qvk__call_value(const qvk__node *node, int index)
{
    return node->args[index].kind == QVK__ARG_VALUE ? node->args[index].u.value : -1;
}

static int32_t find_tensor(const qvk__arg *args, const qvk__arg *resolved, int n, const qvk_tensor *tensor)
{
    for (int i = 0; i < n; i++) {
        int32_t found = -1;
        if (resolved[i].kind == QVK__ARG_TENSOR && resolved[i].u.tensor == tensor)
            found = args[i].u.value;
        else if (resolved[i].kind == QVK__ARG_LIST)
            found = find_tensor(args[i].u.list, resolved[i].u.list, (int)resolved[i].count, tensor);
        if (found >= 0)
            return found;
    }
    return -1;
}

qvk__ref qvk__call_ref(const qvk__call *call, const qvk_tensor *tensor)
{
    const int32_t value = find_tensor(call->node->args, call->args, call->n_args, tensor);

    assert(value >= 0);
    return qvk__ref_value(value);
}

bool qvk__is_vector8(const qvk__planner *planner)
{
    return planner->caps->type == QVK__GPU_CPU && planner->caps->subgroup_size == 8;
}

bool qvk__is_constant(const qvk__planner *planner, int32_t value)
{
    const qvk__value *v = &planner->graph->values.data[value];

    return v->constant && !v->is_mutable;
}

/* ---- dispatches ----------------------------------------------------------------------------------------- */

static void append_buffer(qvk__dispatch *dispatch, qvk__ref buffer, bool written)
{
    int n = 0;

    while (n < QVK__GPU_MAX_BINDINGS && dispatch->buffers[n].kind != 0)
        n++;
    assert(n < QVK__GPU_MAX_BINDINGS);
    dispatch->buffers[n] = buffer;
    dispatch->writes |= (uint32_t)written << n;
}

void qvk__dispatch_read(qvk__dispatch *dispatch, qvk__ref buffer)
{
    append_buffer(dispatch, buffer, false);
}

void qvk__dispatch_write(qvk__dispatch *dispatch, qvk__ref buffer)
{
    append_buffer(dispatch, buffer, true);
}

void qvk__dispatch_spec(qvk__dispatch *dispatch, uint32_t value)
{
    assert(dispatch->n_specs < QVK__GPU_MAX_SPECS);
    dispatch->specs[dispatch->n_specs++] = value;
}

void qvk__dispatch_uint(qvk__dispatch *dispatch, uint64_t value)
{
    assert(dispatch->n_params < QVK__MAX_DISPATCH_PARAMS);
    dispatch->params[dispatch->n_params++] = (uint32_t)value;
}

void qvk__dispatch_int(qvk__dispatch *dispatch, int64_t value)
{
    qvk__dispatch_uint(dispatch, (uint64_t)value);
}

void qvk__dispatch_float(qvk__dispatch *dispatch, float value)
{
    uint32_t bits;

    memcpy(&bits, &value, sizeof bits);
    qvk__dispatch_uint(dispatch, bits);
}

void qvk__dispatch_quads(const qvk__planner *planner, qvk__dispatch *dispatch, uint64_t n)
{
    qvk__dispatch_groups(planner, dispatch, qvk__div_up(qvk__div_up(n, 4), 64));
}

void qvk__dispatch_groups(const qvk__planner *planner, qvk__dispatch *dispatch, uint64_t n)
{
    qvk__fold_groups(planner->caps, n, dispatch->groups);
}

void qvk__dispatch_words(const qvk__planner *planner, qvk__dispatch *dispatch, const qvk_tensor *out)
{
    const uint64_t elements = (uint64_t)qvk_tensor_numel(out);
    const uint64_t words = qvk__div_up(elements * qvk_dtype_bytes(qvk__device_dtype(out->dtype)), 4);

    qvk__dispatch_uint(dispatch, elements);
    qvk__dispatch_groups(planner, dispatch, qvk__div_up(words, 64));
}

void qvk__dispatch_optional(qvk__dispatch *dispatch, const qvk__call *call, int index, qvk__ref instead)
{
    const bool given = !qvk__arg_is_null(&call->args[index]);

    qvk__dispatch_read(dispatch, given ? qvk__ref_value(qvk__call_value(call->node, index)) : instead);
    qvk__dispatch_spec(dispatch,
                       given ? qvk__device_dtype(call->args[index].u.tensor->dtype) : QVK_DTYPE_NONE);
}

qvk_status qvk__plan_shared(qvk__planner *planner, const qvk__dispatch *dispatch, uint64_t bytes,
                            qvk__ref *out, qvk_error *err)
{
    if (planner->shared)
        return planner->shared(planner, dispatch, bytes, out, err);
    QVK__TRY(planner->scratch(planner, bytes, out, err));
    const qvk__dispatch filling = qvk__dispatch_filling(dispatch, *out);
    return planner->dispatch(planner, &filling, err);
}

qvk_status qvk__check_float(const qvk_tensor *tensor, qvk_error *err)
{
    QVK__CHECK(!tensor || qvk__dtype_is_float(tensor->dtype), err, QVK_UNSUPPORTED, "no kernel for %s",
               qvk_dtype_name(tensor->dtype));
    return QVK_OK;
}
