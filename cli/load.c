/* Opening the program a command names. */
#include <stdio.h>
#include <string.h>

#include "cli.h"

/* A .pt2 is a zip archive; no .pte begins like one. */
static bool is_archive(const char *path)
{
    char magic[4] = {0};
    FILE *file = fopen(path, "rb");
    bool is = file && fread(magic, 1, sizeof magic, file) == sizeof magic && memcmp(magic, "PK\3\4", 4) == 0;

    if (file)
        fclose(file);
    return is;
}

int cli_open_model(const cli_options *options, const char *path, qvk_context *context,
                   const qvk_module_params *params, const char *const *observe, cli_model *out)
{
    qvk_module_params with_data = *params;
    qvk_error error;

    *out = (cli_model){0};
    if (is_archive(path))
        return cli_lower_in_memory(options, path, context, params, observe, out);
    with_data.data_paths = options->given[CLI_OPTION_DATA].items;
    with_data.n_data_paths = options->given[CLI_OPTION_DATA].count;
    if (qvk_module_load(context, path, &with_data, &out->module, &error) != QVK_OK)
        return cli_fail(&error);
    return CLI_OK;
}

void cli_close_model(cli_model *model)
{
    qvk_module_destroy(&model->module);
    cli_close_lowered(model);
}
