// What becomes of the sums of a linear with many rows: scaling, bias, residual, and the result's type. Include after linear.glsl
// and elements.glsl, with activations[], weight_sums[] (where INT8), result_words[] and result_quads[] declared.
// INT8  whether activations are int8; BITS: the weights'. ONE_GROUP as a constant.
#ifndef LINEAR_RESULT_GLSL
#define LINEAR_RESULT_GLSL

#include "linear_residual.glsl"
#include "qint8.glsl"

#if INT8
struct Quantizer
{
    float scale;
    int zero_point;
};

Quantizer quantizer_of(uint row)
{
    if (scales_in_rows == 0u)
        return Quantizer(activation_scale, activation_zero_point);
    const uvec4 tail = activations[row * (row_words / 4u) + k_padded / 16u];
    return Quantizer(uintBitsToFloat(tail.x), int(tail.y));
}

// sum_bits: int32 for one group, else the float32 sum of the groups' scaled ones.
float finish(uint sum_bits, uint n, Quantizer q)
{
    precise float y;
    if (ONE_GROUP != 0u) {
        precise float factor = q.scale * scales[n];
        y = float((int(sum_bits) >> SUM_SHIFT) - q.zero_point * weight_sums[n]) * factor;
    } else {
        const float scaled = uintBitsToFloat(sum_bits) * (1.0 / float(1 << SUM_SHIFT));
        y = (scaled - float(q.zero_point) * intBitsToFloat(weight_sums[n])) * q.scale;
    }
    y += scales[n_groups * n_padded + n];
    return y;
}
#else
struct Quantizer
{
    float none;
};

Quantizer quantizer_of(uint row)
{
    return Quantizer(0.0);
}

float finish(uint sum_bits, uint n, Quantizer q)
{
    const float y = uintBitsToFloat(sum_bits);
    return (ONE_GROUP != 0u ? y * scales[n] : y) + scales[n_groups * n_padded + n];
}
#endif

// Writes neighbours of a row of the result, four from a multiple of 4 on.
void put4(uint m, uint n, vec4 y)
{
    const uint at = m * n_columns + n;
    if (out_type == DTYPE_F32) {
        if (n + 4u <= last_column && (n_columns & 3u) == 0u)
            result_quads[at / 4u] = floatBitsToUint(y);
        else
            for (uint i = 0u; i < 4u && n + i < last_column; i++)
                result_words[at + i] = floatBitsToUint(y[i]);
    } else if (out_type == DTYPE_F16) {
        result_words[at / 2u] = pack_halves(y.x, y.y);
        if (n + 2u < last_column)
            result_words[at / 2u + 1u] = pack_halves(y.z, y.w);
    } else {
        ivec4 q;
        for (uint i = 0u; i < 4u; i++)
            q[i] = max(quantize_int8(y[i], out_inverse_scale, out_zero_point), out_low);
        result_words[at / 4u] = pack_bytes(q);
    }
}

// The same with what is added to them.
void store4(uint m, uint n, vec4 y)
{
    put4(m, n, residual_type != 0u ? add_residual4(y, m, n) : y);
}

// Eight neighbours from a multiple of 8 on.
void store8(uint m, uint n, vec4 low, vec4 high)
{
    add_residual8(low, high, m, n);
    if (out_type == DTYPE_F16 && n + 8u <= last_column && (n_columns & 7u) == 0u) {
        result_quads[(m * n_columns + n) / 8u] = uvec4(pack_halves(low.x, low.y), pack_halves(low.z, low.w),
                                                       pack_halves(high.x, high.y), pack_halves(high.z, high.w));
        return;
    }
    put4(m, n, low);
    if (n + 4u < last_column)
        put4(m, n + 4u, high);
}

#endif
