/* Values of a Vulkan blob: tensors, symbols, constants, and scalars as arguments. */
#include "core/dtype.h"
#include "program/blob_reader.h"

#include <stdio.h>

/* ---- the table of constants ----------------------------------------------------------------------------------------- */

typedef struct constant_entry {
    const char *key;
    uint32_t index;
} constant_entry;

/* One per entry of VkGraph.constants, made when a tensor first uses it. */
typedef struct constant_table {
    qvk__fb_vector entries;
    uint32_t *first; /* the first entry with the same key: tied tensors share one qvk__constant */
    const qvk__constant **made;
    const qvk__lender *lender; /* of named data; NULL: it is borrowed */
} constant_table;

static int compare_entries(const void *a, const void *b)
{
    const constant_entry *x = a, *y = b;
    int order = strcmp(x->key, y->key);
    return order ? order : x->index < y->index ? -1 : 1;
}

static qvk_status find_equal_keys(constant_table *table, qvk_error *err)
{
    constant_entry *sorted = qvk__alloc_zeroed(table->entries.count, sizeof *sorted);
    uint32_t count = 0;

    QVK__CHECK(sorted, err, QVK_OUT_OF_MEMORY, "out of memory");
    for (uint32_t i = 0; i < table->entries.count; i++) {
        const char *key = qvk__fb_string(qvk__fb_child_at(table->entries, i), BLOB_BYTES_KEY);
        table->first[i] = i;
        if (key)
            sorted[count++] = (constant_entry){key, i};
    }
    qsort(sorted, count, sizeof *sorted, compare_entries);
    for (uint32_t i = 1; i < count; i++)
        if (strcmp(sorted[i].key, sorted[i - 1].key) == 0)
            table->first[sorted[i].index] = table->first[sorted[i - 1].index];
    free(sorted);
    return QVK_OK;
}

static void free_constant_table(constant_table *table)
{
    free(table->first);
    free(table->made);
}

/* ---- named data that is found each time ------------------------------------------------------------------ */

static void return_found(const qvk__constant *constant, const void *bytes)
{
    const qvk__data_source *named = constant->lender->context;
    named->release(named->user, constant->name, bytes);
}

/* What was found first has been checked; whoever keeps the data may have lost or changed it since. */
static qvk_status find_again(const qvk__constant *constant, const void **out, qvk_error *err)
{
    const qvk__data_source *named = constant->lender->context;
    const uint8_t *data;
    uint64_t bytes;

    QVK__CHECK(named->find(named->user, constant->name, &data, &bytes), err, QVK_NOT_FOUND,
               "the data named %s was there before and is gone", constant->name);
    if (bytes < constant->bytes || (uintptr_t)data % constant->element_bytes != 0) {
        return_found(constant, data);
        return qvk__fail(err, QVK_BAD_FORMAT, "the data named %s is not what it was before", constant->name);
    }
    *out = data;
    return QVK_OK;
}

static qvk_status make_lender(const qvk__blob_reader *reader, const qvk__lender **out, qvk_error *err)
{
    qvk__lender *lender;

    *out = NULL;
    if (!reader->named || !reader->named->release)
        return QVK_OK;
    lender = qvk__arena_alloc(&reader->graph->arena, 1, sizeof *lender);
    QVK__CHECK(lender, err, QVK_OUT_OF_MEMORY, "out of memory");
    *lender = (qvk__lender){find_again, return_found, reader->named};
    *out = lender;
    return QVK_OK;
}

/* ---- reading constants ---------------------------------------------------------------------------------- */

static qvk_status make_constant_table(const qvk__blob_reader *reader, constant_table *out, qvk_error *err)
{
    out->entries = qvk__fb_children(reader->root, BLOB_GRAPH_CONSTANTS);
    out->first = qvk__alloc_zeroed(out->entries.count, sizeof *out->first);
    out->made = qvk__alloc_zeroed(out->entries.count, sizeof *out->made);
    QVK__CHECK(out->first && out->made, err, QVK_OUT_OF_MEMORY, "out of memory");
    QVK__TRY(make_lender(reader, &out->lender, err));
    return find_equal_keys(out, err);
}

static bool is_named(qvk__fb_table entry)
{
    return qvk__fb_string(entry, BLOB_BYTES_KEY) && qvk__fb_u64(entry, BLOB_BYTES_OFFSET, 0) == UINT64_MAX;
}

/* Where the bytes of an entry lie: with the named data, or in the blob. */
static qvk_status find_bytes(const qvk__blob_reader *reader, qvk__fb_table entry, uint32_t index,
                             const uint8_t **data, uint64_t *bytes, qvk_error *err)
{
    uint64_t offset = qvk__fb_u64(entry, BLOB_BYTES_OFFSET, 0);
    const char *key = qvk__fb_string(entry, BLOB_BYTES_KEY);

    *bytes = qvk__fb_u64(entry, BLOB_BYTES_LENGTH, 0);
    if (is_named(entry)) {
        QVK__CHECK(reader->named && reader->named->find(reader->named->user, key, data, bytes), err,
                   QVK_NOT_FOUND, "no data named %s: if the program came with .ptd files, pass them", key);
        return QVK_OK;
    }
    QVK__CHECK(offset <= reader->constants_bytes && *bytes <= reader->constants_bytes - offset, err,
               QVK_BAD_FORMAT, "constant %u runs past the end of the blob", index);
    *data = reader->data + reader->constants_at + offset;
    return QVK_OK;
}

/* The tensor uses the bytes it needs: producers may have stored a bigger storage whole. */
static qvk_status check_bytes(const qvk_tensor *desc, uint32_t index, const uint8_t *data, uint64_t bytes,
                              qvk_error *err)
{
    const uint64_t needed = qvk_tensor_bytes(desc);

    QVK__CHECK(bytes >= needed, err, QVK_BAD_FORMAT, "constant %u: %s%s needs %llu bytes, the file has %llu",
               index, qvk_dtype_name(desc->dtype), qvk__shape_text(desc).text, (unsigned long long)needed,
               (unsigned long long)bytes);
    QVK__CHECK(needed == 0 || (uintptr_t)data % qvk_dtype_bytes(desc->dtype) == 0, err, QVK_BAD_FORMAT,
               "constant %u is not aligned to its element type", index);
    return QVK_OK;
}

static qvk_status read_constant(const qvk__blob_reader *reader, const constant_table *table, uint32_t index,
                                const qvk_tensor *desc, qvk__constant *out, qvk_error *err)
{
    static const uint64_t nothing[2];
    qvk__fb_table entry = qvk__fb_child_at(table->entries, index);
    const bool lent = table->lender && is_named(entry);
    const uint8_t *data;
    uint64_t bytes;
    qvk_status status;

    QVK__TRY(find_bytes(reader, entry, index, &data, &bytes, err));
    status = check_bytes(desc, index, data, bytes, err);
    out->bytes = qvk_tensor_bytes(desc);
    out->name = qvk__fb_string(entry, BLOB_BYTES_KEY);
    out->element_bytes = (uint32_t)qvk_dtype_bytes(desc->dtype);
    if (lent)
        reader->named->release(reader->named->user, out->name, data);
    if (out->bytes == 0)
        out->data = nothing;
    else if (lent)
        out->lender = table->lender;
    else
        out->data = data;
    return status;
}

/* The constant with the bytes of entry `index`. */
static qvk_status find_constant(const qvk__blob_reader *reader, constant_table *table, uint32_t index,
                                const qvk_tensor *desc, const qvk__constant **out, qvk_error *err)
{
    qvk__constant *constant;

    QVK__CHECK(index < table->entries.count, err, QVK_BAD_FORMAT, "constant %u of %u", index,
               table->entries.count);
    index = table->first[index];
    if (table->made[index] && table->made[index]->bytes == qvk_tensor_bytes(desc)) {
        *out = table->made[index];
        return QVK_OK;
    }
    constant = qvk__arena_alloc(&reader->graph->arena, 1, sizeof *constant);
    QVK__CHECK(constant, err, QVK_OUT_OF_MEMORY, "out of memory");
    QVK__TRY(read_constant(reader, table, index, desc, constant, err));
    table->made[index] = constant;
    *out = constant;
    return QVK_OK;
}

/* ---- tensors and symbols ------------------------------------------------------------------------------- */

static qvk_status read_desc(qvk__fb_table tensor, qvk_tensor *out, qvk_error *err)
{
    qvk__fb_vector dims = qvk__fb_children(tensor, BLOB_TENSOR_DIMS);
    int8_t code = qvk__fb_i8(tensor, BLOB_TENSOR_DATATYPE, 0);

    memset(out, 0, sizeof *out);
    out->dtype = qvk__dtype_from_code(code, QVK__DTYPE_BLOB);
    QVK__CHECK(out->dtype, err, QVK_BAD_FORMAT, "tensor of unknown datatype %d", code);
    QVK__CHECK(dims.count <= QVK_MAX_RANK, err, QVK_UNSUPPORTED, "tensor of rank %u; at most %d is supported",
               dims.count, QVK_MAX_RANK);
    out->rank = (int32_t)dims.count;
    for (uint32_t i = 0; i < dims.count; i++)
        out->sizes[i] = qvk__fb_u32_at(dims, i);
    QVK__CHECK(qvk_tensor_numel(out) == 0 || qvk_tensor_bytes(out) > 0, err, QVK_BAD_FORMAT,
               "tensor of impossible size %s", qvk__shape_text(out).text);
    return QVK_OK;
}

static uint16_t read_hint(qvk__fb_table tensor, int field)
{
    uint8_t tag = qvk__fb_u8(tensor, field, BLOB_DEFAULT_TAG);
    return tag == BLOB_DEFAULT_TAG ? 0 : (uint16_t)(tag + 1);
}

static qvk_status read_tensor(const qvk__blob_reader *reader, constant_table *constants, qvk__fb_table tensor,
                              int32_t id, qvk_error *err)
{
    qvk__value *value = &reader->graph->values.data[id];
    int32_t constant = qvk__fb_i32(tensor, BLOB_TENSOR_CONSTANT, 0);
    int32_t memory_object = qvk__fb_i32(tensor, BLOB_TENSOR_MEMORY_OBJECT, 0);
    int8_t staging = qvk__fb_i8(tensor, BLOB_TENSOR_STAGING, BLOB_STAGING_UNSET);

    if (staging != BLOB_STAGING_UNSET) {
        value->host_dtype = qvk__dtype_from_code(staging, QVK__DTYPE_BLOB);
        QVK__CHECK(value->host_dtype, err, QVK_BAD_FORMAT, "tensor of unknown staging datatype %d", staging);
        if (value->host_dtype == value->desc.dtype)
            value->host_dtype = QVK_DTYPE_NONE;
    }
    value->storage_hint = read_hint(tensor, BLOB_TENSOR_STORAGE_TYPE);
    value->layout_hint = read_hint(tensor, BLOB_TENSOR_MEMORY_LAYOUT);
    value->memory_hint = memory_object >= 0 ? (uint32_t)memory_object + 1 : 0;
    if (constant < 0)
        return QVK_OK;
    return find_constant(reader, constants, (uint32_t)constant, &value->desc, &value->constant, err);
}

/* A value of the graph for a tensor (or, desc NULL, a symbol), named after its place in the file. */
static qvk_status add_value(qvk__blob_reader *reader, uint32_t index, const qvk_tensor *desc, int32_t *id,
                            qvk_error *err)
{
    char name[16];

    snprintf(name, sizeof name, "v%u", index);
    *id = qvk__graph_add_value(reader->graph, name, desc);
    QVK__CHECK(*id >= 0, err, QVK_OUT_OF_MEMORY, "out of memory");
    reader->args[index] = qvk__arg_from_value(*id);
    return QVK_OK;
}

/* ---- lists --------------------------------------------------------------------------------------------- */

static qvk_status read_numbers(qvk__blob_reader *reader, qvk__fb_vector items, size_t width,
                               qvk__arg_kind kind, qvk__arg *out, qvk_error *err)
{
    void *copy = qvk__arena_memdup(&reader->graph->arena, items.at, items.count * width);

    QVK__CHECK(copy, err, QVK_OUT_OF_MEMORY, "out of memory");
    *out = (qvk__arg){.kind = kind, .count = items.count};
    if (kind == QVK__ARG_INTS)
        out->u.ints = copy;
    else
        out->u.floats = copy;
    return QVK_OK;
}

static qvk_status read_bools(qvk__blob_reader *reader, qvk__fb_vector items, qvk__arg *out, qvk_error *err)
{
    bool *bools = qvk__arena_alloc(&reader->graph->arena, items.count, sizeof *bools);

    QVK__CHECK(bools, err, QVK_OUT_OF_MEMORY, "out of memory");
    for (uint32_t i = 0; i < items.count; i++)
        bools[i] = items.at[i] != 0;
    *out = (qvk__arg){.kind = QVK__ARG_BOOLS, .count = items.count, .u.bools = bools};
    return QVK_OK;
}

static uint8_t tag_of(const qvk__blob_reader *reader, int32_t id)
{
    qvk__fb_vector values = qvk__fb_children(reader->root, BLOB_GRAPH_VALUES);
    return qvk__fb_u8(qvk__fb_child_at(values, (uint32_t)id), BLOB_VALUE_VALUE_TAG, 0);
}

/* ValueList: its items must be no lists themselves; they may stand anywhere in the file, so this is a second
 * pass. */
static qvk_status read_value_list(qvk__blob_reader *reader, qvk__fb_table list, qvk__arg *out, qvk_error *err)
{
    qvk__fb_vector items = qvk__fb_children(list, BLOB_VALUE_LIST_ITEMS);
    qvk__arg *args = qvk__arena_alloc(&reader->graph->arena, items.count, sizeof *args);

    QVK__CHECK(args, err, QVK_OUT_OF_MEMORY, "out of memory");
    for (uint32_t i = 0; i < items.count; i++) {
        int32_t id = qvk__fb_i32_at(items, i);
        QVK__CHECK(id >= 0 && (uint32_t)id < reader->n_args, err, QVK_BAD_FORMAT,
                   "list item %u: value %d of %u", i, id, reader->n_args);
        QVK__CHECK(tag_of(reader, id) != BLOB_VALUE_TAG(VALUE_LIST), err, QVK_BAD_FORMAT,
                   "list item %u is a list", i);
        args[i] = reader->args[id];
    }
    *out = (qvk__arg){.kind = QVK__ARG_LIST, .count = items.count, .u.list = args};
    return QVK_OK;
}

/* ---- all values ---------------------------------------------------------------------------------------- */

static qvk_status read_value(qvk__blob_reader *reader, constant_table *constants, uint32_t index, uint8_t tag,
                             qvk__fb_table value, qvk_error *err)
{
    qvk__arg *arg = &reader->args[index];
    qvk_tensor desc;
    int32_t id;

    switch (tag) {
    case BLOB_VALUE_TAG(INT): *arg = qvk__arg_from_int(qvk__fb_i64(value, BLOB_INT_VALUE, 0)); break;
    case BLOB_VALUE_TAG(DOUBLE): *arg = qvk__arg_from_float(qvk__fb_f64(value, BLOB_DOUBLE_VALUE, 0)); break;
    case BLOB_VALUE_TAG(BOOL): *arg = qvk__arg_from_bool(qvk__fb_u8(value, BLOB_BOOL_VALUE, 0) != 0); break;
    case BLOB_VALUE_TAG(TENSOR):
        QVK__TRY(read_desc(value, &desc, err));
        QVK__TRY(add_value(reader, index, &desc, &id, err));
        return read_tensor(reader, constants, value, id, err);
    case BLOB_VALUE_TAG(SYM_INT):
        QVK__TRY(add_value(reader, index, NULL, &id, err));
        reader->graph->values.data[id].symbol_value = qvk__fb_i32(value, BLOB_SYM_INT_VALUE, 0);
        break;
    case BLOB_VALUE_TAG(INT_LIST):
        return read_numbers(reader, qvk__fb_children(value, BLOB_INT_LIST_ITEMS), 8, QVK__ARG_INTS, arg, err);
    case BLOB_VALUE_TAG(DOUBLE_LIST):
        return read_numbers(reader, qvk__fb_children(value, BLOB_DOUBLE_LIST_ITEMS), 8, QVK__ARG_FLOATS, arg,
                            err);
    case BLOB_VALUE_TAG(BOOL_LIST):
        return read_bools(reader, qvk__fb_children(value, BLOB_BOOL_LIST_ITEMS), arg, err);
    case BLOB_VALUE_TAG(STRING):
        *arg = (qvk__arg){.kind = QVK__ARG_STRING, .u.s = qvk__fb_string(value, BLOB_STRING_VALUE)};
        QVK__CHECK(arg->u.s, err, QVK_BAD_FORMAT, "string without text");
        break;
    default: break; /* Null, and lists, which wait for the second pass */
    }
    return QVK_OK;
}

/* Runs over all values; lists of values are read in the second pass, when what they refer to is known. */
static qvk_status read_pass(qvk__blob_reader *reader, constant_table *constants, bool lists, qvk_error *err)
{
    qvk__fb_vector values = qvk__fb_children(reader->root, BLOB_GRAPH_VALUES);

    for (uint32_t i = 0; i < values.count; i++) {
        qvk__fb_table entry = qvk__fb_child_at(values, i), value;
        uint8_t tag = qvk__fb_u8(entry, BLOB_VALUE_VALUE_TAG, 0);
        qvk_status status = QVK_OK;

        if (tag == 0)
            continue;
        QVK__CHECK(tag <= BLOB_VALUE_TAG(SYM_INT), err, QVK_BAD_VERSION, "value %u is of unknown kind %u", i,
                   tag);
        value = qvk__fb_child(entry, BLOB_VALUE_VALUE);
        QVK__CHECK(value.at, err, QVK_BAD_FORMAT, "value %u has no content", i);
        if (lists && tag == BLOB_VALUE_TAG(VALUE_LIST))
            status = read_value_list(reader, value, &reader->args[i], err);
        else if (!lists)
            status = read_value(reader, constants, i, tag, value, err);
        if (status != QVK_OK)
            return qvk__error_context(err, status, "value %u", i);
    }
    return QVK_OK;
}

qvk_status qvk__blob_read_values(qvk__blob_reader *reader, qvk_error *err)
{
    qvk__fb_vector values = qvk__fb_children(reader->root, BLOB_GRAPH_VALUES);
    constant_table constants = {0};
    qvk_status status = QVK_OK;

    reader->args = qvk__alloc_zeroed(values.count, sizeof *reader->args);
    reader->n_args = values.count;
    QVK__CHECK(reader->args, err, QVK_OUT_OF_MEMORY, "out of memory");
    QVK__TRY_GO(make_constant_table(reader, &constants, err));
    QVK__TRY_GO(read_pass(reader, &constants, false, err));
    QVK__TRY_GO(read_pass(reader, &constants, true, err));
done:
    free_constant_table(&constants);
    return status;
}
