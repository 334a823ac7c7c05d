// Sums and maxima over a work group, in a fixed order, without subgroup operations. The local size is a power of two
// of at most REDUCE_MAX. Call from uniform control flow.
#ifndef REDUCE_GLSL
#define REDUCE_GLSL

#define REDUCE_MAX 128

shared float reduce_values[REDUCE_MAX];

#define REDUCE(name, combine)                                                       \
    float name(float value)                                                         \
    {                                                                               \
        const uint id = gl_LocalInvocationIndex;                                    \
        barrier();                                                                  \
        reduce_values[id] = value;                                                  \
        barrier();                                                                  \
        for (uint half_size = gl_WorkGroupSize.x / 2u; half_size > 0u; half_size /= 2u) { \
            if (id < half_size)                                                     \
                reduce_values[id] = combine(reduce_values[id], reduce_values[id + half_size]); \
            barrier();                                                              \
        }                                                                           \
        return reduce_values[0];                                                    \
    }

float reduce_add(float a, float b)
{
    return a + b;
}

REDUCE(reduce_sum, reduce_add)
REDUCE(reduce_max, max)

#endif
