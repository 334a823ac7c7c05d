/* Writes one JSON document to a stream as it goes. Keys are given inside objects and NULL inside arrays. */
#ifndef CLI_JSON_H
#define CLI_JSON_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

typedef struct json {
    FILE *out;
    int depth;
    bool has_items; /* in the innermost object or array */
} json;

/* bracket: '{' or '['. */
void json_open(json *to, const char *key, char bracket);
void json_close(json *to, char bracket);
void json_text(json *to, const char *key, const char *text);
void json_int(json *to, const char *key, int64_t number);
/* Not-a-number and infinities become null: JSON has none. */
void json_number(json *to, const char *key, double number);
void json_bool(json *to, const char *key, bool value);
/* Ends the document with a newline. */
void json_end(json *to);

#endif
