/* What the tests of quantized linears share: cases, arguments of size about one's results, tolerances. */
#ifndef QVK_TEST_LINEAR_CASES_H
#define QVK_TEST_LINEAR_CASES_H

#include "op_harness.h"

extern const test_tolerance LINEAR_FLOAT_SUM; /* float32 sums of k products in another order */
extern const test_tolerance LINEAR_HALF_SUM;  /* the same stored as fp16 */
extern const test_tolerance
    LINEAR_GROUP_SUM; /* integer sums exact; the groups' float32 sum may be cut differently */

typedef struct linear_case {
    int64_t m, n, k, group; /* group 0: per channel */
    qvk_dtype dtype;
    bool bias;
} linear_case;

/* A quantized linear: bits of the weights, and whether activations are quantized on the way. */
typedef struct linear_scheme {
    qvk__op op;
    int bits;
    bool is_int8;
} linear_scheme;

#define LINEAR_SCHEMES 4
extern const linear_scheme
    linear_fused_schemes[LINEAR_SCHEMES]; /* 4w, 8w, 8da4w, 8da8w as qvk.fused_linear_* */

int64_t linear_group_of(const linear_case *c);
int64_t linear_groups_of(const linear_case *c);
void linear_describe(const linear_case *c, const char *what, char out[128]);
/* LINEAR_HALF_SUM for fp16, or else the other. */
test_tolerance linear_tolerance_of(const linear_case *c, test_tolerance otherwise);

/* Append an argument. Scales are such that results are of size about one; bias: None where the case has none.
 */
void linear_fill_scales(qvk_tensor *scales, test_rng *rng, int64_t k, float largest);
void linear_add_weights(op_call *call, test_rng *rng, const linear_case *c, int bits);
void linear_add_scales(op_call *call, test_rng *rng, const linear_case *c, int bits);
void linear_add_bias(op_call *call, test_rng *rng, const linear_case *c);

#endif
