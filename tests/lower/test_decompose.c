/* What composite operators compute once they are rewritten. Expected numbers are PyTorch's. */
#include "qvk/qvk.h"
#include "support/support.h"

typedef struct diff_case {
    const char *name;
    qvk_dtype dtype;
    int64_t rows, columns, n, dim;
    bool prepend, append; /* a row or column of zeros */
    const double *x, *wanted;
    int64_t wanted_rows, wanted_columns;
} diff_case;

#define NUMBERS(...) ((const double[]){__VA_ARGS__})

static const diff_case diffs[] = {
    {"rows", QVK_DTYPE_F32, 1, 5, 1, -1, false, false, NUMBERS(1, 4, 9, 16, 25), NUMBERS(3, 5, 7, 9), 1, 4},
    {"twice", QVK_DTYPE_F32, 1, 5, 2, 1, false, false, NUMBERS(1, 4, 9, 16, 24), NUMBERS(2, 2, 1), 1, 3},
    {"columns", QVK_DTYPE_I64, 2, 3, 1, 0, false, false, NUMBERS(1, 2, 3, 5, 5, 5), NUMBERS(4, 3, 2), 1, 3},
    {"positions", QVK_DTYPE_I64, 1, 4, 1, -1, true, false, NUMBERS(0, 1, 2, 0), NUMBERS(0, 1, 1, -2), 1, 4},
    {"both ends", QVK_DTYPE_I32, 2, 2, 1, 0, true, true, NUMBERS(3, 4, 5, 9), NUMBERS(3, 4, 2, 5, -5, -9), 3,
     2},
    {"booleans", QVK_DTYPE_BOOL, 1, 4, 1, -1, false, false, NUMBERS(1, 1, 0, 1), NUMBERS(0, 1, 1), 1, 3},
    {"none beside an edge", QVK_DTYPE_F32, 2, 2, 0, 0, true, false, NUMBERS(3, 4, 5, 6), NUMBERS(3, 4, 5, 6),
     2, 2},
    {"none", QVK_DTYPE_F32, 1, 2, 0, -1, false, false, NUMBERS(3, 4), NUMBERS(3, 4), 1, 2},
};

static double get(const qvk_tensor *tensor, int64_t i)
{
    switch (tensor->dtype) {
    case QVK_DTYPE_F32: return ((const float *)tensor->data)[i];
    case QVK_DTYPE_I32: return ((const int32_t *)tensor->data)[i];
    case QVK_DTYPE_I64: return (double)((const int64_t *)tensor->data)[i];
    default: return ((const bool *)tensor->data)[i];
    }
}

static void set(qvk_tensor *tensor, int64_t i, double number)
{
    switch (tensor->dtype) {
    case QVK_DTYPE_F32: ((float *)tensor->data)[i] = (float)number; break;
    case QVK_DTYPE_I32: ((int32_t *)tensor->data)[i] = (int32_t)number; break;
    case QVK_DTYPE_I64: ((int64_t *)tensor->data)[i] = (int64_t)number; break;
    default: ((bool *)tensor->data)[i] = number != 0; break;
    }
}

/* The program diff(x, n, dim, prepend, append); with `dynamic`, x may have fewer rows than the case's plus 3.
 */
static qvk_program *diff_program(const diff_case *it, bool dynamic)
{
    const int64_t sizes[2] = {it->rows + (dynamic ? 3 : 0), it->columns};
    int64_t zeros[8] = {0};
    qvk_tensor edge = {it->dtype, 2, {it->rows, it->columns}, zeros};
    qvk_argument args[5] = {{.kind = QVK_ARGUMENT_NODE},
                            {.kind = QVK_ARGUMENT_INT, .i = it->n},
                            {.kind = QVK_ARGUMENT_INT, .i = it->dim},
                            {.kind = QVK_ARGUMENT_NONE},
                            {.kind = QVK_ARGUMENT_NONE}};
    qvk_builder *builder = NULL;
    qvk_program *program = NULL;
    qvk_error err = {.message = ""};

    edge.sizes[it->dim == 0 ? 0 : 1] = 1;
    assert_int_equal(qvk_builder_create(&builder, NULL), QVK_OK);
    args[0].node = qvk_builder_input(builder, "x", it->dtype, 2, sizes, dynamic);
    for (int i = 0; i < 2; i++)
        if (i == 0 ? it->prepend : it->append)
            args[3 + i] =
                (qvk_argument){.kind = QVK_ARGUMENT_NODE,
                               .node = qvk_builder_parameter(builder, i ? "after" : "before", &edge)};
    qvk_builder_output(builder, qvk_builder_call(builder, "aten.diff.default", args, 5));
    if (qvk_builder_finish(&builder, &program, &err) != QVK_OK)
        fail_msg("%s: %s", it->name, err.message);
    return program;
}

static void check_diff(qvk_context *context, const diff_case *it, bool dynamic)
{
    qvk_program *program = diff_program(it, dynamic);
    int64_t data[8];
    qvk_value input = {.kind = QVK_VALUE_TENSOR, .tensor = {it->dtype, 2, {it->rows, it->columns}, data}};
    qvk_lowered *lowered = NULL;
    qvk_module *module = NULL;
    qvk_value output;
    qvk_error err = {.message = ""};

    for (int64_t i = 0; i < it->rows * it->columns; i++)
        set(&input.tensor, i, it->x[i]);
    if (qvk_to_edge_transform_and_lower(program, NULL, &lowered, &err) != QVK_OK ||
        qvk_to_executorch(lowered, &err) != QVK_OK ||
        qvk_module_load_lowered(context, lowered, NULL, &module, &err) != QVK_OK ||
        qvk_module_forward(module, NULL, &input, 1, &output, 1, &err) != QVK_OK)
        fail_msg("%s: %s", it->name, err.message);
    assert_int_equal(output.tensor.sizes[0], it->wanted_rows);
    assert_int_equal(output.tensor.sizes[1], it->wanted_columns);
    for (int64_t i = 0; i < it->wanted_rows * it->wanted_columns; i++)
        if (get(&output.tensor, i) != it->wanted[i])
            fail_msg("%s: element %d is %g, not %g", it->name, (int)i, get(&output.tensor, i), it->wanted[i]);
    qvk_module_destroy(&module);
    qvk_lowered_destroy(&lowered);
    qvk_program_destroy(&program);
}

static void differences_are_those_of_torch(void **state)
{
    const qvk_context_params params = {.device = "cpu"};
    qvk_context *context = NULL;

    (void)state;
    assert_int_equal(qvk_context_create(&params, &context, NULL), QVK_OK);
    for (size_t i = 0; i < sizeof diffs / sizeof diffs[0]; i++) {
        check_diff(context, &diffs[i], false);
        if (diffs[i].dim == 0 || !diffs[i].prepend) /* no fixed column fits a bounded number of rows */
            check_diff(context, &diffs[i], true);
    }
    qvk_context_destroy(&context);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(differences_are_those_of_torch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
