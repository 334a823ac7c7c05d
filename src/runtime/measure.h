/* measure: what a device reaches at best, taken by probes on the spot. */
#ifndef QVK__MEASURE_H
#define QVK__MEASURE_H

#include "gpu/gpu.h"
#include "qvk/module.h"

qvk_status qvk__measure(qvk__gpu *gpu, qvk_ceilings *out, qvk_error *err);

#endif
