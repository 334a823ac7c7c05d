/* Load-time rewrites: what they make of a graph, and that the reference computes the same before and after.
 */
#include <math.h>

#include "runtime/load_fuse.h"
#include "runtime/graph_kit.h"
#include "runtime/runtime.h"
#include "support/support.h"

enum { M = 5, N = 6, K = 12, GROUP = 4 };

typedef struct layer {
    int8_t weight[N * K];
    float scales[N * (K / GROUP)], bias[N], x[M * K];
    int8_t zeros[N * (K / GROUP)];
} layer;

static layer make_layer(uint64_t seed)
{
    layer it = {0};
    test_rng rng = test_rng_seed(seed);
    test_rng_fill_bytes(&rng, it.weight, sizeof it.weight);
    test_rng_fill_uniform(&rng, it.scales, N * (K / GROUP), 0.01f, 0.1f);
    test_rng_fill_uniform(&rng, it.bias, N, -1.0f, 1.0f);
    test_rng_fill_uniform(&rng, it.x, M * K, -2.0f, 2.0f);
    return it;
}

static qvk__arg ints(const int64_t *numbers, uint32_t count)
{
    return (qvk__arg){.kind = QVK__ARG_INTS, .count = count, .u.ints = numbers};
}

static int32_t add_dequantize(qvk__graph *graph, const layer *it)
{
    static const int64_t block[2] = {1, GROUP};
    const int32_t q = kit_constant(graph, "weight", QVK_DTYPE_I8, KIT_SHAPE(N, K), it->weight);
    const int32_t s = kit_constant(graph, "scales", QVK_DTYPE_F32, KIT_SHAPE(N, K / GROUP), it->scales);
    const int32_t z = kit_constant(graph, "zeros", QVK_DTYPE_I8, KIT_SHAPE(N, K / GROUP), it->zeros);
    return kit_call(
        graph, QVK__OP_TORCHAO_DEQUANTIZE_AFFINE,
        KIT_ARGS(KIT_V(q), ints(block, 2), KIT_V(s), KIT_V(z), KIT_NONE, KIT_I(-128), KIT_I(127), KIT_I(6)),
        QVK_DTYPE_F32, KIT_SHAPE(N, K));
}

static void run(const qvk__graph *graph, const float *x, float *out)
{
    qvk__engine *engine = NULL;
    qvk_error error = {0};
    qvk_value input = {.kind = QVK_VALUE_TENSOR, .tensor = kit_desc(QVK_DTYPE_F32, KIT_SHAPE(M, K))};
    qvk_value output = {.kind = QVK_VALUE_TENSOR, .tensor = kit_desc(QVK_DTYPE_F32, KIT_SHAPE(M, N))};
    input.tensor.data = (void *)(uintptr_t)x;
    output.tensor.data = out;
    if (qvk__engine_create(NULL, graph, NULL, &engine, &error) != QVK_OK ||
        qvk__engine_run(engine, &input, 1, &output, 1, &error) != QVK_OK)
        fail_msg("%s", error.message);
    qvk__engine_destroy(&engine);
}

/* Runs the graph as it is and fused, compares, and gives the one operator that is left besides `kept`. */
static void check_fused(qvk__graph *graph, const layer *it, qvk__op wanted, size_t n_nodes,
                        test_tolerance tolerance)
{
    float before[M * N], after[M * N];
    bool found = false;
    run(graph, it->x, before);
    assert_int_equal(qvk__fuse_graph(graph, NULL), QVK_OK);
    assert_int_equal(qvk__graph_verify(graph, NULL), QVK_OK);
    assert_int_equal(graph->nodes.count, n_nodes);
    for (size_t n = 0; n < graph->nodes.count; n++)
        found |= graph->nodes.data[n].op == wanted;
    assert_true(found);
    run(graph, it->x, after);
    test_assert_close("fused", after, before, M * N, tolerance);
}

static void weight_only_per_group(void **state)
{
    (void)state;
    const layer it = make_layer(1);
    qvk__graph graph;
    qvk__graph_init(&graph);
    const int32_t x = kit_input(&graph, "x", QVK_DTYPE_F32, KIT_SHAPE(M, K));
    const int32_t w = add_dequantize(&graph, &it);
    const int32_t copy =
        kit_call(&graph, QVK__OP_CLONE, KIT_ARGS(KIT_V(w), KIT_NONE), QVK_DTYPE_F32, KIT_SHAPE(N, K));
    const int32_t b = kit_constant(&graph, "bias", QVK_DTYPE_F32, KIT_SHAPE(N), it.bias);
    kit_output(&graph, kit_call(&graph, QVK__OP_LINEAR, KIT_ARGS(KIT_V(x), KIT_V(copy), KIT_V(b)),
                                QVK_DTYPE_F32, KIT_SHAPE(M, N)));
    check_fused(&graph, &it, QVK__OP_QVK_LINEAR_Q8GSW, 1, TEST_F32_SUM);
    qvk__graph_finish(&graph);
}

static void zero_points_stay_unfused(void **state)
{
    (void)state;
    layer it = make_layer(2);
    it.zeros[7] = 1;
    qvk__graph graph;
    qvk__graph_init(&graph);
    const int32_t x = kit_input(&graph, "x", QVK_DTYPE_F32, KIT_SHAPE(M, K));
    const int32_t w = add_dequantize(&graph, &it);
    kit_output(&graph, kit_call(&graph, QVK__OP_LINEAR, KIT_ARGS(KIT_V(x), KIT_V(w), KIT_NONE), QVK_DTYPE_F32,
                                KIT_SHAPE(M, N)));
    check_fused(&graph, &it, QVK__OP_LINEAR, 2, TEST_EXACT);
    qvk__graph_finish(&graph);
}

static void per_channel(void **state)
{
    (void)state;
    const layer it = make_layer(3);
    static const int32_t zeros[N] = {0};
    qvk__graph graph;
    qvk__graph_init(&graph);
    const int32_t x = kit_input(&graph, "x", QVK_DTYPE_F32, KIT_SHAPE(M, K));
    const int32_t q = kit_constant(&graph, "weight", QVK_DTYPE_I8, KIT_SHAPE(N, K), it.weight);
    const int32_t s = kit_constant(&graph, "scales", QVK_DTYPE_F32, KIT_SHAPE(N), it.scales);
    const int32_t z = kit_constant(&graph, "zeros", QVK_DTYPE_I32, KIT_SHAPE(N), zeros);
    const int32_t w = kit_call(
        &graph, QVK__OP_QD_DEQUANTIZE_PER_CHANNEL,
        KIT_ARGS(KIT_V(q), KIT_V(s), KIT_V(z), KIT_I(0), KIT_I(-128), KIT_I(127), KIT_NONE, KIT_NONE),
        QVK_DTYPE_F32, KIT_SHAPE(N, K));
    kit_output(&graph, kit_call(&graph, QVK__OP_LINEAR, KIT_ARGS(KIT_V(x), KIT_V(w), KIT_NONE), QVK_DTYPE_F32,
                                KIT_SHAPE(M, N)));
    check_fused(&graph, &it, QVK__OP_QVK_LINEAR_Q8GSW, 1, TEST_F32_SUM);
    qvk__graph_finish(&graph);
}

/* choose_qparams, quantize, dequantize around the activation: two operators are left. */
static void check_dynamic(qvk__arg eps, qvk__op wanted, size_t n_nodes)
{
    static const int64_t block[2] = {1, K};
    const layer it = make_layer(4);
    qvk__graph graph;
    qvk__graph_init(&graph);
    const int32_t x = kit_input(&graph, "x", QVK_DTYPE_F32, KIT_SHAPE(M, K));
    const qvk__arg mapping = {.kind = QVK__ARG_STRING, .u.s = "ASYMMETRIC"};
    const qvk_tensor scale_desc = kit_desc(QVK_DTYPE_F32, KIT_SHAPE(M));
    const qvk_tensor zero_desc = kit_desc(QVK_DTYPE_I8, KIT_SHAPE(M));
    const int32_t qparams[2] = {qvk__graph_add_value(&graph, "s", &scale_desc),
                                qvk__graph_add_value(&graph, "z", &zero_desc)};
    const qvk__arg choose[] = {KIT_V(x),   mapping, ints(block, 2), KIT_NONE, KIT_I(-128),
                               KIT_I(127), eps,     KIT_NONE,       KIT_NONE, qvk__arg_from_bool(false)};
    assert_true(qvk__graph_add_node(&graph, QVK__OP_TORCHAO_CHOOSE_QPARAMS_AFFINE, NULL, choose, 10, qparams,
                                    2) >= 0);
    const int32_t q = kit_call(&graph, QVK__OP_TORCHAO_QUANTIZE_AFFINE,
                               KIT_ARGS(KIT_V(x), ints(block, 2), KIT_V(qparams[0]), KIT_V(qparams[1]),
                                        KIT_NONE, KIT_I(-128), KIT_I(127)),
                               QVK_DTYPE_I8, KIT_SHAPE(M, K));
    const int32_t dq = kit_call(&graph, QVK__OP_TORCHAO_DEQUANTIZE_AFFINE,
                                KIT_ARGS(KIT_V(q), ints(block, 2), KIT_V(qparams[0]), KIT_V(qparams[1]),
                                         KIT_NONE, KIT_I(-128), KIT_I(127), KIT_I(6)),
                                QVK_DTYPE_F32, KIT_SHAPE(M, K));
    const int32_t w = add_dequantize(&graph, &it);
    kit_output(&graph, kit_call(&graph, QVK__OP_LINEAR, KIT_ARGS(KIT_V(dq), KIT_V(w), KIT_NONE),
                                QVK_DTYPE_F32, KIT_SHAPE(M, N)));
    check_fused(&graph, &it, wanted, n_nodes, TEST_F32_SUM);
    qvk__graph_finish(&graph);
}

static void dynamic_activation(void **state)
{
    (void)state;
    check_dynamic(KIT_NONE, QVK__OP_QVK_LINEAR_D8_Q8GSW, 1);
}

/* Scales that are not chosen in the default way keep their own operator. */
static void dynamic_activation_with_eps(void **state)
{
    (void)state;
    check_dynamic(qvk__arg_from_float(0.5), QVK__OP_QVK_LINEAR_DQ8CA_Q8GSW, 2);
}

static void static_activation(void **state)
{
    (void)state;
    const layer it = make_layer(5);
    static const int32_t zeros[N] = {0};
    qvk__graph graph;
    qvk__graph_init(&graph);
    const int32_t x = kit_input(&graph, "x", QVK_DTYPE_F32, KIT_SHAPE(M, K));
    const int32_t q = kit_call(&graph, QVK__OP_QD_QUANTIZE_PER_TENSOR,
                               KIT_ARGS(KIT_V(x), KIT_F(0.016), KIT_I(3), KIT_I(-128), KIT_I(127), KIT_NONE),
                               QVK_DTYPE_I8, KIT_SHAPE(M, K));
    const int32_t dq =
        kit_call(&graph, QVK__OP_QD_DEQUANTIZE_PER_TENSOR,
                 KIT_ARGS(KIT_V(q), KIT_F(0.016), KIT_I(3), KIT_I(-128), KIT_I(127), KIT_NONE, KIT_NONE),
                 QVK_DTYPE_F32, KIT_SHAPE(M, K));
    const int32_t wq = kit_constant(&graph, "weight", QVK_DTYPE_I8, KIT_SHAPE(N, K), it.weight);
    const int32_t s = kit_constant(&graph, "scales", QVK_DTYPE_F32, KIT_SHAPE(N), it.scales);
    const int32_t z = kit_constant(&graph, "zeros", QVK_DTYPE_I32, KIT_SHAPE(N), zeros);
    const int32_t w = kit_call(
        &graph, QVK__OP_QD_DEQUANTIZE_PER_CHANNEL,
        KIT_ARGS(KIT_V(wq), KIT_V(s), KIT_V(z), KIT_I(0), KIT_I(-127), KIT_I(127), KIT_NONE, KIT_NONE),
        QVK_DTYPE_F32, KIT_SHAPE(N, K));
    const int32_t b = kit_constant(&graph, "bias", QVK_DTYPE_F32, KIT_SHAPE(N), it.bias);
    kit_output(&graph, kit_call(&graph, QVK__OP_LINEAR, KIT_ARGS(KIT_V(dq), KIT_V(w), KIT_V(b)),
                                QVK_DTYPE_F32, KIT_SHAPE(M, N)));
    check_fused(&graph, &it, QVK__OP_ET_LINEAR_Q8TA_Q8CSW, 2, TEST_F32_SUM);
    qvk__graph_finish(&graph);
}

static void bias_of_int8pack_mm(void **state)
{
    (void)state;
    const layer it = make_layer(6);
    qvk__graph graph;
    qvk__graph_init(&graph);
    const int32_t x = kit_input(&graph, "x", QVK_DTYPE_F32, KIT_SHAPE(M, K));
    const int32_t w = kit_constant(&graph, "weight", QVK_DTYPE_I8, KIT_SHAPE(N, K), it.weight);
    const int32_t s = kit_constant(&graph, "scales", QVK_DTYPE_F32, KIT_SHAPE(N), it.scales);
    const int32_t b = kit_constant(&graph, "bias", QVK_DTYPE_F32, KIT_SHAPE(N), it.bias);
    const int32_t y = kit_call(&graph, QVK__OP_PRIV_WEIGHT_INT8PACK_MM,
                               KIT_ARGS(KIT_V(x), KIT_V(w), KIT_V(s)), QVK_DTYPE_F32, KIT_SHAPE(M, N));
    kit_output(&graph, kit_call(&graph, QVK__OP_ADD_TENSOR, KIT_ARGS(KIT_V(y), KIT_V(b), KIT_I(1)),
                                QVK_DTYPE_F32, KIT_SHAPE(M, N)));
    check_fused(&graph, &it, QVK__OP_QVK_LINEAR_Q8GSW, 1, TEST_F32_SUM);
    qvk__graph_finish(&graph);
}

/* Sums of another type, and of activations that are overwritten before the sum. */
static void other_sums_of_int8pack_mm_stay(void **state)
{
    (void)state;
    const layer it = make_layer(7);
    for (int is_half = 0; is_half < 2; is_half++) {
        qvk__graph graph;
        qvk__graph_init(&graph);
        int32_t x = kit_input(&graph, "x", QVK_DTYPE_F32, KIT_SHAPE(M, K));
        const qvk_dtype dtype = is_half ? QVK_DTYPE_F16 : QVK_DTYPE_F32;
        const qvk__arg cast[] = {KIT_V(x), KIT_I(5), KIT_NONE, KIT_NONE, KIT_NONE, KIT_NONE, KIT_NONE};
        const int32_t w = kit_constant(&graph, "weight", QVK_DTYPE_I8, KIT_SHAPE(N, K), it.weight);
        const int32_t s = kit_constant(&graph, "scales", QVK_DTYPE_F32, KIT_SHAPE(N), it.scales);
        const int32_t b = kit_constant(&graph, "bias", QVK_DTYPE_F32, KIT_SHAPE(N), it.bias);
        if (is_half)
            x = kit_call(&graph, QVK__OP_PRIV_TO_COPY, cast, 7, dtype, KIT_SHAPE(M, K));
        const int32_t y = kit_call(&graph, QVK__OP_PRIV_WEIGHT_INT8PACK_MM,
                                   KIT_ARGS(KIT_V(x), KIT_V(w), KIT_V(s)), dtype, KIT_SHAPE(M, N));
        if (!is_half) {
            const int32_t zeros = kit_call(&graph, QVK__OP_MUL_SCALAR, KIT_ARGS(KIT_V(x), KIT_I(0)),
                                           QVK_DTYPE_F32, KIT_SHAPE(M, K));
            assert_true(qvk__graph_add_node(&graph, QVK__OP_ALIAS_COPY, NULL,
                                            (const qvk__arg[]){KIT_V(zeros)}, 1, &x, 1) >= 0);
        }
        kit_output(&graph, kit_call(&graph, QVK__OP_ADD_TENSOR, KIT_ARGS(KIT_V(y), KIT_V(b), KIT_I(1)),
                                    QVK_DTYPE_F32, KIT_SHAPE(M, N)));
        check_fused(&graph, &it, QVK__OP_PRIV_WEIGHT_INT8PACK_MM, graph.nodes.count, TEST_F32_SUM);
        qvk__graph_finish(&graph);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(weight_only_per_group),
        cmocka_unit_test(zero_points_stay_unfused),
        cmocka_unit_test(per_channel),
        cmocka_unit_test(dynamic_activation),
        cmocka_unit_test(dynamic_activation_with_eps),
        cmocka_unit_test(static_activation),
        cmocka_unit_test(bias_of_int8pack_mm),
        cmocka_unit_test(other_sums_of_int8pack_mm_stay),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
