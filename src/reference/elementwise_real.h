/*
 * Elementwise functions of real numbers, in one precision. Included once for float and once for double, with
 * REAL the type and REAL_FN(name) the name of a function in that type; <tgmath.h> picks the right libm
 * function. Formulas: aten/src/ATen/native/cpu/{UnaryOps,BinaryOps,Activation}Kernel.cpp.
 */
#define C(value) ((REAL)(value))

static REAL REAL_FN(gelu_tanh)(REAL x)
{
    const REAL beta = C(0.79788456080286535588); /* sqrt(2 / pi) */
    return C(0.5) * x * (C(1) + tanh(beta * (x + C(0.044715) * x * x * x)));
}

/* The piecewise linear ones. */
static REAL REAL_FN(piecewise)(qvk__fn fn, REAL x, const REAL *p)
{
    const REAL above = x + C(3) < C(0) ? C(0) : x + C(3), six = above > C(6) ? C(6) : above;

    switch (fn) {
    case QVK__FN_RELU: return x <= C(0) ? C(0) : x;
    case QVK__FN_CLAMP: {
        const REAL low = x < p[0] ? p[0] : x;
        return low > p[1] ? p[1] : low;
    }
    case QVK__FN_LEAKY_RELU: return x > C(0) ? x : x * p[0];
    case QVK__FN_THRESHOLD: return x <= p[0] ? p[1] : x;
    case QVK__FN_HARDSHRINK: return x >= -p[0] && x <= p[0] ? C(0) : x;
    case QVK__FN_HARDSWISH: return x * six / C(6);
    case QVK__FN_HARDSIGMOID: return six / C(6);
    default: return x;
    }
}

static REAL REAL_FN(smooth)(qvk__fn fn, REAL x, const REAL *p)
{
    switch (fn) {
    case QVK__FN_SIGMOID: return C(1) / (C(1) + exp(-x));
    case QVK__FN_SILU: return x / (C(1) + exp(-x));
    case QVK__FN_GELU: return x * C(0.5) * (C(1) + erf(x * C(0.70710678118654752440)));
    case QVK__FN_GELU_TANH: return REAL_FN(gelu_tanh)(x);
    case QVK__FN_ELU: return x < C(0) ? expm1(x * p[2]) * (p[0] * p[1]) : x * p[1];
    case QVK__FN_SOFTPLUS: return x * p[0] > p[1] ? x : log1p(exp(x * p[0])) / p[0];
    case QVK__FN_MISH: return x * tanh(log1p(exp(x)));
    case QVK__FN_LOG_SIGMOID: return (x > C(0) ? C(0) : x) - log1p(exp(-fabs(x)));
    default: return REAL_FN(piecewise)(fn, x, p);
    }
}

static REAL REAL_FN(unary)(qvk__fn fn, REAL x, const REAL *p)
{
    switch (fn) {
    case QVK__FN_ABS: return fabs(x);
    case QVK__FN_NEG: return -x;
    case QVK__FN_SIGN: return C((x > C(0)) - (x < C(0)));
    case QVK__FN_SQUARE: return x * x;
    case QVK__FN_ROUND: return rint(x);
    case QVK__FN_FLOOR: return floor(x);
    case QVK__FN_CEIL: return ceil(x);
    case QVK__FN_TRUNC: return trunc(x);
    case QVK__FN_LOGICAL_NOT: return x == C(0);
    case QVK__FN_ISINF: return isinf(x) != 0;
    case QVK__FN_ISNAN: return isnan(x) != 0;
    case QVK__FN_COS: return cos(x);
    case QVK__FN_SIN: return sin(x);
    case QVK__FN_TAN: return tan(x);
    case QVK__FN_ATAN: return atan(x);
    case QVK__FN_EXP: return exp(x);
    case QVK__FN_EXPM1: return expm1(x);
    case QVK__FN_LOG: return log(x);
    case QVK__FN_LOG2: return log2(x);
    case QVK__FN_LOG10: return log10(x);
    case QVK__FN_LOG1P: return log1p(x);
    case QVK__FN_SQRT: return sqrt(x);
    case QVK__FN_RSQRT: return C(1) / sqrt(x);
    case QVK__FN_RECIPROCAL: return C(1) / x;
    case QVK__FN_TANH: return tanh(x);
    case QVK__FN_ERF: return erf(x);
    default: return REAL_FN(smooth)(fn, x, p);
    }
}

/* c10::div_floor_floating: the floor of the exact quotient. */
static REAL REAL_FN(div_floor)(REAL x, REAL y)
{
    REAL rest, quotient, whole;

    if (y == C(0))
        return x / y;
    rest = fmod(x, y);
    quotient = (x - rest) / y;
    if (rest != C(0) && (y < C(0)) != (rest < C(0)))
        quotient -= C(1);
    if (quotient == C(0))
        return copysign(C(0), x / y);
    whole = floor(quotient);
    return quotient - whole > C(0.5) ? whole + C(1) : whole;
}

static REAL REAL_FN(remainder)(REAL x, REAL y)
{
    const REAL rest = fmod(x, y);

    return rest != C(0) && (rest < C(0)) != (y < C(0)) ? rest + y : rest;
}

static REAL REAL_FN(binary)(qvk__fn fn, REAL x, REAL y, const REAL *p)
{
    switch (fn) {
    case QVK__FN_ADD: return x + p[0] * y;
    case QVK__FN_MUL: return x * y;
    case QVK__FN_DIV: return x / y;
    case QVK__FN_DIV_FLOOR: return REAL_FN(div_floor)(x, y);
    case QVK__FN_DIV_TRUNC: return trunc(x / y);
    case QVK__FN_REMAINDER: return REAL_FN(remainder)(x, y);
    case QVK__FN_MINIMUM: return isnan(x) || isnan(y) ? x + y : x < y ? x : y;
    case QVK__FN_MAXIMUM: return isnan(x) || isnan(y) ? x + y : x > y ? x : y;
    case QVK__FN_POW: return pow(x, y);
    case QVK__FN_EQ: return x == y;
    case QVK__FN_NE: return x != y;
    case QVK__FN_LT: return x < y;
    case QVK__FN_LE: return x <= y;
    case QVK__FN_GT: return x > y;
    case QVK__FN_GE: return x >= y;
    case QVK__FN_LOGICAL_AND: return x != C(0) && y != C(0);
    case QVK__FN_LOGICAL_OR: return x != C(0) || y != C(0);
    case QVK__FN_LOGICAL_XOR: return (x != C(0)) != (y != C(0));
    default: return x;
    }
}

#undef C
