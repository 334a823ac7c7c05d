/* Symbol visibility for every public header. */
#ifndef QVK_API_H
#define QVK_API_H

#if defined(_WIN32)
#define QVK_API
#elif defined(__GNUC__)
#define QVK_API __attribute__((visibility("default")))
#else
#define QVK_API
#endif

#if defined(__GNUC__)
#define QVK_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#else
#define QVK_PRINTF(fmt, args)
#endif

#endif
