// What a score becomes through the mask of an attention call. The uniform block has ATTENTION_MASK_PARAMS, in the order of
// add_mask (src/kernels/plan_attention.c); a buffer mask_words is bound.
#ifndef ATTENTION_MASK_GLSL
#define ATTENTION_MASK_GLSL

#define ATTENTION_MASK_PARAMS                             \
    uint causal_first; /* keys that query 0 may attend to */ \
    uint mask_outer, mask_inner, mask_query, mask_key;

#define MINUS_INFINITY uintBitsToFloat(0xff800000u)

// MASK_TYPE: 0 for none; CAUSAL: later keys are left out.
#define MASKED_SCORE(value, outer, inner, query, key)                                                            \
    (CAUSAL && (key) >= causal_first + (query) ? MINUS_INFINITY                                                  \
     : MASK_TYPE == 0u                         ? (value)                                                         \
     : MASK_TYPE == DTYPE_BOOL                                                                                   \
         ? (LOAD_INT(mask_words, MASK_PLACE(outer, inner, query, key), DTYPE_BOOL) != 0 ? (value)                \
                                                                                        : MINUS_INFINITY)        \
         : (value) + LOAD_FLOAT(mask_words, MASK_PLACE(outer, inner, query, key), MASK_TYPE))
#define MASK_PLACE(outer, inner, query, key) \
    ((outer) * mask_outer + (inner) * mask_inner + (query) * mask_query + (key) * mask_key)

#endif
