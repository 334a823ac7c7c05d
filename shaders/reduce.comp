// Many elements made into one: src/core/reduce.def but for the indices of the greatest and least (select.comp). Each result
// is made by `lanes` invocations, then in pairs; long ones in two passes, over segments first. INTEGERS: int32 arithmetic;
// NORM: the function is NORM, which takes long to compile and is left out otherwise.
#version 450
#extension GL_GOOGLE_include_directive : require

#include "real_math.glsl"
#include "reduce_walk.glsl"

#define REDUCE(name, number) const uint REDUCE_##name = number;
#include "core/reduce.def"
#undef REDUCE

layout(constant_id = 4) const bool PARTIAL_IN = false;  // elements are results of an earlier pass
layout(constant_id = 5) const bool PARTIAL_OUT = false; // results are elements of a later pass

QUAD_INPUT(x, 1)
layout(set = 0, binding = 2) buffer Y
{
    uint y_words[];
};

#ifdef INTEGERS
#define NUMBER      int
#define QUAD        ivec4
#define LOAD        LOAD_INT
#define DECODE_QUAD decode_quad_int
#define IS_NAN(x)   false
const int LEAST = int(0x80000000u), GREATEST = 0x7fffffff;
#else
#define NUMBER      float
#define QUAD        vec4
#define LOAD        LOAD_FLOAT
#define DECODE_QUAD decode_quad_float
#define IS_NAN(x)   is_nan(x)
#define LEAST       (-REAL_INFINITY)
#define GREATEST    REAL_INFINITY
#endif

shared NUMBER partial[GROUP];

// ---- one element -----------------------------------------------------------------------------------------

#ifdef NORM
float power(float x)
{
    if (order == 2.0)
        return x * x;
    if (order == 0.0)
        return float(x != 0.0);
    return order == 1.0 || is_inf(order) ? x : real_pow(x, order);
}
#endif

// What an element adds; `squares`: the square of its distance from `mean`.
NUMBER term(NUMBER x, bool squares, NUMBER mean)
{
#ifndef INTEGERS
    if (X_TYPE != COMMON_TYPE && COMMON_TYPE != DTYPE_F32)
        x = decode_float(encode_float(x, COMMON_TYPE), 0u, COMMON_TYPE);
#ifdef NORM
    return PARTIAL_IN ? x : power(abs(x));
#endif
    if (FUNCTION == REDUCE_VAR || FUNCTION == REDUCE_STD)
        return squares ? (x - mean) * (x - mean) : x;
#endif
    return x;
}

NUMBER identity()
{
    if (FUNCTION == REDUCE_MAX)
        return LEAST;
    if (FUNCTION == REDUCE_MIN)
        return GREATEST;
#ifdef NORM
    return order == -REAL_INFINITY ? REAL_INFINITY : 0.0;
#endif
    return NUMBER(FUNCTION == REDUCE_PROD || FUNCTION == REDUCE_ALL);
}

NUMBER greater(NUMBER a, NUMBER b)
{
    return IS_NAN(a) ? a : IS_NAN(b) ? b : max(a, b);
}

NUMBER less(NUMBER a, NUMBER b)
{
    return IS_NAN(a) ? a : IS_NAN(b) ? b : min(a, b);
}

NUMBER combine(NUMBER a, NUMBER b)
{
    if (FUNCTION == REDUCE_MAX)
        return greater(a, b);
    if (FUNCTION == REDUCE_MIN)
        return less(a, b);
    if (FUNCTION == REDUCE_PROD)
        return a * b;
    if (FUNCTION == REDUCE_ANY)
        return NUMBER(a != NUMBER(0) || b != NUMBER(0));
    if (FUNCTION == REDUCE_ALL)
        return NUMBER(a != NUMBER(0) && b != NUMBER(0));
#ifdef NORM
    if (is_inf(order))
        return order > 0.0 ? greater(a, b) : less(a, b);
#endif
    return a + b;
}

uint finish(NUMBER value)
{
#ifdef INTEGERS
    return PARTIAL_OUT ? uint(value) : encode_int(value, Y_TYPE);
#else
    if (PARTIAL_OUT)
        return floatBitsToUint(value);
    if (FUNCTION == REDUCE_MEAN)
        value = divide(value, float(total));
    else if (FUNCTION == REDUCE_VAR || FUNCTION == REDUCE_STD)
        value = divide(value, max(float(total) - correction, 0.0));
    if (FUNCTION == REDUCE_STD)
        value = sqrt(value);
#ifdef NORM
    if (order == 2.0)
        value = sqrt(value);
    else if (order != 0.0 && order != 1.0 && !is_inf(order))
        value = real_pow(value, 1.0 / order);
#endif
    return encode_float(value, Y_TYPE);
#endif
}

// ---- all of them -----------------------------------------------------------------------------------------

// Every invocation of a group must come here.
NUMBER reduce_all(uint slot, uint lane, uint start, uint n, bool squares, NUMBER mean)
{
    NUMBER sum = identity();

    if (quads) {
        for (uint i = lane; i < n / 4u; i += lanes) {
            const QUAD x = DECODE_QUAD(LOAD_QUAD(x, start / 4u + i, X_TYPE), X_TYPE);
            const NUMBER low = combine(term(x.x, squares, mean), term(x.y, squares, mean));
            sum = combine(sum, combine(low, combine(term(x.z, squares, mean), term(x.w, squares, mean))));
        }
    } else {
        for (uint i = lane; i < n; i += lanes)
            sum = combine(sum, term(LOAD(x_words, place_of(start, i), X_TYPE), squares, mean));
    }
    barrier(); // the last total was read
    partial[slot * lanes + lane] = sum;
    barrier();
    for (uint half_lanes = lanes / 2u; half_lanes > 0u; half_lanes /= 2u) {
        if (lane < half_lanes)
            partial[slot * lanes + lane] =
                combine(partial[slot * lanes + lane], partial[slot * lanes + lane + half_lanes]);
        barrier();
    }
    return partial[slot * lanes];
}

void main()
{
    const uint lane = REDUCE_LANE(), slot = REDUCE_SLOT(), result = flat_group() * (GROUP / lanes) + slot;
    const bool taken = result < results;
    const uint start = taken ? start_of(result) : 0u;
    const uint segment = columns ? result / (results / segments) : result % segments;
    const uint n = taken ? min(count, total - segment * count) : 0u;
    NUMBER value = reduce_all(slot, lane, start, n, false, NUMBER(0));

#ifndef INTEGERS
    if (FUNCTION == REDUCE_VAR || FUNCTION == REDUCE_STD)
        value = reduce_all(slot, lane, start, n, true, divide(value, float(total)));
#endif
    if (taken && lane == 0u)
        STORE_ELEMENT(y_words, result, finish(value), PARTIAL_OUT ? DTYPE_F32 : Y_TYPE)
}
