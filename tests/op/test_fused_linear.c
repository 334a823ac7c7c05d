/* Quantized linears with what follows them, in every family of kernels that a device takes. */
#include "kernels/linear_choice.h"
#include "linear_cases.h"

/* Asked for in turn; what a device or a call does not let run falls through to another. */
static const uint32_t families = 1u << QVK__LINEAR_BASE | 1u << QVK__LINEAR_MV | 1u << QVK__LINEAR_TILE |
                                 1u << QVK__LINEAR_COOPMAT | 1u << QVK__LINEAR_LANES;

static const linear_case cases[] = {
    {1, 72, 256, 32, QVK_DTYPE_F32, true},    {1, 130, 96, 0, QVK_DTYPE_F16, false},
    {1, 37, 70, 35, QVK_DTYPE_F16, true},     {2, 40, 128, 64, QVK_DTYPE_F16, false},
    {5, 65, 48, 24, QVK_DTYPE_F32, true},     {5, 70, 100, 32, QVK_DTYPE_F16, true},
    {37, 129, 63, 0, QVK_DTYPE_F32, false},   {37, 68, 64, 32, QVK_DTYPE_F16, true},
    {17, 66, 2048, 128, QVK_DTYPE_F16, true}, /* k is split where matrices are */
    {130, 66, 130, 26, QVK_DTYPE_F16, false}, {130, 72, 128, 128, QVK_DTYPE_F32, true},
};

/* Up to the bias. */
static void begin(op_call *call, test_rng *rng, const linear_case *c, const linear_scheme *s)
{
    op_arg_random(call, rng, c->dtype, OP_SHAPE(c->m, c->k), 0, 0);
    linear_add_weights(call, rng, c, s->bits);
    linear_add_scales(call, rng, c, s->bits);
    op_arg(call, qvk__arg_from_int(linear_group_of(c)));
    linear_add_bias(call, rng, c);
}

/* test_normed_linear.c has those. */
static void add_no_norm(op_call *call)
{
    op_arg_none(call);
    op_arg_none(call);
    op_arg(call, qvk__arg_from_int(0));
}

static void check(op_call *call, const linear_case *c, const linear_scheme *s, const char *end)
{
    char what[128];

    call->families = families;
    linear_describe(c, end, what);
    op_call_check(call, what, linear_tolerance_of(c, s->is_int8 ? LINEAR_GROUP_SUM : LINEAR_FLOAT_SUM));
    op_harness_reset(call->harness);
}

/* Whole panels, as few and as ragged as that allows. */
static const linear_case gated_cases[] = {
    {1, 64, 256, 32, QVK_DTYPE_F32, false},   {1, 72, 96, 0, QVK_DTYPE_F16, true},
    {1, 8, 70, 35, QVK_DTYPE_F16, false},     {1, 200, 512, 64, QVK_DTYPE_F16, false},
    {2, 40, 128, 64, QVK_DTYPE_F16, false},   {5, 88, 100, 32, QVK_DTYPE_F16, true},
    {37, 136, 63, 0, QVK_DTYPE_F32, false},   {37, 72, 64, 32, QVK_DTYPE_F16, true},
    {17, 72, 2048, 128, QVK_DTYPE_F16, true}, /* k is split where matrices are */
    {130, 40, 130, 26, QVK_DTYPE_F16, false}, {130, 72, 128, 128, QVK_DTYPE_F32, true},
};

static void gate(void **state)
{
    test_rng rng = test_rng_seed(32);

    for (size_t i = 0; i < QVK__COUNT(gated_cases); i++)
        for (size_t s = 0; s < LINEAR_SCHEMES; s++) {
            const linear_case *c = &gated_cases[i];
            op_call call = op_call_begin(*state, linear_fused_schemes[s].op);
            begin(&call, &rng, c, &linear_fused_schemes[s]);
            if (i % 3 == 2) /* the operators allow both at once */
                op_arg_random(&call, &rng, c->dtype, OP_SHAPE(c->m, c->n), 0, 0);
            else
                op_arg_none(&call);
            add_no_norm(&call);
            linear_add_weights(&call, &rng, c, linear_fused_schemes[s].bits);
            linear_add_scales(&call, &rng, c, linear_fused_schemes[s].bits);
            linear_add_bias(&call, &rng, c);
            check(&call, c, &linear_fused_schemes[s], "gate");
        }
}

static void residual(void **state)
{
    test_rng rng = test_rng_seed(31);

    for (size_t i = 0; i < QVK__COUNT(cases); i++)
        for (size_t s = 0; s < LINEAR_SCHEMES; s++) {
            const linear_case *c = &cases[i];
            op_call call = op_call_begin(*state, linear_fused_schemes[s].op);
            begin(&call, &rng, c, &linear_fused_schemes[s]);
            op_arg_random(&call, &rng, c->dtype, OP_SHAPE(c->m, c->n), 0, 0);
            add_no_norm(&call);
            for (int up = 0; up < 3; up++)
                op_arg_none(&call);
            check(&call, c, &linear_fused_schemes[s], "residual");
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(residual),
        cmocka_unit_test(gate),
    };
    return cmocka_run_group_tests(tests, op_harness_setup, op_harness_teardown);
}
