/* Programs built in C: shapes and symbolic sizes of all kinds of operators, errors kept to the end, files. */
#include <stdio.h>

#include "api/program_internal.h"
#include "qvk/program.h"
#include "support/support.h"

#define ARGS(...)                                                                                            \
    (const qvk_argument[]){__VA_ARGS__}, sizeof((const qvk_argument[]){__VA_ARGS__}) / sizeof(qvk_argument)
#define NODE(n)                                                                                              \
    {                                                                                                        \
        .kind = QVK_ARGUMENT_NODE, .node = (n)                                                               \
    }
#define INT(n)                                                                                               \
    {                                                                                                        \
        .kind = QVK_ARGUMENT_INT, .i = (n)                                                                   \
    }
#define INTS(...)                                                                                            \
    {                                                                                                        \
        .kind = QVK_ARGUMENT_INTS, .ints = (const int64_t[]){__VA_ARGS__},                                   \
        .count = sizeof((const int64_t[]){__VA_ARGS__}) / sizeof(int64_t)                                    \
    }

static qvk_builder *create(void)
{
    qvk_builder *builder = NULL;
    assert_int_equal(qvk_builder_create(&builder, NULL), QVK_OK);
    return builder;
}

static qvk_node *input(qvk_builder *builder, const char *name, int32_t rank, const int64_t *sizes,
                       uint32_t dynamic)
{
    return qvk_builder_input(builder, name, QVK_DTYPE_F32, rank, sizes, dynamic);
}

/* Sizes of a node as text, with symbols. */
static void assert_sizes(qvk_builder *builder, qvk_node *node, const char *expected)
{
    qvk_program *program = NULL;
    qvk_error err = {.message = ""};
    qvk__string text = {0};
    const char *sizes;

    qvk_builder_output(builder, node);
    qvk_status status = qvk_builder_finish(&builder, &program, &err);
    assert_string_equal(err.message, "");
    assert_int_equal(status, QVK_OK);
    assert_null(builder);
    qvk__exported_print(&program->exported, false, &text);
    sizes = strstr(text.data, "output 0: ");
    sizes = strchr(sizes, '[');
    if (strncmp(sizes, expected, strlen(expected)) != 0 || sizes[strlen(expected)] != '\n')
        fail_msg("%s, expected %s", text.data, expected);
    free(text.data);
    qvk_program_destroy(&program);
    assert_null(program);
}

static void static_shapes_are_inferred(void **state)
{
    static const int64_t image[] = {1, 3, 8, 8}, matrix[] = {2, 6};
    static float weights[8 * 27];
    const qvk_tensor kernel = {QVK_DTYPE_F32, 4, {8, 3, 3, 3}, weights};
    qvk_builder *b;

    (void)state;
    b = create();
    assert_sizes(b, qvk_builder_call(b, "aten.relu.default", ARGS(NODE(input(b, "x", 2, matrix, 0)))),
                 "[2, 6]");
    b = create();
    qvk_node *w = qvk_builder_parameter(b, "conv.weight", &kernel);
    assert_sizes(b,
                 qvk_builder_call(b, "aten.conv2d.default",
                                  ARGS(NODE(input(b, "x", 4, image, 0)), NODE(w), {.kind = QVK_ARGUMENT_NONE},
                                       INTS(2, 2), INTS(1, 1))),
                 "[1, 8, 4, 4]");
    b = create();
    assert_sizes(b,
                 qvk_builder_call(b, "aten.flatten.using_ints",
                                  ARGS(NODE(input(b, "x", 4, image, 0)),
                                       {.name = "start_dim", .kind = QVK_ARGUMENT_INT, .i = 1})),
                 "[1, 192]");
    b = create();
    assert_sizes(b, qvk_builder_call(b, "aten.softmax.int", ARGS(NODE(input(b, "x", 2, matrix, 0)), INT(-1))),
                 "[2, 6]");
    b = create();
    assert_sizes(
        b, qvk_builder_call(b, "aten.reshape.default", ARGS(NODE(input(b, "x", 2, matrix, 0)), INTS(3, -1))),
        "[3, 4]");
}

static void symbolic_sizes_are_found(void **state)
{
    static const int64_t xs[] = {4, 10, 16}, image[] = {1, 3, 32, 48};
    static float weights[16 * 16];
    const qvk_tensor matrix = {QVK_DTYPE_F32, 2, {8, 16}, weights},
                     kernel = {QVK_DTYPE_F32, 4, {1, 3, 3, 3}, weights};
    qvk_builder *b;
    qvk_node *x, *y;

    (void)state;
    b = create(); /* equal sizes are one symbol from there on */
    x = input(b, "x", 3, xs, 3);
    y = input(b, "y", 3, xs, 3);
    assert_sizes(b, qvk_builder_call(b, "aten.add.Tensor", ARGS(NODE(x), NODE(y))), "[s0, s1, 16]");
    b = create();
    x = input(b, "x", 3, xs, 3);
    assert_sizes(b, qvk_builder_linear(b, x, qvk_builder_parameter(b, "w", &matrix), NULL), "[s0, s1, 8]");
    b = create();
    x = input(b, "x", 3, xs, 3);
    assert_sizes(b, qvk_builder_call(b, "aten.view_copy.default", ARGS(NODE(x), INTS(-1, 16))),
                 "[s0*s1, 16]");
    b = create();
    x = input(b, "x", 3, xs, 3);
    assert_sizes(b, qvk_builder_call(b, "aten.view.default", ARGS(NODE(x), INTS(-1))), "[16*s0*s1]");
    b = create();
    x = input(b, "x", 3, xs, 2);
    y = input(b, "y", 3, xs, 2);
    assert_sizes(
        b,
        qvk_builder_call(
            b, "aten.cat.default",
            ARGS({.kind = QVK_ARGUMENT_NODES, .nodes = (qvk_node *const[]){x, y}, .count = 2}, INT(1))),
        "[4, (s0 + s1), 16]");
    b = create();
    x = input(b, "x", 3, xs, 2);
    assert_sizes(
        b, qvk_builder_call(b, "aten.slice.Tensor", ARGS(NODE(x), INT(1), INT(0), INT(INT64_MAX), INT(3))),
        "[4, ((s0 + 2)//3), 16]");
    b = create();
    x = input(b, "x", 4, image, 12);
    assert_sizes(b,
                 qvk_builder_call(b, "aten.conv2d.default",
                                  ARGS(NODE(x), NODE(qvk_builder_parameter(b, "k", &kernel)),
                                       {.kind = QVK_ARGUMENT_NONE}, INTS(2, 2), INTS(1, 1))),
                 "[1, 1, ((s0 + 1)//2), ((s1 + 1)//2)]");
    b = create();
    x = input(b, "x", 3, xs, 3);
    y = input(b, "y", 3, xs, 3);
    y = qvk_builder_call(b, "aten.transpose.int", ARGS(NODE(y), INT(1), INT(2)));
    assert_sizes(b, qvk_builder_call(b, "aten.matmul.default", ARGS(NODE(x), NODE(y))), "[s0, s1, s3]");
}

static void several_outputs_have_a_node_each(void **state)
{
    static const int64_t xs[] = {2, 6, 8};
    qvk_builder *b = create();
    qvk_node *pool = qvk_builder_call(b, "aten.max_pool2d_with_indices.default",
                                      ARGS(NODE(input(b, "x", 3, xs, 0)), INTS(2, 2)));
    qvk_node *indices = qvk_builder_output_of(b, pool, 1);
    qvk_program *program = NULL;

    (void)state;
    assert_non_null(pool);
    assert_non_null(indices);
    qvk_builder_output(b, indices);
    qvk_builder_output(b, pool);
    assert_int_equal(qvk_builder_finish(&b, &program, NULL), QVK_OK);
    assert_int_equal(qvk_program_output_count(program), 2);
    qvk_program_destroy(&program);
}

static void numbers_of_the_graph_are_arguments(void **state)
{
    static const int64_t xs[] = {6, 4};
    qvk_builder *b = create();
    qvk_node *x = input(b, "x", 2, xs, 1);
    qvk_node *rows = qvk_builder_call(b, "aten.sym_size.int", ARGS(NODE(x), INT(0)));
    qvk_node *twice = qvk_builder_call(b, "mul", ARGS(NODE(rows), INT(2)));
    qvk_node *two = qvk_builder_call(b, "sub", ARGS(NODE(twice), NODE(twice)));

    (void)state;
    assert_non_null(two);
    qvk_node *const sizes[] = {twice, NULL};
    qvk_node *view = qvk_builder_call(
        b, "aten.view_copy.default", ARGS(NODE(x), {.kind = QVK_ARGUMENT_NODES, .nodes = sizes, .count = 1}));
    assert_null(view); /* 24 elements are not 12: the operator's own rule says so */
    qvk_program *program = NULL;
    qvk_error err;
    assert_int_equal(qvk_builder_finish(&b, &program, &err), QVK_SHAPE);
    assert_null(b);
    assert_null(program);
    assert_non_null(strstr(err.message, "aten.view_copy.default"));
}

/* ---- errors -------------------------------------------------------------------------------------------- */

static const int64_t xs[] = {2, 4};
static float data[16];

static qvk_node *no_operator(qvk_builder *b)
{
    return qvk_builder_call(b, "aten.nothing.default", NULL, 0);
}
static qvk_node *missing_argument(qvk_builder *b)
{
    return qvk_builder_call(b, "aten.mm.default", ARGS(NODE(input(b, "x", 2, xs, 0))));
}
static qvk_node *too_many_arguments(qvk_builder *b)
{
    return qvk_builder_call(b, "aten.relu.default", ARGS(NODE(input(b, "x", 2, xs, 0)), INT(1)));
}
static qvk_node *keyword_by_position(qvk_builder *b)
{
    qvk_node *x = input(b, "x", 2, xs, 0);
    return qvk_builder_call(b, "aten.add.Tensor", ARGS(NODE(x), NODE(x), INT(1)));
}
static qvk_node *no_such_parameter(qvk_builder *b)
{
    return qvk_builder_call(b, "aten.relu.default", ARGS({.name = "other", .kind = QVK_ARGUMENT_INT}));
}
static qvk_node *given_twice(qvk_builder *b)
{
    qvk_node *x = input(b, "x", 2, xs, 0);
    return qvk_builder_call(b, "aten.relu.default",
                            ARGS(NODE(x), {.name = "self", .kind = QVK_ARGUMENT_NODE, .node = x}));
}
static qvk_node *null_node(qvk_builder *b)
{
    return qvk_builder_call(b, "aten.relu.default", ARGS(NODE(NULL)));
}
static qvk_node *wrong_shapes(qvk_builder *b)
{
    qvk_node *x = input(b, "x", 2, xs, 0);
    return qvk_builder_call(b, "aten.mm.default", ARGS(NODE(x), NODE(x)));
}
static qvk_node *bad_name(qvk_builder *b)
{
    return input(b, "1x", 2, xs, 0);
}
static qvk_node *null_name(qvk_builder *b)
{
    return input(b, NULL, 2, xs, 0);
}
static qvk_node *same_name(qvk_builder *b)
{
    input(b, "x", 2, xs, 0);
    return input(b, "x", 2, xs, 0);
}
static qvk_node *bad_rank(qvk_builder *b)
{
    return input(b, "x", 9, xs, 0);
}
static qvk_node *bad_dtype(qvk_builder *b)
{
    return qvk_builder_input(b, "x", QVK_DTYPE_NONE, 2, xs, 0);
}
static qvk_node *bad_dynamic(qvk_builder *b)
{
    return input(b, "x", 2, xs, 4);
}
static qvk_node *no_data(qvk_builder *b)
{
    return qvk_builder_parameter(b, "w", &(qvk_tensor){QVK_DTYPE_F32, 1, {4}, NULL});
}
static qvk_node *same_parameter(qvk_builder *b)
{
    const qvk_tensor w = {QVK_DTYPE_F32, 1, {4}, data};
    qvk_builder_parameter(b, "w", &w);
    return qvk_builder_parameter(b, "w", &w);
}
static qvk_node *no_such_output(qvk_builder *b)
{
    return qvk_builder_output_of(
        b, qvk_builder_call(b, "aten.relu.default", ARGS(NODE(input(b, "x", 2, xs, 0)))), 1);
}
static qvk_node *unknown_shape(qvk_builder *b)
{
    return qvk_builder_call(
        b, "aten.einsum.default",
        ARGS({.kind = QVK_ARGUMENT_STRING, .s = "i"}, {.kind = QVK_ARGUMENT_NODES, .count = 0}));
}

static const struct {
    qvk_node *(*act)(qvk_builder *builder);
    qvk_status status;
    const char *words;
} faults[] = {
    {no_operator, QVK_UNSUPPORTED_OPERATOR, "aten.nothing.default: there is no such operator"},
    {missing_argument, QVK_INVALID_ARGUMENT, "aten.mm.default: mat2 is missing"},
    {too_many_arguments, QVK_INVALID_ARGUMENT, "too many arguments by position"},
    {keyword_by_position, QVK_INVALID_ARGUMENT, "too many arguments by position"},
    {no_such_parameter, QVK_INVALID_ARGUMENT, "there is no parameter \"other\""},
    {given_twice, QVK_INVALID_ARGUMENT, "self is given twice"},
    {null_node, QVK_INVALID_ARGUMENT, "aten.relu.default: self: a node is NULL"},
    {wrong_shapes, QVK_SHAPE, "aten.mm.default"},
    {bad_name, QVK_INVALID_ARGUMENT, "1x: an input's name"},
    {null_name, QVK_INVALID_ARGUMENT, "an input's name"},
    {same_name, QVK_INVALID_ARGUMENT, "x: there is an input of this name already"},
    {bad_rank, QVK_INVALID_ARGUMENT, "rank 9"},
    {bad_dtype, QVK_INVALID_ARGUMENT, "0 is no dtype"},
    {bad_dynamic, QVK_INVALID_ARGUMENT, "a dynamic dimension beyond rank 2"},
    {no_data, QVK_INVALID_ARGUMENT, "w: it has no data"},
    {same_parameter, QVK_INVALID_ARGUMENT, "w: there is a parameter of this name already"},
    {no_such_output, QVK_INVALID_ARGUMENT, "the node has no output 1"},
    {unknown_shape, QVK_UNSUPPORTED_OPERATOR, "aten.einsum.default"},
};

static void the_first_error_stays_until_finish(void **state)
{
    (void)state;
    for (size_t i = 0; i < QVK__COUNT(faults); i++) {
        qvk_builder *b = create();
        qvk_program *program = NULL;
        qvk_error err;
        assert_null(faults[i].act(b));
        assert_null(input(b, "later", 2, xs, 0)); /* nothing works after it, and nothing crashes */
        assert_null(qvk_builder_linear(b, NULL, NULL, NULL));
        qvk_builder_output(b, NULL);
        qvk_status status = qvk_builder_finish(&b, &program, &err);
        if (status != faults[i].status || !strstr(err.message, faults[i].words))
            fail_msg("fault %zu: %s: %s", i, qvk_status_name(status), err.message);
        assert_null(b);
        assert_null(program);
    }
}

static void nodes_belong_to_their_builder(void **state)
{
    qvk_builder *a = create(), *b = create();
    qvk_node *x = input(a, "x", 2, xs, 0);
    qvk_program *program;
    qvk_error err;

    (void)state;
    assert_null(qvk_builder_call(b, "aten.relu.default", ARGS(NODE(x))));
    assert_int_equal(qvk_builder_finish(&b, &program, &err), QVK_INVALID_ARGUMENT);
    assert_non_null(strstr(err.message, "a node of another builder"));
    assert_int_equal(qvk_builder_finish(&a, &program, &err), QVK_INVALID_ARGUMENT);
    assert_non_null(strstr(err.message, "no output"));
    assert_int_equal(qvk_builder_finish(&a, &program, &err), QVK_INVALID_ARGUMENT); /* gone */
    assert_int_equal(qvk_builder_create(NULL, &err), QVK_INVALID_ARGUMENT);
    qvk_builder_destroy(&a);
    qvk_builder_destroy(NULL);
}

/* ---- files --------------------------------------------------------------------------------------------- */

static qvk_program *two_layers(void)
{
    static const int64_t sizes[] = {8, 4};
    static const float w1[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}, w2[] = {1, -1, 2}, b2[] = {0.5f};
    const qvk_tensor t1 = {QVK_DTYPE_F32, 2, {3, 4}, (void *)(uintptr_t)w1},
                     t2 = {QVK_DTYPE_F32, 2, {1, 3}, (void *)(uintptr_t)w2},
                     t3 = {QVK_DTYPE_F32, 1, {1}, (void *)(uintptr_t)b2};
    qvk_builder *b = create();
    qvk_program *program = NULL;

    qvk_node *x = input(b, "x", 2, sizes, 1);
    x = qvk_builder_linear(b, x, qvk_builder_parameter(b, "linear1.weight", &t1), NULL);
    x = qvk_builder_call(b, "aten.relu.default", ARGS(NODE(x)));
    x = qvk_builder_linear(b, x, qvk_builder_parameter(b, "linear2.weight", &t2),
                           qvk_builder_parameter(b, "linear2.bias", &t3));
    qvk_builder_output(b, x);
    assert_int_equal(qvk_builder_finish(&b, &program, NULL), QVK_OK);
    return program;
}

static void a_built_program_is_saved_and_loaded(void **state)
{
    qvk_program *program = two_layers(), *again = NULL;
    char *folder = test_temp_dir(), *path = test_path(folder, "built.pt2");
    qvk__string before = {0}, after = {0};
    qvk_tensor tensor;

    (void)state;
    assert_int_equal(qvk_program_input_count(program), 1);
    assert_int_equal(qvk_program_output_count(program), 1);
    assert_int_equal(qvk_program_input(program, 0, &tensor, NULL), QVK_OK);
    assert_int_equal(tensor.sizes[0], 8);
    assert_int_equal(qvk_program_save(program, path, NULL), QVK_OK);
    assert_int_equal(qvk_program_load(path, &again, NULL), QVK_OK);
    qvk__exported_print_json(&program->exported, true, &before);
    qvk__exported_print_json(&again->exported, true, &after);
    assert_string_equal(before.data, after.data);
    assert_int_equal(qvk_program_sample_count(again), 0);
    free(before.data);
    free(after.data);
    qvk_program_destroy(&program);
    qvk_program_destroy(&again);
    free(path);
    test_temp_dir_remove(&folder);
}

static void wrong_use_is_a_status(void **state)
{
    qvk_program *program = two_layers(), *none = NULL;
    qvk_tensor tensor;
    qvk_error err;

    (void)state;
    assert_int_equal(qvk_program_load(NULL, &none, &err), QVK_INVALID_ARGUMENT);
    assert_int_equal(qvk_program_load("/nonexistent.pt2", &none, &err), QVK_NOT_FOUND);
    assert_int_equal(qvk_program_save(program, NULL, &err), QVK_INVALID_ARGUMENT);
    assert_int_equal(qvk_program_save(NULL, "x", &err), QVK_INVALID_ARGUMENT);
    assert_int_equal(qvk_program_input(program, 1, &tensor, &err), QVK_INVALID_ARGUMENT);
    assert_non_null(strstr(err.message, "there is no input 1: the program has 1"));
    assert_int_equal(qvk_program_input(program, -1, &tensor, &err), QVK_INVALID_ARGUMENT);
    assert_int_equal(qvk_program_input(program, 0, NULL, &err), QVK_INVALID_ARGUMENT);
    assert_int_equal(qvk_program_sample(program, 0, &tensor, &err), QVK_INVALID_ARGUMENT);
    assert_int_equal(qvk_program_input_count(NULL), 0);
    assert_int_equal(qvk_program_output_count(NULL), 0);
    assert_int_equal(qvk_program_sample_count(NULL), 0);
    qvk_program_destroy(&program);
    qvk_program_destroy(&program);
    qvk_program_destroy(NULL);
}

static void samples_are_handed_out(void **state)
{
    char *path = test_golden_path("pt2/scalars.pt2");
    qvk_program *program = NULL;
    qvk_tensor tensor;

    (void)state;
    assert_int_equal(qvk_program_load(path, &program, NULL), QVK_OK);
    assert_int_equal(qvk_program_sample_count(program), 2);
    assert_int_equal(qvk_program_sample(program, 0, &tensor, NULL), QVK_OK);
    assert_int_equal(tensor.dtype, QVK_DTYPE_I64);
    assert_int_equal(((const int64_t *)tensor.data)[5], 5);
    assert_int_equal(qvk_program_sample(program, 1, &tensor, NULL), QVK_OK);
    assert_int_equal(tensor.dtype, QVK_DTYPE_BOOL);
    qvk_program_destroy(&program);
    free(path);
}

static void building_survives_every_failed_allocation(void **state)
{
    static const int64_t sizes[] = {8, 4};
    static float w[16];
    const qvk_tensor t = {QVK_DTYPE_F32, 2, {4, 4}, w};
    qvk_status status = QVK_OK;

    (void)state;
    for (long granted = 0; granted < 10000; granted++) {
        qvk_builder *b = NULL;
        qvk_program *program = NULL;
        test_memory_grant(granted);
        status = qvk_builder_create(&b, NULL);
        if (status == QVK_OK) {
            qvk_node *x = qvk_builder_input(b, "x", QVK_DTYPE_F32, 2, sizes, 1);
            x = qvk_builder_linear(b, x, qvk_builder_parameter(b, "w", &t), NULL);
            qvk_builder_output(b, qvk_builder_call(b, "aten.relu.default", ARGS(NODE(x))));
            status = qvk_builder_finish(&b, &program, NULL);
        }
        long refused = test_memory_grant_all();
        qvk_program_destroy(&program);
        assert_null(b);
        if (refused == 0)
            break;
        assert_int_equal(status, QVK_OUT_OF_MEMORY);
    }
    assert_int_equal(status, QVK_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(static_shapes_are_inferred),
        cmocka_unit_test(symbolic_sizes_are_found),
        cmocka_unit_test(several_outputs_have_a_node_each),
        cmocka_unit_test(numbers_of_the_graph_are_arguments),
        cmocka_unit_test(the_first_error_stays_until_finish),
        cmocka_unit_test(nodes_belong_to_their_builder),
        cmocka_unit_test(a_built_program_is_saved_and_loaded),
        cmocka_unit_test(wrong_use_is_a_status),
        cmocka_unit_test(samples_are_handed_out),
        cmocka_unit_test(building_survives_every_failed_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
