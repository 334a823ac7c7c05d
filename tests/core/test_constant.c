/* Bytes of constants: src/core/constant.c. */
#include "core/graph.h"
#include "support/support.h"

static void present_bytes_are_borrowed(void **state)
{
    static const uint8_t data[] = {1, 2, 3, 4};
    const qvk__constant constant = {.data = data, .bytes = sizeof data};
    const void *bytes = NULL;

    (void)state;
    assert_int_equal(qvk__constant_bytes(&constant, &bytes, NULL), QVK_OK);
    assert_ptr_equal(bytes, data);
    qvk__constant_release(&constant, bytes); /* frees nothing */
    assert_int_equal(data[3], 4);
}

static void strided_views_are_gathered(void **state)
{
    /* The transpose of storage[1:] seen as [2, 3]: element (i, j) at 1 + i + 3 * j. */
    static const int32_t storage[] = {-1, 10, 11, 12, 20, 21, 22};
    static const int32_t expected[] = {10, 20, 11, 21, 12, 22};
    const qvk__constant constant = {
        .data = storage,
        .bytes = sizeof expected,
        .strided = true,
        .rank = 2,
        .sizes = {3, 2},
        .strides = {1, 3},
        .storage_offset = 1,
        .element_bytes = sizeof(int32_t),
    };
    const void *bytes = NULL;

    (void)state;
    assert_int_equal(qvk__constant_bytes(&constant, &bytes, NULL), QVK_OK);
    assert_memory_equal(bytes, expected, sizeof expected);
    qvk__constant_release(&constant, bytes);
}

static void stride_zero_repeats(void **state)
{
    static const uint8_t storage[] = {7, 9};
    static const uint8_t expected[] = {7, 7, 7, 9, 9, 9};
    const qvk__constant constant = {
        .data = storage,
        .bytes = sizeof expected,
        .strided = true,
        .rank = 2,
        .sizes = {2, 3},
        .strides = {1, 0},
        .element_bytes = 1,
    };
    const void *bytes = NULL;

    (void)state;
    assert_int_equal(qvk__constant_bytes(&constant, &bytes, NULL), QVK_OK);
    assert_memory_equal(bytes, expected, sizeof expected);
    qvk__constant_release(&constant, bytes);
}

static qvk_status fill_with(const qvk__constant *constant, void *dst, qvk_error *err)
{
    const uint8_t *value = constant->fill_context;

    QVK__CHECK(*value != 0, err, QVK_IO, "weights.bin: cannot be read");
    memset(dst, *value, (size_t)constant->bytes);
    return QVK_OK;
}

static void bytes_on_demand_are_made_each_time(void **state)
{
    static const uint8_t value = 0x5a;
    const qvk__constant constant = {.bytes = 3, .fill = fill_with, .fill_context = &value};
    const void *first = NULL, *second = NULL;

    (void)state;
    assert_int_equal(qvk__constant_bytes(&constant, &first, NULL), QVK_OK);
    assert_int_equal(qvk__constant_bytes(&constant, &second, NULL), QVK_OK);
    assert_memory_equal(first, "ZZZ", 3);
    assert_ptr_not_equal(first, second);
    qvk__constant_release(&constant, first);
    qvk__constant_release(&constant, second);
    qvk__constant_release(&constant, NULL);
}

/* Row r of a table whose elements count up. */
static qvk_status fill_counting(const qvk__constant *constant, uint64_t begin, uint64_t end, void *dst,
                                qvk_error *err)
{
    const uint64_t *bad_row = constant->fill_context;
    uint8_t *out = dst;

    QVK__CHECK(*bad_row < begin || *bad_row >= end, err, QVK_IO, "row %d cannot be read", (int)*bad_row);
    for (uint64_t i = begin * constant->row_bytes; i < end * constant->row_bytes; i++)
        *out++ = (uint8_t)(i * 7);
    return QVK_OK;
}

static void rows_on_demand_are_put_together(void **state)
{
    enum { ROWS = 1000, ROW_BYTES = 3 };
    uint64_t bad_row = ROWS;
    const qvk__constant constant = {.bytes = ROWS * ROW_BYTES,
                                    .row_bytes = ROW_BYTES,
                                    .fill_rows = fill_counting,
                                    .fill_context = &bad_row};
    const void *bytes = NULL;
    qvk_error err;

    (void)state;
    assert_int_equal(qvk__constant_bytes(&constant, &bytes, NULL), QVK_OK);
    for (int i = 0; i < ROWS * ROW_BYTES; i++)
        assert_int_equal(((const uint8_t *)bytes)[i], (uint8_t)(i * 7));
    qvk__constant_release(&constant, bytes);
    bad_row = 777;
    assert_int_equal(qvk__constant_bytes(&constant, &bytes, &err), QVK_IO);
    assert_string_equal(err.message, "row 777 cannot be read");
}

static void failing_source_is_passed_on(void **state)
{
    static const uint8_t value = 0;
    const qvk__constant constant = {.bytes = 3, .fill = fill_with, .fill_context = &value};
    const void *bytes = NULL;
    qvk_error err;

    (void)state;
    assert_int_equal(qvk__constant_bytes(&constant, &bytes, &err), QVK_IO);
    assert_string_equal(err.message, "weights.bin: cannot be read");
    assert_null(bytes);
}

static void impossible_size_is_out_of_memory(void **state)
{
    static const uint8_t value = 1;
    const qvk__constant constant = {
        .name = "layers.0.weight", .bytes = UINT64_MAX / 2, .fill = fill_with, .fill_context = &value};
    const void *bytes = NULL;
    qvk_error err;

    (void)state;
    assert_int_equal(qvk__constant_bytes(&constant, &bytes, &err), QVK_OUT_OF_MEMORY);
    assert_non_null(strstr(err.message, "layers.0.weight"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(present_bytes_are_borrowed),
        cmocka_unit_test(strided_views_are_gathered),
        cmocka_unit_test(stride_zero_repeats),
        cmocka_unit_test(bytes_on_demand_are_made_each_time),
        cmocka_unit_test(rows_on_demand_are_put_together),
        cmocka_unit_test(failing_source_is_passed_on),
        cmocka_unit_test(impossible_size_is_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
