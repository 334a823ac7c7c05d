/*
 * Operator tests: one call computed by its planner's kernels on the device the test meets, and by the
 * reference; the two must agree within a named tolerance. The harness stands in for the runtime: it builds a
 * graph of one node, plans it, packs constants, records, runs, reads back.
 *
 * What it checks beyond results: no tensor but the outputs (and the arguments an operator writes) changes;
 * nothing is written beyond the space of a tensor (kernels.h, "Device formats"); the validation layer is
 * silent; every kernel set that runs on the device agrees - the call is planned with all capabilities, with
 * none, and, on a CPU device, as for a GPU (op_device_view).
 */
#ifndef QVK_TEST_OP_HARNESS_H
#define QVK_TEST_OP_HARNESS_H

#include "core/op.h"
#include "op_device.h"
#include "support/support.h"

#define OP_MAX_ARGS 20

typedef struct op_harness op_harness;

/* Opens the device; fails the test when there is none. */
op_harness *op_harness_open(void);
/* Closes it; fails the test when the validation layer said anything or memory is left. */
void op_harness_close(op_harness **harness);
/* The same as a test group's setup and teardown: the tests' *state is the harness. */
int op_harness_setup(void **state);
int op_harness_teardown(void **state);

/*
 * A call. Tensors, lists and data live in an arena of the harness until op_harness_close or op_harness_reset.
 * Arguments are appended in schema order.
 */
typedef struct op_call {
    op_harness *harness;
    qvk__op op;
    qvk__arg args[OP_MAX_ARGS];
    int n_args;
    uint32_t constants; /* bit i: tensor argument i is a constant of the graph (and may be packed) */
    uint32_t symbols;   /* bit i: integer argument i is a symbolic value of the graph */
    uint32_t unread;    /* bit i: output i is not compared */
    uint32_t families;  /* bit i: planned once more with family i of linears (qvk__linear_family) asked for */
    qvk__coopmat_tile
        tile; /* of cooperative matrices: planned with those families alone; zeros: the planner's own */
} op_call;

op_call op_call_begin(op_harness *harness, qvk__op op);

/* A tensor of the given shape; sizes end with -1. Values are random: floats normal, integers over [low,
 * high]. The returned tensor may be changed until the call runs. */
qvk_tensor *op_arg_random(op_call *call, test_rng *rng, qvk_dtype dtype, const int64_t *sizes, int64_t low,
                          int64_t high);
/* The same as a constant. */
qvk_tensor *op_arg_constant(op_call *call, test_rng *rng, qvk_dtype dtype, const int64_t *sizes, int64_t low,
                            int64_t high);
/* Arguments that stay as they are: op_arg(&call, qvk__arg_from_int(3)). */
void op_arg(op_call *call, qvk__arg arg);
void op_arg_none(op_call *call);
void op_arg_string(op_call *call, const char *text);
void op_arg_ints(op_call *call, const int64_t *values, int n);
/* A symbolic integer with this current value. */
void op_arg_symbol(op_call *call, int64_t value);
/* List of the `n` tensors appended last: they become one argument. */
void op_arg_gather(op_call *call, int n);

/* Output `index` is one that nobody reads. */
void op_call_ignore_output(op_call *call, int index);

/* Runs and compares. `what` names the case in failures. */
void op_call_check(op_call *call, const char *what, test_tolerance tolerance);
/* The planner must refuse the call (QVK_UNSUPPORTED): it runs on the reference. */
void op_call_check_fallback(op_call *call, const char *what);
/* Kernels of the last checked call, as they ran last: "a b c". */
const char *op_harness_kernels(const op_harness *harness);

/* What the device under test can do. */
const qvk__gpu_caps *op_harness_caps(const op_harness *harness);

/* Frees the tensors of all calls so far. */
void op_harness_reset(op_harness *harness);

/* ---- for sequences of calls (op_sequence.c) ------------------------------------------------------------- */

/* Makes the call the only node of an empty graph: arguments become values in their order, then outputs from
 * id *first_out on. Returns the number of outputs. */
int op_call_into_graph(op_call *call, qvk__graph *graph, op_values *values, int32_t *first_out);
void op_call_compare(op_call *call, const char *what, const char *role, int32_t id, const qvk_tensor *actual,
                     const qvk_tensor *expected, test_tolerance tolerance);
op_device *op_harness_device(op_harness *harness);

/* {2, 3, -1} as an argument. */
#define OP_SHAPE(...) ((const int64_t[]){__VA_ARGS__, -1})

#endif
