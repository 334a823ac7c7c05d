/*
 * base: what every room stands on. Errors, memory, strings, files, clock. Knows nothing of tensors.
 * Thread rules: nothing here is shared behind the caller's back; one object, one thread at a time.
 */
#ifndef QVK__BASE_H
#define QVK__BASE_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "qvk/status.h"

/* ---- errors -------------------------------------------------------------------------------------------- */

/* Fills *err (NULL allowed) and returns `status`, so that a failure is one statement. */
qvk_status qvk__fail(qvk_error *err, qvk_status status, const char *format, ...) QVK_PRINTF(3, 4);
/* The same with a byte offset in the file being read. */
qvk_status qvk__fail_at(qvk_error *err, qvk_status status, uint64_t place, const char *format, ...)
    QVK_PRINTF(4, 5);
/* Puts "context: " before the message of an error on its way up; returns `status` unchanged. */
qvk_status qvk__error_context(qvk_error *err, qvk_status status, const char *format, ...) QVK_PRINTF(3, 4);

/* Forward a failure. Only where nothing needs cleaning up. */
#define QVK__TRY(expression)                                                                                 \
    do {                                                                                                     \
        qvk_status qvk__try_status = (expression);                                                           \
        if (qvk__try_status != QVK_OK)                                                                       \
            return qvk__try_status;                                                                          \
    } while (0)

/* Forward a failure to the function's one `done:` label; needs a local `qvk_status status`. */
#define QVK__TRY_GO(expression)                                                                              \
    do {                                                                                                     \
        status = (expression);                                                                               \
        if (status != QVK_OK)                                                                                \
            goto done;                                                                                       \
    } while (0)

/*
 * Fail with a message unless the condition holds: QVK__CHECK(n > 0, err, QVK_SHAPE, "%s: empty", name). The
 * code is returned as written, not as qvk__fail returns it, so that compilers see that it is no success.
 */
#define QVK__CHECK(condition, err, code, ...)                                                                \
    do {                                                                                                     \
        if (!(condition)) {                                                                                  \
            const qvk_status qvk__check_code = (code);                                                       \
            qvk__fail(err, qvk__check_code, __VA_ARGS__);                                                    \
            return qvk__check_code;                                                                          \
        }                                                                                                    \
    } while (0)

#define QVK__CHECK_GO(condition, err, code, ...)                                                             \
    do {                                                                                                     \
        if (!(condition)) {                                                                                  \
            status = qvk__fail(err, code, __VA_ARGS__);                                                      \
            goto done;                                                                                       \
        }                                                                                                    \
    } while (0)

#define QVK__COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define QVK__MIN(a, b)    ((a) < (b) ? (a) : (b))
#define QVK__MAX(a, b)    ((a) > (b) ? (a) : (b))

/* ---- checked arithmetic -------------------------------------------------------------------------------- */

/* false on overflow; *out is then untouched. */
bool qvk__add_u64(uint64_t a, uint64_t b, uint64_t *out);
bool qvk__mul_u64(uint64_t a, uint64_t b, uint64_t *out);
/* Rounds up to a multiple of `step` (a power of two or not). No overflow check: for sizes already bounded. */
uint64_t qvk__round_up(uint64_t value, uint64_t step);
/* ceil(value / step). */
uint64_t qvk__div_up(uint64_t value, uint64_t step);

/* ---- memory -------------------------------------------------------------------------------------------- */

/* calloc that takes a 64-bit count; NULL on overflow or exhaustion. Free with free(). */
void *qvk__alloc_zeroed(uint64_t count, size_t size);

/* Bump allocator: everything allocated is zeroed, 16-byte aligned, and freed at once. Zero-initialise to
 * start. */
typedef struct qvk__arena {
    struct qvk__arena_block *head;
    size_t used_total;
} qvk__arena;
void *qvk__arena_alloc(qvk__arena *arena, uint64_t count, size_t size);
char *qvk__arena_strdup(qvk__arena *arena, const char *text);
char *qvk__arena_strndup(qvk__arena *arena, const char *text, size_t length);
char *qvk__arena_printf(qvk__arena *arena, const char *format, ...) QVK_PRINTF(2, 3);
void *qvk__arena_memdup(qvk__arena *arena, const void *data, size_t bytes);
/* Moves everything `from` holds into `arena`; `from` is empty afterwards. */
void qvk__arena_adopt(qvk__arena *arena, qvk__arena *from);
void qvk__arena_free(qvk__arena *arena);
/* Frees everything allocated, but keeps one block for what comes next: for work repeated many times. */
void qvk__arena_reset(qvk__arena *arena);

/*
 * Growable array of T: struct { T *data; size_t count, capacity; }. Zero-initialise; free(v.data) at the end.
 * QVK__VEC_PUSH(&v, item) is true on success, false when memory runs out.
 */
#define QVK__VEC(type)                                                                                       \
    struct {                                                                                                 \
        type *data;                                                                                          \
        size_t count, capacity;                                                                              \
    }
#define QVK__VEC_PUSH(vec, ...)                                                                              \
    (qvk__vec_reserve((void **)&(vec)->data, &(vec)->capacity, (vec)->count + 1, sizeof(*(vec)->data)) &&    \
     ((vec)->data[(vec)->count++] = (__VA_ARGS__), true))
bool qvk__vec_reserve(void **data, size_t *capacity, size_t needed, size_t item_bytes);

/* ---- strings ------------------------------------------------------------------------------------------- */

/* Text builder; out of memory is remembered and reported once by `failed`. Zero-initialise; free(s.data). */
typedef struct qvk__string {
    char *data; /* always NUL-terminated once anything was added */
    size_t count, capacity;
    bool failed;
} qvk__string;
void qvk__string_add(qvk__string *string, const char *text);
void qvk__string_addf(qvk__string *string, const char *format, ...) QVK_PRINTF(2, 3);
/* Adds text with JSON escapes, without the quotes. */
void qvk__string_add_json(qvk__string *string, const char *text);
/* The same with the quotes: a JSON string. */
void qvk__string_add_quoted(qvk__string *string, const char *text);
/* A JSON number. JSON has no infinities and no NaN: they become strings, as Python's float() reads them. */
void qvk__string_add_number(qvk__string *string, double number);

bool qvk__starts_with(const char *text, const char *prefix);
bool qvk__ends_with(const char *text, const char *suffix);
/* Shell-style pattern over the whole text: '*' any run, '?' one character. */
bool qvk__glob_match(const char *pattern, const char *text);

/* String to int64 map (open addressing). Keys are not copied: they must outlive the map. */
typedef struct qvk__map {
    struct qvk__map_entry *entries;
    size_t count, capacity;
} qvk__map;
bool qvk__map_set(qvk__map *map, const char *key, int64_t value); /* false: out of memory */
bool qvk__map_get(const qvk__map *map, const char *key, int64_t *value);
void qvk__map_free(qvk__map *map);

/* ---- hashing ------------------------------------------------------------------------------------------- */

uint64_t qvk__hash64(const void *data, size_t bytes, uint64_t seed); /* FNV-1a; not for untrusted keys */
/* SHA-256 (FIPS 180-4); incremental. */
typedef struct qvk__sha256 {
    uint32_t state[8];
    uint64_t bytes;
    uint8_t block[64];
    bool has_instructions; /* the processor's own are used; clearing it after begin makes do without */
} qvk__sha256;
void qvk__sha256_begin(qvk__sha256 *sha);
void qvk__sha256_add(qvk__sha256 *sha, const void *data, size_t bytes);
/* 64 lowercase hex digits and a NUL. */
void qvk__sha256_end(qvk__sha256 *sha, char hex[65]);

/* ---- files --------------------------------------------------------------------------------------------- */

/* Read-only view of a whole file; bytes are borrowed until unmap. An empty file has data NULL and bytes 0. */
typedef struct qvk__file {
    const uint8_t *data;
    uint64_t bytes;
    int descriptor; /* open while data is not NULL */
} qvk__file;
qvk_status qvk__file_map(const char *path, qvk__file *out, qvk_error *err);
void qvk__file_unmap(qvk__file *file);
/*
 * Copies bytes of the mapped file, given by where they are mapped, into `buffer` without touching their
 * pages: for long passes, because a page that is touched costs more than its bytes copied, and stays in
 * memory. Sets *out to the buffer; of bytes that are not of the file, to `data` itself. Thread-safe. Errors:
 * QVK_IO.
 */
qvk_status qvk__file_read(const qvk__file *file, const void *data, uint64_t bytes, void *buffer,
                          const void **out, qvk_error *err);
/*
 * These bytes of the mapped file will hardly be read again: their pages need not stay in memory. Whoever does
 * read them gets them from the file once more. Of bytes that are not of the file: nothing. Thread-safe.
 */
void qvk__file_let_go(const qvk__file *file, const void *data, uint64_t bytes);

/*
 * A file that appears whole or not at all: written beside its place as PATH.tmp.<pid>.<n>, then fsync and
 * rename. commit() ends it on success; abandon() removes the temporary (safe after commit: does nothing).
 */
typedef struct qvk__writer {
    int descriptor; /* -1 when closed */
    char *path, *temporary;
    uint64_t position;
    uint8_t *buffer;
    size_t buffered;
} qvk__writer;
qvk_status qvk__writer_open(const char *path, qvk__writer *out, qvk_error *err);
qvk_status qvk__writer_add(qvk__writer *writer, const void *data, uint64_t bytes, qvk_error *err);
/* Zeros up to the next multiple of `alignment` of the position. */
qvk_status qvk__writer_pad(qvk__writer *writer, uint64_t alignment, qvk_error *err);
/* Leaves out `bytes` bytes, to be given by qvk__writer_patch later: from several threads at once, as long as
 * nothing is added meanwhile. */
qvk_status qvk__writer_skip(qvk__writer *writer, uint64_t bytes, qvk_error *err);
/* Overwrites bytes written or skipped before, for what is known only later; the position stays. */
qvk_status qvk__writer_patch(qvk__writer *writer, uint64_t at, const void *data, uint64_t bytes,
                             qvk_error *err);
qvk_status qvk__writer_commit(qvk__writer *writer, qvk_error *err);
void qvk__writer_abandon(qvk__writer *writer);
/* Makes the folders that `path`, a file's, lies in. */
qvk_status qvk__folders_make(const char *path, qvk_error *err);
/* Whole buffer in one go through a qvk__writer. */
qvk_status qvk__file_write(const char *path, const void *data, uint64_t bytes, qvk_error *err);

/* ---- threads -------------------------------------------------------------------------------------------- */

/*
 * Calls work(user, begin, end) on disjoint parts of [0, count), on up to one thread a processor; returns when
 * all are done. Parts are multiples of `grain` (but the last), several for each thread, and begun in order.
 * Falls back to fewer threads, down to the caller's own, when none can be started. After a failure no part is
 * begun any more, and the call returns it (one of them, when there are several).
 */
qvk_status qvk__parallel_try(uint64_t count, uint64_t grain,
                             qvk_status (*work)(void *user, uint64_t begin, uint64_t end, qvk_error *err),
                             void *user, qvk_error *err);
/* The same for work that cannot fail. */
void qvk__parallel(uint64_t count, uint64_t grain, void (*work)(void *user, uint64_t begin, uint64_t end),
                   void *user);

/* ---- time ---------------------------------------------------------------------------------------------- */

uint64_t qvk__clock_ns(void); /* monotonic */

#endif
