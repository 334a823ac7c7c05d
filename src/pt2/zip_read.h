/*
 * Reading zip archives out of memory: .pt2 files, and the torch.save archives inside them. Stored entries are
 * ranges of that memory; compressed ones are inflated into the arena when asked for. Untrusted input.
 */
#ifndef QVK__ZIP_READ_H
#define QVK__ZIP_READ_H

#include "base/base.h"

typedef struct qvk__zip_entry {
    const char *name;    /* full name, with the root folder */
    const uint8_t *data; /* NULL: compressed and not inflated yet */
    uint64_t bytes;
    const uint8_t *packed; /* of a compressed entry */
    uint64_t packed_bytes;
    uint32_t crc; /* of its contents; checked when it is inflated */
} qvk__zip_entry;

typedef struct qvk__zip {
    const uint8_t *data;
    uint64_t bytes;
    const char *source; /* for messages */
    const char *root;   /* first path component of the first entry with its slash, "" when it has none */
    qvk__arena *arena;
    QVK__VEC(qvk__zip_entry) entries;
    qvk__map index; /* full name -> entry */
    uint64_t inflated;
} qvk__zip;

/* Reads the directory and checks every entry's place. `data`, `source` and `arena` must outlive the archive.
 */
qvk_status qvk__zip_open(const uint8_t *data, uint64_t bytes, const char *source, qvk__arena *arena,
                         qvk__zip *out, qvk_error *err);
void qvk__zip_close(qvk__zip *zip);
/* Entry `name` below the root folder; NULL when there is none. */
qvk__zip_entry *qvk__zip_find(const qvk__zip *zip, const char *name);
/* The same where it must be there, with its bytes; they live as long as the memory and the arena. */
qvk_status qvk__zip_get(qvk__zip *zip, const char *name, const uint8_t **data, uint64_t *bytes,
                        qvk_error *err);

#endif
