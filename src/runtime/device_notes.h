/*
 * device_notes: what was learnt about a device with its driver, in a small file beside the pipeline cache:
 * entries of one size behind a header with a version and a checksum. What does not fit is no error: it is as
 * if the file were not there.
 */
#ifndef QVK__DEVICE_NOTES_H
#define QVK__DEVICE_NOTES_H

#include "gpu/gpu.h"

typedef struct qvk__notes_kind {
    const char *name;                     /* "trials": of the file */
    const char *magic; /* 8 characters */ /* changes whenever an old entry must not be read */
    uint64_t entry_bytes;
} qvk__notes_kind;

/* `take` gets each entry, unaligned. cache_dir NULL: nothing. */
typedef void (*qvk__notes_fn)(const void *entry, void *user);
void qvk__notes_read(const qvk__notes_kind *kind, const char *cache_dir, const qvk__gpu_caps *caps,
                     qvk__notes_fn take, void *user);
/* The whole file anew; folders are made if need be. Without a cache folder: QVK_OK. */
qvk_status qvk__notes_write(const qvk__notes_kind *kind, const qvk__gpu *gpu, const void *entries, size_t n,
                            qvk_error *err);

#endif
