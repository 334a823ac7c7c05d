/* Buffers, uploads, kernels and recordings on the device the test meets. */
#include "gpu_fixture.h"

#include <pthread.h>

#define WORDS 5000u

static void fill_writes_its_range_only(void **state)
{
    (void)state;
    uint32_t words[WORDS];
    qvk__gpu *gpu = gpu_open(NULL);
    qvk__gpu_buffer buffer, params = gpu_fill_params(gpu, 10, 3000, 0xdeadbeef);
    qvk__gpu_recording *recording = NULL;
    assert_ok(qvk__gpu_buffer_create(gpu, QVK__GPU_MEMORY_DEVICE, sizeof words, &buffer, &test_err));
    assert_ok(qvk__gpu_recording_create(gpu, 0, &recording, &test_err));
    qvk__gpu_dispatch dispatch = gpu_fill_dispatch(gpu, &params, &buffer, 3000);
    assert_ok(qvk__gpu_record_begin(recording, &test_err));
    qvk__gpu_record_fill(recording, gpu_whole(&buffer), 7);
    qvk__gpu_record_barrier(recording);
    assert_ok(qvk__gpu_record_dispatch(recording, &dispatch, &test_err));
    assert_ok(qvk__gpu_record_end(recording, &test_err));
    assert_ok(qvk__gpu_submit(gpu, recording, &test_err));
    assert_ok(qvk__gpu_wait(gpu, recording, &test_err));
    assert_ok(qvk__gpu_download(gpu, &buffer, 0, words, sizeof words, &test_err));
    for (uint32_t i = 0; i < WORDS; i++)
        assert_int_equal(words[i], i >= 10 && i < 3010 ? 0xdeadbeef : 7);
    qvk__gpu_recording_destroy(gpu, &recording);
    assert_null(recording);
    qvk__gpu_buffer_destroy(gpu, &buffer);
    qvk__gpu_buffer_destroy(gpu, &params);
    gpu_close(&gpu);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fill_writes_its_range_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
