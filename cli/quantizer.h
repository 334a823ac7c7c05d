/* --scheme and what belongs to it, for the commands that quantize. */
#ifndef CLI_QUANTIZER_H
#define CLI_QUANTIZER_H

#include "cli.h"
#include "qvk/quantize.h"

/* Loads the program in the first operand. CLI_OK or an exit status. */
int cli_load_program(const cli_options *options, qvk_program **out);
/* Quantizes it as --scheme, --group-size, --per-channel, --include, --exclude and --calibrate say. */
int cli_quantize(const cli_options *options, qvk_program *program);
/* Lowers and writes it to -o, as --fp16, --dynamic-shapes and --compat say; what stays outside the delegate
 * goes to stderr. */
int cli_lower_to_file(const cli_options *options, const qvk_program *program);

#endif
