#include "shared_nodes.h"

#include <stdlib.h>
#include <string.h>

#include "qvk/program.h"

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

typedef struct name_set {
    const char **names; /* sorted; borrowed from the program */
    size_t count;
} name_set;

static bool has_name(const name_set *set, const char *name)
{
    return bsearch(&name, set->names, set->count, sizeof *set->names, compare_names) != NULL;
}

/* A convolution whose batch norm the other program has folded into it: its value is another one there. */
static bool is_folded(const qvk_program *program, int32_t node, const name_set *other)
{
    static const char batch_norm[] = "batch_norm";
    const char *next = qvk_program_node_name(program, node + 1);
    return next && strncmp(next, batch_norm, sizeof batch_norm - 1) == 0 && !has_name(other, next);
}

/* other NULL: all names; else without those of folded values. False: out of memory. */
static bool collect_names(const qvk_program *program, const name_set *other, name_set *out)
{
    const int32_t nodes = qvk_program_node_count(program);

    *out = (name_set){.names = calloc((size_t)nodes + 1, sizeof *out->names)};
    for (int32_t i = 0; out->names && i < nodes; i++) {
        const char *name = qvk_program_node_name(program, i);
        if (name && !(other && is_folded(program, i, other)))
            out->names[out->count++] = name;
    }
    if (out->names)
        qsort(out->names, out->count, sizeof *out->names, compare_names);
    return out->names != NULL;
}

static bool add_name(cli_names *to, const char *name)
{
    const size_t bytes = strlen(name) + 1;

    to->names[to->count] = malloc(bytes);
    if (!to->names[to->count])
        return false;
    memcpy(to->names[to->count++], name, bytes);
    return true;
}

static int intersect(const qvk_program *a, const qvk_program *b, cli_names *out)
{
    name_set in_a = {NULL, 0}, in_b = {NULL, 0}, kept = {NULL, 0};
    bool ok =
        collect_names(a, NULL, &in_a) && collect_names(b, NULL, &in_b) && collect_names(b, &in_a, &kept);

    out->names = calloc((size_t)qvk_program_node_count(a) + 1, sizeof *out->names);
    ok = ok && out->names;
    for (int32_t i = 0; ok && i < qvk_program_node_count(a); i++) {
        const char *name = qvk_program_node_name(a, i);
        if (name && has_name(&kept, name) && !is_folded(a, i, &in_b))
            ok = add_name(out, name);
    }
    free(in_a.names);
    free(in_b.names);
    free(kept.names);
    return ok ? CLI_OK : cli_complain("out of memory");
}

int cli_shared_nodes(const char *a, const char *b, cli_names *out)
{
    qvk_program *first = NULL, *second = NULL;
    qvk_error error;
    int status;

    *out = (cli_names){0};
    if (qvk_program_load(a, &first, &error) != QVK_OK || qvk_program_load(b, &second, &error) != QVK_OK)
        status = cli_fail(&error);
    else
        status = intersect(first, second, out);
    qvk_program_destroy(&first);
    qvk_program_destroy(&second);
    return status;
}
