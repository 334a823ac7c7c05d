/*
 * Reference of reductions. Sums run in float64 and are rounded once, so that their order does not show in a
 * float32 result; sums of integers are exact.
 */
#include <math.h>

#include "core/semantics.h"
#include "reference/functions.h"
#include "reference/rounding.h"

/* Offsets of the elements of one result, counted in C order of the reduced dimensions. */
typedef struct line {
    const qvk__reduction *r;
    int64_t strides[QVK_MAX_RANK];
    int64_t start;
} line;

static line line_start(const qvk__reduction *r)
{
    line l = {.r = r};
    qvk__strides(r->self, l.strides);
    return l;
}

/* Elements of one result (`reduced` true: the i-th of them; false: where the i-th result begins). */
static int64_t line_offset(const line *l, bool reduced, int64_t i)
{
    int64_t offset = 0;

    for (int d = l->r->self->rank - 1; d >= 0; d--) {
        if ((l->r->mask >> d & 1) != reduced)
            continue;
        offset += i % l->r->self->sizes[d] * l->strides[d];
        i /= l->r->self->sizes[d];
    }
    return offset;
}

/* Element i of a line, in the type the reduction computes in. */
static double get(const line *l, int64_t i)
{
    const double value = qvk__reference_get(l->r->self, l->start + line_offset(l, true, i));
    return l->r->common == QVK_DTYPE_F64 ? value : (double)qvk__round_to(l->r->common, (float)value);
}

static int64_t get_int(const line *l, int64_t i)
{
    return qvk__reference_get_int(l->r->self, l->start + line_offset(l, true, i));
}

/* ---- the i-th element that wins ------------------------------------------------------------------------- */

static bool wins(const line *l, int64_t i, int64_t best)
{
    const bool greatest = l->r->fn == QVK__REDUCE_ARGMAX || l->r->fn == QVK__REDUCE_MAX;

    if (qvk__dtype_is_float(l->r->self->dtype)) {
        const double a = get(l, i), b = get(l, best);
        if (isnan(a) || isnan(b))
            return isnan(a) && !isnan(b);
        return greatest ? a > b : a < b;
    }
    return greatest ? get_int(l, i) > get_int(l, best) : get_int(l, i) < get_int(l, best);
}

static int64_t find_winner(const line *l)
{
    int64_t best = 0;

    for (int64_t i = 1; i < l->r->count; i++)
        if (wins(l, i, best))
            best = i;
    return best;
}

/* ---- one value of many ---------------------------------------------------------------------------------- */

static int64_t reduce_int(const line *l)
{
    uint64_t value = l->r->fn == QVK__REDUCE_PROD;

    for (int64_t i = 0; i < l->r->count; i++) {
        if (l->r->fn == QVK__REDUCE_PROD)
            value *= (uint64_t)get_int(l, i);
        else
            value += (uint64_t)get_int(l, i);
    }
    return (int64_t)value;
}

static bool any_is(const line *l, bool wanted)
{
    for (int64_t i = 0; i < l->r->count; i++)
        if ((qvk__reference_get(l->r->self, l->start + line_offset(l, true, i)) != 0.0) == wanted)
            return true;
    return false;
}

static double variance(const line *l)
{
    const double n = (double)l->r->count, divisor = QVK__MAX(n - l->r->correction, 0.0);
    double mean = 0.0, squares = 0.0;

    for (int64_t i = 0; i < l->r->count; i++)
        mean += get(l, i) / n;
    for (int64_t i = 0; i < l->r->count; i++)
        squares += (get(l, i) - mean) * (get(l, i) - mean);
    return squares / divisor;
}

static double norm(const line *l)
{
    const double order = l->r->order;
    double value = isinf(order) && order < 0 ? INFINITY : 0.0;

    for (int64_t i = 0; i < l->r->count; i++) {
        const double x = fabs(get(l, i));
        if (isinf(order))
            value = isnan(x) || isnan(value) ? NAN : order > 0 ? fmax(value, x) : fmin(value, x);
        else
            value += order == 0.0 ? x != 0.0 : order == 1.0 ? x : order == 2.0 ? x * x : pow(x, order);
    }
    if (isinf(order) || order == 0.0 || order == 1.0)
        return value;
    return order == 2.0 ? sqrt(value) : pow(value, 1.0 / order);
}

static double reduce_real(const line *l)
{
    double value = l->r->fn == QVK__REDUCE_PROD;

    switch (l->r->fn) {
    case QVK__REDUCE_VAR: return variance(l);
    case QVK__REDUCE_STD: return sqrt(variance(l));
    case QVK__REDUCE_NORM: return norm(l);
    default: break;
    }
    for (int64_t i = 0; i < l->r->count; i++) {
        if (l->r->fn == QVK__REDUCE_PROD)
            value *= get(l, i);
        else
            value += get(l, i);
    }
    return l->r->fn == QVK__REDUCE_MEAN ? value / (double)l->r->count : value;
}

static void reduce_one(const line *l, qvk_tensor *out, int64_t index)
{
    switch (l->r->fn) {
    case QVK__REDUCE_MAX:
    case QVK__REDUCE_MIN:
        qvk__reference_move(out, index, l->r->self, l->start + line_offset(l, true, find_winner(l)));
        break;
    case QVK__REDUCE_ARGMAX:
    case QVK__REDUCE_ARGMIN: qvk__reference_set_int(out, index, find_winner(l)); break;
    case QVK__REDUCE_ANY: qvk__reference_set_int(out, index, any_is(l, true)); break;
    case QVK__REDUCE_ALL: qvk__reference_set_int(out, index, !any_is(l, false)); break;
    default:
        if (qvk__dtype_is_float(l->r->common))
            qvk__reference_set(out, index, reduce_real(l));
        else
            qvk__reference_set_int(out, index, reduce_int(l));
    }
}

qvk_status qvk__reference_reduce(qvk__op op, const qvk__arg *args, int n_args, qvk_tensor *outs, int n_outs,
                                 qvk_error *err)
{
    qvk__reduction r;
    line l;

    (void)n_args, (void)n_outs;
    QVK__TRY(qvk__reduction_of(op, args, &r, err));
    l = line_start(&r);
    for (int64_t i = 0; i < r.n_results; i++) {
        l.start = line_offset(&l, false, i);
        reduce_one(&l, &outs[0], i);
    }
    return QVK_OK;
}

/* max.dim, min.dim: values and their indices. */
qvk_status qvk__reference_max_dim(qvk__op op, const qvk__arg *args, int n_args, qvk_tensor *outs, int n_outs,
                                  qvk_error *err)
{
    qvk__reduction r;
    line l;

    (void)n_args, (void)n_outs;
    QVK__TRY(qvk__reduction_of(op, args, &r, err));
    l = line_start(&r);
    for (int64_t i = 0; i < r.n_results; i++) {
        int64_t best;
        l.start = line_offset(&l, false, i);
        best = find_winner(&l);
        qvk__reference_move(&outs[0], i, r.self, l.start + line_offset(&l, true, best));
        qvk__reference_set_int(&outs[1], i, best);
    }
    return QVK_OK;
}
