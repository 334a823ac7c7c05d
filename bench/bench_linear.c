/*
 * Times quantized linears: chains of dependent layers with cold weights, activation quantization included,
 * and checks a sample of each result against the reference. One JSON object a line on stdout.
 *
 *   bench_linear [--device D] [--scheme 4w,8w,8da4w,8da8w] [--act f16|f32] [--shape NxK,...] [--m 1,128,...]
 * [--group G]
 *                [--layers L] [--runs R] [--cold MB] [--sweep row|mv|coopmat|splits|none] [--family 1..6]
 * [--json FILE]
 */
#include <math.h>
#include <stdio.h>

#include "core/dtype.h"
#include "layer_chain.h"
#include "reference/reference.h"

#define SAMPLE_ROWS    4
#define SAMPLE_COLUMNS 16

typedef struct options {
    const char *device, *schemes, *shapes, *rows, *sweep, *json;
    qvk_dtype act;
    int64_t group;
    uint32_t layers, runs, cold_mb;
    int family;
} options;

typedef struct scheme {
    const char *name;
    int bits;
    bool dynamic;
} scheme;

static const scheme schemes[] = {{"4w", 4, false}, {"8w", 8, false}, {"8da4w", 4, true}, {"8da8w", 8, true}};

/* One layer: values and their data, in the order of `enum`. */
enum { X, WEIGHTS, WEIGHT_SCALES, Y, N_VALUES };

typedef struct layer {
    const scheme *scheme;
    int64_t M, N, K, group; /* group 0: per channel */
    qvk_dtype act;
    qvk__graph graph;
    qvk__constant constants[N_VALUES];
    qvk_tensor values[N_VALUES];
} layer;

static uint64_t random_state = 0x9e3779b97f4a7c15u;

static uint64_t random_bits(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

static float random_float(void)
{
    return (float)(random_bits() >> 40) / 8388608.0f - 1.0f;
}

/* ---- building a layer ----------------------------------------------------------------------------------- */

static void set_tensor(qvk_tensor *t, qvk_dtype dtype, int rank, int64_t a, int64_t b, bool allocate)
{
    *t = (qvk_tensor){.dtype = dtype, .rank = rank, .sizes = {a, b}};
    if (allocate)
        t->data = qvk__alloc_zeroed(qvk_tensor_bytes(t) + 64, 1);
}

static void fill(layer *l)
{
    for (int64_t i = 0; i < l->M * l->K; i++)
        qvk__reference_set(&l->values[X], i, (double)random_float());
    uint64_t *words = l->values[WEIGHTS].data;
    for (uint64_t i = 0; i < qvk_tensor_bytes(&l->values[WEIGHTS]) / 8; i++)
        words[i] = random_bits();
    for (int64_t i = 0; i < qvk_tensor_numel(&l->values[WEIGHT_SCALES]); i++)
        qvk__reference_set(
            &l->values[WEIGHT_SCALES], i,
            (double)((1.5f + random_float()) / (l->scheme->bits == 4 ? 4.0f : 64.0f) / sqrtf((float)l->K)));
}

/* Operators by [dynamic][8 bits]; the dynamic ones choose their scales, as in a loaded program. */
static const qvk__op ops[2][2] = {{QVK__OP_ET_LINEAR_Q4GSW, QVK__OP_QVK_LINEAR_Q8GSW},
                                  {QVK__OP_QVK_LINEAR_D8_Q4GSW, QVK__OP_QVK_LINEAR_D8_Q8GSW}};

static void add_linear(layer *l)
{
    const qvk__arg args[] = {qvk__arg_from_value(X),
                             qvk__arg_from_value(WEIGHTS),
                             qvk__arg_from_value(WEIGHT_SCALES),
                             qvk__arg_from_int(l->group ? l->group : l->K),
                             {0}};
    const int32_t y = Y;

    qvk__graph_add_node(&l->graph, ops[l->scheme->dynamic][l->scheme->bits == 8], "linear", args, 5, &y, 1);
}

static void layer_make(layer *l, const scheme *s, qvk_dtype act, int64_t M, int64_t N, int64_t K,
                       int64_t group)
{
    *l = (layer){.scheme = s, .M = M, .N = N, .K = K, .group = group, .act = act};
    const int64_t groups = group ? (K + group - 1) / group : 1;
    set_tensor(&l->values[X], act, 2, M, K, true);
    set_tensor(&l->values[WEIGHTS], s->bits == 4 ? QVK_DTYPE_U8 : QVK_DTYPE_I8, 2, N,
               s->bits == 4 ? (K + 7) / 8 * 4 : K, true);
    set_tensor(&l->values[WEIGHT_SCALES], QVK_DTYPE_F32, 2, groups, N, true);
    set_tensor(&l->values[Y], act, 2, M, N, false);
    fill(l);
    qvk__graph_init(&l->graph);
    for (int i = 0; i < N_VALUES; i++) {
        qvk__graph_add_value(&l->graph, NULL, &l->values[i]);
        if (i == WEIGHTS || i == WEIGHT_SCALES) {
            l->constants[i] =
                (qvk__constant){.data = l->values[i].data, .bytes = qvk_tensor_bytes(&l->values[i])};
            l->graph.values.data[i].constant = &l->constants[i];
        }
    }
    add_linear(l);
}

static void layer_free(layer *l)
{
    for (int i = 0; i < N_VALUES; i++)
        free(l->values[i].data);
    qvk__graph_finish(&l->graph);
}

/* ---- checking a sample ---------------------------------------------------------------------------------- */

/* The layer cut down to a few rows and neighbouring columns, for the reference. */
static void cut_layer(const layer *l, const int64_t *rows, int64_t n_rows, int64_t first, int64_t columns,
                      layer *small)
{
    layer_make(small, l->scheme, l->act, n_rows, columns, l->K, l->group);
    const size_t row_bytes = (size_t)l->K * qvk_dtype_bytes(l->act);
    const size_t weight_bytes = qvk_tensor_bytes(&l->values[WEIGHTS]) / (size_t)l->N;
    for (int64_t i = 0; i < n_rows; i++)
        memcpy((char *)small->values[X].data + (size_t)i * row_bytes,
               (const char *)l->values[X].data + (size_t)rows[i] * row_bytes, row_bytes);
    memcpy(small->values[WEIGHTS].data, (const char *)l->values[WEIGHTS].data + (size_t)first * weight_bytes,
           (size_t)columns * weight_bytes);
    for (int64_t g = 0; g < l->values[WEIGHT_SCALES].sizes[0]; g++)
        memcpy((float *)small->values[WEIGHT_SCALES].data + g * columns,
               (const float *)l->values[WEIGHT_SCALES].data + g * l->N + first, (size_t)columns * 4);
    small->values[Y].data = qvk__alloc_zeroed(qvk_tensor_bytes(&small->values[Y]) + 16, 1);
}

static qvk_status run_reference(layer *l, qvk_error *err)
{
    for (size_t i = 0; i < l->graph.nodes.count; i++) {
        const qvk__node *node = &l->graph.nodes.data[i];
        qvk__arg args[QVK__MAX_PARAMS];
        qvk_tensor outs[2];
        for (int32_t a = 0; a < node->n_args; a++) {
            args[a] = node->args[a];
            if (args[a].kind == QVK__ARG_VALUE)
                args[a] = (qvk__arg){.kind = QVK__ARG_TENSOR, .u.tensor = &l->values[node->args[a].u.value]};
        }
        for (int32_t o = 0; o < node->n_outs; o++)
            outs[o] = l->values[node->outs[o]];
        QVK__TRY(qvk__reference_run(node->op, args, node->n_args, outs, node->n_outs, err));
    }
    return QVK_OK;
}

/* Largest difference from the reference in a sample, relative to the sample's largest value. */
static qvk_status sample_error(const layer *l, const void *y, double *out, qvk_error *err)
{
    const int64_t columns = QVK__MIN(l->N, SAMPLE_COLUMNS);
    const int64_t firsts[] = {0, (l->N - columns) / 2, l->N - columns};
    int64_t rows[SAMPLE_ROWS], n_rows = QVK__MIN(l->M, SAMPLE_ROWS);
    qvk_tensor all = l->values[Y];
    double worst = 0, largest = 0;

    for (int64_t i = 0; i < n_rows; i++)
        rows[i] = n_rows > 1 ? i * (l->M - 1) / (n_rows - 1) : 0;
    all.data = (void *)(uintptr_t)y;
    for (size_t f = 0; f < QVK__COUNT(firsts); f++) {
        layer small;
        cut_layer(l, rows, n_rows, firsts[f], columns, &small);
        const qvk_status status = run_reference(&small, err);
        for (int64_t i = 0; status == QVK_OK && i < n_rows * columns; i++) {
            const double expected = qvk__reference_get(&small.values[Y], i);
            const double actual =
                qvk__reference_get(&all, rows[i / columns] * l->N + firsts[f] + i % columns);
            worst = fmax(worst, isfinite(actual) ? fabs(actual - expected) : INFINITY);
            largest = fmax(largest, fabs(expected));
        }
        layer_free(&small);
        QVK__TRY(status);
    }
    *out = largest > 0 ? worst / largest : worst;
    return QVK_OK;
}

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

static qvk_status measure(qvk__gpu *gpu, const options *o, layer *l, const qvk__linear_tuning *tuning,
                          qvk_error *err)
{
    /* About the same device time whatever the size. */
    const double work = (double)l->M * (double)l->N * (double)l->K;
    const uint32_t layers = o->layers ? o->layers : (uint32_t)fmin(60, fmax(6, 4e11 / work));
    const chain_params params = {.graph = &l->graph,
                                 .values = l->values,
                                 .tuning = tuning,
                                 .n_layers = layers,
                                 .n_runs = o->runs,
                                 .cold_bytes = (uint64_t)o->cold_mb << 20};
    char line[1024];
    chain_result r;
    double error;
    void *y = qvk__alloc_zeroed(qvk_tensor_bytes(&l->values[Y]) + 16, 1);
    QVK__CHECK(y, err, QVK_OUT_OF_MEMORY, "no memory for the result");
    qvk_status status = chain_run(gpu, &params, Y, y, &r, err);
    if (status == QVK_OK)
        status = sample_error(l, y, &error, err);
    free(y);
    QVK__TRY(status);
    const uint64_t weight_bytes = (uint64_t)(l->N * l->K * l->scheme->bits / 8);
    snprintf(
        line, sizeof line,
        "{\"scheme\": \"%s\", \"act\": \"%s\", \"m\": %lld, \"n\": %lld, \"k\": %lld, \"group\": %lld, "
        "\"us\": %.2f, \"min_us\": %.2f, \"gbps\": %.0f, \"tops\": %.2f, \"floor\": %.2f, \"error\": %.1e, "
        "\"copies\": %u, \"kernels\": \"%s\", \"specs\": \"%s\"}",
        l->scheme->name, qvk_dtype_name(l->act), (long long)l->M, (long long)l->N, (long long)l->K,
        (long long)l->group, r.median_us, r.min_us, (double)weight_bytes / r.median_us / 1e3,
        2.0 * work / r.median_us / 1e6, r.median_us / (2.9 + (double)weight_bytes / 3.15e6), error,
        r.n_copies, r.kernels, r.specs);
    print_line(o, line);
    return QVK_OK;
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
    static const uint32_t threads[] = {128, 256, 512, 1024}, panels[] = {1, 2, 4, 8}, ahead[] = {1, 2, 4};

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
        const qvk__linear_tuning tuning = {.family = 5, .splits = splits};
        QVK__TRY(measure(gpu, o, l, &tuning, err));
    }
    return QVK_OK;
}

static qvk_status sweep_coopmat(qvk__gpu *gpu, const options *o, layer *l, qvk_error *err)
{
    /* warps_m, warps_n, frags_m, frags_n, buffers */
    static const uint32_t shapes[][5] = {
        {2, 2, 4, 4, 2}, {2, 2, 4, 4, 1}, {2, 4, 4, 2, 2}, {4, 2, 2, 4, 2}, {2, 4, 4, 4, 1}, {4, 2, 4, 4, 1},
        {2, 2, 4, 2, 2}, {2, 2, 2, 4, 2}, {1, 4, 4, 2, 2}, {2, 4, 2, 2, 2}, {1, 4, 2, 2, 2}, {1, 4, 1, 2, 2},
        {1, 2, 1, 2, 2}, {1, 4, 4, 4, 2}, {2, 4, 2, 4, 2}, {4, 4, 2, 2, 2},
    };

    for (size_t i = 0; i < QVK__COUNT(shapes); i++) {
        const uint32_t *s = shapes[i];
        const qvk__linear_tuning tuning = {
            .family = 5,
            .coopmat = {.warps_m = s[0], .warps_n = s[1], .frags_m = s[2], .frags_n = s[3], .buffers = s[4]}};
        QVK__TRY(measure(gpu, o, l, &tuning, err));
    }
    return QVK_OK;
}

static qvk_status run_layer(qvk__gpu *gpu, const options *o, layer *l, qvk_error *err)
{
    const qvk__linear_tuning tuning = {.family = o->family};

    if (strcmp(o->sweep, "row") == 0)
        return sweep_row(gpu, o, l, err);
    if (strcmp(o->sweep, "splits") == 0)
        return sweep_splits(gpu, o, l, err);
    if (strcmp(o->sweep, "mv") == 0)
        return sweep_mv(gpu, o, l, err);
    if (strcmp(o->sweep, "coopmat") == 0)
        return sweep_coopmat(gpu, o, l, err);
    return measure(gpu, o, l, o->family ? &tuning : NULL, err);
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

static qvk_status run_all(qvk__gpu *gpu, const options *o, qvk_error *err)
{
    for (const char *shape = o->shapes; *shape; shape = next(shape)) {
        long long N, K;
        QVK__CHECK(sscanf(shape, "%lldx%lld", &N, &K) == 2, err, QVK_INVALID_ARGUMENT, "--shape %s", shape);
        for (size_t s = 0; s < QVK__COUNT(schemes); s++) {
            if (!lists(o->schemes, schemes[s].name))
                continue;
            for (const char *m = o->rows; *m; m = next(m)) {
                layer l;
                layer_make(&l, &schemes[s], o->act, atoll(m), N, K, o->group);
                const qvk_status status = run_layer(gpu, o, &l, err);
                layer_free(&l);
                QVK__TRY(status);
            }
        }
    }
    return QVK_OK;
}

static bool read_options(int argc, char **argv, options *o)
{
    *o = (options){.schemes = "4w,8w,8da4w,8da8w",
                   .shapes = "4096x4096",
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
        else if (strcmp(name, "--m") == 0)
            o->rows = value;
        else if (strcmp(name, "--act") == 0)
            o->act = strcmp(value, "f32") == 0 ? QVK_DTYPE_F32 : QVK_DTYPE_F16;
        else if (strcmp(name, "--group") == 0)
            o->group = atoll(value);
        else if (strcmp(name, "--layers") == 0)
            o->layers = (uint32_t)atoi(value);
        else if (strcmp(name, "--runs") == 0)
            o->runs = (uint32_t)atoi(value);
        else if (strcmp(name, "--cold") == 0)
            o->cold_mb = (uint32_t)atoi(value);
        else if (strcmp(name, "--sweep") == 0)
            o->sweep = value;
        else if (strcmp(name, "--json") == 0)
            o->json = value;
        else if (strcmp(name, "--family") == 0)
            o->family = atoi(value);
        else
            return false;
    }
    return argc % 2 == 1;
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
    if (status == QVK_OK) {
        const qvk__gpu_caps *caps = qvk__gpu_caps_of(gpu);
        char line[1024];
        snprintf(line, sizeof line, "{\"device\": \"%s\", \"driver\": \"%s\"}", caps->name, caps->driver);
        if (o.json)
            remove(o.json);
        print_line(&o, line);
        status = run_all(gpu, &o, &err);
    }
    qvk__gpu_destroy(&gpu);
    if (status != QVK_OK)
        fprintf(stderr, "bench_linear: %s\n", err.message);
    return status == QVK_OK ? 0 : 1;
}
