/*
 * hazards: decides where a recording needs a barrier: before work that reads what earlier work since the last
 * barrier wrote, or writes what it read or wrote. Works on byte ranges of buffers.
 */
#ifndef QVK__HAZARDS_H
#define QVK__HAZARDS_H

#include "gpu/gpu.h"

typedef struct qvk__access {
    qvk__gpu_range range;
    bool writes; /* else it only reads */
} qvk__access;

/* Zero-initialise. Accesses since the last barrier. */
typedef struct qvk__hazards {
    QVK__VEC(qvk__access) seen;
} qvk__hazards;

/* Enters the accesses of the next piece of work; *barrier: one is needed before it (and everything seen until
 * then is forgotten). QVK_OUT_OF_MEMORY. */
qvk_status qvk__hazards_add(qvk__hazards *hazards, const qvk__access *accesses, size_t n, bool *barrier,
                            qvk_error *err);
/* A barrier was recorded for another reason. */
void qvk__hazards_forget(qvk__hazards *hazards);
void qvk__hazards_finish(qvk__hazards *hazards);

#endif
