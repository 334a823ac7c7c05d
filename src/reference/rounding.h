/* The roundings PyTorch makes: after each operation in the tensor's type, half to even, NaN to integer. */
#ifndef QVK__ROUNDING_H
#define QVK__ROUNDING_H

#include <math.h>

#include "core/dtype.h"

/* What a float32 result becomes when it is kept in `dtype`. */
static inline float qvk__round_to(qvk_dtype dtype, float value)
{
    if (dtype == QVK_DTYPE_F16)
        return qvk__f16_to_f32(qvk__f32_to_f16(value));
    if (dtype == QVK_DTYPE_BF16)
        return qvk__bf16_to_f32(qvk__f32_to_bf16(value));
    return value;
}

/* A rounded, shifted value into [low, high]; NaN becomes 0, which is what PyTorch's conversion of NaN leaves
 * in the low 8 or 16 bits. */
static inline int32_t qvk__clamp_to_int(float value, int32_t low, int32_t high)
{
    if (isnan(value))
        return 0;
    return value <= (float)low ? low : value >= (float)high ? high : (int32_t)value;
}

/* sat8(rne(value * inverse_scale) + zero_point), float32: how every int8 activation is made. */
static inline int8_t qvk__quantize_int8(float value, float inverse_scale, float zero_point)
{
    return (int8_t)qvk__clamp_to_int(rintf(value * inverse_scale) + zero_point, -128, 127);
}

#endif
