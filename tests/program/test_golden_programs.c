/* Programs that ExecuTorch wrote: read as listed, written and read again without a change, and what is
 * special in each. */
#include <stdio.h>

#include "program_compare.h"

/* ---- all of them --------------------------------------------------------------------------------------- */

static void each_reads_as_listed(void **state)
{
    (void)state;
    for (int i = 0; golden_programs[i]; i++) {
        char leaf[128], *path;
        qvk__string text = {0};
        qvk__program program;
        uint8_t *listing;
        size_t n;

        read_golden_program(golden_programs[i], &program);
        qvk__program_print(&program, true, &text);
        assert_false(text.failed);
        snprintf(leaf, sizeof leaf, "programs/%s.txt", golden_programs[i]);
        path = test_golden_path(leaf);
        listing = test_read_file(path, &n);
        if (strcmp(text.data, (const char *)listing) != 0)
            fail_msg("%s reads differently from its listing; it is now:\n%s", golden_programs[i], text.data);
        free(listing);
        free(path);
        free(text.data);
        qvk__program_finish(&program);
    }
}

static void each_survives_writing(void **state)
{
    (void)state;
    char *dir = test_temp_dir(), *path = test_path(dir, "again.pte");

    for (int i = 0; golden_programs[i]; i++) {
        qvk__program program, again;
        qvk_error err;

        read_golden_program(golden_programs[i], &program);
        if (qvk__program_write(&program, path, &err) != QVK_OK ||
            read_like_golden(path, golden_programs[i], &again, &err) != QVK_OK)
            fail_msg("%s: %s", golden_programs[i], err.message);
        assert_programs_equal(&program, &again);
        qvk__program_finish(&program);
        qvk__program_finish(&again);
    }
    free(path);
    test_temp_dir_remove(&dir);
}

static void writing_twice_gives_the_same_bytes(void **state)
{
    (void)state;
    char *dir = test_temp_dir(), *once = test_path(dir, "once.pte"), *twice = test_path(dir, "twice.pte");
    qvk__program program, again;
    uint8_t *a, *b;
    size_t n_a, n_b;

    read_golden_program("static_conv", &program);
    assert_int_equal(qvk__program_write(&program, once, NULL), QVK_OK);
    assert_int_equal(qvk__program_read(once, NULL, 0, &again, NULL), QVK_OK);
    assert_int_equal(qvk__program_write(&again, twice, NULL), QVK_OK);
    a = test_read_file(once, &n_a);
    b = test_read_file(twice, &n_b);
    assert_int_equal(n_a, n_b);
    assert_memory_equal(a, b, n_a);
    free(a);
    free(b);
    free(once);
    free(twice);
    qvk__program_finish(&program);
    qvk__program_finish(&again);
    test_temp_dir_remove(&dir);
}

/* ---- one by one ---------------------------------------------------------------------------------------- */

static const qvk__evalue *find_constant(const qvk__method *method, int32_t rank)
{
    for (uint32_t i = 0; i < method->n_values; i++)
        if (method->values[i].kind == QVK__EVALUE_TENSOR && method->values[i].constant &&
            method->values[i].desc.rank == rank)
            return &method->values[i];
    fail_msg("no constant of rank %d", rank);
    return NULL;
}

static void channels_last_constants_come_in_c_order(void **state)
{
    (void)state;
    static const uint8_t channels_last[] = {0, 2, 3, 1};
    qvk__program program;
    const qvk__evalue *weight;

    read_golden_program("outside_channels_last", &program);
    weight = find_constant(&program.methods[0], 4);
    assert_memory_equal(weight->dim_order, channels_last, 4);
    assert_int_equal(weight->constant_bytes, 4 * 3 * 3 * 3 * sizeof(float));
    for (int i = 0; i < 4 * 3 * 3 * 3; i++)
        assert_true(((const float *)weight->constant)[i] == (float)i);
    qvk__program_finish(&program);
}

static void initial_state_of_a_buffer_is_read(void **state)
{
    (void)state;
    qvk__program program;
    const qvk__evalue *total;

    read_golden_program("outside_buffer", &program);
    total = find_constant(&program.methods[0], 1);
    assert_true(total->planned);
    for (int i = 0; i < 4; i++) {
        float value;
        memcpy(&value, (const uint8_t *)total->constant + (size_t)i * sizeof value, sizeof value);
        assert_true(value == (float)i);
    }
    qvk__program_finish(&program);
}

static const qvk__graph *first_graph(const qvk__program *program)
{
    assert_true(program->methods[0].n_delegates > 0 && program->methods[0].delegates[0].parsed);
    return &program->methods[0].delegates[0].graph;
}

static const qvk__node *find_node(const qvk__graph *graph, qvk__op op)
{
    for (size_t i = 0; i < graph->nodes.count; i++)
        if (graph->nodes.data[i].op == op)
            return &graph->nodes.data[i];
    fail_msg("no %s", qvk__op_name(op));
    return NULL;
}

/* The accumulator: total += x, whichever way the exporter says it. */
static void check_accumulator(const char *name)
{
    qvk__program program;
    const qvk__graph *graph;
    const qvk__node *add, *copy;

    read_golden_program(name, &program);
    graph = first_graph(&program);
    add = find_node(graph, QVK__OP_ADD_TENSOR);
    copy = find_node(graph, QVK__OP_COPY_INPLACE);
    assert_int_equal(graph->outputs.count, 1);
    assert_int_equal(copy->args[0].u.value, add->args[0].u.value); /* into the buffer that was added to */
    assert_int_equal(copy->args[1].u.value, add->outs[0]);
    assert_true(graph->values.data[copy->args[0].u.value].is_mutable);
    assert_non_null(graph->values.data[copy->args[0].u.value].constant);
    qvk__program_finish(&program);
}

static void written_buffers_are_mutable_constants(void **state)
{
    (void)state;
    check_accumulator("buffer_alias");
    check_accumulator("buffer_dropped");
}

static void caches_with_equal_bytes_have_their_own_constants(void **state)
{
    (void)state;
    qvk__program program;
    const qvk__graph *graph;
    const qvk__node *attention;
    const qvk__value *keys, *values;

    read_golden_program("kv_cache", &program);
    graph = first_graph(&program);
    attention = find_node(graph, QVK__OP_LLAMA_SDPA_WITH_KV_CACHE);
    keys = &graph->values.data[attention->args[3].u.value];
    values = &graph->values.data[attention->args[4].u.value];
    assert_true(keys->is_mutable && values->is_mutable);
    assert_ptr_not_equal(keys->constant, values->constant);
    assert_ptr_equal(keys->constant->data, values->constant->data);
    qvk__program_finish(&program);
}

static void tied_weights_share_one_constant(void **state)
{
    (void)state;
    qvk__program program;
    const qvk__graph *graph;
    const qvk__node *embedding, *head;

    read_golden_program("tied", &program);
    graph = first_graph(&program);
    embedding = find_node(graph, QVK__OP_EMBEDDING);
    head = find_node(graph, QVK__OP_LINEAR);
    assert_ptr_equal(graph->values.data[embedding->args[0].u.value].constant,
                     graph->values.data[head->args[1].u.value].constant);
    qvk__program_finish(&program);
}

static void a_view_uses_the_part_of_its_storage_it_needs(void **state)
{
    (void)state;
    qvk__program program;
    const qvk__graph *graph;
    int found = 0;

    read_golden_program("views", &program);
    graph = first_graph(&program);
    for (size_t i = 0; i < graph->values.count; i++) {
        const qvk__constant *constant = graph->values.data[i].constant;
        if (!constant || graph->values.data[i].desc.rank != 1)
            continue;
        assert_int_equal(constant->bytes, 3 * sizeof(float)); /* of the 40 stored */
        for (int k = 0; k < 3; k++)
            assert_true(((const float *)constant->data)[k] == (float)k);
        found++;
    }
    assert_int_equal(found, 1);
    qvk__program_finish(&program);
}

static void half_precision_graphs_keep_the_callers_dtype(void **state)
{
    (void)state;
    qvk__program program;
    const qvk__graph *graph;
    const qvk__value *input;

    read_golden_program("linear_fp16", &program);
    graph = first_graph(&program);
    input = &graph->values.data[graph->inputs.data[0]];
    assert_int_equal(input->desc.dtype, QVK_DTYPE_F16);
    assert_int_equal(input->host_dtype, QVK_DTYPE_F32);
    qvk__program_finish(&program);
}

static void sizes_may_be_symbols(void **state)
{
    (void)state;
    qvk__program program;
    const qvk__graph *graph;
    const qvk__node *view;

    read_golden_program("dynamic", &program);
    graph = first_graph(&program);
    view = find_node(graph, QVK__OP_VIEW_COPY);
    assert_int_equal(view->args[1].kind, QVK__ARG_LIST);
    assert_int_equal(view->args[1].u.list[0].kind, QVK__ARG_VALUE);
    assert_int_equal(graph->values.data[view->args[1].u.list[0].u.value].kind, QVK__VALUE_SYMBOL);
    assert_int_equal(view->args[1].u.list[1].u.i, 2);
    assert_true(program.methods[0].values[program.methods[0].inputs[0]].dynamic);
    qvk__program_finish(&program);
}

static void jumps_and_moves_are_read(void **state)
{
    (void)state;
    qvk__program program;
    const qvk__method *method;
    int jumps = 0, moves = 0;

    read_golden_program("outside_branch", &program);
    method = &program.methods[0];
    for (uint32_t i = 0; i < method->n_instructions; i++) {
        jumps += method->instructions[i].kind == QVK__INSTRUCTION_JUMP_FALSE;
        moves += method->instructions[i].kind == QVK__INSTRUCTION_MOVE;
    }
    assert_int_equal(jumps, 2);
    assert_int_equal(moves, 2);
    qvk__program_finish(&program);
}

static void external_data_is_found_or_named(void **state)
{
    (void)state;
    char *path = test_golden_path("programs/outside_external.pte");
    qvk__program program;
    const qvk__evalue *weight;
    qvk_error err;

    read_golden_program("outside_external", &program);
    weight = find_constant(&program.methods[0], 2);
    assert_string_equal(weight->external_name, "weight");
    qvk__program_finish(&program);
    assert_int_equal(qvk__program_read(path, NULL, 0, &program, &err), QVK_NOT_FOUND);
    assert_non_null(strstr(err.message, "weight"));
    assert_non_null(strstr(err.message, ".ptd"));
    free(path);
    path = test_golden_path("programs/linear_external.pte");
    assert_int_equal(qvk__program_read(path, NULL, 0, &program, &err), QVK_NOT_FOUND);
    assert_non_null(strstr(err.message, ".ptd"));
    free(path);
}

static void data_files_are_checked(void **state)
{
    (void)state;
    char *path = test_golden_path("programs/outside_external.pte");
    char *data = test_golden_path("programs/outside_external.ptd"), *dir = test_temp_dir();
    char *broken = test_path(dir, "broken.ptd");
    const char *paths[] = {broken};
    qvk__program program;
    uint8_t *bytes;
    size_t n;

    bytes = test_read_file(data, &n);
    for (size_t length = 0; length < n; length += 16) {
        test_write_file(broken, bytes, length);
        assert_int_equal(qvk__program_read(path, paths, 1, &program, NULL), QVK_BAD_FORMAT);
    }
    assert_int_equal(qvk__program_read(path, (const char *[]){path}, 1, &program, NULL), QVK_BAD_FORMAT);
    free(bytes);
    free(broken);
    free(data);
    free(path);
    test_temp_dir_remove(&dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_reads_as_listed),
        cmocka_unit_test(each_survives_writing),
        cmocka_unit_test(writing_twice_gives_the_same_bytes),
        cmocka_unit_test(channels_last_constants_come_in_c_order),
        cmocka_unit_test(initial_state_of_a_buffer_is_read),
        cmocka_unit_test(written_buffers_are_mutable_constants),
        cmocka_unit_test(caches_with_equal_bytes_have_their_own_constants),
        cmocka_unit_test(tied_weights_share_one_constant),
        cmocka_unit_test(a_view_uses_the_part_of_its_storage_it_needs),
        cmocka_unit_test(half_precision_graphs_keep_the_callers_dtype),
        cmocka_unit_test(sizes_may_be_symbols),
        cmocka_unit_test(jumps_and_moves_are_read),
        cmocka_unit_test(external_data_is_found_or_named),
        cmocka_unit_test(data_files_are_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
