/* How far two tensors are apart. */
#include <math.h>
#include <string.h>

#include "cli.h"

bool cli_same_shape(const qvk_tensor *a, const qvk_tensor *b)
{
    return a->rank == b->rank && memcmp(a->sizes, b->sizes, (size_t)a->rank * sizeof a->sizes[0]) == 0;
}

double cli_difference(double a, double b)
{
    if (isnan(a) && isnan(b))
        return 0.0;
    if (!isfinite(a) || !isfinite(b))
        return a == b ? 0.0 : (double)INFINITY;
    return fabs(a - b);
}

cli_distance cli_measure_distance(const qvk_tensor *a, const qvk_tensor *b)
{
    const int64_t numel = qvk_tensor_numel(a);
    double aa = 0.0, bb = 0.0, ab = 0.0, noise = 0.0, sum = 0.0, worst = 0.0;

    for (int64_t i = 0; i < numel; i++) {
        const double x = cli_element(a, i), y = cli_element(b, i), d = cli_difference(x, y);
        worst = fmax(worst, d);
        sum += d;
        noise += d * d;
        if (isfinite(x) && isfinite(y)) {
            aa += x * x;
            bb += y * y;
            ab += x * y;
        }
    }
    return (cli_distance){
        .sqnr = noise > 0.0 ? 10.0 * log10(aa / noise) : (double)INFINITY,
        .max_error = worst,
        .mean_error = numel ? sum / (double)numel : 0.0,
        .cosine = aa > 0.0 && bb > 0.0   ? ab / sqrt(aa * bb)
                  : aa > 0.0 || bb > 0.0 ? 0.0
                                         : 1.0,
    };
}
