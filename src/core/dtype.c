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

bool qvk__tensor_is_like(const qvk_tensor *a, const qvk_tensor *b)
{
    return a->dtype == b->dtype && qvk__shape_equal(a, b);
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

/* Without branches, so that loops over them can be vectorised. */
static inline float widen_half(uint16_t half)
{
    const uint32_t sign = (uint32_t)(half & 0x8000) << 16, magnitude = (uint32_t)(half & 0x7fff) << 13;
    const uint32_t special = (half & 0x7c00) == 0x7c00 ? 0x7f800000u : 0; /* infinities and NaNs */
    uint32_t bits;
    float value;

    memcpy(&value, &magnitude, sizeof value);
    value *= 0x1p112f; /* the exponents' biases differ by 112; exact for subnormal halves too */
    memcpy(&bits, &value, sizeof bits);
    bits |= sign | special;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static inline uint16_t narrow_float(float value)
{
    uint32_t bits, magnitude, normal, small, large;
    float sum;

    memcpy(&bits, &value, sizeof bits);
    magnitude = bits & 0x7fffffff;
    /* Normal halves: rebiased, rounded to even at bit 13; a carry goes on into the exponent. */
    normal = (magnitude + 0xfff + (magnitude >> 13 & 1) - (112u << 23)) >> 13;
    /* Subnormal halves: floats in [0.5, 1) are spaced as they are, so the addition rounds. */
    memcpy(&sum, &magnitude, sizeof sum);
    sum += 0.5f;
    memcpy(&small, &sum, sizeof small);
    small -= 0x3f000000;
    large = magnitude > 0x7f800000 ? 0x7e00 : 0x7c00; /* NaN; infinity, or too large for anything else */
    normal = magnitude < 0x38800000 ? small : magnitude >= 0x477ff000 ? large : normal;
    return (uint16_t)((bits >> 16 & 0x8000) | normal);
}

float qvk__f16_to_f32(uint16_t half)
{
    return widen_half(half);
}

uint16_t qvk__f32_to_f16(float value)
{
    return narrow_float(value);
}

void qvk__f16_to_f32_n(const uint16_t *from, float *to, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++)
        to[i] = widen_half(from[i]);
}

void qvk__f32_to_f16_n(const float *from, uint16_t *to, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++)
        to[i] = narrow_float(from[i]);
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
