/* The compile half's commands in a build without it. */
#include "cli.h"

static int refuse(const char *command)
{
    return cli_complain("%s: this qvk was built without the compile half (meson -Dcompiler=false)", command);
}

int cmd_quantize(const cli_options *options)
{
    (void)options;
    return refuse("quantize");
}

int cmd_lower(const cli_options *options)
{
    (void)options;
    return refuse("lower");
}

int cmd_compile(const cli_options *options)
{
    (void)options;
    return refuse("compile");
}
