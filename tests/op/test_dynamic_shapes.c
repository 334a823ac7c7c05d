/* Operators whose inputs change shape between the runs of one loaded graph. */
#include "core/dtype.h"
#include "op_sequence.h"

static const test_tolerance ROUNDED = {"a few units in the last place", 2e-7, 1.5e-6};
static const test_tolerance SUMMED = {"float32 sum in another order", 1e-4, 1e-5};

/* Lengths of the dimension that changes: the bound first; aligned, ragged, single, empty. */
static const int64_t lengths[] = {70, 64, 7, 1, 0, 33};
#define N_STEPS ((int)QVK__COUNT(lengths))

static op_call add_bias(op_harness *harness, test_rng *rng, int step)
{
    op_call call = op_call_begin(harness, QVK__OP_ADD_TENSOR);

    op_arg_random(&call, rng, QVK_DTYPE_F32, OP_SHAPE(3, lengths[step], 9), 0, 0);
    op_arg_random(&call, rng, QVK_DTYPE_F32, OP_SHAPE(lengths[step], 1), 0, 0);
    op_arg(&call, qvk__arg_from_int(1));
    return call;
}

static op_call silu(op_harness *harness, test_rng *rng, int step)
{
    op_call call = op_call_begin(harness, QVK__OP_SILU);

    op_arg_random(&call, rng, QVK_DTYPE_F16, OP_SHAPE(lengths[step], 5), 0, 0);
    return call;
}

static op_call permute(op_harness *harness, test_rng *rng, int step)
{
    op_call call = op_call_begin(harness, QVK__OP_PERMUTE_COPY);

    op_arg_random(&call, rng, QVK_DTYPE_F16, OP_SHAPE(2, lengths[step], 4, 3), 0, 0);
    op_arg_ints(&call, (const int64_t[]){0, 2, 1, 3}, 4);
    return call;
}

static op_call slice_by_symbols(op_harness *harness, test_rng *rng, int step)
{
    op_call call = op_call_begin(harness, QVK__OP_SLICE_COPY_TENSOR);

    op_arg_random(&call, rng, QVK_DTYPE_F32, OP_SHAPE(70, 4), 0, 0);
    op_arg(&call, qvk__arg_from_int(0));
    op_arg_symbol(&call, 70 - lengths[step]);
    op_arg_symbol(&call, step % 2 ? 69 : 70);
    op_arg(&call, qvk__arg_from_int(1));
    return call;
}

static op_call cat(op_harness *harness, test_rng *rng, int step)
{
    op_call call = op_call_begin(harness, QVK__OP_CAT);

    op_arg_random(&call, rng, QVK_DTYPE_I8, OP_SHAPE(3, lengths[step]), -99, 99);
    op_arg_random(&call, rng, QVK_DTYPE_I8, OP_SHAPE(3, 5), -99, 99);
    op_arg_gather(&call, 2);
    op_arg(&call, qvk__arg_from_int(1));
    return call;
}

static op_call split(op_harness *harness, test_rng *rng, int step)
{
    op_call call = op_call_begin(harness, QVK__OP_SPLIT_WITH_SIZES_COPY);

    op_arg_random(&call, rng, QVK_DTYPE_F32, OP_SHAPE(lengths[step], 9), 0, 0);
    op_arg_ints(&call, (const int64_t[]){4, 5}, 2);
    op_arg(&call, qvk__arg_from_int(1));
    return call;
}

static op_call pad(op_harness *harness, test_rng *rng, int step)
{
    op_call call = op_call_begin(harness, QVK__OP_CONSTANT_PAD_ND);

    op_arg_random(&call, rng, QVK_DTYPE_F16, OP_SHAPE(lengths[step], 6), 0, 0);
    op_arg_ints(&call, (const int64_t[]){1, 2, 3, 0}, 4);
    op_arg(&call, qvk__arg_from_float(0.5));
    return call;
}

static op_call index_select(op_harness *harness, test_rng *rng, int step)
{
    op_call call = op_call_begin(harness, QVK__OP_INDEX_SELECT);

    op_arg_random(&call, rng, QVK_DTYPE_F16, OP_SHAPE(30, 8), 0, 0);
    op_arg(&call, qvk__arg_from_int(0));
    op_arg_random(&call, rng, QVK_DTYPE_I64, OP_SHAPE(lengths[step]), 0, 29);
    return call;
}

static op_call index_put(op_harness *harness, test_rng *rng, int step)
{
    op_call call = op_call_begin(harness, QVK__OP_INDEX_PUT);

    op_arg_random(&call, rng, QVK_DTYPE_F32, OP_SHAPE(2, 30, 8), 0, 0);
    op_arg_none(&call);
    op_arg_random(&call, rng, QVK_DTYPE_I64, OP_SHAPE(lengths[step]), 0, 29);
    op_arg_gather(&call, 2);
    op_arg_random(&call, rng, QVK_DTYPE_F32, OP_SHAPE(2, lengths[step], 8), 0, 0);
    op_arg(&call, qvk__arg_from_bool(false));
    return call;
}

static op_call sum_of_changing(op_harness *harness, test_rng *rng, int step)
{
    op_call call = op_call_begin(harness, QVK__OP_SUM_DIM_INTLIST);

    op_arg_random(&call, rng, QVK_DTYPE_F32, OP_SHAPE(5, lengths[step], 3), 0, 0);
    op_arg_ints(&call, (const int64_t[]){1}, 1);
    op_arg(&call, qvk__arg_from_bool(true));
    op_arg_none(&call);
    return call;
}

static op_call arange(op_harness *harness, test_rng *rng, int step)
{
    op_call call = op_call_begin(harness, QVK__OP_ARANGE_START_STEP);

    (void)rng;
    op_arg(&call, qvk__arg_from_int(0));
    op_arg_symbol(&call, lengths[step]);
    op_arg(&call, qvk__arg_from_int(1));
    for (int i = 0; i < 4; i++)
        op_arg_none(&call);
    return call;
}

static op_call view(op_harness *harness, test_rng *rng, int step)
{
    op_call call = op_call_begin(harness, QVK__OP_VIEW_COPY);

    op_arg_random(&call, rng, QVK_DTYPE_F32, OP_SHAPE(2, lengths[step], 6), 0, 0);
    op_arg_ints(&call, (const int64_t[]){-1, 3}, 2);
    return call;
}

typedef struct sequence {
    const char *name;
    op_step make;
    test_tolerance tolerance;
} sequence;

static void shapes_change(void **state)
{
    const sequence sequences[] = {
        {"add", add_bias, ROUNDED},
        {"silu", silu, TEST_F16_STORAGE},
        {"permute", permute, TEST_EXACT},
        {"slice by symbols", slice_by_symbols, TEST_EXACT},
        {"cat", cat, TEST_EXACT},
        {"split", split, TEST_EXACT},
        {"pad", pad, TEST_EXACT},
        {"index_select", index_select, TEST_EXACT},
        {"index_put", index_put, TEST_EXACT},
        {"sum", sum_of_changing, SUMMED},
        {"arange", arange, TEST_EXACT},
    };

    for (size_t i = 0; i < QVK__COUNT(sequences); i++)
        op_sequence_check(*state, sequences[i].make, N_STEPS, sequences[i].name, sequences[i].tolerance);
}

/* Without the empty one, which leaves open what -1 stands for. */
static void views_change(void **state)
{
    op_sequence_check(*state, view, 4, "view", TEST_EXACT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shapes_change),
        cmocka_unit_test(views_change),
    };
    return cmocka_run_group_tests(tests, op_harness_setup, op_harness_teardown);
}
