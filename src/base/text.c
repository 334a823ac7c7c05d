/* Text builder, patterns, and the string map. */
#include "base/base.h"

#include <math.h>
#include <stdio.h>

struct qvk__map_entry {
    const char *key; /* NULL: free */
    int64_t value;
};

static bool reserve(qvk__string *string, size_t extra)
{
    if (string->failed)
        return false;
    string->failed =
        !qvk__vec_reserve((void **)&string->data, &string->capacity, string->count + extra + 1, sizeof(char));
    return !string->failed;
}

static void add_bytes(qvk__string *string, const char *text, size_t length)
{
    if (!reserve(string, length))
        return;
    memcpy(string->data + string->count, text, length);
    string->count += length;
    string->data[string->count] = '\0';
}

void qvk__string_add(qvk__string *string, const char *text)
{
    add_bytes(string, text, strlen(text));
}

void qvk__string_addf(qvk__string *string, const char *format, ...)
{
    va_list args;
    int length;

    va_start(args, format);
    length = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (length < 0 || !reserve(string, (size_t)length))
        return;
    va_start(args, format);
    vsnprintf(string->data + string->count, (size_t)length + 1, format, args);
    va_end(args);
    string->count += (size_t)length;
}

void qvk__string_add_json(qvk__string *string, const char *text)
{
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        if (c == '"' || c == '\\')
            qvk__string_addf(string, "\\%c", c);
        else if (c < 0x20)
            qvk__string_addf(string, "\\u%04x", c);
        else
            add_bytes(string, text, 1);
    }
}

void qvk__string_add_quoted(qvk__string *string, const char *text)
{
    add_bytes(string, "\"", 1);
    qvk__string_add_json(string, text);
    add_bytes(string, "\"", 1);
}

void qvk__string_add_number(qvk__string *string, double number)
{
    if (isfinite(number))
        qvk__string_addf(string, "%.17g", number);
    else
        qvk__string_add_quoted(string, isnan(number) ? "nan" : number > 0 ? "inf" : "-inf");
}

bool qvk__starts_with(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

bool qvk__ends_with(const char *text, const char *suffix)
{
    size_t n = strlen(text), m = strlen(suffix);
    return n >= m && strcmp(text + n - m, suffix) == 0;
}

bool qvk__glob_match(const char *pattern, const char *text)
{
    const char *star = NULL, *resume = NULL;

    /* On a mismatch only the latest '*' needs to take one more character: linear in practice, no recursion.
     */
    while (*text) {
        if (*pattern == '*') {
            star = pattern++;
            resume = text;
        } else if (*pattern == '?' || *pattern == *text) {
            pattern++;
            text++;
        } else if (star) {
            pattern = star + 1;
            text = ++resume;
        } else {
            return false;
        }
    }
    while (*pattern == '*')
        pattern++;
    return *pattern == '\0';
}

static struct qvk__map_entry *find_slot(struct qvk__map_entry *entries, size_t capacity, const char *key)
{
    size_t i = (size_t)qvk__hash64(key, strlen(key), 0) & (capacity - 1);
    while (entries[i].key && strcmp(entries[i].key, key) != 0)
        i = (i + 1) & (capacity - 1);
    return &entries[i];
}

static bool grow(qvk__map *map)
{
    size_t capacity = map->capacity ? map->capacity * 2 : 32;
    struct qvk__map_entry *entries = calloc(capacity, sizeof *entries);

    if (!entries)
        return false;
    for (size_t i = 0; i < map->capacity; i++)
        if (map->entries[i].key)
            *find_slot(entries, capacity, map->entries[i].key) = map->entries[i];
    free(map->entries);
    map->entries = entries;
    map->capacity = capacity;
    return true;
}

bool qvk__map_set(qvk__map *map, const char *key, int64_t value)
{
    struct qvk__map_entry *slot;

    if (map->count * 4 >= map->capacity * 3 && !grow(map))
        return false;
    slot = find_slot(map->entries, map->capacity, key);
    map->count += slot->key == NULL;
    slot->key = key;
    slot->value = value;
    return true;
}

bool qvk__map_get(const qvk__map *map, const char *key, int64_t *value)
{
    const struct qvk__map_entry *slot;

    if (!map->capacity)
        return false;
    slot = find_slot(map->entries, map->capacity, key);
    if (!slot->key)
        return false;
    *value = slot->value;
    return true;
}

void qvk__map_free(qvk__map *map)
{
    free(map->entries);
    memset(map, 0, sizeof *map);
}
