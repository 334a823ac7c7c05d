/* qvk devices: the Vulkan devices, best first. */
#include <stdlib.h>

#include "cli.h"
#include "json_writer.h"

enum { MAX_DEVICES = 64 };

static void print_json(const qvk_device_info *devices, size_t n)
{
    json out = {.out = stdout};

    json_open(&out, NULL, '{');
    json_open(&out, "devices", '[');
    for (size_t i = 0; i < n; i++) {
        const qvk_device_info *it = &devices[i];
        json_open(&out, NULL, '{');
        json_int(&out, "index", (int64_t)i);
        json_text(&out, "name", it->name);
        json_text(&out, "type", it->type);
        json_text(&out, "driver", it->driver);
        json_text(&out, "api", it->api);
        json_text(&out, "uuid", it->uuid);
        json_text(&out, "features", it->features);
        json_text(&out, "cooperative_matrix", it->coopmat);
        json_int(&out, "subgroup_size", it->subgroup_size);
        json_int(&out, "memory_bytes", (int64_t)it->memory_bytes);
        json_int(&out, "max_buffer_bytes", (int64_t)it->max_buffer_bytes);
        json_text(&out, "distrusted_kernels", it->distrusted);
        json_close(&out, '}');
    }
    json_close(&out, ']');
    json_close(&out, '}');
    json_end(&out);
}

static void print_text(const qvk_device_info *devices, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const qvk_device_info *it = &devices[i];
        printf("%zu  %s (%s)\n", i, it->name, it->type);
        printf("   driver              %s, Vulkan %s\n", it->driver, it->api);
        printf("   memory              %.1f GiB, largest buffer %.2f GiB\n",
               (double)it->memory_bytes / 1073741824.0, (double)it->max_buffer_bytes / 1073741824.0);
        printf("   subgroup size       %u\n", it->subgroup_size);
        printf("   features            %s\n", *it->features ? it->features : "none beyond Vulkan 1.1");
        printf("   cooperative matrix  %s\n", *it->coopmat ? it->coopmat : "none");
        if (*it->distrusted)
            printf("   kernels not used    %s (they failed their trial)\n", it->distrusted);
    }
}

int cmd_devices(const cli_options *options)
{
    const qvk_context_params params = cli_context_params(options);
    qvk_device_info *devices = calloc(MAX_DEVICES, sizeof *devices);
    size_t n = MAX_DEVICES;
    qvk_error error;
    int status = CLI_OK;

    if (!devices)
        return cli_complain("out of memory");
    if (qvk_device_list(&params, devices, &n, &error) != QVK_OK)
        status = cli_fail(&error);
    else if (cli_has(options, CLI_OPTION_JSON))
        print_json(devices, n < MAX_DEVICES ? n : MAX_DEVICES);
    else
        print_text(devices, n < MAX_DEVICES ? n : MAX_DEVICES);
    free(devices);
    return status;
}
