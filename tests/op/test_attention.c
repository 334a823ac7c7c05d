/* Attention, caches, rotary embeddings and look-up on the device. */
#include "op_harness.h"

static const test_tolerance F32 = {"float32 attention", 2e-5, 2e-5};
static const test_tolerance F16 = {"float32 attention stored as fp16", 1e-3, 1e-3};

static test_tolerance tolerance_of(qvk_dtype dtype)
{
    return dtype == QVK_DTYPE_F16 ? F16 : F32;
}

/* ---- attention ------------------------------------------------------------------------------------------ */

typedef struct sdpa_case {
    const char *name;
    int64_t batch, heads, kv_heads, queries, keys, head_dim;
    int mask; /* 0 none, 1 [S, L] float, 2 [B, 1, 1, L] bool */
    qvk_dtype dtype;
} sdpa_case;

static const sdpa_case sdpa_cases[] = {
    {"plain", 2, 3, 3, 5, 7, 16, 0, QVK_DTYPE_F32},
    {"one query", 1, 4, 4, 1, 33, 24, 0, QVK_DTYPE_F32},
    {"masked", 2, 2, 2, 9, 70, 20, 1, QVK_DTYPE_F32},
    {"boolean mask", 2, 2, 2, 6, 11, 8, 2, QVK_DTYPE_F32},
    {"grouped queries", 1, 6, 2, 10, 10, 64, 0, QVK_DTYPE_F32},
    {"odd sizes, fp16", 1, 3, 1, 3, 5, 7, 1, QVK_DTYPE_F16},
    {"large head", 1, 1, 1, 2, 3, 200, 0, QVK_DTYPE_F32},
};

static void sdpa(void **state)
{
    test_rng rng = test_rng_seed(1);

    for (size_t i = 0; i < QVK__COUNT(sdpa_cases); i++) {
        const sdpa_case *c = &sdpa_cases[i];
        op_call call = op_call_begin(*state, QVK__OP_ET_SDPA);
        op_arg_random(&call, &rng, c->dtype, OP_SHAPE(c->batch, c->heads, c->queries, c->head_dim), 0, 0);
        op_arg_random(&call, &rng, c->dtype, OP_SHAPE(c->batch, c->kv_heads, c->keys, c->head_dim), 0, 0);
        op_arg_random(&call, &rng, c->dtype, OP_SHAPE(c->batch, c->kv_heads, c->keys, c->head_dim), 0, 0);
        if (c->mask == 1)
            op_arg_random(&call, &rng, c->dtype, OP_SHAPE(c->queries, c->keys), 0, 0);
        else if (c->mask == 2)
            op_arg_random(&call, &rng, QVK_DTYPE_BOOL, OP_SHAPE(c->batch, 1, 1, c->keys), 0, 1);
        else
            op_arg_none(&call);
        op_arg(&call, i % 2 ? qvk__arg_from_float(0.3) : (qvk__arg){0});
        op_call_check(&call, c->name, tolerance_of(c->dtype));
        op_harness_reset(*state);
    }
}

static void nothing_to_attend_to_gives_zeros(void **state)
{
    test_rng rng = test_rng_seed(2);
    op_call call = op_call_begin(*state, QVK__OP_ET_SDPA);

    for (int i = 0; i < 3; i++)
        op_arg_random(&call, &rng, QVK_DTYPE_F32, OP_SHAPE(1, 1, 4, 8), 0, 0);
    op_arg_random(&call, &rng, QVK_DTYPE_BOOL, OP_SHAPE(4, 4), 0, 0); /* all false */
    op_arg_none(&call);
    op_call_check(&call, "all masked", F32);
}

typedef struct cached_case {
    const char *name;
    int64_t heads, kv_heads, length, capacity, start, head_dim;
    bool causal, mask;
    qvk_dtype dtype;
} cached_case;

static const cached_case cached_cases[] = {
    {"prefill", 4, 2, 6, 16, 0, 16, true, false, QVK_DTYPE_F32},
    {"decode", 4, 2, 1, 16, 9, 16, true, false, QVK_DTYPE_F32},
    {"last position", 2, 2, 1, 8, 7, 12, true, false, QVK_DTYPE_F32},
    {"second chunk", 6, 3, 5, 32, 20, 8, true, false, QVK_DTYPE_F16},
    {"decode fp16", 8, 2, 1, 70, 66, 64, true, false, QVK_DTYPE_F16},
    {"long decode", 8, 2, 1, 700, 500, 32, true, false, QVK_DTYPE_F32},
    {"two queries", 4, 1, 2, 300, 200, 20, true, false, QVK_DTYPE_F16},
    {"masked decode", 2, 2, 1, 200, 150, 8, false, true, QVK_DTYPE_F32},
    {"large head", 2, 1, 1, 140, 130, 256, true, false, QVK_DTYPE_F32},
    {"odd rows fp16", 3, 1, 2, 9, 3, 5, true, false, QVK_DTYPE_F16},
    {"not causal", 2, 1, 3, 9, 2, 8, false, false, QVK_DTYPE_F32},
    {"masked", 2, 1, 3, 9, 2, 8, false, true, QVK_DTYPE_F32},
};

static void add_caches(op_call *call, test_rng *rng, const cached_case *c)
{
    for (int i = 0; i < 2; i++)
        op_arg_random(call, rng, c->dtype, OP_SHAPE(1, c->capacity, c->kv_heads, c->head_dim), 0, 0);
}

static void add_tail(op_call *call, test_rng *rng, const cached_case *c)
{
    if (c->mask)
        op_arg_random(call, rng, c->dtype, OP_SHAPE(c->length, c->capacity), 0, 0);
    else
        op_arg_none(call);
    op_arg(call, qvk__arg_from_float(0));
    op_arg(call, qvk__arg_from_bool(c->causal));
    op_arg_none(call);
}

static void custom_sdpa(void **state)
{
    test_rng rng = test_rng_seed(3);

    for (size_t i = 0; i < QVK__COUNT(cached_cases); i++) {
        const cached_case *c = &cached_cases[i];
        op_call call = op_call_begin(*state, QVK__OP_LLAMA_CUSTOM_SDPA);
        op_arg_random(&call, &rng, c->dtype, OP_SHAPE(1, c->length, c->heads, c->head_dim), 0, 0);
        add_caches(&call, &rng, c);
        op_arg_symbol(&call, c->start);
        add_tail(&call, &rng, c);
        op_call_check(&call, c->name, tolerance_of(c->dtype));
        op_harness_reset(*state);
    }
}

static void sdpa_with_kv_cache(void **state)
{
    test_rng rng = test_rng_seed(4);

    for (size_t i = 0; i < QVK__COUNT(cached_cases); i++) {
        const cached_case *c = &cached_cases[i];
        op_call call = op_call_begin(*state, QVK__OP_LLAMA_SDPA_WITH_KV_CACHE);
        op_arg_random(&call, &rng, c->dtype, OP_SHAPE(1, c->length, c->heads, c->head_dim), 0, 0);
        for (int t = 0; t < 2; t++)
            op_arg_random(&call, &rng, c->dtype, OP_SHAPE(1, c->length, c->kv_heads, c->head_dim), 0, 0);
        add_caches(&call, &rng, c);
        op_arg_symbol(&call, c->start);
        op_arg(&call, qvk__arg_from_int(c->length));
        add_tail(&call, &rng, c);
        op_call_check(&call, c->name, tolerance_of(c->dtype));
        op_harness_reset(*state);
    }
}

static void update_cache(void **state)
{
    static const qvk_dtype dtypes[] = {QVK_DTYPE_F32, QVK_DTYPE_F16, QVK_DTYPE_I8};
    test_rng rng = test_rng_seed(5);

    for (size_t d = 0; d < QVK__COUNT(dtypes); d++)
        for (int64_t start = 0; start < 4; start++) {
            op_call call = op_call_begin(*state, QVK__OP_LLAMA_UPDATE_CACHE);
            op_arg_random(&call, &rng, dtypes[d], OP_SHAPE(2, 3, 3, 5), -9, 9);
            op_arg_random(&call, &rng, dtypes[d], OP_SHAPE(2, 7, 3, 5), -9, 9);
            op_arg_symbol(&call, start);
            op_call_ignore_output(&call, 0); /* nobody reads it */
            op_call_check(&call, "update cache", TEST_EXACT);
            op_harness_reset(*state);
        }
}

/* ---- rotary embeddings ---------------------------------------------------------------------------------- */

static void rotary(void **state)
{
    static const qvk_dtype dtypes[] = {QVK_DTYPE_F32, QVK_DTYPE_F16};
    test_rng rng = test_rng_seed(6);

    for (size_t d = 0; d < QVK__COUNT(dtypes); d++)
        for (int halves = 0; halves < 2; halves++) {
            op_call call =
                op_call_begin(*state, halves ? QVK__OP_ET_APPLY_ROTARY_EMB_HF : QVK__OP_ET_APPLY_ROTARY_EMB);
            op_arg_random(&call, &rng, dtypes[d], OP_SHAPE(1, 5, 4, 24), 0, 0);
            op_arg_random(&call, &rng, dtypes[d], OP_SHAPE(1, 5, 2, 24), 0, 0);
            for (int i = 0; i < 2; i++)
                op_arg_constant(&call, &rng, QVK_DTYPE_F32, halves ? OP_SHAPE(9, 16) : OP_SHAPE(5, 12), 0, 0);
            if (halves)
                op_arg_symbol(&call, 3);
            op_call_check(&call, "rotary", tolerance_of(dtypes[d]));
            op_harness_reset(*state);
        }
}

static void rotary_interleaved(void **state)
{
    test_rng rng = test_rng_seed(7);
    op_call call = op_call_begin(*state, QVK__OP_ET_APPLY_ROTARY_EMB_INTERLEAVED);

    op_arg_random(&call, &rng, QVK_DTYPE_F32, OP_SHAPE(3, 5, 14), 0, 0);
    op_arg_random(&call, &rng, QVK_DTYPE_F32, OP_SHAPE(1, 5, 7, 2), 0, 0);
    op_call_check(&call, "interleaved rotary", F32);
}

/* ---- look-up -------------------------------------------------------------------------------------------- */

static void embedding(void **state)
{
    static const qvk_dtype dtypes[] = {QVK_DTYPE_F32, QVK_DTYPE_F16, QVK_DTYPE_I8};
    test_rng rng = test_rng_seed(8);

    for (size_t d = 0; d < QVK__COUNT(dtypes); d++)
        for (int64_t size = 1; size <= 33; size += 16) {
            op_call call = op_call_begin(*state, QVK__OP_EMBEDDING);
            op_arg_constant(&call, &rng, dtypes[d], OP_SHAPE(19, size), -9, 9);
            op_arg_random(&call, &rng, QVK_DTYPE_I64, OP_SHAPE(2, 5), 0, 18);
            op_arg(&call, qvk__arg_from_int(-1));
            op_arg(&call, qvk__arg_from_bool(false));
            op_arg(&call, qvk__arg_from_bool(false));
            op_call_check(&call, "embedding", TEST_EXACT);
            op_harness_reset(*state);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sdpa),
        cmocka_unit_test(nothing_to_attend_to_gives_zeros),
        cmocka_unit_test(custom_sdpa),
        cmocka_unit_test(sdpa_with_kv_cache),
        cmocka_unit_test(update_cache),
        cmocka_unit_test(rotary),
        cmocka_unit_test(rotary_interleaved),
        cmocka_unit_test(embedding),
    };
    return cmocka_run_group_tests(tests, op_harness_setup, op_harness_teardown);
}
