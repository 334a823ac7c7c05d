#include "runtime/graph_kit.h"

#include "support/support.h"

qvk_tensor kit_desc(qvk_dtype dtype, int rank, const int64_t *sizes)
{
    qvk_tensor desc = {.dtype = dtype, .rank = rank};

    for (int i = 0; i < rank; i++) /* sizes may be NULL for a scalar */
        desc.sizes[i] = sizes[i];
    return desc;
}

static int32_t add_value(qvk__graph *graph, const char *name, const qvk_tensor *desc)
{
    const int32_t value = qvk__graph_add_value(graph, name, desc);
    assert_true(value >= 0);
    return value;
}

int32_t kit_input(qvk__graph *graph, const char *name, qvk_dtype dtype, int rank, const int64_t *sizes)
{
    const qvk_tensor desc = kit_desc(dtype, rank, sizes);
    const int32_t value = add_value(graph, name, &desc);
    assert_true(QVK__VEC_PUSH(&graph->inputs, value));
    return value;
}

int32_t kit_constant(qvk__graph *graph, const char *name, qvk_dtype dtype, int rank, const int64_t *sizes,
                     const void *data)
{
    const qvk_tensor desc = kit_desc(dtype, rank, sizes);
    const int32_t value = add_value(graph, name, &desc);
    qvk__constant *constant = qvk__arena_alloc(&graph->arena, 1, sizeof *constant);
    assert_non_null(constant);
    constant->data = data;
    constant->bytes = qvk_tensor_bytes(&desc);
    constant->name = name;
    graph->values.data[value].constant = constant;
    return value;
}

int32_t kit_symbol(qvk__graph *graph, const char *name)
{
    return add_value(graph, name, NULL);
}

int32_t kit_call(qvk__graph *graph, qvk__op op, const qvk__arg *args, int n_args, qvk_dtype dtype, int rank,
                 const int64_t *sizes)
{
    const qvk_tensor desc = kit_desc(dtype, rank, sizes);
    const int32_t out = add_value(graph, NULL, &desc);
    assert_true(qvk__graph_add_node(graph, op, NULL, args, n_args, &out, 1) >= 0);
    return out;
}

int32_t kit_call_symbol(qvk__graph *graph, qvk__op op, const qvk__arg *args, int n_args)
{
    const int32_t out = add_value(graph, NULL, NULL);
    assert_true(qvk__graph_add_node(graph, op, NULL, args, n_args, &out, 1) >= 0);
    return out;
}

int32_t kit_cpu_step(qvk__graph *graph, int32_t x, int rank, const int64_t *sizes)
{
    static const int64_t no_sizes[QVK_MAX_RANK] = {0}, no_index = 0;
    static const float no_source = 0.0f;
    const int32_t index = kit_constant(graph, NULL, QVK_DTYPE_I64, rank, no_sizes, &no_index);
    const int32_t source = kit_constant(graph, NULL, QVK_DTYPE_F32, rank, no_sizes, &no_source);

    return kit_call(graph, QVK__OP_SCATTER_SRC, KIT_ARGS(KIT_V(x), KIT_I(0), KIT_V(index), KIT_V(source)),
                    QVK_DTYPE_F32, rank, sizes);
}

void kit_output(qvk__graph *graph, int32_t value)
{
    assert_true(QVK__VEC_PUSH(&graph->outputs, value));
}

qvk_value kit_tensor(qvk_dtype dtype, int rank, const int64_t *sizes, void *data)
{
    qvk_value value = {.kind = QVK_VALUE_TENSOR, .tensor = kit_desc(dtype, rank, sizes)};
    value.tensor.data = data;
    return value;
}
