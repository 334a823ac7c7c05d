/*
 * Sequences of calls: an operator run through the runtime's engine on one loaded graph while the shapes of
 * its inputs change, which recordings and parameters must follow.
 */
#ifndef QVK_TEST_OP_SEQUENCE_H
#define QVK_TEST_OP_SEQUENCE_H

#include "op_harness.h"

/* Makes the call of a step. Step 0 has the largest shapes; the others the same arguments with smaller shapes,
 * other data and other symbols, but no other numbers. */
typedef op_call (*op_step)(op_harness *harness, test_rng *rng, int step);

/* Runs steps 0 to n_steps - 1, the last one three times more, then all of them backwards; each against the
 * reference. The operator must run on the device. */
void op_sequence_check(op_harness *harness, op_step make, int n_steps, const char *what,
                       test_tolerance tolerance);

#endif
