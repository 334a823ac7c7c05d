// The mapping between ExecuTorch's values and errors and qvk's, without a program or a device.
#include <algorithm>
#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <vector>

#include <executorch/runtime/core/portable_type/tensor_impl.h>
#include <executorch/runtime/platform/runtime.h>

extern "C" {
#include <cmocka.h>
}

#include "values.h"

namespace et = ::executorch::runtime;
using executorch::aten::ScalarType;
using executorch::aten::SizesType;
using executorch::runtime::etensor::TensorImpl;

namespace
{

// A tensor whose memory was planned for the sizes it is made with.
struct Planned {
    std::vector<SizesType> sizes;
    std::vector<uint8_t> order;
    std::vector<int32_t> strides;
    std::vector<int64_t> data; // aligned for every type
    TensorImpl impl;
    et::EValue value;

    explicit Planned(std::vector<SizesType> of, ScalarType type = ScalarType::Float,
                     et::TensorShapeDynamism dynamism = et::TensorShapeDynamism::DYNAMIC_BOUND)
        : sizes(std::move(of)), order(sizes.size()), strides(sizes.size()), data(1024),
          impl(type, static_cast<ssize_t>(sizes.size()), sizes.data(), data.data(), order.data(),
               strides.data(), dynamism),
          value(executorch::aten::Tensor(&impl))
    {
        int32_t stride = 1;
        for (size_t i = sizes.size(); i-- > 0; stride *= sizes[i]) {
            order[i] = static_cast<uint8_t>(i);
            strides[i] = stride;
        }
    }
    Planned(const Planned &) = delete;
};

qvk_value tensor_value(std::vector<int64_t> sizes, qvk_dtype dtype = QVK_DTYPE_F32)
{
    qvk_value value{};
    value.tensor.dtype = dtype;
    value.tensor.rank = static_cast<int32_t>(sizes.size());
    std::copy(sizes.begin(), sizes.end(), value.tensor.sizes);
    return value;
}

qvk_value int_value(int64_t number)
{
    qvk_value value{};
    value.kind = QVK_VALUE_INT;
    value.i = number;
    return value;
}

void expect(et::Error got, et::Error wanted)
{
    assert_int_equal(static_cast<int>(got), static_cast<int>(wanted));
}

// ---- errors ---------------------------------------------------------------------------------------------------

void every_status_has_an_error(void **)
{
    static const qvk_status statuses[] = {
#define STATUS(name, number, text) QVK_##name,
        QVK_STATUS_LIST(STATUS)
#undef STATUS
    };
    for (const qvk_status status : statuses)
        assert_true((qvk_to_executorch(status) == et::Error::Ok) == (status == QVK_OK));
    expect(qvk_to_executorch(QVK_BAD_FORMAT), et::Error::InvalidProgram);
    expect(qvk_to_executorch(QVK_BAD_VERSION), et::Error::DelegateInvalidCompatibility);
    expect(qvk_to_executorch(QVK_INPUT_MISMATCH), et::Error::InvalidArgument);
    expect(qvk_to_executorch(QVK_BUSY), et::Error::InvalidState);
    expect(qvk_to_executorch(QVK_OUT_OF_DEVICE_MEMORY), et::Error::MemoryAllocationFailed);
    expect(qvk_to_executorch(QVK_UNSUPPORTED_OPERATOR), et::Error::OperatorMissing);
}

// ---- inputs ---------------------------------------------------------------------------------------------------

void every_dtype_arrives_as_itself(void **)
{
    static const struct {
        ScalarType theirs;
        qvk_dtype ours;
    } pairs[] = {
        {ScalarType::Float, QVK_DTYPE_F32},     {ScalarType::Half, QVK_DTYPE_F16},
        {ScalarType::BFloat16, QVK_DTYPE_BF16}, {ScalarType::Double, QVK_DTYPE_F64},
        {ScalarType::Char, QVK_DTYPE_I8},       {ScalarType::Byte, QVK_DTYPE_U8},
        {ScalarType::Short, QVK_DTYPE_I16},     {ScalarType::Int, QVK_DTYPE_I32},
        {ScalarType::Long, QVK_DTYPE_I64},      {ScalarType::Bool, QVK_DTYPE_BOOL},
    };
    assert_int_equal(sizeof pairs / sizeof *pairs, QVK_DTYPE_COUNT - 1);
    for (const auto &pair : pairs) {
        Planned tensor({2, 3, 4}, pair.theirs);
        qvk_value value;
        expect(evalue_to_qvk(tensor.value, &value), et::Error::Ok);
        assert_int_equal(value.kind, QVK_VALUE_TENSOR);
        assert_int_equal(value.tensor.dtype, pair.ours);
        assert_int_equal(value.tensor.rank, 3);
        assert_int_equal(value.tensor.sizes[0], 2);
        assert_int_equal(value.tensor.sizes[2], 4);
        assert_ptr_equal(value.tensor.data, tensor.data.data());
        assert_int_equal(qvk_tensor_bytes(&value.tensor), tensor.impl.nbytes());
    }
}

void scalars_and_numbers_arrive(void **)
{
    Planned scalar({}, ScalarType::Long);
    qvk_value value;
    expect(evalue_to_qvk(scalar.value, &value), et::Error::Ok);
    assert_int_equal(value.tensor.rank, 0);
    expect(evalue_to_qvk(et::EValue(int64_t{-7}), &value), et::Error::Ok);
    assert_int_equal(value.kind, QVK_VALUE_INT);
    assert_int_equal(value.i, -7);
}

void what_has_no_counterpart_is_refused(void **)
{
    qvk_value value;
    Planned deep(std::vector<SizesType>(QVK_MAX_RANK + 1, 1)), complex({2}, ScalarType::ComplexFloat),
        turned({2, 3});
    expect(evalue_to_qvk(deep.value, &value), et::Error::NotSupported);
    expect(evalue_to_qvk(complex.value, &value), et::Error::NotSupported);
    turned.order = {1, 0};
    turned.impl.~TensorImpl();
    new (&turned.impl) TensorImpl(ScalarType::Float, 2, turned.sizes.data(), turned.data.data(),
                                  turned.order.data(), turned.strides.data());
    expect(evalue_to_qvk(turned.value, &value), et::Error::NotSupported);
    expect(evalue_to_qvk(et::EValue(), &value), et::Error::NotSupported);
    expect(evalue_to_qvk(et::EValue(1.5), &value), et::Error::NotSupported);
}

// ---- outputs --------------------------------------------------------------------------------------------------

// After a small call the tensor is small; the next call may fill all that was planned.
void an_output_offers_all_of_its_memory(void **)
{
    Planned tensor({4, 8});
    qvk_value room;
    expect(qvk_to_evalue(tensor_value({1, 8}), &tensor.value), et::Error::Ok);
    assert_int_equal(tensor.value.toTensor().numel(), 8);
    expect(room_of(tensor_value({4, 8}), tensor.value, &room), et::Error::Ok);
    assert_int_equal(qvk_tensor_numel(&room.tensor), 32);
    assert_ptr_equal(room.tensor.data, tensor.data.data());
    expect(qvk_to_evalue(tensor_value({3, 8}), &tensor.value), et::Error::Ok);
    assert_int_equal(tensor.value.toTensor().size(0), 3);
    assert_int_equal(tensor.value.toTensor().size(1), 8);
}

// The program and its delegate may disagree; memory beyond the plan is never written.
void an_output_never_grows_beyond_its_memory(void **)
{
    Planned bounded({2, 8}), fixed({2, 8}, ScalarType::Float, et::TensorShapeDynamism::STATIC);
    qvk_value room;
    assert_true(room_of(tensor_value({4, 8}), bounded.value, &room) != et::Error::Ok);
    assert_true(room_of(tensor_value({4, 8}), fixed.value, &room) != et::Error::Ok);
    assert_true(qvk_to_evalue(tensor_value({1, 8}), &fixed.value) != et::Error::Ok);
    assert_int_equal(fixed.value.toTensor().numel(), 16);
}

void symbolic_integers_come_back_in_any_form(void **)
{
    et::EValue number(int64_t{0});
    Planned wide({1}, ScalarType::Long), narrow({}, ScalarType::Int), real({1}), many({2}, ScalarType::Long);
    qvk_value room;
    expect(room_of(int_value(0), number, &room), et::Error::Ok);
    assert_null(room.tensor.data);
    expect(qvk_to_evalue(int_value(41), &number), et::Error::Ok);
    assert_int_equal(number.toInt(), 41);
    expect(qvk_to_evalue(int_value(int64_t{1} << 40), &wide.value), et::Error::Ok);
    assert_true(wide.data[0] == int64_t{1} << 40);
    expect(qvk_to_evalue(int_value(-3), &narrow.value), et::Error::Ok);
    assert_int_equal(narrow.value.toTensor().const_data_ptr<int32_t>()[0], -3);
    expect(qvk_to_evalue(int_value(1), &real.value), et::Error::InvalidArgument);
    expect(qvk_to_evalue(int_value(1), &many.value), et::Error::InvalidArgument);
    expect(qvk_to_evalue(tensor_value({1}), &number), et::Error::InvalidArgument);
}

} // namespace

int main()
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_status_has_an_error),
        cmocka_unit_test(every_dtype_arrives_as_itself),
        cmocka_unit_test(scalars_and_numbers_arrive),
        cmocka_unit_test(what_has_no_counterpart_is_refused),
        cmocka_unit_test(an_output_offers_all_of_its_memory),
        cmocka_unit_test(an_output_never_grows_beyond_its_memory),
        cmocka_unit_test(symbolic_integers_come_back_in_any_form),
    };
    et::runtime_init();
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
