/* Shape rules: one per name in ops.def's `shape` column, defined in shape_*.c, reached through qvk__op_infer.
 */
#ifndef QVK__SHAPE_H
#define QVK__SHAPE_H

#include "core/op.h"

/* Declares qvk__shape_<name>, a qvk__shape_fn, for every row (names repeat, which C allows). */
#define OP(id, name, out, shape, reference, plan, schema)                                                    \
    qvk_status qvk__shape_##shape(qvk__op op, const qvk__arg *args, int n_args, qvk_tensor *outs,            \
                                  int n_outs, qvk_error *err);
#include "core/ops.def"
#undef OP

#endif
