/*
 * The enumerations of a .pt2's JSON against torch's own (c10), which normalised arguments use (core/op.h).
 * Source: torch/_export/serde/schema.py; c10/core/ScalarType.h, Layout.h, MemoryFormat.h, DeviceType.h.
 */
#ifndef QVK__CODES_H
#define QVK__CODES_H

#include "base/base.h"

typedef enum qvk__code_kind {
    QVK__CODE_SCALAR_TYPE,
    QVK__CODE_LAYOUT,
    QVK__CODE_MEMORY_FORMAT,
    QVK__CODE_KINDS
} qvk__code_kind;

/* Name in operator schemas ("ScalarType"), and key of the Argument union ("as_scalar_type"). */
const char *qvk__code_type(qvk__code_kind kind);
const char *qvk__code_argument(qvk__code_kind kind);
/* false when the number is none. */
bool qvk__code_to_c10(qvk__code_kind kind, int64_t file_code, int64_t *out);
bool qvk__code_from_c10(qvk__code_kind kind, int64_t c10, int64_t *out);
/* Very old files name enum members instead of numbering them ("FLOAT", "Strided"). */
bool qvk__code_from_name(qvk__code_kind kind, const char *name, int64_t *file_code);

/* "cpu" -> 0; false for a device torch does not have. And back, NULL for an unknown number. */
bool qvk__device_to_c10(const char *type, int64_t *out);
const char *qvk__device_from_c10(int64_t c10);

#endif
