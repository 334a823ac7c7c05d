/* Names of values that two exported programs have in common. */
#ifndef CLI_SHARED_NODES_H
#define CLI_SHARED_NODES_H

#include "cli.h"

typedef struct cli_names {
    char **names; /* in the order of the first program's calls; NULL-terminated */
    size_t count;
} cli_names;

/* CLI_OK or an exit status; names and what they point to are freed by the caller in either
 * case. */
int cli_shared_nodes(const char *a, const char *b, cli_names *out);

#endif
