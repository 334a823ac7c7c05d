/* Conversions that planners add to their own dispatches. */
#ifndef QVK__PLAN_QUANTIZE_H
#define QVK__PLAN_QUANTIZE_H

#include "kernels/plan.h"

/* `n` elements from one float type to another (float32, float16). */
qvk_status qvk__plan_convert(qvk__planner *planner, qvk__ref x, qvk_dtype x_dtype, qvk__ref y,
                             qvk_dtype y_dtype, uint64_t n, qvk_error *err);
/* `n` floats to int8 with one scale and zero point, clamped to [low, 127]. */
qvk_status qvk__plan_quantize_flat(qvk__planner *planner, qvk__ref x, qvk_dtype x_dtype, qvk__ref y,
                                   uint64_t n, double scale, int64_t zero_point, int64_t low, qvk_error *err);

#endif
