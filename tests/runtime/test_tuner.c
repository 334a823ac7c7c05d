/* Shapes of kernels, timed on the spot: bounded, kept, and without influence on integer results. */
#include "runtime/tuner.h"

#include <unistd.h>

#include "gpu/gpu_fixture.h"
#include "runtime/device.h"
#include "runtime/graph_kit.h"

enum { MOST_ROWS = 4, COLUMNS = 40, DEPTH = 160, LONG_MS = 60000, SHORT_MS = 1 };

static float x[MOST_ROWS * DEPTH], scales[COLUMNS];
static int8_t weights[COLUMNS * DEPTH];

/* ---- a session ------------------------------------------------------------------------------------------ */

typedef struct session {
    qvk__gpu *gpu;
    qvk__tuner *tuner; /* NULL: none */
    qvk__graph graph;
    qvk__engine *engine;
    int64_t rows;
} session;

/* An int8 linear with one scale a row: its sums are exact. On a device that looks like a discrete GPU. */
static void open_session(session *it, int64_t rows, const char *cache_dir, uint32_t budget_ms)
{
    test_rng rng = test_rng_seed(7);
    vulkan_proxy_reset();
    proxy.discrete = "";
    *it = (session){.rows = rows};
    it->gpu = gpu_open(&(qvk__gpu_params){.cache_dir = cache_dir});
    if (budget_ms)
        assert_ok(qvk__tuner_create(it->gpu, budget_ms, &it->tuner, &test_err));
    test_rng_fill_uniform(&rng, x, MOST_ROWS * DEPTH, -1.0f, 1.0f);
    test_rng_fill_uniform(&rng, scales, COLUMNS, 0.01f, 0.05f);
    for (size_t i = 0; i < sizeof weights; i++)
        weights[i] = (int8_t)test_rng_range(&rng, -128, 127);
    qvk__graph_init(&it->graph);
    const int32_t in = kit_input(&it->graph, "x", QVK_DTYPE_F32, KIT_SHAPE(rows, DEPTH));
    const int32_t w = kit_constant(&it->graph, "w", QVK_DTYPE_I8, KIT_SHAPE(COLUMNS, DEPTH), weights);
    const int32_t s = kit_constant(&it->graph, "s", QVK_DTYPE_F32, KIT_SHAPE(1, COLUMNS), scales);
    kit_output(&it->graph, kit_call(&it->graph, QVK__OP_QVK_LINEAR_D8_Q8GSW,
                                    KIT_ARGS(KIT_V(in), KIT_V(w), KIT_V(s), KIT_I(DEPTH), KIT_NONE),
                                    QVK_DTYPE_F32, KIT_SHAPE(rows, COLUMNS)));
}

static void open_engine(session *it, const qvk__linear_tuning *tuning)
{
    const qvk__session_params params = {.tuner = it->tuner, .linear_tuning = tuning};
    qvk__engine_destroy(&it->engine);
    assert_ok(qvk__engine_create(it->gpu, &it->graph, &params, &it->engine, &test_err));
}

static void close_session(session *it)
{
    qvk__engine_destroy(&it->engine);
    qvk__tuner_destroy(&it->tuner);
    qvk__graph_finish(&it->graph);
    gpu_close(&it->gpu);
}

static void run(session *it, float y[MOST_ROWS * COLUMNS])
{
    const qvk_value input = kit_tensor(QVK_DTYPE_F32, KIT_SHAPE(it->rows, DEPTH), x);
    qvk_value output = kit_tensor(QVK_DTYPE_F32, KIT_SHAPE(it->rows, COLUMNS), y);
    assert_ok(qvk__engine_run(it->engine, &input, 1, &output, 1, &test_err));
}

static const qvk__dispatch *product_of(const qvk__engine *engine)
{
    const qvk__plan *plan = &engine->device->current->plan;
    return &plan->dispatches.data[plan->dispatches.count - 1];
}

/* Pipelines made to load the engine, timing included. */
static long pipelines_to_load(int64_t rows, const char *cache_dir, uint32_t budget_ms)
{
    session it;
    open_session(&it, rows, cache_dir, budget_ms);
    open_engine(&it, NULL);
    const long n = vulkan_proxy_calls("vkCreateComputePipelines");
    close_session(&it);
    return n;
}

/* The device has kernels with a choice: subgroups of 8 invocations or more. */
static bool has_choice(void)
{
    session it;
    open_session(&it, 1, NULL, 0);
    open_engine(&it, NULL);
    const bool any = product_of(it.engine)->tuned_as != 0;
    close_session(&it);
    return any;
}

/* ---- tests ---------------------------------------------------------------------------------------------- */

static const struct {
    int64_t rows;
    qvk__linear_rows class;
} sizes[] = {{1, QVK__ROWS_ONE}, {4, QVK__ROWS_FEW}};

static void every_shape_gives_the_same_bits(void **state)
{
    (void)state;
    if (!has_choice())
        skip();
    for (size_t i = 0; i < QVK__COUNT(sizes); i++) {
        float first[MOST_ROWS * COLUMNS], other[MOST_ROWS * COLUMNS];
        uint32_t n, n_different = 0, specs[QVK__GPU_MAX_SPECS];
        const qvk__linear_tuning *list = qvk__tuner_candidates(sizes[i].class, &n);
        session it;
        open_session(&it, sizes[i].rows, NULL, 0);
        open_engine(&it, &list[0]);
        memcpy(specs, product_of(it.engine)->specs, sizeof specs);
        run(&it, first);
        for (uint32_t k = 1; k < n; k++) {
            open_engine(&it, &list[k]);
            run(&it, other);
            n_different += memcmp(specs, product_of(it.engine)->specs, sizeof specs) != 0;
            assert_memory_equal(first, other, (size_t)(sizes[i].rows * COLUMNS) * sizeof(float));
        }
        assert_true(n_different > 1);
        close_session(&it);
    }
}

static void the_choice_is_kept(void **state)
{
    (void)state;
    if (!has_choice())
        skip();
    for (size_t i = 0; i < QVK__COUNT(sizes); i++) {
        char *dir = test_temp_dir();
        float tuned[MOST_ROWS * COLUMNS], plain[MOST_ROWS * COLUMNS];
        session it;
        uint32_t n;
        qvk__tuner_candidates(sizes[i].class, &n);
        const long without = pipelines_to_load(sizes[i].rows, NULL, 0);

        open_session(&it, sizes[i].rows, dir, LONG_MS);
        open_engine(&it, NULL);
        /* Some candidates come down to the same shape. */
        assert_true(vulkan_proxy_calls("vkCreateComputePipelines") >= without + (long)n / 2);
        const qvk__dispatch chosen = *product_of(it.engine);
        run(&it, tuned);
        close_session(&it);

        open_session(&it, sizes[i].rows, dir, LONG_MS);
        open_engine(&it, NULL);
        assert_int_equal(vulkan_proxy_calls("vkCreateComputePipelines"), without);
        assert_memory_equal(chosen.specs, product_of(it.engine)->specs, sizeof chosen.specs);
        qvk__tuner_destroy(&it.tuner);
        open_engine(&it, NULL);
        run(&it, plain);
        assert_memory_equal(tuned, plain, (size_t)(sizes[i].rows * COLUMNS) * sizeof(float));
        close_session(&it);
        test_temp_dir_remove(&dir);
    }
}

static void it_stops_when_the_budget_is_spent_and_goes_on_later(void **state)
{
    (void)state;
    if (!has_choice())
        skip();
    char *dir = test_temp_dir();
    uint32_t n;
    qvk__tuner_candidates(QVK__ROWS_FEW, &n);
    const long without = pipelines_to_load(4, NULL, 0);
    const long bounded = pipelines_to_load(4, dir, SHORT_MS);
    const long rest = pipelines_to_load(4, dir, LONG_MS);
    assert_in_range(bounded, without + 1, without + 4); /* the first candidate; how its rows are quantized */
    assert_true(rest >= without + (long)n / 2);
    assert_int_equal(pipelines_to_load(4, dir, LONG_MS), without);
    test_temp_dir_remove(&dir);
}

static void a_damaged_file_is_ignored(void **state)
{
    (void)state;
    if (!has_choice())
        skip();
    char *dir = test_temp_dir(), path[1024];
    session it;
    open_session(&it, 4, dir, SHORT_MS);
    open_engine(&it, NULL);
    assert_ok(qvk__gpu_cache_path(it.gpu, "tuning", path, sizeof path, &test_err));
    close_session(&it);
    assert_int_equal(truncate(path, 30), 0);
    const long without = pipelines_to_load(4, NULL, 0);
    assert_true(pipelines_to_load(4, dir, SHORT_MS) > without);
    test_temp_dir_remove(&dir);
}

static void where_there_is_no_choice_nothing_is_timed(void **state)
{
    (void)state;
    char *dir = test_temp_dir(), path[1024];

    /* The device as it is: a CPU in most places where this runs. */
    vulkan_proxy_reset();
    qvk__gpu *gpu = gpu_open(&(qvk__gpu_params){.cache_dir = dir});
    if (qvk__gpu_caps_of(gpu)->type == QVK__GPU_CPU) {
        const qvk__dispatch dispatch = {.kernel = QVK__KERNEL_LINEAR_F32_QB4W_MV, .tuned_as = 1};
        const bool distrusted[QVK__KERNEL_COUNT] = {false};
        static qvk__linear_tuning tiles[QVK__LINEAR_CLASSES];
        qvk__tuner *tuner;
        bool changed;
        assert_ok(qvk__tuner_create(gpu, LONG_MS, &tuner, &test_err));
        assert_ok(qvk__tuner_check(tuner, &dispatch, 1, distrusted, tiles, &changed, &test_err));
        assert_false(changed);
        qvk__tuner_destroy(&tuner);
        assert_ok(qvk__gpu_cache_path(gpu, "tuning", path, sizeof path, &test_err));
        assert_int_equal(access(path, F_OK), -1);
    }
    gpu_close(&gpu);
    test_temp_dir_remove(&dir);
}

static void devices_with_a_table_of_their_own_are_known(void **state)
{
    (void)state;
    qvk__gpu_caps caps = {.type = QVK__GPU_DISCRETE,
                          .subgroup_size = 32,
                          .compute_units = 132,
                          .n_coopmat = 1,
                          .coopmat = {{.m = 16, .n = 16, .k = 16, .f32_result = true}}};
    assert_true(qvk__linear_is_measured(&caps));
    caps.compute_units = 40;
    assert_false(qvk__linear_is_measured(&caps));
    caps.compute_units = 132;
    caps.n_coopmat = 0;
    assert_false(qvk__linear_is_measured(&caps));
}

static void classes_are_numbered_one_to_one(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < QVK__LINEAR_CLASSES; i++) {
        const qvk__linear_class class = qvk__linear_class_at(i);
        assert_int_equal(qvk__linear_class_index(&class), i);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_shape_gives_the_same_bits),
        cmocka_unit_test(the_choice_is_kept),
        cmocka_unit_test(it_stops_when_the_budget_is_spent_and_goes_on_later),
        cmocka_unit_test(a_damaged_file_is_ignored),
        cmocka_unit_test(where_there_is_no_choice_nothing_is_timed),
        cmocka_unit_test(devices_with_a_table_of_their_own_are_known),
        cmocka_unit_test(classes_are_numbered_one_to_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
