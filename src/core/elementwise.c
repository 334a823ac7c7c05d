/* Which elementwise function an operator is, on which operands, in which type. */
#include <math.h>

#include "core/semantics.h"

/* Result column of elementwise.def. */
typedef enum result_kind { RESULT_SAME, RESULT_FLOAT, RESULT_BOOL } result_kind;

static result_kind result_of(qvk__fn fn)
{
    switch (fn) {
#define FN(name, number, result, group)                                                                      \
    case QVK__FN_##name:                                                                                     \
        return RESULT_##result;
#include "core/elementwise.def"
#undef FN
    }
    return RESULT_SAME;
}

bool qvk__fn_is_math(qvk__fn fn)
{
    enum { BASIC, MATH };

    switch (fn) {
#define FN(name, number, result, group)                                                                      \
    case QVK__FN_##name:                                                                                     \
        return group == MATH;
#include "core/elementwise.def"
#undef FN
    }
    return false;
}

/* How a row reads its arguments. */
typedef enum form {
    FORM_NONE = 0,
    FORM_UNARY,   /* x, then the function's params in order */
    FORM_BINARY,  /* x, y */
    FORM_SCALED,  /* x, y, alpha: x + alpha * y */
    FORM_MINUS,   /* x, y, alpha: x - alpha * y */
    FORM_REVERSED /* y, x, alpha: x - alpha * y */
} form;

typedef struct op_row {
    uint8_t form, fn;
} op_row;

#define UNARY(id, name)    [QVK__OP_##id] = {FORM_UNARY, QVK__FN_##name}
#define BINARY(id, name)   [QVK__OP_##id] = {FORM_BINARY, QVK__FN_##name}
#define BINARY_BOTH(name)  BINARY(name##_TENSOR, name), BINARY(name##_SCALAR, name)
#define UNARY_ALONE(name)  UNARY(name, name)
#define BINARY_ALONE(name) BINARY(name, name)

static const op_row rows[QVK__OP_COUNT] = {
    UNARY_ALONE(ABS),
    UNARY_ALONE(NEG),
    UNARY_ALONE(SIGN),
    UNARY_ALONE(SQUARE),
    UNARY_ALONE(RELU),
    UNARY_ALONE(ROUND),
    UNARY_ALONE(FLOOR),
    UNARY_ALONE(CEIL),
    UNARY_ALONE(TRUNC),
    UNARY_ALONE(CLAMP),
    UNARY(CLAMP_MIN, CLAMP),
    UNARY(CLAMP_MAX, CLAMP),
    UNARY(HARDTANH, CLAMP),
    UNARY(RELU6, CLAMP),
    UNARY_ALONE(LEAKY_RELU),
    UNARY_ALONE(THRESHOLD),
    UNARY_ALONE(HARDSHRINK),
    UNARY_ALONE(HARDSWISH),
    UNARY_ALONE(HARDSIGMOID),
    UNARY_ALONE(BITWISE_NOT),
    UNARY_ALONE(LOGICAL_NOT),
    UNARY_ALONE(ISINF),
    UNARY_ALONE(ISNAN),
    UNARY_ALONE(COS),
    UNARY_ALONE(SIN),
    UNARY_ALONE(TAN),
    UNARY_ALONE(ATAN),
    UNARY_ALONE(EXP),
    UNARY_ALONE(EXPM1),
    UNARY_ALONE(LOG),
    UNARY_ALONE(LOG2),
    UNARY_ALONE(LOG10),
    UNARY_ALONE(LOG1P),
    UNARY_ALONE(SQRT),
    UNARY_ALONE(RSQRT),
    UNARY_ALONE(RECIPROCAL),
    UNARY_ALONE(SIGMOID),
    UNARY_ALONE(SILU),
    UNARY_ALONE(TANH),
    UNARY_ALONE(ERF),
    UNARY_ALONE(GELU),
    UNARY_ALONE(ELU),
    UNARY(CELU, ELU),
    UNARY_ALONE(SOFTPLUS),
    UNARY_ALONE(MISH),
    UNARY_ALONE(LOG_SIGMOID),
    [QVK__OP_ADD_TENSOR] = {FORM_SCALED, QVK__FN_ADD},
    [QVK__OP_ADD_SCALAR] = {FORM_SCALED, QVK__FN_ADD},
    [QVK__OP_SUB_TENSOR] = {FORM_MINUS, QVK__FN_ADD},
    [QVK__OP_SUB_SCALAR] = {FORM_MINUS, QVK__FN_ADD},
    [QVK__OP_RSUB_SCALAR] = {FORM_REVERSED, QVK__FN_ADD},
    BINARY_BOTH(MUL),
    BINARY_BOTH(DIV),
    BINARY(DIV_TENSOR_MODE, DIV),
    BINARY(FLOOR_DIVIDE, DIV_FLOOR),
    BINARY_BOTH(REMAINDER),
    BINARY_ALONE(MINIMUM),
    BINARY_ALONE(MAXIMUM),
    BINARY(POW_TENSOR_TENSOR, POW),
    BINARY(POW_TENSOR_SCALAR, POW),
    BINARY_BOTH(EQ),
    BINARY_BOTH(NE),
    BINARY_BOTH(LT),
    BINARY_BOTH(LE),
    BINARY_BOTH(GT),
    BINARY_BOTH(GE),
    BINARY(BITWISE_AND_TENSOR, BITWISE_AND),
    BINARY(BITWISE_OR_TENSOR, BITWISE_OR),
    BINARY(BITWISE_XOR_TENSOR, BITWISE_XOR),
    BINARY_ALONE(LOGICAL_AND),
    BINARY_ALONE(LOGICAL_OR),
    BINARY_ALONE(LOGICAL_XOR),
};

/* A bound that may be None; a number that is not None takes part in type promotion. */
static qvk_status read_bound(const qvk__arg *arg, const char *what, double missing, double *out,
                             qvk__operand *operand, qvk_error *err)
{
    *out = missing;
    *operand = (qvk__operand){.dtype = QVK_DTYPE_NONE};
    if (qvk__arg_is_null(arg))
        return QVK_OK;
    QVK__TRY(qvk__arg_operand(arg, what, operand, err));
    QVK__CHECK(!operand->tensor, err, QVK_UNSUPPORTED, "%s: wanted a number, got a tensor", what);
    *out = operand->f;
    return QVK_OK;
}

static qvk_status read_clamp(qvk__op op, const qvk__arg *args, qvk__elementwise *out, qvk_error *err)
{
    static const qvk__arg none = {.kind = QVK__ARG_NULL};
    const bool both = op == QVK__OP_CLAMP || op == QVK__OP_HARDTANH;
    const qvk__arg *low = both || op == QVK__OP_CLAMP_MIN ? &args[1] : &none;
    const qvk__arg *high = both ? &args[2] : op == QVK__OP_CLAMP_MAX ? &args[1] : &none;
    qvk__operand operands[3] = {out->operands[0]};

    QVK__TRY(read_bound(low, "min", -INFINITY, &out->params[0], &operands[1], err));
    QVK__TRY(read_bound(high, "max", INFINITY, &out->params[1], &operands[2], err));
    if (op == QVK__OP_RELU6) {
        out->params[0] = 0.0;
        out->params[1] = 6.0;
    }
    if (op == QVK__OP_CLAMP || op == QVK__OP_CLAMP_MIN || op == QVK__OP_CLAMP_MAX)
        out->common = qvk__result_dtype(operands, 3);
    return QVK_OK;
}

static qvk_status read_unary_params(qvk__op op, const qvk__arg *args, qvk__elementwise *out, qvk_error *err)
{
    const char *approximate;

    switch (op) {
    case QVK__OP_LEAKY_RELU: return qvk__arg_float(&args[1], "negative_slope", &out->params[0], err);
    case QVK__OP_HARDSHRINK: return qvk__arg_float(&args[1], "lambd", &out->params[0], err);
    case QVK__OP_THRESHOLD:
        QVK__TRY(qvk__arg_float(&args[1], "threshold", &out->params[0], err));
        return qvk__arg_float(&args[2], "value", &out->params[1], err);
    case QVK__OP_SOFTPLUS:
        QVK__TRY(qvk__arg_float(&args[1], "beta", &out->params[0], err));
        return qvk__arg_float(&args[2], "threshold", &out->params[1], err);
    case QVK__OP_ELU:
        QVK__TRY(qvk__arg_float(&args[1], "alpha", &out->params[0], err));
        QVK__TRY(qvk__arg_float(&args[2], "scale", &out->params[1], err));
        return qvk__arg_float(&args[3], "input_scale", &out->params[2], err);
    case QVK__OP_CELU:
        QVK__TRY(qvk__arg_float(&args[1], "alpha", &out->params[0], err));
        QVK__CHECK(out->params[0] != 0.0, err, QVK_INVALID_ARGUMENT, "alpha must not be 0");
        out->params[1] = 1.0;
        out->params[2] = 1.0 / out->params[0];
        return QVK_OK;
    case QVK__OP_GELU:
        QVK__TRY(qvk__arg_string(&args[1], "approximate", &approximate, err));
        QVK__CHECK(strcmp(approximate, "none") == 0 || strcmp(approximate, "tanh") == 0, err,
                   QVK_INVALID_ARGUMENT, "approximate: 'none' or 'tanh', got '%s'", approximate);
        out->fn = approximate[0] == 't' ? QVK__FN_GELU_TANH : QVK__FN_GELU;
        return QVK_OK;
    default: return out->fn == QVK__FN_CLAMP ? read_clamp(op, args, out, err) : QVK_OK;
    }
}

static qvk_status read_binary(qvk__op op, form how, const qvk__arg *args, qvk__elementwise *out,
                              qvk_error *err)
{
    const char *mode;

    out->n_operands = 2;
    QVK__TRY(qvk__arg_operand(&args[how == FORM_REVERSED], "self", &out->operands[0], err));
    QVK__TRY(qvk__arg_operand(&args[how != FORM_REVERSED], "other", &out->operands[1], err));
    if (how != FORM_BINARY) {
        QVK__TRY(qvk__arg_float(&args[2], "alpha", &out->params[0], err));
        if (how != FORM_SCALED)
            out->params[0] = -out->params[0];
    }
    if (op == QVK__OP_DIV_TENSOR_MODE && !qvk__arg_is_null(&args[2])) {
        QVK__TRY(qvk__arg_string(&args[2], "rounding_mode", &mode, err));
        QVK__CHECK(strcmp(mode, "floor") == 0 || strcmp(mode, "trunc") == 0, err, QVK_INVALID_ARGUMENT,
                   "rounding_mode: None, 'floor' or 'trunc', got '%s'", mode);
        out->fn = mode[0] == 'f' ? QVK__FN_DIV_FLOOR : QVK__FN_DIV_TRUNC;
    }
    out->wide_scalars = out->fn == QVK__FN_MUL || out->fn == QVK__FN_DIV;
    return QVK_OK;
}

static qvk_status read_where(const qvk__arg *args, qvk__elementwise *out, qvk_error *err)
{
    const qvk_tensor *condition;

    out->fn = QVK__FN_WHERE;
    out->n_operands = 3;
    QVK__TRY(qvk__arg_tensor(&args[0], "condition", &condition, err));
    QVK__CHECK(condition->dtype == QVK_DTYPE_BOOL || condition->dtype == QVK_DTYPE_U8, err,
               QVK_INVALID_ARGUMENT, "condition: wanted bool, got %s", qvk_dtype_name(condition->dtype));
    for (int i = 0; i < 3; i++)
        QVK__TRY(qvk__arg_operand(&args[i],
                                  i == 0   ? "condition"
                                  : i == 1 ? "self"
                                           : "other",
                                  &out->operands[i], err));
    out->common = qvk__result_dtype(out->operands + 1, 2);
    return QVK_OK;
}

/* Types an operator has no meaning for, where PyTorch raises too. */
static qvk_status check_types(qvk__elementwise *e, qvk_error *err)
{
    const bool is_float = qvk__dtype_is_float(e->common);

    if (e->fn == QVK__FN_BITWISE_NOT || e->fn == QVK__FN_BITWISE_AND || e->fn == QVK__FN_BITWISE_OR ||
        e->fn == QVK__FN_BITWISE_XOR)
        QVK__CHECK(!is_float, err, QVK_INVALID_ARGUMENT, "bits of a %s tensor", qvk_dtype_name(e->common));
    if (e->fn == QVK__FN_BITWISE_NOT && e->common == QVK_DTYPE_BOOL)
        e->fn = QVK__FN_LOGICAL_NOT;
    return QVK_OK;
}

qvk_status qvk__elementwise_of(qvk__op op, const qvk__arg *args, qvk__elementwise *out, qvk_error *err)
{
    const op_row *row = &rows[op];
    qvk__elementwise e = {.fn = (qvk__fn)row->fn, .n_operands = 1};

    if (op == QVK__OP_WHERE_SELF) {
        QVK__TRY(read_where(args, &e, err));
    } else if (row->form == FORM_UNARY) {
        QVK__TRY(qvk__arg_operand(&args[0], "self", &e.operands[0], err));
        QVK__TRY(read_unary_params(op, args, &e, err));
    } else {
        QVK__CHECK(row->form != FORM_NONE, err, QVK_INTERNAL, "is no elementwise operator");
        QVK__TRY(read_binary(op, (form)row->form, args, &e, err));
    }
    if (e.common == QVK_DTYPE_NONE)
        e.common = qvk__result_dtype(e.operands, e.n_operands);
    if (result_of(e.fn) == RESULT_FLOAT && !qvk__dtype_is_float(e.common))
        e.common = QVK_DTYPE_F32;
    QVK__TRY(check_types(&e, err));
    e.result = result_of(e.fn) == RESULT_BOOL ? QVK_DTYPE_BOOL : e.common;
    *out = e;
    return QVK_OK;
}
