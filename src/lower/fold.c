/*
 * Constant folding: a node whose arguments are all constants is computed now, by the reference. Bounded:
 * results above the limit stay nodes, so that a broadcast of a scalar does not become a file full of zeros;
 * dequantized weights are the exception, since nothing else can run them in a compatible file.
 */
#include "core/dtype.h"
#include "lower/fuse.h"
#include "reference/reference.h"

enum { FOLD_LIMIT_BYTES = 1 << 20 };

typedef struct folder {
    const qvk__edge_pass *pass;
    qvk_tensor tensors[QVK__MAX_PARAMS];
    const qvk__constant *constants[QVK__MAX_PARAMS];
    int n;
    bool failed;
} folder;

static const qvk_tensor *resolve_tensor(void *user, int32_t id)
{
    folder *f = user;
    const qvk__value *value = &f->pass->edge->graph.values.data[id];
    const void *bytes;

    if (value->kind == QVK__VALUE_SYMBOL)
        return NULL;
    if (f->n == QVK__MAX_PARAMS || qvk__constant_bytes(value->constant, &bytes, NULL) != QVK_OK) {
        f->failed = true;
        return &value->desc;
    }
    f->tensors[f->n] = value->desc;
    f->tensors[f->n].data = (void *)(uintptr_t)bytes;
    f->constants[f->n] = value->constant;
    return &f->tensors[f->n++];
}

static int64_t resolve_symbol(void *user, int32_t id)
{
    (void)id;
    ((folder *)user)->failed = true;
    return 0;
}

typedef struct scan {
    const qvk__edge_pass *pass;
    bool constant;
} scan;

static void check_constant(int32_t id, void *user)
{
    scan *s = user;
    const qvk__value *value = &s->pass->edge->graph.values.data[s->pass->subst[id]];
    s->constant = s->constant && value->constant && !value->is_mutable;
}

static bool foldable(const qvk__edge_pass *pass, const qvk__node *node)
{
    scan s = {pass, true};
    bool dequantize =
        node->op == QVK__OP_TORCHAO_DEQUANTIZE_AFFINE || node->op == QVK__OP_QD_DEQUANTIZE_PER_CHANNEL;
    size_t bytes;

    if (node->n_outs != 1 || node->outs[0] < 0 || !qvk__reference_has(node->op) ||
        pass->edge->graph.values.data[node->outs[0]].kind == QVK__VALUE_SYMBOL)
        return false;
    bytes = qvk_tensor_bytes(qvk__edge_desc(pass->edge, node->outs[0]));
    if (bytes > FOLD_LIMIT_BYTES && !(dequantize && pass->edge->params->compat_executorch))
        return false;
    if (dequantize && !pass->edge->params->compat_executorch)
        return false; /* the runtime keeps such weights in 8 bits */
    qvk__node_visit_args(node, check_constant, &s);
    return s.constant && !qvk__edge_is_dynamic(pass->edge, node->outs[0]);
}

qvk_status qvk__match_constant(qvk__edge_pass *pass, const qvk__node *node, int32_t *outs, bool *matched,
                               qvk_error *err)
{
    folder f = {.pass = pass};
    qvk__resolver resolver = {resolve_tensor, resolve_symbol, &f};
    qvk__arena scratch = {0};
    qvk__arg substituted[QVK__MAX_PARAMS], resolved[QVK__MAX_PARAMS];
    qvk_status status = QVK_OK;
    qvk_tensor out;

    if (!foldable(pass, node) || node->n_args > QVK__MAX_PARAMS)
        return QVK_OK;
    out = *qvk__edge_desc(pass->edge, node->outs[0]);
    out.data = qvk__alloc_zeroed(qvk_tensor_bytes(&out), 1);
    QVK__CHECK_GO(out.data, err, QVK_OUT_OF_MEMORY, "out of memory");
    for (int i = 0; i < node->n_args; i++)
        substituted[i] = qvk__pass_arg(pass, &node->args[i]);
    QVK__CHECK_GO(qvk__args_resolve(substituted, node->n_args, &resolver, &scratch, resolved), err,
                  QVK_OUT_OF_MEMORY, "out of memory");
    if (!f.failed && qvk__reference_run(node->op, resolved, node->n_args, &out, 1, NULL) == QVK_OK) {
        QVK__TRY_GO(qvk__edge_constant(pass->edge, &out, &outs[0], err));
        *matched = true;
    }
done:
    for (int i = 0; i < f.n; i++)
        qvk__constant_release(f.constants[i], f.tensors[i].data);
    qvk__arena_free(&scratch);
    free(out.data);
    return status;
}
