/* The device half of the operator tests: planning a graph of one node and running its dispatches. */
#ifndef QVK_TEST_OP_DEVICE_H
#define QVK_TEST_OP_DEVICE_H

#include "gpu/gpu.h"
#include "kernels/kernels.h"
#include "kernels/linear.h"

#define OP_MAX_VALUES     48
#define OP_MAX_DISPATCHES 64
#define OP_MAX_MEMORY     32

/* Host tensors by value id, numbers of symbolic values. */
typedef struct op_values {
    int n;
    qvk_tensor tensors[OP_MAX_VALUES];
    int64_t symbols[OP_MAX_VALUES];
} op_values;

typedef struct op_device op_device;

typedef struct op_device_plan {
    qvk__dispatch dispatches[OP_MAX_DISPATCHES];
    int n_dispatches;
    qvk__pack packs[OP_MAX_MEMORY];
    int n_packs;
    uint64_t scratch[OP_MAX_MEMORY];
    int n_scratch;
    int32_t alias_of[OP_MAX_VALUES]; /* value id plus 1; 0: none */
} op_device_plan;

op_device *op_device_open(void);
void op_device_close(op_device **device);
qvk__gpu *op_device_gpu(op_device *device);

/* What the planner is told about the device: kernels for other kinds of devices run on this one too. */
typedef enum op_device_view {
    OP_DEVICE_AS_IT_IS,
    OP_DEVICE_AS_GPU,        /* a CPU device as if it were a GPU */
    OP_DEVICE_AS_GPU_NO_DOT, /* and had no packed dot product */
    OP_DEVICE_BASE,          /* without any optional capability */
    OP_DEVICE_VIEWS
} op_device_view;

/* Plans the graph's only node. tuning: shapes asked of linears, NULL: the planner's own choice. */
qvk_status op_device_plan_call(op_device *device, const qvk__graph *graph, const op_values *values,
                               op_device_view view, const qvk__linear_tuning *tuning, op_device_plan *plan,
                               qvk_error *err);
void op_device_plan_free(op_device *device, op_device_plan *plan);
/* Names of the kernels in order, "a b c". */
void op_device_plan_names(const op_device_plan *plan, char *out, size_t bytes);

/* Uploads `values`, runs the dispatches, and reads everything back into `values`. Fails the test on any error
 * and when memory around a tensor was written. */
void op_device_run(op_device *device, const qvk__graph *graph, const op_device_plan *plan, op_values *values,
                   const char *what);

#endif
