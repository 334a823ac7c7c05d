/*
 * PT2E inside: a prepared program is the exported graph (batch norms folded) plus, beside it, what is to be
 * quantized where and the observers. Nothing is inserted before convert: observing needs no nodes.
 */
#ifndef QVK__PT2E_H
#define QVK__PT2E_H

#include "quantize/observer.h"
#include "quantize/quantize.h"
#include "quantize/rewrite.h"

/* A weight that convert quantizes per channel. */
typedef struct qvk__pt2e_weight {
    int32_t node, slot; /* argument `slot` of node `node` */
    int32_t value;      /* float weight */
    int32_t axis;       /* channel dimension */
} qvk__pt2e_weight;

struct qvk__pt2e {
    qvk__pt2e_config config;
    qvk__arena arena;
    size_t n_nodes, n_values;
    bool *annotated;            /* per node */
    uint32_t *quantized_inputs; /* per node: bit i = argument i is quantized (lists: every item) */
    bool *quantized_output;     /* per value: its producer's output is quantized */
    int32_t *group;             /* per value: union-find parent of values that share one observer */
    bool *observed;             /* per value */
    QVK__VEC(qvk__pt2e_weight) weights;
    QVK__VEC(int32_t) values;    /* observed values in order of execution */
    qvk__histogram **histograms; /* per value: of its group's root */
};

/* pt2e_annotate.c: marks what VulkanQuantizer (linears) or the static quantizer quantizes. */
qvk_status qvk__pt2e_annotate(const qvk__exported *program, qvk__pt2e *pt2e, qvk_error *err);
/* pt2e_fold.c: batch norms into the convolutions and linears before them. */
qvk_status qvk__pt2e_fold_batch_norms(qvk__exported *program, qvk_error *err);

/* Root of a value's observer group. */
int32_t qvk__pt2e_root(const qvk__pt2e *pt2e, int32_t value);

/* Range and floor of a quantized weight. */
typedef struct qvk__pt2e_weight_range {
    int32_t qmin, qmax;
    float eps;
} qvk__pt2e_weight_range;
qvk__pt2e_weight_range qvk__pt2e_range_of_weights(const qvk__pt2e_config *config);

#endif
