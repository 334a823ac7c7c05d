/*
 * Times loading a large program: makes a chain of quantized linears, then loads it in a process of its own.
 *
 *   bench_load make FILE [--weights MILLIONS] [--layers N] [--width N] [--scheme 4w|8w]
 *   bench_load time FILE [--device D] [--runs R]
 *
 * `time` prints one JSON object a line: a load's milliseconds and GB/s, how far the process's peak memory is
 * above what it was before the load, and what stays in memory of mapped files. Pages of the program's file
 * are let go once they are packed; on a device that shares the host's memory the weights count in the peak.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "qvk/qvk.h"

typedef struct options {
    const char *file, *device, *scheme;
    long weights, layers, width, runs;
} options;

/* ---- making a file -------------------------------------------------------------------------------------- */

static void fill(float *data, size_t count, uint32_t *state)
{
    for (size_t i = 0; i < count; i++) {
        *state = *state * 1664525u + 1013904223u;
        data[i] = (float)(*state >> 8) / 16777216.0f - 0.5f;
    }
}

static qvk_status build(const options *o, qvk_program **out, qvk_error *err)
{
    const int64_t width = o->width, sizes[2] = {1, width};
    const long layers = o->layers ? o->layers : o->weights * 1000000 / (o->width * o->width) + 1;
    float *data = malloc(sizeof(float) * (size_t)(width * width));
    const qvk_tensor weight = {QVK_DTYPE_F32, 2, {width, width}, data};
    uint32_t state = 1;
    qvk_builder *builder;
    qvk_status status = data ? qvk_builder_create(&builder, err) : QVK_OUT_OF_MEMORY;

    if (status != QVK_OK) {
        free(data);
        return status;
    }
    qvk_node *x = qvk_builder_input(builder, "x", QVK_DTYPE_F32, 2, sizes, 0);
    for (long i = 0; i < layers; i++) {
        char name[64];
        snprintf(name, sizeof name, "linears.%ld.weight", i);
        fill(data, (size_t)(width * width), &state);
        x = qvk_builder_linear(builder, x, qvk_builder_parameter(builder, name, &weight), NULL);
    }
    qvk_builder_output(builder, x);
    free(data);
    return qvk_builder_finish(&builder, out, err);
}

static qvk_status make(const options *o, qvk_error *err)
{
    const qvk_intx_weight_only_config config = {
        .base = {.kind = QVK_CONFIG_INTX_WEIGHT_ONLY,
                 .weight_bits = strcmp(o->scheme, "8w") == 0 ? 8 : 4,
                 .granularity = {strcmp(o->scheme, "8w") == 0 ? 0 : 64}},
    };
    qvk_program *program = NULL;
    qvk_lowered *lowered = NULL;
    qvk_status status = build(o, &program, err);

    if (status == QVK_OK)
        status = qvk_quantize(program, &config.base, NULL, err);
    if (status == QVK_OK)
        status = qvk_to_edge_transform_and_lower(program, NULL, &lowered, err);
    if (status == QVK_OK)
        status = qvk_to_executorch(lowered, err);
    if (status == QVK_OK)
        status = qvk_program_write(lowered, o->file, err);
    qvk_lowered_destroy(&lowered);
    qvk_program_destroy(&program);
    return status;
}

/* ---- timing it ------------------------------------------------------------------------------------------ */

static long file_bytes(const char *path)
{
    FILE *file = fopen(path, "rb");
    const long bytes = file && fseek(file, 0, SEEK_END) == 0 ? ftell(file) : -1;

    if (file)
        fclose(file);
    return bytes;
}

/* Bytes that /proc tells for this process: "VmHWM:" is the peak of resident memory, "RssFile:" what is
 * resident of mapped files; 0 where it does not. */
static long memory(const char *what)
{
    FILE *file = fopen("/proc/self/status", "r");
    const size_t length = strlen(what);
    char line[256];
    long kib = 0;

    while (file && fgets(line, sizeof line, file))
        if (strncmp(line, what, length) == 0)
            kib = atol(line + length);
    if (file)
        fclose(file);
    return kib * 1024;
}

static qvk_status time_loads(const options *o, qvk_error *err)
{
    const qvk_context_params params = {.device = o->device};
    const long bytes = file_bytes(o->file);
    qvk_context *context = NULL;
    qvk_status status = qvk_context_create(&params, &context, err);

    for (long run = 0; status == QVK_OK && run < o->runs; run++) {
        const long peak = memory("VmHWM:"), mapped = memory("RssFile:");
        qvk_module *module = NULL;
        qvk_load_info info;
        status = qvk_module_load(context, o->file, NULL, &module, err);
        if (status != QVK_OK)
            break;
        qvk_module_load_info(module, &info);
        printf("{\"file_bytes\": %ld, \"load_ms\": %.1f, \"read_ms\": %.1f, \"upload_ms\": %.1f, "
               "\"pipeline_ms\": %.1f, \"gbps\": %.2f, \"peak_above_mib\": %ld, \"mapped_above_mib\": %ld, "
               "\"weight_bytes\": %llu}\n",
               bytes, info.total_ms, info.read_ms, info.upload_ms, info.pipeline_ms,
               (double)bytes / info.total_ms / 1e6, (memory("VmHWM:") - peak) / 1048576,
               (memory("RssFile:") - mapped) / 1048576, (unsigned long long)info.weight_bytes);
        qvk_module_destroy(&module);
    }
    qvk_context_destroy(&context);
    return status;
}

static bool read_options(int argc, char **argv, options *o)
{
    *o = (options){.scheme = "4w", .weights = 1000, .width = 4096, .runs = 3};
    if (argc < 3 || argc % 2 != 1)
        return false;
    o->file = argv[2];
    for (int i = 3; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--weights") == 0)
            o->weights = atol(argv[i + 1]);
        else if (strcmp(argv[i], "--layers") == 0)
            o->layers = atol(argv[i + 1]);
        else if (strcmp(argv[i], "--width") == 0)
            o->width = atol(argv[i + 1]);
        else if (strcmp(argv[i], "--scheme") == 0)
            o->scheme = argv[i + 1];
        else if (strcmp(argv[i], "--device") == 0)
            o->device = argv[i + 1];
        else if (strcmp(argv[i], "--runs") == 0)
            o->runs = atol(argv[i + 1]);
        else
            return false;
    }
    return o->weights > 0 && o->layers >= 0 && o->width > 0 && o->runs > 0;
}

int main(int argc, char **argv)
{
    options o;
    qvk_error err = {0};
    qvk_status status;

    if (read_options(argc, argv, &o) && strcmp(argv[1], "make") == 0)
        status = make(&o, &err);
    else if (read_options(argc, argv, &o) && strcmp(argv[1], "time") == 0)
        status = time_loads(&o, &err);
    else {
        fprintf(stderr, "bench_load: see the comment at the top of bench/bench_load.c for the options\n");
        return 2;
    }
    if (status != QVK_OK)
        fprintf(stderr, "bench_load: %s\n", err.message);
    return status == QVK_OK ? 0 : 1;
}
