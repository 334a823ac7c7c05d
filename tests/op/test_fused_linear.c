/* Quantized linears with what follows them, in every family of kernels that a device takes. */
#include <math.h>
#include <stdio.h>

#include "core/dtype.h"
#include "kernels/linear_choice.h"
#include "op_harness.h"
#include "reference/reference.h"

/* Float32 sums of k products in another order, results of size about one. */
static const test_tolerance FLOAT_SUM = {"float32 sums in another order", 2e-5, 1e-5};
/* The same stored as fp16. */
static const test_tolerance HALF_SUM = {"float32 sums stored as fp16", 1e-3, 1e-3};
/* Integer sums exact; the groups' float32 sum may be cut differently. */
static const test_tolerance GROUP_SUM = {"exact sums, groups added in another order", 4e-6, 2e-6};

/* Asked for in turn; what a device or a call does not let run falls through to another. */
static const uint32_t families = 1u << QVK__LINEAR_BASE | 1u << QVK__LINEAR_MV | 1u << QVK__LINEAR_TILE |
                                 1u << QVK__LINEAR_COOPMAT | 1u << QVK__LINEAR_LANES;

typedef struct fused_case {
    int64_t m, n, k, group; /* group 0: per channel */
    qvk_dtype dtype;
    bool bias;
} fused_case;

static const fused_case cases[] = {
    {1, 72, 256, 32, QVK_DTYPE_F32, true},    {1, 130, 96, 0, QVK_DTYPE_F16, false},
    {1, 37, 70, 35, QVK_DTYPE_F16, true},     {2, 40, 128, 64, QVK_DTYPE_F16, false},
    {5, 65, 48, 24, QVK_DTYPE_F32, true},     {5, 70, 100, 32, QVK_DTYPE_F16, true},
    {37, 129, 63, 0, QVK_DTYPE_F32, false},   {37, 68, 64, 32, QVK_DTYPE_F16, true},
    {130, 66, 130, 26, QVK_DTYPE_F16, false}, {130, 72, 128, 128, QVK_DTYPE_F32, true},
};

/* A scheme: bits of the weights, and whether activations are quantized on the way. */
typedef struct scheme {
    qvk__op op;
    int bits;
    bool is_int8;
} scheme;

static const scheme schemes[] = {
    {QVK__OP_QVK_FUSED_LINEAR_Q4GSW, 4, false},
    {QVK__OP_QVK_FUSED_LINEAR_Q8GSW, 8, false},
    {QVK__OP_QVK_FUSED_LINEAR_D8_Q4GSW, 4, true},
    {QVK__OP_QVK_FUSED_LINEAR_D8_Q8GSW, 8, true},
};

static void add_weights(op_call *call, test_rng *rng, const fused_case *c, int bits)
{
    if (bits == 8)
        op_arg_constant(call, rng, QVK_DTYPE_I8, OP_SHAPE(c->n, c->k), -128, 127);
    else
        op_arg_constant(call, rng, QVK_DTYPE_U8, OP_SHAPE(c->n, (c->k + 7) / 8 * 4), 0, 255);
}

/* Such that results are of size about one. */
static void add_scales(op_call *call, test_rng *rng, const fused_case *c, int bits)
{
    const int64_t groups = c->group ? (c->k + c->group - 1) / c->group : 1;
    qvk_tensor *scales = op_arg_constant(call, rng, c->dtype, OP_SHAPE(groups, (c->n + 3) / 4 * 4), 0, 0);
    const float largest = bits == 8 ? 64.0f : 4.0f;

    for (int64_t i = 0; i < qvk_tensor_numel(scales); i++)
        qvk__reference_set(scales, i,
                           (double)(test_rng_uniform(rng, 0.5f, 1.5f) / (largest * sqrtf((float)c->k))));
}

static void add_bias(op_call *call, test_rng *rng, const fused_case *c)
{
    if (c->bias)
        op_arg_constant(call, rng, c->dtype, OP_SHAPE(c->n), 0, 0);
    else
        op_arg_none(call);
}

static void check(op_call *call, const fused_case *c, const scheme *s, const char *end)
{
    char what[128];

    call->families = families;
    snprintf(what, sizeof what, "%s M=%d N=%d K=%d group %d %s%s", end, (int)c->m, (int)c->n, (int)c->k,
             (int)c->group, qvk_dtype_name(c->dtype), c->bias ? " bias" : "");
    op_call_check(call, what, c->dtype == QVK_DTYPE_F16 ? HALF_SUM : s->is_int8 ? GROUP_SUM : FLOAT_SUM);
    op_harness_reset(call->harness);
}

static void residual(void **state)
{
    test_rng rng = test_rng_seed(31);

    for (size_t i = 0; i < QVK__COUNT(cases); i++)
        for (size_t s = 0; s < QVK__COUNT(schemes); s++) {
            const fused_case *c = &cases[i];
            op_call call = op_call_begin(*state, schemes[s].op);
            op_arg_random(&call, &rng, c->dtype, OP_SHAPE(c->m, c->k), 0, 0);
            add_weights(&call, &rng, c, schemes[s].bits);
            add_scales(&call, &rng, c, schemes[s].bits);
            op_arg(&call, qvk__arg_from_int(c->group ? c->group : c->k));
            add_bias(&call, &rng, c);
            op_arg_random(&call, &rng, c->dtype, OP_SHAPE(c->m, c->n), 0, 0);
            op_arg_none(&call); /* no norm: test_normed_linear.c */
            op_arg_none(&call);
            op_arg(&call, qvk__arg_from_int(0));
            check(&call, c, &schemes[s], "residual");
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(residual),
    };
    return cmocka_run_group_tests(tests, op_harness_setup, op_harness_teardown);
}
