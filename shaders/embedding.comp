// Rows of a table by index; elements of any size are copied. An invocation makes one word of the result. A table too big
// to bind whole comes in pieces: rows [first_row, first_row + rows) are bound, indices outside are left to the other
// dispatches. The first piece answers for indices outside the whole table: NaN (integers: all ones), which is seen.
#version 450
#extension GL_GOOGLE_include_directive : require

#include "flat_id.glsl"
#include "tensor_io.glsl"

layout(local_size_x = 64) in;
layout(constant_id = 0) const uint TYPE = DTYPE_F32;

layout(set = 0, binding = 0) uniform Params
{
    uint n_elements, row_size, first_row, rows, all_rows;
};
layout(set = 0, binding = 1) readonly buffer Table
{
    uint table_words[];
};
layout(set = 0, binding = 2) readonly buffer Indices
{
    int indices[];
};
layout(set = 0, binding = 3) writeonly buffer Y
{
    uint y_words[];
};

void main()
{
    const uint word = flat_id();
    const uint first = word << lane_bits(TYPE);
    uint bits = 0u;
    bool mine = false;

    if (first >= n_elements)
        return;
    for (uint lane = 0u; lane <= lane_mask(TYPE); lane++) {
        const uint i = first + lane;
        if (i >= n_elements)
            break;
        const uint index = uint(indices[i / row_size]);
        uint element = element_mask(TYPE);
        if (index - first_row < rows) {
            element = LOAD_BITS(table_words, (index - first_row) * row_size + i % row_size, TYPE);
            mine = true;
        } else if (index >= all_rows && first_row == 0u) {
            mine = true;
        }
        bits |= element << (lane * (32u >> lane_bits(TYPE)));
    }
    if (mine)
        y_words[word] = bits;
}
