/* Small graphs for the tests of the runtime. */
#ifndef GRAPH_KIT_H
#define GRAPH_KIT_H

#include "core/graph.h"
#include "qvk/module.h"

qvk_tensor kit_desc(qvk_dtype dtype, int rank, const int64_t *sizes);
int32_t kit_input(qvk__graph *graph, const char *name, qvk_dtype dtype, int rank, const int64_t *sizes);
/* The bytes stay the caller's. */
int32_t kit_constant(qvk__graph *graph, const char *name, qvk_dtype dtype, int rank, const int64_t *sizes,
                     const void *data);
int32_t kit_symbol(qvk__graph *graph, const char *name);
/* Adds a node with one tensor output of this bound and returns the output. */
int32_t kit_call(qvk__graph *graph, qvk__op op, const qvk__arg *args, int n_args, qvk_dtype dtype, int rank,
                 const int64_t *sizes);
/* The same with a symbol as its output. */
int32_t kit_call_symbol(qvk__graph *graph, qvk__op op, const qvk__arg *args, int n_args);
/* A step that no kernel computes: scatter.src of nothing into float32 x, which gives x. */
int32_t kit_cpu_step(qvk__graph *graph, int32_t x, int rank, const int64_t *sizes);
void kit_output(qvk__graph *graph, int32_t value);

/* A tensor input or output; data may be NULL. */
qvk_value kit_tensor(qvk_dtype dtype, int rank, const int64_t *sizes, void *data);

#define KIT_V(id) qvk__arg_from_value(id)
#define KIT_I(i)  qvk__arg_from_int(i)
#define KIT_F(f)  qvk__arg_from_float(f)
#define KIT_NONE  ((qvk__arg){.kind = QVK__ARG_NULL})
#define KIT_ARGS(...)                                                                                        \
    ((const qvk__arg[]){__VA_ARGS__}), (int)(sizeof((const qvk__arg[]){__VA_ARGS__}) / sizeof(qvk__arg))
#define KIT_SHAPE(...)                                                                                       \
    (int)(sizeof((const int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), ((const int64_t[]){__VA_ARGS__})

#endif
