/*
 * Symbolic output sizes without a symbolic rule for every operator: the operator's ordinary shape rule is
 * asked at a number of points, and the simplest expression over the input sizes that explains all answers is
 * taken.
 */
#ifndef QVK__SYMBOLIC_FIT_H
#define QVK__SYMBOLIC_FIT_H

#include "ir/ir.h"

enum { QVK__FIT_POINTS = 12, QVK__FIT_TERMS = 16 };

/* What the answers may be made of: expressions, and their values at each point. */
typedef struct qvk__fit {
    int32_t terms[QVK__FIT_TERMS];
    int64_t values[QVK__FIT_TERMS][QVK__FIT_POINTS];
    int n_terms, n_points;
} qvk__fit;

/* Expression for a size that had these values. *out: its index, or -1 for a constant. false: none fits, or
 * memory ran out. */
bool qvk__fit_size(qvk__exported *program, const qvk__fit *fit, const int64_t *values, int32_t *out);

#endif
