#include "runtime/tuner.h"

#include <math.h>
#include <pthread.h>

#include "runtime/device.h"
#include "runtime/device_notes.h"
#include "runtime/probe_linear.h"

enum {
    DEFAULT_BUDGET_MS = 200,
    RUNS = 4,
    WARM_UP_NS = 20 * 1000 * 1000 /* a GPU that idled runs at a fraction of its clock for a while */
};

/* Another shape must be this much faster than the best so far: less is noise. */
static const double WORTH = 0.97;

/* What is known of a class. */
typedef struct outcome {
    uint32_t n_tried, best; /* of the candidates */
    double best_us;
    uint64_t revision; /* of candidates and kernel */
} outcome;

struct qvk__tuner {
    qvk__gpu *gpu;
    uint64_t budget_ns;
    pthread_mutex_t lock; /* of what follows; held while something is timed */
    uint64_t spent_ns;
    bool is_read; /* the file was looked at */
    outcome outcomes[QVK__LINEAR_CLASSES];
    bool visited[QVK__LINEAR_CLASSES];
};

/* ---- candidates ----------------------------------------------------------------------------------------- */

#define ROW(threads, panels, ahead)                                                                          \
    {                                                                                                        \
        .row_threads = threads, .row_panels = panels, .row_ahead = ahead                                     \
    }
#define MV(threads, panels)                                                                                  \
    {                                                                                                        \
        .mv_threads = threads, .mv_panels = panels                                                           \
    }
#define TILE(m, n, fm, fn, buffers, parts, groups)                                                           \
    {                                                                                                        \
        .coopmat = { UINT32_MAX, m, n, fm, fn, buffers, parts, groups }                                      \
    }

static const qvk__linear_tuning one_row[] = {{0},           ROW(256, 1, 2), ROW(128, 1, 2), ROW(256, 2, 1),
                                             ROW(64, 1, 2), ROW(128, 2, 1), ROW(512, 2, 1), ROW(256, 4, 1)};
static const qvk__linear_tuning few_rows[] = {{0},        MV(128, 1), MV(64, 1), MV(256, 2),
                                              MV(128, 2), MV(64, 2),  MV(512, 1)};
static const qvk__linear_tuning to_16_rows[] = {
    {0}, TILE(1, 2, 1, 2, 2, 1, 4), TILE(1, 4, 1, 1, 2, 1, 4), TILE(1, 2, 1, 4, 2, 1, 4)};
static const qvk__linear_tuning to_32_rows[] = {
    {0}, TILE(1, 2, 2, 2, 2, 1, 4), TILE(2, 2, 1, 2, 2, 1, 4), TILE(1, 4, 2, 1, 2, 1, 4)};
static const qvk__linear_tuning many_rows[] = {{0},
                                               TILE(2, 2, 2, 2, 2, 1, 2),
                                               TILE(1, 4, 4, 2, 2, 1, 2),
                                               TILE(1, 4, 2, 2, 2, 1, 2),
                                               TILE(2, 2, 4, 2, 1, 2, 2)};

static const struct {
    const qvk__linear_tuning *list;
    uint32_t n;
    int64_t rows; /* of the layer that is timed */
} candidates[QVK__ROWS_COUNT] = {
    [QVK__ROWS_ONE] = {one_row, QVK__COUNT(one_row), 1},
    [QVK__ROWS_FEW] = {few_rows, QVK__COUNT(few_rows), 4},
    [QVK__ROWS_16] = {to_16_rows, QVK__COUNT(to_16_rows), 16},
    [QVK__ROWS_32] = {to_32_rows, QVK__COUNT(to_32_rows), 32},
    [QVK__ROWS_MANY] = {many_rows, QVK__COUNT(many_rows), 256},
};

const qvk__linear_tuning *qvk__tuner_candidates(qvk__linear_rows rows, uint32_t *n)
{
    *n = candidates[rows].n;
    return candidates[rows].list;
}

/* ---- the file ------------------------------------------------------------------------------------------- */

typedef struct file_entry {
    uint64_t class;
    uint32_t n_tried, best;
    double best_us;
    uint64_t revision;
} file_entry;

/* The magic changes with how classes are numbered and what is timed. */
static const qvk__notes_kind notes = {"tuning", "QVKTUN01", sizeof(file_entry)};

static uint64_t revision_of(qvk__linear_rows rows, qvk__kernel kernel)
{
    const uint64_t seed =
        qvk__hash64(candidates[rows].list, candidates[rows].n * sizeof(qvk__linear_tuning), 0);
    const uint32_t *words;
    size_t n_words;

    qvk__kernel_spirv(kernel, &words, &n_words);
    return qvk__hash64(words, n_words * sizeof *words, seed);
}

/* Of two processes that timed the same class the one that came further is believed. */
static void take_entry(const void *bytes, void *user)
{
    qvk__tuner *tuner = user;
    file_entry entry;

    memcpy(&entry, bytes, sizeof entry);
    if (entry.class >= QVK__LINEAR_CLASSES || entry.best >= entry.n_tried || !(entry.best_us > 0.0) ||
        entry.n_tried > candidates[qvk__linear_class_at((uint32_t)entry.class).rows].n ||
        entry.n_tried <= tuner->outcomes[entry.class].n_tried)
        return;
    tuner->outcomes[entry.class] = (outcome){entry.n_tried, entry.best, entry.best_us, entry.revision};
}

static void read_file(qvk__tuner *tuner)
{
    tuner->is_read = true;
    qvk__notes_read(&notes, qvk__gpu_cache_dir(tuner->gpu), qvk__gpu_caps_of(tuner->gpu), take_entry, tuner);
}

/* A failure costs the next process its time, no more. */
static void save(qvk__tuner *tuner)
{
    file_entry entries[QVK__LINEAR_CLASSES] = {0};
    size_t n = 0;

    for (uint32_t i = 0; i < QVK__LINEAR_CLASSES; i++) {
        const outcome *it = &tuner->outcomes[i];
        if (it->n_tried > 0)
            entries[n++] = (file_entry){i, it->n_tried, it->best, it->best_us, it->revision};
    }
    (void)qvk__notes_write(&notes, tuner->gpu, entries, n, NULL);
}

/* ---- life ----------------------------------------------------------------------------------------------- */

qvk_status qvk__tuner_create(qvk__gpu *gpu, uint32_t budget_ms, qvk__tuner **out, qvk_error *err)
{
    qvk__tuner *tuner = qvk__alloc_zeroed(1, sizeof *tuner);

    QVK__CHECK(tuner, err, QVK_OUT_OF_MEMORY, "out of memory");
    tuner->gpu = gpu;
    tuner->budget_ns = (uint64_t)(budget_ms ? budget_ms : DEFAULT_BUDGET_MS) * 1000000;
    pthread_mutex_init(&tuner->lock, NULL);
    *out = tuner;
    return QVK_OK;
}

void qvk__tuner_destroy(qvk__tuner **tuner)
{
    if (!*tuner)
        return;
    pthread_mutex_destroy(&(*tuner)->lock);
    free(*tuner);
    *tuner = NULL;
}

/* ---- timing --------------------------------------------------------------------------------------------- */

/* A layer of one class, and what the planner's own choice makes of it. */
typedef struct layer {
    uint32_t class;
    qvk__probe_linear linear;
    qvk__graph graph;
    qvk_value input;
    qvk_tensor wanted; /* data NULL: nothing yet */
} layer;

static qvk_status make_layer(layer *it, uint32_t index, qvk_error *err)
{
    const qvk__linear_class class = qvk__linear_class_at(index);
    const int64_t side = class.is_large ? 2048 : 1024; /* QVK__LINEAR_LARGE between them */
    int32_t x;

    it->class = index;
    it->linear = (qvk__probe_linear){.bits = class.is_8bit ? 8 : 4,
                                     .is_int8 = class.is_int8,
                                     .x = class.is_half ? QVK_DTYPE_F16 : QVK_DTYPE_F32,
                                     .M = candidates[class.rows].rows,
                                     .N = side,
                                     .K = side,
                                     .group = 64};
    QVK__TRY(qvk__probe_linear_input(&it->graph, &it->linear, &it->input, &x, err));
    return qvk__probe_linear_add(&it->graph, &it->linear, x, "y", err);
}

/* The planner took the family that the shape is for. */
static bool is_in_class(const qvk__engine *engine, uint32_t class)
{
    const qvk__plan *plan = &engine->device->current->plan;

    for (size_t i = 0; i < plan->dispatches.count; i++)
        if (plan->dispatches.data[i].tuned_as == class + 1)
            return true;
    return false;
}

static double microseconds(const qvk__engine *engine, uint64_t start_ns)
{
    double us = 0.0;

    if (qvk__gpu_caps_of(engine->gpu)->timestamp_ns <= 0)
        return (double)(qvk__clock_ns() - start_ns) * 1e-3;
    for (size_t i = 0; i < engine->profile.count; i++)
        us += engine->profile.data[i].gpu_us;
    return us;
}

/* Infinity for a result that is not the first candidate's. */
static qvk_status time_runs(qvk__engine *engine, layer *it, uint64_t warm_up_ns, double *us, qvk_error *err)
{
    const uint64_t begin = qvk__clock_ns();
    qvk_value output = {0};

    *us = INFINITY;
    do
        QVK__TRY(qvk__engine_run(engine, &it->input, 1, &output, 1, err));
    while (qvk__clock_ns() - begin < warm_up_ns);
    for (int i = 0; i < RUNS; i++) {
        const uint64_t start = qvk__clock_ns();
        QVK__TRY(qvk__engine_run(engine, &it->input, 1, &output, 1, err));
        *us = fmin(*us, microseconds(engine, start));
    }
    if (!it->wanted.data) {
        it->wanted = output.tensor;
        it->wanted.data = qvk__arena_alloc(&it->graph.arena, qvk_tensor_bytes(&output.tensor), 1);
        QVK__CHECK(it->wanted.data, err, QVK_OUT_OF_MEMORY, "out of memory");
        memcpy(it->wanted.data, output.tensor.data, qvk_tensor_bytes(&output.tensor));
    } else if (qvk__probe_linear_differs(&output.tensor, &it->wanted,
                                         qvk__probe_linear_tolerance(&it->linear)) >= 0) {
        *us = INFINITY;
    }
    return QVK_OK;
}

static qvk_status time_candidate(qvk__tuner *tuner, layer *it, const qvk__linear_tuning *tuning,
                                 const bool *distrusted, double *us, qvk_error *err)
{
    const qvk__session_params params = {.profile = true, .distrusted = distrusted, .linear_tuning = tuning};
    const uint64_t start = qvk__clock_ns();
    qvk__engine *engine = NULL;
    qvk_status status;

    *us = INFINITY;
    status = qvk__engine_create(tuner->gpu, &it->graph, &params, &engine, err);
    if (status == QVK_OK && is_in_class(engine, it->class))
        status = time_runs(engine, it, tuner->spent_ns ? 0 : WARM_UP_NS, us, err);
    qvk__engine_destroy(&engine);
    tuner->spent_ns += qvk__clock_ns() - start;
    return status;
}

/* ---- classes -------------------------------------------------------------------------------------------- */

/* Goes on with the candidates of a class until all are timed or the budget is spent. */
static qvk_status time_class(qvk__tuner *tuner, layer *it, const bool *distrusted, qvk_error *err)
{
    const qvk__linear_rows rows = qvk__linear_class_at(it->class).rows;
    outcome *found = &tuner->outcomes[it->class];
    double us;

    /* The first is timed in any case: the others must give its result. */
    QVK__TRY(time_candidate(tuner, it, &candidates[rows].list[0], distrusted, &us, err));
    if (!it->wanted.data) {
        *found = (outcome){.n_tried = candidates[rows].n, .best_us = us, .revision = found->revision};
        return QVK_OK;
    }
    if (found->n_tried == 0) {
        found->n_tried = 1;
        found->best = 0;
        found->best_us = us;
    }
    while (found->n_tried < candidates[rows].n && tuner->spent_ns < tuner->budget_ns) {
        const uint32_t next = found->n_tried++;
        QVK__TRY(time_candidate(tuner, it, &candidates[rows].list[next], distrusted, &us, err));
        if (us < WORTH * found->best_us) {
            found->best = next;
            found->best_us = us;
        }
    }
    return QVK_OK;
}

/* Whatever goes wrong here, the planner's own choice is left; only without a device there is no going on. */
static qvk_status tune(qvk__tuner *tuner, uint32_t class, const bool *distrusted, qvk_error *err)
{
    qvk_error error = {0};
    layer it = {0};
    qvk_status status;

    qvk__graph_init(&it.graph);
    status = make_layer(&it, class, &error);
    if (status == QVK_OK)
        status = time_class(tuner, &it, distrusted, &error);
    qvk__graph_finish(&it.graph);
    if (status != QVK_DEVICE_LOST && status != QVK_TIMEOUT)
        return QVK_OK;
    if (err)
        *err = error;
    return status;
}

/* Once a class and object. *timed: something new is known. */
static qvk_status visit(qvk__tuner *tuner, const qvk__dispatch *dispatch, const bool *distrusted, bool *timed,
                        qvk_error *err)
{
    const uint32_t class = dispatch->tuned_as - 1;
    const qvk__linear_rows rows = qvk__linear_class_at(class).rows;
    const uint64_t revision = revision_of(rows, dispatch->kernel);
    outcome *found = &tuner->outcomes[class];

    tuner->visited[class] = true;
    if (found->revision != revision)
        *found = (outcome){.revision = revision};
    if (found->n_tried == candidates[rows].n || tuner->spent_ns >= tuner->budget_ns)
        return QVK_OK;
    *timed = true;
    return tune(tuner, class, distrusted, err);
}

static qvk_status check(qvk__tuner *tuner, const qvk__dispatch *dispatches, size_t n, const bool *distrusted,
                        qvk__linear_tuning tiles[QVK__LINEAR_CLASSES], bool *changed, bool *timed,
                        qvk_error *err)
{
    for (size_t i = 0; i < n; i++) {
        if (dispatches[i].tuned_as == 0)
            continue;
        if (!tuner->is_read)
            read_file(tuner);
        const uint32_t class = dispatches[i].tuned_as - 1;
        if (!tuner->visited[class])
            QVK__TRY(visit(tuner, &dispatches[i], distrusted, timed, err));
        const qvk__linear_tuning *best =
            &candidates[qvk__linear_class_at(class).rows].list[tuner->outcomes[class].best];
        if (memcmp(&tiles[class], best, sizeof *best) != 0) {
            tiles[class] = *best;
            *changed = true;
        }
    }
    return QVK_OK;
}

qvk_status qvk__tuner_check(qvk__tuner *tuner, const qvk__dispatch *dispatches, size_t n,
                            const bool *distrusted, qvk__linear_tuning tiles[QVK__LINEAR_CLASSES],
                            bool *changed, qvk_error *err)
{
    const qvk__gpu_caps *caps = qvk__gpu_caps_of(tuner->gpu);
    bool timed = false;
    qvk_status status;

    *changed = false;
    if (caps->type == QVK__GPU_CPU || qvk__linear_is_measured(caps))
        return QVK_OK;
    pthread_mutex_lock(&tuner->lock);
    status = check(tuner, dispatches, n, distrusted, tiles, changed, &timed, err);
    if (timed)
        save(tuner);
    pthread_mutex_unlock(&tuner->lock);
    return status;
}
