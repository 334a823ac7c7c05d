/* Opening the program a command names. */
#include "cli.h"

int cli_load_module(const cli_options *options, qvk_context *context, const qvk_module_params *params,
                    qvk_module **out)
{
    qvk_module_params with_data = *params;
    qvk_error error;

    with_data.data_paths = options->given[CLI_OPTION_DATA].items;
    with_data.n_data_paths = options->given[CLI_OPTION_DATA].count;
    if (qvk_module_load(context, options->operands[0], &with_data, out, &error) != QVK_OK)
        return cli_fail(&error);
    return CLI_OK;
}
