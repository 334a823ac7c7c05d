/* Float convolution on the device. */
#include "op_harness.h"

static const test_tolerance SUM_F32 = {"float32 sum of products", 5e-5, 1e-5};
static const test_tolerance SUM_F16 = {"float32 sum stored as fp16", 2e-3, 1e-3};

typedef struct conv_case {
    const char *name;
    int64_t batch, in_channels, out_channels, groups, in[2], kernel[2], stride[2], padding[2], dilation[2];
    bool transposed;
    int64_t output_padding[2];
    bool bias, half;
} conv_case;

/* Unset strides and dilations are 1. */
static const conv_case cases[] = {
    {"3x3", 1, 3, 9, 1, {11, 13}, {3, 3}, .padding = {1, 1}, .bias = true},
    {"3x3, many channels", 1, 20, 70, 1, {9, 8}, {3, 3}, .padding = {1, 1}, .bias = true},
    {"3x3 fp16", 1, 5, 33, 1, {7, 9}, {3, 3}, .padding = {1, 1}, .bias = true, .half = true},
    {"strided", 2, 4, 12, 1, {13, 12}, {3, 2}, .stride = {2, 3}, .padding = {1, 0}},
    {"dilated", 1, 3, 8, 1, {15, 14}, {3, 3}, .padding = {2, 3}, .dilation = {2, 3}},
    {"pointwise", 3, 17, 65, 1, {5, 7}, {1, 1}, .bias = true},
    {"pointwise, groups", 1, 16, 24, 2, {4, 6}, {1, 1}, .bias = true},
    {"large tiles", 1, 3, 130, 1, {33, 32}, {2, 2}, .bias = true},
    {"pointwise, one pixel", 1, 40, 30, 1, {1, 1}, {1, 1}, .bias = true},
    {"groups", 2, 12, 20, 2, {6, 5}, {3, 3}, .padding = {1, 1}, .bias = true},
    {"narrow groups", 1, 12, 6, 3, {6, 5}, {3, 3}, .padding = {1, 1}},
    {"depthwise", 2, 13, 13, 13, {9, 10}, {3, 3}, .stride = {2, 1}, .padding = {1, 1}, .bias = true},
    {"depthwise fp16", 1, 5, 5, 5, {7, 7}, {5, 3}, .padding = {2, 1}, .half = true},
    {"depthwise multiplier", 1, 4, 12, 4, {6, 6}, {3, 3}, .padding = {1, 1}},
    {"large kernel", 1, 2, 10, 1, {12, 12}, {7, 7}, .stride = {2, 2}, .padding = {3, 3}},
    {"transposed",
     1,
     6,
     10,
     1,
     {5, 6},
     {3, 3},
     .stride = {2, 2},
     .padding = {1, 1},
     .transposed = true,
     .output_padding = {1, 0},
     .bias = true},
    {"transposed groups",
     2,
     6,
     18,
     2,
     {4, 5},
     {2, 3},
     .stride = {2, 1},
     .dilation = {1, 2},
     .transposed = true},
    {"transposed depthwise",
     1,
     5,
     5,
     5,
     {4, 4},
     {4, 4},
     .stride = {2, 2},
     .padding = {1, 1},
     .transposed = true},
    {"transposed fp16", 1, 3, 9, 1, {5, 5}, {2, 2}, .stride = {2, 2}, .transposed = true, .half = true},
};

/* Spatial rank 1 takes the second of each pair. */
static void check(op_harness *harness, test_rng *rng, const conv_case *c, int spatial, bool clamped)
{
    const int64_t ones[2] = {1, 1}, skip = 2 - spatial;
    const int64_t *stride = c->stride[0] ? c->stride : ones, *dilation = c->dilation[0] ? c->dilation : ones;
    const qvk_dtype dtype = c->half ? QVK_DTYPE_F16 : QVK_DTYPE_F32;
    const int64_t first = c->transposed ? c->in_channels : c->out_channels;
    const int64_t second = (c->transposed ? c->out_channels : c->in_channels) / c->groups;
    op_call call = op_call_begin(harness, clamped ? QVK__OP_ET_CONV_WITH_CLAMP : QVK__OP_CONVOLUTION);

    if (spatial == 2) {
        op_arg_random(&call, rng, dtype, OP_SHAPE(c->batch, c->in_channels, c->in[0], c->in[1]), 0, 0);
        op_arg_constant(&call, rng, dtype, OP_SHAPE(first, second, c->kernel[0], c->kernel[1]), 0, 0);
    } else {
        op_arg_random(&call, rng, dtype, OP_SHAPE(c->batch, c->in_channels, c->in[1]), 0, 0);
        op_arg_constant(&call, rng, dtype, OP_SHAPE(first, second, c->kernel[1]), 0, 0);
    }
    if (c->bias)
        op_arg_constant(&call, rng, dtype, OP_SHAPE(c->out_channels), 0, 0);
    else
        op_arg_none(&call);
    op_arg_ints(&call, stride + skip, spatial);
    op_arg_ints(&call, c->padding + skip, spatial);
    op_arg_ints(&call, dilation + skip, spatial);
    op_arg(&call, qvk__arg_from_bool(c->transposed));
    op_arg_ints(&call, c->output_padding + skip, spatial);
    op_arg(&call, qvk__arg_from_int(c->groups));
    if (clamped) {
        op_arg(&call, qvk__arg_from_int(0));
        op_arg(&call, qvk__arg_from_float(1.7976931348623157e308));
    }
    op_call_check(&call, c->name, c->half ? SUM_F16 : SUM_F32);
    op_harness_reset(harness);
}

static void two_dimensions(void **state)
{
    test_rng rng = test_rng_seed(1);

    for (size_t i = 0; i < QVK__COUNT(cases); i++)
        check(*state, &rng, &cases[i], 2, false);
}

static void one_dimension(void **state)
{
    test_rng rng = test_rng_seed(2);

    for (size_t i = 0; i < QVK__COUNT(cases); i++)
        check(*state, &rng, &cases[i], 1, false);
}

static void clamped(void **state)
{
    test_rng rng = test_rng_seed(3);

    for (size_t i = 0; i < QVK__COUNT(cases); i++)
        check(*state, &rng, &cases[i], 2, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_dimensions),
        cmocka_unit_test(one_dimension),
        cmocka_unit_test(clamped),
    };
    return cmocka_run_group_tests(tests, op_harness_setup, op_harness_teardown);
}
