/* The schemas as tables for the verifier. */
#include "program/schemas.h"

/* Each table's fields end with an empty entry, since C has no empty arrays; it is not counted. */
/* clang-format off */
#define TABLE(T, name)                 static const qvk__fb_field QVK__JOIN(SCHEMA, T##_fields)[] = {
#define FIELD(T, F, name, kind)        {name, QVK__FB_##kind, 0, 0},
#define CHILD(T, F, name, kind, table) {name, QVK__FB_##kind, QVK__JOIN(SCHEMA, TABLE_##table), 0},
#define UNION(T, F, name, from, to)                                                                          \
    {name "_type", QVK__FB_SCALAR1, 0, 0},                                                                   \
        {name, QVK__FB_UNION, QVK__JOIN(SCHEMA, TABLE_##from), QVK__JOIN(SCHEMA, TABLE_##to)},
#define END(T) LAST_FIELD };
#define LAST_FIELD {NULL, QVK__FB_SCALAR1, 0, 0}
/* clang-format on */
#define SCHEMA PTE
#include "program/pte_schema.def"
#undef SCHEMA
#define SCHEMA BLOB
#include "program/blob_schema.def"
#undef SCHEMA
#define SCHEMA PTD
#include "program/ptd_schema.def"
#undef SCHEMA
#undef TABLE
#undef FIELD
#undef CHILD
#undef UNION
#undef END

#define TABLE(T, name) {name, QVK__JOIN(SCHEMA, T##_fields), QVK__JOIN(SCHEMA, T##_FIELD_COUNT)},
#define FIELD(T, F, name, kind)
#define CHILD(T, F, name, kind, table)
#define UNION(T, F, name, from, to)
#define END(T)
#define SCHEMA PTE
static const qvk__fb_table_schema pte_tables[] = {
#include "program/pte_schema.def"
};
#undef SCHEMA
#define SCHEMA BLOB
static const qvk__fb_table_schema blob_tables[] = {
#include "program/blob_schema.def"
};
#undef SCHEMA
#define SCHEMA PTD
static const qvk__fb_table_schema ptd_tables[] = {
#include "program/ptd_schema.def"
};
#undef SCHEMA

const qvk__fb_schema qvk__pte_schema = {"ET12", pte_tables};
const qvk__fb_schema qvk__blob_schema = {"VK00", blob_tables};
const qvk__fb_schema qvk__ptd_schema = {"FT01", ptd_tables};
