// Static int8 addition and relu, four elements an invocation; float32 rounds as in the reference.
#version 450
#extension GL_GOOGLE_include_directive : require

#include "flat_id.glsl"
#include "qint8.glsl"

layout(local_size_x = 64) in;

layout(set = 0, binding = 0) uniform Params
{
    uint n_words;
    int a_zero_point, b_zero_point;
    float a_scale, b_scale, alpha;
    float inverse_scale, zero_point;
};
layout(set = 0, binding = 1) readonly buffer A
{
    uint a_words[];
};
#ifdef ADD
layout(set = 0, binding = 2) readonly buffer B
{
    uint b_words[];
};
layout(set = 0, binding = 3) writeonly buffer Y
#else
layout(set = 0, binding = 2) writeonly buffer Y
#endif
{
    uint y_words[];
};

void main()
{
    const uint word = flat_id();
    ivec4 result;

    if (word >= n_words)
        return;
    const ivec4 a = unpack_bytes(a_words[word]) - a_zero_point;
#ifdef ADD
    const ivec4 b = unpack_bytes(b_words[word]) - b_zero_point;
#endif
    for (int i = 0; i < 4; i++) {
        precise float y = float(a[i]) * a_scale;
#ifdef ADD
        precise float scaled = float(b[i]) * b_scale;
        scaled = alpha * scaled;
        y = y + scaled;
#else
        y = max(y, 0.0);
#endif
        result[i] = quantize_int8(y, inverse_scale, zero_point);
    }
    y_words[word] = pack_bytes(result);
}
