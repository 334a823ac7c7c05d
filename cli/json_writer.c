#include "json_writer.h"

#include <math.h>

static void write_string(FILE *out, const char *text)
{
    putc('"', out);
    for (const unsigned char *at = (const unsigned char *)text; *at; at++) {
        if (*at == '"' || *at == '\\')
            fprintf(out, "\\%c", *at);
        else if (*at < 0x20)
            fprintf(out, "\\u%04x", *at);
        else
            putc(*at, out);
    }
    putc('"', out);
}

static void begin(json *to, const char *key)
{
    if (to->has_items)
        putc(',', to->out);
    if (to->depth > 0)
        fprintf(to->out, "\n%*s", 2 * to->depth, "");
    if (key) {
        write_string(to->out, key);
        fputs(": ", to->out);
    }
    to->has_items = true;
}

void json_open(json *to, const char *key, char bracket)
{
    begin(to, key);
    putc(bracket, to->out);
    to->depth++;
    to->has_items = false;
}

void json_close(json *to, char bracket)
{
    to->depth--;
    if (to->has_items)
        fprintf(to->out, "\n%*s", 2 * to->depth, "");
    putc(bracket, to->out);
    to->has_items = true;
}

void json_text(json *to, const char *key, const char *text)
{
    begin(to, key);
    write_string(to->out, text);
}

void json_int(json *to, const char *key, int64_t number)
{
    begin(to, key);
    fprintf(to->out, "%lld", (long long)number);
}

void json_number(json *to, const char *key, double number)
{
    begin(to, key);
    if (isfinite(number))
        fprintf(to->out, "%.9g", number);
    else
        fputs("null", to->out);
}

void json_bool(json *to, const char *key, bool value)
{
    begin(to, key);
    fputs(value ? "true" : "false", to->out);
}

void json_end(json *to)
{
    putc('\n', to->out);
}
