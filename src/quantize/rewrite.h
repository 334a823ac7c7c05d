/*
 * Rewriting an exported program's graph: nodes are appended again in order, with new ones in between, under
 * names that stay unique. Shared by both flows.
 */
#ifndef QVK__REWRITE_H
#define QVK__REWRITE_H

#include "ir/ir.h"

typedef struct qvk__rewrite {
    qvk__exported *program;
    qvk__map names; /* every value name, and next suffix by base name */
    qvk__node *old; /* nodes before the rewrite */
    size_t n_old;
} qvk__rewrite;

/* Takes the nodes out of the graph; append the kept ones with qvk__rewrite_keep. */
qvk_status qvk__rewrite_begin(qvk__exported *program, qvk__rewrite *out, qvk_error *err);
/* Appends old node `index` as it is. */
qvk_status qvk__rewrite_keep(qvk__rewrite *rewrite, size_t index, qvk_error *err);
/* base, base_1, base_2 ...: the first that is free, as torch.fx names values. In the graph's arena; NULL: out
 * of memory. */
const char *qvk__rewrite_name(qvk__rewrite *rewrite, const char *base);
/* A new value named after `base`; syms may be NULL (static). -1 when memory runs out. */
int32_t qvk__rewrite_value(qvk__rewrite *rewrite, const char *base, const qvk_tensor *desc,
                           const int32_t *syms);
/* Appends a node whose name is `name`, with where it came from taken from `origin` (may be NULL). */
qvk_status qvk__rewrite_node(qvk__rewrite *rewrite, qvk__op op, const char *name, const qvk__node *origin,
                             const qvk__arg *args, int n_args, const int32_t *outs, int n_outs,
                             qvk_error *err);
void qvk__rewrite_end(qvk__rewrite *rewrite);

/* How much of a parameter's name is its module's: "layers.0" of "layers.0.weight", nothing of "weight" (the
 * module is the root); all of a name that is not a weight's. */
size_t qvk__module_name_length(const char *name);

#endif
