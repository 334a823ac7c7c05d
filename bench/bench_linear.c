/*
 * Times quantized linears: chains of dependent layers with cold weights, activation quantization included,
 * and checks a sample of each result against the reference. One JSON object a line on stdout: first the
 * device and its ceilings, then a line for each measurement with the share of the ceiling it reaches.
 *
 *   bench_linear [--device D] [--scheme 4w,8w,8da4w,8da8w] [--act f16|f32] [--group G]
 *                [--shape NxK,...] [--model llama-3.2-1b,...] [--m 1,128,...|all]
 *                [--layers L] [--together T] [--runs R] [--cold MB] [--json FILE]
 *                [--sweep row|mv|coopmat|splits|TILE,...|none] [--family 1..7]
 *                [--norm here|apart]
 *
 * --shape    weights to time; --model adds the linears of named models (bench/models.def)
 * --m        rows of activations; all: 1,2,4,8,16,32,128,512,2048
 * --layers   of a chain; left out: as many as keep the device time about the same
 * --together neighbours of the chain that do not wait for each other, as q, k and v; times are a layer's
 * share
 * --sweep    a kernel's shapes; TILE: warps_m.warps_n.frags_m.frags_n.buffers.parts on cooperative matrices
 * --norm     an RMS norm before the linear; apart: always by a dispatch of its own
 * --cold     MB that the copies of the weights take together at least
 * --json     the same lines in a file
 */
#include <stdio.h>

#include "core/dtype.h"
#include "device_limits.h"
#include "kernels/linear_choice.h"
#include "layer_chain.h"
#include "linear_layer.h"

/* What --sweep coopmat tries. */
#define COOPMAT_TILES                                                                                        \
    "1.4.4.2.2.1,1.4.4.2.1.2,2.2.4.4.1.2,2.4.4.2.1.2,4.2.2.4.1.2,2.4.4.2.2.1,2.2.4.4.2.1,"                   \
    "2.2.2.2.2.2,2.2.4.2.1.2,2.2.2.4.1.2,1.4.2.2.2.1,1.4.1.2.2.1,4.4.2.2.1.2"
#define ALL_ROWS "1,2,4,8,16,32,128,512,2048"

typedef struct options {
    const char *device, *schemes, *shapes, *models, *rows, *sweep, *json, *norm;
    qvk_dtype act;
    int64_t group;
    uint32_t layers, together, runs, cold_mb;
    int family;
    device_limits limits;
} options;

/* A row of models.def: either a model's name, or one of its shapes. */
typedef struct model_row {
    const char *model, *layers;
    int64_t N, K;
    int count; /* layers of this shape */
} model_row;

static const model_row model_rows[] = {
#define MODEL(name)                 {.model = name},
#define LINEAR(layers, N, K, count) {NULL, layers, N, K, count},
#include "models.def"
};

/* ---- measuring ------------------------------------------------------------------------------------------ */

static void print_line(const options *o, const char *line)
{
    FILE *file = o->json ? fopen(o->json, "a") : NULL;

    puts(line);
    fflush(stdout);
    if (file) {
        fprintf(file, "%s\n", line);
        fclose(file);
    }
}

/* The first line: the device and what it reaches at best. */
static qvk_status report_device(qvk__gpu *gpu, options *o, qvk_error *err)
{
    const qvk__gpu_caps *caps = qvk__gpu_caps_of(gpu);
    const qvk_ceilings *top = &o->limits.ceilings;
    char line[1024];

    QVK__TRY(device_limits_measure(gpu, &o->limits, err));
    snprintf(line, sizeof line,
             "{\"device\": \"%s\", \"driver\": \"%s\", \"copy_gbps\": %.1f, \"f32_tflops\": %.3f, "
             "\"f16_tflops\": %.3f, \"int8_tops\": %.3f, \"dispatch_us\": %.2f}",
             caps->name, caps->driver, top->copy_gbps, top->f32_tflops, top->f16_tflops, top->int8_tops,
             o->limits.dispatch_us);
    if (o->json)
        remove(o->json);
    print_line(o, line);
    return QVK_OK;
}

/* What a line begins with: which layer it is. */
static int describe(const layer *l, char *line, size_t room)
{
    int used = snprintf(line, room,
                        "{\"scheme\": \"%s\", \"act\": \"%s\", \"m\": %lld, \"n\": %lld, \"k\": %lld, "
                        "\"group\": %lld",
                        l->scheme->name, qvk_dtype_name(l->act), (long long)l->M, (long long)l->N,
                        (long long)l->K, (long long)l->group);
    if (l->model)
        used +=
            snprintf(line + used, room - (size_t)used,
                     ", \"model\": \"%s\", \"layers\": \"%s\", \"count\": %d", l->model, l->names, l->count);
    return used;
}

static void report(const options *o, const layer *l, const chain_result *r, double error)
{
    const double bytes = (double)layer_bytes(l), ops = layer_ops(l), us = r->median_us;
    const layer_bound bound = device_limits_bound(&o->limits, bytes, ops, l->scheme->dynamic);
    char line[2048];
    const int used = describe(l, line, sizeof line);

    snprintf(line + used, sizeof line - (size_t)used,
             ", \"us\": %.2f, \"min_us\": %.2f, \"max_us\": %.2f, \"bytes\": %.0f, \"ops\": %.0f, "
             "\"gbps\": %.1f, \"tops\": %.3f, \"bound\": \"%s\", \"share\": %.3f, \"floor\": %.2f, "
             "\"error\": %.1e, \"copies\": %u, \"kernels\": \"%s\", \"specs\": \"%s\"}",
             us, r->min_us, r->max_us, bytes, ops, bytes / us / 1e3, ops / us / 1e6, bound.name,
             bound.us / us, us / bound.floor_us, error, r->n_copies, r->kernels, r->specs);
    print_line(o, line);
}

static qvk_status time_layer(qvk__gpu *gpu, const options *o, layer *l, const qvk__linear_tuning *tuning,
                             void *y, qvk_error *err)
{
    /* About the same device time whatever the size. */
    const bool cpu = qvk__gpu_caps_of(gpu)->type == QVK__GPU_CPU;
    const double layers = QVK__MIN(60, QVK__MAX(cpu ? 2 : 6, (cpu ? 1e10 : 8e11) / layer_ops(l)));
    const chain_params params = {.graph = &l->graph,
                                 .values = l->values,
                                 .tuning = tuning,
                                 .n_layers = o->layers ? o->layers : (uint32_t)layers,
                                 .n_together = o->together,
                                 .n_runs = o->runs,
                                 .cold_bytes = (uint64_t)o->cold_mb << 20};
    chain_result r;
    double error;

    QVK__TRY(chain_run(gpu, &params, LAYER_Y, y, &r, err));
    QVK__TRY(layer_error(l, y, &error, err));
    report(o, l, &r, error);
    return QVK_OK;
}

/* What the device has no kernel or no room for gets a line that says so; the run goes on. */
static qvk_status measure(qvk__gpu *gpu, const options *o, layer *l, const qvk__linear_tuning *tuning,
                          qvk_error *err)
{
    void *y = qvk__alloc_zeroed(qvk_tensor_bytes(&l->values[LAYER_Y]) + 16, 1);
    QVK__CHECK(y, err, QVK_OUT_OF_MEMORY, "no memory for the result");
    const qvk_status status = time_layer(gpu, o, l, tuning, y, err);
    free(y);
    if (status != QVK_UNSUPPORTED && status != QVK_OUT_OF_DEVICE_MEMORY)
        return status;
    char line[2048];
    const int used = describe(l, line, sizeof line);
    snprintf(line + used, sizeof line - (size_t)used, ", \"skipped\": \"%s\"}", err->message);
    print_line(o, line);
    return QVK_OK;
}

/* The family of sweeps on cooperative matrices: linear_coopmat.comp unless asked for another. */
static int matrices(const options *o)
{
    return o->family ? o->family : QVK__LINEAR_COOPMAT;
}

/* Shapes to try, as qvk__linear_tuning takes them. */
static qvk_status sweep_mv(qvk__gpu *gpu, const options *o, layer *l, qvk_error *err)
{
    static const uint32_t threads[] = {64, 128, 256, 512, 1024}, panels[] = {1, 2, 4};

    for (size_t t = 0; t < QVK__COUNT(threads); t++)
        for (size_t p = 0; p < QVK__COUNT(panels); p++) {
            const qvk__linear_tuning tuning = {
                .family = o->family, .mv_threads = threads[t], .mv_panels = panels[p], .mv_max_rows = 64};
            if (threads[t] <= qvk__gpu_caps_of(gpu)->max_invocations)
                QVK__TRY(measure(gpu, o, l, &tuning, err));
        }
    return QVK_OK;
}

static qvk_status sweep_row(qvk__gpu *gpu, const options *o, layer *l, qvk_error *err)
{
    static const uint32_t threads[] = {256, 512, 1024}, panels[] = {1, 2, 4, 8}, ahead[] = {1, 2, 4};

    for (size_t t = 0; t < QVK__COUNT(threads); t++)
        for (size_t p = 0; p < QVK__COUNT(panels); p++)
            for (size_t a = 0; a < QVK__COUNT(ahead) && panels[p] * ahead[a] <= 8; a++) {
                const qvk__linear_tuning tuning = {
                    .family = 6, .row_threads = threads[t], .row_panels = panels[p], .row_ahead = ahead[a]};
                QVK__TRY(measure(gpu, o, l, &tuning, err));
            }
    return QVK_OK;
}

static qvk_status sweep_splits(qvk__gpu *gpu, const options *o, layer *l, qvk_error *err)
{
    for (uint32_t splits = 1; splits <= 16; splits *= 2) {
        const qvk__linear_tuning tuning = {.family = matrices(o), .splits = splits};
        QVK__TRY(measure(gpu, o, l, &tuning, err));
    }
    return QVK_OK;
}

/* Tiles as warps_m.warps_n.frags_m.frags_n.buffers.parts, several with commas between them. */
static qvk_status sweep_tiles(qvk__gpu *gpu, const options *o, layer *l, const char *tiles, qvk_error *err)
{
    for (const char *at = tiles; *at;) {
        qvk__linear_tuning tuning = {.family = matrices(o)};
        qvk__coopmat_tile *t = &tuning.coopmat;
        int used = 0;

        QVK__CHECK(sscanf(at, "%u.%u.%u.%u.%u.%u%n", &t->warps_m, &t->warps_n, &t->frags_m, &t->frags_n,
                          &t->buffers, &t->parts, &used) == 6,
                   err, QVK_SHAPE, "--sweep %s", at);
        QVK__TRY(measure(gpu, o, l, &tuning, err));
        at += used + (at[used] == ',');
    }
    return QVK_OK;
}

static qvk_status run_layer(qvk__gpu *gpu, const options *o, layer *l, qvk_error *err)
{
    const qvk__linear_tuning tuning = {.family = o->family,
                                       .norm_apart = o->norm && strcmp(o->norm, "apart") == 0};

    if (strcmp(o->sweep, "row") == 0)
        return sweep_row(gpu, o, l, err);
    if (strcmp(o->sweep, "splits") == 0)
        return sweep_splits(gpu, o, l, err);
    if (strcmp(o->sweep, "mv") == 0)
        return sweep_mv(gpu, o, l, err);
    if (strcmp(o->sweep, "coopmat") == 0)
        return sweep_tiles(gpu, o, l, COOPMAT_TILES, err);
    if (o->sweep[0] >= '0' && o->sweep[0] <= '9')
        return sweep_tiles(gpu, o, l, o->sweep, err);
    return measure(gpu, o, l, o->family || tuning.norm_apart ? &tuning : NULL, err);
}

static bool lists(const char *list, const char *name)
{
    const size_t length = strlen(name);

    for (const char *at = strstr(list, name); at; at = strstr(at + 1, name))
        if ((at == list || at[-1] == ',') && (at[length] == ',' || at[length] == 0))
            return true;
    return false;
}

static const char *next(const char *list)
{
    const char *comma = strchr(list, ',');

    return comma ? comma + 1 : list + strlen(list);
}

static qvk_status run_shape(qvk__gpu *gpu, const options *o, const model_row *shape, const char *model,
                            qvk_error *err)
{
    const char *rows = strcmp(o->rows, "all") == 0 ? ALL_ROWS : o->rows;

    for (size_t s = 0; s < QVK__COUNT(linear_schemes); s++) {
        if (!lists(o->schemes, linear_schemes[s].name))
            continue;
        for (const char *m = rows; *m; m = next(m)) {
            layer l;
            layer_make(&l, &linear_schemes[s], o->act, atoll(m), shape->N, shape->K, o->group,
                       o->norm != NULL);
            l.model = model;
            l.names = shape->layers;
            l.count = shape->count;
            const qvk_status status = run_layer(gpu, o, &l, err);
            layer_free(&l);
            QVK__TRY(status);
        }
    }
    return QVK_OK;
}

static qvk_status run_shapes(qvk__gpu *gpu, const options *o, qvk_error *err)
{
    for (const char *at = o->shapes; *at; at = next(at)) {
        long long N, K;
        QVK__CHECK(sscanf(at, "%lldx%lld", &N, &K) == 2 && N > 0 && K > 0, err, QVK_INVALID_ARGUMENT,
                   "--shape %s: expected NxK, as in 4096x14336", at);
        const model_row shape = {.N = N, .K = K};
        QVK__TRY(run_shape(gpu, o, &shape, NULL, err));
    }
    return QVK_OK;
}

static qvk_status run_models(qvk__gpu *gpu, const options *o, qvk_error *err)
{
    const char *model = NULL;

    for (size_t i = 0; i < QVK__COUNT(model_rows); i++)
        if (model_rows[i].model)
            model = model_rows[i].model;
        else if (lists(o->models, model))
            QVK__TRY(run_shape(gpu, o, &model_rows[i], model, err));
    return QVK_OK;
}

static bool models_known(const char *list)
{
    for (const char *at = list; *at; at = next(at)) {
        const size_t length = strcspn(at, ",");
        bool known = false;
        for (size_t i = 0; i < QVK__COUNT(model_rows) && !known; i++)
            known = model_rows[i].model && strlen(model_rows[i].model) == length &&
                    memcmp(model_rows[i].model, at, length) == 0;
        if (!known) {
            fprintf(stderr, "bench_linear: --model %.*s: not in bench/models.def\n", (int)length, at);
            return false;
        }
    }
    return true;
}

static bool read_options(int argc, char **argv, options *o)
{
    *o = (options){.schemes = "4w,8w,8da4w,8da8w",
                   .shapes = "",
                   .models = "",
                   .rows = "1",
                   .sweep = "none",
                   .act = QVK_DTYPE_F16,
                   .group = 64,
                   .runs = 5,
                   .cold_mb = 200};
    for (int i = 1; i + 1 < argc; i += 2) {
        const char *name = argv[i], *value = argv[i + 1];
        if (strcmp(name, "--device") == 0)
            o->device = value;
        else if (strcmp(name, "--scheme") == 0)
            o->schemes = value;
        else if (strcmp(name, "--shape") == 0)
            o->shapes = value;
        else if (strcmp(name, "--model") == 0)
            o->models = value;
        else if (strcmp(name, "--m") == 0)
            o->rows = value;
        else if (strcmp(name, "--act") == 0)
            o->act = strcmp(value, "f32") == 0 ? QVK_DTYPE_F32 : QVK_DTYPE_F16;
        else if (strcmp(name, "--group") == 0)
            o->group = atoll(value);
        else if (strcmp(name, "--layers") == 0)
            o->layers = (uint32_t)atoi(value);
        else if (strcmp(name, "--together") == 0)
            o->together = (uint32_t)atoi(value);
        else if (strcmp(name, "--runs") == 0)
            o->runs = (uint32_t)atoi(value);
        else if (strcmp(name, "--cold") == 0)
            o->cold_mb = (uint32_t)atoi(value);
        else if (strcmp(name, "--sweep") == 0)
            o->sweep = value;
        else if (strcmp(name, "--json") == 0)
            o->json = value;
        else if (strcmp(name, "--norm") == 0)
            o->norm = value;
        else if (strcmp(name, "--family") == 0)
            o->family = atoi(value);
        else
            return false;
    }
    if (!*o->shapes && !*o->models)
        o->shapes = "4096x4096";
    return argc % 2 == 1 && models_known(o->models);
}

int main(int argc, char **argv)
{
    options o;
    qvk__gpu *gpu = NULL;
    qvk_error err;

    if (!read_options(argc, argv, &o)) {
        fprintf(stderr, "bench_linear: see the comment at the top of bench/bench_linear.c for the options\n");
        return 2;
    }
    const qvk__gpu_params params = {.device = o.device};
    qvk_status status = qvk__gpu_create(&params, &gpu, &err);
    if (status == QVK_OK)
        status = report_device(gpu, &o, &err);
    if (status == QVK_OK)
        status = run_shapes(gpu, &o, &err);
    if (status == QVK_OK)
        status = run_models(gpu, &o, &err);
    qvk__gpu_destroy(&gpu);
    if (status != QVK_OK)
        fprintf(stderr, "bench_linear: %s\n", err.message);
    return status == QVK_OK ? 0 : 1;
}
