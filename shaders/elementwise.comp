// Elementwise functions of one to three operands: src/core/elementwise.def, one of them picked by FUNCTION. An
// invocation makes four consecutive elements. Variants: INPUTS operands; INTEGERS computes in int32 instead of float32.
#version 450
#extension GL_EXT_control_flow_attributes : require
#extension GL_GOOGLE_include_directive : require

#include "flat_id.glsl"
#include "quad_io.glsl"
#include "walk.glsl"

#define FN(name, number, result, group) const uint FN_##name = number;
#include "core/elementwise.def"
#undef FN

layout(local_size_x = 64) in;
layout(constant_id = 0) const uint FUNCTION = FN_IDENTITY;
// What operands are converted to before the function sees them: float16 or bfloat16 rounds them, int8 wraps them.
layout(constant_id = 1) const uint COMMON_TYPE = DTYPE_F32;
layout(constant_id = 2) const uint OUT_TYPE = DTYPE_F32;
layout(constant_id = 3) const uint A_TYPE = DTYPE_F32;
layout(constant_id = 4) const uint B_TYPE = DTYPE_F32;
layout(constant_id = 5) const uint C_TYPE = DTYPE_F32;

// How an operand is read (operand_mode in src/kernels/plan_elementwise.c).
#define MODE_FULL    0u // as the result: element i for element i
#define MODE_ONE     1u // one element for all
#define MODE_NUMBER  2u // no tensor: `numbers`
#define MODE_STRIDED 3u // by strides
#define MODE_ROWS    4u // by strides; the four elements are neighbours and aligned
#define MODE_REPEAT  5u // by strides; the four elements are the same one

layout(set = 0, binding = 0) uniform Params
{
    uint n, rank;
    uvec4 modes;
    uvec4 numbers;      // operands that are no tensors
    uvec4 coefficients; // p, q, r of elementwise.def
    uvec4 sizes[2];
    uvec4 a_strides[2], b_strides[2], c_strides[2];
};

QUAD_INPUT(a, 1)
#if INPUTS == 1
QUAD_OUTPUT(y, 2)
#elif INPUTS == 2
QUAD_INPUT(b, 2)
QUAD_OUTPUT(y, 3)
#else
QUAD_INPUT(b, 2)
QUAD_INPUT(c, 3)
QUAD_OUTPUT(y, 4)
#endif

#ifdef INTEGERS
#include "elementwise_int.glsl"
#define NUMBER          int
#define QUAD            ivec4
#define FROM_BITS(bits) int(bits)
#define DECODE_QUAD     decode_quad_int
#define ENCODE_QUAD     encode_quad_int
#define LOAD_ELEMENT    LOAD_INT

int convert(int value, uint dtype)
{
    return dtype == COMMON_TYPE ? value : decode_int(encode_int(value, COMMON_TYPE), 0u, COMMON_TYPE);
}
#else
#include "elementwise_float.glsl"
#define NUMBER          float
#define QUAD            vec4
#define FROM_BITS(bits) uintBitsToFloat(bits)
#define DECODE_QUAD     decode_quad_float
#define ENCODE_QUAD     encode_quad_float
#define LOAD_ELEMENT    LOAD_FLOAT

float convert(float value, uint dtype)
{
    return dtype == COMMON_TYPE || COMMON_TYPE == DTYPE_F32
               ? value
               : decode_float(encode_float(value, COMMON_TYPE), 0u, COMMON_TYPE);
}
#endif

// Defines NAME(q): the four elements of an operand for the result's quad q.
#define DEFINE_OPERAND(NAME, name, dtype, component, strides)                                          \
    QUAD NAME(uint q)                                                                                  \
    {                                                                                                  \
        const uint mode = modes.component;                                                             \
        uvec4 at = uvec4(0u);                                                                          \
        QUAD value;                                                                                    \
        if (mode == MODE_NUMBER)                                                                       \
            return QUAD(FROM_BITS(numbers.component));                                                 \
        if (mode >= MODE_STRIDED)                                                                      \
            WALK_FOUR(4u * q, n, rank, sizes, strides, at)                                             \
        if (mode == MODE_FULL || mode == MODE_ROWS) {                                                  \
            const uint quad = mode == MODE_FULL ? q : at.x / 4u;                                       \
            value = DECODE_QUAD(LOAD_QUAD(name, quad, dtype), dtype);                                  \
        } else if (mode == MODE_STRIDED) {                                                             \
            value = QUAD(LOAD_ELEMENT(name##_words, at.x, dtype), LOAD_ELEMENT(name##_words, at.y, dtype),     \
                         LOAD_ELEMENT(name##_words, at.z, dtype), LOAD_ELEMENT(name##_words, at.w, dtype));    \
        } else {                                                                                       \
            value = QUAD(LOAD_ELEMENT(name##_words, at.x, dtype));                                     \
        }                                                                                              \
        return QUAD(convert(value.x, dtype), convert(value.y, dtype), convert(value.z, dtype),         \
                    convert(value.w, dtype));                                                          \
    }

DEFINE_OPERAND(load_a, a, A_TYPE, x, a_strides)
#if INPUTS > 1
DEFINE_OPERAND(load_b, b, B_TYPE, y, b_strides)
#endif
#if INPUTS > 2
DEFINE_OPERAND(load_c, c, C_TYPE, z, c_strides)
#endif

void main()
{
    const uint q = flat_id();
    if (q >= (n + 3u) / 4u)
        return;

    const NUMBER p[3] = NUMBER[3](FROM_BITS(coefficients.x), FROM_BITS(coefficients.y), FROM_BITS(coefficients.z));
    const QUAD x = load_a(q);
#if INPUTS == 2
    const QUAD z = load_b(q);
#elif INPUTS == 3
    const QUAD yes = load_b(q), no = load_c(q);
#endif
    QUAD y;
    [[unroll]] for (uint i = 0u; i < 4u; i++) {
#if INPUTS == 1
        y[i] = unary(FUNCTION, x[i], p);
#elif INPUTS == 2
        y[i] = binary(FUNCTION, x[i], z[i], p);
#else
        y[i] = x[i] != NUMBER(0) ? yes[i] : no[i];
#endif
    }
    STORE_QUAD(y, q, ENCODE_QUAD(y, OUT_TYPE), OUT_TYPE)
}
