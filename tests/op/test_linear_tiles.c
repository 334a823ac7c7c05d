/* Quantized linears on cooperative matrices, with tiles of every kind. */
#include "kernels/linear_choice.h"
#include "linear_cases.h"

/* As the table has them, larger and smaller ones. */
static const qvk__coopmat_tile tiles[] = {
    {.warps_m = 1, .warps_n = 4, .frags_m = 4, .frags_n = 2, .buffers = 1, .parts = 2},
    {.warps_m = 2, .warps_n = 2, .frags_m = 4, .frags_n = 4, .buffers = 2, .parts = 1},
    {.warps_m = 1, .warps_n = 4, .frags_m = 1, .frags_n = 2, .buffers = 2, .parts = 1},
    {.warps_m = 2, .warps_n = 4, .frags_m = 3, .frags_n = 1, .buffers = 1, .parts = 1},
};

/* Sums of int8 that are scaled for a stage, a part of it, half a part, or at the end only; k split where it
 * is long. */
static const linear_case cases[] = {
    {130, 264, 256, 0, QVK_DTYPE_F16, true},  {130, 150, 256, 128, QVK_DTYPE_F16, false},
    {67, 264, 384, 64, QVK_DTYPE_F16, true},  {40, 130, 192, 32, QVK_DTYPE_F16, false},
    {33, 72, 160, 32, QVK_DTYPE_F32, true},   {70, 40, 4096, 128, QVK_DTYPE_F16, true},
    {140, 70, 3072, 0, QVK_DTYPE_F32, false},
};

static const linear_scheme schemes[] = {
    {QVK__OP_ET_LINEAR_Q4GSW, 4, false},
    {QVK__OP_QVK_LINEAR_Q8GSW, 8, false},
    {QVK__OP_QVK_LINEAR_D8_Q4GSW, 4, true},
    {QVK__OP_QVK_LINEAR_D8_Q8GSW, 8, true},
};

static void check_tile(op_harness *harness, test_rng *rng, const linear_case *c, size_t scheme,
                       const qvk__coopmat_tile *tile)
{
    op_call call = op_call_begin(harness, schemes[scheme].op);
    char what[128];

    op_arg_random(&call, rng, c->dtype, OP_SHAPE(c->m, c->k), 0, 0);
    linear_add_weights(&call, rng, c, schemes[scheme].bits);
    linear_add_scales(&call, rng, c, schemes[scheme].bits);
    op_arg(&call, qvk__arg_from_int(linear_group_of(c)));
    linear_add_bias(&call, rng, c);
    call.families = 1u << QVK__LINEAR_COOPMAT | 1u << QVK__LINEAR_LANES;
    call.tile = *tile;
    linear_describe(c, "tile", what);
    op_call_check(&call, what,
                  linear_tolerance_of(c, schemes[scheme].is_int8 ? LINEAR_GROUP_SUM : LINEAR_FLOAT_SUM));
    op_harness_reset(harness);
}

static void every_tile(void **state)
{
    test_rng rng = test_rng_seed(29);

    if (op_harness_caps(*state)->n_coopmat == 0)
        skip();
    for (size_t t = 0; t < QVK__COUNT(tiles); t++)
        for (size_t i = 0; i < QVK__COUNT(cases); i++)
            for (size_t s = 0; s < QVK__COUNT(schemes); s++)
                check_tile(*state, &rng, &cases[i], s, &tiles[t]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_tile),
    };
    return cmocka_run_group_tests(tests, op_harness_setup, op_harness_teardown);
}
