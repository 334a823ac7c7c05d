/* Nodes and arguments of models/model.json. */
#include <math.h>
#include <stdio.h>

#include "pt2/codes.h"
#include "pt2/pt2_writer.h"

enum { KIND_POSITIONAL = 1, KIND_KEYWORD = 2 };

/* ---- values and scalars -------------------------------------------------------------------------------- */

static void write_name(const char *key, const char *name, qvk__string *out)
{
    qvk__string_addf(out, "{\"%s\": \"", key);
    qvk__string_add_json(out, name);
    qvk__string_add(out, "\"}");
}

/* "as_sym_int" of a symbol, "as_tensor" of a tensor. */
static const char *value_key(const qvk__value *value)
{
    if (value->kind == QVK__VALUE_TENSOR)
        return "as_tensor";
    return value->desc.dtype == QVK_DTYPE_BOOL  ? "as_sym_bool"
           : value->desc.dtype == QVK_DTYPE_F64 ? "as_sym_float"
                                                : "as_sym_int";
}

void qvk__pt2_write_value(const qvk__exported *program, int32_t id, qvk__string *out)
{
    const qvk__value *value = &program->graph.values.data[id];

    qvk__string_addf(out, "{\"%s\": ", value_key(value));
    write_name(value->kind == QVK__VALUE_TENSOR ? "name" : "as_name", value->name, out);
    qvk__string_add(out, "}");
}

static void write_float(double value, qvk__string *out)
{
    char text[40];

    if (isnan(value)) {
        qvk__string_add(out, "\"NaN\"");
    } else if (isinf(value)) {
        qvk__string_add(out, value > 0 ? "\"Infinity\"" : "\"-Infinity\"");
    } else {
        snprintf(text, sizeof text, "%.17g", value);
        qvk__string_add(out, text);
        if (!strpbrk(text, ".e")) /* or Python reads an int */
            qvk__string_add(out, ".0");
    }
}

/* ---- arguments ----------------------------------------------------------------------------------------- */

static bool type_is(const char *type, const char *name)
{
    return type && qvk__starts_with(type, name) && !strstr(type, "[]");
}

/* An INT, which in a schema may be the number of a dtype or the like. */
static qvk_status write_int(int64_t value, const char *type, qvk__string *out, qvk_error *err)
{
    for (qvk__code_kind kind = 0; kind < QVK__CODE_KINDS; kind++) {
        int64_t code;
        if (!type_is(type, qvk__code_type(kind)))
            continue;
        QVK__CHECK(qvk__code_from_c10(kind, value, &code), err, QVK_INVALID_ARGUMENT, "%lld is no %s",
                   (long long)value, qvk__code_type(kind));
        qvk__string_addf(out, "{\"%s\": %lld}", qvk__code_argument(kind), (long long)code);
        return QVK_OK;
    }
    if (type_is(type, "Device")) {
        const char *device = qvk__device_from_c10(value);
        QVK__CHECK(device, err, QVK_INVALID_ARGUMENT, "%lld is no device", (long long)value);
        qvk__string_addf(out, "{\"as_device\": {\"type\": \"%s\", \"index\": null}}", device);
        return QVK_OK;
    }
    qvk__string_addf(out, "{\"as_int\": %lld}", (long long)value);
    return QVK_OK;
}

static void write_numbers(const qvk__arg *arg, qvk__string *out)
{
    qvk__string_addf(out, "{\"%s\": [",
                     arg->kind == QVK__ARG_INTS     ? "as_ints"
                     : arg->kind == QVK__ARG_FLOATS ? "as_floats"
                                                    : "as_bools");
    for (uint32_t i = 0; i < arg->count; i++) {
        qvk__string_add(out, i ? ", " : "");
        if (arg->kind == QVK__ARG_INTS)
            qvk__string_addf(out, "%lld", (long long)arg->u.ints[i]);
        else if (arg->kind == QVK__ARG_FLOATS)
            write_float(arg->u.floats[i], out);
        else
            qvk__string_add(out, arg->u.bools[i] ? "true" : "false");
    }
    qvk__string_add(out, "]}");
}

/* What a mixed list is: torch tells by its contents, and so does this. */
static const char *list_key(const qvk__exported *program, const qvk__arg *list, const char *type)
{
    bool any_none = false;

    for (uint32_t i = 0; i < list->count; i++)
        any_none |= list->u.list[i].kind == QVK__ARG_NULL;
    for (uint32_t i = 0; i < list->count; i++) {
        const qvk__arg *item = &list->u.list[i];
        if (item->kind == QVK__ARG_STRING)
            return "as_strings";
        if (item->kind == QVK__ARG_VALUE) {
            const qvk__value *value = &program->graph.values.data[item->u.value];
            if (value->kind != QVK__VALUE_TENSOR)
                return value->desc.dtype == QVK_DTYPE_BOOL  ? "as_sym_bools"
                       : value->desc.dtype == QVK_DTYPE_F64 ? "as_sym_floats"
                                                            : "as_sym_ints";
            return any_none ? "as_optional_tensors" : "as_tensors";
        }
    }
    if (any_none)
        return "as_optional_tensors";
    if (list->count > 0)
        return list->u.list[0].kind == QVK__ARG_FLOAT  ? "as_floats"
               : list->u.list[0].kind == QVK__ARG_BOOL ? "as_bools"
                                                       : "as_ints";
    return type && qvk__starts_with(type, "Tensor") ? "as_tensors" : "as_ints";
}

static qvk_status write_item(const qvk__exported *program, const qvk__arg *item, const char *key,
                             qvk__string *out, qvk_error *err)
{
    bool symbolic = qvk__starts_with(key, "as_sym_"), optional = strcmp(key, "as_optional_tensors") == 0;

    switch (item->kind) {
    case QVK__ARG_VALUE:
        if (optional)
            qvk__pt2_write_value(program, item->u.value, out);
        else
            write_name(symbolic ? "as_name" : "name", program->graph.values.data[item->u.value].name, out);
        return QVK_OK;
    case QVK__ARG_NULL: qvk__string_add(out, "{\"as_none\": true}"); return QVK_OK;
    case QVK__ARG_STRING: qvk__string_add_quoted(out, item->u.s); return QVK_OK;
    case QVK__ARG_INT:
        qvk__string_addf(out, symbolic ? "{\"as_int\": %lld}" : "%lld", (long long)item->u.i);
        return QVK_OK;
    case QVK__ARG_BOOL:
        qvk__string_addf(out, symbolic ? "{\"as_bool\": %s}" : "%s", item->u.b ? "true" : "false");
        return QVK_OK;
    case QVK__ARG_FLOAT:
        qvk__string_add(out, symbolic ? "{\"as_float\": " : "");
        write_float(item->u.f, out);
        qvk__string_add(out, symbolic ? "}" : "");
        return QVK_OK;
    default: return qvk__fail(err, QVK_INVALID_ARGUMENT, "a list that exported programs cannot hold");
    }
}

static qvk_status write_list(const qvk__exported *program, const qvk__arg *arg, const char *type,
                             qvk__string *out, qvk_error *err)
{
    const char *key = list_key(program, arg, type);

    qvk__string_addf(out, "{\"%s\": [", key);
    for (uint32_t i = 0; i < arg->count; i++) {
        qvk__string_add(out, i ? ", " : "");
        QVK__TRY(write_item(program, &arg->u.list[i], key, out, err));
    }
    qvk__string_add(out, "]}");
    return QVK_OK;
}

qvk_status qvk__pt2_write_argument(const qvk__exported *program, const qvk__arg *arg, const char *type,
                                   qvk__string *out, qvk_error *err)
{
    switch (arg->kind) {
    case QVK__ARG_NULL: qvk__string_add(out, "{\"as_none\": true}"); return QVK_OK;
    case QVK__ARG_INT: return write_int(arg->u.i, type, out, err);
    case QVK__ARG_BOOL:
        qvk__string_add(out, arg->u.b ? "{\"as_bool\": true}" : "{\"as_bool\": false}");
        return QVK_OK;
    case QVK__ARG_FLOAT:
        qvk__string_add(out, "{\"as_float\": ");
        write_float(arg->u.f, out);
        qvk__string_add(out, "}");
        return QVK_OK;
    case QVK__ARG_STRING: write_name("as_string", arg->u.s, out); return QVK_OK;
    case QVK__ARG_VALUE: qvk__pt2_write_value(program, arg->u.value, out); return QVK_OK;
    case QVK__ARG_INTS:
        if (arg->count == 0 && type && qvk__starts_with(type, "Tensor"))
            return write_list(program, &(qvk__arg){.kind = QVK__ARG_LIST}, type, out, err);
        write_numbers(arg, out);
        return QVK_OK;
    case QVK__ARG_FLOATS:
    case QVK__ARG_BOOLS: write_numbers(arg, out); return QVK_OK;
    case QVK__ARG_LIST: return write_list(program, arg, type, out, err);
    default: return qvk__fail(err, QVK_INTERNAL, "an argument that holds a tensor");
    }
}

/* ---- calls --------------------------------------------------------------------------------------------- */

static bool same_arg(const qvk__arg *a, const qvk__arg *b)
{
    if (a->kind != b->kind)
        return false;
    switch (a->kind) {
    case QVK__ARG_NULL: return true;
    case QVK__ARG_INT: return a->u.i == b->u.i;
    case QVK__ARG_FLOAT: return memcmp(&a->u.f, &b->u.f, sizeof a->u.f) == 0;
    case QVK__ARG_BOOL: return a->u.b == b->u.b;
    case QVK__ARG_STRING: return strcmp(a->u.s, b->u.s) == 0;
    case QVK__ARG_INTS:
        return a->count == b->count &&
               (a->count == 0 || memcmp(a->u.ints, b->u.ints, a->count * sizeof(int64_t)) == 0);
    default: return false;
    }
}

static bool is_default(const qvk__param *param, const qvk__arg *arg)
{
    return param->has_default && same_arg(arg, &param->fallback);
}

static qvk_status write_input(const qvk__exported *program, const char *name, const char *type, int kind,
                              const qvk__arg *arg, bool first, qvk__string *out, qvk_error *err)
{
    qvk__string_add(out, first ? "{\"name\": \"" : ", {\"name\": \"");
    qvk__string_add_json(out, name);
    qvk__string_add(out, "\", \"arg\": ");
    QVK__TRY(qvk__pt2_write_argument(program, arg, type, out, err));
    qvk__string_addf(out, ", \"kind\": %d}", kind);
    return QVK_OK;
}

/* Defaults are left out, but a positional one only where no other positional argument follows. */
static qvk_status write_known_inputs(const qvk__exported *program, const qvk__node *node,
                                     const qvk__signature *signature, qvk__string *out, qvk_error *err)
{
    bool first = true;
    int needed = 0;

    for (int i = 0; i < node->n_args; i++)
        if (!signature->params[i].keyword_only && !is_default(&signature->params[i], &node->args[i]))
            needed = i + 1;
    for (int i = 0; i < node->n_args; i++) {
        const qvk__param *param = &signature->params[i];
        if (i >= needed && is_default(param, &node->args[i]))
            continue;
        QVK__TRY(write_input(program, param->name, param->type,
                             param->keyword_only ? KIND_KEYWORD : KIND_POSITIONAL, &node->args[i], first, out,
                             err));
        first = false;
    }
    return QVK_OK;
}

static qvk_status write_foreign_inputs(const qvk__exported *program, const qvk__node *node, qvk__string *out,
                                       qvk_error *err)
{
    QVK__CHECK(node->foreign, err, QVK_INTERNAL, "%s: its arguments have no names", node->target);
    for (int i = 0; i < node->n_args; i++) {
        const qvk__foreign_arg *declared = &node->foreign->args[i];
        QVK__TRY(write_input(program, declared->name, declared->type,
                             declared->keyword_only ? KIND_KEYWORD : KIND_POSITIONAL, &node->args[i], i == 0,
                             out, err));
    }
    return QVK_OK;
}

static void write_outputs(const qvk__exported *program, const qvk__node *node, bool is_list, qvk__string *out)
{
    qvk__string_add(out, is_list ? "{\"as_tensors\": [" : "");
    for (int i = 0; i < node->n_outs; i++) {
        qvk__string_add(out, i ? ", " : "");
        if (node->outs[i] < 0)
            qvk__string_add(out, "{\"as_none\": true}");
        else if (is_list)
            write_name("name", program->graph.values.data[node->outs[i]].name, out);
        else
            qvk__pt2_write_value(program, node->outs[i], out);
    }
    qvk__string_add(out, is_list ? "]}" : "");
}

/* "torch.ops.aten.add.Tensor"; the operators on symbolic integers are Python's own or torch's. */
static void write_target(const qvk__node *node, qvk__string *out)
{
    const char *name = qvk__op_name(node->op);

    if (node->op == QVK__OP_NONE)
        qvk__string_add_json(out, node->target);
    else if (strchr(name, '.'))
        qvk__string_addf(out, "torch.ops.%s", name);
    else
        qvk__string_addf(out, "%s%s", qvk__starts_with(name, "sym_") ? "torch." : "_operator.", name);
}

/* ---- names of nodes ------------------------------------------------------------------------------------ */

/*
 * torch names the node of a single result after it; others need a name that no value and no other node has.
 * `taken` holds all value names, and gets the made ones.
 */
static const char *node_name(const qvk__exported *program, const qvk__node *node, qvk__map *taken,
                             qvk__arena *scratch)
{
    const char *wanted = node->name, *name;
    int64_t count = 0, ignored;

    if (node->n_outs == 1 && node->outs[0] >= 0)
        return program->graph.values.data[node->outs[0]].name;
    if (!wanted) { /* the operator's name without namespace and overload */
        const char *start = strchr(node->target, '.');
        start = start ? start + 1 : node->target;
        wanted = qvk__arena_strndup(scratch, start, strcspn(start, "."));
    }
    name = wanted;
    if (name && qvk__map_get(taken, name, &count)) {
        do
            name = qvk__arena_printf(scratch, "%s_%lld", wanted, (long long)++count);
        while (name && qvk__map_get(taken, name, &ignored));
        if (!qvk__map_set(taken, wanted, count))
            return NULL;
    }
    return name && qvk__map_set(taken, name, 0) ? name : NULL;
}

static qvk_status write_node(const qvk__exported *program, const qvk__node *node, const char *name,
                             qvk__string *out, qvk_error *err)
{
    bool is_list = node->op == QVK__OP_NONE && node->foreign && node->foreign->returns_list;
    qvk__signature signature;

    qvk__string_add(out, "{\"target\": \"");
    write_target(node, out);
    qvk__string_add(out, "\", \"inputs\": [");
    if (node->op == QVK__OP_NONE) {
        QVK__TRY(write_foreign_inputs(program, node, out, err));
    } else {
        qvk__op_signature(node->op, &signature);
        is_list = signature.n_returns < 0;
        QVK__TRY(write_known_inputs(program, node, &signature, out, err));
    }
    qvk__string_add(out, "], \"outputs\": [");
    write_outputs(program, node, is_list, out);
    qvk__string_add(out, "], \"metadata\": {");
    if (node->trace) {
        qvk__string_add(out, "\"stack_trace\": ");
        qvk__string_add_quoted(out, node->trace);
    }
    qvk__string_add(out, "}, \"is_hop_single_tensor_return\": null, \"name\": \"");
    qvk__string_add_json(out, name);
    qvk__string_add(out, "\"}");
    return QVK_OK;
}

qvk_status qvk__pt2_write_nodes(const qvk__exported *program, qvk__string *out, qvk_error *err)
{
    const qvk__graph *graph = &program->graph;
    qvk__arena scratch = {0};
    qvk__map taken = {0};
    qvk_status status = QVK_OK;
    bool first = true;

    for (size_t i = 0; i < graph->values.count; i++)
        QVK__CHECK_GO(qvk__map_set(&taken, graph->values.data[i].name, 0), err, QVK_OUT_OF_MEMORY,
                      "out of memory");
    for (size_t n = 0; n < graph->nodes.count; n++) {
        const qvk__node *node = &graph->nodes.data[n];
        const char *name;
        if (node->dead)
            continue;
        name = node_name(program, node, &taken, &scratch);
        QVK__CHECK_GO(name, err, QVK_OUT_OF_MEMORY, "out of memory");
        qvk__string_add(out, first ? "" : ", ");
        first = false;
        status = write_node(program, node, name, out, err);
        if (status != QVK_OK) {
            qvk__error_context(err, status, "node %zu (%s)", n, node->target);
            goto done;
        }
    }
done:
    qvk__map_free(&taken);
    qvk__arena_free(&scratch);
    return status;
}
