// Reading tensors whose type is known only at run time: qvk_dtype codes, elements packed into 32-bit words.
// ELEMENT_READER(name, buffer_words) defines name(type, index) -> float, exact for every type but large int32.
#ifndef ELEMENTS_GLSL
#define ELEMENTS_GLSL

// As in qvk/tensor.h.
const uint DTYPE_F32 = 1u, DTYPE_F16 = 2u, DTYPE_I8 = 5u, DTYPE_U8 = 6u, DTYPE_I16 = 7u, DTYPE_I32 = 8u;

float element_of_word(uint type, uint word, uint index)
{
    if (type == DTYPE_F32)
        return uintBitsToFloat(word);
    if (type == DTYPE_F16)
        return unpackHalf2x16(word >> (16u * (index & 1u))).x;
    if (type == DTYPE_I8)
        return float(bitfieldExtract(int(word), int(8u * (index & 3u)), 8));
    if (type == DTYPE_U8)
        return float(bitfieldExtract(word, int(8u * (index & 3u)), 8));
    if (type == DTYPE_I16)
        return float(bitfieldExtract(int(word), int(16u * (index & 1u)), 16));
    return float(int(word));
}

// log2 of the elements in a word.
uint elements_shift(uint type)
{
    return type == DTYPE_F32 || type == DTYPE_I32 ? 0u : type == DTYPE_F16 || type == DTYPE_I16 ? 1u : 2u;
}

#define ELEMENT_READER(name, words)                                                                          \
    float name(uint type, uint index)                                                                        \
    {                                                                                                        \
        return element_of_word(type, words[index >> elements_shift(type)], index);                           \
    }

#endif
