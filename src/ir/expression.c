/* Symbolic sizes: interning, values and bounds. */
#include "ir/ir.h"

#include <stdio.h>

enum { MAX_DEPTH = 256, MAX_EXPRESSIONS = 1 << 20 };

/* ---- arithmetic as Python does it, false on overflow or division by zero ------------------------------- */

static int64_t floor_div(int64_t a, int64_t b)
{
    int64_t quotient = a / b;
    return quotient - (a % b != 0 && (a < 0) != (b < 0));
}

static bool power(int64_t base, int64_t exponent, int64_t *out)
{
    int64_t result = 1;

    if (exponent < 0 || exponent > 64)
        return false;
    for (; exponent > 0; exponent--)
        if (__builtin_mul_overflow(result, base, &result))
            return false;
    *out = result;
    return true;
}

static bool apply(qvk__expression_kind kind, int64_t a, int64_t b, int64_t *out)
{
    switch (kind) {
    case QVK__EXPRESSION_ADD: return !__builtin_add_overflow(a, b, out);
    case QVK__EXPRESSION_MUL: return !__builtin_mul_overflow(a, b, out);
    case QVK__EXPRESSION_MAX: *out = QVK__MAX(a, b); return true;
    case QVK__EXPRESSION_MIN: *out = QVK__MIN(a, b); return true;
    case QVK__EXPRESSION_POW: return power(a, b, out);
    case QVK__EXPRESSION_FLOORDIV:
    case QVK__EXPRESSION_MOD:
        if (b == 0 || (a == INT64_MIN && b == -1))
            return false;
        *out = kind == QVK__EXPRESSION_MOD ? a - floor_div(a, b) * b : floor_div(a, b);
        return true;
    default: return false;
    }
}

/* ---- interning ----------------------------------------------------------------------------------------- */

static int32_t intern(qvk__exported *program, const qvk__expression *wanted)
{
    qvk__arena *arena = &program->graph.arena;
    qvk__expression made = *wanted;
    char key[256];
    int64_t found;
    int length = snprintf(key, sizeof key, "%d %lld %ld %ld %s", (int)made.kind, (long long)made.constant,
                          (long)made.a, (long)made.b, made.symbol ? made.symbol : "");

    /* A name too long for the key makes a new expression each time: only sharing is lost. */
    if (length < (int)sizeof key && qvk__map_get(&program->expression_index, key, &found))
        return (int32_t)found;
    if (program->expressions.count >= MAX_EXPRESSIONS || made.depth > MAX_DEPTH)
        return -2;
    if (made.symbol && !(made.symbol = qvk__arena_strdup(arena, made.symbol)))
        return -1;
    if (!QVK__VEC_PUSH(&program->expressions, made))
        return -1;
    if (length < (int)sizeof key) {
        const char *kept = qvk__arena_strdup(arena, key);
        if (!kept || !qvk__map_set(&program->expression_index, kept, (int64_t)program->expressions.count - 1))
            return -1;
    }
    return (int32_t)program->expressions.count - 1;
}

int32_t qvk__expression_constant(qvk__exported *program, int64_t value)
{
    return intern(program, &(qvk__expression){.kind = QVK__EXPRESSION_CONSTANT,
                                              .constant = value,
                                              .a = -1,
                                              .b = -1,
                                              .hint = value < 0 ? -1 : value});
}

int32_t qvk__expression_symbol(qvk__exported *program, const char *name)
{
    return intern(program, &(qvk__expression){
                               .kind = QVK__EXPRESSION_SYMBOL, .symbol = name, .a = -1, .b = -1, .hint = -1});
}

int32_t qvk__expression_add(qvk__exported *program, qvk__expression_kind kind, int32_t a, int32_t b)
{
    const qvk__expression *left, *right;
    int64_t folded;

    if (a < 0 || b < 0)
        return -1;
    left = &program->expressions.data[a];
    right = &program->expressions.data[b];
    if (left->kind == QVK__EXPRESSION_CONSTANT && right->kind == QVK__EXPRESSION_CONSTANT &&
        apply(kind, left->constant, right->constant, &folded))
        return qvk__expression_constant(program, folded);
    return intern(
        program,
        &(qvk__expression){
            .kind = kind, .a = a, .b = b, .hint = -1, .depth = QVK__MAX(left->depth, right->depth) + 1});
}

/* ---- value --------------------------------------------------------------------------------------------- */

qvk_status qvk__expression_eval(const qvk__exported *program, int32_t expression,
                                int64_t (*bind)(void *user, const char *symbol), void *user, int64_t *out,
                                qvk_error *err)
{
    const qvk__expression *node;
    int64_t a, b, result;

    QVK__CHECK(expression >= 0 && (size_t)expression < program->expressions.count, err, QVK_INTERNAL,
               "expression %ld does not exist", (long)expression);
    node = &program->expressions.data[expression];
    switch (node->kind) {
    case QVK__EXPRESSION_CONSTANT: *out = node->constant; return QVK_OK;
    case QVK__EXPRESSION_SYMBOL: *out = bind(user, node->symbol); return QVK_OK;
    case QVK__EXPRESSION_OPAQUE:
        return qvk__fail(err, QVK_UNSUPPORTED, "the size %s cannot be computed", node->text);
    default: break;
    }
    QVK__TRY(qvk__expression_eval(program, node->a, bind, user, &a, err));
    QVK__TRY(qvk__expression_eval(program, node->b, bind, user, &b, err));
    QVK__CHECK(apply(node->kind, a, b, &result), err, QVK_SHAPE,
               "a symbolic size overflows or divides by zero");
    *out = result;
    return QVK_OK;
}

/* ---- bounds: interval arithmetic, INT64_MIN and INT64_MAX standing for the infinities ------------------ */

typedef struct bounds {
    int64_t low, high;
} bounds;

static const bounds everything = {INT64_MIN, INT64_MAX};

static bool infinite(int64_t value)
{
    return value == INT64_MIN || value == INT64_MAX;
}

static int64_t saturating_add(int64_t a, int64_t b)
{
    int64_t sum;
    if (infinite(a))
        return a;
    if (infinite(b))
        return b;
    return __builtin_add_overflow(a, b, &sum) ? (a > 0 ? INT64_MAX : INT64_MIN) : sum;
}

static int64_t saturating_mul(int64_t a, int64_t b)
{
    int64_t product;
    if (a == 0 || b == 0)
        return 0;
    if (infinite(a) || infinite(b) || __builtin_mul_overflow(a, b, &product))
        return (a > 0) == (b > 0) ? INT64_MAX : INT64_MIN;
    return product;
}

/* b > 0. */
static int64_t saturating_div(int64_t a, int64_t b)
{
    if (infinite(b)) /* anything over a huge number */
        return a >= 0 ? 0 : -1;
    return infinite(a) ? a : floor_div(a, b);
}

static bounds around(int64_t a, int64_t b, int64_t c, int64_t d)
{
    return (bounds){QVK__MIN(QVK__MIN(a, b), QVK__MIN(c, d)), QVK__MAX(QVK__MAX(a, b), QVK__MAX(c, d))};
}

static bounds mod_bounds(bounds a, bounds b)
{
    bounds result = {0, b.high == INT64_MAX ? INT64_MAX : b.high - 1};
    if (b.low <= 0)
        return everything;
    if (a.low >= 0)
        result.high = QVK__MIN(result.high, a.high);
    return result;
}

static bounds pow_bounds(bounds a, bounds b)
{
    bounds result;
    if (a.low < 0 || b.low != b.high || !power(a.low, b.low, &result.low))
        return everything;
    if (infinite(a.high) || !power(a.high, b.low, &result.high))
        result.high = INT64_MAX;
    return result;
}

static bounds combine(qvk__expression_kind kind, bounds a, bounds b)
{
    switch (kind) {
    case QVK__EXPRESSION_ADD: return (bounds){saturating_add(a.low, b.low), saturating_add(a.high, b.high)};
    case QVK__EXPRESSION_MUL:
        return around(saturating_mul(a.low, b.low), saturating_mul(a.low, b.high),
                      saturating_mul(a.high, b.low), saturating_mul(a.high, b.high));
    case QVK__EXPRESSION_FLOORDIV:
        if (b.low <= 0)
            return everything;
        return around(saturating_div(a.low, b.low), saturating_div(a.low, b.high),
                      saturating_div(a.high, b.low), saturating_div(a.high, b.high));
    case QVK__EXPRESSION_MOD: return mod_bounds(a, b);
    case QVK__EXPRESSION_POW: return pow_bounds(a, b);
    case QVK__EXPRESSION_MAX: return (bounds){QVK__MAX(a.low, b.low), QVK__MAX(a.high, b.high)};
    case QVK__EXPRESSION_MIN: return (bounds){QVK__MIN(a.low, b.low), QVK__MIN(a.high, b.high)};
    default: return everything;
    }
}

static bounds bounds_of(const qvk__exported *program, int32_t expression)
{
    const qvk__expression *node = &program->expressions.data[expression];

    if (node->kind == QVK__EXPRESSION_CONSTANT)
        return (bounds){node->constant, node->constant};
    if (node->kind == QVK__EXPRESSION_SYMBOL) {
        for (size_t i = 0; i < program->ranges.count; i++)
            if (strcmp(program->ranges.data[i].symbol, node->symbol) == 0)
                return (bounds){program->ranges.data[i].min, program->ranges.data[i].max};
        return everything;
    }
    if (node->a < 0 || node->b < 0)
        return everything;
    return combine(node->kind, bounds_of(program, node->a), bounds_of(program, node->b));
}

qvk_status qvk__expression_max(const qvk__exported *program, int32_t expression, int64_t *out, qvk_error *err)
{
    bounds result;

    QVK__CHECK(expression >= 0 && (size_t)expression < program->expressions.count, err, QVK_INTERNAL,
               "expression %ld does not exist", (long)expression);
    result = bounds_of(program, expression);
    if (result.high == INT64_MAX) {
        qvk__string text = {0};
        qvk_status status;
        qvk__expression_print(program, expression, &text);
        status =
            qvk__fail(err, QVK_UNSUPPORTED,
                      "the dynamic size %s has no upper bound; export with torch.export.Dim(name, max=...)",
                      text.data ? text.data : "?");
        free(text.data);
        return status;
    }
    *out = result.high;
    return QVK_OK;
}

bool qvk__exported_set_range(qvk__exported *program, const char *symbol, int64_t min, int64_t max)
{
    qvk__range range = {NULL, min, max};

    for (size_t i = 0; i < program->ranges.count; i++) {
        if (strcmp(program->ranges.data[i].symbol, symbol) == 0) {
            program->ranges.data[i].min = min;
            program->ranges.data[i].max = max;
            return true;
        }
    }
    range.symbol = qvk__arena_strdup(&program->graph.arena, symbol);
    return range.symbol && QVK__VEC_PUSH(&program->ranges, range);
}
