/* Shape rules of operators over planes: convolution, pooling, resizing, sampling, pixel shuffles. */
#include "core/dtype.h"
#include "core/geometry.h"
#include "core/shape.h"

static qvk_status infer_conv(qvk__op op, const qvk__arg *args, int n_args, qvk_tensor *out, qvk_error *err)
{
    qvk__conv conv;

    QVK__TRY(qvk__conv_of(op, args, n_args, &conv, err));
    *out = (qvk_tensor){.dtype = args[0].u.tensor->dtype, .rank = conv.rank};
    out->sizes[0] = conv.batch;
    out->sizes[1] = conv.out_channels;
    out->sizes[2] = conv.out[0]; /* overwritten when 1-D */
    out->sizes[conv.rank - 1] = conv.out[1];
    return QVK_OK;
}

qvk_status qvk__shape_convolution(qvk__op op, const qvk__arg *args, int n_args, qvk_tensor *outs, int n_outs,
                                  qvk_error *err)
{
    (void)n_outs;
    return infer_conv(op, args, n_args, &outs[0], err);
}

qvk_status qvk__shape_q8ta_conv2d(qvk__op op, const qvk__arg *args, int n_args, qvk_tensor *outs, int n_outs,
                                  qvk_error *err)
{
    (void)n_outs;
    return infer_conv(op, args, n_args, &outs[0], err);
}

/* The input's shape with its last two sizes replaced. */
static qvk_tensor with_plane(const qvk_tensor *input, int64_t rows, int64_t columns)
{
    qvk_tensor out = *input;

    out.data = NULL;
    out.sizes[out.rank - 2] = rows;
    out.sizes[out.rank - 1] = columns;
    return out;
}

qvk_status qvk__shape_pool(qvk__op op, const qvk__arg *args, int n_args, qvk_tensor *outs, int n_outs,
                           qvk_error *err)
{
    qvk__pool pool;

    QVK__TRY(qvk__pool_of(op, args, n_args, &pool, err));
    outs[0] = with_plane(args[0].u.tensor, pool.out[0], pool.out[1]);
    if (n_outs > 1) {
        const qvk_dtype preset = outs[1].dtype;
        outs[1] = outs[0];
        outs[1].dtype = preset == QVK_DTYPE_I32 ? preset : QVK_DTYPE_I64; /* blobs hold them as int32 */
    }
    return QVK_OK;
}

qvk_status qvk__shape_adaptive_pool(qvk__op op, const qvk__arg *args, int n_args, qvk_tensor *outs,
                                    int n_outs, qvk_error *err)
{
    const qvk_tensor *input;
    int64_t size[2];
    int n;

    (void)op;
    (void)n_args;
    (void)n_outs;
    QVK__TRY(qvk__arg_tensor(&args[0], "input", &input, err));
    QVK__TRY(qvk__arg_ints(&args[1], "output_size", size, 2, &n, err));
    QVK__CHECK((input->rank == 3 || input->rank == 4) && n == 2 && size[0] >= 1 && size[1] >= 1 &&
                   size[0] <= INT32_MAX && size[1] <= INT32_MAX && input->sizes[input->rank - 2] >= 1 &&
                   input->sizes[input->rank - 1] >= 1,
               err, QVK_SHAPE, "adaptive pooling of %s", qvk__shape_text(input).text);
    outs[0] = with_plane(input, size[0], size[1]);
    return QVK_OK;
}

qvk_status qvk__shape_upsample(qvk__op op, const qvk__arg *args, int n_args, qvk_tensor *outs, int n_outs,
                               qvk_error *err)
{
    qvk__resize resize;

    (void)n_outs;
    QVK__TRY(qvk__resize_of(op, args, n_args, &resize, err));
    outs[0] = with_plane(args[0].u.tensor, resize.out[0], resize.out[1]);
    return QVK_OK;
}

qvk_status qvk__shape_pixel_shuffle(qvk__op op, const qvk__arg *args, int n_args, qvk_tensor *outs,
                                    int n_outs, qvk_error *err)
{
    qvk__shuffle shuffle;

    (void)n_outs;
    QVK__TRY(qvk__shuffle_of(op, args, n_args, &shuffle, err));
    const int64_t divisor = shuffle.inverse ? shuffle.factor : 1;
    outs[0] = with_plane(args[0].u.tensor, shuffle.rows / divisor, shuffle.columns / divisor);
    outs[0].sizes[outs[0].rank - 3] = shuffle.channels * divisor * divisor;
    return QVK_OK;
}

qvk_status qvk__shape_grid_sampler(qvk__op op, const qvk__arg *args, int n_args, qvk_tensor *outs, int n_outs,
                                   qvk_error *err)
{
    const qvk_tensor *input, *grid;

    (void)op;
    (void)n_args;
    (void)n_outs;
    QVK__TRY(qvk__arg_tensor(&args[0], "input", &input, err));
    QVK__TRY(qvk__arg_tensor(&args[1], "grid", &grid, err));
    QVK__CHECK(input->rank == 4 && grid->rank == 4 && grid->sizes[3] == 2 &&
                   grid->sizes[0] == input->sizes[0] && input->sizes[2] >= 1 && input->sizes[3] >= 1,
               err, QVK_SHAPE, "sampling of %s by a grid of %s", qvk__shape_text(input).text,
               qvk__shape_text(grid).text);
    outs[0] = with_plane(input, grid->sizes[1], grid->sizes[2]);
    return QVK_OK;
}

/* Two numbers, x and y, a place of the input's plane. */
qvk_status qvk__shape_grid_priors(qvk__op op, const qvk__arg *args, int n_args, qvk_tensor *outs, int n_outs,
                                  qvk_error *err)
{
    const qvk_tensor *input;

    (void)op;
    (void)n_args;
    (void)n_outs;
    QVK__TRY(qvk__arg_tensor(&args[0], "self", &input, err));
    QVK__CHECK(input->rank >= 2, err, QVK_SHAPE, "grid priors of %s", qvk__shape_text(input).text);
    const qvk_dtype preset = outs[0].dtype;
    outs[0] = (qvk_tensor){.dtype = qvk__dtype_is_float(preset) ? preset : QVK_DTYPE_F32, .rank = 2};
    outs[0].sizes[0] = input->sizes[input->rank - 2] * input->sizes[input->rank - 1];
    outs[0].sizes[1] = 2;
    return QVK_OK;
}
