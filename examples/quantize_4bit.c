/*
 * 4-bit quantization with torchao's quantize_, in C. Beside each step stands the Python it replaces. Prints
 * the first row of the quantized model's output.
 */
#include "linear_sequence.h"

int main(void)
{
    qvk_program *program = NULL;
    qvk_lowered *etvk_program = NULL;
    qvk_error err;
    qvk_status status;

    /* group_size = 32
     * q_config_8da4w = Int8DynamicActivationIntxWeightConfig(weight_dtype=torch.int4,
     *                                                        weight_granularity=PerGroup(group_size)) */
    const qvk_int8_dynamic_activation_intx_weight_config q_config_8da4w = {
        .base = {.kind = QVK_CONFIG_INT8_DYNAMIC_ACTIVATION_INTX_WEIGHT,
                 .weight_bits = 4,
                 .granularity = {32}},
    };

    /* exported_program = torch.export.export(linear_sequence_module, sample_inputs) */
    status = export_linear_sequence(&program, &err);

    /* quantize_(linear_sequence_module, q_config_8da4w) */
    if (status == QVK_OK)
        status = qvk_quantize(program, &q_config_8da4w.base, NULL, &err);

    /* to_edge_transform_and_lower(exported_program, partitioner=[VulkanPartitioner()]).to_executorch() */
    if (status == QVK_OK)
        status = qvk_to_edge_transform_and_lower(program, NULL, &etvk_program, &err);
    if (status == QVK_OK)
        status = qvk_to_executorch(etvk_program, &err);

    if (status == QVK_OK)
        status = run_and_print(etvk_program, &err);
    if (status != QVK_OK)
        fprintf(stderr, "quantize_4bit: %s\n", err.message);
    qvk_lowered_destroy(&etvk_program);
    qvk_program_destroy(&program);
    return status == QVK_OK ? 0 : 1;
}
