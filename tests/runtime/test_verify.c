/* Verification of linears that add a residual: it looks at their sums, however large the residual is. */
#include "gpu/gpu_fixture.h"
#include "runtime/device.h"
#include "runtime/graph_kit.h"

enum { M = 3, K = 64, N = 24 };

static int8_t weights[N * K];
static float scales[N], x_data[M * K], product[M * N], residual[M * N];

/* One linear, to whose results an input may be added. */
static qvk__engine *make_engine(qvk__gpu *gpu, qvk__graph *graph, bool adds)
{
    const qvk__session_params params = {.verify = true};
    qvk__engine *engine = NULL;

    qvk__graph_init(graph);
    const int32_t x = kit_input(graph, "x", QVK_DTYPE_F32, KIT_SHAPE(M, K));
    const int32_t w = kit_constant(graph, "w", QVK_DTYPE_I8, KIT_SHAPE(N, K), weights);
    const int32_t s = kit_constant(graph, "s", QVK_DTYPE_F32, KIT_SHAPE(1, N), scales);
    int32_t y =
        kit_call(graph, QVK__OP_QVK_LINEAR_Q8GSW, KIT_ARGS(KIT_V(x), KIT_V(w), KIT_V(s), KIT_I(K), KIT_NONE),
                 QVK_DTYPE_F32, KIT_SHAPE(M, N));
    if (adds) {
        const int32_t r = kit_input(graph, "r", QVK_DTYPE_F32, KIT_SHAPE(M, N));
        y = kit_call(graph, QVK__OP_ADD_TENSOR, KIT_ARGS(KIT_V(r), KIT_V(y), KIT_I(1)), QVK_DTYPE_F32,
                     KIT_SHAPE(M, N));
    }
    kit_output(graph, y);
    assert_ok(qvk__engine_create(gpu, graph, &params, &engine, &test_err));
    return engine;
}

static qvk_status run(qvk__engine *engine, float *out)
{
    const qvk_value inputs[] = {kit_tensor(QVK_DTYPE_F32, KIT_SHAPE(M, K), x_data),
                                kit_tensor(QVK_DTYPE_F32, KIT_SHAPE(M, N), residual)};
    qvk_value output = kit_tensor(QVK_DTYPE_F32, KIT_SHAPE(M, N), out);

    return qvk__engine_run(engine, inputs, (uint32_t)engine->graph.inputs.count, &output, 1, &test_err);
}

static int set_up(void **state)
{
    test_rng rng = test_rng_seed(31);
    qvk__engine *reference;
    qvk__graph graph;

    (void)state;
    test_rng_fill_bytes(&rng, weights, sizeof weights);
    test_rng_fill_uniform(&rng, scales, N, 0.001f, 0.002f);
    test_rng_fill_uniform(&rng, x_data, M * K, -1.0f, 1.0f);
    reference = make_engine(NULL, &graph, false);
    assert_ok(run(reference, product));
    qvk__engine_destroy(&reference);
    qvk__graph_finish(&graph);
    return 0;
}

/* What is left is rounding. */
static void sums_that_cancel_the_residual_agree(void **state)
{
    qvk__gpu *gpu = gpu_open_variant();
    float out[M * N];
    qvk__graph graph;

    (void)state;
    for (int i = 0; i < M * N; i++)
        residual[i] = -product[i];
    qvk__engine *engine = make_engine(gpu, &graph, true);
    assert_int_equal(engine->graph.nodes.count, 1);
    assert_ok(run(engine, out));
    qvk__engine_destroy(&engine);
    qvk__graph_finish(&graph);
    gpu_close(&gpu);
}

/* The device's weights are overwritten. */
static void wrong_sums_show_beside_a_large_residual(void **state)
{
    static const uint8_t zeros[1 << 16] = {0};
    qvk__gpu *gpu = gpu_open_variant();
    float out[M * N];
    qvk__graph graph;

    (void)state;
    for (int i = 0; i < M * N; i++)
        residual[i] = i % 2 ? 1e4f : -1e4f;
    qvk__engine *engine = make_engine(gpu, &graph, true);
    assert_int_equal(engine->graph.nodes.count, 1);
    assert_ok(run(engine, out));
    for (size_t i = 0; i < engine->device->weights.list.count; i++) {
        const qvk__gpu_buffer *buffer = engine->device->weights.list.data[i].buffer;
        assert_true(buffer->bytes <= sizeof zeros);
        assert_ok(qvk__gpu_upload(gpu, buffer, 0, zeros, buffer->bytes, &test_err));
    }
    assert_ok(qvk__gpu_upload_flush(gpu, &test_err));
    assert_status(run(engine, out), QVK_VERIFY_FAILED);
    qvk__engine_destroy(&engine);
    qvk__graph_finish(&graph);
    gpu_close(&gpu);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(sums_that_cancel_the_residual_agree, set_up),
        cmocka_unit_test_setup(wrong_sums_show_beside_a_large_residual, set_up),
    };
    return gpu_run_variants(tests);
}
