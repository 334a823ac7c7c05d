// Rows of a 4-bit table, looked up and scaled: an invocation makes one word of the result.
#version 450
#extension GL_GOOGLE_include_directive : require

#include "elements.glsl"
#include "exact.glsl"
#include "flat_id.glsl"

layout(local_size_x_id = 0) in;
layout(set = 0, binding = 0) uniform Params
{
    uint count; // of the result
    uint width;
    uint n_table_rows;
    uint group_size;
    uint n_groups;
    uint low_even; // even columns are in the low nibbles
    uint scale_type;
    uint zero_point_type; // 0: none
    uint out_type;
};
layout(set = 0, binding = 1) readonly buffer Table
{
    uint table_words[];
};
layout(set = 0, binding = 2) readonly buffer Scales
{
    uint scale_words[];
};
layout(set = 0, binding = 3) readonly buffer Indices
{
    int indices[];
};
layout(set = 0, binding = 4) writeonly buffer Y
{
    uint y_words[];
};
#ifdef ZERO_POINTS
layout(set = 0, binding = 5) readonly buffer ZeroPoints
{
    uint zero_point_words[];
};
ELEMENT_READER(read_zero_point, zero_point_words)
#endif

ELEMENT_READER(read_scale, scale_words)

// An index outside of the table has no row: NaN says so.
float value_of(uint i)
{
    const uint index = uint(indices[i / width]), column = i % width;
    if (index >= n_table_rows)
        return uintBitsToFloat(NAN_BITS);
    const uint byte_at = index * (width / 2u) + column / 2u;
    const uint byte_value = table_words[byte_at / 4u] >> (8u * (byte_at % 4u));
    const bool low = (column % 2u == 0u) == (low_even != 0u);
    const int nibble = int((low ? byte_value : byte_value >> 4) & 15u) - 8;
    const uint block = index * n_groups + column / group_size;
    float steps = float(nibble);
#ifdef ZERO_POINTS
    steps -= read_zero_point(zero_point_type, block);
#endif
    precise float y = steps * read_scale(scale_type, block);
    return y;
}

void main()
{
    if (out_type == DTYPE_F32) {
        const uint i = flat_id();
        if (i < count)
            y_words[i] = floatBitsToUint(value_of(i));
    } else {
        const uint i = flat_id() * 2u;
        if (i < count)
            y_words[i / 2u] = pack_halves(value_of(i), i + 1u < count ? value_of(i + 1u) : 0.0);
    }
}
