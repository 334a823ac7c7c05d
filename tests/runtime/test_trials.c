/* Kernels on trial: right ones pass, wrong ones give way, and what was found out is kept. */
#include "runtime/trials.h"

#include <stdio.h>
#include <unistd.h>

#include "gpu/gpu_fixture.h"
#include "qvk/context.h"
#include "runtime/device.h"
#include "runtime/graph_kit.h"
#include "runtime/trial_run.h"

enum { ROWS = 20, COLUMNS = 24, DEPTH = 64, GROUP = 32 };

/* Float32 sums in another order, against the largest result. */
static const double FLOAT_SUM = 1e-5;

static float x[ROWS * DEPTH], scales[DEPTH / GROUP * COLUMNS];
static uint8_t weights[COLUMNS * DEPTH / 2];
static qvk__graph graph;

/* A 4-bit linear of many rows: on anything that looks like a GPU there is more than one kernel for it. */
static int build_graph(void **state)
{
    (void)state;
    test_rng rng = test_rng_seed(5);
    test_rng_fill_uniform(&rng, x, ROWS * DEPTH, -1.0f, 1.0f);
    test_rng_fill_uniform(&rng, scales, QVK__COUNT(scales), 0.01f, 0.05f);
    for (size_t i = 0; i < sizeof weights; i++)
        weights[i] = (uint8_t)test_rng_range(&rng, 0, 255);
    qvk__graph_init(&graph);
    const int32_t in = kit_input(&graph, "x", QVK_DTYPE_F32, KIT_SHAPE(ROWS, DEPTH));
    const int32_t w = kit_constant(&graph, "w", QVK_DTYPE_U8, KIT_SHAPE(COLUMNS, DEPTH / 2), weights);
    const int32_t s = kit_constant(&graph, "s", QVK_DTYPE_F32, KIT_SHAPE(DEPTH / GROUP, COLUMNS), scales);
    kit_output(&graph, kit_call(&graph, QVK__OP_ET_LINEAR_Q4GSW,
                                KIT_ARGS(KIT_V(in), KIT_V(w), KIT_V(s), KIT_I(GROUP), KIT_NONE),
                                QVK_DTYPE_F32, KIT_SHAPE(ROWS, COLUMNS)));
    return 0;
}

static int free_graph(void **state)
{
    (void)state;
    qvk__graph_finish(&graph);
    return 0;
}

/* ---- a session ------------------------------------------------------------------------------------------ */

typedef struct session {
    qvk__gpu *gpu;
    qvk__trials *trials;
    qvk__engine *engine;
    int n_warnings; /* that a kernel is not used */
    char warning[1024];
} session;

/* Asks as well, as a log may: no lock is held. */
static void keep_warning(void *user, qvk_log_level level, const char *message)
{
    session *it = user;
    bool distrusted[QVK__KERNEL_COUNT];
    qvk__trials_distrusted(it->trials, distrusted);
    if (level == QVK_LOG_WARNING && strstr(message, "is not used")) {
        it->n_warnings++;
        snprintf(it->warning, sizeof it->warning, "%s", message);
    }
}

/* A device that looks like a discrete GPU; *it must not move afterwards. */
static void open_session(session *it, const char *cache_dir)
{
    *it = (session){0};
    proxy.discrete = "";
    it->gpu = gpu_open(&(qvk__gpu_params){.cache_dir = cache_dir});
    assert_ok(qvk__trials_create(it->gpu, keep_warning, it, &it->trials, &test_err));
}

static qvk_status open_engine(session *it, qvk_error *err)
{
    const qvk__session_params params = {.trials = it->trials};
    return qvk__engine_create(it->gpu, &graph, &params, &it->engine, err);
}

static void close_session(session *it)
{
    qvk__engine_destroy(&it->engine);
    qvk__trials_destroy(&it->trials);
    gpu_close(&it->gpu);
}

/* The kernel that the engine multiplies with. */
static qvk__kernel kernel_of(const qvk__engine *engine)
{
    const qvk__plan *plan = &engine->device->current->plan;
    assert_true(plan->dispatches.count > 0);
    return plan->dispatches.data[plan->dispatches.count - 1].kernel;
}

static void miscompile(qvk__kernel kernel)
{
    size_t n_words;
    qvk__kernel_spirv(kernel, &proxy.miscompiled, &n_words);
}

/* The first choice for the graph on a device that is trusted blindly. */
static qvk__kernel first_choice(void)
{
    qvk__engine *engine;
    proxy.discrete = "";
    qvk__gpu *gpu = gpu_open(NULL);
    assert_ok(qvk__engine_create(gpu, &graph, NULL, &engine, &test_err));
    const qvk__kernel kernel = kernel_of(engine);
    qvk__engine_destroy(&engine);
    gpu_close(&gpu);
    assert_true(qvk__trial_exists(kernel));
    return kernel;
}

static double error_of(qvk__engine *engine)
{
    const qvk_value input = kit_tensor(QVK_DTYPE_F32, KIT_SHAPE(ROWS, DEPTH), x);
    qvk_value is = {0}, wanted = {0};
    qvk__engine *reference;
    double largest = 0.0, error = 0.0;

    assert_ok(qvk__engine_create(NULL, &graph, NULL, &reference, &test_err));
    assert_ok(qvk__engine_run(reference, &input, 1, &wanted, 1, &test_err));
    assert_ok(qvk__engine_run(engine, &input, 1, &is, 1, &test_err));
    for (int i = 0; i < ROWS * COLUMNS; i++) {
        const double a = ((float *)is.tensor.data)[i], b = ((float *)wanted.tensor.data)[i];
        largest = QVK__MAX(largest, b < 0 ? -b : b);
        error = QVK__MAX(error, a < b ? b - a : a - b);
    }
    qvk__engine_destroy(&reference);
    return error / largest;
}

static bool file_says(session *it, const char *cache_dir, qvk__kernel kernel)
{
    bool distrusted[QVK__KERNEL_COUNT];
    qvk__trials_read_distrusted(cache_dir, qvk__gpu_caps_of(it->gpu), distrusted);
    return distrusted[kernel];
}

/* ---- right kernels -------------------------------------------------------------------------------------- */

static qvk__trial_verdict verdict_of(qvk__gpu *gpu, qvk__kernel kernel, const bool *distrusted)
{
    qvk__trial_result result;
    assert_ok(qvk__trial_run(gpu, kernel, distrusted, &result, &test_err));
    if (result.verdict == QVK__TRIAL_FAILED)
        fail_msg("%s: %s", qvk__kernel_name(kernel), result.reason);
    return result.verdict;
}

/* Without the packed dot product, so that the plain tile has its turn too. */
static void plain_tiles_pass(qvk__gpu *gpu)
{
    bool distrusted[QVK__KERNEL_COUNT] = {false};
    distrusted[QVK__KERNEL_LINEAR_QD8_QB4W_TILE_DOT8] = true;
    distrusted[QVK__KERNEL_LINEAR_QD8_QB8W_TILE_DOT8] = true;
    assert_int_equal(verdict_of(gpu, QVK__KERNEL_LINEAR_QD8_QB4W_TILE, distrusted), QVK__TRIAL_PASSED);
    assert_int_equal(verdict_of(gpu, QVK__KERNEL_LINEAR_QD8_QB8W_TILE, distrusted), QVK__TRIAL_PASSED);
}

/* The same kernel when the driver's compiler gets it wrong. */
static void fails_when_miscompiled(qvk__kernel kernel)
{
    qvk__trial_result result;
    qvk__gpu *gpu = gpu_open(NULL);
    miscompile(kernel);
    assert_ok(qvk__trial_run(gpu, kernel, NULL, &result, &test_err));
    if (result.verdict != QVK__TRIAL_FAILED)
        fail_msg("%s passes although it is wrong", qvk__kernel_name(kernel));
    proxy.miscompiled = NULL;
    gpu_close(&gpu);
}

/* Kernels that the planner takes for their trial: each passes when it is right, and only then. */
static int try_all(const char *discrete)
{
    vulkan_proxy_reset();
    proxy.discrete = discrete;
    qvk__gpu *gpu = gpu_open(NULL);
    bool passed[QVK__KERNEL_COUNT] = {false};
    int n = 0;
    for (int i = 0; i < QVK__KERNEL_COUNT; i++) {
        const qvk__kernel kernel = (qvk__kernel)i;
        if (qvk__trial_exists(kernel) && qvk__kernel_usable(kernel, qvk__gpu_caps_of(gpu)))
            passed[i] = verdict_of(gpu, kernel, NULL) == QVK__TRIAL_PASSED;
        n += passed[i];
    }
    if (discrete)
        plain_tiles_pass(gpu);
    gpu_close(&gpu);
    for (int i = 0; i < QVK__KERNEL_COUNT; i++)
        if (passed[i])
            fails_when_miscompiled((qvk__kernel)i);
    return n;
}

static void kernels_pass_when_they_are_right(void **state)
{
    (void)state;
    vulkan_proxy_reset();
    qvk__gpu *gpu = gpu_open(NULL);
    const qvk__gpu_caps caps = *qvk__gpu_caps_of(gpu);
    gpu_close(&gpu);
    const bool eights = caps.type == QVK__GPU_CPU && caps.subgroup_size == 8;
    /* Tiles; where subgroups allow also what is made for few rows, and for one. */
    assert_in_range(try_all(""), eights ? 14 : 4, 34);
    /* What is made for CPU devices, and what chooses scales by subgroups. */
    assert_in_range(try_all(NULL), eights ? 9 : 0, 34);
}

/* ---- wrong kernels -------------------------------------------------------------------------------------- */

/* A session whose first choice is compiled wrongly, and an engine made in spite of it; returns that kernel.
 */
static qvk__kernel open_with_wrong_kernel(session *it, const char *cache_dir)
{
    vulkan_proxy_reset();
    const qvk__kernel wrong = first_choice();
    open_session(it, cache_dir);
    miscompile(wrong);
    assert_ok(open_engine(it, &test_err));
    return wrong;
}

static void a_wrong_kernel_gives_way(void **state)
{
    (void)state;
    session it;
    char *dir = test_temp_dir();
    const qvk__kernel wrong = open_with_wrong_kernel(&it, dir);
    assert_int_equal(it.n_warnings, 1);
    assert_non_null(strstr(it.warning, qvk__kernel_name(wrong)));
    assert_int_not_equal(kernel_of(it.engine), wrong);
    assert_true(error_of(it.engine) < FLOAT_SUM);
    assert_true(file_says(&it, dir, wrong));
    assert_false(file_says(&it, dir, kernel_of(it.engine)));

    /* Another engine of the same context tries nothing again. */
    qvk__engine_destroy(&it.engine);
    const long pipelines = vulkan_proxy_calls("vkCreateComputePipelines");
    assert_ok(open_engine(&it, &test_err));
    assert_int_equal(vulkan_proxy_calls("vkCreateComputePipelines"), pipelines);
    assert_int_equal(it.n_warnings, 1);
    assert_int_not_equal(kernel_of(it.engine), wrong);
    close_session(&it);

    /* Nor does the next process: the compiler is right by now, and nobody notices. */
    vulkan_proxy_reset();
    open_session(&it, dir);
    assert_ok(open_engine(&it, &test_err));
    assert_int_equal(it.n_warnings, 0);
    assert_int_not_equal(kernel_of(it.engine), wrong);
    close_session(&it);
    test_temp_dir_remove(&dir);
}

static void without_its_trial_it_would_be_wrong(void **state)
{
    (void)state;
    session it;
    vulkan_proxy_reset();
    const qvk__kernel wrong = first_choice();
    open_session(&it, NULL);
    miscompile(wrong);
    assert_ok(qvk__engine_create(it.gpu, &graph, NULL, &it.engine, &test_err));
    assert_int_equal(kernel_of(it.engine), wrong);
    assert_true(error_of(it.engine) > 100 * FLOAT_SUM);
    close_session(&it);
}

static void devices_are_listed_with_it(void **state)
{
    (void)state;
    enum { MOST = 16 };
    static qvk_device_info devices[MOST];
    size_t n = MOST, found = 0;
    session it;
    char *dir = test_temp_dir();
    const qvk__kernel wrong = open_with_wrong_kernel(&it, dir);
    close_session(&it);
    assert_ok(qvk_device_list(&(qvk_context_params){.cache_dir = dir}, devices, &n, &test_err));
    for (size_t i = 0; i < n && i < MOST; i++)
        found += strcmp(devices[i].distrusted, qvk__kernel_name(wrong)) == 0;
    assert_int_equal(found, 1);

    qvk_context *context;
    qvk_device_info info;
    assert_ok(qvk_context_create(&(qvk_context_params){.cache_dir = dir}, &context, &test_err));
    qvk_context_device(context, &info);
    assert_string_equal(info.distrusted, qvk__kernel_name(wrong));
    qvk_context_destroy(&context);
    test_temp_dir_remove(&dir);
}

static void what_the_driver_does_not_compile_gives_way(void **state)
{
    (void)state;
    static const VkResult answers[] = {VK_ERROR_UNKNOWN, VK_ERROR_INITIALIZATION_FAILED};
    session it;
    for (size_t i = 0; i < QVK__COUNT(answers); i++) {
        vulkan_proxy_reset();
        const qvk__kernel refused = first_choice();
        open_session(&it, NULL);
        proxy.fail_function = "vkCreateComputePipelines";
        proxy.fail_with = answers[i];
        proxy.fail_at = vulkan_proxy_calls(proxy.fail_function) + 1;
        assert_ok(open_engine(&it, &test_err));
        assert_int_equal(it.n_warnings, 1);
        assert_non_null(strstr(it.warning, "the driver does not take it"));
        assert_int_not_equal(kernel_of(it.engine), refused);
        assert_true(error_of(it.engine) < FLOAT_SUM);
        close_session(&it);
    }
}

/* Loses the device at the `at`th submit of a process; returns whether the kernel on trial was blamed. */
static int lose_device(const char *dir, int at)
{
    session it;
    vulkan_proxy_reset();
    open_session(&it, dir);
    proxy.fail_function = "vkQueueSubmit";
    proxy.fail_with = VK_ERROR_DEVICE_LOST;
    proxy.fail_at = vulkan_proxy_calls(proxy.fail_function) + at;
    assert_status(open_engine(&it, &test_err), QVK_DEVICE_LOST);
    const int blamed = it.n_warnings;
    close_session(&it);
    return blamed;
}

/* The kernel that a process with a sound device takes, and what is on disk then. */
static qvk__kernel kernel_taken(const char *dir, qvk__kernel kernel, bool *distrusted)
{
    session it;
    vulkan_proxy_reset();
    open_session(&it, dir);
    assert_ok(open_engine(&it, &test_err));
    const qvk__kernel taken = kernel_of(it.engine);
    *distrusted = file_says(&it, dir, kernel);
    close_session(&it);
    return taken;
}

/* It may have been another's fault: a kernel is tried again once. Submits before the trial's own send
 * weights: a device lost there says nothing about a kernel. */
static void a_kernel_that_loses_the_device_twice_is_distrusted(void **state)
{
    (void)state;
    enum { SUBMITS = 12 };
    int n_blamed = 0;
    bool distrusted;
    vulkan_proxy_reset();
    const qvk__kernel wrong = first_choice();
    for (int at = 1; at <= SUBMITS && n_blamed == 0; at++) {
        char *once = test_temp_dir(), *twice = test_temp_dir();
        n_blamed = lose_device(once, at);
        assert_int_equal(kernel_taken(once, wrong, &distrusted), wrong);
        assert_false(distrusted);

        assert_int_equal(lose_device(twice, at), n_blamed);
        assert_int_equal(lose_device(twice, at), n_blamed);
        assert_int_equal(kernel_taken(twice, wrong, &distrusted) != wrong, n_blamed);
        assert_int_equal(distrusted, n_blamed);
        test_temp_dir_remove(&once);
        test_temp_dir_remove(&twice);
    }
    assert_int_equal(n_blamed, 1);
}

/* ---- the file ------------------------------------------------------------------------------------------- */

enum { FILE_HEADER = 24, CHECKSUM_AT = 16, SPIRV_AT = FILE_HEADER + 48 };

/* Changes a byte of the only file of its kind; with `checksum` the header fits again. */
static void change_file(const char *path, size_t at, bool checksum)
{
    uint8_t bytes[4096];
    FILE *file = fopen(path, "r+b");
    assert_non_null(file);
    const size_t n = fread(bytes, 1, sizeof bytes, file);
    assert_true(n > at && n < sizeof bytes);
    bytes[at] ^= 1;
    const uint64_t sum = qvk__hash64(bytes + FILE_HEADER, n - FILE_HEADER, 0);
    if (checksum)
        memcpy(bytes + CHECKSUM_AT, &sum, sizeof sum);
    rewind(file);
    assert_int_equal(fwrite(bytes, 1, n, file), n);
    fclose(file);
}

/* True: the kernel that the file distrusts was tried again, and passed. */
static bool is_tried_again(const char *dir, qvk__kernel kernel)
{
    session it;
    vulkan_proxy_reset();
    open_session(&it, dir);
    assert_ok(open_engine(&it, &test_err));
    const bool again = kernel_of(it.engine) == kernel;
    close_session(&it);
    return again;
}

static void a_file_that_does_not_fit_is_ignored(void **state)
{
    (void)state;
    static const struct {
        size_t at;
        bool checksum, cut, ignored;
    } changes[] = {
        {0, false, false, true},                /* another version */
        {8, false, false, true},                /* another length */
        {CHECKSUM_AT, false, false, true},      /* damaged */
        {FILE_HEADER + 60, false, false, true}, /* damaged */
        {0, false, true, true},                 /* cut off */
        {SPIRV_AT, true, false, true},          /* another build of the kernel */
        {FILE_HEADER, true, false, true},       /* a kernel of another name */
        {FILE_HEADER + 47, true, false, false}, /* nothing that counts */
    };
    vulkan_proxy_reset();
    const qvk__kernel wrong = first_choice();
    for (size_t i = 0; i < QVK__COUNT(changes); i++) {
        char *dir = test_temp_dir(), path[1024];
        session it;
        vulkan_proxy_reset();
        open_session(&it, dir);
        /* The wrong kernel's verdict alone is in the file: the next one's trial is the second save. */
        bool distrusted[QVK__KERNEL_COUNT] = {false}, refused;
        const qvk__dispatch dispatch = {.kernel = wrong};
        miscompile(wrong);
        assert_ok(qvk__trials_check(it.trials, &dispatch, 1, distrusted, &refused, &test_err));
        assert_true(refused && distrusted[wrong]);
        assert_ok(qvk__gpu_cache_path(it.gpu, "trials", path, sizeof path, &test_err));
        close_session(&it);
        if (changes[i].cut)
            assert_int_equal(truncate(path, FILE_HEADER + 10), 0);
        else
            change_file(path, changes[i].at, changes[i].checksum);
        if (is_tried_again(dir, wrong) != changes[i].ignored)
            fail_msg("change %zu", i);
        test_temp_dir_remove(&dir);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kernels_pass_when_they_are_right),
        cmocka_unit_test(a_wrong_kernel_gives_way),
        cmocka_unit_test(without_its_trial_it_would_be_wrong),
        cmocka_unit_test(devices_are_listed_with_it),
        cmocka_unit_test(what_the_driver_does_not_compile_gives_way),
        cmocka_unit_test(a_kernel_that_loses_the_device_twice_is_distrusted),
        cmocka_unit_test(a_file_that_does_not_fit_is_ignored),
    };
    return cmocka_run_group_tests(tests, build_graph, free_graph);
}
