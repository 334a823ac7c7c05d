// The last step of attention_decode.comp: the parts of each row become one vector. A work group makes one row; a row that
// attends to nothing becomes 0.
#version 450
#extension GL_GOOGLE_include_directive : require

#include "attention_mask.glsl"
#include "flat_id.glsl"
#include "quad_io.glsl"
#include "tensor_io.glsl"

layout(local_size_x = 64) in;
layout(constant_id = 0) const uint Y_TYPE = DTYPE_F32;

layout(set = 0, binding = 0) uniform Params
{
    uint rows, chunks, value_size;
    uint kv_heads, share, rows_a_head; // rows of one key head: head r % share, query r / share
    uint y_batch, y_head, y_row;
};
layout(set = 0, binding = 1) readonly buffer Parts
{
    float parts[];
};
QUAD_OUTPUT(y, 2)

void main()
{
    const uint row = flat_group();
    const uint first = row * chunks * (value_size + 2u), stride = value_size + 2u;
    const uint r = row % rows_a_head, kv_head = row / rows_a_head % kv_heads, batch = row / (rows_a_head * kv_heads);
    const uint at = batch * y_batch + (kv_head * share + r % share) * y_head + r / share * y_row;
    float top = MINUS_INFINITY;

    if (row >= rows)
        return;
    for (uint i = 0u; i < chunks; i++)
        top = max(top, parts[first + i * stride]);
    for (uint d = gl_LocalInvocationIndex * 4u; d < value_size; d += 4u * gl_WorkGroupSize.x) {
        float sum = 0.0;
        vec4 values = vec4(0.0);
        for (uint i = 0u; i < chunks && top != MINUS_INFINITY; i++) {
            const uint part = first + i * stride;
            const float weight = exp(parts[part] - top);
            sum += weight * parts[part + 1u];
            values += weight * vec4(parts[part + 2u + d], parts[part + 3u + d], parts[part + 4u + d], parts[part + 5u + d]);
        }
        const vec4 y = top == MINUS_INFINITY ? vec4(0.0) : values / sum;
        STORE_QUAD(y, (at + d) / 4u, encode_quad_float(y, Y_TYPE), Y_TYPE)
    }
}
