#include "elementwise_cases.h"

#include <math.h>

#include "core/dtype.h"
#include "core/semantics.h"
#include "reference/reference.h"

/* Elementary functions are within a few units in the last place of libm's. */
static const test_tolerance ULPS_F32 = {"a few units in the last place", 2e-7, 1.5e-6};
/* One rounding to fp16 or bf16 may go the other way. */
static const test_tolerance ULP_F16 = {"one unit of fp16", 1e-7, 1e-3};
static const test_tolerance ULP_BF16 = {"one unit of bf16", 1e-7, 8e-3};

test_tolerance elementwise_tolerance(qvk_dtype dtype)
{
    return dtype == QVK_DTYPE_F16 ? ULP_F16 : dtype == QVK_DTYPE_BF16 ? ULP_BF16 : ULPS_F32;
}

typedef struct table_row {
    qvk__op op;
    const char *plan;
} table_row;

static const table_row table[] = {
#define OP(id, name, out, shape, reference, plan, schema) {QVK__OP_##id, #plan},
#include "core/ops.def"
#undef OP
};

qvk__op next_planned(const char *plan, qvk__op after)
{
    for (size_t i = 0; i < QVK__COUNT(table); i++)
        if (table[i].op > after && strcmp(table[i].plan, plan) == 0)
            return table[i].op;
    return QVK__OP_NONE;
}

static const double specials[] = {NAN,   INFINITY, -INFINITY, 0.0,   -0.0,     0.5,   -0.5, 1.5,
                                  2.5,   -2.5,     1.0,       -1.0,  3.0,      -3.0,  6.5,  1e-7,
                                  20.5,  -20.5,    88.5,      -87.2, 9.5,      100.0, 1e10, -12345.,
                                  2048., 0.785,    -4.7,      3.14,  16777216, 1e-30};

void sprinkle(qvk_tensor *tensor, size_t skip)
{
    for (size_t i = 0; qvk__dtype_is_float(tensor->dtype) && i < (size_t)qvk_tensor_numel(tensor); i++)
        if (i % 2 == 0 || i < QVK__COUNT(specials))
            qvk__reference_set(tensor, (int64_t)i,
                               (double)(float)specials[(i * (skip + 1) + skip) % QVK__COUNT(specials)]);
}

/* A number for a parameter without default. */
static qvk__arg number_for(const qvk__param *param)
{
    if (strcmp(param->name, "exponent") == 0)
        return qvk__arg_from_int(3);
    if (strcmp(param->name, "value") == 0)
        return qvk__arg_from_float(-7.5);
    return qvk__arg_from_float(0.75);
}

/* Arguments after the tensors: defaults, or something for the others. */
static void append_rest(op_call *call, const qvk__signature *signature)
{
    for (int i = call->n_args; i < signature->n_params; i++) {
        const qvk__param *param = &signature->params[i];
        if (strcmp(param->type, "str") == 0)
            op_arg_string(call, "none");
        else if (strcmp(param->type, "str?") == 0)
            op_arg_string(call, "floor");
        else
            op_arg(call, param->has_default ? param->fallback : number_for(param));
    }
}

bool needs_ints(qvk__op op)
{
    return op == QVK__OP_BITWISE_NOT || op == QVK__OP_BITWISE_AND_TENSOR || op == QVK__OP_BITWISE_OR_TENSOR ||
           op == QVK__OP_BITWISE_XOR_TENSOR;
}

bool takes_ints(qvk__op op)
{
    switch (op) {
    case QVK__OP_ABS:
    case QVK__OP_NEG:
    case QVK__OP_SIGN:
    case QVK__OP_SQUARE:
    case QVK__OP_RELU:
    case QVK__OP_ROUND:
    case QVK__OP_FLOOR:
    case QVK__OP_EXP:
    case QVK__OP_RSQRT:
    case QVK__OP_SIGMOID:
    case QVK__OP_HARDTANH:
    case QVK__OP_CLAMP_MIN:
    case QVK__OP_LOGICAL_NOT:
    case QVK__OP_ISNAN:
    case QVK__OP_POW_TENSOR_SCALAR: return true;
    default: return needs_ints(op);
    }
}

void check_unary(op_harness *harness, test_rng *rng, qvk__op op, qvk_dtype dtype)
{
    op_call call = op_call_begin(harness, op);
    qvk__signature signature;

    qvk__op_signature(op, &signature);
    sprinkle(op_arg_random(&call, rng, dtype, OP_SHAPE(5, 27), -100, 100), 0);
    append_rest(&call, &signature);
    op_call_check(&call, qvk_dtype_name(dtype), elementwise_tolerance(dtype));
    op_harness_reset(harness);
}

static bool is_scalar_form(qvk__op op)
{
    return strstr(qvk__op_name(op), ".Scalar") != NULL;
}

void check_binary(op_harness *harness, test_rng *rng, qvk__op op, qvk_dtype a, qvk_dtype b)
{
    const int64_t low = a == QVK_DTYPE_BOOL || a == QVK_DTYPE_U8 ? 0 : -9;
    op_call call = op_call_begin(harness, op);
    qvk__signature signature;

    qvk__op_signature(op, &signature);
    sprinkle(op_arg_random(&call, rng, a, OP_SHAPE(9, 15), low, 9), 1);
    if (is_scalar_form(op)) {
        op_arg(&call, qvk__dtype_is_float(a) ? qvk__arg_from_float(1.125) : qvk__arg_from_int(3));
    } else { /* no zero among integers: dividing by it is an error on the host */
        sprinkle(op_arg_random(&call, rng, b, OP_SHAPE(9, 15), 1, 9), 5);
    }
    append_rest(&call, &signature);
    op_call_check(&call, qvk_dtype_name(a), elementwise_tolerance(qvk__promote(a, b)));
    op_harness_reset(harness);
}
