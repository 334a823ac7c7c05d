// Linears whose columns come in pairs of eights, a gate's and those of what it is multiplied with: the result has half as
// many, silu(gate) * other. GATED as a constant: whether it is one.
#ifndef LINEAR_GATE_GLSL
#define LINEAR_GATE_GLSL

#include "real_math.glsl"

float gated(float gate, float other)
{
    precise float y = real_silu(gate) * other;
    return y;
}

// Column of the result for one of a gate.
uint gated_column(uint n)
{
    return n / 16u * 8u + n % 8u;
}

// Column of the gate for one of the result, counted from a multiple of 16 and of 8.
uint gate_column(uint column)
{
    return column / 8u * 16u + column % 8u;
}

#endif
