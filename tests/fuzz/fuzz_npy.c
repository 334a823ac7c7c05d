/* .npy files: whatever is accepted is a tensor with all its bytes. */
#include "fuzz/fuzz.h"
#include "qvk/npy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    qvk_tensor tensor = {.dtype = QVK_DTYPE_NONE};
    qvk_error err;

    if (qvk_npy_parse(data, size, "fuzz.npy", &tensor, &err) != QVK_OK)
        return 0;
    assert(qvk_dtype_bytes(tensor.dtype) > 0);
    assert(tensor.rank >= 0 && tensor.rank <= QVK_MAX_RANK);
    const size_t n_bytes = qvk_tensor_bytes(&tensor);
    assert(qvk_tensor_numel(&tensor) >= 0 && n_bytes <= size);
    for (size_t i = 0; i < n_bytes; i++) {
        volatile uint8_t byte = ((const uint8_t *)tensor.data)[i];
        (void)byte;
    }
    qvk_tensor_free(&tensor);
    assert(tensor.data == NULL);
    return 0;
}
