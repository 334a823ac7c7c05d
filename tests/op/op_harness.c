#include "op_harness.h"

#include <stdio.h>

#include "core/dtype.h"
#include "kernels/kernels.h"
#include "op_device.h"
#include "reference/reference.h"

/* Names of a plan's kernels. */
#define OP_KERNELS_MAX 512

struct op_harness {
    op_device *device;
    qvk__arena arena;
    char kernels[OP_KERNELS_MAX];
};

static qvk_error test_err;

static void must(qvk_status status, const char *what)
{
    if (status != QVK_OK)
        fail_msg("%s: %s: %s", what, qvk_status_name(status), test_err.message);
}

op_harness *op_harness_open(void)
{
    op_harness *harness = calloc(1, sizeof *harness);

    assert_non_null(harness);
    harness->device = op_device_open();
    return harness;
}

void op_harness_close(op_harness **harness)
{
    op_device_close(&(*harness)->device);
    qvk__arena_free(&(*harness)->arena);
    free(*harness);
    *harness = NULL;
}

int op_harness_setup(void **state)
{
    *state = op_harness_open();
    return 0;
}

int op_harness_teardown(void **state)
{
    op_harness_close((op_harness **)state);
    return 0;
}

void op_harness_reset(op_harness *harness)
{
    qvk__arena_free(&harness->arena);
}

op_device *op_harness_device(op_harness *harness)
{
    return harness->device;
}

const qvk__gpu_caps *op_harness_caps(const op_harness *harness)
{
    return qvk__gpu_caps_of(op_device_gpu(harness->device));
}

const char *op_harness_kernels(const op_harness *harness)
{
    return harness->kernels;
}

/* ---- building a call ------------------------------------------------------------------------------------ */

op_call op_call_begin(op_harness *harness, qvk__op op)
{
    return (op_call){.harness = harness, .op = op};
}

void op_arg(op_call *call, qvk__arg arg)
{
    assert_true(call->n_args < OP_MAX_ARGS);
    call->args[call->n_args++] = arg;
}

void op_arg_none(op_call *call)
{
    op_arg(call, (qvk__arg){0});
}

void op_arg_string(op_call *call, const char *text)
{
    op_arg(call, (qvk__arg){.kind = QVK__ARG_STRING, .u.s = text});
}

void op_arg_ints(op_call *call, const int64_t *values, int n)
{
    const int64_t *copy = qvk__arena_memdup(&call->harness->arena, values, (size_t)n * sizeof *values);

    op_arg(call, (qvk__arg){.kind = QVK__ARG_INTS, .count = (uint32_t)n, .u.ints = copy});
}

void op_arg_symbol(op_call *call, int64_t value)
{
    call->symbols |= 1u << call->n_args;
    op_arg(call, qvk__arg_from_int(value));
}

void op_arg_gather(op_call *call, int n)
{
    qvk__arg *items =
        qvk__arena_memdup(&call->harness->arena, &call->args[call->n_args - n], (size_t)n * sizeof *items);

    call->n_args -= n;
    op_arg(call, (qvk__arg){.kind = QVK__ARG_LIST, .count = (uint32_t)n, .u.list = items});
}

void op_call_ignore_output(op_call *call, int index)
{
    call->unread |= 1u << index;
}

qvk_tensor *op_arg_random(op_call *call, test_rng *rng, qvk_dtype dtype, const int64_t *sizes, int64_t low,
                          int64_t high)
{
    qvk_tensor *tensor = qvk__arena_alloc(&call->harness->arena, 1, sizeof *tensor);

    tensor->dtype = dtype;
    while (sizes[tensor->rank] >= 0) {
        tensor->sizes[tensor->rank] = sizes[tensor->rank];
        tensor->rank++;
    }
    tensor->data = qvk__arena_alloc(&call->harness->arena, qvk_tensor_bytes(tensor) + 1, 1);
    for (int64_t i = 0; i < qvk_tensor_numel(tensor); i++) {
        if (qvk__dtype_is_float(dtype))
            qvk__reference_set(tensor, i, (double)test_rng_normal(rng));
        else
            qvk__reference_set_int(tensor, i, test_rng_range(rng, low, high));
    }
    op_arg(call, (qvk__arg){.kind = QVK__ARG_TENSOR, .u.tensor = tensor});
    return tensor;
}

qvk_tensor *op_arg_constant(op_call *call, test_rng *rng, qvk_dtype dtype, const int64_t *sizes, int64_t low,
                            int64_t high)
{
    call->constants |= 1u << call->n_args;
    return op_arg_random(call, rng, dtype, sizes, low, high);
}

/* ---- the graph of one node ------------------------------------------------------------------------------ */

/* Turns a resolved argument into one over values of the graph; `tensors` gets the host tensor of every value.
 */
static qvk__arg into_graph(op_call *call, qvk__graph *graph, const qvk__arg *arg, bool constant, bool symbol,
                           op_values *values)
{
    qvk__arena *arena = &call->harness->arena;

    if (arg->kind == QVK__ARG_LIST) {
        qvk__arg *items = qvk__arena_alloc(arena, arg->count, sizeof *items);
        for (uint32_t i = 0; i < arg->count; i++)
            items[i] = into_graph(call, graph, &arg->u.list[i], constant, false, values);
        return (qvk__arg){.kind = QVK__ARG_LIST, .count = arg->count, .u.list = items};
    }
    if (arg->kind != QVK__ARG_TENSOR && !symbol)
        return *arg;
    assert_true(values->n < OP_MAX_VALUES);
    if (symbol) {
        const int32_t id = qvk__graph_add_value(graph, NULL, NULL);
        values->symbols[id] = arg->u.i;
        values->n = id + 1;
        return qvk__arg_from_value(id);
    }
    const int32_t id = qvk__graph_add_value(graph, NULL, arg->u.tensor);
    if (constant) {
        qvk__constant *bytes = qvk__arena_alloc(arena, 1, sizeof *bytes);
        bytes->data = arg->u.tensor->data;
        bytes->bytes = qvk_tensor_bytes(arg->u.tensor);
        graph->values.data[id].constant = bytes;
    }
    values->tensors[id] = *arg->u.tensor;
    values->n = id + 1;
    return qvk__arg_from_value(id);
}

static qvk_tensor copy_tensor(qvk__arena *arena, const qvk_tensor *from)
{
    qvk_tensor copy = *from;

    copy.data = qvk__arena_alloc(arena, qvk_tensor_bytes(from) + 1, 1);
    if (from->data)
        memcpy(copy.data, from->data, qvk_tensor_bytes(from));
    return copy;
}

int op_call_into_graph(op_call *call, qvk__graph *graph, op_values *values, int32_t *first)
{
    qvk__arg args[OP_MAX_ARGS];
    qvk_tensor outs[OP_MAX_VALUES] = {0};
    int32_t ids[OP_MAX_VALUES];
    int n_outs;

    must(qvk__op_count_outputs(call->op, call->args, call->n_args, &n_outs, &test_err), "count_outputs");
    must(qvk__op_infer(call->op, call->args, call->n_args, outs, n_outs, &test_err), "infer");
    for (int i = 0; i < call->n_args; i++)
        args[i] =
            into_graph(call, graph, &call->args[i], call->constants >> i & 1, call->symbols >> i & 1, values);
    *first = values->n;
    for (int i = 0; i < n_outs; i++) {
        ids[i] = qvk__graph_add_value(graph, NULL, &outs[i]);
        values->tensors[ids[i]] = copy_tensor(&call->harness->arena, &outs[i]);
        values->n = ids[i] + 1;
    }
    assert_true(qvk__graph_add_node(graph, call->op, "call", args, call->n_args, ids, n_outs) >= 0);
    return n_outs;
}

/* ---- comparing ------------------------------------------------------------------------------------------ */

static void compare_ints(const char *what, const qvk_tensor *actual, const qvk_tensor *expected)
{
    for (int64_t i = 0; i < qvk_tensor_numel(expected); i++) {
        const int64_t a = qvk__reference_get_int(actual, i), e = qvk__reference_get_int(expected, i);
        if (a != e)
            fail_msg("%s: element %lld is %lld, expected %lld", what, (long long)i, (long long)a,
                     (long long)e);
    }
}

void op_call_compare(op_call *call, const char *what, const char *role, int32_t id, const qvk_tensor *actual,
                     const qvk_tensor *expected, test_tolerance tolerance)
{
    const int64_t n = qvk_tensor_numel(expected);
    float *a = qvk__arena_alloc(&call->harness->arena, (uint64_t)n + 1, sizeof *a);
    float *e = qvk__arena_alloc(&call->harness->arena, (uint64_t)n + 1, sizeof *e);
    char name[1024];

    snprintf(name, sizeof name, "%s: %s %d of %s [%s]", what, role, id, qvk__op_name(call->op),
             call->harness->kernels);
    if (!qvk__dtype_is_float(expected->dtype)) {
        compare_ints(name, actual, expected);
        return;
    }
    for (int64_t i = 0; i < n; i++) {
        a[i] = (float)qvk__reference_get(actual, i);
        e[i] = (float)qvk__reference_get(expected, i);
    }
    test_assert_close(name, a, e, (size_t)n, tolerance);
}

/* Runs the reference in place: outputs and written arguments of `values` become what is expected. */
static void run_reference(op_call *call, op_values *values, int32_t first_out, int n_outs)
{
    must(qvk__reference_run(call->op, call->args, call->n_args, &values->tensors[first_out], n_outs,
                            &test_err),
         "reference");
}

#define OP_FAMILIES  8 /* of linears: op_call.families */
#define OP_MAX_PLANS (OP_FAMILIES * OP_DEVICE_VIEWS)

/* A call under check: its graph, what goes in, and the kernels of the plans so far. */
typedef struct checked_call {
    op_call *call;
    qvk__graph graph;
    op_values values;
    int32_t first;
    int n_outs, n_seen;
    char seen[OP_MAX_PLANS][OP_KERNELS_MAX];
} checked_call;

/* Remembers the kernels of a plan; true when an earlier one had the same. */
static bool was_seen(checked_call *it)
{
    const char *kernels = it->call->harness->kernels;

    for (int i = 0; i < it->n_seen; i++)
        if (strcmp(it->seen[i], kernels) == 0)
            return true;
    snprintf(it->seen[it->n_seen++], OP_KERNELS_MAX, "%s", kernels);
    return false;
}

static void check_plan(checked_call *it, const op_device_plan *plan, const char *what,
                       test_tolerance tolerance)
{
    op_call *call = it->call;
    op_values *values = &it->values, device = {.n = it->values.n};
    qvk__arena *arena = &call->harness->arena;

    for (int i = 0; i < values->n; i++)
        device.tensors[i] = copy_tensor(arena, &values->tensors[i]);
    op_device_run(call->harness->device, &it->graph, plan, &device, what);
    /* The reference writes through its arguments, whose data `values` shares: once, after the device read
     * them. */
    qvk_tensor *kept = qvk__arena_alloc(arena, (uint64_t)values->n, sizeof *kept);
    for (int i = 0; i < values->n; i++)
        kept[i] = copy_tensor(arena, &values->tensors[i]);
    run_reference(call, values, it->first, it->n_outs);
    for (int i = 0; i < values->n; i++)
        if (it->graph.values.data[i].kind == QVK__VALUE_TENSOR && !it->graph.values.data[i].constant &&
            !(i >= it->first && call->unread >> (i - it->first) & 1))
            op_call_compare(call, what, i < it->first ? "argument" : "output",
                            i < it->first ? i : i - it->first, &device.tensors[i], &values->tensors[i],
                            i < it->first ? TEST_EXACT : tolerance);
    for (int i = 0; i < values->n; i++)
        if (kept[i].rank >= 0 && qvk_tensor_bytes(&kept[i]) > 0)
            memcpy(values->tensors[i].data, kept[i].data, qvk_tensor_bytes(&kept[i]));
}

void op_call_check(op_call *call, const char *what, test_tolerance tolerance)
{
    checked_call it = {.call = call};
    op_device *device = call->harness->device;

    qvk__graph_init(&it.graph);
    it.n_outs = op_call_into_graph(call, &it.graph, &it.values, &it.first);
    for (int family = 0; family < OP_FAMILIES; family++)
        for (op_device_view view = OP_DEVICE_AS_IT_IS; view < OP_DEVICE_VIEWS; view++) {
            const qvk__linear_tuning tuning = {.family = family, .coopmat = call->tile};
            op_device_plan plan;
            if (family > 0 ? !(call->families >> family & 1) : call->tile.warps_m > 0)
                continue;
            must(op_device_plan_call(device, &it.graph, &it.values, view, family ? &tuning : NULL, &plan,
                                     &test_err),
                 what);
            op_device_plan_names(&plan, call->harness->kernels, sizeof call->harness->kernels);
            if (!was_seen(&it))
                check_plan(&it, &plan, what, tolerance);
            op_device_plan_free(device, &plan);
        }
    qvk__graph_finish(&it.graph);
}

void op_call_check_fallback(op_call *call, const char *what)
{
    op_values values = {0};
    op_device_plan plan;
    qvk__graph graph;
    int32_t first;

    qvk__graph_init(&graph);
    op_call_into_graph(call, &graph, &values, &first);
    const qvk_status status = op_device_plan_call(call->harness->device, &graph, &values, OP_DEVICE_AS_IT_IS,
                                                  NULL, &plan, &test_err);
    if (status != QVK_UNSUPPORTED)
        fail_msg("%s: planned with status %s, expected UNSUPPORTED", what, qvk_status_name(status));
    qvk__graph_finish(&graph);
}
