/* Statically quantized int8 operators on the device: the same bits as the reference. */
#include "op_harness.h"

static int64_t round_up_4(int64_t n)
{
    return (n + 3) / 4 * 4;
}

/* ---- convolution ---------------------------------------------------------------------------------------- */

typedef struct conv_case {
    const char *name;
    qvk__op op;
    int64_t batch, in_channels, out_channels, groups, in[2], kernel[2], stride[2], padding[2], dilation[2];
    int64_t output_padding[2];
    bool bias, relu, unpadded;
} conv_case;

#define GENERAL    QVK__OP_ET_Q8TA_CONV2D
#define POINTWISE  QVK__OP_ET_Q8TA_CONV2D_PW
#define DEPTHWISE  QVK__OP_ET_Q8TA_CONV2D_DW
#define TRANSPOSED QVK__OP_ET_Q8TA_CONV2D_TRANSPOSED

/* Unset strides and dilations are 1. */
static const conv_case conv_cases[] = {
    {"3x3, 3 channels", GENERAL, 1, 3, 16, 1, {9, 11}, {3, 3}, {2, 2}, {1, 1}, .bias = true, .relu = true},
    {"3x3", GENERAL, 1, 24, 40, 1, {7, 6}, {3, 3}, .padding = {1, 1}, .bias = true},
    {"3x3, odd channels", GENERAL, 1, 5, 19, 1, {7, 5}, {3, 3}, .padding = {1, 1}, .unpadded = true},
    {"batch", GENERAL, 3, 6, 9, 1, {5, 5}, {3, 2}, .padding = {1, 0}, .bias = true},
    {"dilated", GENERAL, 1, 4, 8, 1, {12, 11}, {3, 3}, .padding = {2, 2}, .dilation = {2, 3}},
    {"groups", GENERAL, 1, 12, 24, 2, {5, 6}, {3, 3}, .padding = {1, 1}, .bias = true},
    {"narrow groups", GENERAL, 2, 8, 12, 4, {5, 6}, {3, 3}, .padding = {1, 1}, .relu = true},
    {"pointwise", POINTWISE, 1, 32, 64, 1, {8, 8}, {1, 1}, .bias = true, .relu = true},
    {"pointwise, ragged", POINTWISE, 2, 37, 66, 1, {7, 7}, {1, 1}, .bias = true},
    {"pointwise, one pixel", POINTWISE, 1, 48, 21, 1, {1, 1}, {1, 1}, .bias = true},
    {"pointwise, large tiles", POINTWISE, 1, 9, 131, 1, {32, 34}, {1, 1}, .bias = true},
    {"3x3, large tiles", GENERAL, 1, 5, 140, 1, {33, 31}, {3, 3}, .padding = {1, 1}, .relu = true},
    {"depthwise", DEPTHWISE, 1, 16, 16, 16, {8, 9}, {3, 3}, {2, 2}, {1, 1}, .bias = true, .relu = true},
    {"depthwise, odd", DEPTHWISE, 2, 6, 6, 6, {7, 7}, {3, 5}, .padding = {1, 2}, .unpadded = true},
    {"depthwise, dilated", DEPTHWISE, 1, 9, 9, 9, {9, 8}, {3, 3}, {1, 2}, {2, 2}, {2, 2}, .bias = true},
    {"transposed", TRANSPOSED, 1, 8, 12, 1, {4, 5}, {2, 2}, {2, 2}, .bias = true},
    {"transposed, overlapping",
     TRANSPOSED,
     1,
     5,
     10,
     1,
     {5, 4},
     {3, 3},
     {2, 2},
     {1, 1},
     .output_padding = {1, 0}},
    {"transposed, groups", TRANSPOSED, 2, 8, 6, 2, {4, 4}, {3, 2}, {1, 2}, {1, 0}, .relu = true},
};

static void add_weight(op_call *call, test_rng *rng, const conv_case *c)
{
    const int64_t row = c->kernel[0] * c->kernel[1] * (c->in_channels / c->groups);
    const int64_t width = c->unpadded ? row : round_up_4(row);

    if (c->op == DEPTHWISE) {
        op_arg_constant(call, rng, QVK_DTYPE_I8, OP_SHAPE(c->kernel[0], c->kernel[1], c->out_channels), -127,
                        127);
        return;
    }
    int8_t *weight =
        op_arg_constant(call, rng, QVK_DTYPE_I8, OP_SHAPE(c->out_channels, width), -127, 127)->data;
    for (int64_t n = 0; n < c->out_channels; n++)
        for (int64_t k = row; k < width; k++)
            weight[n * width + k] = 0;
}

/* Scales that use the whole range of int8 without saturating everything. */
static void add_scales(op_call *call, test_rng *rng, int64_t n)
{
    float *scales = op_arg_constant(call, rng, QVK_DTYPE_F32, OP_SHAPE(n), 0, 0)->data;

    for (int64_t i = 0; i < n; i++)
        scales[i] = test_rng_uniform(rng, 0.001F, 0.004F);
}

static void check_conv(op_harness *harness, test_rng *rng, const conv_case *c)
{
    const int64_t ones[2] = {1, 1}, width = c->unpadded ? c->out_channels : round_up_4(c->out_channels);
    op_call call = op_call_begin(harness, c->op);

    op_arg_random(&call, rng, QVK_DTYPE_I8, OP_SHAPE(c->batch, c->in_channels, c->in[0], c->in[1]), -128,
                  127);
    op_arg(&call, qvk__arg_from_float(0.041));
    op_arg(&call, qvk__arg_from_int(test_rng_range(rng, -128, 127)));
    add_weight(&call, rng, c);
    op_arg_constant(&call, rng, QVK_DTYPE_I32, OP_SHAPE(width), 0, 0);
    add_scales(&call, rng, width);
    op_arg(&call, qvk__arg_from_float(0.3));
    op_arg(&call, qvk__arg_from_int(test_rng_range(rng, -40, 40)));
    if (c->bias)
        op_arg_constant(&call, rng, QVK_DTYPE_F32, OP_SHAPE(width), 0, 0);
    else
        op_arg_none(&call);
    op_arg_ints(&call, c->kernel, 2);
    op_arg_ints(&call, c->stride[0] ? c->stride : ones, 2);
    op_arg_ints(&call, c->padding, 2);
    if (c->op == TRANSPOSED)
        op_arg_ints(&call, c->output_padding, 2);
    op_arg_ints(&call, c->dilation[0] ? c->dilation : ones, 2);
    op_arg(&call, qvk__arg_from_int(c->groups));
    op_arg_string(&call, c->relu ? "relu" : "none");
    op_call_check(&call, c->name, TEST_EXACT);
    op_harness_reset(harness);
}

static void convolution(void **state)
{
    test_rng rng = test_rng_seed(1);

    for (size_t i = 0; i < QVK__COUNT(conv_cases); i++)
        check_conv(*state, &rng, &conv_cases[i]);
}

/* ---- elementwise ---------------------------------------------------------------------------------------- */

static void add(void **state)
{
    static const int64_t sizes[] = {1, 4, 7, 64, 1023};
    test_rng rng = test_rng_seed(2);

    for (size_t i = 0; i < QVK__COUNT(sizes); i++) {
        op_call call = op_call_begin(*state, QVK__OP_ET_Q8TA_ADD);
        op_arg_random(&call, &rng, QVK_DTYPE_I8, OP_SHAPE(sizes[i]), -128, 127);
        op_arg_random(&call, &rng, QVK_DTYPE_I8, OP_SHAPE(sizes[i]), -128, 127);
        op_arg(&call, qvk__arg_from_float(0.1));
        op_arg(&call, qvk__arg_from_int(5));
        op_arg(&call, qvk__arg_from_float(0.07));
        op_arg(&call, qvk__arg_from_int(-11));
        op_arg(&call, qvk__arg_from_float(0.13));
        op_arg(&call, qvk__arg_from_int(7));
        op_arg(&call, qvk__arg_from_float(i % 2 ? 1 : -0.5));
        op_call_check(&call, "q8ta_add", TEST_EXACT);
        op_harness_reset(*state);
    }
}

static void relu(void **state)
{
    test_rng rng = test_rng_seed(3);
    op_call call = op_call_begin(*state, QVK__OP_ET_Q8TA_RELU);

    op_arg_random(&call, &rng, QVK_DTYPE_I8, OP_SHAPE(3, 7, 11), -128, 127);
    op_arg(&call, qvk__arg_from_float(0.1));
    op_arg(&call, qvk__arg_from_int(5));
    op_arg(&call, qvk__arg_from_float(0.06));
    op_arg(&call, qvk__arg_from_int(-3));
    op_call_check(&call, "q8ta_relu", TEST_EXACT);
}

static void requantizing_pixel_shuffle(void **state)
{
    test_rng rng = test_rng_seed(4);

    for (int64_t factor = 1; factor <= 3; factor++) {
        op_call call = op_call_begin(*state, QVK__OP_ET_Q8TA_PIXEL_SHUFFLE);
        op_arg_random(&call, &rng, QVK_DTYPE_I8, OP_SHAPE(2, 3 * factor * factor, 3, 5), -128, 127);
        op_arg(&call, qvk__arg_from_float(0.1));
        op_arg(&call, qvk__arg_from_int(3));
        op_arg(&call, qvk__arg_from_float(1 / 0.15));
        op_arg(&call, qvk__arg_from_int(-9));
        op_arg(&call, qvk__arg_from_int(factor));
        op_call_check(&call, "q8ta_pixel_shuffle", TEST_EXACT);
        op_harness_reset(*state);
    }
}

static void pixel_shuffles_of_every_size(void **state)
{
    static const qvk_dtype dtypes[] = {QVK_DTYPE_F32, QVK_DTYPE_F16, QVK_DTYPE_I8, QVK_DTYPE_I64,
                                       QVK_DTYPE_BOOL};
    test_rng rng = test_rng_seed(5);

    for (size_t i = 0; i < QVK__COUNT(dtypes); i++)
        for (int inverse = 0; inverse < 2; inverse++) {
            op_call call = op_call_begin(*state, inverse ? QVK__OP_PIXEL_UNSHUFFLE : QVK__OP_PIXEL_SHUFFLE);
            op_arg_random(&call, &rng, dtypes[i], inverse ? OP_SHAPE(2, 3, 6, 10) : OP_SHAPE(3, 12, 3, 5), 0,
                          1);
            op_arg(&call, qvk__arg_from_int(2));
            op_call_check(&call, "pixel shuffle", TEST_EXACT);
            op_harness_reset(*state);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(convolution),
        cmocka_unit_test(add),
        cmocka_unit_test(relu),
        cmocka_unit_test(requantizing_pixel_shuffle),
        cmocka_unit_test(pixel_shuffles_of_every_size),
    };
    return cmocka_run_group_tests(tests, op_harness_setup, op_harness_teardown);
}
