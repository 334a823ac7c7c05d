/* Quantized weight tensors whose integers are made when they are asked for. */
#ifndef QVK__WEIGHTS_H
#define QVK__WEIGHTS_H

#include "core/graph.h"
#include "quantize/qparams.h"

/*
 * A float weight of `rows` x `columns`, groups of `group_size` along the columns. Scales and zero points are
 * held; the integers are made by the constant's fill, row by row from the float weight, so that a model
 * streams through.
 */
typedef struct qvk__quantized_weight {
    const qvk__constant *source; /* the float weight */
    const qvk__file *file;       /* that it may be mapped from */
    const char *name;            /* fully qualified, for messages */
    int64_t rows, columns, group_size, groups;
    qvk__weight_scheme scheme;
    void *scales;        /* [rows, groups] in scheme.scale_dtype */
    int8_t *zero_points; /* [rows, groups] */
    qvk__constant integers, scale_constant, zero_point_constant;
} qvk__quantized_weight;

/*
 * Forms scales and zero points (reads all weights once, on all processors). Everything lives in `arena`.
 * Errors: QVK_UNSUPPORTED when a weight is NaN or infinite (names it), QVK_OUT_OF_MEMORY.
 */
qvk_status qvk__quantized_weight_create(qvk__arena *arena, const qvk__constant *source, const qvk__file *file,
                                        const char *name, int64_t rows, int64_t columns, int64_t group_size,
                                        const qvk__weight_scheme *scheme, qvk__quantized_weight **out,
                                        qvk_error *err);

#endif
