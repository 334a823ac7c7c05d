/* Reference functions: one per name in ops.def's `reference` column, reached through qvk__reference_run. */
#ifndef QVK__REFERENCE_FUNCTIONS_H
#define QVK__REFERENCE_FUNCTIONS_H

#include "reference/reference.h"

/* Declares qvk__reference_<name>, a qvk__reference_fn, for every row (names repeat, which C allows). */
#define OP(id, name, out, shape, reference, plan, schema)                                                    \
    qvk_status qvk__reference_##reference(qvk__op op, const qvk__arg *args, int n_args, qvk_tensor *outs,    \
                                          int n_outs, qvk_error *err);
#include "core/ops.def"
#undef OP

#endif
