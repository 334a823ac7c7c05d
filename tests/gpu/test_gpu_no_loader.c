/* A machine without libvulkan: this program's dlopen finds nothing. */
#include <dlfcn.h>

#include "gpu/gpu.h"
#include "support/support.h"

static int asked;

void *dlopen(const char *name, int flags)
{
    (void)flags;
    if (name && strstr(name, "vulkan"))
        asked++;
    return NULL;
}

static void it_is_a_status_with_a_hint(void **state)
{
    (void)state;
    qvk_error err;
    qvk__gpu *gpu = NULL;
    uint32_t n = 0;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(qvk__gpu_create(NULL, &gpu, &err), QVK_NO_DEVICE);
        assert_int_equal(qvk__gpu_enumerate(NULL, NULL, &n, NULL), QVK_NO_DEVICE);
    }
    assert_non_null(strstr(err.message, "libvulkan"));
    assert_non_null(strstr(err.message, "install"));
    assert_true(asked >= 4); /* it is looked for each time: it may have been installed in between */
    assert_null(gpu);
}

static void the_null_device_works(void **state)
{
    (void)state;
    qvk__gpu *gpu = NULL;
    const qvk__gpu_params params = {.null_device = true};
    assert_int_equal(qvk__gpu_create(&params, &gpu, NULL), QVK_OK);
    qvk__gpu_destroy(&gpu);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_a_status_with_a_hint),
        cmocka_unit_test(the_null_device_works),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
