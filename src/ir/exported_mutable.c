/*
 * Which buffers a program writes. In torch's training dialect (what torch.export.export gives) that is not in
 * the signature: the buffer, or a view of it, is simply the first argument of an operator that works in
 * place.
 */
#include "ir/ir.h"

/* Operators whose result is a view of their first argument. */
static const qvk__op views[] = {
    QVK__OP_ALIAS,
    QVK__OP_DETACH,
    QVK__OP_VIEW,
    QVK__OP_RESHAPE,
    QVK__OP_PRIV_UNSAFE_VIEW,
    QVK__OP_VIEW_AS,
    QVK__OP_T,
    QVK__OP_SQUEEZE,
    QVK__OP_SQUEEZE_DIM,
    QVK__OP_SQUEEZE_DIMS,
    QVK__OP_TRANSPOSE_INT,
    QVK__OP_EXPAND,
    QVK__OP_SWAPAXES,
    QVK__OP_UNSQUEEZE,
    QVK__OP_SLICE_TENSOR,
    QVK__OP_SELECT_INT,
    QVK__OP_NARROW,
    QVK__OP_PERMUTE,
    QVK__OP_UNFLATTEN_INT,
    QVK__OP_FLATTEN_USING_INTS,
    QVK__OP_CONTIGUOUS,
    QVK__OP_NUMPY_T,
    QVK__OP_MOVEDIM_INT,
    QVK__OP_SPLIT_TENSOR,
    QVK__OP_SPLIT_WITH_SIZES,
    QVK__OP_CHUNK,
    QVK__OP_UNBIND_INT,
};

static bool is_view(qvk__op op)
{
    for (size_t i = 0; i < QVK__COUNT(views); i++)
        if (views[i] == op)
            return true;
    return false;
}

/* "aten.add_.Tensor", "torch.ops.aten.fill_.Tensor": PyTorch marks what works in place on its first argument.
 */
static bool is_in_place(const qvk__node *node)
{
    const char *overload = strrchr(node->target, '.');
    return overload && overload > node->target && overload[-1] == '_';
}

/* The constant a value is a view of, -1: none. */
static void follow(const qvk__node *node, int32_t *roots)
{
    int32_t root =
        node->n_args > 0 && node->args[0].kind == QVK__ARG_VALUE ? roots[node->args[0].u.value] : -1;
    bool keeps = is_view(node->op) || is_in_place(node);

    for (int i = 0; i < node->n_outs; i++)
        if (node->outs[i] >= 0)
            roots[node->outs[i]] = keeps ? root : -1;
}

static void mark_written(qvk__graph *graph, const qvk__node *node, const int32_t *roots)
{
    uint32_t written = node->op == QVK__OP_NONE ? 0 : qvk__op_written_args(node->op);

    written |= is_in_place(node) ? 1u : 0u;
    for (int i = 0; i < node->n_args && i < 32; i++)
        if (written >> i & 1 && node->args[i].kind == QVK__ARG_VALUE && roots[node->args[i].u.value] >= 0)
            graph->values.data[roots[node->args[i].u.value]].is_mutable = true;
}

bool qvk__exported_mark_mutable(qvk__exported *program)
{
    qvk__graph *graph = &program->graph;
    int32_t *roots = qvk__alloc_zeroed(graph->values.count, sizeof *roots);

    if (!roots)
        return false;
    for (size_t i = 0; i < graph->values.count; i++)
        roots[i] = graph->values.data[i].constant ? (int32_t)i : -1;
    for (size_t n = 0; n < graph->nodes.count; n++) {
        mark_written(graph, &graph->nodes.data[n], roots);
        follow(&graph->nodes.data[n], roots);
    }
    for (size_t i = 0; i < program->outputs.count; i++)
        for (size_t k = 0; k < program->inputs.count; k++)
            if (program->outputs.data[i].kind == QVK__OUTPUT_BUFFER_MUTATION &&
                program->inputs.data[k].kind == QVK__INPUT_BUFFER &&
                strcmp(program->outputs.data[i].target, program->inputs.data[k].target) == 0)
                graph->values.data[program->inputs.data[k].value].is_mutable = true;
    free(roots);
    return true;
}
