#include "quantize/observer.h"

#include <math.h>

enum { BINS = QVK__HISTOGRAM_BINS, UPSAMPLE = 16, LEVELS = 256 };

/* Counts of values in [min, max] in equal bins; torch.histc, which widens an empty range by one on either
 * side. */
static void count(const float *values, size_t n, float min, float max, float *counts)
{
    float left = min, right = max;

    if (left == right) {
        left -= 1.0f;
        right += 1.0f;
    }
    memset(counts, 0, BINS * sizeof *counts);
    for (size_t i = 0; i < n; i++) {
        int64_t bin;
        if (!(values[i] >= left && values[i] <= right))
            continue;
        bin = (int64_t)((values[i] - left) * (float)BINS / (right - left));
        counts[bin < BINS ? bin : BINS - 1] += 1.0f;
    }
}

/* torch.linspace in float32: from both ends towards the middle. */
static float linspace(float start, float end, int64_t steps, int64_t i)
{
    float step = (end - start) / (float)(steps - 1);
    return i < steps / 2 ? start + step * (float)i : end - step * (float)(steps - i - 1);
}

/* Index of the bin of [min, max] that holds a value: torch.bucketize(right=True) - 1, clamped. */
static int bucket(float value, float min, float max)
{
    int low = 0, high = BINS + 1; /* first boundary above the value */

    while (low < high) {
        int middle = (low + high) / 2;
        if (linspace(min, max, BINS + 1, middle) > value)
            high = middle;
        else
            low = middle + 1;
    }
    low -= 1;
    return low < 0 ? 0 : low >= BINS ? BINS - 1 : low;
}

/* Moves the old counts into a wider range: every bin is cut into 16 and each piece goes where its middle
 * lies. */
static void spread(const qvk__histogram *old, float min, float max, double *counts)
{
    float piece = (old->max - old->min) / (float)(BINS * UPSAMPLE);

    for (int i = 0; i < BINS * UPSAMPLE; i++) {
        float middle = linspace(old->min, old->max, BINS * UPSAMPLE + 1, i) + 0.5f * piece;
        counts[bucket(middle, min, max)] += (double)(old->counts[i / UPSAMPLE] / (float)UPSAMPLE);
    }
}

static void widen(qvk__histogram *histogram, float min, float max, const float *batch)
{
    double counts[BINS] = {0}, total = 0;
    float single[BINS];

    if (histogram->min == histogram->max) { /* one value so far: all its mass goes into one bin */
        for (int i = 0; i < BINS; i++)
            total += (double)histogram->counts[i];
        count(&histogram->min, 1, min, max, single);
        for (int i = 0; i < BINS; i++)
            counts[i] = (double)single[i] * total;
    } else {
        spread(histogram, min, max, counts);
    }
    for (int i = 0; i < BINS; i++)
        histogram->counts[i] = (float)(counts[i] + (double)batch[i]);
    histogram->min = min;
    histogram->max = max;
}

bool qvk__histogram_add(qvk__histogram *histogram, const float *values, size_t n)
{
    float min = INFINITY, max = -INFINITY, batch[BINS];

    for (size_t i = 0; i < n; i++) {
        if (isnan(values[i]))
            return false;
        if (isinf(values[i]))
            continue;
        min = values[i] < min ? values[i] : min;
        max = values[i] > max ? values[i] : max;
    }
    if (min > max)
        return true;
    if (!histogram->seen) {
        histogram->seen = true;
        histogram->min = min;
        histogram->max = max;
        count(values, n, min, max, histogram->counts);
        return true;
    }
    min = min < histogram->min ? min : histogram->min;
    max = max > histogram->max ? max : histogram->max;
    count(values, n, min, max, batch);
    if (min == histogram->min && max == histogram->max)
        for (int i = 0; i < BINS; i++)
            histogram->counts[i] += batch[i];
    else
        widen(histogram, min, max, batch);
    return true;
}

/* Integral of the squared distance over [begin, end] around a level, for values spread evenly with this
 * density. */
static double norm(double begin, double end, double density)
{
    return density * (end * end * end - begin * begin * begin) / 3;
}

static double clamp_level(double level)
{
    return level < 0 ? 0 : level > LEVELS - 1 ? LEVELS - 1 : level;
}

/* Error of quantizing the whole histogram with the range of bins [start, end]. */
static double error_of(const qvk__histogram *h, int start, int end)
{
    double bin_width = ((double)h->max - (double)h->min) / BINS;
    double width = bin_width * (end - start + 1) / LEVELS, total = 0;

    if (width == 0)
        return 0;
    for (int i = 0; i < BINS; i++) {
        double begin = (i - start) * bin_width, finish = begin + bin_width;
        double first = clamp_level(floor(begin / width)), last = clamp_level(floor(finish / width));
        double density = (double)h->counts[i] / bin_width;
        total += norm(begin - (first + 0.5) * width, width / 2, density);
        total += (last - first - 1) * norm(-width / 2, width / 2, density);
        total += norm(-width / 2, finish - (last * width + width / 2), density);
    }
    return total;
}

void qvk__histogram_range(const qvk__histogram *h, float *min, float *max)
{
    const double step = 1e-5;
    double cumulative[BINS], total = 0, alpha = 0, beta = 1, best = INFINITY;
    float width = (h->max - h->min) / (float)BINS;
    int start = 0, end = BINS - 1;

    for (int i = 0; i < BINS; i++)
        cumulative[i] = total += (double)h->counts[i];
    while (alpha < beta) {
        double next_alpha = alpha + step, next_beta = beta - step, error;
        int left = start, right = end, next_start = start, next_end = end;
        while (left < end && cumulative[left] < next_alpha * total)
            left++;
        while (right > start && cumulative[right] > next_beta * total)
            right--;
        if (left - start > end - right) {
            next_start = left;
            alpha = next_alpha;
        } else {
            next_end = right;
            beta = next_beta;
        }
        if (next_start == start && next_end == end)
            continue;
        error = error_of(h, next_start, next_end);
        if (error > best)
            break;
        best = error;
        start = next_start;
        end = next_end;
    }
    *min = h->min + width * (float)start;
    *max = h->min + width * (float)(end + 1);
}
