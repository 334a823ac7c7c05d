/* Inputs of a method: from .npy files, random, or the samples in a .pt2. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "qvk/npy.h"

static int start(const qvk_module *module, const char *method, cli_inputs *out)
{
    qvk_method_info info;
    qvk_error error;

    memset(out, 0, sizeof *out);
    if (qvk_module_method_info(module, method, &info, &error) != QVK_OK)
        return cli_fail(&error);
    out->values = calloc((size_t)info.n_inputs + 1, sizeof *out->values);
    out->owned = calloc((size_t)info.n_inputs + 1, sizeof *out->owned);
    out->fixed = calloc((size_t)info.n_inputs + 1, sizeof *out->fixed);
    if (!out->values || !out->owned || !out->fixed)
        return cli_complain("out of memory");
    out->count = info.n_inputs;
    for (int32_t i = 0; i < out->count; i++) {
        bool open;
        if (qvk_module_input_info(module, method, i, &out->values[i], &open, &error) != QVK_OK)
            return cli_fail(&error);
        out->fixed[i] = out->values[i].kind != QVK_VALUE_TENSOR && !open;
    }
    return CLI_OK;
}

void cli_free_inputs(cli_inputs *inputs)
{
    for (int32_t i = 0; i < inputs->count; i++)
        if (inputs->owned && inputs->owned[i])
            free(inputs->values[i].tensor.data);
    free(inputs->values);
    free(inputs->owned);
    free(inputs->fixed);
    memset(inputs, 0, sizeof *inputs);
}

/* ---- files ---------------------------------------------------------------------------------------------- */

/* A number of the method takes a tensor with one element. */
static int set_number(const char *path, const qvk_tensor *tensor, qvk_value *out)
{
    if (qvk_tensor_numel(tensor) != 1)
        return cli_complain("%s: the method wants one number, not %s", path, cli_describe(tensor).text);
    if (out->kind == QVK_VALUE_FLOAT)
        out->f = cli_element(tensor, 0);
    else if (tensor->dtype == QVK_DTYPE_I64)
        memcpy(&out->i, tensor->data, sizeof out->i);
    else
        out->i = (int64_t)cli_element(tensor, 0);
    return CLI_OK;
}

/* Fixed numbers need no file; where there is one for every input they are read, so that a wrong one is told.
 */
static int load_files(const cli_list *paths, cli_inputs *out)
{
    int next = 0, status = CLI_OK, wanted = 0;

    for (int32_t i = 0; i < out->count; i++)
        wanted += !out->fixed[i];
    for (int32_t i = 0; i < out->count && status == CLI_OK; i++) {
        qvk_value *value = &out->values[i];
        qvk_tensor tensor;
        qvk_error error;
        if (value->kind == QVK_VALUE_NONE || (out->fixed[i] && paths->count <= wanted))
            continue;
        if (next == paths->count)
            return cli_complain(
                "input %d (%s) is missing%s: give --input F.npy for each, or --random SEED", i,
                value->kind == QVK_VALUE_TENSOR ? cli_describe(&value->tensor).text : "a number",
                paths->count == 0 ? ", and the file has no sample inputs" : "");
        if (qvk_npy_load(paths->items[next], &tensor, &error) != QVK_OK)
            return cli_fail(&error);
        if (value->kind == QVK_VALUE_TENSOR) {
            value->tensor = tensor;
            out->owned[i] = true;
        } else {
            status = set_number(paths->items[next], &tensor, value);
            qvk_tensor_free(&tensor);
        }
        next++;
    }
    if (status == CLI_OK && next < paths->count)
        return cli_complain("the method has %d inputs, %d were given", next, paths->count);
    return status;
}

/* ---- random --------------------------------------------------------------------------------------------- */

/* splitmix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators"). */
static uint64_t next_random(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

/* A multiple of 1/256 in [-1, 1): exact in every float type. */
static double random_float(uint64_t *state)
{
    return (double)(int64_t)(next_random(state) >> 55) / 256.0 - 1.0;
}

static uint16_t half_of(double x)
{
    const uint16_t sign = x < 0.0 ? 0x8000 : 0;
    int exponent = 15;
    double y = x < 0.0 ? -x : x;

    if (y == 0.0)
        return 0;
    for (; y < 1.0; exponent--)
        y *= 2.0;
    return (uint16_t)(sign | exponent << 10 | (int)((y - 1.0) * 1024.0));
}

static void set_random(qvk_tensor *tensor, int64_t i, uint64_t *state)
{
    const int64_t whole = (int64_t)(next_random(state) >> 61);
    const double number = random_float(state);

    switch (tensor->dtype) {
    case QVK_DTYPE_F32: ((float *)tensor->data)[i] = (float)number; break;
    case QVK_DTYPE_F64: ((double *)tensor->data)[i] = number; break;
    case QVK_DTYPE_F16: ((uint16_t *)tensor->data)[i] = half_of(number); break;
    case QVK_DTYPE_I64: ((int64_t *)tensor->data)[i] = whole; break;
    case QVK_DTYPE_I32: ((int32_t *)tensor->data)[i] = (int32_t)whole; break;
    case QVK_DTYPE_I16: ((int16_t *)tensor->data)[i] = (int16_t)whole; break;
    case QVK_DTYPE_BOOL: ((uint8_t *)tensor->data)[i] = (uint8_t)(whole & 1); break;
    default: ((uint8_t *)tensor->data)[i] = (uint8_t)whole; break;
    }
}

int cli_random_inputs(const qvk_module *module, const char *method, uint64_t seed, cli_inputs *out)
{
    uint64_t state = seed;
    int status = start(module, method, out);

    for (int32_t i = 0; i < out->count && status == CLI_OK; i++) {
        qvk_tensor *tensor = &out->values[i].tensor;
        const int64_t numel = qvk_tensor_numel(tensor);
        if (out->values[i].kind != QVK_VALUE_TENSOR)
            continue;
        tensor->data = calloc((size_t)numel + 1, qvk_dtype_bytes(tensor->dtype));
        if (!tensor->data)
            return cli_complain("out of memory for input %d, %s", i, cli_describe(tensor).text);
        out->owned[i] = true;
        for (int64_t n = 0; n < numel; n++)
            set_random(tensor, n, &state);
    }
    return status;
}

/* ---- samples -------------------------------------------------------------------------------------------- */

static int use_samples(const cli_model *model, cli_inputs *out)
{
    const int32_t n = cli_sample_count(model);
    int32_t next = 0;

    for (int32_t i = 0; i < out->count; i++) {
        if (out->values[i].kind != QVK_VALUE_TENSOR)
            continue; /* a number that the program was exported with: described with its value */
        if (next == n)
            return cli_complain(
                "the program's file has %d sample inputs, too few: give --input F.npy for each "
                "input, or --random SEED",
                n);
        out->values[i].tensor = cli_sample(model, next++);
    }
    return CLI_OK;
}

int cli_load_inputs(const cli_options *options, const cli_model *model, const char *method, cli_inputs *out)
{
    const cli_list *paths = &options->given[CLI_OPTION_INPUT];
    int64_t seed;
    int status;

    memset(out, 0, sizeof *out);
    if (cli_has(options, CLI_OPTION_RANDOM)) {
        if (!cli_number(options, CLI_OPTION_RANDOM, 0, INT64_MAX, 0, &seed))
            return CLI_USAGE;
        return cli_random_inputs(model->module, method, (uint64_t)seed, out);
    }
    status = start(model->module, method, out);
    if (status != CLI_OK)
        return status;
    return paths->count == 0 && cli_sample_count(model) > 0 ? use_samples(model, out)
                                                            : load_files(paths, out);
}
