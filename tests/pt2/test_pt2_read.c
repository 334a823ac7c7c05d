/* Reading exported programs: golden files against what torch says of them, refusals, faults. */
#include <stdio.h>

#include "core/dtype.h"
#include "pt2/pt2.h"
#include "pt2/pt2_kit.h"
#include "support/support.h"

static const char model[] = "models/model.json";
static const char weights[] = "data/weights/model_weights_config.json";

/* ---- golden files -------------------------------------------------------------------------------------- */

static const char *const golden[] = {"linear",  "tied",    "views",    "dynamic", "unbounded",
                                     "conv_bn", "scalars", "regions",  "cache",   "cache_functional",
                                     "lists",   "half",    "subclass", "legacy",  "legacy_oldest"};

static void golden_files_hold_what_torch_says(void **state)
{
    (void)state;
    for (size_t i = 0; i < QVK__COUNT(golden); i++) {
        char file[64], text[64];
        size_t n;
        snprintf(file, sizeof file, "%s.pt2", golden[i]);
        snprintf(text, sizeof text, "pt2/%s.txt", golden[i]);
        qvk__exported program = pt2_golden(file);
        char *path = test_golden_path(text), *facts = pt2_facts(&program);
        uint8_t *expected = test_read_file(path, &n);
        assert_string_equal(facts, (const char *)expected);
        free(facts);
        free(expected);
        free(path);
        qvk__exported_finish(&program);
    }
}

static const qvk__node *node_named(const qvk__exported *program, const char *target)
{
    for (size_t n = 0; n < program->graph.nodes.count; n++)
        if (strcmp(program->graph.nodes.data[n].target, target) == 0)
            return &program->graph.nodes.data[n];
    fail_msg("no %s", target);
    return NULL;
}

static void arguments_are_positional_with_defaults(void **state)
{
    qvk__exported program = pt2_golden("conv_bn.pt2");
    const qvk__node *conv, *pool;

    (void)state;
    conv = node_named(&program, "aten.conv2d.default");
    assert_int_equal(conv->n_args, 7);
    assert_int_equal(conv->args[3].kind, QVK__ARG_INTS);
    assert_int_equal(conv->args[3].u.ints[1], 2);
    assert_int_equal(conv->args[5].u.ints[0], 1); /* dilation and groups are not in the file */
    assert_int_equal(conv->args[6].u.i, 1);
    pool = node_named(&program, "aten.max_pool2d.default");
    assert_int_equal(pool->n_args, 6);
    assert_false(pool->args[5].u.b);
    qvk__exported_finish(&program);
}

static void codes_are_torchs_own(void **state)
{
    qvk__exported program = pt2_golden("scalars.pt2");

    (void)state;
    assert_int_equal(node_named(&program, "aten.to.dtype")->args[1].u.i, 6); /* float, 7 in the file */
    qvk__exported_finish(&program);
}

static void non_finite_floats_are_read(void **state)
{
    qvk__exported program = pt2_golden("scalars.pt2");
    const qvk__node *clamp = node_named(&program, "aten.clamp.default"), *last = NULL;

    (void)state;
    assert_true(clamp->args[1].u.f < -1e308 && clamp->args[2].u.f > 1e308);
    for (size_t n = 0; n < program.graph.nodes.count; n++)
        if (strcmp(program.graph.nodes.data[n].target, "aten.mul.Tensor") == 0)
            last = &program.graph.nodes.data[n];
    assert_non_null(last);
    assert_true(last->args[1].u.f != last->args[1].u.f);
    qvk__exported_finish(&program);
}

static void literal_inputs_keep_name_and_value(void **state)
{
    qvk__exported program = pt2_golden("scalars.pt2");
    const qvk__input_spec *specs = program.inputs.data;

    (void)state;
    assert_int_equal(program.inputs.count, 6);
    assert_string_equal(specs[2].target, "flag");
    assert_true(specs[2].literal.kind == QVK__ARG_BOOL && specs[2].literal.u.b);
    assert_true(specs[3].literal.kind == QVK__ARG_FLOAT && specs[3].literal.u.f == 0.25);
    assert_string_equal(specs[4].literal.u.s, "y");
    assert_int_equal(specs[5].literal.kind, QVK__ARG_NULL);
    qvk__exported_finish(&program);
}

static void traces_say_where_in_the_model(void **state)
{
    qvk__exported program = pt2_golden("linear.pt2");
    const char *trace = node_named(&program, "aten.linear.default")->trace;

    (void)state;
    assert_non_null(trace);
    assert_true(qvk__starts_with(trace, "fc, File \"make_pt2.py\", line "));
    assert_non_null(strstr(trace, "in forward: return F.relu(self.fc(x))"));
    qvk__exported_finish(&program);
}

static void dynamic_sizes_have_bounds(void **state)
{
    qvk__exported program = pt2_golden("dynamic.pt2"), free_sizes = pt2_golden("unbounded.pt2");
    const qvk__value *x = &program.graph.values.data[program.graph.inputs.data[0]];
    const qvk__value *y = &program.graph.values.data[program.graph.inputs.data[1]];
    const qvk__value *cat = &program.graph.values.data[node_named(&program, "aten.cat.default")->outs[0]];
    const qvk__value *free_x = &free_sizes.graph.values.data[free_sizes.graph.inputs.data[0]];
    int64_t most;
    qvk_error err;

    (void)state;
    assert_int_equal(x->desc.sizes[0], 16);
    assert_int_equal(x->syms[0], y->syms[0]);
    assert_int_equal(x->syms[1], -1);
    assert_int_equal(cat->desc.sizes[0], 32);
    assert_int_equal(qvk__expression_max(&program, cat->syms[0], &most, NULL), QVK_OK);
    assert_int_equal(most, 32);
    assert_int_equal(free_x->desc.sizes[0], 3); /* no bound: the size at export */
    assert_int_equal(qvk__expression_max(&free_sizes, free_x->syms[0], &most, &err), QVK_UNSUPPORTED);
    assert_non_null(strstr(err.message, "s77 has no upper bound"));
    qvk__exported_finish(&program);
    qvk__exported_finish(&free_sizes);
}

static void unknown_operators_keep_their_declaration(void **state)
{
    qvk__exported program = pt2_golden("lists.pt2");
    const qvk__node *node = node_named(&program, "torch.ops.aten.linalg_det.default");

    (void)state;
    assert_int_equal(node->op, QVK__OP_NONE);
    assert_int_equal(node->n_args, 1);
    assert_string_equal(node->foreign->args[0].name, "A");
    assert_false(node->foreign->args[0].keyword_only);
    qvk__exported_finish(&program);
}

static void an_operator_with_a_parameter_of_another_version_is_an_unknown_one(void **state)
{
    qvk__exported program;
    uint8_t *data;
    uint64_t bytes;

    (void)state;
    pt2_edited("linear.pt2", model, "\"name\": \"bias\"", "\"name\": \"newer\"", &data, &bytes);
    assert_int_equal(qvk__pt2_read_bytes(data, bytes, "edited.pt2", &program, NULL), QVK_OK);
    assert_int_equal(program.graph.nodes.data[0].op, QVK__OP_NONE);
    assert_string_equal(program.graph.nodes.data[0].target, "torch.ops.aten.linear.default");
    assert_string_equal(program.graph.nodes.data[0].foreign->args[2].name, "newer");
    qvk__exported_finish(&program);
    free(data);
}

static void weights_are_borrowed_from_the_file(void **state)
{
    qvk__exported program = pt2_golden("linear.pt2");

    (void)state;
    for (size_t i = 0; i < program.inputs.count; i++) {
        const qvk__value *value = &program.graph.values.data[program.inputs.data[i].value];
        const uint8_t *data = value->constant ? value->constant->data : NULL;
        if (value->constant)
            assert_true(data >= program.file.data && data < program.file.data + program.file.bytes);
    }
    qvk__exported_finish(&program);
}

static void misaligned_archives_are_copied_into_place(void **state)
{
    char *path = test_golden_path("pt2/views.pt2"), *facts,
         *expected_path = test_golden_path("pt2/views.txt");
    size_t n, n_expected;
    uint8_t *file = test_read_file(path, &n), *expected = test_read_file(expected_path, &n_expected);
    uint8_t *shifted = malloc(n + 16);
    qvk__exported program;

    (void)state;
    for (size_t shift = 1; shift < 8; shift++) {
        memcpy(shifted + shift, file, n);
        assert_int_equal(qvk__pt2_read_bytes(shifted + shift, n, "shifted.pt2", &program, NULL), QVK_OK);
        for (size_t i = 0; i < program.inputs.count; i++) {
            const qvk__value *value = &program.graph.values.data[program.inputs.data[i].value];
            if (value->constant)
                assert_int_equal((uintptr_t)value->constant->data % qvk_dtype_bytes(value->desc.dtype), 0);
        }
        facts = pt2_facts(&program);
        assert_string_equal(facts, (const char *)expected);
        free(facts);
        qvk__exported_finish(&program);
    }
    free(shifted);
    free(file);
    free(expected);
    free(path);
    free(expected_path);
}

static void buffers_that_are_written_are_mutable(void **state)
{
    static const struct {
        const char *file;
        bool first_is_mutable;
    } files[] = {
        {"cache.pt2", true}, {"cache_functional.pt2", true}, {"views.pt2", false}, {"conv_bn.pt2", false}};

    (void)state;
    for (size_t i = 0; i < QVK__COUNT(files); i++) {
        qvk__exported program = pt2_golden(files[i].file);
        int32_t first = program.inputs.data[0].value;
        assert_int_equal(program.graph.values.data[first].is_mutable, files[i].first_is_mutable);
        qvk__exported_finish(&program);
    }
}

/* ---- refusals ------------------------------------------------------------------------------------------ */

static void control_flow_is_refused_by_name(void **state)
{
    char *path = test_golden_path("pt2/cond.pt2");
    qvk__exported program;
    qvk_error err;

    (void)state;
    assert_int_equal(qvk__pt2_read(path, &program, &err), QVK_UNSUPPORTED_OPERATOR);
    assert_non_null(strstr(err.message, "cond.pt2: models/model.json: graph_module.graph.nodes[2]: "
                                        "torch.ops.higher_order.cond"));
    assert_int_equal(err.node, 2);
    free(path);
}

typedef struct refusal {
    const char *file, *entry, *from, *to;
    qvk_status status;
    const char *words;
} refusal;

static const refusal refusals[] = {
    /* the archive */
    {"linear.pt2", "archive_format", NULL, "zip", QVK_BAD_FORMAT, "archive_format is not pt2"},
    {"linear.pt2", "archive_version", NULL, "1", QVK_BAD_VERSION, "archive_version is not 0"},
    {"linear.pt2", "archive_format", NULL, NULL, QVK_BAD_FORMAT, "no exported program"},
    {"linear.pt2", model, NULL, NULL, QVK_BAD_FORMAT, "the archive holds no exported program"},
    {"linear.pt2", weights, NULL, NULL, QVK_BAD_FORMAT, "the archive has no entry linear/data/weights"},
    {"linear.pt2", "data/weights/weight_0", NULL, NULL, QVK_BAD_FORMAT,
     "no entry linear/data/weights/weight_0"},
    {"linear.pt2", "data/weights/weight_0", NULL, "short", QVK_BAD_FORMAT,
     "fc.weight: a float32[3, 4] view does not fit into its 5 bytes of storage"},
    /* versions */
    {"linear.pt2", model, "\"major\": 8", "\"major\": 9", QVK_BAD_VERSION, "schema 9.20"},
    {"linear.pt2", model, "\"major\": 8", "\"major\": -1", QVK_BAD_VERSION, "schema -1.20"},
    {"linear.pt2", model, "\"major\": 8", "\"major\": true", QVK_BAD_FORMAT,
     "models/model.json: schema_version.major: an integer expected"},
    /* JSON */
    {"linear.pt2", model, NULL, "", QVK_BAD_FORMAT, "models/model.json: line 1"},
    {"linear.pt2", model, "\"nodes\": [", "\"nodes\": ", QVK_BAD_FORMAT, "models/model.json: line 1"},
    {"linear.pt2", model, "\"graph_module\"", "\"graph\"", QVK_BAD_FORMAT, "\"graph_module\" is missing"},
    {"linear.pt2", model, "\"nodes\"", "\"knots\"", QVK_BAD_FORMAT,
     "models/model.json: graph_module.graph: \"nodes\" is missing"},
    {"linear.pt2", model, "\"tensor_values\"", "\"values\"", QVK_BAD_FORMAT,
     "is in none of the graph's tables"},
    /* graph */
    {"linear.pt2", model, "{\"as_tensor\": {\"name\": \"linear\"}}", "{\"as_tensor\": {\"name\": \"lost\"}}",
     QVK_BAD_FORMAT, "graph_module.graph.nodes[0].outputs[0]: lost is in none"},
    {"linear.pt2", model, "\"arg\": {\"as_tensor\": {\"name\": \"linear\"}}",
     "\"arg\": {\"as_tensor\": {\"name\": \"relu\"}}", QVK_BAD_FORMAT, "relu is not defined here"},
    {"linear.pt2", model, "\"as_tensor\": {\"name\": \"linear\"}", "\"as_matrix\": {\"name\": \"linear\"}",
     QVK_BAD_FORMAT, "no such kind of argument: as_matrix"},
    {"linear.pt2", model, "\"outputs\": [{\"as_tensor\": {\"name\": \"linear\"}}]", "\"outputs\": []",
     QVK_BAD_FORMAT, "does not return 0 values"},
    {"linear.pt2", model, "{\"name\": \"relu\"}", "{\"name\": \"linear\"}", QVK_BAD_FORMAT,
     "linear is defined twice"},
    {"lists.pt2", model, "\"as_tensors\": [{\"name\": \"getitem_4\"}",
     "\"as_complex\": [{\"name\": \"getitem_4\"}", QVK_BAD_FORMAT, "does not return"},
    /* values */
    {"linear.pt2", model, "\"dtype\": 7", "\"dtype\": 10", QVK_UNSUPPORTED, "tensors of this dtype"},
    {"linear.pt2", model, "\"dtype\": 7", "\"dtype\": 77", QVK_BAD_FORMAT, "77 is no ScalarType"},
    {"linear.pt2", model, "\"dtype\": 7", "\"dtype\": \"SINGLE\"", QVK_BAD_FORMAT, "no ScalarType"},
    {"linear.pt2", model, "\"sizes\": [{\"as_int\": 2}", "\"sizes\": [{\"as_int\": -2}", QVK_BAD_FORMAT,
     "a negative size"},
    {"linear.pt2", model, "\"sizes\": [{\"as_int\": 2}",
     "\"sizes\": [{\"as_int\": 4611686018427387904}, {\"as_int\": 4611686018427387904}", QVK_BAD_FORMAT,
     "the shape is too large"},
    {"linear.pt2", model, "\"sizes\": [{\"as_int\": 2}",
     "\"sizes\": [{\"as_int\": 1}, {\"as_int\": 1}, {\"as_int\": 1}, {\"as_int\": 1}, {\"as_int\": 1}, "
     "{\"as_int\": 1}, {\"as_int\": 1}, {\"as_int\": 2}",
     QVK_UNSUPPORTED, "9 dimensions; at most 8"},
    {"dynamic.pt2", model, "Symbol('s17'", "Symbol('s17", QVK_BAD_FORMAT, "size expression"},
    {"dynamic.pt2", model, "\"max_val\": 16", "\"max_val\": 1", QVK_BAD_FORMAT,
     "range_constraints.s17: an empty range"},
    /* signature */
    {"linear.pt2", model, "\"parameter_name\": \"fc.bias\"", "\"parameter_name\": \"fc.none\"",
     QVK_BAD_FORMAT, "the archive has no data for fc.none"},
    {"linear.pt2", model, "{\"user_input\": ", "{\"token\": ", QVK_UNSUPPORTED, "inputs of kind token"},
    {"linear.pt2", model, "{\"user_output\": ", "{\"loss_output\": ", QVK_UNSUPPORTED,
     "outputs of kind loss_output"},
    {"cache_functional.pt2", model, "\"buffer_mutation\": {\"arg\": {\"name\": \"index_copy\"}",
     "\"buffer_mutation\": {\"arg\": {\"name\": \"nothing\"}", QVK_BAD_FORMAT, "nothing is not defined here"},
    /* weights */
    {"linear.pt2", weights, "\"dtype\": 7", "\"dtype\": 6", QVK_BAD_FORMAT,
     "fc.weight is float32[3, 4] in the graph, but float16[3, 4] as stored"},
    {"linear.pt2", weights, "\"sizes\": [{\"as_int\": 3}, {\"as_int\": 4}]",
     "\"sizes\": [{\"as_int\": 2}, {\"as_int\": 4}]", QVK_BAD_FORMAT, "but float32[2, 4] as stored"},
    {"linear.pt2", weights, "\"strides\": [{\"as_int\": 4}", "\"strides\": [{\"as_int\": 5}", QVK_BAD_FORMAT,
     "does not fit into its 48 bytes of storage"},
    {"linear.pt2", weights, "\"strides\": [{\"as_int\": 4}",
     "\"strides\": [{\"as_int\": 9223372036854775807}", QVK_BAD_FORMAT, "does not fit"},
    {"linear.pt2", weights, "\"strides\": [{\"as_int\": 4}", "\"strides\": [{\"as_int\": -4}", QVK_BAD_FORMAT,
     "at least 0, expected"},
    {"linear.pt2", weights, "\"storage_offset\": {\"as_int\": 0}", "\"storage_offset\": {\"as_int\": 1}",
     QVK_BAD_FORMAT, "does not fit"},
    {"linear.pt2", weights, "\"tensor_meta\"", "\"meta\"", QVK_BAD_FORMAT, "\"tensor_meta\" is missing"},
    {"linear.pt2", weights, "\"use_pickle\": false", "\"use_pickle\": true", QVK_BAD_FORMAT,
     "not a zip archive"},
    {"linear.pt2", weights, "\"path_name\": \"weight_0\"", "\"path_name\": \"custom_obj_0\"", QVK_UNSUPPORTED,
     "fc.weight: a custom object"},
    /* tensor subclasses */
    {"subclass.pt2", model, "\"as_string\": \"qdata\"", "\"as_string\": \"packed\"", QVK_BAD_FORMAT,
     "0.weight has no packed"},
    {"subclass.pt2", model, "torch.ops.export.access_subclass_inner_tensor.default",
     "torch.ops.aten.relu.default", QVK_UNSUPPORTED, "unwrap_tensor_subclass"},
    /* regions */
    {"regions.pt2", model, "wrap_with_set_grad_enabled", "run_twice", QVK_UNSUPPORTED_OPERATOR,
     "torch.ops.higher_order.run_twice"},
    /* samples */
    {"linear.pt2", "data/sample_inputs/model.pt", NULL, "broken", QVK_BAD_FORMAT, "not a zip archive"},
};

static void what_cannot_be_read_is_a_status_with_the_place(void **state)
{
    (void)state;
    for (size_t i = 0; i < QVK__COUNT(refusals); i++) {
        const refusal *r = &refusals[i];
        pt2_expect_failure(r->file, r->entry, r->from, r->to, r->status, r->words);
    }
}

static void expect_text_fails(const char *content, qvk_status status, const char *words)
{
    char *folder = test_temp_dir(), *path = test_path(folder, "file.pt2");
    qvk__exported program;
    qvk_error err;

    test_write_file(path, content, strlen(content));
    assert_int_equal(qvk__pt2_read(path, &program, &err), status);
    assert_non_null(strstr(err.message, words));
    assert_true(qvk__starts_with(err.message, path));
    free(path);
    test_temp_dir_remove(&folder);
}

static void other_files_are_named(void **state)
{
    qvk__exported program;
    qvk_error err;

    (void)state;
    expect_text_fails("", QVK_BAD_FORMAT, "not a zip archive");
    expect_text_fails("PK but no zip archive follows", QVK_BAD_FORMAT, "not a zip archive");
    assert_int_equal(qvk__pt2_read("/nonexistent/file.pt2", &program, &err), QVK_NOT_FOUND);
}

static void deep_json_is_refused(void **state)
{
    enum { DEPTH = 200000 };
    char *deep = malloc(DEPTH + 1);

    (void)state;
    memset(deep, '[', DEPTH);
    deep[DEPTH] = '\0';
    pt2_expect_failure("linear.pt2", model, NULL, deep, QVK_BAD_FORMAT, "models/model.json: line 1");
    free(deep);
}

static void samples_of_other_kinds_are_left_out(void **state)
{
    qvk__exported program;
    uint8_t *data;
    uint64_t bytes;

    (void)state;
    /* An empty entry: exported without. */
    pt2_edited("linear.pt2", "data/sample_inputs/model.pt", NULL, "", &data, &bytes);
    assert_int_equal(qvk__pt2_read_bytes(data, bytes, "edited.pt2", &program, NULL), QVK_OK);
    assert_int_equal(program.samples.count, 0);
    qvk__exported_finish(&program);
    free(data);
}

/* ---- faults -------------------------------------------------------------------------------------------- */

static void reading_survives_every_failed_allocation(void **state)
{
    static const char *const files[] = {"pt2/dynamic.pt2", "pt2/subclass.pt2", "pt2/legacy.pt2",
                                        "pt2/views.pt2"};
    qvk__exported program;
    qvk_error err;

    (void)state;
    for (size_t i = 0; i < QVK__COUNT(files); i++) {
        char *path = test_golden_path(files[i]);
        long granted = 0;
        qvk_status status;
        do {
            test_memory_grant(granted++);
            status = qvk__pt2_read(path, &program, &err);
            if (test_memory_grant_all() == 0)
                break;
            /* Samples and messages may be done without; otherwise it is the one status. */
            if (status == QVK_OK)
                qvk__exported_finish(&program);
            else if (status != QVK_OUT_OF_MEMORY)
                fail_msg("%s, allocation %ld: %s: %s", files[i], granted, qvk_status_name(status),
                         err.message);
        } while (granted < 100000);
        assert_int_equal(status, QVK_OK);
        qvk__exported_finish(&program);
        free(path);
    }
}

/* Every prefix is a file cut short: none is read as a whole one. */
static void cut_files_are_refused(void **state)
{
    char *path = test_golden_path("pt2/linear.pt2");
    size_t n;
    uint8_t *file = test_read_file(path, &n);
    qvk__exported program;

    (void)state;
    for (size_t length = 0; length < n; length += 1 + length / 97) {
        uint8_t *cut = malloc(length + 1);
        memcpy(cut, file, length);
        qvk_status status = qvk__pt2_read_bytes(cut, length, "cut.pt2", &program, NULL);
        assert_int_equal(status, QVK_BAD_FORMAT);
        free(cut);
    }
    free(file);
    free(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden_files_hold_what_torch_says),
        cmocka_unit_test(arguments_are_positional_with_defaults),
        cmocka_unit_test(codes_are_torchs_own),
        cmocka_unit_test(non_finite_floats_are_read),
        cmocka_unit_test(literal_inputs_keep_name_and_value),
        cmocka_unit_test(traces_say_where_in_the_model),
        cmocka_unit_test(dynamic_sizes_have_bounds),
        cmocka_unit_test(unknown_operators_keep_their_declaration),
        cmocka_unit_test(an_operator_with_a_parameter_of_another_version_is_an_unknown_one),
        cmocka_unit_test(weights_are_borrowed_from_the_file),
        cmocka_unit_test(misaligned_archives_are_copied_into_place),
        cmocka_unit_test(buffers_that_are_written_are_mutable),
        cmocka_unit_test(control_flow_is_refused_by_name),
        cmocka_unit_test(what_cannot_be_read_is_a_status_with_the_place),
        cmocka_unit_test(other_files_are_named),
        cmocka_unit_test(deep_json_is_refused),
        cmocka_unit_test(samples_of_other_kinds_are_left_out),
        cmocka_unit_test(reading_survives_every_failed_allocation),
        cmocka_unit_test(cut_files_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
