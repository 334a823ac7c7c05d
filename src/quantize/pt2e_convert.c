/*
 * convert_pt2e: weights become int8 buffers behind dequantize_per_channel nodes; observed activations go
 * through quantize_per_tensor and, once for each user, dequantize_per_tensor. Buffers are named as torch
 * names them.
 */
#include <math.h>

#include "core/dtype.h"
#include "quantize/pt2e.h"
#include "quantize/qparams.h"
#include "quantize/weight_loops.h"

enum { SCALAR_TYPE_INT8 = 1 };

typedef struct convert {
    qvk__exported *program;
    qvk__pt2e *p;
    qvk__rewrite rewrite;
    int32_t *quantized;                       /* per value: its int8 form, -1 */
    int32_t *integers, *scales, *zero_points; /* per weight: buffers */
    struct group_qparams *qparams;            /* per value: of its observer group's root */
} convert;

typedef struct group_qparams {
    float scale;
    int32_t zero_point;
} group_qparams;

static const qvk__arg none = {.kind = QVK__ARG_NULL};

static qvk_status oom(qvk_error *err)
{
    return qvk__fail(err, QVK_OUT_OF_MEMORY, "out of memory");
}

/* ---- weights -------------------------------------------------------------------------------------------------- */

/* Strides of a weight seen as [outer, channels, inner] around its channel axis. */
typedef struct channels {
    int64_t outer, count, inner;
} channels;

static channels channels_of(const qvk_tensor *desc, int32_t axis)
{
    channels c = {1, desc->sizes[axis], 1};
    for (int i = 0; i < desc->rank; i++) {
        c.outer *= i < axis ? desc->sizes[i] : 1;
        c.inner *= i > axis ? desc->sizes[i] : 1;
    }
    return c;
}

/* One channel's scale and integers. */
static bool quantize_channel(const qvk__pt2e_weight_range *range, const channels *c, int64_t channel,
                             const float *weight, float *scale, int8_t *out)
{
    const qvk__weight_scheme scheme = {range->qmin,           range->qmax,
                                       QVK_MAPPING_SYMMETRIC, QVK_CHOOSE_QPARAMS_AFFINE,
                                       QVK_DTYPE_F32,         QVK_DTYPE_F32};
    float low = INFINITY, high = -INFINITY, lo, hi;

    for (int64_t o = 0; o < c->outer; o++) {
        if (!qvk__weight_range(weight + (o * c->count + channel) * c->inner, (size_t)c->inner, &lo, &hi))
            return false;
        low = lo < low ? lo : low;
        high = hi > high ? hi : high;
    }
    *scale = qvk__observer_symmetric_scale(low, high, range->qmin, range->qmax, range->eps);
    for (int64_t o = 0; o < c->outer; o++) {
        int64_t at = (o * c->count + channel) * c->inner;
        qvk__weight_quantize(&scheme, weight + at, (size_t)c->inner, *scale, 0, out + at);
    }
    return true;
}

static qvk__constant *constant_of(qvk__exported *program, const void *data, uint64_t bytes)
{
    qvk__constant *constant = data ? qvk__arena_alloc(&program->graph.arena, 1, sizeof *constant) : NULL;
    if (constant)
        *constant = (qvk__constant){.data = data, .bytes = bytes};
    return constant;
}

static qvk_status add_buffer(convert *c, const char *base, size_t number, const qvk_tensor *desc,
                             const void *data, int32_t *out, qvk_error *err)
{
    qvk__arena *arena = &c->program->graph.arena;
    const qvk__constant *constant = constant_of(c->program, data, qvk_tensor_bytes(desc));
    const char *target = qvk__arena_printf(arena, "%s%zu", base, number);
    const char *name = target ? qvk__arena_printf(arena, "b_%s", target) : NULL;

    if (!constant || !name)
        return oom(err);
    *out = qvk__exported_add_constant(c->program, QVK__INPUT_BUFFER, name, target, desc, constant);
    return *out >= 0 ? QVK_OK : oom(err);
}

static qvk_status fold_weight(convert *c, size_t index, qvk_error *err)
{
    const qvk__pt2e_weight *w = &c->p->weights.data[index];
    const qvk__value value = c->program->graph.values.data[w->value];
    const qvk__pt2e_weight_range range = qvk__pt2e_range_of_weights(&c->p->config);
    const channels ch = channels_of(&c->program->graph.values.data[w->value].desc, w->axis);
    qvk__arena *arena = &c->program->graph.arena;
    qvk_tensor ints = value.desc, scale_desc = {QVK_DTYPE_F32, 1, {ch.count}, NULL},
               zero_desc = {QVK_DTYPE_I64, 1, {ch.count}, NULL};
    float *scales = qvk__arena_alloc(arena, (uint64_t)ch.count, sizeof *scales);
    int64_t *zeros = qvk__arena_alloc(arena, (uint64_t)ch.count, sizeof *zeros);
    int8_t *integers;
    const void *bytes;
    bool finite = true;

    ints.dtype = QVK_DTYPE_I8;
    integers = qvk__arena_alloc(arena, qvk_tensor_bytes(&ints), 1);
    if (!scales || !zeros || !integers)
        return oom(err);
    QVK__TRY(qvk__constant_bytes(value.constant, &bytes, err));
    for (int64_t i = 0; i < ch.count && finite; i++)
        finite = quantize_channel(&range, &ch, i, bytes, &scales[i], integers);
    qvk__constant_release(value.constant, bytes);
    QVK__CHECK(finite, err, QVK_UNSUPPORTED, "%s holds NaN or an infinity, which no scale can represent",
               value.name);
    QVK__TRY(add_buffer(c, "_scale_", index, &scale_desc, scales, &c->scales[index], err));
    QVK__TRY(add_buffer(c, "_zero_point_", index, &zero_desc, zeros, &c->zero_points[index], err));
    return add_buffer(c, "_frozen_param", index, &ints, integers, &c->integers[index], err);
}

static qvk_status emit_weight(convert *c, size_t index, qvk_error *err)
{
    const qvk__pt2e_weight *w = &c->p->weights.data[index];
    const qvk__pt2e_weight_range range = qvk__pt2e_range_of_weights(&c->p->config);
    const qvk_tensor desc = c->program->graph.values.data[w->value].desc;
    qvk__node *user = &c->rewrite.old[w->node];
    const qvk__arg args[] = {
        qvk__arg_from_value(c->integers[index]),
        qvk__arg_from_value(c->scales[index]),
        qvk__arg_from_value(c->zero_points[index]),
        qvk__arg_from_int(w->axis),
        qvk__arg_from_int(range.qmin),
        qvk__arg_from_int(range.qmax),
        qvk__arg_from_int(SCALAR_TYPE_INT8),
        none,
    };
    int32_t out = qvk__rewrite_value(&c->rewrite, "dequantize_per_channel", &desc, NULL);

    if (out < 0)
        return oom(err);
    user->args[w->slot] = qvk__arg_from_value(out);
    return qvk__rewrite_node(&c->rewrite, QVK__OP_QD_DEQUANTIZE_PER_CHANNEL,
                             c->program->graph.values.data[out].name, user, args, QVK__COUNT(args), &out, 1,
                             err);
}

/* ---- activations ---------------------------------------------------------------------------------------------- */

/* q or dq arguments of a value's observer: (x, scale, zero_point, -128, 127, int8[, out_dtype]). */
static void qparams_args(const convert *c, int32_t value, int32_t x, qvk__arg args[7])
{
    const group_qparams *q = &c->qparams[qvk__pt2e_root(c->p, value)];

    args[0] = qvk__arg_from_value(x);
    args[1] = qvk__arg_from_float((double)q->scale);
    args[2] = qvk__arg_from_int(q->zero_point);
    args[3] = qvk__arg_from_int(-128);
    args[4] = qvk__arg_from_int(127);
    args[5] = qvk__arg_from_int(SCALAR_TYPE_INT8);
    args[6] = none;
}

static qvk_status ensure_quantized(convert *c, int32_t value, const qvk__node *origin, qvk_error *err)
{
    const qvk__value *from = &c->program->graph.values.data[value];
    qvk_tensor desc = from->desc;
    int32_t syms[QVK_MAX_RANK], out;
    qvk__arg args[7];

    if (c->quantized[value] >= 0)
        return QVK_OK;
    memcpy(syms, from->syms, sizeof syms);
    desc.dtype = QVK_DTYPE_I8;
    qparams_args(c, value, value, args);
    out = qvk__rewrite_value(&c->rewrite, "quantize_per_tensor", &desc, syms);
    if (out < 0)
        return oom(err);
    c->quantized[value] = out;
    return qvk__rewrite_node(&c->rewrite, QVK__OP_QD_QUANTIZE_PER_TENSOR,
                             c->program->graph.values.data[out].name, origin, args, 6, &out, 1, err);
}

static qvk_status dequantized(convert *c, int32_t value, const qvk__node *origin, int32_t *out,
                              qvk_error *err)
{
    qvk_tensor desc;
    int32_t syms[QVK_MAX_RANK];
    qvk__arg args[7];

    QVK__TRY(ensure_quantized(c, value, origin, err));
    desc = c->program->graph.values.data[value].desc;
    memcpy(syms, c->program->graph.values.data[value].syms, sizeof syms);
    qparams_args(c, value, c->quantized[value], args);
    *out = qvk__rewrite_value(&c->rewrite, "dequantize_per_tensor", &desc, syms);
    if (*out < 0)
        return oom(err);
    return qvk__rewrite_node(&c->rewrite, QVK__OP_QD_DEQUANTIZE_PER_TENSOR,
                             c->program->graph.values.data[*out].name, origin, args, 7, out, 1, err);
}

/* An argument of a kept node: values that are quantized, here or at their producer, arrive dequantized. */
static qvk_status route_arg(convert *c, const qvk__node *node, qvk__arg *arg, bool wanted, qvk_error *err)
{
    int32_t value, out;

    if (arg->kind == QVK__ARG_LIST) {
        qvk__arg *list = qvk__arena_memdup(&c->program->graph.arena, arg->u.list, arg->count * sizeof *list);
        if (!list)
            return oom(err);
        for (uint32_t i = 0; i < arg->count; i++)
            QVK__TRY(route_arg(c, node, &list[i], wanted, err));
        arg->u.list = list;
        return QVK_OK;
    }
    if (arg->kind != QVK__ARG_VALUE || (size_t)arg->u.value >= c->p->n_values)
        return QVK_OK;
    value = arg->u.value;
    if (!wanted && !c->p->quantized_output[value])
        return QVK_OK;
    QVK__TRY(dequantized(c, value, node, &out, err));
    *arg = qvk__arg_from_value(out);
    return QVK_OK;
}

/* is_dynamic: parameters of the whole tensor are chosen at run time (PT2E's own dynamic mode). */
static qvk_status dynamic_input(convert *c, qvk__node *node, qvk_error *err)
{
    int32_t x = node->args[0].u.value, qparams[2], quantized, out, syms[QVK_MAX_RANK];
    const qvk_symmetric_quantization_config *s = &c->p->config.symmetric;
    int64_t qmin = s->has_act_range ? s->act_qmin : -128, qmax = s->has_act_range ? s->act_qmax : 127;
    qvk_tensor desc = c->program->graph.values.data[x].desc, ints = desc;
    const qvk_tensor scale = {QVK_DTYPE_F64, 1, {1}, NULL}, zero = {QVK_DTYPE_I64, 1, {1}, NULL};
    const qvk__arg int8 = qvk__arg_from_int(SCALAR_TYPE_INT8), low = qvk__arg_from_int(qmin),
                   high = qvk__arg_from_int(qmax);

    memcpy(syms, c->program->graph.values.data[x].syms, sizeof syms);
    ints.dtype = QVK_DTYPE_I8;
    qparams[0] = qvk__rewrite_value(&c->rewrite, "getitem", &scale, NULL);
    qparams[1] = qvk__rewrite_value(&c->rewrite, "getitem", &zero, NULL);
    quantized = qvk__rewrite_value(&c->rewrite, "quantize_per_tensor", &ints, syms);
    out = qvk__rewrite_value(&c->rewrite, "dequantize_per_tensor", &desc, syms);
    if (qparams[0] < 0 || qparams[1] < 0 || quantized < 0 || out < 0)
        return oom(err);
    {
        const qvk__arg choose[] = {node->args[0], low, high, qvk__arg_from_float(0x1p-23), int8};
        const qvk__arg q[] = {
            node->args[0], qvk__arg_from_value(qparams[0]), qvk__arg_from_value(qparams[1]), low, high, int8};
        const qvk__arg dq[] = {qvk__arg_from_value(quantized), q[1], q[2], low, high, int8, none};
        const qvk__value *values = c->program->graph.values.data;
        QVK__TRY(qvk__rewrite_node(&c->rewrite, QVK__OP_QD_CHOOSE_QPARAMS_TENSOR,
                                   qvk__rewrite_name(&c->rewrite, "choose_qparams"), node, choose,
                                   QVK__COUNT(choose), qparams, 2, err));
        QVK__TRY(qvk__rewrite_node(&c->rewrite, QVK__OP_QD_QUANTIZE_PER_TENSOR_TENSOR, values[quantized].name,
                                   node, q, QVK__COUNT(q), &quantized, 1, err));
        QVK__TRY(qvk__rewrite_node(&c->rewrite, QVK__OP_QD_DEQUANTIZE_PER_TENSOR_TENSOR, values[out].name,
                                   node, dq, QVK__COUNT(dq), &out, 1, err));
    }
    node->args[0] = qvk__arg_from_value(out);
    return QVK_OK;
}

/* ---- the walk --------------------------------------------------------------------------------------------------- */

static qvk_status visit(convert *c, size_t index, qvk_error *err)
{
    qvk__node *node = &c->rewrite.old[index];

    if (c->p->config.is_static) {
        for (int i = 0; i < node->n_args; i++)
            QVK__TRY(route_arg(c, node, &node->args[i], c->p->quantized_inputs[index] & 1u << i, err));
    } else if (c->p->quantized_inputs[index]) {
        QVK__TRY(dynamic_input(c, node, err));
    }
    QVK__TRY(qvk__rewrite_keep(&c->rewrite, index, err));
    for (int i = 0; i < node->n_outs; i++)
        if (node->outs[i] >= 0 && c->p->quantized_output[node->outs[i]])
            QVK__TRY(ensure_quantized(c, node->outs[i], node, err));
    return QVK_OK;
}

static qvk_status allocate(convert *c, qvk_error *err)
{
    qvk__arena *arena = &c->p->arena;
    size_t n = c->p->weights.count;

    c->quantized = qvk__arena_alloc(arena, c->p->n_values, sizeof *c->quantized);
    c->integers = qvk__arena_alloc(arena, n, sizeof *c->integers);
    c->scales = qvk__arena_alloc(arena, n, sizeof *c->scales);
    c->zero_points = qvk__arena_alloc(arena, n, sizeof *c->zero_points);
    c->qparams = qvk__arena_alloc(arena, c->p->n_values, sizeof *c->qparams);
    if (!c->quantized || !c->integers || !c->scales || !c->zero_points || !c->qparams)
        return oom(err);
    for (size_t i = 0; i < c->p->n_values; i++)
        c->quantized[i] = -1;
    return QVK_OK;
}

/* Parameters of every observer group, before the graph changes: a group that saw no sample is refused here.
 */
static qvk_status choose_qparams(convert *c, qvk_error *err)
{
    for (size_t i = 0; i < c->p->values.count; i++) {
        int32_t root = qvk__pt2e_root(c->p, c->p->values.data[i]);
        const qvk__histogram *h = c->p->histograms[root];
        float min, max;
        QVK__CHECK(h && h->seen, err, QVK_UNSUPPORTED,
                   "convert: no calibration sample reached %s: call qvk_calibrate first",
                   c->program->graph.values.data[c->p->values.data[i]].name);
        if (c->qparams[root].scale > 0)
            continue; /* another member of the group came first */
        qvk__histogram_range(h, &min, &max);
        qvk__observer_affine(min, max, -128, 127, 0x1p-12f, &c->qparams[root].scale,
                             &c->qparams[root].zero_point);
    }
    return QVK_OK;
}

qvk_status qvk__pt2e_convert(qvk__exported *program, qvk__pt2e *p, qvk_error *err)
{
    convert c = {.program = program, .p = p};
    qvk_status status = QVK_OK;

    QVK__TRY(allocate(&c, err));
    QVK__TRY(choose_qparams(&c, err));
    for (size_t i = 0; i < p->weights.count; i++)
        QVK__TRY(fold_weight(&c, i, err));
    QVK__TRY(qvk__rewrite_begin(program, &c.rewrite, err));
    for (size_t i = 0; i < p->weights.count; i++)
        QVK__TRY_GO(emit_weight(&c, i, err));
    for (size_t i = 0; i < c.rewrite.n_old; i++)
        QVK__TRY_GO(visit(&c, i, err));
    for (size_t i = 0; i < program->graph.outputs.count; i++) {
        int32_t *output = &program->graph.outputs.data[i];
        if ((size_t)*output < p->n_values && p->quantized_output[*output])
            QVK__TRY_GO(dequantized(&c, *output, NULL, output, err));
    }
    qvk__exported_drop_unused_constants(program);
done:
    qvk__rewrite_end(&c.rewrite);
    return status;
}
