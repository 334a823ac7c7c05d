/*
 * What the parts of the .pte writer share. Private to src/program.
 *
 * A file is laid out before it is written: sizes of all constants are known, only the keys of those that are
 * made on demand are not. Such a constant gets a key of the same length, is hashed while it is written, and
 * the description of the program (whose size does not depend on the letters of a key) is then written once
 * more over the first.
 */
#ifndef QVK__PTE_WRITER_H
#define QVK__PTE_WRITER_H

#include "program/flatbuffer_writer.h"
#include "program/pte_reader.h"

/* Alignments of ExecuTorch's files: segments, and constants inside theirs. */
enum { PTE_SEGMENT_ALIGNMENT = 128, PTE_CONSTANT_ALIGNMENT = 16 };

typedef struct qvk__pte_region {
    uint64_t offset, bytes; /* from the first segment */
} qvk__pte_region;

/* Data of a value outside delegates, inside the constant or the mutable segment. */
typedef struct qvk__pte_piece {
    const qvk__evalue *value;
    uint64_t offset;
} qvk__pte_piece;
typedef QVK__VEC(qvk__pte_piece) qvk__pte_pieces;

/* A piece of named data: a delegate's constant, or what another backend's delegate came with. */
typedef struct qvk__pte_named {
    const qvk__constant *constant;
    const qvk__named_data *carried;
    const char *key;
    bool is_hashed;    /* the key is the true one */
    bool is_duplicate; /* an earlier entry has the same key: not listed */
    uint32_t segment;  /* of the entry itself, or of the one it repeats */
} qvk__pte_named;

typedef struct qvk__pte_blob {
    const qvk__delegate *delegate;
    uint8_t *made; /* NULL: the delegate's own blob is used */
    const uint8_t *data;
    uint64_t bytes;
    uint32_t segment;
} qvk__pte_blob;

typedef struct qvk__pte_writer {
    const qvk__program *program;
    qvk__arena arena;
    qvk__pte_pieces constants, mutables;
    uint32_t **data_index; /* [method][value]: place among the pieces plus one, or 0 */
    QVK__VEC(qvk__pte_named) named;
    struct qvk__pointer_map *named_index; /* constant to entry */
    QVK__VEC(qvk__pte_blob) blobs;        /* of all methods' delegates in order */
    QVK__VEC(qvk__pte_region) segments;
    uint32_t mutable_segment; /* 0: none */
} qvk__pte_writer;

/* Pointers to numbers; open addressing, keys are never NULL. */
typedef struct qvk__pointer_map {
    const void **keys;
    uint32_t *values;
    size_t count, capacity;
} qvk__pointer_map;
/* False when memory runs out. Sets *found, and *value to where the number of this pointer is kept. */
bool qvk__pointer_map_at(qvk__pointer_map *map, const void *key, bool *found, uint32_t **value);
void qvk__pointer_map_free(qvk__pointer_map *map);

/* Collects what will be written: pieces, named data with keys, blobs, segments (pte_write_data.c). */
qvk_status qvk__pte_collect(qvk__pte_writer *writer, qvk_error *err);
/* Makes the delegates' blobs with the keys known so far; the sizes never change from one call to the next. */
qvk_status qvk__pte_make_blobs(qvk__pte_writer *writer, qvk_error *err);
/* Lists entries with equal keys once. */
qvk_status qvk__pte_drop_duplicates(qvk__pte_writer *writer, qvk_error *err);
/* The description of the program as a FlatBuffer (pte_write_plan.c); *data belongs to `fb`. */
qvk_status qvk__pte_describe(const qvk__pte_writer *writer, qvk__fb_writer *fb, const uint8_t **data,
                             size_t *bytes, qvk_error *err);

#endif
