/*
 * tuner: finds the shapes of kernels of quantized linears on a device whose class has no measured rows in
 * src/kernels/linear_tiles.def. When a plan first wants a class of linears, a few shapes are timed on a layer
 * of our own, and the fastest is kept for the class: with the object and, where the gpu has a cache folder,
 * in a file beside its pipeline cache. What all classes together may take is bounded; the next object goes on
 * where this one stopped. On CPU devices, whose kernels have no other shapes, nothing is done.
 *
 * Threads: one object may be used from several at once.
 */
#ifndef QVK__TUNER_H
#define QVK__TUNER_H

#include "kernels/linear.h"
#include "runtime/runtime.h"

/* The gpu must outlive the object. budget_ms: of all timing together; 0: 200 ms. */
qvk_status qvk__tuner_create(qvk__gpu *gpu, uint32_t budget_ms, qvk__tuner **out, qvk_error *err);
void qvk__tuner_destroy(qvk__tuner **tuner);

/*
 * Brings `tiles` up to date for the classes of the dispatches. *changed: some were different, so the plan
 * must be made again. distrusted: as in qvk__planner. A shape that does not run, or whose result is another
 * one, is passed over; only a device that is lost or hangs is an error.
 */
qvk_status qvk__tuner_check(qvk__tuner *tuner, const qvk__dispatch *dispatches, size_t n,
                            const bool *distrusted, qvk__linear_tuning tiles[QVK__LINEAR_CLASSES],
                            bool *changed, qvk_error *err);

/* The shapes that are timed for linears of so many rows; the first is the planner's own choice. */
const qvk__linear_tuning *qvk__tuner_candidates(qvk__linear_rows rows, uint32_t *n);

#endif
