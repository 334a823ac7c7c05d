/*
 * reference: a plain CPU version of every executed operator. Readable, never optimised: the oracle of the
 * tests, of
 * `--verify`, and what runs where no device kernel does. Float arithmetic in float32 (float64 for float64
 * tensors) in a defined order; integer paths exact; rounding half to even, as in PyTorch.
 */
#ifndef QVK__REFERENCE_H
#define QVK__REFERENCE_H

#include "core/op.h"

/*
 * Computes one operator. `args` are resolved: tensors are TENSOR arguments with contiguous data, symbols are
 * INTs. `outs` have dtype and shape as qvk__op_infer gives them (or as the file says) and data to be written.
 * An output's data may not overlap an input's, except for operators that write their argument (update_cache,
 * copy_): those also write through it. Thread-safe: no state.
 */
typedef qvk_status (*qvk__reference_fn)(qvk__op op, const qvk__arg *args, int n_args, qvk_tensor *outs,
                                        int n_outs, qvk_error *err);

qvk_status qvk__reference_run(qvk__op op, const qvk__arg *args, int n_args, qvk_tensor *outs, int n_outs,
                              qvk_error *err);
bool qvk__reference_has(qvk__op op);

/* Element access that converts: any dtype to double / int64 and back (round half to even into float types,
 * saturating never: integer conversions wrap as in PyTorch). */
double qvk__reference_get(const qvk_tensor *tensor, int64_t index);
int64_t qvk__reference_get_int(const qvk_tensor *tensor, int64_t index);
void qvk__reference_set(qvk_tensor *tensor, int64_t index, double value);
void qvk__reference_set_int(qvk_tensor *tensor, int64_t index, int64_t value);
/* to[at] = from[index], and all elements of a tensor with as many, each converted. */
void qvk__reference_move(qvk_tensor *to, int64_t at, const qvk_tensor *from, int64_t index);
void qvk__reference_move_all(qvk_tensor *to, const qvk_tensor *from);

#endif
