/* Writing programs built in memory: constants made on demand, equal ones, failures that leave nothing behind.
 */
#include "program_compare.h"

#include <stdio.h>
#include <unistd.h>

enum { ROWS = 8, COLUMNS = 16 };

/* ---- a program in memory ------------------------------------------------------------------------------- */

/* Weights made on demand: `value` in every element. Counts how often each is asked for. */
typedef struct maker {
    float value;
    int calls;
    bool fails;
} maker;

static qvk_status make_weight(const qvk__constant *constant, void *dst, qvk_error *err)
{
    maker *from = (maker *)(uintptr_t)constant->fill_context;

    from->calls++;
    if (from->fails)
        return qvk__fail(err, QVK_IO, "the weight could not be read");
    for (uint64_t i = 0; i < constant->bytes / sizeof(float); i++)
        memcpy((uint8_t *)dst + i * sizeof(float), &from->value, sizeof(float));
    return QVK_OK;
}

static qvk_tensor floats(int64_t rows, int64_t columns)
{
    return (qvk_tensor){.dtype = QVK_DTYPE_F32, .rank = 2, .sizes = {rows, columns}};
}

static int32_t add_weight(qvk__graph *graph, maker *from, int64_t rows, int64_t columns)
{
    qvk_tensor desc = floats(rows, columns);
    int32_t id = qvk__graph_add_value(graph, NULL, &desc);
    qvk__constant *constant = qvk__arena_alloc(&graph->arena, 1, sizeof *constant);

    assert_true(id >= 0 && constant);
    constant->bytes = (uint64_t)rows * (uint64_t)columns * sizeof(float);
    constant->fill = make_weight;
    constant->fill_context = from;
    graph->values.data[id].constant = constant;
    return id;
}

static int32_t add_linear(qvk__graph *graph, int32_t x, int32_t weight, int64_t rows, int64_t columns)
{
    qvk_tensor desc = floats(rows, columns);
    int32_t out = qvk__graph_add_value(graph, NULL, &desc);
    qvk__arg args[3] = {qvk__arg_from_value(x), qvk__arg_from_value(weight), {.kind = QVK__ARG_NULL}};

    assert_true(qvk__graph_add_node(graph, QVK__OP_LINEAR, NULL, args, 3, &out, 1) >= 0);
    return out;
}

static qvk__evalue planned_tensor(int64_t rows, int64_t columns, uint64_t offset)
{
    qvk__evalue value = {
        .kind = QVK__EVALUE_TENSOR, .planned = true, .memory_id = 1, .memory_offset = offset};

    value.desc = floats(rows, columns);
    value.dim_order[1] = 1;
    return value;
}

/* x [1, 16] through three linear layers, the last two with equal weights; then a kernel call outside. */
static void build_program(qvk__program *program, maker makers[3])
{
    static const uint64_t buffers[] = {0, 4096};
    static const int32_t inputs[] = {0}, outputs[] = {2}, call[] = {0, 1}, kernel[] = {1, 2, 2};
    qvk__arena *arena = &program->arena;
    qvk__method *method;
    qvk_tensor desc = floats(1, COLUMNS);
    qvk__graph *graph;
    int32_t x, y;

    memset(program, 0, sizeof *program);
    method = qvk__arena_alloc(arena, 1, sizeof *method);
    assert_non_null(method);
    program->methods = method;
    program->n_methods = 1;
    method->name = "forward";
    method->buffer_bytes = buffers;
    method->n_buffers = 2;
    method->inputs = inputs;
    method->outputs = outputs;
    method->n_inputs = method->n_outputs = 1;
    method->n_values = 3;
    method->values = qvk__arena_alloc(arena, 3, sizeof *method->values);
    method->n_delegates = 1;
    method->delegates = qvk__arena_alloc(arena, 1, sizeof *method->delegates);
    method->n_operators = 1;
    method->operators = qvk__arena_alloc(arena, 1, sizeof *method->operators);
    method->n_instructions = 2;
    method->instructions = qvk__arena_alloc(arena, 2, sizeof *method->instructions);
    assert_true(method->values && method->delegates && method->operators && method->instructions);
    method->values[0] = planned_tensor(1, COLUMNS, 0);
    method->values[1] = planned_tensor(1, ROWS, 64);
    method->values[2] = planned_tensor(1, ROWS, 128);
    method->operators[0].op = QVK__OP_RELU;
    method->instructions[0] =
        (qvk__instruction){.kind = QVK__INSTRUCTION_DELEGATE, .args = call, .n_args = 2};
    method->instructions[1] =
        (qvk__instruction){.kind = QVK__INSTRUCTION_KERNEL, .args = kernel, .n_args = 3};
    method->delegates[0] = (qvk__delegate){.id = "VulkanBackend", .parsed = true};
    graph = &method->delegates[0].graph;
    qvk__graph_init(graph);
    x = qvk__graph_add_value(graph, "x", &desc);
    assert_true(QVK__VEC_PUSH(&graph->inputs, x));
    y = add_linear(graph, x, add_weight(graph, &makers[0], COLUMNS, COLUMNS), 1, COLUMNS);
    y = add_linear(graph, y, add_weight(graph, &makers[1], COLUMNS, COLUMNS), 1, COLUMNS);
    y = add_linear(graph, y, add_weight(graph, &makers[2], ROWS, COLUMNS), 1, ROWS);
    assert_true(QVK__VEC_PUSH(&graph->outputs, y));
}

typedef struct scratch {
    char *dir, *path;
} scratch;

static scratch make_scratch(void)
{
    scratch place = {.dir = test_temp_dir()};
    place.path = test_path(place.dir, "out.pte");
    return place;
}

static void remove_scratch(scratch *place)
{
    free(place->path);
    test_temp_dir_remove(&place->dir);
}

/* ---- tests --------------------------------------------------------------------------------------------- */

static void check_weight(const qvk__graph *graph, size_t node, float expected)
{
    const qvk__constant *constant = graph->values.data[graph->nodes.data[node].args[1].u.value].constant;
    qvk__sha256 sha;
    char hex[65];

    for (uint64_t i = 0; i < constant->bytes / sizeof(float); i++)
        assert_true(((const float *)constant->data)[i] == expected);
    qvk__sha256_begin(&sha);
    qvk__sha256_add(&sha, constant->data, (size_t)constant->bytes);
    qvk__sha256_end(&sha, hex);
    assert_string_equal(constant->name, hex);
}

static void constants_made_on_demand_are_made_once_and_named_by_their_bytes(void **state)
{
    (void)state;
    maker makers[3] = {{1.5f, 0, false}, {1.5f, 0, false}, {-2.0f, 0, false}};
    scratch place = make_scratch();
    qvk__program program = {0}, again;
    const qvk__graph *graph;
    qvk_error err;

    build_program(&program, makers);
    if (qvk__program_write(&program, place.path, &err) != QVK_OK)
        fail_msg("%s", err.message);
    for (int i = 0; i < 3; i++)
        assert_int_equal(makers[i].calls, 1);
    if (qvk__program_read(place.path, NULL, 0, &again, &err) != QVK_OK)
        fail_msg("%s", err.message);
    graph = &again.methods[0].delegates[0].graph;
    check_weight(graph, 0, 1.5f);
    check_weight(graph, 1, 1.5f);
    check_weight(graph, 2, -2.0f);
    assert_int_equal(again.named.count, 2); /* two of the three are equal */
    assert_string_equal(again.methods[0].operators[0].name, "aten::relu");
    assert_string_equal(again.methods[0].operators[0].overload, "out");
    qvk__program_finish(&program);
    qvk__program_finish(&again);
    remove_scratch(&place);
}

static int count_files(const char *dir)
{
    char command[4200];
    int n = -1;
    FILE *listing;

    snprintf(command, sizeof command, "ls -A '%s' | wc -l", dir);
    listing = popen(command, "r");
    assert_non_null(listing);
    assert_int_equal(fscanf(listing, "%d", &n), 1);
    pclose(listing);
    return n;
}

static void a_failure_leaves_what_was_there(void **state)
{
    (void)state;
    maker makers[3] = {{1, 0, false}, {2, 0, true}, {3, 0, false}};
    scratch place = make_scratch();
    qvk__program program = {0};
    uint8_t *data;
    qvk_error err;
    size_t n;

    test_write_file(place.path, "before", 6);
    build_program(&program, makers);
    assert_int_equal(qvk__program_write(&program, place.path, &err), QVK_IO);
    assert_string_equal(err.message, "the weight could not be read");
    assert_int_equal(count_files(place.dir), 1);
    data = test_read_file(place.path, &n);
    assert_int_equal(n, 6);
    free(data);
    qvk__program_finish(&program);
    remove_scratch(&place);
}

static void broken_programs_are_not_written(void **state)
{
    (void)state;
    maker makers[3] = {{1, 0, false}, {2, 0, false}, {3, 0, false}};
    scratch place = make_scratch();
    qvk__program program = {0};
    qvk__method *method;
    qvk_error err;

    build_program(&program, makers);
    method = &program.methods[0];
    method->values[1].memory_offset = 4096;
    assert_int_equal(qvk__program_write(&program, place.path, &err), QVK_BAD_FORMAT);
    assert_non_null(strstr(err.message, "planned memory"));
    method->values[1].memory_offset = 64;
    method->instructions[1].index = 1;
    assert_int_equal(qvk__program_write(&program, place.path, &err), QVK_BAD_FORMAT);
    assert_int_equal(err.node, 1);
    method->instructions[1].index = 0;
    method->operators[0].op = QVK__OP_NONE;
    assert_int_equal(qvk__program_write(&program, place.path, &err), QVK_UNSUPPORTED_OPERATOR);
    method->operators[0].op = QVK__OP_RELU;
    method->delegates[0].graph.values.data[0].desc.dtype = QVK_DTYPE_BF16;
    method->values[0].desc.dtype = QVK_DTYPE_BF16;
    assert_int_equal(qvk__program_write(&program, place.path, &err), QVK_UNSUPPORTED);
    assert_non_null(strstr(err.message, "bfloat16"));
    assert_int_equal(count_files(place.dir), 0);
    qvk__program_finish(&program);
    remove_scratch(&place);
}

static void each_allocation_may_fail_while_writing(void **state)
{
    (void)state;
    maker makers[3] = {{1, 0, false}, {1, 0, false}, {3, 0, false}};
    scratch place = make_scratch();
    qvk__program program = {0};
    long refused = 1;

    build_program(&program, makers);
    for (long n = 0; refused > 0; n++) {
        qvk_status status;
        test_memory_grant(n);
        status = qvk__program_write(&program, place.path, NULL);
        refused = test_memory_grant_all();
        assert_int_equal(status, refused ? QVK_OUT_OF_MEMORY : QVK_OK);
        assert_int_equal(access(place.path, F_OK) == 0, status == QVK_OK);
    }
    assert_int_equal(count_files(place.dir), 1);
    qvk__program_finish(&program);
    remove_scratch(&place);
}

static void a_named_file_that_cannot_be_made_is_an_error(void **state)
{
    (void)state;
    maker makers[3] = {{1, 0, false}, {2, 0, false}, {3, 0, false}};
    qvk__program program = {0};
    qvk_error err;

    build_program(&program, makers);
    assert_int_equal(qvk__program_write(&program, "/no/such/folder/out.pte", &err), QVK_IO);
    assert_non_null(strstr(err.message, "/no/such/folder/out.pte"));
    qvk__program_finish(&program);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(constants_made_on_demand_are_made_once_and_named_by_their_bytes),
        cmocka_unit_test(a_failure_leaves_what_was_there),
        cmocka_unit_test(broken_programs_are_not_written),
        cmocka_unit_test(each_allocation_may_fail_while_writing),
        cmocka_unit_test(a_named_file_that_cannot_be_made_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
