/*
 * staging: element conversion between the caller's tensors and what a graph or a device holds.
 * Possible pairs: equal types, int64 <-> int32, float64 <-> float32, float32 or float64 <-> float16.
 * Source: the staging rules of the Vulkan blob (64-bit types travel as 32-bit ones).
 */
#ifndef QVK__STAGING_H
#define QVK__STAGING_H

#include "base/base.h"
#include "qvk/tensor.h"

bool qvk__stage_possible(qvk_dtype from, qvk_dtype to);

/*
 * Converts `count` elements; the arrays do not overlap and need no alignment beyond their element's. A 64-bit
 * integer that does not fit 32 bits: cut off when `wrap` is set (constants: as the exporter does), else
 * QVK_INPUT_MISMATCH naming `what`, the place and the number. QVK_INPUT_MISMATCH also for an impossible pair.
 */
qvk_status qvk__stage_copy(const void *from, qvk_dtype from_dtype, void *to, qvk_dtype to_dtype,
                           uint64_t count, bool wrap, const char *what, qvk_error *err);

#endif
