#include "lower/edge.h"

#include <stdio.h>

#include "core/dtype.h"

/* ---- the two choices of every symbol ----------------------------------------------------------------------- */

typedef struct choice {
    const qvk__exported *program;
    bool high;
    const char *unbounded; /* a symbol without upper bound, when one was met */
} choice;

static int64_t choose(void *user, const char *symbol)
{
    choice *c = user;
    int64_t hint = -1, min = 1, max = INT64_MAX;

    for (size_t i = 0; i < c->program->ranges.count; i++) {
        if (strcmp(c->program->ranges.data[i].symbol, symbol) == 0) {
            min = c->program->ranges.data[i].min;
            max = c->program->ranges.data[i].max;
        }
    }
    for (size_t i = 0; i < c->program->expressions.count; i++) {
        const qvk__expression *e = &c->program->expressions.data[i];
        if (e->kind == QVK__EXPRESSION_SYMBOL && strcmp(e->symbol, symbol) == 0 && e->hint >= 0)
            hint = e->hint;
    }
    if (c->high) {
        if (max == INT64_MAX)
            c->unbounded = symbol;
        return max;
    }
    /* The size at export is certainly valid for the traced graph; where it is the bound itself, take the
     * smallest. */
    return hint > 0 && hint < max ? hint : min > 0 ? min : 1;
}

static qvk_status eval(qvk__edge *edge, int32_t expression, bool high, int64_t *out, qvk_error *err)
{
    choice c = {edge->program, high, NULL};

    QVK__TRY(qvk__expression_eval(edge->program, expression, choose, &c, out, err));
    QVK__CHECK(!c.unbounded, err, QVK_UNSUPPORTED,
               "%s: dimension %s has no upper bound: export it with Dim(..., max=N)",
               edge->program->source ? edge->program->source : "program", c.unbounded);
    return QVK_OK;
}

/* ---- values ------------------------------------------------------------------------------------------------ */

static qvk_status add_value(qvk__edge *edge, const char *name, const qvk_tensor *high, const qvk_tensor *low,
                            int32_t *out, qvk_error *err)
{
    qvk__edge_shape shape = {0};

    *out = qvk__graph_add_value(&edge->graph, name, high);
    if (low)
        shape.low = *low;
    shape.low.data = NULL;
    QVK__CHECK(*out >= 0 && QVK__VEC_PUSH(&edge->shapes, shape), err, QVK_OUT_OF_MEMORY, "out of memory");
    return QVK_OK;
}

/* Value of an exported program (input or constant) with both shapes from its symbolic sizes. */
static qvk_status import_value(qvk__edge *edge, int32_t id, qvk_error *err)
{
    const qvk__value *from = &edge->program->graph.values.data[id];
    qvk_tensor high = from->desc, low = from->desc;
    qvk__value *to;
    int32_t made;

    if (from->kind == QVK__VALUE_SYMBOL) { /* an integer the caller passes */
        QVK__TRY(add_value(edge, from->name, NULL, NULL, &made, err));
        if (from->sym >= 0) {
            QVK__TRY(eval(edge, from->sym, true, &edge->shapes.data[made].symbol_high, err));
            QVK__TRY(eval(edge, from->sym, false, &edge->shapes.data[made].symbol_low, err));
        }
        edge->map[id] = made;
        return QVK_OK;
    }
    for (int d = 0; d < high.rank; d++) {
        if (from->syms[d] < 0)
            continue;
        QVK__TRY(eval(edge, from->syms[d], true, &high.sizes[d], err));
        QVK__TRY(eval(edge, from->syms[d], false, &low.sizes[d], err));
    }
    QVK__TRY(add_value(edge, from->name, &high, &low, &made, err));
    to = &edge->graph.values.data[made];
    to->constant = from->constant;
    to->is_mutable = from->is_mutable;
    edge->map[id] = made;
    return QVK_OK;
}

qvk_status qvk__edge_begin(const qvk__exported *program, const qvk__lower_params *params, qvk__edge *out,
                           qvk_error *err)
{
    const qvk__graph *graph = &program->graph;

    memset(out, 0, sizeof *out);
    out->program = program;
    out->params = params;
    qvk__graph_init(&out->graph);
    out->map = qvk__arena_alloc(&out->graph.arena, graph->values.count, sizeof *out->map);
    out->made = qvk__arena_alloc(&out->graph.arena, graph->values.count, sizeof *out->made);
    QVK__CHECK(out->map && out->made, err, QVK_OUT_OF_MEMORY, "out of memory");
    for (size_t i = 0; i < graph->values.count; i++)
        out->map[i] = -1;
    for (size_t i = 0; i < graph->values.count; i++)
        if (graph->values.data[i].constant)
            QVK__TRY(import_value(out, (int32_t)i, err));
    for (size_t i = 0; i < graph->inputs.count; i++) {
        QVK__TRY(import_value(out, graph->inputs.data[i], err));
        QVK__CHECK(QVK__VEC_PUSH(&out->graph.inputs, out->map[graph->inputs.data[i]]), err, QVK_OUT_OF_MEMORY,
                   "out of memory");
    }
    memcpy(out->made, out->map, graph->values.count * sizeof *out->made);
    return QVK_OK;
}

void qvk__edge_finish(qvk__edge *edge)
{
    free(edge->shapes.data);
    free(edge->mutated.data);
    free(edge->notes.data);
    qvk__graph_finish(&edge->graph);
    memset(edge, 0, sizeof *edge);
}

const qvk_tensor *qvk__edge_desc(const qvk__edge *edge, int32_t value)
{
    return &edge->graph.values.data[value].desc;
}

bool qvk__edge_is_dynamic(const qvk__edge *edge, int32_t value)
{
    if (edge->graph.values.data[value].kind == QVK__VALUE_SYMBOL)
        return edge->shapes.data[value].symbol_high != edge->shapes.data[value].symbol_low;
    return !qvk__shape_equal(&edge->graph.values.data[value].desc, &edge->shapes.data[value].low);
}

qvk__arg qvk__edge_ints(const int64_t *ints, int n)
{
    return (qvk__arg){.kind = QVK__ARG_INTS, .count = (uint32_t)n, .u.ints = ints};
}

qvk_status qvk__edge_constant_value(qvk__edge *edge, const char *name, const qvk_tensor *desc,
                                    const qvk__constant *constant, int32_t *out, qvk_error *err)
{
    QVK__TRY(add_value(edge, name, desc, desc, out, err));
    edge->graph.values.data[*out].constant = constant;
    return QVK_OK;
}

qvk_status qvk__edge_constant(qvk__edge *edge, const qvk_tensor *tensor, int32_t *out, qvk_error *err)
{
    qvk__constant *constant = qvk__arena_alloc(&edge->graph.arena, 1, sizeof *constant);
    size_t bytes = qvk_tensor_bytes(tensor);
    void *data = qvk__arena_memdup(&edge->graph.arena, tensor->data, bytes);

    QVK__CHECK(constant && data, err, QVK_OUT_OF_MEMORY, "out of memory");
    *constant = (qvk__constant){.data = data, .bytes = bytes};
    return qvk__edge_constant_value(edge, NULL, tensor, constant, out, err);
}

qvk_status qvk__edge_scalar(qvk__edge *edge, double number, qvk_dtype dtype, int32_t *out, qvk_error *err)
{
    union {
        float f;
        double d;
        int32_t i;
        int64_t l;
        uint16_t h;
        bool b;
    } bytes = {0};
    qvk_tensor tensor = {.dtype = dtype, .data = &bytes};

    switch (dtype) {
    case QVK_DTYPE_F32: bytes.f = (float)number; break;
    case QVK_DTYPE_F64: bytes.d = number; break;
    case QVK_DTYPE_F16: bytes.h = qvk__f32_to_f16((float)number); break;
    case QVK_DTYPE_BF16: bytes.h = qvk__f32_to_bf16((float)number); break;
    case QVK_DTYPE_I32: bytes.i = (int32_t)number; break;
    case QVK_DTYPE_I64: bytes.l = (int64_t)number; break;
    case QVK_DTYPE_BOOL: bytes.b = number != 0; break;
    default: return qvk__fail(err, QVK_UNSUPPORTED, "a %s scalar", qvk_dtype_name(dtype));
    }
    return qvk__edge_constant(edge, &tensor, out, err);
}

/* ---- emitting ---------------------------------------------------------------------------------------------- */

typedef struct view {
    const qvk__edge *edge;
    bool high;
} view;

static const qvk_tensor *view_tensor(void *user, int32_t value)
{
    const view *v = user;
    const qvk__value *val = &v->edge->graph.values.data[value];
    if (val->kind == QVK__VALUE_SYMBOL)
        return NULL;
    return v->high ? &val->desc : &v->edge->shapes.data[value].low;
}

static int64_t view_symbol(void *user, int32_t value)
{
    const view *v = user;
    const qvk__edge_shape *shape = &v->edge->shapes.data[value];
    return v->high ? shape->symbol_high : shape->symbol_low;
}

/* Infers outputs (tensors) or evaluates (symbols) at one of the two choices. */
static qvk_status infer(qvk__edge *edge, qvk__op op, const qvk__arg *args, int n_args, bool high,
                        qvk_tensor *outs, int n_outs, int64_t *symbol, qvk_error *err)
{
    view v = {edge, high};
    qvk__resolver resolver = {view_tensor, view_symbol, &v};
    qvk__arena scratch = {0};
    qvk__arg resolved[QVK__MAX_PARAMS];
    qvk_status status = QVK_OK;

    QVK__CHECK_GO(n_args <= QVK__MAX_PARAMS && qvk__args_resolve(args, n_args, &resolver, &scratch, resolved),
                  err, QVK_OUT_OF_MEMORY, "out of memory");
    status = symbol ? qvk__op_eval_symbol(op, resolved, n_args, symbol, err)
                    : qvk__op_infer(op, resolved, n_args, outs, n_outs, err);
    if (status != QVK_OK)
        qvk__error_context(err, status, "%s%s%s", qvk__op_name(op),
                           edge->origin && edge->origin->trace ? " at " : "",
                           edge->origin && edge->origin->trace ? edge->origin->trace : "");
done:
    qvk__arena_free(&scratch);
    return status;
}

static qvk_status emit_symbol(qvk__edge *edge, qvk__op op, const qvk__arg *args, int n_args, int32_t *out,
                              qvk_error *err)
{
    int64_t high, low;

    QVK__TRY(infer(edge, op, args, n_args, true, NULL, 0, &high, err));
    QVK__TRY(infer(edge, op, args, n_args, false, NULL, 0, &low, err));
    QVK__TRY(add_value(edge, NULL, NULL, NULL, out, err));
    edge->shapes.data[*out].symbol_high = high;
    edge->shapes.data[*out].symbol_low = low;
    edge->graph.values.data[*out].symbol_value = high;
    return QVK_OK;
}

qvk_status qvk__edge_emit_typed(qvk__edge *edge, qvk__op op, const qvk__arg *args, int n_args,
                                const qvk_dtype *dtypes, int32_t *outs, int n_outs, qvk_error *err)
{
    qvk_status status = QVK_OK;
    qvk__signature signature;
    qvk_tensor *high = NULL, *low = NULL;
    int32_t node;

    qvk__op_signature(op, &signature);
    if (signature.returns_symbol) {
        QVK__TRY_GO(emit_symbol(edge, op, args, n_args, &outs[0], err));
    } else {
        high = qvk__alloc_zeroed((uint64_t)n_outs * 2, sizeof *high);
        QVK__CHECK_GO(high, err, QVK_OUT_OF_MEMORY, "out of memory");
        low = high + n_outs;
        for (int i = 0; i < 2 * n_outs; i++)
            high[i].dtype = dtypes[i % n_outs];
        QVK__TRY_GO(infer(edge, op, args, n_args, true, high, n_outs, NULL, err));
        QVK__TRY_GO(infer(edge, op, args, n_args, false, low, n_outs, NULL, err));
        for (int i = 0; i < n_outs; i++)
            QVK__TRY_GO(add_value(edge, NULL, &high[i], &low[i], &outs[i], err));
    }
    node = qvk__graph_add_node(&edge->graph, op, edge->origin ? edge->origin->name : NULL, args, n_args, outs,
                               n_outs);
    QVK__CHECK_GO(node >= 0, err, QVK_OUT_OF_MEMORY, "out of memory");
    edge->graph.nodes.data[node].trace = edge->origin ? edge->origin->trace : NULL;
done:
    free(high);
    return status;
}

qvk_status qvk__edge_emit(qvk__edge *edge, qvk__op op, const qvk__arg *args, int n_args, qvk_dtype dtype,
                          int32_t *outs, int n_outs, qvk_error *err)
{
    qvk_dtype *dtypes = qvk__arena_alloc(&edge->graph.arena, (uint64_t)n_outs, sizeof *dtypes);

    QVK__CHECK(dtypes, err, QVK_OUT_OF_MEMORY, "out of memory");
    for (int i = 0; i < n_outs; i++)
        dtypes[i] = dtype;
    return qvk__edge_emit_typed(edge, op, args, n_args, dtypes, outs, n_outs, err);
}

qvk_status qvk__edge_size(qvk__edge *edge, int32_t value, int dim, qvk__arg *out, qvk_error *err)
{
    int64_t high = edge->graph.values.data[value].desc.sizes[dim];
    int32_t symbol;

    if (high == edge->shapes.data[value].low.sizes[dim]) {
        *out = qvk__arg_from_int(high);
        return QVK_OK;
    }
    QVK__TRY(QVK__EDGE_EMIT(edge, QVK__OP_SYM_SIZE_INT, QVK_DTYPE_NONE, &symbol, err,
                            qvk__arg_from_value(value), qvk__arg_from_int(dim)));
    *out = qvk__arg_from_value(symbol);
    return QVK_OK;
}

qvk_status qvk__edge_map_arg(qvk__edge *edge, const qvk__arg *from, qvk__arg *to, qvk_error *err)
{
    *to = *from;
    if (from->kind == QVK__ARG_VALUE) {
        int32_t mapped = edge->map[from->u.value];
        QVK__CHECK(mapped >= 0, err, QVK_INTERNAL, "value %s was not translated",
                   edge->program->graph.values.data[from->u.value].name);
        to->u.value = mapped;
    } else if (from->kind == QVK__ARG_LIST) {
        qvk__arg *list = qvk__arena_alloc(&edge->graph.arena, from->count, sizeof *list);
        QVK__CHECK(list, err, QVK_OUT_OF_MEMORY, "out of memory");
        for (uint32_t i = 0; i < from->count; i++)
            QVK__TRY(qvk__edge_map_arg(edge, &from->u.list[i], &list[i], err));
        to->u.list = list;
    }
    return QVK_OK;
}
