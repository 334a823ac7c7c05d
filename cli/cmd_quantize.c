/* qvk quantize: a float program in, the quantized program out; both .pt2. */
#include "quantizer.h"

int cmd_quantize(const cli_options *options)
{
    qvk_program *program = NULL;
    qvk_error error;
    int status = cli_load_program(options, &program);

    if (status == CLI_OK)
        status = cli_quantize(options, program);
    if (status == CLI_OK && qvk_program_save(program, cli_text(options, CLI_OPTION_OUT), &error) != QVK_OK)
        status = cli_fail(&error);
    qvk_program_destroy(&program);
    return status;
}
