/* Tensors as numbers. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "cli.h"

static double half_to_double(uint16_t bits)
{
    const int exponent = bits >> 10 & 31;
    const double fraction = (bits & 1023) / 1024.0;
    const double sign = bits >> 15 ? -1.0 : 1.0;

    if (exponent == 31)
        return fraction != 0.0 ? (double)NAN : sign * (double)INFINITY;
    return sign * (exponent ? ldexp(1.0 + fraction, exponent - 15) : ldexp(fraction, -14));
}

#define READ(type, place)                                                                                    \
    type x;                                                                                                  \
    memcpy(&x, (const char *)tensor->data + (place) * (int64_t)sizeof x, sizeof x)

double cli_element(const qvk_tensor *tensor, int64_t index)
{
    switch (tensor->dtype) {
    case QVK_DTYPE_F32: {
        READ(float, index);
        return (double)x;
    }
    case QVK_DTYPE_F64: {
        READ(double, index);
        return x;
    }
    case QVK_DTYPE_F16: {
        READ(uint16_t, index);
        return half_to_double(x);
    }
    case QVK_DTYPE_I64: {
        READ(int64_t, index);
        return (double)x;
    }
    case QVK_DTYPE_I32: {
        READ(int32_t, index);
        return x;
    }
    case QVK_DTYPE_I16: {
        READ(int16_t, index);
        return x;
    }
    case QVK_DTYPE_I8: return ((const int8_t *)tensor->data)[index];
    case QVK_DTYPE_U8:
    case QVK_DTYPE_BOOL: return ((const uint8_t *)tensor->data)[index];
    default: return (double)NAN;
    }
}

cli_summary cli_summarise(const qvk_tensor *tensor)
{
    cli_summary summary = {(double)INFINITY, -(double)INFINITY, 0.0, 0};
    const int64_t numel = qvk_tensor_numel(tensor);
    double sum = 0.0;

    for (int64_t i = 0; i < numel; i++) {
        const double x = cli_element(tensor, i);
        if (!isfinite(x)) {
            summary.not_finite++;
            continue;
        }
        summary.min = fmin(summary.min, x);
        summary.max = fmax(summary.max, x);
        sum += x;
    }
    if (numel == summary.not_finite)
        summary.min = summary.max = summary.mean = (double)NAN;
    else
        summary.mean = sum / (double)(numel - summary.not_finite);
    return summary;
}

cli_label cli_describe(const qvk_tensor *tensor)
{
    cli_label label;
    int used = snprintf(label.text, sizeof label.text, "%s[", qvk_dtype_name(tensor->dtype));

    for (int i = 0; i < tensor->rank; i++)
        used += snprintf(label.text + used, sizeof label.text - (size_t)used, "%s%lld", i ? ", " : "",
                         (long long)tensor->sizes[i]);
    snprintf(label.text + used, sizeof label.text - (size_t)used, "]");
    return label;
}
