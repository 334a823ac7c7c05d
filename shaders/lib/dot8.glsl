// Packed int8 dot product (rows with QVK__CAP_DOT8): OpSDot of SPV_KHR_integer_dot_product, written out because
// GL_EXT_integer_dot_product came to glslang only after the versions this project builds with.
#ifndef DOT8_GLSL
#define DOT8_GLSL

#extension GL_EXT_spirv_intrinsics : require

// OpSDot with capabilities DotProduct and DotProductInput4x8BitPacked; the literal 0 is PackedVectorFormat4x8Bit.
spirv_instruction(extensions = ["SPV_KHR_integer_dot_product"], capabilities = [6019, 6018], id = 4450)
int spirv_sdot(int a, int b, spirv_literal int format);

// Sum of the products of four signed bytes.
int dot8(int a, int b)
{
    return spirv_sdot(a, b, 0);
}

#endif
