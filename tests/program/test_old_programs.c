/*
 * Programs as ExecuTorch wrote them before segments: no extended header, constants and delegates inside the
 * FlatBuffer. Made by hand, since no exporter of today writes them; also what such a file must not contain.
 */
#include "blob_builder.h"
#include "program_compare.h"

static const float weights[4] = {1, 2, 3, 4};
static const int32_t four[1] = {4};

/* What a test may spoil. */
typedef struct old_program {
    qvk__fb_writer fb;
    uint32_t constant;      /* data_buffer_idx of the constant */
    size_t constant_bytes;  /* stored */
    int8_t scalar_type;     /* of the constant */
    uint8_t dim;            /* its dim_order */
    int8_t dynamism;        /* of the input */
    int32_t storage_offset; /* of the input */
    int32_t list_item;      /* what the IntList refers to */
    int32_t jump;           /* destination of the jump */
    int32_t argument;       /* an argument of the delegate call */
    uint32_t memory;        /* memory_id of the output */
    uint32_t place;         /* its offset */
    uint32_t version;
} old_program;

static old_program sound_program(void)
{
    return (old_program){.constant = 1,
                         .constant_bytes = sizeof weights,
                         .scalar_type = 6,
                         .list_item = 3,
                         .jump = 2,
                         .argument = 2,
                         .memory = 1};
}

static qvk__fb_offset add_tensor(old_program *old, int8_t scalar_type, uint8_t dim, uint32_t data,
                                 int8_t dynamism, int32_t storage_offset, bool planned)
{
    qvk__fb_writer *fb = &old->fb;
    qvk__fb_offset sizes = qvk__fb_add_vector(fb, four, 1, 4, 4),
                   order = qvk__fb_add_vector(fb, &dim, 1, 1, 1);
    qvk__fb_offset allocation = 0;

    if (planned) {
        qvk__fb_begin(fb);
        qvk__fb_set_u32(fb, PTE_ALLOCATION_MEMORY_ID, old->memory);
        qvk__fb_set_u32(fb, PTE_ALLOCATION_OFFSET_LOW, old->place);
        allocation = qvk__fb_end(fb);
    }
    qvk__fb_begin(fb);
    qvk__fb_set_i8(fb, PTE_TENSOR_SCALAR_TYPE, scalar_type);
    qvk__fb_set_i32(fb, PTE_TENSOR_STORAGE_OFFSET, storage_offset);
    qvk__fb_set_offset(fb, PTE_TENSOR_SIZES, sizes);
    qvk__fb_set_offset(fb, PTE_TENSOR_DIM_ORDER, order);
    qvk__fb_set_u32(fb, PTE_TENSOR_DATA, data);
    qvk__fb_set_offset(fb, PTE_TENSOR_ALLOCATION, allocation);
    qvk__fb_set_i8(fb, PTE_TENSOR_DYNAMISM, dynamism);
    return qvk__fb_end(fb);
}

static qvk__fb_offset add_pair(qvk__fb_writer *fb, uint8_t tag, qvk__fb_offset content)
{
    qvk__fb_begin(fb);
    qvk__fb_set_u8(fb, 0, tag);
    qvk__fb_set_offset(fb, 1, content);
    return qvk__fb_end(fb);
}

/* 0: constant; 1: input; 2: output; 3: Int 7; 4: IntList [3]; 5: Bool false; 6: DoubleList; 7: String. */
static qvk__fb_offset add_values(old_program *old)
{
    qvk__fb_writer *fb = &old->fb;
    const int64_t item = old->list_item;
    const double half = 0.5;
    qvk__fb_offset values[8], content;

    values[0] = add_pair(fb, PTE_VALUE_TAG(TENSOR),
                         add_tensor(old, old->scalar_type, old->dim, old->constant, PTE_STATIC, 0, false));
    values[1] = add_pair(fb, PTE_VALUE_TAG(TENSOR),
                         add_tensor(old, 6, 0, 0, old->dynamism, old->storage_offset, false));
    values[2] = add_pair(fb, PTE_VALUE_TAG(TENSOR), add_tensor(old, 6, 0, 0, PTE_STATIC, 0, true));
    qvk__fb_begin(fb);
    qvk__fb_set_i64(fb, PTE_INT_VALUE, 7);
    values[3] = add_pair(fb, PTE_VALUE_TAG(INT), qvk__fb_end(fb));
    content = qvk__fb_add_vector(fb, &item, 1, 8, 8);
    qvk__fb_begin(fb);
    qvk__fb_set_offset(fb, PTE_INT_LIST_ITEMS, content);
    values[4] = add_pair(fb, PTE_VALUE_TAG(INT_LIST), qvk__fb_end(fb));
    qvk__fb_begin(fb);
    values[5] = add_pair(fb, PTE_VALUE_TAG(BOOL), qvk__fb_end(fb));
    content = qvk__fb_add_vector(fb, &half, 1, 8, 8);
    qvk__fb_begin(fb);
    qvk__fb_set_offset(fb, PTE_DOUBLE_LIST_ITEMS, content);
    values[6] = add_pair(fb, PTE_VALUE_TAG(DOUBLE_LIST), qvk__fb_end(fb));
    content = qvk__fb_add_string(fb, "text");
    qvk__fb_begin(fb);
    qvk__fb_set_offset(fb, PTE_STRING_VALUE, content);
    values[7] = add_pair(fb, PTE_VALUE_TAG(STRING), qvk__fb_end(fb));
    return qvk__fb_add_offsets(fb, values, 8);
}

/* jump_false %5 -> end; delegate 0(%1, argument). */
static qvk__fb_offset add_chains(old_program *old)
{
    qvk__fb_writer *fb = &old->fb;
    const int32_t args[] = {1, old->argument};
    qvk__fb_offset instructions[2], vector, chain;

    qvk__fb_begin(fb);
    qvk__fb_set_i32(fb, PTE_JUMP_FALSE_CALL_CONDITION, 5);
    qvk__fb_set_i32(fb, PTE_JUMP_FALSE_CALL_DESTINATION, old->jump);
    instructions[0] = add_pair(fb, PTE_INSTRUCTION_TAG(JUMP_FALSE_CALL), qvk__fb_end(fb));
    vector = qvk__fb_add_vector(fb, args, 2, 4, 4);
    qvk__fb_begin(fb);
    qvk__fb_set_offset(fb, PTE_DELEGATE_CALL_ARGS, vector);
    instructions[1] = add_pair(fb, PTE_INSTRUCTION_TAG(DELEGATE_CALL), qvk__fb_end(fb));
    vector = qvk__fb_add_offsets(fb, instructions, 2);
    qvk__fb_begin(fb);
    qvk__fb_set_offset(fb, PTE_CHAIN_INSTRUCTIONS, vector);
    chain = qvk__fb_end(fb);
    return qvk__fb_add_offsets(fb, &chain, 1);
}

static qvk__fb_offset add_plan(old_program *old)
{
    static const int32_t input[] = {1}, output[] = {2};
    static const uint64_t buffers[] = {0, 16};
    qvk__fb_writer *fb = &old->fb;
    qvk__fb_offset values = add_values(old), chains = add_chains(old),
                   id = qvk__fb_add_string(fb, "VulkanBackend");
    qvk__fb_offset delegate, delegates, name, inputs, outputs, sizes;

    qvk__fb_begin(fb);
    delegate = qvk__fb_end(fb); /* location and index are those of inline data 0 */
    qvk__fb_begin(fb);
    qvk__fb_set_offset(fb, PTE_DELEGATE_ID, id);
    qvk__fb_set_offset(fb, PTE_DELEGATE_PROCESSED, delegate);
    delegate = qvk__fb_end(fb);
    delegates = qvk__fb_add_offsets(fb, &delegate, 1);
    name = qvk__fb_add_string(fb, "forward");
    inputs = qvk__fb_add_vector(fb, input, 1, 4, 4);
    outputs = qvk__fb_add_vector(fb, output, 1, 4, 4);
    sizes = qvk__fb_add_vector(fb, buffers, 2, 8, 8);
    qvk__fb_begin(fb);
    qvk__fb_set_offset(fb, PTE_PLAN_NAME, name);
    qvk__fb_set_offset(fb, PTE_PLAN_VALUES, values);
    qvk__fb_set_offset(fb, PTE_PLAN_INPUTS, inputs);
    qvk__fb_set_offset(fb, PTE_PLAN_OUTPUTS, outputs);
    qvk__fb_set_offset(fb, PTE_PLAN_CHAINS, chains);
    qvk__fb_set_offset(fb, PTE_PLAN_DELEGATES, delegates);
    qvk__fb_set_offset(fb, PTE_PLAN_BUFFER_BYTES, sizes);
    return qvk__fb_end(fb);
}

static qvk__fb_offset add_buffers(old_program *old)
{
    qvk__fb_writer *fb = &old->fb;
    qvk__fb_offset buffers[2], storage = qvk__fb_add_vector(fb, weights, old->constant_bytes, 1, 16);

    qvk__fb_begin(fb);
    buffers[0] = qvk__fb_end(fb); /* stands for "no data" */
    qvk__fb_begin(fb);
    qvk__fb_set_offset(fb, PTE_BUFFER_STORAGE, storage);
    buffers[1] = qvk__fb_end(fb);
    return qvk__fb_add_offsets(fb, buffers, 2);
}

/* relu(x), with nothing but itself in the blob. */
static qvk__fb_offset add_blob(old_program *old)
{
    static const uint32_t dims[] = {4};
    static const int32_t ids[] = {0, 1};
    blob_builder builder = {0};
    uint64_t bytes;
    uint8_t *blob;
    qvk__fb_offset data;

    assert_true(QVK__VEC_PUSH(&builder.inputs, (uint32_t)blob_add_tensor(&builder, dims, 1, -1)));
    assert_true(QVK__VEC_PUSH(&builder.outputs, (uint32_t)blob_add_tensor(&builder, dims, 1, -1)));
    blob_add_call(&builder, "aten.relu.default", ids, 2);
    blob = blob_finish(&builder, &bytes);
    data = qvk__fb_add_vector(&old->fb, blob, (size_t)bytes, 1, 16);
    free(blob);
    qvk__fb_begin(&old->fb);
    qvk__fb_set_offset(&old->fb, PTE_INLINE_DATA_DATA, data);
    data = qvk__fb_end(&old->fb);
    return qvk__fb_add_offsets(&old->fb, &data, 1);
}

static qvk_status read_old(old_program *old, qvk__program *out, uint8_t **bytes, qvk_error *err)
{
    qvk__fb_writer *fb = &old->fb;
    qvk__fb_offset plan = add_plan(old), plans = qvk__fb_add_offsets(fb, &plan, 1);
    qvk__fb_offset buffers = add_buffers(old), blobs = add_blob(old);
    const uint8_t *data = NULL;
    size_t n = 0;

    qvk__fb_begin(fb);
    qvk__fb_set_u32(fb, PTE_PROGRAM_VERSION, old->version);
    qvk__fb_set_offset(fb, PTE_PROGRAM_PLANS, plans);
    qvk__fb_set_offset(fb, PTE_PROGRAM_CONSTANT_BUFFER, buffers);
    qvk__fb_set_offset(fb, PTE_PROGRAM_INLINE_DATA, blobs);
    assert_int_equal(qvk__fb_finish(fb, qvk__fb_end(fb), "ET12", &data, &n, NULL), QVK_OK);
    *bytes = aligned_alloc(16, n);
    assert_non_null(*bytes);
    memcpy(*bytes, data, n);
    qvk__fb_writer_free(fb);
    return qvk__program_read_bytes(*bytes, n, "old.pte", out, err);
}

static void inline_constants_and_delegates_are_read(void **state)
{
    (void)state;
    old_program old = sound_program();
    char *dir = test_temp_dir(), *path = test_path(dir, "new.pte");
    qvk__program program, again;
    const qvk__method *method;
    uint8_t *bytes;
    qvk_error err;

    if (read_old(&old, &program, &bytes, &err) != QVK_OK)
        fail_msg("%s", err.message);
    method = &program.methods[0];
    assert_int_equal(method->values[0].constant_bytes, sizeof weights);
    assert_memory_equal(method->values[0].constant, weights, sizeof weights);
    assert_int_equal(method->values[4].ids[0], 3);
    assert_true(method->values[6].doubles[0] == 0.5);
    assert_string_equal(method->values[7].string, "text");
    assert_true(method->delegates[0].parsed);
    assert_int_equal(method->delegates[0].graph.nodes.data[0].op, QVK__OP_RELU);
    assert_int_equal(method->instructions[0].target, 2); /* the end */
    /* Written in today's form, it is the same program. */
    assert_int_equal(qvk__program_write(&program, path, NULL), QVK_OK);
    assert_int_equal(qvk__program_read(path, NULL, 0, &again, NULL), QVK_OK);
    assert_programs_equal(&program, &again);
    qvk__program_finish(&program);
    qvk__program_finish(&again);
    free(bytes);
    free(path);
    test_temp_dir_remove(&dir);
}

static void expect_refusal(old_program old, qvk_status wanted, const char *words)
{
    qvk__program program;
    uint8_t *bytes;
    qvk_error err;
    qvk_status status = read_old(&old, &program, &bytes, &err);

    if (status != wanted || !strstr(err.message, words))
        fail_msg("%s \"%s\" does not say \"%s\"", qvk_status_name(status), status ? err.message : "", words);
    free(bytes);
}

static void what_cannot_be_is_refused(void **state)
{
    (void)state;
    old_program old;

#define REFUSED(field, bad, status, words)                                                                   \
    old = sound_program();                                                                                   \
    old.field = bad;                                                                                         \
    expect_refusal(old, status, words)
    REFUSED(constant, 2, QVK_BAD_FORMAT, "constant 2 of 2");
    REFUSED(constant_bytes, 15, QVK_BAD_FORMAT, "needs 16 bytes, the file has 15");
    REFUSED(scalar_type, 27, QVK_UNSUPPORTED, "ScalarType 27");
    REFUSED(scalar_type, 7, QVK_BAD_FORMAT, "needs 32 bytes");
    REFUSED(dim, 1, QVK_BAD_FORMAT, "permutation");
    REFUSED(dynamism, PTE_DYNAMIC_UNBOUND, QVK_UNSUPPORTED, "upper bound");
    REFUSED(dynamism, 9, QVK_BAD_FORMAT, "shape_dynamism 9");
    REFUSED(storage_offset, 1, QVK_BAD_FORMAT, "storage offset");
    REFUSED(list_item, 1, QVK_BAD_FORMAT, "value 1 is no Int");
    REFUSED(list_item, 8, QVK_BAD_FORMAT, "value 8 is no Int");
    REFUSED(list_item, -1, QVK_BAD_FORMAT, "no value id");
    REFUSED(jump, 3, QVK_BAD_FORMAT, "jumps out of its chain");
    REFUSED(jump, -1, QVK_BAD_FORMAT, "jump to -1");
    REFUSED(argument, 8, QVK_BAD_FORMAT, "value 8 of 8");
    REFUSED(argument, 3, QVK_BAD_FORMAT, "delegate output 0 wants a tensor");
    REFUSED(memory, 0, QVK_BAD_FORMAT, "planned memory 0");
    REFUSED(memory, 2, QVK_BAD_FORMAT, "planned memory 2");
    REFUSED(place, 4, QVK_BAD_FORMAT, "reaches past its planned memory");
    REFUSED(version, 1, QVK_BAD_VERSION, "version 1");
#undef REFUSED
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(inline_constants_and_delegates_are_read),
        cmocka_unit_test(what_cannot_be_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
