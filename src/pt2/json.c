/* Checked access to parsed JSON (jansson). */
#include "pt2/json.h"

#include <math.h>
#include <stdio.h>

enum { MAX_DOCUMENT_BYTES = 1 << 30 };

qvk_status qvk__json_parse(const void *text, uint64_t bytes, const char *name, qvk__json *out, qvk_error *err)
{
    json_error_t error;
    json_t *value;

    QVK__CHECK(bytes <= MAX_DOCUMENT_BYTES, err, QVK_BAD_FORMAT, "%s: %llu bytes of JSON are too many", name,
               (unsigned long long)bytes);
    value = json_loadb(text, (size_t)bytes, 0, &error); /* jansson bounds the nesting at 2048 */
    if (!value && json_error_code(&error) == json_error_out_of_memory)
        return qvk__fail(err, QVK_OUT_OF_MEMORY, "%s: out of memory", name);
    if (!value)
        return qvk__fail_at(err, QVK_BAD_FORMAT, (uint64_t)QVK__MAX(error.position, 0),
                            "%s: line %d, column %d: %s", name, error.line, error.column, error.text);
    *out = (qvk__json){.value = value, .key = name};
    return QVK_OK;
}

void qvk__json_finish(qvk__json *document)
{
    json_decref((json_t *)(uintptr_t)document->value);
    document->value = NULL;
}

/* ---- where --------------------------------------------------------------------------------------------- */

static void add_path(const qvk__json *at, qvk__string *out)
{
    if (!at->parent) {
        qvk__string_add(out, at->key);
        return;
    }
    add_path(at->parent, out);
    if (at->key)
        qvk__string_addf(out, "%s%.64s", at->parent->parent ? "." : ": ", at->key);
    else
        qvk__string_addf(out, "[%zu]", at->index);
}

qvk_status qvk__json_fail(const qvk__json *at, qvk_error *err, qvk_status status, const char *format, ...)
{
    char message[QVK_ERROR_MESSAGE_MAX];
    va_list args;

    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    qvk__fail(err, status, "%s", message);
    return qvk__json_context(at, err, status);
}

qvk_status qvk__json_context(const qvk__json *at, qvk_error *err, qvk_status status)
{
    qvk__string path = {0};

    add_path(at, &path);
    if (path.data)
        qvk__error_context(err, status, "%s", path.data);
    free(path.data);
    return status;
}

/* ---- containers ---------------------------------------------------------------------------------------- */

qvk_status qvk__json_get(const qvk__json *object, const char *key, qvk__json *out, qvk_error *err)
{
    const json_t *value = json_object_get(object->value, key);

    if (!value)
        return qvk__json_fail(object, err, QVK_BAD_FORMAT, "\"%s\" is missing", key);
    *out = (qvk__json){.value = value, .parent = object, .key = key};
    return QVK_OK;
}

bool qvk__json_find(const qvk__json *object, const char *key, qvk__json *out)
{
    const json_t *value = json_object_get(object->value, key);

    if (!value || json_is_null(value))
        return false;
    *out = (qvk__json){.value = value, .parent = object, .key = key};
    return true;
}

qvk_status qvk__json_union(const qvk__json *object, const char **key, qvk__json *out, qvk_error *err)
{
    void *iterator = NULL;

    if (json_object_size(object->value) != 1 || !qvk__json_next(object, &iterator, out))
        return qvk__json_fail(object, err, QVK_BAD_FORMAT, "an object with exactly one key expected");
    *key = out->key;
    return QVK_OK;
}

qvk_status qvk__json_array(const qvk__json *array, size_t *count, qvk_error *err)
{
    if (!json_is_array(array->value))
        return qvk__json_fail(array, err, QVK_BAD_FORMAT, "a list expected");
    *count = json_array_size(array->value);
    return QVK_OK;
}

qvk__json qvk__json_element(const qvk__json *array, size_t index)
{
    return (qvk__json){.value = json_array_get(array->value, index), .parent = array, .index = index};
}

bool qvk__json_next(const qvk__json *object, void **iterator, qvk__json *out)
{
    json_t *value = (json_t *)(uintptr_t)object->value;

    *iterator = *iterator ? json_object_iter_next(value, *iterator) : json_object_iter(value);
    if (!*iterator)
        return false;
    *out = (qvk__json){
        .value = json_object_iter_value(*iterator), .parent = object, .key = json_object_iter_key(*iterator)};
    return true;
}

/* ---- scalars ------------------------------------------------------------------------------------------- */

qvk_status qvk__json_string(const qvk__json *at, const char **out, qvk_error *err)
{
    if (!json_is_string(at->value))
        return qvk__json_fail(at, err, QVK_BAD_FORMAT, "a string expected");
    *out = json_string_value(at->value);
    return QVK_OK;
}

qvk_status qvk__json_int(const qvk__json *at, int64_t *out, qvk_error *err)
{
    if (!json_is_integer(at->value))
        return qvk__json_fail(at, err, QVK_BAD_FORMAT, "an integer expected");
    *out = json_integer_value(at->value);
    return QVK_OK;
}

qvk_status qvk__json_bool(const qvk__json *at, bool *out, qvk_error *err)
{
    if (!json_is_boolean(at->value))
        return qvk__json_fail(at, err, QVK_BAD_FORMAT, "true or false expected");
    *out = json_is_true(at->value);
    return QVK_OK;
}

qvk_status qvk__json_float(const qvk__json *at, double *out, qvk_error *err)
{
    const char *text = json_string_value(at->value);

    if (json_is_number(at->value))
        *out = json_number_value(at->value);
    else if (text && strcmp(text, "Infinity") == 0)
        *out = INFINITY;
    else if (text && strcmp(text, "-Infinity") == 0)
        *out = -INFINITY;
    else if (text && strcmp(text, "NaN") == 0)
        *out = NAN;
    else
        return qvk__json_fail(at, err, QVK_BAD_FORMAT, "a number expected");
    return QVK_OK;
}

qvk_status qvk__json_get_string(const qvk__json *object, const char *key, const char **out, qvk_error *err)
{
    qvk__json member = {0};
    QVK__TRY(qvk__json_get(object, key, &member, err));
    return qvk__json_string(&member, out, err);
}

qvk_status qvk__json_get_int(const qvk__json *object, const char *key, int64_t *out, qvk_error *err)
{
    qvk__json member = {0};
    QVK__TRY(qvk__json_get(object, key, &member, err));
    return qvk__json_int(&member, out, err);
}

qvk_status qvk__json_get_array(const qvk__json *object, const char *key, qvk__json *out, size_t *count,
                               qvk_error *err)
{
    QVK__TRY(qvk__json_get(object, key, out, err));
    return qvk__json_array(out, count, err);
}
