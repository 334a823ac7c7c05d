/*
 * Programs that ExecuTorch's exporter wrote, with an input and PyTorch's own result: through the public API,
 * on the device and on the reference executor. Several of them its own runtime cannot run.
 */
#include <stdio.h>
#include <stdlib.h>

#include "qvk/qvk.h"
#include "support/support.h"

typedef struct golden_case {
    const char *name;
    bool is_static; /* statically quantized: an output may be one step off */
} golden_case;

static const golden_case cases[] = {
    {"linear_0_4w_g32", false},     {"linear_1_8da4w_g32", false}, {"linear_3_8da8w_pc", false},
    {"linear_mlp3d_8w_g32", false}, {"pt2e_1_8w", false},          {"pt2e_2_4w", false},
    {"pt2e_1_8da8w", false},        {"static_linear_0", true},     {"static_linear_1", true},
    {"static_linear_2", true},      {"static_conv_0", true},
};

/* Shares of the largest expected value. */
static const double float_share = 2e-3, static_share = 2e-2;

static char *path_of(const golden_case *it, const char *suffix)
{
    char name[96];
    snprintf(name, sizeof name, "cases/%s%s", it->name, suffix);
    return test_golden_path(name);
}

static qvk_tensor load_tensor(const golden_case *it, const char *suffix)
{
    char *path = path_of(it, suffix);
    qvk_tensor tensor;
    qvk_error error;
    if (qvk_npy_load(path, &tensor, &error) != QVK_OK)
        fail_msg("%s", error.message);
    free(path);
    return tensor;
}

static void compare(const golden_case *it, const qvk_tensor *got, const qvk_tensor *wanted)
{
    const float *wanted_data = wanted->data;
    double largest = 0.0;
    assert_int_equal(got->dtype, QVK_DTYPE_F32);
    assert_int_equal(got->rank, wanted->rank);
    assert_memory_equal(got->sizes, wanted->sizes, (size_t)wanted->rank * sizeof wanted->sizes[0]);
    for (int64_t i = 0; i < qvk_tensor_numel(wanted); i++)
        largest = wanted_data[i] > largest    ? wanted_data[i]
                  : -wanted_data[i] > largest ? -wanted_data[i]
                                              : largest;
    const test_tolerance tolerance = {it->is_static ? "one step of static int8" : "quantized linear",
                                      largest * (it->is_static ? static_share : float_share), 0.0};
    test_assert_close(it->name, got->data, wanted_data, (size_t)qvk_tensor_numel(wanted), tolerance);
}

/* Three calls of one module: nothing may depend on what an earlier call left behind. */
static void run_case(const golden_case *it, qvk_context *context, bool verify)
{
    const qvk_module_params params = {.verify = verify};
    char *path = path_of(it, ".pte");
    qvk_tensor wanted = load_tensor(it, ".out_0.npy");
    qvk_value input = {.kind = QVK_VALUE_TENSOR, .tensor = load_tensor(it, ".in_0.npy")}, output;
    qvk_module *module = NULL;
    qvk_error error;
    if (qvk_module_load(context, path, &params, &module, &error) != QVK_OK)
        fail_msg("%s", error.message);
    for (int call = 0; call < 3; call++) {
        if (qvk_module_forward(module, NULL, &input, 1, &output, 1, &error) != QVK_OK)
            fail_msg("%s: %s", it->name, error.message);
        compare(it, &output.tensor, &wanted);
    }
    qvk_module_destroy(&module);
    qvk_tensor_free(&input.tensor);
    qvk_tensor_free(&wanted);
    free(path);
}

static void run_all(const char *device, bool verify)
{
    const qvk_context_params params = {.device = device};
    qvk_context *context = NULL;
    qvk_error error;
    if (qvk_context_create(&params, &context, &error) != QVK_OK)
        fail_msg("%s", error.message);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        run_case(&cases[i], context, verify);
    qvk_context_destroy(&context);
}

static void right_on_the_device(void **state)
{
    (void)state;
    run_all(NULL, false);
}

static void verified_on_the_device(void **state)
{
    (void)state;
    run_all(NULL, true);
}

static void right_on_the_reference(void **state)
{
    (void)state;
    run_all("cpu", false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(right_on_the_device),
        cmocka_unit_test(verified_on_the_device),
        cmocka_unit_test(right_on_the_reference),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
