/* An application with a Vulkan loader of its own (volk, for example) links the static library: the names
 * below are its variables and functions. The link of this program is half of the test. */
#include "gpu/gpu.h"
#include "support/support.h"

#define APPLICATION_FUNCTIONS(X)                                                                             \
    X(vkGetInstanceProcAddr)                                                                                 \
    X(vkGetDeviceProcAddr)                                                                                   \
    X(vkCreateInstance)                                                                                      \
    X(vkDestroyInstance)                                                                                     \
    X(vkEnumeratePhysicalDevices)                                                                            \
    X(vkCreateDevice)                                                                                        \
    X(vkQueueSubmit)                                                                                         \
    X(vkAllocateMemory)                                                                                      \
    X(vkCmdDispatch)

#define DECLARE(name) extern void *name;
APPLICATION_FUNCTIONS(DECLARE)
#define DEFINE(name) void *name;
APPLICATION_FUNCTIONS(DEFINE)

int volkInitialize(void);
int volkInitialize(void)
{
    fail_msg("the library called the application's volkInitialize");
    return 0;
}

static void the_library_opens_its_own_loader(void **state)
{
    (void)state;
    qvk__gpu *gpu = NULL;
    qvk_error err;
    if (qvk__gpu_create(NULL, &gpu, &err) != QVK_OK)
        fail_msg("%s", err.message);
    qvk__gpu_destroy(&gpu);
#define UNTOUCHED(name) assert_null(name);
    APPLICATION_FUNCTIONS(UNTOUCHED)
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_library_opens_its_own_loader)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
