/* Which device a text names; no device needed. */
#include "gpu/gpu_vulkan.h"
#include "support/support.h"

static const qvk__gpu_caps devices[] = {
    {.name = "NVIDIA GeForce RTX 4090",
     .uuid = {0x12, 0x34, 0xab, 0xcd, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}},
    {.name = "NVIDIA GeForce RTX 3060", .uuid = {0xff}},
    {.name = "llvmpipe (LLVM 15.0.6, 256 bits)", .uuid = {0xee}},
};

/* -1: none. */
static int choose(const char *wanted, qvk_error *err)
{
    const qvk__gpu_caps *list[] = {&devices[0], &devices[1], &devices[2]};
    uint32_t index = 77;
    qvk_status status = qvk__gpu_choose(list, QVK__COUNT(list), wanted, &index, err);
    if (status == QVK_OK)
        return (int)index;
    assert_int_equal(status, QVK_NO_DEVICE);
    assert_int_equal(index, 77);
    return -1;
}

static void nothing_wanted_is_the_best(void **state)
{
    (void)state;
    assert_int_equal(choose(NULL, NULL), 0);
    assert_int_equal(choose("", NULL), 0);
}

static void an_index_is_in_the_listed_order(void **state)
{
    (void)state;
    assert_int_equal(choose("0", NULL), 0);
    assert_int_equal(choose("2", NULL), 2);
    assert_int_equal(choose("7", NULL), -1);
    assert_int_equal(choose("99999999999999999999", NULL), -1);
}

static void a_part_of_the_name_in_any_case(void **state)
{
    (void)state;
    assert_int_equal(choose("nvidia", NULL), 0);
    assert_int_equal(choose("rtx 3060", NULL), 1);
    assert_int_equal(choose("LLVMPIPE", NULL), 2);
    assert_int_equal(choose("4090", NULL), 0); /* too big to be an index */
    assert_int_equal(choose("radeon", NULL), -1);
    assert_int_equal(choose("RTX 30600", NULL), -1);
}

static void a_uuid_with_and_without_dashes(void **state)
{
    (void)state;
    assert_int_equal(choose("1234abcd-0001-0203-0405-060708090a0b", NULL), 0);
    assert_int_equal(choose("1234ABCD00010203040506070809_0A0B", NULL), -1);
    assert_int_equal(choose("1234ABCD000102030405060708090A0B", NULL), 0);
    assert_int_equal(choose("ff000000-0000-0000-0000-000000000000", NULL), 1);
    assert_int_equal(choose("fe000000-0000-0000-0000-000000000000", NULL), -1);
    assert_int_equal(choose("ff000000-0000-0000-0000-0000000000000", NULL), -1); /* a digit too many */
}

static void the_message_lists_what_there_is(void **state)
{
    (void)state;
    qvk_error err;
    assert_int_equal(choose("radeon", &err), -1);
    assert_non_null(strstr(err.message, "\"radeon\""));
    assert_non_null(strstr(err.message, "0: NVIDIA GeForce RTX 4090"));
    assert_non_null(strstr(err.message, "2: llvmpipe"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_wanted_is_the_best),      cmocka_unit_test(an_index_is_in_the_listed_order),
        cmocka_unit_test(a_part_of_the_name_in_any_case),  cmocka_unit_test(a_uuid_with_and_without_dashes),
        cmocka_unit_test(the_message_lists_what_there_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
