/*
 * The loops that every weight of a model passes through, in vectors as wide as the processor has. Results do
 * not depend on the width: minima are exact in any order, and each integer depends on its own weight only.
 */
#ifndef QVK__WEIGHT_LOOPS_H
#define QVK__WEIGHT_LOOPS_H

#include "base/base.h"

/* Smallest and largest of n weights and whether all are finite. NaN and infinities leave lo/hi meaningless.
 */
bool qvk__weight_range(const float *weights, size_t n, float *lo, float *hi);

/* How float32 weights become integers: one multiplication, a clamp, a rounding to even, an addition. */
typedef struct qvk__rounding {
    float reciprocal;   /* of the scale */
    float low, high;    /* integers without the zero point, within +-2^22 */
    int32_t zero_point; /* low + zero_point and high + zero_point fit in int8 */
} qvk__rounding;
void qvk__weight_round(const qvk__rounding *how, const float *weights, size_t n, int8_t *out);

#endif
