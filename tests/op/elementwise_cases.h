/* Calls of elementwise operators, made from the operator table: what the quick and the thorough test share.
 */
#ifndef QVK_TEST_ELEMENTWISE_CASES_H
#define QVK_TEST_ELEMENTWISE_CASES_H

#include "op_harness.h"

/* Rows of the operator table by the name of their planner: next_planned("unary", QVK__OP_NONE) is the first,
 * QVK__OP_NONE the end. */
qvk__op next_planned(const char *plan, qvk__op after);
/* Operators that only integers have, and those that integers have too. */
bool needs_ints(qvk__op op);
bool takes_ints(qvk__op op);
/* Within a few units in the last place of what is stored. */
test_tolerance elementwise_tolerance(qvk_dtype dtype);
/* Puts NaN, infinities, zeros and other notable numbers among a float tensor's values. */
void sprinkle(qvk_tensor *tensor, size_t skip);

void check_unary(op_harness *harness, test_rng *rng, qvk__op op, qvk_dtype dtype);
/* `op` on tensors, or on a tensor and a number, of these types. */
void check_binary(op_harness *harness, test_rng *rng, qvk__op op, qvk_dtype a, qvk_dtype b);

#endif
