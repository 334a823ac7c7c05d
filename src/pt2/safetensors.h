/*
 * safetensors: eight bytes of header length, a JSON header {name: {dtype, shape, data_offsets}}, then the
 * data. Read in place. Untrusted input. Source: huggingface/safetensors, README "Format".
 */
#ifndef QVK__SAFETENSORS_H
#define QVK__SAFETENSORS_H

#include "base/base.h"
#include "qvk/tensor.h"

typedef struct qvk__safetensor {
    const char *name;
    const char *dtype_name; /* as the file says: "F32" */
    /* dtype NONE where qvk has no such type; data points into the file */
    qvk_tensor tensor;
    uint64_t bytes;
} qvk__safetensor;

typedef struct qvk__safetensors {
    qvk__file file;
    qvk__arena arena;
    QVK__VEC(qvk__safetensor) tensors; /* in the header's order */
    qvk__map index;                    /* name -> tensor */
    /* "__metadata__": key, value, key, value ... */
    QVK__VEC(const char *) metadata;
} qvk__safetensors;

qvk_status qvk__safetensors_read(const char *path, qvk__safetensors *out, qvk_error *err);
void qvk__safetensors_finish(qvk__safetensors *file);
/* NULL when there is none of this name. */
const qvk__safetensor *qvk__safetensors_find(const qvk__safetensors *file, const char *name);
/* What is in it, as text and as one JSON object. */
void qvk__safetensors_print(const qvk__safetensors *file, qvk__string *out);
void qvk__safetensors_print_json(const qvk__safetensors *file, qvk__string *out);

#endif
