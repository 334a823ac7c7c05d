/* Elementwise operators, casts and copies with broadcasting: shaders/elementwise.comp. */
#include <math.h>

#include "core/dtype.h"
#include "kernels/plan.h"

/* How an operand is read; the numbers are those of the shader. */
typedef enum operand_mode {
    MODE_FULL = 0, /* element i for element i */
    MODE_ONE,
    MODE_NUMBER,
    MODE_STRIDED,
    MODE_ROWS,  /* strided, in aligned fours */
    MODE_REPEAT /* strided, the same element four times */
} operand_mode;

typedef struct elementwise_call {
    qvk__elementwise e;
    qvk__ref inputs[3]; /* of the operands that are tensors */
    qvk__ref out;
    const qvk_tensor *out_desc;
} elementwise_call;

static bool is_int_class(const elementwise_call *call)
{
    return !qvk__dtype_is_float(call->e.common) && !qvk__dtype_is_float(call->out_desc->dtype);
}

/* ---- operands ------------------------------------------------------------------------------------------- */

static operand_mode mode_of(const qvk__elementwise *e, const qvk__walk *walk, int operand)
{
    const qvk_tensor *tensor = e->operands[operand].tensor;
    const int last = walk->rank - 1;

    if (!tensor)
        return MODE_NUMBER;
    if (qvk_tensor_numel(tensor) == 1)
        return MODE_ONE;
    if (qvk__walk_is_flat(walk, operand))
        return MODE_FULL;
    if (qvk__walk_is_quads(walk, operand))
        return MODE_ROWS;
    return walk->sizes[last] % 4 == 0 && walk->strides[operand][last] == 0 ? MODE_REPEAT : MODE_STRIDED;
}

/* A number as operands of this type see it. */
static uint32_t int_bits(const qvk__elementwise *e, const qvk__operand *number)
{
    const uint64_t value = (uint64_t)number->i;

    switch (e->common) {
    case QVK_DTYPE_BOOL: return number->i != 0;
    case QVK_DTYPE_I8: return (uint32_t)(int8_t)value;
    case QVK_DTYPE_U8: return (uint8_t)value;
    case QVK_DTYPE_I16: return (uint32_t)(int16_t)value;
    default: return (uint32_t)value;
    }
}

static float float_value(const qvk__elementwise *e, const qvk__operand *number)
{
    const float value = (float)number->f;

    if (!e->wide_scalars && e->common == QVK_DTYPE_F16)
        return qvk__f16_to_f32(qvk__f32_to_f16(value));
    if (!e->wide_scalars && e->common == QVK_DTYPE_BF16)
        return qvk__bf16_to_f32(qvk__f32_to_bf16(value));
    return value;
}

/*
 * What the kernel converts operands to. In products and quotients of halves scalars stay unrounded (see
 * wide_scalars); then it must not round any, which changes nothing for floats with dimensions: they are
 * halves.
 */
static qvk_dtype operand_dtype(const qvk__elementwise *e)
{
    bool wide = e->wide_scalars && qvk__dtype_is_float(e->common);

    for (int i = 0; i < e->n_operands; i++)
        if (e->operands[i].tensor && e->operands[i].tensor->rank > 0)
            wide = wide && qvk__dtype_is_float(e->operands[i].dtype);
    return wide ? QVK_DTYPE_F32 : qvk__device_dtype(e->common);
}

/* ---- the dispatch --------------------------------------------------------------------------------------- */

static qvk__kernel kernel_of(const elementwise_call *call)
{
    enum { F32, MATH, I32 };
    static const qvk__kernel kernels[3][3] = {
        [F32] = {QVK__KERNEL_ELEMENTWISE_F32_1, QVK__KERNEL_ELEMENTWISE_F32_2, QVK__KERNEL_ELEMENTWISE_F32_3},
        [MATH] = {QVK__KERNEL_ELEMENTWISE_MATH_1, QVK__KERNEL_ELEMENTWISE_MATH_2},
        [I32] = {QVK__KERNEL_ELEMENTWISE_I32_1, QVK__KERNEL_ELEMENTWISE_I32_2, QVK__KERNEL_ELEMENTWISE_I32_3},
    };
    const int arithmetic = is_int_class(call) ? I32 : qvk__fn_is_math(call->e.fn) ? MATH : F32;
    return kernels[arithmetic][call->e.n_operands - 1];
}

static void append_number(qvk__dispatch *d, const elementwise_call *call, const qvk__operand *operand)
{
    if (operand->tensor)
        qvk__dispatch_uint(d, 0);
    else if (is_int_class(call))
        qvk__dispatch_uint(d, int_bits(&call->e, operand));
    else
        qvk__dispatch_float(d, float_value(&call->e, operand));
}

static void append_coefficient(qvk__dispatch *d, const elementwise_call *call, double value)
{
    if (is_int_class(call))
        qvk__dispatch_int(d, (int64_t)fmin(fmax(value, INT32_MIN), INT32_MAX));
    else
        qvk__dispatch_float(d, (float)value);
}

static qvk__walk walk_operands(const elementwise_call *call)
{
    static const int64_t nowhere[QVK_MAX_RANK] = {0};
    qvk__walk walk = qvk__walk_of(call->out_desc);
    int64_t strides[QVK_MAX_RANK];

    for (int i = 0; i < call->e.n_operands; i++) {
        if (call->e.operands[i].tensor)
            qvk__broadcast_strides(call->e.operands[i].tensor, call->out_desc, strides);
        qvk__walk_add(&walk, call->e.operands[i].tensor ? strides : nowhere, 0);
    }
    qvk__walk_collapse(&walk);
    return walk;
}

static void append_buffers(qvk__dispatch *d, const elementwise_call *call)
{
    const qvk__ref *some = NULL; /* stands in for operands that are no tensors */

    for (int i = 0; i < call->e.n_operands && !some; i++)
        some = call->e.operands[i].tensor ? &call->inputs[i] : NULL;
    for (int i = 0; i < call->e.n_operands; i++) {
        const bool is_tensor = call->e.operands[i].tensor != NULL;
        qvk__dispatch_read(d, is_tensor ? call->inputs[i] : some ? *some : call->out);
        if (is_tensor)
            d->bytes += qvk__device_bytes(call->e.operands[i].tensor);
    }
    qvk__dispatch_write(d, call->out);
    d->bytes += qvk__device_bytes(call->out_desc);
}

static qvk_status plan_call(qvk__planner *planner, const elementwise_call *call, qvk_error *err)
{
    const qvk__elementwise *e = &call->e;
    const qvk__walk walk = walk_operands(call);
    const int64_t numel = qvk_tensor_numel(call->out_desc);
    qvk__dispatch d = {.kernel = kernel_of(call), .ops = (uint64_t)numel};

    if (numel == 0)
        return QVK_OK;
    append_buffers(&d, call);
    qvk__dispatch_spec(&d, (uint32_t)e->fn);
    qvk__dispatch_spec(&d, operand_dtype(e));
    qvk__dispatch_spec(&d, qvk__device_dtype(call->out_desc->dtype));
    for (int i = 0; i < 3; i++)
        qvk__dispatch_spec(&d, i < e->n_operands && e->operands[i].tensor
                                   ? (uint32_t)qvk__device_dtype(e->operands[i].dtype)
                                   : (uint32_t)operand_dtype(e));
    qvk__dispatch_uint(&d, (uint64_t)numel);
    qvk__dispatch_uint(&d, (uint64_t)walk.rank);
    qvk__dispatch_uint(&d, 0); /* the block's vectors are aligned to 16 bytes */
    qvk__dispatch_uint(&d, 0);
    for (int i = 0; i < 4; i++)
        qvk__dispatch_uint(&d, i < e->n_operands ? mode_of(e, &walk, i) : 0);
    for (int i = 0; i < 4; i++)
        if (i < e->n_operands)
            append_number(&d, call, &e->operands[i]);
        else
            qvk__dispatch_uint(&d, 0);
    for (int i = 0; i < 4; i++)
        append_coefficient(&d, call, i < QVK__MAX_FN_PARAMS ? e->params[i] : 0.0);
    qvk__dispatch_sizes(&d, &walk);
    for (int i = 0; i < e->n_operands; i++)
        qvk__dispatch_strides(&d, &walk, i);
    qvk__dispatch_quads(planner, &d, (uint64_t)numel);
    return planner->dispatch(planner, &d, err);
}

static qvk_status plan_elementwise(qvk__planner *planner, const qvk__node *node, qvk_error *err)
{
    elementwise_call call = {.out = qvk__ref_value(node->outs[0])};
    qvk__call resolved;

    QVK__TRY(qvk__call_of(planner, node, &resolved, err));
    QVK__TRY(qvk__elementwise_of(node->op, resolved.args, &call.e, err));
    for (int i = 0; i < call.e.n_operands; i++)
        if (call.e.operands[i].tensor)
            call.inputs[i] = qvk__call_ref(&resolved, call.e.operands[i].tensor);
    call.out_desc = qvk__call_out(planner, node, 0);
    return plan_call(planner, &call, err);
}

qvk_status qvk__plan_unary(qvk__planner *planner, const qvk__node *node, qvk_error *err)
{
    return plan_elementwise(planner, node, err);
}

qvk_status qvk__plan_binary(qvk__planner *planner, const qvk__node *node, qvk_error *err)
{
    return plan_elementwise(planner, node, err);
}

qvk_status qvk__plan_where(qvk__planner *planner, const qvk__node *node, qvk_error *err)
{
    return plan_elementwise(planner, node, err);
}

/* ---- casts and copies ----------------------------------------------------------------------------------- */

qvk_status qvk__plan_cast(qvk__planner *planner, qvk__ref in, const qvk_tensor *in_desc, qvk__ref out,
                          const qvk_tensor *out_desc, qvk_error *err)
{
    elementwise_call call = {.inputs = {in}, .out = out, .out_desc = out_desc};

    call.e = (qvk__elementwise){.fn = QVK__FN_IDENTITY,
                                .n_operands = 1,
                                .operands = {{.tensor = in_desc, .dtype = in_desc->dtype}},
                                .common = in_desc->dtype,
                                .result = out_desc->dtype};
    return plan_call(planner, &call, err);
}

static qvk_status plan_copy_into(qvk__planner *planner, const qvk__node *node, const qvk__call *call,
                                 qvk_error *err)
{
    const int32_t self = qvk__call_value(node, 0), src = qvk__call_value(node, 1), out = node->outs[0];
    const bool in_place = node->op == QVK__OP_COPY_INPLACE;

    QVK__TRY(qvk__plan_cast(planner, qvk__ref_value(src), call->args[1].u.tensor,
                            qvk__ref_value(in_place ? self : out), call->args[0].u.tensor, err));
    return in_place && out >= 0 && out != self ? planner->alias(planner, out, self, err) : QVK_OK;
}

qvk_status qvk__plan_copy(qvk__planner *planner, const qvk__node *node, qvk_error *err)
{
    qvk__call call;

    QVK__TRY(qvk__call_of(planner, node, &call, err));
    if (node->op == QVK__OP_COPY || node->op == QVK__OP_COPY_INPLACE)
        return plan_copy_into(planner, node, &call, err);
    const qvk_tensor *self = call.args[0].u.tensor, *out = qvk__call_out(planner, node, 0);
    if (self->dtype == out->dtype)
        return qvk__plan_view_of(planner, qvk__call_value(node, 0), NULL, node->outs[0], err);
    return qvk__plan_cast(planner, qvk__ref_value(qvk__call_value(node, 0)), self,
                          qvk__ref_value(node->outs[0]), out, err);
}
