/* model.json's graph module: values, placeholders, outputs, ranges of symbolic sizes. */
#include "core/dtype.h"
#include "pt2/pt2_reader.h"

#include <stdio.h>

/* torch used to write "no upper bound" as sys.maxsize - 1. */
#define UNBOUNDED (INT64_MAX / 2)

/* ---- names --------------------------------------------------------------------------------------------- */

const char *qvk__pt2_unique_name(qvk__pt2_reader *reader, const char *wanted)
{
    qvk__arena *arena = &reader->program->graph.arena;
    const char *name = qvk__arena_strdup(arena, wanted);
    int64_t count = 0, ignored;

    if (name && qvk__map_get(&reader->names, name, &count)) {
        do
            name = qvk__arena_printf(arena, "%s_%lld", wanted, (long long)++count);
        while (name && qvk__map_get(&reader->names, name, &ignored));
        /* Remember how far the numbers got, so that many equal names do not cost their square. */
        if (name && !qvk__map_set(&reader->names, qvk__arena_strdup(arena, wanted), count))
            return NULL;
    }
    return name && qvk__map_set(&reader->names, name, 0) ? name : NULL;
}

qvk_status qvk__pt2_bind(qvk__pt2_reader *reader, qvk__pt2_scope *scope, const qvk__json *at,
                         const char *name, int32_t value, qvk_error *err)
{
    const char *kept;
    int64_t other;

    if (qvk__map_get(&scope->names, name, &other))
        return qvk__json_fail(at, err, QVK_BAD_FORMAT, "%s is defined twice", name);
    kept = qvk__arena_strdup(&reader->scratch, name);
    QVK__CHECK(kept && qvk__map_set(&scope->names, kept, value), err, QVK_OUT_OF_MEMORY, "out of memory");
    return QVK_OK;
}

qvk_status qvk__pt2_lookup(const qvk__pt2_scope *scope, const qvk__json *at, const char *name, int32_t *out,
                           qvk_error *err)
{
    int64_t value;

    if (!qvk__map_get(&scope->names, name, &value))
        return qvk__json_fail(at, err, QVK_BAD_FORMAT, "%s is not defined here", name);
    *out = (int32_t)value;
    return QVK_OK;
}

/* ---- values -------------------------------------------------------------------------------------------- */

/* Size of a dynamic dimension as far as it is known: its bound, else what it was at export. */
static int64_t bound_of(const qvk__exported *program, int32_t expression)
{
    int64_t most;
    if (qvk__expression_max(program, expression, &most, NULL) == QVK_OK && most >= 0)
        return most;
    return QVK__MAX(program->expressions.data[expression].hint, 1);
}

static qvk_status read_sizes(qvk__pt2_reader *reader, const qvk__json *meta, qvk__value *value,
                             qvk_error *err)
{
    const qvk__exported *program = reader->program;
    qvk_tensor *desc = &value->desc;
    qvk__json sizes;
    size_t rank;

    QVK__TRY(qvk__json_get_array(meta, "sizes", &sizes, &rank, err));
    if (rank > QVK_MAX_RANK)
        return qvk__json_fail(&sizes, err, QVK_UNSUPPORTED, "%zu dimensions; at most %d are possible", rank,
                              QVK_MAX_RANK);
    desc->rank = (int32_t)rank;
    for (size_t i = 0; i < rank; i++) {
        qvk__json size = qvk__json_element(&sizes, i);
        QVK__TRY(qvk__pt2_read_sym_int(reader, &size, &desc->sizes[i], &value->syms[i], err));
        if (value->syms[i] >= 0)
            desc->sizes[i] = bound_of(program, value->syms[i]);
        else if (desc->sizes[i] < 0)
            return qvk__json_fail(&size, err, QVK_BAD_FORMAT, "a negative size");
    }
    for (size_t i = 0; i < rank && qvk_tensor_numel(desc) < 0; i++) /* bounds too generous to multiply */
        if (value->syms[i] >= 0)
            desc->sizes[i] = QVK__MAX(program->expressions.data[value->syms[i]].hint, 1);
    if (qvk_tensor_numel(desc) < 0)
        return qvk__json_fail(&sizes, err, QVK_BAD_FORMAT, "the shape is too large");
    return QVK_OK;
}

static qvk_status read_tensor_meta(qvk__pt2_reader *reader, const qvk__json *meta, qvk__value *value,
                                   qvk_error *err)
{
    qvk__json dtype;

    value->kind = QVK__VALUE_TENSOR;
    QVK__TRY(qvk__json_get(meta, "dtype", &dtype, err));
    QVK__TRY(qvk__pt2_read_dtype(&dtype, &value->desc.dtype, err));
    return read_sizes(reader, meta, value, err);
}

static qvk_status read_symbol_meta(qvk__pt2_reader *reader, const qvk__json *meta, qvk_dtype dtype,
                                   qvk__value *value, qvk_error *err)
{
    const char *key;
    qvk__json member;

    value->kind = QVK__VALUE_SYMBOL;
    value->desc.dtype = dtype;
    if (dtype == QVK_DTYPE_I64) {
        QVK__TRY(qvk__pt2_read_sym_int(reader, meta, &value->symbol_value, &value->sym, err));
        if (value->sym < 0) /* known: the expression is the number */
            value->sym = qvk__expression_constant(reader->program, value->symbol_value);
        QVK__CHECK(value->sym >= 0, err, QVK_OUT_OF_MEMORY, "out of memory");
        return QVK_OK;
    }
    /* Truth values and floats: their expression is only kept for writing back. */
    QVK__TRY(qvk__json_union(meta, &key, &member, err));
    if (strcmp(key, "as_expr") == 0) {
        const char *text;
        qvk_status status;
        QVK__TRY(qvk__json_get_string(&member, "expr_str", &text, err));
        status = qvk__expression_parse(reader->program, text, -1, &value->sym, err);
        return status == QVK_OK ? status : qvk__json_context(&member, err, status);
    }
    return QVK_OK;
}

static qvk_status read_meta(qvk__pt2_reader *reader, const qvk__json *graph, const qvk__json *at,
                            const char *name, qvk__value *value, qvk_error *err)
{
    static const struct {
        const char *key;
        qvk_dtype dtype;
    } tables[] = {{"tensor_values", QVK_DTYPE_NONE},
                  {"sym_int_values", QVK_DTYPE_I64},
                  {"sym_bool_values", QVK_DTYPE_BOOL},
                  {"sym_float_values", QVK_DTYPE_F64}};

    for (size_t i = 0; i < QVK__COUNT(tables); i++) {
        qvk__json table, meta;
        if (!qvk__json_find(graph, tables[i].key, &table) || !qvk__json_find(&table, name, &meta))
            continue;
        return i == 0 ? read_tensor_meta(reader, &meta, value, err)
                      : read_symbol_meta(reader, &meta, tables[i].dtype, value, err);
    }
    return qvk__json_fail(at, err, QVK_BAD_FORMAT, "%s is in none of the graph's tables of values", name);
}

qvk_status qvk__pt2_define(qvk__pt2_reader *reader, qvk__pt2_scope *scope, const qvk__json *at,
                           const char *name, int32_t *out, qvk_error *err)
{
    qvk__graph *graph = &reader->program->graph;
    qvk__value value = {.sym = -1};
    const char *unique;

    for (int i = 0; i < QVK_MAX_RANK; i++)
        value.syms[i] = -1;
    QVK__TRY(read_meta(reader, scope->graph, at, name, &value, err));
    unique = qvk__pt2_unique_name(reader, name);
    *out = unique ? qvk__graph_add_value(graph, unique, &value.desc) : -1;
    QVK__CHECK(*out >= 0, err, QVK_OUT_OF_MEMORY, "out of memory");
    value.name = graph->values.data[*out].name;
    graph->values.data[*out] = value;
    return qvk__pt2_bind(reader, scope, at, name, *out, err);
}

/* ---- placeholders -------------------------------------------------------------------------------------- */

/* A tensor subclass becomes the plain parameters that torchao's unwrap_tensor_subclass would have made of it.
 */
static qvk_status expand_subclass(qvk__pt2_reader *reader, qvk__pt2_payload *payload, qvk_error *err)
{
    qvk__exported *program = reader->program;
    const char *dot = strrchr(payload->fqn, '.');
    int parent = dot ? (int)(dot - payload->fqn) + 1 : 0;

    for (size_t i = 0; i < payload->n_inner; i++) {
        qvk__pt2_inner *inner = &payload->inner[i];
        char *fqn = qvk__arena_printf(&reader->scratch, "%.*sparametrizations.%s.original%zu", parent,
                                      payload->fqn, payload->fqn + parent, i);
        char *name = fqn ? qvk__arena_printf(&reader->scratch, "p_%s", fqn) : NULL;
        const char *unique;
        for (char *c = name; c && *c; c++)
            if (*c == '.')
                *c = '_';
        unique = name ? qvk__pt2_unique_name(reader, name) : NULL;
        inner->value = unique ? qvk__exported_add_constant(program, QVK__INPUT_PARAMETER, unique, fqn,
                                                           &inner->tensor.desc, inner->tensor.constant)
                              : -1;
        QVK__CHECK(inner->value >= 0, err, QVK_OUT_OF_MEMORY, "out of memory");
    }
    return QVK_OK;
}

/* A parameter, buffer or tensor constant: `spec` is its signature entry, `target_key` where its name is. */
static qvk_status read_constant(qvk__pt2_reader *reader, qvk__pt2_scope *scope, const qvk__json *spec,
                                qvk__input_kind kind, const char *target_key, qvk_error *err)
{
    qvk__exported *program = reader->program;
    qvk__input_spec made = {.kind = kind};
    qvk__json argument, persistent;
    const char *name, *target;
    qvk__pt2_payload *payload;
    qvk__value *value;

    QVK__TRY(qvk__json_get(spec, "arg", &argument, err));
    QVK__TRY(qvk__json_get_string(&argument, "name", &name, err));
    QVK__TRY(qvk__json_get_string(spec, target_key, &target, err));
    payload = qvk__pt2_find_payload(reader, target);
    if (!payload)
        return qvk__json_fail(spec, err, QVK_BAD_FORMAT, "the archive has no data for %s", target);
    if (payload->refusal)
        return qvk__json_fail(spec, err, QVK_UNSUPPORTED, "%s: %s", target, payload->refusal);
    if (payload->n_inner > 0) {
        QVK__TRY(
            qvk__pt2_bind(reader, scope, spec, name, (int32_t)(-2 - (payload - reader->payloads.data)), err));
        return expand_subclass(reader, payload, err);
    }
    if (kind == QVK__INPUT_BUFFER && qvk__json_find(spec, "persistent", &persistent))
        QVK__TRY(qvk__json_bool(&persistent, &made.persistent, err));
    QVK__TRY(qvk__pt2_define(reader, scope, spec, name, &made.value, err));
    value = &program->graph.values.data[made.value];
    if (value->kind != QVK__VALUE_TENSOR || value->desc.dtype != payload->tensor.desc.dtype ||
        !qvk__shape_equal(&value->desc, &payload->tensor.desc))
        return qvk__json_fail(spec, err, QVK_BAD_FORMAT, "%s is %s%s in the graph, but %s%s as stored",
                              target, qvk_dtype_name(value->desc.dtype), qvk__shape_text(&value->desc).text,
                              qvk_dtype_name(payload->tensor.desc.dtype),
                              qvk__shape_text(&payload->tensor.desc).text);
    value->constant = payload->tensor.constant;
    made.requires_grad = payload->tensor.requires_grad;
    made.target = qvk__arena_strdup(&program->graph.arena, target);
    QVK__CHECK(made.target && QVK__VEC_PUSH(&program->inputs, made), err, QVK_OUT_OF_MEMORY, "out of memory");
    return QVK_OK;
}

static qvk_status add_literal(qvk__pt2_reader *reader, const qvk__pt2_scope *scope, const qvk__json *value,
                              const char *name, qvk_error *err)
{
    qvk__exported *program = reader->program;
    qvk__input_spec made = {.kind = QVK__INPUT_LITERAL, .value = -1};
    const char *type;
    qvk__arg literal;

    QVK__TRY(qvk__pt2_read_argument(reader, scope, value, &literal, &type, err));
    made.target = qvk__arena_strdup(&program->graph.arena, name);
    QVK__CHECK(made.target && qvk__graph_copy_arg(&program->graph, &literal, &made.literal) &&
                   QVK__VEC_PUSH(&program->inputs, made),
               err, QVK_OUT_OF_MEMORY, "out of memory");
    return QVK_OK;
}

static qvk_status read_user_input(qvk__pt2_reader *reader, qvk__pt2_scope *scope, const qvk__json *spec,
                                  qvk_error *err)
{
    qvk__exported *program = reader->program;
    qvk__input_spec made = {.kind = QVK__INPUT_USER};
    qvk__json argument;
    const char *name;

    QVK__TRY(qvk__json_get(spec, "arg", &argument, err));
    QVK__TRY(qvk__pt2_argument_name(&argument, &name, err));
    if (!name)
        return add_literal(reader, scope, &argument, "", err);
    QVK__TRY(qvk__pt2_define(reader, scope, &argument, name, &made.value, err));
    QVK__CHECK(QVK__VEC_PUSH(&program->inputs, made) && QVK__VEC_PUSH(&program->graph.inputs, made.value),
               err, QVK_OUT_OF_MEMORY, "out of memory");
    return QVK_OK;
}

static qvk_status read_input_spec(qvk__pt2_reader *reader, qvk__pt2_scope *scope, const qvk__json *at,
                                  qvk_error *err)
{
    const char *key, *name;
    qvk__json spec, value;

    QVK__TRY(qvk__json_union(at, &key, &spec, err));
    if (strcmp(key, "parameter") == 0)
        return read_constant(reader, scope, &spec, QVK__INPUT_PARAMETER, "parameter_name", err);
    if (strcmp(key, "buffer") == 0)
        return read_constant(reader, scope, &spec, QVK__INPUT_BUFFER, "buffer_name", err);
    if (strcmp(key, "tensor_constant") == 0)
        return read_constant(reader, scope, &spec, QVK__INPUT_TENSOR_CONSTANT, "tensor_constant_name", err);
    if (strcmp(key, "user_input") == 0)
        return read_user_input(reader, scope, &spec, err);
    if (strcmp(key, "constant_input") == 0) {
        QVK__TRY(qvk__json_get_string(&spec, "name", &name, err));
        QVK__TRY(qvk__json_get(&spec, "value", &value, err));
        return add_literal(reader, scope, &value, name, err);
    }
    return qvk__json_fail(at, err, QVK_UNSUPPORTED, "inputs of kind %.32s", key);
}

/* ---- outputs ------------------------------------------------------------------------------------------- */

static qvk_status read_output_spec(qvk__pt2_reader *reader, const qvk__pt2_scope *scope, const qvk__json *at,
                                   qvk_error *err)
{
    qvk__exported *program = reader->program;
    qvk__output_spec made = {.kind = QVK__OUTPUT_USER, .output = -1};
    const char *key, *target = NULL, *type;
    qvk__json spec, argument;
    qvk__arg value;

    QVK__TRY(qvk__json_union(at, &key, &spec, err));
    QVK__TRY(qvk__json_get(&spec, "arg", &argument, err));
    if (strcmp(key, "buffer_mutation") == 0) {
        made.kind = QVK__OUTPUT_BUFFER_MUTATION;
        QVK__TRY(qvk__json_get_string(&spec, "buffer_name", &target, err));
    } else if (strcmp(key, "user_input_mutation") == 0) {
        made.kind = QVK__OUTPUT_INPUT_MUTATION;
        QVK__TRY(qvk__json_get_string(&spec, "user_input_name", &target, err));
    } else if (strcmp(key, "user_output") != 0) {
        return qvk__json_fail(at, err, QVK_UNSUPPORTED, "outputs of kind %.32s", key);
    }
    if (made.kind == QVK__OUTPUT_USER) {
        QVK__TRY(qvk__pt2_read_argument(reader, scope, &argument, &value, &type, err));
    } else {
        const char *name;
        value = (qvk__arg){.kind = QVK__ARG_VALUE};
        QVK__TRY(qvk__json_get_string(&argument, "name", &name, err));
        QVK__TRY(qvk__pt2_lookup(scope, &argument, name, &value.u.value, err));
        if (value.u.value < 0)
            return qvk__json_fail(&argument, err, QVK_UNSUPPORTED, "a tensor subclass as output");
    }
    if (value.kind == QVK__ARG_LIST)
        return qvk__json_fail(at, err, QVK_BAD_FORMAT, "a list as one output");
    made.target = target ? qvk__arena_strdup(&program->graph.arena, target) : NULL;
    QVK__CHECK(!target || made.target, err, QVK_OUT_OF_MEMORY, "out of memory");
    if (value.kind == QVK__ARG_VALUE) {
        made.output = (int32_t)program->graph.outputs.count;
        QVK__CHECK(QVK__VEC_PUSH(&program->graph.outputs, value.u.value), err, QVK_OUT_OF_MEMORY,
                   "out of memory");
    }
    QVK__CHECK(qvk__graph_copy_arg(&program->graph, &value, &made.literal) &&
                   QVK__VEC_PUSH(&program->outputs, made),
               err, QVK_OUT_OF_MEMORY, "out of memory");
    return QVK_OK;
}

/* ---- the whole ----------------------------------------------------------------------------------------- */

static qvk_status read_ranges(qvk__exported *program, const qvk__json *document, qvk_error *err)
{
    qvk__json ranges, range;
    void *iterator = NULL;

    if (!qvk__json_find(document, "range_constraints", &ranges))
        return QVK_OK;
    while (qvk__json_next(&ranges, &iterator, &range)) {
        int64_t min = INT64_MIN, max = INT64_MAX;
        qvk__json bound;
        if (qvk__json_find(&range, "min_val", &bound))
            QVK__TRY(qvk__json_int(&bound, &min, err));
        if (qvk__json_find(&range, "max_val", &bound))
            QVK__TRY(qvk__json_int(&bound, &max, err));
        if (max > UNBOUNDED)
            max = INT64_MAX;
        if (min < -UNBOUNDED)
            min = INT64_MIN;
        if (min > max)
            return qvk__json_fail(&range, err, QVK_BAD_FORMAT, "an empty range");
        QVK__CHECK(qvk__exported_set_range(program, range.key, min, max), err, QVK_OUT_OF_MEMORY,
                   "out of memory");
    }
    return QVK_OK;
}

/* Pytree specs of the call; absent in programs that never had any. */
static qvk_status read_call(qvk__exported *program, const qvk__json *module, qvk_error *err)
{
    qvk__json calls, call, signature, names;
    const char *in_spec, *out_spec;
    size_t count;

    if (!qvk__json_find(module, "module_call_graph", &calls))
        return QVK_OK;
    QVK__TRY(qvk__json_array(&calls, &count, err));
    if (count == 0)
        return QVK_OK;
    call = qvk__json_element(&calls, 0);
    if (!qvk__json_find(&call, "signature", &signature))
        return QVK_OK;
    QVK__TRY(qvk__json_get_string(&signature, "in_spec", &in_spec, err));
    QVK__TRY(qvk__json_get_string(&signature, "out_spec", &out_spec, err));
    program->in_spec = qvk__arena_strdup(&program->graph.arena, in_spec);
    program->out_spec = qvk__arena_strdup(&program->graph.arena, out_spec);
    QVK__CHECK(program->in_spec && program->out_spec, err, QVK_OUT_OF_MEMORY, "out of memory");
    if (!qvk__json_find(&signature, "forward_arg_names", &names))
        return QVK_OK;
    QVK__TRY(qvk__json_array(&names, &count, err));
    for (size_t i = 0; i < count; i++) {
        qvk__json element = qvk__json_element(&names, i);
        const char *name;
        QVK__TRY(qvk__json_string(&element, &name, err));
        name = qvk__arena_strdup(&program->graph.arena, name);
        QVK__CHECK(name && QVK__VEC_PUSH(&program->forward_arg_names, name), err, QVK_OUT_OF_MEMORY,
                   "out of memory");
    }
    return QVK_OK;
}

static qvk_status read_graph(qvk__pt2_reader *reader, const qvk__json *module, qvk__pt2_scope *scope,
                             qvk_error *err)
{
    qvk__json signature, inputs, outputs;
    size_t n_inputs, n_outputs;

    QVK__TRY(qvk__json_get(module, "signature", &signature, err));
    QVK__TRY(qvk__json_get_array(&signature, "input_specs", &inputs, &n_inputs, err));
    QVK__TRY(qvk__json_get_array(&signature, "output_specs", &outputs, &n_outputs, err));
    for (size_t i = 0; i < n_inputs; i++) {
        qvk__json spec = qvk__json_element(&inputs, i);
        QVK__TRY(read_input_spec(reader, scope, &spec, err));
    }
    QVK__TRY(qvk__pt2_read_nodes(reader, scope, err));
    for (size_t i = 0; i < n_outputs; i++) {
        qvk__json spec = qvk__json_element(&outputs, i);
        QVK__TRY(read_output_spec(reader, scope, &spec, err));
    }
    return QVK_OK;
}

qvk_status qvk__pt2_read_program(qvk__pt2_reader *reader, const qvk__json *document, qvk_error *err)
{
    qvk__pt2_scope scope = {0};
    qvk__json module, graph;
    qvk_status status;

    QVK__TRY(read_ranges(reader->program, document, err));
    QVK__TRY(qvk__json_get(document, "graph_module", &module, err));
    QVK__TRY(qvk__json_get(&module, "graph", &graph, err));
    QVK__TRY(read_call(reader->program, &module, err));
    scope.graph = &graph;
    status = read_graph(reader, &module, &scope, err);
    qvk__map_free(&scope.names);
    return status;
}
