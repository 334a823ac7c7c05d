/*
 * trials: a kernel that leans on optional features of a device, or on shapes a driver's compiler may get
 * wrong, computes a small product before it is used there for the first time, and is compared with the
 * reference. What fails is distrusted: planners take the next family (qvk__planner.distrusted), and the log
 * says so. Verdicts are kept as long as the object and, where the gpu has a cache folder, in a file beside
 * its pipeline cache; they hold for one build of a kernel on one device with one driver.
 *
 * Threads: one object may be used from several at once.
 */
#ifndef QVK__TRIALS_H
#define QVK__TRIALS_H

#include "kernels/kernels.h"
#include "runtime/runtime.h"

/* The gpu must outlive the object. Reads no file yet. */
qvk_status qvk__trials_create(qvk__gpu *gpu, qvk_log_fn log, void *log_user, qvk__trials **out,
                              qvk_error *err);
void qvk__trials_destroy(qvk__trials **trials);

/*
 * Tries every kernel of the dispatches that needs a trial and has no verdict. Those that failed, now or
 * earlier, are marked in `distrusted`; *refused: some of them were not marked before, so the plan must be
 * made again. A kernel that the driver refuses to compile has failed. One that hangs or loses the device is
 * distrusted too, but the error is returned as well: this gpu is of no more use. It may have been another's
 * fault, so the next process tries the kernel once more; a second time is final.
 *
 * What there is to say is logged before this returns, outside of any lock.
 */
qvk_status qvk__trials_check(qvk__trials *trials, const qvk__dispatch *dispatches, size_t n,
                             bool distrusted[QVK__KERNEL_COUNT], bool *refused, qvk_error *err);

/* Kernels that failed, as far as is known. */
void qvk__trials_distrusted(qvk__trials *trials, bool out[QVK__KERNEL_COUNT]);
/* The same of a device that is only listed, from its file in the cache folder: what is missing, damaged or of
 * another build tells nothing. */
void qvk__trials_read_distrusted(const char *cache_dir, const qvk__gpu_caps *caps,
                                 bool out[QVK__KERNEL_COUNT]);

#endif
