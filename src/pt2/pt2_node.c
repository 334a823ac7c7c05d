/* Nodes of model.json: normalised arguments, dropped guards, inlined regions. */
#include <stdio.h>

#include "pt2/pt2_reader.h"

enum { MAX_INLINING = 16, MAX_FOREIGN_ARGS = 4096 };

/* ---- what a node is called ----------------------------------------------------------------------------- */

/* Checks that torch inserts for its own sake; they compute nothing. */
static const char *const ignored[] = {
    "torch.ops.aten._assert_tensor_metadata.default",
    "torch.ops.aten._assert_scalar.default",
    "torch.ops.aten._assert_async.msg",
    "torch.ops.aten._assert_async.default",
    "torch.ops.aten.sym_constrain_range.default",
    "torch.ops.aten.sym_constrain_range_for_size.default",
    "torch.ops.aten._functional_assert_scalar.default",
    "_guards_fn",
};

static bool is_ignored(const char *target)
{
    for (size_t i = 0; i < QVK__COUNT(ignored); i++)
        if (strcmp(target, ignored[i]) == 0)
            return true;
    return false;
}

static qvk__op find_op(const char *target)
{
    static const char *const symbolic[] = {"_operator.", "math.", "torch."};

    /* Constants are lifted with a detach in place; nothing else uses it, and it changes nothing. */
    if (strcmp(target, "torch.ops.aten.detach_.default") == 0)
        return QVK__OP_DETACH;
    if (qvk__starts_with(target, "torch.ops."))
        return qvk__op_find(target + strlen("torch.ops."));
    for (size_t i = 0; i < QVK__COUNT(symbolic); i++)
        if (qvk__starts_with(target, symbolic[i]))
            return qvk__op_find(target + strlen(symbolic[i]));
    return QVK__OP_NONE;
}

/* ---- where it comes from ------------------------------------------------------------------------------- */

static void add_line(qvk__string *out, const char *text, size_t length)
{
    while (length > 0 && (*text == ' ' || *text == '\t'))
        text++, length--;
    qvk__string_addf(out, "%.*s", (int)QVK__MIN(length, (size_t)300), text);
}

/* Module path: the last entry of "key,path,type;key,path,type". */
static void add_module(qvk__string *out, const char *stack)
{
    const char *last = strrchr(stack, ';'), *path, *end;

    last = last ? last + 1 : stack;
    path = strchr(last, ',');
    end = path ? strchr(path + 1, ',') : NULL;
    if (!end || end == path + 1 || qvk__starts_with(path + 1, "_empty_nn_module_stack"))
        return;
    add_line(out, path + 1, (size_t)(end - path) - 1);
}

static bool is_between(const char *start, const char *end, const char *text)
{
    const char *found = strstr(start, text);
    return found && (!end || found < end);
}

/* The innermost frame that is the user's own: not a file of the installed torch, no code torch made. */
static void add_frame(qvk__string *out, const char *trace)
{
    const char *best = NULL, *line, *code;

    for (line = strstr(trace, "File \""); line; line = strstr(line + 1, "File \"")) {
        const char *end = strchr(line, '\n');
        if (!best || !(is_between(line, end, "/torch/") || is_between(line, end, "<eval_with_key>")))
            best = line;
    }
    if (!best || !strchr(trace, '\n')) { /* not a whole Python trace: one of ours, or a remark */
        add_line(out, trace, strcspn(trace, "\n"));
        return;
    }
    add_line(out, best, strcspn(best, "\n"));
    code = best + strcspn(best, "\n");
    if (*code == '\n') {
        qvk__string_add(out, ": ");
        add_line(out, code + 1, strcspn(code + 1, "\n"));
    }
}

static const char *read_trace(qvk__pt2_reader *reader, const qvk__json *node)
{
    qvk__json metadata, text;
    qvk__string out = {0};
    const char *trace = NULL;

    if (!qvk__json_find(node, "metadata", &metadata))
        return NULL;
    if (qvk__json_find(&metadata, "nn_module_stack", &text) && json_is_string(text.value))
        add_module(&out, json_string_value(text.value));
    if (qvk__json_find(&metadata, "stack_trace", &text) && json_is_string(text.value)) {
        qvk__string_add(&out, out.count ? ", " : "");
        add_frame(&out, json_string_value(text.value));
    }
    if (out.count > 0 && !out.failed)
        trace = qvk__arena_strdup(&reader->program->graph.arena, out.data);
    free(out.data);
    return trace;
}

/* ---- arguments ----------------------------------------------------------------------------------------- */

typedef struct call {
    qvk__op op;
    const char *target, *name;
    qvk__arg *args;
    qvk__foreign_arg *declared; /* of unknown operators */
    int n_args;
} call;

static int find_param(const qvk__signature *signature, const char *name)
{
    for (int i = 0; i < signature->n_params; i++)
        if (strcmp(signature->params[i].name, name) == 0)
            return i;
    return -1;
}

/*
 * Arguments by the operator's schema. Where the file has one that our schema lacks, or lacks one that has no
 * default, it means another version of the operator: *fits is false and the call is kept as an unknown one.
 */
static qvk_status read_known(qvk__pt2_reader *reader, const qvk__pt2_scope *scope, const qvk__json *inputs,
                             size_t count, call *out, bool *fits, qvk_error *err)
{
    bool given[QVK__MAX_PARAMS] = {false};
    qvk__signature *signature = qvk__arena_alloc(&reader->scratch, 1, sizeof *signature);

    QVK__CHECK(signature, err, QVK_OUT_OF_MEMORY, "out of memory");
    qvk__op_signature(out->op, signature);
    out->n_args = signature->n_params;
    out->args = qvk__arena_alloc(&reader->scratch, (uint64_t)out->n_args, sizeof *out->args);
    QVK__CHECK(out->args, err, QVK_OUT_OF_MEMORY, "out of memory");
    *fits = false;
    for (size_t i = 0; i < count; i++) {
        qvk__json input = qvk__json_element(inputs, i), value;
        const char *name, *type;
        int place;
        QVK__TRY(qvk__json_get_string(&input, "name", &name, err));
        QVK__TRY(qvk__json_get(&input, "arg", &value, err));
        place = *name ? find_param(signature, name) : (int)i;
        if (place < 0 || place >= out->n_args || given[place])
            return QVK_OK;
        QVK__TRY(qvk__pt2_read_argument(reader, scope, &value, &out->args[place], &type, err));
        given[place] = true;
    }
    for (int i = 0; i < out->n_args; i++) {
        if (given[i])
            continue;
        if (!signature->params[i].has_default)
            return QVK_OK;
        out->args[i] = signature->params[i].fallback;
    }
    *fits = true;
    return QVK_OK;
}

static qvk_status read_foreign(qvk__pt2_reader *reader, const qvk__pt2_scope *scope, const qvk__json *inputs,
                               size_t count, call *out, qvk_error *err)
{
    qvk__arena *arena = &reader->program->graph.arena;

    if (count > MAX_FOREIGN_ARGS)
        return qvk__json_fail(inputs, err, QVK_UNSUPPORTED, "%zu arguments", count);
    out->op = QVK__OP_NONE;
    out->n_args = (int)count;
    out->args = qvk__arena_alloc(&reader->scratch, count, sizeof *out->args);
    out->declared = qvk__arena_alloc(arena, count, sizeof *out->declared);
    QVK__CHECK(out->args && out->declared, err, QVK_OUT_OF_MEMORY, "out of memory");
    for (size_t i = 0; i < count; i++) {
        qvk__json input = qvk__json_element(inputs, i), value, kind;
        const char *name;
        QVK__TRY(qvk__json_get_string(&input, "name", &name, err));
        QVK__TRY(qvk__json_get(&input, "arg", &value, err));
        QVK__TRY(qvk__pt2_read_argument(reader, scope, &value, &out->args[i], &out->declared[i].type, err));
        out->declared[i].keyword_only = qvk__json_find(&input, "kind", &kind) &&
                                        json_is_integer(kind.value) && json_integer_value(kind.value) == 2;
        out->declared[i].name = qvk__arena_strdup(arena, name);
        QVK__CHECK(out->declared[i].name, err, QVK_OUT_OF_MEMORY, "out of memory");
    }
    return QVK_OK;
}

/* ---- outputs ------------------------------------------------------------------------------------------- */

typedef QVK__VEC(int32_t) id_list;

static qvk_status add_output(qvk__pt2_reader *reader, qvk__pt2_scope *scope, const qvk__json *at,
                             const char *name, id_list *outs, qvk_error *err)
{
    int32_t value = -1;

    if (name)
        QVK__TRY(qvk__pt2_define(reader, scope, at, name, &value, err));
    QVK__CHECK(QVK__VEC_PUSH(outs, value), err, QVK_OUT_OF_MEMORY, "out of memory");
    return QVK_OK;
}

/* Names of the outputs in order, lists flattened; `visit` may be called with NULL for one that is not used.
 */
static qvk_status read_outputs(qvk__pt2_reader *reader, qvk__pt2_scope *scope, const qvk__json *node,
                               id_list *outs, bool *is_list, qvk_error *err)
{
    qvk__json outputs;
    size_t count;

    QVK__TRY(qvk__json_get_array(node, "outputs", &outputs, &count, err));
    *is_list = false;
    for (size_t i = 0; i < count; i++) {
        qvk__json output = qvk__json_element(&outputs, i), list;
        const char *name;
        if (!qvk__json_find(&output, "as_tensors", &list)) {
            QVK__TRY(qvk__pt2_argument_name(&output, &name, err));
            QVK__TRY(add_output(reader, scope, &output, name, outs, err));
            continue;
        }
        size_t n;
        *is_list = true;
        QVK__TRY(qvk__json_array(&list, &n, err));
        for (size_t k = 0; k < n; k++) {
            qvk__json element = qvk__json_element(&list, k);
            QVK__TRY(qvk__json_get_string(&element, "name", &name, err));
            QVK__TRY(add_output(reader, scope, &element, name, outs, err));
        }
    }
    return QVK_OK;
}

static qvk_status check_output_count(const qvk__json *node, const call *made, size_t count, bool is_list,
                                     qvk_error *err)
{
    qvk__signature signature;

    if (made->op == QVK__OP_NONE)
        return QVK_OK;
    qvk__op_signature(made->op, &signature);
    if (signature.n_returns < 0 ? !is_list : is_list || (size_t)signature.n_returns != count)
        return qvk__json_fail(node, err, QVK_BAD_FORMAT, "%s does not return %zu values", made->target,
                              count);
    return QVK_OK;
}

static qvk_status add_call(qvk__pt2_reader *reader, const qvk__json *node, const call *made,
                           const id_list *outs, bool is_list, qvk_error *err)
{
    qvk__graph *graph = &reader->program->graph;
    int32_t index = qvk__graph_add_node(graph, made->op, made->name, made->args, made->n_args, outs->data,
                                        (int)outs->count);
    qvk__node *added;

    QVK__CHECK(index >= 0, err, QVK_OUT_OF_MEMORY, "out of memory");
    added = &graph->nodes.data[index];
    added->trace = read_trace(reader, node);
    if (made->op == QVK__OP_NONE) {
        qvk__foreign *foreign = qvk__arena_alloc(&graph->arena, 1, sizeof *foreign);
        added->target = qvk__arena_strdup(&graph->arena, made->target);
        QVK__CHECK(foreign && added->target, err, QVK_OUT_OF_MEMORY, "out of memory");
        *foreign = (qvk__foreign){made->declared, is_list};
        added->foreign = foreign;
    }
    return QVK_OK;
}

static qvk_status read_call(qvk__pt2_reader *reader, qvk__pt2_scope *scope, const qvk__json *node,
                            const char *target, qvk_error *err)
{
    call made = {.op = find_op(target), .target = target};
    qvk__json inputs, name;
    id_list outs = {0};
    bool fits = false, is_list;
    qvk_status status;
    size_t count;

    if (qvk__json_find(node, "name", &name))
        QVK__TRY(qvk__json_string(&name, &made.name, err));
    QVK__TRY(qvk__json_get_array(node, "inputs", &inputs, &count, err));
    if (made.op != QVK__OP_NONE)
        QVK__TRY(read_known(reader, scope, &inputs, count, &made, &fits, err));
    if (!fits)
        QVK__TRY(read_foreign(reader, scope, &inputs, count, &made, err));
    QVK__TRY_GO(read_outputs(reader, scope, node, &outs, &is_list, err));
    QVK__TRY_GO(check_output_count(node, &made, outs.count, is_list, err));
    QVK__TRY_GO(add_call(reader, node, &made, &outs, is_list, err));
done:
    free(outs.data);
    return status;
}

/* ---- regions: torch.no_grad() and disabled autocast wrap a part of the graph; it is inlined ------------- */

static qvk_status bind_region_inputs(qvk__pt2_reader *reader, const qvk__pt2_scope *outer,
                                     qvk__pt2_scope *inner, const qvk__json *call_inputs, size_t first,
                                     size_t count, qvk_error *err)
{
    qvk__json names;
    size_t n_names;

    QVK__TRY(qvk__json_get_array(inner->graph, "inputs", &names, &n_names, err));
    if (n_names != count - first)
        return qvk__json_fail(&names, err, QVK_BAD_FORMAT, "%zu inputs, but %zu operands", n_names,
                              count - first);
    for (size_t i = 0; i < n_names; i++) {
        qvk__json input = qvk__json_element(&names, i), operand = qvk__json_element(call_inputs, first + i);
        qvk__json argument;
        const char *name, *operand_name;
        int32_t value;
        QVK__TRY(qvk__pt2_argument_name(&input, &name, err));
        QVK__TRY(qvk__json_get(&operand, "arg", &argument, err));
        QVK__TRY(qvk__pt2_argument_name(&argument, &operand_name, err));
        if (!name && !operand_name) /* a number: written out again where it is used */
            continue;
        if (!name || !operand_name)
            return qvk__json_fail(&operand, err, QVK_BAD_FORMAT,
                                  "the operand does not fit the region's input");
        QVK__TRY(qvk__pt2_lookup(outer, &argument, operand_name, &value, err));
        QVK__TRY(qvk__pt2_bind(reader, inner, &input, name, value, err));
    }
    return QVK_OK;
}

/* Names of the node's outputs stand for what the region returns. */
static qvk_status bind_region_outputs(qvk__pt2_reader *reader, qvk__pt2_scope *outer,
                                      const qvk__pt2_scope *inner, const qvk__json *node, qvk_error *err)
{
    qvk__json outputs, results, list;
    size_t n_outputs, n_results;

    QVK__TRY(qvk__json_get_array(node, "outputs", &outputs, &n_outputs, err));
    QVK__TRY(qvk__json_get_array(inner->graph, "outputs", &results, &n_results, err));
    if (n_outputs == 1) {
        qvk__json only = qvk__json_element(&outputs, 0);
        if (qvk__json_find(&only, "as_tensors", &list))
            return qvk__json_fail(&only, err, QVK_UNSUPPORTED, "a list as a region's result");
    }
    if (n_outputs != n_results)
        return qvk__json_fail(&outputs, err, QVK_BAD_FORMAT, "%zu outputs, but the region returns %zu",
                              n_outputs, n_results);
    for (size_t i = 0; i < n_outputs; i++) {
        qvk__json output = qvk__json_element(&outputs, i), result = qvk__json_element(&results, i);
        const char *name, *result_name;
        int32_t value;
        QVK__TRY(qvk__pt2_argument_name(&output, &name, err));
        QVK__TRY(qvk__pt2_argument_name(&result, &result_name, err));
        if (!name)
            continue;
        if (!result_name)
            return qvk__json_fail(&result, err, QVK_UNSUPPORTED, "a region that returns a number");
        QVK__TRY(qvk__pt2_lookup(inner, &result, result_name, &value, err));
        QVK__TRY(qvk__pt2_bind(reader, outer, &output, name, value, err));
    }
    return QVK_OK;
}

/* `graph_place`: which argument is the sub-graph; its operands follow. */
static qvk_status inline_region(qvk__pt2_reader *reader, qvk__pt2_scope *scope, const qvk__json *node,
                                size_t graph_place, qvk_error *err)
{
    qvk__pt2_scope inner = {.depth = scope->depth + 1};
    qvk__json inputs, holder, argument, region, graph;
    qvk_status status;
    size_t count;

    if (inner.depth > MAX_INLINING)
        return qvk__json_fail(node, err, QVK_BAD_FORMAT, "regions nested too deep");
    QVK__TRY(qvk__json_get_array(node, "inputs", &inputs, &count, err));
    if (count <= graph_place)
        return qvk__json_fail(&inputs, err, QVK_BAD_FORMAT, "the region is missing");
    holder = qvk__json_element(&inputs, graph_place);
    QVK__TRY(qvk__json_get(&holder, "arg", &argument, err));
    QVK__TRY(qvk__json_get(&argument, "as_graph", &region, err));
    QVK__TRY(qvk__json_get(&region, "graph", &graph, err));
    inner.graph = &graph;
    QVK__TRY_GO(bind_region_inputs(reader, scope, &inner, &inputs, graph_place + 1, count, err));
    QVK__TRY_GO(qvk__pt2_read_nodes(reader, &inner, err));
    QVK__TRY_GO(bind_region_outputs(reader, scope, &inner, node, err));
done:
    qvk__map_free(&inner.names);
    return status;
}

/* wrap_with_autocast(device_type, dtype, enabled, cache_enabled, graph, operands...): only when disabled. */
static qvk_status inline_autocast(qvk__pt2_reader *reader, qvk__pt2_scope *scope, const qvk__json *node,
                                  qvk_error *err)
{
    enum { ENABLED = 2, GRAPH = 4 };
    qvk__json inputs, input, argument, enabled;
    size_t count;

    QVK__TRY(qvk__json_get_array(node, "inputs", &inputs, &count, err));
    if (count <= GRAPH)
        return qvk__json_fail(&inputs, err, QVK_BAD_FORMAT, "the region is missing");
    input = qvk__json_element(&inputs, ENABLED);
    QVK__TRY(qvk__json_get(&input, "arg", &argument, err));
    if (!qvk__json_find(&argument, "as_bool", &enabled) || !json_is_false(enabled.value))
        return qvk__json_fail(node, err, QVK_UNSUPPORTED,
                              "a region under torch.autocast; export with ep.run_decompositions()");
    return inline_region(reader, scope, node, GRAPH, err);
}

/* ---- access_subclass_inner_tensor(weight, "qdata") ------------------------------------------------------ */

static qvk_status read_inner_tensor(qvk__pt2_reader *reader, qvk__pt2_scope *scope, const qvk__json *node,
                                    qvk_error *err)
{
    qvk__json inputs, outputs, output, first, second, subclass, attribute;
    const char *name, *wanted, *result;
    size_t n_inputs, n_outputs;
    const qvk__pt2_payload *payload;
    int32_t id;

    QVK__TRY(qvk__json_get_array(node, "inputs", &inputs, &n_inputs, err));
    QVK__TRY(qvk__json_get_array(node, "outputs", &outputs, &n_outputs, err));
    if (n_inputs != 2 || n_outputs != 1)
        return qvk__json_fail(node, err, QVK_BAD_FORMAT, "two inputs and one output expected");
    first = qvk__json_element(&inputs, 0);
    second = qvk__json_element(&inputs, 1);
    output = qvk__json_element(&outputs, 0);
    QVK__TRY(qvk__json_get(&first, "arg", &subclass, err));
    QVK__TRY(qvk__json_get(&second, "arg", &attribute, err));
    QVK__TRY(qvk__json_get_string(&attribute, "as_string", &wanted, err));
    QVK__TRY(qvk__pt2_argument_name(&subclass, &name, err));
    QVK__TRY(qvk__pt2_argument_name(&output, &result, err));
    if (!name || !result)
        return qvk__json_fail(node, err, QVK_BAD_FORMAT, "tensors expected");
    QVK__TRY(qvk__pt2_lookup(scope, &subclass, name, &id, err));
    if (id >= -1)
        return qvk__json_fail(&subclass, err, QVK_BAD_FORMAT, "%s is no tensor subclass", name);
    payload = &reader->payloads.data[-2 - id];
    for (size_t i = 0; i < payload->n_inner; i++)
        if (strcmp(payload->inner[i].name, wanted) == 0)
            return qvk__pt2_bind(reader, scope, &output, result, payload->inner[i].value, err);
    return qvk__json_fail(&attribute, err, QVK_BAD_FORMAT, "%s has no %s", payload->fqn, wanted);
}

/* ---- the list ------------------------------------------------------------------------------------------ */

static qvk_status read_node(qvk__pt2_reader *reader, qvk__pt2_scope *scope, const qvk__json *node,
                            qvk_error *err)
{
    static const char higher_order[] = "torch.ops.higher_order.";
    const char *target, *trace;

    QVK__TRY(qvk__json_get_string(node, "target", &target, err));
    if (is_ignored(target))
        return QVK_OK;
    if (strcmp(target, "torch.ops.export.access_subclass_inner_tensor.default") == 0)
        return read_inner_tensor(reader, scope, node, err);
    if (!qvk__starts_with(target, higher_order))
        return read_call(reader, scope, node, target, err);
    if (strcmp(target + sizeof higher_order - 1, "wrap_with_set_grad_enabled") == 0)
        return inline_region(reader, scope, node, 1, err);
    if (strcmp(target + sizeof higher_order - 1, "wrap_with_autocast") == 0)
        return inline_autocast(reader, scope, node, err);
    trace = read_trace(reader, node);
    return qvk__json_fail(node, err, QVK_UNSUPPORTED_OPERATOR,
                          "%s (control flow and other operators that take "
                          "graphs)%s%s",
                          target, trace ? ", from " : "", trace ? trace : "");
}

qvk_status qvk__pt2_read_nodes(qvk__pt2_reader *reader, qvk__pt2_scope *scope, qvk_error *err)
{
    qvk__json nodes;
    size_t count;

    QVK__TRY(qvk__json_get_array(scope->graph, "nodes", &nodes, &count, err));
    for (size_t i = 0; i < count; i++) {
        qvk__json node = qvk__json_element(&nodes, i);
        qvk_status status = read_node(reader, scope, &node, err);
        if (status != QVK_OK) {
            if (err && err->node < 0)
                err->node = (int32_t)QVK__MIN(i, (size_t)INT32_MAX);
            return status;
        }
    }
    return QVK_OK;
}
