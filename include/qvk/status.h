/*
 * Statuses and errors: how every fallible qvk function reports.
 *
 * Rules that hold for the whole API
 *  - A fallible function returns a qvk_status. QVK_OK is 0; everything else is a failure.
 *  - Results come through out-parameters, written only on success.
 *  - The last parameter is an optional `qvk_error *` (NULL: not wanted). On failure it holds the status, a
 * one-line message in the user's words (file, node, operator, shape, limit) and, where it applies, the place.
 *  - There is no global or per-thread error state. The library never prints, exits, aborts or reads the
 * environment.
 *  - create/destroy come in pairs. destroy takes the address of the handle, accepts a NULL handle, and clears
 * it.
 */
#ifndef QVK_STATUS_H
#define QVK_STATUS_H

#include <stdint.h>

#include "qvk/api.h"

#ifdef __cplusplus
extern "C" {
#endif

/* X(NAME, number, text). Numbers are fixed, in groups of ten; the list is only ever appended to. */
#define QVK_STATUS_LIST(X)                                                                                   \
    X(OK, 0, "ok")                                                                                           \
    X(INVALID_ARGUMENT, 1, "invalid argument")                                                               \
    X(INPUT_MISMATCH, 2, "input does not match the program")                                                 \
    X(BUSY, 3, "object is in use by another thread")                                                         \
    X(OUT_OF_MEMORY, 10, "out of host memory")                                                               \
    X(IO, 20, "file could not be read or written")                                                           \
    X(BAD_FORMAT, 21, "malformed file")                                                                      \
    X(BAD_VERSION, 22, "unsupported file version")                                                           \
    X(NOT_FOUND, 23, "not found")                                                                            \
    X(UNSUPPORTED_OPERATOR, 30, "unsupported operator")                                                      \
    X(UNSUPPORTED, 31, "unsupported request")                                                                \
    X(SHAPE, 32, "shapes do not fit the operator")                                                           \
    X(NO_DEVICE, 40, "no usable Vulkan device")                                                              \
    X(OUT_OF_DEVICE_MEMORY, 41, "out of device memory")                                                      \
    X(DEVICE_LOST, 42, "device lost")                                                                        \
    X(TIMEOUT, 43, "device did not answer in time")                                                          \
    X(DRIVER, 44, "Vulkan driver error")                                                                     \
    X(VERIFY_FAILED, 50, "device and reference disagree")                                                    \
    X(INTERNAL, 90, "internal error")

typedef enum qvk_status {
#define QVK_STATUS_ENUM(name, number, text) QVK_##name = number,
    QVK_STATUS_LIST(QVK_STATUS_ENUM)
#undef QVK_STATUS_ENUM
} qvk_status;

#define QVK_ERROR_MESSAGE_MAX 512
#define QVK_NO_PLACE          UINT64_MAX

/* Caller-owned; need not be initialised. Untouched on success. */
typedef struct qvk_error {
    qvk_status status;
    uint64_t place; /* byte offset in the file, or QVK_NO_PLACE */
    int32_t node;   /* index of the node or instruction, or -1 */
    char message[QVK_ERROR_MESSAGE_MAX];
} qvk_error;

/* Static text of a status; "unknown status" for a number that is none. Thread-safe. */
QVK_API const char *qvk_status_text(qvk_status status);

/* Name of a status as written in this header, without the prefix ("BAD_FORMAT"). Thread-safe. */
QVK_API const char *qvk_status_name(qvk_status status);

#ifdef __cplusplus
}
#endif

#endif
