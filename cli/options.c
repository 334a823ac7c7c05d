/* Parsing by the table of cli_commands.def, and the help text made from it. */
#include "options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command_table.h"

const cli_command cli_commands[CLI_COMMAND_COUNT] = {
#define COMMAND(ID, name, operands, summary) [CLI_##ID] = {#name, operands, summary},
#define OPTION(ID, name, value, completes, commands, help)
#include "cli_commands.def"
#undef COMMAND
#undef OPTION
};

#define IN(ID) 1u << CLI_##ID
const cli_option cli_option_table[CLI_OPTION_COUNT] = {
#define COMMAND(ID, name, operands, summary)
#define OPTION(ID, name, value, completes, commands, help)                                                   \
    [CLI_OPTION_##ID] = {name, value, CLI_COMPLETES_##completes, commands, help},
#include "cli_commands.def"
#undef COMMAND
#undef OPTION
};

/* ---- parsing -------------------------------------------------------------------------------------------- */

cli_command_id cli_command_find(const char *name)
{
    for (int i = 0; i < CLI_COMMAND_COUNT; i++)
        if (strcmp(cli_commands[i].name, name) == 0)
            return (cli_command_id)i;
    return CLI_COMMAND_COUNT;
}

static int usage(cli_command_id command, const char *what, const char *about)
{
    fprintf(stderr, "qvk: %s '%s'; see qvk %s --help\n", what, about, cli_commands[command].name);
    return 2;
}

/* "--input" or "-o" out of "--input=x"; *length is that of the name. */
static int find_option(cli_command_id command, const char *text, size_t *length)
{
    *length = strcspn(text, "=");
    if (text[0] == '-' && text[1] == 'o' && text[2] == '\0') {
        text = "--output";
        *length = strlen(text);
    }
    for (int i = 0; i < CLI_OPTION_COUNT; i++)
        if (cli_option_table[i].commands >> command & 1 && strlen(cli_option_table[i].name) == *length &&
            memcmp(cli_option_table[i].name, text, *length) == 0)
            return i;
    return -1;
}

static bool add(cli_list *list, const char *item)
{
    const char **grown = realloc(list->items, ((size_t)list->count + 1) * sizeof *grown);
    if (!grown)
        return false;
    list->items = grown;
    list->items[list->count++] = item;
    return true;
}

/* One option at argv[*at]; moves past its value. */
static int parse_option(cli_options *out, int argc, char **argv, int *at)
{
    const char *text = argv[*at], *value = text;
    size_t length;
    const int id = find_option(out->command, text, &length);

    if (id < 0)
        return usage(out->command, "unknown option", text);
    if (text[0] == '-' && text[1] != '-')
        length = strlen(text);
    if (cli_option_table[id].value && text[length] == '=') {
        value = text + length + 1;
    } else if (cli_option_table[id].value) {
        if (*at + 1 >= argc)
            return usage(out->command, "a value is missing after", text);
        value = argv[++*at];
    } else if (text[length] == '=') {
        return usage(out->command, "no value belongs to", text);
    }
    if (!add(&out->given[id], value)) {
        fprintf(stderr, "qvk: out of memory\n");
        return 1;
    }
    return 0;
}

/* Words in "IN.pt2 -o OUT.pte": operands end where an option begins. */
static int count_operands(cli_command_id command)
{
    const char *text = cli_commands[command].operands;
    int count = 0;
    for (const char *at = text; *at && *at != '-' && *at != '['; at++)
        count += *at != ' ' && (at == text || at[-1] == ' ');
    return count;
}

int cli_parse(cli_command_id command, int argc, char **argv, cli_options *out)
{
    bool options_end = false;
    const int wanted = count_operands(command);

    memset(out, 0, sizeof *out);
    out->command = command;
    for (int at = 0; at < argc; at++) {
        int status = 0;
        if (!options_end && strcmp(argv[at], "--") == 0)
            options_end = true;
        else if (!options_end && argv[at][0] == '-' && argv[at][1])
            status = parse_option(out, argc, argv, &at);
        else if (out->n_operands < wanted)
            out->operands[out->n_operands++] = argv[at];
        else
            status = usage(command, "one argument too many:", argv[at]);
        if (status)
            return status;
    }
    if (out->n_operands < wanted) {
        fprintf(stderr, "qvk: %s needs %s; see qvk %s --help\n", cli_commands[command].name,
                cli_commands[command].operands, cli_commands[command].name);
        return 2;
    }
    return 0;
}

void cli_options_free(cli_options *options)
{
    for (int i = 0; i < CLI_OPTION_COUNT; i++)
        free(options->given[i].items);
    memset(options, 0, sizeof *options);
}

bool cli_has(const cli_options *options, cli_option_id id)
{
    return options->given[id].count > 0;
}

const char *cli_text(const cli_options *options, cli_option_id id)
{
    const cli_list *list = &options->given[id];
    return list->count ? list->items[list->count - 1] : NULL;
}

bool cli_number(const cli_options *options, cli_option_id id, int64_t low, int64_t high, int64_t fallback,
                int64_t *out)
{
    const char *text = cli_text(options, id);
    char *end = NULL;
    long long number = fallback;

    if (text) {
        number = strtoll(text, &end, 10);
        if (end == text || *end || number < low || number > high) {
            fprintf(stderr, "qvk: %s wants a whole number from %lld to %lld, not '%s'\n",
                    cli_option_table[id].name, (long long)low, (long long)high, text);
            return false;
        }
    }
    *out = number;
    return true;
}

/* ---- help ----------------------------------------------------------------------------------------------- */

void cli_print_help(void)
{
    printf("usage: qvk COMMAND [operands] [options]\n\n"
           "Quantizes PyTorch programs and runs them on any Vulkan GPU.\n\ncommands:\n");
    for (int i = 0; i < CLI_COMMAND_COUNT; i++)
        printf("  %-10s %s\n", cli_commands[i].name, cli_commands[i].summary);
    printf("\nqvk COMMAND --help explains one; qvk --version prints the version.\n\nenvironment:\n");
    for (int i = 0; i < CLI_VARIABLE_COUNT; i++)
        printf("  %-15s %s\n", cli_variables[i].name, cli_variables[i].help);
    printf("\nexit status:\n");
    for (int i = 0; i < CLI_EXIT_COUNT; i++)
        printf("  %s  %s\n", cli_exits[i].name, cli_exits[i].help);
}

void cli_print_command_help(cli_command_id command)
{
    const cli_command *it = &cli_commands[command];
    bool any = false;

    printf("usage: qvk %s%s%s [options]\n\n%c%s.\n", it->name, *it->operands ? " " : "", it->operands,
           it->summary[0] - 'a' + 'A', it->summary + 1);
    for (int i = 0; i < CLI_OPTION_COUNT; i++) {
        const cli_option *option = &cli_option_table[i];
        char left[40];
        if (!(option->commands >> command & 1))
            continue;
        snprintf(left, sizeof left, "%s%s%s", option->name, option->value ? " " : "",
                 option->value ? option->value : "");
        printf("%s  %-18s %s\n", any ? "" : "\noptions:\n", left, option->help);
        any = true;
    }
}
