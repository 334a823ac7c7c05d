// y[a, places[e], b] = values[a, e, b], or += with ACCUMULATE, for y holding outer x plane elements and `inner` of them for
// each place. Places come from one to four index tensors with `entries` values each. Where several entries name one place,
// only the first one's invocation writes, taking the later ones in order: the last value stays, or all are added. Values
// out of range, an error on the host, are taken as the nearest in range.
#version 450
#extension GL_GOOGLE_include_directive : require

#include "flat_id.glsl"
#include "tensor_io.glsl"

layout(local_size_x = 64) in;
layout(constant_id = 0) const uint TYPE = DTYPE_F32;
layout(constant_id = 1) const bool ACCUMULATE = false;

layout(set = 0, binding = 0) uniform Params
{
    uint outer, entries, inner, plane;
    uint value_outer, value_entry, value_inner; // strides of the values
    uint run;                                   // consecutive elements an invocation makes
    ivec4 extents, places;
};

layout(set = 0, binding = 1) readonly buffer Values
{
    uint value_words[];
};
layout(set = 0, binding = 2) readonly buffer Index0
{
    int index_0[];
};
#if INDICES > 1
layout(set = 0, binding = 3) readonly buffer Index1
{
    int index_1[];
};
#endif
#if INDICES > 2
layout(set = 0, binding = 4) readonly buffer Index2
{
    int index_2[];
};
#endif
#if INDICES > 3
layout(set = 0, binding = 5) readonly buffer Index3
{
    int index_3[];
};
#endif
layout(set = 0, binding = INDICES + 2) buffer Output
{
    uint y_words[];
};

int one_place(int value, int extent, int place)
{
    return clamp(value < 0 ? value + extent : value, 0, extent - 1) * place;
}

int place_of(uint entry)
{
    int at = one_place(index_0[entry], extents[0], places[0]);
#if INDICES > 1
    at += one_place(index_1[entry], extents[1], places[1]);
#endif
#if INDICES > 2
    at += one_place(index_2[entry], extents[2], places[2]);
#endif
#if INDICES > 3
    at += one_place(index_3[entry], extents[3], places[3]);
#endif
    return at;
}

const bool IS_FLOAT = TYPE == DTYPE_F32 || TYPE == DTYPE_F16 || TYPE == DTYPE_BF16;

uint add_bits(uint sum, uint value)
{
    if (IS_FLOAT)
        return encode_float(decode_float(sum, 0u, TYPE) + decode_float(value, 0u, TYPE), TYPE);
    return encode_int(decode_int(sum, 0u, TYPE) + decode_int(value, 0u, TYPE), TYPE);
}

void main()
{
    const uint runs = inner / run, id = flat_id();
    if (id >= outer * entries * runs)
        return;
    const uint b = id % runs * run, entry = id / runs % entries, a = id / runs / entries;
    const int place = place_of(entry);
    uint last = entry;

    for (uint e = 0u; e < entry; e++)
        if (place_of(e) == place)
            return;
    uint bits[4];
    for (uint i = 0u; i < run; i++) {
        const uint to = a * plane + uint(place) + b + i, from = a * value_outer + (b + i) * value_inner;
        bits[i] = LOAD_BITS(y_words, to, TYPE);
        for (uint e = entry; e < entries; e++) {
            if (e != entry && place_of(e) != place)
                continue;
            const uint value = LOAD_BITS(value_words, from + e * value_entry, TYPE);
            bits[i] = ACCUMULATE ? add_bits(bits[i], value) : value;
        }
    }
    STORE_RUN(y_words, a * plane + uint(place) + b, bits, run, TYPE)
}
