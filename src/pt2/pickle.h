/*
 * Python pickles as inert trees: nothing is imported, called or built. The opcodes are those that torch.save
 * writes (protocol 2, and what protocol 4 adds for the same objects); any other is refused. Untrusted input.
 */
#ifndef QVK__PICKLE_H
#define QVK__PICKLE_H

#include "base/base.h"

typedef enum qvk__pickle_kind {
    QVK__PICKLE_NONE,
    QVK__PICKLE_BOOL,
    QVK__PICKLE_INT,
    QVK__PICKLE_FLOAT,
    QVK__PICKLE_STRING,
    QVK__PICKLE_TUPLE,
    QVK__PICKLE_LIST,
    QVK__PICKLE_DICT,       /* items: key, value, key, value ... in order */
    QVK__PICKLE_GLOBAL,     /* a name: s is "module name" */
    QVK__PICKLE_PERSISTENT, /* a reference out of the pickle (a storage): items[0] is its id */
    QVK__PICKLE_CALL        /* items[0] applied to the tuple items[1] */
} qvk__pickle_kind;

typedef struct qvk__pickle qvk__pickle;
struct qvk__pickle {
    qvk__pickle_kind kind;
    int64_t i; /* INT, BOOL */
    double f;
    const char *s; /* NUL-terminated */
    const qvk__pickle **items;
    size_t count, capacity;
};

/* The tree lives in `arena`. A container may contain itself: walkers must bound their depth. `what` names the
 * pickle in messages. */
qvk_status qvk__pickle_read(const uint8_t *data, uint64_t bytes, const char *what, qvk__arena *arena,
                            const qvk__pickle **out, qvk_error *err);

/* Is it the name "module name"? Is it that applied to at least `n_args` arguments (then *args)? */
bool qvk__pickle_is_global(const qvk__pickle *value, const char *name);
bool qvk__pickle_is_call(const qvk__pickle *value, const char *name, size_t n_args,
                         const qvk__pickle *const **args);

#endif
