/* Geometry of operators that slide over planes: convolution, pooling, resizing, pixel shuffles. */
#include "core/geometry.h"

#include <math.h>

#include "core/dtype.h"

/* Sizes, strides and the like stay below this, so that index arithmetic in int64 cannot overflow. */
#define NUMBER_MAX INT32_MAX

/* Reads a list that gives one number for all `rank` dimensions or one each, into the last `rank` places of
 * out[2]. None and an empty list leave out alone. */
static qvk_status read_spatial(const qvk__arg *arg, const char *what, int rank, int64_t low, int64_t out[2],
                               qvk_error *err)
{
    int64_t numbers[2];
    int n;

    QVK__TRY(qvk__arg_ints(arg, what, numbers, 2, &n, err));
    if (n <= 0)
        return QVK_OK;
    QVK__CHECK(n == 1 || n == rank, err, QVK_SHAPE, "%s: %d numbers for %d spatial dimensions", what, n,
               rank);
    for (int i = 0; i < rank; i++) {
        const int64_t number = numbers[n == 1 ? 0 : i];
        QVK__CHECK(number >= low && number <= NUMBER_MAX, err, QVK_SHAPE, "%s: %lld is out of range", what,
                   (long long)number);
        out[2 - rank + i] = number;
    }
    return QVK_OK;
}

/* ---- convolution ---------------------------------------------------------------------------------------- */

/* Where an operator keeps its arguments. */
typedef struct conv_places {
    int weight, kernel, stride, padding, dilation, transposed, output_padding, groups; /* -1: has none */
} conv_places;

static conv_places conv_places_of(qvk__op op)
{
    switch (op) {
    case QVK__OP_ET_Q8TA_CONV2D:
    case QVK__OP_ET_Q8TA_CONV2D_PW:
    case QVK__OP_ET_Q8TA_CONV2D_DW: return (conv_places){3, 9, 10, 11, 12, -1, -1, 13};
    case QVK__OP_ET_Q8TA_CONV2D_TRANSPOSED: return (conv_places){3, 9, 10, 11, 13, -1, 12, 14};
    default: return (conv_places){1, -1, 3, 4, 5, 6, 7, 8};
    }
}

/* Kernel size, channels and output channels from a float weight: [OC, IC/g, ...], or transposed [IC, OC/g,
 * ...]. */
static qvk_status read_float_weight(const qvk_tensor *weight, qvk__conv *conv, qvk_error *err)
{
    const int spatial = conv->rank - 2;

    QVK__CHECK(weight->rank == conv->rank, err, QVK_SHAPE, "weight %s does not fit an input of %d dimensions",
               qvk__shape_text(weight).text, conv->rank);
    for (int i = 0; i < spatial; i++) {
        conv->kernel[2 - spatial + i] = weight->sizes[2 + i];
        QVK__CHECK(weight->sizes[2 + i] >= 1, err, QVK_SHAPE, "empty weight %s",
                   qvk__shape_text(weight).text);
    }
    const int64_t in_channels = conv->transposed ? weight->sizes[0] : weight->sizes[1] * conv->groups;
    conv->out_channels = conv->transposed ? weight->sizes[1] * conv->groups : weight->sizes[0];
    QVK__CHECK(in_channels == conv->in_channels && conv->out_channels % conv->groups == 0, err, QVK_SHAPE,
               "weight %s does not fit %lld input channels in %lld groups", qvk__shape_text(weight).text,
               (long long)conv->in_channels, (long long)conv->groups);
    return QVK_OK;
}

/* The packed int8 weights: [OC, >= KH*KW*IC/g], or [KH, KW, >= OC] when depthwise. */
static qvk_status read_packed_weight(const qvk_tensor *weight, qvk__conv *conv, qvk_error *err)
{
    bool fits;

    if (conv->depthwise_layout) {
        conv->out_channels = conv->groups;
        fits = weight->rank == 3 && weight->sizes[0] == conv->kernel[0] &&
               weight->sizes[1] == conv->kernel[1] && weight->sizes[2] >= conv->out_channels &&
               conv->in_channels == conv->groups;
    } else {
        const int64_t taps = conv->kernel[0] * conv->kernel[1];
        fits = weight->rank == 2 && weight->sizes[0] % conv->groups == 0 &&
               weight->sizes[1] / taps >= conv->in_channels / conv->groups;
        conv->out_channels = fits ? weight->sizes[0] : 0;
    }
    QVK__CHECK(fits, err, QVK_SHAPE,
               "packed weight %s does not fit %lld channels in %lld groups, kernel %lldx%lld",
               qvk__shape_text(weight).text, (long long)conv->in_channels, (long long)conv->groups,
               (long long)conv->kernel[0], (long long)conv->kernel[1]);
    return QVK_OK;
}

static qvk_status set_conv_output(qvk__conv *conv, qvk_error *err)
{
    for (int i = 0; i < 2; i++) {
        const int64_t reach = conv->dilation[i] * (conv->kernel[i] - 1) + 1;
        if (conv->transposed)
            conv->out[i] =
                (conv->in[i] - 1) * conv->stride[i] - 2 * conv->padding[i] + reach + conv->output_padding[i];
        else
            conv->out[i] = (conv->in[i] + 2 * conv->padding[i] - reach) / conv->stride[i] + 1;
        const bool fits = conv->transposed || conv->in[i] + 2 * conv->padding[i] >= reach;
        QVK__CHECK(fits && conv->out[i] >= 1 && conv->out[i] <= NUMBER_MAX, err, QVK_SHAPE,
                   "kernel of %lld (with dilation) does not fit an input of %lld with padding %lld",
                   (long long)reach, (long long)conv->in[i], (long long)conv->padding[i]);
    }
    return QVK_OK;
}

qvk_status qvk__conv_of(qvk__op op, const qvk__arg *args, int n_args, qvk__conv *out, qvk_error *err)
{
    const conv_places at = conv_places_of(op);
    const bool packed = at.kernel >= 0;
    const qvk_tensor *input, *weight;
    qvk__conv conv = {.in = {1, 1}, .kernel = {1, 1}, .stride = {1, 1}, .dilation = {1, 1}};

    (void)n_args;
    QVK__TRY(qvk__arg_tensor(&args[0], "input", &input, err));
    QVK__TRY(qvk__arg_tensor(&args[at.weight], "weight", &weight, err));
    QVK__CHECK(input->rank == 4 || (input->rank == 3 && !packed), err, QVK_UNSUPPORTED,
               "convolution of %s: 1-D (3 dimensions) and 2-D (4) are supported",
               qvk__shape_text(input).text);
    const int spatial = input->rank - 2;
    conv.rank = input->rank;
    conv.batch = input->sizes[0];
    conv.in_channels = input->sizes[1];
    for (int i = 0; i < spatial; i++)
        conv.in[2 - spatial + i] = input->sizes[2 + i];
    for (int i = 0; i < input->rank; i++)
        QVK__CHECK(input->sizes[i] >= (i > 0) && input->sizes[i] <= NUMBER_MAX, err, QVK_SHAPE,
                   "convolution of %s", qvk__shape_text(input).text);

    if (packed) {
        conv.transposed = op == QVK__OP_ET_Q8TA_CONV2D_TRANSPOSED;
        conv.depthwise_layout = op == QVK__OP_ET_Q8TA_CONV2D_DW;
        QVK__TRY(read_spatial(&args[at.kernel], "kernel_size", spatial, 1, conv.kernel, err));
    } else {
        QVK__TRY(qvk__arg_bool(&args[at.transposed], "transposed", &conv.transposed, err));
    }
    QVK__TRY(read_spatial(&args[at.stride], "stride", spatial, 1, conv.stride, err));
    QVK__TRY(read_spatial(&args[at.padding], "padding", spatial, 0, conv.padding, err));
    QVK__TRY(read_spatial(&args[at.dilation], "dilation", spatial, 1, conv.dilation, err));
    if (at.output_padding >= 0)
        QVK__TRY(
            read_spatial(&args[at.output_padding], "output_padding", spatial, 0, conv.output_padding, err));
    QVK__TRY(qvk__arg_int(&args[at.groups], "groups", &conv.groups, err));
    QVK__CHECK(conv.groups >= 1 && conv.in_channels % conv.groups == 0, err, QVK_SHAPE,
               "%lld input channels in %lld groups", (long long)conv.in_channels, (long long)conv.groups);
    QVK__TRY(packed ? read_packed_weight(weight, &conv, err) : read_float_weight(weight, &conv, err));
    QVK__TRY(set_conv_output(&conv, err));
    *out = conv;
    return QVK_OK;
}

qvk_status qvk__conv_clamp_of(qvk__op op, const qvk__arg *args, float *lower, float *upper, qvk_error *err)
{
    double low = -INFINITY, high = INFINITY;

    if (op == QVK__OP_ET_CONV_WITH_CLAMP) {
        if (!qvk__arg_is_null(&args[9]))
            QVK__TRY(qvk__arg_float(&args[9], "output_min", &low, err));
        if (!qvk__arg_is_null(&args[10]))
            QVK__TRY(qvk__arg_float(&args[10], "output_max", &high, err));
    }
    /* The format says "no bound" with the largest double, which a conversion to float would leave undefined.
     */
    *lower = low < -(double)3.402823466e38F ? -INFINITY : (float)low;
    *upper = high > (double)3.402823466e38F ? INFINITY : (float)high;
    return QVK_OK;
}

/* ---- pooling -------------------------------------------------------------------------------------------- */

/* Windows along one dimension: PyTorch's pooling_output_shape. The last one of ceil_mode must start inside
 * the input or its left padding. */
static int64_t pool_output(int64_t in, int64_t kernel, int64_t stride, int64_t padding, int64_t dilation,
                           bool ceil_mode)
{
    const int64_t span = in + 2 * padding - dilation * (kernel - 1) - 1;

    if (span < 0 && !(ceil_mode && span + stride - 1 >= 0))
        return 0;
    int64_t out = (span + (ceil_mode ? stride - 1 : 0)) / stride + 1;
    if (ceil_mode && (out - 1) * stride >= in + padding)
        out--;
    return out;
}

static qvk_status read_plane(const qvk_tensor *input, const char *what, int64_t *planes, int64_t in[2],
                             qvk_error *err)
{
    QVK__CHECK(input->rank == 3 || input->rank == 4, err, QVK_SHAPE,
               "%s of %s: 3 or 4 dimensions are possible", what, qvk__shape_text(input).text);
    for (int i = 0; i < 2; i++) {
        in[i] = input->sizes[input->rank - 2 + i];
        QVK__CHECK(in[i] >= 1 && in[i] <= NUMBER_MAX, err, QVK_SHAPE, "%s of %s", what,
                   qvk__shape_text(input).text);
    }
    *planes = input->sizes[0] * (input->rank == 4 ? input->sizes[1] : 1);
    return QVK_OK;
}

qvk_status qvk__pool_of(qvk__op op, const qvk__arg *args, int n_args, qvk__pool *out, qvk_error *err)
{
    qvk__pool pool = {.dilation = {1, 1}};
    const qvk_tensor *input;
    bool ceil_mode;

    (void)n_args;
    pool.is_max = op != QVK__OP_AVG_POOL2D;
    QVK__TRY(qvk__arg_tensor(&args[0], "input", &input, err));
    QVK__TRY(read_plane(input, "pooling", &pool.planes, pool.in, err));
    QVK__TRY(read_spatial(&args[1], "kernel_size", 2, 1, pool.kernel, err));
    pool.stride[0] = pool.kernel[0];
    pool.stride[1] = pool.kernel[1];
    QVK__TRY(read_spatial(&args[2], "stride", 2, 1, pool.stride, err));
    QVK__TRY(read_spatial(&args[3], "padding", 2, 0, pool.padding, err));
    if (pool.is_max) {
        QVK__TRY(read_spatial(&args[4], "dilation", 2, 1, pool.dilation, err));
        QVK__TRY(qvk__arg_bool(&args[5], "ceil_mode", &ceil_mode, err));
    } else {
        QVK__TRY(qvk__arg_bool(&args[4], "ceil_mode", &ceil_mode, err));
        QVK__TRY(qvk__arg_bool(&args[5], "count_include_pad", &pool.count_include_pad, err));
        if (!qvk__arg_is_null(&args[6])) {
            QVK__TRY(qvk__arg_int(&args[6], "divisor_override", &pool.divisor, err));
            QVK__CHECK(pool.divisor != 0, err, QVK_INVALID_ARGUMENT, "divisor_override is 0");
        }
    }
    for (int i = 0; i < 2; i++) {
        /* A window that lies wholly in the padding would have no maximum. */
        QVK__CHECK(pool.kernel[i] >= 1 && pool.padding[i] <= pool.kernel[i] / 2, err, QVK_SHAPE,
                   "padding %lld is more than half of kernel size %lld", (long long)pool.padding[i],
                   (long long)pool.kernel[i]);
        pool.out[i] = pool_output(pool.in[i], pool.kernel[i], pool.stride[i], pool.padding[i],
                                  pool.dilation[i], ceil_mode);
        QVK__CHECK(pool.out[i] >= 1, err, QVK_SHAPE, "kernel of %lld does not fit an input of %lld",
                   (long long)pool.kernel[i], (long long)pool.in[i]);
    }
    *out = pool;
    return QVK_OK;
}

/* ---- resizing ------------------------------------------------------------------------------------------- */

static qvk_status read_scale_factors(const qvk__arg *arg, double out[2], qvk_error *err)
{
    QVK__CHECK(arg->count == 2 &&
                   (arg->kind == QVK__ARG_FLOATS || arg->kind == QVK__ARG_INTS || arg->kind == QVK__ARG_LIST),
               err, QVK_INVALID_ARGUMENT, "scale_factors: wanted two numbers");
    for (int i = 0; i < 2; i++) {
        if (arg->kind == QVK__ARG_FLOATS)
            out[i] = arg->u.floats[i];
        else if (arg->kind == QVK__ARG_INTS)
            out[i] = (double)arg->u.ints[i];
        else
            QVK__TRY(qvk__arg_float(&arg->u.list[i], "scale_factors", &out[i], err));
    }
    return QVK_OK;
}

qvk_status qvk__resize_of(qvk__op op, const qvk__arg *args, int n_args, qvk__resize *out, qvk_error *err)
{
    const bool bilinear = op == QVK__OP_UPSAMPLE_BILINEAR2D_VEC;
    const qvk__arg *factors = &args[bilinear ? 3 : 2];
    double factor[2] = {0, 0};
    const qvk_tensor *input;
    qvk__resize resize = {0};

    (void)n_args;
    QVK__TRY(qvk__arg_tensor(&args[0], "input", &input, err));
    QVK__CHECK(input->rank == 4, err, QVK_SHAPE, "resizing of %s: wanted 4 dimensions",
               qvk__shape_text(input).text);
    QVK__TRY(read_plane(input, "resizing", &resize.planes, resize.in, err));
    if (bilinear)
        QVK__TRY(qvk__arg_bool(&args[2], "align_corners", &resize.align_corners, err));
    if (!qvk__arg_is_null(factors) && factors->count > 0)
        QVK__TRY(read_scale_factors(factors, factor, err));
    QVK__TRY(read_spatial(&args[1], "output_size", 2, 1, resize.out, err));
    for (int i = 0; i < 2; i++) {
        if (resize.out[i] == 0 && factor[i] > 0 && (double)resize.in[i] * factor[i] < NUMBER_MAX)
            resize.out[i] = (int64_t)floor((double)resize.in[i] * factor[i]);
        QVK__CHECK(resize.out[i] >= 1, err, QVK_SHAPE, "resizing of %s by %g", qvk__shape_text(input).text,
                   factor[i]);
        if (resize.align_corners)
            resize.scale[i] =
                resize.out[i] > 1 ? (float)(resize.in[i] - 1) / (float)(resize.out[i] - 1) : 0.0F;
        else
            resize.scale[i] =
                factor[i] > 0 ? (float)(1.0 / factor[i]) : (float)resize.in[i] / (float)resize.out[i];
    }
    *out = resize;
    return QVK_OK;
}

/* ---- pixel shuffles ------------------------------------------------------------------------------------- */

qvk_status qvk__shuffle_of(qvk__op op, const qvk__arg *args, int n_args, qvk__shuffle *out, qvk_error *err)
{
    qvk__shuffle shuffle = {.batch = 1, .inverse = op == QVK__OP_PIXEL_UNSHUFFLE};
    const qvk_tensor *input;

    (void)n_args;
    QVK__TRY(qvk__arg_tensor(&args[0], "input", &input, err));
    QVK__TRY(
        qvk__arg_int(&args[op == QVK__OP_ET_Q8TA_PIXEL_SHUFFLE ? 5 : 1], "factor", &shuffle.factor, err));
    QVK__CHECK(input->rank >= 3, err, QVK_SHAPE, "pixel shuffle of %s: wanted 3 dimensions at least",
               qvk__shape_text(input).text);
    QVK__CHECK(shuffle.factor >= 1 && shuffle.factor < 32768, err, QVK_INVALID_ARGUMENT,
               "pixel shuffle by %lld", (long long)shuffle.factor);
    for (int i = 0; i < input->rank - 3; i++)
        shuffle.batch *= input->sizes[i];
    const int64_t channels = input->sizes[input->rank - 3], factor = shuffle.factor;
    const int64_t rows = input->sizes[input->rank - 2], columns = input->sizes[input->rank - 1];
    if (shuffle.inverse) {
        shuffle.channels = channels;
        shuffle.rows = rows;
        shuffle.columns = columns;
    } else {
        shuffle.channels = channels / (factor * factor);
        shuffle.rows = rows * factor;
        shuffle.columns = columns * factor;
    }
    const bool fits =
        shuffle.inverse ? rows % factor == 0 && columns % factor == 0 : channels % (factor * factor) == 0;
    QVK__CHECK(fits, err, QVK_SHAPE, "pixel shuffle of %s by %lld", qvk__shape_text(input).text,
               (long long)factor);
    *out = shuffle;
    return QVK_OK;
}

int64_t qvk__shuffle_narrow(const qvk__shuffle *shuffle, int64_t wide)
{
    const int64_t factor = shuffle->factor;
    const int64_t column = wide % shuffle->columns, row = wide / shuffle->columns % shuffle->rows;
    const int64_t plane = wide / (shuffle->columns * shuffle->rows);
    const int64_t narrow_plane = (plane * factor + row % factor) * factor + column % factor;

    return (narrow_plane * (shuffle->rows / factor) + row / factor) * (shuffle->columns / factor) +
           column / factor;
}
