/*
 * Symbolic sizes as text: sympy's srepr (what torch writes since schema 8.15 or so) and plain Python (what
 * older files hold) are one grammar, since both are Python expressions. Printing is the reverse of each.
 */
#include "ir/ir.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>

enum { MAX_NESTING = 100, MAX_NAME = 128 };

typedef struct parser {
    qvk__exported *program;
    const char *at;
    int nesting;
    bool opaque;        /* well formed, but with parts qvk does not compute */
    const char *broken; /* first error, NULL: none */
} parser;

static const char no_memory[] = "out of memory", too_many[] = "too many terms";

static int32_t parse_sum(parser *p);

static void skip_spaces(parser *p)
{
    while (*p->at == ' ')
        p->at++;
}

static bool take(parser *p, const char *token)
{
    skip_spaces(p);
    if (!qvk__starts_with(p->at, token))
        return false;
    p->at += strlen(token);
    return true;
}

static int32_t give_up(parser *p, const char *why)
{
    if (!p->broken)
        p->broken = why;
    return -1;
}

/* An expression just made, or the reason why it could not be. */
static int32_t check(parser *p, int32_t made)
{
    return made >= 0 ? made : give_up(p, made == -1 ? no_memory : too_many);
}

static int32_t number(parser *p, int64_t value)
{
    return check(p, qvk__expression_constant(p->program, value));
}

/* Parts nobody computes are read for their syntax only. */
static int32_t unknown(parser *p)
{
    p->opaque = true;
    return number(p, 0);
}

static int32_t combine(parser *p, qvk__expression_kind kind, int32_t a, int32_t b)
{
    return p->broken ? -1 : check(p, qvk__expression_add(p->program, kind, a, b));
}

static int32_t negate(parser *p, int32_t a)
{
    return combine(p, QVK__EXPRESSION_MUL, number(p, -1), a);
}

static int32_t parse_number(parser *p)
{
    char *end;
    long long value;

    errno = 0;
    value = strtoll(p->at, &end, 10);
    if (errno)
        return give_up(p, "a number is too large");
    p->at = end;
    if (*end == '.' || *end == 'e') {
        strtod(p->at, &end);
        p->at = end;
        return unknown(p);
    }
    return number(p, value);
}

static bool parse_name(parser *p, char name[MAX_NAME])
{
    size_t length = 0;

    while (isalnum((unsigned char)p->at[length]) || p->at[length] == '_' || p->at[length] == '.')
        length++;
    if (length == 0 || length >= MAX_NAME)
        return false;
    memcpy(name, p->at, length);
    name[length] = '\0';
    p->at += length;
    return true;
}

/* A quoted string; `out` may be NULL. */
static bool parse_quoted(parser *p, char *out)
{
    char quote = *p->at;
    const char *end = strchr(p->at + 1, quote);
    size_t length;

    if (!end || (size_t)(end - p->at) >= MAX_NAME)
        return false;
    length = (size_t)(end - p->at) - 1;
    if (out) {
        memcpy(out, p->at + 1, length);
        out[length] = '\0';
    }
    p->at = end + 1;
    return true;
}

/* Symbol('s77', positive=True, integer=True): the assumptions are kept as text only. */
static int32_t parse_symbol(parser *p, const char *start)
{
    char name[MAX_NAME];
    int32_t made;

    skip_spaces(p);
    if ((*p->at != '\'' && *p->at != '"') || !parse_quoted(p, name))
        return give_up(p, "Symbol without a name");
    p->at += strcspn(p->at, "()");
    if (!take(p, ")"))
        return give_up(p, "Symbol is not closed");
    made = check(p, qvk__expression_symbol(p->program, name));
    if (made >= 0 && !p->program->expressions.data[made].text) {
        const char *text = qvk__arena_strndup(&p->program->graph.arena, start, (size_t)(p->at - start));
        p->program->expressions.data[made].text = text;
        return text ? made : give_up(p, no_memory);
    }
    return made;
}

typedef struct function {
    const char *name;
    qvk__expression_kind kind;
    bool any_count; /* folds over two or more; otherwise exactly two */
} function;

static const function functions[] = {
    {"Add", QVK__EXPRESSION_ADD, true},
    {"Mul", QVK__EXPRESSION_MUL, true},
    {"Max", QVK__EXPRESSION_MAX, true},
    {"Min", QVK__EXPRESSION_MIN, true},
    {"Pow", QVK__EXPRESSION_POW, false},
    {"PowByNatural", QVK__EXPRESSION_POW, false},
    {"FloorDiv", QVK__EXPRESSION_FLOORDIV, false},
    {"CleanDiv", QVK__EXPRESSION_FLOORDIV, false},
    {"Mod", QVK__EXPRESSION_MOD, false},
    {"PythonMod", QVK__EXPRESSION_MOD, false},
};

/* ceil(a / b) = -((-a) // b). */
static int32_t ceil_div(parser *p, int32_t a, int32_t b)
{
    return negate(p, combine(p, QVK__EXPRESSION_FLOORDIV, negate(p, a), b));
}

static int32_t parse_call(parser *p, const char *name, const char *start)
{
    const function *known = NULL;
    bool is_ceil = strcmp(name, "CeilDiv") == 0, is_plain = strcmp(name, "Integer") == 0;
    int32_t result = -1;
    int count = 0;

    if (strcmp(name, "Symbol") == 0)
        return parse_symbol(p, start);
    for (size_t i = 0; i < QVK__COUNT(functions); i++)
        if (strcmp(functions[i].name, name) == 0)
            known = &functions[i];
    for (; !take(p, ")"); count++) {
        int32_t next;
        if (count > 0 && !take(p, ","))
            return give_up(p, "',' or ')' expected");
        next = parse_sum(p);
        if (p->broken)
            return -1;
        if (count > 0 && known)
            result = combine(p, known->kind, result, next);
        else if (count > 0 && is_ceil)
            result = ceil_div(p, result, next);
        else if (count == 0)
            result = next;
    }
    if ((known && (count == 2 || (known->any_count && count > 0))) || (is_ceil && count == 2) ||
        ((is_plain || strcmp(name, "Identity") == 0) && count == 1))
        return result;
    return unknown(p);
}

static int32_t parse_atom(parser *p)
{
    const char *start;
    char name[MAX_NAME];

    skip_spaces(p);
    start = p->at;
    if (isdigit((unsigned char)*p->at))
        return parse_number(p);
    if (*p->at == '\'' || *p->at == '"')
        return parse_quoted(p, NULL) ? unknown(p) : give_up(p, "a string is not closed");
    if (take(p, "(")) {
        int32_t inner = parse_sum(p);
        if (p->broken)
            return -1;
        return take(p, ")") ? inner : give_up(p, "')' expected");
    }
    if (!parse_name(p, name))
        return give_up(p, "a name or number expected");
    if (take(p, "("))
        return parse_call(p, name, start);
    if (strcmp(name, "int_oo") == 0 || strcmp(name, "oo") == 0)
        return number(p, INT64_MAX);
    if (p->at[0] == '=' && p->at[1] != '=') { /* precision=53 */
        p->at++;
        parse_sum(p);
        return unknown(p);
    }
    return check(p, qvk__expression_symbol(p->program, name));
}

static int32_t parse_power(parser *p)
{
    int32_t base = parse_atom(p);
    if (!p->broken && take(p, "**"))
        return combine(p, QVK__EXPRESSION_POW, base, parse_atom(p));
    return base;
}

static int32_t parse_signed(parser *p)
{
    bool minus = false;
    int32_t value;

    for (skip_spaces(p); *p->at == '-' || *p->at == '+' || *p->at == '~'; skip_spaces(p)) {
        minus ^= *p->at == '-';
        p->opaque |= *p->at == '~';
        p->at++;
    }
    value = parse_power(p);
    return minus && !p->broken ? negate(p, value) : value;
}

static int32_t parse_product(parser *p)
{
    int32_t left = parse_signed(p);

    while (!p->broken) {
        if (take(p, "//"))
            left = combine(p, QVK__EXPRESSION_FLOORDIV, left, parse_signed(p));
        else if (take(p, "*"))
            left = combine(p, QVK__EXPRESSION_MUL, left, parse_signed(p));
        else if (take(p, "%"))
            left = combine(p, QVK__EXPRESSION_MOD, left, parse_signed(p));
        else if (take(p, "/")) /* exact division of rationals */
            parse_signed(p), left = unknown(p);
        else
            break;
    }
    return left;
}

/* Comparisons and logic: read, never computed. */
static bool take_relation(parser *p)
{
    static const char *const relations[] = {"<=", ">=", "==", "!=", "<", ">", "&", "|"};
    for (size_t i = 0; i < QVK__COUNT(relations); i++)
        if (take(p, relations[i]))
            return true;
    return false;
}

static int32_t parse_sum(parser *p)
{
    int32_t left;

    if (++p->nesting > MAX_NESTING)
        return give_up(p, "nested too deep");
    left = parse_product(p);
    while (!p->broken) {
        if (take(p, "+"))
            left = combine(p, QVK__EXPRESSION_ADD, left, parse_product(p));
        else if (take(p, "-"))
            left = combine(p, QVK__EXPRESSION_ADD, left, negate(p, parse_product(p)));
        else if (take_relation(p))
            parse_product(p), left = unknown(p);
        else
            break;
    }
    p->nesting--;
    return left;
}

static int32_t add_opaque(qvk__exported *program, const char *text)
{
    qvk__expression made = {.kind = QVK__EXPRESSION_OPAQUE, .a = -1, .b = -1, .hint = -1};

    made.text = qvk__arena_strdup(&program->graph.arena, text);
    if (!made.text || !QVK__VEC_PUSH(&program->expressions, made))
        return -1;
    return (int32_t)program->expressions.count - 1;
}

qvk_status qvk__expression_parse(qvk__exported *program, const char *text, int64_t hint, int32_t *out,
                                 qvk_error *err)
{
    parser p = {.program = program, .at = text};
    int32_t made = parse_sum(&p);
    qvk__expression *node;

    skip_spaces(&p);
    if (!p.broken && *p.at)
        give_up(&p, "trailing text");
    QVK__CHECK(p.broken != no_memory, err, QVK_OUT_OF_MEMORY, "out of memory");
    QVK__CHECK(!p.broken, err, QVK_BAD_FORMAT, "size expression \"%.80s\", character %zu: %s", text,
               (size_t)(p.at - text), p.broken);
    if (p.opaque)
        made = add_opaque(program, text);
    QVK__CHECK(made >= 0, err, QVK_OUT_OF_MEMORY, "out of memory");
    node = &program->expressions.data[made];
    /* Plain text does not say what it assumes of its symbols, so it is written back as srepr instead. */
    if (!node->text && strstr(text, "Symbol(")) {
        node->text = qvk__arena_strdup(&program->graph.arena, text);
        QVK__CHECK(node->text, err, QVK_OUT_OF_MEMORY, "out of memory");
    }
    if (node->hint < 0)
        node->hint = hint;
    *out = made;
    return QVK_OK;
}

/* ---- printing ------------------------------------------------------------------------------------------ */

typedef struct spelling {
    const char *srepr, *before, *between, *after;
} spelling;

static const spelling spellings[] = {
    [QVK__EXPRESSION_ADD] = {"Add", "(", " + ", ")"},
    [QVK__EXPRESSION_MUL] = {"Mul", "", "*", ""},
    [QVK__EXPRESSION_FLOORDIV] = {"FloorDiv", "(", "//", ")"},
    [QVK__EXPRESSION_MOD] = {"Mod", "(", "%", ")"},
    [QVK__EXPRESSION_MAX] = {"Max", "max(", ", ", ")"},
    [QVK__EXPRESSION_MIN] = {"Min", "min(", ", ", ")"},
    [QVK__EXPRESSION_POW] = {"Pow", "", "**", ""},
};

void qvk__expression_print(const qvk__exported *program, int32_t expression, qvk__string *out)
{
    const qvk__expression *node = &program->expressions.data[expression];

    switch (node->kind) {
    case QVK__EXPRESSION_CONSTANT: qvk__string_addf(out, "%lld", (long long)node->constant); break;
    case QVK__EXPRESSION_SYMBOL: qvk__string_add(out, node->symbol); break;
    case QVK__EXPRESSION_OPAQUE: qvk__string_add(out, node->text); break;
    default:
        qvk__string_add(out, spellings[node->kind].before);
        qvk__expression_print(program, node->a, out);
        qvk__string_add(out, spellings[node->kind].between);
        qvk__expression_print(program, node->b, out);
        qvk__string_add(out, spellings[node->kind].after);
    }
}

void qvk__expression_srepr(const qvk__exported *program, int32_t expression, qvk__string *out)
{
    const qvk__expression *node = &program->expressions.data[expression];

    if (node->text) {
        qvk__string_add(out, node->text);
    } else if (node->kind == QVK__EXPRESSION_CONSTANT) {
        qvk__string_addf(out, "Integer(%lld)", (long long)node->constant);
    } else if (node->kind == QVK__EXPRESSION_SYMBOL) {
        /* torch's own: sizes (s0) are positive, numbers read from data (u0) are just integers */
        qvk__string_addf(out, "Symbol('%s', %sinteger=True)", node->symbol,
                         node->symbol[0] == 'u' ? "" : "positive=True, ");
    } else {
        qvk__string_addf(out, "%s(", spellings[node->kind].srepr);
        qvk__expression_srepr(program, node->a, out);
        qvk__string_add(out, ", ");
        qvk__expression_srepr(program, node->b, out);
        qvk__string_add(out, ")");
    }
}
