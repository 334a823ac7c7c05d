#include "linear_cases.h"

#include <math.h>
#include <stdio.h>

#include "core/dtype.h"
#include "reference/reference.h"

const test_tolerance LINEAR_FLOAT_SUM = {"float32 sums in another order", 2e-5, 1e-5};
const test_tolerance LINEAR_HALF_SUM = {"float32 sums stored as fp16", 1e-3, 1e-3};
const test_tolerance LINEAR_GROUP_SUM = {"exact sums, groups added in another order", 4e-6, 2e-6};

const linear_scheme linear_fused_schemes[LINEAR_SCHEMES] = {
    {QVK__OP_QVK_FUSED_LINEAR_Q4GSW, 4, false},
    {QVK__OP_QVK_FUSED_LINEAR_Q8GSW, 8, false},
    {QVK__OP_QVK_FUSED_LINEAR_D8_Q4GSW, 4, true},
    {QVK__OP_QVK_FUSED_LINEAR_D8_Q8GSW, 8, true},
};

int64_t linear_group_of(const linear_case *c)
{
    return c->group ? c->group : c->k;
}

int64_t linear_groups_of(const linear_case *c)
{
    return (c->k + linear_group_of(c) - 1) / linear_group_of(c);
}

void linear_describe(const linear_case *c, const char *what, char out[128])
{
    snprintf(out, 128, "%s M=%d N=%d K=%d group %d %s%s", what, (int)c->m, (int)c->n, (int)c->k,
             (int)c->group, qvk_dtype_name(c->dtype), c->bias ? " bias" : "");
}

void linear_fill_scales(qvk_tensor *scales, test_rng *rng, int64_t k, float largest)
{
    for (int64_t i = 0; i < qvk_tensor_numel(scales); i++)
        qvk__reference_set(scales, i,
                           (double)(test_rng_uniform(rng, 0.5f, 1.5f) / (largest * sqrtf((float)k))));
}

void linear_add_weights(op_call *call, test_rng *rng, const linear_case *c, int bits)
{
    if (bits == 8)
        op_arg_constant(call, rng, QVK_DTYPE_I8, OP_SHAPE(c->n, c->k), -128, 127);
    else
        op_arg_constant(call, rng, QVK_DTYPE_U8, OP_SHAPE(c->n, (c->k + 7) / 8 * 4), 0, 255);
}

void linear_add_scales(op_call *call, test_rng *rng, const linear_case *c, int bits)
{
    /* The exporter pads to a multiple of four; other producers do not. */
    const int64_t width = c->n % 2 ? (c->n + 3) / 4 * 4 : c->n;

    linear_fill_scales(op_arg_constant(call, rng, c->dtype, OP_SHAPE(linear_groups_of(c), width), 0, 0), rng,
                       c->k, bits == 8 ? 64.0f : 4.0f);
}

void linear_add_bias(op_call *call, test_rng *rng, const linear_case *c)
{
    if (c->bias)
        op_arg_constant(call, rng, c->dtype, OP_SHAPE(c->n), 0, 0);
    else
        op_arg_none(call);
}

test_tolerance linear_tolerance_of(const linear_case *c, test_tolerance otherwise)
{
    return c->dtype == QVK_DTYPE_F16 ? LINEAR_HALF_SUM : otherwise;
}
