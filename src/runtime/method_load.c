/* Preparing a method: planned memory, the state every call starts from, delegates, operators. */
#include "runtime/session.h"

#include "core/dtype.h"

/* ---- tensors ------------------------------------------------------------------------------------------- */

static bool is_identity(const qvk__evalue *value)
{
    for (int i = 0; i < value->desc.rank; i++)
        if (value->dim_order[i] != i)
            return false;
    return true;
}

/* Gathers a tensor stored in dim_order (the last named dimension contiguous) into C order. */
static void to_c_order(const qvk__evalue *value, const uint8_t *from, uint8_t *to)
{
    const qvk_tensor *desc = &value->desc;
    const size_t item = qvk_dtype_bytes(desc->dtype);
    const int64_t numel = qvk_tensor_numel(desc);
    int64_t strides[QVK_MAX_RANK] = {0}, index[QVK_MAX_RANK] = {0}, step = 1;

    for (int i = desc->rank - 1; i >= 0; i--) {
        strides[value->dim_order[i]] = step;
        step *= desc->sizes[value->dim_order[i]];
    }
    for (int64_t n = 0; n < numel; n++) {
        int64_t place = 0;
        for (int d = 0; d < desc->rank; d++)
            place += index[d] * strides[d];
        memcpy(to + (size_t)n * item, from + (size_t)place * item, item);
        for (int d = desc->rank - 1; d >= 0 && ++index[d] == desc->sizes[d]; d--)
            index[d] = 0;
    }
}

static void copy_initial(const qvk__evalue *value, void *to)
{
    if (is_identity(value))
        memcpy(to, value->constant, qvk_tensor_bytes(&value->desc));
    else
        to_c_order(value, value->constant, to);
}

/* Data of a tensor outside planned memory: the file's bytes where they can be used as they are, else own. */
static qvk_status place_unplanned(qvk__method_state *state, uint32_t id, qvk_tensor *tensor, qvk_error *err)
{
    const qvk__evalue *value = &state->method->values[id];

    if (value->constant && is_identity(value) &&
        (uintptr_t)value->constant % QVK__MAX(qvk_dtype_bytes(tensor->dtype), (size_t)1) == 0) {
        tensor->data = (void *)(uintptr_t)value->constant;
        return QVK_OK;
    }
    state->memory[id] = qvk__alloc_zeroed(qvk_tensor_bytes(tensor), 1);
    QVK__CHECK(state->memory[id], err, QVK_OUT_OF_MEMORY, "value %u: out of host memory for %zu bytes", id,
               qvk_tensor_bytes(tensor));
    if (value->constant)
        copy_initial(value, state->memory[id]);
    tensor->data = state->memory[id];
    return QVK_OK;
}

static qvk_status place_planned(qvk__method_state *state, uint32_t id, qvk_tensor *tensor, qvk_error *err)
{
    const qvk__evalue *value = &state->method->values[id];
    const qvk__method *method = state->method;
    uint64_t end;

    QVK__CHECK(value->memory_id > 0 && value->memory_id < method->n_buffers &&
                   qvk__add_u64(value->memory_offset, qvk_tensor_bytes(tensor), &end) &&
                   end <= method->buffer_bytes[value->memory_id] && value->memory_offset % 8 == 0,
               err, QVK_BAD_FORMAT, "value %u: lies outside planned memory %u", id, value->memory_id);
    tensor->data = (char *)state->buffers[value->memory_id] + value->memory_offset;
    return QVK_OK;
}

static qvk_status place_tensor(qvk__method_state *state, uint32_t id, qvk_error *err)
{
    const qvk__evalue *value = &state->method->values[id];
    qvk__slot *slot = &state->start[id];

    slot->bound = value->desc;
    slot->dynamic = value->dynamic;
    QVK__CHECK(!value->constant || value->constant_bytes >= qvk_tensor_bytes(&value->desc), err,
               QVK_BAD_FORMAT, "value %u: %llu bytes for %s%s", id, (unsigned long long)value->constant_bytes,
               qvk_dtype_name(value->desc.dtype), qvk__shape_text(&value->desc).text);
    QVK__CHECK(!value->external_name || value->constant, err, QVK_NOT_FOUND,
               "value %u: constant %s is in none of the data files", id, value->external_name);
    if (value->planned)
        QVK__TRY(place_planned(state, id, &slot->bound, err));
    else
        QVK__TRY(place_unplanned(state, id, &slot->bound, err));
    slot->tensor = slot->bound;
    return QVK_OK;
}

static qvk_status place_values(qvk__method_state *state, qvk_error *err)
{
    const qvk__method *method = state->method;

    for (uint32_t i = 1; i < method->n_buffers; i++) {
        state->buffers[i] = qvk__alloc_zeroed(method->buffer_bytes[i], 1);
        QVK__CHECK(state->buffers[i], err, QVK_OUT_OF_MEMORY,
                   "out of host memory for planned memory %u of %llu bytes", i,
                   (unsigned long long)method->buffer_bytes[i]);
    }
    for (uint32_t i = 0; i < method->n_values; i++) {
        const qvk__evalue *value = &method->values[i];
        state->start[i] = (qvk__slot){.kind = value->kind, .i = value->int_value, .f = value->double_value};
        if (value->kind == QVK__EVALUE_TENSOR)
            QVK__TRY(place_tensor(state, i, err));
    }
    return QVK_OK;
}

/* ---- inputs that need no copy --------------------------------------------------------------------------- */

static bool uses(const qvk__method *method, int32_t list, int32_t value)
{
    const qvk__evalue *it = &method->values[list];

    if (list == value)
        return true;
    if (it->kind == QVK__EVALUE_TENSOR_LIST || it->kind == QVK__EVALUE_OPTIONAL_TENSOR_LIST)
        for (uint32_t i = 0; i < it->count; i++)
            if (it->ids[i] == value)
                return true;
    return false;
}

/* An input that only delegates read, and whose planned memory no view shares, may stay where the caller has
 * it. */
static bool may_borrow(const qvk__method *method, int32_t input)
{
    const qvk__evalue *value = &method->values[input];

    for (uint32_t i = 0; i < method->n_instructions; i++) {
        const qvk__instruction *at = &method->instructions[i];
        if ((at->kind == QVK__INSTRUCTION_MOVE && (at->index == input || at->target == input)) ||
            (at->kind == QVK__INSTRUCTION_JUMP_FALSE && at->index == input))
            return false;
        for (uint32_t a = 0; at->kind == QVK__INSTRUCTION_KERNEL && a < at->n_args; a++)
            if (uses(method, at->args[a], input))
                return false;
    }
    for (uint32_t i = 0; i < method->n_values && value->planned; i++) {
        const qvk__evalue *other = &method->values[i];
        if ((int32_t)i != input && other->kind == QVK__EVALUE_TENSOR && other->planned &&
            other->memory_id == value->memory_id && other->memory_offset == value->memory_offset)
            return false;
    }
    for (uint32_t i = 0; i < method->n_outputs; i++)
        if (method->outputs[i] == input)
            return false;
    return true;
}

/* ---- delegates and operators ---------------------------------------------------------------------------- */

static qvk_status load_delegates(qvk__gpu *gpu, const qvk__session_params *params, qvk__method_state *state,
                                 qvk_error *err)
{
    for (uint32_t i = 0; i < state->method->n_delegates; i++) {
        const qvk__delegate *delegate = &state->method->delegates[i];
        qvk_status status;

        QVK__CHECK(delegate->parsed, err, QVK_UNSUPPORTED,
                   "delegate %u is for the backend %s; qvk runs VulkanBackend", i,
                   delegate->id ? delegate->id : "(none)");
        status = qvk__engine_create(gpu, &delegate->graph, params, &state->engines[i], err);
        if (status != QVK_OK)
            return qvk__error_context(err, status, "delegate %u", i);
    }
    return QVK_OK;
}

static qvk_status load_operators(qvk__method_state *state, qvk_error *err)
{
    const qvk__method *method = state->method;

    for (uint32_t i = 0; i < method->n_instructions; i++) {
        const qvk__instruction *at = &method->instructions[i];
        qvk_status status;
        if (at->kind != QVK__INSTRUCTION_KERNEL || state->kernels[at->index].name)
            continue;
        status =
            qvk__kernel_find(&method->operators[at->index], &state->arena, &state->kernels[at->index], err);
        if (status != QVK_OK)
            return qvk__error_context(err, status, "instruction %u", i);
    }
    return QVK_OK;
}

static qvk_status check_delegate_call(const qvk__method_state *state, uint32_t index, qvk_error *err)
{
    const qvk__instruction *at = &state->method->instructions[index];
    const qvk__graph *graph = &state->method->delegates[at->index].graph;
    const size_t n_in = graph->inputs.count, n_out = graph->outputs.count;

    QVK__CHECK(at->n_args >= n_in && at->n_args <= n_in + n_out, err, QVK_BAD_FORMAT,
               "instruction %u: %u arguments for a delegate of %zu inputs and %zu outputs", index, at->n_args,
               n_in, n_out);
    return QVK_OK;
}

/* ---- the whole ------------------------------------------------------------------------------------------ */

static qvk_status load(qvk__gpu *gpu, const qvk__method *method, const qvk__session_params *params,
                       qvk__method_state *state, qvk_error *err)
{
    qvk__arena *arena = &state->arena;

    state->method = method;
    state->slots = qvk__arena_alloc(arena, method->n_values, sizeof *state->slots);
    state->start = qvk__arena_alloc(arena, method->n_values, sizeof *state->start);
    state->memory = qvk__arena_alloc(arena, method->n_values, sizeof *state->memory);
    state->buffers = qvk__arena_alloc(arena, method->n_buffers, sizeof *state->buffers);
    state->engines = qvk__arena_alloc(arena, method->n_delegates, sizeof(qvk__engine *));
    state->kernels = qvk__arena_alloc(arena, method->n_operators, sizeof *state->kernels);
    state->borrow_input = qvk__arena_alloc(arena, method->n_inputs, sizeof *state->borrow_input);
    QVK__CHECK(state->slots && state->start && state->memory && state->buffers && state->engines &&
                   state->kernels && state->borrow_input,
               err, QVK_OUT_OF_MEMORY, "out of memory for %u values", method->n_values);
    QVK__TRY(load_operators(state, err));
    QVK__TRY(place_values(state, err));
    for (uint32_t i = 0; i < method->n_inputs; i++)
        state->borrow_input[i] = may_borrow(method, method->inputs[i]);
    QVK__TRY(load_delegates(gpu, params, state, err));
    for (uint32_t i = 0; i < method->n_instructions; i++)
        if (method->instructions[i].kind == QVK__INSTRUCTION_DELEGATE)
            QVK__TRY(check_delegate_call(state, i, err));
    return qvk__method_reset(state, err);
}

qvk_status qvk__method_load(qvk__gpu *gpu, const qvk__method *method, const qvk__session_params *params,
                            qvk__method_state *out, qvk_error *err)
{
    qvk_status status;

    memset(out, 0, sizeof *out);
    status = load(gpu, method, params, out, err);
    if (status == QVK_OK)
        return QVK_OK;
    qvk__method_unload(out);
    return qvk__error_context(err, status, "method %s", method->name);
}

void qvk__method_unload(qvk__method_state *state)
{
    if (!state->method)
        return;
    for (uint32_t i = 0; state->engines && i < state->method->n_delegates; i++)
        qvk__engine_destroy(&state->engines[i]);
    for (uint32_t i = 0; state->buffers && i < state->method->n_buffers; i++)
        free(state->buffers[i]);
    for (uint32_t i = 0; state->memory && i < state->method->n_values; i++)
        free(state->memory[i]);
    free(state->profile.data);
    qvk__arena_free(&state->arena);
    memset(state, 0, sizeof *state);
}

qvk_status qvk__method_reset(qvk__method_state *state, qvk_error *err)
{
    const qvk__method *method = state->method;

    for (uint32_t i = 1; i < method->n_buffers; i++)
        if (method->buffer_bytes[i] > 0)
            memset(state->buffers[i], 0, (size_t)method->buffer_bytes[i]);
    for (uint32_t i = 0; i < method->n_values; i++)
        if (method->values[i].kind == QVK__EVALUE_TENSOR && method->values[i].planned &&
            method->values[i].constant)
            copy_initial(&method->values[i], state->start[i].tensor.data);
    for (uint32_t i = 0; i < method->n_delegates; i++)
        QVK__TRY(qvk__engine_reset(state->engines[i], err));
    return QVK_OK;
}
