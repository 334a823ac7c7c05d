/* Exported programs in memory: placeholders, outputs, verification, inspection. */
#include "ir/ir.h"
#include "support/support.h"

static const qvk_tensor vec4 = {.dtype = QVK_DTYPE_F32, .rank = 1, .sizes = {4}};
static const float four[4] = {1, 2, 3, 4};
static const qvk__constant constant = {.data = four, .bytes = sizeof four};

static int32_t add(qvk__exported *program, qvk__input_kind kind, const char *target)
{
    int32_t value = qvk__exported_add_constant(program, kind, target, target, &vec4, &constant);
    assert_true(value >= 0);
    return value;
}

static int32_t call(qvk__exported *program, qvk__op op, int32_t a, int32_t b)
{
    const qvk__arg args[] = {qvk__arg_from_value(a), qvk__arg_from_value(b), qvk__arg_from_int(1)};
    qvk_error err = {.message = ""};
    int32_t node = -1;

    assert_int_equal(qvk__exported_call(program, op, args,
                                        op == QVK__OP_ADD_TENSOR ? 3
                                        : b < 0                  ? 1
                                                                 : 2,
                                        &node, &err),
                     QVK_OK);
    return program->graph.nodes.data[node].outs[0];
}

/* x + weight, relu'd; a second constant that nothing uses. */
static void build(qvk__exported *program)
{
    qvk__exported_init(program);
    int32_t x = qvk__exported_add_input(program, "x", &vec4, 0);
    assert_true(x >= 0);
    int32_t weight = add(program, QVK__INPUT_PARAMETER, "weight");
    add(program, QVK__INPUT_BUFFER, "idle");
    int32_t sum = call(program, QVK__OP_ADD_TENSOR, x, weight);
    assert_true(qvk__exported_add_output(program, call(program, QVK__OP_RELU, sum, -1)));
}

static void placeholders_come_in_torchs_order(void **state)
{
    static const char *const expected[] = {"p1", "p2", "b1", "b2", "c1", NULL};
    qvk__exported program;

    (void)state;
    qvk__exported_init(&program);
    assert_true(qvk__exported_add_input(&program, "x", &vec4, 0) >= 0);
    add(&program, QVK__INPUT_TENSOR_CONSTANT, "c1");
    add(&program, QVK__INPUT_PARAMETER, "p1");
    add(&program, QVK__INPUT_BUFFER, "b1");
    add(&program, QVK__INPUT_BUFFER, "b2");
    add(&program, QVK__INPUT_PARAMETER, "p2");
    for (size_t i = 0; i < QVK__COUNT(expected); i++) {
        const qvk__input_spec *spec = &program.inputs.data[i];
        if (expected[i])
            assert_string_equal(spec->target, expected[i]);
        else
            assert_int_equal(spec->kind, QVK__INPUT_USER);
        assert_ptr_equal(qvk__exported_input_of(&program, spec->value), spec);
    }
    assert_null(qvk__exported_input_of(&program, 99));
    qvk__exported_finish(&program);
}

static void unused_constants_are_dropped(void **state)
{
    qvk__exported program;

    (void)state;
    build(&program);
    assert_int_equal(program.inputs.count, 3);
    qvk__exported_drop_unused_constants(&program);
    assert_int_equal(program.inputs.count, 2);
    assert_string_equal(program.inputs.data[0].target, "weight");
    assert_int_equal(qvk__exported_verify(&program, NULL), QVK_OK);
    qvk__exported_finish(&program);
}

static void mutated_buffers_stay(void **state)
{
    qvk__exported program;
    qvk__output_spec mutation = {.kind = QVK__OUTPUT_BUFFER_MUTATION, .output = 1, .target = "idle"};

    (void)state;
    build(&program);
    assert_true(QVK__VEC_PUSH(&program.outputs, mutation));
    assert_true(QVK__VEC_PUSH(&program.graph.outputs, program.graph.outputs.data[0]));
    qvk__exported_drop_unused_constants(&program);
    assert_int_equal(program.inputs.count, 3);
    assert_int_equal(qvk__exported_verify(&program, NULL), QVK_OK);
    qvk__exported_finish(&program);
}

static void replacing_a_value_replaces_the_output(void **state)
{
    qvk__exported program;

    (void)state;
    build(&program);
    int32_t old = qvk__exported_output_value(&program, 0), weight = program.inputs.data[0].value;
    assert_int_equal(old, program.graph.nodes.data[1].outs[0]);
    qvk__graph_replace_value(&program.graph, old, weight);
    assert_int_equal(qvk__exported_output_value(&program, 0), weight);
    qvk__exported_finish(&program);
}

/* One thing wrong at a time; each must be found, and named. */
static void verification_finds_every_fault(void **state)
{
    static const char *const words[] = {
        "placeholder 1 is no value",
        "is not input 0 of the graph",
        "weight has no data",
        "weight: 15 bytes for float32[4]",
        "the graph 2",
        "output 0 of the signature",
        "output 0 mutates nothing",
        "the graph 2",
        "no such expression",
        "impossible shape",
        "the signature has 0 user inputs",
        "placeholder 0 has no name",
    };

    (void)state;
    for (size_t i = 0; i < QVK__COUNT(words); i++) {
        qvk__constant odd = constant;
        qvk__exported program;
        qvk_error err = {.message = ""};
        build(&program);
        qvk__value *values = program.graph.values.data;
        int32_t weight = program.inputs.data[0].value;
        switch (i) {
        case 0: program.inputs.data[1].value = 1000; break;
        case 1: program.inputs.data[2].value = weight; break;
        case 2: values[weight].constant = NULL; break;
        case 3:
            odd.bytes = 15;
            values[weight].constant = &odd;
            break;
        case 4: assert_true(QVK__VEC_PUSH(&program.graph.inputs, program.graph.inputs.data[0])); break;
        case 5: program.outputs.data[0].output = 1; break;
        case 6: program.outputs.data[0].kind = QVK__OUTPUT_INPUT_MUTATION; break;
        case 7: assert_true(QVK__VEC_PUSH(&program.graph.outputs, weight)); break;
        case 8: values[weight].syms[0] = 77; break;
        case 9: values[weight].desc.sizes[0] = -1; break;
        case 10: program.inputs.count = 2; break;
        default: program.inputs.data[0].target = NULL; break;
        }
        qvk_status status = qvk__exported_verify(&program, &err);
        if (i == 2) /* the graph misses it first */
            assert_non_null(strstr(err.message, "weight"));
        else if (status != QVK_BAD_FORMAT || !strstr(err.message, words[i]))
            fail_msg("fault %zu: %s: %s", i, qvk_status_name(status), err.message);
        qvk__exported_finish(&program);
    }
}

static void listings_are_stable(void **state)
{
    static const char expected[] = "exported program: 2 operators, 16 bytes of weights, 0 sample inputs\n"
                                   "  input 0: x float32[4]\n"
                                   "  output 0: relu float32[4]\n"
                                   "  parameter weight: float32[4], 16 bytes\n"
                                   "  buffer idle: float32[4], 16 bytes\n"
                                   "     1 x aten.add.Tensor\n"
                                   "     1 x aten.relu.default\n";
    static const char nodes[] = "input  %x: float32[4]\n"
                                "%add: float32[4] = aten.add.Tensor(%x, %weight, 1)\n"
                                "%relu: float32[4] = aten.relu.default(%add)\n"
                                "output %relu: float32[4]\n";
    qvk__string text = {0};
    qvk__exported program;

    (void)state;
    build(&program);
    qvk__exported_print(&program, true, &text);
    assert_true(qvk__starts_with(text.data, expected));
    assert_string_equal(text.data + sizeof expected - 1, nodes);
    free(text.data);
    qvk__exported_finish(&program);
}

static void json_says_the_same(void **state)
{
    static const char expected[] =
        "{\"format\": \"pt2\", \"samples\": 0, \"methods\": [{\"name\": \"forward\", "
        "\"inputs\": [{\"name\": \"x\", \"dtype\": \"float32\", \"shape\": [4]}], "
        "\"outputs\": [{\"name\": \"relu\", \"dtype\": \"float32\", \"shape\": [4]}], "
        "\"dynamic\": {}, \"bytes\": 16, \"weights\": ["
        "{\"name\": \"weight\", \"kind\": \"parameter\", \"dtype\": \"float32\", \"shape\": [4], \"bytes\": "
        "16}, "
        "{\"name\": \"idle\", \"kind\": \"buffer\", \"dtype\": \"float32\", \"shape\": [4], \"bytes\": 16}], "
        "\"operators\": [{\"name\": \"aten.add.Tensor\", \"count\": 1}, {\"name\": \"aten.relu.default\", "
        "\"count\": 1}]"
        "}]}\n";
    qvk__string text = {0};
    qvk__exported program;

    (void)state;
    build(&program);
    qvk__exported_print_json(&program, false, &text);
    assert_string_equal(text.data, expected);
    free(text.data);
    qvk__exported_finish(&program);
}

/* A weight in `bits` bits with groups of 2, its layer's input quantized when it runs (dynamic), before
 * (static), or not at all. */
static void schemes_are_recognised(void **state)
{
    static const qvk_tensor matrix = {.dtype = QVK_DTYPE_I8, .rank = 2, .sizes = {3, 4}};
    static const qvk_tensor scales = {.dtype = QVK_DTYPE_F32, .rank = 2, .sizes = {3, 2}};
    static const qvk_tensor input = {.dtype = QVK_DTYPE_F32, .rank = 2, .sizes = {2, 4}};
    static const int64_t block[] = {1, 2};
    static const qvk__constant ints = {.data = four, .bytes = 12}, floats = {.data = four, .bytes = 24};
    static const struct {
        int64_t low, high;
        bool quantize, dynamic;
        const char *scheme;
    } cases[] = {{-8, 7, false, false, "4w group size 2"},
                 {-128, 127, true, true, "8da8w group size 2"},
                 {-127, 127, true, false, "8a8w group size 2"},
                 {-2, 1, true, true, "8da2w group size 2"}};

    (void)state;
    for (size_t i = 0; i < QVK__COUNT(cases); i++) {
        qvk__exported program;
        qvk__string text = {0};
        int32_t node;
        qvk__exported_init(&program);
        int32_t x = qvk__exported_add_input(&program, "x", &input, 0);
        int32_t q = qvk__exported_add_constant(&program, QVK__INPUT_PARAMETER, "q", "q", &matrix, &ints);
        int32_t s = qvk__exported_add_constant(&program, QVK__INPUT_PARAMETER, "s", "s", &scales, &floats);
        const qvk__arg weight[] = {qvk__arg_from_value(q),
                                   {.kind = QVK__ARG_INTS, .count = 2, .u.ints = block},
                                   qvk__arg_from_value(s),
                                   {.kind = QVK__ARG_NULL},
                                   qvk__arg_from_int(1),
                                   qvk__arg_from_int(cases[i].low),
                                   qvk__arg_from_int(cases[i].high),
                                   qvk__arg_from_int(6)};
        assert_int_equal(
            qvk__exported_call(&program, QVK__OP_TORCHAO_DEQUANTIZE_AFFINE, weight, 8, &node, NULL), QVK_OK);
        int32_t w = program.graph.nodes.data[node].outs[0];
        if (cases[i].quantize) {
            qvk__arg scale = qvk__arg_from_float(0.5), zero = qvk__arg_from_int(0);
            const qvk__arg range[] = {qvk__arg_from_value(x), qvk__arg_from_int(-128), qvk__arg_from_int(127),
                                      qvk__arg_from_float(1e-5), qvk__arg_from_int(1)};
            if (cases[i].dynamic) {
                assert_int_equal(
                    qvk__exported_call(&program, QVK__OP_QD_CHOOSE_QPARAMS_TENSOR, range, 5, &node, NULL),
                    QVK_OK);
                scale = qvk__arg_from_value(program.graph.nodes.data[node].outs[0]);
                zero = qvk__arg_from_value(program.graph.nodes.data[node].outs[1]);
            }
            const qvk__arg quantize[] = {
                qvk__arg_from_value(x), scale, zero, qvk__arg_from_int(-128), qvk__arg_from_int(127),
                qvk__arg_from_int(1)};
            assert_int_equal(qvk__exported_call(&program,
                                                cases[i].dynamic ? QVK__OP_QD_QUANTIZE_PER_TENSOR_TENSOR
                                                                 : QVK__OP_QD_QUANTIZE_PER_TENSOR,
                                                quantize, 6, &node, NULL),
                             QVK_OK);
            const qvk__arg back[] = {qvk__arg_from_value(program.graph.nodes.data[node].outs[0]),
                                     scale,
                                     zero,
                                     qvk__arg_from_int(-128),
                                     qvk__arg_from_int(127),
                                     qvk__arg_from_int(1),
                                     {.kind = QVK__ARG_NULL}};
            assert_int_equal(qvk__exported_call(&program,
                                                cases[i].dynamic ? QVK__OP_QD_DEQUANTIZE_PER_TENSOR_TENSOR
                                                                 : QVK__OP_QD_DEQUANTIZE_PER_TENSOR,
                                                back, 7, &node, NULL),
                             QVK_OK);
            x = program.graph.nodes.data[node].outs[0];
        }
        const qvk__arg linear[] = {qvk__arg_from_value(x), qvk__arg_from_value(w), {.kind = QVK__ARG_NULL}};
        assert_int_equal(qvk__exported_call(&program, QVK__OP_LINEAR, linear, 3, &node, NULL), QVK_OK);
        assert_true(qvk__exported_add_output(&program, program.graph.nodes.data[node].outs[0]));
        qvk__exported_print(&program, false, &text);
        if (!strstr(text.data, cases[i].scheme))
            fail_msg("no %s in\n%s", cases[i].scheme, text.data);
        free(text.data);
        qvk__exported_finish(&program);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(placeholders_come_in_torchs_order),
        cmocka_unit_test(unused_constants_are_dropped),
        cmocka_unit_test(mutated_buffers_stay),
        cmocka_unit_test(replacing_a_value_replaces_the_output),
        cmocka_unit_test(verification_finds_every_fault),
        cmocka_unit_test(listings_are_stable),
        cmocka_unit_test(json_says_the_same),
        cmocka_unit_test(schemes_are_recognised),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
