/* Reads the arguments of the quantized linears. */
#include "kernels/linear_call.h"

#include "core/dtype.h"

/* Where an operator keeps its arguments; -1: it has none of the kind. */
typedef struct signature {
    qvk__op op;
    qvk__weight_format format;
    qvk__activation_kind activation;
    int weight, scales, bias, group_size, act_scale, act_zero_point, out_scale, residual;
} signature;

static const signature signatures[] = {
    {QVK__OP_ET_LINEAR_Q4GSW, QVK__WEIGHT_LOW_EVEN, QVK__ACTIVATION_FLOAT, 1, 2, 4, 3, -1, -1, -1, -1},
    {QVK__OP_QVK_LINEAR_Q8GSW, QVK__WEIGHT_INT8, QVK__ACTIVATION_FLOAT, 1, 2, 4, 3, -1, -1, -1, -1},
    {QVK__OP_PRIV_WEIGHT_INT8PACK_MM, QVK__WEIGHT_INT8, QVK__ACTIVATION_FLOAT, 1, 2, -1, -1, -1, -1, -1, -1},
    {QVK__OP_ET_LINEAR_QCS4W, QVK__WEIGHT_HIGH_EVEN, QVK__ACTIVATION_FLOAT, 1, 2, -1, -1, -1, -1, -1, -1},
    {QVK__OP_QVK_LINEAR_D8_Q4GSW, QVK__WEIGHT_LOW_EVEN, QVK__ACTIVATION_CHOSEN, 1, 2, 4, 3, -1, -1, -1, -1},
    {QVK__OP_QVK_LINEAR_D8_Q8GSW, QVK__WEIGHT_INT8, QVK__ACTIVATION_CHOSEN, 1, 2, 4, 3, -1, -1, -1, -1},
    {QVK__OP_ET_LINEAR_DQ8CA_Q4GSW, QVK__WEIGHT_LOW_EVEN, QVK__ACTIVATION_DYNAMIC, 3, 5, 7, 6, 1, 2, -1, -1},
    {QVK__OP_QVK_LINEAR_DQ8CA_Q8GSW, QVK__WEIGHT_INT8, QVK__ACTIVATION_DYNAMIC, 3, 5, 7, 6, 1, 2, -1, -1},
    {QVK__OP_ET_LINEAR_Q8TA_Q8CSW, QVK__WEIGHT_INT8, QVK__ACTIVATION_STATIC, 3, 5, 6, -1, 1, 2, -1, -1},
    {QVK__OP_ET_Q8TA_LINEAR, QVK__WEIGHT_INT8, QVK__ACTIVATION_STATIC, 3, 5, 8, -1, 1, 2, 6, -1},
    {QVK__OP_ET_Q8TA_LINEAR_GEMV, QVK__WEIGHT_INT8, QVK__ACTIVATION_STATIC, 3, 5, 8, -1, 1, 2, 6, -1},
    {QVK__OP_QVK_FUSED_LINEAR_Q4GSW, QVK__WEIGHT_LOW_EVEN, QVK__ACTIVATION_FLOAT, 1, 2, 4, 3, -1, -1, -1, 5},
    {QVK__OP_QVK_FUSED_LINEAR_Q8GSW, QVK__WEIGHT_INT8, QVK__ACTIVATION_FLOAT, 1, 2, 4, 3, -1, -1, -1, 5},
    {QVK__OP_QVK_FUSED_LINEAR_D8_Q4GSW, QVK__WEIGHT_LOW_EVEN, QVK__ACTIVATION_CHOSEN, 1, 2, 4, 3, -1, -1, -1,
     5},
    {QVK__OP_QVK_FUSED_LINEAR_D8_Q8GSW, QVK__WEIGHT_INT8, QVK__ACTIVATION_CHOSEN, 1, 2, 4, 3, -1, -1, -1, 5},
};

static const signature *signature_of(qvk__op op)
{
    for (size_t i = 0; i < QVK__COUNT(signatures); i++)
        if (signatures[i].op == op)
            return &signatures[i];
    return NULL;
}

static const qvk_tensor *tensor_at(qvk__planner *planner, const qvk__node *node, int at)
{
    const int32_t value = at < 0 ? -1 : qvk__call_value(node, at);

    return value < 0 ? NULL : planner->desc(planner, value);
}

static bool is_float(qvk_dtype dtype)
{
    return dtype == QVK_DTYPE_F32 || dtype == QVK_DTYPE_F16 || dtype == QVK_DTYPE_F64;
}

static qvk_status read_activations(qvk__planner *planner, const qvk__node *node, const signature *s,
                                   qvk__linear_call *out, qvk_error *err)
{
    const qvk_tensor *x = tensor_at(planner, node, 0), *y = planner->desc(planner, node->outs[0]);
    const bool may_be_int8 = s->activation == QVK__ACTIVATION_STATIC;

    out->x = qvk__call_value(node, 0);
    out->y = node->outs[0];
    QVK__CHECK(x && x->rank >= 1 && y->rank >= 1, err, QVK_UNSUPPORTED, "%s of a scalar",
               qvk__op_name(node->op));
    out->x_dtype = qvk__device_dtype(x->dtype);
    out->y_dtype = qvk__device_dtype(y->dtype);
    QVK__CHECK(is_float(x->dtype) || (may_be_int8 && x->dtype == QVK_DTYPE_I8), err, QVK_UNSUPPORTED,
               "no kernel for %s of %s", qvk__op_name(node->op), qvk_dtype_name(x->dtype));
    QVK__CHECK(s->out_scale >= 0 ? y->dtype == QVK_DTYPE_I8 : is_float(y->dtype), err, QVK_UNSUPPORTED,
               "no kernel for %s into %s", qvk__op_name(node->op), qvk_dtype_name(y->dtype));
    QVK__CHECK(qvk_tensor_numel(x) <= INT32_MAX && qvk_tensor_numel(y) <= INT32_MAX, err, QVK_UNSUPPORTED,
               "%s: %s has too many elements for a device", qvk__op_name(node->op), qvk__shape_text(x).text);
    out->weights.K = (uint64_t)x->sizes[x->rank - 1];
    out->weights.N = (uint64_t)y->sizes[y->rank - 1];
    out->M = 1;
    for (int d = 0; d < x->rank - 1; d++)
        out->M *= (uint64_t)x->sizes[d];
    return QVK_OK;
}

static qvk_status read_weights(qvk__planner *planner, const qvk__node *node, const signature *s,
                               qvk__linear_call *out, qvk_error *err)
{
    const qvk_tensor *weight = tensor_at(planner, node, s->weight);
    const uint64_t K = out->weights.K;
    const uint64_t least = s->format == QVK__WEIGHT_INT8 ? K : qvk__div_up(K, 2);
    int64_t group_size = (int64_t)QVK__MAX(K, 1);

    QVK__CHECK(weight && weight->rank == 2 && (uint64_t)weight->sizes[0] >= out->weights.N &&
                   (uint64_t)weight->sizes[1] >= least &&
                   weight->dtype == (s->format == QVK__WEIGHT_INT8 ? QVK_DTYPE_I8 : QVK_DTYPE_U8),
               err, QVK_UNSUPPORTED, "%s: weights that do not fit %llu x %llu", qvk__op_name(node->op),
               (unsigned long long)out->weights.N, (unsigned long long)K);
    out->weights.value = qvk__call_value(node, s->weight);
    out->weights.up_value = -1;
    QVK__CHECK(qvk__is_constant(planner, out->weights.value), err, QVK_UNSUPPORTED,
               "%s: weights that are not constant", qvk__op_name(node->op));
    out->weights.format = s->format;
    out->weights.row_bytes = (uint64_t)weight->sizes[1];
    if (s->group_size >= 0)
        QVK__TRY(qvk__arg_int(&node->args[s->group_size], "group_size", &group_size, err));
    QVK__CHECK(group_size >= 1, err, QVK_SHAPE, "%s: group_size %lld", qvk__op_name(node->op),
               (long long)group_size);
    out->weights.group_size = QVK__MIN((uint64_t)group_size, QVK__MAX(K, 1));
    out->weights.n_groups = QVK__MAX(qvk__div_up(K, out->weights.group_size), 1);
    return QVK_OK;
}

/* A bias there is. */
static qvk_status read_bias(qvk__planner *planner, const qvk__node *node, int at, qvk__linear_call *call,
                            int32_t *out, qvk_error *err)
{
    const qvk_tensor *bias = tensor_at(planner, node, at);

    *out = qvk__call_value(node, at);
    call->scales.bias_dtype = bias->dtype;
    QVK__CHECK(qvk_tensor_numel(bias) >= (int64_t)call->weights.N, err, QVK_SHAPE,
               "%s: bias %s for %llu outputs", qvk__op_name(node->op), qvk__shape_text(bias).text,
               (unsigned long long)call->weights.N);
    QVK__CHECK(qvk__is_constant(planner, *out) && qvk__dtype_is_float(bias->dtype), err, QVK_UNSUPPORTED,
               "%s: a bias that is not constant", qvk__op_name(node->op));
    return QVK_OK;
}

static qvk_status read_scales(qvk__planner *planner, const qvk__node *node, const signature *s,
                              qvk__linear_call *out, qvk_error *err)
{
    const qvk_tensor *scales = tensor_at(planner, node, s->scales), *bias = tensor_at(planner, node, s->bias);

    QVK__CHECK(scales && scales->rank >= 1 && scales->rank <= 2, err, QVK_SHAPE, "%s: weight_scales",
               qvk__op_name(node->op));
    const uint64_t rows = scales->rank == 1 ? 1 : (uint64_t)scales->sizes[0];
    out->scales = (qvk__linear_scales){.value = qvk__call_value(node, s->scales),
                                       .up_value = -1,
                                       .dtype = scales->dtype,
                                       .stride = (uint64_t)scales->sizes[scales->rank - 1],
                                       .bias = -1,
                                       .up_bias = -1};
    QVK__CHECK(rows >= out->weights.n_groups && out->scales.stride >= out->weights.N, err, QVK_SHAPE,
               "%s: weight_scales %s for %llu groups of %llu", qvk__op_name(node->op),
               qvk__shape_text(scales).text, (unsigned long long)out->weights.n_groups,
               (unsigned long long)out->weights.N);
    QVK__CHECK(qvk__is_constant(planner, out->scales.value) && qvk__dtype_is_float(scales->dtype), err,
               QVK_UNSUPPORTED, "%s: weight_scales that are not constant floats", qvk__op_name(node->op));
    return bias ? read_bias(planner, node, s->bias, out, &out->scales.bias, err) : QVK_OK;
}

static qvk_status read_dynamic(qvk__planner *planner, const qvk__node *node, const signature *s,
                               qvk__linear_call *out, qvk_error *err)
{
    const qvk_tensor *scales = tensor_at(planner, node, s->act_scale);
    const qvk_tensor *zero_points = tensor_at(planner, node, s->act_zero_point);

    QVK__CHECK(scales && zero_points && is_float(scales->dtype), err, QVK_UNSUPPORTED,
               "%s: input_scales and input_zp must be tensors", qvk__op_name(node->op));
    out->act_scales = qvk__call_value(node, s->act_scale);
    out->act_zero_points = qvk__call_value(node, s->act_zero_point);
    out->act_scale_dtype = qvk__device_dtype(scales->dtype);
    out->act_zero_point_dtype = qvk__device_dtype(zero_points->dtype);
    QVK__CHECK(out->act_zero_point_dtype == QVK_DTYPE_I8 || out->act_zero_point_dtype == QVK_DTYPE_I32, err,
               QVK_UNSUPPORTED, "%s: input_zp of %s", qvk__op_name(node->op),
               qvk_dtype_name(zero_points->dtype));
    out->per_row = out->M > 1 && qvk_tensor_numel(scales) != 1;
    const int64_t needed = out->per_row ? (int64_t)out->M : 1;
    QVK__CHECK(out->M == 0 || (qvk_tensor_numel(scales) == needed && qvk_tensor_numel(zero_points) == needed),
               err, QVK_SHAPE, "%s: input_scales %s for %llu rows", qvk__op_name(node->op),
               qvk__shape_text(scales).text, (unsigned long long)out->M);
    return QVK_OK;
}

static qvk_status read_quantization(qvk__planner *planner, const qvk__node *node, const signature *s,
                                    qvk__linear_call *out, qvk_error *err)
{
    const char *activation;

    out->activation = s->activation;
    out->per_row = s->activation == QVK__ACTIVATION_CHOSEN;
    if (s->activation == QVK__ACTIVATION_DYNAMIC)
        QVK__TRY(read_dynamic(planner, node, s, out, err));
    if (s->activation == QVK__ACTIVATION_STATIC) {
        QVK__TRY(qvk__arg_float(&node->args[s->act_scale], "input_scale", &out->act_scale, err));
        QVK__TRY(qvk__arg_int(&node->args[s->act_zero_point], "input_zero_point", &out->act_zero_point, err));
        QVK__CHECK(out->act_zero_point >= -128 && out->act_zero_point <= 127, err, QVK_UNSUPPORTED,
                   "%s: input_zero_point %lld", qvk__op_name(node->op), (long long)out->act_zero_point);
    }
    if (s->out_scale < 0)
        return QVK_OK;
    out->quantizes = true;
    QVK__TRY(qvk__arg_float(&node->args[s->out_scale], "output_scale", &out->out_scale, err));
    QVK__TRY(qvk__arg_int(&node->args[s->out_scale + 1], "output_zero_point", &out->out_zero_point, err));
    QVK__TRY(qvk__arg_string(&node->args[s->bias + 1], "activation", &activation, err));
    out->relu = strcmp(activation, "relu") == 0;
    QVK__CHECK(out->relu || strcmp(activation, "none") == 0, err, QVK_UNSUPPORTED, "%s: activation \"%s\"",
               qvk__op_name(node->op), activation);
    return QVK_OK;
}

/* What is added to the result: a tensor like it, of its type. */
static qvk_status read_residual(qvk__planner *planner, const qvk__node *node, const signature *s,
                                qvk__linear_call *out, qvk_error *err)
{
    const qvk_tensor *residual = tensor_at(planner, node, s->residual);
    const qvk_tensor *y = planner->desc(planner, node->outs[0]);

    out->residual = residual ? qvk__call_value(node, s->residual) : -1;
    QVK__CHECK(!residual || qvk__tensor_is_like(residual, y), err, QVK_UNSUPPORTED, "%s: residual %s",
               qvk__op_name(node->op), qvk__shape_text(residual).text);
    return QVK_OK;
}

/* The second linear: weights, scales and bias like the first one's. From here on N counts the columns of
 * both. */
static qvk_status read_up(qvk__planner *planner, const qvk__node *node, const signature *s,
                          qvk__linear_call *out, qvk_error *err)
{
    const qvk_tensor *weight = tensor_at(planner, node, s->weight),
                     *scales = tensor_at(planner, node, s->scales);
    const qvk_tensor *up = s->residual < 0 ? NULL : tensor_at(planner, node, QVK__FUSED_UP_WEIGHTS);
    const qvk_dtype bias_dtype = out->scales.bias_dtype;

    if (!up)
        return QVK_OK;
    const qvk_tensor *up_scales = tensor_at(planner, node, QVK__FUSED_UP_SCALES);
    QVK__CHECK(up_scales && qvk__tensor_is_like(up, weight) && qvk__tensor_is_like(up_scales, scales) &&
                   out->weights.N % QVK__LINEAR_PANEL == 0 && out->M * 2 * out->weights.N <= INT32_MAX,
               err, QVK_UNSUPPORTED, "%s: a gate of %llu columns", qvk__op_name(node->op),
               (unsigned long long)out->weights.N);
    out->weights.up_value = qvk__call_value(node, QVK__FUSED_UP_WEIGHTS);
    out->scales.up_value = qvk__call_value(node, QVK__FUSED_UP_SCALES);
    QVK__CHECK(qvk__is_constant(planner, out->weights.up_value) &&
                   qvk__is_constant(planner, out->scales.up_value),
               err, QVK_UNSUPPORTED, "%s: weights that are not constant", qvk__op_name(node->op));
    if (tensor_at(planner, node, QVK__FUSED_UP_BIAS))
        QVK__TRY(read_bias(planner, node, QVK__FUSED_UP_BIAS, out, &out->scales.up_bias, err));
    QVK__CHECK(out->scales.bias < 0 || out->scales.bias_dtype == bias_dtype, err, QVK_UNSUPPORTED,
               "%s: biases of two types", qvk__op_name(node->op));
    out->weights.N *= 2;
    return QVK_OK;
}

/* x is normalized first. */
static qvk_status read_norm(qvk__planner *planner, const qvk__node *node, const signature *s,
                            qvk__linear_call *out, qvk_error *err)
{
    const qvk_tensor *weight;

    out->norm.weight = -1;
    if (s->residual < 0 || qvk__arg_is_null(&node->args[QVK__FUSED_NORM_EPS]))
        return QVK_OK;
    out->norm.is_there = true;
    QVK__TRY(qvk__arg_float(&node->args[QVK__FUSED_NORM_EPS], "norm_eps", &out->norm.eps, err));
    QVK__TRY(qvk__arg_rms_rounding(&node->args[QVK__FUSED_NORM_ROUNDING], &out->norm.rounding, err));
    weight = tensor_at(planner, node, QVK__FUSED_NORM_WEIGHT);
    if (!weight)
        return QVK_OK;
    out->norm.weight = qvk__call_value(node, QVK__FUSED_NORM_WEIGHT);
    out->norm.weight_dtype = qvk__device_dtype(weight->dtype);
    QVK__CHECK(is_float(weight->dtype) && (uint64_t)qvk_tensor_numel(weight) == out->weights.K, err,
               QVK_UNSUPPORTED, "%s: norm_weight %s of %s", qvk__op_name(node->op),
               qvk__shape_text(weight).text, qvk_dtype_name(weight->dtype));
    return QVK_OK;
}

/* |q - z| <= 255 times |w| <= 128 or 8, summed over a group in int32. */
static qvk_status check_sums(const qvk__linear_call *c, qvk_error *err)
{
    const uint64_t largest = 255u * (c->weights.format == QVK__WEIGHT_INT8 ? 128u : 8u);

    QVK__CHECK(c->activation == QVK__ACTIVATION_FLOAT ||
                   c->weights.group_size <= (uint64_t)INT32_MAX / largest,
               err, QVK_UNSUPPORTED, "%s: sums over %llu columns do not fit int32", qvk__op_name(c->op),
               (unsigned long long)c->weights.group_size);
    return QVK_OK;
}

qvk_status qvk__linear_call_of(qvk__planner *planner, const qvk__node *node, qvk__linear_call *out,
                               qvk_error *err)
{
    const signature *s = signature_of(node->op);

    *out = (qvk__linear_call){.op = node->op};
    QVK__CHECK(s, err, QVK_INTERNAL, "%s is no quantized linear", qvk__op_name(node->op));
    QVK__TRY(read_activations(planner, node, s, out, err));
    QVK__TRY(read_weights(planner, node, s, out, err));
    QVK__TRY(read_scales(planner, node, s, out, err));
    QVK__TRY(read_quantization(planner, node, s, out, err));
    QVK__TRY(read_residual(planner, node, s, out, err));
    QVK__TRY(read_norm(planner, node, s, out, err));
    QVK__TRY(read_up(planner, node, s, out, err));
    return check_sums(out, err);
}
