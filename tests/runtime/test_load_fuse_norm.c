/* Load-time rewrites around RMS norms: which forms become one operator, that the reference computes the same
 * before and after, and what is left alone. */
#include "core/dtype.h"
#include "core/semantics.h"
#include "runtime/graph_kit.h"
#include "runtime/load_fuse.h"
#include "runtime/runtime.h"
#include "support/support.h"

enum { M = 5, K = 48 };

static float x_data[M * K], weight_data[K];
static uint16_t half_weight[K];
static float eps_data = 1e-5f;
static uint16_t half_eps;

static int fill(void **state)
{
    test_rng rng = test_rng_seed(21);

    (void)state;
    test_rng_fill_uniform(&rng, x_data, M * K, -3.0f, 3.0f);
    test_rng_fill_uniform(&rng, weight_data, K, 0.2f, 2.0f);
    qvk__f32_to_f16_n(weight_data, half_weight, K);
    half_eps = qvk__f32_to_f16(eps_data);
    memset(x_data + K, 0, K * sizeof *x_data); /* a row of zeros */
    return 0;
}

/* How a model writes it. */
typedef struct form {
    qvk_dtype x, inside, normalized, y; /* types of x; of the statistics; before the weight; of the result */
    qvk_dtype weight;
    bool square, scalar_eps, weight_last;
    int64_t dim;
} form;

static int32_t call(qvk__graph *graph, qvk__op op, const qvk__arg *args, int n_args, qvk_dtype dtype,
                    int64_t k)
{
    return kit_call(graph, op, args, n_args, dtype, KIT_SHAPE(M, k));
}

static int32_t cast(qvk__graph *graph, int32_t x, qvk_dtype from, qvk_dtype to)
{
    if (from == to)
        return x;
    return call(graph, QVK__OP_PRIV_TO_COPY,
                KIT_ARGS(KIT_V(x), KIT_NONE, KIT_NONE, KIT_NONE, KIT_NONE, KIT_NONE, KIT_NONE), to, K);
}

static int32_t add_rstd(qvk__graph *graph, int32_t x, const form *f)
{
    const int64_t dims[] = {f->dim};
    const qvk__arg over = {.kind = QVK__ARG_INTS, .count = 1, .u.ints = dims};
    const bool half = f->inside == QVK_DTYPE_F16;
    const int32_t squares =
        f->square ? call(graph, QVK__OP_SQUARE, KIT_ARGS(KIT_V(x)), f->inside, K)
                  : call(graph, QVK__OP_POW_TENSOR_SCALAR, KIT_ARGS(KIT_V(x), KIT_I(2)), f->inside, K);
    const int32_t mean =
        call(graph, QVK__OP_MEAN_DIM, KIT_ARGS(KIT_V(squares), over, qvk__arg_from_bool(true), KIT_NONE),
             f->inside, 1);
    const int32_t eps = kit_constant(graph, "eps", f->inside, 0, NULL,
                                     half ? (const void *)&half_eps : (const void *)&eps_data);
    const int32_t sum =
        f->scalar_eps
            ? call(graph, QVK__OP_ADD_SCALAR, KIT_ARGS(KIT_V(mean), KIT_F(1e-5), KIT_I(1)), f->inside, 1)
            : call(graph, QVK__OP_ADD_TENSOR, KIT_ARGS(KIT_V(mean), KIT_V(eps), KIT_I(1)), f->inside, 1);
    return call(graph, QVK__OP_RSQRT, KIT_ARGS(KIT_V(sum)), f->inside, 1);
}

/* x -> y, which is returned; *product: x * rsqrt(...). */
static int32_t add_norm(qvk__graph *graph, int32_t x, const form *f, int32_t *product)
{
    const int32_t inside = cast(graph, x, f->x, f->inside);
    const int32_t rstd = add_rstd(graph, inside, f);
    const bool half = f->weight == QVK_DTYPE_F16;
    const int32_t w = kit_constant(graph, "w", f->weight, KIT_SHAPE(K),
                                   half ? (const void *)half_weight : (const void *)weight_data);
    const qvk_dtype weighted = f->normalized == QVK_DTYPE_F16 && half ? QVK_DTYPE_F16 : QVK_DTYPE_F32;

    *product = call(graph, QVK__OP_MUL_TENSOR, KIT_ARGS(KIT_V(inside), KIT_V(rstd)), f->inside, K);
    const int32_t normalized = cast(graph, *product, f->inside, f->normalized);
    const qvk__arg a = KIT_V(f->weight_last ? normalized : w), b = KIT_V(f->weight_last ? w : normalized);
    return cast(graph, call(graph, QVK__OP_MUL_TENSOR, KIT_ARGS(a, b), weighted, K), weighted, f->y);
}

static qvk__graph make_graph(const form *f)
{
    qvk__graph graph;
    int32_t product;

    qvk__graph_init(&graph);
    const int32_t x = kit_input(&graph, "x", f->x, KIT_SHAPE(M, K));
    kit_output(&graph, add_norm(&graph, x, f, &product));
    return graph;
}

static void run(const qvk__graph *graph, float *out)
{
    qvk__engine *engine = NULL;
    qvk_error error = {0};
    qvk_value input = kit_tensor(QVK_DTYPE_F32, KIT_SHAPE(M, K), x_data);
    qvk_value output = kit_tensor(QVK_DTYPE_F32, KIT_SHAPE(M, K), out);

    if (qvk__engine_create(NULL, graph, NULL, &engine, &error) != QVK_OK ||
        qvk__engine_run(engine, &input, 1, &output, 1, &error) != QVK_OK)
        fail_msg("%s", error.message);
    qvk__engine_destroy(&engine);
}

#define F32 QVK_DTYPE_F32
#define F16 QVK_DTYPE_F16

static void forms_of_models_become_one_operator(void **state)
{
    static const struct {
        const char *name;
        form form;
        qvk__rms_rounding rounding;
    } cases[] = {
        {"float32", {F32, F32, F32, F32, F32, false, false, false, -1}, QVK__RMS_ROUND_RESULT},
        {"square, a number", {F32, F32, F32, F32, F32, true, true, true, 1}, QVK__RMS_ROUND_RESULT},
        {"float16 weight", {F32, F32, F32, F32, F16, false, false, false, -1}, QVK__RMS_ROUND_RESULT},
        {"Llama in float16", {F16, F32, F16, F16, F16, false, false, false, -1}, QVK__RMS_ROUND_NORMALIZED},
        {"Gemma in float16", {F16, F32, F32, F16, F32, false, true, true, -1}, QVK__RMS_ROUND_RESULT},
        {"stored in float16", {F16, F16, F16, F16, F16, false, false, false, -1}, QVK__RMS_ROUND_STEPS},
    };

    (void)state;
    for (size_t i = 0; i < QVK__COUNT(cases); i++) {
        float before[M * K], after[M * K];
        qvk__graph graph = make_graph(&cases[i].form);
        const bool plain = cases[i].rounding == QVK__RMS_ROUND_RESULT;
        run(&graph, before);
        assert_int_equal(qvk__fuse_graph(&graph, NULL), QVK_OK);
        assert_int_equal(qvk__graph_verify(&graph, NULL), QVK_OK);
        if (graph.nodes.count != 1)
            fail_msg("%s: %zu operators are left", cases[i].name, graph.nodes.count);
        const qvk__node *node = &graph.nodes.data[0];
        assert_int_equal(node->op, plain ? QVK__OP_ET_RMS_NORM : QVK__OP_QVK_RMS_NORM);
        if (!plain)
            assert_int_equal(node->args[3].u.i, cases[i].rounding);
        run(&graph, after);
        /* Every rounding to float16 is there, so its results are the same bits. */
        test_assert_close(cases[i].name, after, before, M * K,
                          cases[i].form.y == F16 ? TEST_EXACT : TEST_F32_ROUND);
        qvk__graph_finish(&graph);
    }
}

/* Fuses and says how many operators are left of how many. */
static size_t left_of(qvk__graph *graph, size_t *n_before)
{
    *n_before = graph->nodes.count;
    assert_int_equal(qvk__fuse_graph(graph, NULL), QVK_OK);
    assert_int_equal(qvk__graph_verify(graph, NULL), QVK_OK);
    for (size_t n = 0; n < graph->nodes.count; n++)
        assert_true(graph->nodes.data[n].op != QVK__OP_ET_RMS_NORM &&
                    graph->nodes.data[n].op != QVK__OP_QVK_RMS_NORM);
    return graph->nodes.count;
}

static void other_roundings_and_dimensions_stay(void **state)
{
    static const form forms[] = {
        {F32, F32, F32, F32, F32, false, false, false, 0}, /* over the rows */
        {F16, F16, F32, F32, F32, false, false, false, -1},
        {F16, F32, F32, F32, F16, false, false, false, -1}, /* would do, but x is float16 and y is not */
        {F16, F32, F16, F32, F32, false, false, false, -1}, /* rounded before a weight that is not */
    };
    size_t n_before;

    (void)state;
    for (size_t i = 0; i < QVK__COUNT(forms); i++) {
        qvk__graph graph = make_graph(&forms[i]);
        if (i == 2) { /* the statistics' own float32 x is as good a source */
            assert_int_equal(qvk__fuse_graph(&graph, NULL), QVK_OK);
            assert_int_equal(graph.nodes.count, 2);
            assert_int_equal(graph.nodes.data[1].op, QVK__OP_ET_RMS_NORM);
        } else {
            assert_true(left_of(&graph, &n_before) == n_before);
        }
        qvk__graph_finish(&graph);
    }
}

/* The mean of another tensor, a weight that is no constant or too wide, a square that is none. */
static void other_operands_stay(void **state)
{
    static const form plain = {F32, F32, F32, F32, F32, false, false, false, -1};

    (void)state;
    for (int i = 0; i < 3; i++) {
        qvk__graph graph;
        size_t n_before;
        int32_t product;
        qvk__graph_init(&graph);
        const int32_t x = kit_input(&graph, "x", F32, KIT_SHAPE(M, K));
        const int32_t other = kit_input(&graph, "other", F32, KIT_SHAPE(M, K));
        const int32_t vector = kit_input(&graph, "vector", F32, KIT_SHAPE(K));
        const int32_t w = kit_constant(&graph, "w", F32, KIT_SHAPE(M, K), x_data);
        const int32_t rstd = add_rstd(&graph, i == 0 ? other : x, &plain);
        product = call(&graph, QVK__OP_MUL_TENSOR, KIT_ARGS(KIT_V(x), KIT_V(rstd)), F32, K);
        kit_output(&graph, call(&graph, QVK__OP_MUL_TENSOR,
                                KIT_ARGS(KIT_V(product), KIT_V(i == 1 ? vector : w)), F32, K));
        assert_true(left_of(&graph, &n_before) == n_before);
        qvk__graph_finish(&graph);
    }
}

/* What others read, too, is still computed for them. */
static void pieces_that_are_used_elsewhere_stay_as_well(void **state)
{
    static const form plain = {F32, F32, F32, F32, F32, false, false, false, -1};
    qvk__graph graph;
    int32_t product;

    (void)state;
    qvk__graph_init(&graph);
    const int32_t x = kit_input(&graph, "x", F32, KIT_SHAPE(M, K));
    kit_output(&graph, add_norm(&graph, x, &plain, &product));
    kit_output(&graph, product);
    const size_t n_before = graph.nodes.count;
    assert_int_equal(qvk__fuse_graph(&graph, NULL), QVK_OK);
    assert_int_equal(qvk__graph_verify(&graph, NULL), QVK_OK);
    assert_int_equal(graph.nodes.count, n_before);
    assert_int_equal(graph.nodes.data[n_before - 1].op, QVK__OP_ET_RMS_NORM);
    qvk__graph_finish(&graph);
}

/* ---- into linears --------------------------------------------------------------------------------------- */

enum { N = 24 };

static uint8_t nibbles[2][N * K / 2];
static int8_t bytes[2][N * K];
static float scales[N];

static int fill_linears(void **state)
{
    test_rng rng = test_rng_seed(22);

    test_rng_fill_bytes(&rng, nibbles, sizeof nibbles);
    test_rng_fill_bytes(&rng, bytes, sizeof bytes);
    test_rng_fill_uniform(&rng, scales, N, 0.001f, 0.01f);
    return fill(state);
}

static int32_t add_rms_norm(qvk__graph *graph, int32_t x, double eps)
{
    const int32_t w = kit_constant(graph, "w", F32, KIT_SHAPE(K), weight_data);
    return call(graph, QVK__OP_ET_RMS_NORM, KIT_ARGS(KIT_V(x), KIT_V(w), KIT_F(eps)), F32, K);
}

static int32_t add_linear(qvk__graph *graph, qvk__op op, int32_t x, int which)
{
    const bool four = op == QVK__OP_ET_LINEAR_Q4GSW || op == QVK__OP_QVK_LINEAR_D8_Q4GSW;
    const int32_t w = four ? kit_constant(graph, "q", QVK_DTYPE_U8, KIT_SHAPE(N, K / 2), nibbles[which])
                           : kit_constant(graph, "q", QVK_DTYPE_I8, KIT_SHAPE(N, K), bytes[which]);

    if (op == QVK__OP_PRIV_WEIGHT_INT8PACK_MM) {
        const int32_t s = kit_constant(graph, "s", F32, KIT_SHAPE(N), scales);
        return call(graph, op, KIT_ARGS(KIT_V(x), KIT_V(w), KIT_V(s)), F32, N);
    }
    const int32_t s = kit_constant(graph, "s", F32, KIT_SHAPE(1, N), scales);
    return call(graph, op, KIT_ARGS(KIT_V(x), KIT_V(w), KIT_V(s), KIT_I(K), KIT_NONE), F32, N);
}

static void run_outputs(const qvk__graph *graph, float out[][M * N])
{
    qvk__engine *engine = NULL;
    qvk_error error = {0};
    const qvk_value input = kit_tensor(F32, KIT_SHAPE(M, K), x_data);
    qvk_value outputs[4] = {{0}};

    for (size_t i = 0; i < graph->outputs.count; i++)
        outputs[i] = kit_tensor(F32, KIT_SHAPE(M, N), out[i]);
    if (qvk__engine_create(NULL, graph, NULL, &engine, &error) != QVK_OK ||
        qvk__engine_run(engine, &input, 1, outputs, (uint32_t)graph->outputs.count, &error) != QVK_OK)
        fail_msg("%s", error.message);
    qvk__engine_destroy(&engine);
}

/* Fuses; the reference computes the same; `n_normed` linears have a norm, and `n_left` norms are left. */
static void check_fused(qvk__graph *graph, size_t n_normed, size_t n_left)
{
    float before[4][M * N], after[4][M * N];
    size_t normed = 0, left = 0;

    run_outputs(graph, before);
    assert_int_equal(qvk__fuse_graph(graph, NULL), QVK_OK);
    assert_int_equal(qvk__graph_verify(graph, NULL), QVK_OK);
    for (size_t n = 0; n < graph->nodes.count; n++) {
        const qvk__node *node = &graph->nodes.data[n];
        left += node->op == QVK__OP_ET_RMS_NORM || node->op == QVK__OP_QVK_RMS_NORM;
        normed += node->n_args == QVK__FUSED_ARGS && !qvk__arg_is_null(&node->args[QVK__FUSED_NORM_EPS]);
    }
    assert_int_equal(normed, n_normed);
    assert_int_equal(left, n_left);
    run_outputs(graph, after);
    for (size_t i = 0; i < graph->outputs.count; i++)
        test_assert_close("output", after[i], before[i], M * N, TEST_EXACT);
}

static void norms_go_into_linears(void **state)
{
    static const qvk__op ops[] = {QVK__OP_ET_LINEAR_Q4GSW, QVK__OP_QVK_LINEAR_Q8GSW,
                                  QVK__OP_QVK_LINEAR_D8_Q4GSW, QVK__OP_QVK_LINEAR_D8_Q8GSW,
                                  QVK__OP_PRIV_WEIGHT_INT8PACK_MM};

    (void)state;
    for (size_t i = 0; i < QVK__COUNT(ops); i++) {
        qvk__graph graph;
        qvk__graph_init(&graph);
        const int32_t x = kit_input(&graph, "x", F32, KIT_SHAPE(M, K));
        const int32_t y = add_rms_norm(&graph, x, 1e-5), z = add_rms_norm(&graph, x, 0.5);
        kit_output(&graph, add_linear(&graph, ops[i], y, 0));
        kit_output(&graph, add_linear(&graph, ops[(i + 1) % 5], y, 1));
        kit_output(&graph, add_linear(&graph, ops[i], z, 1));
        check_fused(&graph, 3, 0);
        qvk__graph_finish(&graph);
    }
}

/* As torch leaves 8-bit linears: each reads a view of its own. */
static void norms_go_through_reshapes(void **state)
{
    qvk__graph graph;

    (void)state;
    qvk__graph_init(&graph);
    const int32_t x = kit_input(&graph, "x", F32, KIT_SHAPE(1, M, K));
    const int32_t w = kit_constant(&graph, "w", F32, KIT_SHAPE(K), weight_data);
    const int32_t y = kit_call(&graph, QVK__OP_ET_RMS_NORM, KIT_ARGS(KIT_V(x), KIT_V(w), KIT_F(1e-5)), F32,
                               KIT_SHAPE(1, M, K));
    static const int64_t flat[] = {M, K};
    const qvk__arg sizes = {.kind = QVK__ARG_INTS, .count = 2, .u.ints = flat};
    for (int i = 0; i < 2; i++) {
        const int32_t view = call(&graph, QVK__OP_VIEW_COPY, KIT_ARGS(KIT_V(y), sizes), F32, K);
        kit_output(&graph, add_linear(&graph, QVK__OP_PRIV_WEIGHT_INT8PACK_MM, view, i));
    }
    assert_int_equal(qvk__fuse_graph(&graph, NULL), QVK_OK);
    assert_int_equal(qvk__graph_verify(&graph, NULL), QVK_OK);
    assert_int_equal(graph.nodes.count, 4);
    for (size_t n = 0; n < 4; n++)
        assert_true(graph.nodes.data[n].op == QVK__OP_VIEW_COPY ||
                    !qvk__arg_is_null(&graph.nodes.data[n].args[QVK__FUSED_NORM_EPS]));
    qvk__graph_finish(&graph);
}

/* Where somebody else reads it, too, the norm has to be computed anyway. */
static void norms_that_others_read_stay(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) {
        qvk__graph graph;
        qvk__graph_init(&graph);
        const int32_t x = kit_input(&graph, "x", F32, KIT_SHAPE(M, K));
        const int32_t vector = kit_input(&graph, "vector", F32, KIT_SHAPE(K));
        int32_t y = add_rms_norm(&graph, x, 1e-5);
        if (i == 0) /* a weight that is no constant */
            y = call(&graph, QVK__OP_ET_RMS_NORM, KIT_ARGS(KIT_V(x), KIT_V(vector), KIT_F(1e-5)), F32, K);
        kit_output(&graph, add_linear(&graph, QVK__OP_QVK_LINEAR_D8_Q8GSW, y, 0));
        if (i == 1)
            kit_output(&graph, y);
        if (i == 2)
            kit_output(&graph, call(&graph, QVK__OP_NEG, KIT_ARGS(KIT_V(y)), F32, K));
        if (i == 3) { /* a linear in float */
            const int32_t w = kit_constant(&graph, "f", F32, KIT_SHAPE(M, K), x_data);
            kit_output(&graph, call(&graph, QVK__OP_LINEAR, KIT_ARGS(KIT_V(y), KIT_V(w), KIT_NONE), F32, M));
        }
        assert_int_equal(qvk__fuse_graph(&graph, NULL), QVK_OK);
        assert_int_equal(graph.nodes.count, i < 2 ? 2 : 3);
        assert_int_equal(graph.nodes.data[0].op, QVK__OP_ET_RMS_NORM);
        assert_int_equal(graph.nodes.data[1].op, QVK__OP_QVK_LINEAR_D8_Q8GSW);
        qvk__graph_finish(&graph);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(forms_of_models_become_one_operator, fill),
        cmocka_unit_test_setup(other_roundings_and_dimensions_stay, fill),
        cmocka_unit_test_setup(other_operands_stay, fill),
        cmocka_unit_test_setup(pieces_that_are_used_elsewhere_stay_as_well, fill),
        cmocka_unit_test_setup(norms_go_into_linears, fill_linears),
        cmocka_unit_test_setup(norms_go_through_reshapes, fill_linears),
        cmocka_unit_test_setup(norms_that_others_read_stay, fill_linears),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
