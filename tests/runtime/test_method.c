/* Interpreting methods: instructions, control flow, primitives, planned memory, delegates, what is refused.
 */
#include "program/program.h"
#include "runtime/graph_kit.h"
#include "runtime/runtime.h"
#include "support/support.h"

enum { MAX_VALUES = 24, MAX_INSTRUCTIONS = 16, BUFFER_BYTES = 512 };

/* A program with one method, filled in by hand. */
typedef struct kit {
    qvk__program program;
    qvk__method method;
    qvk__evalue values[MAX_VALUES];
    qvk__instruction instructions[MAX_INSTRUCTIONS];
    qvk__operator_ref operators[8];
    qvk__delegate delegates[2];
    int32_t inputs[4], outputs[4];
    uint64_t buffer_bytes[2];
} kit;

static void kit_start(kit *it)
{
    memset(it, 0, sizeof *it);
    it->method = (qvk__method){.name = "forward",
                               .values = it->values,
                               .inputs = it->inputs,
                               .outputs = it->outputs,
                               .operators = it->operators,
                               .delegates = it->delegates,
                               .instructions = it->instructions,
                               .buffer_bytes = it->buffer_bytes,
                               .n_buffers = 2};
    it->buffer_bytes[1] = BUFFER_BYTES;
    it->program.methods = &it->method;
    it->program.n_methods = 1;
}

static int32_t add_value(kit *it, qvk__evalue value)
{
    assert_true(it->method.n_values < MAX_VALUES);
    it->values[it->method.n_values] = value;
    return (int32_t)it->method.n_values++;
}

static int32_t add_int(kit *it, int64_t number)
{
    return add_value(it, (qvk__evalue){.kind = QVK__EVALUE_INT, .int_value = number});
}

static int32_t add_bool(kit *it, bool flag)
{
    return add_value(it, (qvk__evalue){.kind = QVK__EVALUE_BOOL, .int_value = flag});
}

/* float32 [n] in planned memory. */
static int32_t add_tensor(kit *it, int64_t n, uint64_t offset, bool dynamic)
{
    return add_value(it, (qvk__evalue){.kind = QVK__EVALUE_TENSOR,
                                       .desc = kit_desc(QVK_DTYPE_F32, KIT_SHAPE(n)),
                                       .dynamic = dynamic,
                                       .planned = true,
                                       .memory_id = 1,
                                       .memory_offset = offset});
}

static void add_instruction(kit *it, qvk__instruction instruction)
{
    assert_true(it->method.n_instructions < MAX_INSTRUCTIONS);
    it->instructions[it->method.n_instructions++] = instruction;
}

/* ids: the arguments, then the output twice, or the result. */
static void add_kernel(kit *it, const char *name, const char *overload, const int32_t *ids, uint32_t n_ids)
{
    const qvk__operator_ref ref = {name, overload, qvk__op_find_kernel(name, overload)};
    it->operators[it->method.n_operators] = ref;
    add_instruction(it, (qvk__instruction){.kind = QVK__INSTRUCTION_KERNEL,
                                           .index = (int32_t)it->method.n_operators++,
                                           .args = ids,
                                           .n_args = n_ids});
}

static void add_input(kit *it, int32_t value)
{
    it->inputs[it->method.n_inputs++] = value;
}

static void add_output(kit *it, int32_t value)
{
    it->outputs[it->method.n_outputs++] = value;
}

static qvk__session *load(const kit *it)
{
    qvk__session *session = NULL;
    qvk_error error = {0};
    if (qvk__session_create(NULL, &it->program, NULL, &session, &error) != QVK_OK)
        fail_msg("%s", error.message);
    return session;
}

static void run(qvk__session *session, const qvk_value *inputs, uint32_t n_in, qvk_value *outputs,
                uint32_t n_out)
{
    qvk_error error = {0};
    if (qvk__session_run(session, 0, inputs, n_in, outputs, n_out, &error) != QVK_OK)
        fail_msg("%s", error.message);
}

/* ---- tests ---------------------------------------------------------------------------------------------- */

/* y = condition ? x + x : -x, as torch.cond is emitted: moves into one result, a jump over the else branch.
 */
static void branches_are_taken_by_the_condition(void **state)
{
    (void)state;
    kit it;
    float x[3] = {1, -2, 3};
    kit_start(&it);
    const int32_t in = add_tensor(&it, 3, 0, false), twice = add_tensor(&it, 3, 16, false);
    const int32_t negated = add_tensor(&it, 3, 32, false), result = add_tensor(&it, 3, 48, false);
    const int32_t condition = add_bool(&it, false), never = add_bool(&it, false), one = add_int(&it, 1);
    const int32_t add[] = {in, in, one, twice, twice}, neg[] = {in, negated, negated};
    add_input(&it, condition);
    add_input(&it, in);
    add_output(&it, result);
    add_instruction(&it, (qvk__instruction){QVK__INSTRUCTION_JUMP_FALSE, condition, 4, NULL, 0});
    add_kernel(&it, "aten::add", "out", add, 5);
    add_instruction(&it, (qvk__instruction){QVK__INSTRUCTION_MOVE, twice, result, NULL, 0});
    add_instruction(&it, (qvk__instruction){QVK__INSTRUCTION_JUMP_FALSE, never, 6, NULL, 0});
    add_kernel(&it, "aten::neg", "out", neg, 3);
    add_instruction(&it, (qvk__instruction){QVK__INSTRUCTION_MOVE, negated, result, NULL, 0});
    qvk__session *session = load(&it);
    for (int i = 0; i < 4; i++) {
        const qvk_value inputs[] = {{.kind = QVK_VALUE_BOOL, .i = i % 2},
                                    kit_tensor(QVK_DTYPE_F32, KIT_SHAPE(3), x)};
        qvk_value output;
        run(session, inputs, 2, &output, 1);
        for (int k = 0; k < 3; k++)
            assert_float_equal(((float *)output.tensor.data)[k], (i % 2 ? x[k] + x[k] : -x[k]), 0.0f);
    }
    qvk__session_destroy(&session);
}

/* A loop over the rows of a sum: numbers, et_view, et_copy_index and jumps backwards. */
static void loops_count_and_collect(void **state)
{
    (void)state;
    kit it;
    float x[2] = {1.5f, -1};
    kit_start(&it);
    const int32_t in = add_tensor(&it, 2, 0, false);
    const int32_t all = add_value(&it, (qvk__evalue){.kind = QVK__EVALUE_TENSOR,
                                                     .desc = kit_desc(QVK_DTYPE_F32, KIT_SHAPE(4, 2)),
                                                     .dynamic = true,
                                                     .planned = true,
                                                     .memory_id = 1,
                                                     .memory_offset = 64});
    const int32_t flat = add_tensor(&it, 8, 64, true);
    const int32_t i = add_int(&it, 0), one = add_int(&it, 1), end = add_int(&it, 4), rest = add_int(&it, -1);
    const int32_t done = add_bool(&it, false);
    const int32_t copy[] = {all, in, i}, next[] = {i, one, i}, test[] = {i, end, done};
    const int32_t sizes[] = {rest};
    const int32_t list =
        add_value(&it, (qvk__evalue){.kind = QVK__EVALUE_INT_LIST, .count = 1, .ids = sizes});
    const int32_t view[] = {all, list, flat};
    add_input(&it, in);
    add_output(&it, flat);
    add_output(&it, i);
    add_kernel(&it, "executorch_prim::et_copy_index", "tensor", copy, 3);
    add_kernel(&it, "executorch_prim::add", "Scalar", next, 3);
    add_kernel(&it, "executorch_prim::eq", "Scalar", test, 3);
    add_instruction(&it, (qvk__instruction){QVK__INSTRUCTION_JUMP_FALSE, done, 0, NULL, 0});
    add_kernel(&it, "executorch_prim::et_view", "default", view, 3);
    qvk__session *session = load(&it);
    for (int round = 0; round < 2; round++) {
        const qvk_value input = kit_tensor(QVK_DTYPE_F32, KIT_SHAPE(2), x);
        qvk_value outputs[2];
        run(session, &input, 1, outputs, 2);
        assert_int_equal(outputs[0].tensor.rank, 1);
        assert_int_equal(outputs[0].tensor.sizes[0], 8);
        assert_int_equal(outputs[1].i, 4);
        for (int k = 0; k < 8; k++)
            assert_float_equal(((float *)outputs[0].tensor.data)[k], x[k & 1], 0.0f);
    }
    qvk__session_destroy(&session);
}

static void numbers_follow_python(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int64_t a, b, wanted;
    } cases[] = {
        {"executorch_prim::floordiv", -7, 2, -4},
        {"executorch_prim::floordiv", 7, -2, -4},
        {"executorch_prim::floordiv", INT64_MIN, -1, INT64_MIN},
        {"executorch_prim::mod", -7, 3, 2},
        {"executorch_prim::mod", 7, -3, -2},
        {"executorch_prim::mod", INT64_MIN, -1, 0},
        {"executorch_prim::sub", 3, 5, -2},
        {"executorch_prim::mul", 3, -5, -15},
        {"executorch_prim::sym_max", 3, 5, 5},
        {"executorch_prim::sym_min", 3, 5, 3},
        {"executorch_prim::lt", 3, 5, 1},
        {"executorch_prim::ge", 3, 5, 0},
    };
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        kit it;
        kit_start(&it);
        const int32_t a = add_int(&it, 0), b = add_int(&it, 0), result = add_int(&it, 0);
        const int32_t args[] = {a, b, result};
        add_input(&it, a);
        add_input(&it, b);
        add_output(&it, result);
        add_kernel(&it, cases[c].name, "Scalar", args, 3);
        qvk__session *session = load(&it);
        const qvk_value inputs[] = {{.kind = QVK_VALUE_INT, .i = cases[c].a},
                                    {.kind = QVK_VALUE_INT, .i = cases[c].b}};
        qvk_value output;
        run(session, inputs, 2, &output, 1);
        if (output.i != cases[c].wanted)
            fail_msg("%s(%lld, %lld) is %lld", cases[c].name, (long long)cases[c].a, (long long)cases[c].b,
                     (long long)output.i);
        qvk__session_destroy(&session);
    }
}

static void division_by_zero_is_an_error(void **state)
{
    (void)state;
    kit it;
    qvk_error error = {0};
    kit_start(&it);
    const int32_t a = add_int(&it, 1), b = add_int(&it, 0), result = add_int(&it, 0);
    const int32_t args[] = {a, b, result};
    add_output(&it, result);
    add_kernel(&it, "executorch_prim::floordiv", "int", args, 3);
    qvk__session *session = load(&it);
    qvk_value output;
    assert_int_equal(qvk__session_run(session, 0, NULL, 0, &output, 1, &error), QVK_SHAPE);
    assert_non_null(strstr(error.message, "instruction 0: executorch_prim::floordiv"));
    assert_int_equal(error.node, 0);
    qvk__session_destroy(&session);
}

/* copy_ writes a buffer that outlives the call; reset gives it its initial contents again. */
static void buffers_keep_their_state(void **state)
{
    (void)state;
    static const float initial[2] = {10, 20};
    kit it;
    float x[2] = {1, 2};
    kit_start(&it);
    const int32_t in = add_tensor(&it, 2, 0, false), buffer = add_tensor(&it, 2, 16, false);
    const int32_t sum = add_tensor(&it, 2, 32, false), one = add_int(&it, 1), no = add_bool(&it, false);
    it.values[buffer].constant = initial;
    it.values[buffer].constant_bytes = sizeof initial;
    const int32_t add[] = {in, buffer, one, sum, sum}, copy[] = {buffer, sum, no, buffer};
    add_input(&it, in);
    add_output(&it, sum);
    add_kernel(&it, "aten::add", "out", add, 5);
    add_kernel(&it, "aten::copy_", "", copy, 4);
    qvk__session *session = load(&it);
    for (int round = 0; round < 2; round++) {
        for (int call = 1; call <= 3; call++) {
            const qvk_value input = kit_tensor(QVK_DTYPE_F32, KIT_SHAPE(2), x);
            qvk_value output;
            run(session, &input, 1, &output, 1);
            assert_float_equal(((float *)output.tensor.data)[1], (20 + 2 * call), 0.0f);
        }
        assert_int_equal(qvk__session_reset(session, NULL), QVK_OK);
    }
    qvk__session_destroy(&session);
}

/* A static view that shares memory with the input sees what the caller passed. */
static void views_share_planned_memory(void **state)
{
    (void)state;
    kit it;
    float x[4] = {1, 2, 3, 4};
    kit_start(&it);
    const int32_t in = add_tensor(&it, 4, 0, false);
    const int32_t view = add_value(&it, (qvk__evalue){.kind = QVK__EVALUE_TENSOR,
                                                      .desc = kit_desc(QVK_DTYPE_F32, KIT_SHAPE(2, 2)),
                                                      .planned = true,
                                                      .memory_id = 1});
    add_input(&it, in);
    add_output(&it, view);
    qvk__session *session = load(&it);
    const qvk_value input = kit_tensor(QVK_DTYPE_F32, KIT_SHAPE(4), x);
    qvk_value output;
    run(session, &input, 1, &output, 1);
    assert_int_equal(output.tensor.rank, 2);
    assert_memory_equal(output.tensor.data, x, sizeof x);
    qvk__session_destroy(&session);
}

/* Leading outputs of a delegate that the call has no argument for are left out. */
static void delegates_may_have_surplus_outputs(void **state)
{
    (void)state;
    kit it;
    float x[3] = {1, -2, 3};
    kit_start(&it);
    const int32_t in = add_tensor(&it, 3, 0, true), out = add_tensor(&it, 3, 16, true);
    const int32_t args[] = {in, out};
    qvk__graph *graph = &it.delegates[0].graph;
    qvk__graph_init(graph);
    const int32_t gx = kit_input(graph, "x", QVK_DTYPE_F32, KIT_SHAPE(3));
    kit_output(graph, kit_call(graph, QVK__OP_ABS, KIT_ARGS(KIT_V(gx)), QVK_DTYPE_F32, KIT_SHAPE(3)));
    kit_output(graph, kit_call(graph, QVK__OP_NEG, KIT_ARGS(KIT_V(gx)), QVK_DTYPE_F32, KIT_SHAPE(3)));
    it.delegates[0].id = "VulkanBackend";
    it.delegates[0].parsed = true;
    it.method.n_delegates = 1;
    add_input(&it, in);
    add_output(&it, out);
    add_instruction(&it, (qvk__instruction){QVK__INSTRUCTION_DELEGATE, 0, 0, args, 2});
    qvk__session *session = load(&it);
    for (int64_t n = 3; n >= 0; n--) {
        const qvk_value input = kit_tensor(QVK_DTYPE_F32, KIT_SHAPE(n), x);
        qvk_value output;
        run(session, &input, 1, &output, 1);
        assert_int_equal(output.tensor.sizes[0], n);
        for (int64_t k = 0; k < n; k++)
            assert_float_equal(((float *)output.tensor.data)[k], -x[k], 0.0f);
    }
    qvk__session_destroy(&session);
    qvk__graph_finish(graph);
}

static void refuses_what_it_cannot_run(void **state)
{
    (void)state;
    kit it;
    qvk__session *session = NULL;
    qvk_error error = {0};
    kit_start(&it);
    const int32_t in = add_tensor(&it, 3, 0, false);
    const int32_t args[] = {in, in};
    add_kernel(&it, "mine::op", "out", args, 2);
    assert_int_equal(qvk__session_create(NULL, &it.program, NULL, &session, &error),
                     QVK_UNSUPPORTED_OPERATOR);
    assert_non_null(strstr(error.message, "instruction 0: mine::op.out"));
    it.method.n_instructions = 0;
    it.delegates[0].id = "XnnpackBackend";
    it.method.n_delegates = 1;
    assert_int_equal(qvk__session_create(NULL, &it.program, NULL, &session, &error), QVK_UNSUPPORTED);
    assert_non_null(strstr(error.message, "XnnpackBackend"));
    assert_null(session);
}

static void a_loop_without_end_is_stopped(void **state)
{
    (void)state;
    kit it;
    qvk_error error = {0};
    kit_start(&it);
    const int32_t never = add_bool(&it, false);
    add_instruction(&it, (qvk__instruction){QVK__INSTRUCTION_JUMP_FALSE, never, 0, NULL, 0});
    qvk__session *session = load(&it);
    assert_int_equal(qvk__session_run(session, 0, NULL, 0, NULL, 0, &error), QVK_BAD_FORMAT);
    qvk__session_destroy(&session);
}

static void inputs_must_match(void **state)
{
    (void)state;
    kit it;
    float x[4] = {0};
    qvk_error error = {0};
    kit_start(&it);
    add_input(&it, add_tensor(&it, 3, 0, false));
    add_input(&it, add_int(&it, 7)); /* nothing reads it: the program was traced with 7 */
    qvk__session *session = load(&it);
    qvk_value inputs[] = {kit_tensor(QVK_DTYPE_F32, KIT_SHAPE(3), x), {.kind = QVK_VALUE_INT, .i = 7}};
    run(session, inputs, 2, NULL, 0);
    assert_int_equal(qvk__session_run(session, 0, inputs, 1, NULL, 0, &error), QVK_INPUT_MISMATCH);
    inputs[1].i = 8;
    assert_int_equal(qvk__session_run(session, 0, inputs, 2, NULL, 0, &error), QVK_INPUT_MISMATCH);
    assert_non_null(strstr(error.message, "input 1: the program was made for 7"));
    inputs[1].i = 7;
    inputs[0].tensor.sizes[0] = 2;
    assert_int_equal(qvk__session_run(session, 0, inputs, 2, NULL, 0, &error), QVK_INPUT_MISMATCH);
    assert_non_null(strstr(error.message, "input 0: shape [2] given, [3] wanted"));
    inputs[0].tensor.sizes[0] = 3;
    inputs[0].tensor.dtype = QVK_DTYPE_I32;
    assert_int_equal(qvk__session_run(session, 0, inputs, 2, NULL, 0, &error), QVK_INPUT_MISMATCH);
    assert_non_null(strstr(error.message, "input 0: int32 given, float32 wanted"));
    qvk__session_destroy(&session);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(branches_are_taken_by_the_condition),
        cmocka_unit_test(loops_count_and_collect),
        cmocka_unit_test(numbers_follow_python),
        cmocka_unit_test(division_by_zero_is_an_error),
        cmocka_unit_test(buffers_keep_their_state),
        cmocka_unit_test(views_share_planned_memory),
        cmocka_unit_test(delegates_may_have_surplus_outputs),
        cmocka_unit_test(refuses_what_it_cannot_run),
        cmocka_unit_test(a_loop_without_end_is_stopped),
        cmocka_unit_test(inputs_must_match),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
