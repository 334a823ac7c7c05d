/*
 * flatbuffer_writer: making FlatBuffers. Children come before the table that refers to them, as the buffer
 * grows from its end towards its start: every offset in the result points forward, and everything is aligned.
 *
 *   qvk__fb_offset name = qvk__fb_add_string(&writer, "forward");
 *   qvk__fb_begin(&writer);
 *   qvk__fb_set_offset(&writer, PTE_PLAN_NAME, name);
 *   qvk__fb_offset plan = qvk__fb_end(&writer);
 *
 * Running out of memory or of 32-bit offsets is remembered; qvk__fb_finish reports it once. Equal vtables are
 * shared. Tables cannot be begun inside one another.
 */
#ifndef QVK__FLATBUFFER_WRITER_H
#define QVK__FLATBUFFER_WRITER_H

#include "program/flatbuffer.h"

enum { QVK__FB_MAX_FIELDS = 16 };

/* Distance of an object from the end of the finished buffer; 0: none. */
typedef uint32_t qvk__fb_offset;

typedef struct qvk__fb_pending {
    uint8_t value[8];
    uint8_t width; /* 0: not set */
    bool is_offset;
} qvk__fb_pending;

/* Zero-initialise to start; qvk__fb_writer_free at the end. */
typedef struct qvk__fb_writer {
    uint8_t *data; /* the last `used` of `capacity` bytes are written */
    size_t used, capacity;
    size_t alignment; /* the largest one asked for */
    bool failed, too_long;
    QVK__VEC(qvk__fb_offset) vtables;
    qvk__fb_pending fields[QVK__FB_MAX_FIELDS]; /* of the table being written */
} qvk__fb_writer;

void qvk__fb_writer_free(qvk__fb_writer *writer);

/* NULL gives 0: no string. */
qvk__fb_offset qvk__fb_add_string(qvk__fb_writer *writer, const char *text);
/* A vector of `count` scalars of `width` bytes whose first element is aligned to `alignment` at least. */
qvk__fb_offset qvk__fb_add_vector(qvk__fb_writer *writer, const void *data, size_t count, size_t width,
                                  size_t alignment);
qvk__fb_offset qvk__fb_add_offsets(qvk__fb_writer *writer, const qvk__fb_offset *offsets, size_t count);

void qvk__fb_begin(qvk__fb_writer *writer);
/* Fields of the table begun. A scalar is written even when it equals the schema's default. */
#define QVK__FB_DECLARE(name, type) void qvk__fb_set_##name(qvk__fb_writer *writer, int field, type value);
QVK__FB_SCALAR_LIST(QVK__FB_DECLARE)
#undef QVK__FB_DECLARE
/* Offset 0 leaves the field absent. */
void qvk__fb_set_offset(qvk__fb_writer *writer, int field, qvk__fb_offset offset);
qvk__fb_offset qvk__fb_end(qvk__fb_writer *writer);

/* Ends the buffer. *data stays the writer's. Its size is a multiple of the largest alignment. Errors:
 * QVK_OUT_OF_MEMORY, QVK_UNSUPPORTED (longer than 2 GiB, the format's limit). */
qvk_status qvk__fb_finish(qvk__fb_writer *writer, qvk__fb_offset root, const char *identifier,
                          const uint8_t **data, size_t *bytes, qvk_error *err);

#endif
