/* Opening the program a command names. */
#include "cli.h"

int cli_load_module(const cli_options *options, qvk_context *context, const qvk_module_params *params,
                    qvk_module **out)
{
    qvk_error error;

    if (qvk_module_load(context, options->operands[0], params, out, &error) != QVK_OK)
        return cli_fail(&error);
    return CLI_OK;
}
