#include "ir/fold_bn.h"

#include <math.h>

void qvk__fold_batch_norm(const qvk__batch_norm *norm, int64_t outer, int64_t inner, float *weight,
                          float *bias, bool has_bias)
{
    for (int64_t c = 0; c < norm->channels; c++) {
        float gamma = norm->weight ? norm->weight[c] : 1.0f, beta = norm->bias ? norm->bias[c] : 0.0f;
        float rsqrt = 1.0f / sqrtf(norm->variance[c] + (float)norm->eps), factor = gamma * rsqrt;
        float b = has_bias ? bias[c] : 0.0f;

        for (int64_t o = 0; o < outer; o++)
            for (int64_t i = 0; i < inner; i++)
                weight[(o * norm->channels + c) * inner + i] *= factor;
        b = (b - norm->mean[c]) * rsqrt;
        b = b * gamma;
        bias[c] = b + beta;
    }
}
