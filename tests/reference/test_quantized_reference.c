/* The quantized operators' reference against worked examples: the formats' own and what PyTorch eager gives.
 */
#include <math.h>

#include "core/dtype.h"
#include "reference/functions.h"
#include "support/support.h"

/* One rounding of a float32 result. */
static const test_tolerance ONE_ROUNDING = {"one float32 rounding", 1e-7, 2e-7};

#define TENSOR(type, array, n_dims, ...)                                                                     \
    &(qvk_tensor)                                                                                            \
    {                                                                                                        \
        .dtype = QVK_DTYPE_##type, .rank = n_dims, .sizes = {__VA_ARGS__}, .data = (array)                   \
    }

static qvk__arg tensor(const qvk_tensor *t)
{
    return (qvk__arg){.kind = QVK__ARG_TENSOR, .u.tensor = t};
}

static qvk__arg integer(int64_t value)
{
    return qvk__arg_from_int(value);
}

static qvk__arg number(double value)
{
    return qvk__arg_from_float(value);
}

static qvk__arg text(const char *value)
{
    return (qvk__arg){.kind = QVK__ARG_STRING, .u.s = value};
}

static qvk__arg ints(const int64_t *values, uint32_t n)
{
    return (qvk__arg){.kind = QVK__ARG_INTS, .count = n, .u.ints = values};
}

static const qvk__arg none = {.kind = QVK__ARG_NULL};

/* Infers the outputs' shapes, checks them against the expected ones, and computes. */
static void run(qvk__op op, const qvk__arg *args, int n_args, qvk_tensor *outs, int n_outs)
{
    qvk_error err;
    qvk_tensor inferred[2] = {{0}};

    for (int i = 0; i < n_outs; i++)
        inferred[i].dtype = outs[i].dtype;
    if (qvk__op_info_of(op)->shape) {
        if (qvk__op_info_of(op)->shape(op, args, n_args, inferred, n_outs, &err) != QVK_OK)
            fail_msg("%s", err.message);
        for (int i = 0; i < n_outs; i++)
            assert_true(qvk__shape_equal(&inferred[i], &outs[i]));
    }
    if (qvk__reference_run(op, args, n_args, outs, n_outs, &err) != QVK_OK)
        fail_msg("%s", err.message);
}

static void assert_ints(const int8_t *actual, const int *expected, int n)
{
    for (int i = 0; i < n; i++)
        assert_int_equal(actual[i], expected[i]);
}

/* ---- quantize and dequantize ---------------------------------------------------------------------------- */

static void quantize_per_tensor_rounds_half_to_even(void **state)
{
    float x[] = {0.05f, 0.15f, 0.25f, -0.05f, -0.15f, 2.5f, 99.0f, INFINITY, -INFINITY, NAN};
    const int expected[] = {0, 2, 2, 0, -2, 25, 127, 127, -128, 0};
    int8_t y[10];
    qvk_tensor out = *TENSOR(I8, y, 1, 10);
    const qvk__arg args[] = {
        tensor(TENSOR(F32, x, 1, 10)), number(0.1), integer(0), integer(-128), integer(127), none};

    (void)state;
    run(QVK__OP_QD_QUANTIZE_PER_TENSOR, args, 6, &out, 1);
    assert_ints(y, expected, 10);
}

static void per_tensor_qparams_may_be_tensors(void **state)
{
    float x[] = {0.5f, -1.0f, 0.0f}, back[3];
    float scale[] = {0.25f};
    int32_t zero_point[] = {3};
    const int expected[] = {5, -1, 3};
    int8_t y[3];
    qvk_tensor out = *TENSOR(I8, y, 1, 3), back_out = *TENSOR(F32, back, 1, 3);
    const qvk__arg args[] = {tensor(TENSOR(F32, x, 1, 3)),
                             tensor(TENSOR(F32, scale, 1, 1)),
                             tensor(TENSOR(I32, zero_point, 1, 1)),
                             integer(-128),
                             integer(127),
                             none};
    const qvk__arg back_args[] = {tensor(&out), args[1], args[2], args[3], args[4], none, none};

    (void)state;
    run(QVK__OP_QD_QUANTIZE_PER_TENSOR_TENSOR, args, 6, &out, 1);
    assert_ints(y, expected, 3);
    run(QVK__OP_QD_DEQUANTIZE_PER_TENSOR_TENSOR, back_args, 7, &back_out, 1);
    test_assert_close("dequantized", back, x, 3, TEST_EXACT);
}

static void per_channel_uses_its_axis(void **state)
{
    float x[] = {.3f, -.5f, .1f, .2f, 1, 2, 3, 4, -1, -2, -3, -4};
    float scales[] = {.1f, .2f, .3f, .4f};
    int64_t zero_points[] = {1, 2, 3, 4};
    const int expected[] = {4, 0, 3, 4, 11, 12, 13, 14, -9, -8, -7, -6};
    int8_t y[12];
    qvk_tensor out = *TENSOR(I8, y, 2, 3, 4);
    const qvk__arg args[] = {tensor(TENSOR(F32, x, 2, 3, 4)),
                             tensor(TENSOR(F32, scales, 1, 4)),
                             tensor(TENSOR(I64, zero_points, 1, 4)),
                             integer(1),
                             integer(-128),
                             integer(127),
                             none};
    int8_t q[] = {1, -2, 3, 4, 127, -128, 5, 6};
    float back[8];
    const float expected_back[] = {0.0f, -0.3f, 0.2f, 0.3f, 25.0f, -26.0f, 0.6f, 0.8f};
    qvk_tensor back_out = *TENSOR(F32, back, 2, 2, 4);
    const qvk__arg back_args[] = {tensor(TENSOR(I8, q, 2, 2, 4)),
                                  tensor(TENSOR(F32, scales, 1, 2)),
                                  tensor(TENSOR(I64, zero_points, 1, 2)),
                                  integer(-2),
                                  integer(-128),
                                  integer(127),
                                  none,
                                  none};

    (void)state;
    run(QVK__OP_QD_QUANTIZE_PER_CHANNEL, args, 7, &out, 1);
    assert_ints(y, expected, 12);
    run(QVK__OP_QD_DEQUANTIZE_PER_CHANNEL, back_args, 8, &back_out, 1);
    test_assert_close("dequantized", back, expected_back, 8, ONE_ROUNDING);
}

static void per_token_adds_the_zero_point_before_rounding(void **state)
{
    float x[] = {.3f, -.5f, .1f, .2f, 1, 2, 3, 4, -1, -2, -3, -4};
    double scales[3];
    int64_t zero_points[3];
    const double expected_scales[] = {0.0031372548546642065, 0.01568627543747425, 0.01568627543747425};
    const int64_t expected_zero_points[] = {31, -128, 127};
    const int expected[] = {127, -128, 63, 95, -64, -1, 63, 127, 63, 0, -64, -128};
    int8_t y[12];
    qvk_tensor outs[] = {*TENSOR(F64, scales, 2, 3, 1), *TENSOR(I64, zero_points, 2, 3, 1)};
    qvk_tensor out = *TENSOR(I8, y, 2, 3, 4);
    const qvk__arg choose[] = {tensor(TENSOR(F32, x, 2, 3, 4)), none};
    const qvk__arg args[] = {choose[0],     tensor(&outs[0]), tensor(&outs[1]),
                             integer(-128), integer(127),     none};

    (void)state;
    run(QVK__OP_QD_CHOOSE_QPARAMS_PER_TOKEN_ASYMMETRIC, choose, 2, outs, 2);
    assert_memory_equal(scales, expected_scales, sizeof(scales));
    assert_memory_equal(zero_points, expected_zero_points, sizeof(zero_points));
    run(QVK__OP_QD_QUANTIZE_PER_TOKEN, args, 6, &out, 1);
    assert_ints(y, expected, 12);
}

static void affine_takes_blocks_along_any_dimension(void **state)
{
    float x[24], scales[] = {.5f, 1, 2, 4};
    int8_t zero_points[] = {0, 1, 2, 3}, y[24];
    const int64_t block[] = {1, 3, 2};
    const int expected[] = {0, 2, 3, 4, 8, 10, 7, 8, 16, 18, 11, 12, 8, 8, 7, 7, 10, 10, 7, 8, 12, 12, 9, 9};
    qvk_tensor out = *TENSOR(I8, y, 3, 2, 3, 4);
    const qvk__arg args[] = {tensor(TENSOR(F32, x, 3, 2, 3, 4)),
                             ints(block, 3),
                             tensor(TENSOR(F32, scales, 3, 2, 1, 2)),
                             tensor(TENSOR(I8, zero_points, 3, 2, 1, 2)),
                             none,
                             integer(-128),
                             integer(127)};

    (void)state;
    for (int i = 0; i < 24; i++)
        x[i] = (float)i;
    run(QVK__OP_TORCHAO_QUANTIZE_AFFINE, args, 7, &out, 1);
    assert_ints(y, expected, 24);
}

/* ---- choose_qparams ------------------------------------------------------------------------------------- */

typedef struct affine_case {
    float row[4];
    float scale;
    int zero_point;
} affine_case;

static void choose_affine_follows_torchao(void **state)
{
    static const affine_case cases[] = {
        {{.3f, -.5f, .1f, .2f}, 0.0031372549f, 31}, {{.5f, 0, 0, 1}, 0.00392157f, -128},
        {{-1, -2, -3, -4}, 0.015686275f, 127},      {{0, 0, 0, 0}, 1.1754944e-38f, -128},
        {{1e-40f, 0, 0, 0}, 1.1754944e-38f, -128},  {{1, NAN, 2, 3}, NAN, 0},
        {{INFINITY, 1, 2, 3}, INFINITY, -128},      {{-INFINITY, 1, 2, 3}, INFINITY, 0},
        {{3e38f, -3e38f, 1, 0}, INFINITY, -128},
    };
    const int64_t block[] = {1, 4};

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        float row[4], scale;
        int8_t zero_point;
        qvk_tensor outs[] = {*TENSOR(F32, &scale, 1, 1), *TENSOR(I8, &zero_point, 1, 1)};
        memcpy(row, cases[i].row, sizeof(row));
        const qvk__arg args[] = {tensor(TENSOR(F32, row, 2, 1, 4)),
                                 text("ASYMMETRIC"),
                                 ints(block, 2),
                                 none,
                                 integer(-128),
                                 integer(127),
                                 none,
                                 none,
                                 none,
                                 qvk__arg_from_bool(false)};
        run(QVK__OP_TORCHAO_CHOOSE_QPARAMS_AFFINE, args, 10, outs, 2);
        test_assert_close("scale", &scale, &cases[i].scale, 1, ONE_ROUNDING);
        assert_int_equal(zero_point, cases[i].zero_point);
    }
}

static void choose_affine_knows_three_mappings(void **state)
{
    float w[] = {.1f, -.75f, .3f, .6f, .05f, -.02f, .01f, 0, 1, 1, 1, 1, -.5f, .25f, -.125f, .0625f};
    static const struct {
        const char *mapping;
        float scales[4];
        int zero_points[4], q[16];
    } cases[] = {
        {"SYMMETRIC",
         {.1f, .006666666828095913f, .13333334028720856f, .06666667014360428f},
         {0, 0, 0, 0},
         {1, -8, 3, 6, 7, -3, 2, 0, 7, 7, 7, 7, -7, 4, -2, 1}},
        {"ASYMMETRIC",
         {.09000000357627869f, .004666666500270367f, .06666667014360428f, .05000000074505806f},
         {0, -4, -8, 2},
         {1, -8, 3, 7, 7, -8, -2, -4, 7, 7, 7, 7, -8, 7, 0, 3}},
        {"SYMMETRIC_NO_CLIPPING_ERR",
         {.09375f, .0071428571827709675f, .1428571492433548f, .0625f},
         {0, 0, 0, 0},
         {1, -8, 3, 6, 7, -3, 1, 0, 7, 7, 7, 7, -8, 4, -2, 1}},
    };
    const int64_t block[] = {1, 4};

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        float scales[4];
        int8_t zero_points[4], y[16];
        qvk_tensor outs[] = {*TENSOR(F32, scales, 2, 2, 2), *TENSOR(I8, zero_points, 2, 2, 2)};
        qvk_tensor out = *TENSOR(I8, y, 2, 2, 8);
        const qvk__arg choose[] = {tensor(TENSOR(F32, w, 2, 2, 8)),
                                   text(cases[i].mapping),
                                   ints(block, 2),
                                   none,
                                   integer(-8),
                                   integer(7),
                                   none,
                                   none,
                                   none,
                                   qvk__arg_from_bool(false)};
        const qvk__arg args[] = {choose[0], ints(block, 2), tensor(&outs[0]), tensor(&outs[1]),
                                 none,      integer(-8),    integer(7)};
        run(QVK__OP_TORCHAO_CHOOSE_QPARAMS_AFFINE, choose, 10, outs, 2);
        test_assert_close("scales", scales, cases[i].scales, 4, TEST_EXACT);
        assert_ints(zero_points, cases[i].zero_points, 4);
        run(QVK__OP_TORCHAO_QUANTIZE_AFFINE, args, 7, &out, 1);
        assert_ints(y, cases[i].q, 16);
    }
}

static void affine_in_float16_rounds_each_step(void **state)
{
    const float values[] = {.3f,   -.5f,  .1f,    .2f,   1.7f, -3.14159f, 100, .001f,
                            1e-4f, 2e-4f, -1e-4f, 5e-5f, 0,    0,         0,   0};
    const float expected_scales[] = {0.404296875f, 6.103515625e-05f};
    const int expected_zero_points[] = {-120, -126};
    const int expected[] = {-119, -121, -120, -120, -116, -128, 127,  -120,
                            -124, -123, -128, -125, -126, -126, -126, -126};
    uint16_t x[16], scales[2];
    int8_t zero_points[2], y[16];
    const int64_t block[] = {1, 8};
    qvk_tensor outs[] = {*TENSOR(F16, scales, 1, 2), *TENSOR(I8, zero_points, 1, 2)};
    qvk_tensor out = *TENSOR(I8, y, 2, 2, 8);
    const qvk__arg choose[] = {tensor(TENSOR(F16, x, 2, 2, 8)),
                               text("ASYMMETRIC"),
                               ints(block, 2),
                               none,
                               integer(-128),
                               integer(127),
                               none,
                               none,
                               none,
                               qvk__arg_from_bool(false)};
    const qvk__arg args[] = {choose[0], ints(block, 2), tensor(&outs[0]), tensor(&outs[1]),
                             none,      integer(-128),  integer(127)};

    (void)state;
    for (int i = 0; i < 16; i++)
        x[i] = qvk__f32_to_f16(values[i]);
    run(QVK__OP_TORCHAO_CHOOSE_QPARAMS_AFFINE, choose, 10, outs, 2);
    for (int i = 0; i < 2; i++)
        assert_true(qvk__f16_to_f32(scales[i]) == expected_scales[i]);
    assert_ints(zero_points, expected_zero_points, 2);
    run(QVK__OP_TORCHAO_QUANTIZE_AFFINE, args, 7, &out, 1);
    assert_ints(y, expected, 16);
}

static void choose_per_tensor_survives_nan(void **state)
{
    float x[] = {1, NAN, 2}, scale;
    int32_t zero_point;
    qvk_tensor outs[] = {*TENSOR(F32, &scale, 1, 1), *TENSOR(I32, &zero_point, 1, 1)};
    const qvk__arg args[] = {tensor(TENSOR(F32, x, 1, 3)), integer(-128), integer(127),
                             number(1.1920928955078125e-07), none};

    (void)state;
    run(QVK__OP_QD_CHOOSE_QPARAMS_TENSOR, args, 5, outs, 2);
    assert_true(isnan(scale));
    assert_int_equal(zero_point, 127);
    x[1] = -4;
    run(QVK__OP_QD_CHOOSE_QPARAMS_TENSOR, args, 5, outs, 2);
    assert_true(scale == 6.0f / 255.0f);
    assert_int_equal(zero_point, 42);
}

/* ---- linears -------------------------------------------------------------------------------------------- */

/* The data most examples share: two rows of weights in two groups of four. */
static int8_t weights8[] = {-8, 7, 0, 1, -1, 2, 3, -4, 1, 1, 1, 1, 2, 2, 2, 2};
static uint8_t weights4[] = {0xF0, 0x98, 0xA7, 0x4B, 0x99, 0x99, 0xAA, 0xAA};
static uint8_t weights4_high[] = {0x0F, 0x89, 0x7A, 0xB4, 0x99, 0x99, 0xAA, 0xAA};
static float group_scales[] = {.5f, .1f, .25f, .2f};
static float bias[] = {.25f, -1};
static float activations[] = {1, 2, 3, 4, -1, -2, -3, -4, .5f, 0, 0, 0, 0, 0, 0, 1};

static void weight_only_groups(void **state)
{
    const float expected[] = {6.25f, -4.0f, -2.75f, -0.55f};
    float y[4];
    qvk_tensor out = *TENSOR(F32, y, 3, 2, 1, 2);
    qvk__arg args[] = {tensor(TENSOR(F32, activations, 3, 2, 1, 8)), tensor(TENSOR(U8, weights4, 2, 2, 4)),
                       tensor(TENSOR(F32, group_scales, 2, 2, 2)), integer(4),
                       tensor(TENSOR(F32, bias, 1, 2))};

    (void)state;
    run(QVK__OP_ET_LINEAR_Q4GSW, args, 5, &out, 1);
    test_assert_close("4 bit", y, expected, 4, ONE_ROUNDING);
    args[1] = tensor(TENSOR(I8, weights8, 2, 2, 8));
    memset(y, 0, sizeof(y));
    run(QVK__OP_QVK_LINEAR_Q8GSW, args, 5, &out, 1);
    test_assert_close("8 bit", y, expected, 4, ONE_ROUNDING);
}

/* Scales and bias padded to a width of 4, as the exporter writes them, and K that is no multiple of 8. */
static void weight_only_takes_padding(void **state)
{
    uint8_t weights[] = {0xA9, 0xCB, 0xED, 0x88};
    float x[] = {1, 1, 1, 1, 1, 2}, scales[] = {1, 0, 0, 0, 10, 0, 0, 0}, padded_bias[] = {.5f, 0, 0, 0}, y;
    const float expected = 1 + 2 + 3 + 10 * (4 + 5 + 12) + .5f;
    qvk_tensor out = *TENSOR(F32, &y, 1, 1);
    const qvk__arg args[] = {tensor(TENSOR(F32, x, 1, 6)), tensor(TENSOR(U8, weights, 2, 1, 4)),
                             tensor(TENSOR(F32, scales, 2, 2, 4)), integer(3),
                             tensor(TENSOR(F32, padded_bias, 1, 4))};

    (void)state;
    run(QVK__OP_ET_LINEAR_Q4GSW, args, 5, &out, 1);
    test_assert_close("y", &y, &expected, 1, TEST_EXACT);
}

static void weight_only_per_channel(void **state)
{
    int8_t w[] = {-128, 127, 0, 1, 1, 2, 3, 4};
    float x[] = {1, 2, 3, 4}, y[2], scales[] = {.01f, .5f};
    const float expected[] = {1.3f, 15.0f}, expected4[] = {-4.0f, 1.0f * .5f + 2.0f * 1.0f};
    float row[] = {.5f, 0, 0, 0, 0, 0, 0, 1}, halves[] = {.5f, 1.0f};
    qvk_tensor out = *TENSOR(F32, y, 2, 1, 2);
    const qvk__arg args[] = {tensor(TENSOR(F32, x, 2, 1, 4)), tensor(TENSOR(I8, w, 2, 2, 4)),
                             tensor(TENSOR(F32, scales, 1, 2))};
    const qvk__arg args4[] = {tensor(TENSOR(F32, row, 2, 1, 8)), tensor(TENSOR(U8, weights4_high, 2, 2, 4)),
                              tensor(TENSOR(F32, halves, 1, 2))};

    (void)state;
    run(QVK__OP_PRIV_WEIGHT_INT8PACK_MM, args, 3, &out, 1);
    test_assert_close("8 bit", y, expected, 2, ONE_ROUNDING);
    run(QVK__OP_ET_LINEAR_QCS4W, args4, 3, &out, 1);
    test_assert_close("4 bit", y, expected4, 2, ONE_ROUNDING);
}

static void dynamic_activations(void **state)
{
    const float expected[] = {6.22647095f, -4.00235319f, -2.742157f, -0.5501960f};
    float scales[] = {0.03137255f, 0.00392157f}, y[4];
    int8_t zero_points[] = {-1, -128};
    int32_t sums[] = {0, 4, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0};
    qvk_tensor out = *TENSOR(F32, y, 2, 2, 2);
    qvk__arg args[] = {tensor(TENSOR(F32, activations, 2, 2, 8)),
                       tensor(TENSOR(F32, scales, 1, 2)),
                       tensor(TENSOR(I8, zero_points, 1, 2)),
                       tensor(TENSOR(U8, weights4, 2, 2, 4)),
                       tensor(TENSOR(I32, sums, 2, 2, 8)),
                       tensor(TENSOR(F32, group_scales, 2, 2, 2)),
                       integer(4),
                       tensor(TENSOR(F32, bias, 1, 2))};

    (void)state;
    run(QVK__OP_ET_LINEAR_DQ8CA_Q4GSW, args, 8, &out, 1);
    test_assert_close("4 bit", y, expected, 4, TEST_F32_ROUND);
    args[3] = tensor(TENSOR(I8, weights8, 2, 2, 8));
    args[4] = none;
    memset(y, 0, sizeof(y));
    run(QVK__OP_QVK_LINEAR_DQ8CA_Q8GSW, args, 8, &out, 1);
    test_assert_close("8 bit", y, expected, 4, TEST_F32_ROUND);
    /* One scale for all rows; a row whose scale is not finite is NaN. */
    args[1] = tensor(TENSOR(F32, scales, 1, 1));
    args[2] = tensor(TENSOR(I8, zero_points, 1, 1));
    run(QVK__OP_QVK_LINEAR_DQ8CA_Q8GSW, args, 8, &out, 1);
    test_assert_close("per tensor", y, expected, 2, TEST_F32_ROUND);
    scales[0] = INFINITY;
    run(QVK__OP_QVK_LINEAR_DQ8CA_Q8GSW, args, 8, &out, 1);
    for (int i = 0; i < 4; i++)
        assert_true(isnan(y[i]));
}

static void static_activations(void **state)
{
    int8_t x[] = {10, -20, 30, 127}, w[] = {1, -2, 3, 4, -127, 0, 1, 2}, y[2];
    int32_t sums[] = {6, -124, 0, 0};
    float scales[] = {.01f, .02f, 0, 0}, padded_bias[] = {.5f, -.25f, 0, 0};
    const int expected[] = {19, -23}, expected_relu[] = {19, -3};
    qvk_tensor out = *TENSOR(I8, y, 2, 1, 2);
    qvk__arg args[] = {tensor(TENSOR(I8, x, 2, 1, 4)),
                       number(.1),
                       integer(5),
                       tensor(TENSOR(I8, w, 2, 2, 4)),
                       tensor(TENSOR(I32, sums, 1, 4)),
                       tensor(TENSOR(F32, scales, 1, 4)),
                       number(.05),
                       integer(-3),
                       tensor(TENSOR(F32, padded_bias, 1, 4)),
                       text("none")};

    (void)state;
    run(QVK__OP_ET_Q8TA_LINEAR, args, 10, &out, 1);
    assert_ints(y, expected, 2);
    args[9] = text("relu");
    run(QVK__OP_ET_Q8TA_LINEAR_GEMV, args, 10, &out, 1);
    assert_ints(y, expected_relu, 2);
}

static void static_activations_float_out(void **state)
{
    float x[] = {1, 2, 3, 4}, scales[] = {.01f, .5f}, y[2];
    int8_t w[] = {-128, 127, 0, 1, 1, 2, 3, 4}, q[] = {10, 20, 30, 40};
    int32_t sums[] = {0, 10};
    const float expected[] = {1.3f, 15.0f};
    qvk_tensor out = *TENSOR(F32, y, 1, 2);
    qvk__arg args[] = {tensor(TENSOR(F32, x, 1, 4)),
                       number(.1),
                       integer(0),
                       tensor(TENSOR(I8, w, 2, 2, 4)),
                       tensor(TENSOR(I32, sums, 1, 2)),
                       tensor(TENSOR(F32, scales, 1, 2)),
                       none};

    (void)state;
    run(QVK__OP_ET_LINEAR_Q8TA_Q8CSW, args, 7, &out, 1);
    test_assert_close("from float", y, expected, 2, ONE_ROUNDING);
    args[0] = tensor(TENSOR(I8, q, 1, 4));
    memset(y, 0, sizeof(y));
    run(QVK__OP_ET_LINEAR_Q8TA_Q8CSW, args, 7, &out, 1);
    test_assert_close("from int8", y, expected, 2, ONE_ROUNDING);
}

/* ---- embeddings ----------------------------------------------------------------------------------------- */

static void embeddings(void **state)
{
    uint8_t low[] = {0x10, 0x32, 0xFE, 0xDC}, high[] = {0x01, 0x23, 0xEF, 0xCD};
    float scales[] = {.5f, 1, 2, .25f}, y[8];
    int32_t indices[] = {1, 0};
    const float expected[] = {12, 14, 1, 1.25f, -4, -3.5f, -6, -5};
    qvk_tensor out = *TENSOR(F32, y, 2, 2, 4);
    const qvk_tensor *scales_tensor = TENSOR(F32, scales, 2, 2, 2);
    qvk__arg args[] = {tensor(TENSOR(U8, low, 2, 2, 2)), tensor(scales_tensor), integer(2),
                       tensor(TENSOR(I32, indices, 1, 2)), qvk__arg_from_bool(true)};
    const qvk__arg decomposed[] = {tensor(TENSOR(U8, high, 2, 2, 2)),
                                   tensor(scales_tensor),
                                   none,
                                   integer(-8),
                                   integer(7),
                                   args[3],
                                   none};
    qvk_error err;

    (void)state;
    run(QVK__OP_ET_EMBEDDING_Q4GSW, args, 5, &out, 1);
    test_assert_close("low nibble first", y, expected, 8, TEST_EXACT);
    args[0] = tensor(TENSOR(U8, high, 2, 2, 2));
    args[4] = qvk__arg_from_bool(false);
    run(QVK__OP_ET_EMBEDDING_Q4GSW, args, 5, &out, 1);
    test_assert_close("high nibble first", y, expected, 8, TEST_EXACT);
    run(QVK__OP_QD_EMBEDDING_4BIT_DTYPE, decomposed, 7, &out, 1);
    test_assert_close("decomposed", y, expected, 8, TEST_EXACT);
    indices[0] = 2;
    assert_int_equal(qvk__reference_run(QVK__OP_ET_EMBEDDING_Q4GSW, args, 5, &out, 1, &err),
                     QVK_INVALID_ARGUMENT);
}

/* ---- refusals ------------------------------------------------------------------------------------------- */

static qvk_status infer_quantize(const qvk__arg *args, qvk_tensor *out, qvk_error *err)
{
    return qvk__op_info_of(QVK__OP_TORCHAO_QUANTIZE_AFFINE)
        ->shape(QVK__OP_TORCHAO_QUANTIZE_AFFINE, args, 7, out, 1, err);
}

static void shapes_that_do_not_fit(void **state)
{
    float x[12] = {0}, scales[4] = {0};
    qvk_tensor out = {0};
    const int64_t block[] = {1, 3}, long_block[] = {1, 1, 4};
    qvk__arg args[] = {tensor(TENSOR(F32, x, 2, 3, 4)),
                       ints(block, 2),
                       tensor(TENSOR(F32, scales, 1, 3)),
                       none,
                       none,
                       none,
                       none};
    qvk_error err;

    (void)state;
    assert_int_equal(infer_quantize(args, &out, &err), QVK_SHAPE);
    assert_non_null(strstr(err.message, "not divisible"));
    args[1] = ints(long_block, 3);
    assert_int_equal(infer_quantize(args, &out, &err), QVK_SHAPE);
    args[1] = ints((const int64_t[]){1, 2}, 2);
    assert_int_equal(infer_quantize(args, &out, &err), QVK_SHAPE);
    assert_non_null(strstr(err.message, "for 6 blocks"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quantize_per_tensor_rounds_half_to_even),
        cmocka_unit_test(per_tensor_qparams_may_be_tensors),
        cmocka_unit_test(per_channel_uses_its_axis),
        cmocka_unit_test(per_token_adds_the_zero_point_before_rounding),
        cmocka_unit_test(affine_takes_blocks_along_any_dimension),
        cmocka_unit_test(choose_affine_follows_torchao),
        cmocka_unit_test(choose_affine_knows_three_mappings),
        cmocka_unit_test(affine_in_float16_rounds_each_step),
        cmocka_unit_test(choose_per_tensor_survives_nan),
        cmocka_unit_test(weight_only_groups),
        cmocka_unit_test(weight_only_takes_padding),
        cmocka_unit_test(weight_only_per_channel),
        cmocka_unit_test(dynamic_activations),
        cmocka_unit_test(static_activations),
        cmocka_unit_test(static_activations_float_out),
        cmocka_unit_test(embeddings),
        cmocka_unit_test(shapes_that_do_not_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
