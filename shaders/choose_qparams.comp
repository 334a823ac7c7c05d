// Scale and zero point of runs of elements (a token, a group, a whole tensor). A work group takes RUNS of them: four
// where the results are narrow, so that it writes whole words. A long run may be cut into parts: a first dispatch
// leaves the range of each part, a second one takes those as its input.
#version 450
#extension GL_GOOGLE_include_directive : require
#ifdef SUBGROUP
#extension GL_KHR_shader_subgroup_arithmetic : require
#endif

#include "elements.glsl"
#include "flat_id.glsl"
#include "qparams.glsl"

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint THREADS = 64u;
layout(constant_id = 1) const uint RUNS = 1u;

const uint ASYMMETRIC = 0u, SYMMETRIC = 1u, NO_CLIPPING = 2u, PER_TOKEN = 3u;

layout(set = 0, binding = 0) uniform Params
{
    uint count;      // elements of x
    uint run;        // elements a work group looks at
    uint n_runs;
    uint x_type;     // 0: x holds (low, high) pairs
    uint is_partial; // leaves (low, high) pairs in the scales
    uint mapping;
    float quant_min;
    float quant_max;
    float eps;
    uint half_steps; // each step is rounded to float16
    uint scale_type;
    uint zero_point_type;
    float nan_zero_point;
};
layout(set = 0, binding = 1) readonly buffer X
{
    uint x_words[];
};
layout(set = 0, binding = 2) writeonly buffer Scales
{
    uint scale_words[];
};
layout(set = 0, binding = 3) writeonly buffer ZeroPoints
{
    uint zero_point_words[];
};

#ifndef SUBGROUP
shared vec2 shared_range[THREADS];
#endif

ELEMENT_READER(read_x, x_words)

vec2 join_pair(vec2 range, uint halves)
{
    const vec2 x = unpackHalf2x16(halves);
    return join_value(join_value(range, x.x), x.y);
}

// One of `team` invocations that share a run, by its number `me`.
vec2 range_of_run(uint run_index, uint me, uint team)
{
    const uint first = run_index * run, last = min(first + run, count);
    vec2 range = vec2(0.0);
    if (run_index >= n_runs)
        return range;
    if (x_type == 0u) {
        for (uint i = first + me; i < last; i += team)
            range = join_ranges(range, vec2(uintBitsToFloat(x_words[2u * i]), uintBitsToFloat(x_words[2u * i + 1u])));
    } else if ((run & 1u) == 0u && x_type == DTYPE_F16) {
        for (uint i = (first >> 1) + me; i < (last + 1u) >> 1; i += team)
            range = join_pair(range, 2u * i + 1u < last ? x_words[i] : x_words[i] & 0xffffu);
    } else {
        for (uint i = first + me; i < last; i += team)
            range = join_value(range, read_x(x_type, i));
    }
    return range;
}

#ifdef SUBGROUP
// The work group is one subgroup, which takes its runs in turn.
void find_ranges(uint first_run, out vec2 ranges[4])
{
    for (uint r = 0u; r < RUNS; r++) {
        const vec2 mine = range_of_run(first_run + r, gl_SubgroupInvocationID, THREADS);
        const bool nan = subgroupMax(is_nan_range(mine) ? 1u : 0u) != 0u;
        ranges[r] = nan ? NAN_RANGE : vec2(subgroupMin(mine.x), subgroupMax(mine.y));
    }
}
#else
// The work group splits into a team for each run.
void find_ranges(uint first_run, out vec2 ranges[4])
{
    const uint team = THREADS / RUNS, me = gl_LocalInvocationIndex % team;
    shared_range[gl_LocalInvocationIndex] = range_of_run(first_run + gl_LocalInvocationIndex / team, me, team);
    barrier();
    for (uint step = team >> 1; step > 0u; step >>= 1) {
        if (me < step)
            shared_range[gl_LocalInvocationIndex] =
                join_ranges(shared_range[gl_LocalInvocationIndex], shared_range[gl_LocalInvocationIndex + step]);
        barrier();
    }
    for (uint r = 0u; r < RUNS; r++)
        ranges[r] = shared_range[r * team];
}
#endif

float scale_of(vec2 range)
{
    const bool is_half = half_steps != 0u;
    if (is_nan_range(range) || mapping == ASYMMETRIC || mapping == PER_TOKEN)
        return scale_of_range(range, quant_max - quant_min, eps, is_half);
    if (mapping == SYMMETRIC)
        return max(in_type(exact_div(max(-range.x, range.y), (quant_max - quant_min) * 0.5), is_half), eps);
    return max(max(in_type(exact_div(range.x, quant_min), is_half), in_type(exact_div(range.y, quant_max), is_half)),
               eps);
}

// choose_qparams_per_token_asymmetric: the end of the range with the smaller error decides, rounding comes last.
float zero_point_per_token(vec2 range, float scale)
{
    const bool is_half = half_steps != 0u;
    if (is_nan_range(range) || !is_finite(range.y))
        return nan_zero_point;
    if (!is_finite(scale))
        return 127.0;
    const float low = in_type(exact_div(range.x, scale), is_half), high = in_type(exact_div(range.y, scale), is_half);
    precise float from_low = -128.0 + low, from_high = 127.0 + high;
    precise float balance = in_type(from_low, is_half) + in_type(from_high, is_half);
    precise float below = -128.0 - low, above = 127.0 - high;
    return roundEven(clamp(in_type(balance > 0.0 ? below : above, is_half), -128.0, 127.0));
}

float zero_point_of(vec2 range, float scale)
{
    if (mapping == SYMMETRIC || mapping == NO_CLIPPING)
        return trunc((quant_max + quant_min + 1.0) * 0.5);
    if (mapping == PER_TOKEN)
        return zero_point_per_token(range, scale);
    return zero_point_of_range(range, scale, quant_min, quant_max, nan_zero_point, half_steps != 0u);
}

void main()
{
    const uint group = flat_group();
    const uint first_run = group * RUNS;
    vec2 ranges[4];
    if (first_run >= n_runs)
        return;
    find_ranges(first_run, ranges);
    if (gl_LocalInvocationIndex != 0u)
        return;
    uint narrow_scales[2] = uint[2](0u, 0u), zero_point_bytes = 0u;
    for (uint r = 0u; r < RUNS && first_run + r < n_runs; r++) {
        const uint index = first_run + r;
        if (is_partial != 0u) {
            scale_words[2u * index] = floatBitsToUint(ranges[r].x);
            scale_words[2u * index + 1u] = floatBitsToUint(ranges[r].y);
            continue;
        }
        const float scale = scale_of(ranges[r]), zero_point = zero_point_of(ranges[r], scale);
        if (scale_type == DTYPE_F32)
            scale_words[index] = floatBitsToUint(scale);
        else
            narrow_scales[r >> 1] |= half_bits(scale) << (16u * (r & 1u));
        const int z = zero_point <= -2147483648.0 ? int(0x80000000u) : int(zero_point);
        if (zero_point_type == DTYPE_I32)
            zero_point_words[index] = uint(z);
        else
            zero_point_bytes |= (uint(z) & 255u) << (8u * r);
    }
    if (is_partial != 0u)
        return;
    if (scale_type != DTYPE_F32)
        for (uint pair = 0u; pair < 2u && first_run + 2u * pair < n_runs; pair++)
            scale_words[(first_run >> 1) + pair] = narrow_scales[pair];
    if (zero_point_type != DTYPE_I32)
        zero_point_words[first_run >> 2] = zero_point_bytes;
}
