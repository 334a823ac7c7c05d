/* quantize: torchao's quantize_ and the PT2E flow on exported programs. Sources: spec quantizers; torchao
 * 0.18, ExecuTorch 1.5.1. */
#ifndef QVK__QUANTIZE_H
#define QVK__QUANTIZE_H

#include "ir/ir.h"
#include "qvk/quantize.h"

/* quantize_: rewrites linears (and embeddings) in place; int weights are constants made on demand
 * (qvk__constant.fill). */
qvk_status qvk__quantize_torchao(qvk__exported *program, const qvk_quant_config *config,
                                 const qvk_quantize_params *params, qvk_error *err);

/* What a quantizer wants for PT2E; zero-initialised = weight-only 8 bit. */
typedef struct qvk__pt2e_config {
    qvk_symmetric_quantization_config symmetric;
    bool is_static; /* the static int8 quantizer */
    qvk_filter_fn filter;
    void *filter_user;
} qvk__pt2e_config;

typedef struct qvk__pt2e qvk__pt2e; /* a prepared program's observers */
qvk_status qvk__pt2e_prepare(qvk__exported *program, const qvk__pt2e_config *config, qvk__pt2e **out,
                             qvk_error *err);
void qvk__pt2e_destroy(qvk__pt2e **pt2e);
/* Values of the (prepared, float) graph the observers want to see, in order. */
const int32_t *qvk__pt2e_observed(const qvk__pt2e *pt2e, uint32_t *n);
/* One calibration sample: tensors of those values, in that order, as float32. */
qvk_status qvk__pt2e_observe(qvk__pt2e *pt2e, const qvk_tensor *tensors, uint32_t n, qvk_error *err);
qvk_status qvk__pt2e_convert(qvk__exported *program, qvk__pt2e *pt2e, qvk_error *err);

#endif
