/*
 * Runs a .pte on the best Vulkan device, or on the CPU reference executor where there is none.
 *
 *   run_model MODEL.pte INPUT.npy...
 */
#include <stdio.h>
#include <stdlib.h>

#include "qvk/qvk.h"

enum { MAX_VALUES = 16 };

static int fail(const qvk_error *error)
{
    fprintf(stderr, "run_model: %s\n", error->message);
    return 1;
}

static void print_output(int index, const qvk_value *output)
{
    const qvk_tensor *tensor = &output->tensor;

    printf("output %d: %s of %lld elements", index, qvk_dtype_name(tensor->dtype),
           (long long)qvk_tensor_numel(tensor));
    if (tensor->dtype == QVK_DTYPE_F32 && qvk_tensor_numel(tensor) > 0)
        printf(", first %g", ((const float *)tensor->data)[0]);
    printf("\n");
}

int main(int argc, char **argv)
{
    qvk_context *context = NULL;
    qvk_module *module = NULL;
    qvk_value inputs[MAX_VALUES] = {{0}}, outputs[MAX_VALUES] = {{0}};
    qvk_method_info info = {0};
    qvk_device_info device = {0};
    qvk_error error;
    int n_inputs = argc - 2, status = 1;

    if (argc < 2 || n_inputs > MAX_VALUES) {
        fprintf(stderr, "usage: run_model MODEL.pte INPUT.npy...\n");
        return 2;
    }
    if (qvk_context_create(NULL, &context, &error) != QVK_OK) {
        const qvk_context_params cpu = {.device = "cpu"};
        fprintf(stderr, "run_model: %s; using the CPU\n", error.message);
        if (qvk_context_create(&cpu, &context, &error) != QVK_OK)
            return fail(&error);
    }
    qvk_context_device(context, &device);
    printf("device: %s\n", device.name);

    if (qvk_module_load(context, argv[1], NULL, &module, &error) != QVK_OK ||
        qvk_module_method_info(module, NULL, &info, &error) != QVK_OK) {
        fail(&error);
        goto done;
    }
    if (info.n_outputs > MAX_VALUES) {
        fprintf(stderr, "run_model: %d outputs are too many\n", info.n_outputs);
        goto done;
    }
    for (int i = 0; i < n_inputs; i++) {
        if (qvk_npy_load(argv[i + 2], &inputs[i].tensor, &error) != QVK_OK) {
            fail(&error);
            goto done;
        }
    }
    if (qvk_module_forward(module, NULL, inputs, n_inputs, outputs, info.n_outputs, &error) != QVK_OK) {
        fail(&error);
        goto done;
    }
    for (int i = 0; i < info.n_outputs; i++) /* their data belongs to the module */
        print_output(i, &outputs[i]);
    status = 0;
done:
    for (int i = 0; i < n_inputs; i++)
        qvk_tensor_free(&inputs[i].tensor);
    qvk_module_destroy(&module);
    qvk_context_destroy(&context);
    return status;
}
