/*
 * Shape rules and references against what PyTorch computed: every case of every file in tests/golden/ops (the
 * format is described in tools/golden/op_cases.py, which writes them).
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/dtype.h"
#include "core/shape.h"
#include "reference/reference.h"
#include "support/support.h"

#define MAX_ARGS 20
#define MAX_OUTS 4

typedef struct golden_case {
    qvk__arena arena;
    const char *name;
    qvk__op op;
    qvk__arg args[MAX_ARGS];
    int n_args, n_outs;
    qvk_tensor expected[MAX_OUTS]; /* dtype NONE: not compared */
    const char *tolerances[MAX_OUTS];
    int after_index[2]; /* arguments that are compared after the call */
    qvk_tensor after[2];
    const char *after_tolerances[2];
    int n_after;
} golden_case;

/* ---- reading -------------------------------------------------------------------------------------------- */

static char *next_word(char **cursor)
{
    char *start = *cursor + strspn(*cursor, " \n");
    char *end = start + strcspn(start, " \n");

    if (*start == 0)
        fail_msg("golden file ends early");
    *cursor = *end ? end + 1 : end;
    *end = 0;
    return start;
}

static int64_t next_int(char **cursor)
{
    return strtoll(next_word(cursor), NULL, 10);
}

static double next_float(char **cursor)
{
    return strtod(next_word(cursor), NULL);
}

static qvk_dtype dtype_named(const char *name)
{
    for (int i = 1; i < QVK_DTYPE_COUNT; i++)
        if (strcmp(qvk_dtype_name((qvk_dtype)i), name) == 0)
            return (qvk_dtype)i;
    fail_msg("no dtype %s", name);
    return QVK_DTYPE_NONE;
}

static void read_values(golden_case *c, char **cursor, qvk_tensor *tensor)
{
    tensor->data = qvk__arena_alloc(&c->arena, qvk_tensor_bytes(tensor) + 1, 1);
    assert_non_null(tensor->data);
    for (int64_t i = 0; i < qvk_tensor_numel(tensor); i++) {
        if (qvk__dtype_is_float(tensor->dtype))
            qvk__reference_set(tensor, i, next_float(cursor));
        else
            qvk__reference_set_int(tensor, i, next_int(cursor));
    }
}

static qvk_tensor read_tensor(golden_case *c, char **cursor, qvk_dtype dtype)
{
    qvk_tensor tensor = {.dtype = dtype, .rank = (int32_t)next_int(cursor)};

    for (int i = 0; i < tensor.rank; i++)
        tensor.sizes[i] = next_int(cursor);
    read_values(c, cursor, &tensor);
    return tensor;
}

static qvk__arg read_list(golden_case *c, char **cursor, bool floats)
{
    qvk__arg arg = {.kind = floats ? QVK__ARG_FLOATS : QVK__ARG_INTS, .count = (uint32_t)next_int(cursor)};
    double *f = qvk__arena_alloc(&c->arena, arg.count + 1, sizeof(double));
    int64_t *n = qvk__arena_alloc(&c->arena, arg.count + 1, sizeof(int64_t));

    for (uint32_t i = 0; i < arg.count; i++) {
        if (floats)
            f[i] = next_float(cursor);
        else
            n[i] = next_int(cursor);
    }
    if (floats)
        arg.u.floats = f;
    else
        arg.u.ints = n;
    return arg;
}

static bool read_arg(golden_case *c, const char *kind, char **cursor, qvk__arg *out);

static qvk__arg read_arg_list(golden_case *c, char **cursor)
{
    qvk__arg arg = {.kind = QVK__ARG_LIST, .count = (uint32_t)next_int(cursor)};
    qvk__arg *list = qvk__arena_alloc(&c->arena, arg.count + 1, sizeof *list);

    for (uint32_t i = 0; i < arg.count; i++)
        assert_true(read_arg(c, next_word(cursor), cursor, &list[i]));
    arg.u.list = list;
    return arg;
}

/* A line that starts with an argument's kind. false: some other line. */
static bool read_arg(golden_case *c, const char *kind, char **cursor, qvk__arg *out)
{
    if (strcmp(kind, "tensor") == 0) {
        qvk_tensor *tensor = qvk__arena_alloc(&c->arena, 1, sizeof *tensor);
        *tensor = read_tensor(c, cursor, dtype_named(next_word(cursor)));
        *out = (qvk__arg){.kind = QVK__ARG_TENSOR, .u.tensor = tensor};
    } else if (strcmp(kind, "int") == 0) {
        *out = qvk__arg_from_int(next_int(cursor));
    } else if (strcmp(kind, "float") == 0) {
        *out = qvk__arg_from_float(next_float(cursor));
    } else if (strcmp(kind, "bool") == 0) {
        *out = qvk__arg_from_bool(next_int(cursor) != 0);
    } else if (strcmp(kind, "string") == 0) {
        *out = (qvk__arg){.kind = QVK__ARG_STRING, .u.s = next_word(cursor)};
    } else if (strcmp(kind, "none") == 0) {
        *out = (qvk__arg){0};
    } else if (strcmp(kind, "ints") == 0 || strcmp(kind, "floats") == 0) {
        *out = read_list(c, cursor, kind[0] == 'f');
    } else if (strcmp(kind, "list") == 0) {
        *out = read_arg_list(c, cursor);
    } else {
        return false;
    }
    return true;
}

static void read_out(golden_case *c, char **cursor)
{
    const char *dtype = next_word(cursor);

    assert_true(c->n_outs < MAX_OUTS);
    if (strcmp(dtype, "none") != 0) {
        c->tolerances[c->n_outs] = next_word(cursor);
        c->expected[c->n_outs] = read_tensor(c, cursor, dtype_named(dtype));
    }
    c->n_outs++;
}

/* What an argument must hold after the call; its shape is the argument's. */
static void read_after(golden_case *c, char **cursor)
{
    assert_true(c->n_after < 2);
    const int index = (int)next_int(cursor);
    c->after_index[c->n_after] = index;
    c->after_tolerances[c->n_after] = next_word(cursor);
    c->after[c->n_after] = *c->args[index].u.tensor;
    read_values(c, cursor, &c->after[c->n_after++]);
}

/* The next case of a file; false at its end. */
static bool read_case(golden_case *c, char **cursor)
{
    *c = (golden_case){0};
    while (**cursor == '#' || **cursor == '\n')
        *cursor += **cursor == '#' ? strcspn(*cursor, "\n") : 1;
    if (**cursor == 0)
        return false;
    assert_string_equal(next_word(cursor), "case");
    c->name = next_word(cursor);
    assert_string_equal(next_word(cursor), "op");
    const char *op = next_word(cursor);
    c->op = qvk__op_find(op);
    if (c->op == QVK__OP_NONE)
        fail_msg("%s: no operator %s", c->name, op);
    for (;;) {
        const char *kind = next_word(cursor);
        if (strcmp(kind, "end") == 0)
            return true;
        assert_true(c->n_args < MAX_ARGS);
        if (read_arg(c, kind, cursor, &c->args[c->n_args]))
            c->n_args++;
        else if (strcmp(kind, "out") == 0)
            read_out(c, cursor);
        else if (strcmp(kind, "after") == 0)
            read_after(c, cursor);
        else
            fail_msg("%s: unknown line %s", c->name, kind);
    }
}

/* ---- comparing ------------------------------------------------------------------------------------------ */

static float *as_floats(golden_case *c, const qvk_tensor *tensor)
{
    const int64_t n = qvk_tensor_numel(tensor);
    float *out = qvk__arena_alloc(&c->arena, (uint64_t)n + 1, sizeof(float));

    for (int64_t i = 0; i < n; i++)
        out[i] = (float)qvk__reference_get(tensor, i);
    return out;
}

static void compare_ints(const golden_case *c, const qvk_tensor *actual, const qvk_tensor *expected)
{
    for (int64_t i = 0; i < qvk_tensor_numel(expected); i++)
        if (qvk__reference_get_int(actual, i) != qvk__reference_get_int(expected, i))
            fail_msg("%s: element %lld is %lld, expected %lld", c->name, (long long)i,
                     (long long)qvk__reference_get_int(actual, i),
                     (long long)qvk__reference_get_int(expected, i));
}

static void compare(golden_case *c, const qvk_tensor *actual, const qvk_tensor *expected,
                    const char *tolerance)
{
    /* float64 is compared after a rounding to float32, which hides nothing a float32 computation would do
     * wrong. */
    const test_tolerance rule = strcmp(tolerance, "exact") == 0   ? TEST_EXACT
                                : strcmp(tolerance, "f64") == 0   ? TEST_EXACT
                                : strcmp(tolerance, "round") == 0 ? TEST_F32_ROUND
                                : strcmp(tolerance, "f16") == 0   ? TEST_F16_STORAGE
                                : strcmp(tolerance, "bf16") == 0  ? TEST_BF16_STORAGE
                                                                  : TEST_F32_SUM;
    if (!qvk__dtype_is_float(expected->dtype)) {
        compare_ints(c, actual, expected);
        return;
    }
    test_assert_close(c->name, as_floats(c, actual), as_floats(c, expected),
                      (size_t)qvk_tensor_numel(expected), rule);
}

static void check_case(golden_case *c)
{
    qvk_tensor outs[MAX_OUTS] = {0};
    qvk_error err;

    if (qvk__op_infer(c->op, c->args, c->n_args, outs, c->n_outs, &err) != QVK_OK)
        fail_msg("%s: shape rule: %s", c->name, err.message);
    for (int i = 0; i < c->n_outs; i++) {
        if (c->expected[i].dtype != QVK_DTYPE_NONE &&
            (!qvk__shape_equal(&outs[i], &c->expected[i]) || outs[i].dtype != c->expected[i].dtype))
            fail_msg("%s: output %d is %s %s, expected %s %s", c->name, i, qvk_dtype_name(outs[i].dtype),
                     qvk__shape_text(&outs[i]).text, qvk_dtype_name(c->expected[i].dtype),
                     qvk__shape_text(&c->expected[i]).text);
        outs[i].data = qvk__arena_alloc(&c->arena, qvk_tensor_bytes(&outs[i]) + 1, 1);
    }
    if (qvk__reference_run(c->op, c->args, c->n_args, outs, c->n_outs, &err) != QVK_OK)
        fail_msg("%s: %s", c->name, err.message);
    for (int i = 0; i < c->n_outs; i++)
        if (c->expected[i].dtype != QVK_DTYPE_NONE)
            compare(c, &outs[i], &c->expected[i], c->tolerances[i]);
    for (int i = 0; i < c->n_after; i++)
        compare(c, c->args[c->after_index[i]].u.tensor, &c->after[i], c->after_tolerances[i]);
}

static void check_file(const char *name, int least)
{
    char *path = test_golden_path(name);
    size_t bytes;
    char *text = (char *)test_read_file(path, &bytes), *cursor = text;
    golden_case c;
    int n = 0;

    for (; read_case(&c, &cursor); n++) {
        check_case(&c);
        qvk__arena_free(&c.arena);
    }
    assert_true(n >= least);
    free(text);
    free(path);
}

static void products(void **state)
{
    (void)state;
    check_file("ops/matmul.txt", 10);
}

static void convolutions(void **state)
{
    (void)state;
    check_file("ops/convolution.txt", 15);
}

static void planes(void **state)
{
    (void)state;
    check_file("ops/planes.txt", 30);
}

static void norms(void **state)
{
    (void)state;
    check_file("ops/norms.txt", 10);
}

static void attention(void **state)
{
    (void)state;
    check_file("ops/attention.txt", 20);
}

static void static_int8(void **state)
{
    (void)state;
    check_file("ops/q8ta.txt", 15);
}

static void elementwise(void **state)
{
    (void)state;
    check_file("ops/unary.txt", 150);
    check_file("ops/binary.txt", 80);
}

static void types(void **state)
{
    (void)state;
    check_file("ops/types.txt", 200);
}

static void views(void **state)
{
    (void)state;
    check_file("ops/views.txt", 50);
}

static void indexing(void **state)
{
    (void)state;
    check_file("ops/indexing.txt", 25);
}

static void reductions(void **state)
{
    (void)state;
    check_file("ops/reductions.txt", 120);
}

static void worked_examples(void **state)
{
    (void)state;
    check_file("ops/worked_examples.txt", 6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(products),        cmocka_unit_test(convolutions), cmocka_unit_test(planes),
        cmocka_unit_test(norms),           cmocka_unit_test(attention),    cmocka_unit_test(static_int8),
        cmocka_unit_test(worked_examples), cmocka_unit_test(elementwise),  cmocka_unit_test(types),
        cmocka_unit_test(views),           cmocka_unit_test(indexing),     cmocka_unit_test(reductions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
