/* The description of a program: values, operators, delegates, instructions, and where the data lies. */
#include "core/dtype.h"
#include "program/pte_writer.h"

#include <stdio.h>

typedef struct plan_writer {
    const qvk__pte_writer *file;
    qvk__fb_writer *fb;
    const qvk__method *method;
    const uint32_t *data_index; /* per value */
    size_t first_blob;          /* of the method's delegates among all */
    /* Offsets being gathered for a vector of tables. */
    QVK__VEC(qvk__fb_offset) items;
} plan_writer;

/* ---- vectors of tables --------------------------------------------------------------------------------- */

static qvk_status push(plan_writer *writer, qvk__fb_offset item, qvk_error *err)
{
    QVK__CHECK(QVK__VEC_PUSH(&writer->items, item), err, QVK_OUT_OF_MEMORY, "out of memory");
    return QVK_OK;
}

static qvk__fb_offset end_items(plan_writer *writer)
{
    qvk__fb_offset vector = qvk__fb_add_offsets(writer->fb, writer->items.data, writer->items.count);
    writer->items.count = 0;
    return vector;
}

static qvk__fb_offset add_ids(plan_writer *writer, const int32_t *ids, uint32_t count)
{
    return qvk__fb_add_vector(writer->fb, ids, count, sizeof *ids, 4);
}

/* A table of two fields, most often a union's tag and content. */
static qvk__fb_offset add_pair(qvk__fb_writer *fb, uint8_t tag, qvk__fb_offset content)
{
    qvk__fb_begin(fb);
    qvk__fb_set_u8(fb, 0, tag);
    qvk__fb_set_offset(fb, 1, content);
    return qvk__fb_end(fb);
}

/* A table whose only field is what `content` refers to. */
static qvk__fb_offset add_wrapped(qvk__fb_writer *fb, qvk__fb_offset content)
{
    qvk__fb_begin(fb);
    qvk__fb_set_offset(fb, 0, content);
    return qvk__fb_end(fb);
}

/* ---- tensors ------------------------------------------------------------------------------------------- */

static qvk__fb_offset add_allocation(qvk__fb_writer *fb, const qvk__evalue *tensor)
{
    if (!tensor->planned)
        return 0;
    qvk__fb_begin(fb);
    qvk__fb_set_u32(fb, PTE_ALLOCATION_MEMORY_ID, tensor->memory_id);
    qvk__fb_set_u32(fb, PTE_ALLOCATION_OFFSET_LOW, (uint32_t)tensor->memory_offset);
    qvk__fb_set_u32(fb, PTE_ALLOCATION_OFFSET_HIGH, (uint32_t)(tensor->memory_offset >> 32));
    return qvk__fb_end(fb);
}

static qvk__fb_offset add_extra(qvk__fb_writer *fb, const qvk__evalue *tensor)
{
    qvk__fb_offset name;

    if (!tensor->external_name)
        return 0;
    name = qvk__fb_add_string(fb, tensor->external_name);
    qvk__fb_begin(fb);
    qvk__fb_set_offset(fb, PTE_EXTRA_NAME, name);
    qvk__fb_set_u8(fb, PTE_EXTRA_LOCATION, PTE_TENSOR_EXTERNAL);
    return qvk__fb_end(fb);
}

static qvk_status add_tensor(plan_writer *writer, const qvk__evalue *tensor, uint32_t data,
                             qvk__fb_offset *out, qvk_error *err)
{
    qvk__fb_writer *fb = writer->fb;
    int code = qvk__dtype_code(tensor->desc.dtype, QVK__DTYPE_PTE);
    int32_t sizes[QVK_MAX_RANK];
    qvk__fb_offset sizes_at, order, allocation, extra;

    QVK__CHECK(code >= 0, err, QVK_UNSUPPORTED, "a .pte has no %s tensors",
               qvk_dtype_name(tensor->desc.dtype));
    for (int i = 0; i < tensor->desc.rank; i++) {
        QVK__CHECK(tensor->desc.sizes[i] <= INT32_MAX, err, QVK_UNSUPPORTED,
                   "size %lld needs more than 31 bits", (long long)tensor->desc.sizes[i]);
        sizes[i] = (int32_t)tensor->desc.sizes[i];
    }
    sizes_at = qvk__fb_add_vector(fb, sizes, (size_t)tensor->desc.rank, sizeof *sizes, 4);
    order = qvk__fb_add_vector(fb, tensor->dim_order, (size_t)tensor->desc.rank, 1, 1);
    allocation = add_allocation(fb, tensor);
    extra = add_extra(fb, tensor);
    qvk__fb_begin(fb);
    qvk__fb_set_i8(fb, PTE_TENSOR_SCALAR_TYPE, (int8_t)code);
    qvk__fb_set_i32(fb, PTE_TENSOR_STORAGE_OFFSET, 0);
    qvk__fb_set_offset(fb, PTE_TENSOR_SIZES, sizes_at);
    qvk__fb_set_offset(fb, PTE_TENSOR_DIM_ORDER, order);
    qvk__fb_set_u8(fb, PTE_TENSOR_REQUIRES_GRAD, 0);
    /* External data has no place here, but exporters write 1 to tell such a tensor from one without data. */
    qvk__fb_set_u32(fb, PTE_TENSOR_DATA, tensor->external_name ? 1 : data);
    qvk__fb_set_offset(fb, PTE_TENSOR_ALLOCATION, allocation);
    qvk__fb_set_i8(fb, PTE_TENSOR_LAYOUT, 0);
    qvk__fb_set_i8(fb, PTE_TENSOR_DYNAMISM, tensor->dynamic ? PTE_DYNAMIC_BOUND : PTE_STATIC);
    qvk__fb_set_offset(fb, PTE_TENSOR_EXTRA, extra);
    *out = qvk__fb_end(fb);
    return QVK_OK;
}

/* ---- values -------------------------------------------------------------------------------------------- */

static qvk_status add_int_list(plan_writer *writer, const qvk__evalue *list, qvk__fb_offset *out,
                               qvk_error *err)
{
    int64_t *items = qvk__alloc_zeroed(list->count, sizeof *items);

    QVK__CHECK(items, err, QVK_OUT_OF_MEMORY, "out of memory");
    for (uint32_t i = 0; i < list->count; i++)
        items[i] = list->ids[i];
    *out = add_wrapped(writer->fb, qvk__fb_add_vector(writer->fb, items, list->count, sizeof *items, 8));
    free(items);
    return QVK_OK;
}

static qvk_status add_bool_list(plan_writer *writer, const qvk__evalue *list, qvk__fb_offset *out,
                                qvk_error *err)
{
    uint8_t *items = qvk__alloc_zeroed(list->count, 1);

    QVK__CHECK(items, err, QVK_OUT_OF_MEMORY, "out of memory");
    for (uint32_t i = 0; i < list->count; i++)
        items[i] = list->bools[i];
    *out = add_wrapped(writer->fb, qvk__fb_add_vector(writer->fb, items, list->count, 1, 1));
    free(items);
    return QVK_OK;
}

static qvk__fb_offset add_scalar(qvk__fb_writer *fb, const qvk__evalue *value)
{
    qvk__fb_begin(fb);
    if (value->kind == QVK__EVALUE_INT)
        qvk__fb_set_i64(fb, PTE_INT_VALUE, value->int_value);
    else if (value->kind == QVK__EVALUE_BOOL)
        qvk__fb_set_u8(fb, PTE_BOOL_VALUE, value->int_value != 0);
    else if (value->kind == QVK__EVALUE_DOUBLE)
        qvk__fb_set_f64(fb, PTE_DOUBLE_VALUE, value->double_value);
    return qvk__fb_end(fb);
}

static qvk_status add_content(plan_writer *writer, const qvk__evalue *value, uint32_t data,
                              qvk__fb_offset *out, qvk_error *err)
{
    qvk__fb_writer *fb = writer->fb;

    switch (value->kind) {
    case QVK__EVALUE_NULL:
    case QVK__EVALUE_INT:
    case QVK__EVALUE_BOOL:
    case QVK__EVALUE_DOUBLE: *out = add_scalar(fb, value); break;
    case QVK__EVALUE_TENSOR: return add_tensor(writer, value, data, out, err);
    case QVK__EVALUE_STRING: *out = add_wrapped(fb, qvk__fb_add_string(fb, value->string)); break;
    case QVK__EVALUE_INT_LIST: return add_int_list(writer, value, out, err);
    case QVK__EVALUE_DOUBLE_LIST:
        *out =
            add_wrapped(fb, qvk__fb_add_vector(fb, value->doubles, value->count, sizeof *value->doubles, 8));
        break;
    case QVK__EVALUE_BOOL_LIST: return add_bool_list(writer, value, out, err);
    case QVK__EVALUE_TENSOR_LIST:
    case QVK__EVALUE_OPTIONAL_TENSOR_LIST:
        *out = add_wrapped(fb, add_ids(writer, value->ids, value->count));
        break;
    }
    return QVK_OK;
}

static qvk_status add_values(plan_writer *writer, qvk__fb_offset *out, qvk_error *err)
{
    static const uint8_t tags[] = {
        [QVK__EVALUE_NULL] = PTE_VALUE_TAG(NULL_VALUE),
        [QVK__EVALUE_INT] = PTE_VALUE_TAG(INT),
        [QVK__EVALUE_BOOL] = PTE_VALUE_TAG(BOOL),
        [QVK__EVALUE_DOUBLE] = PTE_VALUE_TAG(DOUBLE),
        [QVK__EVALUE_TENSOR] = PTE_VALUE_TAG(TENSOR),
        [QVK__EVALUE_STRING] = PTE_VALUE_TAG(STRING),
        [QVK__EVALUE_INT_LIST] = PTE_VALUE_TAG(INT_LIST),
        [QVK__EVALUE_DOUBLE_LIST] = PTE_VALUE_TAG(DOUBLE_LIST),
        [QVK__EVALUE_BOOL_LIST] = PTE_VALUE_TAG(BOOL_LIST),
        [QVK__EVALUE_TENSOR_LIST] = PTE_VALUE_TAG(TENSOR_LIST),
        [QVK__EVALUE_OPTIONAL_TENSOR_LIST] = PTE_VALUE_TAG(OPTIONAL_TENSOR_LIST),
    };

    for (uint32_t i = 0; i < writer->method->n_values; i++) {
        const qvk__evalue *value = &writer->method->values[i];
        qvk__fb_offset content = 0;
        qvk_status status = add_content(writer, value, writer->data_index[i], &content, err);
        if (status != QVK_OK)
            return qvk__error_context(err, status, "value %u", i);
        QVK__TRY(push(writer, add_pair(writer->fb, tags[value->kind], content), err));
    }
    *out = end_items(writer);
    return QVK_OK;
}

/* ---- operators and delegates --------------------------------------------------------------------------- */

/* "aten.add.Tensor" as a .pte calls it: "aten::add", with the overload of its out-variant. */
static qvk_status add_table_operator(qvk__fb_writer *fb, qvk__op op, qvk__fb_offset *name,
                                     qvk__fb_offset *overload, qvk_error *err)
{
    const qvk__op_info *info = qvk__op_info_of(op);
    const char *dot = strchr(info->name, '.'), *last = strrchr(info->name, '.');
    char text[128];

    QVK__CHECK(op != QVK__OP_NONE && dot && last > dot, err, QVK_UNSUPPORTED_OPERATOR,
               "operator %s cannot stand outside a delegate", info->name);
    snprintf(text, sizeof text, "%.*s::%.*s", (int)(dot - info->name), info->name, (int)(last - dot - 1),
             dot + 1);
    *name = qvk__fb_add_string(fb, text);
    *overload = qvk__fb_add_string(fb, info->out ? info->out : strcmp(last, ".default") == 0 ? "" : last + 1);
    return QVK_OK;
}

static qvk_status add_operators(plan_writer *writer, qvk__fb_offset *out, qvk_error *err)
{
    qvk__fb_writer *fb = writer->fb;

    for (uint32_t i = 0; i < writer->method->n_operators; i++) {
        const qvk__operator_ref *ref = &writer->method->operators[i];
        qvk__fb_offset name = 0, overload = 0;
        if (ref->name) {
            name = qvk__fb_add_string(fb, ref->name);
            overload = qvk__fb_add_string(fb, ref->overload ? ref->overload : "");
        } else {
            QVK__TRY(add_table_operator(fb, ref->op, &name, &overload, err));
        }
        qvk__fb_begin(fb);
        qvk__fb_set_offset(fb, PTE_OPERATOR_NAME, name);
        qvk__fb_set_offset(fb, PTE_OPERATOR_OVERLOAD, overload);
        QVK__TRY(push(writer, qvk__fb_end(fb), err));
    }
    *out = end_items(writer);
    return QVK_OK;
}

static qvk_status add_specs(plan_writer *writer, const qvk__delegate *delegate, qvk__fb_offset *out,
                            qvk_error *err)
{
    qvk__fb_writer *fb = writer->fb;
    qvk__fb_offset *specs = qvk__alloc_zeroed(delegate->n_specs, sizeof *specs);

    QVK__CHECK(specs, err, QVK_OUT_OF_MEMORY, "out of memory");
    for (uint32_t i = 0; i < delegate->n_specs; i++) {
        const qvk__compile_spec *spec = &delegate->specs[i];
        qvk__fb_offset key = qvk__fb_add_string(fb, spec->key);
        qvk__fb_offset value = qvk__fb_add_vector(fb, spec->value, spec->bytes, 1, 1);
        qvk__fb_begin(fb);
        qvk__fb_set_offset(fb, PTE_COMPILE_SPEC_KEY, key);
        qvk__fb_set_offset(fb, PTE_COMPILE_SPEC_VALUE, value);
        specs[i] = qvk__fb_end(fb);
    }
    *out = qvk__fb_add_offsets(fb, specs, delegate->n_specs);
    free(specs);
    return QVK_OK;
}

static qvk_status add_delegates(plan_writer *writer, qvk__fb_offset *out, qvk_error *err)
{
    qvk__fb_writer *fb = writer->fb;

    for (uint32_t i = 0; i < writer->method->n_delegates; i++) {
        const qvk__pte_blob *blob = &writer->file->blobs.data[writer->first_blob + i];
        qvk__fb_offset id = qvk__fb_add_string(fb, blob->delegate->id), reference, specs = 0;
        qvk__fb_begin(fb);
        qvk__fb_set_i8(fb, PTE_DATA_REFERENCE_LOCATION,
                       blob->bytes ? PTE_LOCATION_SEGMENT : PTE_LOCATION_INLINE);
        qvk__fb_set_u32(fb, PTE_DATA_REFERENCE_INDEX, blob->segment);
        reference = qvk__fb_end(fb);
        QVK__TRY(add_specs(writer, blob->delegate, &specs, err));
        qvk__fb_begin(fb);
        qvk__fb_set_offset(fb, PTE_DELEGATE_ID, id);
        qvk__fb_set_offset(fb, PTE_DELEGATE_PROCESSED, reference);
        qvk__fb_set_offset(fb, PTE_DELEGATE_SPECS, specs);
        QVK__TRY(push(writer, qvk__fb_end(fb), err));
    }
    *out = end_items(writer);
    return QVK_OK;
}

/* ---- instructions -------------------------------------------------------------------------------------- */

static qvk__fb_offset add_instruction(plan_writer *writer, const qvk__instruction *instruction)
{
    static const uint8_t tags[] = {
        [QVK__INSTRUCTION_KERNEL] = PTE_INSTRUCTION_TAG(KERNEL_CALL),
        [QVK__INSTRUCTION_DELEGATE] = PTE_INSTRUCTION_TAG(DELEGATE_CALL),
        [QVK__INSTRUCTION_MOVE] = PTE_INSTRUCTION_TAG(MOVE_CALL),
        [QVK__INSTRUCTION_JUMP_FALSE] = PTE_INSTRUCTION_TAG(JUMP_FALSE_CALL),
        [QVK__INSTRUCTION_FREE] = PTE_INSTRUCTION_TAG(FREE_CALL),
    };
    bool calls =
        instruction->kind == QVK__INSTRUCTION_KERNEL || instruction->kind == QVK__INSTRUCTION_DELEGATE;
    bool goes =
        instruction->kind == QVK__INSTRUCTION_MOVE || instruction->kind == QVK__INSTRUCTION_JUMP_FALSE;
    qvk__fb_offset args = calls ? add_ids(writer, instruction->args, instruction->n_args) : 0;

    /* All five tables have an index first; then arguments, or where to go. */
    _Static_assert(PTE_KERNEL_CALL_ARGS == 1 && PTE_DELEGATE_CALL_ARGS == 1 && PTE_MOVE_CALL_TO == 1 &&
                       PTE_JUMP_FALSE_CALL_DESTINATION == 1,
                   "instructions are written alike");
    qvk__fb_begin(writer->fb);
    qvk__fb_set_i32(writer->fb, 0, instruction->index);
    if (goes)
        qvk__fb_set_i32(writer->fb, 1, instruction->target);
    else
        qvk__fb_set_offset(writer->fb, 1, args);
    return add_pair(writer->fb, tags[instruction->kind], qvk__fb_end(writer->fb));
}

static qvk_status add_chains(plan_writer *writer, qvk__fb_offset *out, qvk_error *err)
{
    const qvk__method *method = writer->method;
    qvk__fb_offset instructions, chain, inputs, outputs;

    for (uint32_t i = 0; i < method->n_instructions; i++)
        QVK__TRY(push(writer, add_instruction(writer, &method->instructions[i]), err));
    instructions = end_items(writer);
    inputs = add_ids(writer, NULL, 0);
    outputs = add_ids(writer, NULL, 0);
    qvk__fb_begin(writer->fb);
    qvk__fb_set_offset(writer->fb, PTE_CHAIN_INPUTS, inputs);
    qvk__fb_set_offset(writer->fb, PTE_CHAIN_OUTPUTS, outputs);
    qvk__fb_set_offset(writer->fb, PTE_CHAIN_INSTRUCTIONS, instructions);
    chain = qvk__fb_end(writer->fb);
    *out = qvk__fb_add_offsets(writer->fb, &chain, 1);
    return QVK_OK;
}

/* ---- methods ------------------------------------------------------------------------------------------- */

static qvk__fb_offset add_container(qvk__fb_writer *fb, const qvk__method *method)
{
    qvk__fb_offset inputs = qvk__fb_add_string(fb, method->input_spec ? method->input_spec : "");
    qvk__fb_offset outputs = qvk__fb_add_string(fb, method->output_spec ? method->output_spec : "");

    qvk__fb_begin(fb);
    qvk__fb_set_offset(fb, PTE_CONTAINER_INPUTS, inputs);
    qvk__fb_set_offset(fb, PTE_CONTAINER_OUTPUTS, outputs);
    return qvk__fb_end(fb);
}

static qvk_status add_method(plan_writer *writer, qvk__fb_offset *out, qvk_error *err)
{
    const qvk__method *method = writer->method;
    qvk__fb_writer *fb = writer->fb;
    qvk__fb_offset values = 0, operators = 0, delegates = 0, chains = 0, name, container, inputs, outputs,
                   buffers;
    static const uint64_t no_buffers[1] = {0}; /* [0] is reserved even when nothing is planned */

    QVK__TRY(add_values(writer, &values, err));
    QVK__TRY(add_operators(writer, &operators, err));
    QVK__TRY(add_delegates(writer, &delegates, err));
    QVK__TRY(add_chains(writer, &chains, err));
    name = qvk__fb_add_string(fb, method->name);
    container = add_container(fb, method);
    inputs = add_ids(writer, method->inputs, method->n_inputs);
    outputs = add_ids(writer, method->outputs, method->n_outputs);
    buffers = qvk__fb_add_vector(fb, method->n_buffers ? method->buffer_bytes : no_buffers,
                                 method->n_buffers ? method->n_buffers : 1, sizeof *no_buffers, 8);
    qvk__fb_begin(fb);
    qvk__fb_set_offset(fb, PTE_PLAN_NAME, name);
    qvk__fb_set_offset(fb, PTE_PLAN_CONTAINER, container);
    qvk__fb_set_offset(fb, PTE_PLAN_VALUES, values);
    qvk__fb_set_offset(fb, PTE_PLAN_INPUTS, inputs);
    qvk__fb_set_offset(fb, PTE_PLAN_OUTPUTS, outputs);
    qvk__fb_set_offset(fb, PTE_PLAN_CHAINS, chains);
    qvk__fb_set_offset(fb, PTE_PLAN_OPERATORS, operators);
    qvk__fb_set_offset(fb, PTE_PLAN_DELEGATES, delegates);
    qvk__fb_set_offset(fb, PTE_PLAN_BUFFER_BYTES, buffers);
    *out = qvk__fb_end(fb);
    return QVK_OK;
}

static qvk_status add_methods(const qvk__pte_writer *file, qvk__fb_writer *fb, qvk__fb_offset *out,
                              qvk_error *err)
{
    const qvk__program *program = file->program;
    qvk__fb_offset *plans = qvk__alloc_zeroed(program->n_methods, sizeof *plans);
    plan_writer writer = {.file = file, .fb = fb};
    qvk_status status = QVK_OK;

    QVK__CHECK(plans, err, QVK_OUT_OF_MEMORY, "out of memory");
    for (uint32_t m = 0; m < program->n_methods; m++) {
        writer.method = &program->methods[m];
        writer.data_index = file->data_index[m];
        QVK__TRY_GO(add_method(&writer, &plans[m], err));
        writer.first_blob += writer.method->n_delegates;
    }
    *out = qvk__fb_add_offsets(fb, plans, program->n_methods);
done:
    free(plans);
    free(writer.items.data);
    return status;
}

/* ---- data ---------------------------------------------------------------------------------------------- */

/* Offsets of the pieces of a segment, after a first one that stands for "no data". */
static qvk_status add_subsegments(qvk__fb_writer *fb, uint32_t segment, const qvk__pte_pieces *pieces,
                                  qvk__fb_offset *out, qvk_error *err)
{
    uint64_t *offsets = qvk__alloc_zeroed(pieces->count + 1, sizeof *offsets);
    qvk__fb_offset vector;

    QVK__CHECK(offsets, err, QVK_OUT_OF_MEMORY, "out of memory");
    for (size_t i = 0; i < pieces->count; i++)
        offsets[i + 1] = pieces->data[i].offset;
    vector = qvk__fb_add_vector(fb, offsets, pieces->count + 1, sizeof *offsets, 8);
    free(offsets);
    qvk__fb_begin(fb);
    qvk__fb_set_u32(fb, PTE_SUBSEGMENTS_SEGMENT, segment);
    qvk__fb_set_offset(fb, PTE_SUBSEGMENTS_OFFSETS, vector);
    *out = qvk__fb_end(fb);
    return QVK_OK;
}

static qvk__fb_offset add_segment(qvk__fb_writer *fb, const qvk__pte_region *region)
{
    qvk__fb_begin(fb);
    qvk__fb_set_u64(fb, PTE_SEGMENT_OFFSET, region->offset);
    qvk__fb_set_u64(fb, PTE_SEGMENT_SIZE, region->bytes);
    return qvk__fb_end(fb);
}

static qvk__fb_offset add_named(qvk__fb_writer *fb, const qvk__pte_named *named)
{
    qvk__fb_offset key = qvk__fb_add_string(fb, named->key);

    qvk__fb_begin(fb);
    qvk__fb_set_offset(fb, PTE_NAMED_DATA_KEY, key);
    qvk__fb_set_u32(fb, PTE_NAMED_DATA_SEGMENT, named->segment);
    return qvk__fb_end(fb);
}

/* Program.segments and Program.named_data. */
static qvk_status add_directories(const qvk__pte_writer *file, qvk__fb_writer *fb, qvk__fb_offset *segments,
                                  qvk__fb_offset *named, qvk_error *err)
{
    size_t most = QVK__MAX(file->segments.count, file->named.count), count = 0;
    qvk__fb_offset *items = qvk__alloc_zeroed(most, sizeof *items);

    QVK__CHECK(items, err, QVK_OUT_OF_MEMORY, "out of memory");
    for (size_t i = 0; i < file->segments.count; i++)
        items[i] = add_segment(fb, &file->segments.data[i]);
    *segments = qvk__fb_add_offsets(fb, items, file->segments.count);
    for (size_t i = 0; i < file->named.count; i++)
        if (!file->named.data[i].is_duplicate)
            items[count++] = add_named(fb, &file->named.data[i]);
    *named = qvk__fb_add_offsets(fb, items, count);
    free(items);
    return QVK_OK;
}

/* A delegate with an empty blob refers to inline data, which is one empty piece for all of them. */
static qvk__fb_offset add_inline_data(const qvk__pte_writer *file, qvk__fb_writer *fb)
{
    qvk__fb_offset item;

    for (size_t i = 0; i < file->blobs.count; i++) {
        if (file->blobs.data[i].bytes > 0)
            continue;
        item = add_wrapped(fb, qvk__fb_add_vector(fb, NULL, 0, 1, 16));
        return qvk__fb_add_offsets(fb, &item, 1);
    }
    return qvk__fb_add_offsets(fb, NULL, 0);
}

qvk_status qvk__pte_describe(const qvk__pte_writer *writer, qvk__fb_writer *fb, const uint8_t **data,
                             size_t *bytes, qvk_error *err)
{
    qvk__fb_offset plans = 0, segments = 0, named = 0, constants = 0, mutables = 0, inline_data, buffers;

    QVK__TRY(add_methods(writer, fb, &plans, err));
    QVK__TRY(add_directories(writer, fb, &segments, &named, err));
    QVK__TRY(add_subsegments(fb, 0, &writer->constants, &constants, err));
    if (writer->mutables.count > 0) {
        QVK__TRY(add_subsegments(fb, writer->mutable_segment, &writer->mutables, &mutables, err));
        mutables = qvk__fb_add_offsets(fb, &mutables, 1);
    }
    inline_data = add_inline_data(writer, fb);
    buffers = qvk__fb_add_offsets(fb, NULL, 0);
    qvk__fb_begin(fb);
    qvk__fb_set_u32(fb, PTE_PROGRAM_VERSION, writer->program->version);
    qvk__fb_set_offset(fb, PTE_PROGRAM_PLANS, plans);
    qvk__fb_set_offset(fb, PTE_PROGRAM_CONSTANT_BUFFER, buffers);
    qvk__fb_set_offset(fb, PTE_PROGRAM_INLINE_DATA, inline_data);
    qvk__fb_set_offset(fb, PTE_PROGRAM_SEGMENTS, segments);
    qvk__fb_set_offset(fb, PTE_PROGRAM_CONSTANT_SEGMENT, constants);
    qvk__fb_set_offset(fb, PTE_PROGRAM_MUTABLE_SEGMENTS, mutables);
    qvk__fb_set_offset(fb, PTE_PROGRAM_NAMED_DATA, named);
    return qvk__fb_finish(fb, qvk__fb_end(fb), qvk__pte_schema.identifier, data, bytes, err);
}
