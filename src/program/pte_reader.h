/* What the parts of the .pte reader share: the file being read and its segments. Private to src/program. */
#ifndef QVK__PTE_READER_H
#define QVK__PTE_READER_H

#include "program/program.h"
#include "program/schemas.h"

typedef struct qvk__span {
    const uint8_t *data;
    uint64_t bytes;
} qvk__span;

typedef struct qvk__pte_reader {
    const uint8_t *data; /* the whole file */
    uint64_t bytes;
    qvk__fb_table root; /* verified */
    qvk__span *segments;
    uint32_t n_segments;
    qvk__program *program;
    /* Work that a small file could ask for again and again: bytes brought into C order, bytes of blobs
     * parsed. */
    uint64_t reordered_bytes, parsed_bytes;
} qvk__pte_reader;

/* A vector of 32-bit numbers into the program's arena. */
qvk_status qvk__pte_read_ids(qvk__pte_reader *reader, qvk__fb_table table, int field, const int32_t **out,
                             uint32_t *count, qvk_error *err);
/* A segment by index. */
qvk_status qvk__pte_segment(const qvk__pte_reader *reader, uint32_t index, qvk__span *out, qvk_error *err);
/* The method's values (pte_read_values.c), and its operators, delegates and instructions (pte_read_plan.c).
 */
qvk_status qvk__pte_read_values(qvk__pte_reader *reader, qvk__fb_table plan, qvk__method *out,
                                qvk_error *err);
qvk_status qvk__pte_read_plan(qvk__pte_reader *reader, qvk__fb_table plan, qvk__method *out, qvk_error *err);

/* Adds what a .ptd holds to program->named, which is sorted before and after. The bytes must outlive the
 * program. */
qvk_status qvk__ptd_read(const uint8_t *data, uint64_t bytes, qvk__program *program, qvk_error *err);
/* Sorts the named data for qvk__program_find; a key given twice is refused. */
qvk_status qvk__program_sort_named(qvk__program *program, qvk_error *err);

/* Copies a tensor's elements between C order and the order of its dimensions in a file (dim_order). Errors:
 * QVK_OUT_OF_MEMORY. */
qvk_status qvk__reorder_from_file(const qvk_tensor *desc, const uint8_t *dim_order, const void *from,
                                  void *to, qvk_error *err);
qvk_status qvk__reorder_to_file(const qvk_tensor *desc, const uint8_t *dim_order, const void *from, void *to,
                                qvk_error *err);
bool qvk__dim_order_is_identity(const qvk_tensor *desc, const uint8_t *dim_order);

#endif
