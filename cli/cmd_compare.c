/* qvk compare: two programs on the same inputs, and how far the second is from the first. */
#include <stdio.h>
#include <stdlib.h>

#include "json_writer.h"
#include "shared_nodes.h"

typedef struct entry {
    char label[16];   /* "out_0", when it has no name */
    const char *name; /* of a node, or NULL */
    cli_distance distance;
} entry;

typedef struct comparison {
    const cli_options *options;
    qvk_context *context;
    entry *outputs, *nodes; /* nodes: worst first */
    size_t n_outputs, n_nodes;
} comparison;

/* ---- calls ---------------------------------------------------------------------------------------------- */

typedef struct side {
    cli_model model;
    qvk_value *outputs; /* belong to the module */
    int32_t n_outputs;
} side;

static void close_side(side *it)
{
    free(it->outputs);
    cli_close_model(&it->model);
}

static int open_side(const comparison *it, int operand, const char *const *observe, side *out)
{
    const qvk_module_params params = {0};
    const char *method = cli_text(it->options, CLI_OPTION_METHOD);
    qvk_method_info info;
    qvk_error error;
    int status = cli_open_model(it->options, it->options->operands[operand], it->context, &params, observe,
                                &out->model);

    if (status != CLI_OK)
        return status;
    if (qvk_module_method_info(out->model.module, method, &info, &error) != QVK_OK)
        return cli_fail(&error);
    out->n_outputs = info.n_outputs;
    out->outputs = calloc((size_t)info.n_outputs + 1, sizeof *out->outputs);
    return out->outputs ? CLI_OK : cli_complain("out of memory");
}

/* Both sides on one set of inputs: samples come from the first that has some. */
static int call_both(const comparison *it, side sides[2])
{
    const char *method = cli_text(it->options, CLI_OPTION_METHOD);
    const side *source = cli_sample_count(&sides[0].model) > 0 ? &sides[0] : &sides[1];
    cli_inputs inputs = {0};
    qvk_error error;
    int status = cli_load_inputs(it->options, &source->model, method, &inputs);

    for (int i = 0; i < 2 && status == CLI_OK; i++)
        if (qvk_module_forward(sides[i].model.module, method, inputs.values, inputs.count, sides[i].outputs,
                               sides[i].n_outputs, &error) != QVK_OK)
            status = cli_fail(&error);
    cli_free_inputs(&inputs);
    return status;
}

static bool is_comparable(const qvk_value *a, const qvk_value *b)
{
    return a->kind == QVK_VALUE_TENSOR && b->kind == QVK_VALUE_TENSOR &&
           cli_same_shape(&a->tensor, &b->tensor);
}

static int compare_outputs(const side sides[2], comparison *it)
{
    const side *a = &sides[0], *b = &sides[1];

    if (a->n_outputs != b->n_outputs)
        return cli_complain("%s has %d outputs, %s has %d", it->options->operands[0], a->n_outputs,
                            it->options->operands[1], b->n_outputs);
    it->outputs = calloc((size_t)a->n_outputs + 1, sizeof *it->outputs);
    if (!it->outputs)
        return cli_complain("out of memory");
    for (int32_t i = 0; i < a->n_outputs; i++) {
        entry *out = &it->outputs[it->n_outputs];
        if (a->outputs[i].kind != QVK_VALUE_TENSOR && b->outputs[i].kind == a->outputs[i].kind)
            continue; /* a number or None */
        if (!is_comparable(&a->outputs[i], &b->outputs[i]))
            return cli_complain("out_%d is %s in the first program, %s in the second", i,
                                cli_describe(&a->outputs[i].tensor).text,
                                cli_describe(&b->outputs[i].tensor).text);
        snprintf(out->label, sizeof out->label, "out_%d", i);
        out->distance = cli_measure_distance(&a->outputs[i].tensor, &b->outputs[i].tensor);
        it->n_outputs++;
    }
    return CLI_OK;
}

static bool is_float(qvk_dtype dtype)
{
    return dtype == QVK_DTYPE_F32 || dtype == QVK_DTYPE_F16 || dtype == QVK_DTYPE_BF16 ||
           dtype == QVK_DTYPE_F64;
}

static int by_sqnr(const void *a, const void *b)
{
    const double x = ((const entry *)a)->distance.sqnr, y = ((const entry *)b)->distance.sqnr;
    return (x > y) - (x < y);
}

/* The observed values are the last outputs. Those that are integers, or of another shape, are passed over. */
static int compare_nodes(const side sides[2], const cli_names *names, comparison *it)
{
    const qvk_value *a = sides[0].outputs + (sides[0].n_outputs - (int32_t)names->count);
    const qvk_value *b = sides[1].outputs + (sides[1].n_outputs - (int32_t)names->count);

    it->nodes = calloc(names->count + 1, sizeof *it->nodes);
    if (!it->nodes)
        return cli_complain("out of memory");
    for (size_t i = 0; i < names->count; i++) {
        if (!is_comparable(&a[i], &b[i]) || !is_float(a[i].tensor.dtype) || !is_float(b[i].tensor.dtype))
            continue;
        it->nodes[it->n_nodes].name = names->names[i];
        it->nodes[it->n_nodes++].distance = cli_measure_distance(&a[i].tensor, &b[i].tensor);
    }
    qsort(it->nodes, it->n_nodes, sizeof *it->nodes, by_sqnr);
    return CLI_OK;
}

/* names NULL: the outputs; else the values with these names. */
static int compare(comparison *it, const cli_names *names)
{
    const char *const *observe = names ? (const char *const *)names->names : NULL;
    side sides[2] = {{.n_outputs = 0}, {.n_outputs = 0}};
    int status = CLI_OK;

    for (int i = 0; i < 2 && status == CLI_OK; i++)
        status = open_side(it, i, observe, &sides[i]);
    if (status == CLI_OK)
        status = call_both(it, sides);
    if (status == CLI_OK)
        status = names ? compare_nodes(sides, names, it) : compare_outputs(sides, it);
    close_side(&sides[0]);
    close_side(&sides[1]);
    return status;
}

/* ---- results -------------------------------------------------------------------------------------------- */

static void json_entries(json *out, const char *key, const entry *entries, size_t n)
{
    json_open(out, key, '[');
    for (size_t i = 0; i < n; i++) {
        const cli_distance *d = &entries[i].distance;
        json_open(out, NULL, '{');
        json_text(out, "name", entries[i].name ? entries[i].name : entries[i].label);
        json_number(out, "sqnr_db", d->sqnr);
        json_number(out, "max_error", d->max_error);
        json_number(out, "mean_error", d->mean_error);
        json_number(out, "cosine", d->cosine);
        json_close(out, '}');
    }
    json_close(out, ']');
}

static void print_entries(const entry *entries, size_t n)
{
    printf("   SQNR dB   max error  mean error      cosine  name\n");
    for (size_t i = 0; i < n; i++) {
        const cli_distance *d = &entries[i].distance;
        printf("%10.2f  %10.4g  %10.4g  %10.8f  %s\n", d->sqnr, d->max_error, d->mean_error, d->cosine,
               entries[i].name ? entries[i].name : entries[i].label);
    }
}

static void print(const comparison *it)
{
    const bool per_node = cli_has(it->options, CLI_OPTION_PER_NODE);
    json out = {.out = stdout};

    if (cli_has(it->options, CLI_OPTION_JSON)) {
        json_open(&out, NULL, '{');
        json_entries(&out, "outputs", it->outputs, it->n_outputs);
        if (per_node)
            json_entries(&out, "nodes", it->nodes, it->n_nodes);
        json_close(&out, '}');
        json_end(&out);
        return;
    }
    print_entries(it->outputs, it->n_outputs);
    if (!per_node)
        return;
    printf("\n");
    print_entries(it->nodes, it->n_nodes);
}

/* ---- the command ---------------------------------------------------------------------------------------- */

int cmd_compare(const cli_options *options)
{
    comparison it = {.options = options};
    cli_names names = {0};
    int status = cli_open_context(options, &it.context);

    if (status == CLI_OK && cli_has(options, CLI_OPTION_PER_NODE))
        status = cli_shared_nodes(options->operands[0], options->operands[1], &names);
    if (status == CLI_OK)
        status = compare(&it, NULL);
    /* Observed values are not fused away, which changes the roundings: hence a call of its own. */
    if (status == CLI_OK && names.count > 0)
        status = compare(&it, &names);
    if (status == CLI_OK)
        print(&it);
    for (size_t i = 0; i < names.count; i++)
        free(names.names[i]);
    free(names.names);
    free(it.outputs);
    free(it.nodes);
    qvk_context_destroy(&it.context);
    return status;
}
