#include <stdio.h>

#include "qvk/version.h"
#include "support/support.h"

static void version_text_is_the_header_and_the_build(void **state)
{
    (void)state;
    char expected[32];
    snprintf(expected, sizeof(expected), "%d.%d.%d", QVK_VERSION_MAJOR, QVK_VERSION_MINOR, QVK_VERSION_PATCH);
    assert_string_equal(qvk_version(), expected);
    assert_string_equal(qvk_version(), QVK_TEST_PROJECT_VERSION);
}

static void compile_half_is_as_configured(void **state)
{
    (void)state;
    assert_int_equal(qvk_has_compiler(), QVK__WITH_COMPILER);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(version_text_is_the_header_and_the_build),
        cmocka_unit_test(compile_half_is_as_configured),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
