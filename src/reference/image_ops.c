/* Resizing, sampling and rearranging planes. Source positions are worked out in float32, as PyTorch does. */
#include <math.h>

#include "core/dtype.h"
#include "core/geometry.h"
#include "reference/array.h"
#include "reference/functions.h"

/* ---- resizing ------------------------------------------------------------------------------------------- */

static int64_t nearest_source(const qvk__resize *resize, int dim, int64_t out)
{
    return QVK__MIN((int64_t)floorf((float)out * resize->scale[dim]), resize->in[dim] - 1);
}

/* The two neighbours along one dimension and the weight of the second. */
static void linear_source(const qvk__resize *resize, int dim, int64_t out, int64_t at[2], double *weight)
{
    float source = resize->scale[dim] * (float)out;

    if (!resize->align_corners) {
        source = resize->scale[dim] * ((float)out + 0.5F) - 0.5F;
        source = source < 0 ? 0 : source;
    }
    at[0] = QVK__MIN((int64_t)source, resize->in[dim] - 1);
    at[1] = QVK__MIN(at[0] + 1, resize->in[dim] - 1);
    *weight = (double)QVK__MIN(QVK__MAX(source - (float)at[0], 0.0F), 1.0F);
}

static double bilinear_at(const qvk__resize *resize, const qvk_tensor *input, int64_t plane, int64_t y,
                          int64_t x)
{
    int64_t rows[2], columns[2];
    double wy, wx, corner[4];

    linear_source(resize, 0, y, rows, &wy);
    linear_source(resize, 1, x, columns, &wx);
    for (int i = 0; i < 4; i++)
        corner[i] =
            qvk__reference_get(input, (plane * resize->in[0] + rows[i / 2]) * resize->in[1] + columns[i % 2]);
    return (1 - wy) * ((1 - wx) * corner[0] + wx * corner[1]) + wy * ((1 - wx) * corner[2] + wx * corner[3]);
}

qvk_status qvk__reference_upsample(qvk__op op, const qvk__arg *args, int n_args, qvk_tensor *outs, int n_outs,
                                   qvk_error *err)
{
    const qvk_tensor *input = args[0].u.tensor;
    qvk__resize resize;

    (void)n_outs;
    QVK__TRY(qvk__resize_of(op, args, n_args, &resize, err));
    for (int64_t p = 0, i = 0; p < resize.planes; p++)
        for (int64_t y = 0; y < resize.out[0]; y++)
            for (int64_t x = 0; x < resize.out[1]; x++, i++) {
                const int64_t row = p * resize.in[0] + nearest_source(&resize, 0, y);
                const double value =
                    op == QVK__OP_UPSAMPLE_BILINEAR2D_VEC
                        ? bilinear_at(&resize, input, p, y, x)
                        : qvk__reference_get(input, row * resize.in[1] + nearest_source(&resize, 1, x));
                qvk__reference_set(&outs[0], i, value);
            }
    return QVK_OK;
}

/* ---- sampling ------------------------------------------------------------------------------------------- */

typedef enum padding_mode { PADDING_ZEROS, PADDING_BORDER, PADDING_REFLECTION } padding_mode;

/* Reflects `at` between low/2 and high/2 (at::native reflect_coordinates). */
static float reflect(float at, int64_t twice_low, int64_t twice_high)
{
    if (twice_low == twice_high)
        return 0;
    const float low = (float)twice_low / 2, span = (float)(twice_high - twice_low) / 2;
    at = fabsf(at - low);
    const float extra = fmodf(at, span);
    return fmodf(floorf(at / span), 2) == 0 ? extra + low : span - extra + low;
}

/* A grid coordinate in [-1, 1] to a position in [0, size), by the padding mode. */
static float grid_source(float coordinate, int64_t size, padding_mode padding, bool align_corners)
{
    float at =
        align_corners ? (coordinate + 1) / 2 * (float)(size - 1) : ((coordinate + 1) * (float)size - 1) / 2;

    if (padding == PADDING_REFLECTION)
        at = align_corners ? reflect(at, 0, 2 * (size - 1)) : reflect(at, -1, 2 * size - 1);
    if (padding != PADDING_ZEROS)
        at = fminf(fmaxf(at, 0), (float)(size - 1));
    return at;
}

static double pixel_at(const qvk_tensor *input, int64_t plane, float row, float column)
{
    const int64_t rows = input->sizes[2], columns = input->sizes[3];

    if (!(row >= 0 && row < (float)rows && column >= 0 && column < (float)columns))
        return 0;
    return qvk__reference_get(input, (plane * rows + (int64_t)row) * columns + (int64_t)column);
}

static double sample_at(const qvk_tensor *input, int64_t plane, float row, float column, bool nearest)
{
    if (nearest)
        return pixel_at(input, plane, rintf(row), rintf(column));
    const float top = floorf(row), left = floorf(column);
    const double wy = (double)(row - top), wx = (double)(column - left);
    return (1 - wy) *
               ((1 - wx) * pixel_at(input, plane, top, left) + wx * pixel_at(input, plane, top, left + 1)) +
           wy * ((1 - wx) * pixel_at(input, plane, top + 1, left) +
                 wx * pixel_at(input, plane, top + 1, left + 1));
}

qvk_status qvk__reference_grid_sampler(qvk__op op, const qvk__arg *args, int n_args, qvk_tensor *outs,
                                       int n_outs, qvk_error *err)
{
    const qvk_tensor *input = args[0].u.tensor, *grid = args[1].u.tensor;
    const int64_t places = grid->sizes[1] * grid->sizes[2], channels = input->sizes[1];
    int64_t interpolation, padding;
    bool align_corners;

    (void)op;
    (void)n_args;
    (void)n_outs;
    QVK__TRY(qvk__arg_int(&args[2], "interpolation_mode", &interpolation, err));
    QVK__TRY(qvk__arg_int(&args[3], "padding_mode", &padding, err));
    QVK__TRY(qvk__arg_bool(&args[4], "align_corners", &align_corners, err));
    QVK__CHECK(interpolation == 0 || interpolation == 1, err, QVK_UNSUPPORTED,
               "grid_sampler_2d: interpolation mode %lld; bilinear (0) and nearest (1) are supported",
               (long long)interpolation);
    QVK__CHECK(padding >= PADDING_ZEROS && padding <= PADDING_REFLECTION, err, QVK_INVALID_ARGUMENT,
               "grid_sampler_2d: padding mode %lld", (long long)padding);
    for (int64_t b = 0; b < input->sizes[0]; b++)
        for (int64_t p = 0; p < places; p++) {
            const int64_t at = (b * places + p) * 2;
            const float column = grid_source((float)qvk__reference_get(grid, at), input->sizes[3],
                                             (padding_mode)padding, align_corners);
            const float row = grid_source((float)qvk__reference_get(grid, at + 1), input->sizes[2],
                                          (padding_mode)padding, align_corners);
            for (int64_t c = 0; c < channels; c++)
                qvk__reference_set(&outs[0], (b * channels + c) * places + p,
                                   sample_at(input, b * channels + c, row, column, interpolation == 1));
        }
    return QVK_OK;
}

/* ((x + offset) * stride, (y + offset) * stride) for every place of the input's plane, row by row. */
qvk_status qvk__reference_grid_priors(qvk__op op, const qvk__arg *args, int n_args, qvk_tensor *outs,
                                      int n_outs, qvk_error *err)
{
    const qvk_tensor *input = args[0].u.tensor;
    const int64_t columns = input->sizes[input->rank - 1];
    double offset;
    int64_t stride;

    (void)op;
    (void)n_args;
    (void)n_outs;
    QVK__TRY(qvk__arg_int(&args[1], "stride", &stride, err));
    QVK__TRY(qvk__arg_float(&args[2], "offset", &offset, err));
    for (int64_t i = 0; i < outs[0].sizes[0]; i++) {
        const float x = (float)(i % columns) + (float)offset, y = (float)(i / columns) + (float)offset;
        qvk__reference_set(&outs[0], 2 * i, (double)(x * (float)stride));
        qvk__reference_set(&outs[0], 2 * i + 1, (double)(y * (float)stride));
    }
    return QVK_OK;
}

/* ---- pixel shuffles ------------------------------------------------------------------------------------- */

/* Narrow side [C*f*f, H, W], wide side [C, H*f, W*f]: narrow[c*f*f + i*f + j, y, x] = wide[c, y*f + i, x*f +
 * j]. */
qvk_status qvk__reference_pixel_shuffle(qvk__op op, const qvk__arg *args, int n_args, qvk_tensor *outs,
                                        int n_outs, qvk_error *err)
{
    const qvk_tensor *input = args[0].u.tensor;
    const size_t size = qvk_dtype_bytes(input->dtype);
    qvk__shuffle shuffle;

    (void)n_outs;
    QVK__TRY(qvk__shuffle_of(op, args, n_args, &shuffle, err));
    const int64_t numel = qvk_tensor_numel(input);
    for (int64_t wide = 0; wide < numel; wide++) {
        const int64_t narrow = qvk__shuffle_narrow(&shuffle, wide);
        const int64_t from = shuffle.inverse ? wide : narrow, to = shuffle.inverse ? narrow : wide;
        memcpy((char *)outs[0].data + (size_t)to * size, (const char *)input->data + (size_t)from * size,
               size);
    }
    return QVK_OK;
}
