/* Contexts and modules: loading, information, threads, life times, and every complaint about the caller. */
#include <pthread.h>
#include <stdio.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "qvk/qvk.h"
#include "support/support.h"

static qvk_context *open_context(const char *device)
{
    const qvk_context_params params = {.device = device};
    qvk_context *context = NULL;
    qvk_error error;
    if (qvk_context_create(&params, &context, &error) != QVK_OK)
        fail_msg("%s", error.message);
    return context;
}

static qvk_module *open_module(qvk_context *context, const char *name)
{
    char *path = test_golden_path(name);
    qvk_module *module = NULL;
    qvk_error error;
    if (qvk_module_load(context, path, NULL, &module, &error) != QVK_OK)
        fail_msg("%s", error.message);
    free(path);
    return module;
}

static qvk_value open_input(const char *name)
{
    char *path = test_golden_path(name);
    qvk_value input = {.kind = QVK_VALUE_TENSOR};
    qvk_error error;
    if (qvk_npy_load(path, &input.tensor, &error) != QVK_OK)
        fail_msg("%s", error.message);
    free(path);
    return input;
}

static const char *const linear = "cases/linear_0_4w_g32.pte", *const linear_input =
                                                                   "cases/linear_0_4w_g32.in_0.npy";

/* ---- information ---------------------------------------------------------------------------------------- */

static void describes_its_methods(void **state)
{
    (void)state;
    qvk_context *context = open_context("cpu");
    qvk_module *module = open_module(context, linear);
    qvk_value input = open_input(linear_input), info;
    qvk_method_info method;
    qvk_load_info load;
    qvk_error error;
    bool dynamic = true;
    assert_int_equal(qvk_module_method_count(module), 1);
    assert_string_equal(qvk_module_method_name(module, 0), "forward");
    assert_null(qvk_module_method_name(module, 1));
    assert_null(qvk_module_method_name(module, -1));
    assert_int_equal(qvk_module_method_info(module, NULL, &method, &error), QVK_OK);
    assert_int_equal(method.n_inputs, 1);
    assert_int_equal(method.n_outputs, 1);
    assert_int_equal(qvk_module_input_info(module, "forward", 0, &info, &dynamic, &error), QVK_OK);
    assert_int_equal(info.kind, QVK_VALUE_TENSOR);
    assert_int_equal(info.tensor.dtype, QVK_DTYPE_F32);
    assert_int_equal(info.tensor.rank, input.tensor.rank);
    assert_memory_equal(info.tensor.sizes, input.tensor.sizes, sizeof(int64_t) * (size_t)input.tensor.rank);
    assert_null(info.tensor.data);
    assert_false(dynamic);
    assert_int_equal(qvk_module_output_info(module, NULL, 1, &info, NULL, &error), QVK_INVALID_ARGUMENT);
    assert_int_equal(qvk_module_method_info(module, "backward", &method, &error), QVK_NOT_FOUND);
    assert_non_null(strstr(error.message, "'backward'"));
    qvk_module_load_info(module, &load);
    assert_true(load.total_ms >= load.read_ms);
    assert_string_equal(load.cpu_reasons, "");
    qvk_tensor_free(&input.tensor);
    qvk_module_destroy(&module);
    assert_null(module);
    qvk_context_destroy(&context);
    assert_null(context);
}

static void describes_its_device(void **state)
{
    (void)state;
    qvk_context *cpu = open_context("cpu"), *gpu = open_context(NULL);
    qvk_device_info info, first;
    size_t n = 1;
    qvk_error error;
    qvk_context_device(cpu, &info);
    assert_string_equal(info.type, "reference");
    qvk_context_device(gpu, &info);
    assert_int_equal(qvk_device_list(NULL, &first, &n, &error), QVK_OK);
    assert_true(n >= 1);
    assert_string_equal(info.name, first.name);
    assert_string_equal(info.uuid, first.uuid);
    assert_int_equal(strlen(info.uuid), 32);
    qvk_context_destroy(&cpu);
    qvk_context_destroy(&gpu);
    qvk_context_destroy(&gpu);
    qvk_context_destroy(NULL);
}

static void measures_what_its_device_can_do(void **state)
{
    (void)state;
    qvk_context *cpu = open_context("cpu"), *gpu = open_context(NULL);
    qvk_ceilings ceilings = {1, 1, 1, 1};
    qvk_error error;
    assert_int_equal(qvk_context_measure(cpu, &ceilings, &error), QVK_OK);
    assert_true(ceilings.copy_gbps == 0.0 && ceilings.int8_tops == 0.0);
    assert_int_equal(qvk_context_measure(gpu, &ceilings, &error), QVK_OK);
    assert_true(ceilings.copy_gbps > 0.0 && ceilings.copy_gbps < 1e5);
    assert_true(ceilings.f32_tflops > 0.0 && ceilings.f32_tflops < 1e4);
    assert_int_equal(qvk_context_measure(NULL, &ceilings, &error), QVK_INVALID_ARGUMENT);
    qvk_context_destroy(&cpu);
    qvk_context_destroy(&gpu);
}

/* ---- life ----------------------------------------------------------------------------------------------- */

static void modules_keep_their_context_alive(void **state)
{
    (void)state;
    qvk_context *context = open_context(NULL);
    qvk_module *module = open_module(context, linear);
    qvk_value input = open_input(linear_input), output;
    qvk_error error;
    qvk_context_destroy(&context);
    assert_int_equal(qvk_module_forward(module, NULL, &input, 1, &output, 1, &error), QVK_OK);
    qvk_module_destroy(&module);
    qvk_module_destroy(&module);
    qvk_module_destroy(NULL);
    qvk_tensor_free(&input.tensor);
}

/* On the device and on the reference; a call that fails leaves what the last good one took. */
static void a_call_tells_what_it_took(void **state)
{
    (void)state;
    qvk_value input = open_input(linear_input), output;
    for (int device = 0; device < 2; device++) {
        qvk_context *context = open_context(device ? NULL : "cpu");
        qvk_module *module = open_module(context, linear);
        qvk_call_info first = {1, 1}, taken, kept;
        qvk_module_call_info(module, &first);
        assert_true(first.cpu_us == 0 && first.wait_us == 0);
        assert_int_equal(qvk_module_forward(module, NULL, &input, 1, &output, 1, NULL), QVK_OK);
        qvk_module_call_info(module, &taken);
        assert_true(taken.cpu_us > 0);
        assert_true(device ? taken.wait_us > 0 : taken.wait_us == 0);
        assert_int_equal(qvk_module_forward(module, NULL, &input, 0, &output, 1, NULL), QVK_INPUT_MISMATCH);
        qvk_module_call_info(module, &kept);
        assert_true(kept.cpu_us == taken.cpu_us && kept.wait_us == taken.wait_us);
        qvk_module_destroy(&module);
        qvk_context_destroy(&context);
    }
    qvk_tensor_free(&input.tensor);
}

static void a_program_in_memory_is_the_same(void **state)
{
    (void)state;
    qvk_context *context = open_context("cpu");
    char *path = test_golden_path(linear);
    size_t n = 0;
    uint8_t *bytes = test_read_file(path, &n);
    qvk_module *from_file = open_module(context, linear), *from_memory = NULL;
    qvk_value input = open_input(linear_input), a, b;
    qvk_error error;
    assert_int_equal(qvk_module_load_bytes(context, bytes, n, NULL, NULL, &from_memory, &error), QVK_OK);
    assert_int_equal(qvk_module_forward(from_file, NULL, &input, 1, &a, 1, &error), QVK_OK);
    assert_int_equal(qvk_module_forward(from_memory, NULL, &input, 1, &b, 1, &error), QVK_OK);
    assert_memory_equal(a.tensor.data, b.tensor.data, qvk_tensor_bytes(&a.tensor));
    qvk_module_destroy(&from_file);
    qvk_module_destroy(&from_memory);
    assert_int_equal(qvk_module_load_bytes(context, bytes, 16, "half", NULL, &from_memory, &error),
                     QVK_BAD_FORMAT);
    assert_non_null(strstr(error.message, "half"));
    assert_null(from_memory);
    qvk_context_destroy(&context);
    qvk_tensor_free(&input.tensor);
    free(bytes);
    free(path);
}

/* ---- threads -------------------------------------------------------------------------------------------- */

typedef struct worker {
    qvk_module *module;
    const qvk_value *input;
    int calls;
    atomic_int ok, busy, other;
    uint8_t *first; /* what the first call gave */
} worker;

static void *work(void *user)
{
    worker *it = user;
    for (int i = 0; i < it->calls; i++) {
        qvk_value output;
        const qvk_status status = qvk_module_forward(it->module, NULL, it->input, 1, &output, 1, NULL);
        if (status == QVK_OK)
            atomic_fetch_add(&it->ok, 1);
        else if (status == QVK_BUSY)
            atomic_fetch_add(&it->busy, 1);
        else
            atomic_fetch_add(&it->other, 1);
    }
    return NULL;
}

/* One module, two threads: a call runs or is told BUSY, and afterwards the module works as before. */
static void a_module_runs_one_call_at_a_time(void **state)
{
    (void)state;
    qvk_context *context = open_context(NULL);
    qvk_module *module = open_module(context, linear);
    qvk_value input = open_input(linear_input), before, after;
    worker it = {.module = module, .input = &input, .calls = 200};
    pthread_t threads[2];
    uint8_t *expected;
    assert_int_equal(qvk_module_forward(module, NULL, &input, 1, &before, 1, NULL), QVK_OK);
    expected = malloc(qvk_tensor_bytes(&before.tensor));
    assert_non_null(expected);
    memcpy(expected, before.tensor.data, qvk_tensor_bytes(&before.tensor));
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, work, &it), 0);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(atomic_load(&it.other), 0);
    assert_int_equal(atomic_load(&it.ok) + atomic_load(&it.busy), 400);
    assert_true(atomic_load(&it.ok) > 0);
    assert_int_equal(qvk_module_forward(module, NULL, &input, 1, &after, 1, NULL), QVK_OK);
    assert_memory_equal(after.tensor.data, expected, qvk_tensor_bytes(&after.tensor));
    free(expected);
    qvk_module_destroy(&module);
    qvk_context_destroy(&context);
    qvk_tensor_free(&input.tensor);
}

static void *work_alone(void *user)
{
    worker *it = user;
    qvk_value output;
    for (int i = 0; i < it->calls; i++) {
        if (qvk_module_forward(it->module, NULL, it->input, 1, &output, 1, NULL) != QVK_OK ||
            memcmp(output.tensor.data, it->first, qvk_tensor_bytes(&output.tensor)) != 0)
            atomic_fetch_add(&it->other, 1);
    }
    return NULL;
}

/* Two modules of one context on two threads do not disturb each other. */
static void two_modules_run_at_once(void **state)
{
    (void)state;
    static const char *const names[2] = {"cases/linear_0_4w_g32", "cases/static_linear_0"};
    qvk_context *context = open_context(NULL);
    worker workers[2];
    qvk_value inputs[2];
    pthread_t threads[2];
    for (int i = 0; i < 2; i++) {
        char name[64];
        qvk_value output;
        snprintf(name, sizeof name, "%s.pte", names[i]);
        workers[i] = (worker){.module = open_module(context, name), .input = &inputs[i], .calls = 100};
        snprintf(name, sizeof name, "%s.in_0.npy", names[i]);
        inputs[i] = open_input(name);
        assert_int_equal(qvk_module_forward(workers[i].module, NULL, &inputs[i], 1, &output, 1, NULL),
                         QVK_OK);
        workers[i].first = malloc(qvk_tensor_bytes(&output.tensor));
        assert_non_null(workers[i].first);
        memcpy(workers[i].first, output.tensor.data, qvk_tensor_bytes(&output.tensor));
    }
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, work_alone, &workers[i]), 0);
    for (int i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(atomic_load(&workers[i].other), 0);
        free(workers[i].first);
        qvk_module_destroy(&workers[i].module);
        qvk_tensor_free(&inputs[i].tensor);
    }
    qvk_context_destroy(&context);
}

/* ---- complaints ----------------------------------------------------------------------------------------- */

static void callers_are_checked(void **state)
{
    (void)state;
    qvk_context *context = open_context("cpu");
    qvk_module *module = NULL;
    qvk_value value = {0};
    qvk_method_info method;
    qvk_error error;
    const qvk_context_params no_such_device = {.device = "no such device"},
                             no_such_feature = {.disable = "fp16,warp"};
    qvk_context *none = NULL;
    assert_int_equal(qvk_context_create(&no_such_device, &none, &error), QVK_NO_DEVICE);
    assert_int_equal(qvk_context_create(&no_such_feature, &none, &error), QVK_INVALID_ARGUMENT);
    assert_non_null(strstr(error.message, "'warp'"));
    assert_int_equal(qvk_context_create(NULL, NULL, &error), QVK_INVALID_ARGUMENT);
    assert_null(none);
    assert_int_equal(qvk_module_load(NULL, "x", NULL, &module, &error), QVK_INVALID_ARGUMENT);
    assert_int_equal(qvk_module_load(context, "no-such-file.pte", NULL, &module, &error), QVK_NOT_FOUND);
    assert_int_equal(qvk_module_load(context, "no-such-file.pte", NULL, &module, NULL), QVK_NOT_FOUND);
    assert_null(module);
    assert_int_equal(qvk_module_method_count(NULL), 0);
    assert_int_equal(qvk_module_method_info(NULL, NULL, &method, &error), QVK_INVALID_ARGUMENT);
    assert_int_equal(qvk_module_forward(NULL, NULL, NULL, 0, NULL, 0, &error), QVK_INVALID_ARGUMENT);
    module = open_module(context, linear);
    assert_int_equal(qvk_module_forward(module, NULL, NULL, 1, &value, 1, &error), QVK_INVALID_ARGUMENT);
    assert_int_equal(qvk_module_forward(module, NULL, &value, 0, &value, 1, &error), QVK_INPUT_MISMATCH);
    assert_int_equal(qvk_module_forward(module, NULL, &value, 1, &value, 1, &error), QVK_INPUT_MISMATCH);
    value.tensor.rank = 100;
    assert_int_equal(qvk_module_forward(module, NULL, &value, 1, &value, 1, &error), QVK_INVALID_ARGUMENT);
    qvk_module_destroy(&module);
    qvk_context_destroy(&context);
}

static void profile_needs_to_be_asked_for(void **state)
{
    (void)state;
    const qvk_module_params params = {.profile = true};
    qvk_context *context = open_context(NULL);
    qvk_module *module = open_module(context, linear), *profiled = NULL;
    qvk_value input = open_input(linear_input), output;
    qvk_profile_entry entries[64];
    char *path = test_golden_path(linear);
    size_t n = 64;
    qvk_error error;
    assert_int_equal(qvk_module_profile(module, entries, &n, &error), QVK_INVALID_ARGUMENT);
    assert_int_equal(qvk_module_load(context, path, &params, &profiled, &error), QVK_OK);
    assert_int_equal(qvk_module_profile(profiled, entries, &n, &error), QVK_OK);
    assert_int_equal(n, 0);
    assert_int_equal(qvk_module_forward(profiled, NULL, &input, 1, &output, 1, &error), QVK_OK);
    n = 0;
    assert_int_equal(qvk_module_profile(profiled, NULL, &n, &error), QVK_OK);
    assert_true(n > 0 && n <= 64);
    assert_int_equal(qvk_module_profile(profiled, entries, &n, &error), QVK_OK);
    assert_true(entries[0].name && entries[0].kernel && entries[0].on_device);
    qvk_module_destroy(&module);
    qvk_module_destroy(&profiled);
    qvk_context_destroy(&context);
    qvk_tensor_free(&input.tensor);
    free(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(describes_its_methods),
        cmocka_unit_test(describes_its_device),
        cmocka_unit_test(measures_what_its_device_can_do),
        cmocka_unit_test(modules_keep_their_context_alive),
        cmocka_unit_test(a_call_tells_what_it_took),
        cmocka_unit_test(a_program_in_memory_is_the_same),
        cmocka_unit_test(a_module_runs_one_call_at_a_time),
        cmocka_unit_test(two_modules_run_at_once),
        cmocka_unit_test(callers_are_checked),
        cmocka_unit_test(profile_needs_to_be_asked_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
