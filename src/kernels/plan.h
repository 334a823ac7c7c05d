/* Planners: one per name in ops.def's `plan` column, defined in plan_*.c, reached through qvk__plan_of. */
#ifndef QVK__PLAN_H
#define QVK__PLAN_H

#include "kernels/kernels.h"

/* Declares qvk__plan_<name>, a qvk__plan_fn, for every row (names repeat, which C allows). */
#define OP(id, name, out, shape, reference, plan, schema)                                                    \
    qvk_status qvk__plan_##plan(qvk__planner *planner, const qvk__node *node, qvk_error *err);
#include "core/ops.def"
#undef OP

#endif
