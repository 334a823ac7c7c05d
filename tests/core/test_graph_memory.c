/* Building, copying and resolving graphs when memory runs out, at each allocation in turn. */
#include <stdio.h>

#include "core/graph.h"
#include "support/support.h"

static bool build(qvk__graph *graph)
{
    const int64_t ints[] = {1, 2};
    const qvk__arg items[] = {qvk__arg_from_value(0), {.kind = QVK__ARG_INTS, .count = 2, .u.ints = ints}};
    const qvk__arg args[] = {
        {.kind = QVK__ARG_LIST, .count = 2, .u.list = items},
        {.kind = QVK__ARG_STRING, .u.s = "text"},
    };
    const qvk_tensor desc = {.dtype = QVK_DTYPE_F32, .rank = 1, .sizes = {4}};

    for (int i = 0; i < 40; i++) {
        char name[700]; /* long, so that the arena takes several blocks */
        snprintf(name, sizeof name, "%0600d", i);
        const int32_t value = qvk__graph_add_value(graph, name, &desc);
        if (value < 0 || qvk__graph_add_node(graph, QVK__OP_NONE, name, args, 2, &value, 1) < 0 ||
            !QVK__VEC_PUSH(&graph->outputs, value))
            return false;
    }
    return true;
}

static void building_reports_each_failure(void **state)
{
    (void)state;
    for (long n = 0, refused = 1; refused > 0; n++) {
        qvk__graph graph;

        qvk__graph_init(&graph);
        test_memory_grant(n);
        const bool built = build(&graph);
        refused = test_memory_grant_all();
        assert_int_equal(built, refused == 0);
        /* Half-built, it can still be looked at and released. */
        assert_true(graph.nodes.count <= graph.values.count);
        qvk__graph_finish(&graph);
    }
}

static void verifying_and_printing_report_the_failure(void **state)
{
    qvk__string text = {0};
    qvk__graph graph;
    qvk_error err;

    (void)state;
    qvk__graph_init(&graph);
    assert_true(build(&graph));
    test_memory_grant(0);
    assert_int_equal(qvk__graph_verify(&graph, &err), QVK_OUT_OF_MEMORY);
    qvk__graph_print(&graph, &text);
    test_memory_grant_all();
    assert_true(text.failed);
    free(text.data);
    qvk__graph_finish(&graph);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(building_reports_each_failure),
        cmocka_unit_test(verifying_and_printing_report_the_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
