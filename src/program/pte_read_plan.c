/* Operators, delegates and instructions of a method. */
#include "program/blob_reader.h"
#include "program/pte_reader.h"

/* Blobs parsed may add up to this many times the file: methods may share a blob, but not without end. */
enum { PARSE_LIMIT = 16 };

/* ---- operators ----------------------------------------------------------------------------------------- */

static qvk_status read_operators(qvk__pte_reader *reader, qvk__fb_table plan, qvk__method *out,
                                 qvk_error *err)
{
    qvk__fb_vector operators = qvk__fb_children(plan, PTE_PLAN_OPERATORS);

    out->operators = qvk__arena_alloc(&reader->program->arena, operators.count, sizeof *out->operators);
    QVK__CHECK(out->operators, err, QVK_OUT_OF_MEMORY, "out of memory");
    out->n_operators = operators.count;
    for (uint32_t i = 0; i < operators.count; i++) {
        qvk__fb_table operator_ = qvk__fb_child_at(operators, i);
        qvk__operator_ref *ref = &out->operators[i];
        ref->name = qvk__fb_string(operator_, PTE_OPERATOR_NAME);
        ref->overload = qvk__fb_string(operator_, PTE_OPERATOR_OVERLOAD);
        QVK__CHECK(ref->name, err, QVK_BAD_FORMAT, "operator %u has no name", i);
        if (!ref->overload)
            ref->overload = "";
        ref->op = qvk__op_find_kernel(ref->name, ref->overload);
    }
    return QVK_OK;
}

/* ---- delegates ----------------------------------------------------------------------------------------- */

static bool find_named(void *user, const char *key, const uint8_t **data, uint64_t *bytes)
{
    const qvk__named_data *named = qvk__program_find(user, key);

    if (!named)
        return false;
    *data = named->data;
    *bytes = named->bytes;
    return true;
}

static qvk_status find_blob(const qvk__pte_reader *reader, qvk__fb_table delegate, qvk__span *out,
                            qvk_error *err)
{
    qvk__fb_table reference = qvk__fb_child(delegate, PTE_DELEGATE_PROCESSED);
    qvk__fb_vector blobs = qvk__fb_children(reader->root, PTE_PROGRAM_INLINE_DATA), blob;
    uint8_t location = qvk__fb_u8(reference, PTE_DATA_REFERENCE_LOCATION, PTE_LOCATION_INLINE);
    uint32_t index = qvk__fb_u32(reference, PTE_DATA_REFERENCE_INDEX, 0);

    if (location == PTE_LOCATION_SEGMENT)
        return qvk__pte_segment(reader, index, out, err);
    QVK__CHECK(location == PTE_LOCATION_INLINE, err, QVK_BAD_FORMAT, "data in unknown location %u", location);
    QVK__CHECK(index < blobs.count, err, QVK_BAD_FORMAT, "inline data %u of %u", index, blobs.count);
    blob = qvk__fb_children(qvk__fb_child_at(blobs, index), PTE_INLINE_DATA_DATA);
    *out = (qvk__span){blob.at, blob.count};
    return QVK_OK;
}

static qvk_status read_specs(qvk__pte_reader *reader, qvk__fb_table delegate, qvk__delegate *out,
                             qvk_error *err)
{
    qvk__fb_vector entries = qvk__fb_children(delegate, PTE_DELEGATE_SPECS);
    qvk__compile_spec *specs = qvk__arena_alloc(&reader->program->arena, entries.count, sizeof *specs);

    QVK__CHECK(specs, err, QVK_OUT_OF_MEMORY, "out of memory");
    for (uint32_t i = 0; i < entries.count; i++) {
        qvk__fb_table entry = qvk__fb_child_at(entries, i);
        qvk__fb_vector value = qvk__fb_children(entry, PTE_COMPILE_SPEC_VALUE);
        specs[i] = (qvk__compile_spec){qvk__fb_string(entry, PTE_COMPILE_SPEC_KEY), value.at, value.count};
        QVK__CHECK(specs[i].key, err, QVK_BAD_FORMAT, "compile spec %u has no key", i);
    }
    out->specs = specs;
    out->n_specs = entries.count;
    return QVK_OK;
}

static qvk_status read_delegate(qvk__pte_reader *reader, qvk__fb_table entry, qvk__delegate *out,
                                qvk_error *err)
{
    qvk__data_source named = {.find = find_named, .user = reader->program};
    qvk__span blob;

    out->id = qvk__fb_string(entry, PTE_DELEGATE_ID);
    QVK__CHECK(out->id, err, QVK_BAD_FORMAT, "delegate without a backend's name");
    QVK__TRY(find_blob(reader, entry, &blob, err));
    out->blob = blob.data;
    out->blob_bytes = blob.bytes;
    QVK__TRY(read_specs(reader, entry, out, err));
    if (strcmp(out->id, "VulkanBackend") != 0)
        return QVK_OK;
    reader->parsed_bytes += blob.bytes;
    QVK__CHECK(reader->parsed_bytes <= PARSE_LIMIT * reader->bytes, err, QVK_BAD_FORMAT,
               "the same blob is used over and over");
    QVK__TRY(qvk__blob_read(blob.data, blob.bytes, &named, &out->graph, err));
    out->parsed = true;
    return QVK_OK;
}

static qvk_status read_delegates(qvk__pte_reader *reader, qvk__fb_table plan, qvk__method *out,
                                 qvk_error *err)
{
    qvk__fb_vector delegates = qvk__fb_children(plan, PTE_PLAN_DELEGATES);

    out->delegates = qvk__arena_alloc(&reader->program->arena, delegates.count, sizeof *out->delegates);
    QVK__CHECK(out->delegates, err, QVK_OUT_OF_MEMORY, "out of memory");
    out->n_delegates = delegates.count;
    for (uint32_t i = 0; i < delegates.count; i++) {
        qvk_status status = read_delegate(reader, qvk__fb_child_at(delegates, i), &out->delegates[i], err);
        if (status != QVK_OK)
            return qvk__error_context(err, status, "delegate %u", i);
    }
    return QVK_OK;
}

/* ---- instructions -------------------------------------------------------------------------------------- */

static qvk_status read_instruction(qvk__pte_reader *reader, qvk__fb_table entry, int32_t chain_start,
                                   qvk__instruction *out, qvk_error *err)
{
    uint8_t tag = qvk__fb_u8(entry, PTE_INSTRUCTION_ARGS_TAG, 0);
    qvk__fb_table call;

    QVK__CHECK(tag >= PTE_INSTRUCTION_TAG(KERNEL_CALL) && tag <= PTE_INSTRUCTION_TAG(FREE_CALL), err,
               QVK_BAD_VERSION, "instruction of unknown kind %u", tag);
    call = qvk__fb_child(entry, PTE_INSTRUCTION_ARGS);
    QVK__CHECK(call.at, err, QVK_BAD_FORMAT, "instruction of kind %u without content", tag);
    switch (tag) {
    case PTE_INSTRUCTION_TAG(KERNEL_CALL):
        out->kind = QVK__INSTRUCTION_KERNEL;
        out->index = qvk__fb_i32(call, PTE_KERNEL_CALL_OPERATOR, 0);
        return qvk__pte_read_ids(reader, call, PTE_KERNEL_CALL_ARGS, &out->args, &out->n_args, err);
    case PTE_INSTRUCTION_TAG(DELEGATE_CALL):
        out->kind = QVK__INSTRUCTION_DELEGATE;
        out->index = qvk__fb_i32(call, PTE_DELEGATE_CALL_DELEGATE, 0);
        return qvk__pte_read_ids(reader, call, PTE_DELEGATE_CALL_ARGS, &out->args, &out->n_args, err);
    case PTE_INSTRUCTION_TAG(MOVE_CALL):
        out->kind = QVK__INSTRUCTION_MOVE;
        out->index = qvk__fb_i32(call, PTE_MOVE_CALL_FROM, 0);
        out->target = qvk__fb_i32(call, PTE_MOVE_CALL_TO, 0);
        break;
    case PTE_INSTRUCTION_TAG(JUMP_FALSE_CALL):
        out->kind = QVK__INSTRUCTION_JUMP_FALSE;
        out->index = qvk__fb_i32(call, PTE_JUMP_FALSE_CALL_CONDITION, 0);
        out->target = qvk__fb_i32(call, PTE_JUMP_FALSE_CALL_DESTINATION, 0);
        QVK__CHECK(out->target >= 0 && out->target <= INT32_MAX - chain_start, err, QVK_BAD_FORMAT,
                   "jump to %d", out->target);
        out->target += chain_start;
        break;
    default:
        out->kind = QVK__INSTRUCTION_FREE;
        out->index = qvk__fb_i32(call, PTE_FREE_CALL_VALUE, 0);
        break;
    }
    return QVK_OK;
}

/* Chains run one after the other, so their instructions become one list; jumps stay inside their chain. */
static qvk_status read_instructions(qvk__pte_reader *reader, qvk__fb_table plan, qvk__method *out,
                                    qvk_error *err)
{
    qvk__fb_vector chains = qvk__fb_children(plan, PTE_PLAN_CHAINS);
    uint64_t total = 0;
    uint32_t next = 0;

    for (uint32_t c = 0; c < chains.count; c++)
        total += qvk__fb_children(qvk__fb_child_at(chains, c), PTE_CHAIN_INSTRUCTIONS).count;
    QVK__CHECK(total < INT32_MAX, err, QVK_BAD_FORMAT, "%llu instructions", (unsigned long long)total);
    out->instructions = qvk__arena_alloc(&reader->program->arena, total, sizeof *out->instructions);
    QVK__CHECK(out->instructions, err, QVK_OUT_OF_MEMORY, "out of memory");
    out->n_instructions = (uint32_t)total;
    for (uint32_t c = 0; c < chains.count; c++) {
        qvk__fb_vector list = qvk__fb_children(qvk__fb_child_at(chains, c), PTE_CHAIN_INSTRUCTIONS);
        int32_t start = (int32_t)next;
        for (uint32_t i = 0; i < list.count; i++, next++) {
            qvk__instruction *instruction = &out->instructions[next];
            qvk_status status = read_instruction(reader, qvk__fb_child_at(list, i), start, instruction, err);
            if (status != QVK_OK)
                return qvk__error_context(err, status, "instruction %u", next);
            QVK__CHECK(instruction->kind != QVK__INSTRUCTION_JUMP_FALSE ||
                           (uint32_t)(instruction->target - start) <= list.count,
                       err, QVK_BAD_FORMAT, "instruction %u jumps out of its chain", next);
        }
    }
    return QVK_OK;
}

/* Takes `surplus` outputs off the front; they are new values of buffers. */
static qvk_status drop_outputs(qvk__graph *graph, size_t surplus, qvk_error *err)
{
    for (size_t i = 0; i < surplus; i++)
        QVK__TRY(qvk__blob_keep_mutation(graph, graph->outputs.data[i], err));
    graph->outputs.count -= surplus;
    memmove(graph->outputs.data, graph->outputs.data + surplus,
            graph->outputs.count * sizeof *graph->outputs.data);
    return QVK_OK;
}

/*
 * A delegate that mutates a buffer lists the new value first among its outputs, though the call passes
 * nothing for it. All calls of a delegate must agree in this, which the verification of calls finds out.
 */
static qvk_status drop_surplus_outputs(qvk__method *method, qvk_error *err)
{
    for (uint32_t i = 0; i < method->n_instructions; i++) {
        const qvk__instruction *call = &method->instructions[i];
        qvk__graph *graph;
        size_t wanted;

        if (call->kind != QVK__INSTRUCTION_DELEGATE || call->index < 0 ||
            (uint32_t)call->index >= method->n_delegates)
            continue;
        graph = &method->delegates[call->index].graph;
        wanted = graph->inputs.count + graph->outputs.count;
        if (!method->delegates[call->index].parsed || call->n_args >= wanted)
            continue;
        QVK__CHECK(wanted - call->n_args <= graph->outputs.count, err, QVK_BAD_FORMAT,
                   "instruction %u passes %u arguments to a delegate with %zu inputs", i, call->n_args,
                   graph->inputs.count);
        QVK__TRY(drop_outputs(graph, wanted - call->n_args, err));
    }
    return QVK_OK;
}

qvk_status qvk__pte_read_plan(qvk__pte_reader *reader, qvk__fb_table plan, qvk__method *out, qvk_error *err)
{
    QVK__TRY(read_operators(reader, plan, out, err));
    QVK__TRY(read_delegates(reader, plan, out, err));
    QVK__TRY(read_instructions(reader, plan, out, err));
    return drop_surplus_outputs(out, err);
}
