#include "values.h"

#include <executorch/runtime/core/exec_aten/util/tensor_util.h>
#include <executorch/runtime/platform/log.h>

namespace et = ::executorch::runtime;
using executorch::aten::ScalarType;
using executorch::aten::Tensor;

et::Error qvk_to_executorch(qvk_status status)
{
    switch (status) {
    case QVK_OK: return et::Error::Ok;
    case QVK_INVALID_ARGUMENT:
    case QVK_INPUT_MISMATCH:
    case QVK_SHAPE: return et::Error::InvalidArgument;
    case QVK_BUSY: return et::Error::InvalidState;
    case QVK_OUT_OF_MEMORY:
    case QVK_OUT_OF_DEVICE_MEMORY: return et::Error::MemoryAllocationFailed;
    case QVK_IO: return et::Error::AccessFailed;
    case QVK_BAD_FORMAT: return et::Error::InvalidProgram;
    case QVK_BAD_VERSION: return et::Error::DelegateInvalidCompatibility;
    case QVK_NOT_FOUND: return et::Error::NotFound;
    case QVK_UNSUPPORTED_OPERATOR: return et::Error::OperatorMissing;
    case QVK_UNSUPPORTED: return et::Error::NotSupported;
    case QVK_NO_DEVICE: return et::Error::NotFound;
    case QVK_TIMEOUT:
    case QVK_DEVICE_LOST:
    case QVK_DRIVER:
    case QVK_VERIFY_FAILED:
    case QVK_INTERNAL: return et::Error::Internal;
    }
    return et::Error::Internal;
}

namespace
{

// From the one list of dtypes: its third code is ExecuTorch's ScalarType.
qvk_dtype dtype_of(ScalarType type)
{
    switch (static_cast<int>(type)) {
#define CASE(NAME, name, bytes, pt2, pte, blob, npy)                                                         \
    case pte: return QVK_DTYPE_##NAME;
        QVK_DTYPE_LIST(CASE)
#undef CASE
    default: return QVK_DTYPE_NONE;
    }
}

bool is_contiguous(const Tensor &tensor)
{
    const auto order = tensor.dim_order();
    for (size_t i = 0; i < order.size(); i++)
        if (order[i] != i)
            return false;
    return true;
}

et::Error tensor_to_qvk(const Tensor &tensor, qvk_tensor *out)
{
    out->dtype = dtype_of(tensor.scalar_type());
    out->rank = static_cast<int32_t>(tensor.dim());
    if (out->dtype == QVK_DTYPE_NONE) {
        ET_LOG(Error, "qvk: tensors of %s are not supported",
               executorch::runtime::toString(tensor.scalar_type()));
        return et::Error::NotSupported;
    }
    if (out->rank > QVK_MAX_RANK || !is_contiguous(tensor)) {
        ET_LOG(Error, "qvk: a tensor of %d dimensions%s: at most %d in C order are supported", out->rank,
               is_contiguous(tensor) ? "" : " in another order", QVK_MAX_RANK);
        return et::Error::NotSupported;
    }
    for (int32_t i = 0; i < out->rank; i++)
        out->sizes[i] = tensor.size(i);
    out->data = const_cast<void *>(tensor.const_data_ptr());
    return et::Error::Ok;
}

// A symbolic integer whose EValue is a tensor of one element.
et::Error int_to_tensor(int64_t number, Tensor &tensor)
{
    if (tensor.numel() != 1)
        return et::Error::InvalidArgument;
    if (tensor.scalar_type() == ScalarType::Long)
        tensor.mutable_data_ptr<int64_t>()[0] = number;
    else if (tensor.scalar_type() == ScalarType::Int)
        tensor.mutable_data_ptr<int32_t>()[0] = static_cast<int32_t>(number);
    else
        return et::Error::InvalidArgument;
    return et::Error::Ok;
}

et::Error resize_to(const qvk_tensor &result, Tensor &tensor)
{
    executorch::aten::SizesType sizes[QVK_MAX_RANK];

    for (int32_t i = 0; i < result.rank; i++)
        sizes[i] = static_cast<executorch::aten::SizesType>(result.sizes[i]);
    return et::resize_tensor(tensor, {sizes, static_cast<size_t>(result.rank)});
}

} // namespace

et::Error evalue_to_qvk(const et::EValue &value, qvk_value *out)
{
    *out = qvk_value{};
    if (value.isTensor())
        return tensor_to_qvk(value.toTensor(), &out->tensor);
    if (value.isInt()) {
        out->kind = QVK_VALUE_INT;
        out->i = value.toInt();
        return et::Error::Ok;
    }
    ET_LOG(Error, "qvk: an input is neither a tensor nor an int");
    return et::Error::NotSupported;
}

et::Error room_of(const qvk_value &bound, et::EValue &value, qvk_value *out)
{
    *out = qvk_value{};
    if (!value.isTensor())
        return et::Error::Ok;
    // The sizes may still be a smaller call's. ExecuTorch planned the memory for the bound.
    if (bound.kind == QVK_VALUE_TENSOR && value.toTensor().numel() < qvk_tensor_numel(&bound.tensor))
        ET_CHECK_OK_OR_RETURN_ERROR(resize_to(bound.tensor, value.toTensor()));
    return tensor_to_qvk(value.toTensor(), &out->tensor);
}

et::Error qvk_to_evalue(const qvk_value &value, et::EValue *out)
{
    if (value.kind == QVK_VALUE_TENSOR) {
        if (!out->isTensor())
            return et::Error::InvalidArgument;
        // The result lies in the tensor's memory already: only the shape is left to tell.
        return resize_to(value.tensor, out->toTensor());
    }
    if (value.kind == QVK_VALUE_INT || value.kind == QVK_VALUE_BOOL) {
        if (out->isTensor())
            return int_to_tensor(value.i, out->toTensor());
        *out = et::EValue(value.i);
        return et::Error::Ok;
    }
    return et::Error::NotSupported;
}
