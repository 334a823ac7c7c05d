/* Reference of unary and binary operators and where: float32, float64 and exact int64 arithmetic. */
#include <tgmath.h>

#include "core/semantics.h"
#include "reference/functions.h"
#include "reference/rounding.h"

#define REAL          float
#define REAL_FN(name) name##_f32
#include "reference/elementwise_real.h"
#undef REAL
#undef REAL_FN

#define REAL          double
#define REAL_FN(name) name##_f64
#include "reference/elementwise_real.h"
#undef REAL
#undef REAL_FN

/* ---- integers: two's complement, wrapping; the store keeps the low bits of the result's type ----------- */

static qvk_status int_pow(int64_t base, int64_t exponent, int64_t *out)
{
    uint64_t power = 1, factor = (uint64_t)base;

    if (exponent < 0) { /* the real result's whole part, as PyTorch */
        *out = base == 1 ? 1 : base == -1 ? (exponent % 2 ? -1 : 1) : 0;
        return QVK_OK;
    }
    for (; exponent; exponent >>= 1, factor *= factor)
        power *= exponent & 1 ? factor : 1;
    *out = (int64_t)power;
    return QVK_OK;
}

static qvk_status int_divide(qvk__fn fn, int64_t x, int64_t y, int64_t *out, qvk_error *err)
{
    int64_t quotient, rest;

    QVK__CHECK(y != 0, err, QVK_INVALID_ARGUMENT, "integer division by zero");
    quotient = y == -1 ? (int64_t)(0 - (uint64_t)x) : x / y;
    rest = y == -1 ? 0 : x % y;
    if (rest != 0 && (rest < 0) != (y < 0) && fn != QVK__FN_DIV_TRUNC) {
        quotient--;
        rest += y;
    }
    *out = fn == QVK__FN_REMAINDER ? rest : quotient;
    return QVK_OK;
}

static int64_t int_unary(qvk__fn fn, int64_t x, const int64_t *p)
{
    switch (fn) {
    case QVK__FN_ABS: return x < 0 ? (int64_t)(0 - (uint64_t)x) : x;
    case QVK__FN_NEG: return (int64_t)(0 - (uint64_t)x);
    case QVK__FN_SIGN: return (x > 0) - (x < 0);
    case QVK__FN_SQUARE: return (int64_t)((uint64_t)x * (uint64_t)x);
    case QVK__FN_RELU: return QVK__MAX(x, 0);
    case QVK__FN_CLAMP: return QVK__MIN(QVK__MAX(x, p[0]), p[1]);
    case QVK__FN_THRESHOLD: return x <= p[0] ? p[1] : x;
    case QVK__FN_BITWISE_NOT: return ~x;
    case QVK__FN_LOGICAL_NOT: return x == 0;
    case QVK__FN_ISINF:
    case QVK__FN_ISNAN: return 0;
    default: return x; /* roundings */
    }
}

static qvk_status int_binary(qvk__fn fn, int64_t x, int64_t y, const int64_t *p, int64_t *out, qvk_error *err)
{
    const uint64_t ux = (uint64_t)x, uy = (uint64_t)y;

    switch (fn) {
    case QVK__FN_ADD: *out = (int64_t)(ux + (uint64_t)p[0] * uy); break;
    case QVK__FN_MUL: *out = (int64_t)(ux * uy); break;
    case QVK__FN_DIV_FLOOR:
    case QVK__FN_DIV_TRUNC:
    case QVK__FN_REMAINDER: return int_divide(fn, x, y, out, err);
    case QVK__FN_MINIMUM: *out = QVK__MIN(x, y); break;
    case QVK__FN_MAXIMUM: *out = QVK__MAX(x, y); break;
    case QVK__FN_POW: return int_pow(x, y, out);
    case QVK__FN_BITWISE_AND: *out = x & y; break;
    case QVK__FN_BITWISE_OR: *out = x | y; break;
    case QVK__FN_BITWISE_XOR: *out = x ^ y; break;
    case QVK__FN_EQ: *out = x == y; break;
    case QVK__FN_NE: *out = x != y; break;
    case QVK__FN_LT: *out = x < y; break;
    case QVK__FN_LE: *out = x <= y; break;
    case QVK__FN_GT: *out = x > y; break;
    case QVK__FN_GE: *out = x >= y; break;
    case QVK__FN_LOGICAL_AND: *out = x && y; break;
    case QVK__FN_LOGICAL_OR: *out = x || y; break;
    case QVK__FN_LOGICAL_XOR: *out = !x != !y; break;
    default: *out = x;
    }
    return QVK_OK;
}

/* ---- one element ---------------------------------------------------------------------------------------- */

/* What a value becomes when it is converted to an integer type. */
static int64_t wrap_int(qvk_dtype dtype, int64_t value)
{
    switch (dtype) {
    case QVK_DTYPE_BOOL: return value != 0;
    case QVK_DTYPE_I8: return (int8_t)value;
    case QVK_DTYPE_U8: return (uint8_t)value;
    case QVK_DTYPE_I16: return (int16_t)value;
    case QVK_DTYPE_I32: return (int32_t)value;
    default: return value;
    }
}

static int64_t load_int(const qvk__operand *operand, int64_t at, qvk_dtype common)
{
    return wrap_int(common, operand->tensor ? qvk__reference_get_int(operand->tensor, at) : operand->i);
}

static double load_f64(const qvk__operand *operand, int64_t at)
{
    return operand->tensor ? qvk__reference_get(operand->tensor, at) : operand->f;
}

static float load_f32(const qvk__elementwise *e, const qvk__operand *operand, int64_t at)
{
    const bool scalar = !operand->tensor || operand->tensor->rank == 0;
    float value;

    if (operand->tensor && !qvk__dtype_is_float(operand->dtype))
        value = (float)qvk__reference_get_int(operand->tensor, at);
    else
        value = (float)load_f64(operand, at);
    return scalar && e->wide_scalars ? value : qvk__round_to(e->common, value);
}

/* The params in each of the three arithmetics. */
typedef struct call {
    qvk__elementwise e;
    float f32[QVK__MAX_FN_PARAMS];
    int64_t i64[QVK__MAX_FN_PARAMS];
} call;

static void element_f32(const call *c, const int64_t *at, qvk_tensor *out, int64_t index)
{
    const qvk__elementwise *e = &c->e;
    const float x = load_f32(e, &e->operands[0], at[0]);
    const float y = e->n_operands > 1 ? load_f32(e, &e->operands[1], at[1]) : 0.0f;

    qvk__reference_set(
        out, index,
        (double)(e->n_operands > 1 ? binary_f32(e->fn, x, y, c->f32) : unary_f32(e->fn, x, c->f32)));
}

static void element_f64(const call *c, const int64_t *at, qvk_tensor *out, int64_t index)
{
    const qvk__elementwise *e = &c->e;
    const double x = load_f64(&e->operands[0], at[0]);
    const double y = e->n_operands > 1 ? load_f64(&e->operands[1], at[1]) : 0.0;

    qvk__reference_set(
        out, index, e->n_operands > 1 ? binary_f64(e->fn, x, y, e->params) : unary_f64(e->fn, x, e->params));
}

static qvk_status element_int(const call *c, const int64_t *at, qvk_tensor *out, int64_t index,
                              qvk_error *err)
{
    const qvk__elementwise *e = &c->e;
    int64_t result = load_int(&e->operands[0], at[0], e->common);

    if (e->n_operands == 1)
        result = int_unary(e->fn, result, c->i64);
    else
        QVK__TRY(
            int_binary(e->fn, result, load_int(&e->operands[1], at[1], e->common), c->i64, &result, err));
    qvk__reference_set_int(out, index, result);
    return QVK_OK;
}

static void element_where(const call *c, const int64_t *at, qvk_tensor *out, int64_t index)
{
    const qvk__elementwise *e = &c->e;
    const int which = load_int(&e->operands[0], at[0], QVK_DTYPE_BOOL) ? 1 : 2;

    if (!qvk__dtype_is_float(e->common))
        qvk__reference_set_int(out, index, load_int(&e->operands[which], at[which], e->common));
    else if (e->common == QVK_DTYPE_F64)
        qvk__reference_set(out, index, load_f64(&e->operands[which], at[which]));
    else
        qvk__reference_set(out, index, (double)load_f32(e, &e->operands[which], at[which]));
}

static qvk_status element(const call *c, const int64_t *at, qvk_tensor *out, int64_t index, qvk_error *err)
{
    if (c->e.fn == QVK__FN_WHERE)
        element_where(c, at, out, index);
    else if (!qvk__dtype_is_float(c->e.common))
        return element_int(c, at, out, index, err);
    else if (c->e.common == QVK_DTYPE_F64)
        element_f64(c, at, out, index);
    else
        element_f32(c, at, out, index);
    return QVK_OK;
}

/* ---- all elements --------------------------------------------------------------------------------------- */

static qvk_status read_call(qvk__op op, const qvk__arg *args, call *c, qvk_error *err)
{
    QVK__TRY(qvk__elementwise_of(op, args, &c->e, err));
    for (int i = 0; i < QVK__MAX_FN_PARAMS; i++) {
        const double p = c->e.params[i];
        c->f32[i] = (float)p;
        c->i64[i] = p >= 0x1p63 ? INT64_MAX : p <= -0x1p63 ? INT64_MIN : (int64_t)p;
    }
    return QVK_OK;
}

static qvk_status elementwise(qvk__op op, const qvk__arg *args, qvk_tensor *out, qvk_error *err)
{
    const int64_t numel = qvk_tensor_numel(out);
    int64_t strides[3][QVK_MAX_RANK] = {{0}}, coords[QVK_MAX_RANK] = {0}, at[3] = {0};
    call c;

    QVK__TRY(read_call(op, args, &c, err));
    for (int i = 0; i < c.e.n_operands; i++)
        if (c.e.operands[i].tensor)
            qvk__broadcast_strides(c.e.operands[i].tensor, out, strides[i]);
    for (int64_t index = 0; index < numel; index++) {
        QVK__TRY(element(&c, at, out, index, err));
        for (int d = out->rank - 1; d >= 0; d--) { /* on to the next coordinates */
            const bool carry = ++coords[d] == out->sizes[d];
            for (int i = 0; i < 3; i++)
                at[i] += strides[i][d] - (carry ? coords[d] * strides[i][d] : 0);
            if (!carry)
                break;
            coords[d] = 0;
        }
    }
    return QVK_OK;
}

qvk_status qvk__reference_unary(qvk__op op, const qvk__arg *args, int n_args, qvk_tensor *outs, int n_outs,
                                qvk_error *err)
{
    (void)n_args, (void)n_outs;
    return elementwise(op, args, &outs[0], err);
}

qvk_status qvk__reference_binary(qvk__op op, const qvk__arg *args, int n_args, qvk_tensor *outs, int n_outs,
                                 qvk_error *err)
{
    (void)n_args, (void)n_outs;
    return elementwise(op, args, &outs[0], err);
}

qvk_status qvk__reference_where(qvk__op op, const qvk__arg *args, int n_args, qvk_tensor *outs, int n_outs,
                                qvk_error *err)
{
    (void)n_args, (void)n_outs;
    return elementwise(op, args, &outs[0], err);
}
