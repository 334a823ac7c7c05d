#include "quantizer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "calibration.h"
#include "qvk/lower.h"

enum { DEFAULT_GROUP_SIZE = 32 }; /* of 4-bit weights, as in torchao */

int cli_load_program(const cli_options *options, qvk_program **out)
{
    qvk_error error;

    if (qvk_program_load(options->operands[0], out, &error) != QVK_OK)
        return cli_fail(&error);
    return CLI_OK;
}

/* ---- which modules ------------------------------------------------------------------------------------------ */

/* '*' any run of characters, '?' one. */
static bool matches(const char *pattern, const char *text)
{
    if (*pattern == '\0')
        return *text == '\0';
    if (*pattern == '*')
        return matches(pattern + 1, text) || (*text != '\0' && matches(pattern, text + 1));
    return *text != '\0' && (*pattern == '?' || *pattern == *text) && matches(pattern + 1, text + 1);
}

static bool any_matches(const cli_list *patterns, const char *text)
{
    for (int i = 0; i < patterns->count; i++)
        if (matches(patterns->items[i], text))
            return true;
    return false;
}

static bool filter_module(const char *module, void *user)
{
    const cli_options *options = user;
    const cli_list *include = &options->given[CLI_OPTION_INCLUDE],
                   *exclude = &options->given[CLI_OPTION_EXCLUDE];

    return (include->count == 0 || any_matches(include, module)) && !any_matches(exclude, module);
}

/* ---- the two flows -------------------------------------------------------------------------------------------- */

/* Bits and activation of a scheme, from the one list of schemes. */
typedef struct scheme_facts {
    int bits, activation;
} scheme_facts;

static scheme_facts facts_of(qvk_scheme scheme)
{
    switch (scheme) {
#define CASE(NAME, name, bits, activation, text)                                                             \
    case QVK_SCHEME_##NAME: return (scheme_facts){bits, activation};
        QVK_SCHEME_LIST(CASE)
#undef CASE
    default: return (scheme_facts){0, 0};
    }
}

static int quantize_weights(const cli_options *options, qvk_program *program, scheme_facts facts)
{
    const qvk_quantize_params params = {.filter = filter_module, .filter_user = (void *)(uintptr_t)options};
    qvk_quant_config config = {
        .kind =
            facts.activation ? QVK_CONFIG_INT8_DYNAMIC_ACTIVATION_INTX_WEIGHT : QVK_CONFIG_INTX_WEIGHT_ONLY,
        .weight_bits = facts.bits,
    };
    qvk_error error;
    int64_t group_size;

    if (!cli_number(options, CLI_OPTION_GROUP_SIZE, 1, INT32_MAX, facts.bits == 4 ? DEFAULT_GROUP_SIZE : 0,
                    &group_size))
        return CLI_USAGE;
    if (cli_has(options, CLI_OPTION_PER_CHANNEL))
        group_size = 0;
    config.granularity.group_size = group_size;
    if (qvk_quantize(program, &config, &params, &error) != QVK_OK)
        return cli_fail(&error);
    return CLI_OK;
}

static int quantize_static(const cli_options *options, qvk_program *program)
{
    qvk_vulkan_quantizer *quantizer = NULL;
    qvk_error error;
    int status = CLI_OK;

    if (!cli_has(options, CLI_OPTION_CALIBRATE))
        return cli_complain("--scheme 8a8w needs --calibrate DIR with samples calib_<j>_in_<i>.npy");
    if (qvk_vulkan_quantizer_create(&quantizer, &error) != QVK_OK)
        return cli_fail(&error);
    qvk_vulkan_quantizer_set_filter(quantizer, filter_module, (void *)(uintptr_t)options);
    if (qvk_vulkan_quantizer_set_static(quantizer, &error) != QVK_OK ||
        qvk_prepare_pt2e(program, quantizer, &error) != QVK_OK)
        status = cli_fail(&error);
    qvk_vulkan_quantizer_destroy(&quantizer);
    if (status == CLI_OK)
        status = cli_calibrate(options, program);
    if (status == CLI_OK && qvk_convert_pt2e(program, &error) != QVK_OK)
        status = cli_fail(&error);
    return status;
}

int cli_quantize(const cli_options *options, qvk_program *program)
{
    const char *name = cli_text(options, CLI_OPTION_SCHEME);
    qvk_scheme scheme = qvk_scheme_from_name(name);

    if (!name || scheme == QVK_SCHEME_NONE) {
        fprintf(stderr, "qvk: --scheme %s: possible are", name ? name : "is missing");
#define PRINT(NAME, text, bits, activation, description) fprintf(stderr, " %s", text);
        QVK_SCHEME_LIST(PRINT)
#undef PRINT
        fprintf(stderr, "\n");
        return CLI_USAGE;
    }
    if (cli_has(options, CLI_OPTION_GROUP_SIZE) && cli_has(options, CLI_OPTION_PER_CHANNEL)) {
        fprintf(stderr, "qvk: --group-size and --per-channel exclude each other\n");
        return CLI_USAGE;
    }
    return facts_of(scheme).activation == 2 ? quantize_static(options, program)
                                            : quantize_weights(options, program, facts_of(scheme));
}

/* ---- lowering ---------------------------------------------------------------------------------------------------- */

static int lower_options(const cli_options *options, qvk_vulkan_partitioner_options *out)
{
    const char *compat = cli_text(options, CLI_OPTION_COMPAT);

    if (compat && strcmp(compat, "executorch") != 0) {
        fprintf(stderr, "qvk: --compat %s: possible is executorch\n", compat);
        return CLI_USAGE;
    }
    *out = (qvk_vulkan_partitioner_options){
        .force_fp16 = cli_has(options, CLI_OPTION_FP16),
        .require_dynamic_shapes = cli_has(options, CLI_OPTION_DYNAMIC_SHAPES),
        .compat_executorch = compat != NULL,
    };
    return CLI_OK;
}

int cli_lower_to_file(const cli_options *options, const qvk_program *program)
{
    qvk_vulkan_partitioner_options partitioner;
    qvk_lowered *lowered = NULL;
    qvk_error error;
    int status = lower_options(options, &partitioner);

    if (status != CLI_OK)
        return status;
    if (qvk_to_edge_transform_and_lower(program, &partitioner, &lowered, &error) != QVK_OK)
        return cli_fail(&error);
    if (*qvk_lowered_outside(lowered))
        fprintf(stderr, "outside the delegate:\n%s", qvk_lowered_outside(lowered));
    if (qvk_to_executorch(lowered, &error) != QVK_OK ||
        qvk_program_write(lowered, cli_text(options, CLI_OPTION_OUT), &error) != QVK_OK)
        status = cli_fail(&error);
    qvk_lowered_destroy(&lowered);
    return status;
}
