/* What must hold in every program, read or built. */
#include "core/dtype.h"
#include "program/pte_reader.h"

/* ---- values -------------------------------------------------------------------------------------------- */

static bool is_value(const qvk__method *method, int32_t id)
{
    return id >= 0 && (uint32_t)id < method->n_values;
}

static bool is_kind(const qvk__method *method, int32_t id, qvk__evalue_kind kind)
{
    return is_value(method, id) && method->values[id].kind == kind;
}

static qvk_status check_list(const qvk__method *method, const qvk__evalue *list, qvk_error *err)
{
    qvk__evalue_kind kind = list->kind == QVK__EVALUE_INT_LIST ? QVK__EVALUE_INT : QVK__EVALUE_TENSOR;

    for (uint32_t i = 0; i < list->count; i++) {
        if (list->kind == QVK__EVALUE_OPTIONAL_TENSOR_LIST && list->ids[i] == -1)
            continue;
        QVK__CHECK(is_kind(method, list->ids[i], kind), err, QVK_BAD_FORMAT,
                   "list item %u: value %d is no %s", i, list->ids[i],
                   kind == QVK__EVALUE_INT ? "Int" : "Tensor");
    }
    return QVK_OK;
}

static qvk_status check_planned(const qvk__method *method, const qvk__evalue *tensor, qvk_error *err)
{
    uint64_t bytes = qvk_tensor_bytes(&tensor->desc), room;

    QVK__CHECK(tensor->memory_id > 0 && tensor->memory_id < method->n_buffers, err, QVK_BAD_FORMAT,
               "tensor in planned memory %u; the method has %u buffers", tensor->memory_id,
               method->n_buffers);
    room = method->buffer_bytes[tensor->memory_id];
    QVK__CHECK(tensor->memory_offset <= room && bytes <= room - tensor->memory_offset, err, QVK_BAD_FORMAT,
               "tensor of %llu bytes at %llu reaches past its planned memory of %llu bytes",
               (unsigned long long)bytes, (unsigned long long)tensor->memory_offset,
               (unsigned long long)room);
    QVK__CHECK(tensor->memory_offset % qvk_dtype_bytes(tensor->desc.dtype) == 0, err, QVK_BAD_FORMAT,
               "tensor in planned memory is not aligned to its element type");
    return QVK_OK;
}

static qvk_status check_tensor(const qvk__method *method, const qvk__evalue *tensor, qvk_error *err)
{
    unsigned seen = 0;
    int64_t count = qvk_tensor_numel(&tensor->desc);

    QVK__CHECK(qvk_dtype_bytes(tensor->desc.dtype) > 0, err, QVK_UNSUPPORTED, "tensor without a dtype");
    QVK__CHECK(count == 0 || qvk_tensor_bytes(&tensor->desc) > 0, err, QVK_BAD_FORMAT,
               "tensor of impossible size %s", qvk__shape_text(&tensor->desc).text);
    for (int i = 0; i < tensor->desc.rank; i++)
        seen |= tensor->dim_order[i] < tensor->desc.rank ? 1u << tensor->dim_order[i] : 0;
    QVK__CHECK(seen + 1 == 1u << tensor->desc.rank, err, QVK_BAD_FORMAT, "dim_order is no permutation");
    QVK__CHECK(!tensor->constant || tensor->constant_bytes == qvk_tensor_bytes(&tensor->desc), err,
               QVK_BAD_FORMAT, "%llu bytes of data for %s%s", (unsigned long long)tensor->constant_bytes,
               qvk_dtype_name(tensor->desc.dtype), qvk__shape_text(&tensor->desc).text);
    return tensor->planned ? check_planned(method, tensor, err) : QVK_OK;
}

static qvk_status check_value(const qvk__method *method, const qvk__evalue *value, qvk_error *err)
{
    switch (value->kind) {
    case QVK__EVALUE_TENSOR: return check_tensor(method, value, err);
    case QVK__EVALUE_INT_LIST:
    case QVK__EVALUE_TENSOR_LIST:
    case QVK__EVALUE_OPTIONAL_TENSOR_LIST: return check_list(method, value, err);
    default: return QVK_OK;
    }
}

static qvk_status check_ids(const qvk__method *method, const int32_t *ids, uint32_t count, const char *what,
                            qvk_error *err)
{
    for (uint32_t i = 0; i < count; i++)
        QVK__CHECK(is_value(method, ids[i]), err, QVK_BAD_FORMAT, "%s %u: value %d of %u", what, i, ids[i],
                   method->n_values);
    return QVK_OK;
}

/* ---- delegate calls ------------------------------------------------------------------------------------ */

/* Conversions between a caller's tensor and the tensor a delegate stages. */
static bool converts(qvk_dtype host, qvk_dtype staging)
{
    return host == staging || (host == QVK_DTYPE_I64 && staging == QVK_DTYPE_I32) ||
           (host == QVK_DTYPE_F64 && staging == QVK_DTYPE_F32) ||
           (host == QVK_DTYPE_F16 && staging == QVK_DTYPE_F32);
}

static bool is_symbol_holder(const qvk__evalue *value)
{
    if (value->kind == QVK__EVALUE_INT)
        return true;
    return value->kind == QVK__EVALUE_TENSOR && qvk_tensor_numel(&value->desc) == 1 &&
           (value->desc.dtype == QVK_DTYPE_I32 || value->desc.dtype == QVK_DTYPE_I64);
}

static qvk_status check_delegate_arg(const qvk__evalue *arg, const qvk__value *value, const char *what,
                                     size_t index, qvk_error *err)
{
    qvk_dtype staging = value->host_dtype ? value->host_dtype : value->desc.dtype;

    if (value->kind == QVK__VALUE_SYMBOL) {
        QVK__CHECK(is_symbol_holder(arg), err, QVK_BAD_FORMAT, "delegate %s %zu wants an integer", what,
                   index);
        return QVK_OK;
    }
    QVK__CHECK(arg->kind == QVK__EVALUE_TENSOR, err, QVK_BAD_FORMAT, "delegate %s %zu wants a tensor", what,
               index);
    QVK__CHECK(converts(arg->desc.dtype, staging), err, QVK_BAD_FORMAT, "delegate %s %zu: %s passed for %s",
               what, index, qvk_dtype_name(arg->desc.dtype), qvk_dtype_name(staging));
    return QVK_OK;
}

static qvk_status check_delegate_call(const qvk__method *method, const qvk__instruction *call, qvk_error *err)
{
    const qvk__delegate *delegate = &method->delegates[call->index];
    const qvk__graph *graph = &delegate->graph;
    size_t n_inputs = graph->inputs.count, n_outputs = graph->outputs.count;

    if (!delegate->parsed)
        return QVK_OK;
    QVK__CHECK(call->n_args == n_inputs + n_outputs, err, QVK_BAD_FORMAT,
               "%u arguments for a delegate with %zu inputs and %zu outputs", call->n_args, n_inputs,
               n_outputs);
    for (size_t i = 0; i < n_inputs; i++)
        QVK__TRY(check_delegate_arg(&method->values[call->args[i]],
                                    &graph->values.data[graph->inputs.data[i]], "input", i, err));
    for (size_t i = 0; i < n_outputs; i++)
        QVK__TRY(check_delegate_arg(&method->values[call->args[n_inputs + i]],
                                    &graph->values.data[graph->outputs.data[i]], "output", i, err));
    return QVK_OK;
}

/* ---- instructions -------------------------------------------------------------------------------------- */

static qvk_status check_instruction(const qvk__method *method, const qvk__instruction *instruction,
                                    qvk_error *err)
{
    QVK__TRY(check_ids(method, instruction->args, instruction->n_args, "argument", err));
    switch (instruction->kind) {
    case QVK__INSTRUCTION_KERNEL:
        QVK__CHECK(instruction->index >= 0 && (uint32_t)instruction->index < method->n_operators, err,
                   QVK_BAD_FORMAT, "operator %d of %u", instruction->index, method->n_operators);
        return QVK_OK;
    case QVK__INSTRUCTION_DELEGATE:
        QVK__CHECK(instruction->index >= 0 && (uint32_t)instruction->index < method->n_delegates, err,
                   QVK_BAD_FORMAT, "delegate %d of %u", instruction->index, method->n_delegates);
        return check_delegate_call(method, instruction, err);
    case QVK__INSTRUCTION_MOVE:
        QVK__TRY(check_ids(method, &instruction->index, 1, "source", err));
        return check_ids(method, &instruction->target, 1, "target", err);
    case QVK__INSTRUCTION_JUMP_FALSE:
        QVK__CHECK(is_kind(method, instruction->index, QVK__EVALUE_BOOL) ||
                       is_kind(method, instruction->index, QVK__EVALUE_TENSOR),
                   err, QVK_BAD_FORMAT, "condition %d is neither Bool nor Tensor", instruction->index);
        QVK__CHECK(instruction->target >= 0 && (uint32_t)instruction->target <= method->n_instructions, err,
                   QVK_BAD_FORMAT, "jump to %d of %u instructions", instruction->target,
                   method->n_instructions);
        return QVK_OK;
    case QVK__INSTRUCTION_FREE: return check_ids(method, &instruction->index, 1, "freed value", err);
    }
    return qvk__fail(err, QVK_BAD_FORMAT, "unknown kind");
}

static qvk_status check_graph(const qvk__graph *graph, qvk_error *err)
{
    for (size_t i = 0; i < graph->values.count; i++) {
        const qvk__value *value = &graph->values.data[i];
        QVK__CHECK(!value->constant || value->constant->bytes == qvk_tensor_bytes(&value->desc), err,
                   QVK_BAD_FORMAT, "%s: constant of %llu bytes for %s%s", value->name,
                   (unsigned long long)value->constant->bytes, qvk_dtype_name(value->desc.dtype),
                   qvk__shape_text(&value->desc).text);
    }
    return qvk__graph_verify(graph, err);
}

static qvk_status check_method(const qvk__method *method, qvk_error *err)
{
    QVK__TRY(check_ids(method, method->inputs, method->n_inputs, "input", err));
    QVK__TRY(check_ids(method, method->outputs, method->n_outputs, "output", err));
    for (uint32_t i = 0; i < method->n_values; i++) {
        qvk_status status = check_value(method, &method->values[i], err);
        if (status != QVK_OK)
            return qvk__error_context(err, status, "value %u", i);
    }
    for (uint32_t i = 0; i < method->n_delegates; i++) {
        qvk_status status = check_graph(&method->delegates[i].graph, err);
        if (status != QVK_OK)
            return qvk__error_context(err, status, "delegate %u", i);
    }
    for (uint32_t i = 0; i < method->n_instructions; i++) {
        qvk_status status = check_instruction(method, &method->instructions[i], err);
        if (status != QVK_OK) {
            if (err)
                err->node = (int32_t)i;
            return qvk__error_context(err, status, "instruction %u", i);
        }
    }
    return QVK_OK;
}

qvk_status qvk__program_verify(const qvk__program *program, qvk_error *err)
{
    for (uint32_t i = 0; i < program->n_methods; i++) {
        qvk_status status = check_method(&program->methods[i], err);
        if (status != QVK_OK)
            return qvk__error_context(err, status, "method %s", program->methods[i].name);
    }
    return QVK_OK;
}
