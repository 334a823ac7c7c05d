/*
 * Observers: what PT2E learns about an activation while samples run. Source: torch.ao HistogramObserver (2048
 * bins, range chosen to minimise the L2 error of 256 levels).
 */
#ifndef QVK__OBSERVER_H
#define QVK__OBSERVER_H

#include "base/base.h"

enum { QVK__HISTOGRAM_BINS = 2048 };

/* Zero-initialise. Values may be float32 tensors of any size; infinities are dropped. */
typedef struct qvk__histogram {
    bool seen;
    float min, max;
    float counts[QVK__HISTOGRAM_BINS];
} qvk__histogram;

/* false: a value is NaN. */
bool qvk__histogram_add(qvk__histogram *histogram, const float *values, size_t n);
/* The range with the least error. Nothing seen: [0, 0]. */
void qvk__histogram_range(const qvk__histogram *histogram, float *min, float *max);

#endif
