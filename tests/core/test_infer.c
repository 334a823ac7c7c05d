/* Shape inference beyond the golden cases: misuse, counts of outputs, symbolic integers, narrowed types. */
#include "core/semantics.h"
#include "support/support.h"

static qvk__arg tensor_arg(const qvk_tensor *tensor)
{
    return (qvk__arg){.kind = QVK__ARG_TENSOR, .u.tensor = tensor};
}

static qvk__arg ints_arg(const int64_t *ints, uint32_t n)
{
    return (qvk__arg){.kind = QVK__ARG_INTS, .count = n, .u.ints = ints};
}

static void refuses(qvk__op op, const qvk__arg *args, int n_args, qvk_status wanted, const char *words)
{
    qvk_tensor outs[2] = {0};
    qvk_error err;
    int n_outs;
    qvk_status status = qvk__op_count_outputs(op, args, n_args, &n_outs, &err);

    if (status == QVK_OK)
        status = qvk__op_infer(op, args, n_args, outs, n_outs, &err);
    assert_int_equal(status, wanted);
    if (!strstr(err.message, words))
        fail_msg("\"%s\" does not say \"%s\"", err.message, words);
    if (!strstr(err.message, qvk__op_name(op)))
        fail_msg("\"%s\" does not name %s", err.message, qvk__op_name(op));
}

static void misfits_are_named(void **state)
{
    const qvk_tensor a = {QVK_DTYPE_F32, 2, {2, 3}, NULL}, b = {QVK_DTYPE_F32, 2, {4, 3}, NULL};
    const qvk_tensor scalar = {QVK_DTYPE_F32, 0, {0}, NULL}, mask = {QVK_DTYPE_BOOL, 1, {2}, NULL};
    const int64_t sizes[] = {4, -1}, twice[] = {0, -2};
    const qvk__arg list[] = {tensor_arg(&mask)};

    (void)state;
    refuses(QVK__OP_ADD_TENSOR, (qvk__arg[]){tensor_arg(&a), tensor_arg(&b), qvk__arg_from_int(1)}, 3,
            QVK_SHAPE, "[2, 3] and [4, 3] do not broadcast");
    refuses(QVK__OP_ADD_TENSOR, (qvk__arg[]){tensor_arg(&a)}, 1, QVK_INVALID_ARGUMENT,
            "takes 3 arguments, got 1");
    refuses(QVK__OP_VIEW_COPY, (qvk__arg[]){tensor_arg(&a), ints_arg(sizes, 2)}, 2, QVK_SHAPE,
            "cannot be viewed");
    refuses(QVK__OP_PERMUTE_COPY, (qvk__arg[]){tensor_arg(&a), ints_arg(twice, 2)}, 2, QVK_SHAPE,
            "named twice");
    refuses(QVK__OP_AMAX, (qvk__arg[]){tensor_arg(&a), qvk__arg_from_int(2), qvk__arg_from_bool(false)}, 3,
            QVK_SHAPE, "dimension 2 is out of range");
    refuses(QVK__OP_SELECT_COPY_INT, (qvk__arg[]){tensor_arg(&a), qvk__arg_from_int(1), qvk__arg_from_int(3)},
            3, QVK_SHAPE, "index 3 is out of range");
    refuses(QVK__OP_SELECT_COPY_INT,
            (qvk__arg[]){tensor_arg(&scalar), qvk__arg_from_int(0), qvk__arg_from_int(0)}, 3, QVK_SHAPE,
            "scalar");
    refuses(QVK__OP_INDEX_TENSOR,
            (qvk__arg[]){tensor_arg(&a), {.kind = QVK__ARG_LIST, .count = 1, .u.list = list}}, 2,
            QVK_UNSUPPORTED, "bool index");
    refuses(QVK__OP_BITWISE_NOT, (qvk__arg[]){tensor_arg(&a)}, 1, QVK_INVALID_ARGUMENT, "float32");
    refuses(QVK__OP_MATMUL, (qvk__arg[]){tensor_arg(&a), tensor_arg(&b)}, 2, QVK_UNSUPPORTED_OPERATOR,
            "not executed as such");
    refuses(QVK__OP_SPLIT_COPY_TENSOR,
            (qvk__arg[]){tensor_arg(&a), qvk__arg_from_int(0), qvk__arg_from_int(0)}, 3, QVK_INVALID_ARGUMENT,
            "split_size");
}

static void sizes_that_overflow_are_refused(void **state)
{
    const qvk_tensor one = {QVK_DTYPE_F32, 2, {1, 1}, NULL};
    const int64_t huge[] = {INT64_MAX / 2, 4}, repeats[] = {INT64_MAX, INT64_MAX};
    const int64_t pad[] = {INT64_MAX, 1};

    (void)state;
    refuses(QVK__OP_EXPAND_COPY, (qvk__arg[]){tensor_arg(&one), ints_arg(huge, 2), qvk__arg_from_bool(false)},
            3, QVK_SHAPE, "not possible");
    refuses(QVK__OP_REPEAT, (qvk__arg[]){tensor_arg(&one), ints_arg(repeats, 2)}, 2, QVK_SHAPE,
            "not possible");
    refuses(QVK__OP_CONSTANT_PAD_ND, (qvk__arg[]){tensor_arg(&one), ints_arg(pad, 2), qvk__arg_from_int(0)},
            3, QVK_SHAPE, "cannot be padded");
    refuses(
        QVK__OP_ARANGE_START_STEP,
        (qvk__arg[]){qvk__arg_from_int(0), qvk__arg_from_int(5), qvk__arg_from_int(0), {0}, {0}, {0}, {0}}, 7,
        QVK_SHAPE, "steps of 0");
}

static void splits_say_how_many(void **state)
{
    const qvk_tensor a = {QVK_DTYPE_F32, 2, {7, 3}, NULL};
    const int64_t sizes[] = {1, 6};
    int n;

    (void)state;
    assert_int_equal(
        qvk__op_count_outputs(QVK__OP_SPLIT_COPY_TENSOR,
                              (qvk__arg[]){tensor_arg(&a), qvk__arg_from_int(3), qvk__arg_from_int(0)}, 3, &n,
                              NULL),
        QVK_OK);
    assert_int_equal(n, 3);
    assert_int_equal(qvk__op_count_outputs(
                         QVK__OP_SPLIT_WITH_SIZES_COPY,
                         (qvk__arg[]){tensor_arg(&a), ints_arg(sizes, 2), qvk__arg_from_int(0)}, 3, &n, NULL),
                     QVK_OK);
    assert_int_equal(n, 2);
    assert_int_equal(qvk__op_count_outputs(QVK__OP_UNBIND_COPY_INT,
                                           (qvk__arg[]){tensor_arg(&a), qvk__arg_from_int(1)}, 2, &n, NULL),
                     QVK_OK);
    assert_int_equal(n, 3);
}

/* Blobs declare int32 and float32 where PyTorch would give int64 and float64. */
static void narrowed_outputs_stay(void **state)
{
    const qvk_tensor a = {QVK_DTYPE_F32, 1, {4}, NULL};
    const qvk__arg args[] = {tensor_arg(&a), qvk__arg_from_int(0), qvk__arg_from_bool(false)};
    qvk_tensor out = {.dtype = QVK_DTYPE_I32};

    (void)state;
    assert_int_equal(qvk__op_infer(QVK__OP_ARGMAX, args, 3, &out, 1, NULL), QVK_OK);
    assert_int_equal(out.dtype, QVK_DTYPE_I32);
    out.dtype = QVK_DTYPE_NONE;
    assert_int_equal(qvk__op_infer(QVK__OP_ARGMAX, args, 3, &out, 1, NULL), QVK_OK);
    assert_int_equal(out.dtype, QVK_DTYPE_I64);
}

static int64_t eval(qvk__op op, int64_t a, int64_t b)
{
    const qvk__arg args[] = {qvk__arg_from_int(a), qvk__arg_from_int(b)};
    int64_t value = -99;

    assert_int_equal(qvk__op_eval_symbol(op, args, op == QVK__OP_SYM_NEG ? 1 : 2, &value, NULL), QVK_OK);
    return value;
}

static void symbols_are_python_integers(void **state)
{
    const qvk__arg by_zero[] = {qvk__arg_from_int(1), qvk__arg_from_int(0)};
    int32_t data[] = {5, -6, 7, 8, 9, 10};
    const qvk_tensor a = {QVK_DTYPE_I32, 2, {2, 3}, data};
    int64_t value = 0;

    (void)state;
    assert_int_equal(eval(QVK__OP_SYM_ADD, 2, -5), -3);
    assert_int_equal(eval(QVK__OP_SYM_FLOORDIV, -7, 2), -4);
    assert_int_equal(eval(QVK__OP_SYM_FLOORDIV, 7, -2), -4);
    assert_int_equal(eval(QVK__OP_SYM_MOD, -7, 3), 2);
    assert_int_equal(eval(QVK__OP_SYM_MOD, 7, -3), -2);
    assert_int_equal(eval(QVK__OP_SYM_NEG, 7, 0), -7);
    assert_int_equal(eval(QVK__OP_SYM_MAX, 7, 9), 9);
    assert_int_equal(eval(QVK__OP_SYM_LE, 7, 7), 1);
    assert_int_equal(qvk__op_eval_symbol(QVK__OP_SYM_FLOORDIV, by_zero, 2, &value, NULL),
                     QVK_INVALID_ARGUMENT);
    assert_int_equal(qvk__op_eval_symbol(QVK__OP_SYM_SIZE_INT,
                                         (qvk__arg[]){tensor_arg(&a), qvk__arg_from_int(-1)}, 2, &value,
                                         NULL),
                     QVK_OK);
    assert_int_equal(value, 3);
    assert_int_equal(
        qvk__op_eval_symbol(QVK__OP_ET_SELECT_AS_SYMINT,
                            (qvk__arg[]){tensor_arg(&a), qvk__arg_from_int(0), qvk__arg_from_int(-1)}, 3,
                            &value, NULL),
        QVK_OK);
    assert_int_equal(value, 8);
}

static void views_collapse(void **state)
{
    qvk__view view = {.rank = 4, .sizes = {2, 3, 1, 4}, .strides = {12, 4, 99, 1}};

    (void)state;
    qvk__view_collapse(&view);
    assert_int_equal(view.rank, 1);
    assert_int_equal(view.sizes[0], 24);
    view = (qvk__view){.rank = 3, .sizes = {2, 3, 4}, .strides = {4, 8, 1}};
    qvk__view_collapse(&view);
    assert_int_equal(view.rank, 3);
    view = (qvk__view){.rank = 2, .sizes = {0, 3}, .strides = {3, 1}};
    qvk__view_collapse(&view);
    assert_int_equal(view.rank, 1);
    assert_int_equal(view.sizes[0], 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(misfits_are_named),           cmocka_unit_test(sizes_that_overflow_are_refused),
        cmocka_unit_test(splits_say_how_many),         cmocka_unit_test(narrowed_outputs_stay),
        cmocka_unit_test(symbols_are_python_integers), cmocka_unit_test(views_collapse),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
