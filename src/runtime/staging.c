/* Element conversion between host and device types. */
#include "runtime/staging.h"

#include "core/dtype.h"

#define CONVERT(name, from_type, to_type, expression)                                                        \
    static void name(const void *from, void *to, uint64_t count)                                             \
    {                                                                                                        \
        const from_type *source = from;                                                                      \
        to_type *target = to;                                                                                \
        for (uint64_t i = 0; i < count; i++) {                                                               \
            const from_type x = source[i];                                                                   \
            target[i] = expression;                                                                          \
        }                                                                                                    \
    }

CONVERT(i64_to_i32, int64_t, int32_t, (int32_t)(uint32_t)(uint64_t)x)
CONVERT(i32_to_i64, int32_t, int64_t, x)
CONVERT(f64_to_f32, double, float, (float)x)
CONVERT(f32_to_f64, float, double, (double)x)
CONVERT(f64_to_f16, double, uint16_t, qvk__f32_to_f16((float)x))
CONVERT(f16_to_f64, uint16_t, double, (double)qvk__f16_to_f32(x))

static void f32_to_f16(const void *from, void *to, uint64_t count)
{
    qvk__f32_to_f16_n(from, to, count);
}

static void f16_to_f32(const void *from, void *to, uint64_t count)
{
    qvk__f16_to_f32_n(from, to, count);
}

typedef struct conversion {
    qvk_dtype from, to;
    void (*fn)(const void *from, void *to, uint64_t count);
} conversion;

static const conversion conversions[] = {
    {QVK_DTYPE_I64, QVK_DTYPE_I32, i64_to_i32}, {QVK_DTYPE_I32, QVK_DTYPE_I64, i32_to_i64},
    {QVK_DTYPE_F64, QVK_DTYPE_F32, f64_to_f32}, {QVK_DTYPE_F32, QVK_DTYPE_F64, f32_to_f64},
    {QVK_DTYPE_F32, QVK_DTYPE_F16, f32_to_f16}, {QVK_DTYPE_F16, QVK_DTYPE_F32, f16_to_f32},
    {QVK_DTYPE_F64, QVK_DTYPE_F16, f64_to_f16}, {QVK_DTYPE_F16, QVK_DTYPE_F64, f16_to_f64},
};

static const conversion *find(qvk_dtype from, qvk_dtype to)
{
    for (size_t i = 0; i < QVK__COUNT(conversions); i++)
        if (conversions[i].from == from && conversions[i].to == to)
            return &conversions[i];
    return NULL;
}

bool qvk__stage_possible(qvk_dtype from, qvk_dtype to)
{
    return from == to || find(from, to) != NULL;
}

static qvk_status check_range(const int64_t *numbers, uint64_t count, const char *what, qvk_error *err)
{
    for (uint64_t i = 0; i < count; i++)
        QVK__CHECK(numbers[i] >= INT32_MIN && numbers[i] <= INT32_MAX, err, QVK_INPUT_MISMATCH,
                   "%s: element %llu is %lld, which does not fit the int32 it is computed in", what,
                   (unsigned long long)i, (long long)numbers[i]);
    return QVK_OK;
}

qvk_status qvk__stage_copy(const void *from, qvk_dtype from_dtype, void *to, qvk_dtype to_dtype,
                           uint64_t count, bool wrap, const char *what, qvk_error *err)
{
    const conversion *pair;

    if (count == 0)
        return QVK_OK;
    if (from_dtype == to_dtype) {
        memcpy(to, from, count * qvk_dtype_bytes(from_dtype));
        return QVK_OK;
    }
    pair = find(from_dtype, to_dtype);
    QVK__CHECK(pair, err, QVK_INPUT_MISMATCH, "%s: %s cannot be passed as %s", what,
               qvk_dtype_name(from_dtype), qvk_dtype_name(to_dtype));
    if (pair->fn == i64_to_i32 && !wrap)
        QVK__TRY(check_range(from, count, what, err));
    pair->fn(from, to, count);
    return QVK_OK;
}
