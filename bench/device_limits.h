/* What a device reaches at best, measured before the layers are: the yardsticks of bench_linear. */
#ifndef QVK_BENCH_DEVICE_LIMITS_H
#define QVK_BENCH_DEVICE_LIMITS_H

#include "gpu/gpu.h"
#include "qvk/module.h"

typedef struct device_limits {
    qvk_ceilings ceilings;
    double dispatch_us; /* of a dispatch of one work group that waits for the one before */
} device_limits;

/* Works long enough for a GPU that idled to reach its clock. */
qvk_status device_limits_measure(qvk__gpu *gpu, device_limits *out, qvk_error *err);

typedef struct layer_bound {
    double us; /* no run can be shorter: all bytes at the copy rate, all operations at the arithmetic's */
    double floor_us;  /* the same with one dispatch's time on top of the bytes' */
    const char *name; /* what decides: "memory" or "arithmetic" */
} layer_bound;

/* `int8`: whether the operations may be done on int8. Float operations count at float16's rate. */
layer_bound device_limits_bound(const device_limits *limits, double bytes, double ops, bool int8);

#endif
