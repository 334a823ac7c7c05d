/* Which device: the options and the environment. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli.h"

enum { MAX_PATH = 4096 };

/* QVK_CACHE_DIR, else $XDG_CACHE_HOME/qvk, else ~/.cache/qvk; NULL: none. Static text. */
static const char *cache_dir(void)
{
    static char path[MAX_PATH];
    const char *given = getenv("QVK_CACHE_DIR"), *base = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    int n;

    if (given)
        n = snprintf(path, sizeof path, "%s", given);
    else if (base && *base)
        n = snprintf(path, sizeof path, "%s/qvk", base);
    else if (home && *home)
        n = snprintf(path, sizeof path, "%s/.cache/qvk", home);
    else
        return NULL;
    if (n <= 0 || n >= (int)sizeof path)
        return NULL;
    /* Without the folder everything works, only slower the next time. */
    for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        mkdir(path, 0777);
        *slash = '/';
    }
    if (mkdir(path, 0777) != 0 && errno != EEXIST)
        return NULL;
    return path;
}

static const char *variable(const char *name)
{
    const char *value = getenv(name);
    return value && *value ? value : NULL;
}

static void print_log(void *user, qvk_log_level level, const char *message)
{
    (void)user;
    if (level <= QVK_LOG_WARNING)
        fprintf(stderr, "qvk: %s%s\n", level == QVK_LOG_WARNING ? "warning: " : "", message);
}

qvk_context_params cli_context_params(const cli_options *options)
{
    const char *device = cli_text(options, CLI_OPTION_DEVICE);
    return (qvk_context_params){
        .device = device ? device : variable("QVK_DEVICE"),
        .disable = variable("QVK_DISABLE"),
        .cache_dir = cache_dir(),
        .log = print_log,
        .tuning = cli_has(options, CLI_OPTION_NO_TUNING) ? QVK_TUNING_OFF : QVK_TUNING_DEFAULT,
    };
}

int cli_open_context(const cli_options *options, qvk_context **out)
{
    const qvk_context_params params = cli_context_params(options);
    qvk_device_info info = {0};
    qvk_error error;

    if (qvk_context_create(&params, out, &error) != QVK_OK)
        return cli_fail(&error);
    qvk_context_device(*out, &info);
    fprintf(stderr, "qvk: running on %s%s%s%s\n", info.name, *info.driver ? " (" : "", info.driver,
            *info.driver ? ")" : "");
    return CLI_OK;
}
