/* lower: exported program -> edge form -> fused -> partitioned -> qvk__program ready to be written or run. */
#ifndef QVK__LOWER_H
#define QVK__LOWER_H

#include "ir/ir.h"
#include "program/program.h"

typedef struct qvk__lower_params {
    bool fp16, require_dynamic_shapes, compat_executorch;
    const char *const *block; /* NULL-terminated patterns */
    /* Extra values of the exported graph to return as outputs after the user's (calibration, per-node
     * compare). */
    const int32_t *extra_outputs;
    uint32_t n_extra_outputs;
    bool keep_float; /* no q/dq fusion: run the graph exactly as written (reference for compare) */
} qvk__lower_params;

/* The exported program is read, not changed, and must outlive the result (constants are borrowed). *outside:
 * one line per node left outside the delegate with the reason, in out->arena. */
qvk_status qvk__lower(const qvk__exported *program, const qvk__lower_params *params, qvk__program *out,
                      const char **outside, qvk_error *err);

#endif
