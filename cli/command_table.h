/* The tables behind options.h, for what prints them. */
#ifndef CLI_COMMAND_TABLE_H
#define CLI_COMMAND_TABLE_H

#include "options.h"

typedef struct cli_command {
    const char *name, *operands, *summary;
} cli_command;

typedef enum cli_completes {
    CLI_COMPLETES_NOTHING,
    CLI_COMPLETES_FILES,
    CLI_COMPLETES_FOLDERS,
    CLI_COMPLETES_DEVICES
} cli_completes;

typedef struct cli_option {
    const char *name, *value;
    cli_completes completes;
    uint32_t commands; /* bit i: belongs to command i */
    const char *help;
} cli_option;

typedef struct cli_fact {
    const char *name, *help;
} cli_fact;

enum { CLI_VARIABLE_COUNT = 3, CLI_EXIT_COUNT = 4 };

extern const cli_command cli_commands[CLI_COMMAND_COUNT];
extern const cli_option cli_option_table[CLI_OPTION_COUNT];
extern const cli_fact cli_variables[CLI_VARIABLE_COUNT]; /* of the environment */
extern const cli_fact cli_exits[CLI_EXIT_COUNT];         /* exit statuses */

#endif
