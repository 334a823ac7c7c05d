/*
 * engine: one delegate graph, ready to run. Reference engines interpret it on the host; device engines plan
 * it into dispatches and replay recordings (device.h). What both share is here: the prepared graph, its
 * inputs and outputs, and the profile.
 */
#ifndef QVK__ENGINE_H
#define QVK__ENGINE_H

#include "runtime/host.h"
#include "runtime/runtime.h"

typedef struct qvk__device_engine qvk__device_engine; /* device.h */

/* An output's memory when the caller brings none. */
typedef struct qvk__out_memory {
    void *data;
    uint64_t capacity;
} qvk__out_memory;

struct qvk__engine {
    qvk__gpu *gpu;    /* borrowed; NULL: reference */
    qvk__graph graph; /* prepared copy (prepare.c, load_fuse.c) */
    qvk__session_params params;
    qvk__host host;
    int32_t *last_use; /* per value: index of the last node that reads it; INT32_MAX for outputs, -1 never */
    bool *written;     /* per value: some node writes it in place */
    bool *number_source; /* per value: a number is read out of it before anything runs */
    qvk_tensor *sources; /* per value: an input the host has only as the caller's tensor of another type */
    qvk__out_memory *outs;
    QVK__VEC(qvk_profile_entry) profile; /* of the last run, when params.profile */
    uint64_t run_start_ns;
    uint64_t wait_ns; /* of the last run: waiting for the device */
    qvk_load_info info;
    qvk__string cpu_reasons;
    qvk__device_engine *device; /* NULL: reference */
};

/*
 * The graph as it is run: constants' prepack calls become the constants themselves (state that is written in
 * place keeps its own), values written in place are marked mutable, and unused nodes are gone.
 */
qvk_status qvk__prepare_graph(const qvk__graph *graph, qvk__graph *out, qvk_error *err);

/*
 * Checks the caller's inputs against the graph and enters them into engine->host: tensors point at the
 * caller's data where the types agree, else at a converted copy. On a device the copy waits until somebody
 * needs it (convert_inputs): most inputs are staged straight from engine->sources.
 */
qvk_status qvk__engine_bind_inputs(qvk__engine *engine, const qvk_value *inputs, uint32_t n_inputs,
                                   qvk_error *err);
qvk_status qvk__engine_convert_inputs(qvk__engine *engine, const qvk__node *node, qvk_error *err);
/*
 * Hands output `index` to the caller: `data` holds a tensor of this shape in C order. With out->tensor.data
 * set, out->tensor says where it goes, in what type, and (as sizes) how much room there is; else it goes to
 * the engine's own memory, in the type the graph's caller expects.
 */
qvk_status qvk__engine_deliver(qvk__engine *engine, uint32_t index, const qvk_tensor *data, qvk_value *out,
                               qvk_error *err);
qvk_status qvk__engine_add_profile(qvk__engine *engine, const qvk_profile_entry *entry, qvk_error *err);
/* Forgets all state of mutable constants. */
qvk_status qvk__engine_reset(qvk__engine *engine, qvk_error *err);

/* The reference executor: interprets the graph on the host. check: every operator can be executed. */
qvk_status qvk__reference_engine_check(const qvk__engine *engine, qvk_error *err);
qvk_status qvk__reference_engine_run(qvk__engine *engine, qvk_value *outputs, qvk_error *err);

#endif
