/*
 * Quantization parameters: scale and zero point from a range, exactly as torchao and PT2E form them. Sources:
 * torchao choose_qparams_affine / _choose_qparams_and_quantize_affine_hqq scale-only, torch.ao observers'
 * _calculate_qparams.
 */
#ifndef QVK__QPARAMS_H
#define QVK__QPARAMS_H

#include "base/base.h"
#include "qvk/quantize.h"

/* How one group of weights becomes scale, zero point and integers. */
typedef struct qvk__weight_scheme {
    int32_t qmin, qmax;
    qvk_mapping_type mapping;
    qvk_choose_qparams choose;
    qvk_dtype weight_dtype; /* F32, F16, BF16: the dtype all arithmetic is rounded to */
    qvk_dtype scale_dtype;  /* same as weight_dtype unless asked otherwise */
} qvk__weight_scheme;

/* Rounds a float32 to what `dtype` (F32, F16, BF16) can hold, to nearest even. */
float qvk__round_to(qvk_dtype dtype, float value);

/* Scale (already rounded to scale_dtype) and zero point of a group with range [lo, hi] (not yet widened to
 * include 0). */
void qvk__weight_qparams(const qvk__weight_scheme *scheme, float lo, float hi, float *scale,
                         int32_t *zero_point);
/* HQQ_SCALE_ONLY: the scale that least squares settles on; zero point 0. */
float qvk__weight_hqq_scale(const qvk__weight_scheme *scheme, const float *weights, size_t n);
/* The group's integers: clamp(round(w * (1 / scale)) + zero_point), reciprocal first, every step rounded as
 * torch does. */
void qvk__weight_quantize(const qvk__weight_scheme *scheme, const float *weights, size_t n, float scale,
                          int32_t zero_point, int8_t *out);

/* PT2E, symmetric: max(max(-min(lo, 0), max(hi, 0)) / ((qmax - qmin) / 2), eps). */
float qvk__observer_symmetric_scale(float lo, float hi, int32_t qmin, int32_t qmax, float eps);
/* PT2E, affine. */
void qvk__observer_affine(float lo, float hi, int32_t qmin, int32_t qmax, float eps, float *scale,
                          int32_t *zero_point);

#endif
