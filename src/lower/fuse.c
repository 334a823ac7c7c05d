/* Which patterns run, in which order. */
#include "lower/fuse.h"

static const qvk__edge_match_fn float_patterns[] = {qvk__match_product_linear, qvk__match_batch_norm};
/* Static first: it needs the dequantize nodes that the linear patterns would use up. Clamps last: a clamp
 * between an int8 convolution and its quantize node belongs to the static pattern. */
static const qvk__edge_match_fn quantized_patterns[] = {qvk__match_static, qvk__match_quantized_linear};
static const qvk__edge_match_fn late_patterns[] = {qvk__match_constant, qvk__match_conv_clamp};

qvk_status qvk__edge_fuse_float(qvk__edge *edge, qvk_error *err)
{
    for (size_t i = 0; i < QVK__COUNT(float_patterns); i++)
        QVK__TRY(qvk__edge_run_pass(edge, float_patterns[i], err));
    return QVK_OK;
}

qvk_status qvk__edge_fuse_quantized(qvk__edge *edge, qvk_error *err)
{
    for (size_t i = 0; i < QVK__COUNT(quantized_patterns) && !edge->params->keep_float; i++)
        QVK__TRY(qvk__edge_run_pass(edge, quantized_patterns[i], err));
    return QVK_OK;
}

qvk_status qvk__edge_fold(qvk__edge *edge, qvk_error *err)
{
    for (size_t i = 0; i < QVK__COUNT(late_patterns); i++)
        QVK__TRY(qvk__edge_run_pass(edge, late_patterns[i], err));
    return QVK_OK;
}
