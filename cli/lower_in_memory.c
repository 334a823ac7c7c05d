/* Running a .pt2: it is lowered on the way, and no file is written. */
#include "cli.h"
#include "qvk/lower.h"

int cli_lower_in_memory(const cli_options *options, const char *path, qvk_context *context,
                        const qvk_module_params *params, const char *const *observe, cli_model *out)
{
    const qvk_vulkan_partitioner_options partitioner = {
        .force_fp16 = cli_has(options, CLI_OPTION_FP16),
        .observe = observe,
    };
    qvk_error error;

    if (qvk_program_load(path, &out->program, &error) != QVK_OK ||
        qvk_to_edge_transform_and_lower(out->program, &partitioner, &out->lowered, &error) != QVK_OK ||
        qvk_to_executorch(out->lowered, &error) != QVK_OK ||
        qvk_module_load_lowered(context, out->lowered, params, &out->module, &error) != QVK_OK)
        return cli_fail(&error);
    return CLI_OK;
}

void cli_close_lowered(cli_model *model)
{
    qvk_lowered_destroy(&model->lowered);
    qvk_program_destroy(&model->program);
}

int32_t cli_sample_count(const cli_model *model)
{
    return qvk_program_sample_count(model->program);
}

qvk_tensor cli_sample(const cli_model *model, int32_t index)
{
    qvk_tensor sample = {.dtype = QVK_DTYPE_NONE};
    qvk_program_sample(model->program, index, &sample, NULL);
    return sample;
}
