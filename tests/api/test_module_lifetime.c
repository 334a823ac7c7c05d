/* Modules come and go without leaving anything behind: on the CPU, and on a device where there is one. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "qvk/qvk.h"
#include "support/support.h"

enum { WARM_UP = 20, ROUNDS = 200 };
/* Drivers and the allocator keep a little; 200 modules that stayed would be tens of MiB. */
static const long FLAT_BYTES = 4l << 20;

/* There only under the address sanitizer, which keeps freed memory resident for a while. */
extern size_t __sanitizer_get_current_allocated_bytes(void) __attribute__((weak));

/* Of this process: allocated bytes where a sanitizer counts them, else what is resident. */
static long used_bytes(void)
{
    long total = 0, resident = 0;
    FILE *file;

    if (__sanitizer_get_current_allocated_bytes)
        return (long)__sanitizer_get_current_allocated_bytes();
    file = fopen("/proc/self/statm", "r");
    if (!file)
        return -1;
    if (fscanf(file, "%ld %ld", &total, &resident) != 2)
        resident = -1;
    fclose(file);
    return resident < 0 ? -1 : resident * sysconf(_SC_PAGESIZE);
}

static void load_and_run(qvk_context *context, const char *path, const qvk_value *input)
{
    qvk_module *module = NULL;
    qvk_value output = {0};
    qvk_error error;

    if (qvk_module_load(context, path, NULL, &module, &error) != QVK_OK ||
        qvk_module_forward(module, NULL, input, 1, &output, 1, &error) != QVK_OK)
        fail_msg("%s", error.message);
    qvk_module_destroy(&module);
}

static void memory_stays_flat(const char *device)
{
    const qvk_context_params params = {.device = device};
    char *path = test_golden_path("cases/linear_1_8da4w_g32.pte");
    char *input_path = test_golden_path("cases/linear_1_8da4w_g32.in_0.npy");
    qvk_context *context = NULL;
    qvk_value input = {.kind = QVK_VALUE_TENSOR};
    qvk_error error;
    long before;

    if (qvk_context_create(&params, &context, &error) != QVK_OK) {
        free(path);
        free(input_path);
        assert_int_equal(error.status, QVK_NO_DEVICE);
        skip();
    }
    assert_int_equal(qvk_npy_load(input_path, &input.tensor, &error), QVK_OK);
    for (int i = 0; i < WARM_UP; i++)
        load_and_run(context, path, &input);
    before = used_bytes();
    for (int i = 0; i < ROUNDS; i++)
        load_and_run(context, path, &input);
    if (before >= 0)
        assert_in_range(used_bytes(), 0, before + FLAT_BYTES);
    qvk_tensor_free(&input.tensor);
    qvk_context_destroy(&context);
    free(path);
    free(input_path);
}

static void stays_flat_on_the_cpu(void **state)
{
    (void)state;
    memory_stays_flat("cpu");
}

static void stays_flat_on_a_device(void **state)
{
    (void)state;
    memory_stays_flat(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stays_flat_on_the_cpu),
        cmocka_unit_test(stays_flat_on_a_device),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
