/*
 * Output shapes of operators that are never executed as such (the lowering rewrites them), for whoever builds
 * or rewrites exported programs: qvk__op_infer knows only the executed ones.
 */
#ifndef QVK__INFER_COMPOSITE_H
#define QVK__INFER_COMPOSITE_H

#include "core/op.h"

/* As qvk__op_count_outputs and qvk__op_infer, for every operator that either of the two knows. */
qvk_status qvk__composite_count_outputs(qvk__op op, const qvk__arg *args, int n_args, int *n_outs,
                                        qvk_error *err);
qvk_status qvk__composite_infer(qvk__op op, const qvk__arg *args, int n_args, qvk_tensor *outs, int n_outs,
                                qvk_error *err);

#endif
