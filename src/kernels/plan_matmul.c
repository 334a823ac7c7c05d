/* Float matrix products: aten.linear, mm, bmm, addmm, and what attention is made of. */
#include <math.h>

#include "core/dtype.h"
#include "core/geometry.h"
#include "kernels/plan.h"

/* Up to this many rows every weight is read once by matvec.comp (its MAX_M). */
#define MATVEC_ROWS 8
/* Outputs a work group of matvec.comp makes (its ROWS). */
#define MATVEC_OUTPUTS 4

/* ---- tiles ---------------------------------------------------------------------------------------------- */

/* Of kernels.def, largest first, with what a work group needs. */
static const struct {
    uint32_t m, n, invocations, shared_bytes;
} tiles[] = {
    [QVK__TILE_128X128] = {128, 128, 256, 2 * 16 * 33 * 16},
    [QVK__TILE_64X64] = {64, 64, 128, 2 * 16 * 17 * 16},
    [QVK__TILE_16X64] = {16, 64, 64, 32 * (5 + 17) * 16},
};

static const qvk__kernel tile_kernels[][2] = {
    [QVK__TILE_128X128] = {QVK__KERNEL_MATMUL_NK_128X128, QVK__KERNEL_MATMUL_KN_128X128},
    [QVK__TILE_64X64] = {QVK__KERNEL_MATMUL_NK_64X64, QVK__KERNEL_MATMUL_KN_64X64},
    [QVK__TILE_16X64] = {QVK__KERNEL_MATMUL_NK_16X64, QVK__KERNEL_MATMUL_KN_16X64},
};

/* The largest tile that the device can run, that is not mostly padding, and that leaves work for all its
 * units. */
qvk__tile qvk__choose_tile(const qvk__planner *planner, uint64_t batches, uint64_t m, uint64_t n,
                           uint64_t *tiles_m, uint64_t *tiles_n)
{
    const uint64_t units = QVK__MAX(planner->caps->compute_units, 16);
    qvk__tile tile = QVK__TILE_128X128;

    for (; tile < QVK__TILE_16X64; tile++) {
        const bool runs = tiles[tile].invocations <= planner->caps->max_invocations &&
                          tiles[tile].shared_bytes <= planner->caps->shared_bytes;
        const uint64_t count = batches * qvk__div_up(m, tiles[tile].m) * qvk__div_up(n, tiles[tile].n);
        if (runs && m > tiles[tile].m / 4 && (count >= units || tile == QVK__TILE_64X64))
            break;
    }
    *tiles_m = qvk__div_up(m, tiles[tile].m);
    *tiles_n = qvk__div_up(n, tiles[tile].n);
    return tile;
}

static uint64_t count_ops(const qvk__product *product)
{
    return 2 * product->outer * product->inner * product->m * product->n * product->k;
}

static uint64_t count_bytes(const qvk__product *product)
{
    const uint64_t batches = product->outer * product->inner;

    return batches * (product->m * product->k * qvk_dtype_bytes(product->a.dtype) +
                      product->k * product->n * qvk_dtype_bytes(product->b.dtype) / product->share +
                      product->m * product->n * qvk_dtype_bytes(product->c.dtype));
}

/* Do all rows begin at multiples of so many elements? */
static bool in_multiples(const qvk__matrix *matrix, uint64_t skip, uint64_t of)
{
    return (matrix->row | matrix->outer | matrix->inner | skip) % of == 0;
}

static void add_matrix(qvk__dispatch *dispatch, const qvk__matrix *matrix, uint64_t skip)
{
    qvk__dispatch_uint(dispatch, skip);
    qvk__dispatch_uint(dispatch, matrix->outer);
    qvk__dispatch_uint(dispatch, matrix->inner);
    qvk__dispatch_uint(dispatch, matrix->row);
}

/* A dispatch with what the kernels of tiles and of few rows have in common: buffers and their data types. */
static qvk__dispatch begin(const qvk__product *product, qvk__kernel kernel)
{
    qvk__dispatch d = {.kernel = kernel, .bytes = count_bytes(product), .ops = count_ops(product)};

    qvk__dispatch_read(&d, product->a.buffer);
    qvk__dispatch_read(&d, product->b.buffer);
    qvk__dispatch_read(&d, product->d_dtype ? product->d : product->a.buffer);
    qvk__dispatch_write(&d, product->c.buffer);
    qvk__dispatch_spec(&d, qvk__device_dtype(product->a.dtype));
    qvk__dispatch_spec(&d, qvk__device_dtype(product->b.dtype));
    qvk__dispatch_spec(&d, qvk__device_dtype(product->c.dtype));
    qvk__dispatch_spec(&d, qvk__device_dtype(product->d_dtype));
    return d;
}

static qvk_status plan_tiles(qvk__planner *planner, const qvk__product *product, qvk_error *err)
{
    const uint64_t batches = product->outer * product->inner;
    uint64_t tiles_m, tiles_n;
    const qvk__tile tile = qvk__choose_tile(planner, batches, product->m, product->n, &tiles_m, &tiles_n);
    qvk__dispatch d = begin(product, tile_kernels[tile][product->b_rows_are_k]);

    qvk__dispatch_spec(&d, in_multiples(&product->a, product->a_skip, 4) && product->k % 4 == 0);
    qvk__dispatch_spec(&d, in_multiples(&product->b, 0, 4) &&
                               (product->b_rows_are_k ? product->n : product->k) % 4 == 0);
    qvk__dispatch_uint(&d, product->m);
    qvk__dispatch_uint(&d, product->n);
    qvk__dispatch_uint(&d, product->k);
    qvk__dispatch_uint(&d, batches);
    qvk__dispatch_uint(&d, tiles_m);
    qvk__dispatch_uint(&d, tiles_n);
    qvk__dispatch_uint(&d, product->inner);
    qvk__dispatch_uint(&d, product->share);
    add_matrix(&d, &product->a, product->a_skip);
    add_matrix(&d, &product->b, 0);
    add_matrix(&d, &product->c, product->c_skip);
    for (int i = 0; i < 3; i++)
        qvk__dispatch_uint(&d, product->d_strides[i]);
    qvk__dispatch_float(&d, product->alpha);
    qvk__dispatch_float(&d, product->beta);
    qvk__dispatch_float(&d, product->lower);
    qvk__dispatch_float(&d, product->upper);
    qvk__dispatch_groups(planner, &d, batches * tiles_m * tiles_n);
    return planner->dispatch(planner, &d, err);
}

/* A few rows against a whole matrix of weights: bound by reading it once. */
static bool fits_matvec(const qvk__product *product)
{
    return product->m <= MATVEC_ROWS && product->outer * product->inner == 1 && !product->b_rows_are_k &&
           product->a.row == product->k && product->b.row == product->k && product->c.row == product->n &&
           product->alpha == 1 && product->a_skip + product->c_skip == 0 && isinf(product->lower) &&
           isinf(product->upper) &&
           (!product->d_dtype ||
            (product->beta == 1 && product->d_strides[1] == 0 && product->d_strides[2] == 1));
}

static qvk_status plan_matvec(qvk__planner *planner, const qvk__product *product, qvk_error *err)
{
    qvk__dispatch d = begin(product, product->m == 1   ? QVK__KERNEL_MATVEC_1
                                     : product->m <= 4 ? QVK__KERNEL_MATVEC_4
                                                       : QVK__KERNEL_MATVEC_8);

    qvk__dispatch_spec(&d, product->k % 4 == 0);
    qvk__dispatch_uint(&d, product->m);
    qvk__dispatch_uint(&d, product->n);
    qvk__dispatch_uint(&d, product->k);
    qvk__dispatch_groups(planner, &d, qvk__div_up(product->n, MATVEC_OUTPUTS));
    return planner->dispatch(planner, &d, err);
}

/* ---- vectors of 8 --------------------------------------------------------------------------------------- */

/* What matmul_cpu.comp asks of its operands. */
static bool fits_vector8(const qvk__planner *planner, const qvk__product *product)
{
    return qvk__is_vector8(planner) && qvk__kernel_usable(QVK__KERNEL_MATMUL_CPU_NK, planner->caps) &&
           in_multiples(&product->a, product->a_skip, 8) && in_multiples(&product->b, 0, 8) &&
           product->a.dtype == QVK_DTYPE_F32 && product->b.dtype == QVK_DTYPE_F32 &&
           product->c.dtype == QVK_DTYPE_F32 && (!product->d_dtype || product->d_dtype == QVK_DTYPE_F32) &&
           product->k > 0 &&
           (product->b_rows_are_k ? product->n % 8 == 0 && (product->k % 8 == 0 || product->a_padded)
                                  : product->k % 8 == 0);
}

static qvk_status plan_vector8(qvk__planner *planner, const qvk__product *product, qvk_error *err)
{
    /* With few rows of A the lanes run along B. */
    const bool swap = product->m < 8 && !product->b_rows_are_k;
    const qvk__matrix *own = swap ? &product->b : &product->a, *shared = swap ? &product->a : &product->b;
    const uint64_t own_size = swap ? product->n : product->m, shared_size = swap ? product->m : product->n;
    const uint64_t tm = swap ? QVK__MIN(qvk__div_up(own_size, 8), 4) : own_size > 8 ? 2 : 1;
    const uint64_t tn = shared_size > 8 ? 2 : 1;
    const uint64_t tiles_own = qvk__div_up(own_size, tm * 8), tiles_shared = qvk__div_up(shared_size, tn * 8);
    const uint64_t batches = product->outer * product->inner;
    qvk__dispatch d = {.kernel =
                           product->b_rows_are_k ? QVK__KERNEL_MATMUL_CPU_KN : QVK__KERNEL_MATMUL_CPU_NK,
                       .bytes = count_bytes(product),
                       .ops = count_ops(product)};

    qvk__dispatch_read(&d, own->buffer);
    qvk__dispatch_read(&d, shared->buffer);
    qvk__dispatch_read(&d, product->d_dtype ? product->d : product->a.buffer);
    qvk__dispatch_write(&d, product->c.buffer);
    qvk__dispatch_spec(&d, (uint32_t)tm);
    qvk__dispatch_spec(&d, (uint32_t)tn);
    qvk__dispatch_spec(&d, (uint32_t)QVK__MIN(shared_size, 8));
    qvk__dispatch_spec(&d, product->d_dtype != QVK_DTYPE_NONE);
    qvk__dispatch_uint(&d, own_size);
    qvk__dispatch_uint(&d, shared_size);
    qvk__dispatch_uint(&d, product->k);
    qvk__dispatch_uint(&d, batches);
    qvk__dispatch_uint(&d, tiles_own);
    qvk__dispatch_uint(&d, tiles_shared);
    qvk__dispatch_uint(&d, product->inner);
    qvk__dispatch_uint(&d, swap ? product->share : 1);
    qvk__dispatch_uint(&d, swap ? 1 : product->share);
    add_matrix(&d, own, swap ? 0 : product->a_skip);
    add_matrix(&d, shared, swap ? product->a_skip : 0);
    qvk__dispatch_uint(&d, product->c_skip);
    qvk__dispatch_uint(&d, product->c.outer);
    qvk__dispatch_uint(&d, product->c.inner);
    qvk__dispatch_uint(&d, swap ? 1 : product->c.row);
    qvk__dispatch_uint(&d, swap ? product->c.row : 1);
    qvk__dispatch_uint(&d, product->d_strides[0]);
    qvk__dispatch_uint(&d, product->d_strides[swap ? 2 : 1]);
    qvk__dispatch_uint(&d, product->d_strides[swap ? 1 : 2]);
    qvk__dispatch_float(&d, product->alpha);
    qvk__dispatch_float(&d, product->beta);
    qvk__dispatch_float(&d, product->lower);
    qvk__dispatch_float(&d, product->upper);
    qvk__dispatch_groups(planner, &d, batches * tiles_own * tiles_shared);
    return planner->dispatch(planner, &d, err);
}

/* ---- choice --------------------------------------------------------------------------------------------- */

qvk__product qvk__product_of(uint64_t m, uint64_t n, uint64_t k)
{
    return (qvk__product){.outer = 1,
                          .inner = 1,
                          .share = 1,
                          .m = m,
                          .n = n,
                          .k = k,
                          .alpha = 1,
                          .beta = 1,
                          .lower = -INFINITY,
                          .upper = INFINITY};
}

qvk_status qvk__plan_product(qvk__planner *planner, const qvk__product *product, qvk_error *err)
{
    if (product->outer * product->inner * product->m * product->n == 0)
        return QVK_OK;
    if (fits_vector8(planner, product))
        return plan_vector8(planner, product, err);
    return fits_matvec(product) ? plan_matvec(planner, product, err) : plan_tiles(planner, product, err);
}

/* ---- operators ------------------------------------------------------------------------------------------ */

qvk_status qvk__plan_linear(qvk__planner *planner, const qvk__node *node, qvk_error *err)
{
    uint64_t rows = 1;
    qvk__call call;

    QVK__TRY(qvk__call_of(planner, node, &call, err));
    const qvk_tensor *x = call.args[0].u.tensor, *weight = call.args[1].u.tensor;
    QVK__TRY(qvk__check_float(x, err));
    QVK__TRY(qvk__check_float(weight, err));
    for (int i = 0; i < x->rank - 1; i++)
        rows *= (uint64_t)x->sizes[i];
    qvk__product product = qvk__product_of(rows, (uint64_t)weight->sizes[0], (uint64_t)weight->sizes[1]);
    product.a = (qvk__matrix){qvk__ref_value(qvk__call_value(node, 0)), x->dtype, 0, 0, product.k};
    product.b = (qvk__matrix){qvk__ref_value(qvk__call_value(node, 1)), weight->dtype, 0, 0, product.k};
    product.c =
        (qvk__matrix){qvk__ref_value(node->outs[0]), qvk__call_out(planner, node, 0)->dtype, 0, 0, product.n};
    if (!qvk__arg_is_null(&call.args[2])) {
        product.d = qvk__ref_value(qvk__call_value(node, 2));
        product.d_dtype = call.args[2].u.tensor->dtype;
        product.d_strides[2] = 1;
    }
    return qvk__plan_product(planner, &product, err);
}

qvk_status qvk__plan_matmul(qvk__planner *planner, const qvk__node *node, qvk_error *err)
{
    qvk__matmul matmul;
    qvk__call call;

    QVK__TRY(qvk__call_of(planner, node, &call, err));
    QVK__TRY(qvk__matmul_of(node->op, call.args, call.n_args, &matmul, err));
    QVK__TRY(qvk__check_float(matmul.a, err));
    const int first = matmul.bias ? 1 : 0;
    qvk__product product = qvk__product_of((uint64_t)matmul.m, (uint64_t)matmul.n, (uint64_t)matmul.k);
    product.outer = (uint64_t)matmul.batch;
    product.b_rows_are_k = true;
    product.alpha = (float)matmul.alpha;
    product.beta = (float)matmul.beta;
    product.a = (qvk__matrix){qvk__ref_value(qvk__call_value(node, first)), matmul.a->dtype,
                              product.m * product.k, 0, product.k};
    product.b = (qvk__matrix){qvk__ref_value(qvk__call_value(node, first + 1)), matmul.b->dtype,
                              product.k * product.n, 0, product.n};
    product.c =
        (qvk__matrix){qvk__ref_value(node->outs[0]), matmul.a->dtype, product.m * product.n, 0, product.n};
    if (matmul.bias && matmul.beta != 0) {
        product.d = qvk__ref_value(qvk__call_value(node, 0));
        product.d_dtype = matmul.bias->dtype;
        for (int i = 0; i < 3; i++)
            product.d_strides[i] = (uint64_t)matmul.bias_strides[i];
    }
    return qvk__plan_product(planner, &product, err);
}
