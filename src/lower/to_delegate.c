/*
 * Delegate graphs narrow 64-bit types (int64 -> int32, float64 -> float32) and, with fp16, store float32
 * tensors as float16; the caller's tensors keep their dtype (qvk__value.host_dtype). Constants are converted
 * when they are written.
 */
#include "lower/to_delegate.h"

#include <math.h>

#include "core/dtype.h"

typedef struct build {
    qvk__edge *edge;
    qvk__delegate_plan *plan;
    qvk__graph *graph;
    int32_t *map;     /* edge value -> delegate value, -1 */
    int32_t *prepack; /* edge constant -> delegate value of its prepacked form, -1 */
    bool failed;      /* out of memory while visiting */
} build;

/* ---- dtypes and constants ------------------------------------------------------------------------------------- */

static qvk_dtype narrowed(qvk_dtype dtype, bool fp16)
{
    if (dtype == QVK_DTYPE_I64)
        return QVK_DTYPE_I32;
    if (dtype == QVK_DTYPE_F64)
        dtype = QVK_DTYPE_F32;
    return dtype == QVK_DTYPE_F32 && fp16 ? QVK_DTYPE_F16 : dtype;
}

typedef struct conversion {
    const qvk__constant *source;
    qvk_dtype from, to;
} conversion;

static uint16_t clamped_half(float value)
{
    return qvk__f32_to_f16(value > 65504.0f ? 65504.0f : value < -65504.0f ? -65504.0f : value);
}

static void convert(const conversion *c, const void *bytes, uint64_t n, void *dst)
{
    for (uint64_t i = 0; i < n; i++) {
        if (c->from == QVK_DTYPE_I64)
            ((int32_t *)dst)[i] = (int32_t)((const int64_t *)bytes)[i];
        else if (c->from == QVK_DTYPE_F64 && c->to == QVK_DTYPE_F32)
            ((float *)dst)[i] = (float)((const double *)bytes)[i];
        else if (c->from == QVK_DTYPE_F64)
            ((uint16_t *)dst)[i] = clamped_half((float)((const double *)bytes)[i]);
        else
            ((uint16_t *)dst)[i] = clamped_half(((const float *)bytes)[i]);
    }
}

static qvk_status fill_converted(const qvk__constant *constant, void *dst, qvk_error *err)
{
    const conversion *c = constant->fill_context;
    const void *bytes;

    QVK__TRY(qvk__constant_bytes(c->source, &bytes, err));
    convert(c, bytes, constant->bytes / qvk_dtype_bytes(c->to), dst);
    qvk__constant_release(c->source, bytes);
    return QVK_OK;
}

static const qvk__constant *convert_constant(build *b, const qvk__value *value, qvk_dtype to)
{
    conversion *context;
    qvk__constant *constant;
    int64_t n = qvk_tensor_numel(&value->desc);

    if (value->desc.dtype == to)
        return value->constant;
    context = qvk__arena_alloc(&b->graph->arena, 1, sizeof *context);
    constant = qvk__arena_alloc(&b->graph->arena, 1, sizeof *constant);
    if (!context || !constant)
        return NULL;
    *context = (conversion){value->constant, value->desc.dtype, to};
    *constant = (qvk__constant){.bytes = (uint64_t)n * qvk_dtype_bytes(to),
                                .name = value->constant->name,
                                .fill = fill_converted,
                                .fill_context = context};
    return constant;
}

/* ---- values ------------------------------------------------------------------------------------------------- */

static int32_t add_value(build *b, int32_t id)
{
    const qvk__value *from = &b->edge->graph.values.data[id];
    bool symbol = from->kind == QVK__VALUE_SYMBOL;
    qvk_tensor desc = from->desc;
    qvk__value *to;
    int32_t made;

    if (b->map[id] >= 0)
        return b->map[id];
    desc.dtype = narrowed(desc.dtype, b->edge->params->fp16);
    made = qvk__graph_add_value(b->graph, from->name, symbol ? NULL : &desc);
    if (made < 0)
        return -1;
    to = &b->graph->values.data[made];
    to->symbol_value = from->symbol_value;
    if (!symbol && from->desc.dtype != desc.dtype && desc.dtype == QVK_DTYPE_F16)
        to->host_dtype = QVK_DTYPE_F32;
    if (from->constant) {
        to->constant = convert_constant(b, from, desc.dtype);
        to->is_mutable = from->is_mutable;
        if (!to->constant)
            return -1;
    }
    b->map[id] = made;
    return made;
}

/* A constant where the operator wants a tensor on the device: through et_vk.prepack, once for each constant.
 */
static int32_t add_prepacked(build *b, int32_t id)
{
    int32_t raw = add_value(b, id), packed;
    qvk__arg arg = qvk__arg_from_value(raw);

    if (raw < 0 || b->prepack[id] >= 0)
        return raw < 0 ? -1 : b->prepack[id];
    packed = qvk__graph_add_value(b->graph, NULL, &b->graph->values.data[raw].desc);
    if (packed < 0 || qvk__graph_add_node(b->graph, QVK__OP_ET_PREPACK, NULL, &arg, 1, &packed, 1) < 0)
        return -1;
    b->prepack[id] = packed;
    return packed;
}

static bool is_mutated(const build *b, int32_t id)
{
    for (size_t i = 0; i < b->edge->mutated.count; i += 2)
        if (b->edge->mutated.data[i] == id)
            return true;
    return false;
}

static bool map_arg(build *b, qvk__op op, int index, const qvk__arg *from, qvk__arg *to)
{
    *to = *from;
    if (from->kind == QVK__ARG_VALUE) {
        const qvk__value *value = &b->edge->graph.values.data[from->u.value];
        bool raw = !value->constant || qvk__takes_constant(op, index) || is_mutated(b, from->u.value);
        to->u.value = raw ? add_value(b, from->u.value) : add_prepacked(b, from->u.value);
        return to->u.value >= 0;
    }
    if (from->kind == QVK__ARG_LIST) {
        qvk__arg *list = qvk__arena_alloc(&b->graph->arena, from->count, sizeof *list);
        if (!list)
            return false;
        for (uint32_t i = 0; i < from->count; i++)
            if (!map_arg(b, op, index, &from->u.list[i], &list[i]))
                return false;
        to->u.list = list;
    }
    return true;
}

/* ---- nodes -------------------------------------------------------------------------------------------------- */

static qvk_status add_node(build *b, const qvk__node *node, qvk_error *err)
{
    qvk__arg args[QVK__MAX_PARAMS];
    int32_t *outs = qvk__arena_alloc(&b->graph->arena, (uint64_t)node->n_outs + 1, sizeof *outs), made;
    bool ok = outs != NULL;

    for (int i = 0; i < node->n_args && ok; i++)
        ok = map_arg(b, node->op, i, &node->args[i], &args[i]);
    for (int i = 0; i < node->n_outs && ok; i++) {
        outs[i] = add_value(b, node->outs[i]);
        ok = outs[i] >= 0;
    }
    made =
        ok ? qvk__graph_add_node(b->graph, node->op, node->name, args, node->n_args, outs, node->n_outs) : -1;
    QVK__CHECK(made >= 0, err, QVK_OUT_OF_MEMORY, "out of memory");
    if (node->trace)
        b->graph->nodes.data[made].trace = qvk__arena_strdup(&b->graph->arena, node->trace);
    return QVK_OK;
}

typedef struct input_scan {
    build *b;
    const bool *made_here; /* per edge value */
} input_scan;

static void collect_input(int32_t id, void *user)
{
    input_scan *scan = user;
    build *b = scan->b;

    if (scan->made_here[id] || b->edge->graph.values.data[id].constant || b->map[id] >= 0)
        return;
    b->failed = b->failed || add_value(b, id) < 0 || !QVK__VEC_PUSH(&b->plan->inputs, id) ||
                !QVK__VEC_PUSH(&b->graph->inputs, b->map[id]);
}

/* Buffers the program writes take their new values at the end: copy_(buffer, value). */
static qvk_status write_buffers(build *b, const bool *made_here, qvk_error *err)
{
    for (size_t i = 0; i + 1 < b->edge->mutated.count; i += 2) {
        int32_t buffer = b->edge->mutated.data[i], value = b->edge->mutated.data[i + 1], target, source,
                result;
        qvk__arg args[3];
        if (!made_here[value])
            continue;
        target = add_value(b, buffer);
        source = b->map[value];
        QVK__CHECK(target >= 0 && source >= 0, err, QVK_OUT_OF_MEMORY, "out of memory");
        b->graph->values.data[target].is_mutable = true;
        result = qvk__graph_add_value(b->graph, NULL, &b->graph->values.data[target].desc);
        args[0] = qvk__arg_from_value(target);
        args[1] = qvk__arg_from_value(source);
        args[2] = qvk__arg_from_bool(false);
        QVK__CHECK(result >= 0 &&
                       qvk__graph_add_node(b->graph, QVK__OP_COPY_INPLACE, NULL, args, 3, &result, 1) >= 0,
                   err, QVK_OUT_OF_MEMORY, "out of memory");
    }
    return QVK_OK;
}

qvk_status qvk__build_delegate(qvk__edge *edge, const qvk__partition *partition, const bool *needed_outside,
                               qvk__delegate_plan *plan, qvk__graph *out, qvk_error *err)
{
    const qvk__graph *graph = &edge->graph;
    build b = {edge, plan, out, NULL, NULL, false};
    bool *made_here = qvk__arena_alloc(&edge->graph.arena, graph->values.count, sizeof *made_here);
    input_scan scan = {&b, made_here};

    qvk__graph_init(out);
    b.map = qvk__arena_alloc(&edge->graph.arena, graph->values.count, sizeof *b.map);
    b.prepack = qvk__arena_alloc(&edge->graph.arena, graph->values.count, sizeof *b.prepack);
    QVK__CHECK(made_here && b.map && b.prepack, err, QVK_OUT_OF_MEMORY, "out of memory");
    for (size_t i = 0; i < graph->values.count; i++)
        b.map[i] = b.prepack[i] = -1;
    for (size_t n = 0; n < graph->nodes.count; n++)
        for (int i = 0;
             partition->inside[n] && partition->level[n] == plan->level && i < graph->nodes.data[n].n_outs;
             i++)
            made_here[graph->nodes.data[n].outs[i]] = true;
    for (size_t n = 0; n < graph->nodes.count; n++)
        if (partition->inside[n] && partition->level[n] == plan->level)
            qvk__node_visit_args(&graph->nodes.data[n], collect_input, &scan);
    QVK__CHECK(!b.failed, err, QVK_OUT_OF_MEMORY, "out of memory");
    for (size_t n = 0; n < graph->nodes.count; n++)
        if (partition->inside[n] && partition->level[n] == plan->level)
            QVK__TRY(add_node(&b, &graph->nodes.data[n], err));
    QVK__TRY(write_buffers(&b, made_here, err));
    for (size_t i = 0; i < graph->values.count; i++) {
        if (!made_here[i] || !needed_outside[i])
            continue;
        QVK__CHECK(QVK__VEC_PUSH(&plan->outputs, (int32_t)i) && QVK__VEC_PUSH(&out->outputs, b.map[i]), err,
                   QVK_OUT_OF_MEMORY, "out of memory");
    }
    return QVK_OK;
}
