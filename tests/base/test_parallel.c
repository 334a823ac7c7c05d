/* Splitting a range over threads: src/base/parallel.c. */
#include <stdatomic.h>

#include "base/base.h"
#include "support/support.h"

enum { COUNT = 1003, GRAIN = 8 };

typedef struct tally {
    atomic_int visits[COUNT];
    atomic_int parts, ragged; /* parts that begin or end off the grain */
    uint64_t bad;             /* an index whose part fails; COUNT: none */
} tally;

static tally *tally_of(uint64_t bad)
{
    tally *t = calloc(1, sizeof *t);
    assert_non_null(t);
    t->bad = bad;
    return t;
}

static qvk_status visit(void *user, uint64_t begin, uint64_t end, qvk_error *err)
{
    tally *t = user;

    atomic_fetch_add(&t->parts, 1);
    if (begin % GRAIN != 0 || (end % GRAIN != 0 && end != COUNT))
        atomic_fetch_add(&t->ragged, 1);
    QVK__CHECK(t->bad < begin || t->bad >= end, err, QVK_UNSUPPORTED, "index %d is bad", (int)t->bad);
    for (uint64_t i = begin; i < end; i++)
        atomic_fetch_add(&t->visits[i], 1);
    return QVK_OK;
}

static void every_index_is_visited_once(void **state)
{
    tally *t = tally_of(COUNT);

    (void)state;
    assert_int_equal(qvk__parallel_try(COUNT, GRAIN, visit, t, NULL), QVK_OK);
    for (int i = 0; i < COUNT; i++)
        assert_int_equal(t->visits[i], 1);
    assert_int_equal(t->ragged, 0);
    free(t);
}

static void nothing_is_no_work(void **state)
{
    tally *t = tally_of(COUNT);

    (void)state;
    assert_int_equal(qvk__parallel_try(0, GRAIN, visit, t, NULL), QVK_OK);
    assert_int_equal(t->parts, 0);
    free(t);
}

static void a_failure_comes_back(void **state)
{
    tally *t = tally_of(COUNT - 1);
    qvk_error err;

    (void)state;
    assert_int_equal(qvk__parallel_try(COUNT, GRAIN, visit, t, &err), QVK_UNSUPPORTED);
    assert_string_equal(err.message, "index 1002 is bad");
    assert_int_equal(qvk__parallel_try(COUNT, GRAIN, visit, t, NULL), QVK_UNSUPPORTED);
    free(t);
}

static void a_failure_ends_the_work(void **state)
{
    tally *t = tally_of(0);
    int visited = 0;

    (void)state;
    assert_int_equal(qvk__parallel_try(COUNT, 1, visit, t, NULL), QVK_UNSUPPORTED);
    for (int i = 0; i < COUNT; i++)
        visited += t->visits[i];
    assert_true(visited < COUNT); /* at least the part that failed */
    free(t);
}

static void add_up(void *user, uint64_t begin, uint64_t end)
{
    for (uint64_t i = begin; i < end; i++)
        atomic_fetch_add((atomic_ullong *)user, i);
}

static void work_that_cannot_fail_is_done(void **state)
{
    atomic_ullong sum;

    (void)state;
    atomic_init(&sum, 0);
    qvk__parallel(COUNT, 0, add_up, &sum); /* a grain of 0 is 1 */
    assert_int_equal(sum, COUNT * (COUNT - 1) / 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_index_is_visited_once),   cmocka_unit_test(nothing_is_no_work),
        cmocka_unit_test(a_failure_comes_back),          cmocka_unit_test(a_failure_ends_the_work),
        cmocka_unit_test(work_that_cannot_fail_is_done),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
