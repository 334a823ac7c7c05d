/* Kernels and recordings on the device the test meets, in all its variants (gpu_fixture.h). */
#include <pthread.h>

#include "gpu_fixture.h"

/* ---- kernels and recordings ---------------------------------------------------------------------------- */

#define WORDS 5000u

static void fill_writes_its_range_only(void **state)
{
    (void)state;
    uint32_t words[WORDS];
    qvk__gpu *gpu = gpu_open_variant();
    qvk__gpu_buffer params = gpu_fill_params(gpu, 10, 3000, 0xdeadbeef);
    qvk__gpu_buffer buffer = gpu_buffer(gpu, QVK__GPU_MEMORY_DEVICE, sizeof words);
    qvk__gpu_recording *recording = gpu_recording(gpu, 0);
    qvk__gpu_dispatch dispatch = gpu_fill_dispatch(gpu, &params, &buffer, 3000);
    assert_ok(qvk__gpu_record_begin(recording, &test_err));
    qvk__gpu_record_fill(recording, gpu_whole(&buffer), 7);
    qvk__gpu_record_barrier(recording);
    assert_ok(qvk__gpu_record_dispatch(recording, &dispatch, &test_err));
    gpu_run(gpu, recording);
    assert_ok(qvk__gpu_download(gpu, &buffer, 0, words, sizeof words, &test_err));
    for (uint32_t i = 0; i < WORDS; i++)
        assert_int_equal(words[i], i >= 10 && i < 3010 ? 0xdeadbeef : 7);
    qvk__gpu_recording_destroy(gpu, &recording);
    assert_null(recording);
    qvk__gpu_buffer_destroy(gpu, &buffer);
    qvk__gpu_buffer_destroy(gpu, &params);
    gpu_close(&gpu);
}

/* Work groups over three dimensions cover the same words. */
static void folded_groups_cover_the_range(void **state)
{
    (void)state;
    uint32_t words[WORDS];
    qvk__gpu *gpu = gpu_open_variant();
    qvk__gpu_buffer params = gpu_fill_params(gpu, 0, WORDS, 5);
    qvk__gpu_buffer buffer = gpu_buffer(gpu, QVK__GPU_MEMORY_DEVICE, sizeof words);
    qvk__gpu_recording *recording = gpu_recording(gpu, 0);
    qvk__gpu_dispatch dispatch = gpu_fill_dispatch(gpu, &params, &buffer, WORDS);
    dispatch.groups[0] = 5;
    dispatch.groups[1] = 4;
    dispatch.groups[2] = 4;
    assert_true(5 * 4 * 4 >= gpu_fill_groups(WORDS));
    assert_ok(qvk__gpu_record_begin(recording, &test_err));
    qvk__gpu_record_fill(recording, gpu_whole(&buffer), 0);
    qvk__gpu_record_barrier(recording);
    assert_ok(qvk__gpu_record_dispatch(recording, &dispatch, &test_err));
    gpu_run(gpu, recording);
    assert_ok(qvk__gpu_download(gpu, &buffer, 0, words, sizeof words, &test_err));
    for (uint32_t i = 0; i < WORDS; i++)
        assert_int_equal(words[i], 5);
    qvk__gpu_recording_destroy(gpu, &recording);
    qvk__gpu_buffer_destroy(gpu, &buffer);
    qvk__gpu_buffer_destroy(gpu, &params);
    gpu_close(&gpu);
}

/* One recording, many runs; the host rewrites its parameters in between. */
static void a_recording_is_replayed(void **state)
{
    (void)state;
    enum { RUNS = 100, COUNT = 256 };
    uint32_t words[COUNT];
    qvk__gpu *gpu = gpu_open_variant();
    qvk__gpu_buffer params = gpu_fill_params(gpu, 0, COUNT, 0);
    qvk__gpu_buffer buffer = gpu_buffer(gpu, QVK__GPU_MEMORY_DEVICE, sizeof words);
    qvk__gpu_buffer host = gpu_buffer(gpu, QVK__GPU_MEMORY_READBACK, sizeof words);
    qvk__gpu_recording *recording = gpu_recording(gpu, 0);
    qvk__gpu_dispatch dispatch = gpu_fill_dispatch(gpu, &params, &buffer, COUNT);
    assert_ok(qvk__gpu_record_begin(recording, &test_err));
    assert_ok(qvk__gpu_record_dispatch(recording, &dispatch, &test_err));
    qvk__gpu_record_barrier(recording);
    qvk__gpu_record_copy(recording, gpu_whole(&buffer), gpu_whole(&host));
    assert_ok(qvk__gpu_record_end(recording, &test_err));
    for (uint32_t run = 0; run < RUNS; run++) {
        ((fill_params *)params.mapped)->pattern = run * 0x01010101;
        assert_ok(qvk__gpu_submit(gpu, recording, &test_err));
        assert_status(qvk__gpu_submit(gpu, recording, &test_err), QVK_INVALID_ARGUMENT);
        assert_ok(qvk__gpu_wait(gpu, recording, &test_err));
        memcpy(words, host.mapped, sizeof words);
        for (int i = 0; i < COUNT; i++)
            assert_int_equal(words[i], run * 0x01010101);
    }
    assert_ok(qvk__gpu_wait(gpu, recording, &test_err)); /* nothing runs: fine */
    qvk__gpu_recording_destroy(gpu, &recording);
    qvk__gpu_buffer_destroy(gpu, &host);
    qvk__gpu_buffer_destroy(gpu, &buffer);
    qvk__gpu_buffer_destroy(gpu, &params);
    gpu_close(&gpu);
}

/* Group counts come from the host, and from an earlier dispatch of the same recording. */
static void indirect_counts_are_read_when_it_runs(void **state)
{
    (void)state;
    enum { COUNT = 40 * FILL_GROUP_SIZE };
    static const uint32_t groups[] = {1, 0, 40, 7};
    uint32_t words[COUNT];
    qvk__gpu *gpu = gpu_open_variant();
    qvk__gpu_buffer params = gpu_fill_params(gpu, 0, COUNT, 9), one = gpu_fill_params(gpu, 0, 3, 1);
    qvk__gpu_buffer buffer = gpu_buffer(gpu, QVK__GPU_MEMORY_DEVICE, sizeof words);
    qvk__gpu_buffer host_counts = gpu_buffer(gpu, QVK__GPU_MEMORY_PARAMS, 32);
    qvk__gpu_buffer device_counts = gpu_buffer(gpu, QVK__GPU_MEMORY_DEVICE, 12);
    qvk__gpu_recording *recording = gpu_recording(gpu, 0);
    qvk__gpu_dispatch dispatch = gpu_fill_dispatch(gpu, &params, &buffer, COUNT);
    for (int from_kernel = 0; from_kernel < 2; from_kernel++) {
        dispatch.indirect = from_kernel ? &device_counts : &host_counts;
        dispatch.indirect_offset = from_kernel ? 0 : 4;
        assert_ok(qvk__gpu_record_begin(recording, &test_err));
        qvk__gpu_record_fill(recording, gpu_whole(&buffer), 0);
        if (from_kernel) {
            qvk__gpu_dispatch counts = gpu_fill_dispatch(gpu, &one, &device_counts, 3);
            assert_ok(qvk__gpu_record_dispatch(recording, &counts, &test_err));
        }
        qvk__gpu_record_barrier(recording);
        assert_ok(qvk__gpu_record_dispatch(recording, &dispatch, &test_err));
        assert_ok(qvk__gpu_record_end(recording, &test_err));
        for (size_t run = 0; run < QVK__COUNT(groups); run++) {
            uint32_t expected = from_kernel ? 1 : groups[run];
            const uint32_t counts[] = {99, groups[run], 1, 1};
            memcpy(host_counts.mapped, counts, sizeof counts);
            assert_ok(qvk__gpu_submit(gpu, recording, &test_err));
            assert_ok(qvk__gpu_wait(gpu, recording, &test_err));
            assert_ok(qvk__gpu_download(gpu, &buffer, 0, words, sizeof words, &test_err));
            for (uint32_t i = 0; i < COUNT; i++)
                assert_int_equal(words[i], i < expected * FILL_GROUP_SIZE ? 9 : 0);
        }
    }
    qvk__gpu_recording_destroy(gpu, &recording);
    qvk__gpu_buffer_destroy(gpu, &device_counts);
    qvk__gpu_buffer_destroy(gpu, &host_counts);
    qvk__gpu_buffer_destroy(gpu, &buffer);
    qvk__gpu_buffer_destroy(gpu, &one);
    qvk__gpu_buffer_destroy(gpu, &params);
    gpu_close(&gpu);
}

/* More dispatches than one descriptor pool holds, recorded anew several times. */
static void thousands_of_dispatches_fit(void **state)
{
    (void)state;
    enum { DISPATCHES = 1500 };
    uint32_t words[DISPATCHES];
    qvk__gpu *gpu = gpu_open_variant();
    const uint32_t alignment = qvk__gpu_caps_of(gpu)->uniform_alignment;
    const uint32_t stride = (uint32_t)qvk__round_up(sizeof(fill_params), alignment);
    qvk__gpu_buffer params = gpu_buffer(gpu, QVK__GPU_MEMORY_PARAMS, (uint64_t)stride * DISPATCHES);
    qvk__gpu_buffer buffer = gpu_buffer(gpu, QVK__GPU_MEMORY_DEVICE, sizeof words);
    qvk__gpu_recording *recording = gpu_recording(gpu, 0);
    qvk__gpu_dispatch dispatch = gpu_fill_dispatch(gpu, &params, &buffer, 1);
    dispatch.params.bytes = sizeof(fill_params);
    for (uint32_t round = 0; round < 3; round++) {
        assert_ok(qvk__gpu_record_begin(recording, &test_err));
        for (uint32_t i = 0; i < DISPATCHES; i++) {
            fill_params *at = (fill_params *)(void *)((uint8_t *)params.mapped + (size_t)i * stride);
            *at = (fill_params){i, 1, i ^ round, 0};
            dispatch.params.offset = (uint64_t)i * stride;
            assert_ok(qvk__gpu_record_dispatch(recording, &dispatch, &test_err));
            qvk__gpu_record_barrier(recording);
        }
        gpu_run(gpu, recording);
        assert_ok(qvk__gpu_download(gpu, &buffer, 0, words, sizeof words, &test_err));
        for (uint32_t i = 0; i < DISPATCHES; i++)
            assert_int_equal(words[i], i ^ round);
    }
    assert_in_range(vulkan_proxy_calls("vkCreateDescriptorPool"), 2, 6);
    qvk__gpu_recording_destroy(gpu, &recording);
    qvk__gpu_buffer_destroy(gpu, &buffer);
    qvk__gpu_buffer_destroy(gpu, &params);
    gpu_close(&gpu);
}

/*
 * Long random chains of kernels, indirect kernels, copies and fills over a few buffers, each step after a
 * barrier, against the same steps on the host. The validation layer watches for hazards.
 */
static void random_chains_are_ordered(void **state)
{
    (void)state;
    enum { BUFFERS = 4, COUNT = 96, STEPS = 120, CHAINS = 4 };
    uint32_t expected[BUFFERS][COUNT], actual[COUNT];
    qvk__gpu_buffer buffers[BUFFERS], params[STEPS];
    qvk__gpu *gpu = gpu_open_variant();
    test_rng rng = test_rng_seed(4);
    qvk__gpu_recording *recording = gpu_recording(gpu, 0);
    qvk__gpu_buffer counts = gpu_buffer(gpu, QVK__GPU_MEMORY_DEVICE, 12);
    for (int i = 0; i < BUFFERS; i++)
        buffers[i] = gpu_buffer(gpu, QVK__GPU_MEMORY_DEVICE, COUNT * 4);
    for (int chain = 0; chain < CHAINS; chain++) {
        assert_ok(qvk__gpu_record_begin(recording, &test_err));
        for (int i = 0; i < BUFFERS; i++) {
            qvk__gpu_record_fill(recording, gpu_whole(&buffers[i]), 0);
            memset(expected[i], 0, sizeof expected[i]);
        }
        for (int step = 0; step < STEPS; step++) {
            int kind = (int)test_rng_range(&rng, 0, 3);
            int a = (int)test_rng_range(&rng, 0, BUFFERS - 1);
            int b = (a + (int)test_rng_range(&rng, 1, BUFFERS - 1)) % BUFFERS;
            uint32_t first = (uint32_t)test_rng_range(&rng, 0, COUNT - 8),
                     word = (uint32_t)test_rng_next(&rng);
            qvk__gpu_range whole = gpu_whole(&buffers[a]);
            params[step] = gpu_fill_params(gpu, first, 8, word);
            qvk__gpu_dispatch dispatch = gpu_fill_dispatch(gpu, &params[step], &buffers[a], 8);
            qvk__gpu_record_barrier(recording);
            switch (kind) {
            case 0: assert_ok(qvk__gpu_record_dispatch(recording, &dispatch, &test_err)); break;
            case 1:
                qvk__gpu_record_fill(recording, gpu_whole(&counts), 1);
                qvk__gpu_record_barrier(recording);
                dispatch.indirect = &counts;
                assert_ok(qvk__gpu_record_dispatch(recording, &dispatch, &test_err));
                break;
            case 2:
                qvk__gpu_record_copy(recording, whole, gpu_whole(&buffers[b]));
                memcpy(expected[b], expected[a], sizeof expected[a]);
                break;
            case 3:
                whole.offset = 4 * (uint64_t)first;
                whole.bytes = 32;
                qvk__gpu_record_fill(recording, whole, word);
                break;
            }
            for (uint32_t i = 0; i < 8 && kind != 2; i++)
                expected[a][first + i] = word;
        }
        gpu_run(gpu, recording);
        for (int i = 0; i < BUFFERS; i++) {
            assert_ok(qvk__gpu_download(gpu, &buffers[i], 0, actual, sizeof actual, &test_err));
            assert_memory_equal(actual, expected[i], sizeof actual);
        }
        for (int step = 0; step < STEPS; step++)
            qvk__gpu_buffer_destroy(gpu, &params[step]);
    }
    qvk__gpu_recording_destroy(gpu, &recording);
    qvk__gpu_buffer_destroy(gpu, &counts);
    for (int i = 0; i < BUFFERS; i++)
        qvk__gpu_buffer_destroy(gpu, &buffers[i]);
    gpu_close(&gpu);
}

/* The second recording sees what the first wrote although nobody waited in between. */
static void recordings_run_in_submit_order(void **state)
{
    (void)state;
    enum { COUNT = 1 << 16 };
    qvk__gpu *gpu = gpu_open_variant();
    qvk__gpu_buffer params = gpu_fill_params(gpu, 0, COUNT, 3);
    qvk__gpu_buffer first = gpu_buffer(gpu, QVK__GPU_MEMORY_DEVICE, COUNT * 4);
    qvk__gpu_buffer second = gpu_buffer(gpu, QVK__GPU_MEMORY_READBACK, COUNT * 4);
    qvk__gpu_recording *write = gpu_recording(gpu, 0), *copy = gpu_recording(gpu, 0);
    qvk__gpu_dispatch dispatch = gpu_fill_dispatch(gpu, &params, &first, COUNT);
    assert_ok(qvk__gpu_record_begin(write, &test_err));
    assert_ok(qvk__gpu_record_dispatch(write, &dispatch, &test_err));
    assert_ok(qvk__gpu_record_end(write, &test_err));
    assert_ok(qvk__gpu_record_begin(copy, &test_err));
    qvk__gpu_record_copy(copy, gpu_whole(&first), gpu_whole(&second));
    assert_ok(qvk__gpu_record_end(copy, &test_err));
    assert_ok(qvk__gpu_submit(gpu, write, &test_err));
    assert_ok(qvk__gpu_submit(gpu, copy, &test_err));
    assert_ok(qvk__gpu_wait(gpu, copy, &test_err));
    for (int i = 0; i < COUNT; i++)
        assert_int_equal(((const uint32_t *)second.mapped)[i], 3);
    qvk__gpu_recording_destroy(gpu, &copy);
    qvk__gpu_recording_destroy(gpu, &write); /* never waited for */
    qvk__gpu_buffer_destroy(gpu, &second);
    qvk__gpu_buffer_destroy(gpu, &first);
    qvk__gpu_buffer_destroy(gpu, &params);
    gpu_close(&gpu);
}

static void timestamps_grow(void **state)
{
    (void)state;
    enum { COUNT = 1 << 18, STAMPS = 4 };
    double ns[STAMPS] = {-1, -1, -1, -1};
    qvk__gpu *gpu = gpu_open_variant();
    qvk__gpu_buffer params = gpu_fill_params(gpu, 0, COUNT, 3);
    qvk__gpu_buffer buffer = gpu_buffer(gpu, QVK__GPU_MEMORY_DEVICE, COUNT * 4);
    qvk__gpu_recording *recording = gpu_recording(gpu, STAMPS);
    qvk__gpu_dispatch dispatch = gpu_fill_dispatch(gpu, &params, &buffer, COUNT);
    assert_ok(qvk__gpu_record_begin(recording, &test_err));
    for (uint32_t i = 0; i < STAMPS - 1; i++) {
        qvk__gpu_record_timestamp(recording, i);
        assert_ok(qvk__gpu_record_dispatch(recording, &dispatch, &test_err));
        qvk__gpu_record_barrier(recording);
    }
    assert_ok(qvk__gpu_record_end(recording, &test_err));
    bool has = qvk__gpu_caps_of(gpu)->timestamp_ns > 0;
    assert_int_equal(has, !gpu_variant->proxy.bare);
    qvk_status expected = has ? QVK_INVALID_ARGUMENT : QVK_UNSUPPORTED;
    assert_status(qvk__gpu_timestamps(gpu, recording, ns, 1, &test_err), expected); /* not run yet */
    for (int run = 0; run < 2; run++) {
        assert_ok(qvk__gpu_submit(gpu, recording, &test_err));
        assert_ok(qvk__gpu_wait(gpu, recording, &test_err));
        assert_status(qvk__gpu_timestamps(gpu, recording, ns, STAMPS, &test_err),
                      expected); /* 3 were taken */
        assert_status(qvk__gpu_timestamps(gpu, recording, ns, STAMPS - 1, &test_err),
                      has ? QVK_OK : QVK_UNSUPPORTED);
        assert_true(!has || (ns[0] == 0 && ns[1] > 0 && ns[2] > ns[1] && ns[2] < 1e10));
    }
    qvk__gpu_recording_destroy(gpu, &recording);
    qvk__gpu_buffer_destroy(gpu, &buffer);
    qvk__gpu_buffer_destroy(gpu, &params);
    gpu_close(&gpu);
}

/* ---- threads ------------------------------------------------------------------------------------------- */

typedef struct worker {
    qvk__gpu *gpu;
    uint32_t seed;
    bool failed;
} worker;

/* What a module on a shared gpu does, without cmocka, which is not for threads. */
static bool work(worker *self)
{
    enum { COUNT = 3000, RUNS = 25 };
    qvk__gpu *gpu = self->gpu;
    uint32_t words[COUNT];
    qvk__gpu_buffer params, buffer;
    qvk__gpu_recording *recording;
    if (qvk__gpu_buffer_create(gpu, QVK__GPU_MEMORY_PARAMS, sizeof(fill_params), &params, NULL) != QVK_OK ||
        qvk__gpu_buffer_create(gpu, QVK__GPU_MEMORY_DEVICE, sizeof words, &buffer, NULL) != QVK_OK ||
        qvk__gpu_recording_create(gpu, 0, &recording, NULL) != QVK_OK ||
        qvk__gpu_record_begin(recording, NULL) != QVK_OK)
        return false;
    /* A kernel variant of its own and one that both threads want. */
    const qvk__gpu_pipeline *own, *shared = NULL;
    qvk__gpu_pipeline_params kernel = gpu_fill_pipeline_params(8 + self->seed);
    bool good = qvk__gpu_pipeline_get(gpu, &kernel, &own, NULL) == QVK_OK;
    kernel = gpu_fill_pipeline_params(FILL_GROUP_SIZE);
    good = good && qvk__gpu_pipeline_get(gpu, &kernel, &shared, NULL) == QVK_OK && shared != own;
    qvk__gpu_dispatch dispatch = {
        .pipeline = shared,
        .params = gpu_whole(&params),
        .buffers = {gpu_whole(&buffer)},
        .n_buffers = 1,
        .groups = {gpu_fill_groups(COUNT), 1, 1},
    };
    good = good && qvk__gpu_record_dispatch(recording, &dispatch, NULL) == QVK_OK &&
           qvk__gpu_record_end(recording, NULL) == QVK_OK;
    for (uint32_t run = 0; run < RUNS && good; run++) {
        const fill_params now = {0, COUNT - 1, self->seed * 100000 + run, 0};
        memcpy(params.mapped, &now, sizeof now);
        const uint32_t last = run;
        good = qvk__gpu_upload(gpu, &buffer, (COUNT - 1) * 4, &last, 4, NULL) == QVK_OK &&
               qvk__gpu_submit(gpu, recording, NULL) == QVK_OK &&
               qvk__gpu_wait(gpu, recording, NULL) == QVK_OK &&
               qvk__gpu_download(gpu, &buffer, 0, words, sizeof words, NULL) == QVK_OK &&
               words[COUNT - 1] == run;
        for (int i = 0; i < COUNT - 1; i++)
            good = good && words[i] == now.pattern;
    }
    qvk__gpu_recording_destroy(gpu, &recording);
    qvk__gpu_buffer_destroy(gpu, &buffer);
    qvk__gpu_buffer_destroy(gpu, &params);
    return good;
}

static void *run_worker(void *argument)
{
    worker *self = argument;
    self->failed = !work(self);
    return NULL;
}

static void threads_share_a_gpu(void **state)
{
    (void)state;
    enum { THREADS = 4 };
    qvk__gpu *gpu = gpu_open_variant();
    pthread_t threads[THREADS];
    worker workers[THREADS];
    for (uint32_t i = 0; i < THREADS; i++) {
        workers[i] = (worker){gpu, i, true};
        assert_int_equal(pthread_create(&threads[i], NULL, run_worker, &workers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        assert_false(workers[i].failed);
    }
    assert_int_equal(vulkan_proxy_calls("vkCreateComputePipelines"), THREADS + 1);
    gpu_close(&gpu);
}

typedef struct compiler {
    qvk__gpu *gpu;
    const qvk__gpu_pipeline *pipeline;
    qvk_status status;
    qvk_error err;
} compiler;

static void *run_compiler(void *argument)
{
    compiler *self = argument;
    qvk__gpu_pipeline_params params = gpu_fill_pipeline_params(24);
    self->status = qvk__gpu_pipeline_get(self->gpu, &params, &self->pipeline, &self->err);
    return NULL;
}

/* Threads that want the same pipeline at once share one compilation, and its failure. */
static void a_compilation_is_shared(void **state)
{
    (void)state;
    enum { THREADS = 4 };
    if (gpu_variant->proxy.bare || gpu_variant->proxy.discrete)
        return; /* no different there, and slow */
    qvk__gpu *gpu = gpu_open_variant();
    pthread_t threads[THREADS];
    compiler compilers[THREADS] = {0};
    proxy.slow_compile = true;
    proxy.fail_function = "vkCreateComputePipelines";
    proxy.fail_with = VK_ERROR_UNKNOWN;
    proxy.fail_at = 1;
    for (long round = 1; round <= 2; round++) { /* the second round succeeds */
        for (int i = 0; i < THREADS; i++) {
            compilers[i].gpu = gpu;
            assert_int_equal(pthread_create(&threads[i], NULL, run_compiler, &compilers[i]), 0);
        }
        for (int i = 0; i < THREADS; i++)
            pthread_join(threads[i], NULL);
        assert_int_equal(vulkan_proxy_calls("vkCreateComputePipelines"), round);
        for (int i = 0; i < THREADS; i++) {
            assert_int_equal(compilers[i].status, round == 1 ? QVK_DRIVER : QVK_OK);
            assert_ptr_equal(compilers[i].pipeline, compilers[0].pipeline);
            assert_true(round == 2 ||
                        strstr(compilers[i].err.message, "kernel fill_u32: vkCreateComputePipelines"));
        }
    }
    assert_non_null(compilers[0].pipeline);
    gpu_close(&gpu);
}

/* ---- mistakes of the caller ---------------------------------------------------------------------------- */

static void mistakes_are_statuses(void **state)
{
    (void)state;
    qvk__gpu *gpu = gpu_open_variant();
    const qvk__gpu_caps *caps = qvk__gpu_caps_of(gpu);
    qvk__gpu_buffer params = gpu_fill_params(gpu, 0, 4, 1);
    qvk__gpu_buffer buffer = gpu_buffer(gpu, QVK__GPU_MEMORY_DEVICE, 4096);
    qvk__gpu_recording *recording = gpu_recording(gpu, 1);
    const qvk__gpu_dispatch right = gpu_fill_dispatch(gpu, &params, &buffer, 4);
    assert_status(qvk__gpu_record_dispatch(recording, &right, &test_err), QVK_INVALID_ARGUMENT);
    assert_status(qvk__gpu_record_end(recording, &test_err), QVK_INVALID_ARGUMENT);
    assert_status(qvk__gpu_submit(gpu, recording, &test_err), QVK_INVALID_ARGUMENT);

    assert_ok(qvk__gpu_record_begin(recording, &test_err));
    qvk__gpu_dispatch wrong[8];
    for (size_t i = 0; i < QVK__COUNT(wrong); i++)
        wrong[i] = right;
    wrong[0].pipeline = NULL;
    wrong[1].n_buffers = 2;
    wrong[2].buffers[0].bytes = 4096 + 4;
    wrong[3].buffers[0] = (qvk__gpu_range){&buffer, UINT64_MAX - 3, 4};
    wrong[4].buffers[0].buffer = NULL;
    wrong[5].groups[1] = caps->max_group_count[1] + (caps->max_group_count[1] != UINT32_MAX);
    wrong[6].indirect = &buffer;
    wrong[6].indirect_offset = 4088;
    wrong[7].params.bytes = 0;
    for (size_t i = 0; i < QVK__COUNT(wrong); i++)
        if (i != 5 || caps->max_group_count[1] != UINT32_MAX)
            assert_status(qvk__gpu_record_dispatch(recording, &wrong[i], &test_err), QVK_INVALID_ARGUMENT);
    assert_ok(qvk__gpu_record_end(recording, &test_err)); /* those were refused; nothing is left of them */

    for (int mistake = 0; mistake < 5; mistake++) {
        assert_ok(qvk__gpu_record_begin(recording, &test_err));
        switch (mistake) {
        case 0: qvk__gpu_record_fill(recording, (qvk__gpu_range){&buffer, 2, 4}, 0); break;
        case 1: qvk__gpu_record_fill(recording, (qvk__gpu_range){&buffer, 0, 5000}, 0); break;
        case 2: qvk__gpu_record_copy(recording, gpu_whole(&buffer), gpu_whole(&buffer)); break;
        case 3: qvk__gpu_record_copy(recording, gpu_whole(&buffer), gpu_whole(&params)); break;
        case 4: qvk__gpu_record_timestamp(recording, 1); break;
        }
        qvk__gpu_record_barrier(recording); /* ignored after a mistake */
        assert_status(qvk__gpu_record_end(recording, &test_err), QVK_INVALID_ARGUMENT);
        assert_status(qvk__gpu_submit(gpu, recording, &test_err), QVK_INVALID_ARGUMENT);
    }
    qvk__gpu_recording_destroy(gpu, &recording);
    qvk__gpu_buffer_destroy(gpu, &buffer);
    qvk__gpu_buffer_destroy(gpu, &params);
    gpu_close(&gpu);
}

static void odd_pipelines_are_refused(void **state)
{
    (void)state;
    static const uint32_t no_spirv[8] = {1, 2, 3};
    const qvk__gpu_pipeline *pipeline = NULL;
    qvk__gpu *gpu = gpu_open_variant();
    const qvk__gpu_caps *caps = qvk__gpu_caps_of(gpu);
    qvk__gpu_pipeline_params params = {.spirv = no_spirv, .n_words = 8, .n_buffers = 1};
    assert_status(qvk__gpu_pipeline_get(gpu, &params, &pipeline, &test_err), QVK_INVALID_ARGUMENT);
    params = gpu_fill_pipeline_params(FILL_GROUP_SIZE);
    params.n_buffers = caps->max_buffers + 1;
    assert_status(qvk__gpu_pipeline_get(gpu, &params, &pipeline, &test_err), QVK_UNSUPPORTED);
    params = gpu_fill_pipeline_params(FILL_GROUP_SIZE);
    params.subgroup_size = 3;
    assert_status(qvk__gpu_pipeline_get(gpu, &params, &pipeline, &test_err), QVK_UNSUPPORTED);
    params.subgroup_size = caps->subgroup_size_max;
    bool can = (caps->flags & QVK__CAP_SUBGROUP_SIZE_CONTROL) != 0;
    assert_status(qvk__gpu_pipeline_get(gpu, &params, &pipeline, &test_err), can ? QVK_OK : QVK_UNSUPPORTED);
    assert_int_equal(pipeline != NULL, can);
    gpu_close(&gpu);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fill_writes_its_range_only),
        cmocka_unit_test(folded_groups_cover_the_range),
        cmocka_unit_test(a_recording_is_replayed),
        cmocka_unit_test(indirect_counts_are_read_when_it_runs),
        cmocka_unit_test(thousands_of_dispatches_fit),
        cmocka_unit_test(random_chains_are_ordered),
        cmocka_unit_test(recordings_run_in_submit_order),
        cmocka_unit_test(timestamps_grow),
        cmocka_unit_test(threads_share_a_gpu),
        cmocka_unit_test(a_compilation_is_shared),
        cmocka_unit_test(mistakes_are_statuses),
        cmocka_unit_test(odd_pipelines_are_refused),
    };
    return gpu_run_variants(tests);
}
