#include "quantize/qparams.h"

#include <float.h>
#include <math.h>

#include "core/dtype.h"
#include "quantize/weight_loops.h"

float qvk__round_to(qvk_dtype dtype, float value)
{
    if (dtype == QVK_DTYPE_F16)
        return qvk__f16_to_f32(qvk__f32_to_f16(value));
    if (dtype == QVK_DTYPE_BF16)
        return qvk__bf16_to_f32(qvk__f32_to_bf16(value));
    return value;
}

static float smallest_normal(qvk_dtype dtype)
{
    return dtype == QVK_DTYPE_F16 ? 6.103515625e-5f : FLT_MIN;
}

void qvk__weight_qparams(const qvk__weight_scheme *scheme, float lo, float hi, float *scale,
                         int32_t *zero_point)
{
    qvk_dtype t = scheme->weight_dtype;
    float qmin = (float)scheme->qmin, qmax = (float)scheme->qmax;
    float s;

    lo = lo < 0.0f ? lo : 0.0f;
    hi = hi > 0.0f ? hi : 0.0f;
    *zero_point = 0;
    switch (scheme->mapping) {
    case QVK_MAPPING_SYMMETRIC_NO_CLIPPING_ERR: {
        float low = qvk__round_to(t, lo / qmin), high = qvk__round_to(t, hi / qmax);
        s = low > high ? low : high;
        break;
    }
    case QVK_MAPPING_ASYMMETRIC: s = qvk__round_to(t, qvk__round_to(t, hi - lo) / (qmax - qmin)); break;
    default: s = qvk__round_to(t, (-lo > hi ? -lo : hi) / ((qmax - qmin) / 2.0f)); break;
    }
    s = s > smallest_normal(t) ? s : smallest_normal(t);
    if (scheme->mapping == QVK_MAPPING_ASYMMETRIC) {
        float z = qvk__round_to(t, qmin - rintf(qvk__round_to(t, lo / s)));
        *zero_point = (int32_t)(z < qmin ? qmin : z > qmax ? qmax : z);
    }
    *scale = qvk__round_to(scheme->scale_dtype, s);
}

/* ---- HQQ ------------------------------------------------------------------------------------------------ */

/*
 * Sums in the order of torch.sum over a contiguous last dimension on x86
 * (aten/src/ATen/native/cpu/SumKernel): 4 accumulators of 8 lanes take turns; every 16th round they are
 * poured into the next of 4 levels. The scale is a quotient of two such sums, so another order would change
 * its last bits.
 */
enum { SUM_LANES = 8, TURNS = 4, LEVELS = 4, STEP = 16 };

/* Terms w q or q q, where q is what a weight rounds to at this scale. */
typedef struct torch_sum {
    const float *weights;
    size_t n;
    float scale, qmin, qmax;
    bool square;
} torch_sum;

/* Adds the terms of `lanes` neighbours from `at` on to an accumulator. */
static void add_terms(const torch_sum *sum, size_t at, size_t lanes, float *to)
{
    for (size_t i = 0; i < lanes; i++) {
        const float w = sum->weights[at + i];
        float q = rintf(w / sum->scale);
        q = q < sum->qmin ? sum->qmin : q > sum->qmax ? sum->qmax : q;
        to[i] += (sum->square ? q : w) * q;
    }
}

/* All whole runs of `lanes`; their sums are left in out[0..lanes). */
static void sum_runs(const torch_sum *sum, size_t lanes, float *out)
{
    const size_t runs = sum->n / lanes, rounds = runs / TURNS;
    float levels[LEVELS][TURNS][SUM_LANES] = {{{0}}};

    for (size_t round = 0; round < rounds;) {
        for (size_t turn = 0; turn < TURNS; turn++)
            add_terms(sum, (round * TURNS + turn) * lanes, lanes, levels[0][turn]);
        round++;
        for (size_t level = 1, every = STEP; level < LEVELS && round % every == 0; level++, every *= STEP) {
            for (size_t i = 0; i < (size_t)TURNS * SUM_LANES; i++) {
                levels[level][i / SUM_LANES][i % SUM_LANES] +=
                    levels[level - 1][i / SUM_LANES][i % SUM_LANES];
                levels[level - 1][i / SUM_LANES][i % SUM_LANES] = 0.0f;
            }
        }
    }
    for (size_t level = 1; level < LEVELS; level++)
        for (size_t i = 0; i < (size_t)TURNS * SUM_LANES; i++)
            levels[0][i / SUM_LANES][i % SUM_LANES] += levels[level][i / SUM_LANES][i % SUM_LANES];
    for (size_t run = rounds * TURNS; run < runs; run++)
        add_terms(sum, run * lanes, lanes, levels[0][0]);
    for (size_t turn = 1; turn < TURNS; turn++)
        for (size_t i = 0; i < lanes; i++)
            levels[0][0][i] += levels[0][turn][i];
    memcpy(out, levels[0][0], lanes * sizeof *out);
}

static float sum_terms(const torch_sum *sum)
{
    float lanes[SUM_LANES], total = 0.0f;

    if (sum->n < SUM_LANES) {
        sum_runs(sum, 1, lanes);
        return lanes[0];
    }
    sum_runs(sum, SUM_LANES, lanes);
    for (size_t i = sum->n / SUM_LANES * SUM_LANES; i < sum->n; i++)
        add_terms(sum, i, 1, &total);
    for (size_t i = 0; i < SUM_LANES; i++)
        total += lanes[i];
    return total;
}

float qvk__weight_hqq_scale(const qvk__weight_scheme *scheme, const float *weights, size_t n)
{
    const float tiny = FLT_EPSILON;
    float qmin = (float)scheme->qmin, qmax = (float)scheme->qmax, limit = -qmin > qmax ? -qmin : qmax;
    float peak = 0.0f, scale;

    for (size_t i = 0; i < n; i++)
        peak = fabsf(weights[i]) > peak ? fabsf(weights[i]) : peak;
    scale = peak / limit > tiny ? peak / limit : tiny;
    for (int round = 0; round < 20; round++) {
        const torch_sum cross_terms = {weights, n, scale, qmin, qmax, false};
        const torch_sum square_terms = {weights, n, scale, qmin, qmax, true};
        const float cross = sum_terms(&cross_terms), square = sum_terms(&square_terms);
        float next = scale, change;
        if (square > 0.0f)
            next = fabsf(cross / square > tiny ? cross / square : tiny);
        change = fabsf(next - scale) / (scale > tiny ? scale : tiny);
        scale = next;
        if (change < 1e-5f)
            break;
    }
    return qvk__round_to(scheme->scale_dtype, scale);
}

void qvk__weight_quantize(const qvk__weight_scheme *scheme, const float *weights, size_t n, float scale,
                          int32_t zero_point, int8_t *out)
{
    /* torch promotes mixed dtypes: any float32 operand makes the whole product float32. */
    qvk_dtype t = scheme->weight_dtype == scheme->scale_dtype ? scheme->weight_dtype : QVK_DTYPE_F32;
    float low = (float)(scheme->qmin - zero_point), high = (float)(scheme->qmax - zero_point);
    float reciprocal = qvk__round_to(scheme->scale_dtype, 1.0f / scale);

    if (scheme->choose == QVK_CHOOSE_QPARAMS_HQQ_SCALE_ONLY) { /* true division */
        for (size_t i = 0; i < n; i++) {
            float v = qvk__round_to(t, weights[i] / scale);
            v = v > low ? v : low;
            v = v < high ? v : high;
            out[i] = (int8_t)(int32_t)rintf(v);
        }
        return;
    }
    if (t == QVK_DTYPE_F32) {
        qvk__weight_round(&(qvk__rounding){reciprocal, low, high, zero_point}, weights, n, out);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        /* The sum is rounded to the dtype too, before the clamp: matters when it leaves bf16's 8 bits. */
        float v = qvk__round_to(t, rintf(qvk__round_to(t, weights[i] * reciprocal)) + (float)zero_point);
        v = v > (float)scheme->qmin ? v : (float)scheme->qmin;
        v = v < (float)scheme->qmax ? v : (float)scheme->qmax;
        out[i] = (int8_t)(int32_t)v;
    }
}

float qvk__observer_symmetric_scale(float lo, float hi, int32_t qmin, int32_t qmax, float eps)
{
    float low = lo < 0.0f ? -lo : 0.0f, high = hi > 0.0f ? hi : 0.0f;
    float scale = (low > high ? low : high) / ((float)(qmax - qmin) / 2.0f);
    return scale > eps ? scale : eps;
}

void qvk__observer_affine(float lo, float hi, int32_t qmin, int32_t qmax, float eps, float *scale,
                          int32_t *zero_point)
{
    float low = lo < 0.0f ? lo : 0.0f, high = hi > 0.0f ? hi : 0.0f;
    float s = (high - low) / (float)(qmax - qmin);
    float z;

    s = s > eps ? s : eps;
    z = (float)qmin - rintf(low / s);
    *scale = s;
    *zero_point = (int32_t)(z < (float)qmin ? (float)qmin : z > (float)qmax ? (float)qmax : z);
}
