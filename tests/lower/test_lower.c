/* What small programs become: fusion patterns, compatible files, half floats, dynamic shapes, what is
 * refused. */
#include <stdio.h>

#include "api/program_internal.h"
#include "qvk/context.h"
#include "support/support.h"

#define ARGS(...)                                                                                            \
    (const qvk_argument[]){__VA_ARGS__}, sizeof((const qvk_argument[]){__VA_ARGS__}) / sizeof(qvk_argument)
#define NODE(n)                                                                                              \
    {                                                                                                        \
        .kind = QVK_ARGUMENT_NODE, .node = (n)                                                               \
    }
#define NONE                                                                                                 \
    {                                                                                                        \
        .kind = QVK_ARGUMENT_NONE                                                                            \
    }
#define INT(n)                                                                                               \
    {                                                                                                        \
        .kind = QVK_ARGUMENT_INT, .i = (n)                                                                   \
    }
#define INTS2(a, b)                                                                                          \
    {                                                                                                        \
        .kind = QVK_ARGUMENT_INTS, .ints = (const int64_t[]){a, b}, .count = 2                               \
    }
#define SIZES(...)                                                                                           \
    (const int64_t[])                                                                                        \
    {                                                                                                        \
        __VA_ARGS__                                                                                          \
    }

/* ---- models --------------------------------------------------------------------------------------------- */

static qvk_node *parameter(qvk_builder *builder, const char *name, int32_t rank, const int64_t *sizes)
{
    qvk_tensor tensor = {.dtype = QVK_DTYPE_F32, .rank = rank};
    test_rng rng = test_rng_seed(5);
    qvk_node *node;
    int64_t n;

    memcpy(tensor.sizes, sizes, (size_t)rank * sizeof *sizes);
    n = qvk_tensor_numel(&tensor);
    tensor.data = malloc((size_t)n * sizeof(float));
    assert_non_null(tensor.data);
    test_rng_fill_uniform(&rng, tensor.data, (size_t)n, -0.5F, 0.5F);
    node = qvk_builder_parameter(builder, name, &tensor);
    free(tensor.data);
    return node;
}

static qvk_node *rows(qvk_builder *builder)
{
    return qvk_builder_input(builder, "x", QVK_DTYPE_F32, 2, SIZES(8, 64), 1);
}

static qvk_node *image(qvk_builder *builder)
{
    return qvk_builder_input(builder, "x", QVK_DTYPE_F32, 4, SIZES(1, 8, 6, 6), 0);
}

static qvk_node *linear(qvk_builder *builder, qvk_node *x)
{
    return qvk_builder_linear(builder, x, parameter(builder, "fc.weight", 2, SIZES(16, 64)),
                              parameter(builder, "fc.bias", 1, SIZES(16)));
}

static qvk_node *linear_of_rows(qvk_builder *builder)
{
    return linear(builder, rows(builder));
}

static qvk_node *linear_of_three(qvk_builder *builder)
{
    return linear(builder, qvk_builder_input(builder, "x", QVK_DTYPE_F32, 2, SIZES(3, 64), 0));
}

static qvk_node *linear_relu(qvk_builder *builder)
{
    qvk_node *x = linear_of_three(builder);
    return qvk_builder_call(builder, "aten.relu.default", ARGS(NODE(x)));
}

static qvk_node *gate(qvk_builder *builder)
{
    return qvk_builder_call(builder, "aten.silu.default", ARGS(NODE(rows(builder))));
}

static qvk_node *product(qvk_builder *builder)
{
    qvk_node *x = rows(builder), *w = parameter(builder, "w", 2, SIZES(16, 64));
    w = qvk_builder_call(builder, "aten.t.default", ARGS(NODE(w)));
    return qvk_builder_call(builder, "aten.mm.default", ARGS(NODE(x), NODE(w)));
}

static qvk_node *conv(qvk_builder *builder, qvk_node *x, int64_t out, int64_t in, int64_t kernel,
                      int64_t groups)
{
    qvk_node *w = parameter(builder, "conv.weight", 4, SIZES(out, in / groups, kernel, kernel));
    return qvk_builder_call(
        builder, "aten.conv2d.default",
        ARGS(NODE(x), NODE(w), NONE, INTS2(1, 1), INTS2(kernel / 2, kernel / 2), INTS2(1, 1), INT(groups)));
}

static qvk_node *conv_relu(qvk_builder *builder)
{
    qvk_node *x = conv(builder, image(builder), 8, 8, 3, 1);
    return qvk_builder_call(builder, "aten.relu.default", ARGS(NODE(x)));
}

static qvk_node *conv_norm_relu(qvk_builder *builder)
{
    qvk_node *x = conv(builder, image(builder), 8, 8, 3, 1);
    qvk_node *w = parameter(builder, "norm.weight", 1, SIZES(8)),
             *b = parameter(builder, "norm.bias", 1, SIZES(8));
    qvk_node *mean = parameter(builder, "norm.mean", 1, SIZES(8));
    qvk_node *variance = qvk_builder_parameter(
        builder, "norm.variance", &(qvk_tensor){QVK_DTYPE_F32, 1, {8}, (float[8]){1, 2, 3, 4, 5, 6, 7, 8}});

    x = qvk_builder_call(builder, "aten.batch_norm.default",
                         ARGS(NODE(x), NODE(w), NODE(b), NODE(mean), NODE(variance),
                              {.kind = QVK_ARGUMENT_BOOL, .i = 0}, {.kind = QVK_ARGUMENT_FLOAT, .f = 0.1},
                              {.kind = QVK_ARGUMENT_FLOAT, .f = 1e-5}, {.kind = QVK_ARGUMENT_BOOL, .i = 0}));
    return qvk_builder_call(builder, "aten.relu.default", ARGS(NODE(x)));
}

static qvk_node *conv_only(qvk_builder *builder)
{
    return conv(builder, image(builder), 8, 8, 3, 1);
}

static qvk_node *conv_pointwise(qvk_builder *builder)
{
    return conv(builder, image(builder), 16, 8, 1, 1);
}

static qvk_node *conv_depthwise(qvk_builder *builder)
{
    return conv(builder, image(builder), 8, 8, 3, 8);
}

static qvk_node *residual(qvk_builder *builder)
{
    qvk_node *x = image(builder), *y = conv(builder, x, 8, 8, 3, 1);
    return qvk_builder_call(builder, "aten.add.Tensor", ARGS(NODE(x), NODE(y)));
}

static qvk_node *embedding(qvk_builder *builder)
{
    qvk_node *index = qvk_builder_input(builder, "i", QVK_DTYPE_I64, 2, SIZES(1, 5), 0);
    qvk_node *w = parameter(builder, "emb.weight", 2, SIZES(10, 32));
    return qvk_builder_call(builder, "aten.embedding.default", ARGS(NODE(w), NODE(index)));
}

typedef qvk_node *(*model_fn)(qvk_builder *builder);

static qvk_program *build(model_fn model)
{
    qvk_builder *builder = NULL;
    qvk_program *program = NULL;
    qvk_error err = {.message = ""};

    assert_int_equal(qvk_builder_create(&builder, NULL), QVK_OK);
    qvk_builder_output(builder, model(builder));
    if (qvk_builder_finish(&builder, &program, &err) != QVK_OK)
        fail_msg("%s", err.message);
    return program;
}

/* ---- quantizing and lowering ---------------------------------------------------------------------------- */

static void quantize_static(qvk_program *program)
{
    qvk_vulkan_quantizer *quantizer = NULL;
    test_rng rng = test_rng_seed(3);
    qvk_error err = {.message = ""};
    qvk_tensor sample;

    assert_int_equal(qvk_vulkan_quantizer_create(&quantizer, NULL), QVK_OK);
    assert_int_equal(qvk_vulkan_quantizer_set_static(quantizer, NULL), QVK_OK);
    assert_int_equal(qvk_prepare_pt2e(program, quantizer, NULL), QVK_OK);
    qvk_vulkan_quantizer_destroy(&quantizer);
    assert_int_equal(qvk_program_input(program, 0, &sample, NULL), QVK_OK);
    sample.data = malloc(qvk_tensor_bytes(&sample));
    test_rng_fill_uniform(&rng, sample.data, (size_t)qvk_tensor_numel(&sample), -1.0F, 1.0F);
    if (qvk_calibrate(program, NULL, &sample, 1, &err) != QVK_OK || qvk_convert_pt2e(program, &err) != QVK_OK)
        fail_msg("%s", err.message);
    free(sample.data);
}

static void quantize_weights(qvk_program *program, int bits, int64_t group_size, bool dynamic)
{
    const qvk_quant_config config = {
        .kind = dynamic ? QVK_CONFIG_INT8_DYNAMIC_ACTIVATION_INTX_WEIGHT : QVK_CONFIG_INTX_WEIGHT_ONLY,
        .weight_bits = bits,
        .granularity = {group_size},
    };
    const qvk_quantize_params params = {.embeddings = true};
    qvk_error err = {.message = ""};

    if (qvk_quantize(program, &config, &params, &err) != QVK_OK)
        fail_msg("%s", err.message);
}

static qvk_lowered *lower(const qvk_program *program, const qvk_vulkan_partitioner_options *options)
{
    qvk_lowered *lowered = NULL;
    qvk_error err = {.message = ""};

    if (qvk_to_edge_transform_and_lower(program, options, &lowered, &err) != QVK_OK ||
        qvk_to_executorch(lowered, &err) != QVK_OK)
        fail_msg("%s", err.message);
    return lowered;
}

/* Operators of the delegates in order, then those outside after a bar; the caller frees it. */
static char *operators(const qvk_lowered *lowered)
{
    const qvk__method *method = &lowered->program.methods[0];
    qvk__string text = {0};

    for (uint32_t i = 0; i < method->n_delegates; i++) {
        const qvk__graph *graph = &method->delegates[i].graph;
        for (size_t n = 0; n < graph->nodes.count; n++)
            qvk__string_addf(&text, "%s%s", text.count ? " " : "", qvk__op_name(graph->nodes.data[n].op));
    }
    for (uint32_t i = 0; i < method->n_operators; i++)
        qvk__string_addf(&text, " | %s", method->operators[i].name);
    return text.data;
}

#define QUANTIZE   "quantized_decomposed.quantize_per_tensor.default"
#define DEQUANTIZE "quantized_decomposed.dequantize_per_tensor.default"

enum { FLOAT = 0, STATIC = -1 };

typedef struct pattern {
    const char *name;
    model_fn model;
    int bits; /* FLOAT, STATIC, or of the weights */
    int64_t group_size;
    bool dynamic, compat;
    const char *operators;
} pattern;

static const pattern patterns[] = {
#include "lower/patterns.def"
};

static void patterns_become_these_operators(void **state)
{
    int failures = 0;

    (void)state;
    for (size_t i = 0; i < sizeof patterns / sizeof patterns[0]; i++) {
        const pattern *p = &patterns[i];
        const qvk_vulkan_partitioner_options options = {.compat_executorch = p->compat};
        qvk_program *program = build(p->model);
        qvk_lowered *lowered;
        char *found;

        if (p->bits == STATIC)
            quantize_static(program);
        else if (p->bits != FLOAT)
            quantize_weights(program, p->bits, p->group_size, p->dynamic);
        lowered = lower(program, &options);
        found = operators(lowered);
        if (strcmp(found, p->operators) != 0) {
            print_error("%s: %s\n    expected %s\n", p->name, found, p->operators);
            failures++;
        }
        free(found);
        qvk_lowered_destroy(&lowered);
        qvk_program_destroy(&program);
    }
    assert_int_equal(failures, 0);
}

/* ---- running -------------------------------------------------------------------------------------------- */

static qvk_module *load(qvk_context *context, const qvk_lowered *lowered)
{
    qvk_module *module = NULL;
    qvk_error err = {.message = ""};

    if (qvk_module_load_lowered(context, lowered, NULL, &module, &err) != QVK_OK)
        fail_msg("%s", err.message);
    return module;
}

static qvk_context *reference(void)
{
    const qvk_context_params params = {.device = "cpu"};
    qvk_context *context = NULL;

    assert_int_equal(qvk_context_create(&params, &context, NULL), QVK_OK);
    return context;
}

/* The first n rows of one set of numbers through the linear; outputs 16 n numbers. */
static void forward_rows(qvk_module *module, int64_t n, float *out)
{
    qvk_value input = {.kind = QVK_VALUE_TENSOR, .tensor = {QVK_DTYPE_F32, 2, {n, 64}, NULL}}, output;
    test_rng rng = test_rng_seed(9);
    qvk_error err = {.message = ""};
    float data[8 * 64];

    test_rng_fill_uniform(&rng, data, 8 * 64, -1.0F, 1.0F);
    input.tensor.data = data;
    if (qvk_module_forward(module, NULL, &input, 1, &output, 1, &err) != QVK_OK)
        fail_msg("%s", err.message);
    assert_int_equal(output.tensor.sizes[0], n);
    assert_int_equal(output.tensor.sizes[1], 16);
    memcpy(out, output.tensor.data, (size_t)n * 16 * sizeof *out);
}

static void dynamic_rows_run_in_any_order(void **state)
{
    static const int64_t sizes[] = {8, 1, 5, 1, 5, 8};
    qvk_program *program = build(linear_of_rows);
    qvk_context *context = reference();
    float all[8 * 16], some[8 * 16];
    qvk_lowered *lowered;
    qvk_module *module;

    (void)state;
    quantize_weights(program, 4, 32, true);
    lowered = lower(program, NULL);
    module = load(context, lowered);
    forward_rows(module, 8, all);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        forward_rows(module, sizes[i], some);
        test_assert_close("rows", some, all, (size_t)sizes[i] * 16, TEST_EXACT);
    }
    qvk_module_destroy(&module);
    qvk_context_destroy(&context);
    qvk_lowered_destroy(&lowered);
    qvk_program_destroy(&program);
}

static void half_floats_are_close(void **state)
{
    const qvk_vulkan_partitioner_options half = {.force_fp16 = true};
    qvk_program *program = build(linear_of_rows);
    qvk_context *context = reference();
    qvk_lowered *wide = lower(program, NULL), *narrow = lower(program, &half);
    qvk_module *modules[2] = {load(context, wide), load(context, narrow)};
    const qvk__graph *graph = &narrow->program.methods[0].delegates[0].graph;
    float outputs[2][4 * 16];
    int halves = 0;

    (void)state;
    for (size_t i = 0; i < graph->values.count; i++)
        halves += graph->values.data[i].desc.dtype == QVK_DTYPE_F16;
    assert_true(halves >= 4); /* input, weight, bias, output */
    for (int i = 0; i < 2; i++)
        forward_rows(modules[i], 4, outputs[i]);
    test_assert_close("output", outputs[1], outputs[0], 4 * 16,
                      (test_tolerance){"halves of sums near 1", 4e-3, 4e-3});
    for (int i = 0; i < 2; i++)
        qvk_module_destroy(&modules[i]);
    qvk_context_destroy(&context);
    qvk_lowered_destroy(&wide);
    qvk_lowered_destroy(&narrow);
    qvk_program_destroy(&program);
}

static void observed_values_are_further_outputs(void **state)
{
    const qvk_vulkan_partitioner_options options = {.observe = (const char *const[]){"linear", NULL}};
    const qvk_vulkan_partitioner_options unknown = {.observe = (const char *const[]){"nothing", NULL}};
    qvk_program *program = build(linear_relu);
    qvk_lowered *lowered = NULL;
    qvk_error err = {.message = ""};

    (void)state;
    assert_int_equal(qvk_program_node_count(program), 2);
    assert_string_equal(qvk_program_node_name(program, 0), "linear");
    assert_string_equal(qvk_program_node_name(program, 1), "relu");
    assert_null(qvk_program_node_name(program, 2));
    lowered = lower(program, &options);
    assert_int_equal(lowered->program.methods[0].n_outputs, 2);
    qvk_lowered_destroy(&lowered);
    assert_int_equal(qvk_to_edge_transform_and_lower(program, &unknown, &lowered, &err), QVK_NOT_FOUND);
    assert_non_null(strstr(err.message, "'nothing'"));
    assert_null(lowered);
    qvk_program_destroy(&program);
}

/* ---- weights -------------------------------------------------------------------------------------------- */

static qvk_node *odd_linear(qvk_builder *builder)
{
    qvk_node *x = qvk_builder_input(builder, "x", QVK_DTYPE_F32, 2, SIZES(3, 35), 0);
    return qvk_builder_linear(builder, x, parameter(builder, "fc.weight", 2, SIZES(9, 35)), NULL);
}

/* Bytes of the only constant of this type; the caller releases them. */
static const uint8_t *only_constant(const qvk__graph *graph, qvk_dtype dtype, const qvk__value **value)
{
    const void *bytes = NULL;

    *value = NULL;
    for (size_t i = 0; i < graph->values.count; i++) {
        if (!graph->values.data[i].constant || graph->values.data[i].desc.dtype != dtype ||
            graph->values.data[i].desc.sizes[1] <= 5)
            continue; /* the zero points are int8 too, five a row */
        assert_null(*value);
        *value = &graph->values.data[i];
    }
    assert_non_null(*value);
    assert_int_equal(qvk__constant_bytes((*value)->constant, &bytes, NULL), QVK_OK);
    return bytes;
}

/* Low half first, 8 added; behind a row of odd length zeros, up to four bytes. */
static void four_bits_are_packed_in_pairs(void **state)
{
    enum { ROWS = 9, COLUMNS = 35, WIDTH = 20 };
    qvk_program *program = build(odd_linear);
    const qvk__value *whole, *packed;
    const uint8_t *bytes;
    const int8_t *integers;
    qvk_lowered *lowered;

    (void)state;
    quantize_weights(program, 4, 7, false);
    lowered = lower(program, NULL);
    integers = (const int8_t *)only_constant(&program->exported.graph, QVK_DTYPE_I8, &whole);
    bytes = only_constant(&lowered->program.methods[0].delegates[0].graph, QVK_DTYPE_U8, &packed);
    assert_int_equal(packed->desc.sizes[1], WIDTH);
    for (int row = 0; row < ROWS; row++) {
        for (int k = 0; k < 2 * WIDTH; k++) {
            const int half = bytes[row * WIDTH + k / 2] >> (k % 2 ? 4 : 0) & 15;
            assert_int_equal(half, k < COLUMNS ? integers[row * COLUMNS + k] + 8 : 8);
        }
    }
    qvk__constant_release(whole->constant, integers);
    qvk__constant_release(packed->constant, bytes);
    qvk_lowered_destroy(&lowered);
    qvk_program_destroy(&program);
}

/* ---- what is refused ------------------------------------------------------------------------------------ */

static void assert_refused(const qvk_program *program, qvk_status status, const char *const words[], size_t n)
{
    qvk_lowered *lowered = NULL;
    qvk_error err = {.message = ""};

    assert_int_equal(qvk_to_edge_transform_and_lower(program, NULL, &lowered, &err), status);
    for (size_t i = 0; i < n; i++)
        if (!strstr(err.message, words[i]))
            fail_msg("%s, expected %s", err.message, words[i]);
    assert_null(lowered);
}

static void an_unknown_operator_is_named_with_its_trace(void **state)
{
    static const char *const words[] = {"mylib.fancy.default", "File \"model.py\", line 3"};
    qvk_program *program = build(linear_relu);
    qvk__node *node = &program->exported.graph.nodes.data[1];

    (void)state;
    node->op = QVK__OP_NONE;
    node->target = words[0];
    node->trace = words[1];
    assert_refused(program, QVK_UNSUPPORTED_OPERATOR, words, 2);
    qvk_program_destroy(&program);
}

/* y = relu(x); z = y.view(...); y.add_(y); return z: torch's z sees the sum, a functional z would not. */
static qvk_node *write_under_a_view(qvk_builder *builder)
{
    qvk_node *y = qvk_builder_call(builder, "aten.relu.default", ARGS(NODE(rows(builder))));
    qvk_node *z = qvk_builder_call(builder, "aten.transpose.int", ARGS(NODE(y), INT(0), INT(1)));

    qvk_builder_call(builder, "aten.add_.Tensor", ARGS(NODE(y), NODE(y)));
    return z;
}

static void a_write_under_a_live_view_is_refused(void **state)
{
    static const char *const words[] = {"aten.add_.Tensor", "in place while a view of it"};
    qvk_program *program = build(write_under_a_view);

    (void)state;
    assert_refused(program, QVK_UNSUPPORTED, words, 2);
    qvk_program_destroy(&program);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(patterns_become_these_operators),
        cmocka_unit_test(dynamic_rows_run_in_any_order),
        cmocka_unit_test(half_floats_are_close),
        cmocka_unit_test(observed_values_are_further_outputs),
        cmocka_unit_test(four_bits_are_packed_in_pairs),
        cmocka_unit_test(an_unknown_operator_is_named_with_its_trace),
        cmocka_unit_test(a_write_under_a_live_view_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
