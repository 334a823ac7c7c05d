// Runs a Vulkan .pte through ExecuTorch's Module API with qvk as the VulkanBackend.
//
//   executorch_module MODEL.pte INPUT.npy...
//
// Linking libqvk_executorch is all there is to it: loading the library registers the backend.
#include <cstdio>
#include <vector>

#include <executorch/extension/module/module.h>
#include <executorch/extension/tensor/tensor.h>

#include <qvk/executorch.h>
#include <qvk/npy.h>

namespace et = ::executorch;

// From the one list of dtypes: its third code is ExecuTorch's ScalarType.
static et::aten::ScalarType scalar_type(qvk_dtype dtype)
{
    switch (dtype) {
#define CASE(NAME, name, bytes, pt2, pte, blob, npy)                                                         \
    case QVK_DTYPE_##NAME: return static_cast<et::aten::ScalarType>(pte);
        QVK_DTYPE_LIST(CASE)
#undef CASE
    default: return et::aten::ScalarType::Undefined;
    }
}

// The tensor owns its copy of the file's numbers.
static bool load_input(const char *path, et::extension::TensorPtr *out)
{
    qvk_tensor npy{};
    qvk_error error;

    if (qvk_npy_load(path, &npy, &error) != QVK_OK) {
        std::fprintf(stderr, "executorch_module: %s\n", error.message);
        return false;
    }
    const auto *bytes = static_cast<const uint8_t *>(npy.data);
    std::vector<et::aten::SizesType> sizes(npy.sizes, npy.sizes + npy.rank);
    *out = et::extension::make_tensor_ptr(std::move(sizes),
                                          std::vector<uint8_t>(bytes, bytes + qvk_tensor_bytes(&npy)),
                                          scalar_type(npy.dtype));
    qvk_tensor_free(&npy);
    return true;
}

static void print_output(size_t index, const et::runtime::EValue &value)
{
    if (!value.isTensor()) {
        std::printf("output %zu: not a tensor\n", index);
        return;
    }
    const auto &tensor = value.toTensor();
    std::printf("output %zu: %zd elements", index, static_cast<ssize_t>(tensor.numel()));
    if (tensor.scalar_type() == et::aten::ScalarType::Float && tensor.numel() > 0)
        std::printf(", first %g", tensor.const_data_ptr<float>()[0]);
    std::printf("\n");
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        std::fprintf(stderr, "usage: executorch_module MODEL.pte INPUT.npy...\n");
        return 2;
    }
    if (!qvk_executorch_is_registered()) {
        std::fprintf(stderr, "executorch_module: another VulkanBackend is registered\n");
        return 1;
    }
    std::vector<et::extension::TensorPtr> tensors(static_cast<size_t>(argc - 2));
    std::vector<et::runtime::EValue> inputs;
    for (size_t i = 0; i < tensors.size(); i++) {
        if (!load_input(argv[i + 2], &tensors[i]))
            return 1;
        inputs.emplace_back(*tensors[i]);
    }
    et::extension::Module module(argv[1]);
    const auto outputs = module.forward(inputs);
    if (!outputs.ok()) {
        std::fprintf(stderr, "executorch_module: %s\n", et::runtime::to_string(outputs.error()));
        return 1;
    }
    for (size_t i = 0; i < outputs->size(); i++)
        print_output(i, outputs->at(i));
    return 0;
}
