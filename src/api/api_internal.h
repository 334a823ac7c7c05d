/* What the public functions share among themselves. */
#ifndef QVK__API_INTERNAL_H
#define QVK__API_INTERNAL_H

#include <stdatomic.h>

#include "program/program.h"
#include "qvk/context.h"
#include "qvk/module.h"
#include "runtime/runtime.h"

struct qvk_context {
    atomic_int users;    /* the caller and every module */
    qvk__gpu *gpu;       /* NULL: reference executor */
    qvk__trials *trials; /* of the gpu; NULL without one */
    qvk__tuner *tuner;   /* of the gpu; NULL without one, or when nothing is to be timed */
    qvk_log_fn log;
    void *log_user;
};

void qvk__context_retain(qvk_context *context);
void qvk__context_release(qvk_context *context);
void qvk__context_log(const qvk_context *context, qvk_log_level level, const char *message);

/* A module over a program that somebody else owns and that outlives it. start_ns: when loading began, for the
 * load info. */
qvk_status qvk__module_create(qvk_context *context, const qvk__program *program, const char *name,
                              uint64_t start_ns, const qvk_module_params *params, qvk_module **out,
                              qvk_error *err);

#endif
