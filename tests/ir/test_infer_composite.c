/* Shapes of operators that are never executed as such. Expected shapes are PyTorch's. */
#include <stdio.h>

#include "core/dtype.h"
#include "ir/infer_composite.h"
#include "support/support.h"

static qvk_tensor tensor(int32_t rank, const int64_t *sizes)
{
    qvk_tensor t = {.dtype = QVK_DTYPE_F32, .rank = rank};
    memcpy(t.sizes, sizes, (size_t)rank * sizeof *sizes);
    return t;
}
#define T(...)                                                                                               \
    tensor((int32_t)(sizeof((const int64_t[]){__VA_ARGS__}) / sizeof(int64_t)),                              \
           (const int64_t[]){__VA_ARGS__})

static qvk__arg of(const qvk_tensor *t)
{
    return (qvk__arg){.kind = QVK__ARG_TENSOR, .u.tensor = t};
}
static qvk__arg ints(uint32_t count, const int64_t *values)
{
    return (qvk__arg){.kind = QVK__ARG_INTS, .count = count, .u.ints = values};
}
#define INTS(...)                                                                                            \
    ints((uint32_t)(sizeof((const int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), (const int64_t[]){__VA_ARGS__})
#define INT(n) qvk__arg_from_int(n)
#define NONE   ((qvk__arg){.kind = QVK__ARG_NULL})

/* Infers one output with the operator's defaults for what is not given, and compares its shape. */
static void expect(qvk__op op, const qvk__arg *args, int n_args, qvk_dtype dtype, const char *shape)
{
    qvk__arg full[QVK__MAX_PARAMS];
    qvk__signature signature;
    qvk_error err = {.message = ""};
    qvk_tensor out = {.dtype = QVK_DTYPE_NONE};
    int n_outs = 0;

    qvk__op_signature(op, &signature);
    for (int i = 0; i < signature.n_params; i++)
        full[i] = i < n_args ? args[i] : signature.params[i].fallback;
    assert_int_equal(qvk__composite_count_outputs(op, full, signature.n_params, &n_outs, &err), QVK_OK);
    assert_int_equal(n_outs, 1);
    qvk_status status = qvk__composite_infer(op, full, signature.n_params, &out, 1, &err);
    if (!shape) {
        if (status == QVK_OK || !strstr(err.message, qvk__op_name(op)))
            fail_msg("%s: %s: %s", qvk__op_name(op), qvk_status_name(status), err.message);
        return;
    }
    if (status != QVK_OK || strcmp(qvk__shape_text(&out).text, shape) != 0 || out.dtype != dtype)
        fail_msg("%s: %s %s, expected %s; %s", qvk__op_name(op), qvk_dtype_name(out.dtype),
                 qvk__shape_text(&out).text, shape, err.message);
}
#define EXPECT(op, shape, ...)                                                                               \
    expect(op, (const qvk__arg[]){__VA_ARGS__}, sizeof((const qvk__arg[]){__VA_ARGS__}) / sizeof(qvk__arg),  \
           QVK_DTYPE_F32, shape)

static void views_are_like_their_copies(void **state)
{
    qvk_tensor x = T(2, 3, 4);

    (void)state;
    EXPECT(QVK__OP_VIEW, "[6, 4]", of(&x), INTS(-1, 4));
    EXPECT(QVK__OP_RESHAPE, "[24]", of(&x), INTS(-1));
    EXPECT(QVK__OP_TRANSPOSE_INT, "[2, 4, 3]", of(&x), INT(1), INT(-1));
    EXPECT(QVK__OP_UNSQUEEZE, "[2, 3, 4, 1]", of(&x), INT(-1));
    EXPECT(QVK__OP_SLICE_TENSOR, "[2, 2, 4]", of(&x), INT(1), INT(1), INT(INT64_MAX));
    EXPECT(QVK__OP_SELECT_INT, "[2, 4]", of(&x), INT(1), INT(0));
    EXPECT(QVK__OP_EXPAND, "[5, 2, 3, 4]", of(&x), INTS(5, -1, -1, -1));
    EXPECT(QVK__OP_VIEW, NULL, of(&x), INTS(5, 5));
}

static void products_broadcast(void **state)
{
    qvk_tensor a = T(5, 1, 2, 3), b = T(4, 3, 6), m = T(3, 6), v = T(3), w = T(2);

    (void)state;
    EXPECT(QVK__OP_MATMUL, "[5, 4, 2, 6]", of(&a), of(&b));
    EXPECT(QVK__OP_MATMUL, "[5, 1, 2, 6]", of(&a), of(&m));
    EXPECT(QVK__OP_MATMUL, "[5, 1, 2]", of(&a), of(&v));
    EXPECT(QVK__OP_MATMUL, "[4, 6]", of(&v), of(&b));
    EXPECT(QVK__OP_MATMUL, "[]", of(&v), of(&v));
    EXPECT(QVK__OP_MATMUL, NULL, of(&v), of(&w));
    EXPECT(QVK__OP_MATMUL, NULL, of(&m), of(&m));
}

static void convolutions_are_convolution(void **state)
{
    qvk_tensor image = T(2, 3, 9, 8), kernel = T(6, 3, 3, 3), line = T(1, 4, 10), taps = T(4, 1, 5);

    (void)state;
    EXPECT(QVK__OP_CONV2D, "[2, 6, 7, 6]", of(&image), of(&kernel), NONE);
    EXPECT(QVK__OP_CONV2D, "[2, 6, 5, 4]", of(&image), of(&kernel), NONE, INTS(2, 2), INTS(1, 1));
    EXPECT(QVK__OP_CONV1D, "[1, 4, 10]", of(&line), of(&taps), NONE, INTS(1), INTS(2), INTS(1), INT(4));
    EXPECT(QVK__OP_CONV2D, NULL, of(&image), of(&taps), NONE);
}

static void differences_are_shorter(void **state)
{
    qvk_tensor x = T(2, 3, 4), row = T(2, 1, 4), flat = T(4);

    (void)state;
    EXPECT(QVK__OP_DIFF, "[2, 3, 3]", of(&x));
    EXPECT(QVK__OP_DIFF, "[2, 1, 4]", of(&x), INT(2), INT(1));
    EXPECT(QVK__OP_DIFF, "[2, 4, 4]", of(&x), INT(1), INT(-2), of(&row), of(&row));
    EXPECT(QVK__OP_DIFF, "[0, 3, 4]", of(&x), INT(7), INT(0));
    EXPECT(QVK__OP_DIFF, NULL, of(&x), INT(-1));
    EXPECT(QVK__OP_DIFF, NULL, of(&x), INT(1), INT(3));
    EXPECT(QVK__OP_DIFF, NULL, of(&x), INT(1), INT(0), of(&flat));
}

static void the_rest(void **state)
{
    qvk_tensor x = T(2, 3, 4), q = T(1, 2, 5, 8), v = T(1, 2, 7, 6), scalar = {.dtype = QVK_DTYPE_F32};

    (void)state;
    EXPECT(QVK__OP_FLATTEN_USING_INTS, "[2, 12]", of(&x), INT(1));
    EXPECT(QVK__OP_FLATTEN_USING_INTS, "[6, 4]", of(&x), INT(0), INT(1));
    EXPECT(QVK__OP_FLATTEN_USING_INTS, "[24]", of(&x));
    EXPECT(QVK__OP_FLATTEN_USING_INTS, "[1]", of(&scalar));
    EXPECT(QVK__OP_FLATTEN_USING_INTS, NULL, of(&x), INT(2), INT(1));
    EXPECT(QVK__OP_SCALED_DOT_PRODUCT_ATTENTION, "[1, 2, 5, 6]", of(&q), of(&v), of(&v));
    EXPECT(QVK__OP_SOFTMAX_INT, "[2, 3, 4]", of(&x), INT(-1));
    EXPECT(QVK__OP_DROPOUT, "[2, 3, 4]", of(&x), qvk__arg_from_float(0.5), qvk__arg_from_bool(false));
    EXPECT(QVK__OP_RELU_INPLACE, "[2, 3, 4]", of(&x));
    expect(QVK__OP_TO_DTYPE, (const qvk__arg[]){of(&x), INT(5)}, 2, QVK_DTYPE_F16, "[2, 3, 4]");
    expect(QVK__OP_TO_DTYPE, (const qvk__arg[]){of(&x), INT(99)}, 2, QVK_DTYPE_F16, NULL);
    EXPECT(QVK__OP_EINSUM, NULL, {.kind = QVK__ARG_STRING, .u.s = "i"}, {.kind = QVK__ARG_LIST});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(views_are_like_their_copies),
        cmocka_unit_test(products_broadcast),
        cmocka_unit_test(convolutions_are_convolution),
        cmocka_unit_test(differences_are_shorter),
        cmocka_unit_test(the_rest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
