/* Elements of float constants, for packing functions. */
#ifndef QVK__PACK_FLOAT_H
#define QVK__PACK_FLOAT_H

#include "core/dtype.h"

static inline float qvk__pack_float(const void *data, int64_t dtype, uint64_t index)
{
    switch ((qvk_dtype)dtype) {
    case QVK_DTYPE_F16: return qvk__f16_to_f32(((const uint16_t *)data)[index]);
    case QVK_DTYPE_BF16: return qvk__bf16_to_f32(((const uint16_t *)data)[index]);
    case QVK_DTYPE_F64: return (float)((const double *)data)[index];
    default: return ((const float *)data)[index];
    }
}

#endif
