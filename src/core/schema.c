/*
 * Operator schemas: "Tensor self, Tensor? bias=None, *, Scalar alpha=1 -> Tensor", parsed on demand. The text
 * is our own table's, so a malformed one is a bug that the table's unit test finds, not an input error.
 */
#include "core/op.h"

#include <assert.h>
#include <stdio.h>

static void copy_span(char *to, size_t room, const char *from, const char *end)
{
    size_t length = (size_t)(end - from);
    assert(length < room);
    length = QVK__MIN(length, room - 1);
    memcpy(to, from, length);
    to[length] = '\0';
}

static void parse_default(const char *text, size_t length, qvk__param *param)
{
    param->has_default = true;
    param->fallback = (qvk__arg){.kind = QVK__ARG_NULL};
    if (length == 4 && memcmp(text, "None", 4) == 0)
        return;
    if (length == 4 && memcmp(text, "True", 4) == 0) {
        param->fallback = qvk__arg_from_bool(true);
    } else if (length == 5 && memcmp(text, "False", 5) == 0) {
        param->fallback = qvk__arg_from_bool(false);
    } else if (text[0] == '[') { /* "[]" or "[0, 0]"-like defaults of equal numbers */
        param->fallback_int = text[1] == ']' ? 0 : strtoll(text + 1, NULL, 10);
        param->fallback = (qvk__arg){.kind = QVK__ARG_INTS, .count = text[1] != ']'};
        param->fallback.u.ints = &param->fallback_int;
    } else if (text[0] == '"') {
        copy_span(param->fallback_text, sizeof param->fallback_text, text + 1, text + length - 1);
        param->fallback = (qvk__arg){.kind = QVK__ARG_STRING, .u.s = param->fallback_text};
    } else if (strstr(param->type, "[]")) {
        param->fallback_int = strtoll(text, NULL, 10);
        param->fallback = (qvk__arg){.kind = QVK__ARG_INTS, .count = 1};
        param->fallback.u.ints = &param->fallback_int;
    } else if (memchr(text, '.', length) || memchr(text, 'e', length)) {
        param->fallback = qvk__arg_from_float(strtod(text, NULL));
    } else {
        param->fallback = qvk__arg_from_int(strtoll(text, NULL, 10));
    }
}

/* One parameter between `text` and `end`; false for the bare '*' that starts the keyword-only ones. */
static bool parse_param(const char *text, const char *end, bool keyword_only, qvk__param *param)
{
    const char *space, *equals;

    while (text < end && *text == ' ')
        text++;
    if (text == end || *text == '*')
        return false;
    memset(param, 0, sizeof *param);
    param->keyword_only = keyword_only;
    space = memchr(text, ' ', (size_t)(end - text));
    assert(space);
    copy_span(param->type, sizeof param->type, text, space);
    equals = memchr(space, '=', (size_t)(end - space));
    copy_span(param->name, sizeof param->name, space + 1, equals ? equals : end);
    if (equals)
        parse_default(equals + 1, (size_t)(end - equals - 1), param);
    return true;
}

/* End of the parameter that starts at `text`: a comma outside brackets, or the arrow. */
static const char *param_end(const char *text, const char *limit)
{
    int depth = 0;
    for (; text < limit; text++) {
        depth += *text == '[';
        depth -= *text == ']';
        if (*text == ',' && depth == 0)
            break;
    }
    return text;
}

/* -1: a list of tensors. */
static int count_returns(const char *text)
{
    int n = 1;

    if (strcmp(text, "Tensor[]") == 0)
        return -1;
    if (strcmp(text, "()") == 0)
        return 0;
    for (; *text; text++)
        n += *text == ',';
    return n;
}

void qvk__op_arity(qvk__op op, int *n_params, int *n_returns)
{
    const char *text = qvk__op_info_of(op)->schema;
    const char *arrow = strstr(text, " -> ");

    *n_params = *n_returns = 0;
    if (!arrow)
        return;
    while (text < arrow) {
        const char *end = param_end(text, arrow);
        while (*text == ' ')
            text++;
        *n_params += text < end && *text != '*';
        text = end < arrow ? end + 1 : end;
    }
    *n_returns = count_returns(arrow + 4);
}

void qvk__op_signature(qvk__op op, qvk__signature *out)
{
    const char *text = qvk__op_info_of(op)->schema;
    const char *arrow = strstr(text, " -> ");
    bool keyword_only = false;

    out->n_params = 0;
    out->n_returns = 0;
    out->returns_symbol = false;
    if (!arrow)
        return;
    while (text < arrow) {
        const char *end = param_end(text, arrow);
        assert(out->n_params < QVK__MAX_PARAMS);
        if (parse_param(text, end, keyword_only, &out->params[out->n_params]))
            out->n_params++;
        else
            keyword_only = true;
        text = end < arrow ? end + 1 : end;
    }
    text = arrow + 4;
    out->n_returns = count_returns(text);
    out->returns_symbol =
        strcmp(text, "int") == 0 || strcmp(text, "bool") == 0 || strcmp(text, "Scalar") == 0;
}
