/* Placing lifetimes, and where barriers fall. */
#include "runtime/hazards.h"
#include "runtime/memory_plan.h"
#include "support/support.h"

static bool alive_together(const qvk__memory_item *a, const qvk__memory_item *b)
{
    return a->first <= b->last && b->first <= a->last;
}

static void check_plan(const qvk__memory_item *items, size_t n, uint64_t alignment, uint64_t total)
{
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(items[i].offset % alignment, 0);
        assert_true(items[i].offset + items[i].bytes <= total);
        for (size_t j = 0; j < i; j++)
            if (alive_together(&items[i], &items[j]))
                assert_true(items[i].offset + items[i].bytes <= items[j].offset ||
                            items[j].offset + items[j].bytes <= items[i].offset);
    }
}

static void a_chain_needs_two_places(void **state)
{
    (void)state;
    qvk__memory_item items[16];
    uint64_t total;
    for (int i = 0; i < 16; i++)
        items[i] = (qvk__memory_item){.bytes = 1000, .first = i, .last = i + 1};
    assert_int_equal(qvk__memory_plan(items, 16, 64, &total, NULL), QVK_OK);
    check_plan(items, 16, 64, total);
    assert_int_equal(total, 1024 + 1000);
}

static void nothing_needs_nothing(void **state)
{
    (void)state;
    uint64_t total = 1;
    assert_int_equal(qvk__memory_plan(NULL, 0, 64, &total, NULL), QVK_OK);
    assert_int_equal(total, 0);
}

static void random_lives_never_overlap(void **state)
{
    (void)state;
    test_rng rng = test_rng_seed(11);
    for (int round = 0; round < 50; round++) {
        qvk__memory_item items[80], again[80];
        const size_t n = (size_t)test_rng_range(&rng, 1, 80);
        uint64_t total, largest_moment = 0, total_again;
        for (size_t i = 0; i < n; i++) {
            const int32_t first = (int32_t)test_rng_range(&rng, -1, 40);
            items[i] = (qvk__memory_item){.bytes = (uint64_t)test_rng_range(&rng, 0, 5000),
                                          .first = first,
                                          .last = first + (int32_t)test_rng_range(&rng, 0, 10)};
        }
        memcpy(again, items, sizeof items);
        assert_int_equal(qvk__memory_plan(items, n, 256, &total, NULL), QVK_OK);
        check_plan(items, n, 256, total);
        for (int32_t moment = -1; moment <= 50; moment++) {
            uint64_t alive = 0;
            for (size_t i = 0; i < n; i++)
                if (items[i].first <= moment && moment <= items[i].last)
                    alive += items[i].bytes;
            largest_moment = alive > largest_moment ? alive : largest_moment;
        }
        assert_true(total >= largest_moment);
        assert_true(total <= 2 * (largest_moment + n * 256));
        assert_int_equal(qvk__memory_plan(again, n, 256, &total_again, NULL), QVK_OK);
        assert_memory_equal(again, items, n * sizeof *items);
    }
}

/* ---- hazards -------------------------------------------------------------------------------------------- */

static bool add(qvk__hazards *hazards, const qvk__gpu_buffer *buffer, uint64_t from, uint64_t bytes,
                bool writes)
{
    const qvk__access access = {{buffer, from, bytes}, writes};
    bool barrier = false;
    assert_int_equal(qvk__hazards_add(hazards, &access, 1, &barrier, NULL), QVK_OK);
    return barrier;
}

static void barriers_only_where_something_is_at_stake(void **state)
{
    (void)state;
    qvk__hazards hazards = {0};
    qvk__gpu_buffer a = {0}, b = {0};
    assert_false(add(&hazards, &a, 0, 64, true));
    assert_false(add(&hazards, &a, 64, 64, true)); /* beside it */
    assert_false(add(&hazards, &b, 0, 64, false)); /* another buffer */
    assert_false(add(&hazards, &b, 0, 64, false)); /* reads may meet */
    assert_true(add(&hazards, &a, 32, 64, false)); /* read after write */
    assert_false(add(&hazards, &a, 0, 32, false)); /* the barrier covered this too */
    assert_true(add(&hazards, &a, 0, 16, true));   /* write after read */
    assert_true(add(&hazards, &a, 15, 1, true));   /* write after write */
    assert_false(add(&hazards, &b, 0, 64, true));  /* the reads of b lie before a barrier */
    qvk__hazards_forget(&hazards);
    assert_false(add(&hazards, &b, 0, 64, true));
    qvk__hazards_finish(&hazards);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_chain_needs_two_places),
        cmocka_unit_test(nothing_needs_nothing),
        cmocka_unit_test(random_lives_never_overlap),
        cmocka_unit_test(barriers_only_where_something_is_at_stake),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
