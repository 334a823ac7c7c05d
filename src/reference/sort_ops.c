/* Reference of cumulative sums, sorting and top-k along a dimension. */
#include <math.h>
#include <stdlib.h>

#include "core/semantics.h"
#include "reference/functions.h"

/* The tensor as [outer, size, inner] around a dimension. */
typedef struct lines {
    const qvk_tensor *self;
    int64_t outer, size, inner;
} lines;

static qvk_status lines_of(qvk__op op, const qvk__arg *args, lines *out, qvk_error *err)
{
    int dim;

    QVK__TRY(qvk__scan_dim(op, args, &dim, err));
    *out = (lines){args[0].u.tensor, 1, 1, 1};
    for (int d = 0; d < out->self->rank; d++)
        *(d < dim ? &out->outer : d == dim ? &out->size : &out->inner) *= out->self->sizes[d];
    return QVK_OK;
}

/* Running sums: float64 for floats, rounded at each store; exact for integers. */
qvk_status qvk__reference_cumsum(qvk__op op, const qvk__arg *args, int n_args, qvk_tensor *outs, int n_outs,
                                 qvk_error *err)
{
    lines l;

    (void)n_args, (void)n_outs;
    QVK__TRY(lines_of(op, args, &l, err));
    for (int64_t line = 0; line < l.outer * l.inner; line++) {
        const int64_t start = line / l.inner * l.size * l.inner + line % l.inner;
        double sum = 0.0;
        uint64_t total = 0;
        for (int64_t i = 0; i < l.size; i++) {
            const int64_t at = start + i * l.inner;
            if (qvk__dtype_is_float(outs[0].dtype)) {
                sum += qvk__reference_get(l.self, at);
                qvk__reference_set(&outs[0], at, sum);
            } else {
                total += (uint64_t)qvk__reference_get_int(l.self, at);
                qvk__reference_set_int(&outs[0], at, (int64_t)total);
            }
        }
    }
    return QVK_OK;
}

typedef struct entry {
    double real;
    int64_t integer, index;
} entry;

/* NaN is the greatest of all, as in PyTorch. */
static int order(const entry *a, const entry *b)
{
    if (isnan(a->real) || isnan(b->real))
        return (isnan(a->real) != 0) - (isnan(b->real) != 0);
    if (a->real != b->real)
        return a->real < b->real ? -1 : 1;
    return (a->integer > b->integer) - (a->integer < b->integer);
}

/* Equals keep their order, both ways: a stable sort. */
static int ascending(const void *a, const void *b)
{
    const entry *x = a, *y = b;
    const int by_value = order(x, y);
    return by_value ? by_value : (x->index > y->index) - (x->index < y->index);
}

static int descending(const void *a, const void *b)
{
    const entry *x = a, *y = b;
    const int by_value = order(y, x);
    return by_value ? by_value : (x->index > y->index) - (x->index < y->index);
}

/* The first `keep` of each sorted line. */
static qvk_status sort_lines(const lines *l, bool down, int64_t keep, qvk_tensor *outs, qvk_error *err)
{
    const bool is_float = qvk__dtype_is_float(l->self->dtype);
    entry *entries = qvk__alloc_zeroed((uint64_t)QVK__MAX(l->size, 1), sizeof *entries);

    QVK__CHECK(entries, err, QVK_OUT_OF_MEMORY, "out of memory");
    for (int64_t line = 0; line < l->outer * l->inner; line++) {
        const int64_t start = line / l->inner * l->size * l->inner + line % l->inner;
        const int64_t to = line / l->inner * keep * l->inner + line % l->inner;
        for (int64_t i = 0; i < l->size; i++) {
            entries[i].index = i;
            entries[i].real = is_float ? qvk__reference_get(l->self, start + i * l->inner) : 0.0;
            entries[i].integer = is_float ? 0 : qvk__reference_get_int(l->self, start + i * l->inner);
        }
        qsort(entries, (size_t)l->size, sizeof *entries, down ? descending : ascending);
        for (int64_t i = 0; i < keep; i++) {
            qvk__reference_move(&outs[0], to + i * l->inner, l->self, start + entries[i].index * l->inner);
            qvk__reference_set_int(&outs[1], to + i * l->inner, entries[i].index);
        }
    }
    free(entries);
    return QVK_OK;
}

qvk_status qvk__reference_sort(qvk__op op, const qvk__arg *args, int n_args, qvk_tensor *outs, int n_outs,
                               qvk_error *err)
{
    bool down;
    lines l;

    (void)n_args, (void)n_outs;
    QVK__TRY(lines_of(op, args, &l, err));
    QVK__TRY(qvk__arg_bool(&args[2], "descending", &down, err));
    return sort_lines(&l, down, l.size, outs, err);
}

/* Sorted always: `sorted=False` leaves the order open. */
qvk_status qvk__reference_topk(qvk__op op, const qvk__arg *args, int n_args, qvk_tensor *outs, int n_outs,
                               qvk_error *err)
{
    int64_t k;
    bool largest;
    lines l;

    (void)n_args, (void)n_outs;
    QVK__TRY(lines_of(op, args, &l, err));
    QVK__TRY(qvk__arg_int(&args[1], "k", &k, err));
    QVK__TRY(qvk__arg_bool(&args[3], "largest", &largest, err));
    return sort_lines(&l, largest, k, outs, err);
}
