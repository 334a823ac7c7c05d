// The end of linears whose kernels do not have it themselves: columns of gates with what they are multiplied with
// (linear_gate.glsl), and a tensor that is added. An invocation makes a word of the result.
#version 450
#extension GL_GOOGLE_include_directive : require

#include "elements.glsl"
#include "exact.glsl"
#include "flat_id.glsl"
#include "linear_gate.glsl"

layout(local_size_x = 64) in;
layout(constant_id = 0) const uint GATED = 0u;
layout(set = 0, binding = 0) uniform Params
{
    uint type; // of residual and result: float32 or float16
    uint residual_type; // the same, or 0: nothing is added
    uint n_columns; // of the result
    uint count;
};
layout(set = 0, binding = 1) readonly buffer Product
{
    float product[];
};
layout(set = 0, binding = 2) readonly buffer Residual
{
    uint residual_words[];
};
layout(set = 0, binding = 3) writeonly buffer Result
{
    uint result_words[];
};
ELEMENT_READER(read_residual, residual_words)

float result_of(uint at)
{
    if (at >= count)
        return 0.0;
    precise float y;
    if (GATED != 0u) {
        const uint gate = at / n_columns * 2u * n_columns + gate_column(at % n_columns);
        y = gated(product[gate], product[gate + 8u]);
    } else {
        y = product[at];
    }
    if (residual_type != 0u)
        y += read_residual(residual_type, at);
    return y;
}

void main()
{
    const uint word = flat_id(), first = word << elements_shift(type);
    if (first >= count)
        return;
    result_words[word] = type == DTYPE_F16 ? pack_halves(result_of(first), result_of(first + 1u))
                                           : floatBitsToUint(result_of(first));
}
