/* Verifying FlatBuffers, and reading verified ones. */
#include "program/flatbuffer.h"

enum {
    MAX_DEPTH = 32,
    /* Writers share vtables and equal strings, which is counted anew at each use: real files stay under twice
     * their size. */
    SHARING_LIMIT = 16,
    SHARING_SLACK = 1024
};

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "qvk reads its little-endian files in place"
#endif

uint16_t qvk__load_u16(const uint8_t *at)
{
    uint16_t value;
    memcpy(&value, at, sizeof value);
    return value;
}

uint32_t qvk__load_u32(const uint8_t *at)
{
    uint32_t value;
    memcpy(&value, at, sizeof value);
    return value;
}

uint64_t qvk__load_u64(const uint8_t *at)
{
    uint64_t value;
    memcpy(&value, at, sizeof value);
    return value;
}

/* ---- verification -------------------------------------------------------------------------------------- */

typedef struct verifier {
    const uint8_t *data;
    uint64_t bytes;
    const qvk__fb_schema *schema;
    uint64_t place;  /* of the buffer in the file */
    uint64_t budget; /* bytes that may still be reached, shared ones counted each time */
    int depth;
    qvk_error *err;
    /* Where we are, for messages. */
    const char *table, *field;
} verifier;

static qvk_status refuse(const verifier *v, uint64_t at, const char *why)
{
    qvk__fail_at(v->err, QVK_BAD_FORMAT, v->place + at, "flatbuffer %s%s%s at byte %llu: %s", v->table,
                 v->field ? "." : "", v->field ? v->field : "", (unsigned long long)(v->place + at), why);
    return QVK_BAD_FORMAT;
}

static bool in_bounds(const verifier *v, uint64_t at, uint64_t bytes)
{
    return at <= v->bytes && bytes <= v->bytes - at;
}

static qvk_status spend(verifier *v, uint64_t at, uint64_t bytes)
{
    if (bytes > v->budget)
        return refuse(v, at, "the same bytes are used over and over");
    v->budget -= bytes;
    return QVK_OK;
}

/* Follows the forward offset stored at `at`. */
static qvk_status follow(verifier *v, uint64_t at, uint64_t *target)
{
    uint32_t distance = qvk__load_u32(v->data + at);

    if (distance == 0 || !in_bounds(v, at + distance, 4))
        return refuse(v, at, "an offset points outside the buffer");
    *target = at + distance;
    return QVK_OK;
}

/* A vector's header and elements; `at` is where its offset is stored, `first` where its elements start. */
static qvk_status verify_vector(verifier *v, uint64_t at, uint64_t width, uint64_t *first, uint32_t *count)
{
    uint64_t vector;

    QVK__TRY(follow(v, at, &vector));
    *count = qvk__load_u32(v->data + vector);
    *first = vector + 4;
    if (!in_bounds(v, *first, *count * width))
        return refuse(v, vector, "a vector runs past the end");
    return spend(v, vector, 4 + *count * width);
}

/* Length of the UTF-8 character at `text`, 0 if it is none. Overlong forms, surrogates and what is above
 * U+10FFFF are none. `text` ends with a NUL, which stops any run. */
static unsigned utf8_length(const uint8_t *text)
{
    unsigned length = text[0] < 0x80                      ? 1
                      : text[0] >= 0xc2 && text[0] < 0xe0 ? 2
                      : (text[0] & 0xf0) == 0xe0          ? 3
                      : text[0] >= 0xf0 && text[0] < 0xf5 ? 4
                                                          : 0;

    for (unsigned i = 1; i < length; i++)
        if ((text[i] & 0xc0) != 0x80)
            return 0;
    if ((text[0] == 0xe0 && text[1] < 0xa0) || (text[0] == 0xed && text[1] >= 0xa0) ||
        (text[0] == 0xf0 && text[1] < 0x90) || (text[0] == 0xf4 && text[1] >= 0x90))
        return 0;
    return length;
}

static qvk_status verify_string(verifier *v, uint64_t at)
{
    uint64_t first;
    uint32_t count;

    QVK__TRY(verify_vector(v, at, 1, &first, &count));
    if (!in_bounds(v, first + count, 1) || v->data[first + count] != 0)
        return refuse(v, first, "a string has no NUL after it");
    for (uint64_t i = first; i < first + count;) {
        unsigned length = v->data[i] ? utf8_length(v->data + i) : 0;
        if (length == 0)
            return refuse(v, i, "a string is not UTF-8");
        i += length;
    }
    return QVK_OK;
}

static qvk_status verify_table(verifier *v, uint64_t at, uint16_t index);

/* A table whose offset is stored at `at`. */
static qvk_status verify_child(verifier *v, uint64_t at, uint16_t index)
{
    const char *table = v->table, *field = v->field;
    uint64_t target;

    QVK__TRY(follow(v, at, &target));
    if (v->depth >= MAX_DEPTH)
        return refuse(v, at, "tables are nested too deeply");
    v->depth++;
    QVK__TRY(verify_table(v, target, index));
    v->depth--;
    v->table = table;
    v->field = field;
    return QVK_OK;
}

static qvk_status verify_children(verifier *v, uint64_t at, uint16_t index)
{
    uint64_t first;
    uint32_t count;

    QVK__TRY(verify_vector(v, at, 4, &first, &count));
    for (uint32_t i = 0; i < count; i++)
        QVK__TRY(verify_child(v, first + 4 * (uint64_t)i, index));
    return QVK_OK;
}

/* `tag` is the union's, 0 when there is none. */
static qvk_status verify_union(verifier *v, uint64_t at, const qvk__fb_field *field, uint8_t tag)
{
    if (tag == 0 || tag > field->last - field->first + 1)
        return QVK_OK;
    return verify_child(v, at, (uint16_t)(field->first + tag - 1));
}

static uint64_t inline_bytes(qvk__fb_kind kind)
{
    return kind == QVK__FB_SCALAR1 ? 1 : kind == QVK__FB_SCALAR8 ? 8 : 4;
}

/* A field stored at `at`; `tag` matters to unions only. */
static qvk_status verify_field(verifier *v, uint64_t at, const qvk__fb_field *field, uint8_t tag)
{
    uint64_t first;
    uint32_t count;

    switch (field->kind) {
    case QVK__FB_SCALAR1:
    case QVK__FB_SCALAR4:
    case QVK__FB_SCALAR8: return QVK_OK;
    case QVK__FB_STRING: return verify_string(v, at);
    case QVK__FB_VECTOR1: return verify_vector(v, at, 1, &first, &count);
    case QVK__FB_VECTOR4: return verify_vector(v, at, 4, &first, &count);
    case QVK__FB_VECTOR8: return verify_vector(v, at, 8, &first, &count);
    case QVK__FB_TABLE: return verify_child(v, at, field->first);
    case QVK__FB_TABLES: return verify_children(v, at, field->first);
    case QVK__FB_UNION: return verify_union(v, at, field, tag);
    }
    return QVK_OK;
}

/* Distance of a field from its table, 0 when absent. The vtable holds offsets after its first two numbers. */
static uint16_t field_offset(const uint8_t *vtable, int field)
{
    int at = 4 + 2 * field;
    return at + 2 <= qvk__load_u16(vtable) ? qvk__load_u16(vtable + at) : 0;
}

static qvk_status verify_vtable(verifier *v, uint64_t at, const uint8_t **vtable, uint16_t *table_bytes)
{
    int64_t place = (int64_t)at - (int32_t)qvk__load_u32(v->data + at);
    uint16_t own;

    if (place < 0 || !in_bounds(v, (uint64_t)place, 4))
        return refuse(v, at, "the table's vtable lies outside the buffer");
    *vtable = v->data + place;
    own = qvk__load_u16(*vtable);
    *table_bytes = qvk__load_u16(*vtable + 2);
    if (own < 4 || own % 2 || !in_bounds(v, (uint64_t)place, own))
        return refuse(v, (uint64_t)place, "a vtable has an impossible size");
    if (*table_bytes < 4 || !in_bounds(v, at, *table_bytes))
        return refuse(v, at, "a table runs past the end");
    return spend(v, at, *table_bytes);
}

static qvk_status verify_table(verifier *v, uint64_t at, uint16_t index)
{
    const qvk__fb_table_schema *schema = &v->schema->tables[index];
    const uint8_t *vtable;
    uint16_t table_bytes;
    uint8_t tag = 0;

    v->table = schema->name;
    v->field = NULL;
    QVK__TRY(verify_vtable(v, at, &vtable, &table_bytes));
    for (int i = 0; i < schema->n_fields; i++) {
        const qvk__fb_field *field = &schema->fields[i];
        uint16_t offset = field_offset(vtable, i);
        uint8_t union_tag = tag;

        tag = 0;
        if (offset == 0)
            continue;
        v->field = field->name;
        if (offset < 4 || offset + inline_bytes(field->kind) > table_bytes)
            return refuse(v, at, "a field lies outside its table");
        if (field->kind == QVK__FB_SCALAR1)
            tag = v->data[at + offset];
        QVK__TRY(verify_field(v, at + offset, field, union_tag));
    }
    return QVK_OK;
}

qvk_status qvk__fb_verify(const uint8_t *data, uint64_t bytes, const qvk__fb_schema *schema, uint64_t place,
                          qvk_error *err)
{
    verifier v = {.data = data, .bytes = bytes, .schema = schema, .place = place, .err = err};

    v.table = schema->tables[0].name;
    /* Offsets are 32 bits wide, and so is every legitimate buffer; sums of two of them fit 64 bits. */
    if (bytes < 8 || bytes > UINT32_MAX)
        return refuse(&v, 0, bytes < 8 ? "too short" : "longer than 4 GiB");
    if (memcmp(data + 4, schema->identifier, 4) != 0)
        return qvk__fail_at(err, QVK_BAD_FORMAT, place + 4, "identifier is not \"%s\"", schema->identifier);
    v.budget = bytes * SHARING_LIMIT + SHARING_SLACK;
    return verify_child(&v, 0, 0);
}

/* ---- access -------------------------------------------------------------------------------------------- */

static const uint8_t *field_at(qvk__fb_table table, int field)
{
    int32_t distance;
    uint16_t offset;

    if (!table.at)
        return NULL;
    memcpy(&distance, table.at, sizeof distance);
    offset = field_offset(table.at - distance, field);
    return offset ? table.at + offset : NULL;
}

#define DEFINE_SCALAR(name, type)                                                                            \
    type qvk__fb_##name(qvk__fb_table table, int field, type fallback)                                       \
    {                                                                                                        \
        const uint8_t *at = field_at(table, field);                                                          \
        if (at)                                                                                              \
            memcpy(&fallback, at, sizeof fallback);                                                          \
        return fallback;                                                                                     \
    }                                                                                                        \
    type qvk__fb_##name##_at(qvk__fb_vector vector, uint32_t index)                                          \
    {                                                                                                        \
        type value;                                                                                          \
        memcpy(&value, vector.at + index * sizeof value, sizeof value);                                      \
        return value;                                                                                        \
    }
QVK__FB_SCALAR_LIST(DEFINE_SCALAR)
#undef DEFINE_SCALAR

qvk__fb_table qvk__fb_root(const uint8_t *data)
{
    return (qvk__fb_table){data + qvk__load_u32(data)};
}

const char *qvk__fb_string(qvk__fb_table table, int field)
{
    const uint8_t *at = field_at(table, field);
    return at ? (const char *)at + qvk__load_u32(at) + 4 : NULL;
}

qvk__fb_table qvk__fb_child(qvk__fb_table table, int field)
{
    const uint8_t *at = field_at(table, field);
    return (qvk__fb_table){at ? at + qvk__load_u32(at) : NULL};
}

qvk__fb_vector qvk__fb_children(qvk__fb_table table, int field)
{
    const uint8_t *at = field_at(table, field);
    qvk__fb_vector vector = {NULL, 0};

    if (at) {
        at += qvk__load_u32(at);
        vector.count = qvk__load_u32(at);
        vector.at = at + 4;
    }
    return vector;
}

qvk__fb_table qvk__fb_child_at(qvk__fb_vector vector, uint32_t index)
{
    const uint8_t *at = vector.at + (size_t)4 * index;
    return (qvk__fb_table){at + qvk__load_u32(at)};
}
