/* What the commands share: devices, programs, inputs, tensors as numbers, failing. */
#ifndef CLI_H
#define CLI_H

#include "options.h"
#include "qvk/context.h"
#include "qvk/module.h"

enum { CLI_OK = 0, CLI_WRONG = 1, CLI_USAGE = 2, CLI_NO_DEVICE = 3 };

/* One function per command; the exit status. */
#define COMMAND(ID, name, operands, summary) int cmd_##name(const cli_options *options);
#define OPTION(ID, name, value, completes, commands, help)
#include "cli_commands.def"
#undef COMMAND
#undef OPTION

/* "qvk: message" on stderr; the exit status that goes with the error. */
int cli_fail(const qvk_error *err);
int cli_complain(const char *format, ...) QVK_PRINTF(1, 2);

/* ---- device.c ------------------------------------------------------------------------------------------- */

/* Context parameters from --device and the environment. */
qvk_context_params cli_context_params(const cli_options *options);
/* Makes the context and names the device in one line on stderr. CLI_OK or an exit status. */
int cli_open_context(const cli_options *options, qvk_context **out);

/* ---- load.c --------------------------------------------------------------------------------------------- */

/* A program ready to run. A .pt2 is lowered in memory, and what it was lowered from stays with it. */
typedef struct cli_model {
    qvk_module *module;
    struct qvk_program *program; /* NULL: a .pte */
    struct qvk_lowered *lowered;
} cli_model;

/* Loads a .pte or .pt2. observe: names of values of a .pt2 to return after its outputs, NULL-terminated;
 * NULL: none. CLI_OK or an exit status; close with cli_close_model in either case. */
int cli_open_model(const cli_options *options, const char *path, qvk_context *context,
                   const qvk_module_params *params, const char *const *observe, cli_model *out);
void cli_close_model(cli_model *model);

/* ---- lower_in_memory.c, or cmd_without_compiler.c ------------------------------------------------------- */

int cli_lower_in_memory(const cli_options *options, const char *path, qvk_context *context,
                        const qvk_module_params *params, const char *const *observe, cli_model *out);
void cli_close_lowered(cli_model *model);
/* Sample inputs in the file of a .pt2; 0: it has none, or the model is no .pt2. */
int32_t cli_sample_count(const cli_model *model);
/* The data is borrowed from the model. */
qvk_tensor cli_sample(const cli_model *model, int32_t index);

/* ---- inputs.c ------------------------------------------------------------------------------------------- */

typedef struct cli_inputs {
    qvk_value *values;
    int32_t count;
    bool *owned; /* data to be freed */
    bool *fixed; /* a number that the program was exported with: it has its value already */
} cli_inputs;

/* From --input, --random, or else the model's sample inputs; CLI_OK or an exit status. The model must outlive
 * the inputs. */
int cli_load_inputs(const cli_options *options, const cli_model *model, const char *method, cli_inputs *out);
int cli_random_inputs(const qvk_module *module, const char *method, uint64_t seed, cli_inputs *out);
void cli_free_inputs(cli_inputs *inputs);

/* ---- distance.c ----------------------------------------------------------------------------------------- */

bool cli_same_shape(const qvk_tensor *a, const qvk_tensor *b);
/* |a - b|; infinite where only one side is finite, 0 where both are the same infinity or not a number. */
double cli_difference(double a, double b);

/* How far b is from a, over all elements. */
typedef struct cli_distance {
    double sqnr;       /* decibels: 10 log10(sum a^2 / sum (a - b)^2); infinite when they are equal */
    double max_error;  /* of |a - b| */
    double mean_error; /* of |a - b| */
    double cosine;     /* of the angle between them; 1 when both are zero, 0 when one is */
} cli_distance;
/* Of the same shape. */
cli_distance cli_measure_distance(const qvk_tensor *a, const qvk_tensor *b);

/* ---- report.c ------------------------------------------------------------------------------------------- */

typedef struct cli_report {
    const cli_options *options;
    const qvk_value *outputs;
    int32_t n_outputs;
    qvk_device_info device;
    double allowed;   /* share of the largest expected value */
    double max_error; /* over the outputs that --expect names; -1: none */
    double share;     /* the same as a share of the largest expected value of its output */
    bool too_far;
} cli_report;

/* Compares with the files of --expect; CLI_OK or an exit status when they cannot be compared at all. */
int cli_compare_outputs(cli_report *report);
/* A line per output, or one JSON document. */
void cli_print_report(const cli_report *report);

/* ---- values.c ------------------------------------------------------------------------------------------- */

double cli_element(const qvk_tensor *tensor, int64_t index);
typedef struct cli_summary {
    double min, max, mean; /* of the finite elements; NaN when there is none */
    int64_t not_finite;
} cli_summary;
cli_summary cli_summarise(const qvk_tensor *tensor);
/* "float32[2, 3]" by value. */
typedef struct cli_label {
    char text[QVK_MAX_RANK * 22 + 24];
} cli_label;
cli_label cli_describe(const qvk_tensor *tensor);

#endif
