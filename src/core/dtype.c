/* Data types and shapes. */
#include "core/dtype.h"

#include <math.h>

typedef struct dtype_row {
    const char *name;
    uint8_t bytes;
    int16_t pt2, pte, blob;
    const char *npy;
} dtype_row;

static const dtype_row rows[QVK_DTYPE_COUNT] = {[QVK_DTYPE_NONE] = {"none", 0, -1, -1, -1, NULL},
#define ROW(NAME, name, bytes, pt2, pte, blob, npy) [QVK_DTYPE_##NAME] = {name, bytes, pt2, pte, blob, npy},
                                                QVK_DTYPE_LIST(ROW)
#undef ROW
};

static const dtype_row *row_of(qvk_dtype dtype)
{
    return &rows[(unsigned)dtype < QVK_DTYPE_COUNT ? dtype : QVK_DTYPE_NONE];
}

const char *qvk_dtype_name(qvk_dtype dtype)
{
    return row_of(dtype)->name;
}

size_t qvk_dtype_bytes(qvk_dtype dtype)
{
    return row_of(dtype)->bytes;
}

int qvk__dtype_code(qvk_dtype dtype, qvk__dtype_format format)
{
    const dtype_row *row = row_of(dtype);
    return format == QVK__DTYPE_PT2 ? row->pt2 : format == QVK__DTYPE_PTE ? row->pte : row->blob;
}

qvk_dtype qvk__dtype_from_code(int64_t code, qvk__dtype_format format)
{
    for (int i = 1; i < QVK_DTYPE_COUNT; i++)
        if (code >= 0 && qvk__dtype_code((qvk_dtype)i, format) == code)
            return (qvk_dtype)i;
    return QVK_DTYPE_NONE;
}

const char *qvk__dtype_npy(qvk_dtype dtype)
{
    return row_of(dtype)->npy;
}

qvk_dtype qvk__dtype_from_npy(const char *descr, size_t length)
{
    for (int i = 1; i < QVK_DTYPE_COUNT; i++)
        if (rows[i].npy && strlen(rows[i].npy) == length && memcmp(rows[i].npy, descr, length) == 0)
            return (qvk_dtype)i;
    return QVK_DTYPE_NONE;
}

bool qvk__dtype_is_float(qvk_dtype dtype)
{
    return dtype == QVK_DTYPE_F32 || dtype == QVK_DTYPE_F16 || dtype == QVK_DTYPE_BF16 ||
           dtype == QVK_DTYPE_F64;
}

int64_t qvk_tensor_numel(const qvk_tensor *tensor)
{
    int64_t count = 1;

    if (tensor->rank < 0 || tensor->rank > QVK_MAX_RANK)
        return -1;
    for (int i = 0; i < tensor->rank; i++) {
        if (tensor->sizes[i] < 0 || (tensor->sizes[i] > 0 && count > INT64_MAX / tensor->sizes[i]))
            return -1;
        count *= tensor->sizes[i];
    }
    return count;
}

size_t qvk_tensor_bytes(const qvk_tensor *tensor)
{
    int64_t count = qvk_tensor_numel(tensor);
    uint64_t bytes;

    if (count < 0 || !qvk__mul_u64((uint64_t)count, qvk_dtype_bytes(tensor->dtype), &bytes) ||
        bytes > SIZE_MAX)
        return 0;
    return (size_t)bytes;
}

bool qvk__shape_equal(const qvk_tensor *a, const qvk_tensor *b)
{
    return a->rank == b->rank && memcmp(a->sizes, b->sizes, (size_t)a->rank * sizeof a->sizes[0]) == 0;
}

void qvk__strides(const qvk_tensor *tensor, int64_t strides[QVK_MAX_RANK])
{
    int64_t step = 1;
    for (int i = tensor->rank - 1; i >= 0; i--) {
        strides[i] = step;
        step *= tensor->sizes[i];
    }
}

qvk__text qvk__shape_text(const qvk_tensor *tensor)
{
    qvk__text text = {"["};
    size_t used = 1;

    for (int i = 0; i < tensor->rank && i < QVK_MAX_RANK; i++)
        used += (size_t)snprintf(text.text + used, sizeof text.text - used, "%s%lld", i ? ", " : "",
                                 (long long)tensor->sizes[i]);
    snprintf(text.text + used, sizeof text.text - used, "]");
    return text;
}

float qvk__f16_to_f32(uint16_t half)
{
    uint32_t sign = (uint32_t)(half & 0x8000) << 16;
    uint32_t exponent = (half >> 10) & 31, mantissa = half & 0x3ff;
    uint32_t bits;
    float value;

    if (exponent == 0) {
        value = ldexpf((float)mantissa, -24);
        return sign ? -value : value;
    }
    bits = sign | (exponent == 31 ? 0x7f800000u : (exponent + 112) << 23) | mantissa << 13;
    memcpy(&value, &bits, sizeof value);
    return value;
}

uint16_t qvk__f32_to_f16(float value)
{
    uint32_t bits, sign, mantissa;
    int32_t exponent;

    memcpy(&bits, &value, sizeof bits);
    sign = (bits >> 16) & 0x8000;
    bits &= 0x7fffffff;
    if (bits > 0x7f800000)
        return (uint16_t)(sign | 0x7e00); /* NaN */
    if (bits >= 0x477ff000)
        return (uint16_t)(sign | 0x7c00); /* rounds to 65536 or more: infinity */
    exponent = (int32_t)(bits >> 23) - 112;
    mantissa = (bits & 0x7fffff) | 0x800000;
    if (exponent <= 0) { /* subnormal half: value / 2^-24, rounded to nearest even */
        uint32_t shift = (uint32_t)(14 - exponent), half, rest;
        if (shift > 25)
            return (uint16_t)sign;
        half = mantissa >> shift;
        rest = mantissa & ((1u << shift) - 1);
        half += rest > 1u << (shift - 1) || (rest == 1u << (shift - 1) && (half & 1));
        return (uint16_t)(sign | half);
    }
    bits = (uint32_t)exponent << 10 | (mantissa & 0x7fffff) >> 13;
    bits += (mantissa & 0x1fff) > 0x1000 || ((mantissa & 0x1fff) == 0x1000 && (bits & 1));
    return (uint16_t)(sign | bits);
}

float qvk__bf16_to_f32(uint16_t brain)
{
    uint32_t bits = (uint32_t)brain << 16;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

uint16_t qvk__f32_to_bf16(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    if ((bits & 0x7fffffff) > 0x7f800000)
        return (uint16_t)(bits >> 16 | 0x40);
    return (uint16_t)((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}
