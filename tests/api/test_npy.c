/* .npy files: written as numpy writes them, read in every version, and refused with a reason. */
#include <stdio.h>

#include "qvk/npy.h"
#include "support/support.h"

enum { HEADER_BYTES = 128, MAX_FILE = 4096 };

/* A file of the given version with this header text, padded as numpy pads it, and n zero bytes of data. */
static size_t make_file(uint8_t *out, int version, const char *header, size_t n)
{
    const size_t prefix = version == 1 ? 10 : 12, text = strlen(header);
    const size_t length = (prefix + text + 1 + 63) / 64 * 64 - prefix;

    memset(out, 0, MAX_FILE);
    memcpy(out, "\x93NUMPY", 6);
    out[6] = (uint8_t)version;
    out[8] = (uint8_t)length;
    out[9] = (uint8_t)(length >> 8);
    memcpy(out + prefix, header, text);
    memset(out + prefix + text, ' ', length - text - 1);
    out[prefix + length - 1] = '\n';
    return prefix + length + n;
}

static void expect_refusal(const char *header, size_t data, qvk_status wanted, const char *words)
{
    static uint8_t file[MAX_FILE];
    const size_t n = make_file(file, 1, header, data);
    qvk_tensor tensor = {0};
    qvk_error err;
    const qvk_status status = qvk_npy_parse(file, n, "in.npy", &tensor, &err);

    if (status != wanted || !strstr(err.message, words) || !strstr(err.message, "in.npy"))
        fail_msg("%s \"%s\" does not say \"%s\"", qvk_status_name(status), status ? err.message : "", words);
    assert_null(tensor.data);
}

static void every_dtype_and_rank_comes_back(void **state)
{
    (void)state;
    static const qvk_dtype dtypes[] = {QVK_DTYPE_F32, QVK_DTYPE_F16, QVK_DTYPE_F64,
                                       QVK_DTYPE_I8,  QVK_DTYPE_U8,  QVK_DTYPE_I16,
                                       QVK_DTYPE_I32, QVK_DTYPE_I64, QVK_DTYPE_BOOL};
    char *dir = test_temp_dir(), *path = test_path(dir, "t.npy");
    test_rng rng = test_rng_seed(5);

    for (size_t i = 0; i < sizeof dtypes / sizeof dtypes[0]; i++) {
        for (int32_t rank = 0; rank <= QVK_MAX_RANK; rank++) {
            uint8_t data[256 * 8];
            qvk_tensor tensor = {.dtype = dtypes[i], .rank = rank, .data = data}, again;
            for (int32_t d = 0; d < rank; d++)
                tensor.sizes[d] = 1 + d % 2;
            test_rng_fill_bytes(&rng, data, sizeof data);
            for (size_t b = 0; b < sizeof data && dtypes[i] == QVK_DTYPE_BOOL; b++)
                data[b] &= 1;
            assert_int_equal(qvk_npy_save(path, &tensor, NULL), QVK_OK);
            assert_int_equal(qvk_npy_load(path, &again, NULL), QVK_OK);
            assert_int_equal(again.dtype, dtypes[i]);
            assert_int_equal(again.rank, rank);
            assert_memory_equal(again.sizes, tensor.sizes, (size_t)rank * sizeof tensor.sizes[0]);
            assert_memory_equal(again.data, data, qvk_tensor_bytes(&tensor));
            qvk_tensor_free(&again);
            assert_null(again.data);
        }
    }
    free(path);
    test_temp_dir_remove(&dir);
}

static void files_are_those_of_numpy(void **state)
{
    (void)state;
    static const struct {
        int32_t rank;
        int64_t sizes[2];
        const char *header;
    } cases[] = {
        {2, {2, 3}, "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }"},
        {1, {3}, "{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }"},
        {0, {0}, "{'descr': '<f4', 'fortran_order': False, 'shape': (), }"},
    };
    char *dir = test_temp_dir(), *path = test_path(dir, "t.npy");
    float numbers[6] = {0};

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        qvk_tensor tensor = {.dtype = QVK_DTYPE_F32, .rank = cases[i].rank, .data = numbers};
        uint8_t expected[MAX_FILE], *written;
        size_t n;

        memcpy(tensor.sizes, cases[i].sizes, sizeof cases[i].sizes);
        assert_int_equal(qvk_npy_save(path, &tensor, NULL), QVK_OK);
        written = test_read_file(path, &n);
        assert_int_equal(n, make_file(expected, 1, cases[i].header, qvk_tensor_bytes(&tensor)));
        assert_int_equal(n, HEADER_BYTES + qvk_tensor_bytes(&tensor));
        assert_memory_equal(written, expected, n);
        free(written);
    }
    free(path);
    test_temp_dir_remove(&dir);
}

static void every_version_is_read(void **state)
{
    (void)state;
    for (int version = 0; version <= 4; version++) {
        static uint8_t file[MAX_FILE];
        /* Keys in another order and other quotes: Python's literals, not one program's habit. */
        const size_t n = make_file(file, version ? version : 1,
                                   "{\"shape\": (2, 2), 'fortran_order': False, 'descr': '<i4'}", 16);
        qvk_tensor tensor;
        qvk_error err;

        file[6] = (uint8_t)version;
        if (version == 0 || version == 4) {
            assert_int_equal(qvk_npy_parse(file, n, NULL, &tensor, &err), QVK_BAD_FORMAT);
            assert_non_null(strstr(err.message, "version"));
            continue;
        }
        assert_int_equal(qvk_npy_parse(file, n, NULL, &tensor, &err), QVK_OK);
        assert_int_equal(tensor.dtype, QVK_DTYPE_I32);
        assert_int_equal(tensor.rank, 2);
        qvk_tensor_free(&tensor);
    }
}

static void odd_headers_are_refused(void **state)
{
    (void)state;
    expect_refusal("{'descr': '<f4', 'fortran_order': True, 'shape': (2,), }", 8, QVK_UNSUPPORTED, "Fortran");
    expect_refusal("{'descr': '>f4', 'fortran_order': False, 'shape': (2,), }", 8, QVK_UNSUPPORTED, ">f4");
    expect_refusal("{'descr': '<c8', 'fortran_order': False, 'shape': (1,), }", 8, QVK_UNSUPPORTED, "<c8");
    expect_refusal("{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,1), }", 4,
                   QVK_UNSUPPORTED, "8 dimensions");
    expect_refusal("{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }", 8, QVK_BAD_FORMAT, "too few");
    expect_refusal("{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387904, 4), }", 8,
                   QVK_BAD_FORMAT, "too few");
    expect_refusal("{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,), }", 8,
                   QVK_BAD_FORMAT, "too large");
    expect_refusal("{'descr': '<f4', 'fortran_order': False, 'shape': (-1,), }", 8, QVK_BAD_FORMAT,
                   "no number");
    expect_refusal("{'descr': '<f4', 'fortran_order': False, 'shape': 2, }", 8, QVK_BAD_FORMAT, "no tuple");
    expect_refusal("{'descr': '<f4', 'fortran_order': 0, 'shape': (2,), }", 8, QVK_BAD_FORMAT,
                   "fortran_order");
    expect_refusal("{'descr': '<f4', 'fortran_order': False, }", 8, QVK_BAD_FORMAT, "lacks");
    expect_refusal("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (2,), }", 8, QVK_BAD_FORMAT,
                   "quoted");
    expect_refusal("{'descr': '<f4', 'colour': 'red', 'shape': (2,), }", 8, QVK_BAD_FORMAT, "unknown entry");
    expect_refusal("{'descr': '<f4', 'fortran_order': False, 'shape': (2,", 8, QVK_BAD_FORMAT, "");
    expect_refusal("nothing", 8, QVK_BAD_FORMAT, "no dictionary");
}

static void booleans_are_zero_or_one(void **state)
{
    (void)state;
    uint8_t file[MAX_FILE];
    const size_t n = make_file(file, 1, "{'descr': '|b1', 'fortran_order': False, 'shape': (3,), }", 3);
    qvk_tensor tensor;

    file[HEADER_BYTES] = 7;
    file[HEADER_BYTES + 2] = 1;
    assert_int_equal(qvk_npy_parse(file, n, NULL, &tensor, NULL), QVK_OK);
    assert_memory_equal(tensor.data, "\1\0\1", 3);
    qvk_tensor_free(&tensor);
}

static void what_numpy_lacks_is_not_written(void **state)
{
    (void)state;
    char *dir = test_temp_dir(), *path = test_path(dir, "t.npy");
    uint16_t data[2] = {0};
    qvk_tensor tensor = {.dtype = QVK_DTYPE_BF16, .rank = 1, .sizes = {2}, .data = data};
    qvk_error err;

    assert_int_equal(qvk_npy_save(path, &tensor, &err), QVK_UNSUPPORTED);
    assert_non_null(strstr(err.message, "bfloat16"));
    tensor.dtype = QVK_DTYPE_F16;
    tensor.data = NULL;
    assert_int_equal(qvk_npy_save(path, &tensor, &err), QVK_INVALID_ARGUMENT);
    assert_int_equal(qvk_npy_load(path, &tensor, &err), QVK_NOT_FOUND);
    assert_non_null(strstr(err.message, "t.npy"));
    assert_int_equal(qvk_npy_load(NULL, &tensor, &err), QVK_INVALID_ARGUMENT);
    test_write_file(path, "", 0);
    assert_int_equal(qvk_npy_load(path, &tensor, &err), QVK_BAD_FORMAT);
    qvk_tensor_free(NULL);
    free(path);
    test_temp_dir_remove(&dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_dtype_and_rank_comes_back), cmocka_unit_test(files_are_those_of_numpy),
        cmocka_unit_test(every_version_is_read),           cmocka_unit_test(odd_headers_are_refused),
        cmocka_unit_test(booleans_are_zero_or_one),        cmocka_unit_test(what_numpy_lacks_is_not_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
