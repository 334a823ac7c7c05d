// The lower or upper triangle of matrices; the rest becomes 0. An invocation makes four consecutive elements.
#version 450
#extension GL_EXT_control_flow_attributes : require
#extension GL_GOOGLE_include_directive : require

#include "flat_id.glsl"
#include "quad_io.glsl"

layout(local_size_x = 64) in;
layout(constant_id = 0) const uint TYPE = DTYPE_F32;
layout(constant_id = 1) const bool UPPER = false;

layout(set = 0, binding = 0) uniform Params
{
    uint n, rows, columns;
    int diagonal;
};

QUAD_INPUT(x, 1)
QUAD_OUTPUT(y, 2)

void main()
{
    const uint q = flat_id();
    if (4u * q >= n)
        return;

    uvec4 bits = split_quad(LOAD_QUAD(x, q, TYPE), TYPE);
    [[unroll]] for (uint i = 0u; i < 4u; i++) {
        const uint line = (4u * q + i) / columns;
        const int over = int(4u * q + i - line * columns) - int(line - line / rows * rows);
        if (UPPER ? over < diagonal : over > diagonal)
            bits[i] = 0u;
    }
    STORE_QUAD(y, q, join_quad(bits, TYPE), TYPE)
}
