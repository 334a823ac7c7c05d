/* qvk lower: an exported program in, a .pte out. */
#include "quantizer.h"

int cmd_lower(const cli_options *options)
{
    qvk_program *program = NULL;
    int status = cli_load_program(options, &program);

    if (status == CLI_OK)
        status = cli_lower_to_file(options, program);
    qvk_program_destroy(&program);
    return status;
}
