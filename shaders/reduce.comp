// Sums and what is made of them: src/core/reduce.def but for the greatest and least (select.comp). Each result is summed by
// lanes invocations, then in pairs. INTEGERS: int32 arithmetic.
#version 450
#extension GL_GOOGLE_include_directive : require

#include "real_math.glsl"
#include "reduce_walk.glsl"

#define REDUCE(name, number) const uint REDUCE_##name = number;
#include "core/reduce.def"
#undef REDUCE

layout(set = 0, binding = 2) buffer Y
{
    uint y_words[];
};

#ifdef INTEGERS
#define NUMBER int
#else
#define NUMBER float
#endif

shared NUMBER partial[GROUP];

#ifdef INTEGERS
int load(uint at)
{
    return LOAD_INT(x_words, at, X_TYPE);
}

uint finish(int value)
{
    return encode_int(value, Y_TYPE);
}
#else
float load(uint at)
{
    const float value = LOAD_FLOAT(x_words, at, X_TYPE);
    return X_TYPE == COMMON_TYPE || COMMON_TYPE == DTYPE_F32
               ? value
               : decode_float(encode_float(value, COMMON_TYPE), 0u, COMMON_TYPE);
}

uint finish(float value)
{
    if (FUNCTION == REDUCE_MEAN)
        value = divide(value, float(count));
    else if (FUNCTION == REDUCE_VAR || FUNCTION == REDUCE_STD)
        value = divide(value, max(float(count) - correction, 0.0));
    if (FUNCTION == REDUCE_STD || (FUNCTION == REDUCE_NORM && order == 2.0))
        value = sqrt(value);
    else if (FUNCTION == REDUCE_NORM && order != 0.0 && order != 1.0 && !is_inf(order))
        value = real_pow(value, 1.0 / order);
    return encode_float(value, Y_TYPE);
}

float power(float x)
{
    if (order == 2.0)
        return x * x;
    if (order == 0.0)
        return float(x != 0.0);
    return order == 1.0 || is_inf(order) ? x : real_pow(x, order);
}
#endif

NUMBER identity()
{
#ifndef INTEGERS
    if (FUNCTION == REDUCE_NORM && order == -REAL_INFINITY)
        return REAL_INFINITY;
#endif
    return NUMBER(FUNCTION == REDUCE_PROD || FUNCTION == REDUCE_ALL);
}

NUMBER combine(NUMBER a, NUMBER b)
{
    if (FUNCTION == REDUCE_PROD)
        return a * b;
    if (FUNCTION == REDUCE_ANY)
        return NUMBER(a != NUMBER(0) || b != NUMBER(0));
    if (FUNCTION == REDUCE_ALL)
        return NUMBER(a != NUMBER(0) && b != NUMBER(0));
#ifndef INTEGERS
    if (FUNCTION == REDUCE_NORM && is_inf(order)) {
        if (is_nan(a) || is_nan(b))
            return REAL_NAN;
        return order > 0.0 ? max(a, b) : min(a, b);
    }
#endif
    return a + b;
}

// What an element adds; `squares`: the square of its distance from `mean`.
NUMBER term(NUMBER x, bool squares, NUMBER mean)
{
#ifndef INTEGERS
    if (FUNCTION == REDUCE_NORM)
        return power(abs(x));
    if (FUNCTION == REDUCE_VAR || FUNCTION == REDUCE_STD)
        return squares ? (x - mean) * (x - mean) : x;
#endif
    return x;
}

// Elements lane, lane + lanes, ... of a result, then the lanes in pairs. Every invocation of a group must come here.
NUMBER reduce_all(uint slot, uint lane, uint start, bool taken, bool squares, NUMBER mean)
{
    NUMBER sum = identity();

    for (uint i = lane; taken && i < count; i += lanes)
        sum = combine(sum, term(load(place_of(start, i)), squares, mean));
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
    NUMBER value = reduce_all(slot, lane, start, taken, false, NUMBER(0));

#ifndef INTEGERS
    if (FUNCTION == REDUCE_VAR || FUNCTION == REDUCE_STD)
        value = reduce_all(slot, lane, start, taken, true, divide(value, float(count)));
#endif
    if (taken && lane == 0u)
        STORE_ELEMENT(y_words, result, finish(value), Y_TYPE)
}
