/*
 * Writing zip archives the way torch's PyTorchFileWriter does: stored entries below one root folder, each
 * one's data at a multiple of 64 in the file, sizes and checksum in a descriptor behind the data, ZIP64 where
 * needed.
 */
#ifndef QVK__ZIP_WRITE_H
#define QVK__ZIP_WRITE_H

#include "base/base.h"

typedef struct qvk__zip_record {
    char *name;
    uint64_t offset, bytes; /* of the local header; of the data */
    uint32_t crc;
} qvk__zip_record;

typedef struct qvk__zip_writer {
    qvk__writer *file;   /* either a file */
    qvk__string *memory; /* or memory */
    const char *root;    /* with its slash */
    uint64_t position;
    bool open;         /* between begin and end of an entry */
    uint64_t expected; /* bytes announced for it */
    QVK__VEC(qvk__zip_record) records;
} qvk__zip_writer;

/* Exactly one of file and memory is not NULL; both and `root` must outlive the writer. */
void qvk__zip_writer_init(qvk__zip_writer *zip, qvk__writer *file, qvk__string *memory, const char *root);
void qvk__zip_writer_finish(qvk__zip_writer *zip);

/* One entry at a time: begin with the number of bytes to come, add them in any portions, end. */
qvk_status qvk__zip_begin(qvk__zip_writer *zip, const char *name, uint64_t bytes, qvk_error *err);
qvk_status qvk__zip_add(qvk__zip_writer *zip, const void *data, uint64_t bytes, qvk_error *err);
qvk_status qvk__zip_end(qvk__zip_writer *zip, qvk_error *err);
/* A whole entry. */
qvk_status qvk__zip_entry_write(qvk__zip_writer *zip, const char *name, const void *data, uint64_t bytes,
                                qvk_error *err);

/* Where the data of an entry comes from. */
typedef struct qvk__zip_source {
    uint64_t bytes, grain; /* parts begin at multiples of grain */
    /* Sets *data to the bytes [offset, offset + bytes), or writes them to `buffer`, which *data is already.
     * Called from several threads at once. */
    qvk_status (*get)(void *user, uint64_t offset, uint64_t bytes, void *buffer, const void **data,
                      qvk_error *err);
    void *user;
} qvk__zip_source;
/* A whole entry, made, summed and written in parts on all processors. Only into a file. */
qvk_status qvk__zip_entry_write_parts(qvk__zip_writer *zip, const char *name, const qvk__zip_source *source,
                                      qvk_error *err);
/* The directory; nothing may follow. */
qvk_status qvk__zip_write_directory(qvk__zip_writer *zip, qvk_error *err);

#endif
