/* Padding, roll, scatters into slices, triangles, and tensors made of numbers. */
#include <math.h>

#include "core/dtype.h"
#include "kernels/plan.h"

/* Bits of a number as an element of this type, in the low end. */
static uint32_t number_bits(qvk_dtype dtype, const qvk__operand *number)
{
    const float value = (float)number->f;
    uint32_t bits;

    switch (qvk__device_dtype(dtype)) {
    case QVK_DTYPE_F32: memcpy(&bits, &value, sizeof bits); return bits;
    case QVK_DTYPE_F16: return qvk__f32_to_f16(value);
    case QVK_DTYPE_BF16: return qvk__f32_to_bf16(value);
    case QVK_DTYPE_BOOL: return number->f != 0.0;
    case QVK_DTYPE_I8:
    case QVK_DTYPE_U8: return (uint8_t)number->i;
    case QVK_DTYPE_I16: return (uint16_t)number->i;
    default: return (uint32_t)number->i;
    }
}

/* ---- overlays ------------------------------------------------------------------------------------------- */

static void append_ints(qvk__dispatch *d, const int64_t *values, int n)
{
    for (int i = 0; i < QVK_MAX_RANK; i++)
        qvk__dispatch_int(d, i < n ? values[i] : 0);
}

static qvk_status plan_overlay(qvk__planner *planner, const qvk__node *node, qvk_error *err)
{
    const qvk__ref out = qvk__ref_value(node->outs[0]);
    qvk__dispatch d = {.kernel = QVK__KERNEL_OVERLAY};
    qvk__overlay laid;
    qvk__call call;

    QVK__TRY(qvk__call_of(planner, node, &call, err));
    QVK__TRY(qvk__overlay_of(node->op, call.args, &laid, err));
    const qvk_tensor *result = qvk__call_out(planner, node, 0);
    const uint64_t numel = (uint64_t)qvk_tensor_numel(result);
    if (numel == 0)
        return QVK_OK;
    d.bytes = qvk__device_bytes(laid.source) + qvk__device_bytes(result);
    qvk__dispatch_read(&d, qvk__call_ref(&call, laid.source));
    qvk__dispatch_read(&d, qvk__call_ref(&call, laid.base ? laid.base : laid.source));
    qvk__dispatch_write(&d, out);
    qvk__dispatch_spec(&d, qvk__device_dtype(result->dtype));
    qvk__dispatch_spec(&d, laid.edge);
    qvk__dispatch_uint(&d, numel);
    qvk__dispatch_uint(&d, (uint64_t)laid.rank);
    qvk__dispatch_uint(&d, laid.edge == QVK__EDGE_VALUE ? number_bits(result->dtype, &laid.value) : 0);
    qvk__dispatch_uint(&d, 0); /* the block's vectors are aligned to 16 bytes */
    append_ints(&d, laid.sizes, laid.rank);
    append_ints(&d, laid.source_sizes, laid.rank);
    append_ints(&d, laid.start, laid.rank);
    append_ints(&d, laid.step, laid.rank);
    qvk__dispatch_quads(planner, &d, numel);
    return planner->dispatch(planner, &d, err);
}

qvk_status qvk__plan_pad(qvk__planner *planner, const qvk__node *node, qvk_error *err)
{
    return plan_overlay(planner, node, err);
}

qvk_status qvk__plan_roll(qvk__planner *planner, const qvk__node *node, qvk_error *err)
{
    return plan_overlay(planner, node, err);
}

qvk_status qvk__plan_slice_scatter(qvk__planner *planner, const qvk__node *node, qvk_error *err)
{
    return plan_overlay(planner, node, err);
}

qvk_status qvk__plan_triangle(qvk__planner *planner, const qvk__node *node, qvk_error *err)
{
    qvk__dispatch d = {.kernel = QVK__KERNEL_TRIANGLE};
    int64_t diagonal;
    qvk__call call;

    QVK__TRY(qvk__call_of(planner, node, &call, err));
    const qvk_tensor *self = call.args[0].u.tensor;
    QVK__CHECK(self->rank >= 2, err, QVK_SHAPE, "wanted a matrix, got shape %s", qvk__shape_text(self).text);
    QVK__TRY(qvk__arg_int(&call.args[1], "diagonal", &diagonal, err));
    const uint64_t numel = (uint64_t)qvk_tensor_numel(self);
    if (numel == 0)
        return QVK_OK;
    d.bytes = 2 * qvk__device_bytes(self);
    qvk__dispatch_read(&d, qvk__ref_value(qvk__call_value(node, 0)));
    qvk__dispatch_write(&d, qvk__ref_value(node->outs[0]));
    qvk__dispatch_spec(&d, qvk__device_dtype(self->dtype));
    qvk__dispatch_spec(&d, node->op == QVK__OP_TRIU);
    qvk__dispatch_uint(&d, numel);
    qvk__dispatch_int(&d, self->sizes[self->rank - 2]);
    qvk__dispatch_int(&d, self->sizes[self->rank - 1]);
    qvk__dispatch_int(&d, QVK__MAX(QVK__MIN(diagonal, INT32_MAX), INT32_MIN));
    qvk__dispatch_quads(planner, &d, numel);
    return planner->dispatch(planner, &d, err);
}

/* ---- made from nothing ---------------------------------------------------------------------------------- */

static qvk_status plan_number(qvk__planner *planner, qvk__ref out, const qvk_tensor *desc,
                              const qvk__operand *number, qvk_error *err)
{
    const uint64_t words = qvk__device_bytes(desc) / 4;
    const size_t bytes = qvk_dtype_bytes(qvk__device_dtype(desc->dtype));
    qvk__dispatch d = {.kernel = QVK__KERNEL_FILL_U32, .bytes = qvk__device_bytes(desc)};
    uint32_t pattern = number_bits(desc->dtype, number);

    if (bytes < 2)
        pattern |= pattern << 8;
    if (bytes < 4)
        pattern |= pattern << 16;
    qvk__dispatch_write(&d, out);
    qvk__dispatch_spec(&d, 64); /* work-group size */
    qvk__dispatch_uint(&d, 0);
    qvk__dispatch_uint(&d, words);
    qvk__dispatch_uint(&d, pattern);
    qvk__dispatch_groups(planner, &d, qvk__div_up(words, 64));
    return planner->dispatch(planner, &d, err);
}

/* A double as the sum of two floats. */
static void append_split(qvk__dispatch *d, double value)
{
    const float high = (float)value;
    qvk__dispatch_float(d, high);
    qvk__dispatch_float(d, isfinite(value) ? (float)(value - (double)high) : 0.0f);
}

static qvk_status plan_sequence(qvk__planner *planner, qvk__ref out, const qvk_tensor *desc,
                                const qvk__filling *filling, qvk_error *err)
{
    const uint64_t numel = (uint64_t)qvk_tensor_numel(desc);
    qvk__dispatch d = {.kernel = QVK__KERNEL_SEQUENCE, .bytes = qvk__device_bytes(desc), .ops = numel};

    qvk__dispatch_write(&d, out);
    qvk__dispatch_spec(&d, qvk__device_dtype(desc->dtype));
    qvk__dispatch_spec(&d, !qvk__dtype_is_float(desc->dtype));
    qvk__dispatch_uint(&d, numel);
    qvk__dispatch_int(&d, filling->value.i);
    qvk__dispatch_int(&d, filling->step.i);
    qvk__dispatch_uint(&d, 0);
    append_split(&d, filling->value.f);
    append_split(&d, filling->step.f);
    qvk__dispatch_quads(planner, &d, numel);
    return planner->dispatch(planner, &d, err);
}

qvk_status qvk__plan_full(qvk__planner *planner, const qvk__node *node, qvk_error *err)
{
    const qvk__ref out = qvk__ref_value(node->outs[0]);
    qvk_tensor shape = {0};
    qvk__filling filling;
    qvk__call call;

    QVK__TRY(qvk__call_of(planner, node, &call, err));
    const qvk_tensor *desc = qvk__call_out(planner, node, 0);
    shape.dtype = desc->dtype;
    QVK__TRY(qvk__filling_of(node->op, call.args, &filling, &shape, err));
    if (qvk_tensor_numel(desc) == 0)
        return QVK_OK;
    if (filling.step.f == 0.0)
        return plan_number(planner, out, desc, &filling.value, err);
    return plan_sequence(planner, out, desc, &filling, err);
}
