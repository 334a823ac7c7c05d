/*
 * Kernel calls outside delegates: EValues to operator arguments, the reference function, sizes of the
 * outputs. Source: the .pte specification, "Kernel calls outside the delegate".
 */
#include "runtime/session.h"

#include "core/dtype.h"
#include "reference/reference.h"

enum { MAX_OUTS = 64 };

/* ---- load ---------------------------------------------------------------------------------------------- */

/* "aten::index_put_": the functional operator computes it, the result goes back into self. */
static qvk__op find_functional(const qvk__operator_ref *ref, qvk__arena *arena)
{
    const size_t length = strlen(ref->name);
    char *name;

    if (length == 0 || ref->name[length - 1] != '_')
        return QVK__OP_NONE;
    name = qvk__arena_strndup(arena, ref->name, length - 1);
    return name ? qvk__op_find_kernel(name, ref->overload) : QVK__OP_NONE;
}

qvk_status qvk__kernel_find(const qvk__operator_ref *ref, qvk__arena *arena, qvk__kernel_target *out,
                            qvk_error *err)
{
    qvk__kernel_target target = {.prim = qvk__prim_find(ref->name), .op = ref->op};

    if (target.prim) {
        target.name = ref->name;
    } else {
        if (!qvk__reference_has(target.op) && find_functional(ref, arena) != QVK__OP_NONE)
            target.op = find_functional(ref, arena);
        target.name = *ref->overload ? qvk__arena_printf(arena, "%s.%s", ref->name, ref->overload)
                                     : qvk__arena_strdup(arena, ref->name);
        QVK__CHECK(target.name, err, QVK_OUT_OF_MEMORY, "out of memory");
        QVK__CHECK(qvk__reference_has(target.op), err, QVK_UNSUPPORTED_OPERATOR, "%s: qvk %s this operator",
                   target.name, target.op == QVK__OP_NONE ? "does not know" : "cannot execute");
    }
    *out = target;
    return QVK_OK;
}

/* ---- arguments ----------------------------------------------------------------------------------------- */

typedef struct call {
    qvk__method_state *state;
    const qvk__kernel_target *target;
    qvk__signature signature;
    qvk__arena arena;
    qvk__arg args[QVK__MAX_PARAMS];
    int32_t out_ids[MAX_OUTS];
    qvk_tensor outs[MAX_OUTS];
    void *spare[MAX_OUTS]; /* where an output would overlap an input */
    int n_outs;
} call;

/* The out-variants of operators with tensor options (dtype, layout, device, pin_memory) do not have them. */
static bool is_dropped(const qvk__signature *signature, int param)
{
    static const char *const options[] = {"dtype", "layout", "device", "pin_memory"};
    bool has_layout = false, is_option = false;

    for (int i = 0; i < signature->n_params; i++)
        has_layout |= strcmp(signature->params[i].name, "layout") == 0;
    for (size_t i = 0; i < QVK__COUNT(options); i++)
        is_option |= strcmp(signature->params[param].name, options[i]) == 0;
    return has_layout && is_option;
}

static qvk__arg read_scalar(const qvk__slot *slot)
{
    switch (slot->kind) {
    case QVK__EVALUE_INT: return qvk__arg_from_int(slot->i);
    case QVK__EVALUE_BOOL: return qvk__arg_from_bool(slot->i != 0);
    case QVK__EVALUE_DOUBLE: return qvk__arg_from_float(slot->f);
    case QVK__EVALUE_TENSOR: return (qvk__arg){.kind = QVK__ARG_TENSOR, .u.tensor = &slot->tensor};
    default: return (qvk__arg){.kind = QVK__ARG_NULL};
    }
}

/* A list of ids becomes a LIST of what they are now; -1 is None. */
static bool read_ids(call *it, const qvk__evalue *value, qvk__arg *out)
{
    qvk__arg *items = qvk__arena_alloc(&it->arena, (uint64_t)value->count + 1, sizeof *items);

    if (!items)
        return false;
    for (uint32_t i = 0; i < value->count; i++)
        items[i] = value->ids[i] < 0 ? (qvk__arg){.kind = QVK__ARG_NULL}
                                     : read_scalar(&it->state->slots[value->ids[i]]);
    *out = (qvk__arg){.kind = QVK__ARG_LIST, .count = value->count, .u.list = items};
    return true;
}

static qvk_status read_arg(call *it, int32_t id, qvk__arg *out, qvk_error *err)
{
    const qvk__evalue *value = &it->state->method->values[id];

    switch (it->state->slots[id].kind) {
    case QVK__EVALUE_STRING: *out = (qvk__arg){.kind = QVK__ARG_STRING, .u.s = value->string}; break;
    case QVK__EVALUE_DOUBLE_LIST:
        *out = (qvk__arg){.kind = QVK__ARG_FLOATS, .count = value->count, .u.floats = value->doubles};
        break;
    case QVK__EVALUE_BOOL_LIST:
        *out = (qvk__arg){.kind = QVK__ARG_BOOLS, .count = value->count, .u.bools = value->bools};
        break;
    case QVK__EVALUE_INT_LIST:
    case QVK__EVALUE_TENSOR_LIST:
    case QVK__EVALUE_OPTIONAL_TENSOR_LIST:
        QVK__CHECK(read_ids(it, value, out), err, QVK_OUT_OF_MEMORY, "out of memory");
        break;
    default: *out = read_scalar(&it->state->slots[id]);
    }
    return QVK_OK;
}

/* The ids after the arguments: one per output, or a list of them; in-place calls have self alone. */
static qvk_status read_outs(call *it, const int32_t *ids, uint32_t n_ids, qvk_error *err)
{
    const qvk__evalue *first;
    const int32_t *from = ids;
    uint32_t n = it->signature.n_returns < 0 ? 0 : (uint32_t)it->signature.n_returns;

    QVK__CHECK(n_ids >= 1, err, QVK_BAD_FORMAT, "no output");
    first = &it->state->method->values[ids[0]];
    if (first->kind == QVK__EVALUE_TENSOR_LIST) {
        from = first->ids;
        n = first->count;
    }
    QVK__CHECK(n >= 1 && n <= MAX_OUTS && (from != ids || n <= n_ids), err, QVK_BAD_FORMAT,
               "%u outputs, wanted %d", n_ids, it->signature.n_returns);
    for (uint32_t i = 0; i < n; i++) {
        QVK__CHECK(it->state->slots[from[i]].kind == QVK__EVALUE_TENSOR, err, QVK_BAD_FORMAT,
                   "output %u is not a tensor", i);
        it->out_ids[i] = from[i];
        it->outs[i] = it->state->slots[from[i]].tensor;
    }
    it->n_outs = (int)n;
    return QVK_OK;
}

static qvk_status read_call(call *it, const int32_t *ids, uint32_t n_ids, qvk_error *err)
{
    uint32_t used = 0;

    for (int i = 0; i < it->signature.n_params; i++) {
        it->args[i] = (qvk__arg){.kind = QVK__ARG_NULL};
        if (is_dropped(&it->signature, i))
            continue;
        QVK__CHECK(used < n_ids, err, QVK_BAD_FORMAT, "%u arguments are too few", n_ids);
        QVK__TRY(read_arg(it, ids[used++], &it->args[i], err));
    }
    return read_outs(it, ids + used, n_ids - used, err);
}

/* ---- the call ------------------------------------------------------------------------------------------ */

static bool overlaps(const qvk_tensor *a, const qvk_tensor *b)
{
    const uintptr_t a0 = (uintptr_t)a->data, b0 = (uintptr_t)b->data;
    return a->data && b->data && a0 < b0 + qvk_tensor_bytes(b) && b0 < a0 + qvk_tensor_bytes(a);
}

static bool overlaps_arg(const qvk_tensor *out, const qvk__arg *arg)
{
    if (arg->kind == QVK__ARG_TENSOR)
        return overlaps(out, arg->u.tensor);
    if (arg->kind == QVK__ARG_LIST)
        for (uint32_t i = 0; i < arg->count; i++)
            if (overlaps_arg(out, &arg->u.list[i]))
                return true;
    return false;
}

/* Sizes of the outputs, checked against their memory; a spare place where they would overlap an input. */
static qvk_status place_outs(call *it, qvk_error *err)
{
    const int n_args = it->signature.n_params;

    QVK__TRY(qvk__op_infer(it->target->op, it->args, n_args, it->outs, it->n_outs, err));
    for (int i = 0; i < it->n_outs; i++) {
        const qvk__slot *slot = &it->state->slots[it->out_ids[i]];
        qvk_tensor *out = &it->outs[i];
        out->dtype = slot->tensor.dtype;
        out->data = slot->tensor.data;
        QVK__CHECK(qvk_tensor_numel(out) >= 0 && qvk_tensor_numel(out) <= qvk_tensor_numel(&slot->bound), err,
                   QVK_SHAPE, "output %d becomes %s, but the program allows for %s", i,
                   qvk__shape_text(out).text, qvk__shape_text(&slot->bound).text);
        for (int a = 0; a < n_args && !it->spare[i]; a++) {
            if (!overlaps_arg(out, &it->args[a]))
                continue;
            it->spare[i] = out->data = qvk__alloc_zeroed(qvk_tensor_bytes(out), 1);
            QVK__CHECK(it->spare[i], err, QVK_OUT_OF_MEMORY, "out of memory");
        }
    }
    return QVK_OK;
}

static qvk_status run_call(call *it, const int32_t *ids, uint32_t n_ids, qvk_error *err)
{
    QVK__TRY(read_call(it, ids, n_ids, err));
    QVK__TRY(place_outs(it, err));
    QVK__TRY(qvk__reference_run(it->target->op, it->args, it->signature.n_params, it->outs, it->n_outs, err));
    for (int i = 0; i < it->n_outs; i++) {
        qvk__slot *slot = &it->state->slots[it->out_ids[i]];
        void *data = slot->tensor.data;
        if (it->spare[i] && qvk_tensor_bytes(&it->outs[i]) > 0)
            memcpy(data, it->spare[i], qvk_tensor_bytes(&it->outs[i]));
        slot->tensor = it->outs[i];
        slot->tensor.data = data;
    }
    return QVK_OK;
}

qvk_status qvk__kernel_call(qvk__method_state *state, const qvk__kernel_target *target, const int32_t *args,
                            uint32_t n_args, qvk_error *err)
{
    call *it;
    qvk_status status;

    if (target->prim)
        return target->prim(state, target->name, args, n_args, err);
    it = qvk__alloc_zeroed(1, sizeof *it);
    QVK__CHECK(it, err, QVK_OUT_OF_MEMORY, "out of memory");
    it->state = state;
    it->target = target;
    qvk__op_signature(target->op, &it->signature);
    status = run_call(it, args, n_args, err);
    if (status != QVK_OK)
        qvk__error_context(err, status, "%s", target->name);
    for (int i = 0; i < MAX_OUTS; i++)
        free(it->spare[i]);
    qvk__arena_free(&it->arena);
    free(it);
    return status;
}
