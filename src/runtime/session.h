/*
 * session: a loaded program. For every method it holds the planned memory, the current state of all values
 * and one engine per delegate, and interprets the method's instructions.
 * Source: the .pte specification, "Memory plan" and "Running one method".
 */
#ifndef QVK__SESSION_H
#define QVK__SESSION_H

#include "runtime/engine.h"

/* Current state of an EValue. Lists stay in the program; only what instructions can change is here. */
typedef struct qvk__slot {
    qvk__evalue_kind kind;
    int64_t i;         /* INT, BOOL */
    double f;          /* DOUBLE */
    qvk_tensor tensor; /* TENSOR: current sizes; data in C order, whatever the file's dim_order */
    qvk_tensor bound;  /* TENSOR: largest sizes its memory has room for */
    bool dynamic;
} qvk__slot;

typedef struct qvk__method_state qvk__method_state;
/* A primitive on slots (prims.c): arguments and result are value ids. */
typedef qvk_status (*qvk__prim_fn)(qvk__method_state *state, const char *name, const int32_t *args,
                                   uint32_t n_args, qvk_error *err);

/* What a KernelCall's operator comes down to. */
typedef struct qvk__kernel_target {
    qvk__prim_fn prim; /* NULL: an operator of the table */
    qvk__op op;
    const char *name; /* "aten::add.out", for messages and profiles */
} qvk__kernel_target;

struct qvk__method_state {
    const qvk__method *method;
    qvk__arena arena;            /* everything below that is not freed singly */
    qvk__slot *slots;            /* per value */
    qvk__slot *start;            /* per value: as every call begins */
    void **buffers;              /* planned memory by memory_id */
    void **memory;               /* per value: memory of its own, or NULL */
    qvk__engine **engines;       /* per delegate */
    qvk__kernel_target *kernels; /* per operator */
    bool *borrow_input;          /* per input: the caller's data may be used in place */
    QVK__VEC(qvk_profile_entry) profile;
    uint64_t wait_ns; /* of the last run: waiting for the device */
};

struct qvk__session {
    qvk__gpu *gpu;
    const qvk__program *program;
    qvk__session_params params;
    qvk__method_state *methods;
    uint32_t last_method;
    qvk_call_info last_call;
    qvk_load_info info;
    qvk__string cpu_reasons;
};

/* ---- method.c: interpreting ---------------------------------------------------------------------------- */

qvk_status qvk__method_run(qvk__method_state *state, const qvk__session_params *params,
                           const qvk_value *inputs, uint32_t n_inputs, qvk_value *outputs, uint32_t n_outputs,
                           qvk_error *err);

/* ---- method_load.c ------------------------------------------------------------------------------------- */

qvk_status qvk__method_load(qvk__gpu *gpu, const qvk__method *method, const qvk__session_params *params,
                            qvk__method_state *out, qvk_error *err);
void qvk__method_unload(qvk__method_state *state);
/* Initial contents of all planned memory and delegates. */
qvk_status qvk__method_reset(qvk__method_state *state, qvk_error *err);

/* ---- kernel_call.c ------------------------------------------------------------------------------------- */

/* Finds what executes an operator; QVK_UNSUPPORTED_OPERATOR when nothing does. Memory from `arena`. */
qvk_status qvk__kernel_find(const qvk__operator_ref *ref, qvk__arena *arena, qvk__kernel_target *out,
                            qvk_error *err);
qvk_status qvk__kernel_call(qvk__method_state *state, const qvk__kernel_target *target, const int32_t *args,
                            uint32_t n_args, qvk_error *err);

/* ---- prims.c ------------------------------------------------------------------------------------------- */

/* NULL when there is no such primitive ("executorch_prim::add", "aten::sym_size"). */
qvk__prim_fn qvk__prim_find(const char *name);

#endif
