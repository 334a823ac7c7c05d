/* The kernel table and the sums every planner relies on. */
#include "core/dtype.h"
#include "kernels/kernels.h"
#include "support/support.h"

static void check_fold(uint32_t x, uint32_t y, uint64_t n)
{
    const qvk__gpu_caps caps = {.max_group_count = {x, y, 65535}};
    uint32_t groups[3];
    uint64_t total;

    qvk__fold_groups(&caps, n, groups);
    total = (uint64_t)groups[0] * groups[1] * groups[2];
    assert_true(groups[0] <= x && groups[1] <= y && groups[1] >= 1 && groups[2] >= 1);
    assert_true(total >= n);
    /* Less than a row is wasted. */
    assert_true(total - n <= (uint64_t)groups[1] * groups[2]);
}

static void groups_fold_within_the_limits(void **state)
{
    static const uint64_t counts[] = {0, 1, 7, 8, 9, 63, 64, 65, 127, 128, 1000, 12345};

    (void)state;
    for (size_t i = 0; i < QVK__COUNT(counts); i++) {
        check_fold(65535, 65535, counts[i]);
        check_fold(8, 8, counts[i]);
        check_fold(8, 2, counts[i]);
    }
    check_fold(65535, 65535, 65536);
    check_fold(65535, 65535, 5000000000u);
}

static void tensors_are_padded_to_16_bytes(void **state)
{
    const qvk_tensor bytes = {QVK_DTYPE_I8, 1, {17}, NULL}, wide = {QVK_DTYPE_I64, 1, {4}, NULL},
                     none = {QVK_DTYPE_F32, 1, {0}, NULL};

    (void)state;
    assert_int_equal(qvk__device_bytes(&bytes), 32);
    assert_int_equal(qvk__device_bytes(&wide), 16);
    assert_int_equal(qvk__device_bytes(&none), 0);
}

static void kernels_have_names(void **state)
{
    (void)state;
    for (int i = 0; i < QVK__KERNEL_COUNT; i++) {
        const char *name = qvk__kernel_name((qvk__kernel)i);
        assert_true(*name != '\0');
        for (; *name; name++)
            assert_false(*name >= 'A' && *name <= 'Z');
        assert_true(qvk__kernel_info_of((qvk__kernel)i)->n_buffers <= QVK__GPU_MAX_BINDINGS);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(groups_fold_within_the_limits),
        cmocka_unit_test(tensors_are_padded_to_16_bytes),
        cmocka_unit_test(kernels_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
