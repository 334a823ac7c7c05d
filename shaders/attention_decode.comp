// Attention of a few query rows over many keys: a work group takes CHUNK keys of one key head, and all ROWS = share *
// queries rows that attend to it (row r: head r % share, query r / share). What it makes is partial: for each row the
// largest score, the sum of exponentials, and the values weighted by them; attention_combine.comp puts the parts together.
// Vectors begin at multiples of 4 elements.
#version 450
#extension GL_GOOGLE_include_directive : require

#include "attention_mask.glsl"
#include "flat_id.glsl"
#include "quad_io.glsl"
#include "tensor_io.glsl"

#define CHUNK    128u
#define MAX_ROWS 8u
#define MAX_HEAD 256u
#define ROW_LANES (CHUNK / MAX_ROWS)

layout(local_size_x = 128) in;
layout(constant_id = 0) const uint Q_TYPE = DTYPE_F32;
layout(constant_id = 1) const uint K_TYPE = DTYPE_F32;
layout(constant_id = 2) const uint V_TYPE = DTYPE_F32;
layout(constant_id = 3) const uint MASK_TYPE = 0; // 0: none
layout(constant_id = 4) const bool CAUSAL = false;
layout(constant_id = 5) const uint ROWS = 1u;

layout(set = 0, binding = 0) uniform Params
{
    uint batches, kv_heads, share, keys, chunks;
    uint head_size, value_size;
    uint q_batch, q_head, q_row; // strides in elements
    uint k_batch, k_head, k_row;
    uint v_batch, v_head, v_row;
    float scale;
    ATTENTION_MASK_PARAMS
};
QUAD_INPUT(q, 1)
QUAD_INPUT(k, 2)
QUAD_INPUT(v, 3)
layout(set = 0, binding = 4) readonly buffer Mask
{
    uint mask_words[];
};
layout(set = 0, binding = 5) writeonly buffer Parts
{
    float parts[]; // [batch][kv_head][row][chunk]: largest score, sum, weighted values
};

shared vec4 query[MAX_ROWS][MAX_HEAD / 4u];
shared float weights[MAX_ROWS][CHUNK];
shared float lane_values[CHUNK];

uint batch, kv_head, first_key;

void load_queries()
{
    const uint quads = head_size / 4u;
    for (uint i = gl_LocalInvocationIndex; i < ROWS * quads; i += CHUNK) {
        const uint r = i / quads, head = kv_head * share + r % share;
        const uint at = batch * q_batch + head * q_head + r / share * q_row + i % quads * 4u;
        query[r][i % quads] = scale * decode_quad_float(LOAD_QUAD(q, at / 4u, Q_TYPE), Q_TYPE);
    }
}

// One key an invocation.
void score_keys()
{
    const uint key = first_key + gl_LocalInvocationIndex;
    float scores[MAX_ROWS];
    for (uint r = 0u; r < ROWS; r++)
        scores[r] = 0.0;
    if (key < keys) {
        const uint at = (batch * k_batch + kv_head * k_head + key * k_row) / 4u;
        for (uint d = 0u; d < head_size / 4u; d++) {
            const vec4 part = decode_quad_float(LOAD_QUAD(k, at + d, K_TYPE), K_TYPE);
            for (uint r = 0u; r < ROWS; r++)
                scores[r] += dot(part, query[r][d]);
        }
    }
    for (uint r = 0u; r < ROWS; r++) {
        const uint head = kv_head * share + r % share;
        weights[r][gl_LocalInvocationIndex] =
            key < keys ? MASKED_SCORE(scores[r], batch, head, r / share, key) : MINUS_INFINITY;
    }
}

// Over the ROW_LANES invocations that share a row.
float reduced(float value, bool maximum)
{
    const uint id = gl_LocalInvocationIndex;
    barrier();
    lane_values[id] = value;
    barrier();
    for (uint step = ROW_LANES / 2u; step > 0u; step /= 2u) {
        if (id % ROW_LANES < step)
            lane_values[id] = maximum ? max(lane_values[id], lane_values[id + step])
                                      : lane_values[id] + lane_values[id + step];
        barrier();
    }
    return lane_values[id / ROW_LANES * ROW_LANES];
}

uint part_of(uint r)
{
    const uint row = (batch * kv_heads + kv_head) * ROWS + r;
    return (row * chunks + first_key / CHUNK) * (value_size + 2u);
}

// Scores become weights relative to the row's largest.
void weigh()
{
    const uint r = gl_LocalInvocationIndex / ROW_LANES, lane = gl_LocalInvocationIndex % ROW_LANES;
    float top = MINUS_INFINITY, sum = 0.0;
    if (r < ROWS)
        for (uint i = lane; i < CHUNK; i += ROW_LANES)
            top = max(top, weights[r][i]);
    top = reduced(top, true);
    if (r < ROWS)
        for (uint i = lane; i < CHUNK; i += ROW_LANES) {
            const float weight = top == MINUS_INFINITY ? 0.0 : exp(weights[r][i] - top);
            weights[r][i] = weight;
            sum += weight;
        }
    sum = reduced(sum, false);
    if (r < ROWS && lane == 0u) {
        parts[part_of(r)] = top;
        parts[part_of(r) + 1u] = sum;
    }
}

void add_values()
{
    const uint count = min(CHUNK, keys - first_key);
    const uint base = batch * v_batch + kv_head * v_head + first_key * v_row;
    for (uint d = gl_LocalInvocationIndex; d < value_size; d += CHUNK) {
        float sums[MAX_ROWS];
        for (uint r = 0u; r < ROWS; r++)
            sums[r] = 0.0;
        for (uint i = 0u; i < count; i++) {
            const float value = LOAD_FLOAT(v_words, base + i * v_row + d, V_TYPE);
            for (uint r = 0u; r < ROWS; r++)
                sums[r] += weights[r][i] * value;
        }
        for (uint r = 0u; r < ROWS; r++)
            parts[part_of(r) + 2u + d] = sums[r];
    }
}

void main()
{
    const uint place = flat_group();

    first_key = place % chunks * CHUNK;
    kv_head = place / chunks % kv_heads;
    batch = place / (chunks * kv_heads);
    if (batch >= batches)
        return;
    load_queries();
    barrier();
    score_keys();
    barrier();
    weigh();
    barrier();
    add_values();
}
