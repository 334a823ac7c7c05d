/* The man page and the completion script, printed from the option table. */
#include <stdio.h>
#include <string.h>

#include "command_table.h"
#include "qvk/version.h"

const cli_fact cli_variables[CLI_VARIABLE_COUNT] = {
    {"QVK_DEVICE", "device to use where --device is not given"},
    {"QVK_DISABLE", "comma-separated device features not to use, as qvk devices names them"},
    {"QVK_CACHE_DIR", "folder for compiled pipelines; default $XDG_CACHE_HOME/qvk; empty: none"},
};

const cli_fact cli_exits[CLI_EXIT_COUNT] = {
    {"0", "done"},
    {"1", "the input or the request is wrong; one line on stderr says what"},
    {"2", "the command line is wrong"},
    {"3", "no usable device"},
};

/* Text with roff's special characters escaped. */
static void roff(const char *text)
{
    for (; *text; text++) {
        if (*text == '\\')
            fputs("\\e", stdout);
        else if (*text == '-')
            fputs("\\-", stdout);
        else
            putchar(*text);
    }
}

static void man_option(const cli_option *option)
{
    printf(".TP\n.B ");
    roff(option->name);
    if (option->value)
        printf(" \\fI%s\\fR", option->value);
    printf("\n");
    roff(option->help);
    printf("\n");
}

static void man_facts(const char *title, const cli_fact *facts, int count)
{
    printf(".SH %s\n", title);
    for (int i = 0; i < count; i++) {
        printf(".TP\n.B %s\n", facts[i].name);
        roff(facts[i].help);
        printf("\n");
    }
}

void cli_print_man(void)
{
    printf(".TH QVK 1 \"\" \"qvk %s\" \"User Commands\"\n", QVK_VERSION_STRING);
    printf(".SH NAME\nqvk \\- quantize PyTorch programs and run them on any Vulkan GPU\n");
    printf(".SH SYNOPSIS\n.B qvk\n.I COMMAND\n[operands] [options]\n.SH COMMANDS\n");
    for (int c = 0; c < CLI_COMMAND_COUNT; c++) {
        printf(".SS qvk %s %s\n", cli_commands[c].name, cli_commands[c].operands);
        roff(cli_commands[c].summary);
        printf("\n");
        for (int i = 0; i < CLI_OPTION_COUNT; i++)
            if (cli_option_table[i].commands >> c & 1)
                man_option(&cli_option_table[i]);
    }
    man_facts("ENVIRONMENT", cli_variables, CLI_VARIABLE_COUNT);
    man_facts("EXIT STATUS", cli_exits, CLI_EXIT_COUNT);
}

/* Options of all commands whose argument is completed in one way, as a case pattern. */
static void completion_case(cli_completes completes, const char *action)
{
    const char *separator = "    ";
    for (int i = 0; i < CLI_OPTION_COUNT; i++) {
        if (!cli_option_table[i].value || cli_option_table[i].completes != completes)
            continue;
        printf("%s%s", separator, cli_option_table[i].name);
        separator = " | ";
    }
    if (strcmp(separator, " | ") == 0)
        printf(")\n        COMPREPLY=(%s)\n        return\n        ;;\n", action);
}

void cli_print_completion(void)
{
    printf("# bash completion for qvk; written by qvk --completion bash\n_qvk()\n{\n"
           "    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} options=\n"
           "    case $before in\n");
    completion_case(CLI_COMPLETES_FILES, "$(compgen -f -- \"$word\")");
    completion_case(CLI_COMPLETES_FOLDERS, "$(compgen -d -- \"$word\")");
    completion_case(CLI_COMPLETES_DEVICES, "$(compgen -W 'cpu 0 1 2 3' -- \"$word\")");
    completion_case(CLI_COMPLETES_NOTHING, "");
    printf("    esac\n    case ${COMP_WORDS[1]} in\n");
    for (int c = 0; c < CLI_COMMAND_COUNT; c++) {
        printf("    %s) options='", cli_commands[c].name);
        for (int i = 0; i < CLI_OPTION_COUNT; i++)
            if (cli_option_table[i].commands >> c & 1)
                printf("%s ", cli_option_table[i].name);
        printf("--help' ;;\n");
    }
    printf("    esac\n    if [ \"$COMP_CWORD\" -eq 1 ]; then\n        COMPREPLY=($(compgen -W '");
    for (int c = 0; c < CLI_COMMAND_COUNT; c++)
        printf("%s ", cli_commands[c].name);
    printf("--help --version' -- \"$word\"))\n    elif [[ $word == -* ]]; then\n"
           "        COMPREPLY=($(compgen -W \"$options\" -- \"$word\"))\n    else\n"
           "        COMPREPLY=($(compgen -f -- \"$word\"))\n    fi\n}\n"
           "complete -o filenames -F _qvk qvk\n");
}
