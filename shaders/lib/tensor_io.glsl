// Elements of tensors. On the device a tensor is its elements in C order, packed into 32-bit words (src/kernels/
// kernels.h, "Device formats"). A kernel declares buffers of uint and reads and writes elements through these; the type
// is a number of qvk_dtype, best a specialization constant, so that one shader serves all types and the compiler
// folds the choice away. GLSL cannot pass buffers to functions, hence the macros.
#ifndef TENSOR_IO_GLSL
#define TENSOR_IO_GLSL

// qvk_dtype (include/qvk/tensor.h). int64 and float64 never reach a device.
#define DTYPE_F32  1u
#define DTYPE_F16  2u
#define DTYPE_BF16 3u
#define DTYPE_I8   5u
#define DTYPE_U8   6u
#define DTYPE_I16  7u
#define DTYPE_I32  8u
#define DTYPE_BOOL 10u

// log2 of the elements in a word.
uint lane_bits(uint dtype)
{
    if (dtype == DTYPE_F32 || dtype == DTYPE_I32)
        return 0u;
    return dtype == DTYPE_F16 || dtype == DTYPE_BF16 || dtype == DTYPE_I16 ? 1u : 2u;
}

uint lane_mask(uint dtype)
{
    return (1u << lane_bits(dtype)) - 1u;
}

// All ones in the place of one element.
uint element_mask(uint dtype)
{
    return 0xffffffffu >> (32u - (32u >> lane_bits(dtype)));
}

// ---- decoding and encoding -------------------------------------------------------------------------------

uint element_bits(uint word, uint lane, uint dtype)
{
    return (word >> (lane * (32u >> lane_bits(dtype)))) & element_mask(dtype);
}

int decode_int(uint word, uint lane, uint dtype)
{
    const uint bits = element_bits(word, lane, dtype);
    if (dtype == DTYPE_I8)
        return int(bits << 24) >> 24;
    if (dtype == DTYPE_I16)
        return int(bits << 16) >> 16;
    if (dtype == DTYPE_BOOL)
        return int(bits != 0u);
    return int(bits);
}

float decode_float(uint word, uint lane, uint dtype)
{
    if (dtype == DTYPE_F32)
        return uintBitsToFloat(word);
    if (dtype == DTYPE_F16)
        return unpackHalf2x16(word >> (lane * 16u)).x;
    if (dtype == DTYPE_BF16)
        return uintBitsToFloat((word >> (lane * 16u)) << 16);
    return float(decode_int(word, lane, dtype));
}

// float32 to float16, half to even; packHalf2x16 may round as it likes.
uint encode_f16(float value)
{
    const uint bits = floatBitsToUint(value);
    const uint sign = (bits >> 16) & 0x8000u;
    uint magnitude = bits & 0x7fffffffu;

    if (magnitude > 0x7f800000u)
        return sign | 0x7e00u;
    if (magnitude >= 0x47800000u)
        return sign | 0x7c00u;
    if (magnitude < 0x38800000u) // subnormal: 0.5 has the step that is wanted
        return sign | (floatBitsToUint(uintBitsToFloat(magnitude) + 0.5) - 0x3f000000u);
    magnitude += 0xc8000fffu + ((magnitude >> 13) & 1u);
    return sign | (magnitude >> 13);
}

uint encode_bf16(float value)
{
    const uint bits = floatBitsToUint(value);
    if ((bits & 0x7fffffffu) > 0x7f800000u)
        return (bits >> 16) | 0x40u;
    return (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
}

// Bits of an element in the low end of a word.
uint encode_int(int value, uint dtype)
{
    return dtype == DTYPE_BOOL ? uint(value != 0) : uint(value) & element_mask(dtype);
}

uint encode_float(float value, uint dtype)
{
    if (dtype == DTYPE_F32)
        return floatBitsToUint(value);
    if (dtype == DTYPE_F16)
        return encode_f16(value);
    if (dtype == DTYPE_BF16)
        return encode_bf16(value);
    if (dtype == DTYPE_BOOL)
        return uint(value != 0.0);
    return encode_int(int(value), dtype);
}

// Comparisons let NaN through; clamp() need not.
float bounded(float value, float low, float high)
{
    return value < low ? low : value > high ? high : value;
}

// ---- loading ---------------------------------------------------------------------------------------------

// Element `index` of a buffer of uint named `words`.
#define LOAD_BITS(words, index, dtype) \
    element_bits(words[(index) >> lane_bits(dtype)], (index) & lane_mask(dtype), dtype)
#define LOAD_INT(words, index, dtype) \
    decode_int(words[(index) >> lane_bits(dtype)], (index) & lane_mask(dtype), dtype)
#define LOAD_FLOAT(words, index, dtype) \
    decode_float(words[(index) >> lane_bits(dtype)], (index) & lane_mask(dtype), dtype)

// ---- storing ---------------------------------------------------------------------------------------------

// Writes the bits of a word where `mask` is set. Where that is not all of it, other invocations may write the rest of
// the word at the same time, each its own part: then it is changed atomically.
#define STORE_MASKED(words, at, bits, mask)         \
    {                                               \
        if ((mask) == 0xffffffffu) {                \
            words[at] = bits;                       \
        } else {                                    \
            atomicAnd(words[at], ~(mask));          \
            atomicOr(words[at], (bits) & (mask));   \
        }                                           \
    }

// Writes `count` consecutive elements from element `first` on. `elements` is an array of encoded bits.
#define STORE_RUN(words, first, elements, count, dtype)                                    \
    {                                                                                      \
        uint run_at = (first) >> lane_bits(dtype), run_lane = (first) & lane_mask(dtype);  \
        uint run_bits = 0u, run_mask = 0u;                                                 \
        for (uint run_i = 0u; run_i < (count); run_i++) {                                  \
            const uint run_shift = run_lane * (32u >> lane_bits(dtype));                   \
            run_bits |= elements[run_i] << run_shift;                                      \
            run_mask |= element_mask(dtype) << run_shift;                                  \
            run_lane++;                                                                    \
            if (run_lane > lane_mask(dtype) || run_i + 1u == (count)) {                    \
                STORE_MASKED(words, run_at, run_bits, run_mask)                            \
                run_at++;                                                                  \
                run_lane = run_bits = run_mask = 0u;                                       \
            }                                                                              \
        }                                                                                  \
    }

#endif
