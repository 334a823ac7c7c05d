/*
 * schemas: field ids and union tags of the three FlatBuffers schemas qvk reads and writes, from their lists.
 * PTE_TENSOR_SIZES is the id of Tensor.sizes in a .pte, PTE_TAG_TENSOR the tag of a Tensor in its union,
 * BLOB_... and PTD_... the same for a Vulkan blob and a .ptd.
 */
#ifndef QVK__SCHEMAS_H
#define QVK__SCHEMAS_H

#include "program/flatbuffer.h"

extern const qvk__fb_schema qvk__pte_schema, qvk__blob_schema, qvk__ptd_schema;

#define QVK__JOIN(schema, rest)          QVK__JOIN_EXPANDED(schema, rest)
#define QVK__JOIN_EXPANDED(schema, rest) schema##_##rest

/* ---- tables, by their place in the list ---------------------------------------------------------------- */

#define TABLE(T, name) QVK__JOIN(SCHEMA, TABLE_##T),
#define FIELD(T, F, name, kind)
#define CHILD(T, F, name, kind, table)
#define UNION(T, F, name, first, last)
#define END(T)
#define SCHEMA PTE
enum {
#include "program/pte_schema.def"
    PTE_TABLE_COUNT
};
#undef SCHEMA
#define SCHEMA BLOB
enum {
#include "program/blob_schema.def"
    BLOB_TABLE_COUNT
};
#undef SCHEMA
#define SCHEMA PTD
enum {
#include "program/ptd_schema.def"
    PTD_TABLE_COUNT
};
#undef SCHEMA
#undef TABLE
#undef FIELD
#undef CHILD
#undef UNION
#undef END

/* ---- fields -------------------------------------------------------------------------------------------- */

#define TABLE(T, name)                 enum {
#define FIELD(T, F, name, kind)        QVK__JOIN(SCHEMA, T##_##F),
#define CHILD(T, F, name, kind, table) QVK__JOIN(SCHEMA, T##_##F),
#define UNION(T, F, name, first, last) QVK__JOIN(SCHEMA, T##_##F##_TAG), QVK__JOIN(SCHEMA, T##_##F),
#define END(T)                                                                                               \
    QVK__JOIN(SCHEMA, T##_FIELD_COUNT)                                                                       \
    }                                                                                                        \
    ;
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

/* ---- union tags: a member's place after the first one, from 1 ------------------------------------------ */

#define PTE_VALUE_TAG(table)       (PTE_TABLE_##table - PTE_TABLE_NULL_VALUE + 1)
#define PTE_INSTRUCTION_TAG(table) (PTE_TABLE_##table - PTE_TABLE_KERNEL_CALL + 1)
#define BLOB_VALUE_TAG(table)      (BLOB_TABLE_##table - BLOB_TABLE_NULL_VALUE + 1)

/* BackendDelegateDataReference.location, ExtraTensorInfo.location, Tensor.shape_dynamism. */
enum { PTE_LOCATION_INLINE = 0, PTE_LOCATION_SEGMENT = 1 };
enum { PTE_TENSOR_IN_SEGMENT = 0, PTE_TENSOR_EXTERNAL = 1 };
enum { PTE_STATIC = 0, PTE_DYNAMIC_BOUND = 1, PTE_DYNAMIC_UNBOUND = 2 };

/* VkTensor: "as the runtime likes", and staging_datatype "as datatype". */
enum { BLOB_DEFAULT_TAG = 255, BLOB_STAGING_UNSET = 127 };

#endif
