/* Whole programs: weights as torchao makes them bit for bit, what is chosen, what is refused and leaves all
 * as it was. */
#include <math.h>
#include <stdio.h>

#include "api/program_internal.h"
#include "qvk/npy.h"
#include "support/support.h"

static qvk_program *load(const char *model)
{
    char name[64], *path;
    qvk_program *program = NULL;
    qvk_error err = {.message = ""};

    snprintf(name, sizeof name, "quantize/%s.float.pt2", model);
    path = test_golden_path(name);
    if (qvk_program_load(path, &program, &err) != QVK_OK)
        fail_msg("%s", err.message);
    free(path);
    return program;
}

/* Constant by its fully qualified name, NULL when there is none. */
static const qvk__value *find_constant(const qvk_program *program, const char *target)
{
    const qvk__exported *it = &program->exported;
    for (size_t i = 0; i < it->inputs.count; i++)
        if (it->inputs.data[i].target && strcmp(it->inputs.data[i].target, target) == 0)
            return &it->graph.values.data[it->inputs.data[i].value];
    return NULL;
}

/* ---- against torchao ------------------------------------------------------------------------------------ */

static void check_part(const qvk_program *program, const char *golden, const char *module, int number,
                       const char *part)
{
    char target[96], name[128], *path;
    const qvk__value *value;
    const void *bytes;
    qvk_tensor wanted;

    snprintf(target, sizeof target, "%s.parametrizations.weight.original%d", module, number);
    snprintf(name, sizeof name, "quantize/%s.%s.%s.npy", golden, module, part);
    path = test_golden_path(name);
    assert_int_equal(qvk_npy_load(path, &wanted, NULL), QVK_OK);
    value = find_constant(program, target);
    assert_non_null(value);
    assert_int_equal(value->constant->bytes, qvk_tensor_bytes(&wanted));
    assert_int_equal(value->desc.rank, wanted.rank);
    assert_int_equal(qvk__constant_bytes(value->constant, &bytes, NULL), QVK_OK);
    if (memcmp(bytes, wanted.data, qvk_tensor_bytes(&wanted)) != 0)
        fail_msg("%s is not what torchao makes", name);
    qvk__constant_release(value->constant, bytes);
    qvk_tensor_free(&wanted);
    free(path);
}

static void check_case(const char *dtype, const char *name, const qvk_quant_config *config)
{
    qvk_program *program = load(dtype);
    qvk_error err = {.message = ""};
    char golden[64];

    snprintf(golden, sizeof golden, "%s_%s", dtype, name);
    if (qvk_quantize(program, config, NULL, &err) != QVK_OK)
        fail_msg("%s: %s", golden, err.message);
    for (int layer = 1; layer <= 2; layer++) {
        const char *module = layer == 1 ? "fc1" : "fc2";
        check_part(program, golden, module, 0, "integers");
        check_part(program, golden, module, 1, "scales");
        check_part(program, golden, module, 2, "zero_points");
    }
    qvk_program_destroy(&program);
}

static qvk_quant_config weight_only(int bits, int64_t group_size)
{
    return (qvk_quant_config){
        .kind = QVK_CONFIG_INTX_WEIGHT_ONLY, .weight_bits = bits, .granularity = {group_size}};
}

static void weights_are_those_of_torchao(void **state)
{
    static const char *const dtypes[] = {"f32", "f16", "bf16"};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        qvk_quant_config config = weight_only(4, 32);
        check_case(dtypes[i], "int4_g32", &config);
        config.mapping_type = QVK_MAPPING_ASYMMETRIC;
        check_case(dtypes[i], "int4_g32_asym", &config);
        config.mapping_type = QVK_MAPPING_SYMMETRIC_NO_CLIPPING_ERR;
        check_case(dtypes[i], "int4_g32_noclip", &config);
        config = weight_only(4, 32);
        config.scale_dtype = QVK_DTYPE_BF16;
        check_case(dtypes[i], "int4_g32_bf16scale", &config);
        config = weight_only(8, 0);
        check_case(dtypes[i], "int8_axis", &config);
        config = weight_only(2, 16);
        check_case(dtypes[i], "int2_g16", &config);
    }
}

static void hqq_scales_are_those_of_torchao(void **state)
{
    static const int64_t group_sizes[] = {32, 4, 0};
    static const char *const names[] = {"int4_g32_hqq", "int4_g4_hqq", "int4_axis_hqq"};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        qvk_quant_config config = weight_only(4, group_sizes[i]);
        config.choose_qparams = QVK_CHOOSE_QPARAMS_HQQ_SCALE_ONLY;
        check_case("f32", names[i], &config);
    }
}

/* ---- what is chosen ------------------------------------------------------------------------------------- */

static bool is_second(const char *module, void *user)
{
    (void)user;
    return strcmp(module, "fc2") == 0;
}

static void the_filter_chooses_modules(void **state)
{
    const qvk_quantize_params params = {.filter = is_second};
    const qvk_quant_config config = weight_only(4, 32);
    qvk_program *program = load("f32");

    (void)state;
    assert_int_equal(qvk_quantize(program, &config, &params, NULL), QVK_OK);
    assert_non_null(find_constant(program, "fc1.weight"));
    assert_null(find_constant(program, "fc2.weight"));
    assert_non_null(find_constant(program, "fc2.parametrizations.weight.original0"));
    qvk_program_destroy(&program);
}

/* ---- what is refused ------------------------------------------------------------------------------------ */

static void assert_refused(qvk_program *program, const qvk_quant_config *config, qvk_status status,
                           const char *words)
{
    const size_t nodes = program->exported.graph.nodes.count, inputs = program->exported.inputs.count;
    qvk_error err = {.message = ""};

    assert_int_equal(qvk_quantize(program, config, NULL, &err), status);
    if (!strstr(err.message, words))
        fail_msg("%s, expected %s", err.message, words);
    assert_int_equal(program->exported.graph.nodes.count, nodes);
    assert_int_equal(program->exported.inputs.count, inputs);
}

static void a_group_size_that_does_not_divide_is_refused(void **state)
{
    const qvk_quant_config config = weight_only(4, 48);
    qvk_program *program = load("f32");

    (void)state;
    assert_refused(program, &config, QVK_SHAPE,
                   "fc1.weight: in_features 64 is not divisible by group_size 48");
    qvk_program_destroy(&program);
}

static void nine_bits_are_refused(void **state)
{
    const qvk_quant_config config = weight_only(9, 0);
    qvk_program *program = load("f32");

    (void)state;
    assert_refused(program, &config, QVK_INVALID_ARGUMENT, "weight_bits 9");
    qvk_program_destroy(&program);
}

/* One linear [2, 4], with a bias, from the weights given; prefix: of its parameters' names. */
static qvk_program *build_linear(float weights[8], const char *prefix)
{
    const qvk_tensor weight = {QVK_DTYPE_F32, 2, {2, 4}, weights}, bias = {QVK_DTYPE_F32, 1, {2}, weights};
    char weight_name[32], bias_name[32];
    qvk_builder *builder = NULL;
    qvk_program *program = NULL;
    qvk_node *x;

    assert_int_equal(qvk_builder_create(&builder, NULL), QVK_OK);
    x = qvk_builder_input(builder, "x", QVK_DTYPE_F32, 2, (const int64_t[]){3, 4}, 0);
    snprintf(weight_name, sizeof weight_name, "%sweight", prefix);
    snprintf(bias_name, sizeof bias_name, "%sbias", prefix);
    x = qvk_builder_linear(builder, x, qvk_builder_parameter(builder, weight_name, &weight),
                           qvk_builder_parameter(builder, bias_name, &bias));
    qvk_builder_output(builder, x);
    assert_int_equal(qvk_builder_finish(&builder, &program, NULL), QVK_OK);
    return program;
}

static bool note_module(const char *module, void *user)
{
    *(const char **)user = module;
    return true;
}

/* A program that is nothing but a layer: the module is the root, and the filter sees "". Torch registers the
 * new parameters behind the bias. */
static void a_layer_that_is_the_program_is_quantized(void **state)
{
    static const char *const wanted[] = {"bias", "parametrizations.weight.original0",
                                         "parametrizations.weight.original1",
                                         "parametrizations.weight.original2", NULL};
    float weights[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    const qvk_quant_config config = weight_only(8, 0);
    const char *module = NULL;
    const qvk_quantize_params params = {.filter = note_module, .filter_user = &module};
    qvk_program *program = build_linear(weights, "");
    const qvk__exported *it = &program->exported;
    size_t n = 0;

    (void)state;
    assert_int_equal(qvk_quantize(program, &config, &params, NULL), QVK_OK);
    assert_string_equal(module, "");
    for (size_t i = 0; i < it->inputs.count; i++)
        if (it->inputs.data[i].kind == QVK__INPUT_PARAMETER)
            assert_string_equal(it->inputs.data[i].target, wanted[n++]);
    assert_null(wanted[n]);
    qvk_program_destroy(&program);
}

static void weights_that_are_not_finite_are_refused(void **state)
{
    float weights[8] = {1, 2, 3, 4, 5, (float)NAN, 7, 8};
    const qvk_quant_config config = weight_only(8, 0);
    qvk_program *program = build_linear(weights, "layer.");

    (void)state;
    assert_refused(program, &config, QVK_UNSUPPORTED, "layer.weight: row 1 holds NaN");
    qvk_program_destroy(&program);
}

/* ---- calibration ---------------------------------------------------------------------------------------- */

static void prepare_static(qvk_program *program)
{
    qvk_vulkan_quantizer *quantizer = NULL;

    assert_int_equal(qvk_vulkan_quantizer_create(&quantizer, NULL), QVK_OK);
    assert_int_equal(qvk_vulkan_quantizer_set_static(quantizer, NULL), QVK_OK);
    assert_int_equal(qvk_prepare_pt2e(program, quantizer, NULL), QVK_OK);
    qvk_vulkan_quantizer_destroy(&quantizer);
}

static void converting_without_samples_is_refused(void **state)
{
    float weights[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    qvk_program *program = build_linear(weights, "layer.");

    (void)state;
    prepare_static(program);
    assert_int_equal(qvk_convert_pt2e(program, NULL), QVK_UNSUPPORTED);
    qvk_program_destroy(&program);
}

static void a_sample_with_nan_is_refused(void **state)
{
    float weights[8] = {1, 2, 3, 4, 5, 6, 7, 8}, values[12] = {0};
    const qvk_tensor sample = {QVK_DTYPE_F32, 2, {3, 4}, values};
    qvk_program *program = build_linear(weights, "layer.");
    qvk_error err = {.message = ""};

    (void)state;
    prepare_static(program);
    assert_int_equal(qvk_calibrate(program, NULL, &sample, 1, &err), QVK_OK);
    values[5] = (float)NAN;
    assert_int_not_equal(qvk_calibrate(program, NULL, &sample, 1, &err), QVK_OK);
    assert_non_null(strstr(err.message, "NaN"));
    qvk_program_destroy(&program);
}

static void a_prepared_program_cannot_be_saved_or_lowered(void **state)
{
    float weights[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    qvk_program *program = build_linear(weights, "layer.");
    qvk_lowered *lowered = NULL;

    (void)state;
    prepare_static(program);
    assert_int_equal(qvk_program_save(program, "never_written.pt2", NULL), QVK_INVALID_ARGUMENT);
    assert_int_equal(qvk_to_edge_transform_and_lower(program, NULL, &lowered, NULL), QVK_INVALID_ARGUMENT);
    qvk_program_destroy(&program);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(weights_are_those_of_torchao),
        cmocka_unit_test(hqq_scales_are_those_of_torchao),
        cmocka_unit_test(the_filter_chooses_modules),
        cmocka_unit_test(a_group_size_that_does_not_divide_is_refused),
        cmocka_unit_test(nine_bits_are_refused),
        cmocka_unit_test(a_layer_that_is_the_program_is_quantized),
        cmocka_unit_test(weights_that_are_not_finite_are_refused),
        cmocka_unit_test(converting_without_samples_is_refused),
        cmocka_unit_test(a_sample_with_nan_is_refused),
        cmocka_unit_test(a_prepared_program_cannot_be_saved_or_lowered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
