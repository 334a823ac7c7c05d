/*
 * Each loop is written once, over a fixed number of lanes that compilers turn into vectors, and compiled
 * twice on x86-64: for every processor, and with AVX2 for those that have it.
 */
#include "quantize/weight_loops.h"

#if defined(__x86_64__) && defined(__GNUC__)
#define HAS_AVX2_VARIANTS 1
#define FOR_AVX2          __attribute__((target("avx2")))
#define IN_EACH_VARIANT   static inline __attribute__((always_inline))
#else
#define HAS_AVX2_VARIANTS 0
#define IN_EACH_VARIANT   static inline
#endif

enum { SSE_LANES = 4, AVX_LANES = 8, MAX_LANES = AVX_LANES, ROUND_LANES = 32 };

/* ---- range ---------------------------------------------------------------------------------------------- */

static inline float smaller(float a, float b)
{
    return a < b ? a : b;
}

static inline float larger(float a, float b)
{
    return a > b ? a : b;
}

/* Lanes [half, 2 half) into lanes [0, half). */
IN_EACH_VARIANT void fold(float *low, float *high, float *sum, size_t half)
{
    for (size_t j = 0; j < half; j++) {
        low[j] = smaller(low[j], low[j + half]);
        high[j] = larger(high[j], high[j + half]);
        sum[j] += sum[j + half];
    }
}

/* `lanes` is a constant wherever this is inlined: one vector, so that the three accumulators stay in
 * registers. */
IN_EACH_VARIANT bool range(const float *weights, size_t n, size_t lanes, float *lo, float *hi)
{
    const float first = n > 0 ? weights[0] : 0.0f;
    float low[MAX_LANES], high[MAX_LANES], sum[MAX_LANES];
    size_t i = 0;

    for (size_t j = 0; j < lanes; j++) {
        low[j] = high[j] = first;
        sum[j] = 0.0f;
    }
    for (; i + lanes <= n; i += lanes) {
        for (size_t j = 0; j < lanes; j++) {
            const float w = weights[i + j];
            low[j] = smaller(w, low[j]);
            high[j] = larger(w, high[j]);
            sum[j] += w * 0.0f; /* NaN as soon as one weight is NaN or infinite */
        }
    }
    if (lanes > SSE_LANES)
        fold(low, high, sum, SSE_LANES);
    fold(low, high, sum, 2);
    fold(low, high, sum, 1);
    for (; i < n; i++) {
        low[0] = smaller(weights[i], low[0]);
        high[0] = larger(weights[i], high[0]);
        sum[0] += weights[i] * 0.0f;
    }
    *lo = low[0];
    *hi = high[0];
    return sum[0] == 0.0f;
}

/* ---- rounding ------------------------------------------------------------------------------------------- */

/* Clamping to integers before rounding is the same as after it, and keeps the value in the range where adding
 * and taking off 1.5 * 2^23 rounds it. */
IN_EACH_VARIANT int8_t rounded(float weight, float reciprocal, float low, float high, int32_t zero_point)
{
    float v = smaller(larger(weight * reciprocal, low), high);
    return (int8_t)((int32_t)((v + 12582912.0f) - 12582912.0f) + zero_point);
}

IN_EACH_VARIANT void round_all(const qvk__rounding *how, const float *restrict weights, size_t n,
                               int8_t *restrict out)
{
    const float reciprocal = how->reciprocal, low = how->low, high = how->high;
    const int32_t zero_point = how->zero_point;
    size_t i = 0;

    for (; i + ROUND_LANES <= n; i += ROUND_LANES)
        for (size_t j = 0; j < ROUND_LANES; j++)
            out[i + j] = rounded(weights[i + j], reciprocal, low, high, zero_point);
    for (; i < n; i++)
        out[i] = rounded(weights[i], reciprocal, low, high, zero_point);
}

/* ---- the variants --------------------------------------------------------------------------------------- */

#if HAS_AVX2_VARIANTS
FOR_AVX2 static bool range_avx2(const float *weights, size_t n, float *lo, float *hi)
{
    return range(weights, n, AVX_LANES, lo, hi);
}

FOR_AVX2 static void round_avx2(const qvk__rounding *how, const float *weights, size_t n, int8_t *out)
{
    round_all(how, weights, n, out);
}

static bool has_avx2(void)
{
    return __builtin_cpu_supports("avx2");
}
#endif

bool qvk__weight_range(const float *weights, size_t n, float *lo, float *hi)
{
#if HAS_AVX2_VARIANTS
    if (has_avx2())
        return range_avx2(weights, n, lo, hi);
#endif
    return range(weights, n, SSE_LANES, lo, hi);
}

void qvk__weight_round(const qvk__rounding *how, const float *weights, size_t n, int8_t *out)
{
#if HAS_AVX2_VARIANTS
    if (has_avx2()) {
        round_avx2(how, weights, n, out);
        return;
    }
#endif
    round_all(how, weights, n, out);
}
