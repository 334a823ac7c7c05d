/* Packs the constants of quantized linears: weights into panels, scales with the bias, sums of weights. */
#include "kernels/linear.h"
#include "kernels/pack_float.h"

#define PANEL QVK__LINEAR_PANEL
#define PIECE 16u /* bytes of a row that are made at once */

/* Meaning of qvk__pack.dims here. */
enum { DIM_FIRST, DIM_LAST, DIM_K, DIM_ROW_BYTES, DIM_GROUP, DIM_GROUP_PADDED, DIM_K_PADDED, DIM_FORM };
enum { FORM_FORMAT_BITS = 8 }; /* DIM_FORM: format in the low bits, bytes of a chunk above (weights) */

uint32_t qvk__linear_bits(qvk__weight_format format)
{
    return format == QVK__WEIGHT_INT8 ? 8 : 4;
}

uint64_t qvk__linear_n_padded(uint64_t N)
{
    return qvk__round_up(N, PANEL * 8);
}

/* Column n of the packed form, in its source: with a second one, panels of both take turns. */
typedef struct panel_column {
    int which;
    int64_t n;
} panel_column;

static panel_column find_column(int64_t n, bool has_two)
{
    const int64_t panel = n / PANEL;

    return has_two ? (panel_column){panel % 2 != 0, panel / 2 * PANEL + n % PANEL} : (panel_column){0, n};
}

/* ---- weights -------------------------------------------------------------------------------------------- */

static qvk__weight_format format_of(const qvk__pack *pack)
{
    return (qvk__weight_format)(pack->dims[DIM_FORM] & ((1 << FORM_FORMAT_BITS) - 1));
}

/* Column of the source for padded column k; K and above: none. */
static int64_t source_column(const qvk__pack *pack, int64_t k)
{
    int64_t within = k % pack->dims[DIM_GROUP_PADDED];

    if (within >= pack->dims[DIM_GROUP])
        return pack->dims[DIM_K];
    return QVK__MIN(k / pack->dims[DIM_GROUP_PADDED] * pack->dims[DIM_GROUP] + within, pack->dims[DIM_K]);
}

static int weight_at(const qvk__pack *pack, const uint8_t *row, int64_t k)
{
    const qvk__weight_format format = format_of(pack);
    const int64_t column = source_column(pack, k);

    if (column >= pack->dims[DIM_K])
        return 0;
    if (format == QVK__WEIGHT_INT8)
        return (int8_t)row[column];
    bool low = (column % 2 == 0) == (format == QVK__WEIGHT_LOW_EVEN);
    return (low ? row[column / 2] & 15 : row[column / 2] >> 4) - 8;
}

/* A piece whose columns need moving or padding. */
static void pack_piece_slowly(const qvk__pack *pack, const uint8_t *row, int64_t k, uint8_t *dst)
{
    if (format_of(pack) == QVK__WEIGHT_INT8) {
        for (int64_t i = 0; i < PIECE; i++)
            dst[i] = (uint8_t)weight_at(pack, row, k + i);
        return;
    }
    /* Bytes 0 and 1 of a word: columns 0, 2 and 4, 6; bytes 2 and 3: 1, 3 and 5, 7. */
    for (int64_t i = 0; i < PIECE; i++) {
        const int64_t low = k + i / 4 * 8 + i % 2 * 4 + i % 4 / 2;
        dst[i] = (uint8_t)((weight_at(pack, row, low) & 15) | (weight_at(pack, row, low + 2) & 15) << 4);
    }
}

/* Of each word (two at a time) the low nibbles of its bytes, gathered in its low half. */
static uint64_t gather_nibbles(uint64_t words)
{
    words &= 0x0f0f0f0f0f0f0f0fu;
    words = (words | words >> 4) & 0x00ff00ff00ff00ffu;
    return (words | words >> 8) & 0x0000ffff0000ffffu;
}

static void pack_nibbles(const uint8_t *src, bool high_even, uint8_t *dst)
{
    for (int i = 0; i < 2; i++) {
        uint64_t w, low, high;
        memcpy(&w, src + 8 * i, 8);
        low = gather_nibbles(w);
        high = gather_nibbles(w >> 4);
        w = high_even ? high | low << 16 : low | high << 16;
        w ^= 0x8888888888888888u; /* plus 8 becomes two's complement */
        memcpy(dst + 8 * i, &w, 8);
    }
}

static void pack_piece(const qvk__pack *pack, const void *const *sources, int64_t n, int64_t k, uint8_t *dst)
{
    const panel_column column = find_column(n, pack->sources[1] >= 0);
    const qvk__weight_format format = format_of(pack);
    const int64_t columns = format == QVK__WEIGHT_INT8 ? PIECE : 2 * PIECE;
    const uint8_t *row = (const uint8_t *)sources[column.which] + column.n * pack->dims[DIM_ROW_BYTES];

    if (n >= pack->dims[DIM_LAST])
        memset(dst, 0, PIECE);
    else if (pack->dims[DIM_GROUP] != pack->dims[DIM_GROUP_PADDED] || k + columns > pack->dims[DIM_K])
        pack_piece_slowly(pack, row, k, dst);
    else if (format == QVK__WEIGHT_INT8)
        memcpy(dst, row + k, PIECE);
    else
        pack_nibbles(row + k / 2, format == QVK__WEIGHT_HIGH_EVEN, dst);
}

static void pack_panels(const qvk__pack *pack, const void *const *sources, uint64_t offset, void *dst,
                        uint64_t bytes)
{
    const uint64_t chunk = (uint64_t)pack->dims[DIM_FORM] >> FORM_FORMAT_BITS;
    const uint64_t columns = format_of(pack) == QVK__WEIGHT_INT8 ? 1 : 2; /* in a byte */
    const uint64_t n_chunks = (uint64_t)pack->dims[DIM_K_PADDED] / (columns * chunk);
    uint8_t *out = dst;

    for (uint64_t at = offset; at < offset + bytes; at += PIECE, out += PIECE) {
        const uint64_t row = at / chunk, column = at % chunk;
        const uint64_t panel = row / PANEL / n_chunks, k = row / PANEL % n_chunks * chunk + column;
        pack_piece(pack, sources, pack->dims[DIM_FIRST] + (int64_t)(panel * PANEL + row % PANEL),
                   (int64_t)(k * columns), out);
    }
}

static void set_dims(const qvk__linear_weights *w, uint64_t first, uint64_t last, qvk__pack *pack)
{
    const uint64_t dims[] = {first, last, w->K, w->row_bytes,
                             /* One group has nothing between its columns. */
                             w->n_groups > 1 ? w->group_size : w->k_padded, w->group_padded, w->k_padded,
                             w->chunk_bytes << FORM_FORMAT_BITS | (uint64_t)w->format};

    for (size_t i = 0; i < QVK__COUNT(dims); i++)
        pack->dims[i] = (int64_t)dims[i];
}

qvk__pack qvk__pack_weights(const qvk__linear_weights *weights, uint64_t first, uint64_t last)
{
    qvk__pack pack = {.fn = pack_panels, .sources = {weights->value, weights->up_value, -1, -1}};

    set_dims(weights, first, last, &pack);
    pack.bytes =
        qvk__round_up(last - first, PANEL) * weights->k_padded * qvk__linear_bits(weights->format) / 8;
    return pack;
}

/* ---- scales and bias ------------------------------------------------------------------------------------ */

enum { DIM_N, DIM_N_GROUPS, DIM_STRIDE, DIM_SCALE_DTYPE, DIM_BIAS_DTYPE };

static void pack_scale_rows(const qvk__pack *pack, const void *const *sources, uint64_t offset, void *dst,
                            uint64_t bytes)
{
    const uint64_t N = (uint64_t)pack->dims[DIM_N], n_padded = qvk__linear_n_padded(N);
    const uint64_t n_groups = (uint64_t)pack->dims[DIM_N_GROUPS];
    float *out = dst;

    for (uint64_t at = offset / 4; at < (offset + bytes) / 4; at++) {
        const uint64_t group = at / n_padded, n = at % n_padded;
        const panel_column column = find_column((int64_t)n, pack->sources[2] >= 0);
        const int scale = 2 * column.which, bias = scale + 1;
        float value = 0.0f;
        if (n < N && group < n_groups)
            value = qvk__pack_float(sources[scale], pack->dims[DIM_SCALE_DTYPE],
                                    group * (uint64_t)pack->dims[DIM_STRIDE] + (uint64_t)column.n);
        else if (n < N && pack->sources[bias] >= 0)
            value = qvk__pack_float(sources[bias], pack->dims[DIM_BIAS_DTYPE], (uint64_t)column.n);
        *out++ = value;
    }
}

qvk__pack qvk__pack_scales(const qvk__linear_weights *weights, const qvk__linear_scales *scales)
{
    return (qvk__pack){
        .fn = pack_scale_rows,
        .sources = {scales->value, scales->bias, scales->up_value, scales->up_bias},
        .dims = {(int64_t)weights->N, (int64_t)weights->n_groups, (int64_t)scales->stride,
                 (int64_t)scales->dtype, (int64_t)scales->bias_dtype},
        .bytes = 4 * (weights->n_groups + 1) * qvk__linear_n_padded(weights->N),
    };
}

/* ---- sums ----------------------------------------------------------------------------------------------- */

/* Here DIM_FIRST holds the distance of the scales' rows and DIM_LAST is N; the scales' type is above the
 * format. */
enum { FORM_DTYPE_SHIFT = 16 };

static double scaled_sum(const qvk__pack *pack, const uint8_t *row, const void *scales, int64_t n)
{
    const int64_t group = pack->dims[DIM_GROUP_PADDED], n_groups = pack->dims[DIM_K_PADDED];
    const int64_t dtype = pack->dims[DIM_FORM] >> FORM_DTYPE_SHIFT;
    double total = 0.0;

    for (int64_t g = 0; g < n_groups; g++) {
        int64_t sum = 0;
        for (int64_t k = g * group; k < (g + 1) * group; k++)
            sum += weight_at(pack, row, k);
        total += (double)sum *
                 (n_groups == 1
                      ? 1.0
                      : (double)qvk__pack_float(scales, dtype, (uint64_t)(g * pack->dims[DIM_FIRST] + n)));
    }
    return total;
}

static void pack_sums(const qvk__pack *pack, const void *const *sources, uint64_t offset, void *dst,
                      uint64_t bytes)
{
    uint8_t *out = dst;

    for (uint64_t at = offset / 4; at < (offset + bytes) / 4; at++, out += 4) {
        const panel_column column = find_column((int64_t)at, pack->sources[2] >= 0);
        const int weights = 2 * column.which, scales = weights + 1;
        const uint8_t *row = (const uint8_t *)sources[weights] + column.n * pack->dims[DIM_ROW_BYTES];
        const double sum =
            (int64_t)at < pack->dims[DIM_LAST] ? scaled_sum(pack, row, sources[scales], column.n) : 0.0;
        const int32_t whole = (int32_t)(pack->dims[DIM_K_PADDED] == 1 ? sum : 0.0);
        const float scaled = (float)sum;
        memcpy(out, pack->dims[DIM_K_PADDED] == 1 ? (const void *)&whole : (const void *)&scaled, 4);
    }
}

qvk__pack qvk__pack_weight_sums(const qvk__linear_weights *weights, const qvk__linear_scales *scales)
{
    qvk__pack pack = {.fn = pack_sums,
                      .sources = {weights->value, scales->value, weights->up_value, scales->up_value}};

    set_dims(weights, scales->stride, weights->N, &pack);
    /* The number of groups is what counts here. */
    pack.dims[DIM_K_PADDED] = (int64_t)weights->n_groups;
    pack.dims[DIM_FORM] = (int64_t)weights->format | (int64_t)scales->dtype << FORM_DTYPE_SHIFT;
    pack.bytes = 4 * qvk__linear_n_padded(weights->N);
    return pack;
}
