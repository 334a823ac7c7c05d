/*
 * Graphs on the device against the same graphs on the reference executor: on the device as it is (memory
 * mapped on CPU implementations) and as a discrete GPU (everything staged).
 */
#include <stdio.h>

#include "gpu/gpu_fixture.h"
#include "gpu/vulkan_proxy.h"
#include "runtime/engine.h"
#include "runtime/graph_kit.h"

static const char *as_discrete; /* NULL: as it is */

static qvk__gpu *open_gpu(void)
{
    vulkan_proxy_reset();
    proxy.discrete = as_discrete;
    return gpu_open(NULL);
}

static qvk__engine *create(qvk__gpu *gpu, const qvk__graph *graph, const qvk__session_params *params)
{
    qvk__engine *engine = NULL;
    assert_ok(qvk__engine_create(gpu, graph, params, &engine, &test_err));
    return engine;
}

static float random_floats[4096];

static void fill_random(void)
{
    test_rng rng = test_rng_seed(5);
    test_rng_fill_uniform(&rng, random_floats, 4096, -1.0f, 1.0f);
}

/* Runs both engines and compares all (float32) outputs. */
static void compare(qvk__engine *device, qvk__engine *reference, const qvk_value *inputs, uint32_t n_in,
                    uint32_t n_out)
{
    qvk_value got[4] = {{0}}, wanted[4] = {{0}};
    assert_ok(qvk__engine_run(reference, inputs, n_in, wanted, n_out, &test_err));
    assert_ok(qvk__engine_run(device, inputs, n_in, got, n_out, &test_err));
    for (uint32_t i = 0; i < n_out; i++) {
        assert_int_equal(got[i].kind, wanted[i].kind);
        assert_int_equal(got[i].tensor.rank, wanted[i].tensor.rank);
        assert_memory_equal(got[i].tensor.sizes, wanted[i].tensor.sizes, sizeof got[i].tensor.sizes);
        test_assert_close("output", got[i].tensor.data, wanted[i].tensor.data,
                          (size_t)qvk_tensor_numel(&got[i].tensor), TEST_F32_SUM);
    }
}

/* ---- graphs --------------------------------------------------------------------------------------------- */

enum { BATCH = 9, WIDTH = 12 };

static int32_t add_linear(qvk__graph *graph, int32_t x, size_t weight, int64_t m)
{
    const int32_t w =
        kit_constant(graph, NULL, QVK_DTYPE_F32, KIT_SHAPE(WIDTH, WIDTH), random_floats + weight);
    return kit_call(graph, QVK__OP_LINEAR, KIT_ARGS(KIT_V(x), KIT_V(w), KIT_NONE), QVK_DTYPE_F32,
                    KIT_SHAPE(m, WIDTH));
}

/* Three linears; with `on_cpu`, a step that no kernel computes between the first two. */
static void build_chain(qvk__graph *graph, bool on_cpu)
{
    qvk__graph_init(graph);
    const int32_t x = kit_input(graph, "x", QVK_DTYPE_F32, KIT_SHAPE(BATCH, WIDTH));
    int32_t y = add_linear(graph, x, 0, BATCH);
    if (on_cpu)
        y = kit_cpu_step(graph, y, KIT_SHAPE(BATCH, WIDTH));
    const int32_t z = add_linear(graph, y, 200, BATCH);
    kit_output(graph, add_linear(graph, z, 400, BATCH));
    kit_output(graph, y);
    kit_output(graph, x);
}

/* A cache [1, 16, 2, 4] of which `position` on is overwritten, and attention over it. */
static void build_cache(qvk__graph *graph)
{
    static const float zeros[16 * 8] = {0};
    const int32_t unused = -1;
    qvk__graph_init(graph);
    const int32_t x = kit_input(graph, "value", QVK_DTYPE_F32, KIT_SHAPE(1, 4, 2, 4));
    const int32_t position = kit_symbol(graph, "position");
    assert_true(QVK__VEC_PUSH(&graph->inputs, position));
    const int32_t raw = kit_constant(graph, "cache", QVK_DTYPE_F32, KIT_SHAPE(1, 16, 2, 4), zeros);
    const int32_t cache =
        kit_call(graph, QVK__OP_ET_PREPACK, KIT_ARGS(KIT_V(raw)), QVK_DTYPE_F32, KIT_SHAPE(1, 16, 2, 4));
    const qvk__arg update[] = {KIT_V(x), KIT_V(cache), KIT_V(position)};
    assert_true(qvk__graph_add_node(graph, QVK__OP_LLAMA_UPDATE_CACHE, NULL, update, 3, &unused, 1) >= 0);
    kit_output(graph, kit_call(graph, QVK__OP_LLAMA_CUSTOM_SDPA,
                               KIT_ARGS(KIT_V(x), KIT_V(cache), KIT_V(cache), KIT_V(position), KIT_NONE,
                                        KIT_F(0.0), qvk__arg_from_bool(true), KIT_NONE),
                               QVK_DTYPE_F32, KIT_SHAPE(1, 4, 2, 4)));
    kit_output(graph, cache);
}

/* ---- tests ---------------------------------------------------------------------------------------------- */

static void a_chain_is_recorded_once_and_replayed(void **state)
{
    (void)state;
    qvk__graph graph;
    qvk__gpu *gpu = open_gpu();
    build_chain(&graph, false);
    qvk__engine *device = create(gpu, &graph, NULL), *reference = create(NULL, &graph, NULL);
    assert_int_equal(device->info.n_cpu_steps, 0);
    assert_true(device->info.n_dispatches >= 3);
    for (int i = 0; i < 4; i++) {
        const qvk_value input =
            kit_tensor(QVK_DTYPE_F32, KIT_SHAPE(BATCH, WIDTH), random_floats + 1000 + 100 * i);
        compare(device, reference, &input, 1, 3);
    }
    qvk__engine_destroy(&device);
    qvk__engine_destroy(&reference);
    qvk__graph_finish(&graph);
    gpu_close(&gpu);
}

static char last_logged[256];

static void keep_logged(void *user, qvk_log_level level, const char *message)
{
    *(int *)user += 1;
    assert_int_equal(level, QVK_LOG_INFO);
    snprintf(last_logged, sizeof last_logged, "%s", message);
}

static void what_no_kernel_computes_runs_on_the_cpu(void **state)
{
    (void)state;
    const qvk_value input = kit_tensor(QVK_DTYPE_F32, KIT_SHAPE(BATCH, WIDTH), random_floats + 1500);
    qvk__graph graph;
    qvk__gpu *gpu = open_gpu();
    int n_logged = 0;
    const qvk__session_params params = {.log = keep_logged, .log_user = &n_logged};
    build_chain(&graph, true);
    qvk__engine *device = create(gpu, &graph, &params), *reference = create(NULL, &graph, NULL);
    assert_int_equal(device->info.n_cpu_steps, 1);
    assert_non_null(strstr(device->cpu_reasons.data, "aten.scatter.src"));
    assert_int_equal(n_logged, 1);
    assert_non_null(strstr(last_logged, "on the CPU: "));
    assert_non_null(strstr(last_logged, "aten.scatter.src"));
    compare(device, reference, &input, 1, 3);
    compare(device, reference, &input, 1, 3);
    qvk__engine_destroy(&device);
    qvk__engine_destroy(&reference);
    qvk__graph_finish(&graph);
    gpu_close(&gpu);
}

/* Any order of sizes, nothing and everything included, in one engine. */
static void sizes_change_between_calls(void **state)
{
    (void)state;
    static const int64_t sizes[] = {BATCH, 1, 3, 8, 0, 2, BATCH, 1, 1, 5};
    for (int on_cpu = 0; on_cpu < 2; on_cpu++) {
        qvk__graph graph;
        qvk__gpu *gpu = open_gpu();
        build_chain(&graph, on_cpu == 1);
        qvk__engine *device = create(gpu, &graph, NULL), *reference = create(NULL, &graph, NULL);
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            const qvk_value input =
                kit_tensor(QVK_DTYPE_F32, KIT_SHAPE(sizes[i], WIDTH), random_floats + 700 + i);
            compare(device, reference, &input, 1, 3);
        }
        qvk__engine_destroy(&device);
        qvk__engine_destroy(&reference);
        qvk__graph_finish(&graph);
        gpu_close(&gpu);
    }
}

static void state_stays_on_the_device_until_reset(void **state)
{
    (void)state;
    static const int64_t positions[] = {0, 3, 7, 12}, lengths[] = {3, 4, 1, 4};
    qvk__graph graph;
    qvk__gpu *gpu = open_gpu();
    build_cache(&graph);
    qvk__engine *device = create(gpu, &graph, NULL), *reference = create(NULL, &graph, NULL);
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 4; i++) {
            const qvk_value inputs[] = {
                kit_tensor(QVK_DTYPE_F32, KIT_SHAPE(1, lengths[i], 2, 4), random_floats + 50 * (i + round)),
                {.kind = QVK_VALUE_INT, .i = positions[i]},
            };
            compare(device, reference, inputs, 2, 2);
        }
        assert_ok(qvk__engine_reset(device, &test_err));
        assert_ok(qvk__engine_reset(reference, &test_err));
    }
    qvk__engine_destroy(&device);
    qvk__engine_destroy(&reference);
    qvk__graph_finish(&graph);
    gpu_close(&gpu);
}

/* The first `counts[1]` rows of x, through a linear: the number is read out of an int64 input. */
static void numbers_read_out_of_inputs_decide_shapes(void **state)
{
    (void)state;
    static const int64_t lengths[] = {BATCH, 2, 2, 5, 0, BATCH};
    qvk__graph graph;
    qvk__gpu *gpu = open_gpu();
    qvk__graph_init(&graph);
    const int32_t x = kit_input(&graph, "x", QVK_DTYPE_F32, KIT_SHAPE(BATCH, WIDTH));
    const int32_t counts = kit_input(&graph, "counts", QVK_DTYPE_I32, KIT_SHAPE(3));
    const int32_t end =
        kit_call_symbol(&graph, QVK__OP_ET_SELECT_AS_SYMINT, KIT_ARGS(KIT_V(counts), KIT_I(0), KIT_I(1)));
    const int32_t rows = kit_call(&graph, QVK__OP_SLICE_COPY_TENSOR,
                                  KIT_ARGS(KIT_V(x), KIT_I(0), KIT_NONE, KIT_V(end), KIT_I(1)), QVK_DTYPE_F32,
                                  KIT_SHAPE(BATCH, WIDTH));
    kit_output(&graph, add_linear(&graph, rows, 0, BATCH));
    qvk__engine *device = create(gpu, &graph, NULL), *reference = create(NULL, &graph, NULL);
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        int64_t numbers[3] = {100, lengths[i], 100};
        const qvk_value inputs[] = {kit_tensor(QVK_DTYPE_F32, KIT_SHAPE(BATCH, WIDTH), random_floats + 700),
                                    kit_tensor(QVK_DTYPE_I64, KIT_SHAPE(3), numbers)};
        compare(device, reference, inputs, 2, 1);
    }
    qvk__engine_destroy(&device);
    qvk__engine_destroy(&reference);
    qvk__graph_finish(&graph);
    gpu_close(&gpu);
}

static void constants_that_are_the_same_are_uploaded_once(void **state)
{
    (void)state;
    qvk__graph graph;
    qvk__gpu *gpu = open_gpu();
    qvk__graph_init(&graph);
    const int32_t x = kit_input(&graph, "x", QVK_DTYPE_F32, KIT_SHAPE(BATCH, WIDTH));
    kit_output(&graph, add_linear(&graph, add_linear(&graph, x, 0, BATCH), 0, BATCH));
    qvk__engine *once = create(gpu, &graph, NULL);
    qvk__graph_finish(&graph);
    qvk__graph_init(&graph);
    const int32_t y = kit_input(&graph, "x", QVK_DTYPE_F32, KIT_SHAPE(BATCH, WIDTH));
    kit_output(&graph, add_linear(&graph, add_linear(&graph, y, 0, BATCH), 1, BATCH));
    qvk__engine *twice = create(gpu, &graph, NULL);
    assert_int_equal(twice->info.weight_bytes, 2 * once->info.weight_bytes);
    qvk__engine_destroy(&once);
    qvk__engine_destroy(&twice);
    qvk__graph_finish(&graph);
    gpu_close(&gpu);
}

static void verification_and_profile_cover_every_step(void **state)
{
    (void)state;
    const qvk__session_params params = {.verify = true, .profile = true};
    qvk_value input = kit_tensor(QVK_DTYPE_F32, KIT_SHAPE(BATCH, WIDTH), random_floats + 1500);
    qvk__graph graph;
    qvk__gpu *gpu = open_gpu();
    build_chain(&graph, true);
    qvk__engine *device = create(gpu, &graph, &params), *reference = create(NULL, &graph, NULL);
    compare(device, reference, &input, 1, 3);
    assert_int_equal(device->profile.count, (size_t)device->info.n_dispatches + 1);
    for (size_t i = 0; i < device->profile.count; i++) {
        const qvk_profile_entry *entry = &device->profile.data[i];
        assert_int_equal(entry->on_device, strcmp(entry->kernel, "reference") != 0);
        assert_true(entry->gpu_us >= 0.0);
        assert_true(i == 0 || entry->start_us >= device->profile.data[i - 1].start_us);
    }
    qvk__engine_destroy(&device);
    qvk__engine_destroy(&reference);
    qvk__graph_finish(&graph);
    build_cache(&graph);
    device = create(gpu, &graph, &params);
    reference = create(NULL, &graph, NULL);
    const qvk_value inputs[] = {kit_tensor(QVK_DTYPE_F32, KIT_SHAPE(1, 2, 2, 4), random_floats),
                                {.kind = QVK_VALUE_INT, .i = 5}};
    compare(device, reference, inputs, 2, 2);
    qvk__engine_destroy(&device);
    qvk__engine_destroy(&reference);
    qvk__graph_finish(&graph);
    gpu_close(&gpu);
}

static int set_up(void **state)
{
    (void)state;
    fill_random();
    return 0;
}

#define TESTS                                                                                                \
    cmocka_unit_test_setup(a_chain_is_recorded_once_and_replayed, set_up),                                   \
        cmocka_unit_test_setup(what_no_kernel_computes_runs_on_the_cpu, set_up),                             \
        cmocka_unit_test_setup(sizes_change_between_calls, set_up),                                          \
        cmocka_unit_test_setup(state_stays_on_the_device_until_reset, set_up),                               \
        cmocka_unit_test_setup(numbers_read_out_of_inputs_decide_shapes, set_up),                            \
        cmocka_unit_test_setup(constants_that_are_the_same_are_uploaded_once, set_up),                       \
        cmocka_unit_test_setup(verification_and_profile_cover_every_step, set_up)

int main(void)
{
    const struct CMUnitTest tests[] = {TESTS};
    int failed = cmocka_run_group_tests_name("as it is", tests, NULL, NULL);
    as_discrete = "";
    failed += cmocka_run_group_tests_name("as a discrete GPU", tests, NULL, NULL);
    return failed;
}
