/* Operators that move elements as they are, on the device: every result is exact. */
#include "core/dtype.h"
#include "op_harness.h"

static const qvk_dtype types[] = {QVK_DTYPE_F32, QVK_DTYPE_F16, QVK_DTYPE_I8, QVK_DTYPE_I64, QVK_DTYPE_BOOL};

/* One of the types in turn, so that few calls meet all element sizes. */
static qvk_dtype turn(size_t i)
{
    return types[i % QVK__COUNT(types)];
}

static op_call begin(op_harness *harness, test_rng *rng, qvk__op op, qvk_dtype dtype, const int64_t *sizes)
{
    op_call call = op_call_begin(harness, op);

    op_arg_random(&call, rng, dtype, sizes, dtype == QVK_DTYPE_BOOL ? 0 : -99,
                  dtype == QVK_DTYPE_BOOL ? 1 : 99);
    return call;
}

static void finish(op_call *call, const char *what)
{
    op_call_check(call, what, TEST_EXACT);
    op_harness_reset(call->harness);
}

static void views(void **state)
{
    test_rng rng = test_rng_seed(31);

    for (size_t i = 0; i < QVK__COUNT(types); i++) {
        op_call view = begin(*state, &rng, QVK__OP_VIEW_COPY, turn(i), OP_SHAPE(3, 4, 5));
        op_arg_ints(&view, (const int64_t[]){5, -1}, 2);
        finish(&view, "view");
        op_call clone = begin(*state, &rng, QVK__OP_CLONE, turn(i), OP_SHAPE(17));
        op_arg_none(&clone);
        finish(&clone, "clone");
    }
    op_call scalar = begin(*state, &rng, QVK__OP_UNSQUEEZE_COPY, QVK_DTYPE_F32, (const int64_t[]){-1});
    op_arg(&scalar, qvk__arg_from_int(0));
    finish(&scalar, "unsqueeze of a scalar");
    op_call empty = begin(*state, &rng, QVK__OP_VIEW_COPY, QVK_DTYPE_F32, OP_SHAPE(0, 3));
    op_arg_ints(&empty, (const int64_t[]){3, 0}, 2);
    finish(&empty, "empty view");
}

static void permutations(void **state)
{
    static const struct {
        int64_t sizes[9], dims[8];
        int rank;
    } cases[] = {
        {{7, 5, -1}, {1, 0}, 2},
        {{2, 3, 4, -1}, {0, 2, 1}, 3},
        {{2, 3, 8, -1}, {1, 0, 2}, 3}, /* aligned rows */
        {{3, 4, 5, 6, -1}, {3, 1, 0, 2}, 4},
        {{2, 1, 3, 1, 2, 4, -1}, {5, 0, 4, 1, 2, 3}, 6},
        {{2, 2, 2, 2, 2, 2, 2, 2, -1}, {7, 5, 3, 1, 6, 4, 2, 0}, 8},
        {{3, 0, 2, -1}, {2, 0, 1}, 3},
        {{9, -1}, {0}, 1},
    };
    test_rng rng = test_rng_seed(32);

    for (size_t i = 0; i < QVK__COUNT(cases); i++)
        for (size_t t = 0; t < 3; t++) {
            op_call call = begin(*state, &rng, QVK__OP_PERMUTE_COPY, turn(t), cases[i].sizes);
            op_arg_ints(&call, cases[i].dims, cases[i].rank);
            finish(&call, "permute");
        }
    for (size_t t = 0; t < QVK__COUNT(types); t++) { /* tiles, whole and ragged */
        op_call whole = begin(*state, &rng, QVK__OP_T_COPY, turn(t), OP_SHAPE(64, 96));
        finish(&whole, "whole tiles");
        op_call ragged = begin(*state, &rng, QVK__OP_T_COPY, turn(t), OP_SHAPE(33, 77));
        finish(&ragged, "ragged tiles");
        op_call planes = begin(*state, &rng, QVK__OP_PERMUTE_COPY, turn(t), OP_SHAPE(3, 20, 2, 36));
        op_arg_ints(&planes, (const int64_t[]){2, 3, 0, 1}, 4);
        finish(&planes, "planes of tiles");
    }
    op_call t = begin(*state, &rng, QVK__OP_T_COPY, QVK_DTYPE_F16, OP_SHAPE(33, 18));
    finish(&t, "t");
    op_call transpose = begin(*state, &rng, QVK__OP_TRANSPOSE_COPY_INT, QVK_DTYPE_F32, OP_SHAPE(3, 20, 11));
    op_arg(&transpose, qvk__arg_from_int(-1));
    op_arg(&transpose, qvk__arg_from_int(1));
    finish(&transpose, "transpose");
}

static void slices(void **state)
{
    static const int64_t cases[][4] = {
        /* dim, start, end, step */
        {0, 1, 4, 1}, {1, -3, -1, 1}, {1, 0, INT64_MAX, 2}, {1, 4, 12, 1}, {0, 0, 6, 3},
        {0, 4, 2, 1}, {1, 1, 6, 1},   {0, 2, 6, 1},         {1, 0, 8, 1},
    };
    test_rng rng = test_rng_seed(33);

    for (size_t i = 0; i < QVK__COUNT(cases); i++)
        for (size_t t = 0; t < 3; t++) {
            op_call call =
                begin(*state, &rng, QVK__OP_SLICE_COPY_TENSOR, turn(t), OP_SHAPE(6, 12, 3 + (int64_t)t));
            op_arg(&call, qvk__arg_from_int(cases[i][0]));
            if (i % 2)
                op_arg_symbol(&call, cases[i][1]);
            else
                op_arg(&call, qvk__arg_from_int(cases[i][1]));
            op_arg(&call, qvk__arg_from_int(cases[i][2]));
            op_arg(&call, qvk__arg_from_int(cases[i][3]));
            finish(&call, "slice");
        }
    for (int64_t dim = 0; dim < 3; dim++) {
        op_call call = begin(*state, &rng, QVK__OP_SELECT_COPY_INT, turn((size_t)dim), OP_SHAPE(4, 5, 8));
        op_arg(&call, qvk__arg_from_int(dim));
        op_arg_symbol(&call, dim - 2);
        finish(&call, "select");
    }
}

static void repetitions(void **state)
{
    test_rng rng = test_rng_seed(34);

    for (size_t t = 0; t < QVK__COUNT(types); t++) {
        op_call expand = begin(*state, &rng, QVK__OP_EXPAND_COPY, turn(t), OP_SHAPE(3, 1, 4));
        op_arg_ints(&expand, (const int64_t[]){2, -1, 5, 4}, 4);
        op_arg(&expand, qvk__arg_from_bool(false));
        finish(&expand, "expand");
        op_call repeat = begin(*state, &rng, QVK__OP_REPEAT, turn(t), OP_SHAPE(3, 5));
        op_arg_ints(&repeat, (const int64_t[]){2, 3, 2}, 3);
        finish(&repeat, "repeat");
        op_call interleave =
            begin(*state, &rng, QVK__OP_REPEAT_INTERLEAVE_SELF_INT, turn(t), OP_SHAPE(3, 4, 2));
        op_arg(&interleave, qvk__arg_from_int(3));
        op_arg(&interleave, qvk__arg_from_int(1));
        op_arg_none(&interleave);
        finish(&interleave, "repeat_interleave");
        op_call flip = begin(*state, &rng, QVK__OP_FLIP, turn(t), OP_SHAPE(3, 4, 5));
        op_arg_ints(&flip, (const int64_t[]){0, 2}, 2);
        finish(&flip, "flip");
        op_call unfold = begin(*state, &rng, QVK__OP_UNFOLD_COPY, turn(t), OP_SHAPE(3, 11));
        op_arg(&unfold, qvk__arg_from_int(1));
        op_arg(&unfold, qvk__arg_from_int(4));
        op_arg(&unfold, qvk__arg_from_int(3));
        finish(&unfold, "unfold");
    }
    op_call deep = begin(*state, &rng, QVK__OP_REPEAT, QVK_DTYPE_F32, OP_SHAPE(2, 3, 2, 3, 2, 2, 2, 2));
    op_arg_ints(&deep, (const int64_t[]){2, 2, 2, 2, 2, 2, 2, 2}, 8);
    op_call_check_fallback(&deep, "sixteen dimensions");
    op_harness_reset(*state);
}

/* ---- several results, several sources ------------------------------------------------------------------- */

static void splits(void **state)
{
    test_rng rng = test_rng_seed(35);

    for (size_t t = 0; t < QVK__COUNT(types); t++)
        for (int64_t dim = 0; dim < 3; dim++) {
            op_call split = begin(*state, &rng, QVK__OP_SPLIT_COPY_TENSOR, turn(t), OP_SHAPE(5, 7, 6));
            op_arg(&split, qvk__arg_from_int(3));
            op_arg(&split, qvk__arg_from_int(dim));
            finish(&split, "split");
            op_call unbind = begin(*state, &rng, QVK__OP_UNBIND_COPY_INT, turn(t), OP_SHAPE(3, 4, 5));
            op_arg(&unbind, qvk__arg_from_int(dim));
            finish(&unbind, "unbind");
        }
    op_call sizes = begin(*state, &rng, QVK__OP_SPLIT_WITH_SIZES_COPY, QVK_DTYPE_F16, OP_SHAPE(2, 12));
    op_arg_ints(&sizes, (const int64_t[]){4, 0, 1, 7}, 4);
    op_arg(&sizes, qvk__arg_from_int(1));
    finish(&sizes, "split_with_sizes");
}

static void cats(void **state)
{
    static const int64_t lengths[][3] = {{1, 2, 3}, {4, 8, 4}, {0, 5, 1}, {7, 1, 2}};
    test_rng rng = test_rng_seed(36);

    for (size_t i = 0; i < QVK__COUNT(lengths); i++)
        for (size_t t = 0; t < QVK__COUNT(types); t++)
            for (int64_t dim = 0; dim < 3; dim++) {
                op_call call = op_call_begin(*state, QVK__OP_CAT);
                for (int k = 0; k < 3; k++) {
                    int64_t sizes[4] = {3, 2, 5, -1};
                    sizes[dim] = lengths[i][k];
                    op_arg_random(&call, &rng, turn(t), sizes, 0, 1);
                }
                op_arg_gather(&call, 3);
                op_arg(&call, qvk__arg_from_int(dim - 3));
                finish(&call, "cat");
            }
    op_call mixed = op_call_begin(*state, QVK__OP_CAT);
    op_arg_random(&mixed, &rng, QVK_DTYPE_F32, OP_SHAPE(0), 0, 0);
    op_arg_random(&mixed, &rng, QVK_DTYPE_F16, OP_SHAPE(3, 5), 0, 0);
    op_arg_random(&mixed, &rng, QVK_DTYPE_I32, OP_SHAPE(2, 5), -9, 9);
    op_arg_gather(&mixed, 3);
    op_arg(&mixed, qvk__arg_from_int(0));
    finish(&mixed, "cat of types");
}

/* ---- overlays ------------------------------------------------------------------------------------------- */

static void padding(void **state)
{
    static const int64_t amounts[][6] = {
        {1, 2, 0, 0, 0, 0}, {0, 3, 2, 1, 0, 0}, {-1, 2, 1, -1, 3, 0}, {4, 4, 0, 0, 1, 1}};
    test_rng rng = test_rng_seed(37);

    for (size_t i = 0; i < QVK__COUNT(amounts); i++)
        for (size_t t = 0; t < QVK__COUNT(types); t++) {
            op_call call = begin(*state, &rng, QVK__OP_CONSTANT_PAD_ND, turn(t), OP_SHAPE(3, 4, 5));
            op_arg_ints(&call, amounts[i], 6);
            op_arg(&call, i % 2 ? qvk__arg_from_int(1) : qvk__arg_from_float(-7.5));
            finish(&call, "constant_pad_nd");
        }
    for (size_t t = 0; t < QVK__COUNT(types); t++) {
        op_call replicate = begin(*state, &rng, QVK__OP_REPLICATION_PAD2D, turn(t), OP_SHAPE(1, 2, 3, 5));
        op_arg_ints(&replicate, (const int64_t[]){1, 6, 4, 0}, 4);
        finish(&replicate, "replication_pad2d");
        op_call reflect = begin(*state, &rng, QVK__OP_REFLECTION_PAD2D, turn(t), OP_SHAPE(2, 3, 5));
        op_arg_ints(&reflect, (const int64_t[]){4, 1, 2, 2}, 4);
        finish(&reflect, "reflection_pad2d");
    }
}

static void rolls(void **state)
{
    test_rng rng = test_rng_seed(38);

    for (size_t t = 0; t < QVK__COUNT(types); t++) {
        op_call dims = begin(*state, &rng, QVK__OP_ROLL, turn(t), OP_SHAPE(1, 7, 7, 6));
        op_arg_ints(&dims, (const int64_t[]){-3, 10}, 2);
        op_arg_ints(&dims, (const int64_t[]){1, 2}, 2);
        finish(&dims, "roll");
        op_call flat = begin(*state, &rng, QVK__OP_ROLL, turn(t), OP_SHAPE(3, 5));
        op_arg_ints(&flat, (const int64_t[]){4}, 1);
        op_arg_ints(&flat, NULL, 0);
        finish(&flat, "roll of all");
    }
}

static void scatters_into_slices(void **state)
{
    test_rng rng = test_rng_seed(39);

    for (size_t t = 0; t < QVK__COUNT(types); t++)
        for (int64_t dim = 0; dim < 3; dim++) {
            int64_t part[4] = {4, 5, 6, -1}, row[4] = {0};
            part[dim] = 2;
            op_call slice = begin(*state, &rng, QVK__OP_SLICE_SCATTER, turn(t), OP_SHAPE(4, 5, 6));
            op_arg_random(&slice, &rng, turn(t), part, 0, 1);
            op_arg(&slice, qvk__arg_from_int(dim));
            op_arg(&slice, qvk__arg_from_int(1));
            op_arg(&slice, qvk__arg_from_int(4));
            op_arg(&slice, qvk__arg_from_int(2));
            finish(&slice, "slice_scatter");
            for (int64_t d = 0, k = 0; d < 4; d++)
                if (d != dim)
                    row[k++] = d < 3 ? 4 + d : -1;
            op_call select = begin(*state, &rng, QVK__OP_SELECT_SCATTER, turn(t), OP_SHAPE(4, 5, 6));
            op_arg_random(&select, &rng, turn(t), row, 0, 1);
            op_arg(&select, qvk__arg_from_int(dim));
            op_arg(&select, qvk__arg_from_int(-1));
            finish(&select, "select_scatter");
        }
}

static void triangles(void **state)
{
    test_rng rng = test_rng_seed(40);

    for (size_t t = 0; t < QVK__COUNT(types); t++)
        for (int64_t diagonal = -3; diagonal < 4; diagonal += 3)
            for (int upper = 0; upper < 2; upper++) {
                op_call call =
                    begin(*state, &rng, upper ? QVK__OP_TRIU : QVK__OP_TRIL, turn(t), OP_SHAPE(2, 5, 7));
                op_arg(&call, qvk__arg_from_int(diagonal));
                finish(&call, "triangle");
            }
}

/* ---- made from nothing ---------------------------------------------------------------------------------- */

static void filled(void **state)
{
    static const int64_t codes[] = {6, 5, 15, 3, 4, 1, 0, 2, 11};
    static const double numbers[] = {0.0, 1.0, -3.0, 0.1, 65536.0};

    for (size_t c = 0; c < QVK__COUNT(codes); c++)
        for (size_t i = 0; i < QVK__COUNT(numbers); i++) {
            op_call call = op_call_begin(*state, QVK__OP_FULL);
            op_arg_ints(&call, (const int64_t[]){3, 7}, 2);
            op_arg(&call, qvk__arg_from_float(numbers[i]));
            op_arg(&call, qvk__arg_from_int(codes[c]));
            for (int k = 0; k < 3; k++)
                op_arg_none(&call);
            finish(&call, "full");
        }
}

static void arange(void **state)
{
    static const struct {
        qvk__arg start, end, step;
        int64_t code; /* -1: none */
    } cases[] = {
        {{.kind = QVK__ARG_INT}, {.kind = QVK__ARG_INT, .u.i = 13}, {.kind = QVK__ARG_INT, .u.i = 1}, -1},
        {{.kind = QVK__ARG_INT, .u.i = 50},
         {.kind = QVK__ARG_INT, .u.i = -7},
         {.kind = QVK__ARG_INT, .u.i = -3},
         -1},
        {{.kind = QVK__ARG_FLOAT},
         {.kind = QVK__ARG_FLOAT, .u.f = 500},
         {.kind = QVK__ARG_FLOAT, .u.f = 0.1},
         -1},
        {{.kind = QVK__ARG_FLOAT, .u.f = 1.7},
         {.kind = QVK__ARG_INT, .u.i = 90},
         {.kind = QVK__ARG_FLOAT, .u.f = 0.3},
         5},
        {{.kind = QVK__ARG_INT}, {.kind = QVK__ARG_INT, .u.i = 70}, {.kind = QVK__ARG_INT, .u.i = 1}, 6},
        {{.kind = QVK__ARG_INT}, {.kind = QVK__ARG_INT, .u.i = 0}, {.kind = QVK__ARG_INT, .u.i = 1}, -1},
    };

    for (size_t i = 0; i < QVK__COUNT(cases); i++) {
        op_call call = op_call_begin(*state, QVK__OP_ARANGE_START_STEP);
        op_arg(&call, cases[i].start);
        op_arg(&call, cases[i].end);
        op_arg(&call, cases[i].step);
        op_arg(&call, cases[i].code >= 0 ? qvk__arg_from_int(cases[i].code) : (qvk__arg){0});
        for (int k = 0; k < 3; k++)
            op_arg_none(&call);
        finish(&call, "arange");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(views),       cmocka_unit_test(permutations), cmocka_unit_test(slices),
        cmocka_unit_test(repetitions), cmocka_unit_test(splits),       cmocka_unit_test(cats),
        cmocka_unit_test(padding),     cmocka_unit_test(rolls),        cmocka_unit_test(scatters_into_slices),
        cmocka_unit_test(triangles),   cmocka_unit_test(filled),       cmocka_unit_test(arange),
    };
    return cmocka_run_group_tests(tests, op_harness_setup, op_harness_teardown);
}
