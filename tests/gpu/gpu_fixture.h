/*
 * What the tests of the gpu room share: opening a device with the validation layer where it is installed, and
 * the fill kernel.
 */
#ifndef QVK_TEST_GPU_FIXTURE_H
#define QVK_TEST_GPU_FIXTURE_H

#include "gpu/gpu.h"
#include "support/support.h"
#include "vulkan_proxy.h"

/* Fails the running test, with the message, unless the status is QVK_OK. */
#define assert_ok(expression) test_assert_ok(expression, &test_err, __FILE__, __LINE__)
#define assert_status(expression, expected)                                                                  \
    test_assert_status(expression, expected, &test_err, __FILE__, __LINE__)
/* Pass &test_err as `err` of the call in assert_ok. */
extern qvk_error test_err;
void test_assert_ok(qvk_status status, const qvk_error *err, const char *file, int line);
void test_assert_status(qvk_status status, qvk_status expected, const qvk_error *err, const char *file,
                        int line);

/* A gpu made from `params` (NULL: defaults) through the proxy of vulkan_proxy.h, validated where the layer is
 * installed. Warnings and errors of the log are printed unless params has a log of its own. */
qvk__gpu *gpu_open(const qvk__gpu_params *params);
/* Destroys it; fails the test if the validation layer said anything, or if memory or a Vulkan object is left.
 */
void gpu_close(qvk__gpu **gpu);

qvk__gpu_buffer gpu_buffer(qvk__gpu *gpu, qvk__gpu_memory memory, uint64_t bytes);
qvk__gpu_recording *gpu_recording(qvk__gpu *gpu, uint32_t n_timestamps);
/* Ends the recording, submits it and waits. */
void gpu_run(qvk__gpu *gpu, qvk__gpu_recording *recording);

/* What a test meets: the device as it is, the same as if it were a discrete GPU (nothing mapped, so that the
 * ring and polling are used), and stripped to the base path. */
typedef struct gpu_test_variant {
    const char *name;
    vulkan_proxy proxy;
} gpu_test_variant;
extern const gpu_test_variant *gpu_variant;
/* Resets the proxy to the variant, and opens. */
qvk__gpu *gpu_open_variant(void);
/* Runs an array of tests once per variant; for main to return. */
#define gpu_run_variants(tests) gpu_run_all_variants(tests, sizeof(tests) / sizeof((tests)[0]))
int gpu_run_all_variants(const struct CMUnitTest *tests, size_t n);

/* Parameters of the fill kernel: a uniform block. */
typedef struct fill_params {
    uint32_t first, count, pattern, padding;
} fill_params;

#define FILL_GROUP_SIZE 64
qvk__gpu_pipeline_params gpu_fill_pipeline_params(uint32_t group_size);
const qvk__gpu_pipeline *gpu_fill_pipeline(qvk__gpu *gpu, uint32_t group_size);
/* Work groups for `count` words. */
uint32_t gpu_fill_groups(uint32_t count);
qvk__gpu_dispatch gpu_fill_dispatch(qvk__gpu *gpu, const qvk__gpu_buffer *params,
                                    const qvk__gpu_buffer *words, uint32_t count);
qvk__gpu_range gpu_whole(const qvk__gpu_buffer *buffer);
/* A PARAMS buffer with that content. */
qvk__gpu_buffer gpu_fill_params(qvk__gpu *gpu, uint32_t first, uint32_t count, uint32_t pattern);

#endif
