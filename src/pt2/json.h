/*
 * Reading JSON that nobody vouches for: every access says what it wanted, and a failure names the place
 * ("models/model.json: graph.nodes[12].inputs[1].arg"). A cursor points at its parent, so it must not outlive
 * it.
 */
#ifndef QVK__JSON_H
#define QVK__JSON_H

#include <jansson.h>

#include "base/base.h"

typedef struct qvk__json {
    const json_t *value;
    const struct qvk__json *parent; /* NULL: the document, whose name `key` is */
    const char *key;                /* NULL: element `index` of an array */
    size_t index;
} qvk__json;

/* Parses a document (bounded nesting, at most 1 GiB). `name` must live as long as the cursors. Release with
 * qvk__json_finish. */
qvk_status qvk__json_parse(const void *text, uint64_t bytes, const char *name, qvk__json *out,
                           qvk_error *err);
void qvk__json_finish(qvk__json *document);

/* Fails with "<document>: <path>: <message>". */
qvk_status qvk__json_fail(const qvk__json *at, qvk_error *err, qvk_status status, const char *format, ...)
    QVK_PRINTF(4, 5);
/* Puts the path before the message of an error on its way up. */
qvk_status qvk__json_context(const qvk__json *at, qvk_error *err, qvk_status status);

/* Required member of an object; optional one (false: absent or null). */
qvk_status qvk__json_get(const qvk__json *object, const char *key, qvk__json *out, qvk_error *err);
bool qvk__json_find(const qvk__json *object, const char *key, qvk__json *out);
/* An object that is a tagged union: exactly one key. */
qvk_status qvk__json_union(const qvk__json *object, const char **key, qvk__json *out, qvk_error *err);
/* Number of elements; fails when it is no array. */
qvk_status qvk__json_array(const qvk__json *array, size_t *count, qvk_error *err);
/* Element of an array, index in range. */
qvk__json qvk__json_element(const qvk__json *array, size_t index);
/* Members in file order: start with iterator NULL; false at the end. Not an object: no members. */
bool qvk__json_next(const qvk__json *object, void **iterator, qvk__json *out);

qvk_status qvk__json_string(const qvk__json *at, const char **out, qvk_error *err);
qvk_status qvk__json_int(const qvk__json *at, int64_t *out, qvk_error *err);
qvk_status qvk__json_bool(const qvk__json *at, bool *out, qvk_error *err);
/* A number, or one of the strings "Infinity", "-Infinity", "NaN". */
qvk_status qvk__json_float(const qvk__json *at, double *out, qvk_error *err);

/* The same for a required member. */
qvk_status qvk__json_get_string(const qvk__json *object, const char *key, const char **out, qvk_error *err);
qvk_status qvk__json_get_int(const qvk__json *object, const char *key, int64_t *out, qvk_error *err);
qvk_status qvk__json_get_array(const qvk__json *object, const char *key, qvk__json *out, size_t *count,
                               qvk_error *err);

#endif
