/* Finding the expression behind the sizes a shape rule gave. */
#include "ir/symbolic_fit.h"

enum { MAX_DIVISOR = 64, MAX_FACTORS = 4 };

static bool is_constant(const qvk__fit *fit, const int64_t *values)
{
    for (int k = 1; k < fit->n_points; k++)
        if (values[k] != values[0])
            return false;
    return true;
}

static bool matches(const qvk__fit *fit, int term, const int64_t *values)
{
    return memcmp(fit->values[term], values, (size_t)fit->n_points * sizeof *values) == 0;
}

static int32_t constant(qvk__exported *program, int64_t value)
{
    return qvk__expression_constant(program, value);
}

/* factor * expression + offset, without the parts that change nothing. */
static int32_t affine(qvk__exported *program, int32_t expression, int64_t factor, int64_t offset)
{
    if (factor != 1)
        expression = qvk__expression_add(program, QVK__EXPRESSION_MUL, constant(program, factor), expression);
    if (offset != 0)
        expression = qvk__expression_add(program, QVK__EXPRESSION_ADD, expression, constant(program, offset));
    return expression;
}

/* size = a * term + b: slices, padding, concatenation with a constant part, flattening with static
 * dimensions. */
static bool fit_affine(qvk__exported *program, const qvk__fit *fit, const int64_t *values, int32_t *out)
{
    for (int t = 0; t < fit->n_terms; t++) {
        const int64_t *x = fit->values[t];
        int64_t factor = 0, offset;
        bool fits = true;
        int other = 1;
        while (other < fit->n_points && x[other] == x[0])
            other++;
        if (other == fit->n_points || (values[other] - values[0]) % (x[other] - x[0]) != 0)
            continue;
        factor = (values[other] - values[0]) / (x[other] - x[0]);
        offset = values[0] - factor * x[0];
        for (int k = 0; k < fit->n_points; k++)
            fits &= values[k] == factor * x[k] + offset;
        if (!fits || factor == 0)
            continue;
        *out = affine(program, fit->terms[t], factor, offset);
        return *out >= 0;
    }
    return false;
}

/* size = (term + c) // d: strides of convolutions, pooling and slices. Each point bounds c. */
static bool fit_division(qvk__exported *program, const qvk__fit *fit, const int64_t *values, int32_t *out)
{
    for (int t = 0; t < fit->n_terms; t++) {
        for (int64_t d = 2; d <= MAX_DIVISOR; d++) {
            int64_t low = INT64_MIN, high = INT64_MAX;
            for (int k = 0; k < fit->n_points; k++) {
                int64_t at_least = d * values[k] - fit->values[t][k];
                low = QVK__MAX(low, at_least);
                high = QVK__MIN(high, at_least + d - 1);
            }
            if (low > high)
                continue;
            *out = qvk__expression_add(program, QVK__EXPRESSION_FLOORDIV,
                                       affine(program, fit->terms[t], 1, low), constant(program, d));
            return *out >= 0;
        }
    }
    return false;
}

/* size = term + other + c: concatenation. */
static bool fit_sum(qvk__exported *program, const qvk__fit *fit, const int64_t *values, int32_t *out)
{
    for (int a = 0; a < fit->n_terms; a++) {
        for (int b = a + 1; b < fit->n_terms; b++) {
            int64_t offset = values[0] - fit->values[a][0] - fit->values[b][0];
            bool fits = true;
            for (int k = 0; k < fit->n_points; k++)
                fits &= values[k] == fit->values[a][k] + fit->values[b][k] + offset;
            if (!fits)
                continue;
            *out = affine(program,
                          qvk__expression_add(program, QVK__EXPRESSION_ADD, fit->terms[a], fit->terms[b]), 1,
                          offset);
            return *out >= 0;
        }
    }
    return false;
}

/* size = c * term * term ...: flattening. Subsets as bit masks, few factors only. */
static bool fit_product(qvk__exported *program, const qvk__fit *fit, const int64_t *values, int32_t *out)
{
    for (uint32_t set = 1; set < 1u << fit->n_terms; set++) {
        int64_t factor = 0;
        bool fits = __builtin_popcount(set) >= 2 && __builtin_popcount(set) <= MAX_FACTORS;
        for (int k = 0; k < fit->n_points && fits; k++) {
            int64_t product = 1;
            for (int t = 0; t < fit->n_terms; t++)
                if (set >> t & 1)
                    fits &= !__builtin_mul_overflow(product, fit->values[t][k], &product);
            fits =
                fits && product != 0 && values[k] % product == 0 && (k == 0 || values[k] / product == factor);
            factor = fits ? values[k] / product : 0;
        }
        if (!fits)
            continue;
        *out = constant(program, factor);
        for (int t = 0; t < fit->n_terms; t++) {
            if (!(set >> t & 1))
                continue;
            bool first = *out >= 0 && program->expressions.data[*out].kind == QVK__EXPRESSION_CONSTANT &&
                         program->expressions.data[*out].constant == 1;
            *out = first ? fit->terms[t]
                         : qvk__expression_add(program, QVK__EXPRESSION_MUL, *out, fit->terms[t]);
        }
        return *out >= 0;
    }
    return false;
}

bool qvk__fit_size(qvk__exported *program, const qvk__fit *fit, const int64_t *values, int32_t *out)
{
    *out = -1;
    if (is_constant(fit, values))
        return true;
    for (int t = 0; t < fit->n_terms; t++) {
        if (matches(fit, t, values)) {
            *out = fit->terms[t];
            return true;
        }
    }
    return fit_affine(program, fit, values, out) || fit_division(program, fit, values, out) ||
           fit_sum(program, fit, values, out) || fit_product(program, fit, values, out);
}
