/* The compile half's commands in a build without it. */
#include "cli.h"
#include "shared_nodes.h"

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

int cli_lower_in_memory(const cli_options *options, const char *path, qvk_context *context,
                        const qvk_module_params *params, const char *const *observe, cli_model *out)
{
    (void)options;
    (void)context;
    (void)params;
    (void)observe;
    (void)out;
    return refuse(path);
}

void cli_close_lowered(cli_model *model)
{
    (void)model;
}

int32_t cli_sample_count(const cli_model *model)
{
    (void)model;
    return 0;
}

qvk_tensor cli_sample(const cli_model *model, int32_t index)
{
    (void)model;
    (void)index;
    return (qvk_tensor){.dtype = QVK_DTYPE_NONE};
}

/* Only a .pt2 has nodes with names. */
int cli_shared_nodes(const char *a, const char *b, cli_names *out)
{
    (void)b;
    *out = (cli_names){0};
    return refuse(a);
}

int cmd_compile(const cli_options *options)
{
    (void)options;
    return refuse("compile");
}
