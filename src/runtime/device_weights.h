/*
 * device_weights: what a device engine keeps on the device between calls: constants in the layouts kernels
 * asked for, and state that the graph writes. Bytes go from the mapped file through the pack function
 * straight into the upload ring, and the file's pages are let go behind it; the host never holds the model.
 */
#ifndef QVK__WEIGHTS_H
#define QVK__WEIGHTS_H

#include "kernels/kernels.h"
#include "program/program.h"

typedef struct qvk__weight {
    qvk__pack pack;          /* fn NULL: state, the bytes of value sources[0] */
    const void *sources[4];  /* what identifies the source constants: tied ones are the same */
    qvk__gpu_buffer *buffer; /* NULL until uploaded */
} qvk__weight;

/* Zero-initialise and set gpu and graph. */
typedef struct qvk__weights {
    qvk__gpu *gpu;
    const qvk__graph *graph;
    const qvk__program *program; /* whose mapped files constants may lie in; NULL: none */
    QVK__VEC(qvk__weight) list;
    size_t expected; /* where the next request is looked for first: plans made again ask in the same order */
    uint64_t bytes;  /* on the device */
} qvk__weights;

void qvk__weights_finish(qvk__weights *weights);

/* Index of a packed constant; equal requests give the same one. Nothing is uploaded yet. */
qvk_status qvk__weights_add(qvk__weights *weights, const qvk__pack *pack, int32_t *out, qvk_error *err);
/* The same for a constant tensor as it is, in the device's type. */
qvk_status qvk__weights_add_plain(qvk__weights *weights, int32_t value, int32_t *out, qvk_error *err);
/* The same for a constant the graph writes: never shared, and its initial bytes can be restored. */
qvk_status qvk__weights_add_state(qvk__weights *weights, int32_t value, int32_t *out, qvk_error *err);
/* -1: not entered. */
int32_t qvk__weights_find_plain(const qvk__weights *weights, int32_t value);
int32_t qvk__weights_find_state(const qvk__weights *weights, int32_t value);

/* Uploads what was added since the last call, and waits until it is there. */
qvk_status qvk__weights_upload(qvk__weights *weights, qvk_error *err);
/* Initial contents for all state. */
qvk_status qvk__weights_reset(qvk__weights *weights, qvk_error *err);

#endif
