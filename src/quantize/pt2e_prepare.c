/* prepare_pt2e and calibration: which values are observed, and their histograms. */
#include "quantize/pt2e.h"

#include "core/dtype.h"

qvk__pt2e_weight_range qvk__pt2e_range_of_weights(const qvk__pt2e_config *config)
{
    const qvk_symmetric_quantization_config *s = &config->symmetric;
    int bits = s->weight_bits ? s->weight_bits : 8;

    if (config->is_static) /* the XNNPACK quantizer's weights: restricted range, eps 2^-12 */
        return (qvk__pt2e_weight_range){-127, 127, 0x1p-12f};
    if (s->has_weight_range)
        return (qvk__pt2e_weight_range){s->weight_qmin, s->weight_qmax, 0x1p-23f};
    return (qvk__pt2e_weight_range){-(1 << (bits - 1)), (1 << (bits - 1)) - 1, 0x1p-23f};
}

static bool allocate(const qvk__exported *program, qvk__pt2e *p)
{
    p->n_nodes = program->graph.nodes.count;
    p->n_values = program->graph.values.count;
    p->annotated = qvk__arena_alloc(&p->arena, p->n_nodes, sizeof *p->annotated);
    p->quantized_inputs = qvk__arena_alloc(&p->arena, p->n_nodes, sizeof *p->quantized_inputs);
    p->quantized_output = qvk__arena_alloc(&p->arena, p->n_values, sizeof *p->quantized_output);
    p->group = qvk__arena_alloc(&p->arena, p->n_values, sizeof *p->group);
    p->observed = qvk__arena_alloc(&p->arena, p->n_values, sizeof *p->observed);
    p->histograms = qvk__arena_alloc(&p->arena, p->n_values, sizeof(void *));
    for (size_t i = 0; p->group && i < p->n_values; i++)
        p->group[i] = (int32_t)i;
    return p->annotated && p->quantized_inputs && p->quantized_output && p->group && p->observed &&
           p->histograms;
}

static bool observe_value(qvk__pt2e *p, int32_t value)
{
    int32_t root = qvk__pt2e_root(p, value);

    if (p->observed[value])
        return true;
    p->observed[value] = true;
    if (!p->histograms[root])
        p->histograms[root] = qvk__arena_alloc(&p->arena, 1, sizeof *p->histograms[root]);
    return p->histograms[root] && QVK__VEC_PUSH(&p->values, value);
}

typedef struct observe_scan {
    qvk__pt2e *p;
    bool failed;
} observe_scan;

static void observe_input(int32_t value, void *user)
{
    observe_scan *scan = user;
    scan->failed = scan->failed || !observe_value(scan->p, value);
}

/* In order of execution: inputs before the node that wants them quantized, outputs after the node that makes
 * them. */
static qvk_status list_observed(const qvk__exported *program, qvk__pt2e *p, qvk_error *err)
{
    observe_scan scan = {p, false};

    for (size_t n = 0; p->config.is_static && n < p->n_nodes; n++) {
        const qvk__node *node = &program->graph.nodes.data[n];
        for (int i = 0; i < node->n_args; i++)
            if (p->quantized_inputs[n] & 1u << i)
                qvk__arg_visit_values(&node->args[i], observe_input, &scan);
        for (int i = 0; i < node->n_outs; i++)
            if (node->outs[i] >= 0 && p->quantized_output[node->outs[i]])
                observe_input(node->outs[i], &scan);
    }
    QVK__CHECK(!scan.failed, err, QVK_OUT_OF_MEMORY, "out of memory");
    return QVK_OK;
}

qvk_status qvk__pt2e_prepare(qvk__exported *program, const qvk__pt2e_config *config, qvk__pt2e **out,
                             qvk_error *err)
{
    qvk__pt2e *p = qvk__alloc_zeroed(1, sizeof *p);
    qvk_status status = QVK_OK;

    QVK__CHECK(p, err, QVK_OUT_OF_MEMORY, "out of memory");
    p->config = *config;
    QVK__TRY_GO(qvk__pt2e_fold_batch_norms(program, err));
    QVK__CHECK_GO(allocate(program, p), err, QVK_OUT_OF_MEMORY, "out of memory");
    QVK__TRY_GO(qvk__pt2e_annotate(program, p, err));
    QVK__CHECK_GO(p->weights.count > 0 || config->is_static, err, QVK_UNSUPPORTED,
                  "%s: no linear layer to quantize", program->source ? program->source : "program");
    QVK__TRY_GO(list_observed(program, p, err));
    *out = p;
    return QVK_OK;
done:
    qvk__pt2e_destroy(&p);
    return status;
}

void qvk__pt2e_destroy(qvk__pt2e **pt2e)
{
    if (!*pt2e)
        return;
    free((*pt2e)->weights.data);
    free((*pt2e)->values.data);
    qvk__arena_free(&(*pt2e)->arena);
    free(*pt2e);
    *pt2e = NULL;
}

const int32_t *qvk__pt2e_observed(const qvk__pt2e *pt2e, uint32_t *n)
{
    *n = (uint32_t)pt2e->values.count;
    return pt2e->values.data;
}

qvk_status qvk__pt2e_observe(qvk__pt2e *pt2e, const qvk_tensor *tensors, uint32_t n, qvk_error *err)
{
    QVK__CHECK(n == pt2e->values.count, err, QVK_INTERNAL, "%u tensors for %zu observers", n,
               pt2e->values.count);
    for (uint32_t i = 0; i < n; i++) {
        int32_t value = pt2e->values.data[i];
        QVK__CHECK(tensors[i].dtype == QVK_DTYPE_F32, err, QVK_INTERNAL, "observer %u: a %s tensor", i,
                   qvk_dtype_name(tensors[i].dtype));
        QVK__CHECK(qvk__histogram_add(pt2e->histograms[qvk__pt2e_root(pt2e, value)], tensors[i].data,
                                      (size_t)qvk_tensor_numel(&tensors[i])),
                   err, QVK_UNSUPPORTED, "calibration: NaN in activation %u", i);
    }
    return QVK_OK;
}
