/* The command line, parsed by the table in cli_commands.def. */
#ifndef CLI_OPTIONS_H
#define CLI_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

typedef enum cli_command_id {
#define COMMAND(ID, name, operands, summary) CLI_##ID,
#define OPTION(ID, name, value, completes, commands, help)
#include "cli_commands.def"
#undef COMMAND
#undef OPTION
    CLI_COMMAND_COUNT
} cli_command_id;

typedef enum cli_option_id {
#define COMMAND(ID, name, operands, summary)
#define OPTION(ID, name, value, completes, commands, help) CLI_OPTION_##ID,
#include "cli_commands.def"
#undef COMMAND
#undef OPTION
    CLI_OPTION_COUNT
} cli_option_id;

enum { CLI_MAX_OPERANDS = 4 };

typedef struct cli_list {
    const char **items; /* as they stand in argv */
    int count;
} cli_list;

typedef struct cli_options {
    cli_command_id command;
    const char *operands[CLI_MAX_OPERANDS];
    int n_operands;
    cli_list given[CLI_OPTION_COUNT]; /* a flag that was given has one item */
} cli_options;

/* argv after the command's name. 0, or the exit status to leave with: 2 after a usage message on stderr. */
int cli_parse(cli_command_id command, int argc, char **argv, cli_options *out);
void cli_options_free(cli_options *options);

bool cli_has(const cli_options *options, cli_option_id id);
/* The last one given; NULL when there is none. */
const char *cli_text(const cli_options *options, cli_option_id id);
/* A whole number in [low, high]; `fallback` when the option was not given. False after a usage message. */
bool cli_number(const cli_options *options, cli_option_id id, int64_t low, int64_t high, int64_t fallback,
                int64_t *out);

/* CLI_COMMAND_COUNT when there is no such command. */
cli_command_id cli_command_find(const char *name);
void cli_print_help(void);
void cli_print_command_help(cli_command_id command);
void cli_print_man(void);
void cli_print_completion(void);

#endif
