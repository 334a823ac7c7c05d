#include "blob_builder.h"

static int32_t add_value(blob_builder *builder, uint8_t tag, qvk__fb_offset content)
{
    qvk__fb_begin(&builder->fb);
    qvk__fb_set_u8(&builder->fb, BLOB_VALUE_VALUE_TAG, tag);
    qvk__fb_set_offset(&builder->fb, BLOB_VALUE_VALUE, content);
    assert_true(QVK__VEC_PUSH(&builder->values, qvk__fb_end(&builder->fb)));
    return (int32_t)builder->values.count - 1;
}

/* A table whose only field is a vector or a string. */
static int32_t add_wrapped(blob_builder *builder, uint8_t tag, qvk__fb_offset content)
{
    qvk__fb_begin(&builder->fb);
    qvk__fb_set_offset(&builder->fb, 0, content);
    return add_value(builder, tag, qvk__fb_end(&builder->fb));
}

int32_t blob_add_null(blob_builder *builder)
{
    return add_wrapped(builder, BLOB_VALUE_TAG(NULL_VALUE), 0);
}

int32_t blob_add_int(blob_builder *builder, int64_t value)
{
    qvk__fb_begin(&builder->fb);
    qvk__fb_set_i64(&builder->fb, BLOB_INT_VALUE, value);
    return add_value(builder, BLOB_VALUE_TAG(INT), qvk__fb_end(&builder->fb));
}

int32_t blob_add_double(blob_builder *builder, double value)
{
    qvk__fb_begin(&builder->fb);
    qvk__fb_set_f64(&builder->fb, BLOB_DOUBLE_VALUE, value);
    return add_value(builder, BLOB_VALUE_TAG(DOUBLE), qvk__fb_end(&builder->fb));
}

int32_t blob_add_bool(blob_builder *builder, bool value)
{
    qvk__fb_begin(&builder->fb);
    qvk__fb_set_u8(&builder->fb, BLOB_BOOL_VALUE, value);
    return add_value(builder, BLOB_VALUE_TAG(BOOL), qvk__fb_end(&builder->fb));
}

int32_t blob_add_string(blob_builder *builder, const char *text)
{
    return add_wrapped(builder, BLOB_VALUE_TAG(STRING), qvk__fb_add_string(&builder->fb, text));
}

int32_t blob_add_symbol(blob_builder *builder, int32_t value)
{
    qvk__fb_begin(&builder->fb);
    qvk__fb_set_i32(&builder->fb, BLOB_SYM_INT_VALUE, value);
    return add_value(builder, BLOB_VALUE_TAG(SYM_INT), qvk__fb_end(&builder->fb));
}

int32_t blob_add_ints(blob_builder *builder, const int64_t *items, size_t count)
{
    return add_wrapped(builder, BLOB_VALUE_TAG(INT_LIST),
                       qvk__fb_add_vector(&builder->fb, items, count, 8, 8));
}

int32_t blob_add_doubles(blob_builder *builder, const double *items, size_t count)
{
    return add_wrapped(builder, BLOB_VALUE_TAG(DOUBLE_LIST),
                       qvk__fb_add_vector(&builder->fb, items, count, 8, 8));
}

int32_t blob_add_bools(blob_builder *builder, const uint8_t *items, size_t count)
{
    return add_wrapped(builder, BLOB_VALUE_TAG(BOOL_LIST),
                       qvk__fb_add_vector(&builder->fb, items, count, 1, 1));
}

int32_t blob_add_list(blob_builder *builder, const int32_t *ids, size_t count)
{
    return add_wrapped(builder, BLOB_VALUE_TAG(VALUE_LIST),
                       qvk__fb_add_vector(&builder->fb, ids, count, 4, 4));
}

int32_t blob_add_tensor(blob_builder *builder, const uint32_t *dims, size_t rank, int32_t constant)
{
    qvk__fb_offset dims_at = qvk__fb_add_vector(&builder->fb, dims, rank, 4, 4);

    qvk__fb_begin(&builder->fb);
    qvk__fb_set_i8(&builder->fb, BLOB_TENSOR_DATATYPE, 5);
    qvk__fb_set_offset(&builder->fb, BLOB_TENSOR_DIMS, dims_at);
    qvk__fb_set_i32(&builder->fb, BLOB_TENSOR_CONSTANT, constant);
    qvk__fb_set_i32(&builder->fb, BLOB_TENSOR_MEMORY_OBJECT, -1);
    return add_value(builder, BLOB_VALUE_TAG(TENSOR), qvk__fb_end(&builder->fb));
}

int32_t blob_add_constant(blob_builder *builder, uint64_t offset, uint64_t length, const char *key)
{
    qvk__fb_offset key_at = qvk__fb_add_string(&builder->fb, key);

    qvk__fb_begin(&builder->fb);
    qvk__fb_set_u64(&builder->fb, BLOB_BYTES_OFFSET, key ? UINT64_MAX : offset);
    qvk__fb_set_u64(&builder->fb, BLOB_BYTES_LENGTH, length);
    qvk__fb_set_offset(&builder->fb, BLOB_BYTES_KEY, key_at);
    assert_true(QVK__VEC_PUSH(&builder->constants, qvk__fb_end(&builder->fb)));
    return (int32_t)builder->constants.count - 1;
}

void blob_add_call(blob_builder *builder, const char *name, const int32_t *ids, size_t count)
{
    qvk__fb_offset name_at = qvk__fb_add_string(&builder->fb, name);
    qvk__fb_offset args = qvk__fb_add_vector(&builder->fb, ids, count, 4, 4);

    qvk__fb_begin(&builder->fb);
    qvk__fb_set_offset(&builder->fb, BLOB_CALL_NAME, name_at);
    qvk__fb_set_offset(&builder->fb, BLOB_CALL_ARGS, args);
    assert_true(QVK__VEC_PUSH(&builder->calls, qvk__fb_end(&builder->fb)));
}

static qvk__fb_offset finish_graph(blob_builder *builder)
{
    qvk__fb_writer *fb = &builder->fb;
    qvk__fb_offset chain = qvk__fb_add_offsets(fb, builder->calls.data, builder->calls.count);
    qvk__fb_offset values = qvk__fb_add_offsets(fb, builder->values.data, builder->values.count);
    qvk__fb_offset constants = qvk__fb_add_offsets(fb, builder->constants.data, builder->constants.count);
    qvk__fb_offset inputs = qvk__fb_add_vector(fb, builder->inputs.data, builder->inputs.count, 4, 4);
    qvk__fb_offset outputs = qvk__fb_add_vector(fb, builder->outputs.data, builder->outputs.count, 4, 4);

    qvk__fb_begin(fb);
    qvk__fb_set_offset(fb, BLOB_GRAPH_CHAIN, chain);
    qvk__fb_set_offset(fb, BLOB_GRAPH_VALUES, values);
    qvk__fb_set_offset(fb, BLOB_GRAPH_CONSTANTS, constants);
    qvk__fb_set_offset(fb, BLOB_GRAPH_INPUTS, inputs);
    qvk__fb_set_offset(fb, BLOB_GRAPH_OUTPUTS, outputs);
    return qvk__fb_end(fb);
}

uint8_t *blob_finish(blob_builder *builder, uint64_t *bytes)
{
    const uint16_t header = 30;
    const uint32_t start = 32;
    uint32_t flatbuffer_bytes, constants_at;
    uint64_t constants_bytes = builder->bytes.count;
    const uint8_t *data = NULL;
    size_t n = 0;
    uint8_t *blob;

    assert_int_equal(qvk__fb_finish(&builder->fb, finish_graph(builder), "VK00", &data, &n, NULL), QVK_OK);
    flatbuffer_bytes = (uint32_t)n;
    constants_at = start + (uint32_t)qvk__round_up(n, 16);
    *bytes = constants_at + constants_bytes;
    blob = calloc(1, (size_t)*bytes);
    assert_non_null(blob);
    memcpy(blob + 4, "VH00", 4);
    memcpy(blob + 8, &header, 2);
    memcpy(blob + 10, &start, 4);
    memcpy(blob + 14, &flatbuffer_bytes, 4);
    memcpy(blob + 18, &constants_at, 4);
    memcpy(blob + 22, &constants_bytes, 8);
    memcpy(blob + start, data, n);
    if (constants_bytes > 0)
        memcpy(blob + constants_at, builder->bytes.data, (size_t)constants_bytes);
    qvk__fb_writer_free(&builder->fb);
    free(builder->values.data);
    free(builder->calls.data);
    free(builder->constants.data);
    free(builder->inputs.data);
    free(builder->outputs.data);
    free(builder->bytes.data);
    memset(builder, 0, sizeof *builder);
    return blob;
}
