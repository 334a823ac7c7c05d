// The index of the greatest or least of many elements, with or without the element: argmax, max.dim and their kin. The first of equals wins;
// NaN wins over all. INTEGERS: int32 comparisons.
#version 450
#extension GL_GOOGLE_include_directive : require

#include "real_math.glsl"
#include "reduce_walk.glsl"

// FUNCTION: REDUCE_ARGMAX or REDUCE_ARGMIN
#define REDUCE(name, number) const uint REDUCE_##name = number;
#include "core/reduce.def"
#undef REDUCE

layout(constant_id = 4) const bool WITH_VALUES = true;
layout(constant_id = 5) const bool WITH_INDICES = true;

layout(set = 0, binding = 1) readonly buffer X
{
    uint x_words[];
};
layout(set = 0, binding = 2) buffer Values
{
    uint value_words[];
};
layout(set = 0, binding = 3) buffer Indices
{
    uint index_words[];
};

#ifdef INTEGERS
#define NUMBER           int
#define LOAD_NUMBER      LOAD_INT
#define IS_NAN(x)        false
#else
#define NUMBER           float
#define LOAD_NUMBER      LOAD_FLOAT
#define IS_NAN(x)        is_nan(x)
#endif

shared NUMBER best_value[GROUP];
shared uint best_index[GROUP];

const bool GREATEST = FUNCTION == REDUCE_ARGMAX;

bool wins(NUMBER value, uint index, NUMBER over, uint over_index)
{
    if (IS_NAN(value) != IS_NAN(over))
        return IS_NAN(value);
    if (value == over || IS_NAN(value))
        return index < over_index;
    return GREATEST ? value > over : value < over;
}

void main()
{
    const uint lane = REDUCE_LANE(), slot = REDUCE_SLOT(), result = flat_group() * (GROUP / lanes) + slot;
    const bool taken = result < results;
    const uint start = taken ? start_of(result) : 0u, own = slot * lanes + lane;
    const uint none = 0xffffffffu;

    best_index[own] = none;
    for (uint i = lane; taken && i < count; i += lanes) {
        const NUMBER value = LOAD_NUMBER(x_words, place_of(start, i), X_TYPE);
        if (best_index[own] == none || wins(value, i, best_value[own], best_index[own])) {
            best_value[own] = value;
            best_index[own] = i;
        }
    }
    barrier();
    for (uint half_lanes = lanes / 2u; half_lanes > 0u; half_lanes /= 2u) {
        const uint other = own + half_lanes;
        if (lane < half_lanes && best_index[other] != none &&
            (best_index[own] == none ||
             wins(best_value[other], best_index[other], best_value[own], best_index[own]))) {
            best_value[own] = best_value[other];
            best_index[own] = best_index[other];
        }
        barrier();
    }
    if (!taken || lane != 0u)
        return;
    if (WITH_VALUES) // the element's own bits
        STORE_ELEMENT(value_words, result, LOAD_BITS(x_words, place_of(start, best_index[own]), X_TYPE), X_TYPE)
    if (WITH_INDICES)
        STORE_ELEMENT(index_words, result, best_index[own], DTYPE_I32)
}
