/* The qvk command: finds the command in the table and calls it. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "cli.h"
#include "qvk/version.h"

static int (*const commands[CLI_COMMAND_COUNT])(const cli_options *options) = {
#define COMMAND(ID, name, operands, summary) [CLI_##ID] = cmd_##name,
#define OPTION(ID, name, value, completes, commands, help)
#include "cli_commands.def"
#undef COMMAND
#undef OPTION
};

int cli_complain(const char *format, ...)
{
    va_list args;
    fputs("qvk: ", stderr);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    return CLI_WRONG;
}

int cli_fail(const qvk_error *err)
{
    char line[QVK_ERROR_MESSAGE_MAX];

    snprintf(line, sizeof line, "%s", err->message[0] ? err->message : qvk_status_text(err->status));
    for (char *at = line; *at; at++)
        if (*at == '\n' || *at == '\r')
            *at = ' ';
    if (err->status == QVK_NO_DEVICE) {
        cli_complain("%s (--device cpu runs on the reference executor)", line);
        return CLI_NO_DEVICE;
    }
    return cli_complain("%s", line);
}

static bool asks_help(int argc, char **argv)
{
    for (int i = 0; i < argc && strcmp(argv[i], "--") != 0; i++)
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
            return true;
    return false;
}

/* qvk --help, --version and the pages the build asks for; -1: none of these. */
static int run_general(int argc, char **argv)
{
    const char *word = argv[1];

    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 || (strcmp(word, "help") == 0 && argc < 3))
        cli_print_help();
    else if (strcmp(word, "help") == 0 && cli_command_find(argv[2]) != CLI_COMMAND_COUNT)
        cli_print_command_help(cli_command_find(argv[2]));
    else if (strcmp(word, "--version") == 0)
        printf("qvk %s\n", qvk_version());
    else if (strcmp(word, "--help-man") == 0)
        cli_print_man();
    else if (strcmp(word, "--completion") == 0 && argc > 2 && strcmp(argv[2], "bash") == 0)
        cli_print_completion();
    else
        return -1;
    return CLI_OK;
}

static int run_command(cli_command_id command, int argc, char **argv)
{
    cli_options options;
    int status;

    if (asks_help(argc, argv)) {
        cli_print_command_help(command);
        return CLI_OK;
    }
    status = cli_parse(command, argc, argv, &options);
    if (status == CLI_OK)
        status = commands[command](&options);
    cli_options_free(&options);
    return status;
}

int main(int argc, char **argv)
{
    cli_command_id command;
    int status;

    if (argc < 2) {
        fprintf(stderr, "qvk: a command is missing; see qvk --help\n");
        return CLI_USAGE;
    }
    status = run_general(argc, argv);
    if (status < 0) {
        command = cli_command_find(argv[1]);
        if (command == CLI_COMMAND_COUNT) {
            fprintf(stderr, "qvk: no command is called '%s'; see qvk --help\n", argv[1]);
            return CLI_USAGE;
        }
        status = run_command(command, argc - 2, argv + 2);
    }
    if (fflush(stdout) != 0 && status == CLI_OK)
        status = cli_complain("stdout could not be written");
    return status;
}
