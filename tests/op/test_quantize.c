/* quantize, dequantize, choose_qparams and the 4-bit embeddings on the device: exact, but for dequantized
 * floats. */
#include <math.h>

#include "core/dtype.h"
#include "op_harness.h"
#include "reference/reference.h"

/* Values that tell roundings apart: exact halves of the scale, huge ones, NaN, infinities, zeros. */
static void make_awkward(qvk_tensor *x, test_rng *rng, float scale)
{
    static const float specials[] = {NAN, INFINITY, -INFINITY, 0.0f, -0.0f, 1e30f, -1e30f, 1e-40f};

    for (int64_t i = 0; i < qvk_tensor_numel(x); i++) {
        float value = (float)test_rng_range(rng, -300, 300) * 0.5f * scale;
        if (test_rng_range(rng, 0, 15) == 0)
            value = specials[test_rng_range(rng, 0, QVK__COUNT(specials) - 1)];
        qvk__reference_set(x, i, (double)value);
    }
}

static void fill_scales(qvk_tensor *scales, test_rng *rng)
{
    for (int64_t i = 0; i < qvk_tensor_numel(scales); i++)
        qvk__reference_set(scales, i, (double)test_rng_uniform(rng, 0.001f, 0.5f));
}

/* ---- quantize, dequantize ------------------------------------------------------------------------------- */

static const qvk_dtype floats[] = {QVK_DTYPE_F32, QVK_DTYPE_F16};

static void per_tensor(void **state)
{
    static const int64_t shapes[][4] = {{1, -1}, {7, -1}, {3, 5, 13, -1}, {1030, -1}};
    test_rng rng = test_rng_seed(11);

    for (size_t i = 0; i < QVK__COUNT(shapes); i++)
        for (size_t f = 0; f < QVK__COUNT(floats); f++) {
            op_call call = op_call_begin(*state, QVK__OP_QD_QUANTIZE_PER_TENSOR);
            make_awkward(op_arg_random(&call, &rng, floats[f], shapes[i], 0, 0), &rng, 0.25f);
            op_arg(&call, qvk__arg_from_float(i % 2 ? 0.25 : 0.1));
            op_arg(&call, qvk__arg_from_int((int64_t)i - 2));
            op_arg(&call, qvk__arg_from_int(-128));
            op_arg(&call, qvk__arg_from_int(127));
            op_arg(&call, qvk__arg_from_int(1));
            op_call_check(&call, "quantize_per_tensor", TEST_EXACT);

            call = op_call_begin(*state, QVK__OP_QD_DEQUANTIZE_PER_TENSOR);
            op_arg_random(&call, &rng, QVK_DTYPE_I8, shapes[i], -128, 127);
            op_arg(&call, qvk__arg_from_float(0.1));
            op_arg(&call, qvk__arg_from_int(-7));
            op_arg(&call, qvk__arg_from_int(-128));
            op_arg(&call, qvk__arg_from_int(127));
            op_arg(&call, qvk__arg_from_int(1));
            op_arg(&call, qvk__arg_from_int(f ? 5 : 6));
            op_call_check(&call, "dequantize_per_tensor", TEST_EXACT);
            op_harness_reset(*state);
        }
}

static void per_tensor_by_tensors(void **state)
{
    test_rng rng = test_rng_seed(12);
    op_call call = op_call_begin(*state, QVK__OP_QD_QUANTIZE_PER_TENSOR_TENSOR);

    make_awkward(op_arg_random(&call, &rng, QVK_DTYPE_F32, OP_SHAPE(5, 9), 0, 0), &rng, 0.1f);
    fill_scales(op_arg_random(&call, &rng, QVK_DTYPE_F32, OP_SHAPE(1), 0, 0), &rng);
    op_arg_random(&call, &rng, QVK_DTYPE_I32, OP_SHAPE(1), -128, 127);
    op_arg(&call, qvk__arg_from_int(0));
    op_arg(&call, qvk__arg_from_int(255));
    op_arg(&call, qvk__arg_from_int(0)); /* uint8 */
    op_call_check(&call, "quantize_per_tensor.tensor", TEST_EXACT);
}

static void per_channel(void **state)
{
    test_rng rng = test_rng_seed(13);

    for (int axis = 0; axis < 3; axis++) {
        const int64_t sizes[] = {3, 5, 6, -1};
        op_call call = op_call_begin(*state, QVK__OP_QD_QUANTIZE_PER_CHANNEL);
        make_awkward(op_arg_random(&call, &rng, QVK_DTYPE_F32, sizes, 0, 0), &rng, 0.125f);
        fill_scales(op_arg_constant(&call, &rng, QVK_DTYPE_F32, OP_SHAPE(sizes[axis]), 0, 0), &rng);
        op_arg_constant(&call, &rng, QVK_DTYPE_I64, OP_SHAPE(sizes[axis]), -8, 7);
        op_arg(&call, qvk__arg_from_int(axis));
        op_arg(&call, qvk__arg_from_int(-127));
        op_arg(&call, qvk__arg_from_int(127));
        op_arg(&call, qvk__arg_from_int(1));
        op_call_check(&call, "quantize_per_channel", TEST_EXACT);

        call = op_call_begin(*state, QVK__OP_QD_DEQUANTIZE_PER_CHANNEL);
        op_arg_random(&call, &rng, QVK_DTYPE_I8, sizes, -128, 127);
        fill_scales(op_arg_constant(&call, &rng, QVK_DTYPE_F32, OP_SHAPE(sizes[axis]), 0, 0), &rng);
        if (axis == 1)
            op_arg_none(&call);
        else
            op_arg_constant(&call, &rng, QVK_DTYPE_I64, OP_SHAPE(sizes[axis]), -8, 7);
        op_arg(&call, qvk__arg_from_int(axis - 3));
        op_arg(&call, qvk__arg_from_int(-128));
        op_arg(&call, qvk__arg_from_int(127));
        op_arg(&call, qvk__arg_from_int(1));
        op_arg_none(&call);
        op_call_check(&call, "dequantize_per_channel", TEST_EXACT);
        op_harness_reset(*state);
    }
}

static void per_token(void **state)
{
    test_rng rng = test_rng_seed(14);
    op_call call = op_call_begin(*state, QVK__OP_QD_QUANTIZE_PER_TOKEN);

    make_awkward(op_arg_random(&call, &rng, QVK_DTYPE_F32, OP_SHAPE(2, 3, 7), 0, 0), &rng, 0.5f);
    fill_scales(op_arg_random(&call, &rng, QVK_DTYPE_F32, OP_SHAPE(2, 3, 1), 0, 0), &rng);
    op_arg_random(&call, &rng, QVK_DTYPE_I32, OP_SHAPE(2, 3, 1), -128, 127);
    op_arg(&call, qvk__arg_from_int(-128));
    op_arg(&call, qvk__arg_from_int(127));
    op_arg(&call, qvk__arg_from_int(1));
    op_call_check(&call, "quantize_per_token", TEST_EXACT);
}

static void affine_blocks(void **state)
{
    static const struct {
        int64_t sizes[5], block[4];
        int rank;
    } cases[] = {
        {{12, -1}, {3}, 1},
        {{8, 6, -1}, {2, 3}, 2},
        {{6, 4, 6, -1}, {3, 2, 2}, 3},
        {{8, 6, 6, 6, -1}, {2, 3, 3, 3}, 4},
        {{5, 64, -1}, {1, 32}, 2},
        {{5, 64, -1}, {5, 64}, 2},
        {{5, 63, -1}, {1, 63}, 2},
        {{4, 3, 10, -1}, {4, 1, 5}, 3},
    };
    test_rng rng = test_rng_seed(15);

    for (size_t i = 0; i < QVK__COUNT(cases); i++)
        for (size_t f = 0; f < QVK__COUNT(floats); f++) {
            int64_t blocks = 1;
            for (int d = 0; d < cases[i].rank; d++)
                blocks *= cases[i].sizes[d] / cases[i].block[d];
            op_call call = op_call_begin(*state, QVK__OP_TORCHAO_QUANTIZE_AFFINE);
            make_awkward(op_arg_random(&call, &rng, floats[f], cases[i].sizes, 0, 0), &rng, 0.1f);
            op_arg_ints(&call, cases[i].block, cases[i].rank);
            fill_scales(op_arg_random(&call, &rng, floats[f], OP_SHAPE(blocks), 0, 0), &rng);
            op_arg_random(&call, &rng, QVK_DTYPE_I8, OP_SHAPE(blocks), -128, 127);
            op_arg(&call, qvk__arg_from_int(1));
            op_arg_none(&call);
            op_arg_none(&call);
            op_call_check(&call, "quantize_affine", TEST_EXACT);

            call = op_call_begin(*state, QVK__OP_TORCHAO_DEQUANTIZE_AFFINE);
            op_arg_random(&call, &rng, QVK_DTYPE_I8, cases[i].sizes, -128, 127);
            op_arg_ints(&call, cases[i].block, cases[i].rank);
            fill_scales(op_arg_random(&call, &rng, floats[f], OP_SHAPE(blocks), 0, 0), &rng);
            op_arg_random(&call, &rng, QVK_DTYPE_I8, OP_SHAPE(blocks), -128, 127);
            op_arg(&call, qvk__arg_from_int(1));
            op_arg_none(&call);
            op_arg_none(&call);
            op_arg(&call, qvk__arg_from_int(f ? 5 : 6));
            op_call_check(&call, "dequantize_affine", TEST_EXACT);
            op_harness_reset(*state);
        }
}

/* ---- choose_qparams ------------------------------------------------------------------------------------- */

/* Rows of very different size; some all zero, constant, with NaN or infinities. */
static void make_rows(qvk_tensor *x, test_rng *rng)
{
    const int64_t K = x->sizes[x->rank - 1];

    for (int64_t row = 0; row < qvk_tensor_numel(x) / K; row++) {
        const float scale = powf(10.0f, test_rng_uniform(rng, -6.0f, 3.0f));
        const int64_t kind = test_rng_range(rng, 0, 11);
        for (int64_t k = 0; k < K; k++) {
            float value = test_rng_normal(rng) * scale;
            value = kind == 0 ? 0.0f : kind == 1 ? fabsf(value) : kind == 2 ? -fabsf(value) : value;
            qvk__reference_set(x, row * K + k, (double)value);
        }
        static const float specials[] = {NAN, INFINITY, -INFINITY};
        if (kind >= 9)
            qvk__reference_set(x, row * K + test_rng_range(rng, 0, K - 1), (double)specials[kind - 9]);
    }
}

static void choose_affine(void **state)
{
    static const int64_t shapes[][4] = {{1, 1, -1},    {1, 37, -1},   {5, 64, -1},
                                        {2, 3, 9, -1}, {70, 130, -1}, {3, 2051, -1}};
    static const char *const mappings[] = {"ASYMMETRIC", "SYMMETRIC", "SYMMETRIC_NO_CLIPPING_ERR"};
    test_rng rng = test_rng_seed(16);

    for (size_t i = 0; i < QVK__COUNT(shapes); i++)
        for (int variant = 0; variant < 6; variant++) {
            int64_t block[3] = {1, 1, 1};
            int rank = 0;
            while (shapes[i][rank] >= 0)
                rank++;
            block[rank - 1] = shapes[i][rank - 1];
            op_call call = op_call_begin(*state, QVK__OP_TORCHAO_CHOOSE_QPARAMS_AFFINE);
            make_rows(op_arg_random(&call, &rng, floats[variant % 2], shapes[i], 0, 0), &rng);
            op_arg_string(&call, mappings[variant / 2]);
            op_arg_ints(&call, block, rank);
            op_arg_none(&call);
            op_arg(&call, qvk__arg_from_int(-128));
            op_arg(&call, qvk__arg_from_int(127));
            op_arg_none(&call);
            op_arg_none(&call);
            op_arg(&call, qvk__arg_from_int(1)); /* int8 */
            op_arg(&call, qvk__arg_from_bool(false));
            op_call_check(&call, mappings[variant / 2], TEST_EXACT);
            op_harness_reset(*state);
        }
}

static void choose_per_group_and_per_tensor(void **state)
{
    test_rng rng = test_rng_seed(17);
    const int64_t group[] = {1, 32}, whole[] = {6, 96}, across[] = {2, 96};

    for (int i = 0; i < 3; i++) {
        op_call call = op_call_begin(*state, QVK__OP_TORCHAO_CHOOSE_QPARAMS_AFFINE);
        op_arg_random(&call, &rng, QVK_DTYPE_F32, OP_SHAPE(6, 96), 0, 0);
        op_arg_string(&call, "ASYMMETRIC");
        op_arg_ints(&call, i == 0 ? group : i == 1 ? whole : across, 2);
        op_arg_none(&call);
        op_arg(&call, qvk__arg_from_int(-8));
        op_arg(&call, qvk__arg_from_int(7));
        op_arg(&call, qvk__arg_from_float(1e-3));
        op_arg_none(&call);
        op_arg_none(&call);
        op_arg(&call, qvk__arg_from_bool(i == 0));
        op_call_check(&call, "blocks", TEST_EXACT);
        op_harness_reset(*state);
    }
}

static void choose_decomposed(void **state)
{
    static const int64_t lengths[] = {1, 100, 70001};
    test_rng rng = test_rng_seed(18);

    for (size_t i = 0; i < QVK__COUNT(lengths); i++)
        for (int special = 0; special < 3; special++) {
            op_call call = op_call_begin(*state, QVK__OP_QD_CHOOSE_QPARAMS_TENSOR);
            qvk_tensor *x = op_arg_random(&call, &rng, QVK_DTYPE_F32, OP_SHAPE(lengths[i]), 0, 0);
            if (special)
                ((float *)x->data)[lengths[i] / 2] = special == 1 ? NAN : -INFINITY;
            op_arg(&call, qvk__arg_from_int(-128));
            op_arg(&call, qvk__arg_from_int(127));
            op_arg(&call, qvk__arg_from_float(1.1920928955078125e-07));
            op_arg(&call, qvk__arg_from_int(1));
            op_call_check(&call, "choose_qparams.tensor", TEST_EXACT);
            op_harness_reset(*state);
        }
    for (size_t f = 0; f < QVK__COUNT(floats); f++) {
        op_call call = op_call_begin(*state, QVK__OP_QD_CHOOSE_QPARAMS_PER_TOKEN_ASYMMETRIC);
        make_rows(op_arg_random(&call, &rng, floats[f], OP_SHAPE(9, 41), 0, 0), &rng);
        op_arg(&call, qvk__arg_from_int(1));
        op_call_check(&call, "per token asymmetric", TEST_EXACT);
    }
}

/* ---- embeddings ----------------------------------------------------------------------------------------- */

static void embeddings(void **state)
{
    static const struct {
        int64_t rows, width, group;
        qvk_dtype scales;
        bool low_even;
    } cases[] = {
        {16, 32, 32, QVK_DTYPE_F32, true},
        {50, 64, 16, QVK_DTYPE_F16, true},
        {7, 10, 4, QVK_DTYPE_F32, false},
        {9, 6, 2, QVK_DTYPE_F16, false},
    };
    test_rng rng = test_rng_seed(19);

    for (size_t i = 0; i < QVK__COUNT(cases); i++) {
        const int64_t groups = (cases[i].width + cases[i].group - 1) / cases[i].group;
        op_call call = op_call_begin(*state, QVK__OP_ET_EMBEDDING_Q4GSW);
        op_arg_constant(&call, &rng, QVK_DTYPE_U8, OP_SHAPE(cases[i].rows, cases[i].width / 2), 0, 255);
        op_arg_constant(&call, &rng, cases[i].scales, OP_SHAPE(cases[i].rows, groups), 0, 0);
        op_arg(&call, qvk__arg_from_int(cases[i].group));
        op_arg_random(&call, &rng, i % 2 ? QVK_DTYPE_I64 : QVK_DTYPE_I32, OP_SHAPE(3, 5), 0,
                      cases[i].rows - 1);
        op_arg(&call, qvk__arg_from_bool(cases[i].low_even));
        op_call_check(&call, "embedding_q4gsw", TEST_EXACT);
        op_harness_reset(*state);
    }
}

static void embeddings_with_zero_points(void **state)
{
    test_rng rng = test_rng_seed(20);

    op_call call = op_call_begin(*state, QVK__OP_QD_EMBEDDING_4BIT_DTYPE);
    op_arg_constant(&call, &rng, QVK_DTYPE_U8, OP_SHAPE(11, 8), 0, 255);
    op_arg_constant(&call, &rng, QVK_DTYPE_F32, OP_SHAPE(11, 4), 0, 0);
    op_arg_none(&call);
    op_arg(&call, qvk__arg_from_int(-8));
    op_arg(&call, qvk__arg_from_int(7));
    op_arg_random(&call, &rng, QVK_DTYPE_I32, OP_SHAPE(6), 0, 10);
    op_arg(&call, qvk__arg_from_int(5));
    op_call_check(&call, "embedding_4bit", TEST_EXACT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(per_tensor),
        cmocka_unit_test(per_tensor_by_tensors),
        cmocka_unit_test(per_channel),
        cmocka_unit_test(per_token),
        cmocka_unit_test(affine_blocks),
        cmocka_unit_test(choose_affine),
        cmocka_unit_test(choose_per_group_and_per_tensor),
        cmocka_unit_test(choose_decomposed),
        cmocka_unit_test(embeddings),
        cmocka_unit_test(embeddings_with_zero_points),
    };
    return cmocka_run_group_tests(tests, op_harness_setup, op_harness_teardown);
}
