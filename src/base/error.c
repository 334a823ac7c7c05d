/* Statuses as text, and the error struct on its way up. */
#include "base/base.h"

#include <stdio.h>

const char *qvk_status_text(qvk_status status)
{
    switch (status) {
#define CASE(name, number, text)                                                                             \
    case QVK_##name: return text;
        QVK_STATUS_LIST(CASE)
#undef CASE
    }
    return "unknown status";
}

const char *qvk_status_name(qvk_status status)
{
    switch (status) {
#define CASE(name, number, text)                                                                             \
    case QVK_##name: return #name;
        QVK_STATUS_LIST(CASE)
#undef CASE
    }
    return "UNKNOWN";
}

static void fill(qvk_error *err, qvk_status status, uint64_t place, const char *format, va_list args)
{
    if (!err)
        return;
    err->status = status;
    err->place = place;
    err->node = -1;
    vsnprintf(err->message, sizeof err->message, format, args);
}

qvk_status qvk__fail(qvk_error *err, qvk_status status, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fill(err, status, QVK_NO_PLACE, format, args);
    va_end(args);
    return status;
}

qvk_status qvk__fail_at(qvk_error *err, qvk_status status, uint64_t place, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fill(err, status, place, format, args);
    va_end(args);
    return status;
}

qvk_status qvk__error_context(qvk_error *err, qvk_status status, const char *format, ...)
{
    char old[QVK_ERROR_MESSAGE_MAX];
    va_list args;
    int length;

    if (!err || status == QVK_OK)
        return status;
    memcpy(old, err->message, sizeof old);
    va_start(args, format);
    length = vsnprintf(err->message, sizeof err->message, format, args);
    va_end(args);
    /* The old message gives way at its end when both do not fit. */
    if (length >= 0 && (size_t)length + 3 < sizeof err->message)
        snprintf(err->message + length, sizeof err->message - (size_t)length, ": %.*s",
                 (int)(sizeof err->message - (size_t)length - 3), old);
    return status;
}
