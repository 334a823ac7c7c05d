/* Quantized linears that normalize their activations, in every family of kernels that a device takes. */
#include <math.h>
#include <stdio.h>

#include "core/dtype.h"
#include "core/semantics.h"
#include "kernels/linear_choice.h"
#include "linear_cases.h"
#include "reference/reference.h"

/* Float32 sums stored as fp16, of activations in fp16 that may be rounded to either side. */
static const test_tolerance HALF_SUM = {"float32 sums stored as fp16", 2e-3, 1e-3};
/* An activation that lies on the edge between two codes may take either. */
static const test_tolerance ONE_STEP = {"int8 activations, one step", 1e-2, 1e-2};

static const uint32_t families = 1u << QVK__LINEAR_BASE | 1u << QVK__LINEAR_MV | 1u << QVK__LINEAR_TILE |
                                 1u << QVK__LINEAR_COOPMAT | 1u << QVK__LINEAR_LANES | 1u << QVK__LINEAR_ROW;

typedef struct normed_case {
    int64_t m, n, k, group; /* group 0: per channel */
    qvk_dtype x, weight;    /* of the norm; NONE: it has none */
    qvk__rms_rounding rounding;
    bool residual;
} normed_case;

#define F32  QVK_DTYPE_F32
#define F16  QVK_DTYPE_F16
#define NONE QVK_DTYPE_NONE

static const normed_case cases[] = {
    {1, 72, 256, 32, F32, F32, QVK__RMS_ROUND_RESULT, false},
    {1, 40, 2048, 64, F32, F16, QVK__RMS_ROUND_RESULT, true},
    {1, 17, 5120, 0, F16, F16, QVK__RMS_ROUND_NORMALIZED, false},
    {1, 41, 1024, 128, F16, F16, QVK__RMS_ROUND_STEPS, true},
    {1, 24, 512, 0, F16, F32, QVK__RMS_ROUND_RESULT, false},
    {1, 24, 512, 32, F32, NONE, QVK__RMS_ROUND_RESULT, false},
    {1, 9, 24576, 128, F16, F16, QVK__RMS_ROUND_RESULT, false}, /* K beyond shared memory */
    {1, 37, 70, 35, F16, F16, QVK__RMS_ROUND_RESULT, true},     /* ragged K */
    {1, 36, 100, 0, F32, F32, QVK__RMS_ROUND_RESULT, false},
    {2, 40, 128, 64, F16, F16, QVK__RMS_ROUND_NORMALIZED, false},
    {5, 65, 48, 24, F32, F32, QVK__RMS_ROUND_RESULT, true},
    {5, 70, 100, 32, F16, NONE, QVK__RMS_ROUND_STEPS, false}, /* a short last group */
    {37, 20, 63, 0, F32, F16, QVK__RMS_ROUND_RESULT, false},
    {37, 68, 64, 32, F16, F16, QVK__RMS_ROUND_STEPS, false},
};

static void add_weights(op_call *call, test_rng *rng, const normed_case *c, int bits)
{
    const linear_case plain = {c->m, c->n, c->k, c->group, c->x, true};

    linear_add_weights(call, rng, &plain, bits);
    linear_add_scales(call, rng, &plain, bits);
}

/* Everything after the weights. Where columns are whole panels the linear is a gate. */
static void add_rest(op_call *call, test_rng *rng, const normed_case *c, int bits)
{
    op_arg_constant(call, rng, c->x, OP_SHAPE(c->n), 0, 0);
    if (c->residual)
        op_arg_random(call, rng, c->x, OP_SHAPE(c->m, c->n), 0, 0);
    else
        op_arg_none(call);
    if (c->weight != NONE)
        op_arg_constant(call, rng, c->weight, OP_SHAPE(c->k), 0, 0);
    else
        op_arg_none(call);
    op_arg(call, qvk__arg_from_float(1e-5));
    op_arg(call, qvk__arg_from_int(c->rounding));
    if (c->n % 8 == 0)
        add_weights(call, rng, c, bits);
    else
        for (int up = 0; up < 2; up++)
            op_arg_none(call);
    op_arg_none(call); /* its bias */
}

static test_tolerance tolerance_of(const normed_case *c, const linear_scheme *s)
{
    return s->is_int8 ? ONE_STEP : c->x == F16 ? HALF_SUM : LINEAR_FLOAT_SUM;
}

/* `change` makes x what the case is about. */
static void check(void *state, test_rng *rng, const normed_case *c, const linear_scheme *s,
                  void (*change)(qvk_tensor *x), const char *name)
{
    op_call call = op_call_begin(state, s->op);
    qvk_tensor *x = op_arg_random(&call, rng, c->x, OP_SHAPE(c->m, c->k), 0, 0);
    char what[160];

    change(x);
    add_weights(&call, rng, c, s->bits);
    op_arg(&call, qvk__arg_from_int(c->group ? c->group : c->k));
    add_rest(&call, rng, c, s->bits);
    call.families = families;
    snprintf(what, sizeof what, "%s, %d bits%s, M=%d N=%d K=%d group %d %s, weight %s, rounding %d", name,
             s->bits, s->is_int8 ? ", int8" : "", (int)c->m, (int)c->n, (int)c->k, (int)c->group,
             qvk_dtype_name(c->x), qvk_dtype_name(c->weight), (int)c->rounding);
    op_call_check(&call, what, tolerance_of(c, s));
    op_harness_reset(state);
}

/* A size that is not the norm's result's, and a row of zeros where there are several. */
static void leave(qvk_tensor *x)
{
    const int64_t k = x->sizes[1];

    for (int64_t i = 0; i < qvk_tensor_numel(x); i++)
        qvk__reference_set(x, i, i / k == 1 ? 0.0 : 7.0 * qvk__reference_get(x, i));
}

static void normalized(void **state)
{
    test_rng rng = test_rng_seed(41);

    for (size_t i = 0; i < QVK__COUNT(cases); i++)
        for (size_t s = 0; s < LINEAR_SCHEMES; s++)
            check(*state, &rng, &cases[i], &linear_fused_schemes[s], leave, "normalized");
}

static void put_nan(qvk_tensor *x)
{
    qvk__reference_set(x, 5, NAN);
}

static void put_infinity(qvk_tensor *x)
{
    qvk__reference_set(x, 5, INFINITY);
}

static void put_zeros(qvk_tensor *x)
{
    for (int64_t i = 0; i < qvk_tensor_numel(x); i++)
        qvk__reference_set(x, i, 0.0);
}

/* Rows that are not finite, as norms and linears apart have it; the others are as ever. */
static void extremes(void **state)
{
    static const normed_case some[] = {
        {1, 43, 192, 64, F16, F16, QVK__RMS_ROUND_NORMALIZED, false},
        {1, 43, 192, 64, F32, F32, QVK__RMS_ROUND_RESULT, false},
        {3, 19, 64, 0, F16, F32, QVK__RMS_ROUND_RESULT, false},
    };
    test_rng rng = test_rng_seed(42);

    for (size_t i = 0; i < QVK__COUNT(some); i++)
        for (size_t s = 0; s < LINEAR_SCHEMES; s++) {
            check(*state, &rng, &some[i], &linear_fused_schemes[s], put_nan, "NaN");
            check(*state, &rng, &some[i], &linear_fused_schemes[s], put_infinity, "infinity");
            check(*state, &rng, &some[i], &linear_fused_schemes[s], put_zeros, "zeros");
        }
}

/* Kernels for a GPU, "a b c". */
static void kernels_of(void *state, test_rng *rng, const normed_case *c, const linear_scheme *s,
                       char out[256])
{
    op_call call = op_call_begin(state, s->op);
    op_values values = {0};
    op_device_plan plan;
    qvk_error err;
    qvk__graph graph;
    int32_t first;

    op_arg_random(&call, rng, c->x, OP_SHAPE(c->m, c->k), 0, 0);
    add_weights(&call, rng, c, s->bits);
    op_arg(&call, qvk__arg_from_int(c->group ? c->group : c->k));
    add_rest(&call, rng, c, s->bits);
    qvk__graph_init(&graph);
    op_call_into_graph(&call, &graph, &values, &first);
    assert_int_equal(
        op_device_plan_call(op_harness_device(state), &graph, &values, OP_DEVICE_AS_GPU, 0, &plan, &err),
        QVK_OK);
    op_device_plan_names(&plan, out, 256);
    op_device_plan_free(op_harness_device(state), &plan);
    qvk__graph_finish(&graph);
    op_harness_reset(state);
}

/* One row of whole chunks takes one kernel, which normalizes; what is quantized row by row, no more than
 * without a norm. */
static void norms_take_no_dispatch_of_their_own(void **state)
{
    static const normed_case row = {1, 64, 256, 32, F16, F16, QVK__RMS_ROUND_NORMALIZED, false};
    static const normed_case rows = {9, 64, 256, 32, F16, F16, QVK__RMS_ROUND_NORMALIZED, false};
    const uint32_t needed = QVK__CAP_DOT8 | QVK__CAP_SUBGROUP_SHUFFLE;
    const qvk__gpu_caps *caps = qvk__gpu_caps_of(op_device_gpu(op_harness_device(*state)));
    const bool has_rows = (caps->flags & needed) == needed && caps->subgroup_size >= 8;
    test_rng rng = test_rng_seed(43);
    char names[256];

    for (size_t s = 0; s < LINEAR_SCHEMES; s++) {
        kernels_of(*state, &rng, &row, &linear_fused_schemes[s], names);
        if (has_rows && (strchr(names, ' ') || !strstr(names, "_row")))
            fail_msg("one row: %s", names);
        kernels_of(*state, &rng, &rows, &linear_fused_schemes[s], names);
        assert_true((strstr(names, "norm_rows") != NULL) == !linear_fused_schemes[s].is_int8);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(normalized),
        cmocka_unit_test(extremes),
        cmocka_unit_test(norms_take_no_dispatch_of_their_own),
    };
    return cmocka_run_group_tests(tests, op_harness_setup, op_harness_teardown);
}
