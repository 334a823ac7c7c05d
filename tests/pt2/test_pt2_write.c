/* Writing exported programs: what is read again is the same; shared storages; constants made on demand;
 * faults. */
#include <stdio.h>
#include <unistd.h>

#include "core/dtype.h"
#include "pt2/pt2.h"
#include "pt2/pt2_kit.h"
#include "support/support.h"

static const char *const golden[] = {"linear",  "tied",    "views",    "dynamic", "unbounded",
                                     "conv_bn", "scalars", "regions",  "cache",   "cache_functional",
                                     "lists",   "half",    "subclass", "legacy",  "legacy_oldest"};

/* Writes and reads again; the caller finishes the result. */
static qvk__exported round_trip(const qvk__exported *program)
{
    char *folder = test_temp_dir(), *path = test_path(folder, "again.pt2");
    qvk__exported again;
    qvk_error err = {.message = ""};

    assert_int_equal(qvk__pt2_write(program, path, &err), QVK_OK);
    assert_string_equal(err.message, "");
    assert_int_equal(qvk__pt2_read(path, &again, &err), QVK_OK);
    free(path);
    test_temp_dir_remove(&folder); /* still mapped */
    return again;
}

/* The listing with names of operators, arguments and traces. */
static char *listing(const qvk__exported *program)
{
    qvk__string out = {0};

    qvk__exported_print_json(program, true, &out);
    assert_false(out.failed);
    return out.data;
}

static void golden_files_come_back_the_same(void **state)
{
    (void)state;
    for (size_t i = 0; i < QVK__COUNT(golden); i++) {
        char file[64];
        snprintf(file, sizeof file, "%s.pt2", golden[i]);
        qvk__exported program = pt2_golden(file), again = round_trip(&program);
        char *facts = pt2_facts(&program), *facts_again = pt2_facts(&again);
        char *text = listing(&program), *text_again = listing(&again);
        assert_string_equal(facts, facts_again);
        assert_string_equal(text, text_again);
        assert_int_equal(program.inputs.count, again.inputs.count);
        for (size_t k = 0; k < program.inputs.count; k++) {
            assert_int_equal(program.inputs.data[k].requires_grad, again.inputs.data[k].requires_grad);
            assert_int_equal(program.inputs.data[k].persistent, again.inputs.data[k].persistent);
        }
        if (program.in_spec)
            assert_string_equal(program.in_spec, again.in_spec);
        free(facts);
        free(facts_again);
        free(text);
        free(text_again);
        qvk__exported_finish(&program);
        qvk__exported_finish(&again);
    }
}

static void writing_twice_gives_the_same_bytes(void **state)
{
    qvk__exported program = pt2_golden("views.pt2");
    char *folder = test_temp_dir(), *first = test_path(folder, "a.pt2"), *second = test_path(folder, "b.pt2");
    size_t n_first, n_second;

    (void)state;
    assert_int_equal(qvk__pt2_write(&program, first, NULL), QVK_OK);
    assert_int_equal(rename(first, second), 0);
    uint8_t *a = test_read_file(second, &n_first);
    assert_int_equal(qvk__pt2_write(&program, first, NULL), QVK_OK);
    uint8_t *b = test_read_file(first, &n_second);
    assert_int_equal(n_first, n_second);
    assert_memory_equal(a, b, n_first);
    free(a);
    free(b);
    free(first);
    free(second);
    test_temp_dir_remove(&folder);
    qvk__exported_finish(&program);
}

static size_t count_entries(const char *path, const char *prefix)
{
    size_t n, count = 0;
    uint8_t *file = test_read_file(path, &n);
    qvk__arena arena = {0};
    qvk__zip zip;

    assert_int_equal(qvk__zip_open(file, n, path, &arena, &zip, NULL), QVK_OK);
    for (size_t i = 0; i < zip.entries.count; i++) {
        assert_int_equal((zip.entries.data[i].data - file) % 64, 0); /* as torch aligns them */
        count += qvk__starts_with(zip.entries.data[i].name + strlen(zip.root), prefix);
    }
    qvk__zip_close(&zip);
    qvk__arena_free(&arena);
    free(file);
    return count;
}

static void views_of_one_storage_stay_one_file(void **state)
{
    static const struct {
        const char *name;
        size_t weights, constants;
    } files[] = {{"views.pt2", 1, 1}, {"tied.pt2", 1, 0}, {"linear.pt2", 2, 0}};
    char *folder = test_temp_dir(), *path = test_path(folder, "again.pt2");

    (void)state;
    for (size_t i = 0; i < QVK__COUNT(files); i++) {
        qvk__exported program = pt2_golden(files[i].name);
        assert_int_equal(qvk__pt2_write(&program, path, NULL), QVK_OK);
        assert_int_equal(count_entries(path, "data/weights/weight_"), files[i].weights);
        assert_int_equal(count_entries(path, "data/constants/tensor_"), files[i].constants);
        qvk__exported_finish(&program);
    }
    free(path);
    test_temp_dir_remove(&folder);
}

/* ---- constants made on demand -------------------------------------------------------------------------- */

static int fills;

static qvk_status fill_pattern(const qvk__constant *constant, void *dst, qvk_error *err)
{
    (void)err;
    fills++;
    for (uint64_t i = 0; i < constant->bytes; i++)
        ((uint8_t *)dst)[i] = (uint8_t)(i * *(const int *)constant->fill_context);
    return QVK_OK;
}

static qvk_status refuse_to_fill(const qvk__constant *constant, void *dst, qvk_error *err)
{
    (void)dst;
    return qvk__fail(err, QVK_INVALID_ARGUMENT, "%s: NaN among the weights", constant->name);
}

static void constants_are_made_once_while_writing(void **state)
{
    static const int step = 3;
    static const qvk_tensor desc = {.dtype = QVK_DTYPE_I8, .rank = 2, .sizes = {5, 7}};
    qvk__exported program = pt2_golden("linear.pt2");
    qvk__constant constant = {.bytes = 35, .name = "made", .fill = fill_pattern, .fill_context = &step};
    const void *bytes;

    (void)state;
    assert_true(
        qvk__exported_add_constant(&program, QVK__INPUT_PARAMETER, "p_made", "made", &desc, &constant) >= 0);
    assert_true(
        qvk__exported_add_constant(&program, QVK__INPUT_PARAMETER, "p_same", "same", &desc, &constant) >= 0);
    fills = 0;
    qvk__exported again = round_trip(&program);
    assert_int_equal(fills, 1);
    const qvk__constant *made = again.graph.values.data[again.inputs.data[2].value].constant;
    assert_string_equal(again.inputs.data[2].target, "made");
    assert_ptr_equal(made, again.graph.values.data[again.inputs.data[3].value].constant);
    assert_int_equal(qvk__constant_bytes(made, &bytes, NULL), QVK_OK);
    for (int i = 0; i < 35; i++)
        assert_int_equal(((const uint8_t *)bytes)[i], (uint8_t)(3 * i));
    qvk__constant_release(made, bytes);
    qvk__exported_finish(&again);
    qvk__exported_finish(&program);
}

/* ---- failures ------------------------------------------------------------------------------------------ */

static void a_failed_write_leaves_the_old_file(void **state)
{
    static const qvk_tensor desc = {.dtype = QVK_DTYPE_I8, .rank = 1, .sizes = {4}};
    qvk__exported program = pt2_golden("linear.pt2");
    qvk__constant constant = {.bytes = 4, .name = "bad", .fill = refuse_to_fill};
    char *folder = test_temp_dir(), *path = test_path(folder, "old.pt2");
    qvk_error err;
    size_t n;

    (void)state;
    assert_true(qvk__exported_add_constant(&program, QVK__INPUT_BUFFER, "b_bad", "bad", &desc, &constant) >=
                0);
    test_write_file(path, "old", 3);
    assert_int_equal(qvk__pt2_write(&program, path, &err), QVK_INVALID_ARGUMENT);
    assert_non_null(strstr(err.message, "bad: NaN among the weights"));
    assert_true(qvk__starts_with(err.message, path));
    uint8_t *file = test_read_file(path, &n);
    assert_int_equal(n, 3);
    assert_memory_equal(file, "old", 3);
    free(file);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(folder), 0); /* no temporary file either */
    free(path);
    free(folder);
    qvk__exported_finish(&program);
}

static void a_broken_program_is_not_written(void **state)
{
    qvk__exported program = pt2_golden("linear.pt2");
    char *folder = test_temp_dir(), *path = test_path(folder, "new.pt2");
    qvk_error err;

    (void)state;
    program.graph.nodes.data[1].args[0].u.value = program.graph.nodes.data[1].outs[0];
    assert_int_equal(qvk__pt2_write(&program, path, &err), QVK_BAD_FORMAT);
    assert_int_equal(access(path, F_OK), -1);
    assert_int_equal(qvk__pt2_write(&program, "/nonexistent/folder/new.pt2", &err), QVK_BAD_FORMAT);
    program.graph.nodes.data[1].args[0].u.value = program.graph.nodes.data[0].outs[0];
    assert_int_equal(qvk__pt2_write(&program, "/nonexistent/folder/new.pt2", &err), QVK_IO);
    free(path);
    test_temp_dir_remove(&folder);
    qvk__exported_finish(&program);
}

static void writing_survives_every_failed_allocation(void **state)
{
    static const char *const files[] = {"dynamic.pt2", "views.pt2", "scalars.pt2"};
    char *folder = test_temp_dir(), *path = test_path(folder, "new.pt2");

    (void)state;
    for (size_t i = 0; i < QVK__COUNT(files); i++) {
        qvk__exported program = pt2_golden(files[i]);
        qvk_status status;
        qvk_error err;
        for (long granted = 0; granted < 100000; granted++) {
            test_memory_grant(granted);
            status = qvk__pt2_write(&program, path, &err);
            if (test_memory_grant_all() == 0)
                break;
            if (status != QVK_OUT_OF_MEMORY && status != QVK_OK)
                fail_msg("%s, allocation %ld: %s: %s", files[i], granted, qvk_status_name(status),
                         err.message);
            assert_int_equal(access(path, F_OK), status == QVK_OK ? 0 : -1);
            unlink(path);
        }
        assert_int_equal(status, QVK_OK);
        unlink(path);
        qvk__exported_finish(&program);
    }
    free(path);
    test_temp_dir_remove(&folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden_files_come_back_the_same),
        cmocka_unit_test(writing_twice_gives_the_same_bytes),
        cmocka_unit_test(views_of_one_storage_stay_one_file),
        cmocka_unit_test(constants_are_made_once_while_writing),
        cmocka_unit_test(a_failed_write_leaves_the_old_file),
        cmocka_unit_test(a_broken_program_is_not_written),
        cmocka_unit_test(writing_survives_every_failed_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
