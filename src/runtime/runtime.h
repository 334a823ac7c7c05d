/*
 * runtime: runs a qvk__program. Prepares delegates for a device (or for the reference executor), binds
 * memory, records, submits, reads back, and runs the steps outside delegates on the reference.
 */
#ifndef QVK__RUNTIME_H
#define QVK__RUNTIME_H

#include "gpu/gpu.h"
#include "kernels/kernels.h"
#include "program/program.h"
#include "qvk/context.h"
#include "qvk/module.h"

typedef struct qvk__session qvk__session; /* one loaded program */

typedef struct qvk__trials qvk__trials; /* trials.h */
typedef struct qvk__tuner qvk__tuner;   /* tuner.h */

typedef struct qvk__session_params {
    bool verify, profile;
    qvk__trials *trials; /* of the gpu: kernels are tried before their first use; NULL: all are trusted */
    qvk__tuner *tuner;   /* of the gpu: shapes of kernels are timed before their first use; NULL: none are */
    const bool *distrusted; /* per kernel: never used; read during create. NULL: none */
    const qvk__program
        *program; /* sessions set it: pages of its files are let go behind the upload. NULL: none */
    const struct qvk__linear_tuning *linear_tuning; /* as in qvk__planner; outlives the session. NULL: none */
    qvk_log_fn log; /* NULL: silent. Told of each operator that runs on the CPU although there is a device */
    void *log_user;
} qvk__session_params;

/* gpu NULL: everything on the reference executor. The program is borrowed and must outlive the session; its
 * constants are read during create, and again when state is reset or a new input shape wants a weight in
 * another layout. */
qvk_status qvk__session_create(qvk__gpu *gpu, const qvk__program *program, const qvk__session_params *params,
                               qvk__session **out, qvk_error *err);
void qvk__session_destroy(qvk__session **session);
/* Method by index; inputs and outputs as in qvk_module_forward. */
qvk_status qvk__session_run(qvk__session *session, uint32_t method, const qvk_value *inputs,
                            uint32_t n_inputs, qvk_value *outputs, uint32_t n_outputs, qvk_error *err);
qvk_status qvk__session_reset(qvk__session *session, qvk_error *err);
void qvk__session_load_info(const qvk__session *session, qvk_load_info *out);
/* Of the last run that succeeded. */
void qvk__session_call_info(const qvk__session *session, qvk_call_info *out);
qvk_status qvk__session_profile(const qvk__session *session, qvk_profile_entry *out, size_t *n,
                                qvk_error *err);
/*
 * A delegate alone, without a .pte around it (integrations): inputs and outputs are tensors or symbolic
 * integers in the order of the blob's input and output ids.
 */
typedef struct qvk__engine qvk__engine;
qvk_status qvk__engine_create(qvk__gpu *gpu, const qvk__graph *graph, const qvk__session_params *params,
                              qvk__engine **out, qvk_error *err);
void qvk__engine_destroy(qvk__engine **engine);
/* One line for each operator that runs on the CPU although there is a device; "" when there is none. Valid
 * until the next run. */
const char *qvk__engine_cpu_reasons(const qvk__engine *engine);
qvk_status qvk__engine_run(qvk__engine *engine, const qvk_value *inputs, uint32_t n_inputs,
                           qvk_value *outputs, uint32_t n_outputs, qvk_error *err);

#endif
