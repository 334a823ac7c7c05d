/* Batch norm folded into the convolution or linear before it, as torch's fuse_conv_bn_weights does it,
 * rounding included. */
#ifndef QVK__FOLD_BN_H
#define QVK__FOLD_BN_H

#include "base/base.h"

/* An evaluated batch norm over `channels`; weight and bias may be NULL (1 and 0). */
typedef struct qvk__batch_norm {
    int64_t channels;
    const float *weight, *bias, *mean, *variance;
    double eps;
} qvk__batch_norm;

/*
 * weight: [outer, channels, inner] in place (outer 1 for a normal convolution, where channels are dimension
 * 0). bias in/out: [channels]; has_bias false: it is taken as 0.
 */
void qvk__fold_batch_norm(const qvk__batch_norm *norm, int64_t outer, int64_t inner, float *weight,
                          float *bias, bool has_bias);

#endif
