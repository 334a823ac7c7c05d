// ExecuTorch's values as qvk's, and back.
#ifndef QVK_EXECUTORCH_VALUES_H
#define QVK_EXECUTORCH_VALUES_H

#include <executorch/runtime/core/error.h>
#include <executorch/runtime/core/evalue.h>

#include "qvk/module.h"

// The nearest ExecuTorch error.
executorch::runtime::Error qvk_to_executorch(qvk_status status);
// Borrows the tensor's data. Only contiguous (C order) tensors.
executorch::runtime::Error evalue_to_qvk(const executorch::runtime::EValue &value, qvk_value *out);
// The memory that qvk_delegate_run is to write this output into, all of it: a tensor gets its bound's sizes.
executorch::runtime::Error room_of(const qvk_value &bound, executorch::runtime::EValue &value,
                                   qvk_value *out);
// Resizes a tensor that room_of offered to the result's shape; symbolic integers become ints.
executorch::runtime::Error qvk_to_evalue(const qvk_value &value, executorch::runtime::EValue *out);

#endif
