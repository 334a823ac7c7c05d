/*
 * flatbuffer: reading FlatBuffers that nobody vouches for.
 *
 * A buffer is verified once against a schema (tables of field kinds, see pte_schema.def for one); after that
 * the accessors below read without further checks. Verification bounds every offset, vector, string and
 * vtable, the depth, and the sum of everything reachable: a small file whose tables share children a million
 * times over is refused instead of expanded. Loads are alignment-safe, so the buffer may lie anywhere.
 *
 * Source: the FlatBuffers internals page. A table starts with a signed 32-bit distance back to its vtable; a
 * vtable is u16 {own bytes, table bytes, field offsets...}; everything else is reached by unsigned 32-bit
 * forward offsets; vectors and strings start with a u32 count.
 */
#ifndef QVK__FLATBUFFER_H
#define QVK__FLATBUFFER_H

#include "base/base.h"

/* ---- schemas ------------------------------------------------------------------------------------------- */

typedef enum qvk__fb_kind {
    QVK__FB_SCALAR1, /* bool, byte, ubyte */
    QVK__FB_SCALAR4, /* int, uint */
    QVK__FB_SCALAR8, /* long, ulong, double */
    QVK__FB_STRING,  /* UTF-8 without NULs */
    QVK__FB_VECTOR1, /* vectors of scalars, by element width */
    QVK__FB_VECTOR4,
    QVK__FB_VECTOR8,
    QVK__FB_TABLE,
    QVK__FB_TABLES, /* vector of tables */
    QVK__FB_UNION   /* its type tag, a SCALAR1, is the field before; tags start at 1 */
} qvk__fb_kind;

typedef struct qvk__fb_field {
    const char *name;
    qvk__fb_kind kind;
    /* TABLE, TABLES: index of the child in the schema's tables. UNION: tag t is table `first` + t - 1. */
    uint16_t first, last;
} qvk__fb_field;

typedef struct qvk__fb_table_schema {
    const char *name;
    const qvk__fb_field *fields; /* by field id */
    uint16_t n_fields;
} qvk__fb_table_schema;

typedef struct qvk__fb_schema {
    const char *identifier;             /* four characters at byte 4 */
    const qvk__fb_table_schema *tables; /* [0] is the root */
} qvk__fb_schema;

/*
 * QVK_BAD_FORMAT with the table and field at fault and its byte (plus `place`, where the buffer starts in the
 * file). Fields the schema does not have, and union tags beyond its last, are ignored: they come from newer
 * writers. The caller must not follow such a union.
 */
qvk_status qvk__fb_verify(const uint8_t *data, uint64_t bytes, const qvk__fb_schema *schema, uint64_t place,
                          qvk_error *err);

/* ---- access to a verified buffer ----------------------------------------------------------------------- */

/* `at` is NULL for an absent table: all its fields then read as absent. */
typedef struct qvk__fb_table {
    const uint8_t *at;
} qvk__fb_table;

/* Absent vectors have no elements. */
typedef struct qvk__fb_vector {
    const uint8_t *at; /* first element */
    uint32_t count;
} qvk__fb_vector;

qvk__fb_table qvk__fb_root(const uint8_t *data);

/* Little-endian numbers anywhere, as the headers around flatbuffers hold them. */
uint16_t qvk__load_u16(const uint8_t *at);
uint32_t qvk__load_u32(const uint8_t *at);
uint64_t qvk__load_u64(const uint8_t *at);

/* Scalar fields, `fallback` when absent, and elements of scalar vectors (index below count). */
#define QVK__FB_SCALAR_LIST(X)                                                                               \
    X(i8, int8_t)                                                                                            \
    X(u8, uint8_t)                                                                                           \
    X(i32, int32_t)                                                                                          \
    X(u32, uint32_t)                                                                                         \
    X(i64, int64_t)                                                                                          \
    X(u64, uint64_t)                                                                                         \
    X(f64, double)
#define QVK__FB_DECLARE(name, type)                                                                          \
    type qvk__fb_##name(qvk__fb_table table, int field, type fallback);                                      \
    type qvk__fb_##name##_at(qvk__fb_vector vector, uint32_t index);
QVK__FB_SCALAR_LIST(QVK__FB_DECLARE)
#undef QVK__FB_DECLARE

/* NULL when absent. Borrowed from the buffer, NUL-terminated. */
const char *qvk__fb_string(qvk__fb_table table, int field);
/* A TABLE field, or the value of a UNION whose tag the schema knows. */
qvk__fb_table qvk__fb_child(qvk__fb_table table, int field);
qvk__fb_vector qvk__fb_children(qvk__fb_table table, int field);
qvk__fb_table qvk__fb_child_at(qvk__fb_vector vector, uint32_t index);

#endif
