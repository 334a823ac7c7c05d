// A work group goes over the words of a tensor that hold elements [first, last): invocation i takes words i, i + size,
// ... of them, and of each word the elements [low, high) that belong to the range. For rows of 8- and 16-bit elements
// that begin or end inside a word.
//
//   FOR_ROW_WORDS(first, last, TYPE, low, high) { ... elements low to high - 1 ... }
#ifndef ROW_WORDS_GLSL
#define ROW_WORDS_GLSL

#define FOR_ROW_WORDS(first, last, dtype, low, high)                                              \
    for (uint low = max(first, (((first) >> lane_bits(dtype)) + gl_LocalInvocationIndex) << lane_bits(dtype)), \
              high = min(last, ((low >> lane_bits(dtype)) + 1u) << lane_bits(dtype));             \
         low < (last);                                                                            \
         low = ((low >> lane_bits(dtype)) + gl_WorkGroupSize.x) << lane_bits(dtype),              \
              high = min(last, ((low >> lane_bits(dtype)) + 1u) << lane_bits(dtype)))

#endif
