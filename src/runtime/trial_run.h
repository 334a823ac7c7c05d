/* trial_run: one kernel computes a small quantized linear, and the reference judges it. */
#ifndef QVK__TRIAL_RUN_H
#define QVK__TRIAL_RUN_H

#include "kernels/kernels.h"

typedef enum qvk__trial_verdict {
    QVK__TRIAL_NONE, /* not tried */
    QVK__TRIAL_PASSED,
    QVK__TRIAL_FAILED,
    QVK__TRIAL_HUNG,   /* did not come to an end: by its own fault, or because the device was lost or busy
                          otherwise */
    QVK__TRIAL_SKIPPED /* the planner did not take the kernel for the trial's shape */
} qvk__trial_verdict;

typedef struct qvk__trial_result {
    qvk__trial_verdict verdict;
    char reason[512]; /* FAILED, HUNG: why */
} qvk__trial_result;

/* Is there a trial for the kernel? All others are trusted. */
bool qvk__trial_exists(qvk__kernel kernel);

/* distrusted: as in qvk__planner. *out is filled in also when the kernel hung or lost the device, which is
 * an error besides. */
qvk_status qvk__trial_run(qvk__gpu *gpu, qvk__kernel kernel, const bool *distrusted, qvk__trial_result *out,
                          qvk_error *err);

#endif
