/* Quantized linears on the device: integer sums exact, float sums within a few roundings of the reference. */
#include <math.h>
#include <stdio.h>

#include "core/dtype.h"
#include "linear_cases.h"
#include "reference/reference.h"

static const linear_case cases[] = {
    {1, 1, 1, 1, QVK_DTYPE_F32, true},
    {1, 64, 128, 32, QVK_DTYPE_F32, true},
    {1, 130, 96, 96, QVK_DTYPE_F32, true},
    {1, 37, 70, 35, QVK_DTYPE_F32, true},
    {3, 9, 24, 8, QVK_DTYPE_F32, true},
    {4, 256, 128, 128, QVK_DTYPE_F32, false},
    {5, 65, 48, 24, QVK_DTYPE_F32, true},
    {8, 72, 192, 64, QVK_DTYPE_F32, true},
    {70, 68, 128, 64, QVK_DTYPE_F32, true},
    {9, 71, 100, 32, QVK_DTYPE_F32, true}, /* a short last group */
    {33, 20, 63, 1, QVK_DTYPE_F32, true},
    {17, 129, 320, 0, QVK_DTYPE_F32, true},
    {40, 6, 10, 5, QVK_DTYPE_F32, true}, /* M > K */
    {3, 5, 64, 32, QVK_DTYPE_F16, true},
    {20, 96, 128, 32, QVK_DTYPE_F16, false},
    {31, 33, 40, 0, QVK_DTYPE_F16, true},
    {1, 66, 130, 26, QVK_DTYPE_F16, true},
    {1, 72, 2048, 64, QVK_DTYPE_F16, true},
    {1, 17, 5152, 0, QVK_DTYPE_F16, false},
    {1, 40, 96, 32, QVK_DTYPE_F16, true},
    {1, 9, 24576, 128, QVK_DTYPE_F16, true}, /* K beyond shared memory */
    {1, 41, 2048, 128, QVK_DTYPE_F32, true},
    {1, 16, 5152, 0, QVK_DTYPE_F32, false},
};

static void weight_only(void **state)
{
    test_rng rng = test_rng_seed(21);
    char what[128];

    for (size_t i = 0; i < QVK__COUNT(cases); i++)
        for (int bits = 4; bits <= 8; bits += 4) {
            const linear_case *c = &cases[i];
            op_call call =
                op_call_begin(*state, bits == 8 ? QVK__OP_QVK_LINEAR_Q8GSW : QVK__OP_ET_LINEAR_Q4GSW);
            op_arg_random(&call, &rng, c->dtype, OP_SHAPE(c->m, c->k), 0, 0);
            linear_add_weights(&call, &rng, c, bits);
            linear_add_scales(&call, &rng, c, bits);
            op_arg(&call, qvk__arg_from_int(linear_group_of(c)));
            linear_add_bias(&call, &rng, c);
            linear_describe(c, "weight only", what);
            op_call_check(&call, what, linear_tolerance_of(c, LINEAR_FLOAT_SUM));
            op_harness_reset(*state);
        }
}

static void extreme_case(void *state, test_rng *rng, qvk_dtype dtype, int bits, double extreme)
{
    const linear_case c = {1, 43, 192, 64, dtype, true};
    op_call call = op_call_begin(state, bits == 8 ? QVK__OP_QVK_LINEAR_Q8GSW : QVK__OP_ET_LINEAR_Q4GSW);
    qvk_tensor *x = op_arg_random(&call, rng, dtype, OP_SHAPE(c.m, c.k), 0, 0);

    for (int64_t k = 0; k < c.k; k++)
        qvk__reference_set(x, k, ldexp(qvk__reference_get(x, k), (int)(k / 16) - 10));
    for (int64_t k = 64; k < 96; k++)
        qvk__reference_set(x, k, 0.0);
    qvk__reference_set(x, 70, extreme);
    linear_add_weights(&call, rng, &c, bits);
    linear_add_scales(&call, rng, &c, bits);
    op_arg(&call, qvk__arg_from_int(c.group));
    linear_add_bias(&call, rng, &c);
    op_call_check(&call, "extremes", linear_tolerance_of(&c, LINEAR_FLOAT_SUM));
    op_harness_reset(state);
}

/* Activations of very different sizes, zeros, and one infinity or NaN in a row: as float arithmetic has it.
 */
static void weight_only_extremes(void **state)
{
    test_rng rng = test_rng_seed(29);
    static const double extremes[] = {0.0, INFINITY, -INFINITY, NAN};

    for (size_t i = 0; i < QVK__COUNT(extremes); i++)
        for (int bits = 4; bits <= 8; bits += 4) {
            extreme_case(*state, &rng, QVK_DTYPE_F16, bits, extremes[i]);
            extreme_case(*state, &rng, QVK_DTYPE_F32, bits, extremes[i]);
        }
}

static void per_channel(void **state)
{
    test_rng rng = test_rng_seed(22);
    char what[128];

    for (size_t i = 0; i < QVK__COUNT(cases); i++) {
        const linear_case *c = &cases[i];
        op_call call = op_call_begin(*state, QVK__OP_PRIV_WEIGHT_INT8PACK_MM);
        op_arg_random(&call, &rng, c->dtype, OP_SHAPE(c->m, c->k), 0, 0);
        op_arg_constant(&call, &rng, QVK_DTYPE_I8, OP_SHAPE(c->n, c->k), -128, 127);
        linear_fill_scales(op_arg_constant(&call, &rng, c->dtype, OP_SHAPE(c->n), 0, 0), &rng, c->k, 64.0f);
        linear_describe(c, "int8pack", what);
        op_call_check(&call, what, linear_tolerance_of(c, LINEAR_FLOAT_SUM));

        call = op_call_begin(*state, QVK__OP_ET_LINEAR_QCS4W);
        op_arg_random(&call, &rng, c->dtype, OP_SHAPE(c->m, c->k), 0, 0);
        op_arg_constant(&call, &rng, QVK_DTYPE_U8, OP_SHAPE(c->n, (c->k + 1) / 2), 0, 255);
        linear_fill_scales(op_arg_constant(&call, &rng, c->dtype, OP_SHAPE(c->n), 0, 0), &rng, c->k, 4.0f);
        linear_describe(c, "qcs4w", what);
        op_call_check(&call, what, linear_tolerance_of(c, LINEAR_FLOAT_SUM));
        op_harness_reset(*state);
    }
}

static void dynamic_case(void *state, test_rng *rng, const linear_case *c, int bits, bool per_tensor)
{
    const int64_t rows = per_tensor ? 1 : c->m;
    char what[128];
    op_call call =
        op_call_begin(state, bits == 8 ? QVK__OP_QVK_LINEAR_DQ8CA_Q8GSW : QVK__OP_ET_LINEAR_DQ8CA_Q4GSW);

    op_arg_random(&call, rng, c->dtype, OP_SHAPE(c->m, c->k), 0, 0);
    qvk_tensor *scales = op_arg_random(&call, rng, c->dtype, OP_SHAPE(rows), 0, 0);
    for (int64_t m = 0; m < rows; m++)
        qvk__reference_set(scales, m, (double)test_rng_uniform(rng, 0.01f, 0.03f));
    op_arg_random(&call, rng, per_tensor ? QVK_DTYPE_I32 : QVK_DTYPE_I8, OP_SHAPE(rows), -128, 127);
    linear_add_weights(&call, rng, c, bits);
    if (bits == 8)
        op_arg_none(&call);
    else
        op_arg_constant(&call, rng, QVK_DTYPE_I32, OP_SHAPE(linear_groups_of(c), (c->n + 7) / 8 * 8), 0, 0);
    linear_add_scales(&call, rng, c, bits);
    op_arg(&call, qvk__arg_from_int(linear_group_of(c)));
    linear_add_bias(&call, rng, c);
    linear_describe(c, per_tensor ? "dynamic per tensor" : "dynamic", what);
    op_call_check(&call, what, linear_tolerance_of(c, LINEAR_GROUP_SUM));
    op_harness_reset(state);
}

static void dynamic_activations(void **state)
{
    test_rng rng = test_rng_seed(23);

    for (size_t i = 0; i < QVK__COUNT(cases); i++)
        for (int bits = 4; bits <= 8; bits += 4)
            dynamic_case(*state, &rng, &cases[i], bits, i % 3 == 0);
}

/* Scales and zero points chosen by the kernels: rows of different size, one of zeros, one with NaN. */
static void chosen_activations(void **state)
{
    test_rng rng = test_rng_seed(28);
    char what[128];

    for (size_t i = 0; i < QVK__COUNT(cases); i++)
        for (int bits = 4; bits <= 8; bits += 4) {
            const linear_case *c = &cases[i];
            op_call call =
                op_call_begin(*state, bits == 8 ? QVK__OP_QVK_LINEAR_D8_Q8GSW : QVK__OP_QVK_LINEAR_D8_Q4GSW);
            qvk_tensor *x = op_arg_random(&call, &rng, c->dtype, OP_SHAPE(c->m, c->k), 0, 0);
            for (int64_t k = 0; c->m > 3 && k < c->k; k++) {
                qvk__reference_set(x, c->k + k, 0.0);
                qvk__reference_set(x, 2 * c->k + k, 3.0 * qvk__reference_get(x, 2 * c->k + k));
            }
            if (c->m > 3)
                qvk__reference_set(x, 4 * c->k - 1, NAN);
            linear_add_weights(&call, &rng, c, bits);
            linear_add_scales(&call, &rng, c, bits);
            op_arg(&call, qvk__arg_from_int(linear_group_of(c)));
            linear_add_bias(&call, &rng, c);
            linear_describe(c, "chosen", what);
            op_call_check(&call, what, linear_tolerance_of(c, LINEAR_GROUP_SUM));
            op_harness_reset(*state);
        }
}

/* Rows with NaN or infinities are NaN, the others are as ever. */
static void dynamic_rows_that_are_not_finite(void **state)
{
    test_rng rng = test_rng_seed(24);
    static const int64_t rows[] = {1, 5};

    for (size_t i = 0; i < QVK__COUNT(rows); i++) {
        const linear_case c = {rows[i], 19, 64, 32, QVK_DTYPE_F32, true};
        op_call call = op_call_begin(*state, QVK__OP_ET_LINEAR_DQ8CA_Q4GSW);
        qvk_tensor *x = op_arg_random(&call, &rng, QVK_DTYPE_F32, OP_SHAPE(c.m, c.k), 0, 0);
        qvk_tensor *scales = op_arg_random(&call, &rng, QVK_DTYPE_F32, OP_SHAPE(c.m), 0, 0);
        qvk_tensor *zero_points = op_arg_random(&call, &rng, QVK_DTYPE_I8, OP_SHAPE(c.m), 0, 0);
        for (int64_t m = 0; m < c.m; m++) {
            ((float *)scales->data)[m] = m == 0 ? INFINITY : m == 3 ? NAN : 0.02f;
            ((int8_t *)zero_points->data)[m] = m == 3 ? 0 : -128;
        }
        ((float *)x->data)[1] = INFINITY;
        linear_add_weights(&call, &rng, &c, 4);
        op_arg_constant(&call, &rng, QVK_DTYPE_I32, OP_SHAPE(2, 24), 0, 0);
        linear_add_scales(&call, &rng, &c, 4);
        op_arg(&call, qvk__arg_from_int(32));
        linear_add_bias(&call, &rng, &c);
        op_call_check(&call, "not finite", LINEAR_GROUP_SUM);
        op_harness_reset(*state);
    }
}

static void static_activations(void **state)
{
    test_rng rng = test_rng_seed(25);
    char what[128];

    for (size_t i = 0; i < QVK__COUNT(cases); i++)
        for (int relu = 0; relu < 2; relu++) {
            const linear_case *c = &cases[i];
            op_call call =
                op_call_begin(*state, c->m == 1 ? QVK__OP_ET_Q8TA_LINEAR_GEMV : QVK__OP_ET_Q8TA_LINEAR);
            op_arg_random(&call, &rng, QVK_DTYPE_I8, OP_SHAPE(c->m, c->k), -128, 127);
            op_arg(&call, qvk__arg_from_float(0.02));
            op_arg(&call, qvk__arg_from_int(test_rng_range(&rng, -128, 127)));
            op_arg_constant(&call, &rng, QVK_DTYPE_I8, OP_SHAPE(c->n, c->k), -127, 127);
            op_arg_constant(&call, &rng, QVK_DTYPE_I32, OP_SHAPE((c->n + 3) / 4 * 4), 0, 0);
            linear_fill_scales(op_arg_constant(&call, &rng, c->dtype, OP_SHAPE((c->n + 3) / 4 * 4), 0, 0),
                               &rng, c->k, 64.0f);
            op_arg(&call, qvk__arg_from_float(0.025));
            op_arg(&call, qvk__arg_from_int(relu ? -100 : 5));
            linear_add_bias(&call, &rng, c);
            op_arg_string(&call, relu ? "relu" : "none");
            linear_describe(c, relu ? "static, relu" : "static", what);
            op_call_check(&call, what, TEST_EXACT);
            op_harness_reset(*state);
        }
}

static void static_activations_float_out(void **state)
{
    test_rng rng = test_rng_seed(26);
    char what[128];

    for (size_t i = 0; i < QVK__COUNT(cases); i++)
        for (int quantized = 0; quantized < 2; quantized++) {
            const linear_case *c = &cases[i];
            op_call call = op_call_begin(*state, QVK__OP_ET_LINEAR_Q8TA_Q8CSW);
            op_arg_random(&call, &rng, quantized ? QVK_DTYPE_I8 : QVK_DTYPE_F32, OP_SHAPE(c->m, c->k), -128,
                          127);
            op_arg(&call, qvk__arg_from_float(0.02));
            op_arg(&call, qvk__arg_from_int(-9));
            op_arg_constant(&call, &rng, QVK_DTYPE_I8, OP_SHAPE(c->n, c->k), -127, 127);
            op_arg_constant(&call, &rng, QVK_DTYPE_I32, OP_SHAPE(c->n), 0, 0);
            linear_fill_scales(op_arg_constant(&call, &rng, QVK_DTYPE_F32, OP_SHAPE(c->n), 0, 0), &rng, c->k,
                               64.0f);
            linear_add_bias(&call, &rng, c);
            linear_describe(c, "static, float out", what);
            op_call_check(&call, what, TEST_EXACT);
            op_harness_reset(*state);
        }
}

static void leading_dimensions(void **state)
{
    test_rng rng = test_rng_seed(27);
    static const int64_t shapes[][5] = {{24, -1}, {2, 3, 24, -1}, {2, 1, 3, 24, -1}};

    for (size_t i = 0; i < QVK__COUNT(shapes); i++) {
        const linear_case c = {6, 10, 24, 8, QVK_DTYPE_F32, true};
        op_call call = op_call_begin(*state, QVK__OP_ET_LINEAR_Q4GSW);
        op_arg_random(&call, &rng, QVK_DTYPE_F32, shapes[i], 0, 0);
        linear_add_weights(&call, &rng, &c, 4);
        linear_add_scales(&call, &rng, &c, 4);
        op_arg(&call, qvk__arg_from_int(8));
        linear_add_bias(&call, &rng, &c);
        op_call_check(&call, "rank", LINEAR_FLOAT_SUM);
        op_harness_reset(*state);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(weight_only),        cmocka_unit_test(weight_only_extremes),
        cmocka_unit_test(per_channel),        cmocka_unit_test(dynamic_activations),
        cmocka_unit_test(chosen_activations), cmocka_unit_test(dynamic_rows_that_are_not_finite),
        cmocka_unit_test(static_activations), cmocka_unit_test(static_activations_float_out),
        cmocka_unit_test(leading_dimensions),
    };
    return cmocka_run_group_tests(tests, op_harness_setup, op_harness_teardown);
}
