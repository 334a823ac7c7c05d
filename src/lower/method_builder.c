#include "lower/method_builder.h"

#include <stdio.h>

#include "core/dtype.h"

qvk_status qvk__method_begin(qvk__edge *edge, qvk__program *program, qvk__method_builder *out, qvk_error *err)
{
    memset(out, 0, sizeof *out);
    out->edge = edge;
    out->program = program;
    out->map = qvk__arena_alloc(&edge->graph.arena, edge->graph.values.count, sizeof *out->map);
    QVK__CHECK(out->map, err, QVK_OUT_OF_MEMORY, "out of memory");
    for (size_t i = 0; i < edge->graph.values.count; i++)
        out->map[i] = -1;
    return QVK_OK;
}

void qvk__method_abandon(qvk__method_builder *m)
{
    for (size_t i = 0; i < m->delegates.count; i++)
        qvk__graph_finish(&m->delegates.data[i].graph);
    free(m->values.data);
    free(m->instructions.data);
    free(m->operators.data);
    free(m->delegates.data);
    free(m->inputs.data);
    free(m->outputs.data);
    memset(m, 0, sizeof *m);
}

static qvk_status push(qvk__method_builder *m, const qvk__evalue *value, int32_t *out, qvk_error *err)
{
    QVK__CHECK(m->values.count < INT32_MAX && QVK__VEC_PUSH(&m->values, *value), err, QVK_OUT_OF_MEMORY,
               "out of memory");
    *out = (int32_t)m->values.count - 1;
    return QVK_OK;
}

qvk_status qvk__method_value(qvk__method_builder *m, int32_t edge_value, int32_t *out, qvk_error *err)
{
    const qvk__value *from = &m->edge->graph.values.data[edge_value];
    qvk__evalue value = {.kind = QVK__EVALUE_TENSOR, .desc = from->desc};

    if (m->map[edge_value] >= 0) {
        *out = m->map[edge_value];
        return QVK_OK;
    }
    if (from->kind == QVK__VALUE_SYMBOL) {
        value = (qvk__evalue){.kind = QVK__EVALUE_INT, .int_value = from->symbol_value};
    } else {
        value.dynamic = qvk__edge_is_dynamic(m->edge, edge_value);
        for (int i = 0; i < from->desc.rank; i++)
            value.dim_order[i] = (uint8_t)i;
        value.planned = !from->constant;
        if (from->constant) {
            const void *bytes;
            QVK__TRY(qvk__constant_bytes(from->constant, &bytes, err));
            value.constant_bytes = qvk_tensor_bytes(&from->desc);
            value.constant = qvk__arena_memdup(&m->program->arena, bytes, value.constant_bytes);
            qvk__constant_release(from->constant, bytes);
            QVK__CHECK(value.constant, err, QVK_OUT_OF_MEMORY, "out of memory");
        }
    }
    QVK__TRY(push(m, &value, out, err));
    m->map[edge_value] = *out;
    return QVK_OK;
}

/* Lists: INT_LIST items are values of their own; tensor lists hold value ids, -1 for None. */
static qvk_status add_list(qvk__method_builder *m, const qvk__arg *arg, int32_t *out, qvk_error *err)
{
    qvk__evalue list = {.count = arg->count};
    int32_t *ids = qvk__arena_alloc(&m->program->arena, arg->count, sizeof *ids);
    bool tensors = false, nulls = false;

    QVK__CHECK(ids, err, QVK_OUT_OF_MEMORY, "out of memory");
    for (uint32_t i = 0; i < arg->count; i++) {
        qvk__arg item = arg->kind == QVK__ARG_LIST ? arg->u.list[i] : qvk__arg_from_int(arg->u.ints[i]);
        ids[i] = -1;
        nulls = nulls || item.kind == QVK__ARG_NULL;
        if (item.kind == QVK__ARG_VALUE)
            tensors = tensors || m->edge->graph.values.data[item.u.value].kind == QVK__VALUE_TENSOR;
        if (item.kind != QVK__ARG_NULL)
            QVK__TRY(qvk__method_literal(m, &item, &ids[i], err));
    }
    list.kind = nulls     ? QVK__EVALUE_OPTIONAL_TENSOR_LIST
                : tensors ? QVK__EVALUE_TENSOR_LIST
                          : QVK__EVALUE_INT_LIST;
    list.ids = ids;
    return push(m, &list, out, err);
}

qvk_status qvk__method_literal(qvk__method_builder *m, const qvk__arg *arg, int32_t *out, qvk_error *err)
{
    qvk__arena *arena = &m->program->arena;
    qvk__evalue value = {0};

    switch (arg->kind) {
    case QVK__ARG_VALUE: return qvk__method_value(m, arg->u.value, out, err);
    case QVK__ARG_INTS:
    case QVK__ARG_LIST: return add_list(m, arg, out, err);
    case QVK__ARG_INT:
        value.kind = QVK__EVALUE_INT;
        value.int_value = arg->u.i;
        break;
    case QVK__ARG_BOOL:
        value.kind = QVK__EVALUE_BOOL;
        value.int_value = arg->u.b;
        break;
    case QVK__ARG_FLOAT:
        value.kind = QVK__EVALUE_DOUBLE;
        value.double_value = arg->u.f;
        break;
    case QVK__ARG_STRING:
        value.kind = QVK__EVALUE_STRING;
        value.string = qvk__arena_strdup(arena, arg->u.s);
        QVK__CHECK(value.string, err, QVK_OUT_OF_MEMORY, "out of memory");
        break;
    case QVK__ARG_FLOATS:
        value.kind = QVK__EVALUE_DOUBLE_LIST;
        value.count = arg->count;
        value.doubles = qvk__arena_memdup(arena, arg->u.floats, arg->count * sizeof(double));
        QVK__CHECK(value.doubles, err, QVK_OUT_OF_MEMORY, "out of memory");
        break;
    case QVK__ARG_BOOLS:
        value.kind = QVK__EVALUE_BOOL_LIST;
        value.count = arg->count;
        value.bools = qvk__arena_memdup(arena, arg->u.bools, arg->count * sizeof(bool));
        QVK__CHECK(value.bools, err, QVK_OUT_OF_MEMORY, "out of memory");
        break;
    default: break; /* None */
    }
    return push(m, &value, out, err);
}

static qvk_status add_instruction(qvk__method_builder *m, qvk__instruction_kind kind, int32_t index,
                                  const int32_t *args, size_t n, qvk_error *err)
{
    qvk__instruction instruction = {.kind = kind, .index = index, .n_args = (uint32_t)n};

    instruction.args = qvk__arena_memdup(&m->program->arena, args, n * sizeof *args);
    QVK__CHECK(instruction.args && QVK__VEC_PUSH(&m->instructions, instruction), err, QVK_OUT_OF_MEMORY,
               "out of memory");
    return QVK_OK;
}

qvk_status qvk__method_add_delegate(qvk__method_builder *m, qvk__graph *graph, const int32_t *inputs,
                                    size_t n_inputs, const int32_t *outputs, size_t n_outputs, qvk_error *err)
{
    qvk__delegate delegate = {.id = "VulkanBackend", .graph = *graph, .parsed = true};
    int32_t *args = qvk__arena_alloc(&m->program->arena, n_inputs + n_outputs, sizeof *args);

    QVK__CHECK(args && QVK__VEC_PUSH(&m->delegates, delegate), err, QVK_OUT_OF_MEMORY, "out of memory");
    qvk__graph_init(graph);
    for (size_t i = 0; i < n_inputs; i++)
        QVK__TRY(qvk__method_value(m, inputs[i], &args[i], err));
    for (size_t i = 0; i < n_outputs; i++)
        QVK__TRY(qvk__method_value(m, outputs[i], &args[n_inputs + i], err));
    return add_instruction(m, QVK__INSTRUCTION_DELEGATE, (int32_t)m->delegates.count - 1, args,
                           n_inputs + n_outputs, err);
}

/* "aten.add.Tensor" and out-variant "out" -> name "aten::add", overload "out". */
static qvk_status find_operator(qvk__method_builder *m, const qvk__node *node, int32_t *out, qvk_error *err)
{
    const qvk__op_info *info = qvk__op_info_of(node->op);
    const char *dot = strchr(info->name, '.'), *end = dot ? strchr(dot + 1, '.') : NULL;
    qvk__operator_ref ref = {.op = node->op, .overload = info->out};

    QVK__CHECK(info->out && end, err, QVK_UNSUPPORTED_OPERATOR,
               "%s cannot be delegated here and has no out-variant to run outside%s%s", info->name,
               node->trace ? "; at " : "", node->trace ? node->trace : "");
    for (size_t i = 0; i < m->operators.count; i++) {
        if (m->operators.data[i].op == node->op) {
            *out = (int32_t)i;
            return QVK_OK;
        }
    }
    ref.name = qvk__arena_printf(&m->program->arena, "%.*s::%.*s", (int)(dot - info->name), info->name,
                                 (int)(end - dot - 1), dot + 1);
    QVK__CHECK(ref.name && QVK__VEC_PUSH(&m->operators, ref), err, QVK_OUT_OF_MEMORY, "out of memory");
    *out = (int32_t)m->operators.count - 1;
    return QVK_OK;
}

qvk_status qvk__method_add_kernel(qvk__method_builder *m, const qvk__node *node, qvk_error *err)
{
    size_t n = (size_t)node->n_args + (size_t)node->n_outs + 1;
    int32_t *args = qvk__arena_alloc(&m->program->arena, n, sizeof *args), op = -1;

    QVK__CHECK(args, err, QVK_OUT_OF_MEMORY, "out of memory");
    QVK__TRY(find_operator(m, node, &op, err));
    for (int i = 0; i < node->n_args; i++)
        QVK__TRY(qvk__method_literal(m, &node->args[i], &args[i], err));
    for (int i = 0; i < node->n_outs; i++)
        QVK__TRY(qvk__method_value(m, node->outs[i], &args[node->n_args + i], err));
    if (node->n_outs == 1) {
        args[n - 1] = args[n - 2];
    } else {
        qvk__evalue list = {
            .kind = QVK__EVALUE_TENSOR_LIST, .count = (uint32_t)node->n_outs, .ids = args + node->n_args};
        QVK__TRY(push(m, &list, &args[n - 1], err));
    }
    return add_instruction(m, QVK__INSTRUCTION_KERNEL, op, args, n, err);
}

/* Moves a builder's array into the program's arena. */
static bool take(qvk__arena *arena, const void *data, size_t count, size_t item, void *out)
{
    void *copy = qvk__arena_memdup(arena, data, count * item);
    memcpy(out, &copy, sizeof copy);
    return copy != NULL;
}

qvk_status qvk__method_end(qvk__method_builder *m, qvk_error *err)
{
    qvk__arena *arena = &m->program->arena;
    qvk__method *method = qvk__arena_alloc(arena, 1, sizeof *method);
    uint64_t *buffers = qvk__arena_alloc(arena, 2, sizeof *buffers);

    QVK__CHECK(method && buffers, err, QVK_OUT_OF_MEMORY, "out of memory");
    QVK__TRY(qvk__plan_method_memory(m, &buffers[1], err));
    QVK__CHECK(take(arena, m->values.data, m->values.count, sizeof *m->values.data, &method->values) &&
                   take(arena, m->instructions.data, m->instructions.count, sizeof *m->instructions.data,
                        &method->instructions) &&
                   take(arena, m->operators.data, m->operators.count, sizeof *m->operators.data,
                        &method->operators) &&
                   take(arena, m->delegates.data, m->delegates.count, sizeof *m->delegates.data,
                        &method->delegates) &&
                   take(arena, m->inputs.data, m->inputs.count, sizeof *m->inputs.data, &method->inputs) &&
                   take(arena, m->outputs.data, m->outputs.count, sizeof *m->outputs.data, &method->outputs),
               err, QVK_OUT_OF_MEMORY, "out of memory");
    method->name = "forward";
    method->n_values = (uint32_t)m->values.count;
    method->n_instructions = (uint32_t)m->instructions.count;
    method->n_operators = (uint32_t)m->operators.count;
    method->n_delegates = (uint32_t)m->delegates.count;
    method->n_inputs = (uint32_t)m->inputs.count;
    method->n_outputs = (uint32_t)m->outputs.count;
    method->buffer_bytes = buffers;
    method->n_buffers = 2;
    m->program->methods = method;
    m->program->n_methods = 1;
    m->delegates.count = 0; /* their graphs are the program's now */
    return QVK_OK;
}
