/* Building, editing, verifying and printing graphs: src/core/graph.c, graph_check.c. */
#include "core/graph.h"
#include "support/support.h"

static const qvk_tensor vec4 = {.dtype = QVK_DTYPE_F32, .rank = 1, .sizes = {4}};

static int32_t add_value(qvk__graph *graph, const char *name)
{
    const int32_t id = qvk__graph_add_value(graph, name, &vec4);
    assert_true(id >= 0);
    return id;
}

static int32_t add_unary(qvk__graph *graph, qvk__op op, int32_t in, int32_t out)
{
    const qvk__arg args[] = {qvk__arg_from_value(in)};
    const int32_t node = qvk__graph_add_node(graph, op, NULL, args, 1, &out, 1);
    assert_true(node >= 0);
    return node;
}

/* y = relu(x); dead = sigmoid(y); z = tanh(dead); out = y. */
static void build_chain(qvk__graph *graph)
{
    qvk__graph_init(graph);
    const int32_t x = add_value(graph, "x"), y = add_value(graph, "y"), dead = add_value(graph, "dead");
    const int32_t z = add_value(graph, NULL);

    assert_true(QVK__VEC_PUSH(&graph->inputs, x));
    add_unary(graph, QVK__OP_RELU, x, y);
    add_unary(graph, QVK__OP_SIGMOID, y, dead);
    add_unary(graph, QVK__OP_TANH, dead, z);
    assert_true(QVK__VEC_PUSH(&graph->outputs, y));
}

static void values_and_nodes_are_numbered_in_order(void **state)
{
    qvk__graph graph;

    (void)state;
    build_chain(&graph);
    assert_int_equal(graph.values.count, 4);
    assert_string_equal(graph.values.data[1].name, "y");
    assert_string_equal(graph.values.data[3].name, "v3"); /* one is made where none is given */
    assert_int_equal(graph.values.data[1].kind, QVK__VALUE_TENSOR);
    assert_int_equal(graph.values.data[1].syms[0], -1);
    assert_int_equal(graph.nodes.count, 3);
    assert_string_equal(graph.nodes.data[0].target, qvk__op_name(QVK__OP_RELU));
    assert_int_equal(qvk__graph_producer(&graph, 1), 0);
    assert_int_equal(qvk__graph_producer(&graph, 0), -1);
    assert_int_equal(qvk__graph_use_count(&graph, 1), 2); /* by sigmoid, and as an output */
    assert_int_equal(qvk__graph_use_count(&graph, 3), 0);
    assert_int_equal(qvk__graph_verify(&graph, NULL), QVK_OK);
    qvk__graph_finish(&graph);
}

static void arguments_are_copied_deeply(void **state)
{
    int64_t ints[] = {1, 2};
    double floats[] = {0.5};
    bool bools[] = {true, false};
    char text[] = "none";
    qvk__arg items[] = {qvk__arg_from_value(0), {.kind = QVK__ARG_INTS, .count = 2, .u.ints = ints}};
    const qvk__arg args[] = {
        {.kind = QVK__ARG_LIST, .count = 2, .u.list = items},
        {.kind = QVK__ARG_FLOATS, .count = 1, .u.floats = floats},
        {.kind = QVK__ARG_BOOLS, .count = 2, .u.bools = bools},
        {.kind = QVK__ARG_STRING, .u.s = text},
    };
    qvk__graph graph;
    const qvk__arg *copy;
    int32_t out;

    (void)state;
    qvk__graph_init(&graph);
    add_value(&graph, "x");
    out = add_value(&graph, "y");
    assert_int_equal(qvk__graph_add_node(&graph, QVK__OP_NONE, "n", args, 4, &out, 1), 0);
    ints[0] = 99;
    floats[0] = 99;
    bools[0] = false;
    text[0] = 'X';
    items[0] = qvk__arg_from_int(99);
    copy = graph.nodes.data[0].args;
    assert_int_equal(copy[0].u.list[0].kind, QVK__ARG_VALUE);
    assert_int_equal(copy[0].u.list[1].u.ints[0], 1);
    assert_true(copy[1].u.floats[0] == 0.5);
    assert_true(copy[2].u.bools[0]);
    assert_string_equal(copy[3].u.s, "none");
    qvk__graph_finish(&graph);
}

static void dead_chains_go_in_one_sweep(void **state)
{
    qvk__graph graph;

    (void)state;
    build_chain(&graph);
    assert_int_equal(qvk__graph_eliminate_dead(&graph), 2);
    assert_int_equal(qvk__graph_eliminate_dead(&graph), 0);
    assert_int_equal(qvk__graph_producer(&graph, 2), -1); /* its producer is dead */
    qvk__graph_compact(&graph);
    assert_int_equal(graph.nodes.count, 1);
    assert_int_equal(graph.nodes.data[0].op, QVK__OP_RELU);
    assert_int_equal(graph.values.count, 4); /* ids stay */
    assert_int_equal(qvk__graph_verify(&graph, NULL), QVK_OK);
    qvk__graph_finish(&graph);
}

static void operators_with_effects_and_unknown_ones_stay(void **state)
{
    const qvk__arg none = {.kind = QVK__ARG_NULL};
    qvk__graph graph;
    int32_t out;

    (void)state;
    qvk__graph_init(&graph);
    out = add_value(&graph, "unused");
    qvk__graph_add_node(&graph, QVK__OP_NONE, "stranger", &none, 1, &out, 1);
    qvk__graph_add_node(&graph, QVK__OP_LLAMA_UPDATE_CACHE, "cache", &none, 1, &out, 1);
    assert_int_equal(qvk__graph_eliminate_dead(&graph), 0);
    qvk__graph_finish(&graph);
}

static void uses_are_replaced_everywhere_but_in_dead_nodes(void **state)
{
    const qvk__arg items[] = {qvk__arg_from_value(1), qvk__arg_from_value(0)};
    const qvk__arg list = {.kind = QVK__ARG_LIST, .count = 2, .u.list = items};
    qvk__graph graph;
    int32_t out;

    (void)state;
    build_chain(&graph);
    out = add_value(&graph, "joined");
    qvk__graph_add_node(&graph, QVK__OP_NONE, NULL, &list, 1, &out, 1);
    graph.nodes.data[1].dead = true;
    qvk__graph_replace_value(&graph, 1, 0);
    assert_int_equal(graph.outputs.data[0], 0);
    assert_int_equal(graph.nodes.data[3].args[0].u.list[0].u.value, 0);
    assert_int_equal(graph.nodes.data[1].args[0].u.value, 1);
    assert_int_equal(qvk__graph_use_count(&graph, 1), 0);
    assert_int_equal(qvk__graph_use_count(&graph, 0), 4);
    qvk__graph_finish(&graph);
}

/* One thing is wrong with the chain; the message must say which. */
static void expect_bad(qvk__graph *graph, const char *word)
{
    qvk_error err;

    assert_int_equal(qvk__graph_verify(graph, &err), QVK_BAD_FORMAT);
    if (strstr(err.message, word) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", err.message, word);
    qvk__graph_finish(graph);
}

static void verification_names_the_first_offence(void **state)
{
    qvk__graph graph;
    qvk__node moved;

    (void)state;
    build_chain(&graph);
    moved = graph.nodes.data[0];
    graph.nodes.data[0] = graph.nodes.data[1];
    graph.nodes.data[1] = moved;
    expect_bad(&graph, "uses y before it is defined");

    build_chain(&graph);
    graph.nodes.data[0].args[0].u.value = 1000;
    expect_bad(&graph, "argument 0");

    build_chain(&graph);
    graph.nodes.data[0].args[0].u.value = -1;
    expect_bad(&graph, "argument 0");

    build_chain(&graph);
    graph.nodes.data[1].outs[0] = 1000;
    expect_bad(&graph, "output 0 is no value");

    build_chain(&graph);
    graph.nodes.data[1].n_args = 0;
    expect_bad(&graph, "takes 1 arguments, got 0");

    build_chain(&graph);
    graph.inputs.data[0] = 1000;
    expect_bad(&graph, "input 0");

    build_chain(&graph);
    graph.outputs.data[0] = add_value(&graph, "floating");
    expect_bad(&graph, "output 0 is never computed");
}

static void constants_and_inputs_need_no_producer(void **state)
{
    static const qvk__constant constant = {.bytes = 16};
    qvk__graph graph;

    (void)state;
    build_chain(&graph);
    graph.inputs.count = 0;
    graph.values.data[0].constant = &constant;
    assert_int_equal(qvk__graph_verify(&graph, NULL), QVK_OK);
    graph.outputs.data[0] = 0; /* a constant may be an output */
    assert_int_equal(qvk__graph_verify(&graph, NULL), QVK_OK);
    qvk__graph_finish(&graph);
}

static void listing_is_readable(void **state)
{
    const double scale[] = {0.5};
    const int64_t dims[] = {0, -1};
    qvk__arg args[6];
    int32_t outs[2], symbol;
    qvk__string text = {0};
    qvk__graph graph;

    (void)state;
    build_chain(&graph);
    symbol = qvk__graph_add_value(&graph, "seq", NULL);
    args[0] = qvk__arg_from_value(0);
    args[1] = (qvk__arg){.kind = QVK__ARG_NULL};
    args[2] = (qvk__arg){.kind = QVK__ARG_INTS, .count = 2, .u.ints = dims};
    args[3] = (qvk__arg){.kind = QVK__ARG_FLOATS, .count = 1, .u.floats = scale};
    args[4] = (qvk__arg){.kind = QVK__ARG_STRING, .u.s = "tanh"};
    args[5] = qvk__arg_from_bool(true);
    outs[0] = -1;
    outs[1] = symbol;
    qvk__graph_add_node(&graph, QVK__OP_NONE, "odd", args, 6, outs, 2);
    graph.nodes.data[3].target = "my.op.default";
    qvk__graph_eliminate_dead(&graph);
    qvk__graph_print(&graph, &text);
    assert_string_equal(text.data, "input  %x: float32[4]\n"
                                   "%y: float32[4] = aten.relu.default(%x)\n"
                                   "_, %seq: int = my.op.default(%x, None, [0, -1], [0.5], 'tanh', True)\n"
                                   "output %y: float32[4]\n");
    free(text.data);
    qvk__graph_finish(&graph);
}

static const qvk_tensor *tensor_of(void *user, int32_t value)
{
    const qvk_tensor *tensors = user;
    return value < 2 ? &tensors[value] : NULL;
}

static int64_t symbol_of(void *user, int32_t value)
{
    (void)user;
    return 100 + value;
}

static void arguments_resolve_to_tensors_and_numbers(void **state)
{
    const qvk__arg items[] = {qvk__arg_from_value(0), qvk__arg_from_value(2)};
    const qvk__arg args[] = {
        qvk__arg_from_value(1),
        {.kind = QVK__ARG_LIST, .count = 2, .u.list = items},
        qvk__arg_from_float(0.25),
    };
    qvk_tensor tensors[2] = {vec4, vec4};
    const qvk__resolver resolver = {tensor_of, symbol_of, tensors};
    qvk__arena arena = {0};
    qvk__arg out[3];

    (void)state;
    assert_true(qvk__args_resolve(args, 3, &resolver, &arena, out));
    assert_int_equal(out[0].kind, QVK__ARG_TENSOR);
    assert_ptr_equal(out[0].u.tensor, &tensors[1]);
    assert_int_equal(out[1].count, 2);
    assert_ptr_equal(out[1].u.list[0].u.tensor, &tensors[0]);
    assert_int_equal(out[1].u.list[1].kind, QVK__ARG_INT);
    assert_int_equal(out[1].u.list[1].u.i, 102);
    assert_true(out[2].u.f == 0.25);
    assert_int_equal(args[1].u.list[0].kind, QVK__ARG_VALUE); /* the graph's own stay */
    qvk__arena_free(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_and_nodes_are_numbered_in_order),
        cmocka_unit_test(arguments_are_copied_deeply),
        cmocka_unit_test(dead_chains_go_in_one_sweep),
        cmocka_unit_test(operators_with_effects_and_unknown_ones_stay),
        cmocka_unit_test(uses_are_replaced_everywhere_but_in_dead_nodes),
        cmocka_unit_test(verification_names_the_first_offence),
        cmocka_unit_test(constants_and_inputs_need_no_producer),
        cmocka_unit_test(listing_is_readable),
        cmocka_unit_test(arguments_resolve_to_tensors_and_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
