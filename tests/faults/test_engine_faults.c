/*
 * Engines when something fails: every Vulkan call and every allocation of loading, running, changing shapes
 * and resetting a graph is made to fail once. The call says so, nothing is left behind, and the next engine
 * works.
 */
#include "gpu/gpu_fixture.h"
#include "gpu/vulkan_proxy.h"
#include "runtime/engine.h"
#include "runtime/graph_kit.h"

enum { BATCH = 4, WIDTH = 8 };

static float numbers[WIDTH * WIDTH + BATCH * WIDTH];
static qvk__graph graph;

/* RMS norm(x), two quantized linears over it, one of which is added to x. */
static int32_t add_fused(int32_t x)
{
    static const int8_t weights[2][WIDTH * WIDTH] = {{3, -5, 7}, {1, 2}};
    const int32_t w = kit_constant(&graph, "norm", QVK_DTYPE_F32, KIT_SHAPE(WIDTH), numbers);
    const int32_t norm = kit_call(&graph, QVK__OP_ET_RMS_NORM, KIT_ARGS(KIT_V(x), KIT_V(w), KIT_F(1e-5)),
                                  QVK_DTYPE_F32, KIT_SHAPE(1, BATCH, 1, WIDTH));
    const int32_t s = kit_constant(&graph, "scales", QVK_DTYPE_F32, KIT_SHAPE(1, WIDTH), numbers);
    int32_t y[2];

    for (int i = 0; i < 2; i++) {
        const int32_t q = kit_constant(&graph, NULL, QVK_DTYPE_I8, KIT_SHAPE(WIDTH, WIDTH), weights[i]);
        y[i] = kit_call(&graph, QVK__OP_QVK_LINEAR_D8_Q8GSW,
                        KIT_ARGS(KIT_V(norm), KIT_V(q), KIT_V(s), KIT_I(WIDTH), KIT_NONE), QVK_DTYPE_F32,
                        KIT_SHAPE(1, BATCH, 1, WIDTH));
    }
    kit_output(&graph, y[1]);
    return kit_call(&graph, QVK__OP_ADD_TENSOR, KIT_ARGS(KIT_V(x), KIT_V(y[0]), KIT_I(1)), QVK_DTYPE_F32,
                    KIT_SHAPE(1, BATCH, 1, WIDTH));
}

/* A linear, perhaps of what is fused at load, a step on the CPU, a linear into a buffer that keeps its
 * contents.
 */
static int build(bool is_fused)
{
    static const float zeros[BATCH * WIDTH] = {0};
    test_rng rng = test_rng_seed(3);
    test_rng_fill_uniform(&rng, numbers, WIDTH * WIDTH + BATCH * WIDTH, -1.0f, 1.0f);
    qvk__graph_init(&graph);
    const int32_t x = kit_input(&graph, "x", QVK_DTYPE_F32, KIT_SHAPE(1, BATCH, 1, WIDTH));
    const int32_t w = kit_constant(&graph, "w", QVK_DTYPE_F32, KIT_SHAPE(WIDTH, WIDTH), numbers);
    const int32_t cache = kit_constant(&graph, "cache", QVK_DTYPE_F32, KIT_SHAPE(1, BATCH, 1, WIDTH), zeros);
    const int32_t a =
        kit_call(&graph, QVK__OP_LINEAR, KIT_ARGS(KIT_V(is_fused ? add_fused(x) : x), KIT_V(w), KIT_NONE),
                 QVK_DTYPE_F32, KIT_SHAPE(1, BATCH, 1, WIDTH));
    const int32_t b = kit_cpu_step(&graph, a, KIT_SHAPE(1, BATCH, 1, WIDTH));
    const int32_t c = kit_call(&graph, QVK__OP_LINEAR, KIT_ARGS(KIT_V(b), KIT_V(w), KIT_NONE), QVK_DTYPE_F32,
                               KIT_SHAPE(1, BATCH, 1, WIDTH));
    const int32_t unused = -1;
    const qvk__arg update[] = {KIT_V(c), KIT_V(cache), KIT_I(0)};
    assert_true(qvk__graph_add_node(&graph, QVK__OP_LLAMA_UPDATE_CACHE, NULL, update, 3, &unused, 1) >= 0);
    kit_output(&graph, c);
    kit_output(&graph, cache);
    return 0;
}

static int build_graph(void **state)
{
    (void)state;
    return build(false);
}

static int build_fused_graph(void **state)
{
    (void)state;
    return build(true);
}

static int free_graph(void **state)
{
    (void)state;
    qvk__graph_finish(&graph);
    return 0;
}

/* Everything an engine can do. */
static qvk_status use_engine(qvk__gpu *gpu, qvk_error *err)
{
    static const int64_t lengths[] = {BATCH, 2, BATCH};
    qvk__engine *engine = NULL;
    qvk_value outputs[3];
    qvk_status status;

    QVK__TRY_GO(qvk__engine_create(gpu, &graph, NULL, &engine, err));
    for (size_t i = 0; i < QVK__COUNT(lengths); i++) {
        const qvk_value input =
            kit_tensor(QVK_DTYPE_F32, KIT_SHAPE(1, lengths[i], 1, WIDTH), numbers + WIDTH * WIDTH);
        memset(outputs, 0, sizeof outputs);
        QVK__TRY_GO(qvk__engine_run(engine, &input, 1, outputs, (uint32_t)graph.outputs.count, err));
    }
    QVK__TRY_GO(qvk__engine_reset(engine, err));
done:
    qvk__engine_destroy(&engine);
    return status;
}

/* ---- Vulkan --------------------------------------------------------------------------------------------- */

static char *cache_dir;

static qvk__gpu *open_gpu(void)
{
    const qvk__gpu_params params = {.cache_dir = cache_dir, .timeout_ms = 2000};
    vulkan_proxy_reset();
    proxy.discrete = "";
    return gpu_open(&params);
}

/* Failures that are survived on purpose by the gpu room. */
static bool may_be_survived(const char *function)
{
    return strcmp(function, "vkAllocateMemory") == 0 || strcmp(function, "vkCreatePipelineCache") == 0 ||
           strcmp(function, "vkMergePipelineCaches") == 0;
}

/* False when the call is never reached. */
static bool run_with_fault(const char *function, VkResult result, qvk_status wanted, long at)
{
    qvk__gpu *gpu = open_gpu();
    qvk_error error = {0};
    const long before = vulkan_proxy_calls(function);
    proxy.fail_function = function;
    proxy.fail_with = result;
    proxy.fail_at = before + at;
    const qvk_status status = use_engine(gpu, &error);
    const bool reached = vulkan_proxy_calls(function) >= before + at;
    proxy.fail_function = NULL;
    gpu_close(&gpu);
    if (reached && status != wanted && !(status == QVK_OK && may_be_survived(function)))
        fail_msg("%s failing at call %ld: %s, %s", function, at, qvk_status_name(status), error.message);
    return reached;
}

static void every_vulkan_call_may_fail(void **state)
{
    (void)state;
    static const struct {
        VkResult result;
        qvk_status status;
        const char *only;
    } faults[] = {
        {VK_ERROR_OUT_OF_DEVICE_MEMORY, QVK_OUT_OF_DEVICE_MEMORY, NULL},
        {VK_ERROR_DEVICE_LOST, QVK_DEVICE_LOST, "vkQueueSubmit"},
        {VK_ERROR_DEVICE_LOST, QVK_DEVICE_LOST, "vkWaitForFences"},
    };
    long n = 0;
    cache_dir = test_temp_dir();
    for (int i = 0; i < vulkan_proxy_n_functions(); i++) {
        const char *function = vulkan_proxy_function(i);
        for (size_t k = 0; k < QVK__COUNT(faults); k++) {
            if (faults[k].only && strcmp(faults[k].only, function) != 0)
                continue;
            for (long at = 1; run_with_fault(function, faults[k].result, faults[k].status, at); at++)
                n++;
        }
    }
    test_temp_dir_remove(&cache_dir);
    assert_true(n > 40);
}

/* ---- memory --------------------------------------------------------------------------------------------- */

static void starve(qvk__gpu *gpu)
{
    long refused = 1;
    for (long n = 0; refused > 0; n++) {
        qvk_error error = {0};
        test_memory_grant(n);
        const qvk_status status = use_engine(gpu, &error);
        refused = test_memory_grant_all();
        const bool refusal = status == QVK_OUT_OF_MEMORY ||
                             status == QVK_OUT_OF_DEVICE_MEMORY; /* buffers of the null device */
        if (refused ? !refusal : status != QVK_OK)
            fail_msg("after %ld allocations: %s, %s", n, qvk_status_name(status), error.message);
    }
}

static void every_allocation_of_a_reference_engine_may_fail(void **state)
{
    (void)state;
    starve(NULL);
}

static void every_allocation_of_a_device_engine_may_fail(void **state)
{
    (void)state;
    const qvk__gpu_params params = {.null_device = true};
    qvk__gpu *gpu = gpu_open(&params);
    starve(gpu);
    gpu_close(&gpu);
}

#define TEST_WITH(build, test) cmocka_unit_test_setup_teardown(test, build, free_graph)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST_WITH(build_fused_graph, every_allocation_of_a_reference_engine_may_fail),
        TEST_WITH(build_fused_graph, every_allocation_of_a_device_engine_may_fail),
        TEST_WITH(build_graph, every_vulkan_call_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
