// The functions of src/core/elementwise.def in int32, wrapping. Division by zero, an error on the host, gives 0.
#ifndef ELEMENTWISE_INT_GLSL
#define ELEMENTWISE_INT_GLSL

int unary(uint fn, int x, int p[3])
{
    switch (fn) {
    case FN_ABS: return x < 0 ? -x : x;
    case FN_NEG: return -x;
    case FN_SIGN: return int(x > 0) - int(x < 0);
    case FN_SQUARE: return x * x;
    case FN_RELU: return max(x, 0);
    case FN_CLAMP: return min(max(x, p[0]), p[1]);
    case FN_THRESHOLD: return x <= p[0] ? p[1] : x;
    case FN_BITWISE_NOT: return ~x;
    case FN_LOGICAL_NOT: return int(x == 0);
    case FN_ISINF: return 0;
    case FN_ISNAN: return 0;
    default: return x;
    }
}

// Rounded to minus infinity where `down`, else to zero. On sizes: `/` of negative numbers is not defined everywhere.
int divide_int(int x, int y, bool down)
{
    const uint x_size = x < 0 ? uint(-x) : uint(x), y_size = y < 0 ? uint(-y) : uint(y);
    const bool negative = (x < 0) != (y < 0);

    if (y == 0)
        return 0;
    uint quotient = x_size / y_size;
    if (down && negative && quotient * y_size != x_size)
        quotient++;
    return negative ? -int(quotient) : int(quotient);
}

int power_int(int x, int y)
{
    int power = 1;

    if (y < 0)
        return x == 1 ? 1 : x == -1 ? ((y & 1) != 0 ? -1 : 1) : 0;
    for (; y > 0; y >>= 1) {
        if ((y & 1) != 0)
            power *= x;
        x *= x;
    }
    return power;
}

int binary(uint fn, int x, int y, int p[3])
{
    switch (fn) {
    case FN_ADD: return x + p[0] * y;
    case FN_MUL: return x * y;
    case FN_DIV_FLOOR: return divide_int(x, y, true);
    case FN_DIV_TRUNC: return divide_int(x, y, false);
    case FN_REMAINDER: return x - divide_int(x, y, true) * y;
    case FN_MINIMUM: return min(x, y);
    case FN_MAXIMUM: return max(x, y);
    case FN_POW: return power_int(x, y);
    case FN_BITWISE_AND: return x & y;
    case FN_BITWISE_OR: return x | y;
    case FN_BITWISE_XOR: return x ^ y;
    case FN_EQ: return int(x == y);
    case FN_NE: return int(x != y);
    case FN_LT: return int(x < y);
    case FN_LE: return int(x <= y);
    case FN_GT: return int(x > y);
    case FN_GE: return int(x >= y);
    case FN_LOGICAL_AND: return int(x != 0 && y != 0);
    case FN_LOGICAL_OR: return int(x != 0 || y != 0);
    case FN_LOGICAL_XOR: return int((x != 0) != (y != 0));
    default: return x;
    }
}

#endif
