/*
 * Linears that read the same activations: what is prepared once serves all of them, with the bits that each
 * one alone gives, whatever lies between them and however shapes change.
 */
#include <stdio.h>

#include "gpu/gpu_fixture.h"
#include "runtime/engine.h"
#include "runtime/graph_kit.h"

enum { ROWS = 9, K = 96, N = 24, MAX_OUTS = 8 };

static uint8_t packed[16][N * K / 2]; /* 4-bit weights */
static int8_t bytes[16][K * K];
static float scales[K], numbers[4 * ROWS * K];

static int fill(void **state)
{
    test_rng rng = test_rng_seed(11);

    (void)state;
    test_rng_fill_bytes(&rng, packed, sizeof packed);
    test_rng_fill_bytes(&rng, bytes, sizeof bytes);
    test_rng_fill_uniform(&rng, scales, K, 0.001f, 0.01f);
    test_rng_fill_uniform(&rng, numbers, QVK__COUNT(numbers), -1.0f, 1.0f);
    return 0;
}

/* ---- graphs --------------------------------------------------------------------------------------------- */

/* A linear with one scale a row, over activations that are quantized on the way or not: [rows, K] -> [rows,
 * n]. */
static int32_t add_linear(qvk__graph *graph, int32_t x, int bits, bool is_int8, int which, int64_t n)
{
    static const qvk__op ops[2][2] = {{QVK__OP_ET_LINEAR_Q4GSW, QVK__OP_QVK_LINEAR_Q8GSW},
                                      {QVK__OP_QVK_LINEAR_D8_Q4GSW, QVK__OP_QVK_LINEAR_D8_Q8GSW}};
    const bool four = bits == 4;
    const int32_t w = four ? kit_constant(graph, NULL, QVK_DTYPE_U8, KIT_SHAPE(n, K / 2), packed[which])
                           : kit_constant(graph, NULL, QVK_DTYPE_I8, KIT_SHAPE(n, K), bytes[which]);
    const int32_t s = kit_constant(graph, NULL, QVK_DTYPE_F32, KIT_SHAPE(1, n), scales);

    return kit_call(graph, ops[is_int8][!four], KIT_ARGS(KIT_V(x), KIT_V(w), KIT_V(s), KIT_I(K), KIT_NONE),
                    QVK_DTYPE_F32, KIT_SHAPE(ROWS, n));
}

static int32_t begin(qvk__graph *graph)
{
    qvk__graph_init(graph);
    return kit_input(graph, "x", QVK_DTYPE_F32, KIT_SHAPE(ROWS, K));
}

typedef struct graph_case {
    const char *name;
    int bits[3];   /* of three linears over x; 0: no such linear */
    int between;   /* linears in a chain after each of them, [rows, K] -> [rows, K] */
    bool cpu_step; /* and a step on the CPU */
    bool is_float; /* activations are not quantized */
    bool norm;     /* x is normalized for the linears */
    bool views;    /* each linear has a view of its own */
} graph_case;

/* What the three linears read. */
static int32_t add_norm(qvk__graph *graph, int32_t x, const graph_case *c)
{
    const int32_t w = kit_constant(graph, NULL, QVK_DTYPE_F32, KIT_SHAPE(K), numbers + 7);

    return c->norm ? kit_call(graph, QVK__OP_ET_RMS_NORM, KIT_ARGS(KIT_V(x), KIT_V(w), KIT_F(1e-5)),
                              QVK_DTYPE_F32, KIT_SHAPE(ROWS, K))
                   : x;
}

static int32_t add_view(qvk__graph *graph, int32_t x, const graph_case *c)
{
    static const int64_t all[] = {-1, K};
    const qvk__arg sizes = {.kind = QVK__ARG_INTS, .count = 2, .u.ints = all};

    return c->views ? kit_call(graph, QVK__OP_VIEW_COPY, KIT_ARGS(KIT_V(x), sizes), QVK_DTYPE_F32,
                               KIT_SHAPE(ROWS, K))
                    : x;
}

/* Everything a linear or a chain makes is an output. */
static void build(qvk__graph *graph, const graph_case *c)
{
    const int32_t x = begin(graph), normalized = add_norm(graph, x, c);

    for (int i = 0; i < 3; i++) {
        if (!c->bits[i])
            continue;
        kit_output(graph, add_linear(graph, add_view(graph, normalized, c), c->bits[i], !c->is_float, i, N));
        int32_t y = x;
        if (c->between > 0)
            y = kit_call(graph, QVK__OP_NEG, KIT_ARGS(KIT_V(x)), QVK_DTYPE_F32, KIT_SHAPE(ROWS, K));
        for (int j = 0; j < c->between; j++)
            y = add_linear(graph, y, 8, true, 3 + (i * c->between + j) % 13, K);
        if (c->cpu_step)
            y = kit_cpu_step(graph, y, KIT_SHAPE(ROWS, K));
        if (y != x)
            kit_output(graph, y);
    }
}

/* The case with the one linear `i`. */
static graph_case alone(const graph_case *c, int i)
{
    graph_case one = *c;

    memset(one.bits, 0, sizeof one.bits);
    one.bits[i] = c->bits[i];
    return one;
}

static const graph_case cases[] = {
    {.name = "8 bits, a view each", .bits = {8, 8, 8}, .views = true},
    {.name = "far apart", .bits = {4, 4, 4}, .between = 4},
    {.name = "normalized float", .bits = {8, 8, 8}, .is_float = true, .norm = true, .views = true},
    /* From here on sizes change, too. */
    {.name = "4 and 8 bits", .bits = {4, 8, 4}},
    {.name = "with the CPU between them", .bits = {4, 8, 8}, .between = 2, .cpu_step = true},
    {.name = "normalized, a view each", .bits = {4, 8, 4}, .norm = true, .views = true},
};
enum { FIRST_CHANGING = 3 };

/* ---- tests ---------------------------------------------------------------------------------------------- */

/* Runs the engine and those with a linear each on `rows` rows: the same bits. */
static void compare(qvk__engine *shared, qvk__engine *const alone_engines[3], int64_t rows, const float *x,
                    const char *what)
{
    const qvk_value input = kit_tensor(QVK_DTYPE_F32, KIT_SHAPE(rows, K), (void *)(uintptr_t)x);
    const uint32_t n_outs = (uint32_t)shared->graph.outputs.count;
    qvk_value got[MAX_OUTS] = {{0}}, wanted[MAX_OUTS] = {{0}};
    uint32_t n_wanted = 0;

    for (int i = 0; i < 3; i++) {
        const uint32_t n = (uint32_t)alone_engines[i]->graph.outputs.count;
        assert_ok(qvk__engine_run(alone_engines[i], &input, 1, wanted + n_wanted, n, &test_err));
        n_wanted += n;
    }
    assert_int_equal(n_outs, n_wanted);
    assert_ok(qvk__engine_run(shared, &input, 1, got, n_outs, &test_err));
    for (uint32_t i = 0; i < n_outs; i++) {
        const size_t n_bytes = qvk_tensor_bytes(&wanted[i].tensor);
        assert_int_equal(qvk_tensor_bytes(&got[i].tensor), n_bytes);
        if (memcmp(got[i].tensor.data, wanted[i].tensor.data, n_bytes) != 0)
            fail_msg("%s, %d rows: output %u has other bits", what, (int)rows, i);
    }
}

/* All linears of a case in one graph, and each in a graph of its own. */
typedef struct engines {
    qvk__graph graphs[4];
    qvk__engine *shared, *alone[3];
} engines;

static void load(qvk__gpu *gpu, const graph_case *c, qvk__graph *graph, qvk__engine **engine)
{
    build(graph, c);
    assert_ok(qvk__engine_create(gpu, graph, NULL, engine, &test_err));
}

static engines open_case(qvk__gpu *gpu, const graph_case *c)
{
    engines it = {0};

    load(gpu, c, &it.graphs[3], &it.shared);
    for (int i = 0; i < 3; i++) {
        const graph_case one = alone(c, i);
        load(gpu, &one, &it.graphs[i], &it.alone[i]);
    }
    return it;
}

static void close_case(engines *it)
{
    qvk__engine_destroy(&it->shared);
    for (int i = 0; i < 3; i++)
        qvk__engine_destroy(&it->alone[i]);
    for (int i = 0; i < 4; i++)
        qvk__graph_finish(&it->graphs[i]);
}

static int count_alone(const engines *it)
{
    return it->alone[0]->info.n_dispatches + it->alone[1]->info.n_dispatches +
           it->alone[2]->info.n_dispatches;
}

static void one_preparation_serves_three_linears(void **state)
{
    qvk__gpu *gpu = gpu_open_variant();

    (void)state;
    for (size_t i = 0; i < QVK__COUNT(cases); i++) {
        engines it = open_case(gpu, &cases[i]);
        /* Of 4 and 8 bits the forms may differ, by device. */
        const bool all = cases[i].bits[1] == cases[i].bits[0];
        const int saved = count_alone(&it) - it.shared->info.n_dispatches;
        assert_true(saved >= (all ? 2 : 1));
        compare(it.shared, it.alone, ROWS, numbers, cases[i].name);
        compare(it.shared, it.alone, ROWS, numbers + ROWS * K, cases[i].name);
        close_case(&it);
    }
    gpu_close(&gpu);
}

/* Any order of sizes, with both weights: kernels, and with them what is shared, change on the way. */
static void sizes_change_between_calls(void **state)
{
    static const int64_t sizes[] = {ROWS, 1, 0, 3, 1};

    qvk__gpu *gpu = gpu_open_variant();

    (void)state;
    for (size_t i = FIRST_CHANGING; i < QVK__COUNT(cases); i++) {
        engines it = open_case(gpu, &cases[i]);
        for (size_t s = 0; s < QVK__COUNT(sizes); s++)
            compare(it.shared, it.alone, sizes[s], numbers + s * K, cases[i].name);
        close_case(&it);
    }
    gpu_close(&gpu);
}

static void verification_sees_every_linear(void **state)
{
    const qvk__session_params params = {.verify = true};
    qvk__gpu *gpu = gpu_open_variant();

    (void)state;
    for (size_t i = 0; i < QVK__COUNT(cases); i++) {
        const qvk_value input = kit_tensor(QVK_DTYPE_F32, KIT_SHAPE(ROWS, K), numbers);
        qvk_value outputs[MAX_OUTS] = {{0}};
        qvk__engine *engine = NULL;
        qvk__graph graph;
        build(&graph, &cases[i]);
        assert_ok(qvk__engine_create(gpu, &graph, &params, &engine, &test_err));
        assert_ok(qvk__engine_run(engine, &input, 1, outputs, (uint32_t)graph.outputs.count, &test_err));
        qvk__engine_destroy(&engine);
        qvk__graph_finish(&graph);
    }
    gpu_close(&gpu);
}

/* Two linears over a buffer that is written between them read different numbers. */
static void what_is_written_in_between_is_prepared_again(void **state)
{
    static const float zeros[ROWS * K] = {0};
    const int32_t unused = -1;
    const qvk_value input = kit_tensor(QVK_DTYPE_F32, KIT_SHAPE(1, ROWS, 1, K), numbers);
    qvk_value got[2] = {{0}}, wanted[2] = {{0}};
    qvk__engine *device = NULL, *reference = NULL;
    qvk__gpu *gpu = gpu_open_variant();
    qvk__graph graph;

    (void)state;
    qvk__graph_init(&graph);
    const int32_t x = kit_input(&graph, "x", QVK_DTYPE_F32, KIT_SHAPE(1, ROWS, 1, K));
    const int32_t cache = kit_constant(&graph, "cache", QVK_DTYPE_F32, KIT_SHAPE(1, ROWS, 1, K), zeros);
    const qvk__arg update[] = {KIT_V(x), KIT_V(cache), KIT_I(0)};
    for (int i = 0; i < 2; i++) {
        const int32_t w = kit_constant(&graph, NULL, QVK_DTYPE_I8, KIT_SHAPE(N, K), bytes[i]);
        const int32_t s = kit_constant(&graph, NULL, QVK_DTYPE_F32, KIT_SHAPE(1, N), scales);
        kit_output(&graph, kit_call(&graph, QVK__OP_QVK_LINEAR_D8_Q8GSW,
                                    KIT_ARGS(KIT_V(cache), KIT_V(w), KIT_V(s), KIT_I(K), KIT_NONE),
                                    QVK_DTYPE_F32, KIT_SHAPE(1, ROWS, 1, N)));
        if (i == 0)
            assert_true(
                qvk__graph_add_node(&graph, QVK__OP_LLAMA_UPDATE_CACHE, NULL, update, 3, &unused, 1) >= 0);
    }
    assert_ok(qvk__engine_create(gpu, &graph, NULL, &device, &test_err));
    assert_ok(qvk__engine_create(NULL, &graph, NULL, &reference, &test_err));
    assert_int_equal(device->info.n_cpu_steps, 0);
    assert_ok(qvk__engine_run(device, &input, 1, got, 2, &test_err));
    assert_ok(qvk__engine_run(reference, &input, 1, wanted, 2, &test_err));
    for (int i = 0; i < 2; i++)
        test_assert_close("output", got[i].tensor.data, wanted[i].tensor.data, ROWS * N, TEST_F32_SUM);
    qvk__engine_destroy(&device);
    qvk__engine_destroy(&reference);
    qvk__graph_finish(&graph);
    gpu_close(&gpu);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(one_preparation_serves_three_linears, fill),
        cmocka_unit_test_setup(sizes_change_between_calls, fill),
        cmocka_unit_test_setup(verification_sees_every_linear, fill),
        cmocka_unit_test_setup(what_is_written_in_between_is_prepared_again, fill),
    };
    return gpu_run_variants(tests);
}
