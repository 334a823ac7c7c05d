// cache[b, position + s] = value[b, s]: for every image of a batch a run of elements of any size goes to its place. An
// invocation writes one word of the cache, or the part of it that belongs to the run.
#version 450
#extension GL_GOOGLE_include_directive : require

#include "flat_id.glsl"
#include "tensor_io.glsl"

layout(local_size_x = 64) in;
layout(constant_id = 0) const uint TYPE = DTYPE_F32;

layout(set = 0, binding = 0) uniform Params
{
    uint batches, run, words; // run: elements of an image; words: that the longest way to lie of a run touches
    uint cache_stride, first; // from image to image in the cache; of the first run
};
layout(set = 0, binding = 1) readonly buffer Value
{
    uint value_words[];
};
layout(set = 0, binding = 2) buffer Cache
{
    uint cache_words[];
};

void main()
{
    const uint id = flat_id(), batch = id / words;
    const uint begin = batch * cache_stride + first, end = begin + run;

    if (batch >= batches)
        return;
    const uint word = (begin >> lane_bits(TYPE)) + id % words;
    const uint low = max(begin, word << lane_bits(TYPE)), high = min(end, (word + 1u) << lane_bits(TYPE));
    if (low >= high)
        return;
    uint elements[4];
    for (uint i = low; i < high; i++)
        elements[i - low] = LOAD_BITS(value_words, batch * run + (i - begin), TYPE);
    STORE_RUN(cache_words, low, elements, high - low, TYPE)
}
