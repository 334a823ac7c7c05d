#include "op_sequence.h"

#include <stdio.h>

#include "reference/reference.h"
#include "runtime/engine.h"

#define MAX_OUTS 8

static qvk_error sequence_err;

static void must(qvk_status status, const char *what)
{
    if (status != QVK_OK)
        fail_msg("%s: %s: %s", what, qvk_status_name(status), sequence_err.message);
}

/* ---- the engine ----------------------------------------------------------------------------------------- */

static qvk__engine *load(op_harness *harness, op_call *call, const char *what)
{
    op_values values = {0};
    qvk__engine *engine = NULL;
    qvk__graph graph;
    int32_t first;

    qvk__graph_init(&graph);
    const int n_outs = op_call_into_graph(call, &graph, &values, &first);
    for (int32_t i = 0; i < first; i++)
        assert_true(QVK__VEC_PUSH(&graph.inputs, i));
    for (int32_t i = first; i < first + n_outs; i++)
        assert_true(QVK__VEC_PUSH(&graph.outputs, i));
    must(qvk__engine_create(op_device_gpu(op_harness_device(harness)), &graph, NULL, &engine, &sequence_err),
         what);
    qvk__graph_finish(&graph);
    if (engine->info.n_cpu_steps != 0)
        fail_msg("%s: %s", what, engine->cpu_reasons.data);
    return engine;
}

/* Tensors and symbols of an argument, in the order op_call_into_graph makes values of them. */
static uint32_t append_inputs(const qvk__arg *arg, bool symbol, qvk_value *out)
{
    uint32_t n = 0;

    if (arg->kind == QVK__ARG_TENSOR) {
        out[n++] = (qvk_value){.kind = QVK_VALUE_TENSOR, .tensor = *arg->u.tensor};
    } else if (arg->kind == QVK__ARG_LIST) {
        for (uint32_t i = 0; i < arg->count; i++)
            n += append_inputs(&arg->u.list[i], false, out + n);
    } else if (symbol) {
        out[n++] = (qvk_value){.kind = QVK_VALUE_INT, .i = arg->u.i};
    }
    return n;
}

/* ---- one step ------------------------------------------------------------------------------------------- */

static void run_reference(op_call *call, qvk_tensor *outs, int n_outs)
{
    memset(outs, 0, (size_t)n_outs * sizeof *outs);
    must(qvk__op_infer(call->op, call->args, call->n_args, outs, n_outs, &sequence_err), "infer");
    for (int i = 0; i < n_outs; i++) {
        outs[i].data = calloc(qvk_tensor_bytes(&outs[i]) + 1, 1);
        assert_non_null(outs[i].data);
    }
    must(qvk__reference_run(call->op, call->args, call->n_args, outs, n_outs, &sequence_err), "reference");
}

static void run_step(qvk__engine *engine, op_call *call, const char *what, test_tolerance tolerance)
{
    qvk_value inputs[OP_MAX_VALUES], outputs[MAX_OUTS] = {0};
    qvk_tensor expected[MAX_OUTS];
    uint32_t n_inputs = 0;
    int n_outs;

    must(qvk__op_count_outputs(call->op, call->args, call->n_args, &n_outs, &sequence_err), "count_outputs");
    assert_true(n_outs <= MAX_OUTS);
    for (int i = 0; i < call->n_args; i++)
        n_inputs += append_inputs(&call->args[i], call->symbols >> i & 1, inputs + n_inputs);
    must(qvk__engine_run(engine, inputs, n_inputs, outputs, (uint32_t)n_outs, &sequence_err), what);
    run_reference(call, expected, n_outs);
    for (int i = 0; i < n_outs; i++) {
        assert_int_equal(outputs[i].tensor.rank, expected[i].rank);
        assert_memory_equal(outputs[i].tensor.sizes, expected[i].sizes,
                            (size_t)expected[i].rank * sizeof expected[i].sizes[0]);
        op_call_compare(call, what, "output", i, &outputs[i].tensor, &expected[i], tolerance);
        free(expected[i].data);
    }
}

void op_sequence_check(op_harness *harness, op_step make, int n_steps, const char *what,
                       test_tolerance tolerance)
{
    test_rng rng = test_rng_seed(77);
    op_call bound = make(harness, &rng, 0);
    qvk__engine *engine = load(harness, &bound, what);
    char name[256];

    for (int i = 0; i < 2 * n_steps + 3; i++) {
        const int step = i < n_steps ? i : i < n_steps + 3 ? n_steps - 1 : 2 * n_steps + 2 - i;
        op_call call = make(harness, &rng, step);
        snprintf(name, sizeof name, "%s, step %d, run %d", what, step, i);
        run_step(engine, &call, name, tolerance);
    }
    qvk__engine_destroy(&engine);
    op_harness_reset(harness);
}
