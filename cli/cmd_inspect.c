/* qvk inspect: what is in a file. */
#include <stdio.h>

#include "cli.h"
#include "qvk/inspect.h"

int cmd_inspect(const cli_options *options)
{
    const qvk_inspect_params params = {.json = cli_has(options, CLI_OPTION_JSON),
                                       .graph = cli_has(options, CLI_OPTION_GRAPH),
                                       .data_paths = options->given[CLI_OPTION_DATA].items,
                                       .n_data_paths = options->given[CLI_OPTION_DATA].count};
    char *text = NULL;
    qvk_error error;

    if (qvk_inspect_file(options->operands[0], &params, &text, &error) != QVK_OK)
        return cli_fail(&error);
    fputs(text, stdout);
    qvk_text_free(&text);
    return CLI_OK;
}
