/* EValues of a method: scalars, lists, tensors and where their data lies. */
#include "core/dtype.h"
#include "program/pte_reader.h"

/* Reordered constants may take this many times the file: real programs reorder each constant once. */
enum { REORDER_LIMIT = 2 };

/* ---- shape --------------------------------------------------------------------------------------------- */

static qvk_status read_dim_order(qvk__fb_table tensor, qvk__evalue *out, qvk_error *err)
{
    qvk__fb_vector order = qvk__fb_children(tensor, PTE_TENSOR_DIM_ORDER);
    unsigned seen = 0;

    for (int i = 0; i < out->desc.rank; i++)
        out->dim_order[i] = (uint8_t)i;
    if (order.count == 0)
        return QVK_OK;
    QVK__CHECK(order.count == (uint32_t)out->desc.rank, err, QVK_BAD_FORMAT,
               "dim_order of %u entries, rank %d", order.count, out->desc.rank);
    for (uint32_t i = 0; i < order.count; i++) {
        uint8_t dim = order.at[i];
        QVK__CHECK(dim < order.count && !(seen & 1u << dim), err, QVK_BAD_FORMAT,
                   "dim_order is no permutation of the dimensions");
        seen |= 1u << dim;
        out->dim_order[i] = dim;
    }
    return QVK_OK;
}

static qvk_status read_shape(qvk__fb_table tensor, qvk__evalue *out, qvk_error *err)
{
    qvk__fb_vector sizes = qvk__fb_children(tensor, PTE_TENSOR_SIZES);
    int8_t code = qvk__fb_i8(tensor, PTE_TENSOR_SCALAR_TYPE, 0);
    int8_t dynamism = qvk__fb_i8(tensor, PTE_TENSOR_DYNAMISM, PTE_STATIC);

    out->desc.dtype = qvk__dtype_from_code(code, QVK__DTYPE_PTE);
    QVK__CHECK(out->desc.dtype, err, QVK_UNSUPPORTED, "tensor with ScalarType %d, which qvk does not have",
               code);
    QVK__CHECK(sizes.count <= QVK_MAX_RANK, err, QVK_UNSUPPORTED,
               "tensor of rank %u; at most %d is supported", sizes.count, QVK_MAX_RANK);
    QVK__CHECK(dynamism != PTE_DYNAMIC_UNBOUND, err, QVK_UNSUPPORTED,
               "tensor without an upper bound; export with bounded dynamic shapes");
    QVK__CHECK(dynamism == PTE_STATIC || dynamism == PTE_DYNAMIC_BOUND, err, QVK_BAD_FORMAT,
               "shape_dynamism %d", dynamism);
    QVK__CHECK(qvk__fb_i32(tensor, PTE_TENSOR_STORAGE_OFFSET, 0) == 0, err, QVK_BAD_FORMAT,
               "tensor with a storage offset");
    out->dynamic = dynamism == PTE_DYNAMIC_BOUND;
    out->desc.rank = (int32_t)sizes.count;
    for (uint32_t i = 0; i < sizes.count; i++)
        out->desc.sizes[i] = qvk__fb_i32_at(sizes, i);
    QVK__CHECK(qvk_tensor_numel(&out->desc) == 0 || qvk_tensor_bytes(&out->desc) > 0, err, QVK_BAD_FORMAT,
               "tensor of impossible size %s", qvk__shape_text(&out->desc).text);
    out->constant_bytes = 0;
    return read_dim_order(tensor, out, err);
}

/* ---- data ---------------------------------------------------------------------------------------------- */

/* Bytes that start at the index-th offset of a segment. */
static qvk_status find_in_segment(const qvk__pte_reader *reader, qvk__fb_table subsegments, uint32_t index,
                                  qvk__span *out, qvk_error *err)
{
    qvk__fb_vector offsets = qvk__fb_children(subsegments, PTE_SUBSEGMENTS_OFFSETS);
    uint64_t offset;

    QVK__CHECK(index < offsets.count, err, QVK_BAD_FORMAT, "constant %u of %u", index, offsets.count);
    QVK__TRY(qvk__pte_segment(reader, qvk__fb_u32(subsegments, PTE_SUBSEGMENTS_SEGMENT, 0), out, err));
    offset = qvk__fb_u64_at(offsets, index);
    QVK__CHECK(offset <= out->bytes, err, QVK_BAD_FORMAT, "constant %u starts past the end of its segment",
               index);
    out->data += offset;
    out->bytes -= offset;
    return QVK_OK;
}

/* Files before September 2024 keep constants inside the FlatBuffer. */
static qvk_status find_inline(const qvk__pte_reader *reader, uint32_t index, qvk__span *out, qvk_error *err)
{
    qvk__fb_vector buffers = qvk__fb_children(reader->root, PTE_PROGRAM_CONSTANT_BUFFER);
    qvk__fb_vector storage;

    QVK__CHECK(index < buffers.count, err, QVK_BAD_FORMAT, "constant %u of %u", index, buffers.count);
    storage = qvk__fb_children(qvk__fb_child_at(buffers, index), PTE_BUFFER_STORAGE);
    *out = (qvk__span){storage.at, storage.count};
    return QVK_OK;
}

static qvk_status find_mutable(const qvk__pte_reader *reader, qvk__fb_table extra, uint32_t index,
                               qvk__span *out, qvk_error *err)
{
    qvk__fb_vector segments = qvk__fb_children(reader->root, PTE_PROGRAM_MUTABLE_SEGMENTS);
    uint64_t which = qvk__fb_u64(extra, PTE_EXTRA_MUTABLE_SEGMENT, 0);

    QVK__CHECK(which < segments.count, err, QVK_BAD_FORMAT, "mutable data segment %llu of %u",
               (unsigned long long)which, segments.count);
    return find_in_segment(reader, qvk__fb_child_at(segments, (uint32_t)which), index, out, err);
}

static qvk_status find_external(const qvk__pte_reader *reader, qvk__evalue *value, qvk__span *out,
                                qvk_error *err)
{
    const qvk__named_data *named;

    QVK__CHECK(value->external_name, err, QVK_BAD_FORMAT, "external tensor without a name");
    named = qvk__program_find(reader->program, value->external_name);
    QVK__CHECK(named, err, QVK_NOT_FOUND,
               "data of %s is not in this file: pass the .ptd it was exported with", value->external_name);
    *out = (qvk__span){named->data, named->bytes};
    return QVK_OK;
}

/* Where the bytes of a tensor start; NULL data when it has none. */
static qvk_status find_data(const qvk__pte_reader *reader, qvk__fb_table tensor, qvk__evalue *value,
                            qvk__span *out, qvk_error *err)
{
    qvk__fb_table extra = qvk__fb_child(tensor, PTE_TENSOR_EXTRA);
    qvk__fb_table constants = qvk__fb_child(reader->root, PTE_PROGRAM_CONSTANT_SEGMENT);
    uint32_t index = qvk__fb_u32(tensor, PTE_TENSOR_DATA, 0);

    *out = (qvk__span){NULL, 0};
    if (qvk__fb_u8(extra, PTE_EXTRA_LOCATION, PTE_TENSOR_IN_SEGMENT) == PTE_TENSOR_EXTERNAL) {
        value->external_name = qvk__fb_string(extra, PTE_EXTRA_NAME);
        return find_external(reader, value, out, err);
    }
    if (index == 0)
        return QVK_OK;
    if (value->planned)
        return find_mutable(reader, extra, index, out, err);
    if (qvk__fb_children(constants, PTE_SUBSEGMENTS_OFFSETS).count > 0)
        return find_in_segment(reader, constants, index, out, err);
    return find_inline(reader, index, out, err);
}

/* Brings bytes stored in another order of dimensions into C order. */
static qvk_status reorder(qvk__pte_reader *reader, qvk__evalue *value, const uint8_t *from, qvk_error *err)
{
    void *to;

    reader->reordered_bytes += value->constant_bytes;
    QVK__CHECK(reader->reordered_bytes <= REORDER_LIMIT * reader->bytes, err, QVK_BAD_FORMAT,
               "the same constants are reordered over and over");
    to = qvk__arena_alloc(&reader->program->arena, value->constant_bytes, 1);
    QVK__CHECK(to, err, QVK_OUT_OF_MEMORY, "%llu bytes to reorder a constant",
               (unsigned long long)value->constant_bytes);
    value->constant = to;
    return qvk__reorder_from_file(&value->desc, value->dim_order, from, to, err);
}

static qvk_status read_data(qvk__pte_reader *reader, qvk__fb_table tensor, qvk__evalue *value, qvk_error *err)
{
    static const uint64_t nothing[2];
    uint64_t needed = qvk_tensor_bytes(&value->desc);
    qvk__span span;

    QVK__TRY(find_data(reader, tensor, value, &span, err));
    if (!span.data && !value->external_name && qvk__fb_u32(tensor, PTE_TENSOR_DATA, 0) == 0)
        return QVK_OK;
    QVK__CHECK(needed <= span.bytes, err, QVK_BAD_FORMAT, "%s%s needs %llu bytes, the file has %llu for it",
               qvk_dtype_name(value->desc.dtype), qvk__shape_text(&value->desc).text,
               (unsigned long long)needed, (unsigned long long)span.bytes);
    value->constant_bytes = needed;
    if (needed == 0) {
        value->constant = nothing;
        return QVK_OK;
    }
    if (!qvk__dim_order_is_identity(&value->desc, value->dim_order))
        return reorder(reader, value, span.data, err);
    QVK__CHECK(value->planned || (uintptr_t)span.data % qvk_dtype_bytes(value->desc.dtype) == 0, err,
               QVK_BAD_FORMAT, "constant is not aligned to its element type");
    value->constant = span.data;
    return QVK_OK;
}

static qvk_status read_tensor(qvk__pte_reader *reader, qvk__fb_table tensor, qvk__evalue *out, qvk_error *err)
{
    qvk__fb_table allocation = qvk__fb_child(tensor, PTE_TENSOR_ALLOCATION);

    out->kind = QVK__EVALUE_TENSOR;
    QVK__TRY(read_shape(tensor, out, err));
    out->planned = allocation.at != NULL;
    out->memory_id = qvk__fb_u32(allocation, PTE_ALLOCATION_MEMORY_ID, 0);
    out->memory_offset = (uint64_t)qvk__fb_u32(allocation, PTE_ALLOCATION_OFFSET_HIGH, 0) << 32 |
                         qvk__fb_u32(allocation, PTE_ALLOCATION_OFFSET_LOW, 0);
    return read_data(reader, tensor, out, err);
}

/* ---- lists --------------------------------------------------------------------------------------------- */

/* IntList: 64-bit numbers that are value ids. */
static qvk_status read_int_list(qvk__pte_reader *reader, qvk__fb_table list, qvk__evalue *out, qvk_error *err)
{
    qvk__fb_vector items = qvk__fb_children(list, PTE_INT_LIST_ITEMS);
    int32_t *ids = qvk__arena_alloc(&reader->program->arena, items.count, sizeof *ids);

    QVK__CHECK(ids, err, QVK_OUT_OF_MEMORY, "out of memory");
    for (uint32_t i = 0; i < items.count; i++) {
        int64_t id = qvk__fb_i64_at(items, i);
        QVK__CHECK(id >= 0 && id <= INT32_MAX, err, QVK_BAD_FORMAT, "IntList item %u is no value id", i);
        ids[i] = (int32_t)id;
    }
    *out = (qvk__evalue){.kind = QVK__EVALUE_INT_LIST, .count = items.count, .ids = ids};
    return QVK_OK;
}

static qvk_status read_double_list(qvk__pte_reader *reader, qvk__fb_table list, qvk__evalue *out,
                                   qvk_error *err)
{
    qvk__fb_vector items = qvk__fb_children(list, PTE_DOUBLE_LIST_ITEMS);

    out->kind = QVK__EVALUE_DOUBLE_LIST;
    out->count = items.count;
    out->doubles = qvk__arena_memdup(&reader->program->arena, items.at, (size_t)items.count * sizeof(double));
    QVK__CHECK(out->doubles, err, QVK_OUT_OF_MEMORY, "out of memory");
    return QVK_OK;
}

static qvk_status read_bool_list(qvk__pte_reader *reader, qvk__fb_table list, qvk__evalue *out,
                                 qvk_error *err)
{
    qvk__fb_vector items = qvk__fb_children(list, PTE_BOOL_LIST_ITEMS);
    bool *bools = qvk__arena_alloc(&reader->program->arena, items.count, sizeof *bools);

    QVK__CHECK(bools, err, QVK_OUT_OF_MEMORY, "out of memory");
    for (uint32_t i = 0; i < items.count; i++)
        bools[i] = items.at[i] != 0;
    *out = (qvk__evalue){.kind = QVK__EVALUE_BOOL_LIST, .count = items.count, .bools = bools};
    return QVK_OK;
}

/* ---- values -------------------------------------------------------------------------------------------- */

static qvk_status read_value(qvk__pte_reader *reader, qvk__fb_table entry, qvk__evalue *out, qvk_error *err)
{
    uint8_t tag = qvk__fb_u8(entry, PTE_EVALUE_VAL_TAG, 0);
    qvk__fb_table value;

    if (tag == 0)
        return QVK_OK; /* reads as Null */
    QVK__CHECK(tag <= PTE_VALUE_TAG(OPTIONAL_TENSOR_LIST), err, QVK_BAD_VERSION, "value of unknown kind %u",
               tag);
    value = qvk__fb_child(entry, PTE_EVALUE_VAL);
    QVK__CHECK(value.at, err, QVK_BAD_FORMAT, "value of kind %u without content", tag);
    switch (tag) {
    case PTE_VALUE_TAG(INT):
        *out = (qvk__evalue){.kind = QVK__EVALUE_INT, .int_value = qvk__fb_i64(value, PTE_INT_VALUE, 0)};
        break;
    case PTE_VALUE_TAG(BOOL):
        *out =
            (qvk__evalue){.kind = QVK__EVALUE_BOOL, .int_value = qvk__fb_u8(value, PTE_BOOL_VALUE, 0) != 0};
        break;
    case PTE_VALUE_TAG(DOUBLE):
        *out = (qvk__evalue){.kind = QVK__EVALUE_DOUBLE,
                             .double_value = qvk__fb_f64(value, PTE_DOUBLE_VALUE, 0)};
        break;
    case PTE_VALUE_TAG(TENSOR): return read_tensor(reader, value, out, err);
    case PTE_VALUE_TAG(STRING):
        *out = (qvk__evalue){.kind = QVK__EVALUE_STRING, .string = qvk__fb_string(value, PTE_STRING_VALUE)};
        QVK__CHECK(out->string, err, QVK_BAD_FORMAT, "string without text");
        break;
    case PTE_VALUE_TAG(INT_LIST): return read_int_list(reader, value, out, err);
    case PTE_VALUE_TAG(DOUBLE_LIST): return read_double_list(reader, value, out, err);
    case PTE_VALUE_TAG(BOOL_LIST): return read_bool_list(reader, value, out, err);
    case PTE_VALUE_TAG(TENSOR_LIST):
        out->kind = QVK__EVALUE_TENSOR_LIST;
        return qvk__pte_read_ids(reader, value, PTE_TENSOR_LIST_ITEMS, &out->ids, &out->count, err);
    case PTE_VALUE_TAG(OPTIONAL_TENSOR_LIST):
        out->kind = QVK__EVALUE_OPTIONAL_TENSOR_LIST;
        return qvk__pte_read_ids(reader, value, PTE_OPTIONAL_TENSOR_LIST_ITEMS, &out->ids, &out->count, err);
    default: break; /* Null */
    }
    return QVK_OK;
}

qvk_status qvk__pte_read_values(qvk__pte_reader *reader, qvk__fb_table plan, qvk__method *out, qvk_error *err)
{
    qvk__fb_vector values = qvk__fb_children(plan, PTE_PLAN_VALUES);

    QVK__CHECK(values.count <= INT32_MAX, err, QVK_BAD_FORMAT, "%u values", values.count);
    out->values = qvk__arena_alloc(&reader->program->arena, values.count, sizeof *out->values);
    QVK__CHECK(out->values, err, QVK_OUT_OF_MEMORY, "out of memory");
    out->n_values = values.count;
    for (uint32_t i = 0; i < values.count; i++) {
        qvk_status status = read_value(reader, qvk__fb_child_at(values, i), &out->values[i], err);
        if (status != QVK_OK)
            return qvk__error_context(err, status, "value %u", i);
    }
    return QVK_OK;
}
