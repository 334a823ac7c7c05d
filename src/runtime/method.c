/* Interpreting a method: inputs, instructions, outputs. */
#include "runtime/session.h"

#include <stdio.h>

#include "core/dtype.h"
#include "reference/reference.h"

/* More than any program needs; stops one whose loop never ends. */
enum { MAX_STEPS = 50 * 1000 * 1000 };

/* ---- inputs --------------------------------------------------------------------------------------------- */

static qvk_status set_tensor(qvk__method_state *state, uint32_t index, const qvk_value *input, qvk_error *err)
{
    const int32_t id = state->method->inputs[index];
    qvk__slot *slot = &state->slots[id];
    const qvk_tensor *source = &input->tensor;
    bool fits;

    QVK__CHECK(input->kind == QVK_VALUE_TENSOR, err, QVK_INPUT_MISMATCH, "input %u: a tensor is wanted",
               index);
    QVK__CHECK(source->dtype == slot->bound.dtype, err, QVK_INPUT_MISMATCH, "input %u: %s given, %s wanted",
               index, qvk_dtype_name(source->dtype), qvk_dtype_name(slot->bound.dtype));
    fits = source->rank == slot->bound.rank;
    for (int d = 0; fits && d < source->rank; d++)
        fits = slot->dynamic ? source->sizes[d] >= 0 && source->sizes[d] <= slot->bound.sizes[d]
                             : source->sizes[d] == slot->bound.sizes[d];
    QVK__CHECK(fits, err, QVK_INPUT_MISMATCH, "input %u: shape %s given, %s%s wanted", index,
               qvk__shape_text(source).text, slot->dynamic ? "at most " : "",
               qvk__shape_text(&slot->bound).text);
    QVK__CHECK(source->data || qvk_tensor_numel(source) == 0, err, QVK_INPUT_MISMATCH,
               "input %u: data is NULL", index);
    memcpy(slot->tensor.sizes, source->sizes, sizeof slot->tensor.sizes);
    if (state->borrow_input[index])
        slot->tensor.data = source->data;
    else if (qvk_tensor_bytes(source) > 0)
        memcpy(slot->tensor.data, source->data, qvk_tensor_bytes(source));
    return QVK_OK;
}

static qvk_status set_number(qvk__method_state *state, uint32_t index, const qvk_value *input, qvk_error *err)
{
    const int32_t id = state->method->inputs[index];
    const qvk__evalue *value = &state->method->values[id];
    qvk__slot *slot = &state->slots[id];
    bool same;

    if (slot->kind == QVK__EVALUE_DOUBLE) {
        QVK__CHECK(input->kind == QVK_VALUE_FLOAT, err, QVK_INPUT_MISMATCH, "input %u: a float is wanted",
                   index);
        slot->f = input->f;
        same = input->f == value->double_value;
    } else {
        QVK__CHECK(input->kind == QVK_VALUE_INT || input->kind == QVK_VALUE_BOOL, err, QVK_INPUT_MISMATCH,
                   "input %u: %s is wanted", index, slot->kind == QVK__EVALUE_INT ? "an int" : "a bool");
        slot->i = input->i;
        same = input->i == value->int_value;
    }
    QVK__CHECK(same || qvk__method_reads(state->method, id), err, QVK_INPUT_MISMATCH,
               "input %u: the program was made for %.17g and nothing else", index,
               slot->kind == QVK__EVALUE_DOUBLE ? value->double_value : (double)value->int_value);
    return QVK_OK;
}

static qvk_status set_inputs(qvk__method_state *state, const qvk_value *inputs, uint32_t n_inputs,
                             qvk_error *err)
{
    const qvk__method *method = state->method;

    QVK__CHECK(n_inputs == method->n_inputs, err, QVK_INPUT_MISMATCH, "%u inputs given, %u wanted", n_inputs,
               method->n_inputs);
    memcpy(state->slots, state->start, method->n_values * sizeof *state->slots);
    for (uint32_t i = 0; i < n_inputs; i++) {
        switch (state->slots[method->inputs[i]].kind) {
        case QVK__EVALUE_TENSOR: QVK__TRY(set_tensor(state, i, &inputs[i], err)); break;
        case QVK__EVALUE_INT:
        case QVK__EVALUE_BOOL:
        case QVK__EVALUE_DOUBLE: QVK__TRY(set_number(state, i, &inputs[i], err)); break;
        default: break; /* None and strings: nothing to pass */
        }
    }
    return QVK_OK;
}

/* ---- instructions --------------------------------------------------------------------------------------- */

static qvk_value slot_value(const qvk__slot *slot)
{
    switch (slot->kind) {
    case QVK__EVALUE_TENSOR: return (qvk_value){.kind = QVK_VALUE_TENSOR, .tensor = slot->tensor};
    case QVK__EVALUE_INT: return (qvk_value){.kind = QVK_VALUE_INT, .i = slot->i};
    case QVK__EVALUE_BOOL: return (qvk_value){.kind = QVK_VALUE_BOOL, .i = slot->i};
    case QVK__EVALUE_DOUBLE: return (qvk_value){.kind = QVK_VALUE_FLOAT, .f = slot->f};
    default: return (qvk_value){.kind = QVK_VALUE_NONE};
    }
}

static qvk_status take_output(qvk__slot *slot, const qvk_value *value, qvk_error *err)
{
    if (value->kind == QVK_VALUE_TENSOR && slot->kind == QVK__EVALUE_TENSOR) {
        slot->tensor.rank = value->tensor.rank;
        memcpy(slot->tensor.sizes, value->tensor.sizes, sizeof slot->tensor.sizes);
    } else if (value->kind == QVK_VALUE_INT && slot->kind == QVK__EVALUE_INT) {
        slot->i = value->i;
    } else if (value->kind == QVK_VALUE_INT && slot->kind == QVK__EVALUE_TENSOR &&
               qvk_tensor_numel(&slot->bound) == 1) {
        qvk__reference_set_int(&slot->tensor, 0, value->i);
    } else {
        return qvk__fail(err, QVK_BAD_FORMAT, "a delegate's output does not fit its value");
    }
    return QVK_OK;
}

static void append_profile(qvk__method_state *state, const qvk__engine *engine, double offset_us)
{
    for (size_t i = 0; i < engine->profile.count; i++) {
        qvk_profile_entry entry = engine->profile.data[i];
        entry.start_us += offset_us;
        if (!QVK__VEC_PUSH(&state->profile, entry))
            return;
    }
}

static qvk_status call_delegate(qvk__method_state *state, const qvk__instruction *at, double now_us,
                                qvk_error *err)
{
    qvk__engine *engine = state->engines[at->index];
    const uint32_t n_in = (uint32_t)engine->graph.inputs.count;
    const uint32_t n_out = (uint32_t)engine->graph.outputs.count;
    const uint32_t surplus = n_in + n_out - at->n_args; /* leading outputs nobody asked for */
    qvk_value *values = qvk__alloc_zeroed((uint64_t)n_in + n_out, sizeof *values);
    qvk_status status;

    QVK__CHECK(values, err, QVK_OUT_OF_MEMORY, "out of memory");
    for (uint32_t i = 0; i < n_in; i++)
        values[i] = slot_value(&state->slots[at->args[i]]);
    for (uint32_t i = surplus; i < n_out; i++) {
        const qvk__slot *slot = &state->slots[at->args[n_in + i - surplus]];
        values[n_in + i] = slot_value(slot);
        if (slot->kind == QVK__EVALUE_TENSOR)
            values[n_in + i].tensor = slot->bound;
    }
    QVK__TRY_GO(qvk__engine_run(engine, values, n_in, values + n_in, n_out, err));
    for (uint32_t i = surplus; i < n_out; i++)
        QVK__TRY_GO(take_output(&state->slots[at->args[n_in + i - surplus]], &values[n_in + i], err));
    append_profile(state, engine, now_us);
    state->wait_ns += engine->wait_ns;
done:
    free(values);
    return status;
}

static qvk_status read_condition(const qvk__slot *slot, bool *out, qvk_error *err)
{
    if (slot->kind == QVK__EVALUE_BOOL || slot->kind == QVK__EVALUE_INT) {
        *out = slot->i != 0;
        return QVK_OK;
    }
    QVK__CHECK(slot->kind == QVK__EVALUE_TENSOR && qvk_tensor_numel(&slot->tensor) == 1, err, QVK_BAD_FORMAT,
               "the condition of a jump is neither a bool nor a tensor of one element");
    *out = qvk__reference_get_int(&slot->tensor, 0) != 0;
    return QVK_OK;
}

static qvk_status call_kernel(qvk__method_state *state, const qvk__instruction *at, bool profile,
                              double now_us, qvk_error *err)
{
    const qvk__kernel_target *target = &state->kernels[at->index];
    const uint64_t start = qvk__clock_ns();
    qvk_profile_entry entry = {.name = target->name, .kernel = "reference", .start_us = now_us};

    QVK__TRY(qvk__kernel_call(state, target, at->args, at->n_args, err));
    entry.gpu_us = (double)(qvk__clock_ns() - start) * 1e-3;
    if (profile && !target->prim)
        QVK__CHECK(QVK__VEC_PUSH(&state->profile, entry), err, QVK_OUT_OF_MEMORY, "out of memory");
    return QVK_OK;
}

static qvk_status step(qvk__method_state *state, uint32_t *pc, bool profile, double now_us, qvk_error *err)
{
    const qvk__instruction *at = &state->method->instructions[*pc];
    bool condition = true;

    switch (at->kind) {
    case QVK__INSTRUCTION_KERNEL: QVK__TRY(call_kernel(state, at, profile, now_us, err)); break;
    case QVK__INSTRUCTION_DELEGATE: QVK__TRY(call_delegate(state, at, now_us, err)); break;
    case QVK__INSTRUCTION_MOVE: state->slots[at->target] = state->slots[at->index]; break;
    case QVK__INSTRUCTION_JUMP_FALSE:
        QVK__TRY(read_condition(&state->slots[at->index], &condition, err));
        break;
    case QVK__INSTRUCTION_FREE: break; /* nothing is allocated during a call */
    }
    *pc = condition ? *pc + 1 : (uint32_t)at->target;
    return QVK_OK;
}

static qvk_status run_instructions(qvk__method_state *state, bool profile, qvk_error *err)
{
    const uint64_t start = qvk__clock_ns();
    uint32_t pc = 0;

    for (int steps = 0; pc < state->method->n_instructions; steps++) {
        const uint32_t at = pc;
        qvk_status status;
        QVK__CHECK(steps < MAX_STEPS, err, QVK_BAD_FORMAT, "still not at its end after %d instructions",
                   MAX_STEPS);
        status = step(state, &pc, profile, profile ? (double)(qvk__clock_ns() - start) * 1e-3 : 0.0, err);
        if (status != QVK_OK) {
            qvk__error_context(err, status, "instruction %u", at);
            if (err && err->node < 0)
                err->node = (int32_t)at;
            return status;
        }
    }
    return QVK_OK;
}

qvk_status qvk__method_run(qvk__method_state *state, const qvk__session_params *params,
                           const qvk_value *inputs, uint32_t n_inputs, qvk_value *outputs, uint32_t n_outputs,
                           qvk_error *err)
{
    QVK__CHECK(n_outputs == state->method->n_outputs, err, QVK_INVALID_ARGUMENT,
               "room for %u outputs, there are %u", n_outputs, state->method->n_outputs);
    state->profile.count = 0;
    state->wait_ns = 0;
    QVK__TRY(set_inputs(state, inputs, n_inputs, err));
    QVK__TRY(run_instructions(state, params->profile, err));
    for (uint32_t i = 0; i < n_outputs; i++)
        outputs[i] = slot_value(&state->slots[state->method->outputs[i]]);
    return QVK_OK;
}
