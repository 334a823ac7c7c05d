/* The reference executor of one graph: values, aliases, state, symbols, and what it refuses. */
#include "core/dtype.h"
#include "runtime/graph_kit.h"
#include "runtime/runtime.h"
#include "support/support.h"

static qvk__engine *create(const qvk__graph *graph)
{
    qvk__engine *engine = NULL;
    qvk_error error = {0};
    const qvk_status status = qvk__engine_create(NULL, graph, NULL, &engine, &error);
    if (status != QVK_OK)
        fail_msg("%s", error.message);
    return engine;
}

static void run(qvk__engine *engine, const qvk_value *inputs, uint32_t n_in, qvk_value *outputs,
                uint32_t n_out)
{
    qvk_error error = {0};
    if (qvk__engine_run(engine, inputs, n_in, outputs, n_out, &error) != QVK_OK)
        fail_msg("%s", error.message);
}

static void computes_and_returns_inputs_and_constants(void **state)
{
    (void)state;
    static const float weight[4] = {10, 20, 30, 40};
    float x[4] = {-1, 2, -3, 4};
    const float expected[4] = {10, 22, 30, 44};
    qvk__graph graph;
    qvk__graph_init(&graph);
    const int32_t in = kit_input(&graph, "x", QVK_DTYPE_F32, KIT_SHAPE(4));
    const int32_t raw = kit_constant(&graph, "w", QVK_DTYPE_F32, KIT_SHAPE(4), weight);
    const int32_t packed =
        kit_call(&graph, QVK__OP_ET_PREPACK, KIT_ARGS(KIT_V(raw)), QVK_DTYPE_F32, KIT_SHAPE(4));
    const int32_t relu = kit_call(&graph, QVK__OP_RELU, KIT_ARGS(KIT_V(in)), QVK_DTYPE_F32, KIT_SHAPE(4));
    const int32_t sum = kit_call(&graph, QVK__OP_ADD_TENSOR, KIT_ARGS(KIT_V(relu), KIT_V(packed), KIT_I(1)),
                                 QVK_DTYPE_F32, KIT_SHAPE(4));
    kit_output(&graph, sum);
    kit_output(&graph, in);
    kit_output(&graph, packed);
    kit_output(&graph, sum);

    qvk__engine *engine = create(&graph);
    qvk_value inputs[1] = {kit_tensor(QVK_DTYPE_F32, KIT_SHAPE(4), x)}, outputs[4] = {{0}};
    for (int i = 0; i < 2; i++) {
        run(engine, inputs, 1, outputs, 4);
        assert_memory_equal(outputs[0].tensor.data, expected, sizeof expected);
        assert_memory_equal(outputs[1].tensor.data, x, sizeof x);
        assert_memory_equal(outputs[2].tensor.data, weight, sizeof weight);
        assert_memory_equal(outputs[3].tensor.data, expected, sizeof expected);
        assert_ptr_not_equal(outputs[0].tensor.data, outputs[3].tensor.data);
    }
    qvk__engine_destroy(&engine);
    qvk__graph_finish(&graph);
}

/* A cache that update_cache writes keeps its contents until reset. */
static void keeps_state_between_runs(void **state)
{
    (void)state;
    static const float zeros[6] = {0};
    float value[2] = {1, 2};
    qvk__graph graph;
    qvk__graph_init(&graph);
    const int32_t x = kit_input(&graph, "value", QVK_DTYPE_F32, KIT_SHAPE(1, 1, 1, 2));
    const int32_t position = kit_symbol(&graph, "position");
    assert_true(QVK__VEC_PUSH(&graph.inputs, position));
    const int32_t raw = kit_constant(&graph, "cache", QVK_DTYPE_F32, KIT_SHAPE(1, 3, 1, 2), zeros);
    const int32_t cache =
        kit_call(&graph, QVK__OP_ET_PREPACK, KIT_ARGS(KIT_V(raw)), QVK_DTYPE_F32, KIT_SHAPE(1, 3, 1, 2));
    const int32_t unused = -1;
    const qvk__arg args[] = {KIT_V(x), KIT_V(cache), KIT_V(position)};
    assert_true(qvk__graph_add_node(&graph, QVK__OP_LLAMA_UPDATE_CACHE, NULL, args, 3, &unused, 1) >= 0);
    kit_output(&graph, cache);

    qvk__engine *engine = create(&graph);
    qvk_value inputs[2] = {kit_tensor(QVK_DTYPE_F32, KIT_SHAPE(1, 1, 1, 2), value),
                           {.kind = QVK_VALUE_INT, .i = 0}};
    qvk_value output = {0};
    run(engine, inputs, 2, &output, 1);
    inputs[1].i = 2;
    run(engine, inputs, 2, &output, 1);
    assert_memory_equal(output.tensor.data, ((float[6]){1, 2, 0, 0, 1, 2}), sizeof zeros);
    assert_memory_equal(zeros, ((float[6]){0}), sizeof zeros);
    qvk__engine_destroy(&engine);
    qvk__graph_finish(&graph);
}

/* x[n, 4] viewed as [2n, 2] with a symbol made of x's size. */
static void build_symbolic(qvk__graph *graph)
{
    qvk__graph_init(graph);
    const int32_t x = kit_input(graph, "x", QVK_DTYPE_F32, KIT_SHAPE(8, 4));
    const int32_t n = kit_call_symbol(graph, QVK__OP_SYM_SIZE_INT, KIT_ARGS(KIT_V(x), KIT_I(0)));
    const int32_t twice = kit_call_symbol(graph, QVK__OP_SYM_MUL, KIT_ARGS(KIT_V(n), KIT_I(2)));
    const qvk__arg sizes[] = {KIT_V(twice), KIT_I(2)};
    const qvk__arg list = {.kind = QVK__ARG_LIST, .count = 2, .u.list = sizes};
    kit_output(graph,
               kit_call(graph, QVK__OP_VIEW_COPY, KIT_ARGS(KIT_V(x), list), QVK_DTYPE_F32, KIT_SHAPE(16, 2)));
    kit_output(graph, twice);
}

static void infers_shapes_for_every_call(void **state)
{
    (void)state;
    static const int64_t lengths[] = {8, 1, 3, 0, 8};
    float x[32];
    qvk__graph graph;
    build_symbolic(&graph);
    for (int i = 0; i < 32; i++)
        x[i] = (float)i;
    qvk__engine *engine = create(&graph);
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        const qvk_value input = kit_tensor(QVK_DTYPE_F32, KIT_SHAPE(lengths[i], 4), x);
        qvk_value outputs[2] = {{0}};
        run(engine, &input, 1, outputs, 2);
        assert_int_equal(outputs[0].tensor.sizes[0], 2 * lengths[i]);
        assert_int_equal(outputs[1].kind, QVK_VALUE_INT);
        assert_int_equal(outputs[1].i, 2 * lengths[i]);
        assert_memory_equal(outputs[0].tensor.data, x, (size_t)lengths[i] * 4 * sizeof *x);
    }
    qvk__engine_destroy(&engine);
    qvk__graph_finish(&graph);
}

static void refuses_inputs_that_do_not_fit(void **state)
{
    (void)state;
    float x[40] = {0};
    qvk__graph graph;
    build_symbolic(&graph);
    qvk__engine *engine = create(&graph);
    const qvk_value bad[] = {
        kit_tensor(QVK_DTYPE_F32, KIT_SHAPE(9, 4), x),
        kit_tensor(QVK_DTYPE_F32, KIT_SHAPE(4), x),
        kit_tensor(QVK_DTYPE_I8, KIT_SHAPE(8, 4), x),
        kit_tensor(QVK_DTYPE_F32, KIT_SHAPE(8, 4), NULL),
        {.kind = QVK_VALUE_INT, .i = 3},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        qvk_value outputs[2] = {{0}};
        qvk_error error = {0};
        assert_int_equal(qvk__engine_run(engine, &bad[i], 1, outputs, 2, &error), QVK_INPUT_MISMATCH);
        assert_non_null(strstr(error.message, "input 0 (x)"));
    }
    qvk__engine_destroy(&engine);
    qvk__graph_finish(&graph);
}

/* int64 from the caller, int32 in the graph, int64 back. */
static void narrows_and_widens_at_the_edges(void **state)
{
    (void)state;
    int64_t x[3] = {1, -2, INT32_MAX}, too_big[3] = {0, INT64_C(1) << 31, 0}, got[3];
    qvk__graph graph;
    qvk__graph_init(&graph);
    const int32_t in = kit_input(&graph, "ids", QVK_DTYPE_I32, KIT_SHAPE(3));
    kit_output(&graph, kit_call(&graph, QVK__OP_NEG, KIT_ARGS(KIT_V(in)), QVK_DTYPE_I32, KIT_SHAPE(3)));
    qvk__engine *engine = create(&graph);
    qvk_value input = kit_tensor(QVK_DTYPE_I64, KIT_SHAPE(3), x);
    qvk_value output = kit_tensor(QVK_DTYPE_I64, KIT_SHAPE(3), got);
    qvk_error error = {0};
    run(engine, &input, 1, &output, 1);
    for (int i = 0; i < 3; i++)
        assert_int_equal(got[i], -x[i]);
    input.tensor.data = too_big;
    assert_int_equal(qvk__engine_run(engine, &input, 1, &output, 1, &error), QVK_INPUT_MISMATCH);
    assert_non_null(strstr(error.message, "2147483648"));
    qvk__engine_destroy(&engine);
    qvk__graph_finish(&graph);
}

static void names_operators_it_cannot_run(void **state)
{
    (void)state;
    qvk__graph graph;
    qvk__engine *engine = NULL;
    qvk_error error = {0};
    qvk__graph_init(&graph);
    const int32_t x = kit_input(&graph, "x", QVK_DTYPE_F32, KIT_SHAPE(2, 2));
    kit_output(&graph, kit_call(&graph, QVK__OP_EINSUM, KIT_ARGS(KIT_V(x), KIT_V(x), KIT_NONE), QVK_DTYPE_F32,
                                KIT_SHAPE(2, 2)));
    assert_int_equal(qvk__engine_create(NULL, &graph, NULL, &engine, &error), QVK_UNSUPPORTED_OPERATOR);
    assert_non_null(strstr(error.message, "aten.einsum.default"));
    assert_null(engine);
    qvk__graph_finish(&graph);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(computes_and_returns_inputs_and_constants),
        cmocka_unit_test(keeps_state_between_runs),
        cmocka_unit_test(infers_shapes_for_every_call),
        cmocka_unit_test(refuses_inputs_that_do_not_fit),
        cmocka_unit_test(narrows_and_widens_at_the_edges),
        cmocka_unit_test(names_operators_it_cannot_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
