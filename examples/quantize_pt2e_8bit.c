/*
 * 8-bit quantization with PT2E and VulkanQuantizer, in C. Beside each step stands the Python it replaces.
 * Prints the first row of the quantized model's output.
 */
#include "linear_sequence.h"

/* The steps between export and lowering. */
static qvk_status quantize_pt2e(qvk_program *program, qvk_error *err)
{
    const qvk_symmetric_quantization_config config = {.is_dynamic = false, .weight_bits = 8};
    const qvk_tensor sample = sample_input();
    qvk_vulkan_quantizer *quantizer = NULL;

    /* quantizer = VulkanQuantizer() */
    qvk_status status = qvk_vulkan_quantizer_create(&quantizer, err);

    /* quantizer.set_global(get_symmetric_quantization_config(is_dynamic=False, weight_bits=8)) */
    if (status == QVK_OK)
        status = qvk_vulkan_quantizer_set_global(quantizer, &config, err);

    /* quantized_module = prepare_pt2e(graph_module, quantizer) */
    if (status == QVK_OK)
        status = qvk_prepare_pt2e(program, quantizer, err);

    /* quantized_module(*sample_inputs) */
    if (status == QVK_OK)
        status = qvk_calibrate(program, NULL, &sample, 1, err);

    /* quantized_module = convert_pt2e(quantized_module) */
    if (status == QVK_OK)
        status = qvk_convert_pt2e(program, err);
    qvk_vulkan_quantizer_destroy(&quantizer);
    return status;
}

int main(void)
{
    qvk_program *program = NULL;
    qvk_lowered *etvk_program = NULL;
    qvk_error err;

    /* exported_program = torch.export.export(linear_sequence_module, sample_inputs) */
    qvk_status status = export_linear_sequence(&program, &err);

    if (status == QVK_OK)
        status = quantize_pt2e(program, &err);

    /* to_edge_transform_and_lower(exported_program, partitioner=[VulkanPartitioner()]).to_executorch() */
    if (status == QVK_OK)
        status = qvk_to_edge_transform_and_lower(program, NULL, &etvk_program, &err);
    if (status == QVK_OK)
        status = qvk_to_executorch(etvk_program, &err);

    if (status == QVK_OK)
        status = run_and_print(etvk_program, &err);
    if (status != QVK_OK)
        fprintf(stderr, "quantize_pt2e_8bit: %s\n", err.message);
    qvk_lowered_destroy(&etvk_program);
    qvk_program_destroy(&program);
    return status == QVK_OK ? 0 : 1;
}
