/* Float matrix products: aten.linear, mm, bmm, addmm, and what attention is made of. */
#include "core/dtype.h"
#include "core/geometry.h"
#include "kernels/plan.h"

/* Up to this many rows every weight is read once by matvec.comp (its MAX_M). */
#define MATVEC_ROWS 4
/* Outputs a work group of matvec.comp makes (its ROWS). */
#define MATVEC_OUTPUTS 4

/* ---- tiles ---------------------------------------------------------------------------------------------- */

/* Tile shapes of matmul.comp in kernels.def, largest first. */
typedef struct tile_shape {
    qvk__kernel kernel, rows_are_k;
    uint32_t m, n;
} tile_shape;

static const tile_shape tile_shapes[] = {
    {QVK__KERNEL_MATMUL_NK_64X64, QVK__KERNEL_MATMUL_KN_64X64, 64, 64},
    {QVK__KERNEL_MATMUL_NK_16X64, QVK__KERNEL_MATMUL_KN_16X64, 16, 64},
};

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

static void add_matrix(qvk__dispatch *dispatch, const qvk__matrix *matrix, uint64_t skip)
{
    qvk__dispatch_uint(dispatch, skip);
    qvk__dispatch_uint(dispatch, matrix->outer);
    qvk__dispatch_uint(dispatch, matrix->inner);
    qvk__dispatch_uint(dispatch, matrix->row);
}

static qvk_status plan_tiles(qvk__planner *planner, const qvk__product *product, qvk_error *err)
{
    const tile_shape *shape = &tile_shapes[product->m > tile_shapes[1].m ? 0 : 1];
    const uint64_t tiles_m = qvk__div_up(product->m, shape->m), tiles_n = qvk__div_up(product->n, shape->n);
    const uint64_t batches = product->outer * product->inner;
    qvk__dispatch d = {.kernel = product->b_rows_are_k ? shape->rows_are_k : shape->kernel,
                       .bytes = count_bytes(product),
                       .ops = count_ops(product)};

    qvk__dispatch_read(&d, product->a.buffer);
    qvk__dispatch_read(&d, product->b.buffer);
    qvk__dispatch_read(&d, product->d_dtype ? product->d : product->a.buffer);
    qvk__dispatch_write(&d, product->c.buffer);
    qvk__dispatch_spec(&d, qvk__device_dtype(product->a.dtype));
    qvk__dispatch_spec(&d, qvk__device_dtype(product->b.dtype));
    qvk__dispatch_spec(&d, qvk__device_dtype(product->c.dtype));
    qvk__dispatch_spec(&d, qvk__device_dtype(product->d_dtype));
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
    qvk__dispatch_groups(planner, &d, batches * tiles_m * tiles_n);
    return planner->dispatch(planner, &d, err);
}

/* A few rows against a whole matrix of weights: bound by reading it once. */
static bool fits_matvec(const qvk__product *product)
{
    return product->m <= MATVEC_ROWS && product->outer * product->inner == 1 && !product->b_rows_are_k &&
           product->a.row == product->k && product->b.row == product->k && product->c.row == product->n &&
           product->alpha == 1 && product->a_skip + product->c_skip == 0 &&
           (!product->d_dtype ||
            (product->beta == 1 && product->d_strides[1] == 0 && product->d_strides[2] == 1));
}

static qvk_status plan_matvec(qvk__planner *planner, const qvk__product *product, qvk_error *err)
{
    qvk__dispatch d = {.kernel = product->m == 1 ? QVK__KERNEL_MATVEC_1 : QVK__KERNEL_MATVEC_4,
                       .bytes = count_bytes(product),
                       .ops = count_ops(product)};

    qvk__dispatch_read(&d, product->a.buffer);
    qvk__dispatch_read(&d, product->b.buffer);
    qvk__dispatch_read(&d, product->d_dtype ? product->d : product->a.buffer);
    qvk__dispatch_write(&d, product->c.buffer);
    qvk__dispatch_spec(&d, qvk__device_dtype(product->a.dtype));
    qvk__dispatch_spec(&d, qvk__device_dtype(product->b.dtype));
    qvk__dispatch_spec(&d, qvk__device_dtype(product->c.dtype));
    qvk__dispatch_spec(&d, qvk__device_dtype(product->d_dtype));
    qvk__dispatch_uint(&d, product->m);
    qvk__dispatch_uint(&d, product->n);
    qvk__dispatch_uint(&d, product->k);
    qvk__dispatch_groups(planner, &d, qvk__div_up(product->n, MATVEC_OUTPUTS));
    return planner->dispatch(planner, &d, err);
}

qvk_status qvk__plan_product(qvk__planner *planner, const qvk__product *product, qvk_error *err)
{
    qvk__product whole = *product;

    whole.share = QVK__MAX(whole.share, 1);
    if (whole.outer * whole.inner * whole.m * whole.n == 0)
        return QVK_OK;
    return fits_matvec(&whole) ? plan_matvec(planner, &whole, err) : plan_tiles(planner, &whole, err);
}

/* ---- operators ------------------------------------------------------------------------------------------ */

qvk_status qvk__plan_linear(qvk__planner *planner, const qvk__node *node, qvk_error *err)
{
    qvk__product product = {.outer = 1, .inner = 1, .alpha = 1, .beta = 1};
    qvk__call call;

    QVK__TRY(qvk__call_of(planner, node, &call, err));
    const qvk_tensor *x = call.args[0].u.tensor, *weight = call.args[1].u.tensor;
    QVK__TRY(qvk__check_float(x, err));
    QVK__TRY(qvk__check_float(weight, err));
    product.k = (uint64_t)weight->sizes[1];
    product.n = (uint64_t)weight->sizes[0];
    product.m = 1;
    for (int i = 0; i < x->rank - 1; i++)
        product.m *= (uint64_t)x->sizes[i];
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
    qvk__product product = {
        .outer = (uint64_t)matmul.batch,
        .inner = 1,
        .m = (uint64_t)matmul.m,
        .n = (uint64_t)matmul.n,
        .k = (uint64_t)matmul.k,
        .b_rows_are_k = true,
        .alpha = (float)matmul.alpha,
        .beta = (float)matmul.beta,
    };
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
