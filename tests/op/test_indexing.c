/* Reading and writing through index tensors on the device. */
#include "core/dtype.h"
#include "op_harness.h"

static const test_tolerance ADDED_F16 = {"sums rounded to fp16 at the end", 2e-3, 2e-3};

static const qvk_dtype types[] = {QVK_DTYPE_F32, QVK_DTYPE_F16, QVK_DTYPE_I8, QVK_DTYPE_I64};

/* Index shapes per dimension of a [6, 5, 4] or [6, 5, 3] tensor; a rank of -1: all of the dimension. */
typedef struct index_case {
    const char *name;
    int n; /* entries of the list */
    struct {
        int rank;
        int64_t sizes[3];
    } index[3];
} index_case;

static const index_case cases[] = {
    {"first", 1, {{1, {4}}}},
    {"second", 2, {{-1, {0}}, {1, {3}}}},
    {"last", 3, {{-1, {0}}, {-1, {0}}, {2, {2, 3}}}},
    {"two", 2, {{1, {3}}, {2, {2, 1}}}},
    {"apart", 3, {{1, {3}}, {-1, {0}}, {1, {3}}}},
    {"all", 3, {{1, {7}}, {1, {7}}, {0, {0}}}},
    {"scalar", 1, {{0, {0}}}},
    {"none at all", 1, {{1, {0}}}},
};

static void append_indices(op_call *call, test_rng *rng, const index_case *c, const int64_t *self)
{
    for (int i = 0; i < c->n; i++) {
        int64_t sizes[4] = {-1, -1, -1, -1};
        if (c->index[i].rank < 0) {
            op_arg_none(call);
            continue;
        }
        memcpy(sizes, c->index[i].sizes, (size_t)c->index[i].rank * sizeof *sizes);
        op_arg_random(call, rng, i % 2 ? QVK_DTYPE_I32 : QVK_DTYPE_I64, sizes, -self[i], self[i] - 1);
    }
    op_arg_gather(call, c->n);
}

static void index_reads(void **state)
{
    test_rng rng = test_rng_seed(51);

    for (size_t i = 0; i < QVK__COUNT(cases); i++)
        for (size_t t = 0; t < QVK__COUNT(types); t++)
            for (int64_t inner = 3; inner < 5; inner++) {
                const int64_t self[] = {6, 5, inner, -1};
                op_call call = op_call_begin(*state, QVK__OP_INDEX_TENSOR);
                op_arg_random(&call, &rng, types[t], self, -99, 99);
                append_indices(&call, &rng, &cases[i], self);
                op_call_check(&call, cases[i].name, TEST_EXACT);
                op_harness_reset(*state);
            }
}

/* Sizes of values for a case: those of the indexed result, by the shape rule of index. */
static qvk_tensor result_of(const op_call *call)
{
    const qvk__arg args[] = {call->args[0], call->args[1]};
    qvk_tensor out = {0};

    assert_int_equal(qvk__op_infer(QVK__OP_INDEX_TENSOR, args, 2, &out, 1, NULL), QVK_OK);
    return out;
}

static void index_writes(void **state)
{
    test_rng rng = test_rng_seed(52);

    for (size_t i = 0; i < QVK__COUNT(cases); i++)
        for (size_t t = 0; t < QVK__COUNT(types); t++)
            for (int64_t inner = 3; inner < 5; inner++)
                for (int accumulate = 0; accumulate < 2; accumulate++) {
                    const int64_t self[] = {6, 5, inner, -1};
                    int64_t sizes[QVK_MAX_RANK + 1] = {0};
                    op_call call = op_call_begin(*state, QVK__OP_INDEX_PUT);
                    op_arg_random(&call, &rng, types[t], self, -20, 20);
                    append_indices(&call, &rng, &cases[i], self);
                    const qvk_tensor result = result_of(&call);
                    memcpy(sizes, result.sizes, sizeof result.sizes);
                    sizes[result.rank] = -1;
                    op_arg_random(&call, &rng, types[t], sizes, -20, 20);
                    op_arg(&call, qvk__arg_from_bool(accumulate != 0));
                    if (strcmp(cases[i].name, "apart") == 0)
                        op_call_check_fallback(&call, cases[i].name);
                    else
                        op_call_check(&call, cases[i].name,
                                      types[t] == QVK_DTYPE_F16 && accumulate ? ADDED_F16 : TEST_EXACT);
                    op_harness_reset(*state);
                }
}

static void index_put_broadcasts_values(void **state)
{
    static const int64_t shapes[][3] = {{-1}, {3, -1}, {4, 1, -1}};
    test_rng rng = test_rng_seed(53);

    for (size_t i = 0; i < QVK__COUNT(shapes); i++) {
        op_call call = op_call_begin(*state, QVK__OP_INDEX_PUT);
        op_arg_random(&call, &rng, QVK_DTYPE_F16, OP_SHAPE(6, 3), 0, 0);
        op_arg_random(&call, &rng, QVK_DTYPE_I64, OP_SHAPE(4), -6, 5);
        op_arg_gather(&call, 1);
        op_arg_random(&call, &rng, QVK_DTYPE_F16, shapes[i], 0, 0);
        op_arg(&call, qvk__arg_from_bool(false));
        op_call_check(&call, "broadcast values", TEST_EXACT);
    }
    op_harness_reset(*state);
}

static void along_a_dimension(void **state)
{
    test_rng rng = test_rng_seed(54);

    for (int64_t dim = 0; dim < 3; dim++)
        for (size_t t = 0; t < QVK__COUNT(types); t++) {
            const int64_t self[] = {6, 5, 4, -1};
            int64_t part[] = {6, 5, 4, -1};
            op_call select = op_call_begin(*state, QVK__OP_INDEX_SELECT);
            op_arg_random(&select, &rng, types[t], self, -99, 99);
            op_arg(&select, qvk__arg_from_int(dim));
            op_arg_random(&select, &rng, QVK_DTYPE_I64, OP_SHAPE(9), 0, self[dim] - 1);
            op_call_check(&select, "index_select", TEST_EXACT);
            op_call gather = op_call_begin(*state, QVK__OP_GATHER);
            op_arg_random(&gather, &rng, types[t], self, -99, 99);
            op_arg(&gather, qvk__arg_from_int(dim - 3));
            op_arg_random(&gather, &rng, QVK_DTYPE_I64, OP_SHAPE(5, 3, 4), 0, self[dim] - 1);
            op_arg(&gather, qvk__arg_from_bool(false));
            op_call_check(&gather, "gather", TEST_EXACT);
            op_call copy = op_call_begin(*state, QVK__OP_INDEX_COPY);
            op_arg_random(&copy, &rng, types[t], self, -99, 99);
            op_arg(&copy, qvk__arg_from_int(dim));
            op_arg_random(&copy, &rng, QVK_DTYPE_I64, OP_SHAPE(3), 0, self[dim] - 1);
            part[dim] = 3;
            op_arg_random(&copy, &rng, types[t], part, -99, 99);
            op_call_check(&copy, "index_copy", TEST_EXACT);
            op_harness_reset(*state);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(index_reads),
        cmocka_unit_test(index_writes),
        cmocka_unit_test(index_put_broadcasts_values),
        cmocka_unit_test(along_a_dimension),
    };
    return cmocka_run_group_tests(tests, op_harness_setup, op_harness_teardown);
}
