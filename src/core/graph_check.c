/* Verifying and printing graphs. */
#include "core/graph.h"

#include "core/dtype.h"

typedef struct checker {
    const qvk__graph *graph;
    uint8_t *defined; /* per value */
    int32_t bad;      /* first value used before it is defined or out of range; -1 */
} checker;

static void check_use(int32_t value, void *user)
{
    checker *check = user;
    if (check->bad < 0 &&
        (value < 0 || (size_t)value >= check->graph->values.count || !check->defined[value]))
        check->bad = value < 0 ? INT32_MAX : value;
}

static const char *label(const qvk__graph *graph, size_t index)
{
    const qvk__node *node = &graph->nodes.data[index];
    return node->name ? node->name : node->target ? node->target : "?";
}

static qvk_status check_node(checker *check, size_t index, qvk_error *err)
{
    const qvk__graph *graph = check->graph;
    const qvk__node *node = &graph->nodes.data[index];

    for (int i = 0; i < node->n_args; i++) {
        qvk__arg_visit_values(&node->args[i], check_use, check);
        QVK__CHECK(check->bad < 0, err, QVK_BAD_FORMAT,
                   "node %zu (%s): argument %d uses %s before it is defined", index, label(graph, index), i,
                   (size_t)check->bad < graph->values.count ? graph->values.data[check->bad].name
                                                            : "a value");
    }
    for (int i = 0; i < node->n_outs; i++) {
        if (node->outs[i] < 0)
            continue;
        QVK__CHECK((size_t)node->outs[i] < graph->values.count, err, QVK_BAD_FORMAT,
                   "node %zu (%s): output %d is no value", index, label(graph, index), i);
        check->defined[node->outs[i]] = 1;
    }
    return QVK_OK;
}

static qvk_status check_arg_count(const qvk__graph *graph, size_t index, qvk_error *err)
{
    const qvk__node *node = &graph->nodes.data[index];
    qvk__signature signature;

    if (node->op == QVK__OP_NONE)
        return QVK_OK;
    qvk__op_signature(node->op, &signature);
    QVK__CHECK(node->n_args == signature.n_params, err, QVK_BAD_FORMAT,
               "node %zu (%s): %s takes %d arguments, got %d", index, label(graph, index),
               qvk__op_name(node->op), signature.n_params, node->n_args);
    return QVK_OK;
}

qvk_status qvk__graph_verify(const qvk__graph *graph, qvk_error *err)
{
    qvk_status status = QVK_OK;
    checker check = {graph, qvk__alloc_zeroed(graph->values.count, 1), -1};

    QVK__CHECK(check.defined, err, QVK_OUT_OF_MEMORY, "out of memory");
    for (size_t i = 0; i < graph->values.count; i++)
        check.defined[i] = graph->values.data[i].constant != NULL;
    for (size_t i = 0; i < graph->inputs.count; i++) {
        QVK__CHECK_GO(graph->inputs.data[i] >= 0 && (size_t)graph->inputs.data[i] < graph->values.count, err,
                      QVK_BAD_FORMAT, "input %zu is no value", i);
        check.defined[graph->inputs.data[i]] = 1;
    }
    for (size_t i = 0; i < graph->nodes.count; i++) {
        if (graph->nodes.data[i].dead)
            continue;
        QVK__TRY_GO(check_arg_count(graph, i, err));
        QVK__TRY_GO(check_node(&check, i, err));
    }
    for (size_t i = 0; i < graph->outputs.count; i++) {
        check_use(graph->outputs.data[i], &check);
        QVK__CHECK_GO(check.bad < 0, err, QVK_BAD_FORMAT, "output %zu is never computed", i);
    }
done:
    free(check.defined);
    return status;
}

static void print_arg(const qvk__graph *graph, const qvk__arg *arg, qvk__string *out)
{
    switch (arg->kind) {
    case QVK__ARG_NULL: qvk__string_add(out, "None"); break;
    case QVK__ARG_INT: qvk__string_addf(out, "%lld", (long long)arg->u.i); break;
    case QVK__ARG_FLOAT: qvk__string_addf(out, "%.9g", arg->u.f); break;
    case QVK__ARG_BOOL: qvk__string_add(out, arg->u.b ? "True" : "False"); break;
    case QVK__ARG_STRING: qvk__string_addf(out, "'%s'", arg->u.s); break;
    case QVK__ARG_VALUE: qvk__string_addf(out, "%%%s", graph->values.data[arg->u.value].name); break;
    case QVK__ARG_TENSOR: qvk__string_add(out, "<tensor>"); break;
    default:
        qvk__string_add(out, "[");
        for (uint32_t i = 0; i < arg->count; i++) {
            qvk__string_add(out, i ? ", " : "");
            if (arg->kind == QVK__ARG_INTS)
                qvk__string_addf(out, "%lld", (long long)arg->u.ints[i]);
            else if (arg->kind == QVK__ARG_FLOATS)
                qvk__string_addf(out, "%.9g", arg->u.floats[i]);
            else if (arg->kind == QVK__ARG_BOOLS)
                qvk__string_add(out, arg->u.bools[i] ? "True" : "False");
            else
                print_arg(graph, &arg->u.list[i], out);
        }
        qvk__string_add(out, "]");
    }
}

static void print_value(const qvk__graph *graph, int32_t id, qvk__string *out)
{
    const qvk__value *value;

    if (id < 0) {
        qvk__string_add(out, "_");
        return;
    }
    value = &graph->values.data[id];
    if (value->kind == QVK__VALUE_SYMBOL)
        qvk__string_addf(out, "%%%s: int", value->name);
    else
        qvk__string_addf(out, "%%%s: %s%s", value->name, qvk_dtype_name(value->desc.dtype),
                         qvk__shape_text(&value->desc).text);
}

void qvk__graph_print(const qvk__graph *graph, qvk__string *out)
{
    for (size_t i = 0; i < graph->inputs.count; i++) {
        qvk__string_add(out, "input  ");
        print_value(graph, graph->inputs.data[i], out);
        qvk__string_add(out, "\n");
    }
    for (size_t n = 0; n < graph->nodes.count; n++) {
        const qvk__node *node = &graph->nodes.data[n];
        if (node->dead)
            continue;
        for (int i = 0; i < node->n_outs; i++) {
            qvk__string_add(out, i ? ", " : "");
            print_value(graph, node->outs[i], out);
        }
        qvk__string_addf(out, "%s%s(", node->n_outs ? " = " : "", node->target);
        for (int i = 0; i < node->n_args; i++) {
            qvk__string_add(out, i ? ", " : "");
            print_arg(graph, &node->args[i], out);
        }
        qvk__string_add(out, ")\n");
    }
    for (size_t i = 0; i < graph->outputs.count; i++) {
        qvk__string_add(out, "output ");
        print_value(graph, graph->outputs.data[i], out);
        qvk__string_add(out, "\n");
    }
}
