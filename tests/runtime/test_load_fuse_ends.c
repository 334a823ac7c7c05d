/* What follows a quantized linear: what load-time rewrites take into it, what they leave alone, and that the
 * reference computes the same before and after. */
#include "core/dtype.h"
#include "runtime/load_fuse.h"
#include "runtime/graph_kit.h"
#include "runtime/runtime.h"
#include "support/support.h"

enum { S = 3, K = 64, N = 24, GROUP = 32 };

static const qvk__op linears[] = {QVK__OP_ET_LINEAR_Q4GSW, QVK__OP_QVK_LINEAR_Q8GSW,
                                  QVK__OP_PRIV_WEIGHT_INT8PACK_MM, QVK__OP_QVK_LINEAR_D8_Q4GSW,
                                  QVK__OP_QVK_LINEAR_D8_Q8GSW};

/* Numbers of all constants and inputs. */
typedef struct fixture {
    qvk__graph graph;
    int8_t weights[4][N * K];
    float scales[4][K / GROUP * N], bias[N], x[S * K], r[S * N];
    int n_weights;
} fixture;

static fixture *begin(uint64_t seed)
{
    fixture *it = calloc(1, sizeof *it);
    test_rng rng = test_rng_seed(seed);

    assert_non_null(it);
    qvk__graph_init(&it->graph);
    test_rng_fill_bytes(&rng, it->weights, sizeof it->weights);
    test_rng_fill_uniform(&rng, it->scales[0], sizeof it->scales / sizeof(float), 0.001f, 0.01f);
    test_rng_fill_uniform(&rng, it->bias, N, -1.0f, 1.0f);
    test_rng_fill_uniform(&rng, it->x, S * K, -2.0f, 2.0f);
    test_rng_fill_uniform(&rng, it->r, S * N, -2.0f, 2.0f);
    return it;
}

static void end(fixture *it)
{
    qvk__graph_finish(&it->graph);
    free(it);
}

static int32_t add_x(fixture *it)
{
    return kit_input(&it->graph, "x", QVK_DTYPE_F32, KIT_SHAPE(1, S, K));
}

static int32_t add_r(fixture *it)
{
    return kit_input(&it->graph, "r", QVK_DTYPE_F32, KIT_SHAPE(1, S, N));
}

/* Constants take the next weights of the fixture; x has `rank` dimensions. */
static int32_t add_linear(fixture *it, qvk__op op, int32_t x, int rank, bool bias)
{
    const bool four_bits = op == QVK__OP_ET_LINEAR_Q4GSW || op == QVK__OP_QVK_LINEAR_D8_Q4GSW;
    const bool per_channel = op == QVK__OP_PRIV_WEIGHT_INT8PACK_MM;
    const int64_t sizes[] = {1, S, N};
    const int at = it->n_weights++;
    qvk__graph *graph = &it->graph;
    const int32_t w = four_bits
                          ? kit_constant(graph, NULL, QVK_DTYPE_U8, KIT_SHAPE(N, K / 2), it->weights[at])
                          : kit_constant(graph, NULL, QVK_DTYPE_I8, KIT_SHAPE(N, K), it->weights[at]);
    const int32_t s = per_channel
                          ? kit_constant(graph, NULL, QVK_DTYPE_F32, KIT_SHAPE(N), it->scales[at])
                          : kit_constant(graph, NULL, QVK_DTYPE_F32, KIT_SHAPE(K / GROUP, N), it->scales[at]);
    const qvk__arg b =
        bias ? KIT_V(kit_constant(graph, NULL, QVK_DTYPE_F32, KIT_SHAPE(N), it->bias)) : KIT_NONE;
    const qvk__arg args[] = {KIT_V(x), KIT_V(w), KIT_V(s), KIT_I(GROUP), b};
    return kit_call(graph, op, args, per_channel ? 3 : 5, QVK_DTYPE_F32, rank, sizes + 3 - rank);
}

static int32_t add_view(fixture *it, int32_t x, int rank, const int64_t *sizes)
{
    const qvk__arg shape = {.kind = QVK__ARG_INTS, .count = (uint32_t)rank, .u.ints = sizes};
    return kit_call(&it->graph, QVK__OP_VIEW_COPY, KIT_ARGS(KIT_V(x), shape), QVK_DTYPE_F32, rank, sizes);
}

static int32_t add_binary(fixture *it, qvk__op op, int32_t a, int32_t b)
{
    const qvk__arg args[] = {KIT_V(a), KIT_V(b), KIT_I(1)};
    return kit_call(&it->graph, op, args, op == QVK__OP_ADD_TENSOR ? 3 : 2, QVK_DTYPE_F32,
                    KIT_SHAPE(1, S, N));
}

/* ---- checking ------------------------------------------------------------------------------------------- */

/* The first output. Inputs are x, then r, as far as the graph has them. */
static void run(const fixture *it, float out[S * N])
{
    qvk__engine *engine = NULL;
    qvk_error error = {0};
    qvk_value inputs[] = {kit_tensor(QVK_DTYPE_F32, KIT_SHAPE(1, S, K), (void *)(uintptr_t)it->x),
                          kit_tensor(QVK_DTYPE_F32, KIT_SHAPE(1, S, N), (void *)(uintptr_t)it->r)};
    qvk_value outputs[2];
    const uint32_t n_outputs = (uint32_t)it->graph.outputs.count;
    static float others[S * N];

    outputs[0] = kit_tensor(QVK_DTYPE_F32, KIT_SHAPE(1, S, N), out);
    outputs[1] = kit_tensor(QVK_DTYPE_F32, KIT_SHAPE(1, S, N), others);
    if (qvk__engine_create(NULL, &it->graph, NULL, &engine, &error) != QVK_OK ||
        qvk__engine_run(engine, inputs, (uint32_t)it->graph.inputs.count, outputs, n_outputs, &error) !=
            QVK_OK)
        fail_msg("%s", error.message);
    qvk__engine_destroy(&engine);
}

static size_t count(const qvk__graph *graph, qvk__op op)
{
    size_t n = 0;
    for (size_t i = 0; i < graph->nodes.count; i++)
        n += graph->nodes.data[i].op == op;
    return n;
}

/* Fuses a graph of which `nodes` operators are left, `wanted` among them. */
static void check(fixture *it, qvk__op wanted, size_t nodes)
{
    float before[S * N], after[S * N];

    run(it, before);
    assert_int_equal(qvk__fuse_graph(&it->graph, NULL), QVK_OK);
    assert_int_equal(qvk__graph_verify(&it->graph, NULL), QVK_OK);
    assert_int_equal(it->graph.nodes.count, nodes);
    assert_int_equal(count(&it->graph, wanted), 1);
    run(it, after);
    test_assert_close("fused", after, before, S * N, TEST_F32_SUM);
    end(it);
}

/* ---- residual ------------------------------------------------------------------------------------------- */

static void residual_of_all_schemes(void **state)
{
    static const qvk__op wanted[] = {QVK__OP_QVK_FUSED_LINEAR_Q4GSW, QVK__OP_QVK_FUSED_LINEAR_Q8GSW,
                                     QVK__OP_QVK_FUSED_LINEAR_Q8GSW, QVK__OP_QVK_FUSED_LINEAR_D8_Q4GSW,
                                     QVK__OP_QVK_FUSED_LINEAR_D8_Q8GSW};
    (void)state;
    for (size_t i = 0; i < QVK__COUNT(linears); i++)
        for (int first = 0; first < 2; first++) {
            fixture *it = begin(10 + i);
            const int32_t x = add_x(it), r = add_r(it);
            const int32_t y = add_linear(it, linears[i], x, 3, linears[i] != QVK__OP_PRIV_WEIGHT_INT8PACK_MM);
            kit_output(&it->graph, add_binary(it, QVK__OP_ADD_TENSOR, first ? y : r, first ? r : y));
            check(it, wanted[i], 1);
        }
}

/* As exporters leave it: rows around the linear, the whole shape around the sum. */
static void residual_through_views(void **state)
{
    (void)state;
    fixture *it = begin(20);
    const int32_t x = add_x(it), r = add_r(it);
    const int32_t rows = add_view(it, x, 2, (const int64_t[]){S, K});
    const int32_t y = add_linear(it, QVK__OP_PRIV_WEIGHT_INT8PACK_MM, rows, 2, false);
    const int32_t whole = add_view(it, y, 3, (const int64_t[]){1, S, N});
    kit_output(&it->graph, add_binary(it, QVK__OP_ADD_TENSOR, r, whole));
    check(it, QVK__OP_QVK_FUSED_LINEAR_Q8GSW, 1);
}

/* Two sums in a row: the second one has no linear of its own. */
static void one_residual_a_linear(void **state)
{
    (void)state;
    fixture *it = begin(21);
    const int32_t x = add_x(it), r = add_r(it);
    const int32_t y = add_linear(it, QVK__OP_ET_LINEAR_Q4GSW, x, 3, true);
    const int32_t sum = add_binary(it, QVK__OP_ADD_TENSOR, r, y);
    kit_output(&it->graph, add_binary(it, QVK__OP_ADD_TENSOR, sum, r));
    check(it, QVK__OP_QVK_FUSED_LINEAR_Q4GSW, 2);
}

static void shared_results_stay(void **state)
{
    (void)state;
    fixture *it = begin(22);
    const int32_t x = add_x(it), r = add_r(it);
    const int32_t y = add_linear(it, QVK__OP_ET_LINEAR_Q4GSW, x, 3, true);
    kit_output(&it->graph, add_binary(it, QVK__OP_ADD_TENSOR, r, y));
    kit_output(&it->graph, y);
    check(it, QVK__OP_ET_LINEAR_Q4GSW, 2);
}

static void broadcast_residuals_stay(void **state)
{
    (void)state;
    fixture *it = begin(23);
    const int32_t x = add_x(it);
    const int32_t r = kit_constant(&it->graph, "row", QVK_DTYPE_F32, KIT_SHAPE(1, 1, N), it->bias);
    const int32_t y = add_linear(it, QVK__OP_ET_LINEAR_Q4GSW, x, 3, false);
    kit_output(&it->graph, add_binary(it, QVK__OP_ADD_TENSOR, y, r));
    check(it, QVK__OP_ET_LINEAR_Q4GSW, 2);
}

static void factors_stay(void **state)
{
    (void)state;
    fixture *it = begin(24);
    const int32_t x = add_x(it), r = add_r(it);
    const int32_t y = add_linear(it, QVK__OP_QVK_LINEAR_Q8GSW, x, 3, false);
    const qvk__arg args[] = {KIT_V(r), KIT_V(y), KIT_I(2)};
    kit_output(&it->graph,
               kit_call(&it->graph, QVK__OP_ADD_TENSOR, args, 3, QVK_DTYPE_F32, KIT_SHAPE(1, S, N)));
    check(it, QVK__OP_QVK_LINEAR_Q8GSW, 2);
}

/* x is overwritten between the linear and the sum: the linear must not move behind that. */
static void activations_written_in_place_stay(void **state)
{
    (void)state;
    fixture *it = begin(25);
    const int32_t x = add_x(it), r = add_r(it);
    const int32_t y = add_linear(it, QVK__OP_QVK_LINEAR_Q8GSW, x, 3, false);
    const int32_t zeros = kit_call(&it->graph, QVK__OP_MUL_SCALAR, KIT_ARGS(KIT_V(x), KIT_I(0)),
                                   QVK_DTYPE_F32, KIT_SHAPE(1, S, K));
    assert_true(qvk__graph_add_node(&it->graph, QVK__OP_COPY_INPLACE, NULL,
                                    (const qvk__arg[]){KIT_V(x), KIT_V(zeros), qvk__arg_from_bool(false)}, 3,
                                    (const int32_t[]){-1}, 1) >= 0);
    kit_output(&it->graph, add_binary(it, QVK__OP_ADD_TENSOR, r, y));
    check(it, QVK__OP_QVK_LINEAR_Q8GSW, 4);
}

/* The same where x is the output of another node, which has what it gives from elsewhere. */
static void activations_defined_again_stay(void **state)
{
    (void)state;
    fixture *it = begin(26);
    const int32_t x = add_x(it), r = add_r(it);
    const int32_t y = add_linear(it, QVK__OP_QVK_LINEAR_Q8GSW, x, 3, false);
    const int32_t zeros = kit_call(&it->graph, QVK__OP_MUL_SCALAR, KIT_ARGS(KIT_V(x), KIT_I(0)),
                                   QVK_DTYPE_F32, KIT_SHAPE(1, S, K));
    assert_true(qvk__graph_add_node(&it->graph, QVK__OP_ALIAS_COPY, NULL, (const qvk__arg[]){KIT_V(zeros)}, 1,
                                    &x, 1) >= 0);
    kit_output(&it->graph, add_binary(it, QVK__OP_ADD_TENSOR, r, y));
    check(it, QVK__OP_QVK_LINEAR_Q8GSW, 4);
}

/* The linear that is the last to write a value is not the one whose result was added. */
static void results_defined_again_stay(void **state)
{
    (void)state;
    fixture *it = begin(27);
    const int32_t x = add_x(it), r = add_r(it);
    const int32_t y = add_linear(it, QVK__OP_QVK_LINEAR_Q8GSW, x, 3, false);
    const int32_t sum = add_binary(it, QVK__OP_ADD_TENSOR, r, y);
    const int32_t other = add_linear(it, QVK__OP_ET_LINEAR_Q4GSW, x, 3, false);
    qvk__node *last = &it->graph.nodes.data[it->graph.nodes.count - 1];
    assert_int_equal(last->outs[0], other);
    last->outs[0] = y;
    kit_output(&it->graph, sum);
    check(it, QVK__OP_QVK_LINEAR_Q8GSW, 3);
}

/* ---- gate ----------------------------------------------------------------------------------------------- */

/* How exporters write silu(y): as it is, y sigmoid(y), sigmoid(y) y. */
typedef enum silu_form { AS_SILU, AS_PRODUCT, AS_TURNED_PRODUCT, SILU_FORMS } silu_form;

static int32_t add_silu(fixture *it, int32_t y, silu_form form, qvk_dtype dtype)
{
    qvk__graph *graph = &it->graph;

    if (form == AS_SILU)
        return kit_call(graph, QVK__OP_SILU, KIT_ARGS(KIT_V(y)), dtype, KIT_SHAPE(1, S, N));
    const int32_t sigmoid = kit_call(graph, QVK__OP_SIGMOID, KIT_ARGS(KIT_V(y)), dtype, KIT_SHAPE(1, S, N));
    const qvk__arg args[] = {KIT_V(form == AS_PRODUCT ? y : sigmoid),
                             KIT_V(form == AS_PRODUCT ? sigmoid : y)};
    return kit_call(graph, QVK__OP_MUL_TENSOR, args, 2, dtype, KIT_SHAPE(1, S, N));
}

static void gate_of_all_schemes(void **state)
{
    static const qvk__op wanted[] = {QVK__OP_QVK_FUSED_LINEAR_Q4GSW, QVK__OP_QVK_FUSED_LINEAR_Q8GSW,
                                     QVK__OP_QVK_FUSED_LINEAR_Q8GSW, QVK__OP_QVK_FUSED_LINEAR_D8_Q4GSW,
                                     QVK__OP_QVK_FUSED_LINEAR_D8_Q8GSW};
    (void)state;
    for (size_t i = 0; i < QVK__COUNT(linears); i++)
        for (silu_form form = AS_SILU; form < SILU_FORMS; form++) {
            const bool bias = linears[i] != QVK__OP_PRIV_WEIGHT_INT8PACK_MM;
            fixture *it = begin(30 + i);
            const int32_t x = add_x(it);
            const int32_t gate = add_silu(it, add_linear(it, linears[i], x, 3, bias), form, QVK_DTYPE_F32);
            const int32_t up = add_linear(it, linears[i], x, 3, bias && form == AS_SILU);
            const bool turned = form == AS_PRODUCT;
            kit_output(&it->graph,
                       add_binary(it, QVK__OP_MUL_TENSOR, turned ? up : gate, turned ? gate : up));
            check(it, wanted[i], 1);
        }
}

/* Each linear has reshapes of its own around it, of the same activations. */
static void gate_through_views(void **state)
{
    int32_t y[2];
    (void)state;
    fixture *it = begin(40);
    const int32_t x = add_x(it);
    for (int i = 0; i < 2; i++) {
        const int64_t dims[] = {0};
        const qvk__arg squeezed = {.kind = QVK__ARG_INTS, .count = 1, .u.ints = dims};
        const int32_t rows = kit_call(&it->graph, QVK__OP_SQUEEZE_COPY_DIMS, KIT_ARGS(KIT_V(x), squeezed),
                                      QVK_DTYPE_F32, KIT_SHAPE(S, K));
        const int32_t linear = add_linear(it, QVK__OP_QVK_LINEAR_Q8GSW, rows, 2, false);
        y[i] = add_view(it, linear, 3, (const int64_t[]){1, S, N});
    }
    const int32_t gate = add_silu(it, y[0], AS_PRODUCT, QVK_DTYPE_F32);
    kit_output(&it->graph, add_binary(it, QVK__OP_MUL_TENSOR, gate, y[1]));
    check(it, QVK__OP_QVK_FUSED_LINEAR_Q8GSW, 1);
}

static int32_t add_cast(fixture *it, int32_t x, qvk_dtype dtype, int64_t last)
{
    const qvk__arg args[] = {KIT_V(x), KIT_I(dtype == QVK_DTYPE_F16 ? 5 : 6),
                             KIT_NONE, KIT_NONE,
                             KIT_NONE, qvk__arg_from_bool(false),
                             KIT_NONE};
    return kit_call(&it->graph, QVK__OP_PRIV_TO_COPY, args, 7, dtype, KIT_SHAPE(1, S, last));
}

/* As exporters decompose the silu of float16. */
static void gate_of_halves(void **state)
{
    static float before[S * N], after[S * N];
    static const test_tolerance halves = {"once rounded to fp16, not four times", 2e-3, 2e-3};
    (void)state;
    fixture *it = begin(41);
    const int32_t x = add_cast(it, add_x(it), QVK_DTYPE_F16, K);
    int32_t y[2];
    for (int i = 0; i < 2; i++) {
        y[i] = add_linear(it, QVK__OP_ET_LINEAR_Q4GSW, x, 3, false);
        it->graph.values.data[y[i]].desc.dtype = QVK_DTYPE_F16;
    }
    const int32_t wide = add_cast(it, y[0], QVK_DTYPE_F32, N);
    const int32_t gate = add_cast(it, add_silu(it, wide, AS_PRODUCT, QVK_DTYPE_F32), QVK_DTYPE_F16, N);
    const int32_t product = add_binary(it, QVK__OP_MUL_TENSOR, gate, y[1]);
    it->graph.values.data[product].desc.dtype = QVK_DTYPE_F16;
    kit_output(&it->graph, add_cast(it, product, QVK_DTYPE_F32, N));
    run(it, before);
    assert_int_equal(qvk__fuse_graph(&it->graph, NULL), QVK_OK);
    assert_int_equal(qvk__graph_verify(&it->graph, NULL), QVK_OK);
    assert_int_equal(it->graph.nodes.count, 3);
    assert_int_equal(count(&it->graph, QVK__OP_QVK_FUSED_LINEAR_Q4GSW), 1);
    run(it, after);
    test_assert_close("fused", after, before, S * N, halves);
    end(it);
}

/* What a gate needs and one thing each that is missing: three or four operators stay as they are. */
static void gates_that_stay(void **state)
{
    enum { OTHER_X, OTHER_SCHEME, SHARED_GATE, SHARED_UP, ANOTHER_FUNCTION, CASES };
    (void)state;
    for (int missing = 0; missing < CASES; missing++) {
        fixture *it = begin(50);
        const int32_t x = add_x(it);
        const qvk__op op = QVK__OP_QVK_LINEAR_Q8GSW, other = QVK__OP_QVK_LINEAR_D8_Q8GSW;
        const int32_t up_x = missing == OTHER_X ? kit_call(&it->graph, QVK__OP_NEG, KIT_ARGS(KIT_V(x)),
                                                           QVK_DTYPE_F32, KIT_SHAPE(1, S, K))
                                                : x;
        const int32_t y = add_linear(it, op, x, 3, false);
        const int32_t up = add_linear(it, missing == OTHER_SCHEME ? other : op, up_x, 3, false);
        const int32_t gate =
            missing == ANOTHER_FUNCTION
                ? kit_call(&it->graph, QVK__OP_SIGMOID, KIT_ARGS(KIT_V(y)), QVK_DTYPE_F32, KIT_SHAPE(1, S, N))
                : add_silu(it, y, AS_SILU, QVK_DTYPE_F32);
        kit_output(&it->graph, add_binary(it, QVK__OP_MUL_TENSOR, gate, up));
        if (missing == SHARED_GATE || missing == SHARED_UP)
            kit_output(&it->graph, missing == SHARED_GATE ? y : up);
        check(it, QVK__OP_MUL_TENSOR, missing == OTHER_X ? 5 : 4);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(residual_of_all_schemes),
        cmocka_unit_test(residual_through_views),
        cmocka_unit_test(one_residual_a_linear),
        cmocka_unit_test(shared_results_stay),
        cmocka_unit_test(broadcast_residuals_stay),
        cmocka_unit_test(factors_stay),
        cmocka_unit_test(activations_written_in_place_stay),
        cmocka_unit_test(activations_defined_again_stay),
        cmocka_unit_test(results_defined_again_stay),
        cmocka_unit_test(gate_of_all_schemes),
        cmocka_unit_test(gate_through_views),
        cmocka_unit_test(gate_of_halves),
        cmocka_unit_test(gates_that_stay),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
