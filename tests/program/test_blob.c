/* Vulkan blobs made by hand: what arguments become, what is refused, and blobs as older exporters wrote them.
 */
#include "blob_builder.h"
#include "program_compare.h"

static const uint32_t row[] = {4};

/* A blob with input tensor 0 and tensor 1, which the call under test computes and the graph returns. */
static void begin(blob_builder *builder)
{
    memset(builder, 0, sizeof *builder);
    assert_true(QVK__VEC_PUSH(&builder->inputs, (uint32_t)blob_add_tensor(builder, row, 1, -1)));
    assert_true(QVK__VEC_PUSH(&builder->outputs, (uint32_t)blob_add_tensor(builder, row, 1, -1)));
}

static qvk_status read_built(blob_builder *builder, uint8_t **blob, qvk__graph *out, qvk_error *err)
{
    uint64_t bytes;
    *blob = blob_finish(builder, &bytes);
    return qvk__blob_read(*blob, bytes, NULL, out, err);
}

static void expect_refusal(blob_builder *builder, qvk_status wanted, const char *words)
{
    uint8_t *blob;
    qvk__graph graph;
    qvk_error err;
    qvk_status status = read_built(builder, &blob, &graph, &err);

    if (status == QVK_OK)
        fail_msg("accepted: %s", words);
    if (status != wanted || !strstr(err.message, words))
        fail_msg("\"%s\" (%s) does not say \"%s\"", err.message, qvk_status_name(status), words);
    free(blob);
}

/* The one node of an accepted blob. */
static const qvk__node *read_node(blob_builder *builder, uint8_t **blob, qvk__graph *graph)
{
    qvk_error err;
    if (read_built(builder, blob, graph, &err) != QVK_OK)
        fail_msg("%s", err.message);
    assert_int_equal(graph->nodes.count, 1);
    return &graph->nodes.data[0];
}

/* ---- arguments ----------------------------------------------------------------------------------------- */

static void numbers_become_what_the_schema_says(void **state)
{
    (void)state;
    blob_builder builder;
    uint8_t *blob;
    qvk__graph graph;
    const qvk__node *node;
    int32_t ids[10];

    /* q8ta_relu(input, float scale, int zero_point, float scale, int zero_point): 1 and 1.0 are one shared
     * value. */
    begin(&builder);
    ids[0] = 0;
    ids[1] = ids[4] = blob_add_int(&builder, 1);
    ids[2] = ids[3] = blob_add_double(&builder, 2.0);
    ids[5] = 1;
    blob_add_call(&builder, "et_vk.q8ta_relu.default", ids, 6);
    node = read_node(&builder, &blob, &graph);
    assert_int_equal(node->op, QVK__OP_ET_Q8TA_RELU);
    assert_int_equal(node->args[1].kind, QVK__ARG_FLOAT);
    assert_true(node->args[1].u.f == 1.0);
    assert_int_equal(node->args[2].kind, QVK__ARG_INT);
    assert_int_equal(node->args[2].u.i, 2);
    assert_int_equal(node->args[3].kind, QVK__ARG_FLOAT);
    assert_int_equal(node->args[4].kind, QVK__ARG_INT);
    qvk__graph_finish(&graph);
    free(blob);
}

static void lists_become_what_the_schema_says(void **state)
{
    (void)state;
    const int64_t two_dims[] = {0, 1};
    const double whole[] = {0.0, 1.0};
    blob_builder builder;
    uint8_t *blob;
    qvk__graph graph;
    const qvk__node *node;
    int32_t ids[5];

    for (int form = 0; form < 3; form++) {
        begin(&builder);
        ids[0] = 0;
        ids[1] = form == 0   ? blob_add_bools(&builder, NULL, 0) /* how an empty list is written */
                 : form == 1 ? blob_add_doubles(&builder, whole, 2)
                             : blob_add_ints(&builder, two_dims, 2);
        ids[2] = blob_add_int(&builder, 1); /* bool keepdim */
        ids[3] = 1;
        blob_add_call(&builder, "aten.amax.default", ids, 4);
        node = read_node(&builder, &blob, &graph);
        assert_int_equal(node->args[1].kind, QVK__ARG_INTS);
        assert_int_equal(node->args[1].count, form == 0 ? 0 : 2);
        for (uint32_t i = 0; i < node->args[1].count; i++)
            assert_int_equal(node->args[1].u.ints[i], i);
        assert_int_equal(node->args[2].kind, QVK__ARG_BOOL);
        assert_true(node->args[2].u.b);
        qvk__graph_finish(&graph);
        free(blob);
    }
}

static void missing_arguments_take_their_defaults(void **state)
{
    (void)state;
    blob_builder builder;
    uint8_t *blob;
    qvk__graph graph;
    const qvk__node *node;
    const int32_t ids[] = {0, 1};

    begin(&builder);
    blob_add_call(&builder, "aten.gelu.default", ids, 2);
    node = read_node(&builder, &blob, &graph);
    assert_int_equal(node->n_args, 2);
    assert_string_equal(node->args[1].u.s, "none");
    qvk__graph_finish(&graph);
    free(blob);
}

static void names_without_a_namespace_are_known(void **state)
{
    (void)state;
    blob_builder builder;
    uint8_t *blob;
    qvk__graph graph;
    const qvk__node *node;
    int32_t ids[3];

    begin(&builder);
    builder.outputs.data[0] = 0;
    ids[0] = 0;
    ids[1] = blob_add_int(&builder, 0);
    ids[2] = blob_add_symbol(&builder, 0);
    blob_add_call(&builder, "sym_size.int", ids, 3);
    node = read_node(&builder, &blob, &graph);
    assert_int_equal(node->op, QVK__OP_SYM_SIZE_INT);
    assert_int_equal(graph.values.data[node->outs[0]].kind, QVK__VALUE_SYMBOL);
    qvk__graph_finish(&graph);
    free(blob);
}

static void unknown_operators_keep_their_name(void **state)
{
    (void)state;
    blob_builder builder;
    uint8_t *blob;
    qvk__graph graph;
    const qvk__node *node;
    int32_t ids[3];

    begin(&builder);
    ids[0] = 0;
    ids[1] = blob_add_string(&builder, "fast");
    ids[2] = 1;
    blob_add_call(&builder, "vendor.magic.default", ids, 3);
    node = read_node(&builder, &blob, &graph);
    assert_int_equal(node->op, QVK__OP_NONE);
    assert_string_equal(node->target, "vendor.magic.default");
    assert_int_equal(node->n_args, 2);
    assert_string_equal(node->args[1].u.s, "fast");
    qvk__graph_finish(&graph);
    free(blob);
}

static void misfits_are_refused(void **state)
{
    (void)state;
    blob_builder builder;
    int32_t ids[8];

    begin(&builder); /* a tensor wanted, a number given */
    ids[0] = blob_add_int(&builder, 3);
    ids[1] = 1;
    blob_add_call(&builder, "aten.relu.default", ids, 2);
    expect_refusal(&builder, QVK_BAD_FORMAT, "argument self is no Tensor");

    begin(&builder); /* a broken number for an int */
    ids[0] = 0;
    ids[1] = blob_add_double(&builder, 0.5);
    ids[2] = blob_add_bool(&builder, false);
    ids[3] = 1;
    blob_add_call(&builder, "aten._softmax.default", ids, 4);
    expect_refusal(&builder, QVK_BAD_FORMAT, "argument dim is no int");

    begin(&builder); /* None for what must be there */
    ids[0] = blob_add_null(&builder);
    ids[1] = 1;
    blob_add_call(&builder, "aten.relu.default", ids, 2);
    expect_refusal(&builder, QVK_BAD_FORMAT, "argument self");

    begin(&builder); /* too many */
    ids[0] = 0;
    ids[1] = 0;
    ids[2] = 1;
    blob_add_call(&builder, "aten.relu.default", ids, 3);
    expect_refusal(&builder, QVK_BAD_FORMAT, "2 arguments, at most 1");

    begin(&builder); /* too few, without a default */
    ids[0] = 0;
    ids[1] = 1;
    blob_add_call(&builder, "aten._softmax.default", ids, 2);
    expect_refusal(&builder, QVK_BAD_FORMAT, "argument dim is missing");

    begin(&builder); /* one result of two */
    ids[0] = 0;
    for (int i = 1; i < 5; i++)
        ids[i] = blob_add_null(&builder);
    ids[1] = blob_add_ints(&builder, (const int64_t[]){4}, 1);
    ids[4] = blob_add_double(&builder, 1e-5);
    ids[5] = 1;
    blob_add_call(&builder, "aten.native_layer_norm.default", ids, 6);
    expect_refusal(&builder, QVK_BAD_FORMAT, "1 results, the operator has 3");

    begin(&builder); /* a result that is a number */
    ids[0] = 0;
    ids[1] = blob_add_int(&builder, 1);
    blob_add_call(&builder, "aten.relu.default", ids, 2);
    expect_refusal(&builder, QVK_BAD_FORMAT, "neither tensor nor symbol");
}

static void impossible_graphs_are_refused(void **state)
{
    (void)state;
    const uint32_t huge[] = {UINT32_MAX, UINT32_MAX, UINT32_MAX}, nine[9] = {1, 1, 1, 1, 1, 1, 1, 1, 1};
    const int32_t relu[] = {0, 1}, late[] = {1, 0}, far[] = {0, 77};
    blob_builder builder;
    int32_t list, lists[1];

    begin(&builder); /* nobody computes the output */
    expect_refusal(&builder, QVK_BAD_FORMAT, "output 0 is never computed");

    begin(&builder); /* used before it is computed */
    builder.inputs.data[0] = 1;
    builder.outputs.data[0] = 1;
    blob_add_call(&builder, "aten.relu.default", (const int32_t[]){0, 0}, 2);
    expect_refusal(&builder, QVK_BAD_FORMAT, "before it is defined");

    begin(&builder); /* an id beyond the values */
    blob_add_call(&builder, "aten.relu.default", far, 2);
    expect_refusal(&builder, QVK_BAD_FORMAT, "value 77 of 2");

    begin(&builder); /* an input is overwritten */
    blob_add_call(&builder, "aten.relu.default", relu, 2);
    blob_add_call(&builder, "aten.relu.default", late, 2);
    expect_refusal(&builder, QVK_UNSUPPORTED, "written twice");

    begin(&builder); /* a list in a list */
    list = blob_add_list(&builder, NULL, 0);
    lists[0] = list;
    blob_add_list(&builder, lists, 1);
    expect_refusal(&builder, QVK_BAD_FORMAT, "is a list");

    begin(&builder);
    blob_add_tensor(&builder, huge, 3, -1);
    expect_refusal(&builder, QVK_BAD_FORMAT, "impossible size");

    begin(&builder);
    blob_add_tensor(&builder, nine, 9, -1);
    expect_refusal(&builder, QVK_UNSUPPORTED, "rank 9");

    begin(&builder); /* call without a result */
    blob_add_call(&builder, "aten.relu.default", NULL, 0);
    expect_refusal(&builder, QVK_BAD_FORMAT, "without a result");
}

/* ---- constants ----------------------------------------------------------------------------------------- */

static void constants_may_lie_in_the_blob(void **state)
{
    (void)state;
    const float numbers[] = {1, 2, 3, 4, 5};
    const int32_t ids[] = {0, 2, 1};
    blob_builder builder;
    uint8_t *blob;
    qvk__graph graph;
    const qvk__node *node;
    const qvk__constant *constant;

    begin(&builder);
    assert_true(qvk__vec_reserve((void **)&builder.bytes.data, &builder.bytes.capacity, sizeof numbers, 1));
    memcpy(builder.bytes.data, numbers, sizeof numbers);
    builder.bytes.count = sizeof numbers;
    blob_add_tensor(&builder, row, 1,
                    blob_add_constant(&builder, 0, sizeof numbers, NULL)); /* longer than needed */
    blob_add_call(&builder, "aten.mul.Tensor", ids, 3);
    node = read_node(&builder, &blob, &graph);
    constant = graph.values.data[node->args[1].u.value].constant;
    assert_int_equal(constant->bytes, 4 * sizeof(float));
    assert_memory_equal(constant->data, numbers, 4 * sizeof(float));
    qvk__graph_finish(&graph);
    free(blob);
}

static void constants_that_are_not_there_are_refused(void **state)
{
    (void)state;
    static const uint8_t bytes[64];
    blob_builder builder;

    for (int form = 0; form < 5; form++) {
        begin(&builder);
        assert_true(qvk__vec_reserve((void **)&builder.bytes.data, &builder.bytes.capacity, sizeof bytes, 1));
        memcpy(builder.bytes.data, bytes, sizeof bytes);
        builder.bytes.count = sizeof bytes;
        switch (form) {
        case 0: /* shorter than the tensor */
            blob_add_tensor(&builder, row, 1, blob_add_constant(&builder, 0, 12, NULL));
            expect_refusal(&builder, QVK_BAD_FORMAT, "needs 16 bytes, the file has 12");
            break;
        case 1: /* past the end */
            blob_add_tensor(&builder, row, 1, blob_add_constant(&builder, 56, 16, NULL));
            expect_refusal(&builder, QVK_BAD_FORMAT, "past the end");
            break;
        case 2: /* an overflowing end */
            blob_add_tensor(&builder, row, 1, blob_add_constant(&builder, UINT64_MAX - 7, 16, NULL));
            expect_refusal(&builder, QVK_BAD_FORMAT, "past the end");
            break;
        case 3: /* misaligned */
            blob_add_tensor(&builder, row, 1, blob_add_constant(&builder, 2, 16, NULL));
            expect_refusal(&builder, QVK_BAD_FORMAT, "aligned");
            break;
        default: /* a name nobody knows */
            blob_add_tensor(&builder, row, 1, blob_add_constant(&builder, 0, 16, "weights of layer 3"));
            expect_refusal(&builder, QVK_NOT_FOUND, "weights of layer 3");
            break;
        }
    }
    begin(&builder);
    blob_add_tensor(&builder, row, 1, 5);
    expect_refusal(&builder, QVK_BAD_FORMAT, "constant 5 of 0");
}

/* ---- round trip ---------------------------------------------------------------------------------------- */

static void graphs_survive_with_their_constants_inside(void **state)
{
    (void)state;
    for (int i = 0; golden_programs[i]; i++) {
        qvk__program program;
        read_golden_program(golden_programs[i], &program);
        for (uint32_t d = 0; d < program.methods[0].n_delegates; d++) {
            const qvk__graph *graph = &program.methods[0].delegates[d].graph;
            qvk__graph again;
            uint8_t *blob;
            uint64_t bytes;
            qvk_error err;
            assert_int_equal(qvk__blob_write(graph, NULL, &blob, &bytes, NULL), QVK_OK);
            if (qvk__blob_read(blob, bytes, NULL, &again, &err) != QVK_OK)
                fail_msg("%s: %s", golden_programs[i], err.message);
            assert_graphs_equal(graph, &again);
            qvk__graph_finish(&again);
            free(blob);
        }
        qvk__program_finish(&program);
    }
}

static void headers_are_checked(void **state)
{
    (void)state;
    const int32_t ids[] = {0, 1};
    blob_builder builder;
    uint8_t *blob;
    uint64_t bytes, huge = UINT64_MAX;
    uint32_t far = 0x7fffffff;
    qvk__graph graph;

    begin(&builder);
    blob_add_call(&builder, "aten.relu.default", ids, 2);
    blob = blob_finish(&builder, &bytes);
    assert_int_equal(qvk__blob_read(blob, 29, NULL, &graph, NULL), QVK_BAD_FORMAT);
    for (size_t at = 4; at < 30; at++) {
        uint8_t saved[8];
        if (at != 4 && at != 8 && at != 10 && at != 14 && at != 18 && at != 22)
            continue;
        memcpy(saved, blob + at, 8);
        if (at == 22)
            memcpy(blob + at, &huge, 8);
        else if (at == 8)
            blob[at] = 29;
        else
            memcpy(blob + at, &far, 4);
        assert_int_equal(qvk__blob_read(blob, bytes, NULL, &graph, NULL), QVK_BAD_FORMAT);
        memcpy(blob + at, saved, 8);
    }
    assert_int_equal(qvk__blob_read(blob, bytes, NULL, &graph, NULL), QVK_OK);
    qvk__graph_finish(&graph);
    free(blob);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_become_what_the_schema_says),
        cmocka_unit_test(lists_become_what_the_schema_says),
        cmocka_unit_test(missing_arguments_take_their_defaults),
        cmocka_unit_test(names_without_a_namespace_are_known),
        cmocka_unit_test(unknown_operators_keep_their_name),
        cmocka_unit_test(misfits_are_refused),
        cmocka_unit_test(impossible_graphs_are_refused),
        cmocka_unit_test(constants_may_lie_in_the_blob),
        cmocka_unit_test(constants_that_are_not_there_are_refused),
        cmocka_unit_test(graphs_survive_with_their_constants_inside),
        cmocka_unit_test(headers_are_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
