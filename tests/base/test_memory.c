/* Checked arithmetic, the arena, growable arrays: src/base/memory.c. */
#include "base/base.h"
#include "support/support.h"

static void sums_and_products_report_overflow(void **state)
{
    uint64_t out = 77;

    (void)state;
    assert_true(qvk__add_u64(UINT64_MAX - 1, 1, &out));
    assert_true(out == UINT64_MAX);
    assert_false(qvk__add_u64(UINT64_MAX, 1, &out));
    assert_true(out == UINT64_MAX); /* untouched */

    assert_true(qvk__mul_u64(UINT32_MAX, UINT32_MAX, &out));
    assert_true(out == 0xfffffffe00000001u);
    assert_true(qvk__mul_u64(UINT64_MAX, 0, &out));
    assert_true(out == 0);
    out = 5;
    assert_false(qvk__mul_u64((uint64_t)1 << 32, (uint64_t)1 << 32, &out));
    assert_true(out == 5);
}

static void rounding_up_goes_to_the_next_multiple(void **state)
{
    (void)state;
    assert_true(qvk__div_up(0, 16) == 0);
    assert_true(qvk__div_up(1, 16) == 1);
    assert_true(qvk__div_up(16, 16) == 1);
    assert_true(qvk__div_up(UINT64_MAX, 2) == (uint64_t)1 << 63);
    assert_true(qvk__round_up(0, 256) == 0);
    assert_true(qvk__round_up(257, 256) == 512);
    assert_true(qvk__round_up(10, 7) == 14);
}

static void zeroed_allocation_refuses_the_impossible(void **state)
{
    uint8_t *bytes = qvk__alloc_zeroed(100, 3);

    (void)state;
    assert_non_null(bytes);
    for (int i = 0; i < 300; i++)
        assert_int_equal(bytes[i], 0);
    free(bytes);
    assert_null(qvk__alloc_zeroed(UINT64_MAX / 2, 4));
    bytes = qvk__alloc_zeroed(0, 8); /* something to free, so that NULL always means failure */
    assert_non_null(bytes);
    free(bytes);
}

static void arena_gives_zeroed_aligned_memory(void **state)
{
    test_rng rng = test_rng_seed(1);
    qvk__arena arena = {0};

    (void)state;
    for (int i = 0; i < 2000; i++) {
        const size_t bytes = (size_t)test_rng_range(&rng, 0, 400);
        uint8_t *place = qvk__arena_alloc(&arena, bytes, 1);
        assert_non_null(place);
        assert_int_equal((uintptr_t)place % 16, 0);
        for (size_t j = 0; j < bytes; j++)
            assert_int_equal(place[j], 0);
        memset(place, 0xff, bytes); /* the next one must still be zero */
    }
    assert_true(arena.used_total > 0);
    qvk__arena_free(&arena);
    assert_null(arena.head);
    assert_int_equal(arena.used_total, 0);
}

static void arena_blocks_do_not_move(void **state)
{
    enum { N = 300, WORDS = 100 };
    uint32_t *blocks[N];
    qvk__arena arena = {0};

    (void)state;
    for (uint32_t i = 0; i < N; i++) {
        blocks[i] = qvk__arena_alloc(&arena, WORDS, sizeof(uint32_t));
        assert_non_null(blocks[i]);
        for (int j = 0; j < WORDS; j++)
            blocks[i][j] = i;
    }
    for (uint32_t i = 0; i < N; i++)
        for (int j = 0; j < WORDS; j++)
            assert_int_equal(blocks[i][j], i);
    qvk__arena_free(&arena);
}

static void arena_takes_more_than_a_block_and_refuses_the_impossible(void **state)
{
    enum { BIG = 5 << 20 };
    qvk__arena arena = {0};
    uint8_t *small = qvk__arena_alloc(&arena, 8, 1), *big = qvk__arena_alloc(&arena, BIG, 1);

    (void)state;
    assert_non_null(small);
    assert_non_null(big);
    big[BIG - 1] = 1;
    assert_null(qvk__arena_alloc(&arena, UINT64_MAX, 2));
    assert_null(qvk__arena_alloc(&arena, UINT64_MAX, 1));
    assert_non_null(qvk__arena_alloc(&arena, 8, 1)); /* and goes on */
    qvk__arena_free(&arena);
    qvk__arena_free(&arena); /* empty: nothing to do */
}

static void arena_reset_gives_the_same_zeroed_memory_again(void **state)
{
    qvk__arena arena = {0};
    uint8_t *first = qvk__arena_alloc(&arena, 1000, 1);

    (void)state;
    assert_non_null(first);
    for (int round = 0; round < 3; round++) {
        memset(first, 0xff, 1000);
        qvk__arena_reset(&arena);
        assert_int_equal(arena.used_total, 0);
        assert_ptr_equal(qvk__arena_alloc(&arena, 1000, 1), first);
        for (int j = 0; j < 1000; j++)
            assert_int_equal(first[j], 0);
    }
    assert_non_null(qvk__arena_alloc(&arena, 1 << 20, 1)); /* a second block: nothing is kept */
    qvk__arena_reset(&arena);
    assert_null(arena.head);
    qvk__arena_reset(&arena);
}

static void arena_copies_text_and_bytes(void **state)
{
    const uint8_t bytes[] = {1, 0, 2};
    qvk__arena arena = {0};

    (void)state;
    assert_string_equal(qvk__arena_strdup(&arena, "linear"), "linear");
    assert_string_equal(qvk__arena_strdup(&arena, ""), "");
    assert_string_equal(qvk__arena_strndup(&arena, "linear", 3), "lin");
    assert_string_equal(qvk__arena_printf(&arena, "v%d_%s", 12, "out"), "v12_out");
    assert_memory_equal(qvk__arena_memdup(&arena, bytes, sizeof bytes), bytes, sizeof bytes);
    assert_non_null(qvk__arena_memdup(&arena, NULL, 0));
    qvk__arena_free(&arena);
}

static void vector_grows_and_keeps_its_items(void **state)
{
    QVK__VEC(int64_t) numbers = {0};

    (void)state;
    for (int64_t i = 0; i < 10000; i++)
        assert_true(QVK__VEC_PUSH(&numbers, i * i));
    assert_int_equal(numbers.count, 10000);
    assert_true(numbers.capacity >= numbers.count);
    for (int64_t i = 0; i < 10000; i++)
        assert_int_equal(numbers.data[i], i * i);
    free(numbers.data);
}

static void vector_takes_structs(void **state)
{
    typedef struct pair {
        int a, b;
    } pair;
    QVK__VEC(pair) pairs = {0};

    (void)state;
    assert_true(QVK__VEC_PUSH(&pairs, (pair){1, 2}));
    assert_true(QVK__VEC_PUSH(&pairs, (pair){.b = 4}));
    assert_int_equal(pairs.data[0].b, 2);
    assert_int_equal(pairs.data[1].a, 0);
    assert_int_equal(pairs.data[1].b, 4);
    free(pairs.data);
}

static void vector_refuses_the_impossible_and_stays_as_it_was(void **state)
{
    void *data = NULL;
    size_t capacity = 0;

    (void)state;
    assert_false(qvk__vec_reserve(&data, &capacity, SIZE_MAX / 4, 16));
    assert_null(data);
    assert_int_equal(capacity, 0);
    assert_true(qvk__vec_reserve(&data, &capacity, 3, 16));
    assert_true(capacity >= 3);
    free(data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sums_and_products_report_overflow),
        cmocka_unit_test(rounding_up_goes_to_the_next_multiple),
        cmocka_unit_test(zeroed_allocation_refuses_the_impossible),
        cmocka_unit_test(arena_gives_zeroed_aligned_memory),
        cmocka_unit_test(arena_blocks_do_not_move),
        cmocka_unit_test(arena_takes_more_than_a_block_and_refuses_the_impossible),
        cmocka_unit_test(arena_reset_gives_the_same_zeroed_memory_again),
        cmocka_unit_test(arena_copies_text_and_bytes),
        cmocka_unit_test(vector_grows_and_keeps_its_items),
        cmocka_unit_test(vector_takes_structs),
        cmocka_unit_test(vector_refuses_the_impossible_and_stays_as_it_was),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
