/* Reading and inspecting safetensors. */
#include <stdio.h>

#include "pt2/safetensors.h"
#include "support/support.h"

/* A file with this header and `n_data` bytes 0, 1, 2 ... behind it. length < 0: the header's own. */
static qvk_status read_made(const char *header, int64_t length, size_t n_data, qvk__safetensors *out,
                            qvk_error *err)
{
    char *folder = test_temp_dir(), *path = test_path(folder, "model.safetensors");
    size_t n_header = strlen(header), n = 8 + n_header + n_data;
    uint64_t written = length < 0 ? n_header : (uint64_t)length;
    uint8_t *file = malloc(n);
    qvk_status status;

    for (int i = 0; i < 8; i++)
        file[i] = (uint8_t)(written >> (8 * i));
    memcpy(file + 8, header, n_header);
    for (size_t i = 0; i < n_data; i++)
        file[8 + n_header + i] = (uint8_t)i;
    test_write_file(path, file, n);
    status = qvk__safetensors_read(path, out, err);
    if (status != QVK_OK)
        assert_true(qvk__starts_with(err->message, path));
    free(file);
    free(path);
    test_temp_dir_remove(&folder);
    return status;
}

static const char header[] = "{\"__metadata__\": {\"format\": \"pt\"}, "
                             "\"b\": {\"dtype\": \"I8\", \"shape\": [3], \"data_offsets\": [8, 11]}, "
                             "\"a\": {\"dtype\": \"F16\", \"shape\": [2, 2], \"data_offsets\": [0, 8]}, "
                             "\"s\": {\"dtype\": \"F8_E4M3\", \"shape\": [], \"data_offsets\": [11, 12]}}";

static void tensors_are_found_in_place(void **state)
{
    qvk__safetensors file;
    const qvk__safetensor *tensor;
    qvk_error err;

    (void)state;
    assert_int_equal(read_made(header, -1, 12, &file, &err), QVK_OK);
    assert_int_equal(file.tensors.count, 3);
    assert_string_equal(file.tensors.data[0].name, "b");
    tensor = qvk__safetensors_find(&file, "b");
    assert_int_equal(tensor->tensor.dtype, QVK_DTYPE_I8);
    assert_int_equal(tensor->bytes, 3);
    assert_int_equal(((const uint8_t *)tensor->tensor.data)[2], 10);
    tensor = qvk__safetensors_find(&file, "a");
    assert_int_equal(tensor->tensor.rank, 2);
    assert_int_equal(((const uint8_t *)tensor->tensor.data)[0], 0);
    tensor = qvk__safetensors_find(&file, "s");
    assert_int_equal(tensor->tensor.dtype, QVK_DTYPE_NONE);
    assert_string_equal(tensor->dtype_name, "F8_E4M3");
    assert_null(qvk__safetensors_find(&file, "c"));
    qvk__safetensors_finish(&file);
}

static void printed_for_people_and_programs(void **state)
{
    qvk__string text = {0}, json = {0};
    qvk__safetensors file;
    qvk_error err;

    (void)state;
    assert_int_equal(read_made(header, -1, 12, &file, &err), QVK_OK);
    qvk__safetensors_print(&file, &text);
    qvk__safetensors_print_json(&file, &json);
    assert_string_equal(text.data, "safetensors: 3 tensors, 12 bytes\n"
                                   "  format: pt\n"
                                   "  b: I8[3], 3 bytes\n"
                                   "  a: F16[2, 2], 8 bytes\n"
                                   "  s: F8_E4M3[], 1 bytes\n");
    assert_string_equal(
        json.data,
        "{\"format\": \"safetensors\", \"bytes\": 12, \"metadata\": {\"format\": \"pt\"}, \"tensors\": ["
        "{\"name\": \"b\", \"dtype\": \"I8\", \"shape\": [3], \"bytes\": 3}, "
        "{\"name\": \"a\", \"dtype\": \"F16\", \"shape\": [2, 2], \"bytes\": 8}, "
        "{\"name\": \"s\", \"dtype\": \"F8_E4M3\", \"shape\": [], \"bytes\": 1}]}\n");
    free(text.data);
    free(json.data);
    qvk__safetensors_finish(&file);
}

static void broken_files_are_refused(void **state)
{
#define ONE(dtype, shape, offsets)                                                                           \
    "{\"x\": {\"dtype\": " dtype ", \"shape\": " shape ", \"data_offsets\": " offsets "}}"
    static const struct {
        const char *header;
        int64_t length;
        qvk_status status;
        const char *words;
    } cases[] = {
        {"{}", 11, QVK_BAD_FORMAT, "cut short"},
        {"{}", INT64_MAX, QVK_BAD_FORMAT, "cut short"},
        {"[", -1, QVK_BAD_FORMAT, "line 1"},
        {ONE("\"F32\"", "[2]", "[0, 8]"), -1, QVK_OK, ""},
        {ONE("\"F32\"", "[2]", "[0, 7]"), -1, QVK_BAD_FORMAT, "x.data_offsets: 7 bytes for F32[2]"},
        {ONE("\"F32\"", "[2]", "[8, 0]"), -1, QVK_BAD_FORMAT, "outside the file's 8 bytes"},
        {ONE("\"F32\"", "[3]", "[0, 12]"), -1, QVK_BAD_FORMAT, "outside the file's 8 bytes"},
        {ONE("\"F32\"", "[2]", "[-8, 0]"), -1, QVK_BAD_FORMAT, "outside"},
        {ONE("\"F32\"", "[2]", "[0]"), -1, QVK_BAD_FORMAT, "two numbers expected"},
        {ONE("\"F32\"", "[-2]", "[0, 8]"), -1, QVK_BAD_FORMAT, "the shape is impossible"},
        {ONE("\"F32\"", "[4611686018427387904, 4611686018427387904]", "[0, 8]"), -1, QVK_BAD_FORMAT,
         "the shape is impossible"},
        {ONE("\"F32\"", "[2305843009213693952]", "[0, 0]"), -1, QVK_BAD_FORMAT, "0 bytes for F32"},
        {ONE("\"F4\"", "[3]", "[0, 1]"), -1, QVK_BAD_FORMAT, "1 bytes for F4[3]"},
        {ONE("\"F32\"", "[1,1,1,1,1,1,1,1,2]", "[0, 8]"), -1, QVK_UNSUPPORTED, "9 dimensions"},
        {ONE("\"Q4\"", "[2]", "[0, 8]"), -1, QVK_UNSUPPORTED, "dtype Q4"},
        {ONE("7", "[2]", "[0, 8]"), -1, QVK_BAD_FORMAT, "x.dtype: a string expected"},
        {"{\"x\": 1}", -1, QVK_BAD_FORMAT, "\"dtype\" is missing"},
    };
#undef ONE

    (void)state;
    for (size_t i = 0; i < QVK__COUNT(cases); i++) {
        qvk__safetensors file;
        qvk_error err = {.message = ""};
        qvk_status status = read_made(cases[i].header, cases[i].length, 8, &file, &err);
        if (status != cases[i].status || !strstr(err.message, cases[i].words))
            fail_msg("%s: %s: %s", cases[i].header, qvk_status_name(status), err.message);
        if (status == QVK_OK)
            qvk__safetensors_finish(&file);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tensors_are_found_in_place),
        cmocka_unit_test(printed_for_people_and_programs),
        cmocka_unit_test(broken_files_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
