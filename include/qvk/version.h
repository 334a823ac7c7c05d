/*
 * Version of the library.
 *
 * The macros say what the caller was compiled against; the functions say what is running. Versions follow
 * semantic versioning: within one major version, code compiled against an older minor version keeps working.
 */
#ifndef QVK_VERSION_H
#define QVK_VERSION_H

#include <stdbool.h>

#include "qvk/api.h"

#ifdef __cplusplus
extern "C" {
#endif

#define QVK_VERSION_MAJOR  0
#define QVK_VERSION_MINOR  1
#define QVK_VERSION_PATCH  0
#define QVK_VERSION_STRING "0.1.0"

/* "MAJOR.MINOR.PATCH"; static text. Thread-safe. */
QVK_API const char *qvk_version(void);

/* Whether this build holds the compile half (reading .pt2, quantizing, lowering). Thread-safe. */
QVK_API bool qvk_has_compiler(void);

#ifdef __cplusplus
}
#endif

#endif
