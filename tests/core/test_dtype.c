/* Data types, shapes and half precision: src/core/dtype.c. */
#include <math.h>

#include "core/dtype.h"
#include "support/support.h"

static const qvk_dtype dtypes[] = {
#define DTYPE(NAME, name, bytes, pt2, pte, blob, npy) QVK_DTYPE_##NAME,
    QVK_DTYPE_LIST(DTYPE)
#undef DTYPE
};

static void every_dtype_has_a_name_and_a_size(void **state)
{
    (void)state;
    assert_int_equal(QVK__COUNT(dtypes) + 1, QVK_DTYPE_COUNT);
    for (size_t i = 0; i < QVK__COUNT(dtypes); i++) {
        assert_true(qvk_dtype_bytes(dtypes[i]) >= 1 && qvk_dtype_bytes(dtypes[i]) <= 8);
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(qvk_dtype_name(dtypes[i]), qvk_dtype_name(dtypes[j]));
    }
    assert_string_equal(qvk_dtype_name(QVK_DTYPE_F32), "float32");
    assert_string_equal(qvk_dtype_name(QVK_DTYPE_NONE), "none");
    assert_string_equal(qvk_dtype_name((qvk_dtype)77), "none");
    assert_int_equal(qvk_dtype_bytes(QVK_DTYPE_NONE), 0);
    assert_int_equal(qvk_dtype_bytes((qvk_dtype)-1), 0);
}

static void file_codes_go_there_and_back(void **state)
{
    static const qvk__dtype_format formats[] = {QVK__DTYPE_PT2, QVK__DTYPE_PTE, QVK__DTYPE_BLOB};

    (void)state;
    for (size_t f = 0; f < QVK__COUNT(formats); f++) {
        for (size_t i = 0; i < QVK__COUNT(dtypes); i++) {
            const int code = qvk__dtype_code(dtypes[i], formats[f]);
            if (code >= 0)
                assert_int_equal(qvk__dtype_from_code(code, formats[f]), dtypes[i]);
        }
        assert_int_equal(qvk__dtype_from_code(-1, formats[f]), QVK_DTYPE_NONE);
        assert_int_equal(qvk__dtype_from_code(INT64_MAX, formats[f]), QVK_DTYPE_NONE);
        assert_int_equal(qvk__dtype_code(QVK_DTYPE_NONE, formats[f]), -1);
    }
}

/* torch.export's ScalarType, ExecuTorch's ScalarType and VkDataType number their types differently. */
static void file_codes_are_those_of_the_formats(void **state)
{
    (void)state;
    assert_int_equal(qvk__dtype_code(QVK_DTYPE_F32, QVK__DTYPE_PT2), 7);
    assert_int_equal(qvk__dtype_code(QVK_DTYPE_F32, QVK__DTYPE_PTE), 6);
    assert_int_equal(qvk__dtype_code(QVK_DTYPE_F32, QVK__DTYPE_BLOB), 5);
    assert_int_equal(qvk__dtype_code(QVK_DTYPE_I64, QVK__DTYPE_PTE), 4);
    assert_int_equal(qvk__dtype_code(QVK_DTYPE_BOOL, QVK__DTYPE_BLOB), 0);
    assert_int_equal(qvk__dtype_code(QVK_DTYPE_BF16, QVK__DTYPE_BLOB), -1);
}

static void npy_descriptions_go_there_and_back(void **state)
{
    (void)state;
    for (size_t i = 0; i < QVK__COUNT(dtypes); i++) {
        const char *descr = qvk__dtype_npy(dtypes[i]);
        if (descr != NULL)
            assert_int_equal(qvk__dtype_from_npy(descr, strlen(descr)), dtypes[i]);
    }
    assert_null(qvk__dtype_npy(QVK_DTYPE_BF16));
    assert_int_equal(qvk__dtype_from_npy("<f4' ", 3), QVK_DTYPE_F32); /* a length, not an end */
    assert_int_equal(qvk__dtype_from_npy("<f", 2), QVK_DTYPE_NONE);
    assert_int_equal(qvk__dtype_from_npy(">f4", 3), QVK_DTYPE_NONE);
}

static void elements_and_bytes_of_a_tensor(void **state)
{
    qvk_tensor tensor = {.dtype = QVK_DTYPE_F16, .rank = 3, .sizes = {2, 3, 5}};

    (void)state;
    assert_int_equal(qvk_tensor_numel(&tensor), 30);
    assert_int_equal(qvk_tensor_bytes(&tensor), 60);
    tensor.rank = 0;
    assert_int_equal(qvk_tensor_numel(&tensor), 1);
    tensor.rank = 3;
    tensor.sizes[1] = 0;
    assert_int_equal(qvk_tensor_numel(&tensor), 0);
    assert_int_equal(qvk_tensor_bytes(&tensor), 0);
}

static void impossible_tensors_are_refused(void **state)
{
    qvk_tensor tensor = {.dtype = QVK_DTYPE_F32, .rank = 2, .sizes = {-1, 3}};

    (void)state;
    assert_int_equal(qvk_tensor_numel(&tensor), -1);
    assert_int_equal(qvk_tensor_bytes(&tensor), 0);
    tensor.sizes[0] = INT64_MAX / 2;
    assert_int_equal(qvk_tensor_numel(&tensor), -1);
    tensor.sizes[0] = INT64_MAX / 3;
    assert_int_equal(qvk_tensor_numel(&tensor), INT64_MAX / 3 * 3);
    assert_int_equal(qvk_tensor_bytes(&tensor), 0); /* the bytes overflow */
    tensor.rank = QVK_MAX_RANK + 1;
    assert_int_equal(qvk_tensor_numel(&tensor), -1);
    tensor.rank = -1;
    assert_int_equal(qvk_tensor_numel(&tensor), -1);
}

static void shapes_compare_and_print(void **state)
{
    const qvk_tensor a = {.dtype = QVK_DTYPE_F32, .rank = 2, .sizes = {4, 7, 99}};
    const qvk_tensor b = {.dtype = QVK_DTYPE_I8, .rank = 2, .sizes = {4, 7, 11}};
    const qvk_tensor c = {.dtype = QVK_DTYPE_F32, .rank = 3, .sizes = {4, 7, 1}};
    qvk_tensor largest = {.rank = QVK_MAX_RANK};
    int64_t strides[QVK_MAX_RANK];

    (void)state;
    assert_true(qvk__shape_equal(&a, &b)); /* what stands behind the rank does not count */
    assert_false(qvk__shape_equal(&a, &c));
    assert_string_equal(qvk__shape_text(&c).text, "[4, 7, 1]");
    assert_string_equal(qvk__shape_text(&(qvk_tensor){.rank = 0}).text, "[]");
    for (int i = 0; i < QVK_MAX_RANK; i++)
        largest.sizes[i] = INT64_MIN;
    assert_true(qvk__ends_with(qvk__shape_text(&largest).text, "-9223372036854775808]"));
    qvk__strides(&c, strides);
    assert_int_equal(strides[0], 7);
    assert_int_equal(strides[1], 1);
    assert_int_equal(strides[2], 1);
}

static float float_of_bits(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static uint32_t bits_of_float(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static void every_half_survives_the_way_to_float_and_back(void **state)
{
    (void)state;
    for (uint32_t half = 0; half <= UINT16_MAX; half++) {
        const float value = qvk__f16_to_f32((uint16_t)half);
        const bool is_nan = (half & 0x7c00) == 0x7c00 && (half & 0x3ff) != 0;
        assert_int_equal(isnan(value) != 0, is_nan);
        if (is_nan)
            assert_true(isnan(qvk__f16_to_f32(qvk__f32_to_f16(value))));
        else
            assert_int_equal(qvk__f32_to_f16(value), half);
    }
}

/* Between two neighbouring halves: below the middle down, above it up, the middle to the even one. */
static void floats_round_to_the_nearest_half_and_to_even(void **state)
{
    (void)state;
    for (uint32_t half = 0; half < 0x7bff; half++) {
        const double low = (double)qvk__f16_to_f32((uint16_t)half);
        const double high = (double)qvk__f16_to_f32((uint16_t)(half + 1));
        const float middle = (float)((low + high) / 2); /* exact: it needs one bit more than a half has */
        const uint32_t even = half % 2 == 0 ? half : half + 1;
        assert_int_equal(qvk__f32_to_f16(middle), even);
        assert_int_equal(qvk__f32_to_f16(-middle), even | 0x8000);
        assert_int_equal(qvk__f32_to_f16(nextafterf(middle, -INFINITY)), half);
        assert_int_equal(qvk__f32_to_f16(nextafterf(middle, INFINITY)), half + 1);
    }
}

static void halves_at_the_ends_of_the_range(void **state)
{
    static const struct {
        float value;
        uint16_t half;
    } cases[] = {
        {0.0f, 0x0000},
        {-0.0f, 0x8000},
        {65504.0f, 0x7bff},
        {65519.996f, 0x7bff},
        {65520.0f, 0x7c00},
        {-65520.0f, 0xfc00},
        {1e30f, 0x7c00},
        {INFINITY, 0x7c00},
        {-INFINITY, 0xfc00},
        {0x1p-24f, 0x0001},
        {0x1p-25f, 0x0000},
        {0x1.8p-25f, 0x0001},
        {0x1.8p-24f, 0x0002},
        {0x1p-149f, 0x0000},
        {-0x1p-126f, 0x8000},
        {0x1p-14f, 0x0400},
        {0x1.ff8p-15f, 0x03ff} /* largest subnormal */,
    };

    (void)state;
    for (size_t i = 0; i < QVK__COUNT(cases); i++)
        if (qvk__f32_to_f16(cases[i].value) != cases[i].half)
            fail_msg("%a gives 0x%04x, expected 0x%04x", (double)cases[i].value,
                     (unsigned)qvk__f32_to_f16(cases[i].value), (unsigned)cases[i].half);
    assert_true(isnan(qvk__f16_to_f32(qvk__f32_to_f16(NAN))));
    assert_true(isnan(qvk__f16_to_f32(qvk__f32_to_f16(float_of_bits(0x7f800001)))));
}

static void bfloat16_is_the_upper_half_rounded_to_even(void **state)
{
    (void)state;
    for (uint32_t brain = 0; brain <= UINT16_MAX; brain++) {
        const float value = qvk__bf16_to_f32((uint16_t)brain);
        assert_int_equal(bits_of_float(value), brain << 16);
        if (!isnan(value))
            assert_int_equal(qvk__f32_to_bf16(value), brain);
    }
    assert_int_equal(qvk__f32_to_bf16(float_of_bits(0x3f808000)), 0x3f80);
    assert_int_equal(qvk__f32_to_bf16(float_of_bits(0x3f808001)), 0x3f81);
    assert_int_equal(qvk__f32_to_bf16(float_of_bits(0x3f818000)), 0x3f82);
    assert_int_equal(qvk__f32_to_bf16(float_of_bits(0x7f7fffff)), 0x7f80);
    assert_true(isnan(qvk__bf16_to_f32(qvk__f32_to_bf16(float_of_bits(0x7f800001)))));
    assert_true(isnan(qvk__bf16_to_f32(qvk__f32_to_bf16(float_of_bits(0xffffffff)))));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_dtype_has_a_name_and_a_size),
        cmocka_unit_test(file_codes_go_there_and_back),
        cmocka_unit_test(file_codes_are_those_of_the_formats),
        cmocka_unit_test(npy_descriptions_go_there_and_back),
        cmocka_unit_test(elements_and_bytes_of_a_tensor),
        cmocka_unit_test(impossible_tensors_are_refused),
        cmocka_unit_test(shapes_compare_and_print),
        cmocka_unit_test(every_half_survives_the_way_to_float_and_back),
        cmocka_unit_test(floats_round_to_the_nearest_half_and_to_even),
        cmocka_unit_test(halves_at_the_ends_of_the_range),
        cmocka_unit_test(bfloat16_is_the_upper_half_rounded_to_even),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
