/* Delegates: a blob alone, as another runtime hands it over. The blobs are those of golden programs. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "program/program.h"
#include "qvk/qvk.h"
#include "support/support.h"

/* ---- a golden program's only delegate ------------------------------------------------------------------- */

typedef struct fixture {
    qvk__program program;
    const qvk__delegate *part;
    qvk_context *context;
    qvk_value input;
    qvk_tensor want;
    int n_found, n_held; /* answered questions for named data, and those not yet given back */
    bool lost;           /* there is no named data any more */
} fixture;

static qvk_tensor load_npy(const char *name, const char *what)
{
    char file[128];
    qvk_tensor tensor;
    qvk_error err;
    snprintf(file, sizeof file, "cases/%s.%s.npy", name, what);
    char *path = test_golden_path(file);
    if (qvk_npy_load(path, &tensor, &err) != QVK_OK)
        fail_msg("%s", err.message);
    free(path);
    return tensor;
}

static void open_fixture(fixture *f, const char *name, const char *device)
{
    const qvk_context_params params = {.device = device};
    char file[128];
    qvk_error err;
    *f = (fixture){.input = {.kind = QVK_VALUE_TENSOR}};
    snprintf(file, sizeof file, "cases/%s.pte", name);
    char *path = test_golden_path(file);
    if (qvk__program_read(path, NULL, 0, &f->program, &err) != QVK_OK ||
        qvk_context_create(&params, &f->context, &err) != QVK_OK)
        fail_msg("%s", err.message);
    free(path);
    assert_int_equal(f->program.methods[0].n_delegates, 1);
    f->part = &f->program.methods[0].delegates[0];
    f->input.tensor = load_npy(name, "in_0");
    f->want = load_npy(name, "out_0");
}

static void close_fixture(fixture *f)
{
    qvk_tensor_free(&f->input.tensor);
    qvk_tensor_free(&f->want);
    qvk_context_destroy(&f->context);
    qvk__program_finish(&f->program);
}

static bool find(void *user, const char *key, const void **data, size_t *bytes)
{
    fixture *f = user;
    const qvk__named_data *named = qvk__program_find(&f->program, key);
    if (!named || f->lost)
        return false;
    *data = named->data;
    *bytes = (size_t)named->bytes;
    f->n_found++;
    f->n_held++;
    return true;
}

static void give_back(void *user, const char *key, const void *data)
{
    fixture *f = user;
    assert_ptr_equal(qvk__program_find(&f->program, key)->data, data);
    f->n_held--;
}

static qvk_delegate *create(fixture *f)
{
    const qvk_delegate_params params = {.find = find, .find_user = f};
    qvk_delegate *delegate = NULL;
    qvk_error err;
    if (qvk_delegate_create(f->context, f->part->blob, f->part->blob_bytes, &params, &delegate, &err) !=
        QVK_OK)
        fail_msg("%s", err.message);
    return delegate;
}

static void assert_wanted(const fixture *f, const qvk_tensor *got)
{
    assert_int_equal(got->dtype, QVK_DTYPE_F32);
    assert_int_equal(got->rank, f->want.rank);
    assert_memory_equal(got->sizes, f->want.sizes, sizeof(int64_t) * (size_t)got->rank);
    test_assert_close("output", got->data, f->want.data, (size_t)qvk_tensor_numel(got), TEST_F32_SUM);
}

/* ---- tests ---------------------------------------------------------------------------------------------- */

static const char *const devices[] = {NULL, "cpu"};

static void it_runs_like_the_program_around_it(void **state)
{
    (void)state;
    for (size_t d = 0; d < sizeof devices / sizeof *devices; d++) {
        fixture f;
        qvk_value out = {0};
        qvk_error err;
        open_fixture(&f, "linear_1_8da4w_g32", devices[d]);
        qvk_delegate *delegate = create(&f);
        assert_true(f.n_found > 0); /* its weights are named data */
        assert_int_equal(qvk_delegate_input_count(delegate), 1);
        assert_int_equal(qvk_delegate_output_count(delegate), 1);
        assert_string_equal(qvk_delegate_cpu_reasons(delegate), "");
        for (int i = 0; i < 2; i++) {
            out = (qvk_value){0};
            assert_int_equal(qvk_delegate_run(delegate, &f.input, 1, &out, 1, &err), QVK_OK);
            assert_wanted(&f, &out.tensor);
        }
        qvk_delegate_destroy(&delegate);
        assert_null(delegate);
        close_fixture(&f);
    }
}

/* Into the caller's memory where it gives some, else the result says where it lies. */
static void outputs_go_where_the_caller_wants(void **state)
{
    (void)state;
    fixture f;
    qvk_value bound;
    qvk_error err;
    open_fixture(&f, "linear_1_8da4w_g32", NULL);
    qvk_delegate *delegate = create(&f);
    assert_int_equal(qvk_delegate_output_info(delegate, 0, &bound, &err), QVK_OK);
    assert_int_equal(bound.kind, QVK_VALUE_TENSOR);
    assert_int_equal(qvk_tensor_numel(&bound.tensor), qvk_tensor_numel(&f.want));
    float *room = malloc(qvk_tensor_bytes(&bound.tensor));
    qvk_value out = bound;
    out.tensor.data = room;
    assert_int_equal(qvk_delegate_run(delegate, &f.input, 1, &out, 1, &err), QVK_OK);
    assert_ptr_equal(out.tensor.data, room);
    assert_wanted(&f, &out.tensor);
    out.tensor = (qvk_tensor){.dtype = QVK_DTYPE_F32, .rank = 1, .sizes = {1}, .data = room};
    assert_int_equal(qvk_delegate_run(delegate, &f.input, 1, &out, 1, &err), QVK_SHAPE);
    assert_non_null(strstr(err.message, "no room"));
    out = (qvk_value){0};
    assert_int_equal(qvk_delegate_run(delegate, &f.input, 1, &out, 1, &err), QVK_OK);
    assert_ptr_not_equal(out.tensor.data, room);
    assert_wanted(&f, &out.tensor);
    assert_int_equal(qvk_delegate_run(delegate, &f.input, 1, NULL, 0, &err), QVK_OK);
    free(room);
    qvk_delegate_destroy(&delegate);
    close_fixture(&f);
}

/* Weights are not kept twice: what is on the device is given back, and asked for again when it is needed. */
static void named_data_is_given_back(void **state)
{
    (void)state;
    for (size_t d = 0; d < sizeof devices / sizeof *devices; d++) {
        fixture f;
        qvk_value out = {0};
        qvk_delegate *delegate = NULL;
        qvk_error err;
        open_fixture(&f, "linear_1_8da4w_g32", devices[d]);
        const qvk_delegate_params params = {.find = find, .release = give_back, .find_user = &f};
        const void *blob = f.part->blob;
        const size_t bytes = f.part->blob_bytes;
        assert_int_equal(qvk_delegate_create(f.context, blob, bytes, &params, &delegate, &err), QVK_OK);
        assert_true(f.n_found > 0);
        assert_int_equal(f.n_held, 0);
        f.lost = d == 0; /* a device has all of it by now */
        assert_int_equal(qvk_delegate_run(delegate, &f.input, 1, &out, 1, &err), QVK_OK);
        assert_wanted(&f, &out.tensor);
        assert_int_equal(f.n_held, 0);
        qvk_delegate_destroy(&delegate);
        f.lost = true;
        assert_int_equal(qvk_delegate_create(f.context, blob, bytes, &params, &delegate, &err),
                         QVK_NOT_FOUND);
        assert_int_equal(f.n_held, 0);
        close_fixture(&f);
    }
}

static void lost_data_is_told(void **state)
{
    (void)state;
    fixture f;
    qvk_value out = {0};
    qvk_delegate *delegate = NULL;
    qvk_error err;
    open_fixture(&f, "linear_1_8da4w_g32", "cpu");
    const qvk_delegate_params params = {.find = find, .release = give_back, .find_user = &f};
    assert_int_equal(
        qvk_delegate_create(f.context, f.part->blob, f.part->blob_bytes, &params, &delegate, &err), QVK_OK);
    f.lost = true;
    assert_int_equal(qvk_delegate_run(delegate, &f.input, 1, &out, 1, &err), QVK_NOT_FOUND);
    assert_non_null(strstr(err.message, "is gone"));
    f.lost = false;
    assert_int_equal(qvk_delegate_run(delegate, &f.input, 1, &out, 1, &err), QVK_OK);
    assert_wanted(&f, &out.tensor);
    assert_int_equal(f.n_held, 0);
    qvk_delegate_destroy(&delegate);
    close_fixture(&f);
}

static void what_is_wrong_is_told(void **state)
{
    (void)state;
    fixture f;
    qvk_value outs[2] = {{0}};
    qvk_delegate *none = NULL;
    qvk_error err;
    open_fixture(&f, "linear_1_8da4w_g32", "cpu");
    const void *blob = f.part->blob;
    const size_t bytes = f.part->blob_bytes;
    assert_int_equal(qvk_delegate_create(NULL, blob, bytes, NULL, &none, &err), QVK_INVALID_ARGUMENT);
    assert_int_equal(qvk_delegate_create(f.context, blob, bytes, NULL, &none, &err), QVK_NOT_FOUND);
    assert_int_equal(qvk_delegate_create(f.context, blob, bytes / 2, NULL, &none, &err), QVK_BAD_FORMAT);
    assert_null(none);
    qvk_delegate *delegate = create(&f);
    assert_int_equal(qvk_delegate_run(delegate, NULL, 0, outs, 1, &err), QVK_INPUT_MISMATCH);
    assert_int_equal(qvk_delegate_run(delegate, &f.input, 1, outs, 2, &err), QVK_INPUT_MISMATCH);
    assert_int_equal(qvk_delegate_run(delegate, &f.input, 1, NULL, 1, &err), QVK_INVALID_ARGUMENT);
    f.input.tensor.dtype = QVK_DTYPE_I8;
    assert_int_equal(qvk_delegate_run(delegate, &f.input, 1, outs, 1, &err), QVK_INPUT_MISMATCH);
    assert_int_equal(qvk_delegate_output_info(delegate, 1, outs, &err), QVK_INVALID_ARGUMENT);
    assert_int_equal(qvk_delegate_output_info(delegate, -1, outs, &err), QVK_INVALID_ARGUMENT);
    qvk_delegate_destroy(&delegate);
    qvk_delegate_destroy(&delegate);
    qvk_delegate_destroy(NULL);
    close_fixture(&f);
}

static void it_keeps_its_context_alive(void **state)
{
    (void)state;
    fixture f;
    qvk_value out = {0};
    qvk_error err;
    open_fixture(&f, "linear_1_8da4w_g32", NULL);
    qvk_delegate *delegate = create(&f);
    qvk_context_destroy(&f.context);
    assert_int_equal(qvk_delegate_run(delegate, &f.input, 1, &out, 1, &err), QVK_OK);
    assert_wanted(&f, &out.tensor);
    qvk_delegate_destroy(&delegate);
    close_fixture(&f);
}

/* ---- threads -------------------------------------------------------------------------------------------- */

enum { N_THREADS = 4, N_RUNS = 50 };

typedef struct racer {
    fixture *f;
    qvk_delegate *delegate;
    int n_ok, n_busy, n_other;
} racer;

static void *race(void *user)
{
    racer *r = user;
    float *room = malloc(qvk_tensor_bytes(&r->f->want));
    for (int i = 0; i < N_RUNS; i++) {
        qvk_value out = {.tensor = r->f->want};
        out.tensor.data = room;
        qvk_error err;
        const qvk_status status = qvk_delegate_run(r->delegate, &r->f->input, 1, &out, 1, &err);
        r->n_busy += status == QVK_BUSY;
        if (status == QVK_OK && test_close(room[0], ((float *)r->f->want.data)[0], TEST_F32_SUM))
            r->n_ok++;
        else
            r->n_other += status != QVK_BUSY;
    }
    free(room);
    return NULL;
}

static void a_second_thread_is_told_to_wait(void **state)
{
    (void)state;
    fixture f;
    pthread_t threads[N_THREADS];
    racer racers[N_THREADS];
    int n_ok = 0;
    open_fixture(&f, "linear_1_8da4w_g32", NULL);
    qvk_delegate *delegate = create(&f);
    for (int t = 0; t < N_THREADS; t++) {
        racers[t] = (racer){.f = &f, .delegate = delegate};
        assert_int_equal(pthread_create(&threads[t], NULL, race, &racers[t]), 0);
    }
    for (int t = 0; t < N_THREADS; t++) {
        pthread_join(threads[t], NULL);
        assert_int_equal(racers[t].n_other, 0);
        assert_int_equal(racers[t].n_ok + racers[t].n_busy, N_RUNS);
        n_ok += racers[t].n_ok;
    }
    assert_true(n_ok > 0);
    qvk_delegate_destroy(&delegate);
    close_fixture(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_runs_like_the_program_around_it),
        cmocka_unit_test(outputs_go_where_the_caller_wants),
        cmocka_unit_test(named_data_is_given_back),
        cmocka_unit_test(lost_data_is_told),
        cmocka_unit_test(what_is_wrong_is_told),
        cmocka_unit_test(it_keeps_its_context_alive),
        cmocka_unit_test(a_second_thread_is_told_to_wait),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
